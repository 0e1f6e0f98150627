#include "appliance/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "appliance/command.h"
#include "board/base/log.h"

enum { OUT_LIMIT = 1000 * 1000, BACKLOG_LIMIT = 256 * 1024, POLL_MS = 20 };

static void
session_free(struct app_session *session)
{
	list_remove(&session->link);
	session->authority->control.count--;
	ipc_free(session->ipc);
	loop_timer_free(session->timer);
	buf_fini(&session->out);
	secret_free(session->password);
	free(session);
}

/* The caller is gone, or has to go: frees the session now, or when its command has ended. */
static void
hang_up(struct app_session *session)
{
	ipc_free(TAKE(session->ipc));
	loop_timer_set(session->timer, -1);
	if (session->resume != NULL) {
		/* Nobody reads any more, so the rest need not be made. */
		session->resume = NULL;
		app_session_end(session, APP_EXIT_FAILED);
		return;
	}
	if (!session->busy)
		session_free(session);
}

static void
on_timer(void *arg)
{
	struct app_session *session = arg;
	void (*resume)(struct app_session *) = session->resume;

	/* A command that works ends by itself: store and signer answer.  Only the caller can keep us waiting. */
	if (resume == NULL && session->busy) {
		loop_timer_set(session->timer, APP_SESSION_MS);
		return;
	}
	if (resume == NULL) {
		hang_up(session);
		return;
	}
	session->resume = NULL;
	app_session_page(session, resume);
}

static void
send_output(struct app_session *session, bool done, int exit_status, bool is_error, struct bytes text)
{
	struct msg_output m = {.done = done, .exit_status = (uint8_t)exit_status, .is_error = is_error, .text = text};
	int status;

	if (session->ipc == NULL)
		return;
	status = msg_output_send(session->ipc, session->id, &m);
	if (status != 0)
		log_event(FAILURE, "answering an operator", err_name(status), 0U, log_text(""));
}

