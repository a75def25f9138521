/* What a lab does to a server from within: armed faults, crash points, a disk that fails. */
#include "server/server_internal.h"

#include <string.h>

#define CLOCK_OFFSET_MAX_MS (INT64_C(36500) * 86400 * 1000)

/* ---- dying ---- */

void server_die(struct server *s, const char *where)
{
	s->dead = true;
	s->cfg.world.die(s->cfg.world.ctx, where);
}

bool server_reach(struct server *s, enum crash_point p)
{
	const struct fault *f;

	if (s->dead || !s->open)
		return s->dead;
	if (s->crash_at == (int)p) {
		s->crash_at = -1;
		server_die(s, crash_name(p));
		return true;
	}
	f = s->crashes ? faults_at(s->crashes, crash_name(p), s->at.now) : NULL;
	if (!f)
		return false;
	JOURNAL(s->journal, s->at.now, "server", NULL, NULL, NULL, J_FAULT_FIRED, JS(NAME, fault_name(f)),
		JS(WHY, crash_name(p)));
	server_die(s, crash_name(p));
	return true;
}

static bool at_point(void *ctx, enum crash_point p)
{
	return server_reach(ctx, p);
}

static bool crashes_armed(const struct server *s)
{
	return s->crashes && faults_count(s->crashes);
}

static bool point_armed(void *ctx)
{
	const struct server *s = ctx;

	return s->open && !s->dead && (s->crash_at >= 0 || crashes_armed(s));
}

int server_lab_open(struct server *s, struct err *e)
{
	struct store_disk_watch watch = {point_armed, at_point, s};

	if (!s->cfg.lab)
		return 0;
	s->crashes = s->cfg.crashes;
	s->disk = store_disk_new(s->cfg.vfs, &watch);
	if (!s->disk)
		return err_set(e, ERR_NOMEM, "server: no disk for a lab");
	s->memory = script_memory_new();
	if (!s->memory)
		return err_set(e, ERR_NOMEM, "server: out of memory");
	return 0;
}

void server_lab_close(struct server *s)
{
	store_disk_free(s->disk);
	script_memory_free(s->memory);
	faults_free(s->own_crashes);
}

int server_arm_crash(struct server *s, json_t *spec, struct err *e)
{
	if (!s->crashes)
		s->crashes = s->own_crashes = faults_new(s->cfg.seed);
	if (!s->crashes)
		return err_set(e, ERR_NOMEM, "out of memory");
	return faults_arm(s->crashes, spec, e);
}

void server_foresee(struct server *s)
{
	struct effect_event *ev;

	if (!crashes_armed(s))
		return;
	TAILQ_FOREACH(ev, &s->fx.events, next)
		faults_foresee(s->crashes, &ev->ev);
}

void server_foresee_reply(struct server *s, const struct reply *r)
{
	struct journal_event ev = {.t = s->at.now,
				   .kind = J_SERVER_REPLY,
				   .actor = "server",
				   .dev = r->uuid[0] ? r->uuid : NULL,
				   .n = 3,
				   .v = {JS(RESOURCE, r->resource == MSG_OTHER ? "other" : msg_resource_name(r->resource)),
					 JI(CODE, r->code), JS(WHY, r->why)}};

	if (crashes_armed(s))
		faults_foresee(s->crashes, &ev);
}

/* ---- disk and clock ---- */

int server_disk(struct server *s, enum disk_trouble t, time_ns length)
{
	if (!s->disk)
		return ERR_UNSUPPORTED;
	store_disk_trouble(s->disk, t);
	s->disk_until = t == DISK_SOUND ? TIME_NEVER : time_add(s->at.now, length);
	return 0;
}

void server_lab_time(struct server *s)
{
	if (s->at.now >= s->disk_until)
		server_disk(s, DISK_SOUND, TIME_NEVER);
}

int server_clock(struct server *s, int64_t offset_ms)
{
	if (offset_ms > CLOCK_OFFSET_MAX_MS || offset_ms < -CLOCK_OFFSET_MAX_MS)
		return ERR_INVALID;
	s->at.unix_ms += offset_ms - s->clock_offset_ms;
	s->clock_offset_ms = offset_ms;
	return 0;
}

/* ---- faults ---- */

static void act_on_machine(struct server *s, const struct fault *f)
{
	json_t *args = fault_args(f), *length = json_object_get(args, "length_ns");
	const char *what = json_string_value(json_object_get(args, "what"));
	int t = fault_is(f, "disk_full") ? DISK_FULL : fault_is(f, "disk_error") && what ? disk_trouble_by_name(what) : -1;

	if (t > DISK_SOUND)
		server_disk(s, (enum disk_trouble)t, length ? (time_ns)json_integer_value(length) : TIME_NEVER);
	if (fault_is(f, "clock_step"))
		server_clock(s, s->clock_offset_ms + json_integer_value(json_object_get(args, "by_ms")));
}

bool server_act(struct server *s, const struct fault *f, struct reply *r)
{
	if (!f)
		return false;
	if (fault_is(f, "kill") || fault_is(f, "restart"))
		return true;
	if (fault_is(f, "stop"))
		s->stopping = true;
	act_on_machine(s, f);
	if (!r)
		return false;
	if (fault_is(f, "drop_reply"))
		r->drop = true;
	/* no server of real devices says what it did not decide */
	if (fault_is(f, "reply") && s->cfg.lab)
		script_decide(r, fault_args(f));
	return false;
}
