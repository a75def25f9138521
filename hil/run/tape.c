#include "hil/run/tape.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "core/hash.h"

struct entry {
	struct journal_record r;
	size_t order; /* of arrival */
};

struct tape {
	struct entry *records;
	size_t n, cap;
};

struct tape *tape_new(void)
{
	return calloc(1, sizeof(struct tape));
}

void tape_free(struct tape *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		journal_record_free(&t->records[i].r);
	free(t->records);
	free(t);
}

static struct journal_record *next(struct tape *t)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 256;
		struct entry *more = realloc(t->records, cap * sizeof(*more));

		if (!more)
			return NULL;
		t->records = more;
		t->cap = cap;
	}
	t->records[t->n].order = t->n;
	return &t->records[t->n].r;
}

int tape_line(struct tape *t, const char *line, size_t len, struct err *e)
{
	struct journal_record *r = next(t);
	int rv = r ? journal_parse(line, len, r, e) : err_set(e, ERR_NOMEM, "out of memory");

	if (!rv)
		t->n++;
	return rv;
}

int tape_record(struct tape *t, const struct journal_record *rec)
{
	struct journal_record *r = next(t);

	if (!r)
		return ERR_NOMEM;
	*r = *rec;
	t->n++;
	return 0;
}

int tape_event(struct tape *t, const struct journal_event *ev)
{
	struct journal_record *r = next(t);
	int rv = r ? journal_record_copy(ev, r) : ERR_NOMEM;

	if (!rv)
		t->n++;
	return rv;
}

size_t tape_count(const struct tape *t)
{
	return t->n;
}

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->r.ev.t != y->r.ev.t)
		return x->r.ev.t < y->r.ev.t ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void tape_sort(struct tape *t)
{
	qsort(t->records, t->n, sizeof(*t->records), by_time);
}

const struct journal_event *tape_at(const struct tape *t, size_t i)
{
	return &t->records[i].r.ev;
}

int tape_write(const struct tape *t, FILE *f)
{
	struct buf line;
	int rv = 0;

	buf_init(&line, 4 * JOURNAL_LINE_MAX);
	for (size_t i = 0; i < t->n && !rv; i++) {
		buf_reset(&line);
		rv = journal_format(&t->records[i].r.ev, &line);
		if (!rv && fwrite(line.data, 1, line.len, f) != line.len)
			rv = ERR_IO;
	}
	buf_fini(&line);
	return rv;
}

void tape_sha256(const struct tape *t, char out[65])
{
	uint8_t digest[HASH_SIZE];
	gnutls_hash_hd_t h;
	struct buf line;

	if (gnutls_hash_init(&h, GNUTLS_DIG_SHA256)) {
		out[0] = '\0';
		return;
	}
	buf_init(&line, 4 * JOURNAL_LINE_MAX);
	for (size_t i = 0; i < t->n; i++) {
		buf_reset(&line);
		if (!journal_format(&t->records[i].r.ev, &line))
			gnutls_hash(h, line.data, line.len);
	}
	buf_fini(&line);
	gnutls_hash_deinit(h, digest);
	hash_hex(digest, HASH_SIZE, out);
}

time_ns tape_span(const struct tape *t)
{
	size_t n = tape_count(t), i = n;

	if (!n)
		return 0;
	while (i-- && tape_at(t, i)->kind != J_SCENARIO_END)
		;
	return tape_at(t, i < n ? i : n - 1)->t - tape_at(t, 0)->t;
}
