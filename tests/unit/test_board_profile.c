/*
 * SCEP profiles in the configuration: what is refused, in which line, and how it reads; what a profile is that says
 * little; presets; and that what is printed is read.
 */
#include <stdlib.h>

#include "board/config.h"
#include "board/config_check.h"
#include "tests/lib/test.h"

static struct err e;

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

/* The profile of this name in that file. */
static struct config_profile
profile_of(const char *text, const char *name)
{
	struct config conf;
	struct config_profile profile;

	if (parse(text, &conf) != 0)
		fail_msg("%s\n%s", text, e.text);
	if (config_profile_find(&conf, bytes_of_text(name), &profile) != 0)
		fail_msg("%s\nhas no profile %s", text, name);
	return profile;
}

TEST(what_is_no_list_of_groups_is_refused)
{
	refused("profiles = { };", "F:1: profiles: must be a list: ( { name = \"…\"; … }, … )");
	refused("\nprofiles = 1;", "F:2: profiles: must be a list: ( { name = \"…\"; … }, … )");
	refused("profiles = [ ];", "F:1: profiles: must be a list: ( { name = \"…\"; … }, … )");
	refused("profiles = (\n \"a\" );", "F:2: profiles[0]: must be a group: { name = \"…\"; … }");
	refused("profiles = ( ( ) );", "F:1: profiles[0]: must be a group: { name = \"…\"; … }");
	refused("profile = ( );", "F:1: profile: no such group of settings; did you mean profiles?");
}

TEST(a_name_is_needed_is_plain_and_is_there_once)
{
	refused("profiles = ( { name = \"a\"; },\n { } );", "F:2: profiles[1].name: every profile needs one");
	refused("profiles = ( { name = \"a\"; },\n { sha1 = true;\n name = \"a\"; } );",
		"F:3: profiles[1].name: another profile has this name");
	refused("profiles = ( { name = \"\"; } );",
		"F:1: profiles[0].name: must be small letters, digits and '-', beginning with a letter or digit");
	refused("profiles = ( { name = \"Cisco\"; } );",
		"F:1: profiles[0].name: must be small letters, digits and '-', beginning with a letter or digit");
	refused("profiles = ( { name = \"a/b\"; } );",
		"F:1: profiles[0].name: must be small letters, digits and '-', beginning with a letter or digit");
	refused("profiles = ( { name = \"-a\"; } );",
		"F:1: profiles[0].name: must be small letters, digits and '-', beginning with a letter or digit");
	refused("profiles = ( { name = \"ocsp\"; } );", "F:1: profiles[0].name: \"ocsp\" is part of another address");
	refused("profiles = ( { name = \"default\"; } );",
		"F:1: profiles[0].name: \"default\" is part of another address");
	refused("profiles = ( { name = \"abcdefghijabcdefghijabcdefghijabc\"; } );",
		"F:1: profiles[0].name: must be a text in quotes of at most 32 bytes without control characters");
	refused("profiles = ( { name = 1; } );",
		"F:1: profiles[0].name: must be a text in quotes of at most 32 bytes without control characters");
	profile_of("profiles = ( { name = \"abcdefghijabcdefghijabcdefghij-9\"; } );",
		   "abcdefghijabcdefghijabcdefghij-9");
}

