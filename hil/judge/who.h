/* `who` of a plan (docs/plan.md): which devices, or which other actor. */
#ifndef HIL_JUDGE_WHO_H
#define HIL_JUDGE_WHO_H

#include <stdbool.h>
#include <jansson.h>

#include "core/err.h"

enum who_kind { WHO_ALL, WHO_GROUP, WHO_INDEX, WHO_RATIO, WHO_OTHERS, WHO_SERVER, WHO_MODEM };

struct who {
	enum who_kind kind;
	char name[65];  /* of the group or modem; of a share as the journal has it, A:10% */
	unsigned index; /* from 1; of a share: its number, as the oracle gives it */
};

/* NULL or JSON null: all. 0 or ERR_PARSE. */
int who_from_plan(json_t *j, struct who *out, struct err *e);
/* Is device `index` of `group` one of them? `named`: a fault or a step names it. Of a share
 * the journal alone tells the members: false here, oracle_who knows. */
bool who_has(const struct who *w, const char *group, unsigned index, bool named);
/* "A[3]", "A", "others"; "" for all. */
const char *who_text(const struct who *w, char *out, size_t size);

#endif
