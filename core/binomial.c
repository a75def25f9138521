#include "core/binomial.h"

#include <math.h>

/* P(X ≥ k) of n at p, 0 < p < 1: from the greatest term on, each from the one before it. */
static double tail(uint64_t k, uint64_t n, double p)
{
	double first = lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) +
		       (double)k * log(p) + (double)(n - k) * log1p(-p);
	double term = 1, sum = 1, odds = p / (1 - p);

	for (uint64_t i = k; i < n; i++) {
		term *= odds * (double)(n - i) / (double)(i + 1);
		sum += term;
		/* behind the greatest term they only shrink */
		if (term < sum * 1e-17 && (double)i > (double)n * p)
			break;
		if (sum > 1e280) {
			sum *= 1e-280;
			term *= 1e-280;
			first += 280 * log(10);
		}
	}
	return exp(first + log(sum));
}

double binomial_lower(uint64_t k, uint64_t n, double confidence)
{
	double low = 0, high = 1, alpha = 1 - confidence;

	if (k == 0)
		return 0;
	if (k == n)
		return pow(alpha, 1 / (double)n);
	for (int i = 0; i < 100 && high - low > 1e-15; i++) {
		double p = (low + high) / 2;

		if (tail(k, n, p) < alpha)
			low = p;
		else
			high = p;
	}
	return low;
}
