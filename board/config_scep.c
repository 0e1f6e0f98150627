#include "board/config_scep.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "board/config_check.h"

enum { CAPABILITY_MAX = 40 };

bool
config_scep_accept(const char *value, char *why, size_t size)
{
	static const char *const words[] = {"any", "one-time", "static", NULL};

	if (config_check_one_of(value, strlen(value), words))
		return true;
	snprintf(why, size, "must be any, one-time or static; to accept none is not offered");
	return false;
}

bool
config_scep_microsoft(const char *value, char *why, size_t size)
{
	static const char *const words[] = {"auto", "always", "never", NULL};

	if (config_check_one_of(value, strlen(value), words))
		return true;
	snprintf(why, size, "must be auto, always or never");
	return false;
}

/*
 * Lines that we add to GetCACaps ourselves when they are true, and those that would never be; a client that believed
 * them would be refused.
 */
static bool
is_capability_ours(const char *word, size_t len)
{
	static const char *const known[] = {"AES",          "DES3",  "GetNextCACert", "POSTPKIOperation",
					    "Renewal",      "SHA-1", "SHA-256",       "SHA-512",
					    "SCEPStandard", "MD5",   "DES",           "Update"};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == len && strncasecmp(known[i], word, len) == 0)
			return true;
	return false;
}

bool
config_scep_caps(const char *value, char *why, size_t size)
{
	const char *list = value;
	const char *word;
	size_t len;
	size_t i;

	while ((word = config_check_word(&list, &len)) != NULL) {
		if (is_capability_ours(word, len)) {
			snprintf(why, size, "\"%.*s\" is announced by itself when it is true", (int)len, word);
			return false;
		}
		for (i = 0; i < len && (isalnum((unsigned char)word[i]) || strchr("-_.+/", word[i]) != NULL); i++)
			;
		if (i == len && len <= CAPABILITY_MAX)
			continue;
		snprintf(why, size, "\"%.*s\" is no capability: 1 to 40 letters, digits, '-', '_', '.', '+' or '/'",
			 (int)(len < 40 ? len : 40), word);
		return false;
	}
	return true;
}

/* Of the URL of a profile; a word that is part of another URL would only confuse. */
bool
config_scep_name(const char *value, char *why, size_t size)
{
	static const char *const taken[] = {"scep", "cgi-bin", "certsrv", "mscep", "pkiclient", "crl",
					    "ca",   "ocsp",    "health",  "delta", "default",   NULL};

	snprintf(why, size, "must be small letters, digits and '-', beginning with a letter or digit");
	if (value[0] == '\0' || value[0] == '-' ||
	    value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0')
		return false;
	snprintf(why, size, "\"%s\" is part of another address", value);
	if (config_check_one_of(value, strlen(value), taken))
		return false;
	why[0] = '\0';
	return true;
}

bool
config_scep_preset(const char *value, char *why, size_t size)
{
	static const char *const presets[] = {
#define OWN(...)
#define BOOL(...)
#define TEXT(...)
#define PRESET(name, help) name,
#define SETS(...)
#include "board/profile.def"
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS
		NULL,
	};

	if (value[0] == '\0' || config_check_one_of(value, strlen(value), presets))
		return true;
	snprintf(why, size, "must be one of");
	config_check_list(presets, why, size);
	return false;
}

/* RA keys have one use each (hsm/tbs.h): what signs does not decrypt, or a flaw of either would be one of both. */
bool
config_scep_ra(const char *value, char *why, size_t size)
{
	if (strcmp(value, "both") == 0)
		return true;
	snprintf(why, size, "must be both: no key here signs and decrypts, so one certificate cannot serve both uses");
	return false;
}
