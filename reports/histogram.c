#include "reports/histogram.h"

#include <stdlib.h>
#include <string.h>

#define SUB (UINT64_C(1) << HISTOGRAM_SUB_BITS)

static unsigned bucket_of(uint64_t v)
{
	unsigned exp;

	if (v < SUB)
		return (unsigned)v;
	exp = 63 - (unsigned)__builtin_clzll(v);
	return (unsigned)(((exp - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS) +
			  ((v >> (exp - HISTOGRAM_SUB_BITS)) - SUB));
}

/* The greatest value that falls into bucket `i`. */
static uint64_t bucket_top(unsigned i)
{
	unsigned exp = i >> HISTOGRAM_SUB_BITS;
	uint64_t low, width;

	if (exp == 0)
		return i;
	width = UINT64_C(1) << (exp - 1);
	low = (SUB + (i & (SUB - 1))) << (exp - 1);
	return low + (width - 1);
}

static int make_buckets(struct histogram *h)
{
	if (!h->bucket)
		h->bucket = calloc(HISTOGRAM_BUCKETS, sizeof(*h->bucket));
	return h->bucket ? 0 : ERR_NOMEM;
}

static void add_sum(struct histogram *h, uint64_t v)
{
	h->sum = h->sum > UINT64_MAX - v ? UINT64_MAX : h->sum + v;
}

static void widen(struct histogram *h, uint64_t min, uint64_t max)
{
	if (h->count == 0 || min < h->min)
		h->min = min;
	if (h->count == 0 || max > h->max)
		h->max = max;
}

int histogram_add(struct histogram *h, uint64_t value)
{
	if (make_buckets(h))
		return ERR_NOMEM;
	widen(h, value, value);
	h->bucket[bucket_of(value)]++;
	h->count++;
	add_sum(h, value);
	return 0;
}

int histogram_merge(struct histogram *into, const struct histogram *from)
{
	if (from->count == 0)
		return 0;
	if (make_buckets(into))
		return ERR_NOMEM;
	widen(into, from->min, from->max);
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
	into->count += from->count;
	add_sum(into, from->sum);
	return 0;
}

void histogram_fini(struct histogram *h)
{
	free(h->bucket);
	memset(h, 0, sizeof(*h));
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
	uint64_t want, seen = 0;
	/* 99.9 / 100 of 1000 is a hair more than 999, and no sample more */
	double exact = q * (double)h->count * (1 - 1e-12);

	if (h->count == 0)
		return 0;
	want = (uint64_t)exact;
	if ((double)want < exact || want == 0)
		want++;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want) {
			uint64_t top = bucket_top(i);

			return top < h->max ? top : h->max;
		}
	}
	return h->max;
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? (double)h->sum / (double)h->count : 0;
}

static json_int_t clamp(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (json_int_t)v;
}

json_t *histogram_json(const struct histogram *h)
{
	json_t *buckets = json_array();

	for (unsigned i = 0; h->bucket && i < HISTOGRAM_BUCKETS; i++)
		if (h->bucket[i])
			json_array_append_new(buckets, json_pack("[I,I]", (json_int_t)i,
								 (json_int_t)h->bucket[i]));
	return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "count", clamp(h->count), "sum",
			 clamp(h->sum), "min", clamp(h->min), "max", clamp(h->max), "p50",
			 clamp(histogram_quantile(h, 0.5)), "p90", clamp(histogram_quantile(h, 0.9)), "p95",
			 clamp(histogram_quantile(h, 0.95)), "p99", clamp(histogram_quantile(h, 0.99)), "p999",
			 clamp(histogram_quantile(h, 0.999)), "buckets", buckets);
}

int histogram_from_json(struct histogram *h, json_t *j, struct err *e)
{
	json_int_t count, sum, min, max, index, n;
	json_t *buckets, *pair;
	uint64_t seen = 0;
	size_t i;

	if (json_unpack(j, "{s:I,s:I,s:I,s:I,s:o}", "count", &count, "sum", &sum, "min", &min, "max", &max,
			"buckets", &buckets) ||
	    !json_is_array(buckets) || count < 0 || sum < 0 || min < 0 || max < min)
		return err_set(e, ERR_PARSE, "not a histogram");
	if (make_buckets(h))
		return err_set(e, ERR_NOMEM, "out of memory");
	json_array_foreach(buckets, i, pair) {
		if (json_unpack(pair, "[I,I]", &index, &n) || index < 0 || index >= HISTOGRAM_BUCKETS || n < 0 ||
		    n > UINT32_MAX)
			return err_set(e, ERR_PARSE, "histogram: bad bucket %zu", i);
		h->bucket[index] = (uint32_t)n;
		seen += (uint64_t)n;
	}
	if (seen != (uint64_t)count)
		return err_set(e, ERR_PARSE, "histogram: its buckets hold other than its count");
	h->count = (uint64_t)count;
	h->sum = (uint64_t)sum;
	h->min = (uint64_t)min;
	h->max = (uint64_t)max;
	return 0;
}
