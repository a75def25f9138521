#include "reports/narrative.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool narrative_has(const struct journal_event *ev, const char *uuid)
{
	if (ev->dev)
		return strcmp(ev->dev, uuid) == 0;
	return ev->kind == J_SERVER_STATE || ev->kind == J_SCENARIO_END || ev->kind == J_STEP_DONE ||
	       ev->kind == J_FAULT_FIRED;
}

static int seconds(struct buf *out, time_ns t)
{
	return buf_printf(out, "%" PRIu64 ".%03" PRIu64 " s", t / NS_PER_S, t % NS_PER_S / NS_PER_MS);
}

static const char *short_id(const char *id, char out[9])
{
	snprintf(out, 9, "%.8s", id);
	return out;
}

static void state(const struct journal_event *ev, struct buf *out)
{
	const char *from = journal_text(ev, JF_FROM), *to = journal_text(ev, JF_TO);
	int64_t wait = journal_int(ev, JF_WAIT_NS, -1), code = journal_int(ev, JF_CODE, 0);

	if (strcmp(from, to) == 0)
		buf_printf(out, "stays %s", to);
	else
		buf_printf(out, "%s → %s", from, to);
	buf_printf(out, "  (%s", journal_text(ev, JF_ROW));
	if (code)
		buf_printf(out, ", %" PRId64, code);
	if (wait >= 0) {
		buf_puts(out, ", waits ");
		seconds(out, (time_ns)wait);
	}
	buf_puts(out, ")");
}

static void reply(const struct journal_event *ev, struct buf *out)
{
	int64_t code = journal_int(ev, JF_CODE, 0), retry = journal_int(ev, JF_RETRY_S, -1);

	buf_printf(out, "  is answered ");
	if (code)
		buf_printf(out, "%" PRId64, code);
	else
		buf_puts(out, "without a code");
	buf_printf(out, " to %s%s", journal_text(ev, JF_RESOURCE), journal_int(ev, JF_SIGNED, 0) ? ", signed" : "");
	if (retry >= 0)
		buf_printf(out, ", retry after %" PRId64 " s", retry);
	if (*journal_text(ev, JF_STATUS))
		buf_printf(out, ", %s", journal_text(ev, JF_STATUS));
	if (*journal_text(ev, JF_WHY))
		buf_printf(out, ": %s", journal_text(ev, JF_WHY));
}

static void sms(const struct journal_event *ev, struct buf *out)
{
	static const struct {
		enum journal_kind kind;
		const char *text;
	} words[] = {{J_SMS_QUEUED, "is taken by the gateway"}, {J_SMS_SUBMITTED, "leaves modem"},
		     {J_SMS_DELIVERED, "is handed over"},	{J_SMS_LOST, "is lost"},
		     {J_SMS_FAILED, "could not be sent"},	{J_SMS_UNKNOWN, "may have been sent"}};
	char id[9];

	/* a modem knows no id, only what it carries */
	if (*journal_text(ev, JF_ID))
		buf_printf(out, "SMS %s ", short_id(journal_text(ev, JF_ID), id));
	else
		buf_printf(out, "SMS with code %s ", short_id(journal_text(ev, JF_CODE_FP), id));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].kind == ev->kind)
			buf_puts(out, words[i].text);
	if (ev->kind == J_SMS_SUBMITTED)
		buf_printf(out, " %s", journal_text(ev, JF_MODEM));
	if (journal_has(ev, JF_CMS))
		buf_printf(out, ", CMS %" PRId64, journal_int(ev, JF_CMS, 0));
	if (*journal_text(ev, JF_WHY))
		buf_printf(out, " (%s)", journal_text(ev, JF_WHY));
}

static void decision(const struct journal_event *ev, const char *verb, struct buf *out)
{
	buf_printf(out, "%s %" PRId64 " on %s", verb, journal_int(ev, JF_CODE, 0), journal_text(ev, JF_RESOURCE));
	if (*journal_text(ev, JF_WHY))
		buf_printf(out, ": %s", journal_text(ev, JF_WHY));
}

/* Whatever has no words of its own: its kind and what people can read of it. */
static void other(const struct journal_event *ev, struct buf *out)
{
	static const enum journal_field shown[] = {JF_NAME, JF_STATUS, JF_STATE, JF_WHY, JF_USE, JF_ERROR, JF_ROLE, JF_GROUP};

	buf_puts(out, journal_kind_name(ev->kind));
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (!journal_has(ev, shown[i]))
			continue;
		if (journal_field_is_text(shown[i]))
			buf_printf(out, " %s", journal_text(ev, shown[i]));
		else
			buf_printf(out, " %s %" PRId64, journal_field_name(shown[i]), journal_int(ev, shown[i], 0));
	}
}

static void words(const struct journal_event *ev, struct buf *out)
{
	char id[9];

	switch (ev->kind) {
	case J_DEVICE_STATE:
		state(ev, out);
		break;
	case J_DEVICE_REQUEST:
		buf_printf(out, "  asks %s", journal_text(ev, JF_RESOURCE));
		break;
	case J_DEVICE_REPLY:
		reply(ev, out);
		break;
	case J_DEVICE_IGNORED:
		buf_printf(out, "  ignores it: %s", journal_text(ev, JF_WHY));
		break;
	case J_DEVICE_CODE:
		buf_printf(out, "  code %s %s", short_id(journal_text(ev, JF_CODE_FP), id), journal_text(ev, JF_STATUS));
		break;
	case J_TOKENS_RENAMED:
		buf_printf(out, "  tokens stored, family %s", short_id(journal_text(ev, JF_FAM), id));
		break;
	case J_SERVER_DECISION:
		decision(ev, "decides", out);
		break;
	case J_SERVER_REPLY:
		decision(ev, "replies", out);
		break;
	case J_CODE_ISSUED:
	case J_CODE_USED:
	case J_CODE_VOID:
		buf_printf(out, "code %s %s%s%s", short_id(journal_text(ev, JF_CODE_FP), id),
			   ev->kind == J_CODE_ISSUED ? "issued" :
			   ev->kind == J_CODE_USED   ? "used" :
						       "void",
			   *journal_text(ev, JF_WHY) ? ": " : "", journal_text(ev, JF_WHY));
		break;
	case J_FAULT_FIRED:
		buf_printf(out, "FAULT %s at %s", journal_text(ev, JF_NAME), journal_text(ev, JF_WHY));
		break;
	case J_SCENARIO_END:
		buf_printf(out, "end: %s", journal_text(ev, JF_WHY));
		break;
	case J_SMS_QUEUED:
	case J_SMS_SUBMITTED:
	case J_SMS_DELIVERED:
	case J_SMS_LOST:
	case J_SMS_FAILED:
	case J_SMS_UNKNOWN:
		sms(ev, out);
		break;
	default:
		other(ev, out);
		break;
	}
}

int narrative_line(const struct journal_event *ev, time_ns zero, struct buf *out)
{
	time_ns t = ev->t > zero ? ev->t - zero : 0;

	if (ev->kind == J_NET_COUNT || ev->kind == J_CONN_OPEN || ev->kind == J_TOKENS_WRITTEN ||
	    ev->kind == J_TOKENS_SYNCED || ev->kind == J_FAULT_ARMED || ev->kind == J_TOKEN_PRESENTED)
		return 0;
	buf_printf(out, "%6" PRIu64 ".%06" PRIu64 " s  %-8s  ", t / NS_PER_S, t % NS_PER_S / 1000,
		   ev->actor ? ev->actor : "?");
	words(ev, out);
	buf_puts(out, "\n");
	return out->failed;
}
