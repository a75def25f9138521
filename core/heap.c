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
	free(h->nodes);
	memset(h, 0, sizeof(*h));
}

static bool earlier(const struct heap_node *a, const struct heap_node *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void put(struct heap *h, size_t i, struct heap_node *n)
{
	h->nodes[i] = n;
	n->place = i + 1;
}

static void sift_up(struct heap *h, size_t i)
{
	struct heap_node *n = h->nodes[i];

	while (i > 0 && earlier(n, h->nodes[(i - 1) / 2])) {
		put(h, i, h->nodes[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, i, n);
}

static void sift_down(struct heap *h, size_t i)
{
	struct heap_node *n = h->nodes[i];
	size_t child;

	while ((child = 2 * i + 1) < h->len) {
		if (child + 1 < h->len && earlier(h->nodes[child + 1], h->nodes[child]))
			child++;
		if (!earlier(h->nodes[child], n))
			break;
		put(h, i, h->nodes[child]);
		i = child;
	}
	put(h, i, n);
}

static int grow(struct heap *h)
{
	size_t cap = h->cap ? 2 * h->cap : HEAP_CAP_FIRST;
	struct heap_node **nodes = reallocarray(h->nodes, cap, sizeof(struct heap_node *));

	if (!nodes)
		return ERR_NOMEM;
	h->nodes = nodes;
	h->cap = cap;
	return 0;
}

int heap_set(struct heap *h, struct heap_node *n, time_ns at)
{
	if (!n->place) {
		if (h->len == h->cap && grow(h))
			return ERR_NOMEM;
		put(h, h->len++, n);
	} else if (n->at == at) {
		return 0;
	}
	n->at = at;
	n->seq = h->next_seq++;
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
	last = h->nodes[--h->len];
	if (last == n)
		return;
	put(h, i, last);
	sift_up(h, i);
	sift_down(h, last->place - 1);
}

struct heap_node *heap_top(const struct heap *h)
{
	return h->len ? h->nodes[0] : NULL;
}

time_ns heap_deadline(const struct heap *h)
{
	return h->len ? h->nodes[0]->at : TIME_NEVER;
}
