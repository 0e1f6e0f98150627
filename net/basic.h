/*
 * net/basic - name and password of an Authorization field (RFC 7617)
 *
 * Strict: base64 as RFC 4648 4 has it, a name and a password in UTF-8 without control characters.
 *
 * Threads:  any.
 */
#ifndef NET_BASIC_H
#define NET_BASIC_H

#include "board/base/secret.h"

/* With the NUL; and octets. */
enum { NET_BASIC_NAME_SIZE = 64, NET_BASIC_PASSWORD_MAX = 1024 };

struct net_basic {
	char name[NET_BASIC_NAME_SIZE];
	struct secret *password; /* owned by who asked for it */
};

/*
 * Reads the value of the field; NULL is none.  Fails with ERR_UNKNOWN when there is none or it is of another scheme,
 * ERR_FORMAT when it is Basic and cannot be read or is longer than the above, ERR_NOMEM.
 */
MUST_CHECK int net_basic_parse(const char *value, struct net_basic *ret_basic);

#endif
