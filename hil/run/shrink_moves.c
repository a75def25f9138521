#include "hil/run/shrink_moves.h"

#include <stdio.h>
#include <string.h>

#define FEW	   3 /* devices that a person follows by hand */
#define SEEDS	   40
#define NAME_SEEDS 8
#define SUITE	   "regression"
#define NAME_CHARS 64 /* of a scenario's name (VOCAB_NAME) */

/* ---- helpers ---- */

json_t *shrink_copy(json_t *list, json_t *plan)
{
	json_t *copy = json_deep_copy(plan);

	return copy && !json_array_append_new(list, copy) ? copy : NULL;
}

json_int_t shrink_devices(json_t *plan)
{
	json_int_t n = 0;
	size_t i;
	json_t *g;

	json_array_foreach(json_object_get(plan, "groups"), i, g) {
		n += json_integer_value(json_object_get(g, "count"));
	}
	return n;
}

static void each_of(json_t *list, void (*each)(void *, json_t *), void *ctx)
{
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one) {
		if (json_is_object(one))
			each(ctx, one);
	}
}

void shrink_each_who(json_t *plan, void (*each)(void *, json_t *), void *ctx)
{
	const char *key;
	json_t *list;

	each_of(json_object_get(plan, "faults"), each, ctx);
	each_of(json_object_get(plan, "steps"), each, ctx);
	json_object_foreach(json_object_get(plan, "expect"), key, list) {
		if (json_is_array(list))
			each_of(list, each, ctx);
	}
}

static const char *group_of(json_t *holder)
{
	return json_string_value(json_object_get(json_object_get(holder, "who"), "group"));
}

static json_t *find_group(json_t *plan, const char *name)
{
	size_t i;
	json_t *g;

	json_array_foreach(json_object_get(plan, "groups"), i, g) {
		if (name && strcmp(json_string_value(json_object_get(g, "name")), name) == 0)
			return g;
	}
	return NULL;
}

/* Without all of a list's parts, without halves, quarters, …, without each. */
static void fewer(json_t *out, json_t *plan, const char *member)
{
	size_t n = json_array_size(json_object_get(plan, member));

	for (size_t chunk = n; chunk; chunk /= 2)
		for (size_t at = 0; at < n; at += chunk) {
			json_t *copy = shrink_copy(out, plan), *list = json_object_get(copy, member);

			for (size_t k = at + chunk < n ? at + chunk : n; k-- > at;)
				json_array_remove(list, k);
			if (!json_array_size(list) && strcmp(member, "thresholds") == 0)
				json_object_del(copy, member); /* where there are none a plan has no list of them */
		}
}

/* Without all of an object's members, without each. */
static void fewer_keys(json_t *out, json_t *plan, const char *member)
{
	const char *key;
	json_t *v;

	if (json_object_size(json_object_get(plan, member)) > 1)
		json_object_clear(json_object_get(shrink_copy(out, plan), member));
	json_object_foreach(json_object_get(plan, member), key, v) {
		json_object_del(json_object_get(shrink_copy(out, plan), member), key);
	}
}

/* ---- labels ---- */

/* regression/network-two-percent-loss; false where it has such a name. */
static bool own_name(json_t *plan)
{
	const char *id = json_string_value(json_object_get(plan, "id")), *slash = id ? strchr(id, '/') : NULL;
	char name[NAME_CHARS + 1];

	if (!slash || strncmp(id, SUITE "/", strlen(SUITE) + 1) == 0)
		return false;
	snprintf(name, sizeof(name), "%.*s-%s", (int)(slash - id), id, slash + 1);
	json_object_set_new(plan, "id", json_sprintf(SUITE "/%s", name));
	return true;
}

static void labels(json_t *out, json_t *plan)
{
	static const char *const idle[] = {"xfail", "quarantine", "requires", "skip", "parity"};
	json_t *plain = json_deep_copy(plan), *named;

	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		json_object_del(plain, idle[i]);
	json_object_set_new(plain, "tags", json_array());
	json_object_set_new(plain, "wall_ns", json_integer(0));
	named = shrink_copy(out, plain);
	/* the draws follow from the name, too: under a new one it may want another seed */
	if (own_name(named))
		for (int seed = 1; seed <= NAME_SEEDS; seed++)
			json_object_set_new(shrink_copy(out, named), "seed", json_sprintf("0x%x", (unsigned)seed));
	shrink_copy(out, plain);
	json_decref(plain);
}

