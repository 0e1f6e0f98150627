#include "appliance/store_registration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/store_change.h"
#include "board/base/x509.h"

/* Columns of TERMS in store_sql.def, and the first one behind them. */
enum {
	AT_PROFILE,
	AT_DEVICE,
	AT_USER,
	AT_TEMPLATE,
	AT_SUBJECT,
	AT_SAN,
	AT_KEY_USAGE,
	AT_PURPOSES,
	AT_KEY_SIZES,
	AT_HASHES,
	AT_VALIDITY,
	AT_REST,
};

const char *
app_registration_state_name(int state)
{
	switch (state) {
	case APP_REGISTRATION_STATE_ISSUED:
		return "issued";
	case APP_REGISTRATION_STATE_PENDING:
		return "pending";
	case APP_REGISTRATION_STATE_ERROR:
		return "error";
	case APP_REGISTRATION_STATE_DENIED:
		return "denied";
	default:
		return "unknown";
	}
}

void
app_registration_record_fini(struct app_registration_record *record)
{
	app_terms_fini(&record->terms);
}

bool
app_registration_record_serial(struct app_registration_record *record, struct bytes serial)
{
	while (serial.len > 0 && serial.data[0] == 0) {
		serial.data++;
		serial.len--;
	}
	if (serial.len == 0 || serial.len > sizeof(record->serial))
		return false;
	memcpy(record->serial, serial.data, serial.len);
	record->serial_len = serial.len;
	return true;
}

static struct bytes
serial_of(const struct app_registration_record *record)
{
	return (struct bytes){record->serial_len > 0 ? record->serial : NULL, record->serial_len};
}

/* ---- certificate profiles ---------------------------------------------------------------------------------------- */

static int
count_others(struct app_store_writer *w, const char *name, int64_t *ret_count, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CERTPROFILE_COUNT);
	int code;

	app_store_query_text(&q, name);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	*ret_count = app_store_query_get_int(&q, 0);
	return 0;
}

static int
put_profile(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	const char *name = r->registration->terms.profile;
	struct app_store_query q;
	uint8_t hash[APP_HASH_SIZE];
	int64_t count = 0;
	int code = count_others(w, name, &count, e);

	if (code < 0)
		return code;
	if (count >= APP_CERTPROFILES_MAX)
		return err_set(e, ERR_LIMIT, 0, "there are %d certificate profiles already", APP_CERTPROFILES_MAX);
	q = app_store_query(w->db, APP_STMT_CERTPROFILE_PUT);
	app_store_query_text(&q, name);
	app_store_query_text(&q, (const char *)r->der.data);
	app_store_query_int(&q, app_store_change_now(r));
	app_store_query_text(&q, r->actor);
	code = app_store_query_run(&q, e);
	if (code < 0)
		return code;
	x509_sha256(r->der, hash);
	app_audit_put_text(&w->detail, "profile", name);
	app_audit_put_bytes(&w->detail, "sha256", (struct bytes){hash, sizeof(hash)});
	return app_store_change_audit(w, r, APP_AUDIT_CERTPROFILE_IMPORTED, (struct bytes){NULL, 0}, "", e);
}

static int
remove_profile(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_CERTPROFILE_REMOVE);
	const char *name = r->registration->terms.profile;
	int code;

	app_store_query_text(&q, name);
	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "there is no certificate profile \"%.60s\"", name);
	app_store_query_end(&q);
	app_audit_put_text(&w->detail, "profile", name);
	return app_store_change_audit(w, r, APP_AUDIT_CERTPROFILE_REMOVED, (struct bytes){NULL, 0}, "", e);
}

static int
read_profiles(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_CERTPROFILES);
	int code;

	buf_init(&r->out, (APP_CERTPROFILES_MAX + 1) * APP_TEMPLATE_FILE_MAX);
	app_store_query_text(&q, r->registration->terms.profile);
	app_store_query_int(&q, APP_CERTPROFILES_MAX);
	for (code = app_store_query_step(&q, e); code == 1; code = app_store_query_step(&q, e)) {
		buf_put_raw(&r->out, app_store_query_get_text(&q, 0), strlen(app_store_query_get_text(&q, 0)));
		buf_put_u8(&r->out, '\0');
	}
	if (code == 0 && r->out.len == 0 && r->registration->terms.profile[0] != '\0')
		code = err_set(e, ERR_UNKNOWN, 0, "there is no such certificate profile");
	return code == 0 ? buf_status(&r->out) : code;
}

/* ---- terms ------------------------------------------------------------------------------------------------------- */

