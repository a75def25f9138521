/* In which order a run's scenarios begin, and what each weighs on modems that all share. */
#ifndef HIL_RUN_TURN_H
#define HIL_RUN_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

/* The devices of a plan. */
unsigned turn_weight(json_t *plan);
/* Indices of `plans` in the order in which they begin. Without `capacity`: as they stand.
 * Else first those that weigh more than it and have the rig to themselves, then those that
 * may take longest (their timeouts), so that no long one is left alone at the end. The
 * caller's, for free(); NULL without memory. */
size_t *turns_new(json_t *const *plans, size_t n, unsigned capacity);
/* Puts the first of turns[next…n) that weighs at most `room` at `next`, before those that do
 * not fit. False: none does. */
bool turn_fit(size_t *turns, size_t next, size_t n, json_t *const *plans, unsigned room);

#endif
