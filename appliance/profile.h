/*
 * appliance/profile - what a certificate of a kind looks like, and whether a request may become one
 *
 * Profiles are made from the configuration (template group) or are built in (RA signing, RA decryption, TLS server).
 * What depends on the profile alone is encoded once here, so that building a TBSCertificate copies bytes.
 *
 * Threads:  any; a profile is not changed once made.
 */
#ifndef APPLIANCE_PROFILE_H
#define APPLIANCE_PROFILE_H

#include "appliance/csr.h"
#include "appliance/store.h"
#include "board/config.h"

struct app_profile;

/*
 * The profile for a usage under this configuration.  Fails with ERR_CONFIG when a template setting cannot be understood
 * (e names setting and word) or usage has no profile (APP_USAGE_CA), ERR_NOMEM.
 */
MUST_CHECK int
app_profile_new(const struct config *conf, enum app_usage usage, struct app_profile **ret_profile, struct err *e);

/* NULL is fine. */
void app_profile_free(struct app_profile *profile);

/* The template's name for log and audit. */
const char *app_profile_name(const struct app_profile *profile);

/*
 * May this request become a certificate of this profile?  Key type and size, RSA exponent (odd, > 65536, < 2^256),
 * curve, RDN types, SAN kinds and syntax (no NUL, no control characters, DNS labels, no wildcards, at most 64 names),
 * subject and SAN together 16 KiB at most, empty subject without SAN, duplicate extensions.  Other extensions that the
 * request asks for are neither refused nor taken.  Fails with ERR_ALG (key) or ERR_DENIED, and e names the field.
 */
MUST_CHECK int app_profile_check(const struct app_profile *profile, const struct app_csr *csr, struct err *e);

/* The part of it that is about a subjectAltName (content of the extension).  Fails with ERR_DENIED. */
MUST_CHECK int app_profile_check_san(const struct app_profile *profile, struct bytes san, struct err *e);

/*
 * notBefore and notAfter for a certificate issued now, inside the CA's own (RFC 5280 4.1.2.5) and no longer than
 * ca.max_validity_days in all.  Fails with ERR_STAGE when the CA has ended or has not begun.
 */
MUST_CHECK int
app_profile_validity(const struct app_profile *profile, int64_t now, int64_t ca_not_before, int64_t ca_not_after,
		     int64_t *ret_not_before, int64_t *ret_not_after, struct err *e);

/*
 * The extensions that depend on the profile and the kind of key alone, one after the other: basicConstraints,
 * keyUsage, extKeyUsage, CRL distribution points, authority information access.  Empty when the profile has no key
 * usage for such a key.  Borrowed from the profile.
 */
struct bytes app_profile_extensions(const struct app_profile *profile, bool is_rsa);

CLEANUP_STRUCT(app_profile, app_profile_free)

#endif
