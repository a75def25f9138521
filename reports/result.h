/* What a run leaves behind, as data: one scenario_result a scenario, filled by the
 * judge (hil/judge/oracle.h), gathered in a run_result that every report is written
 * from. No report needs anything else.
 *
 * Every text is owned by the structure that holds it; NULL reads as "". */
#ifndef REPORTS_RESULT_H
#define REPORTS_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/rows.h"
#include "core/time.h"
#include "reports/histogram.h"

/* X(NAME, "NAME") — contracts.md, Verdicts */
#define VERDICT_TABLE(X)                                                                                       \
	X(PASS, "PASS")                                                                                        \
	X(FAIL, "FAIL")                                                                                        \
	X(INCONCLUSIVE, "INCONCLUSIVE")                                                                        \
	X(SKIP, "SKIP")                                                                                        \
	X(XFAIL, "XFAIL")                                                                                      \
	X(XPASS, "XPASS")                                                                                      \
	X(QUARANTINE, "QUARANTINE") /* failed or inconclusive, and not counted */
/* X(NAME, "name"): whose doing a failure is */
#define BLAME_TABLE(X)                                                                                         \
	X(NONE, "none")                                                                                        \
	X(DEVICE, "device")                                                                                    \
	X(SERVER, "server")                                                                                    \
	X(CARRIER, "carrier")                                                                                  \
	X(MODEM, "modem")                                                                                      \
	X(HARNESS, "harness")                                                                                  \
	X(UNKNOWN, "unknown")
/* X(NAME, "name"): what kind of statement a check is about */
#define CHECK_TABLE(X)                                                                                         \
	X(EXPECTATION, "expectation")                                                                          \
	X(THRESHOLD, "threshold")                                                                              \
	X(STEP, "step")                                                                                        \
	X(FAULT, "fault")                                                                                      \
	X(INVARIANT, "invariant")
/* X(NAME, "metric"): the histograms of a scenario, in nanoseconds where nothing else is said */
#define METRIC_TABLE(X)                                                                                        \
	X(BOOTSTRAP_TIME, "bootstrap_time") /* a device's first power on to its first PV */                    \
	X(REQUEST_TIME, "request_time")     /* device.request to the reply of that request */                  \
	X(SMS_TIME, "sms_time")             /* code.issued to sms.delivered */                                  \
	X(SERVER_MEMORY, "server_memory")   /* resident bytes of the server's process, about once a second */

#define RESULT_ENUM_VERDICT(name, text) VERDICT_##name,
enum verdict { VERDICT_TABLE(RESULT_ENUM_VERDICT) VERDICT_COUNT };
#define RESULT_ENUM_BLAME(name, text) BLAME_##name,
enum blame { BLAME_TABLE(RESULT_ENUM_BLAME) BLAME_COUNT };
#define RESULT_ENUM_CHECK(name, text) CHECK_##name,
enum check_kind { CHECK_TABLE(RESULT_ENUM_CHECK) CHECK_COUNT };
#define RESULT_ENUM_METRIC(name, text) METRIC_##name,
enum metric { METRIC_TABLE(RESULT_ENUM_METRIC) METRIC_COUNT };

enum check_status { CHECK_PASSED, CHECK_FAILED, CHECK_UNJUDGED };

const char *verdict_name(enum verdict v);
const char *blame_name(enum blame b);
const char *check_kind_name(enum check_kind k);
const char *check_status_name(enum check_status s); /* "PASS", "FAIL", "UNJUDGED" */
const char *metric_name(enum metric m);
int metric_by_name(const char *name); /* -1 where unknown */

struct place {
	char *file;
	int line, column; /* from 1; 0: no place */
};

/* One way in which a check failed; all devices that failed alike share one. */
struct cause {
	char *got;       /* what was seen instead, without a time */
	enum blame blame;
	char *why;       /* the evidence for the blame; NULL: none */
	unsigned count;  /* devices (or events) that it holds for */
	char *first;     /* label of the first one; NULL: no device's */
	time_ns t;       /* of the first one, since the scenario's start; TIME_NEVER: at no instant */
};

#define CAUSES_MAX 8 /* further ones are counted in causes_more */

