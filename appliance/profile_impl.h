/*
 * appliance/profile_impl - the inside of a profile, for profile.c, which makes it, and profile_check.c, which asks it
 *
 * Threads:  any; a profile is not changed once made.
 */
#ifndef APPLIANCE_PROFILE_IMPL_H
#define APPLIANCE_PROFILE_IMPL_H

#include "appliance/profile.h"

/* What a subjectAltName may be. */
struct app_san_rules {
	unsigned kinds;           /* enum app_san_kind: allowed */
	unsigned required;        /* of these there must be one each */
	const char *dns_suffixes; /* each dNSName is one of these, or ends with "." and one of these; "": any */
	bool may_have_sid;        /* whoever vouches for the whole of it vouches for the SID */
};

struct app_profile {
	char name[40];
	uint32_t rdns;            /* bits by index of app_rdn_types() */
	struct app_san_rules san; /* its dns_suffixes are those below */
	char dns_suffixes[APP_TEMPLATE_LIST];
	bool from_template;   /* the subject is fixed alone */
	struct buf fixed;     /* RDNs that replace those of a request, without the SEQUENCE around them */
	uint32_t fixed_types; /* their types, as in rdns */
	bool sid;             /* a SID in a subjectAltName becomes an extension too */
	bool agent;
	struct app_oids purposes; /* extended key usage */
	struct app_oids policies; /* application policies, unless they repeat it */
	int rsa_bits_min;
	int rsa_bits_max;
	unsigned algorithms; /* enum app_algorithm */
	int64_t backdate_s;
	int64_t life_s;
	int64_t life_max_s; /* notBefore to notAfter, backdating included */
	struct buf extensions_rsa;
	struct buf extensions_ec;
};

/*
 * Is san (content of a subjectAltName extension) a list of 1 to 64 well-formed GeneralNames by these rules?  Fails with
 * ERR_DENIED; e names the kind.
 */
MUST_CHECK int app_san_check(struct bytes san, const struct app_san_rules *rules, struct err *e);

#endif
