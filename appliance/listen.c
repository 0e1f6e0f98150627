#include "appliance/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "board/base/log.h"
#include "board/config_check.h"
#include "board/msg.h"

enum { CONTROL_BACKLOG = 16, ADDRESS_TEXT = 80 };

struct address {
	struct sockaddr_storage socket;
	socklen_t len;
};

void
app_listen_init(struct app_listeners *listeners)
{
	memset(listeners, 0, sizeof(*listeners));
	listeners->lock_fd = -1;
}

void
app_listen_close(struct app_listeners *listeners)
{
	size_t i;

	for (i = 0; i < listeners->count; i++)
		close(listeners->item[i].fd);
	if (listeners->control[0] != '\0')
		(void)unlink(listeners->control);
	if (listeners->lock_fd >= 0)
		close(listeners->lock_fd);
	app_listen_init(listeners);
}

/* Takes fd, also on failure. */
static int
keep(struct app_listeners *listeners, int kind, unsigned index, int fd, struct err *e)
{
	if (listeners->count == LISTEN_MAX) {
		close(fd);
		return err_set(e, ERR_IO, 0, "more than %d listeners; list fewer addresses or loops", LISTEN_MAX);
	}
	listeners->item[listeners->count++] = (struct app_listener){kind, index, fd};
	return 0;
}

static char *
address_text(const struct address *address, char *out, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->socket.ss_family == AF_INET) {
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
	}
	return out;
}

/* "[::]:80" means every address; on a machine without IPv6 those are the IPv4 ones. */
static void
fall_back_to_v4(struct address *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
	int fd;

	if (v6->sin6_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
		return;
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		close(fd);
		return;
	}
	memcpy(&address->socket, &v4, sizeof(v4));
	address->len = sizeof(v4);
}

/* A bound socket; the caller closes it.  -1 and errno on failure. */
static int
bind_one(const struct address *address, bool shared)
{
	const int on = 1;
	const int off = 0;
	int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
	    (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
	    (address->socket.ss_family != AF_INET6 ||
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == 0) &&
	    bind(fd, (const struct sockaddr *)&address->socket, address->len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
bind_failed(const struct address *address, struct err *e)
{
	char text[ADDRESS_TEXT];

	return err_set(e, ERR_IO, (uint32_t)errno, "listening on %s: %s", address_text(address, text, sizeof(text)),
		       strerror(errno));
}

/*
 * Sockets with SO_REUSEPORT would share the port with another chanceryd's without a word.  A socket without it finds
 * out whether somebody listens; between the two nobody else with our user id is expected.
 */
static int
check_unused(const struct address *address, struct err *e)
{
	int fd = bind_one(address, false);

	if (fd < 0)
		return bind_failed(address, e);
	close(fd);
	return 0;
}

static const char *
kind_name(int kind)
{
	if (kind == LISTEN_ADMIN)
		return "admin";
	if (kind == LISTEN_REGISTRATION)
		return "registration";
	return kind == LISTEN_HTTPS ? "https" : "http";
}

/* One socket for each loop.  Port 0 becomes a real number with the first, and the others take the same. */
static int
open_address(const struct config *conf, int kind, struct address *address, struct app_listeners *listeners,
	     struct err *e)
{
	char text[ADDRESS_TEXT];
	unsigned i;
	int rc;

	fall_back_to_v4(address);
	rc = check_unused(address, e);
	for (i = 0; i < (unsigned)conf->front_loops && rc == 0; i++) {
		int fd = bind_one(address, true);

		if (fd < 0)
			return bind_failed(address, e);
		if (listen(fd, conf->front_backlog) != 0 ||
		    getsockname(fd, (struct sockaddr *)&address->socket, &address->len) != 0) {
			rc = bind_failed(address, e);
			close(fd);
			return rc;
		}
		rc = keep(listeners, kind, i, fd, e);
	}
	if (rc == 0)
		log_event(LISTENING, kind_name(kind), address_text(address, text, sizeof(text)));
	return rc;
}

static int
open_list(const struct config *conf, int kind, const char *list, struct app_listeners *listeners, struct err *e)
{
	const char *word;
	size_t len;
	int rc = 0;

	while (rc == 0 && (word = config_check_word(&list, &len)) != NULL) {
		struct address address;

		memset(&address, 0, sizeof(address));
		rc = config_check_address(word, len, &address.socket, &address.len);
		if (rc != 0)
			return err_set(e, rc, 0, "\"%.*s\" is not ADDRESS:PORT", (int)len, word);
		rc = open_address(conf, kind, &address, listeners, e);
	}
	return rc;
}

/* Held as long as this process lives, so what an older one left behind can be told from what a living one uses. */
static int
take_lock(const struct config *conf, struct app_listeners *listeners, struct err *e)
{
	char path[sizeof(conf->paths_run) + 16];

	snprintf(path, sizeof(path), "%s/chanceryd.lock", conf->paths_run);
	listeners->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (listeners->lock_fd < 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
	if (flock(listeners->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "another chanceryd runs already (it holds %s)", path);
	return 0;
}

static int
remove_stale(const char *path, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_IO, 0, "%s is in the way and no socket", path);
	if (unlink(path) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "removing %s: %s", path, strerror(errno));
	return 0;
}

static int
open_control(const struct config *conf, struct app_listeners *listeners, struct err *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[sizeof(listeners->control)];
	mode_t mask;
	int fd;
	int rc;

	snprintf(path, sizeof(path), "%s/control", conf->paths_run);
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >= (int)sizeof(address.sun_path))
		return err_set(e, ERR_IO, 0, "%s is too long for a socket; choose a shorter paths.run", path);
	rc = remove_stale(path, e);
	if (rc != 0)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "control socket: %s", strerror(errno));
	mask = umask(0177);
	rc = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (rc != 0 || listen(fd, CONTROL_BACKLOG) != 0) {
		rc = err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", path, strerror(errno));
		close(fd);
		return rc;
	}
	memcpy(listeners->control, path, sizeof(path));
	log_event(LISTENING, "control", path);
	return keep(listeners, LISTEN_CONTROL, 0, fd, e);
}

int
app_listen_open(const struct config *conf, struct app_listeners *listeners, struct err *e)
{
	int rc = take_lock(conf, listeners, e);

	if (rc == 0)
		rc = open_list(conf, LISTEN_HTTP, conf->front_http, listeners, e);
	if (rc == 0)
		rc = open_list(conf, LISTEN_HTTPS, conf->front_https, listeners, e);
	if (rc == 0)
		rc = open_list(conf, LISTEN_ADMIN, conf->front_admin_https, listeners, e);
	if (rc == 0)
		rc = open_list(conf, LISTEN_REGISTRATION, conf->front_registration_https, listeners, e);
	if (rc == 0)
		rc = open_control(conf, listeners, e);
	return rc;
}
