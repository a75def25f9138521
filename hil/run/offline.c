#include "hil/run/offline_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/pki.h"
#include "core/world_live.h"
#include "hil/judge/diff.h"
#include "hil/judge/verdict.h"

#define TEXT_MAX    (64 * 1024)
#define TOTP_SECRET "JBSWY3DPEHPK3PXP" /* any will do: what it shows is not compared */

/* ---- the recording by devices ---- */

/* What a device's own state machine writes; all else is its fleet's or other people's. */
static bool of_the_machine(const struct journal_event *ev)
{
	const char *why = journal_text(ev, JF_WHY);

	switch (ev->kind) {
	case J_DEVICE_STATE:
	case J_DEVICE_REQUEST:
	case J_DEVICE_REPLY:
	case J_DEVICE_CODE:
	case J_TOKENS_WRITTEN:
	case J_TOKENS_SYNCED:
	case J_TOKENS_RENAMED:
	case J_COMMAND_DONE:
		return true;
	case J_DEVICE_IGNORED:
		return strcmp(why, "store_failed") != 0 && strcmp(why, "out_of_memory") != 0;
	default:
		return false;
	}
}

static struct lane *lane_of(struct offline *o, const char *uuid, bool make)
{
	struct lane *lane = NULL;

	HASH_FIND_STR(o->lanes, uuid, lane);
	if (lane || !make || strlen(uuid) > UUID_LEN)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return NULL;
	snprintf(lane->uuid, sizeof(lane->uuid), "%s", uuid);
	HASH_ADD_STR(o->lanes, uuid, lane);
	return lane;
}

static int add_event(struct event_list *list, const struct journal_event *ev)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 32;
		const struct journal_event **more = realloc(list->v, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		list->v = more;
		list->cap = cap;
	}
	list->v[list->n++] = ev;
	return 0;
}

static int deal_out(struct offline *o)
{
	struct lane *lane;

	for (size_t i = 0; i < tape_count(o->tape); i++) {
		const struct journal_event *ev = tape_at(o->tape, i);

		if (ev->kind == J_HARNESS_LAG && o->opt.late && (time_ns)journal_int(ev, JF_LAG_NS, 0) > o->opt.late)
			o->opt.late = (time_ns)journal_int(ev, JF_LAG_NS, 0);
		if (ev->kind == J_SCENARIO_END)
			o->end = ev->t;
		if (!ev->dev || !(of_the_machine(ev) || offline_of_the_disk(ev)))
			continue;
		lane = lane_of(o, ev->dev, true);
		if (!lane || add_event(of_the_machine(ev) ? &lane->told : &lane->disk, ev))
			return ERR_NOMEM;
	}
	if (tape_count(o->tape))
		o->zero = tape_at(o->tape, 0)->t;
	return 0;
}

/* ---- making one ---- */

static int make_keys(struct offline *o, struct err *e)
{
	struct device_shared *sh = &o->shared;
	const struct settings *st = plan_settings(o->plan);

	secret_fill(live_secret(), o->run_key, sizeof(o->run_key));
	*sh = (struct device_shared){.request_timeout = setting_ns(st, SETTING_REQUEST_TIMEOUT),
				     .code_wait = setting_ns(st, SETTING_CODE_WAIT),
				     .code_hold = setting_ns(st, SETTING_CODE_HOLD),
				     .backoff_min = setting_ns(st, SETTING_BACKOFF_MIN),
				     .backoff_max = setting_ns(st, SETTING_BACKOFF_MAX),
				     .seed = plan_seed(o->plan),
				     .run_key = o->run_key,
				     .secret = live_secret(),
				     .keys = token_keys_new(),
				     .keys_no_kid = token_keys_new()};
	o->signer = token_signer_new();
	if (!sh->keys || !sh->keys_no_kid || !o->signer)
		return err_set(e, ERR_NOMEM, "out of memory");
	token_keys_allow_no_kid(sh->keys_no_kid, true);
	if (pki_token_key(&o->private_pem, &o->public_pem, e) || token_signer_add(o->signer, o->private_pem, o->kid, e) ||
	    token_keys_add(sh->keys, o->public_pem, e) || token_keys_add(sh->keys_no_kid, o->public_pem, e))
		return e->code;
	return 0;
}

struct offline *offline_new(json_t *plan, const struct tape *tape, const struct offline_options *opt, struct err *e)
{
	static const struct plan_rig nobody = {.ctx = NULL};
	struct offline *o = calloc(1, sizeof(*o));

