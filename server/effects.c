#include "server/effects.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384

struct effects_block {
	struct effects_block *next;
	size_t used, size;
	_Alignas(16) unsigned char data[];
};

void effects_init(struct effects *fx)
{
	TAILQ_INIT(&fx->events);
	TAILQ_INIT(&fx->sms);
	STAILQ_INIT(&fx->replies);
	fx->blocks = NULL;
	fx->failed = false;
}

static void *arena(struct effects *fx, size_t size)
{
	struct effects_block *b = fx->blocks;
	size_t want = (size + 15) & ~(size_t)15;
	void *p;

	if (!b || b->size - b->used < want) {
		size_t room = want > BLOCK_SIZE ? want : BLOCK_SIZE;

		b = malloc(sizeof(*b) + room);
		if (!b) {
			fx->failed = true;
			return NULL;
		}
		b->used = 0;
		b->size = room;
		b->next = fx->blocks;
		fx->blocks = b;
	}
	p = b->data + b->used;
	b->used += want;
	return p;
}

void effects_reset(struct effects *fx)
{
	struct effects_block *b, *next;

	TAILQ_INIT(&fx->events);
	TAILQ_INIT(&fx->sms);
	fx->failed = false;
	for (b = fx->blocks; b; b = next) {
		next = b->next;
		explicit_bzero(b->data, b->used);
		b->used = 0;
		if (next || b->size > BLOCK_SIZE)
			free(b);
		else
			break; /* the first block stays for the next turn */
	}
	fx->blocks = b;
}

void effects_fini(struct effects *fx)
{
	struct reply *r;

	while ((r = STAILQ_FIRST(&fx->replies))) {
		STAILQ_REMOVE_HEAD(&fx->replies, next);
		reply_free(r);
	}
	effects_reset(fx);
	free(fx->blocks);
	fx->blocks = NULL;
}

void effects_void(struct effects *fx)
{
	struct effect_event *ev, *next;

	for (ev = TAILQ_FIRST(&fx->events); ev; ev = next) {
		next = TAILQ_NEXT(ev, next);
		if (ev->decided)
			TAILQ_REMOVE(&fx->events, ev, next);
	}
	TAILQ_INIT(&fx->sms);
}

struct effects_mark effects_mark(struct effects *fx)
{
	return (struct effects_mark){
		.event = TAILQ_LAST(&fx->events, effect_events),
		.sms = TAILQ_LAST(&fx->sms, effect_smses),
	};
}

void effects_back_to(struct effects *fx, const struct effects_mark *mark)
{
	struct effect_event *event;
	struct effect_sms *sms;

	/* the macro asks for its element more than once: never for "the last one" by name */
	while ((event = TAILQ_LAST(&fx->events, effect_events)) != mark->event)
		TAILQ_REMOVE(&fx->events, event, next);
	while ((sms = TAILQ_LAST(&fx->sms, effect_smses)) != mark->sms)
		TAILQ_REMOVE(&fx->sms, sms, next);
}

const char *effects_text(struct effects *fx, const char *s)
{
	size_t size;
	char *p;

	if (!s)
		return NULL;
	size = strlen(s) + 1;
	p = arena(fx, size);
	return p ? memcpy(p, s, size) : NULL;
}

static const char *text_or_none(struct effects *fx, const char *s)
{
	return s && *s ? effects_text(fx, s) : NULL;
}

void effects_event(struct effects *fx, struct reply *reply, bool decided, time_ns now, const char *dev,
		   const char *req, const char *reg, enum journal_kind kind, const struct journal_value *v, size_t n)
{
	struct effect_event *e = arena(fx, sizeof(*e));

	if (!e)
		return;
	memset(e, 0, sizeof(*e));
	e->reply = reply;
	e->decided = decided;
	e->ev.t = now;
	e->ev.kind = kind;
	e->ev.actor = "server";
	e->ev.dev = text_or_none(fx, dev);
	e->ev.req = text_or_none(fx, req);
	e->ev.reg = text_or_none(fx, reg);
	for (size_t i = 0; i < n && e->ev.n < JOURNAL_VALUES; i++) {
		if (journal_field_is_text(v[i].field) && !v[i].s)
			continue;
		e->ev.v[e->ev.n] = v[i];
		e->ev.v[e->ev.n].s = effects_text(fx, v[i].s);
		e->ev.n++;
	}
	TAILQ_INSERT_TAIL(&fx->events, e, next);
}

void effects_sms(struct effects *fx, const struct server_sms *sms)
{
	struct effect_sms *e = arena(fx, sizeof(*e));

	if (!e)
		return;
	e->sms.id = effects_text(fx, sms->id);
	e->sms.uuid = effects_text(fx, sms->uuid);
	e->sms.to = effects_text(fx, sms->to);
	e->sms.text = effects_text(fx, sms->text);
	e->sms.r = effects_text(fx, sms->r);
	TAILQ_INSERT_TAIL(&fx->sms, e, next);
}

void effects_reply(struct effects *fx, struct reply *r)
{
	STAILQ_INSERT_TAIL(&fx->replies, r, next);
}
