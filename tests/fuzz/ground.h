/*
 * tests/fuzz/ground - what all fuzz targets stand on: fixed keys and certificates, seeds, and the check that ends a run
 *
 * A target is one file with LLVMFuzzerTestOneInput() and fuzz_seeds().  "TARGET --seeds=FOLDER" writes its seeds;
 * everything else on the command line is libFuzzer's.  A crash is reproduced by "TARGET FILE", so nothing that a target
 * uses may differ from run to run: keys, certificates and the clock are fixed.
 *
 * Threads:  one.
 */
#ifndef TESTS_FUZZ_GROUND_H
#define TESTS_FUZZ_GROUND_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "board/base/buf.h"
#include "board/base/err.h"

/* 2026-11-22T12:00:00Z, where the clock of every target stands. */
#define GROUND_NOW ((int64_t)1795348800)

/* Ends the run with the input that broke it. */
#define HOLDS(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			ground_broken(__FILE__, __LINE__, #cond);                                                      \
	} while (0)

/* What HOLDS() calls. */
void ground_broken(const char *file, int line, const char *cond) __attribute__((noreturn));

/* The target's own two functions.  One input; always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void fuzz_seeds(void); /* calls ground_seed() for each */

/* Writes one seed into the folder that --seeds names. */
void ground_seed(const char *name, struct bytes seed);

/* The same with one octet before it, as targets with several ways read it. */
void ground_seed_way(const char *name, uint8_t way, struct bytes seed);

/* Keys of 2048 bits: 0 a device's, 1 the RA's.  And the CA's, P-256.  Fixed; not to be freed. */
EVP_PKEY *ground_rsa(int number);
EVP_PKEY *ground_ca_key(void); /* see ground_rsa() */

/* The CA's certificate, ten years around GROUND_NOW, and one that it issued to an RSA key; DER, kept for ever. */
struct bytes ground_ca(void);
struct bytes ground_issued(int number); /* see ground_ca(); number as for ground_rsa() */

/* A self-signed certificate of an RSA key. */
struct bytes ground_self_signed(int number);

/* Cuts the first octet off; 0 when there is none. */
uint8_t ground_take_u8(struct bytes *data);

/* Cuts an element off: two octets of length, then as many as there are of it. */
struct bytes ground_take_part(struct bytes *data);

/* Appends a part as ground_take_part() reads it. */
void ground_put_part(struct buf *out, struct bytes part);

/* The content of data as text that ends with a NUL (in the middle of it too); the caller frees. */
char *ground_text(struct bytes data);

/* A path under which a reader finds content, for parsers of files; valid until the next call. */
const char *ground_file(struct bytes content);

/*
 * Mutates the elements of DER instead of octets: one is changed, removed, doubled or put in another's place, and all
 * lengths around it stay right.  skip octets at the beginning are left alone.  Returns the new length, 0 when data is
 * not DER.  For LLVMFuzzerCustomMutator().
 */
size_t ground_mutate_der(uint8_t *data, size_t size, size_t max_size, size_t skip, unsigned seed);

/* Every second mutation by ground_mutate_der(), the others as libFuzzer does them. */
#define GROUND_DER_MUTATOR(skip)                                                                                       \
	size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);                    \
	size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)                     \
	{                                                                                                              \
		size_t len = seed % 2 == 0 ? ground_mutate_der(data, size, max_size, (skip), seed / 2) : 0;            \
                                                                                                                       \
		return len > 0 ? len : LLVMFuzzerMutate(data, size, max_size);                                         \
	}

/* libFuzzer's. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
