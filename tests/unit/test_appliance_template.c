#include "appliance/template.h"

#include "appliance/template_impl.h"
#include "tests/lib/test.h"

/* Reads "template = {" on line 1, then body from line 2 on. */
static int
parse(const char *body, struct app_template *ret_template, struct err *e)
{
	char text[4096];

	snprintf(text, sizeof(text), "template = {\n%s\n};\n", body);
	return app_template_parse_one(text, "router.conf", ret_template, e);
}

static int
refuse_all(const struct app_template *template, unsigned line, void *arg, struct err *e)
{
	(*(int *)arg)++;
	return 0;
}

static void
check_refused(const char *text, const char *why)
{
	struct err e = {0};
	int seen = 0;

	CHECK_INT(app_template_parse(text, "f", refuse_all, &seen, &e), ERR_CONFIG);
	if (strstr(e.text, why) == NULL)
		fail_msg("%s: %s", text, e.text);
	CHECK_INT(seen, 0);
}

TEST(errors_name_file_line_field_and_what_is_allowed)
{
	static const struct {
		const char *body;
		const char *error;
	} list[] = {
		{"name = \"a\";\nexportable = true;", "router.conf:3: exportable: no such field"},
		{"name = \"a b\";", "router.conf:2: name: must be letters"},
		{"name = \"caf\xc3\xa9\";", "router.conf:2: name: must be letters and digits of ASCII"},
		{"name = \"\";", "router.conf:2: name: must be letters"},
		{"name = \"0123456789012345678901234567890123456789\";", "router.conf:2: name: must be at most 39"},
		{"name = \"tls\";", "router.conf:2: name: \"tls\" is the name of the CA's own"},
		{"name = 3;", "router.conf:2: name: must be a text in quotes"},
		{"name = \"a\";\n display_name = \"a\\x01\";", "router.conf:3: display_name: must not have control"},
		{"name = \"a\";\n display_name = \"\xff\";", "router.conf:3: display_name: must be text in UTF-8"},
		{"name = \"a\";\n oid = \"1.2.03\";", "router.conf:3: oid: must be one object identifier"},
		{"name = \"a\";\n oid = \"1.2.3 1.2.4\";", "router.conf:3: oid: must be one object identifier"},
		{"name = \"a\";\n schema_version = 5;",
		 "router.conf:3: schema_version: must be a whole number from 1 to 4"},
		{"name = \"a\";\n major_version = -1;", "router.conf:3: major_version: must be a whole number from 0"},
		{"name = \"a\";\n minor_version = \"1\";",
		 "router.conf:3: minor_version: must be a whole number from 0"},
		{"name = \"a\";\n name_extension = 1;", "router.conf:3: name_extension: must be true or false"},
		{"name = \"a\";\n validity_days = 99999;", "router.conf:3: validity_days: must be a whole number"},
		{"name = \"a\";\n validity_days = 99999999999;", "router.conf:3: a number is too large"},
		{"name = \"a\";\n key_usage = \"\";", "router.conf:3: key_usage: at least one is needed"},
		{"name = \"a\";\n key_usage = \"keyCertSign\";", "router.conf:3: key_usage: \"keyCertSign\" is not"},
		{"name = \"a\";\n extended_key_usage = \"x\";", "router.conf:3: extended_key_usage: \"x\" is not"},
		{"name = \"a\";\n extended_key_usage = \"1.3.6.1.5.5.7.3.9\";",
		 "router.conf:3: extended_key_usage: OCSP signing"},
		{"name = \"a\";\n extended_key_usage = \"2.5.29.37.0\";",
		 "router.conf:3: extended_key_usage: any purpose"},
		{"name = \"a\";\n application_policies = \"1.3.6.1.4.1.311.10.12.1\";",
		 "router.conf:3: application_policies: any purpose"},
		{"name = \"a\";\n application_policies = \"clientAuth clientAuth\";",
		 "router.conf:3: application_policies: \"clientAuth\" stands there twice"},
		{"name = \"a\";\n algorithms = \"dsa\";", "router.conf:3: algorithms: \"dsa\" is not understood"},
		{"name = \"a\";\n algorithms = \"\";", "router.conf:3: algorithms: at least one"},
		{"name = \"a\";\n rsa_bits_min = 1024;",
		 "router.conf:3: rsa_bits_min: must be a whole number from 2048"},
		{"name = \"a\";\n subject_from = \"directory\";",
		 "router.conf:3: subject_from: must be \"request\" or"},
		{"name = \"a\";\n subject_rdns = \"CN planet\";", "router.conf:3: subject_rdns: \"planet\" is not"},
		{"name = \"a\";\n subject_fixed = \"O\";", "router.conf:3: subject_fixed: must be like"},
		{"name = \"a\";\n subject_fixed = \"C=DEU\";", "router.conf:3: subject_fixed: must be like"},
		{"name = \"a\";\n san_types = \"dns\";", "router.conf:3: san_types: \"dns\" is not understood"},
		{"name = \"a\";\n dns_suffixes = \".example\";", "router.conf:3: dns_suffixes: must be DNS names"},
		{"name = \"a\";\n crl_url = \"file:///x\";", "router.conf:3: crl_url: an http, https or ldap URL"},
		{"name = \"a\";\n ca_url = \"http://a b\";", "router.conf:3: ca_url: a URL has neither"},
		{"name = \"a\";\n sid = \"csr\";", "router.conf:3: sid: must be \"none\" or \"challenge\""},
		{"name = \"a\";\n permissions = \"all\";", "router.conf:3: permissions: must be a list"},
		{"name = \"a\";\n permissions = ( { who = \"x\"; rights = \"read\"; } );",
		 "router.conf:3: permissions: each"},
		{"name = \"a\";\n permissions = ( { group = \"x\"; rights = \"write\"; } );",
		 "router.conf:3: permissions: \"write\" is not understood; rights are read, enroll"},
		{"name = \"a\";\n permissions = ( { group = \"x\"; rights = \"\"; } );",
		 "permissions: no right at all"},
		{"name = \"a\";\n permissions = (\n { group = \"x\"; rights = \"read\"; },\n"
		 " { group = \"x\"; rights = \"enroll\"; } );",
		 "router.conf:5: permissions: the same name"},
		{"name = \"a\";\n name = \"b\";", "router.conf:3: duplicate setting name"},
		{"name = \"a\"\n oid = ", "router.conf:"},
	};
	struct app_template template;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		e = (struct err){0};
		CHECK_INT(parse(list[i].body, &template, &e), ERR_CONFIG);
		if (strstr(e.text, list[i].error) == NULL)
			fail_msg("%s\n%s", list[i].error, e.text);
	}
}

