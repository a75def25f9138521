/* The control socket: JSON lines, the server listens (contracts.md, serve). */
#include "server/serve_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 16
#define IN_MAX      (256u << 10)
#define OUT_MAX     (4u << 20)
#define AGAIN_S     0.5 /* until a connection is taken where there was no descriptor for it */

struct client {
	LIST_ENTRY(client) all;
	struct serve_control *control;
	int fd;
	bool ended; /* it asks nothing more, and goes with its last answer */
	ev_io readable, writable;
	struct buf in, out;
};

struct serve_control {
	struct serve *serve;
	struct sockaddr_un addr;
	int fd;
	ev_io acceptable;
	ev_timer again;
	LIST_HEAD(, client) clients;
	unsigned n;
};

static void client_free(struct client *c)
{
	struct ev_loop *loop = live_loop_ev(c->control->serve->loop);

	ev_io_stop(loop, &c->readable);
	ev_io_stop(loop, &c->writable);
	close(c->fd);
	LIST_REMOVE(c, all);
	c->control->n--;
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

/* `reload` needs the file system, so it is ours; the rest is the server's. */
static void one_line(struct client *c, const char *data, size_t len)
{
	struct serve *s = c->control->serve;
	json_error_t je;
	json_t *request = json_loadb(data, len, JSON_REJECT_DUPLICATES, &je);
	const char *what = json_string_value(json_object_get(request, "do"));
	struct err e = {0};

	if (what && strcmp(what, "reload") == 0) {
		if (serve_reload(s, &e)) {
			buf_puts(&c->out, "{\"ok\":false,\"error\":");
			buf_json_str(&c->out, e.text);
			buf_puts(&c->out, e.code == ERR_IO ? ",\"retry\":true}\n" : "}\n");
		} else {
			buf_puts(&c->out, "{\"ok\":true}\n");
		}
	} else if (request) {
		server_control(s->server, live_loop_now(s->loop), request, &c->out);
	} else {
		buf_puts(&c->out, "{\"ok\":false,\"error\":");
		buf_json_str(&c->out, je.text);
		buf_puts(&c->out, "}\n");
	}
	json_decref(request);
}

static void client_flush(struct client *c)
{
	struct ev_loop *loop = live_loop_ev(c->control->serve->loop);

	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

		if (n > 0) {
			buf_consume(&c->out, (size_t)n);
		} else if (errno == EAGAIN) {
			ev_io_start(loop, &c->writable);
			return;
		} else if (errno != EINTR) {
			client_free(c);
			return;
		}
	}
	ev_io_stop(loop, &c->writable);
	if (c->ended)
		client_free(c);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct client *c = w->data;
	char part[16384], *end;
	ssize_t n = read(c->fd, part, sizeof(part));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 0 && c->out.len) {
		c->ended = true;
		ev_io_stop(loop, &c->readable);
		return;
	}
	if (n <= 0 || buf_add(&c->in, part, (size_t)n)) {
		client_free(c);
		return;
	}
	while (c->in.len && (end = memchr(c->in.data, '\n', c->in.len))) {
		size_t len = (size_t)(end - c->in.data);

		one_line(c, c->in.data, len);
		buf_consume(&c->in, len + 1);
	}
	/* a reply that found no room must not be missed in silence */
	if (c->out.failed) {
		client_free(c);
		return;
	}
	/* behind the turn's end, where the journal leaves: who has an answer may kill us */
	if (c->out.len)
		ev_io_start(loop, &c->writable);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	client_flush(w->data);
}

static void on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	struct serve_control *ctl = w->data;

	(void)events;
	ev_io_start(loop, &ctl->acceptable);
}

static void on_acceptable(struct ev_loop *loop, ev_io *w, int events)
{
	struct serve_control *ctl = w->data;
	int fd = accept4(ctl->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;

	(void)events;
	if (fd < 0) {
		/* who waits makes the socket readable again at once: the loop would do nothing else */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			ev_io_stop(loop, w);
			ev_timer_set(&ctl->again, AGAIN_S, 0);
			ev_timer_start(loop, &ctl->again);
		}
		return;
	}
	c = ctl->n < CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->control = ctl;
	c->fd = fd;
	buf_init(&c->in, IN_MAX);
	buf_init(&c->out, OUT_MAX);
	ev_io_init(&c->readable, on_readable, fd, EV_READ);
	ev_io_init(&c->writable, on_writable, fd, EV_WRITE);
	c->readable.data = c->writable.data = c;
	LIST_INSERT_HEAD(&ctl->clients, c, all);
	ctl->n++;
	ev_io_start(loop, &c->readable);
}

/* A socket that nobody answers was left behind by a kill; any other file is not ours. */
static int clear_path(struct serve_control *ctl, struct err *e)
{
	struct stat st;
	int fd, rv = 0;

	if (lstat(ctl->addr.sun_path, &st))
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_EXISTS, "--control: %s is there already and is no socket", ctl->addr.sun_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&ctl->addr, sizeof(ctl->addr)) == 0)
		rv = err_set(e, ERR_BUSY, "--control: somebody listens on %s already", ctl->addr.sun_path);
	else
		unlink(ctl->addr.sun_path);
	if (fd >= 0)
		close(fd);
	return rv;
}

struct serve_control *serve_control_new(struct serve *s, const char *where, struct err *e)
{
	struct serve_control *ctl = calloc(1, sizeof(*ctl));
	const char *path = where + 5; /* behind unix: */

	if (!ctl) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	ctl->serve = s;
	ctl->fd = -1;
	LIST_INIT(&ctl->clients);
	ctl->addr.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(ctl->addr.sun_path)) {
		err_set(e, ERR_INVALID, "--control %s: the path of a socket is at most %zu bytes", where,
			sizeof(ctl->addr.sun_path) - 1);
		goto fail;
	}
	memcpy(ctl->addr.sun_path, path, strlen(path) + 1);
	if (clear_path(ctl, e)) {
		ctl->addr.sun_path[0] = '\0';
		goto fail;
	}
	ctl->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	/* the umask keeps it ours until it is 0600 */
	if (ctl->fd < 0 || bind(ctl->fd, (struct sockaddr *)&ctl->addr, sizeof(ctl->addr)) ||
	    chmod(ctl->addr.sun_path, 0600) || listen(ctl->fd, CLIENTS_MAX)) {
		err_set(e, ERR_IO, "--control %s: %s", where, strerror(errno));
		goto fail;
	}
	ev_io_init(&ctl->acceptable, on_acceptable, ctl->fd, EV_READ);
	ev_init(&ctl->again, on_again);
	ctl->acceptable.data = ctl->again.data = ctl;
	ev_io_start(live_loop_ev(s->loop), &ctl->acceptable);
	return ctl;
fail:
	serve_control_free(ctl);
	return NULL;
}

void serve_control_free(struct serve_control *ctl)
{
	struct client *c;

	if (!ctl)
		return;
	while ((c = LIST_FIRST(&ctl->clients)))
		client_free(c);
	if (ctl->fd >= 0) {
		ev_io_stop(live_loop_ev(ctl->serve->loop), &ctl->acceptable);
		ev_timer_stop(live_loop_ev(ctl->serve->loop), &ctl->again);
		close(ctl->fd);
		unlink(ctl->addr.sun_path);
	}
	free(ctl);
}
