#include "tests/fuzz/ground.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board/base/clock.h"
#include "board/base/log.h"
#include "board/base/oid.h"
#include "board/base/x509.h"
#include "hsm/sign.h"
#include "tests/lib/certs.h"
#include "tests/lib/tbs.h"

enum { DAY = 24 * 3600 };

static const char *seed_folder;

void
ground_broken(const char *file, int line, const char *cond)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, cond);
	abort();
}

const char *__lsan_default_suppressions(void);

/* libconfig 1.5 loses the string that it was reading when the text is wrong. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so";
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Called by libFuzzer before anything else. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char option[] = "--seeds=";

	log_init("fuzz", (enum log_level) - 1);
	clock_set_fake(GROUND_NOW, 1000);
	if (*argc == 2 && strncmp((*argv)[1], option, sizeof(option) - 1) == 0) {
		seed_folder = (*argv)[1] + sizeof(option) - 1;
		fuzz_seeds();
		exit(0);
	}
	return 0;
}

void
ground_seed(const char *name, struct bytes seed)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", seed_folder, name);
	file = fopen(path, "we");
	HOLDS(file != NULL);
	HOLDS(fwrite(seed.data, 1, seed.len, file) == seed.len);
	HOLDS(fclose(file) == 0);
}

void
ground_seed_way(const char *name, uint8_t way, struct bytes seed)
{
	AUTO_BUF out;

	buf_init(&out, seed.len + 1);
	buf_put_u8(&out, way);
	buf_put_raw(&out, seed.data, seed.len);
	HOLDS(buf_status(&out) == 0);
	ground_seed(name, buf_bytes(&out));
}

/* ---- certificates ------------------------------------------------------------------------------------------------ */

/* The certificate that plan says, signed by a key. */
static struct bytes
certificate(const struct tbs_plan *plan, EVP_PKEY *key)
{
	AUTO_BUF tbs = {0}, out = {0};
	struct bytes signature, der;

	buf_init(&tbs, 8192);
	buf_init(&out, 8192);
	tbs_put(&tbs, plan);
	signature = certs_sign(key, EVP_sha256(), buf_bytes(&tbs));
	tbs_join(&out, buf_bytes(&tbs), plan->algorithm, signature);
	free((void *)signature.data);
	der.data = buf_take(&out, &der.len);
	return der;
}

struct bytes
ground_ca(void)
{
	static struct bytes der;
	struct tbs_plan plan;
	struct bytes name = certs_name("Fuzz CA");
	struct bytes spki = certs_spki(ground_ca_key());
	uint8_t key_id[20];

	if (der.data == NULL) {
		HOLDS(x509_key_id(spki, key_id) == 0);
		plan = tbs_plan(hsm_sign_algorithm(KEY_ALG_P256, DIGEST_SHA256), name, name, spki, GROUND_NOW);
		plan.not_before = GROUND_NOW - 100 * DAY;
		plan.not_after = GROUND_NOW + (int64_t)3550 * DAY;
		plan.ca = true;
		plan.key_usage = 0x06;
		plan.subject_key_id = (struct bytes){key_id, sizeof(key_id)};
		der = certificate(&plan, ground_ca_key());
	}
	free((void *)name.data);
	free((void *)spki.data);
	return der;
}

/* For the RSA key with this number, by the CA or by itself. */
static struct bytes
end_entity(int number, bool by_ca)
{
	static const struct bytes serials[] = {OID_BYTES("\x47\x11"), OID_BYTES("\x47\x12")};
	struct bytes issuer = certs_name("Fuzz CA"), subject = certs_name(number == 0 ? "device" : "RA");
	struct bytes spki = certs_spki(ground_rsa(number)), der;
	EVP_PKEY *signer = by_ca ? ground_ca_key() : ground_rsa(number);
	uint8_t key_id[20];
	struct tbs_plan plan = tbs_plan(hsm_sign_algorithm(by_ca ? KEY_ALG_P256 : KEY_ALG_RSA2048, DIGEST_SHA256),
					by_ca ? issuer : subject, subject, spki, GROUND_NOW);

	HOLDS(x509_key_id(spki, key_id) == 0);
	plan.serial = serials[number];
	plan.subject_key_id = (struct bytes){key_id, sizeof(key_id)};
	der = certificate(&plan, signer);
	free((void *)issuer.data);
	free((void *)subject.data);
	free((void *)spki.data);
	return der;
}

struct bytes
ground_issued(int number)
{
	static struct bytes der[2];

	if (der[number].data == NULL)
		der[number] = end_entity(number, true);
	return der[number];
}

struct bytes
ground_self_signed(int number)
{
	static struct bytes der[2];

	if (der[number].data == NULL)
		der[number] = end_entity(number, false);
	return der[number];
}

/* ---- input ------------------------------------------------------------------------------------------------------- */

uint8_t
ground_take_u8(struct bytes *data)
{
	if (data->len == 0)
		return 0;
	data->len--;
	return *data->data++;
}

struct bytes
ground_take_part(struct bytes *data)
{
	size_t len = (size_t)ground_take_u8(data) << 8;
	struct bytes part;

	len |= ground_take_u8(data);
	if (len > data->len)
		len = data->len;
	part = (struct bytes){data->data, len};
	data->data += len;
	data->len -= len;
	return part;
}

void
ground_put_part(struct buf *out, struct bytes part)
{
	buf_put_u16(out, (uint16_t)part.len);
	buf_put_raw(out, part.data, part.len);
}

char *
ground_text(struct bytes data)
{
	char *text = malloc(data.len + 1);

	HOLDS(text != NULL);
	if (data.len > 0)
		memcpy(text, data.data, data.len);
	text[data.len] = '\0';
	return text;
}

const char *
ground_file(struct bytes content)
{
	static char path[64];
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	HOLDS(fd >= 0 && ftruncate(fd, 0) == 0);
	HOLDS(pwrite(fd, content.data, content.len, 0) == (ssize_t)content.len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return path;
}
