/* appliance/ceremony: a ceremony file that is taken asks for what a ceremony can do. */
#include <stdlib.h>
#include <string.h>

#include "appliance/ceremony.h"
#include "appliance/cert.h"
#include "appliance/chain.h"
#include "tests/fuzz/ground.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = {data, size};
	struct app_ceremony ceremony;
	struct app_chain chain;
	struct err e = {0};
	AUTO_BUF name;

	buf_init(&name, 8192);
	/* What the file includes is root's affair, and the fuzzer finds devices that never end. */
	if (size == 0 || memmem(data, size, "@include", 8) != NULL)
		return 0;
	if (app_ceremony_read(ground_file(input), &ceremony, &e) != 0) {
		HOLDS(e.code != 0 && e.text[0] != '\0');
	} else {
		HOLDS(app_name_parse(ceremony.ca_name, &name, NULL) == 0);
		HOLDS(ceremony.token_label[0] != '\0' && ceremony.ca_days > 0 && ceremony.path_length >= -1);
		for (int i = 0; i < KEY_CLASS_COUNT; i++)
			HOLDS(!ceremony.wanted[i] || ceremony.key[i] < KEY_ALG_COUNT);
	}
	if (app_chain_read(ground_file(input), &chain, NULL) == 0) {
		HOLDS(chain.count > 0 && chain.count <= APP_CHAIN_MAX);
		app_chain_fini(&chain);
	}
	return 0;
}

void
fuzz_seeds(void)
{
	struct bytes ca = ground_ca();
	AUTO_BUF pem;

	buf_init(&pem, 8192);
	ground_seed("sample", bytes_of_text("token: { label = \"t\"; so_pin_file = \"/f\"; };\n"
					    "ca: { kind = \"root\"; name = \"CN=CA,O=E\"; key = \"rsa2048\"; "
					    "validity_days = 3650; path_length = 0; };\n"
					    "ra: { sign_key = \"rsa2048\"; decrypt_key = \"rsa2048\"; };\n"
					    "audit: { key = \"p256\"; };\nocsp: { key = \"p256\"; };\n"));
	x509_pem_put(&pem, "CERTIFICATE", ca);
	ground_seed("chain", buf_bytes(&pem));
}
