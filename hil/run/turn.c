#include "hil/run/turn.h"

#include <stdlib.h>

unsigned turn_weight(json_t *plan)
{
	unsigned weight = 0;
	size_t i;
	json_t *group;

	json_array_foreach(json_object_get(plan, "groups"), i, group) {
		weight += (unsigned)json_integer_value(json_object_get(group, "count"));
	}
	return weight;
}

struct length {
	size_t index;
	json_int_t timeout_ns;
};

static int longer(const void *a, const void *b)
{
	const struct length *x = a, *y = b;

	if (x->timeout_ns != y->timeout_ns)
		return x->timeout_ns > y->timeout_ns ? -1 : 1;
	return x->index < y->index ? -1 : 1; /* equals as they stand */
}

size_t *turns_new(json_t *const *plans, size_t n, bool longest_first)
{
	struct length *length = calloc(n ? n : 1, sizeof(*length));
	size_t *turns = calloc(n ? n : 1, sizeof(*turns));

	if (!length || !turns) {
		free(length);
		free(turns);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		length[i].index = i;
		length[i].timeout_ns = json_integer_value(json_object_get(plans[i], "timeout_ns"));
	}
	if (longest_first)
		qsort(length, n, sizeof(*length), longer);
	for (size_t i = 0; i < n; i++)
		turns[i] = length[i].index;
	free(length);
	return turns;
}
