/* The plan engine: one resolved scenario (docs/plan.md) brought to life inside a
 * world. It decides who is powered when, which faults are armed where, walks the
 * steps, and knows when the scenario is over. Linked into quicrig (live rigs) and
 * into quicrig-virtual; it does no I/O and asks its rig for everything. */
#ifndef HIL_RUN_PLAN_H
#define HIL_RUN_PLAN_H

#include <stdbool.h>
#include <jansson.h>

#include "core/disk.h"
#include "core/err.h"
#include "core/journal.h"
#include "core/registry.h"
#include "core/rows.h"
#include "core/settings.h"
#include "core/world.h"

enum plan_actor { PLAN_FLEET, PLAN_SERVER, PLAN_CARRIER, PLAN_POOL, PLAN_ACTORS };
enum plan_server_do { PLAN_SERVER_KILL, PLAN_SERVER_STOP, PLAN_SERVER_START };
enum plan_net_do { PLAN_NET_BLACKHOLE, PLAN_NET_DROP, PLAN_NET_REBIND_PORT, PLAN_NET_REBIND_ADDRESS };
enum plan_end { PLAN_RUNNING, PLAN_SETTLED, PLAN_TIMEOUT, PLAN_STEP_FAILED };

/* What befalls a device's link. */
struct plan_net {
	enum plan_net_do what;
	time_ns length;	   /* of a blackhole */
	uint64_t up, down; /* of a drop: bit k is the (k + 1)-th datagram from now on */
};

/* What a plan asks of its rig. None of them may call back into the plan at once,
 * but for plan_state_changed. */
struct plan_rig {
	void *ctx;
	void (*power)(void *ctx, const struct instant *at, unsigned index, bool on);
	void (*drop)(void *ctx, const struct instant *at, unsigned index);
	void (*net)(void *ctx, const struct instant *at, unsigned index, const struct plan_net *what);
	/* A device's disk fails so for `length` (TIME_NEVER: for good); its wall clock steps. */
	void (*disk)(void *ctx, const struct instant *at, unsigned index, enum disk_trouble t, time_ns length);
	void (*clock)(void *ctx, const struct instant *at, unsigned index, int64_t by_ms);
	void (*server)(void *ctx, const struct instant *at, enum plan_server_do what);
	/* What befalls a modem ("s1"): an action of the language and its arguments; borrowed. */
	void (*modem)(void *ctx, const struct instant *at, const char *modem, const char *what, json_t *args);
	/* One control line for the server (disable, enable, command, crash-at …); borrowed. The rig adds
	 * the `key` of a rotate-key. */
	void (*operate)(void *ctx, const struct instant *at, json_t *request);
	/* Is something that was asked for still on its way (a control line unanswered, a
	 * server starting)? The next step waits until it is not. */
	bool (*busy)(void *ctx);
	/* Arms one fault (core/fault.h) in an actor; borrowed. 0 or ERR_*. */
	int (*arm)(void *ctx, enum plan_actor where, json_t *spec, struct err *e);
	/* Of a rig with SIMs of its own; NULL: the built-in rigs' numbers. Devices get the
	 * receivers' numbers in turn. `senders` is NULL-terminated; empty: any. Borrowed. */
	const char *const *receivers;
	unsigned receivers_n;
	const char *const *senders;
};

struct plan_device {
	struct registry_device identity;
	char label[48]; /* A[3] */
	unsigned group; /* index into the plan's groups */
	bool known, registered_disabled, hold, start_off, accept_unsigned;
	unsigned defects; /* of its firmware: DEFECT() bits of core/defect.h */
	char methods[REGISTRY_METHODS][9]; /* what it offers; "" ends */
	/* the engine's own */
	enum state_name state;
	time_ns power_on_at; /* TIME_NEVER: nothing is due */
	bool entered;	     /* powered on at least once */
	bool member;	     /* of the wait that runs */
};

struct plan;

/* Reads a resolved plan; it is borrowed and must outlive the engine. Receivers are
 * dealt round robin: device k's number is number `k mod receivers`. */
struct plan *plan_new(json_t *json, const struct plan_rig *rig, struct journal *journal, struct err *e);
void plan_free(struct plan *p);

