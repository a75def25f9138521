/* The loopback rig: emulated modems in one child, a quicrig-modem worker a modem, the
 * pool and the SMS gateway of the run. Scenarios (live_job.c) share them. */
#include "hil/run/live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>

#include "core/smstext.h"
#include "core/pki_files.h"
#include "hil/run/live_budget.h"
#include "hil/run/plan.h"

#define COMING_UP_S   60.0
#define EMULATOR_ENDED "the modem emulator ended"
#define QUIT_GRACE_NS (2 * NS_PER_S)

static void say_ready(struct rig *r, bool ok, const char *why)
{
	if (r->told)
		return;
	r->told = true;
	ev_timer_stop(r->o.loop, &r->coming_up);
	r->ready(r->o.ctx, ok, why);
}

/* ---- journals that all jobs share ---- */

static struct live_job *job_of(struct rig *r, const char *dev)
{
	for (struct live_job *j = r->jobs; dev && j; j = j->next)
		if (live_job_takes(j, dev))
			return j;
	return NULL;
}

static void pool_event(void *ctx, const struct journal_event *ev)
{
	struct rig *r = ctx;
	struct live_job *j = job_of(r, ev->dev);
	struct buf line;

	if (j) {
		live_job_event(j, ev);
		return;
	}
	buf_init(&line, JOURNAL_LINE_MAX);
	if (r->o.line && !journal_format(ev, &line))
		r->o.line(r->o.ctx, line.data, line.len);
	buf_fini(&line);
}

static void emulator_line(void *ctx, char *line, size_t len)
{
	struct rig *r = ctx;
	struct journal_record rec;
	struct live_job *j;

	/* whose event is lost nobody knows: no scenario that runs is judged without it */
	if (journal_parse(line, len, &rec, NULL)) {
		for (j = r->jobs; j; j = j->next)
			if (!j->job->harness[0])
				snprintf(j->job->harness, sizeof(j->job->harness),
					 "a journal line of the modem emulator could not be read");
		return;
	}
	j = job_of(r, rec.ev.dev);
	if (j)
		live_job_line(j, line, len);
	else if (r->o.line)
		r->o.line(r->o.ctx, line, len);
	journal_record_free(&rec);
}

/* ---- the emulator ---- */

static int emulator_say(struct rig *r, json_t *msg, struct live_job *job, struct err *e)
{
	struct live_asked *a = calloc(1, sizeof(*a));
	char *text = json_dumps(msg, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	int rv = 0;

	if (!a || !text) {
		rv = err_set(e, ERR_NOMEM, "out of memory");
	} else {
		text[len] = '\n'; /* over the NUL: the line is written by length */
		if (write(r->emulator_socket, text, len + 1) != (ssize_t)len + 1)
			rv = err_set(e, ERR_IO, "the modem emulator does not listen: %s", strerror(errno));
	}
	free(text);
	if (rv) {
		free(a);
		return rv;
	}
	a->job = job;
	*r->asked_tail = a;
	r->asked_tail = &a->next;
	return 0;
}

static void emulator_answer(void *ctx, char *line, size_t len)
{
	struct rig *r = ctx;
	struct live_asked *a = r->asked;
	json_t *answer = json_loadb(line, len, 0, NULL);

	if (a) {
		r->asked = a->next;
		if (!r->asked)
			r->asked_tail = &r->asked;
		if (a->job)
			live_job_carrier_answered(a->job, json_is_true(json_object_get(answer, "ok")),
						  json_string_value(json_object_get(answer, "error")));
		free(a);
	}
	json_decref(answer);
}

/* No carrier of ours: what would act on the way acts where the pool hands over the text
 * that a modem received. What only a carrier or an emulated modem can do is refused. */
static int arm_real(struct rig *r, json_t *spec, struct err *e)
{
	static const char *const can[] = {"lose",	  "delay",	  "duplicate",
					  "replace_code", "replace_text", "replace_sender"};
	const char *on = json_string_value(json_object_get(spec, "on"));
	const char *what = json_string_value(json_object_get(spec, "do"));
	json_t *moved;
	int rv = ERR_UNSUPPORTED;

	for (size_t i = 0; i < sizeof(can) / sizeof(can[0]); i++)
		if (strcmp(what, can[i]) == 0 && strcmp(on, "sms.submitted") == 0)
			rv = 0;
	if (rv)
		return err_set(e, rv, "'%s' on '%s' needs emulated modems", what, on);
	moved = json_copy(spec);
	json_object_set_new(moved, "on", json_string("sms.delivered"));
	rv = faults_arm(r->pool_faults, moved, e);
	json_decref(moved);
	return rv;
}

int live_arm_carrier(struct rig *r, struct live_job *j, json_t *spec, struct err *e)
{
	if (r->o.file)
		return arm_real(r, spec, e);
	json_t *msg = json_pack("{s:s, s:O}", "do", "fault", "fault", spec);
	int rv = msg ? emulator_say(r, msg, j, e) : err_set(e, ERR_NOMEM, "out of memory");

	json_decref(msg);
	j->carrier_pending += rv == 0;
	return rv;
}

void live_disarm_pool(struct rig *r, const char *name)
{
	faults_disarm(r->pool_faults, name);
}

void live_disarm_carrier(struct rig *r, const char *name)
{
	json_t *msg;

	if (r->o.file) {
		faults_disarm(r->pool_faults, name);
		return;
	}
	msg = json_pack("{s:s, s:s}", "do", "disarm", "name", name);

	if (msg)
		emulator_say(r, msg, NULL, NULL);
	json_decref(msg);
}

int live_arm_pool(struct rig *r, json_t *spec, struct err *e)
{
	return faults_arm(r->pool_faults, spec, e);
}

static int connect_control(struct rig *r)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(r->emulator_control) < sizeof(a.sun_path))
		strcpy(a.sun_path, r->emulator_control);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	struct live_job *j = job_of(ctx, uuid);

	if (j)
		live_job_sms(j, uuid, from, text);
}

