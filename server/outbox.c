#include "server/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/enroll_internal.h"
#include "server/outbox_internal.h"
#include "server/register.h"

#define RETRY_MIN_NS     (1 * NS_PER_S) /* between a sure failure and its retry */
#define FAILED_COMMIT_NS (1 * NS_PER_S) /* until an item is looked at again */
#define GIVE_UP_S        10             /* retryAfter where the gateway says nothing better */
#define WAIT_MAX_S       86400          /* of the gateway's; a device caps retryAfter there */

/* CLOCK_BOOTTIME `then` as an instant of the loop's clock. */
static time_ns loop_time(const struct instant *at, int64_t then)
{
	int64_t left = then - (int64_t)at->boot;

	return left > 0 ? at->now + (time_ns)left : at->now;
}

/* The one timer of an item: the nearest of what it waits for. */
static int arm(struct outbox *ob, struct item *it, const struct instant *at)
{
	time_ns due = loop_time(at, it->row.end);

	if (!TAILQ_EMPTY(&it->waiters))
		due = time_min(due, it->answer_by);
	if (it->row.state == OUT_FAILED)
		due = time_min(due, it->retry_at);
	return heap_set(&ob->timers, &it->timer, due);
}

/* Puts the plain text on its way. Nobody to send it to, or not ours to read: no SMS. */
static int hand_over(struct enroll *en, struct item *it, struct effects *fx)
{
	const struct registry_device *dev = registry_find(en->registry, it->row.uuid);
	char text[SMSTEXT_MAX], r[REPLY_REQ_LEN + 1];
	int rv;

	if (!dev)
		return ERR_NOTFOUND;
	rv = item_open(en->outbox, &it->row, text);
	if (rv)
		return rv;
	snprintf(r, sizeof(r), "%.8s", it->row.reg);
	effects_sms(fx, &(struct server_sms){
				.id = it->row.id, .uuid = it->row.uuid, .to = dev->msisdn, .text = text, .r = r});
	explicit_bzero(text, sizeof(text));
	en->counts.sms_handed++;
	return 0;
}

static void park(struct item *it, struct reply *r)
{
	TAILQ_INSERT_TAIL(&it->waiters, r, waiting);
	r->item = it;
}

static void unpark(struct item *it, struct reply *r)
{
	TAILQ_REMOVE(&it->waiters, r, waiting);
	r->item = NULL;
}

static void draw_id(struct enroll *en, char out[33])
{
	uint8_t raw[16];

	secret_fill(en->secret, raw, sizeof(raw));
	hash_hex(raw, sizeof(raw), out);
}

/* ---- birth ---- */

int outbox_add(struct enroll *en, const struct instant *at, const struct store_registration *reg, const char *code,
	       struct reply *waiter, struct effects *fx)
{
	struct store_sms row = {.state = OUT_HANDED, .boot = en->boot, .born = (int64_t)at->boot, .end = reg->code_end};
	struct smstext words;
	char text[SMSTEXT_MAX];
	struct item *it;
	int rv;

	draw_id(en, row.id);
	memcpy(row.uuid, reg->uuid, sizeof(row.uuid));
	memcpy(row.reg, reg->reg, sizeof(row.reg));
	memcpy(row.code_fp, reg->code_fp, sizeof(row.code_fp));
	memset(&words, 0, sizeof(words));
	memcpy(words.uuid, reg->uuid, sizeof(words.uuid));
	snprintf(words.code, sizeof(words.code), "%s", code);
	snprintf(words.r, sizeof(words.r), "%.8s", reg->reg);
	smstext_format(&words, (unsigned)(reg->code_len / (int64_t)NS_PER_S), text);
	rv = item_seal(en->outbox, en->secret, &row, text);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&words, sizeof(words));
	if (!rv)
		rv = budget_take(&en->fleet, en->store, reg->uuid, at->unix_ms, &row.used_ms);
	if (!rv)
		rv = store_sms_put(en->store, &row);
	if (rv)
		return rv;
	it = item_new(en->outbox, &row);
	if (!it)
		return ERR_NOMEM;
	it->fresh = true;
	item_touch(en->outbox, it);
	it->answer_by = at->now + OUTBOX_ANSWER_NS;
	park(it, waiter);
	rv = arm(en->outbox, it, at);
	if (!rv)
		rv = hand_over(en, it, fx);
	if (rv) {
		unpark(it, waiter); /* the caller answers it */
		item_free(en->outbox, it);
	}
	return rv;
}

