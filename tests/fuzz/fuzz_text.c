/*
 * Texts that people write: names, the token's URI, log levels, serial numbers, PEM, and what is shown of them.  The
 * first octet says which.
 */
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "appliance/cert.h"
#include "appliance/command.h"
#include "appliance/rdn.h"
#include "board/base/log.h"
#include "board/base/x509.h"
#include "hsm/token.h"
#include "net/html.h"
#include "tests/fuzz/ground.h"

enum { NAME_MAX_OCTETS = 8192, SHOWN = 600 };

/* A name that is written becomes a Name that OpenSSL reads, with attributes that a request may have. */
static void
check_name(const char *text)
{
	X509_NAME *theirs;
	const uint8_t *p;
	char shown[SHOWN];
	struct err e = {0};
	size_t count;
	AUTO_BUF der;

	buf_init(&der, NAME_MAX_OCTETS);
	if (app_name_parse(text, &der, &e) != 0) {
		HOLDS(e.text[0] != '\0');
		return;
	}
	p = der.data;
	theirs = d2i_X509_NAME(NULL, &p, (long)der.len);
	HOLDS(theirs != NULL && p == der.data + der.len);
	HOLDS(app_rdn_check(buf_bytes(&der), UINT32_MAX, &count, &e) == 0);
	HOLDS(count == (size_t)X509_NAME_entry_count(theirs));
	X509_NAME_free(theirs);
	(void)x509_name_text(buf_bytes(&der), shown, sizeof(shown));
	HOLDS(!x509_name_differs(buf_bytes(&der), buf_bytes(&der)));
}

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

/* Octets that claim to be a Name: shown without steering a terminal, mended without harm. */
static void
check_shown(struct bytes name)
{
	struct bytes copy = bytes_dup(name);
	size_t before, after;
	char shown[SHOWN];

	HOLDS(memchr(x509_name_text(name, shown, sizeof(shown)), '\n', strlen(shown)) == NULL);
	HOLDS(memchr(shown, '\x1b', strlen(shown)) == NULL);
	if (app_rdn_check(name, UINT32_MAX, &before, NULL) == 0 && copy.data != NULL) {
		app_rdn_mend((uint8_t *)copy.data, copy.len);
		HOLDS(app_rdn_check(copy, UINT32_MAX, &after, NULL) == 0 && before == after);
		HOLDS(x509_name_text(copy, shown, sizeof(shown)) == shown);
	}
	free((void *)copy.data);
}

static void
check_serial(const char *text)
{
	uint8_t serial[APP_SERIAL_SIZE], again[APP_SERIAL_SIZE];
	char hex[2 * APP_SERIAL_SIZE + 1];

	if (app_command_serial(text, serial) != 0)
		return;
	bytes_hex((struct bytes){serial, sizeof(serial)}, hex, sizeof(hex));
	HOLDS(app_command_serial(hex, again) == 0 && memcmp(serial, again, sizeof(serial)) == 0);
}

static void
check_token(const char *text)
{
	struct hsm_token_name name;
	struct err e = {0};

	if (hsm_token_name_parse(text, &name, &e) != 0)
		HOLDS(e.code != 0);
	else
		HOLDS(name.label[0] != '\0' || name.serial[0] != '\0');
}

static void
check_pem(struct bytes text)
{
	struct view v = view_of(text), w;
	struct bytes der, again;
	AUTO_BUF pem;

	buf_init(&pem, 2 * text.len + 200);
	while (x509_pem_next(&v, "CERTIFICATE", &der, NULL) == 0) {
		buf_clear(&pem);
		x509_pem_put(&pem, "CERTIFICATE", der);
		w = view_of(buf_bytes(&pem));
		HOLDS(x509_pem_next(&w, "CERTIFICATE", &again, NULL) == 0 && bytes_equal(der, again));
		free((void *)der.data);
		free((void *)again.data);
	}
}

/* A Host field must not become a tag or an attribute of the page. */
static void
check_host(const char *host)
{
	AUTO_BUF with, without;
	char *text;

	buf_init(&with, 65536);
	buf_init(&without, 65536);
	net_html_service(host, true, "", &with);
	net_html_service(NULL, true, "", &without);
	HOLDS(buf_status(&with) == 0);
	text = ground_text(buf_bytes(&with));
	if (host[0] != '\0' && strpbrk(host, "<>\"'&\\ ") != NULL)
		HOLDS(strlen(host) < 3 || strstr(text, host) == NULL || strstr((char *)without.data, host) != NULL);
	free(text);
}

/* Log lines: printable, one line, and within quotes that end where they should. */
static void
check_log(struct bytes input)
{
	const char *text = log_bytes(input);
	size_t len = strlen(text);

	if (len >= 5 && strcmp(text + len - 3, "...") == 0 && text[len - 4] == '"')
		len -= 3; /* it was cut */
	HOLDS(is_plain(text) && len >= 2 && text[0] == '"' && text[len - 1] == '"');
	HOLDS(memchr(text + 1, '"', len - 2) == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	uint8_t way = ground_take_u8(&input) % 8;
	char *text = ground_text(input), plain[100];

	if (way == 0)
		check_name(text);
	else if (way == 1)
		check_shown(input);
	else if (way == 2)
		check_serial(text);
	else if (way == 3)
		check_token(text);
	else if (way == 4)
		check_pem(input);
	else if (way == 5)
		check_host(text);
	else if (way == 6)
		check_log(input);
	else
		HOLDS(is_plain(app_command_plain(text, plain, sizeof(plain))));
	free(text);
	return 0;
}

void
fuzz_seeds(void)
{
	AUTO_BUF b;

	ground_seed_way("name", 0, bytes_of_text("CN=Device CA,O=Example\\, Inc,C=DE,DC=example,serialNumber=1"));
	ground_seed_way("escaped", 0, bytes_of_text("CN=\\C3\\A9\\\"a\\+b\\ ,emailAddress=a@b.example"));
	buf_init(&b, 8192);
	HOLDS(app_name_parse("CN=Device CA,O=\\C3\\A9,C=DE,emailAddress=a@b", &b, NULL) == 0);
	ground_seed_way("der", 1, buf_bytes(&b));
	ground_seed_way("serial", 2, bytes_of_text("40:41:42:43 44454647 48494A4B 4C4D4E4F"));
	ground_seed_way("label", 3, bytes_of_text("chancery"));
	ground_seed_way("uri", 3, bytes_of_text("pkcs11:token=my%20token;serial=0123;manufacturer=a;model=b"));
	buf_clear(&b);
	x509_pem_put(&b, "CERTIFICATE", ground_ca());
	buf_put_raw(&b, "text\n", 5);
	x509_pem_put(&b, "CERTIFICATE", ground_issued(0));
	ground_seed_way("pem", 4, buf_bytes(&b));
	ground_seed_way("host", 5, bytes_of_text("scep.example:8080"));
	ground_seed_way("tag", 5, bytes_of_text("a\"><script>"));
	ground_seed_way("log", 6, bytes_of_text("a \"b\" \\ \x1b[31m\n role=parent"));
	ground_seed_way("plain", 7, bytes_of_text("CN=\x1b]0;x\x07"));
}
