/* What befalls a modem, and how it gets up again. */
#include "sim/modems.h"

#include <string.h>

#include "sim/modems_priv.h"

static const char *const sim_names[] = {[SIM_READY] = "ready",
					[SIM_PIN] = "pin",
					[SIM_PUK] = "puk",
					[SIM_NONE] = "none",
					[SIM_BUSY] = "busy"};

int64_t modems_arg_int(json_t *args, const char *key, int64_t absent)
{
	json_t *v = json_object_get(args, key);

	return json_is_integer(v) ? json_integer_value(v) : absent;
}

bool modems_arg_is(json_t *args, const char *key, const char *word)
{
	const char *s = json_string_value(json_object_get(args, key));

	return s && strcmp(s, word) == 0;
}

static void pull_out(struct modems *m, const struct instant *at, struct unit *u, const char *why)
{
	u->plugged = false;
	u->ready_at = TIME_NEVER;
	modems_say(m, at, u, "off", NULL, why);
	/* the write that failed may have been the PDU's */
	if (u->msg)
		modems_unknown(m, at, u, "the device is gone");
	modems_set_state(m, at, u, MODEM_ABSENT, "the device is gone");
}

static void boot(struct modems *m, const struct instant *at, struct unit *u)
{
	u->mute_until = 0;
	modems_say(m, at, u, "on", NULL, NULL);
	modems_init(m, at, u, NULL);
}

void modems_plug_in(struct modems *m, const struct instant *at, struct unit *u)
{
	u->plug_at = 0;
	if (u->plugged)
		return;
	u->plugged = true;
	boot(m, at, u);
}

void modems_opened(struct modems *m, const struct instant *at, struct unit *u)
{
	if (modems_muted(u, at->now)) {
		u->ready_at =
			u->mute_until == TIME_NEVER ? TIME_NEVER : time_add(u->mute_until, m->cfg.init_time);
		return;
	}
	u->ready_at = TIME_NEVER;
	if (u->sim == SIM_PIN || u->sim == SIM_PUK) {
		/* a worker that tried again would lock the SIM */
		u->lease->ejected = true;
		modems_set_state(m, at, u, MODEM_PIN, sim_names[u->sim]);
	} else if (u->sim != SIM_READY) {
		modems_set_state(m, at, u, MODEM_INIT, sim_names[u->sim]);
	} else if (!modems_on_air(u)) {
		modems_set_state(m, at, u, MODEM_ATTACHING, "no network");
	} else {
		modems_set_state(m, at, u, MODEM_READY, NULL);
		modems_room(at, u);
		modems_poll_soon(u, at->now);
	}
}

static time_ns until(json_t *args, time_ns now)
{
	int64_t for_ns = modems_arg_int(args, "for_ns", -1);

	return for_ns < 0 ? TIME_NEVER : time_add(now, (time_ns)for_ns);
}

void modems_set_network(struct modems *m, const struct instant *at, struct unit *u, int stat)
{
	u->creg = stat;
	modems_say(m, at, u, "network", NULL, modems_on_air(u) ? "registered" : "not registered");
	if (modems_on_air(u) && u->lease->state == MODEM_ATTACHING)
		modems_opened(m, at, u);
	else if (!modems_on_air(u) && u->lease->state == MODEM_READY && !u->msg)
		modems_set_state(m, at, u, MODEM_ATTACHING, "no network");
	modems_room(at, u);
}

void modems_set_sim(struct modems *m, const struct instant *at, struct unit *u, enum sim sim)
{
	u->sim = sim;
	modems_say(m, at, u, "sim", NULL, sim_names[sim]);
	if (sim == SIM_READY && u->lease->state == MODEM_INIT && u->ready_at == TIME_NEVER && u->plugged)
		u->ready_at = at->now;
	modems_room(at, u);
}

int modems_befall(struct modems *m, const struct instant *at, struct unit *u, const char *what, json_t *args)
{
	time_ns end = until(args, at->now);

	if (strcmp(what, "unplug") == 0) {
		u->plug_at = end == TIME_NEVER ? 0 : end;
		if (u->plugged)
			pull_out(m, at, u, "fault");
	} else if (strcmp(what, "plug") == 0) {
		modems_plug_in(m, at, u);
	} else if (strcmp(what, "mute") == 0) {
		u->mute_until = end;
		modems_say(m, at, u, "mute", NULL, "fault");
	} else if (strcmp(what, "storage_full") == 0) {
		u->full_until = end;
	} else if (strcmp(what, "creg") == 0) {
		u->creg_until = end == TIME_NEVER ? 0 : end;
		modems_set_network(m, at, u, (int)modems_arg_int(args, "stat", 0));
	} else if (strcmp(what, "sim") == 0) {
		u->sim_until = end == TIME_NEVER ? 0 : end;
		for (int s = SIM_PIN; s <= SIM_BUSY; s++)
			if (modems_arg_is(args, "state", sim_names[s]))
				modems_set_sim(m, at, u, (enum sim)s);
	} else if (strcmp(what, "reboot") == 0) {
		if (u->msg)
			modems_unknown(m, at, u, "it was switched off and on");
		boot(m, at, u);
	} else {
		return ERR_UNSUPPORTED;
	}
	return 0;
}

static struct unit *find(const struct modems *m, const char *name)
{
	for (unsigned i = 0; i < m->n; i++)
		if (strcmp(m->units[i].name, name) == 0)
			return (struct unit *)&m->units[i];
	return NULL;
}

int modems_act(struct modems *m, const struct instant *at, const char *modem, const char *what, json_t *args)
{
	struct unit *u = find(m, modem);

	m->look_at = at->now;
	return u ? modems_befall(m, at, u, what, args) : ERR_NOTFOUND;
}

enum modem_state modems_state(const struct modems *m, const char *modem)
{
	const struct unit *u = find(m, modem);

	return u ? u->lease->state : MODEM_ABSENT;
}
