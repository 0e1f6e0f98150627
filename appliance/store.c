#include "appliance/store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "appliance/store_read.h"
#include "appliance/store_schema.h"
#include "appliance/store_writer.h"
#include "board/base/log.h"
#include "board/base/thread.h"

/* BATCH: changes per commit.  ANSWERS: done functions per loop callback, so that other work gets its turn. */
enum { BATCH_MAX = 256, ANSWERS_MAX = 32, SCANNER_CACHE_KIB = 4096, LOGIN_CACHE_KIB = 256 };

/*
 * When changes come in company, the next ones are on their way: after a commit of GATHER_FROM or more the writer waits
 * a moment for them, which costs nobody anything at that load and saves commits.  A lone change never waits.
 */
enum { GATHER_FROM = 3, GATHER_NS = 2 * 1000 * 1000 };

/*
 * WRITER: all changes.  READER: look-ups by an index.  SCANNER: those that may read the whole store.  LOGIN: hashing of
 * passwords, for which neither devices nor commits shall wait, and which shall not wait for a search.
 */
enum { WRITER, READER, SCANNER, LOGIN, WORKERS };

/* A thread, its connection, and the requests that wait for it. */
struct worker {
	struct app_store *store;
	struct app_store_writer *writer; /* the WRITER's */
	struct app_store_db *db;         /* the others' */
	pthread_t thread;
	bool started;
	int pending; /* submitted and not answered; the loop's alone */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct app_store_request *first; /* under lock, as all below */
	struct app_store_request **last;
	bool stop;
};

struct app_store {
	int queue;
	struct app_issuers issuers; /* at the open */
	bool closing;               /* the loop's alone */
	int lock_fd;
	int event_fd; /* wakes the loop when done is not empty; a loop_post() could be refused */
	struct loop_fd *watch;
	struct worker workers[WORKERS];
	pthread_mutex_t lock;
	struct app_store_request *done; /* under lock, as all below */
	struct app_store_request **done_last;
	struct app_store_tail tail; /* committed */
};

static void
wake_loop(struct app_store *store)
{
	uint64_t one = 1;
	/* Fails only when the counter is full, and then the loop is awake. */
	ssize_t written = write(store->event_fd, &one, sizeof(one));

	(void)written;
}

/* Hands a list of answered requests to the loop. */
static void
finish(struct app_store *store, struct app_store_request *first)
{
	bool idle;

	pthread_mutex_lock(&store->lock);
	idle = store->done == NULL;
	*store->done_last = first;
	while (*store->done_last != NULL)
		store->done_last = &(*store->done_last)->next;
	pthread_mutex_unlock(&store->lock);
	if (idle)
		wake_loop(store);
}

/* Waits for requests and takes up to max of them; NULL when the worker has to stop. */
static struct app_store_request *
take(struct worker *worker, int max)
{
	struct app_store_request *first;
	struct app_store_request **end = &first;

	pthread_mutex_lock(&worker->lock);
	while (worker->first == NULL && !worker->stop)
		pthread_cond_wait(&worker->wake, &worker->lock);
	first = worker->stop ? NULL : worker->first;
	for (int i = 0; i < max && *end != NULL; i++)
		end = &(*end)->next;
	if (first != NULL) {
		worker->first = *end;
		if (worker->first == NULL)
			worker->last = &worker->first;
		*end = NULL;
	}
	pthread_mutex_unlock(&worker->lock);
	return first;
}

static bool
is_company(const struct app_store_request *batch)
{
	int count = 0;

	for (; batch != NULL && count < GATHER_FROM; batch = batch->next)
		count++;
	return count == GATHER_FROM;
}

static void *
writer_main(void *arg)
{
	struct worker *worker = arg;
	struct app_store *store = worker->store;
	static const struct timespec moment = {.tv_nsec = GATHER_NS};
	struct app_store_request *first;
	bool company;

	for (first = take(worker, BATCH_MAX); first != NULL; first = take(worker, BATCH_MAX)) {
		company = is_company(first);
		app_store_writer_run(worker->writer, first);
		pthread_mutex_lock(&store->lock);
		store->tail = worker->writer->state.tail;
		pthread_mutex_unlock(&store->lock);
		finish(store, first);
		if (company)
			(void)nanosleep(&moment, NULL);
	}
	return NULL;
}

