/* A failing plan made smaller as long as the same expectation fails for the same reason:
 * fewer devices, faults, steps, settings, less time, simpler values. Ends with a plan that
 * scenario_write makes a file of, as a person would have written it. */
#ifndef HIL_RUN_SHRINK_H
#define HIL_RUN_SHRINK_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "core/err.h"
#include "hil/judge/signature.h"

#define SHRINK_TRIALS 3000
#define SHRINK_WALL_S 600.0

/* ---- the search, without running anything ---- */

/* Candidates are tried side by side; which of them is taken depends on the plan alone:
 * always the first of a class that fails alike. */
struct shrink;

/* `signature` is the failure's that must stay. NULL without memory. */
struct shrink *shrink_new(json_t *plan, const struct signature *signature);
void shrink_free(struct shrink *s);
/* The next plan to try, a new reference; NULL: none before one that is under way is told,
 * or none at all (shrink_done). */
json_t *shrink_next(struct shrink *s, uint64_t *ticket);
void shrink_told(struct shrink *s, uint64_t ticket, bool fails_alike);
bool shrink_done(const struct shrink *s);
json_t *shrink_best(const struct shrink *s); /* borrowed */

/* ---- on the virtual rig ---- */

struct shrink_options {
	const char *program; /* NULL: quicrig-virtual */
	const char *plant;   /* a planted bug's name for `program`; NULL: none. Then whatever is
			      * taken must pass where nothing is planted. */
	unsigned jobs;	     /* 0: the rig's own number */
	unsigned trials_max; /* 0: SHRINK_TRIALS */
	double wall_s;	     /* 0: SHRINK_WALL_S */
	/* Each time something smaller was found; may be NULL. `plan` is borrowed. */
	void (*found)(void *ctx, json_t *plan, unsigned trials);
	void *ctx;
};

struct shrink_result {
	json_t *plan; /* the smallest found; owned, shrink_result_fini */
	struct signature signature;
	unsigned trials;
	bool complete;	   /* nothing smaller fails alike; else time, trials or patience were over */
	int signal_number; /* that ended it; 0: none */
};

/* 0: `out->plan` fails as `plan` does. ERR_NOTFOUND: `plan` does not fail on the virtual
 * rig (`e` says what it does instead). ERR_UNSUPPORTED: the language cannot say it.
 * ERR_CLOSED: interrupted before it was known to fail. ERR_ENVIRONMENT, ERR_NOMEM. */
int shrink_run(json_t *plan, const struct shrink_options *o, struct shrink_result *out, struct err *e);
void shrink_result_fini(struct shrink_result *r);

#endif
