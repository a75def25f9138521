#include "hil/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hil/judge/verdict.h"

int option_bad(const char *verb, const char *fmt, const char *value)
{
	fprintf(stderr, "quicrig %s: error: ", verb);
	fprintf(stderr, fmt, value);
	fputc('\n', stderr);
	return EXIT_BAD_INPUT;
}

int option_number(const char *text, uint64_t low, uint64_t high, uint64_t *out)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	char *end;

	/* no sign, no blanks; 010 is ten */
	if (!(hex ? isxdigit((unsigned char)text[2]) : isdigit((unsigned char)text[0])))
		return -1;
	errno = 0;
	*out = strtoull(text, &end, hex ? 16 : 10);
	return *end || errno || *out < low || *out > high ? -1 : 0;
}

int option_scenarios(char *const *paths, int n, struct plans *plans)
{
	struct diags ds = {0};
	int code = EXIT_PASSED;

	for (int i = 0; i < n; i++)
		scenario_load(paths[i], &ds, plans);
	diags_print(&ds, stderr);
	if (ds.errors) {
		fprintf(stderr, "%zu error%s: nothing was run\n", ds.errors, ds.errors == 1 ? "" : "s");
		code = EXIT_BAD_INPUT;
	}
	diags_fini(&ds);
	return code;
}
