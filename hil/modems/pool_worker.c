/* The process of one modem: pipes, lines, death. */
#include "hil/modems/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hil/modems/pool_int.h"

#define PIN_FD     3
#define EXEC_FD    4
#define READ_CHUNK 4096

static void on_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
	(void)loop;
	(void)events;
	worker_read(w->data);
}

static void close_pair(int fds[2])
{
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* In the child, between fork and exec: nothing but system calls. */
static void become(struct modem *m, char **argv, int in, int out, int pin, int report, pid_t parent)
{
	/* the worker ends with us, however we end */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	/* a Ctrl-C is ours to pass on: a modem is not left in the middle of an SMS */
	setpgid(0, 0);
	/* above everything that the dup2 calls overwrite */
	in = fcntl(in, F_DUPFD, 16);
	out = fcntl(out, F_DUPFD, 16);
	pin = pin < 0 ? -1 : fcntl(pin, F_DUPFD, 16);
	report = fcntl(report, F_DUPFD, 16);
	if (in < 0 || out < 0 || report < 0)
		_exit(127);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	if (pin >= 0)
		dup2(pin, PIN_FD);
	else
		close(PIN_FD);
	dup3(report, EXEC_FD, O_CLOEXEC);
	close_range(EXEC_FD + 1, ~0U, 0);
	execv(m->pool->cfg.worker_path, argv);
	in = errno;
	(void)!write(EXEC_FD, &in, sizeof(in));
	_exit(127);
}

/* A pipe that already holds the PIN, so that it never stands in a command line. */
static int pin_pipe(const char *pin)
{
	int fds[2];

	if (!pin || pipe2(fds, O_CLOEXEC))
		return -1;
	if (write(fds[1], pin, strlen(pin)) < 0) {
		close_pair(fds);
		return -1;
	}
	close(fds[1]);
	return fds[0];
}

static void arguments(struct modem *m, char **argv, char *timeout, char *debug, size_t size)
{
	const struct pool_config *c = &m->pool->cfg;
	size_t n = 0;

	argv[n++] = (char *)"quicrig-modem";
	argv[n++] = (char *)"--name";
	argv[n++] = (char *)m->spec->name;
	argv[n++] = (char *)"--device";
	argv[n++] = (char *)m->spec->device;
	argv[n++] = (char *)"--connection";
	argv[n++] = (char *)(m->spec->connection ? m->spec->connection : "at115200");
	snprintf(timeout, size, "%lu", (unsigned long)((c->send_timeout_ns + NS_PER_S - 1) / NS_PER_S));
	argv[n++] = (char *)"--send-timeout";
	argv[n++] = timeout;
	if (m->spec->imei) {
		argv[n++] = (char *)"--imei";
		argv[n++] = (char *)m->spec->imei;
	}
	if (m->spec->pin) {
		argv[n++] = (char *)"--pin-fd";
		argv[n++] = (char *)"3";
	}
	if (c->debug_dir) {
		snprintf(debug, size, "%s/%s.gammu.log", c->debug_dir, m->spec->name);
		argv[n++] = (char *)"--debug";
		argv[n++] = debug;
	}
	argv[n] = NULL;
}

int worker_start(struct modem *m, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, report[2] = {-1, -1}, pin = -1, why = 0, rv = ERR_ENVIRONMENT;
	char *argv[20], timeout[512], debug[512];
	pid_t pid, parent = getpid();

	arguments(m, argv, timeout, debug, sizeof(debug));
	if (m->spec->pin)
		pin = pin_pipe(m->spec->pin);
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(report, O_CLOEXEC) || (m->spec->pin && pin < 0)) {
		err_set(e, rv, "no pipe for the worker: %s", strerror(errno));
		goto out;
	}
	pid = fork();
	if (pid == 0)
		become(m, argv, in[0], out[1], pin, report[1], parent);
	if (pid < 0) {
		err_set(e, rv, "no process for the worker: %s", strerror(errno));
		goto out;
	}
	close(report[1]);
	report[1] = -1;
	/* ends at once: the exec either closes it or says what was wrong */
	if (read(report[0], &why, sizeof(why)) == (ssize_t)sizeof(why)) {
		waitpid(pid, NULL, 0);
		err_set(e, rv, "cannot run %s: %s", m->pool->cfg.worker_path, strerror(why));
		goto out;
	}
	m->pid = pid;
	m->to_fd = in[1];
	in[1] = -1;
	fcntl(m->to_fd, F_SETFL, O_NONBLOCK);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	buf_reset(&m->in);
	m->in_skip = false;
	ev_io_init(&m->io, on_readable, out[0], EV_READ);
	m->io.data = m;
	ev_io_start(m->pool->cfg.loop, &m->io);
	out[0] = -1;
	rv = 0;
out:
	close_pair(in);
	close_pair(out);
	close_pair(report);
	if (pin >= 0)
		close(pin);
	return rv;
}

void worker_kill(struct modem *m)
{
	struct pool *p = m->pool;

	if (!m->pid)
		return;
	ev_io_stop(p->cfg.loop, &m->io);
	close(m->io.fd);
	close(m->to_fd);
	m->to_fd = -1;
	kill(m->pid, SIGKILL);
	/* a process inside a serial driver may die late: nobody waits for it */
	if (waitpid(m->pid, NULL, WNOHANG) == 0) {
		if (p->corpse_count < sizeof(p->corpses) / sizeof(p->corpses[0]))
			p->corpses[p->corpse_count++] = m->pid;
		if (!ev_is_active(&p->reaper)) {
			ev_timer_set(&p->reaper, 0.02, 0.05);
			ev_timer_start(p->cfg.loop, &p->reaper);
		}
	}
	m->pid = 0;
}

void worker_reap(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct pool *p = w->data;
	size_t kept = 0;

	(void)events;
	for (size_t i = 0; i < p->corpse_count; i++)
		if (waitpid(p->corpses[i], NULL, WNOHANG) == 0)
			p->corpses[kept++] = p->corpses[i];
	p->corpse_count = kept;
	if (!kept)
		ev_timer_stop(loop, w);
}

bool worker_say(struct modem *m, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	bool fine = false;

	if (text && m->pid) {
		size_t len = strlen(text);

		/* a full pipe means that the worker has not read for thousands of lines */
		text[len] = '\n';
		fine = write(m->to_fd, text, len + 1) == (ssize_t)len + 1;
		explicit_bzero(text, len + 1);
	}
	free(text);
	json_decref(line);
	return fine;
}

static void take_lines(struct modem *m)
{
	char *nl;

	while (m->pid && m->in.len && (nl = memchr(m->in.data, '\n', m->in.len))) {
		size_t len = (size_t)(nl - m->in.data);
		char line[WORKER_LINE_MAX];
		bool skip = m->in_skip || len > sizeof(line);

		/* a line may end this worker, and with it the buffer's content */
		if (!skip)
			memcpy(line, m->in.data, len);
		buf_consume(&m->in, len + 1);
		m->in_skip = false;
		if (skip)
			continue;
		modem_line(m, line, len);
		explicit_bzero(line, len);
	}
}

void worker_read(struct modem *m)
{
	char chunk[READ_CHUNK];

	while (m->pid) {
		ssize_t n = read(m->io.fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			modem_lost(m, "its worker died");
			return;
		}
		if (m->in.len + (size_t)n > m->in.max) {
			/* no line is that long: garbage up to the next end of line */
			buf_reset(&m->in);
			m->in_skip = true;
			if (!memchr(chunk, '\n', (size_t)n))
				continue;
		}
		buf_add(&m->in, chunk, (size_t)n);
		take_lines(m);
	}
}
