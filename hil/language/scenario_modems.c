/* Faults of modems: which modem, and what of it an event must say. */
#include "hil/language/scenario_internal.h"

#include <string.h>

void scenario_modem_who(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *who)
{
	const char *modem = json_string_value(json_object_get(who, "modem"));
	char side = '\0';

	if ((a->when & VOCAB_RECEIVER) || strcmp(a->name, "storage_full") == 0)
		side = 'r';
	else if (a->when & VOCAB_PROMPT)
		side = 's';
	if (!modem)
		diag_error(r->ds, r->src, n->at, "who: s1", "'%s' befalls a modem: 'who' names one", a->name);
	else if (side && modem[0] != side)
		diag_error(r->ds, r->src, n->at, side == 'r' ? "who: r1" : "who: s1",
			   "'%s' befalls a modem that %s, not %s", a->name, side == 'r' ? "receives" : "sends", modem);
}

const char *scenario_modem_other(const char *modem, enum journal_kind kind)
{
	if (kind == J_SMS_DELIVERED)
		return modem[0] == 's' ? "receives" : NULL;
	return modem[0] == 'r' && (kind == J_SMS_SUBMITTED || kind == J_SMS_FAILED || kind == J_SMS_UNKNOWN) ? "sends" : NULL;
}

/* Before the SMS is written nobody knows whose it is. */
static void check_prompt(struct reader *r, const struct yaml_node *n, json_t *f, json_t *args)
{
	const char *where = json_string_value(json_object_get(args, "at"));
	json_t *who = json_object_get(f, "who");

	if (where && strcmp(where, "prompt") == 0 && !json_object_get(who, "modem"))
		diag_error(r->ds, r->src, n->at, "who: s1",
			   "at the prompt nobody knows whose SMS it will be: 'who' names a modem");
}

/* What a modem itself does stands in small letters; what the pool makes of it, in
 * capitals, comes too late for a fault. */
static void check_state(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *f)
{
	const char *wants = a->when & VOCAB_PROMPT ? "sending" : a->when & VOCAB_RECEIVER ? "received" : NULL, *state;
	json_t *match = json_object_get(f, "match");

	if (!match && wants) {
		match = json_object();
		read_put(r, f, "match", match);
	}
	if (wants && !json_object_get(match, "state"))
		read_put(r, match, "state", json_string(wants));
	state = json_string_value(json_object_get(match, "state"));
	if (!state || !vocab_has("sending received", state) || (wants && strcmp(state, wants) != 0))
		diag_error(r->ds, r->src, n->at,
			   wants && strcmp(wants, "received") == 0 ? "match: {state: received}"
								   : "match: {state: sending}",
			   "'%s' at modem.state wants to know what the modem does then", a->name);
}

void scenario_modem_fault(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *f,
			  json_t *args)
{
	const char *on = json_string_value(json_object_get(f, "on"));
	const char *modem = json_string_value(json_object_get(json_object_get(f, "who"), "modem")), *other;

	check_prompt(r, n, f, args);
	if (!on)
		return;
	other = modem ? scenario_modem_other(modem, (enum journal_kind)journal_kind_by_name(on)) : NULL;
	if (other)
		diag_error(r->ds, r->src, n->at, NULL, "%s is about the modem that %s, which %s never is", on, other, modem);
	if (modem && !vocab_has(journal_kind_fields((enum journal_kind)journal_kind_by_name(on)), "modem"))
		diag_error(r->ds, r->src, n->at, NULL, "'who' is a modem, and %s says nothing of one", on);
	if (strcmp(on, "modem.state") == 0 && a->actor == VOCAB_MODEM)
		check_state(r, n, a, f);
}
