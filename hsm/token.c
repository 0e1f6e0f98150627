#include "hsm/token.h"

#include <string.h>

#include "hsm/call.h"

enum { SLOTS_MAX = 64 };

struct hsm_token {
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	struct hsm_token_name name;
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

/* Takes the percent escapes out of len characters at s (RFC 7512 2.3).  Fails with ERR_CONFIG. */
static int
unescape(const char *s, size_t len, char *out, size_t size)
{
	size_t n = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		int c = (unsigned char)s[i];

		if (c == '%') {
			if (i + 2 >= len || bytes_hex_digit(s[i + 1]) < 0 || bytes_hex_digit(s[i + 2]) < 0)
				return ERR_CONFIG;
			c = bytes_hex_digit(s[i + 1]) * 16 + bytes_hex_digit(s[i + 2]);
			i += 2;
		}
		if (c == 0 || n + 1 >= size)
			return ERR_CONFIG;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return 0;
}

/* One "name=value" of a URI. */
static int
take_attribute(const char *s, size_t len, struct hsm_token_name *name, struct err *e)
{
	const struct {
		const char *prefix;
		char *out;
		size_t size;
	} known[] = {
		{"token=", name->label, sizeof(name->label)},
		{"serial=", name->serial, sizeof(name->serial)},
		{"manufacturer=", name->manufacturer, sizeof(name->manufacturer)},
		{"model=", name->model, sizeof(name->model)},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++) {
		size_t prefix = strlen(known[i].prefix);

		if (len < prefix || memcmp(s, known[i].prefix, prefix) != 0)
			continue;
		if (known[i].out[0] != '\0' || unescape(s + prefix, len - prefix, known[i].out, known[i].size) != 0)
			return err_set(e, ERR_CONFIG, 0, "signer.token: %s is malformed, too long or there twice",
				       known[i].prefix);
		return 0;
	}
	return err_set(e, ERR_CONFIG, 0, "signer.token: only token, serial, manufacturer and model may be in the URI");
}

int
hsm_token_name_parse(const char *text, struct hsm_token_name *ret_name, struct err *e)
{
	struct hsm_token_name name = {0};
	const char *s = text;
	int code;

	if (strncmp(text, "pkcs11:", 7) != 0) {
		if (text[0] == '\0' || strlen(text) >= sizeof(name.label))
			return err_set(e, ERR_CONFIG, 0, "signer.token: a label has 1 to 32 characters");
		memcpy(name.label, text, strlen(text) + 1);
		*ret_name = name;
		return 0;
	}
	/* Everything behind a "?" would be a PIN or a module; neither has a place here. */
	if (strchr(text, '?') != NULL || strstr(text, "pin-") != NULL)
		return err_set(e, ERR_CONFIG, 0, "signer.token: the URI must hold neither a PIN nor a module");
	for (s += 7; *s != '\0'; s += *s == ';') {
		size_t len = strcspn(s, ";");

		code = take_attribute(s, len, &name, e);
		if (code != 0)
			return code;
		s += len;
	}
	if (name.label[0] == '\0' && name.serial[0] == '\0')
		return err_set(e, ERR_CONFIG, 0, "signer.token: the URI names neither token nor serial");
	*ret_name = name;
	return 0;
}

/* A blank-padded PKCS#11 text as a C string. */
static void
unpad(const CK_UTF8CHAR *s, size_t len, char *out)
{
	while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\0'))
		len--;
	memcpy(out, s, len);
	out[len] = '\0';
}

static void
name_of(const CK_TOKEN_INFO *info, struct hsm_token_name *ret_name)
{
	unpad(info->label, sizeof(info->label), ret_name->label);
	unpad(info->serialNumber, sizeof(info->serialNumber), ret_name->serial);
	unpad(info->manufacturerID, sizeof(info->manufacturerID), ret_name->manufacturer);
	unpad(info->model, sizeof(info->model), ret_name->model);
}

static bool
text_fits(const char *wanted, const char *is)
{
	return wanted[0] == '\0' || strcmp(wanted, is) == 0;
}

static bool
name_fits(const struct hsm_token_name *wanted, const struct hsm_token_name *is)
{
	return text_fits(wanted->label, is->label) && text_fits(wanted->serial, is->serial) &&
	       text_fits(wanted->manufacturer, is->manufacturer) && text_fits(wanted->model, is->model);
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

struct found {
	CK_SLOT_ID slot;
	CK_TOKEN_INFO info;
	unsigned count;
};

/* Tokens that fit (name not NULL), or tokens that were never initialised (name NULL): the first, and how many. */
static int
look(const struct hsm_token_name *name, struct found *ret_found, struct err *e)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;
	struct found found = {0};
	CK_ULONG i;
	int code = hsm_call_slots(slots, &count, e);

	if (code != 0)
		return code;
	for (i = 0; i < count; i++) {
		struct hsm_token_name is;
		CK_TOKEN_INFO info;
		bool fits;

		if (hsm_call_token_info(slots[i], &info, NULL) != 0)
			continue;
		name_of(&info, &is);
		fits = (info.flags & CKF_TOKEN_INITIALIZED) != 0 ? name != NULL && name_fits(name, &is) : name == NULL;
		if (fits && found.count++ == 0) {
			found.slot = slots[i];
			found.info = info;
		}
	}
	*ret_found = found;
	return 0;
}

/* Between initialising a token and giving it the user PIN the ceremony may have ended. */
static bool
has_user_pin(const struct found *found)
{
	return (found->info.flags & CKF_USER_PIN_INITIALIZED) != 0;
}

/* A PIN attempt that could lock the token is the operator's to make, not ours. */
static int
check_pin_flags(const CK_TOKEN_INFO *info, struct err *e)
{
	if ((info->flags & CKF_USER_PIN_LOCKED) != 0)
		return err_set(e, ERR_PIN, 0, "the token's user PIN is locked; no login was tried");
	if ((info->flags & CKF_USER_PIN_FINAL_TRY) != 0)
		return err_set(e, ERR_PIN, 0, "one more wrong PIN would lock the token; no login was tried");
	return 0;
}

/*
 * Is there room for a session beside ours?  libp11 waits without end when it gets none (facts, hsm.md 2), and shares
 * one among all workers when there are no more.
 */
static int
check_sessions(CK_SLOT_ID slot, struct err *e)
{
	CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
	struct err reason = {0};
	int code = hsm_call_open_session(slot, false, &session, &reason);

	if (code == 0)
		return hsm_call_close_session(session, e);
	return err_set(e, code, reason.detail, "the token gives one session, and no second one: %s", reason.text);
}

/* Opens the session that stays, and logs in. */
static int
log_in(CK_SLOT_ID slot, struct bytes pin, bool writable, CK_SESSION_HANDLE *ret_session, struct err *e)
{
	CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
	int code = hsm_call_open_session(slot, writable, &session, e);

	if (code == 0)
		code = check_sessions(slot, e);
	if (code == 0)
		code = hsm_call_login(session, CKU_USER, pin, e);
	if (code == 0)
		*ret_session = session;
	return code;
}

int
hsm_token_open(const struct hsm_token_name *name, struct bytes pin, bool writable, struct hsm_token **ret_token,
	       struct err *e)
{
	CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
	struct hsm_token *token;
	struct found found;
	int code = look(name, &found, e);

