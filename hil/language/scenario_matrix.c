/* parameters and matrix: one scenario of a file becomes one for each combination, its
 * `$name`s replaced. What is made is a tree like the file's, so everything behind this
 * reads it alike, and errors point at the file's own characters. */
#include "hil/language/scenario_matrix.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX   64      /* parameters and dimensions of one scenario */
#define CASES_MAX   1000    /* combinations of one scenario */
#define NODES_MAX   1000000 /* looked at in one file, all combinations together */
#define SCALAR_MAX  4096    /* bytes of a text that was put together */
#define CASE_SUFFIX 65

struct binding {
	const struct yaml_node *name;
	const struct yaml_node *value;
	size_t index;  /* of the value among its dimension's */
	bool dimension;
	bool shared;   /* of the defaults: a scenario need not use it */
	bool foreign;  /* … of another file's */
	bool *used;
};

struct matrix {
	struct reader *r;
	const struct source *src; /* of what is read now */
	const struct yaml_node *scenario;
	struct binding all[NAMES_MAX];
	size_t n, fixed; /* the first `fixed` are parameters, alike in each case; 0 while they are read */
	bool used[NAMES_MAX];
	bool taking; /* a parameter's own value is being read */
	bool failed;
};

static bool is_parameter_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > 32 || (!isalpha((unsigned char)name[0]) && name[0] != '_'))
		return false;
	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_')
			return false;
	return true;
}

/* ---- substitution ---- */

static const struct binding *find(const struct matrix *m, const char *name, size_t len)
{
	for (size_t i = 0; i < m->n; i++)
		if (strlen(m->all[i].name->text) == len && strncmp(m->all[i].name->text, name, len) == 0)
			return &m->all[i];
	return NULL;
}

static void unknown(struct matrix *m, const struct yaml_node *at, const char *name, size_t len)
{
	struct vocab_near near;
	char typed[64], hint[96];

	snprintf(typed, sizeof(typed), "%.*s", (int)len, name);
	vocab_near_init(&near, typed);
	for (size_t i = 0; i < m->n; i++)
		vocab_near_offer(&near, m->all[i].name->text);
	vocab_near_text(&near, hint, sizeof(hint));
	diag_error(m->r->ds, m->src, at->at, *hint ? hint : "a '$' that is meant is written '$$'",
		   m->taking ? "no parameter that stands before this is called '%s'" : "no parameter is called '%s'", typed);
	m->failed = true;
}

static size_t word_length(const char *p)
{
	size_t n = 0;

	if (!isalpha((unsigned char)*p) && *p != '_')
		return 0;
	while (isalnum((unsigned char)p[n]) || p[n] == '_')
		n++;
	return n;
}

/* The value that `*p`, behind its '$', names: `name`, `(name)`, `name.member`; moves `*p`
 * behind it. NULL: no parameter is meant (`*p` stays), or a diag. */
static const struct yaml_node *named(struct matrix *m, const struct yaml_node *at, const char **p, bool *foreign)
{
	bool round = **p == '(';
	const char *name = *p + round;
	size_t len = word_length(name);
	const struct binding *b;
	const struct yaml_node *value;
	char member[64];

	if (!len || (round && name[len] != ')' && name[len] != '.'))
		return NULL;
	b = find(m, name, len);
	if (!b) {
		unknown(m, at, name, len);
		return NULL;
	}
	*b->used = true;
	*foreign = b->foreign;
	value = b->value;
	*p = name + len;
	while (value->kind == YAML_KIND_MAP && **p == '.' && (len = word_length(*p + 1))) {
		snprintf(member, sizeof(member), "%.*s", (int)len, *p + 1);
		if (!yaml_get(value, member)) {
			diag_error(m->r->ds, m->src, at->at, NULL, "'$%s' has no '%s'", b->name->text, member);
			m->failed = true;
			return NULL;
		}
		value = yaml_get(value, member);
		*p += 1 + len;
	}
	if (round && **p != ')') {
		diag_error(m->r->ds, m->src, at->at, NULL, "'$(%s' has no ')'", b->name->text);
		m->failed = true;
		return NULL;
	}
	*p += round;
	return value;
}

static struct yaml_node *copy_of(struct matrix *m, const struct yaml_node *n)
{
	struct yaml_node *c = yaml_tree_take(m->r->tree, sizeof(*c));

	if (!c) {
		m->r->nomem = m->failed = true;
		return NULL;
	}
	*c = *n;
	if (n->kind != YAML_KIND_SCALAR) {
		c->first = NULL;
		c->tail = &c->first;
		c->n = 0;
	}
	return c;
}

