/*
 * board/base/clock - wall and monotonic time, which tests can set
 *
 * Threads:  any.  clock_set_fake() is for single-threaded tests.
 */
#ifndef BOARD_BASE_CLOCK_H
#define BOARD_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Seconds since 1970 UTC. */
int64_t clock_wall(void);

/* Milliseconds since 1970 UTC, for log lines. */
int64_t clock_wall_ms(void);

/* Milliseconds that never go back; for deadlines. */
int64_t clock_mono_ms(void);

/* Microseconds that never go back; for measuring. */
int64_t clock_mono_us(void);

/* From now on both clocks stand at these times; negative values give the real clocks back. */
void clock_set_fake(int64_t wall_s, int64_t mono_ms);

/* "2026-11-22T12:00:00Z" for seconds since 1970; out needs 21 bytes or more.  Returns out. */
char *clock_text(int64_t wall_s, char *out, size_t size);

#endif
