#include "hil/run/live_net.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/heap.h"

#define BURST_MAX     65536
#define USUAL	      1536 /* room in every flight, so that it can carry another one later */
#define BATCH	      32
#define RECEIVE_SIZE  2048 /* QUIC here sends 1200 bytes at most */
#define ROUNDS	      8	   /* then others get their turn */
#define LOOPBACK      0x7f000000u
#define LOOPBACK_SIZE 0xfffff0u

/* One datagram under way. */
struct flight {
	struct heap_node node;
	SLIST_ENTRY(flight) spare;
	unsigned which;
	enum link_rebind rebind; /* the NAT's mapping changes before it leaves */
	size_t len, room;
	uint8_t data[];
};

/* What a NAT has of one device. */
struct outside {
	struct live_net *net;
	int fd; /* −1: none yet */
	ev_io readable;
	unsigned doomed; /* rebindings that are under way: what comes to this socket is lost */
};

struct live_net {
	struct dgram_sink sink; /* first */
	struct live_net_config c;
	struct addr inside;
	struct outside *of;
	unsigned n, addresses; /* given so far */
	struct heap up, down;
	SLIST_HEAD(, flight) spare;
	uint8_t burst[BURST_MAX];
	uint8_t in[BATCH][RECEIVE_SIZE];
	struct flight *batch[BATCH];
	unsigned batched;
	char error[120];
};

/* ---- flights ---- */

static struct flight *flight_new(struct live_net *n, size_t len)
{
	struct flight *f = SLIST_FIRST(&n->spare);
	size_t room = len > USUAL ? len : USUAL;

	if (f && room == USUAL)
		SLIST_REMOVE_HEAD(&n->spare, spare);
	else
		f = malloc(sizeof(*f) + room);
	if (!f)
		return NULL;
	memset(f, 0, sizeof(*f));
	f->room = room;
	return f;
}

static void flight_free(struct live_net *n, struct flight *f)
{
	if (f->room == USUAL)
		SLIST_INSERT_HEAD(&n->spare, f, spare);
	else
		free(f);
}

/* Through the link of device `which`, into the heap of its direction. */
static void fly(struct live_net *n, enum link_direction d, unsigned which, const uint8_t *data, size_t len)
{
	time_ns now = live_loop_now(n->c.loop)->now;
	struct link_fate fate;

	link_pass(&n->c.links->v[which], d, now, data, len, &fate);
	for (unsigned i = 0; i < fate.copies; i++) {
		struct flight *f = flight_new(n, len);

		if (!f)
			return; /* a network may lose */
		f->which = which;
		f->len = len;
		memcpy(f->data, data, len);
		if (fate.copy[i].flip)
			f->data[fate.copy[i].where] ^= fate.copy[i].flip;
		if (heap_set(d == LINK_UP ? &n->up : &n->down, &f->node, fate.copy[i].at)) {
			flight_free(n, f);
			return;
		}
		if (i == 0 && fate.rebind != LINK_STAYS) {
			f->rebind = fate.rebind;
			n->of[which].doomed++;
		}
	}
}

static struct flight *due(struct heap *h, time_ns now)
{
	struct heap_node *top = heap_top(h);

	if (!top || top->at > now)
		return NULL;
	heap_remove(h, top);
	return HEAP_ENTRY(top, struct flight, node);
}

/* ---- sockets ---- */

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct outside *o = w->data;
	struct live_net *n = o->net;
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	struct addr from[BATCH];
	int got = BATCH;

	(void)ev;
	(void)events;
	for (int round = 0; round < ROUNDS && got == BATCH; round++) {
		memset(m, 0, sizeof(m));
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){n->in[i], RECEIVE_SIZE};
			m[i].msg_hdr.msg_iov = &iov[i];
			m[i].msg_hdr.msg_iovlen = 1;
			m[i].msg_hdr.msg_name = &from[i].u;
			m[i].msg_hdr.msg_namelen = sizeof(from[i].u);
		}
		got = recvmmsg(o->fd, m, BATCH, MSG_DONTWAIT, NULL);
		for (int i = 0; i < got; i++) {
			from[i].len = m[i].msg_hdr.msg_namelen;
			/* only the server's, only whole ones, only at the present address */
			if (!o->doomed && !(m[i].msg_hdr.msg_flags & MSG_TRUNC) && addr_equal(&from[i], &n->c.server))
				fly(n, LINK_DOWN, (unsigned)(o - n->of), n->in[i], m[i].msg_len);
		}
	}
}

static void shut(struct outside *o)
{
	if (o->fd < 0)
		return;
	ev_io_stop(live_loop_ev(o->net->c.loop), &o->readable);
	close(o->fd);
	o->fd = -1;
}

/* A socket at `host` (network order), any port; the device's from now on. */
static int open_at(struct outside *o, in_addr_t host)
{
	struct live_net *n = o->net;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = host};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		snprintf(n->error, sizeof(n->error), "no UDP socket for a device: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return ERR_ENVIRONMENT;
	}
	shut(o);
	o->fd = fd;
	ev_io_init(&o->readable, on_readable, fd, EV_READ);
	o->readable.data = o;
	ev_io_start(live_loop_ev(n->c.loop), &o->readable);
	return 0;
}

static in_addr_t present_host(const struct live_net *n, const struct outside *o)
{
	struct sockaddr_in a;
	socklen_t len = sizeof(a);

	if (o->fd < 0 || getsockname(o->fd, (struct sockaddr *)&a, &len))
		return n->inside.u.in.sin_addr.s_addr;
	return a.sin_addr.s_addr;
}

