#include "hil/modems/gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>
#include <jansson.h>
#include <uthash.h>

#include "core/buf.h"

#define OUT_MAX     (1 << 20) /* bytes that a client may leave unread */
#define LISTEN_MAX  16
#define EXPIRE_S    60.0

/* One id that was taken. */
struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) age; /* oldest first */
	time_ns since;
	uint64_t client; /* serial of the connection that asked last */
	bool over;
	enum pool_status status;
	int cms, ref;
	char id[];
};

struct client {
	TAILQ_ENTRY(client) link;
	struct gateway *g;
	uint64_t serial;
	struct ev_io in, out;
	struct buf line, pending;
	bool skip; /* inside a line that is too long */
	bool dead; /* to be freed when its line is done */
};

struct gateway {
	struct gateway_config cfg;
	struct ev_io listener;
	struct ev_timer expiry;
	TAILQ_HEAD(, client) clients;
	struct entry *ids;
	TAILQ_HEAD(, entry) ages;
	uint64_t serial;
	size_t client_count;
	struct gateway_stats stats;
};

static time_ns now_of(const struct gateway *g)
{
	struct timespec ts;

	if (g->cfg.clock)
		return g->cfg.clock(g->cfg.clock_ctx);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (time_ns)ts.tv_sec * NS_PER_S + (time_ns)ts.tv_nsec;
}

/* ---- clients ---- */

static void client_free(struct client *c)
{
	struct gateway *g = c->g;

	ev_io_stop(g->cfg.loop, &c->in);
	ev_io_stop(g->cfg.loop, &c->out);
	close(c->in.fd);
	buf_fini(&c->line);
	buf_fini(&c->pending);
	TAILQ_REMOVE(&g->clients, c, link);
	g->client_count--;
	free(c);
}

static void flush(struct client *c)
{
	while (c->pending.len && !c->dead) {
		ssize_t n = send(c->in.fd, c->pending.data, c->pending.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			ev_io_start(c->g->cfg.loop, &c->out);
			return;
		}
		if (n <= 0)
			c->dead = true;
		else
			buf_consume(&c->pending, (size_t)n);
	}
	ev_io_stop(c->g->cfg.loop, &c->out);
}

/* Takes the reference. */
static void answer(struct client *c, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	if (!text || buf_puts(&c->pending, text) || buf_add(&c->pending, "\n", 1))
		c->dead = true; /* it does not read; what it asked stays known by id */
	free(text);
	json_decref(o);
	flush(c);
}

static json_t *status_line(const struct entry *en)
{
	static const char *const names[] = {"submitted", "failed", "unknown"};
	json_t *o = json_pack("{s:s, s:s}", "id", en->id, "status", en->over ? names[en->status] : "queued");

	if (en->over && en->cms >= 0)
		json_object_set_new(o, "cms", json_integer(en->cms));
	if (en->over && en->ref >= 0)
		json_object_set_new(o, "ref", json_integer(en->ref));
	return o;
}

static struct client *client_by_serial(struct gateway *g, uint64_t serial)
{
	struct client *c;

	TAILQ_FOREACH(c, &g->clients, link)
		if (c->serial == serial && !c->dead)
			return c;
	return NULL;
}

/* ---- ids ---- */

static void forget(struct gateway *g, struct entry *en)
{
	HASH_DEL(g->ids, en);
	TAILQ_REMOVE(&g->ages, en, age);
	free(en);
}

static void expire(struct gateway *g)
{
	time_ns now = now_of(g);
	struct entry *en, *next;

	for (en = TAILQ_FIRST(&g->ages); en && now >= time_add(en->since, GATEWAY_KEEP_NS); en = next) {
		next = TAILQ_NEXT(en, age);
		if (en->over)
			forget(g, en);
	}
}

static void on_expiry(struct ev_loop *loop, struct ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	expire(w->data);
}

static struct entry *entry_new(struct gateway *g, const char *id)
{
	size_t len = strlen(id);
	struct entry *en = calloc(1, sizeof(*en) + len + 1);

