/* What makes two failures the same one: which check failed, what was seen instead, whose
 * doing it was. Times, places, names of devices and ids of one run stand aside, so that
 * the same defect has one signature in every seed. */
#ifndef HIL_JUDGE_SIGNATURE_H
#define HIL_JUDGE_SIGNATURE_H

#include <stdbool.h>

#include "reports/result.h"

#define SIGNATURE_TEXT_MAX 400
#define SIGNATURE_ID_SIZE  9

struct signature {
	char id[SIGNATURE_ID_SIZE];    /* 8 hex digits; "" : nothing failed */
	char text[SIGNATURE_TEXT_MAX]; /* for people: "final: IDLE (refused, 403) · server: …" */
	bool invariant;		       /* of the oracle: an xfail must name it; it is `text` up to its ':' */
};

/* Of the failure that says most: a broken invariant before an expectation, a step that
 * timed out last (it follows from the others). "" where no check failed; a harness's
 * failure has the signature of its reason. */
void signature_of(const struct scenario_result *s, struct signature *out);
/* A text without what belongs to one run only: "after 7.4 s" and "after 7.5 s" are one. */
void signature_plain(const char *text, char out[SIGNATURE_TEXT_MAX]);
/* The line that makes a scenario that fails so a known failure, its reason and day left open. */
void signature_xfail(const struct signature *s, char *out, size_t size);
/* Is it among the failures of `s`, whatever else failed with it? */
bool signature_in(const struct scenario_result *s, const char *id);

/* All that failed in one run, or in several. Of a step it is enough which one: how far
 * everybody was when it timed out follows from the rest. Zero-initialise. */
struct signature_set {
	char (*ids)[SIGNATURE_ID_SIZE];
	size_t n, cap;
};

/* Adds what failed in `s`. 0 or ERR_NOMEM. */
int signature_set_add(struct signature_set *set, const struct scenario_result *s);
void signature_set_fini(struct signature_set *set);
/* As signature_of, but of what `set` does not know; "" where it knows it all. */
void signature_beyond(const struct scenario_result *s, const struct signature_set *set, struct signature *out);

#endif
