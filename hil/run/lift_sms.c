/* The fate of each SMS of a device, attempt by attempt. */
#include "hil/run/lift_int.h"

#include <inttypes.h>
#include <stdlib.h>

/* One try of a modem to send one code. */
struct attempt {
	const char *fp;
	time_ns issued, delivered;
	unsigned copies; /* that arrived */
	bool tried;	 /* a modem said something of it */
	bool lost;
	int64_t cms;	 /* -1: not refused */
	json_t *fault;	 /* the scenario's own that befell it; NULL */
};

struct attempts {
	struct attempt *v;
	size_t n, cap;
};

static struct attempt *another(struct attempts *a, const char *fp, time_ns issued)
{
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 8;
		struct attempt *more = realloc(a->v, cap * sizeof(*more));

		if (!more)
			return NULL;
		a->v = more;
		a->cap = cap;
	}
	a->v[a->n] = (struct attempt){.fp = fp, .issued = issued, .cms = -1};
	return &a->v[a->n++];
}

/* The latest attempt with this code. */
static struct attempt *of_code(struct attempts *a, const char *fp)
{
	for (size_t i = a->n; i--;)
		if (lift_same(a->v[i].fp, fp))
			return &a->v[i];
	return NULL;
}

/* The one that a modem now says something of: a new one where that is already spent. */
static struct attempt *try_of(struct attempts *a, const char *fp, bool fresh)
{
	struct attempt *t = of_code(a, fp);

	if (!t || !fresh || !t->tried)
		return t;
	return another(a, t->fp, t->issued);
}

static int take(struct lift *l, struct attempts *a, size_t i)
{
	const struct journal_event *ev = tape_at(l->r->tape, i);
	const char *fp = journal_text(ev, JF_CODE_FP);
	struct attempt *t = of_code(a, fp);

	switch (ev->kind) {
	case J_CODE_ISSUED:
		return another(a, fp, ev->t) ? 0 : ERR_NOMEM;
	case J_SMS_SUBMITTED:
		t = try_of(a, fp, true);
		if (t) {
			t->tried = true;
			t->fault = lift_fired(l, i);
		}
		return 0;
	case J_SMS_DELIVERED:
		if (t && !t->copies++)
			t->delivered = ev->t;
		if (t && lift_fired(l, i))
			t->fault = lift_fired(l, i);
		return 0;
	case J_SMS_LOST:
	case J_SMS_UNKNOWN:
		if (t)
			t->tried = t->lost = true;
		return 0;
	case J_SMS_FAILED:
		t = t && t->tried && t->cms >= 0 ? try_of(a, fp, true) : t;
		if (t) {
			t->tried = true;
			t->cms = journal_int(ev, JF_CMS, 500); /* 3GPP TS 27.005 §3.2.5: unknown error */
			if (t->cms < 0)
				t->cms = 500;
		}
		return 0;
	default:
		return 0;
	}
}

static void late(struct lift *l, const struct lift_device *d, const struct attempt *t, size_t k, uint64_t nth)
{
	time_ns by = lift_round(t->delivered - t->issued);

	lift_add(l, d, "sms.submitted", nth, "delay", json_pack("{s:I}", "by_ns", (json_int_t)by));
	lift_note(l, "%s: SMS no. %zu took %" PRIu64 ".%" PRIu64 " s", d->label, k, by / NS_PER_S,
		  by % NS_PER_S / (100 * NS_PER_MS));
}

/* True: a fault now stands for it, which takes the event from those behind it. */
static bool pin(struct lift *l, const struct lift_device *d, const struct attempt *t, size_t k, uint64_t nth)
{
	json_t *own = t->fault;

	if (own && !lift_is_chance(own))
		return true;
	if (own && strcmp(json_string_value(json_object_get(own, "on")), "sms.submitted") == 0) {
		lift_add(l, d, "sms.submitted", nth, json_string_value(json_object_get(own, "do")),
			 json_deep_copy(json_object_get(own, "args")));
		lift_note(l, "%s: '%s' fired by chance at SMS no. %zu", d->label,
			  json_string_value(json_object_get(own, "name")), k);
		return true;
	}
	if (own)
		return false; /* of chance, at its delivery: pinned there */
	if (t->cms >= 0) {
		lift_add(l, d, "sms.submitted", nth, "cms_error", json_pack("{s:I}", "code", (json_int_t)t->cms));
		lift_note(l, "%s: a modem refused SMS no. %zu (CMS %" PRId64 ")", d->label, k, t->cms);
		return true;
	}
	if (!t->tried && lift_server_away(l, t->issued, TIME_NEVER))
		return false; /* it died before it asked a modem, and will again */
	if (t->lost || !t->copies) {
		lift_add(l, d, "sms.submitted", nth, "lose", NULL);
		lift_note(l, "%s: SMS no. %zu %s", d->label, k, t->tried ? "never arrived" : "never left a modem");
		return true;
	}
	if (t->copies > 1) {
		lift_add(l, d, "sms.submitted", nth, "duplicate", json_pack("{s:I}", "times", (json_int_t)t->copies - 1));
		lift_note(l, "%s: SMS no. %zu arrived %u times", d->label, k, t->copies);
		if (t->delivered - t->issued >= LIFT_LATE_NS)
			lift_note(l, "  not lifted: that it came late, too");
		return true;
	}
	if (t->delivered - t->issued >= LIFT_LATE_NS) {
		late(l, d, t, k, nth);
		return true;
	}
	return false;
}

int lift_sms(struct lift *l, const struct lift_device *d)
{
	struct attempts a = {NULL, 0, 0};
	uint64_t eaten = 0;
	int rv = 0;

	for (size_t i = 0; i < tape_count(l->r->tape) && !rv; i++)
		if (lift_same(tape_at(l->r->tape, i)->dev, d->uuid))
			rv = take(l, &a, i);
	for (size_t k = 0; k < a.n && !rv; k++)
		eaten += pin(l, d, &a.v[k], k + 1, k + 1 - eaten);
	free(a.v);
	return rv;
}
