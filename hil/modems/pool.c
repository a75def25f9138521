#include "hil/modems/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hil/modems/pool_int.h"

#define TICK_S            0.2
#define SEND_TIMEOUT_NS   (120 * NS_PER_S)
#define SEND_SLACK_NS     (60 * NS_PER_S) /* prompt, sleeps, a slow host */
#define HANG_NS           (75 * NS_PER_S)
#define INIT_NS           (150 * NS_PER_S)
#define BACKOFF_MIN_NS    (500 * NS_PER_MS)

time_ns pool_now(const struct pool *p)
{
	struct timespec ts;

	if (p->cfg.clock)
		return p->cfg.clock(p->cfg.clock_ctx);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (time_ns)ts.tv_sec * NS_PER_S + (time_ns)ts.tv_nsec;
}

/* ---- messages ---- */

static void msg_free(struct pool_msg *msg)
{
	if (msg->text)
		explicit_bzero(msg->text, strlen(msg->text));
	explicit_bzero(&msg->parsed, sizeof(msg->parsed));
	free(msg->id);
	free(msg->to);
	free(msg->text);
	free(msg);
}

static struct pool_msg *msg_new(const struct pool *p, const char *id, const char *to, const char *text)
{
	struct pool_msg *msg = calloc(1, sizeof(*msg));

	if (!msg)
		return NULL;
	msg->id = strdup(id);
	msg->to = strdup(to);
	msg->text = strdup(text);
	if (!msg->id || !msg->to || !msg->text) {
		msg_free(msg);
		return NULL;
	}
	if (smstext_parse(text, &msg->parsed))
		hash_fingerprint(p->run_key, msg->parsed.code, msg->code_fp);
	else
		memset(&msg->parsed, 0, sizeof(msg->parsed));
	hash_fingerprint(p->run_key, to, msg->to_fp);
	msg->cms = msg->ref = -1;
	return msg;
}

static void journal_outcome(struct pool *p, struct modem *m, const struct pool_msg *msg, const char *why)
{
	const char *dev = msg->parsed.uuid[0] ? msg->parsed.uuid : NULL;
	const char *reg = msg->parsed.r[0] ? msg->parsed.r : NULL;
	const char *code_fp = msg->code_fp[0] ? msg->code_fp : NULL;
	const char *actor = m ? m->actor : "pool", *modem = m ? m->spec->name : NULL;

	if (msg->status == POOL_UNKNOWN)
		JOURNAL(p->cfg.journal, pool_now(p), actor, dev, NULL, reg, J_SMS_UNKNOWN, JS(ID, msg->id),
			JS(CODE_FP, code_fp), JS(TO_FP, msg->to_fp), JS(MODEM, modem), JS(WHY, why));
	else if (msg->cms >= 0)
		JOURNAL(p->cfg.journal, pool_now(p), actor, dev, NULL, reg, J_SMS_FAILED, JS(ID, msg->id),
			JS(CODE_FP, code_fp), JS(TO_FP, msg->to_fp), JI(CMS, msg->cms), JS(MODEM, modem),
			JS(WHY, why));
	else
		JOURNAL(p->cfg.journal, pool_now(p), actor, dev, NULL, reg, J_SMS_FAILED, JS(ID, msg->id),
			JS(CODE_FP, code_fp), JS(TO_FP, msg->to_fp), JS(MODEM, modem), JS(WHY, why));
}

void pool_msg_over(struct pool *p, struct modem *m, struct pool_msg *msg, enum pool_status status, int cms, int ref,
		   const char *why)
{
	msg->status = status;
	msg->cms = cms;
	msg->ref = ref;
	switch (status) {
	case POOL_SUBMITTED:
		p->stats.submitted++;
		break;
	case POOL_FAILED:
		p->stats.failed++;
		journal_outcome(p, m, msg, why);
		break;
	case POOL_UNKNOWN:
		p->stats.unknown++;
		journal_outcome(p, m, msg, why);
		break;
	}
	/* told from the loop: the caller may be inside pool_send */
	TAILQ_INSERT_TAIL(&p->over, msg, link);
	if (!ev_is_active(&p->outcome))
		ev_timer_start(p->cfg.loop, &p->outcome);
}

static void tell_outcomes(struct pool *p)
{
	struct pool_msg *msg;

	while ((msg = TAILQ_FIRST(&p->over))) {
		TAILQ_REMOVE(&p->over, msg, link);
		if (msg->done)
			msg->done(msg->ctx, msg->id, msg->status, msg->cms, msg->ref);
		msg_free(msg);
	}
}

