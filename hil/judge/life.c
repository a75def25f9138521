/* A device's own story: its changes of state against the table, its replies against
 * the rows that it takes for them, its silence in IDLE and OFF. */
#include "hil/judge/oracle_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/table.h"

#define REJECTED_WIPES 10 /* in a row */

static void enter(struct oracle *o, struct dev *d, enum state_name to, enum row_name row, int64_t code, time_ns t)
{
	struct step_of_trail *s;

	if (to != d->state) {
		o->in_state[d->state]--;
		o->in_state[to]++;
		d->since = t;
		d->quiet_sent = 0;
	}
	d->state = to;
	if (to == STATE_OFF)
		return;
	if (d->first[to] == TIME_NEVER)
		d->first[to] = t;
	/* OFF left out, a state that goes on behind it is no change either */
	if (d->trail_n && d->awake == to)
		return;
	d->awake = to;
	s = &d->trail[d->trail_n++ % ORACLE_TRAIL];
	*s = (struct step_of_trail){.state = (uint8_t)to, .row = (uint16_t)row, .code = (int16_t)code, .t = t};
	expects_path_step(o->expects, d->paths, to);
	lives_enter(o, d, to);
}

/* May a known code whose signature was not verified count as unknown? Only where it needs one;
 * of a 200 that is so where a command rides on it, which the server's lines say. */
static bool may_be_unknown(struct dev *d, int code)
{
	for (unsigned i = 0; code == 200 && i < ORACLE_SLOTS; i++)
		if (d->req[0] && strcmp(d->slots[i].req, d->req) == 0)
			d->slots[i].disbelieved = true;
	return code == 200 || duty_signed(d->req_resource, code);
}

/* The reply that a row presupposes must be the one that came last. */
static void check_reply(struct oracle *o, struct dev *d, const struct rule *r, enum row_name row, time_ns t)
{
	bool fresh = d->reply_valid && !d->reply_used;
	int code = d->reply_code;
	bool fits = true;

	switch (r->need) {
	case NEED_NONE:
		return;
	case NEED_CODE:
		fits = fresh && code == r->code;
		break;
	case NEED_REJECTED:
		fits = fresh && (code == 400 || code == 404 || code == 413);
		break;
	case NEED_UNKNOWN:
		fits = fresh && code > 0 && (!code_known(code) || (d->reply_signed != 1 && may_be_unknown(d, code)));
		break;
	case NEED_NO_CODE:
		fits = fresh && code <= 0;
		break;
	case NEED_SILENCE:
		fits = !fresh;
		break;
	case NEED_COMMAND:
		fits = d->reply_valid && code == 200;
		break;
	}
	if (!fits && !d->reply_valid)
		oracle_find(o, INV_REPLY_ROW, d, t, BLAME_DEVICE, "row %s without a reply", row_id(row));
	else if (!fits)
		oracle_find(o, INV_REPLY_ROW, d, t, BLAME_DEVICE, "row %s after %s reply %d", row_id(row),
			    d->reply_used ? "an already used" : "the", code);
	else if (r->authentic && d->reply_signed == 0 && !d->accept_unsigned)
		oracle_find(o, INV_AUTHENTIC, d, t, BLAME_DEVICE, "row %s on an unsigned reply", row_id(row));
	if (r->need != NEED_COMMAND)
		d->reply_used = true;
	if (r->need != NEED_COMMAND && r->need != NEED_SILENCE)
		d->in_flight = false;
}

/* State and tokens outlive a power cut: PV, PA and RF come back as PV, others as NP. */
static void check_power_on(struct oracle *o, struct dev *d, enum row_name row, time_ns t)
{
	bool credentials = d->awake == STATE_PV || d->awake == STATE_PA || d->awake == STATE_RF;

	if (!d->powered) {
		d->powered = true;
		d->power_on = t;
		return;
	}
	/* what a failing disk never took, or still holds, is no fault of the device */
	if (d->unsaved && o->disk_faults)
		return;
	if (row == ROW_OFF_ON && credentials)
		oracle_find(o, INV_CONTINUITY, d, t, BLAME_DEVICE, "%s lost its credentials over a power cycle",
			    state_brief(d->awake));
	if (row == ROW_OFF_ON_TOKENS && !credentials && !d->stored)
		oracle_find(o, INV_CONTINUITY, d, t, BLAME_DEVICE, "%s came back with credentials it never had",
			    state_brief(d->awake));
}

/* protocol.md §3: `R` in REFRESHING backs off; the tenth in a row wipes. */
static void count_rejections(struct oracle *o, struct dev *d, enum row_name row, time_ns t)
{
	if (row == ROW_RF_SEND || row_state(row) != STATE_RF)
		return; /* asking, or another state's row: none of the replies in a row */
	if (row != ROW_RF_400 && row != ROW_RF_404 && row != ROW_RF_413) {
		d->rejected = 0;
		return;
	}
	d->rejected++;
	if (d->rejected == REJECTED_WIPES)
		oracle_find(o, INV_TABLE, d, t, BLAME_DEVICE, "row %s for the tenth rejection in a row, which wipes", row_id(row));
}

