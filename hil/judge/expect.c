#include "hil/judge/expect.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/expect_priv.h"
#include "hil/judge/oracle_plan.h"
#include "hil/judge/oracle_priv.h"

/* ---- paths ---- */

/* `...` may stand for nothing, so a position before one is one behind it as well. */
static uint64_t pattern_close(const struct pattern *p, uint64_t mask)
{
	for (unsigned i = 0; i < p->n; i++)
		if (mask & UINT64_C(1) << i && p->states[i] == PATH_ANYTHING)
			mask |= UINT64_C(1) << (i + 1);
	return mask;
}

uint64_t pattern_start(const struct pattern *p)
{
	return pattern_close(p, 1);
}

uint64_t pattern_step(const struct pattern *p, uint64_t mask, enum state_name s)
{
	uint64_t next = 0;

	for (unsigned i = 0; i < p->n; i++) {
		if (!(mask & UINT64_C(1) << i))
			continue;
		if (p->states[i] == PATH_ANYTHING)
			next |= UINT64_C(1) << i;
		else if (p->states[i] == s)
			next |= UINT64_C(1) << (i + 1);
	}
	return pattern_close(p, next);
}

bool pattern_ends(const struct pattern *p, uint64_t mask)
{
	return mask & UINT64_C(1) << p->n;
}

static int read_pattern(json_t *list, struct pattern *p, struct err *e)
{
	size_t i;
	json_t *word;

	p->n = 0;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return err_set(e, ERR_PARSE, "path: no list of states");
	if (json_array_size(list) > EXPECT_PATH_MAX)
		return err_set(e, ERR_LIMIT, "path: more than %d states", EXPECT_PATH_MAX);
	json_array_foreach(list, i, word) {
		const char *name = json_string_value(word);
		int s;

		if (name && strcmp(name, "...") == 0) {
			p->states[p->n++] = PATH_ANYTHING;
			continue;
		}
		s = name ? state_by_name(name) : -1;
		if (s < 0)
			return err_set(e, ERR_PARSE, "path: unknown state '%s'", name ? name : "");
		p->states[p->n++] = (uint8_t)s;
	}
	return 0;
}

int path_matches(json_t *list, const enum state_name *states, size_t n)
{
	struct pattern p;
	uint64_t mask;
	int rv = read_pattern(list, &p, NULL);

	if (rv)
		return rv;
	mask = pattern_start(&p);
	for (size_t i = 0; i < n; i++)
		mask = pattern_step(&p, mask, states[i]);
	return pattern_ends(&p, mask);
}

/* ---- reading ---- */

bool range_has(const struct range *r, int64_t n)
{
	return n >= r->min && n <= r->max;
}

int place_parse(json_t *j, struct place *out)
{
	const char *file = json_string_value(json_object_get(j, "file"));

	out->line = (int)json_integer_value(json_object_get(j, "line"));
	out->column = (int)json_integer_value(json_object_get(j, "col"));
	return text_set(&out->file, file ? file : "");
}

/* A range without a bound holds whatever was counted, so none is taken. */
static int read_range(json_t *j, struct range *r, struct err *e)
{
	json_t *min = json_object_get(j, "min"), *max = json_object_get(j, "max");

	if ((!min && !max) || (min && !json_is_integer(min)) || (max && !json_is_integer(max)))
		return err_set(e, ERR_PARSE, "a range without a bound, or with one that is no whole number");
	r->min = min ? json_integer_value(min) : INT64_MIN;
	r->max = max ? json_integer_value(max) : INT64_MAX;
	return 0;
}

/* How often an event or a path is wanted: once at least where nothing is said. */
static int read_count(json_t *j, struct range *r, struct err *e)
{
	*r = (struct range){1, INT64_MAX};
	return j ? read_range(j, r, e) : 0;
}

/* X("what" of a count, event, fields that must match) */
static const struct {
	const char *what;
	enum journal_kind event;
} counts[] = {
	{"sms.sent", J_SMS_SUBMITTED},   {"sms.delivered", J_SMS_DELIVERED}, {"sms.lost", J_SMS_LOST},
	{"codes.issued", J_CODE_ISSUED}, {"codes.used", J_CODE_USED},        {"tokens.issued", J_TOKEN_ISSUED},
	{"tokens.revoked", J_TOKEN_REVOKED}, {"families.issued", J_TOKEN_ISSUED}, {"server.starts", J_SERVER_STATE},
};

