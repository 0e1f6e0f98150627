#include "appliance/chain.h"

#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "board/base/file.h"
#include "board/base/x509.h"

enum { CHAIN_FILE_MAX = 256 * 1024 };

CLEANUP(X509_STORE, X509_STORE_free)
CLEANUP(X509_STORE_CTX, X509_STORE_CTX_free)

void
app_chain_fini(struct app_chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		free((void *)(uintptr_t)chain->certificate[i].data);
	memset(chain, 0, sizeof(*chain));
}

static int
parse_pem(struct bytes text, const char *path, struct app_chain *chain, struct err *e)
{
	struct view pem = view_of(text);
	struct bytes der;
	struct x509 cert;
	int code;

	while ((code = x509_pem_next(&pem, "CERTIFICATE", &der, NULL)) == 0) {
		if (chain->count == APP_CHAIN_MAX) {
			free((void *)(uintptr_t)der.data);
			return err_set(e, ERR_LIMIT, 0, "%s: more than %d certificates", path, APP_CHAIN_MAX);
		}
		chain->certificate[chain->count++] = der;
		if (x509_parse(der, &cert, NULL) != 0)
			return err_set(e, ERR_FORMAT, 0, "%s: certificate %zu is malformed", path, chain->count);
	}
	if (code != ERR_UNKNOWN)
		return err_set(e, ERR_FORMAT, 0, "%s: PEM block %zu is malformed", path, chain->count + 1);
	if (chain->count == 0)
		return err_set(e, ERR_FORMAT, 0, "%s: holds no certificate in PEM", path);
	return 0;
}

int
app_chain_read(const char *path, struct app_chain *ret_chain, struct err *e)
{
	struct app_chain chain = {.count = 0};
	AUTO_BUF text;
	int code;

	buf_init(&text, CHAIN_FILE_MAX);
	code = file_read(path, &text, e);
	if (code != 0)
		return code;
	code = parse_pem(buf_bytes(&text), path, &chain, e);
	if (code != 0) {
		app_chain_fini(&chain);
		return code;
	}
	*ret_chain = chain;
	return 0;
}

/* The position of the certificate with this subject, from start on; count when there is none. */
static size_t
find_subject(const struct app_chain *chain, size_t start, struct bytes subject)
{
	struct x509 cert;
	size_t i;

	for (i = start; i < chain->count; i++)
		if (x509_parse(chain->certificate[i], &cert, NULL) == 0 && bytes_equal(cert.tbs.subject, subject))
			break;
	return i;
}

static size_t
find_key(const struct app_chain *chain, struct bytes spki)
{
	struct x509 cert;
	size_t i;

	for (i = 0; i < chain->count; i++)
		if (x509_parse(chain->certificate[i], &cert, NULL) == 0 && bytes_equal(cert.tbs.spki, spki))
			break;
	return i;
}

static void
swap(struct app_chain *chain, size_t a, size_t b)
{
	struct bytes tmp = chain->certificate[a];

	chain->certificate[a] = chain->certificate[b];
	chain->certificate[b] = tmp;
}

/* Own CA to the front, each issuer behind what it issued; frees the rest. */
static int
sort_upwards(struct app_chain *chain, struct bytes spki, struct err *e)
{
	struct x509 cert;
	size_t at = find_key(chain, spki);
	size_t last = 0;

	if (at == chain->count)
		return err_set(e, ERR_UNKNOWN, 0, "no certificate is for the CA's key: was another request signed?");
	swap(chain, 0, at);
	while (x509_parse(chain->certificate[last], &cert, e) == 0 && !bytes_equal(cert.tbs.issuer, cert.tbs.subject)) {
		char name[200];

		at = find_subject(chain, last + 1, cert.tbs.issuer);
		if (at == chain->count)
			return err_set(e, ERR_UNKNOWN, 0, "the certificate of the issuer \"%s\" is missing",
				       x509_name_text(cert.tbs.issuer, name, sizeof(name)));
		swap(chain, ++last, at);
	}
	while (chain->count > last + 1)
		free((void *)(uintptr_t)chain->certificate[--chain->count].data);
	return 0;
}

static X509 *
decode(struct bytes der)
{
	const uint8_t *p = der.data;

	return d2i_X509(NULL, &p, (long)der.len);
}

static void
free_stack(STACK_OF(X509) * stack)
{
	sk_X509_pop_free(stack, X509_free);
}

static int
verify(const struct app_chain *chain, STACK_OF(X509) * certs, int64_t now, struct err *e)
{
	AUTO(X509_STORE) roots = X509_STORE_new();
	AUTO(X509_STORE_CTX) ctx = X509_STORE_CTX_new();
	int depth;

	for (size_t i = 0; i < chain->count; i++) {
		X509 *cert = decode(chain->certificate[i]);

		if (cert == NULL || sk_X509_push(certs, cert) <= 0) {
			X509_free(cert);
			return err_set_ossl(e, ERR_FORMAT, "certificate %zu of the chain", i + 1);
		}
	}
	if (roots == NULL || ctx == NULL ||
	    X509_STORE_add_cert(roots, sk_X509_value(certs, sk_X509_num(certs) - 1)) != 1 ||
	    X509_STORE_CTX_init(ctx, roots, sk_X509_value(certs, 0), certs) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "chain verification");
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	if (X509_verify_cert(ctx) == 1)
		return 0;
	depth = X509_STORE_CTX_get_error_depth(ctx);
	return err_set(e, ERR_VERIFY, 0, "certificate %d of the chain: %s", depth + 1,
		       X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
}

int
app_chain_order(struct app_chain *chain, struct bytes spki, int64_t now, struct err *e)
{
	STACK_OF(X509) * certs;
	int code;

	code = sort_upwards(chain, spki, e);
	if (code != 0)
		return code;
	certs = sk_X509_new_null();
	if (certs == NULL)
		return err_set(e, ERR_NOMEM, 0, "chain verification");
	code = verify(chain, certs, now, e);
	free_stack(certs);
	return code;
}

int
app_chain_write(const char *path, const struct app_chain *chain, struct err *e)
{
	AUTO_BUF pem;

	buf_init(&pem, CHAIN_FILE_MAX);
	for (size_t i = 0; i < chain->count; i++)
		x509_pem_put(&pem, "CERTIFICATE", chain->certificate[i]);
	if (buf_status(&pem) != 0)
		return err_set(e, buf_status(&pem), 0, "%s", path);
	return file_replace(path, 0644, buf_bytes(&pem), e);
}

char *
app_chain_fingerprint(struct bytes certificate, char *out, size_t size)
{
	uint8_t hash[32];
	size_t used = 0;

	x509_sha256(certificate, hash);
	for (size_t i = 0; i < sizeof(hash) && used + 4 < size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%02X", i == 0 ? "" : ":", hash[i]);
	return out;
}
