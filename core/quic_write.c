/* From connections to datagrams: packets are written straight into the sink's space,
 * equal-sized ones together as one burst (UDP_SEGMENT). */
#include "core/quic_internal.h"

#include <stdlib.h>
#include <string.h>

/* A run of datagrams of one size on one path, not handed over yet. */
struct burst {
	uint8_t *base; /* the sink's; NULL: none asked for */
	size_t cap, len, segment;
	struct addr local, remote;
	unsigned ecn;
};

static struct quic_stream *next_to_send(struct quic_conn *c)
{
	struct quic_stream *s;

	TAILQ_FOREACH(s, &c->sending, sending)
	if (!s->blocked)
		return s;
	return NULL;
}

/* One packet; the bytes written, 0 for "nothing now", or an error of ngtcp2. */
static ngtcp2_ssize write_packet(struct quic_conn *c, ngtcp2_path *path, ngtcp2_pkt_info *pi, uint8_t *dest)
{
	for (;;) {
		struct quic_stream *s = next_to_send(c);
		ngtcp2_ssize n, taken = -1;
		ngtcp2_vec vec = {NULL, 0};
		uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;

		if (s) {
			vec.base = s->out + s->out_off;
			vec.len = s->out_len - s->out_off;
			flags = NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_FIN;
		}
		n = ngtcp2_conn_writev_stream(c->qc, path, pi, dest, QUIC_PAYLOAD_SIZE, &taken, flags,
					      s ? s->id : -1, &vec, vec.len ? 1 : 0, c->ep->at.now);
		if (s && taken >= 0)
			stream_sent(s, (size_t)taken, true);
		switch (n) {
		case NGTCP2_ERR_WRITE_MORE:
			continue;
		case NGTCP2_ERR_STREAM_DATA_BLOCKED:
			s->blocked = true;
			continue;
		case NGTCP2_ERR_STREAM_SHUT_WR:
		case NGTCP2_ERR_STREAM_NOT_FOUND:
			stream_stop_sending_out(s);
			continue;
		}
		return n;
	}
}

static void flush(struct quic_conn *c, struct burst *b, struct dgram_sink *sink)
{
	if (b->len)
		sink->send(sink, c->user, &b->local, &b->remote, b->len, b->len > b->segment ? b->segment : 0,
			   b->ecn);
	b->base = NULL;
	b->len = 0;
}

static void addr_from(struct addr *out, const ngtcp2_addr *a)
{
	out->len = a->addrlen;
	memcpy(&out->u, a->addr, a->addrlen < sizeof(out->u) ? a->addrlen : sizeof(out->u));
}

static void start_burst(struct burst *b, size_t n, const struct addr *local, const struct addr *remote,
			unsigned ecn)
{
	b->len = b->segment = n;
	b->local = *local;
	b->remote = *remote;
	b->ecn = ecn;
}

static bool same_burst(const struct burst *b, size_t n, const struct addr *local, const struct addr *remote,
		       unsigned ecn)
{
	return n <= b->segment && ecn == b->ecn && addr_equal(remote, &b->remote) &&
	       addr_equal(local, &b->local);
}

/* Takes the packet of `n` bytes that lies behind the burst's bytes into the burst, or
 * into a new one where it does not fit the old one's size or path. */
static bool add_packet(struct quic_conn *c, struct burst *b, struct dgram_sink *sink, size_t n,
		       const ngtcp2_path *path, unsigned ecn)
{
	uint8_t odd[QUIC_PAYLOAD_SIZE];
	struct addr local, remote;

	addr_from(&local, &path->local);
	addr_from(&remote, &path->remote);
	if (!b->len) {
		start_burst(b, n, &local, &remote, ecn);
	} else if (same_burst(b, n, &local, &remote, ecn)) {
		b->len += n;
	} else {
		memcpy(odd, b->base + b->len, n);
		flush(c, b, sink);
		b->base = sink->space(sink, b->cap);
		if (!b->base)
			return false; /* lost like any other datagram; QUIC sends it again */
		memcpy(b->base, odd, n);
		start_burst(b, n, &local, &remote, ecn);
	}
	if (n < b->segment || b->len + QUIC_PAYLOAD_SIZE > b->cap)
		flush(c, b, sink);
	return true;
}

