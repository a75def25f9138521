/* Child processes of a run: started with named descriptors, watched by libev, read
 * line by line. Every child of a run is started here and dies with it. */
#ifndef HIL_RUN_PROC_H
#define HIL_RUN_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <ev.h>

#include "core/buf.h"
#include "core/err.h"

#define PROC_LINE_MAX (1u << 20)

/* A descriptor for the child: `ours` becomes `theirs` there. */
struct proc_fd {
	int ours, theirs;
};

struct proc {
	pid_t pid; /* 0: not running */
	int program; /* an open program to be started in argv[0]'s stead (proc_program); 0: none */
	ev_child watch;
	struct ev_loop *loop;
	void (*exited)(void *ctx, struct proc *p, int status); /* wait status */
	void *ctx;
};

/* Starts argv[0] (a path) with exactly these descriptors (all others are closed on
 * exec); stdin is /dev/null and stderr is inherited unless named. The child gets
 * SIGKILL when we die. 0 or ERR_IO, ERR_NOTFOUND with a sentence. */
int proc_start(struct proc *p, struct ev_loop *loop, const char *const *argv, const struct proc_fd *fds,
	       size_t n, struct err *e);
/* Opens a program, so that whatever replaces its file from now on is not what is started: for
 * proc.program; the caller closes it. Negative: errno says why. */
int proc_program(const char *path);
void proc_kill(struct proc *p, int signal_number);
/* Stops watching and reaps (blocking, after SIGKILL). */
void proc_end(struct proc *p);

/* Whole lines from a descriptor. `line` has no '\n', is NUL-terminated and borrowed;
 * `closed` is called once at end of file or error; the descriptor is closed then. */
struct lines {
	int fd; /* -1: closed */
	ev_io watch;
	struct ev_loop *loop;
	struct buf buf;
	void (*line)(void *ctx, char *line, size_t len);
	void (*closed)(void *ctx);
	void *ctx;
};

void lines_start(struct lines *l, struct ev_loop *loop, int fd);
/* Reads what is there now; for a last look at a pipe whose writer is gone. */
void lines_drain(struct lines *l);
void lines_stop(struct lines *l);

/* Path of a program that stands beside this one: "quicrig-virtual". Static buffer. */
const char *proc_sibling(const char *name);

#endif
