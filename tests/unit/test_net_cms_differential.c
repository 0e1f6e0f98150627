/*
 * Our CMS against OpenSSL's, both ways: what "openssl cms" makes we open, or refuse if we say so; what we make it
 * decrypts, verifies, and "openssl asn1parse" walks through.  Then several hundred variations by a generator, whose
 * seed is printed and can be set: SEED=1 ROUNDS=1000 build/tests/test_net_cms_differential.
 */
#include <ftw.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "board/base/der.h"
#include "board/base/oid.h"
#include "net/cms.h"
#include "net/cms_asn1.h"
#include "net/scep.h"
#include "tests/lib/certs.h"
#include "tests/lib/scepmsg.h"
#include "tests/lib/test.h"
#include "tests/lib/token.h"

CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(CMS_ContentInfo, CMS_ContentInfo_free)
CLEANUP(BIO, BIO_free_all)

enum { ROUNDS = 300, PLAIN_MAX = 70000, OUT_MAX = 1 << 20, WORDS_MAX = 40, PERMUTE_MAX = 32 };

static const struct net_scep_policy lax = {.sha1 = true, .des3 = true, .renewal = true};

static struct {
	char folder[64];
	struct scepmsg_client client;
	EVP_PKEY *ca_key, *ra_key, *ec_key;
	X509 *ca, *ra, *ra_sign, *issued, *ec;
	struct bytes ra_der, ra_sign_der, issued_der, ca_der;
	uint64_t seed;
} f;

/* ---- files and the program --------------------------------------------------------------------------------------- */

static const char *
path_of(const char *name)
{
	static char paths[8][128];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", f.folder, name);
	return path;
}

static void
write_file(const char *name, struct bytes content)
{
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(file);
	CHECK_INT(fwrite(content.data, 1, content.len, file), content.len);
	fclose(file);
}

static void
read_file(const char *name, struct buf *out)
{
	FILE *file = fopen(path_of(name), "re");
	uint8_t piece[4096];
	size_t n;

	assert_non_null(file);
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_put_raw(out, piece, n);
	fclose(file);
	CHECK_INT(buf_status(out), 0);
}

static void
write_pem(const char *name, X509 *cert, EVP_PKEY *key)
{
	FILE *file = fopen(path_of(name), "we");

	assert_non_null(file);
	CHECK_INT(cert != NULL ? PEM_write_X509(file, cert)
			       : PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL),
		  1);
	fclose(file);
}

