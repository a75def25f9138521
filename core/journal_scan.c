/* A line of the journal read without a JSON tree between: a judge reads hundreds of
 * thousands, and all but a few are as journal_format wrote them. */
#include <stdlib.h>
#include <string.h>

#include "core/journal_names.h"

#define DIGITS_MAX 18 /* no number of so many digits overflows */

struct text {
	const char *p; /* into the line; NULL: not seen */
	size_t len;
};

struct scan {
	const char *p, *end;
	struct text actor, scenario, dev, req, reg, kind;
	struct text value[JOURNAL_VALUES]; /* of the event's text fields, by their place */
	bool v, t, seq;
	uint64_t seen; /* fields, a bit each */
};

static bool take(struct scan *s, char c)
{
	return s->p < s->end && *s->p == c ? s->p++ : false;
}

/* "…" without an escape, a control character or a byte of UTF-8's. */
static bool take_text(struct scan *s, struct text *out)
{
	const char *p = s->p;

	if (p == s->end || *p++ != '"')
		return false;
	out->p = p;
	while (p < s->end && *p != '"' && *p != '\\' && *p >= 0x20 && *p < 0x7f)
		p++;
	if (p == s->end || *p != '"')
		return false;
	out->len = (size_t)(p - out->p);
	s->p = p + 1;
	return true;
}

static bool take_number(struct scan *s, int64_t *out)
{
	bool minus = take(s, '-');
	const char *first = s->p;
	int64_t n = 0;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9' && s->p - first < DIGITS_MAX)
		n = 10 * n + (*s->p++ - '0');
	if (s->p == first || (*first == '0' && s->p - first > 1))
		return false;
	*out = minus ? -n : n;
	return s->p < s->end && (*s->p == ',' || *s->p == '}');
}

static bool is(const struct text *t, const char *name)
{
	return strlen(name) == t->len && memcmp(t->p, name, t->len) == 0;
}

static struct text *envelope_text(struct scan *s, const struct text *key)
{
	static const struct {
		const char *name;
		size_t at;
	} texts[] = {{"actor", offsetof(struct scan, actor)},	    {"kind", offsetof(struct scan, kind)},
		     {"scenario", offsetof(struct scan, scenario)}, {"dev", offsetof(struct scan, dev)},
		     {"req", offsetof(struct scan, req)},	    {"reg", offsetof(struct scan, reg)}};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (is(key, texts[i].name))
			return (struct text *)((char *)s + texts[i].at);
	return NULL;
}

/* A count of the envelope; each stands there once. */
static bool take_count(struct scan *s, bool *seen, uint64_t *out)
{
	int64_t n;

	if (*seen || !take_number(s, &n) || n < 0)
		return false;
	*seen = true;
	*out = (uint64_t)n;
	return true;
}

static bool take_field(struct scan *s, const struct text *key, struct journal_event *ev)
{
	struct journal_value *v = &ev->v[ev->n];
	int f = s->kind.p ? journal_field_find(key->p, key->len) : -1;

	if (f < 0 || ev->n == JOURNAL_VALUES || s->seen >> f & 1 ||
	    !journal_kind_has(ev->kind, (enum journal_field)f))
		return false;
	s->seen |= UINT64_C(1) << f;
	v->field = (enum journal_field)f;
	v->i = 0;
	if (journal_fields[f].text ? !take_text(s, &s->value[ev->n]) : !take_number(s, &v->i))
		return false;
	ev->n++;
	return true;
}

static bool take_member(struct scan *s, struct journal_event *ev)
{
	struct text key, *text;
	uint64_t version = 0;
	int kind;

	if (!take_text(s, &key) || !take(s, ':'))
		return false;
	if (is(&key, "v"))
		return take_count(s, &s->v, &version) && version == JOURNAL_VERSION;
	if (is(&key, "t_ns"))
		return take_count(s, &s->t, &ev->t);
	if (is(&key, "seq"))
		return take_count(s, &s->seq, &ev->seq);
	text = envelope_text(s, &key);
	if (!text)
		return take_field(s, &key, ev);
	if (text->p || !take_text(s, text))
		return false;
	if (text != &s->kind)
		return true;
	kind = journal_kind_find(text->p, text->len);
	ev->kind = (enum journal_kind)kind;
	return kind >= 0;
}

static const char *keep(char **at, const struct text *t)
{
	char *copy = *at;

	if (!t->p)
		return NULL;
	memcpy(copy, t->p, t->len);
	copy[t->len] = '\0';
	*at += t->len + 1;
	return copy;
}

static int keep_all(const struct scan *s, struct journal_record *out)
{
	const struct text *const texts[] = {&s->actor, &s->scenario, &s->dev, &s->req, &s->reg};
	struct journal_event *ev = &out->ev;
	const char **const to[] = {&ev->actor, &ev->scenario, &ev->dev, &ev->req, &ev->reg};
	size_t need = 1;
	char *at;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		need += texts[i]->p ? texts[i]->len + 1 : 0;
	for (unsigned i = 0; i < ev->n; i++)
		need += s->value[i].p ? s->value[i].len + 1 : 0;
	at = out->arena = malloc(need);
	if (!at)
		return ERR_NOMEM;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		*to[i] = keep(&at, texts[i]);
	for (unsigned i = 0; i < ev->n; i++)
		ev->v[i].s = keep(&at, &s->value[i]);
	return 0;
}

int journal_scan(const char *line, size_t len, struct journal_record *out)
{
	struct scan s = {.p = line, .end = line + len};

	memset(out, 0, sizeof(*out));
	if (len && line[len - 1] == '\n')
		s.end--;
	if (!take(&s, '{'))
		return ERR_NOTFOUND;
	do
		if (!take_member(&s, &out->ev))
			return ERR_NOTFOUND;
	while (take(&s, ','));
	if (!take(&s, '}') || s.p != s.end || !s.v || !s.kind.p)
		return ERR_NOTFOUND;
	return keep_all(&s, out);
}
