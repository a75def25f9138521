/* UDP in batches: recvmmsg with UDP_GRO in, sendmmsg with UDP_SEGMENT out of one arena. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#include "core/world_live_internal.h"

#define ARENA_SIZE     (1024 * 1024)
#define SEND_MAX       256 /* bursts a flush */
#define RECEIVE_MAX    32  /* buffers a recvmmsg; with UDP_GRO each may hold many datagrams */
#define RECEIVE_SIZE   65536
#define RECEIVE_ROUNDS 16		 /* then timers and other descriptors get their turn */
#define SOCKET_BUFFER  (8 * 1024 * 1024) /* what is asked for; the kernel may grant less */
#define ECN_MASK       3u		 /* RFC 3168 §5: the last two bits of TOS and traffic class */

/* Room for every ancillary message that we send or take. */
struct control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
					    CMSG_SPACE(sizeof(struct in_pktinfo)) +
					    3 * CMSG_SPACE(sizeof(int))];
};

struct outgoing {
	struct addr remote;
	struct iovec iov;
	struct control control;
	size_t segment; /* 0: one datagram */
};

struct live_socket {
	struct dgram_sink sink; /* first */
	int fd;
	struct addr local;
	bool pktinfo;	 /* bound to the wildcard address: each datagram says where it came to */
	bool no_segment; /* this kernel or device cannot do UDP_SEGMENT */

	uint8_t *arena;
	size_t used;
	struct outgoing *out;
	struct mmsghdr *headers;
	unsigned queued, flushed;
	void (*on_sent)(void *ctx, void *owner, unsigned n);
	void *on_sent_ctx;

	uint8_t *in;
	struct mmsghdr in_headers[RECEIVE_MAX];
	struct iovec in_iov[RECEIVE_MAX];
	struct addr in_from[RECEIVE_MAX];
	struct control in_control[RECEIVE_MAX];
	struct live_socket_stats stats;
};

/* ---- out ---- */

static unsigned datagrams(size_t len, size_t segment)
{
	return segment ? (unsigned)((len + segment - 1) / segment) : 1;
}

/* The kernel wants these bytes as single datagrams. */
static void send_apart(struct live_socket *s, struct outgoing *o)
{
	struct msghdr m = s->headers[o - s->out].msg_hdr;
	size_t at = 0, n, len = o->iov.iov_len;
	struct iovec iov;

	m.msg_iov = &iov;
	for (; at < len; at += n) {
		n = len - at > o->segment ? o->segment : len - at;
		iov.iov_base = (uint8_t *)o->iov.iov_base + at;
		iov.iov_len = n;
		m.msg_control = NULL; /* loses the ECN mark and the source address, not the datagram */
		m.msg_controllen = 0;
		s->stats.send_calls++;
		if (sendmsg(s->fd, &m, 0) < 0)
			s->stats.send_errors++;
	}
}

bool live_socket_flush(struct live_socket *s)
{
	int n;

	while (s->flushed < s->queued) {
		s->stats.send_calls++;
		n = sendmmsg(s->fd, s->headers + s->flushed, s->queued - s->flushed, 0);
		if (n > 0) {
			s->flushed += (unsigned)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
			s->stats.full++;
			return false;
		}
		if ((errno == EIO || errno == EINVAL) && s->out[s->flushed].segment) {
			s->no_segment = true;
			send_apart(s, &s->out[s->flushed]);
		} else {
			s->stats.send_errors +=
				datagrams(s->out[s->flushed].iov.iov_len, s->out[s->flushed].segment);
		}
		s->flushed++;
	}
	s->flushed = s->queued = 0;
	s->used = 0;
	return true;
}

static uint8_t *sink_space(struct dgram_sink *sink, size_t size)
{
	struct live_socket *s = (struct live_socket *)sink;

	if (s->used + size > ARENA_SIZE || s->queued == SEND_MAX)
		if (!live_socket_flush(s) || size > ARENA_SIZE)
			return NULL;
	return s->arena + s->used;
}

static void add_control(struct msghdr *m, int level, int type, const void *data, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((char *)m->msg_control + m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(c), data, len);
	m->msg_controllen += CMSG_SPACE(len);
}

