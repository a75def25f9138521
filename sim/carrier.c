#include "sim/carrier.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(e) ((e)->unkept = true)
#include <uthash.h>

#include "core/fault.h"
#include "core/hash.h"
#include "core/heap.h"
#include "core/rng.h"
#include "core/smstext.h"

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
#define SUBMIT_MEDIAN_S   2.5
#define SUBMIT_SIGMA      0.532
#define SUBMIT_MAX_S      30.0
#define DELIVER_MEDIAN_S  4.0
#define DELIVER_SIGMA     0.8035
#define DELIVER_SLOW      0.01 /* minutes */
#define DELIVER_SLOW_MAX_S 300.0
#define LOST_SHARE        0.005
#define DUPLICATE_SHARE   0.002

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

enum act_kind { ACT_ANSWER, ACT_SUBMIT, ACT_DELIVER };

struct act {
	struct heap_node node;
	enum act_kind kind;
	struct sms *sms;
	int64_t eta_s;     /* ACT_ANSWER: busy */
	enum carrier_status status;
	char *text, *from; /* ACT_DELIVER: owned */
	bool looked_at;    /* its sms.delivered fault has acted … */
	bool shown;        /* … and delays one that is in the journal already */
};

struct carrier {
	struct carrier_config cfg;
	struct heap acts;
	struct sms *by_id; /* hash */
	struct owner *owners; /* hash by uuid */
	TAILQ_HEAD(, sms) by_age;
	time_ns free_at[CARRIER_SENDERS_MAX];
	unsigned next_sender;
	uint8_t next_ref;
	struct carrier_stats stats;
};

char *carrier_number(unsigned sender, char *out, size_t size)
{
	snprintf(out, size, "+34600%06u", sender + 1);
	return out;
}

struct carrier *carrier_new(const struct carrier_config *cfg)
{
	struct carrier *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->cfg = *cfg;
	if (!c->cfg.senders)
		c->cfg.senders = 1;
	if (c->cfg.senders > CARRIER_SENDERS_MAX)
		c->cfg.senders = CARRIER_SENDERS_MAX;
	heap_init(&c->acts);
	TAILQ_INIT(&c->by_age);
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
	while (!TAILQ_EMPTY(&c->by_age))
		forget(c, TAILQ_FIRST(&c->by_age));
	HASH_ITER(hh, c->owners, o, next) {
		HASH_DEL(c->owners, o);
		free(o);
	}
	free(c);
}

/* Takes `text` and `from` (may be NULL). */
static int plan(struct carrier *c, struct sms *s, enum act_kind kind, time_ns when, const struct act *more)
{
	struct act *a = calloc(1, sizeof(*a));

	if (!a)
		return ERR_NOMEM;
	if (more)
		*a = *more;
	a->node = (struct heap_node){0};
	a->kind = kind;
	a->sms = s;
	if (heap_set(&c->acts, &a->node, when)) {
		free(a);
		return ERR_NOMEM;
	}
	s->acts++;
	return 0;
}