static void append(struct matrix *m, struct yaml_node *to, const struct yaml_node *key, const struct yaml_node *value)
{
	struct yaml_item *i = yaml_tree_take(m->r->tree, sizeof(*i));

	if (!i) {
		m->r->nomem = m->failed = true;
		return;
	}
	*i = (struct yaml_item){.key = (struct yaml_node *)key, .value = (struct yaml_node *)value};
	*to->tail = i;
	to->tail = &i->next;
	to->n++;
}

/* One more node was looked at; false where it was too many. */
static bool counted(struct matrix *m)
{
	if (++m->r->expanded <= NODES_MAX)
		return true;
	diag_error(m->r->ds, m->r->src, m->scenario->at, NULL, "the matrices of this file make too much of it");
	m->failed = true;
	return false;
}

/* All of a value is read once more wherever it is named. */
static bool counted_all(struct matrix *m, const struct yaml_node *n)
{
	for (const struct yaml_item *i = n->first; i && !m->failed; i = i->next)
		counted_all(m, i->value);
	return !m->failed && counted(m);
}

/* Another file's lines mean nothing in this one: all of it stands where it is used. */
static struct yaml_node *moved(struct matrix *m, const struct yaml_node *n, struct mark at)
{
	struct yaml_node *c = counted(m) ? copy_of(m, n) : NULL;

	if (!c)
		return NULL;
	c->at = at;
	for (const struct yaml_item *i = n->first; i && !m->failed; i = i->next)
		append(m, c, i->key ? moved(m, i->key, at) : NULL, moved(m, i->value, at));
	return c;
}

/* A text with parameters in it; the node itself where it has none. */
static const struct yaml_node *expand_text(struct matrix *m, const struct yaml_node *n)
{
	char out[SCALAR_MAX];
	size_t used = 0;
	const char *p = n->text;
	struct yaml_node *c;
	char *text;

	while (*p && used + 2 < sizeof(out)) {
		const struct yaml_node *value = NULL;
		const char *behind = p + 1;
		bool foreign = false;

		if (*p == '$' && p[1] == '$')
			p++;
		else if (*p == '$')
			value = named(m, n, &behind, &foreign);
		if (m->failed)
			return n;
		if (!value) {
			out[used++] = *p++;
			continue;
		}
		if (p == n->text && !*behind && foreign && (c = moved(m, value, n->at)))
			return c;
		if (m->failed)
			return n;
		if (p == n->text && !*behind && counted_all(m, value) && (c = copy_of(m, value))) {
			/* the whole of it: whatever it is; errors point to where it is used */
			c->at = n->at;
			c->first = value->first;
			c->n = value->n;
			return c;
		}
		if (m->failed)
			return n;
		if (value->kind != YAML_KIND_SCALAR || strlen(value->text) >= sizeof(out) - used) {
			diag_error(m->r->ds, m->src, n->at, NULL, "a parameter inside a text must be a word, and not too long");
			m->failed = true;
			return n;
		}
		memcpy(out + used, value->text, strlen(value->text));
		used += strlen(value->text);
		p = behind;
	}
	if (*p) {
		diag_error(m->r->ds, m->src, n->at, NULL, "more than %d bytes in a text with parameters", SCALAR_MAX - 2);
		m->failed = true;
	}
	c = copy_of(m, n);
	text = yaml_tree_take(m->r->tree, used + 1);
	if (!c || !text) {
		m->r->nomem = m->failed = true;
		return n;
	}
	memcpy(text, out, used);
	c->text = text;
	return c;
}

static bool any_named_key(const struct yaml_node *n)
{
	for (const struct yaml_item *i = n->first; i; i = i->next)
		if (i->key && strchr(i->key->text, '$'))
			return true;
	return false;
}

/* A key stays a word, and the only one of its name; `careful`: one of them has a parameter. */
static const struct yaml_node *expand_key(struct matrix *m, const struct yaml_node *key, const struct yaml_node *map,
					  bool careful)
{
	const struct yaml_node *out;

	if (!key || !careful)
		return key;
	out = strchr(key->text, '$') ? expand_text(m, key) : key;
	if (m->failed)
		return key;
	if (out->kind != YAML_KIND_SCALAR)
		diag_error(m->r->ds, m->src, key->at, NULL, "a key must be a word");
	else if (yaml_get(map, out->text))
		diag_error(m->r->ds, m->src, key->at, NULL, "duplicate key '%.60s'", out->text);
	else
		return out;
	m->failed = true;
	return key;
}

