/* quicrig prove: does the library of scenarios catch planted bugs? */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "hil/judge/verdict.h"
#include "hil/language/scenario.h"
#include "hil/language/select.h"
#include "hil/run/prove.h"
#include "hil/options.h"
#include "hil/verbs.h"

#define BUGS_MAX 100

static const char help[] =
	"usage: quicrig prove [OPTION…] FILE|FOLDER…\n"
	"       quicrig prove --list\n"
	"\n"
	"Runs the scenarios on the virtual rig against a server and devices with planted bugs,\n"
	"one at a time, until a scenario fails and lays it to somebody, and says which bug was\n"
	"caught by which scenario and whether the right one was blamed. Then the product itself, which must be green.\n"
	"The bugs live in a test program, quicrig-prove, and in no other.\n"
	"\n"
	"  --bug NAME        only this one; may be repeated\n"
	"  --filter EXPR     as in 'quicrig run'\n"
	"  -j, --jobs N      bugs side by side (default: 2)\n"
	"  --list            the bugs, a line each\n"
	"\n"
	"'beyond' are bugs that no scenario can show, with the reason; they count as neither.\n"
	"Exit: 0 all caught and rightly blamed, 1 some not or the product not green, 2 bad input,\n"
	"3 environment, 4 nothing selected, 130/143 interrupted.\n";

struct choice {
	const char *bugs[BUGS_MAX];
	size_t bugs_n;
	struct selector *select;
	unsigned jobs;
	bool list;
};

static int bad(const struct err *e)
{
	char text[800];

	fprintf(stderr, "quicrig prove: error: %s\n", err_format(e, text, sizeof(text)));
	return e->code == ERR_ENVIRONMENT ? EXIT_ENVIRONMENT :
	       e->code == ERR_NOMEM	  ? EXIT_INTERNAL :
					    EXIT_BAD_INPUT;
}

static int read_options(int argc, char **argv, struct choice *c)
{
	static const struct option options[] = {{"bug", required_argument, NULL, 'b'},
						{"filter", required_argument, NULL, 'f'},
						{"jobs", required_argument, NULL, 'j'},
						{"list", no_argument, NULL, 'l'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct err e = {0};
	char *end;
	long n;
	int opt;

	while ((opt = getopt_long(argc, argv, "j:h", options, NULL)) != -1) {
		switch (opt) {
		case 'b':
			if (c->bugs_n == BUGS_MAX) {
				err_set(&e, ERR_LIMIT, "more than %d bugs", BUGS_MAX);
				return bad(&e);
			}
			c->bugs[c->bugs_n++] = optarg;
			break;
		case 'f':
			if (selector_filter(c->select, optarg, &e))
				return bad(&e);
			break;
		case 'j':
			n = strtol(optarg, &end, 10);
			if (end == optarg || *end || n < 1 || n > 64) {
				err_set(&e, ERR_PARSE, "--jobs is 1…64, not '%s'", optarg);
				return bad(&e);
			}
			c->jobs = (unsigned)n;
			break;
		case 'l':
			c->list = true;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_PASSED;
		default:
			fputs("'quicrig prove --help' lists the options\n", stderr);
			return EXIT_BAD_INPUT;
		}
	}
	if (optind < argc || c->list)
		return -1;
	fputs(help, stderr);
	return EXIT_BAD_INPUT;
}

static int load(int argc, char **argv, const struct choice *c, struct prove *p)
{
	struct plans plans = {0};
	struct err e = {0};
	size_t kept = 0;
	int code = option_scenarios(argv + optind, argc - optind, &plans);

	for (size_t i = 0; !code && i < plans.n; i++) {
		json_t *plan = plans.v[i];

		/* what was not selected stays behind, for plans_fini */
		if (selector_match(c->select, plan)) {
			plans.v[i] = plans.v[kept];
			plans.v[kept++] = plan;
		}
	}
	if (!code && prove_plans(p, plans.v, kept, &e))
		code = bad(&e);
	if (!code && !p->plans_n) {
		fputs("quicrig prove: no scenario for the virtual rig selected\n", stderr);
		code = EXIT_NOTHING;
	}
	plans_fini(&plans);
	return code;
}

static int list(const struct prove *p)
{
	for (size_t i = 0; i < p->bugs_n; i++)
		printf("%-26s %-7s %s%s%s\n", p->bugs[i].name, blame_name(p->bugs[i].blame), p->bugs[i].what,
		       p->bugs[i].beyond ? "; beyond scenarios: " : "", p->bugs[i].beyond ? p->bugs[i].beyond : "");
	return EXIT_PASSED;
}

static int run(struct prove *p)
{
	struct err e = {0};
	int signal_number = 0, rv = prove_run(p, &signal_number, &e);

	if (signal_number) {
		fputs("quicrig prove: interrupted\n", stderr);
		return 128 + signal_number;
	}
	if (rv) {
		bad(&e);
		return e.code == ERR_NOMEM ? EXIT_INTERNAL : EXIT_ENVIRONMENT;
	}
	printf("%u planted: %u caught (%u blamed rightly), %u missed, %u beyond scenarios · nothing planted: %u of %u "
	       "green\n",
	       p->caught + p->missed + p->beyond, p->caught, p->blamed_right, p->missed, p->beyond, p->green,
	       p->green + p->red);
	return p->missed || p->red || p->blamed_right < p->caught ? EXIT_FAILED : EXIT_PASSED;
}

int prove_main(int argc, char **argv)
{
	struct choice c = {.select = selector_new()};
	struct prove p = {.out = stdout};
	struct err e = {0};
	int code;

	if (!c.select)
		return EXIT_INTERNAL;
	code = read_options(argc, argv, &c);
	if (code < 0)
		code = prove_open(&p, &e) || prove_want(&p, c.bugs, c.bugs_n, &e) ? bad(&e) : -1;
	if (code < 0 && c.list)
		code = list(&p);
	p.jobs = c.jobs;
	if (code < 0)
		code = load(argc, argv, &c, &p);
	if (!code && p.plans_n)
		code = run(&p);
	prove_fini(&p);
	selector_free(c.select);
	return code;
}
