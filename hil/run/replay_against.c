/* quicrig replay --against: a recorded device's requests, asked again of a live server. */
#include "hil/run/against.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ev.h>

#include "core/hash.h"
#include "core/quic.h"
#include "core/token.h"
#include "core/world_live.h"
#include "hil/judge/verdict.h"
#include "hil/run/plan.h"
#include "sim/device.h"
#include "sim/device_verb_codes.h"

#define MEASURE	   21.5
#define WRONG_CODE "WRONGwrong00" /* no server draws it twice in a life */
#define WHO	   "quicrig replay: "

/* One device's script on its way. */
struct client {
	const struct recording *r;
	struct device_verb *v;
	struct against_script script;
	double speed;
	size_t i, drawn; /* the step that is due or under way; steps whose attempt is named */
	bool asked, answered, hold, registered;
	unsigned different, answers, excused;
	int exit_code; /* -1: goes on */

	struct live_loop *loop;
	struct live_socket *socket;
	struct live_actor *actor;
	struct quic_credentials *credentials;
	struct quic_endpoint *quic;
	struct quic_conn *conn;
	struct token_keys *keys;
	struct device_codes codes;
	ev_signal interrupt, terminate;
	time_ns start, sent, wait_code;

	char nonce[NONCE_LEN + 1], registration[REGISTRATION_LEN + 1], code[DEVICE_CODE_MAX + 1];
	bool has_code;
	char *access, *refresh;
	struct against_shape now;
	char lost[64]; /* why the last connection went */
};

#define STEP(c) (&(c)->script.v[(c)->i])

static void end(struct client *c, int code)
{
	if (c->exit_code >= 0)
		return;
	c->exit_code = code;
	live_loop_stop(c->loop);
}

/* ---- what the device would believe ---- */