static const struct yaml_node *expand(struct matrix *m, const struct yaml_node *n)
{
	struct yaml_node *c;
	bool careful;

	if (m->failed)
		return n;
	if (!counted(m))
		return n;
	if (n->kind == YAML_KIND_SCALAR)
		return strchr(n->text, '$') ? expand_text(m, n) : n;
	c = copy_of(m, n);
	careful = any_named_key(n);
	for (const struct yaml_item *i = n->first; i && c && !m->failed; i = i->next)
		append(m, c, expand_key(m, i->key, c, careful), expand(m, i->value));
	return c && !m->failed ? c : n;
}

/* ---- what names stand for ---- */

static void add(struct matrix *m, const struct yaml_node *name, const struct yaml_node *value, size_t index,
		bool dimension, bool shared)
{
	bool foreign = m->src != m->r->src;

	/* it may name those that stand before it */
	m->taking = true;
	value = expand(m, value);
	m->taking = false;
	if (m->failed)
		return;
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->all[i].name->text, name->text) != 0)
			continue;
		if (!m->all[i].shared || m->fixed) {
			diag_error(m->r->ds, m->src, name->at, NULL, "'%.40s' is a parameter already (line %d)", name->text,
				   m->all[i].name->at.line);
			m->failed = true;
		}
		m->all[i].value = value; /* a scenario's own goes before its defaults' */
		m->all[i].shared = shared;
		m->all[i].foreign = foreign;
		return;
	}
	if (!is_parameter_name(name->text)) {
		diag_error(m->r->ds, m->src, name->at, NULL,
			   "'%.40s' cannot be a parameter's name (a letter first, then letters, digits and '_')", name->text);
		m->failed = true;
	} else if (m->n == NAMES_MAX) {
		diag_error(m->r->ds, m->src, name->at, NULL, "more than %d parameters", NAMES_MAX);
		m->failed = true;
	} else {
		m->all[m->n] = (struct binding){name, value, index, dimension, shared, foreign, &m->used[m->n]};
		m->n++;
	}
}

/* ---- one case ---- */

/* A value by its text, a mapping by its `name`, else by its number. */
static void add_suffix(const struct binding *b, char *out, size_t size)
{
	const struct yaml_node *named = b->value->kind == YAML_KIND_MAP ? yaml_get(b->value, "name") : b->value;
	size_t used = strlen(out);

	if (named && named->kind == YAML_KIND_SCALAR && named->text[0])
		snprintf(out + used, size - used, "-%s", named->text);
	else
		snprintf(out + used, size - used, "-%zu", b->index + 1);
	for (char *p = out + used; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '_' && *p != '.')
			*p = '-';
}

/* A name that says nothing of its case gets the values behind it; of a list of cases,
 * their `name` or number. */
static const struct yaml_node *name_of(struct matrix *m, const struct yaml_node *name, size_t number)
{
	char text[CASE_SUFFIX + NAMES_MAX] = "";
	const struct binding *case_name = find(m, "name", 4);
	struct yaml_node *c;
	char *copy;

	if (!name || name->kind != YAML_KIND_SCALAR || strchr(name->text, '$') || m->n == m->fixed)
		return name ? expand(m, name) : NULL;
	snprintf(text, sizeof(text), "%.64s", name->text);
	if (m->all[m->fixed].dimension)
		for (size_t i = m->fixed; i < m->n; i++)
			add_suffix(&m->all[i], text, sizeof(text));
	else if (case_name && (*case_name->used = true))
		add_suffix(case_name, text, sizeof(text));
	else
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "-%zu", number);
	c = copy_of(m, name);
	copy = yaml_tree_take(m->r->tree, strlen(text) + 1);
	if (!c || !copy) {
		m->r->nomem = m->failed = true;
		return name;
	}
	memcpy(copy, text, strlen(text) + 1);
	c->text = copy;
	return c;
}

static void one_case(struct matrix *m, size_t number, scenario_case_fn *each, void *ctx)
{
	struct yaml_node *c = copy_of(m, m->scenario);

	for (const struct yaml_item *i = m->scenario->first; i && c && !m->failed; i = i->next) {
		if (strcmp(i->key->text, "matrix") == 0 || strcmp(i->key->text, "parameters") == 0)
			append(m, c, i->key, i->value);
		else if (strcmp(i->key->text, "name") == 0)
			append(m, c, i->key, name_of(m, i->value, number));
		else
			append(m, c, i->key, expand(m, i->value));
	}
	if (c && !m->failed)
		each(m->r, c, ctx);
}

/* ---- the cases ---- */

/* What nobody uses is a slip, or a dimension that makes the same scenario many times. */
static void check_used(struct matrix *m, size_t first)
{
	for (size_t i = first; i < m->n && !m->failed; i++)
		if (!m->used[i] && !m->all[i].shared)
			diag_error(m->r->ds, m->src, m->all[i].name->at, NULL, "nothing uses '$%s'", m->all[i].name->text);
}

