/* One modem's life: its states, its lines, its deadlines. */
#include "hil/modems/pool.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hil/modems/pool_int.h"

#define BACKOFF_MAX_NS (30 * NS_PER_S)
#define STEADY_NS      (10 * NS_PER_S) /* READY that long: the next fall starts from the shortest pause */

void modem_set_state(struct modem *m, enum modem_state s, const char *why)
{
	struct pool *p = m->pool;

	if (!why)
		why = "";
	if (m->lease->state == s && strcmp(m->why, why) == 0)
		return;
	if (lease_up(s) && !lease_up(m->lease->state))
		m->ready_at = pool_now(p);
	m->lease->state = s;
	snprintf(m->why, sizeof(m->why), "%s", why);
	/* with the device whose SMS it has: so that its scenario's judge sees the modem */
	JOURNAL(p->cfg.journal, pool_now(p), m->actor, m->msg && m->msg->parsed.uuid[0] ? m->msg->parsed.uuid : NULL,
		NULL, NULL, J_MODEM_STATE, JS(MODEM, m->spec->name),
		JS(STATE, modem_state_name(s)), JS(WHY, m->why[0] ? m->why : NULL));
	if (p->cfg.changed)
		p->cfg.changed(p->cfg.ctx, m->spec, s, m->why);
}

/* ---- limits ---- */

static const char *sim(const struct modem *m)
{
	return m->spec->number ? m->spec->number : m->spec->name;
}

static bool spent(const struct modem *m)
{
	unsigned day, month;

	if (!m->spec->per_day && !m->spec->per_month)
		return false;
	pool_budget_spent(m->pool->budget, sim(m), (int64_t)time(NULL), &day, &month);
	return (m->spec->per_day && day >= m->spec->per_day) || (m->spec->per_month && month >= m->spec->per_month);
}

void modem_look(const struct modem *m)
{
	m->lease->busy = !m->pid || m->msg || m->quitting;
	m->lease->spent = spent(m);
}

void modem_give(struct modem *m, struct pool_msg *msg)
{
	time_ns now = pool_now(m->pool);

	/* before it goes: what a crash leaves uncounted would be sent again and again */
	if (pool_budget_count(m->pool->budget, sim(m), (int64_t)time(NULL)))
		JOURNAL(m->pool->cfg.journal, now, m->actor, NULL, NULL, NULL, J_HARNESS_NOTE,
			JS(TEXT, "the SMS budget file cannot be written"));
	if (!worker_say(m, json_pack("{s:s, s:s, s:s, s:s}", "do", "send", "id", msg->id, "to", msg->to, "text",
				     msg->text))) {
		/* not a whole line went out: nothing was sent */
		modem_lost(m, "its worker takes no lines");
		pool_msg_refused(m->pool, m, msg, -1, false, "its worker takes no lines");
		return;
	}
	m->msg = msg;
	m->sent_at = now;
	lease_used(m->lease, now);
	modem_set_state(m, MODEM_SENDING, NULL);
	modem_arm(m);
}

/* ---- deadlines ---- */

static time_ns silence_limit(const struct modem *m)
{
	return lease_up(m->lease->state) ? m->pool->cfg.hang_ns : m->pool->cfg.init_ns;
}

void modem_arm(struct modem *m)
{
	struct pool *p = m->pool;
	time_ns now = pool_now(p), at = TIME_NEVER;
	double after;

	ev_timer_stop(p->cfg.loop, &m->timer);
	if (!m->pid && !m->lease->ejected && !m->quitting)
		at = m->restart_at;
	if (m->pid) {
		at = time_add(m->heard, m->pinged ? silence_limit(m) : silence_limit(m) / 3);
		if (m->msg)
			at = time_min(at, time_add(m->sent_at, p->cfg.result_ns));
	}
	if (at == TIME_NEVER)
		return;
	after = at > now ? (double)(at - now) / NS_PER_S : 0;
	ev_now_update(p->cfg.loop);
	ev_timer_set(&m->timer, after + 0.001, 0);
	ev_timer_start(p->cfg.loop, &m->timer);
}

