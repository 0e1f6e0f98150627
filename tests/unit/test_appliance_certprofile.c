/* Certificate profiles: their text, and names by their formats, whatever the values are. */
#include "appliance/certprofile.h"

#include <string.h>

#include "appliance/cert.h"
#include "board/base/der.h"
#include "tests/lib/test.h"

enum { ROOM = 4096 };

#define REQUIRED "name = \"p\"; template = \"device\"; extended_key_usage = \"clientAuth\";\n"

static int
parse(const char *body, struct app_certprofile *ret_profile, struct err *e)
{
	char text[4096];

	snprintf(text, sizeof(text), "certificate_profile = {\n%s\n};\n", body);
	return app_certprofile_parse(text, "wifi.conf", ret_profile, e);
}

TEST(errors_name_file_line_field_and_what_is_allowed)
{
	static const struct {
		const char *body;
		const char *error;
	} list[] = {
		{"", "wifi.conf:1: name: is missing"},
		{"name = \"p\";", "wifi.conf:1: template: is missing"},
		{"name = \"-p\";", "wifi.conf:2: name: must neither"},
		{REQUIRED "colour = 1;", "wifi.conf:3: colour: no such field"},
		{REQUIRED "retries = 31;", "wifi.conf:3: retries: must be a whole number from 0 to 30"},
		{REQUIRED "renewal_threshold = 0;", "wifi.conf:3: renewal_threshold: must be a whole number from 1"},
		{REQUIRED "key_storage = \"Floppy\";", "wifi.conf:3: key_storage: must be one of InstallToTPM"},
		{REQUIRED "multifactor = true;", "wifi.conf:3: multifactor: needs key_storage"},
		{REQUIRED "devices = \"some\";", "wifi.conf:3: devices: must be one of primary, any"},
		{REQUIRED "type = \"Robot\";", "wifi.conf:3: type: must be one of User, Machine"},
		{REQUIRED "hashes = \"SHA-1 SHA-256\";", "wifi.conf:3: hashes: nothing is issued"},
		{REQUIRED "hashes = \"MD5\";", "wifi.conf:3: hashes: must be SHA-2"},
		{REQUIRED "key_sizes = \"1024 2048\";", "wifi.conf:3: key_sizes: \"1024\""},
		{REQUIRED "key_usage = \"NonRepudiation\";", "wifi.conf:3: key_usage: must be DigitalSignature"},
		{REQUIRED "key_sizes = \"P-256\";", "wifi.conf:1: key_usage: an EC key cannot encipher"},
		{REQUIRED "root = \"12:34\";", "wifi.conf:3: root: must be the SHA-1"},
		{REQUIRED "scep_urls = \"https://a ldap://b\";", "wifi.conf:3: scep_urls: must be http"},
		{REQUIRED "subject_format = \"CommonNameAsShoeSize\";",
		 "wifi.conf:3: subject_format: subject: neither"},
		{REQUIRED "subject_format = \"CN={{ShoeSize}}\";", "wifi.conf:3: subject_format: subject: variable"},
		{REQUIRED "subject_format = \"CN={{UserName\";", "wifi.conf:3: subject_format: subject: \"{{\""},
		{REQUIRED "subject_format = \"CN=UserName}}\";", "wifi.conf:3: subject_format: subject: \"{{\""},
		{REQUIRED "subject_format = \"C={{DeviceName}}\";", "wifi.conf:3: subject_format: subject: "},
		{REQUIRED "subject_format = \"{{UserName}}=x\";", "wifi.conf:3: subject_format: subject: name:"},
		{REQUIRED "san_formats = \"Fax\";", "wifi.conf:3: san_formats: \"Fax\" is not understood"},
		{REQUIRED "san_custom = \"{{DNS}}:x\";", "wifi.conf:3: san_custom: subjectAltName: each must begin"},
		{REQUIRED "san_custom = \"DNS:{{Email}}\";", "wifi.conf:3: san_custom: subjectAltName: DNS"},
		{"name = \"p\"; template = \"device\";\nextended_key_usage = \"2.5.29.37.0\";",
		 "wifi.conf:3: extended_key_usage: any purpose"},
	};
	struct app_certprofile profile;

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		struct err e = {0};

		CHECK_INT(parse(list[i].body, &profile, &e), ERR_CONFIG);
		if (strncmp(e.text, list[i].error, strlen(list[i].error)) != 0)
			fail_msg("%s: %s", list[i].body, e.text);
	}
}

