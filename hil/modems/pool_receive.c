/* SMS that come in: whose they are, the faults that act on them, and the devices
 * that are not there yet. */
#include "hil/modems/pool.h"

#include <stdlib.h>
#include <string.h>

#include "hil/modems/pool_int.h"

#include "core/fault.h"

#define HELD_MAX        4096 /* SMS for devices that are off; the oldest go first */
#define COPIES_MAX      16   /* of one SMS, by a fault */
#define LATE_FAULTS_MAX 256

static const char *arg_text(json_t *args, const char *key)
{
	const char *s = json_string_value(json_object_get(args, key));

	return s ? s : "";
}

/* `text` with every `old` replaced; the caller frees it. NULL without memory. */
static char *replaced(const char *text, const char *old, const char *new)
{
	struct buf b;
	const char *at;

	buf_init(&b, 8 * WORKER_LINE_MAX);
	while ((at = strstr(text, old))) {
		buf_add(&b, text, (size_t)(at - text));
		buf_puts(&b, new);
		text = at + strlen(old);
	}
	buf_puts(&b, text);
	if (b.failed) {
		buf_fini(&b);
		return NULL;
	}
	return buf_take(&b);
}

static void mail_free(struct pool_mail *mail)
{
	if (mail->text)
		explicit_bzero(mail->text, strlen(mail->text));
	explicit_bzero(&mail->parsed, sizeof(mail->parsed));
	free(mail->from);
	free(mail->text);
	free(mail);
}

static struct pool_mail *mail_new(struct modem *m, const struct smstext *parsed, const char *from, const char *text)
{
	struct pool_mail *mail = calloc(1, sizeof(*mail));

	if (!mail)
		return NULL;
	mail->pool = m->pool;
	mail->modem = m;
	mail->parsed = *parsed;
	mail->from = strdup(from);
	mail->text = strdup(text);
	if (!mail->from || !mail->text) {
		mail_free(mail);
		return NULL;
	}
	return mail;
}

static void hand_over(struct pool *p, const char *uuid, const char *from, const char *text)
{
	p->stats.delivered++;
	p->cfg.deliver(p->cfg.ctx, uuid, from, text);
}

static void on_delayed(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct pool_mail *mail = w->data;

	(void)loop;
	(void)events;
	LIST_REMOVE(mail, link);
	hand_over(mail->pool, mail->parsed.uuid, mail->from, mail->text);
	mail_free(mail);
}

static void delay(struct modem *m, const struct smstext *parsed, const char *from, const char *text, json_t *args)
{
	struct pool_mail *mail = mail_new(m, parsed, from, text);
	double ns = json_number_value(json_object_get(args, "by_ns"));

	if (!mail)
		return;
	LIST_INSERT_HEAD(&m->pool->delayed, mail, link);
	ev_timer_init(&mail->timer, on_delayed, ns / NS_PER_S, 0);
	mail->timer.data = mail;
	ev_timer_start(m->pool->cfg.loop, &mail->timer);
}

/* Hands over what the fault `what` leaves of the SMS. */
static void act(struct modem *m, const struct smstext *parsed, const char *from, const char *text, const char *what,
		json_t *args)
{
	struct pool *p = m->pool;
	char code_fp[HASH_FP_SIZE], *other;
	json_int_t copies;

	if (strcmp(what, "lose") == 0) {
		hash_fingerprint(p->run_key, parsed->code, code_fp);
		JOURNAL(p->cfg.journal, pool_now(p), m->actor, parsed->uuid, NULL, parsed->r[0] ? parsed->r : NULL,
			J_SMS_LOST, JS(CODE_FP, code_fp), JS(WHY, "fault"));
	} else if (strcmp(what, "delay") == 0) {
		delay(m, parsed, from, text, args);
	} else if (strcmp(what, "duplicate") == 0) {
		copies = json_integer_value(json_object_get(args, "times"));
		for (json_int_t i = 0; i <= (copies < 1 ? 1 : copies > COPIES_MAX ? COPIES_MAX : copies); i++)
			hand_over(p, parsed->uuid, from, text);
	} else if (strcmp(what, "replace_code") == 0) {
		other = replaced(text, parsed->code, arg_text(args, "with"));
		if (other) {
			hand_over(p, parsed->uuid, from, other);
			explicit_bzero(other, strlen(other));
		}
		free(other);
	} else if (strcmp(what, "replace_text") == 0) {
		hand_over(p, parsed->uuid, from, arg_text(args, "with"));
	} else if (strcmp(what, "replace_sender") == 0) {
		hand_over(p, parsed->uuid, arg_text(args, "with"), text);
	} else {
		/* not for this place */
		hand_over(p, parsed->uuid, from, text);
	}
}

static struct pool_late_fault *late_fault(struct pool *p, const char *code_fp)
{
	struct pool_late_fault *f;

	LIST_FOREACH(f, &p->late_faults, link)
		if (strcmp(f->code_fp, code_fp) == 0)
			return f;
	return NULL;
}

static void late_fault_free(struct pool_late_fault *f)
{
	free(f->what);
	json_decref(f->args);
	free(f);
}

