#include "net/page.h"

#include <stdio.h>
#include <time.h>

#include "board/base/x509.h"

/* A CRL ends with its signature, which stands for all of it: hashing megabytes would hold the loop. */
enum { HASHED_WHOLE = 65536, HASHED_TAIL = 1024 };

static void
make_etag(struct net_page *page)
{
	struct bytes body = page->body;
	uint8_t hash[32];
	char hex[33];

	if (body.len > HASHED_WHOLE)
		body = (struct bytes){body.data + body.len - HASHED_TAIL, HASHED_TAIL};
	x509_sha256(body, hash);
	bytes_hex((struct bytes){hash, 16}, hex, sizeof(hex));
	snprintf(page->etag, sizeof(page->etag), "\"%s\"", hex);
}

/* Independent of the locale (RFC 9110 5.6.7). */
static void
http_date(int64_t wall_s, char *out, size_t size)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t when = (time_t)wall_s;
	struct tm tm;

	out[0] = '\0';
	if (wall_s <= 0 || gmtime_r(&when, &tm) == NULL)
		return;
	snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		 (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

int
net_page_new(const char *type, struct bytes body, int64_t modified, int64_t fresh_until, struct net_page **ret_page)
{
	struct net_page *page = calloc(1, sizeof(*page));

	if (page == NULL)
		return ERR_NOMEM;
	page->body = bytes_dup(body);
	if (page->body.data == NULL && body.len > 0) {
		free(page);
		return ERR_NOMEM;
	}
	make_etag(page);
	http_date(modified, page->last_modified, sizeof(page->last_modified));
	http_date(fresh_until, page->expires, sizeof(page->expires));
	page->type = type;
	page->fresh_until = fresh_until;
	page->references = 1;
	*ret_page = page;
	return 0;
}

struct net_page *
net_page_ref(struct net_page *page)
{
	page->references++;
	return page;
}

void
net_page_free(struct net_page *page)
{
	if (page == NULL || --page->references > 0)
		return;
	free((void *)(uintptr_t)page->body.data);
	free(page);
}
