#include "net/https.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

CLEANUP(X509, X509_free)

enum { CONNECT_SHARE = 2, ALIVE_S = 60 };

struct net_https {
	CURL *curl;
};

/* What the callbacks of one call need. */
struct call {
	const struct net_https_request *request;
	struct net_https_answer *answer;
	struct err *e;
	bool too_long;
};

int
net_https_init(struct err *e)
{
	CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);

	return rc == CURLE_OK ? 0 : err_set(e, ERR_INTERNAL, (uint32_t)rc, "libcurl: %s", curl_easy_strerror(rc));
}

int
net_https_new(struct net_https **ret_https)
{
	struct net_https *https = calloc(1, sizeof(*https));
	CURL *curl = curl_easy_init();

	if (https == NULL || curl == NULL) {
		curl_easy_cleanup(curl);
		free(https);
		return ERR_NOMEM;
	}
	https->curl = curl;
	*ret_https = https;
	return 0;
}

void
net_https_free(struct net_https *https)
{
	if (https == NULL)
		return;
	curl_easy_cleanup(https->curl);
	free(https);
}

static size_t
take_body(char *data, size_t size, size_t count, void *arg)
{
	struct call *call = arg;
	size_t len = size * count;

	if (len > call->request->answer_max - call->answer->body.len) {
		call->too_long = true;
		return 0;
	}
	buf_put_raw(&call->answer->body, data, len);
	return buf_status(&call->answer->body) == 0 ? len : 0;
}

/* ---- TLS --------------------------------------------------------------------------------------------------------- */

static int
read_certificate(struct bytes der, X509 **ret_certificate, struct err *e)
{
	const unsigned char *next = der.data;
	X509 *certificate = d2i_X509(NULL, &next, (long)der.len);

	if (certificate == NULL)
		return err_set_ossl(e, ERR_CONFIG, "a certificate for the call");
	*ret_certificate = certificate;
	return 0;
}

static int
trust_roots(SSL_CTX *context, const struct net_https_request *request, struct err *e)
{
	X509_STORE *store = SSL_CTX_get_cert_store(context);

	for (size_t i = 0; i < request->root_count; i++) {
		AUTO(X509) root = NULL;
		int code = read_certificate(request->roots[i], &root, e);

		if (code != 0)
			return code;
		if (X509_STORE_add_cert(store, root) != 1)
			return err_set_ossl(e, ERR_CONFIG, "a root for the call");
	}
	return 0;
}

static int
use_client(SSL_CTX *context, const struct net_https_request *request, struct err *e)
{
	for (size_t i = 0; i < request->chain_count; i++) {
		AUTO(X509) certificate = NULL;
		int code = read_certificate(request->chain[i], &certificate, e);

		if (code != 0)
			return code;
		if (i == 0 ? SSL_CTX_use_certificate(context, certificate) != 1
			   : SSL_CTX_add1_chain_cert(context, certificate) != 1)
			return err_set_ossl(e, ERR_CONFIG, "the client certificate");
	}
	if (SSL_CTX_use_PrivateKey(context, request->key) != 1)
		return err_set_ossl(e, ERR_CONFIG, "the client key");
	return 0;
}

static CURLcode
set_tls(CURL *curl, void *context, void *arg)
{
	struct call *call = arg;
	int code = trust_roots(context, call->request, call->e);

	if (code == 0 && call->request->key != NULL)
		code = use_client(context, call->request, call->e);
	return code == 0 ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/* ---- the call ---------------------------------------------------------------------------------------------------- */

/* libcurl's own words are left out where they may quote the peer. */
static int
failure(CURLcode rc, const struct call *call)
{
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return err_set(call->e, ERR_TIMEOUT, (uint32_t)rc, "no complete answer in %d ms",
			       call->request->deadline_ms);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_ISSUER_ERROR:
		return err_set(call->e, ERR_VERIFY, (uint32_t)rc, "TLS: %s", curl_easy_strerror(rc));
	case CURLE_WRITE_ERROR:
		return call->too_long ? err_set(call->e, ERR_LIMIT, 0, "an answer of more than %zu octets",
						call->request->answer_max)
				      : err_set(call->e, ERR_NOMEM, 0, "the answer");
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_ABORTED_BY_CALLBACK:
		return err_set(call->e, ERR_CONFIG, (uint32_t)rc, "%s", curl_easy_strerror(rc));
	case CURLE_OUT_OF_MEMORY:
		return err_set(call->e, ERR_NOMEM, 0, "the call");
	default:
		return err_set(call->e, ERR_IO, (uint32_t)rc, "%s", curl_easy_strerror(rc));
	}
}

static void
set_options(CURL *curl, struct call *call, struct curl_slist *headers)
{
	const struct net_https_request *request = call->request;

	curl_easy_reset(curl); /* keeps connections and TLS sessions */
	curl_easy_setopt(curl, CURLOPT_URL, request->url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https");
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->deadline_ms);
	/* A server that is gone must not use up the time in which another address of it would answer. */
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)request->deadline_ms / CONNECT_SHARE);
	curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, (long)ALIVE_S);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_tls);
	curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, call);
	if (request->root_count > 0) {
		curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	}
	if (strcmp(request->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
				 request->body.len > 0 ? (const char *)request->body.data : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
	}
}

int
net_https_call(struct net_https *https, const struct net_https_request *request, struct net_https_answer *answer,
	       struct err *e)
{
	struct call call = {.request = request, .answer = answer, .e = e};
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	const char *type = NULL;
	CURLcode rc;

	for (size_t i = 0; headers != NULL && i < NET_HTTPS_HEADERS_MAX && request->headers[i] != NULL; i++) {
		struct curl_slist *more = curl_slist_append(headers, request->headers[i]);

		if (more == NULL)
			curl_slist_free_all(headers);
		headers = more;
	}
	if (headers == NULL)
		return err_set(e, ERR_NOMEM, 0, "the call");
	set_options(https->curl, &call, headers);
	rc = curl_easy_perform(https->curl);
	curl_slist_free_all(headers);
	ERR_clear_error();
	if (rc != CURLE_OK)
		return failure(rc, &call);
	curl_easy_getinfo(https->curl, CURLINFO_RESPONSE_CODE, &answer->status);
	curl_easy_getinfo(https->curl, CURLINFO_CONTENT_TYPE, &type);
	snprintf(answer->type, sizeof(answer->type), "%s", type == NULL ? "" : type);
	return 0;
}
