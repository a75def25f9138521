/* The vocabulary as a JSON Schema (draft 2020-12) of scenario files, for editors. It is
 * looser than the reader, which also knows what belongs together. */
#include <jansson.h>

#include <string.h>

#include "core/err.h"
#include "core/rows.h"
#include "core/settings.h"
#include "hil/language/vocab.h"

#define PARAMETER "parameter"
#define SCHEMA_ID "https://json-schema.org/draft/2020-12/schema"

static json_t *ref(const char *place)
{
	return json_pack("{s:s+}", "$ref", "#/$defs/", place);
}

/* JSON Schema's patterns are found anywhere: each has its own ^ and $. */
static json_t *text(const char *pattern)
{
	return pattern ? json_pack("{s:s, s:s}", "type", "string", "pattern", pattern) : json_pack("{s:s}", "type", "string");
}

static json_t *one_or_list(json_t *one)
{
	json_t *many = json_pack("{s:s, s:O}", "type", "array", "items", one);

	return json_pack("{s:[o, o]}", "anyOf", one, many);
}

/* `if`, not `anyOf`: a validator then still says what is wrong inside. */
static json_t *or_parameter(json_t *schema)
{
	return json_pack("{s:o, s:b, s:o}", "if", ref(PARAMETER), "then", 1, "else", schema);
}

/* An empty list would be one that checks nothing. */
static json_t *one_or_some(json_t *one)
{
	json_t *both = one_or_list(one);

	json_object_set_new(json_array_get(json_object_get(both, "anyOf"), 1), "minItems", json_integer(1));
	return both;
}

/* Space-separated words as an enum. */
static json_t *words(const char *list)
{
	json_t *all = json_array();

	while (list && *list) {
		size_t len = strcspn(list, " ");

		json_array_append_new(all, json_stringn(list, len));
		list += len + strspn(list + len, " ");
	}
	return json_pack("{s:o}", "enum", all);
}

static json_t *names(int n, const char *(*name)(int))
{
	json_t *all = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(all, json_string(name(i)));
	return json_pack("{s:o}", "enum", all);
}

/* The long names, then the short ones. */
static const char *state_at(int i)
{
	return i < STATE_COUNT ? state_full((enum state_name)i) : state_brief((enum state_name)(i - STATE_COUNT));
}

static const char *event_at(int i)
{
	return journal_kind_name((enum journal_kind)i);
}

static const char *action_at(int i)
{
	return vocab_actions[i].name;
}

static json_t *states(void)
{
	return or_parameter(names(2 * STATE_COUNT, state_at));
}

/* YAML makes numbers and truths of some words that are texts here. */
static json_t *scalar(void)
{
	return json_pack("{s:[s, s, s, s]}", "type", "string", "number", "boolean", "null");
}

/* … whose letters, where it is a text, are as `pattern` says. */
static json_t *word_like(const char *pattern)
{
	json_t *j = scalar();

	json_object_set_new(j, "pattern", json_string(pattern));
	return j;
}

/* A pattern of texts; a whole number is fine too. */
static json_t *number_or(const char *pattern)
{
	return json_pack("{s:[s, s], s:s}", "type", "integer", "string", "pattern", pattern);
}

/* A number may stand in quotes. */
static json_t *number(json_int_t min, json_int_t max)
{
	json_t *j = number_or("^[0-9]+$");

	json_object_set_new(j, "minimum", json_integer(min));
	json_object_set_new(j, "maximum", json_integer(max));
	return j;
}

static json_t *path_schema(void)
{
	json_t *state = json_pack("{s:[o, {s:s}]}", "anyOf", states(), "const", "...");

	return json_pack("{s:s, s:i, s:o}", "type", "array", "minItems", 1, "items", state);
}

/* One state, or by who; several of them where `many`. */
static json_t *states_schema(bool many)
{
	json_t *one = many ? one_or_some(states()) : states();
	json_t *by_who = json_pack("{s:s, s:i, s:O}", "type", "object", "minProperties", 1, "additionalProperties", one);

	return json_pack("{s:[o, o]}", "anyOf", one, by_who);
}

static json_t *settings_schema(void)
{
	json_t *all = json_object();

	for (int k = 0; k < SETTING_COUNT; k++)
		json_object_set_new(all, setting_name((enum setting)k),
				    json_pack("{s:s}", "description", setting_doc((enum setting)k)));
	return json_pack("{s:s, s:o, s:b}", "type", "object", "properties", all, "additionalProperties", 0);
}

