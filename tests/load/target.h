/*
 * tests/load/target - whom chancery-load asks, and from which of its own addresses
 *
 * Threads:  any.
 */
#ifndef TESTS_LOAD_TARGET_H
#define TESTS_LOAD_TARGET_H

#include <netinet/in.h>

#include "board/base/err.h"

enum { TARGET_PATH_SIZE = 512, TARGET_HOST_SIZE = 256 };

/* Connections from one of our addresses when we choose them: below the usual front.connections_per_address. */
enum { TARGET_PER_SOURCE = 200 };

struct target {
	struct sockaddr_storage address;
	socklen_t address_len;
	char host[TARGET_HOST_SIZE]; /* for the Host field */
	char path[TARGET_PATH_SIZE]; /* of SCEP */
	uint32_t source_first;       /* IPv4, host order; 0: the kernel chooses */
	uint32_t source_count;
};

/* Takes "http://HOST[:PORT]/PATH" apart and looks HOST up, which may block.  Fails with ERR_FORMAT, ERR_UNKNOWN. */
MUST_CHECK int target_parse(const char *url, struct target *ret_target, struct err *e);

/* Takes "ADDRESS" or "FIRST-LAST", IPv4, to be connected from in turn.  Fails with ERR_FORMAT. */
MUST_CHECK int target_sources(struct target *target, const char *text, struct err *e);

/* Loopback and more connections than one address may have: chooses 127.1.0.1 and following, unless told otherwise. */
void target_spread(struct target *target, size_t connections);

/* A non-blocking socket on its way to the target, from the number-th source; -1 with errno. */
int target_dial(const struct target *target, size_t number);

#endif
