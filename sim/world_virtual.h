/* A world in one thread: a clock that jumps to the earliest event, an event queue
 * ordered by (time, sequence), links between addresses, a seeded secret source. The
 * same calls in the same order give the same run, byte for byte.
 *
 * For simulation only; nothing that serves real devices may link it. */
#ifndef SIM_WORLD_VIRTUAL_H
#define SIM_WORLD_VIRTUAL_H

#include <stdbool.h>

#include "core/err.h"
#include "core/world.h"
#include "sim/link.h"

/* Where virtual time begins: 2026-01-01T00:00:00Z, and 1 s on the monotonic clock, so
 * that no instant is 0. */
#define WORLD_VIRTUAL_EPOCH_S INT64_C(1767225600)
#define WORLD_VIRTUAL_START   NS_PER_S
#define WORLD_VIRTUAL_ACTORS  64

/* What acts in the world: server, fleet, carrier, plan. Any member may be NULL. */
struct world_actor {
	const char *name; /* its random stream; borrowed */
	void (*datagram)(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
			 unsigned ecn, const uint8_t *data, size_t len);
	void (*turn)(void *ctx, const struct instant *at, struct dgram_sink *sink);
	time_ns (*deadline)(void *ctx); /* TIME_NEVER: none; not later than now: a turn, now */
	void *ctx;
};

struct world_virtual;

struct world_virtual *world_virtual_new(uint64_t seed, time_ns link_delay, struct err *e);
void world_virtual_free(struct world_virtual *w);

/* Adds an actor; `addr` is where its datagrams arrive (NULL: none), taken over from
 * whoever had it. Its id ≥ 0, or ERR_LIMIT. */
int world_virtual_add(struct world_virtual *w, const struct world_actor *a, const struct addr *addr);
/* One more address for it (a rebound port). ERR_LIMIT. */
int world_virtual_bind(struct world_virtual *w, int actor, const struct addr *addr);
/* Many addresses of one actor, one a device: `ports` of them from `base` on. What goes to
 * or comes from one of them passes its link, behind which a NAT stands. */
struct world_span {
	struct addr base; /* IPv4 */
	unsigned ports;
	struct link *links; /* [ports], made; borrowed for the world's life */
	/* port base + `which` is seen from elsewhere from now on; may be NULL */
	void (*rebound)(void *ctx, const struct instant *at, unsigned which, enum link_rebind what);
	void *ctx;
};
/* ERR_LIMIT, ERR_NOMEM. */
int world_virtual_bind_span(struct world_virtual *w, int actor, const struct world_span *s);
/* Gone: what is on its way to it will be dropped on arrival. Not from within its own calls. */
void world_virtual_remove(struct world_virtual *w, int actor);
/* Gives it a turn at this instant: after a call into it from outside. */
void world_virtual_touch(struct world_virtual *w, int actor);
/* The wall clock's time of day at the start, behind midnight (UTC): all actors'. Before anything runs. */
void world_virtual_day(struct world_virtual *w, time_ns since_midnight);
/* Its wall clock stands that much aside from now on. */
void world_virtual_clock(struct world_virtual *w, int actor, int64_t offset_ms);

/* `fn` at `time` (or at once where that is past), before datagrams of that instant that
 * are sent later than this call. 0 or ERR_NOMEM. */
typedef void world_virtual_fn(void *ctx, const struct instant *at);
int world_virtual_at(struct world_virtual *w, time_ns time, world_virtual_fn *fn, void *ctx);

/* Runs one event, or one turn. False when nothing is left, ever. */
bool world_virtual_step(struct world_virtual *w);
/* Runs until nothing is left to do up to `time`, and lets it become `time`. */
void world_virtual_run_to(struct world_virtual *w, time_ns time);

/* The clocks as `actor` sees them (-1: without an offset). */
struct instant world_virtual_now(const struct world_virtual *w, int actor);
/* A seeded source of its own for each name: the same one each time it is asked for, so
 * that an actor that starts again draws on and repeats nothing. Lives as long as the
 * world. NULL without memory. */
struct secret_source *world_virtual_secret(struct world_virtual *w, const char *name);

/* GnuTLS reads the current actor's clock from now on, in the whole process. */
void world_virtual_install_gnutls(struct world_virtual *w);

uint64_t world_virtual_datagrams(const struct world_virtual *w); /* carried so far */
uint64_t world_virtual_dropped(const struct world_virtual *w);   /* nobody lived there */
uint64_t world_virtual_lost(const struct world_virtual *w);      /* by a link */

#endif