static int
copy(struct bytes from, struct bytes *ret_to, struct err *e)
{
	struct bytes fresh = {NULL, 0};

	if (from.len > 0) {
		fresh = bytes_dup(from);
		if (fresh.data == NULL)
			return err_set(e, ERR_NOMEM, 0, "reading what a challenge is for");
	}
	*ret_to = fresh;
	return 0;
}

/* The TERMS of the current row. */
static int
read_terms(struct app_store_query *q, struct app_terms *terms, struct err *e)
{
	struct bytes purposes = app_store_query_get_blob(q, AT_PURPOSES);
	int code;

	app_terms_fini(terms);
	snprintf(terms->profile, sizeof(terms->profile), "%s", app_store_query_get_text(q, AT_PROFILE));
	snprintf(terms->device, sizeof(terms->device), "%s", app_store_query_get_text(q, AT_DEVICE));
	snprintf(terms->user, sizeof(terms->user), "%s", app_store_query_get_text(q, AT_USER));
	snprintf(terms->template_name, sizeof(terms->template_name), "%s", app_store_query_get_text(q, AT_TEMPLATE));
	terms->key_usage = (unsigned)app_store_query_get_int(q, AT_KEY_USAGE);
	terms->key_sizes = (unsigned)app_store_query_get_int(q, AT_KEY_SIZES);
	terms->hashes = (unsigned)app_store_query_get_int(q, AT_HASHES);
	terms->validity_days = (int)app_store_query_get_int(q, AT_VALIDITY);
	if (purposes.len > sizeof(terms->purposes.der))
		return err_set(e, ERR_STORE, 0, "the purposes of a challenge in the store are too long");
	if (purposes.len > 0)
		memcpy(terms->purposes.der, purposes.data, purposes.len);
	terms->purposes.len = purposes.len;
	code = copy(app_store_query_get_blob(q, AT_SUBJECT), &terms->subject, e);
	return code < 0 ? code : copy(app_store_query_get_blob(q, AT_SAN), &terms->san, e);
}

/* Without octets it is no NULL, which would mean something else. */
static struct bytes
purposes_of(const struct app_terms *terms)
{
	return (struct bytes){terms->purposes.der, terms->purposes.len};
}

int
app_store_change_terms(struct app_store_writer *w, const struct app_store_request *r, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_CHALLENGE_TERMS);
	const struct app_terms *terms = &r->registration->terms;

	app_audit_put_text(&w->detail, "for_profile", terms->profile);
	app_audit_put_text(&w->detail, "for_device", terms->device);
	app_audit_put_text(&w->detail, "for_user", terms->user);
	app_store_query_blob(&q, (struct bytes){r->challenge_hash, sizeof(r->challenge_hash)});
	app_store_query_text(&q, terms->profile);
	app_store_query_text(&q, terms->device);
	app_store_query_text(&q, terms->user);
	app_store_query_blob(&q, purposes_of(terms));
	app_store_query_int(&q, terms->key_sizes);
	app_store_query_int(&q, terms->hashes);
	app_store_query_int(&q, terms->validity_days);
	return app_store_query_run(&q, e);
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

static void
read_certificate(struct app_store_query *q, int column, struct app_registration_record *record)
{
	struct bytes hash = app_store_query_get_blob(q, column + 1);

	record->serial_len = 0;
	(void)app_registration_record_serial(record, app_store_query_get_blob(q, column));
	record->has_certificate = hash.len == sizeof(record->certificate);
	if (record->has_certificate)
		memcpy(record->certificate, hash.data, hash.len);
}

/* What is known of this transaction and key; nothing is fine. */
static int
find_own(struct app_store_db *db, struct app_store_request *r, struct bytes transaction, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_REGISTRATION_GET);
	int code;

	app_store_query_blob(&q, transaction);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	r->registration->state = APP_REGISTRATION_STATE_NONE;
	if (code == 1) {
		r->registration->state = (int)app_store_query_get_int(&q, 0);
		read_certificate(&q, 1, r->registration);
	}
	return 0;
}