/* {code: [400, 401], state: [RG, LI]}: each with each, the last turning fastest. */
static void all_combinations(struct matrix *m, const struct yaml_node *node, scenario_case_fn *each, void *ctx)
{
	size_t total = 1;

	for (const struct yaml_item *d = node->first; d; d = d->next) {
		if (d->value->kind != YAML_KIND_LIST || !d->value->first) {
			diag_error(m->r->ds, m->src, d->value->at, "as in matrix: {code: [400, 401]}",
				   "'%.40s' wants a list of values", d->key->text);
			m->failed = true;
			return;
		}
		total = d->value->n > CASES_MAX ? CASES_MAX + 1 : total * d->value->n;
		if (total > CASES_MAX) {
			diag_error(m->r->ds, m->src, node->at, NULL, "more than %d combinations", CASES_MAX);
			m->failed = true;
			return;
		}
	}
	for (size_t k = 0; k < total && !m->failed; k++) {
		size_t left = total, rest = k;

		m->n = m->fixed;
		for (const struct yaml_item *d = node->first; d; d = d->next) {
			const struct yaml_item *v = d->value->first;
			size_t index;

			left /= d->value->n;
			index = rest / left;
			rest %= left;
			for (size_t i = 0; i < index; i++)
				v = v->next;
			add(m, d->key, v->value, index, true, false);
		}
		if (!m->failed)
			one_case(m, k + 1, each, ctx);
	}
}

/* [{code: 403, final: IDLE}, {code: 503, final: PROVISIONED}]: a case each. */
static void listed_cases(struct matrix *m, const struct yaml_node *node, scenario_case_fn *each, void *ctx)
{
	size_t number = 0;

	if (node->n > CASES_MAX) {
		diag_error(m->r->ds, m->src, node->at, NULL, "more than %d cases", CASES_MAX);
		m->failed = true;
		return;
	}
	for (const struct yaml_item *c = node->first; c && !m->failed; c = c->next) {
		if (c->value->kind != YAML_KIND_MAP || !c->value->first) {
			diag_error(m->r->ds, m->src, c->value->at, "as in matrix: [{code: 403, final: IDLE}]",
				   "a case is a mapping of names to values");
			m->failed = true;
			return;
		}
		m->n = m->fixed;
		memset(m->used + m->fixed, 0, sizeof(m->used) - m->fixed * sizeof(m->used[0]));
		for (const struct yaml_item *i = c->value->first; i; i = i->next)
			add(m, i->key, i->value, number, false, false);
		number++;
		if (!m->failed)
			one_case(m, number, each, ctx);
		check_used(m, m->fixed);
	}
}

static void take_parameters(struct matrix *m, const struct yaml_node *node, bool shared)
{
	if (!node)
		return;
	if (node->kind != YAML_KIND_MAP) {
		diag_error(m->r->ds, m->src, node->at, "as in parameters: {ttl: 2s}", "'parameters' wants a mapping");
		m->failed = true;
		return;
	}
	for (const struct yaml_item *i = node->first; i; i = i->next)
		add(m, i->key, i->value, 0, false, shared);
}

void scenario_cases(struct reader *r, const struct yaml_node *scenario, const struct yaml_node *defaults,
		    const struct yaml_node *below, scenario_case_fn *each, void *ctx)
{
	const struct yaml_node *node = yaml_get(scenario, "matrix"), *own = yaml_get(scenario, "parameters");
	const struct yaml_node *shared = yaml_get(defaults, "parameters"), *lower = yaml_get(below, "parameters");
	struct matrix m = {.r = r, .src = r->src, .scenario = scenario};

	if (!node && !own && !shared && !lower) {
		each(r, scenario, ctx);
		return;
	}
	/* what stands there is read once for each case */
	r->ds->once = true;
	take_parameters(&m, lower, true);
	m.src = r->over ? r->over : r->src;
	take_parameters(&m, shared, true);
	m.src = r->src;
	take_parameters(&m, own, false);
	m.fixed = m.n;
	if (m.failed) {
		r->ds->once = false;
		return;
	}
	if (!node) {
		one_case(&m, 1, each, ctx);
	} else if (node->kind == YAML_KIND_SCALAR || !node->first) {
		diag_error(r->ds, r->src, node->at, "as in matrix: {code: [400, 401]}",
			   "'matrix' wants lists of values by name, or a list of cases");
		m.failed = true;
	} else if (node->kind == YAML_KIND_MAP) {
		all_combinations(&m, node, each, ctx);
	} else {
		listed_cases(&m, node, each, ctx);
	}
	if (m.n > m.fixed && !m.all[m.fixed].dimension)
		m.n = m.fixed; /* each case was told of */
	check_used(&m, 0);
	r->ds->once = false;
}
