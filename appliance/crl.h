/*
 * appliance/crl - building a full or a delta CRL (RFC 5280 5)
 *
 * Threads:  entries are put in by the store's reader, the rest by the loop; one at a time.
 */
#ifndef APPLIANCE_CRL_H
#define APPLIANCE_CRL_H

#include "appliance/cert.h"

enum { APP_CRL_LIMIT = 63 << 20 }; /* octets of entries: 1.2 million; a message has room for 64 MiB */

struct app_crl {
	struct buf entries; /* DER of revokedCertificates' members */
	size_t count;
	int64_t base;          /* delta CRL: number of the full CRL that it adds to; 0: a full one */
	const char *delta_url; /* full CRL: where the delta CRL is (freshestCRL); NULL or "": nowhere */
	int64_t made;          /* the date of entries that were released */
};

/* An empty list of a full CRL for up to APP_CRL_LIMIT octets. */
void app_crl_init(struct app_crl *crl);

/* Frees the memory. */
void app_crl_fini(struct app_crl *crl);

/*
 * Adds an entry; reasonCode is left out for unspecified (RFC 5280 5.3.1).  One that is not revoked becomes
 * removeFromCRL, for a delta CRL.  Has the type of app_store_each_fn; arg is the struct app_crl.
 */
void app_crl_add(const struct app_revoked *entry, void *arg);

/* Appends CRLDistributionPoints with one point, fullName, a URI (RFC 5280 4.2.1.13); freshestCRL is the same. */
void app_crl_points_put(struct buf *b, const char *url);

/*
 * Appends the TBSCertList: v2, AKI, CRL number, base number or freshestCRL; revokedCertificates absent when there is
 * no entry.  Fails with ERR_LIMIT or ERR_NOMEM, also when an entry could not be added.
 */
MUST_CHECK int app_crl_build(const struct app_issuer *issuer, const struct app_crl *crl, int64_t number,
			     int64_t this_update, int64_t next_update, struct buf *out);

/* How many certificates are on a CRL; 0 for what cannot be read. */
int64_t app_crl_entries(struct bytes crl);

#endif
