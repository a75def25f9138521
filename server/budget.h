/* How many SMS and how many strangers (protocol.md §4, SMS): the durable SMS budget of a
 * device and of the fleet; the limit on registers that end in 403, by source. */
#ifndef SERVER_BUDGET_H
#define SERVER_BUDGET_H

#include <stdbool.h>

#include "core/settings.h"
#include "core/world.h"
#include "server/store.h"

#define FLEET_BUCKETS    145 /* of ten minutes: a day, and the one that is running */
#define FLEET_BUCKET_MS  (600 * INT64_C(1000))

/* The fleet's hand-overs of the last 24 hours; the store's rows, mirrored. */
struct fleet_budget {
	int64_t bucket[FLEET_BUCKETS]; /* which ten minutes since 1970 */
	int64_t n[FLEET_BUCKETS];
	int64_t ahead; /* of buckets that are still to come: the clock was set back */
};

/* Also after a decision was undone. Reads only. */
int fleet_load(struct fleet_budget *fb, struct store *st, int64_t unix_ms);

/* May one more SMS go to `uuid`? 0; ERR_BUSY with the seconds to wait; ERR_IO. What a clock
 * that was set back left in the future counts from now on, durably. Within a decision. */
int budget_check(struct fleet_budget *fb, struct store *st, const struct settings *s, const char *uuid,
		 int64_t unix_ms, int64_t *wait_s);
/* Counts a hand-over; *used_ms names it for budget_return. */
int budget_take(struct fleet_budget *fb, struct store *st, const char *uuid, int64_t unix_ms, int64_t *used_ms);
/* It never reached a modem. */
int budget_return(struct fleet_budget *fb, struct store *st, const char *uuid, int64_t used_ms);

/* Sources of refused registers. Bounded: the source that was quiet longest is forgotten. */
struct strangers;
struct strangers *strangers_new(struct secret_source *secret);
void strangers_free(struct strangers *s);
/* Counts one refused register from `addr` (/32, /64). True while within `limit` an hour;
 * else false and the seconds until it will be. */
bool strangers_count(struct strangers *s, const struct addr *addr, int64_t limit, time_ns now, int64_t *wait_s);

#endif
