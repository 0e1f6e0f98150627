#include "appliance/permit.h"

#include <string.h>

#include "board/base/buf.h"

enum { ADMINISTRATORS = 1, OFFICERS = 2, RA = 4, AUDITORS = 8, OTHERS = 16 };

enum {
	FOR_ADMINISTRATORS = ADMINISTRATORS,
	FOR_OFFICERS = ADMINISTRATORS | OFFICERS,
	FOR_AUDITORS = ADMINISTRATORS | AUDITORS,
	FOR_OPERATORS = ADMINISTRATORS | OFFICERS | RA | OTHERS,
	FOR_ALL = FOR_OPERATORS | AUDITORS,
};

/* "operator password" checks by itself whose password it is. */
static const struct {
	const char *words;
	unsigned who;
} commands[] = {
	{"status", FOR_ALL},
	{"help", FOR_ALL},
	{"challenge list", FOR_ALL},
	{"challenge create", FOR_OPERATORS},
	{"challenge revoke", FOR_OPERATORS},
	{"request list", FOR_ALL},
	{"request show", FOR_ALL},
	{"request approve", FOR_OPERATORS},
	{"request deny", FOR_OPERATORS},
	{"certificate list", FOR_ALL},
	{"certificate show", FOR_ALL},
	{"certificate revoke", FOR_OFFICERS},
	{"certificate hold", FOR_OFFICERS},
	{"certificate release", FOR_OFFICERS},
	{"crl show", FOR_ALL},
	{"crl make", FOR_OFFICERS},
	{"ca show", FOR_ALL},
	{"template list", FOR_ALL},
	{"template show", FOR_ALL},
	{"template check", FOR_ALL},
	{"registration-point install", FOR_ADMINISTRATORS},
	{"registration-point list", FOR_ALL},
	{"registration-point trust", FOR_ADMINISTRATORS},
	{"registration-point untrust", FOR_ADMINISTRATORS},
	{"registration-point export-root", FOR_ALL},
	{"registration-point remove", FOR_ADMINISTRATORS},
	{"certificate-profile list", FOR_ALL},
	{"certificate-profile show", FOR_ALL},
	{"certificate-profile check", FOR_ALL},
	{"audit list", FOR_AUDITORS},
	{"audit verify", FOR_AUDITORS},
	{"operator list", FOR_AUDITORS},
	{"operator password", FOR_ALL},
};

/* The groups of an account as bits; an account in no group of ours is still an operator. */
static unsigned
groups_of(const struct app_account *account)
{
	unsigned groups = 0;

	if (app_account_in(account, APP_GROUP_ADMINISTRATORS))
		groups |= ADMINISTRATORS;
	if (app_account_in(account, APP_GROUP_OFFICERS))
		groups |= OFFICERS;
	if (app_account_in(account, APP_GROUP_RA))
		groups |= RA;
	/* Whatever else the store says: an auditor changes nothing. */
	return app_account_in(account, APP_GROUP_AUDITORS) ? AUDITORS : groups | OTHERS;
}

static const char *
name_of(unsigned who)
{
	if (who == FOR_OFFICERS)
		return "the group " APP_GROUP_OFFICERS " or " APP_GROUP_ADMINISTRATORS;
	if (who == FOR_AUDITORS)
		return "the group " APP_GROUP_AUDITORS " or " APP_GROUP_ADMINISTRATORS;
	return who == FOR_OPERATORS ? "an account that is not in " APP_GROUP_AUDITORS
				    : "the group " APP_GROUP_ADMINISTRATORS;
}

int
app_permit_command(const struct app_account *account, const char *words, struct err *e)
{
	unsigned who = FOR_ADMINISTRATORS;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].words, words) == 0)
			who = commands[i].who;
	if ((groups_of(account) & who) != 0)
		return 0;
	return err_set(e, ERR_DENIED, 0, "\"%s\" needs %s", words, name_of(who));
}

bool
app_permit_challenge(const struct app_account *account)
{
	return (groups_of(account) & (ADMINISTRATORS | RA)) != 0;
}