static void on_state(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	const char *id = journal_text(ev, JF_ROW);
	int from = state_by_name(journal_text(ev, JF_FROM)), to = state_by_name(journal_text(ev, JF_TO));
	enum row_name row = row_by_id(id);
	const struct rule *r = rule_of(row);
	int64_t code = journal_int(ev, JF_CODE, 0);

	if (!o->ended) /* behind it links go with the server: nobody's coverage */
		o->work.rows[row]++;
	if (from < 0 || to < 0) {
		oracle_find(o, INV_TABLE, d, ev->t, BLAME_DEVICE, "unknown state '%s' or '%s'",
			    journal_text(ev, JF_FROM), journal_text(ev, JF_TO));
		return;
	}
	if (d->no_rules) {
		/* never announced: its story starts here */
		d->no_rules = false;
		o->in_state[d->state]--;
		o->in_state[from]++;
		d->state = (enum state_name)from;
	}
	if ((enum state_name)from != d->state)
		oracle_find(o, INV_CONTINUITY, d, ev->t, BLAME_DEVICE, "row %s starts in %s, but the device was in %s",
			    id, state_brief((enum state_name)from), state_brief(d->state));
	if (!r)
		oracle_find(o, INV_TABLE, d, ev->t, BLAME_DEVICE, "no such row: '%s'", id);
	else if (!rule_allows_from(r, (enum state_name)from) || !rule_allows_to(r, (enum state_name)to))
		oracle_find(o, INV_TABLE, d, ev->t, BLAME_DEVICE, "row %s cannot lead from %s to %s", id,
			    state_brief((enum state_name)from), state_brief((enum state_name)to));
	else
		check_reply(o, d, r, row, ev->t);
	if (r && r->need == NEED_CODE && code > 0 && code != r->code)
		oracle_find(o, INV_REPLY_ROW, d, ev->t, BLAME_DEVICE, "row %s is noted with code %" PRId64, id, code);
	count_rejections(o, d, row, ev->t);
	/* a folder is synced behind the rename: a device that goes on has done it */
	if (d->renaming && to != STATE_OFF)
		d->unsaved = false;
	d->renaming = false;
	if (from == STATE_OFF && to != STATE_OFF)
		check_power_on(o, d, row, ev->t);
	/* a cut between a wipe's row and its storing may bring the old tokens back */
	if (row == ROW_OFF_ON_TOKENS)
		d->stored = true;
	else if (row == ROW_OFF_ON || row == ROW_NP_BACKOFF)
		d->stored = false;
	if (to == STATE_OFF || from == STATE_OFF)
		d->reply_valid = d->in_flight = false;
	if (row == ROW_RG_200_TOTP)
		d->totp = true;
	if (code == 0 && r && (r->need == NEED_CODE || r->need == NEED_REJECTED))
		code = d->reply_code;
	enter(o, d, (enum state_name)to, row, code, ev->t);
}

static void on_request(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	struct slot *s;

	d->reply_valid = d->reply_used = false;
	d->in_flight = true;
	snprintf(d->req, sizeof(d->req), "%s", ev->req ? ev->req : "");
	snprintf(d->req_reg, sizeof(d->req_reg), "%s", ev->reg ? ev->reg : "");
	snprintf(d->req_resource, sizeof(d->req_resource), "%s", journal_text(ev, JF_RESOURCE));
	d->req_t = ev->t;
	if (d->state == STATE_IDLE || d->state == STATE_OFF)
		oracle_find(o, INV_SILENT, d, ev->t, BLAME_DEVICE, "asked %s in %s", journal_text(ev, JF_RESOURCE),
			    state_brief(d->state));
	s = story_slot(o, d, d->req, ev->t);
	if (s) {
		s->asked = ev->t;
		snprintf(s->resource, sizeof(s->resource), "%s", journal_text(ev, JF_RESOURCE));
	}
}

static void on_reply(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	int64_t code = journal_int(ev, JF_CODE, 0);
	struct family *f;

	if (!ev->req || !d->req[0] || strcmp(ev->req, d->req) == 0) {
		d->reply_valid = true;
		d->reply_used = false;
		d->reply_code = (int)code;
		d->reply_signed = (int)journal_int(ev, JF_SIGNED, -1);
	}
	if (code == 200)
		tokens_adopt(o, d, journal_text(ev, JF_FAM));
	f = code == 200 ? tokens_family(d, journal_text(ev, JF_FAM)) : NULL;
	if (f)
		f->acked = true;
}

static void on_count(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	int64_t sent = journal_int(ev, JF_SENT, 0);

	if (d->state != STATE_IDLE && d->state != STATE_OFF)
		return;
	if (sent <= 0)
		return;
	d->quiet_sent += (uint64_t)sent;
	oracle_find(o, INV_SILENT, d, ev->t, BLAME_DEVICE, "sent datagrams in %s", state_brief(d->state));
}

void life_event(struct oracle *o, struct dev *d, const struct journal_event *ev)
{
	switch (ev->kind) {
	case J_DEVICE_STATE:
		on_state(o, d, ev);
		break;
	case J_DEVICE_REQUEST:
		on_request(o, d, ev);
		break;
	case J_DEVICE_REPLY:
		on_reply(o, d, ev);
		break;
	case J_TOKENS_WRITTEN:
		d->stored = true;
		break;
	case J_TOKENS_RENAMED:
		d->stored = d->renaming = true;
		break;
	case J_DEVICE_IGNORED:
		if (strcmp(journal_text(ev, JF_WHY), "store_failed") != 0)
			break;
		d->unsaved = true;
		d->renaming = false;
		break;
	case J_NET_COUNT:
		on_count(o, d, ev);
		break;
	default:
		break;
	}
}
