#include "sim/device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/defect.h"
#include "core/plant.h"
#include "core/smstext.h"
#include "sim/device_priv.h"

#define JITTER_LOW  0.8
#define JITTER_HIGH 1.2

/* What an event brought for the row that it leads to. */
struct bring {
	int code;              /* of the reply; 0 none */
	int64_t retry_after_s; /* < 0 none */
	time_ns interval;
	struct device_pair pair;
};

static const struct bring nothing = {.retry_after_s = -1};

struct device *device_new(const struct device_shared *shared, const struct device_config *cfg)
{
	struct device *dev = calloc(1, sizeof(*dev));

	if (!dev)
		return NULL;
	dev->sh = shared;
	dev->secret = cfg->secret ? cfg->secret : shared->secret;
	dev->id = *cfg->identity;
	dev->hold = cfg->hold;
	dev->accept_unsigned = cfg->accept_unsigned;
	dev->defects = cfg->defects;
	dev->any_registration = cfg->any_registration;
	dev->deadline = TIME_NEVER;
	dev->pending = MSG_RESOURCES;
	dev->interval = DEVICE_INTERVAL_DEFAULT;
	dev->label = strdup(cfg->label);
	dev->senders = cfg->senders;
	if (!dev->label) {
		device_free(dev);
		return NULL;
	}
	for (unsigned i = 0; i < REGISTRY_METHODS && cfg->methods && cfg->methods[i]; i++)
		snprintf(dev->methods[dev->methods_n++], sizeof(dev->methods[0]), "%s", cfg->methods[i]);
	rng_init(&dev->rng, shared->seed, cfg->label, "backoff");
	return dev;
}

void device_free(struct device *dev)
{
	if (!dev)
		return;
	device_forget(dev);
	token_keys_free(dev->own_keys);
	for (unsigned i = 0; i < DEVICE_PINS_MAX; i++)
		free(dev->own_pem[i]);
	free(dev->done);
	free(dev->label);
	explicit_bzero(dev->code, sizeof(dev->code));
	free(dev);
}

/* ---- what rows do ---- */

static void drop_code(struct device *dev)
{
	explicit_bzero(dev->code, sizeof(dev->code));
	dev->has_code = dev->totp = false;
}

static void draw_registration(struct device *dev)
{
	uint8_t raw[REGISTRATION_LEN / 2];

	drop_code(dev);
	secret_fill(dev->secret, raw, sizeof(raw));
	hash_hex(raw, sizeof(raw), dev->registration);
}

/* max(base × [0.8, 1.2], retryAfter × [1, 1.2]), one draw (protocol.md §3). */
static time_ns draw_backoff(struct device *dev, const struct instant *at, int64_t retry_after_s)
{
	time_ns base = dev->sh->backoff_min, wait, asked;
	double u = rng_unit(&dev->rng);

	for (unsigned i = 0; i < dev->failures && base < dev->sh->backoff_max && !PLANTED(RETRIES_EVERY_SECOND); i++)
		base *= 2;
	base = time_min(base, dev->sh->backoff_max);
	if (base < dev->sh->backoff_max)
		dev->failures++;
	wait = (time_ns)((double)base * (JITTER_LOW + (JITTER_HIGH - JITTER_LOW) * u));
	if (retry_after_s > DEVICE_RETRY_MAX_S)
		retry_after_s = DEVICE_RETRY_MAX_S;
	if (retry_after_s > 0 && !PLANTED(RETRY_AFTER_IGNORED)) {
		asked = (time_ns)((double)retry_after_s * (double)NS_PER_S * (1 + (JITTER_HIGH - 1) * u));
		wait = asked > wait ? asked : wait;
	}
	dev->wait_until = time_add(at->now, wait);
	return wait;
}

