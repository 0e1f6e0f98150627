/*
 * appliance/terms - what a registration point vouches for, and whether a request is that
 *
 * Names are compared as DER: the same RDNs in the same order, each of the same attributes with the same characters.
 * The string type alone may be another, since clients choose it by themselves; case and blanks count (decisions/025).
 *
 * Threads:  any; plain values.
 * Owner:    who has terms frees subject and san with app_terms_fini().
 */
#ifndef APPLIANCE_TERMS_H
#define APPLIANCE_TERMS_H

#include "appliance/certprofile.h"
#include "appliance/csr.h"
#include "appliance/registration_check.h"

enum { APP_TERMS_ID = 128, APP_TERMS_WHY = 256 };

struct app_terms {
	char profile[APP_CERTPROFILE_NAME]; /* "": not known */
	char device[APP_TERMS_ID];
	char user[APP_TERMS_ID];
	char template_name[APP_TEMPLATE_NAME];
	struct bytes subject;     /* Name, owned */
	struct bytes san;         /* content of subjectAltName, owned; a list of nothing: none */
	unsigned key_usage;       /* enum app_key_usage */
	struct app_oids purposes; /* extended key usage */
	unsigned key_sizes;       /* enum app_key_size */
	unsigned hashes;          /* enum app_request_hash */
	int validity_days;
};

/* Frees what it owns. */
void app_terms_fini(struct app_terms *terms);

/*
 * Does the request ask for what the terms say, to be issued by this template?  What it does not ask for is decided by
 * the template: key usage, extended key usage, the end of validity.  APP_REGISTRATION_SUCCESS, or the reason of the
 * first field that differs, and why names the field.
 */
enum app_registration_reason app_terms_check(const struct app_terms *terms, const struct app_csr *csr,
					     const char *template_name, int64_t now, char why[APP_TERMS_WHY]);

/* Are these two Names the same in the sense above?  False for what is no Name. */
bool app_terms_same_name(struct bytes a, struct bytes b);

#endif
