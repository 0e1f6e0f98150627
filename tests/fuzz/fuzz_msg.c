/*
 * board/msg: what a role reads of another is exactly one message, and the same octets again when it is written.  The
 * first octet is the type.
 */
#include <stdio.h>
#include <stdlib.h>

#include "board/msg.h"
#include "tests/fuzz/ground.h"

enum { OUT_MAX = 1 << 20 };

#define MSG(name, NAME, from, to, limit, ...)                                                                          \
	static void check_##name(struct bytes body)                                                                    \
	{                                                                                                              \
		struct msg_##name m;                                                                                   \
		AUTO_BUF again = {0};                                                                                  \
                                                                                                                       \
		if (msg_##name##_get(body, &m) != 0)                                                                   \
			return;                                                                                        \
		buf_init(&again, OUT_MAX);                                                                             \
		msg_##name##_put(&again, &m);                                                                          \
		HOLDS(bytes_equal(buf_bytes(&again), body));                                                           \
	}
#include "board/msg.def"
#undef MSG

static void (*const checks[])(struct bytes body) = {
	NULL,
#define MSG(name, NAME, from, to, limit, ...) check_##name,
#include "board/msg.def"
#undef MSG
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	uint8_t type = ground_take_u8(&input);

	if (type > 0 && type < MSG_TYPE_COUNT)
		checks[type](input);
	return 0;
}

/* All zero is a good message of most types; lists and texts show the mutator where lengths are. */
void
fuzz_seeds(void)
{
	static const uint8_t zeros[64];
	char name[20];

	for (int type = 1; type < MSG_TYPE_COUNT; type++) {
		snprintf(name, sizeof(name), "type%d", type);
		ground_seed_way(name, (uint8_t)type, (struct bytes){zeros, sizeof(zeros)});
		for (size_t len = 0; len < sizeof(zeros); len++) {
			snprintf(name, sizeof(name), "type%d-%zu", type, len);
			ground_seed_way(name, (uint8_t)type, (struct bytes){zeros, len});
		}
	}
}
