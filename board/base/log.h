/*
 * board/base/log - one line per event, from one catalogue
 *
 * log.def lists every event with its level, its fields and what it means for the operator.  A line is
 * "time=... role=... level=... event=... key=value ..." on standard error.  Text that came from a peer goes through
 * log_text(), which escapes it.  An event that NDES has too says the number that it has there, "ndes=29" (ndes.def).
 * An event that repeats more than LOG_BURST times a second is suppressed and counted.
 *
 * Threads:  any.  A write that would block is dropped and counted, never waited for.
 */
#ifndef BOARD_BASE_LOG_H
#define BOARD_BASE_LOG_H

#include "board/base/buf.h"
#include "board/base/cleanup.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_id {
#define EVENT(name, level, fmt, help) LOG_##name,
#include "board/base/log.def"
#undef EVENT
	LOG_COUNT
};

/* The compiler checks the arguments of log_event() against these. */
#define EVENT(name, level, fmt, help) static const char LOG_FORMAT_##name[] __attribute__((unused)) = fmt;
#include "board/base/log.def"
#undef EVENT

enum { LOG_BURST = 200 };

/* Logs an event of the catalogue: log_event(ENROLL_ISSUED, serial, …).  Arguments as its format says. */
#define log_event(name, ...) log_write(LOG_##name, LOG_FORMAT_##name, ##__VA_ARGS__)

/* What log_event() calls. */
void log_write(enum log_id id, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Names this process in its lines and leaves out what is less urgent than level.  role is kept, not copied. */
void log_init(const char *role, enum log_level level);

/* From "error", "warning", "notice", "info", "debug"; -1 for other words. */
int log_level_parse(const char *word);

/*
 * s quoted and escaped for a log line: printable ASCII as it is, all else as \xNN, cut after 200 characters.  The
 * answer lives in one of 16 buffers of the calling thread, which take turns.
 */
const char *log_text(const char *s);

/* The same for bytes. */
const char *log_bytes(struct bytes v);

/* The same for bytes as hexadecimal, unquoted. */
const char *log_hex(struct bytes v);

#endif