/* Runs openssl with the words of a line; names that begin with "@" are files of the folder. */
static int
openssl(const char *line)
{
	const char *words[WORDS_MAX] = {"openssl"};
	char copy[1000], *rest = copy, *word;
	size_t n = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	while ((word = strsep(&rest, " ")) != NULL) {
		CHECK(n + 1 < ARRAY_SIZE(words));
		words[n++] = word[0] == '@' ? path_of(word + 1) : word;
	}
	return token_run(words);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int
fixture_begin(void **state)
{
	const char *seed = getenv("SEED");

	f.seed = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	printf("SEED=%llu\n", (unsigned long long)f.seed);
	snprintf(f.folder, sizeof(f.folder), "/tmp/test-cms.XXXXXX");
	f.ca_key = certs_ec("P-256");
	f.ec_key = certs_ec("P-256");
	f.ra_key = scepmsg_rsa(2048, 0);
	if (mkdtemp(f.folder) == NULL || scepmsg_client_new(2048, &f.client) != 0)
		return -1;
	f.ca = scepmsg_self_signed(f.ca_key);
	f.ra = scepmsg_issue(f.ra_key, "RA decryption", f.ca, f.ca_key);
	f.ra_sign = scepmsg_issue(certs_rsa(), "RA signing", f.ca, f.ca_key);
	f.issued = scepmsg_issue(f.client.key, "device", f.ca, f.ca_key);
	f.ec = scepmsg_issue(f.ec_key, "EC", f.ca, f.ca_key);
	f.ca_der = scepmsg_cert_der(f.ca);
	f.ra_der = scepmsg_cert_der(f.ra);
	f.ra_sign_der = scepmsg_cert_der(f.ra_sign);
	f.issued_der = scepmsg_cert_der(f.issued);
	write_pem("ra.pem", f.ra, NULL);
	write_pem("ra.key", NULL, f.ra_key);
	write_pem("client.pem", f.client.cert, NULL);
	write_pem("client.key", NULL, f.client.key);
	write_pem("ec.pem", f.ec, NULL);
	write_pem("sign.pem", f.ra_sign, NULL);
	return 0;
}

static int
fixture_end(void **state)
{
	(void)nftw(f.folder, remove_one, 4, FTW_DEPTH | FTW_PHYS);
	scepmsg_client_fini(&f.client);
	EVP_PKEY_free(f.ca_key);
	EVP_PKEY_free(f.ra_key);
	EVP_PKEY_free(f.ec_key);
	X509_free(f.ca);
	X509_free(f.ra);
	X509_free(f.ra_sign);
	X509_free(f.issued);
	X509_free(f.ec);
	free((void *)f.ca_der.data);
	free((void *)f.ra_der.data);
	free((void *)f.ra_sign_der.data);
	free((void *)f.issued_der.data);
	return 0;
}

/* ---- the generator ----------------------------------------------------------------------------------------------- */

static uint32_t
draw(uint32_t below)
{
	f.seed = f.seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(f.seed >> 33) % below;
}

/* Octets of a length that encodings are sensitive to. */
static struct bytes
draw_plain(void)
{
	static const size_t around[] = {1, 8, 16, 32, 128, 256, 1024, 4096, 65536};
	static uint8_t plain[PLAIN_MAX];
	size_t len = around[draw(ARRAY_SIZE(around))] + draw(5);

	len = len > 2 ? len - 2 : 1;
	for (size_t i = 0; i < len; i++)
		plain[i] = (uint8_t)draw(256);
	return (struct bytes){plain, len};
}

/* ---- ours -------------------------------------------------------------------------------------------------------- */

/* What the signer does for the front. */
static struct bytes
unwrap(const struct net_scep_recipient *r, uint8_t out[512])
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new(f.ra_key, NULL);
	size_t len = 512;

	CHECK_INT(EVP_PKEY_decrypt_init(ctx), 1);
	if (r->padding == UNWRAP_OAEP) {
		CHECK_INT(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
		CHECK_INT(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, net_cms_alg_digest(r->digest)->md), 1);
		CHECK_INT(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, net_cms_alg_digest(r->mgf_digest)->md), 1);
		if (r->label.len > 0)
			CHECK_INT(EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup(r->label.data, r->label.len),
								   (int)r->label.len),
				  1);
	}
	CHECK_INT(EVP_PKEY_decrypt(ctx, out, &len, r->wrapped.data, r->wrapped.len), 1);
	return (struct bytes){out, len};
}

/* NET_SCEP_GOOD when message is one and plain comes out of it; else why not, as net_scep_parse() says. */
static int
judge(struct bytes message, struct bytes plain, const struct net_scep_policy *policy)
{
	AUTO_STRUCT(net_scep_request) request = NULL;
	const struct net_scep_recipient *recipient = NULL;
	struct err e = {0};
	uint8_t key[512];
	size_t which;
	AUTO_BUF out;
	int code;

	buf_init(&out, OUT_MAX);
	code = net_scep_parse(message, policy, &request, &e);
	if (code != 0 || request->fail_info != NET_SCEP_GOOD)
		return code != 0 ? code : request->fail_info;
	if (net_scep_recipient(request, &f.ra_der, 1, &recipient, &which, NULL) != 0)
		return SCEP_BAD_MESSAGE_CHECK;
	CHECK_INT(net_scep_open(request, unwrap(recipient, key), &out, &e), 0);
	CHECK_BYTES(buf_bytes(&out), plain.data, plain.len);
	return NET_SCEP_GOOD;
}

/* The same for EnvelopedData that the program left in the file "envelope". */
static int
judge_envelope(struct bytes plain, const struct net_scep_policy *policy)
{
	const struct scepmsg_options options = {.plain_content = true};
	struct scepmsg_request message;
	AUTO_BUF envelope;
	int verdict;

	buf_init(&envelope, OUT_MAX);
	read_file("envelope", &envelope);
	CHECK_INT(scepmsg_build(&f.client, buf_bytes(&envelope), &options, f.ra, &message), 0);
	verdict = judge(message.der, plain, policy);
	scepmsg_request_fini(&message);
	return verdict;
}

