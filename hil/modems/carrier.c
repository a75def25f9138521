#include "hil/modems/carrier.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/rng.h"
#include "core/smstext.h"

#define CMS_UNASSIGNED_NUMBER 1
#define CMS_CONGESTION	      42

#define NATIONAL_DIGITS_MIN 6
#define VALIDITY_DEFAULT_S  (7 * 86400) /* where the sender names none */
#define REORDER_WITHIN_NS   (5 * NS_PER_S)
#define DUPLICATES_MAX	    100

/* Profile `typical` (hil.md): lognormal by median and sigma = ln(p95 / median) / 1.645 */
#define SUBMIT_MEDIAN_S	   2.5
#define SUBMIT_SIGMA	   0.532
#define SUBMIT_MAX_S	   30.0
#define DELIVERY_MEDIAN_S  4.0
#define DELIVERY_SIGMA	   0.804
#define DELIVERY_MAX_S	   60.0
#define MINUTES_SHARE	   0.01 /* of the messages take minutes */
#define MINUTES_MIN_S	   60.0
#define MINUTES_MAX_S	   300.0
#define LOSS_SHARE	   0.005
#define DUPLICATE_SHARE	   0.002
#define DUPLICATE_APART_NS (5 * NS_PER_S)

struct message {
	TAILQ_ENTRY(message) entry;
	time_ns due;
	time_ns submitted, expires;
	unsigned to;
	unsigned reporter; /* who wants the status report; GSM_SUBSCRIBERS_MAX: nobody */
	uint8_t reference;
	bool overtaken; /* waits until the next one to its receiver has gone by */
	char code_fp[HASH_FP_SIZE], to_fp[HASH_FP_SIZE];
	char uuid[37], r[9];
	char to_number[PDU_ADDRESS_MAX];
	struct pdu_deliver d;
};
TAILQ_HEAD(messages, message);

struct subscriber {
	char *name, *number;
	uint8_t reference; /* next TP-MR */
	struct rng submit, delivery;
	struct messages held; /* not taken yet, oldest first */
};

struct gsm_carrier {
	struct gsm_carrier_setup setup;
	struct messages queue; /* by (due, order of arrival) */
	struct subscriber subscribers[GSM_SUBSCRIBERS_MAX];
	unsigned count;
	struct gsm_stats stats;
};

struct gsm_carrier *gsm_carrier_new(const struct gsm_carrier_setup *setup)
{
	struct gsm_carrier *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->setup = *setup;
	TAILQ_INIT(&c->queue);
	return c;
}

static void messages_free(struct messages *list)
{
	struct message *m;

	while ((m = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, m, entry);
		free(m);
	}
}

void gsm_carrier_free(struct gsm_carrier *c)
{
	if (!c)
		return;
	messages_free(&c->queue);
	for (unsigned i = 0; i < c->count; i++) {
		messages_free(&c->subscribers[i].held);
		free(c->subscribers[i].name);
		free(c->subscribers[i].number);
	}
	free(c);
}

/* Digits without '+' or a leading 00; true where the form is international. */
static bool canonical(const char *number, char out[PDU_ADDRESS_MAX])
{
	bool international = number[0] == '+' || strncmp(number, "00", 2) == 0;
	size_t n = 0;

	number += number[0] == '+' ? 1 : international ? 2 : 0;
	for (; *number && n + 1 < PDU_ADDRESS_MAX; number++) {
		if (isdigit((unsigned char)*number))
			out[n++] = *number;
	}
	out[n] = '\0';
	return international;
}

int gsm_carrier_find(const struct gsm_carrier *c, const char *number)
{
	char want[PDU_ADDRESS_MAX], have[PDU_ADDRESS_MAX];
	bool international = canonical(number, want);
	size_t n = strlen(want);
	int found = ERR_NOTFOUND;

	if (!n)
		return ERR_NOTFOUND;
	for (unsigned i = 0; i < c->count; i++) {
		size_t len;

		canonical(c->subscribers[i].number, have);
		len = strlen(have);
		if (strcmp(have, want) == 0)
			return (int)i;
		if (!international && n >= NATIONAL_DIGITS_MIN && n < len &&
		    strcmp(have + len - n, want) == 0)
			found = (int)i;
	}
	return found;
}

