/* net/ocsp: what we read of a request is what OpenSSL reads. */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdlib.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "net/cms_asn1.h"
#include "net/ocsp.h"
#include "tests/fuzz/ground.h"

static void
check_same(OCSP_REQUEST *theirs, const struct net_ocsp_id *ours)
{
	OCSP_CERTID *id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(theirs, 0));
	ASN1_OCTET_STRING *name, *key;
	ASN1_INTEGER *serial;
	uint8_t storage[NET_CMS_SERIAL_MAX];
	struct bytes content;

	HOLDS(OCSP_request_onereq_count(theirs) == 1);
	HOLDS(OCSP_id_get0_info(&name, NULL, &key, &serial, id) == 1);
	HOLDS(bytes_equal(net_cms_octets((ASN1_STRING *)name), ours->name_hash));
	HOLDS(bytes_equal(net_cms_octets((ASN1_STRING *)key), ours->key_hash));
	content = net_cms_serial(serial, storage);
	HOLDS(bytes_equal(content, ours->serial));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *p = data;
	OCSP_REQUEST *theirs = d2i_OCSP_REQUEST(NULL, &p, (long)size);
	struct net_ocsp_id id;

	if (net_ocsp_parse((struct bytes){data, size}, &id) == 0) {
		HOLDS(id.digest == DIGEST_SHA1 || id.digest == DIGEST_SHA256);
		HOLDS(id.serial.len > 0 && id.serial.len <= 20);
		if (theirs != NULL)
			check_same(theirs, &id);
	}
	OCSP_REQUEST_free(theirs);
	ERR_clear_error();
	return 0;
}

static void
seed(const char *name, const EVP_MD *md, bool nonce)
{
	struct bytes ca_der = ground_ca(), der = ground_issued(0);
	const uint8_t *p = ca_der.data;
	X509 *ca = d2i_X509(NULL, &p, (long)ca_der.len), *cert;
	OCSP_REQUEST *request = OCSP_REQUEST_new();
	uint8_t *out = NULL;
	int len;

	p = der.data;
	cert = d2i_X509(NULL, &p, (long)der.len);
	HOLDS(OCSP_request_add0_id(request, OCSP_cert_to_id(md, cert, ca)) != NULL);
	if (nonce)
		HOLDS(OCSP_request_add1_nonce(request, (uint8_t *)"nonce", 5) == 1);
	len = i2d_OCSP_REQUEST(request, &out);
	HOLDS(len > 0);
	ground_seed(name, (struct bytes){out, (size_t)len});
	OPENSSL_free(out);
	OCSP_REQUEST_free(request);
	X509_free(ca);
	X509_free(cert);
}

void
fuzz_seeds(void)
{
	seed("sha1", EVP_sha1(), false);
	seed("sha256", EVP_sha256(), false);
	seed("nonce", EVP_sha1(), true);
}

GROUND_DER_MUTATOR(0)
