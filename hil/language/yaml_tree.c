#include "hil/language/yaml_tree.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define CHUNK_SIZE (64 * 1024)

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(16) char data[];
};

struct yaml_tree {
	struct chunk *chunks;
	struct yaml_node *root;
};

struct frame {
	struct yaml_node *node;
	struct yaml_node *key; /* of a mapping: waits for its value */
};

struct reading {
	const struct source *src;
	struct diags *ds;
	struct yaml_tree *tree;
	struct frame stack[YAML_DEPTH_MAX];
	unsigned depth;
	const char *cursor;  /* into the text, at character `cursor_index` */
	size_t cursor_index;
	bool stop;  /* nothing behind this can be told */
	bool fatal; /* … and the tree is not whole */
};

void *yaml_tree_take(struct yaml_tree *t, size_t size)
{
	struct chunk *c = t->chunks;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!c || c->size - c->used < size) {
		size_t want = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		c = calloc(1, sizeof(*c) + want);
		if (!c)
			return NULL;
		c->size = want;
		c->next = t->chunks;
		t->chunks = c;
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

void yaml_tree_free(struct yaml_tree *t)
{
	struct chunk *c, *next;

	if (!t)
		return;
	for (c = t->chunks; c; c = next) {
		next = c->next;
		free(c);
	}
	free(t);
}

const struct yaml_node *yaml_tree_root(const struct yaml_tree *t)
{
	return t->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_KIND_MAP)
		return NULL;
	for (const struct yaml_item *i = map->first; i; i = i->next)
		if (strcmp(i->key->text, key) == 0)
			return i->value;
	return NULL;
}

const char *yaml_describe(const struct yaml_node *n, char *out, size_t size)
{
	if (n->kind == YAML_KIND_LIST)
		snprintf(out, size, "a list");
	else if (n->kind == YAML_KIND_MAP)
		snprintf(out, size, "a mapping");
	else if (!n->text[0] && !n->quoted)
		snprintf(out, size, "nothing");
	else
		snprintf(out, size, "'%.60s%s'", n->text, strlen(n->text) > 60 ? "…" : "");
	return out;
}

/* ---- the bytes, before libyaml sees them ---- */

/* What YAML 1.2 §5.1 calls printable, without the line breaks that only YAML 1.1 knew. */
static bool printable(unsigned cp)
{
	if (cp < 0x20)
		return cp == '\n' || cp == '\r' || cp == '\t';
	return cp < 0x7F || (cp >= 0xA0 && cp < 0xFFFE && cp != 0x2028 && cp != 0x2029) || cp >= 0x10000;
}

