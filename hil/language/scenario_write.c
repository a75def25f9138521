#include "hil/language/scenario_write.h"

#include <stdio.h>
#include <string.h>

#include "hil/language/diag.h"
#include "hil/language/scenario.h"
#include "hil/language/vocab.h"
#include "hil/language/write.h"

/* "" where it is no text: then what is read back differs, and says so. */
static const char *text_of(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

/* ---- parts ---- */

static void put_match(struct flow *f, json_t *match)
{
	struct flow m;
	const char *name;
	json_t *v;

	if (!match)
		return;
	m = open_flow(key(f, "match"));
	json_object_foreach(match, name, v)
	{
		key(&m, name);
		if (json_is_integer(v))
			buf_printf(m.out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		else
			put_text(m.out, json_string_value(v));
	}
	close_flow(&m);
}

static void put_action(struct flow *f, const char *what, json_t *args)
{
	char place[64];
	json_t *said = without(args, strcmp(what, "duplicate") == 0   ? "{\"times\": 1}" :
				     strcmp(what, "reorder") == 0     ? "{\"within_ns\": 60000000000}" :
				     strcmp(what, "restart") == 0     ? "{\"after_ns\": 1000000000}" :
				     strcmp(what, "power_cycle") == 0 ? "{\"off_ns\": 1000000000}" :
									"{}");

	put_text(key(f, "do"), what);
	snprintf(place, sizeof(place), "do.%s", what);
	put_place(f, place, said);
	json_decref(said);
}

static void put_fault(struct buf *out, json_t *fault, size_t index)
{
	const char *what = text_of(fault, "do");
	json_t *then = json_object_get(fault, "then"), *at = json_object_get(fault, "at_ns"), *said;
	char name[40];
	struct flow f, t;

	snprintf(name, sizeof(name), "{\"name\": \"f%zu\"}", index + 1);
	said = without(fault, name);
	buf_puts(out, "      - ");
	f = open_flow(out);
	if (at)
		put_duration(key(&f, "at"), json_integer_value(at));
	put_place(&f, "fault", said);
	put_match(&f, json_object_get(fault, "match"));
	put_action(&f, what ? what : "", json_object_get(fault, "args"));
	if (then) {
		what = text_of(then, "do");
		t = open_flow(key(&f, "then"));
		put_place(&t, "then", then);
		put_action(&t, what ? what : "", json_object_get(then, "args"));
		close_flow(&t);
	}
	close_flow(&f);
	buf_puts(out, "\n");
	json_decref(said);
}

static void put_step(struct buf *out, json_t *step, json_int_t timeout_ns)
{
	const char *what = text_of(step, "do");
	json_t *said = json_copy(step);
	char place[64];
	struct flow f;

	if (!what)
		what = "";
	if (json_integer_value(json_object_get(step, "within_ns")) == timeout_ns)
		json_object_del(said, "within_ns");
	if (json_integer_value(json_object_get(step, "off_ns")) == 1000000000)
		json_object_del(said, "off_ns");
	buf_puts(out, "      - ");
	f = open_flow(out);
	if (strncmp(what, "server_", 7) == 0) {
		put_text(key(&f, "server"), what + 7);
		what = "server";
	}
	if (vocab_has("clock_accept rotate_key retire_keys", what)) {
		put_text(key(&f, "operator"), what);
		what = "";
	}
	snprintf(place, sizeof(place), "step.%s", what);
	put_place(&f, place, said);
	close_flow(&f);
	buf_puts(out, "\n");
	json_decref(said);
}

static void put_groups(struct buf *out, json_t *groups, json_t *settings)
{
	bool hold = json_integer_value(json_object_get(settings, "connection")) == 1, only;
	char usual[320];
	size_t i;
	json_t *g;

	snprintf(usual, sizeof(usual),
		 "{\"known\": true, \"disabled\": false, \"accept_unsigned\": false, \"type\": [\"thermometer\"], \"methods\": "
		 "[\"SMS\"], \"registered\": [\"SMS\"], \"connection\": \"%s\", \"start\": \"on\"}",
		 hold ? "hold" : "close");
	g = json_array_get(groups, 0);
	only = json_array_size(groups) == 1 && strcmp(text_of(g, "name"), "A") == 0;
	buf_puts(out, only ? "    devices: " : "    devices:\n");
	json_array_foreach(groups, i, g)
	{
		json_t *said = without(g, usual);
		struct flow f;

		if (!only)
			buf_printf(out, "      %s: ", text_of(g, "name"));
		f = open_flow(out);
		put_place(&f, "group", said);
		close_flow(&f);
		buf_puts(out, "\n");
		json_decref(said);
	}
}

/* ---- expect ---- */

static bool same_who(json_t *a, json_t *b)
{
	json_t *wa = json_object_get(a, "who"), *wb = json_object_get(b, "who");

	return wa == wb || (wa && wb && json_equal(wa, wb));
}

/* The first of `list` before `i` with the same who and prefix of `what`. */
static bool told_before(json_t *list, size_t i, size_t prefix)
{
	json_t *one = json_array_get(list, i), *other;

	for (size_t k = 0; k < i; k++) {
		other = json_array_get(list, k);
		if (same_who(one, other) && (!prefix || strncmp(text_of(one, "what"), text_of(other, "what"), prefix) == 0))
			return true;
	}
	return false;
}

static void put_item_who(struct flow *f, json_t *item)
{
	if (json_object_get(item, "who"))
		put_who(key(f, "who"), json_object_get(item, "who"));
}

/* final, never: one state, several, or by who. */
static void put_states(struct buf *out, const char *name, json_t *list)
{
	json_t *first = json_array_get(list, 0), *one, *other;
	bool plain = !json_object_get(first, "who");
	size_t i, n, k;

	if (!json_array_size(list))
		return;
	for (i = 1; i < json_array_size(list); i++)
		plain = plain && !json_object_get(json_array_get(list, i), "who");
	buf_printf(out, "      %s: %s", name, plain ? "" : "{");
	n = 0;
	json_array_foreach(list, i, one)
	{
		json_t *states;

		if (told_before(list, i, 0))
			continue;
		if (!plain) {
			buf_puts(out, n++ ? ", " : "");
			put_who(out, json_object_get(one, "who"));
			buf_puts(out, ": ");
		}
		states = json_array();
		json_array_foreach(list, k, other)
		{
			if (same_who(one, other))
				json_array_append(states, json_object_get(other, "state"));
		}
		if (json_array_size(states) == 1)
			put_text(out, json_string_value(json_array_get(states, 0)));
		else
			put_list(out, states);
		json_decref(states);
	}
	buf_puts(out, plain ? "\n" : "}\n");
}

static void put_paths(struct buf *out, json_t *list)
{
	size_t i;
	json_t *p;

	if (!json_array_size(list))
		return;
	p = json_array_get(list, 0);
	if (json_array_size(list) == 1 && !json_object_get(p, "who") &&
	    strcmp(text_of(p, "how"), "all") == 0) {
		buf_puts(out, "      path: ");
		put_list(out, json_object_get(p, "states"));
		buf_puts(out, "\n");
		return;
	}
	buf_puts(out, "      path:\n");
	json_array_foreach(list, i, p)
	{
		struct flow f;

		buf_puts(out, "        - ");
		f = open_flow(out);
		put_list(key(&f, "states"), json_object_get(p, "states"));
		if (strcmp(text_of(p, "how"), "any") == 0)
			buf_puts(key(&f, "any"), "true");
		put_place(&f, "expect.path", p);
		close_flow(&f);
		buf_puts(out, "\n");
	}
}

static void put_before(struct flow *f, json_t *before)
{
	struct flow b;

	if (!before)
		return;
	if (!json_object_get(before, "match")) {
		put_text(key(f, "before"), text_of(before, "event"));
		return;
	}
	b = open_flow(key(f, "before"));
	put_place(&b, "expect.before", before);
	put_match(&b, json_object_get(before, "match"));
	close_flow(&b);
}

/* Lists of mappings of one place: idle, seen. */
static void put_maps(struct buf *out, const char *name, json_t *list, const char *usual)
{
	char place[40];
	size_t i;
	json_t *one;

	if (!json_array_size(list))
		return;
	snprintf(place, sizeof(place), "expect.%s", name);
	buf_printf(out, "      %s:%s", name, json_array_size(list) == 1 ? " " : "\n");
	json_array_foreach(list, i, one)
	{
		json_t *said = without(one, usual);
		struct flow f;

		buf_puts(out, json_array_size(list) == 1 ? "" : "        - ");
		f = open_flow(out);
		if (json_object_get(said, "event")) {
			put_text(key(&f, "event"), text_of(said, "event"));
			json_object_del(said, "event");
		}
		put_place(&f, place, said);
		put_match(&f, json_object_get(one, "match"));
		put_before(&f, json_object_get(one, "before"));
		close_flow(&f);
		buf_puts(out, "\n");
		json_decref(said);
	}
}

/* Items that share a who stand in one mapping; `prefix` is how much of `what` they share. */
static void put_grouped(struct buf *out, const char *name, json_t *list, size_t prefix)
{
	unsigned groups = 0;
	size_t i, k;
	json_t *one, *other;

	for (i = 0; i < json_array_size(list); i++)
		groups += !told_before(list, i, prefix);
	if (!groups)
		return;
	buf_printf(out, "      %s:%s", name, groups == 1 ? " " : "\n");
	json_array_foreach(list, i, one)
	{
		struct flow f;

		if (told_before(list, i, prefix))
			continue;
		buf_puts(out, groups == 1 ? "" : "        - ");
		f = open_flow(out);
		json_array_foreach(list, k, other)
		{
			if (!same_who(one, other))
				continue;
			if (prefix)
				put_range(key(&f, text_of(other, "what") + prefix),
					  json_object_get(other, "range"));
			else
				put_duration(key(&f, text_of(other, "state")),
					     json_integer_value(json_object_get(other, "ns")));
		}
		put_item_who(&f, one);
		close_flow(&f);
		buf_puts(out, "\n");
	}
}

/* The items of `list` whose `what` begins as that of its item `i`, "sms." say; NULL where
 * an earlier one began alike. */
static json_t *alike(json_t *list, size_t i, size_t *prefix)
{
	const char *what = text_of(json_array_get(list, i), "what");
	json_t *mine = json_array(), *one;
	size_t k;

	*prefix = strcspn(what, ".");
	*prefix += what[*prefix] == '.';
	json_array_foreach(list, k, one)
	{
		if (strncmp(text_of(one, "what"), what, *prefix) != 0)
			continue;
		if (k < i) {
			json_decref(mine);
			return NULL;
		}
		json_array_append(mine, one);
	}
	return mine;
}

static void put_counts(struct buf *out, json_t *list)
{
	char name[32];

	for (size_t i = 0, prefix; i < json_array_size(list); i++) {
		json_t *mine = alike(list, i, &prefix);

		if (!mine)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)prefix - 1,
			 text_of(json_array_get(list, i), "what"));
		put_grouped(out, name, mine, prefix);
		json_decref(mine);
	}
}

