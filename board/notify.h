/*
 * board/notify - telling the service manager how far we are (sd_notify(3), without its library)
 *
 * Threads:  the parent's loop.  Never blocks: a notice that does not fit is lost, as with the original.
 */
#ifndef BOARD_NOTIFY_H
#define BOARD_NOTIFY_H

#include "board/base/cleanup.h"

/*
 * Sends lines such as "READY=1\nSTATUS=…" to the socket that NOTIFY_SOCKET names; a leading '@' means an abstract
 * one.  Does nothing when there is none, and says nothing about failures: nobody could act on them.
 */
void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The same for "RELOADING=1", which wants the time at which the reload began (sd_notify(3), MONOTONIC_USEC). */
void notify_reloading(void);

#endif
