#include "net/policyjson.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "board/base/x509.h"

enum { PATH_PART = 64 };

CLEANUP(json_t, json_decref)

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void
put(struct buf *out, const char *json)
{
	buf_put_raw(out, json, strlen(json));
}

/* Names and values go out as they are built, so that nothing has to be copied; jansson only reads. */
static void
put_string(struct buf *out, struct bytes text)
{
	static const char digits[] = "0123456789abcdef";

	buf_put_u8(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '"' || c == '\\') {
			buf_put_u8(out, '\\');
			buf_put_u8(out, c);
		} else if (c >= 0x20 && c < 0x7f) {
			buf_put_u8(out, c);
		} else {
			/* As Latin-1: what comes here is ASCII, or an octet that a peer put where text belongs. */
			put(out, "\\u00");
			buf_put_u8(out, (uint8_t)digits[c >> 4]);
			buf_put_u8(out, (uint8_t)digits[c & 15]);
		}
	}
	buf_put_u8(out, '"');
}

/* A member behind others: the first one of an object follows its brace. */
static void
put_name(struct buf *out, const char *name)
{
	if (out->len > 0 && out->data[out->len - 1] != '{')
		buf_put_u8(out, ',');
	put_string(out, bytes_of_text(name));
	buf_put_u8(out, ':');
}

static void
put_text(struct buf *out, const char *name, const char *text)
{
	put_name(out, name);
	put_string(out, bytes_of_text(text));
}

static void
put_base64(struct buf *out, const char *name, struct bytes data)
{
	size_t size = (data.len + 2) / 3 * 4;
	uint8_t *room;

	put_name(out, name);
	buf_put_u8(out, '"');
	/* EVP_EncodeBlock() writes a NUL behind, which is taken back. */
	room = buf_put_room(out, size + 1);
	if (room != NULL) {
		EVP_EncodeBlock(room, data.data, (int)data.len);
		out->len--;
	}
	buf_put_u8(out, '"');
}

static void
put_number(struct buf *out, const char *name, int64_t number)
{
	put_name(out, name);
	buf_printf(out, "%lld", (long long)number);
}

static void
put_hex(struct buf *out, const char *name, struct bytes data)
{
	put_name(out, name);
	buf_put_u8(out, '"');
	for (size_t i = 0; i < data.len; i++)
		buf_printf(out, "%02X", data.data[i]);
	buf_put_u8(out, '"');
}

void
net_policyjson_put_verify(const struct msg_policy_verify *m, bool for_intune, struct buf *out)
{
	put(out, "{\"request\":{");
	put_text(out, "transactionId", m->transaction_id);
	put_base64(out, "certificateRequest", m->csr);
	put_text(out, "callerInfo", NET_POLICYJSON_CALLER);
	if (!for_intune) {
		put_text(out, "template", m->template_name);
		put_text(out, "profile", m->profile);
		put_text(out, "peer", m->peer);
		if (m->signer.len > 0)
			put_base64(out, "signerCertificate", m->signer);
	}
	put(out, "}}");
}

