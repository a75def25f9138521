/* The device's story of each request held against the server's, by the request's id.
 * The two come from two processes, so either half may be read first: a request is
 * judged when it leaves the device's ring of slots, or at the end. */
#include "hil/judge/oracle_priv.h"

#include <stdio.h>
#include <string.h>

void story_nameless(struct oracle *o, int code)
{
	for (unsigned i = 0; i < ORACLE_NAMELESS; i++) {
		if (o->nameless[i].n && o->nameless[i].code != code)
			continue;
		o->nameless[i].code = code;
		o->nameless[i].n++;
		return;
	}
}

static bool take_nameless(struct oracle *o, int code)
{
	for (unsigned i = 0; i < ORACLE_NAMELESS; i++)
		if (o->nameless[i].n && o->nameless[i].code == code) {
			o->nameless[i].n--;
			return true;
		}
	return false;
}

static void compare(struct oracle *o, struct dev *d, const struct slot *s)
{
	int served = s->has_reply ? s->reply_code : s->decision;

	if (s->has_decision && s->has_reply && s->decision != s->reply_code && !s->forced)
		oracle_find(o, INV_STORIES, d, s->t, BLAME_SERVER, "%s: its journal decides %d, its reply says %d",
			    s->resource, s->decision, s->reply_code);
	if (!s->has_device)
		return;
	if (!s->has_reply && !s->has_decision) {
		if (o->server_seen && !take_nameless(o, s->device_code))
			oracle_find(o, INV_STORIES, d, s->t, BLAME_UNKNOWN,
				    "%s: a reply %d that the server's journal does not know", s->resource,
				    s->device_code);
		return;
	}
	if (served == s->device_code || (s->forced && !s->has_reply))
		return;
	if (!s->has_reply)
		oracle_find(o, INV_STORIES, d, s->t, BLAME_SERVER, "%s: its journal decides %d, the reply says %d",
			    s->resource, served, s->device_code);
	else if (!s->forced)
		/* QUIC delivers what was sent, so the reader misread it, unless it verified a signature */
		oracle_find(o, INV_STORIES, d, s->t, s->is_signed == 1 ? BLAME_SERVER : BLAME_DEVICE,
			    "%s: the server replied %d, the device read %d", s->resource, served, s->device_code);
}

/* A token is presented on its owner's account; one that serves another device leaves
 * that device's request without any. */
static void judge_tokenless(struct oracle *o, struct dev *d, const struct slot *s)
{
	if (s->has_decision && s->decision == 200 && !s->presented && !s->forced && o->presented_seen &&
	    (strcmp(s->resource, "publishMeasure") == 0 || strcmp(s->resource, "refreshToken") == 0))
		oracle_find(o, INV_OWNER, d, s->t, BLAME_SERVER, "%s: 200 without a token of its own", s->resource);
}

static void judge_token(struct oracle *o, struct dev *d, const struct slot *s)
{
	bool publish = strcmp(s->resource, "publishMeasure") == 0;
	bool refresh = strcmp(s->resource, "refreshToken") == 0;

	if (!s->presented || !s->has_decision || s->forced || !(publish || refresh))
		return;
	if (s->decision == 200) {
		if (!s->fam_known)
			oracle_find(o, INV_OWNER, d, s->t, BLAME_SERVER,
				    "%s: 200 for a token that was never issued to this device", s->resource);
		else if (!s->fam_live)
			oracle_find(o, INV_FAMILY, d, s->t, BLAME_SERVER, "%s: 200 for a token of a revoked family",
				    s->resource);
		if (s->fam_over)
			oracle_find(o, INV_EXPIRY, d, s->t, BLAME_SERVER, "%s: 200 for an expired token", s->resource);
		if (s->use[0] && strcmp(s->use, publish ? "access" : "refresh") != 0)
			oracle_find(o, INV_OWNER, d, s->t, BLAME_SERVER, "%s: 200 for a token of use '%s'",
				    s->resource, s->use);
		return;
	}
	/* Refused though acknowledged, alive and fresh. A reused refresh token revokes its
	 * family in the same turn, and that is what fam_live then says. */
	if ((publish ? s->decision == 401 || s->decision == 403 : s->decision == 700) &&
	    strcmp(s->use, publish ? "access" : "refresh") == 0 && s->fam_known && s->fam_live && s->fam_acked &&
	    s->fam_fresh && !s->disabled && !s->expired_said)
		oracle_find(o, INV_ACK, d, s->t, BLAME_SERVER, "%s: %d for a live token%s", s->resource, s->decision,
			    o->restarted ? " that was acknowledged before the restart" : "");
}

