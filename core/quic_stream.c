/* One request a stream, both ways ended by FIN. */
#include "core/quic_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/err.h"

struct quic_stream *stream_new(struct quic_conn *c, int64_t id)
{
	struct quic_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->conn = c;
	s->id = id;
	s->fin_by = TIME_NEVER;
	buf_init(&s->in, c->ep->cfg.message_max);
	if (id < 0)
		TAILQ_INSERT_TAIL(&c->waiting, s, link);
	else
		TAILQ_INSERT_TAIL(&c->streams, s, link);
	return s;
}

static void want_to_send(struct quic_stream *s)
{
	if (!s->on_sending && s->has_out && !s->out_done && s->id >= 0) {
		TAILQ_INSERT_TAIL(&s->conn->sending, s, sending);
		s->on_sending = true;
	}
}

void stream_stop_sending_out(struct quic_stream *s)
{
	s->out_done = true;
	if (s->on_sending) {
		TAILQ_REMOVE(&s->conn->sending, s, sending);
		s->on_sending = false;
	}
}

void stream_free(struct quic_stream *s)
{
	struct quic_conn *c = s->conn;

	stream_stop_sending_out(s);
	if (s->in_ended)
		TAILQ_REMOVE(&c->ended, s, ended);
	if (s->id < 0)
		TAILQ_REMOVE(&c->waiting, s, link);
	else
		TAILQ_REMOVE(&c->streams, s, link);
	buf_fini(&s->in);
	free(s->out);
	free(s);
}

void stream_free_all(struct quic_conn *c)
{
	struct quic_stream *s;

	while ((s = TAILQ_FIRST(&c->waiting)))
		stream_free(s);
	while ((s = TAILQ_FIRST(&c->streams)))
		stream_free(s);
}

void stream_closed(struct quic_stream *s)
{
	s->gone = true;
	stream_stop_sending_out(s);
	/* closed before its message was whole: somebody reset it */
	if (!s->told && !s->in_ended)
		stream_end(s, QUIC_STREAM_RESET);
	if (s->told)
		stream_free(s);
}

void stream_end(struct quic_stream *s, enum quic_request_status status)
{
	if (s->told || s->in_ended)
		return;
	s->status = status;
	s->fin_by = TIME_NEVER;
	s->in_ended = true;
	TAILQ_INSERT_TAIL(&s->conn->ended, s, ended);
}

void stream_tell(struct quic_stream *s)
{
	struct quic_conn *c = s->conn;
	const struct quic_callbacks *on = &c->ep->cfg.on;
	enum quic_request_status status = s->status;
	bool server = c->ep->cfg.server, gone = s->gone;
	const uint8_t *data = (const uint8_t *)s->in.data;
	struct buf in = s->in;
	void *user = s->user;
	int64_t id = s->id;

	TAILQ_REMOVE(&c->ended, s, ended);
	s->in_ended = false;
	s->told = true;
	buf_init(&s->in, 0); /* `in` is ours now: the callback may free the stream */
	if (c->state == CONN_ACTIVE && !gone) {
		if (status == QUIC_TOO_LARGE)
			ngtcp2_conn_shutdown_stream_read(c->qc, id, QUIC_APP_TOO_LARGE);
		if (server && status == QUIC_STREAM_RESET)
			ngtcp2_conn_shutdown_stream_write(c->qc, id, QUIC_APP_DONE);
	}
	if (gone)
		stream_free(s);
	if (!data)
		data = (const uint8_t *)"";
	if (server && on->request)
		on->request(c->ep->cfg.ctx, c, id, status, data, in.len);
	else if (!server && on->reply)
		on->reply(c->ep->cfg.ctx, c, user, status, data, in.len);
	buf_fini(&in);
}

int stream_received(struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	size_t room = s->in.max - s->in.len;

	if (s->told || s->in_ended)
		return 0;
	if (buf_add(&s->in, data, len < room ? len : room))
		return ERR_NOMEM;
	if (len > room)
		stream_end(s, QUIC_TOO_LARGE);
	else if (fin)
		stream_end(s, QUIC_REPLY);
	return 0;
}

void stream_sent(struct quic_stream *s, size_t n, bool fin)
{
	s->out_off += n;
	if (fin && s->out_off == s->out_len)
		stream_stop_sending_out(s);
}

static void open_one(struct quic_conn *c, struct quic_stream *s, int64_t id)
{
	TAILQ_REMOVE(&c->waiting, s, link);
	s->id = id;
	TAILQ_INSERT_TAIL(&c->streams, s, link);
	want_to_send(s);
}

