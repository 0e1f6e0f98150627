/*
 * board/msg - the messages of msg.def as C types, with their codecs
 *
 * It lives in the bottom room because net/ must speak to the signer without seeing hsm/, and the authority to both.
 *
 * Threads:  any.
 * Owner:    a decoded message borrows from the bytes that it was decoded from.
 */
#ifndef BOARD_MSG_H
#define BOARD_MSG_H

#include "board/base/buf.h"
#include "board/base/ipc.h"

enum msg_type {
	MSG_NONE,
#define MSG(name, NAME, from, to, limit, ...) MSG_##NAME,
#include "board/msg.def"
#undef MSG
	MSG_TYPE_COUNT
};

/* Key classes: what a key may be used for, and its label in the token (msg_key_label()). */
enum key_class {
	KEY_CA,
	KEY_CRL,
	KEY_RA_SIGN,
	KEY_RA_DECRYPT,
	KEY_POLICY,
	KEY_AUDIT,
	KEY_OCSP,
	KEY_REGISTRATION,
	KEY_CLASS_COUNT
};
enum key_alg { KEY_ALG_RSA2048, KEY_ALG_RSA3072, KEY_ALG_RSA4096, KEY_ALG_P256, KEY_ALG_P384, KEY_ALG_COUNT };
enum digest { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_COUNT };

/*
 * The CA's generations: 0 is its first key and certificate, each roll-over prepares the next (hsm/key.h names its key).
 * People are shown them from 1 on.  So many in an appliance's life, those that were given up included.
 */
enum { CA_GENERATIONS = 16 };

enum { UNWRAP_PKCS1, UNWRAP_OAEP };
enum { SECRET_PIN, SECRET_SO_PIN, SECRET_CHALLENGE };
enum { LISTEN_HTTP, LISTEN_HTTPS, LISTEN_CONTROL, LISTEN_ADMIN, LISTEN_REGISTRATION };

/* Which TLS server certificate: one of the CA, or one below the registration point's own root. */
enum { TLS_FRONT, TLS_REGISTRATION, TLS_USES };

/* What is asked of a registration point; REGISTRATION_LOOK is a browser. */
enum { REGISTRATION_LOOK, REGISTRATION_VERIFY, REGISTRATION_NOTIFY, REGISTRATION_GENERATE };

/* What a person or program wants of the administrator's page, and what becomes of it. */
enum { ADMIN_CHALLENGE, ADMIN_LOOK, ADMIN_GENERATE };
enum { ADMIN_GRANTED, ADMIN_STATIC, ADMIN_FULL, ADMIN_DENIED, ADMIN_RETRY, ADMIN_MALFORMED, ADMIN_LOGIN };

/* STATUS_NONE: transaction unknown, go on.  STATUS_RETRY: HTTP 503. */
enum { STATUS_NONE, STATUS_ISSUED, STATUS_REFUSED, STATUS_PENDING, STATUS_RETRY };

/* Kinds of policy modules, and X509SCEPDisposition (facts, microsoft.md 2.2) as an unsigned number. */
enum { POLICY_NONE, POLICY_CHALLENGE, POLICY_REGISTRATION_POINT, POLICY_INTUNE, POLICY_EXEC };
enum { DISPOSITION_SUCCESS = 0, DISPOSITION_FAILURE = 2, DISPOSITION_PENDING = 3 };

/* RFC 8894 3.2.1.4 */
enum scep_fail { SCEP_BAD_ALG, SCEP_BAD_MESSAGE_CHECK, SCEP_BAD_REQUEST, SCEP_BAD_TIME, SCEP_BAD_CERT_ID };

/* Windows' names for why a request failed (facts, microsoft.md 1.11; winerror.h).  No enum: int has no room. */
#define HRESULT_INVALID_ARGUMENT 0x80070057u /* E_INVALIDARG: what NDES says with badRequest */
#define HRESULT_NOT_FOUND        0x80070490u /* ERROR_NOT_FOUND */
#define HRESULT_BAD_DATA         0x80090005u /* NTE_BAD_DATA */
#define HRESULT_BAD_ALGORITHM    0x80090008u /* NTE_BAD_ALGID */
#define HRESULT_BAD_TIME         0x800b0101u /* CERT_E_EXPIRED */
#define HRESULT_CHALLENGE        0x800b0110u /* CERT_E_WRONG_USAGE: the challenge is not accepted */

enum { MSG_LIST_MAX = 32 };

struct msg_list {
	struct bytes item[MSG_LIST_MAX];
	size_t count;
};

/* struct msg_config { struct bytes config; }; and so on, one for each line of msg.def. */
#define U8(n)         uint8_t n;
#define U16(n)        uint16_t n;
#define U32(n)        uint32_t n;
#define U64(n)        uint64_t n;
#define I64(n)        int64_t n;
#define BYTES(n)      struct bytes n;
#define TEXT(n, size) char n[size];
#define LIST(n, max)  struct msg_list n;
#define MSG(name, NAME, from, to, limit, ...)                                                                          \
	struct msg_##name {                                                                                            \
		__VA_ARGS__                                                                                            \
	};
#include "board/msg.def"
#undef MSG
#undef U8
#undef U16
#undef U32
#undef U64
#undef I64
#undef BYTES
#undef TEXT
#undef LIST

/*
 * For each message NAME of msg.def:
 *   msg_name_put(b, m)                      appends the body of m to b
 *   msg_name_get(body, ret_m)               decodes; ERR_FORMAT for anything else than exactly one such body
 *   msg_name_send(ipc, id, m)               encodes and ipc_send()s
 *   msg_name_call(ipc, m, timeout, fn, arg) encodes and ipc_call()s
 */
#define MSG(name, NAME, from, to, limit, ...)                                                                          \
	void msg_##name##_put(struct buf *b, const struct msg_##name *m);                                              \
	MUST_CHECK int msg_##name##_get(struct bytes body, struct msg_##name *ret_m);                                  \
	MUST_CHECK int msg_##name##_send(struct ipc *ipc, uint64_t id, const struct msg_##name *m);                    \
	MUST_CHECK int msg_##name##_call(struct ipc *ipc, const struct msg_##name *m, int timeout_ms,                  \
					 ipc_answer_fn fn, void *arg);
#include "board/msg.def"
#undef MSG

/*
 * May from send this type to to, with a body of len bytes?  What ipc.c asks for every frame.  The front never sends
 * more than 1 MiB, whatever msg.def says.
 */
bool msg_allowed(uint16_t type, enum role from, enum role to, size_t len);

/* The largest body of this type; 0 for a number that is no message. */
size_t msg_limit(uint16_t type);

/*
 * "ca", "crl", "ra-sign", "ra-decrypt", "policy", "audit", "ocsp", "registration".  "crl" is served by the CA's key
 * object.  Static storage.
 */
const char *msg_key_name(enum key_class key_class);

/* "rsa2048", "rsa3072", "rsa4096", "p256", "p384".  Static storage. */
const char *msg_key_alg_name(enum key_alg algorithm);

/* The number of such a name; -1 for others. */
int msg_key_alg_parse(const char *name);

#endif
