/*
 * board/base/file - reading small files whole, and replacing them so that a crash leaves the old or the new one
 *
 * Threads:  any, but never a loop's: these calls block.
 */
#ifndef BOARD_BASE_FILE_H
#define BOARD_BASE_FILE_H

#include <sys/types.h>

#include "board/base/buf.h"
#include "board/base/err.h"

/* Appends the whole file to out, up to out's limit.  Fails with ERR_UNKNOWN when there is none, ERR_IO, ERR_LIMIT. */
MUST_CHECK int file_read(const char *path, struct buf *out, struct err *e);

/*
 * Writes v to a temporary file beside path, fsyncs it, renames it to path and fsyncs the directory.  The new file
 * belongs to the caller and has this mode.  Fails with ERR_IO; then path is what it was.
 */
MUST_CHECK int file_replace(const char *path, mode_t mode, struct bytes v, struct err *e);

/*
 * Makes the directory path with this mode and owner unless it is there; then only checks that it is one.  Fails with
 * ERR_IO.
 */
MUST_CHECK int file_mkdir(const char *path, mode_t mode, uid_t owner, struct err *e);

#endif
