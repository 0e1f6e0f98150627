/*
 * net/scep - SCEP messages (RFC 8894): bytes to a request, an answer to bytes
 *
 * Nothing here holds a private key.  The caller has the content key unwrapped and the attributes signed by another
 * process, so both ways have a seam:
 *
 *	net_scep_parse()      outer signature, attributes, envelope; tells what can be answered and how
 *	net_scep_recipient()  which wrapped key is for us              … the signer unwraps it …
 *	net_scep_open()       decrypts; gives the PKCS#10 request      … the authority decides …
 *	net_scep_reply_new()  envelope and signed attributes           … the signer signs net_scep_reply_tbs() …
 *	net_scep_reply_finish()
 *
 * Threads:  any, one at a time for each object; no sockets, no waiting.
 * Owner:    a request and a reply own copies of all that they hold; every struct bytes in them lives as long as they
 *           do.
 */
#ifndef NET_SCEP_H
#define NET_SCEP_H

#include <stdbool.h>

#include "board/base/buf.h"
#include "board/base/err.h"
#include "board/base/x509.h"
#include "board/config.h"
#include "board/msg.h"
#include "net/cms_alg.h"

/* What is accepted beyond SHA-2 and AES.  MD5 never is (RFC 8894 2.9). */
struct net_scep_policy {
	bool sha1;
	bool des3;
	bool des_requests; /* single DES in what clients send; the reply to it is in AES-128 */
	bool renewal;      /* serve RenewalReq */
};

/* RFC 8894 3.2.1.2 */
enum {
	NET_SCEP_CERT_REP = 3,
	NET_SCEP_RENEWAL_REQ = 17,
	NET_SCEP_PKCS_REQ = 19,
	NET_SCEP_CERT_POLL = 20,
	NET_SCEP_GET_CERT = 21,
	NET_SCEP_GET_CRL = 22,
};

enum {
	NET_SCEP_GOOD = -1, /* fail_info of a request without fault */
	NET_SCEP_ID_MAX = 255,
	NET_SCEP_NONCE_MAX = 64,
	NET_SCEP_RECIPIENTS_MAX = 8,
	NET_SCEP_CERTS_MAX = 16,
	NET_SCEP_ATTRIBUTES_MAX = 32,
	NET_SCEP_CRL_MAX = 1000 * 1000, /* a larger one is for HTTP */
};

/* One KeyTransRecipientInfo: whose it is, and what the signer needs for MSG_UNWRAP. */
struct net_scep_recipient {
	struct bytes issuer; /* Name, whole; empty when the recipient is named by ski */
	struct bytes serial; /* content of the INTEGER */
	struct bytes ski;
	int padding;            /* UNWRAP_PKCS1 or UNWRAP_OAEP; the next three are for OAEP */
	enum digest digest;     /* DIGEST_* */
	enum digest mgf_digest; /* DIGEST_* */
	struct bytes label;
	struct bytes wrapped;
};

struct net_scep_request {
	/*
	 * NET_SCEP_GOOD, or the SCEP_* of the signed CertRep FAILURE that is the only answer to this message; then only
	 * the fields from message_type to sender_nonce, digest and cipher are sure to be set, as far as they could be
	 * read.
	 */
	int fail_info;
	char cause[ERR_TEXT_SIZE]; /* why, for the log; never for the peer */

	int message_type;            /* 0 to 255; -1 when missing or unreadable */
	struct bytes transaction_id; /* printable ASCII, at most NET_SCEP_ID_MAX; empty when missing or unreadable */
	struct bytes sender_nonce;   /* as it came, at most NET_SCEP_NONCE_MAX; empty when missing */

	struct bytes signer;     /* certificate of the outer signature, DER; nothing vouches for it (RFC 8894 2.3) */
	struct x509 cert;        /* the same, parsed */
	struct evp_pkey_st *key; /* its key, RSA; owned by the request */
	enum digest digest;      /* of the outer signature; SHA-256 when the request's is not acceptable */
	struct bytes
		attributes; /* the SET OF that was signed, DER; with the next two set when the signature is right */
	struct bytes signature;
	struct net_cms_signature how;
	enum net_cms_cipher_id cipher; /* of the content; AES-128 when the request's is not acceptable */
	size_t key_size;               /* bytes of that cipher's key, for MSG_UNWRAP */
	struct bytes iv;
	struct bytes content; /* encrypted */
	struct net_scep_recipient recipients[NET_SCEP_RECIPIENTS_MAX];
	size_t recipient_count;

	struct net_scep_store *store; /* what the fields above point into; private */
};

/*
 * Parses message (DER or BER, nothing behind it) and checks the outer signature; copies what it keeps.  Fails with
 * ERR_FORMAT when it is no SCEP message at all (answer: HTTP 400) and ERR_NOMEM.  Success is either a good request or
 * one to be refused by a signed CertRep: see fail_info.  The caller frees with net_scep_request_free().
 */
MUST_CHECK int net_scep_parse(struct bytes message, const struct net_scep_policy *policy,
			      struct net_scep_request **ret_request, struct err *e);