const char *plan_id(const struct plan *p);
uint64_t plan_seed(const struct plan *p); /* derived from the scenario's seed and id */
const struct settings *plan_settings(const struct plan *p);
/* Time of day at the scenario's start, behind midnight. */
time_ns plan_day(const struct plan *p);
unsigned plan_senders(const struct plan *p);
unsigned plan_receivers(const struct plan *p);
/* The members `modems` and `faults`; borrowed. */
json_t *plan_modems(const struct plan *p);
json_t *plan_faults(const struct plan *p);
/* Of its sender modems: SMS a minute and a day (0: no limit), how long one is busy with an
 * SMS and with its initialisation on the virtual rig, and how long the network may take to
 * answer before the outcome is unknown (0: the pool's default). */
unsigned plan_per_minute(const struct plan *p);
unsigned plan_per_day(const struct plan *p);
time_ns plan_send_time(const struct plan *p);
time_ns plan_init_time(const struct plan *p);
time_ns plan_send_limit(const struct plan *p);
/* Does the scenario say anything of modems: their times or limits, or what befalls one? */
bool plan_models_modems(const struct plan *p);
/* The number of receiver `i` (from 0) and of sender `i`: alike on every built-in rig. */
void plan_receiver_number(unsigned i, char out[MSISDN_MAX + 1]);
unsigned plan_receiver_of(const char *number); /* the other way round */
void plan_sender_number(unsigned i, char out[MSISDN_MAX + 1]);
/* The numbers and names that codes may come from, NULL-terminated; NULL: any. */
const char *const *plan_known_senders(const struct plan *p);
const char *plan_carrier(const struct plan *p);
unsigned plan_count(const struct plan *p);
const struct plan_device *plan_device(const struct plan *p, unsigned index);
unsigned plan_groups(const struct plan *p);
const char *plan_group(const struct plan *p, unsigned group);
/* The `network` of a group: its own, or the scenario's; NULL: neither. Borrowed. */
json_t *plan_network(const struct plan *p, unsigned group);
/* Does anything stand between devices and server: a network, or a fault or step on one? */
bool plan_wants_links(const struct plan *p);
/* Is there a step, a fault or a `then` that does this? */
bool plan_asks(const struct plan *p, const char *what);
/* Draws a TOTP secret for each device whose record allows TOTP, alike for device and server. Once,
 * before the registry and the fleet are made. */
void plan_draw_secrets(struct plan *p, struct secret_source *secret);
/* The registry file's text for the devices that the server knows; caller frees. */
char *plan_registry(const struct plan *p);

/* Arms the faults and journals the devices. Before plan_start; a live rig waits in
 * between until every actor has said that it is armed. */
int plan_arm(struct plan *p, const struct instant *at, struct err *e);
/* The scenario's time begins: deals out the arrivals. */
void plan_start(struct plan *p, const struct instant *at);
/* A device's state was entered (also by a row that stays). */
void plan_state_changed(struct plan *p, const struct instant *at, unsigned index, enum state_name to);
/* Every fault.fired that reaches the rig: starts its `then`. */
void plan_fault_fired(struct plan *p, const struct instant *at, const char *name, const char *dev);
/* Does the `while` of this fault hold, at an event about `dev` (uuid; NULL: about none)? For
 * the actors of the rig's own process (faults_gate). */
bool plan_may_fire(void *plan, const char *name, const char *dev);
/* A server process that starts again knows of no fault: those of its own that may still
 * fire are armed once more. `nth` counts from there; `times` is what is left. */
int plan_arm_server_again(struct plan *p, const struct instant *at, struct err *e);
/* The server ended without having been asked to. Where no fault that ends a server has
 * told so since the last time, the line was lost: the first one that has not fired did it. */
void plan_server_died(struct plan *p, const struct instant *at);
/* The server ended as the plan had asked for: no fault that told of its end is left to be
 * waited for. */
void plan_server_ended(struct plan *p);

/* Is a control line kept for the next server where there is none, or it ends before it has
 * answered? A disk's trouble is this server's alone. */
bool plan_line_waits(json_t *request);
/* How far the plan has moved the server's wall clock: each server starts with it. */
int64_t plan_server_clock(const struct plan *p);
/* A fault that ends the server has fired, and neither plan_server_died nor _ended was called since. */
bool plan_server_doomed(const struct plan *p);

time_ns plan_deadline(const struct plan *p);
/* Does what is due; returns how the scenario stands. */
enum plan_end plan_expire(struct plan *p, const struct instant *at);
/* "" or why the end is what it is, for people. */
const char *plan_why(const struct plan *p);

#endif
