/* A scenario for each row of the device's table that nothing exercised, ready to save: what
 * `quicrig run --suggest-missing FILE` writes. A test runs what it writes and finds each row
 * taken. Cells are made of rows, so a missing cell has the scenario of a row of its. */
#ifndef HIL_RUN_SUGGEST_H
#define HIL_RUN_SUGGEST_H

#include <stdint.h>

#include "core/buf.h"
#include "core/rows.h"

/* Appends one scenario file with a scenario for each row of `rows` that is 0; nothing where
 * none is. Returns how many; ERR_LIMIT or ERR_NOMEM stand in `out->failed`. */
unsigned suggest_missing(const uint64_t rows[ROW_END], struct buf *out);

#endif
