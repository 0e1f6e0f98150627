/*
 * Settings: what is refused and how the refusal reads, ranges from both sides, reload, and that what is printed is
 * read.
 */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "board/config.h"
#include "board/config_check.h"
#include "tests/lib/test.h"

static struct err e;

/* Parses one file that is called "F". */
static int
parse(const char *text, struct config *conf)
{
	memset(&e, 0, sizeof(e));
	return config_parse(text, "F", conf, &e);
}

static void
refused(const char *text, const char *message)
{
	struct config conf;
	struct config before;

	memset(&conf, 0x5a, sizeof(conf));
	memcpy(&before, &conf, sizeof(conf));
	CHECK_INT(parse(text, &conf), ERR_CONFIG);
	CHECK_TEXT(e.text, message);
	CHECK_INT(memcmp(&conf, &before, sizeof(conf)), 0);
}

static void
accepted(const char *text)
{
	struct config conf;

	if (parse(text, &conf) != 0)
		print_error("%s\n%s\n", text, e.text);
	CHECK_INT(e.code, 0);
}

TEST(a_misspelt_setting_gets_the_nearest_name)
{
	refused("log: {\n\tlevle = \"info\";\n};", "F:2: log.levle: no such setting; did you mean log.level?");
	refused("front: {\n\n\thtp = \"\"; };", "F:3: front.htp: no such setting; did you mean front.http?");
	refused("log: { sha1 = true; };", "F:1: log.sha1: no such setting; did you mean scep.sha1?");
	refused("log: { wxyz_wxyz_wxyz = 1; };", "F:1: log.wxyz_wxyz_wxyz: no such setting");
}

TEST(names_of_microsoft_are_understood_where_they_mean_the_same)
{
	struct config conf;

	CHECK_INT(parse("challenge: { PasswordMax = 500; PasswordValidity = 90; };"
			"front: { MaxFieldLength = 1000; MaxRequestBytes = 2000; maxAllowedContentLength = 3000;"
			" maxUrl = 4000; maxQueryString = 5000; };"
			"ndes: { SignatureTemplate = \"A\"; EncryptionTemplate = \"B\"; GeneralPurposeTemplate = "
			"\"C\"; };"
			"ca: { EDITF_ATTRIBUTEENDDATE = true; };",
			&conf),
		  0);
	CHECK_INT(conf.challenge_max_open, 500);
	CHECK_INT(conf.challenge_lifetime_minutes, 90);
	CHECK_INT(conf.front_field_bytes, 1000);
	CHECK_INT(conf.front_header_bytes, 2000);
	CHECK_INT(conf.front_body_bytes, 3000);
	CHECK_INT(conf.front_url_bytes, 4000);
	CHECK_INT(conf.front_query_bytes, 5000);
	CHECK_TEXT(conf.ndes_signature_template, "A");
	CHECK_TEXT(conf.ndes_encryption_template, "B");
	CHECK_TEXT(conf.ndes_general_purpose_template, "C");
	CHECK(conf.ca_editf_attributeenddate);
	refused("challenge: {\n PasswordLength = 8; };", "F:2: challenge.PasswordLength: write length, which counts "
							 "hexadecimal digits: twice the octets");
	refused("challenge: { UseSinglePassword = 1; };",
		"F:1: challenge.UseSinglePassword: write static_file, which names the file with that password");
	refused("challenge: { EnforcePassword = 0; };",
		"F:1: challenge.EnforcePassword: write missing: refuse, or pending; "
		"without a password nothing is issued");
	refused("challenge: { max_open = 5; PasswordMax = 5; };",
		"F:1: challenge.PasswordMax: stands there under our name too");
	refused("front: { PasswordMax = 5; };", "F:1: front.PasswordMax: no such setting");
}

TEST(a_misspelt_group_gets_the_nearest_name)
{
	refused("\nlgo: { };", "F:2: lgo: no such group of settings; did you mean log?");
	refused("level = \"info\";", "F:1: level: settings stand in groups; did you mean log.level?");
	refused("wxyzwxyzwxyz: { };", "F:1: wxyzwxyzwxyz: no such group of settings");
	refused("front = 1;", "F:1: front: must be a group: { key = value; … }");
}