bool outbox_join(struct enroll *en, const struct instant *at, const struct store_registration *reg, struct reply *r)
{
	struct item *it = item_by_reg(en->outbox, reg->uuid, reg->reg);

	if (!it || it->row.state != OUT_HANDED || strcmp(it->row.code_fp, reg->code_fp) != 0)
		return false;
	if (it->answer_by <= at->now) {
		it->granted = true;
		return false;
	}
	park(it, r);
	if (arm(en->outbox, it, at)) {
		unpark(it, r);
		return false;
	}
	return true;
}

void outbox_forget(struct outbox *ob, struct reply *r)
{
	struct item *it = r->item;

	unpark(it, r);
	if (it->fresh && TAILQ_EMPTY(&it->waiters))
		item_free(ob, it);
}

static void load_one(void *ctx, const struct store_sms *row)
{
	struct outbox *ob = ctx;

	/* without memory it stays in the store until the next start */
	(void)item_new(ob, row);
}

int outbox_load(struct enroll *en, const struct instant *at)
{
	int rv = store_sms_each(en->store, load_one, en->outbox);
	struct item *it;

	LIST_FOREACH(it, &en->outbox->all, all) {
		if (it->row.boot != en->boot)
			it->row.end = 0; /* its code died with its boot */
		it->retry_at = at->now;
		it->granted = true; /* what was said before the start is not on record */
		if (!rv)
			rv = arm(en->outbox, it, at);
	}
	return rv;
}

/* ---- outcome ---- */

static void answer_all(struct enroll *en, const struct instant *at, struct item *it, int code, const char *why,
		       int64_t retry_s, struct effects *fx)
{
	struct reply *r;

	while ((r = TAILQ_FIRST(&it->waiters))) {
		unpark(it, r);
		if (r->forced)
			; /* a fault has spoken */
		else if (code == 200)
			register_granted(en, r, why, "SMS");
		else
			reply_refuse(r, code, why, NULL, retry_s);
		enroll_answer(en, at, r, fx);
	}
}

static int finish(struct enroll *en, struct item *it)
{
	it->final = true;
	return store_sms_delete(en->store, it->row.id);
}

static int set_state(struct enroll *en, struct item *it, enum outbox_state state)
{
	it->row.state = (int)state;
	return store_sms_state(en->store, it->row.id, it->row.state);
}

/* Is its code still worth a send? 1, 0 or ERR_IO. */
static int code_lives(struct enroll *en, const struct instant *at, const struct item *it)
{
	struct store_registration reg;
	int rv = store_registration_get(en->store, it->row.uuid, it->row.reg, &reg);

	if (rv)
		return rv == ERR_NOTFOUND ? 0 : rv;
	return reg.state == STORE_CODE_LIVE && strcmp(reg.code_fp, it->row.code_fp) == 0 &&
	       code_left(&reg, en->boot, at) > 0;
}

/* Never reached a modem and nobody was told 200: as if it had never been asked. */
static int take_back(struct enroll *en, const struct instant *at, struct item *it, const char *why, bool refund,
		     struct effects *fx)
{
	int lives = code_lives(en, at, it), rv = lives < 0 ? lives : 0;