TEST(seventeen_profiles_are_too_many)
{
	char text[1000] = "profiles = (";
	struct config conf;
	size_t used = strlen(text);

	for (int i = 0; i < CONFIG_PROFILES_MAX; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s{ name = \"p%d\"; }", i > 0 ? "," : "",
					 i);
	strcpy(text + used, ");");
	CHECK_INT(parse(text, &conf), 0);
	CHECK_INT(conf.profile_count, CONFIG_PROFILES_MAX);
	strcpy(text + used, ", { name = \"more\"; });");
	refused(text, "F:1: profiles: there may be 16 of them at most");
}

TEST(a_misspelt_field_gets_the_nearest_name)
{
	refused("profiles = ( { name = \"a\";\n\ncertrep_cs = true; } );",
		"F:3: profiles[0].certrep_cs: no such field of a profile; did you mean certrep_ca?");
	refused("profiles = ( { name = \"a\"; wxyzwxyz = true; } );",
		"F:1: profiles[0].wxyzwxyz: no such field of a profile");
	refused("profiles = ( { name = \"a\"; message_bytes = 4096; } );",
		"F:1: profiles[0].message_bytes: no such field of a profile");
}

TEST(values_are_held_to_their_type_and_words)
{
	refused("profiles = ( { name = \"a\"; sha1 = 1; } );", "F:1: profiles[0].sha1: must be true or false");
	refused("profiles = ( { name = \"a\"; challenge = \"none\"; } );",
		"F:1: profiles[0].challenge: must be any, one-time or static; to accept none is not offered");
	refused("profiles = ( { name = \"a\"; challenge_missing = \"issue\"; } );",
		"F:1: profiles[0].challenge_missing: must be refuse or pending");
	refused("profiles = ( { name = \"a\"; microsoft_attributes = \"yes\"; } );",
		"F:1: profiles[0].microsoft_attributes: must be auto, always or never");
	refused("profiles = ( { name = \"a\"; template = \"a b\"; } );",
		"F:1: profiles[0].template: must be letters, digits, '-', '_' or '.'");
	refused("profiles = ( { name = \"a\"; preset = \"cisco\"; } );",
		"F:1: profiles[0].preset: must be one of android apple certmonger cisco-ios juniper scepclient sscep "
		"strongswan windows");
	refused("profiles = ( { name = \"a\"; ra_certificates = \"one\"; } );",
		"F:1: profiles[0].ra_certificates: must be both: no key here signs and decrypts, so one certificate "
		"cannot serve both uses");
}

static void
capability(const char *value, bool ok)
{
	char why[200] = "";

	if (config_check_text("scep.caps_extra", value, why, sizeof(why)) != ok)
		fail_msg("\"%s\" should be %s: %s", value, ok ? "allowed" : "refused", why);
	CHECK_INT(why[0] == '\0', ok);
}

TEST(capabilities_that_are_untrue_or_known_already_are_refused)
{
	capability("", true);
	capability("SHA-384", true);
	capability(" SHA-384  Example.com-Name/1+a_b ", true);
	capability("AES", false);
	capability("GetNextCACert", false);
	capability("x sha-1", false);
	capability("MD5", false);
	capability("Des", false);
	capability("Update", false);
	capability("a\xc3\xa4", false);
	capability("a;b", false);
	capability("abcdefghijabcdefghijabcdefghijabcdefghij", true);
	capability("abcdefghijabcdefghijabcdefghijabcdefghijk", false);
	refused("profiles = ( { name = \"a\";\n caps_extra = \"SHA-256\"; } );",
		"F:2: profiles[0].caps_extra: \"SHA-256\" is announced by itself when it is true");
}

TEST(no_profile_is_laxer_than_what_all_can_have)
{
	refused("profiles = ( { name = \"a\";\n challenge_missing = \"pending\"; } );",
		"F:2: profiles[0].challenge_missing: must not be pending while challenge.missing is refuse: any device "
		"can "
		"ask at this URL");
	refused("template: { approval = true; }; profiles = ( { name = \"a\";\n approval = false; } );",
		"F:2: profiles[0].approval: must not be false while template.approval is true: any device can ask at "
		"this "
		"URL");
	refused("scep: { renewal = false; }; profiles = ( { name = \"a\";\n renewal = true; } );",
		"F:2: profiles[0].renewal: must not be true while scep.renewal is false: any device can ask at this "
		"URL");
	refused("challenge: { accept = \"one-time\"; static_file = \"/s\"; };\nprofiles = ( { name = \"a\"; challenge "
		"= "
		"\"static\"; } );",
		"F:2: profiles[0].challenge: must be what challenge.accept is, unless that is any: any device can ask "
		"at "
		"this URL");
	refused("profiles = ( { name = \"a\"; challenge = \"static\"; } );",
		"F:1: profiles[0].challenge: needs challenge.static_file, or no challenge would ever be accepted");
	refused("challenge: {\n accept = \"static\"; };",
		"F:2: challenge.accept: needs challenge.static_file, or no challenge would ever be accepted");
}

TEST(a_profile_may_be_stricter)
{
	struct config_profile p = profile_of(
		"challenge: { missing = \"pending\"; static_file = \"/s\"; };\n"
		"profiles = ( { name = \"a\"; renewal = false; challenge_missing = \"refuse\"; approval = true;"
		" challenge = \"static\"; } );",
		"a");

	CHECK(!p.renewal && p.approval);
	CHECK_TEXT(p.challenge_missing, "refuse");
	CHECK_TEXT(p.challenge, "static");
}

/* Which templates there are, the authority knows: test_appliance_scepprofile. */
TEST(a_profile_names_any_template)
{
	CHECK_TEXT(profile_of("profiles = ( { name = \"a\"; template = \"other\"; } );", "a").template, "other");
	CHECK_TEXT(profile_of("profiles = ( { name = \"a\"; template = \"device\"; } );", "a").template, "device");
}

TEST(what_a_profile_does_not_say_is_as_the_settings_wherever_those_stand)
{
	struct config_profile p = profile_of("profiles = ( { name = \"a\"; } );\n"
					     "scep: { sha1 = true; getcacert_root = false; caps_extra = \"X\"; };\n"
					     "challenge: { missing = \"pending\"; }; template: { approval = true; };",
					     "a");

	CHECK(p.sha1 && !p.getcacert_root && !p.des3 && p.approval && p.renewal);
	CHECK_TEXT(p.caps_extra, "X");
	CHECK_TEXT(p.challenge_missing, "pending");
	CHECK_TEXT(p.challenge, "any");
	CHECK_TEXT(p.preset, "");
	CHECK_TEXT(p.ra_certificates, "both");
}

TEST(a_preset_outranks_settings_and_is_outranked_by_what_is_written)
{
	const char *text = "scep: { certrep_ca = true; sha1 = false; };\n"
			   "profiles = ( { name = \"j\"; preset = \"juniper\"; },\n"
			   " { name = \"k\"; certrep_ca = true; preset = \"juniper\"; },\n"
			   " { name = \"l\"; sha1 = false; preset = \"scepclient\"; } );";

	CHECK(!profile_of(text, "j").certrep_ca);
	CHECK(profile_of(text, "k").certrep_ca);
	CHECK(profile_of(text, "l").des_requests && !profile_of(text, "l").sha1);
	CHECK(profile_of(text, "").certrep_ca);
}

TEST(each_preset_is_what_its_client_needs)
{
	const char *text =
		"scep: { certrep_ca = true; getcacert_root = false; getcacert_chain = false; };\n"
		"profiles = ( { name = \"c\"; preset = \"cisco-ios\"; }, { name = \"j\"; preset = \"juniper\"; },"
		"{ name = \"w\"; preset = \"windows\"; }, { name = \"s\"; preset = \"strongswan\"; },"
		"{ name = \"m\"; preset = \"scepclient\"; }, { name = \"a\"; preset = \"apple\"; } );";
	struct config_profile p = profile_of(text, "c");

	CHECK(p.certrep_ca && !p.sha1 && !p.des3 && !p.des_requests);
	CHECK(!profile_of(text, "j").certrep_ca);
	p = profile_of(text, "w");
	CHECK(p.getcacert_chain && p.getcacert_root);
	CHECK_TEXT(p.microsoft_attributes, "always");
	p = profile_of(text, "s");
	CHECK(p.getcacert_chain && p.getcacert_root && p.caps_blank_line && !p.sha1);
	p = profile_of(text, "m");
	CHECK(p.sha1 && p.des_requests && !p.des3);
	p = profile_of(text, "a");
	CHECK(p.getcacert_chain && p.getcacert_root);
}

TEST(every_preset_can_be_used)
{
	struct config_profile p;
	char text[200];

#define OWN(...)
#define BOOL(...)
#define TEXT(...)
#define PRESET(preset_, help)                                                                                          \
	snprintf(text, sizeof(text), "profiles = ( { name = \"a\"; preset = \"%s\"; } );", preset_);                   \
	p = profile_of(text, "a");                                                                                     \
	CHECK_TEXT(p.preset, preset_);
#define SETS(...)
#include "board/profile.def"
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS
}

TEST(a_profile_is_found_by_its_whole_name_in_any_case)
{
	struct config conf;
	struct config_profile p;

	CHECK_INT(parse("profiles = ( { name = \"ab\"; }, { name = \"abc\"; } );", &conf), 0);
	CHECK_INT(config_profile_find(&conf, bytes_of_text("ABC"), &p), 0);
	CHECK_TEXT(p.name, "abc");
	CHECK_INT(config_profile_find(&conf, bytes_of_text("a"), &p), ERR_UNKNOWN);
	CHECK_INT(config_profile_find(&conf, bytes_of_text("abcd"), &p), ERR_UNKNOWN);
	CHECK_INT(config_profile_find(&conf, (struct bytes){(const uint8_t *)"ab\0", 3}, &p), ERR_UNKNOWN);
	CHECK_INT(config_profile_find(&conf, (struct bytes){NULL, 0}, &p), 0);
	CHECK_TEXT(p.name, "");
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

static const char two[] =
	"scep: { des3 = true; };\n"
	"profiles = ( { name = \"routers\"; preset = \"cisco-ios\"; des3 = false; },\n"
	"{ name = \"laptops\"; preset = \"windows\"; caps_extra = \"SHA-384 x\"; approval = true; } );";

TEST(what_is_printed_is_complete_and_read_as_the_same)
{
	struct config conf;
	struct config again;
	AUTO(char) text = NULL;

	CHECK_INT(parse(two, &conf), 0);
	text = printed(&conf);
	CHECK(strstr(text, "profiles: (") != NULL);
#define OWN(key, value, size, help)           CHECK(strstr(text, "\t\t" #key " = ") != NULL);
#define BOOL(key, group, setting, help)       CHECK(strstr(text, "\t\t" #key " = ") != NULL);
#define TEXT(key, group, setting, size, help) CHECK(strstr(text, "\t\t" #key " = ") != NULL);
#define PRESET(name, help)                    CHECK(strstr(text, " " name) != NULL);
#define SETS(...)
#include "board/profile.def"
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS
	CHECK_INT(parse(text, &again), 0);
	CHECK_INT(memcmp(&conf, &again, sizeof(conf)), 0);
}

TEST(a_reload_takes_profiles)
{
	struct config conf;
	struct config next;

	CHECK_INT(parse("", &conf), 0);
	CHECK_INT(parse(two, &next), 0);
	config_reload(&conf, &next, NULL, NULL);
	CHECK_INT(memcmp(&conf, &next, sizeof(conf)), 0);
}

TEST(damaged_lists_are_refused_or_read_but_never_harm)
{
	struct config conf;
	char damaged[sizeof(two)];
	int rc;

	for (size_t i = 0; i < sizeof(two) - 1; i++) {
		memcpy(damaged, two, sizeof(two));
		damaged[i] = '\0';
		rc = parse(damaged, &conf);
		CHECK(rc == 0 || rc == ERR_CONFIG);
		damaged[i] = (char)(two[i] ^ 0x11);
		rc = parse(damaged, &conf);
		CHECK(rc == 0 || rc == ERR_CONFIG);
	}
}

/* Asked by LeakSanitizer.  libconfig 1.5 forgets the beginning of a string that the file ends in. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n"; /* the first is inlined in some builds */
}

TEST(the_manual_names_every_field_and_preset)
{
	AUTO(char) text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	config_print_man(out);
	fclose(out);
	CHECK(strstr(text, ".SH PROFILES\n") != NULL && strstr(text, ".SH PRESETS\n") != NULL);
#define OWN(key, value, size, help)           CHECK(strstr(text, ".TP\n.B " #key "\n") != NULL);
#define BOOL(key, group, setting, help)       CHECK(strstr(text, ".B " #key "\nLike\n.B " #group "." #setting) != NULL);
#define TEXT(key, group, setting, size, help) CHECK(strstr(text, ".B " #key "\nLike\n.B " #group "." #setting) != NULL);
#define PRESET(name, help)
#define SETS(preset, key, value, help) CHECK(strstr(text, ".br\n" #key " = " value ": ") != NULL);
#include "board/profile.def"
#undef OWN
#undef BOOL
#undef TEXT
#undef PRESET
#undef SETS
}

TEST_MAIN(RUN(what_is_no_list_of_groups_is_refused), RUN(a_name_is_needed_is_plain_and_is_there_once),
	  RUN(seventeen_profiles_are_too_many), RUN(a_misspelt_field_gets_the_nearest_name),
	  RUN(values_are_held_to_their_type_and_words), RUN(capabilities_that_are_untrue_or_known_already_are_refused),
	  RUN(no_profile_is_laxer_than_what_all_can_have), RUN(a_profile_may_be_stricter),
	  RUN(a_profile_names_any_template), RUN(what_a_profile_does_not_say_is_as_the_settings_wherever_those_stand),
	  RUN(a_preset_outranks_settings_and_is_outranked_by_what_is_written),
	  RUN(each_preset_is_what_its_client_needs), RUN(every_preset_can_be_used),
	  RUN(a_profile_is_found_by_its_whole_name_in_any_case), RUN(what_is_printed_is_complete_and_read_as_the_same),
	  RUN(a_reload_takes_profiles), RUN(damaged_lists_are_refused_or_read_but_never_harm),
	  RUN(the_manual_names_every_field_and_preset))
