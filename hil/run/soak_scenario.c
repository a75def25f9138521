#include "hil/run/soak_scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/crash.h"
#include "core/rng.h"

#define SETTLE_S 1800 /* behind the schedule: code_wait, backoff and another try, several times over */

struct make {
	const struct soak_shape *shape;
	struct buf *out;
	struct rng rng;	 /* of the part that is being written */
	int64_t seconds; /* of the whole */
	int64_t quiet;	 /* faults end here; what they broke must heal by the end */
	unsigned rough;	 /* devices of that group */
	unsigned managed;
};

static unsigned pick(struct make *m, unsigned n)
{
	return (unsigned)rng_below(&m->rng, n);
}

/* Seconds between `low` and `high` parts in a thousand of the time up to `quiet`. */
static int64_t moment(struct make *m, unsigned low, unsigned high)
{
	int64_t s = m->quiet * (int64_t)(low + pick(m, high - low)) / 1000;

	return s > 0 ? s : 1;
}

static void part(struct make *m, const char *purpose)
{
	rng_init(&m->rng, m->shape->seed, "soak", purpose);
}

#define ONE_OF(m, list) (list)[pick(m, sizeof(list) / sizeof((list)[0]))]

/* ---- faults, a kind a function ---- */

static void write_every(struct make *m, int64_t every, const char *rest)
{
	int64_t times = m->quiet / every;

	buf_printf(m->out, "      - {every: %" PRId64 "s, times: %" PRId64 ", %s}\n", every,
		   times > 0 ? times : 1, rest);
}

static void sms_lost(struct make *m)
{
	buf_printf(
		m->out,
		"      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: lose, until: %" PRId64
		"s}\n",
		1 + pick(m, 20), m->quiet);
}

static void sms_late(struct make *m)
{
	buf_printf(m->out,
		   "      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: delay, by: %us, "
		   "until: %" PRId64 "s}\n",
		   1 + pick(m, 20), 1 + pick(m, 300), m->quiet);
}

static void sms_doubled(struct make *m)
{
	buf_printf(m->out,
		   "      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: duplicate, copies: "
		   "%u, until: %" PRId64 "s}\n",
		   1 + pick(m, 20), 1 + pick(m, 3), m->quiet);
}

static void sms_stranger(struct make *m)
{
	buf_printf(
		m->out,
		"      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: replace_sender, with: "
		"\"+34000000000\", until: %" PRId64 "s}\n",
		1 + pick(m, 10), m->quiet);
}

static void sms_refused(struct make *m)
{
	static const unsigned codes[] = {8, 21, 28, 38, 41, 42, 47, 192, 304, 320, 330, 331, 332, 500};

	buf_printf(m->out,
		   "      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: cms_error, code: "
		   "%u, until: %" PRId64 "s}\n",
		   1 + pick(m, 10), ONE_OF(m, codes), m->quiet);
}

static void sms_reordered(struct make *m)
{
	buf_printf(m->out,
		   "      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: reorder, within: %us, "
		   "until: %" PRId64 "s}\n",
		   1 + pick(m, 20), 10 + pick(m, 300), m->quiet);
}

static void sms_garbled(struct make *m)
{
	static const char *const what[] = {"overlong", "replace_text, with: \"your parcel is waiting\"",
					   "replace_text, with: \"@nobody.quicrig #AAAAAAAAAAAA\""};

	buf_printf(m->out, "      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: %s, until: %" PRId64 "s}\n",
		   1 + pick(m, 10), ONE_OF(m, what), m->quiet);
}

static void sms_unanswered(struct make *m)
{
	static const char *const delivered[] = {"true", "false"};

	buf_printf(m->out,
		   "      - {on: sms.submitted, who: rough, each: true, chance: %u%%, do: no_final, delivered: %s, "
		   "until: %" PRId64 "s}\n",
		   1 + pick(m, 10), ONE_OF(m, delivered), m->quiet);
}

/* What breaks a modem heals by itself, again and again. */
static void modem_broken(struct make *m)
{
	static const char *const what[] = {"unplug", "mute", "creg, stat: 2", "creg, stat: 3", "sim, state: busy",
					   "sim, state: none"};
	static const char *const who[] = {"s1", "s2", "s3", "s4", "r1", "r2"};
	const char *one = ONE_OF(m, who);
	char rest[96];

	snprintf(rest, sizeof(rest), "who: %s, do: %s, for: %us", one, ONE_OF(m, what), 1 + pick(m, 120));
	write_every(m, moment(m, 50, 400), rest);
}

