#include "bench/virtual_report.h"

#include <stdio.h>

#include "bench/virtual_bench.h"

#define MOMENT_S    1.0
#define LIVES_S	    60.0 /* the devices of the first figure */
#define BARE_S	    0.73 /* 1,000 bare connections under a virtual clock: no SMS, JWT, mTLS, disk */
#define BARE_MIB    35.0
#define AIM_TIMES   1000.0 /* simulated time in real time */
#define AIM_COST    1.2	   /* of a device among many, in devices among few */
#define S_OF(us, n) ((us) * (n) / 1e6)

/* Seconds of CPU that a run's cryptography alone costs at the floor's speed. */
struct crypto {
	double handshakes, signs, verifies, packets, all;
};

static struct crypto crypto_of(const struct floor *f, const struct virtual_figures *r)
{
	/* the device verifies what it gets; the server each token once, when first shown */
	double verifies = r->tokens + r->tokens / 2 + r->refreshes;
	struct crypto c = {
		.handshakes = S_OF(floor_handshake_server(f) + floor_handshake_device(f), r->handshakes),
		.signs = S_OF(f->rsa_sign, r->tokens),
		.verifies = S_OF(f->rsa_verify, verifies),
		.packets = S_OF(f->packet, r->datagrams),
	};

	c.all = c.handshakes + c.signs + c.verifies + c.packets;
	return c;
}

static void print_crypto(const struct crypto *c, double user_s)
{
	printf("  of it cryptography, at the floor's speed: %.2f s (%.0f %%): handshakes %.2f, RS256 signs "
	       "%.2f, "
	       "verifies %.2f, packets %.2f\n",
	       c->all, 100 * c->all / user_s, c->handshakes, c->signs, c->verifies, c->packets);
}

static void print_run(const char *what, const struct virtual_figures *r)
{
	printf("  %-28s %7.2f s user %6.2f s system %7.2f s wall %7.1f MiB\n", what, r->user_s, r->sys_s,
	       r->wall_s, r->rss_kib / 1024);
}

static int bootstraps(const struct floor *f, const struct virtual_sizes *s, const char *dir, struct err *e)
{
	struct virtual_bench few = {.devices = s->devices, .lives_s = LIVES_S, .dir = dir}, judged = few,
			     many = few;
	struct virtual_figures a, j, m;
	struct crypto c;
	int rv;

	judged.judged = true;
	many.devices = s->many;
	rv = virtual_bench_run(&few, &a, e);
	if (!rv)
		rv = virtual_bench_run(&judged, &j, e);
	if (rv)
		return rv;
	printf("virtual rig: %u devices from power on, and their %.0f s once provisioned\n", s->devices,
	       LIVES_S);
	print_run("quicrig-virtual", &a);
	print_run("quicrig run, with its judge", &j);
	c = crypto_of(f, &a);
	print_crypto(&c, a.user_s);
	printf("  %.0f handshakes, %.0f requests, %.0f tokens, %.0f datagrams, %.0f journal lines of %.1f "
	       "MB\n",
	       a.handshakes, a.requests, a.tokens, a.datagrams, a.lines, a.bytes / 1e6);
	printf("  (1,000 bare connections without SMS, JWT, mTLS or disk: %.2f s, %.0f MiB)\n\n", BARE_S,
	       BARE_MIB);
	rv = virtual_bench_run(&many, &m, e);
	if (rv)
		return rv;
	printf("the same with %u devices\n", s->many);
	print_run("quicrig-virtual", &m);
	printf("  cost a device at %u against %u: %.2f of CPU, %.2f of memory; the aim is at most %.1f\n\n",
	       s->many, s->devices, (m.user_s / s->many) / (a.user_s / s->devices),
	       (m.rss_kib / s->many) / (a.rss_kib / s->devices), AIM_COST);
	return 0;
}

/* What a longer life adds to a shorter one. */
static struct virtual_figures added(const struct virtual_figures *l, const struct virtual_figures *s)
{
	return (struct virtual_figures){.wall_s = l->wall_s - s->wall_s,
					.user_s = l->user_s - s->user_s,
					.sys_s = l->sys_s - s->sys_s,
					.rss_kib = l->rss_kib,
					.handshakes = l->handshakes - s->handshakes,
					.requests = l->requests - s->requests,
					.refreshes = l->refreshes - s->refreshes,
					.publishes = l->publishes - s->publishes,
					.tokens = l->tokens - s->tokens,
					.datagrams = l->datagrams - s->datagrams,
					.lines = l->lines - s->lines,
					.bytes = l->bytes - s->bytes,
					.allocations = l->allocations - s->allocations};
}

/* The same fleet for a moment and for long: what is between the two, setting out left out. */
static int live(struct virtual_bench b, double lives_s, struct virtual_figures *out, struct err *e)
{
	struct virtual_figures brief, full;
	int rv;

	b.lives_s = MOMENT_S;
	rv = virtual_bench_run(&b, &brief, e);
	b.lives_s += lives_s;
	if (!rv)
		rv = virtual_bench_run(&b, &full, e);
	if (!rv)
		*out = added(&full, &brief);
	return rv;
}

static int held(const struct floor *f, const struct virtual_sizes *s, double idle_s, const char *dir,
		struct err *e)
{
	struct virtual_bench b = {.devices = s->devices, .hold = true, .idle_s = idle_s, .dir = dir};
	struct virtual_figures r;
	struct crypto c;
	int rv = live(b, s->lives_s, &r, e);

	if (rv)
		return rv;
	printf("%u devices that publish each 60 s over a held connection, idle_timeout %.0f s, access_ttl 15 "
	       "min\n",
	       s->devices, idle_s);
	printf("  %.0f simulated minutes: %.2f s user, %.2f s wall, %.1f MiB: %.0f times real time by the "
	       "CPU, %.0f by the "
	       "clock; the aim is %.0f\n",
	       s->lives_s / 60, r.user_s, r.wall_s, r.rss_kib / 1024, s->lives_s / (r.user_s + r.sys_s),
	       s->lives_s / r.wall_s, AIM_TIMES);
	c = crypto_of(f, &r);
	print_crypto(&c, r.user_s);
	printf("  a publish, with all that goes with it: %.1f us; %.2f requests, %.1f datagrams, %.1f "
	       "journal lines\n",
	       1e6 * r.user_s / r.publishes, r.requests / r.publishes, r.datagrams / r.publishes,
	       r.lines / r.publishes);
	return 0;
}

static int allocations(const struct virtual_sizes *s, const char *dir, struct err *e)
{
	struct virtual_bench b = {
		.devices = s->counted, .hold = true, .idle_s = 150, .counted = true, .dir = dir};
	struct virtual_figures r;
	int rv;

	if (!virtual_bench_counts()) {
		printf("  allocations are not counted in a sanitized build\n\n");
		return 0;
	}
	rv = live(b, 600, &r, e); /* shorter than a token's life: publishes alone */
	if (!rv)
		printf("  a publish alone makes %.1f memory allocations, both ends and the journal "
		       "together\n\n",
		       r.allocations / r.publishes);
	return rv;
}

int virtual_report(const struct floor *f, const struct virtual_sizes *s, const char *dir, struct err *e)
{
	int rv = bootstraps(f, s, dir, e);

	if (!rv)
		rv = held(f, s, 30, dir, e);
	if (!rv)
		rv = held(f, s, 150, dir, e);
	return rv ? rv : allocations(s, dir, e);
}
