/* A binary heap of deadlines; each node knows its place, so that moving or removing
 * one costs O(log n). Ties break on the order in which nodes were set. */
#ifndef CORE_HEAP_H
#define CORE_HEAP_H

#include <stddef.h>

#include "core/time.h"

/* Embedded in whatever waits. Zero-initialise. */
struct heap_node {
	time_ns at;
	size_t place; /* index + 1; 0: not in a heap */
};

/* What is compared stands in the heap's own array: the nodes lie all over the memory. */
struct heap_entry {
	time_ns at;
	uint64_t seq;
	struct heap_node *node; /* borrowed */
};

struct heap {
	struct heap_entry *entries; /* owned */
	size_t len, cap;
	uint64_t next_seq;
};

/* The struct around a node. */
#define HEAP_ENTRY(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))

void heap_init(struct heap *h);
void heap_fini(struct heap *h); /* the nodes are the caller's */

/* Puts `n` in at `at`, or moves it there. A move never fails; an insertion may: ERR_NOMEM. */
int heap_set(struct heap *h, struct heap_node *n, time_ns at);
void heap_remove(struct heap *h, struct heap_node *n); /* no harm where it is not in */

/* The earliest; NULL when empty. */
struct heap_node *heap_top(const struct heap *h);
/* Its time; TIME_NEVER when empty. */
time_ns heap_deadline(const struct heap *h);

#endif