	if (!o) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	o->plan_json = plan;
	o->tape = tape;
	o->opt = *opt;
	o->plan = plan_new(plan, &nobody, NULL, e);
	if (o->plan && deal_out(o))
		err_set(e, ERR_NOMEM, "out of memory");
	if (!o->plan || e->code || make_keys(o, e)) {
		offline_free(o);
		return NULL;
	}
	return o;
}

void offline_free(struct offline *o)
{
	struct lane *lane, *next;

	if (!o)
		return;
	HASH_ITER(hh, o->lanes, lane, next)
	{
		HASH_DEL(o->lanes, lane);
		free(lane->told.v);
		free(lane->disk.v);
		free(lane);
	}
	token_signer_free(o->signer);
	token_keys_free(o->shared.keys);
	token_keys_free(o->shared.keys_no_kid);
	if (o->private_pem)
		explicit_bzero(o->private_pem, strlen(o->private_pem));
	free(o->private_pem);
	free(o->public_pem);
	plan_free(o->plan);
	free(o);
}

/* ---- comparing ---- */

struct parting {
	const struct journal_event *recorded; /* NULL: nothing */
	const struct device_effect *now;      /* NULL: nothing */
	const char *why;
};

static void as_event(const struct life *l, const struct device_effect *e, struct journal_event *out)
{
	*out = (struct journal_event){.t = l->at.now,
				      .kind = e->journal,
				      .actor = device_label(l->dev),
				      .req = e->req[0] ? e->req : NULL,
				      .reg = e->reg[0] ? e->reg : NULL,
				      .n = e->n};
	memcpy(out->v, e->v, e->n * sizeof(e->v[0]));
}

static bool same_fields(const struct journal_event *a, const struct journal_event *b, const enum journal_field *f)
{
	for (; *f != JF_END; f++) {
		if (journal_has(a, *f) != journal_has(b, *f) || strcmp(journal_text(a, *f), journal_text(b, *f)) ||
		    journal_int(a, *f, 0) != journal_int(b, *f, 0))
			return false;
	}
	return true;
}

/* What is drawn or stamped anew must at least change when it did. */
struct twins {
	const char *recorded_reg, *recorded_ts;
	char reg[9], ts[24];
};

/* 0: both changed, or neither; 1: only the recorded one, 2: only today's. */
static int change(const char **recorded, const char *rec, char *mine, size_t size, const char *now)
{
	bool changed = *recorded && strcmp(*recorded, rec) != 0, changes = *recorded && strcmp(mine, now) != 0;

	*recorded = rec;
	snprintf(mine, size, "%s", now);
	return changed == changes ? 0 : changed ? 1 : 2;
}

static const char *differs(const struct life *l, struct twins *w, const struct journal_event *r,
			   const struct device_effect *e)
{
	static const enum journal_field of_state[] = {JF_FROM, JF_TO, JF_ROW, JF_CODE, JF_WAIT_NS, JF_END},
					of_request[] = {JF_RESOURCE, JF_END}, of_reply[] = {JF_CODE, JF_WHY, JF_END},
					of_ignored[] = {JF_WHY, JF_STATE, JF_END}, of_code[] = {JF_STATUS, JF_WHY, JF_END},
					nothing[] = {JF_END};
	const enum journal_field *fields = r->kind == J_DEVICE_STATE   ? of_state :
					   r->kind == J_DEVICE_REQUEST ? of_request :
					   r->kind == J_DEVICE_REPLY   ? of_reply :
					   r->kind == J_DEVICE_IGNORED ? of_ignored :
					   r->kind == J_DEVICE_CODE    ? of_code :
									 nothing;
	struct journal_event now;
	static const char *const of_reg[] = {NULL, "the registration: recorded as a new one, kept now",
					     "the registration: kept as recorded, a new one now"},
				 *const of_ts[] = {NULL, "the measure: recorded as a new one, the same now",
						   "the measure: the same as recorded, a new one now"};
	const char *why = NULL, *fp = journal_text(r, JF_CODE_FP);

	as_event(l, e, &now);
	if (!same_fields(r, &now, fields))
		return "";
	if ((r->kind == J_DEVICE_STATE || r->kind == J_DEVICE_REQUEST) && r->reg && now.reg)
		why = of_reg[change(&w->recorded_reg, r->reg, w->reg, sizeof(w->reg), now.reg)];
	if (!why && r->kind == J_DEVICE_REQUEST && journal_has(r, JF_TS) && journal_has(&now, JF_TS))
		why = of_ts[change(&w->recorded_ts, journal_text(r, JF_TS), w->ts, sizeof(w->ts), journal_text(&now, JF_TS))];
	if (!why && r->kind == J_DEVICE_CODE && strcmp(journal_text(r, JF_WHY), "totp") != 0 &&
	    strcmp(offline_code_recorded(l, journal_text(&now, JF_CODE_FP)), fp) != 0)
		why = "another code is used";
	return why;
}

