/*
 * tests/lib/drive - asks a live appliance over real sockets: a small blocking HTTP client, and checks that count
 *
 *	struct drive http = {.address = "127.0.0.1", .port = 8080, .fd = -1};
 *	struct drive_answer answer;
 *
 *	drive_post(&http, "/scep?operation=PKIOperation", der, &answer);
 *	drive_check(answer.status == 200, "a good request is answered");
 *	return drive_finish();
 *
 * What is sent goes out as it is, so that a caller can send what no proper client would.  Every wait has a deadline.
 *
 * Threads:  one; the counts are the program's.
 * Owner:    the caller closes what it opened with drive_close().
 */
#ifndef TESTS_LIB_DRIVE_H
#define TESTS_LIB_DRIVE_H

#include <stdbool.h>

#include "board/base/buf.h"

enum {
	DRIVE_CLOSED = 0,   /* status: the server closed the connection without an answer */
	DRIVE_TIMEOUT = -1, /* status: neither answer nor end before the deadline */
	DRIVE_WAIT_MS = 15000,
};

/* One connection, opened when it is needed and kept open between requests. */
struct drive {
	const char *address;
	int port;
	const char *from; /* local address; NULL for any */
	int receive_size; /* of the socket's buffer; 0 for the system's */
	int wait_ms;      /* deadline of one answer; 0 for DRIVE_WAIT_MS */
	bool is_head;     /* the next answer has no body, whatever its Content-Length */
	int fd;           /* -1 while closed */
	struct buf in;
	size_t used; /* of in, by answers before */
};

struct drive_answer {
	int status; /* HTTP, or DRIVE_* */
	char type[80];
	char allow[80];
	bool closes;       /* Connection: close */
	bool continued;    /* 100 (Continue) came before */
	struct bytes body; /* until the connection's next use */
};

/* Opens the connection; 0 or -1. */
MUST_CHECK int drive_dial(struct drive *d);

/* Closes it, with what was received; again is fine. */
void drive_close(struct drive *d);

/* Sends all of data on the open connection; 0 or -1. */
MUST_CHECK int drive_send(struct drive *d, struct bytes data);

/* Waits for one answer on the open connection. */
void drive_receive(struct drive *d, struct drive_answer *ret_answer);

/* Milliseconds until the server closes the open connection, whatever it sends before; -1 when it does not in time. */
long drive_wait_closed(struct drive *d, int wait_ms);

/* Sends one request and waits for its answer; opens the connection if need be, once more when it had been closed. */
void drive_ask(struct drive *d, struct bytes request, struct drive_answer *ret_answer);

/* The same with a request line and header fields made of target (and body). */
void drive_get(struct drive *d, const char *target, struct drive_answer *ret_answer);
void
drive_post(struct drive *d, const char *target, struct bytes body, struct drive_answer *ret_answer); /* see there */

/* Counts a check and prints "ok: WHAT" or "NOT ok: WHAT"; gives ok back. */
bool drive_check(bool ok, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same, with what was expected and what was seen when they differ. */
bool drive_check_int(long expected, long seen, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Prints a line that explains the check before. */
void drive_note(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Prints the closing line; the program's exit status. */
int drive_finish(void);

/* Milliseconds of a clock that only goes forward. */
double drive_now_ms(void);

#endif
