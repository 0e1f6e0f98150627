#include "net/tls.h"

#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

#include "board/base/x509.h"

CLEANUP(EVP_PKEY, EVP_PKEY_free)
CLEANUP(X509, X509_free)
CLEANUP(X509_REQ, X509_REQ_free)
CLEANUP(SSL_CTX, SSL_CTX_free)
CLEANUP(GENERAL_NAMES, GENERAL_NAMES_free)

enum { NAME_MAX_LEN = 253, COMMON_NAME_MAX = 64, CHAIN_MAX = 8 /* MSG_REGISTRATION */ };

#define STACK_OF_EXTENSIONS STACK_OF(X509_EXTENSION)

/* ---- the request ------------------------------------------------------------------------------------------------ */

static GENERAL_NAME *
general_name(const char *text, size_t len)
{
	char name[NAME_MAX_LEN + 1];
	uint8_t address[16];
	GENERAL_NAME *general = GENERAL_NAME_new();
	bool is_v4;

	memcpy(name, text, len);
	name[len] = '\0';
	if (general == NULL)
		return NULL;
	is_v4 = inet_pton(AF_INET, name, address) == 1;
	if (is_v4 || inet_pton(AF_INET6, name, address) == 1) {
		general->type = GEN_IPADD;
		general->d.iPAddress = ASN1_OCTET_STRING_new();
		if (general->d.iPAddress != NULL &&
		    ASN1_OCTET_STRING_set(general->d.iPAddress, address, is_v4 ? 4 : 16) == 1)
			return general;
	} else {
		general->type = GEN_DNS;
		general->d.dNSName = ASN1_IA5STRING_new();
		if (general->d.dNSName != NULL && ASN1_STRING_set(general->d.dNSName, name, (int)len) == 1)
			return general;
	}
	GENERAL_NAME_free(general);
	return NULL;
}

static int
put_names(X509_REQ *csr, const char *names, struct err *e)
{
	STACK_OF_EXTENSIONS *extensions = NULL;
	AUTO(GENERAL_NAMES) list = sk_GENERAL_NAME_new_null();
	bool done;

	for (const char *at = names + strspn(names, " "); list != NULL && *at != '\0'; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");
		GENERAL_NAME *general;

		if (len > NAME_MAX_LEN)
			return err_set(e, ERR_CONFIG, 0, "a name in front.tls_names is too long");
		general = general_name(at, len);
		if (general == NULL || sk_GENERAL_NAME_push(list, general) <= 0) {
			GENERAL_NAME_free(general);
			return err_set(e, ERR_NOMEM, 0, "list the names of the TLS certificate");
		}
		/* The first name is the subject, unless it is longer than a CN may be (RFC 5280 A.1). */
		if (sk_GENERAL_NAME_num(list) == 1 && len <= COMMON_NAME_MAX &&
		    X509_NAME_add_entry_by_NID(X509_REQ_get_subject_name(csr), NID_commonName, MBSTRING_UTF8,
					       (const unsigned char *)at, (int)len, -1, 0) != 1)
			return err_set_ossl(e, ERR_CRYPTO, "name the subject of the TLS certificate");
		at += len;
	}
	if (list == NULL || sk_GENERAL_NAME_num(list) == 0)
		return err_set(e, ERR_CONFIG, 0, "front.tls_names is empty");
	done = X509V3_add1_i2d(&extensions, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT) == 1 &&
	       X509_REQ_add_extensions(csr, extensions) == 1;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return done ? 0 : err_set_ossl(e, ERR_CRYPTO, "write the names of the TLS certificate");
}

int
net_tls_request(const char *names, struct buf *out, EVP_PKEY **ret_key, struct err *e)
{
	AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");
	AUTO(X509_REQ) csr = X509_REQ_new();
	unsigned char *der = NULL;
	int len;
	int rc;

	if (key == NULL || csr == NULL || X509_REQ_set_version(csr, X509_REQ_VERSION_1) != 1 ||
	    X509_REQ_set_pubkey(csr, key) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "generate the TLS key");
	rc = put_names(csr, names, e);
	if (rc != 0)
		return rc;
	if (X509_REQ_sign(csr, key, EVP_sha256()) <= 0)
		return err_set_ossl(e, ERR_CRYPTO, "sign the request for the TLS certificate");
	len = i2d_X509_REQ(csr, &der);
	if (len <= 0)
		return err_set_ossl(e, ERR_CRYPTO, "encode the request for the TLS certificate");
	buf_put_raw(out, der, (size_t)len);
	OPENSSL_free(der);
	if (buf_status(out) != 0)
		return err_set(e, buf_status(out), 0, "store the request for the TLS certificate");
	*ret_key = TAKE(key);
	return 0;
}

/* ---- the context ------------------------------------------------------------------------------------------------ */

