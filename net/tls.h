/*
 * net/tls - the TLS side of the front: a short-lived key that only memory holds, its certificate, and connections
 *
 * The key is P-256 and made anew for every certificate; nothing writes it anywhere.  net/tlskeep.h has it certified in
 * time.  TLS 1.2 and 1.3, AEAD with ECDHE only, no renegotiation, no compression, and client certificates on the
 * administrator's listener alone (macOS misbehaves when asked for one, facts C35).
 *
 * Threads:  any; a context may be used by all loops at the same time.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>

#include "board/base/buf.h"
#include "board/base/err.h"
#include "board/msg.h"

struct bufferevent; /* libevent's */
struct event_base;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */
struct ssl_ctx_st;  /* OpenSSL's SSL_CTX */

/* Loads what OpenSSL reads from files at its first use; before the process is confined.  Fails with ERR_CRYPTO. */
MUST_CHECK int net_tls_warm_up(struct err *e);

/*
 * A new key and the PKCS#10 request for it, appended to out: CN is the first of names, subjectAltName all of them (DNS
 * names and IP addresses, separated by blanks).  The caller frees the key with EVP_PKEY_free().  Fails with ERR_CONFIG,
 * ERR_CRYPTO.
 */
MUST_CHECK int net_tls_request(const char *names, struct buf *out, struct evp_pkey_st **ret_key, struct err *e);

/*
 * A context with this key and certificate (DER), and as chain those of count CA certificates that are not
 * self-signed.  The caller frees with SSL_CTX_free().  Fails with ERR_FORMAT, ERR_VERIFY when key and certificate do
 * not match, ERR_CRYPTO.
 */
MUST_CHECK int net_tls_context(struct evp_pkey_st *key, struct bytes certificate, const struct bytes *chain,
			       size_t count, struct ssl_ctx_st **ret_context, struct err *e);

/*
 * The server side of a connection whose socket comes later; NULL when there is no memory.  For net/http.c.  With
 * wants_certificate the peer is asked for one of this CA; it may show another one or none, and no session is resumed.
 */
struct bufferevent *net_tls_accept(struct ssl_ctx_st *context, bool wants_certificate, struct event_base *base);

/* Appends the certificate (DER) whose key the peer proved to have; nothing when there is none. */
void net_tls_certificate(struct bufferevent *bev, struct buf *out);

/*
 * The same with those that the peer sent along, its own first, each appended to out and found in ret_list, which points
 * into out; what does not fit into either is left out.
 */
void net_tls_certificates(struct bufferevent *bev, struct buf *out, struct msg_list *ret_list);

/* Says goodbye on a connection that is about to be closed, without waiting for an answer. */
void net_tls_goodbye(struct bufferevent *bev);

#endif
