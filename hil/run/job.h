/* One scenario on its way through a rig, and what a rig is to the runner. */
#ifndef HIL_RUN_JOB_H
#define HIL_RUN_JOB_H

#include <stdbool.h>
#include <ev.h>
#include <jansson.h>

#include "core/err.h"
#include "core/time.h"
#include "core/world_live.h"
#include "hil/language/rigfile.h"
#include "hil/run/rss.h"
#include "hil/run/tape.h"

struct job {
	json_t *plan;	/* resolved (docs/plan.md); borrowed */
	const char *id; /* suite/name */
	struct tape *tape; /* NULL: events go to `event` alone, nothing is kept (virtual rig only) */
	/* Each event as it comes, with its line as written; may be NULL where there is a tape. */
	void (*event)(void *ctx, struct job *job, const struct journal_event *ev, const char *line, size_t len);
	char end[160];	   /* "settled" or why it ended otherwise */
	char harness[300]; /* "" or what the rig itself failed at: INCONCLUSIVE */
	char server_died[300]; /* "" or how a server of its own ended that should not have */
	bool interrupted;
	struct rss_track rss; /* of the virtual rig's process, by virtual time */
	double started_s, wall_s; /* real time, by the loop's clock */
	time_ns rig_ns;		  /* by the rig's clock */
	void (*done)(void *ctx, struct job *job);
	void *ctx;
	void *asker; /* the asker's, for whoever runs many */
	void *rig; /* the rig's own */
};

struct rig_options {
	struct live_loop *live;
	struct ev_loop *loop; /* live's */
	const char *dir;      /* a folder of this run, 0700, outside the artefacts */
	json_t *const *plans; /* the selected ones: what must be provided for */
	size_t plans_n;
	const char *libgammu_debug; /* NULL: none */
	const struct rigfile *file; /* real modems; NULL: a built-in rig */
	const char *program; /* what stands for quicrig-virtual beside this program; NULL: itself */
	/* Journal lines that belong to no scenario (modem states); may be NULL. */
	void (*line)(void *ctx, const char *line, size_t len);
	void *ctx;
};

struct rig;

struct rig_ops {
	const char *name;
	bool virtual_time;
	unsigned jobs;	   /* how many at once unless -j says */
	unsigned capacity; /* devices of scenarios that run side by side; 0: any number */
	/* NULL and `e` where the environment does not allow it. `ready` is called once
	 * (never from within open): then jobs may start. ok false: `why` says. */
	struct rig *(*open)(const struct rig_options *o, void (*ready)(void *ctx, bool ok, const char *why),
			    struct err *e);
	/* Starts one; job->done is called later, never from within. 0 or ERR_*. */
	int (*start)(struct rig *r, struct job *job, struct err *e);
	/* Ends one early; `done` follows soon, at once where `hard`. */
	void (*abort)(struct rig *r, struct job *job, bool hard);
	/* Figures of the whole rig for the report; new reference or NULL. */
	json_t *(*figures)(struct rig *r);
	void (*close)(struct rig *r);
};

extern const struct rig_ops rig_virtual_ops, rig_live_ops;

#endif
