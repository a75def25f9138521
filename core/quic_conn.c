/* The life of one connection: made, fed, told about, ended, lingering, forgotten. */
#include "core/quic_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define PACING_SLACK NS_PER_MS /* ngtcp2's own */

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct quic_conn *)ref->user_data)->qc;
}

void path_set(ngtcp2_path *path, const struct addr *local, const struct addr *remote)
{
	memset(path, 0, sizeof(*path));
	ngtcp2_addr_init(&path->local, &local->u.sa, local->len);
	ngtcp2_addr_init(&path->remote, &remote->u.sa, remote->len);
}

static void fill_settings(ngtcp2_settings *st, struct quic_endpoint *ep)
{
	ngtcp2_settings_default(st);
	st->initial_ts = ep->at.now;
	st->rand_ctx.native_handle = ep;
	st->handshake_timeout = ep->cfg.handshake_timeout;
	/* packet sizes that never depend on the path: comparable runs, one UDP_SEGMENT size */
	st->max_tx_udp_payload_size = QUIC_PAYLOAD_SIZE;
	st->no_tx_udp_payload_size_shaping = 1;
	st->no_pmtud = 1;
}

static void fill_params(ngtcp2_transport_params *tp, const struct quic_config *cfg)
{
	unsigned streams = cfg->streams ? cfg->streams : 1;

	ngtcp2_transport_params_default(tp);
	tp->max_idle_timeout = cfg->idle_timeout;
	tp->initial_max_data = (uint64_t)cfg->stream_window * streams;
	if (cfg->server) {
		tp->initial_max_stream_data_bidi_remote = cfg->stream_window;
		tp->initial_max_streams_bidi = streams;
	} else {
		tp->initial_max_stream_data_bidi_local = cfg->stream_window;
	}
}

/* ngtcp2 0.12.1 leaves its pointer behind when it fails, to what it has freed. */
static int made(struct quic_conn *c, int rv)
{
	if (rv)
		c->qc = NULL;
	return rv;
}

static int client_start(struct quic_conn *c, const ngtcp2_path *path, const ngtcp2_cid *scid)
{
	struct quic_endpoint *ep = c->ep;
	ngtcp2_transport_params tp;
	ngtcp2_settings st;
	ngtcp2_cid dcid;

	fill_settings(&st, ep);
	fill_params(&tp, &ep->cfg);
	dcid.datalen = QUIC_CID_LEN;
	secret_fill(c->secret, dcid.data, dcid.datalen);
	return made(c, ngtcp2_conn_client_new(&c->qc, &dcid, scid, path, NGTCP2_PROTO_VER_V1,
					      &quic_client_callbacks, &st, &tp, NULL, c));
}

static int server_start(struct quic_conn *c, const ngtcp2_path *path, const ngtcp2_cid *scid,
			const struct conn_origin *o)
{
	struct quic_endpoint *ep = c->ep;
	ngtcp2_transport_params tp;
	ngtcp2_settings st;

	fill_settings(&st, ep);
	fill_params(&tp, &ep->cfg);
	tp.original_dcid = o->hd->dcid;
	if (o->odcid) {
		tp.original_dcid = *o->odcid;
		tp.retry_scid = o->hd->dcid;
		tp.retry_scid_present = 1;
		st.token = o->hd->token;
	}
	tp.stateless_reset_token_present = 1;
	if (ngtcp2_crypto_generate_stateless_reset_token(tp.stateless_reset_token, ep->cfg.reset_key,
							 sizeof(ep->cfg.reset_key), scid))
		return ERR_TLS;
	if (cid_add(c, o->hd->dcid.data, o->hd->dcid.datalen))
		return ERR_NOMEM;
	return made(c, ngtcp2_conn_server_new(&c->qc, &o->hd->scid, scid, path, o->hd->version,
					      &quic_server_callbacks, &st, &tp, NULL, c));
}

static void count_in(struct quic_conn *c)
{
	c->counted = true;
	c->ep->live++;
	if (c->ep->cfg.server) {
		c->half_open = true;
		c->ep->half_open++;
	}
}

static void count_out(struct quic_conn *c)
{
	if (c->half_open)
		c->ep->half_open--;
	if (c->counted)
		c->ep->live--;
	c->half_open = c->counted = false;
	source_release(c);
}

static struct quic_conn *conn_alloc(struct quic_endpoint *ep, const struct addr *remote,
				    const char *server_name, struct secret_source *secret)
{
	struct quic_conn *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ep = ep;
	c->secret = secret ? secret : ep->cfg.secret;
	c->remote = *remote;
	c->ref.get_conn = get_conn;
	c->ref.user_data = c;
	c->answer_at = 1;
	SLIST_INIT(&c->cids);
	SLIST_INIT(&c->tokens);
	TAILQ_INIT(&c->streams);
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->sending);
	TAILQ_INIT(&c->ended);
	TAILQ_INSERT_TAIL(&ep->all, c, all);
	if (server_name && !(c->server_name = strdup(server_name))) {
		conn_bury(c);
		return NULL;
	}
	return c;
}

