#include "sim/carrier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM      1
#define uthash_nonfatal_oom(e) ((e)->unkept = true)
#include <uthash.h>

#include "core/fault.h"
#include "core/hash.h"
#include "core/heap.h"
#include "core/rng.h"
#include "core/smstext.h"
#include "sim/carrier_fate.h"

/* How many SMS a device had: its next one's random stream. Ids will not do: the server
 * draws them in the order of all devices' requests. */
struct owner {
	unsigned sms;
	bool unkept;
	UT_hash_handle hh;
	char uuid[];
};

#define ID_KEPT (24 * 3600 * NS_PER_S)

/* Profile typical (hil.md): median and p95 give a lognormal's sigma = ln(p95/median)/1.645 */
#define SUBMIT_MEDIAN_S	   2.5
#define SUBMIT_SIGMA	   0.532
#define SUBMIT_MAX_S	   30.0
#define DELIVER_MEDIAN_S   4.0
#define DELIVER_SIGMA	   0.8035
#define DELIVER_SLOW	   0.01 /* minutes */
#define DELIVER_SLOW_MAX_S 300.0
#define LOST_SHARE	   0.005
#define DUPLICATE_SHARE	   0.002

/* One SMS, kept by its id for 24 h; the text only while it is on its way. */
struct sms {
	char *id, *uuid, *to, *text, *r;
	unsigned sender;
	int ref, cms; /* -1 absent */
	enum carrier_status status;
	struct rng rng;
	unsigned acts; /* pending ones */
	time_ns came;
	bool unkept;
	UT_hash_handle hh;
	TAILQ_ENTRY(sms) age;
};

enum act_kind { ACT_ANSWER, ACT_DELIVER };

struct act {
	struct heap_node node;
	enum act_kind kind;
	struct sms *sms;
	int64_t eta_s; /* ACT_ANSWER: busy */
	enum carrier_status status;
	char *text, *from;    /* ACT_DELIVER: owned */
	bool looked_at;	      /* its sms.delivered fault has acted … */
	bool shown;	      /* … and delays one that is in the journal already */
	bool received;	      /* the receiver has read it */
	bool overtaken;	      /* waits until the next one to its number has gone by; in `reordered` */
	LIST_ENTRY(act) link; /* in `kept` or `reordered`, or neither */
};
LIST_HEAD(acts, act);

struct carrier {
	struct carrier_config cfg;
	struct heap acts;
	struct sms *by_id;    /* hash */
	struct owner *owners; /* hash by uuid */
	TAILQ_HEAD(, sms) by_age;
	struct modems *modems;
	struct acts kept;      /* by a receiver that has not read them */
	struct acts reordered; /* in the heap, too */
	uint8_t next_ref;
	struct carrier_stats stats;
};

char *carrier_number(unsigned sender, char *out, size_t size)
{
	snprintf(out, size, "+34600%06u", sender + 1);
	return out;
}

static void on_submit(void *ctx, const struct instant *at, void *sms, unsigned from,
		      struct modems_answer *out);
static void on_over(void *ctx, const struct instant *at, void *sms, enum modems_status status, int cms,
		    int from, const char *why);
static void on_fetched(void *ctx, const struct instant *at, void *mail, unsigned to);
static void on_expired(void *ctx, const struct instant *at, void *mail, unsigned to, const char *why);

static const char *owner_of_sms(void *sms)
{
	return ((struct sms *)sms)->uuid;
}

static struct modems *make_modems(struct carrier *c)
{
	double typical_s = c->cfg.profile == CARRIER_TYPICAL ? SUBMIT_MEDIAN_S : 0;
	struct modems_config mc = {.senders = c->cfg.senders,
				   .receivers = c->cfg.receivers,
				   .per_minute = c->cfg.per_minute,
				   .per_day = c->cfg.per_day,
				   .send_time = c->cfg.send_time,
				   .init_time = c->cfg.init_time,
				   .result_time = c->cfg.send_limit,
				   .sms_s = (double)c->cfg.send_time / NS_PER_S + typical_s,
				   .seen = c->cfg.modems_seen,
				   .journal = c->cfg.journal,
				   .ctx = c,
				   .submit = on_submit,
				   .over = on_over,
				   .owner = owner_of_sms,
				   .fetched = on_fetched,
				   .expired = on_expired};

	return modems_new(&mc);
}

