/* What a plan says of modems. */
#include "hil/run/plan.h"

#include <string.h>

unsigned plan_per_minute(const struct plan *p)
{
	return (unsigned)json_integer_value(json_object_get(plan_modems(p), "per_minute"));
}

unsigned plan_per_day(const struct plan *p)
{
	return (unsigned)json_integer_value(json_object_get(plan_modems(p), "per_day"));
}

time_ns plan_send_time(const struct plan *p)
{
	return (time_ns)json_integer_value(json_object_get(plan_modems(p), "send_time_ns"));
}

time_ns plan_init_time(const struct plan *p)
{
	return (time_ns)json_integer_value(json_object_get(plan_modems(p), "init_time_ns"));
}

time_ns plan_send_limit(const struct plan *p)
{
	return (time_ns)json_integer_value(json_object_get(plan_modems(p), "send_limit_ns"));
}

static bool about_modems(json_t *fault)
{
	const char *on = json_string_value(json_object_get(fault, "on"));

	return json_object_get(json_object_get(fault, "who"), "modem") ||
	       (on && strcmp(on, "modem.state") == 0);
}

bool plan_models_modems(const struct plan *p)
{
	json_t *fault;
	size_t i;

	json_array_foreach(plan_faults(p), i, fault) if (about_modems(fault)) return true;
	return plan_per_minute(p) || plan_per_day(p) || plan_send_time(p) || plan_init_time(p) ||
	       plan_send_limit(p);
}
