#include "board/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
io_error(struct err *e, const char *step, const char *path)
{
	int saved = errno;

	return err_set(e, saved == ENOENT ? ERR_UNKNOWN : ERR_IO, (uint32_t)saved, "%s %s: %s", step, path,
		       strerror(saved));
}

static int
read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	uint8_t part[4096];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return io_error(e, "read", path);
		buf_put_raw(out, part, (size_t)n);
	}
	if (buf_status(out) != 0)
		return err_set(e, buf_status(out), 0, "%s: larger than %zu bytes", path, out->limit);
	return 0;
}

int
file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int code;

	if (fd < 0)
		return io_error(e, "open", path);
	code = read_all(fd, path, out, e);
	(void)close(fd);
	return code;
}

static int
write_all(int fd, struct bytes v)
{
	size_t done = 0;
	ssize_t n;

	while (done < v.len) {
		n = write(fd, v.data + done, v.len - done);
		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return fsync(fd);
}

static int
sync_directory(const char *path)
{
	char directory[PATH_MAX];
	char *slash;
	int fd;
	int result;

	(void)snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (slash == NULL)
		(void)snprintf(directory, sizeof(directory), ".");
	else
		slash[slash == directory ? 1 : 0] = '\0';
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	result = fsync(fd);
	(void)close(fd);
	return result;
}

int
file_replace(const char *path, mode_t mode, struct bytes v, struct err *e)
{
	char temporary[PATH_MAX];
	int code = 0;
	int fd;

	if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary))
		return err_set(e, ERR_IO, 0, "%s: path too long", path);
	(void)unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return io_error(e, "create", temporary);
	if (fchmod(fd, mode) != 0 || write_all(fd, v) != 0)
		code = io_error(e, "write", temporary);
	if (close(fd) != 0 && code == 0)
		code = io_error(e, "close", temporary);
	if (code == 0 && rename(temporary, path) != 0)
		code = io_error(e, "rename to", path);
	if (code != 0) {
		(void)unlink(temporary);
		return code;
	}
	if (sync_directory(path) != 0)
		return io_error(e, "fsync the directory of", path);
	return 0;
}

int
file_mkdir(const char *path, mode_t mode, uid_t owner, struct err *e)
{
	struct stat st;

	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) != 0 || chown(path, owner, owner) != 0)
			return io_error(e, "set mode and owner of", path);
		return 0;
	}
	if (errno != EEXIST)
		return io_error(e, "mkdir", path);
	if (stat(path, &st) != 0)
		return io_error(e, "stat", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_IO, ENOTDIR, "%s is not a directory", path);
	/* Somebody was interrupted between making it and handing it over. */
	if (st.st_uid != owner && st.st_uid == 0 && geteuid() == 0 && chown(path, owner, owner) != 0)
		return io_error(e, "set owner of", path);
	return 0;
}
