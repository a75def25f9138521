/* The server's answers to packets that belong to no connection: a new connection,
 * Version Negotiation, Retry, a refusal, a stateless reset. All but the first keep no
 * state; they wait in a bounded list for the next quic_output. */
#include "core/quic_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/settings.h"

#define INITIAL_SIZE_MIN 1200 /* RFC 9000 §14.1: smaller datagrams open nothing */
#define RESET_SIZE_MAX	 43   /* RFC 9000 §10.3: like a short packet of ours */
#define RESET_SIZE_MIN	 (NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN)
#define CID_LEN_WIRE_MAX 255 /* RFC 8999 §5.1, of an unknown version */

static struct orphan *orphan_new(struct quic_endpoint *ep, const struct addr *local,
				 const struct addr *remote, size_t size)
{
	struct orphan *o;

	if (ep->orphans_n >= QUIC_ORPHANS_MAX)
		return NULL;
	o = malloc(sizeof(*o) + size);
	if (!o)
		return NULL;
	o->local = *local;
	o->remote = *remote;
	o->len = size;
	return o;
}

/* `n` is what the writer of the packet said. */
static void orphan_queue(struct quic_endpoint *ep, struct orphan *o, ngtcp2_ssize n)
{
	if (n <= 0) {
		free(o);
		return;
	}
	o->len = (size_t)n;
	STAILQ_INSERT_TAIL(&ep->orphans, o, next);
	ep->orphans_n++;
}

static void orphan_pop(struct quic_endpoint *ep)
{
	struct orphan *o = STAILQ_FIRST(&ep->orphans);

	STAILQ_REMOVE_HEAD(&ep->orphans, next);
	ep->orphans_n--;
	free(o);
}

bool orphans_write(struct quic_endpoint *ep, struct dgram_sink *sink)
{
	struct orphan *o;
	uint8_t *dest;

	while ((o = STAILQ_FIRST(&ep->orphans))) {
		dest = sink->space(sink, o->len);
		if (!dest)
			return false;
		memcpy(dest, o->data, o->len);
		sink->send(sink, NULL, &o->local, &o->remote, o->len, 0, 0);
		orphan_pop(ep);
	}
	return true;
}

void orphans_free(struct quic_endpoint *ep)
{
	while (!STAILQ_EMPTY(&ep->orphans))
		orphan_pop(ep);
}

void accept_version(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		    const ngtcp2_version_cid *vc, size_t len)
{
	static const uint32_t ours[] = {NGTCP2_PROTO_VER_V1};
	struct orphan *o;
	uint8_t random;

	if (len < INITIAL_SIZE_MIN)
		return;
	o = orphan_new(ep, local, remote, 7 + 2 * CID_LEN_WIRE_MAX + sizeof(ours));
	if (!o)
		return;
	secret_fill(ep->cfg.secret, &random, 1);
	orphan_queue(ep, o,
		     ngtcp2_pkt_write_version_negotiation(o->data, o->len, random, vc->scid, vc->scidlen,
							  vc->dcid, vc->dcidlen, ours,
							  sizeof(ours) / sizeof(ours[0])));
}

static void refuse(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		   const ngtcp2_pkt_hd *hd, uint64_t error)
{
	struct orphan *o = orphan_new(ep, local, remote, QUIC_PAYLOAD_SIZE);

	if (o)
		orphan_queue(ep, o,
			     ngtcp2_crypto_write_connection_close(o->data, o->len, hd->version, &hd->scid,
								  &hd->dcid, error, NULL, 0));
}

static void send_retry(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		       const ngtcp2_pkt_hd *hd)
{
	struct orphan *o = orphan_new(ep, local, remote, QUIC_PAYLOAD_SIZE);
	uint8_t token[NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN];
	ngtcp2_ssize n;
	ngtcp2_cid scid;

	if (!o)
		return;
	cid_make(ep, ep->cfg.secret, &scid);
	n = ngtcp2_crypto_generate_retry_token(token, ep->cfg.reset_key, sizeof(ep->cfg.reset_key),
					       hd->version, &remote->u.sa, remote->len, &scid, &hd->dcid,
					       ep->at.now);
	if (n > 0)
		n = ngtcp2_crypto_write_retry(o->data, o->len, hd->version, &hd->scid, &scid, &hd->dcid,
					      token, (size_t)n);
	orphan_queue(ep, o, n);
}

