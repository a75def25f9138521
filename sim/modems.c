#include "sim/modems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/modems_priv.h"

#define CMS_NO_NETWORK 331
#define DAY_MS	       (24 * 3600 * 1000)

/* 27.005 §3.2.5: what a send meets at the prompt */
static const int sim_cms[] = {[SIM_PIN] = 311, [SIM_PUK] = 316, [SIM_NONE] = 310, [SIM_BUSY] = 314};

/* ---- saying ---- */

const struct fault *modems_say(struct modems *m, const struct instant *at, struct unit *u, const char *state,
			       const char *dev, const char *why)
{
	if (!m->cfg.seen)
		return NULL;
	return JOURNAL(m->cfg.journal, at->now, u->actor, dev, NULL, NULL, J_MODEM_STATE, JS(MODEM, u->name),
		       JS(STATE, state), JS(WHY, why));
}

void modems_set_state(struct modems *m, const struct instant *at, struct unit *u, enum modem_state s,
		      const char *why)
{
	if (u->lease->state == s)
		return;
	u->lease->state = s;
	modems_say(m, at, u, modem_state_name(s), u->msg ? m->cfg.owner(u->msg->sms) : NULL, why);
}

bool modems_muted(const struct unit *u, time_ns now)
{
	return u->mute_until > now;
}

bool modems_on_air(const struct unit *u)
{
	return u->creg == CREG_HOME || u->creg == CREG_ROAMING;
}

/* ---- a sender's message ---- */

static void over(struct modems *m, const struct instant *at, struct waiting *w, enum modems_status status,
		 int cms, int from, const char *why)
{
	m->cfg.over(m->cfg.ctx, at, w->sms, status, cms, from, why);
	free(w);
}

struct waiting *modems_take(struct unit *u)
{
	struct waiting *w = u->msg;

	u->msg = NULL;
	u->stage = STAGE_NONE;
	u->stage_at = TIME_NEVER;
	u->lease->busy = false;
	return w;
}

void modems_enqueue(struct modems *m, struct waiting *w, bool first)
{
	if (first)
		TAILQ_INSERT_HEAD(&m->queue, w, link);
	else
		TAILQ_INSERT_TAIL(&m->queue, w, link);
	m->queued++;
}

void modems_init(struct modems *m, const struct instant *at, struct unit *u, const char *why)
{
	modems_set_state(m, at, u, u->lease->state == MODEM_UNKNOWN ? MODEM_REINIT : MODEM_INIT, why);
	u->ready_at = time_add(at->now, m->cfg.init_time);
}

/* Surely not sent: another modem, or the end. */
static void refused(struct modems *m, const struct instant *at, struct unit *u, int cms, const char *why)
{
	struct waiting *w = modems_take(u);

	w->tried |= UINT64_C(1) << (u - m->units);
	w->attempts++;
	w->cms = cms;
	modems_set_state(m, at, u, modems_on_air(u) ? MODEM_READY : MODEM_ATTACHING, why);
	if (w->attempts >= LEASE_ATTEMPTS_MAX || !lease_others_left(m->leases, m->cfg.senders, w->tried))
		over(m, at, w, MODEMS_FAILED, cms, (int)(u - m->units), why);
	else
		modems_enqueue(m, w, true);
}

void modems_unknown(struct modems *m, const struct instant *at, struct unit *u, const char *why)
{
	struct waiting *w;

	modems_set_state(m, at, u, MODEM_UNKNOWN, why);
	w = modems_take(u);
	over(m, at, w, MODEMS_UNKNOWN, -1, (int)(u - m->units), why);
}

/* The prompt is asked for. */
static void begin(struct modems *m, const struct instant *at, struct unit *u)
{
	const struct fault *f;
	int cms;

	u->stage = STAGE_PDU;
	u->stage_at = time_add(at->now, m->cfg.send_time);
	u->refuse = 0;
	f = modems_say(m, at, u, "sending", m->cfg.owner(u->msg->sms), NULL);
	if (fault_is(f, "cms_error") || fault_is(f, "plain_error")) {
		cms = fault_is(f, "plain_error") ? -1 : (int)modems_arg_int(fault_args(f), "code", 500);
		if (modems_arg_is(fault_args(f), "at", "pdu")) {
			u->refuse = cms;
		} else {
			refused(m, at, u, cms, "prompt: fault");
			return;
		}
	} else if (f && !fault_is(f, "no_prompt")) {
		modems_befall(m, at, u, fault_do(f), fault_args(f));
	}
	if (!u->msg)
		return; /* pulled out */
	if (u->sim != SIM_READY) {
		refused(m, at, u, sim_cms[u->sim], "prompt: the SIM");
		return;
	}
	if (fault_is(f, "no_prompt") || modems_muted(u, at->now)) {
		u->stage = STAGE_PROMPT;
		u->stage_at = time_add(at->now, MODEMS_PROMPT_NS);
	}
}

