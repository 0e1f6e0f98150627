/*
 * chancery-front - the role that speaks with devices
 *
 * The main thread takes what the parent sends and hands it to the loops; each loop is a thread of its own with its own
 * listeners and channels (net/serve.h).
 */
#include <openssl/ssl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "board/base/log.h"
#include "board/base/thread.h"
#include "board/role.h"
#include "net/limit.h"
#include "net/serve.h"
#include "net/tls.h"

enum { LOOPS_MAX = 16, SPARE_FILES = 64 };

struct front;

/* Everything but thread belongs to the loop's own thread once it runs; loop itself takes posts from any. */
struct front_loop {
	struct front *front;
	unsigned index;
	bool has_thread;
	pthread_t thread;
	sem_t made;
	int rc; /* of making it */
	struct loop *loop;
	struct net_serve *serve;
};

struct front {
	struct config conf;
	struct net_limit *limit;
	struct err warm_up; /* code 0: it went well */
	rlim_t files;       /* descriptors that this process may have; asked once, before it is confined */
	unsigned loop_count;
	unsigned with_identity; /* these three belong to the main thread */
	unsigned stopped;
	unsigned alive; /* loops that gave a sign of life since the parent asked */
	struct front_loop loops[LOOPS_MAX];
};

/* Something for a loop to do, handed over with loop_post(); freed by the loop. */
struct order {
	struct front_loop *to;
	void (*fn)(struct front_loop *to, struct order *order);
	struct config conf;
	enum role peer;
	int kind;
	int fd;
	SSL_CTX *context;
};

/* ---- orders to loops -------------------------------------------------------------------------------------------- */

static void
order_run(void *arg)
{
	struct order *order = arg;

	order->fn(order->to, order);
	free(order);
}

/* A loop that does not even take orders is beyond help; the parent starts the role again. */
static void
order_send(struct front_loop *to, const struct order *what)
{
	struct order *order = malloc(sizeof(*order));
	int rc = ERR_NOMEM;

	if (order != NULL) {
		*order = *what;
		order->to = to;
		rc = loop_post(to->loop, order_run, order);
	}
	BUG_ON(rc != 0);
}

static void
do_configure(struct front_loop *to, struct order *order)
{
	net_serve_configure(to->serve, &order->conf);
}

static void
do_peer(struct front_loop *to, struct order *order)
{
	net_serve_peer(to->serve, order->peer, order->fd);
}

static void
do_listen(struct front_loop *to, struct order *order)
{
	net_serve_listen(to->serve, order->kind, order->fd);
}

static void
do_start(struct front_loop *to, struct order *order)
{
	net_serve_start(to->serve);
}

static void
do_stop(struct front_loop *to, struct order *order)
{
	net_serve_stop(to->serve);
}

static void count_alive(void *arg);
static void tell(struct front_loop *from, loop_fn fn);

static void
do_ping(struct front_loop *to, struct order *order)
{
	tell(to, count_alive);
}

static void
do_tls(struct front_loop *to, struct order *order)
{
	net_serve_set_tls(to->serve, order->kind, order->context);
	SSL_CTX_free(order->context);
}

/* ---- news from loops -------------------------------------------------------------------------------------------- */

static void
count_identity(void *arg)
{
	struct front *front = arg;

	if (++front->with_identity == front->loop_count)
		role_ready();
}

/* The role lives when all its loops do. */
static void
count_alive(void *arg)
{
	struct front *front = arg;

	if (++front->alive == front->loop_count)
		role_pong();
}

static void
count_stopped(void *arg)
{
	struct front *front = arg;

	if (++front->stopped == front->loop_count)
		role_exit(0);
}

static void
tell(struct front_loop *from, loop_fn fn)
{
	int rc = loop_post(role_loop(), fn, from->front);

	BUG_ON(rc != 0);
}

static void
on_identity(void *arg)
{
	tell(arg, count_identity);
}

static void
on_stopped(void *arg)
{
	tell(arg, count_stopped);
}

