#include "net/policyjson.h"

#include <jansson.h>
#include <openssl/rand.h>
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

/* ISO 8601 in UTC */
static void
put_time(struct buf *out, const char *name, int64_t when)
{
	time_t at = (time_t)when;
	char text[32];
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		put_text(out, name, text);
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

	SHA1(der.data, der.len, thumbprint);
	put_hex(out, "certificateThumbprint", (struct bytes){thumbprint, sizeof(thumbprint)});
	if (x509_parse(der, &certificate, NULL) != 0)
		return;
	put_hex(out, "certificateSerialNumber", certificate.tbs.serial);
	put_time(out, "certificateExpirationDateUtc", certificate.tbs.not_after);
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

void
net_policyjson_put_answer(const struct msg_registration_answer *m, struct buf *out)
{
	put(out, "{");
	put_text(out, "code", m->reason);
	put_text(out, "errorDescription", m->text);
	if (m->challenge.len > 0) {
		put_name(out, "challenge");
		put_string(out, m->challenge);
		put_time(out, "expires", m->expires);
	}
	put(out, "}");
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

/* ---- requests ---------------------------------------------------------------------------------------------------- */

/* What base64 stands for, at the end of store.  *ret_bytes is an offset until settle(). */
static int
take_base64(const json_t *object, const char *name, bool wanted, struct buf *store, struct bytes *ret_bytes,
	    struct err *e)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	size_t start = store->len;
	uint8_t *room;
	int size;

	if (value == NULL && !wanted)
		return 0;
	if (text == NULL || len == 0 || len % 4 != 0)
		return err_set(e, ERR_FORMAT, 0, "%s: %s", name, value == NULL ? "is missing" : "not base64");
	room = buf_put_room(store, len / 4 * 3);
	if (room == NULL)
		return err_set(e, buf_status(store), 0, "%s", name);
	size = EVP_DecodeBlock(room, (const unsigned char *)text, (int)len);
	if (size < 0)
		return err_set(e, ERR_FORMAT, 0, "%s: not base64", name);
	/* EVP_DecodeBlock() counts the padding as octets. */
	size -= (text[len - 1] == '=') + (text[len - 2] == '=');
	store->len = start + (size_t)size;
	*ret_bytes = (struct bytes){(const uint8_t *)start, (size_t)size};
	return 0;
}

static int
take_hex(const json_t *object, const char *name, struct buf *store, struct bytes *ret_bytes, struct err *e)
{
	const json_t *value = json_object_get(object, name);
	const char *text = json_string_value(value);
	size_t len = json_string_length(value);
	size_t start = store->len;

	if (value == NULL)
		return 0;
	if (text == NULL || len % 2 != 0)
		return err_set(e, ERR_FORMAT, 0, "%s: not hexadecimal", name);
	for (size_t i = 0; i < len; i += 2) {
		int high = bytes_hex_digit(text[i]);
		int low = bytes_hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return err_set(e, ERR_FORMAT, 0, "%s: not hexadecimal", name);
		buf_put_u8(store, (uint8_t)(high << 4 | low));
	}
	*ret_bytes = (struct bytes){(const uint8_t *)start, len / 2};
	return buf_status(store);
}

static int
take_number(const json_t *object, const char *name, int64_t *ret_number, struct err *e)
{
	const json_t *value = json_object_get(object, name);

	if (value == NULL || json_is_null(value))
		return 0;
	if (!json_is_integer(value))
		return err_set(e, ERR_FORMAT, 0, "%s: not a whole number", name);
	*ret_number = json_integer_value(value);
	return 0;
}

static int
take_disposition(const json_t *object, uint8_t *ret_disposition, struct err *e)
{
	char word[16];
	int code = take_text(json_object_get(object, "disposition"), "disposition", word, sizeof(word), e);

	if (code != 0)
		return code;
	if (strcmp(word, "Success") == 0)
		*ret_disposition = DISPOSITION_SUCCESS;
	else if (strcmp(word, "Failure") == 0)
		*ret_disposition = DISPOSITION_FAILURE;
	else if (strcmp(word, "Pending") == 0)
		*ret_disposition = DISPOSITION_PENDING;
	else
		return err_set(e, ERR_FORMAT, 0, "disposition: Success, Failure or Pending");
	return 0;
}

/* An object of texts as "name=value". */
static int
take_variables(const json_t *object, struct buf *store, struct msg_list *list, struct err *e)
{
	json_t *variables = json_object_get(object, "variables");
	const char *name;
	json_t *value;

	if (variables == NULL || json_is_null(variables))
		return 0;
	if (!json_is_object(variables))
		return err_set(e, ERR_FORMAT, 0, "variables: not an object");
	json_object_foreach(variables, name, value)
	{
		size_t start = store->len;
		char text[256];
		int code = take_text(value, "variables", text, sizeof(text), e);

		if (code != 0)
			return code;
		if (list->count == MSG_LIST_MAX)
			return err_set(e, ERR_LIMIT, 0, "variables: more than %d", MSG_LIST_MAX);
		put(store, name);
		put(store, "=");
		put(store, text);
		list->item[list->count++] = (struct bytes){(const uint8_t *)start, store->len - start};
	}
	return buf_status(store);
}

static int
take_verify(const json_t *object, struct msg_registration *m, struct buf *store, struct err *e)
{
	int code = take_text(json_object_get(object, "transactionId"), "transactionId", m->transaction_id,
			     sizeof(m->transaction_id), e);

	if (code == 0)
		code = take_base64(object, "certificateRequest", true, store, &m->csr, e);
	if (code == 0)
		code = take_base64(object, "signerCertificate", false, store, &m->signer, e);
	if (code == 0)
		code = take_optional(object, "template", m->template_name, sizeof(m->template_name), e);
	if (code == 0)
		code = take_optional(object, "profile", m->profile, sizeof(m->profile), e);
	return code != 0 ? code : take_optional(object, "peer", m->device_address, sizeof(m->device_address), e);
}

static int
take_notify(const json_t *object, struct msg_registration *m, struct buf *store, struct err *e)
{
	int code = take_text(json_object_get(object, "transactionId"), "transactionId", m->transaction_id,
			     sizeof(m->transaction_id), e);

	if (code == 0)
		code = take_disposition(object, &m->disposition, e);
	if (code == 0)
		code = take_base64(object, "certificateRequest", true, store, &m->csr, e);
	if (code == 0)
		code = take_hex(object, "certificateSerialNumber", store, &m->serial, e);
	if (code == 0)
		code = take_number(object, "hResult", &m->hresult, e);
	return code != 0 ? code : take_optional(object, "errorDescription", m->text, sizeof(m->text), e);
}

static int
take_generate(const json_t *object, struct msg_registration *m, struct buf *store, struct err *e)
{
	int code = take_text(json_object_get(object, "profile"), "profile", m->profile, sizeof(m->profile), e);

	if (code == 0)
		code = take_optional(object, "deviceId", m->device, sizeof(m->device), e);
	if (code == 0)
		code = take_optional(object, "userId", m->user, sizeof(m->user), e);
	return code != 0 ? code : take_variables(object, store, &m->variables, e);
}

/* Offsets become pointers, now that the buffer does not move any more. */
static void
settle(const struct buf *store, struct bytes *what)
{
	what->data = what->len > 0 ? store->data + (size_t)what->data : NULL;
}

/* Else jansson seeds its tables from a file, at the first object, which the front's sandbox does not let it open. */
static void
seed_tables(void)
{
	size_t seed = 0;

	if (RAND_bytes((unsigned char *)&seed, sizeof(seed)) == 1)
		json_object_seed(seed | 1);
}

int
net_policyjson_get_request(struct bytes body, int action, struct msg_registration *m, struct buf *store, struct err *e)
{
	AUTO(json_t) root = NULL;
	const char *name = action == REGISTRATION_NOTIFY ? "notification" : "request";
	const json_t *object;
	int code;

	seed_tables();
	code = load(body, &root, e);
	if (code != 0)
		return code;
	object = json_object_get(root, name);
	if (!json_is_object(object))
		return err_set(e, ERR_FORMAT, 0, "%s: %s", name, object == NULL ? "is missing" : "not an object");
	if (action == REGISTRATION_VERIFY)
		code = take_verify(object, m, store, e);
	else if (action == REGISTRATION_NOTIFY)
		code = take_notify(object, m, store, e);
	else
		code = take_generate(object, m, store, e);
	if (code != 0)
		return code == ERR_UNKNOWN ? ERR_FORMAT : code;
	settle(store, &m->csr);
	settle(store, &m->signer);
	settle(store, &m->serial);
	for (size_t i = 0; i < m->variables.count; i++)
		settle(store, &m->variables.item[i]);
	return 0;
}
