#include "hil/run/lift.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/run/lift_int.h"

#define NOTE_MAX 512 /* bytes of a note: names and labels are short */

void lift_note(struct lift *l, const char *fmt, ...)
{
	va_list ap;

	if (l->out->notes.len > LIFT_NOTES_MAX - NOTE_MAX) {
		l->out->notes_more++;
		return;
	}
	va_start(ap, fmt);
	buf_vprintf(&l->out->notes, fmt, ap);
	va_end(ap);
	buf_puts(&l->out->notes, "\n");
}

json_t *lift_add(struct lift *l, const struct lift_device *d, const char *on, uint64_t nth, const char *what, json_t *args)
{
	json_t *f = json_pack("{s:s, s:s, s:o}", "on", on, "do", what, "args", args ? args : json_object());
	const char *bracket = strchr(d->label, '[');

	if (nth > 1)
		json_object_set_new(f, "nth", json_integer((json_int_t)nth));
	if (bracket)
		json_object_set_new(f, "who",
				    json_pack("{s:s%, s:I}", "group", d->label, (size_t)(bracket - d->label), "index",
					      (json_int_t)atoll(bracket + 1)));
	if (json_array_append_new(l->faults, f))
		return NULL;
	l->out->added++;
	return f;
}

/* ---- the scenario's own faults ---- */

/* "suite/name:f1" of a fault.fired → the plan's fault; NULL where it is none of it. */
static json_t *planned(const struct lift *l, const char *full)
{
	size_t i, len = strlen(l->r->id);
	json_t *f;

	if (strncmp(full, l->r->id, len) != 0 || full[len] != ':')
		return NULL;
	json_array_foreach(json_object_get(l->r->plan, "faults"), i, f)
	{
		const char *name = json_string_value(json_object_get(f, "name"));

		if (name && strcmp(name, full + len + 1) == 0)
			return f;
	}
	return NULL;
}

bool lift_is_chance(json_t *fault)
{
	json_t *chance = json_object_get(fault, "chance");

	return chance && json_number_value(chance) < 1;
}

json_t *lift_fired(const struct lift *l, size_t i)
{
	const struct journal_event *ev = tape_at(l->r->tape, i), *next;

	/* the fired fault stands behind its event, by the same writer at the same instant */
	for (size_t k = i + 1; k < tape_count(l->r->tape); k++) {
		next = tape_at(l->r->tape, k);
		if (next->t != ev->t || (next->kind == ev->kind && lift_same(next->dev, ev->dev)))
			return NULL;
		if (next->kind == J_FAULT_FIRED && lift_same(next->dev, ev->dev) &&
		    strcmp(journal_text(next, JF_WHY), journal_kind_name(ev->kind)) == 0)
			return planned(l, journal_text(next, JF_NAME));
	}
	return NULL;
}

static bool matches(json_t *match, const struct journal_event *ev)
{
	const char *name;
	json_t *want;

	json_object_foreach(match, name, want)
	{
		int f = journal_field_by_name(name);

		if (f < 0)
			return false;
		if (json_is_string(want) && strcmp(journal_text(ev, (enum journal_field)f), json_string_value(want)) != 0)
			return false;
		if (json_is_integer(want) && journal_int(ev, (enum journal_field)f, INT64_MIN) != json_integer_value(want))
			return false;
	}
	return true;
}

/* A fault of chance that fired at event `i` for device `d`: there and nowhere else. */
static void pin(struct lift *l, const struct lift_device *d, json_t *fault, size_t i)
{
	const char *on = json_string_value(json_object_get(fault, "on"));
	const char *what = json_string_value(json_object_get(fault, "do"));
	json_t *match = json_object_get(fault, "match"), *then = json_object_get(fault, "then"), *f;
	enum journal_kind kind = tape_at(l->r->tape, i)->kind;
	uint64_t nth = 1, number = 1;

	for (size_t k = 0; k < i; k++) {
		const struct journal_event *ev = tape_at(l->r->tape, k);

		if (ev->kind != kind || !lift_same(ev->dev, d->uuid) || !matches(match, ev))
			continue;
		number++;
		nth += !lift_fired(l, k);
	}
	f = lift_add(l, d, on, nth, what, json_deep_copy(json_object_get(fault, "args")));
	if (match)
		json_object_set_new(f, "match", json_deep_copy(match));
	if (then)
		json_object_set_new(f, "then", json_deep_copy(then));
	lift_note(l, "%s: '%s' fired by chance at its %s no. %" PRIu64, d->label,
		  json_string_value(json_object_get(fault, "name")), on, number);
}

