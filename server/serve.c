#include "server/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/serve_internal.h"

#define JOURNAL_BUFFER (1u << 20)
#define REPLY_MAX      4096 /* of the control */

/* ---- the world that the server sees ---- */

static int world_sms(void *ctx, const struct server_sms *sms)
{
	struct serve *s = ctx;

	serve_journal_flush(s);
	return serve_sms_send(s->sms, sms);
}

static void world_die(void *ctx, const char *where)
{
	struct serve *s = ctx;

	/* what was written before the fault was written: a kill loses nothing that anyone saw */
	serve_journal_flush(s);
	fprintf(stderr, "quicrig serve: dies at %s, as armed\n", where);
	raise(SIGKILL);
}

static uint8_t *sink_space(struct dgram_sink *sink, size_t size)
{
	struct serve_sink *k = (struct serve_sink *)(void *)sink;

	serve_journal_flush(k->serve);
	return k->inner->space(k->inner, size);
}

static void sink_send(struct dgram_sink *sink, void *owner, const struct addr *local, const struct addr *remote,
		      size_t len, size_t segment, unsigned ecn)
{
	struct serve_sink *k = (struct serve_sink *)(void *)sink;

	k->inner->send(k->inner, owner, local, remote, len, segment, ecn);
}

static void on_datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
			unsigned ecn, const uint8_t *data, size_t len)
{
	server_datagram(((struct serve *)ctx)->server, at, local, remote, ecn, data, len);
}

/* Once as it begins and once as it ends: what requests are refused for is said at once,
 * and not when the server gives up. */
static void say_trouble(struct serve *s)
{
	const char *trouble = server_trouble(s->server);

	if (trouble && !s->troubled)
		fprintf(stderr, "quicrig serve: warning: the database '%s' fails (%s): requests are answered 503, and if it "
				"lasts for 10 s the server stops\n", s->o.db, trouble);
	else if (!trouble && s->troubled)
		fprintf(stderr, "quicrig serve: the database '%s' works again\n", s->o.db);
	s->troubled = trouble != NULL;
}

static void on_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct serve *s = ctx;
	int rv;

	s->sink.inner = sink;
	rv = server_turn(s->server, at, &s->sink.base);
	serve_journal_flush(s);
	say_trouble(s);
	if (rv) {
		fprintf(stderr, "quicrig serve: error: the database '%s' fails; stopping\n", s->o.db);
		s->exit_code = SERVE_EXIT_ENVIRONMENT;
		live_loop_stop(s->loop);
	} else if (server_stopped(s->server)) {
		live_loop_stop(s->loop);
	} else if (s->journal_gone && !s->exit_code) {
		fprintf(stderr, "quicrig serve: error: nobody reads the journal any more; stopping\n");
		s->exit_code = SERVE_EXIT_ENVIRONMENT;
		server_stop(s->server, at);
	}
}

static time_ns on_deadline(void *ctx)
{
	return server_deadline(((struct serve *)ctx)->server);
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
	struct serve *s = w->data;

	(void)loop;
	(void)events;
	server_stop(s->server, live_loop_now(s->loop));
}

static void on_hup(struct ev_loop *loop, ev_signal *w, int events)
{
	struct err e = {0};

	(void)loop;
	(void)events;
	if (serve_reload(w->data, &e))
		serve_error(&e);
}

int serve_reload(struct serve *s, struct err *e)
{
	struct registry *fresh = registry_load(s->o.registry, e), *old;

	if (!fresh)
		return e->code;
	if (server_reload(s->server, live_loop_now(s->loop), fresh, &old, e)) {
		registry_free(fresh);
		return e->code;
	}
	registry_free(old);
	s->registry = fresh;
	return 0;
}

/* ---- start and end ---- */

static int open_server(struct serve *s, struct err *e)
{
	char boot_id[LIVE_BOOT_ID_LEN + 1];
	struct instant at;
	struct server_config cfg = {
		.pki = &s->pki,
		.registry = s->registry,
		.settings = s->o.settings,
		.db = s->o.db,
		.boot_id = boot_id,
		.run_key = s->o.run_key_fd >= 0 ? s->run_key : NULL,
		.secret = live_secret(),
		.journal = s->journal,
		.alpn = s->o.alpn,
		.lab = s->o.lab,
		.seed = s->o.seed,
		.clock_offset_ms = s->o.clock_offset_ms,
		.world = {.sms = world_sms, .die = world_die, .ctx = s},
	};

	if (live_boot_id(boot_id, e))
		return e->code;
	live_clock(&at);
	s->server = server_new(&cfg, &at, e);
	return s->server ? 0 : e->code;
}

