#include "core/err.h"

#include <stdio.h>
#include <string.h>

static const char *const texts[ERR_ORD_COUNT] = {
#define ERR_TEXT(name, text) text,
	ERR_TABLE(ERR_TEXT)
#undef ERR_TEXT
};

static void fill(struct err *e, int code, const char *fmt, va_list ap)
{
	e->code = code;
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->code)
		return code;
	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_set_at(struct err *e, int code, const char *source, int line, int column, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->code)
		return code;
	va_start(ap, fmt);
	fill(e, code, fmt, ap);
	va_end(ap);
	snprintf(e->source, sizeof(e->source), "%s", source ? source : "");
	e->line = line;
	e->column = column;
	return code;
}

const char *err_text(int code)
{
	if (code == 0)
		return "no error";
	if (code > 0 || code < -(int)ERR_ORD_COUNT)
		return "unknown error";
	return texts[-1 - code];
}

char *err_format(const struct err *e, char *out, size_t size)
{
	const char *text = e->text[0] ? e->text : err_text(e->code);

	if (e->source[0] && e->line)
		snprintf(out, size, "%s:%d:%d: %s", e->source, e->line, e->column, text);
	else if (e->source[0])
		snprintf(out, size, "%s: %s", e->source, text);
	else
		snprintf(out, size, "%s", text);
	return out;
}
