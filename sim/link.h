/* The network between one device and the server: loss, delay, jitter, reordering,
 * duplicates, corruption. No I/O: for each datagram it says what becomes of it.
 *
 * Each purpose in each direction draws from a stream of its own, so that neither
 * another device nor another kind of trouble moves anybody's draws. */
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

/* Shares are 0…1 of the datagrams. */
struct link_spec {
	double loss, duplicate, reorder, corrupt;
	time_ns delay;  /* one way */
	time_ns jitter; /* added or taken, evenly; never below no delay at all */
};

enum link_direction { LINK_UP, LINK_DOWN, LINK_DIRECTIONS }; /* up: to the server */
enum link_purpose { LINK_LOSS, LINK_DUPLICATE, LINK_REORDER, LINK_CORRUPT, LINK_JITTER, LINK_PURPOSES };

struct link {
	const struct link_spec *spec; /* borrowed */
	struct rng rng[LINK_DIRECTIONS][LINK_PURPOSES];
	time_ns last[LINK_DIRECTIONS]; /* arrival of the latest one that was not reordered */
};

struct link_copy {
	time_ns at;   /* when it arrives */
	size_t where; /* the byte that is changed, … */
	uint8_t flip; /* … by this; 0: none */
};

struct link_fate {
	unsigned copies; /* 0: lost */
	struct link_copy copy[LINK_COPIES];
};

/* The plan's `network` (docs/plan.md): loss, duplicate, reorder, corrupt, delay_ns,
 * jitter_ns. 0 or ERR_PARSE for a member that nobody knows or a share beyond 0…1. */
int link_spec_read(json_t *network, struct link_spec *out, struct err *e);
/* `name` tells the links of one seed apart. */
void link_init(struct link *l, const struct link_spec *spec, uint64_t seed, const char *name);
void link_pass(struct link *l, enum link_direction d, time_ns now, size_t len, struct link_fate *out);

#endif
