/*
 * appliance/parent - the roles that the parent keeps running, what they are given, and who may talk to whom
 *
 * Links between front and authority are made when both run, links to the signer when it reports that it works; so
 * whoever needs the signer while it is away finds no channel and fails at once instead of waiting.  A role that is
 * started again gets new links, and the other roles keep theirs among each other.
 *
 * Threads:  the main thread.
 */
#ifndef APPLIANCE_PARENT_H
#define APPLIANCE_PARENT_H

#include "appliance/chain.h"
#include "appliance/listen.h"
#include "board/base/loop.h"
#include "board/base/secret.h"
#include "board/config.h"

/*
 * What is ready before the first role starts.  Borrowed by app_parent_run(), which changes config and pin at a
 * reload.
 */
struct app_parent_setup {
	const char *config_path;
	struct config config;
	struct app_chains chains;
	struct app_listeners listeners;
	struct secret *pin;
	struct secret *challenge; /* NULL: none for all devices */
};

enum { APP_PIN_MAX = 255, APP_CHALLENGE_MAX = 49152 };

/*
 * Starts the roles and keeps them running until SIGTERM or SIGINT.  Returns the exit status; e says why the start
 * failed.
 */
int app_parent_run(struct app_parent_setup *setup, struct err *e);

#endif
