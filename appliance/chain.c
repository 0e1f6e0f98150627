#include "appliance/chain.h"

#include <stdio.h>
#include <string.h>

#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "board/base/file.h"
#include "board/base/log.h"
#include "board/base/x509.h"

enum { CHAIN_FILE_MAX = 256 * 1024, ANNOUNCEMENT_MAX = 64 * 1024, PATH_SIZE = 400 };

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

char *
app_chain_name(const char *what, unsigned generation, const char *suffix, char *out, size_t size)
{
	if (generation == 0)
		(void)snprintf(out, size, "%s%s", what, suffix);
	else
		(void)snprintf(out, size, "%s-%u%s", what, generation + 1, suffix);
	return out;
}

/* What a kill in the ceremony left has an announcement but no chain, and is not there. */
static int
read_generation(const char *folder, unsigned generation, struct app_chains *chains, struct err *e)
{
	char name[40], path[PATH_SIZE];
	struct err why = {0};
	AUTO_BUF octets;
	int code;

	buf_init(&octets, ANNOUNCEMENT_MAX);
	(void)snprintf(path, sizeof(path), "%s/%s", folder,
		       app_chain_name("ca", generation, ".pem", name, sizeof(name)));
	code = app_chain_read(path, &chains->of[generation], &why);
	if (code == ERR_UNKNOWN && generation > 0)
		return 0;
	if (code != 0)
		return err_set(e, code, why.detail, "%s", why.text);
	if (generation == 0)
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s", folder,
		       app_chain_name("announcement", generation, ".der", name, sizeof(name)));
	code = file_read(path, &octets, e);
	if (code != 0)
		return code;
	chains->announcement[generation] = bytes_dup(buf_bytes(&octets));
	return chains->announcement[generation].data == NULL ? ERR_NOMEM : 0;
}

int
app_chains_read(const char *folder, struct app_chains *ret_chains, struct err *e)
{
	struct app_chains chains = {0};
	int code = 0;

	for (unsigned g = 0; code == 0 && g < CA_GENERATIONS; g++)
		code = read_generation(folder, g, &chains, e);
	if (code != 0) {
		app_chains_fini(&chains);
		return code;
	}
	*ret_chains = chains;
	return 0;
}

bool
app_chains_adopt(struct app_chains *have, struct app_chains *fresh)
{
	bool is_new = false;

	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		if (have->of[g].count > 0 || fresh->of[g].count == 0)
			continue;
		have->of[g] = fresh->of[g];
		have->announcement[g] = fresh->announcement[g];
		fresh->of[g].count = 0;
		fresh->announcement[g] = (struct bytes){NULL, 0};
		is_new = true;
		log_event(CA_GENERATION_FOUND, g + 1);
	}
	return is_new;
}

void
app_chains_fini(struct app_chains *chains)
{
	for (unsigned g = 0; g < CA_GENERATIONS; g++) {
		app_chain_fini(&chains->of[g]);
		free((void *)(uintptr_t)chains->announcement[g].data);
	}
	memset(chains, 0, sizeof(*chains));
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
