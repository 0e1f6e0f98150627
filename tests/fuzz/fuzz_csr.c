/*
 * appliance/csr and what follows it: a request that a profile lets pass becomes a certificate that our lint, the signer
 * and OpenSSL accept.
 *
 * Way 0: the request as it comes.  The others: SEQUENCE { Name, attributes… }, which is put into a request and signed
 * by a key of ours, because no fuzzer guesses a signature: 1 RSA, 2 EC.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/cert.h"
#include "appliance/validity.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "hsm/tbs.h"
#include "tests/fuzz/ground.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"

CLEANUP(X509, X509_free)

enum { PROFILES = 2, DAY = 24 * 3600 };

static struct {
	struct config conf;
	struct app_issuer issuer;
	struct app_profile *profile[PROFILES];
	struct hsm_limits limits;
	EVP_PKEY *ec;
} w;

/* The template as it comes, and one that lets in little. */
static void
begin(void)
{
	struct bytes ca = ground_ca();

	if (w.profile[0] != NULL)
		return;
	config_default(&w.conf);
	HOLDS(app_issuer_init(ca, &w.issuer, NULL) == 0);
	HOLDS(hsm_limits_init(ca, certs_spki(ground_ca_key()), w.conf.ca_max_validity_days, &w.limits, NULL) == 0);
	HOLDS(app_profile_new(&w.conf, APP_USAGE_DEVICE, &w.profile[0], NULL) == 0);
	snprintf(w.conf.template_subject_rdns, sizeof(w.conf.template_subject_rdns), "CN O");
	snprintf(w.conf.template_san_types, sizeof(w.conf.template_san_types), "DNS");
	HOLDS(app_profile_new(&w.conf, APP_USAGE_DEVICE, &w.profile[1], NULL) == 0);
	w.ec = certs_ec("P-256");
}

/* What the signer will not sign must not have passed; what OpenSSL reads is what we wrote. */
static void
check_tbs(const struct app_subject *subject, struct bytes tbs)
{
	AUTO(X509) cert = NULL;
	AUTO_BUF joined;
	struct err e = {0};
	const uint8_t *p;

	if (app_cert_lint(&w.issuer, tbs, &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		HOLDS(!"lint");
	}
	if (hsm_tbs_check(&w.limits, KEY_CA, ROLE_AUTHORITY, w.issuer.digest, w.issuer.algorithm, tbs, GROUND_NOW,
			  &e) != 0) {
		fprintf(stderr, "%s\n", e.text);
		HOLDS(!"the signer");
	}
	buf_init(&joined, tbs.len + 200);
	tbs_join(&joined, tbs, w.issuer.algorithm, OID_BYTES("\x30\x06\x02\x01\x01\x02\x01\x01"));
	p = joined.data;
	cert = d2i_X509(NULL, &p, (long)joined.len);
	HOLDS(cert != NULL && p == joined.data + joined.len);
	HOLDS(X509_check_ca(cert) == 0);
	HOLDS((X509_get_extension_flags(cert) & EXFLAG_INVALID) == 0);
	if (subject->san.len > 0) {
		GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);

		HOLDS(names != NULL && sk_GENERAL_NAME_num(names) > 0);
		GENERAL_NAMES_free(names);
	}
}

static void
check_profile(const struct app_profile *profile, const struct app_csr *csr, bool san_is_bound)
{
	struct app_subject subject = {.not_before = 0};
	struct err e = {0};
	AUTO_BUF tbs, room;

	buf_init(&tbs, 65536);
	buf_init(&room, 65536);
	if (app_profile_check(profile, csr, san_is_bound, &e) != 0) {
		HOLDS(e.text[0] != '\0');
		return;
	}
	HOLDS(app_cert_subject(profile, csr, &room, &subject, &e) == 0);
	if (!x509_name_differs(subject.name, w.issuer.cert.tbs.subject))
		return; /* appliance/enroll.c refuses it */
	memset(subject.serial, 0x41, sizeof(subject.serial));
	HOLDS(app_profile_validity(profile, GROUND_NOW, w.issuer.cert.tbs.not_before, w.issuer.cert.tbs.not_after,
				   &subject.not_before, &subject.not_after, &e) == 0);
	HOLDS(app_cert_build(&w.issuer, profile, &subject, &tbs) == 0);
	check_tbs(&subject, buf_bytes(&tbs));
}

