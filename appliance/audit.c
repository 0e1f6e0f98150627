#include "appliance/audit.h"

#include <string.h>

#include <openssl/evp.h>

#include "board/base/clock.h"

/* Texts of a record are shorter than this all together. */
enum { RECORD_MAX = 16384 };

struct app_audit_chain {
	EVP_MD *digest;
	EVP_MD_CTX *context;
	struct buf bytes;
};

static const char *const event_names[] = {
	[APP_AUDIT_STORE_OPENED] = "store-opened",
	[APP_AUDIT_INTENT] = "intent",
	[APP_AUDIT_ISSUE] = "issue",
	[APP_AUDIT_ABANDON] = "abandon",
	[APP_AUDIT_REFUSE] = "refuse",
	[APP_AUDIT_CHALLENGE_CREATED] = "challenge-created",
	[APP_AUDIT_REVOKE] = "revoke",
	[APP_AUDIT_CRL] = "crl",
	[APP_AUDIT_INTENT_UNRESOLVED] = "intent-unresolved",
	[APP_AUDIT_CA_IMPORTED] = "ca-imported",
	[APP_AUDIT_REQUEST_HELD] = "request-held",
	[APP_AUDIT_REQUEST_APPROVED] = "request-approved",
	[APP_AUDIT_REQUEST_DENIED] = "request-denied",
	[APP_AUDIT_ACCOUNT_ADDED] = "account-added",
	[APP_AUDIT_ACCOUNT_REMOVED] = "account-removed",
	[APP_AUDIT_ACCOUNT_PASSWORD] = "account-password",
	[APP_AUDIT_ACCOUNT_CHANGED] = "account-changed",
	[APP_AUDIT_ACCOUNT_LOCKED] = "account-locked",
	[APP_AUDIT_RELEASE] = "release",
	[APP_AUDIT_CA_PREPARED] = "ca-prepared",
	[APP_AUDIT_ROLLOVER_PLANNED] = "ca-rollover-planned",
	[APP_AUDIT_ROLLOVER_CANCELLED] = "ca-rollover-cancelled",
	[APP_AUDIT_ROLLOVER] = "ca-rollover",
	[APP_AUDIT_CHALLENGE_REVOKED] = "challenge-revoked",
	[APP_AUDIT_TEMPLATE_IMPORTED] = "template-imported",
	[APP_AUDIT_TEMPLATE_REMOVED] = "template-removed",
	[APP_AUDIT_TEMPLATE_PERMISSIONS] = "template-permissions",
	[APP_AUDIT_POLICY_INSTALLED] = "policy-module-installed",
	[APP_AUDIT_POLICY_REMOVED] = "policy-module-removed",
	[APP_AUDIT_POLICY_CERTIFICATE] = "policy-certificate",
	[APP_AUDIT_CERTPROFILE_IMPORTED] = "certificate-profile-imported",
	[APP_AUDIT_CERTPROFILE_REMOVED] = "certificate-profile-removed",
	[APP_AUDIT_REGISTRATION_VERIFIED] = "registration-verified",
	[APP_AUDIT_REGISTRATION_REFUSED] = "registration-refused",
	[APP_AUDIT_REGISTRATION_ISSUED] = "registration-issued",
	[APP_AUDIT_REGISTRATION_FAILED] = "registration-failed",
	[APP_AUDIT_POINT_INSTALLED] = "registration-point-installed",
	[APP_AUDIT_POINT_REMOVED] = "registration-point-removed",
	[APP_AUDIT_POINT_TRUSTS] = "registration-point-trusts",
	[APP_AUDIT_POINT_DISTRUSTS] = "registration-point-distrusts",
};

int
app_audit_chain_new(struct app_audit_chain **ret_chain, struct err *e)
{
	AUTO_STRUCT(app_audit_chain) chain = calloc(1, sizeof(*chain));

	if (chain == NULL)
		return err_set(e, ERR_NOMEM, 0, "audit chain");
	buf_init(&chain->bytes, RECORD_MAX);
	/* Fetched once: looking the digest up for each record costs more than the digest. */
	chain->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	chain->context = EVP_MD_CTX_new();
	if (chain->digest == NULL || chain->context == NULL)
		return err_set_ossl(e, ERR_CRYPTO, "audit chain");
	*ret_chain = TAKE(chain);
	return 0;
}

