#include "appliance/cert.h"

#include <openssl/rand.h>

#include "appliance/rdn.h"
#include "board/base/der.h"
#include "board/base/oid.h"

enum { SHA1_SIZE = 20 };

/* RFC 4055 5: NULL parameters.  RFC 5758 3.2: none. */
#define ALGORITHM_SHA256_RSA   OID_BYTES("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")
#define ALGORITHM_ECDSA_SHA256 OID_BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")
#define ALGORITHM_ECDSA_SHA384 OID_BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03")
#define ALGORITHM_ECDSA_SHA512 OID_BYTES("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04")

/* The OID of a SubjectPublicKeyInfo's algorithm, and the element behind it. */
static int
spki_algorithm(struct bytes spki, struct bytes *ret_oid, struct der *ret_parameters)
{
	struct der algorithm, oid;
	struct view v;

	if (der_whole(spki, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_SEQUENCE, &algorithm) != 0)
		return ERR_FORMAT;
	v = view_of(algorithm.content);
	if (der_expect(&v, DER_OID, &oid) != 0 || der_next(&v, ret_parameters) != 0 || v.left != 0)
		return ERR_FORMAT;
	*ret_oid = oid.content;
	return 0;
}

int
app_signature_algorithm(struct bytes spki, enum digest *ret_digest, struct bytes *ret_algorithm)
{
	const struct {
		struct bytes curve;
		enum digest digest;
		struct bytes algorithm;
	} curves[] = {
		{OID_P256, DIGEST_SHA256, ALGORITHM_ECDSA_SHA256},
		{OID_P384, DIGEST_SHA384, ALGORITHM_ECDSA_SHA384},
		{OID_P521, DIGEST_SHA512, ALGORITHM_ECDSA_SHA512},
	};
	struct der parameters = {.tag = 0};
	struct bytes oid;
	size_t i;

	if (spki_algorithm(spki, &oid, &parameters) != 0)
		return ERR_ALG;
	if (bytes_equal(oid, OID_RSA_ENCRYPTION)) {
		*ret_digest = DIGEST_SHA256;
		*ret_algorithm = ALGORITHM_SHA256_RSA;
		return 0;
	}
	if (!bytes_equal(oid, OID_EC_PUBLIC_KEY) || parameters.tag != DER_OID)
		return ERR_ALG;
	for (i = 0; i < ARRAY_SIZE(curves); i++) {
		if (bytes_equal(parameters.content, curves[i].curve)) {
			*ret_digest = curves[i].digest;
			*ret_algorithm = curves[i].algorithm;
			return 0;
		}
	}
	return ERR_ALG;
}

/* basicConstraints with CA:TRUE (RFC 5280 4.2.1.9). */
static bool
is_ca(const struct x509_tbs *tbs)
{
	struct x509_extension extension = {.critical = false};
	struct der element;
	struct view v;

	if (x509_extension_find(tbs, OID_BASIC_CONSTRAINTS, &extension) != 0 ||
	    der_whole(extension.value, DER_SEQUENCE, &v) != 0 || der_expect(&v, DER_BOOLEAN, &element) != 0)
		return false;
	return element.content.len == 1 && element.content.data[0] == 0xff;
}

/* keyUsage with keyCertSign and cRLSign (RFC 5280 4.2.1.3): bits 5 and 6. */
static bool
may_sign(const struct x509_tbs *tbs)
{
	struct x509_extension extension = {.critical = false};
	struct der bits;
	struct view v;

	if (x509_extension_find(tbs, OID_KEY_USAGE, &extension) != 0)
		return false;
	v = view_of(extension.value);
	if (der_expect(&v, DER_BIT_STRING, &bits) != 0 || bits.content.len < 2)
		return false;
	return (bits.content.data[1] & 0x06) == 0x06;
}