TEST(fields_that_contradict_each_other_are_refused_with_line_and_reason)
{
	static const struct {
		const char *body;
		const char *error;
	} list[] = {
		{"", "router.conf:1: name: is missing"},
		{"name = \"a\";\n validity_days = 1;\n validity_hours = 1;", ":4: validity_hours: either"},
		{"name = \"a\";\n validity_days = 0;", ":3: validity_days: validity_days or validity_hours"},
		{"name = \"a\";\n validity_days = 30;\n renewal_days = 30;", ":4: renewal_days: must be less"},
		{"name = \"a\";\n validity_hours = 24;\n renewal_days = 1;", ":4: renewal_days: must be less"},
		{"name = \"a\";\n rsa_bits_max = 2048;\n rsa_bits_min = 3072;", ":3: rsa_bits_max: must not be less"},
		{"name = \"a\";\n algorithms = \"p256\";\n key_usage = \"keyEncipherment\";",
		 ":4: key_usage: an EC key"},
		{"name = \"a\";\n algorithms = \"rsa\";\n key_usage = \"keyAgreement\";", ":4: key_usage: an RSA key"},
		{"name = \"a\";\n subject_from = \"template\";", ":3: subject_from: \"template\" needs"},
		{"name = \"a\";\n san_types = \"DNS\";\n san_required = \"IP\";", ":4: san_required: has a kind"},
		{"name = \"a\";\n san_types = \"IP\";\n dns_suffixes = \"example\";", ":4: dns_suffixes: needs DNS"},
		{"name = \"a\";\n san_types = \"DNS\";\n sid = \"challenge\";", ":4: sid: \"challenge\" needs URI"},
		{"name = \"a\";\n information_extension = true;", ":3: information_extension: needs oid"},
		{"name = \"a\";\n application_policies_mirror = true;", ":3: application_policies_mirror: needs"},
		{"name = \"a\";\n extended_key_usage = \"clientAuth\";\n application_policies_mirror = true;\n"
		 " application_policies = \"clientAuth\";",
		 ":4: application_policies_mirror: either"},
		{"name = \"a\";\n ra_signatures = 2;", ":3: ra_signatures: must be 0 or 1: a request has one"},
		{"name = \"a\";\n permissions = ( { group = \"x\"; rights = \"read autoenroll\"; } );",
		 ":3: permissions: autoenroll needs enroll"},
	};
	struct app_template template;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		e = (struct err){0};
		CHECK_INT(parse(list[i].body, &template, &e), ERR_CONFIG);
		if (strstr(e.text, list[i].error) == NULL)
			fail_msg("%s\n%s", list[i].error, e.text);
	}
}

