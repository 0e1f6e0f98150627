/*
 * appliance/csr - a certificate request, parsed and proved (PKCS#10, RFC 2986)
 *
 * Threads:  any.
 * Owner:    a struct app_csr borrows from the DER it was parsed from, except for what app_csr_fini() frees.
 */
#ifndef APPLIANCE_CSR_H
#define APPLIANCE_CSR_H

#include "board/base/buf.h"
#include "board/base/err.h"

struct evp_pkey_st;

/* szOID_ENROLLMENT_NAME_VALUE_PAIR values that are kept; a request with more is refused. */
enum { APP_CSR_PAIRS_MAX = 16 };

struct app_csr {
	struct bytes whole;
	struct bytes subject; /* Name, whole */
	struct bytes spki;    /* SubjectPublicKeyInfo, whole */
	/* SEQUENCE OF Extension from extensionRequest (PKCS#9 or Microsoft's OID), whole; or empty */
	struct bytes extensions;
	struct bytes pairs[APP_CSR_PAIRS_MAX]; /* each a SEQUENCE of two strings, whole (appliance/validity.h) */
	size_t pair_count;
	struct bytes challenge;  /* decoded challengePassword in UTF-8, owned; empty when absent */
	struct evp_pkey_st *key; /* owned */
	int key_bits;            /* RSA modulus or curve size */
	bool is_rsa;
};

/*
 * Parses a request of at most CONFIG_APP_CSR_MAX bytes and verifies its signature with its own key (proof of
 * possession).  The challenge may be PrintableString, UTF8String, IA5String, T61String or BMPString (facts C57).  Fails
 * with ERR_LIMIT (larger), ERR_FORMAT (not PKCS#10 in DER, duplicates, bytes behind it), ERR_ALG (key or signature
 * algorithm unknown), ERR_VERIFY (signature), ERR_DENIED (a good signature, with MD5 or SHA-1), ERR_NOMEM.  After all
 * but ERR_DENIED nothing vouches for the bytes.  e names the part.  Free with app_csr_fini() on success only.
 */
MUST_CHECK int app_csr_parse(struct bytes der, struct app_csr *ret_csr, struct err *e);

/* The DER that csr borrows from is the same at another place. */
void app_csr_move(struct app_csr *csr, const uint8_t *der);

/* Frees the key and wipes and frees the challenge. */
void app_csr_fini(struct app_csr *csr);

#endif
