/*
 * appliance/store_names - what a certificate is for, why it was revoked, and the words for both
 *
 * Threads:  any.
 */
#ifndef APPLIANCE_STORE_NAMES_H
#define APPLIANCE_STORE_NAMES_H

#include <stdint.h>

enum { APP_SERIAL_SIZE = 16 };

/* What a certificate is for.  Stored as text. */
enum app_usage {
	APP_USAGE_DEVICE,
	APP_USAGE_RA_SIGN,
	APP_USAGE_RA_DECRYPT,
	APP_USAGE_TLS,
	APP_USAGE_OCSP,
	APP_USAGE_CA,
	APP_USAGE_COUNT,
};

/* CRLReason values of RFC 5280 5.3.1 that we use; -1 when not revoked. */
enum app_reason {
	APP_REASON_NONE = -1,
	APP_REASON_UNSPECIFIED = 0,
	APP_REASON_KEY_COMPROMISE = 1,
	APP_REASON_CA_COMPROMISE = 2,
	APP_REASON_AFFILIATION_CHANGED = 3,
	APP_REASON_SUPERSEDED = 4,
	APP_REASON_CESSATION_OF_OPERATION = 5,
	APP_REASON_HOLD = 6, /* the only one that can be taken back */
	APP_REASON_PRIVILEGE_WITHDRAWN = 9,
};

/* A revoked certificate, for a CRL. */
struct app_revoked {
	uint8_t serial[APP_SERIAL_SIZE];
	int64_t revoked;
	int reason;
	int64_t invalidity; /* 0: not said */
};

/* "device", "ra-sign", … and back; -1 for other words. */
const char *app_usage_name(enum app_usage usage);
int app_usage_parse(const char *name); /* see app_usage_name() */

/* "keyCompromise", … as RFC 5280 spells them, NULL for others; and back, -2 for other words. */
const char *app_reason_name(int reason);
int app_reason_parse(const char *name); /* see app_reason_name() */

#endif
