/* report.json (contracts.md; its schema is reports/report.schema.json). */
#ifndef REPORTS_JSON_H
#define REPORTS_JSON_H

#include <jansson.h>

#include "reports/result.h"

#define REPORT_VERSION 1

/* A new reference; NULL without memory. */
json_t *report_json(const struct run_result *r);

#endif
