/*
 * board/prompt - asking a person for a secret on the terminal
 *
 * Threads:  the main one, before any loop runs: it waits for the person.
 */
#ifndef BOARD_PROMPT_H
#define BOARD_PROMPT_H

#include "board/base/secret.h"

/*
 * Prints question on /dev/tty and reads one line of 1 to max bytes (at most 2047) without echo.  A signal that ends or
 * stops the process finds the terminal as it was; after a stop the question comes again.  Fails with ERR_IO when there
 * is no terminal, ERR_CONFIG for an empty or too long line.
 */
MUST_CHECK int prompt_secret(const char *question, size_t max, struct secret **ret_secret, struct err *e);

#endif
