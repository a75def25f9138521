#include "hil/language/scenario.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/time.h"
#include "hil/language/scenario_internal.h"
#include "hil/language/scenario_matrix.h"

void plans_fini(struct plans *p)
{
	for (size_t i = 0; i < p->n; i++)
		json_decref(p->v[i]);
	free(p->v);
	json_decref(p->ids);
	memset(p, 0, sizeof(*p));
}

static int plans_add(struct plans *p, json_t *plan)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		json_t **v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return ERR_NOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = plan;
	return 0;
}

/* What one file says for all of its scenarios. */
struct suite {
	const char *name;
	json_t *defaults; /* NULL: none */
	json_t *below;    /* those of the file that is included; NULL: none is */
	struct plans *out;
};

/* ---- one scenario ---- */

/* The defaults' words first, then the scenario's own. */
static json_t *join_words(struct reader *r, json_t *first, json_t *second)
{
	json_t *out = json_copy(first), *word;
	size_t i, k;

	json_array_foreach(second, i, word) {
		for (k = 0; k < json_array_size(first); k++)
			if (json_equal(json_array_get(first, k), word))
				break;
		if (k == json_array_size(first))
			read_append(r, out, json_incref(word));
	}
	return out;
}

static void apply_defaults(struct reader *r, json_t *plan, json_t *defaults)
{
	const char *key;
	json_t *value;

	json_object_foreach(defaults, key, value) {
		json_t *own = json_object_get(plan, key);

		if (!own)
			read_put(r, plan, key, json_deep_copy(value));
		else if (strcmp(key, "tags") == 0)
			read_put(r, plan, key, join_words(r, value, own));
		else if (strcmp(key, "settings") == 0)
			json_object_update_missing(own, value);
	}
}

static void fill_in(struct reader *r, json_t *plan)
{
	json_t *modems = json_object_get(plan, "modems");

	if (!json_object_get(plan, "seed"))
		read_put(r, plan, "seed", json_string(SCENARIO_SEED));
	if (!json_object_get(plan, "timeout_ns"))
		read_put(r, plan, "timeout_ns", json_integer((json_int_t)SCENARIO_TIMEOUT_NS));
	if (!json_object_get(plan, "wall_ns"))
		read_put(r, plan, "wall_ns", json_integer(0));
	if (!json_object_get(plan, "tags"))
		read_put(r, plan, "tags", json_array());
	if (!json_object_get(plan, "carrier"))
		read_put(r, plan, "carrier", json_string("immediate"));
	if (!json_object_get(plan, "settings"))
		read_put(r, plan, "settings", json_object());
	if (!modems) {
		modems = json_object();
		read_put(r, plan, "modems", modems);
	}
	if (!json_object_get(modems, "senders"))
		read_put(r, modems, "senders", json_integer(4));
	if (!json_object_get(modems, "receivers"))
		read_put(r, modems, "receivers", json_integer(2));
}

static void read_arrive(struct reader *r, const struct yaml_node *n, json_t *plan)
{
	json_t *none = json_object(), *ramp;
	const struct yaml_node *value = yaml_get(n, "ramp");

	if (read_map(r, n, "arrive", none) && value && (ramp = read_key(r, value, "arrive", "ramp"))) {
		if (json_object_get(ramp, "from") && json_object_get(ramp, "to") &&
		    json_number_value(json_object_get(ramp, "from")) + json_number_value(json_object_get(ramp, "to")) <= 0)
			diag_error(r->ds, r->src, value->at, NULL, "nobody ever arrives: 'from' and 'to' are both 0");
		read_put(r, plan, "arrive", ramp);
	}
	json_decref(none);
}

/* Settings word `connection` as a group's word; what groups do where they do not say. */
static const char *connection_default(json_t *plan)
{
	return json_integer_value(json_object_get(json_object_get(plan, "settings"), "connection")) == 1 ? "hold" : "close";
}