static void on_outcome(struct ev_loop *loop, struct ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	tell_outcomes(w->data);
}

static void queue_put(struct pool *p, struct pool_msg *msg, bool first)
{
	if (first)
		TAILQ_INSERT_HEAD(&p->queue, msg, link);
	else
		TAILQ_INSERT_TAIL(&p->queue, msg, link);
	p->queued++;
	if (!ev_is_active(&p->tick))
		ev_timer_start(p->cfg.loop, &p->tick);
}

static void queue_take(struct pool *p, struct pool_msg *msg)
{
	TAILQ_REMOVE(&p->queue, msg, link);
	p->queued--;
}

void pool_msg_refused(struct pool *p, struct modem *m, struct pool_msg *msg, int cms, bool tried, const char *why)
{
	if (tried) {
		msg->tried |= UINT64_C(1) << m->index;
		msg->attempts++;
		msg->cms = cms;
	}
	if (p->quitting || msg->attempts >= LEASE_ATTEMPTS_MAX ||
	    !lease_others_left(p->leases, p->cfg.modem_count, msg->tried)) {
		pool_msg_over(p, m, msg, POOL_FAILED, cms, -1, why);
		return;
	}
	queue_put(p, msg, true);
}

/* ---- the queue ---- */

static struct modem *pick(struct pool *p, const struct pool_msg *msg, time_ns now, bool *any)
{
	int i;

	for (size_t k = 0; k < p->cfg.modem_count; k++)
		modem_look(&p->modems[k]);
	i = lease_pick(p->leases, p->cfg.modem_count, msg->tried, now, any);
	return i < 0 ? NULL : &p->modems[i];
}

static void expire(struct pool *p, time_ns now)
{
	struct pool_msg *msg, *next;

	for (msg = TAILQ_FIRST(&p->queue); msg; msg = next) {
		next = TAILQ_NEXT(msg, link);
		if (now < time_add(msg->since, p->cfg.queue_ns) && 
		    (!msg->attempts || lease_others_left(p->leases, p->cfg.modem_count, msg->tried)))
			continue;
		queue_take(p, msg);
		pool_msg_over(p, NULL, msg, POOL_FAILED, msg->cms, -1, "no modem took it");
	}
}

void pool_dispatch(struct pool *p)
{
	struct pool_msg *msg, *next;
	time_ns now = pool_now(p);
	bool any = true;

	for (msg = TAILQ_FIRST(&p->queue); msg && any; msg = next) {
		struct modem *m = pick(p, msg, now, &any);

		next = TAILQ_NEXT(msg, link);
		if (!m)
			continue;
		queue_take(p, msg);
		modem_give(m, msg);
	}
	if (TAILQ_EMPTY(&p->queue))
		ev_timer_stop(p->cfg.loop, &p->tick);
}

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct pool *p = w->data;

	(void)loop;
	(void)events;
	expire(p, pool_now(p));
	pool_dispatch(p);
}

unsigned pool_eta(const struct pool *p)
{
	for (size_t i = 0; i < p->cfg.modem_count; i++)
		modem_look(&p->modems[i]);
	return lease_eta(p->leases, p->cfg.modem_count, (double)p->queued + 1, (double)POOL_SMS_NS / NS_PER_S,
			 (double)POOL_INIT_NS / NS_PER_S, pool_now(p));
}

static bool good_number(const char *to)
{
	size_t n = to[0] == '+' ? 1 : 0, digits;

	digits = strspn(to + n, "0123456789");
	return digits >= 3 && digits <= POOL_TO_MAX && to[n + digits] == '\0';
}

int pool_send(struct pool *p, const char *id, const char *to, const char *text, pool_done *done, void *ctx,
	      unsigned *eta_s)
{
	size_t id_len = strlen(id), text_len = strlen(text);
	unsigned eta = pool_eta(p);
	struct pool_msg *msg;

	if (eta_s)
		*eta_s = eta == UINT32_MAX ? POOL_BUSY_S : eta;
	if (!id_len || id_len > POOL_ID_MAX || !good_number(to) || !text_len || text_len > POOL_TEXT_MAX)
		return ERR_INVALID;
	if (p->quitting || eta > POOL_BUSY_S)
		return ERR_BUSY;
	if (p->queued >= POOL_QUEUE_MAX)
		return ERR_LIMIT;
	msg = msg_new(p, id, to, text);
	if (!msg)
		return ERR_NOMEM;
	msg->done = done;
	msg->ctx = ctx;
	msg->since = pool_now(p);
	queue_put(p, msg, false);
	pool_dispatch(p);
	return 0;
}

