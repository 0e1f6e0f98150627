#include "board/config_check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "board/base/log.h"
#include "board/config_scep.h"

enum { DNS_NAME_MAX = 253, DNS_LABEL_MAX = 63, ADDRESS_MAX = 64 };

/* The words of settings that are lists of words. */
static const char *const key_usages[] = {"digitalSignature", "nonRepudiation", "keyEncipherment",
					 "dataEncipherment", "keyAgreement",   NULL};
static const char *const extended_key_usages[] = {"serverAuth", "clientAuth", "emailProtection", "ipsecIKE", NULL};
static const char *const rdn_types[] = {"C",
					"ST",
					"L",
					"O",
					"OU",
					"CN",
					"serialNumber",
					"DC",
					"emailAddress",
					"UID",
					"unstructuredName",
					"unstructuredAddress",
					"SN",
					"GN",
					"title",
					"dnQualifier",
					NULL};
static const char *const san_types[] = {"DNS", "IP", "email", "URI", "UPN", NULL};

const char *
config_check_word(const char **list, size_t *ret_len)
{
	const char *word = *list + strspn(*list, " \t");
	size_t len = strcspn(word, " \t");

	*list = word + len;
	if (len == 0)
		return NULL;
	*ret_len = len;
	return word;
}

bool
config_check_one_of(const char *word, size_t len, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strlen(*words) == len && strncmp(*words, word, len) == 0)
			return true;
	return false;
}

/* 1.3.6.1.…: at least two arcs, the first at most 2, no leading zeros. */
static bool
is_oid(const char *word, size_t len)
{
	size_t i;
	size_t arcs = 1;
	size_t digits = 0;

	for (i = 0; i < len; i++) {
		if (word[i] == '.' && digits > 0) {
			arcs++;
			digits = 0;
		} else if (isdigit((unsigned char)word[i]) && digits < 9 && !(digits == 1 && word[i - 1] == '0')) {
			digits++;
		} else {
			return false;
		}
	}
	return arcs >= 2 && digits > 0 && word[0] <= '2' && word[1] == '.';
}

void
config_check_list(const char *const *words, char *out, size_t size)
{
	size_t used = strlen(out);

	for (; *words != NULL && used < size; words++)
		used += (size_t)snprintf(out + used, size - used, " %s", *words);
}

/* Every word is one of words, or a dotted OID where those may stand too. */
static bool
check_words(const char *value, const char *const *words, bool oids, char *why, size_t size)
{
	const char *list = value;
	const char *word;
	size_t len;

	while ((word = config_check_word(&list, &len)) != NULL) {
		if (config_check_one_of(word, len, words) || (oids && is_oid(word, len)))
			continue;
		snprintf(why, size, "\"%.*s\" is none of%s", (int)(len < 40 ? len : 40), word,
			 oids ? " a dotted OID," : "");
		config_check_list(words, why, size);
		return false;
	}
	return true;
}

static bool
needs_one(const char *value, char *why, size_t size)
{
	if (value[strspn(value, " \t")] != '\0')
		return true;
	snprintf(why, size, "at least one word is needed");
	return false;
}

static bool
check_crl_kind(const char *value, char *why, size_t size)
{
	snprintf(why, size, "\"full\" or \"delta\" is wanted");
	return strcmp(value, "full") == 0 || strcmp(value, "delta") == 0;
}

static bool
check_key_usage(const char *value, char *why, size_t size)
{
	return check_words(value, key_usages, false, why, size) && needs_one(value, why, size);
}

static bool
check_extended_key_usage(const char *value, char *why, size_t size)
{
	return check_words(value, extended_key_usages, true, why, size);
}

static bool
check_rdns(const char *value, char *why, size_t size)
{
	return check_words(value, rdn_types, false, why, size) && needs_one(value, why, size);
}

static bool
check_san(const char *value, char *why, size_t size)
{
	return check_words(value, san_types, false, why, size);
}

static bool
check_level(const char *value, char *why, size_t size)
{
	if (log_level_parse(value) >= 0)
		return true;
	snprintf(why, size, "must be error, warning, notice, info or debug");
	return false;
}

static bool
check_path(const char *value, char *why, size_t size)
{
	if (value[0] == '/')
		return true;
	snprintf(why, size, "must be an absolute path");
	return false;
}

