/*
 * scepdrive - hostile and odd SCEP messages against a live appliance, over plain HTTP
 *
 *	scepdrive ADDRESS PORT SERIALS
 *
 * Challenges come from standard input, one a line.  Each message has to get the answer that RFC 8894 gives it; the
 * serial numbers of all certificates issued are appended to the file SERIALS.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "tests/lib/device.h"

CLEANUP(BIGNUM, BN_free)
CLEANUP(EVP_PKEY, EVP_PKEY_free)
CLEANUP(EVP_PKEY_CTX, EVP_PKEY_CTX_free)
CLEANUP(OSSL_PARAM, OSSL_PARAM_free)
CLEANUP(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free)

enum { SUCCESS = 0, FAILURE = 2 };
enum { NONE = -1, BAD_ALG = 0, BAD_MESSAGE_CHECK = 1, BAD_REQUEST = 2, BAD_CERT_ID = 4 };
enum { CHALLENGE_SIZE = 80, RACERS = 8, SAMPLES = 200 };

/* A message and its answer.  fail_info NONE: a certificate. */
struct row {
	const char *what;
	int fail_info;
	struct scepmsg_csr csr;
	struct scepmsg_options options;
	const struct scepmsg_client *client; /* NULL for the usual one */
	bool no_challenge;
	bool id_not_kept; /* the reply cannot carry the request's transactionID */
	bool nonce_not_kept;
};

/* Requests that must be refused all bring this one, and it must be good at the end. */
static char spare[CHALLENGE_SIZE];

/* ---- one message ------------------------------------------------------------------------------------------------- */

static void
prepare(struct device_world *w, const struct row *row, struct scepmsg_request *ret_request)
{
	struct scepmsg_csr csr = row->csr;
	char subject[40], challenge[CHALLENGE_SIZE];

	snprintf(subject, sizeof(subject), "CN=device-%lu,O=Example", w->number++);
	if (csr.subject == NULL)
		csr.subject = subject;
	if (csr.challenge == NULL && !row->no_challenge) {
		csr.challenge = spare;
		if (row->fail_info == NONE) {
			device_challenge(challenge, sizeof(challenge));
			csr.challenge = challenge;
		}
	}
	if (scepmsg_enroll(row->client != NULL ? row->client : &w->clients[0], &csr, &row->options, w->ra_decrypt,
			   ret_request) != 0) {
		drive_check(false, "%s: the message can be made", row->what);
		exit(drive_finish());
	}
	if (row->id_not_kept)
		ret_request->transaction_id[0] = '\0';
	if (row->nonce_not_kept)
		ret_request->nonce_len = 0;
}

/* The reply is in what the client understands: the request's own digest and cipher, if they are allowed at all. */
static bool
is_in_kind(const struct row *row, const struct device_answer *answer)
{
	int digest = row->options.digest != NULL ? EVP_MD_get_type(row->options.digest) : NID_sha256;
	int cipher = row->options.cipher != NULL ? EVP_CIPHER_get_nid(row->options.cipher) : NID_aes_128_cbc;

	if (row->fail_info != NONE)
		return true;
	return answer->reply.digest == digest && answer->reply.cipher == cipher &&
	       answer->reply.transport == (row->options.oaep != NULL ? NID_rsaesOaep : NID_rsaEncryption);
}

static void
run_row(struct device_world *w, const struct row *row)
{
	struct scepmsg_request request;
	struct device_answer answer;
	bool good;

	prepare(w, row, &request);
	device_post(w, row->client != NULL ? row->client : &w->clients[0], &request, &answer);
	good = device_is(&answer, row->fail_info == NONE ? SUCCESS : FAILURE, row->fail_info);
	if (!drive_check(good, "%s", row->what))
		device_note(&answer);
	else if (!is_in_kind(row, &answer))
		drive_check(false, "%s: the reply has the request's algorithms", row->what);
	device_answer_fini(&answer);
	scepmsg_request_fini(&request);
}

static void
run_rows(struct device_world *w, const struct row *rows, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		run_row(w, &rows[i]);
}

/* ---- truncations, flipped bits, garbage -------------------------------------------------------------------------- */

/* True when the message gets HTTP 400 and not application/x-pki-message. */
static bool
is_no_scep(struct device_world *w, struct bytes der, struct drive_answer *ret_answer)
{
	drive_post(&w->http, DEVICE_TARGET, der, ret_answer);
	return ret_answer->status == 400 && strcmp(ret_answer->type, "text/plain") == 0;
}

static void
truncations(struct device_world *w)
{
	struct row row = {.what = "a request to be truncated", .fail_info = BAD_REQUEST};
	struct scepmsg_request request;
	struct drive_answer answer;
	size_t len, wrong = 0;

	prepare(w, &row, &request);
	for (len = 0; len < request.der.len; len++) {
		if (is_no_scep(w, (struct bytes){request.der.data, len}, &answer))
			continue;
		if (wrong++ < 5)
			drive_note("%zu of %zu octets: HTTP %d", len, request.der.len, answer.status);
	}
	drive_check(wrong == 0, "each of the %zu truncations of a good request gets HTTP 400", len);
	scepmsg_request_fini(&request);
}

