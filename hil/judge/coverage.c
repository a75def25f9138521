#include "hil/judge/coverage.h"

#include <stdio.h>
#include <string.h>

#include "reports/cells.h"

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
	rows_of_run(r, c->rows);
}

unsigned coverage_cells(void)
{
	return cells_count();
}

uint64_t coverage_cell(const struct coverage *c, unsigned cell, char *name, size_t size)
{
	char own[CELL_NAME];
	uint64_t n = cells_get(c->rows, cell, own);

	snprintf(name, size, "%s", own);
	return n;
}

struct coverage_totals coverage_totals(const struct coverage *c)
{
	struct coverage_totals t = {.rows = ROW_END - 1, .cells = cells_count()};

	t.rows_hit = rows_hit(c->rows);
	t.cells_hit = cells_hit(c->rows);
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