static int read_what(struct expect *x, const char *what, struct err *e)
{
	if (strncmp(what, "replies.", 8) == 0) {
		x->event = J_DEVICE_REPLY;
		x->match = json_pack("{s:I}", "code", (json_int_t)strtoll(what + 8, NULL, 10));
		return x->match ? 0 : ERR_NOMEM;
	}
	if (strncmp(what, "requests.", 9) == 0) {
		x->event = J_DEVICE_REQUEST;
		x->match = json_pack("{s:s}", "resource", what + 9);
		return x->match ? 0 : ERR_NOMEM;
	}
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (strcmp(counts[i].what, what) == 0) {
			x->event = counts[i].event;
			x->families = strcmp(what, "families.issued") == 0;
			return 0;
		}
	}
	return err_set(e, ERR_PARSE, "counts: unknown '%s'", what);
}

static int read_state(struct expect *x, json_t *j, struct err *e)
{
	const char *name = json_string_value(json_object_get(j, "state"));
	int s = name ? state_by_name(name) : -1;

	if (s < 0)
		return err_set(e, ERR_PARSE, "expect: unknown state '%s'", name ? name : "");
	x->state = (enum state_name)s;
	return 0;
}

static int read_path(struct expects *all, struct expect *x, json_t *j, struct err *e)
{
	const char *how = json_string_value(json_object_get(j, "how"));

	x->how = !how || strcmp(how, "all") == 0 ? PATH_ALL : strcmp(how, "any") == 0 ? PATH_ANY : PATH_COUNT;
	x->path_index = (unsigned)all->paths++;
	if (read_count(json_object_get(j, "count"), &x->range, e))
		return ERR_PARSE;
	return read_pattern(json_object_get(j, "states"), &x->pattern, e);
}

/* {"event", "match"?}: what it must be seen before. */
static int read_before(struct expects *all, struct expect *x, json_t *j, struct err *e)
{
	const char *event = json_string_value(json_object_get(j, "event"));
	int kind = event ? journal_kind_by_name(event) : -1;

	if (!j)
		return 0;
	if (kind < 0)
		return err_set(e, ERR_PARSE, "seen: before an unknown event '%s'", event ? event : "");
	if (all->befores == EXPECT_BEFORE_MAX)
		return err_set(e, ERR_LIMIT, "seen: more than %d with 'before'", EXPECT_BEFORE_MAX);
	x->has_before = true;
	x->before = (enum journal_kind)kind;
	x->before_match = json_incref(json_object_get(j, "match"));
	x->before_index = all->befores++;
	return 0;
}

static int read_seen(struct expects *all, struct expect *x, json_t *j, struct err *e)
{
	const char *event = json_string_value(json_object_get(j, "event"));
	int kind = event ? journal_kind_by_name(event) : -1;

	if (kind < 0)
		return err_set(e, ERR_PARSE, "seen: unknown event '%s'", event ? event : "");
	x->event = (enum journal_kind)kind;
	x->match = json_incref(json_object_get(j, "match"));
	if (read_count(json_object_get(j, "count"), &x->range, e))
		return ERR_PARSE;
	if (read_before(all, x, json_object_get(j, "before"), e))
		return ERR_PARSE;
	x->has_within = json_object_get(j, "within_ns") != NULL;
	x->ns = (time_ns)json_integer_value(json_object_get(j, "within_ns"));
	return text_set(&x->what, event);
}

static int read_one(struct expects *all, struct expect *x, json_t *j, struct err *e)
{
	const char *what = json_string_value(json_object_get(j, "what"));
	int rv = who_from_plan(json_object_get(j, "who"), &x->who, e);

	if (rv)
		return rv;
	if (place_parse(json_object_get(j, "source"), &x->at))
		return err_set(e, ERR_NOMEM, "out of memory");
	switch (x->kind) {
	case EXPECT_PATH:
		return read_path(all, x, j, e);
	case EXPECT_IDLE:
		x->code = (int)json_integer_value(json_object_get(j, "code"));
		x->ns = (time_ns)json_integer_value(json_object_get(j, "silent_for_ns"));
		return 0;
	case EXPECT_WITHIN:
		x->ns = (time_ns)json_integer_value(json_object_get(j, "ns"));
		return read_state(x, j, e);
	case EXPECT_FINAL:
	case EXPECT_NEVER:
		return read_state(x, j, e);
	case EXPECT_COUNTS:
		rv = read_range(json_object_get(j, "range"), &x->range, e);
		rv = rv ? rv : read_what(x, what ? what : "", e);
		return rv ? rv : text_set(&x->what, what);
	case EXPECT_SEEN:
		return read_seen(all, x, j, e);
	case EXPECT_BALANCE:
	case EXPECT_OTHERS:
		return 0;
	}
	return ERR_INTERNAL;
}