static void write_pdu(struct modems *m, const struct instant *at, struct unit *u)
{
	time_ns limit = time_add(at->now, m->cfg.result_time);

	if (modems_muted(u, at->now)) {
		/* nobody hears the PDU, and nobody says so */
		u->answer = (struct modems_answer){.silent = true};
		u->stage = STAGE_RESULT;
		u->stage_at = limit;
		return;
	}
	if (!modems_on_air(u) || u->refuse) {
		refused(m, at, u, u->refuse ? u->refuse : CMS_NO_NETWORK,
			u->refuse ? "pdu: fault" : "pdu: no network");
		return;
	}
	memset(&u->answer, 0, sizeof(u->answer));
	m->cfg.submit(m->cfg.ctx, at, u->msg->sms, (unsigned)(u - m->units), &u->answer);
	if (u->answer.limit)
		limit = time_add(at->now, u->answer.limit);
	u->stage = STAGE_RESULT;
	u->stage_at = time_add(at->now, u->answer.after);
	if (u->answer.silent || u->stage_at > limit) {
		u->answer.silent = true;
		u->stage_at = limit;
	}
	if (u->answer.fault)
		modems_befall(m, at, u, fault_do(u->answer.fault), fault_args(u->answer.fault));
	if (u->msg && modems_muted(u, u->stage_at)) {
		u->answer.silent = true;
		u->stage_at = limit;
	}
}

static void result(struct modems *m, const struct instant *at, struct unit *u)
{
	struct waiting *w;

	if (u->answer.silent) {
		modems_unknown(m, at, u, "no result in time");
		modems_init(m, at, u, "a send without a result");
		return;
	}
	if (u->answer.cms || u->answer.plain_error) {
		refused(m, at, u, u->answer.plain_error ? -1 : u->answer.cms, "pdu: refused");
		return;
	}
	w = modems_take(u);
	modems_set_state(m, at, u, MODEM_READY, NULL);
	over(m, at, w, MODEMS_SUBMITTED, -1, (int)(u - m->units), NULL);
}

static void proceed(struct modems *m, const struct instant *at, struct unit *u)
{
	while (u->msg && u->stage_at <= at->now) {
		switch (u->stage) {
		case STAGE_PROMPT:
			refused(m, at, u, -1, "no prompt");
			modems_init(m, at, u, "no prompt");
			break;
		case STAGE_PDU:
			write_pdu(m, at, u);
			break;
		default:
			result(m, at, u);
			break;
		}
	}
}

/* ---- the queue ---- */

static void look(struct modems *m, const struct instant *at, struct unit *u)
{
	uint64_t day = (uint64_t)at->unix_ms / DAY_MS;

	if (day != u->day) {
		u->day = day;
		u->day_sent = 0;
	}
	u->lease->busy = u->msg != NULL;
	u->lease->spent = m->cfg.per_day && u->day_sent >= m->cfg.per_day;
}

static void give(struct modems *m, const struct instant *at, struct unit *u, struct waiting *w)
{
	TAILQ_REMOVE(&m->queue, w, link);
	m->queued--;
	u->msg = w;
	u->day_sent++;
	u->lease->busy = true;
	lease_used(u->lease, at->now);
	modems_set_state(m, at, u, MODEM_SENDING, NULL);
	begin(m, at, u);
	proceed(m, at, u);
}

static void dispatch(struct modems *m, const struct instant *at)
{
	struct waiting *w, *next;
	bool any = true;
	int k;

	for (unsigned i = 0; i < m->cfg.senders && m->queued; i++)
		look(m, at, &m->units[i]);
	for (w = TAILQ_FIRST(&m->queue); w; w = next) {
		next = TAILQ_NEXT(w, link);
		if (at->now >= time_add(w->since, LEASE_QUEUE_NS) ||
		    (w->attempts && !lease_others_left(m->leases, m->cfg.senders, w->tried))) {
			TAILQ_REMOVE(&m->queue, w, link);
			m->queued--;
			over(m, at, w, MODEMS_FAILED, w->cms, -1, "no modem took it");
			continue;
		}
		k = any ? lease_pick(m->leases, m->cfg.senders, w->tried, at->now, &any) : -1;
		if (k < 0)
			continue;
		give(m, at, &m->units[k], w);
		/* one that was refused at once stands in front again */
		next = TAILQ_FIRST(&m->queue);
		look(m, at, &m->units[k]);
	}
}

unsigned modems_eta(struct modems *m, const struct instant *at)
{
	for (unsigned i = 0; i < m->cfg.senders; i++)
		look(m, at, &m->units[i]);
	return lease_eta(m->leases, m->cfg.senders, (double)m->queued + 1, m->cfg.sms_s,
			 (double)m->cfg.init_time / NS_PER_S, at->now);
}

int modems_send(struct modems *m, const struct instant *at, void *sms)
{
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w)
		return ERR_NOMEM;
	w->sms = sms;
	w->since = m->look_at = at->now;
	w->cms = -1;
	modems_enqueue(m, w, false);
	return 0;
}