int gsm_carrier_subscribe(struct gsm_carrier *c, const char *name, const char *number)
{
	struct subscriber *s = &c->subscribers[c->count];
	char have[PDU_ADDRESS_MAX], want[PDU_ADDRESS_MAX];

	if (c->count == GSM_SUBSCRIBERS_MAX)
		return ERR_LIMIT;
	canonical(number, want);
	for (unsigned i = 0; i < c->count; i++) {
		canonical(c->subscribers[i].number, have);
		if (strcmp(have, want) == 0)
			return ERR_EXISTS;
	}
	s->name = strdup(name);
	s->number = strdup(number);
	TAILQ_INIT(&s->held);
	if (!s->name || !s->number) {
		free(s->name);
		free(s->number);
		return ERR_NOMEM;
	}
	rng_init(&s->submit, c->setup.seed, name, "submit");
	rng_init(&s->delivery, c->setup.seed, name, "delivery");
	return (int)c->count++;
}

static void enqueue(struct gsm_carrier *c, struct message *m, time_ns due)
{
	struct message *at;

	m->due = due;
	TAILQ_FOREACH_REVERSE(at, &c->queue, messages, entry)
	{
		if (at->due <= due)
			break;
	}
	if (at)
		TAILQ_INSERT_AFTER(&c->queue, at, m, entry);
	else
		TAILQ_INSERT_HEAD(&c->queue, m, entry);
	c->stats.waiting++;
}

static void lost(struct gsm_carrier *c, time_ns now, const struct message *m, const char *why)
{
	c->stats.lost++;
	JOURNAL(c->setup.journal, now, "carrier", m->uuid[0] ? m->uuid : NULL, NULL, m->r[0] ? m->r : NULL,
		J_SMS_LOST, JS(ID, ""), JS(CODE_FP, m->code_fp[0] ? m->code_fp : NULL),
		JS(TO_FP, m->to_fp[0] ? m->to_fp : NULL), JS(WHY, why));
}

static void send_report(struct gsm_carrier *c, time_ns now, const struct message *m, uint8_t status)
{
	struct pdu_report r = {.reference = m->reference, .smsc = m->d.smsc, .status = status};

	if (m->reporter == GSM_SUBSCRIBERS_MAX)
		return;
	pdu_set_address(m->to_number, &r.to);
	r.scts_unix_s = m->d.scts_unix_s;
	r.done_unix_s = m->d.scts_unix_s + (int64_t)((now - m->submitted) / NS_PER_S);
	c->stats.reports++;
	c->setup.report(c->setup.ctx, m->reporter, now, &r);
}

/* Seconds, from a lognormal distribution cut at `max`. */
static double lognormal(struct rng *r, double median, double sigma, double max)
{
	double u = 1.0 - rng_unit(r), v = rng_unit(r);
	double normal = sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * v); /* Box-Muller */
	double x = median * exp(sigma * normal);

	return x < max ? x : max;
}

static time_ns delivery_delay(struct gsm_carrier *c, struct subscriber *from)
{
	struct rng *r = &from->delivery;
	double minutes, s;

	if (c->setup.profile == GSM_IMMEDIATE)
		return 0;
	minutes = rng_unit(r);
	s = lognormal(r, DELIVERY_MEDIAN_S, DELIVERY_SIGMA, DELIVERY_MAX_S);
	if (minutes < MINUTES_SHARE)
		s = rng_range(r, MINUTES_MIN_S, MINUTES_MAX_S);
	return (time_ns)(s * (double)NS_PER_S);
}

static time_ns submit_delay(struct gsm_carrier *c, struct subscriber *from)
{
	if (c->setup.profile == GSM_IMMEDIATE)
		return 0;
	return (time_ns)(lognormal(&from->submit, SUBMIT_MEDIAN_S, SUBMIT_SIGMA, SUBMIT_MAX_S) *
			 (double)NS_PER_S);
}

static time_ns expiry(const struct pdu_submit *s, time_ns now, int64_t unix_s)
{
	int64_t seconds = s->valid_s ? (int64_t)s->valid_s : VALIDITY_DEFAULT_S;

	if (s->vp == PDU_VP_ABSOLUTE)
		seconds = s->valid_unix_s > unix_s ? s->valid_unix_s - unix_s : 0;
	return time_add(now, (time_ns)seconds * NS_PER_S);
}

