/* The network between one device and the server, for any world: loss (also in runs),
 * delay, jitter, reordering, duplicates, corruption, a rate with a queue, an MTU,
 * windows in which nothing passes, datagrams lost by number, a NAT that forgets its
 * mapping. No I/O: for each datagram it says what becomes of it.
 *
 * Each purpose in each direction draws from a stream of its own, once a datagram
 * whatever else becomes of it, so that neither another device nor another kind of
 * trouble moves anybody's draws. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "core/err.h"
#include "core/rng.h"
#include "core/time.h"

#define LINK_COPIES        2
#define LINK_DELAY_DEFAULT NS_PER_MS
#define LINK_QUEUE_DEFAULT 30000 /* bytes: 25 datagrams of 1200 */
#define LINK_NTH_MAX	   64
#define LINK_CID_MAX	   20 /* RFC 9000 §17.2 */

enum link_direction { LINK_UP, LINK_DOWN, LINK_DIRECTIONS }; /* up: to the server */
enum link_purpose { LINK_LOSS, LINK_DUPLICATE, LINK_REORDER, LINK_CORRUPT, LINK_JITTER, LINK_PURPOSES };
/* Which datagrams loss and corruption befall: those that begin with a long header
 * (RFC 9000 §17.2: the handshake's), or the others. */
enum link_phase { LINK_ALWAYS, LINK_HANDSHAKE, LINK_TRANSFER };
enum link_rebind { LINK_STAYS, LINK_NEW_PORT, LINK_NEW_ADDRESS };

/* Shares are 0…1 of the datagrams; times count from link_start. */
struct link_spec {
	double loss, duplicate, reorder, corrupt;
	unsigned burst; /* lost and damaged ones come in runs of so many; 0, 1: each for itself */
	enum link_phase phase;
	time_ns delay;	    /* one way */
	time_ns jitter;	    /* added or taken, evenly; never below no delay at all */
	uint64_t rate_bps;  /* bits a second, UDP payload; 0: any number */
	size_t queue;	    /* bytes that wait to be sent, at most; what comes then is lost */
	size_t mtu;	    /* longer datagrams are lost; 0: none is too long */
	time_ns hole_at, hole_for, hole_every; /* nothing passes; hole_for 0: never; hole_every 0: once */
	uint64_t drop[LINK_DIRECTIONS];	       /* bit k: the datagram k + 1 is lost */
	bool drop_each;			       /* counted anew with every connection that the device tries */
	enum link_rebind rebind;
	time_ns rebind_after, rebind_every; /* rebind_every 0: once */
};

struct link {
	const struct link_spec *spec; /* borrowed */
	struct rng rng[LINK_DIRECTIONS][LINK_PURPOSES];
	unsigned run[LINK_DIRECTIONS][LINK_PURPOSES]; /* of a run that began: how many are left */
	time_ns last[LINK_DIRECTIONS]; /* arrival of the latest one that was not reordered */
	time_ns sent[LINK_DIRECTIONS]; /* when the last bit of what is queued has left */
	time_ns start, dark_until, rebind_at; /* rebind_at TIME_NEVER: not any more */
	uint64_t drop[LINK_DIRECTIONS];	      /* bit 0: the next one */
	enum link_rebind forgotten;	      /* the mapping is gone; a datagram up makes this new one */
	uint8_t conn[LINK_CID_MAX], conn_len; /* the client's connection ID of the present handshake */
};

struct link_copy {
	time_ns at;   /* when it arrives */
	size_t where; /* the byte that is changed, … */
	uint8_t flip; /* … by this; 0: none */
};

enum link_why { LINK_PASSED, LINK_LOST, LINK_DARK, LINK_TOO_LONG, LINK_COUNTED, LINK_QUEUE_FULL, LINK_UNMAPPED };

struct link_fate {
	unsigned copies;   /* 0: lost */
	enum link_why why; /* it was */
	struct link_copy copy[LINK_COPIES];
	enum link_rebind rebind; /* this one, and those behind it, come from a new port or address */
};

/* The plan's `network` (docs/plan.md). 0 or ERR_PARSE, which names the member: one that
 * nobody knows, a share beyond 0…1, a number that is none. */
int link_spec_read(json_t *network, struct link_spec *out, struct err *e);
/* `name` tells the links of one seed apart. */
void link_init(struct link *l, const struct link_spec *spec, uint64_t seed, const char *name);
/* Its time begins: windows and rebindings count from here. At 0 where it was never called. */
void link_start(struct link *l, time_ns now);
void link_pass(struct link *l, enum link_direction d, time_ns now, const uint8_t *data, size_t len,
	       struct link_fate *out);

/* ---- what befalls it in between ---- */
/* Nothing passes before `until`. */
void link_blackhole(struct link *l, time_ns until);
/* Bit k of `mask`: the (k + 1)-th datagram from now on is lost. */
void link_drop(struct link *l, enum link_direction d, uint64_t mask);
/* The NAT forgets the device: nothing reaches it before it has sent something itself. */
void link_rebind(struct link *l, enum link_rebind what);

#endif