TEST(a_wrong_type_is_refused)
{
	refused("front: { loops = \"2\"; };", "F:1: front.loops: must be a whole number from 1 to 16");
	refused("front: { loops = 2.0; };", "F:1: front.loops: must be a whole number from 1 to 16");
	refused("front: { loops = (1, 2); };", "F:1: front.loops: must be a whole number from 1 to 16");
	refused("front: { loops = { a = 1; }; };", "F:1: front.loops: must be a whole number from 1 to 16");
	refused("front: { loops = 4294967298L; };", "F:1: front.loops: must be a whole number from 1 to 16");
	refused("scep: { sha1 = 1; };", "F:1: scep.sha1: must be true or false");
	refused("log: { level = 1; };",
		"F:1: log.level: must be a text in quotes of at most 9 bytes without control characters");
	refused("template: { name = \"a\\nb\"; };",
		"F:1: template.name: must be a text in quotes of at most 39 bytes without control characters");
}

TEST(a_number_that_libconfig_would_cut_is_refused)
{
	refused("front: {\n loops = 4294967298; };", "F:2: a number is too large");
	refused("front: {\n loops = 0x100000002; };", "F:2: a number is too large");
	refused("/* \n */ front: { loops = 99999999999999999999999999; };", "F:2: a number is too large");
	accepted("# 4294967298 \n// 4294967298 \n/* 4294967298 */ template: { name = \"4294967298\"; };");
	accepted("front: { loops = 0x10; };");
}

TEST(what_is_no_libconfig_file_is_refused_with_its_line)
{
	refused("log: {\n level = \n};", "F:3: syntax error");
	refused("log: { level = \"info\"; level = \"debug\"; };", "F:1: duplicate setting name");
	refused("\n  @include \"/etc/passwd\"\n", "F:2: @include: is not allowed; write all settings here");
	accepted("# @include\n/* @include */ template: { name = \"a\"; };");
}

static void
in_range(const char *group, const char *key, long long value, bool ok)
{
	char text[200];
	struct config conf;
	int rc;

	snprintf(text, sizeof(text), "%s: { %s = %lld; };", group, key, value);
	rc = parse(text, &conf);
	/* The value may still contradict another setting's default. */
	CHECK_INT(rc != 0 && (strstr(e.text, "whole number from") != NULL || strstr(e.text, "too large") != NULL), !ok);
}

