/* Values and flow mappings of written scenarios: what scenario_write.c builds its parts
 * from. For these two files only. */
#ifndef HIL_LANGUAGE_WRITE_H
#define HIL_LANGUAGE_WRITE_H

#include <stdbool.h>
#include <jansson.h>

#include "core/buf.h"
#include "hil/language/vocab.h"

void put_text(struct buf *out, const char *s);
void put_duration(struct buf *out, json_int_t ns);
void put_range(struct buf *out, json_t *range);
void put_who(struct buf *out, json_t *who);
void put_list(struct buf *out, json_t *words);

/* A flow mapping under way: {key: value, …} */
struct flow {
	struct buf *out;
	bool any;
};
struct flow open_flow(struct buf *out);
void close_flow(struct flow *f);
/* Writes the key; what follows in the buffer is its value. */
struct buf *key(struct flow *f, const char *name);

/* One value by its row of the vocabulary. */
void put_value(struct buf *out, const struct vocab_key *k, json_t *v);
/* Every key of a place that has a member in the plan, in the vocabulary's order. */
void put_place(struct flow *f, const char *place, json_t *object);
/* A copy without what a reader would fill in by itself; `defaults` is JSON. */
json_t *without(json_t *object, const char *defaults);

#endif
