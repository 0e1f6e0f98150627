#include "appliance/validity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "board/base/der.h"

enum { PAIR_TEXT = 64, UNITS_DIGITS = 5, HOUR_S = 3600, DAY_S = 86400 };

/* "" means that the request does not have it. */
struct pairs {
	char period[PAIR_TEXT];
	char units[PAIR_TEXT];
	char date[PAIR_TEXT];
};

/* Characters of any ASN.1 string type; only visible ASCII makes sense in these values. */
static int
text_read(struct view *v, char out[PAIR_TEXT])
{
	struct der string;
	struct view rest;
	size_t len = 0;
	uint32_t c;

	if (der_next(v, &string) != 0)
		return ERR_FORMAT;
	rest = view_of(string.content);
	while (rest.left > 0) {
		if (der_text_next(string.tag, &rest, &c) != 0 || c < ' ' || c > '~' || len == PAIR_TEXT - 1)
			return ERR_FORMAT;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return 0;
}

/* Pairs that are about something else are nobody's business here, whatever they hold. */
static int
pair_read(struct bytes pair, struct pairs *pairs, struct err *e)
{
	char *const to[] = {pairs->period, pairs->units, pairs->date};
	static const char *const names[] = {"ValidityPeriod", "ValidityPeriodUnits", "ExpirationDate"};
	char name[PAIR_TEXT];
	struct view v;
	size_t i;

	if (der_whole(pair, DER_SEQUENCE, &v) != 0 || text_read(&v, name) != 0)
		return 0;
	for (i = 0; i < ARRAY_SIZE(names) && strcasecmp(name, names[i]) != 0; i++)
		;
	if (i == ARRAY_SIZE(names))
		return 0;
	if (to[i][0] != '\0')
		return err_set(e, ERR_DENIED, 0, "request has %s twice", names[i]);
	if (text_read(&v, to[i]) != 0 || v.left != 0 || to[i][0] == '\0')
		return err_set(e, ERR_DENIED, 0, "request's %s is not a short text", names[i]);
	return 0;
}

static int
units_read(const char *text, long *ret_units)
{
	size_t len = strlen(text);

	if (len == 0 || len > UNITS_DIGITS || strspn(text, "0123456789") != len)
		return ERR_DENIED;
	*ret_units = strtol(text, NULL, 10);
	return *ret_units > 0 ? 0 : ERR_DENIED;
}

/* Months and years are those of the calendar, as in Windows; timegm() carries what is too much into the next year. */
static int64_t
months_after(int64_t now, long months)
{
	time_t at = (time_t)now;
	struct tm tm;

	(void)gmtime_r(&at, &tm);
	tm.tm_mon += (int)months;
	return (int64_t)timegm(&tm);
}

static int
period_read(const struct pairs *pairs, int64_t now, int64_t *ret_end, struct err *e)
{
	static const struct {
		const char *name;
		long seconds; /* or */
		long months;
	} periods[] = {
		{"Hours", HOUR_S, 0}, {"Days", DAY_S, 0}, {"Weeks", 7L * DAY_S, 0}, {"Months", 0, 1}, {"Years", 0, 12},
	};
	long units;
	size_t i;

	if (pairs->period[0] == '\0' || pairs->units[0] == '\0')
		return err_set(e, ERR_DENIED, 0, "request has only one of ValidityPeriod and ValidityPeriodUnits");
	for (i = 0; i < ARRAY_SIZE(periods) && strcasecmp(pairs->period, periods[i].name) != 0; i++)
		;
	if (i == ARRAY_SIZE(periods))
		return err_set(e, ERR_DENIED, 0,
			       "request's ValidityPeriod is none of Hours, Days, Weeks, Months, Years");
	if (units_read(pairs->units, &units) != 0)
		return err_set(e, ERR_DENIED, 0, "request's ValidityPeriodUnits is no number from 1 to 99999");
	*ret_end = periods[i].seconds != 0 ? now + units * periods[i].seconds
					   : months_after(now, units * periods[i].months);
	return 0;
}

/* HTTP-date in its three forms (RFC 9110 5.6.7). */
static int
date_read(const char *text, int64_t *ret_end, struct err *e)
{
	static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
					    "%a %b %d %H:%M:%S %Y"};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, forms[i], &tm);

		if (end == NULL || *end != '\0')
			continue;
		*ret_end = (int64_t)timegm(&tm);
		return 0;
	}
	return err_set(e, ERR_DENIED, 0, "request's ExpirationDate is no HTTP-date");
}

int
app_validity_requested(const struct app_csr *csr, int64_t now, int64_t *ret_not_after, struct err *e)
{
	struct pairs pairs = {.period = ""};
	int64_t end = INT64_MAX;
	int64_t date = INT64_MAX;
	int code = 0;

	for (size_t i = 0; code == 0 && i < csr->pair_count; i++)
		code = pair_read(csr->pairs[i], &pairs, e);
	if (code == 0 && (pairs.period[0] != '\0' || pairs.units[0] != '\0'))
		code = period_read(&pairs, now, &end, e);
	if (code == 0 && pairs.date[0] != '\0')
		code = date_read(pairs.date, &date, e);
	if (code != 0)
		return code;
	if (date < end)
		end = date;
	if (end < now + APP_VALIDITY_MIN_S)
		return err_set(e, ERR_DENIED, 0, "request asks for an end of validity less than an hour ahead");
	*ret_not_after = end == INT64_MAX ? 0 : end;
	return 0;
}