static void pin_all(struct lift *l, const struct lift_device *d)
{
	for (size_t i = 0; i < tape_count(l->r->tape); i++) {
		const struct journal_event *ev = tape_at(l->r->tape, i);
		json_t *fault = lift_same(ev->dev, d->uuid) && ev->kind != J_SMS_SUBMITTED ? lift_fired(l, i) : NULL;

		if (fault && lift_is_chance(fault))
			pin(l, d, fault, i);
	}
}

static void keep_own(struct lift *l)
{
	size_t i;
	json_t *f;

	json_array_foreach(json_object_get(l->r->plan, "faults"), i, f)
	{
		if (lift_is_chance(f))
			continue;
		json_array_append_new(l->faults, json_deep_copy(f));
		l->out->own++;
	}
}

/* ---- the server ---- */

/* Does the scenario itself take the server down? */
static bool downs_planned(const struct lift *l)
{
	static const char *const words[] = {"server_kill", "server_stop", "server_restart", "kill", "crash", "stop", "restart"};
	static const char *const lists[] = {"steps", "faults"};
	json_t *part;
	size_t i;

	for (size_t k = 0; k < 2; k++) {
		json_array_foreach(json_object_get(l->r->plan, lists[k]), i, part)
		{
			const char *what = json_string_value(json_object_get(part, "do"));

			for (size_t w = 0; what && w < sizeof(words) / sizeof(words[0]); w++)
				if (strcmp(what, words[w]) == 0)
					return true;
		}
	}
	return false;
}

static void outage(struct lift *l, time_ns from, time_ns to, const char *why)
{
	json_t *f = json_pack("{s:I, s:s, s:{}, s:{s:b}}", "at_ns", (json_int_t)lift_round(from), "do",
			      to == TIME_NEVER ? "kill" : "restart", "args", "who", "server", 1);

	if (to != TIME_NEVER)
		json_object_set_new(json_object_get(f, "args"), "after_ns", json_integer((json_int_t)lift_round(to - from)));
	json_array_append_new(l->faults, f);
	l->out->added++;
	lift_note(l, "the server went down by itself (%s)", why);
}

/* Times of outages, and faults for those that nobody asked for. */
static void read_server(struct lift *l)
{
	bool asked = downs_planned(l), down = false;
	time_ns since = 0;
	const char *why = "";

	for (size_t i = 0; i < tape_count(l->r->tape); i++) {
		const struct journal_event *ev = tape_at(l->r->tape, i);

		if (ev->kind == J_SCENARIO_END)
			break; /* it is taken down */
		if (ev->kind != J_SERVER_STATE)
			continue;
		if (strcmp(journal_text(ev, JF_STATE), "down") == 0) {
			if (!down)
				since = ev->t;
			down = true;
			why = journal_text(ev, JF_WHY)[0] ? journal_text(ev, JF_WHY) : why;
		} else if (down) {
			if (!asked)
				outage(l, since - l->start, ev->t - l->start, why);
			down = false;
		}
	}
	if (down && !asked)
		outage(l, since - l->start, TIME_NEVER, why);
}

bool lift_server_away(const struct lift *l, time_ns from, time_ns to)
{
	bool down = false;

	for (size_t i = 0; i < tape_count(l->r->tape); i++) {
		const struct journal_event *ev = tape_at(l->r->tape, i);

		if (ev->kind != J_SERVER_STATE || ev->t > to)
			continue;
		down = strcmp(journal_text(ev, JF_STATE), "down") == 0;
		if (down && ev->t >= from)
			return true;
		if (ev->t >= from)
			return false;
	}
	return down;
}

/* ---- requests ---- */

/* How a request ended: the row that it led to without an answer; "" where there was one. */
static const char *unanswered(const struct lift *l, size_t i, time_ns *until)
{
	const struct journal_event *asked = tape_at(l->r->tape, i);

	for (size_t k = i + 1; k < tape_count(l->r->tape); k++) {
		const struct journal_event *ev = tape_at(l->r->tape, k);
		const char *row = journal_text(ev, JF_ROW), *dot = strchr(row, '.');

		if (!lift_same(ev->dev, asked->dev))
			continue;
		*until = ev->t;
		if (ev->kind == J_DEVICE_REPLY && lift_same(ev->req, asked->req))
			return "";
		if (ev->kind == J_DEVICE_STATE && dot && (strcmp(dot, ".no_answer") == 0 || strcmp(dot, ".link_lost") == 0))
			return dot + 1;
		if (ev->kind == J_DEVICE_REQUEST || (dot && strcmp(dot, ".off") == 0))
			return "";
	}
	return "";
}

/* Did a fault of the scenario have to do with this request? */
static bool explained(const struct lift *l, size_t i, time_ns until)
{
	const struct journal_event *asked = tape_at(l->r->tape, i), *ev;

	for (size_t k = i; k < tape_count(l->r->tape) && (ev = tape_at(l->r->tape, k))->t <= until; k++)
		if (ev->kind == J_FAULT_FIRED && (!ev->dev || lift_same(ev->dev, asked->dev)) &&
		    strcmp(journal_text(ev, JF_WHY), "time") != 0)
			return true;
	return false;
}

