/*
 * appliance/profile - what a certificate of a kind looks like, and whether a request may become one
 *
 * Profiles are made from a template (appliance/template.h), or are built in (RA signing, RA decryption, TLS server,
 * OCSP).  What depends on the profile alone is encoded once here, so that building a TBSCertificate copies bytes.
 *
 * Threads:  any; a profile is not changed once made.
 */
#ifndef APPLIANCE_PROFILE_H
#define APPLIANCE_PROFILE_H

#include "appliance/csr.h"
#include "appliance/store_names.h"
#include "appliance/template.h"
#include "board/config.h"

struct app_profile;

/*
 * The profile for a usage under this configuration.  Fails with ERR_CONFIG when a template setting cannot be understood
 * (e names setting and word) or usage has no profile (APP_USAGE_CA), ERR_NOMEM.
 */
MUST_CHECK int
app_profile_new(const struct config *conf, enum app_usage usage, struct app_profile **ret_profile, struct err *e);

/* The profile of a template whose fields agree.  Fails with ERR_CONFIG (URLs of the CA; e names them), ERR_NOMEM. */
MUST_CHECK int app_profile_of(const struct config *conf, const struct app_template *template,
			      struct app_profile **ret_profile, struct err *e);

/* NULL is fine. */
void app_profile_free(struct app_profile *profile);

/* The template's name for log and audit. */
const char *app_profile_name(const struct app_profile *profile);

/*
 * May this request become a certificate of this profile?  Key type and size, RSA exponent (odd, > 65536, < 2^256),
 * curve, RDN types, SAN kinds and syntax (no NUL, no control characters, DNS labels, no wildcards, at most 64 names),
 * subject and SAN together 16 KiB at most, empty subject without SAN, duplicate extensions.  Other extensions that the
 * request asks for are neither refused nor taken; a SID above all is never taken from one.  A SID in a subjectAltName
 * (app_san_sid()) is refused unless san_is_bound: somebody else than the requester vouches for exactly that extension.
 * Fails with ERR_ALG (key) or ERR_DENIED, and e names the field.
 */
MUST_CHECK int
app_profile_check(const struct app_profile *profile, const struct app_csr *csr, bool san_is_bound, struct err *e);

/* The part of it that is about a subjectAltName (content of the extension).  Fails with ERR_DENIED. */
MUST_CHECK int
app_profile_check_san(const struct app_profile *profile, struct bytes san, bool san_is_bound, struct err *e);

/*
 * Appends the subject (Name, whole) that a checked request gets: its own RDNs but those that the template fixes, then
 * these; or the template's alone.  Fails with ERR_FORMAT, ERR_LIMIT or ERR_NOMEM.
 */
MUST_CHECK int app_profile_subject(const struct app_profile *profile, struct bytes subject, struct buf *out);

/* Does it change subjects at all? */
bool app_profile_fixes_subject(const struct app_profile *profile);

/* Does a SID in an approved subjectAltName become the NTDS CA security extension (KB5014754) too? */
bool app_profile_has_sid(const struct app_profile *profile);

/* Does it give Certificate Request Agent (app_template_is_agent())? */
bool app_profile_is_agent(const struct app_profile *profile);

/*
 * Are all its extended key usages and application policies among these (content of the extension; empty: every purpose,
 * but for Certificate Request Agent, which a certificate has only when it says so)?
 */
bool app_profile_within(const struct app_profile *profile, struct bytes purposes);

/* Room for a SID with 15 sub-authorities, NUL included. */
enum { APP_SID_SIZE = 192 };

/*
 * The SID that a subjectAltName (content of the extension, well-formed) has in a URI
 * "tag:microsoft.com,2022-09-14:sid:S-1-...".  Fails with ERR_UNKNOWN when it has none, ERR_DENIED when it has several,
 * or one that is written in another way.
 */
MUST_CHECK int app_san_sid(struct bytes san, char ret_sid[APP_SID_SIZE], struct err *e);

/*
 * notBefore and notAfter for a certificate issued now, inside the CA's own (RFC 5280 4.1.2.5) and no longer than
 * ca.max_validity_days in all.  Fails with ERR_STAGE when the CA has ended or has not begun.
 */
MUST_CHECK int
app_profile_validity(const struct app_profile *profile, int64_t now, int64_t ca_not_before, int64_t ca_not_after,
		     int64_t *ret_not_before, int64_t *ret_not_after, struct err *e);

/*
 * The extensions that depend on the profile and the kind of key alone, one after the other: basicConstraints,
 * keyUsage, extKeyUsage, those of Microsoft that name the template and its application policies, CRL distribution
 * points, authority information access.  Empty when the profile has no key
 * usage for such a key.  Borrowed from the profile.
 */
struct bytes app_profile_extensions(const struct app_profile *profile, bool is_rsa);

CLEANUP_STRUCT(app_profile, app_profile_free)

#endif
