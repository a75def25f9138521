/* A log-bucketed histogram of counts or nanoseconds: constant memory, quantiles
 * within 1/64 of the value, and merging two equals having counted in one. */
#ifndef REPORTS_HISTOGRAM_H
#define REPORTS_HISTOGRAM_H

#include <stdint.h>
#include <jansson.h>

#include "core/err.h"

#define HISTOGRAM_SUB_BITS 6 /* 64 buckets each power of two */
#define HISTOGRAM_BUCKETS  ((64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
	uint64_t count, sum, min, max; /* sum sticks at its maximum; min and max are 0 while empty */
	uint32_t *bucket;              /* owned; NULL while empty */
};

/* Zero-initialise. Returns 0 or ERR_NOMEM (then nothing was counted). */
int histogram_add(struct histogram *h, uint64_t value);
int histogram_merge(struct histogram *into, const struct histogram *from);
void histogram_fini(struct histogram *h);

/* The smallest bucket's upper edge below which at least `q` (0…1) of the samples
 * lie, never above the greatest sample; 0 while empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);
double histogram_mean(const struct histogram *h);

/* {"count", "sum", "min", "max", "p50", "p90", "p95", "p99", "p999", "buckets": [[index, n], …]};
 * a new reference, NULL without memory. */
json_t *histogram_json(const struct histogram *h);
/* Reads what histogram_json wrote, into an empty histogram. 0, ERR_PARSE or ERR_NOMEM. */
int histogram_from_json(struct histogram *h, json_t *j, struct err *e);

#endif