static bool is_news(enum journal_kind k)
{
	return k == J_TOKENS_WRITTEN || k == J_TOKENS_SYNCED || k == J_TOKENS_RENAMED;
}

static const struct journal_event *next_recorded(const struct life *l, time_ns at)
{
	const struct journal_event *r = l->i < l->lane->told.n ? l->lane->told.v[l->i] : NULL;

	return r && r->t == at ? r : NULL;
}

static bool is_power_off(const struct journal_event *r)
{
	return r && r->kind == J_DEVICE_STATE && strcmp(offline_row_event(r), "off") == 0;
}

/* Behind effect `k` of the step nothing of it is recorded any more, and the power went. */
static bool cut_behind(const struct life *l, unsigned k)
{
	const struct journal_event *r = next_recorded(l, l->at.now);

	if (!is_power_off(r) || l->in.kind == DEVICE_POWER_OFF)
		return false;
	for (unsigned i = k + 1; i < l->fx.n; i++)
		if (l->fx.e[i].kind == DEVICE_FX_STATE || l->fx.e[i].kind == DEVICE_FX_JOURNAL)
			return true;
	return false;
}

static int take_request(struct life *l, const struct device_effect *e)
{
	struct msg_request r = {0};
	int rv = msg_request_parse(l->fx.bytes.data + e->at, e->len, MSG_REPLY_MAX, 16, &r, NULL);

	if (!rv)
		snprintf(l->nonce, sizeof(l->nonce), "%s", r.nonce);
	msg_request_fini(&r);
	return rv;
}

static void count(struct life *l, const struct device_effect *e)
{
	l->out->transitions += e->kind == DEVICE_FX_STATE;
	l->out->requests += e->journal == J_DEVICE_REQUEST && e->kind == DEVICE_FX_JOURNAL;
}

/* Holds one journalled effect against the recording. True: go on. */
static bool held_against(struct life *l, struct twins *w, const struct device_effect *e, struct parting *p)
{
	const struct journal_event *r = next_recorded(l, l->at.now);

	if (r && r->kind == e->journal) {
		p->why = differs(l, w, r, e);
		if (!p->why) {
			l->i++;
			count(l, e);
			return true;
		}
	} else if (is_news(e->journal)) {
		return true; /* a store that failed tells nothing of it */
	} else if (!r && l->i == l->lane->told.n && l->o->opt.cut) {
		return true; /* the recording was cut off in the middle of the step */
	} else {
		p->why = "";
	}
	p->recorded = r;
	p->now = e;
	return false;
}

/* One input, its effects, and what was recorded of them. False: they part. */
static bool step(struct life *l, struct twins *w, struct parting *p, struct err *e)
{
	device_step(l->dev, &l->in, &l->at, &l->fx);
	l->out->inputs++;
	if (l->fx.failed)
		return err_set(e, l->fx.failed, "the device failed to build its effects") == 0;
	for (unsigned k = 0; k < l->fx.n; k++) {
		const struct device_effect *fx = &l->fx.e[k];

		switch (fx->kind) {
		case DEVICE_FX_JOURNAL:
		case DEVICE_FX_STATE:
			if (!held_against(l, w, fx, p))
				return false;
			if (cut_behind(l, k)) {
				device_interrupted(l->dev, &l->fx, k + 1);
				return true;
			}
			break;
		case DEVICE_FX_WRITE:
		case DEVICE_FX_SYNC:
		case DEVICE_FX_RENAME:
		case DEVICE_FX_SYNC_DIR:
			/* the old file stands, whichever part of it failed */
			if (!offline_store_fails(l))
				device_store(l->dev, &l->fx, fx, storage_mem_storage(l->disk));
			break;
		case DEVICE_FX_REQUEST:
			if (take_request(l, fx))
				return err_set(e, ERR_INTERNAL, "the device's own request cannot be read") == 0;
			break;
		default:
			break;
		}
	}
	if (l->in.kind == DEVICE_POWER_OFF)
		storage_mem_power_fails(l->disk, l->o->shared.seed, device_label(l->dev), l->at.now, offline_unsynced(l));
	return true;
}

/* ---- walking ---- */

static void set_time(struct life *l, time_ns t)
{
	l->at.now = l->at.boot = t;
	l->at.unix_ms = l->wall_ms + (int64_t)(t / NS_PER_MS);
}

