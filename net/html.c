#include "net/html.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "board/msg.h"

enum { HOST_MAX = 260 };

const char net_html_style[] =
	"body{margin:0;background:#f4f6f8;color:#1c2733;font:17px/1.55 system-ui,sans-serif}"
	"header{background:#0b5563;color:#fff;padding:1.1em 2em}"
	"h1{margin:0;font-size:1.45em;font-weight:600}"
	"main{max-width:54em;margin:1.2em auto;padding:0 2em}"
	"h2{font-size:1.1em;margin:1.3em 0 .3em;color:#0b5563}"
	"p{margin:.4em 0}table{border-collapse:collapse;width:100%;background:#fff}"
	"th,td{text-align:left;padding:.5em .8em;border:1px solid #cdd6dd;vertical-align:top}"
	"th{width:11em;font-weight:600}code,b{font:600 .95em ui-monospace,monospace;overflow-wrap:anywhere}"
	"a{color:#0b5563}.wide{background:#fff;border:1px solid #cdd6dd;padding:.5em .8em}";

const char net_html_policy[] = "default-src 'none'; style-src 'sha256-IZwdIj0IGxSnCJqb9/S8PZhU49bh9S/J23Muqnxc5uc='; "
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

/* A profile is for who was told its address; the others are none of its devices' business. */
static void
put_urls(const char *host, bool is_tls, const char *profile, struct buf *out)
{
	const char *scheme = is_tls ? "https" : "http";

	if (!is_host(host))
		host = "THIS-SERVER";
	buf_printf(out, "<tr><th>SCEP or NDES URL</th><td><code>");
	if (profile[0] != '\0')
		buf_printf(out, "%s://%s/scep/%s", scheme, host, profile);
	else
		buf_printf(out, "%s://%s/certsrv/mscep/mscep.dll</code><br>or <code>%s://%s/scep", scheme, host, scheme,
			   host);
	buf_printf(out, "</code>, without anything behind it</td></tr>\n");
}

void
net_html_service(const char *host, bool is_tls, const char *profile, struct buf *out)
{
	put_head(out, "Network Device Enrollment Service");
	buf_printf(out, "<p>Network devices use this address to request certificates with SCEP, the Simple Certificate "
			"Enrollment Protocol (RFC 8894). It works: there is nothing to do here with a browser.</p>\n");
	buf_printf(out, "<h2>What to type into a device</h2>\n<table>\n");
	put_urls(host, is_tls, profile, out);
	buf_printf(out,
		   "<tr><th>Challenge password</th><td>A new one for each device. Your administrator gets it from the "
		   "administrator's page of this service, or with <code>chancery challenge create</code>.</td></tr>\n"
		   "<tr><th>CA identifier</th><td>Anything; leave it empty if the device allows that.</td></tr>\n"
		   "</table>\n");
	buf_printf(out, "<h2>For whoever checks the certificates</h2>\n<table>\n"
			"<tr><th>CA certificate</th><td><a href=\"/ca/current\">/ca/current</a> &ndash; compare its "
			"fingerprint with the "
			"one that your administrator tells you</td></tr>\n"
			"<tr><th>Revocation list</th><td><a href=\"/crl/current\">/crl/current</a> "
			"(CRL)</td></tr>\n</table>\n");
	put_tail(out);
}

void
net_html_registration(const char *application, struct buf *out)
{
	char title[128];

	snprintf(title, sizeof(title), "Server Error in '/%s' Application.", application);
	put_head(out, title);
	buf_printf(out,
		   "<p>HTTP 404: there is no page here, and that is the sign of health: the certificate registration "
		   "point "
		   "<code>/%s</code> is installed and answers.</p>\n"
		   "<p>Policy modules call it with a client certificate; there is nothing to do here with a "
		   "browser.</p>\n",
		   application);
	put_tail(out);
}

/* ---- the administrator's page ------------------------------------------------------------------------------------ */

/* In upper case; "unknown" when OpenSSL does not have the digest, as may be with MD5. */
static const char *
digest_text(const EVP_MD *type, struct bytes der, char *out, size_t size)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (EVP_Digest(der.data, der.len, digest, &len, type, NULL) != 1) {
		snprintf(out, size, "unknown");
		return out;
	}
	bytes_hex((struct bytes){digest, len}, out, size);
	for (char *c = out; *c != '\0'; c++)
		*c = (char)toupper((unsigned char)*c);
	return out;
}