/* A new socket is a new port; all of 127.0.0.0/8 is this machine's. */
static void rebind(struct live_net *n, const struct instant *at, unsigned which, enum link_rebind what)
{
	struct outside *o = &n->of[which];
	in_addr_t host = what == LINK_NEW_ADDRESS ? htonl(LOOPBACK + 2 + n->addresses++ % LOOPBACK_SIZE)
						  : present_host(n, o);

	if (o->doomed)
		o->doomed--;
	if (!open_at(o, host) && n->c.rebound)
		n->c.rebound(n->c.ctx, at, which, what);
}

/* ---- out ---- */

/* All of a batch are one device's: they leave by one socket. */
static void flush(struct live_net *n)
{
	struct mmsghdr m[BATCH] = {0};
	struct iovec iov[BATCH];
	struct outside *o;

	if (!n->batched)
		return;
	o = &n->of[n->batch[0]->which];
	for (unsigned i = 0; i < n->batched; i++) {
		iov[i] = (struct iovec){n->batch[i]->data, n->batch[i]->len};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
		m[i].msg_hdr.msg_name = &n->c.server.u;
		m[i].msg_hdr.msg_namelen = n->c.server.len;
	}
	/* what the kernel does not take is lost, that one and no other: this is a network */
	if (o->fd >= 0 || !open_at(o, n->inside.u.in.sin_addr.s_addr))
		for (unsigned i = 0; i < n->batched;) {
			int sent = sendmmsg(o->fd, m + i, n->batched - i, MSG_DONTWAIT);

			i += sent > 0 ? (unsigned)sent : 1;
		}
	for (unsigned i = 0; i < n->batched; i++)
		flight_free(n, n->batch[i]);
	n->batched = 0;
}

void live_net_leave(struct live_net *n, const struct instant *at)
{
	struct flight *f;

	while ((f = due(&n->up, at->now))) {
		if (n->batched && (n->batched == BATCH || n->batch[0]->which != f->which || f->rebind != LINK_STAYS))
			flush(n);
		if (f->rebind != LINK_STAYS)
			rebind(n, at, f->which, f->rebind);
		n->batch[n->batched++] = f;
	}
	flush(n);
}

static uint8_t *sink_space(struct dgram_sink *sink, size_t size)
{
	return size <= BURST_MAX ? ((struct live_net *)sink)->burst : NULL;
}

static void sink_send(struct dgram_sink *sink, void *owner, const struct addr *local, const struct addr *remote,
		      size_t len, size_t segment, unsigned ecn)
{
	struct live_net *n = (struct live_net *)sink;
	unsigned which = (unsigned)ntohs(local->u.in.sin_port) - ntohs(n->inside.u.in.sin_port);

	(void)owner;
	(void)remote;
	(void)ecn;
	if (which >= n->n)
		return;
	if (!segment)
		segment = len;
	for (size_t at = 0; at < len; at += segment)
		fly(n, LINK_UP, which, n->burst + at, len - at < segment ? len - at : segment);
}

/* ---- in ---- */

void live_net_arrive(struct live_net *n, const struct instant *at,
		     void (*datagram)(void *ctx, const struct instant *at, const struct addr *local,
				      const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len),
		     void *ctx)
{
	struct addr local = n->inside;
	struct flight *f;

	while ((f = due(&n->down, at->now))) {
		local.u.in.sin_port = htons((uint16_t)(ntohs(n->inside.u.in.sin_port) + f->which));
		datagram(ctx, at, &local, &n->c.server, 0, f->data, f->len);
		flight_free(n, f);
	}
}

/* ---- the whole ---- */

struct live_net *live_net_new(const struct live_net_config *c, struct err *e)
{
	struct live_net *n = calloc(1, sizeof(*n));

	if (n)
		n->of = calloc(c->links->n, sizeof(*n->of));
	if (!n || !n->of || c->links->n > LIVE_NET_MAX) {
		if (c->links->n > LIVE_NET_MAX)
			err_set(e, ERR_LIMIT, "a network for more than %d devices is not possible here", LIVE_NET_MAX);
		else
			err_set(e, ERR_NOMEM, "out of memory");
		if (n)
			free(n->of);
		free(n);
		return NULL;
	}
	n->c = *c;
	n->n = c->links->n;
	n->sink.space = sink_space;
	n->sink.send = sink_send;
	addr_parse(LIVE_NET_INSIDE, &n->inside);
	heap_init(&n->up);
	heap_init(&n->down);
	SLIST_INIT(&n->spare);
	for (unsigned i = 0; i < n->n; i++) {
		n->of[i].net = n;
		n->of[i].fd = -1;
	}
	return n;
}

static void empty(struct live_net *n, struct heap *h)
{
	struct flight *f;

	while ((f = due(h, TIME_NEVER)))
		flight_free(n, f);
	heap_fini(h);
}

void live_net_free(struct live_net *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < n->n; i++)
		shut(&n->of[i]);
	empty(n, &n->up);
	empty(n, &n->down);
	while (!SLIST_EMPTY(&n->spare)) {
		struct flight *f = SLIST_FIRST(&n->spare);

		SLIST_REMOVE_HEAD(&n->spare, spare);
		free(f);
	}
	free(n->of);
	free(n);
}

const struct addr *live_net_inside(const struct live_net *n)
{
	return &n->inside;
}

struct dgram_sink *live_net_sink(struct live_net *n)
{
	return &n->sink;
}

time_ns live_net_deadline(const struct live_net *n)
{
	return time_min(heap_deadline(&n->up), heap_deadline(&n->down));
}

const char *live_net_error(const struct live_net *n)
{
	return n->error;
}