/* HTTP 400, or a signed CertRep; its transactionID and nonce may be what the flipped bit has made of them. */
static bool
is_proper(struct device_world *w, const struct scepmsg_request *request, struct device_answer *ret_answer)
{
	device_post(w, &w->clients[0], request, ret_answer);
	if (ret_answer->http.status == 400)
		return true;
	return ret_answer->is_reply || strncmp(ret_answer->e.text, "transactionID", 13) == 0 ||
	       strncmp(ret_answer->e.text, "recipientNonce", 14) == 0;
}

static void
flipped_bits(struct device_world *w)
{
	static const uint8_t masks[] = {0x01, 0x80, 0xff, 0x20};
	struct row row = {.what = "a request to be changed", .fail_info = NONE};
	struct scepmsg_request request;
	struct device_answer answer;
	size_t i, wrong = 0, refused = 0, harmless = 0, count = 0;
	uint8_t *at;

	prepare(w, &row, &request);
	for (i = 0; i < request.der.len; i += 3, count++) {
		at = (uint8_t *)request.der.data + i;
		*at ^= masks[count % sizeof(masks)];
		if (!is_proper(w, &request, &answer) && wrong++ < 5)
			device_note(&answer);
		refused += answer.is_reply && answer.reply.pki_status == FAILURE;
		harmless += answer.is_reply && answer.reply.pki_status == SUCCESS;
		device_answer_fini(&answer);
		*at ^= masks[count % sizeof(masks)];
	}
	drive_check(wrong == 0, "%zu requests with one octet changed: %zu refused, %zu harmless, the others HTTP 400",
		    count, refused, harmless);
	device_post(w, &w->clients[0], &request, &answer);
	drive_check(device_is(&answer, SUCCESS, NONE), "the unchanged request gets its certificate after that");
	device_answer_fini(&answer);
	scepmsg_request_fini(&request);
}

static void
garbage(struct device_world *w)
{
	static const struct {
		const char *what;
		const char *before;
		const char *after;
	} rows[] = {
		{"an octet behind the message", "", "x"},
		{"a line end behind the message", "", "\r\n"},
		{"a second structure behind the message", "", "\x30\x03\x02\x01"},
		{"an octet before the message", "x", ""},
		{"a line end before the message", "\r\n", ""},
		{"a structure before the message", "\x30\x01\x05", ""},
		{"a long length before the message", "\x30\x84\xff\xff\xff\xff", ""},
		{"an indefinite length before the message", "\x30\x80", ""},
		{"base64 letters before the message", "MIIM", ""},
	};
	struct row row = {.what = "garbage", .fail_info = BAD_REQUEST};
	struct scepmsg_request request;
	struct drive_answer answer;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		row.options.before = bytes_of_text(rows[i].before);
		row.options.after = bytes_of_text(rows[i].after);
		prepare(w, &row, &request);
		if (!drive_check(is_no_scep(w, request.der, &answer), "%s: HTTP 400", rows[i].what))
			drive_note("seen: HTTP %d", answer.status);
		scepmsg_request_fini(&request);
	}
	row.options = (struct scepmsg_options){.no_attributes = true};
	prepare(w, &row, &request);
	drive_check(is_no_scep(w, request.der, &answer), "signed, but without attributes: HTTP 400");
	scepmsg_request_fini(&request);
}

/* Structures that are deep, or long, or both: x octets that open one more each time. */
static void
nested(struct device_world *w)
{
	static const uint8_t openings[][2] = {{0x30, 0x80}, {0x24, 0x80}, {0xa0, 0x80}, {0x31, 0x80}};
	enum { DEPTH = 50000 };
	uint8_t *data = malloc(2 * (size_t)DEPTH);
	struct drive_answer answer;
	size_t i, k, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(openings) && data != NULL; i++) {
		for (k = 0; k < DEPTH; k++)
			memcpy(data + 2 * k, k == 0 ? openings[0] : openings[i], 2);
		if (!is_no_scep(w, (struct bytes){data, 2 * (size_t)DEPTH}, &answer))
			wrong++;
	}
	drive_check(wrong == 0, "%d structures within each other: HTTP 400", DEPTH);
	free(data);
}

/* ---- attributes -------------------------------------------------------------------------------------------------- */

static void
attributes(struct device_world *w)
{
	const struct row rows[] = {
		{.what = "a good request gets its certificate", .fail_info = NONE},
		{"wrong outer signature: badMessageCheck", BAD_MESSAGE_CHECK, .options = {.broken_signature = true}},
		{"content changed after it was signed: badMessageCheck", BAD_MESSAGE_CHECK,
		 .options = {.broken_content = true}},
		{"no signer's certificate: badMessageCheck", BAD_MESSAGE_CHECK, .options = {.no_cert = true}},
		{"no content: badRequest", BAD_REQUEST, .options = {.no_content = true}},
		{"content that is not enveloped: badRequest", BAD_REQUEST, .options = {.plain_content = true}},
		{"no messageType: badRequest", BAD_REQUEST, .options = {.omit = SCEPMSG_MESSAGE_TYPE}},
		{"no transactionID: badRequest", BAD_REQUEST, .options = {.omit = SCEPMSG_TRANSACTION_ID}},
		{"no senderNonce: a certificate all the same", NONE, .options = {.omit = SCEPMSG_SENDER_NONCE}},
		{"messageType twice: badRequest", BAD_REQUEST, .options = {.repeat = SCEPMSG_MESSAGE_TYPE}},
		{"transactionID twice: badRequest", BAD_REQUEST, .options = {.repeat = SCEPMSG_TRANSACTION_ID}},
		{"senderNonce twice: badRequest", BAD_REQUEST, .options = {.repeat = SCEPMSG_SENDER_NONCE}},
		{"BER of indefinite length, strings in pieces: a certificate", NONE, .options = {.indefinite = true}},
		{"recipient by key identifier: a certificate", NONE, .options = {.by_key_id = true}},
		{"signer by key identifier: a certificate", NONE, .options = {.signer_key_id = true}},
		{"a certificate too many: a certificate", NONE, .options = {.extra = w->ca}},
		{"two recipients: a certificate", NONE, .options = {.more_for = w->clients[1].cert}},
	};

	run_rows(w, rows, ARRAY_SIZE(rows));
}