int
app_issuer_init(struct bytes der, struct app_issuer *ret_issuer, struct err *e)
{
	struct app_issuer issuer = {.der = der};
	struct x509_extension extension = {.critical = false};
	struct der key_id;
	struct view v;
	int rc = x509_parse(der, &issuer.cert, e);

	if (rc != 0)
		return rc;
	if (!is_ca(&issuer.cert.tbs))
		return err_set(e, ERR_FORMAT, 0, "CA certificate without CA:TRUE (RFC 5280 4.2.1.9)");
	if (!may_sign(&issuer.cert.tbs))
		return err_set(e, ERR_FORMAT, 0, "CA certificate without keyCertSign and cRLSign (RFC 5280 4.2.1.3)");
	if (x509_extension_find(&issuer.cert.tbs, OID_SUBJECT_KEY_ID, &extension) != 0)
		return err_set(e, ERR_FORMAT, 0, "CA certificate without subjectKeyIdentifier (RFC 5280 4.2.1.2)");
	v = view_of(extension.value);
	if (der_expect(&v, DER_OCTET_STRING, &key_id) != 0 || v.left != 0 || key_id.content.len == 0)
		return err_set(e, ERR_FORMAT, 0, "CA certificate with a malformed subjectKeyIdentifier");
	issuer.key_id = key_id.content;
	if (app_signature_algorithm(issuer.cert.tbs.spki, &issuer.digest, &issuer.algorithm) != 0)
		return err_set(e, ERR_ALG, 0, "key of the CA certificate");
	*ret_issuer = issuer;
	return 0;
}

int
app_serial_new(uint8_t ret_serial[APP_SERIAL_SIZE])
{
	uint8_t serial[APP_SERIAL_SIZE];
	size_t i;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return ERR_CRYPTO;
	serial[0] = (uint8_t)(0x40 | (serial[0] & 0x3f));
	for (i = 0; i < sizeof(serial); i++)
		ret_serial[i] = serial[i];
	return 0;
}

int
app_cert_subject(const struct app_profile *profile, const struct app_csr *csr, struct buf *room,
		 struct app_subject *ret_subject, struct err *e)
{
	struct app_subject subject = {.name = csr->subject, .spki = csr->spki};
	struct x509_tbs wanted = {.extensions = csr->extensions};
	struct x509_extension extension = {.critical = false};
	int rc = x509_extension_find(&wanted, OID_SUBJECT_ALT_NAME, &extension);

	if (rc == 0)
		subject.san = extension.value;
	else if (rc != ERR_UNKNOWN)
		return err_set(e, rc, 0, "extensions of the request");
	if (app_profile_fixes_subject(profile)) {
		buf_clear(room);
		rc = app_profile_subject(profile, csr->subject, room);
		if (rc != 0)
			return err_set(e, rc, 0, "subject of the template");
		subject.name = buf_bytes(room);
	}
	*ret_subject = subject;
	return 0;
}

static void
extension_put(struct buf *b, struct bytes oid, bool critical, struct bytes value)
{
	size_t mark = der_open(b, DER_SEQUENCE);

	der_put_oid(b, oid);
	if (critical)
		der_put_true(b);
	der_put(b, DER_OCTET_STRING, value);
	der_close(b, mark);
}

/* subjectKeyIdentifier (RFC 5280 4.2.1.2). */
static void
subject_key_id_put(struct buf *b, const uint8_t key_id[SHA1_SIZE])
{
	size_t outer = der_open(b, DER_SEQUENCE), value;

	der_put_oid(b, OID_SUBJECT_KEY_ID);
	value = der_open(b, DER_OCTET_STRING);
	der_put(b, DER_OCTET_STRING, (struct bytes){key_id, SHA1_SIZE});
	der_close(b, value);
	der_close(b, outer);
}

