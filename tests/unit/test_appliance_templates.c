#include "appliance/templates.h"

#include "appliance/binding.h"
#include "board/base/clock.h"
#include "board/base/der.h"
#include "board/base/oid.h"
#include "tests/lib/certs.h"
#include "tests/lib/office.h"
#include "tests/lib/test.h"

#define SID     "S-1-5-21-1-2-3-1105"
#define SID_URI "tag:microsoft.com,2022-09-14:sid:" SID

/* A request of a device; zero and NULL: without it. */
struct wish {
	const char *challenge;
	unsigned key_usage; /* enum app_key_usage */
	const char *uri;
	const char *asks_sid;  /* NTDS CA security extension */
	const char *asks_name; /* Microsoft's template name extension, ASCII */
	const char *organization;
};

static void
put_extension(struct buf *list, struct bytes oid, struct bytes value)
{
	size_t mark = der_open(list, DER_SEQUENCE);

	der_put_oid(list, oid);
	der_put(list, DER_OCTET_STRING, value);
	der_close(list, mark);
}

static void
put_extensions(struct buf *list, const struct wish *wish)
{
	uint8_t usage[] = {DER_BIT_STRING, 2, 0, (uint8_t)wish->key_usage};
	AUTO_BUF value = {0};
	size_t mark;

	buf_init(&value, 1000);
	if (wish->key_usage != 0) {
		usage[2] = (uint8_t)__builtin_ctz(wish->key_usage);
		put_extension(list, OID_KEY_USAGE, (struct bytes){usage, sizeof(usage)});
	}
	if (wish->uri != NULL) {
		mark = der_open(&value, DER_SEQUENCE);
		der_put(&value, DER_CONTEXT(6), bytes_of_text(wish->uri));
		der_close(&value, mark);
		put_extension(list, OID_SUBJECT_ALT_NAME, buf_bytes(&value));
		buf_clear(&value);
	}
	if (wish->asks_name != NULL) {
		der_put(&value, DER_UTF8_STRING, bytes_of_text(wish->asks_name));
		put_extension(list, OID_MS_TEMPLATE_NAME, buf_bytes(&value));
	}
	if (wish->asks_sid != NULL)
		put_extension(list, OID_MS_NTDS_CA_SECURITY, bytes_of_text(wish->asks_sid));
}

/* Asks and waits for the answer. */
static void
ask(struct office *o, const char *transaction, const struct wish *wish)
{
	AUTO_BUF list = {0}, attributes = {0}, name = {0};
	char subject[100];
	int before = o->front.answers;
	struct bytes csr;

	buf_init(&list, 2000);
	buf_init(&attributes, 4000);
	buf_init(&name, 1000);
	put_extensions(&list, wish);
	if (list.len > 0)
		certs_attribute(&attributes, OID_EXTENSION_REQUEST, DER_SEQUENCE, buf_bytes(&list));
	if (wish->challenge != NULL)
		certs_attribute(&attributes, OID_CHALLENGE_PASSWORD, DER_PRINTABLE_STRING,
				bytes_of_text(wish->challenge));
	snprintf(subject, sizeof(subject), "CN=%s%s%s", transaction, wish->organization != NULL ? ",O=" : "",
		 wish->organization != NULL ? wish->organization : "");
	CHECK_INT(app_name_parse(subject, &name, NULL), 0);
	csr = certs_request(certs_rsa(), EVP_sha256(), buf_bytes(&name), buf_bytes(&attributes));
	office_ask(o, transaction, csr, certs_rsa());
	OFFICE_UNTIL(o, o->front.answers > before);
	free((void *)csr.data);
}

/* The same with a fresh challenge of its own. */
static void
enroll(struct office *o, const char *transaction, struct wish wish)
{
	office_challenge(o, transaction, clock_wall() + 1000);
	wish.challenge = transaction;
	ask(o, transaction, &wish);
}

/* The value of an extension in the last certificate, "" when it has none. */
static struct bytes
extension(const struct office *o, struct bytes oid)
{
	static struct x509 cert;
	struct x509_extension found = {.critical = true};

	CHECK_INT(o->front.last.status, STATUS_ISSUED);
	CHECK(office_certificate_good(o));
	CHECK_INT(x509_parse((struct bytes){o->front.certificate, o->front.last.certificate.len}, &cert, NULL), 0);
	if (x509_extension_find(&cert.tbs, oid, &found) != 0)
		return (struct bytes){NULL, 0};
	CHECK(!found.critical);
	return found.value;
}

