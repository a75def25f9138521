#include "reports/result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/hash.h"

#define HASH_LINES_MAX (64u << 20)

#define NAME(name, text) text,
static const char *const verdicts[] = {VERDICT_TABLE(NAME)};
static const char *const blames[] = {BLAME_TABLE(NAME)};
static const char *const kinds[] = {CHECK_TABLE(NAME)};
static const char *const metrics[] = {METRIC_TABLE(NAME)};
#undef NAME

const char *verdict_name(enum verdict v)
{
	return v < VERDICT_COUNT ? verdicts[v] : "?";
}

const char *blame_name(enum blame b)
{
	return b < BLAME_COUNT ? blames[b] : "?";
}

const char *check_kind_name(enum check_kind k)
{
	return k < CHECK_COUNT ? kinds[k] : "?";
}

const char *check_status_name(enum check_status s)
{
	return s == CHECK_PASSED ? "PASS" : s == CHECK_FAILED ? "FAIL" : "UNJUDGED";
}

const char *metric_name(enum metric m)
{
	return m < METRIC_COUNT ? metrics[m] : "?";
}

int metric_by_name(const char *name)
{
	for (int i = 0; i < METRIC_COUNT; i++)
		if (strcmp(metrics[i], name) == 0)
			return i;
	return -1;
}

static char *text_vprintf(const char *fmt, va_list ap)
{
	char *out;

	return vasprintf(&out, fmt, ap) < 0 ? NULL : out;
}

char *text_printf(const char *fmt, ...)
{
	va_list ap;
	char *out;

	va_start(ap, fmt);
	out = text_vprintf(fmt, ap);
	va_end(ap);
	return out;
}

int text_set(char **at, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		return ERR_NOMEM;
	free(*at);
	*at = copy;
	return 0;
}

void run_result_init(struct run_result *r)
{
	memset(r, 0, sizeof(*r));
}

void run_result_fini(struct run_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		scenario_result_fini(r->scenarios[i]);
		free(r->scenarios[i]);
	}
	free(r->scenarios);
	free(r->seed);
	free(r->rig);
	free(r->build);
	free(r->dir);
	memset(r, 0, sizeof(*r));
}

struct scenario_result *run_result_add(struct run_result *r, const char *id, struct err *e)
{
	struct scenario_result *s;

	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->scenarios[i]->id, id) == 0) {
			err_set(e, ERR_EXISTS, "scenario '%s' stands twice in this run", id);
			return NULL;
		}
	if (r->n == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 16;
		struct scenario_result **grown = realloc(r->scenarios, cap * sizeof(struct scenario_result *));

		if (!grown)
			goto nomem;
		r->scenarios = grown;
		r->cap = cap;
	}
	s = calloc(1, sizeof(*s));
	if (!s || text_set(&s->id, id)) {
		free(s);
		goto nomem;
	}
	r->scenarios[r->n++] = s;
	return s;
nomem:
	err_set(e, ERR_NOMEM, "out of memory");
	return NULL;
}

unsigned run_result_count(const struct run_result *r, enum verdict v)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->scenarios[i]->verdict == v;
	return n;
}

void check_result_fini(struct check_result *c)
{
	free(c->name);
	free(c->at.file);
	free(c->expected);
	free(c->note);
	for (unsigned i = 0; i < c->causes_n; i++) {
		free(c->causes[i].got);
		free(c->causes[i].why);
		free(c->causes[i].first);
	}
	memset(c, 0, sizeof(*c));
}

unsigned run_result_unjudged(const struct run_result *r)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; r->scenarios[i]->verdict != VERDICT_SKIP && k < r->scenarios[i]->checks_n; k++)
			n += r->scenarios[i]->checks[k].kind == CHECK_INVARIANT &&
			     r->scenarios[i]->checks[k].status == CHECK_UNJUDGED;
	return n;
}

