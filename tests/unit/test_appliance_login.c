/*
 * Log-ins: one at a time, bounded, and what they open: the control socket's commands and the administrator's page.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "appliance/control.h"
#include "board/base/clock.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

#define PASSWORD "correct horse battery"

enum { LOGINS_MAX = 40 };

/* Log-ins that were begun, and what came of them, in the order of the answers. */
static struct app_login logins[LOGINS_MAX];
static int verdicts[LOGINS_MAX];
static int order[LOGINS_MAX];
static int answered;

static void
on_login(struct app_login *login, enum app_login_verdict verdict, void *arg)
{
	verdicts[login - logins] = (int)verdict;
	order[answered++] = (int)(login - logins);
}

static void
start(struct office *o, int which, const char *name, const char *password, const char *peer)
{
	struct app_login *login = &logins[which];

	memset(login, 0, sizeof(*login));
	snprintf(login->name, sizeof(login->name), "%s", name);
	snprintf(login->peer, sizeof(login->peer), "%s", peer);
	CHECK_INT(secret_new(password, strlen(password), &login->password), 0);
	login->done = on_login;
	app_login_start(&o->authority, login);
}

static void
on_stored(struct app_store_request *request, void *arg)
{
	*(bool *)arg = true;
}

static void
add(struct office *o, const char *name, const char *groups)
{
	struct app_operator who = {.has_certificate = false};
	bool done = false;
	struct app_store_request r = {.op = APP_STORE_ACCOUNT_ADD, .actor = "test", .done = on_stored, .arg = &done};

	snprintf(who.name, sizeof(who.name), "%s", name);
	snprintf(who.groups, sizeof(who.groups), "%s", groups);
	CHECK_INT(app_credential_make(bytes_of_text(PASSWORD), &who.credential, NULL), 0);
	r.operators.who = &who;
	CHECK_INT(app_store_submit(o->authority.store, &r), 0);
	OFFICE_UNTIL(o, done);
	CHECK_INT(r.code, 0);
}

static int64_t
failures(struct office *o)
{
	bool done = false;
	struct app_store_request r = {.op = APP_STORE_ACCOUNT_ALL, .done = on_stored, .arg = &done};
	int64_t failed;

	CHECK_INT(app_store_submit(o->authority.store, &r), 0);
	OFFICE_UNTIL(o, done);
	CHECK_INT(r.operators.count, 1);
	failed = r.operators.list[0].failed;
	app_store_request_fini(&r);
	return failed;
}

static void
open_office(struct office *o)
{
	office_open(o, true);
	answered = 0;
}

TEST(guesses_in_parallel_are_counted_one_by_one)
{
	struct office o;

	open_office(&o);
	add(&o, "alice", "");
	for (int i = 0; i < 12; i++)
		start(&o, i, "alice", i == 8 ? PASSWORD : "a wrong password", "192.0.2.1");
	OFFICE_UNTIL(&o, answered == 12);
	/* The right one came after five wrong ones. */
	for (int i = 0; i < 12; i++)
		CHECK_INT(verdicts[i], APP_LOGIN_REFUSED);
	CHECK_INT(failures(&o), 5);
	office_close(&o);
}

TEST(who_asks_too_often_is_told_to_wait_and_others_are_not)
{
	struct office o;

	open_office(&o);
	add(&o, "alice", "ra-operators");
	for (int i = 0; i < APP_LOGIN_PEER_BURST + 5; i++)
		start(&o, i, "nobody", "a wrong password", "2001:db8::1");
	CHECK(answered >= 5);
	CHECK_INT(verdicts[order[0]], APP_LOGIN_LATER);
	/* Another address of the same network is the same peer. */
	start(&o, 30, "alice", PASSWORD, "2001:db8::2");
	CHECK_INT(verdicts[30], APP_LOGIN_LATER);
	start(&o, 31, "alice", PASSWORD, "192.0.2.1");
	start(&o, 32, "alice", PASSWORD, "");
	OFFICE_UNTIL(&o, answered == APP_LOGIN_PEER_BURST + 5 + 3);
	CHECK_INT(verdicts[31], APP_LOGIN_ACCEPTED);
	CHECK_TEXT(logins[31].account.name, "alice");
	CHECK(app_account_in(&logins[31].account, "ra-operators"));
	CHECK_INT(verdicts[32], APP_LOGIN_ACCEPTED);
	/* The control socket's came last and was next. */
	CHECK(order[answered - 1] != 32);
	CHECK(logins[31].password == NULL);
	office_close(&o);
}

TEST(each_is_answered_once_when_the_authority_ends)
{
	struct office o;

	open_office(&o);
	for (int i = 0; i < 15; i++)
		start(&o, i, "nobody", "a wrong password", "192.0.2.1");
	office_close(&o);
	CHECK_INT(answered, 15);
	for (int i = 1; i < 15; i++)
		CHECK_INT(verdicts[i], APP_LOGIN_LATER);
}

/* ---- the administrator's page ------------------------------------------------------------------------------------ */

struct page {
	bool done;
	int status;
	size_t challenge;
};

static void
on_page(int code, const struct ipc_message *message, void *arg)
{
	struct page *page = arg;
	struct msg_admin_answer m;

	CHECK_INT(code, 0);
	CHECK_INT(msg_admin_answer_get(message->body, &m), 0);
	page->done = true;
	page->status = m.status;
	page->challenge = m.challenge.len;
}

