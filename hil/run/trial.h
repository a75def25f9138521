/* Trials: plans run on the virtual rig and judged, many after one another or side by
 * side, for whoever asks the rig questions by the hundred (replay, shrink, soak, prove).
 * No folder, no report, no console: the asker has the result and decides. */
#ifndef HIL_RUN_TRIAL_H
#define HIL_RUN_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "core/err.h"
#include "hil/run/rss.h"
#include "hil/run/tape.h"
#include "reports/result.h"

struct trial {
	json_t *plan; /* resolved (docs/plan.md); a reference of the trial's own */
	bool keep;    /* keep the whole journal in `tape`; else it is judged as it comes */
	/* Sees each event as it comes; may be NULL. */
	void (*event)(struct trial *t, const struct journal_event *ev, const char *line, size_t len);
	void *user;

	/* Filled when `done` is called. */
	struct scenario_result *result; /* the judge's, and wall_ns */
	char hash[65];			/* SHA-256 of the journal; "" where the rig failed */
	size_t events;
	struct tape *tape; /* with `keep` */
	struct rss_track rss; /* of the rig's process */
	bool interrupted;  /* ended by a signal or trials_stop: no verdict to trust */
};

/* Takes a reference of `plan`. NULL without memory. */
struct trial *trial_new(json_t *plan);
void trial_free(struct trial *t);

struct trials;

struct trials_options {
	unsigned jobs;	     /* side by side; 0: the rig's own number */
	const char *program; /* beside this one; NULL: quicrig-virtual */
	bool allow_unjudged;
	/* The next trial, or NULL: none now (asked again behind each `done`; where none
	 * runs and none comes the whole ends). The trial stays the asker's. */
	struct trial *(*next)(void *ctx);
	/* It has ended; it may be freed here. One that could not even begin is `interrupted`,
	 * its `result` may be NULL. */
	void (*done)(void *ctx, struct trials *ts, struct trial *t);
	/* Called about once a second while trials run; may be NULL. */
	void (*tick)(void *ctx);
	void *ctx;
	double wall_s; /* of all together; 0: none. What still runs then is interrupted. */
};

/* Runs until there are no more. 0; ERR_CLOSED after SIGINT or SIGTERM (`*signal_number`
 * says which, 0 else; may be NULL) or `wall_s`; ERR_ENVIRONMENT, ERR_NOMEM and `e`. */
int trials_run(const struct trials_options *o, int *signal_number, struct err *e);
/* From within `done`: asks for no more, interrupts what runs. trials_run returns 0. */
void trials_stop(struct trials *ts);

/* One plan, once. The trial is new, the caller's; NULL and `e` as above (ERR_CLOSED: interrupted). */
struct trial *trial_once(json_t *plan, const char *program, bool keep, struct err *e);
/* As trial_once; `*signal_number` says what interrupted it, 0: nothing. */
struct trial *trial_once_or_signal(json_t *plan, const char *program, bool keep, int *signal_number, struct err *e);

#endif
