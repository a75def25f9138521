/* State × reply cells (protocol.md §3, "Cells that must be exercised"), made of the rows of
 * the device's table: {RG, LI, PV, RF} × every reply, and a late one in NP, AC, PA and IDLE. */
#ifndef REPORTS_CELLS_H
#define REPORTS_CELLS_H

#include <stddef.h>
#include <stdint.h>

#include "reports/result.h"

#define CELL_NAME 40

/* Cells are numbered from 0. */
unsigned cells_count(void);
/* How often the cell was exercised; its name ("RG x 403", "NP x late reply") into `name`. */
uint64_t cells_get(const uint64_t rows[ROW_END], unsigned cell, char name[CELL_NAME]);
unsigned cells_hit(const uint64_t rows[ROW_END]);

/* Rows that were taken; and those of all scenarios of a run, summed. */
unsigned rows_hit(const uint64_t rows[ROW_END]);
void rows_of_run(const struct run_result *r, uint64_t rows[ROW_END]);

#endif
