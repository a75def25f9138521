/* The policy core: what is asked of the server and what it answers (protocol.md §2, §4).
 * No I/O but the store: requests, gateway answers and instants come in, effects come
 * out. The owner commits between asking and letting effects leave, and says how that
 * went with enroll_committed or enroll_failed. */
#ifndef SERVER_ENROLL_H
#define SERVER_ENROLL_H

#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "core/settings.h"
#include "core/world.h"
#include "server/effects.h"
#include "server/reply.h"
#include "server/server.h"
#include "server/store.h"

struct enroll;

struct enroll_config {
	struct store *store;             /* borrowed, as all here */
	struct registry *registry;
	const struct settings *settings;
	const char *token_key;           /* PEM; new tokens are signed with it … */
	const char *const *old_token_keys; /* … or with these; oldest first, may be NULL */
	const uint8_t *store_key;        /* 32 bytes */
	const uint8_t *run_key;          /* 32 bytes */
	struct secret_source *secret;
};

/* Counted since the start; for `stats`. */
struct enroll_counts {
	uint64_t requests[MSG_RESOURCES];
	uint64_t codes_issued, codes_used, logins, refreshes, publishes, revoked;
	uint64_t sms_handed, sms_busy, sms_failed, sms_unknown, sms_retried;
	uint64_t reuses, quarantined;
	uint64_t no_common_key; /* requests whose pins are all retired */
	uint64_t store_failures;
};

struct enroll *enroll_new(const struct enroll_config *cfg, const struct instant *at, struct err *e);
void enroll_free(struct enroll *en);

/* One whole request. `r` is taken: it comes back as an effect in this turn or a later one. */
void enroll_request(struct enroll *en, const struct instant *at, struct reply *r, const struct msg_request *m,
		    struct effects *fx);
/* The same for what is not judged: bytes that are no request (`m` may hold what could be
 * read of them, or be NULL), a forced answer. `message` fit for a reply; NULL: the code's own. */
void enroll_refuse(struct enroll *en, const struct instant *at, struct reply *r, const struct msg_request *m, int code,
		   const char *why, const char *message, struct effects *fx);

/* The gateway's answer (core of server_sms_status), its coming and going. */
void enroll_sms_status(struct enroll *en, const struct instant *at, const char *id, enum sms_status status,
		       int64_t eta_s, int cms, struct effects *fx);
void enroll_gateway_up(struct enroll *en, const struct instant *at, struct effects *fx);

/* What is due: unanswered SMS, retries, the store's purge. */
void enroll_expire(struct enroll *en, const struct instant *at, struct effects *fx);
time_ns enroll_deadline(const struct enroll *en);

/* The turn's commit worked, or did not: then waiting replies of this turn become
 * decisions to answer 503, and memory goes back to what the store holds. */
void enroll_committed(struct enroll *en);
void enroll_failed(struct enroll *en, struct effects *fx);

/* Operator. Durable with the next commit. ERR_NOTFOUND: not in the registry. */
int enroll_disable(struct enroll *en, const char *uuid, bool disabled);
/* For good: the family is revoked, codes are void, commands dropped, and the device is disabled.
 * Re-admitted it begins anew. The first one's events go to `fx`. */
int enroll_decommission(struct enroll *en, const struct instant *at, const char *uuid, struct effects *fx);
int enroll_readmit(struct enroll *en, const char *uuid);
/* Ends a quarantine, and forgets what led to it. `*was`: there was one. */
int enroll_lift(struct enroll *en, const char *uuid, bool *was);
/* Who is not in `registry`, or is disabled there and not enabled by the operator, has nothing left of
 * what the store holds for it, as after enroll_decommission. Durable with the next commit.
 * ERR_IO, ERR_NOMEM: nothing was done. */
int enroll_strip(struct enroll *en, const struct instant *at, const struct registry *registry, struct effects *fx);
/* Takes the next registry (borrowed), once enroll_strip's commit for it stands. */
void enroll_set_registry(struct enroll *en, struct registry *fresh);
int64_t enroll_last_issue_ms(const struct enroll *en);
struct registry *enroll_registry(const struct enroll *en);
struct token_signer *enroll_signer(const struct enroll *en);
const struct enroll_counts *enroll_counts(const struct enroll *en);
unsigned enroll_outbox_size(const struct enroll *en);

#endif
