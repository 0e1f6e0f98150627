/*
 * tests/lib/storeroom - a store in a folder of its own, with requests that need few words
 *
 * For the test programs of appliance/store*.c.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_STOREROOM_H
#define TESTS_LIB_STOREROOM_H

#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/test.h"

#include "appliance/store.h"
#include "board/base/clock.h"

enum { NOW = 1800000000, LATER = NOW + 365 * 86400, DAY = 86400 };

/* A store in a folder of its own. */
struct fixture {
	char folder[64];
	char path[96];
	struct loop *loop;
	struct app_store *store;
	int intents;
	uint8_t intent_serial[APP_SERIAL_SIZE];
};

static inline void
note_intent(const uint8_t serial[APP_SERIAL_SIZE], const char *subject, int64_t since, void *arg)
{
	struct fixture *f = arg;

	memcpy(f->intent_serial, serial, APP_SERIAL_SIZE);
	f->intents++;
}

static inline void
make_folder(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->folder, "/tmp/test-store-XXXXXX");
	CHECK(mkdtemp(f->folder) != NULL);
	snprintf(f->path, sizeof(f->path), "%s/store.db", f->folder);
	CHECK_INT(loop_new(&f->loop), 0);
}

static inline int
open_store(struct fixture *f, int queue, struct err *e)
{
	return app_store_open(f->loop, f->path, 4, queue, note_intent, f, &f->store, e);
}

static inline void
set_up(struct fixture *f)
{
	struct err e = {0};

	make_folder(f);
	CHECK_INT(open_store(f, 256, &e), 0);
}

static inline void
close_store(struct fixture *f)
{
	app_store_close(f->store);
	f->store = NULL;
}

static inline void
tear_down(struct fixture *f)
{
	static const char *const names[] = {"", "-wal", "-shm", "-journal", ".lock", ".new"};
	char path[128];

	close_store(f);
	loop_free(f->loop);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, names[i]);
		unlink(path);
	}
	CHECK_INT(rmdir(f->folder), 0);
}

static inline void
on_done(struct app_store_request *request, void *arg)
{
	(*(int *)arg)++;
}

/* Waits until *count has reached want. */
static inline void
wait_for(struct fixture *f, const int *count, int want)
{
	int64_t end = clock_mono_ms() + 20000;

	while (*count < want && clock_mono_ms() < end)
		loop_run_once(f->loop, 100);
	CHECK_INT(*count, want);
}

static inline int
ask(struct fixture *f, struct app_store_request *r)
{
	int count = 0;

	r->done = on_done;
	r->arg = &count;
	CHECK_INT(app_store_submit(f->store, r), 0);
	wait_for(f, &count, 1);
	CHECK_INT(r->code, r->e.code);
	return r->code;
}

/* A request about certificate number n. */
static inline struct app_store_request
about(enum app_store_op op, int n)
{
	struct app_store_request r = {.op = op, .now = NOW, .usage = APP_USAGE_DEVICE};

	memset(r.serial, 0x40, sizeof(r.serial));
	r.serial[APP_SERIAL_SIZE - 1] = (uint8_t)n;
	r.serial[APP_SERIAL_SIZE - 2] = (uint8_t)(n >> 8);
	memset(r.key_hash, n, sizeof(r.key_hash));
	snprintf(r.transaction_id, sizeof(r.transaction_id), "transaction %d", n);
	snprintf(r.subject, sizeof(r.subject), "CN=device %d", n);
	strcpy(r.template_name, "device");
	strcpy(r.peer, "192.0.2.7");
	r.not_before = NOW - 60;
	r.not_after = LATER;
	r.der = bytes_of_text("not really DER");
	return r;
}

static inline int
run(struct fixture *f, enum app_store_op op, int n)
{
	struct app_store_request r = about(op, n);
	int code = ask(f, &r);

	app_store_request_fini(&r);
	return code;
}

static inline int
create_challenge(struct fixture *f, int which, int64_t now, int64_t max_open)
{
	struct app_store_request r = about(APP_STORE_CHALLENGE, which);

	memset(r.challenge_hash, which, sizeof(r.challenge_hash));
	r.now = now;
	r.expires = now + 3600;
	r.max_open = max_open;
	return ask(f, &r);
}

static inline int
reserve_with(struct fixture *f, int n, int challenge, int64_t now, enum app_challenge_verdict *ret_verdict)
{
	struct app_store_request r = about(APP_STORE_RESERVE, n);
	int code;

	memset(r.challenge_hash, challenge, sizeof(r.challenge_hash));
	r.has_challenge = true;
	r.now = now;
	code = ask(f, &r);
	*ret_verdict = r.verdict;
	app_store_request_fini(&r);
	return code;
}

static inline struct app_store_counts
counts(struct fixture *f)
{
	struct app_store_request r = about(APP_STORE_COUNTS, 0);

	CHECK_INT(ask(f, &r), 0);
	return r.counts;
}

static inline int
check_audit(struct fixture *f, int64_t *ret_number)
{
	struct app_store_request r = about(APP_STORE_AUDIT_CHECK, 0);
	int code = ask(f, &r);

	*ret_number = r.number;
	return code;
}

#endif