static void *
reader_main(void *arg)
{
	struct worker *worker = arg;
	struct app_store *store = worker->store;
	struct app_store_tail tail;
	struct app_store_request *r;

	for (r = take(worker, 1); r != NULL; r = take(worker, 1)) {
		pthread_mutex_lock(&store->lock);
		tail = store->tail;
		pthread_mutex_unlock(&store->lock);
		r->code = app_store_read_run(worker->db, r, &tail, &r->e);
		if (r->code < 0)
			app_store_request_fini(r);
		finish(store, r);
	}
	return NULL;
}

static struct app_store_request *
next_answer(struct app_store *store)
{
	struct app_store_request *r;

	pthread_mutex_lock(&store->lock);
	r = store->done;
	if (r != NULL)
		store->done = r->next;
	if (store->done == NULL)
		store->done_last = &store->done;
	pthread_mutex_unlock(&store->lock);
	return r;
}

static int
worker_of(enum app_store_op op)
{
	if (op < APP_STORE_TRANSACTION)
		return WRITER;
	if (op == APP_STORE_TRANSACTION || op == APP_STORE_SHOW || op == APP_STORE_CURRENT || op == APP_STORE_CRL_GET ||
	    op == APP_STORE_ACCOUNT_OF || op == APP_STORE_CERTPROFILE || op == APP_STORE_REGISTRATION_FIND)
		return READER;
	return op == APP_STORE_ACCOUNT_LOGIN || op == APP_STORE_ACCOUNT_HASH ? LOGIN : SCANNER;
}

/* Runs done functions; true when there may be more. */
static bool
answer_some(struct app_store *store, int max)
{
	struct app_store_request *r;

	for (int i = 0; i < max; i++) {
		r = next_answer(store);
		if (r == NULL)
			return false;
		store->workers[worker_of(r->op)].pending--;
		r->next = NULL;
		r->done(r, r->arg);
	}
	return true;
}

static void
on_answers(int fd, int ready, void *arg)
{
	struct app_store *store = arg;
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno == EAGAIN)
		return;
	if (answer_some(store, ANSWERS_MAX))
		wake_loop(store);
}

int
app_store_submit(struct app_store *store, struct app_store_request *request)
{
	struct worker *worker;
	/* What ends an intent has room of its own: a certificate that is signed must not fail for want of a place. */
	bool ends = request->op == APP_STORE_ISSUE || request->op == APP_STORE_ABANDON;

	if (store == NULL || store->closing)
		return ERR_CLOSED;
	worker = &store->workers[worker_of(request->op)];
	if (worker->pending >= (ends ? 2 * store->queue : store->queue))
		return ERR_BUSY;
	worker->pending++;
	request->next = NULL;
	pthread_mutex_lock(&worker->lock);
	*worker->last = request;
	worker->last = &request->next;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	return 0;
}

static int
start(struct app_store *store, int which, const char *name)
{
	struct worker *worker = &store->workers[which];
	int code = thread_start(name, which == WRITER ? writer_main : reader_main, worker, &worker->thread);

	worker->started = code == 0;
	return code;
}

/* Two processes on one store would take each other's intents for left over. */
static int
lock_store(struct app_store *store, const char *path, struct err *e)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char name[PATH_MAX];

	if ((size_t)snprintf(name, sizeof(name), "%s.lock", path) >= sizeof(name))
		return err_set(e, ERR_STORE, ENAMETOOLONG, "the path of the store is too long");
	store->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0)
		return err_set(e, ERR_STORE, (uint32_t)errno, "opening %s: %s", name, strerror(errno));
	if (fcntl(store->lock_fd, F_OFD_SETLK, &whole) != 0)
		return err_set(e, ERR_STORE, (uint32_t)errno, "another process has %s open", path);
	return 0;
}

static int
open_files(struct app_store *store, const char *path, int64_t cache_kib, app_store_intent_fn intent, void *arg,
	   struct err *e)
{
	struct worker *w = store->workers;
	int code;

