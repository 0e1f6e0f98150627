/*
 * appliance/store_policy - policy modules in the store
 *
 * Threads:  app_store_policies() the one that opens the store; the rest the writer's.
 */
#ifndef APPLIANCE_STORE_POLICY_H
#define APPLIANCE_STORE_POLICY_H

#include "appliance/store_writer.h"

/* A module as it was installed. */
struct app_policy_row {
	struct msg_policy_module is; /* without index and chain; what it points to is borrowed */
	bool refuse;                 /* requests while it cannot be asked; else they are to be repeated */
};

/* A failure ends the reading and is passed on. */
typedef int (*app_store_policy_fn)(const struct app_policy_row *row, void *arg, struct err *e);
/* The policy key's certificate that another CA made, and those above it. */
typedef int (*app_store_chain_fn)(const struct msg_list *chain, void *arg, struct err *e);

/*
 * Tells each chain, if there is one, then row every module of the store at path, which is open, over a connection of
 * its own.  Blocks.  Fails with ERR_STORE, and as the functions do.
 */
MUST_CHECK int
app_store_policies(const char *path, app_store_chain_fn chain, app_store_policy_fn row, void *arg, struct err *e);

/* APP_STORE_POLICY_PUT, _REMOVE and _CHAIN, as r->op says. */
MUST_CHECK int app_store_change_policy(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* "registration-point", …; "" for others.  And back; POLICY_NONE for other words. */
const char *app_policy_kind_name(int kind);
int app_policy_kind_parse(const char *name); /* see app_policy_kind_name() */

/* Takes certificates apart that stand one behind the other, up to 8.  Fails with ERR_FORMAT. */
MUST_CHECK int app_store_policy_split(struct bytes certificates, struct msg_list *ret_list);

#endif
