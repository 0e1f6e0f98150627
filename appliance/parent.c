#include "appliance/parent.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board/base/log.h"
#include "board/msg.h"
#include "board/notify.h"
#include "board/spawn.h"
#include "board/version.h"

/* A role whose loop does not turn for PING_MS * PINGS_MISSED is killed: one stuck in a module, or stopped. */
enum { PING_MS = 2000, PINGS_MISSED = 6 };

enum part_id { PART_FRONT, PART_AUTHORITY, PART_COURIER, PART_SIGNER, PART_COUNT };

struct parent;

struct part {
	struct parent *parent;
	struct spawn *spawn;
	pid_t pid; /* of the last start */
	bool ready;
	bool pinged; /* and has not answered yet */
	int missed;  /* so many looks ago */
	bool held;
	bool pin_refused; /* the signer is held because of setup->pin */
	bool renewed;     /* it is stopped to be started again at once */
};

struct parent {
	struct app_parent_setup *setup;
	struct loop *loop;
	struct loop_timer *watch;
	struct part part[PART_COUNT];
	bool announced; /* READY=1 was said */
	bool stopping;
	int status;
};

/* In the order in which they are stopped: first what takes requests, last what others need to finish theirs. */
static const struct {
	enum role role;
	const char *program;
	unsigned uid;
	unsigned open_files;
} kinds[PART_COUNT] = {
	[PART_FRONT] = {ROLE_FRONT, "chancery-front", CONFIG_ROLE_UID_BASE + 1, 262144},
	[PART_AUTHORITY] = {ROLE_AUTHORITY, "chancery-authority", CONFIG_ROLE_UID_BASE, 1024},
	[PART_COURIER] = {ROLE_COURIER, "chancery-courier", CONFIG_ROLE_UID_BASE + 3, 1024},
	[PART_SIGNER] = {ROLE_SIGNER, "chancery-signer", CONFIG_ROLE_UID_BASE + 2, 1024},
};

/* ---- what the service manager shows ------------------------------------------------------------------------------ */

static const char *
state_word(const struct part *part)
{
	if (part->held)
		return "held";
	return part->ready ? "works" : "starting";
}

static void
tell_manager(struct parent *p)
{
	const struct part *part = p->part;
	bool all = part[PART_FRONT].ready && part[PART_AUTHORITY].ready && part[PART_SIGNER].ready;

	notify_send("%sSTATUS=front %s, authority %s, signer %s", all && !p->announced ? "READY=1\n" : "",
		    state_word(&part[PART_FRONT]), state_word(&part[PART_AUTHORITY]), state_word(&part[PART_SIGNER]));
	if (all && !p->announced)
		log_event(APPLIANCE_READY, log_text(VERSION));
	p->announced = p->announced || all;
}

/* ---- what a role is given ---------------------------------------------------------------------------------------- */

static void
report(const struct part *part, const char *step, int rc)
{
	if (rc != 0)
		log_event(FAILURE, step, err_name(rc), 0u, log_text(ipc_role_name(spawn_role(part->spawn))));
}

static int
send_with_fd(struct part *part, uint16_t type, const struct buf *body, int fd)
{
	struct ipc *ipc = spawn_ipc(part->spawn);

	if (buf_status(body) != 0)
		return buf_status(body);
	return ipc == NULL ? ERR_CLOSED : ipc_send(ipc, type, 0, buf_bytes(body), fd);
}

static int
send_config(struct part *part)
{
	const struct config *config = &part->parent->setup->config;
	struct msg_config m = {.config = {(const uint8_t *)config, sizeof(*config)}};
	struct ipc *ipc = spawn_ipc(part->spawn);

	return ipc == NULL ? ERR_CLOSED : msg_config_send(ipc, 0, &m);
}