static void
put(struct office *o, const char *body)
{
	struct app_template template;
	struct err e = {0};
	char text[2000];

	snprintf(text, sizeof(text), "template = { %s };", body);
	if (app_template_parse_one(text, "test", &template, &e) != 0 ||
	    app_templates_put(&o->authority, &template, &e) != 0)
		fail_msg("%s", e.text);
}

static void
choose(struct office *o, const char *signature, const char *encryption, const char *general)
{
	snprintf(o->conf.ndes_signature_template, sizeof(o->conf.ndes_signature_template), "%s", signature);
	snprintf(o->conf.ndes_encryption_template, sizeof(o->conf.ndes_encryption_template), "%s", encryption);
	snprintf(o->conf.ndes_general_purpose_template, sizeof(o->conf.ndes_general_purpose_template), "%s", general);
	office_reload(o);
}

static bool
is_done(struct app_store_request *r)
{
	return *(bool *)r->arg;
}

static void
on_done(struct app_store_request *r, void *arg)
{
	*(bool *)arg = true;
}

/* A challenge that is bound to word=value. */
static void
bound_challenge(struct office *o, const char *text, const char *word, const char *value)
{
	struct app_binding binding = {.key_usage = 0};
	bool done = false;
	struct app_store_request r = {.op = APP_STORE_CHALLENGE, .max_open = 100, .done = on_done, .arg = &done};

	if (strcmp(word, "uri") == 0) {
		AUTO_BUF san = {0};
		size_t mark;

		buf_init(&san, 1000);
		mark = der_open(&san, DER_SEQUENCE);
		der_put(&san, DER_CONTEXT(6), bytes_of_text(value));
		der_close(&san, mark);
		binding.san = bytes_dup(buf_bytes(&san));
	} else {
		CHECK_INT(app_binding_set(&binding, word, value, NULL), 0);
	}
	r.binding = &binding;
	r.expires = clock_wall() + 1000;
	app_challenge_hash(o->authority.challenge_key, bytes_of_text(text), r.challenge_hash);
	CHECK_INT(app_store_submit(o->authority.store, &r), 0);
	OFFICE_UNTIL(o, is_done(&r));
	CHECK_INT(r.code, 0);
	app_binding_fini(&binding);
}

TEST(settings_that_name_no_template_or_one_for_agents_are_refused)
{
	struct office o;
	struct err e = {0};

	office_open(&o, true);
	strcpy(o.conf.ndes_encryption_template, "nowhere");
	CHECK_INT(app_state_configure(&o.authority, &o.conf, &e), ERR_CONFIG);
	CHECK(strstr(e.text, "ndes.encryption_template") != NULL && strstr(e.text, "nowhere") != NULL);
	e = (struct err){0};
	strcpy(o.conf.ndes_encryption_template, "CEPEncryption");
	CHECK_INT(app_state_configure(&o.authority, &o.conf, &e), ERR_CONFIG);
	CHECK(strstr(e.text, "Certificate Request Agent") != NULL);
	e = (struct err){0};
	o.conf.ndes_encryption_template[0] = '\0';
	strcpy(o.conf.template_name, "User");
	CHECK_INT(app_state_configure(&o.authority, &o.conf, &e), ERR_CONFIG);
	CHECK(strstr(e.text, "template.name") != NULL);
	/* What was in force still is. */
	enroll(&o, "a", (struct wish){.key_usage = 0x20});
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	office_close(&o);
}

TEST(names_of_others_cannot_be_imported)
{
	static const char *const names[] = {"WebServer", "device"};
	struct app_template template;
	struct office o;

	office_open(&o, true);
	app_template_default(&template);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		strcpy(template.name, names[i]);
		CHECK_INT(app_templates_check_import(&o.authority, &template, NULL), ERR_CONFIG);
	}
	strcpy(template.name, "Router");
	CHECK_INT(app_templates_check_import(&o.authority, &template, NULL), 0);
	office_close(&o);
}

