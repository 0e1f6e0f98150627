/*
 * appliance/template - a certificate template: what a certificate of this kind says, who may ask for it, and how
 *
 * A template is a plain value.  It comes from text (chancery-template(5)), from the group "template" of chancery.conf,
 * or from the text of a built-in one; app_profile_of() (appliance/profile.h) encodes it once for issuing.  Its fields
 * stand once in template_field.c: name, kind, range, how to read and how to print.
 *
 * Threads:  any; a template is not changed once it is in a set (appliance/templates.h).
 */
#ifndef APPLIANCE_TEMPLATE_H
#define APPLIANCE_TEMPLATE_H

#include "appliance/account.h"
#include "board/base/buf.h"
#include "board/config.h"

enum {
	APP_TEMPLATE_NAME = 40, /* sizes with the NUL */
	APP_TEMPLATE_TEXT = 64,
	APP_TEMPLATE_OIDS = 400, /* octets of OBJECT IDENTIFIERs, one after the other */
	APP_TEMPLATE_LIST = 400,
	APP_TEMPLATE_URL = 400,
	APP_PERMISSIONS_MAX = 16,
	APP_TEMPLATE_FILE_MAX = 256 * 1024,
	APP_TEMPLATES_MAX = 200,
};

/* Kinds of GeneralName that a request may bring, as bits. */
enum app_san_kind {
	APP_SAN_DNS = 1 << 0,
	APP_SAN_IP = 1 << 1,
	APP_SAN_EMAIL = 1 << 2,
	APP_SAN_URI = 1 << 3,
	APP_SAN_UPN = 1 << 4,
};

/* Bits of keyUsage in the order of RFC 5280 4.2.1.3, the first as the highest of eight. */
enum app_key_usage {
	APP_KU_DIGITAL_SIGNATURE = 0x80,
	APP_KU_NON_REPUDIATION = 0x40,
	APP_KU_KEY_ENCIPHERMENT = 0x20,
	APP_KU_DATA_ENCIPHERMENT = 0x10,
	APP_KU_KEY_AGREEMENT = 0x08,
};

/* Public key algorithms, as bits. */
enum app_algorithm { APP_ALG_RSA = 1 << 0, APP_ALG_P256 = 1 << 1, APP_ALG_P384 = 1 << 2, APP_ALG_P521 = 1 << 3 };

/* Rights, as bits; full control has all of them. */
enum app_right {
	APP_RIGHT_READ = 1 << 0,
	APP_RIGHT_ENROLL = 1 << 1,
	APP_RIGHT_AUTOENROLL = 1 << 2,
	APP_RIGHT_FULL = 1 << 3,
};

struct app_permission {
	bool is_group;
	char who[APP_ACCOUNT_SIZE]; /* name of the account or group */
	unsigned rights;            /* enum app_right */
};

/* OBJECT IDENTIFIERs in DER, one after the other, none twice. */
struct app_oids {
	uint8_t der[APP_TEMPLATE_OIDS];
	size_t len;
};

/* The fields in the order of chancery-template(5), which explains them. */
struct app_template {
	char name[APP_TEMPLATE_NAME];
	char display_name[APP_TEMPLATE_TEXT]; /* UTF-8; "" for none */
	struct app_oids oid;                  /* one, or none */
	int schema_version;
	int major_version;
	int minor_version;
	bool name_extension;        /* 1.3.6.1.4.1.311.20.2 */
	bool information_extension; /* 1.3.6.1.4.1.311.21.7 */
	int validity_days;          /* one of the two is not 0 */
	int validity_hours;
	int renewal_days;   /* 0: always */
	unsigned key_usage; /* enum app_key_usage */
	struct app_oids extended_key_usage;
	struct app_oids application_policies;
	bool mirror_policies; /* application policies are the extended key usages */
	unsigned algorithms;  /* enum app_algorithm */
	int rsa_bits_min;
	int rsa_bits_max;
	bool from_template; /* subject: subject_fixed alone */
	uint32_t rdns;      /* bits by index of app_rdn_types() */
	char subject_fixed[APP_TEMPLATE_LIST];
	unsigned sans; /* enum app_san_kind */
	unsigned sans_required;
	char dns_suffixes[APP_TEMPLATE_LIST];
	char crl_url[APP_TEMPLATE_URL]; /* "": the CA's */
	char ca_url[APP_TEMPLATE_URL];
	char ocsp_url[APP_TEMPLATE_URL];
	bool approval;
	int approvals;
	bool publish;
	int ra_signatures;
	bool sid; /* NTDS CA security extension, of a SID in an approved subjectAltName */
	struct app_permission permissions[APP_PERMISSIONS_MAX];
	size_t permission_count;
};

