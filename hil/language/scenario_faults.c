/* faults: when, who, what. */
#include "hil/language/scenario_internal.h"

#include <stdio.h>
#include <string.h>

#include "core/smstext.h"
#include "core/time.h"
#include "hil/language/who.h"

#define EITHER (VOCAB_SERVER | VOCAB_DEVICE)
#define REORDER_NS (60 * NS_PER_S) /* within: where a file does not say */
#define FAULTS_MAX 1000 /* of a scenario, its answers among them */
#define DOWN_NS NS_PER_S /* off, after: where a file does not say */

/* ---- actions and their arguments ---- */

/* The place of an action's arguments, NULL where it has none. */
static const char *args_place(const struct vocab_action *a, char *out, size_t size)
{
	snprintf(out, size, "do.%s", a->name);
	for (size_t i = 0; i < vocab_keys_n; i++)
		if (vocab_at(&vocab_keys[i], out))
			return out;
	return NULL;
}

static const struct vocab_action *read_action(struct reader *r, const struct yaml_node *n)
{
	const struct vocab_action *a;
	struct vocab_near near;
	char hint[96];

	if (!read_is_word(r, n, "an action"))
		return NULL;
	a = vocab_action(n->text);
	if (a)
		return a;
	vocab_near_init(&near, n->text);
	for (size_t i = 0; i < vocab_actions_n; i++)
		vocab_near_offer(&near, vocab_actions[i].name);
	diag_error(r->ds, r->src, n->at, vocab_near_text(&near, hint, sizeof(hint)), "unknown action '%.60s'", n->text);
	return NULL;
}

static void default_args(struct reader *r, const struct vocab_action *a, json_t *args)
{
	if (strcmp(a->name, "duplicate") == 0 && !json_object_get(args, "times"))
		read_put(r, args, "times", json_integer(1));
	if (strcmp(a->name, "reorder") == 0 && !json_object_get(args, "within_ns"))
		read_put(r, args, "within_ns", json_integer((json_int_t)REORDER_NS));
	if (strcmp(a->name, "restart") == 0 && !json_object_get(args, "after_ns"))
		read_put(r, args, "after_ns", json_integer((json_int_t)DOWN_NS));
	if (strcmp(a->name, "power_cycle") == 0 && !json_object_get(args, "off_ns"))
		read_put(r, args, "off_ns", json_integer((json_int_t)DOWN_NS));
}

/* ---- match ---- */

static void match_resource(struct reader *r, const struct yaml_node *n)
{
	static const char words[] = "registerDevice login publishMeasure refreshToken other";
	struct vocab_near near;
	char word[64], hint[96];

	if (vocab_has(words, n->text))
		return;
	vocab_near_init(&near, n->text);
	vocab_near_words(&near, words, word, sizeof(word));
	if (!near.best && n->text[0] && strstr(words, n->text)) {
		/* the short name of one: "refresh" */
		const char *at = strstr(words, n->text);

		while (at > words && at[-1] != ' ')
			at--;
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(at, " "), at);
		near.best = word;
	}
	diag_error(r->ds, r->src, n->at, vocab_near_text(&near, hint, sizeof(hint)), "unknown resource '%.60s'", n->text);
}

/* What `from` and `to` of a change of state, and its row, can say at all. */
static void match_change(struct reader *r, const struct yaml_item *i, int field, json_t *out)
{
	const char *text = i->value->text, *state;
	struct vocab_near near;
	char hint[96];

	if (field != JF_ROW) {
		state = read_state(r, i->value);
		if (state)
			read_put(r, out, i->key->text, json_string(state));
		return;
	}
	read_put(r, out, i->key->text, json_string(text));
	vocab_near_init(&near, text);
	for (int row = 1; row < ROW_END; row++) {
		if (strcmp(row_id((enum row_name)row), text) == 0)
			return;
		vocab_near_offer(&near, row_id((enum row_name)row));
	}
	diag_error(r->ds, r->src, i->value->at, vocab_near_text(&near, hint, sizeof(hint)), "no row is called '%.60s'", text);
}

