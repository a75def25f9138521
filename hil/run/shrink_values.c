/* Simpler values: times that people write, a network in fewer words, faults that say less. */
#include "hil/run/shrink_moves.h"

#include <string.h>

#include "core/settings.h"

#define MS ((json_int_t)NS_PER_MS)
#define S  ((json_int_t)NS_PER_S)

#define NTH_MAX 8 /* datagrams of a link: a handshake and a request */

/* ---- network ---- */

static void without_key(json_t *out, json_t *plan, const char *first, const char *second)
{
	json_t *network = json_object_get(shrink_copy(out, plan), "network");

	json_object_del(network, first);
	if (second)
		json_object_del(network, second);
}

/* A lossy network often says no more than one reply that was lost. */
static void one_lost_reply(json_t *out, json_t *plan)
{
	static const char *const resources[] = {"registerDevice", "login", "publishMeasure", "refreshToken"};

	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
		json_t *copy = shrink_copy(out, plan);

		json_object_del(copy, "network");
		json_array_append_new(json_object_get(copy, "faults"),
				      json_pack("{s:s, s:s, s:{s:s}, s:s, s:{}}", "name", "lost", "on", "server.reply", "match",
						"resource", resources[i], "do", "drop_reply", "args"));
	}
}

/* … or than one datagram. */
static void one_lost_datagram(json_t *out, json_t *plan)
{
	for (int nth = 1; nth <= NTH_MAX; nth++)
		for (int up = 1; up >= 0; up--)
			json_object_set_new(shrink_copy(out, plan), "network",
					    up ? json_pack("{s:{s:[i], s:[], s:s}}", "drop", "up", nth, "down", "per", "link")
					       : json_pack("{s:{s:[], s:[i], s:s}}", "drop", "up", "down", nth, "per", "link"));
}

void shrink_network(json_t *out, json_t *plan)
{
	json_t *network = json_object_get(plan, "network"), *v, *g;
	const char *key;
	size_t i;

	json_array_foreach(json_object_get(plan, "groups"), i, g) {
		if (json_object_get(g, "network"))
			json_object_del(json_array_get(json_object_get(shrink_copy(out, plan), "groups"), i), "network");
	}
	if (!network)
		return;
	json_object_del(shrink_copy(out, plan), "network");
	/* words that mean nothing without one another go together */
	without_key(out, plan, "rate_bps", "queue");
	json_object_foreach(network, key, v) {
		json_t *copy = shrink_copy(out, plan), *less = json_object_get(copy, "network");

		json_object_del(less, key);
		if (!json_object_get(less, "loss") && !json_object_get(less, "corrupt")) {
			json_object_del(less, "burst");
			json_object_del(less, "phase");
		}
		if (!json_object_size(less))
			json_object_del(copy, "network");
	}
	if (!json_object_get(network, "loss") && !json_object_get(network, "corrupt") && !json_object_get(network, "blackhole"))
		return;
	one_lost_reply(out, plan);
	one_lost_datagram(out, plan);
}

/* ---- faults ---- */

static json_t *fault_copy(json_t *out, json_t *plan, size_t i)
{
	return json_array_get(json_object_get(shrink_copy(out, plan), "faults"), i);
}

static void only_nth(json_t *out, json_t *plan, size_t i, json_int_t nth)
{
	static const char *const vague[] = {"chance", "each", "times", "nth"};
	json_t *fault = fault_copy(out, plan, i);

	for (size_t k = 0; k < sizeof(vague) / sizeof(vague[0]); k++)
		json_object_del(fault, vague[k]);
	if (nth > 1)
		json_object_set_new(fault, "nth", json_integer(nth));
}

