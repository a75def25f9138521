/* The modems of the virtual rig, without I/O: senders s1 … and receivers r1 … by lease
 * state and outcome, as a pool with libgammu sees them (hil.md, The pool). A message goes
 * to the sender that was used longest ago, and to another one only where the first
 * attempt surely failed; where a modem never says, its outcome is unknown.
 *
 * A modem takes no time unless it is told to. With `seen`, writes modem.state as actor
 * "modem:s1": the pool's states in capitals (ABSENT … REINIT), SENDING with the device
 * whose SMS it is; and what the modem itself does, where faults act: "sending" (the
 * prompt: cms_error, plain_error {at: prompt | pdu}, no_prompt), "received" (lose_cmti,
 * duplicate_cmti, dangling_cmti). What befalls a modem, then or at any time:
 *   unplug {for_ns} · plug · mute {for_ns} · reboot · storage_full {for_ns}
 *   creg {stat, for_ns} · sim {state: none | pin | puk | busy, for_ns} */
#ifndef SIM_MODEMS_H
#define SIM_MODEMS_H

#include <jansson.h>

#include "core/fault.h"
#include "core/journal.h"
#include "core/lease.h"
#include "core/world.h"

#define MODEMS_SIDE_MAX	   LEASE_MODEMS_MAX  /* senders, and receivers */
#define MODEMS_PROMPT_NS   (30 * NS_PER_S)   /* libgammu waits so long for a prompt */
#define MODEMS_RESULT_NS   (120 * NS_PER_S)  /* from the PDU to the network's answer */
#define MODEMS_POLL_NS	   (20 * NS_PER_S)   /* the SIM is read so often, +CMTI or not */
#define MODEMS_VALIDITY_NS (3600 * NS_PER_S) /* libgammu's: what is not received by then is lost */

enum modems_status { MODEMS_SUBMITTED, MODEMS_FAILED, MODEMS_UNKNOWN };

/* What the network answers to a PDU. */
struct modems_answer {
	int cms;		   /* 0: taken; else 3GPP TS 27.005 §3.2.5 */
	bool plain_error;	   /* ERROR, without a code */
	bool silent;		   /* no final result at all */
	time_ns after;		   /* of the answer, behind the PDU */
	time_ns limit;		   /* for it, instead of result_time; 0: none of its own */
	const struct fault *fault; /* that befalls the modem; NULL: none */
};

struct modems_config {
	unsigned senders, receivers;  /* 0: one */
	unsigned per_minute, per_day; /* of a sender; 0: no limit */
	time_ns send_time;	      /* from the prompt to the PDU */
	time_ns init_time;	      /* from power on to READY */
	time_ns result_time;	      /* 0: MODEMS_RESULT_NS */
	double sms_s;		      /* what a message takes in all, for estimates */
	bool seen;
	struct journal *journal; /* borrowed; NULL: nobody listens */
	void *ctx;
	/* Sender `from` has written the PDU of `sms`. */
	void (*submit)(void *ctx, const struct instant *at, void *sms, unsigned from,
		       struct modems_answer *out);
	/* The outcome of `sms`, once; `from` −1: no modem took it. */
	void (*over)(void *ctx, const struct instant *at, void *sms, enum modems_status status, int cms,
		     int from, const char *why);
	/* Whose it is: a device's uuid. */
	const char *(*owner)(void *sms);
	/* Receiver `to` hands over what it has: modems_receive said that it waits. */
	void (*fetched)(void *ctx, const struct instant *at, void *mail, unsigned to);
	/* The network's copy, or one that a broken modem keeps, is over. */
	void (*expired)(void *ctx, const struct instant *at, void *mail, unsigned to, const char *why);
};

struct modems;
struct modems *modems_new(const struct modems_config *cfg); /* NULL without memory */
void modems_free(struct modems *m);			    /* messages and mail are the caller's */

/* Seconds until a message queued now is handed over; UINT32_MAX: never. */
unsigned modems_eta(struct modems *m, const struct instant *at);
/* Queues one; `sms` stays the caller's until `over`. 0 or ERR_NOMEM. */
int modems_send(struct modems *m, const struct instant *at, void *sms);
/* An SMS for receiver `to` has come over the air: true where it is read at once. Else
 * `mail` is the modem's until `fetched` or `expired`, in order. */
bool modems_receive(struct modems *m, const struct instant *at, unsigned to, const char *uuid, void *mail);

/* What befalls one ("s1", "r2"): 0 or ERR_NOTFOUND, ERR_UNSUPPORTED. */
int modems_act(struct modems *m, const struct instant *at, const char *modem, const char *what, json_t *args);

void modems_turn(struct modems *m, const struct instant *at);
time_ns modems_deadline(const struct modems *m);
enum modem_state modems_state(const struct modems *m, const char *modem);

#endif
