/* One scenario on the live rig: a server child, a fleet on a UDP socket of its own, the
 * plan that moves them. It begins when the server is up and every fault is armed. */
#include "hil/run/live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hil/language/select.h"
#include "hil/run/plan.h"

#define START_LIMIT_S 15.0
#define MODEMS_LIMIT_S 65.0 /* own modems: behind live_modems.c's own limit */
#define STOP_LIMIT_S  10.0 /* a server that takes longer to end hangs */
#define HURRY_LIMIT_S 2.0  /* where the scenario was cut short: nothing is judged by it */
#define WALL_EXTRA_S  15.0
#define RSS_EVERY_S   1.0
#define ASK_AGAIN_S   1.0 /* an operator whose line the server could not store */

#define NOW(j) live_loop_now((j)->rig->o.live)

void live_job_fail(struct live_job *j, const char *fmt, ...)
{
	va_list ap;

	if (!j->job->harness[0]) {
		va_start(ap, fmt);
		vsnprintf(j->job->harness, sizeof(j->job->harness), fmt, ap);
		va_end(ap);
	}
	live_job_end(j, "harness");
}

/* ---- journal ---- */

void live_job_event(struct live_job *j, const struct journal_event *ev)
{
	if (tape_event(j->job->tape, ev))
		snprintf(j->job->harness, sizeof(j->job->harness), "out of memory for the journal");
	if (ev->kind == J_FAULT_FIRED && j->phase == LIVE_RUNNING) {
		plan_fault_fired(j->plan, NOW(j), journal_text(ev, JF_NAME), ev->dev);
	}
}

static void own_event(void *ctx, const struct journal_event *ev)
{
	live_job_event(ctx, ev);
}

void live_job_line(struct live_job *j, const char *line, size_t len)
{
	struct journal_record rec;
	struct err e = {0};

	if (journal_parse(line, len, &rec, &e)) {
		if (!j->job->harness[0])
			snprintf(j->job->harness, sizeof(j->job->harness),
				 "a journal line could not be read: %.200s", e.text);
		return;
	}
	if (rec.ev.kind == J_READY && j->phase == LIVE_STARTING && !j->port)
		j->port = (int)journal_int(&rec.ev, JF_PORT, 0);
	if (rec.ev.kind == J_READY)
		j->server_ready = true;
	live_job_event(j, &rec.ev);
	journal_record_free(&rec);
}

void live_job_unread(struct live_job *j)
{
	if (!j->job->harness[0])
		snprintf(j->job->harness, sizeof(j->job->harness),
			 "a journal line of the modem emulator could not be read");
}

bool live_job_takes(struct live_job *j, const char *dev)
{
	return j->fleet && fleet_find(j->fleet, dev) >= 0;
}

void live_job_sms(struct live_job *j, const char *uuid, const char *from, const char *text)
{
	fleet_sms(j->fleet, NOW(j), uuid, from, text);
}

/* ---- the loop turn ---- */

static void changed(void *ctx, unsigned index, enum state_name from, enum state_name to)
{
	struct live_job *j = ctx;
	(void)from;
	plan_state_changed(j->plan, NOW(j), index, to);
}

static void on_datagram(void *ctx, const struct instant *at, const struct addr *local,
			const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len)
{
	struct live_job *j = ctx;

	if (j->fleet)
		fleet_datagram(j->fleet, at, local, remote, ecn, data, len);
}

static void on_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct live_job *j = ctx;
	enum plan_end end = PLAN_RUNNING;

	if (!j->fleet)
		return;
	live_lag_note(j);
	if (j->net)
		live_net_arrive(j->net, at, on_datagram, j);
	if (j->phase == LIVE_RUNNING)
		end = plan_expire(j->plan, at);
	fleet_turn(j->fleet, at, j->net ? live_net_sink(j->net) : sink);
	/* what the turn changed may be what a step waits for */
	if (j->phase == LIVE_RUNNING && end == PLAN_RUNNING)
		end = plan_expire(j->plan, at);
	if (j->net) {
		live_net_leave(j->net, at);
		if (*live_net_error(j->net))
			live_job_fail(j, "%s", live_net_error(j->net));
	}
	if (end != PLAN_RUNNING && j->phase == LIVE_RUNNING)
		live_job_end(j, end == PLAN_SETTLED ? "settled" : plan_why(j->plan));
}

