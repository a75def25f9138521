#include "hil/language/select.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/rigfile.h"
#include "hil/language/vocab.h"

#define FILTER_NODES 128
#define FILTER_DEPTH 32
#define WORD_MAX     96

enum op { OP_AND, OP_OR, OP_NOT, OP_WORD };

struct term {
	enum op op;
	int left, right; /* indices into the selector's terms */
	char word[WORD_MAX];
};

struct selector {
	char **tags;
	size_t tags_n;
	struct term *terms; /* owned; NULL: no filter */
	int root;
};

struct selector *selector_new(void)
{
	return calloc(1, sizeof(struct selector));
}

void selector_free(struct selector *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->tags_n; i++)
		free(s->tags[i]);
	free(s->tags);
	free(s->terms);
	free(s);
}

int selector_tag(struct selector *s, const char *tag)
{
	char **tags = realloc(s->tags, (s->tags_n + 1) * sizeof(*tags));

	if (!tags)
		return ERR_NOMEM;
	s->tags = tags;
	tags[s->tags_n] = strdup(tag);
	if (!tags[s->tags_n])
		return ERR_NOMEM;
	s->tags_n++;
	return 0;
}

/* ---- the expression ---- */

struct filter {
	const char *text, *p;
	struct term *terms;
	int n, depth;
	struct err *e;
};

static int failed(struct filter *f, const char *why)
{
	err_set_at(f->e, ERR_PARSE, "filter", 1, (int)(f->p - f->text) + 1, "%s", why);
	return -1;
}

static int new_term(struct filter *f, enum op op, int left, int right)
{
	if (f->n == FILTER_NODES)
		return failed(f, "the expression is too long");
	f->terms[f->n] = (struct term){.op = op, .left = left, .right = right};
	return f->n++;
}

static void skip_blanks(struct filter *f)
{
	f->p += strspn(f->p, " \t\n");
}

/* Is the next word this one? Then it is taken. */
static bool take(struct filter *f, const char *word)
{
	size_t len = strlen(word);

	skip_blanks(f);
	if (strncmp(f->p, word, len) != 0)
		return false;
	if (word[0] != '(' && word[0] != ')' && f->p[len] && !strchr(" \t\n()", f->p[len]))
		return false;
	f->p += len;
	return true;
}

static int parse_or(struct filter *f);

static int parse_word(struct filter *f)
{
	const char *start;
	size_t len;
	int t;

	skip_blanks(f);
	if (*f->p == '\'' || *f->p == '"') {
		char quote[] = {*f->p, '\0'};

		start = ++f->p;
		len = strcspn(start, quote);
		if (!start[len])
			return failed(f, "a quote that does not end");
		f->p += len + 1;
	} else {
		start = f->p;
		len = strcspn(start, " \t\n()");
		f->p += len;
	}
	if (!len || len >= WORD_MAX)
		return failed(f, len ? "a word that is too long" : *f->p ? "a tag or a name is wanted here"
									  : "the expression ends too early");
	t = new_term(f, OP_WORD, -1, -1);
	if (t >= 0)
		memcpy(f->terms[t].word, start, len);
	return t;
}

static int parse_not(struct filter *f)
{
	int inner;

	if (f->depth == FILTER_DEPTH)
		return failed(f, "the expression is nested too deep");
	f->depth++;
	if (take(f, "not")) {
		inner = parse_not(f);
		inner = inner < 0 ? inner : new_term(f, OP_NOT, inner, -1);
	} else if (take(f, "(")) {
		inner = parse_or(f);
		if (inner >= 0 && !take(f, ")"))
			inner = failed(f, "')' is missing");
	} else {
		inner = parse_word(f);
	}
	f->depth--;
	return inner;
}

static int parse_and(struct filter *f)
{
	int left = parse_not(f), right;

	while (left >= 0 && take(f, "and")) {
		right = parse_not(f);
		left = right < 0 ? right : new_term(f, OP_AND, left, right);
	}
	return left;
}

static int parse_or(struct filter *f)
{
	int left = parse_and(f), right;

	while (left >= 0 && take(f, "or")) {
		right = parse_and(f);
		left = right < 0 ? right : new_term(f, OP_OR, left, right);
	}
	return left;
}

int selector_filter(struct selector *s, const char *text, struct err *e)
{
	struct filter f = {.text = text, .p = text, .e = e};
	int root;

	f.terms = calloc(FILTER_NODES, sizeof(*f.terms));
	if (!f.terms)
		return err_set(e, ERR_NOMEM, "out of memory");
	root = parse_or(&f);
	skip_blanks(&f);
	if (root >= 0 && *f.p)
		root = failed(&f, "'and', 'or' or the end is wanted here");
	if (root < 0) {
		free(f.terms);
		return ERR_PARSE;
	}
	free(s->terms);
	s->terms = f.terms;
	s->root = root;
	return 0;
}

