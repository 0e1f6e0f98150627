#include "appliance/account.h"

#include <stdio.h>
#include <string.h>

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
