/*
 * hsm/tbs_certificate - what holds for each TBSCertificate that a key of ours signs
 *
 * Threads:  any.
 */
#ifndef HSM_TBS_CERTIFICATE_H
#define HSM_TBS_CERTIFICATE_H

#include "board/base/x509.h"

/* Sets e to "refused to sign: WHY".  Returns ERR_DENIED. */
int hsm_tbs_denied(struct err *e, const char *why);

/* Sets e to "refused to sign: WHAT".  Returns ERR_FORMAT. */
int hsm_tbs_malformed(struct err *e, const char *what);

/* The serial number is positive and has at most 20 octets (RFC 5280 4.1.2.2).  Fails with ERR_DENIED. */
MUST_CHECK int hsm_tbs_serial(const struct x509_tbs *tbs, struct err *e);

/*
 * The extension's value as one element with this tag; *ret_there false when the extension is absent.  Fails with
 * ERR_FORMAT.
 */
MUST_CHECK int
hsm_tbs_find(const struct x509_tbs *tbs, struct bytes oid, uint8_t tag, struct view *ret_content, bool *ret_there);

/*
 * basicConstraints is there and says that this is no CA: an encoded TRUE is the only way to say the opposite.  Fails
 * with ERR_DENIED, ERR_FORMAT.
 */
MUST_CHECK int hsm_tbs_no_ca(const struct x509_tbs *tbs, struct err *e);

/* keyUsage is there, without keyCertSign and cRLSign.  Fails with ERR_DENIED, ERR_FORMAT. */
MUST_CHECK int hsm_tbs_usage(const struct x509_tbs *tbs, struct err *e);

/*
 * No extension twice (RFC 5280 4.2): a reader might look at the other one.  Unless known is NULL, no other than these.
 * Fails with ERR_DENIED, ERR_FORMAT.
 */
MUST_CHECK int
hsm_tbs_extensions(const struct x509_tbs *tbs, const struct bytes *known, size_t known_count, struct err *e);

#endif
