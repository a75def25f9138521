/* quicrig soak: what a nightly job calls. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/settings.h"
#include "hil/judge/verdict.h"
#include "hil/options.h"
#include "hil/run/prove.h"
#include "hil/run/soak.h"
#include "hil/run/soak_scenario.h"
#include "hil/verbs.h"

static const char help[] =
	"usage: quicrig soak [OPTION…] [REGRESSIONS…]\n"
	"\n"
	"Runs a mixed fleet through fresh schedules of faults, one a seed, on the virtual rig,\n"
	"judged by the oracle all the time. REGRESSIONS (scenario files or folders) are run\n"
	"first: those without an xfail must pass; one with an xfail is a known failure until\n"
	"its day, and is called fixed when it passes. Each new kind of failure is left as a\n"
	"folder for 'quicrig replay' with a small scenario in it, in out/soak-latest/. A soak\n"
	"begins with a canary: it must find a bug that is planted, else it checks nothing.\n"
	"\n"
	"  --for TIME        time of each seed by the rig's clock (default 24h; live 5m)\n"
	"  --devices N       of each fleet (default 100; live 12)\n"
	"  --seeds N         how many (default 20; live 1)\n"
	"  --rig loopback    a live soak: real clocks, sockets, processes, emulated modems\n"
	"  --seed SEED       the first; the others follow from it (default: by the clock)\n"
	"  -j, --jobs N      seeds at once (default 2)\n"
	"  --wall TIME       limit of real time for the whole, canary, regressions and shrinking\n"
	"                    with it; what was done is reported\n"
	"  --shrink TIME     real time to make each new failure small (default 1m; 0s: do not)\n"
	"  --canary N        seeds in which the planted bug must be found (default 40; 0: none)\n"
	"  --out DIR         where soaks are kept (default: out)\n"
	"  --print SEED      print that seed's scenario file and do nothing else\n"
	"\n"
	"Ctrl-C ends it and reports. Exit: 0 nothing new, 1 new, regressed or fixed, 2 bad\n"
	"input, 3 environment, 5 inconclusive or cut short by --wall, 130/143 interrupted.\n";

/* Its seeds are always the same, so that no night is unlucky. */
#define CANARY_SEED    0xca9a41
#define CANARY_DEVICES 12
#define CANARY_LENGTH  (3600 * NS_PER_S)
#define WALL_LEFT_S    0.1 /* for the rest, which says that it was cut short */

struct choice {
	struct soak_options o;
	bool print;
	uint64_t print_seed;
	unsigned canary; /* seeds; 0: none */
	char canary_text[200];
};

static int bad(const char *fmt, const char *value)
{
	return option_bad("soak", fmt, value);
}

static int take(struct choice *c, int opt, const char *arg)
{
	uint64_t n;
	time_ns t;

	switch (opt) {
	case 'f':
		if (duration_parse(arg, &t) || t < SOAK_LENGTH_MIN || t > 3650 * 86400 * NS_PER_S)
			return bad("--for is a time of at least 1m, such as 7d, not '%s'", arg);
		c->o.length = t;
		return -1;
	case 'd':
		if (option_number(arg, SOAK_DEVICES_MIN, SOAK_DEVICES_MAX, &n))
			return bad("--devices is 8…100000, not '%s'", arg);
		c->o.devices = (unsigned)n;
		return -1;
	case 'n':
		if (option_number(arg, 1, 1000000, &n))
			return bad("--seeds is 1…1000000, not '%s'", arg);
		c->o.seeds = (unsigned)n;
		return -1;
	case 's':
		return option_number(arg, 0, UINT64_MAX, &c->o.seed)
			       ? bad("--seed is a number such as 0x5eed or 42, not '%s'", arg)
			       : -1;
	case 'p':
		c->print = true;
		return option_number(arg, 0, UINT64_MAX, &c->print_seed)
			       ? bad("--print takes a seed such as 0x5eed or 42, not '%s'", arg)
			       : -1;
	case 'j':
		if (option_number(arg, 1, 64, &n))
			return bad("--jobs is 1…64, not '%s'", arg);
		c->o.jobs = (unsigned)n;
		return -1;
	case 'w':
		if (duration_parse(arg, &t))
			return bad("--wall is a time such as 2h, not '%s'", arg);
		c->o.wall_s = (double)t / 1e9;
		return -1;
	case 'S':
		if (duration_parse(arg, &t))
			return bad("--shrink is a time such as 1m, not '%s'", arg);
		c->o.shrink = t > 0;
		c->o.shrink_s = (double)t / 1e9;
		return -1;
	case 'c':
		if (option_number(arg, 0, 1000, &n))
			return bad("--canary is 0…1000, not '%s'", arg);
		c->canary = (unsigned)n;
		return -1;
	case 'r':
		if (strcmp(arg, "virtual") != 0 && strcmp(arg, "loopback") != 0)
			return bad("--rig is virtual or loopback, not '%s'", arg);
		c->o.live = *arg == 'l';
		return -1;
	case 'o':
		c->o.out = arg;
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_PASSED;
	default:
		fputs("'quicrig soak --help' lists the options\n", stderr);
		return EXIT_BAD_INPUT;
	}
}

