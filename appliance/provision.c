/*
 * chancery-provision - makes the token, the keys and the CA certificate, and later the next CA's key and certificate
 *
 * "chancery provision", "chancery ca rollover prepare" and "chancery import-chain" end here.  Every step looks first
 * whether it was done before, so that a second run after a failure goes on where the first stopped, and a third run
 * changes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "appliance/cert.h"
#include "appliance/provision.h"
#include "board/base/clock.h"
#include "board/base/file.h"
#include "board/base/log.h"
#include "board/prompt.h"
#include "board/spawn.h"

enum { PIN_MAX = 64, BACKDATE_S = 3600, DAY_S = 86400, FINGERPRINT_LINE = 16 * 3 };

void
app_provision_say(const char *step, const char *what)
{
	printf("  %-28s %s\n", step, what);
	(void)fflush(stdout);
}

static int
get_pin(const char *file, const char *question, struct secret **ret_pin, struct err *e)
{
	return file[0] != '\0' ? secret_read_file(file, PIN_MAX, ret_pin, e)
			       : prompt_secret(question, PIN_MAX, ret_pin, e);
}

/* ---- steps ------------------------------------------------------------------------------------------------------- */

/* Opens the token in a signer of its own; so_pin NULL: it must be there. */
static int
open_token(struct app_provision *p, const struct secret *so_pin, struct err *e)
{
	AUTO_STRUCT(secret) pin = NULL;
	struct err first = {0};
	char path[512];
	int code = get_pin(p->conf.signer_pin_file, "PIN of the token", &pin, e);

	if (code != 0)
		return code;
	code = spawn_find("chancery-signer", path, sizeof(path), e);
	if (code != 0)
		return code;
	/* What goes well is said by the steps. */
	(void)snprintf(p->conf.log_level, sizeof(p->conf.log_level), "warning");
	code = app_token_open(path, &p->conf, pin, so_pin, &p->token, &first);
	if (code == ERR_PIN)
		return err_set(
			e, code, first.detail,
			"the token refused the PIN of %s (%s); look at it before the next attempt, or the token locks",
			p->conf.signer_pin_file[0] != '\0' ? p->conf.signer_pin_file : "the prompt", first.text);
	return code != 0 ? err_set(e, code, first.detail, "%s", first.text) : 0;
}

static int
step_token(struct app_provision *p, struct err *e)
{
	AUTO_STRUCT(secret) so_pin = NULL;
	struct err first = {0};
	int code = get_pin(p->ceremony.so_pin_file, "PIN of the security officer", &so_pin, e);

	if (code == 0)
		code = open_token(p, so_pin, e);
	if (code != 0)
		return code;
	code = app_token_init(p->token, p->ceremony.token_label, &first);
	if (code == ERR_EXISTS) {
		app_provision_say("token", "is there already");
		return 0;
	}
	if (code != 0)
		return err_set(e, code, first.detail, "token \"%s\": %s", p->ceremony.token_label, first.text);
	app_provision_say("token", "initialised");
	return 0;
}

/* A key from an earlier ceremony stays, but not when this one asks for another kind. */
static int
check_algorithm(struct bytes spki, enum key_alg wanted, const char *step, struct err *e)
{
	EVP_PKEY *key = NULL;
	char is[20];
	int code = x509_spki_key(spki, &key, e);

	if (code != 0)
		return code;
	(void)snprintf(is, sizeof(is), "%s%d", EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? "rsa" : "p",
		       EVP_PKEY_get_bits(key));
	EVP_PKEY_free(key);
	if (strcmp(is, msg_key_alg_name(wanted)) == 0)
		return 0;
	return err_set(e, ERR_STAGE, 0,
		       "%s: the token has that key already, as %s; correct the ceremony, or take a new token", step,
		       is);
}

