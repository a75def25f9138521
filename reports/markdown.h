/* summary.md: the run at a glance, for a pull request or a wiki. */
#ifndef REPORTS_MARKDOWN_H
#define REPORTS_MARKDOWN_H

#include "core/buf.h"
#include "reports/result.h"

/* Appends; 0, ERR_NOMEM or ERR_LIMIT. */
int report_markdown(const struct run_result *r, struct buf *out);

#endif
