/* Client of the SMS gateway (contracts.md, SMS gateway): JSON lines over a Unix socket,
 * connected again with backoff. Or, in the lab, a file. */
#include "server/serve_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKOFF_MIN_S 0.1
#define BACKOFF_MAX_S 5.0
#define LINE_MAX_SIZE 65536
#define OUT_MAX       (8u << 20)
#define ID_SIZE       33

struct serve_sms {
	struct serve *serve;
	bool file;
	int fd; /* -1: not connected */
	struct sockaddr_un addr;
	ev_io readable, writable;
	ev_timer again; /* unix: to connect; file: to tell that it is written */
	double backoff_s;
	bool complained;
	struct buf in, out;
	struct buf written; /* file: ids of ID_SIZE bytes */
};

static struct ev_loop *loop_of(struct serve_sms *g)
{
	return live_loop_ev(g->serve->loop);
}

static const struct instant *now_of(struct serve_sms *g)
{
	return live_loop_now(g->serve->loop);
}

static void drop(struct serve_sms *g)
{
	if (g->fd < 0)
		return;
	ev_io_stop(loop_of(g), &g->readable);
	ev_io_stop(loop_of(g), &g->writable);
	close(g->fd);
	g->fd = -1;
	buf_reset(&g->in);
	buf_reset(&g->out); /* the server repeats what is unfinished */
	server_gateway(g->serve->server, now_of(g), false);
	ev_timer_set(&g->again, g->backoff_s, 0.);
	ev_timer_start(loop_of(g), &g->again);
	g->backoff_s = g->backoff_s * 2 < BACKOFF_MAX_S ? g->backoff_s * 2 : BACKOFF_MAX_S;
}

/* -1 where absent; what no int64_t holds is cut to a day, which is as good as never. */
static int64_t eta_of(json_t *eta)
{
	double s = json_is_number(eta) ? json_number_value(eta) : -1;

	return s < 0 ? -1 : s > 86400 ? 86400 : (int64_t)s;
}

static void answer(struct serve_sms *g, json_t *line)
{
	static const char *const words[] = {
		[SMS_QUEUED] = "queued", [SMS_BUSY] = "busy", [SMS_SUBMITTED] = "submitted", [SMS_FAILED] = "failed",
		[SMS_UNKNOWN] = "unknown"};
	const char *id = json_string_value(json_object_get(line, "id"));
	const char *status = json_string_value(json_object_get(line, "status"));
	json_t *eta = json_object_get(line, "eta_s"), *cms = json_object_get(line, "cms"),
	       *ref = json_object_get(line, "ref");

	/* a line that the gateway could not use: surely not sent */
	if (id && !status && json_object_get(line, "error"))
		status = words[SMS_FAILED];
	if (!id || !status)
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], status) == 0)
			server_sms_status(g->serve->server, now_of(g), id, (enum sms_status)i,
					  eta_of(eta),
					  json_is_integer(cms) ? (int)json_integer_value(cms) : -1,
					  json_is_integer(ref) ? (int)json_integer_value(ref) : -1);
}

static void take_lines(struct serve_sms *g)
{
	char *end;

	while (g->in.len && (end = memchr(g->in.data, '\n', g->in.len))) {
		size_t len = (size_t)(end - g->in.data);
		json_t *line = json_loadb(g->in.data, len, JSON_REJECT_DUPLICATES, NULL);

		answer(g, line);
		json_decref(line);
		buf_consume(&g->in, len + 1);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
	struct serve_sms *g = w->data;
	char part[16384];
	ssize_t n = read(g->fd, part, sizeof(part));

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || buf_add(&g->in, part, (size_t)n)) {
		drop(g);
		return;
	}
	take_lines(g);
}

static void flush(struct serve_sms *g)
{
	while (g->out.len) {
		ssize_t n = send(g->fd, g->out.data, g->out.len, MSG_NOSIGNAL);

		if (n > 0) {
			buf_consume(&g->out, (size_t)n);
		} else if (errno == EAGAIN) {
			ev_io_start(loop_of(g), &g->writable);
			return;
		} else if (errno != EINTR) {
			buf_reset(&g->out); /* the reader meets the same and drops us */
			return;
		}
	}
	ev_io_stop(loop_of(g), &g->writable);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
	(void)loop;
	(void)events;
	flush(w->data);
}

static void on_again(struct ev_loop *loop, ev_timer *w, int events)
{
	struct serve_sms *g = w->data;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	(void)events;
	if (fd < 0 || connect(fd, (struct sockaddr *)&g->addr, sizeof(g->addr))) {
		if (!g->complained)
			fprintf(stderr, "quicrig serve: SMS gateway %s: %s; trying on\n", g->addr.sun_path, strerror(errno));
		g->complained = true;
		if (fd >= 0)
			close(fd);
		ev_timer_set(&g->again, g->backoff_s, 0.);
		ev_timer_start(loop, &g->again);
		g->backoff_s = g->backoff_s * 2 < BACKOFF_MAX_S ? g->backoff_s * 2 : BACKOFF_MAX_S;
		return;
	}
	if (g->complained)
		fprintf(stderr, "quicrig serve: SMS gateway %s: connected\n", g->addr.sun_path);
	g->complained = false;
	g->backoff_s = BACKOFF_MIN_S;
	g->fd = fd;
	ev_io_set(&g->readable, fd, EV_READ);
	ev_io_set(&g->writable, fd, EV_WRITE);
	ev_io_start(loop, &g->readable);
	server_gateway(g->serve->server, now_of(g), true);
}