/* Frees; NULL is fine. */
void net_scep_request_free(struct net_scep_request *request);

/*
 * Which recipient of a good request is one of our count certificates (DER): issuer and serial, else the key identifier,
 * else the serial alone when just one pair agrees in it, as clients re-encode names (C29).  *ret_cert is the index of
 * the certificate.  Fails with ERR_UNKNOWN: refuse with SCEP_BAD_MESSAGE_CHECK (C34).
 */
MUST_CHECK int net_scep_recipient(const struct net_scep_request *request, const struct bytes *certs, size_t count,
				  const struct net_scep_recipient **ret_recipient, size_t *ret_cert, struct err *e);

/*
 * Decrypts the content of a good request with the unwrapped key and appends it to out.  Every failure (padding,
 * lengths) is ERR_VERIFY with the same text, and padding is checked in constant time; ERR_LIMIT or ERR_NOMEM when out
 * is full.
 */
MUST_CHECK int net_scep_open(const struct net_scep_request *request, struct bytes key, struct buf *out, struct err *e);

/*
 * Reads what GetCert and GetCRL have inside: IssuerAndSerialNumber (RFC 5652 10.2.4), strict DER and nothing behind it.
 * *ret_issuer is the Name, whole, *ret_serial the content of the INTEGER; both borrowed.  Fails with ERR_FORMAT.
 */
MUST_CHECK int net_scep_issuer_serial(struct bytes plain, struct bytes *ret_issuer, struct bytes *ret_serial);

/* What a CertRep says.  All of it is borrowed for the call. */
struct net_scep_answer {
	int status;                /* STATUS_ISSUED, STATUS_REFUSED or STATUS_PENDING */
	enum scep_fail fail_info;  /* with STATUS_REFUSED */
	const char *text;          /* failInfoText with STATUS_REFUSED; NULL or "" for none; UTF-8 */
	bool microsoft;            /* add Microsoft's attributes (facts, microsoft.md 1.11) */
	uint32_t hresult;          /* with STATUS_REFUSED and those; 0: what fail_info stands for */
	struct bytes certificate;  /* with STATUS_ISSUED, DER */
	struct bytes crl;          /* with STATUS_ISSUED instead, DER; at most NET_SCEP_CRL_MAX */
	struct bytes ra_sign;      /* certificate of the key that will sign, DER; RSA or EC */
	const struct bytes *extra; /* CA certificates behind the issued one and behind ra_sign (C28), DER */
	size_t extra_count;
	bool empty_content; /* content of no octets with STATUS_REFUSED and STATUS_PENDING, instead of none */
};

struct net_scep_reply;

/* "badAlg" and so on, for the log; "-" for what is no failInfo.  Static storage. */
const char *net_scep_fail_name(int fail_info);

/*
 * Begins the CertRep to a request: for STATUS_ISSUED a degenerate SignedData with the certificate first, enveloped to
 * the requester with the request's cipher and key transport.  The request is not needed afterwards.  Fails with
 * ERR_FORMAT (a certificate of ours), ERR_ALG (no key to envelope to), ERR_CRYPTO, ERR_NOMEM, ERR_INTERNAL.
 */
MUST_CHECK int net_scep_reply_new(const struct net_scep_request *request, const struct net_scep_answer *answer,
				  struct net_scep_reply **ret_reply, struct err *e);

/* The SignedAttributes as SET OF, which the "ra-sign" key has to sign (MSG_SIGN, KEY_RA_SIGN); borrowed. */
struct bytes net_scep_reply_tbs(const struct net_scep_reply *reply);

/* The digest to sign them with. */
enum digest net_scep_reply_digest(const struct net_scep_reply *reply);

/* Appends the finished message (application/x-pki-message) to out.  Fails with ERR_LIMIT or ERR_NOMEM. */
MUST_CHECK int
net_scep_reply_finish(const struct net_scep_reply *reply, struct bytes signature, struct buf *out, struct err *e);

/* Frees; NULL is fine. */
void net_scep_reply_free(struct net_scep_reply *reply);

/*
 * Appends a degenerate SignedData with count DER certificates in this order, as for GetCACert (RFC 8894 3.4).  Fails
 * with ERR_LIMIT, ERR_NOMEM.
 */
MUST_CHECK int net_scep_certs_only(const struct bytes *certs, size_t count, struct buf *out);

/* What profile lets in. */
struct net_scep_policy net_scep_policy_of(const struct config_profile *profile);

/*
 * Appends the answer to GetCACaps (RFC 8894 3.5.2), lines ended by LF: what profile lets in and, with next_ca,
 * GetNextCACert, then what it says beside.  Its blank line makes strongSwan 5.9.8 to 5.9.10 believe every capability
 * (facts E.1).
 */
void net_scep_capabilities(const struct config_profile *profile, bool next_ca, struct buf *out);

CLEANUP_STRUCT(net_scep_request, net_scep_request_free)
CLEANUP_STRUCT(net_scep_reply, net_scep_reply_free)

#endif