static void modem_changed(void *ctx, const struct modem_spec *modem, enum modem_state state, const char *why)
{
	struct rig *r = ctx;

	(void)modem;
	(void)state;
	(void)why;
	if (r->pool && !r->told && pool_ready_count(r->pool, MODEM_BOTH) == r->modems_n)
		say_ready(r, true, NULL);
}

static int start_pool(struct rig *r, struct err *e)
{
	char budget[LIVE_PATH_MAX] = "";
	struct pool_config pc = {.loop = r->o.loop,
				 .journal = r->pool_journal,
				 .run_key = r->run_key,
				 .worker_path = proc_sibling("quicrig-modem"),
				 .modems = r->modems,
				 .modem_count = r->modems_n,
				 .debug_dir = r->o.libgammu_debug,
				 .real = r->o.file != NULL,
				 .ctx = r,
				 .deliver = deliver,
				 .changed = modem_changed};
	struct gateway_config gc = {.loop = r->o.loop, .path = r->gateway_path};

	if (r->o.file && live_budget_path(r->modems, r->modems_n, budget, sizeof(budget), e))
		return e->code;
	pc.budget_file = budget[0] ? budget : NULL; /* the pool keeps a copy */
	r->pool = pool_new(&pc, e);
	if (!r->pool)
		return e->code;
	gc.pool = r->pool;
	r->gateway = gateway_new(&gc, e);
	return r->gateway ? 0 : e->code;
}

/* The emulator's first line says which modem stands on which terminal. */
static void emulator_said(void *ctx, char *line, size_t len)
{
	struct rig *r = ctx;
	json_t *root = json_loadb(line, len, 0, NULL), *ready = json_object_get(root, "ready");
	struct err e = {0};
	char why[800];
	int fd;

	if (r->emulator_ready || !ready)
		goto out;
	r->emulator_ready = true;
	for (unsigned i = 0; i < r->modems_n; i++) {
		const char *tty = json_string_value(json_object_get(ready, r->names[i]));

		snprintf(r->ttys[i], sizeof(r->ttys[i]), "%s", tty ? tty : "");
	}
	fd = connect_control(r);
	if (fd < 0) {
		say_ready(r, false, "the modem emulator does not take control lines");
		goto out;
	}
	r->emulator_socket = fd;
	r->emulator_answers.line = emulator_answer;
	r->emulator_answers.ctx = r;
	lines_start(&r->emulator_answers, r->o.loop, fd);
	if (start_pool(r, &e))
		say_ready(r, false, err_format(&e, why, sizeof(why)));
out:
	json_decref(root);
}