/* The parts of `expect` whose grammar is their own. */
static json_t *expect_schema(const struct vocab_key *k)
{
	json_t *long_form;

	if (strcmp(k->key, "final") == 0 || strcmp(k->key, "never") == 0)
		return states_schema(k->key[0] == 'n');
	if (!k->arg || strcmp(k->key, "path") != 0)
		return k->arg ? one_or_some(ref(k->arg)) : NULL;
	long_form = one_or_list(ref(k->arg));
	return json_pack("{s:[o, {s:s, s:o}, o]}", "anyOf", path_schema(), "type", "array", "items", path_schema(), long_form);
}

/* The keys whose grammar is their own. */
static json_t *other_schema(const struct vocab_key *k)
{
	static const char *const lists[] = {"scenarios", "faults", "answers", "steps", "thresholds"};
	json_t *own;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(k->key, lists[i]) == 0)
			return json_pack("{s:s, s:o, s:i}", "type", "array", "items", ref(k->arg), "minItems",
					 strcmp(k->key, "scenarios") == 0);
	if (strcmp(k->key, "devices") == 0)
		return json_pack("{s:[o, {s:s, s:o}]}", "anyOf", ref("group"), "type", "object", "additionalProperties",
				 ref("group"));
	if (strcmp(k->key, "parameters") == 0)
		return json_pack("{s:s}", "type", "object");
	if (strcmp(k->key, "matrix") == 0)
		return json_pack("{s:[{s:s, s:i, s:{s:s, s:i}}, {s:s, s:i, s:{s:s, s:i}}]}", "anyOf", "type", "object",
				 "minProperties", 1, "additionalProperties", "type", "array", "minItems", 1, "type", "array",
				 "minItems", 1, "items", "type", "object", "minProperties", 1);
	if (strcmp(k->key, "do") == 0)
		return names((int)vocab_actions_n, action_at);
	if (strcmp(k->key, "at") == 0)
		return text("^[0-9]+(\\.[0-9]+)? ?(ns|us|ms|s|m|h|d)$|^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$");
	if (strcmp(k->key, "before") == 0)
		return json_pack("{s:[o, o]}", "anyOf", names(J_END, event_at), ref("expect.before"));
	if (strcmp(k->key, "match") == 0)
		return json_pack("{s:s, s:o}", "type", "object", "additionalProperties", scalar());
	if (strcmp(k->key, "states") == 0)
		return path_schema();
	if (vocab_at(k, "threshold"))
		return text("^(<=|>=|<|>) ?[0-9]");
	if (vocab_at(k, "expect") && (own = expect_schema(k)))
		return own;
	if (k->arg && strcmp(k->arg, "expect") == 0)
		return ref(k->arg);
	return json_object();
}

