/* expect: what must have been seen; and thresholds. */
#include "hil/language/scenario_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/settings.h"
#include "hil/language/who.h"

#define CODE_MIN 100
#define CODE_MAX 999

/* An expectation that lists nothing would hold whatever happens. */
static void says_nothing(struct reader *r, const struct yaml_node *at, const char *key)
{
	diag_error(r->ds, r->src, at->at, NULL, "'%s' is empty: nothing would be checked", key);
}

static bool judgeable(struct reader *r, const struct yaml_node *node, json_t *who)
{
	if (who_is_devices(who))
		return true;
	diag_error(r->ds, r->src, node->at, NULL, "expectations are about devices, not '%s'", node->text);
	return false;
}

static void set_who(struct reader *r, json_t *part, json_t *who)
{
	if (who && !json_is_true(json_object_get(who, "all")))
		read_put(r, part, "who", json_incref(who));
}

/* The `who` of a mapping where it has one, as it was `read`; NULL: all, or told. New reference. */
static json_t *who_of(struct reader *r, const struct yaml_node *n, json_t *read)
{
	const struct yaml_node *node = yaml_get(n, "who");
	json_t *who = json_object_get(read, "who");

	return node && who && judgeable(r, node, who) ? json_incref(who) : NULL;
}

/* A key of a mapping as `who`; new reference. */
static json_t *who_key(struct reader *r, const struct yaml_node *key)
{
	json_t *who = read_key(r, key, "expect.path", "who");

	if (judgeable(r, key, who))
		return who;
	json_decref(who);
	return NULL;
}

/* ---- path ---- */

static void add_path(struct reader *r, const struct yaml_node *n, json_t *list)
{
	json_t *part = json_object(), *who;
	const struct yaml_node *states = n, *any;

	if (n->kind == YAML_KIND_MAP) {
		read_map(r, n, "expect.path", part);
		states = yaml_get(n, "states");
		any = yaml_get(n, "any");
		who = any ? read_key(r, any, "expect.path", "any") : NULL;
		if (json_is_true(who))
			read_put(r, part, "how", json_string("any"));
		json_decref(who);
		if (any && json_object_get(part, "count"))
			diag_error(r->ds, r->src, any->at, NULL, "'any' and 'count' exclude one another");
		who = json_object_get(part, "who");
		if (who)
			judgeable(r, yaml_get(n, "who"), who);
		if (who && json_is_true(json_object_get(who, "all")))
			json_object_del(part, "who");
	}
	if (!json_object_get(part, "how"))
		read_put(r, part, "how", json_string(json_object_get(part, "count") ? "count" : "all"));
	if (states)
		read_put(r, part, "states", scenario_path(r, states));
	read_put(r, part, "source", read_place(r, n));
	read_append(r, list, part);
}

static json_t *read_paths(struct reader *r, const struct yaml_node *n)
{
	json_t *list = json_array();

	if (n->kind == YAML_KIND_LIST && n->first && n->first->value->kind != YAML_KIND_SCALAR)
		for (const struct yaml_item *i = n->first; i; i = i->next)
			add_path(r, i->value, list);
	else
		add_path(r, n, list);
	return list;
}

/* ---- idle, seen: mappings of their place ---- */

static void add_idle(struct reader *r, const struct yaml_node *n, json_t *list)
{
	json_t *part = json_object();

	if (read_map(r, n, "expect.idle", part)) {
		json_decref(who_of(r, n, part));
		if (!json_object_get(part, "code"))
			read_put(r, part, "code", json_integer(0));
		if (!json_object_get(part, "silent_for_ns"))
			read_put(r, part, "silent_for_ns", json_integer(0));
	}
	read_put(r, part, "source", read_place(r, n));
	read_append(r, list, part);
}