/* Loop 0 keeps the certificates current for all. */
static void
on_tls(int use, SSL_CTX *context, void *arg)
{
	struct front_loop *from = arg;
	struct order order = {.fn = do_tls, .kind = use, .context = context};

	for (unsigned i = 0; i < from->front->loop_count; i++) {
		SSL_CTX_up_ref(context);
		order_send(&from->front->loops[i], &order);
	}
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

static void *
loop_main(void *arg)
{
	struct front_loop *self = arg;
	struct net_serve_events events = {
		.on_identity = on_identity, .on_tls = on_tls, .on_stopped = on_stopped, .arg = self};

	self->rc = loop_new(&self->loop);
	if (self->rc == 0)
		self->rc = net_serve_new(self->loop, self->index, &self->front->conf, self->front->limit, &events,
					 &self->serve);
	/* The configuration is copied by now; the main thread may change it. */
	sem_post(&self->made);
	if (self->rc == 0)
		loop_run(self->loop);
	net_serve_free(self->serve);
	loop_free(self->loop);
	return NULL;
}

static int
start_loops(struct front *front, struct err *e)
{
	char name[24];

	for (unsigned i = 0; i < front->loop_count; i++) {
		struct front_loop *to = &front->loops[i];

		to->front = front;
		to->index = i;
		snprintf(name, sizeof(name), "front-%u", i);
		if (sem_init(&to->made, 0, 0) != 0 || thread_start(name, loop_main, to, &to->thread) != 0)
			return err_set(e, ERR_NOMEM, 0, "start a loop");
		to->has_thread = true;
		while (sem_wait(&to->made) != 0)
			;
		if (to->rc != 0)
			return err_set(e, to->rc, 0, "make a loop");
	}
	return 0;
}

static void
end_loops(struct front *front)
{
	for (unsigned i = 0; i < front->loop_count; i++) {
		if (front->loops[i].has_thread && front->loops[i].rc == 0)
			loop_stop(front->loops[i].loop);
	}
	for (unsigned i = 0; i < front->loop_count; i++) {
		if (front->loops[i].has_thread)
			pthread_join(front->loops[i].thread, NULL);
	}
	net_limit_free(front->limit);
}

/* ---- what the parent sends -------------------------------------------------------------------------------------- */

/* Never so many that descriptors for channels and the accepting itself run out. */
static unsigned
connections(const struct front *front)
{
	rlim_t spare = SPARE_FILES + 8 * (rlim_t)front->loop_count;
	rlim_t wanted = (rlim_t)front->conf.front_connections;

	if (front->files >= spare + wanted)
		return (unsigned)wanted;
	return front->files > spare ? (unsigned)(front->files - spare) : 1;
}

static int
first_config(struct front *front, struct err *e)
{
	struct rlimit files = {0};
	int rc;

	if (front->warm_up.code != 0) {
		*e = front->warm_up;
		return e->code;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return err_set(e, ERR_IO, 0, "ask how many files may be open");
	front->files = files.rlim_cur;
	front->loop_count = (unsigned)front->conf.front_loops;
	rc = net_limit_new(connections(front), (unsigned)front->conf.front_connections_per_address, &front->limit);
	if (rc != 0)
		return err_set(e, rc, 0, "count connections");
	net_limit_set_octets(front->limit, (size_t)front->conf.front_body_bytes_total);
	return start_loops(front, e);
}

static void
on_config(const struct config *conf, void *arg)
{
	struct front *front = arg;
	struct order order = {.fn = do_configure, .conf = *conf};
	struct err e = {0};

	front->conf = *conf;
	if (front->loop_count == 0) {
		if (first_config(front, &e) != 0)
			role_trouble(&e);
		return;
	}
	net_limit_set(front->limit, connections(front), (unsigned)conf->front_connections_per_address);
	net_limit_set_octets(front->limit, (size_t)conf->front_body_bytes_total);
	for (unsigned i = 0; i < front->loop_count; i++)
		order_send(&front->loops[i], &order);
}

/* For which loop something is; NULL, and fd closed, when there is none. */
static struct front_loop *
loop_of(struct front *front, unsigned index, int fd)
{
	if (index < front->loop_count)
		return &front->loops[index];
	log_event(FAILURE, log_text("hand a descriptor to a loop"), log_text(err_name(ERR_UNKNOWN)), index, "");
	close(fd);
	return NULL;
}

static void
on_peer(enum role peer, unsigned index, int fd, void *arg)
{
	struct front_loop *to = loop_of(arg, index, fd);
	struct order order = {.fn = do_peer, .peer = peer, .fd = fd};

	if (to != NULL)
		order_send(to, &order);
}

static void
on_listener(int kind, unsigned index, int fd, void *arg)
{
	struct front_loop *to = loop_of(arg, index, fd);
	struct order order = {.fn = do_listen, .kind = kind, .fd = fd};

	if (to != NULL)
		order_send(to, &order);
}

static void
send_all(struct front *front, void (*fn)(struct front_loop *to, struct order *order))
{
	struct order order = {.fn = fn};

	for (unsigned i = 0; i < front->loop_count; i++)
		order_send(&front->loops[i], &order);
}

static void
on_start(void *arg)
{
	role_confine();
	send_all(arg, do_start);
}

static void
on_ping(void *arg)
{
	struct front *front = arg;

	front->alive = 0;
	send_all(front, do_ping);
}

static void
on_stop(void *arg)
{
	send_all(arg, do_stop);
}

int
main(void)
{
	static struct front front;
	struct role_functions functions = {
		.on_config = on_config,
		.on_peer = on_peer,
		.on_listener = on_listener,
		.on_start = on_start,
		.on_stop = on_stop,
		.on_ping = on_ping,
		.arg = &front,
	};
	int status;

	/* What libraries read from files at their first use, while files are within reach. */
	tzset();
	if (net_tls_warm_up(&front.warm_up) != 0 && front.warm_up.code == 0)
		front.warm_up.code = ERR_CRYPTO;
	status = role_run(ROLE_FRONT, &functions);

	end_loops(&front);
	return status;
}