void
app_session_print(struct app_session *session, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	if (session->ipc == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	buf_put_raw(&session->out, line, strlen(line));
}

void
app_session_page(struct app_session *session, void (*resume)(struct app_session *session))
{
	if (session->out.len > 0)
		send_output(session, false, 0, false, buf_bytes(&session->out));
	buf_clear(&session->out);
	if (session->ipc != NULL && ipc_backlog(session->ipc) > BACKLOG_LIMIT) {
		session->resume = resume;
		loop_timer_set(session->timer, POLL_MS);
		return;
	}
	loop_timer_set(session->timer, session->ipc == NULL ? -1 : APP_SESSION_MS);
	resume(session);
}

void
app_session_end(struct app_session *session, int exit_status)
{
	if (buf_status(&session->out) != 0 && exit_status == APP_EXIT_OK)
		exit_status = APP_EXIT_FAILED;
	send_output(session, true, exit_status, false, buf_bytes(&session->out));
	buf_clear(&session->out);
	session->busy = false;
	session->done = true;
	if (session->ipc == NULL)
		session_free(session);
}

void
app_session_fail(struct app_session *session, int exit_status, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (session->out.len > 0)
		send_output(session, false, 0, false, buf_bytes(&session->out));
	buf_clear(&session->out);
	send_output(session, false, 0, true, bytes_of_text(line));
	send_output(session, false, 0, true, bytes_of_text("\n"));
	app_session_end(session, exit_status);
}

void
app_session_ask(struct app_session *session, app_store_done_fn done)
{
	int status;

	session->request.done = done;
	session->request.arg = session;
	status = session->authority->closing ? ERR_CLOSED
					     : app_store_submit(session->authority->store, &session->request);
	if (status != 0)
		app_session_fail(session, APP_EXIT_FAILED, "The store is busy (%s); try again.", err_name(status));
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static void
on_login(struct app_login *login, enum app_login_verdict verdict, void *arg)
{
	struct app_session *session = arg;

	if (verdict == APP_LOGIN_LATER) {
		app_session_fail(session, APP_EXIT_FAILED, "Nobody can log in at the moment; try again later.");
		return;
	}
	if (verdict != APP_LOGIN_ACCEPTED) {
		app_session_fail(
			session, APP_EXIT_FAILED,
			"The log-in is refused: wrong name or password, or the account is locked or disabled.");
		return;
	}
	session->account = login->account;
	snprintf(session->actor, sizeof(session->actor), "operator %.*s", (int)sizeof(session->actor) - 10,
		 login->account.name);
	session->busy = false;
	if (session->ipc == NULL)
		session_free(session);
	else
		send_output(session, false, 0, false, (struct bytes){NULL, 0});
}

/* Nothing else is listened to meanwhile; who sends a command without waiting for the verdict does not get it run. */
static void
start_login(struct app_session *session, struct bytes body)
{
	struct app_login *login = &session->login;
	struct msg_login m;

	session->busy = true;
	if (msg_login_get(body, &m) != 0 || secret_new(m.password.data, m.password.len, &login->password) != 0) {
		app_session_fail(session, APP_EXIT_FAILED, "The log-in cannot be read.");
		return;
	}
	memcpy(login->name, m.operator, sizeof(login->name));
	login->done = on_login;
	login->arg = session;
	app_login_start(session->authority, login);
}

static void
take_password(struct app_session *session, struct bytes body)
{
	struct msg_password m;

	secret_free(TAKE(session->password));
	if (msg_password_get(body, &m) != 0 || secret_new(m.password.data, m.password.len, &session->password) != 0)
		log_event(FAILURE, "taking a new password", err_name(ERR_FORMAT), 0U, log_text(""));
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	struct app_session *session = arg;
	struct msg_command m;

	/* One command per session: the next one comes on a connection of its own. */
	if (session->busy || session->done)
		return;
	session->id = message->id;
	if (message->type == MSG_LOGIN) {
		start_login(session, message->body);
		return;
	}
	if (message->type == MSG_PASSWORD) {
		take_password(session, message->body);
		return;
	}
	session->busy = true;
	if (msg_command_get(message->body, &m) != 0) {
		app_session_fail(session, APP_EXIT_USAGE, "The command cannot be read.");
		return;
	}
	session->file = m.file;
	app_command_run(session, &m.words);
}

static void
on_closed(struct ipc *ipc, void *arg)
{
	hang_up(arg);
}

static struct app_session *
session_new(struct app_authority *a, int fd)
{
	struct app_session *session = calloc(1, sizeof(*session));
	struct ipc_handlers handlers = {on_message, on_closed, session};

	if (session == NULL)
		return NULL;
	session->authority = a;
	buf_init(&session->out, OUT_LIMIT);
	list_init(&session->link);
	list_init(&session->wait.link);
	if (loop_timer_new(a->loop, on_timer, session, &session->timer) != 0) {
		free(session);
		return NULL;
	}
	if (ipc_new(a->loop, fd, ROLE_AUTHORITY, ROLE_CONSOLE, &handlers, &session->ipc) != 0) {
		loop_timer_free(session->timer);
		free(session);
		return NULL;
	}
	loop_timer_set(session->timer, APP_SESSION_MS);
	list_append(&a->control.sessions, &session->link);
	a->control.count++;
	return session;
}

/* Root may; others are told so. */
static void
admit(struct app_session *session, int fd)
{
	struct ucred who = {0};
	socklen_t len = sizeof(who);
	uid_t needed = session->authority->operator_uid;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == needed) {
		app_account_root(&session->account);
		snprintf(session->actor, sizeof(session->actor), "operator uid=%u", (unsigned)who.uid);
		/* Nothing, but from somebody: the kernel lets callers connect also when no authority runs. */
		send_output(session, false, 0, false, (struct bytes){NULL, 0});
		return;
	}
	log_event(CONTROL_DENIED, (unsigned)who.uid, (int)who.pid);
	session->busy = true;
	app_session_fail(session, APP_EXIT_FAILED, "Only root may use the control socket.");
}

static void
on_accept(int listener, int ready, void *arg)
{
	struct app_authority *a = arg;
	struct app_session *session;
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			log_event(FAILURE, "accepting an operator", err_name(ERR_IO), (unsigned)errno, log_text(""));
		return;
	}
	session = a->control.count < APP_SESSION_MAX ? session_new(a, fd) : NULL;
	if (session == NULL) {
		log_event(CONTROL_FULL, a->control.count);
		close(fd);
		return;
	}
	admit(session, fd);
}

int
app_control_listen(struct app_authority *a, int fd)
{
	int status = loop_fd_new(a->loop, fd, LOOP_READ, on_accept, a, &a->control.watch);

	if (status == 0)
		a->control.fd = fd;
	return status;
}

void
app_control_fini(struct app_authority *a)
{
	struct list *pos, *tmp;

	if (a->control.watch != NULL) {
		loop_fd_free(TAKE(a->control.watch));
		close(a->control.fd);
	}
	list_each (pos, tmp, &a->control.sessions)
		hang_up(list_entry(pos, struct app_session, link));
}
