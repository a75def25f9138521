/* Who: `A`, `A[3]`, `A:10%`, `others`, `all`, a modem's name, `server`. */
#ifndef HIL_LANGUAGE_WHO_H
#define HIL_LANGUAGE_WHO_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

/* What a text of this grammar may name. */
struct who_scope {
	json_t *groups; /* of the plan; NULL: any name is a group */
	int64_t senders, receivers;
};

/* The plan's `who` (docs/plan.md), a new reference; NULL, and `why` says what is wrong. */
json_t *who_from_text(const char *text, const struct who_scope *scope, char *why, size_t size);
/* Is it a share of a group of the scope that rounds to no device? */
bool who_is_nobody(json_t *who, const struct who_scope *scope);
/* May a group bear this name? */
bool who_group_name(const char *name);
/* all, others, a group, one device or a share of a group. NULL (absent) is all. */
bool who_is_devices(json_t *who);

#endif