static void add_source(struct msghdr *m, const struct addr *local)
{
	if (local->u.sa.sa_family == AF_INET) {
		struct in_pktinfo info = {.ipi_spec_dst = local->u.in.sin_addr};

		add_control(m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	} else {
		struct in6_pktinfo info = {.ipi6_addr = local->u.in6.sin6_addr};

		add_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
}

static void queue_one(struct live_socket *s, const struct addr *local, const struct addr *remote,
		      uint8_t *data, size_t len, size_t segment, unsigned ecn)
{
	struct outgoing *o = &s->out[s->queued];
	struct msghdr *m = &s->headers[s->queued].msg_hdr;
	uint16_t size = (uint16_t)segment;
	int mark = (int)ecn;

	o->remote = *remote;
	o->iov.iov_base = data;
	o->iov.iov_len = len;
	o->segment = segment;
	memset(m, 0, sizeof(*m));
	memset(&o->control, 0, sizeof(o->control));
	m->msg_name = &o->remote.u;
	m->msg_namelen = o->remote.len;
	m->msg_iov = &o->iov;
	m->msg_iovlen = 1;
	m->msg_control = o->control.bytes;
	if (segment)
		add_control(m, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
	if (ecn && remote->u.sa.sa_family == AF_INET)
		add_control(m, IPPROTO_IP, IP_TOS, &mark, sizeof(mark));
	else if (ecn)
		add_control(m, IPPROTO_IPV6, IPV6_TCLASS, &mark, sizeof(mark));
	if (s->pktinfo)
		add_source(m, local);
	if (!m->msg_controllen)
		m->msg_control = NULL;
	s->queued++;
}

static void sink_send(struct dgram_sink *sink, void *owner, const struct addr *local,
		      const struct addr *remote, size_t len, size_t segment, unsigned ecn)
{
	struct live_socket *s = (struct live_socket *)sink;
	unsigned n = datagrams(len, segment);

	queue_one(s, local, remote, s->arena + s->used, len, n > 1 ? segment : 0, ecn);
	if (s->no_segment && n > 1) {
		send_apart(s, &s->out[s->queued - 1]);
		s->queued--;
	}
	s->used += len;
	s->stats.sent += n;
	if (s->on_sent)
		s->on_sent(s->on_sent_ctx, owner, n);
}

/* ---- in ---- */

struct arrival {
	struct addr local;
	unsigned ecn;
	size_t segment; /* 0: one datagram */
};

static void read_control(const struct live_socket *s, struct msghdr *m, struct arrival *a)
{
	struct cmsghdr *c;
	int value;

	a->local = s->local;
	a->ecn = 0;
	a->segment = 0;
	for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			a->segment = (size_t)value;
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
			a->ecn = *CMSG_DATA(c) & ECN_MASK;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
			memcpy(&value, CMSG_DATA(c), sizeof(value));
			a->ecn = (unsigned)value & ECN_MASK;
		} else if (s->pktinfo && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO &&
			   s->local.u.sa.sa_family == AF_INET) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			a->local.u.in.sin_addr = info.ipi_addr;
		} else if (s->pktinfo && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			a->local.u.in6.sin6_addr = info.ipi6_addr;
		}
	}
}