static void doubt(struct against_shape *s, const char *why)
{
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static bool signature_good(const struct client *c, const struct msg_response *r)
{
	struct reply_claims claims = {.nonce = c->nonce,
				      .resource = msg_resource_name(STEP(c)->resource),
				      .code = r->code,
				      .payload = r->payload,
				      .command = r->command,
				      .retry_after_s = r->retry_after_s};

	return r->signature && !reply_verify(c->keys, r->signature, &claims, NULL);
}

static const char *judge_token(const struct client *c, const char *token)
{
	struct token_claims claims;

	if (token_verify(c->keys, token, strlen(token), TOKEN_TEXT_MAX, &claims, NULL))
		return "token_signature";
	return strcmp(claims.sub[0] ? claims.sub : claims.data_uuid, c->v->identity.uuid) ? "token_owner" : NULL;
}

static void replace(char **at, const char *text)
{
	if (*at)
		explicit_bzero(*at, strlen(*at));
	free(*at);
	*at = strdup(text);
}

static void take_tokens(struct client *c, json_t *payload)
{
	json_t *tokens = json_object_get(payload, "tokens");
	const char *access = json_string_value(json_object_get(tokens, "accessToken"));
	const char *refresh = json_string_value(json_object_get(tokens, "refreshToken")), *why;

	if (!access || !refresh) {
		doubt(&c->now, "tokens_missing");
		return;
	}
	why = judge_token(c, access);
	if (!why)
		why = judge_token(c, refresh);
	if (why) {
		doubt(&c->now, why);
		return;
	}
	replace(&c->access, access);
	replace(&c->refresh, refresh);
}

static void judge(struct client *c, const struct msg_response *r)
{
	enum msg_resource asked = STEP(c)->resource;
	const char *key = json_string_value(json_object_get(r->payload, "serverPublicKey"));

	c->now.how = AGAINST_REPLY;
	c->now.code = r->code > 0 ? r->code : 0;
	c->answers++;
	if (!c->v->accept_unsigned && device_needs_signature(asked, r) && !signature_good(c, r))
		doubt(&c->now, r->signature ? "signature" : "unsigned");
	else if (r->code == 200 && asked == MSG_REGISTER && !c->v->accept_unsigned && (!key || !token_keys_has_pem(c->keys, key)))
		doubt(&c->now, key ? "key_not_pinned" : "malformed");
	else if (r->code == 200 && (asked == MSG_LOGIN || asked == MSG_REFRESH))
		take_tokens(c, r->payload);
}

/* ---- the connection ---- */

static void on_reply(void *ctx, struct quic_conn *conn, void *user, enum quic_request_status status, const uint8_t *data,
		     size_t len)
{
	struct client *c = ctx;
	struct msg_response r = {0};

	(void)conn;
	(void)user;
	if (!c->asked || c->answered)
		return;
	c->answered = true;
	if (status == QUIC_CONN_LOST) {
		c->now.how = AGAINST_LINK_LOST;
		return;
	}
	if (msg_response_parse((const char *)data, status == QUIC_REPLY ? len : 0, &r))
		r.code = MSG_NO_CODE;
	judge(c, &r);
	msg_response_fini(&r);
}

static void on_closed(void *ctx, struct quic_conn *conn, enum quic_close_why why, uint64_t error)
{
	struct client *c = ctx;

	if (why != QUIC_CLOSED_OK)
		snprintf(c->lost, sizeof(c->lost), "%s, error 0x%" PRIx64, quic_close_text(why), error);
	if (c->conn == conn)
		c->conn = NULL;
}

static void on_handshake(void *ctx, struct quic_conn *conn)
{
	(void)ctx;
	(void)conn;
}

static void let_go(struct client *c, const struct instant *at)
{
	struct quic_conn *conn = c->conn;

	c->conn = NULL;
	if (conn)
		quic_close(conn, at, QUIC_APP_DONE, true, NULL);
}

/* ---- asking ---- */

static void fresh_hex(char *out, size_t digits)
{
	uint8_t raw[REGISTRATION_LEN / 2];

	secret_fill(live_secret(), raw, digits / 2);
	hash_hex(raw, digits / 2, out);
}

/* Another attempt of the recorded device is another registration of this one. */
static void attempt(struct client *c)
{
	if (c->drawn > c->i)
		return;
	c->drawn = c->i + 1;
	if (c->i && strcmp(STEP(c)->reg, c->script.v[c->i - 1].reg) == 0)
		return;
	fresh_hex(c->registration, REGISTRATION_LEN);
	explicit_bzero(c->code, sizeof(c->code));
	c->has_code = false;
}

static int build(struct client *c, const struct instant *at, struct buf *out)
{
	const struct registry_device *id = &c->v->identity;
	struct against_step *s = STEP(c);
	struct msg_request r = {.resource = s->resource, .measure = MEASURE, .timestamp = at->unix_ms};
	char none[1] = "";
	int rv;

	fresh_hex(c->nonce, NONCE_LEN);
	snprintf(r.nonce, sizeof(r.nonce), "%s", c->nonce);
	snprintf(r.uuid, sizeof(r.uuid), "%s", id->uuid);
	snprintf(r.device_type, sizeof(r.device_type), "%s", id->device_type);
	snprintf(r.serial_id, sizeof(r.serial_id), "%s", id->serial_id);
	snprintf(r.network_type, sizeof(r.network_type), "%s", id->network_type);
	snprintf(r.network_id, sizeof(r.network_id), "%s", id->network_id);
	for (unsigned m = 0; c->v->methods[m]; m++)
		snprintf(r.methods[r.methods_n++], sizeof(r.methods[0]), "%s", c->v->methods[m]);
	if (s->resource == MSG_REGISTER || s->resource == MSG_LOGIN)
		snprintf(r.registration, sizeof(r.registration), "%s", c->registration);
	if (s->resource == MSG_LOGIN)
		snprintf(r.code, sizeof(r.code), "%s",
			 s->wrong_code ? WRONG_CODE : c->v->code_from == CODE_FROM_FIXED ? c->v->code : c->code);
	r.kids_n = token_keys_count(c->keys) < MSG_KIDS_MAX ? token_keys_count(c->keys) : MSG_KIDS_MAX;
	for (unsigned k = 0; k < r.kids_n; k++)
		snprintf(r.kids[k], sizeof(r.kids[k]), "%s", token_keys_kid(c->keys, k));
	r.authentication = s->resource == MSG_PUBLISH && c->access  ? c->access :
			   s->resource == MSG_REFRESH && c->refresh ? c->refresh :
								      none;
	r.authentication_len = strlen(r.authentication);
	rv = msg_request_build(&r, out);
	explicit_bzero(r.code, sizeof(r.code));
	return rv;
}

static void ask(struct client *c, const struct instant *at)
{
	struct buf out;
	struct err e = {0};
	int rv;

	buf_init(&out, MSG_REPLY_MAX);
	rv = build(c, at, &out);
	if (!rv && !c->conn)
		c->conn = quic_connect(c->quic, at, live_socket_local(c->socket), &c->v->server, c->v->server_name, NULL, c, &e);
	if (!rv)
		rv = c->conn ? quic_request(c->conn, (const uint8_t *)out.data, out.len, c) : ERR_CLOSED;
	if (out.data)
		explicit_bzero(out.data, out.cap);
	buf_fini(&out);
	c->asked = true;
	c->sent = at->now;
	c->now = (struct against_shape){.how = AGAINST_LINK_LOST};
	c->answered = rv != 0;
	if (c->conn && c->hold)
		quic_keep_alive(c->conn, true);
}

/* ---- codes ---- */

static void on_code(void *ctx, char *line, const struct smstext *sms)
{
	struct client *c = ctx;
	const char *code = sms ? sms->code : line;

	if (sms && (strcmp(sms->uuid, c->v->identity.uuid) != 0 ||
		    (sms->r[0] && strncmp(sms->r, c->registration, 8) != 0)))
		return; /* somebody else's, or of an attempt before */
	if (strlen(code) > DEVICE_CODE_MAX)
		return;
	snprintf(c->code, sizeof(c->code), "%s", code);
	c->has_code = true;
}

/* Has the login its code? Fixed ones, and none at all, are there at once. */
static bool code_ready(const struct client *c)
{
	return STEP(c)->resource != MSG_LOGIN || STEP(c)->wrong_code || c->has_code || c->v->code_from == CODE_FROM_NONE ||
	       c->v->code_from == CODE_FROM_FIXED;
}

/* ---- the walk ---- */

static time_ns due(const struct client *c)
{
	return time_add(c->start, (time_ns)((double)STEP(c)->at / c->speed));
}

static void say_step(const struct client *c, time_ns now, bool alike)
{
	const struct against_step *s = STEP(c);
	char a[64], b[64];
	time_ns t = now - c->start;

	printf("  %6" PRIu64 ".%03" PRIu64 " s  %-15s recorded %s, now %s", t / NS_PER_S, t % NS_PER_S / NS_PER_MS,
	       msg_resource_name(s->resource), against_text(&s->recorded, a, sizeof(a)), against_text(&c->now, b, sizeof(b)));
	if (s->excused)
		printf("  (not compared: the doing of %s)\n", s->excused);
	else
		puts(alike ? "" : "  DIFFERENT");
	fflush(stdout);
}

/* The outcome of the step under way is known. */
static void settle(struct client *c, const struct instant *at)
{
	bool alike = against_same(&STEP(c)->recorded, &c->now);

	c->asked = false;
	if (STEP(c)->resource == MSG_REGISTER)
		c->registered = c->now.how == AGAINST_REPLY && c->now.code == 200;
	if (!c->answers && c->now.how != AGAINST_REPLY) {
		fprintf(stderr, WHO "error: no server answers at %s%s%s\n", c->v->server_text, c->lost[0] ? ": " : "", c->lost);
		end(c, EXIT_ENVIRONMENT);
		return;
	}
	say_step(c, at->now, alike);
	c->excused += STEP(c)->excused != NULL;
	c->different += !STEP(c)->excused && !alike;
	if (!c->hold)
		let_go(c, at);
	/* where nothing could be compared nothing can be said */
	if (++c->i == c->script.n)
		end(c, c->different ? EXIT_FAILED : c->excused == c->i ? EXIT_INCONCLUSIVE : EXIT_PASSED);
}

static void give_up(struct client *c, const char *why)
{
	printf("  %s: %s; %zu of %zu requests were not asked\n", msg_resource_name(STEP(c)->resource), why,
	       c->script.n - c->i, c->script.n);
	c->different++;
	end(c, EXIT_FAILED);
}

static void progress(struct client *c, const struct instant *at)
{
	if (c->asked && !c->answered && at->now >= time_add(c->sent, setting_ns(&c->v->settings, SETTING_REQUEST_TIMEOUT))) {
		if (c->conn)
			quic_cancel(c->conn, c);
		c->now.how = AGAINST_NO_ANSWER;
		c->answered = true;
	}
	if (c->asked && c->answered)
		settle(c, at);
	if (c->exit_code >= 0 || c->asked || at->now < due(c))
		return;
	attempt(c);
	if (!code_ready(c)) {
		if (!c->registered) {
			give_up(c, "no code will come, the server did not register it");
			return;
		}
		if (!c->wait_code)
			c->wait_code = time_add(at->now, setting_ns(&c->v->settings, SETTING_CODE_WAIT));
		if (at->now >= c->wait_code)
			give_up(c, "no code came");
		return;
	}
	c->wait_code = 0;
	if ((STEP(c)->resource == MSG_PUBLISH && !c->access) || (STEP(c)->resource == MSG_REFRESH && !c->refresh))
		give_up(c, "no token to ask with");
	else
		ask(c, at);
}

static void datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote, unsigned ecn,
		     const uint8_t *data, size_t len)
{
	quic_input(((struct client *)ctx)->quic, at, local, remote, ecn, data, len);
}

