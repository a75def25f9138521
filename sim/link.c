#include "sim/link.h"

#include <stdio.h>
#include <string.h>

static const char *const purposes[LINK_PURPOSES] = {"loss", "duplicate", "reorder", "corrupt", "jitter"};

void link_init(struct link *l, const struct link_spec *spec, uint64_t seed, const char *name)
{
	static const char *const ways[LINK_DIRECTIONS] = {"up", "down"};
	char purpose[32];

	memset(l, 0, sizeof(*l));
	l->spec = spec;
	for (int d = 0; d < LINK_DIRECTIONS; d++) {
		for (int p = 0; p < LINK_PURPOSES; p++) {
			snprintf(purpose, sizeof(purpose), "link.%s.%s", ways[d], purposes[p]);
			rng_init(&l->rng[d][p], seed, name, purpose);
		}
		l->drop[d] = spec->drop[d];
	}
	link_start(l, 0);
}

void link_start(struct link *l, time_ns now)
{
	l->start = now;
	l->rebind_at = l->spec->rebind == LINK_STAYS ? TIME_NEVER : time_add(now, l->spec->rebind_after);
}

void link_blackhole(struct link *l, time_ns until)
{
	if (until > l->dark_until)
		l->dark_until = until;
}

void link_drop(struct link *l, enum link_direction d, uint64_t mask)
{
	l->drop[d] |= mask;
}

void link_rebind(struct link *l, enum link_rebind what)
{
	/* an address that changes changes more than a port does */
	if (what > l->forgotten)
		l->forgotten = what;
}

/* ---- one datagram on its way through the nodes ---- */

struct passing {
	struct link *l;
	const struct link_spec *spec;
	enum link_direction d;
	time_ns now;
	const uint8_t *data;
	size_t len;
	bool lost, late, twice, bad; /* drawn */
	uint64_t bits;		     /* which damage; drawn where `bad` */
	time_ns leaves;		     /* the device's or the server's end of the line */
};

static bool is_long_header(const struct passing *p)
{
	return p->len && (p->data[0] & 0x80);
}

static bool concerned(const struct passing *p)
{
	return p->spec->phase == LINK_ALWAYS || (p->spec->phase == LINK_HANDSHAKE) == is_long_header(p);
}

/* One draw a datagram, whatever the share: a share that changes moves no other draw. */
static bool happens(struct passing *p, enum link_purpose what, double share)
{
	return rng_unit(&p->l->rng[p->d][what]) < share;
}

/* As `happens`, in runs of `burst`: p = s / (n (1 − s) + s) begins one, so that the share
 * of all datagrams stays s. */
static bool happens_in_runs(struct passing *p, enum link_purpose what, double share)
{
	unsigned *left = &p->l->run[p->d][what], n = p->spec->burst > 1 ? p->spec->burst : 1;
	bool begins = happens(p, what, share / (n * (1 - share) + share));

	if (!concerned(p))
		return false;
	if (*left) {
		--*left;
		return true;
	}
	if (begins)
		*left = n - 1;
	return begins;
}

static void draw(struct passing *p)
{
	p->lost = happens_in_runs(p, LINK_LOSS, p->spec->loss);
	p->twice = happens(p, LINK_DUPLICATE, p->spec->duplicate);
	p->late = happens(p, LINK_REORDER, p->spec->reorder);
	p->bad = happens_in_runs(p, LINK_CORRUPT, p->spec->corrupt);
	/* also where it is lost on its way: its loss may not move what befalls the next one */
	if (p->bad)
		p->bits = rng_u64(&p->l->rng[p->d][LINK_CORRUPT]);
}

/* ---- the nodes: each says whether the datagram ends here ---- */

/* Does the client's Initial begin another connection? Its source connection ID stays the
 * same through one handshake and is drawn anew for the next (RFC 9000 §7.2). */
static bool begins_connection(struct passing *p)
{
	struct link *l = p->l;
	const uint8_t *b = p->data;
	size_t at, n;

	/* flags, version, length and ID of the destination, then of the source */
	if (p->d != LINK_UP || p->len < 7 || (b[0] & 0xb0) != 0x80)
		return false;
	at = 6 + (size_t)b[5];
	if (at >= p->len)
		return false;
	n = b[at++];
	if (n > LINK_CID_MAX || at + n > p->len || (n == l->conn_len && memcmp(l->conn, b + at, n) == 0))
		return false;
	memcpy(l->conn, b + at, n);
	l->conn_len = (uint8_t)n;
	return true;
}

