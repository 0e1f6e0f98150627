#include "hsm/serve.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/list.h"
#include "board/base/log.h"
#include "hsm/request.h"

/* Front's loops, the authority, the courier, the ceremony. */
enum { PEERS_MAX = 20 };

/* Each may hold a CRL of 64 MiB; there is no use for more than one or two. */
enum { BULK_MAX = 8 };

/* Making a token or an RSA-4096 key takes minutes in some. */
enum { CEREMONY_DEADLINE_MS = 300 * 1000 };

struct peer {
	struct hsm_service *service;
	enum role role;
	unsigned index;
	int fd;          /* before the start; then -1 */
	struct ipc *ipc; /* NULL: not started, or closed */
	bool used;
	uint64_t generation; /* whose requests are still this channel's */
};

struct hsm_service {
	struct hsm_service_setup setup;
	bool started;
	int refuse; /* 0, or the code for every request */
	struct peer peers[PEERS_MAX];
	uint64_t generations;
	struct list open; /* requests that wait for their answer */
	unsigned bulk;    /* bulk jobs that the workers have */
	struct hsm_service_state state;
};

/* One request on its way through the workers. */
struct errand {
	struct hsm_request request; /* first: hsm/request.c knows no more */
	struct list link;
	struct hsm_service *service;
	struct peer *peer;
	uint64_t generation;
	bool answered;
};

/* ---- answers ----------------------------------------------------------------------------------------------------- */

/*
 * A channel that does not take its answers is closed: its peer gets ERR_CLOSED for all that is open, and comes again.
 */
static void
drop_peer(struct peer *peer)
{
	struct ipc *ipc = TAKE(peer->ipc);

	peer->generation = 0;
	ipc_free(ipc);
}

static void
answer(struct errand *errand)
{
	struct hsm_service *service = errand->service;
	struct peer *peer = errand->peer;

	errand->answered = true;
	list_remove(&errand->link);
	service->state.open--;
	if (errand->request.job.err.code == 0)
		service->state.done++;
	else
		service->state.failed++;
	if (peer->ipc == NULL || peer->generation != errand->generation)
		return;
	if (hsm_request_answer(&errand->request, peer->ipc) != 0)
		drop_peer(peer);
}

/* The job came back, or never went. */
static void
finish(struct errand *errand)
{
	if (!errand->answered) {
		hsm_request_log(&errand->request);
		answer(errand);
	}
	hsm_request_fini(&errand->request);
	free(errand);
}

static void
errand_done(struct hsm_job *job)
{
	struct errand *errand = (struct errand *)(void *)job;
	struct hsm_service *service = errand->service;
	struct err err = job->err;
	bool suspect = errand->request.suspect;

	service->state.last_ms = clock_mono_ms();
	service->bulk -= job->bulk;
	finish(errand);
	if (service->refuse != 0)
		return;
	if (err.code == ERR_TOKEN)
		service->setup.on_trouble(&err, service->setup.arg);
	else if (suspect)
		service->setup.on_trouble(NULL, service->setup.arg);
}

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* Hands the request to the workers, or does or refuses it here.  True when a worker has it. */
static bool
admit(struct errand *errand)
{
	struct hsm_service *service = errand->service;
	struct hsm_request *request = &errand->request;
	int code;

	if (service->refuse != 0) {
		err_set(&request->job.err, service->refuse, 0, "the signer is about to end");
		return false;
	}
	if (hsm_request_allowed(request) != 0)
		return false;
	if (hsm_request_is_local(request)) {
		request->job.run(&request->job);
		return false;
	}
	code = request->job.bulk && service->bulk >= BULK_MAX ? ERR_BUSY : 0;
	if (code == 0)
		code = hsm_workers_put(service->setup.workers, &request->job);
	if (code != 0)
		err_set(&request->job.err, code, 0, "%s", err_name(code));
	else
		service->bulk += request->job.bulk;
	return code == 0;
}

static void
prepare(struct errand *errand, struct peer *peer)
{
	struct hsm_service *service = peer->service;
	struct hsm_request *request = &errand->request;
	bool ceremony = service->setup.domain->ceremony;

	errand->service = service;
	errand->peer = peer;
	errand->generation = peer->generation;
	request->job.done = errand_done;
	request->job.deadline_ms = clock_mono_ms() + (ceremony ? CEREMONY_DEADLINE_MS : service->setup.deadline_ms);
	request->queued = (uint32_t)hsm_workers_queued(service->setup.workers);
	request->jobs_done = service->state.done;
	request->jobs_failed = service->state.failed;
	list_append(&service->open, &errand->link);
	service->state.open++;
}