static void receiver_full(struct make *m)
{
	char rest[64];

	snprintf(rest, sizeof(rest), "who: r%u, do: storage_full, for: %us", 1 + pick(m, 2), 1 + pick(m, 120));
	write_every(m, moment(m, 50, 400), rest);
}

static void modem_misspoken(struct make *m)
{
	static const char *const what[] = {"lose_cmti", "duplicate_cmti", "dangling_cmti"};

	buf_printf(m->out,
		   "      - {on: modem.state, who: r%u, each: true, chance: %u%%, do: %s, until: %" PRId64 "s}\n",
		   1 + pick(m, 2), 1 + pick(m, 20), ONE_OF(m, what), m->quiet);
}

static void modem_refuses(struct make *m)
{
	static const char *const what[] = {"cms_error, code: 42, where: prompt", "plain_error, where: prompt"};

	buf_printf(m->out,
		   "      - {on: sms.submitted, who: s%u, each: true, chance: %u%%, do: %s, until: %" PRId64 "s}\n",
		   1 + pick(m, 4), 1 + pick(m, 20), ONE_OF(m, what), m->quiet);
}

static void reply_lost(struct make *m)
{
	static const char *const resources[] = {"registerDevice", "login", "publishMeasure", "refreshToken"};

	buf_printf(m->out,
		   "      - {on: server.reply, match: {resource: %s}, who: rough, each: true, chance: %u%%, "
		   "do: drop_reply, "
		   "until: %" PRId64 "s}\n",
		   ONE_OF(m, resources), 1 + pick(m, 10), m->quiet);
}

/* Pebble's habit, with every code that a device must survive. */
static void reply_refused(struct make *m)
{
	static const struct {
		const char *resource;
		unsigned code;
	} replies[] = {
		{"registerDevice", 503}, {"registerDevice", 429}, {"registerDevice", 400},
		{"registerDevice", 700}, {"login", 503},	  {"login", 404},
		{"login", 599},		 {"login", 700},	  {"publishMeasure", 503},
		{"publishMeasure", 413}, {"publishMeasure", 401}, {"publishMeasure", 700},
		{"refreshToken", 503},	 {"refreshToken", 429},	  {"refreshToken", 400},
		{"refreshToken", 700},
	};
	unsigned i = pick(m, sizeof(replies) / sizeof(replies[0]));

	buf_printf(m->out,
		   "      - {on: server.reply, match: {resource: %s}, who: rough, each: true, chance: %u%%, "
		   "do: reply, code: "
		   "%u, until: %" PRId64 "s}\n",
		   replies[i].resource, 1 + pick(m, 5), replies[i].code, m->quiet);
}

static void power_cycled(struct make *m)
{
	char rest[96];

	snprintf(rest, sizeof(rest), "who: \"rough[%u]\", do: power_cycle, off: %us", 1 + pick(m, m->rough),
		 1 + pick(m, 60));
	write_every(m, moment(m, 50, 400), rest);
}

static void power_cut_inside_the_write(struct make *m)
{
	static const char *const points[] = {"tokens.written", "tokens.synced", "tokens.renamed"};

	buf_printf(m->out,
		   "      - {on: %s, who: rough, each: true, chance: %u%%, do: power_cycle, off: %us, until: "
		   "%" PRId64 "s}\n",
		   ONE_OF(m, points), 5 + pick(m, 20), 1 + pick(m, 20), m->quiet);
}

static void power_cut_in_a_state(struct make *m)
{
	static const char *const states[] = {"RG", "AC", "LI", "RF"};

	buf_printf(m->out,
		   "      - {on: device.state, match: {to: %s}, who: rough, each: true, chance: %u%%, do: "
		   "power_cycle, off: "
		   "%us, until: %" PRId64 "s}\n",
		   ONE_OF(m, states), 1 + pick(m, 10), 1 + pick(m, 20), m->quiet);
}

static void connection_lost(struct make *m)
{
	write_every(m, moment(m, 20, 200), "who: rough, do: drop_connection");
}

static void server_restarted(struct make *m)
{
	char rest[64];

	snprintf(rest, sizeof(rest), "do: restart, after: %us", 1 + pick(m, m->shape->live ? 3 : 60));
	write_every(m, moment(m, 100, 600), rest);
}