/* Encrypts "plain" with these options of openssl cms. */
static int
encrypt(const char *options)
{
	char line[500];

	snprintf(line, sizeof(line), "cms -encrypt -binary -in @plain -outform DER -out @envelope %s", options);
	(void)unlink(path_of("envelope"));
	return openssl(line);
}

#define TO_RA "-recip @ra.pem"

TEST(what_the_program_encrypts_is_opened)
{
	static const char *const options[] = {
		"-aes128 " TO_RA,
		"-aes192 " TO_RA,
		"-aes256 " TO_RA,
		"-des3 " TO_RA,
		"-aes128 -keyid " TO_RA,
		"-aes128 -stream " TO_RA,
		"-aes256 -stream -keyid " TO_RA,
		"-aes128 -recip @client.pem " TO_RA,
		"-aes128 " TO_RA " -recip @ec.pem",
		"-aes128 -stream -recip @client.pem -recip @ec.pem " TO_RA,
		"-aes128 " TO_RA " -keyopt rsa_padding_mode:oaep",
		"-aes256 " TO_RA " -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256",
		"-aes128 -keyid " TO_RA " -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha512 "
		"-keyopt rsa_mgf1_md:sha1",
		"-aes128 " TO_RA " -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_label:0102ff",
	};
	struct bytes plain;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		plain = draw_plain();
		write_file("plain", plain);
		if (encrypt(options[i]) != 0)
			fail_msg("openssl cms -encrypt %s failed", options[i]);
		if (judge_envelope(plain, &lax) != NET_SCEP_GOOD)
			fail_msg("not opened: %s", options[i]);
	}
}

TEST(what_we_do_not_take_is_refused)
{
	static const struct {
		const char *options;
		int verdict;
	} cases[] = {
		{"-camellia128 " TO_RA, SCEP_BAD_ALG},
		{"-aes-128-gcm " TO_RA, SCEP_BAD_REQUEST}, /* AuthEnvelopedData */
		{"-aes128 -recip @ec.pem", SCEP_BAD_ALG},
		{"-aes128 -recip @client.pem", SCEP_BAD_MESSAGE_CHECK},
		{"-aes128 -secretkey 000102030405060708090a0b0c0d0e0f -secretkeyid 01", SCEP_BAD_ALG},
		{"-aes128 -pwri_password secret", SCEP_BAD_ALG},
		{"-aes128 " TO_RA " -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha3-256", SCEP_BAD_ALG},
	};
	const struct net_scep_policy strict = {.sha1 = false};
	struct bytes plain = draw_plain();
	int verdict;

	write_file("plain", plain);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (encrypt(cases[i].options) != 0)
			fail_msg("openssl cms -encrypt %s failed", cases[i].options);
		verdict = judge_envelope(plain, &lax);
		if (verdict != cases[i].verdict)
			fail_msg("%s: %d instead of %d", cases[i].options, verdict, cases[i].verdict);
	}
	CHECK_INT(encrypt("-des3 " TO_RA), 0);
	CHECK_INT(judge_envelope(plain, &strict), SCEP_BAD_ALG);
}

TEST(messages_that_the_program_signs_are_no_scep_messages)
{
	write_file("plain", draw_plain());
	CHECK_INT(encrypt("-aes128 " TO_RA), 0);
	for (int i = 0; i < 4; i++) {
		static const char *const options[] = {"", " -stream", " -keyid", " -noattr"};
		char line[300];
		AUTO_BUF message;

		snprintf(line, sizeof(line),
			 "cms -sign -binary -nodetach -in @envelope -outform DER -out @message -signer @client.pem "
			 "-inkey @client.key%s",
			 options[i]);
		CHECK_INT(openssl(line), 0);
		buf_init(&message, OUT_MAX);
		read_file("message", &message);
		/* Signed well, with neither message type nor transaction. */
		CHECK(judge(buf_bytes(&message), OID_BYTES(""), &lax) != NET_SCEP_GOOD);
	}
}

