#include "sim/device_verb_codes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <jansson.h>

/* From a line of `quicrig serve --sms file:PATH` to the last line of its text; "": it has none. */
static void take_out_text(struct device_codes *c)
{
	json_t *j = json_loads(c->buffer, JSON_REJECT_DUPLICATES, NULL);
	const char *text = json_string_value(json_object_get(j, "text")), *last;

	last = text ? strrchr(text, '\n') : NULL;
	explicit_bzero(c->buffer, sizeof(c->buffer));
	snprintf(c->buffer, sizeof(c->buffer), "%s", last ? last + 1 : text ? text : "");
	json_decref(j);
}

static void take_line(struct device_codes *c)
{
	struct smstext sms;
	size_t len = c->len;

	while (len && strchr(" \t\r", c->buffer[len - 1]))
		len--;
	c->buffer[len] = '\0';
	c->len = 0;
	if (c->too_long) {
		fprintf(stderr, "quicrig %s: a line longer than %d bytes is no code: dropped\n", c->verb,
			DEVICE_CODES_LINE - 1);
		c->too_long = false;
		return;
	}
	if (c->buffer[0] == '{')
		take_out_text(c);
	if (!c->buffer[0] || strncmp(c->buffer, "Code ", 5) == 0)
		return; /* the first line of our SMS: the second one says it all */
	c->line(c->ctx, c->buffer, smstext_parse(c->buffer, &sms) ? &sms : NULL);
	explicit_bzero(&sms, sizeof(sms));
	explicit_bzero(c->buffer, sizeof(c->buffer));
}

static void on_input(struct ev_loop *loop, ev_io *w, int events)
{
	struct device_codes *c = w->data;
	char part[256];
	ssize_t n = read(w->fd, part, sizeof(part));

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	for (ssize_t i = 0; i < n; i++) {
		if (part[i] == '\n')
			take_line(c);
		else if (c->len < sizeof(c->buffer) - 1)
			c->buffer[c->len++] = part[i];
		else
			c->too_long = true;
	}
	explicit_bzero(part, sizeof(part));
	if (n > 0)
		return;
	if (c->len)
		take_line(c);
	ev_io_stop(loop, w);
	if (w->fd != STDIN_FILENO)
		close(w->fd);
}

static void read_from(struct device_codes *c, int fd)
{
	ev_io_init(&c->input, on_input, fd, EV_READ);
	c->input.data = c;
	ev_io_start(c->loop, &c->input);
}

static void on_connect(struct ev_loop *loop, ev_io *w, int events)
{
	struct device_codes *c = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)loop;
	(void)events;
	if (fd < 0)
		return;
	if (ev_is_active(&c->input)) {
		close(fd); /* one at a time */
		return;
	}
	c->len = 0;
	read_from(c, fd);
}

static int listen_at(struct device_codes *c, const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, rv;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "quicrig %s: error: the path of --code-from is too long\n", c->verb);
		return 2;
	}
	strcpy(sun.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	old = umask(0177);
	rv = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (rv || listen(fd, 4)) {
		fprintf(stderr, "quicrig %s: error: %s: %s\n", c->verb, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return 3;
	}
	c->path = path;
	ev_io_init(&c->listener, on_connect, fd, EV_READ);
	c->listener.data = c;
	ev_io_start(c->loop, &c->listener);
	return 0;
}

int device_codes_open(struct device_codes *c, struct ev_loop *loop, enum code_from from, const char *path)
{
	c->loop = loop;
	if (from == CODE_FROM_UNIX)
		return listen_at(c, path);
	if (from == CODE_FROM_STDIN)
		read_from(c, STDIN_FILENO);
	return 0;
}

void device_codes_close(struct device_codes *c)
{
	if (!c->loop)
		return;
	if (ev_is_active(&c->input)) {
		ev_io_stop(c->loop, &c->input);
		if (c->input.fd != STDIN_FILENO)
			close(c->input.fd);
	}
	if (ev_is_active(&c->listener)) {
		ev_io_stop(c->loop, &c->listener);
		close(c->listener.fd);
		unlink(c->path);
	}
}
