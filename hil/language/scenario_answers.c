/* answers: what a scripted server says. */
#include "hil/language/scenario_internal.h"

#include <stdio.h>

/* ---- what can stand together ---- */

static bool has(json_t *args, const char *key)
{
	return json_object_get(args, key);
}

static bool any_of(json_t *args, const char *const *keys, size_t n, const char **which)
{
	for (size_t i = 0; i < n; i++)
		if (has(args, keys[i])) {
			*which = keys[i];
			return true;
		}
	return false;
}

/* The key of the file behind a member of the plan. */
static const char *spoken(const char *member)
{
	for (size_t i = 0; i < vocab_keys_n; i++)
		if (vocab_at(&vocab_keys[i], "do.reply") && vocab_keys[i].plan &&
		    vocab_has(vocab_keys[i].plan, member))
			return vocab_keys[i].key;
	return member;
}

/* Something was said, though it may have been wrong. */
static bool says_something(const struct yaml_node *map)
{
	for (const struct yaml_item *i = map->first; i; i = i->next)
		if (vocab_find("do.reply", i->key->text))
			return true;
	return false;
}

void scenario_reply(struct reader *r, const struct yaml_node *map, const struct yaml_node *at, json_t *args)
{
	static const char *const content[] = {"code", "message", "retry_after_ns", "command", "payload", "tokens",
					      "signature", "body"};
	static const char *const more[] = {"text", "late_ns", "with_next"};
	const size_t contents = sizeof(content) / sizeof(content[0]), mores = sizeof(more) / sizeof(more[0]);
	json_int_t wait = json_integer_value(json_object_get(args, "retry_after_ns"));
	const char *which;

	if (!json_object_size(args) && !says_something(map))
		diag_error(r->ds, r->src, at->at, "as in code: 503, body: garbage or link: silent",
			   "what is different about this answer?");
	if (has(args, "link") && (any_of(args, content, contents, &which) || any_of(args, more, mores, &which)))
		diag_error(r->ds, r->src, at->at, NULL, "'link' leaves nothing to say: '%s' has no place beside it", spoken(which));
	if (has(args, "text") && any_of(args, content, contents, &which))
		diag_error(r->ds, r->src, at->at, NULL, "'text' is the whole answer: '%s' has no place beside it", spoken(which));
	if (has(args, "late_ns") && has(args, "with_next"))
		diag_error(r->ds, r->src, at->at, NULL, "'late' and 'with_next' both say when it leaves");
	if (has(args, "message") && !has(args, "code"))
		diag_error(r->ds, r->src, at->at, NULL, "'message' goes with 'code'");
	if (json_is_false(json_object_get(args, "with_next")))
		diag_error(r->ds, r->src, at->at, NULL, "'with_next' is true or not said");
	if (wait % 1000000000)
		diag_error(r->ds, r->src, at->at, NULL, "'retry_after' is in whole seconds");
}

/* ---- one answer ---- */

/* `place`: "answer" of a scenario, or "script.answer". */
static json_t *read_match(struct reader *r, const struct yaml_node *n, const char *place)
{
	const struct yaml_node *to = yaml_get(n, "to"), *code = yaml_get(n, "instead_of");
	json_t *match = json_object(), *v;

	v = to ? read_key(r, to, place, "to") : NULL;
	if (v)
		read_put(r, match, "resource", v);
	v = code ? read_key(r, code, place, "instead_of") : NULL;
	if (v)
		read_put(r, match, "code", v);
	return match;
}

static void check_count(struct reader *r, const struct yaml_node *n)
{
	const struct yaml_node *nth = yaml_get(n, "nth"), *each = yaml_get(n, "each"), *times = yaml_get(n, "times");

	if (nth && each)
		diag_error(r->ds, r->src, nth->at, NULL, "'nth' and 'each' exclude one another");
	if (times && !each)
		diag_error(r->ds, r->src, times->at, NULL, "'times' goes with 'each'");
}

static json_t *read_answer(struct reader *r, const struct yaml_node *n, const char *place, size_t index)
{
	json_t *f = json_object(), *args = json_object(), *match;
	char name[32];

	if (!read_maps(r, n, place, f, "do.reply", args))
		goto end;
	match = read_match(r, n, place);
	if (json_object_size(match))
		read_put(r, f, "match", json_incref(match));
	json_decref(match);
	check_count(r, n);
	scenario_window(r, n, f);
	scenario_command_check(r, n, json_object_get(args, "command"));
	scenario_reply(r, n, n, args);
	read_put(r, f, "on", json_string("server.reply"));
	read_put(r, f, "do", json_string("reply"));
	read_put(r, f, "args", json_incref(args));
	read_put(r, f, "source", read_place(r, n));
	snprintf(name, sizeof(name), "answer-%zu", index + 1);
	if (!json_object_get(f, "name"))
		read_put(r, f, "name", json_string(name));
end:
	json_decref(args);
	return f;
}

void scenario_answers(struct reader *r, const struct yaml_node *n, const char *place, json_t *faults)
{
	size_t index = 0;
	char what[80];

	if (n->kind != YAML_KIND_LIST) {
		diag_error(r->ds, r->src, n->at, "as in [{to: login, code: 404}]", "'answers' wants a list, not %s",
			   yaml_describe(n, what, sizeof(what)));
		return;
	}
	if (scenario_many_faults(r, n, faults))
		return;
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		json_t *f = read_answer(r, i->value, place, index++);

		if (scenario_name_taken(faults, f))
			diag_error(r->ds, r->src, i->value->at, NULL, "two faults are called '%s'",
				   json_string_value(json_object_get(f, "name")));
		read_append(r, faults, f);
	}
}
