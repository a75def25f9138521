#include "sim/world_virtual.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include <gnutls/gnutls.h>
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(e) ((e)->lost = true)
#include <uthash.h>

#include "core/heap.h"
#include "core/rng.h"
#include "sim/nat.h"

#define DATAGRAM_MAX    65535
#define DATAGRAM_USUAL  1536 /* room in every event, so that it can carry another one later */
#define ADDRS_MAX       256
/* Turns of one actor at one instant until the clock is helped on: a deadline that
 * stays in the past must not stop time. */
#define TURNS_MAX       10000
#define NUDGE           NS_PER_US

struct event {
	struct heap_node node;
	SLIST_ENTRY(event) spare;
	size_t room;
	world_virtual_fn *fn; /* NULL: a datagram */
	void *ctx;
	struct addr from, to;
	unsigned ecn;
	size_t len;
	uint8_t data[];
};

struct actor {
	struct world_actor a;
	bool there, dirty;
	int64_t offset_ms;
	unsigned turns; /* at this instant, without an event in between */
};

struct binding {
	struct addr addr;
	int actor; /* -1: nobody */
	unsigned ports;     /* from addr's on; 1: that one alone */
	struct world_span span;
	struct nat *nat; /* owned; NULL: no links, a perfect way */
};

struct source {
	struct secret_source base; /* first */
	struct rng rng;
	bool lost; /* the hash had no memory for it */
	UT_hash_handle hh;
	char name[];
};

struct world_virtual {
	uint64_t seed;
	time_ns now, delay;
	int64_t day_ms; /* of the wall clock at the start, behind midnight */
	struct heap events;
	struct actor actors[WORLD_VIRTUAL_ACTORS];
	unsigned actors_n;
	struct binding bindings[ADDRS_MAX];
	unsigned bindings_n;
	struct source *sources; /* by name */
	SLIST_HEAD(, event) spare;
	struct dgram_sink sink; /* see self_of */
	uint8_t burst[DATAGRAM_MAX + 1];
	int current; /* whose clock GnuTLS sees; -1: nobody's */
	uint64_t carried, dropped, lost;
};

static struct world_virtual *self_of(struct dgram_sink *sink)
{
	return (struct world_virtual *)((char *)sink - offsetof(struct world_virtual, sink));
}

/* ---- the link ---- */

static uint8_t *sink_space(struct dgram_sink *sink, size_t size)
{
	struct world_virtual *w = self_of(sink);

	return size <= sizeof(w->burst) ? w->burst : NULL;
}

/* Is `a` one of the binding's addresses? Which one: out. */
static bool binding_has(const struct binding *b, const struct addr *a, unsigned *which)
{
	struct addr first = *a;
	unsigned port, base;

	if (a->u.sa.sa_family != b->addr.u.sa.sa_family)
		return false;
	/* sin_port and sin6_port stand at one place */
	port = ntohs(a->u.in.sin_port);
	base = ntohs(b->addr.u.in.sin_port);
	if (port < base || port - base >= b->ports)
		return false;
	first.u.in.sin_port = b->addr.u.in.sin_port;
	*which = port - base;
	return addr_equal(&first, &b->addr);
}

static struct binding *binding_of(struct world_virtual *w, const struct addr *a)
{
	unsigned which;

	for (unsigned i = 0; i < w->bindings_n; i++)
		if (binding_has(&w->bindings[i], a, &which))
			return &w->bindings[i];
	return NULL;
}

/* The binding whose link lies between two addresses; NULL: none. Which of its ports, and
 * which way it goes: out. */
static struct binding *link_between(struct world_virtual *w, const struct addr *from, const struct addr *to,
				    unsigned *which, enum link_direction *d)
{
	for (unsigned i = 0; i < w->bindings_n; i++) {
		struct binding *b = &w->bindings[i];
		int inside;

		if (!b->nat)
			continue;
		*d = LINK_UP;
		if (binding_has(b, from, which))
			return b;
		*d = LINK_DOWN;
		inside = nat_inside(b->nat, to);
		if (inside >= 0) {
			*which = (unsigned)inside;
			return b;
		}
	}
	return NULL;
}

static struct event *event_new(struct world_virtual *w, size_t len)
{
	struct event *ev = SLIST_FIRST(&w->spare);