TEST(the_key_usage_that_is_asked_for_chooses_the_template)
{
	static const uint8_t web[] = "\x1e\x12\0W\0e\0b\0S\0e\0r\0v\0e\0r";
	static const uint8_t user[] = "\x1e\x08\0U\0s\0e\0r";
	static const uint8_t machine[] = "\x1e\x0e\0M\0a\0c\0h\0i\0n\0e";
	struct office o;

	office_open(&o, true);
	choose(&o, "WebServer", "User", "Machine");
	enroll(&o, "s", (struct wish){.key_usage = 0x80});
	CHECK_BYTES(extension(&o, OID_MS_TEMPLATE_NAME), web, sizeof(web) - 1);
	enroll(&o, "sn", (struct wish){.key_usage = 0xc0});
	CHECK_BYTES(extension(&o, OID_MS_TEMPLATE_NAME), web, sizeof(web) - 1);
	enroll(&o, "e", (struct wish){.key_usage = 0x20});
	CHECK_BYTES(extension(&o, OID_MS_TEMPLATE_NAME), user, sizeof(user) - 1);
	enroll(&o, "g", (struct wish){.key_usage = 0xa0});
	CHECK_BYTES(extension(&o, OID_MS_TEMPLATE_NAME), machine, sizeof(machine) - 1);
	/* What the request names itself does not count, and a missing key usage is general. */
	enroll(&o, "n", (struct wish){.asks_name = "WebServer"});
	CHECK_BYTES(extension(&o, OID_MS_TEMPLATE_NAME), machine, sizeof(machine) - 1);
	choose(&o, "", "", "");
	enroll(&o, "d", (struct wish){.key_usage = 0x80});
	CHECK_INT(extension(&o, OID_MS_TEMPLATE_NAME).len, 0);
	office_close(&o);
}

TEST(extensions_of_microsoft_are_encoded_as_windows_does)
{
	static const uint8_t information[] = "\x30\x10\x06\x08\x2b\x06\x01\x04\x01\x82\x37\x63\x02\x01\x64\x02\x01\x07";
	static const uint8_t policies[] = "\x30\x18\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02\x30\x0a\x06\x08\x2b"
					  "\x06\x01\x05\x05\x07\x03\x01";
	struct office o;

	office_open(&o, true);
	put(&o, "name = \"Router\"; oid = \"1.3.6.1.4.1.311.99\"; major_version = 100; minor_version = 7;"
		"extended_key_usage = \"clientAuth serverAuth\"; application_policies_mirror = true;");
	choose(&o, "", "", "Router");
	enroll(&o, "a", (struct wish){.key_usage = 0xa0});
	CHECK_BYTES(extension(&o, OID_MS_TEMPLATE_INFO), information, sizeof(information) - 1);
	CHECK_BYTES(extension(&o, OID_MS_APPLICATION_POLICIES), policies, sizeof(policies) - 1);
	CHECK_INT(extension(&o, OID_MS_TEMPLATE_NAME).len, 0);
	office_close(&o);
}

TEST(parts_of_the_subject_that_the_template_fixes_replace_those_of_the_request)
{
	struct office o;
	struct x509 cert;
	char text[200];

	office_open(&o, true);
	put(&o, "name = \"Fixed\"; subject_fixed = \"O=Example,C=DE\"; subject_rdns = \"CN\";");
	choose(&o, "", "", "Fixed");
	enroll(&o, "a", (struct wish){.organization = "Evil"});
	CHECK_INT(o.front.last.status, STATUS_ISSUED);
	CHECK_INT(x509_parse((struct bytes){o.front.certificate, o.front.last.certificate.len}, &cert, NULL), 0);
	x509_name_text(cert.tbs.subject, text, sizeof(text));
	CHECK_TEXT(text, "CN=a, O=Example, C=DE");
	put(&o, "name = \"Fixed\"; subject_from = \"template\"; subject_fixed = \"O=Example\";");
	enroll(&o, "b", (struct wish){.organization = "Evil"});
	CHECK_INT(x509_parse((struct bytes){o.front.certificate, o.front.last.certificate.len}, &cert, NULL), 0);
	x509_name_text(cert.tbs.subject, text, sizeof(text));
	CHECK_TEXT(text, "O=Example");
	office_close(&o);
}

