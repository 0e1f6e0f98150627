/*
 * tests/lib/faulty - a provisioned token behind the one that fails on demand, and requests whose answers are judged
 *
 * P-256 keys where the class allows it, so that starting and asking cost milliseconds.  Every answer is checked as it
 * comes: a signature must verify, an unwrapped key must be ours or random, and none comes twice.
 *
 * Threads:  one.
 */
#ifndef TESTS_LIB_FAULTY_H
#define TESTS_LIB_FAULTY_H

#include "tests/lib/mock.h"

#define FAULTY_LABEL  "chancery-faulty"
#define FAULTY_PIN    "48151623"
#define FAULTY_SO_PIN "10842342"

struct faulty {
	struct token token;
	struct mock mock;
	struct bytes root; /* CA certificate */
	struct buf sign_spki;
	struct buf decrypt_spki;
	struct buf attributes; /* what ra-sign signs */
	uint8_t content_key[16];
	uint8_t ciphertext[512]; /* of it */
	size_t ciphertext_len;
};

/* The ceremony, without faults. */
void faulty_make(struct faulty *f);

/* Removes all. */
void faulty_free(struct faulty *f);

/* A signer in service on it; change conf, then start. */
void faulty_rig(struct faulty *f, struct signer_rig *rig);

/* Asks for a signature by ra-sign.  A wrong one fails the test; returns the code of the answer or the transport. */
int faulty_sign(struct faulty *f, struct signer_rig *rig);

/* Asks to unwrap; *ret_ours: it was the right key.  Returns as faulty_sign(). */
int faulty_unwrap(struct faulty *f, struct signer_rig *rig, bool *ret_ours);

/* Starts the signer as often as it takes, and sees it sign and unwrap, or fails the test. */
void faulty_recovers(struct faulty *f, struct signer_rig *rig);

#endif
