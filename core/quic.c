#include "core/quic_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define LONG_HEADER	 0x80
#define RESET_PACKET_MIN 21 /* RFC 9000 §10.3 */
#define ALPN_MAX	 255

const char *quic_close_text(enum quic_close_why why)
{
	switch (why) {
	case QUIC_CLOSED_OK:
		return "ok";
	case QUIC_CLOSED_APP:
		return "application";
	case QUIC_CLOSED_TRANSPORT:
		return "transport";
	case QUIC_CLOSED_HANDSHAKE:
		return "handshake";
	case QUIC_CLOSED_HANDSHAKE_TIMEOUT:
		return "handshake_timeout";
	case QUIC_CLOSED_IDLE:
		return "idle";
	case QUIC_CLOSED_RESET:
		return "reset";
	case QUIC_CLOSED_DROPPED:
		return "dropped";
	}
	return "unknown";
}

/* Derived, not drawn, so that it moves nobody's draws. A client's key is no secret: its
 * tables hold IDs of its own and what the servers that it chose gave it. */
static void make_place_key(struct quic_endpoint *ep)
{
	static const char label[] = "quicrig place";
	uint8_t mac[HASH_SIZE];

	hash_hmac_sha256(ep->cfg.reset_key, sizeof(ep->cfg.reset_key), label, strlen(label), mac);
	memcpy(ep->place_key, mac, sizeof(ep->place_key));
}

struct quic_endpoint *quic_endpoint_new(const struct quic_config *cfg, struct err *e)
{
	const char *alpn = cfg->alpn ? cfg->alpn : QUIC_ALPN_DEFAULT;
	struct quic_endpoint *ep;