static void turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct client *c = ctx;

	if (!c->start)
		c->start = at->now;
	if (quic_deadline(c->quic) <= at->now)
		quic_expire(c->quic, at);
	if (c->exit_code < 0)
		progress(c, at);
	if (c->exit_code >= 0)
		let_go(c, at); /* the last word of a held connection */
	quic_output(c->quic, at, sink);
}

static time_ns deadline(void *ctx)
{
	const struct client *c = ctx;
	time_ns t = quic_deadline(c->quic);

	if (!c->start)
		return 0;
	if (c->exit_code >= 0)
		return t;
	if (c->asked)
		return time_min(t, c->answered ? 0 : time_add(c->sent, setting_ns(&c->v->settings, SETTING_REQUEST_TIMEOUT)));
	return time_min(t, c->wait_code && !code_ready(c) ? c->wait_code : due(c));
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)loop;
	(void)events;
	end(w->data, 128 + w->signum);
}

/* ---- before and after ---- */

/* Who it is: as the options say, else as recorded. */
static int be(struct client *c, const struct plan_device *pd)
{
	struct registry_device *id = &c->v->identity;
	static const char *methods[REGISTRY_METHODS + 1];

	if (!id->uuid[0])
		snprintf(id->uuid, sizeof(id->uuid), "%s", pd->identity.uuid);
	if (!id->device_type[0])
		snprintf(id->device_type, sizeof(id->device_type), "%s", pd->identity.device_type);
	if (!id->serial_id[0])
		snprintf(id->serial_id, sizeof(id->serial_id), "%s", pd->identity.serial_id);
	if (!id->network_id[0])
		snprintf(id->network_id, sizeof(id->network_id), "%s", pd->identity.network_id);
	snprintf(id->network_type, sizeof(id->network_type), "%s", pd->identity.network_type);
	if (!c->v->methods[0]) {
		for (unsigned m = 0; m < REGISTRY_METHODS && pd->methods[m][0]; m++)
			methods[m] = pd->methods[m];
		memcpy(c->v->methods, methods, sizeof(methods));
	}
	c->hold = pd->hold;
	return 0;
}

