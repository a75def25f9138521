/* quicrig run: scenario files in, verdicts out. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/settings.h"
#include "hil/judge/verdict.h"
#include "hil/language/rigfile.h"
#include "hil/language/scenario.h"
#include "hil/language/select.h"
#include "hil/options.h"
#include "hil/run/parity_run.h"
#include "hil/run/runner.h"
#include "hil/verbs.h"

static const char help[] =
	"usage: quicrig run [OPTION…] FILE|FOLDER…\n"
	"\n"
	"Runs scenarios on a rig, judges every state change from the journal, and leaves\n"
	"report.json, junit.xml, summary.md and journal.jsonl in out/latest/.\n"
	"\n"
	"  --rig NAME        virtual (default: in memory, virtual clock) or loopback (real\n"
	"                    UDP, a server process, SMS through libgammu on emulated modems),\n"
	"                    or a rig file with modems of your own\n"
	"  --parity RIG      on this rig as well (--parity loopback): do both take the same rows\n"
	"                    of the table and come to the same verdicts? Exit 1 where not\n"
	"  --tag TAG         only scenarios with this tag; repeated: with any of them\n"
	"  --filter EXPR     tags and name globs with and, or, not: 'idle and not slow'\n"
	"  --seed SEED       instead of each scenario's own, e.g. 0x5eed\n"
	"  -j, --jobs N      scenarios at once (default: virtual 2, loopback 6)\n"
	"  --out DIR         where runs are kept (default: out)\n"
	"  --keep-all        a folder that replays also of each scenario that passed\n"
	"  --wall TIME       limit of real time for the whole run, e.g. 10m (0s: none)\n"
	"  --allow-unjudged  an expectation that cannot be judged does not count\n"
	"  --coverage        print which rows and cells were exercised, and by which scenarios\n"
	"  --require-coverage P%   fail where fewer of the table's rows, or of the cells of state\n"
	"                    and reply, were exercised, and name the others\n"
	"  --suggest-missing FILE  write a scenario for each row that nothing exercised\n"
	"  --hash            print the SHA-256 of each scenario's journal\n"
	"  --libgammu-debug DIR    a transcript a modem (holds codes: keep it private)\n"
	"\n"
	"Ctrl-C drains and reports within 5 s, a second one stops at once; SIGUSR1 prints\n"
	"what runs. Exit: 0 passed, 1 failed, 2 bad input, 3 environment, 4 nothing selected,\n"
	"5 inconclusive, 130/143 interrupted.\n";

struct choice {
	struct run_options o;
	struct selector *select;
	struct rigfile file, other_file;
	const char *other; /* rig to compare with; NULL: none */
};

static int bad(const char *fmt, const char *value)
{
	return option_bad("run", fmt, value);
}

static int read_share(const char *text, double low, double high, double *out)
{
	char *end;

	errno = 0;
	*out = strtod(text, &end);
	if (end == text || (*end && strcmp(end, "%") != 0) || errno || !(*out >= low && *out <= high))
		return -1;
	return 0;
}

static int take_seed(struct choice *c, const char *text)
{
	uint64_t n;

	if (option_number(text, 0, UINT64_MAX, &n))
		return bad("--seed is a number such as 0x5eed or 42, not '%s'", text);
	c->o.seed = text;
	return -1;
}

static int take(struct choice *c, int opt, const char *arg)
{
	struct err e = {0};
	char text[800];
	uint64_t n;
	time_ns t;

	switch (opt) {
	case 'r':
		c->o.rig = arg;
		return -1;
	case 'p':
		c->other = arg;
		return -1;
	case 't':
		return selector_tag(c->select, arg) ? bad("out of memory at tag '%s'", arg) : -1;
	case 'f':
		if (selector_filter(c->select, arg, &e))
			return bad("--filter: %s", err_format(&e, text, sizeof(text)));
		return -1;
	case 's':
		return take_seed(c, arg);
	case 'j':
		if (option_number(arg, 1, 64, &n))
			return bad("--jobs is 1…64, not '%s'", arg);
		c->o.jobs = (unsigned)n;
		return -1;
	case 'o':
		c->o.out = arg;
		return -1;
	case 'w':
		if (duration_parse(arg, &t))
			return bad("--wall is a time such as 10m, not '%s'", arg);
		c->o.wall_s = (double)t / 1e9;
		return -1;
	case 'u':
		c->o.allow_unjudged = true;
		return -1;
	case 'c':
		if (read_share(arg, 0, 100, &c->o.require_coverage))
			return bad("--require-coverage is 0%%…100%%, not '%s'", arg);
		return -1;
	case 'C':
		c->o.coverage = true;
		return -1;
	case 'S':
		c->o.suggest = arg;
		return -1;
	case 'k':
		c->o.keep_all = true;
		return -1;
	case 'x':
		c->o.hashes = true;
		return -1;
	case 'g':
		c->o.libgammu_debug = arg;
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_PASSED;
	default:
		fputs("'quicrig run --help' lists the options\n", stderr);
		return EXIT_BAD_INPUT;
	}
}