struct quic_conn *conn_new(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
			   const char *server_name, struct secret_source *secret,
			   const struct conn_origin *origin, struct err *e)
{
	struct quic_conn *c = conn_alloc(ep, remote, server_name, secret);
	ngtcp2_path path;
	ngtcp2_cid scid;
	int rv;

	if (!c)
		goto nomem;
	cid_make(ep, c->secret, &scid);
	memcpy(c->first_cid, scid.data, QUIC_CID_LEN);
	path_set(&path, local, remote);
	if (cid_add(c, scid.data, scid.datalen) || heap_set(&ep->timers, &c->timer, TIME_NEVER))
		goto nomem;
	if (origin && source_take(ep, c, remote))
		goto nomem;
	rv = origin ? server_start(c, &path, &scid, origin) : client_start(c, &path, &scid);
	if (rv) {
		err_set(e, ERR_QUIC, "connection: %s", ngtcp2_strerror(rv));
		goto fail;
	}
	c->tls = tls_session_new(c, e);
	if (!c->tls)
		goto fail;
	ngtcp2_conn_set_tls_native_handle(c->qc, c->tls);
	count_in(c);
	return c;
nomem:
	err_set(e, ERR_NOMEM, "out of memory");
fail:
	if (c)
		conn_bury(c);
	return NULL;
}

static void release(struct quic_conn *c)
{
	stream_free_all(c);
	if (c->qc)
		ngtcp2_conn_del(c->qc);
	c->qc = NULL;
	if (c->tls)
		gnutls_deinit(c->tls);
	c->tls = NULL;
}

void conn_bury(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;

	if (c->state == CONN_DEAD)
		return;
	if (c->state == CONN_LINGER)
		ep->lingering--;
	c->state = CONN_DEAD;
	count_out(c);
	cids_clear(c);
	heap_remove(&ep->timers, &c->timer);
	if (c->dirty)
		TAILQ_REMOVE(&ep->dirty, c, todo);
	c->dirty = false;
	TAILQ_REMOVE(&ep->all, c, all);
	TAILQ_INSERT_TAIL(&ep->graveyard, c, grave);
}

void conn_free(struct quic_conn *c)
{
	release(c);
	free(c->server_name);
	free(c->last_words);
	free(c);
}

void conn_deliver(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;
	struct quic_stream *s;

	if (c->done_noted && !c->done_told) {
		c->done_told = true;
		if (c->half_open)
			ep->half_open--;
		c->half_open = false;
		if (ep->cfg.on.handshake_done)
			ep->cfg.on.handshake_done(ep->cfg.ctx, c);
	}
	for (; c->paths_ok && c->state != CONN_DEAD; c->paths_ok--)
		if (ep->cfg.on.path && c->done_told)
			ep->cfg.on.path(ep->cfg.ctx, c, true);
	for (; c->paths_bad && c->state != CONN_DEAD; c->paths_bad--)
		if (ep->cfg.on.path && c->done_told)
			ep->cfg.on.path(ep->cfg.ctx, c, false);
	while (c->state != CONN_DEAD && (s = TAILQ_FIRST(&c->ended)))
		stream_tell(s);
}

static void linger(struct quic_conn *c, time_ns pto)
{
	struct quic_endpoint *ep = c->ep;

	c->state = CONN_LINGER;
	ep->lingering++;
	if (c->silent) {
		free(c->last_words);
		c->last_words = NULL;
	}
	if (c->dirty)
		TAILQ_REMOVE(&ep->dirty, c, todo);
	c->dirty = false;
	heap_set(&ep->timers, &c->timer, time_add(ep->at.now, QUIC_LINGER_PTO * pto));
}

void conn_finish(struct quic_conn *c, bool may_linger)
{
	struct quic_endpoint *ep = c->ep;
	time_ns pto;

	c->state = CONN_UNTOLD;
	count_out(c);
	conn_deliver(c);
	if (c->state == CONN_DEAD)
		return;
	streams_lost(c);
	conn_deliver(c);
	if (c->state == CONN_DEAD)
		return;
	if (ep->cfg.on.closed)
		ep->cfg.on.closed(ep->cfg.ctx, c, c->why, c->error);
	if (c->state == CONN_DEAD)
		return;
	c->user = NULL;
	pto = ngtcp2_conn_get_pto(c->qc);
	release(c);
	if (may_linger && ep->lingering < QUIC_LINGER_MAX)
		linger(c, pto);
	else
		conn_bury(c);
}

