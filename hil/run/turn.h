/* In which order a run's scenarios begin, and what each weighs on modems that all share. */
#ifndef HIL_RUN_TURN_H
#define HIL_RUN_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

/* The devices of a plan. */
unsigned turn_weight(json_t *plan);
/* Indices of `plans` in the order in which they begin: as they stand, or those that may
 * take longest (their timeouts) first, so that no long one is left alone at the end. The
 * caller's, for free(); NULL without memory. */
size_t *turns_new(json_t *const *plans, size_t n, bool longest_first);

#endif