static int
step_key(struct app_provision *p, enum key_class class_, struct err *e)
{
	enum key_alg algorithm = p->ceremony.key[class_];
	struct err first = {0};
	char step[60];
	int code;

	(void)snprintf(step, sizeof(step), "key %s (%s)", msg_key_name(class_), msg_key_alg_name(algorithm));
	code = app_token_generate(p->token, class_, class_ == KEY_CA ? p->generation : 0, algorithm, &p->spki[class_],
				  &first);
	if (code == ERR_EXISTS) {
		code = check_algorithm(buf_bytes(&p->spki[class_]), algorithm, step, e);
		if (code == 0)
			app_provision_say(step, "is there already");
		return code;
	}
	if (code != 0)
		return err_set(e, code, first.detail, "key %s: %s", msg_key_name(class_), first.text);
	app_provision_say(step, "generated in the token");
	return 0;
}

static int
step_keys(struct app_provision *p, struct err *e)
{
	int code = 0;

	for (int class_ = 0; code == 0 && class_ < KEY_CLASS_COUNT; class_++)
		if (p->ceremony.wanted[class_])
			code = step_key(p, (enum key_class)class_, e);
	return code;
}

/* Signs tbs with the CA key, joins both, and checks the signature with the public key that the token gave. */
static int
sign_and_join(struct app_provision *p, struct bytes tbs, struct buf *out, struct err *e)
{
	AUTO_BUF algorithm;
	AUTO_BUF signature;
	enum digest digest;
	struct bytes expected;
	int code = app_signature_algorithm(buf_bytes(&p->spki[KEY_CA]), &digest, &expected);

	if (code != 0)
		return err_set(e, code, 0, "the CA key's algorithm");
	buf_init(&algorithm, 256);
	buf_init(&signature, 2048);
	code = app_token_sign_ca(p->token, p->generation, digest, tbs, &algorithm, &signature, e);
	if (code != 0)
		return code;
	if (!bytes_equal(buf_bytes(&algorithm), expected))
		return err_set(e, ERR_INTERNAL, 0, "the token signed with another algorithm than asked");
	code = app_cert_join(tbs, expected, buf_bytes(&signature), out);
	return code != 0 ? err_set(e, code, 0, "joining certificate and signature") : 0;
}

/* The chain's file comes last: until then there is no such generation. */
static int
keep_chain(struct app_provision *p, const struct app_chain *chain, struct err *e)
{
	int code = p->generation > 0 ? app_provision_announce(p, chain, e) : 0;

	return code != 0 ? code : app_chain_write(p->ca_file, chain, e);
}

static int
make_root(struct app_provision *p, struct bytes name, struct err *e)
{
	uint8_t serial[APP_SERIAL_SIZE];
	struct app_chain chain = {.count = 1};
	AUTO_BUF tbs;
	AUTO_BUF cert;
	enum digest digest;
	struct bytes algorithm;
	int64_t now = clock_wall();
	int code = app_signature_algorithm(buf_bytes(&p->spki[KEY_CA]), &digest, &algorithm);

	buf_init(&tbs, 16384);
	buf_init(&cert, 16384);
	if (code == 0)
		code = app_serial_new(serial);
	if (code == 0)
		code = app_cert_build_root(name, buf_bytes(&p->spki[KEY_CA]), serial, now - BACKDATE_S,
					   now + (int64_t)p->ceremony.ca_days * DAY_S, p->ceremony.path_length,
					   algorithm, &tbs);
	if (code != 0)
		return err_set(e, code, 0, "building the CA certificate");
	code = sign_and_join(p, buf_bytes(&tbs), &cert, e);
	if (code != 0)
		return code;
	chain.certificate[0] = bytes_dup(buf_bytes(&cert));
	code = app_chain_order(&chain, buf_bytes(&p->spki[KEY_CA]), now, e);
	if (code == 0)
		code = keep_chain(p, &chain, e);
	app_chain_fini(&chain);
	if (code == 0)
		app_provision_say("CA certificate", "self-signed");
	return code;
}

