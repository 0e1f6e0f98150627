/*
 * appliance/store_point - registration points in the store, and whom each trusts
 *
 * Threads:  app_store_points() the one that opens the store; the rest the writer's.
 */
#ifndef APPLIANCE_STORE_POINT_H
#define APPLIANCE_STORE_POINT_H

#include "appliance/store_writer.h"

/* What to do with what is there; each fails with ERR_*, which ends the reading and is passed on. */
struct app_store_point_fns {
	int (*point)(const char *name, const char *application, void *arg, struct err *e);
	/* thumbprint: empty, or a SHA-256 */
	int (*trust)(const char *point, const char *url, struct bytes root, struct bytes thumbprint, void *arg,
		     struct err *e);
	int (*root)(struct bytes der, void *arg, struct err *e); /* the last that was made; not called without one */
	void *arg;
};

/*
 * Tells fns the registration points, then whom they trust, then their root, of the store at path, which is open, over
 * a connection of its own.  Blocks.  Fails with ERR_STORE, and as fns do.
 */
MUST_CHECK int app_store_points(const char *path, const struct app_store_point_fns *fns, struct err *e);

/* APP_STORE_POINT_ADD, _REMOVE, APP_STORE_TRUST_PUT, _REMOVE, as r->op says. */
MUST_CHECK int app_store_change_point(struct app_store_writer *w, struct app_store_request *r, struct err *e);

#endif