static void unblock(struct quic_conn *c)
{
	struct quic_stream *s;

	TAILQ_FOREACH(s, &c->sending, sending)
	s->blocked = false;
}

/* 0: nothing more to say; 1: the sink is full; 2: the quantum is used up; < 0: ngtcp2's error. */
static int write_bursts(struct quic_conn *c, struct dgram_sink *sink)
{
	size_t quantum = ngtcp2_conn_get_send_quantum(c->qc), sent = 0;
	struct burst b = {.cap = quantum < QUIC_BURST_MAX ? quantum : QUIC_BURST_MAX};
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	if (b.cap < QUIC_PAYLOAD_SIZE)
		b.cap = QUIC_PAYLOAD_SIZE;
	for (;;) {
		if (!b.base && !(b.base = sink->space(sink, b.cap)))
			return 1;
		ngtcp2_path_storage_zero(&ps);
		n = write_packet(c, &ps.path, &pi, b.base + b.len);
		if (n <= 0)
			break;
		if (!add_packet(c, &b, sink, (size_t)n, &ps.path, pi.ecn))
			return 1;
		sent += (size_t)n;
		if (sent >= quantum)
			break;
	}
	flush(c, &b, sink);
	return n < 0 ? (int)n : n > 0 ? 2 : 0;
}

static bool write_active(struct quic_conn *c, struct dgram_sink *sink)
{
	int rv;

	unblock(c);
	streams_open_waiting(c);
	rv = write_bursts(c, sink);
	if (rv < 0) {
		conn_close_error(c, rv);
		return true; /* dirty again, with its last words */
	}
	/* Pacing by the guessed first round trip (333 ms) would hold a client's second flight
	 * back for 27 ms. A handshake fits the initial window, the burst that RFC 9002 §7.7
	 * allows without pacing. */
	if (c->done_noted)
		ngtcp2_conn_update_pkt_tx_time(c->qc, c->ep->at.now);
	if (rv == 2)
		conn_mark_dirty(c);
	conn_rearm(c, rv == 0);
	return rv != 1;
}

bool conn_write_close(struct quic_conn *c, struct dgram_sink *sink)
{
	uint8_t *dest = sink->space(sink, QUIC_PAYLOAD_SIZE);
	ngtcp2_path_storage ps;
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	if (!dest)
		return false;
	ngtcp2_path_storage_zero(&ps);
	/* nothing to say where the first flight never left */
	n = ngtcp2_conn_write_connection_close(c->qc, &ps.path, &pi, dest, QUIC_PAYLOAD_SIZE, &c->last_error,
					       c->ep->at.now);
	c->state = CONN_UNTOLD;
	if (n <= 0)
		return true;
	addr_from(&c->last_local, &ps.path.local);
	addr_from(&c->last_remote, &ps.path.remote);
	if (!c->silent && (c->last_words = malloc((size_t)n))) {
		memcpy(c->last_words, dest, (size_t)n);
		c->last_words_len = (size_t)n;
	}
	sink->send(sink, c->user, &c->last_local, &c->last_remote, (size_t)n, 0, 0);
	return true;
}

bool conn_write_last_words(struct quic_conn *c, struct dgram_sink *sink)
{
	uint8_t *dest = sink->space(sink, QUIC_PAYLOAD_SIZE);

	if (!dest)
		return false;
	memcpy(dest, c->last_words, c->last_words_len);
	sink->send(sink, NULL, &c->last_local, &c->last_remote, c->last_words_len, 0, 0);
	return true;
}

bool conn_write(struct quic_conn *c, struct dgram_sink *sink)
{
	switch (c->state) {
	case CONN_ACTIVE:
		return write_active(c, sink);
	case CONN_CLOSING:
		if (!conn_write_close(c, sink))
			return false;
		break;
	case CONN_LINGER:
		return !c->last_words || conn_write_last_words(c, sink);
	case CONN_UNTOLD:
	case CONN_DEAD:
		break;
	}
	if (c->state == CONN_UNTOLD)
		conn_finish(c, c->ep->cfg.server || !c->silent);
	return true;
}