TEST(a_file_holds_templates_and_nothing_else)
{
	check_refused("", "template = {");
	check_refused("template = 3;", "must be a group");
	check_refused("templates = ();", "and nothing else");
	check_refused("template = { name = \"a\"; };\nx = 1;", "and nothing else");
	check_refused("templates = ( { name = \"a\"; },\n { name = \"a\"; } );", "f:2: name: another template");
	check_refused("templates = ( { name = \"a\"; }, { name = \"b\"; ra_signatures = 2; } );", "ra_signatures");
	check_refused("@include \"/etc/passwd\"\n", "@include");
}

TEST(several_templates_are_read_in_their_order)
{
	struct app_template one;
	struct err e = {0};
	int seen = 0;
	const char *text = "templates = ( { name = \"a\"; }, { name = \"b\"; } );";

	CHECK_INT(app_template_parse(text, "f", refuse_all, &seen, &e), 0);
	CHECK_INT(seen, 2);
	CHECK_INT(app_template_parse_one(text, "f", &one, &e), ERR_CONFIG);
}

TEST(what_is_printed_is_read_back_as_the_same)
{
	static const char *const bodies[] = {
		"name = \"a\";",
		"name = \"a\"; validity_hours = 8; algorithms = \"p384\"; key_usage = \"digitalSignature\";",
		"name = \"Router-1\"; display_name = \"Router \\\"x\\\" \\\\ \xc3\xa9\"; oid = "
		"\"1.3.6.1.4.1.311.21.8.99.1\";"
		"schema_version = 4; major_version = 100; minor_version = 7; validity_days = 90; renewal_days = 30;"
		"key_usage = \"nonRepudiation keyAgreement digitalSignature\";"
		"extended_key_usage = \"1.2.3.4.5 2.999.1 smartcardLogon\"; application_policies_mirror = true;"
		"rsa_bits_min = 3072; rsa_bits_max = 4096; subject_from = \"template\"; subject_fixed = "
		"\"O=A\\\\,B,C=DE\";"
		"subject_rdns = \"CN UID\"; san_types = \"DNS URI\"; san_required = \"DNS\";"
		"dns_suffixes = \"example.com corp.example\"; crl_url = \"http://x/crl\"; ca_url = \"ldap://x/ca\";"
		"ocsp_url = \"http://x/ocsp\"; approval = true; approvals = 3; publish = true; ra_signatures = 1;"
		"sid = \"challenge\"; permissions = ( { account = \"alice\"; rights = \"full-control\"; },"
		"{ group = \"mdm\"; rights = \"enroll autoenroll read\"; } );",
		"name = \"a\"; permissions = ();",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		struct app_template first, second;
		struct err e = {0};
		AUTO_BUF text = {0};

		if (parse(bodies[i], &first, &e) != 0)
			fail_msg("%s", e.text);
		buf_init(&text, 100000);
		app_template_print(&first, &text);
		buf_put_u8(&text, 0);
		if (app_template_parse_one((const char *)text.data, "f", &second, &e) != 0)
			fail_msg("%s\n%s", e.text, text.data);
		assert_memory_equal(&first, &second, sizeof(first));
	}
}