TEST(a_sid_needs_a_challenge_that_is_bound_to_it)
{
	static const uint8_t security[] =
		"\x30\x23\xa0\x21\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x19\x02\x01\xa0\x13\x04\x11";
	static const char *const odd[] = {"TAG:microsoft.com,2022-09-14:sid:" SID, "tag:microsoft.com,2022-09-14:sid:x",
					  "tag:microsoft%2Ecom,2022-09-14:sid:" SID, SID_URI "%00"};
	struct office o;
	AUTO_BUF whole = {0};
	char transaction[8];

	office_open(&o, true);
	put(&o, "name = \"Sid\"; sid = \"challenge\";");
	choose(&o, "", "", "Sid");
	/* From the request it is never taken, with or without a name beside it. */
	enroll(&o, "ext", (struct wish){.asks_sid = SID});
	CHECK_INT(extension(&o, OID_MS_NTDS_CA_SECURITY).len, 0);
	enroll(&o, "unbound", (struct wish){.uri = SID_URI});
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	bound_challenge(&o, "other", "uri", SID_URI "6");
	ask(&o, "other", &(struct wish){.challenge = "other", .uri = SID_URI});
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	bound_challenge(&o, "subject", "subject", "CN=subject");
	ask(&o, "subject", &(struct wish){.challenge = "subject", .uri = SID_URI});
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	CHECK_INT(secret_new("fixed", 5, &o.authority.static_challenge), 0);
	ask(&o, "static", &(struct wish){.challenge = "fixed", .uri = SID_URI});
	CHECK_INT(o.front.last.status, STATUS_REFUSED);
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		snprintf(transaction, sizeof(transaction), "odd%zu", i);
		bound_challenge(&o, transaction, "uri", odd[i]);
		ask(&o, transaction, &(struct wish){.challenge = transaction, .uri = odd[i]});
		CHECK_INT(o.front.last.status, STATUS_REFUSED);
	}
	bound_challenge(&o, "good", "uri", SID_URI);
	ask(&o, "good", &(struct wish){.challenge = "good", .uri = SID_URI, .asks_sid = "S-1-5-18"});
	buf_init(&whole, 200);
	buf_put_raw(&whole, security, sizeof(security) - 1);
	buf_put_raw(&whole, SID, strlen(SID));
	whole.data[1] = (uint8_t)(whole.len - 2);
	whole.data[3] = (uint8_t)(whole.len - 4);
	whole.data[17] = (uint8_t)(strlen(SID) + 2);
	whole.data[19] = (uint8_t)strlen(SID);
	CHECK_BYTES(extension(&o, OID_MS_NTDS_CA_SECURITY), whole.data, whole.len);
	put(&o, "name = \"Sid\";");
	bound_challenge(&o, "off", "uri", SID_URI);
	ask(&o, "off", &(struct wish){.challenge = "off", .uri = SID_URI});
	CHECK_INT(extension(&o, OID_MS_NTDS_CA_SECURITY).len, 0);
	office_close(&o);
}

TEST(a_challenge_needs_the_right_on_all_that_it_is_good_for)
{
	struct app_account bob = {.name = "bob", .groups = {"mdm"}, .group_count = 1};
	struct app_account root;
	struct app_template t;
	struct office o;
	struct err e = {0};

	app_account_root(&root);
	office_open(&o, true);
	choose(&o, "WebServer", "", "");
	CHECK_INT(app_templates_permit(&o.authority, &root, "", APP_RIGHT_AUTOENROLL, NULL), 0);
	CHECK_INT(app_templates_permit(&o.authority, &root, "nowhere", APP_RIGHT_ENROLL, NULL), ERR_DENIED);
	CHECK_INT(app_templates_permit(&o.authority, &bob, "", APP_RIGHT_ENROLL, NULL), ERR_DENIED);
	t = app_templates_find(&o.authority, "")->template;
	CHECK_INT(app_template_permit(&t, true, "mdm", APP_RIGHT_ENROLL), 0);
	CHECK_INT(app_templates_set_permissions(&o.authority, &t, NULL), 0);
	CHECK_INT(app_templates_permit(&o.authority, &bob, "device", APP_RIGHT_ENROLL, NULL), 0);
	CHECK_INT(app_templates_permit(&o.authority, &bob, "", APP_RIGHT_ENROLL, &e), ERR_DENIED);
	CHECK(strstr(e.text, "WebServer") != NULL);
	t = app_templates_find(&o.authority, "WebServer")->template;
	CHECK_INT(app_template_permit(&t, false, "bob", APP_RIGHT_ENROLL), 0);
	CHECK_INT(app_templates_set_permissions(&o.authority, &t, NULL), 0);
	CHECK_INT(app_templates_permit(&o.authority, &bob, "", APP_RIGHT_ENROLL, NULL), 0);
	CHECK_INT(app_templates_permit(&o.authority, &bob, "", APP_RIGHT_AUTOENROLL, NULL), ERR_DENIED);
	/* A reload keeps them. */
	office_reload(&o);
	CHECK_INT(app_templates_permit(&o.authority, &bob, "", APP_RIGHT_ENROLL, NULL), 0);
	office_close(&o);
}

