#include "hil/run/gate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "hil/judge/coverage.h"
#include "hil/judge/verdict.h"
#include "hil/run/suggest.h"

#define SUGGEST_MAX (1u << 20)

/* The gate holds rows and cells to the same share. */
static int coverage_gate(const struct run_options *o, const struct run_result *r, struct console *console)
{
	double need = o->require_coverage, rows, cells;
	struct coverage c;
	struct coverage_totals t;

	if (o->coverage)
		console_coverage(console, r);
	if (need < 0)
		return 0;
	coverage_of_run(&c, r);
	t = coverage_totals(&c);
	rows = 100.0 * t.rows_hit / t.rows;
	cells = 100.0 * t.cells_hit / t.cells;
	if (rows + 1e-9 >= need && cells + 1e-9 >= need)
		return 0;
	printf("coverage of rows %.1f%%, of cells %.1f%%: below the required %.1f%%\n", rows, cells, need);
	console_missing(console, r);
	if (!o->suggest)
		puts("'--suggest-missing FILE' writes a scenario for each of them");
	return EXIT_FAILED;
}

/* A scenario for each row that nothing exercised, to save and go on from. */
static int suggest(const struct run_options *o, const struct run_result *r)
{
	struct coverage c;
	struct buf text;
	unsigned n;
	FILE *f;
	bool written;

	if (!o->suggest)
		return 0;
	buf_init(&text, SUGGEST_MAX);
	coverage_of_run(&c, r);
	n = suggest_missing(c.rows, &text);
	if (!n) {
		printf("every row was exercised: %s was not written\n", o->suggest);
		buf_fini(&text);
		return 0;
	}
	f = fopen(o->suggest, "we");
	written = !text.failed && f && fwrite(text.data, 1, text.len, f) == text.len;
	if (f && fclose(f))
		written = false;
	buf_fini(&text);
	if (!written) {
		fprintf(stderr, "quicrig run: error: cannot write %s: %s\n", o->suggest, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	printf("%s: %u scenario%s for what nothing exercised\n", o->suggest, n, n == 1 ? "" : "s");
	return 0;
}

int gate(const struct run_options *o, const struct run_result *r, struct console *console)
{
	return verdict_exit_merge(coverage_gate(o, r, console), suggest(o, r));
}
