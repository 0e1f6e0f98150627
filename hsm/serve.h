/*
 * hsm/serve - requests of the other roles: decoded, allowed or refused, made into jobs, answered
 *
 * Each request is answered exactly once, unless its channel closes first: at once when it is refused or needs no token,
 * after its job otherwise.  A job that fails because of the token is answered and then reported to on_trouble.
 *
 * Threads:  the loop's; jobs run in the workers.
 * Owner:    the service owns the channels to its peers, and every request until it is answered and its job came back.
 */
#ifndef HSM_SERVE_H
#define HSM_SERVE_H

#include "board/base/loop.h"
#include "hsm/request.h"
#include "hsm/worker.h"

struct hsm_service;

struct hsm_service_setup {
	struct loop *loop;
	struct hsm_workers *workers;
	const struct hsm_domain *domain; /* outlives the service */
	int deadline_ms;
	/* A job found the token unusable (e), or it is in doubt and should be probed (e is NULL). */
	void (*on_trouble)(const struct err *e, void *arg);
	void *arg;
};

struct hsm_service_state {
	size_t open;    /* requests not yet answered */
	size_t backlog; /* octets of answers not yet written */
	uint64_t done;
	uint64_t failed;
	int64_t last_ms; /* clock_mono_ms() of the last job that came back */
};

/* A service without peers; it lives as long as the process.  Fails with ERR_NOMEM. */
MUST_CHECK int hsm_service_new(struct hsm_service **ret_service);

/*
 * Serves a role on fd, which it takes over, once hsm_service_start() was called; replaces an older channel of the same
 * role and index.  Fails with ERR_LIMIT, ERR_NOMEM; fd is then closed.
 */
MUST_CHECK int hsm_service_peer(struct hsm_service *service, enum role peer, unsigned index, int fd);

/* Has any peer this role? */
bool hsm_service_has(const struct hsm_service *service, enum role peer);

/* Begins to answer.  setup is copied.  Fails with ERR_NOMEM. */
MUST_CHECK int hsm_service_start(struct hsm_service *service, const struct hsm_service_setup *setup);

/* Jobs taken from now on have this long. */
void hsm_service_deadline(struct hsm_service *service, int deadline_ms);

/* From now on every request is refused with code (ERR_CLOSED, ERR_TOKEN). */
void hsm_service_refuse(struct hsm_service *service, int code);

/* Answers all open requests with e.  Their jobs may still run and are then dropped. */
void hsm_service_fail(struct hsm_service *service, const struct err *e);

/* How things stand. */
void hsm_service_get(const struct hsm_service *service, struct hsm_service_state *ret_state);

#endif