static time_ns on_deadline(void *ctx)
{
	struct live_job *j = ctx;
	time_ns t = j->fleet ? fleet_deadline(j->fleet) : TIME_NEVER;

	if (j->net)
		t = time_min(t, live_net_deadline(j->net));
	return j->phase == LIVE_RUNNING ? time_min(t, plan_deadline(j->plan)) : t;
}

/* ---- beginning ---- */

static void rebound(void *ctx, const struct instant *at, unsigned which, enum link_rebind what)
{
	struct live_job *j = ctx;

	links_rebound(&j->links, j->journal, at->now, which, what);
}

/* Where the fleet stands: on its own socket, or behind the links. */
static int place_fleet(struct live_job *j, struct fleet_config *fc, struct err *e)
{
	struct live_net_config nc = {.loop = j->rig->o.live,
				     .links = &j->links,
				     .server = fc->server,
				     .rebound = rebound,
				     .ctx = j};

	if (!j->links.n) {
		fc->local = *live_socket_local(j->socket);
		return 0;
	}
	j->net = live_net_new(&nc, e);
	if (!j->net)
		return e->code;
	fc->local = *live_net_inside(j->net);
	fc->port_each = true;
	return 0;
}

static int make_fleet(struct live_job *j, struct err *e)
{
	const char *keys[] = {j->rig->pki.token_public, NULL};
	struct fleet_config fc = {.cert = j->rig->pki.fleet.cert,
				  .key = j->rig->pki.fleet.key,
				  .server_ca = j->rig->pki.server_ca.cert,
				  .server_name = "127.0.0.1",
				  .server_keys = keys,
				  .settings = *plan_settings(j->plan),
				  .seed = plan_seed(j->plan),
				  .run_key = j->rig->run_key,
				  .secret = live_secret(),
				  .journal = j->journal,
				  .changed = changed,
				  .ctx = j};
	char text[64];

	snprintf(text, sizeof(text), "127.0.0.1:%d", j->port);
	addr_parse(text, &fc.server);
	if (place_fleet(j, &fc, e))
		return e->code;
	j->fleet = fleet_new(&fc, e);
	if (!j->fleet)
		return e->code;
	for (unsigned i = 0; i < plan_count(j->plan); i++) {
		const struct plan_device *d = plan_device(j->plan, i);
		struct fleet_device_config dc = {.label = d->label,
						 .identity = d->identity,
						 .hold = d->hold,
						 .accept_unsigned = d->accept_unsigned,
						 .defects = d->defects,
						 .senders = plan_known_senders(j->plan)};
		int rv;

		for (unsigned m = 0; m < REGISTRY_METHODS && d->methods[m][0]; m++)
			dc.methods[m] = d->methods[m];
		rv = fleet_add(j->fleet, &dc, e);
		if (rv < 0)
			return rv;
	}
	return 0;
}

void live_job_begin(struct live_job *j)
{
	if (j->phase != LIVE_ARMING || j->control_pending || j->carrier_pending)
		return;
	j->phase = LIVE_RUNNING;
	j->lag = j->lag_told = 0; /* who was held up before it began is not held up by it */
	ev_timer_stop(j->rig->o.loop, &j->start_limit);
	links_start(&j->links, NOW(j)->now);
	plan_start(j->plan, NOW(j));
}

/* The server's first line has come: at the scenario's start the fleet is made and the
 * faults are armed; after a restart there is only the control socket to take up. */
