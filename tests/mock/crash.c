#include "tests/mock/crash.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static __thread unsigned last; /* step that this thread does not live to see the end of; 0: none */
static __thread unsigned steps;

void
mock_crash_begin(unsigned n)
{
	last = n;
	steps = 0;
}

unsigned
mock_crash_end(void)
{
	last = 0;
	return steps;
}

static void
step(void)
{
	steps++;
	if (last != 0 && steps == last)
		raise(SIGKILL);
}

/* What would have been called without us. */
#define NEXT(name)                                                                                                     \
	static __typeof__(&name) next;                                                                                 \
                                                                                                                       \
	if (next == NULL)                                                                                              \
		*(void **)&next = dlsym(RTLD_NEXT, #name);                                                             \
	step();

EXPORT int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list arguments;
	NEXT(open)

	va_start(arguments, flags);
	if ((flags & O_CREAT) != 0)
		mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return next(path, flags, mode);
}

EXPORT int
ftruncate(int fd, off_t length)
{
	NEXT(ftruncate)
	return next(fd, length);
}

EXPORT int
fflush(FILE *file)
{
	NEXT(fflush)
	return next(file);
}

EXPORT int
fclose(FILE *file)
{
	NEXT(fclose)
	return next(file);
}

EXPORT int
remove(const char *path)
{
	NEXT(remove)
	return next(path);
}
