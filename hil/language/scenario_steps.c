#include "hil/language/scenario_internal.h"

#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "hil/language/who.h"

#define DOWN_NS NS_PER_S /* off: where a file does not say */

/* The key that says what a step does; NULL and a diag where there is not exactly one. */
static const struct yaml_item *find_verb(struct reader *r, const struct yaml_node *n)
{
	const struct yaml_item *verb = NULL;
	bool unknown = false;

	for (const struct yaml_item *i = n->first; i; i = i->next) {
		if (!vocab_find("step", i->key->text))
			continue;
		if (verb) {
			diag_error(r->ds, r->src, i->key->at, NULL, "'%s' stands beside '%s': a step does one thing",
				   i->key->text, verb->key->text);
			return NULL;
		}
		verb = i;
	}
	if (verb)
		return verb;
	for (const struct yaml_item *i = n->first; i && !unknown; i = i->next) {
		read_unknown_key(r, i->key, "step", NULL);
		unknown = true;
	}
	if (!unknown)
		diag_error(r->ds, r->src, n->at, NULL, "an empty step");
	return NULL;
}

static void server_step(struct reader *r, const struct yaml_item *verb, const struct yaml_node *n, json_t *step)
{
	json_t *word = read_key(r, verb->value, "step", "server");
	bool restart = word && strcmp(json_string_value(word), "restart") == 0;
	char name[32];

	if (word) {
		snprintf(name, sizeof(name), "server_%s", json_string_value(word));
		read_put(r, step, "do", json_string(name));
	}
	if (restart && !json_object_get(step, "off_ns"))
		read_put(r, step, "off_ns", json_integer((json_int_t)DOWN_NS));
	if (word && !restart && yaml_get(n, "off"))
		diag_error(r->ds, r->src, yaml_get(n, "off")->at, NULL, "'off' goes with 'server: restart'");
	json_decref(word);
}

/* Steps that may befall the server as well as devices. */
static bool takes_server(const char *verb)
{
	return vocab_has("disk_full disk_error clock_step", verb);
}

static json_t *read_step(struct reader *r, const struct yaml_node *n, json_int_t timeout_ns)
{
	json_t *step = json_object();
	const struct yaml_item *verb;
	const struct yaml_node *who;
	char place[48];

	if (n->kind != YAML_KIND_MAP) {
		read_map(r, n, "step", step);
		return step;
	}
	verb = find_verb(r, n);
	if (!verb)
		return step;
	snprintf(place, sizeof(place), "step.%s", verb->key->text);
	read_map(r, n, place, step);
	read_put(r, step, "source", read_place(r, n));
	who = yaml_get(n, "who");
	if (takes_server(verb->key->text) ? json_object_get(json_object_get(step, "who"), "modem") != NULL
					   : !who_is_devices(json_object_get(step, "who")))
		diag_error(r->ds, r->src, who ? who->at : verb->value->at, NULL, "'%s' is about %s, not '%s'",
			   verb->key->text, takes_server(verb->key->text) ? "the server or devices" : "devices", who ? who->text : verb->value->text);
	if (strcmp(verb->key->text, "server") == 0) {
		server_step(r, verb, n, step);
		return step;
	}
	if (strcmp(verb->key->text, "operator") == 0)
		return step; /* its word is what it does */
	read_put(r, step, "do", json_string(verb->key->text));
	scenario_disk_check(r, verb->value, step);
	scenario_command_check(r, verb->value, json_object_get(step, "command"));
	if (strcmp(verb->key->text, "wait") == 0 && !json_object_get(step, "within_ns"))
		read_put(r, step, "within_ns", json_integer(timeout_ns));
	if (strcmp(verb->key->text, "power_cycle") == 0 && !json_object_get(step, "off_ns"))
		read_put(r, step, "off_ns", json_integer((json_int_t)DOWN_NS));
	return step;
}

json_t *scenario_steps(struct reader *r, const struct yaml_node *n, json_int_t timeout_ns)
{
	json_t *list = json_array();
	char what[80];

	if (n->kind != YAML_KIND_LIST) {
		diag_error(r->ds, r->src, n->at, "as in [{wait: PROVISIONED}, {sleep: 3s}]", "'steps' wants a list, not %s",
			   yaml_describe(n, what, sizeof(what)));
		return list;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next)
		read_append(r, list, read_step(r, i->value, timeout_ns));
	return list;
}
