/*
 * net/query - the raw target of a SCEP request: path, operation, and the base64 message of a GET
 *
 * Never a form decoder: "+" in a query is a plus (RFC 3986), and a form decoder breaks about every second request of
 * clients that leave it bare (facts C1 to C3).  What base64 cannot contain is repaired instead of refused, see
 * net_query_message().
 *
 * Threads:  any; nothing is shared.
 * Owner:    struct net_query borrows from the target.
 */
#ifndef NET_QUERY_H
#define NET_QUERY_H

#include <stdbool.h>

#include "board/base/buf.h"
#include "board/base/err.h"

enum net_query_operation {
	NET_QUERY_NONE, /* no operation given; a POST without one is a PKIOperation (RFC 8894 4.3, facts D.1 60) */
	NET_QUERY_GETCACAPS,
	NET_QUERY_GETCACERT,
	NET_QUERY_GETNEXTCACERT,
	NET_QUERY_PKIOPERATION,
	NET_QUERY_OTHER, /* something else: never HTTP 200 (C6) */
};

struct net_query {
	struct bytes path;  /* as sent, percent-escapes and all; scheme and host of an absolute target left out */
	struct bytes query; /* behind the first "?"; empty when absent */
	enum net_query_operation operation;
	struct bytes operation_text; /* as sent, for the log */
	bool has_message;
	struct bytes message; /* value of "message" as sent; for GetCACert a CA identifier in plain text (C7) */
};

/*
 * Splits the target of a request line, such as "/scep?operation=GetCACaps".  Names and the operation are compared
 * without regard to case, as NDES does; of a repeated name the first counts; unknown names are ignored.  Never fails:
 * an odd target gives NET_QUERY_NONE or NET_QUERY_OTHER.
 */
void net_query_parse(struct bytes target, struct net_query *ret_query);

/*
 * True when path is prefix or lies below it: "/scep" matches "/scep", "/scep/" and "/SCEP/pkiclient.exe", not "/scepx"
 * (C11, C12).  Without regard to case.
 */
bool net_query_path_below(struct bytes path, const char *prefix);

/* True when path is prefix followed by rest, without regard to case. */
bool net_query_path_is(struct bytes path, const char *prefix, const char *rest);

/*
 * Appends the octets of a base64 text as clients send it (C1 to C9): any characters percent-escaped, once or twice; "+"
 * bare, escaped, or already turned into a space; the url-safe alphabet; line ends and tabs anywhere, escaped or not;
 * padding or none.  Fails with ERR_FORMAT for everything else and for nothing at all, ERR_LIMIT when out is full.
 */
MUST_CHECK int net_query_message(struct bytes text, struct buf *out, struct err *e);

/*
 * The DER (or BER) of a POST body: body itself when it begins with 0x30, else, when it begins with "M" - base64 text
 * (C9) -, what that decodes to, which is written to store.  *ret_der borrows from body or store.  Fails with ERR_FORMAT
 * or ERR_LIMIT.
 */
MUST_CHECK int net_query_body(struct bytes body, struct buf *store, struct bytes *ret_der, struct err *e);

#endif