static void
nonces_and_ids(struct device_world *w)
{
	char id255[256], id256[257];
	const struct row rows[] = {
		{"senderNonce of 1 octet", NONE, .options = {.nonce_len = 1}},
		{"senderNonce of 8 octets", NONE, .options = {.nonce_len = 8}},
		{"senderNonce of 64 octets", NONE, .options = {.nonce_len = 64}},
		{"senderNonce of 65 octets: badRequest", BAD_REQUEST, .options = {.nonce_len = 65},
		 .nonce_not_kept = true},
		{"transactionID of 255 octets", NONE, .options = {.transaction_id = id255}},
		{"transactionID of 256 octets: badRequest", BAD_REQUEST, .options = {.transaction_id = id256},
		 .id_not_kept = true},
		{"transactionID of one octet", NONE, .options = {.transaction_id = "7"}},
		{"transactionID with all kinds of signs", NONE,
		 .options = {.transaction_id = "%n$()|;'\"<>&@*_{}~ \\0"}},
		{"transactionID with a line feed: badRequest", BAD_REQUEST,
		 .options = {.transaction_id = "a\nevent=FORGED cause=x"}, .id_not_kept = true},
		{"transactionID with an escape sequence: badRequest", BAD_REQUEST,
		 .options = {.transaction_id = "\x1b[2J", .string_type = V_ASN1_IA5STRING}, .id_not_kept = true},
		{"transactionID beyond ASCII: badRequest", BAD_REQUEST,
		 .options = {.transaction_id = "\xc3\xa4", .string_type = V_ASN1_UTF8STRING}, .id_not_kept = true},
		{"type and ID as UTF8String", NONE, .options = {.string_type = V_ASN1_UTF8STRING}},
		{"type and ID as IA5String", NONE, .options = {.string_type = V_ASN1_IA5STRING}},
		{"type and ID as T61String", NONE, .options = {.string_type = V_ASN1_T61STRING}},
		{"type and ID as VisibleString", NONE, .options = {.string_type = V_ASN1_VISIBLESTRING}},
		{"type and ID as OCTET STRING", NONE, .options = {.string_type = V_ASN1_OCTET_STRING}},
		{"type and ID as NumericString", NONE,
		 .options = {.string_type = V_ASN1_NUMERICSTRING, .transaction_id = "4711"}},
		{"type and ID as BMPString: badRequest", BAD_REQUEST,
		 .options = {.string_type = V_ASN1_BMPSTRING, .transaction_id = "even"}, .id_not_kept = true},
	};

	memset(id256, 'a', 256);
	id256[256] = '\0';
	memset(id255, 'b', 255);
	id255[255] = '\0';
	run_rows(w, rows, ARRAY_SIZE(rows));
}

/* Every number, and what is none, but PKCSReq (19). */
static void
message_types(struct device_world *w)
{
	static const char *const odd[] = {"256", "-1", "+19", " 19", "19 ", "1e1", "0x13", "0019", "A", "99999999999"};
	struct scepmsg_csr csr = {.subject = "CN=types", .challenge = spare};
	struct bytes der = scepmsg_csr_build(w->clients[0].key, &csr);
	struct scepmsg_options options = {0};
	struct scepmsg_request request;
	struct device_answer answer;
	size_t i, wrong = 0;
	char text[16];

	for (i = 0; i < 256 + ARRAY_SIZE(odd); i++) {
		snprintf(text, sizeof(text), "%zu", i);
		options.message_type = i < 256 ? text : odd[i - 256];
		if (i == 19 || scepmsg_build(&w->clients[0], der, &options, w->ra_decrypt, &request) != 0)
			continue;
		device_post(w, &w->clients[0], &request, &answer);
		/* A renewal, but not by a certificate of the CA; a poll for what nobody asked; queries without one. */
		if (!device_is(&answer, FAILURE,
			       i == 17 || i == 20   ? BAD_CERT_ID
			       : i == 21 || i == 22 ? BAD_MESSAGE_CHECK
						    : BAD_REQUEST) &&
		    wrong++ < 5) {
			drive_note("message type \"%s\":", options.message_type);
			device_note(&answer);
		}
		device_answer_fini(&answer);
		scepmsg_request_fini(&request);
	}
	drive_check(wrong == 0, "every message type but PKCSReq, %zu of them: badRequest, or badCertId", i - 1);
	free((void *)der.data);
}

