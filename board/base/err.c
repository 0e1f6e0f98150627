/*
 * board/base/err - see err.h
 */
#include "board/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "board/base/log.h"

static void PRINTF_LIKE(4, 0) err_fill(struct err *e, int code, uint32_t detail, const char *fmt, va_list ap)
{
	e->code = code;
	e->detail = detail;
	if (vsnprintf(e->text, sizeof(e->text), fmt, ap) < 0)
		e->text[0] = '\0';
}

int
err_set(struct err *e, int code, uint32_t detail, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL || e->code != 0)
		return code;
	va_start(ap, fmt);
	err_fill(e, code, detail, fmt, ap);
	va_end(ap);
	return code;
}

int
err_set_ossl(struct err *e, int code, const char *fmt, ...)
{
	unsigned long number = ERR_peek_error();
	char reason[120] = "";
	size_t len;
	va_list ap;

	if (e == NULL || e->code != 0) {
		ERR_clear_error();
		return code;
	}
	va_start(ap, fmt);
	err_fill(e, code, (uint32_t)number, fmt, ap);
	va_end(ap);
	if (number != 0) {
		/* The data of an entry is left out: it may quote the input. */
		ERR_error_string_n(number, reason, sizeof(reason));
		len = strlen(e->text);
		(void)snprintf(e->text + len, sizeof(e->text) - len, ": %s", reason);
	}
	ERR_clear_error();
	return code;
}

struct known {
	int code;
	enum err_class class_;
	const char *text;
};

/* What is known about a code; one that is not in the list is a defect of ours. */
static struct known
find(int code)
{
	static const struct known list[] = {{ERR_NONE, ERR_CLASS_NONE, "success"},
#define X(name, value, class_, text) {value, ERR_CLASS_##class_, text},
					    ERR_LIST(X)
#undef X
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		if (list[i].code == code)
			return list[i];
	}
	return (struct known){code, ERR_CLASS_SELF, "unknown error"};
}

enum err_class
err_class(int code)
{
	return find(code).class_;
}

const char *
err_name(int code)
{
	return find(code).text;
}

void
err_bug(const char *file, int line, const char *cond)
{
	log_event(BUG, file, line, log_text(cond));
	abort();
}
