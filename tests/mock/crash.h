/*
 * tests/mock/crash - SIGKILL in the middle of a call, at the n-th step that SoftHSM takes in its files
 *
 * Works when p11_mock.so is preloaded too (LD_PRELOAD), because only then SoftHSM's open(), ftruncate(), fflush(),
 * fclose() and remove() come here.  Each of them is a step; the process dies before the step is done.
 *
 * Threads:  each its own.
 */
#ifndef TESTS_MOCK_CRASH_H
#define TESTS_MOCK_CRASH_H

/* From now on this thread's n-th step ends the process. */
void mock_crash_begin(unsigned n);

/* No step does any more.  Returns how many there were. */
unsigned mock_crash_end(void);

#endif
