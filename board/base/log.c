/*
 * board/base/log - see log.h
 */
#include "board/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "board/base/clock.h"

enum {
	LOG_LINE = 4096, /* PIPE_BUF: a line goes into the pipe whole or not at all */
	LOG_FD = 2,
	LOG_TEXT_MAX = 200,
	LOG_TEXT_BUFFERS = 16,
	LOG_TEXT_SIZE = LOG_TEXT_MAX * 4 + 8, /* \xNN each, two quotes, "...", NUL */
};

static const struct {
	const char *name;
	enum log_level level;
} events[LOG_COUNT] = {
#define EVENT(name_, level_, fmt_, help_) {#name_, LOG_LEVEL_##level_},
#include "board/base/log.def"
#undef EVENT
};

/* The event of NDES that an event always is; 0: none, or it depends. */
static const uint8_t ndes[LOG_COUNT] = {
#define NDES(event_, number_, help_) [LOG_##event_] = (number_),
#define NDES_FIELD(event_, number_, help_)
#include "board/base/ndes.def"
#undef NDES
#undef NDES_FIELD
};

static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};

static _Atomic(const char *) log_role = "none";
static atomic_int log_limit = LOG_LEVEL_INFO;
static atomic_ullong log_lost;

/* Guards rate; held for a few instructions only, never while writing. */
static pthread_mutex_t rate_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	int64_t second;
	unsigned seen;
	unsigned long long suppressed;
} rate[LOG_COUNT];
static int64_t rate_second;
static bool rate_owed; /* some event of rate has suppressed lines that were not reported */

void
log_init(const char *role, enum log_level level)
{
	atomic_store(&log_role, role);
	atomic_store(&log_limit, (int)level);
}

int
log_level_parse(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(word, level_names[i]) == 0)
			return (int)i;
	}
	return -1;
}

