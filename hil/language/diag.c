#include "hil/language/diag.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/err.h"

#define MESSAGE_MAX 512
#define EXCERPT_MAX 400 /* bytes of a source line that are shown */

void diags_fini(struct diags *ds)
{
	for (size_t i = 0; i < ds->n; i++) {
		free(ds->v[i].file);
		free(ds->v[i].message);
		free(ds->v[i].suggestion);
		free(ds->v[i].excerpt);
	}
	free(ds->v);
	memset(ds, 0, sizeof(*ds));
}

void diags_file(struct diags *ds)
{
	ds->file_order++;
	ds->in_file = 0;
}

static char *line_of(const struct source *src, int line)
{
	const char *p = src->text, *end = src->text + src->len, *stop;
	size_t len;

	for (int i = 1; i < line; i++) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			return NULL;
		p++;
	}
	stop = memchr(p, '\n', (size_t)(end - p));
	len = (size_t)((stop ? stop : end) - p);
	if (len && p[len - 1] == '\r')
		len--;
	if (len > EXCERPT_MAX) {
		len = EXCERPT_MAX;
		while (len && ((unsigned char)p[len] & 0xC0) == 0x80)
			len--;
	}
	return strndup(p, len);
}

/* The same at the same place. */
static bool told_before(const struct diags *ds, struct mark at, bool warning, const char *message)
{
	for (size_t i = ds->n; i-- && ds->v[i].order == ds->file_order;) {
		const struct diag *d = &ds->v[i];

		if (d->line == at.line && d->col == at.col && d->warning == warning && d->message &&
		    strcmp(d->message, message) == 0)
			return true;
	}
	return false;
}

static void add(struct diags *ds, const struct source *src, struct mark at, bool warning, const char *suggestion,
		const char *message)
{
	struct diag *d;

	if (!warning)
		ds->found++;
	if (ds->once && told_before(ds, at, warning, message))
		return;
	if (warning)
		ds->warnings++;
	else
		ds->errors++;
	if (ds->in_file > DIAGS_MAX)
		return;
	if (ds->n == ds->cap) {
		size_t cap = ds->cap ? 2 * ds->cap : 16;
		struct diag *v = realloc(ds->v, cap * sizeof(*v));

		if (!v)
			return;
		ds->v = v;
		ds->cap = cap;
	}
	d = &ds->v[ds->n++];
	memset(d, 0, sizeof(*d));
	d->order = ds->file_order;
	d->file = strdup(src->name);
	if (ds->in_file++ == DIAGS_MAX) {
		d->message = strdup("too many errors; the rest is not shown");
		return;
	}
	d->line = at.line;
	d->col = at.col;
	d->warning = warning;
	d->message = strdup(message);
	d->suggestion = suggestion && *suggestion ? strdup(suggestion) : NULL;
	if (src->text && at.line > 0)
		d->excerpt = line_of(src, at.line);
}

void diag_error(struct diags *ds, const struct source *src, struct mark at, const char *suggestion, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	add(ds, src, at, false, suggestion, message);
}

void diag_warn(struct diags *ds, const struct source *src, struct mark at, const char *suggestion, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	add(ds, src, at, true, suggestion, message);
}

static int by_place(const void *a, const void *b)
{
	const struct diag *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	/* the line without a place says that there are more: last */
	if (!x->line != !y->line)
		return x->line ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->col != y->col)
		return x->col < y->col ? -1 : 1;
	return x->message && y->message ? strcmp(x->message, y->message) : 0;
}

size_t diag_utf8_length(const unsigned char *p, size_t left, unsigned *cp)
{
	static const unsigned low[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;

	if (p[0] < 0x80) {
		*cp = p[0];
		return 1;
	}
	if (p[0] < 0xC2 || p[0] > 0xF4 || left < n)
		return 0;
	*cp = p[0] & (0x7FU >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3F);
	}
	return *cp < low[n] || (*cp >= 0xD800 && *cp < 0xE000) || *cp > 0x10FFFF ? 0 : n;
}

/* Texts of a file go to a terminal: no control characters, nothing but UTF-8. */
static void put_clean(const char *s, FILE *out)
{
	size_t left = strlen(s), n;
	unsigned cp;

	for (; left; s += n, left -= n) {
		n = diag_utf8_length((const unsigned char *)s, left, &cp);
		if (!n) {
			fputc('?', out);
			n = 1;
		} else if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) {
			fputc(' ', out);
		} else {
			fwrite(s, 1, n, out);
		}
	}
}

void diags_print(struct diags *ds, FILE *out)
{
	if (ds->n)
		qsort(ds->v, ds->n, sizeof(ds->v[0]), by_place);
	for (size_t i = 0; i < ds->n; i++) {
		const struct diag *d = &ds->v[i];

		if (!d->file || !d->message)
			continue;
		if (d->line)
			fprintf(out, "%s:%d:%d: ", d->file, d->line, d->col);
		else
			fprintf(out, "%s: ", d->file);
		fputs(d->warning ? "warning: " : "error: ", out);
		put_clean(d->message, out);
		if (d->suggestion) {
			fputs(" (", out);
			put_clean(d->suggestion, out);
			fputc(')', out);
		}
		fputc('\n', out);
		if (d->excerpt && d->excerpt[0]) {
			fputs("  ", out);
			put_clean(d->excerpt, out);
			fprintf(out, "\n  %*s\n", d->col, "^");
		}
	}
}

static int read_failed(const char *path, struct diags *ds, int code, const char *why)
{
	struct source src = {.name = path};

	diag_error(ds, &src, (struct mark){0, 0}, NULL, "%s", why);
	return code;
}

int source_read(const char *path, size_t max, struct diags *ds, struct source *out)
{
	struct stat st;
	char *text = NULL, why[128];
	size_t n;
	FILE *f;
	int rv;

	memset(out, 0, sizeof(*out));
	f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st)) {
		snprintf(why, sizeof(why), "cannot be read: %s", strerror(errno));
		rv = read_failed(path, ds, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, why);
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		rv = read_failed(path, ds, ERR_IO, "not a file");
		goto out;
	}
	text = malloc(max + 2);
	if (!text) {
		rv = read_failed(path, ds, ERR_NOMEM, "out of memory");
		goto out;
	}
	n = fread(text, 1, max + 1, f);
	if (ferror(f)) {
		rv = read_failed(path, ds, ERR_IO, "cannot be read to its end");
		goto out;
	}
	if (n > max) {
		snprintf(why, sizeof(why), "longer than %zu bytes", max);
		rv = read_failed(path, ds, ERR_LIMIT, why);
		goto out;
	}
	text[n] = '\0';
	out->text = text;
	out->len = n;
	out->name = strdup(path);
	text = NULL;
	rv = out->name ? 0 : ERR_NOMEM;
out:
	free(text);
	if (f)
		fclose(f);
	return rv;
}

void source_free(struct source *src)
{
	free((char *)src->text);
	free((char *)src->name);
	memset(src, 0, sizeof(*src));
}
