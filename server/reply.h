/* One request's answer, from the request's arrival until its bytes are handed to QUIC:
 * code and payload, and whether the device must find it signed (protocol.md §2,
 * Signed replies). */
#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H

#include <stdbool.h>
#include <sys/queue.h>
#include <jansson.h>

#include "core/buf.h"
#include "core/msg.h"
#include "core/time.h"
#include "core/token.h"
#include "core/world.h"

#define REPLY_SIGNED_MAX 4  /* signed refusals a connection */
#define REPLY_REFUSED_S  60 /* retryAfter of the unsigned 429 behind them */
#define REPLY_REQ_LEN    8  /* of nonce and registration in a journal */

struct item;
struct reply;

/* Whoever asks: one connection. Lives as long as it; peer_gone cuts its replies loose. */
struct enroll_peer {
	struct addr addr;
	unsigned signed_refusals;
	LIST_HEAD(, reply) replies; /* not yet sent */
	void *conn;                 /* the owner's */
};

struct reply {
	STAILQ_ENTRY(reply) next;   /* in effects, or held back by the lab's `delay` */
	TAILQ_ENTRY(reply) waiting; /* at an outbox item, until the gateway answers */
	struct item *item;          /* that outbox item; NULL: it does not wait */
	LIST_ENTRY(reply) of_peer;
	struct enroll_peer *peer;   /* NULL: its connection went, nobody listens */
	int64_t stream;
	enum msg_resource resource;
	char resource_name[65];     /* as asked */
	char nonce[NONCE_LEN + 1];  /* "" none: never signed */
	char uuid[UUID_LEN + 1];
	char req[REPLY_REQ_LEN + 1], reg[REPLY_REQ_LEN + 1];
	char kid[KID_MAX + 1];      /* to sign with */
	int code;                   /* 0: not decided yet */
	const char *why;            /* static */
	json_t *payload;            /* owned */
	json_t *command;            /* owned; on a 200 only, NULL: none */
	int64_t retry_after_s;      /* < 0: none */
	bool sign;
	bool counted;               /* … among its connection's signed refusals */
	bool drop;                  /* a fault swallowed it … */
	bool forced;                /* … or chose its answer while it waited */
	json_t *script;             /* … or bends it: script.h; NULL: the answer is ours */
	bool said;                  /* the journal knows that it leaves, however late */
	int64_t timestamp;          /* publish; for the journal */
	time_ns due;                /* lab: not before */
};

/* NULL without memory. `m` may be NULL (nothing could be read). */
struct reply *reply_new(struct enroll_peer *peer, int64_t stream, const struct msg_request *m);
void reply_free(struct reply *r);
void peer_init(struct enroll_peer *peer, const struct addr *addr, void *conn);
void peer_gone(struct enroll_peer *peer);

/* Decides. `payload` is taken (NULL: out of memory, which makes it a 503). */
void reply_set(struct reply *r, int code, const char *why, json_t *payload);
/* A refusal: payload {"message": …}. retry_after_s < 0: none. */
void reply_refuse(struct reply *r, int code, const char *why, const char *message, int64_t retry_after_s);
/* The constant words of a code, "FORBIDDEN". */
const char *reply_message(int code);

/* Must a device find this refusal signed? */
bool reply_needs_signature(enum msg_resource resource, int code);
/* Applies the signing rule to a decided reply: sets `sign`, counts a refusal at the peer, and
 * turns the fifth signed refusal of a connection into an unsigned 429. */
void reply_settle(struct reply *r);
/* The bytes, signed where `sign`. */
int reply_encode(const struct reply *r, struct token_signer *signer, struct buf *out, struct err *e);

#endif