/* What the issued certificate says of itself, in the terms of Intune's successNotification. */
static void
put_certificate(struct buf *out, struct bytes der)
{
	uint8_t thumbprint[SHA_DIGEST_LENGTH];
	char text[256];
	struct x509 certificate;
	time_t end;
	struct tm tm;

	SHA1(der.data, der.len, thumbprint);
	put_hex(out, "certificateThumbprint", (struct bytes){thumbprint, sizeof(thumbprint)});
	if (x509_parse(der, &certificate, NULL) != 0)
		return;
	put_hex(out, "certificateSerialNumber", certificate.tbs.serial);
	end = (time_t)certificate.tbs.not_after;
	if (gmtime_r(&end, &tm) != NULL && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		put_text(out, "certificateExpirationDateUtc", text);
	x509_name_text(certificate.tbs.issuer, text, sizeof(text));
	put_text(out, "issuingCertificateAuthority", text);
}

void
net_policyjson_put_notify(const struct msg_policy_notify *m, bool for_intune, struct buf *out)
{
	static const char *const words[] = {[DISPOSITION_SUCCESS] = "Success",
					    [DISPOSITION_FAILURE] = "Failure",
					    [DISPOSITION_PENDING] = "Pending"};

	put(out, "{\"notification\":{");
	put_text(out, "transactionId", m->transaction_id);
	put_base64(out, "certificateRequest", m->csr);
	if (!for_intune && m->disposition < ARRAY_SIZE(words) && words[m->disposition] != NULL)
		put_text(out, "disposition", words[m->disposition]);
	if (m->disposition == DISPOSITION_SUCCESS) {
		put_certificate(out, m->certificate);
		if (for_intune) {
			put_text(out, "caConfiguration", "");
			put_text(out, "certificateAuthority", "");
		}
	} else {
		put_number(out, "hResult", m->hresult);
		put_text(out, "errorDescription", m->text);
	}
	put_text(out, "callerInfo", NET_POLICYJSON_CALLER);
	put(out, "}}");
}

void
net_policyjson_put_generate(const struct msg_policy_generate *m, struct buf *out)
{
	put(out, "{\"request\":{");
	put_text(out, "template", m->template_name);
	put_text(out, "params", m->params);
	put_text(out, "operator", m->operator);
	put_text(out, "callerInfo", NET_POLICYJSON_CALLER);
	put(out, "}}");
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* jansson goes 2,048 levels deep; nobody needs more than a few, and each costs stack. */
static bool
too_deep(struct bytes body)
{
	bool in_text = false;
	size_t depth = 0;

	for (size_t i = 0; i < body.len; i++) {
		uint8_t c = body.data[i];

		if (in_text && c == '\\')
			i++;
		else if (c == '"')
			in_text = !in_text;
		else if (!in_text && (c == '{' || c == '[') && ++depth > NET_POLICYJSON_DEPTH)
			return true;
		else if (!in_text && (c == '}' || c == ']') && depth > 0)
			depth--;
	}
	return false;
}

static int
load(struct bytes body, json_t **ret_root, struct err *e)
{
	json_error_t error;
	json_t *root;

	if (body.len > NET_POLICYJSON_MAX)
		return err_set(e, ERR_LIMIT, 0, "JSON of more than %d octets", NET_POLICYJSON_MAX);
	if (too_deep(body))
		return err_set(e, ERR_LIMIT, 0, "JSON of more than %d levels", NET_POLICYJSON_DEPTH);
	root = json_loadb((const char *)body.data, body.len, JSON_REJECT_DUPLICATES, &error);
	if (root == NULL)
		return err_set(e, ERR_FORMAT, 0, "not JSON: line %d, column %d", error.line, error.column);
	*ret_root = root;
	return 0;
}

static int
take_text(const json_t *value, const char *name, char *out, size_t size, struct err *e)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);

	if (text == NULL)
		return err_set(e, value == NULL ? ERR_UNKNOWN : ERR_FORMAT, 0, "%s: %s", name,
			       value == NULL ? "is missing" : "not a text");
	if (len >= size)
		return err_set(e, ERR_LIMIT, 0, "%s: more than %zu octets", name, size - 1);
	for (size_t i = 0; i < len; i++)
		if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
			return err_set(e, ERR_FORMAT, 0, "%s: a control character", name);
	memcpy(out, text, len + 1);
	return 0;
}

/* A text that may be missing or null: then out is "". */
static int
take_optional(const json_t *object, const char *name, char *out, size_t size, struct err *e)
{
	const json_t *value = json_object_get(object, name);

	out[0] = '\0';
	return value == NULL || json_is_null(value) ? 0 : take_text(value, name, out, size, e);
}

int
net_policyjson_get_result(struct bytes body, struct msg_policy_result *ret_result, struct buf *store, struct err *e)
{
	struct msg_policy_result result = {.code = 0};
	AUTO(json_t) root = NULL;
	char challenge[1024];
	int code = load(body, &root, e);

	if (code == 0 && !json_is_object(root))
		code = err_set(e, ERR_FORMAT, 0, "not an object");
	if (code == 0)
		code = take_text(json_object_get(root, "code"), "code", result.reason, sizeof(result.reason), e);
	if (code == 0)
		code = take_optional(root, "errorDescription", result.text, sizeof(result.text), e);
	if (code == 0)
		code = take_optional(root, "challenge", challenge, sizeof(challenge), e);
	if (code == 0) {
		buf_clear(store);
		put(store, challenge);
		code = buf_status(store);
	}
	if (code != 0)
		return code == ERR_UNKNOWN ? ERR_FORMAT : code;
	ret_result->challenge = buf_bytes(store);
	memcpy(ret_result->reason, result.reason, sizeof(result.reason));
	memcpy(ret_result->text, result.text, sizeof(result.text));
	return 0;
}

/* The member or list item that part names. */
static const json_t *
step(const json_t *at, const char *part)
{
	char *end;
	unsigned long index;

	if (json_is_object(at))
		return json_object_get(at, part);
	index = strtoul(part, &end, 10);
	return json_is_array(at) && *end == '\0' && end != part ? json_array_get(at, index) : NULL;
}

int
net_policyjson_get_text(struct bytes body, const char *path, char *out, size_t size, struct err *e)
{
	AUTO(json_t) root = NULL;
	const json_t *at;
	char part[PATH_PART];
	const char *next = path;
	int code = load(body, &root, e);

	if (code != 0)
		return code;
	for (at = root; at != NULL && *next != '\0'; at = step(at, part)) {
		size_t len = strcspn(next, ".");

		BUG_ON(len >= sizeof(part));
		memcpy(part, next, len);
		part[len] = '\0';
		next += len + (next[len] == '.');
	}
	return take_text(at, path, out, size, e);
}