static void begin_close(struct quic_conn *c)
{
	c->state = CONN_CLOSING;
	heap_set(&c->ep->timers, &c->timer, TIME_NEVER);
	conn_mark_dirty(c);
}

void conn_close_app(struct quic_conn *c, uint64_t app_error)
{
	c->why = app_error == QUIC_APP_DONE ? QUIC_CLOSED_OK : QUIC_CLOSED_APP;
	c->error = app_error;
	ngtcp2_connection_close_error_set_application_error(&c->last_error, app_error, NULL, 0);
	begin_close(c);
}

void conn_close_error(struct quic_conn *c, int liberr)
{
	if (c->tls_error)
		ngtcp2_connection_close_error_set_transport_error(&c->last_error, c->tls_error, NULL, 0);
	else if (liberr == NGTCP2_ERR_CRYPTO && ngtcp2_conn_get_tls_alert(c->qc))
		ngtcp2_connection_close_error_set_transport_error_tls_alert(
			&c->last_error, ngtcp2_conn_get_tls_alert(c->qc), NULL, 0);
	else
		ngtcp2_connection_close_error_set_transport_error_liberr(&c->last_error, liberr, NULL, 0);
	c->why = c->done_noted ? QUIC_CLOSED_TRANSPORT : QUIC_CLOSED_HANDSHAKE;
	c->error = c->last_error.error_code;
	begin_close(c);
}

static void closed_by_peer(struct quic_conn *c)
{
	ngtcp2_connection_close_error ce;

	ngtcp2_conn_get_connection_close_error(c->qc, &ce);
	c->error = ce.error_code;
	if (c->reset_seen)
		c->why = QUIC_CLOSED_RESET;
	else if (ce.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION)
		c->why = ce.error_code == QUIC_APP_DONE ? QUIC_CLOSED_OK : QUIC_CLOSED_APP;
	else
		c->why = c->done_noted ? QUIC_CLOSED_TRANSPORT : QUIC_CLOSED_HANDSHAKE;
	/* a client answers nothing that it does not know, so it need not linger to stay silent */
	conn_finish(c, c->ep->cfg.server);
}

static void read_failed(struct quic_conn *c, int rv)
{
	switch (rv) {
	case NGTCP2_ERR_DRAINING:
		closed_by_peer(c);
		break;
	case NGTCP2_ERR_RETRY:
	case NGTCP2_ERR_DROP_CONN:
		/* An Initial that could not be read began nothing. Told of each, the owner would
		 * write a line for every datagram of a stranger's. */
		if (c->ep->cfg.server && c->received == 1) {
			conn_bury(c);
			break;
		}
		c->why = QUIC_CLOSED_DROPPED;
		conn_finish(c, false);
		break;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
		c->why = QUIC_CLOSED_HANDSHAKE;
		conn_finish(c, false);
		break;
	default:
		conn_deliver(c);
		if (c->state == CONN_ACTIVE)
			conn_close_error(c, rv);
	}
}

/* The session costs about as much memory as the connection; once the handshake is
 * confirmed nobody asks it anything (keys live in ngtcp2, and there are no tickets). */
static void drop_tls(struct quic_conn *c)
{
	if (!c->done_noted || !c->tls || c->state != CONN_ACTIVE)
		return;
	ngtcp2_conn_set_tls_native_handle(c->qc, NULL);
	gnutls_deinit(c->tls);
	c->tls = NULL;
}

/* It moves when the peer's address does (rebinding, once validated). */
static void note_remote(struct quic_conn *c)
{
	const ngtcp2_addr *a = &ngtcp2_conn_get_path(c->qc)->remote;

	if (a->addrlen > sizeof(c->remote.u))
		return;
	memcpy(&c->remote.u, a->addr, a->addrlen);
	c->remote.len = a->addrlen;
}

int conn_input(struct quic_conn *c, const struct addr *local, const struct addr *remote, unsigned ecn,
	       const uint8_t *data, size_t len)
{
	ngtcp2_pkt_info pi = {ecn};
	ngtcp2_path path;
	int rv;

	c->received++;
	if (c->state == CONN_LINGER && c->last_words && ++c->heard == c->answer_at) {
		c->answer_at *= 2;
		conn_mark_dirty(c);
	}
	if (c->state != CONN_ACTIVE)
		return 0;
	path_set(&path, local, remote);
	rv = ngtcp2_conn_read_pkt(c->qc, &path, &pi, data, len, c->ep->at.now);
	if (rv) {
		read_failed(c, rv);
		return rv;
	}
	note_remote(c);
	streams_open_waiting(c);
	conn_deliver(c);
	drop_tls(c);
	if (c->state != CONN_DEAD)
		conn_mark_dirty(c);
	return 0;
}