static int
find_challenge(struct app_store_db *db, struct app_store_request *r, struct bytes transaction, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_REGISTRATION_CHALLENGE);
	struct app_registration_record *record = r->registration;
	struct bytes hash = {r->challenge_hash, sizeof(r->challenge_hash)};
	int code;

	app_store_query_blob(&q, hash);
	app_store_query_blob(&q, transaction);
	code = app_store_query_step(&q, e);
	if (code < 0)
		return code;
	if (code == 0 || !bytes_equal(app_store_query_get_blob(&q, AT_REST), hash))
		return err_set(e, ERR_UNKNOWN, 0, "no such challenge");
	if (app_store_query_get_text(&q, AT_PROFILE)[0] == '\0')
		return err_set(e, ERR_STAGE, 0, "not a challenge of a certificate profile");
	code = read_terms(&q, &record->terms, e);
	record->created = app_store_query_get_int(&q, AT_REST + 1);
	record->expires = app_store_query_get_int(&q, AT_REST + 2);
	record->used = app_store_query_get_int(&q, AT_REST + 3);
	record->revoked = record->used != 0 && app_store_query_get_blob(&q, AT_REST + 4).len == 0;
	record->is_there = app_store_query_get_int(&q, AT_REST + 5) != 0;
	record->open = app_store_query_get_int(&q, AT_REST + 6);
	return code < 0 ? code : find_own(db, r, transaction, e);
}

/* The request that the certificate came from which a renewal is signed with. */
static int
find_certificate(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	AUTO_QUERY q = app_store_query(db, APP_STMT_REGISTRATION_OF_SERIAL);
	struct app_registration_record *record = r->registration;
	int code;

	app_store_query_blob(&q, serial_of(record));
	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "no request has a certificate with this serial");
	code = read_terms(&q, &record->terms, e);
	record->state = (int)app_store_query_get_int(&q, AT_REST);
	read_certificate(&q, AT_REST + 1, record);
	record->is_there = app_store_query_get_int(&q, AT_REST + 3) != 0;
	return code;
}

int
app_store_read_registration(struct app_store_db *db, struct app_store_request *r, struct err *e)
{
	uint8_t hash[APP_STORE_TXHASH_SIZE];

	if (r->op == APP_STORE_CERTPROFILE)
		return read_profiles(db, r, e);
	app_store_read_transaction_hash(r, hash);
	return r->has_challenge ? find_challenge(db, r, (struct bytes){hash, sizeof(hash)}, e)
				: find_certificate(db, r, e);
}

/* ---- what verify said -------------------------------------------------------------------------------------------- */

static void
put_detail(struct app_store_writer *w, const struct app_store_request *r, const struct app_terms *terms)
{
	const struct app_registration_record *record = r->registration;

	app_audit_put_text(&w->detail, "profile", terms->profile);
	app_audit_put_text(&w->detail, "device", terms->device);
	app_audit_put_text(&w->detail, "user", terms->user);
	if (record->reason != APP_REGISTRATION_SUCCESS)
		app_audit_put_text(&w->detail, "reason", app_registration_reason_name(record->reason));
	app_audit_put_text(&w->detail, "why", record->text);
	app_audit_put_text(&w->detail, "transaction", r->transaction_id);
}

/* Runs a statement with challenge and transaction; 1: it found a row, whose first column is in ret_value. */
static int
ask(struct app_store_writer *w, enum app_store_stmt id, struct bytes challenge, struct bytes transaction,
    int64_t *ret_value, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, id);
	int code;

	app_store_query_blob(&q, challenge);
	app_store_query_blob(&q, transaction);
	code = app_store_query_step(&q, e);
	if (code == 1)
		*ret_value = app_store_query_get_int(&q, 0);
	return code;
}

/* Of what is refused with one challenge the last is kept; of what is allowed there is a bound. */
static int
make_room(struct app_store_writer *w, struct app_store_request *r, struct bytes transaction, struct err *e)
{
	struct bytes challenge = {r->challenge_hash, sizeof(r->challenge_hash)};
	int64_t count = 0;
	int code;

	if (!r->has_challenge)
		return 0;
	if (r->registration->state == APP_REGISTRATION_STATE_DENIED)
		return ask(w, APP_STMT_REGISTRATION_DENIED_TRIM, challenge, transaction, &count, e);
	code = ask(w, APP_STMT_REGISTRATION_OPEN, challenge, transaction, &count, e);
	if (code >= 0 && count >= APP_REGISTRATION_OPEN_MAX)
		return err_set(e, ERR_LIMIT, 0, "too many requests with one challenge");
	return code < 0 ? code : 0;
}

static int
purge(struct app_store_writer *w, int64_t now, struct err *e)
{
	struct app_store_query q = app_store_query(w->db, APP_STMT_REGISTRATION_PURGE);

	app_store_query_int(&q, now);
	return app_store_query_run(&q, e);
}