static void server_killed_behind_a_commit(struct make *m)
{
	static const char *const resources[] = {"registerDevice", "login", "publishMeasure", "refreshToken"};

	buf_printf(m->out,
		   "      - {on: server.reply, match: {resource: %s, code: 200}, each: true, chance: %u%%, times: 3, do: "
		   "restart, after: %us}\n",
		   ONE_OF(m, resources), 1 + pick(m, 30), 1 + pick(m, 10));
}

static const char *any_point(struct make *m)
{
	return crash_name((enum crash_point)pick(m, CRASH_COUNT));
}

/* In the gaps between two effects, and inside the storage. */
static void server_crashed(struct make *m)
{
	buf_printf(m->out,
		   "      - {do: crash, at: %s, each: true, chance: %u%%, times: 3, until: %" PRId64
		   "s, then: {after: %us, do: start}}\n",
		   any_point(m), 1 + pick(m, 20), m->quiet, 1 + pick(m, m->shape->live ? 3 : 60));
}

static void server_crashed_behind_an_event(struct make *m)
{
	static const char *const events[] = {"code.issued", "code.used", "token.issued", "server.decision", "sms.queued"};

	buf_printf(m->out,
		   "      - {on: %s, who: rough, each: true, chance: %u%%, times: 3, until: %" PRId64
		   "s, do: crash, at: %s, then: {after: %us, do: start}}\n",
		   ONE_OF(m, events), 1 + pick(m, 30), m->quiet, any_point(m), 1 + pick(m, m->shape->live ? 3 : 30));
}

/* Whoever starts a server that has stopped by itself; one that runs does not notice. */
static void watched(struct make *m)
{
	int64_t every = m->shape->live ? 7 : 67;

	buf_printf(m->out, "      - {every: %" PRId64 "s, times: %" PRId64 ", do: start}\n", every,
		   m->seconds / every > 0 ? m->seconds / every : 1);
}

/* It may last too long, and the server stops by itself. */
static void server_disk_fails(struct make *m)
{
	static const char *const troubles[] = {"disk_full", "disk_error, what: write", "disk_error, what: read_only"};
	int64_t at = moment(m, 100, 800);
	unsigned length = 1 + pick(m, m->shape->live ? 5 : 40);

	buf_printf(m->out, "      - {at: %" PRId64 "s, who: server, do: %s, for: %us}\n", at, ONE_OF(m, troubles), length);
	watched(m);
}

static void server_fsync_fails(struct make *m)
{
	static const char *const events[] = {"code.issued", "token.issued", "server.decision"};

	buf_printf(m->out,
		   "      - {on: %s, each: true, chance: %u%%, times: 2, until: %" PRId64
		   "s, do: disk_error, what: sync}\n",
		   ONE_OF(m, events), 1 + pick(m, 20), m->quiet);
	watched(m);
}

/* Twice at most: a device that loses its newest tokens three times is quarantined. */
static void device_disk_fails(struct make *m)
{
	static const char *const troubles[] = {"disk_full", "disk_error, what: write", "disk_error, what: read_only"};
	static const char *const events[] = {"device.code", "device.request", "tokens.renamed"};

	buf_printf(m->out,
		   "      - {on: %s, who: rough, each: true, chance: %u%%, times: 2, until: %" PRId64 "s, do: %s, for: %us}\n",
		   ONE_OF(m, events), 1 + pick(m, 20), m->quiet, ONE_OF(m, troubles), 1 + pick(m, 120));
}

/* Ahead for good, or back and right again: behind its last issue a server issues nothing. */
static void server_clock_steps(struct make *m)
{
	int64_t at = moment(m, 100, 500), again = at + moment(m, 10, 200);
	unsigned by = 1 + pick(m, 7200);

	if (pick(m, 2)) {
		buf_printf(m->out, "      - {at: %" PRId64 "s, who: server, do: clock_step, by: +%us}\n", at, by);
		return;
	}
	buf_printf(m->out, "      - {at: %" PRId64 "s, who: server, do: clock_step, by: -%us}\n", at, by);
	buf_printf(m->out, "      - {at: %" PRId64 "s, who: server, do: clock_step, by: +%us}\n", again, by);
}

