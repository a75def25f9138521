#include "hil/judge/diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void name_one(char *out, size_t size, const char *name)
{
	size_t len = strlen(out);

	snprintf(out + len, size - len, "%s%s", len ? ", " : "", name);
}

static bool same_field(const struct journal_event *a, const struct journal_event *b, enum journal_field f)
{
	if (journal_has(a, f) != journal_has(b, f))
		return false;
	return journal_field_is_text(f) ? strcmp(journal_text(a, f), journal_text(b, f)) == 0
					: journal_int(a, f, 0) == journal_int(b, f, 0);
}

unsigned diff_members(const struct journal_event *a, const struct journal_event *b, char *out, size_t size)
{
	const struct {
		const char *name;
		bool same;
	} envelope[] = {
		{"t_ns", a->t == b->t},
		{"seq", a->seq == b->seq},
		{"actor", same_text(a->actor, b->actor)},
		{"kind", a->kind == b->kind},
		{"scenario", same_text(a->scenario, b->scenario)},
		{"dev", same_text(a->dev, b->dev)},
		{"req", same_text(a->req, b->req)},
		{"reg", same_text(a->reg, b->reg)},
	};
	unsigned n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof(envelope) / sizeof(envelope[0]); i++) {
		if (envelope[i].same)
			continue;
		name_one(out, size, envelope[i].name);
		n++;
	}
	for (unsigned f = 0; f < JF_END; f++) {
		if (same_field(a, b, (enum journal_field)f))
			continue;
		name_one(out, size, journal_field_name((enum journal_field)f));
		n++;
	}
	return n;
}

void diff_find(const struct diff_side *a, const struct diff_side *b, struct diff *out)
{
	size_t n = a->n < b->n ? a->n : b->n;

	memset(out, 0, sizeof(*out));
	for (out->at = 0; out->at < n; out->at++)
		if (diff_members(a->at(a->ctx, out->at), b->at(b->ctx, out->at), out->members, sizeof(out->members)))
			return;
	out->ends = a->n != b->n;
	out->alike = !out->ends;
}

int diff_event_text(const struct journal_event *ev, time_ns zero, struct buf *out)
{
	time_ns t = ev->t > zero ? ev->t - zero : 0;
	int rv;

	rv = buf_printf(out, "+%" PRIu64 ".%09" PRIu64 " s  %-8s  %s", t / NS_PER_S, t % NS_PER_S,
			ev->actor ? ev->actor : "?", journal_kind_name(ev->kind));
	for (unsigned i = 0; i < ev->n && !rv; i++) {
		const struct journal_value *v = &ev->v[i];

		if (v->s)
			rv = buf_printf(out, " %s=%s", journal_field_name(v->field), v->s);
		else
			rv = buf_printf(out, " %s=%" PRId64, journal_field_name(v->field), v->i);
	}
	if (!rv && ev->dev)
		rv = buf_printf(out, " dev=%s", ev->dev);
	if (!rv && ev->req)
		rv = buf_printf(out, " req=%s", ev->req);
	if (!rv && ev->reg)
		rv = buf_printf(out, " reg=%s", ev->reg);
	return rv;
}

static int put(const char *name, const struct diff_side *s, size_t i, struct buf *out)
{
	int rv = buf_printf(out, "  %-9s ", name);

	if (!rv && i < s->n)
		rv = diff_event_text(s->at(s->ctx, i), s->at(s->ctx, 0)->t, out);
	else if (!rv)
		rv = buf_printf(out, "ends: %zu event%s in all", s->n, s->n == 1 ? "" : "s");
	return rv ? rv : buf_puts(out, "\n");
}

int diff_text(const struct diff *d, const struct diff_side *a, const struct diff_side *b, struct buf *out)
{
	size_t first = d->at > DIFF_CONTEXT ? d->at - DIFF_CONTEXT : 0;
	int rv = 0;

	if (d->alike)
		return 0;
	for (size_t i = first; i < d->at && !rv; i++)
		rv = put("both", a, i, out);
	if (!rv)
		rv = put(a->name, a, d->at, out);
	if (!rv)
		rv = put(b->name, b, d->at, out);
	if (!rv && d->members[0])
		rv = buf_printf(out, "  they differ in: %s\n", d->members);
	return rv;
}
