#include "hil/run/plan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/defect.h"
#include "core/hash.h"
#include "core/rng.h"

#define TOTP_SECRET_LEN 32 /* characters of base32: 160 bits, as RFC 4226 §4 recommends */

bool plan_settled(enum state_name s)
{
	return s == STATE_PV || s == STATE_PA || s == STATE_IDLE || s == STATE_OFF;
}

void plan_receiver_number(unsigned i, char out[MSISDN_MAX + 1])
{
	snprintf(out, MSISDN_MAX + 1, "+3469%07u", i + 1);
}

unsigned plan_receiver_of(const char *number)
{
	size_t len = strlen(number), prefix = strlen("+3469");

	return len > prefix ? (unsigned)strtoul(number + prefix, NULL, 10) - 1 : 0;
}

void plan_sender_number(unsigned i, char out[MSISDN_MAX + 1])
{
	snprintf(out, MSISDN_MAX + 1, "+3460%07u", i + 1);
}

/* A uuid of its own for each (seed, scenario, label): version 4 in form. */
static void make_uuid(const struct plan *p, const char *label, char out[UUID_LEN + 1])
{
	struct rng r;
	uint8_t b[16];
	char hex[33];

	rng_init(&r, p->seed, label, "uuid");
	rng_bytes(&r, b, sizeof(b));
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	hash_hex(b, sizeof(b), hex);
	snprintf(out, UUID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static void read_methods(json_t *list, const char *fallback, char out[REGISTRY_METHODS][9])
{
	size_t i;
	json_t *one;

	memset(out, 0, REGISTRY_METHODS * 9);
	if (!json_is_array(list)) {
		snprintf(out[0], 9, "%s", fallback);
		return;
	}
	json_array_foreach(list, i, one)
	{
		if (i < REGISTRY_METHODS && json_is_string(one))
			snprintf(out[i], 9, "%s", json_string_value(one));
	}
}

static void make_device(struct plan *p, json_t *group, unsigned g, unsigned k, struct plan_device *d)
{
	json_t *types = json_object_get(group, "type"), *known = json_object_get(group, "known");
	const char *type = "thermometer", *text;
	unsigned index = (unsigned)(d - p->devices);
	json_t *one;
	size_t i;

	if (json_array_size(types))
		type = json_string_value(json_array_get(types, k % json_array_size(types)));
	snprintf(d->label, sizeof(d->label), "%.32s[%u]", p->groups[g], k + 1);
	d->group = g;
	d->known = !json_is_false(known);
	d->registered_disabled = json_is_true(json_object_get(group, "disabled"));
	text = json_string_value(json_object_get(group, "connection"));
	d->hold = text && strcmp(text, "hold") == 0;
	text = json_string_value(json_object_get(group, "start"));
	d->start_off = text && strcmp(text, "off") == 0;
	d->accept_unsigned = json_is_true(json_object_get(group, "accept_unsigned"));
	json_array_foreach(json_object_get(group, "defects"), i, one)
		d->defects |= json_is_string(one) ? defect_by_name(json_string_value(one)) : 0;
	d->state = STATE_OFF;
	d->power_on_at = TIME_NEVER;
	make_uuid(p, d->label, d->identity.uuid);
	snprintf(d->identity.device_type, sizeof(d->identity.device_type), "%s", type ? type : "thermometer");
	snprintf(d->identity.serial_id, sizeof(d->identity.serial_id), "%010u", index + 1);
	snprintf(d->identity.network_type, sizeof(d->identity.network_type), "Mobile");
	snprintf(d->identity.network_id, sizeof(d->identity.network_id), "21401%010u", index + 1);
	if (p->rig.receivers)
		snprintf(d->identity.msisdn, sizeof(d->identity.msisdn), "%s",
			 p->rig.receivers[index % p->receivers]);
	else
		plan_receiver_number(index % p->receivers, d->identity.msisdn);
	read_methods(json_object_get(group, "registered"), "SMS", d->identity.methods);
	d->identity.disabled = d->registered_disabled;
	read_methods(json_object_get(group, "methods"), "SMS", d->methods);
}

/* A fault that fires names its device by uuid, perhaps once for each of the fleet. */
static int index_devices(struct plan *p, struct err *e)
{
	p->by_uuid = json_object();
	for (unsigned i = 0; i < p->count; i++)
		if (json_object_set_new(p->by_uuid, p->devices[i].identity.uuid, json_integer(i)))
			return err_set(e, ERR_NOMEM, "plan %s: out of memory for %u devices", p->id, p->count);
	return 0;
}

int plan_read_groups(struct plan *p, struct err *e)
{
	json_t *groups = json_object_get(p->json, "groups"), *group;
	unsigned total = 0, g;
	size_t i;

	json_array_foreach(groups, i, group)
	{
		json_int_t n = json_integer_value(json_object_get(group, "count"));

		if (i == PLAN_GROUPS_MAX)
			return err_set(e, ERR_LIMIT, "plan %s: more than %d groups", p->id, PLAN_GROUPS_MAX);
		if (n < 1 || n > 1000000)
			return err_set(e, ERR_PARSE, "plan %s: group count is 1…1,000,000", p->id);
		p->groups[i] = json_string_value(json_object_get(group, "name"));
		if (!p->groups[i])
			return err_set(e, ERR_PARSE, "plan %s: a group has no name", p->id);
		p->group_first[i] = total;
		total += (unsigned)n;
	}
	p->groups_n = (unsigned)json_array_size(groups);
	p->group_first[p->groups_n] = total;
	if (!total)
		return err_set(e, ERR_PARSE, "plan %s: no devices", p->id);
	p->devices = calloc(total, sizeof(*p->devices));
	p->arrive = calloc(total, sizeof(*p->arrive));
	p->final = calloc(total, sizeof(*p->final));
	if (!p->devices || !p->arrive || !p->final)
		return err_set(e, ERR_NOMEM, "plan %s: out of memory for %u devices", p->id, total);
	p->count = total;
	for (g = 0; g < p->groups_n; g++)
		for (unsigned k = p->group_first[g]; k < p->group_first[g + 1]; k++)
			make_device(p, json_array_get(groups, g), g, k - p->group_first[g], &p->devices[k]);
	return json_array_size(json_object_get(p->json, "faults")) ? index_devices(p, e) : 0;
}

char *plan_registry(const struct plan *p)
{
	struct registry_device *known = calloc(p->count, sizeof(*known));
	size_t n = 0;
	char *text;

	if (!known)
		return NULL;
	for (unsigned i = 0; i < p->count; i++)
		if (p->devices[i].known)
			known[n++] = p->devices[i].identity;
	text = registry_dump(known, n);
	free(known);
	return text;
}

static int group_by_name(const struct plan *p, const char *name)
{
	for (unsigned g = 0; g < p->groups_n; g++)
		if (strcmp(p->groups[g], name) == 0)
			return (int)g;
	return -1;
}

/* Does the plan name this device in a fault or a step? For `others`. */
static void mark(struct plan *p, unsigned index, void *arg)
{
	(void)p;
	((bool *)arg)[index] = true;
}

static void each_other(struct plan *p, void (*fn)(struct plan *, unsigned, void *), void *arg)
{
	static const char *const lists[] = {"faults", "steps"};
	bool *named = calloc(p->count, sizeof(*named));
	size_t i;
	json_t *part, *who;

	if (!named)
		return;
	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
		json_array_foreach(json_object_get(p->json, lists[l]), i, part)
		{
			who = json_object_get(part, "who");
			if (who && !json_object_get(who, "others") && !json_object_get(who, "all"))
				plan_each(p, who, mark, named);
		}
	}
	for (unsigned k = 0; k < p->count; k++)
		if (!named[k])
			fn(p, k, arg);
	free(named);
}

/* A share of a group: the same devices for the same seed. */
static void each_share(struct plan *p, int g, double ratio, void (*fn)(struct plan *, unsigned, void *),
		       void *arg)
{
	unsigned first = p->group_first[g], n = p->group_first[g + 1] - first;
	unsigned want = (unsigned)((double)n * ratio + 0.5);
	struct rng r;

	rng_init(&r, p->seed, p->groups[g], "share");
	/* selection sampling: each of n once, exactly `want` in all */
	for (unsigned k = 0; k < n && want; k++) {
		if (rng_below(&r, n - k) >= want)
			continue;
		fn(p, first + k, arg);
		want--;
	}
}

void plan_each(struct plan *p, json_t *who, void (*fn)(struct plan *, unsigned, void *), void *arg)
{
	const char *name = json_string_value(json_object_get(who, "group"));
	json_t *index = json_object_get(who, "index"), *ratio = json_object_get(who, "ratio");
	int g = name ? group_by_name(p, name) : -1;

	if (json_is_true(json_object_get(who, "others"))) {
		each_other(p, fn, arg);
		return;
	}
	if (name && g < 0)
		return;
	if (g < 0) {
		if (json_object_get(who, "server") || json_object_get(who, "modem"))
			return;
		for (unsigned k = 0; k < p->count; k++)
			fn(p, k, arg);
	} else if (json_is_integer(index)) {
		json_int_t i = json_integer_value(index);

		if (i >= 1 && i <= (json_int_t)(p->group_first[g + 1] - p->group_first[g]))
			fn(p, p->group_first[g] + (unsigned)i - 1, arg);
	} else if (json_is_number(ratio)) {
		each_share(p, g, json_number_value(ratio), fn, arg);
	} else {
		for (unsigned k = p->group_first[g]; k < p->group_first[g + 1]; k++)
			fn(p, k, arg);
	}
}

static void add_uuid(struct plan *p, unsigned index, void *arg)
{
	json_array_append_new(arg, json_string(p->devices[index].identity.uuid));
}

json_t *plan_uuids(struct plan *p, json_t *who)
{
	json_t *list = json_array();

	plan_each(p, who, add_uuid, list);
	return list;
}

/* ---- shares ---- */

struct telling {
	const struct instant *at;
	json_t *told; /* {"A:10%": true} */
	char name[80];
};

static void tell_member(struct plan *p, unsigned index, void *arg)
{
	struct telling *t = arg;
	struct plan_device *d = &p->devices[index];

	JOURNAL(p->journal, t->at->now, d->label, d->identity.uuid, NULL, NULL, J_DEVICE_CHOSEN, JS(NAME, t->name));
}

static void tell_share(struct plan *p, json_t *who, struct telling *t)
{
	const char *group = json_string_value(json_object_get(who, "group"));
	json_t *ratio = json_object_get(who, "ratio");

	if (!group || !json_is_number(ratio))
		return;
	snprintf(t->name, sizeof(t->name), "%.40s:%g%%", group, 100 * json_number_value(ratio));
	if (json_object_get(t->told, t->name))
		return;
	json_object_set_new(t->told, t->name, json_true());
	plan_each(p, who, tell_member, t);
}

void plan_tell_shares(struct plan *p, const struct instant *at)
{
	static const char *const lists[] = {"faults", "steps"};
	struct telling t = {.at = at, .told = json_object()};
	const char *key;
	json_t *part, *list;
	size_t i;

	for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++)
		json_array_foreach(json_object_get(p->json, lists[l]), i, part) {
			tell_share(p, json_object_get(part, "who"), &t);
			tell_share(p, json_object_get(json_object_get(part, "while"), "who"), &t);
		}
	json_object_foreach(json_object_get(p->json, "expect"), key, list)
		json_array_foreach(list, i, part)
			tell_share(p, json_object_get(part, "who"), &t);
	json_decref(t.told);
}

