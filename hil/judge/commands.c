/* Commands: the server's story (queued, sent, closed) against the device's (done). A device
 * does an id once; a request names what it has done, and from that request on the server
 * sends it no more (protocol.md §2). */
#include "hil/judge/oracle_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SILENT_MAX 2 /* publishes in a row without a command that waits */

static struct told *told(struct oracle *o, struct dev *d, const char *id)
{
	struct told *t;

	if (!id[0] || strlen(id) >= sizeof(t->id))
		return NULL;
	if (!d->told) {
		d->told = calloc(ORACLE_COMMANDS, sizeof(*d->told));
		if (!d->told) {
			o->failed = ERR_NOMEM;
			return NULL;
		}
	}
	for (unsigned i = 0; i < ORACLE_COMMANDS; i++)
		if (strcmp(d->told[i].id, id) == 0)
			return &d->told[i];
	t = &d->told[d->told_n++ % ORACLE_COMMANDS];
	memset(t, 0, sizeof(*t));
	snprintf(t->id, sizeof(t->id), "%s", id);
	t->done_t = t->span = t->queued_t = t->sent_t = t->closed_t = TIME_NEVER;
	return t;
}

time_ns commands_span(const struct dev *d, const char *id)
{
	for (unsigned i = 0; d->told && i < ORACLE_COMMANDS; i++)
		if (strcmp(d->told[i].id, id) == 0)
			return d->told[i].span;
	return TIME_NEVER;
}

static void on_queued(struct told *t, const struct journal_event *ev)
{
	int64_t span = journal_int(ev, JF_WAIT_NS, -1);

	t->span = span < 0 ? TIME_NEVER : (time_ns)span;
	if (!t->queued)
		t->queued_t = ev->t;
	t->queued = true;
}

/* Where a register names it nobody has shown who asks, so only the others count. */
static bool named_done(const struct dev *d, const struct told *t, const char *req)
{
	for (unsigned i = 0; req && i < ORACLE_SLOTS; i++) {
		const struct slot *s = &d->slots[i];

		if (strcmp(s->req, req) == 0)
			return s->asked != TIME_NEVER && s->asked > t->done_t && strcmp(s->resource, "registerDevice") != 0;
	}
	return false;
}

/* Where a device stands that has done it (protocol.md §3, rows of PV). */
static void judge_done(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	static const struct {
		const char *name;
		enum state_name state;
	} ends[] = {{"PAUSE", STATE_PA}, {"RESET", STATE_NP}, {"IDLE", STATE_IDLE}};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(journal_text(ev, JF_NAME), ends[i].name) == 0 && d->added && d->state != ends[i].state)
			oracle_find(o, INV_COMMAND, d, ev->t, BLAME_DEVICE, "%s is done, and the device is %s", ends[i].name,
				    state_full(d->state));
}

void commands_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct told *t;

	if (ev->kind != J_COMMAND_QUEUED && ev->kind != J_COMMAND_SENT && ev->kind != J_COMMAND_DONE && ev->kind != J_COMMAND_CLOSED)
		return;
	t = told(o, d, journal_text(ev, JF_ID));
	if (!t)
		return;
	switch (ev->kind) {
	case J_COMMAND_QUEUED:
		on_queued(t, ev);
		break;
	case J_COMMAND_SENT:
		if (t->closed || (t->done_t != TIME_NEVER && named_done(d, t, ev->req)))
			oracle_find(o, INV_COMMAND, d, ev->t, BLAME_SERVER, "%s is sent though %s", journal_text(ev, JF_NAME),
				    t->closed ? "it was closed" : "the request names it as done");
		if (t->sent_t == TIME_NEVER)
			t->sent_t = ev->t;
		t->silent = 0;
		break;
	case J_COMMAND_DONE:
		if (t->done_t != TIME_NEVER)
			oracle_find(o, INV_COMMAND, d, ev->t, BLAME_DEVICE, "%s of one id is done again",
				    journal_text(ev, JF_NAME));
		judge_done(o, d, ev);
		t->done_t = ev->t;
		break;
	default:
		t->closed = true;
		t->closed_t = ev->t;
		break;
	}
}

/* "The server repeats a command until a request names its id" (protocol.md §2). */
void commands_slot(struct oracle *o, struct dev *d, const struct slot *s)
{
	if (!s->has_decision || s->decision != 200 || s->forced || s->commands || strcmp(s->resource, "publishMeasure") != 0 ||
	    s->asked == TIME_NEVER)
		return;
	for (unsigned i = 0; d->told && i < ORACLE_COMMANDS; i++) {
		struct told *t = &d->told[i];

		if (!t->queued || t->queued_t >= s->asked || t->done_t <= s->t || t->closed_t <= s->t)
			continue;
		if (t->sent_t != TIME_NEVER && t->sent_t >= s->asked)
			continue;
		if (++t->silent == SILENT_MAX)
			oracle_find(o, INV_COMMAND, d, s->t, BLAME_SERVER, "a command that is not done is not sent%s",
				    t->sent_t == TIME_NEVER ? "" : " again");
	}
}