/* `text` with every occurrence of `what` replaced, into one message. */
static int replace_in_text(struct pdu_user_data *ud, const char *what, const char *with)
{
	char text[PDU_TEXT_MAX];
	const char *p = pdu_text(ud, text), *at;
	struct pdu_user_data fresh;
	struct buf b;
	int rv;

	buf_init(&b, 2 * PDU_TEXT_MAX);
	while ((at = strstr(p, what))) {
		buf_add(&b, p, (size_t)(at - p));
		buf_puts(&b, with);
		p = at + strlen(what);
	}
	buf_puts(&b, p);
	rv = b.failed ? b.failed : pdu_set_text(b.data ? b.data : "", &fresh);
	if (rv == 0)
		*ud = fresh;
	buf_fini(&b);
	return rv;
}

/* Words in front of it, until its end does not fit any more. */
static int cut_off(struct pdu_user_data *ud)
{
	char text[PDU_TEXT_MAX], out[SMSTEXT_MAX];
	struct pdu_user_data fresh;
	int rv;

	smstext_overlong(pdu_text(ud, text), out);
	rv = pdu_set_text(out, &fresh);
	if (rv == 0)
		*ud = fresh;
	explicit_bzero(text, sizeof(text));
	explicit_bzero(out, sizeof(out));
	return rv;
}

static int64_t arg_int(const struct fault *f, const char *key, int64_t absent)
{
	json_t *v = json_object_get(fault_args(f), key);

	return json_is_integer(v) ? json_integer_value(v) : absent;
}

static const char *arg_text(const struct fault *f, const char *key)
{
	const char *v = json_string_value(json_object_get(fault_args(f), key));

	return v ? v : "";
}

static const char *const carrier_faults[] = {"lose",	     "delay",	     "duplicate",      "reorder",
					     "replace_code", "replace_text", "replace_sender", "lose_report",
					     "cms_error",    "plain_error",  "no_final",       "late_cmgs",
					     "overlong"};

bool gsm_carrier_knows_fault(const char *what)
{
	for (size_t i = 0; i < sizeof(carrier_faults) / sizeof(carrier_faults[0]); i++) {
		if (strcmp(carrier_faults[i], what) == 0)
			return true;
	}
	return false;
}

/* What becomes of one submitted message. */
struct fate {
	const char *lost; /* why; NULL: it goes on */
	time_ns delay, apart;
	int64_t copies; /* besides the first */
};

static time_ns arg_ns(const struct fault *f, const char *key, time_ns absent)
{
	int64_t v = arg_int(f, key, -1);

	return v < 0 ? absent : (time_ns)v;
}

static void apply_to_message(struct gsm_carrier *c, time_ns now, const struct fault *f, struct message *m,
			     const char *code, struct fate *fate)
{
	int rv = 0;

	if (fault_is(f, "lose")) {
		fate->lost = "fault";
	} else if (fault_is(f, "delay")) {
		fate->delay = time_add(fate->delay, arg_ns(f, "by_ns", 0));
	} else if (fault_is(f, "duplicate")) {
		fate->copies = arg_int(f, "times", 1);
		fate->apart = arg_ns(f, "apart_ns", 0);
	} else if (fault_is(f, "reorder")) {
		m->overtaken = true;
		fate->delay = time_add(fate->delay, arg_ns(f, "within_ns", REORDER_WITHIN_NS));
	} else if (fault_is(f, "replace_code")) {
		rv = code[0] ? replace_in_text(&m->d.ud, code, arg_text(f, "with")) : 0;
	} else if (fault_is(f, "replace_text")) {
		struct pdu_user_data fresh;

		rv = pdu_set_text(arg_text(f, "with"), &fresh);
		if (rv == 0)
			m->d.ud = fresh;
		m->d.ud.header = m->d.ud.header && rv;
	} else if (fault_is(f, "overlong")) {
		rv = cut_off(&m->d.ud);
	} else if (fault_is(f, "replace_sender")) {
		pdu_set_address(arg_text(f, "with"), &m->d.from);
	} else if (fault_is(f, "lose_report")) {
		m->reporter = GSM_SUBSCRIBERS_MAX;
	}
	if (rv)
		JOURNAL(c->setup.journal, now, "carrier", NULL, NULL, NULL, J_HARNESS_NOTE,
			JS(TEXT, "the replacement does not fit into one SMS; it was sent unchanged"));
}