/* ---- expectations ---- */

static void only_part(json_t *out, json_t *plan, const char *key, size_t i)
{
	json_t *copy = shrink_copy(out, plan), *expect = json_object_get(copy, "expect");
	json_t *part = json_incref(json_object_get(expect, key));

	json_object_clear(expect);
	if (json_is_array(part))
		json_object_set_new(expect, key, json_pack("[O]", json_array_get(part, i)));
	else
		json_object_set(expect, key, part);
	json_decref(part);
}

static void expectations(json_t *out, json_t *plan)
{
	json_t *expect = json_object_get(plan, "expect"), *v;
	const char *key;
	size_t n = 0;

	json_object_foreach(expect, key, v) {
		n += json_is_array(v) ? json_array_size(v) : 1;
	}
	if (n < 2)
		return; /* a scenario that expects nothing reads as if somebody forgot it */
	json_object_foreach(expect, key, v) {
		for (size_t i = 0; i < (json_is_array(v) ? json_array_size(v) : 1); i++)
			only_part(out, plan, key, i);
	}
	json_object_foreach(expect, key, v) {
		json_object_del(json_object_get(shrink_copy(out, plan), "expect"), key);
	}
}

/* ---- devices ---- */

/* What counts devices goes down with them. */
struct scale {
	json_t *from, *to; /* plans */
	bool cannot;
};

static void scale_number(struct scale *s, json_t *object, const char *name, json_int_t from, json_int_t to)
{
	json_t *v = json_object_get(object, name);
	json_int_t n = json_integer_value(v);

	/* a number below that of the devices was not counted by device */
	if (!v || !from || from == to || n < from)
		return;
	if (n % from)
		s->cannot = true;
	else
		json_object_set_new(object, name, json_integer(n / from * to));
}

static void scale_part(void *ctx, json_t *part)
{
	struct scale *s = ctx;
	const char *group = group_of(part);
	json_t *who = json_object_get(part, "who"), *index = json_object_get(who, "index");
	json_int_t from = shrink_devices(s->from), to = shrink_devices(s->to);

	if (group) {
		from = json_integer_value(json_object_get(find_group(s->from, group), "count"));
		to = json_integer_value(json_object_get(find_group(s->to, group), "count"));
	}
	if (index) {
		/* one of those that are left */
		if (to && json_integer_value(index) > to)
			json_object_set_new(who, "index", json_integer((json_integer_value(index) - 1) % to + 1));
		return;
	}
	scale_number(s, json_object_get(part, "range"), "min", from, to);
	scale_number(s, json_object_get(part, "range"), "max", from, to);
	scale_number(s, json_object_get(part, "count"), "min", from, to);
	scale_number(s, json_object_get(part, "count"), "max", from, to);
}

/* `group` NULL: each group has so many at most. NULL where a count cannot be divided. */
static json_t *with_count(json_t *out, json_t *plan, const char *group, json_int_t count)
{
	json_t *copy = shrink_copy(out, plan), *g, *t;
	struct scale s = {.from = plan, .to = copy};
	size_t i;

	json_array_foreach(json_object_get(copy, "groups"), i, g) {
		bool meant = group ? strcmp(json_string_value(json_object_get(g, "name")), group) == 0
				   : json_integer_value(json_object_get(g, "count")) > count;

		if (meant)
			json_object_set_new(g, "count", json_integer(count));
	}
	shrink_each_who(copy, scale_part, &s);
	json_array_foreach(json_object_get(copy, "thresholds"), i, t) {
		if (json_integer_value(json_object_get(t, "min_samples")) > shrink_devices(copy))
			json_object_set_new(t, "min_samples", json_integer(shrink_devices(copy)));
	}
	if (!s.cannot)
		return copy;
	json_array_remove(out, json_array_size(out) - 1);
	return NULL;
}

