/*
 * appliance/permit - which commands an operator's account may give, as one table
 *
 * What is not in the table is for the group administrators alone.  What a template allows to whom is asked besides, by
 * the commands that are about templates.
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_PERMIT_H
#define APPLIANCE_PERMIT_H

#include "appliance/account.h"

/* May the account give the command with these words?  ERR_DENIED, and e says whose right it is. */
MUST_CHECK int app_permit_command(const struct app_account *account, const char *words, struct err *e);

/* May it have a challenge from the administrator's page? */
bool app_permit_challenge(const struct app_account *account);

#endif
