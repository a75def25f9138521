/* Inside of the outbox: its items, shared by outbox.c (life of an item) and
 * outbox_items.c (memory, lookup, encryption). */
#ifndef SERVER_OUTBOX_INTERNAL_H
#define SERVER_OUTBOX_INTERNAL_H

#include "core/heap.h"
#include "core/smstext.h"
#include "server/outbox.h"

#define OUTBOX_BUCKETS 4096

enum outbox_state {
	OUT_HANDED,  /* first hand-over, gateway silent */
	OUT_QUEUED,  /* the gateway took it */
	OUT_FAILED,  /* surely not sent; waits for its retry */
	OUT_RETRIED, /* handed over again, under a new id */
};

TAILQ_HEAD(waiters, reply);

struct item {
	LIST_ENTRY(item) by_id, by_reg;
	LIST_ENTRY(item) all;
	TAILQ_ENTRY(item) touched;
	struct store_sms row;
	struct store_sms before; /* as the store's last commit has it, while `is_touched` */
	bool is_touched, fresh;  /* fresh: the store's last commit does not know it */
	bool final;              /* to be freed with the commit */
	bool granted;            /* somebody may have been told 200 while the gateway was silent */
	struct waiters waiters;
	time_ns answer_by;       /* 0: nobody was promised an answer */
	time_ns retry_at;        /* OUT_FAILED */
	struct heap_node timer;
};

LIST_HEAD(item_list, item);

struct outbox {
	uint8_t key[32];
	struct item_list ids[OUTBOX_BUCKETS], regs[OUTBOX_BUCKETS], all;
	TAILQ_HEAD(, item) touched;
	struct heap timers;
	unsigned count;
};

struct item *item_new(struct outbox *ob, const struct store_sms *row);
void item_free(struct outbox *ob, struct item *it);
struct item *item_by_id(struct outbox *ob, const char *id);
struct item *item_by_reg(struct outbox *ob, const char *uuid, const char *reg);
/* Before a change: remembers what a failed commit must bring back. */
void item_touch(struct outbox *ob, struct item *it);
/* Another id for the same SMS. */
void item_rename(struct outbox *ob, struct item *it, const char *id);

/* AES-256-GCM of the text, bound to uuid and registration. */
int item_seal(struct outbox *ob, struct secret_source *secret, struct store_sms *row, const char *text);
int item_open(const struct outbox *ob, const struct store_sms *row, char out[SMSTEXT_MAX]);

#endif