static int
put_request(struct app_store_writer *w, struct app_store_request *r, struct bytes transaction, struct err *e)
{
	const struct app_registration_record *record = r->registration;
	const struct app_terms *terms = &record->terms;
	int64_t now = app_store_change_now(r);
	struct app_store_query q = app_store_query(w->db, APP_STMT_REGISTRATION_PUT);

	app_store_query_blob(&q, transaction);
	app_store_query_text(&q, r->transaction_id);
	app_store_query_blob(&q, (struct bytes){r->has_challenge ? r->challenge_hash : NULL,
						r->has_challenge ? sizeof(r->challenge_hash) : 0});
	app_store_query_int(&q, record->state);
	app_store_query_text(
		&q, record->state == APP_REGISTRATION_STATE_DENIED ? app_registration_reason_name(record->reason) : "");
	app_store_query_text(&q, record->text);
	app_store_query_text(&q, r->peer);
	app_store_query_int(&q, now);
	app_store_query_int(&q, now + APP_REGISTRATION_KEPT_S);
	app_store_query_text(&q, terms->profile);
	app_store_query_text(&q, terms->device);
	app_store_query_text(&q, terms->user);
	app_store_query_text(&q, terms->template_name);
	app_store_query_blob(&q, terms->subject);
	app_store_query_blob(&q, terms->san);
	app_store_query_int(&q, terms->key_usage);
	app_store_query_blob(&q, purposes_of(terms));
	app_store_query_int(&q, terms->key_sizes);
	app_store_query_int(&q, terms->hashes);
	app_store_query_int(&q, terms->validity_days);
	return app_store_query_run(&q, e);
}

static int
note(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	const struct app_registration_record *record = r->registration;
	bool allowed = record->state == APP_REGISTRATION_STATE_PENDING;
	uint8_t hash[APP_STORE_TXHASH_SIZE];
	struct bytes transaction = {hash, sizeof(hash)};
	int code = 0;

	app_store_read_transaction_hash(r, hash);
	/* Of a challenge that nobody made there is nothing to keep but the audit record. */
	if (record->terms.profile[0] != '\0') {
		code = make_room(w, r, transaction, e);
		if (code == 0)
			code = put_request(w, r, transaction, e);
		if (code == 0)
			code = purge(w, app_store_change_now(r), e);
	}
	if (code < 0 || r->all)
		return code;
	put_detail(w, r, &record->terms);
	return app_store_change_audit(w, r, allowed ? APP_AUDIT_REGISTRATION_VERIFIED : APP_AUDIT_REGISTRATION_REFUSED,
				      (struct bytes){NULL, 0}, r->subject, e);
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

/* A request as it is in the store. */
struct known {
	int state;
	struct app_registration_record certificate; /* serial and hash alone */
	bool has_challenge;
	uint8_t challenge[APP_HASH_SIZE];
	struct app_terms terms; /* texts and validity alone */
};

static int
get_known(struct app_store_writer *w, struct bytes transaction, struct known *known, struct err *e)
{
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_REGISTRATION_GET);
	struct bytes challenge;
	int code;

	app_store_query_blob(&q, transaction);
	code = app_store_query_step(&q, e);
	if (code <= 0)
		return code < 0 ? code : err_set(e, ERR_UNKNOWN, 0, "nothing is known of this request");
	known->state = (int)app_store_query_get_int(&q, 0);
	read_certificate(&q, 1, &known->certificate);
	challenge = app_store_query_get_blob(&q, 3);
	known->has_challenge = challenge.len == sizeof(known->challenge);
	if (known->has_challenge)
		memcpy(known->challenge, challenge.data, challenge.len);
	snprintf(known->terms.profile, sizeof(known->terms.profile), "%s", app_store_query_get_text(&q, 4));
	snprintf(known->terms.device, sizeof(known->terms.device), "%s", app_store_query_get_text(&q, 5));
	snprintf(known->terms.user, sizeof(known->terms.user), "%s", app_store_query_get_text(&q, 6));
	known->terms.validity_days = (int)app_store_query_get_int(&q, 7);
	return 0;
}

static int
deny(struct app_store_request *r, enum app_challenge_verdict verdict, const char *why, struct err *e)
{
	r->verdict = verdict;
	return err_set(e, ERR_DENIED, 0, "%s", why);
}

/* The request of this certificate uses the challenge up, unless another did before. */
static int
use_challenge(struct app_store_writer *w, struct app_store_request *r, const struct known *known,
	      struct bytes transaction, struct err *e)
{
	struct bytes challenge = {known->challenge, sizeof(known->challenge)};
	AUTO_QUERY q = app_store_query(w->db, APP_STMT_REGISTRATION_CHALLENGE_STATE);
	struct app_registration_record used = {.serial_len = 0};
	int64_t one = 0;
	int code = ask(w, APP_STMT_REGISTRATION_ISSUED, challenge, transaction, &one, e);

