/* Do two rigs agree? Per scenario: the set of rows of the transition table that its
 * devices took on each (not how often: that follows the load), and the two verdicts. */
#ifndef REPORTS_PARITY_H
#define REPORTS_PARITY_H

#include <jansson.h>

#include "core/buf.h"
#include "reports/result.h"

enum parity_outcome {
	PARITY_ALIKE,
	PARITY_DIFFERS,
	PARITY_UNDECIDED, /* a rig could not judge it: INCONCLUSIVE, or never run */
	PARITY_APART,	  /* not compared, for a reason that was known before */
};

enum parity_what { PARITY_ROWS, PARITY_VERDICT }; /* ROWS: rows and verdicts */

struct parity_side {
	bool ran;
	enum verdict verdict;
	bool rows[ROW_END];
};

struct parity_scenario {
	char *id;
	enum parity_what what;
	enum parity_outcome outcome; /* of parity_judge; APART from the start where it is said so */
	char *reason;		     /* why APART, or why only the verdicts count; NULL: none */
	struct parity_side side[2];
};

struct parity {
	char *rigs[2];
	struct parity_scenario *v; /* owned, in the files' order */
	size_t n, cap;
};

/* 0 or ERR_NOMEM, as below. */
int parity_init(struct parity *p, const char *first_rig, const char *second_rig);
void parity_fini(struct parity *p);
/* One that is to be compared, on these terms; `reason` may be NULL. */
int parity_add(struct parity *p, const char *id, enum parity_what what, const char *reason);
/* One that is not compared, and why not. */
int parity_leave(struct parity *p, const char *id, const char *reason);
/* What came of it on rig 0 or 1; scenarios that were never added are passed over. */
void parity_take(struct parity *p, unsigned side, const struct scenario_result *s);
/* Both rigs are done. */
void parity_judge(struct parity *p);
size_t parity_count(const struct parity *p, enum parity_outcome outcome);
/* "alike", "differs", "undecided", "not compared" */
const char *parity_outcome_name(enum parity_outcome outcome);

/* Lines for people: one a scenario that was compared, a line a reason for the others,
 * the totals. Sticky error of `out`. */
int parity_text(const struct parity *p, struct buf *out);
/* report.json's `parity`: rigs, totals by outcome, scenarios; pairs are in the order of
 * the rigs. A new reference, NULL without memory. */
json_t *parity_json(const struct parity *p);

#endif
