/*
 * board/rolelog - the parent's end of a role's descriptor 2
 *
 * Lines of the role's own log are passed on as they are.  Everything else that arrives there (a vendor module's
 * messages, a sanitizer's report, a forged line of another role) becomes the text of a ROLE_OUTPUT event, so no role
 * can write log lines in another's name.
 *
 * Threads:  the parent's loop.
 */
#ifndef BOARD_ROLELOG_H
#define BOARD_ROLELOG_H

#include "board/base/cleanup.h"
#include "board/base/loop.h"

struct rolelog;

/*
 * A pipe for the role that is called name (kept, not copied).  *ret_fd is the end for the role, non-blocking,
 * which the caller closes.  Fails with ERR_IO or ERR_NOMEM.
 */
MUST_CHECK int rolelog_new(struct loop *loop, const char *name, struct rolelog **ret_log, int *ret_fd, struct err *e);

/* Passes on what is still in the pipe, and frees; NULL is fine. */
void rolelog_free(struct rolelog *log);

#endif
