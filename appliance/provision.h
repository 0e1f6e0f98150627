/*
 * appliance/provision - what the parts of chancery-provision share: the first ceremony, and the one for a next CA
 *
 * Threads:  the main thread.
 */
#ifndef APPLIANCE_PROVISION_H
#define APPLIANCE_PROVISION_H

#include "appliance/ceremony.h"
#include "appliance/chain.h"
#include "appliance/tokensession.h"
#include "board/config.h"

struct app_provision {
	struct config conf;
	struct app_ceremony ceremony;
	struct app_token *token;
	struct buf spki[KEY_CLASS_COUNT];
	unsigned generation; /* of the CA that is made */
	unsigned current;    /* the one that announces it; with generation above 0 */
	char ca_dir[256];
	char ca_file[300];
	char request_file[300];
};

/* One line of progress. */
void app_provision_say(const char *step, const char *what);

/*
 * Asks the running appliance which generation is the current and which number the next has: p->current and
 * p->generation.  Fails with ERR_STAGE when it does not run, or one is prepared already; e says so.
 */
MUST_CHECK int app_provision_ask(struct app_provision *p, struct err *e);

/*
 * Has the current CA sign the announcement of chain, which is the next one's, and writes it.  Fails as the token and
 * files do.
 */
MUST_CHECK int app_provision_announce(struct app_provision *p, const struct app_chain *chain, struct err *e);

#endif
