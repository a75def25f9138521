/* Shared by the files of the plan engine only. */
#ifndef HIL_RUN_PLAN_INTERNAL_H
#define HIL_RUN_PLAN_INTERNAL_H

#include "hil/run/plan.h"

#define PLAN_GROUPS_MAX	 32
#define PLAN_SENDERS_MAX 64
#define PLAN_LINGER_NS	 (300 * NS_PER_MS) /* settled devices get this long to end what they began */

/* Something that the plan does later, once. */
struct plan_later {
	time_ns at;
	uint64_t order;
	const char *what; /* action name; borrowed from the plan's JSON */
	json_t *args;	  /* borrowed, may be NULL */
	json_t *who;	  /* borrowed, may be NULL: everybody */
	int index;	  /* one device; −1: `who` says */
	time_ns every;	  /* 0: once */
	int64_t times;	  /* left, with `every` */
	json_t *fault;	  /* borrowed; the timed fault that this is, NULL: none */
};

struct plan {
	json_t *json;
	struct plan_rig rig;
	struct journal *journal;
	const char *id;
	uint64_t seed;
	struct settings settings;
	unsigned senders, receivers;
	char sender_numbers[PLAN_SENDERS_MAX][MSISDN_MAX + 1];
	const char *known_senders[PLAN_SENDERS_MAX + 1];
	struct plan_device *devices;
	json_t *by_uuid; /* {uuid: index}; only where there are faults that may ask */
	unsigned count;
	const char *groups[PLAN_GROUPS_MAX];
	unsigned group_first[PLAN_GROUPS_MAX + 1];
	unsigned groups_n;

	struct plan_later *later; /* binary heap by (at, order) */
	size_t later_n, later_cap;
	uint64_t order;

	time_ns started, timeout_at;
	/* arrivals: devices in order, each with its own time */
	time_ns *arrive;
	unsigned arrived;

	json_t *steps;
	size_t step;
	bool step_open;	       /* the step at `step` was begun */
	time_ns step_deadline; /* sleep's end or wait's limit */
	enum state_name wait_state;
	bool wait_any;
	unsigned wait_missing, wait_total;

	int64_t server_clock_ms;
	bool disk_told;	 /* this server's disk was made to fail: it may end of that */
	unsigned operated; /* commands that the operator queued */
	unsigned starts;   /* of servers, behind the first one */
	bool death_told; /* a fault that ends the server has said so; its death is expected */
	unsigned unsettled; /* devices not in PV, PA, IDLE, OFF */
	time_ns last_change;
	time_ns last_idle; /* last change that `silent_for` counts from: a device into or out of IDLE, a step, a timed fault */
	time_ns silent_for, hold; /* hold: lasts so long at least */
	unsigned wrong_final;	/* settled devices whose state is not what `final` wants */
	unsigned wrong_moving;	/* of these, the ones that may still change by themselves */
	enum state_name *final; /* per device; STATE_COUNT: anything settled */
	enum plan_end end;
	char why[200];
};

/* plan_devices.c */
int plan_read_groups(struct plan *p, struct err *e);
/* Calls `fn` for each device of `who` (NULL: all). */
void plan_each(struct plan *p, json_t *who, void (*fn)(struct plan *, unsigned, void *), void *arg);
bool plan_settled(enum state_name s);
/* When the first blackhole and rebinding of every group's network are over, from the start: a
 * scenario that ended before would pass without what its file asks for. 0: there is none. */
time_ns plan_network_told(const struct plan *p);
/* The uuids of `who` as a JSON array (new reference). */
json_t *plan_uuids(struct plan *p, json_t *who);

/* Writes to the journal whom the shares of the plan chose. */
void plan_tell_shares(struct plan *p, const struct instant *at);

/* plan_faults.c */
int plan_arm_faults(struct plan *p, const struct instant *at, struct err *e);
/* The faults that have a time instead of an event. */
void plan_arm_timed(struct plan *p, const struct instant *at);
/* One of them is due: says so in the journal, and starts its `then`. */
void plan_timed_fired(struct plan *p, const struct instant *at, json_t *fault);
/* Does the fault's `while` hold? `index`: the device of its event, −1: none. */
bool plan_while_holds(struct plan *p, json_t *fault, int index);
int plan_later_add(struct plan *p, const struct plan_later *l);
bool plan_later_due(struct plan *p, time_ns now, struct plan_later *out);
/* Is it one that befalls a link? Which: out. */
bool plan_net_action(const char *name, enum plan_net_do *what);
/* Performs one action of a step, a timed fault or a `then`. */
void plan_act(struct plan *p, const struct instant *at, const char *what, json_t *args, json_t *who,
	      int index);

#endif
