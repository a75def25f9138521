/* What only a whole scenario tells. */
#include "hil/language/scenario_internal.h"

#include <inttypes.h>
#include <string.h>

#include "core/settings.h"

static const char *seconds(json_int_t ns, char *out, size_t size)
{
	if (ns == INT64_MAX)
		return "over two hundred years"; /* of a sum that fits no more */
	return setting_format(SETTING_CODE_WAIT, ns, out, size);
}

static json_int_t ns_of(json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* Time that passes whatever happens. */
static json_int_t sum_of_sleeps(json_t *plan)
{
	json_int_t sum = 0;
	json_t *step;
	size_t i;

	json_array_foreach(json_object_get(plan, "steps"), i, step) {
		/* a sleep has the one, cycles and restarts the other */
		json_int_t one = ns_of(step, "for_ns") + ns_of(step, "off_ns");

		sum = one > INT64_MAX - sum ? INT64_MAX : sum + one;
	}
	return sum;
}

static json_int_t longest_silence(json_t *plan)
{
	json_int_t longest = 0;
	json_t *idle;
	size_t i;

	json_array_foreach(json_object_get(json_object_get(plan, "expect"), "idle"), i, idle) {
		if (ns_of(idle, "silent_for_ns") > longest)
			longest = ns_of(idle, "silent_for_ns");
	}
	return longest;
}

static void check_timeout(struct reader *r, const struct yaml_node *at, json_t *plan)
{
	json_int_t timeout = ns_of(plan, "timeout_ns"), sleeps = sum_of_sleeps(plan), silence = longest_silence(plan);
	char a[40], b[40], c[40];

	if (timeout <= sleeps)
		diag_error(r->ds, r->src, at->at, NULL, "timeout %s is not longer than the steps' sleeps, %s in all",
			   seconds(timeout, a, sizeof(a)), seconds(sleeps, b, sizeof(b)));
	else if (timeout - sleeps <= silence)
		diag_error(r->ds, r->src, at->at, NULL, "timeout %s is not longer than sleeps (%s) and 'silent_for' (%s)",
			   seconds(timeout, a, sizeof(a)), seconds(sleeps, b, sizeof(b)), seconds(silence, c, sizeof(c)));
}

static void check_waits(struct reader *r, const struct yaml_node *steps, json_t *plan)
{
	json_int_t timeout = ns_of(plan, "timeout_ns");
	const struct yaml_item *i = steps && steps->kind == YAML_KIND_LIST ? steps->first : NULL;
	char a[40], b[40];

	for (; i; i = i->next) {
		const struct yaml_node *within = yaml_get(i->value, "within");
		time_ns ns;

		if (!within || within->kind != YAML_KIND_SCALAR || duration_parse(within->text, &ns))
			continue;
		if ((json_int_t)ns > timeout)
			diag_warn(r->ds, r->src, within->at, NULL, "'within' %s is beyond the scenario's timeout %s",
				  seconds((json_int_t)ns, a, sizeof(a)), seconds(timeout, b, sizeof(b)));
	}
}

/* A device whose SMS does not come sits there for code_wait. */
static void check_code_wait(struct reader *r, const struct yaml_node *faults, json_t *plan)
{
	json_t *set = json_object_get(json_object_get(plan, "settings"), "code_wait");
	const struct yaml_item *i = faults && faults->kind == YAML_KIND_LIST ? faults->first : NULL;
	json_int_t timeout = ns_of(plan, "timeout_ns"), wait;
	struct settings initial;
	char a[40], b[40];

	settings_default(&initial);
	wait = set ? json_integer_value(set) : initial.v[SETTING_CODE_WAIT];
	for (; i && timeout < wait; i = i->next) {
		const struct yaml_node *what = yaml_get(i->value, "do");
		const struct vocab_action *a_row = what && what->kind == YAML_KIND_SCALAR ? vocab_action(what->text) : NULL;

		if (a_row && (a_row->when & VOCAB_WAITS))
			diag_warn(r->ds, r->src, what->at, "settings: {code_wait: …}",
				  "'%s' and a timeout of %s: a device waits code_wait, %s, for its SMS", a_row->name,
				  seconds(timeout, a, sizeof(a)), seconds(wait, b, sizeof(b)));
	}
}

/* A fault whose time is behind the end never comes. `first`: where these stand among the plan's. */
static void check_fault_times(struct reader *r, const struct yaml_node *faults, json_t *plan, size_t first)
{
	static const struct {
		const char *key, *plan;
	} when[] = {{"at", "at_ns"}, {"every", "every_ns"}, {"from", "from_ns"}};
	const struct yaml_item *i = faults && faults->kind == YAML_KIND_LIST ? faults->first : NULL;
	json_int_t timeout = ns_of(plan, "timeout_ns");
	json_t *list = json_object_get(plan, "faults");
	char a[40], b[40];

	for (size_t n = 0; i; i = i->next, n++) {
		json_t *fault = json_array_get(list, first + n);

		for (size_t k = 0; k < sizeof(when) / sizeof(when[0]); k++) {
			if (ns_of(fault, when[k].plan) < timeout)
				continue;
			diag_error(r->ds, r->src, yaml_get(i->value, when[k].key)->at, NULL,
				   "'%s' %s is not before the scenario's timeout, %s: the fault never fires", when[k].key,
				   seconds(ns_of(fault, when[k].plan), a, sizeof(a)), seconds(timeout, b, sizeof(b)));
		}
	}
}

static json_int_t rotations(json_t *list)
{
	json_int_t n = 0;
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		const char *what = json_string_value(json_object_get(one, "do"));
		const char *then = json_string_value(json_object_get(json_object_get(one, "then"), "do"));
		json_int_t times = json_object_get(one, "times") ? json_integer_value(json_object_get(one, "times")) : 1;

		n += (what && strcmp(what, "rotate_key") == 0 ? times : 0) + (then && strcmp(then, "rotate_key") == 0 ? times : 0);
	}
	return n;
}