/* Can a line of this kind be about them? Else "0 times" holds whatever happens. */
static void check_teller(struct reader *r, const struct yaml_node *node, json_t *who, enum journal_kind kind)
{
	static const char nobodys[] = "run.start run.end scenario.start scenario.end step.done ready server.state "
				      "fault.armed harness.lag harness.note key.added key.retired";
	unsigned actor = vocab_event_actor(kind);
	const char *event = journal_kind_name(kind);
	bool fired = kind == J_FAULT_FIRED;

	if (json_is_true(json_object_get(who, "all")))
		return;
	if (json_object_get(who, "server")) {
		if (actor != VOCAB_SERVER && !fired)
			diag_error(r->ds, r->src, node->at, NULL, "the server does not write %s", event);
	} else if (json_object_get(who, "modem")) {
		const char *modem = json_string_value(json_object_get(who, "modem")), *other = scenario_modem_other(modem, kind);

		if (!vocab_has(journal_kind_fields(kind), "modem") && !fired)
			diag_error(r->ds, r->src, node->at, NULL, "%s names no modem", event);
		else if (other)
			diag_error(r->ds, r->src, node->at, NULL, "%s is about the modem that %s, which %s never is", event, other, modem);
	} else if (vocab_has(nobodys, event)) {
		diag_error(r->ds, r->src, node->at, NULL, "%s is about no device", event);
	} else {
		judgeable(r, node, who);
	}
}

/* `before: token.issued`, or with fields: `before: {event: device.state, match: {to: IDLE}}`. */
static json_t *read_before(struct reader *r, const struct yaml_node *n)
{
	const struct yaml_node *match = yaml_get(n, "match");
	json_t *out = json_object(), *event;
	const char *kind;

	if (n->kind == YAML_KIND_MAP) {
		read_map(r, n, "expect.before", out);
	} else {
		event = read_key(r, n, "expect.before", "event");
		if (event)
			read_put(r, out, "event", event);
	}
	kind = json_string_value(json_object_get(out, "event"));
	if (match && kind)
		read_put(r, out, "match", scenario_match(r, match, (enum journal_kind)journal_kind_by_name(kind)));
	return out;
}

static void add_seen(struct reader *r, const struct yaml_node *n, json_t *list)
{
	json_t *part = json_object();
	const struct yaml_node *match = yaml_get(n, "match"), *before = yaml_get(n, "before");
	const char *event;
	json_t *who;

	if (read_map(r, n, "expect.seen", part)) {
		if (before)
			read_put(r, part, "before", read_before(r, before));
		event = json_string_value(json_object_get(part, "event"));
		if (match && event)
			read_put(r, part, "match",
				 scenario_match(r, match, (enum journal_kind)journal_kind_by_name(event)));
		if (!json_object_get(part, "count"))
			read_put(r, part, "count", json_pack("{s:i}", "min", 1));
		who = json_object_get(part, "who");
		if (who && event)
			check_teller(r, yaml_get(n, "who"), who, (enum journal_kind)journal_kind_by_name(event));
		/* what must come later is theirs, too */
		event = json_string_value(json_object_get(json_object_get(part, "before"), "event"));
		if (who && event)
			check_teller(r, yaml_get(n, "who"), who, (enum journal_kind)journal_kind_by_name(event));
	}
	read_put(r, part, "source", read_place(r, n));
	read_append(r, list, part);
}

static json_t *read_each_of(struct reader *r, const struct yaml_node *n,
			    const char *key, void (*add)(struct reader *, const struct yaml_node *, json_t *))
{
	const struct yaml_item *walk = NULL;
	const struct yaml_node *one;
	json_t *list = json_array();
	bool begun = false;

	while ((one = read_each(n, &walk, &begun)))
		add(r, one, list);
	if (n->kind == YAML_KIND_LIST && !n->first)
		says_nothing(r, n, key);
	return list;
}

/* ---- final, never: a state, states, or by who ---- */

