#include "hil/run/parity_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hil/judge/verdict.h"
#include "hil/language/select.h"

static const char *text_of(json_t *plan, const char *key)
{
	const char *s = json_string_value(json_object_get(plan, key));

	return s ? s : "";
}

/* Is it run on both? Notes in `p` what becomes of it; -1 without memory. */
static int sort_in(struct parity *p, json_t *plan, const struct run_options *o, const char *other,
		   const struct rigfile *other_file)
{
	json_t *terms = json_object_get(plan, "parity");
	const char *id = text_of(plan, "id"), *reason = json_string_value(json_object_get(terms, "reason"));
	char served[256], why[400];

	if (*text_of(plan, "skip"))
		return parity_leave(p, id, text_of(plan, "skip")) ? -1 : 0;
	for (unsigned side = 0; side < 2; side++) {
		const char *rig = side ? other : o->rig;

		if (rig_serves(rig, side ? other_file : o->file, plan, served, sizeof(served)))
			continue;
		snprintf(why, sizeof(why), "not for %s: %s", rig, served);
		return parity_leave(p, id, why) ? -1 : 0;
	}
	if (strcmp(text_of(terms, "compare"), "nothing") == 0)
		return parity_leave(p, id, reason) ? -1 : 0;
	return parity_add(p, id, terms ? PARITY_VERDICT : PARITY_ROWS, reason) ? -1 : 1;
}

static double real_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_both(struct parity *p, json_t **plans, size_t n, const struct run_options *o,
		    const char *other, const struct rigfile *other_file)
{
	struct run_options one = *o;
	double began = real_s();
	int code;

	one.parity = p;
	printf("%s:\n", p->rigs[0]);
	code = runner_run(plans, n, &one);
	if (code == EXIT_INTERRUPTED || code == EXIT_TERMINATED || code == EXIT_ENVIRONMENT ||
	    code == EXIT_INTERNAL)
		return code;
	one.rig = other;
	one.file = other_file;
	one.side = 1;
	if (o->wall_s > 0) {
		one.wall_s = o->wall_s - (real_s() - began);
		/* used up: the second run is cut short at once, and its report says so */
		if (one.wall_s <= 0)
			one.wall_s = 0.001;
	}
	printf("%s:\n", p->rigs[1]);
	return verdict_exit_merge(code, runner_run(plans, n, &one));
}

int parity_run(json_t **plans, size_t n, const struct run_options *o, const char *other,
	       const struct rigfile *other_file)
{
	json_t **both = calloc(n ? n : 1, sizeof(*both));
	struct parity p;
	int code = EXIT_INTERNAL, taken = 0;
	size_t kept = 0;

	if (parity_init(&p, o->rig, other) || !both)
		goto out;
	for (size_t i = 0; i < n && taken >= 0; i++) {
		taken = sort_in(&p, plans[i], o, other, other_file);
		if (taken > 0)
			both[kept++] = plans[i];
	}
	if (taken < 0)
		goto out;
	if (!kept) {
		fprintf(stderr, "quicrig run: nothing to compare: no scenario is for both %s and %s\n",
			o->rig, other);
		code = EXIT_NOTHING;
		goto out;
	}
	code = run_both(&p, both, kept, o, other, other_file);
out:
	parity_fini(&p);
	free(both);
	return code;
}