/* A server of ours refuses to start with a key_overlap that tokens outlive; rigs have one key to rotate to. */
static void check_keys(struct reader *r, const struct yaml_node *at, const struct yaml_node *node, json_t *plan)
{
	json_t *set = json_object_get(plan, "settings"), *overlap = json_object_get(set, "key_overlap"),
	       *life = json_object_get(set, "refresh_max");
	struct settings initial;
	json_int_t o, l;

	settings_default(&initial);
	o = overlap ? json_integer_value(overlap) : initial.v[SETTING_KEY_OVERLAP];
	l = life ? json_integer_value(life) : initial.v[SETTING_REFRESH_MAX];
	if (o < l)
		diag_error(r->ds, r->src, yaml_get(node, "settings") ? yaml_get(node, "settings")->at : at->at, NULL,
			   "key_overlap is shorter than refresh_max: tokens would outlive their key");
	if (rotations(json_object_get(plan, "steps")) + rotations(json_object_get(plan, "faults")) > 1)
		diag_error(r->ds, r->src, at->at, NULL, "the token key rotates at most once a scenario");
}

/* What ends behind the scenario's end, as the server's return or the power's, is never seen. */
static void check_second_halves(struct reader *r, const struct yaml_node *faults, json_t *plan)
{
	const struct yaml_item *i = faults && faults->kind == YAML_KIND_LIST ? faults->first : NULL;
	json_int_t timeout = ns_of(plan, "timeout_ns");
	json_t *list = json_object_get(plan, "faults");
	char a[40], b[40];

	for (size_t n = 0; i; i = i->next, n++) {
		json_t *fault = json_array_get(list, n), *args = json_object_get(fault, "args");
		const char *what = json_string_value(json_object_get(fault, "do"));
		json_int_t at = ns_of(fault, "at_ns"), every = ns_of(fault, "every_ns"), from = ns_of(fault, "from_ns");
		json_int_t back = ns_of(json_object_get(fault, "then"), "after_ns");
		const struct yaml_node *place = yaml_get(i->value, "at");

		if (what && strcmp(what, "restart") == 0 && ns_of(args, "after_ns") > back)
			back = ns_of(args, "after_ns");
		if (what && strcmp(what, "power_cycle") == 0 && ns_of(args, "off_ns") > back)
			back = ns_of(args, "off_ns");
		at = every > at ? every : at;
		at = from > at ? from : at;
		place = place ? place : yaml_get(i->value, "every");
		place = place ? place : yaml_get(i->value, "do"); /* an event's comes at the start at the earliest */
		if (back && place && at < timeout && back >= timeout - at)
			diag_error(r->ds, r->src, place->at, NULL,
				   "what follows '%s' comes %s later, not before the scenario's timeout, %s: it never happens",
				   what ? what : "", seconds(back, a, sizeof(a)), seconds(timeout, b, sizeof(b)));
	}
}

