/*
 * board/rolelog: whatever a role writes to its log, the parent's log has lines of that role or of the parent alone, and
 * no octet that steers a terminal.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board/base/log.h"
#include "board/rolelog.h"
#include "tests/fuzz/ground.h"

static struct loop *loop;
static int out = -1; /* what the parent's log goes to */

static void
check_line(const char *line, size_t len)
{
	static const char front[] = " role=front level=", parent[] = " role=parent level=";
	const char *blank = memchr(line, ' ', len);

	HOLDS(len > 5 && memcmp(line, "time=", 5) == 0 && blank != NULL);
	HOLDS(strncmp(blank, front, sizeof(front) - 1) == 0 || strncmp(blank, parent, sizeof(parent) - 1) == 0);
	for (size_t i = 0; i < len; i++)
		HOLDS(line[i] >= ' ' && line[i] <= '~');
}

static void
check_log(void)
{
	off_t size = lseek(out, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1), *line = text, *end;

	HOLDS(pread(out, text, (size_t)size, 0) == size);
	while ((end = strchr(line, '\n')) != NULL) {
		check_line(line, (size_t)(end - line));
		line = end + 1;
	}
	HOLDS(*line == '\0');
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int saved = dup(STDERR_FILENO), fd;
	struct rolelog *log;

	if (loop == NULL)
		HOLDS(loop_new(&loop) == 0 && (out = memfd_create("log", MFD_CLOEXEC)) >= 0);
	HOLDS(ftruncate(out, 0) == 0 && lseek(out, 0, SEEK_SET) == 0 && fcntl(out, F_SETFL, O_APPEND) == 0);
	log_init("parent", LOG_LEVEL_DEBUG);
	HOLDS(rolelog_new(loop, "front", &log, &fd, NULL) == 0);
	HOLDS(size == 0 || write(fd, data, size) == (ssize_t)size);
	close(fd);
	HOLDS(dup2(out, STDERR_FILENO) == STDERR_FILENO);
	for (int i = 0; i < 3; i++)
		loop_run_once(loop, 0);
	rolelog_free(log);
	HOLDS(dup2(saved, STDERR_FILENO) == STDERR_FILENO);
	close(saved);
	log_init("fuzz", (enum log_level) - 1);
	check_log();
	return 0;
}

void
fuzz_seeds(void)
{
	ground_seed("own", bytes_of_text("time=2026-11-22T12:00:00.000Z role=front level=notice event=X a=b\n"));
	ground_seed("forged",
		    bytes_of_text("time=2026-11-22T12:00:00.000Z role=parent level=notice event=X\n\x1b[31m"));
	ground_seed("sanitizer", bytes_of_text("==1==ERROR: \n\n\nx\r\ntime= role=front level=\n"));
}
