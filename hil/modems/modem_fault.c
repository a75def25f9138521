#include <ctype.h>
#include <string.h>

#include "core/rng.h"
#include "hil/modems/modem_int.h"

#define GARBAGE_BYTES 24

static int64_t arg_int(const struct fault *f, const char *key, int64_t absent)
{
	json_t *v = json_object_get(fault_args(f), key);

	return json_is_integer(v) ? json_integer_value(v) : absent;
}

/* now + args.for_ns; for ever where it is absent. */
static time_ns until(const struct modem_core *m, const struct fault *f)
{
	int64_t for_ns = arg_int(f, "for_ns", -1);

	return for_ns < 0 ? TIME_NEVER : time_add(m->now, (time_ns)for_ns);
}

/* Line noise: the same for the same instant, never a line end, so that what follows is
 * spoilt too. */
static void garbage(struct modem_core *m, const struct fault *f)
{
	const char *bytes = json_string_value(json_object_get(fault_args(f), "bytes"));
	struct rng r;

	if (bytes) {
		buf_puts(&m->out, bytes);
		return;
	}
	rng_init(&r, m->now, m->number, "garbage");
	for (unsigned i = 0; i < GARBAGE_BYTES; i++) {
		uint8_t c = (uint8_t)(0x80 | rng_below(&r, 0x80));

		buf_add(&m->out, &c, 1);
	}
}

/* At once and in the middle of whatever is being said. */
static void unsolicited(struct modem_core *m, const struct fault *f)
{
	json_t *lines = json_object_get(fault_args(f), "lines"), *line;
	size_t i;

	if (json_is_string(lines))
		emu_line(m, "%s", json_string_value(lines));
	json_array_foreach(lines, i, line)
	{
		if (json_is_string(line))
			emu_line(m, "%s", json_string_value(line));
	}
}

static void break_sim(struct modem_core *m, const struct fault *f)
{
	static const struct {
		const char *name;
		enum sim_state state;
	} states[] = {{"pin", SIM_PIN}, {"puk", SIM_PUK}, {"none", SIM_NONE}, {"busy", SIM_BUSY}};
	const char *want = json_string_value(json_object_get(fault_args(f), "state"));
	enum sim_state sim = SIM_NONE;

	for (size_t i = 0; want && i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(states[i].name, want) == 0)
			sim = states[i].state;
	}
	emu_set_sim(m, sim);
	m->sim_until = until(m, f);
}

static const char *const modem_faults[] = {
	"mute",	     "garbage",	    "unsolicited", "storage_full", "creg",	     "sim",	     "reboot",
	"cms_error", "plain_error", "no_prompt",   "lose_cmti",	   "duplicate_cmti", "dangling_cmti"};

bool modem_core_knows_fault(const char *what)
{
	for (size_t i = 0; i < sizeof(modem_faults) / sizeof(modem_faults[0]); i++) {
		if (strcmp(modem_faults[i], what) == 0)
			return true;
	}
	return false;
}

void modem_core_fault(struct modem_core *m, time_ns now, const struct fault *f)
{
	m->now = now;
	if (fault_is(f, "mute")) {
		modem_core_mute(m, until(m, f));
		emu_state(m, "mute", "fault");
	} else if (fault_is(f, "garbage")) {
		garbage(m, f);
	} else if (fault_is(f, "unsolicited")) {
		unsolicited(m, f);
	} else if (fault_is(f, "storage_full")) {
		modem_core_set_full(m, until(m, f));
	} else if (fault_is(f, "creg")) {
		emu_set_registration(m, (int)arg_int(f, "stat", CREG_NOT));
		m->network_until = until(m, f);
	} else if (fault_is(f, "sim")) {
		break_sim(m, f);
	} else if (fault_is(f, "reboot")) {
		emu_reboot(m);
	} else if (f && !modem_core_knows_fault(fault_do(f)) && m->hooks.fault) {
		m->hooks.fault(m->hooks.ctx, now, f);
	}
}