void live_job_server_ready(struct live_job *j)
{
	struct err e = {0};

	if (j->phase == LIVE_RUNNING && (plan_arm_server_again(j->plan, NOW(j), &e) || live_server_pay(j)))
		live_job_fail(j, "the server takes no control lines: %.200s", e.text);
	if (j->phase != LIVE_STARTING)
		return;
	if (make_fleet(j, &e)) {
		live_job_fail(j, "%.250s", e.text);
		return;
	}
	j->phase = LIVE_ARMING;
	if (plan_arm(j->plan, NOW(j), &e)) {
		live_job_fail(j, "%.250s", e.text);
		return;
	}
	live_job_begin(j);
}

/* ---- the end ---- */

static void unlink_job(struct live_job *j)
{
	struct live_job **p = &j->rig->jobs;

	while (*p && *p != j)
		p = &(*p)->next;
	if (*p)
		*p = j->next;
	if (j->modems && !j->owns_modems)
		live_modems_forget(j->modems, j);
}

/* What this scenario armed in emulator and pool, which go on without it. */
static void disarm_carrier(struct live_job *j)
{
	size_t i;
	json_t *f;

	json_array_foreach(json_object_get(j->job->plan, "faults"), i, f)
	{
		const char *on = json_string_value(json_object_get(f, "on"));
		char name[256];

		if (!on || (strncmp(on, "sms.", 4) != 0 && strcmp(on, "modem.state") != 0) ||
		    strcmp(on, "sms.queued") == 0)
			continue;
		snprintf(name, sizeof(name), "%s:%s", j->job->id,
			 json_string_value(json_object_get(f, "name")));
		live_modems_disarm(j->modems, name,
				   strcmp(on, "sms.submitted") == 0 || strcmp(on, "sms.lost") == 0 ||
					   strcmp(on, "modem.state") == 0);
	}
}

static void free_job(struct live_job *j)
{
	struct ev_loop *loop = j->rig->o.loop;

	ev_timer_stop(loop, &j->ask_again);
	ev_timer_stop(loop, &j->kill_later);
	ev_timer_stop(loop, &j->wall);
	ev_timer_stop(loop, &j->start_limit);
	ev_timer_stop(loop, &j->rss);
	proc_end(&j->server);
	lines_stop(&j->server_journal);
	lines_stop(&j->control);
	if (j->actor)
		live_detach(j->actor);
	live_socket_close(j->socket);
	live_net_free(j->net);
	if (j->owns_modems)
		live_modems_free(j->modems, 0);
	fleet_free(j->fleet);
	links_free(&j->links);
	plan_free(j->plan);
	journal_free(j->journal);
	faults_free(j->faults);
	json_decref(j->asked);
	json_decref(j->owed);
	if (j->next_token_key)
		explicit_bzero(j->next_token_key, strlen(j->next_token_key));
	free(j->next_token_key);
	unlink_job(j);
	free(j);
}

void live_job_finish(struct live_job *j)
{
	struct job *job = j->job;
	size_t n = tape_count(job->tape);
	if (n)
		job->rig_ns = NOW(j)->now - tape_at(job->tape, 0)->t;
	job->wall_s = ev_now(j->rig->o.loop) - job->started_s;
	if (!j->owns_modems)
		disarm_carrier(j);
	job->rig = NULL;
	free_job(j);
	job->done(job->ctx, job);
}

