/* The live rig's own parts: what rig_live.c (keys and modems: one a run) and
 * live_job.c (server child, fleet, plan: one a scenario) know of each other. */
#ifndef HIL_RUN_LIVE_H
#define HIL_RUN_LIVE_H

#include "core/fault.h"
#include "core/journal.h"
#include "core/pki.h"
#include "core/world_live.h"
#include "hil/run/job.h"
#include "hil/run/live_modems.h"
#include "hil/run/live_net.h"
#include "hil/run/proc.h"
#include "sim/fleet.h"

struct live_job;

struct rig {
	struct rig_options o;
	void (*ready)(void *ctx, bool ok, const char *why);
	struct pki pki; /* the run's key set */
	uint8_t run_key[32];
	char keys[LIVE_PATH_MAX];
	struct live_modems *modems; /* that scenarios share */
	json_t *ill;		    /* of these, the ones that are not READY, by name */
	struct live_job *jobs;
	unsigned counter; /* of jobs, for folder names */
};

/* live_job.c */
struct live_job {
	struct live_job *next;
	struct rig *rig;
	struct job *job;
	struct plan *plan;
	struct fleet *fleet;
	struct faults *faults;
	struct journal *journal;
	struct live_socket *socket; /* the fleet's; NULL with a network */
	struct links links;	    /* none: no network between fleet and server */
	struct live_net *net;	    /* in the socket's stead, once the server's port is known */
	struct live_actor *actor;
	struct live_modems *modems; /* the run's, or its own */
	bool owns_modems;
	unsigned carrier_pending;
	time_ns lag, lag_told; /* the runner's own, at worst, while this ran; the last one told */
	enum { LIVE_STARTING, LIVE_ARMING, LIVE_RUNNING, LIVE_ENDING } phase;
	char dir[LIVE_PATH_MAX];

	struct proc server;
	struct lines server_journal, control;
	char control_path[LIVE_PATH_MAX];
	int port;
	bool server_wanted, server_ready;
	bool server_ending;  /* it was asked to end, and is not gone yet */
	bool server_again;   /* a start was asked for before it was gone */
	bool server_killed;  /* it took too long to end by itself */
	unsigned control_pending;
	char *next_token_key; /* PEM; for a rotation, where the plan has one; secret */
	/* What the operator asked for and has no answer to; `asked` in order, on their way;
	 * `owed` until the server is up again. */
	json_t *asked, *owed;
	bool journal_open, ending_aborted;
	ev_timer kill_later, wall, start_limit, rss, ask_again;
};

int live_job_start(struct rig *r, struct job *job, struct err *e);
/* The rig failed at this scenario: INCONCLUSIVE, for this reason. */
void live_job_fail(struct live_job *j, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Ends it; `done` follows when the server is gone. */
void live_job_end(struct live_job *j, const char *why);
void live_job_finish(struct live_job *j); /* the server is gone, its last line read */
/* Begins where nothing that was armed is still unanswered. */
void live_job_begin(struct live_job *j);
/* The server listens and takes control lines: for the first time, or again. */
void live_job_server_ready(struct live_job *j);
void live_job_abort(struct live_job *j, bool hard);
/* A journal line that may have been this job's could not be read. */
void live_job_unread(struct live_job *j);
/* Is it one of this job's devices? */
bool live_job_takes(struct live_job *j, const char *dev);
void live_job_line(struct live_job *j, const char *line, size_t len);
void live_job_event(struct live_job *j, const struct journal_event *ev);
/* The text for a device of this job. */
void live_job_sms(struct live_job *j, const char *uuid, const char *from, const char *text);

/* Its own modems are READY, and the server is starting. */
void live_job_modems_ready(struct live_job *j);

/* live_plan.c: what a plan asks for; its ctx is the struct live_job. */
extern const struct plan_rig live_plan_rig;

/* live_lag.c: takes the loop's lag, and tells of it where it is the worst since this job began. */
void live_lag_note(struct live_job *j);

/* live_own.c */
/* Starts a set of modems for this job alone; its server is started when they are READY. */
int live_own_modems(struct live_job *j, struct err *e);

/* live_server.c */
int live_server_start(struct live_job *j, struct err *e);
/* One control line; counted as pending until it is answered. 0 or ERR_CLOSED. */
int live_server_say(struct live_job *j, json_t *msg);
/* What an operator asks for: kept, and asked again, until a server has answered. */
int live_server_operate(struct live_job *j, json_t *request);
/* The server is up (again): what is owed is asked. 0 or ERR_*. */
int live_server_pay(struct live_job *j);
/* A timer: what a server could not store is asked for once more. */
void live_server_ask_again(struct ev_loop *loop, ev_timer *w, int events);

#endif