/* NTDS CA security extension (MS-WCCE 2.2.2.7.7.4): a SEQUENCE with one otherName, the SID in ASCII. */
static void
sid_put(struct buf *b, const char *sid)
{
	size_t outer = der_open(b, DER_SEQUENCE), value, list, name, wrap;

	der_put_oid(b, OID_MS_NTDS_CA_SECURITY);
	value = der_open(b, DER_OCTET_STRING);
	list = der_open(b, DER_SEQUENCE);
	name = der_open(b, DER_CONTEXT_CONSTRUCTED(0));
	der_put_oid(b, OID_MS_NTDS_OBJECT_SID);
	wrap = der_open(b, DER_CONTEXT_CONSTRUCTED(0));
	der_put(b, DER_OCTET_STRING, bytes_of_text(sid));
	der_close(b, wrap);
	der_close(b, name);
	der_close(b, list);
	der_close(b, value);
	der_close(b, outer);
}

void
app_cert_authority_key_id_put(struct buf *b, struct bytes key_id)
{
	size_t outer = der_open(b, DER_SEQUENCE), value, list;

	der_put_oid(b, OID_AUTHORITY_KEY_ID);
	value = der_open(b, DER_OCTET_STRING);
	list = der_open(b, DER_SEQUENCE);
	der_put(b, DER_CONTEXT(0), key_id);
	der_close(b, list);
	der_close(b, value);
	der_close(b, outer);
}

/* Everything before the extensions (RFC 5280 4.1.2), which are left open. */
struct tbs_marks {
	size_t whole;
	size_t explicit_;
	size_t list;
};

static void
version_put(struct buf *b)
{
	size_t mark = der_open(b, DER_CONTEXT_CONSTRUCTED(0));

	der_put_int(b, 2); /* v3 */
	der_close(b, mark);
}

static struct tbs_marks
tbs_open(struct buf *b, const struct app_subject *subject, struct bytes algorithm, struct bytes issuer)
{
	struct tbs_marks marks = {.whole = der_open(b, DER_SEQUENCE)};
	size_t validity, name;

	version_put(b);
	der_put_unsigned(b, (struct bytes){subject->serial, APP_SERIAL_SIZE});
	der_put_raw(b, algorithm);
	der_put_raw(b, issuer);
	validity = der_open(b, DER_SEQUENCE);
	der_put_time(b, subject->not_before);
	der_put_time(b, subject->not_after);
	der_close(b, validity);
	name = b->len;
	der_put_raw(b, subject->name);
	/* A root's subject is its issuer, octet for octet. */
	if (buf_status(b) == 0 && !bytes_equal(subject->name, issuer))
		app_rdn_mend(b->data + name, b->len - name);
	der_put_raw(b, subject->spki);
	marks.explicit_ = der_open(b, DER_CONTEXT_CONSTRUCTED(3));
	marks.list = der_open(b, DER_SEQUENCE);
	return marks;
}

static int
tbs_close(struct buf *b, struct tbs_marks marks)
{
	der_close(b, marks.list);
	der_close(b, marks.explicit_);
	der_close(b, marks.whole);
	return buf_status(b);
}

int
app_cert_build(const struct app_issuer *issuer, const struct app_profile *profile, const struct app_subject *subject,
	       struct buf *out)
{
	struct der parameters = {.tag = 0};
	struct tbs_marks marks;
	uint8_t key_id[SHA1_SIZE];
	struct bytes oid;
	bool is_rsa, no_subject = subject->name.len == 2;

	if (spki_algorithm(subject->spki, &oid, &parameters) != 0 || x509_key_id(subject->spki, key_id) != 0)
		return ERR_FORMAT;
	is_rsa = bytes_equal(oid, OID_RSA_ENCRYPTION);
	marks = tbs_open(out, subject, issuer->algorithm, issuer->cert.tbs.subject);
	der_put_raw(out, app_profile_extensions(profile, is_rsa));
	subject_key_id_put(out, key_id);
	app_cert_authority_key_id_put(out, issuer->key_id);
	if (subject->san.len > 0)
		extension_put(out, OID_SUBJECT_ALT_NAME, no_subject, subject->san);
	if (subject->sid[0] != '\0')
		sid_put(out, subject->sid);
	return tbs_close(out, marks);
}