static int open_client(struct client *c, struct err *e)
{
	struct quic_credentials_pem pem = {.cert = c->v->cert, .key = c->v->key, .peer_ca = c->v->ca};
	struct quic_config q = {.alpn = c->v->alpn,
				.secret = live_secret(),
				.on = {.handshake_done = on_handshake, .closed = on_closed, .reply = on_reply},
				.ctx = c,
				.idle_timeout = setting_ns(&c->v->settings, SETTING_IDLE_TIMEOUT),
				.handshake_timeout = setting_ns(&c->v->settings, SETTING_HANDSHAKE_TIMEOUT),
				.message_max = MSG_REPLY_MAX,
				.streams = 1,
				.stream_window = MSG_REPLY_MAX + 1024};
	struct live_turn t = {.datagram = datagram, .turn = turn, .deadline = deadline, .ctx = c};
	struct addr any = {.len = c->v->server.len};

	any.u.sa.sa_family = c->v->server.u.sa.sa_family;
	c->keys = token_keys_new();
	c->loop = live_loop_new(e);
	if (!c->keys || !c->loop)
		return err_set(e, ERR_NOMEM, "out of memory");
	token_keys_allow_no_kid(c->keys, c->v->accept_unsigned);
	for (int k = 0; c->v->server_keys[k]; k++)
		if (token_keys_add(c->keys, c->v->server_keys[k], e))
			return e->code;
	c->socket = live_socket_open(&any, false, e);
	c->credentials = c->socket ? quic_credentials_new(&pem, e) : NULL;
	q.credentials = c->credentials;
	c->quic = c->credentials ? quic_endpoint_new(&q, e) : NULL;
	c->actor = c->quic ? live_attach(c->loop, &t, c->socket) : NULL;
	return c->actor ? 0 : err_set(e, ERR_NOMEM, "out of memory");
}

