#include "sim/nat.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(m) ((m)->lost = true)
#include <uthash.h>

#include "core/err.h"

#define PORT_FIRST 1024u
#define PORTS	   65536u
#define TRIES	   256 /* ports in a row that are taken: then there are none */
#define HOSTS	   (1u << 24) /* of 10.0.0.0/8 */

struct key {
	uint32_t host; /* network order */
	uint16_t port, unused;
};

struct mapping {
	struct key key;
	struct addr seen;
	unsigned inside;
	bool there, lost;
	UT_hash_handle hh;
};

struct nat {
	struct addr base;
	unsigned span;
	struct mapping *of; /* [span]; `there`: was rebound */
	struct mapping *by_outside;
	unsigned port, host; /* the last ones given */
};

struct nat *nat_new(const struct addr *base, unsigned span)
{
	struct nat *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->of = calloc(span, sizeof(*n->of));
	if (!n->of) {
		free(n);
		return NULL;
	}
	n->base = *base;
	n->span = span;
	n->port = PORT_FIRST;
	for (unsigned i = 0; i < span; i++) {
		n->of[i].inside = i;
		n->of[i].seen = *base;
		n->of[i].seen.u.in.sin_port = htons((uint16_t)(ntohs(base->u.in.sin_port) + i));
	}
	return n;
}

void nat_free(struct nat *n)
{
	if (!n)
		return;
	HASH_CLEAR(hh, n->by_outside);
	free(n->of);
	free(n);
}

static struct mapping *find(const struct nat *n, const struct key *k)
{
	struct mapping *m;

	HASH_FIND(hh, n->by_outside, k, sizeof(*k), m);
	return m;
}

/* Of the span itself: somebody's own address. */
static bool is_own(const struct nat *n, const struct key *k)
{
	unsigned port = ntohs(k->port), base = ntohs(n->base.u.in.sin_port);

	return k->host == n->base.u.in.sin_addr.s_addr && port >= base && port - base < n->span;
}

static int another_port(struct nat *n, struct key *k)
{
	unsigned base = ntohs(n->base.u.in.sin_port);

	for (unsigned tries = 0; tries < TRIES; tries++) {
		n->port = n->port + 1 < PORTS ? n->port + 1 : PORT_FIRST;
		k->port = htons((uint16_t)n->port);
		if (is_own(n, k))
			n->port = base + n->span - 1; /* all of them at one leap */
		else if (!find(n, k))
			return 0;
	}
	return ERR_LIMIT;
}

int nat_rebind(struct nat *n, unsigned inside, bool address)
{
	struct mapping *m = &n->of[inside];
	struct key k = {.host = m->seen.u.in.sin_addr.s_addr, .port = m->seen.u.in.sin_port};

	if (address) {
		n->host = n->host + 1 < HOSTS ? n->host + 1 : 1;
		k.host = htonl((10u << 24) | n->host);
		if (find(n, &k))
			return ERR_LIMIT;
	} else if (another_port(n, &k)) {
		return ERR_LIMIT;
	}
	if (m->there)
		HASH_DELETE(hh, n->by_outside, m);
	m->key = k;
	m->there = true;
	m->lost = false;
	HASH_ADD(hh, n->by_outside, key, sizeof(m->key), m);
	if (m->lost) {
		m->there = false;
		m->seen = n->base;
		m->seen.u.in.sin_port = htons((uint16_t)(ntohs(n->base.u.in.sin_port) + inside));
		return ERR_NOMEM;
	}
	m->seen.u.in.sin_addr.s_addr = k.host;
	m->seen.u.in.sin_port = k.port;
	return 0;
}

const struct addr *nat_outside(const struct nat *n, unsigned inside)
{
	return &n->of[inside].seen;
}

int nat_inside(const struct nat *n, const struct addr *outside)
{
	struct key k = {.host = outside->u.in.sin_addr.s_addr, .port = outside->u.in.sin_port};
	const struct mapping *m;
	unsigned i;

	if (outside->u.sa.sa_family != n->base.u.sa.sa_family)
		return ERR_NOTFOUND;
	m = find(n, &k);
	if (m)
		return (int)m->inside;
	if (!is_own(n, &k))
		return ERR_NOTFOUND;
	i = ntohs(k.port) - ntohs(n->base.u.in.sin_port);
	return n->of[i].there ? ERR_NOTFOUND : (int)i;
}
