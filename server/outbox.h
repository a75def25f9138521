/* SMS without a final outcome (protocol.md §4, SMS): their text, encrypted, in the store;
 * registers that wait for the gateway's word; retries. An item leaves memory and store
 * with its final outcome. */
#ifndef SERVER_OUTBOX_H
#define SERVER_OUTBOX_H

#include "server/effects.h"
#include "server/store.h"

#define OUTBOX_ANSWER_NS (1 * NS_PER_S)  /* how long a register waits for the gateway */
#define OUTBOX_RETRY_NS  (60 * NS_PER_S) /* after its register, a sure failure is retried */

struct enroll;
struct outbox;

/* `store_key`: 32 bytes; a key of its own is derived from it. */
struct outbox *outbox_new(const uint8_t *store_key);
void outbox_free(struct outbox *ob);
/* Takes up what a former start left unfinished. */
int outbox_load(struct enroll *en, const struct instant *at);

/* A fresh code's SMS: counted, stored, an effect; `waiter` answers with its fate. */
int outbox_add(struct enroll *en, const struct instant *at, const struct store_registration *reg, const char *code,
	       struct reply *waiter, struct effects *fx);
/* Lets `r` wait too where the registration's SMS is still unanswered; false where not. */
bool outbox_join(struct enroll *en, const struct instant *at, const struct store_registration *reg, struct reply *r);

/* The decision that parked `r` was undone: it waits no more; its item goes where that
 * decision made it. */
void outbox_forget(struct outbox *ob, struct reply *r);

void outbox_status(struct enroll *en, const struct instant *at, const char *id, enum sms_status status,
		   int64_t eta_s, int cms, struct effects *fx);
/* Hands all unfinished ones to the gateway once more, by their ids. */
void outbox_repeat(struct enroll *en, const struct instant *at, struct effects *fx);
void outbox_expire(struct enroll *en, const struct instant *at, struct effects *fx);
time_ns outbox_deadline(const struct outbox *ob);
unsigned outbox_size(const struct outbox *ob);

/* The turn's commit worked; or not, and items are as before it. */
void outbox_committed(struct outbox *ob);
void outbox_failed(struct enroll *en, struct effects *fx);

#endif
