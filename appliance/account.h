/*
 * appliance/account - who an operator is: a name and the groups it is in
 *
 * Root on the control socket, who gave no name, is the account "root" in the group "administrators"; so is the holder
 * of a certificate in admin.certificates ("certificate " and the first 16 digits of its fingerprint).  All others are
 * rows of the store's table account.
 *
 * Threads:  any; plain values.
 */
#ifndef APPLIANCE_ACCOUNT_H
#define APPLIANCE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "board/base/err.h"

/*
 * Sizes with the NUL; TEXT is for all groups with a blank between them.  NAME_MAX: of a name without the NUL, so that
 * "operator NAME" is whole in the audit trail.
 */
enum {
	APP_ACCOUNT_SIZE = 64,
	APP_ACCOUNT_NAME_MAX = 54,
	APP_GROUP_SIZE = 32,
	APP_GROUPS_MAX = 8,
	APP_GROUPS_TEXT = 256,
};

/* The group that may do everything unless a template says otherwise. */
#define APP_GROUP_ADMINISTRATORS "administrators"

/* May revoke, hold and release certificates and make CRLs. */
#define APP_GROUP_OFFICERS "ca-officers"

/* May get challenges from the administrator's page; and what all accounts may. */
#define APP_GROUP_RA "ra-operators"

/* May look at everything, the audit trail too, and change nothing; in no other group. */
#define APP_GROUP_AUDITORS "auditors"

struct app_account {
	char name[APP_ACCOUNT_SIZE]; /* "" for nobody */
	char groups[APP_GROUPS_MAX][APP_GROUP_SIZE];
	size_t group_count;
};

/* The account "root". */
void app_account_root(struct app_account *ret_account);

/* Is it in this group? */
bool app_account_in(const struct app_account *account, const char *group);

/*
 * May an account or a group be called so?  It begins with a letter and goes on with letters, digits, ".", "_", "-", all
 * in lower case; at most size - 1 octets.
 */
bool app_account_good_name(const char *name, size_t size);

/* Is it one of the groups above, which give rights of their own?  Others are for templates to name. */
bool app_account_known_group(const char *group, size_t len);

/*
 * An account with this name and these groups, separated by blanks.  Fails with ERR_FORMAT: a bad name, the name "root",
 * a bad or repeated group, too many, or another group beside auditors; e says which.
 */
MUST_CHECK int app_account_set(const char *name, const char *groups, struct app_account *ret_account, struct err *e);

#endif
