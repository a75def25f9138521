/* The life of `quicrig device`: a fleet of one, its loop, its sources of codes, and
 * what it tells a person. */
#include "sim/device_verb.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ev.h>

#include "core/journal.h"
#include "core/quic.h"
#include "core/smstext.h"
#include "core/world_live.h"
#include "sim/device_verb_codes.h"
#include "sim/fleet.h"

#define LABEL "device"

struct life {
	const struct device_verb *v;
	struct fleet *fleet;
	struct live_loop *loop;
	struct journal *journal;
	FILE *journal_file, *say; /* journal_file NULL: none */
	time_ns start;
	bool hinted;     /* why a handshake may fail was told */
	bool asked;      /* the person at standard input was asked for a code */
	bool wants_code; /* AWAITING_CODE was entered, and the code stands already */
	int exit_code;   /* -1: goes on */
	struct device_codes codes;
	ev_signal interrupt, terminate;
	uint8_t run_key[32];
};

/* ---- telling ---- */

static int write_journal(void *ctx, const char *line, size_t len)
{
	struct life *l = ctx;

	return fwrite(line, 1, len, l->journal_file) == len && !fflush(l->journal_file) ? 0 : ERR_IO;
}

static void say_state(struct life *l, const struct journal_event *ev)
{
	const char *from = journal_text(ev, JF_FROM), *to = journal_text(ev, JF_TO);
	int64_t wait = journal_int(ev, JF_WAIT_NS, -1), code = journal_int(ev, JF_CODE, 0);

	fprintf(l->say, "%s", strcmp(from, to) ? from : "");
	fprintf(l->say, "%s%s", strcmp(from, to) ? " -> " : "still ", to);
	fprintf(l->say, "  (%s", journal_text(ev, JF_ROW));
	if (code)
		fprintf(l->say, ", %" PRId64, code);
	if (wait >= 0)
		fprintf(l->say, ", waits %.1f s", (double)wait / (double)NS_PER_S);
	fprintf(l->say, ")\n");
}

static void say_event(void *ctx, const struct journal_event *ev)
{
	struct life *l = ctx;
	const char *why = journal_text(ev, JF_WHY);

	if (ev->kind == J_NET_COUNT || ev->kind == J_CONN_OPEN || ev->kind == J_TOKENS_WRITTEN ||
	    ev->kind == J_TOKENS_SYNCED)
		return;
	fprintf(l->say, "%10.3f s  ", (double)(ev->t - l->start) / (double)NS_PER_S);
	switch (ev->kind) {
	case J_DEVICE_STATE:
		say_state(l, ev);
		break;
	case J_DEVICE_REQUEST:
		fprintf(l->say, "  asks %s\n", journal_text(ev, JF_RESOURCE));
		break;
	case J_DEVICE_REPLY:
		fprintf(l->say, "  is answered %" PRId64 "%s%s%s\n", journal_int(ev, JF_CODE, 0),
			journal_int(ev, JF_SIGNED, 0) ? ", signed" : "", why[0] ? ": " : "", why);
		break;
	case J_DEVICE_CODE:
		fprintf(l->say, "  code %s\n", journal_text(ev, JF_STATUS));
		break;
	case J_TOKENS_RENAMED:
		fprintf(l->say, "  tokens stored\n");
		break;
	case J_HANDSHAKE_DONE:
		fprintf(l->say, "  handshake done\n");
		break;
	case J_HANDSHAKE_FAILED:
		fprintf(l->say, "  handshake.failed: %s\n", why);
		if (!l->hinted && strcmp(why, quic_close_text(QUIC_CLOSED_HANDSHAKE)) == 0)
			fprintf(stderr, "quicrig device: is the server's certificate for '%s' (else --server-name), and are "
					"both ends' keys of one 'quicrig pki'?\n", l->v->server_name);
		l->hinted = l->hinted || strcmp(why, quic_close_text(QUIC_CLOSED_HANDSHAKE)) == 0;
		break;
	default:
		fprintf(l->say, "  %s%s%s\n", journal_kind_name(ev->kind), why[0] ? ": " : "", why);
		break;
	}
	fflush(l->say);
}

