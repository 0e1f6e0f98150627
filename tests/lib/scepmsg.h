/*
 * tests/lib/scepmsg - a SCEP client made of OpenSSL's CMS and X.509 functions
 *
 * It shares no code with net/, so that the two check each other.  It can also make most mistakes that clients make.
 * Everything at zero is a good PKCSReq: AES-128-CBC, SHA-256, PKCS#1 v1.5, DER, random transactionID and nonce.
 *
 *	struct scepmsg_client client;
 *	struct scepmsg_csr csr = {.subject = "CN=device 1", .challenge = "secret"};
 *	struct scepmsg_options options = {0};
 *	struct scepmsg_request request;
 *	struct scepmsg_reply reply;
 *
 *	scepmsg_client_new(2048, &client);
 *	scepmsg_enroll(&client, &csr, &options, ra_decrypt, &request);
 *	… POST request.der …
 *	scepmsg_reply_parse(answer, &client, &request, ra_sign, &reply, &e);
 *	… reply.pki_status, reply.issued …
 *	scepmsg_reply_fini(&reply); scepmsg_request_fini(&request); scepmsg_client_fini(&client);
 *
 * For many distinct requests: keep a pool of clients, as making RSA keys is slow, and call scepmsg_enroll() for each
 * request; it costs two RSA signatures (about 2 ms), and every request has its own transactionID.
 *
 * Threads:  any, one at a time for each object; clients may be shared for reading.
 * Owner:    the caller ends everything that it began; see each *_fini().
 */
#ifndef TESTS_LIB_SCEPMSG_H
#define TESTS_LIB_SCEPMSG_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "board/base/buf.h"
#include "board/base/err.h"

/* A device: its key and the self-signed certificate that it signs requests with. */
struct scepmsg_client {
	EVP_PKEY *key;
	X509 *cert;
};

/* What goes into the PKCS#10 request.  Zero or NULL: left out, or the usual. */
struct scepmsg_csr {
	const char *subject;   /* "CN=a,O=b"; no commas within; NULL for an empty name */
	const char *challenge; /* challengePassword */
	int challenge_type;    /* V_ASN1_*; 0 for PrintableString */
	const char *san;       /* OpenSSL's notation, "DNS:a.example,IP:127.0.0.1" */
	const char *key_usage; /* OpenSSL's notation, "critical,digitalSignature" */
	const char *ext_key_usage;
	EVP_PKEY *key; /* to be certified; NULL for the client's own */
	const EVP_MD *digest;
	bool broken_signature;
};

/* Attributes to leave out or to have twice. */
enum {
	SCEPMSG_MESSAGE_TYPE = 1,
	SCEPMSG_TRANSACTION_ID = 2,
	SCEPMSG_SENDER_NONCE = 4,
};

/* How the PKIMessage is made, and what is wrong with it. */
struct scepmsg_options {
	const char *message_type;   /* text; NULL for "19" */
	const char *transaction_id; /* NULL for 32 random hexadecimal digits */
	int string_type;            /* V_ASN1_* of both; 0 for PrintableString */
	size_t nonce_len;           /* 0 for 16; at most 80 */
	const EVP_CIPHER *cipher;
	const EVP_MD *digest;
	const EVP_MD *oaep;     /* RSA-OAEP with this digest */
	const EVP_MD *oaep_mgf; /* and this one for MGF1; NULL for the same */
	const char *oaep_label;
	bool pss;              /* RSASSA-PSS signature */
	bool indefinite;       /* BER: indefinite lengths, strings in pieces */
	bool by_key_id;        /* recipient by subjectKeyIdentifier */
	bool signer_key_id;    /* signer by subjectKeyIdentifier */
	X509 *extra;           /* a further certificate beside the signer's */
	X509 *more_for;        /* a further recipient, before the real one */
	int omit;              /* SCEPMSG_* */
	int repeat;            /* SCEPMSG_* */
	bool no_attributes;    /* signature over the content itself */
	bool no_content;       /* no EnvelopedData */
	bool no_cert;          /* without the signer's certificate */
	bool plain_content;    /* the PKCS#10 request where EnvelopedData belongs */
	bool broken_signature; /* these two not with indefinite */
	bool broken_content;   /* one bit of EnvelopedData, after its digest was taken */
	struct bytes before;   /* garbage around the message */
	struct bytes after;
};