void live_job_end(struct live_job *j, const char *why)
{
	double limit;

	if (j->phase == LIVE_ENDING)
		return;
	/* an operator who was not heard would let the scenario pass without what it is about */
	if (json_array_size(j->owed) && !j->job->harness[0])
		snprintf(j->job->harness, sizeof(j->job->harness), "no server took what the operator asked for (%s)",
			 json_string_value(json_object_get(json_array_get(j->owed, 0), "do")));
	if (j->fleet)
		fleet_counts(j->fleet, NOW(j));
	live_lag_note(j);
	j->phase = LIVE_ENDING;
	snprintf(j->job->end, sizeof(j->job->end), "%s", why);
	/* what the server says from here on belongs to its being taken down */
	JOURNAL(j->journal, NOW(j)->now, "runner", NULL, NULL, NULL, J_SCENARIO_END, JS(ID, j->job->id),
		JS(WHY, j->job->end));
	j->server_wanted = false;
	proc_kill(&j->server, SIGTERM);
	limit = j->job->interrupted || j->job->harness[0] ? HURRY_LIMIT_S : STOP_LIMIT_S;
	/* also where there is no server any more: `done` never comes from within */
	ev_timer_set(&j->kill_later, j->server.pid || j->journal_open ? limit : 0., 0.);
	ev_timer_start(j->rig->o.loop, &j->kill_later);
}

static void on_kill_later(struct ev_loop *loop, ev_timer *w, int events)
{
	struct live_job *j = w->data;

	(void)loop;
	(void)events;
	if (j->server.pid) {
		j->server_killed = true;
		proc_kill(&j->server, SIGKILL);
		return;
	}
	if (j->journal_open)
		lines_drain(&j->server_journal);
	else
		live_job_finish(j);
}

static void on_rss(struct ev_loop *loop, ev_timer *w, int events)
{
	struct live_job *j = w->data;
	uint32_t kib = j->phase == LIVE_RUNNING && j->server.pid ? rss_of(j->server.pid) : 0;

	(void)loop;
	(void)events;
	if (!kib)
		return;
	rss_add(&j->job->rss, NOW(j)->now - tape_at(j->job->tape, 0)->t, kib);
	JOURNAL(j->journal, NOW(j)->now, "runner", NULL, NULL, NULL, J_HARNESS_MEMORY, JI(BYTES, (int64_t)kib * 1024));
}

static void on_wall(struct ev_loop *loop, ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	live_job_fail(w->data, "over its wall-clock limit of %.0f s", w->repeat);
}

static void on_start_limit(struct ev_loop *loop, ev_timer *w, int events)
{
	struct live_job *j = w->data;

	(void)loop;
	(void)events;
	live_job_fail(j, "the server was not ready after %.0f s", START_LIMIT_S);
}

void live_job_modems_ready(struct live_job *j)
{
	ev_timer_stop(j->rig->o.loop, &j->start_limit);
	ev_timer_set(&j->start_limit, START_LIMIT_S, 0.);
	ev_timer_start(j->rig->o.loop, &j->start_limit);
}

void live_job_abort(struct live_job *j, bool hard)
{
	if (!j)
		return;
	j->job->interrupted = true;
	if (!hard) {
		live_job_end(j, "interrupted");
		return;
	}
	j->phase = LIVE_ENDING;
	snprintf(j->job->end, sizeof(j->job->end), "interrupted");
	proc_end(&j->server);
	live_job_finish(j);
}

/* ---- start ---- */

