/*
 * tests/lib/office - an authority in a temporary folder, with a stand-in for the signer and for the front
 *
 * The store, the codecs and the channels are the real ones, in one process and one loop.  The stand-in signer holds
 * software keys and does what the test says: sign, fail, keep silent.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_OFFICE_H
#define TESTS_LIB_OFFICE_H

#include <openssl/evp.h>

#include "appliance/state.h"

enum office_mood { OFFICE_SIGNS, OFFICE_FAILS, OFFICE_SILENT, OFFICE_WRONG_ALGORITHM };

/* What the front was told, newest last. */
struct office_front {
	struct ipc *ipc;
	int answers; /* decisions, all together */
	int issued;
	int refused;
	int retries;
	int unknown;
	struct msg_decision last; /* certificate in certificate[] */
	uint8_t certificate[8192];
	int identities;
	size_t decrypt_count; /* of the last identity */
	int crls;
	uint8_t crl[16384];
	size_t crl_len;
	int deltas;
	uint8_t delta[16384];
	size_t delta_len;
};

struct office {
	char folder[64];
	struct loop *loop;
	struct config conf;
	EVP_PKEY *ca_key;
	struct bytes ca_der;
	struct app_authority authority;
	bool open;

	struct ipc *signer;
	enum office_mood mood;
	int signatures[KEY_CLASS_COUNT];
	int asked; /* signatures asked for, answered or not */

	struct office_front front;
	const char *profile; /* that the front names from now on; NULL: none */
};

/* Makes folder, keys and configuration, and opens the authority; with_signer: the RA certificates are made too. */
void office_open(struct office *o, bool with_signer);

/* What the test changed in conf takes effect, as after a reload. */
void office_reload(struct office *o);

/* The same again on the same folder, as after a restart. */
void office_open_again(struct office *o, bool with_signer);

/* Closes the authority and the stand-ins, keeps the folder. */
void office_stop(struct office *o);

/* Closes all and removes the folder. */
void office_close(struct office *o);

/* A new channel to the stand-in signer, or to the front. */
void office_connect_signer(struct office *o);
void office_connect_front(struct office *o); /* as office_connect_signer() */

/* The stand-in goes away, as after a crash. */
void office_drop_signer(struct office *o);
void office_drop_front(struct office *o); /* as office_drop_signer() */

/* Runs the loop until cond holds; fails the test after 10 s. */
#define OFFICE_UNTIL(o, cond)                                                                                          \
	do {                                                                                                           \
		int64_t end_ = clock_mono_ms() + 10000;                                                                \
		while (!(cond) && clock_mono_ms() < end_)                                                              \
			loop_run_once((o)->loop, 10);                                                                  \
		assert_true(cond);                                                                                     \
	} while (0)

/* Puts a one-time challenge into the store that ends at this time; fails the test when it cannot. */
void office_challenge(struct office *o, const char *text, int64_t expires);

/* The store's numbers. */
struct app_store_counts office_counts(struct office *o);

/* A certificate request for key with CN=cn and, unless NULL, a challenge; the caller frees data. */
struct bytes office_csr(EVP_PKEY *key, const char *cn, const char *challenge, const char *san);

/* The same with a whole subject, as app_name_parse() reads it. */
struct bytes office_csr_of(EVP_PKEY *key, const char *subject, const char *challenge);

/* Sends MSG_ENROLL for the request, outer signer key signer; returns without waiting. */
void office_ask(struct office *o, const char *transaction, struct bytes csr, EVP_PKEY *signer);

/* office_csr() and office_ask() with the same key, and waits for the decision. */
void office_enroll(struct office *o, const char *transaction, EVP_PKEY *key, const char *challenge);

/* Asks for the transaction of key, and waits for the decision. */
void office_lookup(struct office *o, const char *transaction, EVP_PKEY *key);

/* Does the last certificate that the front got verify under the CA? */
bool office_certificate_good(const struct office *o);

#endif
