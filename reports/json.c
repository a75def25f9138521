#include "reports/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "reports/cells.h"

#include "reports/parity.h"

static json_t *text(const char *s)
{
	/* a text that is no UTF-8 (a file's name may be) must not lose the report */
	json_t *j = json_string(s ? s : "");

	return j ? j : json_string("?");
}

static json_t *count(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

static json_t *place_json(const struct place *p)
{
	return json_pack("{s:o,s:i,s:i}", "file", text(p->file), "line", p->line, "col", p->column);
}

/* ISO 8601 in UTC */
static json_t *instant_json(int64_t unix_ms)
{
	time_t s = (time_t)(unix_ms / 1000);
	char day[32], out[48];
	struct tm tm;

	if (unix_ms <= 0 || !gmtime_r(&s, &tm))
		return json_null();
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, sizeof(out), "%s.%03dZ", day, (int)(unix_ms % 1000));
	return json_string(out);
}

static json_t *cause_json(const struct cause *c)
{
	json_t *j = json_pack("{s:o,s:s,s:I}", "got", text(c->got), "blame", blame_name(c->blame), "count",
			      (json_int_t)c->count);

	if (c->why)
		json_object_set_new(j, "why", text(c->why));
	if (c->first)
		json_object_set_new(j, "first", text(c->first));
	if (c->t != TIME_NEVER)
		json_object_set_new(j, "t_ns", count(c->t));
	return j;
}

static json_t *check_json(const struct check_result *c)
{
	json_t *causes = json_array();
	json_t *j = json_pack("{s:o,s:s,s:s,s:o,s:I}", "name", text(c->name), "kind", check_kind_name(c->kind),
			      "status", check_status_name(c->status), "expected", text(c->expected), "devices",
			      (json_int_t)c->devices);

	for (unsigned i = 0; i < c->causes_n; i++)
		json_array_append_new(causes, cause_json(&c->causes[i]));
	json_object_set_new(j, "causes", causes);
	if (c->causes_more)
		json_object_set_new(j, "causes_more", count(c->causes_more));
	if (c->note)
		json_object_set_new(j, "note", text(c->note));
	if (c->at.file && c->at.file[0])
		json_object_set_new(j, "source", place_json(&c->at));
	return j;
}

static json_t *checks_json(const struct scenario_result *s, unsigned kinds)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->checks_n; i++)
		if (kinds & 1u << s->checks[i].kind)
			json_array_append_new(list, check_json(&s->checks[i]));
	return list;
}

static json_t *metrics_json(const struct scenario_result *s)
{
	json_t *j = json_object();

	for (unsigned i = 0; i < METRIC_COUNT; i++)
		if (s->metrics[i].count)
			json_object_set_new(j, metric_name((enum metric)i), histogram_json(&s->metrics[i]));
	return j;
}

static json_t *rows_json(const uint64_t rows[ROW_END])
{
	json_t *j = json_object();

	for (unsigned i = 1; i < ROW_END; i++)
		if (rows[i])
			json_object_set_new(j, row_id((enum row_name)i), count(rows[i]));
	return j;
}

static json_t *cells_json(const uint64_t rows[ROW_END])
{
	json_t *j = json_object();
	char name[CELL_NAME];

	for (unsigned i = 0; i < cells_count(); i++) {
		uint64_t n = cells_get(rows, i, name);

		if (n)
			json_object_set_new(j, name, count(n));
	}
	return j;
}

/* What nothing exercised. */
static json_t *never_json(const uint64_t rows[ROW_END])
{
	json_t *r = json_array(), *c = json_array();
	char name[CELL_NAME];

	for (unsigned i = 1; i < ROW_END; i++)
		if (!rows[i])
			json_array_append_new(r, json_string(row_id((enum row_name)i)));
	for (unsigned i = 0; i < cells_count(); i++)
		if (!cells_get(rows, i, name))
			json_array_append_new(c, json_string(name));
	return json_pack("{s:o,s:o}", "rows", r, "cells", c);
}

static json_t *final_json(const struct scenario_result *s)
{
	json_t *j = json_object();

	for (unsigned i = 0; i < STATE_COUNT; i++)
		if (s->final[i])
			json_object_set_new(j, state_full((enum state_name)i), count(s->final[i]));
	return j;
}

static json_t *sms_json(const struct scenario_result *s)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "issued", count(s->sms.issued), "submitted",
			 count(s->sms.submitted), "delivered", count(s->sms.delivered), "lost", count(s->sms.lost),
			 "failed", count(s->sms.failed), "unknown", count(s->sms.unknown), "injected",
			 count(s->sms.injected), "told", count(s->sms.told), "unexplained", count(s->sms.unexplained));
}

