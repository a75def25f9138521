/* quicrig shrink: a failing scenario made small. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/settings.h"
#include "hil/judge/verdict.h"
#include "hil/language/scenario.h"
#include "hil/language/scenario_write.h"
#include "hil/run/prove.h"
#include "hil/run/shrink.h"
#include "hil/run/shrink_moves.h"
#include "hil/options.h"
#include "hil/verbs.h"

static const char help[] =
	"usage: quicrig shrink FOLDER|FILE[:SCENARIO] [OPTION…]\n"
	"\n"
	"FOLDER is what 'quicrig run' or 'quicrig soak' left of a failed scenario; FILE a\n"
	"scenario file. Runs it on the virtual rig again and again with fewer devices, faults,\n"
	"steps and settings, less time and simpler values, as long as the same check fails for\n"
	"the same reason, and writes the smallest that it found as a scenario file.\n"
	"\n"
	"  -o, --output FILE  where to (default: standard output)\n"
	"  --wall TIME        stop after this real time (default 10m)\n"
	"  --trials N         … or after so many runs (default 3000)\n"
	"  -j, --jobs N       runs side by side (default 2)\n"
	"  --plant BUG        with this bug planted ('quicrig prove --list'): what is found\n"
	"                     passes where it is not\n"
	"\n"
	"Ctrl-C ends it; the smallest found up to then is written. Exit: 0 written, 2 bad input,\n"
	"3 environment, 4 it does not fail, 130/143 interrupted.\n";

struct choice {
	struct shrink_options o;
	const char *what, *output;
};

static int bad(const char *fmt, const char *value)
{
	return option_bad("shrink", fmt, value);
}

static int failed(const struct err *e)
{
	char text[800];

	fprintf(stderr, "quicrig shrink: %s%s\n", e->code == ERR_NOTFOUND ? "" : "error: ",
		err_format(e, text, sizeof(text)));
	switch (e->code) {
	case ERR_NOTFOUND:
		return EXIT_NOTHING;
	case ERR_ENVIRONMENT:
	case ERR_IO:
		return EXIT_ENVIRONMENT;
	case ERR_NOMEM:
		return EXIT_INTERNAL;
	default:
		return EXIT_BAD_INPUT;
	}
}

static int number(const char *text, unsigned long high, unsigned *out)
{
	uint64_t n;

	if (option_number(text, 1, high, &n))
		return -1;
	*out = (unsigned)n;
	return 0;
}

static int take(struct choice *c, int opt, const char *arg)
{
	time_ns t;

	switch (opt) {
	case 'o':
		c->output = arg;
		return -1;
	case 'w':
		if (duration_parse(arg, &t) || t < NS_PER_S)
			return bad("--wall is a time such as 10m, not '%s'", arg);
		c->o.wall_s = (double)t / (double)NS_PER_S;
		return -1;
	case 't':
		return number(arg, 1000000, &c->o.trials_max) ? bad("--trials is 1…1000000, not '%s'", arg) : -1;
	case 'j':
		return number(arg, 64, &c->o.jobs) ? bad("--jobs is 1…64, not '%s'", arg) : -1;
	case 'p':
		c->o.plant = arg;
		c->o.program = PROVE_PROGRAM;
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_PASSED;
	default:
		fputs("'quicrig shrink --help' lists the options\n", stderr);
		return EXIT_BAD_INPUT;
	}
}

static int read_options(int argc, char **argv, struct choice *c)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
						{"wall", required_argument, NULL, 'w'},
						{"trials", required_argument, NULL, 't'},
						{"jobs", required_argument, NULL, 'j'},
						{"plant", required_argument, NULL, 'p'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int opt, code;

	while ((opt = getopt_long(argc, argv, "o:j:h", options, NULL)) != -1) {
		code = take(c, opt, optarg);
		if (code >= 0)
			return code;
	}
	if (optind + 1 != argc)
		return bad("%s", optind < argc ? "one scenario at a time" : "which? a folder of a failed scenario, or FILE:SCENARIO");
	c->what = argv[optind];
	return -1;
}

/* ---- what is to be shrunk ---- */

static json_t *from_folder(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	json_error_t je;
	json_t *plan;

	if (snprintf(path, sizeof(path), "%s/plan.json", dir) >= (int)sizeof(path)) {
		err_set(e, ERR_LIMIT, "%s: path too long", dir);
		return NULL;
	}
	plan = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!plan)
		err_set(e, ERR_PARSE, "%s: %s (the folder of one failed scenario is wanted, as out/latest/SUITE/NAME)", path,
			je.text);
	return plan;
}

static bool called(json_t *plan, const char *name)
{
	const char *id = json_string_value(json_object_get(plan, "id")), *slash = strchr(id, '/');

	return strcmp(id, name) == 0 || (slash && strcmp(slash + 1, name) == 0);
}

static json_t *from_file(const char *path, const char *name, struct err *e)
{
	struct plans plans = {0};
	struct diags ds = {0};
	json_t *plan = NULL;

	if (scenario_load(path, &ds, &plans)) {
		diags_print(&ds, stderr);
		err_set(e, ERR_PARSE, "%s cannot be read", path);
	} else if (!name && plans.n != 1) {
		err_set(e, ERR_INVALID, "%s has %zu scenarios: say which, as %s:NAME", path, plans.n, path);
	} else {
		for (size_t i = 0; i < plans.n && !plan; i++)
			if (!name || called(plans.v[i], name))
				plan = json_incref(plans.v[i]);
		if (!plan)
			err_set(e, ERR_INVALID, "%s has no scenario '%s'", path, name);
	}
	diags_fini(&ds);
	plans_fini(&plans);
	return plan;
}

