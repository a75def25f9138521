/* What the pool's files share: pool.c (API, queue), pool_modem.c (one modem's life),
 * pool_worker.c (its process), pool_receive.c (SMS that come in). */
#ifndef HIL_MODEMS_POOL_INT_H
#define HIL_MODEMS_POOL_INT_H

#include <sys/queue.h>
#include <sys/types.h>

#include <ev.h>
#include <jansson.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/smstext.h"
#include "hil/modems/pool.h"
#include "hil/modems/pool_budget.h"
#include "hil/modems/worker_lines.h"

#define POOL_SMS_NS       (700 * NS_PER_MS) /* libgammu's own sleeps a SMS */
#define POOL_INIT_NS      (5 * NS_PER_S)    /* what opening a modem takes */

struct pool_msg {
	TAILQ_ENTRY(pool_msg) link;
	char *id, *to, *text;
	struct smstext parsed; /* of a code for a device; uuid "" where it is none */
	char code_fp[HASH_FP_SIZE], to_fp[HASH_FP_SIZE];
	pool_done *done;
	void *ctx;
	time_ns since;
	unsigned attempts;
	uint64_t tried; /* bit a modem */
	/* once it is over, while it waits for its `done` */
	enum pool_status status;
	int cms, ref;
};
TAILQ_HEAD(pool_msgs, pool_msg);

struct modem {
	struct pool *pool;
	const struct modem_spec *spec;
	unsigned index;
	char actor[80];
	struct lease *lease; /* in pool.leases; ejected: not restarted again in this run either */
	char why[256];

	/* its worker; pid 0: none */
	pid_t pid;
	int to_fd;
	struct ev_io io; /* from it */
	struct ev_timer timer;
	struct buf in;
	bool in_skip;
	bool quitting;
	time_ns started, heard, restart_at, backoff_ns;
	time_ns ready_at; /* since when it has been READY; 0: it is not */
	bool pinged;

	struct pool_msg *msg; /* under way */
	time_ns sent_at;      /* when `msg` was handed over */

	char imei[64], manufacturer[64], model[64], firmware[64], network[32], operator_name[64], smsc[64];
	uint64_t submitted, failed, unknown, received;
};

/* An SMS on its way to its device: held, or delayed by a fault. */
struct pool_mail {
	LIST_ENTRY(pool_mail) link;
	struct pool *pool;
	struct modem *modem;
	char *from, *text;
	struct smstext parsed;
	struct ev_timer timer; /* of a delayed one */
};
LIST_HEAD(pool_mails, pool_mail);

/* A fault that fired on a real modem's sms.submitted and acts when the SMS comes in. */
struct pool_late_fault {
	LIST_ENTRY(pool_late_fault) link;
	char code_fp[HASH_FP_SIZE];
	char *what;
	json_t *args;
};
LIST_HEAD(pool_late_faults, pool_late_fault);

struct pool {
	struct pool_config cfg;
	uint8_t run_key[32];
	struct modem *modems;
	struct lease leases[POOL_MODEMS_MAX]; /* of modem i; busy and spent as of pool_look */
	struct pool_msgs queue, over;
	size_t queued;
	struct ev_timer tick;    /* runs while something is queued */
	struct ev_timer outcome; /* tells outcomes from the loop, never from inside a call */
	struct ev_timer reaper;
	pid_t corpses[4 * POOL_MODEMS_MAX];
	size_t corpse_count;
	struct pool_mails held, delayed;
	size_t held_count;
	struct pool_late_faults late_faults;
	struct pool_budget *budget;
	struct pool_stats stats;
	bool quitting;
};

time_ns pool_now(const struct pool *p);

/* pool.c */
void pool_dispatch(struct pool *p);
void pool_msg_over(struct pool *p, struct modem *m, struct pool_msg *msg, enum pool_status status, int cms, int ref,
		   const char *why);
/* The attempt surely failed: another modem, or the end. `tried`: this modem refused
 * it, rather than was not ready. */
void pool_msg_refused(struct pool *p, struct modem *m, struct pool_msg *msg, int cms, bool tried, const char *why);

/* pool_modem.c */
void modem_set_state(struct modem *m, enum modem_state s, const char *why);
void modem_line(struct modem *m, const char *line, size_t len);
void modem_lost(struct modem *m, const char *why); /* its worker is gone */
void modem_arm(struct modem *m);                   /* sets its timer to the next deadline */
void modem_timer(struct ev_loop *loop, struct ev_timer *w, int events);
/* Brings the lease up to what its worker and its budget allow now. */
void modem_look(const struct modem *m);
void modem_give(struct modem *m, struct pool_msg *msg);

/* pool_worker.c */
int worker_start(struct modem *m, struct err *e);
void worker_kill(struct modem *m); /* closes, kills, leaves the corpse to the reaper */
bool worker_say(struct modem *m, json_t *line); /* takes the reference; false: it is stuck */
void worker_read(struct modem *m);
void worker_reap(struct ev_loop *loop, struct ev_timer *w, int events);

/* pool_receive.c */
void pool_received(struct modem *m, int loc, const char *from, const char *text);
void pool_submitted(struct modem *m, const struct pool_msg *msg, int ref);
void pool_receive_fini(struct pool *p);

#endif