/* As a fault's time, so a network's: `n` is the network as the file has it, `network` as the plan has it;
 * `whole` is where errors point when it came from the file's defaults. */
static void check_network_times(struct reader *r, const struct yaml_node *n, json_t *network, json_t *plan,
				const struct yaml_node *whole)
{
	static const struct {
		const char *key, *plan, *say;
	} when[] = {{"blackhole", "at_ns", "it never begins"}, {"rebind", "after_ns", "it never comes"}};
	json_int_t timeout = ns_of(plan, "timeout_ns");
	char a[40], b[40];

	for (size_t i = 0; network && i < sizeof(when) / sizeof(when[0]); i++) {
		const struct yaml_node *part = yaml_get(n, when[i].key);
		json_int_t t = ns_of(json_object_get(network, when[i].key), when[i].plan);

		part = part ? part : yaml_get(n, "profile");
		part = part || n ? part : whole;
		if (part && t >= timeout)
			diag_error(r->ds, r->src, part->at, NULL, "'%s' at %s is not before the scenario's timeout, %s: %s",
				   when[i].key, seconds(t, a, sizeof(a)), seconds(timeout, b, sizeof(b)), when[i].say);
	}
}

static void check_networks(struct reader *r, const struct yaml_node *node, json_t *plan, const struct yaml_node *at)
{
	const struct yaml_node *devices = yaml_get(node, "devices");
	json_t *group;
	size_t i;

	check_network_times(r, yaml_get(node, "network"), json_object_get(plan, "network"), plan, at);
	json_array_foreach(json_object_get(plan, "groups"), i, group) {
		const char *name = json_string_value(json_object_get(group, "name"));
		const struct yaml_node *own = name ? yaml_get(devices, name) : NULL;

		check_network_times(r, yaml_get(own ? own : devices, "network"), json_object_get(group, "network"), plan, at);
	}
}

void scenario_whole(struct reader *r, const struct yaml_node *node, json_t *plan)
{
	const struct yaml_node *at = yaml_get(node, "timeout"), *faults = yaml_get(node, "faults");
	size_t n = 0;

	if (!at)
		at = yaml_get(node, "name"); /* the default is fine, this scenario is not */
	if (!at)
		at = node;
	check_keys(r, yaml_get(node, "name") ? yaml_get(node, "name") : node, node, plan);
	if (json_object_get(plan, "xfail") && json_object_get(plan, "quarantine"))
		diag_error(r->ds, r->src, yaml_get(node, "quarantine")->at, NULL,
			   "'xfail' says that it fails, 'quarantine' that nobody knows: one of them");
	scenario_many(r, node, plan);
	check_timeout(r, at, plan);
	check_waits(r, yaml_get(node, "steps"), plan);
	check_code_wait(r, yaml_get(node, "faults"), plan);
	check_fault_times(r, faults, plan, 0);
	check_second_halves(r, faults, plan);
	check_networks(r, node, plan, at);
	for (const struct yaml_item *i = faults && faults->kind == YAML_KIND_LIST ? faults->first : NULL; i; i = i->next)
		n++;
	check_fault_times(r, yaml_get(node, "answers"), plan, n);
}