	if (ev && len <= ev->room) {
		SLIST_REMOVE_HEAD(&w->spare, spare);
		len = ev->room;
	} else {
		len = len > DATAGRAM_USUAL ? len : DATAGRAM_USUAL;
		ev = malloc(sizeof(*ev) + len);
	}
	if (!ev)
		return NULL;
	memset(ev, 0, sizeof(*ev));
	ev->room = len;
	return ev;
}

static void event_free(struct world_virtual *w, struct event *ev)
{
	if (ev->room == DATAGRAM_USUAL)
		SLIST_INSERT_HEAD(&w->spare, ev, spare);
	else
		free(ev);
}

static void arrive(struct world_virtual *w, const struct addr *from, const struct addr *to, unsigned ecn,
		   const uint8_t *data, size_t len, const struct link_copy *c)
{
	struct event *ev = event_new(w, len);

	if (!ev)
		return; /* a network may lose */
	ev->from = *from;
	ev->to = *to;
	ev->ecn = ecn;
	ev->len = len;
	memcpy(ev->data, data, len);
	if (c->flip)
		ev->data[c->where] ^= c->flip;
	if (heap_set(&w->events, &ev->node, c->at))
		event_free(w, ev);
}

static void rebind(struct world_virtual *w, struct binding *b, unsigned which, enum link_rebind what)
{
	struct instant at = world_virtual_now(w, -1);
	const struct binding *taken;

	do {
		if (nat_rebind(b->nat, which, what == LINK_NEW_ADDRESS))
			return; /* a NAT without ports goes on with the one that there is */
		taken = binding_of(w, nat_outside(b->nat, which));
	} while (taken); /* somebody else's, as the server's own port: the next one is another */
	if (b->span.rebound)
		b->span.rebound(b->span.ctx, &at, which, what);
}

static void carry(struct world_virtual *w, const struct addr *from, const struct addr *to, unsigned ecn,
		  const uint8_t *data, size_t len)
{
	struct link_fate fate = {.copies = 1, .copy = {{.at = time_add(w->now, w->delay)}}};
	struct addr seen_from = *from, lives_at = *to;
	enum link_direction d;
	unsigned which;
	struct binding *b = link_between(w, from, to, &which, &d);

	if (b) {
		link_pass(&b->span.links[which], d, w->now, data, len, &fate);
		if (fate.rebind != LINK_STAYS)
			rebind(w, b, which, fate.rebind);
		if (d == LINK_UP) {
			seen_from = *nat_outside(b->nat, which);
		} else {
			lives_at = b->addr;
			lives_at.u.in.sin_port = htons((uint16_t)(ntohs(b->addr.u.in.sin_port) + which));
		}
	} else if ((b = binding_of(w, to)) && b->nat) {
		/* what it was seen as once, and is not any more */
		fate.copies = 0;
	}
	w->lost += fate.copies == 0;
	for (unsigned i = 0; i < fate.copies; i++)
		arrive(w, &seen_from, &lives_at, ecn, data, len, &fate.copy[i]);
}

static void sink_send(struct dgram_sink *sink, void *owner, const struct addr *local, const struct addr *remote,
		      size_t len, size_t segment, unsigned ecn)
{
	struct world_virtual *w = self_of(sink);

	(void)owner;
	if (!segment)
		segment = len;
	for (size_t at = 0; at < len; at += segment)
		carry(w, local, remote, ecn, w->burst + at, len - at < segment ? len - at : segment);
}

/* ---- making one ---- */

struct world_virtual *world_virtual_new(uint64_t seed, time_ns link_delay, struct err *e)
{
	struct world_virtual *w = calloc(1, sizeof(*w));

	if (!w) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	w->seed = seed;
	w->now = WORLD_VIRTUAL_START;
	w->delay = link_delay;
	w->sink.space = sink_space;
	w->sink.send = sink_send;
	w->current = -1;
	heap_init(&w->events);
	SLIST_INIT(&w->spare);
	return w;
}

static struct world_virtual *gnutls_world;