static int
send_chain(struct part *part, unsigned generation)
{
	const struct app_chains *chains = &part->parent->setup->chains;
	const struct app_chain *chain = &chains->of[generation];
	struct msg_ca_chain m = {
		.generation = (uint8_t)generation,
		.certificates = {.count = chain->count},
		.announcement = chains->announcement[generation],
	};

	memcpy(m.certificates.item, chain->certificate, chain->count * sizeof(chain->certificate[0]));
	return msg_ca_chain_send(spawn_ipc(part->spawn), 0, &m);
}

static int
send_chains(struct part *part)
{
	int rc = 0;

	for (unsigned g = 0; rc == 0 && g < CA_GENERATIONS; g++) {
		if (part->parent->setup->chains.of[g].count > 0)
			rc = send_chain(part, g);
	}
	return rc;
}

static int
send_secret(struct part *part, int kind, const struct secret *secret)
{
	struct msg_secret m = {.kind = (uint8_t)kind, .secret = secret_bytes(secret)};

	return secret == NULL ? 0 : msg_secret_send(spawn_ipc(part->spawn), 0, &m);
}

static int
send_listener(struct part *part, const struct app_listener *item)
{
	struct msg_listener m = {.kind = (uint8_t)item->kind, .index = (uint16_t)item->index};
	AUTO_BUF body;

	buf_init(&body, msg_limit(MSG_LISTENER));
	msg_listener_put(&body, &m);
	return send_with_fd(part, MSG_LISTENER, &body, item->fd);
}

/* The control socket is the authority's, all others are the front's. */
static int
send_listeners(struct part *part)
{
	const struct app_listeners *listeners = &part->parent->setup->listeners;
	bool control = part == &part->parent->part[PART_AUTHORITY];
	size_t i;
	int rc = 0;

	for (i = 0; i < listeners->count && rc == 0; i++)
		if ((listeners->item[i].kind == LISTEN_CONTROL) == control)
			rc = send_listener(part, &listeners->item[i]);
	return rc;
}

static int
send_peer(struct part *part, enum role peer, unsigned index, int fd)
{
	struct msg_peer m = {.peer = (uint8_t)peer, .index = (uint16_t)index};
	AUTO_BUF body;

	buf_init(&body, msg_limit(MSG_PEER));
	msg_peer_put(&body, &m);
	return send_with_fd(part, MSG_PEER, &body, fd);
}

static int
link_once(struct part *a, struct part *b, unsigned index)
{
	int fds[2];
	int rc = ipc_pair(fds, NULL);

	if (rc != 0)
		return rc;
	rc = send_peer(a, spawn_role(b->spawn), index, fds[0]);
	if (rc == 0)
		rc = send_peer(b, spawn_role(a->spawn), index, fds[1]);
	close(fds[0]);
	close(fds[1]);
	return rc;
}

/*
 * A channel between two roles, or one for each of front's loops.  Nothing when one of them does not run.  Front and
 * courier get none: what hears strangers and what speaks outside have nothing to say to each other.
 */
static void
link_parts(struct part *a, struct part *b)
{
	const struct parent *p = a->parent;
	bool front = a == &p->part[PART_FRONT] || b == &p->part[PART_FRONT];
	unsigned count = front ? (unsigned)p->setup->config.front_loops : 1;
	unsigned i;
	int rc = 0;

	if (spawn_ipc(a->spawn) == NULL || spawn_ipc(b->spawn) == NULL)
		return;
	for (i = 0; i < count && rc == 0; i++)
		rc = link_once(a, b, i);
	report(a, "link between roles", rc);
}

