/*
 * tests/fuzz/pipework - what a broken role says to another: frames made of the fuzzer's octets
 *
 * An input is a list of frames, each a type, an id of one octet, and a part (ground.h) that is the body.
 *
 * Threads:  one.
 */
#ifndef TESTS_FUZZ_PIPEWORK_H
#define TESTS_FUZZ_PIPEWORK_H

#include "board/msg.h"

/* Cuts the next frame off input; false at the end. */
bool pipework_next(struct bytes *input, uint8_t *ret_type, uint8_t *ret_id, struct bytes *ret_body);

/* Appends a frame as pipework_next() reads it. */
void pipework_put(struct buf *out, uint8_t type, uint8_t id, struct bytes body);

#endif