void world_virtual_free(struct world_virtual *w)
{
	struct source *s, *next;
	struct heap_node *n;

	if (!w)
		return;
	while ((n = heap_top(&w->events))) {
		heap_remove(&w->events, n);
		free(HEAP_ENTRY(n, struct event, node));
	}
	heap_fini(&w->events);
	while (!SLIST_EMPTY(&w->spare)) {
		struct event *ev = SLIST_FIRST(&w->spare);

		SLIST_REMOVE_HEAD(&w->spare, spare);
		free(ev);
	}
	for (unsigned i = 0; i < w->bindings_n; i++)
		nat_free(w->bindings[i].nat);
	HASH_ITER(hh, w->sources, s, next) {
		HASH_DEL(w->sources, s);
		free(s);
	}
	if (gnutls_world == w)
		gnutls_world = NULL;
	free(w);
}

int world_virtual_add(struct world_virtual *w, const struct world_actor *a, const struct addr *addr)
{
	unsigned i = 0;

	while (i < w->actors_n && w->actors[i].there)
		i++;
	if (i == WORLD_VIRTUAL_ACTORS)
		return ERR_LIMIT;
	w->actors[i] = (struct actor){.a = *a, .there = true, .dirty = true};
	if (i == w->actors_n)
		w->actors_n++;
	if (addr) {
		int rv = world_virtual_bind(w, (int)i, addr);

		if (rv) {
			w->actors[i].there = false;
			return rv;
		}
	}
	return (int)i;
}

int world_virtual_bind(struct world_virtual *w, int actor, const struct addr *addr)
{
	struct binding *b = binding_of(w, addr);

	for (unsigned i = 0; !b && i < w->bindings_n; i++)
		if (w->bindings[i].actor < 0)
			b = &w->bindings[i];
	if (!b && w->bindings_n == ADDRS_MAX)
		return ERR_LIMIT;
	if (!b)
		b = &w->bindings[w->bindings_n++];
	nat_free(b->nat);
	*b = (struct binding){.addr = *addr, .actor = actor, .ports = 1};
	return 0;
}

int world_virtual_bind_span(struct world_virtual *w, int actor, const struct world_span *s)
{
	struct binding *b;
	struct nat *nat;
	int rv;

	if (s->base.u.sa.sa_family != AF_INET || ntohs(s->base.u.in.sin_port) + s->ports > 65536)
		return ERR_LIMIT;
	nat = nat_new(&s->base, s->ports);
	rv = nat ? world_virtual_bind(w, actor, &s->base) : ERR_NOMEM;
	if (rv) {
		nat_free(nat);
		return rv;
	}
	b = binding_of(w, &s->base);
	b->ports = s->ports;
	b->span = *s;
	b->nat = nat;
	return 0;
}

void world_virtual_remove(struct world_virtual *w, int actor)
{
	w->actors[actor].there = false;
	for (unsigned i = 0; i < w->bindings_n; i++)
		if (w->bindings[i].actor == actor)
			w->bindings[i].actor = -1;
}

void world_virtual_touch(struct world_virtual *w, int actor)
{
	w->actors[actor].dirty = true;
}

void world_virtual_clock(struct world_virtual *w, int actor, int64_t offset_ms)
{
	w->actors[actor].offset_ms = offset_ms;
}

int world_virtual_at(struct world_virtual *w, time_ns time, world_virtual_fn *fn, void *ctx)
{
	struct event *ev = event_new(w, 0);

	if (!ev)
		return ERR_NOMEM;
	ev->fn = fn;
	ev->ctx = ctx;
	if (heap_set(&w->events, &ev->node, time > w->now ? time : w->now)) {
		event_free(w, ev);
		return ERR_NOMEM;
	}
	return 0;
}

/* ---- running ---- */

struct instant world_virtual_now(const struct world_virtual *w, int actor)
{
	int64_t offset = w->day_ms + (actor >= 0 ? w->actors[actor].offset_ms : 0);

	return (struct instant){.now = w->now,
				.boot = w->now,
				.unix_ms = WORLD_VIRTUAL_EPOCH_S * 1000 +
					   (int64_t)((w->now - WORLD_VIRTUAL_START) / NS_PER_MS) + offset};
}

static void run_event(struct world_virtual *w, struct event *ev)
{
	struct binding *b = NULL;
	struct instant at;
	struct actor *a;

	if (ev->fn) {
		at = world_virtual_now(w, -1);
		ev->fn(ev->ctx, &at);
		return;
	}
	b = binding_of(w, &ev->to);
	if (!b || b->actor < 0 || !w->actors[b->actor].a.datagram) {
		w->dropped++;
		return;
	}
	w->carried++;
	a = &w->actors[b->actor];
	a->dirty = true;
	a->turns = 0;
	w->current = b->actor;
	at = world_virtual_now(w, b->actor);
	a->a.datagram(a->a.ctx, &at, &ev->to, &ev->from, ev->ecn, ev->data, ev->len);
	w->current = -1;
}

