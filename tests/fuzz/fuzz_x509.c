/* board/base/x509: what our reader and OpenSSL both take is the same certificate to both. */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "board/base/der.h"
#include "board/base/x509.h"
#include "net/cms.h"
#include "tests/fuzz/ground.h"

CLEANUP(X509, X509_free)
CLEANUP(EVP_PKEY, EVP_PKEY_free)

static void
check_name(const X509_NAME *theirs, struct bytes ours)
{
	const unsigned char *der;
	size_t len;

	HOLDS(X509_NAME_get0_der((X509_NAME *)theirs, &der, &len) == 1);
	HOLDS(bytes_equal((struct bytes){der, len}, ours));
}

static void
check_time(const ASN1_TIME *theirs, int64_t ours)
{
	ASN1_TIME *mine = ASN1_TIME_set(NULL, (time_t)ours);

	HOLDS(mine != NULL && ASN1_TIME_compare(theirs, mine) == 0);
	ASN1_TIME_free(mine);
}

static void
check_key(X509 *theirs, struct bytes spki)
{
	AUTO(EVP_PKEY) ours = NULL;
	EVP_PKEY *other = X509_get0_pubkey(theirs);

	if (x509_spki_key(spki, &ours, NULL) != 0)
		return;
	HOLDS(other == NULL || EVP_PKEY_eq(ours, other) == 1);
}

static void
check_same(X509 *theirs, const struct x509 *ours)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(theirs);
	uint8_t storage[NET_CMS_SERIAL_MAX];
	struct bytes content = net_cms_serial(serial, storage);

	HOLDS(X509_get_version(theirs) == ours->tbs.version);
	if (content.len > 0)
		HOLDS(bytes_equal(content, ours->tbs.serial));
	check_name(X509_get_issuer_name(theirs), ours->tbs.issuer);
	check_name(X509_get_subject_name(theirs), ours->tbs.subject);
	check_time(X509_get0_notBefore(theirs), ours->tbs.not_before);
	check_time(X509_get0_notAfter(theirs), ours->tbs.not_after);
	check_key(theirs, ours->tbs.spki);
}

/* Each extension of the list is found by its name, unless one of the same name stands before it. */
static void
check_extensions(const struct x509_tbs *tbs)
{
	struct x509_extension extension, found;
	struct view list;
	bool end = false;

	if (tbs->extensions.len == 0)
		return;
	if (der_whole(tbs->extensions, DER_SEQUENCE, &list) != 0)
		return;
	while (x509_extension_next(&list, &extension, &end) == 0 && !end) {
		if (x509_extension_find(tbs, extension.oid, &found) == 0)
			HOLDS(bytes_equal(found.oid, extension.oid));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const unsigned char *p = data;
	char text[200];
	uint8_t hash[32];
	struct err e = {0};
	struct x509 cert;
	AUTO(X509) theirs = NULL;

	if (x509_parse((struct bytes){data, size}, &cert, &e) != 0) {
		HOLDS(e.code != 0 && e.text[0] != '\0');
		return 0;
	}
	(void)x509_name_text(cert.tbs.subject, text, sizeof(text));
	(void)x509_names_issuer(&cert, cert.tbs.issuer);
	(void)!x509_key_id(cert.tbs.spki, hash);
	(void)net_cms_key_id(&cert);
	x509_requester_hash(&cert, cert.tbs.issuer, hash);
	check_extensions(&cert.tbs);
	theirs = d2i_X509(NULL, &p, (long)size);
	ERR_clear_error();
	if (theirs != NULL)
		check_same(theirs, &cert);
	return 0;
}

void
fuzz_seeds(void)
{
	ground_seed("ca", ground_ca());
	ground_seed("issued", ground_issued(0));
	ground_seed("self-signed", ground_self_signed(0));
}

GROUND_DER_MUTATOR(0)
