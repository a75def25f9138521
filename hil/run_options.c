/* What run and config take: options, QUICRIG_* of the environment, rig files. */
#include "hil/run_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/verdict.h"
#include "hil/options.h"

const char run_options_help[] =
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
	"  --set NAME=VALUE  a setting of server or devices for all scenarios; repeated: several\n"
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
	"QUICRIG_RIG, QUICRIG_SEED, QUICRIG_ACCESS_TTL, … of the environment stand for options\n"
	"and settings that no flag says: see 'quicrig config --show-origin'.\n"
	"Ctrl-C drains and reports within 5 s, a second one stops at once; SIGUSR1 prints\n"
	"what runs. Exit: 0 passed, 1 failed, 2 bad input, 3 environment, 4 nothing selected,\n"
	"5 inconclusive, 130/143 interrupted.\n";

static const char *verb = "run";

static int bad(const char *fmt, const char *value)
{
	return option_bad(verb, fmt, value);
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

static int take_seed(struct run_choice *c, const char *text)
{
	uint64_t n;

	if (option_number(text, 0, UINT64_MAX, &n))
		return bad("--seed is a number such as 0x5eed or 42, not '%s'", text);
	c->o.seed = text;
	return -1;
}

static int take_set(struct run_choice *c, const char *text, enum config_origin from)
{
	struct err e = {0};
	char shown[800];

	if (config_set(&c->settings, text, from, &e))
		return bad("--set: %s", err_format(&e, shown, sizeof(shown)));
	return -1;
}

static int take(struct run_choice *c, int opt, const char *arg, enum config_origin from)
{
	struct err e = {0};
	char text[800];
	uint64_t n;
	time_ns t;

	if (opt > 0 && opt < RUN_LETTERS) {
		c->said[opt] = arg ? arg : "true";
		c->from[opt] = from;
	}
	switch (opt) {
	case 'e':
		return take_set(c, arg, from);
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
		fputs(c->config ? config_help : run_options_help, stdout);
		return EXIT_PASSED;
	case 'O':
		if (c->config) {
			c->show_origin = true;
			return -1;
		}
		fputs("quicrig run: --show-origin belongs to 'quicrig config'\n", stderr);
		return EXIT_BAD_INPUT;
	default:
		fprintf(stderr, "'quicrig %s --help' lists the options\n", verb);
		return EXIT_BAD_INPUT;
	}
}

const struct run_variable run_variables[] = {
	{"rig", 'r', true},	{"seed", 's', true},	 {"jobs", 'j', true},	       {"out", 'o', true},
	{"wall", 'w', true},	{"filter", 'f', true},	 {"require_coverage", 'c', true}, {"keep_all", 'k', false},
	{"allow_unjudged", 'u', false},
};
const size_t run_variables_n = sizeof(run_variables) / sizeof(run_variables[0]);

/* What no flag will say. */
static int read_environment(struct run_choice *c)
{
	struct err e = {0};
	char name[64], text[800];
	int code = -1;

	for (size_t i = 0; i < run_variables_n && code < 0; i++) {
		const struct run_variable *v = &run_variables[i];
		const char *value = getenv(config_variable(v->name, name, sizeof(name)));

		if (!value)
			continue;
		if (v->value)
			code = take(c, v->letter, value, CONFIG_ENVIRONMENT);
		else if (strcmp(value, "true") == 0)
			code = take(c, v->letter, NULL, CONFIG_ENVIRONMENT);
		else if (strcmp(value, "false") != 0)
			code = bad("it is true or false, not '%s'", value);
		if (code >= 0)
			fprintf(stderr, "  %s of the environment says so\n", name);
	}
	if (code < 0 && config_environment(&c->settings, &e))
		code = bad("%s", err_format(&e, text, sizeof(text)));
	return code;
}

int run_options_read(int argc, char **argv, struct run_choice *c)
{
	static const struct option options[] = {{"rig", required_argument, NULL, 'r'},
						{"parity", required_argument, NULL, 'p'},
						{"tag", required_argument, NULL, 't'},
						{"filter", required_argument, NULL, 'f'},
						{"seed", required_argument, NULL, 's'},
						{"set", required_argument, NULL, 'e'},
						{"show-origin", no_argument, NULL, 'O'},
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

	verb = c->config ? "config" : "run";
	code = read_environment(c);
	if (code >= 0)
		return code;
	while ((opt = getopt_long(argc, argv, "j:h", options, NULL)) != -1) {
		code = take(c, opt, optarg, CONFIG_FLAG);
		if (code >= 0)
			return code;
	}
	if (optind >= argc && !c->config) {
		fputs(run_options_help, stderr);
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

int run_options_rigs(struct run_choice *c, const struct rigfile **other)
{
	int code = load_rig(c->o.rig, &c->file, &c->o.file);

	if (!code && c->other)
		code = load_rig(c->other, &c->other_file, other);
	if (!code && c->other && strcmp(c->other, c->o.rig) == 0)
		code = bad("--parity compares two rigs, and --rig is '%s' already", c->other);
	return code;
}

/* ---- the scenarios ---- */

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

int run_options_plans(struct run_choice *c, char *const *paths, int n, struct plans *plans)
{
	struct err e = {0};
	char text[800];
	int code = option_scenarios(paths, n, plans);

	keep_selected(plans, c->select);
	for (size_t i = 0; !code && i < plans->n; i++)
		if (config_apply(&c->settings, c->o.file ? c->o.file->settings : NULL, plans->v[i], &e))
			code = bad("%s", err_format(&e, text, sizeof(text)));
	return code;
}

int run_options_init(struct run_choice *c)
{
	memset(c, 0, sizeof(*c));
	c->o.rig = "virtual";
	c->o.out = "out";
	c->o.require_coverage = -1;
	c->select = selector_new();
	return c->select ? 0 : ERR_NOMEM;
}

void run_options_fini(struct run_choice *c)
{
	rigfile_fini(&c->file);
	rigfile_fini(&c->other_file);
	selector_free(c->select);
}