/* ---- its end ---- */

static void end(struct life *l, int code)
{
	if (l->exit_code >= 0)
		return;
	l->exit_code = code;
	live_loop_stop(l->loop);
}

static void on_changed(void *ctx, unsigned index, enum state_name from, enum state_name to)
{
	struct life *l = ctx;

	(void)index;
	if (to == STATE_AC && from != STATE_AC)
		l->wants_code = l->v->code_from == CODE_FROM_FIXED || l->v->code_from == CODE_FROM_NONE;
	if (to == STATE_AC && l->v->code_from == CODE_FROM_STDIN && !l->asked) {
		l->asked = true;
		fprintf(stderr, "quicrig device: waits for the code on standard input: the %d characters behind the SMS's '#', "
				"or its text (--code-from: other ways)\n", CODE_LEN);
	}
	if (l->v->until < 0)
		return;
	if ((int)to == l->v->until) {
		end(l, 0);
	} else if (to == STATE_IDLE) {
		fprintf(stderr, "quicrig device: IDLE: refused for good; %s will not come\n",
			state_full((enum state_name)l->v->until));
		end(l, 1);
	}
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)events;
	end(w->data, 128 + w->signum);
}

/* ---- codes ---- */

static void on_code(void *ctx, char *line, const struct smstext *sms)
{
	struct life *l = ctx;
	const struct instant *at = live_loop_now(l->loop);

	if (sms)
		fleet_sms(l->fleet, at, sms->uuid, l->v->code_from == CODE_FROM_STDIN ? "stdin" : "unix", line);
	else
		fleet_code(l->fleet, at, 0, line);
}

/* ---- the loop ---- */

static void datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		     unsigned ecn, const uint8_t *data, size_t len)
{
	fleet_datagram(((struct life *)ctx)->fleet, at, local, remote, ecn, data, len);
}

static void turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct life *l = ctx;

	fleet_turn(l->fleet, at, sink);
	if (l->wants_code) {
		l->wants_code = false;
		fleet_code(l->fleet, at, 0, l->v->code ? l->v->code : "");
		fleet_turn(l->fleet, at, sink);
	}
	if (l->exit_code < 0 && l->v->timeout != TIME_NEVER && at->now >= time_add(l->start, l->v->timeout)) {
		fprintf(stderr, "quicrig device: still %s after %.0f s\n", state_full(fleet_state(l->fleet, 0)),
			(double)l->v->timeout / (double)NS_PER_S);
		end(l, 1);
	}
}

static time_ns deadline(void *ctx)
{
	struct life *l = ctx;

	return time_min(fleet_deadline(l->fleet), time_add(l->start, l->v->timeout));
}

static void watch_signals(struct life *l)
{
	struct ev_loop *ev = live_loop_ev(l->loop);

	ev_signal_init(&l->interrupt, on_signal, SIGINT);
	ev_signal_init(&l->terminate, on_signal, SIGTERM);
	l->interrupt.data = l->terminate.data = l;
	ev_signal_start(ev, &l->interrupt);
	ev_signal_start(ev, &l->terminate);
}

static struct fleet *make_fleet(struct life *l, const struct live_socket *s, struct storage *st, struct err *e)
{
	const struct device_verb *v = l->v;
	struct fleet_config cfg = {.cert = v->cert,
				   .key = v->key,
				   .server_ca = v->ca,
				   .server_name = v->server_name,
				   .server_keys = (const char *const *)v->server_keys,
				   .alpn = v->alpn,
				   .local = *live_socket_local(s),
				   .server = v->server,
				   .settings = v->settings,
				   .seed = v->seed,
				   .run_key = l->run_key,
				   .secret = live_secret(),
				   .journal = l->journal,
				   .changed = on_changed,
				   .ctx = l};
	struct fleet_device_config d = {.label = LABEL,
					.identity = v->identity,
					.hold = v->settings.v[SETTING_CONNECTION],
					.accept_unsigned = v->accept_unsigned,
					.any_registration = v->accept_unsigned,
					.storage = st};
	struct fleet *f = fleet_new(&cfg, e);

