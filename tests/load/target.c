#include "tests/load/target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SOURCES_MAX = 65536, TEXT_MAX = 300 };

#define OWN_FIRST 0x7f010001u /* 127.1.0.1 */

static int
host_find(const char *host, const char *port, struct target *target, struct err *e)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	int code = getaddrinfo(host, port, &hints, &found);

	if (code != 0)
		return err_set(e, ERR_UNKNOWN, 0, "%s: %s", host, gai_strerror(code));
	memcpy(&target->address, found->ai_addr, found->ai_addrlen);
	target->address_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

/* Splits "HOST:PORT" or "[HOST]:PORT" in place; the port is 80 when there is none. */
static int
host_split(char *text, char **ret_host, const char **ret_port)
{
	char *end;

	*ret_port = "80";
	*ret_host = text;
	if (*text == '[') {
		*ret_host = text + 1;
		end = strchr(text, ']');
		if (end == NULL)
			return ERR_FORMAT;
		*end++ = '\0';
	} else {
		end = text + strcspn(text, ":");
	}
	if (*end == ':') {
		*end = '\0';
		*ret_port = end + 1;
	}
	return **ret_host != '\0' && **ret_port != '\0' ? 0 : ERR_FORMAT;
}

int
target_parse(const char *url, struct target *ret_target, struct err *e)
{
	static const char scheme[] = "http://";
	struct target target = {.source_count = 0};
	char authority[TARGET_HOST_SIZE];
	const char *path;
	const char *port;
	char *host;
	size_t len;
	int status;

	if (strncasecmp(url, scheme, strlen(scheme)) != 0)
		return err_set(e, ERR_FORMAT, 0, "a URL of plain HTTP is wanted: http://HOST[:PORT]/PATH");
	url += strlen(scheme);
	len = strcspn(url, "/");
	path = url[len] == '/' ? url + len : "/scep";
	if (len >= sizeof(authority) || strlen(path) >= sizeof(target.path) || strpbrk(path, "?# \r\n") != NULL)
		return err_set(e, ERR_FORMAT, 0, "the URL is too long, or has a query");
	(void)snprintf(target.host, sizeof(target.host), "%.*s", (int)len, url);
	(void)snprintf(target.path, sizeof(target.path), "%s", path);
	memcpy(authority, target.host, sizeof(authority));
	if (host_split(authority, &host, &port) != 0)
		return err_set(e, ERR_FORMAT, 0, "the URL has no host");
	status = host_find(host, port, &target, e);
	if (status != 0)
		return status;
	*ret_target = target;
	return 0;
}

int
target_sources(struct target *target, const char *text, struct err *e)
{
	char first[TEXT_MAX];
	struct in_addr low;
	struct in_addr high;
	const char *dash = strchr(text, '-');
	uint32_t count;

	if (strlen(text) >= sizeof(first))
		return err_set(e, ERR_FORMAT, 0, "too long");
	(void)snprintf(first, sizeof(first), "%.*s", dash != NULL ? (int)(dash - text) : (int)strlen(text), text);
	if (inet_pton(AF_INET, first, &low) != 1 || inet_pton(AF_INET, dash != NULL ? dash + 1 : first, &high) != 1)
		return err_set(e, ERR_FORMAT, 0, "an IPv4 address, or two with \"-\" between them, are wanted");
	count = ntohl(high.s_addr) - ntohl(low.s_addr) + 1;
	if (ntohl(high.s_addr) < ntohl(low.s_addr) || count > SOURCES_MAX)
		return err_set(e, ERR_FORMAT, 0, "1 to %d addresses are wanted", SOURCES_MAX);
	target->source_first = ntohl(low.s_addr);
	target->source_count = count;
	return 0;
}

void
target_spread(struct target *target, size_t connections)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)&target->address;

	if (target->source_count > 0 || connections <= TARGET_PER_SOURCE || to->sin_family != AF_INET ||
	    ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return;
	target->source_first = OWN_FIRST;
	target->source_count = (uint32_t)(connections / TARGET_PER_SOURCE + 1);
}

static int
source_bind(const struct target *target, size_t number, int fd)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int one = 1;

	if (target->source_count == 0)
		return 0;
	from.sin_addr.s_addr = htonl(target->source_first + (uint32_t)(number % target->source_count));
	/* The port is chosen at connect(), among those free for this pair of addresses. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&from, sizeof(from));
}

int
target_dial(const struct target *target, size_t number)
{
	int one = 1;
	int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (source_bind(target, number, fd) == 0 &&
	    (connect(fd, (const struct sockaddr *)&target->address, target->address_len) == 0 || errno == EINPROGRESS))
		return fd;
	saved = errno;
	(void)close(fd);
	errno = saved;
	return -1;
}
