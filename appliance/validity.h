/*
 * appliance/validity - the end of validity that a request asks for (facts, microsoft.md 8)
 *
 * Windows puts it into the request as name and value pairs (szOID_ENROLLMENT_NAME_VALUE_PAIR): "ValidityPeriod" with
 * "ValidityPeriodUnits", or "ExpirationDate".  A CA looks at them only with EDITF_ATTRIBUTEENDDATE, and they only ever
 * shorten.
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_VALIDITY_H
#define APPLIANCE_VALIDITY_H

#include "appliance/csr.h"

/* An end nearer than this is refused: such a certificate would be of no use to anybody. */
enum { APP_VALIDITY_MIN_S = 3600 };

/*
 * The notAfter that csr asks for at the time now, in seconds since 1970; 0 when it asks for none, the earlier one when
 * it asks twice.  Names are compared without case.  Fails with ERR_DENIED when a value cannot be understood, is out of
 * range, or lies less than APP_VALIDITY_MIN_S ahead; e names the pair.
 */
MUST_CHECK int app_validity_requested(const struct app_csr *csr, int64_t now, int64_t *ret_not_after, struct err *e);

#endif