static void take_tokens(struct device *dev, const struct device_pair *pair, struct device_effects *fx)
{
	bool keep = (PLANTED(OLD_REFRESH_KEPT) || (dev->defects & DEFECT(KEEPS_OLD_REFRESH))) && dev->refresh;
	char *access = strdup(pair->access), *refresh = strdup(keep ? dev->refresh : pair->refresh);

	if (!access || !refresh) {
		free(access);
		free(refresh);
		fx->failed = ERR_NOMEM;
		return;
	}
	device_forget(dev);
	dev->access = access;
	dev->refresh = refresh;
	memcpy(dev->jti, pair->jti, sizeof(dev->jti));
	memcpy(dev->fam, pair->fam, sizeof(dev->fam));
}

/* An access token was refused. The measure that met it is sent again, once. */
static time_ns begin_refresh(struct device *dev, const struct instant *at, int64_t retry_after_s)
{
	dev->rejected = 0;
	if (dev->sent_again)
		dev->has_measure = false;
	if (dev->unproven && !PLANTED(REFRESHES_AT_ONCE))
		return draw_backoff(dev, at, retry_after_s);
	dev->pending = MSG_REFRESH;
	return TIME_NEVER;
}

static time_ns change(struct device *dev, unsigned todo, const struct bring *b, const struct instant *at,
		      struct device_effects *fx)
{
	time_ns wait = TIME_NEVER;

	if (todo & DO_COUNT)
		dev->refused++;
	if (todo & DO_RESET_BACKOFF)
		dev->failures = 0;
	if ((todo & DO_CONFIGURE) && !PLANTED(IGNORES_INTERVAL))
		dev->interval = b->interval;
	if (todo & DO_TAKE_TOKENS) {
		take_tokens(dev, &b->pair, fx);
		dev->unproven = dev->state == STATE_RF;
		drop_code(dev);
	}
	if (todo & DO_WIPE)
		device_forget(dev);
	if (((todo & DO_NEW_REG) && !((dev->state == STATE_RG || dev->state == STATE_LI) && PLANTED(REGISTRATION_KEPT))) ||
	    ((todo & DO_BACKOFF) && dev->state == STATE_RG && PLANTED(NEW_REGISTRATION)))
		draw_registration(dev);
	if (todo & DO_BACKOFF) {
		wait = draw_backoff(dev, at, b->retry_after_s);
		if (!(todo & DO_REJECTED))
			dev->rejected = 0;
	}
	if (todo & DO_NOW)
		dev->wait_until = at->now;
	if (todo & DO_WAIT_CODE)
		dev->wait_until = time_add(at->now, dev->sh->code_wait);
	if ((todo & DO_MEASURE_DONE) && b->code >= 400 && PLANTED(REJECTED_MEASURE_KEPT)) {
		draw_backoff(dev, at, -1);
	} else if (todo & DO_MEASURE_DONE) {
		dev->has_measure = false;
		dev->wait_until = dev->due_at;
	}
	if (todo & DO_PROVEN)
		dev->unproven = false;
	if (todo & DO_REFRESH)
		wait = begin_refresh(dev, at, b->retry_after_s);
	if (todo & DO_REJECTED)
		dev->rejected++;
	if (todo & DO_PUBLISH_NOW) {
		dev->wait_until = at->now;
		dev->has_measure = dev->has_measure && dev->state == STATE_RF;
		dev->resend = dev->sent_again = dev->has_measure;
	}
	return wait;
}

static enum msg_resource resource_of(enum state_name state)
{
	switch (state) {
	case STATE_RG:
		return MSG_REGISTER;
	case STATE_LI:
		return MSG_LOGIN;
	case STATE_PV:
		return MSG_PUBLISH;
	default:
		return MSG_REFRESH;
	}
}

static void power_off(struct device *dev)
{
	device_forget(dev);
	drop_code(dev);
	dev->has_measure = dev->resend = dev->sent_again = dev->unproven = false;
	dev->failures = 0;
	dev->rejected = 0;
	dev->request_id = 0;
	dev->pending = MSG_RESOURCES;
}