static int read_options(int argc, char **argv, struct choice *c)
{
	static const struct option options[] = {
		{"for", required_argument, NULL, 'f'},	 {"devices", required_argument, NULL, 'd'},
		{"seeds", required_argument, NULL, 'n'}, {"seed", required_argument, NULL, 's'},
		{"jobs", required_argument, NULL, 'j'},	 {"wall", required_argument, NULL, 'w'},
		{"shrink", required_argument, NULL, 'S'},
		{"out", required_argument, NULL, 'o'},	 {"print", required_argument, NULL, 'p'},
						{"canary", required_argument, NULL, 'c'},
						{"rig", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},	 {NULL, 0, NULL, 0}};
	int opt, code;

	while ((opt = getopt_long(argc, argv, "j:h", options, NULL)) != -1) {
		code = take(c, opt, optarg);
		if (code >= 0)
			return code;
	}
	return -1;
}

static int print_scenario(const struct choice *c)
{
	struct soak_shape shape = {
		.seed = c->print_seed, .devices = c->o.devices, .length = c->o.length, .live = c->o.live};
	struct buf text;
	int rv;

	buf_init(&text, SOAK_TEXT_MAX);
	rv = soak_scenario(&shape, &text);
	if (!rv)
		fputs(text.data, stdout);
	buf_fini(&text);
	return rv ? EXIT_INTERNAL : EXIT_PASSED;
}

/* What was not said depends on the rig. */
static void defaults(struct choice *c)
{
	if (!c->o.length)
		c->o.length = (c->o.live ? 300 : 86400) * NS_PER_S;
	if (!c->o.devices)
		c->o.devices = c->o.live ? 12 : 100;
	if (!c->o.seeds)
		c->o.seeds = c->o.live ? 1 : 20;
	c->o.shrink = c->o.shrink && !c->o.live;
}

/* Which bug it is, PROVE_PROGRAM says: the product knows none by name. */
static int canary_of(const struct prove *p, const char **bug, struct err *e)
{
	for (size_t i = 0; i < p->bugs_n; i++)
		if (p->bugs[i].canary) {
			*bug = p->bugs[i].name;
			return 0;
		}
	return err_set(e, ERR_ENVIRONMENT, PROVE_PROGRAM " names no canary");
}

/* A small soak over a program with a bug planted in it. < 0: found, go on. */
static int canary_with(struct choice *c, struct prove *p)
{
	struct soak_options o = {.seed = CANARY_SEED,
				 .seeds = c->canary,
				 .devices = CANARY_DEVICES,
				 .length = CANARY_LENGTH,
				 .jobs = c->o.jobs,
				 .wall_s = c->o.wall_s,
				 .out = c->o.out,
				 .program = PROVE_PROGRAM};
	struct err e = {0};
	unsigned after = 0;
	int signal_number = 0, rv;
	char text[800];

	rv = prove_open(p, &e);
	if (!rv)
		rv = canary_of(p, &o.plant, &e);
	if (!rv)
		rv = soak_canary(&o, &after, &signal_number, &e);
	if (signal_number)
		return signal_number == SIGTERM ? EXIT_TERMINATED : EXIT_INTERRUPTED;
	if (rv == ERR_CLOSED) {
		fputs("cut short: over its wall-clock limit while it looked for the canary\n", stderr);
		return EXIT_INCONCLUSIVE;
	}
	if (rv) {
		fprintf(stderr, "quicrig soak: error: canary: %s (--canary 0 goes without)\n",
			err_format(&e, text, sizeof(text)));
		return EXIT_ENVIRONMENT;
	}
	if (!after) {
		fprintf(stderr,
			"quicrig soak: error: canary: the planted bug '%s' was not found within %u seed%s: a soak "
			"that passes would prove nothing\n",
			o.plant, c->canary, c->canary == 1 ? "" : "s");
		return EXIT_FAILED;
	}
	snprintf(c->canary_text, sizeof(c->canary_text), "planted bug '%s' found at seed %u of at most %u", o.plant,
		 after, c->canary);
	printf("canary: %s\n", c->canary_text);
	c->o.canary = c->canary_text;
	return -1;
}

static int canary(struct choice *c)
{
	struct prove p = {0};
	struct timespec before, after;
	double took;
	int code;

	if (!c->canary)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &before);
	code = canary_with(c, &p);
	clock_gettime(CLOCK_MONOTONIC, &after);
	prove_fini(&p);
	/* --wall is of the whole */
	took = (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
	if (c->o.wall_s > 0)
		c->o.wall_s = c->o.wall_s > took + WALL_LEFT_S ? c->o.wall_s - took : WALL_LEFT_S;
	return code;
}

int soak_main(int argc, char **argv)
{
	struct choice c = {
		.o = {.seed = (uint64_t)time(NULL), .shrink = true, .shrink_s = 60, .out = "out"}, .canary = 40};
	struct plans plans = {0};
	int code = read_options(argc, argv, &c);

	if (code >= 0)
		return code;
	defaults(&c);
	if (c.print)
		return print_scenario(&c);
	code = option_scenarios(argv + optind, argc - optind, &plans);
	if (!code) {
		printf("soak: %u seed%s from 0x%" PRIx64 "\n", c.o.seeds, c.o.seeds == 1 ? "" : "s", c.o.seed);
		fflush(stdout);
		code = canary(&c);
	}
	if (code < 0) {
		fflush(stdout);
		c.o.regressions = plans.v;
		c.o.regressions_n = plans.n;
		code = soak_run(&c.o);
	}
	plans_fini(&plans);
	return code;
}