static void start(struct modem *m)
{
	struct err e = {0};
	time_ns now = pool_now(m->pool);

	if (worker_start(m, &e)) {
		m->restart_at = now + m->backoff_ns;
		m->backoff_ns = time_min(m->backoff_ns * 2, BACKOFF_MAX_NS);
		modem_set_state(m, MODEM_ABSENT, e.text);
		return;
	}
	if (m->started)
		m->pool->stats.restarts++;
	m->started = m->heard = now;
	m->pinged = false;
	m->ready_at = 0;
	modem_set_state(m, MODEM_INIT, NULL);
}

void modem_timer(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct modem *m = w->data;
	struct pool *p = m->pool;
	time_ns now = pool_now(p);

	(void)loop;
	(void)events;
	/* after a stop of ours, what it has said since stands unread in the pipe */
	if (m->pid)
		worker_read(m);
	if (!m->pid) {
		if (!m->lease->ejected && !m->quitting && now >= m->restart_at)
			start(m);
	} else if (m->msg && now >= time_add(m->sent_at, p->cfg.result_ns)) {
		modem_lost(m, "its worker gave no result");
	} else if (m->pinged && now >= time_add(m->heard, silence_limit(m))) {
		modem_lost(m, "its worker is stuck");
	} else if (!m->pinged && now >= time_add(m->heard, silence_limit(m) / 3)) {
		m->pinged = true;
		if (!worker_say(m, json_pack("{s:s}", "do", "ping")))
			modem_lost(m, "its worker takes no lines");
	}
	modem_arm(m);
	pool_dispatch(p);
}

void modem_lost(struct modem *m, const char *why)
{
	struct pool *p = m->pool;
	struct pool_msg *msg = m->msg;
	time_ns now = pool_now(p);

	m->msg = NULL;
	worker_kill(m);
	if (m->ready_at && now >= m->ready_at + STEADY_NS)
		m->backoff_ns = p->cfg.backoff_min_ns;
	m->restart_at = now + m->backoff_ns;
	m->backoff_ns = time_min(m->backoff_ns * 2, BACKOFF_MAX_NS);
	m->ready_at = 0;
	if (msg) {
		m->unknown++;
		modem_set_state(m, MODEM_UNKNOWN, why);
		pool_msg_over(p, m, msg, POOL_UNKNOWN, -1, -1, why);
	}
	if (m->quitting || m->lease->ejected)
		modem_set_state(m, MODEM_ABSENT, why);
	else
		modem_set_state(m, MODEM_REINIT, why);
	modem_arm(m);
}

/* ---- lines ---- */

static const char *text_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void learn(struct modem *m, json_t *o)
{
#define LEARN(field, key)                                                                                      \
	do {                                                                                                   \
		const char *v_ = text_of(o, key);                                                              \
		if (v_[0])                                                                                     \
			snprintf(m->field, sizeof(m->field), "%s", v_);                                        \
	} while (0)
	LEARN(imei, "imei");
	LEARN(manufacturer, "manufacturer");
	LEARN(model, "model");
	LEARN(firmware, "firmware");
	LEARN(network, "network");
	LEARN(operator_name, "operator");
	LEARN(smsc, "smsc");
#undef LEARN
}

static void take_state(struct modem *m, json_t *o)
{
	const char *state = text_of(o, "state"), *why = text_of(o, "why");
	char words[160];

	learn(m, o);
	/* identical sticks trade places: the IMEI says which one this is */
	if (m->spec->imei && m->imei[0] && strcmp(m->spec->imei, m->imei) != 0) {
		snprintf(words, sizeof(words), "another modem stands there: its IMEI is %s", m->imei);
		m->lease->ejected = true;
		modem_lost(m, words);
		return;
	}
	if (strcmp(state, "READY") == 0) {
		if (!m->msg)
			modem_set_state(m, MODEM_READY, why);
	} else if (strcmp(state, "ATTACHING") == 0) {
		modem_set_state(m, MODEM_ATTACHING, why);
	} else if (strcmp(state, "ABSENT") == 0) {
		m->lease->ejected |= json_is_true(json_object_get(o, "fatal"));
		modem_set_state(m, MODEM_ABSENT, why);
	} else if (strcmp(state, "PIN") == 0) {
		/* a worker that is started again would offer the PIN again */
		m->lease->ejected = json_is_true(json_object_get(o, "fatal"));
		modem_set_state(m, MODEM_PIN, why);
	} else if (strcmp(state, "INIT") == 0) {
		modem_set_state(m, m->lease->state == MODEM_UNKNOWN ? MODEM_REINIT : MODEM_INIT, why);
	}
}