static json_t *value_schema(const struct vocab_key *k)
{
	switch (k->type) {
	case VOCAB_NAME:
		return word_like("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$");
	case VOCAB_WORD:
		return k->arg ? words(k->arg) : word_like("^[^ ,]+$");
	case VOCAB_RANGE:
		return number_or("^((<=|>=|<|>|=) *)?[0-9]+$|^[0-9]+\\.\\.[0-9]+$");
	case VOCAB_SEED:
		return number_or("^(0x[0-9a-fA-F]+|[0-9]+)$");
	case VOCAB_WORDS:
		return one_or_list(k->arg ? words(k->arg) : word_like("^[^ ,]+$"));
	case VOCAB_BOOL:
		return json_pack("{s:[b, b, s, s]}", "enum", 1, 0, "true", "false");
	case VOCAB_COUNT:
		return number(k->min, k->max);
	case VOCAB_CODE:
		return number(k->min, 999);
	case VOCAB_DURATION:
		return text("^[0-9]+(\\.[0-9]+)? ?(ns|us|ms|s|m|h|d)$");
	case VOCAB_SHIFT:
		return text("^[+-][0-9]+(\\.[0-9]+)? ?(ns|us|ms|s|m|h|d)$");
	case VOCAB_SHARE:
		return text("^(>= *)?[0-9]+(\\.[0-9]+)?%$");
	case VOCAB_RATIO:
		return text("^[0-9]+(\\.[0-9]+)?%$");
	case VOCAB_RATE:
		return text("^[0-9]+(\\.[0-9]+)?/(s|min|h)$");
	case VOCAB_BITS:
		return text("^[0-9]+(\\.[0-9]+)? ?[kMG]?bit/s$");
	case VOCAB_NUMBERS:
		return one_or_list(json_pack("{s:[s, s]}", "type", "integer", "string"));
	case VOCAB_TIME:
		return text("^[0-9]{2}:[0-9]{2}(:[0-9]{2})?$");
	case VOCAB_DATE:
		return text("^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
	case VOCAB_STATE:
		return states();
	case VOCAB_EVENT:
		return names(J_END, event_at);
	case VOCAB_MAP:
		return ref(k->arg);
	case VOCAB_SETTINGS:
		return settings_schema();
	case VOCAB_OTHER:
		return other_schema(k);
	case VOCAB_TEXT:
		return scalar();
	case VOCAB_WHO:
		return text(NULL);
	default:
		return json_object();
	}
}

/* A key that two actions have may be either's. Takes `value`. */
static void put_property(json_t *properties, const char *key, json_t *value)
{
	json_t *there = json_object_get(properties, key);

	if (there && !json_equal(there, value))
		value = json_pack("{s:[O, o]}", "anyOf", there, value);
	json_object_set_new(properties, key, value);
}

/* Adds the keys of `place` to an object's schema. */
static void add_keys(const char *place, json_t *properties, json_t *required, json_t **rest)
{
	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];
		json_t *value;

		if (!vocab_at(k, place) || k->type == VOCAB_LATER)
			continue;
		/* any value may be a parameter's name, a part of a text too */
		value = or_parameter(value_schema(k));
		json_object_set_new(value, "description", json_string(k->doc));
		if (strcmp(k->key, "*") == 0) {
			json_decref(*rest);
			*rest = value;
			continue;
		}
		put_property(properties, k->key, value);
		if (k->required && required)
			json_array_append_new(required, json_string(k->key));
	}
}

static json_t *place_schema(const struct vocab_place *place)
{
	json_t *properties = json_object(), *required = json_array(), *rest = json_false(), *all;
	char args[64];

	add_keys(place->name, properties, required, &rest);
	if (strcmp(place->name, "fault") == 0 || strcmp(place->name, "then") == 0)
		for (size_t i = 0; i < vocab_actions_n; i++) {
			snprintf(args, sizeof(args), "do.%s", vocab_actions[i].name);
			add_keys(args, properties, NULL, &rest);
		}
	if (strcmp(place->name, "answer") == 0)
		add_keys("do.reply", properties, NULL, &rest);
	if (strcmp(place->name, "step") == 0)
		for (size_t i = 0; i < vocab_places_n; i++)
			if (strncmp(vocab_places[i].name, "step.", 5) == 0)
				add_keys(vocab_places[i].name, properties, NULL, &rest);
	all = json_pack("{s:s, s:s, s:o, s:o, s:o}", "type", "object", "title", place->title, "properties", properties,
			"required", required, "additionalProperties", rest);
	if (strcmp(place->name, "file") == 0)
		json_object_set_new(all, "anyOf", json_pack("[{s:[s]}, {s:[s]}]", "required", "scenarios", "required", "include"));
	return all;
}

int vocab_schema(FILE *out)
{
	json_t *defs = json_object(), *root = NULL;
	int rv = ERR_NOMEM;

	for (size_t i = 0; i < vocab_places_n; i++)
		if (strncmp(vocab_places[i].name, "rig", 3) != 0 && strncmp(vocab_places[i].name, "script", 6) != 0 && strncmp(vocab_places[i].name, "step.", 5) != 0 &&
		    strncmp(vocab_places[i].name, "do.", 3) != 0)
			json_object_set_new(defs, vocab_places[i].name, place_schema(&vocab_places[i]));
	json_object_set_new(defs, PARAMETER, json_pack("{s:s, s:s, s:s}", "title", "A parameter's name ($name)", "type",
						       "string", "pattern", "\\$"));
	root = json_pack("{s:s, s:s, s:s, s:O}", "$schema", SCHEMA_ID, "title", "quicrig scenario file", "$ref",
			 "#/$defs/file", "$defs", defs);
	if (root)
		rv = json_dumpf(root, out, JSON_INDENT(2)) || fputc('\n', out) == EOF ? ERR_IO : 0;
	json_decref(defs);
	json_decref(root);
	return rv;
}