	if (lives > 0)
		rv = store_registration_delete(en->store, it->row.uuid, it->row.reg);
	if (!rv && refund)
		rv = budget_return(&en->fleet, en->store, it->row.uuid, it->row.used_ms);
	if (!rv)
		rv = finish(en, it);
	if (!rv && lives > 0) {
		char reg[REPLY_REQ_LEN + 1];

		snprintf(reg, sizeof(reg), "%.8s", it->row.reg);
		FX(fx, TAILQ_FIRST(&it->waiters), at, it->row.uuid, NULL, reg, J_CODE_VOID,
		   JS(CODE_FP, it->row.code_fp), JS(WHY, why));
	}
	return rv;
}

/* A sure failure: again within a minute of the register, as soon as the budget allows. */
static int plan_retry(struct enroll *en, const struct instant *at, struct item *it, int64_t wait_s)
{
	int64_t budget_s = 0, due;
	int rv = budget_check(&en->fleet, en->store, en->settings, it->row.uuid, at->unix_ms, &budget_s);

	if (rv && rv != ERR_BUSY)
		return rv;
	if (budget_s > wait_s)
		wait_s = budget_s;
	due = (int64_t)at->boot + wait_s * (int64_t)NS_PER_S;
	if (due < (int64_t)at->boot + (int64_t)RETRY_MIN_NS)
		due = (int64_t)at->boot + (int64_t)RETRY_MIN_NS;
	if (due >= it->row.born + (int64_t)OUTBOX_RETRY_NS)
		return finish(en, it);
	rv = code_lives(en, at, it);
	if (rv <= 0)
		return rv < 0 ? rv : finish(en, it);
	it->retry_at = loop_time(at, due);
	return set_state(en, it, OUT_FAILED);
}

static void journal_queued(struct enroll *en, const struct instant *at, struct item *it, struct effects *fx)
{
	const struct registry_device *dev = registry_find(en->registry, it->row.uuid);
	char to_fp[HASH_FP_SIZE] = "", reg[REPLY_REQ_LEN + 1];

	if (dev)
		hash_fingerprint(en->run_key, dev->msisdn, to_fp);
	snprintf(reg, sizeof(reg), "%.8s", it->row.reg);
	FX(fx, TAILQ_FIRST(&it->waiters), at, it->row.uuid, NULL, reg, J_SMS_QUEUED, JS(ID, it->row.id),
	   JS(CODE_FP, it->row.code_fp), JS(TO_FP, to_fp));
}

/* Journal and answers come behind the store's word, so that an undone decision leaves none. */
static int taken(struct enroll *en, const struct instant *at, struct item *it, enum sms_status status,
		 struct effects *fx)
{
	int rv = status == SMS_QUEUED ? set_state(en, it, OUT_QUEUED) : finish(en, it);

	if (rv)
		return rv;
	journal_queued(en, at, it, fx);
	answer_all(en, at, it, 200, "queued", -1, fx);
	return 0;
}

static int unanswered(struct enroll *en, const struct instant *at, struct item *it, enum sms_status status,
		      int64_t eta_s, int cms, struct effects *fx)
{
	int rv;

	switch (status) {
	case SMS_QUEUED:
	case SMS_SUBMITTED:
		return taken(en, at, it, status, fx);
	case SMS_BUSY:
		en->counts.sms_busy++;
		rv = take_back(en, at, it, "busy", true, fx);
		if (!rv)
			answer_all(en, at, it, 429, "busy", eta_s > 0 ? eta_s : GIVE_UP_S, fx);
		return rv;
	case SMS_FAILED:
		/* with a CMS error a modem had it: that counts */
		en->counts.sms_failed++;
		rv = take_back(en, at, it, "sms failed", cms < 0, fx);
		if (!rv)
			answer_all(en, at, it, 503, "sms failed", -1, fx);
		return rv;
	default:
		en->counts.sms_unknown++;
		rv = finish(en, it);
		if (!rv)
			answer_all(en, at, it, 503, "sms unknown", -1, fx);
		return rv;
	}
}