/* ---- what the envelope holds ------------------------------------------------------------------------------------- */

static void
run_plain(struct device_world *w, const char *what, struct bytes plain, int fail_info)
{
	struct scepmsg_options options = {0};
	struct scepmsg_request request;
	struct device_answer answer;

	if (scepmsg_build(&w->clients[0], plain, &options, w->ra_decrypt, &request) != 0) {
		drive_check(false, "%s: the message can be made", what);
		return;
	}
	device_post(w, &w->clients[0], &request, &answer);
	if (!drive_check(device_is(&answer, FAILURE, fail_info), "%s", what))
		device_note(&answer);
	device_answer_fini(&answer);
	scepmsg_request_fini(&request);
}

static void
not_a_csr(struct device_world *w)
{
	struct scepmsg_csr csr = {.subject = "CN=plain", .challenge = spare};
	struct bytes der = scepmsg_csr_build(w->clients[0].key, &csr);
	struct bytes cert = scepmsg_cert_der(w->clients[0].cert);
	uint8_t *big = calloc(1, 200000);
	struct buf b;

	run_plain(w, "text instead of a request: badMessageCheck", bytes_of_text("GET / HTTP/1.1"), BAD_MESSAGE_CHECK);
	run_plain(w, "one octet instead of a request: badMessageCheck", bytes_of_text("0"), BAD_MESSAGE_CHECK);
	run_plain(w, "a certificate instead of a request: badMessageCheck", cert, BAD_MESSAGE_CHECK);
	run_plain(w, "a truncated request: badMessageCheck", (struct bytes){der.data, der.len - 1}, BAD_MESSAGE_CHECK);
	run_plain(w, "200,000 zeros instead of a request: badRequest", (struct bytes){big, 200000}, BAD_REQUEST);
	run_plain(w, "30,000 zeros instead of a request: badMessageCheck", (struct bytes){big, 30000},
		  BAD_MESSAGE_CHECK);
	buf_init(&b, SIZE_MAX);
	buf_put_raw(&b, der.data, der.len);
	buf_put_u8(&b, 0);
	run_plain(w, "an octet behind the request: badMessageCheck", buf_bytes(&b), BAD_MESSAGE_CHECK);
	buf_fini(&b);
	free(big);
	free((void *)der.data);
	free((void *)cert.data);
}

static void
challenges(struct device_world *w)
{
	char used[CHALLENGE_SIZE], texts[6][CHALLENGE_SIZE], long_text[600];
	struct row rows[] = {
		{"a challenge that will be used", NONE, .csr = {.challenge = used}},
		{"a used challenge: badRequest", BAD_REQUEST, .csr = {.challenge = used}},
		{"a wrong challenge: badRequest", BAD_REQUEST,
		 .csr = {.challenge = "00112233445566778899AABBCCDDEEFF"}},
		{"a challenge with one more digit: badRequest", BAD_REQUEST, .csr = {.challenge = texts[0]}},
		{"a challenge with one digit less: badRequest", BAD_REQUEST, .csr = {.challenge = texts[1]}},
		{"a challenge of 600 digits: badRequest", BAD_REQUEST, .csr = {.challenge = long_text}},
		{"an empty challenge: badRequest", BAD_REQUEST, .csr = {.challenge = ""}},
		{"no challenge: badRequest", BAD_REQUEST, .no_challenge = true},
		{"challenge as UTF8String", NONE, .csr = {.challenge_type = V_ASN1_UTF8STRING}},
		{"challenge as IA5String", NONE, .csr = {.challenge_type = V_ASN1_IA5STRING}},
		{"challenge as T61String", NONE, .csr = {.challenge_type = V_ASN1_T61STRING}},
		{"challenge as BMPString", NONE, .csr = {.challenge_type = V_ASN1_BMPSTRING}},
		{"challenge as UniversalString: badMessageCheck", BAD_MESSAGE_CHECK,
		 .csr = {.challenge_type = V_ASN1_UNIVERSALSTRING}},
		{"challenge as INTEGER: badMessageCheck", BAD_MESSAGE_CHECK, .csr = {.challenge_type = V_ASN1_INTEGER}},
	};

	device_challenge(used, sizeof(used));
	snprintf(texts[0], CHALLENGE_SIZE, "%.70s0", spare);
	snprintf(texts[1], CHALLENGE_SIZE, "%.*s", (int)strlen(spare) - 1, spare);
	memset(long_text, 'A', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	run_rows(w, rows, ARRAY_SIZE(rows));
}

static void
names(struct device_world *w)
{
	char many[65 * 20 + 1], fewer[sizeof(many)];
	const struct row rows[] = {
		{"a subject type that is not allowed (title): badRequest", BAD_REQUEST,
		 .csr = {.subject = "CN=x,title=y"}},
		{"subject with a line feed: badRequest", BAD_REQUEST, .csr = {.subject = "CN=a\nevent=FORGED"}},
		{"subject with letters of many languages", NONE, .csr = {.subject = "CN=Gerät 機器,O=Example"}},
		{"no subject, no subjectAltName: badRequest", BAD_REQUEST, .csr = {.subject = ""}},
		{"no subject, but subjectAltName", NONE, .csr = {.subject = "", .san = "DNS:only.example"}},
		{"subjectAltName of several kinds", NONE,
		 .csr = {.san = "DNS:a.example,IP:192.0.2.1,IP:2001:db8::1,email:a@b.example,URI:urn:x:y"}},
		{"subjectAltName with NUL: badRequest", BAD_REQUEST, .csr = {.san = "DER:30:07:82:05:61:00:2e:64:65"}},
		{"subjectAltName with a wildcard: badRequest", BAD_REQUEST, .csr = {.san = "DNS:*.example"}},
		{"subjectAltName with a blank: badRequest", BAD_REQUEST, .csr = {.san = "DER:30:05:82:03:61:20:62"}},
		{"subjectAltName without names: badRequest", BAD_REQUEST, .csr = {.san = "DER:30:00"}},
		{"subjectAltName that ends early: badRequest", BAD_REQUEST, .csr = {.san = "DER:30:09:82:03:61"}},
		{"subjectAltName with a directory name: badRequest", BAD_REQUEST,
		 .csr = {.san = "DER:30:04:a4:02:30:00"}},
		{"subjectAltName with an address of 5 octets: badRequest", BAD_REQUEST,
		 .csr = {.san = "DER:30:07:87:05:01:02:03:04:05"}},
		{"subjectAltName with 64 names", NONE, .csr = {.san = fewer}},
		{"subjectAltName with 65 names: badRequest", BAD_REQUEST, .csr = {.san = many}},
		{"key usage and extended key usage of its own: a certificate by the template", NONE,
		 .csr = {.key_usage = "critical,keyCertSign,cRLSign", .ext_key_usage = "serverAuth,OCSPSigning"}},
	};
	size_t i, len = 0;

	for (i = 0; i < 65; i++) {
		if (i == 64)
			memcpy(fewer, many, len + 1);
		len += (size_t)snprintf(many + len, sizeof(many) - len, "%sDNS:d%zu.example", i > 0 ? "," : "", i);
	}
	run_rows(w, rows, ARRAY_SIZE(rows));
}

/* ---- keys and algorithms ----------------------------------------------------------------------------------------- */

/* RSA with an exponent of so many bits. */
static EVP_PKEY *
rsa_with_exponent(int bits)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	AUTO(BIGNUM) e = BN_new();
	EVP_PKEY *key = NULL;

	if (ctx == NULL || e == NULL || BN_rand(e, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD) != 1 ||
	    EVP_PKEY_keygen_init(ctx) <= 0 || EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) <= 0 ||
	    EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) <= 0 || EVP_PKEY_keygen(ctx, &key) <= 0)
		return NULL;
	return key;
}

