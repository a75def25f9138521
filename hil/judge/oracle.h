/* The oracle: reads one scenario's journal, event by event, and at its end says what
 * was right and what was not, and whose doing it was (scenarios.md, The oracle).
 *
 * It holds every device against the transition table (judge/table.c), the device's
 * story against the server's and the carrier's, checks the invariants, and judges the
 * plan's `expect` and `thresholds` (docs/plan.md). Memory grows with devices, not with
 * events. It knows names of events and nothing of device or server.
 *
 * What it takes for granted of a journal:
 * - device.state is written for every row, those that stay included; device.reply
 *   before the row that it causes; device.code before the login that carries the code;
 * - net.count is written before the device.state line that it leads up to, and at the
 *   scenario's end, so one behind an entry to IDLE or OFF must have sent nothing;
 * - lines of one actor come in order; those of several may be a little out of step;
 * - scenario.end's `why` is "settled", "timeout…", "interrupted", "wall…", "error…", or a
 *   sentence: the step that failed;
 * - a fault.fired comes behind the event that fired it and names the same device. */
#ifndef HIL_JUDGE_ORACLE_H
#define HIL_JUDGE_ORACLE_H

#include <jansson.h>

#include "core/journal.h"
#include "reports/result.h"

struct oracle_options {
	bool allow_unjudged; /* PARTIAL passes (contracts.md, Verdicts) */
	const char *today;   /* "YYYY-MM-DD" for xfail's expiry; NULL: never expired */
};

/* What only the runner knows at the end. Zero is fine. */
struct oracle_end {
	time_ns t;              /* the end by the rig's clock; 0: the last event's time */
	/* Where the journal has no scenario.end: how it ended. NULL and "settled" are well;
	 * anything else is laid to the harness, which should have written one. */
	const char *why;
	const char *server_died; /* "signal 6", "exit 1": the server ended by itself; NULL: it did not */
	const char *harness;    /* the harness failed: why; NULL: it did not */
};

struct oracle;

/* `plan` is borrowed until oracle_free; `opt` may be NULL. NULL and `e` (ERR_PARSE
 * names the member) where `expect`, `thresholds`, `faults` or `steps` are not as
 * docs/plan.md has them. */
struct oracle *oracle_new(json_t *plan, const struct oracle_options *opt, struct err *e);
void oracle_free(struct oracle *o);

/* The raw line, as it is written to journal.jsonl: looked through for secrets only. */
void oracle_line(struct oracle *o, const char *line, size_t len);
void oracle_event(struct oracle *o, const struct journal_event *ev);

/* Judges. Fills `out` (of run_result_add; what it held is cleared, `id` kept) but for
 * the runner's own fields. To be called once. 0 or ERR_NOMEM. */
int oracle_finish(struct oracle *o, const struct oracle_end *end, struct scenario_result *out);

/* Before oracle_finish: each device's life as another run can be held against it, by label:
 * {"A[1]": {"path": "NP RG AC LI PV", "sms": 1, "tokens": 2}}. Only where the plan has a `hold_ns`
 * or asks for a control. New reference; NULL without memory. */
json_t *oracle_lives(const struct oracle *o);
/* For whoever asks where things stand (SIGUSR1, the runner's end rule). */
unsigned oracle_in_state(const struct oracle *o, enum state_name s);
unsigned oracle_violations(const struct oracle *o);

#endif