const char *
net_html_md5(struct bytes der, char out[NET_HTML_MD5_SIZE])
{
	return digest_text(EVP_md5(), der, out, NET_HTML_MD5_SIZE);
}

static void
put_thumbprints(struct bytes ca, struct buf *out)
{
	char md5[NET_HTML_MD5_SIZE];
	char hex[2 * EVP_MAX_MD_SIZE + 1];

	net_html_md5(ca, md5);
	buf_printf(out,
		   "<p class=\"wide\">The thumbprint (hash value) for the CA certificate is: "
		   "<B> %.8s %.8s %.8s %.8s </B> (MD5)</p>\n",
		   md5, strlen(md5) > 8 ? md5 + 8 : "", strlen(md5) > 16 ? md5 + 16 : "",
		   strlen(md5) > 24 ? md5 + 24 : "");
	buf_printf(out, "<p class=\"wide\">SHA-1 thumbprint: <b>%s</b></p>\n",
		   digest_text(EVP_sha1(), ca, hex, sizeof(hex)));
	buf_printf(out, "<p class=\"wide\">SHA-256 thumbprint: <b>%s</b></p>\n",
		   digest_text(EVP_sha256(), ca, hex, sizeof(hex)));
	buf_printf(out, "<p>Compare SHA-256 where a device shows it; MD5 and SHA-1 are for devices that know nothing "
			"else.</p>\n");
}

/* A static challenge is what the operator put into a file, so it may be anything. */
static void
put_escaped(struct bytes text, struct buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c > ' ' && c < 0x7f && strchr("<>&\"'", c) == NULL)
			buf_put_u8(out, c);
		else
			buf_printf(out, "&#%u;", (unsigned)c);
	}
}

static void
put_challenge(const struct net_html_admin *page, struct buf *out)
{
	buf_printf(out, "<h2>Challenge password</h2>\n<p class=\"wide\">The enrollment challenge password is: <B> ");
	put_escaped(page->challenge, out);
	buf_printf(out, " </B></p>\n");
	if (page->status == ADMIN_STATIC) {
		buf_printf(out, "<p>This password is the same for all devices and will not expire.</p>\n");
		return;
	}
	buf_printf(
		out,
		"<p>This password can be used only once and will expire within %u minutes.</p>\n"
		"<p>Each enrollment requires a new challenge password. You can refresh this web page to obtain a new "
		"challenge password.</p>\n",
		page->minutes);
}

void
net_html_admin(const struct net_html_admin *page, struct buf *out)
{
	put_head(out, "Network Device Enrollment Service: administrator");
	buf_printf(out,
		   "<p>Here an administrator gets what a device needs to request a certificate with SCEP: type the "
		   "challenge password into the device, and compare the thumbprint that it shows.</p>\n");
	if (page->status == ADMIN_GRANTED || page->status == ADMIN_STATIC) {
		put_challenge(page, out);
	} else if (page->status == ADMIN_FULL) {
		buf_printf(out,
			   "<h2>No challenge password now</h2>\n<p>" NET_HTML_FULL "</p>\n"
			   "<p>%u passwords are open. Wait until one is used or expires, or raise "
			   "<code>challenge.max_open</code> (PasswordMax) and reload the configuration.</p>\n",
			   page->limit);
	} else if (page->status == ADMIN_LOGIN) {
		buf_printf(out,
			   "<h2>Sign in</h2>\n<p>" NET_HTML_DENIED "</p>\n"
			   "<p>Sign in with the name and password of an operator's account "
			   "(<code>chancery operator add</code>), or show a client certificate that this CA issued, "
			   "that is neither revoked nor expired, and whose SHA-256 fingerprint belongs to an account "
			   "or is listed in <code>admin.certificates</code>.</p>\n"
			   "<p>A browser asks once which certificate to show; to be asked again, close it and open "
			   "this page again.</p>\n");
	} else {
		buf_printf(out, "<h2>No challenge password for you</h2>\n<p>" NET_HTML_DENIED "</p>\n"
				"<p>Your account is known, but not in the group <code>ra-operators</code> or "
				"<code>administrators</code>. An administrator of this appliance can change that with "
				"<code>chancery operator change</code>.</p>\n");
	}
	if (page->status != ADMIN_DENIED && page->status != ADMIN_LOGIN) {
		buf_printf(out, "<h2>CA certificate</h2>\n");
		put_thumbprints(page->ca, out);
	}
	put_tail(out);
}
