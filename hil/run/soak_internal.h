/* Shared by the files of the soak only. */
#ifndef HIL_RUN_SOAK_INTERNAL_H
#define HIL_RUN_SOAK_INTERNAL_H

#include <limits.h>

#include "hil/judge/signature.h"
#include "hil/run/soak.h"
#include "hil/run/trial.h"

#define SOAK_FINDINGS_MAX 100

enum soak_status { SOAK_NEW, SOAK_KNOWN, SOAK_FIXED, SOAK_REGRESSED };

/* One signature, or one regression that is not as it should be. */
struct soak_finding {
	enum soak_status status;
	struct signature signature;
	enum verdict verdict;
	unsigned times;	     /* seeds that showed it */
	uint64_t first_seed; /* of these */
	json_t *regression;  /* that knows it, or that it is; borrowed; NULL: none */
	bool recorded;
	char folder[PATH_MAX]; /* replays; "" none */
	char shrunk[PATH_MAX]; /* scenario file; "" none */
	unsigned shrunk_devices;
	char note[200]; /* what went wrong on the way, for people */
};

struct soak {
	const struct soak_options *o;
	char dir[PATH_MAX];
	double started; /* monotonic seconds */
	int64_t started_unix, ended_unix;

	unsigned begun, ended, passed, failed, inconclusive;
	uint64_t events;
	unsigned regressions_run;
	unsigned memory_judged, memory_grew;
	int64_t memory_worst_kib;

	struct soak_finding findings[SOAK_FINDINGS_MAX];
	unsigned findings_n, findings_more;
	int signal_number;
	bool cut;	 /* by a signal or the wall */
	char error[400]; /* the soak itself failed */
	bool terminal;
	double last_line;
};

/* soak.c */
/* The plan of one seed, and (unless NULL) its file's text, the caller's to free(). */
json_t *soak_plan(const struct soak_options *o, uint64_t seed, char **text, struct err *e);
/* What became of a regression, and of a seed. */
void soak_regression(struct soak *s, json_t *plan, const struct scenario_result *result);
void soak_seed_result(struct soak *s, json_t *plan, const struct scenario_result *result,
		      const struct rss_track *rss);

/* soak_live.c: regressions and seeds on the loopback rig. 0 or ERR_*. */
int soak_live(struct soak *s, struct err *e);

/* soak_report.c */
int soak_open(struct soak *s, struct err *e);
void soak_progress(struct soak *s, bool last);
/* The folder of a finding: the scenario, its plan, its journal. Sets f->folder. */
void soak_record(struct soak *s, struct soak_finding *f, const char *text, const struct trial *t);
/* Console, soak.json, summary.md, out/soak-latest. 0 or ERR_IO. */
int soak_report(struct soak *s, struct err *e);
/* soak_shrink.c: new failures that have a folder. Sets f->shrunk, or f->note. */
void soak_shrink(struct soak *s);
const char *soak_status_name(enum soak_status status);

#endif