static void put_expect(struct buf *out, json_t *expect)
{
	if (!json_object_size(expect))
		return;
	buf_puts(out, "    expect:\n");
	put_paths(out, json_object_get(expect, "path"));
	put_maps(out, "idle", json_object_get(expect, "idle"), "{\"code\": 0, \"silent_for_ns\": 0}");
	put_states(out, "final", json_object_get(expect, "final"));
	put_states(out, "never", json_object_get(expect, "never"));
	put_grouped(out, "within", json_object_get(expect, "within"), 0);
	put_counts(out, json_object_get(expect, "counts"));
	put_maps(out, "seen", json_object_get(expect, "seen"), "{\"count\": {\"min\": 1}}");
	if (json_object_get(expect, "others"))
		buf_puts(out, "      others: {same_as: control}\n");
	if (json_object_get(expect, "balance"))
		buf_puts(out, "      balance: sms\n");
}

static void put_bound(struct buf *out, json_t *t)
{
	json_t *value = json_object_get(t, "value");

	if (strcmp(text_of(t, "op"), "rate") == 0)
		buf_printf(out, "%.12g/s", json_number_value(value));
	else if (strcmp(text_of(t, "metric"), "server_memory") == 0)
		buf_printf(out, "%.12gKiB", json_number_value(value) / 1024);
	else
		put_duration(out, json_integer_value(value));
}