int
app_cert_join(struct bytes tbs, struct bytes algorithm, struct bytes signature, struct buf *out)
{
	size_t mark = der_open(out, DER_SEQUENCE);

	der_put_raw(out, tbs);
	der_put_raw(out, algorithm);
	der_put_bits(out, signature);
	der_close(out, mark);
	return buf_status(out);
}

/* basicConstraints of a CA and its keyUsage, both critical. */
static void
ca_extensions_put(struct buf *b, int pathlen, struct bytes key_usage)
{
	size_t outer = der_open(b, DER_SEQUENCE), value, list;

	der_put_oid(b, OID_BASIC_CONSTRAINTS);
	der_put_true(b);
	value = der_open(b, DER_OCTET_STRING);
	list = der_open(b, DER_SEQUENCE);
	der_put_true(b);
	if (pathlen >= 0)
		der_put_int(b, (unsigned)pathlen);
	der_close(b, list);
	der_close(b, value);
	der_close(b, outer);
	extension_put(b, OID_KEY_USAGE, true, key_usage);
}

/* usage: the DER of its keyUsage. */
static int
build_root(struct bytes name, struct bytes spki, const uint8_t serial[APP_SERIAL_SIZE], int64_t not_before,
	   int64_t not_after, int pathlen, struct bytes algorithm, struct bytes usage, struct buf *out)
{
	struct app_subject subject = {.name = name, .spki = spki, .not_before = not_before, .not_after = not_after};
	uint8_t key_id[SHA1_SIZE];
	struct tbs_marks marks;
	size_t i;

	if (x509_key_id(spki, key_id) != 0)
		return ERR_FORMAT;
	for (i = 0; i < APP_SERIAL_SIZE; i++)
		subject.serial[i] = serial[i];
	marks = tbs_open(out, &subject, algorithm, name);
	ca_extensions_put(out, pathlen, usage);
	subject_key_id_put(out, key_id);
	app_cert_authority_key_id_put(out, (struct bytes){key_id, sizeof(key_id)});
	return tbs_close(out, marks);
}

int
app_cert_build_root(struct bytes name, struct bytes spki, const uint8_t serial[APP_SERIAL_SIZE], int64_t not_before,
		    int64_t not_after, int pathlen, struct bytes algorithm, struct buf *out)
{
	/* digitalSignature, keyCertSign, cRLSign */
	return build_root(name, spki, serial, not_before, not_after, pathlen, algorithm, OID_BYTES("\x03\x02\x01\x86"),
			  out);
}

int
app_cert_build_point_root(struct bytes name, struct bytes spki, const uint8_t serial[APP_SERIAL_SIZE],
			  int64_t not_before, int64_t not_after, struct bytes algorithm, struct buf *out)
{
	/* keyCertSign, cRLSign */
	return build_root(name, spki, serial, not_before, not_after, 0, algorithm, OID_BYTES("\x03\x02\x01\x06"), out);
}

int
app_cert_build_request(struct bytes name, struct bytes spki, struct buf *out)
{
	size_t whole = der_open(out, DER_SEQUENCE), attributes, attribute, values, list;

	der_put_int(out, 0);
	der_put_raw(out, name);
	der_put_raw(out, spki);
	attributes = der_open(out, DER_CONTEXT_CONSTRUCTED(0));
	attribute = der_open(out, DER_SEQUENCE);
	der_put_oid(out, OID_EXTENSION_REQUEST);
	values = der_open(out, DER_SET);
	list = der_open(out, DER_SEQUENCE);
	/* digitalSignature, keyCertSign, cRLSign: the first for announcing the next CA certificate */
	ca_extensions_put(out, -1, OID_BYTES("\x03\x02\x01\x86"));
	der_close(out, list);
	der_close(out, values);
	der_close(out, attribute);
	der_close(out, attributes);
	der_close(out, whole);
	return buf_status(out);
}
