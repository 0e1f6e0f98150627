#include "appliance/held.h"

#include <string.h>

static const char *const names[] = {
	[APP_HELD_NONE] = "",
	[APP_HELD_PENDING] = "pending",
	[APP_HELD_APPROVED] = "approved",
	[APP_HELD_DENIED] = "denied",
};

const char *
app_held_state_name(enum app_held_state state)
{
	return names[state];
}

enum app_held_state
app_held_state_parse(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i], name) == 0)
			return (enum app_held_state)i;
	}
	return APP_HELD_NONE;
}

int
app_held_copy(struct app_held *held, struct bytes name, struct bytes spki, struct bytes san)
{
	held->name = bytes_dup(name);
	held->spki = bytes_dup(spki);
	held->san = bytes_dup(san);
	if (held->name.data != NULL && held->spki.data != NULL && (san.len == 0 || held->san.data != NULL))
		return 0;
	app_held_fini(held);
	return ERR_NOMEM;
}

void
app_held_fini(struct app_held *held)
{
	free((void *)held->name.data);
	free((void *)held->spki.data);
	free((void *)held->san.data);
	held->name = held->spki = held->san = (struct bytes){NULL, 0};
}
