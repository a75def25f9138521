/* What a plan can be made smaller by: for each class of moves the plans that are one move
 * away, the smallest first. No I/O; whether one still fails is for others to find out. */
#ifndef HIL_RUN_SHRINK_MOVES_H
#define HIL_RUN_SHRINK_MOVES_H

#include <stdbool.h>
#include <jansson.h>

#include "core/time.h"

/* X(NAME): in the order in which they are tried, what saves most first */
#define SHRINK_TABLE(X)                                                                                        \
	X(COARSE)     /* all times a hundredth, no faults, no steps: days become minutes */                    \
	X(GROUPS)     /* fewer groups, with all that names them */                                             \
	X(DEVICES)    /* fewer devices, of all groups and of each */                                           \
	X(SEEDS)      /* a few devices under other seeds, where fewer would not do */                          \
	X(LABELS)     /* a name of its own; no tags, no xfail */                                               \
	X(EXPECT)     /* fewer expectations */                                                                 \
	X(THRESHOLDS) /* fewer thresholds */                                                                   \
	X(FAULTS)     /* fewer faults */                                                                       \
	X(STEPS)      /* fewer steps */                                                                        \
	X(NETWORK)    /* none, fewer words of it, or one reply or datagram lost instead */                     \
	X(RIG)        /* arrivals, carrier and modems as they are by default */                                \
	X(SETTINGS)   /* fewer settings */                                                                     \
	X(TRAITS)     /* groups' types, methods, connection as they are by default */                          \
	X(DETAILS)    /* faults that say less: no window, no match; the n-th instead of a chance */            \
	X(TIMES)      /* shorter and rounder times, an earlier end */                                          \
	X(TIDY)       /* names and the seed as they are by default */

#define SHRINK_ENUM(name) SHRINK_##name,
enum shrink_class { SHRINK_TABLE(SHRINK_ENUM) SHRINK_CLASSES };

/* What a move may not touch. */
struct shrink_limits {
	bool counts; /* what fails counts things: less time would only count less */
};

/* A new list of new plans; NULL without memory. */
json_t *shrink_moves(json_t *plan, enum shrink_class c, const struct shrink_limits *l);
/* Devices of all groups. */
json_int_t shrink_devices(json_t *plan);

/* ---- for shrink_moves.c and shrink_values.c only ---- */
/* Appends a deep copy to the list; borrowed, NULL without memory. */
json_t *shrink_copy(json_t *list, json_t *plan);
/* Calls `each` with every object of faults, steps and expectations that can have a `who`. */
void shrink_each_who(json_t *plan, void (*each)(void *ctx, json_t *holder), void *ctx);
void shrink_coarse(json_t *list, json_t *plan, const struct shrink_limits *l);
void shrink_details(json_t *list, json_t *plan);
void shrink_times(json_t *list, json_t *plan, const struct shrink_limits *l);
void shrink_network(json_t *list, json_t *plan);

#endif