/* Out of its certificates' time, and back. */
static void device_clock_steps(struct make *m)
{
	int64_t at = moment(m, 100, 500), again = at + moment(m, 10, 200);
	unsigned who = 1 + pick(m, m->rough), days = 1 + pick(m, 20000);
	bool back = pick(m, 2);

	buf_printf(m->out, "      - {at: %" PRId64 "s, who: \"rough[%u]\", do: clock_step, by: %c%ud}\n", at, who,
		   back ? '-' : '+', days);
	buf_printf(m->out, "      - {at: %" PRId64 "s, who: \"rough[%u]\", do: clock_step, by: %c%ud}\n", again, who,
		   back ? '+' : '-', days);
}

/* Disabled, found out, enabled again, and started again by hand. */
static void operated(struct make *m)
{
	unsigned who = 1 + pick(m, m->managed);
	int64_t off = moment(m, 50, 400), on = off + moment(m, 50, 300), again = on + moment(m, 50, 200);

	buf_printf(m->out, "      - {at: %" PRId64 "s, who: \"managed[%u]\", do: disable}\n", off, who);
	buf_printf(m->out, "      - {at: %" PRId64 "s, who: \"managed[%u]\", do: enable}\n", on, who);
	buf_printf(m->out, "      - {at: %" PRId64 "s, who: \"managed[%u]\", do: power_cycle, off: 5s}\n",
		   again, who);
}

struct kind {
	const char *purpose; /* of its stream */
	unsigned share;	     /* of the seeds that have it, in a hundred */
	void (*write)(struct make *m);
};

static const struct kind kinds[] = {
	{"sms_lost", 50, sms_lost},
	{"sms_late", 40, sms_late},
	{"sms_doubled", 30, sms_doubled},
	{"sms_stranger", 20, sms_stranger},
	{"sms_refused", 30, sms_refused},
	{"reply_lost", 50, reply_lost},
	{"reply_lost again", 25, reply_lost},
	{"reply_refused", 50, reply_refused},
	{"reply_refused again", 25, reply_refused},
	{"power_cycled", 50, power_cycled},
	{"power_cut_inside_the_write", 40, power_cut_inside_the_write},
	{"power_cut_in_a_state", 40, power_cut_in_a_state},
	{"connection_lost", 30, connection_lost},
	{"server_restarted", 40, server_restarted},
	{"server_killed_behind_a_commit", 30, server_killed_behind_a_commit},
	{"server_crashed", 40, server_crashed},
	{"server_crashed_behind_an_event", 40, server_crashed_behind_an_event},
	{"server_disk_fails", 30, server_disk_fails},
	{"server_fsync_fails", 20, server_fsync_fails},
	{"device_disk_fails", 30, device_disk_fails},
	{"server_clock_steps", 20, server_clock_steps},
	{"device_clock_steps", 30, device_clock_steps},
	{"operated", 60, operated},
	{"sms_reordered", 30, sms_reordered},
	{"sms_garbled", 20, sms_garbled},
	{"sms_unanswered", 20, sms_unanswered},
};

/* The virtual rig's modems alone: libgammu on a live rig takes minutes to come back. */
static const struct kind modem_kinds[] = {
	{"modem_broken", 40, modem_broken},
	{"modem_broken again", 20, modem_broken},
	{"receiver_full", 20, receiver_full},
	{"modem_misspoken", 20, modem_misspoken},
	{"modem_refuses", 20, modem_refuses},
};

static void write_kinds(struct make *m, const struct kind *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		part(m, v[i].purpose);
		if (pick(m, 100) < v[i].share)
			v[i].write(m);
	}
}

static void write_faults(struct make *m)
{
	buf_puts(m->out, "    faults:\n");
	buf_puts(m->out, "      - {on: sms.submitted, who: wrong, each: true, do: replace_code, with: "
			 "\"AAAAAAAAAAAA\"}\n");
	write_kinds(m, kinds, sizeof(kinds) / sizeof(kinds[0]));
	if (!m->shape->live)
		write_kinds(m, modem_kinds, sizeof(modem_kinds) / sizeof(modem_kinds[0]));
}

/* ---- the rest ---- */

