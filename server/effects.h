/* What handling a turn's requests asks for, in order: journal lines, SMS, replies.
 * Nothing here leaves before the turn's commit (protocol.md §4, Commit before answer).
 * Texts are copied into an arena that lives for one turn and is zeroed behind it. */
#ifndef SERVER_EFFECTS_H
#define SERVER_EFFECTS_H

#include <stdbool.h>
#include <sys/queue.h>

#include "core/journal.h"
#include "core/world.h"
#include "server/reply.h"
#include "server/server.h"

struct effect_event {
	TAILQ_ENTRY(effect_event) next;
	struct journal_event ev;
	struct reply *reply; /* whose fate a fault on this event decides; NULL: nobody's */
	bool decided;        /* part of a decision: void where the commit fails */
};

struct effect_sms {
	TAILQ_ENTRY(effect_sms) next;
	struct server_sms sms;
};

struct effects_block;

/* Zero-initialise, then effects_init. */
struct effects {
	TAILQ_HEAD(effect_events, effect_event) events;
	TAILQ_HEAD(effect_smses, effect_sms) sms;
	STAILQ_HEAD(, reply) replies;
	struct effects_block *blocks;
	bool failed; /* memory ran out: the turn's decisions must not be answered */
};

void effects_init(struct effects *fx);
void effects_fini(struct effects *fx);
/* Forgets events and SMS, zeroes the arena. Replies are their owner's by then. */
void effects_reset(struct effects *fx);
/* Forgets the events of decisions and all SMS: their commit failed. */
void effects_void(struct effects *fx);

/* Where the lists stand, to undo one decision: events and SMS behind it are forgotten.
 * Between mark and back_to no reply may be appended. */
struct effects_mark {
	struct effect_event *event;
	struct effect_sms *sms;
};
struct effects_mark effects_mark(struct effects *fx);
void effects_back_to(struct effects *fx, const struct effects_mark *mark);

/* `s` in the arena; NULL stays NULL. */
const char *effects_text(struct effects *fx, const char *s);
void effects_event(struct effects *fx, struct reply *reply, bool decided, time_ns now, const char *dev,
		   const char *req, const char *reg, enum journal_kind kind, const struct journal_value *v, size_t n);
void effects_sms(struct effects *fx, const struct server_sms *sms);
void effects_reply(struct effects *fx, struct reply *r);

/* FX(fx, reply, at, dev, req, reg, J_…, JS(…), JI(…)): an event of a decision. */
#define FX(fx, reply, at, dev, req, reg, kind, ...)                                                            \
	effects_event(fx, reply, true, (at)->now, dev, req, reg, kind,                                         \
		      (const struct journal_value[]){__VA_ARGS__},                                             \
		      sizeof((const struct journal_value[]){__VA_ARGS__}) / sizeof(struct journal_value))

#endif
