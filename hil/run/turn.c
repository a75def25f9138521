#include "hil/run/turn.h"

#include <stdlib.h>
#include <string.h>

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
	bool alone;
	json_int_t timeout_ns;
};

static int longer(const void *a, const void *b)
{
	const struct length *x = a, *y = b;

	if (x->alone != y->alone)
		return x->alone ? -1 : 1;
	if (x->timeout_ns != y->timeout_ns)
		return x->timeout_ns > y->timeout_ns ? -1 : 1;
	return x->index < y->index ? -1 : 1; /* equals as they stand */
}

size_t *turns_new(json_t *const *plans, size_t n, unsigned capacity)
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
		length[i].alone = turn_weight(plans[i]) > capacity;
		length[i].timeout_ns = json_integer_value(json_object_get(plans[i], "timeout_ns"));
	}
	if (capacity)
		qsort(length, n, sizeof(*length), longer);
	for (size_t i = 0; i < n; i++)
		turns[i] = length[i].index;
	free(length);
	return turns;
}

bool turn_fit(size_t *turns, size_t next, size_t n, json_t *const *plans, unsigned room)
{
	size_t k = next, chosen;

	while (k < n && turn_weight(plans[turns[k]]) > room)
		k++;
	if (k == n)
		return false;
	chosen = turns[k];
	memmove(&turns[next + 1], &turns[next], (k - next) * sizeof(*turns));
	turns[next] = chosen;
	return true;
}
