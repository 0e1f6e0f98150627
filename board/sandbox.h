/*
 * board/sandbox - the system calls a role may make
 *
 * sandbox_seccomp.c kills the process at the first call outside the role's list; sandbox_none.c, for builds with
 * sanitizers, does nothing.
 */
#ifndef BOARD_SANDBOX_H
#define BOARD_SANDBOX_H

#include "board/base/err.h"
#include "board/base/ipc.h"

/* Confines all threads of this process for the rest of its life.  Fails with ERR_IO. */
MUST_CHECK int sandbox_enter(enum role role, struct err *e);

#endif
