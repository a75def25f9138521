#include "hil/run/against.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

bool against_same(const struct against_shape *a, const struct against_shape *b)
{
	return a->how == b->how && (a->how != AGAINST_REPLY || (a->code == b->code && strcmp(a->why, b->why) == 0));
}

const char *against_text(const struct against_shape *s, char *out, size_t size)
{
	static const char *const words[] = {"", "no answer", "link lost", "power off"};
	char code[16] = "no code";

	if (s->code)
		snprintf(code, sizeof(code), "%d", s->code);
	if (s->how != AGAINST_REPLY)
		snprintf(out, size, "%s", words[s->how]);
	else
		snprintf(out, size, "%s%s%s%s", code, s->why[0] ? " (" : "", s->why, s->why[0] ? ")" : "");
	return out;
}

/* The event that ended a request: its index; the tape's length where none did. */
static size_t end_of(const struct tape *t, size_t i, struct against_shape *out)
{
	const struct journal_event *asked = tape_at(t, i), *ev;
	const char *row, *event;

	out->how = AGAINST_CUT;
	for (size_t k = i + 1; k < tape_count(t); k++) {
		ev = tape_at(t, k);
		if (!same(ev->dev, asked->dev) || !same(ev->actor, asked->actor))
			continue;
		if (ev->kind == J_DEVICE_REPLY && same(ev->req, asked->req)) {
			out->how = AGAINST_REPLY;
			out->code = (int)journal_int(ev, JF_CODE, 0);
			snprintf(out->why, sizeof(out->why), "%s", journal_text(ev, JF_WHY));
			return k;
		}
		row = journal_text(ev, JF_ROW);
		event = strchr(row, '.') ? strchr(row, '.') + 1 : row;
		if (ev->kind != J_DEVICE_STATE)
			continue;
		if (strcmp(event, "no_answer") == 0 || strcmp(event, "link_lost") == 0) {
			out->how = event[0] == 'n' ? AGAINST_NO_ANSWER : AGAINST_LINK_LOST;
			return k;
		}
		if (strcmp(event, "off") == 0)
			return k;
	}
	return tape_count(t);
}

/* A fault of the scenario that acted on this request or its reply. SMS have their own. */
static const char *fault_within(const struct tape *t, size_t from, size_t to, const char *uuid)
{
	for (size_t k = from; k <= to + 2 && k < tape_count(t); k++) {
		const struct journal_event *ev = tape_at(t, k);

		if (ev->kind == J_FAULT_FIRED && (!ev->dev || same(ev->dev, uuid)) &&
		    strncmp(journal_text(ev, JF_WHY), "sms.", 4) != 0 &&
		    strcmp(journal_text(ev, JF_WHY), "time") != 0 && (k <= to || ev->t == tape_at(t, to)->t))
			return journal_text(ev, JF_NAME);
	}
	return NULL;
}

/* Did the server issue this code for this attempt? Where its journal is not there: yes. */
static bool was_issued(const struct tape *t, const char *uuid, const char *reg, const char *fp)
{
	bool any = false;

	for (size_t k = 0; k < tape_count(t); k++) {
		const struct journal_event *ev = tape_at(t, k);

		if (ev->kind != J_CODE_ISSUED || !same(ev->dev, uuid))
			continue;
		any = true;
		if (same(ev->reg, reg) && strcmp(journal_text(ev, JF_CODE_FP), fp) == 0)
			return true;
	}
	return !any;
}

static int read_code(const struct recording *r, size_t i, struct against_step *s, struct err *e)
{
	const struct journal_event *asked = tape_at(r->tape, i);

	/* it stands before its request */
	for (size_t k = i; k--;) {
		const struct journal_event *ev = tape_at(r->tape, k);

		if (ev->kind != J_DEVICE_CODE || !same(ev->dev, asked->dev) || !same(ev->req, asked->req))
			continue;
		if (strcmp(journal_text(ev, JF_WHY), "totp") == 0)
			return err_set(e, ERR_UNSUPPORTED, "%s: a login with TOTP cannot be asked again: no journal holds its secret",
				       r->dir);
		s->wrong_code = !was_issued(r->tape, asked->dev, asked->reg, journal_text(ev, JF_CODE_FP));
		return 0;
	}
	return 0;
}

static int add(const struct recording *r, struct against_script *out, size_t i, struct err *e)
{
	const struct journal_event *ev = tape_at(r->tape, i);
	struct against_step *more = realloc(out->v, (out->n + 1) * sizeof(*more)), *s;
	size_t end;

	if (!more)
		return err_set(e, ERR_NOMEM, "out of memory");
	out->v = more;
	s = &more[out->n++];
	memset(s, 0, sizeof(*s));
	s->at = ev->t;
	s->resource = (enum msg_resource)msg_resource_by_name(journal_text(ev, JF_RESOURCE));
	s->reg = ev->reg ? ev->reg : "";
	end = end_of(r->tape, i, &s->recorded);
	s->excused = fault_within(r->tape, i, end < tape_count(r->tape) ? end : end - 1, ev->dev);
	if (!s->excused && s->recorded.how != AGAINST_REPLY)
		s->excused = "its rig";
	return s->resource == MSG_LOGIN ? read_code(r, i, s, e) : 0;
}

int against_script(const struct recording *r, const struct replay_device *d, struct against_script *out, struct err *e)
{
	int rv = 0;

	*out = (struct against_script){NULL, 0};
	for (size_t i = 0; i < tape_count(r->tape) && !rv; i++) {
		const struct journal_event *ev = tape_at(r->tape, i);

		if (ev->kind == J_DEVICE_REQUEST && same(ev->dev, d->uuid))
			rv = add(r, out, i, e);
	}
	if (!rv && !out->n)
		rv = err_set(e, ERR_NOTFOUND, "%s: %s asked nothing", r->dir, d->label);
	for (size_t i = out->n; i--;)
		out->v[i].at -= out->v[0].at;
	if (rv)
		against_script_fini(out);
	return rv;
}

void against_script_fini(struct against_script *s)
{
	free(s->v);
	*s = (struct against_script){NULL, 0};
}