static void put_thresholds(struct buf *out, json_t *list)
{
	size_t i;
	json_t *t;

	if (!json_array_size(list))
		return;
	buf_puts(out, "    thresholds:\n");
	json_array_foreach(list, i, t)
	{
		json_t *said = without(t, "{\"min_samples\": 1}");
		struct flow f;

		buf_puts(out, "      - ");
		f = open_flow(out);
		put_place(&f, "threshold", said);
		buf_printf(key(&f, text_of(t, "op")), "\"%s ", text_of(t, "cmp"));
		put_bound(out, t);
		buf_puts(out, "\"");
		close_flow(&f);
		buf_puts(out, "\n");
		json_decref(said);
	}
}

/* ---- the whole ---- */

/* Whatever a comment says, the file stays one: no control characters, nothing but UTF-8. */
static void put_comment(struct buf *out, const char *comment)
{
	size_t left = comment ? strlen(comment) : 0, n;
	bool begins = true;
	unsigned cp;

	for (; left; comment += n, left -= n) {
		if (begins)
			buf_puts(out, *comment == '\n' ? "#" : "# ");
		begins = *comment == '\n';
		n = diag_utf8_length((const unsigned char *)comment, left, &cp);
		if (!n || (!begins && (cp < 0x20 || (cp >= 0x7F && cp < 0xA0) || cp == 0xFEFF)))
			buf_puts(out, n ? " " : "?");
		else
			buf_add(out, comment, n);
		n = n ? n : 1;
	}
	if (!begins)
		buf_puts(out, "\n");
}

