/* The fleet's connections: one QUIC client endpoint, a connection a device while it
 * needs one. QUIC callbacks only take notes; the turn acts on them. */
#include "sim/fleet_priv.h"

#include <stdlib.h>
#include <string.h>

static struct fleet_device *owner_of(struct quic_conn *c)
{
	return quic_conn_user(c);
}

static const struct fault *emit(struct fleet_device *fd, enum journal_kind kind, const struct journal_value *v,
				size_t n)
{
	struct fleet *f = fd->fleet;

	return journal_emit_values(f->cfg.journal, f->at.now, device_label(fd->dev), device_uuid(fd->dev), NULL, NULL,
				   kind, v, n);
}
#define EMIT(fd, kind, ...)                                                                                    \
	emit(fd, kind, (const struct journal_value[]){__VA_ARGS__},                                            \
	     sizeof((const struct journal_value[]){__VA_ARGS__}) / sizeof(struct journal_value))

struct note *fleet_note(struct fleet_device *fd, enum note_kind kind)
{
	struct note *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL; /* the request's own timeout leads on */
	n->kind = kind;
	n->fd = fd;
	n->boots = fd->boots;
	STAILQ_INSERT_TAIL(&fd->fleet->notes, n, next);
	return n;
}

void fleet_note_free(struct note *n)
{
	if (n->kind == NOTE_REPLY)
		msg_response_fini(&n->response);
	free(n);
}

/* A fault that an event of the connection fired: not from within the callback. */
static void note_fault(struct fleet_device *fd, const struct fault *fault)
{
	if (!fault)
		return;
	fleet_fault(fd, fault);
	fleet_note(fd, NOTE_FAULT);
}

static void on_handshake(void *ctx, struct quic_conn *c)
{
	struct fleet_device *fd = owner_of(c);

	(void)ctx;
	note_fault(fd, emit(fd, J_HANDSHAKE_DONE, NULL, 0));
}

static void on_closed(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error)
{
	struct fleet_device *fd = owner_of(c);
	char id[2 * QUIC_CID_LEN + 1];

	(void)ctx;
	fd->received += quic_conn_take_received(c);
	if (fd->conn == c) {
		fd->conn = NULL;
		fd->stale = 0;
	}
	if (fd->closing == c)
		fd->closing = NULL;
	if (!quic_conn_handshaken(c) && why != QUIC_CLOSED_OK && why != QUIC_CLOSED_DROPPED)
		note_fault(fd, EMIT(fd, J_HANDSHAKE_FAILED, JS(WHY, quic_close_text(why)), JI(ERROR, error)));
	note_fault(fd, EMIT(fd, J_CONN_CLOSE, JS(ID, quic_conn_id(c, id)), JI(ERROR, error),
			    JS(WHY, quic_close_text(why))));
}

static void on_reply(void *ctx, struct quic_conn *c, void *user, enum quic_request_status status,
		     const uint8_t *data, size_t len)
{
	struct fleet_device *fd = owner_of(c);
	struct note *n;

	(void)ctx;
	n = fleet_note(fd, status == QUIC_CONN_LOST ? NOTE_LINK_LOST : NOTE_REPLY);
	if (!n)
		return;
	n->id = (uint64_t)(uintptr_t)user;
	if (n->kind == NOTE_LINK_LOST)
		return;
	n->status = status == QUIC_TOO_LARGE ? "too_large" : status == QUIC_REPLY ? NULL : "reset";
	/* what did not come whole is read as nothing: no code */
	if (msg_response_parse((const char *)data, status == QUIC_REPLY ? len : 0, &n->response))
		n->response.code = MSG_NO_CODE;
}

int fleet_net_open(struct fleet *f, struct err *e)
{
	const struct fleet_config *cfg = &f->cfg;
	struct quic_credentials_pem pem = {.cert = cfg->cert, .key = cfg->key, .peer_ca = cfg->server_ca};
	struct quic_config q = {
		.alpn = f->alpn,
		.secret = cfg->secret,
		.on = {.handshake_done = on_handshake, .closed = on_closed, .reply = on_reply},
		.ctx = f,
		.idle_timeout = setting_ns(&cfg->settings, SETTING_IDLE_TIMEOUT),
		.handshake_timeout = setting_ns(&cfg->settings, SETTING_HANDSHAKE_TIMEOUT),
		.message_max = MSG_REPLY_MAX,
		.streams = 1,
		.stream_window = MSG_REPLY_MAX + 1024,
	};

	f->credentials = quic_credentials_new(&pem, e);
	if (!f->credentials)
		return ERR_TLS;
	q.credentials = f->credentials;
	f->quic = quic_endpoint_new(&q, e);
	return f->quic ? 0 : ERR_TLS;
}

