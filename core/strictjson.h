/* JSON from a peer: what jansson would let through or recurse on is refused before
 * it sees a byte. Exactly one document, UTF-8, no NUL, no duplicate key, no nesting
 * over `depth_max` (an object in an object is 2). */
#ifndef CORE_STRICTJSON_H
#define CORE_STRICTJSON_H

#include <stddef.h>
#include <jansson.h>

#include "core/err.h"

/* A new reference, or NULL and `e`: ERR_PARSE or ERR_NOMEM. Its sentence never
 * repeats the input, which may hold secrets; its line and column count from 1. */
json_t *strictjson_load(const char *data, size_t len, unsigned depth_max, struct err *e);

/* A string member as a text of at most size - 1 bytes into `out`. 1 where copied, 0
 * where absent (out is ""), ERR_PARSE where it is no string, ERR_LIMIT where too long. */
int strictjson_text(json_t *object, const char *key, char *out, size_t size);

/* The deepest nesting of `data`, counted until `stop` is passed; strings are skipped. */
unsigned strictjson_depth(const char *data, size_t len, unsigned stop);

#endif
