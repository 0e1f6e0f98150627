/* appliance/store: crashes, full queues, full disks, and the end. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/sql.h"
#include "tests/lib/storeroom.h"

/* A process that reserves and then dies. */
static void
reserve_and_die(struct fixture *f)
{
	enum app_challenge_verdict verdict;

	loop_free(f->loop);
	if (loop_new(&f->loop) < 0 || open_store(f, 16, NULL) < 0)
		_exit(1);
	if (create_challenge(f, 11, clock_wall(), 10) < 0 || reserve_with(f, 1, 11, clock_wall(), &verdict) < 0)
		_exit(2);
	_exit(0);
}

/* A crash under load leaves thousands; with a commit for each, a slow disk would keep the appliance away for long. */
TEST(what_a_crash_left_takes_few_commits)
{
	enum { MANY = 300 };
	struct fixture f;
	struct stat wal;
	char path[200];
	int64_t number;
	int status;
	pid_t pid;

	make_folder(&f);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		loop_free(f.loop);
		if (loop_new(&f.loop) < 0 || open_store(&f, 16, NULL) < 0)
			_exit(1);
		for (int i = 0; i < MANY; i++)
			if (run(&f, APP_STORE_RESERVE, i) < 0)
				_exit(2);
		close_store(&f); /* folds the WAL in; the intents stay */
		_exit(0);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(open_store(&f, 16, NULL), 0);
	CHECK_INT(f.intents, MANY);
	/* Every commit writes the pages that it changed once more. */
	snprintf(path, sizeof(path), "%s-wal", f.path);
	CHECK_INT(stat(path, &wal), 0);
	CHECK(wal.st_size < MANY * 4096);
	CHECK_INT(counts(&f).intents_open, 0);
	CHECK_INT(counts(&f).revoked, MANY);
	CHECK_INT(check_audit(&f, &number), 0);
	tear_down(&f);
}

TEST(what_a_crash_left_is_revoked_and_its_challenge_spent)
{
	struct app_store_request show = about(APP_STORE_SHOW, 1);
	struct app_store_request list = about(APP_STORE_AUDIT, 0);
	enum app_challenge_verdict verdict;
	struct fixture f;
	int64_t number;
	int status;
	pid_t pid;

	make_folder(&f);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		reserve_and_die(&f);
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(open_store(&f, 16, NULL), 0);
	CHECK_INT(f.intents, 1);
	CHECK_INT(f.intent_serial[APP_SERIAL_SIZE - 1], 1);
	CHECK_INT(ask(&f, &show), 0);
	CHECK(show.records[0].revoked > 0);
	CHECK_INT(show.records[0].reason, APP_REASON_UNSPECIFIED);
	CHECK_INT(show.records[0].der.len, 0);
	app_store_request_fini(&show);
	CHECK_INT(counts(&f).intents_open, 0);
	CHECK_INT(counts(&f).issued, 0);
	CHECK_INT(reserve_with(&f, 2, 11, clock_wall(), &verdict), ERR_DENIED);
	CHECK_INT(verdict, APP_CHALLENGE_USED);
	CHECK_INT(run(&f, APP_STORE_RESERVE, 1), ERR_STAGE); /* no serial number twice */
	CHECK_INT(ask(&f, &list), 0);
	buf_put_u8(&list.out, 0);
	CHECK(strstr((const char *)list.out.data, "event=intent-unresolved") != NULL);
	app_store_request_fini(&list);
	CHECK_INT(check_audit(&f, &number), 0);
	close_store(&f);
	CHECK_INT(open_store(&f, 16, NULL), 0);
	CHECK_INT(f.intents, 1); /* once is enough */
	tear_down(&f);
}

