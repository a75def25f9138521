#include "hil/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_S   30          /* a server that has not answered by then hangs */
#define ANSWER_MAX (8u << 20)
#define CELL       96

/* ---- the connection ---- */

static int connect_to(struct admin *a)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_S};
	const char *path = a->path;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		fprintf(stderr, "quicrig admin: error: '%s' is too long for a socket's path\n", path);
		return 2;
	}
	strcpy(addr.sun_path, path);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || connect(a->fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "quicrig admin: error: no server answers at '%s': %s\n", path, strerror(errno));
		return 3;
	}
	setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	return 0;
}

static bool say(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* One line; the caller frees. */
static char *hear(int fd)
{
	size_t len = 0, room = 65536;
	char *text = malloc(room), *more;

	while (text) {
		ssize_t n = read(fd, text + len, room - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
		text[len] = '\0';
		if (text[len - 1] == '\n')
			return text;
		if (len + 1 < room)
			continue;
		more = room < ANSWER_MAX ? realloc(text, room * 2) : NULL;
		if (!more)
			break;
		text = more;
		room *= 2;
	}
	free(text);
	return NULL;
}

json_t *admin_ask(struct admin *a, json_t *request, int *code)
{
	char *line = json_dumps(request, JSON_COMPACT), *heard = NULL;
	json_t *answer = NULL;
	const char *error;

	json_decref(request);
	*code = a->fd < 0 ? connect_to(a) : 0;
	if (*code) {
		if (line)
			explicit_bzero(line, strlen(line));
		free(line);
		return NULL;
	}
	if (line && say(a->fd, line, strlen(line)) && say(a->fd, "\n", 1))
		heard = hear(a->fd);
	if (heard)
		answer = json_loads(heard, 0, NULL);
	if (line)
		explicit_bzero(line, strlen(line)); /* a new key may be in it */
	free(line);
	free(heard);
	if (!answer) {
		fputs("quicrig admin: error: the server does not answer\n", stderr);
		*code = 3;
		return NULL;
	}
	error = json_string_value(json_object_get(answer, "error"));
	if (error || !json_is_true(json_object_get(answer, "ok"))) {
		fprintf(stderr, "quicrig admin: error: %s\n", error ? error : "the server refuses and does not say why");
		json_decref(answer);
		*code = 1;
		return NULL;
	}
	json_object_del(answer, "ok");
	return answer;
}

json_t *admin_pages(struct admin *a, json_t *request, const char *list, int *code)
{
	json_t *whole = json_array(), *next = NULL, *out;

	do {
		json_t *ask = json_copy(request), *page;

		if (next)
			json_object_set_new(ask, "from", next);
		page = admin_ask(a, ask, code);
		if (!page) {
			json_decref(whole);
			json_decref(request);
			return NULL;
		}
		json_array_extend(whole, json_object_get(page, list));
		next = json_incref(json_object_get(page, "next"));
		json_decref(page);
	} while (next);
	json_decref(request);
	out = json_object();
	json_object_set_new(out, list, whole);
	return out;
}

/* ---- tables ---- */

json_t *admin_when(json_int_t unix_ms)
{
	time_t t = (time_t)(unix_ms / 1000);
	char text[32];
	struct tm tm;

	if (!unix_ms || !gmtime_r(&t, &tm) || !strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		return json_string("-");
	return json_string(text);
}

json_t *admin_yes(bool yes)
{
	return json_string(yes ? "yes" : "-");
}

static size_t width_of(json_t *rows, unsigned column, const char *head)
{
	size_t width = strlen(head), i;
	json_t *row;

	json_array_foreach(rows, i, row) {
		size_t n = json_string_length(json_array_get(row, column));

		if (n > width)
			width = n > CELL ? CELL : n;
	}
	return width;
}

void admin_table(const char *const *heads, unsigned n, json_t *rows, const char *none)
{
	size_t width[16], i;
	json_t *row;

	if (!json_array_size(rows)) {
		puts(none);
		json_decref(rows);
		return;
	}
	for (unsigned c = 0; c < n; c++) {
		width[c] = width_of(rows, c, heads[c]);
		printf("%-*s%s", c + 1 < n ? (int)width[c] : 0, heads[c], c + 1 < n ? "  " : "\n");
	}
	json_array_foreach(rows, i, row) {
		for (unsigned c = 0; c < n; c++) {
			const char *text = json_string_value(json_array_get(row, c));

			printf("%-*s%s", c + 1 < n ? (int)width[c] : 0, text ? text : "-", c + 1 < n ? "  " : "\n");
		}
	}
	json_decref(rows);
}