static int read_options(int argc, char **argv, struct choice *c)
{
	static const struct option options[] = {{"rig", required_argument, NULL, 'r'},
						{"parity", required_argument, NULL, 'p'},
						{"tag", required_argument, NULL, 't'},
						{"filter", required_argument, NULL, 'f'},
						{"seed", required_argument, NULL, 's'},
						{"jobs", required_argument, NULL, 'j'},
						{"out", required_argument, NULL, 'o'},
						{"wall", required_argument, NULL, 'w'},
						{"allow-unjudged", no_argument, NULL, 'u'},
						{"require-coverage", required_argument, NULL, 'c'},
						{"coverage", no_argument, NULL, 'C'},
						{"suggest-missing", required_argument, NULL, 'S'},
						{"keep-all", no_argument, NULL, 'k'},
						{"hash", no_argument, NULL, 'x'},
						{"libgammu-debug", required_argument, NULL, 'g'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int opt, code;

	while ((opt = getopt_long(argc, argv, "j:h", options, NULL)) != -1) {
		code = take(c, opt, optarg);
		if (code >= 0)
			return code;
	}
	if (optind >= argc) {
		fputs(help, stderr);
		return EXIT_BAD_INPUT;
	}
	return -1;
}

/* A rig that is not built in is a rig file: `*at` then points to what stands in it. */
static int load_rig(const char *rig, struct rigfile *file, const struct rigfile **at)
{
	struct diags ds = {0};
	int code = EXIT_PASSED;

	if (strcmp(rig, "virtual") == 0 || strcmp(rig, "loopback") == 0)
		return EXIT_PASSED;
	if (!strpbrk(rig, "./"))
		return bad("no rig '%s': virtual, loopback, or a rig file's path", rig);
	rigfile_load(rig, &ds, file);
	diags_print(&ds, stderr);
	if (ds.errors)
		code = EXIT_BAD_INPUT;
	diags_fini(&ds);
	*at = file;
	return code;
}

static int load_rigs(struct choice *c, const struct rigfile **other)
{
	int code = load_rig(c->o.rig, &c->file, &c->o.file);

	if (!code && c->other)
		code = load_rig(c->other, &c->other_file, other);
	if (!code && c->other && strcmp(c->other, c->o.rig) == 0)
		code = bad("--parity compares two rigs, and --rig is '%s' already", c->other);
	return code;
}

/* Keeps the selected ones, in order. */
static void keep_selected(struct plans *plans, const struct selector *select)
{
	size_t kept = 0;

	for (size_t i = 0; i < plans->n; i++) {
		if (selector_match(select, plans->v[i]))
			plans->v[kept++] = plans->v[i];
		else
			json_decref(plans->v[i]);
	}
	plans->n = kept;
}

int run_main(int argc, char **argv)
{
	struct choice c = {.o = {.rig = "virtual", .out = "out", .require_coverage = -1}};
	const struct rigfile *other_file = NULL;
	struct plans plans = {0};
	int code = EXIT_INTERNAL;

	c.select = selector_new();
	if (!c.select)
		return EXIT_INTERNAL;
	code = read_options(argc, argv, &c);
	if (code < 0) {
		code = option_scenarios(argv + optind, argc - optind, &plans);
		if (!code)
			code = load_rigs(&c, &other_file);
		keep_selected(&plans, c.select);
		if (!code && !plans.n) {
			fputs("quicrig run: nothing selected\n", stderr);
			code = EXIT_NOTHING;
		}
		if (!code && c.other)
			code = parity_run(plans.v, plans.n, &c.o, c.other, other_file);
		else if (!code)
			code = runner_run(plans.v, plans.n, &c.o);
		plans_fini(&plans);
	}
	rigfile_fini(&c.file);
	rigfile_fini(&c.other_file);
	selector_free(c.select);
	return code;
}
