#include "board/notify.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "board/base/clock.h"

enum { NOTICE_MAX = 512 };

/* False when the manager did not give a usable address. */
static bool
manager_address(struct sockaddr_un *address, socklen_t *ret_len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path != NULL ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(address->sun_path) || (path[0] != '/' && path[0] != '@'))
		return false;
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, len);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	else
		++*ret_len;
	return true;
}

void
notify_send(const char *fmt, ...)
{
	struct sockaddr_un address;
	socklen_t address_len;
	char notice[NOTICE_MAX];
	va_list args;
	int fd;

	if (!manager_address(&address, &address_len))
		return;
	va_start(args, fmt);
	vsnprintf(notice, sizeof(notice), fmt, args);
	va_end(args);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)!sendto(fd, notice, strlen(notice), MSG_NOSIGNAL, (struct sockaddr *)&address, address_len);
	close(fd);
}

void
notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
}