void shrink_details(json_t *out, json_t *plan)
{
	static const char *const words[] = {"then", "from_ns", "until_ns", "who", "match", "times", "chance"};
	json_t *faults = json_object_get(plan, "faults"), *fault, *v;
	const char *key;
	size_t i;

	json_array_foreach(faults, i, fault) {
		json_t *match = json_object_get(fault, "match");

		if (json_object_get(fault, "each") || json_object_get(fault, "chance") || json_object_get(fault, "nth"))
			for (json_int_t nth = 1; nth <= 3; nth++)
				only_nth(out, plan, i, nth);
		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			if (json_object_get(fault, words[k]) && !(json_object_get(fault, "every_ns") && words[k][0] == 't'))
				json_object_del(fault_copy(out, plan, i), words[k]);
		if (json_object_get(fault, "every_ns")) {
			/* once, and when */
			json_t *once = fault_copy(out, plan, i);

			json_object_set(once, "at_ns", json_object_get(once, "every_ns"));
			json_object_del(once, "every_ns");
			json_object_del(once, "times");
		}
		if (json_object_size(match) > 1)
			json_object_foreach(match, key, v) {
				json_object_del(json_object_get(fault_copy(out, plan, i), "match"), key);
			}
	}
}

/* ---- all times at once ---- */

/* A wait without a limit of its own has the scenario's. */
static void end_at(json_t *plan, json_int_t before, json_int_t t)
{
	size_t i;
	json_t *step;

	json_object_set_new(plan, "timeout_ns", json_integer(t));
	json_array_foreach(json_object_get(plan, "steps"), i, step) {
		if (json_integer_value(json_object_get(step, "within_ns")) == before)
			json_object_set_new(step, "within_ns", json_integer(t));
	}
}

static json_int_t part_of(json_t *object, const char *key, json_int_t divisor)
{
	json_int_t before = json_integer_value(json_object_get(object, key)), t = before / divisor, saved;

	if (before <= S)
		return 0;
	t = t > S ? t / S * S : S;
	saved = before - t;
	json_object_set_new(object, key, json_integer(t));
	return saved;
}

static void compress(json_t *plan, json_int_t divisor)
{
	static const char *const keys[] = {"at_ns", "every_ns", "from_ns", "until_ns"};
	json_int_t saved = 0, timeout = json_integer_value(json_object_get(plan, "timeout_ns"));
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(plan, "steps"), i, one) {
		saved += part_of(one, "for_ns", divisor);
	}
	json_array_foreach(json_object_get(plan, "faults"), i, one) {
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			part_of(one, keys[k], divisor);
	}
	if (saved)
		end_at(plan, timeout, timeout - saved);
}

static void without_steps(json_t *plan)
{
	compress(plan, INT64_MAX); /* its sleeps leave the timeout */
	json_array_clear(json_object_get(plan, "steps"));
}

/* The few moves that make every later one cheap, the cheapest first. */
void shrink_coarse(json_t *out, json_t *plan, const struct shrink_limits *l)
{
	static const json_int_t divisors[] = {100, 10, 3};
	json_t *bare = json_deep_copy(plan);

	json_array_clear(json_object_get(bare, "faults"));
	if (!l->counts) {
		without_steps(shrink_copy(out, bare));
		for (size_t k = 0; k < sizeof(divisors) / sizeof(divisors[0]); k++) {
			compress(shrink_copy(out, bare), divisors[k]);
			compress(shrink_copy(out, plan), divisors[k]);
		}
		json_array_clear(json_object_get(shrink_copy(out, plan), "steps"));
	}
	shrink_copy(out, bare);
	json_decref(bare);
}

/* ---- times ---- */

static const json_int_t nice[] = {MS,	 10 * MS, 100 * MS, 500 * MS, S,       2 * S,	 5 * S,	   10 * S,     20 * S,
				  30 * S, 60 * S, 120 * S,  300 * S,  600 * S, 1800 * S, 3600 * S, 6 * 3600 * S, 86400 * S};
#define NICE (sizeof(nice) / sizeof(nice[0]))

/* Where a time stands in a plan: its object as a way down from the top. */
struct spot {
	json_t *out, *plan;
	const char *list, *inner; /* faults, steps; args, then or NULL */
	size_t i;
	const char *key;
};

static json_t *at_spot(const struct spot *s, json_t *plan)
{
	json_t *o = json_object_get(plan, s->list);

	if (json_is_array(o))
		o = json_array_get(o, s->i);
	return s->inner ? json_object_get(o, s->inner) : o;
}

