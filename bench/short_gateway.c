#include "bench/short_gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "hil/run/proc.h"

struct short_gateway {
	struct ev_loop *loop;
	ev_io accept;
	int listener;
	struct lines client; /* one server at a time */
	void (*text)(void *ctx, const char *uuid, const char *text);
	void *ctx;
};

static void on_line(void *ctx, char *line, size_t len)
{
	struct short_gateway *g = ctx;
	json_t *sms = json_loadb(line, len, 0, NULL);
	const char *id = json_string_value(json_object_get(sms, "id"));
	const char *uuid = json_string_value(json_object_get(sms, "uuid"));
	const char *text = json_string_value(json_object_get(sms, "text"));
	char answer[400];
	int n;

	if (id && uuid && text) {
		n = snprintf(answer, sizeof(answer),
			     "{\"id\":\"%.100s\",\"status\":\"queued\"}\n{\"id\":\"%.100s\",\"status\":\"submitted\",\"ref\":1}\n",
			     id, id);
		if (write(g->client.fd, answer, (size_t)n) == n)
			g->text(g->ctx, uuid, text);
	}
	json_decref(sms);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int events)
{
	struct short_gateway *g = w->data;
	int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	lines_stop(&g->client);
	lines_start(&g->client, loop, fd);
}

struct short_gateway *short_gateway_new(struct ev_loop *loop, const char *path,
				      void (*text)(void *ctx, const char *uuid, const char *text), void *ctx,
				      struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct short_gateway *g = calloc(1, sizeof(*g));

	if (!g || strlen(path) >= sizeof(a.sun_path)) {
		free(g);
		err_set(e, ERR_LIMIT, "socket path too long");
		return NULL;
	}
	strcpy(a.sun_path, path);
	g->loop = loop;
	g->text = text;
	g->ctx = ctx;
	g->client.fd = -1;
	g->client.line = on_line;
	g->client.ctx = g;
	g->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->listener < 0 || bind(g->listener, (struct sockaddr *)&a, sizeof(a)) || listen(g->listener, 2)) {
		err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
		free(g);
		return NULL;
	}
	ev_io_init(&g->accept, on_accept, g->listener, EV_READ);
	g->accept.data = g;
	ev_io_start(loop, &g->accept);
	return g;
}

void short_gateway_free(struct short_gateway *g)
{
	if (!g)
		return;
	ev_io_stop(g->loop, &g->accept);
	lines_stop(&g->client);
	close(g->listener);
	free(g);
}