void
app_audit_chain_free(struct app_audit_chain *chain)
{
	if (chain == NULL)
		return;
	EVP_MD_CTX_free(chain->context);
	EVP_MD_free(chain->digest);
	buf_fini(&chain->bytes);
	free(chain);
}

int
app_audit_chain_next(struct app_audit_chain *chain, const uint8_t before[APP_AUDIT_HASH_SIZE],
		     const struct app_audit_record *record, uint8_t ret_hash[APP_AUDIT_HASH_SIZE], struct err *e)
{
	struct buf *b = &chain->bytes;
	int code;

	buf_clear(b);
	buf_put_raw(b, before, APP_AUDIT_HASH_SIZE);
	buf_put_u64(b, (uint64_t)record->seq);
	buf_put_u64(b, (uint64_t)record->time);
	buf_put_text(b, record->event);
	buf_put_text(b, record->actor);
	buf_put_bytes(b, record->serial);
	buf_put_text(b, record->subject);
	buf_put_text(b, record->detail);
	code = buf_status(b);
	if (code < 0)
		return err_set(e, code, 0, "audit record");
	if (EVP_DigestInit_ex(chain->context, chain->digest, NULL) != 1 ||
	    EVP_DigestUpdate(chain->context, b->data, b->len) != 1 ||
	    EVP_DigestFinal_ex(chain->context, ret_hash, NULL) != 1)
		return err_set_ossl(e, ERR_CRYPTO, "audit record");
	return 0;
}

const char *
app_audit_event_name(enum app_audit_event event)
{
	BUG_ON((size_t)event >= ARRAY_SIZE(event_names));
	return event_names[event];
}

/* Printable ASCII as it is, so that no value can look like another field or another line. */
static void
put_quoted(struct buf *out, const char *s)
{
	static const char digits[] = "0123456789abcdef";
	char one[4];

	buf_put_u8(out, '"');
	for (; *s != '\0'; s++) {
		uint8_t c = (uint8_t)*s;

		one[0] = '\\';
		one[1] = 'x';
		one[2] = digits[c >> 4];
		one[3] = digits[c & 15];
		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
			buf_put_raw(out, one, sizeof(one));
		else
			buf_put_u8(out, c);
	}
	buf_put_u8(out, '"');
}

/* What the store wrote itself is printable; what somebody put into the file may not be. */
static void
put_plain(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		buf_put_u8(out, *s < 0x20 || *s > 0x7e ? '?' : (uint8_t)*s);
}

static void
put_key(struct buf *detail, const char *key)
{
	if (detail->len > 0)
		buf_put_u8(detail, ' ');
	buf_put_raw(detail, key, strlen(key));
	buf_put_u8(detail, '=');
}

void
app_audit_put_text(struct buf *detail, const char *key, const char *value)
{
	if (value[0] == '\0')
		return;
	put_key(detail, key);
	put_quoted(detail, value);
}

void
app_audit_put_bytes(struct buf *detail, const char *key, struct bytes value)
{
	char hex[2 * APP_AUDIT_HASH_SIZE + 1];

	if (value.len == 0)
		return;
	put_key(detail, key);
	bytes_hex(value, hex, sizeof(hex));
	buf_put_raw(detail, hex, strlen(hex));
}

void
app_audit_line(struct buf *out, const struct app_audit_record *record, struct bytes hash)
{
	char when[32];
	AUTO_BUF line;

	buf_init(&line, RECORD_MAX);
	buf_printf(&line, "seq=%lld time=%s event=", (long long)record->seq,
		   clock_text(record->time, when, sizeof(when)));
	put_plain(&line, record->event);
	app_audit_put_text(&line, "actor", record->actor);
	app_audit_put_bytes(&line, "serial", record->serial);
	app_audit_put_text(&line, "subject", record->subject);
	if (record->detail[0] != '\0')
		buf_put_u8(&line, ' ');
	put_plain(&line, record->detail);
	app_audit_put_bytes(&line, "hash", hash);
	buf_put_u8(&line, '\n');
	if (buf_status(&line) == 0)
		buf_put_raw(out, line.data, line.len);
}
