#include "hil/run/control.h"

#include <stdio.h>

#include "core/err.h"

bool control_wanted(json_t *plan)
{
	return json_object_get(json_object_get(plan, "expect"), "others") && !json_object_get(plan, "control");
}

json_t *control_plan(json_t *plan, time_ns ns)
{
	static const char *const judged[] = {"thresholds", "xfail", "quarantine", "repeat", "plant"};
	json_t *copy = json_deep_copy(plan);
	const char *id = json_string_value(json_object_get(plan, "id"));
	const char *seed_id = json_string_value(json_object_get(plan, "seed_id"));
	char own[220];

	for (size_t i = 0; i < sizeof(judged) / sizeof(judged[0]); i++)
		json_object_del(copy, judged[i]);
	snprintf(own, sizeof(own), "%.190s.control", id ? id : "");
	/* an id of its own, the seed of the run's */
	if (copy && (json_object_set_new(copy, "seed_id", json_string(seed_id ? seed_id : id)) ||
		     json_object_set_new(copy, "id", json_string(own)) ||
		     json_object_set_new(copy, "faults", json_array()) || json_object_set_new(copy, "expect", json_object()) ||
		     json_object_set_new(copy, "hold_ns", json_integer((json_int_t)ns)))) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

int control_take(json_t *plan, const struct scenario_result *control, json_t *lives)
{
	char why[300];
	json_t *j;

	if (control->verdict != VERDICT_PASS) {
		snprintf(why, sizeof(why), "the control run itself did not pass: %s%s%s", verdict_name(control->verdict),
			 control->reason ? ": " : "", control->reason ? control->reason : "");
		json_decref(lives);
		j = json_pack("{s:s}", "failed", why);
	} else {
		j = json_pack("{s:o}", "lives", lives);
	}
	return j && !json_object_set_new(plan, "control", j) ? 0 : ERR_NOMEM;
}