static void read_id(struct reader *r, const struct yaml_node *n, const struct suite *s, json_t *plan)
{
	const struct yaml_node *name = yaml_get(n, "name");
	json_t *text = name ? read_key(r, name, "scenario", "name") : NULL, *before;
	char id[160], where[320];

	if (!text)
		return;
	snprintf(id, sizeof(id), "%s/%s", s->name, json_string_value(text));
	json_decref(text);
	before = json_object_get(s->out->ids, id);
	if (before)
		diag_error(r->ds, r->src, name->at, NULL, "scenario '%s' is already there (%s)", id,
			   json_string_value(before));
	snprintf(where, sizeof(where), "%s:%d", r->src->name, name->at.line);
	read_put(r, s->out->ids, id, json_string(where));
	read_put(r, plan, "id", json_string(id));
}

/* Answers are faults that the file calls what they are. */
static void read_server(struct reader *r, const struct yaml_node *n, json_t *plan)
{
	const struct yaml_node *server = yaml_get(n, "server"), *answers = yaml_get(n, "answers");

	if (server)
		json_decref(read_key(r, server, "scenario", "server"));
	if (server && !answers)
		diag_error(r->ds, r->src, server->at, "answers: [{to: login, code: 404}]", "a scripted server needs 'answers'");
	if (answers && !server)
		diag_error(r->ds, r->src, answers->at, "server: scripted", "'answers' are a scripted server's");
	if (answers)
		scenario_answers(r, answers, "answer", json_object_get(plan, "faults"));
}

static void read_parts(struct reader *r, const struct yaml_node *n, json_t *plan)
{
	const struct yaml_node *part;

	part = yaml_get(n, "devices");
	if (part) {
		r->groups = scenario_groups(r, part, connection_default(plan));
		if (r->groups)
			read_put(r, plan, "groups", r->groups);
	}
	part = yaml_get(n, "arrive");
	if (part)
		read_arrive(r, part, plan);
	part = yaml_get(n, "faults");
	read_put(r, plan, "faults", part ? scenario_faults(r, part) : json_array());
	read_server(r, n, plan);
	part = yaml_get(n, "steps");
	read_put(r, plan, "steps",
		 part ? scenario_steps(r, part, json_integer_value(json_object_get(plan, "timeout_ns"))) : json_array());
	part = yaml_get(n, "expect");
	read_put(r, plan, "expect", part ? scenario_expect(r, part) : json_object());
	if (!part)
		diag_warn(r->ds, r->src, n->at, NULL, "no 'expect': only the invariants are judged");
	part = yaml_get(n, "thresholds");
	if (part)
		read_put(r, plan, "thresholds", scenario_thresholds(r, part));
}

static void finish_network(struct reader *r, const struct yaml_node *n, json_t *place)
{
	json_t *network = json_object_get(place, "network");

	if (network)
		scenario_network(r, yaml_get(n, "network"), network);
}

static void read_scenario(struct reader *r, const struct yaml_node *n, void *suite)
{
	const struct suite *s = suite;
	size_t errors = r->ds->found;
	json_t *plan = json_object();

	r->groups = NULL;
	r->start = NULL;
	if (!plan || !read_map(r, n, "scenario", plan)) {
		json_decref(plan);
		return;
	}
	read_put(r, plan, "v", json_integer(1));
	read_put(r, plan, "source", read_place(r, n));
	read_id(r, n, s, plan);
	finish_network(r, n, plan);
	apply_defaults(r, plan, s->defaults);
	apply_defaults(r, plan, s->below);
	fill_in(r, plan);
	r->senders = json_integer_value(json_object_get(json_object_get(plan, "modems"), "senders"));
	r->receivers = json_integer_value(json_object_get(json_object_get(plan, "modems"), "receivers"));
	r->start = json_object_get(plan, "start_ns");
	read_parts(r, n, plan);
	scenario_whole(r, n, plan);
	r->groups = NULL;
	if (r->ds->found != errors || r->nomem) {
		json_decref(plan);
	} else if (plans_add(s->out, plan)) {
		json_decref(plan);
		r->nomem = true;
	}
}

/* ---- one file ---- */