/* ---- matching ---- */

static bool has_tag(json_t *plan, const char *glob)
{
	json_t *tag;
	size_t i;

	json_array_foreach(json_object_get(plan, "tags"), i, tag) {
		if (fnmatch(glob, json_string_value(tag), 0) == 0)
			return true;
	}
	return false;
}

static bool has_name(json_t *plan, const char *glob)
{
	const char *id = json_string_value(json_object_get(plan, "id")), *slash = id ? strchr(id, '/') : NULL;

	return id && (fnmatch(glob, id, 0) == 0 || (slash && fnmatch(glob, slash + 1, 0) == 0));
}

static bool holds(const struct selector *s, int at, json_t *plan)
{
	const struct term *t = &s->terms[at];

	switch (t->op) {
	case OP_AND:
		return holds(s, t->left, plan) && holds(s, t->right, plan);
	case OP_OR:
		return holds(s, t->left, plan) || holds(s, t->right, plan);
	case OP_NOT:
		return !holds(s, t->left, plan);
	case OP_WORD:
		break;
	}
	if (strncmp(t->word, "tag:", 4) == 0)
		return has_tag(plan, t->word + 4);
	if (strncmp(t->word, "name:", 5) == 0)
		return has_name(plan, t->word + 5);
	return has_tag(plan, t->word) || has_name(plan, t->word);
}

bool selector_match(const struct selector *s, json_t *plan)
{
	bool tagged = s->tags_n == 0;

	for (size_t i = 0; i < s->tags_n && !tagged; i++)
		tagged = has_tag(plan, s->tags[i]);
	return tagged && (!s->terms || holds(s, s->root, plan));
}

/* ---- rigs ---- */

#define SEND_TIME_MAX  1000000000 /* ns: what libgammu takes is near enough */
#define OWN_MODEMS_MAX 32

static bool lists_rig(json_t *plan, const char *word)
{
	json_t *rigs = json_object_get(plan, "rigs"), *one;
	size_t i;

	json_array_foreach(rigs, i, one) {
		if (strcmp(json_string_value(one), word) == 0)
			return true;
	}
	return !rigs;
}

#define NETWORK_WHY "the network model stands before a server of ours"

/* Is it done to a device's link? */
static bool acts_on_link(json_t *one)
{
	const struct vocab_action *a = vocab_action(json_string_value(json_object_get(one, "do")));

	return a && a->actor == VOCAB_NETWORK;
}

/* Asked of our server over its control socket? */
static bool is_operators(const char *what)
{
	const struct vocab_action *a = vocab_action(what);

	return a && a->actor == VOCAB_OPERATOR;
}

/* Does a part of the plan need a server that we start and stop ourselves? */
static const char *needs_our_server(json_t *plan)
{
	json_t *one, *known;
	size_t i;

	json_array_foreach(json_object_get(plan, "steps"), i, one) {
		const char *what = json_string_value(json_object_get(one, "do"));

		if (acts_on_link(one))
			return NETWORK_WHY;
		if (json_object_get(json_object_get(one, "who"), "server") || strncmp(what, "server_", 7) == 0 || is_operators(what))
			return "its steps act on our server";
	}
	json_array_foreach(json_object_get(plan, "faults"), i, one) {
		const char *on = json_string_value(json_object_get(one, "on"));
		const char *what = json_string_value(json_object_get(one, "do"));
		const char *then = json_string_value(json_object_get(json_object_get(one, "then"), "do"));
		static const char *const ours[] = {"kill", "crash", "stop", "start", "restart"};

		if (acts_on_link(one) || acts_on_link(json_object_get(one, "then")))
			return NETWORK_WHY;
		if (is_operators(what) || (then && is_operators(then)))
			return "its faults act on our server";
		for (size_t k = 0; k < sizeof(ours) / sizeof(ours[0]); k++)
			if (strcmp(what, ours[k]) == 0 || (then && strcmp(then, ours[k]) == 0))
				return "its faults act on our server";
		if (json_object_get(json_object_get(one, "who"), "server"))
			return "its faults act on our server";
		if (on && strncmp(on, "server.", 7) == 0)
			return "its faults are armed in our server";
	}
	json_array_foreach(json_object_get(plan, "groups"), i, one) {
		known = json_object_get(one, "known");
		if (json_object_get(one, "network") || json_object_get(plan, "network"))
			return NETWORK_WHY;
		if (json_is_false(known) || json_is_true(json_object_get(one, "disabled")))
			return "its devices need a registry of ours";
	}
	return NULL;
}