static void apply_to_answer(const struct fault *f, struct gsm_verdict *v, struct fate *fate)
{
	if (fault_is(f, "cms_error")) {
		v->cms = (int)arg_int(f, "code", 500);
		fate->lost = "cms_error";
	} else if (fault_is(f, "plain_error")) {
		v->plain_error = true;
		fate->lost = "plain_error";
	} else if (fault_is(f, "no_final")) {
		v->silent = true;
		if (json_is_false(json_object_get(fault_args(f), "delivered")))
			fate->lost = "no_final";
	} else if (fault_is(f, "late_cmgs")) {
		v->answer_at = time_add(v->answer_at, arg_ns(f, "by_ns", 0));
	} else if (f && !gsm_carrier_knows_fault(fault_do(f))) {
		v->fault = f;
	}
}

/* Queues the message and its copies; takes `m`. */
static void route(struct gsm_carrier *c, time_ns now, struct message *m, const struct fate *fate)
{
	time_ns due = time_add(now, fate->delay);

	if (fate->lost) {
		lost(c, now, m, fate->lost);
		free(m);
		return;
	}
	for (int64_t i = 0; i < fate->copies && i < DUPLICATES_MAX; i++) {
		struct message *copy = malloc(sizeof(*copy));

		if (!copy)
			break;
		*copy = *m;
		copy->reporter = GSM_SUBSCRIBERS_MAX;
		enqueue(c, copy, time_add(due, fate->apart * (time_ns)(i + 1)));
	}
	enqueue(c, m, due);
}

static struct message *message_new(struct gsm_carrier *c, const struct subscriber *from, time_ns now,
				   int64_t unix_s, const struct pdu_submit *s, char code[CODE_LEN_MAX + 1])
{
	struct message *m = calloc(1, sizeof(*m));
	char text[PDU_TEXT_MAX];
	struct smstext parsed;

	code[0] = '\0';
	if (!m)
		return NULL;
	m->submitted = now;
	m->expires = expiry(s, now, unix_s);
	m->reporter = GSM_SUBSCRIBERS_MAX;
	m->d.smsc = s->smsc;
	pdu_set_address(from->number, &m->d.from);
	m->d.reply_path = s->reply_path;
	m->d.report = s->report;
	m->d.pid = s->pid;
	m->d.scts_unix_s = unix_s;
	m->d.ud = s->ud;
	memcpy(m->to_number, s->to.text, sizeof(m->to_number));
	if (smstext_parse(pdu_text(&s->ud, text), &parsed)) {
		memcpy(m->uuid, parsed.uuid, sizeof(m->uuid));
		memcpy(m->r, parsed.r, sizeof(m->r));
		memcpy(code, parsed.code, sizeof(parsed.code));
		if (c->setup.run_key)
			hash_fingerprint(c->setup.run_key, parsed.code, m->code_fp);
	}
	return m;
}

void gsm_carrier_submit(struct gsm_carrier *c, unsigned from, time_ns now, int64_t unix_s,
			const struct pdu_submit *submit, struct gsm_verdict *out)
{
	struct subscriber *sender = &c->subscribers[from];
	struct fate fate = {0};
	char code[CODE_LEN_MAX + 1], from_fp[HASH_FP_SIZE] = "";
	const struct fault *f;
	struct message *m;
	int to = gsm_carrier_find(c, submit->to.text);

	memset(out, 0, sizeof(*out));
	out->to = to < 0 ? GSM_SUBSCRIBERS_MAX : (unsigned)to;
	out->answer_at = time_add(now, submit_delay(c, sender));
	out->cms = to < 0 ? CMS_UNASSIGNED_NUMBER : c->stats.waiting >= GSM_MESSAGES_MAX ? CMS_CONGESTION : 0;
	m = out->cms ? NULL : message_new(c, sender, now, unix_s, submit, code);
	if (!m) {
		out->cms = out->cms ? out->cms : CMS_CONGESTION;
		c->stats.refused++;
		return;
	}
	m->to = (unsigned)to;
	m->reference = out->reference = sender->reference++;
	if (submit->report)
		m->reporter = from;
	if (c->setup.run_key) {
		hash_fingerprint(c->setup.run_key, c->subscribers[to].number, m->to_fp);
		hash_fingerprint(c->setup.run_key, sender->number, from_fp);
	}
	fate.delay = time_add(out->answer_at - now, delivery_delay(c, sender));
	if (c->setup.profile == GSM_TYPICAL) {
		fate.lost = rng_unit(&sender->delivery) < LOSS_SHARE ? "carrier" : NULL;
		fate.copies = rng_unit(&sender->delivery) < DUPLICATE_SHARE;
		fate.apart = DUPLICATE_APART_NS;
	}
	c->stats.submitted++;
	f = JOURNAL(c->setup.journal, now, "carrier", m->uuid[0] ? m->uuid : NULL, NULL,
		    m->r[0] ? m->r : NULL, J_SMS_SUBMITTED, JS(ID, ""),
		    JS(CODE_FP, m->code_fp[0] ? m->code_fp : NULL), JS(TO_FP, m->to_fp[0] ? m->to_fp : NULL),
		    JS(FROM_FP, from_fp[0] ? from_fp : NULL), JS(MODEM, sender->name),
		    JI(REF, out->reference));
	apply_to_message(c, now, f, m, code, &fate);
	apply_to_answer(f, out, &fate);
	explicit_bzero(code, sizeof(code));
	route(c, now, m, &fate);
}