static void emulator_gone(void *ctx, struct proc *p, int status)
{
	struct rig *r = ctx;
	struct live_job *next;

	(void)p;
	r->emulator_gone = true;
	say_ready(r, false, EMULATOR_ENDED);
	/* no scenario is judged by modems that are no more */
	for (struct live_job *j = r->jobs; j; j = next) {
		next = j->next;
		live_job_fail(j, "%s (%s %d)", EMULATOR_ENDED, WIFSIGNALED(status) ? "signal" : "exit",
			      WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

static void on_coming_up(struct ev_loop *loop, ev_timer *w, int events)
{
	struct rig *r = w->data;
	struct pool_modem m;
	char why[380];
	int n;

	(void)loop;
	(void)events;
	n = snprintf(why, sizeof(why), "%zu of %u modems were ready after %.0f s",
		     r->pool ? pool_ready_count(r->pool, MODEM_BOTH) : (size_t)0, r->modems_n, COMING_UP_S);
	for (size_t i = 0; r->pool && pool_modem(r->pool, i, &m) && n < (int)sizeof(why); i++)
		if (m.state != MODEM_READY)
			n += snprintf(why + n, sizeof(why) - (size_t)n, "; %s (%s) is %s%s%.60s", m.spec->name,
				      r->modems[i].device, modem_state_name(m.state), *m.why ? ": " : "", m.why);
	say_ready(r, false, why);
}

/* ---- what a run needs ---- */

/* The rig file's modems: its SIMs' numbers are the devices' and the known senders'. */
static int take_modems(struct rig *r, struct err *e)
{
	const struct rigfile *f = r->o.file;

	if (!f->server_ours)
		return err_set(e, ERR_UNSUPPORTED,
			       "a rig with a server that is not ours cannot be run yet; "
			       "'quicrig device --server' attaches one device to it");
	if (f->modems_n > LIVE_MODEMS_MAX)
		return err_set(e, ERR_LIMIT, "at most %d modems", LIVE_MODEMS_MAX);
	for (size_t i = 0; i < f->modems_n; i++) {
		const struct modem_spec *m = &f->modems[i];

		if (!m->device || !m->number)
			return err_set(e, ERR_ENVIRONMENT,
				       "modem '%s' needs its 'device' and its SIM's 'number'", m->name);
		r->modems[r->modems_n++] = *m;
		if (m->role != MODEM_SENDER)
			r->receiver_numbers[r->receivers++] = m->number;
		if (m->role != MODEM_RECEIVER)
			r->sender_numbers[r->senders++] = m->number;
	}
	if (!r->senders || !r->receivers)
		return err_set(e, ERR_ENVIRONMENT, "a rig needs a modem that sends and one that receives");
	if (f->senders_any)
		r->sender_numbers[0] = NULL;
	for (size_t i = 0; !f->senders_any && i < f->senders_n && i < LIVE_MODEMS_MAX; i++) {
		r->sender_numbers[i] = f->senders[i];
		r->sender_numbers[i + 1] = NULL;
	}
	return 0;
}

static unsigned most(const struct rig *r, const char *key)
{
	unsigned most = 1;

	for (size_t i = 0; i < r->o.plans_n; i++) {
		json_int_t n =
			json_integer_value(json_object_get(json_object_get(r->o.plans[i], "modems"), key));

		if (n > most)
			most = (unsigned)n;
	}
	return most > LIVE_MODEMS_MAX / 2 ? LIVE_MODEMS_MAX / 2 : most;
}

/* As many emulated ones as the hungriest scenario asks for. */
static void count_modems(struct rig *r)
{
	r->senders = most(r, "senders");
	r->receivers = most(r, "receivers");
	r->modems_n = r->senders + r->receivers;
	for (unsigned i = 0; i < r->modems_n; i++) {
		bool sender = i < r->senders;
		unsigned k = sender ? i : i - r->senders;

		snprintf(r->names[i], sizeof(r->names[i]), "%c%u", sender ? 's' : 'r', k + 1);
		(sender ? plan_sender_number : plan_receiver_number)(k, r->numbers[i]);
		r->modems[i] = (struct modem_spec){.name = r->names[i],
						   .device = r->ttys[i],
						   .number = r->numbers[i],
						   .role = sender ? MODEM_SENDER : MODEM_RECEIVER};
	}
}

static int write_text(const char *path, const char *text, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t len = strlen(text);
	ssize_t n = fd < 0 ? -1 : write(fd, text, len);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)len ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static int write_modems(struct rig *r, const char *path, struct err *e)
{
	json_t *list = json_array(), *root;
	char *text;
	int rv;

	for (unsigned i = 0; i < r->modems_n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "name", r->names[i], "number", r->numbers[i]));
	root = json_pack("{s:i, s:i, s:s, s:o}", "version", 1, "seed", 1, "carrier", "immediate", "modems",
			 list);
	text = json_dumps(root, 0);
	rv = text ? write_text(path, text, e) : err_set(e, ERR_NOMEM, "out of memory");
	free(text);
	json_decref(root);
	return rv;
}

/* The run key, where a child finds it: an anonymous file, never a name on disk. */
int live_key_fd(const uint8_t key[32])
{
	int fd = memfd_create("run-key", MFD_CLOEXEC);

	if (fd < 0 || write(fd, key, 32) != 32 || lseek(fd, 0, SEEK_SET)) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int start_emulator(struct rig *r, struct err *e)
{
	char modems[LIVE_PATH_MAX + 16], control[LIVE_PATH_MAX + 16];
	const char *argv[] = {
		proc_sibling("quicrig"), "modems", "emulate",	   "--modems", modems, "--control", control,
		"--journal-fd",		 "3",	   "--run-key-fd", "4",	       NULL};
	char self[LIVE_PATH_MAX];
	int out[2] = {-1, -1}, journal[2] = {-1, -1}, key = live_key_fd(r->run_key), rv;

	snprintf(self, sizeof(self), "%s", argv[0]);
	argv[0] = self;
	snprintf(modems, sizeof(modems), "%s/modems.json", r->o.dir);
	snprintf(control, sizeof(control), "unix:%s", r->emulator_control);
	rv = write_modems(r, modems, e);
	if (!rv && (key < 0 || pipe2(out, O_CLOEXEC) || pipe2(journal, O_CLOEXEC)))
		rv = err_set(e, ERR_IO, "pipe: %s", strerror(errno));
	if (rv) {
		const int fds[] = {key, out[0], out[1], journal[0], journal[1]};

		for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
			if (fds[i] >= 0)
				close(fds[i]);
		return rv;
	}
	r->emulator.exited = emulator_gone;
	r->emulator.ctx = r;
	rv = proc_start(&r->emulator, r->o.loop, argv,
			(struct proc_fd[]){{out[1], 1}, {journal[1], 3}, {key, 4}}, 3, e);
	close(out[1]);
	close(journal[1]);
	close(key);
	r->emulator_out.line = emulator_said;
	r->emulator_journal.line = emulator_line;
	r->emulator_out.ctx = r->emulator_journal.ctx = r;
	lines_start(&r->emulator_out, r->o.loop, out[0]);
	lines_start(&r->emulator_journal, r->o.loop, journal[0]);
	return rv;
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
	r->ready = ready;
	r->asked_tail = &r->asked;
	r->emulator_socket = -1;
	r->emulator_out.fd = r->emulator_journal.fd = r->emulator_answers.fd = -1;
	ev_timer_init(&r->coming_up, on_coming_up, COMING_UP_S, 0.);
	r->coming_up.data = r;
	snprintf(r->keys, sizeof(r->keys), "%s/keys", o->dir);
	snprintf(r->gateway_path, sizeof(r->gateway_path), "%s/sms", o->dir);
	snprintf(r->emulator_control, sizeof(r->emulator_control), "%s/modems", o->dir);
	r->pool_journal = journal_new(NULL, NULL);
	r->pool_faults = faults_new(1);
	if (access(proc_sibling("quicrig-modem"), X_OK))
		err_set(e, ERR_ENVIRONMENT,
			"quicrig-modem does not stand beside quicrig: build it (make build)");
	if (!r->pool_journal || !r->pool_faults || e->code)
		goto fail;
	journal_set_reader(r->pool_journal, pool_event, r);
	journal_set_hook(r->pool_journal, fault_hook, r->pool_faults);
	if (make_keys(r, e))
		goto fail;
	if (o->file) {
		if (take_modems(r, e) || start_pool(r, e))
			goto fail;
	} else {
		count_modems(r);
		if (start_emulator(r, e))
			goto fail;
	}
	ev_timer_start(o->loop, &r->coming_up);
	return r;
fail:
	live_close(r);
	return NULL;
}

static int live_start(struct rig *r, struct job *job, struct err *e)
{
	if (r->emulator_gone)
		return err_set(e, ERR_ENVIRONMENT, EMULATOR_ENDED);
	return live_job_start(r, job, e);
}

static void live_abort(struct rig *r, struct job *job, bool hard)
{
	(void)r;
	live_job_abort(job->rig, hard);
}

static json_t *live_figures(struct rig *r)
{
	struct pool_stats s;

	pool_stats(r->pool, &s);
	return json_pack("{s:I, s:I, s:I, s:I}", "submitted", (json_int_t)s.submitted, "delivered",
			 (json_int_t)s.delivered, "failed", (json_int_t)s.failed, "unknown",
			 (json_int_t)s.unknown);
}

static void live_close(struct rig *r)
{
	struct live_asked *a, *next;

	ev_timer_stop(r->o.loop, &r->coming_up);
	r->told = true; /* nobody is to hear of what ends now */
	while (r->jobs)
		live_job_abort(r->jobs, true);
	if (r->pool)
		pool_quit(r->pool, QUIT_GRACE_NS);
	gateway_free(r->gateway);
	pool_free(r->pool);
	lines_stop(&r->emulator_answers);
	proc_end(&r->emulator);
	lines_stop(&r->emulator_out);
	lines_stop(&r->emulator_journal);
	for (a = r->asked; a; a = next) {
		next = a->next;
		free(a);
	}
	journal_free(r->pool_journal);
	faults_free(r->pool_faults);
	pki_fini(&r->pki);
	free(r);
}

const struct rig_ops rig_live_ops = {.name = "loopback",
				     .jobs = 6,
				     .capacity = 16,
				     .open = live_open,
				     .start = live_start,
				     .abort = live_abort,
				     .figures = live_figures,
				     .close = live_close};