/* The shortest of what people write, then longer ones: at most four. */
static void shorter(const struct spot *s)
{
	json_int_t now = json_integer_value(json_object_get(at_spot(s, s->plan), s->key)), last = -1;
	size_t below = 0;

	if (strcmp(s->key, "off_ns") == 0 || strcmp(s->key, "after_ns") == 0) {
		/* a second is what is meant where nothing is said */
		if (now != S)
			json_object_set_new(at_spot(s, shrink_copy(s->out, s->plan)), s->key, json_integer(S));
		return;
	}
	while (below < NICE && nice[below] < now)
		below++;
	if (now < MS || !below)
		return;
	for (size_t k = 0; k < 4; k++) {
		size_t from = now > S ? 4 : 0, span = below > from ? below - from : 0;
		json_int_t t = span ? nice[from + span * k / 4] : nice[below - 1];

		if (t == last)
			continue;
		last = t;
		json_object_set_new(at_spot(s, shrink_copy(s->out, s->plan)), s->key, json_integer(t));
	}
	if (nice[below - 1] != last)
		json_object_set_new(at_spot(s, shrink_copy(s->out, s->plan)), s->key, json_integer(nice[below - 1]));
}

static void shorter_in(struct spot s)
{
	json_t *object = at_spot(&s, s.plan), *v;
	const char *key;

	json_object_foreach(object, key, v) {
		size_t len = strlen(key);

		/* a wait's limit is no time that passes; it is dropped, not shortened */
		if (!json_is_integer(v) || len < 4 || strcmp(key + len - 3, "_ns") != 0 || strcmp(key, "within_ns") == 0)
			continue;
		s.key = key;
		shorter(&s);
	}
}

static bool sms_may_be_late(json_t *plan)
{
	const char *carrier = json_string_value(json_object_get(plan, "carrier"));
	size_t i;
	json_t *fault;

	json_array_foreach(json_object_get(plan, "faults"), i, fault) {
		const char *on = json_string_value(json_object_get(fault, "on"));

		if (on && strncmp(on, "sms.", 4) == 0)
			return true;
	}
	return carrier && strcmp(carrier, "immediate") != 0;
}

/* An earlier end, but not before a healthy device would have been through: a scenario
 * that ends too soon fails alike for no reason. */
static void earlier_end(json_t *out, json_t *plan)
{
	json_int_t now = json_integer_value(json_object_get(plan, "timeout_ns"));
	json_int_t floor = 10 * S; /* a healthy device is through by then */
	json_t *settings = json_object_get(plan, "settings"), *wait = json_object_get(settings, "code_wait");
	struct settings usual;

	settings_default(&usual);
	if (json_array_size(json_object_get(plan, "faults")) || json_object_get(plan, "network"))
		floor += 2 * usual.v[SETTING_REQUEST_TIMEOUT];
	if (sms_may_be_late(plan))
		floor += wait ? json_integer_value(wait) : usual.v[SETTING_CODE_WAIT];
	for (size_t k = 0; k < NICE; k++)
		if (nice[k] >= floor && nice[k] < now)
			end_at(shrink_copy(out, plan), now, nice[k]);
}

void shrink_times(json_t *out, json_t *plan, const struct shrink_limits *l)
{
	static const char *const lists[] = {"steps", "faults"};
	json_int_t timeout = json_integer_value(json_object_get(plan, "timeout_ns"));
	json_t *step, *network = json_object_get(plan, "network");
	size_t i;

	json_array_foreach(json_object_get(plan, "steps"), i, step) {
		if (json_object_get(step, "within_ns") && json_integer_value(json_object_get(step, "within_ns")) != timeout)
			json_object_set_new(json_array_get(json_object_get(shrink_copy(out, plan), "steps"), i), "within_ns",
					    json_integer(timeout));
	}
	if (l->counts)
		return;
	for (size_t k = 0; k < 2; k++)
		for (i = 0; i < json_array_size(json_object_get(plan, lists[k])); i++) {
			shorter_in((struct spot){.out = out, .plan = plan, .list = lists[k], .i = i});
			shorter_in((struct spot){.out = out, .plan = plan, .list = lists[k], .i = i, .inner = "args"});
			shorter_in((struct spot){.out = out, .plan = plan, .list = lists[k], .i = i, .inner = "then"});
		}
	if (network)
		shorter_in((struct spot){.out = out, .plan = plan, .list = "network"});
	earlier_end(out, plan);
}