struct scepmsg_request {
	struct bytes der;
	char transaction_id[300];
	uint8_t nonce[80];
	size_t nonce_len; /* as sent; 0 when omitted */
};

/* A CertRep whose signature, transactionID and nonce are right. */
struct scepmsg_reply {
	int message_type;          /* -1 when absent, like the next two */
	int pki_status;            /* RFC 8894 3.2.1.3: 0 SUCCESS, 2 FAILURE, 3 PENDING */
	int fail_info;             /* RFC 8894 3.2.1.4 */
	char text[256];            /* failInfoText, "" when absent */
	char error[16];            /* Microsoft's, in decimal; "" when absent, like the next */
	char message[16];          /* Microsoft's */
	X509 *issued;              /* first certificate of the content; NULL without content */
	STACK_OF(X509) * inner;    /* all certificates of the content */
	STACK_OF(X509) * outer;    /* all certificates beside the signature */
	STACK_OF(X509_CRL) * crls; /* all CRLs of the content */
	bool has_content;
	bool has_sender_nonce;
	int digest;    /* NID of digestAlgorithm */
	int signature; /* NID of signatureAlgorithm */
	int cipher;    /* NID of the content cipher, 0 without content */
	int transport; /* NID of the key transport, 0 without content */
	bool transport_has_parameters;
};

/* A fresh RSA key; exponent 0 for 65537.  NULL on failure; the caller frees. */
EVP_PKEY *scepmsg_rsa(int bits, unsigned long exponent);

/* A self-signed certificate of key, CN=scepmsg, valid now, with a key identifier.  NULL on failure; caller frees. */
X509 *scepmsg_self_signed(EVP_PKEY *key);

/* The same, valid from and until these offsets from now in seconds. */
X509 *scepmsg_self_signed_at(EVP_PKEY *key, long from_s, long until_s);

/* A certificate of key for CN=name, issued by issuer (its certificate and key).  NULL on failure; the caller frees. */
X509 *scepmsg_issue(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key);

/* An X509 of DER, DER of an X509 (the caller frees data).  NULL, empty on failure. */
X509 *scepmsg_cert(struct bytes der);
struct bytes scepmsg_cert_der(X509 *cert); /* as scepmsg_cert() */

/* A client with a fresh RSA key.  0 or -1. */
MUST_CHECK int scepmsg_client_new(int bits, struct scepmsg_client *ret_client);

/* A client of a key, which it takes over, of any type.  0 or -1. */
MUST_CHECK int scepmsg_client_of(EVP_PKEY *key, struct scepmsg_client *ret_client);

/* Frees what the client holds. */
void scepmsg_client_fini(struct scepmsg_client *client);

/* DER of a PKCS#10 request; the caller frees data.  Empty on failure. */
struct bytes scepmsg_csr_build(EVP_PKEY *key, const struct scepmsg_csr *csr);

/* DER of what GetCert and GetCRL have inside, for a certificate; the caller frees data.  Empty on failure. */
struct bytes scepmsg_issuer_serial(X509 *cert);

/* A PKIMessage of client with plain enveloped to recipient.  0 or -1. */
MUST_CHECK int
scepmsg_build(const struct scepmsg_client *client, struct bytes plain, const struct scepmsg_options *options,
	      X509 *recipient, struct scepmsg_request *ret_request);

/* A PKCSReq: scepmsg_csr_build() and scepmsg_build() in one.  0 or -1. */
MUST_CHECK int
scepmsg_enroll(const struct scepmsg_client *client, const struct scepmsg_csr *csr,
	       const struct scepmsg_options *options, X509 *recipient, struct scepmsg_request *ret_request);

/* Frees what the request holds. */
void scepmsg_request_fini(struct scepmsg_request *request);

/*
 * Parses and verifies a CertRep: signature by ra_sign's key, transactionID and recipientNonce of the request, and
 * decrypts its content with the client's key.  Fails with ERR_FORMAT or ERR_VERIFY; e says what was wrong.
 */
MUST_CHECK int
scepmsg_reply_parse(struct bytes der, const struct scepmsg_client *client, const struct scepmsg_request *request,
		    X509 *ra_sign, struct scepmsg_reply *ret_reply, struct err *e);

/* Frees what the reply holds. */
void scepmsg_reply_fini(struct scepmsg_reply *reply);

#endif