static int retried(struct enroll *en, const struct instant *at, struct item *it, enum sms_status status,
		   int64_t eta_s, int cms, struct effects *fx)
{
	int rv = 0;

	switch (status) {
	case SMS_QUEUED:
	case SMS_SUBMITTED:
		return taken(en, at, it, status, fx);
	case SMS_BUSY:
	case SMS_FAILED:
		if (status == SMS_BUSY || cms < 0)
			rv = budget_return(&en->fleet, en->store, it->row.uuid, it->row.used_ms);
		return rv ? rv : plan_retry(en, at, it, status == SMS_BUSY ? eta_s : 0);
	default:
		en->counts.sms_unknown++;
		return finish(en, it);
	}
}

/* Surely not sent, but a device was told 200 and waits for it: its code stays, and the SMS
 * is tried again as if it had been queued. */
static int too_late(struct enroll *en, const struct instant *at, struct item *it, enum sms_status status,
		    int64_t eta_s, int cms, struct effects *fx)
{
	int rv = retried(en, at, it, status, eta_s, cms, fx);

	if (!rv)
		answer_all(en, at, it, 503, "sms unanswered", -1, fx);
	return rv;
}

static int apply(struct enroll *en, const struct instant *at, struct item *it, enum sms_status status,
		 int64_t eta_s, int cms, struct effects *fx)
{
	switch (it->row.state) {
	case OUT_HANDED:
		if (it->granted && (status == SMS_BUSY || status == SMS_FAILED))
			return too_late(en, at, it, status, eta_s, cms, fx);
		return unanswered(en, at, it, status, eta_s, cms, fx);
	case OUT_RETRIED:
		return retried(en, at, it, status, eta_s, cms, fx);
	case OUT_QUEUED:
		if (status == SMS_QUEUED || status == SMS_BUSY)
			return 0;
		if (status != SMS_FAILED) {
			en->counts.sms_unknown += status == SMS_UNKNOWN;
			return finish(en, it);
		}
		en->counts.sms_failed++;
		return plan_retry(en, at, it, 0);
	default:
		return 0; /* waits for its retry: an old word about the failed id */
	}
}

/* Undoes what a failed decision did to an item in memory. */
static void restore(struct enroll *en, const struct instant *at, struct item *it, const struct store_sms *row)
{
	if (strcmp(it->row.id, row->id) != 0)
		item_rename(en->outbox, it, row->id);
	it->row = *row;
	it->final = false;
	it->retry_at = at->now + FAILED_COMMIT_NS;
	fleet_load(&en->fleet, en->store, at->unix_ms);
}

void outbox_status(struct enroll *en, const struct instant *at, const char *id, enum sms_status status,
		   int64_t eta_s, int cms, struct effects *fx)
{
	struct item *it = item_by_id(en->outbox, id);
	struct store_sms row;
	int rv;

	if (!it || it->final)
		return;
	if (eta_s > WAIT_MAX_S)
		eta_s = WAIT_MAX_S;
	item_touch(en->outbox, it);
	row = it->row;
	rv = store_decide(en->store);
	if (!rv)
		rv = apply(en, at, it, status, eta_s, cms, fx);
	if (store_decided(en->store, rv == 0) && !rv)
		rv = ERR_IO;
	if (rv) {
		/* nobody is told anything that is not on disk; the gateway keeps the outcome */
		en->counts.store_failures++;
		answer_all(en, at, it, 503, "storage", -1, fx);
		restore(en, at, it, &row);
	}
	if (it->final)
		heap_remove(&en->outbox->timers, &it->timer);
	else
		arm(en->outbox, it, at);
}

void outbox_repeat(struct enroll *en, const struct instant *at, struct effects *fx)
{
	struct item *it;

	LIST_FOREACH(it, &en->outbox->all, all) {
		if (!it->final && it->row.state != OUT_FAILED && it->row.end > (int64_t)at->boot)
			hand_over(en, it, fx);
	}
}

/* ---- timers ---- */