/* File: what was written is with the "gateway"; told outside of the server's turn. */
static void on_written(struct ev_loop *loop, ev_timer *w, int events)
{
	struct serve_sms *g = w->data;

	(void)loop;
	(void)events;
	while (g->written.len >= ID_SIZE) {
		char id[ID_SIZE];

		memcpy(id, g->written.data, ID_SIZE);
		buf_consume(&g->written, ID_SIZE);
		server_sms_status(g->serve->server, now_of(g), id, SMS_SUBMITTED, -1, -1, -1);
	}
}

/* A file that was there already may be open to others; a pipe or a terminal is as it is. */
static int make_private(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -1;
	return S_ISREG(st.st_mode) && (st.st_mode & 077) ? fchmod(fd, 0600) : 0;
}

struct serve_sms *serve_sms_new(struct serve *s, const char *where, struct err *e)
{
	struct serve_sms *g = calloc(1, sizeof(*g));
	const char *path = where + 5; /* behind unix: or file: */

	if (!g) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	g->serve = s;
	g->fd = -1;
	g->file = strncmp(where, "file:", 5) == 0;
	g->backoff_s = BACKOFF_MIN_S;
	buf_init(&g->in, LINE_MAX_SIZE);
	buf_init(&g->out, OUT_MAX);
	buf_init(&g->written, OUT_MAX);
	if (g->file) {
		g->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		if (g->fd < 0 || make_private(g->fd))
			err_set(e, ERR_IO, "--sms %s: %s", where, strerror(errno));
		ev_timer_init(&g->again, on_written, 0., 0.);
	} else if (strlen(path) >= sizeof(g->addr.sun_path)) {
		err_set(e, ERR_INVALID, "--sms %s: the path of a socket is at most %zu bytes", where,
			sizeof(g->addr.sun_path) - 1);
	} else {
		g->addr.sun_family = AF_UNIX;
		memcpy(g->addr.sun_path, path, strlen(path) + 1);
		ev_io_init(&g->readable, on_readable, -1, EV_READ);
		ev_io_init(&g->writable, on_writable, -1, EV_WRITE);
		ev_timer_init(&g->again, on_again, 0., 0.);
		ev_timer_start(loop_of(g), &g->again);
	}
	g->readable.data = g->writable.data = g->again.data = g;
	if (e->code) {
		serve_sms_free(g);
		return NULL;
	}
	return g;
}

static int to_file(struct serve_sms *g, const struct server_sms *sms, const char *line, size_t len)
{
	char id[ID_SIZE] = "";

	if (write(g->fd, line, len) != (ssize_t)len)
		return ERR_CLOSED;
	snprintf(id, sizeof(id), "%s", sms->id);
	buf_add(&g->written, id, sizeof(id));
	if (!ev_is_active(&g->again)) {
		ev_timer_set(&g->again, 0., 0.);
		ev_timer_start(loop_of(g), &g->again);
	}
	return 0;
}

int serve_sms_send(struct serve_sms *g, const struct server_sms *sms)
{
	struct buf line;
	int rv;

	if (g->fd < 0)
		return ERR_CLOSED;
	buf_init(&line, LINE_MAX_SIZE);
	buf_puts(&line, "{\"id\":");
	buf_json_str(&line, sms->id);
	buf_puts(&line, ",\"uuid\":");
	buf_json_str(&line, sms->uuid);
	buf_puts(&line, ",\"to\":");
	buf_json_str(&line, sms->to);
	buf_puts(&line, ",\"text\":");
	buf_json_str(&line, sms->text);
	buf_puts(&line, ",\"r\":");
	buf_json_str(&line, sms->r);
	rv = buf_puts(&line, "}\n");
	if (!rv)
		rv = g->file ? to_file(g, sms, line.data, line.len) : buf_add(&g->out, line.data, line.len);
	if (line.data)
		explicit_bzero(line.data, line.len);
	buf_fini(&line);
	if (!rv && !g->file)
		flush(g);
	else if (rv && !g->file)
		drop(g); /* it reads nothing any more: connected anew, it gets what is unfinished */
	return rv ? ERR_CLOSED : 0;
}

void serve_sms_free(struct serve_sms *g)
{
	if (!g)
		return;
	ev_timer_stop(loop_of(g), &g->again);
	if (!g->file) {
		ev_io_stop(loop_of(g), &g->readable);
		ev_io_stop(loop_of(g), &g->writable);
	}
	if (g->fd >= 0)
		close(g->fd);
	buf_fini(&g->in);
	buf_fini(&g->out);
	buf_fini(&g->written);
	free(g);
}
