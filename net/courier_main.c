/*
 * chancery-courier - the role that calls others: registration points and the like; nobody calls it
 */
#include <stdlib.h>
#include <unistd.h>

#include "board/base/log.h"
#include "board/role.h"
#include "net/courier.h"

enum { STOP_POLL_MS = 20, STOP_POLLS = 200 };

/* A process is one courier. */
static struct {
	struct net_courier *courier;
	struct err trouble; /* what went wrong before on_start */
	struct loop_timer *stop_timer;
	int stop_polls;
} self;

static void
on_config(const struct config *conf, void *arg)
{
	/* What it needs comes with MSG_POLICY_MODULE. */
	if (self.courier == NULL && self.trouble.code == 0 && net_https_init(&self.trouble) == 0 &&
	    net_courier_new(role_loop(), &self.courier) != 0)
		err_set(&self.trouble, ERR_NOMEM, 0, "courier");
}

static void
on_peer(enum role peer, unsigned index, int fd, void *arg)
{
	int code = self.courier == NULL ? ERR_STAGE : net_courier_peer(self.courier, peer, fd);

	if (code == 0)
		return;
	close(fd);
	log_event(FAILURE, "opening a channel", err_name(code), index, log_text(ipc_role_name(peer)));
}

static void
on_start(void *arg)
{
	if (self.courier == NULL) {
		role_trouble(&self.trouble);
		return;
	}
	role_confine();
	role_ready();
}

static void
on_stop_poll(void *arg)
{
	if (net_courier_open(self.courier) > 0 && ++self.stop_polls < STOP_POLLS)
		loop_timer_set(self.stop_timer, STOP_POLL_MS);
	else
		role_exit(0);
}

/* Calls that are under way may end by themselves. */
static void
on_stop(void *arg)
{
	if (self.stop_timer != NULL)
		return;
	if (self.courier == NULL || loop_timer_new(role_loop(), on_stop_poll, NULL, &self.stop_timer) != 0)
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
		.on_start = on_start,
		.on_stop = on_stop,
	};

	/* Threads that still wait for a server are not waited for. */
	_exit(role_run(ROLE_COURIER, &functions));
}
