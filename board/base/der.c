#include "board/base/der.h"

#include <stdio.h>
#include <string.h>

enum {
	TAG_NUMBER = 0x1f,
	TAG_CONSTRUCTED = 0x20,
	TAG_CLASS = 0xc0,
	LENGTH_LONG = 0x80,
	LENGTH_OCTETS_MAX = 4,
};

static const int64_t DAY_S = 86400;

/* X.690 10.2: DER has no constructed strings, and a SEQUENCE is never primitive. */
static bool
tag_is_der(uint8_t tag)
{
	bool constructed = (tag & TAG_CONSTRUCTED) != 0;
	int number = tag & TAG_NUMBER;

	if (number == TAG_NUMBER)
		return false;
	if ((tag & TAG_CLASS) != 0)
		return true;
	if (number == 0)
		return false;
	return constructed == (number == 8 || number == 11 || number == 16 || number == 17);
}

/* Reads the length octets at p; returns how many there are, or 0 for what DER does not allow. */
static size_t
length_read(const uint8_t *p, size_t left, size_t *ret_len)
{
	size_t count, i, len = 0;

	if (left == 0)
		return 0;
	if (p[0] < LENGTH_LONG) {
		*ret_len = p[0];
		return 1;
	}
	count = p[0] & 0x7f;
	if (count == 0 || count > LENGTH_OCTETS_MAX || count >= left || p[1] == 0)
		return 0;
	for (i = 1; i <= count; i++)
		len = len << 8 | p[i];
	if (len < LENGTH_LONG)
		return 0;
	*ret_len = len;
	return count + 1;
}

int
der_next(struct view *v, struct der *ret_element)
{
	size_t head, len = 0;

	if (v->bad || v->left < 2 || !tag_is_der(v->next[0]))
		return ERR_FORMAT;
	head = length_read(v->next + 1, v->left - 1, &len);
	if (head == 0 || len > v->left - 1 - head)
		return ERR_FORMAT;
	head++;
	ret_element->tag = v->next[0];
	ret_element->content = (struct bytes){v->next + head, len};
	ret_element->whole = (struct bytes){v->next, head + len};
	v->next += head + len;
	v->left -= head + len;
	return 0;
}

int
der_expect(struct view *v, uint8_t tag, struct der *ret_element)
{
	return der_peek(v, tag) ? der_next(v, ret_element) : ERR_FORMAT;
}

bool
der_peek(const struct view *v, uint8_t tag)
{
	return !v->bad && v->left > 0 && v->next[0] == tag;
}

int
der_whole(struct bytes v, uint8_t tag, struct view *ret_content)
{
	struct view all = view_of(v);
	struct der element;
	int rc = der_expect(&all, tag, &element);

	if (rc != 0)
		return rc;
	if (all.left != 0)
		return ERR_FORMAT;
	*ret_content = view_of(element.content);
	return 0;
}

static bool
is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int
month_days(int64_t year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days from 1970-01-01 to the first of January of a year between 0 and 10000. */
static int64_t
year_start(int64_t year)
{
	int64_t y = year + 399; /* one era on, so that nothing below is negative */

	return year * 365 + y / 4 - y / 100 + y / 400 - 719624;
}

/* count decimal digits at p, -1 when one is none. */
static int
digits(const uint8_t *p, int count)
{
	int i, value = 0;

	for (i = 0; i < count; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		value = value * 10 + (p[i] - '0');
	}
	return value;
}

/* MMDDHHMMSSZ of a year. */
static int
time_parse(int year, const uint8_t *p, int64_t *ret_time)
{
	int month = digits(p, 2), day = digits(p + 2, 2), hour = digits(p + 4, 2);
	int minute = digits(p + 6, 2), second = digits(p + 8, 2), i;
	int64_t days;

	if (year < 0 || month < 1 || month > 12 || day < 1 || day > month_days(year, month))
		return ERR_FORMAT;
	if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 || p[10] != 'Z')
		return ERR_FORMAT;
	days = year_start(year) + day - 1;
	for (i = 1; i < month; i++)
		days += month_days(year, i);
	*ret_time = days * DAY_S + hour * 3600 + minute * 60 + second;
	return 0;
}

int
der_time(const struct der *element, int64_t *ret_time)
{
	const uint8_t *p = element->content.data;
	int year;

	if (element->tag == DER_UTC_TIME && element->content.len == 13) {
		year = digits(p, 2);
		if (year >= 0)
			year += year >= 50 ? 1900 : 2000;
		return time_parse(year, p + 2, ret_time);
	}
	if (element->tag == DER_GENERALIZED_TIME && element->content.len == 15)
		return time_parse(digits(p, 4), p + 4, ret_time);
	return ERR_FORMAT;
}

