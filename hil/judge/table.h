/* The oracle's own transition table: what protocol.md §3 allows, written down a second
 * time from the standard and not from the device (sim/device_table.c). The two share
 * the rows' names and nothing else, so one mistake cannot stand in both. */
#ifndef HIL_JUDGE_TABLE_H
#define HIL_JUDGE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rows.h"

/* What a row presupposes of the reply before it. */
enum need {
	NEED_NONE,     /* a timer, an SMS, power: no reply */
	NEED_CODE,     /* exactly that reply code */
	NEED_UNKNOWN,  /* a code the table does not know, or a reply that is not authentic */
	NEED_NO_CODE,  /* a reply without an integer code */
	NEED_SILENCE,  /* no reply to the request in flight */
	NEED_REJECTED, /* 400, 404 or 413 */
	NEED_COMMAND,  /* a 200, which another row may have used already */
};

/* Whether a row makes the device wait for its backoff. */
enum backs_off {
	BACKS_OFF_NOT,
	BACKS_OFF,
	BACKS_OFF_UNPROVEN, /* where no publish was 200 since the last refresh */
};

struct rule {
	uint16_t from, to; /* bit masks of states */
	enum need need;
	int code;          /* with NEED_CODE */
	bool authentic;    /* only a verified signature may cause it (protocol.md §2, Signed replies) */
};

/* What a row does to the device's own doings; columns of the same table. */
struct rule_effect {
	enum backs_off wait;
	bool new_registration;
	bool sends; /* a request leaves at once */
	bool stays; /* nothing that the device waits for ends with it */
};

/* Every row has one; NULL for ROW_NONE. */
const struct rule *rule_of(enum row_name row);
const struct rule_effect *rule_effect(enum row_name row);
bool rule_allows_from(const struct rule *r, enum state_name from);
bool rule_allows_to(const struct rule *r, enum state_name to);
/* A code that protocol.md §2 lists. */
bool code_known(int64_t code);

#endif