static void close_slot(struct oracle *o, struct dev *d, struct slot *s)
{
	if (s->req[0]) {
		compare(o, d, s);
		judge_token(o, d, s);
		judge_tokenless(o, d, s);
		duty_slot(o, d, s);
		keys_decision(o, d, s, s->token_t);
		script_slot(o, d, s);
		commands_slot(o, d, s);
	}
	if (d->server_slot == s)
		d->server_slot = NULL;
	memset(s, 0, sizeof(*s));
}

const struct slot *story_find(const struct dev *d, const char *req)
{
	for (unsigned i = 0; req && req[0] && i < ORACLE_SLOTS; i++)
		if (strcmp(d->slots[i].req, req) == 0)
			return &d->slots[i];
	return NULL;
}

struct slot *story_slot(struct oracle *o, struct dev *d, const char *req, time_ns t)
{
	struct slot *s;

	if (!req || !req[0] || strlen(req) >= sizeof(s->req))
		return NULL;
	for (unsigned i = 0; i < ORACLE_SLOTS; i++) {
		s = &d->slots[i];
		if (strcmp(s->req, req) == 0) {
			s->t = t;
			return s;
		}
	}
	d->slot_at = (d->slot_at + 1) % ORACLE_SLOTS;
	s = &d->slots[d->slot_at];
	close_slot(o, d, s);
	snprintf(s->req, sizeof(s->req), "%s", req);
	s->is_signed = s->signs = -1;
	s->token_t = TIME_NEVER;
	s->asked = TIME_NEVER;
	s->t = t;
	return s;
}

static void name_resource(struct slot *s, const struct journal_event *ev)
{
	if (!s->resource[0])
		snprintf(s->resource, sizeof(s->resource), "%s", journal_text(ev, JF_RESOURCE));
}

/* What was known of the presented token when the server decided. */
static void note_token(const struct oracle *o, struct dev *d, struct slot *s, time_ns t)
{
	bool refresh = strcmp(s->use, "refresh") == 0;
	time_ns life = setting_ns(&o->settings, refresh ? SETTING_REFRESH_IDLE : SETTING_ACCESS_TTL);
	struct family *f = tokens_family(d, s->fam);
	time_ns issued;

	issued = !f ? TIME_NEVER : refresh ? f->refresh_t : f->access_t;
	s->fam_known = issued != TIME_NEVER;
	if (!f)
		return;
	if (strncmp(refresh ? f->jti : f->access_jti, s->jti, 8) == 0)
		s->token_t = issued;
	s->fam_live = f->live;
	s->fam_acked = f->acked;
	/* a second's slack: lives are whole seconds of the server's own clock */
	/* one that a dying server issued untold is none of these */
	s->fam_over = strncmp(refresh ? f->jti : f->access_jti, s->jti, 8) == 0 && s->fam_known && !o->clock_moves && t > time_add(time_add(issued, life), NS_PER_S);
	s->fam_fresh = s->fam_known && time_add(t, NS_PER_S) < time_add(issued, life);
}

static void on_operator(struct dev *d, const char *name)
{
	if (strcmp(name, "disable") == 0 || strcmp(name, "decommission") == 0)
		d->disabled = true;
	else if (strcmp(name, "enable") == 0 || strcmp(name, "readmit") == 0)
		d->disabled = false;
	/* whether the server says so or not, none of its tokens is good from here on */
	for (unsigned i = 0; i < d->fams_n && strcmp(name, "decommission") == 0; i++)
		d->fams[i].live = false;
	if (strcmp(name, "lift") == 0 || strcmp(name, "readmit") == 0) {
		d->quarantined = false;
		d->reuses_n = 0;
	}
}

/* The server says itself when a token was used that only two can have. */
static void on_alarm(struct dev *d, const struct journal_event *ev)
{
	const char *name = journal_text(ev, JF_NAME);

	if (strcmp(name, "quarantine") == 0)
		d->quarantined = true;
	else if (strcmp(name, "reuse") == 0)
		d->reuses[d->reuses_n++ % ORACLE_REUSES] = ev->t;
}

/* Is this the third reuse in a day? Then 403, never 700. */
static bool third_reuse(const struct dev *d, time_ns t)
{
	time_ns first = d->reuses[d->reuses_n % ORACLE_REUSES];

	return d->reuses_n >= ORACLE_REUSES && d->reuses[(d->reuses_n - 1) % ORACLE_REUSES] == t &&
	       t < time_add(first, 24 * 3600 * NS_PER_S);
}

