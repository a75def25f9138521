/* A strict subset of YAML 1.2, read into a tree whose every node knows its place.
 * Scalars stay text: the schema (vocab.h) decides types. JSON is accepted. */
#ifndef HIL_LANGUAGE_YAML_TREE_H
#define HIL_LANGUAGE_YAML_TREE_H

#include "hil/language/diag.h"

#define YAML_SIZE_MAX  (1024 * 1024)
#define YAML_DEPTH_MAX 32
#define YAML_KEYS_MAX  1000 /* of one mapping */

enum yaml_kind { YAML_KIND_SCALAR, YAML_KIND_LIST, YAML_KIND_MAP };

struct yaml_item;
struct yaml_node {
	enum yaml_kind kind;
	struct mark at;
	const char *text;        /* a scalar's, NUL-terminated, without NUL inside */
	bool quoted;             /* a plain empty scalar is "nothing there" */
	struct yaml_item *first; /* of a list or mapping, in order */
	struct yaml_item **tail;
	size_t n;
};

struct yaml_item {
	struct yaml_node *key; /* a scalar; NULL in a list */
	struct yaml_node *value;
	struct yaml_item *next;
};

struct yaml_tree;

/* Reads one document. Errors, each with its place: anchors, aliases, tags, directives,
 * tabs, duplicate keys, keys that are no words, several documents, NUL, control
 * characters, bad UTF-8, over YAML_SIZE_MAX, deeper than YAML_DEPTH_MAX, no document.
 * NULL where one of them hides what follows; else a whole tree, though `ds->errors` may
 * have moved, so that the schema's errors can be told with them. */
struct yaml_tree *yaml_tree_parse(const struct source *src, struct diags *ds);
void yaml_tree_free(struct yaml_tree *t);
const struct yaml_node *yaml_tree_root(const struct yaml_tree *t);

/* Zeroed memory that lives as long as the tree; NULL where there is none. */
void *yaml_tree_take(struct yaml_tree *t, size_t size);
/* The value under `key` of a mapping; NULL where absent or no mapping. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* "a list", "a mapping", "'text'" into `out`; for messages. */
const char *yaml_describe(const struct yaml_node *n, char *out, size_t size);

#endif
