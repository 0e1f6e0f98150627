/* board/config: what is read and printed is read again as the same settings, each in its range. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board/config.h"
#include "tests/fuzz/ground.h"

static void
check_ranges(const struct config *conf)
{
#define GROUP(group, help)
#define INT(group, key, value, low, high, when, help)                                                                  \
	HOLDS(conf->group##_##key >= (low) && conf->group##_##key <= (high));
#define BOOL(group, key, value, when, help)
#define TEXT(group, key, value, size, when, help) HOLDS(memchr(conf->group##_##key, 0, size) != NULL);
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
	HOLDS(conf->profile_count >= 0 && conf->profile_count <= CONFIG_PROFILES_MAX);
}

static void
check_same(const struct config *a, const struct config *b)
{
#define GROUP(group, help)
#define INT(group, key, value, low, high, when, help) HOLDS(a->group##_##key == b->group##_##key);
#define BOOL(group, key, value, when, help)           HOLDS(a->group##_##key == b->group##_##key);
#define TEXT(group, key, value, size, when, help)     HOLDS(strcmp(a->group##_##key, b->group##_##key) == 0);
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
	HOLDS(a->profile_count == b->profile_count);
	HOLDS(memcmp(a->profiles, b->profiles, sizeof(a->profiles)) == 0);
}

static void
on_changed(const char *setting, void *arg)
{
	fprintf(stderr, "%s\n", setting);
	HOLDS(!"a reload with the same settings changes something");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config conf, again;
	char *text = ground_text((struct bytes){data, size}), *printed = NULL;
	struct err e = {0};
	size_t len;
	FILE *out;

	/* What the file includes is root's affair, and the fuzzer finds devices that never end. */
	if (strstr(text, "@include") != NULL || config_parse(text, "fuzz", &conf, &e) != 0) {
		HOLDS(strstr(text, "@include") != NULL || (e.code != 0 && e.text[0] != '\0'));
		free(text);
		return 0;
	}
	check_ranges(&conf);
	out = open_memstream(&printed, &len);
	config_print(&conf, out);
	HOLDS(fclose(out) == 0);
	e.code = 0;
	if (config_parse(printed, "printed", &again, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		HOLDS(!"what was printed is not read");
	}
	check_same(&conf, &again);
	config_reload(&again, &conf, on_changed, NULL);
	free(printed);
	free(text);
	return 0;
}

void
fuzz_seeds(void)
{
	static struct config conf;
	char *printed = NULL;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	config_default(&conf);
	config_print(&conf, out);
	HOLDS(fclose(out) == 0);
	ground_seed("all", (struct bytes){(uint8_t *)printed, len});
	free(printed);
	ground_seed("some", bytes_of_text("scep: { sha1 = true; timeout_ms = 5000; };\nca: { name = \"x\"; };\n"));
	ground_seed("text", bytes_of_text("signer: { token = \"pkcs11:token=a;serial=\\\"\\x41\"; }; # c\n"));
	ground_seed("profile", bytes_of_text("profiles = ( { name = \"p\"; preset = \"ndes\"; sha1 = true; } );"));
}