	if (code != 0)
		return code < 0 ? code : deny(r, APP_CHALLENGE_USED, "the challenge was used for another request", e);
	app_store_query_blob(&q, challenge);
	code = app_store_query_step(&q, e);
	/* Long after it expired it is forgotten; a request that an operator decided about may take as long. */
	if (code <= 0)
		return code;
	if (app_store_query_get_int(&q, 0) == 0) {
		app_store_query_end(&q);
		return app_store_change_spend(w, challenge, serial_of(r->registration), app_store_change_now(r), e);
	}
	if (!app_registration_record_serial(&used, app_store_query_get_blob(&q, 1)))
		return deny(r, APP_CHALLENGE_REVOKED, "the challenge was revoked meanwhile", e);
	if (!bytes_equal(serial_of(&used), serial_of(r->registration)))
		return deny(r, APP_CHALLENGE_USED, "the challenge was used for another certificate", e);
	return 0;
}

static int
put_end(struct app_store_writer *w, struct app_store_request *r, const struct known *known, struct bytes transaction,
	struct err *e)
{
	const struct app_registration_record *record = r->registration;
	bool issued = record->state == APP_REGISTRATION_STATE_ISSUED;
	int64_t now = app_store_change_now(r);
	int64_t life = issued ? (int64_t)known->terms.validity_days * 86400 : 0;
	struct app_store_query q = app_store_query(w->db, APP_STMT_REGISTRATION_END);

	app_store_query_blob(&q, transaction);
	app_store_query_int(&q, record->state);
	app_store_query_text(
		&q, record->state == APP_REGISTRATION_STATE_ERROR ? app_registration_reason_name(record->reason) : "");
	app_store_query_text(&q, record->text);
	app_store_query_int(&q, now);
	app_store_query_int(&q, now + life + APP_REGISTRATION_KEPT_S);
	app_store_query_blob(&q, issued ? serial_of(record) : (struct bytes){NULL, 0});
	app_store_query_blob(&q, (struct bytes){issued && record->has_certificate ? record->certificate : NULL,
						issued && record->has_certificate ? APP_HASH_SIZE : 0});
	return app_store_query_run(&q, e);
}

static int
end(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	struct app_registration_record *record = r->registration;
	bool issued = record->state == APP_REGISTRATION_STATE_ISSUED;
	uint8_t hash[APP_STORE_TXHASH_SIZE];
	struct bytes transaction = {hash, sizeof(hash)};
	struct known known = {.state = APP_REGISTRATION_STATE_NONE};
	int code;

	app_store_read_transaction_hash(r, hash);
	code = get_known(w, transaction, &known, e);
	if (code < 0)
		return code;
	if (known.state == APP_REGISTRATION_STATE_ISSUED) {
		if (!issued || bytes_equal(serial_of(&known.certificate), serial_of(record)))
			return 0;
		return deny(r, APP_CHALLENGE_USED, "the request has another certificate already", e);
	}
	if (issued && known.state == APP_REGISTRATION_STATE_DENIED)
		return deny(r, APP_CHALLENGE_REGISTRATION, "the request was refused", e);
	/* A refusal by us stays what we said. */
	if (!issued && known.state == APP_REGISTRATION_STATE_DENIED)
		return 0;
	if (issued && known.has_challenge)
		code = use_challenge(w, r, &known, transaction, e);
	if (code == 0)
		code = put_end(w, r, &known, transaction, e);
	if (code < 0 || record->state == APP_REGISTRATION_STATE_PENDING)
		return code;
	put_detail(w, r, &known.terms);
	return app_store_change_audit(w, r, issued ? APP_AUDIT_REGISTRATION_ISSUED : APP_AUDIT_REGISTRATION_FAILED,
				      serial_of(record), r->subject, e);
}

int
app_store_change_registration(struct app_store_writer *w, struct app_store_request *r, struct err *e)
{
	switch (r->op) {
	case APP_STORE_CERTPROFILE_PUT:
		return put_profile(w, r, e);
	case APP_STORE_CERTPROFILE_REMOVE:
		return remove_profile(w, r, e);
	case APP_STORE_REGISTRATION_NOTE:
		return note(w, r, e);
	default:
		return end(w, r, e);
	}
}