static void match_field(struct reader *r, const struct yaml_item *i, enum journal_kind kind, json_t *out)
{
	int field = journal_field_by_name(i->key->text);
	size_t len = strlen(i->value->text ? i->value->text : "");
	const char *text = i->value->text, *digits;

	if (field < 0 || !vocab_has(journal_kind_fields(kind), i->key->text)) {
		diag_error(r->ds, r->src, i->key->at, NULL, "%s has no field '%.60s' (it has: %s)", journal_kind_name(kind),
			   i->key->text, journal_kind_fields(kind));
		return;
	}
	if (!read_is_word(r, i->value, i->key->text))
		return;
	if (kind == J_DEVICE_STATE && (field == JF_FROM || field == JF_TO || field == JF_ROW)) {
		match_change(r, i, field, out);
		return;
	}
	if (journal_field_is_text((enum journal_field)field)) {
		if (field == JF_RESOURCE)
			match_resource(r, i->value);
		read_put(r, out, i->key->text, json_string(text));
		return;
	}
	digits = text + (*text == '-');
	len -= *text == '-';
	if (!len || len > 18 || strspn(digits, "0123456789") != len) {
		diag_error(r->ds, r->src, i->value->at, NULL, "field '%s' is a number, not '%.60s'", i->key->text, text);
		return;
	}
	read_put(r, out, i->key->text, json_integer(strtoll(text, NULL, 10)));
}

json_t *scenario_match(struct reader *r, const struct yaml_node *n, enum journal_kind kind)
{
	json_t *out = json_object();
	char what[80];

	if (n->kind != YAML_KIND_MAP) {
		diag_error(r->ds, r->src, n->at, "as in match: {resource: login}", "'match' wants a mapping, not %s",
			   yaml_describe(n, what, sizeof(what)));
		return out;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next)
		match_field(r, i, kind, out);
	return out;
}

/* ---- when ---- */

/* The next time that it is so late, counted from `start`. */
static void read_at_time(struct reader *r, const struct yaml_node *n, json_t *out)
{
	static const struct vocab_key row = {.key = "at", .type = VOCAB_TIME};
	const int64_t day = 86400 * (int64_t)NS_PER_S;
	json_t *time = read_value(r, n, &row);
	int64_t start;

	if (time && !r->start) {
		diag_error(r->ds, r->src, n->at, "as in start: \"00:00\"",
			   "'at' is a time of day, and the scenario does not say when it starts");
	} else if (time) {
		start = json_integer_value(r->start);
		read_put(r, out, "at_ns", json_integer((json_integer_value(time) - start + day) % day));
	}
	json_decref(time);
}

static void read_at(struct reader *r, const struct yaml_node *n, json_t *out)
{
	static const struct vocab_key row = {
		.key = "at", .type = VOCAB_DURATION, .example = "at: 90s"};
	json_t *v;

	if (n->kind == YAML_KIND_SCALAR && strchr(n->text, ':')) {
		read_at_time(r, n, out);
		return;
	}
	if (n->kind == YAML_KIND_SCALAR && journal_kind_by_name(n->text) >= 0) {
		diag_error(r->ds, r->src, n->at, NULL, "'at' is for a time; an event goes with 'on': write on: %s", n->text);
		return;
	}
	v = read_value(r, n, &row);
	if (v)
		read_put(r, out, "at_ns", v);
}

static void read_for(struct reader *r, const struct yaml_node *n, json_t *out)
{
	json_t *v = read_key(r, n, "fault", "for");
	json_int_t from = json_integer_value(json_object_get(out, "from_ns"));

	if (v && json_object_get(out, "until_ns"))
		diag_error(r->ds, r->src, n->at, NULL, "'for' and 'until' both say when it ends");
	else if (v)
		read_put(r, out, "until_ns", json_integer(from + json_integer_value(v)));
	json_decref(v);
}

void scenario_window(struct reader *r, const struct yaml_node *n, json_t *out)
{
	const struct yaml_node *length = yaml_get(n, "for");
	json_t *from, *until;

	if (length)
		read_for(r, length, out);
	from = json_object_get(out, "from_ns");
	until = json_object_get(out, "until_ns");
	if (from && until && json_integer_value(until) <= json_integer_value(from))
		diag_error(r->ds, r->src, n->at, NULL, "'until' is not behind 'from'");
}

/* `for` and `at` are an action's own where it has one: how long a blackhole lasts, the
 * point of a crash. */
static bool owns(const struct vocab_action *a, const char *key)
{
	char place[64];

	return args_place(a, place, sizeof(place)) && vocab_find(place, key);
}