static void
check_request(struct bytes der)
{
	struct app_csr csr;
	struct err e = {0};
	int64_t until;
	int code = app_csr_parse(der, &csr, &e);

	HOLDS(e.code == code);
	if (code != 0)
		return;
	HOLDS(csr.challenge.len == 0 || memchr(csr.challenge.data, 0, csr.challenge.len) == NULL);
	if (app_validity_requested(&csr, GROUND_NOW, &until, &e) == 0)
		HOLDS(until == 0 || until >= GROUND_NOW + APP_VALIDITY_MIN_S);
	for (int i = 0; i < PROFILES; i++)
		for (int bound = 0; bound < 2; bound++)
			check_profile(w.profile[i], &csr, bound != 0);
	app_csr_fini(&csr);
}

/* A request that has the parts of input; false when they are none. */
static bool
build(struct bytes input, EVP_PKEY *key, struct bytes *ret_der)
{
	struct view v;
	struct der name;

	if (der_whole(input, DER_SEQUENCE, &v) != 0 || der_next(&v, &name) != 0 || input.len > 60000)
		return false;
	*ret_der = certs_request(key, EVP_sha256(), name.whole, (struct bytes){v.next, v.left});
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size}, der;
	uint8_t way = ground_take_u8(&input) % 3;

	begin();
	if (way == 0) {
		check_request(input);
	} else if (build(input, way == 1 ? ground_rsa(0) : w.ec, &der)) {
		check_request(der);
		free((void *)der.data);
	}
	ERR_clear_error();
	return 0;
}

/* ---- seeds ------------------------------------------------------------------------------------------------------- */

static void
put_pair(struct buf *out, const char *name, const char *value)
{
	AUTO_BUF pair;
	struct bytes texts[] = {bytes_of_text(name), bytes_of_text(value)};
	uint8_t wide[200];

	buf_init(&pair, 1000);
	for (int t = 0; t < 2; t++) {
		for (size_t i = 0; i < texts[t].len; i++) {
			wide[2 * i] = 0;
			wide[2 * i + 1] = texts[t].data[i];
		}
		der_put(&pair, DER_BMP_STRING, (struct bytes){wide, 2 * texts[t].len});
	}
	certs_attribute(out, OID_MS_NAME_VALUE_PAIR, DER_SEQUENCE, buf_bytes(&pair));
}

static void
put_san(struct buf *out, const char *san)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
	uint8_t *der = NULL;
	int len = i2d_X509_EXTENSION(extension, &der);

	HOLDS(len > 0);
	certs_attribute(out, OID_EXTENSION_REQUEST, DER_SEQUENCE, (struct bytes){der, (size_t)len});
	OPENSSL_free(der);
	X509_EXTENSION_free(extension);
}

static void
seed(const char *name, const char *subject, const char *challenge, const char *san, const char *period)
{
	AUTO_BUF out, attributes;
	struct bytes der;
	size_t mark;

	buf_init(&out, 8192);
	buf_init(&attributes, 8192);
	mark = der_open(&out, DER_SEQUENCE);
	HOLDS(app_name_parse(subject, &out, NULL) == 0);
	if (challenge != NULL)
		certs_attribute(&attributes, OID_CHALLENGE_PASSWORD, DER_UTF8_STRING, bytes_of_text(challenge));
	if (san != NULL)
		put_san(&attributes, san);
	if (period != NULL) {
		put_pair(&attributes, "ValidityPeriod", period);
		put_pair(&attributes, "ValidityPeriodUnits", "3");
	}
	der_put_raw(&out, buf_bytes(&attributes));
	der_close(&out, mark);
	ground_seed_way(name, 1, buf_bytes(&out));
	HOLDS(build(buf_bytes(&out), ground_rsa(0), &der));
	ground_seed_way(subject, 0, der);
	free((void *)der.data);
}

void
fuzz_seeds(void)
{
	seed("plain", "CN=device", NULL, NULL, NULL);
	seed("challenge", "CN=device,O=Example,C=DE", "0123456789ABCDEF", NULL, NULL);
	seed("san", "CN=a", "secret", "DNS:a.example,IP:192.0.2.1,email:a@b.example,URI:urn:x:1", NULL);
	seed("upn", "CN=b,OU=c", "secret", "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:a@b.example,IP:2001:db8::1", "Days");
	seed("dates", "CN=d,DC=example,emailAddress=a@b.example,serialNumber=1", NULL, NULL, "Hours");
	seed("ca-name", "CN=Fuzz CA", NULL, NULL, NULL);
	seed("date", "CN=d,L=x,ST=y,UID=z", NULL, "DNS:b.example", "Weeks");
}

GROUND_DER_MUTATOR(1)