void run_result_sha256(const struct run_result *r, char out[65])
{
	uint8_t digest[HASH_SIZE];
	struct buf lines;

	out[0] = '\0';
	buf_init(&lines, HASH_LINES_MAX);
	for (size_t i = 0; i < r->n; i++)
		if (r->scenarios[i]->journal_sha256[0])
			buf_printf(&lines, "%s  %s\n", r->scenarios[i]->journal_sha256, r->scenarios[i]->id);
	if (lines.len && !lines.failed) {
		hash_sha256(lines.data, lines.len, digest);
		hash_hex(digest, HASH_SIZE, out);
	}
	buf_fini(&lines);
}

void scenario_result_fini(struct scenario_result *s)
{
	for (size_t i = 0; i < s->checks_n; i++)
		check_result_fini(&s->checks[i]);
	free(s->checks);
	for (size_t i = 0; i < s->notes_n; i++)
		free(s->notes[i]);
	free(s->notes);
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		histogram_fini(&s->metrics[i]);
	free(s->id);
	free(s->reason);
	free(s->source.file);
	free(s->summary);
	free(s->rig);
	free(s->folder);
	memset(s, 0, sizeof(*s));
}

void scenario_result_clear(struct scenario_result *s)
{
	char *id = s->id;

	s->id = NULL;
	scenario_result_fini(s);
	s->id = id;
}

int scenario_skip(struct scenario_result *s, const char *reason)
{
	s->verdict = VERDICT_SKIP;
	return text_set(&s->reason, reason);
}

int scenario_note(struct scenario_result *s, const char *fmt, ...)
{
	char **grown = realloc(s->notes, (s->notes_n + 1) * sizeof(*grown));
	va_list ap;
	char *text;

	if (!grown)
		return ERR_NOMEM;
	s->notes = grown;
	va_start(ap, fmt);
	text = text_vprintf(fmt, ap);
	va_end(ap);
	if (!text)
		return ERR_NOMEM;
	s->notes[s->notes_n++] = text;
	return 0;
}

static struct check_result *room(struct scenario_result *s)
{
	if (s->checks_n == s->checks_cap) {
		size_t cap = s->checks_cap ? 2 * s->checks_cap : 16;
		struct check_result *grown = realloc(s->checks, cap * sizeof(*grown));

		if (!grown)
			return NULL;
		s->checks = grown;
		s->checks_cap = cap;
	}
	memset(&s->checks[s->checks_n], 0, sizeof(*s->checks));
	return &s->checks[s->checks_n];
}

struct check_result *scenario_add_check(struct scenario_result *s, enum check_kind kind, const char *name,
				    const struct place *at, const char *expected)
{
	struct check_result *c = room(s);

	if (!c)
		return NULL;
	c->kind = kind;
	if (text_set(&c->name, name) || text_set(&c->expected, expected) ||
	    (at && text_set(&c->at.file, at->file))) {
		check_result_fini(c);
		return NULL;
	}
	if (at) {
		c->at.line = at->line;
		c->at.column = at->column;
	}
	s->checks_n++;
	return c;
}

int scenario_take_check(struct scenario_result *s, struct check_result *c)
{
	struct check_result *to = room(s);

	if (!to)
		return ERR_NOMEM;
	*to = *c;
	s->checks_n++;
	memset(c, 0, sizeof(*c));
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

int check_fail(struct check_result *c, const char *got, enum blame blame, const char *why, const char *first,
	       time_ns t)
{
	struct cause *k;

	c->status = CHECK_FAILED;
	for (unsigned i = 0; i < c->causes_n; i++) {
		k = &c->causes[i];
		if (k->blame == blame && same_text(k->got, got) && same_text(k->why, why)) {
			k->count++;
			return 0;
		}
	}
	if (c->causes_n == CAUSES_MAX) {
		c->causes_more++;
		return 0;
	}
	k = &c->causes[c->causes_n++];
	memset(k, 0, sizeof(*k));
	k->blame = blame;
	k->count = 1;
	k->t = t;
	return text_set(&k->got, got) || text_set(&k->why, why) || text_set(&k->first, first) ? ERR_NOMEM : 0;
}

int check_unjudged(struct check_result *c, const char *why)
{
	c->status = CHECK_UNJUDGED;
	return text_set(&c->note, why);
}