static void read_own(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, const char *key,
		     json_t *args)
{
	const struct yaml_node *part = yaml_get(n, key);
	char place[64];
	json_t *v;

	if (!part || !owns(a, key))
		return;
	args_place(a, place, sizeof(place));
	v = read_key(r, part, place, key);
	if (v)
		read_put(r, args, vocab_find(place, key)->plan, v);
}

/* Keys that mean something only beside others. */
static void check_keys(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *f)
{
	static const char *const only_on[] = {"match", "nth", "each", "chance", "from", "until", "for"};
	bool on = yaml_get(n, "on"), every = yaml_get(n, "every"), each = yaml_get(n, "each");
	bool point = a->when & VOCAB_POINT, at = yaml_get(n, "at") && !point;
	const struct yaml_node *times = yaml_get(n, "times"), *nth = yaml_get(n, "nth");

	if (point && every)
		diag_error(r->ds, r->src, yaml_get(n, "every")->at, NULL, "'%s' waits for its point, not for a time", a->name);
	if (!on && !at && !every && !point)
		diag_error(r->ds, r->src, n->at, NULL, "a fault needs 'on', 'at' or 'every'");
	else if (on + at + every > 1)
		diag_error(r->ds, r->src, n->at, NULL, "a fault has one of 'on', 'at' and 'every'");
	for (size_t i = 0; i < sizeof(only_on) / sizeof(only_on[0]); i++)
		if (!on && yaml_get(n, only_on[i]) && !(point && strcmp(only_on[i], "match") != 0) &&
		    !(strcmp(only_on[i], "for") == 0 && owns(a, "for")))
			diag_error(r->ds, r->src, yaml_get(n, only_on[i])->at, NULL, "'%s' goes with 'on'", only_on[i]);
	if (!on && a->actor == VOCAB_NETWORK && yaml_get(n, "after"))
		diag_error(r->ds, r->src, yaml_get(n, "after")->at, NULL, "'after' goes with 'on'");
	if (json_object_get(f, "chance") && json_number_value(json_object_get(f, "chance")) <= 0)
		diag_error(r->ds, r->src, yaml_get(n, "chance")->at, NULL, "a chance of nothing: it never fires");
	if (nth && each)
		diag_error(r->ds, r->src, nth->at, NULL, "'nth' and 'each' exclude one another");
	if (times && !each && !every)
		diag_error(r->ds, r->src, times->at, NULL, "'times' goes with 'each' or 'every'");
	if (every && !times)
		diag_error(r->ds, r->src, yaml_get(n, "every")->at, NULL, "'every' needs 'times', else the scenario never ends");
}

/* ---- does the action fit its when and its who ---- */

static void check_event(struct reader *r, const struct yaml_node *n, const struct vocab_action *a,
			enum journal_kind kind)
{
	unsigned actor = vocab_event_actor(kind);
	const char *event = journal_kind_name(kind);

	if (a->actor == VOCAB_MODEM && (a->when & VOCAB_ON)) {
		if (kind != J_MODEM_STATE && (kind != J_SMS_SUBMITTED || (a->when & (VOCAB_PROMPT | VOCAB_RECEIVER)) ||
					      strcmp(a->name, "storage_full") == 0))
			diag_error(r->ds, r->src, n->at, NULL, "'%s' acts on modem.state%s, not on %s", a->name,
				   (a->when & (VOCAB_PROMPT | VOCAB_RECEIVER)) || strcmp(a->name, "storage_full") == 0
					   ? ""
					   : " or sms.submitted",
				   event);
	} else if (!(a->when & VOCAB_ON))
		diag_error(r->ds, r->src, n->at, "use 'at', 'every' or 'then'", "'%s' cannot be done at an event", a->name);
	else if (!actor)
		diag_error(r->ds, r->src, n->at, NULL, "no fault can be armed on %s", event);
	else if (a->actor == VOCAB_CARRIER && kind != J_SMS_SUBMITTED && kind != J_SMS_DELIVERED)
		diag_error(r->ds, r->src, n->at, NULL, "'%s' acts on sms.submitted or sms.delivered, not on %s", a->name, event);
	else if ((a->when & VOCAB_SENDER) && kind != J_SMS_SUBMITTED)
		diag_error(r->ds, r->src, n->at, NULL, "'%s' acts on sms.submitted, not on %s", a->name, event);
	else if ((a->when & VOCAB_REPLY) && kind != J_SERVER_REPLY && kind != J_SERVER_DECISION && kind != J_COMMAND_SENT)
		diag_error(r->ds, r->src, n->at, NULL, "'%s' acts on server.reply, not on %s", a->name, event);
	else if (a->actor == VOCAB_NETWORK && actor != VOCAB_DEVICE)
		diag_error(r->ds, r->src, n->at, NULL, "'%s' follows an event of a device, not %s", a->name, event);
	else if (!(actor & a->actor) && a->actor != VOCAB_NETWORK)
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is done by the %s, which does not write %s", a->name,
			   a->actor == EITHER ? "server or a device" : a->actor == VOCAB_SERVER ? "server" : "device", event);
}