/* An SMS of ours for a device that is there. */
static void deliver(struct modem *m, const struct smstext *parsed, const char *from, const char *text)
{
	struct pool *p = m->pool;
	char code_fp[HASH_FP_SIZE], from_fp[HASH_FP_SIZE], to_fp[HASH_FP_SIZE];
	struct pool_late_fault *late;
	const struct fault *f;

	hash_fingerprint(p->run_key, parsed->code, code_fp);
	hash_fingerprint(p->run_key, from, from_fp);
	if (m->spec->number)
		hash_fingerprint(p->run_key, m->spec->number, to_fp);
	late = late_fault(p, code_fp);
	if (late) {
		LIST_REMOVE(late, link);
		if (strcmp(late->what, "lose") == 0) {
			act(m, parsed, from, text, late->what, late->args);
			late_fault_free(late);
			return;
		}
	}
	f = JOURNAL(p->cfg.journal, pool_now(p), m->actor, parsed->uuid, NULL, parsed->r[0] ? parsed->r : NULL,
		    J_SMS_DELIVERED, JS(CODE_FP, code_fp), JS(TO_FP, m->spec->number ? to_fp : NULL),
		    JS(FROM_FP, from_fp), JS(MODEM, m->spec->name));
	if (f)
		act(m, parsed, from, text, fault_do(f), fault_args(f));
	else if (late)
		act(m, parsed, from, text, late->what, late->args);
	else
		hand_over(p, parsed->uuid, from, text);
	if (late)
		late_fault_free(late);
}

static void hold(struct modem *m, const struct smstext *parsed, const char *from, const char *text)
{
	struct pool *p = m->pool;
	struct pool_mail *mail = mail_new(m, parsed, from, text), *last = NULL, *one;

	if (!mail)
		return;
	if (p->held_count == HELD_MAX) {
		LIST_FOREACH(one, &p->held, link)
			last = one;
		LIST_REMOVE(last, link);
		mail_free(last);
		p->held_count--;
	}
	LIST_INSERT_HEAD(&p->held, mail, link);
	p->held_count++;
	p->stats.held++;
}

void pool_wake(struct pool *p, const char *uuid)
{
	struct pool_mail *mail, *next;
	struct pool_mails mine = LIST_HEAD_INITIALIZER(mine);

	/* newest first in `held`, so oldest first in `mine` */
	for (mail = LIST_FIRST(&p->held); mail; mail = next) {
		next = LIST_NEXT(mail, link);
		if (strcmp(mail->parsed.uuid, uuid) != 0)
			continue;
		LIST_REMOVE(mail, link);
		p->held_count--;
		LIST_INSERT_HEAD(&mine, mail, link);
	}
	while ((mail = LIST_FIRST(&mine))) {
		LIST_REMOVE(mail, link);
		deliver(mail->modem, &mail->parsed, mail->from, mail->text);
		mail_free(mail);
	}
}

void pool_received(struct modem *m, int loc, const char *from, const char *text)
{
	struct pool *p = m->pool;
	struct smstext parsed;
	bool ours;

	memset(&parsed, 0, sizeof(parsed));
	ours = smstext_parse(text, &parsed);
	m->received++;
	/* asked for before the hand-over, whose callback may end this worker */
	if (loc >= 0 && (ours || p->cfg.wipe))
		worker_say(m, json_pack("{s:s, s:i}", "do", "delete", "loc", loc));
	if (!ours) {
		p->stats.foreign++;
		if (p->cfg.foreign)
			p->cfg.foreign(p->cfg.ctx, m->spec->name, from, text);
	} else if (p->cfg.reachable && !p->cfg.reachable(p->cfg.ctx, parsed.uuid)) {
		hold(m, &parsed, from, text);
	} else {
		deliver(m, &parsed, from, text);
	}
	explicit_bzero(&parsed, sizeof(parsed));
}

void pool_submitted(struct modem *m, const struct pool_msg *msg, int ref)
{
	struct pool *p = m->pool;
	struct pool_late_fault *late;
	char from_fp[HASH_FP_SIZE];
	const struct fault *f;
	unsigned n = 0;

	if (m->spec->number)
		hash_fingerprint(p->run_key, m->spec->number, from_fp);
	f = JOURNAL(p->cfg.journal, pool_now(p), m->actor, msg->parsed.uuid[0] ? msg->parsed.uuid : NULL, NULL,
		    msg->parsed.r[0] ? msg->parsed.r : NULL, J_SMS_SUBMITTED, JS(ID, msg->id),
		    JS(CODE_FP, msg->code_fp[0] ? msg->code_fp : NULL), JS(TO_FP, msg->to_fp),
		    JS(FROM_FP, m->spec->number ? from_fp : NULL), JS(MODEM, m->spec->name), JI(REF, ref));
	if (!f || !msg->code_fp[0])
		return;
	LIST_FOREACH(late, &p->late_faults, link)
		n++;
	late = n < LATE_FAULTS_MAX ? calloc(1, sizeof(*late)) : NULL;
	if (!late)
		return;
	memcpy(late->code_fp, msg->code_fp, sizeof(late->code_fp));
	late->what = strdup(fault_do(f));
	late->args = json_incref(fault_args(f));
	if (!late->what) {
		late_fault_free(late);
		return;
	}
	LIST_INSERT_HEAD(&p->late_faults, late, link);
}

static void mails_free(struct pool *p, struct pool_mails *list)
{
	struct pool_mail *mail;

	while ((mail = LIST_FIRST(list))) {
		LIST_REMOVE(mail, link);
		if (ev_is_active(&mail->timer))
			ev_timer_stop(p->cfg.loop, &mail->timer);
		mail_free(mail);
	}
}

void pool_receive_fini(struct pool *p)
{
	struct pool_late_fault *late;

	mails_free(p, &p->held);
	mails_free(p, &p->delayed);
	while ((late = LIST_FIRST(&p->late_faults))) {
		LIST_REMOVE(late, link);
		late_fault_free(late);
	}
}
