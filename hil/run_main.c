/* quicrig run: scenario files in, verdicts out. */
#include <getopt.h>
#include <stdio.h>

#include "hil/judge/verdict.h"
#include "hil/run/parity_run.h"
#include "hil/run_options.h"
#include "hil/verbs.h"

int run_main(int argc, char **argv)
{
	const struct rigfile *other_file = NULL;
	struct run_choice c;
	struct plans plans = {0};
	int code;

	if (run_options_init(&c))
		return EXIT_INTERNAL;
	code = run_options_read(argc, argv, &c);
	if (code < 0) {
		code = run_options_rigs(&c, &other_file);
		if (!code)
			code = run_options_plans(&c, argv + optind, argc - optind, &plans);
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
	run_options_fini(&c);
	return code;
}
