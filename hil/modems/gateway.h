/* The SMS gateway: a Unix socket (0600) that a credential server connects to, with
 * the modem pool behind it. One JSON object a line, both ways:
 *
 *   → {"id":"…","uuid":"…","to":"+34…","text":"…","r":"a1b2c3d4"}
 *   ← {"id":"…","status":"queued","eta_s":3}      at once: queued, busy or failed
 *   ← {"id":"…","status":"submitted","ref":17}    later: submitted, failed, unknown; "cms" where known
 *   ← {"error":"…","id":"…"}                      a bad line; the connection goes on
 *
 * `uuid` and `r` are for the server's own records and may be left out; members that
 * nobody knows are ignored. `busy` with `eta_s` means not taken: come again. Each
 * other id is kept for 24 h: the same id again is never a second SMS and is answered
 * with its present status, to whoever asks, so that a server that reconnects repeats
 * its unfinished ids. A later status goes to the connection that asked last.
 *
 * Several clients at once; a client that does not read is closed. */
#ifndef HIL_MODEMS_GATEWAY_H
#define HIL_MODEMS_GATEWAY_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/time.h"
#include "hil/modems/pool.h"

#define GATEWAY_LINE_MAX    4096
#define GATEWAY_CLIENTS_MAX 64
#define GATEWAY_IDS_MAX     200000
#define GATEWAY_KEEP_NS     (24 * 3600 * NS_PER_S)

struct gateway;

struct gateway_config {
	struct ev_loop *loop;
	struct pool *pool;                 /* borrowed; outlives the gateway's last outcome, see gateway_free */
	const char *path;                  /* of the socket; a stale one is replaced, a live one is ERR_EXISTS */
	time_ns (*clock)(void *clock_ctx); /* NULL: CLOCK_MONOTONIC */
	void *clock_ctx;
};

/* NULL with `e`: ERR_INVALID (path too long), ERR_EXISTS, ERR_IO, ERR_NOMEM. */
struct gateway *gateway_new(const struct gateway_config *cfg, struct err *e);

struct gateway_stats {
	uint64_t asked, queued, busy, repeated, bad;
	size_t clients, ids;
};
void gateway_stats(const struct gateway *g, struct gateway_stats *out);

/* Closes everything and removes the socket. The pool must have told its last
 * outcome (pool_quit) before, since outcomes go through the gateway. NULL is fine. */
void gateway_free(struct gateway *g);

#endif
