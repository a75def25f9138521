/* The loopback rig, and the rig of a rig file: the run's keys and modems (live_modems.c),
 * which scenarios (live_job.c) share; one that breaks modems has a set of its own. */
#include "hil/run/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>

#include "core/pki_files.h"
#include "hil/language/select.h"
#include "hil/run/plan.h"

#define QUIT_GRACE_NS (2 * NS_PER_S)

/* ---- what all jobs share ---- */

static struct live_job *job_of(struct rig *r, const char *dev)
{
	for (struct live_job *j = r->jobs; dev && j; j = j->next)
		if (live_job_takes(j, dev))
			return j;
	return NULL;
}

static void modems_ready(void *ctx, bool ok, const char *why)
{
	struct rig *r = ctx;

	r->ready(r->o.ctx, ok, why);
}

/* No scenario is judged by modems that are no more. */
static void modems_gone(void *ctx, const char *why)
{
	struct rig *r = ctx;
	struct live_job *next;

	for (struct live_job *j = r->jobs; j; j = next) {
		next = j->next;
		if (j->modems == r->modems)
			live_job_fail(j, "%s", why);
	}
}

/* Whose event is lost nobody knows: no scenario that runs is judged without it. */
static void modems_unread(void *ctx)
{
	struct rig *r = ctx;

	for (struct live_job *j = r->jobs; j; j = j->next)
		if (j->modems == r->modems)
			live_job_unread(j);
}

/* A modem of all that falls ill, or is well again: every scenario's judge is to know. */
static void tell_of_modem(struct rig *r, const struct journal_event *ev)
{
	const char *state = journal_text(ev, JF_STATE), *name = journal_text(ev, JF_MODEM);
	bool up = strcmp(state, "READY") == 0 || strcmp(state, "SENDING") == 0;

	if (ev->kind != J_MODEM_STATE || state[0] < 'A' || state[0] > 'Z')
		return;
	if (up && !json_object_get(r->ill, name))
		return;
	if (up)
		json_object_del(r->ill, name);
	else
		json_object_set_new(r->ill, name, json_true());
	for (struct live_job *j = r->jobs; j; j = j->next)
		if (j->modems == r->modems)
			live_job_event(j, ev);
}

static void modems_event(void *ctx, const struct journal_event *ev, const char *line, size_t len)
{
	struct rig *r = ctx;
	struct live_job *j = job_of(r, ev->dev);
	struct buf own;

	if (j) {
		live_job_event(j, ev);
		return;
	}
	tell_of_modem(r, ev);
	if (!r->o.line)
		return;
	if (line) {
		r->o.line(r->o.ctx, line, len);
		return;
	}
	buf_init(&own, JOURNAL_LINE_MAX);
	if (!journal_format(ev, &own))
		r->o.line(r->o.ctx, own.data, own.len);
	buf_fini(&own);
}

static void deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	struct live_job *j = job_of(ctx, uuid);

	if (j)
		live_job_sms(j, uuid, from, text);
}

/* ---- what a run needs ---- */

static unsigned most(const struct rig *r, const char *key)
{
	unsigned most = 1;

	for (size_t i = 0; i < r->o.plans_n; i++) {
		json_int_t n =
			json_integer_value(json_object_get(json_object_get(r->o.plans[i], "modems"), key));

		if (!plan_owns_modems(r->o.plans[i]) && n > most)
			most = (unsigned)n;
	}
	return most > LIVE_MODEMS_MAX / 2 ? LIVE_MODEMS_MAX / 2 : most;
}

/* As many emulated ones as the hungriest scenario asks for. */
static int make_modems(struct rig *r, struct err *e)
{
	struct live_modems_config mc = {.loop = r->o.loop,
					.dir = r->o.dir,
					.run_key = r->run_key,
					.libgammu_debug = r->o.libgammu_debug,
					.file = r->o.file,
					.senders = most(r, "senders"),
					.receivers = most(r, "receivers"),
					.carrier = "immediate",
					.seed = 2,
					.ctx = r,
					.ready = modems_ready,
					.gone = modems_gone,
					.unread = modems_unread,
					.event = modems_event,
					.deliver = deliver};

	r->modems = live_modems_new(&mc, e);
	return r->modems ? 0 : e->code;
}

static int make_keys(struct rig *r, struct err *e)
{
	struct pki_options o = {.now_s = (int64_t)time(NULL)};
	int rv;

	if (gnutls_rnd(GNUTLS_RND_KEY, r->run_key, sizeof(r->run_key)))
		return err_set(e, ERR_ENVIRONMENT, "no randomness");
	rv = pki_make(&o, &r->pki, e);
	return rv ? rv : pki_files_write(r->keys, &r->pki, e);
}

static void live_close(struct rig *r);

static struct rig *live_open(const struct rig_options *o, void (*ready)(void *, bool, const char *),
			     struct err *e)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (!r) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	r->o = *o;
	live_loop_watch(o->live);
	r->ready = ready;
	r->ill = json_object();
	snprintf(r->keys, sizeof(r->keys), "%s/keys", o->dir);
	if (access(proc_sibling("quicrig-modem"), X_OK))
		err_set(e, ERR_ENVIRONMENT,
			"quicrig-modem does not stand beside quicrig: build it (make build)");
	if (e->code || make_keys(r, e) || make_modems(r, e)) {
		live_close(r);
		return NULL;
	}
	return r;
}

static int live_start(struct rig *r, struct job *job, struct err *e)
{
	if (live_modems_gone(r->modems))
		return err_set(e, ERR_ENVIRONMENT, "the modem emulator ended");
	return live_job_start(r, job, e);
}

static void live_abort(struct rig *r, struct job *job, bool hard)
{
	(void)r;
	live_job_abort(job->rig, hard);
}

static json_t *live_figures(struct rig *r)
{
	return live_modems_figures(r->modems);
}

static void live_close(struct rig *r)
{
	while (r->jobs)
		live_job_abort(r->jobs, true);
	live_modems_free(r->modems, QUIT_GRACE_NS);
	pki_fini(&r->pki);
	json_decref(r->ill);
	free(r);
}

const struct rig_ops rig_live_ops = {.name = "loopback",
				     .jobs = 16,
				     .capacity = 24,
				     .open = live_open,
				     .start = live_start,
				     .abort = live_abort,
				     .figures = live_figures,
				     .close = live_close};
