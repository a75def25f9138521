/* Paths: which changes of state there are at all (protocol.md §3). */
#include "hil/language/scenario_internal.h"

#include <string.h>

/* X(from, to): OFF left out, so that a power cycle leads to NP, or to PV from where
 * tokens are stored. Written from protocol.md's table, not from the device's. */
#define MOVES(X)                                                                                               \
	X(NP, RG) X(NP, IDLE) /* a command IDLE on a malformed 200 */                                         \
	X(RG, NP) X(RG, AC) X(RG, LI) X(RG, IDLE)                                                              \
	X(AC, NP) X(AC, LI) X(AC, IDLE)                                                                        \
	X(LI, NP) X(LI, PV) X(LI, IDLE)                                                                        \
	X(PV, NP) X(PV, RF) X(PV, PA) X(PV, IDLE)                                                              \
	X(RF, NP) X(RF, PV) X(RF, IDLE)                                                                        \
	X(PA, PV)                                                                                              \
	X(IDLE, NP)

static const bool moves[STATE_COUNT][STATE_COUNT] = {
#define MOVE(from, to) [STATE_##from][STATE_##to] = true,
	MOVES(MOVE)
#undef MOVE
};

#define PATH_MAX_STATES 200

static void check_move(struct reader *r, const struct yaml_node *n, int from, int to)
{
	char next[200] = "";
	size_t used = 0;

	if (from < 0) {
		if (to != STATE_NP)
			diag_error(r->ds, r->src, n->at, "write '...' in front", "a device starts in NOT_PROVISIONED, not in %s",
				   state_full((enum state_name)to));
		return;
	}
	if (moves[from][to])
		return;
	if (from == to) {
		diag_error(r->ds, r->src, n->at, NULL, "%s twice in a row (a state that is entered again is one)",
			   state_full((enum state_name)to));
		return;
	}
	for (int s = 0; s < STATE_COUNT; s++)
		if (moves[from][s] && used < sizeof(next))
			used += (size_t)snprintf(next + used, sizeof(next) - used, "%s%s", used ? ", " : "",
						 state_full((enum state_name)s));
	diag_error(r->ds, r->src, n->at, NULL, "no device goes from %s to %s (only to %s)",
		   state_full((enum state_name)from), state_full((enum state_name)to), next);
}

json_t *scenario_path(struct reader *r, const struct yaml_node *n)
{
	json_t *list = json_array();
	int from = -1; /* the state before; -1: the start, -2: anything */
	char what[80];

	if (n->kind != YAML_KIND_LIST || !n->first || n->n > PATH_MAX_STATES) {
		diag_error(r->ds, r->src, n->at, "as in [..., LOGGING_IN, IDLE]", "a path is a list of 1 to %d states, not %s",
			   PATH_MAX_STATES,
			   n->kind != YAML_KIND_LIST ? yaml_describe(n, what, sizeof(what)) : n->first ? "more" : "none");
		return list;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		const char *state;
		int to;

		if (i->value->kind == YAML_KIND_SCALAR && strcmp(i->value->text, "...") == 0) {
			if (i != n->first && from == -2 && strcmp(json_string_value(json_array_get(
					list, json_array_size(list) - 1)), "...") == 0)
				diag_error(r->ds, r->src, i->value->at, NULL, "'...' twice in a row");
			read_append(r, list, json_string("..."));
			from = -2;
			continue;
		}
		state = read_state(r, i->value);
		if (!state) {
			/* what follows is not judged by a guess */
			read_append(r, list, json_string("?"));
			from = -2;
			continue;
		}
		to = state_by_name(state);
		if (to == STATE_OFF)
			diag_error(r->ds, r->src, i->value->at, NULL, "OFF is left out of paths");
		else if (from != -2)
			check_move(r, i->value, from, to);
		read_append(r, list, json_string(state));
		from = to == STATE_OFF ? -2 : to;
	}
	return list;
}