static json_t *load(const char *what, struct err *e)
{
	const char *colon = strrchr(what, ':');
	struct stat st;
	char path[PATH_MAX];

	if (stat(what, &st) == 0)
		return S_ISDIR(st.st_mode) ? from_folder(what, e) : from_file(what, NULL, e);
	if (!colon || colon - what >= (long)sizeof(path)) {
		err_set(e, ERR_INVALID, "%s: %s", what, strerror(errno));
		return NULL;
	}
	snprintf(path, sizeof(path), "%.*s", (int)(colon - what), what);
	return from_file(path, colon + 1, e);
}

/* ---- what came out ---- */

static void size_of(json_t *plan, char *out, size_t size)
{
	json_int_t devices = shrink_devices(plan);
	size_t faults = json_array_size(json_object_get(plan, "faults")),
	       steps = json_array_size(json_object_get(plan, "steps"));

	snprintf(out, size, "%" JSON_INTEGER_FORMAT " device%s, %zu fault%s, %zu step%s%s", devices, devices == 1 ? "" : "s",
		 faults, faults == 1 ? "" : "s", steps, steps == 1 ? "" : "s",
		 json_object_get(plan, "network") ? ", a network" : "");
}

static void found(void *ctx, json_t *plan, unsigned trials)
{
	char size[160];

	(void)ctx;
	size_of(plan, size, sizeof(size));
	fprintf(stderr, "%5u runs: %s\n", trials, size);
}

/* Is there a place to write to? Better asked before the search than behind it. */
static int look_at_output(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	bool ok;

	if (snprintf(dir, sizeof(dir), "%s", path) >= (int)sizeof(dir))
		return bad("%s: path too long", path);
	slash = strrchr(dir, '/');
	if (slash == dir)
		slash[1] = '\0';
	else if (slash)
		*slash = '\0';
	ok = access(path, F_OK) == 0 ? access(path, W_OK) == 0 : access(slash ? dir : ".", W_OK | X_OK) == 0;
	if (ok)
		return -1;
	fprintf(stderr, "quicrig shrink: error: %s: %s\n", path, strerror(errno));
	return EXIT_ENVIRONMENT;
}

static int write_text(const char *path, const struct buf *text)
{
	FILE *f = path ? fopen(path, "we") : stdout;
	int bad = !f || fwrite(text->data, 1, text->len, f) != text->len;

	if (f)
		bad |= path ? fclose(f) : fflush(f);
	return bad ? ERR_IO : 0;
}

static int put(const struct choice *c, json_t *plan, const struct shrink_result *r)
{
	char comment[SIGNATURE_TEXT_MAX + 800], before[160], after[160];
	struct err e = {0};
	struct buf text;
	int rv;

	size_of(plan, before, sizeof(before));
	size_of(r->plan, after, sizeof(after));
	snprintf(comment, sizeof(comment), "Shrunk from %s%s%s: %s.\nIt failed with %s",
		 json_string_value(json_object_get(plan, "id")), c->o.plant ? " with a planted bug, " : "",
		 c->o.plant ? c->o.plant : "", before, r->signature.text);
	buf_init(&text, SCENARIO_TEXT_MAX);
	rv = scenario_write(r->plan, comment, &text, &e);
	if (!rv && write_text(c->output, &text)) {
		rv = err_set(&e, ERR_IO, "%s: %s", c->output ? c->output : "standard output", strerror(errno));
		if (c->output)
			write_text(NULL, &text); /* what was found is not lost */
	}
	buf_fini(&text);
	if (rv)
		return failed(&e);
	fprintf(stderr, "%s → %s in %u runs%s\n", before, after, r->trials,
		r->complete ? "" : "; not done: smaller may be possible");
	fprintf(stderr, "fails with %s (%s)\n", r->signature.text, r->signature.id);
	return r->signal_number ? 128 + r->signal_number : EXIT_PASSED;
}

static int known_bug(const char *name)
{
	struct prove p = {0};
	struct err e = {0};
	int code = -1;

	if (prove_open(&p, &e) || prove_want(&p, &name, 1, &e)) {
		if (e.code == ERR_NOTFOUND)
			e.code = ERR_INVALID; /* a slip of the finger, not a scenario that passes */
		code = failed(&e);
	}
	prove_fini(&p);
	return code;
}

int shrink_main(int argc, char **argv)
{
	struct choice c = {.o = {.found = found}};
	struct shrink_result r = {0};
	struct err e = {0};
	json_t *plan = NULL;
	int code = read_options(argc, argv, &c), rv;

	if (code < 0 && c.output)
		code = look_at_output(c.output);
	if (code < 0 && c.o.plant)
		code = known_bug(c.o.plant);
	if (code >= 0)
		return code;
	plan = load(c.what, &e);
	if (!plan)
		return failed(&e);
	rv = shrink_run(plan, &c.o, &r, &e);
	if (rv == ERR_CLOSED) {
		fprintf(stderr, "quicrig shrink: interrupted before it was known to fail: nothing is written\n");
		code = r.signal_number ? 128 + r.signal_number : EXIT_INCONCLUSIVE;
	} else {
		code = rv ? failed(&e) : put(&c, plan, &r);
	}
	shrink_result_fini(&r);
	json_decref(plan);
	return code;
}
