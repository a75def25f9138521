/* The virtual rig as the runner sees it: one quicrig-virtual child a scenario, the plan
 * on its stdin, its journal on descriptor 3 (contracts.md, quicrig-virtual). */
#include "hil/run/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hil/run/proc.h"

#define WALL_DEFAULT_S 120.0
#define RSS_EVERY_S    0.25

struct rig {
	struct rig_options o;
	void (*ready)(void *ctx, bool ok, const char *why);
	ev_timer later;
	const char *program; /* beside this one */
	int program_fd;	     /* held open: who builds meanwhile takes it from no scenario */
	LIST_HEAD(, virtual_job) jobs;
};

struct virtual_job {
	LIST_ENTRY(virtual_job) link;
	struct job *job;
	struct proc proc;
	struct lines lines;
	ev_timer wall, rss;
	struct ev_loop *loop;
	bool eof, exited;
	int status;
	size_t bad_lines, events;
	time_ns first, last;
};

static void on_ready(struct ev_loop *loop, ev_timer *w, int events)
{
	struct rig *r = w->data;

	(void)loop;
	(void)events;
	r->ready(r->o.ctx, true, NULL);
}

static struct rig *virtual_open(const struct rig_options *o, void (*ready)(void *, bool, const char *),
				struct err *e)
{
	const char *program = o->program ? o->program : "quicrig-virtual";
	struct rig *r;

