/* What so many passes of so many runs prove. */
#ifndef CORE_BINOMIAL_H
#define CORE_BINOMIAL_H

#include <stdint.h>

/* The exact one-sided lower bound of a share (C. J. Clopper, E. S. Pearson, Biometrika 26,
 * 1934): the greatest p for which `k` or more of `n` had been seen with a probability of
 * 1 − `confidence` at most; 0 where k is 0. `k` ≤ `n`, 0 < `n` ≤ 1,000,000, 0 < `confidence` < 1. */
double binomial_lower(uint64_t k, uint64_t n, double confidence);

#endif