static void take(struct device *dev, const struct device_row *row, const struct bring *b, const struct instant *at,
		 struct device_effects *fx)
{
	unsigned todo = row->todo;
	char reg[9];
	time_ns wait;

	assert(row_state(row->row) == dev->state);
	snprintf(reg, sizeof(reg), "%.8s", dev->registration);
	wait = change(dev, todo, b, at, fx);
	dev->state = row->to;
	if (((todo & DO_STORE) || ((todo & DO_WIPE) && dev->file_has_tokens)) &&
	    !((todo & DO_WIPE) && PLANTED(WIPE_FORGOTTEN)))
		fx_store(fx, dev, todo & DO_TAKE_TOKENS);
	if (todo & DO_SILENCE) {
		fx_add(fx, DEVICE_FX_SILENCE);
		dev->pending = MSG_RESOURCES;
		drop_code(dev);
	}
	if (todo & DO_ABANDON)
		fx_add(fx, DEVICE_FX_ABANDON);
	fx_state(fx, dev, row, b->code, wait);
	if (row_state(row->row) != STATE_OFF)
		memcpy(fx->e[fx->n - 1].reg, reg, sizeof(reg)); /* the attempt that the row belongs to */
	if (todo & DO_SEND)
		dev->pending = resource_of(row->to);
	if (todo & DO_ABANDON)
		power_off(dev);
}

static int refuse(struct device *dev, const char *why, struct device_effects *fx)
{
	dev->refused++;
	FX_JOURNAL(fx, dev, J_DEVICE_IGNORED, JS(WHY, why), JS(STATE, state_full(dev->state)));
	return ERR_UNEXPECTED;
}

static int take_cause(struct device *dev, enum device_cause cause, const struct bring *b, const struct instant *at,
		      const char *refused_why, struct device_effects *fx)
{
	const struct device_row *row = device_row(dev->state, cause);

	if (!row)
		return refuse(dev, refused_why, fx);
	take(dev, row, b, at, fx);
	return 0;
}

/* ---- events ---- */

static int power_on(struct device *dev, const struct device_event *ev, const struct instant *at,
		    struct device_effects *fx)
{
	int stored;
	bool resumes;

	if (dev->state != STATE_OFF)
		return refuse(dev, "power_on", fx);
	stored = device_file_read(dev, ev->data ? ev->data : "", ev->data ? ev->len : 0);
	if (ev->data && stored < 0)
		FX_JOURNAL(fx, dev, J_DEVICE_IGNORED, JS(WHY, "file_unreadable"), JS(STATE, state_full(STATE_OFF)));
	resumes = dev->access && (stored == STATE_PV || stored == STATE_PA || stored == STATE_RF) && !PLANTED(POWER_CUT_FORGETS);
	return take_cause(dev, resumes ? CAUSE_ON_TOKENS : CAUSE_ON, &nothing, at, "power_on", fx);
}

static int timer(struct device *dev, const struct instant *at, struct device_effects *fx)
{
	enum device_cause cause;
	int rv;

	if (dev->deadline == TIME_NEVER || at->now < dev->deadline)
		return 0; /* woken early: nothing is due */
	if (dev->state == STATE_IDLE && PLANTED(LEAVES_IDLE)) {
		dev->state = STATE_OFF;
		return take_cause(dev, CAUSE_ON, &nothing, at, "timer", fx);
	}
	if (dev->request_id) {
		struct device_effect *e;
		uint64_t id = dev->request_id;

		rv = take_cause(dev, CAUSE_NO_ANSWER, &nothing, at, "timer", fx);
		dev->request_id = 0;
		e = fx_add(fx, DEVICE_FX_TIMED_OUT);
		e->id = id;
		return rv;
	}
	switch (dev->state) {
	case STATE_NP:
		cause = dev->has_code && time_add(dev->code_at, dev->sh->code_hold) <= at->now ? CAUSE_HOLD_OVER :
												 CAUSE_BACKOFF;
		break;
	case STATE_AC:
		cause = CAUSE_CODE_WAIT;
		break;
	case STATE_PV:
		cause = CAUSE_DUE;
		break;
	case STATE_RF:
		cause = CAUSE_SEND;
		break;
	default:
		cause = CAUSE_OVER;
		break;
	}
	return take_cause(dev, cause, &nothing, at, "timer", fx);
}