void scenario_command_check(struct reader *r, const struct yaml_node *n, json_t *command)
{
	const char *name = json_string_value(json_object_get(command, "name"));
	bool pause = name && strcmp(name, "PAUSE") == 0, config = name && strcmp(name, "CONFIG") == 0;

	if (!name)
		return;
	if (pause != (json_object_get(command, "seconds") != NULL))
		diag_error(r->ds, r->src, n->at, "as in {name: PAUSE, seconds: 60}", pause ? "PAUSE needs 'seconds'" :
			   "'seconds' goes with PAUSE, not with %s", name);
	if (config != (json_object_get(command, "publishInterval") != NULL))
		diag_error(r->ds, r->src, n->at, "as in {name: CONFIG, publish_interval: 30}",
			   config ? "CONFIG needs 'publish_interval'" : "'publish_interval' goes with CONFIG, not with %s", name);
}

void scenario_disk_check(struct reader *r, const struct yaml_node *n, json_t *args)
{
	const char *what = json_string_value(json_object_get(args, "what"));

	if (what && strcmp(what, "sync") == 0 && json_object_get(args, "length_ns"))
		diag_error(r->ds, r->src, n->at, NULL, "one fsync fails, and then it is over: leave out 'for'");
}

/* A text that a device takes for no code makes it wait, where its author wants it to log in. */
static void check_code(struct reader *r, const struct yaml_node *with, const char *code)
{
	static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t len = strlen(code);

	if (len < CODE_LEN || len > CODE_LEN_MAX || strspn(code, letters) != len)
		diag_warn(r->ds, r->src, with->at, "as in with: \"AAAAAAAAAAAA\"",
			  "not %d to %d letters and digits: the device takes it for no code, and goes on waiting", CODE_LEN,
			  CODE_LEN_MAX);
}

static void check_args(struct reader *r, const struct yaml_node *map, const struct yaml_node *n,
		       const struct vocab_action *a, json_t *args)
{
	scenario_command_check(r, n, json_object_get(args, "command"));
	scenario_disk_check(r, n, args);
	if (json_object_get(args, "unsynced") && !yaml_get(map, "on"))
		diag_error(r->ds, r->src, yaml_get(map, "unsynced")->at, NULL, "'unsynced' goes with 'on': between two events everything is synced");
	if (strcmp(a->name, "drop") == 0 && !json_object_get(args, "up") && !json_object_get(args, "down"))
		diag_error(r->ds, r->src, n->at, "as in {at: 5s, do: drop, up: 1}", "'drop' wants 'up', 'down' or both");
	if (strcmp(a->name, "replace_code") == 0 && json_object_get(args, "with"))
		check_code(r, yaml_get(map, "with"), json_string_value(json_object_get(args, "with")));
	if (strcmp(a->name, "reply") == 0)
		scenario_reply(r, map, n, args);
}

/* Whose state a fault looks at must be known, and be a device's. */
static void check_while(struct reader *r, const struct yaml_node *n, json_t *f)
{
	json_t *held = json_object_get(f, "while");
	const struct yaml_node *node = yaml_get(n, "while"), *who = yaml_get(node, "who");

	if (held && who && !who_is_devices(json_object_get(held, "who")))
		diag_error(r->ds, r->src, who->at, NULL, "'while' is about devices, not '%s'", who->text);
	else if (held && !who && !yaml_get(n, "on"))
		diag_error(r->ds, r->src, node->at, "as in while: {who: A, is: PROVISIONED}",
			   "without an event 'while' needs to say who");
}

