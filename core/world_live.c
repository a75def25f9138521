#include "core/world_live.h"

#include <assert.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <gnutls/crypto.h>

#include "core/world_live_internal.h"

#define LOOP_DESCRIPTORS 4 /* libev: epoll, timerfd, a pipe */

struct live_actor {
	struct live_loop *loop;
	struct live_turn turn;
	struct live_socket *socket; /* borrowed; NULL: none */
	ev_io readable, writable;
	TAILQ_ENTRY(live_actor) link;
};

struct live_loop {
	struct ev_loop *ev;
	ev_check woken;	   /* first of a turn */
	ev_prepare ending; /* last of a turn, before the loop sleeps */
	ev_timer timer;
	struct instant at;
	time_ns armed; /* TIME_NEVER: no timer */
	time_ns lag_max;
	bool watched;  /* wakes every LIVE_BEAT_NS */
	TAILQ_HEAD(, live_actor) actors;
};

static time_ns clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (time_ns)ts.tv_sec * NS_PER_S + (time_ns)ts.tv_nsec;
}

void live_clock(struct instant *out)
{
	out->now = clock_ns(CLOCK_MONOTONIC);
	out->boot = clock_ns(CLOCK_BOOTTIME);
	out->unix_ms = (int64_t)(clock_ns(CLOCK_REALTIME) / NS_PER_MS);
}

int live_boot_id(char out[LIVE_BOOT_ID_LEN + 1], struct err *e)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f) {
		n = fread(out, 1, LIVE_BOOT_ID_LEN, f);
		fclose(f);
	}
	if (n != LIVE_BOOT_ID_LEN)
		return err_set(e, ERR_ENVIRONMENT, "cannot read %s", path);
	out[n] = '\0';
	return 0;
}

static void secret_fill_gnutls(struct secret_source *src, void *out, size_t len)
{
	(void)src;
	/* a code or a key made without randomness is worse than no process */
	if (gnutls_rnd(GNUTLS_RND_KEY, out, len) < 0)
		abort();
}

struct secret_source *live_secret(void)
{
	static struct secret_source source = {secret_fill_gnutls};

	return &source;
}

static void note_lag(struct live_loop *l, time_ns meant, time_ns done)
{
	if (done > meant && done - meant > l->lag_max)
		l->lag_max = done - meant;
}

static void on_woken(struct ev_loop *ev, ev_check *w, int events)
{
	struct live_loop *l = w->data;

	(void)ev;
	(void)events;
	live_clock(&l->at);
	note_lag(l, l->armed, l->at.now);
	l->armed = TIME_NEVER;
}

static void on_timer(struct ev_loop *ev, ev_timer *w, int events)
{
	/* it only ends the sleep: what is due is found at the end of the turn */
	(void)ev;
	(void)w;
	(void)events;
}

static void on_readable(struct ev_loop *ev, ev_io *w, int events)
{
	struct live_actor *a = w->data;

	(void)ev;
	(void)events;
	live_socket_receive(a->socket, &a->loop->at, a->turn.datagram, a->turn.ctx);
}

static void on_writable(struct ev_loop *ev, ev_io *w, int events)
{
	struct live_actor *a = w->data;

	(void)events;
	if (live_socket_flush(a->socket))
		ev_io_stop(ev, w);
}

static void arm(struct live_loop *l, time_ns deadline)
{
	double wait_s;

	l->armed = deadline;
	if (deadline == TIME_NEVER) {
		ev_timer_stop(l->ev, &l->timer);
		return;
	}
	wait_s = deadline > l->at.now ? (double)(deadline - l->at.now) / (double)NS_PER_S : 0.;
	ev_timer_stop(l->ev, &l->timer);
	ev_timer_set(&l->timer, wait_s, 0.);
	ev_timer_start(l->ev, &l->timer);
}

static void on_ending(struct ev_loop *ev, ev_prepare *w, int events)
{
	struct live_loop *l = w->data;
	time_ns deadline = TIME_NEVER;
	struct live_actor *a, *next;

	(void)events;
	for (a = TAILQ_FIRST(&l->actors); a; a = next) {
		next = TAILQ_NEXT(a, link);
		a->turn.turn(a->turn.ctx, &l->at, a->socket ? live_socket_sink(a->socket) : NULL);
	}
	TAILQ_FOREACH(a, &l->actors, link)
	{
		if (a->socket && !live_socket_flush(a->socket))
			ev_io_start(ev, &a->writable);
		if (a->turn.deadline)
			deadline = time_min(deadline, a->turn.deadline(a->turn.ctx));
	}
	/* what the turn did was meant for its beginning */
	note_lag(l, l->at.now, clock_ns(CLOCK_MONOTONIC));
	arm(l, l->watched ? time_min(deadline, time_add(l->at.now, LIVE_BEAT_NS)) : deadline);
}

