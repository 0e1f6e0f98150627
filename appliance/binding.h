/*
 * appliance/binding - what a one-time challenge is good for alone, and whether a certificate to be is that
 *
 * A challenge may be bound to a template, a subject, a subjectAltName, a key and a key usage, each or none.  What it is
 * bound to is kept beside it in the store, which compares it in the transaction that reserves the challenge
 * (decisions/017).
 *
 * Threads:  any; plain values.
 * Owner:    whoever made a binding frees it with app_binding_fini(); a claim borrows.
 */
#ifndef APPLIANCE_BINDING_H
#define APPLIANCE_BINDING_H

#include "appliance/store.h"

/* Room for app_binding_san_text(). */
enum { APP_BINDING_TEXT_SIZE = 512 };

/* Zeroed, it is bound to nothing. */
struct app_binding {
	char template_name[40]; /* "": any */
	struct bytes subject;   /* Name, DER, the binding's; empty: any */
	struct bytes san; /* content of subjectAltName, the binding's; empty: any; a list of nothing: none at all */
	bool has_key;
	uint8_t key_hash[APP_HASH_SIZE]; /* SHA-256 of the SubjectPublicKeyInfo */
	unsigned key_usage;              /* bits as in RFC 5280 4.2.1.3, the first as the highest of eight; 0: any */
};

/* What shall be certified with a challenge. */
struct app_claim {
	const char *template_name;
	struct bytes name;   /* Name, whole */
	struct bytes san;    /* content of subjectAltName; empty: there is none; one with a SID has to be bound */
	struct bytes spki;   /* whole */
	unsigned key_usage;  /* that the request asks for; 0: none */
	bool needs_template; /* it has to be bound to this template */
	bool registered; /* the registration point judged it: only then a challenge of a certificate profile is good */
};

/* A challenge that can still be used. */
struct app_open_challenge {
	int64_t number; /* 0: older than numbers */
	int64_t created;
	int64_t expires;
	int64_t request; /* that waits and holds it; 0: none */
	char creator[64];
	struct app_binding bound;
};

/* Frees what it owns; it is bound to nothing then. */
void app_binding_fini(struct app_binding *binding);

/* Is it bound to anything? */
bool app_binding_is_any(const struct app_binding *binding);

/*
 * Binds to a value as an operator writes it.  The words:
 *   subject   a Name as app_name_parse() reads it
 *   san       "DNS:a.example,IP:192.0.2.1,email:a@b.example,URI:urn:x,UPN:a@b", or "none"
 *   key       SHA-256 in hexadecimal digits; colons do not count
 *   template  a name
 * Fails with ERR_FORMAT for other words, what cannot be read, and a word that was given before; e says why.
 */
MUST_CHECK int app_binding_set(struct app_binding *binding, const char *word, const char *value, struct err *e);

/*
 * The params of NDESGenerateChallenge: "word=value&word=value", each value percent-encoded.  Fails with ERR_FORMAT, and
 * e names the word.
 */
MUST_CHECK int app_binding_params(struct app_binding *binding, const char *params, struct err *e);

/* APP_CHALLENGE_OK, or the APP_CHALLENGE_BOUND_* of the first part that the claim is not. */
enum app_challenge_verdict app_binding_check(const struct app_binding *binding, const struct app_claim *claim);

/* The key usage that a request's extensions (app_csr) ask for; 0: none, or one that cannot be read. */
unsigned app_binding_requested_usage(struct bytes extensions);

/* Appends the GeneralName of "DNS:a.example", whose form is not checked; false when it is of no kind above. */
bool app_binding_put_name(struct buf *out, const char *text);

/*
 * Have two subjectAltNames (contents of the extension; b may be empty: none) the same names, in any order?  Names of
 * hosts have no case; anything else is compared octet by octet.
 */
bool app_binding_same_san(struct bytes a, struct bytes b);

/* "DNS:a.example, IP:192.0.2.1" of a subjectAltName's content, "none" of an empty list; cut to size.  Returns out. */
char *app_binding_san_text(struct bytes san, char *out, size_t size);

#endif