static bool bytes_fit(const struct source *src, struct diags *ds)
{
	const unsigned char *p = (const unsigned char *)src->text, *end = p + src->len;
	struct mark at = {1, 1};
	int tab_line = 0;
	bool fit = true;

	if (src->len > YAML_SIZE_MAX) {
		diag_error(ds, src, (struct mark){0, 0}, NULL, "longer than %d bytes", YAML_SIZE_MAX);
		return false;
	}
	if (src->len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
		p += 3;
	while (p < end) {
		unsigned cp = 0;
		size_t n = diag_utf8_length(p, (size_t)(end - p), &cp);

		if (!n) {
			diag_error(ds, src, at, NULL, "not UTF-8 (byte 0x%02X)", *p);
			return false;
		}
		if (!printable(cp)) {
			diag_error(ds, src, at, NULL, "control character U+%04X%s", cp, cp ? "" : " (NUL)");
			return false;
		}
		if (cp == '\t' && tab_line != at.line) {
			diag_error(ds, src, at, "use spaces; inside quotes \\t", "tab");
			tab_line = at.line;
			fit = false;
		}
		if (cp == '\n' || (cp == '\r' && !(end - p > 1 && p[1] == '\n'))) {
			at.line++;
			at.col = 1;
		} else {
			at.col++;
		}
		p += n;
	}
	return fit;
}

/* ---- events to nodes ---- */

static struct mark mark_of(const yaml_mark_t *m)
{
	return (struct mark){(int)m->line + 1, (int)m->column + 1};
}

static void give_up(struct reading *r, struct mark at, const char *why)
{
	diag_error(r->ds, r->src, at, NULL, "%s", why);
	r->stop = r->fatal = true;
}

static struct yaml_node *new_node(struct reading *r, enum yaml_kind kind, struct mark at)
{
	struct yaml_node *n = yaml_tree_take(r->tree, sizeof(*n));

	if (!n) {
		give_up(r, at, "out of memory");
		return NULL;
	}
	n->kind = kind;
	n->at = at;
	n->tail = &n->first;
	return n;
}

static const struct yaml_node *same_key(const struct yaml_node *map, const char *text)
{
	for (const struct yaml_item *i = map->first; i; i = i->next)
		if (strcmp(i->key->text, text) == 0)
			return i->key;
	return NULL;
}

static void add_item(struct reading *r, struct yaml_node *to, struct yaml_node *key, struct yaml_node *value)
{
	const struct yaml_node *first;
	struct yaml_item *i;

	if (key) {
		first = same_key(to, key->text);
		if (first) {
			diag_error(r->ds, r->src, key->at, NULL, "duplicate key '%.60s' (first at line %d)", key->text,
				   first->at.line);
			return;
		}
		if (to->n == YAML_KEYS_MAX) {
			give_up(r, key->at, "more than 1000 keys in one mapping");
			return;
		}
	}
	i = yaml_tree_take(r->tree, sizeof(*i));
	if (!i) {
		give_up(r, value->at, "out of memory");
		return;
	}
	i->key = key;
	i->value = value;
	*to->tail = i;
	to->tail = &i->next;
	to->n++;
}

/* Puts a finished or just opened node where it belongs. */
static void place(struct reading *r, struct yaml_node *n)
{
	struct frame *top = r->depth ? &r->stack[r->depth - 1] : NULL;

	if (!top) {
		r->tree->root = n;
	} else if (top->node->kind == YAML_KIND_LIST) {
		add_item(r, top->node, NULL, n);
	} else if (top->key) {
		add_item(r, top->node, top->key, n);
		top->key = NULL;
	} else if (n->kind != YAML_KIND_SCALAR) {
		give_up(r, n->at, "a key must be a word");
	} else {
		top->key = n;
	}
}

static void on_scalar(struct reading *r, const yaml_event_t *ev)
{
	struct yaml_node *n = new_node(r, YAML_KIND_SCALAR, mark_of(&ev->start_mark));
	size_t len = ev->data.scalar.length;
	char *text;

	if (!n)
		return;
	if (memchr(ev->data.scalar.value, '\0', len)) {
		give_up(r, n->at, "a text with a NUL in it");
		return;
	}
	text = yaml_tree_take(r->tree, len + 1);
	if (!text) {
		give_up(r, n->at, "out of memory");
		return;
	}
	memcpy(text, ev->data.scalar.value, len);
	n->text = text;
	n->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	place(r, n);
}

static void on_open(struct reading *r, const yaml_event_t *ev, enum yaml_kind kind)
{
	struct yaml_node *n = new_node(r, kind, mark_of(&ev->start_mark));

	if (!n)
		return;
	if (r->depth == YAML_DEPTH_MAX) {
		give_up(r, n->at, "nested more than 32 deep");
		return;
	}
	place(r, n);
	if (!r->stop)
		r->stack[r->depth++] = (struct frame){n, NULL};
}

/* libyaml drops a lone '!' (the non-specific tag), so that only its place tells of it.
 * Marks never run backwards, so the cursor walks the text once. */
static bool lone_tag(struct reading *r, const yaml_mark_t *m)
{
	const char *end = r->src->text + r->src->len;

	while (r->cursor_index < m->index && r->cursor < end) {
		for (r->cursor++; r->cursor < end && ((unsigned char)*r->cursor & 0xC0) == 0x80;)
			r->cursor++;
		r->cursor_index++;
	}
	return r->cursor_index == m->index && r->cursor < end && *r->cursor == '!';
}

static void refuse(struct reading *r, const yaml_event_t *ev, const unsigned char *anchor, const unsigned char *tag)
{
	struct mark at = mark_of(&ev->start_mark);

	if (anchor)
		diag_error(r->ds, r->src, at, NULL, "anchor '&%.40s' (anchors are not part of the language)",
			   (const char *)anchor);
	if (tag)
		diag_error(r->ds, r->src, at, NULL, "tag '%.60s' (tags are not part of the language)", (const char *)tag);
}

static void on_document(struct reading *r, const yaml_event_t *ev)
{
	if (r->tree->root)
		give_up(r, mark_of(&ev->start_mark), "a second document (one file holds one)");
	else if (ev->data.document_start.version_directive ||
		 ev->data.document_start.tag_directives.start != ev->data.document_start.tag_directives.end)
		diag_error(r->ds, r->src, mark_of(&ev->start_mark), NULL, "directives are not part of the language");
}

static void on_event(struct reading *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		on_document(r, ev);
		break;
	case YAML_ALIAS_EVENT:
		give_up(r, mark_of(&ev->start_mark), "alias (aliases are not part of the language)");
		break;
	case YAML_SCALAR_EVENT:
		refuse(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
		if (!ev->data.scalar.tag && ev->data.scalar.plain_implicit && lone_tag(r, &ev->start_mark))
			refuse(r, ev, NULL, (const unsigned char *)"!");
		on_scalar(r, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse(r, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
		on_open(r, ev, YAML_KIND_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
		on_open(r, ev, YAML_KIND_MAP);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		r->depth--;
		break;
	case YAML_STREAM_END_EVENT:
		r->stop = true;
		break;
	default:
		break;
	}
}

/* The first byte of the index-th character of a text that is UTF-8 (bytes_fit); 0 behind its end. */
static char byte_at(const struct source *src, size_t index)
{
	const unsigned char *p = (const unsigned char *)src->text, *end = p + src->len;
	unsigned cp;

	if (src->len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
		p += 3;
	while (index-- && p < end)
		p += diag_utf8_length(p, (size_t)(end - p), &cp);
	return p < end ? (char)*p : '\0';
}

static void syntax_error(struct reading *r, const yaml_parser_t *p)
{
	struct mark at = mark_of(&p->problem_mark);
	const char *context = p->context ? p->context : "", *hint = NULL;

	if (p->error == YAML_MEMORY_ERROR) {
		give_up(r, (struct mark){0, 0}, "out of memory");
		return;
	}
	if (p->problem && (strstr(p->problem, "expected key") || strstr(p->problem, "'-' indicator")))
		hint = "is it indented as what stands above it?";
	/* what people write without quotes here: a device, and a count */
	else if (p->problem && strstr(p->problem, "',' or '}'") && byte_at(r->src, p->problem_mark.index) == '[')
		hint = "inside { } a text with [ or ] stands in quotes: \"A[3]\"";
	else if ((p->problem && strstr(p->problem, "cannot start any token")) || strstr(context, "block scalar"))
		hint = "a text that begins with a sign stands in quotes: \">= 2\"";
	if (*context)
		diag_error(r->ds, r->src, at, hint, "not YAML: %s %s begun at line %d", p->problem, context,
			   mark_of(&p->context_mark).line);
	else
		diag_error(r->ds, r->src, at, hint, "not YAML: %s", p->problem ? p->problem : "cannot be read");
	r->stop = r->fatal = true;
}

struct yaml_tree *yaml_tree_parse(const struct source *src, struct diags *ds)
{
	struct reading r = {.src = src, .ds = ds};
	yaml_parser_t p;
	yaml_event_t ev;

	if (!bytes_fit(src, ds))
		return NULL;
	r.tree = calloc(1, sizeof(*r.tree));
	if (!r.tree || !yaml_parser_initialize(&p)) {
		diag_error(ds, src, (struct mark){0, 0}, NULL, "out of memory");
		free(r.tree);
		return NULL;
	}
	/* libyaml would count a byte order mark as a column */
	r.cursor = src->text + (src->len >= 3 && memcmp(src->text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)r.cursor,
				     src->len - (size_t)(r.cursor - src->text));
	while (!r.stop) {
		if (!yaml_parser_parse(&p, &ev)) {
			syntax_error(&r, &p);
			break;
		}
		on_event(&r, &ev);
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&p);
	if (!r.tree->root && !r.fatal)
		give_up(&r, (struct mark){1, 1}, "nothing in it");
	if (r.fatal) {
		yaml_tree_free(r.tree);
		return NULL;
	}
	return r.tree;
}
