/* Who a packet is for: by connection ID, by reset token, by source address. */
#include "core/quic_internal.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/settings.h"

/* Clients choose their first connection IDs and their addresses. Under uthash's own
 * function, which has no key, they could choose the bucket too, and make every lookup a
 * long one: after two growths in vain a table of uthash never grows again. */
static unsigned place_of(const struct quic_endpoint *ep, const void *id, size_t len)
{
	return (unsigned)hash_place(ep->place_key, id, len);
}

static struct cid_entry *entry_new(struct quic_conn *c, const uint8_t *id, size_t len)
{
	struct cid_entry *en = calloc(1, sizeof(*en));

	if (!en)
		return NULL;
	memcpy(en->id, id, len);
	en->len = len;
	en->conn = c;
	return en;
}

int cid_add(struct quic_conn *c, const uint8_t *id, size_t len)
{
	unsigned place = place_of(c->ep, id, len);
	struct cid_entry *en = entry_new(c, id, len);

	if (!en)
		return ERR_NOMEM;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->ep->cids, en->id, en->len, place, en);
	if (en->lost) {
		free(en);
		return ERR_NOMEM;
	}
	SLIST_INSERT_HEAD(&c->cids, en, next);
	return 0;
}

void cid_drop(struct quic_conn *c, const uint8_t *id, size_t len)
{
	struct cid_entry *en;

	SLIST_FOREACH(en, &c->cids, next)
	if (en->len == len && memcmp(en->id, id, len) == 0)
		break;
	if (!en)
		return;
	SLIST_REMOVE(&c->cids, en, cid_entry, next);
	HASH_DEL(c->ep->cids, en);
	free(en);
}

struct quic_conn *cid_find(const struct quic_endpoint *ep, const uint8_t *id, size_t len)
{
	unsigned place = place_of(ep, id, len); /* the macros name it several times over */
	struct cid_entry *en;

	HASH_FIND_BYHASHVALUE(hh, ep->cids, id, len, place, en);
	return en ? en->conn : NULL;
}

int reset_token_add(struct quic_conn *c, const uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN])
{
	unsigned place = place_of(c->ep, token, NGTCP2_STATELESS_RESET_TOKENLEN);
	struct cid_entry *en = entry_new(c, token, NGTCP2_STATELESS_RESET_TOKENLEN);

	if (!en)
		return ERR_NOMEM;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->ep->tokens, en->id, en->len, place, en);
	if (en->lost) {
		free(en);
		return ERR_NOMEM;
	}
	SLIST_INSERT_HEAD(&c->tokens, en, next);
	return 0;
}

void reset_token_drop(struct quic_conn *c, const uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN])
{
	struct cid_entry *en;

	SLIST_FOREACH(en, &c->tokens, next)
	if (memcmp(en->id, token, NGTCP2_STATELESS_RESET_TOKENLEN) == 0)
		break;
	if (!en)
		return;
	SLIST_REMOVE(&c->tokens, en, cid_entry, next);
	HASH_DEL(c->ep->tokens, en);
	free(en);
}

struct quic_conn *reset_token_find(const struct quic_endpoint *ep, const uint8_t *tail)
{
	unsigned place = place_of(ep, tail, NGTCP2_STATELESS_RESET_TOKENLEN);
	struct cid_entry *en;

	HASH_FIND_BYHASHVALUE(hh, ep->tokens, tail, NGTCP2_STATELESS_RESET_TOKENLEN, place, en);
	return en ? en->conn : NULL;
}

void cids_clear(struct quic_conn *c)
{
	struct cid_entry *en;

	while ((en = SLIST_FIRST(&c->cids))) {
		SLIST_REMOVE_HEAD(&c->cids, next);
		HASH_DEL(c->ep->cids, en);
		free(en);
	}
	while ((en = SLIST_FIRST(&c->tokens))) {
		SLIST_REMOVE_HEAD(&c->tokens, next);
		HASH_DEL(c->ep->tokens, en);
		free(en);
	}
}

void cid_make(const struct quic_endpoint *ep, struct secret_source *secret, ngtcp2_cid *out)
{
	out->datalen = QUIC_CID_LEN;
	secret_fill(secret, out->data, QUIC_CID_LEN);
	out->data[0] = ep->cfg.worker;
}

static void source_key(const struct addr *a, uint8_t key[16])
{
	memset(key, 0, 16);
	if (a->u.sa.sa_family == AF_INET)
		memcpy(key, &a->u.in.sin_addr, 4);
	else
		memcpy(key, &a->u.in6.sin6_addr, 16);
}

bool source_full(const struct quic_endpoint *ep, const struct addr *remote)
{
	struct source_entry *so;
	uint8_t key[16];

	if (ep->cfg.connections_per_source == SETTING_OFF)
		return false;
	source_key(remote, key);
	HASH_FIND_BYHASHVALUE(hh, ep->sources, key, sizeof(key), place_of(ep, key, sizeof(key)), so);
	return (so ? so->count : 0) >= ep->cfg.connections_per_source;
}

int source_take(struct quic_endpoint *ep, struct quic_conn *c, const struct addr *remote)
{
	struct source_entry *so;
	uint8_t key[16];

	if (ep->cfg.connections_per_source == SETTING_OFF)
		return 0;
	source_key(remote, key);
	HASH_FIND_BYHASHVALUE(hh, ep->sources, key, sizeof(key), place_of(ep, key, sizeof(key)), so);
	if (!so) {
		so = calloc(1, sizeof(*so));
		if (!so)
			return ERR_NOMEM;
		memcpy(so->key, key, sizeof(key));
		HASH_ADD_KEYPTR_BYHASHVALUE(hh, ep->sources, so->key, sizeof(so->key),
					    place_of(ep, key, sizeof(key)), so);
		if (so->lost) {
			free(so);
			return ERR_NOMEM;
		}
	}
	so->count++;
	c->source = so;
	return 0;
}

void source_release(struct quic_conn *c)
{
	struct source_entry *so = c->source;

	c->source = NULL;
	if (!so || --so->count > 0)
		return;
	HASH_DEL(c->ep->sources, so);
	free(so);
}
