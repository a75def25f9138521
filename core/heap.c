#include "core/heap.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

#define HEAP_CAP_FIRST 64

void heap_init(struct heap *h)
{
	memset(h, 0, sizeof(*h));
}

void heap_fini(struct heap *h)
{
	free(h->entries);
	memset(h, 0, sizeof(*h));
}

static bool earlier(const struct heap_entry *a, const struct heap_entry *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void put(struct heap *h, size_t i, const struct heap_entry *e)
{
	h->entries[i] = *e;
	e->node->place = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
	struct heap_entry e = h->entries[i];

	while (i > 0 && earlier(&e, &h->entries[(i - 1) / 2])) {
		put(h, i, &h->entries[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, i, &e);
}

static void sift_down(struct heap *h, size_t i)
{
	struct heap_entry e = h->entries[i];
	size_t child;

	while ((child = 2 * i + 1) < h->len) {
		if (child + 1 < h->len && earlier(&h->entries[child + 1], &h->entries[child]))
			child++;
		if (!earlier(&h->entries[child], &e))
			break;
		put(h, i, &h->entries[child]);
		i = child;
	}
	put(h, i, &e);
}

static int grow(struct heap *h)
{
	size_t cap = h->cap ? 2 * h->cap : HEAP_CAP_FIRST;
	struct heap_entry *entries = reallocarray(h->entries, cap, sizeof(*entries));

	if (!entries)
		return ERR_NOMEM;
	h->entries = entries;
	h->cap = cap;
	return 0;
}

int heap_set(struct heap *h, struct heap_node *n, time_ns at)
{
	struct heap_entry e = {.at = at, .node = n};

	if (n->place && n->at == at)
		return 0;
	if (!n->place) {
		if (h->len == h->cap && grow(h))
			return ERR_NOMEM;
		n->place = ++h->len;
	}
	n->at = at;
	e.seq = h->next_seq++;
	put(h, n->place - 1, &e);
	sift_up(h, n->place - 1);
	sift_down(h, n->place - 1);
	return 0;
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	size_t i = n->place - 1;
	struct heap_node *last;

	if (!n->place)
		return;
	n->place = 0;
	last = h->entries[--h->len].node;
	if (last == n)
		return;
	put(h, i, &h->entries[h->len]);
	sift_up(h, i);
	sift_down(h, last->place - 1);
}

struct heap_node *heap_top(const struct heap *h)
{
	return h->len ? h->entries[0].node : NULL;
}

time_ns heap_deadline(const struct heap *h)
{
	return h->len ? h->entries[0].at : TIME_NEVER;
}
