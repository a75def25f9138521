#include "server/enroll.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/command.h"
#include "server/enroll_internal.h"
#include "server/publish.h"

#define TOKENS_MAX 65536 /* remembered at most: some 40 MB */

static int load(struct enroll *en, const struct instant *at)
{
	int rv = store_fleet_forget(en->store, at->unix_ms / FLEET_BUCKET_MS - FLEET_BUCKETS + 1);

	if (!rv)
		rv = fleet_load(&en->fleet, en->store, at->unix_ms);
	if (!rv)
		rv = clock_load(en);
	return rv ? rv : outbox_load(en, at);
}

/* Each connection's device shows one access token again and again, and a refresh token
 * now and then. */
static unsigned tokens_at_once(const struct settings *st)
{
	int64_t n = st->v[SETTING_CONNECTIONS];

	return n < TOKENS_MAX / 2 ? 2 * (unsigned)n : TOKENS_MAX;
}

struct enroll *enroll_new(const struct enroll_config *cfg, const struct instant *at, struct err *e)
{
	static const char label[] = "quicrig code 1";
	struct enroll *en = calloc(1, sizeof(*en));
	const struct store_epoch *ep;
	unsigned n;

	if (!en)
		goto nomem;
	en->store = cfg->store;
	en->registry = cfg->registry;
	en->settings = cfg->settings;
	en->secret = cfg->secret;
	en->last = *at;
	memcpy(en->run_key, cfg->run_key, sizeof(en->run_key));
	hash_hmac_sha256(cfg->store_key, 32, label, sizeof(label) - 1, en->code_key);
	n = store_epochs(en->store, &ep);
	en->epoch = ep[n - 1].id;
	en->boot = ep[n - 1].boot;
	en->signer = token_signer_new();
	en->keys = token_keys_new();
	en->cache = token_cache_new(tokens_at_once(cfg->settings));
	en->ring = keyring_new(cfg->store_key);
	en->strangers = strangers_new(cfg->secret);
	en->outbox = outbox_new(cfg->store_key);
	if (!en->signer || !en->keys || !en->cache || !en->ring || !en->strangers || !en->outbox)
		goto nomem;
	if (keyring_load(en, cfg->old_token_keys, cfg->token_key, at, e))
		goto fail;
	if (load(en, at)) {
		err_set(e, ERR_IO, "database: %s", store_error(en->store));
		goto fail;
	}
	return en;
nomem:
	err_set(e, ERR_NOMEM, "server: out of memory");
fail:
	enroll_free(en);
	return NULL;
}

void enroll_free(struct enroll *en)
{
	if (!en)
		return;
	outbox_free(en->outbox);
	strangers_free(en->strangers);
	token_cache_free(en->cache);
	keyring_free(en->ring);
	token_keys_free(en->keys);
	token_signer_free(en->signer);
	explicit_bzero(en->code_key, sizeof(en->code_key));
	explicit_bzero(en->run_key, sizeof(en->run_key));
	free(en);
}

/* The key that device and server share; where none is shared any more the oldest, which
 * the device will refuse: it must be reconfigured, and we count it. */
static void pick_key(struct enroll *en, const struct instant *at, const struct msg_request *m, struct reply *r,
		     struct effects *fx)
{
	const char *kid = token_signer_pick(en->signer, m ? m->kids : NULL, m ? m->kids_n : 0);

	if (!kid) {
		en->counts.no_common_key++;
		keyring_lost(en, at, r->uuid, fx);
		kid = token_signer_pick(en->signer, NULL, 0);
	}
	snprintf(r->kid, sizeof(r->kid), "%s", kid ? kid : "");
}

void enroll_answer(struct enroll *en, const struct instant *at, struct reply *r, struct effects *fx)
{
	const char *name = r->resource == MSG_OTHER ? "other" : msg_resource_name(r->resource);
	char ts[24] = "";

	command_attach(en, at, r);
	reply_settle(r);
	if (r->resource == MSG_PUBLISH && r->code == 200)
		snprintf(ts, sizeof(ts), "%" PRId64, r->timestamp);
	FX(fx, r, at, r->uuid, r->req, r->reg, J_SERVER_DECISION, JS(RESOURCE, name), JI(CODE, r->code), JS(WHY, r->why),
	   JI(SIGNED, r->sign), JS(TS, ts[0] ? ts : NULL));
	if (r->command)
		FX(fx, r, at, r->uuid, r->req, r->reg, J_COMMAND_SENT,
		   JS(ID, json_string_value(json_object_get(r->command, "id"))),
		   JS(NAME, json_string_value(json_object_get(r->command, "name"))));
	effects_reply(fx, r);
}

