#include "reports/parity.h"

#include <stdlib.h>
#include <string.h>

#define OUTCOMES 4

static const char *const outcome_names[OUTCOMES] = {
	[PARITY_ALIKE] = "alike",
	[PARITY_DIFFERS] = "differs",
	[PARITY_UNDECIDED] = "undecided",
	[PARITY_APART] = "not compared",
};

const char *parity_outcome_name(enum parity_outcome outcome)
{
	return outcome_names[outcome];
}

int parity_init(struct parity *p, const char *first_rig, const char *second_rig)
{
	memset(p, 0, sizeof(*p));
	return text_set(&p->rigs[0], first_rig) || text_set(&p->rigs[1], second_rig) ? ERR_NOMEM : 0;
}

void parity_fini(struct parity *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].id);
		free(p->v[i].reason);
	}
	free(p->v);
	free(p->rigs[0]);
	free(p->rigs[1]);
	memset(p, 0, sizeof(*p));
}

static struct parity_scenario *add(struct parity *p, const char *id, const char *reason)
{
	struct parity_scenario *s;

	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 16;
		struct parity_scenario *v = realloc(p->v, cap * sizeof(*v));

		if (!v)
			return NULL;
		p->v = v;
		p->cap = cap;
	}
	s = &p->v[p->n];
	memset(s, 0, sizeof(*s));
	if (text_set(&s->id, id) || text_set(&s->reason, reason)) {
		free(s->id);
		return NULL;
	}
	p->n++;
	return s;
}

int parity_add(struct parity *p, const char *id, enum parity_what what, const char *reason)
{
	struct parity_scenario *s = add(p, id, reason);

	if (!s)
		return ERR_NOMEM;
	s->what = what;
	s->outcome = PARITY_UNDECIDED;
	return 0;
}

int parity_leave(struct parity *p, const char *id, const char *reason)
{
	struct parity_scenario *s = add(p, id, reason);

	if (!s)
		return ERR_NOMEM;
	s->outcome = PARITY_APART;
	return 0;
}

void parity_take(struct parity *p, unsigned side, const struct scenario_result *s)
{
	for (size_t i = 0; i < p->n; i++) {
		struct parity_side *to = &p->v[i].side[side];

		if (strcmp(p->v[i].id, s->id) != 0)
			continue;
		to->ran = s->verdict != VERDICT_SKIP;
		to->verdict = s->verdict;
		for (unsigned row = 1; row < ROW_END; row++)
			to->rows[row] = s->rows[row] > 0;
		return;
	}
}

static bool decided(const struct parity_side *s)
{
	return s->ran && s->verdict != VERDICT_INCONCLUSIVE;
}

void parity_judge(struct parity *p)
{
	for (size_t i = 0; i < p->n; i++) {
		struct parity_scenario *s = &p->v[i];
		const struct parity_side *a = &s->side[0], *b = &s->side[1];
		bool same = a->verdict == b->verdict &&
			    (s->what == PARITY_VERDICT || memcmp(a->rows, b->rows, sizeof(a->rows)) == 0);

		if (s->outcome == PARITY_APART)
			continue;
		s->outcome = !decided(a) || !decided(b) ? PARITY_UNDECIDED
			     : same			? PARITY_ALIKE
							: PARITY_DIFFERS;
	}
}

size_t parity_count(const struct parity *p, enum parity_outcome outcome)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->v[i].outcome == outcome;
	return n;
}

/* ---- for people ---- */

static const char *verdict_of(const struct parity_side *s)
{
	return s->ran ? verdict_name(s->verdict) : "not run";
}

/* "; only on loopback: PV.200 RG.sms" */
static void put_only(const struct parity *p, const struct parity_scenario *s, unsigned side, struct buf *out)
{
	bool any = false;

	for (unsigned row = 1; row < ROW_END; row++) {
		if (!s->side[side].rows[row] || s->side[!side].rows[row])
			continue;
		if (!any)
			buf_printf(out, "; only on %s:", p->rigs[side]);
		buf_printf(out, " %s", row_id((enum row_name)row));
		any = true;
	}
}