static double read_op(const char *op)
{
	if (strcmp(op, "mean") == 0)
		return -1;
	if (strcmp(op, "max") == 0)
		return -2;
	if (op[0] == 'p' && op[1]) /* p50, p99.9 */
		return strtod(op + 1, NULL) / 100;
	return strcmp(op, "rate") == 0 ? -3 : -4;
}

void threshold_value(const struct threshold *t, double v, char *out, size_t size)
{
	if (t->q <= -3)
		snprintf(out, size, "%.4g/s", v);
	else if (t->metric == METRIC_SERVER_MEMORY)
		snprintf(out, size, "%.1f MiB", v / (1024 * 1024));
	else if (t->metric >= 0)
		duration_text((time_ns)v, out, size);
	else
		snprintf(out, size, "%g", v);
}

static bool is_sign(const char *cmp)
{
	return strcmp(cmp, "<") == 0 || strcmp(cmp, "<=") == 0 || strcmp(cmp, ">") == 0 || strcmp(cmp, ">=") == 0;
}

static int read_threshold(struct threshold *t, json_t *j, struct err *e)
{
	const char *metric = json_string_value(json_object_get(j, "metric"));
	const char *op = json_string_value(json_object_get(j, "op"));
	const char *cmp = json_string_value(json_object_get(j, "cmp"));
	char value[40];

	if (!metric || !op || !cmp || !is_sign(cmp) || !json_is_number(json_object_get(j, "value")))
		return err_set(e, ERR_PARSE, "thresholds: metric, op, cmp or value missing or wrong");
	snprintf(t->cmp, sizeof(t->cmp), "%s", cmp);
	t->metric = metric_by_name(metric);
	t->q = read_op(op);
	t->value = json_number_value(json_object_get(j, "value"));
	t->min_samples = (uint64_t)json_integer_value(json_object_get(j, "min_samples"));
	threshold_value(t, t->value, value, sizeof(value));
	t->text = text_printf("%s %s %s %s", metric, op, cmp, value);
	if (!t->text || place_parse(json_object_get(j, "source"), &t->at))
		return err_set(e, ERR_NOMEM, "out of memory");
	return 0;
}

static const struct {
	const char *member;
	enum expect_kind kind;
} members[] = {
	{"path", EXPECT_PATH},     {"idle", EXPECT_IDLE},     {"final", EXPECT_FINAL}, {"never", EXPECT_NEVER},
	{"within", EXPECT_WITHIN}, {"counts", EXPECT_COUNTS}, {"seen", EXPECT_SEEN},
};

static int read_all(struct expects *x, json_t *expect, json_t *thresholds, struct err *e)
{
	json_t *j, *balance = json_object_get(expect, "balance"), *others = json_object_get(expect, "others");
	size_t i, k;
	int rv;

	for (k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
		json_array_foreach(json_object_get(expect, members[k].member), i, j) {
			x->e[x->n].kind = members[k].kind;
			rv = read_one(x, &x->e[x->n++], j, e);
			if (rv)
				return rv;
		}
	}
	if (json_is_true(json_object_get(balance, "sms"))) {
		x->e[x->n].kind = EXPECT_BALANCE;
		rv = read_one(x, &x->e[x->n++], balance, e);
		if (rv)
			return rv;
	}
	if (others) {
		x->e[x->n].kind = EXPECT_OTHERS;
		rv = read_one(x, &x->e[x->n++], others, e);
		if (rv)
			return rv;
	}
	json_array_foreach(thresholds, i, j) {
		rv = read_threshold(&x->t[x->t_n++], j, e);
		if (rv)
			return rv;
	}
	return 0;
}

struct expects *expects_new(json_t *plan, struct err *e)
{
	json_t *expect = json_object_get(plan, "expect"), *thresholds = json_object_get(plan, "thresholds");
	struct expects *x = calloc(1, sizeof(*x));
	size_t n = 2; /* balance, others */
	int rv;

	for (size_t k = 0; k < sizeof(members) / sizeof(members[0]); k++)
		n += json_array_size(json_object_get(expect, members[k].member));
	if (x) {
		x->e = calloc(n, sizeof(*x->e));
		x->t = calloc(json_array_size(thresholds) + 1, sizeof(*x->t));
	}
	if (!x || !x->e || !x->t) {
		err_set(e, ERR_NOMEM, "out of memory");
		expects_free(x);
		return NULL;
	}
	rv = read_all(x, expect, thresholds, e);
	if (rv) {
		err_set(e, rv, "expect: %s", err_text(rv));
		expects_free(x);
		return NULL;
	}
	return x;
}