static void on_decision(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct slot *s = story_slot(o, d, ev->req, ev->t);
	int code = (int)journal_int(ev, JF_CODE, 0);

	if ((d->disabled || d->stranger) && code == 200)
		oracle_find(o, INV_OWNER, d, ev->t, BLAME_SERVER, "%s: 200 for %s", journal_text(ev, JF_RESOURCE),
			    d->disabled ? "a disabled device" : "a device that is not on record");
	if (d->quarantined && code == 200)
		oracle_find(o, INV_OWNER, d, ev->t, BLAME_SERVER, "%s: 200 for a device in quarantine",
			    journal_text(ev, JF_RESOURCE));
	if (code == 700 && third_reuse(d, ev->t))
		oracle_find(o, INV_OWNER, d, ev->t, BLAME_SERVER, "the third reuse in a day, and no quarantine");
	if (!s)
		return;
	name_resource(s, ev);
	s->decision = code;
	s->has_decision = true;
	s->disabled = d->disabled || d->quarantined;
	s->storage_said = code == 503 && strcmp(journal_text(ev, JF_WHY), "storage") == 0;
	s->expired_said = strcasestr(journal_text(ev, JF_WHY), "expire") != NULL;
	if (s->presented)
		note_token(o, d, s, ev->t);
	duty_decision(o, d, s, ev);
	d->server_slot = s;
}

static void on_presented(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct slot *s = story_slot(o, d, ev->req, ev->t);

	if (!s)
		return;
	s->presented = true;
	tokens_adopt(o, d, journal_text(ev, JF_FAM));
	snprintf(s->fam, sizeof(s->fam), "%s", journal_text(ev, JF_FAM));
	snprintf(s->jti, sizeof(s->jti), "%.8s", journal_text(ev, JF_JTI));
	snprintf(s->use, sizeof(s->use), "%s", journal_text(ev, JF_USE));
	note_token(o, d, s, ev->t);
	d->server_slot = s;
}

static void on_device_reply(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct slot *s = story_slot(o, d, ev->req, ev->t);

	if (!s)
		return;
	name_resource(s, ev);
	s->has_device = true;
	s->device_code = (int)journal_int(ev, JF_CODE, 0);
	s->is_signed = (int)journal_int(ev, JF_SIGNED, -1);
	if (s->asked != TIME_NEVER && ev->t >= s->asked &&
	    oracle_sample(o, METRIC_REQUEST_TIME, ev->t - s->asked, ev->t))
		o->failed = ERR_NOMEM;
}

/* A reply that a fault made tells a setting of its own, too. */
static void forced(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	script_fired(o, d->server_slot, ev);
	if (strcmp(d->server_slot->resource, "registerDevice") == 0)
		d->conduct.interval = TIME_NEVER;
}

void story_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct slot *s;

	switch (ev->kind) {
	case J_SERVER_DECISION:
		on_decision(o, d, ev);
		break;
	case J_SERVER_REPLY:
		s = story_slot(o, d, ev->req, ev->t);
		if (s) {
			name_resource(s, ev);
			s->has_reply = true;
			s->reply_code = (int)journal_int(ev, JF_CODE, 0);
			d->server_slot = s;
		}
		break;
	case J_TOKEN_ISSUED:
		duty_issued(o, story_slot(o, d, ev->req, ev->t), ev->t);
		break;
	case J_TOKEN_PRESENTED:
		o->presented_seen = true;
		on_presented(o, d, ev);
		break;
	case J_DEVICE_REPLY:
		on_device_reply(o, d, ev);
		break;
	case J_COMMAND_SENT:
		s = story_slot(o, d, ev->req, ev->t);
		if (s)
			s->commands = true;
		if (s && strcmp(journal_text(ev, JF_NAME), "KEYS") == 0)
			s->commands_keys = true;
		break;
	case J_DEVICE_CODE:
		s = strcmp(journal_text(ev, JF_STATUS), "used") == 0 ? story_slot(o, d, ev->req, ev->t) : NULL;
		if (s)
			snprintf(s->code_fp, sizeof(s->code_fp), "%s", journal_text(ev, JF_CODE_FP));
		break;
	case J_OPERATOR:
		on_operator(d, journal_text(ev, JF_NAME));
		break;
	case J_SERVER_ALARM:
		on_alarm(d, ev);
		break;
	case J_FAULT_FIRED:
		if (d->server_slot && ev->actor && strcmp(ev->actor, "server") == 0)
			forced(o, d, ev);
		break;
	default:
		break;
	}
}

void story_finish(struct oracle *o, struct dev *d)
{
	for (unsigned i = 1; i <= ORACLE_SLOTS; i++)
		close_slot(o, d, &d->slots[(d->slot_at + i) % ORACLE_SLOTS]);
}