static int
make_request(struct app_provision *p, struct bytes name, struct err *e)
{
	AUTO_BUF info;
	AUTO_BUF request;
	AUTO_BUF pem;
	int code;

	buf_init(&info, 16384);
	buf_init(&request, 16384);
	buf_init(&pem, 32768);
	code = app_cert_build_request(name, buf_bytes(&p->spki[KEY_CA]), &info);
	if (code != 0)
		return err_set(e, code, 0, "building the request");
	code = sign_and_join(p, buf_bytes(&info), &request, e);
	if (code != 0)
		return code;
	x509_pem_put(&pem, "CERTIFICATE REQUEST", buf_bytes(&request));
	code = file_replace(p->request_file, 0644, buf_bytes(&pem), e);
	if (code == 0)
		app_provision_say("request for the CA above", p->request_file);
	return code;
}

/* A chain that is there must be for the key in the token: else files and token do not belong together. */
static int
check_present(const struct app_provision *p, struct app_chain *chain, struct err *e)
{
	struct x509 cert;
	int code = x509_parse(chain->certificate[0], &cert, e);

	if (code != 0)
		return code;
	if (!bytes_equal(cert.tbs.spki, buf_bytes(&p->spki[KEY_CA])))
		return err_set(
			e, ERR_STAGE, 0,
			"%s is for another key than the one in the token; move the file away if it is from an old "
			"token",
			p->ca_file);
	app_provision_say("CA certificate", "is there already");
	return 0;
}