struct check_result {
	enum check_kind kind;
	char *name;      /* path, final, idle, one-family, … */
	struct place at;
	char *expected;
	enum check_status status;
	char *note;      /* why it is UNJUDGED */
	unsigned devices; /* that it was held against */
	struct cause causes[CAUSES_MAX];
	unsigned causes_n, causes_more;
};

struct scenario_result {
	char *id; /* suite/name, unique in the run */
	enum verdict verdict;
	char *reason; /* a clause for people; NULL for a plain PASS */
	enum blame blame;
	struct place source;
	struct check_result *checks;
	size_t checks_n, checks_cap;
	unsigned unjudged; /* expectations and thresholds that could not be judged */
	char **notes;      /* warnings that decide nothing */
	size_t notes_n;
	unsigned devices;
	struct {
		uint64_t issued, submitted, delivered, lost, failed, unknown; /* issued: codes */
		/* how far the first three are apart (the greater of both distances), by what explains it:
		 * the plan's own faults; what modems and carrier told, or the server took back; nothing */
		uint64_t injected, told, unexplained;
	} sms;
	struct histogram metrics[METRIC_COUNT];
	uint64_t rows[ROW_END];         /* coverage: how often each row was taken */
	unsigned final[STATE_COUNT];    /* devices by the state they ended in */
	char *summary;                  /* "IDLE (refused, 403)", "298 PROVISIONED, 2 IDLE" */
	time_ns duration_ns;            /* by the rig's clock */
	/* the runner's to fill */
	uint64_t wall_ns;
	char journal_sha256[65];        /* lower-case hex, of the journal's lines; "": it has none */
	bool virtual_time;
	char *rig;                      /* virtual, loopback, a file's name */
	char *folder;                   /* replays by itself; NULL: none */
};

struct parity;

struct run_result {
	char *seed, *rig, *build;
	int64_t started_unix_ms, ended_unix_ms;
	bool interrupted;
	bool libgammu;  /* SMS went through libgammu */
	char *dir;      /* the artefacts' folder, as printed: out/latest */
	struct scenario_result **scenarios; /* owned */
	size_t n, cap;
	const struct parity *parity; /* borrowed; NULL: no other rig was asked (reports/parity.h) */
};

/* A new text, the caller's; NULL without memory. */
char *text_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Frees *at and puts a copy of `text` there (NULL: none). 0 or ERR_NOMEM. */
int text_set(char **at, const char *text);

void run_result_init(struct run_result *r);
void run_result_fini(struct run_result *r);
/* A new scenario, owned by the run; NULL and ERR_EXISTS where the id is taken, ERR_NOMEM. */
struct scenario_result *run_result_add(struct run_result *r, const char *id, struct err *e);
unsigned run_result_count(const struct run_result *r, enum verdict v);
/* Invariants of scenarios that were run which nobody could judge: told of by a server's journal
 * that there was not. */
unsigned run_result_unjudged(const struct run_result *r);
/* One hash for a run: SHA-256, in lower-case hex, of the lines "<journal's SHA-256>  <id>\n"
 * of all scenarios that have a journal, in the order in which they stand (the files').
 * "" where none has one. */
void run_result_sha256(const struct run_result *r, char out[65]);

void scenario_result_fini(struct scenario_result *s);
/* Empties all but the id; the caller's own fields too. */
void scenario_result_clear(struct scenario_result *s);
/* Makes it a SKIP with this reason. */
int scenario_skip(struct scenario_result *s, const char *reason);
int scenario_note(struct scenario_result *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A check that passes until told otherwise; `expected` is copied, `at` too (NULL: none).
 * The pointer is good until the next check is added. NULL without memory. */
struct check_result *scenario_add_check(struct scenario_result *s, enum check_kind kind, const char *name,
				    const struct place *at, const char *expected);
/* One more failure. Those with the same `got`, blame and why become one cause with a
 * count; `first` and `t` are kept from the first. 0 or ERR_NOMEM. */
int check_fail(struct check_result *c, const char *got, enum blame blame, const char *why, const char *first,
	       time_ns t);
int check_unjudged(struct check_result *c, const char *why);
void check_result_fini(struct check_result *c);
/* Moves a check that was filled elsewhere into `s`; `*c` is empty afterwards. 0 or ERR_NOMEM. */
int scenario_take_check(struct scenario_result *s, struct check_result *c);

#endif