/* "time=2026-11-22T12:00:00.123Z role=front level=info event=NAME ", and perhaps "ndes=NUMBER " */
static size_t
log_prefix(enum log_id id, char *line, size_t size)
{
	int64_t now = clock_wall_ms();
	time_t second = (time_t)(now / 1000);
	struct tm tm = {0};
	char number[16] = "";
	char day[32];
	int n;

	(void)gmtime_r(&second, &tm);
	if (strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		day[0] = '\0';
	if (ndes[id] != 0)
		snprintf(number, sizeof(number), "ndes=%u ", (unsigned)ndes[id]);
	n = snprintf(line, size, "time=%s.%03uZ role=%s level=%s event=%s %s", day, (unsigned)(now % 1000) % 1000,
		     atomic_load(&log_role), level_names[events[id].level], events[id].name, number);
	return n < 0 ? 0 : ((size_t)n < size ? (size_t)n : size - 1);
}

/* Writes one line; false when it was lost. */
static bool PRINTF_LIKE(2, 0) log_emit(enum log_id id, const char *fmt, va_list ap)
{
	char line[LOG_LINE];
	size_t len = log_prefix(id, line, sizeof(line));
	int n = vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	ssize_t done;

	if (n > 0)
		len += (size_t)n < sizeof(line) - len ? (size_t)n : sizeof(line) - len - 1;
	/* Whatever a caller forgot to escape must not look like another line. */
	for (size_t i = 0; i < len; i++) {
		if (line[i] < 0x20 || line[i] > 0x7e)
			line[i] = '?';
	}
	while (len > 0 && line[len - 1] == ' ')
		len--;
	line[len++] = '\n';
	do
		done = write(LOG_FD, line, len);
	while (done < 0 && errno == EINTR);
	return done >= 0;
}

static bool PRINTF_LIKE(2, 3) log_emit_args(enum log_id id, const char *fmt, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = log_emit(id, fmt, ap);
	va_end(ap);
	return ok;
}

/* True when the event may be logged; else it was counted. */
static bool
rate_admit(enum log_id id, int64_t now)
{
	bool admit;

	pthread_mutex_lock(&rate_lock);
	if (rate[id].second != now) {
		rate[id].second = now;
		rate[id].seen = 0;
	}
	admit = rate[id].seen < LOG_BURST;
	if (admit) {
		rate[id].seen++;
	} else {
		rate[id].suppressed++;
		rate_owed = true;
	}
	pthread_mutex_unlock(&rate_lock);
	return admit;
}

/* Takes the suppressed lines of events whose second is over; false when there are none to report now. */
static bool
rate_take_owed(int64_t now, unsigned long long counts[LOG_COUNT])
{
	bool any = false;

	pthread_mutex_lock(&rate_lock);
	if (rate_owed && rate_second != now) {
		rate_second = now;
		rate_owed = false;
		for (size_t i = 0; i < LOG_COUNT; i++) {
			bool over = rate[i].second != now;

			counts[i] = over ? rate[i].suppressed : 0;
			rate[i].suppressed -= counts[i];
			any = any || counts[i] > 0;
			rate_owed = rate_owed || rate[i].suppressed > 0;
		}
	}
	pthread_mutex_unlock(&rate_lock);
	return any;
}

static void
log_count_lost(unsigned long long count)
{
	atomic_fetch_add(&log_lost, count);
}

static void
log_report_owed(int64_t now)
{
	unsigned long long counts[LOG_COUNT];

	if (!rate_take_owed(now, counts))
		return;
	for (size_t i = 0; i < LOG_COUNT; i++) {
		if (counts[i] > 0 &&
		    !log_emit_args(LOG_LOG_SUPPRESSED, LOG_FORMAT_LOG_SUPPRESSED, events[i].name, counts[i]))
			log_count_lost(1);
	}
}

static void
log_report_lost(void)
{
	unsigned long long lost = atomic_exchange(&log_lost, 0);

	if (lost > 0 && !log_emit_args(LOG_LOG_DROPPED, LOG_FORMAT_LOG_DROPPED, lost))
		log_count_lost(lost);
}

void
log_write(enum log_id id, const char *fmt, ...)
{
	int saved = errno;
	int64_t now = clock_mono_ms() / 1000;
	va_list ap;

	if ((int)events[id].level > atomic_load_explicit(&log_limit, memory_order_relaxed))
		return;
	log_report_owed(now);
	if (rate_admit(id, now)) {
		log_report_lost();
		va_start(ap, fmt);
		if (!log_emit(id, fmt, ap))
			log_count_lost(1);
		va_end(ap);
	}
	errno = saved;
}

/* The next of this thread's buffers. */
static char *
text_buffer(void)
{
	static __thread char buffers[LOG_TEXT_BUFFERS][LOG_TEXT_SIZE];
	static __thread unsigned next;

	return buffers[next++ % LOG_TEXT_BUFFERS];
}

const char *
log_text(const char *s)
{
	return log_bytes((struct bytes){(const uint8_t *)s, s != NULL ? strnlen(s, LOG_TEXT_MAX + 1) : 0});
}

const char *
log_bytes(struct bytes v)
{
	static const char digit[] = "0123456789abcdef";
	char *out = text_buffer();
	char *p = out;

	*p++ = '"';
	for (size_t i = 0; i < v.len && i < LOG_TEXT_MAX; i++) {
		uint8_t c = v.data[i];

		if (c >= 0x20 && c <= 0x7e && c != '"' && c != '\\') {
			*p++ = (char)c;
			continue;
		}
		*p++ = '\\';
		*p++ = 'x';
		*p++ = digit[c >> 4];
		*p++ = digit[c & 15];
	}
	*p++ = '"';
	(void)snprintf(p, (size_t)(out + LOG_TEXT_SIZE - p), "%s", v.len > LOG_TEXT_MAX ? "..." : "");
	return out;
}

const char *
log_hex(struct bytes v)
{
	char *out = text_buffer();
	size_t len = v.len < LOG_TEXT_MAX ? v.len : LOG_TEXT_MAX;

	bytes_hex((struct bytes){v.data, len}, out, LOG_TEXT_SIZE);
	if (v.len > len)
		(void)snprintf(out + 2 * len, LOG_TEXT_SIZE - 2 * len, "...");
	return out;
}