static void add_state(struct reader *r, const struct yaml_node *n, json_t *who, json_t *list)
{
	const char *state = read_state(r, n);
	json_t *part;

	if (!state)
		return;
	part = json_object();
	read_put(r, part, "state", json_string(state));
	set_who(r, part, who);
	read_put(r, part, "source", read_place(r, n));
	read_append(r, list, part);
}

static json_t *read_states(struct reader *r, const struct yaml_node *n, bool several, const char *key)
{
	json_t *list = json_array();
	const struct yaml_item *walk, none = {.value = (struct yaml_node *)n};
	char what[80];

	/* without a mapping it is one item about all */
	for (walk = n->kind == YAML_KIND_MAP ? n->first : &none; walk; walk = walk->next) {
		const struct yaml_item *w = NULL;
		const struct yaml_node *one;
		json_t *who = walk->key ? who_key(r, walk->key) : NULL;
		bool begun = false;

		if (walk->value->kind == YAML_KIND_LIST && !several) {
			diag_error(r->ds, r->src, walk->value->at, "as in {A: IDLE, B: PROVISIONED}", "'%s' wants one state, not %s",
				   key, yaml_describe(walk->value, what, sizeof(what)));
			json_decref(who);
			continue;
		}
		while ((one = read_each(walk->value, &w, &begun)))
			add_state(r, one, who, list);
		if (walk->key && walk->value->kind == YAML_KIND_LIST && !walk->value->first)
			says_nothing(r, walk->value, walk->key->text);
		json_decref(who);
	}
	if (n->kind != YAML_KIND_SCALAR && !n->first)
		says_nothing(r, n, key);
	return list;
}

/* Nothing in a mapping but whom it is about? */
static bool only_who(const struct yaml_node *n)
{
	for (const struct yaml_item *i = n->first; i; i = i->next)
		if (strcmp(i->key->text, "who") != 0)
			return false;
	return true;
}

/* ---- within: {STATE: duration} ---- */

static void add_within(struct reader *r, const struct yaml_node *n, json_t *list)
{
	json_t *none = json_object(), *who;

	if (n->kind != YAML_KIND_MAP) {
		read_map(r, n, "expect.within", none);
		json_decref(none);
		return;
	}
	if (yaml_get(n, "who") && (who = read_key(r, yaml_get(n, "who"), "expect.within", "who")))
		read_put(r, none, "who", who);
	who = who_of(r, n, none);
	if (only_who(n))
		says_nothing(r, n, "within");
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		const char *state;
		json_t *ns, *part;

		if (strcmp(i->key->text, "who") == 0)
			continue;
		state = read_state(r, i->key);
		ns = read_key(r, i->value, "expect.within", i->key->text);
		if (state && ns) {
			part = json_object();
			read_put(r, part, "state", json_string(state));
			read_put(r, part, "ns", json_incref(ns));
			set_who(r, part, who);
			read_put(r, part, "source", read_place(r, i->key));
			read_append(r, list, part);
		}
		json_decref(ns);
	}
	json_decref(who);
	json_decref(none);
}

/* ---- counts ---- */

static bool code_key(const char *text)
{
	return strlen(text) == 3 && strspn(text, "0123456789") == 3 && atoi(text) >= CODE_MIN && atoi(text) <= CODE_MAX;
}

/* One mapping of counts, `what` being "sms", "replies", …. */
static void add_counts(struct reader *r, const struct yaml_node *n, const char *what, json_t *list)
{
	char place[32], name[96];
	json_t *none = json_object(), *who;
	bool codes = strcmp(what, "replies") == 0;

	snprintf(place, sizeof(place), "expect.%s", what);
	if (!read_map(r, n, place, none)) {
		json_decref(none);
		return;
	}
	who = who_of(r, n, none);
	if (only_who(n))
		says_nothing(r, n, what);
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		const struct vocab_key *k = vocab_find(place, i->key->text);
		json_t *range, *part;

		if (!k || k->type != VOCAB_RANGE)
			continue;
		if (codes && !code_key(i->key->text)) {
			diag_error(r->ds, r->src, i->key->at, NULL, "'%.40s' is no reply code", i->key->text);
			continue;
		}
		range = read_key(r, i->value, place, i->key->text);
		if (!range)
			continue;
		part = json_object();
		snprintf(name, sizeof(name), "%s.%s", what, i->key->text);
		read_put(r, part, "what", json_string(name));
		read_put(r, part, "range", range);
		set_who(r, part, who);
		read_put(r, part, "source", read_place(r, i->key));
		read_append(r, list, part);
	}
	json_decref(who);
	json_decref(none);
}