static void fewer_devices(json_t *out, json_t *plan)
{
	json_t *groups = json_object_get(plan, "groups"), *g;
	json_int_t most = 0;
	size_t i;

	json_array_foreach(groups, i, g) {
		if (json_integer_value(json_object_get(g, "count")) > most)
			most = json_integer_value(json_object_get(g, "count"));
	}
	/* 1, 2, 3, 5, 8, …: the small ones cost next to nothing */
	for (json_int_t a = 1, b = 2, c; a < most; c = a + b, a = b, b = c)
		with_count(out, plan, NULL, a);
	if (json_array_size(groups) < 2)
		return;
	json_array_foreach(groups, i, g) {
		json_int_t has = json_integer_value(json_object_get(g, "count"));

		for (json_int_t a = 1, b = 2, c; a < has; c = a + b, a = b, b = c)
			with_count(out, plan, json_string_value(json_object_get(g, "name")), a);
	}
}

/* What befalls one device in a thousand befalls one of a few under some other seed, the
 * sooner the worse the network is. */
static void other_seeds(json_t *out, json_t *plan)
{
	static const double losses[] = {0, 0.1, 0.3};
	json_t *network = json_object_get(plan, "network");
	size_t kinds = json_object_get(network, "loss") ? sizeof(losses) / sizeof(losses[0]) : 1;

	if (shrink_devices(plan) <= FEW)
		return;
	for (json_int_t count = 1; count <= FEW; count++)
		for (size_t k = 0; k < kinds; k++)
			for (int seed = 1; seed <= SEEDS; seed++) {
				json_t *copy = with_count(out, plan, NULL, count);

				json_object_set_new(copy, "seed", json_sprintf("0x%x", (unsigned)seed));
				if (k)
					json_object_set_new(json_object_get(copy, "network"), "loss",
							    json_real(losses[k]));
			}
}

/* ---- groups ---- */

static void forget(json_t *list, const char *group)
{
	for (size_t i = json_array_size(list); i-- > 0;) {
		const char *of = group_of(json_array_get(list, i));

		if (of && strcmp(of, group) == 0)
			json_array_remove(list, i);
	}
}

static void without_group(json_t *out, json_t *plan, size_t i)
{
	json_t *copy = shrink_copy(out, plan), *expect = json_object_get(copy, "expect"), *list;
	const char *name = json_string_value(
		json_object_get(json_array_get(json_object_get(plan, "groups"), i), "name"));
	const char *key;
	void *tmp;

	json_array_remove(json_object_get(copy, "groups"), i);
	forget(json_object_get(copy, "faults"), name);
	forget(json_object_get(copy, "steps"), name);
	json_object_foreach_safe(expect, tmp, key, list) {
		if (!json_is_array(list) || !json_array_size(list))
			continue;
		forget(list, name);
		if (!json_array_size(list))
			json_object_del(expect, key);
	}
	/* nothing would be expected of anybody */
	if (!json_object_size(expect) && json_object_size(json_object_get(plan, "expect")))
		json_array_remove(out, json_array_size(out) - 1);
}

static void fewer_groups(json_t *out, json_t *plan)
{
	json_t *groups = json_object_get(plan, "groups"), *more;
	json_int_t all = shrink_devices(plan);

	for (size_t i = json_array_size(groups); i-- > 0 && json_array_size(groups) > 1;) {
		without_group(out, plan, i);
		if (json_array_size(groups) != 2 || all > 2 * FEW)
			continue;
		/* or as many devices in the group that is left */
		more = json_deep_copy(plan);
		json_object_set_new(json_array_get(json_object_get(more, "groups"), !i), "count", json_integer(all));
		without_group(out, more, i);
		json_decref(more);
	}
}

/* ---- what is as it is by default ---- */

static void rig(json_t *out, json_t *plan)
{
	json_t *usual = json_pack("{s:i, s:i}", "senders", 4, "receivers", 2);

	if (json_object_get(plan, "arrive"))
		json_object_del(shrink_copy(out, plan), "arrive");
	json_object_set_new(shrink_copy(out, plan), "carrier", json_string("immediate"));
	json_object_set(shrink_copy(out, plan), "modems", usual);
	json_decref(usual);
}