static int
send_what_it_needs(struct part *part)
{
	struct parent *p = part->parent;
	struct msg_start start = {0};
	int rc = send_config(part);

	if (rc == 0 && (part == &p->part[PART_AUTHORITY] || part == &p->part[PART_SIGNER]))
		rc = send_chains(part);
	if (rc == 0 && (part == &p->part[PART_FRONT] || part == &p->part[PART_AUTHORITY]))
		rc = send_listeners(part);
	if (rc == 0 && part == &p->part[PART_SIGNER])
		rc = send_secret(part, SECRET_PIN, p->setup->pin);
	if (rc == 0 && part == &p->part[PART_AUTHORITY])
		rc = send_secret(part, SECRET_CHALLENGE, p->setup->challenge);
	if (rc == 0 && (part == &p->part[PART_FRONT] || part == &p->part[PART_AUTHORITY]))
		link_parts(&p->part[PART_FRONT], &p->part[PART_AUTHORITY]);
	if (rc == 0 && (part == &p->part[PART_COURIER] || part == &p->part[PART_AUTHORITY]))
		link_parts(&p->part[PART_COURIER], &p->part[PART_AUTHORITY]);
	if (rc == 0 && part != &p->part[PART_SIGNER] && p->part[PART_SIGNER].ready)
		link_parts(part, &p->part[PART_SIGNER]);
	return rc != 0 ? rc : msg_start_send(spawn_ipc(part->spawn), 0, &start);
}

/* ---- what roles report ------------------------------------------------------------------------------------------- */

static void
on_started(struct spawn *spawn, void *arg)
{
	struct part *part = arg;

	part->pid = spawn_pid(spawn);
	part->pinged = false;
	part->missed = 0;
	log_event(ROLE_STARTED, ipc_role_name(spawn_role(spawn)), (int)part->pid);
	report(part, "sending a role what it needs", send_what_it_needs(part));
}

static void
on_ready(struct part *part)
{
	struct parent *p = part->parent;

	if (part->ready)
		return;
	part->ready = true;
	if (part == &p->part[PART_SIGNER]) {
		link_parts(&p->part[PART_AUTHORITY], part);
		link_parts(&p->part[PART_FRONT], part);
		link_parts(&p->part[PART_COURIER], part);
	}
	tell_manager(p);
}

/* Another try with the same PIN could lock the token, so an operator has to look first. */
static void
hold(struct part *part, const char *cause)
{
	part->held = true;
	spawn_hold(part->spawn);
	log_event(ROLE_HELD, ipc_role_name(spawn_role(part->spawn)), log_text(cause));
	tell_manager(part->parent);
}

static void
on_message(struct spawn *spawn, struct ipc_message *message, void *arg)
{
	struct part *part = arg;
	struct msg_trouble trouble;

	if (message->type == MSG_READY) {
		on_ready(part);
		return;
	}
	if (message->type == MSG_PONG)
		part->pinged = false;
	if (message->type != MSG_TROUBLE || msg_trouble_get(message->body, &trouble) != 0)
		return;
	log_event(FAILURE, "start of a role", err_name((int)trouble.code), trouble.detail, log_text(trouble.text));
	if (trouble.code != ERR_PIN || part != &part->parent->part[PART_SIGNER])
		return;
	part->pin_refused = true;
	hold(part, trouble.text);
}

/* Stops the first that still runs, and the others from on_exited(). */
static void
stop_next(struct parent *p)
{
	size_t i;

	for (i = 0; i < PART_COUNT; i++) {
		spawn_hold(p->part[i].spawn);
		if (!spawn_running(p->part[i].spawn))
			continue;
		spawn_stop(p->part[i].spawn);
		return;
	}
	loop_stop(p->loop);
}

static void
on_exited(struct spawn *spawn, int wait_status, int64_t restart_ms, void *arg)
{
	struct part *part = arg;
	char cause[64];

	struct err e = {0};

	part->ready = false;
	if (part->parent->stopping) {
		stop_next(part->parent);
		return;
	}
	if (part->renewed) {
		part->renewed = false;
		if (spawn_start(spawn, &e) != 0)
			hold(part, e.text);
		return;
	}
	log_event(ROLE_EXITED, ipc_role_name(spawn_role(spawn)), (int)part->pid,
		  spawn_cause(wait_status, cause, sizeof(cause)), (long long)restart_ms);
	tell_manager(part->parent);
}

/* ---- roles that hang --------------------------------------------------------------------------------------------- */

