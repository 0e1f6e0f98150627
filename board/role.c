#include "board/role.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/sandbox.h"

/* Last words to the parent may take this long to leave the process. */
enum { LAST_WORDS_MS = 1000 };

/* A process is one role, so this is one of the few places with a variable of its own. */
static struct {
	enum role self;
	struct role_functions to;
	struct loop *loop;
	struct ipc *parent;
	struct config config[2]; /* the one in force and the one before, which the role may still be comparing */
	unsigned config_count;
	bool start_wanted;
	bool started;
	bool exiting;
	int status;
} role;

struct loop *
role_loop(void)
{
	return role.loop;
}

void
role_exit(int status)
{
	if (!role.exiting)
		role.status = status;
	role.exiting = true;
	loop_stop(role.loop);
}

/* What was said to the parent must be out before the process ends, but a parent that hangs must not keep it. */
static void
last_words(void)
{
	int64_t end = clock_mono_ms() + LAST_WORDS_MS;

	while (role.parent != NULL && ipc_backlog(role.parent) > 0 && clock_mono_ms() < end)
		loop_run_once(role.loop, 50);
}

void
role_ready(void)
{
	struct msg_ready ready = {0};

	if (role.exiting || role.parent == NULL)
		return;
	log_event(ROLE_READY, (int)getpid());
	if (msg_ready_send(role.parent, 0, &ready) != 0)
		role_exit(1);
}

void
role_pong(void)
{
	struct msg_pong pong = {0};

	if (role.parent != NULL && msg_pong_send(role.parent, 0, &pong) != 0)
		role_exit(1);
}

void
role_trouble(const struct err *e)
{
	struct msg_trouble trouble = {.code = e->code, .detail = e->detail};

	if (role.exiting)
		return;
	log_event(FAILURE, "start", err_name(e->code), e->detail, log_text(e->text));
	snprintf(trouble.text, sizeof(trouble.text), "%s", e->text);
	if (role.parent != NULL && msg_trouble_send(role.parent, 0, &trouble) != 0)
		log_event(FAILURE, "telling the parent", err_name(ERR_CLOSED), 0u, log_text(""));
	role_exit(1);
}

void
role_confine(void)
{
	struct err e = {0};

	if (sandbox_enter(role.self, &e) == 0)
		return;
	/* Not even the rest of this callback may run without the list. */
	role_trouble(&e);
	last_words();
	_exit(1);
}

/* ---- messages of the parent -------------------------------------------------------------------------------------- */

static int
take_config(struct bytes body)
{
	struct config *next = &role.config[role.config_count % 2];
	struct msg_config m;
	int level;

	if (msg_config_get(body, &m) != 0 || m.config.len != sizeof(*next))
		return ERR_FORMAT;
	memcpy(next, m.config.data, sizeof(*next));
	role.config_count++;
	level = log_level_parse(next->log_level);
	log_init(ipc_role_name(role.self), level < 0 ? LOG_LEVEL_INFO : (enum log_level)level);
	if (role.to.on_config != NULL)
		role.to.on_config(next, role.to.arg);
	return 0;
}

static int
take_peer(struct ipc_message *message)
{
	struct msg_peer m;

	if (msg_peer_get(message->body, &m) != 0 || message->fd < 0 || role.to.on_peer == NULL)
		return ERR_FORMAT;
	role.to.on_peer((enum role)m.peer, m.index, message->fd, role.to.arg);
	message->fd = -1;
	return 0;
}

static int
take_listener(struct ipc_message *message)
{
	struct msg_listener m;

	if (msg_listener_get(message->body, &m) != 0 || message->fd < 0 || role.to.on_listener == NULL)
		return ERR_FORMAT;
	role.to.on_listener(m.kind, m.index, message->fd, role.to.arg);
	message->fd = -1;
	return 0;
}

static int
take_secret(struct bytes body)
{
	struct msg_secret m;

	if (msg_secret_get(body, &m) != 0 || role.to.on_secret == NULL)
		return ERR_FORMAT;
	role.to.on_secret(m.kind, m.secret, role.to.arg);
	return 0;
}

static int
take_ca_chain(struct bytes body)
{
	struct msg_ca_chain m;

	if (msg_ca_chain_get(body, &m) != 0 || role.to.on_ca_chain == NULL)
		return ERR_FORMAT;
	role.to.on_ca_chain(&m, role.to.arg);
	return 0;
}

static int
take_start(void)
{
	if (role.config_count == 0 || role.started || role.start_wanted)
		return ERR_STAGE;
	/* Starting opens files and tokens, which no callback of a loop may do: role_run() does it between two runs. */
	role.start_wanted = true;
	loop_stop(role.loop);
	return 0;
}