	code = lock_store(store, path, e);
	if (code == 0)
		code = app_store_schema_update(path, app_store_migrations, e);
	if (code == 0)
		code = app_store_writer_open(path, cache_kib, &w[WRITER].writer, e);
	if (code == 0)
		code = app_store_writer_recover(w[WRITER].writer, intent, arg, e);
	if (code == 0)
		code = app_store_read_issuers(w[WRITER].writer->db, &store->issuers, e);
	if (code == 0)
		code = app_store_db_open(path, cache_kib, &w[READER].db, e);
	if (code == 0)
		code = app_store_db_open(path, SCANNER_CACHE_KIB, &w[SCANNER].db, e);
	if (code == 0)
		code = app_store_db_open(path, LOGIN_CACHE_KIB, &w[LOGIN].db, e);
	return code;
}

static int
start_all(struct app_store *store, struct loop *loop, struct err *e)
{
	int code;

	store->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (store->event_fd < 0)
		return err_set(e, ERR_STORE, (uint32_t)errno, "eventfd: %s", strerror(errno));
	code = loop_fd_new(loop, store->event_fd, LOOP_READ, on_answers, store, &store->watch);
	if (code == 0)
		code = start(store, WRITER, "store-writer");
	if (code == 0)
		code = start(store, READER, "store-reader");
	if (code == 0)
		code = start(store, SCANNER, "store-scanner");
	if (code == 0)
		code = start(store, LOGIN, "store-login");
	return code < 0 ? err_set(e, code, 0, "starting the store's threads") : 0;
}

static void
init(struct app_store *store, int queue)
{
	store->queue = queue;
	store->lock_fd = -1;
	store->event_fd = -1;
	store->done_last = &store->done;
	pthread_mutex_init(&store->lock, NULL);
	for (int i = 0; i < WORKERS; i++) {
		store->workers[i].store = store;
		store->workers[i].last = &store->workers[i].first;
		pthread_mutex_init(&store->workers[i].lock, NULL);
		pthread_cond_init(&store->workers[i].wake, NULL);
	}
}

int
app_store_open(struct loop *loop, const char *path, int cache_mib, int queue, app_store_intent_fn intent, void *arg,
	       struct app_store **ret_store, struct err *e)
{
	AUTO_STRUCT(app_store) store = calloc(1, sizeof(*store));
	int code;

	if (store == NULL)
		return err_set(e, ERR_NOMEM, 0, "opening the store");
	init(store, queue);
	/*
	 * Nobody reads SQLite's memory statistics, and their mutex costs.  Refused, harmlessly, when SQLite runs
	 * already.
	 */
	(void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	code = open_files(store, path, (int64_t)cache_mib * 1024, intent, arg, e);
	if (code < 0)
		return code;
	store->tail = store->workers[WRITER].writer->state.tail;
	code = start_all(store, loop, e);
	if (code < 0)
		return code;
	log_event(STORE_OPENED, log_text(path), (long long)store->tail.seq);
	*ret_store = TAKE(store);
	return 0;
}

const struct app_issuers *
app_store_issuers(const struct app_store *store)
{
	return &store->issuers;
}

/* Stops a thread after the batch that it works on; what waits is answered ERR_CLOSED. */
static void
stop(struct app_store *store, struct worker *worker)
{
	struct app_store_request *waiting;

	pthread_mutex_lock(&worker->lock);
	worker->stop = true;
	waiting = worker->first;
	worker->first = NULL;
	worker->last = &worker->first;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	for (struct app_store_request *r = waiting; r != NULL; r = r->next)
		r->code = err_set(&r->e, ERR_CLOSED, 0, "the store closes");
	if (waiting != NULL)
		finish(store, waiting);
	if (!worker->started)
		return;
	/* A change that has begun is finished; a search need not be. */
	if (worker->db != NULL)
		app_store_db_interrupt(worker->db);
	pthread_join(worker->thread, NULL);
	worker->started = false;
}

static void
release(struct app_store *store)
{
	for (int i = WORKERS - 1; i >= 0; i--) {
		struct worker *worker = &store->workers[i];

		app_store_db_close(worker->db);
		app_store_writer_close(worker->writer);
		pthread_mutex_destroy(&worker->lock);
		pthread_cond_destroy(&worker->wake);
	}
	loop_fd_free(store->watch);
	if (store->event_fd >= 0)
		close(store->event_fd);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	pthread_mutex_destroy(&store->lock);
	free(store);
}

void
app_store_close(struct app_store *store)
{
	if (store == NULL)
		return;
	store->closing = true;
	for (int i = 0; i < WORKERS; i++)
		stop(store, &store->workers[i]);
	while (answer_some(store, ANSWERS_MAX))
		;
	release(store);
}