static int answer(struct carrier *c, struct sms *s, time_ns when, enum carrier_status status, int64_t eta_s)
{
	struct act more = {.status = status, .eta_s = eta_s};

	return plan(c, s, ACT_ANSWER, when, &more);
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

/* The modem that is free first; ties go round. */
static unsigned pick_sender(struct carrier *c)
{
	unsigned best = c->next_sender % c->cfg.senders;

	for (unsigned i = 1; i < c->cfg.senders; i++) {
		unsigned k = (c->next_sender + i) % c->cfg.senders;

		if (c->free_at[k] < c->free_at[best])
			best = k;
	}
	c->next_sender = best + 1;
	return best;
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

static struct sms *sms_new(struct carrier *c, const char *id, const char *uuid, const char *to, const char *text,
			   const char *r)
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

int carrier_send(struct carrier *c, const struct instant *at, const char *id, const char *uuid, const char *to,
		 const char *text, const char *r)
{
	struct sms *s;
	time_ns start;

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
	s->sender = pick_sender(c);
	start = c->free_at[s->sender] > at->now ? c->free_at[s->sender] : at->now;
	if (start - at->now > CARRIER_BUSY_AFTER) {
		s->status = CARRIER_BUSY; /* not taken: it may come again */
		return answer(c, s, at->now, CARRIER_BUSY, (int64_t)((start - at->now) / NS_PER_S));
	}
	s->status = CARRIER_QUEUED;
	start = time_add(start, c->cfg.send_time);
	if (c->cfg.profile == CARRIER_TYPICAL)
		start = time_add(start, seconds(fmin(lognormal(&s->rng, SUBMIT_MEDIAN_S, SUBMIT_SIGMA), SUBMIT_MAX_S)));
	c->free_at[s->sender] = start;
	if (answer(c, s, at->now, CARRIER_QUEUED, -1))
		return ERR_NOMEM;
	return plan(c, s, ACT_SUBMIT, start, NULL);
}

/* ---- acting ---- */

struct names {
	char code[HASH_FP_SIZE], to[HASH_FP_SIZE], from[HASH_FP_SIZE], modem[16];
};

static void name_all(struct carrier *c, const struct sms *s, const char *text, const char *from, struct names *n)
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
#define EMIT(c, at, s, kind, ...)                                                                              \
	JOURNAL((c)->cfg.journal, (at)->now, "carrier", (s)->uuid, NULL, (s)->r[0] ? (s)->r : NULL, kind,      \
		JS(ID, (s)->id), __VA_ARGS__)

static void lose(struct carrier *c, const struct instant *at, const struct sms *s, const struct names *n,
		 const char *why)
{
	c->stats.lost++;
	EMIT(c, at, s, J_SMS_LOST, CODE_FP(n), JS(TO_FP, n->to), JS(WHY, why));
}

static char *with_code(const char *text, const char *code)
{
	struct smstext parsed;
	size_t len, step;
	char *out = NULL, *to;

	if (!smstext_parse(text, &parsed) || !parsed.code[0])
		return strdup(text);
	len = strlen(parsed.code);
	step = strlen(code);
	to = out = malloc(strlen(text) * (step + 1) + 1);
	while (out && *text) {
		if (strncmp(text, parsed.code, len) == 0) {
			memcpy(to, code, step);
			to += step;
			text += len;
		} else {
			*to++ = *text++;
		}
	}
	if (out)
		*to = '\0';
	explicit_bzero(&parsed, sizeof(parsed));
	return out;
}

/* What a fault makes of one message. */
struct fate {
	const char *lost;
	time_ns delay, apart;
	int64_t copies; /* besides the first */
	char *text, *from; /* NULL: as they were; owned */
};

static int64_t arg_int(const struct fault *f, const char *key, int64_t absent)
{
	json_t *v = json_object_get(fault_args(f), key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : absent;
}

static void judge(const struct fault *f, const char *text, struct fate *fate)
{
	const char *with = f ? json_string_value(json_object_get(fault_args(f), "with")) : NULL;

	if (fault_is(f, "lose")) {
		fate->lost = "fault";
	} else if (fault_is(f, "delay")) {
		fate->delay = (time_ns)arg_int(f, "by_ns", 0);
	} else if (fault_is(f, "duplicate")) {
		fate->copies = arg_int(f, "times", 1);
		fate->apart = (time_ns)arg_int(f, "apart_ns", 0);
	} else if (fault_is(f, "replace_code")) {
		fate->text = with_code(text, with ? with : "");
	} else if (fault_is(f, "replace_text")) {
		fate->text = strdup(with ? with : "");
	} else if (fault_is(f, "replace_sender")) {
		fate->from = strdup(with ? with : "");
	}
	if (fate->copies > CARRIER_COPIES_MAX)
		fate->copies = CARRIER_COPIES_MAX;
}

static void plan_delivery(struct carrier *c, struct sms *s, time_ns when, const char *text, const char *from,
			  const struct act *as)
{
	struct act more = *as;

	more.text = strdup(text);
	more.from = strdup(from);

	if (!more.text || !more.from || plan(c, s, ACT_DELIVER, when, &more)) {
		zero_free(more.text);
		free(more.from);
	}
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

/* The modem answers with an error: surely not sent. */
static void refuse(struct carrier *c, struct sms *s, const struct instant *at, const struct names *n,
		   const struct fault *f)
{
	bool coded = fault_is(f, "cms_error");

	s->cms = coded ? (int)arg_int(f, "code", 500) : -1;
	s->ref = -1;
	s->status = CARRIER_FAILED;
	c->stats.failed++;
	/* whoever is told of a failure lost nothing on the way: submitted = delivered + lost + on its way */
	lose(c, at, s, n, fault_do(f));
	if (coded)
		EMIT(c, at, s, J_SMS_FAILED, CODE_FP(n), JS(TO_FP, n->to), JI(CMS, s->cms), JS(MODEM, n->modem),
		     JS(WHY, "fault"));
	else
		EMIT(c, at, s, J_SMS_FAILED, CODE_FP(n), JS(TO_FP, n->to), JS(MODEM, n->modem), JS(WHY, "fault"));
}

static void submit(struct carrier *c, struct sms *s, const struct instant *at)
{
	time_ns answered = at->now;
	struct fate fate = {NULL, 0, 0, 0, NULL, NULL};
	const struct fault *f;
	struct names n;
	char number[24];

	carrier_number(s->sender, number, sizeof(number));
	name_all(c, s, s->text, number, &n);
	s->ref = c->next_ref++;
	c->stats.submitted++;
	f = EMIT(c, at, s, J_SMS_SUBMITTED, CODE_FP(&n), JS(TO_FP, n.to), JS(FROM_FP, n.from), JS(MODEM, n.modem),
		 JI(REF, s->ref));
	if (fault_is(f, "cms_error") || fault_is(f, "plain_error")) {
		refuse(c, s, at, &n, f);
		goto out;
	}
	s->status = CARRIER_SUBMITTED;
	if (fault_is(f, "late_cmgs"))
		answered = time_add(answered, (time_ns)arg_int(f, "by_ns", 0));
	if (fault_is(f, "no_final")) {
		s->status = CARRIER_UNKNOWN;
		s->ref = -1;
		EMIT(c, at, s, J_SMS_UNKNOWN, CODE_FP(&n), JS(TO_FP, n.to), JS(MODEM, n.modem), JS(WHY, "fault"));
		if (json_is_false(json_object_get(fault_args(f), "delivered")))
			fate.lost = "no_final";
	}
	judge(f, s->text, &fate);
	network(c, s, &fate);
	if (fate.lost) {
		lose(c, at, s, &n, fate.lost);
		goto out;
	}
	for (int64_t i = 0; i <= fate.copies; i++)
		plan_delivery(c, s, time_add(time_add(at->now, fate.delay), fate.apart * (time_ns)i),
			      fate.text ? fate.text : s->text, fate.from ? fate.from : number, &(struct act){0});
out:
	answer(c, s, answered, s->status, -1);
	zero_free(fate.text);
	free(fate.from);
	zero_free(s->text);
	s->text = NULL;
}

static void deliver(struct carrier *c, struct sms *s, const struct instant *at, const struct act *a)
{
	struct fate fate = {NULL, 0, 0, 0, NULL, NULL};
	const struct fault *f = NULL;
	struct smstext parsed;
	const char *text, *from;
	struct names n;

	name_all(c, s, a->text, a->from, &n);
	if (!a->shown)
		f = EMIT(c, at, s, J_SMS_DELIVERED, CODE_FP(&n), JS(TO_FP, n.to), JS(FROM_FP, n.from),
			 JS(MODEM, "r1"));
	if (!a->looked_at)
		judge(f, a->text, &fate);
	text = fate.text ? fate.text : a->text;
	from = fate.from ? fate.from : a->from;
	if (fate.lost) {
		lose(c, at, s, &n, fate.lost);
	} else if (fate.delay) {
		plan_delivery(c, s, time_add(at->now, fate.delay), text, from,
			      &(struct act){.looked_at = true, .shown = true});
	} else {
		bool ours = smstext_parse(text, &parsed);

		c->stats.delivered++;
		if (c->cfg.deliver)
			c->cfg.deliver(c->cfg.ctx, at, ours ? parsed.uuid : s->uuid, from, text);
		for (int64_t i = 1; i <= fate.copies; i++)
			plan_delivery(c, s, time_add(at->now, fate.apart * (time_ns)i), text, from,
				      &(struct act){.looked_at = true});
	}
	explicit_bzero(&parsed, sizeof(parsed));
	zero_free(fate.text);
	free(fate.from);
}

void carrier_turn(struct carrier *c, const struct instant *at)
{
	while (heap_deadline(&c->acts) <= at->now) {
		struct act *a = HEAP_ENTRY(heap_top(&c->acts), struct act, node);
		struct sms *s = a->sms;

		heap_remove(&c->acts, &a->node);
		switch (a->kind) {
		case ACT_ANSWER:
			if (c->cfg.status)
				c->cfg.status(c->cfg.ctx, at, s->id, a->status, a->eta_s, s->cms,
					      a->status == CARRIER_SUBMITTED ? s->ref : -1);
			break;
		case ACT_SUBMIT:
			submit(c, s, at);
			break;
		case ACT_DELIVER:
			deliver(c, s, at, a);
			break;
		}
		s->acts--;
		act_free(a);
	}
}

time_ns carrier_deadline(const struct carrier *c)
{
	return heap_deadline(&c->acts);
}

void carrier_stats(const struct carrier *c, struct carrier_stats *out)
{
	*out = c->stats;
}
