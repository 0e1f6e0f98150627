/* hsm/token: what names a token in the configuration, and what may not stand there. */
#include <stdio.h>

#include "hsm/token.h"
#include "tests/lib/test.h"

static int
parse(const char *text, struct hsm_token_name *name)
{
	struct hsm_token_name before;
	struct err e = {0};
	int code;

	memset(name, 0x5a, sizeof(*name));
	before = *name;
	code = hsm_token_name_parse(text, name, &e);
	CHECK_INT(e.code, code);
	/* A failure leaves the result alone and never repeats what was written, which may hold a PIN. */
	if (code != 0)
		CHECK(memcmp(name, &before, sizeof(before)) == 0 && strstr(e.text, "4711") == NULL);
	return code;
}

TEST(secrets_and_unknown_attributes_are_refused)
{
	static const char *const bad[] = {
		"",
		"a label of more than 32 characters",
		"pkcs11:",
		"pkcs11:token=",
		"pkcs11:token=a?pin-value=4711",
		"pkcs11:token=a?pin-source=file:/4711",
		"pkcs11:token=a;pin-value=4711",
		"pkcs11:token=a?module-path=/4711",
		"pkcs11:token=a;slot-id=4711",
		"pkcs11:token=a;object=4711",
		"pkcs11:token=a;token=b",
		"pkcs11:model=SoftHSM%20v2",
		"pkcs11:token=a%",
		"pkcs11:token=a%4",
		"pkcs11:token=a%zz",
		"pkcs11:token=a%00b",
		"pkcs11:serial=12345678901234567",
		"pkcs11:token",
	};
	struct hsm_token_name name;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_INT(parse(bad[i], &name), ERR_CONFIG);
}

TEST(label_is_taken_as_it_is)
{
	struct hsm_token_name name;

	CHECK_INT(parse("chancery; test%20/1", &name), 0);
	CHECK_TEXT(name.label, "chancery; test%20/1");
	CHECK_TEXT(name.serial, "");
	CHECK_INT(parse("12345678901234567890123456789012", &name), 0);
	CHECK_TEXT(name.label, "12345678901234567890123456789012");
}

TEST(uri_names_token_serial_manufacturer_model)
{
	struct hsm_token_name name;

	CHECK_INT(parse("pkcs11:token=My%20%43A;serial=0123456789abcdef;manufacturer=Some%2Bone;model=v2", &name), 0);
	CHECK_TEXT(name.label, "My CA");
	CHECK_TEXT(name.serial, "0123456789abcdef");
	CHECK_TEXT(name.manufacturer, "Some+one");
	CHECK_TEXT(name.model, "v2");
	CHECK_INT(parse("pkcs11:serial=77", &name), 0);
	CHECK_TEXT(name.label, "");
	CHECK_TEXT(name.serial, "77");
}

TEST_MAIN(RUN(secrets_and_unknown_attributes_are_refused), RUN(label_is_taken_as_it_is),
	  RUN(uri_names_token_serial_manufacturer_model))
