/* What lift.c and lift_sms.c share. */
#ifndef HIL_RUN_LIFT_INT_H
#define HIL_RUN_LIFT_INT_H

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "core/journal.h"
#include "hil/run/lift.h"

struct lift {
	const struct recording *r;
	struct lifted *out;
	json_t *faults; /* of the new plan; owned until it is the plan's */
	time_ns start;	/* the scenario's time 0 */
};

struct lift_device {
	const char *uuid, *label;
};

static inline bool lift_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* As a person would write it: in tenths of a second. */
static inline time_ns lift_round(time_ns t)
{
	return (t + 50 * NS_PER_MS) / (100 * NS_PER_MS) * (100 * NS_PER_MS);
}

void lift_note(struct lift *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One more fault for one device, at the nth such event that no fault before it took; takes
 * `args` (NULL: none). Borrowed. */
json_t *lift_add(struct lift *l, const struct lift_device *d, const char *on, uint64_t nth, const char *what, json_t *args);
/* The scenario's own fault that event `i` of the tape fired; NULL: none. */
json_t *lift_fired(const struct lift *l, size_t i);
bool lift_is_chance(json_t *fault);

/* Was the server down at some time between the two? */
bool lift_server_away(const struct lift *l, time_ns from, time_ns to);

/* What befell one device's SMS. 0 or ERR_NOMEM. */
int lift_sms(struct lift *l, const struct lift_device *d);

#endif