static bool full(const struct quic_endpoint *ep, const struct addr *remote)
{
	return ep->shutting_down ||
	       (ep->cfg.connections_max != SETTING_OFF && (int64_t)ep->live >= ep->cfg.connections_max) ||
	       source_full(ep, remote);
}

/* A Retry token of ours has this first byte. Anything else is no token that we ever
 * gave out, and counts as none (RFC 9000 §8.1.3). */
static bool has_retry_token(const ngtcp2_pkt_hd *hd)
{
	return hd->token.len && hd->token.base[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY;
}

static void accept_initial(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
			   unsigned ecn, const uint8_t *data, size_t len, const ngtcp2_pkt_hd *hd)
{
	struct conn_origin origin = {hd, NULL};
	struct quic_conn *c;
	ngtcp2_cid odcid;

	if (has_retry_token(hd)) {
		if (ngtcp2_crypto_verify_retry_token(&odcid, hd->token.base, hd->token.len, ep->cfg.reset_key,
						     sizeof(ep->cfg.reset_key), hd->version, &remote->u.sa,
						     remote->len, &hd->dcid, QUIC_RETRY_LIFE, ep->at.now)) {
			refuse(ep, local, remote, hd, NGTCP2_INVALID_TOKEN);
			return;
		}
		origin.odcid = &odcid;
	}
	if (full(ep, remote)) {
		refuse(ep, local, remote, hd, NGTCP2_CONNECTION_REFUSED);
		return;
	}
	if (!origin.odcid && ep->cfg.half_open_retry != SETTING_OFF &&
	    (int64_t)ep->half_open >= ep->cfg.half_open_retry) {
		send_retry(ep, local, remote, hd);
		return;
	}
	c = conn_new(ep, local, remote, NULL, NULL, &origin, NULL);
	if (!c)
		refuse(ep, local, remote, hd, NGTCP2_CONNECTION_REFUSED);
	else if (conn_input(c, local, remote, ecn, data, len) == NGTCP2_ERR_RETRY && !origin.odcid)
		send_retry(ep, local, remote, hd);
}

/* "I know nothing of this connection": only for packets larger than the answer, so that
 * two endpoints cannot keep each other at it (RFC 9000 §10.3.3). */
static void send_reset(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		       const uint8_t *data, size_t len)
{
	size_t size = len - 1 < RESET_SIZE_MAX ? len - 1 : RESET_SIZE_MAX;
	uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN], random[RESET_SIZE_MAX];
	struct orphan *o;
	ngtcp2_cid dcid;

	if (len <= RESET_SIZE_MIN)
		return;
	if (ep->at.now / NS_PER_S != ep->resets_second) {
		ep->resets_second = ep->at.now / NS_PER_S;
		ep->resets_n = 0;
	}
	if (ep->resets_n++ >= QUIC_RESETS_PER_S)
		return;
	ngtcp2_cid_init(&dcid, data + 1, QUIC_CID_LEN);
	o = orphan_new(ep, local, remote, size);
	if (!o)
		return;
	if (ngtcp2_crypto_generate_stateless_reset_token(token, ep->cfg.reset_key, sizeof(ep->cfg.reset_key),
							 &dcid)) {
		free(o);
		return;
	}
	secret_fill(ep->cfg.secret, random, sizeof(random));
	orphan_queue(ep, o,
		     ngtcp2_pkt_write_stateless_reset(o->data, o->len, token, random,
						      size - NGTCP2_STATELESS_RESET_TOKENLEN));
}

void accept_unknown(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		    unsigned ecn, const uint8_t *data, size_t len)
{
	ngtcp2_pkt_hd hd;

	if (!(data[0] & 0x80)) {
		if (len > QUIC_CID_LEN)
			send_reset(ep, local, remote, data, len);
		return;
	}
	if (len >= INITIAL_SIZE_MIN && ngtcp2_accept(&hd, data, len) == 0)
		accept_initial(ep, local, remote, ecn, data, len, &hd);
}