TEST(builtin_templates_are_what_windows_has)
{
	static const struct {
		const char *name;
		const char *display_name;
		int major, days;
		unsigned key_usage;
		const char *purposes;
		bool agent;
	} known[] = {
		{"IPSECIntermediateOffline", "IPSec (Offline request)", 7, 730, 0xa0, "ipsecIKEIntermediate", false},
		{"CEPEncryption", "CEP Encryption", 4, 730, 0x20, "certificateRequestAgent", true},
		{"EnrollmentAgentOffline", "Exchange Enrollment Agent (Offline request)", 4, 730, 0x80,
		 "certificateRequestAgent", true},
		{"Machine", "Computer", 5, 365, 0xa0, "clientAuth serverAuth", false},
		{"User", "User", 3, 365, 0xa0, "encryptingFileSystem emailProtection clientAuth", false},
		{"WebServer", "Web Server", 4, 730, 0xa0, "serverAuth", false},
	};
	struct app_account operator= {.name = "bob", .groups = {"ra-operators"}, .group_count = 1};
	struct app_account root;

	app_account_root(&root);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct app_template t;
		struct err e = {0};
		AUTO_BUF words = {0};

		if (app_template_parse_one(app_template_builtin(i), "builtin", &t, &e) != 0)
			fail_msg("%s", e.text);
		CHECK_TEXT(t.name, known[i].name);
		CHECK_TEXT(t.display_name, known[i].display_name);
		CHECK_INT(t.schema_version, 1);
		CHECK(t.name_extension && !t.information_extension);
		CHECK_INT(t.major_version, known[i].major);
		CHECK_INT(t.minor_version, 1);
		CHECK_INT(t.validity_days, known[i].days);
		CHECK_INT(t.key_usage, known[i].key_usage);
		buf_init(&words, 1000);
		app_words_oids_print(&t.extended_key_usage, &words);
		CHECK_BYTES(words, known[i].purposes, strlen(known[i].purposes));
		CHECK_INT(app_template_is_agent(&t), known[i].agent);
		CHECK(app_template_permits(&t, &root, APP_RIGHT_ENROLL));
		CHECK_INT(app_template_permits(&t, &operator, APP_RIGHT_ENROLL), !known[i].agent);
	}
	CHECK(app_template_builtin(ARRAY_SIZE(known)) == NULL);
}

TEST(rights_are_those_of_the_account_and_its_groups)
{
	struct app_account nobody = {.name = ""};
	struct app_account alice = {.name = "alice"};
	struct app_account bob = {.name = "bob", .groups = {"sales", "mdm"}, .group_count = 2};
	struct app_account carol = {.name = "mdm"};
	struct app_template t;
	struct err e = {0};

	CHECK_INT(parse("name = \"a\"; permissions = ( { account = \"alice\"; rights = \"full-control\"; },\n"
			"{ group = \"mdm\"; rights = \"enroll\"; }, { account = \"bob\"; rights = \"read\"; } );",
			&t, &e),
		  0);
	CHECK(!app_template_permits(&t, &nobody, APP_RIGHT_READ));
	CHECK(app_template_permits(&t, &alice, APP_RIGHT_AUTOENROLL));
	CHECK(app_template_permits(&t, &alice, APP_RIGHT_FULL));
	CHECK(app_template_permits(&t, &bob, APP_RIGHT_ENROLL));
	CHECK(app_template_permits(&t, &bob, APP_RIGHT_READ));
	CHECK(!app_template_permits(&t, &bob, APP_RIGHT_AUTOENROLL));
	CHECK(!app_template_permits(&t, &bob, APP_RIGHT_FULL));
	/* An account is no group, whatever its name. */
	CHECK(!app_template_permits(&t, &carol, APP_RIGHT_ENROLL));
}

