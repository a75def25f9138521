/* The server child of one scenario on the live rig: started, listened to over its
 * journal and its control socket, missed when it dies. */
#include "hil/run/live.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/settings.h"
#include "hil/run/plan.h"

#define NOW(j) live_loop_now((j)->rig->o.live)

/* ---- control ---- */

int live_server_say(struct live_job *j, json_t *msg)
{
	char *text = json_dumps(msg, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	bool ok = false;

	if (text && j->control.fd >= 0) {
		text[len] = '\n';
		ok = write(j->control.fd, text, len + 1) == (ssize_t)len + 1;
	}
	free(text);
	if (ok) {
		j->control_pending++;
		json_array_append(j->asked, msg);
	}
	return ok ? 0 : ERR_CLOSED;
}

int live_server_operate(struct live_job *j, json_t *request)
{
	if (j->server_ready && !live_server_say(j, request))
		return 0;
	return plan_line_waits(request) && json_array_append(j->owed, request) ? ERR_NOMEM : 0;
}

int live_server_pay(struct live_job *j)
{
	while (json_array_size(j->owed)) {
		int rv = live_server_say(j, json_array_get(j->owed, 0));

		if (rv)
			return rv;
		json_array_remove(j->owed, 0);
	}
	return 0;
}

/* The server is gone: what it never answered it may not have done. Faults are armed
 * anew with the next one. */
static void keep_unanswered(struct live_job *j)
{
	size_t i, n = 0;
	json_t *line;

	json_array_foreach(j->asked, i, line)
		if (!json_object_get(line, "fault") && plan_line_waits(line))
			json_array_insert(j->owed, n++, line);
	json_array_clear(j->asked);
}

static void control_line(void *ctx, char *line, size_t len)
{
	struct live_job *j = ctx;
	json_t *answer = json_loadb(line, len, 0, NULL);
	const char *error = json_string_value(json_object_get(answer, "error"));
	json_t *asked = json_array_get(j->asked, 0);

	if (j->control_pending)
		j->control_pending--;
	/* a failing disk is asked until it works, or with the next server */
	if (json_is_true(json_object_get(answer, "retry")) && asked && !json_array_append(j->owed, asked)) {
		ev_timer_start(j->rig->o.loop, &j->ask_again);
		error = NULL;
	}
	json_array_remove(j->asked, 0);
	if (error && j->phase != LIVE_ENDING)
		live_job_fail(j, "the server refused a control line: %s", error);
	json_decref(answer);
	live_job_begin(j);
}

void live_server_ask_again(struct ev_loop *loop, ev_timer *w, int events)
{
	struct live_job *j = w->data;

	(void)loop;
	(void)events;
	if (j->server_ready && j->phase == LIVE_RUNNING && live_server_pay(j))
		live_job_fail(j, "the server takes no control lines");
}

static void control_closed(void *ctx)
{
	((struct live_job *)ctx)->control_pending = 0;
}

static int connect_control(struct live_job *j)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(j->control_path) < sizeof(a.sun_path))
		strcpy(a.sun_path, j->control_path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a))) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	j->control.line = control_line;
	j->control.closed = control_closed;
	j->control.ctx = j;
	lines_start(&j->control, j->rig->o.loop, fd);
	return 0;
}

/* ---- the child ---- */

static void server_line(void *ctx, char *line, size_t len)
{
	struct live_job *j = ctx;
	bool was = j->server_ready;

	live_job_line(j, line, len);
	if (was || !j->server_ready || j->phase == LIVE_ENDING)
		return;
	if (connect_control(j))
		live_job_fail(j, "the server's control socket: %s", strerror(errno));
	else
		live_job_server_ready(j);
}

/* The last line that the server wrote for people. */
static const char *last_words(struct live_job *j, char *out, size_t size)
{
	char path[LIVE_PATH_MAX + 32], line[240];
	FILE *f;

	snprintf(path, sizeof(path), "%s/server.log", j->dir);
	snprintf(out, size, "it said nothing");
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			snprintf(out, size, "%s", line);
	}
	if (f)
		fclose(f);
	return out;
}

/* Ended, and its last line read. */
static void server_over(struct live_job *j)
{
	bool asked = j->server_ending, again = j->server_again;
	char words[240];
	struct err e = {0};

	if (j->server.pid || j->journal_open)
		return;
	lines_stop(&j->control);
	j->control_pending = 0;
	keep_unanswered(j);
	j->server_ready = j->server_ending = j->server_again = false;
	if (j->phase == LIVE_ENDING) {
		live_job_finish(j);
		return;
	}
	if (j->phase != LIVE_RUNNING) {
		live_job_fail(j, "the server ended before it was ready: %.200s",
			      last_words(j, words, sizeof(words)));
		return;
	}
	if (asked)
		plan_server_ended(j->plan);
	else
		plan_server_died(j->plan, NOW(j));
	j->server_wanted = again;
	if (again && live_server_start(j, &e))
		live_job_fail(j, "%.250s", e.text);
}

