/* Which rows of the device's transition table a run exercised, and which state × reply
 * cells (protocol.md §3, "Cells that must be exercised"). Counted by row id; how many
 * rows and cells there are comes from the table. */
#ifndef HIL_JUDGE_COVERAGE_H
#define HIL_JUDGE_COVERAGE_H

#include <jansson.h>

#include "core/buf.h"
#include "core/journal.h"
#include "reports/result.h"

struct coverage {
	uint64_t rows[ROW_END]; /* scenario_result.rows is the same thing */
};

struct coverage_totals {
	unsigned rows, rows_hit, cells, cells_hit;
};

void coverage_event(struct coverage *c, const struct journal_event *ev);
void coverage_merge(struct coverage *into, const uint64_t rows[ROW_END]);
/* Of all scenarios of a run. */
void coverage_of_run(struct coverage *c, const struct run_result *r);
struct coverage_totals coverage_totals(const struct coverage *c);

/* Cells are numbered from 0; how often one was exercised, and its name ("RG x 403",
 * "NP x late reply"). */
unsigned coverage_cells(void);
uint64_t coverage_cell(const struct coverage *c, unsigned cell, char *name, size_t size);

/* Lines for people: totals, then every row and cell that nothing exercised. */
int coverage_text(const struct coverage *c, struct buf *out);
/* {"rows": {id: n}, "rows_total", "rows_hit", "cells": {name: n}, "cells_total", "cells_hit", "never": [id…]} */
json_t *coverage_json(const struct coverage *c);
/* Adds what coverage_json wrote. 0 or ERR_PARSE (unknown row, negative count). */
int coverage_from_json(struct coverage *c, json_t *j, struct err *e);

#endif
