/* A set of modems on a live rig: emulated ones in a child process (or a rig file's), a
 * quicrig-modem worker each, the pool, and the SMS gateway in front. A run has one set
 * that scenarios share; one that breaks modems, or wants them otherwise, has its own. */
#ifndef HIL_RUN_LIVE_MODEMS_H
#define HIL_RUN_LIVE_MODEMS_H

#include <stdbool.h>
#include <jansson.h>

#include "core/err.h"
#include "core/journal.h"
#include "core/time.h"
#include "core/msg.h"
#include "hil/language/rigfile.h"
#include "hil/modems/modem_spec.h"

#define LIVE_MODEMS_MAX 32
#define LIVE_PATH_MAX	512

struct ev_loop;
struct live_modems;

struct live_modems_config {
	struct ev_loop *loop;
	const char *dir;	    /* private, there already; copied */
	const uint8_t *run_key;	    /* 32 bytes, borrowed */
	const char *libgammu_debug; /* NULL: none; borrowed */
	const struct rigfile *file; /* real modems; NULL: emulated ones, as the rest says. Borrowed */
	unsigned senders, receivers;
	const char *carrier;	      /* immediate, typical; borrowed */
	uint64_t seed;		      /* of the carrier's draws */
	unsigned per_minute, per_day; /* of each sender; 0: no limit */
	time_ns send_limit;	      /* from the PDU to the network's answer; 0: the pool's default */
	void *ctx;
	/* All modems are READY, or why not; once, never from within live_modems_new. */
	void (*ready)(void *ctx, bool ok, const char *why);
	/* The emulator ended by itself. */
	void (*gone)(void *ctx, const char *why);
	/* A journal line that could not be read: nobody knows whose. */
	void (*unread)(void *ctx);
	/* An event of the pool, of the emulator's journal (with its line as written; NULL: none). */
	void (*event)(void *ctx, const struct journal_event *ev, const char *line, size_t len);
	void (*deliver)(void *ctx, const char *uuid, const char *from, const char *text);
	/* An SMS that names no device, on the SIM of receiver `to` (from 0); NULL: dropped. */
	void (*foreign)(void *ctx, unsigned to, const char *from, const char *text);
};

/* NULL with `e`: ERR_ENVIRONMENT, ERR_LIMIT, ERR_IO, ERR_NOMEM. */
struct live_modems *live_modems_new(const struct live_modems_config *cfg, struct err *e);
/* Ends workers and emulator; what is still sent has `grace_ns` to end. Blocks. NULL is fine. */
void live_modems_free(struct live_modems *m, time_ns grace_ns);

const char *live_modems_gateway(const struct live_modems *m); /* path of the socket */
bool live_modems_gone(const struct live_modems *m);	      /* the emulator is no more */
/* A rig file's SIMs for the plan; 0 and NULL for emulated ones. */
const char *const *live_modems_receivers(const struct live_modems *m, unsigned *n);
const char *const *live_modems_senders(const struct live_modems *m);
/* Figures for the report; a new reference. */
json_t *live_modems_figures(const struct live_modems *m);

/* Arms a fault (core/fault.h) in the emulator. 1: `answered` follows, with what it says;
 * 0: it is armed (a rig file's pool plays it); or ERR_*. */
typedef void live_answered(void *ctx, bool ok, const char *why);
int live_modems_arm_carrier(struct live_modems *m, json_t *spec, live_answered *answered, void *ctx,
			    struct err *e);
int live_modems_arm_pool(struct live_modems *m, json_t *spec, struct err *e);
void live_modems_disarm(struct live_modems *m, const char *name, bool carrier);
/* What befalls one modem now, as the emulator's control socket takes it. `answered`
 * (may be NULL) follows. 0 or ERR_*. */
int live_modems_act(struct live_modems *m, json_t *order, live_answered *answered, void *ctx, struct err *e);
/* `ctx` is gone: its answers are nobody's. */
void live_modems_forget(struct live_modems *m, void *ctx);

/* A readable descriptor that holds the run key; -1 on error. */
int live_key_fd(const uint8_t key[32]);

#endif