static int retry(struct enroll *en, const struct instant *at, struct item *it, struct effects *fx)
{
	char id[33];
	int64_t wait_s = 0;
	int rv = budget_check(&en->fleet, en->store, en->settings, it->row.uuid, at->unix_ms, &wait_s);

	if (rv == ERR_BUSY)
		return plan_retry(en, at, it, wait_s);
	if (!rv)
		rv = code_lives(en, at, it);
	if (rv <= 0 || (int64_t)at->boot >= it->row.born + (int64_t)OUTBOX_RETRY_NS)
		return rv < 0 ? rv : finish(en, it);
	rv = store_sms_delete(en->store, it->row.id);
	if (!rv)
		rv = budget_take(&en->fleet, en->store, it->row.uuid, at->unix_ms, &it->row.used_ms);
	if (rv)
		return rv;
	draw_id(en, id);
	item_rename(en->outbox, it, id);
	it->row.state = OUT_RETRIED;
	rv = store_sms_put(en->store, &it->row);
	if (rv)
		return rv;
	en->counts.sms_retried++;
	rv = hand_over(en, it, fx);
	return rv ? finish(en, it) : 0;
}

static void due(struct enroll *en, const struct instant *at, struct item *it, struct effects *fx)
{
	struct store_sms row;
	int rv;

	if (!TAILQ_EMPTY(&it->waiters) && (it->answer_by <= at->now || it->row.end <= (int64_t)at->boot)) {
		en->counts.sms_unknown++;
		answer_all(en, at, it, 503, "sms unanswered", -1, fx);
	}
	if (it->row.end > (int64_t)at->boot && !(it->row.state == OUT_FAILED && it->retry_at <= at->now)) {
		arm(en->outbox, it, at);
		return;
	}
	item_touch(en->outbox, it);
	row = it->row;
	rv = store_decide(en->store);
	if (!rv)
		rv = it->row.end <= (int64_t)at->boot ? finish(en, it) : retry(en, at, it, fx);
	if (store_decided(en->store, rv == 0) && !rv)
		rv = ERR_IO;
	if (rv) {
		en->counts.store_failures++;
		restore(en, at, it, &row);
		heap_set(&en->outbox->timers, &it->timer, at->now + FAILED_COMMIT_NS);
	} else if (it->final) {
		heap_remove(&en->outbox->timers, &it->timer);
	} else {
		arm(en->outbox, it, at);
	}
}

void outbox_expire(struct enroll *en, const struct instant *at, struct effects *fx)
{
	while (heap_deadline(&en->outbox->timers) <= at->now)
		due(en, at, HEAP_ENTRY(heap_top(&en->outbox->timers), struct item, timer), fx);
}

/* ---- the turn's end ---- */

void outbox_committed(struct outbox *ob)
{
	struct item *it;

	while ((it = TAILQ_FIRST(&ob->touched))) {
		TAILQ_REMOVE(&ob->touched, it, touched);
		it->is_touched = it->fresh = false;
		if (it->final)
			item_free(ob, it);
	}
}

void outbox_failed(struct enroll *en, struct effects *fx)
{
	struct outbox *ob = en->outbox;
	struct item *it;
	struct reply *r;

	while ((it = TAILQ_FIRST(&ob->touched))) {
		TAILQ_REMOVE(&ob->touched, it, touched);
		it->is_touched = false;
		while ((r = TAILQ_FIRST(&it->waiters))) {
			unpark(it, r);
			effects_reply(fx, r);
		}
		if (it->fresh) {
			item_free(ob, it);
			continue;
		}
		if (strcmp(it->row.id, it->before.id) != 0)
			item_rename(ob, it, it->before.id);
		it->row = it->before;
		it->final = false;
		it->retry_at = en->last.now + FAILED_COMMIT_NS;
		heap_set(&ob->timers, &it->timer, en->last.now + FAILED_COMMIT_NS);
	}
}