static int open_journal(struct serve *s, struct err *e)
{
	bool wanted = s->o.journal_fd >= 0;
	struct stat st;

	if (wanted && fstat(s->o.journal_fd, &st))
		return err_set(e, ERR_INVALID, "--journal-fd %d: no such descriptor", s->o.journal_fd);
	/* a script's answers are armed on its events, whether anybody reads them or not */
	if (wanted || s->script)
		s->journal = journal_new(wanted ? serve_journal_line : NULL, s);
	return !s->journal && (wanted || s->script) ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

static void from_now(json_t *fault, const char *when, time_ns now)
{
	json_t *at = json_object_get(fault, when);

	if (at)
		json_object_set_new(fault, when, json_integer(json_integer_value(at) + (json_int_t)now));
}

/* As a lab would arm them by the control socket, before the first datagram is read. */
static int arm_script(struct serve *s, struct err *e)
{
	const struct instant *now = live_loop_now(s->loop);
	json_t *fault;
	size_t i;

	json_array_foreach(s->script, i, fault) {
		json_t *request;
		struct buf reply;
		bool armed;

		from_now(fault, "from_ns", now->now);
		from_now(fault, "until_ns", now->now);
		request = json_pack("{s:s, s:O}", "do", "fault", "fault", fault);
		buf_init(&reply, REPLY_MAX);
		server_control(s->server, now, request, &reply);
		armed = reply.data && strstr(reply.data, "\"ok\":true");
		if (!armed)
			err_set(e, ERR_PARSE, "--script: answer %zu: %.*s", i + 1, reply.data ? (int)strcspn(reply.data, "\n") : 0,
				reply.data ? reply.data : "");
		buf_fini(&reply);
		json_decref(request);
		if (!armed)
			return e->code;
	}
	return 0;
}

static int open_all(struct serve *s, struct err *e)
{
	struct addr listen;

	if (addr_parse(s->o.listen, &listen))
		return err_set(e, ERR_PARSE, "--listen '%s': wanted is ADDRESS:PORT, numeric, as in 0.0.0.0:20190 or [::]:0",
			       s->o.listen);
	if (s->o.run_key_fd >= 0 && serve_read_run_key(s->o.run_key_fd, s->run_key, e))
		return e->code;
	if (open_journal(s, e))
		return e->code;
	s->registry = registry_load(s->o.registry, e);
	if (!s->registry || serve_read_keys(&s->o, &s->pki, e))
		return e->code;
	s->socket = live_socket_open(&listen, true, e);
	if (!s->socket)
		return e->code;
	s->loop = live_loop_new(e);
	if (!s->loop || open_server(s, e) || arm_script(s, e))
		return e->code;
	s->sms = serve_sms_new(s, s->o.sms, e);
	if (!s->sms)
		return e->code;
	if (s->o.control) {
		s->control = serve_control_new(s, s->o.control, e);
		if (!s->control)
			return e->code;
	}
	return 0;
}

static int attach(struct serve *s, struct err *e)
{
	struct live_turn turn = {.datagram = on_datagram, .turn = on_turn, .deadline = on_deadline, .ctx = s};
	struct ev_loop *loop = live_loop_ev(s->loop);

	s->sink = (struct serve_sink){.base = {.space = sink_space, .send = sink_send}, .serve = s};
	s->actor = live_attach(s->loop, &turn, s->socket);
	if (!s->actor)
		return err_set(e, ERR_NOMEM, "out of memory");
	ev_signal_init(&s->term, on_stop, SIGTERM);
	ev_signal_init(&s->intr, on_stop, SIGINT);
	ev_signal_init(&s->hup, on_hup, SIGHUP);
	s->term.data = s->intr.data = s->hup.data = s;
	ev_signal_start(loop, &s->term);
	ev_signal_start(loop, &s->intr);
	ev_signal_start(loop, &s->hup);
	return 0;
}

static void announce(struct serve *s)
{
	const struct addr *local = live_socket_local(s->socket);
	struct instant at;
	char text[80];
	int port = ntohs(local->u.sa.sa_family == AF_INET6 ? local->u.in6.sin6_port : local->u.in.sin_port);

	live_clock(&at);
	JOURNAL(s->journal, at.now, "server", NULL, NULL, NULL, J_READY, JI(PORT, port), JS(NAME, "server"));
	serve_journal_flush(s);
	fprintf(stderr, "quicrig serve: listening on %s, %zu devices on record\n",
		addr_format(local, text, sizeof(text)), registry_count(s->registry));
}

static void close_all(struct serve *s)
{
	if (s->actor) {
		struct ev_loop *loop = live_loop_ev(s->loop);

		ev_signal_stop(loop, &s->term);
		ev_signal_stop(loop, &s->intr);
		ev_signal_stop(loop, &s->hup);
		live_detach(s->actor);
	}
	serve_control_free(s->control);
	serve_sms_free(s->sms);
	server_free(s->server);
	if (s->loop)
		live_loop_free(s->loop);
	if (s->socket)
		live_socket_close(s->socket);
	journal_free(s->journal);
	json_decref(s->script);
	buf_fini(&s->lines);
	registry_free(s->registry);
	pki_fini(&s->pki);
	explicit_bzero(s->run_key, sizeof(s->run_key));
}

int serve_main(int argc, char **argv, serve_script_reader *script)
{
	static struct serve s; /* large, and one a process */
	struct err e = {0};
	int rv;

	memset(&s, 0, sizeof(s));
	rv = serve_options_read(&s.o, argc, argv);
	if (rv)
		return rv - 1;
	if (s.o.script) {
		s.script = script ? script(s.o.script) : NULL;
		if (!s.script)
			return SERVE_EXIT_INPUT;
	}
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	buf_init(&s.lines, JOURNAL_BUFFER);
	if (open_all(&s, &e) || attach(&s, &e)) {
		serve_error(&e);
		s.exit_code = serve_exit_code(e.code);
	} else {
		announce(&s);
		live_loop_run(s.loop);
	}
	close_all(&s);
	return s.exit_code;
}
