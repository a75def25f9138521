/* What a pool of modems knows of each of them, and decides by: who sends the next SMS,
 * whether anybody may, how long it will take. No I/O: the pool of a live rig
 * (hil/modems/pool.h) and the modems of the virtual rig (sim/modems.h) use it alike. */
#ifndef CORE_LEASE_H
#define CORE_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/time.h"

#define LEASE_MODEMS_MAX   64		   /* a bit each in a message's `tried` */
#define LEASE_RATE_MAX	   256		   /* sends a minute that a limit can count */
#define LEASE_ATTEMPTS_MAX 3		   /* modems that may refuse one SMS */
#define LEASE_BUSY_S	   60		   /* a longer queue takes nothing more */
#define LEASE_QUEUE_NS	   (60 * NS_PER_S) /* a message that no modem took fails */

/* X(NAME): as the journal writes it */
#define MODEM_STATES(X)                                                                                      \
	X(ABSENT) /* no device, no worker, or ejected */                                                     \
	X(INIT)                                                                                              \
	X(PIN)	     /* the SIM refused or lacks its PIN; nothing more is tried */                           \
	X(ATTACHING) /* no network yet */                                                                    \
	X(READY)                                                                                             \
	X(SENDING)                                                                                           \
	X(UNKNOWN) /* a send ended without a result */                                                       \
	X(REINIT)  /* its worker is being started again */

#define MODEM_STATE_ENUM(name) MODEM_##name,
enum modem_state { MODEM_STATES(MODEM_STATE_ENUM) MODEM_STATE_COUNT };
const char *modem_state_name(enum modem_state s);

struct lease {
	enum modem_state state;
	bool sends;	     /* its role is to send */
	bool ejected;	     /* never used again */
	bool busy;	     /* has an SMS under way, or nobody to give it to */
	bool spent;	     /* its day or month is over */
	unsigned per_minute; /* 0: no limit */
	time_ns used_at;
	time_ns recent[LEASE_RATE_MAX]; /* hand-overs, a ring; 0: none */
	unsigned recent_at;
};

bool lease_up(enum modem_state s); /* READY or SENDING */
/* An SMS is handed to it. */
void lease_used(struct lease *l, time_ns now);
/* Hand-overs that its per_minute leaves now. */
unsigned lease_slots(const struct lease *l, time_ns now);
/* When its next one is free again, where there is none now; `now` where there is one. */
time_ns lease_slot_at(const struct lease *l, time_ns now);
/* READY and within its limits. */
bool lease_can_send(const struct lease *l, time_ns now);
/* The sender that was used longest ago, so that all carry the same load; -1: none that
 * has not refused the message already (bit k of `tried`). `*any`: is there one at all? */
int lease_pick(const struct lease *v, size_t n, uint64_t tried, time_ns now, bool *any);
/* Is there a sender, now or soon, that has not refused it? */
bool lease_others_left(const struct lease *v, size_t n, uint64_t tried);
/* Seconds until the last of `backlog` messages is handed over: a burst goes as fast as
 * modems send (`sms_s` seconds each), what exceeds the limits per minute at their rate;
 * `init_s` more where none is up. UINT32_MAX: never. */
unsigned lease_eta(const struct lease *v, size_t n, double backlog, double sms_s, double init_s, time_ns now);

#endif