static void read_counts(struct reader *r, const struct yaml_node *n, const char *what, json_t *expect)
{
	json_t *list = json_object_get(expect, "counts");
	const struct yaml_item *walk = NULL;
	const struct yaml_node *one;
	bool begun = false;

	if (!list) {
		list = json_array();
		read_put(r, expect, "counts", list);
	}
	while ((one = read_each(n, &walk, &begun)))
		add_counts(r, one, what, list);
	if (n->kind == YAML_KIND_LIST && !n->first)
		says_nothing(r, n, what);
}

/* ---- all of it ---- */

static void read_part(struct reader *r, const struct yaml_item *i, json_t *expect)
{
	const char *key = i->key->text;
	const struct yaml_node *n = i->value;
	json_t *word;

	if (strcmp(key, "path") == 0)
		read_put(r, expect, key, read_paths(r, n));
	else if (strcmp(key, "idle") == 0)
		read_put(r, expect, key, read_each_of(r, n, key, add_idle));
	else if (strcmp(key, "seen") == 0)
		read_put(r, expect, key, read_each_of(r, n, key, add_seen));
	else if (strcmp(key, "within") == 0)
		read_put(r, expect, key, read_each_of(r, n, key, add_within));
	else if (strcmp(key, "final") == 0 || strcmp(key, "never") == 0)
		read_put(r, expect, key, read_states(r, n, key[0] == 'n', key));
	else if (strcmp(key, "balance") == 0) {
		word = read_key(r, n, "expect", key);
		if (word)
			read_put(r, expect, key, json_pack("{s:b, s:o}", "sms", 1, "source", read_place(r, n)));
		json_decref(word);
	} else if (strcmp(key, "others") == 0) {
		word = read_key(r, n, "expect", key);
		if (word) {
			read_put(r, word, "source", read_place(r, n));
			read_put(r, expect, key, word);
		}
	} else if (vocab_find("expect", key)) {
		read_counts(r, n, key, expect);
	}
}

json_t *scenario_expect(struct reader *r, const struct yaml_node *n)
{
	json_t *expect = json_object();

	if (!read_map(r, n, "expect", expect))
		return expect;
	if (!n->first)
		diag_warn(r->ds, r->src, n->at, NULL, "an empty 'expect': only the invariants are judged");
	for (const struct yaml_item *i = n->first; i; i = i->next)
		read_part(r, i, expect);
	return expect;
}

/* ---- thresholds ---- */

#define BOUND_MAX 1e15 /* no rate and no memory is so large; it fits an integer */

/* A plain number in front of one of `units`; `factor` is that unit's. */
struct unit {
	const char *text;
	double factor;
};
static bool with_unit(const char *p, const struct unit *units, size_t n, double *out)
{
	char *end;
	double v = strtod(p, &end);

	if (end == p || strspn(p, "0123456789.") != (size_t)(end - p))
		return false;
	end += strspn(end, " ");
	for (size_t i = 0; i < n; i++)
		if (strcmp(end, units[i].text) == 0) {
			*out = v * units[i].factor;
			return *out <= BOUND_MAX;
		}
	return false;
}

