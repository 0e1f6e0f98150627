#include "net/html.h"

#include <string.h>

enum { HOST_MAX = 260 };

const char net_html_style[] =
	"body{margin:0;background:#f4f6f8;color:#1c2733;font:17px/1.55 system-ui,sans-serif}"
	"header{background:#0b5563;color:#fff;padding:1.1em 2em}"
	"h1{margin:0;font-size:1.45em;font-weight:600}"
	"main{max-width:48em;margin:1.2em auto;padding:0 2em}"
	"h2{font-size:1.1em;margin:1.3em 0 .3em;color:#0b5563}"
	"p{margin:.4em 0}table{border-collapse:collapse;width:100%;background:#fff}"
	"th,td{text-align:left;padding:.5em .8em;border:1px solid #cdd6dd;vertical-align:top}"
	"th{width:11em;font-weight:600}code,b{font:600 .95em ui-monospace,monospace;overflow-wrap:anywhere}"
	"a{color:#0b5563}";

const char net_html_policy[] = "default-src 'none'; style-src 'sha256-wtdWB/G6uTiG7aBwammYA0pZIemID62NEW8J96xY1wU='; "
			       "base-uri 'none'; form-action 'none'; "
			       "frame-ancestors 'none'";

static void
put_head(struct buf *out, const char *title)
{
	buf_printf(out,
		   "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		   "<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n"
		   "<style>%s</style>\n</head>\n<body>\n<header><h1>%s</h1></header>\n<main>\n",
		   title, net_html_style, title);
}

static void
put_tail(struct buf *out)
{
	buf_printf(out, "</main>\n</body>\n</html>\n");
}

/* A name or an address with its port; what else a peer may have sent does not get into a page. */
static bool
is_host(const char *host)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";

	return host != NULL && host[0] != '\0' && strlen(host) < HOST_MAX && host[strspn(host, allowed)] == '\0';
}

void
net_html_service(const char *host, bool is_tls, struct buf *out)
{
	const char *scheme = is_tls ? "https" : "http";

	if (!is_host(host))
		host = "THIS-SERVER";
	put_head(out, "Network Device Enrollment Service");
	buf_printf(out, "<p>Network devices use this address to request certificates with SCEP, the Simple Certificate "
			"Enrollment Protocol (RFC 8894). It works: there is nothing to do here with a browser.</p>\n");
	buf_printf(out,
		   "<h2>What to type into a device</h2>\n<table>\n"
		   "<tr><th>SCEP or NDES URL</th><td><code>%s://%s/certsrv/mscep/mscep.dll</code><br>"
		   "or <code>%s://%s/scep</code>, without anything behind it</td></tr>\n"
		   "<tr><th>Challenge password</th><td>A new one for each device. Your administrator gets it from the "
		   "administrator's page of this service, or with <code>chancery challenge create</code>.</td></tr>\n"
		   "<tr><th>CA identifier</th><td>Anything; leave it empty if the device allows that.</td></tr>\n"
		   "</table>\n",
		   scheme, host, scheme, host);
	buf_printf(out,
		   "<h2>For whoever checks the certificates</h2>\n<table>\n"
		   "<tr><th>CA certificate</th><td><a href=\"/ca\">/ca</a> &ndash; compare its fingerprint with the "
		   "one that your administrator tells you</td></tr>\n"
		   "<tr><th>Revocation list</th><td><a href=\"/crl\">/crl</a> (CRL)</td></tr>\n</table>\n");
	put_tail(out);
}
