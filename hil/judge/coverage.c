#include "hil/judge/coverage.h"

#include <stdio.h>
#include <string.h>

/* The replies that each of RG, LI, PV, RF must have met; 200 stands for all its forms. */
static const char *const replies[] = {"200", "400", "401", "403", "404", "412",     "413",
				      "429", "503", "700", "unknown", "no_code", "no_answer", "link_lost"};
static const enum state_name asking[] = {STATE_RG, STATE_LI, STATE_PV, STATE_RF};
static const enum row_name late[] = {ROW_NP_LATE, ROW_AC_LATE, ROW_PA_LATE, ROW_IDLE_LATE};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void coverage_event(struct coverage *c, const struct journal_event *ev)
{
	if (ev->kind == J_DEVICE_STATE)
		c->rows[row_by_id(journal_text(ev, JF_ROW))]++;
}

void coverage_merge(struct coverage *into, const uint64_t rows[ROW_END])
{
	for (unsigned i = 1; i < ROW_END; i++)
		into->rows[i] += rows[i];
}

void coverage_of_run(struct coverage *c, const struct run_result *r)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < r->n; i++)
		coverage_merge(c, r->scenarios[i]->rows);
}

unsigned coverage_cells(void)
{
	return COUNT(asking) * COUNT(replies) + COUNT(late);
}

/* "200" also matches 200_sms and its like; the tenth rejection is one of its codes,
 * already counted under another row at least nine times. */
static bool row_in_cell(enum row_name row, enum state_name s, const char *reply)
{
	const char *event = strchr(row_id(row), '.');

	if (!event || row_state(row) != s)
		return false;
	event++;
	if (strcmp(reply, "200") == 0)
		return strncmp(event, "200", 3) == 0;
	return strcmp(event, reply) == 0;
}

uint64_t coverage_cell(const struct coverage *c, unsigned cell, char *name, size_t size)
{
	enum state_name s;
	const char *reply;
	uint64_t n = 0;

	if (cell >= COUNT(asking) * COUNT(replies)) {
		enum row_name row = late[cell - COUNT(asking) * COUNT(replies)];

		snprintf(name, size, "%s x late reply", state_brief(row_state(row)));
		return c->rows[row];
	}
	s = asking[cell / COUNT(replies)];
	reply = replies[cell % COUNT(replies)];
	for (unsigned i = 1; i < ROW_END; i++)
		if (row_in_cell((enum row_name)i, s, reply))
			n += c->rows[i];
	snprintf(name, size, "%s x %s", state_brief(s), reply);
	return n;
}

struct coverage_totals coverage_totals(const struct coverage *c)
{
	struct coverage_totals t = {.rows = ROW_END - 1, .cells = coverage_cells()};
	char name[40];

	for (unsigned i = 1; i < ROW_END; i++)
		t.rows_hit += c->rows[i] > 0;
	for (unsigned i = 0; i < t.cells; i++)
		t.cells_hit += coverage_cell(c, i, name, sizeof(name)) > 0;
	return t;
}

int coverage_text(const struct coverage *c, struct buf *out)
{
	struct coverage_totals t = coverage_totals(c);
	const char *sep = "";
	char name[40];

	buf_printf(out, "rows %u of %u, cells %u of %u\n", t.rows_hit, t.rows, t.cells_hit, t.cells);
	if (t.rows_hit < t.rows) {
		buf_puts(out, "rows that nothing exercised: ");
		for (unsigned i = 1; i < ROW_END; i++) {
			if (c->rows[i])
				continue;
			buf_printf(out, "%s%s", sep, row_id((enum row_name)i));
			sep = " ";
		}
		buf_puts(out, "\n");
	}
	if (t.cells_hit < t.cells) {
		sep = "";
		buf_puts(out, "cells that nothing exercised: ");
		for (unsigned i = 0; i < t.cells; i++) {
			if (coverage_cell(c, i, name, sizeof(name)))
				continue;
			buf_printf(out, "%s%s", sep, name);
			sep = ", ";
		}
		buf_puts(out, "\n");
	}
	return out->failed;
}

json_t *coverage_json(const struct coverage *c)
{
	struct coverage_totals t = coverage_totals(c);
	json_t *rows = json_object(), *cells = json_object(), *never = json_array();
	char name[40];

	for (unsigned i = 1; i < ROW_END; i++) {
		if (c->rows[i])
			json_object_set_new(rows, row_id((enum row_name)i), json_integer((json_int_t)c->rows[i]));
		else
			json_array_append_new(never, json_string(row_id((enum row_name)i)));
	}
	for (unsigned i = 0; i < t.cells; i++) {
		uint64_t n = coverage_cell(c, i, name, sizeof(name));

		json_object_set_new(cells, name, json_integer((json_int_t)n));
	}
	return json_pack("{s:o,s:i,s:i,s:o,s:i,s:i,s:o}", "rows", rows, "rows_total", (int)t.rows, "rows_hit",
			 (int)t.rows_hit, "cells", cells, "cells_total", (int)t.cells, "cells_hit",
			 (int)t.cells_hit, "never", never);
}

int coverage_from_json(struct coverage *c, json_t *j, struct err *e)
{
	json_t *rows = json_object_get(j, "rows"), *n;
	const char *id;

	if (!json_is_object(rows))
		return err_set(e, ERR_PARSE, "coverage: no rows");
	json_object_foreach(rows, id, n) {
		enum row_name row = row_by_id(id);

		if (row == ROW_NONE)
			return err_set(e, ERR_PARSE, "coverage: unknown row '%s'", id);
		if (!json_is_integer(n) || json_integer_value(n) < 0)
			return err_set(e, ERR_PARSE, "coverage: row %s is not a count", id);
		c->rows[row] += (uint64_t)json_integer_value(n);
	}
	return 0;
}