/* Everybody can sign with it. */
static EVP_PKEY *
rsa_exponent_one(EVP_PKEY *other)
{
	AUTO(EVP_PKEY_CTX) ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
	AUTO(OSSL_PARAM_BLD) build = OSSL_PARAM_BLD_new();
	AUTO(OSSL_PARAM) params = NULL;
	AUTO(BIGNUM) n = NULL;
	EVP_PKEY *key = NULL;

	if (ctx == NULL || build == NULL || EVP_PKEY_get_bn_param(other, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, BN_value_one()) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, BN_value_one()) != 1)
		return NULL;
	params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL || EVP_PKEY_fromdata_init(ctx) <= 0 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) <= 0)
		return NULL;
	return key;
}

static void
run_key(struct device_world *w, const char *what, EVP_PKEY *key, int fail_info)
{
	struct scepmsg_client client = {0};
	struct row row = {.what = what, .fail_info = fail_info, .client = &client};

	if (scepmsg_client_of(key, &client) != 0) {
		drive_check(false, "%s: the key can be made", what);
		return;
	}
	run_row(w, &row);
	scepmsg_client_fini(&client);
}

static void
keys(struct device_world *w)
{
	const struct row rows[] = {
		{"a key that did not sign the message: badRequest", BAD_REQUEST, .csr = {.key = w->clients[1].key}},
		{"CSR with a broken signature: badMessageCheck", BAD_MESSAGE_CHECK, .csr = {.broken_signature = true}},
		{"CSR with SHA-1: badAlg", BAD_ALG, .csr = {.digest = EVP_sha1()}},
		{"CSR with MD5: badAlg", BAD_ALG, .csr = {.digest = EVP_md5()}},
		{"CSR with SHA-512", NONE, .csr = {.digest = EVP_sha512()}},
	};
	EVP_PKEY *ec = EVP_EC_gen("P-256");
	const struct row foreign = {"an EC key that did not sign the message: badRequest", BAD_REQUEST,
				    .csr = {.key = ec}};

	run_key(w, "RSA with 1024 bits: badAlg", scepmsg_rsa(1024, 0), BAD_ALG);
	run_key(w, "RSA with 2047 bits: badAlg", scepmsg_rsa(2047, 0), BAD_ALG);
	run_key(w, "RSA with 3072 bits", scepmsg_rsa(3072, 0), NONE);
	run_key(w, "RSA with exponent 3: badAlg", scepmsg_rsa(2048, 3), BAD_ALG);
	run_key(w, "RSA with exponent 1: badAlg", rsa_exponent_one(w->clients[1].key), BAD_ALG);
	run_key(w, "RSA with an exponent of 100 bits: badAlg", rsa_with_exponent(100), BAD_ALG);
	run_key(w, "an EC key, to which nothing can be enveloped: badAlg", EVP_EC_gen("P-256"), BAD_ALG);
	run_rows(w, rows, ARRAY_SIZE(rows));
	run_row(w, &foreign);
	EVP_PKEY_free(ec);
}

