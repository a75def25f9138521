/* What strictjson_load tries first. */
#ifndef CORE_STRICTJSON_QUICK_H
#define CORE_STRICTJSON_QUICK_H

#include <stddef.h>
#include <jansson.h>

/* A new reference to what strictjson_load would give; NULL for a document that it would
 * refuse, for one that only jansson can read (escapes, UTF-8, long numbers), and without
 * memory: the long way then tells which. */
json_t *strictjson_quick(const char *data, size_t len, unsigned depth_max);

#endif