static bool knows_sender(const struct device *dev, const char *from)
{
	if (!dev->senders || PLANTED(ANY_SENDER))
		return true;
	for (const char *const *s = dev->senders; *s; s++)
		if (strcmp(*s, from ? from : "") == 0)
			return true;
	return false;
}

/* Why an SMS is not for this attempt; NULL where it is. */
static const char *judge_sms(const struct device *dev, const struct device_event *ev, struct smstext *sms)
{
	if (!smstext_parse(ev->text, sms))
		return "sms_form";
	if (strcmp(sms->uuid, dev->id.uuid) != 0)
		return "sms_uuid";
	if (sms->r[0] ? strncmp(sms->r, dev->registration, 8) != 0 : !dev->any_registration)
		return "sms_registration";
	if (!knows_sender(dev, ev->from))
		return "sms_sender";
	return NULL;
}

/* Keeps a code for this attempt; one that came again keeps its first moment. */
static void keep_code(struct device *dev, const char *code, const struct instant *at)
{
	if (dev->has_code && strcmp(dev->code, code) == 0)
		return;
	drop_code(dev);
	snprintf(dev->code, sizeof(dev->code), "%s", code);
	dev->has_code = true;
	dev->code_at = at->now;
}

static int code_came(struct device *dev, const struct device_event *ev, const struct instant *at,
		     struct device_effects *fx)
{
	bool lost = dev->state == STATE_RG && PLANTED(EARLY_CODE_LOST);
	const struct device_row *row = lost ? NULL : device_row(dev->state, CAUSE_SMS);
	struct smstext sms = {.r = ""};
	const char *why = NULL, *code = ev->text;
	char fp[HASH_FP_SIZE];

	if (!row)
		return refuse(dev, "sms", fx);
	if (ev->kind == DEVICE_SMS) {
		why = judge_sms(dev, ev, &sms);
		code = sms.code;
	} else if (strlen(code) > DEVICE_CODE_MAX) {
		why = "code_too_long";
	}
	if (why) {
		int rv = 0;

		if (!device_row(dev->state, CAUSE_SMS_OTHER))
			return refuse(dev, why, fx);
		FX_JOURNAL(fx, dev, J_DEVICE_IGNORED, JS(WHY, why), JS(STATE, state_full(dev->state)));
		rv = take_cause(dev, CAUSE_SMS_OTHER, &nothing, at, why, fx);
		explicit_bzero(&sms, sizeof(sms));
		return rv;
	}
	keep_code(dev, code, at);
	if (row->to == dev->state) {
		hash_fingerprint(dev->sh->run_key, dev->code, fp);
		FX_JOURNAL(fx, dev, J_DEVICE_CODE, JS(CODE_FP, fx_text(fx, fp)), JS(STATUS, "held"));
	}
	take(dev, row, &nothing, at, fx);
	explicit_bzero(&sms, sizeof(sms));
	return 0;
}

static enum device_cause cause_of_code(int code)
{
	switch (code) {
	case MSG_NO_CODE:
		return CAUSE_NO_CODE;
#define CODE(n)                                                                                                \
	case n:                                                                                                \
		return CAUSE_##n;
		CODE(200) CODE(400) CODE(401) CODE(403) CODE(404) CODE(412) CODE(413) CODE(429) CODE(503) CODE(700)
#undef CODE
	default:
		return CAUSE_UNKNOWN;
	}
}

/* The cause of a 200 whose authenticity is settled. */
static enum device_cause cause_of_200(struct device *dev, const struct msg_response *r, const struct instant *at,
				      struct bring *b, const char **why)
{
	enum device_cause cause;