/* What today's device would have done by itself before `until`, where nothing is recorded. */
static bool nothing_before(struct life *l, struct twins *w, time_ns until, struct parting *p, struct err *e)
{
	time_ns deadline = device_deadline(l->dev);

	/* one that has passed by already is served as soon as it can be */
	if (deadline < l->at.now)
		deadline = l->at.now;
	if (deadline == TIME_NEVER || time_add(deadline, l->o->opt.late) >= until)
		return true;
	set_time(l, deadline);
	memset(&l->in, 0, sizeof(l->in));
	l->in.kind = DEVICE_TIMER;
	snprintf(l->words, sizeof(l->words), "its deadline comes, and nothing is recorded");
	step(l, w, p, e);
	return false;
}

static bool walk(struct life *l, struct twins *w, struct parting *p, struct err *e)
{
	while (l->i < l->lane->told.n) {
		const struct journal_event *r = l->lane->told.v[l->i];
		size_t before = l->i;
		bool good;
		int rv;

		if (!nothing_before(l, w, r->t, p, e))
			return false;
		set_time(l, r->t);
		if (is_news(r->kind) || r->kind == J_COMMAND_DONE) {
			l->i++; /* of a step that is over: nothing leads to it */
			continue;
		}
		rv = offline_input(l);
		good = !rv && step(l, w, p, e);
		offline_input_fini(l);
		if (rv && rv != ERR_NOTFOUND)
			err_set(e, rv, "an input cannot be made: %s", err_text(rv));
		if (!good && !p->recorded && !p->now)
			p->recorded = r;
		if (!good || e->code)
			return false;
		if (l->i == before) { /* it was recorded, and today's device did nothing of it */
			p->recorded = r;
			return false;
		}
	}
	return !l->o->end || l->o->opt.cut || nothing_before(l, w, l->o->end, p, e);
}

static void put_side(const struct life *l, const char *name, const struct journal_event *ev, struct buf *text)
{
	buf_printf(text, "  %-9s ", name);
	if (ev)
		diff_event_text(ev, l->o->zero, text);
	else
		buf_puts(text, "nothing");
	buf_puts(text, "\n");
}

static void tell(const struct life *l, const struct parting *p, struct buf *text)
{
	struct journal_event now;
	time_ns t = l->at.now > l->o->zero ? l->at.now - l->o->zero : 0, deadline = device_deadline(l->dev);
	const struct journal_event *last = NULL;

	for (size_t k = l->i; k && !last; k--)
		if (l->lane->told.v[k - 1]->kind == J_DEVICE_STATE)
			last = l->lane->told.v[k - 1];
	buf_printf(text, "%s: %s: different at +%" PRIu64 ".%03" PRIu64 " s\n", plan_id(l->o->plan), device_label(l->dev),
		   t / NS_PER_S, t % NS_PER_S / NS_PER_MS);
	if (last)
		put_side(l, "before", last, text);
	buf_printf(text, "  input     %s\n", l->words);
	put_side(l, "recorded", p->recorded, text);
	if (p->now)
		as_event(l, p->now, &now);
	put_side(l, "now", p->now ? &now : NULL, text);
	if (p->why && p->why[0])
		buf_printf(text, "  that is   %s\n", p->why);
	if (!p->now && l->in.kind == DEVICE_TIMER && deadline != TIME_NEVER && deadline > l->at.now)
		buf_printf(text, "  that is   not due before +%" PRIu64 ".%03" PRIu64 " s\n", (deadline - l->o->zero) / NS_PER_S,
			   (deadline - l->o->zero) % NS_PER_S / NS_PER_MS);
}

/* Devices join in the plan's order: the one behind the last one, nearly always. */
static const struct plan_device *planned(struct offline *o, const char *uuid)
{
	unsigned n = plan_count(o->plan);

	for (unsigned i = 0; i < n; i++) {
		const struct plan_device *d = plan_device(o->plan, (o->next + i) % n);

		if (strcmp(d->identity.uuid, uuid) != 0)
			continue;
		o->next = (o->next + i + 1) % n;
		return d;
	}
	return NULL;
}

/* The wall clock of a measure gives that of all. */
static void read_clock(struct life *l)
{
	bool no_secret = false;

	for (size_t k = 0; k < l->lane->told.n; k++) {
		const struct journal_event *ev = l->lane->told.v[k];

		no_secret = no_secret || strcmp(journal_text(ev, JF_WHY), "no_totp_secret") == 0;
		if (!l->wall_ms && journal_has(ev, JF_TS))
			l->wall_ms = strtoll(journal_text(ev, JF_TS), NULL, 10) - (int64_t)(ev->t / NS_PER_MS);
	}
	if (no_secret)
		l->identity.totp_secret[0] = '\0';
	else if (!l->identity.totp_secret[0])
		snprintf(l->identity.totp_secret, sizeof(l->identity.totp_secret), "%s", TOTP_SECRET);
}