static void put_scalars(struct buf *out, json_t *plan)
{
	json_t *said = without(plan, "{\"seed\": \"" SCENARIO_SEED "\", \"timeout_ns\": 30000000000, \"wall_ns\": 0, \"tags\": [], "
				     "\"carrier\": \"immediate\", \"settings\": {}, \"modems\": {\"senders\": 4, \"receivers\": 2}}");

	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];
		json_t *v = k->plan && vocab_at(k, "scenario") ? json_object_get(said, k->plan) : NULL;

		if (!v || k->type == VOCAB_OTHER || k->type == VOCAB_LATER)
			continue;
		buf_printf(out, "    %s: ", k->key);
		put_value(out, k, v);
		buf_puts(out, "\n");
	}
	json_decref(said);
}

static void put_all(struct buf *out, json_t *plan, const char *comment)
{
	const char *id = text_of(plan, "id"), *slash = strchr(id, '/');
	json_t *arrive = json_object_get(plan, "arrive"), *one;
	size_t i;

	put_comment(out, comment);
	buf_printf(out, "version: 1\nsuite: %.*s\nscenarios:\n  - name: %s\n", (int)(slash - id), id, slash + 1);
	put_scalars(out, plan);
	put_groups(out, json_object_get(plan, "groups"), json_object_get(plan, "settings"));
	if (arrive) {
		struct flow f, r;

		buf_puts(out, "    arrive: ");
		f = open_flow(out);
		r = open_flow(key(&f, "ramp"));
		put_place(&r, "ramp", arrive);
		close_flow(&r);
		close_flow(&f);
		buf_puts(out, "\n");
	}
	if (json_array_size(json_object_get(plan, "faults")))
		buf_puts(out, "    faults:\n");
	json_array_foreach(json_object_get(plan, "faults"), i, one) put_fault(out, one, i);
	if (json_array_size(json_object_get(plan, "steps")))
		buf_puts(out, "    steps:\n");
	json_array_foreach(json_object_get(plan, "steps"), i, one)
	{
		put_step(out, one, json_integer_value(json_object_get(plan, "timeout_ns")));
	}
	put_expect(out, json_object_get(plan, "expect"));
	put_thresholds(out, json_object_get(plan, "thresholds"));
}