static int
set_rules(SSL_CTX *context)
{
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
					     SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* An idle connection keeps no buffers. */
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	/* Tickets resume; nothing is remembered here. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
	       SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1 && SSL_CTX_set_num_tickets(context, 1) == 1;
}

int
net_tls_warm_up(struct err *e)
{
	AUTO(SSL_CTX) context = SSL_CTX_new(TLS_server_method());
	AUTO(EVP_PKEY) key = EVP_EC_gen("P-256");

	if (context == NULL || key == NULL || !set_rules(context))
		return err_set_ossl(e, ERR_CRYPTO, "prepare TLS");
	return 0;
}

static int
add_chain(SSL_CTX *context, const struct bytes *chain, size_t count, struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		const unsigned char *next = chain[i].data;
		AUTO(X509) cert = d2i_X509(NULL, &next, (long)chain[i].len);

		if (cert == NULL)
			return err_set_ossl(e, ERR_FORMAT, "read a CA certificate");
		/* Which certificates a client is asked for, where it is asked. */
		if (i == 0 && SSL_CTX_add_client_CA(context, cert) != 1)
			return err_set_ossl(e, ERR_CRYPTO, "name the CA to clients");
		if (X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0)
			continue; /* peers have the root, or do not trust it */
		if (SSL_CTX_add1_chain_cert(context, cert) != 1)
			return err_set_ossl(e, ERR_CRYPTO, "add a CA certificate to the TLS chain");
	}
	return 0;
}

int
net_tls_context(EVP_PKEY *key, struct bytes certificate, const struct bytes *chain, size_t count, SSL_CTX **ret_context,
		struct err *e)
{
	AUTO(SSL_CTX) context = SSL_CTX_new(TLS_server_method());
	const unsigned char *next = certificate.data;
	AUTO(X509) cert = d2i_X509(NULL, &next, (long)certificate.len);
	int rc;

	if (cert == NULL)
		return err_set_ossl(e, ERR_FORMAT, "read the TLS certificate");
	if (context == NULL || !set_rules(context))
		return err_set_ossl(e, ERR_CRYPTO, "set up TLS");
	if (SSL_CTX_use_certificate(context, cert) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1 ||
	    SSL_CTX_check_private_key(context) != 1)
		return err_set_ossl(e, ERR_VERIFY, "match the TLS certificate with its key");
	rc = add_chain(context, chain, count, e);
	if (rc != 0)
		return rc;
	*ret_context = TAKE(context);
	return 0;
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

/* Whose certificate it is, the authority decides, which knows what it issued. */
static int
accept_any(int is_good, X509_STORE_CTX *chain)
{
	return 1;
}

/* A session that began elsewhere, without a certificate, must not be resumed here, nor the other way round. */
static bool
ask_for_certificate(SSL *ssl)
{
	static const unsigned char id[] = "admin";

	SSL_set_verify(ssl, SSL_VERIFY_PEER, accept_any);
	SSL_set_options(ssl, SSL_OP_NO_TICKET);
	return SSL_set_num_tickets(ssl, 0) == 1 && SSL_set_session_id_context(ssl, id, sizeof(id) - 1) == 1;
}

void
net_tls_certificate(struct bufferevent *bev, struct buf *out)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	X509 *cert = ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);
	unsigned char *der = NULL;
	int len = cert == NULL ? 0 : i2d_X509(cert, &der);

	if (len > 0)
		buf_put_raw(out, der, (size_t)len);
	OPENSSL_free(der);
}

void
net_tls_certificates(struct bufferevent *bev, struct buf *out, struct msg_list *ret_list)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	STACK_OF(X509) *sent = ssl == NULL ? NULL : SSL_get_peer_cert_chain(ssl);
	size_t size = 0;

	ret_list->count = 0;
	net_tls_certificate(bev, out);
	if (out->len == 0)
		return;
	ret_list->item[ret_list->count++].len = out->len;
	/* On the server's side the chain is without the peer's own. */
	for (int i = 0; i < sk_X509_num(sent) && ret_list->count < CHAIN_MAX; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(sk_X509_value(sent, i), &der);

		if (len > 0 && (size_t)len <= out->limit - out->len) {
			buf_put_raw(out, der, (size_t)len);
			ret_list->item[ret_list->count++].len = (size_t)len;
		}
		OPENSSL_free(der);
	}
	/* The buffer moved while it grew. */
	for (size_t i = 0; i < ret_list->count; i++) {
		ret_list->item[i].data = out->data + size;
		size += ret_list->item[i].len;
	}
}

struct bufferevent *
net_tls_accept(SSL_CTX *context, bool wants_certificate, struct event_base *base)
{
	SSL *ssl = SSL_new(context);
	struct bufferevent *bev;

	if (ssl == NULL)
		return NULL;
	if (wants_certificate && !ask_for_certificate(ssl)) {
		SSL_free(ssl);
		return NULL;
	}
	bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	/* Peers that close without close_notify are as good as others: HTTP has its own lengths. */
	if (bev != NULL)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

void
net_tls_goodbye(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	if (ssl == NULL || !SSL_is_init_finished(ssl))
		return;
	SSL_set_shutdown(ssl, SSL_RECEIVED_SHUTDOWN);
	SSL_shutdown(ssl);
	ERR_clear_error();
}
