/* Verdicts and exit codes (contracts.md, Verdicts). */
#ifndef HIL_JUDGE_VERDICT_H
#define HIL_JUDGE_VERDICT_H

#include <jansson.h>

#include "reports/result.h"

/* X(NAME, code, precedence: the greater wins) */
#define EXIT_TABLE(X)                                                                                          \
	X(PASSED, 0, 0)                                                                                        \
	X(NOTHING, 4, 1)                                                                                       \
	X(INCONCLUSIVE, 5, 2)                                                                                  \
	X(FAILED, 1, 3)                                                                                        \
	X(ENVIRONMENT, 3, 4)                                                                                   \
	X(BAD_INPUT, 2, 5)                                                                                     \
	X(INTERRUPTED, 130, 6)                                                                                 \
	X(TERMINATED, 143, 6)                                                                                  \
	X(INTERNAL, 70, 7)

#define EXIT_ENUM(name, code, weight) EXIT_##name = code,
enum exit_code { EXIT_TABLE(EXIT_ENUM) };

struct verdict_options {
	bool allow_unjudged;
	const char *today; /* "YYYY-MM-DD"; NULL: no xfail is expired */
};

/* Decides verdict, reason and blame of `s` from its checks; `xfail` is the plan's
 * member or NULL. An invariant that fails and is not among xfail's `invariants` is a
 * FAIL all the same. A SKIP stays one. 0 or ERR_NOMEM. */
int verdict_decide(struct scenario_result *s, json_t *xfail, const struct verdict_options *opt);
/* Behind verdict_decide: what failed or could not be told is QUARANTINE until `quarantine`
 * (the plan's member, NULL: none) expires. 0 or ERR_NOMEM. */
int verdict_quarantine(struct scenario_result *s, json_t *quarantine, const struct verdict_options *opt);

/* Is it the subject's failure (device, server, nobody known), and not the test bench's? */
bool verdict_is_subject(enum blame b);
/* The exit code of one verdict, of a whole run, and the one of two that wins. */
int verdict_exit(enum verdict v);
int verdict_run_exit(const struct run_result *r);
int verdict_exit_merge(int a, int b);

#endif