/* ---- what we make ------------------------------------------------------------------------------------------------ */

static void
check_dump(struct bytes der)
{
	write_file("ours", der);
	CHECK_INT(openssl("asn1parse -inform DER -in @ours"), 0);
}

TEST(what_we_envelope_the_program_decrypts)
{
	static const enum net_cms_cipher_id ciphers[] = {NET_CMS_AES128_CBC, NET_CMS_AES192_CBC, NET_CMS_AES256_CBC,
							 NET_CMS_DES3_CBC};
	struct net_cms_transport transport = {.digest = DIGEST_SHA256, .mgf_digest = DIGEST_SHA256};
	struct x509 cert;

	CHECK_INT(x509_parse(f.ra_der, &cert, NULL), 0);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(ciphers); i++) {
		struct bytes plain = draw_plain();
		AUTO_BUF out, back;

		buf_init(&out, OUT_MAX);
		buf_init(&back, OUT_MAX);
		transport.padding = i < ARRAY_SIZE(ciphers) ? UNWRAP_PKCS1 : UNWRAP_OAEP;
		CHECK_INT(net_cms_put_envelope(&out, plain, ciphers[i % ARRAY_SIZE(ciphers)], &transport, &cert,
					       f.ra_key, NULL),
			  0);
		check_dump(buf_bytes(&out));
		CHECK_INT(
			openssl("cms -decrypt -binary -inform DER -in @ours -recip @ra.pem -inkey @ra.key -out @back"),
			0);
		read_file("back", &back);
		CHECK_BYTES(buf_bytes(&back), plain.data, plain.len);
	}
}

/* A CertRep to message with this status, as the front makes it. */
static void
make_reply(const struct scepmsg_request *message, int status, struct buf *out)
{
	const struct bytes extra[] = {f.ca_der};
	struct net_scep_answer answer = {.status = status,
					 .fail_info = SCEP_BAD_REQUEST,
					 .text = "no",
					 .ra_sign = f.ra_sign_der,
					 .extra = extra,
					 .extra_count = 1};
	AUTO_STRUCT(net_scep_request) request = NULL;
	AUTO_STRUCT(net_scep_reply) reply = NULL;
	struct bytes signature;
	struct err e = {0};

	if (status == STATUS_ISSUED)
		answer.certificate = f.issued_der;
	CHECK_INT(net_scep_parse(message->der, &lax, &request, &e), 0);
	CHECK_INT(net_scep_reply_new(request, &answer, &reply, &e), 0);
	signature = certs_sign(certs_rsa(), net_cms_alg_digest(net_scep_reply_digest(reply))->md,
			       net_scep_reply_tbs(reply));
	CHECK_INT(net_scep_reply_finish(reply, signature, out, &e), 0);
	free((void *)signature.data);
}

TEST(our_certreps_are_verified_and_decrypted_by_the_program)
{
	const struct scepmsg_options options = {.message_type = "19"};
	struct scepmsg_request message;
	AUTO_BUF out, inner;

	buf_init(&out, OUT_MAX);
	buf_init(&inner, OUT_MAX);
	CHECK_INT(scepmsg_build(&f.client, draw_plain(), &options, f.ra, &message), 0);
	make_reply(&message, STATUS_ISSUED, &out);
	check_dump(buf_bytes(&out));
	CHECK_INT(openssl("cms -verify -binary -noverify -inform DER -in @ours -signer @signer.pem -out @inner"), 0);
	CHECK_INT(openssl("cms -decrypt -binary -inform DER -in @inner -recip @client.pem -inkey @client.key -out "
			  "@certs"),
		  0);
	CHECK_INT(openssl("asn1parse -inform DER -in @certs"), 0);
	CHECK_INT(openssl("pkcs7 -inform DER -in @certs -print_certs -out @printed"), 0);
	read_file("printed", &inner);
	buf_put_u8(&inner, 0);
	CHECK(strstr((const char *)inner.data, "CN = device") != NULL);
	buf_clear(&out);
	make_reply(&message, STATUS_REFUSED, &out);
	check_dump(buf_bytes(&out));
	CHECK_INT(openssl("cms -cmsout -print -noout -inform DER -in @ours"), 0);
	scepmsg_request_fini(&message);
}