/* ngtcp2 lets a packet go up to a millisecond before its pacing time, and all the same
 * names that time as one to be woken at. With nothing left to say it would be a wake-up
 * for nothing behind every packet: told now, it forgets a time so near and no other. */
static time_ns next_expiry(struct quic_conn *c, bool all_said)
{
	time_ns at = ngtcp2_conn_get_expiry(c->qc), now = c->ep->at.now;

	if (!all_said || at <= now || at > time_add(now, PACING_SLACK) || ngtcp2_conn_handle_expiry(c->qc, now))
		return at;
	return ngtcp2_conn_get_expiry(c->qc);
}

void conn_rearm(struct quic_conn *c, bool all_said)
{
	time_ns at, now = c->ep->at.now;

	if (c->state != CONN_ACTIVE)
		return;
	at = time_min(next_expiry(c, all_said), streams_fin_by(c));
	/* ngtcp2 may name the past again and again (ngtcp2-notes.md, trap 1), and while the
	 * sink is full nothing gets better by asking at once */
	if (at <= now)
		at = time_add(now, c->dirty ? NS_PER_MS : NS_PER_US);
	heap_set(&c->ep->timers, &c->timer, at);
}

static void handle_expiry(struct quic_conn *c)
{
	int rv = ngtcp2_conn_handle_expiry(c->qc, c->ep->at.now);

	switch (rv) {
	case 0:
		conn_mark_dirty(c);
		break;
	case NGTCP2_ERR_IDLE_CLOSE:
		c->why = QUIC_CLOSED_IDLE;
		conn_finish(c, false);
		break;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		c->why = QUIC_CLOSED_HANDSHAKE_TIMEOUT;
		conn_finish(c, false);
		break;
	default:
		conn_close_error(c, rv);
	}
}

void conn_expire(struct quic_conn *c)
{
	time_ns now = c->ep->at.now;

	if (c->state == CONN_UNTOLD) {
		conn_finish(c, c->ep->cfg.server || !c->silent);
		return;
	}
	if (c->state != CONN_ACTIVE) {
		conn_bury(c);
		return;
	}
	if (streams_fin_by(c) <= now) {
		streams_too_slow(c, now);
		conn_deliver(c);
	} else if (ngtcp2_conn_get_expiry(c->qc) <= now) {
		handle_expiry(c);
	}
	conn_rearm(c, false);
}

void quic_close(struct quic_conn *c, const struct instant *at, uint64_t app_error, bool silent_after,
		struct dgram_sink *sink)
{
	c->silent = c->silent || silent_after;
	if (c->state == CONN_ACTIVE)
		conn_close_app(c, app_error);
	if (c->state != CONN_CLOSING || !sink)
		return;
	if (!c->ep->depth)
		c->ep->at = *at;
	/* `closed` waits for a call in which the owner expects it */
	if (conn_write_close(c, sink))
		heap_set(&c->ep->timers, &c->timer, c->ep->at.now);
}

void quic_abandon(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;

	conn_bury(c);
	if (!ep->depth) {
		TAILQ_REMOVE(&ep->graveyard, c, grave);
		conn_free(c);
	}
}

void quic_keep_alive(struct quic_conn *c, bool on)
{
	if (c->state != CONN_ACTIVE)
		return;
	ngtcp2_conn_set_keep_alive_timeout(c->qc, on ? c->ep->cfg.idle_timeout / 2 : 0);
	conn_mark_dirty(c);
}

int quic_rebind(struct quic_conn *c, const struct instant *at, const struct addr *new_local)
{
	ngtcp2_addr addr;

	(void)at;
	if (c->state != CONN_ACTIVE)
		return ERR_CLOSED;
	ngtcp2_addr_init(&addr, &new_local->u.sa, new_local->len);
	ngtcp2_conn_set_local_addr(c->qc, &addr);
	return 0;
}

void quic_conn_set_clock(struct quic_conn *c, int64_t offset_ms)
{
	c->clock_ms = offset_ms;
}

void *quic_conn_user(const struct quic_conn *c)
{
	return c->user;
}

void quic_conn_set_user(struct quic_conn *c, void *user)
{
	c->user = user;
}

const struct addr *quic_conn_remote(const struct quic_conn *c)
{
	return &c->remote;
}

bool quic_conn_handshaken(const struct quic_conn *c)
{
	return c->done_noted;
}

char *quic_conn_id(const struct quic_conn *c, char *out)
{
	hash_hex(c->first_cid, sizeof(c->first_cid), out);
	return out;
}

uint64_t quic_conn_take_received(struct quic_conn *c)
{
	uint64_t n = c->received;

	c->received = 0;
	return n;
}
