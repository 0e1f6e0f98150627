/*
 * bench_prepare - distinct enrollment requests, made ahead so that bench_load.c measures the server and not the client
 *
 *	prepare CHALLENGES RA_PEM OUT
 *
 * One PKCSReq for each line of CHALLENGES, for a device of its own name, enveloped to the certificate in RA_PEM with
 * AES-128-CBC and signed with SHA-256.  A pool of RSA-2048 keys serves all of them; transactionIDs differ.  OUT gets
 * u32 length and bytes of each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/pem.h>

#include "board/base/buf.h"
#include "tests/lib/scepmsg.h"

enum { POOL = 8, MESSAGE_MAX = 65536 };

static int
make_one(const struct scepmsg_client *client, const char *challenge, unsigned long number, X509 *ra, FILE *out)
{
	char subject[80];
	struct scepmsg_csr csr = {.subject = subject, .challenge = challenge};
	struct scepmsg_options options = {0};
	struct scepmsg_request request;
	struct buf frame;
	int status = -1;

	(void)snprintf(subject, sizeof(subject), "CN=device-%lu.example,O=Example", number);
	if (scepmsg_enroll(client, &csr, &options, ra, &request) != 0)
		return -1;
	buf_init(&frame, MESSAGE_MAX);
	buf_put_bytes(&frame, request.der);
	if (buf_status(&frame) == 0 && fwrite(frame.data, 1, frame.len, out) == frame.len)
		status = 0;
	buf_fini(&frame);
	scepmsg_request_fini(&request);
	return status;
}

static int
make_all(FILE *challenges, X509 *ra, FILE *out)
{
	struct scepmsg_client pool[POOL];
	char line[65536];
	unsigned long number = 0;

	for (size_t i = 0; i < POOL; i++)
		if (scepmsg_client_new(2048, &pool[i]) != 0)
			return -1;
	while (fgets(line, sizeof(line), challenges) != NULL) {
		line[strcspn(line, "\r\n")] = '\0';
		if (make_one(&pool[number % POOL], line, number, ra, out) != 0)
			return -1;
		number++;
	}
	for (size_t i = 0; i < POOL; i++)
		scepmsg_client_fini(&pool[i]);
	return number > 0 ? 0 : -1;
}

int
main(int argc, char **argv)
{
	FILE *challenges;
	FILE *pem;
	FILE *out;
	X509 *ra;
	int status;

	if (argc != 4) {
		(void)fputs("usage: prepare CHALLENGES RA_PEM OUT\n", stderr);
		return 2;
	}
	challenges = fopen(argv[1], "r");
	pem = fopen(argv[2], "r");
	out = fopen(argv[3], "w");
	ra = pem != NULL ? PEM_read_X509(pem, NULL, NULL, NULL) : NULL;
	if (challenges == NULL || out == NULL || ra == NULL) {
		perror("prepare");
		return 1;
	}
	status = make_all(challenges, ra, out);
	X509_free(ra);
	(void)fclose(challenges);
	(void)fclose(pem);
	if (fclose(out) != 0 || status != 0) {
		(void)fputs("prepare: a request could not be made\n", stderr);
		return 1;
	}
	return 0;
}
