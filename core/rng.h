/* Random streams: one per (seed, actor, purpose), so that adding or removing an
 * actor or a fault moves nobody else's draws. For choices, never for secrets. */
#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	uint64_t s[4]; /* xoshiro256** */
};

/* `actor` and `purpose` are any text of any length, e.g. "A[3]" and "backoff". */
void rng_init(struct rng *r, uint64_t seed, const char *actor, const char *purpose);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);             /* 0 … n-1, unbiased; n > 0 */
double rng_unit(struct rng *r);                            /* [0, 1) with 53 bits */
double rng_range(struct rng *r, double low, double high);  /* [low, high) */
void rng_bytes(struct rng *r, void *out, size_t len);

#endif