/* Devices without a clock make certificates with any dates. */
static void
run_dates(struct device_world *w, const char *what, long from_s, long until_s)
{
	struct scepmsg_client client = {w->clients[0].key, scepmsg_self_signed_at(w->clients[0].key, from_s, until_s)};
	struct row row = {.what = what, .fail_info = NONE, .client = &client};

	run_row(w, &row);
	X509_free(client.cert);
}

static void
algorithms(struct device_world *w)
{
	OSSL_PROVIDER *legacy = OSSL_PROVIDER_load(NULL, "legacy");
	OSSL_PROVIDER *standard = OSSL_PROVIDER_load(NULL, "default");
	const struct row rows[] = {
		{"SHA-1: badAlg", BAD_ALG, .options = {.digest = EVP_sha1()}},
		{"MD5: badAlg", BAD_ALG, .options = {.digest = EVP_md5()}},
		{"3DES: badAlg", BAD_ALG, .options = {.cipher = EVP_des_ede3_cbc()}},
		{"single DES: badAlg", BAD_ALG, .options = {.cipher = EVP_des_cbc()}},
		{"MD5 and single DES, as of old IOS: badAlg", BAD_ALG,
		 .options = {.digest = EVP_md5(), .cipher = EVP_des_cbc()}},
		{"Camellia: badAlg", BAD_ALG, .options = {.cipher = EVP_camellia_128_cbc()}},
		{"AES-256", NONE, .options = {.cipher = EVP_aes_256_cbc()}},
		{"AES-192", NONE, .options = {.cipher = EVP_aes_192_cbc()}},
		{"SHA-512", NONE, .options = {.digest = EVP_sha512()}},
		{"SHA-384", NONE, .options = {.digest = EVP_sha384()}},
		{"AES-256 and SHA-512", NONE, .options = {.cipher = EVP_aes_256_cbc(), .digest = EVP_sha512()}},
		{"SHA3-256: badAlg", BAD_ALG, .options = {.digest = EVP_sha3_256()}},
		{"RSASSA-PSS", NONE, .options = {.pss = true}},
		{"OAEP with SHA-1", NONE, .options = {.oaep = EVP_sha1()}},
		{"OAEP with SHA-256", NONE, .options = {.oaep = EVP_sha256()}},
		{"OAEP with MD5: badAlg", BAD_ALG, .options = {.oaep = EVP_md5()}},
	};

	if (legacy == NULL || standard == NULL)
		drive_check(false, "OpenSSL's legacy provider can be loaded");
	else
		run_rows(w, rows, ARRAY_SIZE(rows));
}

/* ---- the same again, and at the same time ------------------------------------------------------------------------ */

static void
repetition(struct device_world *w)
{
	struct row first = {.what = "a request to be repeated", .fail_info = NONE};
	struct scepmsg_request request, other;
	struct device_answer answer[2], foreign;
	X509 *cert;

	prepare(w, &first, &request);
	device_post(w, &w->clients[0], &request, &answer[0]);
	device_post(w, &w->clients[0], &request, &answer[1]);
	cert = answer[0].is_reply ? answer[0].reply.issued : NULL;
	drive_check(cert != NULL && device_is(&answer[1], SUCCESS, NONE) && X509_cmp(cert, answer[1].reply.issued) == 0,
		    "the same request twice gets the same certificate");

	/* Another device makes up the same transactionID, with a challenge of its own. */
	first.options.transaction_id = request.transaction_id;
	first.client = &w->clients[1];
	prepare(w, &first, &other);
	device_post(w, &w->clients[1], &other, &foreign);
	drive_check(foreign.is_reply && (foreign.reply.pki_status == FAILURE ||
					 (cert != NULL && X509_cmp(cert, foreign.reply.issued) != 0)),
		    "the same transactionID with another key does not get that certificate");
	device_note(&foreign);
	device_answer_fini(&answer[0]);
	device_answer_fini(&answer[1]);
	device_answer_fini(&foreign);
	scepmsg_request_fini(&request);
	scepmsg_request_fini(&other);
}

/* Sends each request on a connection of its own, all before the first answer is read; clients take turns. */
static void
race(struct device_world *w, size_t clients, const struct scepmsg_request *requests, struct device_answer *ret_answers)
{
	struct drive lines[RACERS];
	struct drive_answer http;
	char head[300];
	size_t i;

	for (i = 0; i < RACERS; i++) {
		lines[i] = (struct drive){.address = w->http.address, .port = w->http.port, .fd = -1};
		snprintf(head, sizeof(head),
			 "POST " DEVICE_TARGET " HTTP/1.1\r\nHost: test\r\nContent-Length: %zu\r\n\r\n",
			 requests[i].der.len);
		if (drive_dial(&lines[i]) != 0 || drive_send(&lines[i], bytes_of_text(head)) != 0 ||
		    drive_send(&lines[i], (struct bytes){requests[i].der.data, requests[i].der.len - 1}) != 0)
			drive_check(false, "connection %zu of a race", i);
	}
	for (i = 0; i < RACERS; i++) {
		if (drive_send(&lines[i], (struct bytes){requests[i].der.data + requests[i].der.len - 1, 1}) != 0)
			drive_check(false, "connection %zu of a race", i);
	}
	for (i = 0; i < RACERS; i++) {
		drive_receive(&lines[i], &http);
		device_take(w, &w->clients[i % clients], &requests[i], &http, &ret_answers[i]);
		drive_close(&lines[i]);
	}
}

