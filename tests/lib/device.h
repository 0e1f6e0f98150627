/*
 * tests/lib/device - devices that enroll with a live appliance: drive.h for the way there, scepmsg.h for what is said
 *
 * Challenges come from standard input, one a line.  Serial numbers of all certificates issued go to a file, so
 * that a script can compare them with the appliance's own list.
 *
 * Threads:  one.
 * Owner:    device_world_fini() frees what the world holds.
 */
#ifndef TESTS_LIB_DEVICE_H
#define TESTS_LIB_DEVICE_H

#include <stdio.h>

#include "tests/lib/drive.h"
#include "tests/lib/scepmsg.h"

enum { DEVICE_CLIENTS = 3 };

#define DEVICE_TARGET "/scep?operation=PKIOperation"
#define DEVICE_TYPE   "application/x-pki-message"

struct device_world {
	struct drive http;
	X509 *ca;
	X509 *ra_sign;
	X509 *ra_decrypt;
	struct scepmsg_client clients[DEVICE_CLIENTS]; /* RSA-2048, each with a key of its own */
	FILE *serials;
	char last_serial[64];
	unsigned long number; /* of the next device */
};

/* What came back: reply is set when is_reply. */
struct device_answer {
	struct drive_answer http;
	bool is_reply;
	struct scepmsg_reply reply;
	struct err e; /* why it is none */
};

/* Fetches the certificates with GetCACert and makes the clients.  0, or -1 after a line about what failed. */
MUST_CHECK int
device_world_init(const char *address, const char *port, const char *serials, struct device_world *ret_world);

/* Closes and frees. */
void device_world_fini(struct device_world *w);

/* The next challenge, into out; ends the program when there is none. */
void device_challenge(char *out, size_t size);

/* Posts a request and verifies the answer to it; a certificate is checked and its serial number noted. */
void device_post(struct device_world *w, const struct scepmsg_client *client, const struct scepmsg_request *request,
		 struct device_answer *ret_answer);

/* The same for an answer that has come already. */
void device_take(struct device_world *w, const struct scepmsg_client *client, const struct scepmsg_request *request,
		 const struct drive_answer *http, struct device_answer *ret_answer);

/* Frees what the answer holds. */
void device_answer_fini(struct device_answer *answer);

/* Is it HTTP 200 with a CertRep of this pkiStatus and failInfo (-1 for none)? */
bool device_is(const struct device_answer *answer, int pki_status, int fail_info);

/* Prints what came back. */
void device_note(const struct device_answer *answer);

#endif
