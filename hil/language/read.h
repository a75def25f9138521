/* Nodes of a file to values of a plan, by the rows of the vocabulary. Shared by the
 * files of hil/language only. */
#ifndef HIL_LANGUAGE_READ_H
#define HIL_LANGUAGE_READ_H

#include <jansson.h>

#include "core/err.h"
#include "hil/language/diag.h"
#include "hil/language/vocab.h"
#include "hil/language/yaml_tree.h"

/* What a reader knows while it walks one file. */
struct reader {
	struct diags *ds;
	const struct source *src;
	const struct source *over; /* the file that includes this one; NULL: none does */
	json_t *groups;   /* of the scenario, for `who`; NULL outside of one. Borrowed. */
	int64_t senders, receivers;
	const json_t *start;    /* of the scenario: ns since midnight; NULL: not said. Borrowed. */
	struct yaml_tree *tree; /* of the file */
	size_t expanded;  /* nodes that matrices looked at, of the file */
	bool nomem; /* sticky */
};

/* Sets a member and takes `value`; NULL where memory is short, which is remembered. */
void read_put(struct reader *r, json_t *object, const char *name, json_t *value);
void read_append(struct reader *r, json_t *list, json_t *value);
/* {"file", "line", "col"} of a node; new reference. */
json_t *read_place(struct reader *r, const struct yaml_node *n);

/* "<what> wants <type>, not <node>", with the nearest word where there are words. */
void read_wrong(struct reader *r, const struct yaml_node *n, const struct vocab_key *k);

/* One value by its row: a new reference, or NULL with a diag. Not for VOCAB_OTHER,
 * VOCAB_LATER. */
json_t *read_value(struct reader *r, const struct yaml_node *n, const struct vocab_key *k);
/* The value under a key of its own grammar, by the row of (place, key). */
json_t *read_key(struct reader *r, const struct yaml_node *n, const char *place, const char *key);

/* A mapping of `place`: unknown and missing keys and values of the wrong kind are diags;
 * what has a plan member is put into `out`. False where the node is no mapping. */
bool read_map(struct reader *r, const struct yaml_node *n, const char *place, json_t *out);
/* The same of two places whose keys stand side by side; `place2` may be NULL. */
bool read_maps(struct reader *r, const struct yaml_node *n, const char *place, json_t *out, const char *place2,
	       json_t *out2);
void read_unknown_key(struct reader *r, const struct yaml_node *key, const char *place, const char *place2);

/* A state in its long name; NULL and a diag. */
const char *read_state(struct reader *r, const struct yaml_node *n);
/* Is it a scalar that says something? Else a diag that names `what`. */
bool read_is_word(struct reader *r, const struct yaml_node *n, const char *what);
/* An item of a list or the node itself: walks "one or a list of them". NULL at the end. */
const struct yaml_node *read_each(const struct yaml_node *n, const struct yaml_item **walk, bool *begun);

#endif
