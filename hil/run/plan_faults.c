#include "hil/run/plan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is due later: a heap by (time, order) ---- */

static bool before(const struct plan_later *a, const struct plan_later *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

int plan_later_add(struct plan *p, const struct plan_later *l)
{
	size_t i;

	if (p->later_n == p->later_cap) {
		size_t cap = p->later_cap ? 2 * p->later_cap : 16;
		struct plan_later *more = realloc(p->later, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		p->later = more;
		p->later_cap = cap;
	}
	i = p->later_n++;
	p->later[i] = *l;
	p->later[i].order = p->order++;
	while (i && before(&p->later[i], &p->later[(i - 1) / 2])) {
		struct plan_later t = p->later[i];

		p->later[i] = p->later[(i - 1) / 2];
		p->later[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
	return 0;
}

bool plan_later_due(struct plan *p, time_ns now, struct plan_later *out)
{
	size_t i = 0, c;

	if (!p->later_n || p->later[0].at > now)
		return false;
	*out = p->later[0];
	p->later[0] = p->later[--p->later_n];
	while ((c = 2 * i + 1) < p->later_n) {
		struct plan_later t;

		if (c + 1 < p->later_n && before(&p->later[c + 1], &p->later[c]))
			c++;
		if (!before(&p->later[c], &p->later[i]))
			break;
		t = p->later[i];
		p->later[i] = p->later[c];
		p->later[c] = t;
		i = c;
	}
	return true;
}

/* ---- arming ---- */

static const struct {
	const char *prefix;
	enum plan_actor where;
} rooms[] = {
	{"device.", PLAN_FLEET},    {"tokens.", PLAN_FLEET},	   {"handshake.", PLAN_FLEET},
	{"conn.path", PLAN_SERVER}, {"conn.", PLAN_FLEET},	    {"net.", PLAN_FLEET},	   {"server.", PLAN_SERVER},
	{"key.", PLAN_SERVER},      {"code.", PLAN_SERVER},	    {"token.", PLAN_SERVER},	   {"sms.queued", PLAN_SERVER},
	{"operator", PLAN_SERVER},  {"command.", PLAN_SERVER},	   {"sms.submitted", PLAN_CARRIER},
	{"sms.lost", PLAN_CARRIER}, {"modem.state", PLAN_CARRIER}, {"sms.", PLAN_POOL},
};

static int room_of(const char *event)
{
	for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
		if (strncmp(event, rooms[i].prefix, strlen(rooms[i].prefix)) == 0)
			return (int)rooms[i].where;
	return -1;
}

/* The name under which a fault is armed: an actor that many scenarios share must
 * be able to tell them apart. */
static void fault_full_name(const struct plan *p, const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s:%s", p->id, name);
}

/* `restart` is a kill with a start behind it: the engine holds the second half. */
static const char *armed_action(const char *what)
{
	if (strcmp(what, "restart") == 0)
		return "kill";
	if (strcmp(what, "power_cycle") == 0)
		return "power_cut";
	return what;
}

static json_int_t fired_times(json_t *fault)
{
	return json_integer_value(json_object_get(fault, "fired"));
}

/* Does an actor hold it, for an event or a crash point? Else its time comes. */
static bool is_armed(json_t *fault)
{
	return json_object_get(fault, "on") || strcmp(json_string_value(json_object_get(fault, "do")), "crash") == 0;
}

/* Where it is armed: enum plan_actor, -1 nowhere. */
static int room_of_fault(json_t *fault)
{
	const char *on = json_string_value(json_object_get(fault, "on"));

	return on ? room_of(on) : is_armed(fault) ? (int)PLAN_SERVER : -1;
}

/* May it fire (again)? */
static bool may_fire(json_t *fault)
{
	json_t *times = json_object_get(fault, "times");

	if (times)
		return fired_times(fault) < json_integer_value(times);
	return !fired_times(fault) || json_is_true(json_object_get(fault, "each"));
}

/* Takes nothing: `value` is shared. */
static void add_match(json_t *spec, const char *field, json_t *value)
{
	json_t *match = json_copy(json_object_get(spec, "match"));

	if (!match)
		match = json_object();
	json_object_set(match, field, value);
	json_object_set_new(spec, "match", match);
}

/* At the prompt there is no SMS yet: the event is the modem's own. */
static bool at_prompt(json_t *fault)
{
	const char *where = json_string_value(json_object_get(json_object_get(fault, "args"), "at"));

	return where && strcmp(where, "prompt") == 0;
}

/* The scenario's, whichever process draws; another one with each server, which would
 * else begin with the draws of the one before. */
static uint64_t fault_seed(const struct plan *p, enum plan_actor where)
{
	return plan_seed(p) + (where == PLAN_SERVER ? p->starts : 0);
}

static int arm_event(struct plan *p, const struct instant *at, json_t *fault, struct err *e)
{
	static const char *const same[] = {"match", "nth", "each", "chance"};
	json_int_t zero = (json_int_t)(p->started ? p->started : at->now);
	const char *name = json_string_value(json_object_get(fault, "name"));
	const char *on = json_string_value(json_object_get(fault, "on"));
	const char *what = json_string_value(json_object_get(fault, "do"));
	json_t *spec, *who = json_object_get(fault, "who"), *v, *sending;
	char full[256];
	int where = room_of_fault(fault), rv;

	if (where < 0)
		return err_set(e, ERR_UNSUPPORTED, "fault '%s': no fault can be armed on '%s'", name, on);
	fault_full_name(p, name, full, sizeof(full));
	spec = json_pack("{s:s, s:I, s:s*, s:O*, s:s, s:O?}", "name", full, "seed",
			 (json_int_t)fault_seed(p, (enum plan_actor)where), "on", on, "at",
			 strcmp(what, "crash") == 0 ? json_object_get(json_object_get(fault, "args"), "at") : NULL, "do",
			 armed_action(what), "args", json_object_get(fault, "args"));
	if (!spec)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if ((v = json_object_get(fault, same[i])))
			json_object_set(spec, same[i], v);
	if (json_object_get(fault, "while"))
		json_object_set_new(spec, "gated", json_true());
	if (json_object_get(who, "modem"))
		add_match(spec, "modem", json_object_get(who, "modem"));
	if (on && strcmp(on, "sms.submitted") == 0 && at_prompt(fault)) {
		json_object_set_new(spec, "on", json_string("modem.state"));
		json_object_del(spec, "dev");
		sending = json_string("sending");
		add_match(spec, "state", sending);
		json_decref(sending);
		where = PLAN_CARRIER;
	}
	if ((v = json_object_get(fault, "times")))
		json_object_set_new(spec, "times", json_integer(json_integer_value(v) - fired_times(fault)));
	/* windows count from the scenario's start, the journal from the world's */
	if ((v = json_object_get(fault, "from_ns")))
		json_object_set_new(spec, "from_ns", json_integer(json_integer_value(v) + zero));
	if ((v = json_object_get(fault, "until_ns")))
		json_object_set_new(spec, "until_ns", json_integer(json_integer_value(v) + zero));
	/* carrier and pool serve every scenario of a live run: always say whose SMS */
	if (who ? !json_object_get(who, "server") && !json_object_get(who, "modem")
		: where == PLAN_CARRIER || where == PLAN_POOL)
		if (strcmp(on, "modem.state") != 0)
			json_object_set_new(spec, "dev", plan_uuids(p, who));
	rv = p->rig.arm(p->rig.ctx, (enum plan_actor)where, spec, e);
	if (!rv)
		JOURNAL(p->journal, at->now, "runner", NULL, NULL, NULL, J_FAULT_ARMED, JS(NAME, full));
	json_decref(spec);
	return rv;
}

int plan_arm_server_again(struct plan *p, const struct instant *at, struct err *e)
{
	size_t i;
	json_t *fault;

	p->starts++;
	json_array_foreach(json_object_get(p->json, "faults"), i, fault)
	{
		int rv = room_of_fault(fault) == PLAN_SERVER && may_fire(fault) ? arm_event(p, at, fault, e) : 0;

		if (rv)
			return rv;
	}
	return 0;
}

int plan_arm_faults(struct plan *p, const struct instant *at, struct err *e)
{
	size_t i;
	json_t *fault;

	json_array_foreach(json_object_get(p->json, "faults"), i, fault)
	{
		int rv = is_armed(fault) ? arm_event(p, at, fault, e) : 0;

		if (rv)
			return rv;
	}
	return 0;
}

void plan_arm_timed(struct plan *p, const struct instant *at)
{
	size_t i;
	json_t *fault;

	json_array_foreach(json_object_get(p->json, "faults"), i, fault)
	{
		json_t *every = json_object_get(fault, "every_ns"), *when = json_object_get(fault, "at_ns");
		json_t *times = json_object_get(fault, "times");
		struct plan_later l = {.index = -1,
				       .what = json_string_value(json_object_get(fault, "do")),
				       .args = json_object_get(fault, "args"),
				       .who = json_object_get(fault, "who"),
				       .every = (time_ns)json_integer_value(every),
				       .times = times ? json_integer_value(times) : INT64_MAX,
				       .fault = fault};

		if (is_armed(fault))
			continue;
		l.at = at->now + (time_ns)json_integer_value(when ? when : every);
		plan_later_add(p, &l);
	}
}

/* ---- what follows a fault that fired ---- */

static void follow_then(struct plan *p, const struct instant *at, json_t *fault, int index)
{
	json_t *then = json_object_get(fault, "then");
	struct plan_later l = {.who = json_object_get(fault, "who"), .index = index};

	if (!then)
		return;
	l.at = at->now + (time_ns)json_integer_value(json_object_get(then, "after_ns"));
	l.what = json_string_value(json_object_get(then, "do"));
	l.args = json_object_get(then, "args");
	plan_later_add(p, &l);
}

void plan_timed_fired(struct plan *p, const struct instant *at, json_t *fault)
{
	char full[256];

	fault_full_name(p, json_string_value(json_object_get(fault, "name")), full, sizeof(full));
	JOURNAL(p->journal, at->now, "runner", NULL, NULL, NULL, J_FAULT_FIRED, JS(NAME, full), JS(WHY, "time"));
	follow_then(p, at, fault, -1);
}

static void follow(struct plan *p, const struct instant *at, json_t *fault, int index)
{
	const char *what = json_string_value(json_object_get(fault, "do"));
	json_t *args = json_object_get(fault, "args");
	struct plan_later l = {.at = at->now, .who = json_object_get(fault, "who"), .index = index};
	enum plan_net_do net;

	if (strcmp(what, "restart") == 0) {
		l.what = "server_start";
		l.at += (time_ns)json_integer_value(json_object_get(args, "after_ns"));
		plan_later_add(p, &l);
	} else if (strcmp(what, "power_cycle") == 0) {
		l.what = "power_on";
		l.at += (time_ns)json_integer_value(json_object_get(args, "off_ns"));
		plan_later_add(p, &l);
	} else if (plan_net_action(what, &net)) {
		/* no actor holds a link: the rig that carries the event's effects does */
		l.what = what;
		l.args = args;
		l.at += (time_ns)json_integer_value(json_object_get(args, "after_ns"));
		plan_later_add(p, &l);
	}
	follow_then(p, at, fault, index);
}

static void fired(json_t *fault)
{
	json_object_set_new(fault, "fired", json_integer(fired_times(fault) + 1));
}

static int find_device(const struct plan *p, const char *uuid)
{
	json_t *at = uuid ? json_object_get(p->by_uuid, uuid) : NULL;

	return at ? (int)json_integer_value(at) : -1;
}

struct holding {
	enum state_name state;
	bool holds;
};

static void hold(struct plan *p, unsigned index, void *arg)
{
	struct holding *h = arg;

	h->holds = h->holds && p->devices[index].state == h->state;
}

bool plan_while_holds(struct plan *p, json_t *fault, int index)
{
	json_t *held = json_object_get(fault, "while"), *who = json_object_get(held, "who");
	const char *state = json_string_value(json_object_get(held, "state"));
	struct holding h = {.state = STATE_COUNT, .holds = true};

	if (!held)
		return true;
	if (state && state_by_name(state) >= 0)
		h.state = (enum state_name)state_by_name(state);
	if (who)
		plan_each(p, who, hold, &h);
	else if (index >= 0)
		hold(p, (unsigned)index, &h);
	else
		return false; /* nobody is meant */
	return h.holds;
}

bool plan_may_fire(void *plan, const char *name, const char *dev)
{
	struct plan *p = plan;
	char full[256];
	size_t i;
	json_t *fault;

	json_array_foreach(json_object_get(p->json, "faults"), i, fault)
	{
		fault_full_name(p, json_string_value(json_object_get(fault, "name")), full, sizeof(full));
		if (strcmp(full, name) == 0)
			return plan_while_holds(p, fault, find_device(p, dev));
	}
	return false;
}

static bool kills(json_t *fault)
{
	const char *what = json_string_value(json_object_get(fault, "do"));

	return strcmp(what, "kill") == 0 || strcmp(what, "crash") == 0 || strcmp(what, "restart") == 0;
}

bool plan_line_waits(json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	return !what || strcmp(what, "disk") != 0;
}

int64_t plan_server_clock(const struct plan *p)
{
	return p->server_clock_ms;
}

bool plan_server_doomed(const struct plan *p)
{
	return p->death_told;
}

/* What the server has done to itself already: the next one must know of its clock. */
static void note_machine(struct plan *p, json_t *fault)
{
	const char *what = json_string_value(json_object_get(fault, "do"));

	if (room_of_fault(fault) != (int)PLAN_SERVER)
		return;
	if (strcmp(what, "clock_step") == 0)
		p->server_clock_ms += json_integer_value(json_object_get(json_object_get(fault, "args"), "by_ms"));
	if (strncmp(what, "disk_", 5) == 0)
		p->disk_told = true;
}

void plan_fault_fired(struct plan *p, const struct instant *at, const char *name, const char *dev)
{
	char full[256];
	size_t i;
	json_t *fault;

	json_array_foreach(json_object_get(p->json, "faults"), i, fault)
	{
		fault_full_name(p, json_string_value(json_object_get(fault, "name")), full, sizeof(full));
		if (strcmp(full, name) == 0) {
			if (!is_armed(fault))
				return; /* a timed one: followed when it was due */
			fired(fault);
			note_machine(p, fault);
			p->death_told = p->death_told || kills(fault) ||
					strcmp(json_string_value(json_object_get(fault, "do")), "stop") == 0;
			follow(p, at, fault, find_device(p, dev));
			return;
		}
	}
}

void plan_server_ended(struct plan *p)
{
	p->death_told = p->disk_told = false;
}

void plan_server_died(struct plan *p, const struct instant *at)
{
	size_t i;
	json_t *fault;

	bool known = p->death_told || p->disk_told;

	plan_server_ended(p);
	if (known)
		return;
	/* the line that told of the fault died with it */
	json_array_foreach(json_object_get(p->json, "faults"), i, fault)
	{
		if (!is_armed(fault) || !kills(fault) || !may_fire(fault))
			continue;
		fired(fault);
		follow(p, at, fault, -1);
		return;
	}
}

/* ---- acting ---- */

struct act {
	const struct instant *at;
	const char *what;
	json_t *args;
};

static void operate(struct plan *p, const struct act *a, unsigned index)
{
	json_t *req = json_pack("{s:s, s:s}", "do", a->what, "uuid", p->devices[index].identity.uuid);
	json_t *command = json_object_get(a->args, "command");

	/* an id of its own: a rig whose server died before it answered asks again */
	if (req && command) {
		char id[24];

		snprintf(id, sizeof(id), "op-%u", ++p->operated);
		json_object_set(req, "command", command);
		json_object_set_new(req, "id", json_string(id));
	}
	if (req)
		p->rig.operate(p->rig.ctx, a->at, req);
	json_decref(req);
}

/* What is asked of the server as a whole. */
static bool act_fleetwide(struct plan *p, const struct instant *at, const char *what)
{
	static const struct {
		const char *what, *verb, *kid;
	} all[] = {
		{"clock_accept", "clock-accept", NULL},
		{"rotate_key", "rotate-key", NULL}, /* the rig adds the key */
		{"retire_keys", "retire-key", "others"},
	};
	json_t *req;
	size_t i = 0;

	while (i < sizeof(all) / sizeof(all[0]) && strcmp(all[i].what, what) != 0)
		i++;
	if (i == sizeof(all) / sizeof(all[0]))
		return false;
	req = json_pack("{s:s, s:s*}", "do", all[i].verb, "kid", all[i].kid);
	if (req)
		p->rig.operate(p->rig.ctx, at, req);
	json_decref(req);
	return true;
}

bool plan_net_action(const char *name, enum plan_net_do *what)
{
	static const char *const names[] = {[PLAN_NET_BLACKHOLE] = "blackhole",
					    [PLAN_NET_DROP] = "drop",
					    [PLAN_NET_REBIND_PORT] = "rebind_port",
					    [PLAN_NET_REBIND_ADDRESS] = "rebind_address"};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0) {
			*what = (enum plan_net_do)i;
			return true;
		}
	return false;
}

static uint64_t mask_of(json_t *numbers)
{
	uint64_t mask = 0;
	size_t i;
	json_t *n;

	json_array_foreach(numbers, i, n) {
		json_int_t k = json_integer_value(n);

		if (k >= 1 && k <= 64)
			mask |= UINT64_C(1) << (k - 1);
	}
	return mask;
}

static void act_net(struct plan *p, unsigned index, const struct act *a, enum plan_net_do what)
{
	struct plan_net net = {.what = what,
			       .length = (time_ns)json_integer_value(json_object_get(a->args, "length_ns")),
			       .up = mask_of(json_object_get(a->args, "up")),
			       .down = mask_of(json_object_get(a->args, "down"))};

	if (p->rig.net)
		p->rig.net(p->rig.ctx, a->at, index, &net);
}

/* The trouble that an action makes; DISK_SOUND: it is none of these. */
static enum disk_trouble disk_of(const char *what, json_t *args)
{
	const char *kind = json_string_value(json_object_get(args, "what"));
	int t = strcmp(what, "disk_full") == 0 ? DISK_FULL
		: strcmp(what, "disk_error") == 0 && kind ? disk_trouble_by_name(kind)
							  : DISK_SOUND;

	return t < 0 ? DISK_SOUND : (enum disk_trouble)t;
}

/* Disk and clock of a device. */
static bool act_machine(struct plan *p, unsigned index, const struct act *a)
{
	enum disk_trouble t = disk_of(a->what, a->args);
	json_t *length = json_object_get(a->args, "length_ns");

	if (t && p->rig.disk)
		p->rig.disk(p->rig.ctx, a->at, index, t, length ? (time_ns)json_integer_value(length) : TIME_NEVER);
	else if (strcmp(a->what, "clock_step") == 0 && p->rig.clock)
		p->rig.clock(p->rig.ctx, a->at, index, json_integer_value(json_object_get(a->args, "by_ms")));
	return t || strcmp(a->what, "clock_step") == 0;
}

static void act_device(struct plan *p, unsigned index, void *arg)
{
	const struct act *a = arg;
	enum plan_net_do net;

	if (plan_net_action(a->what, &net)) {
		act_net(p, index, a, net);
	} else if (act_machine(p, index, a)) {
		return;
	} else if (strcmp(a->what, "power_on") == 0) {
		p->devices[index].entered = true;
		p->rig.power(p->rig.ctx, a->at, index, true);
	} else if (strcmp(a->what, "power_off") == 0 || strcmp(a->what, "power_cut") == 0) {
		p->rig.power(p->rig.ctx, a->at, index, false);
	} else if (strcmp(a->what, "power_cycle") == 0) {
		struct plan_later on = {.what = "power_on", .index = (int)index, .at = a->at->now};

		on.at += (time_ns)json_integer_value(json_object_get(a->args, "off_ns"));
		p->rig.power(p->rig.ctx, a->at, index, false);
		plan_later_add(p, &on);
	} else if (strcmp(a->what, "drop_connection") == 0) {
		p->rig.drop(p->rig.ctx, a->at, index);
	} else {
		operate(p, a, index);
	}
}

static bool act_server(struct plan *p, const struct instant *at, const char *what, json_t *args)
{
	struct plan_later start = {.what = "server_start", .index = -1, .at = at->now};
	json_t *off = json_object_get(args, "off_ns");

	if (strcmp(what, "server_start") == 0 || strcmp(what, "start") == 0) {
		p->rig.server(p->rig.ctx, at, PLAN_SERVER_START);
	} else if (strcmp(what, "server_stop") == 0 || strcmp(what, "stop") == 0) {
		p->rig.server(p->rig.ctx, at, PLAN_SERVER_STOP);
	} else if (strcmp(what, "server_kill") == 0 || strcmp(what, "kill") == 0) {
		p->rig.server(p->rig.ctx, at, PLAN_SERVER_KILL);
	} else if (strcmp(what, "server_restart") == 0 || strcmp(what, "restart") == 0) {
		if (!off)
			off = json_object_get(args, "after_ns");
		p->rig.server(p->rig.ctx, at, PLAN_SERVER_KILL);
		start.at += (time_ns)json_integer_value(off);
		plan_later_add(p, &start);
	} else {
		return false;
	}
	return true;
}

/* Disk and clock of the server, by a control line: the clock's whole offset, so that it does
 * not matter whether this server or the next one reads it. */
static void act_server_machine(struct plan *p, const struct instant *at, const char *what, json_t *args)
{
	enum disk_trouble t = disk_of(what, args);
	json_t *line;

	if (t) {
		p->disk_told = true;
		line = json_pack("{s:s, s:s, s:O*}", "do", "disk", "what",
				 t == DISK_FULL ? "full" : json_string_value(json_object_get(args, "what")), "for_ns",
				 json_object_get(args, "length_ns"));
	} else {
		p->server_clock_ms += json_integer_value(json_object_get(args, "by_ms"));
		line = json_pack("{s:s, s:I}", "do", "clock-offset", "ms", (json_int_t)p->server_clock_ms);
	}
	if (line)
		p->rig.operate(p->rig.ctx, at, line);
	json_decref(line);
}

void plan_act(struct plan *p, const struct instant *at, const char *what, json_t *args, json_t *who,
	      int index)
{
	const char *modem = json_string_value(json_object_get(who, "modem"));
	struct act a = {at, what, args};

	if (modem) {
		p->rig.modem(p->rig.ctx, at, modem, what, args);
		return;
	}
	if (act_server(p, at, what, args) || act_fleetwide(p, at, what))
		return;
	if (json_object_get(who, "server") && (disk_of(what, args) || strcmp(what, "clock_step") == 0)) {
		act_server_machine(p, at, what, args);
		return;
	}
	if (index >= 0)
		act_device(p, (unsigned)index, &a);
	else
		plan_each(p, who, act_device, &a);
}