static void traits(json_t *out, json_t *plan)
{
	static const char usual[] = "{\"known\": true, \"disabled\": false, \"accept_unsigned\": false, \"type\": [\"thermometer\"], "
				    "\"methods\": [\"SMS\"], \"registered\": [\"SMS\"], \"connection\": \"close\", \"start\": \"on\"}";
	json_t *defaults = json_loads(usual, 0, NULL), *v;
	const char *key;

	for (size_t i = 0; i < json_array_size(json_object_get(plan, "groups")); i++) {
		json_object_update(json_array_get(json_object_get(shrink_copy(out, plan), "groups"), i), defaults);
		json_object_foreach(defaults, key, v) {
			json_object_set(json_array_get(json_object_get(shrink_copy(out, plan), "groups"), i), key, v);
		}
	}
	json_decref(defaults);
}

/* ---- tidy ---- */

struct rename {
	char from[64];
};

static void rename_group(void *ctx, json_t *holder)
{
	const struct rename *r = ctx;
	const char *group = group_of(holder);

	if (group && strcmp(group, r->from) == 0)
		json_object_set_new(json_object_get(holder, "who"), "group", json_string("A"));
}

/* Of the only group, or the only device, `who` says nothing, but for what is done to it. */
static void everybody(void *ctx, json_t *holder)
{
	const bool *one = ctx;
	json_t *who = json_object_get(holder, "who");

	if (group_of(holder) && (*one || json_object_size(who) == 1) &&
	    (json_object_get(holder, "on") || !json_object_get(holder, "do")))
		json_object_del(holder, "who");
}

static void tidy(json_t *out, json_t *plan)
{
	json_t *groups = json_object_get(plan, "groups"), *copy = shrink_copy(out, plan), *f;
	const char *name = json_string_value(json_object_get(json_array_get(groups, 0), "name"));
	bool one = shrink_devices(plan) == 1;
	struct rename r;
	size_t i;

	json_object_set_new(copy, "seed", json_string("0x5eed"));
	copy = shrink_copy(out, plan);
	json_array_foreach(json_object_get(copy, "faults"), i, f) {
		json_object_set_new(f, "name", json_sprintf("f%zu", i + 1));
	}
	if (json_array_size(groups) != 1)
		return;
	if (name && strcmp(name, "A") != 0) {
		snprintf(r.from, sizeof(r.from), "%s", name);
		copy = shrink_copy(out, plan);
		json_object_set_new(json_array_get(json_object_get(copy, "groups"), 0), "name", json_string("A"));
		shrink_each_who(copy, rename_group, &r);
	}
	shrink_each_who(shrink_copy(out, plan), everybody, &one);
}

json_t *shrink_moves(json_t *plan, enum shrink_class c, const struct shrink_limits *l)
{
	static void (*const plain[SHRINK_CLASSES])(json_t *, json_t *) = {
		[SHRINK_LABELS] = labels,     [SHRINK_EXPECT] = expectations, [SHRINK_DEVICES] = fewer_devices,
		[SHRINK_SEEDS] = other_seeds, [SHRINK_GROUPS] = fewer_groups, [SHRINK_NETWORK] = shrink_network,
		[SHRINK_RIG] = rig,	      [SHRINK_TRAITS] = traits,	      [SHRINK_DETAILS] = shrink_details,
		[SHRINK_TIDY] = tidy};
	json_t *out = json_array();

	if (!out)
		return NULL;
	if (plain[c])
		plain[c](out, plan);
	else if (c == SHRINK_COARSE)
		shrink_coarse(out, plan, l);
	else if (c == SHRINK_TIMES)
		shrink_times(out, plan, l);
	else if (c == SHRINK_SETTINGS)
		fewer_keys(out, plan, "settings");
	else
		fewer(out, plan, c == SHRINK_FAULTS ? "faults" : c == SHRINK_STEPS ? "steps" : "thresholds");
	return out;
}