static void
take_ping(void)
{
	if (role.to.on_ping != NULL)
		role.to.on_ping(role.to.arg);
	else
		role_pong();
}

static void
stop(void *arg)
{
	if (role.started && role.to.on_stop != NULL && !role.exiting)
		role.to.on_stop(role.to.arg);
	else
		role_exit(0);
}

static void
on_message(struct ipc *ipc, struct ipc_message *message, void *arg)
{
	int rc = ERR_FORMAT;

	if (role.exiting)
		return;
	switch (message->type) {
	case MSG_CONFIG:
		rc = take_config(message->body);
		break;
	case MSG_PEER:
		rc = take_peer(message);
		break;
	case MSG_LISTENER:
		rc = take_listener(message);
		break;
	case MSG_SECRET:
		rc = take_secret(message->body);
		break;
	case MSG_CA_CHAIN:
		rc = take_ca_chain(message->body);
		break;
	case MSG_START:
		rc = take_start();
		break;
	case MSG_PING:
		take_ping();
		return;
	case MSG_STOP:
		stop(NULL);
		return;
	}
	if (rc != 0) {
		log_event(FAILURE, "message of the parent", err_name(rc), (unsigned)message->type, log_text(""));
		role_exit(1);
	}
}

/* Without the parent nobody starts what is missing or takes the log, so the role ends too. */
static void
on_closed(struct ipc *ipc, void *arg)
{
	role.parent = NULL;
	ipc_free(ipc);
	role_exit(1);
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

/* The parent, or the ceremony when spawn.c says so. */
static enum role
owner(void)
{
	const char *name = getenv("CHANCERY_OWNER");

	return name != NULL && strcmp(name, ipc_role_name(ROLE_PROVISION)) == 0 ? ROLE_PROVISION : ROLE_PARENT;
}

/*
 * A role must not outlive its parent, even when it is stuck inside a vendor's module: the kernel kills it.  A parent
 * that died before prctl() is noticed by comparing its process id.
 */
static bool
follow_parent(void)
{
	const char *expected = getenv("CHANCERY_PARENT_PID");
	char parent[16];

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return false;
	snprintf(parent, sizeof(parent), "%d", (int)getppid());
	return expected == NULL || strcmp(expected, parent) == 0;
}

/* Sanitizers look into their own process, and LeakSanitizer uses ptrace for that. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER
#endif
#endif

/* Started by descriptor (board/spawn.c), a process would be called like its number in ps(1). */
static void
name_process(void)
{
	char name[16];

	snprintf(name, sizeof(name), "chancery-%s", ipc_role_name(role.self));
	(void)prctl(PR_SET_NAME, name);
}

/* No core dump, no ptrace by the same user, no set-user-id program. */
static bool
harden(void)
{
#ifndef SANITIZER
	if (prctl(PR_SET_DUMPABLE, 0) != 0)
		return false;
#endif
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* Is descriptor 3 what board/spawn.c leaves there? */
static bool
control_fd_usable(void)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	if (getsockopt(ROLE_CONTROL_FD, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 || domain != AF_UNIX)
		return false;
	return fcntl(ROLE_CONTROL_FD, F_SETFD, FD_CLOEXEC) == 0;
}

static int
open_parent(void)
{
	struct ipc_handlers handlers = {.on_message = on_message, .on_closed = on_closed};
	int rc = loop_new(&role.loop);

	if (rc == 0)
		rc = loop_signal(role.loop, SIGTERM, stop, NULL);
	if (rc == 0)
		rc = ipc_new(role.loop, ROLE_CONTROL_FD, role.self, owner(), &handlers, &role.parent);
	return rc;
}

int
role_run(enum role self, const struct role_functions *functions)
{
	role.self = self;
	role.to = *functions;
	log_init(ipc_role_name(self), LOG_LEVEL_INFO);
	if (!control_fd_usable()) {
		fprintf(stderr, "chancery-%s is started by chanceryd, not by hand\n", ipc_role_name(self));
		return 2;
	}
	name_process();
	signal(SIGPIPE, SIG_IGN);
	if (!harden() || !follow_parent() || open_parent() != 0) {
		log_event(FAILURE, "role start", err_name(ERR_IO), (unsigned)errno, log_text(strerror(errno)));
		return 1;
	}
	while (!role.exiting) {
		loop_run(role.loop);
		if (role.start_wanted && !role.exiting) {
			role.start_wanted = false;
			role.started = true;
			role.to.on_start(role.to.arg);
		}
	}
	last_words();
	ipc_free(role.parent);
	role.parent = NULL;
	/* The role frees its own things after this, and they may hold watches: the loop stays for the process's end. */
	return role.status;
}
