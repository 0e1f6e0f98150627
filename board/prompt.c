#include "board/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 512 };

/* One line, byte by byte: nothing of the secret stays in a stdio buffer. */
static size_t
read_line(int fd, uint8_t *line, size_t size)
{
	size_t len = 0;
	uint8_t c;

	while (len < size && read(fd, &c, 1) == 1 && c != '\n' && c != '\r')
		line[len++] = c;
	return len;
}

int
prompt_secret(const char *question, size_t max, struct secret **ret_secret, struct err *e)
{
	uint8_t line[LINE_MAX_BYTES];
	struct termios before;
	struct termios silent;
	size_t len;
	int code;
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &before) != 0) {
		code = err_set(e, ERR_IO, (uint32_t)errno, "%s: there is no terminal to ask on; name a file instead",
			       question);
		if (fd >= 0)
			(void)close(fd);
		return code;
	}
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	(void)tcsetattr(fd, TCSAFLUSH, &silent);
	(void)dprintf(fd, "%s: ", question);
	len = read_line(fd, line, sizeof(line));
	(void)tcsetattr(fd, TCSAFLUSH, &before);
	(void)dprintf(fd, "\n");
	(void)close(fd);
	if (len == 0 || len > max)
		code = err_set(e, ERR_CONFIG, 0, "%s: 1 to %zu characters are wanted", question, max);
	else
		code = secret_new(line, len, ret_secret);
	secret_wipe(line, sizeof(line));
	return code;
}
