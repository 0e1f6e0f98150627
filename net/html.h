/*
 * net/html - the pages that a person sees in a browser
 *
 * Plain HTML with one style sheet inside: no script, no picture, nothing from elsewhere, so that the strictest policy
 * lets it through and a text browser shows all of it.
 *
 * Threads:  any; nothing is shared.
 */
#ifndef NET_HTML_H
#define NET_HTML_H

#include <stdbool.h>

#include "board/base/buf.h"

/* What programs look for in the administrator's page (facts, microsoft.md 1.7). */
#define NET_HTML_FULL   "The password cache is full."
#define NET_HTML_DENIED "You do not have sufficient permission to enroll with SCEP."

enum { NET_HTML_MD5_SIZE = 33 };

/* What the administrator's page says. */
struct net_html_admin {
	int status; /* ADMIN_* of board/msg.h, but not ADMIN_RETRY */
	struct bytes challenge;
	unsigned minutes; /* its life, with ADMIN_GRANTED */
	unsigned limit;   /* challenge.max_open, with ADMIN_FULL */
	struct bytes ca;  /* the CA's own certificate, DER */
};

/* Content-Security-Policy of all pages: the style sheet by its hash, and nothing else. */
extern const char net_html_policy[];

/* The style sheet as the pages have it, for who checks the hash. */
extern const char net_html_style[];

/*
 * Appends what a browser is shown at the address of devices.  host is the request's Host field or NULL; one that
 * cannot be a host's name is not shown.  profile names the SCEP profile whose address it is; "": none.  buf_status() of
 * out tells whether all of it fitted.
 */
void net_html_service(const char *host, bool is_tls, const char *profile, struct buf *out);

/*
 * Appends the administrator's page, ASCII alone.  Its sentences with marks are those of NDES to the letter: the
 * challenge stands in "The enrollment challenge password is: <B> CHALLENGE </B>".
 */
void net_html_admin(const struct net_html_admin *page, struct buf *out);

/*
 * Appends the page of the certificate registration point /application (letters, digits, '-', '_'), which says in the
 * words of an error that it is there (facts, microsoft.md 3.2).
 */
void net_html_registration(const char *application, struct buf *out);

/* MD5 of a certificate in upper-case hexadecimal, as NDES shows it; "unknown" when there is no MD5.  Returns out. */
const char *net_html_md5(struct bytes der, char out[NET_HTML_MD5_SIZE]);

#endif