static int
visit(struct office *o, const char *name, const char *password)
{
	struct msg_admin m = {.wants = ADMIN_CHALLENGE, .peer = "192.0.2.1", .password = bytes_of_text(password)};
	struct page page = {.done = false};

	snprintf(m.operator, sizeof(m.operator), "%s", name);
	CHECK_INT(msg_admin_call(o->front.ipc, &m, 10000, on_page, &page), 0);
	OFFICE_UNTIL(o, page.done);
	CHECK_INT(page.challenge > 0, page.status == ADMIN_GRANTED);
	return page.status;
}

TEST(the_page_gives_challenges_to_those_who_may_have_them)
{
	struct office o;

	open_office(&o);
	add(&o, "rita", "ra-operators");
	add(&o, "adam", "administrators");
	add(&o, "audrey", "auditors");
	add(&o, "oscar", "ca-officers");
	add(&o, "norman", "");
	CHECK_INT(visit(&o, "", ""), ADMIN_LOGIN);
	CHECK_INT(visit(&o, "rita", "a wrong password"), ADMIN_LOGIN);
	CHECK_INT(visit(&o, "rita", ""), ADMIN_LOGIN);
	CHECK_INT(visit(&o, "root", PASSWORD), ADMIN_LOGIN);
	CHECK_INT(visit(&o, "Rita", PASSWORD), ADMIN_LOGIN);
	CHECK_INT(visit(&o, "audrey", PASSWORD), ADMIN_DENIED);
	CHECK_INT(visit(&o, "oscar", PASSWORD), ADMIN_DENIED);
	CHECK_INT(visit(&o, "norman", PASSWORD), ADMIN_DENIED);
	CHECK_INT(office_counts(&o).challenges_open, 0);
	CHECK_INT(visit(&o, "rita", PASSWORD), ADMIN_GRANTED);
	CHECK_INT(visit(&o, "adam", PASSWORD), ADMIN_GRANTED);
	CHECK_INT(office_counts(&o).challenges_open, 2);
	office_close(&o);
}

/* ---- the control socket ------------------------------------------------------------------------------------------ */

struct caller {
	struct ipc *ipc;
	bool done;
	int status;
	char error[512];
};

static void
on_output(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct caller *caller = arg;
	struct msg_output m;
	size_t used = strlen(caller->error);

	CHECK_INT(msg_output_get(message->body, &m), 0);
	if (m.is_error)
		snprintf(caller->error + used, sizeof(caller->error) - used, "%.*s", (int)m.text.len, m.text.data);
	caller->done = caller->done || m.done;
	caller->status = m.exit_status;
}

static void
on_hung_up(struct ipc *ipc, void *arg)
{
}

static void
listen_and_call(struct office *o, struct caller *caller)
{
	struct ipc_handlers handlers = {on_output, on_hung_up, caller};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memset(caller, 0, sizeof(*caller));
	o->authority.operator_uid = geteuid();
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", o->folder);
	CHECK_INT(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_INT(listen(listener, 8), 0);
	CHECK_INT(app_control_listen(&o->authority, listener), 0);
	CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	CHECK_INT(ipc_new(o->loop, fd, ROLE_CONSOLE, ROLE_AUTHORITY, &handlers, &caller->ipc), 0);
}

static void
send_command(struct caller *caller)
{
	struct msg_command m = {.words = {.item = {bytes_of_text("challenge"), bytes_of_text("create")}, .count = 2}};

	CHECK_INT(msg_command_send(caller->ipc, 2, &m), 0);
}

TEST(a_command_behind_a_refused_log_in_is_not_run)
{
	struct msg_login m = {"alice", bytes_of_text("a wrong password")};
	struct office o;
	struct caller caller;

	open_office(&o);
	add(&o, "alice", "administrators");
	listen_and_call(&o, &caller);
	CHECK_INT(msg_login_send(caller.ipc, 1, &m), 0);
	/* Without waiting for the verdict, as the chancery command would not. */
	send_command(&caller);
	OFFICE_UNTIL(&o, caller.done);
	CHECK_INT(caller.status, APP_EXIT_FAILED);
	CHECK(strstr(caller.error, "The log-in is refused") != NULL);
	/* And once more behind it: root was not asked for either. */
	send_command(&caller);
	for (int i = 0; i < 20; i++)
		loop_run_once(o.loop, 5);
	CHECK_INT(office_counts(&o).challenges_open, 0);
	ipc_free(caller.ipc);
	office_close(&o);
}

TEST(a_caller_who_hangs_up_during_the_log_in_leaves_nothing_behind)
{
	struct msg_login m = {"alice", bytes_of_text(PASSWORD)};
	struct office o;
	struct caller caller;

	open_office(&o);
	add(&o, "alice", "administrators");
	listen_and_call(&o, &caller);
	CHECK_INT(msg_login_send(caller.ipc, 1, &m), 0);
	OFFICE_UNTIL(&o, o.authority.logins.running != NULL);
	ipc_free(caller.ipc);
	OFFICE_UNTIL(&o, o.authority.control.count == 0);
	office_close(&o);
}

TEST_MAIN(RUN(guesses_in_parallel_are_counted_one_by_one), RUN(who_asks_too_often_is_told_to_wait_and_others_are_not),
	  RUN(each_is_answered_once_when_the_authority_ends), RUN(the_page_gives_challenges_to_those_who_may_have_them),
	  RUN(a_command_behind_a_refused_log_in_is_not_run),
	  RUN(a_caller_who_hangs_up_during_the_log_in_leaves_nothing_behind))