/* ---- the network ---- */

json_t *plan_network(const struct plan *p, unsigned group)
{
	json_t *own = json_object_get(json_array_get(json_object_get(p->json, "groups"), group), "network");

	return own ? own : json_object_get(p->json, "network");
}

time_ns plan_network_told(const struct plan *p)
{
	time_ns last = 0;

	for (unsigned g = 0; g < p->groups_n; g++) {
		json_t *network = plan_network(p, g), *dark = json_object_get(network, "blackhole");
		json_t *rebind = json_object_get(network, "rebind");
		time_ns over = time_add((time_ns)json_integer_value(json_object_get(dark, "at_ns")),
					(time_ns)json_integer_value(json_object_get(dark, "for_ns")));
		time_ns moved = (time_ns)json_integer_value(json_object_get(rebind, "after_ns"));

		last = over > last ? over : last;
		last = moved > last ? moved : last;
	}
	return last;
}

static bool any_net_action(json_t *list)
{
	enum plan_net_do what;
	size_t i;
	json_t *one;

	json_array_foreach(list, i, one)
	{
		const char *then = json_string_value(json_object_get(json_object_get(one, "then"), "do"));

		if (plan_net_action(json_string_value(json_object_get(one, "do")), &what) ||
		    (then && plan_net_action(then, &what)))
			return true;
	}
	return false;
}

