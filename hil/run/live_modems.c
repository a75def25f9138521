#include "hil/run/live_modems.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <ev.h>

#include "core/fault.h"
#include "hil/modems/gateway.h"
#include "hil/modems/pool.h"
#include "hil/run/live_budget.h"
#include "hil/run/plan.h"
#include "hil/run/proc.h"

#define COMING_UP_S    60.0
#define EMULATOR_ENDED "the modem emulator ended"

/* Whose answer is awaited from the emulator. */
struct asked {
	struct asked *next;
	live_answered *answered; /* NULL: nobody's any more */
	void *ctx;
};

struct live_modems {
	struct live_modems_config cfg;
	char dir[LIVE_PATH_MAX], gateway_path[LIVE_PATH_MAX + 8], emulator_control[LIVE_PATH_MAX + 8];
	bool told; /* ready was called */
	unsigned senders, receivers, n;
	struct modem_spec modems[LIVE_MODEMS_MAX];
	char names[LIVE_MODEMS_MAX][16], numbers[LIVE_MODEMS_MAX][MSISDN_MAX + 1];
	char ttys[LIVE_MODEMS_MAX][LIVE_PATH_MAX + 32];
	const char *receiver_numbers[LIVE_MODEMS_MAX + 1],
		*sender_numbers[LIVE_MODEMS_MAX + 1]; /* of a rig file */
	struct proc emulator;
	struct lines emulator_out, emulator_journal, emulator_answers;
	int emulator_socket;
	struct asked *asked, **asked_tail; /* control lines that the emulator has yet to answer */
	bool emulator_ready, emulator_gone;
	struct pool *pool;
	struct gateway *gateway;
	struct journal *pool_journal;
	struct faults *pool_faults;
	ev_timer coming_up; /* the modems must be ready by then */
};

static void say_ready(struct live_modems *m, bool ok, const char *why)
{
	if (m->told)
		return;
	m->told = true;
	ev_timer_stop(m->cfg.loop, &m->coming_up);
	m->cfg.ready(m->cfg.ctx, ok, why);
}

/* ---- what they write ---- */

static void pool_event(void *ctx, const struct journal_event *ev)
{
	struct live_modems *m = ctx;

	m->cfg.event(m->cfg.ctx, ev, NULL, 0);
}

static void emulator_line(void *ctx, char *line, size_t len)
{
	struct live_modems *m = ctx;
	struct journal_record rec;

	if (journal_parse(line, len, &rec, NULL)) {
		m->cfg.unread(m->cfg.ctx);
		return;
	}
	m->cfg.event(m->cfg.ctx, &rec.ev, line, len);
	journal_record_free(&rec);
}

/* ---- the emulator ---- */

static int emulator_say(struct live_modems *m, json_t *msg, live_answered *answered, void *ctx, struct err *e)
{
	struct asked *a = calloc(1, sizeof(*a));
	char *text = json_dumps(msg, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	int rv = 0;

	if (!a || !text) {
		rv = err_set(e, ERR_NOMEM, "out of memory");
	} else {
		text[len] = '\n'; /* over the NUL: the line is written by length */
		if (write(m->emulator_socket, text, len + 1) != (ssize_t)len + 1)
			rv = err_set(e, ERR_IO, "the modem emulator does not listen: %s", strerror(errno));
	}
	free(text);
	if (rv) {
		free(a);
		return rv;
	}
	a->answered = answered;
	a->ctx = ctx;
	*m->asked_tail = a;
	m->asked_tail = &a->next;
	return 0;
}

static void emulator_answer(void *ctx, char *line, size_t len)
{
	struct live_modems *m = ctx;
	struct asked *a = m->asked;
	json_t *answer = json_loadb(line, len, 0, NULL);

	if (a) {
		m->asked = a->next;
		if (!m->asked)
			m->asked_tail = &m->asked;
		if (a->answered)
			a->answered(a->ctx, json_is_true(json_object_get(answer, "ok")),
				    json_string_value(json_object_get(answer, "error")));
		free(a);
	}
	json_decref(answer);
}

void live_modems_forget(struct live_modems *m, void *ctx)
{
	for (struct asked *a = m->asked; a; a = a->next)
		if (a->ctx == ctx)
			a->answered = NULL;
}

/* No carrier of ours: what would act on the way acts where the pool hands over the text
 * that a modem received. What only a carrier or an emulated modem can do is refused. */
static int arm_real(struct live_modems *m, json_t *spec, struct err *e)
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
	rv = faults_arm(m->pool_faults, moved, e);
	json_decref(moved);
	return rv;
}