/* The number of a bound and what it must look like. */
static bool bound_value(const char *op, const char *metric, const char *p, double *out, const char **like)
{
	static const struct unit rates[] = {{"/s", 1}, {"/min", 1.0 / 60}, {"/h", 1.0 / 3600}};
	static const struct unit sizes[] = {{"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824},
					    {"kB", 1e3},   {"MB", 1e6},      {"GB", 1e9}};
	time_ns ns;

	if (strcmp(op, "rate") == 0) {
		*like = "a rate\0as in \">= 5/s\"";
		return with_unit(p, rates, sizeof(rates) / sizeof(rates[0]), out);
	}
	if (metric && strcmp(metric, "server_memory") == 0) {
		*like = "a size\0as in \"< 200MiB\"";
		return with_unit(p, sizes, sizeof(sizes) / sizeof(sizes[0]), out);
	}
	*like = "a duration\0as in \"< 2s\"";
	if (duration_parse(p, &ns))
		return false;
	*out = (double)ns;
	return true;
}

/* "< 2s": a comparison and a value of the metric's. */
static void read_bound(struct reader *r, const struct yaml_item *i, json_t *part)
{
	static const char *const signs[] = {"<=", ">=", "<", ">"};
	const char *p = i->value->kind == YAML_KIND_SCALAR ? i->value->text : "", *sign = NULL, *like;
	const char *metric = json_string_value(json_object_get(part, "metric")), *op = i->key->text;
	char what[80];
	double v = 0;
	bool fits;

	for (size_t k = 0; k < sizeof(signs) / sizeof(signs[0]) && !sign; k++)
		if (strncmp(p, signs[k], strlen(signs[k])) == 0)
			sign = signs[k];
	if (sign) {
		p += strlen(sign);
		p += strspn(p, " ");
	}
	if (metric && strcmp(metric, "server_memory") == 0 && strcmp(op, "rate") == 0) {
		diag_error(r->ds, r->src, i->key->at, NULL, "memory has no 'rate'");
		return;
	}
	fits = bound_value(op, metric, p, &v, &like);
	if (!sign || !fits) {
		diag_error(r->ds, r->src, i->value->at, like + strlen(like) + 1, "'%s' wants a comparison and %s, not %s", op, like,
			   yaml_describe(i->value, what, sizeof(what)));
		return;
	}
	if (v <= 0 && (strcmp(sign, "<") == 0 || strcmp(sign, ">=") == 0)) {
		diag_error(r->ds, r->src, i->value->at, NULL, *sign == '<' ? "'%s' is never so little: '%s'" : "'%s' holds whatever is measured: '%s'",
			   op, i->value->text);
		return;
	}
	read_put(r, part, "op", json_string(op));
	read_put(r, part, "cmp", json_string(sign));
	read_put(r, part, "value", strcmp(op, "rate") == 0 ? json_real(v) : json_integer((json_int_t)v));
}

static void read_threshold(struct reader *r, const struct yaml_node *n, json_t *list)
{
	json_t *base = json_object();
	bool any = false;

	if (!read_map(r, n, "threshold", base)) {
		json_decref(base);
		return;
	}
	if (!json_object_get(base, "min_samples"))
		read_put(r, base, "min_samples", json_integer(1));
	read_put(r, base, "source", read_place(r, n));
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		const struct vocab_key *k = vocab_find("threshold", i->key->text);
		json_t *part;

		if (!k || k->type != VOCAB_OTHER)
			continue;
		part = json_copy(base);
		read_bound(r, i, part);
		read_append(r, list, part);
		any = true;
	}
	if (!any)
		diag_error(r->ds, r->src, n->at, "as in p99: \"< 2s\"", "a threshold without a bound");
	json_decref(base);
}

json_t *scenario_thresholds(struct reader *r, const struct yaml_node *n)
{
	json_t *list = json_array();
	char what[80];

	if (n->kind != YAML_KIND_LIST) {
		diag_error(r->ds, r->src, n->at, "as in [{metric: bootstrap_time, p99: \"< 2s\"}]",
			   "'thresholds' wants a list, not %s", yaml_describe(n, what, sizeof(what)));
		return list;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next)
		read_threshold(r, i->value, list);
	return list;
}