static void hand_over(struct live_socket *s, unsigned i, const struct instant *at, live_datagram_fn *fn,
		      void *ctx)
{
	struct msghdr *m = &s->in_headers[i].msg_hdr;
	size_t len = s->in_headers[i].msg_len, off = 0, n;
	const uint8_t *data = s->in_iov[i].iov_base;
	struct arrival a;

	if (m->msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return;
	read_control(s, m, &a);
	s->in_from[i].len = m->msg_namelen;
	do {
		n = a.segment && len - off > a.segment ? a.segment : len - off;
		s->stats.received++;
		fn(ctx, at, &a.local, &s->in_from[i], a.ecn, data + off, n);
		off += n;
	} while (off < len);
}

void live_socket_receive(struct live_socket *s, const struct instant *at, live_datagram_fn *fn, void *ctx)
{
	int n, i, round;

	for (round = 0; round < RECEIVE_ROUNDS; round++) {
		for (i = 0; i < RECEIVE_MAX; i++) {
			struct msghdr *m = &s->in_headers[i].msg_hdr;

			m->msg_name = &s->in_from[i].u;
			m->msg_namelen = sizeof(s->in_from[i].u);
			m->msg_iov = &s->in_iov[i];
			m->msg_iovlen = 1;
			m->msg_control = s->in_control[i].bytes;
			m->msg_controllen = sizeof(s->in_control[i].bytes);
			m->msg_flags = 0;
		}
		s->stats.receive_calls++;
		n = recvmmsg(s->fd, s->in_headers, RECEIVE_MAX, MSG_DONTWAIT, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		for (i = 0; i < n; i++)
			hand_over(s, (unsigned)i, at, fn, ctx);
		if (n < RECEIVE_MAX)
			return;
	}
}

/* ---- set-up ---- */

static int set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

static int ask_buffer(int fd, int name, int force)
{
	socklen_t len = sizeof(int);
	int got = 0;

	if (set_int(fd, SOL_SOCKET, force, SOCKET_BUFFER))
		set_int(fd, SOL_SOCKET, name, SOCKET_BUFFER);
	getsockopt(fd, SOL_SOCKET, name, &got, &len);
	return got;
}

static bool is_wildcard(const struct addr *a)
{
	if (a->u.sa.sa_family == AF_INET)
		return a->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

/* All of it is comfort: where the kernel has none of an option, we do without. */
static void set_options(struct live_socket *s)
{
	bool v6 = s->local.u.sa.sa_family == AF_INET6;

	s->stats.send_buffer = ask_buffer(s->fd, SO_SNDBUF, SO_SNDBUFFORCE);
	s->stats.receive_buffer = ask_buffer(s->fd, SO_RCVBUF, SO_RCVBUFFORCE);
	set_int(s->fd, IPPROTO_UDP, UDP_GRO, 1);
	set_int(s->fd, IPPROTO_IP, IP_RECVTOS, 1);
	set_int(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO); /* RFC 9000 §14: never in fragments */
	if (v6) {
		set_int(s->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
		set_int(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO);
	}
	if (s->pktinfo)
		set_int(s->fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
}

static int bind_error(const struct addr *bind_to, int error, struct err *e)
{
	char text[INET6_ADDRSTRLEN + 10];

	addr_format(bind_to, text, sizeof(text));
	if (error == EADDRINUSE)
		return err_set(e, ERR_BUSY, "UDP port %u is busy: another server? (%s)",
			       ntohs(bind_to->u.in.sin_port), text);
	if (error == EADDRNOTAVAIL)
		return err_set(e, ERR_ENVIRONMENT, "%s: no such address on this machine", text);
	if (error == EACCES)
		return err_set(e, ERR_ENVIRONMENT, "%s: not allowed; ports below 1024 need privileges", text);
	return err_set(e, ERR_ENVIRONMENT, "cannot listen on %s: %s", text, strerror(error));
}

static int make_room(struct live_socket *s)
{
	int i;

	s->arena = malloc(ARENA_SIZE);
	s->out = calloc(SEND_MAX, sizeof(*s->out));
	s->headers = calloc(SEND_MAX, sizeof(*s->headers));
	s->in = malloc((size_t)RECEIVE_MAX * RECEIVE_SIZE);
	if (!s->arena || !s->out || !s->headers || !s->in)
		return ERR_NOMEM;
	for (i = 0; i < RECEIVE_MAX; i++) {
		s->in_iov[i].iov_base = s->in + (size_t)i * RECEIVE_SIZE;
		s->in_iov[i].iov_len = RECEIVE_SIZE;
	}
	return 0;
}

struct live_socket *live_socket_open(const struct addr *bind_to, bool server, struct err *e)
{
	struct live_socket *s = calloc(1, sizeof(*s));
	socklen_t len;

	if (!s || make_room(s)) {
		err_set(e, ERR_NOMEM, "out of memory");
		goto fail;
	}
	s->sink.space = sink_space;
	s->sink.send = sink_send;
	s->fd = socket(bind_to->u.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		s->fd = 0;
		err_set(e, ERR_ENVIRONMENT, "cannot open a UDP socket: %s", strerror(errno));
		goto fail;
	}
	if (bind(s->fd, &bind_to->u.sa, bind_to->len)) {
		bind_error(bind_to, errno, e);
		goto fail;
	}
	len = sizeof(s->local.u);
	if (getsockname(s->fd, &s->local.u.sa, &len)) {
		err_set(e, ERR_ENVIRONMENT, "cannot read the socket's address: %s", strerror(errno));
		goto fail;
	}
	s->local.len = len;
	s->pktinfo = server && is_wildcard(&s->local);
	set_options(s);
	return s;
fail:
	live_socket_close(s);
	return NULL;
}

void live_socket_close(struct live_socket *s)
{
	if (!s)
		return;
	if (s->fd > 0)
		close(s->fd);
	free(s->arena);
	free(s->out);
	free(s->headers);
	free(s->in);
	free(s);
}

const struct addr *live_socket_local(const struct live_socket *s)
{
	return &s->local;
}

void live_socket_stats(const struct live_socket *s, struct live_socket_stats *out)
{
	*out = s->stats;
}

int live_socket_fd(const struct live_socket *s)
{
	return s->fd;
}

struct dgram_sink *live_socket_sink(struct live_socket *s)
{
	return &s->sink;
}

void live_socket_on_sent(struct live_socket *s, void (*sent)(void *ctx, void *owner, unsigned n), void *ctx)
{
	s->on_sent = sent;
	s->on_sent_ctx = ctx;
}