static void close_client(struct client *c)
{
	if (c->actor)
		live_detach(c->actor);
	quic_endpoint_free(c->quic);
	quic_credentials_free(c->credentials);
	if (c->socket)
		live_socket_close(c->socket);
	if (c->loop)
		live_loop_free(c->loop);
	token_keys_free(c->keys);
	replace(&c->access, "");
	replace(&c->refresh, "");
	free(c->access);
	free(c->refresh);
	explicit_bzero(c->code, sizeof(c->code));
	against_script_fini(&c->script);
}

static void run(struct client *c)
{
	struct ev_loop *ev = live_loop_ev(c->loop);

	ev_signal_init(&c->interrupt, on_signal, SIGINT);
	ev_signal_init(&c->terminate, on_signal, SIGTERM);
	c->interrupt.data = c->terminate.data = c;
	ev_signal_start(ev, &c->interrupt);
	ev_signal_start(ev, &c->terminate);
	live_loop_run(c->loop);
	ev_signal_stop(ev, &c->interrupt);
	ev_signal_stop(ev, &c->terminate);
}

static const struct plan_device *find(const struct plan *p, const char *uuid)
{
	for (unsigned i = 0; p && i < plan_count(p); i++)
		if (strcmp(plan_device(p, i)->identity.uuid, uuid) == 0)
			return plan_device(p, i);
	return NULL;
}

static int failed(const struct err *e)
{
	char text[800];

	fprintf(stderr, WHO "error: %s\n", err_format(e, text, sizeof(text)));
	return e->code == ERR_NOMEM ? EXIT_INTERNAL : e->code == ERR_ENVIRONMENT || e->code == ERR_IO ? EXIT_ENVIRONMENT :
													EXIT_BAD_INPUT;
}

static void sum_up(const struct client *c, const struct replay_device *d)
{
	size_t compared = c->i - c->excused;

	if (c->exit_code != EXIT_PASSED && c->exit_code != EXIT_FAILED && c->exit_code != EXIT_INCONCLUSIVE)
		return;
	printf("%s: %s against %s: ", c->r->id, d->label, c->v->server_text);
	if (c->different)
		printf("different, %zu of %zu requests asked\n", c->i, c->script.n);
	else if (!compared)
		puts("nothing could be compared");
	else
		printf("alike, %zu request%s compared\n", compared, compared == 1 ? "" : "s");
	if (c->excused)
		printf("  %u shaped by faults of the recording: not compared\n", c->excused);
}

int replay_against(const struct recording *r, const struct replay_device *d, struct device_verb *v, double speed)
{
	static const struct plan_rig nobody = {.ctx = NULL};
	struct client c = {.r = r, .v = v, .speed = speed, .exit_code = -1};
	struct err e = {0};
	struct plan *plan = plan_new(r->plan, &nobody, NULL, &e);
	const struct plan_device *pd = find(plan, d->uuid);

	if (plan && !pd)
		err_set(&e, ERR_PARSE, "plan.json and journal.jsonl do not belong together: no device of the plan is %s", d->label);
	if (!e.code && !against_script(r, d, &c.script, &e) && !be(&c, pd) && !open_client(&c, &e)) {
		c.codes = (struct device_codes){.verb = "replay", .line = on_code, .ctx = &c};
		c.exit_code = device_codes_open(&c.codes, live_loop_ev(c.loop), v->code_from, v->code);
		c.exit_code = c.exit_code ? c.exit_code : -1;
		if (c.exit_code < 0)
			run(&c);
		device_codes_close(&c.codes);
		sum_up(&c, d);
	}
	if (e.code)
		c.exit_code = failed(&e);
	close_client(&c);
	plan_free(plan);
	return c.exit_code;
}

int replay_registry(const struct recording *r, const char *path)
{
	static const struct plan_rig nobody = {.ctx = NULL};
	struct err e = {0};
	struct plan *plan = plan_new(r->plan, &nobody, NULL, &e);
	char *text = plan ? plan_registry(plan) : NULL;
	FILE *f = text ? fopen(path, "we") : NULL;
	int bad = !f;

	if (f)
		bad = fputs(text, f) < 0;
	if (f)
		bad |= fclose(f);
	if (plan && !text)
		err_set(&e, ERR_NOMEM, "out of memory");
	else if (plan && bad)
		err_set(&e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
	else if (plan)
		printf("%s: its devices stand in %s: quicrig serve --registry %s …\n", r->id, path, path);
	free(text);
	plan_free(plan);
	return e.code ? failed(&e) : EXIT_PASSED;
}
