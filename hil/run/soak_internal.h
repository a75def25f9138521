/* Shared by the files of the soak only. */
#ifndef HIL_RUN_SOAK_INTERNAL_H
#define HIL_RUN_SOAK_INTERNAL_H

#include <limits.h>

#include "hil/judge/signature.h"
#include "hil/run/soak.h"
#include "hil/run/trial.h"

#define SOAK_NEW_MAX 100 /* kinds of failure; a build that broke everything broke one thing */

#define SOAK_MEMORY_ID "memory" /* the signature of memory that does not stay flat */
#define SOAK_MEMORY_LENGTH (1800 * NS_PER_S) /* of a fleet's life that can tell */

enum soak_status { SOAK_NEW, SOAK_KNOWN, SOAK_FIXED, SOAK_REGRESSED };

/* One signature, or one regression that is not as it should be. */
struct soak_finding {
	enum soak_status status;
	struct signature signature;
	enum verdict verdict;
	unsigned times;	     /* seeds that showed it */
	uint64_t first_seed; /* of these */
	json_t *regression;  /* that knows it, or that it is; borrowed; NULL: none */
	bool recorded;	     /* or was tried to be */
	bool replays;	     /* its folder has a journal */
	uint64_t events;     /* of the first seed's journal */
	char hash[65];	     /* its SHA-256; "" where it is not known */
	char folder[PATH_MAX]; /* "" none */
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

	struct soak_finding **findings;
	unsigned findings_n, findings_cap;
	unsigned fresh, findings_more; /* new ones, and those beyond SOAK_NEW_MAX */
	struct signature_set known;    /* all that the known failures fail with */
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
/* Of a seed: what was seen of it. */
struct soak_seen {
	const struct scenario_result *result;
	const struct rss_track *rss;
	uint64_t events;
	const char *hash; /* of its journal; "" where it is not known */
};
void soak_seed_result(struct soak *s, json_t *plan, const struct soak_seen *seen);
/* Real seconds that are left of the whole soak; 0: it has no limit. */
double soak_left(const struct soak *s);

/* An exit code of contracts.md for what was found. */
int soak_exit(const struct soak *s);
/* Frees `s`, too. */
void soak_free(struct soak *s);

/* soak_live.c: regressions and seeds on the loopback rig. 0 or ERR_*. */
int soak_live(struct soak *s, struct err *e);

/* soak_report.c */
int soak_open(struct soak *s, struct err *e);
void soak_progress(struct soak *s, bool last);
/* The folder of a finding: the scenario, its plan, and (`t`; NULL: none) its journal.
 * Sets f->folder. */
void soak_record(struct soak *s, struct soak_finding *f, const char *text, json_t *plan, const struct trial *t);
/* Real seconds since it began. */
double soak_seconds(const struct soak *s);
/* Console, soak.json, summary.md, out/soak-latest. 0 or ERR_IO. */
int soak_report(struct soak *s, struct err *e);
/* soak_shrink.c: new failures that have a folder. Sets f->shrunk, or f->note. */
void soak_shrink(struct soak *s);
const char *soak_status_name(enum soak_status status);

#endif