int gsm_carrier_inject(struct gsm_carrier *c, unsigned to, time_ns now, int64_t unix_s, const char *sender,
		       const char *text)
{
	struct message *m = calloc(1, sizeof(*m));
	int rv;

	if (!m)
		return ERR_NOMEM;
	rv = pdu_set_text(text, &m->d.ud);
	if (rv) {
		free(m);
		return rv;
	}
	m->submitted = now;
	m->expires = time_add(now, VALIDITY_DEFAULT_S * NS_PER_S);
	m->to = to;
	m->reporter = GSM_SUBSCRIBERS_MAX;
	m->d.scts_unix_s = unix_s;
	pdu_set_address(sender, &m->d.from);
	enqueue(c, m, now);
	return 0;
}

void gsm_carrier_retry(struct gsm_carrier *c, unsigned subscriber, time_ns now)
{
	struct subscriber *s = &c->subscribers[subscriber];
	struct message *m;

	while ((m = TAILQ_FIRST(&s->held))) {
		TAILQ_REMOVE(&s->held, m, entry);
		c->stats.waiting--;
		enqueue(c, m, now);
	}
}

/* A message held back for reordering follows the one that has just gone by. */
static void release_overtaken(struct gsm_carrier *c, unsigned to, time_ns now)
{
	struct message *m;

	TAILQ_FOREACH(m, &c->queue, entry)
	{
		if (m->overtaken && m->to == to)
			break;
	}
	if (!m)
		return;
	m->overtaken = false;
	TAILQ_REMOVE(&c->queue, m, entry);
	c->stats.waiting--;
	enqueue(c, m, now);
}

static void hand_over(struct gsm_carrier *c, time_ns now, struct message *m)
{
	struct subscriber *s = &c->subscribers[m->to];
	bool overtaken = m->overtaken;

	m->overtaken = false;
	/* the order of held messages stays: nobody overtakes them */
	if (!TAILQ_EMPTY(&s->held) || c->setup.deliver(c->setup.ctx, m->to, now, &m->d)) {
		TAILQ_INSERT_TAIL(&s->held, m, entry);
		c->stats.waiting++;
		return;
	}
	c->stats.delivered++;
	send_report(c, now, m, PDU_STATUS_RECEIVED);
	if (!overtaken)
		release_overtaken(c, m->to, now);
	free(m);
}

static void expire_held(struct gsm_carrier *c, time_ns now)
{
	for (unsigned i = 0; i < c->count; i++) {
		struct message *m, *next;

		for (m = TAILQ_FIRST(&c->subscribers[i].held); m; m = next) {
			next = TAILQ_NEXT(m, entry);
			if (m->expires > now)
				continue;
			TAILQ_REMOVE(&c->subscribers[i].held, m, entry);
			c->stats.waiting--;
			lost(c, now, m, "validity over");
			send_report(c, now, m, PDU_STATUS_EXPIRED);
			free(m);
		}
	}
}

void gsm_carrier_tick(struct gsm_carrier *c, time_ns now)
{
	struct message *m;

	while ((m = TAILQ_FIRST(&c->queue)) && m->due <= now) {
		TAILQ_REMOVE(&c->queue, m, entry);
		c->stats.waiting--;
		hand_over(c, now, m);
	}
	expire_held(c, now);
}

time_ns gsm_carrier_deadline(const struct gsm_carrier *c)
{
	const struct message *m = TAILQ_FIRST(&c->queue);
	time_ns at = m ? m->due : TIME_NEVER;

	for (unsigned i = 0; i < c->count; i++) {
		TAILQ_FOREACH(m, &c->subscribers[i].held, entry)
		at = time_min(at, m->expires);
	}
	return at;
}

void gsm_carrier_stats(const struct gsm_carrier *c, struct gsm_stats *out)
{
	*out = c->stats;
}
