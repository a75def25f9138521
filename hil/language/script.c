#include "hil/language/script.h"

#include <string.h>

#include "core/registry.h"
#include "hil/language/scenario_internal.h"

/* Scenarios say `who`; here there are no groups, so a device goes by its uuid. */
static void read_uuid(struct reader *r, const struct yaml_node *n, json_t *fault)
{
	const struct yaml_node *uuid = yaml_get(n, "uuid");
	json_t *v = uuid ? read_key(r, uuid, "script.answer", "uuid") : NULL;

	if (v && !uuid_valid(json_string_value(v)))
		diag_error(r->ds, r->src, uuid->at, "as in ee9f2110-5843-11e9-a9ba-139bd26c8b4b",
			   "'%.60s' is no uuid in lower case", json_string_value(v));
	else if (v)
		read_put(r, fault, "dev", json_pack("[O]", v));
	json_decref(v);
}

/* What a scenario's runner adds to or takes from a fault before it arms it. */
static void finish(struct reader *r, const struct yaml_node *answers, json_t *faults)
{
	size_t index = 0;

	for (const struct yaml_item *i = answers->first; i; i = i->next, index++) {
		json_t *fault = json_array_get(faults, index);

		read_uuid(r, i->value, fault);
		json_object_del(fault, "source");
	}
}

static json_t *read_script(struct reader *r, const struct yaml_node *root)
{
	const struct yaml_node *version = yaml_get(root, "version"), *answers = yaml_get(root, "answers");
	json_t *faults = json_array(), *none = json_object();

	if (read_map(r, root, "script", none)) {
		if (version)
			json_decref(read_key(r, version, "script", "version"));
		if (answers)
			scenario_answers(r, answers, "script.answer", faults);
		if (answers && answers->kind == YAML_KIND_LIST && !answers->first)
			diag_error(r->ds, r->src, answers->at, NULL, "no answer in it");
		else if (answers && answers->kind == YAML_KIND_LIST)
			finish(r, answers, faults);
	}
	json_decref(none);
	return faults;
}

json_t *script_parse(const struct source *src, struct diags *ds)
{
	struct reader r = {.ds = ds, .src = src};
	size_t errors = ds->errors;
	struct yaml_tree *tree;
	json_t *faults;

	diags_file(ds);
	tree = yaml_tree_parse(src, ds);
	if (!tree)
		return NULL;
	faults = read_script(&r, yaml_tree_root(tree));
	yaml_tree_free(tree);
	if (r.nomem)
		diag_error(ds, src, (struct mark){0, 0}, NULL, "out of memory");
	if (ds->errors == errors)
		return faults;
	json_decref(faults);
	return NULL;
}

json_t *script_load(const char *path, struct diags *ds)
{
	struct source src;
	json_t *faults;

	diags_file(ds);
	if (source_read(path, YAML_SIZE_MAX, ds, &src))
		return NULL;
	faults = script_parse(&src, ds);
	source_free(&src);
	return faults;
}