TEST(what_is_printed_is_read_back_as_the_same)
{
	struct app_certprofile profile, again;
	struct err e = {0};
	AUTO_BUF text = {0};

	CHECK_INT(parse(REQUIRED
			"description = \"with \\\"quotes\\\" and \\\\\"; retries = 7; devices = \"any\";"
			"key_storage = \"InstallToNGC_FailIfNotPresent\"; multifactor = true; type = \"Machine\";"
			"subject_format = \"CN={{DeviceName}},O=a\\\\,b\"; san_formats = \"Dns AAD\";"
			"san_custom = \"URI:tag:microsoft.com,2022-09-14:sid:{{OnPremisesSecurityIdentifier}}\";"
			"key_usage = \"DigitalSignature\"; key_sizes = \"4096 P-521\"; hashes = \"SHA-384\";"
			"root = \"0123456789abcdef0123456789abcdef01234567\";"
			"scep_urls = \"https://a/x http://b\";",
			&profile, &e),
		  0);
	buf_init(&text, ROOM);
	app_certprofile_print(&profile, &text);
	buf_put_u8(&text, '\0');
	CHECK_INT(app_certprofile_parse((const char *)text.data, "again", &again, &e), 0);
	CHECK(memcmp(&profile, &again, sizeof(profile)) == 0);
	/* Broken texts are errors and no more. */
	for (size_t i = 0; i + 1 < text.len; i++) {
		uint8_t octet = text.data[i];

		text.data[i] = i % 2 == 0 ? '\0' : (uint8_t)(octet ^ 4);
		(void)!app_certprofile_parse((const char *)text.data, "broken", &again, NULL);
		text.data[i] = octet;
	}
}

/* The subject that a format gives, compared with a name written as text; NULL: it fails, and says why. */
static void
check_subject(const char *format, const char *variable, const char *want, const char *why)
{
	struct app_certprofile profile = {.name = "p"};
	struct bytes variables[] = {bytes_of_text(variable)};
	AUTO_BUF got = {0}, wanted = {0};
	struct err e = {0};
	int code;

	buf_init(&got, ROOM);
	buf_init(&wanted, ROOM);
	snprintf(profile.subject_format, sizeof(profile.subject_format), "%s", format);
	code = app_certprofile_subject(&profile, variables, 1, &got, &e);
	if (want == NULL) {
		CHECK_INT(code, ERR_FORMAT);
		if (strstr(e.text, why) == NULL)
			fail_msg("%s", e.text);
		return;
	}
	if (code != 0)
		fail_msg("%s", e.text);
	CHECK_INT(app_name_parse(want, &wanted, NULL), 0);
	CHECK(bytes_equal(buf_bytes(&got), buf_bytes(&wanted)));
}

TEST(a_value_stays_inside_its_attribute)
{
	check_subject("CN={{DeviceName}},O=Example", "DeviceName=x,O=evil", "CN=x\\,O\\=evil,O=Example", NULL);
	check_subject("CN={{DeviceName}}", "DeviceName=x\\,O=evil", "CN=x\\\\\\,O\\=evil", NULL);
	check_subject("CN={{DeviceName}}", "DeviceName=a+OU=b", "CN=a\\+OU\\=b", NULL);
	check_subject("CN={{DeviceName}}", "DeviceName=#0403", "CN=\\#0403", NULL);
	check_subject("CN={{DeviceName}}", "DeviceName= a ", "CN=\\ a\\ ", NULL);
	check_subject("CN={{DeviceName}}", "DeviceName={{UserName}}", "CN={{UserName}}", NULL);
	check_subject("CN={{DeviceName}}-{{DeviceName}}", "DeviceName=\"", "CN=\\\"-\\\"", NULL);
	check_subject("CommonNameAsDeviceName", "DeviceName=a", "CN=a", NULL);
	check_subject("Email", "Email=a@b.example", "emailAddress=a@b.example", NULL);
	check_subject("DirectoryPath", "OnPrem_Distinguished_Name=CN=a,OU=b", "CN=a,OU=b", NULL);
	check_subject("CN={{DeviceName}}", "UserName=a", NULL, "variable DeviceName: the ask has no value");
	check_subject("C={{Country}}", "Country=DEU", NULL, "subject: ");
	check_subject("CN={{DeviceName}}", "DeviceName=\x80", NULL, "subject: ");
	check_subject("CN={{DeviceName}}",
		      "DeviceName=12345678901234567890123456789012345678901234567890123456789012345", NULL,
		      "subject: ");
}