	if (!cfg->credentials || !cfg->secret || !cfg->message_max || !cfg->stream_window || !*alpn ||
	    strlen(alpn) > ALPN_MAX) {
		err_set(e, ERR_INVALID,
			"QUIC endpoint: credentials, secret, message_max, stream_window and an "
			"ALPN of at most %d bytes are needed",
			ALPN_MAX);
		return NULL;
	}
	ep = calloc(1, sizeof(*ep));
	if (ep)
		ep->alpn = strdup(alpn);
	if (!ep || !ep->alpn) {
		free(ep);
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	ep->cfg = *cfg;
	make_place_key(ep);
	heap_init(&ep->timers);
	TAILQ_INIT(&ep->all);
	TAILQ_INIT(&ep->dirty);
	TAILQ_INIT(&ep->graveyard);
	STAILQ_INIT(&ep->orphans);
	return ep;
}

static void clear_graveyard(struct quic_endpoint *ep)
{
	struct quic_conn *c;

	while ((c = TAILQ_FIRST(&ep->graveyard))) {
		TAILQ_REMOVE(&ep->graveyard, c, grave);
		conn_free(c);
	}
}

void quic_endpoint_free(struct quic_endpoint *ep)
{
	if (!ep)
		return;
	while (!TAILQ_EMPTY(&ep->all))
		conn_bury(TAILQ_FIRST(&ep->all));
	clear_graveyard(ep);
	orphans_free(ep);
	heap_fini(&ep->timers);
	gnutls_memset(ep->cfg.reset_key, 0, sizeof(ep->cfg.reset_key));
	free(ep->alpn);
	free(ep);
}

void endpoint_enter(struct quic_endpoint *ep, const struct instant *at)
{
	ep->depth++;
	ep->at = *at;
}

void endpoint_leave(struct quic_endpoint *ep)
{
	if (--ep->depth == 0)
		clear_graveyard(ep);
}

void conn_mark_dirty(struct quic_conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	TAILQ_INSERT_TAIL(&c->ep->dirty, c, todo);
}

static struct quic_conn *route(const struct quic_endpoint *ep, const ngtcp2_version_cid *vc,
			       const uint8_t *data, size_t len)
{
	struct quic_conn *c = vc->dcidlen <= NGTCP2_MAX_CIDLEN ? cid_find(ep, vc->dcid, vc->dcidlen) : NULL;

	if (!c && !(data[0] & LONG_HEADER) && len >= RESET_PACKET_MIN)
		c = reset_token_find(ep, data + len - NGTCP2_STATELESS_RESET_TOKENLEN);
	return c;
}

void quic_input(struct quic_endpoint *ep, const struct instant *at, const struct addr *local,
		const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len)
{
	ngtcp2_version_cid vc;
	struct quic_conn *c;
	int rv;

	if (!len)
		return;
	rv = ngtcp2_pkt_decode_version_cid(&vc, data, len, QUIC_CID_LEN);
	if (rv && rv != NGTCP2_ERR_VERSION_NEGOTIATION)
		return;
	endpoint_enter(ep, at);
	if (rv || ((data[0] & LONG_HEADER) && vc.version && vc.version != NGTCP2_PROTO_VER_V1)) {
		if (ep->cfg.server)
			accept_version(ep, local, remote, &vc, len);
	} else if ((c = route(ep, &vc, data, len))) {
		conn_input(c, local, remote, ecn, data, len);
	} else if (ep->cfg.server) {
		accept_unknown(ep, local, remote, ecn, data, len);
	}
	endpoint_leave(ep);
}

void quic_expire(struct quic_endpoint *ep, const struct instant *at)
{
	struct heap_node *n;

	endpoint_enter(ep, at);
	while ((n = heap_top(&ep->timers)) && n->at <= at->now)
		conn_expire(HEAP_ENTRY(n, struct quic_conn, timer));
	endpoint_leave(ep);
}

bool quic_output(struct quic_endpoint *ep, const struct instant *at, struct dgram_sink *sink)
{
	struct quic_conn *c;
	bool all = true;

	endpoint_enter(ep, at);
	all = orphans_write(ep, sink);
	while (all && (c = TAILQ_FIRST(&ep->dirty))) {
		TAILQ_REMOVE(&ep->dirty, c, todo);
		c->dirty = false;
		all = conn_write(c, sink);
		if (!all && !c->dirty) {
			TAILQ_INSERT_HEAD(&ep->dirty, c, todo);
			c->dirty = true;
		}
	}
	endpoint_leave(ep);
	return all;
}

time_ns quic_deadline(const struct quic_endpoint *ep)
{
	return heap_deadline(&ep->timers);
}

struct quic_conn *quic_connect(struct quic_endpoint *ep, const struct instant *at, const struct addr *local,
			       const struct addr *remote, const char *server_name, struct secret_source *secret,
			       void *user, struct err *e)
{
	struct quic_conn *c;

	if (ep->cfg.server || !server_name || !*server_name || strlen(server_name) > 255) {
		err_set(e, ERR_INVALID,
			"a connection needs a client endpoint and a server name of at most 255 bytes");
		return NULL;
	}
	if (ep->shutting_down) {
		err_set(e, ERR_CLOSED, "the endpoint is shutting down");
		return NULL;
	}
	endpoint_enter(ep, at);
	c = conn_new(ep, local, remote, server_name, secret, NULL, e);
	if (c) {
		c->user = user;
		conn_mark_dirty(c);
	}
	endpoint_leave(ep);
	return c;
}

void quic_shutdown(struct quic_endpoint *ep, const struct instant *at)
{
	struct quic_conn *c;

	ep->shutting_down = true;
	endpoint_enter(ep, at);
	TAILQ_FOREACH(c, &ep->all, all)
	if (c->state == CONN_ACTIVE)
		conn_close_app(c, QUIC_APP_SHUTTING_DOWN);
	endpoint_leave(ep);
}

size_t quic_connections(const struct quic_endpoint *ep)
{
	return ep->live;
}

size_t quic_half_open(const struct quic_endpoint *ep)
{
	return ep->half_open;
}
