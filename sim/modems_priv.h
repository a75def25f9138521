/* What the files of the virtual rig's modems share: modems.c (sending, time), modems_mail.c
 * (what receivers keep), modems_fault.c (what befalls one). */
#ifndef SIM_MODEMS_PRIV_H
#define SIM_MODEMS_PRIV_H

#include <sys/queue.h>

#include "sim/modems.h"

#define CREG_HOME    1
#define CREG_ROAMING 5

enum sim { SIM_READY, SIM_PIN, SIM_PUK, SIM_NONE, SIM_BUSY };
/* A message that waits for a sender, or is in one. */
struct waiting {
	TAILQ_ENTRY(waiting) link;
	void *sms;
	time_ns since;
	unsigned attempts;
	uint64_t tried;
	int cms;
};
TAILQ_HEAD(waitings, waiting);

/* What a receiver has not handed over. */
struct kept {
	TAILQ_ENTRY(kept) link;
	void *mail;
	time_ns expires;
	bool stored; /* on the SIM; else still in the network */
};
TAILQ_HEAD(kepts, kept);

enum stage { STAGE_NONE, STAGE_PROMPT, STAGE_PDU, STAGE_RESULT };

struct unit {
	char name[8], actor[16];
	struct lease *lease;
	bool plugged;
	time_ns ready_at; /* its initialisation is over; TIME_NEVER: none runs */
	time_ns plug_at, mute_until, creg_until, sim_until, full_until; /* 0: not */
	int creg;
	enum sim sim;
	/* a sender's message under way */
	struct waiting *msg;
	enum stage stage;
	time_ns stage_at;
	struct modems_answer answer;
	int refuse; /* behind the PDU, by a fault: CMS, −1 ERROR, 0 none */
	uint64_t day;
	unsigned day_sent;
	/* a receiver's */
	struct kepts kept;
	time_ns poll_at; /* TIME_NEVER: nothing to find */
};

struct modems {
	struct modems_config cfg;
	struct lease leases[MODEMS_SIDE_MAX]; /* of the senders */
	struct lease receiving[MODEMS_SIDE_MAX];
	struct unit units[2 * MODEMS_SIDE_MAX]; /* senders, then receivers */
	unsigned n;
	struct waitings queue;
	size_t queued;
	time_ns now;	 /* of the last turn */
	time_ns look_at; /* something changed then that a turn is to see; TIME_NEVER: nothing */
};

/* modems.c */
const struct fault *modems_say(struct modems *m, const struct instant *at, struct unit *u, const char *state,
			       const char *dev, const char *why);
void modems_set_state(struct modems *m, const struct instant *at, struct unit *u, enum modem_state s,
		      const char *why);
bool modems_muted(const struct unit *u, time_ns now);
bool modems_on_air(const struct unit *u);
/* Initialisation from the start: power on, or a worker that begins anew. */
void modems_init(struct modems *m, const struct instant *at, struct unit *u, const char *why);
/* Its message ends without a result. */
void modems_unknown(struct modems *m, const struct instant *at, struct unit *u, const char *why);
/* The message that it has, not its own any more. */
struct waiting *modems_take(struct unit *u);
void modems_enqueue(struct modems *m, struct waiting *w, bool first);

/* modems_mail.c */
/* Receiver `u` may take again what the network kept for it. */
void modems_room(const struct instant *at, struct unit *u);
void modems_poll_soon(struct unit *u, time_ns at);
void modems_poll(struct modems *m, const struct instant *at, struct unit *u);
void modems_expire(struct modems *m, const struct instant *at, struct unit *u);

/* modems_fault.c */
int64_t modems_arg_int(json_t *args, const char *key, int64_t absent);
bool modems_arg_is(json_t *args, const char *key, const char *word);
int modems_befall(struct modems *m, const struct instant *at, struct unit *u, const char *what, json_t *args);
void modems_plug_in(struct modems *m, const struct instant *at, struct unit *u);
/* The worker has the modem open; what does it find? */
void modems_opened(struct modems *m, const struct instant *at, struct unit *u);
void modems_set_network(struct modems *m, const struct instant *at, struct unit *u, int stat);
void modems_set_sim(struct modems *m, const struct instant *at, struct unit *u, enum sim sim);

#endif