	if (!en)
		return NULL;
	memcpy(en->id, id, len + 1);
	en->since = now_of(g);
	en->cms = en->ref = -1;
	HASH_ADD_KEYPTR(hh, g->ids, en->id, len, en);
	TAILQ_INSERT_TAIL(&g->ages, en, age);
	return en;
}

static void on_done(void *ctx, const char *id, enum pool_status status, int cms, int ref)
{
	struct gateway *g = ctx;
	struct entry *en;
	struct client *c;

	HASH_FIND_STR(g->ids, id, en);
	if (!en || en->over)
		return;
	en->over = true;
	en->status = status;
	en->cms = cms;
	en->ref = ref;
	c = client_by_serial(g, en->client);
	if (!c)
		return;
	answer(c, status_line(en));
	if (c->dead)
		client_free(c);
}

/* ---- lines ---- */

static void complain(struct client *c, const char *id, const char *what)
{
	json_t *o = json_pack("{s:s}", "error", what);

	c->g->stats.bad++;
	if (id)
		json_object_set_new(o, "id", json_string(id));
	answer(c, o);
}

static void refuse(struct client *c, const char *id, int rv, unsigned eta_s)
{
	switch (rv) {
	case ERR_BUSY:
	case ERR_LIMIT:
	case ERR_NOMEM:
		c->g->stats.busy++;
		answer(c, json_pack("{s:s, s:s, s:i}", "id", id, "status", "busy", "eta_s",
				    (int)(eta_s < 1 ? 1 : eta_s)));
		break;
	default:
		complain(c, id, "'to' is 3 to 20 digits after an optional '+'; 'text' is 1 to 640 bytes");
		break;
	}
}

static void take_request(struct client *c, const char *id, const char *to, const char *text)
{
	struct gateway *g = c->g;
	struct entry *en;
	unsigned eta = 0;
	int rv;

	g->stats.asked++;
	expire(g);
	HASH_FIND_STR(g->ids, id, en);
	if (en) {
		g->stats.repeated++;
		en->client = c->serial;
		answer(c, status_line(en));
		return;
	}
	if (HASH_COUNT(g->ids) >= GATEWAY_IDS_MAX) {
		refuse(c, id, ERR_LIMIT, POOL_BUSY_S);
		return;
	}
	en = entry_new(g, id);
	rv = en ? pool_send(g->cfg.pool, id, to, text, on_done, g, &eta) : ERR_NOMEM;
	if (rv) {
		if (en)
			forget(g, en);
		refuse(c, id, rv, eta);
		return;
	}
	g->stats.queued++;
	en->client = c->serial;
	answer(c, json_pack("{s:s, s:s, s:i}", "id", id, "status", "queued", "eta_s", (int)eta));
}

static void take_line(struct client *c, const char *line, size_t len)
{
	json_error_t je;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	const char *id, *to, *text;
	char where[48];

	if (!o) {
		/* never its words: the parser quotes the line, and with it perhaps a code */
		snprintf(where, sizeof(where), "not JSON, at byte %d", je.position);
		complain(c, NULL, where);
	} else if (!json_is_object(o)) {
		complain(c, NULL, "not a JSON object");
	} else {
		id = json_string_value(json_object_get(o, "id"));
		to = json_string_value(json_object_get(o, "to"));
		text = json_string_value(json_object_get(o, "text"));
		if (!id || !id[0] || strlen(id) > POOL_ID_MAX)
			complain(c, NULL, "'id' must be a text of 1 to 128 bytes");
		else if (!to || !text)
			complain(c, id, "'to' and 'text' must be texts");
		else
			take_request(c, id, to, text);
	}
	json_decref(o);
}

static void take_lines(struct client *c)
{
	char *nl;

	while (!c->dead && c->line.len && (nl = memchr(c->line.data, '\n', c->line.len))) {
		size_t len = (size_t)(nl - c->line.data);

		if (!c->skip && len)
			take_line(c, c->line.data, len);
		c->skip = false;
		explicit_bzero(c->line.data, len);
		buf_consume(&c->line, len + 1);
	}
	if (c->line.len == c->line.max) {
		if (!c->skip)
			complain(c, NULL, "a line of more than 4096 bytes");
		c->skip = true;
		buf_reset(&c->line);
	}
}