/* No device of it, nor a modem: the server as a whole. */
static bool befalls_server(const struct vocab_action *a)
{
	return a->actor == VOCAB_SERVER || vocab_has("rotate_key retire_keys clock_accept", a->name);
}

static void check_who(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *who)
{
	if (n && who && (a->when & VOCAB_POINT) && json_object_get(who, "modem"))
		diag_error(r->ds, r->src, n->at, NULL, "'%s' befalls the server, not '%s'", a->name, n->text);
	if (a->actor == VOCAB_MODEM) {
		scenario_modem_who(r, n, a, who);
		return;
	}
	if (n && who && a->actor == EITHER && json_object_get(who, "modem"))
		diag_error(r->ds, r->src, n->at, NULL, "'%s' befalls the server or devices, not '%s'", a->name, n->text);
	if (n && who && a->actor != EITHER && !befalls_server(a) && (a->actor & (VOCAB_DEVICE | VOCAB_OPERATOR | VOCAB_NETWORK)) &&
	    !who_is_devices(who))
		diag_error(r->ds, r->src, n->at, NULL, "'%s' befalls devices, not '%s'", a->name, n->text);
}

/* What may befall both: an event's writer, else somebody must be named. `what`: the action's
 * place; `on`: the event, NULL: none. */
static void check_either(struct reader *r, const struct yaml_node *what, const struct vocab_action *a, json_t *who,
			 const char *on)
{
	int kind = on ? journal_kind_by_name(on) : -1;

	if (a->actor != EITHER)
		return;
	if (!on && !who)
		diag_error(r->ds, r->src, what->at, "as in who: server", "'%s' wants 'who': the server, or which devices",
			   a->name);
	else if (kind >= 0 && who && json_object_get(who, "server") &&
		 vocab_event_actor((enum journal_kind)kind) == VOCAB_DEVICE)
		diag_error(r->ds, r->src, what->at, NULL, "'%s' befalls whoever writes %s, which is no server", a->name, on);
}

/* Without an event there is nobody whose event it is: `who` must be what the action befalls. A
 * `then` that befalls devices may still need it. */
static void check_server_who(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *who)
{
	const struct yaml_node *node = yaml_get(n, "who"), *then = yaml_get(yaml_get(n, "then"), "do");
	const struct vocab_action *b = then && then->kind == YAML_KIND_SCALAR ? vocab_action(then->text) : NULL;

	if (!who || yaml_get(n, "on") || !(a->when & VOCAB_TIMED) || !befalls_server(a) ||
	    json_object_get(who, "server") || (b && !befalls_server(b) && who_is_devices(who)))
		return;
	diag_error(r->ds, r->src, node->at, NULL, "'%s' befalls the server, not '%s'", a->name, node->text);
}

static json_t *read_then(struct reader *r, const struct yaml_node *n, const struct yaml_node *who_node, json_t *who)
{
	json_t *out = json_object(), *args = json_object();
	const struct yaml_node *what = yaml_get(n, "do");
	const struct vocab_action *a;
	char place[64];

	if (!what) {
		read_maps(r, n, "then", out, NULL, NULL);
		goto end;
	}
	a = read_action(r, what);
	if (!a)
		goto end;
	read_maps(r, n, "then", out, args_place(a, place, sizeof(place)), args);
	if (!(a->when & VOCAB_TIMED))
		diag_error(r->ds, r->src, what->at, NULL, "'%s' needs an event of its own ('on')", a->name);
	check_who(r, who_node ? who_node : what, a, who);
	if (who && json_object_get(who, "modem") && befalls_server(a))
		diag_error(r->ds, r->src, what->at, NULL, "'%s' does not befall a modem", a->name);
	check_either(r, what, a, who, NULL);
	check_args(r, n, what, a, args);
	default_args(r, a, args);
	read_put(r, out, "do", json_string(a->name));
	read_put(r, out, "args", json_incref(args));
end:
	json_decref(args);
	return out;
}

static void read_when(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *f)
{
	const struct yaml_node *part;
	const char *on = json_string_value(json_object_get(f, "on"));

	check_keys(r, n, a, f);
	if ((part = yaml_get(n, "at")) && !owns(a, "at"))
		read_at(r, part, f);
	if (!owns(a, "for"))
		scenario_window(r, n, f);
	if ((part = yaml_get(n, "match")) && on)
		read_put(r, f, "match", scenario_match(r, part, (enum journal_kind)journal_kind_by_name(on)));
}