/* What only a clock of our own, or one process for all actors, can do. */
static const char *needs_virtual(json_t *plan)
{
	json_t *one;
	size_t i;

	if (json_object_get(plan, "start_ns"))
		return "its 'start' sets clocks that this rig only reads";
	json_array_foreach(json_object_get(plan, "faults"), i, one) {
		const char *on = json_string_value(json_object_get(one, "on"));
		int kind = on ? journal_kind_by_name(on) : -1;

		if (json_object_get(one, "while") && kind >= 0 && vocab_event_actor((enum journal_kind)kind) != VOCAB_DEVICE)
			return "its 'while' asks for device states where server or modems are another process";
	}
	return NULL;
}

/* A message held back is let go by the next one to its number, whosever that is; and one
 * that names nobody is everybody's on that SIM. */
static bool breaks_modems(json_t *one)
{
	const struct vocab_action *a = vocab_action(json_string_value(json_object_get(one, "do")));
	const char *on = json_string_value(json_object_get(one, "on"));

	return json_object_get(json_object_get(one, "who"), "modem") || (a && a->actor == VOCAB_MODEM) ||
	       (a && vocab_has("reorder replace_text overlong", a->name)) || (on && strcmp(on, "modem.state") == 0);
}

bool plan_owns_modems(json_t *plan)
{
	static const char *const limits[] = {"per_minute", "per_day", "send_limit_ns"};
	const char *carrier = json_string_value(json_object_get(plan, "carrier"));
	json_t *fault;
	size_t i;

	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (json_object_get(json_object_get(plan, "modems"), limits[i]))
			return true;
	json_array_foreach(json_object_get(plan, "faults"), i, fault) {
		if (breaks_modems(fault))
			return true;
	}
	return carrier && strcmp(carrier, "immediate") != 0;
}

static bool wants_memory(json_t *plan)
{
	json_t *one;
	size_t i;

	json_array_foreach(json_object_get(plan, "thresholds"), i, one) {
		if (strcmp(json_string_value(json_object_get(one, "metric")), "server_memory") == 0)
			return true;
	}
	return false;
}

static bool file_serves(const struct rigfile *file, json_t *plan, char *why, size_t size)
{
	json_int_t wanted = json_integer_value(json_object_get(json_object_get(plan, "requires"), "modems"));
	const char *ours = file->server_ours ? NULL : needs_our_server(plan);
	size_t senders = 0, receivers = 0;

	for (size_t i = 0; i < file->modems_n; i++) {
		senders += file->modems[i].role != MODEM_RECEIVER;
		receivers += file->modems[i].role != MODEM_SENDER;
	}
	if (ours)
		snprintf(why, size, "%s", ours);
	else if (plan_owns_modems(plan))
		snprintf(why, size, "it breaks, limits or slows modems: emulated ones only");
	else if (wanted > (json_int_t)file->modems_n)
		snprintf(why, size, "needs %" JSON_INTEGER_FORMAT " modems, the rig has %zu", wanted, file->modems_n);
	else if (!receivers || (file->server_ours && !senders))
		snprintf(why, size, "the rig has no modem that %s", receivers ? "sends" : "receives");
	else
		return true;
	return false;
}

bool rig_serves(const char *rig, const struct rigfile *file, json_t *plan, char *why, size_t size)
{
	bool is_virtual = strcmp(rig, "virtual") == 0, loopback = strcmp(rig, "loopback") == 0;
	json_t *modems = json_object_get(plan, "modems");
	json_int_t has = json_integer_value(json_object_get(modems, "senders")) +
			 json_integer_value(json_object_get(modems, "receivers"));
	json_int_t wanted = json_integer_value(json_object_get(json_object_get(plan, "requires"), "modems"));

	if (!lists_rig(plan, is_virtual ? "virtual" : loopback ? "loopback" : "file")) {
		snprintf(why, size, "its 'rigs' leave this one out");
		return false;
	}
	if ((is_virtual || (file && !file->server_ours)) && wants_memory(plan)) {
		snprintf(why, size, "its threshold of server_memory needs a server process of ours");
		return false;
	}
	if (!is_virtual && needs_virtual(plan)) {
		snprintf(why, size, "%s", needs_virtual(plan));
		return false;
	}
	if (!is_virtual && json_integer_value(json_object_get(modems, "send_time_ns")) > SEND_TIME_MAX) {
		snprintf(why, size, "its modems' 'send_time' is longer than libgammu's own, some 700ms");
		return false;
	}
	if (!is_virtual && plan_owns_modems(plan) && has > OWN_MODEMS_MAX) {
		snprintf(why, size, "at most %d emulated modems of its own", OWN_MODEMS_MAX);
		return false;
	}
	if (file)
		return file_serves(file, plan, why, size);
	if (wanted > has) {
		snprintf(why, size, "needs %" JSON_INTEGER_FORMAT " modems, its rig has %" JSON_INTEGER_FORMAT, wanted, has);
		return false;
	}
	return true;
}
