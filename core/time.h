/* Time as every core knows it: unsigned 64-bit nanoseconds that the world hands
 * in. Nothing but world_live reads a clock. */
#ifndef CORE_TIME_H
#define CORE_TIME_H

#include <stdint.h>

typedef uint64_t time_ns; /* monotonic; where a Unix time is meant the name says unix_ns or unix_s */

#define TIME_NEVER UINT64_MAX /* "no deadline" */
#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_S   UINT64_C(1000000000)

static inline time_ns time_min(time_ns a, time_ns b)
{
	return a < b ? a : b;
}

/* a + b that sticks at TIME_NEVER instead of wrapping. */
static inline time_ns time_add(time_ns a, time_ns b)
{
	return a > TIME_NEVER - b ? TIME_NEVER : a + b;
}

#endif
