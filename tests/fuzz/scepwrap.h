/*
 * tests/fuzz/scepwrap - signed SCEP messages around whatever a fuzzer made, since it guesses no signature
 *
 * Threads:  one.
 */
#ifndef TESTS_FUZZ_SCEPWRAP_H
#define TESTS_FUZZ_SCEPWRAP_H

#include "board/base/buf.h"

/* Appends the attributes of a PKCSReq but for contentType and messageDigest; transaction is printable text. */
void scepwrap_attributes(struct buf *out, const char *message_type, const char *transaction);

/*
 * Appends a PKIMessage signed by the device's key: content as it is, and behind contentType and messageDigest the
 * attributes given.
 */
void scepwrap_message(struct buf *out, struct bytes content, struct bytes attributes);

/* Appends EnvelopedData (a ContentInfo) for the RA's key with plain in it. */
void scepwrap_envelope(struct buf *out, struct bytes plain);

#endif
