/*
 * appliance/account - who an operator is: a name and the groups it is in
 *
 * Root on the control socket, who gave no name, is the account "root" in the group "administrators"; so is the holder of
 * a certificate in admin.certificates ("certificate " and the first 16 digits of its fingerprint).  All others are rows
 * of the store's table account.
 *
 * Threads:  any; plain values.
 */
#ifndef APPLIANCE_ACCOUNT_H
#define APPLIANCE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>

enum { APP_ACCOUNT_SIZE = 64, APP_GROUP_SIZE = 32, APP_GROUPS_MAX = 8 }; /* sizes with the NUL */

/* The group that may do everything unless a template says otherwise. */
#define APP_GROUP_ADMINISTRATORS "administrators"

struct app_account {
	char name[APP_ACCOUNT_SIZE]; /* "" for nobody */
	char groups[APP_GROUPS_MAX][APP_GROUP_SIZE];
	size_t group_count;
};

/* The account "root". */
void app_account_root(struct app_account *ret_account);

/* Is it in this group? */
bool app_account_in(const struct app_account *account, const char *group);

#endif