int live_modems_arm_carrier(struct live_modems *m, json_t *spec, live_answered *answered, void *ctx,
			    struct err *e)
{
	json_t *msg;
	int rv;

	if (m->cfg.file)
		return arm_real(m, spec, e);
	msg = json_pack("{s:s, s:O}", "do", "fault", "fault", spec);
	rv = msg ? emulator_say(m, msg, answered, ctx, e) : err_set(e, ERR_NOMEM, "out of memory");
	json_decref(msg);
	return rv ? rv : 1;
}

int live_modems_arm_pool(struct live_modems *m, json_t *spec, struct err *e)
{
	return faults_arm(m->pool_faults, spec, e);
}

int live_modems_act(struct live_modems *m, json_t *order, live_answered *answered, void *ctx, struct err *e)
{
	if (m->cfg.file)
		return err_set(e, ERR_UNSUPPORTED, "what befalls a modem needs emulated ones");
	return m->emulator_gone ? err_set(e, ERR_CLOSED, EMULATOR_ENDED)
				: emulator_say(m, order, answered, ctx, e);
}

void live_modems_disarm(struct live_modems *m, const char *name, bool carrier)
{
	json_t *msg;

	if (m->cfg.file || !carrier) {
		faults_disarm(m->pool_faults, name);
		return;
	}
	msg = json_pack("{s:s, s:s}", "do", "disarm", "name", name);
	if (msg && !m->emulator_gone)
		emulator_say(m, msg, NULL, NULL, NULL);
	json_decref(msg);
}

static int connect_control(struct live_modems *m)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(m->emulator_control) < sizeof(a.sun_path))
		strcpy(a.sun_path, m->emulator_control);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static void deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	struct live_modems *m = ctx;

	m->cfg.deliver(m->cfg.ctx, uuid, from, text);
}

static void foreign(void *ctx, const char *modem, const char *from, const char *text)
{
	struct live_modems *m = ctx;

	for (unsigned i = m->senders; m->cfg.foreign && i < m->n; i++)
		if (strcmp(m->modems[i].name, modem) == 0)
			m->cfg.foreign(m->cfg.ctx, i - m->senders, from, text);
}

static void modem_changed(void *ctx, const struct modem_spec *modem, enum modem_state state, const char *why)
{
	struct live_modems *m = ctx;

	(void)modem;
	(void)state;
	(void)why;
	if (m->pool && !m->told && pool_ready_count(m->pool, MODEM_BOTH) == m->n)
		say_ready(m, true, NULL);
}

static int start_pool(struct live_modems *m, struct err *e)
{
	char budget[LIVE_PATH_MAX] = "";
	struct pool_config pc = {.loop = m->cfg.loop,
				 .journal = m->pool_journal,
				 .run_key = m->cfg.run_key,
				 .worker_path = proc_sibling("quicrig-modem"),
				 .modems = m->modems,
				 .modem_count = m->n,
				 .debug_dir = m->cfg.libgammu_debug,
				 .real = m->cfg.file != NULL,
				 .send_timeout_ns = m->cfg.send_limit,
				 .ctx = m,
				 .deliver = deliver,
				 .foreign = m->cfg.file ? NULL : foreign,
				 .changed = modem_changed};
	struct gateway_config gc = {.loop = m->cfg.loop, .path = m->gateway_path};

	if (m->cfg.file && live_budget_path(m->modems, m->n, budget, sizeof(budget), e))
		return e->code;
	pc.budget_file = budget[0] ? budget : NULL; /* the pool keeps a copy */
	m->pool = pool_new(&pc, e);
	if (!m->pool)
		return e->code;
	gc.pool = m->pool;
	m->gateway = gateway_new(&gc, e);
	return m->gateway ? 0 : e->code;
}

