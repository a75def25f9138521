#include "hil/run/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_child(struct ev_loop *loop, ev_child *w, int events)
{
	struct proc *p = w->data;
	int status = w->rstatus;

	(void)events;
	ev_child_stop(loop, w);
	p->pid = 0;
	if (p->exited)
		p->exited(p->ctx, p, status);
}

#define ABOVE 16 /* of every descriptor that a child is given */

int proc_program(const char *path)
{
	int fd = open(path, O_PATH | O_CLOEXEC), high;

	if (fd < 0)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);
	close(fd);
	return high;
}

/* In the child: put each descriptor where it belongs, above the ones still to move. */
static int place(const struct proc_fd *fds, size_t n)
{
	int moved[16];
	size_t i;

	for (i = 0; i < n; i++) {
		moved[i] = fcntl(fds[i].ours, F_DUPFD, 64);
		if (moved[i] < 0) {
			if (errno == EINVAL)
				errno = EMFILE; /* there is no descriptor so high */
			return -1;
		}
	}
	for (i = 0; i < n; i++) {
		if (dup2(moved[i], fds[i].theirs) < 0)
			return -1;
		close(moved[i]);
	}
	return 0;
}

static void child(int program, const char *const *argv, const struct proc_fd *fds, size_t n, int report)
{
	bool has_stdin = false;
	sigset_t none;
	int err, keep;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* a Ctrl-C is the runner's to pass on, in its own time */
	setpgid(0, 0);
	for (size_t i = 0; i < n; i++)
		has_stdin |= fds[i].theirs == 0;
	if (place(fds, n))
		goto fail;
	if (!has_stdin) {
		int null = open("/dev/null", O_RDONLY);

		if (null < 0 || dup2(null, 0) < 0)
			goto fail;
	}
	/* everything of ours is close-on-exec but what was just placed */
	if (program)
		fexecve(program, (char *const *)(uintptr_t)argv, environ);
	/* a script's interpreter could not read what closes at exec: it is started by its name */
	if (!program || errno == ENOENT)
		execv(argv[0], (char *const *)(uintptr_t)argv);
fail:
	err = errno;
	keep = (int)write(report, &err, sizeof(err));
	(void)keep;
	_exit(127);
}

int proc_start(struct proc *p, struct ev_loop *loop, const char *const *argv, const struct proc_fd *fds,
	       size_t n, struct err *e)
{
	int report[2], err = 0;
	ssize_t got;

	if (n > 16)
		return err_set(e, ERR_LIMIT, "too many descriptors for %s", argv[0]);
	if (pipe2(report, O_CLOEXEC))
		return err_set(e, ERR_IO, "pipe: %s", strerror(errno));
	p->pid = fork();
	if (p->pid < 0) {
		close(report[0]);
		close(report[1]);
		p->pid = 0;
		return err_set(e, ERR_IO, "cannot start %s: %s", argv[0], strerror(errno));
	}
	if (p->pid == 0) {
		/* above every descriptor that place() hands out */
		int high = fcntl(report[1], F_DUPFD_CLOEXEC, 128);

		child(p->program, argv, fds, n, high >= 0 ? high : report[1]);
	}
	close(report[1]);
	do
		got = read(report[0], &err, sizeof(err));
	while (got < 0 && errno == EINTR);
	close(report[0]);
	if (got == (ssize_t)sizeof(err)) {
		waitpid(p->pid, NULL, 0);
		p->pid = 0;
		return err_set(e, ERR_NOTFOUND, "cannot start %s: %s", argv[0], strerror(err));
	}
	p->loop = loop;
	ev_child_init(&p->watch, on_child, p->pid, 0);
	p->watch.data = p;
	ev_child_start(loop, &p->watch);
	return 0;
}

void proc_kill(struct proc *p, int signal_number)
{
	if (p->pid > 0)
		kill(p->pid, signal_number);
}

void proc_end(struct proc *p)
{
	if (p->pid <= 0)
		return;
	ev_child_stop(p->loop, &p->watch);
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	p->pid = 0;
}

/* ---- lines ---- */

static void hand_out(struct lines *l)
{
	size_t start = 0;
	char *nl;

	while (l->fd >= 0 && start < l->buf.len &&
	       (nl = memchr(l->buf.data + start, '\n', l->buf.len - start))) {
		char *line = l->buf.data + start;

		*nl = '\0';
		start = (size_t)(nl - l->buf.data) + 1;
		l->line(l->ctx, line, (size_t)(nl - line));
	}
	buf_consume(&l->buf, start);
}

/* False at the end of the stream. */
static bool read_some(struct lines *l, bool *more)
{
	char part[65536];
	ssize_t n = read(l->fd, part, sizeof(part));

	*more = n > 0;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0 || buf_add(&l->buf, part, (size_t)n))
		return false;
	hand_out(l);
	return true;
}

static void end_lines(struct lines *l)
{
	void (*closed)(void *) = l->closed;

	lines_stop(l);
	if (closed)
		closed(l->ctx);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct lines *l = w->data;
	bool more;

	(void)loop;
	(void)events;
	if (!read_some(l, &more))
		end_lines(l);
}

void lines_start(struct lines *l, struct ev_loop *loop, int fd)
{
	l->fd = fd;
	l->loop = loop;
	buf_init(&l->buf, PROC_LINE_MAX);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	ev_io_init(&l->watch, on_readable, fd, EV_READ);
	l->watch.data = l;
	ev_io_start(loop, &l->watch);
}

void lines_drain(struct lines *l)
{
	bool more = true;

	while (l->fd >= 0 && more)
		if (!read_some(l, &more)) {
			end_lines(l);
			return;
		}
}

void lines_stop(struct lines *l)
{
	if (l->fd < 0)
		return;
	ev_io_stop(l->loop, &l->watch);
	close(l->fd);
	l->fd = -1;
	buf_fini(&l->buf);
}

const char *proc_sibling(const char *name)
{
	static char path[PATH_MAX];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return name;
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		slash[1] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s%s", self, name) >= sizeof(path))
		return name;
	return path;
}