static int write_registry(struct live_job *j, struct err *e)
{
	char path[LIVE_PATH_MAX + 32], *text = plan_registry(j->plan);
	size_t len = text ? strlen(text) : 0;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/registry.json", j->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	n = fd >= 0 && text ? write(fd, text, len) : -1;
	if (fd >= 0)
		close(fd);
	free(text);
	return n == (ssize_t)len ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static void set_timers(struct live_job *j)
{
	json_int_t wall = json_integer_value(json_object_get(j->job->plan, "wall_ns"));
	json_int_t timeout = json_integer_value(json_object_get(j->job->plan, "timeout_ns"));
	double start = j->owns_modems ? MODEMS_LIMIT_S : START_LIMIT_S;
	double limit = wall ? (double)wall / 1e9 : (double)timeout / 1e9 + start + START_LIMIT_S + WALL_EXTRA_S;

	ev_timer_init(&j->ask_again, live_server_ask_again, ASK_AGAIN_S, 0.);
	ev_timer_init(&j->kill_later, on_kill_later, 0., 0.);
	ev_timer_init(&j->wall, on_wall, limit, limit);
	ev_timer_init(&j->start_limit, on_start_limit, start, 0.);
	ev_timer_init(&j->rss, on_rss, RSS_EVERY_S, RSS_EVERY_S);
	j->rss.data = j;
	ev_timer_start(j->rig->o.loop, &j->rss);
	j->ask_again.data = j->kill_later.data = j->wall.data = j->start_limit.data = j;
	ev_timer_start(j->rig->o.loop, &j->wall);
	ev_timer_start(j->rig->o.loop, &j->start_limit);
}

static int open_socket(struct live_job *j, struct err *e)
{
	struct live_turn turn = {.datagram = on_datagram, .turn = on_turn, .deadline = on_deadline, .ctx = j};
	struct addr any;

	addr_parse("127.0.0.1:0", &any);
	if (links_make(&j->links, j->plan, e))
		return e->code;
	if (!j->links.n)
		j->socket = live_socket_open(&any, false, e);
	if (!j->links.n && !j->socket)
		return e->code;
	j->actor = live_attach(j->rig->o.live, &turn, j->socket);
	return j->actor ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

int live_job_start(struct rig *r, struct job *job, struct err *e)
{
	struct live_job *j = calloc(1, sizeof(*j));
	struct plan_rig pr = live_plan_rig;
	int rv;

	if (!j)
		return err_set(e, ERR_NOMEM, "out of memory");
	j->rig = r;
	j->job = job;
	j->next = r->jobs;
	r->jobs = j;
	j->server_journal.fd = j->control.fd = -1;
	pr.ctx = j;
	pr.receivers = live_modems_receivers(r->modems, &pr.receivers_n);
	pr.senders = live_modems_senders(r->modems);
	snprintf(j->dir, sizeof(j->dir), "%.400s/%u", r->o.dir, r->counter++);
	snprintf(j->control_path, sizeof(j->control_path), "%.480s/control", j->dir);
	j->journal = journal_new(NULL, NULL);
	j->asked = json_array();
	j->owed = json_array();
	if (!j->journal || !j->asked || !j->owed) {
		rv = err_set(e, ERR_NOMEM, "out of memory");
		goto fail;
	}
	journal_set_scenario(j->journal, job->id);
	journal_set_reader(j->journal, own_event, j);
	j->plan = plan_new(job->plan, &pr, j->journal, e);
	if (!j->plan) {
		rv = e->code;
		goto fail;
	}
	plan_draw_secrets(j->plan, live_secret());
	if (plan_asks(j->plan, "rotate_key")) {
		char *public = NULL;

		rv = pki_token_key(&j->next_token_key, &public, e);
		free(public);
		if (rv)
			goto fail;
	}
	j->faults = faults_new(plan_seed(j->plan));
	faults_gate(j->faults, plan_may_fire, j->plan);
	journal_set_hook(j->journal, fault_hook, j->faults);
	rv = mkdir(j->dir, 0700) ? err_set(e, ERR_IO, "%s: %s", j->dir, strerror(errno))
				 : write_registry(j, e);
	if (rv)
		goto fail;
	rv = open_socket(j, e);
	if (!rv && !r->o.file && plan_owns_modems(job->plan)) {
		rv = live_own_modems(j, e);
	} else if (!rv) {
		j->modems = r->modems;
		rv = live_server_start(j, e);
	}
	if (rv)
		goto fail;
	JOURNAL(j->journal, NOW(j)->now, "runner", NULL, NULL, NULL, J_SCENARIO_START, JS(ID, job->id),
		JS(SEED, json_string_value(json_object_get(job->plan, "seed"))),
		JS(RIG, r->o.file ? "file" : "loopback"));
	set_timers(j);
	job->rig = j;
	job->started_s = ev_now(r->o.loop);
	return 0;
fail:
	free_job(j);
	return rv;
}