static void on_readable(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct client *c = w->data;
	char chunk[GATEWAY_LINE_MAX];
	ssize_t n = recv(w->fd, chunk, c->line.max - c->line.len, 0);

	(void)loop;
	(void)events;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		c->dead = true;
	} else {
		if (buf_add(&c->line, chunk, (size_t)n))
			c->dead = true;
		explicit_bzero(chunk, (size_t)n);
		take_lines(c);
	}
	if (c->dead)
		client_free(c);
}

static void on_writable(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct client *c = w->data;

	(void)loop;
	(void)events;
	flush(c);
	if (c->dead)
		client_free(c);
}

static void on_client(struct ev_loop *loop, struct ev_io *w, int events)
{
	struct gateway *g = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;

	(void)events;
	if (fd < 0)
		return;
	c = g->client_count < GATEWAY_CLIENTS_MAX ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->g = g;
	c->serial = ++g->serial;
	buf_init(&c->line, GATEWAY_LINE_MAX);
	buf_init(&c->pending, OUT_MAX);
	ev_io_init(&c->in, on_readable, fd, EV_READ);
	ev_io_init(&c->out, on_writable, fd, EV_WRITE);
	c->in.data = c->out.data = c;
	TAILQ_INSERT_TAIL(&g->clients, c, link);
	g->client_count++;
	ev_io_start(loop, &c->in);
}

/* ---- life ---- */

static int listen_at(const char *path, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, rv = ERR_IO;
	mode_t mask;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, ERR_INVALID, "SMS socket: '%s' is longer than %zu bytes", path,
			       sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(e, ERR_IO, "SMS socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EAGAIN) {
		rv = err_set(e, ERR_EXISTS, "SMS socket: somebody listens at %s already", path);
		goto fail;
	}
	/* nobody: what an earlier run left behind, and nothing but a socket */
	if (errno == ECONNREFUSED) {
		struct stat st;

		if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
			unlink(path);
	}
	mask = umask(0177);
	rv = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	umask(mask);
	if (rv || listen(fd, LISTEN_MAX)) {
		rv = err_set(e, ERR_IO, "SMS socket %s: %s", path, strerror(errno));
		goto fail;
	}
	return fd;
fail:
	close(fd);
	return rv;
}

struct gateway *gateway_new(const struct gateway_config *cfg, struct err *e)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int fd;

	if (!g) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	g->cfg = *cfg;
	g->cfg.path = strdup(cfg->path);
	TAILQ_INIT(&g->clients);
	TAILQ_INIT(&g->ages);
	fd = g->cfg.path ? listen_at(cfg->path, e) : err_set(e, ERR_NOMEM, "out of memory");
	if (fd < 0) {
		free((char *)g->cfg.path);
		free(g);
		return NULL;
	}
	ev_io_init(&g->listener, on_client, fd, EV_READ);
	g->listener.data = g;
	ev_io_start(cfg->loop, &g->listener);
	ev_timer_init(&g->expiry, on_expiry, EXPIRE_S, EXPIRE_S);
	g->expiry.data = g;
	ev_timer_start(cfg->loop, &g->expiry);
	return g;
}

void gateway_stats(const struct gateway *g, struct gateway_stats *out)
{
	*out = g->stats;
	out->clients = g->client_count;
	out->ids = HASH_COUNT(g->ids);
}

void gateway_free(struct gateway *g)
{
	struct client *c;
	struct entry *en;

	if (!g)
		return;
	while ((c = TAILQ_FIRST(&g->clients)))
		client_free(c);
	while ((en = TAILQ_FIRST(&g->ages)))
		forget(g, en);
	ev_io_stop(g->cfg.loop, &g->listener);
	ev_timer_stop(g->cfg.loop, &g->expiry);
	close(g->listener.fd);
	unlink(g->cfg.path);
	free((char *)g->cfg.path);
	free(g);
}
