/* The resident memory of a running process, sampled while it works, and whether it stays
 * flat: a process that has a week of the same life to live should not need more at its
 * end than in its middle. */
#ifndef HIL_RUN_RSS_H
#define HIL_RUN_RSS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RSS_SAMPLES 64

struct rss_track {
	/* How far the work was (any unit that grows) and the memory, KiB. Every `stride`-th
	 * sample is kept, so that the whole life always fits. */
	uint64_t at[RSS_SAMPLES];
	uint32_t kib[RSS_SAMPLES];
	unsigned n, stride, skipped;
};

/* Resident KiB of a process, 0 where it cannot be read. */
uint32_t rss_of(pid_t pid);
void rss_add(struct rss_track *t, uint64_t at, uint32_t kib);

enum rss_verdict { RSS_FLAT, RSS_GROWS, RSS_TOO_SHORT };
/* Holds the last fifth against the middle fifth (by `at`), medians. Grows: by more than a
 * tenth and more than 4 MiB. Too short: fewer than three samples in either. `growth_kib`
 * may be NULL. */
enum rss_verdict rss_judge(const struct rss_track *t, int64_t *growth_kib);

#endif