static void put_one(const struct parity *p, const struct parity_scenario *s, struct buf *out)
{
	const struct parity_side *a = &s->side[0], *b = &s->side[1];

	buf_printf(out, " %-10s %-44s ", outcome_names[s->outcome], s->id);
	if (a->ran && b->ran && a->verdict == b->verdict)
		buf_printf(out, "%s", verdict_of(a));
	else
		buf_printf(out, "%s %s, %s %s", p->rigs[0], verdict_of(a), p->rigs[1], verdict_of(b));
	if (s->outcome == PARITY_DIFFERS && s->what == PARITY_ROWS) {
		put_only(p, s, 0, out);
		put_only(p, s, 1, out);
	}
	if (s->what == PARITY_VERDICT)
		buf_printf(out, "; verdicts alone: %s", s->reason);
	buf_puts(out, "\n");
}

/* One line a reason, with how many have it and the first one's id. */
static void put_apart(const struct parity *p, struct buf *out)
{
	for (size_t i = 0; i < p->n; i++) {
		unsigned same = 0;
		bool said = false;

		if (p->v[i].outcome != PARITY_APART)
			continue;
		for (size_t k = 0; k < p->n; k++) {
			if (p->v[k].outcome != PARITY_APART || strcmp(p->v[k].reason, p->v[i].reason) != 0)
				continue;
			said = said || k < i;
			same++;
		}
		if (!said)
			buf_printf(out, "not compared %u (%s%s): %s\n", same, p->v[i].id,
				   same > 1 ? ", …" : "", p->v[i].reason);
	}
}

int parity_text(const struct parity *p, struct buf *out)
{
	buf_printf(out, "parity of %s and %s, by rows of the table and verdicts:\n", p->rigs[0], p->rigs[1]);
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].outcome != PARITY_APART)
			put_one(p, &p->v[i], out);
	put_apart(p, out);
	buf_printf(out, "parity: %zu alike, %zu different, %zu undecided, %zu not compared\n",
		   parity_count(p, PARITY_ALIKE), parity_count(p, PARITY_DIFFERS),
		   parity_count(p, PARITY_UNDECIDED), parity_count(p, PARITY_APART));
	return out->failed;
}

/* ---- for programs ---- */

static json_t *only_json(const struct parity_scenario *s, unsigned side)
{
	json_t *list = json_array();

	for (unsigned row = 1; row < ROW_END; row++)
		if (s->side[side].rows[row] && !s->side[!side].rows[row])
			json_array_append_new(list, json_string(row_id((enum row_name)row)));
	return list;
}

static json_t *one_json(const struct parity_scenario *s)
{
	json_t *j = json_pack("{s:s, s:s}", "id", s->id, "outcome", outcome_names[s->outcome]);

	if (s->reason)
		json_object_set_new(j, "reason", json_string(s->reason));
	if (s->outcome == PARITY_APART)
		return j;
	json_object_set_new(j, "compared",
			    json_string(s->what == PARITY_ROWS ? "rows and verdicts" : "verdicts"));
	json_object_set_new(j, "verdicts",
			    json_pack("[s, s]", verdict_of(&s->side[0]), verdict_of(&s->side[1])));
	json_object_set_new(j, "only", json_pack("[o, o]", only_json(s, 0), only_json(s, 1)));
	return j;
}

json_t *parity_json(const struct parity *p)
{
	json_t *list = json_array(), *totals = json_object();

	for (size_t i = 0; i < p->n; i++)
		json_array_append_new(list, one_json(&p->v[i]));
	for (unsigned k = 0; k < OUTCOMES; k++)
		json_object_set_new(totals, outcome_names[k],
				    json_integer((json_int_t)parity_count(p, (enum parity_outcome)k)));
	return json_pack("{s:[s, s], s:o, s:o}", "rigs", p->rigs[0], p->rigs[1], "totals", totals,
			 "scenarios", list);
}