	switch (dev->resource) {
	case MSG_REGISTER:
		cause = device_judge_register(dev, r->payload, &b->interval, why);
		if (cause == CAUSE_200_SMS && dev->has_code)
			return CAUSE_200_HELD;
		if (cause != CAUSE_200_TOTP)
			return cause;
		drop_code(dev);
		if (device_totp(dev, at->unix_ms, dev->code)) {
			*why = "no_totp_secret";
			return CAUSE_200_BAD;
		}
		dev->totp = true;
		return cause;
	case MSG_LOGIN:
	case MSG_REFRESH:
		*why = device_judge_tokens(dev, r->payload, &b->pair);
		return *why ? CAUSE_200_BAD : CAUSE_200;
	default:
		return CAUSE_200;
	}
}

static enum device_cause judge_reply(struct device *dev, const struct device_event *ev, const struct instant *at,
				     struct bring *b, bool *believed, struct device_effects *fx)
{
	const struct msg_response *r = ev->response;
	enum device_cause cause = cause_of_code(r->code);
	const char *why = NULL;
	bool verified = false;

	*believed = true;
	if (r->code == 404 && (dev->state == STATE_RG || dev->state == STATE_LI) && PLANTED(IDLE_ON_404))
		cause = CAUSE_403;
	if (r->code == 412 && dev->state != STATE_PV && PLANTED(RETRIES_ON_412))
		cause = CAUSE_503;
	if (device_needs_signature(dev->resource, r) && !dev->accept_unsigned &&
	    !(!r->signature && PLANTED(UNSIGNED_BELIEVED))) {
		verified = device_signature_good(dev, r);
		if (!verified) {
			why = r->signature ? "signature" : "unsigned";
			cause = CAUSE_UNKNOWN;
			*believed = false;
		}
	}
	if (cause == CAUSE_200)
		cause = cause_of_200(dev, r, at, b, &why);
	if (dev->state == STATE_RF && dev->rejected == DEVICE_REJECTED - 1 && !PLANTED(REJECTED_FOR_EVER) &&
	    (cause == CAUSE_400 || cause == CAUSE_404 || cause == CAUSE_413))
		cause = CAUSE_REJECTED_10;
	b->code = r->code > 0 ? r->code : 0;
	b->retry_after_s = *believed ? r->retry_after_s : -1;
	FX_JOURNAL(fx, dev, J_DEVICE_REPLY, JI(CODE, b->code), JS(RESOURCE, msg_resource_name(dev->resource)),
		   JI(SIGNED, verified), JS(STATUS, ev->status), JI(RETRY_S, r->retry_after_s),
		   JS(FAM, fx_text(fx, b->pair.fam)), JS(WHY, why));
	return cause;
}

static void do_command(struct device *dev, enum device_cause cause, const struct msg_response *r,
		       const struct instant *at, struct device_effects *fx)
{
	const struct device_row *row = device_row(dev->state, cause);
	int rv;

	if (!row) {
		refuse(dev, "command", fx);
		return;
	}
	rv = device_command_take(dev, r, at);
	if (rv) {
		fx->failed = rv;
		return;
	}
	if (!PLANTED(RESET_IGNORED) || r->command_kind != CMD_RESET)
		take(dev, row, &nothing, at, fx);
	FX_JOURNAL(fx, dev, J_COMMAND_DONE, JS(ID, fx_text(fx, r->command_id)),
		   JS(NAME, msg_command_name(r->command_kind)));
}

static int reply(struct device *dev, const struct device_event *ev, const struct instant *at,
		 struct device_effects *fx)
{
	const struct msg_response *r = ev->response;
	enum device_cause cause, command = CAUSE_NONE;
	struct bring b = nothing;
	bool believed;
	int rv;

