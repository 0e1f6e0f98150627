/*
 * appliance/store_registration - certificate profiles, the challenges of the registration point and its requests, in
 * the store
 *
 * Threads:  the record belongs to who submits; the functions are the writer's and the readers'.
 */
#ifndef APPLIANCE_STORE_REGISTRATION_H
#define APPLIANCE_STORE_REGISTRATION_H

#include "appliance/store_read.h"
#include "appliance/store_writer.h"
#include "appliance/terms.h"

/* States of a request, in the numbers of the Configuration Manager (facts, microsoft.md 3.9). */
enum app_registration_state {
	APP_REGISTRATION_STATE_NONE = 0, /* there is no such request */
	APP_REGISTRATION_STATE_ISSUED = 0x1,
	APP_REGISTRATION_STATE_PENDING = 0x2, /* allowed; nobody told yet what became of it */
	APP_REGISTRATION_STATE_ERROR = 0x10,
	APP_REGISTRATION_STATE_DENIED = 0x100, /* verify said no */
};

enum {
	APP_REGISTRATION_KEPT_S = 90 * 86400, /* a request, behind its last change or the end of its certificate */
	APP_REGISTRATION_OPEN_MAX = 16,       /* requests that were allowed for one challenge; more are refused */
	APP_REGISTRATION_SERIAL_MAX = 20,
};

/* "issued", "pending", "error", "denied"; "unknown" for others. */
const char *app_registration_state_name(int state);

/*
 * In and out of the requests in store_op.h, as member "registration" of a request; owned by who submits it, who frees
 * with app_registration_record_fini().
 */
struct app_registration_record {
	struct app_terms terms;

	/* REGISTRATION_FIND with a challenge */
	int64_t created;
	int64_t expires;
	int64_t used;  /* 0: it is not */
	bool revoked;  /* used, and without a certificate */
	int64_t open;  /* other requests that were allowed for it */
	bool is_there; /* the profile is, still */

	/* of the request of this transaction and key; REGISTRATION_FIND without a challenge: of the old certificate */
	int state;                                   /* enum app_registration_state */
	uint8_t serial[APP_REGISTRATION_SERIAL_MAX]; /* without leading zeros */
	size_t serial_len;
	bool has_certificate; /* its hash is known */
	uint8_t certificate[APP_HASH_SIZE];

	/* NOTE and END, in */
	enum app_registration_reason reason;
	char text[APP_TERMS_WHY];
};

/* Frees what it owns. */
void app_registration_record_fini(struct app_registration_record *record);

/* Takes a serial number without leading zeros; false when it is too long or empty. */
bool app_registration_record_serial(struct app_registration_record *record, struct bytes serial);

/* The changes APP_STORE_CERTPROFILE_* and APP_STORE_REGISTRATION_*, as r->op says. */
MUST_CHECK int app_store_change_registration(struct app_store_writer *w, struct app_store_request *r, struct err *e);

/* The look-ups of the same. */
MUST_CHECK int app_store_read_registration(struct app_store_db *db, struct app_store_request *r, struct err *e);

/* CHALLENGE with registration: adds what the terms say to the row that was inserted.  Fails with ERR_STORE. */
MUST_CHECK int app_store_change_terms(struct app_store_writer *w, const struct app_store_request *r, struct err *e);

#endif
