#include "tests/load/answer.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "board/base/oid.h"

enum { FAIL_BAD_CERT_ID = 4, HEAD_FIELD_MAX = 80, STATUS_AT = 9, RETRY_MAX_S = 3600 };
enum { SUCCESS = 0, FAILURE = 2, PENDING = 3 };

/* The value of a header field into out, "" when it is missing. */
static void
field_get(const char *head, size_t len, const char *name, char out[HEAD_FIELD_MAX])
{
	const char *end = head + len;
	size_t name_len = strlen(name);

	out[0] = '\0';
	for (const char *line = head; line != NULL && line < end;) {
		const char *next = memchr(line, '\n', (size_t)(end - line));
		const char *stop = next != NULL ? next : end;

		if ((size_t)(stop - line) > name_len && strncasecmp(line, name, name_len) == 0 &&
		    line[name_len] == ':') {
			line += name_len + 1;
			while (line < stop && *line == ' ')
				line++;
			while (stop > line && (stop[-1] == '\r' || stop[-1] == ' '))
				stop--;
			(void)snprintf(out, HEAD_FIELD_MAX, "%.*s", (int)(stop - line), line);
			return;
		}
		line = next != NULL ? next + 1 : NULL;
	}
}

/* Puts chunks together at data.  1, 0 or ERR_FORMAT as answer_read(). */
static int
chunks_join(uint8_t *data, size_t len, struct bytes *ret_body)
{
	size_t at = 0;
	size_t joined = 0;

	/* Once to see whether all is there, then again to move it: nothing moves before the end has come. */
	for (int pass = 0; pass < 2; pass++) {
		at = 0;
		for (;;) {
			uint8_t *line_end = memchr(data + at, '\n', len - at);
			unsigned long size;
			size_t begin;
			char *end;

			if (line_end == NULL)
				return 0;
			size = strtoul((const char *)data + at, &end, 16);
			if (end == (const char *)data + at || size > ANSWER_MAX)
				return ERR_FORMAT;
			begin = (size_t)(line_end - data) + 1;
			if (begin + size + 2 > len)
				return 0;
			if (pass == 1) {
				memmove(data + joined, data + begin, size);
				joined += size;
			}
			at = begin + size + 2;
			if (size == 0)
				break;
		}
	}
	*ret_body = (struct bytes){data, joined};
	return 1;
}

/* The digits of a PrintableString that is the only value of the attribute; -1 when it is not there. */
static int
number_find(struct bytes body, struct bytes oid)
{
	const uint8_t *at = memmem(body.data, body.len, oid.data, oid.len);
	size_t left;

	if (at == NULL)
		return -1;
	at += oid.len;
	left = body.len - (size_t)(at - body.data);
	/* SET { PrintableString of one digit } */
	if (left < 5 || memcmp(at, "\x31\x03\x13\x01", 4) != 0 || at[4] < '0' || at[4] > '9')
		return -1;
	return at[4] - '0';
}

/* At most RETRY_MAX_S. */
static int
seconds_of(const char *text)
{
	unsigned long seconds = strtoul(text, NULL, 10);

	return seconds < RETRY_MAX_S ? (int)seconds : RETRY_MAX_S;
}

static int
body_read(uint8_t *data, size_t len, const char *head, size_t head_len, bool ended, struct answer *answer)
{
	char text[HEAD_FIELD_MAX];
	size_t size;

	field_get(head, head_len, "Transfer-Encoding", text);
	if (strcasecmp(text, "chunked") == 0)
		return chunks_join(data, len, &answer->body);
	field_get(head, head_len, "Content-Length", text);
	if (text[0] == '\0') {
		answer->closes = true;
		answer->body = (struct bytes){data, len};
		return ended ? 1 : 0;
	}
	size = strtoul(text, NULL, 10);
	answer->body = (struct bytes){data, size};
	return size > ANSWER_MAX ? ERR_FORMAT : len >= size;
}

int
answer_read(uint8_t *data, size_t len, bool ended, struct answer *ret_answer)
{
	struct answer answer = {.retry_after_s = -1, .pki_status = -1, .fail_info = -1};
	const char *head = (const char *)data;
	char text[HEAD_FIELD_MAX];
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	size_t head_len;
	int rc;

	if (end == NULL)
		return ended || len > ANSWER_MAX ? ERR_FORMAT : 0;
	head_len = (size_t)(end - head);
	if (head_len < STATUS_AT + 3 || strncmp(head, "HTTP/1.", 7) != 0)
		return ERR_FORMAT;
	answer.status = (int)strtol(head + STATUS_AT, NULL, 10);
	field_get(head, head_len, "Connection", text);
	answer.closes = strcasecmp(text, "close") == 0;
	field_get(head, head_len, "Retry-After", text);
	if (text[0] >= '0' && text[0] <= '9')
		answer.retry_after_s = seconds_of(text);
	rc = body_read(data + head_len + 4, len - head_len - 4, head, head_len, ended, &answer);
	if (rc <= 0)
		return ended && rc == 0 ? ERR_FORMAT : rc;
	answer.pki_status = number_find(answer.body, (struct bytes)OID_SCEP_PKI_STATUS);
	answer.fail_info = number_find(answer.body, (struct bytes)OID_SCEP_FAIL_INFO);
	*ret_answer = answer;
	return 1;
}

static enum verdict
certrep_judge(const struct job *job, const struct answer *answer)
{
	switch (answer->pki_status) {
	case SUCCESS:
		return job->want == WANT_SUCCESS ? VERDICT_OK : VERDICT_ACCEPTED;
	case PENDING:
		return job->want == WANT_PENDING ? VERDICT_OK : VERDICT_PENDING;
	case FAILURE:
		return job->want == WANT_REFUSAL || (job->want == WANT_UNKNOWN && answer->fail_info == FAIL_BAD_CERT_ID)
			       ? VERDICT_OK
			       : VERDICT_REFUSED;
	default:
		return VERDICT_NO_CERTREP;
	}
}

enum verdict
answer_judge(const struct job *job, const struct answer *answer)
{
	if (answer->status == 503)
		return VERDICT_LATER;
	if (answer->status == 400 && job->want == WANT_REFUSAL)
		return VERDICT_OK;
	if (answer->status != 200)
		return VERDICT_HTTP;
	return job->want == WANT_OK ? VERDICT_OK : certrep_judge(job, answer);
}