/* The emulator's first line: the modems stand on their terminals. Each is opened by its
 * link, which follows a modem that is pulled out and comes back under another name. */
static void emulator_said(void *ctx, char *line, size_t len)
{
	struct live_modems *m = ctx;
	json_t *root = json_loadb(line, len, 0, NULL), *ready = json_object_get(root, "ready");
	struct err e = {0};
	char why[800];
	int fd;

	if (m->emulator_ready || !ready)
		goto out;
	m->emulator_ready = true;
	fd = connect_control(m);
	if (fd < 0) {
		say_ready(m, false, "the modem emulator does not take control lines");
		goto out;
	}
	m->emulator_socket = fd;
	m->emulator_answers.line = emulator_answer;
	m->emulator_answers.ctx = m;
	lines_start(&m->emulator_answers, m->cfg.loop, fd);
	if (start_pool(m, &e))
		say_ready(m, false, err_format(&e, why, sizeof(why)));
out:
	json_decref(root);
}

static void emulator_gone(void *ctx, struct proc *p, int status)
{
	struct live_modems *m = ctx;
	char why[100];

	(void)p;
	m->emulator_gone = true;
	say_ready(m, false, EMULATOR_ENDED);
	snprintf(why, sizeof(why), "%s (%s %d)", EMULATOR_ENDED, WIFSIGNALED(status) ? "signal" : "exit",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	m->cfg.gone(m->cfg.ctx, why);
}

static void on_coming_up(struct ev_loop *loop, ev_timer *w, int events)
{
	struct live_modems *m = w->data;
	struct pool_modem one;
	char why[380];
	int n;

	(void)loop;
	(void)events;
	n = snprintf(why, sizeof(why), "%zu of %u modems were ready after %.0f s",
		     m->pool ? pool_ready_count(m->pool, MODEM_BOTH) : (size_t)0, m->n, COMING_UP_S);
	for (size_t i = 0; m->pool && pool_modem(m->pool, i, &one) && n < (int)sizeof(why); i++)
		if (one.state != MODEM_READY)
			n += snprintf(why + n, sizeof(why) - (size_t)n, "; %s (%s) is %s%s%.60s",
				      one.spec->name, m->modems[i].device, modem_state_name(one.state),
				      *one.why ? ": " : "", one.why);
	say_ready(m, false, why);
}

/* ---- which ---- */

/* The rig file's modems: its SIMs' numbers are the devices' and the known senders'. */
static int take_modems(struct live_modems *m, struct err *e)
{
	const struct rigfile *f = m->cfg.file;

	if (!f->server_ours)
		return err_set(e, ERR_UNSUPPORTED,
			       "a rig with a server that is not ours cannot be run yet; "
			       "'quicrig device --server' attaches one device to it");
	if (f->modems_n > LIVE_MODEMS_MAX)
		return err_set(e, ERR_LIMIT, "at most %d modems", LIVE_MODEMS_MAX);
	for (size_t i = 0; i < f->modems_n; i++) {
		const struct modem_spec *one = &f->modems[i];

		if (!one->device || !one->number)
			return err_set(e, ERR_ENVIRONMENT,
				       "modem '%s' needs its 'device' and its SIM's 'number'", one->name);
		m->modems[m->n++] = *one;
		if (one->role != MODEM_SENDER)
			m->receiver_numbers[m->receivers++] = one->number;
		if (one->role != MODEM_RECEIVER)
			m->sender_numbers[m->senders++] = one->number;
	}
	if (!m->senders || !m->receivers)
		return err_set(e, ERR_ENVIRONMENT, "a rig needs a modem that sends and one that receives");
	if (f->senders_any)
		m->sender_numbers[0] = NULL;
	for (size_t i = 0; !f->senders_any && i < f->senders_n && i < LIVE_MODEMS_MAX; i++) {
		m->sender_numbers[i] = f->senders[i];
		m->sender_numbers[i + 1] = NULL;
	}
	return 0;
}

static void name_modems(struct live_modems *m)
{
	m->senders = m->cfg.senders;
	m->receivers = m->cfg.receivers;
	m->n = m->senders + m->receivers;
	for (unsigned i = 0; i < m->n; i++) {
		bool sender = i < m->senders;
		unsigned k = sender ? i : i - m->senders;

		snprintf(m->names[i], sizeof(m->names[i]), "%c%u", sender ? 's' : 'r', k + 1);
		snprintf(m->ttys[i], sizeof(m->ttys[i]), "%s/tty/%c%u", m->cfg.dir, sender ? 's' : 'r', k + 1);
		(sender ? plan_sender_number : plan_receiver_number)(k, m->numbers[i]);
		m->modems[i] = (struct modem_spec){.name = m->names[i],
						   .device = m->ttys[i],
						   .number = m->numbers[i],
						   .role = sender ? MODEM_SENDER : MODEM_RECEIVER,
						   .per_minute = sender ? m->cfg.per_minute : 0,
						   .per_day = sender ? m->cfg.per_day : 0};
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

static int write_modems(struct live_modems *m, const char *path, struct err *e)
{
	json_t *list = json_array(), *root;
	char *text;
	int rv;

	for (unsigned i = 0; i < m->n; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "name", m->names[i], "number", m->numbers[i]));
	root = json_pack("{s:i, s:I, s:s, s:o}", "version", 1, "seed", (json_int_t)(m->cfg.seed >> 1),
			 "carrier", m->cfg.carrier, "modems", list);
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

static int start_emulator(struct live_modems *m, struct err *e)
{
	char modems[LIVE_PATH_MAX + 16], control[LIVE_PATH_MAX + 16], ttys[LIVE_PATH_MAX + 8];
	const char *argv[] = {proc_sibling("quicrig"),
			      "modems",
			      "emulate",
			      "--modems",
			      modems,
			      "--control",
			      control,
			      "--journal-fd",
			      "3",
			      "--run-key-fd",
			      "4",
			      "--link-dir",
			      ttys,
			      NULL};
	char self[LIVE_PATH_MAX];
	int out[2] = {-1, -1}, journal[2] = {-1, -1}, key = live_key_fd(m->cfg.run_key), rv;

	snprintf(self, sizeof(self), "%s", argv[0]);
	argv[0] = self;
	snprintf(modems, sizeof(modems), "%s/modems.json", m->dir);
	snprintf(control, sizeof(control), "unix:%s", m->emulator_control);
	snprintf(ttys, sizeof(ttys), "%s/tty", m->dir);
	rv = mkdir(ttys, 0700) ? err_set(e, ERR_IO, "%s: %s", ttys, strerror(errno))
			       : write_modems(m, modems, e);
	if (!rv && (key < 0 || pipe2(out, O_CLOEXEC) || pipe2(journal, O_CLOEXEC)))
		rv = err_set(e, ERR_IO, "pipe: %s", strerror(errno));
	if (rv) {
		const int fds[] = {key, out[0], out[1], journal[0], journal[1]};

		for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
			if (fds[i] >= 0)
				close(fds[i]);
		return rv;
	}
	m->emulator.exited = emulator_gone;
	m->emulator.ctx = m;
	rv = proc_start(&m->emulator, m->cfg.loop, argv,
			(struct proc_fd[]){{out[1], 1}, {journal[1], 3}, {key, 4}}, 3, e);
	close(out[1]);
	close(journal[1]);
	close(key);
	m->emulator_out.line = emulator_said;
	m->emulator_journal.line = emulator_line;
	m->emulator_out.ctx = m->emulator_journal.ctx = m;
	lines_start(&m->emulator_out, m->cfg.loop, out[0]);
	lines_start(&m->emulator_journal, m->cfg.loop, journal[0]);
	return rv;
}

/* ---- life ---- */

struct live_modems *live_modems_new(const struct live_modems_config *cfg, struct err *e)
{
	struct live_modems *m = calloc(1, sizeof(*m));

	if (!m) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	m->cfg = *cfg;
	m->asked_tail = &m->asked;
	m->emulator_socket = -1;
	m->emulator_out.fd = m->emulator_journal.fd = m->emulator_answers.fd = -1;
	ev_timer_init(&m->coming_up, on_coming_up, COMING_UP_S, 0.);
	m->coming_up.data = m;
	snprintf(m->dir, sizeof(m->dir), "%s", cfg->dir);
	snprintf(m->gateway_path, sizeof(m->gateway_path), "%s/sms", m->dir);
	snprintf(m->emulator_control, sizeof(m->emulator_control), "%s/modems", m->dir);
	m->pool_journal = journal_new(NULL, NULL);
	m->pool_faults = faults_new(1);
	if (!m->pool_journal || !m->pool_faults) {
		err_set(e, ERR_NOMEM, "out of memory");
		goto fail;
	}
	journal_set_reader(m->pool_journal, pool_event, m);
	journal_set_hook(m->pool_journal, fault_hook, m->pool_faults);
	if (!cfg->file && cfg->senders + cfg->receivers > LIVE_MODEMS_MAX) {
		err_set(e, ERR_LIMIT, "at most %d modems", LIVE_MODEMS_MAX);
		goto fail;
	}
	if (!cfg->file)
		name_modems(m);
	if (cfg->file ? take_modems(m, e) || start_pool(m, e) : start_emulator(m, e))
		goto fail;
	ev_timer_start(cfg->loop, &m->coming_up);
	return m;
fail:
	live_modems_free(m, 0);
	return NULL;
}

void live_modems_free(struct live_modems *m, time_ns grace_ns)
{
	struct asked *a, *next;

	if (!m)
		return;
	ev_timer_stop(m->cfg.loop, &m->coming_up);
	m->told = true; /* nobody is to hear of what ends now */
	if (m->pool)
		pool_quit(m->pool, grace_ns);
	gateway_free(m->gateway);
	pool_free(m->pool);
	lines_stop(&m->emulator_answers);
	proc_end(&m->emulator);
	lines_stop(&m->emulator_out);
	lines_stop(&m->emulator_journal);
	for (a = m->asked; a; a = next) {
		next = a->next;
		free(a);
	}
	journal_free(m->pool_journal);
	faults_free(m->pool_faults);
	free(m);
}

/* ---- what is known ---- */

const char *live_modems_gateway(const struct live_modems *m)
{
	return m->gateway_path;
}

bool live_modems_gone(const struct live_modems *m)
{
	return m->emulator_gone;
}

const char *const *live_modems_receivers(const struct live_modems *m, unsigned *n)
{
	*n = m->cfg.file ? m->receivers : 0;
	return m->cfg.file ? m->receiver_numbers : NULL;
}

const char *const *live_modems_senders(const struct live_modems *m)
{
	return m->cfg.file ? m->sender_numbers : NULL;
}

json_t *live_modems_figures(const struct live_modems *m)
{
	struct pool_stats s;

	pool_stats(m->pool, &s);
	return json_pack("{s:I, s:I, s:I, s:I}", "submitted", (json_int_t)s.submitted, "delivered",
			 (json_int_t)s.delivered, "failed", (json_int_t)s.failed, "unknown",
			 (json_int_t)s.unknown);
}