/* Counts looks, not time: if it was the parent that stood still, the answers are there but not read yet. */
static void
look_at(struct part *part)
{
	struct msg_ping ping = {0};

	if (!part->pinged) {
		part->missed = 0;
		part->pinged = true;
		report(part, "asking whether a role is alive", msg_ping_send(spawn_ipc(part->spawn), 0, &ping));
		return;
	}
	if (++part->missed != PINGS_MISSED)
		return;
	log_event(ROLE_HUNG, ipc_role_name(spawn_role(part->spawn)), (int)part->pid, PING_MS * PINGS_MISSED);
	/* Its pid stays its own until board/spawn.c has reaped it. */
	(void)kill(part->pid, SIGKILL);
}

static void
on_watch(void *arg)
{
	struct parent *p = arg;
	size_t i;

	for (i = 0; i < PART_COUNT; i++)
		if (p->part[i].ready && spawn_ipc(p->part[i].spawn) != NULL)
			look_at(&p->part[i]);
	loop_timer_set(p->watch, PING_MS);
}

/* ---- signals ----------------------------------------------------------------------------------------------------- */

static void
on_restart_needed(const char *setting, void *arg)
{
	log_event(CONFIG_RESTART_NEEDED, setting);
}

static void
reload_config(struct parent *p)
{
	const char *path = p->setup->config_path;
	struct err e = {0};
	struct config next;
	size_t i;

	if (config_load(path, &next, &e) != 0) {
		log_event(CONFIG_REFUSED, log_text(e.text));
		return;
	}
	config_reload(&p->setup->config, &next, on_restart_needed, NULL);
	log_init("parent", (enum log_level)log_level_parse(p->setup->config.log_level));
	for (i = 0; i < PART_COUNT; i++)
		if (spawn_ipc(p->part[i].spawn) != NULL)
			report(&p->part[i], "sending a role its configuration", send_config(&p->part[i]));
	log_event(CONFIG_RELOADED, path);
}

/*
 * A next generation of the CA may have been prepared.  Its key is loaded by another signer, as this one is confined and
 * opens no key any more; that takes as long as its start, and who asks meanwhile is told to try again.
 */
static void
reload_chains(struct parent *p)
{
	struct part *authority = &p->part[PART_AUTHORITY];
	struct part *signer = &p->part[PART_SIGNER];
	char folder[sizeof(p->setup->config.paths_state) + 8];
	struct app_chains fresh = {0};
	struct err e = {0};
	bool is_new;

	snprintf(folder, sizeof(folder), "%s/ca", p->setup->config.paths_state);
	if (app_chains_read(folder, &fresh, &e) != 0) {
		log_event(CONFIG_REFUSED, log_text(e.text));
		return;
	}
	is_new = app_chains_adopt(&p->setup->chains, &fresh);
	app_chains_fini(&fresh);
	if (!is_new)
		return;
	if (spawn_ipc(authority->spawn) != NULL)
		report(authority, "sending a role the CA certificates", send_chains(authority));
	if (signer->held || !spawn_running(signer->spawn))
		return;
	signer->renewed = true;
	spawn_stop(signer->spawn);
}

/* An operator says that the PIN is right now.  Asking on the terminal would make the loop wait for a person. */
static void
release_signer(struct parent *p)
{
	struct part *signer = &p->part[PART_SIGNER];
	const char *path = p->setup->config.signer_pin_file;
	struct secret *pin;
	struct err e = {0};

	if (!signer->held || spawn_running(signer->spawn))
		return;
	if (path[0] == '\0') {
		log_event(ROLE_HELD, "signer", log_text("signer.pin_file is empty: stop chanceryd and start it again"));
		return;
	}
	if (secret_read_file(path, APP_PIN_MAX, &pin, &e) != 0) {
		log_event(ROLE_HELD, "signer", log_text(e.text));
		return;
	}
	if (signer->pin_refused && bytes_equal(secret_bytes(pin), secret_bytes(p->setup->pin))) {
		secret_free(pin);
		log_event(ROLE_HELD, "signer",
			  log_text("signer.pin_file still holds the same, refused PIN; "
				   "to try it again, restart chanceryd"));
		return;
	}
	signer->pin_refused = false;
	secret_free(p->setup->pin);
	p->setup->pin = pin;
	signer->held = false;
	if (spawn_start(signer->spawn, &e) != 0)
		hold(signer, e.text);
}

