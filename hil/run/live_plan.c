/* What a plan asks of the live rig: of a scenario's devices, its server, its modems and its
 * links. */
#include "hil/run/live.h"

#include <signal.h>
#include <string.h>

#include "hil/run/plan.h"

static void rig_power(void *ctx, const struct instant *at, unsigned index, bool on)
{
	struct live_job *j = ctx;

	if (on)
		fleet_power_on(j->fleet, at, index);
	else
		fleet_power_off(j->fleet, at, index);
}

static void rig_drop(void *ctx, const struct instant *at, unsigned index)
{
	fleet_drop_connection(((struct live_job *)ctx)->fleet, at, index);
}

static void rig_net(void *ctx, const struct instant *at, unsigned index, const struct plan_net *what)
{
	struct live_job *j = ctx;

	links_act(&j->links, j->journal, at->now, index, what);
}

static void rig_disk(void *ctx, const struct instant *at, unsigned index, enum disk_trouble t, time_ns length)
{
	fleet_disk(((struct live_job *)ctx)->fleet, at, index, t, length);
}

static void rig_clock(void *ctx, const struct instant *at, unsigned index, int64_t by_ms)
{
	(void)at;
	fleet_clock_step(((struct live_job *)ctx)->fleet, index, by_ms);
}

static void rig_operate(void *ctx, const struct instant *at, json_t *request)
{
	struct live_job *j = ctx;

	(void)at;
	if (strcmp(json_string_value(json_object_get(request, "do")), "rotate-key") == 0)
		json_object_set_new(request, "key", json_string(j->next_token_key));
	if (live_server_operate(j, request))
		live_job_fail(j, "out of memory");
}

static bool rig_busy(void *ctx)
{
	struct live_job *j = ctx;

	return j->control_pending || j->server_ending || (j->server_wanted && !j->server_ready) ||
	       (j->server_ready && json_array_size(j->owed));
}

static void carrier_answered(void *ctx, bool ok, const char *why)
{
	struct live_job *j = ctx;

	if (j->carrier_pending)
		j->carrier_pending--;
	if (!ok)
		live_job_fail(j, "the modem emulator refused a fault: %s", why ? why : "?");
	live_job_begin(j);
}

static int rig_arm(void *ctx, enum plan_actor where, json_t *spec, struct err *e)
{
	struct live_job *j = ctx;
	json_t *msg;
	int rv;

	switch (where) {
	case PLAN_FLEET:
		return faults_arm(j->faults, spec, e);
	case PLAN_POOL:
		return live_modems_arm_pool(j->modems, spec, e);
	case PLAN_CARRIER:
		rv = live_modems_arm_carrier(j->modems, spec, carrier_answered, j, e);
		j->carrier_pending += rv > 0;
		return rv > 0 ? 0 : rv;
	default:
		break;
	}
	msg = json_pack("{s:s, s:O}", "do", "fault", "fault", spec);
	rv = msg ? live_server_say(j, msg) : ERR_NOMEM;
	json_decref(msg);
	return rv ? err_set(e, rv, "the server does not take a fault") : 0;
}

static void rig_server(void *ctx, const struct instant *at, enum plan_server_do what)
{
	struct live_job *j = ctx;
	struct err e = {0};

	(void)at;
	if (what == PLAN_SERVER_START) {
		j->server_wanted = true;
		if (j->server.pid || j->journal_open)
			j->server_again = j->server_ending || plan_server_doomed(j->plan);
		else if (live_server_start(j, &e))
			live_job_fail(j, "%.250s", e.text);
		return;
	}
	j->server_wanted = j->server_again = false;
	j->server_ending = j->server.pid || j->journal_open;
	proc_kill(&j->server, what == PLAN_SERVER_KILL ? SIGKILL : SIGTERM);
}

static void modem_told(void *ctx, bool ok, const char *why)
{
	if (!ok)
		live_job_fail(ctx, "the modem emulator refused: %s", why ? why : "?");
}

static void rig_modem(void *ctx, const struct instant *at, const char *modem, const char *what, json_t *args)
{
	struct live_job *j = ctx;
	struct err e = {0};
	json_t *order = strcmp(what, "plug") == 0
				? json_pack("{s:s, s:s}", "do", "plug", "modem", modem)
				: json_pack("{s:s, s:s, s:{s:s, s:O?}}", "do", "act", "modem", modem, "fault", "do",
					    what, "args", args);

	(void)at;
	if (!order || live_modems_act(j->modems, order, modem_told, j, &e))
		live_job_fail(j, "%.250s", e.text[0] ? e.text : "out of memory");
	json_decref(order);
}

const struct plan_rig live_plan_rig = {.power = rig_power,
				       .drop = rig_drop,
				       .net = rig_net,
				       .disk = rig_disk,
				       .clock = rig_clock,
				       .server = rig_server,
				       .operate = rig_operate,
				       .busy = rig_busy,
				       .modem = rig_modem,
				       .arm = rig_arm};
