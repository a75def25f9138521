#include "server/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plant.h"

static const struct {
	int code;
	const char *message;
} messages[] = {
	{400, "BAD REQUEST"},
	{401, "INVALID TOKEN"},
	{403, "FORBIDDEN"},
	{404, "UNKNOWN RESOURCE"},
	{412, "NO COMMON VALIDATION METHOD"},
	{413, "TOO LARGE"},
	{429, "TOO MANY REQUESTS"},
	{503, "TRY AGAIN LATER"},
	{700, "NOT PROVISIONED"},
};

const char *reply_message(int code)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
		if (messages[i].code == code)
			return messages[i].message;
	return "REFUSED";
}

struct reply *reply_new(struct enroll_peer *peer, int64_t stream, const struct msg_request *m)
{
	struct reply *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->peer = peer;
	r->stream = stream;
	r->resource = MSG_OTHER;
	r->retry_after_s = -1;
	if (m) {
		r->resource = m->resource;
		memcpy(r->resource_name, m->resource_name, sizeof(r->resource_name));
		memcpy(r->nonce, m->nonce, sizeof(r->nonce));
		memcpy(r->uuid, m->uuid, sizeof(r->uuid));
		memcpy(r->req, m->nonce, REPLY_REQ_LEN);
		memcpy(r->reg, m->registration, REPLY_REQ_LEN);
		r->timestamp = m->timestamp;
	}
	if (peer)
		LIST_INSERT_HEAD(&peer->replies, r, of_peer);
	return r;
}

void reply_free(struct reply *r)
{
	if (!r)
		return;
	if (r->peer)
		LIST_REMOVE(r, of_peer);
	json_decref(r->payload);
	json_decref(r->command);
	json_decref(r->script);
	free(r);
}

void peer_init(struct enroll_peer *peer, const struct addr *addr, void *conn)
{
	memset(peer, 0, sizeof(*peer));
	peer->addr = *addr;
	peer->conn = conn;
	LIST_INIT(&peer->replies);
}

void peer_gone(struct enroll_peer *peer)
{
	struct reply *r;

	while ((r = LIST_FIRST(&peer->replies))) {
		LIST_REMOVE(r, of_peer);
		r->peer = NULL;
	}
}

void reply_set(struct reply *r, int code, const char *why, json_t *payload)
{
	json_decref(r->payload);
	json_decref(r->command);
	r->command = NULL;
	r->payload = payload;
	r->code = payload ? code : 503;
	r->why = payload ? why : "memory";
	r->retry_after_s = -1;
}

void reply_refuse(struct reply *r, int code, const char *why, const char *message, int64_t retry_after_s)
{
	reply_set(r, code, why, json_pack("{s:s}", "message", message ? message : reply_message(code)));
	r->retry_after_s = retry_after_s;
}

bool reply_needs_signature(enum msg_resource resource, int code)
{
	switch (resource) {
	case MSG_REGISTER:
	case MSG_LOGIN:
		return code == 401 || code == 403 || code == 412 || code == 700;
	case MSG_REFRESH:
		return code != 200 && code != 429 && code != 503;
	default:
		return code == 700;
	}
}

void reply_settle(struct reply *r)
{
	r->sign = false;
	if (PLANTED(REFUSALS_UNSIGNED))
		return;
	if (!r->nonce[0])
		return;
	r->sign = r->command != NULL && !PLANTED(COMMANDS_UNSIGNED);
	if (!reply_needs_signature(r->resource, r->code))
		return;
	if (r->peer && r->peer->signed_refusals >= REPLY_SIGNED_MAX) {
		reply_refuse(r, 429, "refusals", NULL, REPLY_REFUSED_S);
		return;
	}
	if (r->peer)
		r->peer->signed_refusals++;
	r->sign = r->counted = true;
}

/* Its name stands in the 200s of register, login and refresh only. */
static const char *response_name(const struct reply *r)
{
	bool named = r->resource == MSG_REGISTER || r->resource == MSG_LOGIN || r->resource == MSG_REFRESH;

	return r->code == 200 && named ? msg_resource_name(r->resource) : NULL;
}

int reply_encode(const struct reply *r, struct token_signer *signer, struct buf *out, struct err *e)
{
	char *signature = NULL;
	int rv;

	if (r->sign) {
		struct reply_claims c = {
			.nonce = r->nonce,
			.resource = r->resource_name[0] ? r->resource_name : msg_resource_name(r->resource),
			.code = r->code,
			.payload = r->payload,
			.command = r->command,
			.retry_after_s = r->retry_after_s,
		};

		rv = reply_sign(signer, r->kid, &c, &signature, e);
		if (rv)
			return rv;
	}
	rv = msg_response_build(r->code, response_name(r), r->payload, r->command, r->retry_after_s,
				signature, out);
	free(signature);
	return rv ? err_set(e, rv, "reply: %s", err_text(rv)) : 0;
}
