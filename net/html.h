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

/* Content-Security-Policy of all pages: the style sheet by its hash, and nothing else. */
extern const char net_html_policy[];

/* The style sheet as the pages have it, for who checks the hash. */
extern const char net_html_style[];

/*
 * Appends what a browser is shown at the address of devices.  host is the request's Host field or NULL; one that
 * cannot be a host's name is not shown.  buf_status() of out tells whether all of it fitted.
 */
void net_html_service(const char *host, bool is_tls, struct buf *out);

#endif