void streams_open_waiting(struct quic_conn *c)
{
	struct quic_stream *s;
	int64_t id;

	/* never as early data: not before the handshake is complete */
	if (TAILQ_EMPTY(&c->waiting) || !ngtcp2_conn_get_handshake_completed(c->qc))
		return;
	while ((s = TAILQ_FIRST(&c->waiting)) && ngtcp2_conn_open_bidi_stream(c->qc, &id, s) == 0)
		open_one(c, s, id);
}

time_ns streams_fin_by(const struct quic_conn *c)
{
	const struct quic_stream *s;
	time_ns by = TIME_NEVER;

	TAILQ_FOREACH(s, &c->streams, link)
	by = time_min(by, s->fin_by);
	return by;
}

void streams_too_slow(struct quic_conn *c, time_ns now)
{
	struct quic_stream *s;
	bool any = false;

	TAILQ_FOREACH(s, &c->streams, link)
	{
		if (s->fin_by > now)
			continue;
		stream_end(s, QUIC_TOO_SLOW);
		any = true;
	}
	if (any)
		conn_close_app(c, QUIC_APP_TOO_SLOW);
}

void streams_lost(struct quic_conn *c)
{
	struct quic_stream *s;

	if (c->ep->cfg.server)
		return;
	TAILQ_FOREACH(s, &c->streams, link)
	stream_end(s, QUIC_CONN_LOST);
	TAILQ_FOREACH(s, &c->waiting, link)
	stream_end(s, QUIC_CONN_LOST);
}

static int set_out(struct quic_stream *s, const uint8_t *data, size_t len)
{
	s->out = malloc(len ? len : 1);
	if (!s->out)
		return ERR_NOMEM;
	memcpy(s->out, data, len);
	s->out_len = len;
	s->has_out = true;
	return 0;
}

int quic_request(struct quic_conn *c, const uint8_t *data, size_t len, void *user)
{
	struct quic_stream *s;

	if (c->state != CONN_ACTIVE || c->ep->cfg.server)
		return ERR_CLOSED;
	s = stream_new(c, -1);
	if (!s)
		return ERR_NOMEM;
	s->user = user;
	if (set_out(s, data, len)) {
		stream_free(s);
		return ERR_NOMEM;
	}
	conn_mark_dirty(c);
	return 0;
}

static void cancel_list(struct quic_conn *c, struct stream_list *list, void *user)
{
	struct quic_stream *s, *next;

	for (s = TAILQ_FIRST(list); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->user != user || s->told)
			continue;
		if (s->in_ended) {
			TAILQ_REMOVE(&c->ended, s, ended);
			s->in_ended = false;
		}
		s->told = true;
		stream_stop_sending_out(s);
		if (s->id < 0 || s->gone)
			stream_free(s);
		else if (c->state == CONN_ACTIVE)
			ngtcp2_conn_shutdown_stream(c->qc, s->id, QUIC_APP_DONE);
	}
}

void quic_cancel(struct quic_conn *c, void *user)
{
	cancel_list(c, &c->waiting, user);
	cancel_list(c, &c->streams, user);
	if (c->state == CONN_ACTIVE)
		conn_mark_dirty(c);
}

static struct quic_stream *find_stream(struct quic_conn *c, int64_t id)
{
	struct quic_stream *s;

	TAILQ_FOREACH(s, &c->streams, link)
	if (s->id == id)
		break;
	return s;
}

void quic_reset(struct quic_conn *c, int64_t stream, uint64_t app_error)
{
	struct quic_stream *s = c->state == CONN_ACTIVE ? find_stream(c, stream) : NULL;

	if (!s || s->gone)
		return;
	stream_stop_sending_out(s);
	ngtcp2_conn_shutdown_stream_write(c->qc, stream, app_error);
	conn_mark_dirty(c);
}

int quic_respond(struct quic_conn *c, int64_t stream, const uint8_t *data, size_t len)
{
	struct quic_stream *s;

	if (c->state != CONN_ACTIVE)
		return ERR_CLOSED;
	s = find_stream(c, stream);
	if (!s || s->gone || s->has_out || s->out_done || !s->told)
		return ERR_CLOSED;
	if (set_out(s, data, len))
		return ERR_NOMEM;
	want_to_send(s);
	conn_mark_dirty(c);
	return 0;
}