TEST(our_certificates_only_are_read_by_the_program)
{
	const struct bytes certs[] = {f.ca_der, f.ra_der, f.ra_sign_der};
	AUTO_BUF out, printed;

	buf_init(&out, OUT_MAX);
	buf_init(&printed, OUT_MAX);
	CHECK_INT(net_scep_certs_only(certs, ARRAY_SIZE(certs), &out), 0);
	check_dump(buf_bytes(&out));
	CHECK_INT(openssl("pkcs7 -inform DER -in @ours -print_certs -out @printed"), 0);
	CHECK_INT(openssl("cms -cmsout -print -noout -inform DER -in @ours"), 0);
	read_file("printed", &printed);
	buf_put_u8(&printed, 0);
	CHECK(strstr((const char *)printed.data, "CN = RA decryption") != NULL);
}

/* ---- variations -------------------------------------------------------------------------------------------------- */

static const EVP_MD *
draw_md(void)
{
	static const EVP_MD *(*const all[])(void) = {EVP_sha256, EVP_sha1, EVP_sha384, EVP_sha512};

	return all[draw(ARRAY_SIZE(all))]();
}

static struct scepmsg_options
draw_options(void)
{
	static const EVP_CIPHER *(*const ciphers[])(void) = {EVP_aes_128_cbc, EVP_aes_192_cbc, EVP_aes_256_cbc,
							     EVP_des_ede3_cbc};
	static const int strings[] = {0, V_ASN1_PRINTABLESTRING, V_ASN1_UTF8STRING, V_ASN1_IA5STRING};
	struct scepmsg_options o = {.cipher = ciphers[draw(4)](), .digest = draw_md()};

	o.string_type = strings[draw(4)];
	o.nonce_len = 1 + draw(64);
	if (draw(3) == 0) {
		o.oaep = draw_md();
		o.oaep_mgf = draw(2) == 0 ? draw_md() : NULL;
		o.oaep_label = draw(3) == 0 ? "label" : NULL;
	}
	o.indefinite = draw(2) == 0;
	o.pss = !o.indefinite && draw(3) == 0; /* OpenSSL 3.0 makes no PSS signature while it streams */
	o.by_key_id = draw(3) == 0;
	o.signer_key_id = draw(3) == 0;
	o.extra = draw(3) == 0 ? f.ca : NULL;
	o.more_for = draw(3) == 0 ? f.ra_sign : NULL;
	return o;
}

TEST(hundreds_of_variations_are_opened_and_answered)
{
	const char *rounds = getenv("ROUNDS");
	int count = rounds != NULL ? atoi(rounds) : ROUNDS;

	for (int i = 0; i < count; i++) {
		uint64_t seed = f.seed;
		struct bytes plain = draw_plain();
		struct scepmsg_options options = draw_options();
		struct scepmsg_request message;
		struct scepmsg_reply reply;
		struct err e = {0};
		AUTO_BUF out;
		int verdict;

		buf_init(&out, OUT_MAX);
		if (scepmsg_build(&f.client, plain, &options, f.ra, &message) != 0)
			fail_msg("SEED=%llu, round %d: not built", (unsigned long long)seed, i);
		verdict = judge(message.der, plain, &lax);
		if (verdict != NET_SCEP_GOOD)
			fail_msg("SEED=%llu, round %d: %d", (unsigned long long)seed, i, verdict);
		make_reply(&message, i % 3 == 0 ? STATUS_REFUSED : STATUS_ISSUED, &out);
		if (scepmsg_reply_parse(buf_bytes(&out), &f.client, &message, f.ra_sign, &reply, &e) != 0)
			fail_msg("SEED=%llu, round %d: %s", (unsigned long long)seed, i, e.text);
		CHECK_INT(reply.pki_status, i % 3 == 0 ? 2 : 0);
		scepmsg_reply_fini(&reply);
		scepmsg_request_fini(&message);
	}
}

