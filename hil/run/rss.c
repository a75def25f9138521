#include "hil/run/rss.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GROWTH_MIN_KIB 4096
#define SAMPLES_MIN    3

uint32_t rss_of(pid_t pid)
{
	char path[64];
	unsigned long total, resident;
	FILE *f;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	n = fscanf(f, "%lu %lu", &total, &resident);
	fclose(f);
	return n == 2 ? (uint32_t)(resident * (unsigned long)sysconf(_SC_PAGESIZE) / 1024) : 0;
}

void rss_add(struct rss_track *t, uint64_t at, uint32_t kib)
{
	if (!kib)
		return;
	if (t->skipped) {
		t->skipped--;
		return;
	}
	if (t->n == RSS_SAMPLES) {
		for (unsigned i = 0; i < RSS_SAMPLES / 2; i++) {
			t->at[i] = t->at[2 * i];
			t->kib[i] = t->kib[2 * i];
		}
		t->n = RSS_SAMPLES / 2;
		t->stride = t->stride ? 2 * t->stride : 2;
	}
	t->at[t->n] = at;
	t->kib[t->n++] = kib;
	t->skipped = t->stride ? t->stride - 1 : 0;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Median of the samples in [low, high]; 0 where there are too few. */
static uint32_t median(const struct rss_track *t, uint64_t low, uint64_t high)
{
	uint32_t found[RSS_SAMPLES];
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		if (t->at[i] >= low && t->at[i] <= high)
			found[n++] = t->kib[i];
	if (n < SAMPLES_MIN)
		return 0;
	qsort(found, n, sizeof(found[0]), by_size);
	return found[n / 2];
}

enum rss_verdict rss_judge(const struct rss_track *t, int64_t *growth_kib)
{
	uint64_t end = t->n ? t->at[t->n - 1] : 0;
	uint32_t middle = median(t, end / 5 * 2, end / 5 * 3), last = median(t, end / 5 * 4, end);
	int64_t growth = (int64_t)last - (int64_t)middle;

	if (growth_kib)
		*growth_kib = middle && last ? growth : 0;
	if (!middle || !last)
		return RSS_TOO_SHORT;
	return growth > GROWTH_MIN_KIB && growth > middle / 10 ? RSS_GROWS : RSS_FLAT;
}