static json_t *scenario_json(const struct scenario_result *s)
{
	json_t *notes = json_array();
	json_t *j = json_object();

	for (size_t i = 0; i < s->notes_n; i++)
		json_array_append_new(notes, text(s->notes[i]));
	json_object_set_new(j, "id", text(s->id));
	json_object_set_new(j, "verdict", text(verdict_name(s->verdict)));
	json_object_set_new(j, "reason", text(s->reason));
	json_object_set_new(j, "blame", text(blame_name(s->blame)));
	json_object_set_new(j, "source", place_json(&s->source));
	json_object_set_new(j, "expectations", checks_json(s, 1u << CHECK_EXPECTATION));
	json_object_set_new(j, "thresholds", checks_json(s, 1u << CHECK_THRESHOLD));
	json_object_set_new(j, "steps", checks_json(s, 1u << CHECK_STEP | 1u << CHECK_FAULT));
	json_object_set_new(j, "invariants", checks_json(s, 1u << CHECK_INVARIANT));
	json_object_set_new(j, "unjudged", count(s->unjudged));
	json_object_set_new(j, "notes", notes);
	json_object_set_new(j, "devices", count(s->devices));
	json_object_set_new(j, "final", final_json(s));
	json_object_set_new(j, "summary", text(s->summary));
	json_object_set_new(j, "sms", sms_json(s));
	json_object_set_new(j, "metrics", metrics_json(s));
	json_object_set_new(j, "coverage", rows_json(s->rows));
	json_object_set_new(j, "cells", cells_json(s->rows));
	json_object_set_new(j, "duration_ns", count(s->duration_ns));
	json_object_set_new(j, "wall_ns", count(s->wall_ns));
	json_object_set_new(j, "virtual_time", json_boolean(s->virtual_time));
	json_object_set_new(j, "rig", text(s->rig));
	if (s->journal_sha256[0])
		json_object_set_new(j, "journal_sha256", text(s->journal_sha256));
	if (s->folder)
		json_object_set_new(j, "folder", text(s->folder));
	return j;
}

static json_t *totals_json(const struct run_result *r)
{
	json_t *j = json_object(), *verdicts = json_object();
	struct scenario_result sum;

	memset(&sum, 0, sizeof(sum));
	for (size_t i = 0; i < r->n; i++) {
		const struct scenario_result *s = r->scenarios[i];

		sum.devices += s->devices;
		sum.unjudged += s->unjudged;
		sum.sms.issued += s->sms.issued;
		sum.sms.submitted += s->sms.submitted;
		sum.sms.delivered += s->sms.delivered;
		sum.sms.lost += s->sms.lost;
		sum.sms.failed += s->sms.failed;
		sum.sms.unknown += s->sms.unknown;
		sum.sms.injected += s->sms.injected;
		sum.sms.told += s->sms.told;
		sum.sms.unexplained += s->sms.unexplained;
		for (unsigned m = 0; m < METRIC_COUNT; m++)
			histogram_merge(&sum.metrics[m], &s->metrics[m]);
	}
	rows_of_run(r, sum.rows);
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		json_object_set_new(verdicts, verdict_name((enum verdict)v), count(run_result_count(r, (enum verdict)v)));
	json_object_set_new(j, "scenarios", count(r->n));
	json_object_set_new(j, "verdicts", verdicts);
	json_object_set_new(j, "devices", count(sum.devices));
	json_object_set_new(j, "unjudged", count(sum.unjudged));
	json_object_set_new(j, "sms", sms_json(&sum));
	json_object_set_new(j, "metrics", metrics_json(&sum));
	json_object_set_new(j, "coverage", rows_json(sum.rows));
	json_object_set_new(j, "rows_hit", count(rows_hit(sum.rows)));
	json_object_set_new(j, "rows_total", count(ROW_END - 1));
	json_object_set_new(j, "cells", cells_json(sum.rows));
	json_object_set_new(j, "cells_hit", count(cells_hit(sum.rows)));
	json_object_set_new(j, "cells_total", count(cells_count()));
	json_object_set_new(j, "never", never_json(sum.rows));
	json_object_set_new(j, "invariants_unjudged", count(run_result_unjudged(r)));
	for (unsigned m = 0; m < METRIC_COUNT; m++)
		histogram_fini(&sum.metrics[m]);
	return j;
}

json_t *report_json(const struct run_result *r)
{
	json_t *scenarios = json_array(), *run, *root;
	char hash[65];

	for (size_t i = 0; i < r->n; i++)
		json_array_append_new(scenarios, scenario_json(r->scenarios[i]));
	run = json_pack("{s:o,s:o,s:o,s:o,s:o,s:b}", "seed", text(r->seed), "rig", text(r->rig), "build",
			text(r->build), "started", instant_json(r->started_unix_ms), "ended",
			instant_json(r->ended_unix_ms), "interrupted", r->interrupted);
	run_result_sha256(r, hash);
	if (hash[0])
		json_object_set_new(run, "journal_sha256", text(hash));
	root = json_pack("{s:i,s:o,s:o,s:o}", "version", REPORT_VERSION, "run", run, "scenarios", scenarios,
			 "totals", totals_json(r));
	if (root && r->parity)
		json_object_set_new(root, "parity", parity_json(r->parity));
	return root;
}