bool plan_wants_links(const struct plan *p)
{
	for (unsigned g = 0; g < p->groups_n; g++)
		if (plan_network(p, g))
			return true;
	return any_net_action(json_object_get(p->json, "faults")) || any_net_action(p->steps);
}

void plan_draw_secrets(struct plan *p, struct secret_source *secret)
{
	static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint8_t raw[TOTP_SECRET_LEN];

	for (unsigned i = 0; i < p->count; i++) {
		struct registry_device *d = &p->devices[i].identity;

		for (unsigned m = 0; m < REGISTRY_METHODS; m++) {
			if (strcmp(d->methods[m], "TOTP") != 0)
				continue;
			secret_fill(secret, raw, sizeof(raw));
			for (unsigned k = 0; k < TOTP_SECRET_LEN; k++)
				d->totp_secret[k] = base32[raw[k] & 31];
			d->totp_secret[TOTP_SECRET_LEN] = '\0';
		}
	}
	explicit_bzero(raw, sizeof(raw));
}

static bool does(json_t *list, const char *what)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const char *now = json_string_value(json_object_get(one, "do"));
		const char *then = json_string_value(json_object_get(json_object_get(one, "then"), "do"));

		if ((now && strcmp(now, what) == 0) || (then && strcmp(then, what) == 0))
			return true;
	}
	return false;
}

bool plan_asks(const struct plan *p, const char *what)
{
	return does(p->steps, what) || does(json_object_get(p->json, "faults"), what);
}
