/*
 * hsm/tbs_attributes - what a key signs as the SignedAttributes of a CMS message (RFC 5652 5.3)
 *
 * Threads:  any.
 */
#ifndef HSM_TBS_ATTRIBUTES_H
#define HSM_TBS_ATTRIBUTES_H

#include "board/base/buf.h"
#include "board/base/err.h"

/*
 * Is data one SET of attributes, each of one of these count types and none twice, with the first needed types all
 * there?  At most 32 types.  Fails with ERR_FORMAT for what is no such set, ERR_DENIED for other types.
 */
MUST_CHECK int
hsm_tbs_attributes(struct bytes data, const struct bytes *types, size_t count, size_t needed, struct err *e);

#endif