static time_ns deadline_of(const struct world_virtual *w, const struct actor *a)
{
	time_ns t;

	if (!a->there)
		return TIME_NEVER;
	if (a->dirty)
		return w->now;
	t = a->a.deadline ? a->a.deadline(a->a.ctx) : TIME_NEVER;
	if (t <= w->now && a->turns >= TURNS_MAX)
		return w->now + NUDGE;
	return t > w->now ? t : w->now;
}

static void turn(struct world_virtual *w, int i)
{
	struct actor *a = &w->actors[i];
	struct instant at = world_virtual_now(w, i);

	a->dirty = false;
	a->turns++;
	w->current = i;
	if (a->a.turn)
		a->a.turn(a->a.ctx, &at, &w->sink);
	w->current = -1;
}

/* When something is next to be done; `*who`: whose turn it is, -1 an event. */
static time_ns next(const struct world_virtual *w, int *who)
{
	time_ns best = heap_deadline(&w->events);

	*who = -1;
	/* events of an instant come before the turns that answer them */
	for (unsigned i = 0; i < w->actors_n && best > w->now; i++) {
		time_ns t = deadline_of(w, &w->actors[i]);

		if (t < best) {
			best = t;
			*who = (int)i;
		}
	}
	return best;
}

static void advance(struct world_virtual *w, time_ns to)
{
	if (to <= w->now)
		return;
	w->now = to;
	for (unsigned i = 0; i < w->actors_n; i++)
		w->actors[i].turns = 0;
}

static void run_next(struct world_virtual *w, time_ns time, int who)
{
	advance(w, time);
	if (who < 0) {
		struct event *ev = HEAP_ENTRY(heap_top(&w->events), struct event, node);

		heap_remove(&w->events, &ev->node);
		run_event(w, ev);
		event_free(w, ev);
		return;
	}
	turn(w, who);
}

bool world_virtual_step(struct world_virtual *w)
{
	int who;
	time_ns time = next(w, &who);

	if (time == TIME_NEVER)
		return false;
	run_next(w, time, who);
	return true;
}

void world_virtual_run_to(struct world_virtual *w, time_ns time)
{
	int who;
	time_ns t;

	while ((t = next(w, &who)) <= time)
		run_next(w, t, who);
	advance(w, time);
}

/* ---- random bytes, GnuTLS's clock ---- */

static void source_fill(struct secret_source *src, void *out, size_t len)
{
	rng_bytes(&((struct source *)src)->rng, out, len);
}

struct secret_source *world_virtual_secret(struct world_virtual *w, const char *name)
{
	struct source *s;

	HASH_FIND_STR(w->sources, name, s);
	if (s)
		return &s->base;
	s = calloc(1, sizeof(*s) + strlen(name) + 1);
	if (!s)
		return NULL;
	strcpy(s->name, name);
	s->base.fill = source_fill;
	rng_init(&s->rng, w->seed, name, "secret");
	HASH_ADD_STR(w->sources, name, s);
	if (s->lost) {
		free(s);
		return NULL;
	}
	return &s->base;
}

void world_virtual_day(struct world_virtual *w, time_ns since_midnight)
{
	w->day_ms = (int64_t)(since_midnight / NS_PER_MS);
}

static time_t virtual_time(time_t *out)
{
	time_t t = WORLD_VIRTUAL_EPOCH_S;

	if (gnutls_world)
		t = (time_t)(world_virtual_now(gnutls_world, gnutls_world->current).unix_ms / 1000);
	if (out)
		*out = t;
	return t;
}

void world_virtual_install_gnutls(struct world_virtual *w)
{
	gnutls_world = w;
	gnutls_global_set_time_function(virtual_time);
}

uint64_t world_virtual_datagrams(const struct world_virtual *w)
{
	return w->carried;
}

uint64_t world_virtual_lost(const struct world_virtual *w)
{
	return w->lost;
}

uint64_t world_virtual_dropped(const struct world_virtual *w)
{
	return w->dropped;
}