TEST(numbers_are_held_to_their_range_from_both_sides)
{
#define GROUP(group, help)
#define INT(group, key, value, low, high, when, help)                                                                  \
	in_range(#group, #key, (low), true);                                                                           \
	in_range(#group, #key, (high), true);                                                                          \
	in_range(#group, #key, (low)-1LL, false);                                                                      \
	in_range(#group, #key, (high) + 1LL, false);                                                                   \
	in_range(#group, #key, INT_MIN, false);                                                                        \
	in_range(#group, #key, LLONG_MAX, false);
#define BOOL(group, key, value, when, help)
#define TEXT(group, key, value, size, when, help)
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
}

static void
fits(const char *group, const char *key, size_t len, bool ok)
{
	char value[1024];
	char text[1200];
	struct config conf;
	int rc;

	memset(value, 'a', len);
	value[len] = '\0';
	snprintf(text, sizeof(text), "%s: { %s = \"%s\"; };", group, key, value);
	rc = parse(text, &conf);
	CHECK_INT(rc != 0 && strstr(e.text, "must be a text in quotes of at most") != NULL, !ok);
}

TEST(texts_are_held_to_their_length_from_both_sides)
{
#define GROUP(group, help)
#define INT(group, key, value, low, high, when, help)
#define BOOL(group, key, value, when, help)
#define TEXT(group, key, value, size, when, help)                                                                      \
	fits(#group, #key, (size)-1, true);                                                                            \
	fits(#group, #key, (size), false);
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
}

static void
word(const char *setting, const char *value, bool ok)
{
	char why[160] = "";

	if (config_check_text(setting, value, why, sizeof(why)) != ok)
		fail_msg("%s = \"%s\" should be %s: %s", setting, value, ok ? "allowed" : "refused", why);
	CHECK_INT(why[0] == '\0', ok);
}

TEST(addresses_must_be_address_and_port)
{
	word("front.http", "", true);
	word("front.http", "127.0.0.1:80 [::]:80  [2001:db8::1]:65535", true);
	word("front.admin_https", "localhost:1", false);
	word("admin.certificates", "ab", false);
	word("admin.certificates", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg", false);
	word("admin.certificates", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", false);
	word("admin.certificates", "", true);
	word("admin.certificates",
	     "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef "
	     "01:23:45:67:89:ab:cd:ef:0123456789abcdef0123456789abcdef0123456789abcdef",
	     true);
	word("front.https", "0.0.0.0:0", true);
	word("front.http", "80", false);
	word("front.http", "127.0.0.1", false);
	word("front.http", "127.0.0.1:", false);
	word("front.http", "127.0.0.1:65536", false);
	word("front.http", "127.0.0.1:-1", false);
	word("front.http", "127.0.0.1:+1", false);
	word("front.http", "localhost:80", false);
	word("front.http", "::1:80", false);
	word("front.http", "[::1:80", false);
	word("front.http", "[]:80", false);
	word("front.http", ":80", false);
	word("front.http", "127.0.0.1:80,127.0.0.2:80", false);
	word("front.https", "[::ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80", false);
}

TEST(a_pin_in_the_token_setting_is_refused)
{
	word("signer.token", "chancery", true);
	word("signer.token", "pkcs11:token=a%20b;serial=0123456789abcdef0123456789", true);
	word("signer.token", "pkcs11:token=a?pin-value=1234", false);
	word("signer.token", "pkcs11:token=a?PIN-Source=file:/x", false);
	word("signer.token", "", false);
	word("signer.token", "a-label-of-more-than-thirty-two-b", false);
}

TEST(the_environment_must_be_one_harmless_variable)
{
	word("signer.environment", "", true);
	word("signer.environment", "SOFTHSM2_CONF=/etc/chancery/softhsm2.conf", true);
	word("signer.environment", "A=", true);
	word("signer.environment", "A", false);
	word("signer.environment", "=x", false);
	word("signer.environment", "1A=x", false);
	word("signer.environment", "LD_PRELOAD=/tmp/x.so", false);
	word("signer.environment", "CHANCERY_OWNER=provision", false);
}

TEST(names_and_urls_must_be_such)
{
	word("front.tls_names", "scep.example.com 192.0.2.1 2001:db8::1 a-b", true);
	word("front.tls_names", "a_b", false); /* no certificate may have it (RFC 5280 4.2.1.6) */
	word("front.tls_names", "192.0.2", false);
	word("front.tls_names", "192.0.2.256", false);
	word("front.tls_names", "4.example", true);
	word("front.tls_names", "", false);
	word("front.tls_names", "-a.example", false);
	word("front.tls_names", "a-.example", false);
	word("front.tls_names", "a..b", false);
	word("front.tls_names", "a.", false);
	word("front.tls_names", "*.example.com", false);
	word("front.tls_names", "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc", true);
	word("front.tls_names", "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcd", false);
	word("ca.crl_url", "", true);
	word("ca.crl_url", "http://a/crl", true);
	word("ca.ca_url", "https://[2001:db8::1]/ca?x=y", true);
}

TEST(urls_must_begin_with_http)
{
	word("ca.ca_url", "https://a.example:8443/ca", true);
	word("ca.ca_url", "ldap://a/ca", false);
	word("ca.ca_url", "http://", false);
	word("ca.ca_url", "http:///ca", false);
	word("ca.ca_url", "http://a/c a", false);
	word("ca.ca_url", "HTTP", false);
}

TEST(words_of_the_template_must_be_known)
{
	word("template.key_usage", "digitalSignature keyAgreement", true);
	word("template.key_usage", "", false);
	word("template.key_usage", "keyCertSign", false);
	word("template.key_usage", "digitalsignature", false);
	word("template.extended_key_usage", "", true);
	word("template.extended_key_usage", "clientAuth 1.3.6.1.5.5.7.3.17", true);
	word("template.extended_key_usage", "1", false);
	word("template.extended_key_usage", "1.", false);
	word("template.extended_key_usage", "3.1", false);
	word("template.extended_key_usage", "1..2", false);
	word("template.extended_key_usage", "1.02", false);
	word("template.extended_key_usage", "anyThing", false);
	word("template.subject_rdns", "CN O serialNumber", true);
	word("template.subject_rdns", "CN=x", false);
	word("template.subject_rdns", "", false);
	word("template.san_types", "", true);
	word("template.san_types", "DNS IP email URI UPN", true);
	word("template.san_types", "dns", false);
	word("template.name", "device-1", true);
	word("template.name", "", false);
	word("template.name", "a b", false);
	word("log.level", "debug", true);
	word("log.level", "loud", false);
	word("paths.state", "/x", true);
	word("paths.state", "x", false);
	word("signer.pin_file", "", true);
	word("signer.pin_file", "pin", false);
}

TEST(settings_that_contradict_each_other_are_refused)
{
	refused("ca: {\n ra_renew_days = 365;\n};", "F:2: ca.ra_renew_days: must be less than ca.ra_days (365)");
	refused("ca: {\n ra_days = 30;\n};", "F:2: ca.ra_renew_days: must be less than ca.ra_days (30)");
	refused("template: { rsa_bits_max = 2048; rsa_bits_min = 4096; };",
		"F:1: template.rsa_bits_max: must not be less than template.rsa_bits_min (4096)");
	refused("template: { validity_days = 826; };",
		"F:1: template.validity_days: must not exceed ca.max_validity_days (825)");
	refused("\nca: { max_validity_days = 100; };",
		"F:2: template.validity_days: must not exceed ca.max_validity_days (100)");
	refused("ca: { crl_hours = 12; };",
		"F:1: ca.crl_interval_minutes: must be less than ca.crl_hours (12), or there "
		"are times without a valid CRL");
	accepted("ca: { ra_days = 31; ra_renew_days = 30; crl_hours = 13; };");
}

TEST(the_empty_file_is_the_defaults)
{
	struct config conf;
	struct config defaults;

	config_default(&defaults);
	CHECK_INT(parse("", &conf), 0);
	CHECK_INT(memcmp(&conf, &defaults, sizeof(conf)), 0);
	CHECK_TEXT(conf.log_level, "info");
	CHECK_INT(conf.signer_deadline_ms, 8000);
	CHECK(conf.template_ec_keys);
}

static char *
printed(const struct config *conf)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print(conf, out);
	fclose(out);
	return text;
}

TEST(what_is_printed_is_read_as_the_same)
{
	struct config conf;
	struct config again;
	AUTO(char) text = NULL;

	CHECK_INT(parse("paths: { state = \"/a \\\"b\\\\c\"; }; log: { level = \"debug\"; }; front: { loops = 16; }; "
			"scep: { sha1 = true; certrep_ca = true; }; ca: { crl_url = \"http://x/\"; };",
			&conf),
		  0);
	text = printed(&conf);
	CHECK_INT(parse(text, &again), 0);
	CHECK_INT(memcmp(&conf, &again, sizeof(conf)), 0);
	CHECK_TEXT(again.paths_state, "/a \"b\\c");
}

/* Asked by LeakSanitizer.  libconfig 1.5 forgets the beginning of a string that the file ends in. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n"; /* the first is inlined in some builds */
}

TEST(damaged_files_are_refused_or_read_but_never_harm)
{
	struct config conf;
	AUTO(char) text = NULL;
	AUTO(char) damaged = NULL;
	size_t len;
	size_t i;
	int rc;

	config_default(&conf);
	text = printed(&conf);
	len = strlen(text);
	damaged = strdup(text);
	for (i = 0; i < len; i += 37) {
		damaged[i] = '\0';
		rc = parse(damaged, &conf);
		CHECK(rc == 0 || rc == ERR_CONFIG);
		damaged[i] = (char)(text[i] ^ 0x11);
		rc = parse(damaged, &conf);
		CHECK(rc == 0 || rc == ERR_CONFIG);
		damaged[i] = text[i];
	}
}

TEST(files_that_cannot_be_read_are_named)
{
	char path[] = "/tmp/test_board_config.XXXXXX";
	char zeros[300 * 1024] = {0};
	struct config conf;
	int fd = mkstemp(path);

	memset(&e, 0, sizeof(e));
	CHECK_INT(config_load("/nonexistent/x.conf", &conf, &e), ERR_IO);
	CHECK(strstr(e.text, "/nonexistent/x.conf") != NULL);
	CHECK_INT(write(fd, "log: {};\0x", 10), 10);
	memset(&e, 0, sizeof(e));
	CHECK_INT(config_load(path, &conf, &e), ERR_CONFIG);
	CHECK(strstr(e.text, "NUL") != NULL);
	CHECK_INT(write(fd, zeros, sizeof(zeros)), sizeof(zeros));
	memset(&e, 0, sizeof(e));
	CHECK_INT(config_load(path, &conf, &e), ERR_CONFIG);
	CHECK_INT(ftruncate(fd, 0), 0);
	memset(&e, 0, sizeof(e));
	CHECK_INT(config_load(path, &conf, &e), 0);
	close(fd);
	unlink(path);
}

static size_t changes;
static char last_change[64];

static void
changed(const char *setting, void *arg)
{
	changes++;
	snprintf(last_change, sizeof(last_change), "%s", setting);
}

TEST(a_reload_takes_what_it_may_and_names_the_rest)
{
	struct config conf;
	struct config next;

	config_default(&conf);
	changes = 0;
	CHECK_INT(parse("front: { loops = 7; idle_s = 99; }; log: { level = \"debug\"; };", &next), 0);
	config_reload(&conf, &next, changed, NULL);
	CHECK_INT(changes, 1);
	CHECK_TEXT(last_change, "front.loops");
	CHECK_INT(conf.front_loops, CONFIG_NET_LOOPS);
	CHECK_INT(conf.front_idle_s, 99);
	CHECK_TEXT(conf.log_level, "debug");
}

TEST(a_reload_treats_every_setting_as_the_table_says)
{
	enum { RELOAD, RESTART };
	struct config conf;
	struct config next;
	size_t restarts = 0;

	config_default(&conf);
	config_default(&next);
#define GROUP(group, help)
#define INT(group, key, value, low, high, when, help)                                                                  \
	next.group##_##key++;                                                                                          \
	restarts += (when) == RESTART;
#define BOOL(group, key, value, when, help)                                                                            \
	next.group##_##key = !next.group##_##key;                                                                      \
	restarts += (when) == RESTART;
#define TEXT(group, key, value, size, when, help)                                                                      \
	next.group##_##key[0] = '~';                                                                                   \
	restarts += (when) == RESTART;
#include "board/config.def"
#undef INT
#undef BOOL
#undef TEXT
	changes = 0;
	config_reload(&conf, &next, changed, NULL);
	CHECK_INT(changes, restarts);
#define INT(group, key, value, low, high, when, help)                                                                  \
	CHECK_INT(conf.group##_##key == next.group##_##key, (when) == RELOAD);
#define BOOL(group, key, value, when, help) CHECK_INT(conf.group##_##key == next.group##_##key, (when) == RELOAD);
#define TEXT(group, key, value, size, when, help)                                                                      \
	CHECK_INT(strcmp(conf.group##_##key, next.group##_##key) == 0, (when) == RELOAD);
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
}

TEST(the_manual_names_every_setting)
{
	AUTO(char) text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print_man(out);
	fclose(out);
#define GROUP(group, help)                            CHECK(strstr(text, ".SS " #group ": ") != NULL);
#define INT(group, key, value, low, high, when, help) CHECK(strstr(text, ".B " #group "." #key "\n") != NULL);
#define BOOL(group, key, value, when, help)           CHECK(strstr(text, ".B " #group "." #key "\n") != NULL);
#define TEXT(group, key, value, size, when, help)     CHECK(strstr(text, ".B " #group "." #key "\n") != NULL);
#include "board/config.def"
#undef GROUP
#undef INT
#undef BOOL
#undef TEXT
}

TEST_MAIN(RUN(a_misspelt_setting_gets_the_nearest_name),
	  RUN(names_of_microsoft_are_understood_where_they_mean_the_same), RUN(a_misspelt_group_gets_the_nearest_name),
	  RUN(a_wrong_type_is_refused), RUN(a_number_that_libconfig_would_cut_is_refused),
	  RUN(what_is_no_libconfig_file_is_refused_with_its_line), RUN(numbers_are_held_to_their_range_from_both_sides),
	  RUN(texts_are_held_to_their_length_from_both_sides), RUN(addresses_must_be_address_and_port),
	  RUN(a_pin_in_the_token_setting_is_refused), RUN(the_environment_must_be_one_harmless_variable),
	  RUN(names_and_urls_must_be_such), RUN(urls_must_begin_with_http), RUN(words_of_the_template_must_be_known),
	  RUN(settings_that_contradict_each_other_are_refused), RUN(the_empty_file_is_the_defaults),
	  RUN(what_is_printed_is_read_as_the_same), RUN(damaged_files_are_refused_or_read_but_never_harm),
	  RUN(files_that_cannot_be_read_are_named), RUN(a_reload_takes_what_it_may_and_names_the_rest),
	  RUN(a_reload_treats_every_setting_as_the_table_says), RUN(the_manual_names_every_setting))