static bool
check_path_or_none(const char *value, char *why, size_t size)
{
	return value[0] == '\0' || check_path(value, why, size);
}

/* The token may be a PKCS#11 URI (RFC 7512), which can carry a PIN; this file is readable by too many for that. */
static bool
check_token(const char *value, char *why, size_t size)
{
	if (strcasestr(value, "pin-value") != NULL || strcasestr(value, "pin-source") != NULL) {
		snprintf(why, size, "must not contain a PIN (pin-value, pin-source); use signer.pin_file");
		return false;
	}
	if (value[0] != '\0' && (strncmp(value, "pkcs11:", 7) == 0 || strlen(value) <= 32))
		return true;
	snprintf(why, size, "must be a token label of 1 to 32 bytes or a pkcs11: URI");
	return false;
}

static bool
check_environment(const char *value, char *why, size_t size)
{
	size_t len = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	/* LD_… would change which code the signer runs, CHANCERY_… is what the parent tells it. */
	if (value[0] == '\0' || (len > 0 && value[len] == '=' && !isdigit((unsigned char)value[0]) &&
				 strncmp(value, "LD_", 3) != 0 && strncmp(value, "CHANCERY_", 9) != 0))
		return true;
	snprintf(why, size, "must be NAME=value, where NAME begins with neither LD_ nor CHANCERY_");
	return false;
}

/* http:// or https://, a host, and nothing that would have to be escaped in a URI (RFC 3986). */
static bool
check_url(const char *value, char *why, size_t size)
{
	const char *rest = strstr(value, "://");
	size_t i;
	bool ok = value[0] == '\0' || ((strncmp(value, "http://", 7) == 0 || strncmp(value, "https://", 8) == 0) &&
				       rest[3] != '\0' && rest[3] != '/');

	for (i = 0; ok && value[i] != '\0'; i++)
		ok = value[i] > ' ' && value[i] < 0x7f && strchr("\"<>\\^`{|}", value[i]) == NULL;
	if (!ok)
		snprintf(why, size, "must begin with http:// or https://, be a URL without blanks, or be empty");
	return ok;
}

static bool
parse_port(const char *text, in_port_t *ret_port)
{
	size_t len = strlen(text);
	long port = strtol(text, NULL, 10);

	if (len < 1 || len > 5 || strspn(text, "0123456789") != len || port > UINT16_MAX)
		return false;
	*ret_port = htons((uint16_t)port);
	return true;
}

int
config_check_address(const char *word, size_t len, struct sockaddr_storage *ret, socklen_t *ret_len)
{
	char text[ADDRESS_MAX];
	char *colon;
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};

	if (len >= sizeof(text))
		return ERR_CONFIG;
	memcpy(text, word, len);
	text[len] = '\0';
	colon = strrchr(text, ':');
	if (colon == NULL || colon == text || !parse_port(colon + 1, &v6.sin6_port))
		return ERR_CONFIG;
	v4.sin_port = v6.sin6_port;
	*colon = '\0';
	if (text[0] == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		if (inet_pton(AF_INET6, text + 1, &v6.sin6_addr) != 1)
			return ERR_CONFIG;
		memcpy(ret, &v6, sizeof(v6));
		*ret_len = sizeof(v6);
		return 0;
	}
	if (inet_pton(AF_INET, text, &v4.sin_addr) != 1)
		return ERR_CONFIG;
	memcpy(ret, &v4, sizeof(v4));
	*ret_len = sizeof(v4);
	return 0;
}

static bool
check_addresses(const char *value, char *why, size_t size)
{
	struct sockaddr_storage address;
	socklen_t address_len;
	const char *list = value;
	const char *word;
	size_t len;

	while ((word = config_check_word(&list, &len)) != NULL) {
		if (config_check_address(word, len, &address, &address_len) == 0)
			continue;
		snprintf(why, size, "\"%.*s\" is not ADDRESS:PORT, such as 192.0.2.1:80 or [::]:80",
			 (int)(len < 64 ? len : 64), word);
		return false;
	}
	return true;
}

/*
 * Labels of letters, digits and '-' (RFC 1123 2.1), at most 253 characters in all; the last one of several is no
 * number, or an address with a slip in it would pass.
 */