static int decide(struct enroll_call *c)
{
	switch (c->m->resource) {
	case MSG_REGISTER:
		return enroll_register(c);
	case MSG_LOGIN:
		return enroll_login(c);
	case MSG_PUBLISH:
		return enroll_publish(c);
	case MSG_REFRESH:
		return enroll_refresh(c);
	default:
		return enroll_other(c);
	}
}

void enroll_request(struct enroll *en, const struct instant *at, struct reply *r, const struct msg_request *m,
		    struct effects *fx)
{
	struct enroll_call c = {.en = en, .at = at, .m = m, .r = r, .fx = fx};
	struct effects_mark mark;
	int rv;

	en->last = *at;
	keyring_expire(en, at, fx);
	en->counts.requests[m->resource]++;
	pick_key(en, at, m, r, fx);
	mark = effects_mark(fx);
	rv = store_decide(en->store);
	if (!rv)
		rv = clock_refuses(&c) ? 0 : decide(&c);
	if (!rv)
		rv = command_done(&c);
	if (!rv)
		rv = command_offer_keys(&c);
	if (store_decided(en->store, rv == 0) && !rv)
		rv = ERR_IO;
	if (rv) {
		/* undone: what it would have said and done never was */
		en->counts.store_failures++;
		effects_back_to(fx, &mark);
		if (c.parked)
			outbox_forget(en->outbox, r);
		fleet_load(&en->fleet, en->store, at->unix_ms);
		clock_load(en);
		reply_refuse(r, 503, "storage", NULL, -1);
	} else if (c.parked) {
		return;
	}
	enroll_answer(en, at, r, fx);
}

void enroll_refuse(struct enroll *en, const struct instant *at, struct reply *r, const struct msg_request *m, int code,
		   const char *why, const char *message, struct effects *fx)
{
	en->last = *at;
	en->counts.requests[r->resource]++;
	pick_key(en, at, m, r, fx);
	reply_refuse(r, code, why, message, -1);
	enroll_answer(en, at, r, fx);
}

void enroll_sms_status(struct enroll *en, const struct instant *at, const char *id, enum sms_status status,
		       int64_t eta_s, int cms, struct effects *fx)
{
	en->last = *at;
	outbox_status(en, at, id, status, eta_s, cms, fx);
}

void enroll_gateway_up(struct enroll *en, const struct instant *at, struct effects *fx)
{
	en->last = *at;
	outbox_repeat(en, at, fx);
}

void enroll_expire(struct enroll *en, const struct instant *at, struct effects *fx)
{
	en->last = *at;
	outbox_expire(en, at, fx);
	keyring_expire(en, at, fx);
	/* riding on a turn that commits anyway; a failure shows at the commit */
	if (store_dirty(en->store))
		(void)store_purge(en->store, at->unix_ms);
}

time_ns enroll_deadline(const struct enroll *en)
{
	return outbox_deadline(en->outbox);
}

void enroll_committed(struct enroll *en)
{
	outbox_committed(en->outbox);
	keyring_committed(en);
}

void enroll_failed(struct enroll *en, struct effects *fx)
{
	STAILQ_HEAD(, reply) all = STAILQ_HEAD_INITIALIZER(all);
	struct reply *r;

	en->counts.store_failures++;
	effects_void(fx);
	outbox_failed(en, fx);
	keyring_failed(en);
	fleet_load(&en->fleet, en->store, en->last.unix_ms);
	clock_load(en);
	STAILQ_CONCAT(&all, &fx->replies);
	while ((r = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, next);
		if (r->counted && r->peer)
			r->peer->signed_refusals--;
		r->counted = false;
		reply_refuse(r, 503, "storage", NULL, -1);
		enroll_answer(en, &en->last, r, fx);
	}
}

struct registry *enroll_registry(const struct enroll *en)
{
	return en->registry;
}

int64_t enroll_last_issue_ms(const struct enroll *en)
{
	return en->last_issue_ms;
}

struct token_signer *enroll_signer(const struct enroll *en)
{
	return en->signer;
}

const struct enroll_counts *enroll_counts(const struct enroll *en)
{
	return &en->counts;
}

unsigned enroll_outbox_size(const struct enroll *en)
{
	return outbox_size(en->outbox);
}