void expects_free(struct expects *x)
{
	if (!x)
		return;
	for (size_t i = 0; i < x->n; i++) {
		free(x->e[i].at.file);
		free(x->e[i].what);
		json_decref(x->e[i].match);
		json_decref(x->e[i].before_match);
	}
	for (size_t i = 0; i < x->t_n; i++) {
		free(x->t[i].at.file);
		free(x->t[i].text);
	}
	free(x->e);
	free(x->t);
	free(x);
}

struct who *expects_who(struct expects *x, size_t k)
{
	return k < x->n ? &x->e[k].who : NULL;
}

/* ---- as events come ---- */

size_t expects_paths(const struct expects *x)
{
	return x->paths;
}

void expects_path_start(const struct expects *x, uint64_t *masks)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->e[i].kind == EXPECT_PATH)
			masks[x->e[i].path_index] = pattern_start(&x->e[i].pattern);
}

void expects_path_step(const struct expects *x, uint64_t *masks, enum state_name to)
{
	for (size_t i = 0; i < x->n; i++) {
		const struct expect *e = &x->e[i];

		if (e->kind == EXPECT_PATH)
			masks[e->path_index] = pattern_step(&e->pattern, masks[e->path_index], to);
	}
}

static bool value_matches(const struct journal_event *ev, const char *name, json_t *want)
{
	int f = journal_field_by_name(name);

	if (strcmp(name, "actor") == 0)
		return json_is_string(want) && ev->actor && strcmp(ev->actor, json_string_value(want)) == 0;
	if (f < 0 || !journal_has(ev, (enum journal_field)f))
		return false;
	if (json_is_string(want))
		return strcmp(journal_text(ev, (enum journal_field)f), json_string_value(want)) == 0;
	return json_is_integer(want) && !journal_field_is_text((enum journal_field)f) &&
	       journal_int(ev, (enum journal_field)f, 0) == json_integer_value(want);
}

static bool event_matches(json_t *match, const struct journal_event *ev)
{
	const char *name;
	json_t *want;

	json_object_foreach(match, name, want)
		if (!value_matches(ev, name, want))
			return false;
	return true;
}

static bool event_of(const struct expect *x, const struct dev *d, const struct journal_event *ev)
{
	const char *actor = ev->actor ? ev->actor : "";

	switch (x->who.kind) {
	case WHO_ALL:
		return true;
	case WHO_SERVER:
		return strcmp(actor, "server") == 0;
	case WHO_MODEM:
		return strcmp(journal_text(ev, JF_MODEM), x->who.name) == 0 ||
		       (strncmp(actor, "modem:", 6) == 0 && strcmp(actor + 6, x->who.name) == 0);
	default:
		return d && oracle_who(&x->who, d);
	}
}

/* A server start is any state but down. */
static bool counts_at_all(const struct expect *x, const struct journal_event *ev)
{
	return x->kind != EXPECT_COUNTS || ev->kind != J_SERVER_STATE || strcmp(journal_text(ev, JF_STATE), "down") != 0;
}

/* Each device for itself; an event that is about none is held against all. */
static bool too_late(const struct expect *e, const struct dev *d)
{
	return e->has_before && (d ? d->befores >> e->before_index & 1 : e->before_came);
}

static void note_before(struct expect *e, struct dev *d, const struct journal_event *ev)
{
	if (!e->has_before || e->before != ev->kind || !event_of(e, d, ev) || !event_matches(e->before_match, ev))
		return;
	e->before_came = true;
	if (d)
		d->befores |= UINT64_C(1) << e->before_index;
}

void expects_event(struct expects *x, const struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	for (size_t i = 0; i < x->n; i++) {
		struct expect *e = &x->e[i];

		note_before(e, d, ev);
		if ((e->kind != EXPECT_COUNTS && e->kind != EXPECT_SEEN) || e->event != ev->kind || e->families)
			continue;
		if (e->has_within && ev->t > time_add(o->start, e->ns))
			continue;
		if (counts_at_all(e, ev) && !too_late(e, d) && event_of(e, d, ev) && event_matches(e->match, ev))
			e->count++;
	}
}

void expects_family(struct expects *x, const struct dev *d)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->e[i].families && (x->e[i].who.kind == WHO_ALL || oracle_who(&x->e[i].who, d)))
			x->e[i].count++;
}
