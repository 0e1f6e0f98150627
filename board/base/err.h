/*
 * board/base/err - error codes, their classes, and the value that says what went wrong
 *
 * A function that can fail returns 0 or one of these negative codes.  The detail goes into an optional struct err, last
 * parameter; the first failure wins.  It is a plain value, so it travels in jobs and messages unchanged.
 *
 * Threads:  any; nothing is shared.
 */
#ifndef BOARD_BASE_ERR_H
#define BOARD_BASE_ERR_H

#include <stdint.h>

#include "board/base/cleanup.h"

/* Who has to act.  net/ answers peers by class alone; the log names the cause. */
enum err_class {
	ERR_CLASS_NONE,
	ERR_CLASS_PEER,   /* what came from outside is wrong or not allowed */
	ERR_CLASS_RETRY,  /* the same request may succeed later */
	ERR_CLASS_DEVICE, /* token, disk or network: an operator has to look */
	ERR_CLASS_SELF,   /* configuration, or a defect of ours */
};

/* STAGE: OpenSSL has a type ERR_STATE.
 *       name      value  class   text */
#define ERR_LIST(X)                                                                                                    \
	X(NOMEM, -1, SELF, "out of memory")                                                                            \
	X(FORMAT, -2, PEER, "malformed")                                                                               \
	X(VERIFY, -3, PEER, "signature or integrity check failed")                                                     \
	X(ALG, -4, PEER, "algorithm not supported or not allowed")                                                     \
	X(DENIED, -5, PEER, "not allowed")                                                                             \
	X(UNKNOWN, -6, PEER, "not found")                                                                              \
	X(EXISTS, -7, PEER, "exists already")                                                                          \
	X(LIMIT, -8, PEER, "larger than allowed")                                                                      \
	X(BUSY, -9, RETRY, "busy: the queue is full")                                                                  \
	X(CLOSED, -10, RETRY, "the other side is gone")                                                                \
	X(TIMEOUT, -11, RETRY, "no answer in time")                                                                    \
	X(TOKEN, -12, DEVICE, "the token is not usable")                                                               \
	X(PIN, -13, DEVICE, "the token refused the PIN")                                                               \
	X(IO, -14, DEVICE, "input or output failed")                                                                   \
	X(STORE, -15, DEVICE, "the store failed")                                                                      \
	X(CONFIG, -16, SELF, "configuration")                                                                          \
	X(STAGE, -17, SELF, "not possible in this state")                                                              \
	X(CRYPTO, -18, SELF, "cryptographic library failed")                                                           \
	X(INTERNAL, -19, SELF, "internal error")

enum err_code {
	ERR_NONE = 0,
#define X(name, value, class_, text) ERR_##name = (value),
	ERR_LIST(X)
#undef X
};

enum { ERR_TEXT_SIZE = 200 };

struct err {
	int code;                 /* 0, or the ERR_* of the first failure */
	uint32_t detail;          /* errno, CK_RV, OpenSSL or SQLite code; 0 when there is none */
	char text[ERR_TEXT_SIZE]; /* the step that failed, for the log; never a secret, never shown to a peer */
};

/* Notes a failure unless e is NULL or already holds one.  Returns code, so that "return err_set(...)" reads well. */
int err_set(struct err *e, int code, uint32_t detail, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* The same with the oldest entry of OpenSSL's error queue as detail and at the end of the text; clears that queue. */
int err_set_ossl(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The class of an ERR_* code; ERR_CLASS_SELF for a number that is none. */
enum err_class err_class(int code);

/* A few words for code.  Static storage. */
const char *err_name(int code);

/* Stops the process with a log line: an invariant of ours is broken.  Never for input, token, disk or memory. */
void err_bug(const char *file, int line, const char *cond) __attribute__((noreturn));

#define BUG_ON(cond)                                                                                                   \
	do {                                                                                                           \
		if (cond)                                                                                              \
			err_bug(__FILE__, __LINE__, #cond);                                                            \
	} while (0)

#endif