/* Shuffles the attributes of a DER message in place and signs them anew as they stand; ours and theirs must agree. */
static void
permute_attributes(struct bytes message)
{
	struct net_cms_message *parsed = net_cms_message_parse(message);
	const struct net_cms_signer *signer;
	struct bytes elements[PERMUTE_MAX], signature, content, old;
	uint8_t *at, *sign_at;
	struct view v, list;
	struct der whole, element;
	size_t n = 0;
	AUTO_BUF set, mixed;

	buf_init(&set, OUT_MAX);
	buf_init(&mixed, OUT_MAX);
	assert_non_null(parsed);
	signer = OPENSSL_sk_value(parsed->body->signers, 0);
	CHECK_INT(net_cms_attributes_put(signer, &set), 0);
	v = view_of(buf_bytes(&set));
	CHECK_INT(der_expect(&v, DER_SET, &whole), 0);
	content = whole.content;
	list = view_of(content);
	while (list.left > 0 && n < ARRAY_SIZE(elements)) {
		CHECK_INT(der_next(&list, &element), 0);
		elements[n++] = element.whole;
	}
	at = memmem(message.data, message.len, content.data, content.len);
	old = net_cms_octets(signer->signature);
	sign_at = memmem(message.data, message.len, old.data, old.len);
	CHECK(at != NULL && sign_at != NULL);
	for (; n > 0; n--) {
		size_t pick = draw((uint32_t)n);

		buf_put_raw(&mixed, elements[pick].data, elements[pick].len);
		elements[pick] = elements[n - 1];
	}
	CHECK_INT(mixed.len, content.len);
	memcpy(at, mixed.data, mixed.len);
	memcpy(set.data + set.len - content.len, mixed.data, mixed.len);
	signature = certs_sign(f.client.key, EVP_sha256(), buf_bytes(&set));
	CHECK_INT(signature.len, old.len);
	memcpy(sign_at, signature.data, signature.len);
	free((void *)signature.data);
	net_cms_message_free(parsed);
}

/* 1: verified; 0: not; -1: cannot be read, as a certificate with a name that is none, at which we do not look. */
static int
openssl_verifies(struct bytes message)
{
	const uint8_t *p = message.data;
	AUTO(CMS_ContentInfo) cms = d2i_CMS_ContentInfo(NULL, &p, (long)message.len);
	int verdict = -1;

	if (cms != NULL)
		verdict = CMS_verify(cms, NULL, NULL, NULL, NULL, CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) == 1;
	ERR_clear_error();
	return verdict;
}

TEST(the_order_of_attributes_and_single_octets_are_judged_alike)
{
	const struct scepmsg_options options = {.digest = EVP_sha256()};

	for (int i = 0; i < 60; i++) {
		struct scepmsg_request message;
		struct bytes plain = draw_plain();
		uint8_t *octets;
		uint64_t seed = f.seed;

		CHECK_INT(scepmsg_build(&f.client, plain, &options, f.ra, &message), 0);
		permute_attributes(message.der);
		CHECK_INT(openssl_verifies(message.der), 1);
		CHECK_INT(judge(message.der, plain, &lax), NET_SCEP_GOOD);
		/* What we take for signed is signed to OpenSSL too; it takes more, such as what is no SCEP. */
		octets = (uint8_t *)(uintptr_t)message.der.data;
		octets[draw((uint32_t)message.der.len)] ^= (uint8_t)(1u << draw(8));
		if (openssl_verifies(message.der) == 0) {
			AUTO_STRUCT(net_scep_request) request = NULL;

			if (net_scep_parse(message.der, &lax, &request, NULL) == 0 &&
			    request->fail_info == NET_SCEP_GOOD)
				fail_msg("SEED=%llu: only we verify it", (unsigned long long)seed);
		}
		scepmsg_request_fini(&message);
	}
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		RUN(what_the_program_encrypts_is_opened),
		RUN(what_we_do_not_take_is_refused),
		RUN(messages_that_the_program_signs_are_no_scep_messages),
		RUN(what_we_envelope_the_program_decrypts),
		RUN(our_certreps_are_verified_and_decrypted_by_the_program),
		RUN(our_certificates_only_are_read_by_the_program),
		RUN(hundreds_of_variations_are_opened_and_answered),
		RUN(the_order_of_attributes_and_single_octets_are_judged_alike),
	};

	return test_finish((int)ARRAY_SIZE(list), cmocka_run_group_tests(list, fixture_begin, fixture_end));
}
