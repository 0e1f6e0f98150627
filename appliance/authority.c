/*
 * appliance/authority - the role that decides: glue between board/role and the modules around appliance/state
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "appliance/state.h"
#include "board/base/log.h"
#include "board/role.h"

enum { STOP_POLL_MS = 20, STOP_POLLS = 200 };

/* A process is one authority, so this is one of the few places with a variable of its own. */
static struct {
	struct app_authority state;
	bool prepared;
	bool opened;
	struct err trouble; /* what went wrong before on_start */
	int listener;       /* the control socket until on_start; -1: none */
	struct loop_timer *stop_timer;
	int stop_polls;
} self = {.listener = -1};

static void
prepare(void)
{
	if (self.prepared)
		return;
	self.prepared = true;
	app_state_init(&self.state, role_loop());
}

static void
on_config(const struct config *conf, void *arg)
{
	struct err e = {0};

	prepare();
	self.state.refused[0] = '\0';
	if (app_state_configure(&self.state, conf, &e) == 0)
		return;
	snprintf(self.state.refused, sizeof(self.state.refused), "configuration refused: %s", e.text);
	log_event(CONFIG_REFUSED, log_text(e.text));
	/* At a reload the old templates stay in force; without any the role cannot work. */
	if (!self.opened && self.trouble.code == 0)
		self.trouble = e;
}

static void
on_peer(enum role peer, unsigned index, int fd, void *arg)
{
	int status = ERR_DENIED;

	if (peer == ROLE_SIGNER)
		status = app_link_signer(&self.state, fd);
	else if (peer == ROLE_FRONT)
		status = app_link_front(&self.state, index, fd);
	else if (peer == ROLE_COURIER)
		status = app_policy_courier(&self.state, fd);
	if (status == 0)
		return;
	close(fd);
	log_event(FAILURE, "opening a channel", err_name(status), 0U, log_text(ipc_role_name(peer)));
}

static void
listen_control(int fd)
{
	int status = app_control_listen(&self.state, fd);

	if (status == 0)
		return;
	close(fd);
	log_event(FAILURE, "opening the control socket", err_name(status), 0U, log_text(""));
}

static void
on_listener(int kind, unsigned index, int fd, void *arg)
{
	if (kind != LISTEN_CONTROL || self.opened || self.listener >= 0) {
		close(fd);
		return;
	}
	/* Commands need the store; until it is open the kernel keeps callers waiting. */
	self.listener = fd;
}

static void
on_secret(int kind, struct bytes secret, void *arg)
{
	struct secret *copy;

	if (kind != SECRET_CHALLENGE || secret.len == 0)
		return;
	if (secret_new(secret.data, secret.len, &copy) != 0) {
		log_event(FAILURE, "taking the static challenge", err_name(ERR_NOMEM), 0U, log_text(""));
		return;
	}
	secret_free(self.state.static_challenge);
	self.state.static_challenge = copy;
}

static void
on_ca_chain(const struct msg_ca_chain *chain, void *arg)
{
	struct err e = {0};

	if (app_generation_take(&self.state, chain, &e) == 0)
		return;
	if (self.opened)
		log_event(CONFIG_REFUSED, log_text(e.text));
	else if (self.trouble.code == 0)
		self.trouble = e;
}

static void
on_broken(void)
{
	role_exit(1);
}

static void
on_start(void *arg)
{
	struct err e = self.trouble;

	self.state.on_ready = role_ready;
	self.state.on_broken = on_broken;
	if (e.code != 0 || app_state_open(&self.state, &e) != 0) {
		role_trouble(&e);
		return;
	}
	self.opened = true;
	if (self.listener >= 0)
		listen_control(self.listener);
	self.listener = -1;
	role_confine();
}

static void
on_stop_poll(void *arg)
{
	if (app_state_busy(&self.state) && ++self.stop_polls < STOP_POLLS)
		loop_timer_set(self.stop_timer, STOP_POLL_MS);
	else
		role_exit(0);
}

/* What was accepted is finished first, within what the parent grants. */
static void
on_stop(void *arg)
{
	app_state_stop(&self.state);
	if (self.stop_timer != NULL)
		return;
	if (loop_timer_new(role_loop(), on_stop_poll, NULL, &self.stop_timer) != 0)
		role_exit(0);
	else
		loop_timer_set(self.stop_timer, 0);
}

int
main(void)
{
	static const struct role_functions functions = {
		.on_config = on_config,
		.on_peer = on_peer,
		.on_listener = on_listener,
		.on_secret = on_secret,
		.on_ca_chain = on_ca_chain,
		.on_start = on_start,
		.on_stop = on_stop,
	};
	int status = role_run(ROLE_AUTHORITY, &functions);

	if (self.prepared)
		app_state_fini(&self.state);
	loop_timer_free(self.stop_timer);
	return status;
}
