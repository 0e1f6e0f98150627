/*
 * appliance/cert - building the TBSCertificate, checking it, and joining it with its signature (RFC 5280 4.1)
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_CERT_H
#define APPLIANCE_CERT_H

#include "appliance/profile.h"
#include "board/base/x509.h"
#include "board/msg.h"

/* What stays the same for all certificates of one CA key. */
struct app_issuer {
	struct bytes der;       /* the CA certificate, owned by whoever made the issuer */
	struct x509 cert;       /* parsed, borrows from der */
	struct bytes key_id;    /* subjectKeyIdentifier of the CA, borrowed from der */
	enum digest digest;     /* SHA-256; SHA-384 for a P-384 key */
	struct bytes algorithm; /* the signature AlgorithmIdentifier, static storage */
};

/*
 * Reads a CA certificate: CA:TRUE, keyCertSign and cRLSign, subjectKeyIdentifier.  der must outlive it.  Fails with
 * ERR_FORMAT, ERR_ALG.
 */
MUST_CHECK int app_issuer_init(struct bytes der, struct app_issuer *ret_issuer, struct err *e);

/* What varies. */
struct app_subject {
	uint8_t serial[APP_SERIAL_SIZE];
	struct bytes name;      /* Name, whole */
	struct bytes spki;      /* whole */
	struct bytes san;       /* content of the subjectAltName extension's OCTET STRING; empty: none */
	char sid[APP_SID_SIZE]; /* for the NTDS CA security extension; "": none.  Only from what we trust. */
	int64_t not_before;
	int64_t not_after;
};

/*
 * 16 octets, positive, at least 64 bits unpredictable (here 126): first octet 0x40..0x7f, so that the DER length is
 * always the same and no zero has to be added.  Fails with ERR_CRYPTO when the random generator fails.
 */
MUST_CHECK int app_serial_new(uint8_t ret_serial[APP_SERIAL_SIZE]);

/*
 * The subject and SAN that profile takes from a checked request; bytes borrow from csr and from room, where a subject
 * is built that the profile changes.  There is no SID.  Fails with ERR_FORMAT, ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int app_cert_subject(const struct app_profile *profile, const struct app_csr *csr, struct buf *room,
				struct app_subject *ret_subject, struct err *e);

/*
 * Appends the TBSCertificate to out; the same input gives the same octets.  The SAN is critical exactly when the
 * subject is empty (RFC 5280 4.2.1.6).  Fails with ERR_FORMAT (spki is none), ERR_LIMIT or ERR_NOMEM.
 */
MUST_CHECK int app_cert_build(const struct app_issuer *issuer, const struct app_profile *profile,
			      const struct app_subject *subject, struct buf *out);

/* Appends authorityKeyIdentifier with the key identifier alone (RFC 5280 4.2.1.1, 5.2.1). */
void app_cert_authority_key_id_put(struct buf *b, struct bytes key_id);

/*
 * Checks a TBSCertificate against RFC 5280 with the strict reader and no help from the builder: version, serial,
 * algorithm, issuer, dates and their encoding, subject or critical SAN, required and forbidden extensions and their
 * criticality, no duplicates, name lengths (ub-common-name 64 and the like).  Fails with ERR_INTERNAL; e names the
 * rule.
 */
MUST_CHECK int app_cert_lint(const struct app_issuer *issuer, struct bytes tbs, struct err *e);

/*
 * SEQUENCE { tbs, algorithm, BIT STRING signature } appended to out: a Certificate, and a CertificateList or PKCS#10 as
 * well.  Fails with ERR_LIMIT or ERR_NOMEM.
 */
MUST_CHECK int app_cert_join(struct bytes tbs, struct bytes algorithm, struct bytes signature, struct buf *out);

/*
 * TBSCertificate of a self-signed CA, for the ceremony: name and spki given, pathlen -1 for none.  May also sign what
 * is not a certificate (digitalSignature).  Fails with ERR_FORMAT (spki), ERR_LIMIT or ERR_NOMEM.
 */
MUST_CHECK int
app_cert_build_root(struct bytes name, struct bytes spki, const uint8_t serial[APP_SERIAL_SIZE], int64_t not_before,
		    int64_t not_after, int pathlen, struct bytes algorithm, struct buf *out);

/*
 * The same for the registration point's own root: path length 0, signs certificates and CRLs alone.  Fails as
 * app_cert_build_root().
 */
MUST_CHECK int
app_cert_build_point_root(struct bytes name, struct bytes spki, const uint8_t serial[APP_SERIAL_SIZE],
			  int64_t not_before, int64_t not_after, struct bytes algorithm, struct buf *out);

/*
 * CertificationRequestInfo for a subordinate CA, for the ceremony; asks for CA:TRUE, digitalSignature, keyCertSign,
 * cRLSign.  Fails with ERR_LIMIT or ERR_NOMEM.
 */
MUST_CHECK int app_cert_build_request(struct bytes name, struct bytes spki, struct buf *out);

/*
 * Appends the DER of a Name from text such as "CN=Device CA,O=Example,C=DE": escapes of RFC 4514, RDNs in the order in
 * which they are written, UTF8String (C and serialNumber PrintableString, DC and emailAddress IA5String), one
 * attribute in each RDN.  Fails with ERR_FORMAT (e names the part), ERR_LIMIT or ERR_NOMEM.
 */
MUST_CHECK int app_name_parse(const char *text, struct buf *out, struct err *e);

/* RFC 5280 7.1: string types, case and runs of blanks do not make another Name, the order of RDNs does. */
bool app_name_same(struct bytes a, struct bytes b);

/* Static AlgorithmIdentifier and digest for signatures of a key with this SPKI.  Fails with ERR_ALG. */
MUST_CHECK int app_signature_algorithm(struct bytes spki, enum digest *ret_digest, struct bytes *ret_algorithm);

#endif
