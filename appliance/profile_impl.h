/*
 * appliance/profile_impl - the inside of a profile, for profile.c, which makes it, and profile_check.c, which asks it
 *
 * Threads:  any; a profile is not changed once made.
 */
#ifndef APPLIANCE_PROFILE_IMPL_H
#define APPLIANCE_PROFILE_IMPL_H

#include "appliance/profile.h"

/* Kinds of GeneralName that a request may bring, as bits. */
enum app_san_kind {
	APP_SAN_DNS = 1 << 0,
	APP_SAN_IP = 1 << 1,
	APP_SAN_EMAIL = 1 << 2,
	APP_SAN_URI = 1 << 3,
	APP_SAN_UPN = 1 << 4,
};

/* Bits of keyUsage in the order of RFC 5280 4.2.1.3, the first as the highest of eight. */
enum app_key_usage {
	APP_KU_DIGITAL_SIGNATURE = 0x80,
	APP_KU_NON_REPUDIATION = 0x40,
	APP_KU_KEY_ENCIPHERMENT = 0x20,
	APP_KU_DATA_ENCIPHERMENT = 0x10,
	APP_KU_KEY_AGREEMENT = 0x08,
};

struct app_profile {
	char name[40];
	uint32_t rdns; /* bits by index of app_rdn_types() */
	unsigned sans; /* APP_SAN_* */
	int rsa_bits_min;
	int rsa_bits_max;
	bool ec_keys;
	int64_t backdate_s;
	int64_t life_s;
	int64_t life_max_s; /* notBefore to notAfter, backdating included */
	struct buf extensions_rsa;
	struct buf extensions_ec;
};

/*
 * Is san (content of a subjectAltName extension) a list of 1 to 64 GeneralNames of these kinds, each well-formed?
 * Fails with ERR_DENIED; e names the kind.
 */
MUST_CHECK int app_san_check(struct bytes san, unsigned kinds, struct err *e);

#endif
