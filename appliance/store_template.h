/*
 * appliance/store_template - certificate templates and permissions in the store
 *
 * Threads:  app_store_templates() the one that opens the store; the rest the writer's.
 */
#ifndef APPLIANCE_STORE_TEMPLATE_H
#define APPLIANCE_STORE_TEMPLATE_H

#include "appliance/store_writer.h"

/* text and permissions are NULL where the row has none; a failure ends the reading and is passed on. */
typedef int (*app_store_template_fn)(const char *name, const char *text, const char *permissions, void *arg,
				     struct err *e);

/*
 * Tells fn every row of the store at path, which is open, over a connection of its own.  Blocks.  Fails with
 * ERR_STORE, and as fn does.
 */
MUST_CHECK int app_store_templates(const char *path, app_store_template_fn fn, void *arg, struct err *e);

/* APP_STORE_TEMPLATE_PUT, _REMOVE and _PERMIT, as r->op says. */
MUST_CHECK int app_store_change_template(struct app_store_writer *w, struct app_store_request *r, struct err *e);

#endif