TEST(a_full_queue_refuses_at_once_and_loses_nothing)
{
	enum { MANY = 200, QUEUE = 16 };
	static struct app_store_request r[MANY];
	struct fixture f;
	int accepted = 0;
	int done = 0;

	make_folder(&f);
	CHECK_INT(open_store(&f, QUEUE, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		r[i] = about(APP_STORE_REFUSE, i);
		r[i].done = on_done;
		r[i].arg = &done;
		accepted += app_store_submit(f.store, &r[i]) == 0;
	}
	CHECK_INT(accepted, QUEUE); /* the loop did not run, so none is answered */
	r[QUEUE] = about(APP_STORE_ISSUE, 1);
	r[QUEUE].done = on_done;
	r[QUEUE].arg = &done;
	CHECK_INT(app_store_submit(f.store, &r[QUEUE]), 0); /* what ends an intent has its own room */
	wait_for(&f, &done, QUEUE + 1);
	loop_run_once(f.loop, 0);
	CHECK_INT(done, QUEUE + 1);
	CHECK_INT(run(&f, APP_STORE_REFUSE, 1), 0);
	tear_down(&f);
}

/* Asks again, as long as it is let. */
static void
on_done_again(struct app_store_request *request, void *arg)
{
	struct fixture *f = arg;

	f->intents++;
	CHECK_INT(app_store_submit(f->store, request), ERR_CLOSED);
}

TEST(a_store_that_closes_takes_nothing_more)
{
	struct app_store_request r = about(APP_STORE_REFUSE, 1);
	struct fixture f;

	set_up(&f);
	r.done = on_done_again;
	r.arg = &f;
	CHECK_INT(app_store_submit(f.store, &r), 0);
	close_store(&f);
	CHECK_INT(f.intents, 1);
	CHECK_INT(app_store_submit(NULL, &r), ERR_CLOSED);
	tear_down(&f);
}

TEST(closing_answers_everything_once)
{
	enum { MANY = 250 };
	static struct app_store_request r[2 * MANY];
	struct fixture f;
	int done = 0;

	set_up(&f);
	for (int i = 0; i < 2 * MANY; i++) {
		r[i] = about(i % 2 == 0 ? APP_STORE_REFUSE : APP_STORE_LIST, i);
		r[i].done = on_done;
		r[i].arg = &done;
		CHECK_INT(app_store_submit(f.store, &r[i]), 0);
	}
	close_store(&f);
	CHECK_INT(done, 2 * MANY);
	for (int i = 0; i < 2 * MANY; i++) {
		CHECK(r[i].code == 0 || r[i].code == ERR_CLOSED);
		app_store_request_fini(&r[i]);
	}
	loop_run_once(f.loop, 0);
	CHECK_INT(done, 2 * MANY);
	tear_down(&f);
}

TEST(a_full_disk_fails_changes_and_nothing_else)
{
	struct rlimit old;
	struct rlimit small;
	struct fixture f;
	int64_t number;
	int failed = 0;

	set_up(&f);
	signal(SIGXFSZ, SIG_IGN);
	CHECK_INT(run(&f, APP_STORE_RESERVE, 1), 0);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = old;
	small.rlim_cur = 300000;
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 2; i < 200 && failed == 0; i++)
		failed = run(&f, APP_STORE_RESERVE, i);
	CHECK_INT(failed, ERR_STORE);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), ERR_STORE);
	CHECK_INT(run(&f, APP_STORE_SHOW, 1), ERR_UNKNOWN); /* reading goes on, and sees no half change */
	CHECK_INT(check_audit(&f, &number), 0);
	CHECK_INT(setrlimit(RLIMIT_FSIZE, &old), 0);
	CHECK_INT(run(&f, APP_STORE_ISSUE, 1), 0);
	CHECK_INT(check_audit(&f, &number), 0);
	tear_down(&f);
}

TEST(a_change_that_fails_late_leaves_nothing_and_harms_no_other)
{
	enum { MANY = 20, BAD = 7 };
	struct app_store_request r[MANY];
	struct fixture f;
	int64_t number;
	int done = 0;

	set_up(&f);
	close_store(&f);
	/* The intent is inserted before its audit record is. */
	sql_run(f.path, "CREATE TRIGGER t BEFORE INSERT ON audit WHEN new.subject = 'CN=device 7' "
			"BEGIN SELECT raise(ABORT, 'no'); END");
	CHECK_INT(open_store(&f, 256, NULL), 0);
	for (int i = 0; i < MANY; i++) {
		r[i] = about(APP_STORE_RESERVE, i);
		r[i].done = on_done;
		r[i].arg = &done;
		CHECK_INT(app_store_submit(f.store, &r[i]), 0);
	}
	wait_for(&f, &done, MANY);
	for (int i = 0; i < MANY; i++)
		CHECK_INT(r[i].code, i == BAD ? ERR_STORE : 0);
	CHECK_INT(counts(&f).intents_open, MANY - 1);
	CHECK_INT(run(&f, APP_STORE_ISSUE, BAD), ERR_UNKNOWN);
	CHECK_INT(run(&f, APP_STORE_ISSUE, BAD + 1), 0);
	CHECK_INT(check_audit(&f, &number), 0);
	tear_down(&f);
}

TEST_MAIN(RUN(what_a_crash_left_takes_few_commits), RUN(what_a_crash_left_is_revoked_and_its_challenge_spent),
	  RUN(a_full_queue_refuses_at_once_and_loses_nothing), RUN(a_store_that_closes_takes_nothing_more),
	  RUN(closing_answers_everything_once), RUN(a_full_disk_fails_changes_and_nothing_else),
	  RUN(a_change_that_fails_late_leaves_nothing_and_harms_no_other))