static int open_life(struct life *l, const struct replay_device *d, struct err *e)
{
	const struct plan_device *pd = planned(l->o, d->uuid);
	struct device_config cfg = {.label = d->label,
				    .identity = &l->identity,
				    .senders = plan_known_senders(l->o->plan)};
	const char *methods[REGISTRY_METHODS + 1] = {NULL};

	if (!pd)
		return err_set(e, ERR_PARSE, "plan.json and journal.jsonl do not belong together: no device of the plan is %s (%s)",
			       d->label, d->uuid);
	l->identity = pd->identity;
	l->accept_unsigned = pd->accept_unsigned;
	read_clock(l);
	for (unsigned m = 0; m < REGISTRY_METHODS && pd->methods[m][0]; m++)
		methods[m] = pd->methods[m];
	cfg.methods = methods;
	cfg.hold = pd->hold;
	cfg.accept_unsigned = pd->accept_unsigned;
	cfg.defects = pd->defects;
	l->dev = device_new(&l->o->shared, &cfg);
	l->disk = storage_mem_new(UINT64_MAX);
	return l->dev && l->disk ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

int offline_device(struct offline *o, const struct replay_device *d, struct offline_result *out, struct buf *text,
		   struct err *e)
{
	static const struct lane empty = {.uuid = ""};
	struct lane *lane = lane_of(o, d->uuid, false);
	struct life l = {.o = o, .lane = lane ? lane : &empty, .out = out};
	struct parting p = {NULL, NULL, NULL};
	struct twins w = {NULL, NULL, "", ""};
	int rv;

	memset(out, 0, sizeof(*out));
	device_effects_init(&l.fx);
	buf_init(&l.file, DEVICE_FILE_MAX);
	rv = open_life(&l, d, e);
	if (!rv) {
		set_time(&l, o->zero);
		out->alike = walk(&l, &w, &p, e);
		rv = e->code;
		if (!rv && !out->alike)
			tell(&l, &p, text);
	}
	if (l.file.data)
		explicit_bzero(l.file.data, l.file.cap);
	buf_fini(&l.file);
	device_effects_fini(&l.fx);
	device_free(l.dev);
	storage_mem_free(l.disk);
	return rv;
}

/* ---- the mode ---- */

static void add(struct offline_result *sum, const struct offline_result *one)
{
	sum->inputs += one->inputs;
	sum->transitions += one->transitions;
	sum->requests += one->requests;
	sum->assumed += one->assumed;
}

static void say_assumed(const struct offline_result *sum)
{
	if (sum->assumed)
		printf("  %u input%s with values that no journal holds (publish interval, a command's arguments): taken from "
		       "the plan\n",
		       sum->assumed, sum->assumed == 1 ? "" : "s");
}

int replay_offline(const struct recording *r, const struct replay_device *only)
{
	struct offline_options opt = {.late = r->virtual_time ? 0 : NS_PER_S, .cut = r->harness[0] != '\0'};
	struct err e = {0};
	struct offline *o = offline_new(r->plan, r->tape, &opt, &e);
	struct offline_result sum = {0}, one;
	unsigned devices = 0, different = 0;
	struct replay_device d;
	struct buf text;
	char line[800];

	buf_init(&text, TEXT_MAX);
	for (size_t i = 0; o && !e.code && i < tape_count(r->tape); i++) {
		const struct journal_event *ev = tape_at(r->tape, i);

		if (ev->kind != J_DEVICE_ADDED || !ev->dev || (only && strcmp(ev->dev, only->uuid) != 0))
			continue;
		d = (struct replay_device){ev->dev, journal_text(ev, JF_LABEL)};
		if (offline_device(o, &d, &one, &text, &e))
			break;
		devices++;
		add(&sum, &one);
		different += !one.alike;
		if (!one.alike && different == 1 && text.len)
			fputs(text.data, stdout);
		buf_reset(&text);
	}
	buf_fini(&text);
	offline_free(o);
	if (e.code) {
		fprintf(stderr, "quicrig replay: error: %s\n", err_format(&e, line, sizeof(line)));
		return e.code == ERR_PARSE ? EXIT_BAD_INPUT : EXIT_INTERNAL;
	}
	printf("%s: offline: %u of %u device%s alike, %u inputs, %u transitions, %u requests\n", r->id, devices - different,
	       devices, devices == 1 ? "" : "s", sum.inputs, sum.transitions, sum.requests);
	say_assumed(&sum);
	return different ? EXIT_FAILED : EXIT_PASSED;
}
