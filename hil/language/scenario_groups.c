#include "hil/language/scenario_internal.h"

#include <string.h>

#include "hil/language/who.h"

static void fallback_word(struct reader *r, json_t *group, const char *key, const char *word)
{
	if (!json_object_get(group, key))
		read_put(r, group, key, json_string(word));
}

static void fallback_words(struct reader *r, json_t *group, const char *key, const char *word)
{
	if (!json_object_get(group, key))
		read_put(r, group, key, json_pack("[s]", word));
}

static void fallback_bool(struct reader *r, json_t *group, const char *key, bool v)
{
	if (!json_object_get(group, key))
		read_put(r, group, key, json_boolean(v));
}

/* The record of a group allows SMS where its author did not think of it: such a device is refused by 412. */
static void warn_no_factor(struct reader *r, const struct yaml_node *n, json_t *g)
{
	const struct yaml_node *methods = yaml_get(n, "methods");
	json_t *word;
	size_t i;

	if (!methods || !json_array_size(json_object_get(g, "methods")) || json_object_get(g, "registered") || json_is_false(json_object_get(g, "known")))
		return;
	json_array_foreach(json_object_get(g, "methods"), i, word) {
		if (strcmp(json_string_value(word), "SMS") == 0)
			return;
	}
	diag_warn(r->ds, r->src, methods->at, "registered: [TOTP]",
		  "these devices do not offer SMS, and their record allows nothing else: they are refused with 412");
}

static void read_group(struct reader *r, const struct yaml_node *n, const char *name, const char *connection,
		       json_t *list)
{
	json_t *g = json_pack("{s:s}", "name", name);
	const struct yaml_node *type = yaml_get(n, "type");

	if (!g || !read_map(r, n, "group", g)) {
		json_decref(g);
		return;
	}
	if (json_object_get(g, "network"))
		scenario_network(r, yaml_get(n, "network"), json_object_get(g, "network"));
	if (!json_object_get(g, "count"))
		read_put(r, g, "count", json_integer(1));
	if (type && type->kind == YAML_KIND_LIST && !type->first)
		diag_error(r->ds, r->src, type->at, NULL, "'type' is an empty list");
	warn_no_factor(r, n, g);
	fallback_bool(r, g, "known", true);
	fallback_bool(r, g, "disabled", false);
	fallback_bool(r, g, "accept_unsigned", false);
	fallback_words(r, g, "type", "thermometer");
	fallback_words(r, g, "methods", "SMS");
	fallback_words(r, g, "registered", "SMS");
	fallback_word(r, g, "connection", connection);
	fallback_word(r, g, "start", "on");
	read_put(r, g, "source", read_place(r, n));
	if (json_is_false(json_object_get(g, "known")) && json_is_true(json_object_get(g, "disabled")))
		diag_error(r->ds, r->src, n->at, NULL, "a device that the server does not know cannot be disabled in its record");
	read_append(r, list, g);
}

/* A group that was given its number alone, as in `{A: 3}`; a slip of the pen in a group's key is none. */
static bool lone_number(const struct yaml_item *i)
{
	struct vocab_near near;
	char said[96];

	if (i->value->kind != YAML_KIND_SCALAR || !i->value->text[0] ||
	    strspn(i->value->text, "0123456789") != strlen(i->value->text) || !who_group_name(i->key->text))
		return false;
	vocab_near_init(&near, i->key->text);
	for (size_t k = 0; k < vocab_keys_n; k++)
		if (vocab_at(&vocab_keys[k], "group"))
			vocab_near_offer(&near, vocab_keys[k].key);
	return !*vocab_near_text(&near, said, sizeof(said));
}

/* `{count: 5}` is one group; `{A: {…}, B: {…}}` names them. */
static bool names_groups(const struct yaml_node *n)
{
	for (const struct yaml_item *i = n->first; i; i = i->next)
		if (!vocab_find("group", i->key->text) && (i->value->kind == YAML_KIND_MAP || lone_number(i)))
			return true;
	return false;
}

json_t *scenario_groups(struct reader *r, const struct yaml_node *n, const char *connection)
{
	json_t *list = json_array(), *g;
	json_int_t total = 0;
	char what[80];
	size_t i;

	if (!list || n->kind != YAML_KIND_MAP) {
		diag_error(r->ds, r->src, n->at, "as in devices: {count: 10}", "'devices' wants a mapping, not %s",
			   yaml_describe(n, what, sizeof(what)));
		json_decref(list);
		return NULL;
	}
	if (!names_groups(n)) {
		read_group(r, n, "A", connection, list);
	} else {
		if (n->n > VOCAB_GROUPS_MAX)
			diag_error(r->ds, r->src, n->at, NULL, "more than %d groups", VOCAB_GROUPS_MAX);
		for (const struct yaml_item *item = n->first; item; item = item->next) {
			if (vocab_find("group", item->key->text))
				diag_error(r->ds, r->src, item->key->at, NULL, "'%s' stands beside named groups: put it into one",
					   item->key->text);
			else if (!who_group_name(item->key->text))
				diag_error(r->ds, r->src, item->key->at, NULL,
					   "'%.60s' cannot be a group's name (a letter first, then letters, digits, '-' and '_'; "
					   "not all, others, server, s1, r1)", item->key->text);
			else if (item->value->kind != YAML_KIND_MAP)
				diag_error(r->ds, r->src, item->value->at, "as in A: {count: 10}", "group '%.60s' wants a mapping, not %s",
					   item->key->text, yaml_describe(item->value, what, sizeof(what)));
			else
				read_group(r, item->value, item->key->text, connection, list);
		}
	}
	json_array_foreach(list, i, g) {
		total += json_integer_value(json_object_get(g, "count"));
	}
	if (total > VOCAB_DEVICES_MAX)
		diag_error(r->ds, r->src, n->at, NULL, "%" JSON_INTEGER_FORMAT " devices are too many: %d at most", total,
			   VOCAB_DEVICES_MAX);
	return list;
}