/* Not even an answer can be made to this: a defect of the peer, or no memory. */
static void
reject(struct peer *peer, unsigned type, int code)
{
	log_event(FAILURE, "request", err_name(code), type, log_text(ipc_role_name(peer->role)));
	drop_peer(peer);
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct peer *peer = arg;
	struct errand *errand = calloc(1, sizeof(*errand));
	int code;

	if (errand == NULL) {
		reject(peer, message->type, ERR_NOMEM);
		return;
	}
	code = hsm_request_init(&errand->request, message, peer->role, peer->service->setup.domain);
	if (code != 0) {
		hsm_request_fini(&errand->request);
		free(errand);
		reject(peer, message->type, code);
		return;
	}
	prepare(errand, peer);
	if (!admit(errand))
		finish(errand);
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	drop_peer(arg);
}

/* ---- peers ------------------------------------------------------------------------------------------------------- */

static int
open_peer(struct peer *peer)
{
	struct ipc_handlers handlers = {.on_message = on_message, .on_closed = on_closed, .arg = peer};
	int code = ipc_new(peer->service->setup.loop, peer->fd, ROLE_SIGNER, peer->role, &handlers, &peer->ipc);

	if (code != 0)
		(void)close(peer->fd);
	else
		ipc_set_index(peer->ipc, peer->index);
	peer->fd = -1;
	peer->generation = ++peer->service->generations;
	return code;
}

static struct peer *
find_peer(struct hsm_service *service, enum role role, unsigned index)
{
	struct peer *unused = NULL;
	size_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &service->peers[i];

		if (peer->used && peer->role == role && peer->index == index)
			return peer;
		if (!peer->used && unused == NULL)
			unused = peer;
	}
	return unused;
}

int
hsm_service_peer(struct hsm_service *service, enum role role, unsigned index, int fd)
{
	struct peer *peer = find_peer(service, role, index);

	if (peer == NULL) {
		(void)close(fd);
		return ERR_LIMIT;
	}
	if (peer->used && peer->fd >= 0)
		(void)close(peer->fd);
	drop_peer(peer);
	peer->service = service;
	peer->used = true;
	peer->role = role;
	peer->index = index;
	peer->fd = fd;
	return service->started ? open_peer(peer) : 0;
}

bool
hsm_service_has(const struct hsm_service *service, enum role role)
{
	size_t i;

	for (i = 0; i < PEERS_MAX; i++) {
		if (service->peers[i].used && service->peers[i].role == role)
			return true;
	}
	return false;
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int
hsm_service_new(struct hsm_service **ret_service)
{
	struct hsm_service *service = calloc(1, sizeof(*service));
	size_t i;

	if (service == NULL)
		return ERR_NOMEM;
	for (i = 0; i < PEERS_MAX; i++)
		service->peers[i].fd = -1;
	list_init(&service->open);
	*ret_service = service;
	return 0;
}

int
hsm_service_start(struct hsm_service *service, const struct hsm_service_setup *setup)
{
	size_t i;

	service->setup = *setup;
	service->started = true;
	service->state.last_ms = clock_mono_ms();
	for (i = 0; i < PEERS_MAX; i++) {
		int code = service->peers[i].fd >= 0 ? open_peer(&service->peers[i]) : 0;

		if (code != 0)
			return code;
	}
	return 0;
}

void
hsm_service_deadline(struct hsm_service *service, int deadline_ms)
{
	service->setup.deadline_ms = deadline_ms;
}

void
hsm_service_refuse(struct hsm_service *service, int code)
{
	service->refuse = code;
}

void
hsm_service_fail(struct hsm_service *service, const struct err *e)
{
	struct list *link;
	struct list *next;

	list_each (link, next, &service->open) {
		struct errand *errand = list_entry(link, struct errand, link);
		struct peer *peer = errand->peer;

		if (peer->ipc != NULL && peer->generation == errand->generation &&
		    hsm_request_fail(&errand->request, e, peer->ipc) != 0)
			drop_peer(peer);
		errand->answered = true;
		list_remove(&errand->link);
		service->state.open--;
		service->state.failed++;
	}
}

void
hsm_service_get(const struct hsm_service *service, struct hsm_service_state *ret_state)
{
	size_t i;

	*ret_state = service->state;
	ret_state->backlog = 0;
	for (i = 0; i < PEERS_MAX; i++) {
		if (service->peers[i].ipc != NULL)
			ret_state->backlog += ipc_backlog(service->peers[i].ipc);
	}
}
