/* What a fault made of a server's reply, as the plan has it (`server: scripted`), held
 * against what the device made of that reply: what nobody sent cannot be read, and what
 * cannot be trusted may not be believed (protocol.md §2, Signed replies; §3, Verified tokens). */
#include "hil/judge/oracle_plan.h"

#include <stdio.h>
#include <string.h>

#include "hil/judge/table.h"

static const char *word(json_t *args, const char *key)
{
	const char *s = json_string_value(json_object_get(args, key));

	return s ? s : "";
}

void script_fired(struct oracle *o, struct slot *s, const struct journal_event *ev)
{
	json_t *fault = oracle_plan_fault_named(o, journal_text(ev, JF_NAME));
	const char *what = word(fault, "do");

	s->forced = true;
	if (strcmp(what, "drop_reply") == 0)
		s->unanswered = true;
	if (strcmp(what, "reply") != 0)
		return;
	s->script = json_object_get(fault, "args");
	s->unanswered = word(s->script, "link")[0] != '\0';
}

/* The code that the device must have read; -1: any. */
static int script_code(const struct slot *s)
{
	json_t *code = json_object_get(s->script, "code");

	if (json_object_get(s->script, "text"))
		return -1;
	if (word(s->script, "body")[0])
		return 0;
	return json_is_integer(code) ? (int)json_integer_value(code) : -1;
}

void script_slot(struct oracle *o, struct dev *d, const struct slot *s)
{
	int code = script_code(s);

	if (!s->has_device)
		return;
	if (s->unanswered && s->device_code > 0) /* a stream that is reset is a reply without a code */
		oracle_find(o, INV_STORIES, d, s->t, BLAME_DEVICE, "%s: it read %d, and nothing was sent", s->resource,
			    s->device_code);
	else if (s->script && code >= 0 && code != s->device_code)
		oracle_find(o, INV_STORIES, d, s->t, BLAME_DEVICE, "%s: the server was made to say %d, the device read %d",
			    s->resource, code, s->device_code);
}

void script_row(struct oracle *o, struct dev *d, const struct slot *s, enum row_name row, time_ns t)
{
	const char *tokens = word(s->script, "tokens"), *signature = word(s->script, "signature"),
		   *payload = word(s->script, "payload");
	bool registered = row == ROW_RG_200_SMS || row == ROW_RG_200_HELD || row == ROW_RG_200_TOTP;

	if (!s->script)
		return;
	if (tokens[0] && (row == ROW_LI_200 || row == ROW_RF_200))
		oracle_find(o, INV_TRUST, d, t, BLAME_DEVICE, "row %s for tokens that are no good (%s)", row_id(row), tokens);
	if (signature[0] && rule_of(row)->authentic && !d->accept_unsigned)
		oracle_find(o, INV_TRUST, d, t, BLAME_DEVICE, "row %s on a reply that cannot be trusted (signature: %s)",
			    row_id(row), signature);
	if (payload[0] && registered && !(d->accept_unsigned && strcmp(payload, "other_key") == 0))
		oracle_find(o, INV_TRUST, d, t, BLAME_DEVICE, "row %s for a 200 that is none (payload: %s)", row_id(row),
			    payload);
}