static void server_journal_end(void *ctx)
{
	struct live_job *j = ctx;

	j->journal_open = false;
	server_over(j);
}

/* A server that breaks when it is told to end is as broken as one that does so before. */
static void judge_last_exit(struct live_job *j, int status, const char *why)
{
	struct job *job = j->job;
	char words[240];

	if (job->interrupted || job->harness[0])
		return;
	if (j->server_killed)
		snprintf(job->server_died, sizeof(job->server_died), "not at SIGTERM: it had to be killed");
	else if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : WEXITSTATUS(status) != 0)
		snprintf(job->server_died, sizeof(job->server_died), "%s: %.200s", why,
			 last_words(j, words, sizeof(words)));
}

static void server_exited(void *ctx, struct proc *p, int status)
{
	struct live_job *j = ctx;
	char why[60];

	(void)p;
	if (WIFSIGNALED(status))
		snprintf(why, sizeof(why), "signal %d", WTERMSIG(status));
	else
		snprintf(why, sizeof(why), "exit %d", WEXITSTATUS(status));
	if (j->phase == LIVE_ENDING) {
		judge_last_exit(j, status, why);
		server_over(j);
		return;
	}
	JOURNAL(j->journal, NOW(j)->now, "server", NULL, NULL, NULL, J_SERVER_STATE, JS(STATE, "down"),
		JS(WHY, why));
	server_over(j);
}

#define SET_MAX 64

int live_server_start(struct live_job *j, struct err *e)
{
	char self[LIVE_PATH_MAX], registry[LIVE_PATH_MAX + 32], db[LIVE_PATH_MAX + 32], listen[40];
	char sms[LIVE_PATH_MAX + 8], control[LIVE_PATH_MAX + 8], sets[SETTING_COUNT][80];
	const char *argv[32 + 2 * SETTING_COUNT] = {
		self,		"serve",      "--listen", listen, "--registry", registry, "--db",	  db,
		"--pki",	j->rig->keys, "--sms",	  sms,	  "--control",	control,  "--journal-fd", "3",
		"--run-key-fd", "4",	      "--lab"};
	const struct settings *s = plan_settings(j->plan);
	char log[LIVE_PATH_MAX + 32], offset[32];
	int n = 19, out[2], key = live_key_fd(j->rig->run_key), words, rv;

	snprintf(self, sizeof(self), "%s", proc_sibling("quicrig"));
	snprintf(listen, sizeof(listen), "127.0.0.1:%d", j->port);
	snprintf(registry, sizeof(registry), "%s/registry.json", j->dir);
	snprintf(db, sizeof(db), "%s/server.db", j->dir);
	snprintf(sms, sizeof(sms), "unix:%s", live_modems_gateway(j->modems));
	snprintf(control, sizeof(control), "unix:%s", j->control_path);
	for (int k = 0; k < SETTING_COUNT; k++) {
		char value[40];

		if (setting_side((enum setting)k) != SETTING_SIDE_SERVER)
			continue;
		snprintf(sets[k], sizeof(sets[k]), "%s=%s", setting_name((enum setting)k),
			 setting_format((enum setting)k, s->v[k], value, sizeof(value)));
		argv[n++] = "--set";
		argv[n++] = sets[k];
	}
	if (plan_server_clock(j->plan)) {
		snprintf(offset, sizeof(offset), "%" PRId64, plan_server_clock(j->plan));
		argv[n++] = "--clock-offset";
		argv[n++] = offset;
	}
	argv[n] = NULL;
	if (key < 0 || pipe2(out, O_CLOEXEC)) {
		err_set(e, ERR_IO, "pipe: %s", strerror(errno));
		if (key >= 0)
			close(key);
		return ERR_IO;
	}
	fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
	j->server.exited = server_exited;
	j->server.ctx = j;
	snprintf(log, sizeof(log), "%s/server.log", j->dir);
	words = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (words < 0)
		words = dup(STDERR_FILENO);
	rv = proc_start(&j->server, j->rig->o.loop, argv,
			(struct proc_fd[]){{out[1], 3}, {key, 4}, {words, 2}}, 3, e);
	close(out[1]);
	close(key);
	close(words);
	if (rv) {
		close(out[0]);
		return rv;
	}
	j->job->rss = (struct rss_track){0}; /* another process, another life */
	j->server_wanted = j->journal_open = true;
	j->server_ready = false;
	j->server_journal.line = server_line;
	j->server_journal.closed = server_journal_end;
	j->server_journal.ctx = j;
	lines_start(&j->server_journal, j->rig->o.loop, out[0]);
	return 0;
}
