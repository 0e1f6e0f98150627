/*
 * appliance/certprofile - a certificate profile of the registration point: what a device's certificate shall say
 *
 * Its settings are those of the Configuration Manager's SCEP certificate profiles (facts, microsoft.md 3.10).  A
 * profile is a plain value; its text, "certificate_profile = { ... };", is read and printed by the table in
 * certprofile.c.
 *
 * Formats of subjects and names contain variables, {{DeviceName}}, whose values come with each ask.  A value becomes
 * part of one attribute value or one name and is never read as syntax: "x,O=evil" is a common name with a comma in it.
 *
 * Threads:  any; plain values.
 */
#ifndef APPLIANCE_CERTPROFILE_H
#define APPLIANCE_CERTPROFILE_H

#include "appliance/template.h"

/* Sizes of texts with the NUL. */
enum {
	APP_CERTPROFILE_NAME = 257,
	APP_CERTPROFILE_FORMAT = 1024,
	APP_CERTPROFILE_URLS = 1024,
	APP_CERTPROFILE_ROOT = 65,
	APP_CERTPROFILE_VALUE = 513, /* of a variable */
	APP_CERTPROFILES_MAX = 200,
	APP_VARIABLES_MAX = 32,
};

/* Who may have it. */
enum app_certprofile_type { APP_CERTPROFILE_USER, APP_CERTPROFILE_MACHINE };

/* Kinds of keys, as bits. */
enum app_key_size {
	APP_KEY_RSA_2048 = 1 << 0,
	APP_KEY_RSA_3072 = 1 << 1,
	APP_KEY_RSA_4096 = 1 << 2,
	APP_KEY_P256 = 1 << 3,
	APP_KEY_P384 = 1 << 4,
	APP_KEY_P521 = 1 << 5,
};

/* Hashes of a request's signature, as bits. */
enum app_request_hash { APP_HASH_SHA256 = 1 << 0, APP_HASH_SHA384 = 1 << 1, APP_HASH_SHA512 = 1 << 2 };

/* Names that a certificate also has, as bits in the order of the words. */
enum app_san_format {
	APP_FORMAT_EMAIL = 1 << 0, /* rfc822Name {{Email}} */
	APP_FORMAT_DNS = 1 << 1,   /* dNSName {{DNS}} */
	APP_FORMAT_UPN = 1 << 2,   /* user principal name {{UserPrincipalName}} */
	APP_FORMAT_SPN = 1 << 3,   /* the same kind of name, {{ServicePrincipalName}} */
	APP_FORMAT_AAD = 1 << 4,   /* URI IntuneDeviceId://{{AAD_Device_ID}} */
};

/* The fields in the order of the text; appliance/doc/registration-point.md explains them. */
struct app_certprofile {
	char name[APP_CERTPROFILE_NAME]; /* UTF-8, as all texts */
	char description[APP_CERTPROFILE_NAME];
	int retries; /* these two, and key_storage, are for whoever configures devices: kept and shown */
	int retry_delay_minutes;
	int renewal_threshold; /* percent of life that remain */
	int key_storage;       /* index of the word */
	bool multifactor;
	bool any_device; /* not only the user's primary one */
	char template_name[APP_TEMPLATE_NAME];
	int type;                                    /* enum app_certprofile_type */
	char subject_format[APP_CERTPROFILE_FORMAT]; /* a word of Microsoft's, or "CN={{UserName}},O=..." */
	unsigned san_formats;                        /* enum app_san_format */
	char san_custom[APP_CERTPROFILE_FORMAT];     /* "DNS:{{DeviceName}}.example;URI:..." */
	int validity_days;
	unsigned key_usage; /* enum app_key_usage, of two */
	unsigned key_sizes; /* enum app_key_size */
	struct app_oids purposes;
	unsigned hashes;                 /* enum app_request_hash */
	char root[APP_CERTPROFILE_ROOT]; /* fingerprint in hexadecimal digits, SHA-1 or SHA-256; "": not said */
	char scep_urls[APP_CERTPROFILE_URLS];
};

/* Reads one profile.  Fails with ERR_CONFIG; e says "FILE:LINE: field: what is allowed". */
MUST_CHECK int
app_certprofile_parse(const char *text, const char *file, struct app_certprofile *ret_profile, struct err *e);

/* Appends its text, with every field, which app_certprofile_parse() reads back as the same value. */
void app_certprofile_print(const struct app_certprofile *profile, struct buf *out);

/*
 * Do template and profile agree: does the template give these purposes and no others, this key usage, at least this
 * validity, and allow one of these keys?  Fails with ERR_CONFIG; e names the field.
 */
MUST_CHECK int
app_certprofile_fits(const struct app_certprofile *profile, const struct app_template *template, struct err *e);

/*
 * Is each of count variables "name=value", UTF-8 without control characters, at most APP_CERTPROFILE_VALUE - 1 octets
 * long, and no name there twice?  Fails with ERR_FORMAT; e names the variable.
 */
MUST_CHECK int app_certprofile_variables(const struct bytes *variables, size_t count, struct err *e);

/*
 * The subject that the profile gives, as a Name in DER, appended to out.  Fails with ERR_FORMAT: a variable has no
 * value or one that may not stand there; e names it.
 */
MUST_CHECK int app_certprofile_subject(const struct app_certprofile *profile, const struct bytes *variables,
				       size_t count, struct buf *out, struct err *e);

/* The same for subjectAltName (content of the extension); without names a list of none. */
MUST_CHECK int app_certprofile_san(const struct app_certprofile *profile, const struct bytes *variables, size_t count,
				   struct buf *out, struct err *e);

/* The words for key sizes and hashes, "2048 P-256" and "SHA-256". */
void app_certprofile_key_words(unsigned key_sizes, struct buf *out);
void app_certprofile_hash_words(unsigned hashes, struct buf *out); /* see app_certprofile_key_words() */

#endif