/* ---- life ---- */

static int check_spec(const struct pool_config *cfg, size_t i, struct err *e)
{
	const struct modem_spec *s = &cfg->modems[i];

	if (!s->name || !s->name[0] || strlen(s->name) > 63 ||
	    s->name[strspn(s->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")])
		return err_set(e, ERR_INVALID, "modem %zu: its name must be 1 to 63 letters, digits, '-' or '_'", i + 1);
	for (size_t k = 0; k < i; k++)
		if (strcmp(cfg->modems[k].name, s->name) == 0)
			return err_set(e, ERR_INVALID, "two modems are called '%s'", s->name);
	if (!s->device || !s->device[0])
		return err_set(e, ERR_INVALID, "modem '%s' has no device", s->name);
	if (s->per_minute > LEASE_RATE_MAX)
		return err_set(e, ERR_INVALID, "modem '%s': per_minute is more than %d", s->name, LEASE_RATE_MAX);
	return 0;
}

static int check_config(const struct pool_config *cfg, struct err *e)
{
	if (!cfg->loop || !cfg->deliver)
		return err_set(e, ERR_INVALID, "the pool needs a loop and a way to deliver");
	if (!cfg->modem_count || cfg->modem_count > POOL_MODEMS_MAX)
		return err_set(e, ERR_INVALID, "a rig has 1 to %d modems, not %zu", POOL_MODEMS_MAX, cfg->modem_count);
	if (!cfg->worker_path || access(cfg->worker_path, X_OK))
		return err_set(e, ERR_ENVIRONMENT, "cannot run the modem worker '%s': %s",
			       cfg->worker_path ? cfg->worker_path : "", cfg->worker_path ? strerror(errno) : "no path");
	for (size_t i = 0; i < cfg->modem_count; i++) {
		int rv = check_spec(cfg, i, e);

		if (rv)
			return rv;
	}
	return 0;
}

static void take_defaults(struct pool_config *c)
{
	static const uint8_t no_key[32];

	if (!c->run_key)
		c->run_key = no_key;
	if (!c->send_timeout_ns)
		c->send_timeout_ns = SEND_TIMEOUT_NS;
	if (!c->result_ns)
		c->result_ns = c->send_timeout_ns + SEND_SLACK_NS;
	if (!c->hang_ns)
		c->hang_ns = HANG_NS;
	if (!c->init_ns)
		c->init_ns = INIT_NS;
	if (!c->queue_ns)
		c->queue_ns = LEASE_QUEUE_NS;
	if (!c->backoff_min_ns)
		c->backoff_min_ns = BACKOFF_MIN_NS;
}

static void start_modem(struct pool *p, size_t i)
{
	struct modem *m = &p->modems[i];

	m->pool = p;
	m->spec = &p->cfg.modems[i];
	m->index = (unsigned)i;
	m->lease = &p->leases[i];
	snprintf(m->actor, sizeof(m->actor), "modem:%s", m->spec->name);
	m->to_fd = -1;
	m->backoff_ns = p->cfg.backoff_min_ns;
	buf_init(&m->in, 4 * WORKER_LINE_MAX);
	ev_timer_init(&m->timer, modem_timer, 0, 0);
	m->timer.data = m;
	m->restart_at = pool_now(p);
	m->lease->state = MODEM_ABSENT;
	m->lease->sends = m->spec->role != MODEM_RECEIVER;
	m->lease->per_minute = m->spec->per_minute;
	modem_timer(p->cfg.loop, &m->timer, 0);
}

struct pool *pool_new(const struct pool_config *cfg, struct err *e)
{
	struct pool *p;

	if (check_config(cfg, e))
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p || !(p->modems = calloc(cfg->modem_count, sizeof(*p->modems)))) {
		free(p);
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	/* a worker that dies while it is written to is an error there, not our end */
	signal(SIGPIPE, SIG_IGN);
	p->cfg = *cfg;
	take_defaults(&p->cfg);
	memcpy(p->run_key, p->cfg.run_key, sizeof(p->run_key));
	p->budget = pool_budget_open(cfg->budget_file, e);
	if (!p->budget) {
		free(p->modems);
		free(p);
		return NULL;
	}
	TAILQ_INIT(&p->queue);
	TAILQ_INIT(&p->over);
	LIST_INIT(&p->held);
	LIST_INIT(&p->delayed);
	LIST_INIT(&p->late_faults);
	ev_timer_init(&p->tick, on_tick, TICK_S, TICK_S);
	ev_timer_init(&p->outcome, on_outcome, 0, 0);
	ev_timer_init(&p->reaper, worker_reap, 0, 0.05);
	p->tick.data = p->outcome.data = p->reaper.data = p;
	for (size_t i = 0; i < cfg->modem_count; i++)
		start_modem(p, i);
	return p;
}

static bool any_running(const struct pool *p)
{
	for (size_t i = 0; i < p->cfg.modem_count; i++)
		if (p->modems[i].pid)
			return true;
	return false;
}

void pool_quit(struct pool *p, time_ns grace_ns)
{
	/* by the real clock: this waits for processes */
	struct timespec nap = {0, 5 * 1000000L};
	struct pool_msg *msg;
	time_ns waited = 0;

	if (p->quitting)
		return;
	p->quitting = true;
	while ((msg = TAILQ_FIRST(&p->queue))) {
		queue_take(p, msg);
		pool_msg_over(p, NULL, msg, POOL_FAILED, msg->cms, -1, "the pool is stopped");
	}
	for (size_t i = 0; i < p->cfg.modem_count; i++) {
		struct modem *m = &p->modems[i];

		m->quitting = true;
		if (m->pid && !m->msg)
			worker_say(m, json_pack("{s:s}", "do", "quit"));
	}
	while (any_running(p) && waited < grace_ns) {
		for (size_t i = 0; i < p->cfg.modem_count; i++) {
			struct modem *m = &p->modems[i];
			bool busy = m->msg != NULL;

			if (m->pid)
				worker_read(m);
			/* its last result came: now it may go */
			if (m->pid && busy && !m->msg)
				worker_say(m, json_pack("{s:s}", "do", "quit"));
		}
		nanosleep(&nap, NULL);
		waited += 5 * NS_PER_MS;
	}
	for (size_t i = 0; i < p->cfg.modem_count; i++) {
		if (p->modems[i].pid)
			modem_lost(&p->modems[i], "killed at the end");
		ev_timer_stop(p->cfg.loop, &p->modems[i].timer);
	}
	for (int i = 0; i < 200 && p->corpse_count; i++) {
		worker_reap(p->cfg.loop, &p->reaper, 0);
		nanosleep(&nap, NULL);
	}
	tell_outcomes(p);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pool_quit(p, 0);
	pool_receive_fini(p);
	for (size_t i = 0; i < p->cfg.modem_count; i++)
		buf_fini(&p->modems[i].in);
	ev_timer_stop(p->cfg.loop, &p->tick);
	ev_timer_stop(p->cfg.loop, &p->outcome);
	ev_timer_stop(p->cfg.loop, &p->reaper);
	pool_budget_close(p->budget);
	free(p->modems);
	free(p);
}

/* ---- what is known ---- */

size_t pool_ready_count(const struct pool *p, enum modem_role role)
{
	size_t n = 0;

	for (size_t i = 0; i < p->cfg.modem_count; i++) {
		const struct modem *m = &p->modems[i];

		if (m->lease->state != MODEM_READY && m->lease->state != MODEM_SENDING)
			continue;
		if (role == MODEM_BOTH || m->spec->role == MODEM_BOTH || m->spec->role == role)
			n++;
	}
	return n;
}

void pool_stats(const struct pool *p, struct pool_stats *out)
{
	*out = p->stats;
	out->queued = p->queued;
	out->sending = 0;
	for (size_t i = 0; i < p->cfg.modem_count; i++)
		out->sending += p->modems[i].msg != NULL;
}

bool pool_modem(const struct pool *p, size_t i, struct pool_modem *out)
{
	const struct modem *m;

	if (i >= p->cfg.modem_count)
		return false;
	m = &p->modems[i];
	memset(out, 0, sizeof(*out));
	out->spec = m->spec;
	out->state = m->lease->state;
	out->why = m->why;
	out->imei = m->imei;
	out->manufacturer = m->manufacturer;
	out->model = m->model;
	out->firmware = m->firmware;
	out->network = m->network;
	out->operator_name = m->operator_name;
	out->smsc = m->smsc;
	out->submitted = m->submitted;
	out->failed = m->failed;
	out->unknown = m->unknown;
	out->received = m->received;
	pool_budget_spent(p->budget, m->spec->number ? m->spec->number : m->spec->name, (int64_t)time(NULL),
			  &out->day_sent, &out->month_sent);
	return true;
}