/* ---- time ---- */

static bool due(time_ns *at, time_ns now)
{
	if (!*at || *at > now)
		return false;
	*at = 0;
	return true;
}

static void unit_turn(struct modems *m, const struct instant *at, struct unit *u)
{
	if (due(&u->plug_at, at->now))
		modems_plug_in(m, at, u);
	if (due(&u->mute_until, at->now))
		modems_say(m, at, u, "ready", NULL, "not mute any more");
	if (due(&u->creg_until, at->now))
		modems_set_network(m, at, u, CREG_HOME);
	if (due(&u->sim_until, at->now))
		modems_set_sim(m, at, u, SIM_READY);
	if (due(&u->full_until, at->now))
		modems_room(at, u);
	if (u->ready_at <= at->now)
		modems_opened(m, at, u);
	proceed(m, at, u);
	if (u->poll_at <= at->now)
		modems_poll(m, at, u);
	modems_expire(m, at, u);
}

void modems_turn(struct modems *m, const struct instant *at)
{
	m->now = at->now;
	m->look_at = TIME_NEVER;
	for (unsigned i = 0; i < m->n; i++)
		unit_turn(m, at, &m->units[i]);
	if (m->queued)
		dispatch(m, at);
}

static time_ns sooner(time_ns t, time_ns other)
{
	return other ? time_min(t, other) : t;
}

static time_ns unit_deadline(const struct unit *u)
{
	const struct kept *k = TAILQ_FIRST(&u->kept);
	time_ns t = time_min(u->ready_at, u->poll_at);

	t = sooner(sooner(sooner(t, u->plug_at), u->creg_until), u->sim_until);
	t = sooner(sooner(t, u->mute_until), u->full_until);
	if (u->msg)
		t = time_min(t, u->stage_at);
	return k ? time_min(t, k->expires) : t;
}

time_ns modems_deadline(const struct modems *m)
{
	const struct waiting *w = TAILQ_FIRST(&m->queue);
	time_ns t = m->look_at;

	for (unsigned i = 0; i < m->n; i++)
		t = time_min(t, unit_deadline(&m->units[i]));
	if (!w)
		return t;
	/* a place within the limit per minute, or the end of its patience */
	for (unsigned i = 0; i < m->cfg.senders; i++)
		if (m->leases[i].state == MODEM_READY && !m->leases[i].spent &&
		    !lease_slots(&m->leases[i], m->now))
			t = time_min(t, lease_slot_at(&m->leases[i], m->now));
	return time_min(t, time_add(w->since, LEASE_QUEUE_NS));
}

/* ---- life ---- */

static void make(struct modems *m, unsigned i)
{
	struct unit *u = &m->units[i];
	bool sender = i < m->cfg.senders;
	unsigned k = sender ? i : i - m->cfg.senders;

	u->lease = sender ? &m->leases[k] : &m->receiving[k];
	u->lease->state = MODEM_READY;
	u->lease->sends = sender;
	u->lease->per_minute = sender ? m->cfg.per_minute : 0;
	snprintf(u->name, sizeof(u->name), "%c%u", sender ? 's' : 'r', k % MODEMS_SIDE_MAX + 1);
	snprintf(u->actor, sizeof(u->actor), "modem:%c%u", sender ? 's' : 'r', k % MODEMS_SIDE_MAX + 1);
	u->plugged = true;
	u->creg = CREG_HOME;
	u->ready_at = u->stage_at = u->poll_at = TIME_NEVER;
	TAILQ_INIT(&u->kept);
}

struct modems *modems_new(const struct modems_config *cfg)
{
	struct modems *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->cfg = *cfg;
	m->cfg.senders = cfg->senders ? cfg->senders : 1;
	m->cfg.receivers = cfg->receivers ? cfg->receivers : 1;
	if (m->cfg.senders > MODEMS_SIDE_MAX)
		m->cfg.senders = MODEMS_SIDE_MAX;
	if (m->cfg.receivers > MODEMS_SIDE_MAX)
		m->cfg.receivers = MODEMS_SIDE_MAX;
	if (!m->cfg.result_time)
		m->cfg.result_time = MODEMS_RESULT_NS;
	m->n = m->cfg.senders + m->cfg.receivers;
	m->look_at = TIME_NEVER;
	TAILQ_INIT(&m->queue);
	for (unsigned i = 0; i < m->n; i++)
		make(m, i);
	return m;
}

void modems_free(struct modems *m)
{
	struct waiting *w;
	struct kept *k;

	if (!m)
		return;
	while ((w = TAILQ_FIRST(&m->queue))) {
		TAILQ_REMOVE(&m->queue, w, link);
		free(w);
	}
	for (unsigned i = 0; i < m->n; i++) {
		free(m->units[i].msg);
		while ((k = TAILQ_FIRST(&m->units[i].kept))) {
			TAILQ_REMOVE(&m->units[i].kept, k, link);
			free(k);
		}
	}
	free(m);
}