static bool
is_dns_name(const char *word, size_t len)
{
	size_t i;
	size_t label = 0;
	bool dotted = false;
	bool number = true;

	if (len > DNS_NAME_MAX)
		return false;
	for (i = 0; i < len; i++) {
		if (word[i] == '.') {
			if (label == 0 || word[i - 1] == '-')
				return false;
			label = 0;
			dotted = number = true;
			continue;
		}
		if (!isalnum((unsigned char)word[i]) && !(word[i] == '-' && label > 0))
			return false;
		number = number && isdigit((unsigned char)word[i]);
		if (++label > DNS_LABEL_MAX)
			return false;
	}
	return label > 0 && word[len - 1] != '-' && !(dotted && number);
}

static bool
is_ip(const char *word, size_t len)
{
	char text[INET6_ADDRSTRLEN];
	unsigned char address[16];

	if (len >= sizeof(text))
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool
check_names(const char *value, char *why, size_t size)
{
	const char *list = value;
	const char *word;
	size_t len;

	while ((word = config_check_word(&list, &len)) != NULL) {
		if (is_dns_name(word, len) || is_ip(word, len))
			continue;
		snprintf(
			why, size,
			"\"%.*s\" is neither a DNS name (labels of 1 to 63 letters, digits, '-'; 253 in all) nor an IP "
			"address",
			(int)(len < 40 ? len : 40), word);
		return false;
	}
	return needs_one(value, why, size);
}

/* The template's name stands in log lines and audit records. */
static bool
check_name(const char *value, char *why, size_t size)
{
	size_t i;

	for (i = 0; isalnum((unsigned char)value[i]) || value[i] == '-' || value[i] == '_' || value[i] == '.'; i++)
		;
	if (i > 0 && value[i] == '\0')
		return true;
	snprintf(why, size, "must be letters, digits, '-', '_' or '.'");
	return false;
}

static bool
check_name_or_none(const char *value, char *why, size_t size)
{
	return value[0] == '\0' || check_name(value, why, size);
}

/* "AB:CD…" or "abcd…": 32 octets. */
static bool
is_fingerprint(const char *word, size_t len)
{
	size_t digits = 0;

	for (size_t i = 0; i < len; i++) {
		if (isxdigit((unsigned char)word[i]))
			digits++;
		else if (word[i] != ':')
			return false;
	}
	return digits == 64;
}

static bool
check_fingerprints(const char *value, char *why, size_t size)
{
	const char *list = value;
	const char *word;
	size_t len;

	while ((word = config_check_word(&list, &len)) != NULL) {
		if (is_fingerprint(word, len))
			continue;
		snprintf(why, size, "\"%.*s\" is not a SHA-256 fingerprint of 64 hexadecimal digits",
			 (int)(len < 100 ? len : 100), word);
		return false;
	}
	return true;
}

static bool
check_missing(const char *value, char *why, size_t size)
{
	if (strcmp(value, "refuse") == 0 || strcmp(value, "pending") == 0)
		return true;
	snprintf(why, size, "must be refuse or pending");
	return false;
}

static bool
check_template(const char *value, char *why, size_t size)
{
	return value[0] == '\0' || check_name(value, why, size);
}

bool
config_check_text(const char *setting, const char *value, char *why, size_t size)
{
	static const struct {
		const char *setting;
		bool (*check)(const char *value, char *why, size_t size);
	} checks[] = {
		{"paths.state", check_path},
		{"paths.run", check_path},
		{"log.level", check_level},
		{"signer.module", check_path},
		{"signer.token", check_token},
		{"signer.pin_file", check_path_or_none},
		{"signer.environment", check_environment},
		{"front.http", check_addresses},
		{"front.https", check_addresses},
		{"front.admin_https", check_addresses},
		{"front.registration_https", check_addresses},
		{"front.tls_names", check_names},
		{"admin.certificates", check_fingerprints},
		{"challenge.static_file", check_path_or_none},
		{"challenge.missing", check_missing},
		{"challenge.accept", config_scep_accept},
		{"scep.caps_extra", config_scep_caps},
		{"scep.microsoft_attributes", config_scep_microsoft},
		{"profiles.name", config_scep_name},
		{"profiles.preset", config_scep_preset},
		{"profiles.template", check_template},
		{"profiles.ra_certificates", config_scep_ra},
		{"template.name", check_name},
		{"ndes.signature_template", check_name_or_none},
		{"ndes.encryption_template", check_name_or_none},
		{"ndes.general_purpose_template", check_name_or_none},
		{"template.key_usage", check_key_usage},
		{"template.extended_key_usage", check_extended_key_usage},
		{"template.subject_rdns", check_rdns},
		{"template.san_types", check_san},
		{"ca.crl_url", check_url},
		{"ca.ca_url", check_url},
		{"ca.delta_url", check_url},
		{"ca.ocsp_url", check_url},
		{"ca.crl_on_revocation", check_crl_kind},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(checks); i++)
		if (strcmp(checks[i].setting, setting) == 0)
			return checks[i].check(value, why, size);
	return true;
}

/* Delta CRLs that nobody makes, or that last longer than what they add to. */
static const char *
check_delta(const struct config *conf, const char **ret_other, char *why, size_t size)
{
	*ret_other = "ca.delta_hours";
	snprintf(why, size, "needs ca.delta_hours, or there are no delta CRLs");
	if (conf->ca_delta_hours == 0 && conf->ca_delta_url[0] != '\0')
		return "ca.delta_url";
	if (conf->ca_delta_hours == 0 && strcmp(conf->ca_crl_on_revocation, "delta") == 0)
		return "ca.crl_on_revocation";
	*ret_other = "ca.crl_hours";
	snprintf(why, size, "must be less than ca.crl_hours (%d)", conf->ca_crl_hours);
	return conf->ca_delta_hours >= conf->ca_crl_hours ? "ca.delta_hours" : NULL;
}

static const char *
check_challenge(const struct config *conf, const char **ret_other, char *why, size_t size)
{
	*ret_other = "challenge.static_file";
	snprintf(why, size, "needs challenge.static_file, or no challenge would ever be accepted");
	if (strcmp(conf->challenge_accept, "static") == 0 && conf->challenge_static_file[0] == '\0')
		return "challenge.accept";
	return NULL;
}

const char *
config_check_whole(const struct config *conf, const char **ret_other, char *why, size_t size)
{
	*ret_other = "ca.ra_days";
	snprintf(why, size, "must be less than ca.ra_days (%d)", conf->ca_ra_days);
	if (conf->ca_ra_renew_days >= conf->ca_ra_days)
		return "ca.ra_renew_days";
	*ret_other = "front.https";
	snprintf(why, size, "must not be empty when front.https is: nobody could reach the appliance");
	if (conf->front_http[0] == '\0' && conf->front_https[0] == '\0')
		return "front.http";
	*ret_other = "template.rsa_bits_min";
	snprintf(why, size, "must not be less than template.rsa_bits_min (%d)", conf->template_rsa_bits_min);
	if (conf->template_rsa_bits_max < conf->template_rsa_bits_min)
		return "template.rsa_bits_max";
	*ret_other = "ca.crl_hours";
	snprintf(why, size, "must be less than ca.crl_hours (%d), or there are times without a valid CRL",
		 conf->ca_crl_hours);
	if (conf->ca_crl_interval_minutes >= conf->ca_crl_hours * 60)
		return "ca.crl_interval_minutes";
	*ret_other = "front.body_bytes";
	snprintf(why, size, "must not be less than front.body_bytes (%d), or no body of that length could ever arrive",
		 conf->front_body_bytes);
	if (conf->front_body_bytes_total < conf->front_body_bytes)
		return "front.body_bytes_total";
	/* The signer refuses what lives longer, so these would fail one by one later. */
	*ret_other = "ca.max_validity_days";
	snprintf(why, size, "must not exceed ca.max_validity_days (%d)", conf->ca_max_validity_days);
	if (conf->template_validity_days > conf->ca_max_validity_days)
		return "template.validity_days";
	if (conf->ca_ra_days > conf->ca_max_validity_days)
		return "ca.ra_days";
	if (conf->front_tls_hours > conf->ca_max_validity_days * 24)
		return "front.tls_hours";
	if (check_challenge(conf, ret_other, why, size) != NULL)
		return "challenge.accept";
	return check_delta(conf, ret_other, why, size);
}