struct carrier *carrier_new(const struct carrier_config *cfg)
{
	struct carrier *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cfg = *cfg;
	heap_init(&c->acts);
	TAILQ_INIT(&c->by_age);
	LIST_INIT(&c->kept);
	LIST_INIT(&c->reordered);
	c->modems = make_modems(c);
	if (!c->modems) {
		free(c);
		return NULL;
	}
	return c;
}

static void zero_free(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void sms_free(struct sms *s)
{
	zero_free(s->text);
	free(s->id);
	free(s->uuid);
	free(s->to);
	free(s->r);
	free(s);
}

static void act_free(struct act *a)
{
	zero_free(a->text);
	free(a->from);
	free(a);
}

static void forget(struct carrier *c, struct sms *s)
{
	HASH_DEL(c->by_id, s);
	TAILQ_REMOVE(&c->by_age, s, age);
	sms_free(s);
}

void carrier_free(struct carrier *c)
{
	struct owner *o, *next;
	struct heap_node *n;

	if (!c)
		return;
	while ((n = heap_top(&c->acts))) {
		heap_remove(&c->acts, n);
		act_free(HEAP_ENTRY(n, struct act, node));
	}
	heap_fini(&c->acts);
	while (!LIST_EMPTY(&c->kept)) {
		struct act *a = LIST_FIRST(&c->kept);

		LIST_REMOVE(a, link);
		act_free(a);
	}
	modems_free(c->modems);
	while (!TAILQ_EMPTY(&c->by_age))
		forget(c, TAILQ_FIRST(&c->by_age));
	HASH_ITER(hh, c->owners, o, next)
	{
		HASH_DEL(c->owners, o);
		free(o);
	}
	free(c);
}

/* NULL without memory. */
static struct act *plan(struct carrier *c, struct sms *s, enum act_kind kind, time_ns when,
			const struct act *more)
{
	struct act *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (more)
		*a = *more;
	a->node = (struct heap_node){0};
	a->kind = kind;
	a->sms = s;
	if (heap_set(&c->acts, &a->node, when)) {
		free(a);
		return NULL;
	}
	s->acts++;
	return a;
}

static int answer(struct carrier *c, struct sms *s, time_ns when, enum carrier_status status, int64_t eta_s)
{
	struct act more = {.status = status, .eta_s = eta_s};

	return plan(c, s, ACT_ANSWER, when, &more) ? 0 : ERR_NOMEM;
}

/* ---- taking ---- */

static double lognormal(struct rng *r, double median, double sigma)
{
	double u = rng_unit(r), v = rng_unit(r);

	/* Box–Muller; 1 - u is never 0 */
	return median * exp(sigma * sqrt(-2 * log(1 - u)) * cos(2 * M_PI * v));
}

static time_ns seconds(double s)
{
	return (time_ns)(s * (double)NS_PER_S);
}

static void forget_old(struct carrier *c, time_ns now)
{
	struct sms *s;

	while ((s = TAILQ_FIRST(&c->by_age)) && !s->acts && now - s->came > ID_KEPT)
		forget(c, s);
}

static struct owner *owner_of(struct carrier *c, const char *uuid)
{
	size_t len = strlen(uuid);
	struct owner *o;

	HASH_FIND(hh, c->owners, uuid, len, o);
	if (o)
		return o;
	o = calloc(1, sizeof(*o) + len + 1);
	if (!o)
		return NULL;
	memcpy(o->uuid, uuid, len + 1);
	HASH_ADD_KEYPTR(hh, c->owners, o->uuid, len, o);
	if (o->unkept) {
		free(o);
		return NULL;
	}
	return o;
}

static struct sms *sms_new(struct carrier *c, const char *id, const char *uuid, const char *to,
			   const char *text, const char *r)
{
	struct owner *owner = owner_of(c, uuid);
	struct sms *s = owner ? calloc(1, sizeof(*s)) : NULL;
	char nth[16];

	if (!s)
		return NULL;
	s->id = strdup(id);
	s->uuid = strdup(uuid);
	s->to = strdup(to);
	s->text = strdup(text);
	s->r = strdup(r ? r : "");
	if (!s->id || !s->uuid || !s->to || !s->text || !s->r) {
		sms_free(s);
		return NULL;
	}
	s->ref = s->cms = -1;
	snprintf(nth, sizeof(nth), "sms %u", owner->sms++);
	rng_init(&s->rng, c->cfg.seed, uuid, nth);
	return s;
}

int carrier_send(struct carrier *c, const struct instant *at, const char *id, const char *uuid,
		 const char *to, const char *text, const char *r)
{
	struct sms *s;
	unsigned eta;

	forget_old(c, at->now);
	HASH_FIND_STR(c->by_id, id, s);
	if (s && s->status != CARRIER_BUSY)
		return answer(c, s, at->now, s->status, -1);
	if (!s) {
		s = sms_new(c, id, uuid, to, text, r);
		if (!s)
			return ERR_NOMEM;
		HASH_ADD_KEYPTR(hh, c->by_id, s->id, strlen(s->id), s);
		if (s->unkept) {
			sms_free(s);
			return ERR_NOMEM;
		}
		s->came = at->now;
		TAILQ_INSERT_TAIL(&c->by_age, s, age);
	}
	eta = modems_eta(c->modems, at);
	if (eta > LEASE_BUSY_S) {
		s->status = CARRIER_BUSY; /* not taken: it may come again */
		return answer(c, s, at->now, CARRIER_BUSY, eta == UINT32_MAX ? LEASE_BUSY_S : eta);
	}
	s->status = CARRIER_QUEUED;
	if (answer(c, s, at->now, CARRIER_QUEUED, -1) || modems_send(c->modems, at, s))
		return ERR_NOMEM;
	s->acts++; /* until it is over */
	return 0;
}

/* ---- acting ---- */

struct names {
	char code[HASH_FP_SIZE], to[HASH_FP_SIZE], from[HASH_FP_SIZE], modem[16];
};

static void name_all(struct carrier *c, const struct sms *s, const char *text, const char *from,
		     struct names *n)
{
	struct smstext parsed;

	memset(n, 0, sizeof(*n));
	if (smstext_parse(text, &parsed))
		hash_fingerprint(c->cfg.run_key, parsed.code, n->code);
	explicit_bzero(&parsed, sizeof(parsed));
	hash_fingerprint(c->cfg.run_key, s->to, n->to);
	hash_fingerprint(c->cfg.run_key, from, n->from);
	snprintf(n->modem, sizeof(n->modem), "s%u", s->sender + 1);
}

#define CODE_FP(n) JS(CODE_FP, (n)->code[0] ? (n)->code : NULL)
#define EMIT(c, at, s, kind, ...)                                                                            \
	JOURNAL((c)->cfg.journal, (at)->now, "carrier", (s)->uuid, NULL, (s)->r[0] ? (s)->r : NULL, kind,    \
		JS(ID, (s)->id), __VA_ARGS__)

static void lose(struct carrier *c, const struct instant *at, const struct sms *s, const struct names *n,
		 const char *why)
{
	c->stats.lost++;
	EMIT(c, at, s, J_SMS_LOST, CODE_FP(n), JS(TO_FP, n->to), JS(WHY, why));
}

static void plan_delivery(struct carrier *c, struct sms *s, time_ns when, const char *text, const char *from,
			  const struct act *as)
{
	struct act *a = plan(c, s, ACT_DELIVER, when, as);

	if (!a)
		return;
	a->text = strdup(text);
	a->from = strdup(from);
	if (a->overtaken)
		LIST_INSERT_HEAD(&c->reordered, a, link);
}

static void network(struct carrier *c, struct sms *s, struct fate *fate)
{
	double u;

	if (c->cfg.profile != CARRIER_TYPICAL) {
		fate->delay = time_add(fate->delay, CARRIER_PATH);
		return;
	}
	fate->delay = time_add(fate->delay, seconds(lognormal(&s->rng, DELIVER_MEDIAN_S, DELIVER_SIGMA)));
	if (rng_unit(&s->rng) < DELIVER_SLOW)
		fate->delay = time_add(fate->delay, seconds(rng_range(&s->rng, 60, DELIVER_SLOW_MAX_S)));
	u = rng_unit(&s->rng);
	if (u < LOST_SHARE && !fate->lost)
		fate->lost = "network";
	else if (u < LOST_SHARE + DUPLICATE_SHARE)
		fate->copies++;
}

/* The network answers at once, but in profile typical. */
static time_ns answer_time(struct carrier *c, struct sms *s)
{
	if (c->cfg.profile != CARRIER_TYPICAL)
		return 0;
	return seconds(fmin(lognormal(&s->rng, SUBMIT_MEDIAN_S, SUBMIT_SIGMA), SUBMIT_MAX_S));
}

static unsigned receiver_of(const struct carrier *c, const struct sms *s)
{
	return c->cfg.receiver ? c->cfg.receiver(s->to) % (c->cfg.receivers ? c->cfg.receivers : 1) : 0;
}

/* What of a fault the modem that sends is to play, and whoever receives. */
static void apply_to_modem(struct carrier *c, const struct instant *at, const struct sms *s,
			   const struct fault *f, struct modems_answer *out, struct fate *fate)
{
	char receiver[8];

	if (fault_is(f, "cms_error") || fault_is(f, "plain_error")) {
		out->cms = fault_is(f, "cms_error") ? (int)fate_arg(f, "code", 500) : 0;
		out->plain_error = !out->cms;
		/* whoever is told of a failure lost nothing on the way: submitted = delivered + lost + on its
		 * way */
		fate->lost = fault_do(f);
	} else if (fault_is(f, "late_cmgs")) {
		out->after = time_add(out->after, (time_ns)fate_arg(f, "by_ns", 0));
	} else if (fault_is(f, "no_final")) {
		out->silent = true;
		out->limit = c->cfg.modems_seen ? 0 : 1; /* modems that take no time give up at once */
		if (json_is_false(json_object_get(fault_args(f), "delivered")))
			fate->lost = "no_final";
	} else if (fault_is(f, "storage_full")) {
		snprintf(receiver, sizeof(receiver), "r%u", receiver_of(c, s) % 100 + 1);
		modems_act(c->modems, at, receiver, "storage_full", fault_args(f));
	} else if (f && !fate->lost) {
		out->fault = f;
	}
}

static void on_submit(void *ctx, const struct instant *at, void *sms, unsigned from,
		      struct modems_answer *out)
{
	struct carrier *c = ctx;
	struct sms *s = sms;
	struct fate fate = {0};
	const struct fault *f;
	struct names n;
	char number[24];
	time_ns on_air;

	s->sender = from;
	carrier_number(from, number, sizeof(number));
	name_all(c, s, s->text, number, &n);
	s->ref = c->next_ref++;
	c->stats.submitted++;
	out->after = on_air = answer_time(c, s);
	f = EMIT(c, at, s, J_SMS_SUBMITTED, CODE_FP(&n), JS(TO_FP, n.to), JS(FROM_FP, n.from),
		 JS(MODEM, n.modem), JI(REF, s->ref));
	if (fate_is(f))
		fate_judge(f, s->text, &fate);
	else
		apply_to_modem(c, at, s, f, out, &fate);
	fate.delay = time_add(fate.delay, on_air);
	network(c, s, &fate);
	if (fate.lost)
		lose(c, at, s, &n, fate.lost);
	for (int64_t i = 0; !fate.lost && i <= fate.copies; i++)
		plan_delivery(c, s, time_add(time_add(at->now, fate.delay), fate.apart * (time_ns)i),
			      fate.text ? fate.text : s->text, fate.from ? fate.from : number,
			      &(struct act){.overtaken = fate.overtaken && i == 0});
	fate_fini(&fate);
}

static void on_over(void *ctx, const struct instant *at, void *sms, enum modems_status status, int cms,
		    int from, const char *why)
{
	struct carrier *c = ctx;
	struct sms *s = sms;
	struct names n;
	const char *modem;

	name_all(c, s, s->text, "", &n);
	modem = from < 0 ? NULL : n.modem;
	if (from >= 0)
		snprintf(n.modem, sizeof(n.modem), "s%d", from + 1);
	s->cms = cms;
	s->status = status == MODEMS_SUBMITTED ? CARRIER_SUBMITTED
		    : status == MODEMS_FAILED  ? CARRIER_FAILED
					       : CARRIER_UNKNOWN;
	if (status != MODEMS_SUBMITTED)
		s->ref = -1;
	c->stats.failed += status == MODEMS_FAILED;
	if (status == MODEMS_UNKNOWN)
		EMIT(c, at, s, J_SMS_UNKNOWN, CODE_FP(&n), JS(TO_FP, n.to), JS(MODEM, modem), JS(WHY, why));
	else if (status == MODEMS_FAILED && cms >= 0)
		EMIT(c, at, s, J_SMS_FAILED, CODE_FP(&n), JS(TO_FP, n.to), JI(CMS, cms), JS(MODEM, modem),
		     JS(WHY, why));
	else if (status == MODEMS_FAILED)
		EMIT(c, at, s, J_SMS_FAILED, CODE_FP(&n), JS(TO_FP, n.to), JS(MODEM, modem), JS(WHY, why));
	answer(c, s, at->now, s->status, -1);
	zero_free(s->text);
	s->text = NULL;
	s->acts--;
}

/* The next one to a number lets the one go that waits for it. */
static void release(struct carrier *c, const struct instant *at, const struct sms *s)
{
	struct act *a;

	LIST_FOREACH(a, &c->reordered, link)
	if (a->sms != s && strcmp(a->sms->to, s->to) == 0)
		break;
	if (a)
		heap_set(&c->acts, &a->node, at->now);
}

static void deliver(struct carrier *c, struct sms *s, const struct instant *at, const struct act *a)
{
	struct fate fate = {0};
	const struct fault *f = NULL;
	struct smstext parsed;
	const char *text, *from;
	struct names n;
	char receiver[16];

	name_all(c, s, a->text, a->from, &n);
	snprintf(receiver, sizeof(receiver), "r%u", receiver_of(c, s) + 1);
	if (!a->shown)
		f = EMIT(c, at, s, J_SMS_DELIVERED, CODE_FP(&n), JS(TO_FP, n.to), JS(FROM_FP, n.from),
			 JS(MODEM, receiver));
	if (!a->looked_at)
		fate_judge(f, a->text, &fate);
	text = fate.text ? fate.text : a->text;
	from = fate.from ? fate.from : a->from;
	if (fate.lost) {
		lose(c, at, s, &n, fate.lost);
	} else if (fate.delay) {
		plan_delivery(c, s, time_add(at->now, fate.delay), text, from,
			      &(struct act){.looked_at = true, .shown = true, .received = true});
	} else {
		bool ours = smstext_parse(text, &parsed);

		c->stats.delivered++;
		if (c->cfg.deliver)
			c->cfg.deliver(c->cfg.ctx, at, ours ? parsed.uuid : s->uuid, from, text);
		for (int64_t i = 1; i <= fate.copies; i++)
			plan_delivery(c, s, time_add(at->now, fate.apart * (time_ns)i), text, from,
				      &(struct act){.looked_at = true, .received = true});
	}
	explicit_bzero(&parsed, sizeof(parsed));
	fate_fini(&fate);
}

/* Takes `a`, which is in no heap and no list any more. */
static void arrive(struct carrier *c, const struct instant *at, struct act *a)
{
	struct sms *s = a->sms;

	if (!a->text || !a->from)
		goto out; /* without memory */
	if (!a->received && !modems_receive(c->modems, at, receiver_of(c, s), s->uuid, a)) {
		LIST_INSERT_HEAD(&c->kept, a, link);
		return;
	}
	deliver(c, s, at, a);
	if (!a->overtaken)
		release(c, at, s);
out:
	s->acts--;
	act_free(a);
}

static void on_fetched(void *ctx, const struct instant *at, void *mail, unsigned to)
{
	struct act *a = mail;

	(void)to;
	LIST_REMOVE(a, link);
	a->received = true;
	arrive(ctx, at, a);
}

static void on_expired(void *ctx, const struct instant *at, void *mail, unsigned to, const char *why)
{
	struct carrier *c = ctx;
	struct act *a = mail;
	struct names n;

	(void)to;
	LIST_REMOVE(a, link);
	name_all(c, a->sms, a->text, a->from, &n);
	lose(c, at, a->sms, &n, why);
	a->sms->acts--;
	act_free(a);
}

int carrier_modem(struct carrier *c, const struct instant *at, const char *modem, const char *what,
		  json_t *args)
{
	return modems_act(c->modems, at, modem, what, args);
}

void carrier_turn(struct carrier *c, const struct instant *at)
{
	while (heap_deadline(&c->acts) <= at->now) {
		struct act *a = HEAP_ENTRY(heap_top(&c->acts), struct act, node);
		struct sms *s = a->sms;

		heap_remove(&c->acts, &a->node);
		if (a->kind == ACT_DELIVER) {
			if (a->overtaken)
				LIST_REMOVE(a, link);
			arrive(c, at, a);
			continue;
		}
		if (c->cfg.status)
			c->cfg.status(c->cfg.ctx, at, s->id, a->status, a->eta_s, s->cms,
				      a->status == CARRIER_SUBMITTED ? s->ref : -1);
		s->acts--;
		act_free(a);
	}
	modems_turn(c->modems, at);
}

time_ns carrier_deadline(const struct carrier *c)
{
	return time_min(heap_deadline(&c->acts), modems_deadline(c->modems));
}

void carrier_stats(const struct carrier *c, struct carrier_stats *out)
{
	*out = c->stats;
}