	memcpy(d.methods, v->methods, sizeof(d.methods));
	if (f && fleet_add(f, &d, e) < 0) {
		fleet_free(f);
		return NULL;
	}
	return f;
}

static int open_journal(struct life *l)
{
	l->say = stdout;
	if (!l->v->journal)
		return 0;
	if (strcmp(l->v->journal, "-") == 0) {
		l->journal_file = stdout;
		l->say = stderr; /* a journal is for programs: nothing between its lines */
		return 0;
	}
	l->journal_file = fopen(l->v->journal, "we");
	if (l->journal_file)
		return 0;
	fprintf(stderr, "quicrig device: error: %s: %s\n", l->v->journal, strerror(errno));
	return 3;
}

static void live(struct life *l, struct live_socket *s)
{
	struct live_turn t = {.datagram = datagram, .turn = turn, .deadline = deadline, .ctx = l};
	struct live_actor *actor = live_attach(l->loop, &t, s);
	struct instant at;

	if (!actor) {
		l->exit_code = 70;
		return;
	}
	live_clock(&at);
	l->start = at.now;
	watch_signals(l);
	fleet_power_on(l->fleet, &at, 0);
	if (l->exit_code < 0)
		live_loop_run(l->loop);
	ev_signal_stop(live_loop_ev(l->loop), &l->interrupt);
	ev_signal_stop(live_loop_ev(l->loop), &l->terminate);
	live_clock(&at);
	fleet_counts(l->fleet, &at);
	live_detach(actor);
}

int device_verb_run(const struct device_verb *v)
{
	struct life l = {.v = v, .exit_code = -1};
	struct live_socket *s = NULL;
	struct storage *st = NULL;
	struct addr any = {.len = v->server.len};
	struct err e = {0};
	char text[800];
	int rv = open_journal(&l);

	if (rv)
		return rv;
	any.u.sa.sa_family = v->server.u.sa.sa_family;
	secret_fill(live_secret(), l.run_key, sizeof(l.run_key));
	l.journal = journal_new(l.journal_file ? write_journal : NULL, &l);
	l.loop = live_loop_new(&e);
	if (!l.journal || !l.loop)
		goto fail;
	journal_set_reader(l.journal, say_event, &l);
	s = live_socket_open(&any, false, &e);
	if (!s || (v->state_dir && !(st = live_storage_new(v->state_dir, &e))))
		goto fail;
	l.fleet = make_fleet(&l, s, st, &e);
	if (!l.fleet) {
		rv = 2;
		goto fail;
	}
	l.codes = (struct device_codes){.verb = "device", .line = on_code, .ctx = &l};
	rv = device_codes_open(&l.codes, live_loop_ev(l.loop), v->code_from, v->code);
	if (rv)
		goto out;
	live(&l, s);
	device_codes_close(&l.codes);
	rv = l.exit_code;
	if (journal_error(l.journal)) {
		fprintf(stderr, "quicrig device: error: the journal could not be written\n");
		rv = rv ? rv : 3;
	}
	goto out;
fail:
	fprintf(stderr, "quicrig device: error: %s\n", err_format(&e, text, sizeof(text)));
	rv = rv ? rv : 3;
out:
	fleet_free(l.fleet);
	live_storage_free(st);
	if (s)
		live_socket_close(s);
	if (l.loop)
		live_loop_free(l.loop);
	journal_free(l.journal);
	if (l.journal_file && l.journal_file != stdout && fclose(l.journal_file) && !rv)
		rv = 3;
	return rv;
}
