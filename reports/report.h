/* A run's folder: report.json, junit.xml, summary.md. */
#ifndef REPORTS_REPORT_H
#define REPORTS_REPORT_H

#include "reports/result.h"

/* Writes all three into `dir`, which is there; each by a temporary file and a rename,
 * so that a reader never meets half of one. Goes on behind an error; returns the first:
 * ERR_IO (full disk, no permission: `e` says which file), ERR_NOMEM. */
int report_write_all(const char *dir, const struct run_result *r, struct err *e);

#endif