static struct quic_conn *connect_now(struct fleet *f, struct fleet_device *fd)
{
	char id[2 * QUIC_CID_LEN + 1];
	struct addr local = f->local;
	struct err e = {0};

	if (f->port_each) /* sin_port and sin6_port stand at one place */
		local.u.in.sin_port = htons((uint16_t)(ntohs(local.u.in.sin_port) + fd->index));
	fd->conn = quic_connect(f->quic, &f->at, &local, &f->server, f->server_name, fd->secret, fd, &e);
	if (fd->conn)
		quic_conn_set_clock(fd->conn, fd->clock_ms);
	if (!fd->conn) {
		note_fault(fd, EMIT(fd, J_HANDSHAKE_FAILED, JS(WHY, err_text(e.code)), JI(ERROR, 0)));
		return NULL;
	}
	if (device_holds_connection(fd->dev))
		quic_keep_alive(fd->conn, true);
	fleet_fault(fd, EMIT(fd, J_CONN_OPEN, JS(ID, quic_conn_id(fd->conn, id))));
	return fd->conn;
}

void fleet_request(struct fleet *f, struct fleet_device *fd, uint64_t id, const void *data, size_t len)
{
	void *user = (void *)(uintptr_t)id;
	struct note *n;
	int rv = ERR_CLOSED;

	if (fd->conn)
		rv = quic_request(fd->conn, data, len, user);
	if (rv) {
		/* none yet, or one that is going: another carries it */
		if (fd->conn)
			fd->closing = fd->conn;
		fd->conn = NULL;
		fd->stale = 0;
		if (connect_now(f, fd))
			rv = quic_request(fd->conn, data, len, user);
	}
	f->dirty = true;
	if (!rv)
		return;
	n = fleet_note(fd, NOTE_LINK_LOST);
	if (n)
		n->id = id;
}

/* On a held connection the reply may still come: late, dropped and counted. */
void fleet_timed_out(struct fleet_device *fd, uint64_t id)
{
	if (!fd->conn)
		return;
	if (fd->stale)
		quic_cancel(fd->conn, (void *)(uintptr_t)fd->stale);
	fd->stale = id;
}

static void abandon_one(struct fleet_device *fd, struct quic_conn *c)
{
	char id[2 * QUIC_CID_LEN + 1];

	if (!c)
		return;
	fd->received += quic_conn_take_received(c);
	note_fault(fd, EMIT(fd, J_CONN_CLOSE, JS(ID, quic_conn_id(c, id)), JI(ERROR, 0),
			    JS(WHY, quic_close_text(QUIC_CLOSED_DROPPED))));
	quic_abandon(c);
}

void fleet_close(struct fleet *f, struct fleet_device *fd, bool at_once)
{
	struct quic_conn *c = fd->conn;

	if (!c)
		return;
	if (at_once)
		abandon_one(fd, fd->closing); /* nor may an older one speak again */
	/* `closed` may be called from within, and finds nobody's connection */
	fd->conn = NULL;
	fd->stale = 0;
	fd->closing = c;
	f->dirty = true;
	/* one CONNECTION_CLOSE and no lingering: what still arrives gets no answer, so
	 * that an old connection cannot break the silence of IDLE */
	quic_close(c, &f->at, QUIC_APP_DONE, true, at_once ? f->sink : NULL);
}

void fleet_abandon(struct fleet *f, struct fleet_device *fd)
{
	(void)f;
	abandon_one(fd, fd->conn);
	abandon_one(fd, fd->closing);
	fd->conn = fd->closing = NULL;
	fd->stale = 0;
}

void fleet_count_one(struct fleet *f, struct fleet_device *fd)
{
	(void)f;
	if (fd->conn)
		fd->received += quic_conn_take_received(fd->conn);
	if (!fd->sent && !fd->received)
		return;
	note_fault(fd, EMIT(fd, J_NET_COUNT, JI(SENT, fd->sent), JI(RECEIVED, fd->received)));
	fd->sent = fd->received = 0;
}

static uint8_t *sink_space(struct dgram_sink *sink, size_t size)
{
	struct fleet_sink *s = (struct fleet_sink *)sink;

	return s->real->space(s->real, size);
}

static void sink_send(struct dgram_sink *sink, void *owner, const struct addr *local, const struct addr *remote,
		      size_t len, size_t segment, unsigned ecn)
{
	struct fleet_sink *s = (struct fleet_sink *)sink;
	struct fleet_device *fd = owner;

	if (fd)
		fd->sent += segment ? (len + segment - 1) / segment : 1;
	s->real->send(s->real, owner, local, remote, len, segment, ecn);
}

void fleet_sink_init(struct fleet_sink *s, struct dgram_sink *real)
{
	s->base.space = sink_space;
	s->base.send = sink_send;
	s->real = real;
}
