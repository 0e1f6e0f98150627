/*
 * board/base/calls - the open calls of one channel: their ids, who waits for the answer, and until when
 *
 * For board/base/ipc.c.  A call is put in once and taken out once, by its answer, its deadline, or the channel's end;
 * who takes it calls its function.  So every call is answered exactly once.
 *
 * Ids: bit 63 tells which side made it, then 31 bits of generation, never 0, then 32 bits of slot + 1.  So the ids of
 * the two sides differ, and an answer that comes too late is not taken for the answer to a later call.
 *
 * Threads:  one at a time.
 * Owner:    the caller's storage; calls_fini().
 */
#ifndef BOARD_BASE_CALLS_H
#define BOARD_BASE_CALLS_H

#include "board/base/ipc.h"

struct call {
	ipc_answer_fn fn; /* NULL when the slot is free */
	void *arg;
	int64_t deadline; /* clock_mono_ms() */
	uint32_t generation;
	uint32_t next_free; /* slot + 1; 0 ends the list */
};

struct calls {
	struct call *slots;
	uint32_t count; /* of slots */
	uint32_t free;  /* slot + 1 */
	uint32_t open;
	uint64_t owner; /* 0 or bit 63 */
};

enum calls_found {
	CALLS_NONE, /* the id is not one of ours */
	CALLS_OPEN,
	CALLS_LATE, /* of ours, but answered before */
};

/* An empty table; upper says that this side's ids have bit 63 set.  Allocates nothing yet. */
void calls_init(struct calls *calls, bool upper);

/* Frees the memory.  Open calls are forgotten: take them first. */
void calls_fini(struct calls *calls);

/* Opens a call and gives its id.  Fails with ERR_BUSY when IPC_CALL_LIMIT are open, ERR_NOMEM. */
MUST_CHECK int calls_put(struct calls *calls, ipc_answer_fn fn, void *arg, int64_t deadline, uint64_t *ret_id);

/* Looks for a message's id and takes the call out when it is open; *ret_call is set with CALLS_OPEN only. */
enum calls_found calls_take(struct calls *calls, uint64_t id, struct call *ret_call);

/*
 * Takes out a call whose deadline is at now or before, from slot *next on; INT64_MAX takes any.  Moves *next behind it.
 * False when there is none.  The table may change between two calls of this.
 */
bool calls_take_due(struct calls *calls, int64_t now, uint32_t *next, struct call *ret_call);

/* The earliest deadline; INT64_MAX when no call is open. */
int64_t calls_deadline(const struct calls *calls);

#endif