/* "scenarios/token.yaml" → "token", in the letters that a name may have. */
static void stem(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	snprintf(out, size, "%.*s", (int)strcspn(name, "."), name);
	for (char *p = out; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			*p = '-';
}

static json_t *read_defaults(struct reader *r, const struct yaml_node *root)
{
	const struct yaml_node *n = yaml_get(root, "defaults");
	json_t *defaults = n ? read_key(r, n, "file", "defaults") : NULL;

	if (defaults)
		finish_network(r, n, defaults);
	return defaults;
}

static void read_list(struct reader *r, const struct yaml_node *root, const struct yaml_node *below, struct suite *s)
{
	const struct yaml_node *n = yaml_get(root, "scenarios"), *defaults = yaml_get(root, "defaults");

	/* an included file's own defaults lie below those of the one that includes it */
	if (n && n->kind != YAML_KIND_LIST)
		diag_error(r->ds, r->src, n->at, "- name: …", "'scenarios' wants a list of scenarios");
	else if (n && !n->first)
		diag_error(r->ds, r->src, n->at, NULL, "no scenario in it");
	else if (n)
		for (const struct yaml_item *i = n->first; i; i = i->next)
			scenario_cases(r, i->value, below ? below : defaults, below ? defaults : NULL, read_scenario, s);
	else if (!yaml_get(root, "include"))
		diag_error(r->ds, r->src, root->at, NULL, "'scenarios' is missing");
}

static void read_suite(struct reader *r, const struct yaml_node *root, char *name, size_t size)
{
	const struct yaml_node *n = yaml_get(root, "suite");
	json_t *suite = n ? read_key(r, n, "file", "suite") : NULL;

	if (suite && vocab_has("report.json junit.xml summary.md index.html journal.jsonl", json_string_value(suite)))
		diag_error(r->ds, r->src, n->at, NULL, "a suite cannot be called '%s', as a report is", json_string_value(suite));
	stem(r->src->name, name, size);
	if (suite)
		snprintf(name, size, "%s", json_string_value(suite));
	else if (!*name)
		snprintf(name, size, "scenarios");
	json_decref(suite);
}

static bool read_head(struct reader *r, const struct yaml_node *root)
{
	const struct yaml_node *n = yaml_get(root, "version");
	json_t *none = json_object();
	bool fits = none && read_map(r, root, "file", none);

	if (fits && n)
		json_decref(read_key(r, n, "file", "version"));
	json_decref(none);
	return fits;
}

/* ---- include ---- */

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static void read_included(struct reader *outer, const struct yaml_node *defaults, const struct source *src, struct suite *s)
{
	struct reader r = {.ds = outer->ds, .src = src, .over = outer->src};
	const struct yaml_node *root, *n;
	static const struct yaml_node none = {.kind = YAML_KIND_MAP};

	r.tree = yaml_tree_parse(src, r.ds);
	if (!r.tree)
		return;
	root = yaml_tree_root(r.tree);
	if (read_head(&r, root)) {
		n = yaml_get(root, "include");
		if (n)
			diag_error(r.ds, src, n->at, NULL, "a file that is included by another (%s) includes none itself",
				   outer->src->name);
		s->below = read_defaults(&r, root);
		read_list(&r, root, defaults ? defaults : &none, s);
		json_decref(s->below);
		s->below = NULL;
	}
	outer->nomem = outer->nomem || r.nomem;
	yaml_tree_free(r.tree);
}

/* `path` counts from the folder of the file that includes it. */
static void include_one(struct reader *r, const struct yaml_node *root, const struct yaml_node *path, struct suite *s)
{
	const char *slash = strrchr(r->src->name, '/');
	char full[PATH_MAX];
	struct source src;

	if (snprintf(full, sizeof(full), "%.*s%s", slash && path->text[0] != '/' ? (int)(slash - r->src->name + 1) : 0,
		     r->src->name, path->text) >= (int)sizeof(full)) {
		diag_error(r->ds, r->src, path->at, NULL, "a path that is too long");
		return;
	}
	if (access(full, R_OK)) {
		diag_error(r->ds, r->src, path->at, "a path counts from this file's folder", "'%.200s' cannot be read: %s", full,
			   strerror(errno));
		return;
	}
	if (same_file(full, r->src->name)) {
		diag_error(r->ds, r->src, path->at, NULL, "the file includes itself");
		return;
	}
	diags_file(r->ds);
	if (source_read(full, YAML_SIZE_MAX, r->ds, &src) == 0) {
		read_included(r, yaml_get(root, "defaults"), &src, s);
		source_free(&src);
	}
}

static void read_includes(struct reader *r, const struct yaml_node *root, struct suite *s)
{
	const struct yaml_node *n = yaml_get(root, "include"), *one;
	json_t *paths = n ? read_key(r, n, "file", "include") : NULL;
	const struct yaml_item *walk = NULL;
	bool begun = false;

	/* what is wrong with a path was told by read_key */
	while (n && (one = read_each(n, &walk, &begun)))
		if (one->kind == YAML_KIND_SCALAR && one->text[0])
			include_one(r, root, one, s);
	json_decref(paths);
}

static void read_file(struct reader *r, const struct yaml_node *root, struct plans *out)
{
	char name[65];
	struct suite s = {.out = out, .name = name};

	if (!read_head(r, root))
		return;
	read_suite(r, root, name, sizeof(name));
	s.defaults = read_defaults(r, root);
	read_list(r, root, NULL, &s);
	/* last: diags of another file stand behind this one's */
	read_includes(r, root, &s);
	json_decref(s.defaults);
}

int scenario_parse(const struct source *src, struct diags *ds, struct plans *out)
{
	struct reader r = {.ds = ds, .src = src};
	size_t errors = ds->errors, first = out->n;
	struct yaml_tree *tree;

	diags_file(ds);
	if (!out->ids)
		out->ids = json_object();
	if (!out->ids)
		return ERR_NOMEM;
	tree = yaml_tree_parse(src, ds);
	if (!tree)
		return ERR_PARSE;
	r.tree = tree;
	read_file(&r, yaml_tree_root(tree), out);
	yaml_tree_free(tree);
	if (!r.nomem)
		return ds->errors == errors ? 0 : ERR_PARSE;
	while (out->n > first)
		json_decref(out->v[--out->n]);
	diag_error(ds, src, (struct mark){0, 0}, NULL, "out of memory");
	return ERR_NOMEM;
}

/* ---- files and folders ---- */

static int load_file(const char *path, struct diags *ds, struct plans *out)
{
	struct source src;
	int rv;

	diags_file(ds);
	rv = source_read(path, YAML_SIZE_MAX, ds, &src);
	if (rv)
		return rv;
	rv = scenario_parse(&src, ds, out);
	source_free(&src);
	return rv;
}

static int worth_reading(const struct dirent *d)
{
	return d->d_name[0] != '.' && strcmp(d->d_name, "bad") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int folder_error(const char *path, struct diags *ds, int code, const char *why)
{
	struct source src = {.name = path};

	diags_file(ds);
	diag_error(ds, &src, (struct mark){0, 0}, NULL, "%s", why);
	return code;
}

/* Adds to `*files` what it read; the first error wins, the others are told too. */
static int load_folder(const char *path, struct diags *ds, struct plans *out, unsigned depth, unsigned *files)
{
	struct dirent **names = NULL;
	int n, rv = 0, one;

	if (depth == SCENARIO_DIRS_MAX)
		return folder_error(path, ds, ERR_LIMIT, "folders are nested too deep");
	n = scandir(path, &names, worth_reading, by_name);
	if (n < 0)
		return folder_error(path, ds, ERR_IO, strerror(errno));
	for (int i = 0; i < n; i++) {
		size_t len = strlen(names[i]->d_name), slash = strlen(path);
		char full[PATH_MAX];
		struct stat st;

		while (slash > 1 && path[slash - 1] == '/')
			slash--;
		one = 0;
		if (snprintf(full, sizeof(full), "%.*s/%s", (int)slash, path, names[i]->d_name) >= (int)sizeof(full))
			one = folder_error(path, ds, ERR_LIMIT, "a path that is too long");
		else if (stat(full, &st) == 0 && S_ISDIR(st.st_mode))
			one = load_folder(full, ds, out, depth + 1, files);
		else if (len > 5 && strcmp(names[i]->d_name + len - 5, ".yaml") == 0)
			one = ++*files > SCENARIO_FILES_MAX ? folder_error(full, ds, ERR_LIMIT, "too many files")
							    : load_file(full, ds, out);
		free(names[i]);
		rv = rv ? rv : one;
	}
	free(names);
	return rv;
}

int scenario_load(const char *path, struct diags *ds, struct plans *out)
{
	unsigned files = 0;
	struct stat st;
	int rv;

	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return load_file(path, ds, out);
	rv = load_folder(path, ds, out, 0, &files);
	if (!rv && !files)
		return folder_error(path, ds, ERR_NOTFOUND, "no *.yaml in it");
	return rv;
}