static void write_settings(struct make *m)
{
	static const unsigned publish[] = {30, 60, 60, 300}, ttl[] = {120, 300, 900, 3600},
			      wait[] = {60, 120, 120};
	static const unsigned live_publish[] = {1, 2, 5}, live_ttl[] = {3, 10, 30};

	part(m, "settings");
	if (m->shape->live)
		buf_printf(m->out,
			   "    settings: {publish_interval: %us, access_ttl: %us, code_wait: 20s, "
			   "request_timeout: 3s, backoff_max: 5s}\n",
			   ONE_OF(m, live_publish), ONE_OF(m, live_ttl));
	else
		buf_printf(m->out, "    settings: {publish_interval: %us, access_ttl: %us, code_wait: %us}\n",
			   ONE_OF(m, publish), ONE_OF(m, ttl), ONE_OF(m, wait));
}

/* Modems that take their time, in some: else they take none. */
static void write_modems(struct make *m)
{
	part(m, "modems");
	if (m->shape->live || pick(m, 100) >= 40)
		return;
	buf_printf(m->out, "    modems: {send_time: 700ms, init_time: %us, send_limit: %us}\n", 1 + pick(m, 10),
		   10 + pick(m, 110));
}

static void write_network(struct make *m)
{
	part(m, "network");
	if (m->shape->live || pick(m, 100) < 30)
		return;
	buf_printf(m->out,
		   "    network: {loss: %u%%, delay: %ums, jitter: %ums, reorder: %u%%, duplicate: %u%%, "
		   "corrupt: %u%%}\n",
		   pick(m, 6), 5 + pick(m, 300), pick(m, 5), pick(m, 4), pick(m, 4), pick(m, 2));
}

static void write_groups(struct make *m)
{
	static const char *const types =
		"[thermometer, lightSensor, humidityMeter, presenceDetector, windSpeedSensor]";
	static const char *const connections[] = {"close", "hold"};
	unsigned n = m->shape->devices, few = 1 + n / 30, steady;

	part(m, "groups");
	m->rough = 1 + n * 3 / 10;
	m->managed = few;
	steady = n - m->rough - 4 * few;
	buf_puts(m->out, "    devices:\n");
	buf_printf(m->out, "      steady: {count: %u, type: %s, connection: %s}\n", steady, types,
		   ONE_OF(m, connections));
	buf_printf(m->out, "      rough: {count: %u, type: %s, connection: %s}\n", m->rough, types,
		   ONE_OF(m, connections));
	buf_printf(m->out, "      managed: {count: %u}\n", m->managed);
	buf_printf(m->out, "      wrong: {count: %u}\n", few);
	buf_printf(m->out, "      strangers: {count: %u, known: false}\n", few);
	buf_printf(m->out, "      barred: {count: %u, disabled: true}\n", few);
}

void soak_name(uint64_t seed, char out[32])
{
	snprintf(out, 32, "s-0x%" PRIx64, seed);
}

int soak_scenario(const struct soak_shape *shape, struct buf *out)
{
	struct make m = {.shape = shape, .out = out, .seconds = (int64_t)(shape->length / NS_PER_S)};
	int64_t settle = shape->live ? 120 : SETTLE_S;
	char name[32];

	m.quiet = m.seconds * 9 / 10;
	soak_name(shape->seed, name);
	buf_printf(out,
		   "# Made by a soak from seed 0x%" PRIx64 ".\nversion: 1\nsuite: " SOAK_SUITE
		   "\nscenarios:\n",
		   shape->seed);
	buf_printf(out, "  - name: %s\n    seed: 0x%" PRIx64 "\n    tags: [soak]\n", name, shape->seed);
	buf_printf(out, "    timeout: %" PRId64 "s\n    wall: 12h\n", m.seconds + settle);
	part(&m, "carrier");
	if (!shape->live && pick(&m, 100) < 40)
		buf_puts(out, "    carrier: typical\n");
	if (!shape->live)
		buf_puts(out, "    rigs: [virtual]\n");
	write_settings(&m);
	write_modems(&m);
	write_network(&m);
	write_groups(&m);
	buf_printf(out, "    arrive: {ramp: {from: 1/s, to: %u/s, over: 10s}}\n",
		   shape->live ? 5 : 1 + shape->devices / 5);
	write_faults(&m);
	buf_printf(out, "    steps:\n      - {sleep: %" PRId64 "s}\n", m.seconds);
	buf_puts(out, "    expect:\n      final: {steady: PROVISIONED, rough: PROVISIONED, managed: "
		      "PROVISIONED, wrong: IDLE, "
		      "strangers: IDLE, barred: IDLE}\n      never: {steady: IDLE, rough: IDLE}\n");
	return out->failed;
}