static json_t *read_fault(struct reader *r, const struct yaml_node *n, size_t index)
{
	json_t *f = json_object(), *args = json_object();
	const struct yaml_node *what = yaml_get(n, "do"), *part;
	const struct vocab_action *a = NULL;
	const char *on;
	char place[64], name[24];

	if (what)
		a = read_action(r, what);
	if (!what || a)
		read_maps(r, n, "fault", f, a ? args_place(a, place, sizeof(place)) : NULL, args);
	if (!a)
		goto end;
	read_when(r, n, a, f);
	read_own(r, n, a, "for", args);
	read_own(r, n, a, "at", args);
	on = json_string_value(json_object_get(f, "on"));
	if (on)
		check_event(r, what, a, (enum journal_kind)journal_kind_by_name(on));
	else if (!(a->when & (VOCAB_TIMED | VOCAB_POINT)) && !yaml_get(n, "on"))
		diag_error(r->ds, r->src, what->at, NULL, "'%s' needs an event ('on')", a->name);
	check_while(r, n, f);
	part = yaml_get(n, "who");
	if (!part || json_object_get(f, "who")) /* else it was told already */
		check_who(r, part || a->actor != VOCAB_MODEM ? part : what, a, json_object_get(f, "who"));
	check_either(r, what, a, json_object_get(f, "who"), on);
	check_server_who(r, n, a, json_object_get(f, "who"));
	if (on && json_object_get(f, "who") && who_is_devices(json_object_get(f, "who")) && vocab_has("server.state key.added key.retired", on))
		diag_error(r->ds, r->src, part->at, NULL, "%s is about no device: the fault would never fire", on);
	if ((a->when & VOCAB_POINT) && !on && yaml_get(n, "who") && json_object_get(f, "who") &&
	    who_is_devices(json_object_get(f, "who")))
		diag_error(r->ds, r->src, yaml_get(n, "who")->at, "as in {on: server.decision, who: A, do: crash, …}",
			   "a point belongs to no device: 'who: %s' goes with 'on'", yaml_get(n, "who")->text);
	check_args(r, n, what, a, args);
	scenario_modem_fault(r, what, a, f, args);
	default_args(r, a, args);
	if ((part = yaml_get(n, "then")))
		read_put(r, f, "then", read_then(r, part, yaml_get(n, "who"), json_object_get(f, "who")));
	read_put(r, f, "do", json_string(a->name));
	read_put(r, f, "args", json_incref(args));
	read_put(r, f, "source", read_place(r, n));
	snprintf(name, sizeof(name), "f%zu", index + 1);
	if (!json_object_get(f, "name"))
		read_put(r, f, "name", json_string(name));
end:
	json_decref(args);
	return f;
}

bool scenario_many_faults(struct reader *r, const struct yaml_node *n, json_t *list)
{
	if (n->n + json_array_size(list) <= FAULTS_MAX)
		return false;
	diag_error(r->ds, r->src, n->at, "'every' with 'times', or 'each: true', say many in one", "more than %d faults and answers", FAULTS_MAX);
	return true;
}

bool scenario_name_taken(json_t *list, json_t *fault)
{
	size_t i;
	json_t *other;

	json_array_foreach(list, i, other) {
		if (json_object_get(fault, "name") && json_equal(json_object_get(other, "name"), json_object_get(fault, "name")))
			return true;
	}
	return false;
}

json_t *scenario_faults(struct reader *r, const struct yaml_node *n)
{
	json_t *list = json_array();
	char what[80];
	size_t index = 0;

	if (n->kind != YAML_KIND_LIST) {
		diag_error(r->ds, r->src, n->at, "as in [{on: sms.submitted, do: lose}]", "'faults' wants a list, not %s",
			   yaml_describe(n, what, sizeof(what)));
		return list;
	}
	if (scenario_many_faults(r, n, list))
		return list;
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		json_t *f = read_fault(r, i->value, index++);

		if (scenario_name_taken(list, f))
			diag_error(r->ds, r->src, i->value->at, NULL, "two faults are called '%s'",
				   json_string_value(json_object_get(f, "name")));
		read_append(r, list, f);
	}
	return list;
}