TEST(a_renewal_whose_template_is_gone_gains_no_purpose)
{
	const struct app_template_entry *entry = NULL;
	struct app_csr csr = {.is_rsa = true};
	struct x509 old;
	struct office o;
	struct err e = {0};

	office_open(&o, true);
	put(&o, "name = \"Client\"; extended_key_usage = \"clientAuth\";");
	choose(&o, "", "", "Client");
	enroll(&o, "a", (struct wish){.key_usage = 0xa0});
	CHECK_INT(x509_parse((struct bytes){o.front.certificate, o.front.last.certificate.len}, &old, NULL), 0);
	choose(&o, "", "", "WebServer");
	CHECK_INT(app_templates_select_renewal(&o.authority, "Client", "", &csr, &old, &entry, NULL), 0);
	CHECK_TEXT(entry->template.name, "Client");
	CHECK_INT(app_templates_remove(&o.authority, "Client", NULL), 0);
	CHECK_INT(app_templates_select_renewal(&o.authority, "Client", "", &csr, &old, &entry, &e), ERR_DENIED);
	CHECK(strstr(e.text, "Client") != NULL && strstr(e.text, "WebServer") != NULL);
	choose(&o, "", "", "");
	CHECK_INT(app_templates_select_renewal(&o.authority, "Client", "", &csr, &old, &entry, NULL), 0);
	CHECK_TEXT(entry->template.name, "device");
	/* Readers of application policies look at these first. */
	put(&o, "name = \"Broad\"; extended_key_usage = \"clientAuth\"; "
		"application_policies = \"clientAuth emailProtection\";");
	CHECK_INT(app_templates_select_renewal(&o.authority, "Client", "Broad", &csr, &old, &entry, &e), ERR_DENIED);
	/* Nobody approved it for that one. */
	put(&o, "name = \"Approved\"; extended_key_usage = \"clientAuth\"; approval = true;");
	e = (struct err){0};
	CHECK_INT(app_templates_select_renewal(&o.authority, "Client", "Approved", &csr, &old, &entry, &e), ERR_DENIED);
	CHECK(strstr(e.text, "needs approval") != NULL);
	office_close(&o);
}

TEST(a_renewal_of_a_certificate_for_all_purposes_makes_no_agent)
{
	const struct app_template_entry *entry = NULL;
	struct app_csr csr = {.is_rsa = true};
	struct x509 old = {.tbs = {.version = 2}};
	struct office o;

	office_open(&o, true);
	CHECK_INT(app_templates_select_renewal(&o.authority, "Gone", "WebServer", &csr, &old, &entry, NULL), 0);
	CHECK_INT(
		app_templates_select_renewal(&o.authority, "Gone", "EnrollmentAgentOffline", &csr, &old, &entry, NULL),
		ERR_DENIED);
	CHECK_TEXT(entry->template.name, "WebServer");
	office_close(&o);
}

TEST_MAIN(RUN(settings_that_name_no_template_or_one_for_agents_are_refused), RUN(names_of_others_cannot_be_imported),
	  RUN(the_key_usage_that_is_asked_for_chooses_the_template),
	  RUN(extensions_of_microsoft_are_encoded_as_windows_does),
	  RUN(parts_of_the_subject_that_the_template_fixes_replace_those_of_the_request),
	  RUN(a_sid_needs_a_challenge_that_is_bound_to_it), RUN(a_challenge_needs_the_right_on_all_that_it_is_good_for),
	  RUN(a_renewal_whose_template_is_gone_gains_no_purpose),
	  RUN(a_renewal_of_a_certificate_for_all_purposes_makes_no_agent))
