/* What settings say together, claims about many runs, and about a run held against its control. */
#include <math.h>
#include <string.h>

#include "core/binomial.h"
#include "core/settings.h"
#include "hil/language/scenario_internal.h"

#define CONFIDENCE 0.95 /* where a file does not say */

/* Can so many runs prove it, if all of them pass? */
static void check_repeat(struct reader *r, const struct yaml_node *n, json_t *plan)
{
	json_t *repeat = json_object_get(plan, "repeat");
	const struct yaml_node *at = yaml_get(n, "pass");
	json_int_t runs = json_integer_value(json_object_get(repeat, "runs"));
	double pass = json_number_value(json_object_get(repeat, "pass")), best, confidence;

	if (!repeat)
		return;
	if (!json_object_get(repeat, "confidence"))
		read_put(r, repeat, "confidence", json_real(CONFIDENCE));
	read_put(r, repeat, "source", read_place(r, n));
	confidence = json_number_value(json_object_get(repeat, "confidence"));
	if (confidence < 0.5 || confidence >= 1) {
		diag_error(r->ds, r->src, yaml_get(n, "confidence")->at, NULL, "a confidence is 50%% at least and less than 100%%");
		return;
	}
	if (!at || !runs || !json_object_get(repeat, "pass"))
		return;
	best = binomial_lower((uint64_t)runs, (uint64_t)runs, confidence);
	if (pass >= 1)
		diag_error(r->ds, r->src, at->at, "as in \">= 99.9%\"", "no number of runs proves 100%%");
	else if (pass <= 0)
		diag_error(r->ds, r->src, at->at, NULL, "'pass' 0%% holds whatever comes");
	else if (best < pass)
		diag_error(r->ds, r->src, at->at, NULL,
			   "%" JSON_INTEGER_FORMAT " runs never prove %g%%: all of them passing proves %.4g%%, with %g%% confidence; "
			   "it takes %.0f", runs, 100 * pass, 100 * best, 100 * confidence,
			   ceil(log(1 - confidence) / log(pass) - 1e-9));
}

/* A control is the same run without the faults: there must be some, and somebody whom they leave alone. */
static void check_control(struct reader *r, const struct yaml_node *at, json_t *plan)
{
	json_t *faults = json_object_get(plan, "faults"), *fault;
	size_t i;

	if (!at)
		return;
	if (!json_array_size(faults))
		diag_error(r->ds, r->src, at->at, NULL, "without faults the control would be the very same run");
	json_array_foreach(faults, i, fault) {
		if (json_is_true(json_object_get(json_object_get(fault, "who"), "all")))
			diag_error(r->ds, r->src, at->at, NULL, "fault '%s' is about all devices: there are no others",
				   json_string_value(json_object_get(fault, "name")));
	}
}

/* A wait that begins above its end. */
static void check_backoff(struct reader *r, const struct yaml_node *node, json_t *plan)
{
	json_t *said = json_object_get(plan, "settings"), *min = json_object_get(said, "backoff_min"),
	       *max = json_object_get(said, "backoff_max");
	const struct yaml_node *settings = yaml_get(node, "settings"), *at = yaml_get(settings, "backoff_min");
	struct settings initial;
	char low[40], high[40];
	int64_t a, b;

	settings_default(&initial);
	a = min ? json_integer_value(min) : initial.v[SETTING_BACKOFF_MIN];
	b = max ? json_integer_value(max) : initial.v[SETTING_BACKOFF_MAX];
	if (a <= b)
		return;
	at = at ? at : yaml_get(settings, "backoff_max");
	at = at ? at : node; /* of the file's defaults */
	diag_error(r->ds, r->src, at->at, NULL, "'backoff_min' %s is longer than 'backoff_max' %s",
		   setting_format(SETTING_BACKOFF_MIN, a, low, sizeof(low)),
		   setting_format(SETTING_BACKOFF_MAX, b, high, sizeof(high)));
}

void scenario_many(struct reader *r, const struct yaml_node *node, json_t *plan)
{
	check_backoff(r, node, plan);
	check_repeat(r, yaml_get(node, "repeat"), plan);
	check_control(r, yaml_get(yaml_get(node, "expect"), "others"), plan);
}