static void
race_for_challenge(struct device_world *w)
{
	struct scepmsg_request requests[RACERS];
	struct device_answer answers[RACERS];
	char challenge[CHALLENGE_SIZE];
	size_t i, won = 0, refused = 0;

	device_challenge(challenge, sizeof(challenge));
	for (i = 0; i < RACERS; i++) {
		struct row row = {"racing", NONE, .csr = {.challenge = challenge},
				  .client = &w->clients[i % DEVICE_CLIENTS]};

		prepare(w, &row, &requests[i]);
	}
	race(w, DEVICE_CLIENTS, requests, answers);
	for (i = 0; i < RACERS; i++) {
		won += device_is(&answers[i], SUCCESS, NONE);
		refused += device_is(&answers[i], FAILURE, BAD_REQUEST);
		device_answer_fini(&answers[i]);
		scepmsg_request_fini(&requests[i]);
	}
	drive_check_int(1, (long)won, "%d requests at once with one challenge: one certificate", RACERS);
	drive_check_int(RACERS - 1, (long)refused, "and badRequest for the others");
}

static void
race_of_repetitions(struct device_world *w)
{
	struct row row = {.what = "repeated at once", .fail_info = NONE};
	struct scepmsg_request request, requests[RACERS];
	struct device_answer answers[RACERS], again;
	size_t i, same = 0, later = 0;

	prepare(w, &row, &request);
	for (i = 0; i < RACERS; i++)
		requests[i] = request;
	race(w, 1, requests, answers);
	device_post(w, &w->clients[0], &request, &again);
	for (i = 0; i < RACERS; i++) {
		same += again.is_reply && device_is(&answers[i], SUCCESS, NONE) &&
			X509_cmp(answers[i].reply.issued, again.reply.issued) == 0;
		later += answers[i].http.status == 503;
		device_answer_fini(&answers[i]);
	}
	drive_check(device_is(&again, SUCCESS, NONE) && same > 0 && same + later == RACERS,
		    "one request %d times at once: the same certificate, or HTTP 503 while that is being made", RACERS);
	drive_note("%zu got it, %zu were told to come again", same, later);
	device_answer_fini(&again);
	scepmsg_request_fini(&request);
}

/* ---- what cannot be decrypted ------------------------------------------------------------------------------------ */

enum secret_kind {
	GARBAGE_CONTENT,   /* decrypts, but to no request */
	UNKNOWN_RECIPIENT, /* somebody else's certificate and key */
	RANDOM_KEY,        /* no padding where the content key was */
	HUGE_KEY,          /* more than the modulus */
	OTHER_KEY_SIZE,    /* a key for AES-128 where AES-256 is announced */
	RANDOM_CONTENT,
	WRONG_PADDING, /* the last block alone */
	KINDS,
};

static const char *const kind_names[KINDS] = {
	"garbage content",     "unknown recipient", "random key",    "huge key",
	"key of another size", "random content",    "wrong padding",
};

/* EnvelopedData in DER, of which the content is at the end. */
static struct bytes
envelope(struct bytes plain, X509 *recipient)
{
	STACK_OF(X509) *to = sk_X509_new_null();
	BIO *in = BIO_new_mem_buf(plain.data, (int)plain.len);
	unsigned char *der = NULL;
	struct bytes copy = {NULL, 0};
	CMS_ContentInfo *cms;
	int len;

	if (to != NULL && sk_X509_push(to, recipient) > 0) {
		cms = CMS_encrypt(to, in, EVP_aes_128_cbc(), CMS_BINARY);
		len = i2d_CMS_ContentInfo(cms, &der);
		if (len > 0)
			copy = bytes_dup((struct bytes){der, (size_t)len});
		OPENSSL_free(der);
		CMS_ContentInfo_free(cms);
	}
	sk_X509_free(to);
	BIO_free(in);
	return copy;
}

static void
envelope_break(struct bytes der, size_t content_len, enum secret_kind kind)
{
	static const uint8_t key_head[] = {0x04, 0x82, 0x01, 0x00};
	static const uint8_t aes128[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x02};
	uint8_t *data = (uint8_t *)der.data;
	uint8_t *key = memmem(data, der.len, key_head, sizeof(key_head));
	uint8_t *cipher = memmem(data, der.len, aes128, sizeof(aes128));

	if (key == NULL || cipher == NULL || content_len > der.len) {
		drive_check(false, "the envelope is as expected");
		return;
	}
	key += sizeof(key_head);
	if (kind == RANDOM_KEY && RAND_bytes(key + 1, 255) == 1)
		key[0] = 0;
	if (kind == HUGE_KEY)
		memset(key, 0xff, 256);
	if (kind == OTHER_KEY_SIZE)
		cipher[sizeof(aes128) - 1] = 0x2a;
	if (kind == RANDOM_CONTENT && RAND_bytes(data + der.len - content_len, (int)content_len) != 1)
		drive_check(false, "random octets");
	if (kind == WRONG_PADDING)
		data[der.len - 17] ^= 0xff;
}