/* The message that a result is about; NULL where it is none of ours. */
static struct pool_msg *take_msg(struct modem *m, json_t *o)
{
	struct pool_msg *msg = m->msg;

	if (!msg || strcmp(text_of(o, "id"), msg->id) != 0)
		return NULL;
	m->msg = NULL;
	return msg;
}

static void take_failed(struct modem *m, struct pool_msg *msg, json_t *o)
{
	const char *phase = text_of(o, "phase");
	json_t *cms = json_object_get(o, "cms"), *cme = json_object_get(o, "cme");
	char why[192];

	m->failed++;
	if (json_is_integer(cme))
		snprintf(why, sizeof(why), "%s: CME error %d", phase, (int)json_integer_value(cme));
	else
		snprintf(why, sizeof(why), "%s: %s", phase, text_of(o, "why"));
	if (strcmp(phase, "state") == 0) {
		/* it says READY when it is */
		modem_set_state(m, MODEM_INIT, why);
		pool_msg_refused(m->pool, m, msg, -1, false, why);
		return;
	}
	if (strcmp(phase, "text") == 0)
		msg->attempts = LEASE_ATTEMPTS_MAX; /* no other modem can code it either */
	modem_set_state(m, MODEM_READY, why);
	pool_msg_refused(m->pool, m, msg, json_is_integer(cms) ? (int)json_integer_value(cms) : -1, true, why);
}

static void take_result(struct modem *m, const char *ev, json_t *o)
{
	struct pool *p = m->pool;
	struct pool_msg *msg = take_msg(m, o);
	int ref = (int)json_integer_value(json_object_get(o, "ref"));

	if (!msg)
		return;
	if (strcmp(ev, "sent") == 0) {
		m->submitted++;
		modem_set_state(m, MODEM_READY, NULL);
		if (p->cfg.real)
			pool_submitted(m, msg, ref);
		pool_msg_over(p, m, msg, POOL_SUBMITTED, -1, ref, NULL);
	} else if (strcmp(ev, "failed") == 0) {
		take_failed(m, msg, o);
	} else {
		m->unknown++;
		modem_set_state(m, MODEM_UNKNOWN, text_of(o, "why"));
		pool_msg_over(p, m, msg, POOL_UNKNOWN, -1, -1, text_of(o, "why"));
	}
}

static void take_event(struct modem *m, json_t *o)
{
	const char *ev = text_of(o, "ev");

	if (strcmp(ev, "state") == 0) {
		take_state(m, o);
	} else if (strcmp(ev, "sent") == 0 || strcmp(ev, "failed") == 0 || strcmp(ev, "unknown") == 0) {
		take_result(m, ev, o);
	} else if (strcmp(ev, "received") == 0) {
		json_t *loc = json_object_get(o, "loc");

		pool_received(m, json_is_integer(loc) ? (int)json_integer_value(loc) : -1, text_of(o, "from"),
			      text_of(o, "text"));
	} else if (strcmp(ev, "log") == 0 && strcmp(text_of(o, "level"), "info") != 0) {
		JOURNAL(m->pool->cfg.journal, pool_now(m->pool), m->actor, NULL, NULL, NULL, J_HARNESS_NOTE,
			JS(TEXT, text_of(o, "text")));
	}
	/* pong, deleted, report: that it speaks is all they say here */
}

void modem_line(struct modem *m, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(o)) {
		/* does not count as a sign of life */
		JOURNAL(m->pool->cfg.journal, pool_now(m->pool), m->actor, NULL, NULL, NULL, J_HARNESS_NOTE,
			JS(TEXT, "a line from its worker that is no JSON object"), JI(BYTES, len));
		json_decref(o);
		return;
	}
	m->heard = pool_now(m->pool);
	m->pinged = false;
	take_event(m, o);
	json_decref(o);
	modem_arm(m);
	pool_dispatch(m->pool);
}
