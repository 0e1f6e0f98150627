/*
 * appliance/crl and appliance/ocsp: what is made of any entries is signed by the signer and read by OpenSSL with the
 * same entries.  Way 0: a CRL that is counted; the others: octets that choose what a list or an answer says.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/crl.h"
#include "appliance/ocsp.h"
#include "board/base/oid.h"
#include "hsm/tbs.h"
#include "tests/fuzz/ground.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"

enum { ENTRIES_MAX = 40, DAY = 24 * 3600, OUT_MAX = 65536 };

static struct app_issuer issuer;
static struct hsm_limits limits;

static void
begin(void)
{
	if (issuer.der.len > 0)
		return;
	HOLDS(app_issuer_init(ground_ca(), &issuer, NULL) == 0);
	HOLDS(hsm_limits_init(ground_ca(), certs_spki(ground_ca_key()), 825, &limits, NULL) == 0);
}

static void
check_signer(enum key_class key_class, struct bytes data)
{
	struct err e = {0};

	if (hsm_tbs_check(&limits, key_class, ROLE_AUTHORITY, issuer.digest, issuer.algorithm, data, GROUND_NOW, &e) !=
	    0) {
		fprintf(stderr, "%s\n", e.text);
		HOLDS(!"the signer takes it");
	}
}

static void
add_entry(struct app_crl *crl, struct bytes *input)
{
	static const int reasons[] = {0, 1, 3, 4, 5, 6, 9};
	struct app_revoked entry = {.reason = reasons[ground_take_u8(input) % ARRAY_SIZE(reasons)]};

	memset(entry.serial, 0x40, sizeof(entry.serial));
	entry.serial[APP_SERIAL_SIZE - 1] = ground_take_u8(input);
	entry.revoked = GROUND_NOW - (int64_t)ground_take_u8(input) * DAY * 200;
	app_crl_add(&entry, crl);
}

static void
check_list(struct bytes input)
{
	int64_t base = ground_take_u8(&input) % 4, number = base + 1 + ground_take_u8(&input);
	struct app_crl crl;
	AUTO_BUF tbs, der;
	const uint8_t *p;
	X509_CRL *theirs;
	int count;

	app_crl_init(&crl);
	buf_init(&tbs, OUT_MAX);
	buf_init(&der, OUT_MAX);
	crl.base = base;
	crl.delta_url = base == 0 && ground_take_u8(&input) % 2 == 0 ? "http://a.example/delta.crl" : NULL;
	crl.made = GROUND_NOW;
	while (input.len > 0 && crl.count < ENTRIES_MAX)
		add_entry(&crl, &input);
	count = (int)crl.count;
	HOLDS(app_crl_build(&issuer, &crl, number, GROUND_NOW, GROUND_NOW + 7 * DAY, &tbs) == 0);
	check_signer(KEY_CRL, buf_bytes(&tbs));
	tbs_join(&der, buf_bytes(&tbs), issuer.algorithm, OID_BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"));
	p = der.data;
	theirs = d2i_X509_CRL(NULL, &p, (long)der.len);
	HOLDS(theirs != NULL && p == der.data + der.len);
	HOLDS((X509_CRL_get_REVOKED(theirs) == NULL ? 0 : sk_X509_REVOKED_num(X509_CRL_get_REVOKED(theirs))) == count);
	HOLDS(app_crl_entries(buf_bytes(&der)) == count);
	X509_CRL_free(theirs);
	app_crl_fini(&crl);
}

static void
check_answer(struct bytes input)
{
	static const uint8_t hash[32] = "a hash of thirty-two octets....";
	struct app_ocsp ocsp = {.digest = ground_take_u8(&input) % 2 == 0 ? DIGEST_SHA1 : DIGEST_SHA256};
	size_t len = ocsp.digest == DIGEST_SHA1 ? 20 : 32;
	AUTO_BUF data, der;
	const uint8_t *p;
	OCSP_RESPONSE *theirs;

	buf_init(&data, OUT_MAX);
	buf_init(&der, OUT_MAX);
	ocsp.name_hash = ocsp.key_hash = (struct bytes){hash, len};
	memset(ocsp.serial, 0x41, sizeof(ocsp.serial));
	ocsp.reason = ground_take_u8(&input) % 11;
	ocsp.revoked = ground_take_u8(&input) % 2 == 0 ? 0 : GROUND_NOW - (int64_t)ground_take_u8(&input) * DAY;
	ocsp.this_update = GROUND_NOW - ground_take_u8(&input);
	ocsp.next_update = ocsp.this_update + 1 + (int64_t)ground_take_u8(&input) * 2000;
	HOLDS(app_ocsp_build(&ocsp, &data) == 0);
	check_signer(KEY_OCSP, buf_bytes(&data));
	HOLDS(app_ocsp_join(buf_bytes(&data), issuer.algorithm, OID_BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"),
			    ground_issued(1), &der) == 0);
	p = der.data;
	theirs = d2i_OCSP_RESPONSE(NULL, &p, (long)der.len);
	HOLDS(theirs != NULL && p == der.data + der.len && OCSP_response_status(theirs) == 0);
	OCSP_RESPONSE_free(theirs);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % 3;

	begin();
	if (way == 0)
		HOLDS(app_crl_entries(input) >= 0 && (size_t)app_crl_entries(input) <= input.len / 2);
	else if (way == 1)
		check_list(input);
	else
		check_answer(input);
	ERR_clear_error();
	return 0;
}

void
fuzz_seeds(void)
{
	struct app_crl crl;
	AUTO_BUF tbs, der;
	struct bytes octets = bytes_of_text("\1\2\3\4\5\6\7\1\2\3");

	begin();
	app_crl_init(&crl);
	buf_init(&tbs, OUT_MAX);
	buf_init(&der, OUT_MAX);
	while (octets.len > 0)
		add_entry(&crl, &octets);
	HOLDS(app_crl_build(&issuer, &crl, 7, GROUND_NOW, GROUND_NOW + DAY, &tbs) == 0);
	tbs_join(&der, buf_bytes(&tbs), issuer.algorithm, OID_BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"));
	ground_seed_way("crl", 0, buf_bytes(&der));
	ground_seed_way("full", 1, bytes_of_text("\4\1\2abcdefghi"));
	ground_seed_way("delta", 1, bytes_of_text("\1\1abcdefghi"));
	ground_seed_way("good", 2, bytes_of_text("\2\1\2\1\1\1"));
	ground_seed_way("revoked", 2, bytes_of_text("\1\1\1\7\7\7"));
	app_crl_fini(&crl);
}

GROUND_DER_MUTATOR(1)