static void
prepare_secret(struct device_world *w, enum secret_kind kind, struct scepmsg_request *ret_request)
{
	struct scepmsg_csr csr = {.subject = "CN=secret", .challenge = spare};
	struct bytes plain = scepmsg_csr_build(w->clients[0].key, &csr);
	struct scepmsg_options options = {.plain_content = true};
	struct bytes inner;

	if (kind == GARBAGE_CONTENT && RAND_bytes((uint8_t *)plain.data, (int)plain.len) == 1)
		((uint8_t *)plain.data)[0] = 'x';
	inner = envelope(plain, kind == UNKNOWN_RECIPIENT ? w->clients[0].cert : w->ra_decrypt);
	if (inner.len == 0) {
		drive_check(false, "%s: the message can be made", kind_names[kind]);
		exit(drive_finish());
	}
	envelope_break(inner, (plain.len / 16 + 1) * 16, kind);
	if (scepmsg_build(&w->clients[0], inner, &options, w->ra_decrypt, ret_request) != 0)
		exit(1);
	free((void *)plain.data);
	free((void *)inner.data);
}

static void
alike(struct device_world *w)
{
	struct device_answer first = {.is_reply = false}, answer;
	struct scepmsg_request request;
	int kind;
	bool same;

	for (kind = 0; kind < KINDS; kind++) {
		prepare_secret(w, (enum secret_kind)kind, &request);
		device_post(w, &w->clients[0], &request, &answer);
		scepmsg_request_fini(&request);
		if (!drive_check(device_is(&answer, FAILURE, BAD_MESSAGE_CHECK), "%s: badMessageCheck",
				 kind_names[kind]))
			device_note(&answer);
		if (kind == 0) {
			first = answer;
			first.http.body.data = NULL;
			continue;
		}
		/* ECDSA signatures differ in length. */
		same = first.is_reply && answer.is_reply && strcmp(first.reply.text, answer.reply.text) == 0 &&
		       first.reply.digest == answer.reply.digest &&
		       labs((long)first.http.body.len - (long)answer.http.body.len) <= 4;
		if (!drive_check(same, "%s: looks like garbage content from outside", kind_names[kind]))
			device_note(&answer);
		device_answer_fini(&answer);
	}
	device_answer_fini(&first);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a;
	double y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Medians of interleaved requests, for people: how noisy a machine is decides what they prove. */
static void
timing(struct device_world *w)
{
	static const enum secret_kind kinds[] = {GARBAGE_CONTENT, UNKNOWN_RECIPIENT, RANDOM_KEY, WRONG_PADDING};
	enum { POOL = 10 };
	static double ms[ARRAY_SIZE(kinds)][SAMPLES];
	struct scepmsg_request pool[ARRAY_SIZE(kinds)][POOL];
	struct drive_answer answer;
	double begin, low = 1e9, high = 0;
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		for (i = 0; i < POOL; i++)
			prepare_secret(w, kinds[k], &pool[k][i]);
	for (i = 0; i < SAMPLES; i++) {
		for (k = 0; k < ARRAY_SIZE(kinds); k++) {
			begin = drive_now_ms();
			drive_post(&w->http, DEVICE_TARGET, pool[k][i % POOL].der, &answer);
			ms[k][i] = drive_now_ms() - begin;
		}
	}
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		qsort(ms[k], SAMPLES, sizeof(double), compare);
		printf("information: %-18s median %.3f ms of %d\n", kind_names[kinds[k]], ms[k][SAMPLES / 2], SAMPLES);
		low = ms[k][SAMPLES / 2] < low ? ms[k][SAMPLES / 2] : low;
		high = ms[k][SAMPLES / 2] > high ? ms[k][SAMPLES / 2] : high;
		for (i = 0; i < POOL; i++)
			scepmsg_request_fini(&pool[k][i]);
	}
	printf("information: slowest median / fastest median = %.2f\n", high / low);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void
spare_is_good(struct device_world *w)
{
	const struct row row = {"no refused request has used up its challenge", NONE, .csr = {.challenge = spare}};

	run_row(w, &row);
}

int
main(int argc, char **argv)
{
	struct device_world w;

	if (argc != 4) {
		fputs("usage: scepdrive ADDRESS PORT SERIALS <CHALLENGES\n", stderr);
		return 2;
	}
	device_challenge(spare, sizeof(spare));
	if (device_world_init(argv[1], argv[2], argv[3], &w) != 0)
		return drive_finish();
	attributes(&w);
	nonces_and_ids(&w);
	not_a_csr(&w);
	challenges(&w);
	names(&w);
	keys(&w);
	run_dates(&w, "signer's certificate has ended: a certificate", -20L * 365 * 86400, -86400);
	run_dates(&w, "signer's certificate is not valid yet: a certificate", 86400, 2L * 86400);
	algorithms(&w);
	message_types(&w);
	truncations(&w);
	flipped_bits(&w);
	garbage(&w);
	nested(&w);
	repetition(&w);
	race_for_challenge(&w);
	alike(&w);
	timing(&w);
	race_of_repetitions(&w);
	spare_is_good(&w);
	device_world_fini(&w);
	return drive_finish();
}
