/*
 * board/base/secret - see secret.h
 */
#include "board/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lives at the start of its own pages, so that locking and MADV_DONTDUMP concern nothing else. */
struct secret {
	size_t mapped;
	size_t len;
	uint8_t data[];
};

int
secret_new(const void *data, size_t len, struct secret **ret_secret)
{
	size_t need = sizeof(struct secret) + len + 1;
	struct secret *secret;

	if (len > SIZE_MAX / 2)
		return ERR_NOMEM;
	secret = mmap(NULL, need, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (secret == MAP_FAILED)
		return ERR_NOMEM;
	/* Both are best effort: RLIMIT_MEMLOCK may be small, and an unlocked secret is better than no service. */
	(void)madvise(secret, need, MADV_DONTDUMP);
	(void)mlock(secret, need);
	secret->mapped = need;
	secret->len = len;
	if (data != NULL && len > 0)
		memcpy(secret->data, data, len);
	*ret_secret = secret;
	return 0;
}

void
secret_free(struct secret *secret)
{
	size_t mapped;

	if (secret == NULL)
		return;
	mapped = secret->mapped;
	secret_wipe(secret, mapped);
	(void)munmap(secret, mapped);
}

struct bytes
secret_bytes(const struct secret *secret)
{
	struct bytes none = {NULL, 0};

	return secret != NULL ? (struct bytes){secret->data, secret->len} : none;
}

uint8_t *
secret_data(struct secret *secret)
{
	return secret->data;
}

void
secret_wipe(void *data, size_t len)
{
	if (len > 0)
		explicit_bzero(data, len);
}

static int
secret_check_file(int fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "secret file %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFIG, 0, "secret file %s is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return err_set(e, ERR_CONFIG, 0,
			       "secret file %s: its group or others may use it (mode %04o, want 0600)", path,
			       (unsigned)(st.st_mode & 07777));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return err_set(e, ERR_CONFIG, 0, "secret file %s belongs to uid %u, not to root or the caller", path,
			       (unsigned)st.st_uid);
	return 0;
}

/* Fills at most size bytes; the number read, or ERR_IO. */
static ssize_t
secret_read_all(int fd, uint8_t *data, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size) {
		n = read(fd, data + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* One line of 1 to max bytes, its end cut off. */
static int
secret_line(struct bytes *line, size_t max, const char *path, struct err *e)
{
	if (line->len > 0 && line->data[line->len - 1] == '\n')
		line->len--;
	if (line->len > 0 && line->data[line->len - 1] == '\r')
		line->len--;
	if (line->len == 0)
		return err_set(e, ERR_CONFIG, 0, "secret file %s is empty", path);
	if (memchr(line->data, '\n', line->len) != NULL)
		return err_set(e, ERR_CONFIG, 0, "secret file %s has more than one line", path);
	if (line->len > max)
		return err_set(e, ERR_CONFIG, 0, "secret file %s is longer than %zu bytes", path, max);
	if (memchr(line->data, '\0', line->len) != NULL)
		return err_set(e, ERR_CONFIG, 0, "secret file %s holds a zero byte", path);
	return 0;
}

static int
secret_read_fd(int fd, const char *path, size_t max, struct secret **ret_secret, struct err *e)
{
	AUTO_STRUCT(secret) raw = NULL;
	struct bytes line;
	ssize_t n;
	int r;

	r = secret_check_file(fd, path, e);
	if (r != 0)
		return r;
	/* Room for the line end, and one more to notice that the file goes on. */
	if (secret_new(NULL, max + 3, &raw) != 0)
		return err_set(e, ERR_IO, ENOMEM, "secret file %s: no memory", path);
	n = secret_read_all(fd, raw->data, max + 3);
	if (n < 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "secret file %s: %s", path, strerror(errno));
	line = (struct bytes){raw->data, (size_t)n};
	r = secret_line(&line, max, path, e);
	if (r != 0)
		return r;
	if (secret_new(line.data, line.len, ret_secret) != 0)
		return err_set(e, ERR_IO, ENOMEM, "secret file %s: no memory", path);
	return 0;
}

int
secret_read_file(const char *path, size_t max, struct secret **ret_secret, struct err *e)
{
	/* O_NONBLOCK: a FIFO in its place must not hold us up. */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r;

	if (fd < 0 && errno == ELOOP)
		return err_set(e, ERR_CONFIG, ELOOP, "secret file %s is a symbolic link", path);
	if (fd < 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "secret file %s: %s", path, strerror(errno));
	r = secret_read_fd(fd, path, max, ret_secret, e);
	(void)close(fd);
	return r;
}