int
der_small_int(const struct der *element, int *ret_value)
{
	struct bytes v = element->content;
	size_t i;
	int value = 0;

	if (element->tag != DER_INTEGER || v.len == 0 || v.len > 4 || v.data[0] > 0x7f)
		return ERR_FORMAT;
	if (v.len > 1 && v.data[0] == 0 && v.data[1] < 0x80)
		return ERR_FORMAT;
	for (i = 0; i < v.len; i++)
		value = (int)((unsigned)value << 8 | v.data[i]);
	*ret_value = value;
	return 0;
}

/* Length octets for len into out; returns how many. */
static size_t
length_write(size_t len, uint8_t out[LENGTH_OCTETS_MAX + 1])
{
	size_t count = 1, i;

	if (len < LENGTH_LONG) {
		out[0] = (uint8_t)len;
		return 1;
	}
	while (count < LENGTH_OCTETS_MAX && len >> (8 * count) != 0)
		count++;
	out[0] = (uint8_t)(LENGTH_LONG | count);
	for (i = 0; i < count; i++)
		out[1 + i] = (uint8_t)(len >> (8 * (count - 1 - i)));
	return count + 1;
}

static void
put_head(struct buf *b, uint8_t tag, size_t len)
{
	uint8_t octets[LENGTH_OCTETS_MAX + 1];

	buf_put_u8(b, tag);
	buf_put_raw(b, octets, length_write(len, octets));
}

size_t
der_open(struct buf *b, uint8_t tag)
{
	buf_put_u8(b, tag);
	return b->len;
}

void
der_close(struct buf *b, size_t mark)
{
	uint8_t octets[LENGTH_OCTETS_MAX + 1];
	size_t len, count;

	if (buf_status(b) != 0)
		return;
	len = b->len - mark;
	count = length_write(len, octets);
	if (buf_put_room(b, count) == NULL)
		return;
	memmove(b->data + mark + count, b->data + mark, len);
	memcpy(b->data + mark, octets, count);
}

void
der_put(struct buf *b, uint8_t tag, struct bytes content)
{
	put_head(b, tag, content.len);
	der_put_raw(b, content);
}

void
der_put_unsigned(struct buf *b, struct bytes magnitude)
{
	bool zero_first;

	while (magnitude.len > 0 && magnitude.data[0] == 0) {
		magnitude.data++;
		magnitude.len--;
	}
	zero_first = magnitude.len == 0 || magnitude.data[0] > 0x7f;
	put_head(b, DER_INTEGER, magnitude.len + (zero_first ? 1 : 0));
	if (zero_first)
		buf_put_u8(b, 0);
	der_put_raw(b, magnitude);
}

void
der_put_int(struct buf *b, unsigned value)
{
	uint8_t octets[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};

	der_put_unsigned(b, (struct bytes){octets, sizeof(octets)});
}

void
der_put_true(struct buf *b)
{
	der_put(b, DER_BOOLEAN, (struct bytes){(const uint8_t *)"\xff", 1});
}

void
der_put_oid(struct buf *b, struct bytes oid)
{
	der_put(b, DER_OID, oid);
}

void
der_put_bits(struct buf *b, struct bytes octets)
{
	put_head(b, DER_BIT_STRING, octets.len + 1);
	buf_put_u8(b, 0); /* unused bits */
	der_put_raw(b, octets);
}

/* Writes "20261122120000Z" and gives the year; false when it has not four digits, which is all that either type has. */
static bool
time_text(int64_t wall_s, char text[32], int64_t *ret_year)
{
	int64_t days = wall_s / DAY_S, second = wall_s % DAY_S, year;
	int month = 1;

	if (second < 0) {
		second += DAY_S;
		days--;
	}
	if (days < year_start(0) || days >= year_start(10000))
		return false;
	year = 1970 + days / 366 - (days < 0 ? 2 : 0);
	while (year_start(year + 1) <= days)
		year++;
	while (year_start(year) > days)
		year--;
	days -= year_start(year);
	while (days >= month_days(year, month))
		days -= month_days(year, month++);
	snprintf(text, 32, "%04d%02d%02d%02d%02d%02dZ", (int)year, month, (int)days + 1, (int)(second / 3600),
		 (int)(second / 60 % 60), (int)(second % 60));
	*ret_year = year;
	return true;
}

void
der_put_time(struct buf *b, int64_t wall_s)
{
	int64_t year;
	char text[32];

	if (!time_text(wall_s, text, &year))
		b->status = b->status != 0 ? b->status : ERR_LIMIT;
	else if (year >= 1950 && year < 2050)
		der_put(b, DER_UTC_TIME, bytes_of_text(text + 2));
	else
		der_put(b, DER_GENERALIZED_TIME, bytes_of_text(text));
}

void
der_put_generalized_time(struct buf *b, int64_t wall_s)
{
	int64_t year;
	char text[32];

	if (!time_text(wall_s, text, &year))
		b->status = b->status != 0 ? b->status : ERR_LIMIT;
	else
		der_put(b, DER_GENERALIZED_TIME, bytes_of_text(text));
}

void
der_put_raw(struct buf *b, struct bytes der)
{
	if (der.len > 0)
		buf_put_raw(b, der.data, der.len);
}