	if (code != 0)
		return code;
	if (found.count == 0)
		return err_set(e, ERR_UNKNOWN, 0, "no token fits signer.token (label '%s')", name->label);
	if (found.count > 1)
		return err_set(e, ERR_EXISTS, 0, "%u tokens fit signer.token; name the serial too", found.count);
	if (!has_user_pin(&found))
		return err_set(e, ERR_UNKNOWN, 0,
			       "the token '%s' has no user PIN: its ceremony was interrupted and must be run again",
			       name->label);
	code = check_pin_flags(&found.info, e);
	if (code == 0)
		code = log_in(found.slot, pin, writable, &session, e);
	if (code != 0)
		return code;
	token = calloc(1, sizeof(*token));
	if (token == NULL)
		return err_set(e, ERR_NOMEM, 0, "token");
	token->slot = found.slot;
	token->session = session;
	name_of(&found.info, &token->name);
	*ret_token = token;
	return 0;
}

/* ---- a new token ------------------------------------------------------------------------------------------------- */

/* The security officer sets the user's PIN, in a session that stays open and becomes nobody's again. */
static int
set_user_pin(CK_SLOT_ID slot, struct bytes so_pin, struct bytes pin, struct err *e)
{
	CK_SESSION_HANDLE session;
	int code = hsm_call_open_session(slot, true, &session, e);

	if (code == 0)
		code = hsm_call_login(session, CKU_SO, so_pin, e);
	if (code == 0)
		code = hsm_call_init_pin(session, pin, e);
	if (code == 0)
		code = hsm_call_logout(session, e);
	return code;
}

/* Initialises a free token, and finds it again. */
static int
make_token(const struct hsm_token_name *name, struct bytes so_pin, struct found *found, struct err *e)
{
	int code = look(NULL, found, e);

	if (code != 0)
		return code;
	if (found->count == 0)
		return err_set(e, ERR_UNKNOWN, 0, "no slot has a free token");
	code = hsm_call_init_token(found->slot, so_pin, name->label, e);
	/* The token may have moved to another slot by that: SoftHSM derives the slot number from the new serial. */
	if (code == 0)
		code = look(name, found, e);
	if (code == 0 && found->count != 1)
		code = err_set(e, ERR_TOKEN, 0, "the new token is not there");
	return code;
}

int
hsm_token_init(const char *label, struct bytes so_pin, struct bytes pin, struct hsm_token **ret_token, struct err *e)
{
	struct hsm_token_name name = {0};
	struct found found;
	int code;

	if (label[0] == '\0' || strlen(label) >= sizeof(name.label))
		return err_set(e, ERR_CONFIG, 0, "a token's label has 1 to 32 characters");
	memcpy(name.label, label, strlen(label) + 1);
	code = look(&name, &found, e);
	if (code != 0)
		return code;
	if (found.count > 1 || (found.count == 1 && has_user_pin(&found)))
		return err_set(e, ERR_EXISTS, 0, "a token with the label '%s' exists", label);
	if (found.count == 0)
		code = make_token(&name, so_pin, &found, e);
	if (code == 0)
		code = set_user_pin(found.slot, so_pin, pin, e);
	if (code != 0)
		return code;
	return hsm_token_open(&name, pin, true, ret_token, e);
}

/* ---- use --------------------------------------------------------------------------------------------------------- */

void
hsm_token_free(struct hsm_token *token)
{
	free(token);
}

int
hsm_token_probe(const struct hsm_token *token, struct err *e)
{
	return hsm_call_session_usable(token->session, e);
}

const struct hsm_token_name *
hsm_token_name(const struct hsm_token *token)
{
	return &token->name;
}

unsigned long
hsm_token_session(const struct hsm_token *token)
{
	return token->session;
}

unsigned long
hsm_token_slot(const struct hsm_token *token)
{
	return token->slot;
}