/* Everything at its default; the name is empty and there are the default permissions. */
void app_template_default(struct app_template *ret_template);

/*
 * The template that the group "template" of chancery.conf describes.  Fails with ERR_CONFIG; e names setting and word.
 */
MUST_CHECK int app_template_from_config(const struct config *conf, struct app_template *ret_template, struct err *e);

/* What is done with each template of a text; a failure ends the reading and is passed on. */
typedef int (*app_template_fn)(const struct app_template *template, unsigned line, void *arg, struct err *e);

/*
 * Reads text, "template = { ... };" or "templates = ( { ... }, ... );".  Every field is checked, and that the fields of
 * each template agree; only then fn sees the first one.  Fails with ERR_CONFIG, and e says "FILE:LINE: field: what is
 * allowed", where file is what to call the text; else as fn says.
 */
MUST_CHECK int app_template_parse(const char *text, const char *file, app_template_fn fn, void *arg, struct err *e);

/* Reads one template.  Fails with ERR_CONFIG, also when there are several. */
MUST_CHECK int
app_template_parse_one(const char *text, const char *file, struct app_template *ret_template, struct err *e);

/* Appends "template = { ... };" with every field, which app_template_parse() reads back as the same value. */
void app_template_print(const struct app_template *template, struct buf *out);

/* Do the fields agree?  NULL, or the name of the field that stands in the way, with the reason in why. */
const char *app_template_contradiction(const struct app_template *template, char *why, size_t size);

/* May account do this with certificates of this template?  Full control has every right. */
bool app_template_permits(const struct app_template *template, const struct app_account *account, enum app_right right);

/*
 * Gives account or group these rights, and no others; 0 takes away the entry.  Fails with ERR_LIMIT when there are
 * APP_PERMISSIONS_MAX others.
 */
MUST_CHECK int app_template_permit(struct app_template *template, bool is_group, const char *who, unsigned rights);

/* "read enroll" as bits.  Fails with ERR_CONFIG; e says what is wrong. */
MUST_CHECK int app_template_rights_parse(const char *words, unsigned *ret_rights, struct err *e);

/* The words for rights, with blanks between them.  Returns out. */
char *app_template_rights_text(unsigned rights, char *out, size_t size);

/* Permissions as they are stored: lines "group NAME: rights", "account NAME: rights". */
void app_template_permissions_print(const struct app_template *template, struct buf *out);

/* Replaces the permissions by what app_template_permissions_print() wrote.  Fails with ERR_CONFIG. */
MUST_CHECK int app_template_permissions_parse(struct app_template *template, struct bytes text, struct err *e);

/*
 * Does it give the extended key usage Certificate Request Agent?  Who has such a certificate may ask for others in the
 * name of anybody, so no unbound challenge may be good for one.
 */
bool app_template_is_agent(const struct app_template *template);

/* Do all first requests wait?  Who wants more than one approval wants approval. */
bool app_template_needs_approval(const struct app_template *template);

/* The built-in templates: text of the n-th in the form that app_template_parse() reads; NULL behind the last one. */
const char *app_template_builtin(size_t n);

#endif