static int
step_certificate(struct app_provision *p, struct err *e)
{
	struct app_chain chain = {.count = 0};
	AUTO_BUF name;
	int code = app_chain_read(p->ca_file, &chain, NULL);

	if (code == 0) {
		code = check_present(p, &chain, e);
		app_chain_fini(&chain);
		return code;
	}
	if (code != ERR_UNKNOWN)
		return err_set(e, code, 0, "%s cannot be read; move it away if it is broken", p->ca_file);
	buf_init(&name, 2048);
	code = app_name_parse(p->ceremony.ca_name, &name, e);
	if (code != 0)
		return code;
	return p->ceremony.subordinate ? make_request(p, buf_bytes(&name), e) : make_root(p, buf_bytes(&name), e);
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

/* Two at a time would generate every key twice.  The lock goes with the process. */
static int
take_lock(const struct app_provision *p, struct err *e)
{
	int fd = open(p->ca_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, ERR_IO, (uint32_t)errno, "%s: %s", p->ca_dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(e, ERR_BUSY, (uint32_t)errno, "another ceremony is under way (it holds %s)", p->ca_dir);
	return 0;
}

/* The label that signer.token asks for, without the escapes of a URI; false when it asks for none. */
static bool
configured_label(const char *token, char *out, size_t size)
{
	const char *at = token;
	size_t n = 0;

	if (strncmp(token, "pkcs11:", 7) != 0)
		return snprintf(out, size, "%s", token) < (int)size;
	at = strstr(token, "token=");
	if (at == NULL)
		return false;
	for (at += 6; *at != '\0' && *at != ';' && n + 1 < size; at++) {
		int high = *at == '%' ? bytes_hex_digit(at[1]) : -1;
		int low = high < 0 ? -1 : bytes_hex_digit(at[2]);

		out[n++] = low < 0 ? *at : (char)(high << 4 | low);
		at += low < 0 ? 0 : 2;
	}
	out[n] = '\0';
	return true;
}

/* Else the ceremony makes a token that chanceryd does not find, or adds keys to one that is not meant. */
static int
check_label(const struct app_provision *p, const char *config, const char *ceremony, struct err *e)
{
	char label[sizeof(p->conf.signer_token)];

	if (!configured_label(p->conf.signer_token, label, sizeof(label)) ||
	    strcmp(label, p->ceremony.token_label) == 0)
		return 0;
	return err_set(e, ERR_CONFIG, 0,
		       "%s: token.label: \"%s\" is not the token that signer.token of %s names: \"%s\"", ceremony,
		       p->ceremony.token_label, config, label);
}

/* The files of p->generation. */
static void
set_files(struct app_provision *p)
{
	char name[40];

	(void)snprintf(p->ca_file, sizeof(p->ca_file), "%s/%s", p->ca_dir,
		       app_chain_name("ca", p->generation, ".pem", name, sizeof(name)));
	(void)snprintf(p->request_file, sizeof(p->request_file), "%s/%s", p->ca_dir,
		       app_chain_name("request", p->generation, ".pem", name, sizeof(name)));
}

static int
set_paths(struct app_provision *p, const char *config, struct err *e)
{
	int code = config_load(config, &p->conf, e);

	if (code != 0)
		return code;
	(void)snprintf(p->ca_dir, sizeof(p->ca_dir), "%s/ca", p->conf.paths_state);
	set_files(p);
	code = file_mkdir(p->conf.paths_state, 0755, 0, e);
	if (code == 0)
		code = file_mkdir(p->ca_dir, 0755, 0, e);
	return code != 0 ? code : take_lock(p, e);
}

static void
print_end(const struct app_provision *p)
{
	struct app_chain chain = {.count = 0};
	char text[100];

	if (app_chain_read(p->ca_file, &chain, NULL) != 0) {
		printf("\nNext: let the CA above sign %s, then run\n"
		       "  chancery import-chain %sFILE\n"
		       "with a file that holds the new certificate and those above it (PEM).\n",
		       p->request_file, p->generation > 0 ? "--next " : "");
		return;
	}
	/* Two lines, for terminals of 80 columns. */
	(void)app_chain_fingerprint(chain.certificate[0], text, sizeof(text));
	printf("\nSHA-256 of the CA certificate, to be compared on another channel:\n  %.*s\n  %s\n", FINGERPRINT_LINE,
	       text, text + FINGERPRINT_LINE);
	if (p->generation == 0)
		printf("\nNext: start chanceryd. It issues the RA certificates by itself.\n");
	else
		printf("\nNext: \"systemctl reload chancery\", which announces the new CA. It issues nothing before\n"
		       "  chancery ca rollover now --confirm, or\n"
		       "  chancery ca rollover at DATE\n");
	app_chain_fini(&chain);
}

static int
provision(struct app_provision *p, const char *config, const char *ceremony, struct err *e)
{
	int code = app_ceremony_read(ceremony, &p->ceremony, e);

	if (code == 0)
		code = set_paths(p, config, e);
	if (code == 0)
		code = check_label(p, config, ceremony, e);
	if (code == 0)
		code = step_token(p, e);
	if (code == 0)
		code = step_keys(p, e);
	if (code == 0)
		code = step_certificate(p, e);
	app_token_close(p->token);
	if (code == 0)
		print_end(p);
	return code;
}

/* The next CA: its key in the same token, its certificate or request, and its announcement by the current one. */
static int
prepare(struct app_provision *p, const char *config, const char *ceremony, struct err *e)
{
	int code = app_ceremony_read(ceremony, &p->ceremony, e);

	if (code == 0)
		code = set_paths(p, config, e);
	if (code == 0)
		code = check_label(p, config, ceremony, e);
	if (code == 0)
		code = app_provision_ask(p, e);
	if (code != 0)
		return code;
	set_files(p);
	code = open_token(p, NULL, e);
	if (code == 0)
		code = step_key(p, KEY_CA, e);
	if (code == 0)
		code = step_certificate(p, e);
	app_token_close(p->token);
	if (code == 0)
		print_end(p);
	return code;
}

/* The key that the request was made for. */
static int
read_request(const struct app_provision *p, struct buf *spki, struct err *e)
{
	AUTO_BUF pem;
	struct app_csr csr;
	struct bytes der;
	struct view text;
	int code;

	buf_init(&pem, 65536);
	code = file_read(p->request_file, &pem, NULL);
	if (code != 0)
		return err_set(e, ERR_STAGE, 0, "%s is not there: run \"chancery %s\" for a subordinate CA first",
			       p->request_file, p->generation > 0 ? "ca rollover prepare" : "provision");
	text = view_of(buf_bytes(&pem));
	code = x509_pem_next(&text, "CERTIFICATE REQUEST", &der, e);
	if (code != 0)
		return code;
	code = app_csr_parse(der, &csr, e);
	if (code == 0) {
		buf_put_raw(spki, csr.spki.data, csr.spki.len);
		app_csr_fini(&csr);
	}
	free((void *)(uintptr_t)der.data);
	return code;
}

static int
import_chain(struct app_provision *p, const char *config, const char *file, bool next, struct err *e)
{
	struct app_chain chain = {.count = 0};
	struct app_issuer issuer;
	AUTO_BUF spki;
	int code = set_paths(p, config, e);

	buf_init(&spki, 4096);
	if (code == 0 && next)
		code = app_provision_ask(p, e);
	set_files(p);
	if (code == 0)
		code = read_request(p, &spki, e);
	if (code == 0)
		code = app_chain_read(file, &chain, e);
	if (code == 0)
		code = app_chain_order(&chain, buf_bytes(&spki), clock_wall(), e);
	if (code == 0)
		code = app_issuer_init(chain.certificate[0], &issuer, e);
	if (code == 0 && next)
		code = open_token(p, NULL, e);
	if (code == 0)
		code = keep_chain(p, &chain, e);
	app_chain_fini(&chain);
	app_token_close(p->token);
	if (code == 0) {
		app_provision_say("CA certificate", "imported");
		print_end(p);
	}
	return code;
}

static int
usage(FILE *out, int status)
{
	(void)fputs("usage: chancery provision --file CEREMONY [--config FILE]\n"
		    "       chancery ca rollover prepare --file CEREMONY [--config FILE]\n"
		    "       chancery import-chain [--next] FILE [--config FILE]\n"
		    "\n"
		    "provision     initialises the token, generates the keys, makes the CA certificate\n"
		    "              or the request for one; can be run again after a failure\n"
		    "prepare       makes the key and the certificate, or the request, of the next CA\n"
		    "import-chain  takes the certificate that another CA made from that request\n",
		    out);
	return status;
}

static bool
is_prepare(int count, char **words)
{
	return count == 3 && strcmp(words[0], "ca") == 0 && strcmp(words[1], "rollover") == 0 &&
	       strcmp(words[2], "prepare") == 0;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {{"file", required_argument, NULL, 'f'},
						{"config", required_argument, NULL, 'c'},
						{"next", no_argument, NULL, 'n'},
						{"help", no_argument, NULL, 'h'},
						{0}};
	const char *config = CONFIG_PATH;
	const char *file = NULL;
	bool next = false;
	struct app_provision p = {.token = NULL};
	struct err e = {0};
	int option;
	int code;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'f')
			file = optarg;
		else if (option == 'c')
			config = optarg;
		else if (option == 'n')
			next = true;
		else
			return usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
	}
	log_init("provision", LOG_LEVEL_WARNING);
	for (int i = 0; i < KEY_CLASS_COUNT; i++)
		buf_init(&p.spki[i], 4096);
	(void)umask(022);
	if (geteuid() != 0)
		code = err_set(&e, ERR_DENIED, 0, "only root can do this");
	else if (optind + 1 == argc && strcmp(argv[optind], "provision") == 0 && file != NULL)
		code = provision(&p, config, file, &e);
	else if (is_prepare(argc - optind, argv + optind) && file != NULL)
		code = prepare(&p, config, file, &e);
	else if (optind + 2 == argc && strcmp(argv[optind], "import-chain") == 0)
		code = import_chain(&p, config, argv[optind + 1], next, &e);
	else
		return usage(stderr, 2);
	for (int i = 0; i < KEY_CLASS_COUNT; i++)
		buf_fini(&p.spki[i]);
	if (code != 0)
		(void)fprintf(stderr, "chancery: %s\nNothing is half done: mend this and run the same command again.\n",
			      e.text);
	return code == 0 ? 0 : 1;
}
