/*
 * board/config_check - what a setting must look like beyond its type, length and range
 *
 * Words that a setting may hold, addresses, URLs, and settings that contradict each other.  board/config.c asks, and
 * adds file, line and name of the setting.
 *
 * Threads:  any.
 */
#ifndef BOARD_CONFIG_CHECK_H
#define BOARD_CONFIG_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "board/config.h"

/*
 * Looks at one text setting ("group.key").  True when it is allowed; else what is allowed stands in why, as the end
 * of a sentence that names the setting.
 */
bool config_check_text(const char *setting, const char *value, char *why, size_t size);

/*
 * Looks for settings that contradict each other.  NULL when there are none, else the setting to name, and *ret_other
 * is the one that it contradicts; why as above.
 */
const char *config_check_whole(const struct config *conf, const char **ret_other, char *why, size_t size);

/*
 * The next word of a list that is separated by blanks: *list moves behind it, *ret_len is its length.  NULL at the
 * end.
 */
const char *config_check_word(const char **list, size_t *ret_len);

/* Is the word of len characters one of words, which end with NULL? */
bool config_check_one_of(const char *word, size_t len, const char *const *words);

/* Appends " WORD" for each of words to the text in out, as far as size allows. */
void config_check_list(const char *const *words, char *out, size_t size);

/*
 * An address as front.http and front.https list them, "ADDRESS:PORT" with an IPv6 address in brackets.  Names are not
 * looked up.  Port 0 is any free one.  Fails with ERR_CONFIG.
 */
MUST_CHECK int config_check_address(const char *word, size_t len, struct sockaddr_storage *ret, socklen_t *ret_len);

#endif