static void
on_hangup(void *arg)
{
	struct parent *p = arg;

	if (p->stopping)
		return;
	/* READY=1 ends a reload, but would also end a start that is not over. */
	if (p->announced)
		notify_reloading();
	reload_config(p);
	reload_chains(p);
	release_signer(p);
	if (p->announced)
		notify_send("READY=1");
	tell_manager(p);
}

static void
on_stop(struct parent *p, const char *cause)
{
	/* The second time somebody is in a hurry: spawn_free() kills what still runs. */
	if (p->stopping) {
		loop_stop(p->loop);
		return;
	}
	p->stopping = true;
	log_event(STOPPING, cause);
	notify_send("STOPPING=1");
	stop_next(p);
}

static void
on_terminate(void *arg)
{
	on_stop(arg, "SIGTERM");
}

static void
on_interrupt(void *arg)
{
	on_stop(arg, "SIGINT");
}

/* ---- start and end ----------------------------------------------------------------------------------------------- */

static int
make_part(struct parent *p, enum part_id id, struct err *e)
{
	const char *environment = p->setup->config.signer_environment;
	struct spawn_functions functions = {on_started, on_message, on_exited, &p->part[id]};
	char path[PATH_MAX];
	struct spawn_program program = {
		.self = kinds[id].role,
		.owner = ROLE_PARENT,
		.path = path,
		.uid = kinds[id].uid,
		.open_files = kinds[id].open_files,
	};
	int rc;

	if (id == PART_SIGNER && environment[0] != '\0')
		program.environment[0] = environment;
	p->part[id].parent = p;
	rc = spawn_find(kinds[id].program, path, sizeof(path), e);
	return rc != 0 ? rc : spawn_new(p->loop, &program, &functions, &p->part[id].spawn);
}

static int
prepare(struct parent *p, struct err *e)
{
	size_t i;
	int rc = loop_new(&p->loop);

	if (rc == 0)
		rc = loop_timer_new(p->loop, on_watch, p, &p->watch);
	if (rc == 0)
		rc = loop_signal(p->loop, SIGHUP, on_hangup, p);
	if (rc == 0)
		rc = loop_signal(p->loop, SIGTERM, on_terminate, p);
	if (rc == 0)
		rc = loop_signal(p->loop, SIGINT, on_interrupt, p);
	for (i = 0; i < PART_COUNT && rc == 0; i++)
		rc = make_part(p, (enum part_id)i, e);
	return rc == 0 ? 0 : err_set(e, rc, 0, "preparing the roles");
}

/* The signer first: its login takes longest. */
static int
start_all(struct parent *p, struct err *e)
{
	int rc = 0;
	int i;

	for (i = PART_COUNT - 1; i >= 0 && rc == 0; i--)
		rc = spawn_start(p->part[i].spawn, e);
	return rc;
}

int
app_parent_run(struct app_parent_setup *setup, struct err *e)
{
	struct parent p = {.setup = setup};
	size_t i;
	int rc = prepare(&p, e);

	if (rc == 0)
		rc = start_all(&p, e);
	if (rc == 0) {
		tell_manager(&p);
		loop_timer_set(p.watch, PING_MS);
		loop_run(p.loop);
	}
	p.stopping = true;
	for (i = 0; i < PART_COUNT; i++)
		spawn_free(p.part[i].spawn);
	loop_timer_free(p.watch);
	loop_free(p.loop);
	return rc == 0 ? 0 : 1;
}