static bool counted_out(struct passing *p)
{
	uint64_t *mask = &p->l->drop[p->d];
	bool this_one;

	if (p->spec->drop_each && begins_connection(p))
		for (int d = 0; d < LINK_DIRECTIONS; d++)
			p->l->drop[d] = p->spec->drop[d];
	this_one = *mask & 1;
	*mask >>= 1;
	return this_one;
}

/* The mapping goes without a word: whoever sends first from the inside makes another. */
static bool unmapped(struct passing *p)
{
	struct link *l = p->l;

	if (p->now >= l->rebind_at) {
		time_ns every = p->spec->rebind_every;

		link_rebind(l, p->spec->rebind);
		l->rebind_at = every ? l->rebind_at + ((p->now - l->rebind_at) / every + 1) * every : TIME_NEVER;
	}
	return p->d == LINK_DOWN && l->forgotten != LINK_STAYS;
}

static bool dark(struct passing *p)
{
	const struct link_spec *s = p->spec;
	time_ns t = p->now - p->l->start;

	if (p->now < p->l->dark_until)
		return true;
	if (!s->hole_for || t < s->hole_at)
		return false;
	t -= s->hole_at;
	return (s->hole_every ? t % s->hole_every : t) < s->hole_for;
}

static bool too_long(struct passing *p)
{
	return p->spec->mtu && p->len > p->spec->mtu;
}

static bool lost(struct passing *p)
{
	return p->lost;
}

/* What waits is known by the time that it still takes: no list of it is kept. */
static bool queue_full(struct passing *p)
{
	const struct link_spec *s = p->spec;
	time_ns *sent = &p->l->sent[p->d], wait;
	uint64_t bytes;

	if (!s->rate_bps)
		return false;
	wait = *sent > p->now ? *sent - p->now : 0;
	bytes = (uint64_t)((double)wait * (double)s->rate_bps / 8e9);
	if (wait && bytes + p->len > s->queue)
		return true;
	*sent = p->now + wait + (time_ns)((double)p->len * 8e9 / (double)s->rate_bps);
	p->leaves = *sent;
	return false;
}

/* In this order. Numbers count whatever was sent, so they come first. */
static const struct {
	enum link_why why;
	bool (*ends)(struct passing *p);
} nodes[] = {
	{LINK_COUNTED, counted_out}, {LINK_UNMAPPED, unmapped}, {LINK_DARK, dark},
	{LINK_TOO_LONG, too_long},   {LINK_LOST, lost},	       {LINK_QUEUE_FULL, queue_full},
};

/* ---- what passed them all ---- */

static time_ns arrival(struct passing *p, double swing)
{
	struct link *l = p->l;
	double t = (double)p->spec->delay + (double)p->spec->jitter * swing;
	time_ns at = time_add(p->leaves, t > 0 ? (time_ns)t : 0);

	/* whoever follows within this time overtakes it */
	if (p->late)
		return time_add(at, p->spec->delay + 2 * p->spec->jitter + NS_PER_MS);
	/* jitter alone reorders nothing */
	if (at < l->last[p->d])
		at = l->last[p->d];
	l->last[p->d] = at;
	return at;
}

static void damage(struct passing *p, struct link_copy *c)
{
	c->where = p->len ? (size_t)(p->bits >> 8) % p->len : 0;
	c->flip = p->len ? (uint8_t)(p->bits & 0xff) | 1 : 0;
}

void link_pass(struct link *l, enum link_direction d, time_ns now, const uint8_t *data, size_t len,
	       struct link_fate *out)
{
	struct passing p = {.l = l, .spec = l->spec, .d = d, .now = now, .data = data, .len = len, .leaves = now};
	double swing = rng_range(&l->rng[d][LINK_JITTER], -1, 1);

	memset(out, 0, sizeof(*out));
	draw(&p);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (nodes[i].ends(&p)) {
			out->why = nodes[i].why;
			return;
		}
	out->copies = p.twice ? 2 : 1;
	out->copy[0].at = out->copy[1].at = arrival(&p, swing);
	if (p.bad)
		damage(&p, &out->copy[0]);
	if (d == LINK_UP) {
		out->rebind = l->forgotten;
		l->forgotten = LINK_STAYS;
	}
}