static void
check_san(const char *custom, const char *variable, const char *want, const char *why)
{
	struct app_certprofile profile = {.name = "p"};
	struct bytes variables[] = {bytes_of_text(variable)};
	AUTO_BUF got = {0};
	struct err e = {0};
	struct view list;
	struct der name;
	int code;

	buf_init(&got, ROOM);
	snprintf(profile.san_custom, sizeof(profile.san_custom), "%s", custom);
	code = app_certprofile_san(&profile, variables, 1, &got, &e);
	if (want == NULL) {
		CHECK_INT(code, ERR_FORMAT);
		if (strstr(e.text, why) == NULL)
			fail_msg("%s", e.text);
		return;
	}
	if (code != 0)
		fail_msg("%s", e.text);
	CHECK_INT(der_whole(buf_bytes(&got), DER_SEQUENCE, &list), 0);
	CHECK_INT(der_next(&list, &name), 0);
	CHECK(bytes_equal(name.content, bytes_of_text(want)));
	CHECK_INT(list.left, 0);
}

TEST(a_value_stays_inside_its_name)
{
	check_san("URI:urn:x:{{DeviceName}}", "DeviceName=a;b,DNS:c", "urn:x:a;b,DNS:c", NULL);
	check_san("DNS:{{DeviceName}}.example", "DeviceName=a", "a.example", NULL);
	check_san("DNS:{{DeviceName}}.example", "DeviceName=a;DNS:b", NULL, "DNS is not well-formed");
	check_san("DNS:{{DeviceName}}.example", "DeviceName=*", NULL, "DNS is not well-formed");
	check_san("email:{{Email}}", "Email=a@b@c", NULL, "email is not well-formed");
	check_san("UPN:{{UserPrincipalName}}", "UserPrincipalName=a", NULL, "UPN is not well-formed");
	check_san("URI:tag:microsoft.com,2022-09-14:sid:{{OnPremisesSecurityIdentifier}}",
		  "OnPremisesSecurityIdentifier=S-1-5-21-1-2-3-500x", NULL, "a SID that is none");
	check_san("DNS:{{DNS}}", "DeviceName=a", NULL, "variable DNS: the ask has no value");
}

TEST(variables_are_checked_before_they_are_used)
{
	const struct bytes bad[] = {
		bytes_of_text(""),      bytes_of_text("=x"),    bytes_of_text("A"),      bytes_of_text("A="),
		bytes_of_text("A B=x"), bytes_of_text("A=x\n"), bytes_of_text("A=\xff"), {(const uint8_t *)"A=\0", 3},
	};
	const struct bytes twice[] = {bytes_of_text("A=1"), bytes_of_text("B=1"), bytes_of_text("A=1")};
	char text[600];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_INT(app_certprofile_variables(&bad[i], 1, NULL), ERR_FORMAT);
	CHECK_INT(app_certprofile_variables(twice, 3, NULL), ERR_FORMAT);
	CHECK_INT(app_certprofile_variables(twice, 2, NULL), 0);
	memset(text, 'x', sizeof(text));
	memcpy(text, "A=", 2);
	text[sizeof(text) - 1] = '\0';
	CHECK_INT(app_certprofile_variables(&(struct bytes){(const uint8_t *)text, strlen(text)}, 1, NULL), ERR_FORMAT);
}

TEST_MAIN(RUN(errors_name_file_line_field_and_what_is_allowed), RUN(what_is_printed_is_read_back_as_the_same),
	  RUN(a_value_stays_inside_its_attribute), RUN(a_value_stays_inside_its_name),
	  RUN(variables_are_checked_before_they_are_used))