TEST(rights_can_be_given_and_taken_away)
{
	struct app_account bob = {.name = "bob", .groups = {"mdm"}, .group_count = 1};
	struct app_template t, read;
	unsigned rights = 0;
	char who[8];
	AUTO_BUF text = {0};

	CHECK_INT(parse("name = \"a\";", &t, NULL), 0);
	CHECK(!app_template_permits(&t, &bob, APP_RIGHT_ENROLL));
	CHECK_INT(app_template_rights_parse("autoenroll", &rights, NULL), ERR_CONFIG);
	CHECK_INT(app_template_rights_parse("autoenroll enroll", &rights, NULL), 0);
	CHECK_INT(app_template_permit(&t, true, "mdm", rights), 0);
	CHECK(app_template_permits(&t, &bob, APP_RIGHT_ENROLL));
	CHECK_INT(app_template_permit(&t, false, "zoe", APP_RIGHT_READ), 0);
	buf_init(&text, 4096);
	app_template_permissions_print(&t, &text);
	CHECK_INT(parse("name = \"a\";", &read, NULL), 0);
	CHECK_INT(app_template_permissions_parse(&read, buf_bytes(&text), NULL), 0);
	assert_memory_equal(&t, &read, sizeof(t));
	CHECK_INT(app_template_permit(&t, true, "mdm", 0), 0);
	CHECK(!app_template_permits(&t, &bob, APP_RIGHT_ENROLL));
	CHECK_INT(t.permission_count, 3);
	for (int i = 3; i < APP_PERMISSIONS_MAX; i++) {
		snprintf(who, sizeof(who), "a%d", i);
		CHECK_INT(app_template_permit(&t, false, who, APP_RIGHT_READ), 0);
	}
	CHECK_INT(app_template_permit(&t, false, "one-more", APP_RIGHT_READ), ERR_LIMIT);
	CHECK_INT(app_template_permit(&t, false, "one-more", 0), 0);
}

TEST(stored_permissions_that_are_damaged_leave_the_template_as_it_is)
{
	static const char *const bad[] = {"x", "group : read", "group a: fly", "account a b: read",
					  "group a: autoenroll"};
	struct app_template t, before;

	CHECK_INT(parse("name = \"a\";", &t, NULL), 0);
	before = t;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(app_template_permissions_parse(&t, bytes_of_text(bad[i]), NULL) != 0);
		assert_memory_equal(&t, &before, sizeof(t));
	}
}

TEST(no_truncation_or_mutation_of_a_text_is_more_than_an_error)
{
	const char *good = app_template_builtin(4);
	char text[1024];
	int seen = 0;

	for (size_t len = 0; len < strlen(good); len++) {
		snprintf(text, len + 1, "%s", good);
		(void)!app_template_parse(text, "f", refuse_all, &seen, NULL);
	}
	for (size_t i = 0; i < strlen(good); i++) {
		for (int bit = 0; bit < 8; bit++) {
			snprintf(text, sizeof(text), "%s", good);
			text[i] = (char)(text[i] ^ 1 << bit);
			(void)!app_template_parse(text, "f", refuse_all, &seen, NULL);
		}
	}
}

TEST_MAIN(RUN(errors_name_file_line_field_and_what_is_allowed),
	  RUN(fields_that_contradict_each_other_are_refused_with_line_and_reason),
	  RUN(a_file_holds_templates_and_nothing_else), RUN(several_templates_are_read_in_their_order),
	  RUN(what_is_printed_is_read_back_as_the_same), RUN(builtin_templates_are_what_windows_has),
	  RUN(rights_are_those_of_the_account_and_its_groups), RUN(rights_can_be_given_and_taken_away),
	  RUN(stored_permissions_that_are_damaged_leave_the_template_as_it_is),
	  RUN(no_truncation_or_mutation_of_a_text_is_more_than_an_error))
