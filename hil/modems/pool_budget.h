/* SMS a day and a month (UTC) of each SIM, kept in a small JSON file, so that the
 * next run knows what this one cost. Several runs may count in it at once (a lock
 * beside it, FILE.lock). */
#ifndef HIL_MODEMS_POOL_BUDGET_H
#define HIL_MODEMS_POOL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct pool_budget;

/* `path` NULL: in memory only. A file that is not there starts empty; one that cannot
 * be read or parsed is an error (ERR_IO, ERR_PARSE), never overwritten. */
struct pool_budget *pool_budget_open(const char *path, struct err *e);
void pool_budget_close(struct pool_budget *b);
/* Counts one SMS of `sim` and stores it durably. 0 or ERR_IO, ERR_NOMEM; counted all the
 * same, here. */
int pool_budget_count(struct pool_budget *b, const char *sim, int64_t unix_s);
void pool_budget_spent(const struct pool_budget *b, const char *sim, int64_t unix_s, unsigned *day, unsigned *month);

#endif
