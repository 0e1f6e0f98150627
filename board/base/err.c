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

enum err_class
err_class(int code)
{
	switch (code) {
	case ERR_NONE:
		return ERR_CLASS_NONE;
#define X(name, value, class_, text)                                                                                   \
	case value:                                                                                                    \
		return ERR_CLASS_##class_;
		ERR_LIST(X)
#undef X
	default:
		return ERR_CLASS_SELF;
	}
}

const char *
err_class_name(enum err_class class_)
{
	switch (class_) {
	case ERR_CLASS_NONE:
		return "none";
	case ERR_CLASS_PEER:
		return "peer";
	case ERR_CLASS_RETRY:
		return "retry";
	case ERR_CLASS_DEVICE:
		return "device";
	case ERR_CLASS_SELF:
		return "self";
	}
	return "self";
}

const char *
err_name(int code)
{
	switch (code) {
	case ERR_NONE:
		return "success";
#define X(name, value, class_, text)                                                                                   \
	case value:                                                                                                    \
		return text;
		ERR_LIST(X)
#undef X
	default:
		return "unknown error";
	}
}

void
err_bug(const char *file, int line, const char *cond)
{
	log_event(BUG, file, line, log_text(cond));
	abort();
}