/* libev aborts where it finds no descriptor for its own pipe, so we ask before it does. */
static bool descriptors_left(void)
{
	int fds[LOOP_DESCRIPTORS], n;

	for (n = 0; n < LOOP_DESCRIPTORS; n++) {
		fds[n] = eventfd(0, EFD_CLOEXEC);
		if (fds[n] < 0)
			break;
	}
	for (int i = 0; i < n; i++)
		close(fds[i]);
	return n == LOOP_DESCRIPTORS;
}

struct live_loop *live_loop_new(struct err *e)
{
	struct live_loop *l = calloc(1, sizeof(*l));

	if (!descriptors_left()) {
		err_set(e, ERR_ENVIRONMENT, "cannot start an event loop: too few descriptors are left (ulimit -n)");
		free(l);
		return NULL;
	}
	if (l)
		l->ev = ev_default_loop(EVFLAG_AUTO);
	if (!l || !l->ev) {
		err_set(e, ERR_ENVIRONMENT, "cannot start an event loop");
		free(l);
		return NULL;
	}
	TAILQ_INIT(&l->actors);
	l->armed = TIME_NEVER;
	live_clock(&l->at);
	ev_check_init(&l->woken, on_woken);
	ev_set_priority(&l->woken, EV_MAXPRI); /* the clocks first, then whoever uses them */
	ev_prepare_init(&l->ending, on_ending);
	ev_set_priority(&l->ending, EV_MINPRI);
	ev_init(&l->timer, on_timer);
	l->woken.data = l->ending.data = l->timer.data = l;
	ev_check_start(l->ev, &l->woken);
	ev_prepare_start(l->ev, &l->ending);
	return l;
}

void live_loop_free(struct live_loop *l)
{
	if (!l)
		return;
	assert(TAILQ_EMPTY(&l->actors));
	ev_timer_stop(l->ev, &l->timer);
	ev_check_stop(l->ev, &l->woken);
	ev_prepare_stop(l->ev, &l->ending);
	/* libev's default loop stays: destroyed, libev 4.33 cannot make it again */
	free(l);
}

struct ev_loop *live_loop_ev(struct live_loop *l)
{
	return l->ev;
}

const struct instant *live_loop_now(const struct live_loop *l)
{
	return &l->at;
}

struct live_actor *live_attach(struct live_loop *l, const struct live_turn *t, struct live_socket *s)
{
	struct live_actor *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->loop = l;
	a->turn = *t;
	a->socket = s;
	if (s) {
		live_socket_on_sent(s, t->sent, t->ctx);
		ev_io_init(&a->readable, on_readable, live_socket_fd(s), EV_READ);
		ev_io_init(&a->writable, on_writable, live_socket_fd(s), EV_WRITE);
		a->readable.data = a->writable.data = a;
		ev_io_start(l->ev, &a->readable);
	}
	TAILQ_INSERT_TAIL(&l->actors, a, link);
	return a;
}

void live_detach(struct live_actor *a)
{
	if (!a)
		return;
	if (a->socket) {
		ev_io_stop(a->loop->ev, &a->readable);
		ev_io_stop(a->loop->ev, &a->writable);
	}
	TAILQ_REMOVE(&a->loop->actors, a, link);
	free(a);
}

/* The first turn ends before anything woke the loop, and time has passed since. */
static void run(struct live_loop *l, int flags)
{
	ev_now_update(l->ev);
	live_clock(&l->at);
	ev_run(l->ev, flags);
}

void live_loop_run(struct live_loop *l)
{
	run(l, 0);
}

void live_loop_once(struct live_loop *l)
{
	run(l, EVRUN_ONCE);
}

void live_loop_stop(struct live_loop *l)
{
	ev_break(l->ev, EVBREAK_ALL);
}

void live_loop_watch(struct live_loop *l)
{
	l->watched = true;
}

time_ns live_loop_take_lag(struct live_loop *l)
{
	time_ns lag = l->lag_max;

	l->lag_max = 0;
	return lag;
}