	if (!dev->request_id || (ev->id != dev->request_id && !PLANTED(LATE_BELIEVED)))
		return take_cause(dev, CAUSE_LATE, &nothing, at, "late", fx);
	if (at->now - dev->request_at > NS_PER_S && PLANTED(SLOW_REPLY_STRANDS)) {
		dev->request_id = 0;
		dev->wait_until = TIME_NEVER;
		return 0;
	}
	cause = judge_reply(dev, ev, at, &b, &believed, fx);
	if (believed && r->code == 200 && r->command) {
		command = device_command_cause(dev, r);
		if (command == CAUSE_NONE)
			FX_JOURNAL(fx, dev, J_DEVICE_IGNORED, JS(WHY, "command_again"),
				   JS(STATE, state_full(dev->state)));
		if (command == CAUSE_CMD_OTHER)
			take_cause(dev, command, &nothing, at, "command", fx);
	}
	rv = take_cause(dev, cause, &b, at, "reply", fx);
	if (command != CAUSE_NONE && command != CAUSE_CMD_OTHER)
		do_command(dev, command, r, at, fx);
	dev->request_id = 0;
	return rv;
}

static int link_lost(struct device *dev, const struct device_event *ev, const struct instant *at,
		     struct device_effects *fx)
{
	int rv;

	if (!dev->request_id || ev->id != dev->request_id ||
	    (dev->state == STATE_RG && PLANTED(STAYS_REGISTERING)))
		return 0; /* a close while nothing is in flight is no event */
	rv = take_cause(dev, CAUSE_LINK_LOST, &nothing, at, "link_lost", fx);
	dev->request_id = 0;
	return rv;
}

static time_ns next_deadline(const struct device *dev)
{
	if (dev->state == STATE_IDLE && PLANTED(LEAVES_IDLE))
		return time_add(dev->request_at, NS_PER_S / 2);
	if (dev->state == STATE_OFF || dev->state == STATE_IDLE ||
	    (dev->state == STATE_RG && PLANTED(STAYS_REGISTERING)) ||
	    (dev->state == STATE_AC && PLANTED(WAITS_FOR_CODE)))
		return TIME_NEVER;
	if (dev->request_id)
		return time_add(dev->request_at, dev->sh->request_timeout);
	if (dev->state == STATE_NP && dev->has_code)
		return time_min(dev->wait_until, time_add(dev->code_at, dev->sh->code_hold));
	return dev->wait_until;
}

int device_step(struct device *dev, const struct device_event *ev, const struct instant *at,
		struct device_effects *fx)
{
	uint64_t before = dev->request_id;
	int rv = ERR_INVALID;

	fx->n = 0;
	fx->texts_len = 0;
	fx->failed = 0;
	fx->before = dev->state;
	buf_reset(&fx->bytes);
	switch (ev->kind) {
	case DEVICE_POWER_ON:
		rv = power_on(dev, ev, at, fx);
		break;
	case DEVICE_POWER_OFF:
		rv = take_cause(dev, CAUSE_OFF, &nothing, at, "power_off", fx);
		break;
	case DEVICE_TIMER:
		rv = timer(dev, at, fx);
		break;
	case DEVICE_SMS:
	case DEVICE_CODE:
		rv = code_came(dev, ev, at, fx);
		break;
	case DEVICE_REPLY:
		rv = reply(dev, ev, at, fx);
		break;
	case DEVICE_LINK_LOST:
		rv = link_lost(dev, ev, at, fx);
		break;
	}
	if (dev->pending != MSG_RESOURCES)
		device_send(dev, at, fx);
	dev->deadline = next_deadline(dev);
	/* let the connection go between requests, unless the next one is due at once */
	if (before && !dev->request_id && !dev->hold && dev->deadline > at->now && dev->state != STATE_OFF &&
	    dev->state != STATE_IDLE)
		fx_add(fx, DEVICE_FX_CLOSE);
	return rv;
}

void device_interrupted(struct device *dev, const struct device_effects *fx, unsigned done)
{
	dev->state = fx->before;
	for (unsigned i = 0; i < done && i < fx->n; i++)
		if (fx->e[i].kind == DEVICE_FX_STATE)
			dev->state = fx->e[i].to;
	dev->deadline = TIME_NEVER;
}
