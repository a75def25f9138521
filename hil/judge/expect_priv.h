/* What expect.c (reading, counting) and expect_judge.c (the end) share. */
#ifndef HIL_JUDGE_EXPECT_PRIV_H
#define HIL_JUDGE_EXPECT_PRIV_H

#include "hil/judge/expect.h"
#include "hil/judge/who.h"

enum expect_kind { EXPECT_PATH, EXPECT_IDLE, EXPECT_FINAL, EXPECT_NEVER, EXPECT_WITHIN, EXPECT_COUNTS, EXPECT_SEEN,
		   EXPECT_BALANCE, EXPECT_OTHERS };
enum path_how { PATH_ALL, PATH_ANY, PATH_COUNT };

#define EXPECT_BEFORE_MAX 64 /* `seen` with `before` in one plan */
#define PATH_ANYTHING 0xff /* `...` among the states of a pattern */

struct range {
	int64_t min, max; /* INT64_MIN, INT64_MAX: absent */
};

struct pattern {
	uint8_t states[EXPECT_PATH_MAX];
	unsigned n;
};

struct expect {
	enum expect_kind kind;
	struct place at;
	struct who who;
	/* path */
	struct pattern pattern;
	enum path_how how;
	unsigned path_index; /* of the devices' masks */
	/* idle, final, never, within */
	int code;
	enum state_name state;
	time_ns ns;   /* silent_for, within */
	/* counts, seen */
	struct range range;
	char *what;   /* as the plan writes it */
	enum journal_kind event;
	json_t *match; /* owned reference; NULL: any */
	bool families; /* counted by expects_family */
	bool has_within, has_before;
	enum journal_kind before; /* only what comes earlier counts, and this must come */
	json_t *before_match;	  /* owned reference; NULL: any */
	unsigned before_index;	  /* of the devices' `befores` */
	bool before_came;	  /* for anybody of `who` */
	int64_t count;
};

struct threshold {
	struct place at;
	char *text;   /* "bootstrap_time p99 < 2 s" */
	int metric;   /* -1: not measured here */
	double q;     /* a quantile; -1 mean, -2 max, -3 rate, -4 not known here */
	char cmp[3];
	double value;
	uint64_t min_samples;
};

struct expects {
	struct expect *e;
	size_t n, paths;
	unsigned befores;
	struct threshold *t;
	size_t t_n;
};

/* One step of a pattern's position mask: bit i says "the next element is i". */
uint64_t pattern_start(const struct pattern *p);
uint64_t pattern_step(const struct pattern *p, uint64_t mask, enum state_name s);
bool pattern_ends(const struct pattern *p, uint64_t mask);
/* "2 s", "5/s", "200.0 MiB": a value of this threshold's. */
void threshold_value(const struct threshold *t, double v, char *out, size_t size);
bool range_has(const struct range *r, int64_t n);

#endif
