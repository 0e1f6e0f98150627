/*
 * hsm/tbs - what each key signs for whom
 *
 * The signer's last line: a front or an authority that was broken into gets no signature that its role does not need.
 * One table says which role may use which key class with which digest and which check of the data:
 *
 *	ca        authority  a TBSCertificate of an end entity, inside the CA's own limits
 *	ca        ceremony   the CA's own self-signed certificate, or the request for one, with its own key; the
 *	                     announcement of the next CA certificate (RFC 8894 4.7.1)
 *	crl       authority  a TBSCertList of this CA
 *	ra-sign   front      the signed attributes of a SCEP message (never a certificate: another tag)
 *	audit     authority  an audit checkpoint
 *	ocsp      authority  the ResponseData of one OCSP answer (hsm/tbs_ocsp.h)
 *	policy    authority  the request for its own certificate; the courier has hashes signed (MSG_SIGN_HASH)
 *	registration  authority  the registration point's own root, and TLS server certificates below it
 *	                     (hsm/tbs_registration.h)
 *
 * Each generation of the CA has limits of its own, those of its certificate.
 *
 * Threads:  any; nothing is changed.
 * Owner:    struct hsm_limits borrows from the certificates and keys that it was made from.
 */
#ifndef HSM_TBS_H
#define HSM_TBS_H

#include "board/base/x509.h"
#include "board/msg.h"

/* What an audit checkpoint starts with. */
#define HSM_TBS_AUDIT_PREFIX "chancery-audit-checkpoint"

enum {
	HSM_TBS_SKEW_S = 300,               /* how far in the future something may begin */
	HSM_TBS_BACKDATE_S = 8 * 24 * 3600, /* how far in the past (template.backdate_minutes, and some) */
	HSM_TBS_CRL_S = 366 * 24 * 3600,    /* longest life of a CRL */
};

/* The CA's limits.  Without a certificate (at the ceremony) only the spki counts. */
struct hsm_limits {
	bool has_ca;
	struct x509 ca;         /* the CA certificate */
	struct bytes ca_key_id; /* its subjectKeyIdentifier; empty: none */
	struct bytes ca_spki;   /* SubjectPublicKeyInfo of the key that signs, from the token */
	struct bytes
		other_spkis[CA_GENERATIONS]; /* those of the CA's other generations, which are not certified either */
	int max_days;                        /* ca.max_validity_days */
};

/* The limits that a CA certificate sets.  Fails with ERR_FORMAT, or ERR_CONFIG when it is not of the key ca_spki. */
MUST_CHECK int hsm_limits_init(struct bytes ca_certificate, struct bytes ca_spki, int max_days,
			       struct hsm_limits *ret_limits, struct err *e);

/* Tells each of count generations the keys of the others; those without a CA certificate have none. */
void hsm_limits_join(struct hsm_limits *limits, size_t count);

/* May from have anything signed by key_class with digest?  Cheap, for the loop.  Fails with ERR_DENIED or ERR_ALG. */
MUST_CHECK int hsm_tbs_allowed(enum key_class key_class, enum role from, enum digest digest, struct err *e);

/* Octets of the longest data that is looked at for this class. */
size_t hsm_tbs_limit(enum key_class key_class);

/*
 * May from have data signed by key_class, whose signatures carry algorithm (an AlgorithmIdentifier, whole)?  now is
 * seconds since 1970.  Fails with ERR_DENIED, ERR_ALG or ERR_FORMAT; e says which limit.
 */
MUST_CHECK int hsm_tbs_check(const struct hsm_limits *limits, enum key_class key_class, enum role from,
			     enum digest digest, struct bytes algorithm, struct bytes data, int64_t now, struct err *e);

#endif
