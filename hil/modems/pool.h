/* The modem pool: runs one `quicrig-modem` a modem, picks a sender for each SMS,
 * reads what the receivers get, and survives whatever a modem or its driver does
 * (hil.md, The pool). Lives on the caller's libev loop; one thread.
 *
 * A modem goes ABSENT → INIT → PIN → ATTACHING → READY → SENDING, and over UNKNOWN
 * and REINIT back when the outcome of a send is not known. An SMS goes to another
 * modem only when the first attempt surely failed, so that none is sent twice.
 *
 * Journal (actor "modem:<name>"): modem.state, SENDING with the device whose SMS it is;
 * sms.delivered right before an SMS is
 * handed to its device, where armed faults act: lose, delay {by_ns}, duplicate
 * {times}, replace_code, replace_text, replace_sender {with}; sms.failed and
 * sms.unknown at the final outcome of a send; sms.submitted where `real` is set (else
 * the emulator writes it). A fault on the pool's sms.submitted acts when that SMS comes back in. */
#ifndef HIL_MODEMS_POOL_H
#define HIL_MODEMS_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/journal.h"
#include "core/lease.h"
#include "core/time.h"
#include "hil/modems/modem_spec.h"

#define POOL_MODEMS_MAX LEASE_MODEMS_MAX
#define POOL_QUEUE_MAX  10000
#define POOL_ID_MAX     128 /* bytes of a message's id */
#define POOL_TEXT_MAX   640 /* bytes of UTF-8; what fits into one SMS the modem's side judges */
#define POOL_TO_MAX     20  /* digits, and a leading '+' */
#define POOL_BUSY_S     LEASE_BUSY_S /* a longer queue takes nothing more */

struct ev_loop;
struct pool;

enum pool_status {
	POOL_SUBMITTED,
	POOL_FAILED, /* surely not sent, by any modem that was tried */
	POOL_UNKNOWN /* may have been sent; nobody tries again */
};

/* The final outcome of one pool_send, exactly once, never from inside pool_send.
 * `cms` is the raw +CMS code, -1: none; `ref` the TP-MR, -1: none. */
typedef void pool_done(void *ctx, const char *id, enum pool_status status, int cms, int ref);

struct pool_config {
	struct ev_loop *loop;
	struct journal *journal;            /* NULL: none */
	const uint8_t *run_key;             /* 32 bytes, for fingerprints; NULL: zeroes */
	const char *worker_path;            /* of quicrig-modem */
	const struct modem_spec *modems;    /* borrowed, as their texts */
	size_t modem_count;
	bool real;                          /* no emulator writes sms.submitted */
	bool wipe;                          /* delete SMS that are not ours, too */
	const char *budget_file;            /* keeps day and month counts; copied; NULL: this run only */
	const char *debug_dir;              /* a transcript a modem, holding codes: secret; NULL: none */
	time_ns (*clock)(void *clock_ctx);  /* NULL: CLOCK_MONOTONIC */
	void *clock_ctx;

	/* Callbacks. They may call pool_send and pool_wake, and nothing else of the pool. */
	void *ctx;
	void (*deliver)(void *ctx, const char *uuid, const char *from, const char *text);
	void (*foreign)(void *ctx, const char *modem, const char *from, const char *text); /* NULL: dropped */
	/* NULL: always. False: the pool holds the SMS until pool_wake. */
	bool (*reachable)(void *ctx, const char *uuid);
	void (*changed)(void *ctx, const struct modem_spec *modem, enum modem_state state, const char *why);

	/* Limits; 0 takes the default. */
	time_ns send_timeout_ns; /* 120 s: from the PDU to the network's answer */
	time_ns result_ns;       /* send_timeout_ns + 60 s: from the hand-over to the worker's result */
	time_ns hang_ns;         /* 75 s: a worker that says nothing at all is killed */
	time_ns init_ns;         /* 150 s: the same while it opens its modem */
	time_ns queue_ns;        /* 60 s: a message that no modem took fails */
	time_ns backoff_min_ns;  /* 500 ms doubling to 30 s: before a worker is started again */
};

/* Checks the configuration and starts all workers. NULL with `e` where a name or a
 * worker is bad (ERR_INVALID, ERR_ENVIRONMENT, ERR_NOMEM). A modem that is not there is
 * no error: it stands ABSENT until it comes. */
struct pool *pool_new(const struct pool_config *cfg, struct err *e);

/* Queues one SMS. Returns 0 with `*eta_s` (may be NULL) estimated seconds to its
 * hand-over; ERR_BUSY with `*eta_s` when the queue is longer than POOL_BUSY_S or no
 * sender is left; ERR_INVALID for a bad id, number or text; ERR_LIMIT; ERR_NOMEM. */
int pool_send(struct pool *p, const char *id, const char *to, const char *text, pool_done *done, void *ctx,
	      unsigned *eta_s);
/* Seconds until a message queued now would be handed over; UINT32_MAX: never. */
unsigned pool_eta(const struct pool *p);

/* The device is reachable again: hands over what was held for it. */
void pool_wake(struct pool *p, const char *uuid);

/* READY or SENDING modems that can do the role (MODEM_BOTH: any modem). */
size_t pool_ready_count(const struct pool *p, enum modem_role role);

struct pool_stats {
	uint64_t submitted, delivered, failed, unknown;
	uint64_t foreign, held, restarts;
	size_t queued, sending;
};
void pool_stats(const struct pool *p, struct pool_stats *out);

/* What is known of one modem; texts belong to the pool and live until the next event. */
struct pool_modem {
	const struct modem_spec *spec;
	enum modem_state state;
	const char *why;
	const char *imei, *manufacturer, *model, *firmware, *network, *operator_name, *smsc; /* "" unknown */
	uint64_t submitted, failed, unknown, received;
	unsigned day_sent, month_sent;
};
bool pool_modem(const struct pool *p, size_t i, struct pool_modem *out); /* false: no such index */

/* Tells all workers to quit, waits at most `grace_ns` while taking their last
 * results, kills the rest. In-flight SMS end as unknown, queued ones as failed.
 * Blocks; the loop must not be running the pool's callbacks. */
void pool_quit(struct pool *p, time_ns grace_ns);
/* pool_quit without grace where it was not called. NULL is fine. */
void pool_free(struct pool *p);

#endif