/* ---- was all of it said? ---- */

/* Places differ in every file; shares are written in 12 digits. */
static bool same(json_t *a, json_t *b, const char *name, char *where, size_t size)
{
	const char *k;
	json_t *v;
	size_t i;

	if (!a || !b || (json_typeof(a) != json_typeof(b) && !(json_is_number(a) && json_is_number(b))))
		goto no;
	if (json_is_object(a)) {
		json_object_foreach(a, k, v)
		{
			if (strcmp(k, "source") != 0 && !same(v, json_object_get(b, k), k, where, size))
				return false;
		}
		json_object_foreach(b, k, v)
		{
			if (strcmp(k, "source") != 0 && !json_object_get(a, k))
				goto no;
		}
		return true;
	}
	if (json_is_array(a)) {
		if (json_array_size(a) != json_array_size(b))
			goto no;
		json_array_foreach(a, i, v)
		{
			if (!same(v, json_array_get(b, i), name, where, size))
				return false;
		}
		return true;
	}
	if (json_is_real(a) || json_is_real(b)) {
		double x = json_number_value(a), y = json_number_value(b), d = x > y ? x - y : y - x;

		if (d <= 1e-9 * (x > y ? x : y))
			return true;
	} else if (json_equal(a, b)) {
		return true;
	}
no:
	snprintf(where, size, "%s", name);
	return false;
}

static int read_back(json_t *plan, const char *text, size_t len, struct err *e)
{
	struct source src = {.name = "written", .text = text, .len = len};
	struct diags ds = {0};
	struct plans plans = {0};
	char where[64] = "?";
	int rv = scenario_parse(&src, &ds, &plans);
	size_t first = 0;

	while (first < ds.n && ds.v[first].warning)
		first++;
	if (rv)
		rv = err_set(e, rv == ERR_NOMEM ? rv : ERR_UNSUPPORTED, "the language cannot say this plan: line %d: %s",
			     first < ds.n ? ds.v[first].line : 0, first < ds.n ? ds.v[first].message : "?");
	else if (plans.n != 1 || !same(plan, plans.v[0], "plan", where, sizeof(where)))
		rv = err_set(e, ERR_UNSUPPORTED, "the language cannot say this plan's '%s'", where);
	diags_fini(&ds);
	plans_fini(&plans);
	return rv;
}

int scenario_write(json_t *plan, const char *comment, struct buf *out, struct err *e)
{
	const char *id = text_of(plan, "id");
	size_t at = out->len;
	json_t *said;
	int rv;

	if (!id || !strchr(id, '/'))
		return err_set(e, ERR_PARSE, "no plan: it has no id 'suite/name'");
	/* what a control showed is a run's, not the scenario's */
	said = json_copy(plan);
	if (!said)
		return err_set(e, ERR_NOMEM, "out of memory");
	json_object_del(said, "control");
	put_all(out, said, comment);
	rv = out->failed ? err_set(e, out->failed, "the scenario is too long") : read_back(said, out->data + at, out->len - at, e);
	json_decref(said);
	return rv;
}
