/*
 * board/base/calls - see calls.h
 */
#include "board/base/calls.h"

#include <stdlib.h>

enum { CALLS_FIRST = 16 };

#define CALLS_UPPER       (1ull << 63)
#define CALLS_GENERATIONS 0x7fffffffu

void
calls_init(struct calls *calls, bool upper)
{
	*calls = (struct calls){.owner = upper ? CALLS_UPPER : 0};
}

void
calls_fini(struct calls *calls)
{
	free(calls->slots);
	*calls = (struct calls){.owner = calls->owner};
}

static int
calls_grow(struct calls *calls)
{
	uint32_t count = calls->count == 0 ? CALLS_FIRST : calls->count * 2;
	struct call *slots;

	if (count > IPC_CALL_LIMIT)
		return ERR_BUSY;
	slots = realloc(calls->slots, count * sizeof(*slots));
	if (slots == NULL)
		return ERR_NOMEM;
	for (uint32_t i = count; i > calls->count; i--) {
		slots[i - 1] = (struct call){.next_free = calls->free};
		calls->free = i;
	}
	calls->slots = slots;
	calls->count = count;
	return 0;
}

int
calls_put(struct calls *calls, ipc_answer_fn fn, void *arg, int64_t deadline, uint64_t *ret_id)
{
	struct call *slot;
	uint32_t number;
	int r;

	if (calls->free == 0) {
		r = calls_grow(calls);
		if (r != 0)
			return r;
	}
	number = calls->free;
	slot = &calls->slots[number - 1];
	calls->free = slot->next_free;
	slot->generation = slot->generation % CALLS_GENERATIONS + 1;
	slot->fn = fn;
	slot->arg = arg;
	slot->deadline = deadline;
	calls->open++;
	*ret_id = calls->owner | (uint64_t)slot->generation << 32 | number;
	return 0;
}

static struct call
slot_take(struct calls *calls, uint32_t index)
{
	struct call *slot = &calls->slots[index];
	struct call taken = *slot;

	slot->fn = NULL;
	slot->arg = NULL;
	slot->next_free = calls->free;
	calls->free = index + 1;
	calls->open--;
	return taken;
}

enum calls_found
calls_take(struct calls *calls, uint64_t id, struct call *ret_call)
{
	uint32_t generation = (uint32_t)((id & ~CALLS_UPPER) >> 32);
	uint32_t number = (uint32_t)id;

	if ((id & CALLS_UPPER) != calls->owner || generation == 0 || number == 0 || number > calls->count)
		return CALLS_NONE;
	if (calls->slots[number - 1].fn == NULL || calls->slots[number - 1].generation != generation)
		return CALLS_LATE;
	*ret_call = slot_take(calls, number - 1);
	return CALLS_OPEN;
}

bool
calls_take_due(struct calls *calls, int64_t now, uint32_t *next, struct call *ret_call)
{
	for (uint32_t i = *next; i < calls->count && calls->open > 0; i++) {
		if (calls->slots[i].fn == NULL || calls->slots[i].deadline > now)
			continue;
		*next = i + 1;
		*ret_call = slot_take(calls, i);
		return true;
	}
	return false;
}

int64_t
calls_deadline(const struct calls *calls)
{
	int64_t first = INT64_MAX;

	for (uint32_t i = 0, seen = 0; i < calls->count && seen < calls->open; i++) {
		if (calls->slots[i].fn == NULL)
			continue;
		seen++;
		if (calls->slots[i].deadline < first)
			first = calls->slots[i].deadline;
	}
	return first;
}
