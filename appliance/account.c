#include "appliance/account.h"

#include <stdio.h>
#include <string.h>

#include "board/config_check.h"

void
app_account_root(struct app_account *ret_account)
{
	memset(ret_account, 0, sizeof(*ret_account));
	snprintf(ret_account->name, sizeof(ret_account->name), "root");
	snprintf(ret_account->groups[0], sizeof(ret_account->groups[0]), "%s", APP_GROUP_ADMINISTRATORS);
	ret_account->group_count = 1;
}

bool
app_account_in(const struct app_account *account, const char *group)
{
	for (size_t i = 0; i < account->group_count; i++)
		if (strcmp(account->groups[i], group) == 0)
			return true;
	return false;
}

bool
app_account_good_name(const char *name, size_t size)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");

	return len < size && name[len] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

bool
app_account_known_group(const char *group, size_t len)
{
	static const char *const known[] = {APP_GROUP_ADMINISTRATORS, APP_GROUP_OFFICERS, APP_GROUP_RA,
					    APP_GROUP_AUDITORS};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == len && memcmp(known[i], group, len) == 0)
			return true;
	return false;
}

static int
add_group(struct app_account *account, const char *word, size_t len, struct err *e)
{
	char *group;

	if (account->group_count == APP_GROUPS_MAX)
		return err_set(e, ERR_FORMAT, 0, "an account is in at most %d groups", (int)APP_GROUPS_MAX);
	group = account->groups[account->group_count];
	if (len < APP_GROUP_SIZE)
		memcpy(group, word, len);
	if (len >= APP_GROUP_SIZE || !app_account_good_name(group, APP_GROUP_SIZE))
		return err_set(
			e, ERR_FORMAT, 0,
			"a group is a lower-case letter, then letters, digits, \".\", \"_\" or \"-\", at most %d "
			"in all; groups are separated by blanks",
			APP_GROUP_SIZE - 1);
	if (app_account_in(account, group))
		return err_set(e, ERR_FORMAT, 0, "the group %s is named twice", group);
	account->group_count++;
	return 0;
}

int
app_account_set(const char *name, const char *groups, struct app_account *ret_account, struct err *e)
{
	struct app_account account = {.group_count = 0};
	const char *word;
	size_t len;
	int code;

	if (!app_account_good_name(name, APP_ACCOUNT_NAME_MAX + 1))
		return err_set(e, ERR_FORMAT, 0,
			       "a name is a lower-case letter, then letters, digits, \".\", \"_\" or \"-\", at most %d "
			       "in all",
			       APP_ACCOUNT_NAME_MAX);
	if (strcmp(name, "root") == 0)
		return err_set(e, ERR_FORMAT, 0, "root is who gives no name, and needs no account");
	snprintf(account.name, sizeof(account.name), "%s", name);
	while ((word = config_check_word(&groups, &len)) != NULL) {
		code = add_group(&account, word, len, e);
		if (code < 0)
			return code;
	}
	if (account.group_count > 1 && app_account_in(&account, APP_GROUP_AUDITORS))
		return err_set(e, ERR_FORMAT, 0, "who is in %s is in no other group: auditors look and change nothing",
			       APP_GROUP_AUDITORS);
	*ret_account = account;
	return 0;
}
