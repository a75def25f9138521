/* What the endpoint tells us: connections and requests. */
#include "server/server_internal.h"

#include <stdlib.h>
#include <string.h>

static void on_handshake(void *ctx, struct quic_conn *q)
{
	struct server *s = ctx;
	struct conn *c = calloc(1, sizeof(*c));

	if (!c) {
		quic_close(q, &s->at, QUIC_APP_INTERNAL, false, NULL);
		return;
	}
	c->server = s;
	c->quic = q;
	peer_init(&c->peer, quic_conn_remote(q), c);
	quic_conn_id(q, c->id);
	quic_conn_set_user(q, c);
	LIST_INSERT_HEAD(&s->conns, c, all);
	effects_event(&s->fx, NULL, false, s->at.now, NULL, NULL, NULL, J_HANDSHAKE_DONE, NULL, 0);
	SERVER_EVENT(s, J_CONN_OPEN, JS(ID, c->id));
}

static void on_path(void *ctx, struct quic_conn *q, bool validated)
{
	struct server *s = ctx;
	struct conn *c = quic_conn_user(q);

	if (c)
		SERVER_EVENT(s, J_CONN_PATH, JS(ID, c->id), JS(STATUS, validated ? "validated" : "failed"));
}

void server_conn_free(struct conn *c)
{
	peer_gone(&c->peer);
	LIST_REMOVE(c, all);
	free(c);
}

static void on_closed(void *ctx, struct quic_conn *q, enum quic_close_why why, uint64_t error)
{
	struct server *s = ctx;
	struct conn *c = quic_conn_user(q);

	if (!c) {
		SERVER_EVENT(s, J_HANDSHAKE_FAILED, JS(WHY, quic_close_text(why)), JI(ERROR, error));
		return;
	}
	SERVER_EVENT(s, J_CONN_CLOSE, JS(ID, c->id), JI(ERROR, error), JS(WHY, quic_close_text(why)));
	quic_conn_set_user(q, NULL);
	server_conn_free(c);
}

/* Lab: is this request's answer forced? */
static struct answer_rule *forced(struct server *s, enum msg_resource resource)
{
	for (unsigned i = 0; i < ANSWER_RULES; i++) {
		struct answer_rule *rule = &s->rules[i];

		if (!rule->code || (rule->resource != MSG_RESOURCES && rule->resource != resource))
			continue;
		if (rule->share < 1 && rng_unit(&s->rng) >= rule->share)
			continue;
		if (rule->times != INT64_MAX)
			rule->times--;
		return rule;
	}
	return NULL;
}

static void whole_request(struct server *s, struct conn *c, int64_t stream, const uint8_t *data, size_t len)
{
	const struct settings *set = &s->cfg.settings;
	struct answer_rule *rule;
	struct msg_request m;
	struct err e = {0};
	struct reply *r;
	int rv = msg_request_parse((const char *)data, len, (size_t)set->v[SETTING_REQUEST_MAX],
				   (unsigned)set->v[SETTING_JSON_DEPTH], &m, &e);

	r = reply_new(&c->peer, stream, &m);
	if (!r) {
		quic_close(c->quic, &s->at, QUIC_APP_INTERNAL, false, NULL);
	} else if (rv == ERR_LIMIT) {
		enroll_refuse(s->enroll, &s->at, r, &m, 413, "request", NULL, &s->fx);
	} else if (rv) {
		enroll_refuse(s->enroll, &s->at, r, &m, rv == ERR_PARSE ? 400 : 503, "malformed",
			      rv == ERR_PARSE && e.text[0] ? e.text : NULL, &s->fx);
	} else if ((rule = forced(s, m.resource))) {
		enroll_refuse(s->enroll, &s->at, r, &m, rule->code, "forced", rule->message[0] ? rule->message : NULL,
			      &s->fx);
		if (!rule->times)
			rule->code = 0;
	} else {
		enroll_request(s->enroll, &s->at, r, &m, &s->fx);
	}
	msg_request_fini(&m);
}

static void on_request(void *ctx, struct quic_conn *q, int64_t stream, enum quic_request_status status,
		       const uint8_t *data, size_t len)
{
	struct server *s = ctx;
	struct conn *c = quic_conn_user(q);
	struct reply *r;

	if (!c || s->stopping || s->dead)
		return;
	if (status == QUIC_REPLY) {
		whole_request(s, c, stream, data, len);
	} else if (status == QUIC_TOO_LARGE) {
		r = reply_new(&c->peer, stream, NULL);
		if (r)
			enroll_refuse(s->enroll, &s->at, r, NULL, 413, "request", NULL, &s->fx);
	}
	/* reset, lost, too slow: nobody is left to answer */
}

const struct quic_callbacks server_quic_callbacks = {
	.handshake_done = on_handshake,
	.path = on_path,
	.closed = on_closed,
	.request = on_request,
};