/* The server's reply to a request, as an index of the tape; 0: it made none. */
static size_t reply_to(const struct lift *l, size_t i)
{
	const struct journal_event *asked = tape_at(l->r->tape, i);

	for (size_t k = i + 1; k < tape_count(l->r->tape); k++) {
		const struct journal_event *ev = tape_at(l->r->tape, k);

		if (ev->kind == J_SERVER_REPLY && lift_same(ev->dev, asked->dev) && lift_same(ev->req, asked->req))
			return k;
	}
	return 0;
}

static void read_requests(struct lift *l, const struct lift_device *d)
{
	uint64_t asked = 0, replied = 0; /* that no fault took */
	time_ns until = 0;

	for (size_t i = 0; i < tape_count(l->r->tape); i++) {
		const struct journal_event *ev = tape_at(l->r->tape, i);
		const char *how;
		bool own, replies;
		size_t reply;

		if (ev->kind != J_DEVICE_REQUEST || !lift_same(ev->dev, d->uuid))
			continue;
		how = unanswered(l, i, &until);
		own = how[0] && !explained(l, i, until);
		asked += !lift_fired(l, i);
		if (own && lift_server_away(l, ev->t, until))
			continue; /* that says it */
		/* where nothing was asked of it, the virtual server will reply */
		reply = reply_to(l, i);
		replies = reply ? !lift_fired(l, reply) : own;
		replied += replies;
		if (!own)
			continue;
		if (strcmp(how, "no_answer") == 0) {
			lift_add(l, d, "server.reply", replied--, "drop_reply", NULL);
			lift_note(l, "%s: no answer to its %s", d->label, journal_text(ev, JF_RESOURCE));
		} else {
			lift_add(l, d, "device.request", asked--, "drop_connection", NULL);
			replied -= replies;
			lift_note(l, "%s: the link was lost during its %s", d->label, journal_text(ev, JF_RESOURCE));
		}
	}
}

/* ---- all ---- */

/* "f3" is a place in a list, not a name. */
static void number_faults(struct lift *l)
{
	char name[24];
	size_t i;
	json_t *f;

	json_array_foreach(l->faults, i, f)
	{
		const char *was = json_string_value(json_object_get(f, "name"));

		if (was && !(was[0] == 'f' && was[1] && strspn(was + 1, "0123456789") == strlen(was + 1)))
			continue;
		snprintf(name, sizeof(name), "f%zu", i + 1);
		json_object_set_new(f, "name", json_string(name));
	}
}

static time_ns first_power_on(const struct recording *r)
{
	for (size_t i = 0; i < tape_count(r->tape); i++)
		if (tape_at(r->tape, i)->kind == J_DEVICE_STATE)
			return tape_at(r->tape, i)->t;
	return tape_at(r->tape, 0)->t;
}

static void for_the_virtual_rig(json_t *plan)
{
	json_t *tags = json_object_get(plan, "tags");

	json_object_set_new(plan, "rigs", json_pack("[s]", "virtual"));
	/* a model of the network would draw anew what is pinned here */
	json_object_set_new(plan, "carrier", json_string("immediate"));
	json_object_del(plan, "xfail");
	json_object_del(plan, "quarantine");
	json_object_del(plan, "skip");
	json_object_del(plan, "requires");
	json_array_append_new(tags, json_string("lifted"));
}

int lift(const struct recording *r, struct lifted *out, struct err *e)
{
	struct lift l = {.r = r, .out = out, .faults = json_array(), .start = first_power_on(r)};
	int rv = 0;

	memset(out, 0, sizeof(*out));
	buf_init(&out->notes, LIFT_NOTES_MAX);
	out->plan = json_deep_copy(r->plan);
	if (!out->plan || !l.faults) {
		json_decref(l.faults);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	for_the_virtual_rig(out->plan);
	keep_own(&l);
	read_server(&l);
	for (size_t i = 0; i < tape_count(r->tape) && !rv; i++) {
		const struct journal_event *ev = tape_at(r->tape, i);
		struct lift_device d = {ev->dev, journal_text(ev, JF_LABEL)};

		if (ev->kind != J_DEVICE_ADDED || !ev->dev)
			continue;
		rv = lift_sms(&l, &d);
		read_requests(&l, &d);
		pin_all(&l, &d);
	}
	number_faults(&l);
	json_object_set_new(out->plan, "faults", l.faults);
	return rv ? err_set(e, rv, "out of memory") : 0;
}

void lifted_fini(struct lifted *l)
{
	json_decref(l->plan);
	buf_fini(&l->notes);
	memset(l, 0, sizeof(*l));
}