	if (access(proc_sibling(program), X_OK)) {
		err_set(e, ERR_ENVIRONMENT, "%s does not stand beside quicrig: build it (make build)", program);
		return NULL;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	r->program_fd = proc_program(proc_sibling(program));
	if (r->program_fd < 0) {
		err_set(e, ERR_ENVIRONMENT, "%s cannot be opened: %s", program, strerror(errno));
		free(r);
		return NULL;
	}
	r->o = *o;
	r->program = program;
	r->ready = ready;
	LIST_INIT(&r->jobs);
	ev_timer_init(&r->later, on_ready, 0., 0.);
	r->later.data = r;
	ev_timer_start(o->loop, &r->later);
	return r;
}

static void finish(struct virtual_job *v)
{
	struct job *job = v->job;

	ev_timer_stop(v->loop, &v->wall);
	ev_timer_stop(v->loop, &v->rss);
	lines_stop(&v->lines);
	if (!job->interrupted && !job->harness[0]) {
		if (v->bad_lines)
			snprintf(job->harness, sizeof(job->harness), "%zu journal lines could not be read",
				 v->bad_lines);
		else if (WIFSIGNALED(v->status))
			snprintf(job->harness, sizeof(job->harness), "quicrig-virtual died by signal %d",
				 WTERMSIG(v->status));
		else if (WEXITSTATUS(v->status))
			snprintf(job->harness, sizeof(job->harness), "quicrig-virtual ended with code %d",
				 WEXITSTATUS(v->status));
	}
	job->rig_ns = v->last - v->first;
	job->wall_s = ev_now(v->loop) - job->started_s;
	job->rig = NULL;
	LIST_REMOVE(v, link);
	free(v);
	job->done(job->ctx, job);
}

static void on_line(void *ctx, char *line, size_t len)
{
	struct virtual_job *v = ctx;
	struct job *job = v->job;
	struct journal_record rec;

	if (journal_parse(line, len, &rec, NULL)) {
		v->bad_lines++;
		return;
	}
	if (!v->events++)
		v->first = rec.ev.t;
	v->last = rec.ev.t;
	/* the last line: whatever stands behind it takes that back */
	job->end[0] = '\0';
	if (rec.ev.kind == J_SCENARIO_END)
		snprintf(job->end, sizeof(job->end), "%s", journal_text(&rec.ev, JF_WHY));
	if (job->event)
		job->event(job->ctx, job, &rec.ev, line, len);
	if (job->tape && !tape_record(job->tape, &rec))
		return;
	v->bad_lines += job->tape != NULL;
	journal_record_free(&rec);
}

static void on_eof(void *ctx)
{
	struct virtual_job *v = ctx;

	v->eof = true;
	if (v->exited)
		finish(v);
}

static void on_exit_status(void *ctx, struct proc *p, int status)
{
	struct virtual_job *v = ctx;

	(void)p;
	v->exited = true;
	v->status = status;
	if (v->eof)
		finish(v);
}

static void on_wall(struct ev_loop *loop, ev_timer *w, int events)
{
	struct virtual_job *v = w->data;

	(void)loop;
	(void)events;
	snprintf(v->job->harness, sizeof(v->job->harness), "over its wall-clock limit of %.0f s",
		 ev_now(loop) - v->job->started_s);
	proc_kill(&v->proc, SIGKILL);
}

static void on_rss(struct ev_loop *loop, ev_timer *w, int events)
{
	struct virtual_job *v = w->data;

	(void)loop;
	(void)events;
	if (v->last > v->first && !v->exited)
		rss_add(&v->job->rss, v->last - v->first, rss_of(v->proc.pid));
}

static int plan_file(json_t *plan, struct err *e)
{
	char *text = json_dumps(plan, JSON_COMPACT);
	int fd = memfd_create("plan", MFD_CLOEXEC);
	size_t len = text ? strlen(text) : 0;

	if (fd < 0 || !text || write(fd, text, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET)) {
		err_set(e, ERR_IO, "cannot hand over the plan: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	free(text);
	return fd;
}

static int virtual_start(struct rig *r, struct job *job, struct err *e)
{
	const char *argv[] = {proc_sibling(r->program), NULL};
	struct virtual_job *v = calloc(1, sizeof(*v));
	json_int_t wall = json_integer_value(json_object_get(job->plan, "wall_ns"));
	int in = plan_file(job->plan, e), out[2], rv;

	if (!v || in < 0 || pipe2(out, O_CLOEXEC)) {
		free(v);
		if (in >= 0)
			close(in);
		return err_set(e, ERR_IO, "cannot start a virtual run: %s", strerror(errno));
	}
	fcntl(out[0], F_SETPIPE_SZ, 1 << 20);
	v->job = job;
	v->loop = r->o.loop;
	v->proc.program = r->program_fd;
	v->proc.exited = on_exit_status;
	v->proc.ctx = v;
	v->lines.line = on_line;
	v->lines.closed = on_eof;
	v->lines.ctx = v;
	rv = proc_start(&v->proc, r->o.loop, argv, (struct proc_fd[]){{in, 0}, {out[1], 3}}, 2, e);
	close(in);
	close(out[1]);
	if (rv) {
		close(out[0]);
		free(v);
		return rv;
	}
	lines_start(&v->lines, r->o.loop, out[0]);
	ev_timer_init(&v->wall, on_wall, wall ? (double)wall / 1e9 : WALL_DEFAULT_S, 0.);
	ev_timer_init(&v->rss, on_rss, RSS_EVERY_S, RSS_EVERY_S);
	v->wall.data = v->rss.data = v;
	ev_timer_start(r->o.loop, &v->rss);
	ev_timer_start(r->o.loop, &v->wall);
	job->rig = v;
	LIST_INSERT_HEAD(&r->jobs, v, link);
	job->started_s = ev_now(r->o.loop);
	return 0;
}

static void virtual_abort(struct rig *r, struct job *job, bool hard)
{
	struct virtual_job *v = job->rig;

	(void)r;
	(void)hard;
	job->interrupted = true;
	if (v)
		proc_kill(&v->proc, SIGKILL);
}

static json_t *virtual_figures(struct rig *r)
{
	(void)r;
	return NULL;
}

/* What still runs is cut short; each of them is done, with its journal up to then. */
static void virtual_close(struct rig *r)
{
	struct virtual_job *v;

	while ((v = LIST_FIRST(&r->jobs))) {
		v->job->interrupted = true;
		proc_end(&v->proc);
		v->exited = true;
		lines_drain(&v->lines); /* its end finishes the job */
		if (LIST_FIRST(&r->jobs) == v)
			finish(v);
	}
	ev_timer_stop(r->o.loop, &r->later);
	close(r->program_fd);
	free(r);
}

const struct rig_ops rig_virtual_ops = {.name = "virtual",
					.virtual_time = true,
					.jobs = 2,
					.open = virtual_open,
					.start = virtual_start,
					.abort = virtual_abort,
					.figures = virtual_figures,
					.close = virtual_close};
