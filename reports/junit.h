/* junit.xml, in the shape that Jenkins and GitLab read. */
#ifndef REPORTS_JUNIT_H
#define REPORTS_JUNIT_H

#include "core/buf.h"
#include "reports/result.h"

/* One testsuite a suite, one testcase a scenario. FAIL and XPASS are failures,
 * INCONCLUSIVE an error, SKIP and XFAIL skipped. Appends; 0, ERR_NOMEM or ERR_LIMIT. */
int report_junit(const struct run_result *r, struct buf *out);

#endif
