/*
 * hsm/tbs_ocsp - what the ocsp key signs: the ResponseData of one OCSP answer (RFC 6960 4.2.1), as RFC 5019 narrows it
 *
 * Threads:  any.
 */
#ifndef HSM_TBS_OCSP_H
#define HSM_TBS_OCSP_H

#include "board/base/buf.h"
#include "board/base/err.h"

/* Longest time from thisUpdate to nextUpdate: for so long an answer may be shown after the certificate was revoked. */
enum { HSM_TBS_OCSP_S = 8 * 24 * 3600 };

/*
 * Is data one ResponseData: strict DER, v1, responder by key, one certificate, nextUpdate within HSM_TBS_OCSP_S, no
 * extensions, nothing from the future?  now is seconds since 1970.  Fails with ERR_FORMAT, or ERR_DENIED for its times.
 */
MUST_CHECK int hsm_tbs_ocsp(struct bytes data, int64_t now, struct err *e);

#endif
