/* Inside of the policy core: what its files share. */
#ifndef SERVER_ENROLL_INTERNAL_H
#define SERVER_ENROLL_INTERNAL_H

#include "core/hash.h"
#include "core/smstext.h"
#include "core/token.h"
#include "server/budget.h"
#include "server/code.h"
#include "server/enroll.h"
#include "server/keyring.h"
#include "server/outbox.h"
#include "server/token_cache.h"

struct enroll {
	struct store *store;
	struct registry *registry;
	const struct settings *settings;
	struct secret_source *secret;
	struct token_signer *signer;
	struct token_keys *keys;
	struct token_cache *cache;
	struct keyring *ring;
	struct strangers *strangers;
	struct fleet_budget fleet;
	struct outbox *outbox;
	uint8_t run_key[32], code_key[32];
	int64_t epoch, boot; /* of this start: ids in the store */
	int64_t last_issue_ms; /* clock.c */
	bool clock_said;
	struct instant last; /* of the call that is running or was the last */
	struct enroll_counts counts;
};

/* One request on its way to a decision. */
struct enroll_call {
	struct enroll *en;
	const struct instant *at;
	const struct msg_request *m;
	struct reply *r;
	struct effects *fx;
	bool parked; /* the reply waits for the gateway */
};

/* The four resources. 0: decided (or parked); ERR_*: storage failed, nothing stands. */
int enroll_register(struct enroll_call *c);
int enroll_login(struct enroll_call *c);
int enroll_publish(struct enroll_call *c);
int enroll_refresh(struct enroll_call *c);

/* A decided reply: signing rule, journal line, effect. */
void enroll_answer(struct enroll *en, const struct instant *at, struct reply *r, struct effects *fx);

/* ---- family.c: a device's one token family ---- */

/* The record of a device and its row in the store (defaults where it has none).
 * 0, ERR_NOTFOUND: not in the registry, ERR_IO. */
int enroll_device(struct enroll *en, const char *uuid, const struct registry_device **dev, struct store_device *row);
/* NULL, or why it is not served: "disabled", "quarantined". */
const char *enroll_barred(const struct registry_device *dev, const struct store_device *row);
bool family_alive(const struct store_device *row, const char *fam);
/* What is left of the grace of the row's pair, ns; 0: over or the pair was presented.
 * `login`: the row must hold login's own pair, else a refreshed one. */
int64_t family_grace_left(const struct enroll *en, const struct store_device *row, const struct instant *at,
			  bool login);
/* A new family, or the next pair of the present one: fills the row, writes it. */
int family_start(struct enroll_call *c, struct store_device *row);
int family_rotate(struct enroll_call *c, struct store_device *row);
int family_revoke(struct enroll_call *c, struct store_device *row, const char *why);
int family_presented(struct enroll_call *c, struct store_device *row, const char *jti);
/* Decides 200 with the row's pair, the very same each time. */
int family_reply(struct enroll_call *c, const struct registry_device *dev, const struct store_device *row);
/* The request's token: 0, ERR_LIMIT (413), ERR_EXPIRED, ERR_AUTH; ERR_NOMEM, ERR_IO: undo. */
int family_token(struct enroll_call *c, enum token_use use, struct token_claims *out);

#endif
