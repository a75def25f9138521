/* The whole server over QUIC in memory: a client endpoint, datagrams handed across, a
 * gateway that knows its ids; crash points, armed faults, control. */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "core/crash.h"
#include "core/quic.h"
#include "server/effects.h"
#include "server/server.h"

#define DATAGRAM_MAX 65536

struct packet {
	STAILQ_ENTRY(packet) next;
	bool to_server;
	size_t len;
	uint8_t data[];
};

struct wire_sink {
	struct dgram_sink base; /* first */
	bool to_server;
	uint8_t room[DATAGRAM_MAX];
};

static struct {
	struct mem_storage mem;
	struct test_secret secret;
	struct registry *registry;
	struct journal *journal;
	struct faults *faults;
	struct buf lines;
	struct settings settings;
	struct server *server;
	struct quic_credentials *credentials;
	struct quic_endpoint *client;
	struct quic_conn *conn;
	struct wire_sink up, down;
	STAILQ_HEAD(, packet) wire;
	struct addr here, there;
	struct instant at;
	bool gateway, lab, died;
	char died_at[64];
	char ids[8][33]; /* SMS that the gateway took, once each */
	char todo[33];   /* id whose "queued" is to be said */
	unsigned sms, handed;
	char code[CODE_LEN_MAX + 1];
	char *reply;
	enum quic_request_status status;
	bool replied;
	int turn_rv;
} t;

/* ---- the world ---- */

static uint8_t *wire_space(struct dgram_sink *sink, size_t size)
{
	ck_assert_uint_le(size, DATAGRAM_MAX);
	return ((struct wire_sink *)(void *)sink)->room;
}

static void wire_send(struct dgram_sink *sink, void *owner, const struct addr *local, const struct addr *remote,
		      size_t len, size_t segment, unsigned ecn)
{
	struct wire_sink *w = (struct wire_sink *)(void *)sink;

	(void)owner;
	(void)local;
	(void)remote;
	(void)ecn;
	for (size_t at = 0; at < len;) {
		size_t n = segment && len - at > segment ? segment : len - at;
		struct packet *p = malloc(sizeof(*p) + n);

		p->to_server = w->to_server;
		p->len = n;
		memcpy(p->data, w->room + at, n);
		STAILQ_INSERT_TAIL(&t.wire, p, next);
		at += n;
	}
}

static int take_sms(void *ctx, const struct server_sms *sms)
{
	struct smstext text;

	(void)ctx;
	if (!t.gateway)
		return ERR_CLOSED;
	t.handed++;
	snprintf(t.todo, sizeof(t.todo), "%s", sms->id);
	for (unsigned i = 0; i < t.sms; i++)
		if (strcmp(t.ids[i], sms->id) == 0)
			return 0; /* the same id again is never a second SMS */
	ck_assert(smstext_parse(sms->text, &text));
	snprintf(t.code, sizeof(t.code), "%s", text.code);
	snprintf(t.ids[t.sms++], 33, "%s", sms->id);
	return 0;
}

static void die(void *ctx, const char *where)
{
	(void)ctx;
	t.died = true;
	snprintf(t.died_at, sizeof(t.died_at), "%s", where);
}

static int keep_line(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	return buf_add(&t.lines, line, len);
}

static void on_reply(void *ctx, struct quic_conn *c, void *user, enum quic_request_status status,
		     const uint8_t *data, size_t len)
{
	(void)ctx;
	(void)c;
	(void)user;
	free(t.reply);
	t.reply = strndup((const char *)data, data ? len : 0);
	t.status = status;
	t.replied = true;
}

static void on_done(void *ctx, struct quic_conn *c)
{
	(void)ctx;
	(void)c;
}

static void on_closed(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error)
{
	(void)ctx;
	(void)why;
	(void)error;
	if (c == t.conn)
		t.conn = NULL;
}

static void start_server(void)
{
	static const uint8_t run_key[32] = "run key of a test, 32 bytes long";
	struct server_config cfg = {.pki = test_pki(),
				    .registry = t.registry,
				    .settings = t.settings,
				    .db = "server.db",
				    .vfs = "mem",
				    .boot_id = "boot-1",
				    .run_key = run_key,
				    .secret = &t.secret.base,
				    .journal = t.journal,
				    .lab = t.lab,
				    .world = {.sms = take_sms, .die = die}};
	struct err e = {0};

	t.died = false;
	t.server = server_new(&cfg, &t.at, &e);
	ck_assert_msg(t.server != NULL, "%s", e.text);
}

static void setup(void)
{
	struct quic_credentials_pem pem = {test_pki()->fleet.cert, test_pki()->fleet.key, test_pki()->server_ca.cert};
	struct quic_config q = {.on = {.handshake_done = on_done, .closed = on_closed, .reply = on_reply},
				.idle_timeout = 30 * NS_PER_S,
				.handshake_timeout = 10 * NS_PER_S,
				.message_max = MSG_REPLY_MAX,
				.stream_window = MSG_REPLY_MAX,
				.half_open_retry = SETTING_OFF,
				.connections_max = SETTING_OFF,
				.connections_per_source = SETTING_OFF};
	struct err e = {0};

	memset(&t, 0, sizeof(t));
	mem_init(&t.mem);
	ck_assert_int_eq(store_vfs_register("mem", &t.mem.base), 0);
	test_secret_init(&t.secret, 3);
	t.registry = test_registry();
	settings_rig(&t.settings);
	t.at = (struct instant){.now = 100 * NS_PER_S, .boot = 100 * NS_PER_S, .unix_ms = 1700000000000};
	STAILQ_INIT(&t.wire);
	buf_init(&t.lines, 8u << 20);
	t.journal = journal_new(keep_line, NULL);
	t.up = (struct wire_sink){.base = {wire_space, wire_send}, .to_server = true};
	t.down = (struct wire_sink){.base = {wire_space, wire_send}, .to_server = false};
	addr_parse("127.0.0.1:4000", &t.here);
	addr_parse("127.0.0.1:20190", &t.there);
	t.gateway = t.lab = true;
	t.credentials = quic_credentials_new(&pem, &e);
	ck_assert_msg(t.credentials != NULL, "%s", e.text);
	q.credentials = t.credentials;
	q.secret = &t.secret.base;
	t.client = quic_endpoint_new(&q, &e);
	ck_assert_msg(t.client != NULL, "%s", e.text);
	start_server();
}

static void drop_wire(void)
{
	struct packet *p;

	while ((p = STAILQ_FIRST(&t.wire))) {
		STAILQ_REMOVE_HEAD(&t.wire, next);
		free(p);
	}
}

static void teardown(void)
{
	server_free(t.server);
	quic_endpoint_free(t.client);
	quic_credentials_free(t.credentials);
	drop_wire();
	store_vfs_unregister("mem");
	mem_fini(&t.mem);
	registry_free(t.registry);
	journal_free(t.journal);
	buf_fini(&t.lines);
	free(t.reply);
}

static void deliver(void)
{
	struct packet *p;

	while ((p = STAILQ_FIRST(&t.wire))) {
		STAILQ_REMOVE_HEAD(&t.wire, next);
		if (p->to_server && !t.died)
			server_datagram(t.server, &t.at, &t.there, &t.here, 0, p->data, p->len);
		else if (!p->to_server)
			quic_input(t.client, &t.at, &t.here, &t.there, 0, p->data, p->len);
		free(p);
	}
}

static void gateway_speaks(void)
{
	char id[33];

	if (!t.todo[0] || t.died)
		return;
	memcpy(id, t.todo, sizeof(id));
	t.todo[0] = '\0';
	server_sms_status(t.server, &t.at, id, SMS_QUEUED, 1, -1, -1);
	server_sms_status(t.server, &t.at, id, SMS_SUBMITTED, -1, -1, 7);
}

/* Runs for `ms`, or until a reply or a death. */
static void run(int64_t ms)
{
	time_ns end = t.at.now + (time_ns)ms * NS_PER_MS;

	for (;;) {
		time_ns due;

		quic_expire(t.client, &t.at);
		quic_output(t.client, &t.at, &t.up.base);
		deliver();
		gateway_speaks();
		if (!t.died)
			t.turn_rv = server_turn(t.server, &t.at, &t.down.base);
		deliver();
		if (!STAILQ_EMPTY(&t.wire) || (t.todo[0] && !t.died))
			continue;
		if (t.replied || t.died || t.turn_rv)
			break;
		due = time_min(quic_deadline(t.client), server_deadline(t.server));
		if (due >= end)
			break;
		if (due <= t.at.now)
			due = t.at.now + NS_PER_US;
		t.at.boot += due - t.at.now;
		t.at.unix_ms = 1700000000000 + (int64_t)((due - 100 * NS_PER_S) / NS_PER_MS);
		t.at.now = due;
	}
	if (!t.replied && !t.died && !t.turn_rv && t.at.now < end) {
		t.at.boot += end - t.at.now;
		t.at.now = end;
	}
}

static void raw(const char *data, size_t len)
{
	struct err e = {0};

	if (!t.conn)
		t.conn = quic_connect(t.client, &t.at, &t.here, &t.there, "127.0.0.1", NULL, NULL, &e);
	ck_assert_msg(t.conn != NULL, "%s", e.text);
	t.replied = false;
	ck_assert_int_eq(quic_request(t.conn, (const uint8_t *)data, len, NULL), 0);
	run(8000);
}

static int code_of_reply(void)
{
	struct msg_response r;
	int code;

	if (!t.replied || t.status != QUIC_REPLY)
		return 0;
	msg_response_parse(t.reply, strlen(t.reply), &r);
	code = r.code;
	msg_response_fini(&r);
	return code;
}

static char *token_of_reply(const char *which)
{
	struct msg_response r;
	char *out;

	msg_response_parse(t.reply, strlen(t.reply), &r);
	out = strdup(json_string_value(json_object_get(json_object_get(r.payload, "tokens"), which)));
	msg_response_fini(&r);
	return out;
}

/* Asks; the reply's code, 0 where none came. */
static int ask(enum msg_resource res, const char *token, const char *code)
{
	struct msg_request m;
	struct buf out;

	ask_prepare(&m, res, 0, 1);
	m.authentication = (char *)(uintptr_t)token;
	m.authentication_len = token ? strlen(token) : 0;
	if (code)
		snprintf(m.code, sizeof(m.code), "%s", code);
	buf_init(&out, MSG_REPLY_MAX);
	ck_assert_int_eq(msg_request_build(&m, &out), 0);
	raw(out.data, out.len);
	buf_fini(&out);
	return code_of_reply();
}

static const char *control(const char *request)
{
	static char text[4096];
	json_t *j = json_loads(request, 0, NULL);
	struct buf b;

	ck_assert_ptr_nonnull(j);
	buf_init(&b, sizeof(text) - 1);
	server_control(t.server, &t.at, j, &b);
	json_decref(j);
	snprintf(text, sizeof(text), "%s", b.data);
	buf_fini(&b);
	return text;
}

static bool said_ok(const char *request)
{
	return strstr(control(request), "\"ok\":true") != NULL;
}

/* kill -9, disk and all, and up again; the client's connection is lost with it. */
static void restart(void)
{
	server_free(t.server);
	mem_crash(&t.mem);
	drop_wire();
	if (t.conn)
		quic_abandon(t.conn);
	t.conn = NULL;
	t.todo[0] = '\0';
	start_server();
	server_gateway(t.server, &t.at, true);
	t.replied = false;
	run(5);
}

static unsigned lines_with(const char *what)
{
	unsigned n = 0;

	for (const char *p = t.lines.data; p && (p = strstr(p, what)); p++)
		n++;
	return n;
}

/* ---- stories ---- */

START_TEST(a_life)
{
	char *access, *refresh;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_ptr_nonnull(strstr(t.reply, "\"resource\":\"registerDeviceResponse\""));
	ck_assert_ptr_nonnull(strstr(t.reply, "\"publishInterval\":60"));
	ck_assert_uint_eq(t.sms, 1);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	refresh = token_of_reply("refreshToken");
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	ck_assert_ptr_nonnull(strstr(t.reply, "ACK for 1700000000000"));
	ck_assert_ptr_null(strstr(t.reply, "\"resource\""));
	ck_assert_int_eq(ask(MSG_REFRESH, refresh, NULL), 200);
	ck_assert_int_eq(ask(MSG_PUBLISH, "nonsense", NULL), 401);
	ck_assert_uint_eq(lines_with("\"kind\":\"server.reply\""), 5);
	ck_assert_uint_eq(lines_with("\"kind\":\"conn.open\""), 1);
	ck_assert_uint_eq(lines_with("\"kind\":\"server.state\",\"state\":\"up\""), 1);
	/* no secret in the journal */
	ck_assert_uint_eq(lines_with(t.code), 0);
	ck_assert_uint_eq(lines_with(access), 0);
	ck_assert_uint_eq(lines_with(refresh), 0);
	ck_assert_uint_eq(lines_with("+3460000000"), 0);
	ck_assert_uint_eq(lines_with("2140700000000"), 0);
	free(access);
	free(refresh);
}
END_TEST

START_TEST(bad_requests)
{
	char *big = malloc(9001);

	memset(big, ' ', 9000);
	raw("{\"resource\":", 12);
	ck_assert_int_eq(code_of_reply(), 400);
	raw("", 0);
	ck_assert_int_eq(code_of_reply(), 400);
	raw(big, 9000);
	ck_assert(code_of_reply() == 413);
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200); /* the connection goes on */
	free(big);
}
END_TEST

/* Killed at each crash point of each request: the retry gets what it must. */
#define CRASH_POINTS_TRIED CRASH_IN_CHECKPOINT /* the log is short here: it is never folded */
START_TEST(crash_points)
{
	int point = _i % CRASH_POINTS_TRIED, resource = _i / CRASH_POINTS_TRIED;
	char arm[80], *first = NULL, *again;
	bool inside = point >= CRASH_BEFORE_WRITE && point <= CRASH_BEFORE_SYNC; /* the rig's disk loses what is not synced */
	bool before = point == CRASH_BEFORE_COMMIT || inside;
	int code;

	snprintf(arm, sizeof(arm), "{\"do\":\"crash-at\",\"point\":\"%s\"}", crash_name((enum crash_point)point));
	if (resource > 0)
		ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	if (resource > 1) {
		ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
		first = token_of_reply("refreshToken");
	}
	if (resource && point == CRASH_AFTER_SMS) {
		free(first);
		return; /* no SMS, no such gap */
	}
	run(50); /* nothing is under way */
	ck_assert(said_ok(arm));
	code = resource == 0   ? ask(MSG_REGISTER, NULL, NULL)
	       : resource == 1 ? ask(MSG_LOGIN, NULL, t.code)
			       : ask(MSG_REFRESH, first, NULL);
	ck_assert_msg(t.died, "%s was not reached", arm);
	ck_assert_str_eq(t.died_at, crash_name((enum crash_point)point));
	/* handed to QUIC, which may pace it beyond the end */
	ck_assert(code == 0 || (point == CRASH_AFTER_REPLY && code == 200));
	if (resource == 0 && point != CRASH_AFTER_SMS && point != CRASH_AFTER_REPLY)
		ck_assert_uint_eq(t.handed, 0);
	restart();
	ck_assert_uint_eq(lines_with("\"state\":\"recovered\""), 1);
	if (resource == 0) {
		ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
		ck_assert_uint_eq(t.sms, 1);
		ck_assert_uint_eq(lines_with("\"kind\":\"code.issued\""), point == CRASH_AFTER_COMMIT || point == CRASH_AFTER_SYNC ? 0 : 1);
		ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
		return;
	}
	ck_assert_int_eq(resource == 1 ? ask(MSG_LOGIN, NULL, t.code) : ask(MSG_REFRESH, first, NULL), 200);
	again = token_of_reply("refreshToken");
	ck_assert_uint_eq(lines_with("\"why\":\"grace\"") > 0, !before);
	ck_assert_int_eq(ask(MSG_REFRESH, again, NULL), 200);
	free(first);
	free(again);
}
END_TEST

START_TEST(armed_faults)
{
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"f0\",\"on\":\"server.decision\",\"do\":\"reply\","
			  "\"match\":{\"resource\":\"registerDevice\"},\"args\":{\"code\":403,\"message\":\"NO\"}}}"));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 403);
	ck_assert_ptr_nonnull(strstr(t.reply, "\"signature\""));
	ck_assert_ptr_nonnull(strstr(t.reply, "\"NO\""));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"f1\",\"on\":\"server.reply\",\"do\":\"drop_reply\"}}"));
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 0);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200); /* the very same tokens */
	ck_assert_uint_eq(lines_with("\"why\":\"grace\""), 2);
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"f2\",\"on\":\"token.presented\",\"do\":\"kill\"}}"));
	ck_assert(said_ok("{\"do\":\"disarm\",\"name\":\"f2\"}"));
	ck_assert(!said_ok("{\"do\":\"disarm\",\"name\":\"f2\"}"));
	ck_assert(!said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"f3\",\"on\":\"nothing\",\"do\":\"kill\"}}"));
	ck_assert_uint_eq(lines_with("fault.fired"), 2);
}
END_TEST

START_TEST(scripted_answers)
{
	static const char script[] = "{\"do\":\"fault\",\"fault\":{\"name\":\"s\",\"on\":\"server.reply\",\"do\":\"reply\","
				     "\"args\":%s}}";
	char text[256];
	time_ns asked;

	snprintf(text, sizeof(text), script, "{\"body\":\"rubbish\"}");
	ck_assert(!said_ok(text));
	snprintf(text, sizeof(text), script, "{\"link\":\"reset\"}");
	ck_assert(said_ok(text));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 0);
	ck_assert(t.replied);
	ck_assert_int_eq(t.status, QUIC_STREAM_RESET);
	snprintf(text, sizeof(text), script, "{\"late_ns\":100000000,\"code\":404}");
	ck_assert(said_ok(text));
	asked = t.at.now;
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 404);
	ck_assert_uint_ge(t.at.now - asked, 100 * NS_PER_MS);
	snprintf(text, sizeof(text), script, "{\"link\":\"close\"}");
	ck_assert(said_ok(text));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 0);
	ck_assert(t.replied);
	ck_assert_int_eq(t.status, QUIC_CONN_LOST);
}
END_TEST

static unsigned events_in(struct effects *fx)
{
	struct effect_event *e;
	unsigned n = 0;

	TAILQ_FOREACH(e, &fx->events, next)
		n++;
	return n;
}

/* A decision that is undone takes back what it said and nothing else, however much that was. */
START_TEST(undone_decisions)
{
	const struct server_sms sms = {.id = "i", .uuid = "u", .to = "t", .text = "x", .r = ""};
	struct effects_mark mark;
	struct effects fx = {0};

	effects_init(&fx);
	for (unsigned before = 0; before < 3; before++) {
		mark = effects_mark(&fx);
		for (unsigned n = 1; n < 5; n++) {
			for (unsigned i = 0; i < n; i++) {
				effects_event(&fx, NULL, true, 1, "u", NULL, NULL, J_CODE_ISSUED, NULL, 0);
				effects_sms(&fx, &sms);
			}
			effects_back_to(&fx, &mark);
			ck_assert_uint_eq(events_in(&fx), before);
			ck_assert(TAILQ_EMPTY(&fx.sms) == (before == 0));
		}
		effects_event(&fx, NULL, true, 1, "u", NULL, NULL, J_CODE_USED, NULL, 0);
		effects_sms(&fx, &sms);
	}
	ck_assert_int_eq(TAILQ_FIRST(&fx.events)->ev.kind, J_CODE_USED);
	effects_fini(&fx);
}
END_TEST

START_TEST(killed_by_a_fault)
{
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"k\",\"on\":\"code.issued\",\"do\":\"kill\"}}"));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 0);
	ck_assert(t.died);
	ck_assert_uint_eq(t.handed, 0);
	restart();
	ck_assert_uint_eq(t.sms, 1); /* the gateway is up: the unfinished one is handed over */
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	ck_assert_uint_eq(t.sms, 1);
}
END_TEST

/* All that the turn committed is told; what never left is not. */
START_TEST(a_kill_hides_no_commit)
{
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"k\",\"on\":\"code.used\",\"do\":\"kill\"}}"));
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 0);
	ck_assert(t.died);
	ck_assert_str_eq(t.died_at, "k");
	ck_assert_uint_eq(lines_with("\"kind\":\"token.issued\""), 2);
	ck_assert_uint_eq(lines_with("\"kind\":\"server.decision\""), 2);
	ck_assert_uint_eq(lines_with("\"kind\":\"server.reply\""), 1);
	restart();
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200); /* the very same tokens */
	ck_assert_uint_eq(lines_with("\"kind\":\"token.issued\""), 2);
}
END_TEST

START_TEST(reply_fault_while_waiting)
{
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"f\",\"on\":\"code.issued\",\"do\":\"reply\","
			  "\"args\":{\"code\":503}}}"));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 503);
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_uint_eq(t.sms, 1);
}
END_TEST

START_TEST(gateway_away)
{
	t.gateway = false;
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 503);
	ck_assert_uint_eq(t.sms, 0);
	t.gateway = true;
	server_gateway(t.server, &t.at, true);
	run(5);
	ck_assert_uint_eq(t.sms, 1);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
}
END_TEST

START_TEST(operator_and_lab)
{
	char *access;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	ck_assert(said_ok("{\"do\":\"disable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}"));
	restart(); /* durable before it was said */
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 403);
	ck_assert(said_ok("{\"do\":\"enable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}"));
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	ck_assert(!said_ok("{\"do\":\"disable\",\"uuid\":\"00000000-0000-0000-0000-000000000000\"}"));
	ck_assert(!said_ok("{\"do\":\"command\"}"));
	ck_assert(!said_ok("[]"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"list\",\"limit\":2}"), "\"next\":2"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"stats\"}"), "\"publishes\":1"));
	ck_assert(said_ok("{\"do\":\"answer\",\"resource\":\"publishMeasure\",\"code\":429,\"times\":1}"));
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 429);
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	ck_assert(said_ok("{\"do\":\"clock-offset\",\"ms\":3600000}"));
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 401);
	ck_assert_ptr_nonnull(strstr(t.reply, "TOKEN EXPIRED"));
	ck_assert(said_ok("{\"do\":\"clock-offset\",\"ms\":0}"));
	ck_assert(said_ok("{\"do\":\"delay\",\"ns\":2000000000}"));
	{
		time_ns before = t.at.now;

		ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
		ck_assert_uint_ge(t.at.now - before, 2 * NS_PER_S);
	}
	t.lab = false;
	restart();
	ck_assert(!said_ok("{\"do\":\"delay\",\"ns\":1}"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"crash-at\",\"point\":\"server.after_reply\"}"), "--lab"));
	free(access);
}
END_TEST

/* The disk fails as a lab wants it: 503 and never a 200 for what is not on disk, and well
 * again when it is over; a failed fsync ends the server. */
START_TEST(disk_troubles)
{
	static const char *const whats[] = {"full", "write", "read_only", "sync"};
	bool sync = _i == 3, on = _i >= 4;
	const char *what = whats[_i % 4];
	char line[200], *refresh;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	ck_assert_ptr_null(server_trouble(t.server));
	refresh = token_of_reply("refreshToken");
	run(50);
	/* by the control line, or by a fault at the refresh's own refusal */
	if (on)
		snprintf(line, sizeof(line), "{\"do\":\"fault\",\"fault\":{\"name\":\"f\",\"on\":\"operator\",\"do\":\"%s\",\"args\":{"
			 "\"what\":\"%s\",\"length_ns\":3000000000}}}", strcmp(what, "full") == 0 ? "disk_full" : "disk_error", what);
	else
		snprintf(line, sizeof(line), "{\"do\":\"disk\",\"what\":\"%s\"%s}", what, sync ? "" : ",\"for_ns\":3000000000");
	ck_assert(said_ok(line));
	if (on)
		ck_assert(said_ok("{\"do\":\"enable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}"));
	ck_assert_int_eq(ask(MSG_REFRESH, refresh, NULL), 503);
	if (sync) {
		restart();
	} else {
		ck_assert_ptr_nonnull(server_trouble(t.server));
		t.at.now += 3 * NS_PER_S;
		t.at.boot += 3 * NS_PER_S;
		t.at.unix_ms += 3000;
	}
	ck_assert_int_eq(ask(MSG_REFRESH, refresh, NULL), 200);
	ck_assert_ptr_null(server_trouble(t.server));
	free(refresh);
}
END_TEST

static void other_registry(bool gone)
{
	struct registry *fresh = test_registry_but(gone, false), *old;
	struct err e = {0};

	ck_assert_msg(server_reload(t.server, &t.at, fresh, &old, &e) == 0, "%s", e.text);
	ck_assert_ptr_eq(old, t.registry);
	registry_free(old);
	t.registry = fresh;
	run(5);
}

/* A reload is done where it is on disk, or not at all: asked for again, it still finds who is
 * to lose what. */
START_TEST(reload_and_a_full_disk)
{
	struct registry *fresh, *old = NULL;
	struct err e = {0};
	char *access;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	run(50);
	fresh = test_registry_but(true, false);
	ck_assert(said_ok("{\"do\":\"disk\",\"what\":\"full\"}"));
	ck_assert_int_eq(server_reload(t.server, &t.at, fresh, &old, &e), ERR_IO);
	ck_assert_ptr_nonnull(strstr(e.text, "storage failed"));
	ck_assert_ptr_null(old);
	registry_free(fresh);
	ck_assert(said_ok("{\"do\":\"disk\",\"what\":\"sound\"}"));
	ck_assert_uint_eq(lines_with("\"decommissioned\""), 0);
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	other_registry(true);
	ck_assert_uint_eq(lines_with("\"decommissioned\""), 1);
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 403);
	other_registry(false);
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 401);
	free(access);
}
END_TEST

/* Out of the registry and in again, each time behind a stop. */
START_TEST(registry_of_another_start)
{
	char *access;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	restart();
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	for (int i = 0; i < 2; i++) {
		registry_free(t.registry);
		t.registry = test_registry_but(i == 0, false);
		restart();
		ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), i ? 401 : 403);
	}
	ck_assert_uint_eq(lines_with("\"decommissioned\""), 1);
	free(access);
}
END_TEST

START_TEST(disk_lines)
{
	ck_assert(!said_ok("{\"do\":\"disk\"}"));
	ck_assert(!said_ok("{\"do\":\"disk\",\"what\":\"wet\"}"));
	ck_assert(!said_ok("{\"do\":\"disk\",\"what\":\"full\",\"for_ns\":0}"));
	ck_assert(!said_ok("{\"do\":\"disk\",\"what\":\"full\",\"for_ns\":\"1\"}"));
	ck_assert(said_ok("{\"do\":\"disk\",\"what\":\"full\"}"));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 503);
	ck_assert(said_ok("{\"do\":\"disk\",\"what\":\"sound\"}"));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	t.lab = false;
	restart();
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"disk\",\"what\":\"full\"}"), "--lab"));
}
END_TEST

/* A fault steps the clock by so much each time; nothing but the wall clock moves. */
START_TEST(clock_faults)
{
	char *access;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert(said_ok("{\"do\":\"fault\",\"fault\":{\"name\":\"f\",\"on\":\"code.used\",\"do\":\"clock_step\","
			  "\"args\":{\"by_ms\":3600000}}}"));
	/* the code's life is counted by another clock */
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 401);
	ck_assert_ptr_nonnull(strstr(t.reply, "TOKEN EXPIRED"));
	ck_assert(said_ok("{\"do\":\"clock-offset\",\"ms\":0}"));
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	free(access);
}
END_TEST

#define UUID_A "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"

START_TEST(operator_policy)
{
	char *access;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"show\",\"uuid\":\"" UUID_A "\"}"), "\"family\":true"));
	ck_assert_ptr_null(strstr(control("{\"do\":\"show\",\"uuid\":\"" UUID_A "\"}"), "+346"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"show\",\"uuid\":\"x\"}"), "no such device"));
	ck_assert(!said_ok("{\"do\":\"show\"}"));
	ck_assert(said_ok("{\"do\":\"decommission\",\"uuid\":\"" UUID_A "\"}"));
	restart(); /* durable before it was said */
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 403);
	ck_assert(said_ok("{\"do\":\"readmit\",\"uuid\":\"" UUID_A "\"}"));
	restart();
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 401);
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"lift\",\"uuid\":\"" UUID_A "\"}"), "\"wasQuarantined\":false"));
	ck_assert(!said_ok("{\"do\":\"lift\"}"));
	ck_assert(!said_ok("{\"do\":\"decommission\",\"uuid\":\"x\"}"));
	ck_assert(!said_ok("{\"do\":\"readmit\",\"uuid\":\"x\"}"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"clock\"}"), "\"refusing\":false"));
	ck_assert(said_ok("{\"do\":\"clock-offset\",\"ms\":-3600000}"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"clock\"}"), "\"refusing\":true"));
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 503);
	ck_assert(said_ok("{\"do\":\"clock-accept\"}"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"clock\"}"), "\"refusing\":false"));
	free(access);
}
END_TEST

/* What an operator queues, sees, and takes back; durable before it is said. */
START_TEST(operator_commands)
{
	char id[64] = "", request[256], *access;
	const char *at;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	access = token_of_reply("accessToken");
	at = strstr(control("{\"do\":\"command\",\"uuid\":\"" UUID_A
			    "\",\"command\":{\"name\":\"PAUSE\",\"seconds\":9}}"),
		    "\"id\":\"");
	ck_assert_ptr_nonnull(at);
	snprintf(id, sizeof(id), "%.16s", at + 6);
	restart();
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"commands\"}"), id));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"commands\"}"), "\"sentMs\":null"));
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	ck_assert_ptr_nonnull(strstr(t.reply, id));
	ck_assert_ptr_nonnull(strstr(t.reply, "\"signature\":"));
	ck_assert_ptr_null(strstr(control("{\"do\":\"commands\",\"uuid\":\"" UUID_A "\"}"), "\"sentMs\":null"));
	ck_assert(said_ok("{\"do\":\"command\",\"uuid\":\"" UUID_A "\",\"command\":{\"name\":\"RESET\"}}"));
	/* page by page */
	at = strstr(control("{\"do\":\"commands\",\"limit\":1}"), "\"next\":\"");
	ck_assert_ptr_nonnull(at);
	snprintf(request, sizeof(request), "{\"do\":\"commands\",\"limit\":1,\"from\":\"%.*s\"}",
		 (int)strcspn(at + 8, "\""), at + 8);
	ck_assert_ptr_nonnull(strstr(control(request), "RESET"));
	ck_assert(!said_ok("{\"do\":\"commands\",\"limit\":0}"));
	ck_assert(!said_ok("{\"do\":\"commands\",\"from\":\"x\"}"));
	snprintf(request, sizeof(request), "{\"do\":\"cancel\",\"uuid\":\"" UUID_A "\",\"id\":\"%s\"}", id);
	ck_assert(said_ok(request));
	ck_assert_ptr_nonnull(strstr(control(request), "no command of this id"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"cancel\",\"uuid\":\"" UUID_A "\"}"), "\"cancelled\":1"));
	ck_assert_ptr_nonnull(strstr(control("{\"do\":\"commands\"}"), "\"commands\":[]"));
	ck_assert(!said_ok("{\"do\":\"cancel\"}"));
	ck_assert(!said_ok("{\"do\":\"command\",\"uuid\":\"" UUID_A "\"}"));
	ck_assert(!said_ok("{\"do\":\"command\",\"uuid\":\"x\",\"command\":{\"name\":\"RESET\"}}"));
	ck_assert_int_eq(ask(MSG_PUBLISH, access, NULL), 200);
	ck_assert_ptr_null(strstr(t.reply, "command"));
	free(access);
}
END_TEST

START_TEST(stops_orderly)
{
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	server_stop(t.server, &t.at);
	t.replied = false;
	run(10);
	ck_assert(server_stopped(t.server));
	ck_assert_ptr_null(t.conn);
	ck_assert_uint_eq(lines_with("\"state\":\"down\""), 1);
	ck_assert_ptr_null(mem_file(&t.mem, "server.db-wal")); /* folded in */
	restart();
	ck_assert_uint_eq(lines_with("\"state\":\"up\""), 2);
	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	ck_assert_uint_eq(t.sms, 1);
}
END_TEST

START_TEST(disk_full)
{
	char *refresh;

	ck_assert_int_eq(ask(MSG_REGISTER, NULL, NULL), 200);
	t.mem.full_from = 1;
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 503);
	ck_assert_ptr_null(strstr(t.reply, "tokens"));
	ck_assert_uint_eq(lines_with("token.issued"), 0);
	ck_assert(!said_ok("{\"do\":\"disable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}"));
	t.mem.full_from = 0;
	ck_assert_int_eq(ask(MSG_LOGIN, NULL, t.code), 200);
	/* a failed sync: 503 leaves, then the server must stop */
	t.mem.sync_fails = 1;
	refresh = token_of_reply("refreshToken");
	ck_assert_int_eq(ask(MSG_REFRESH, refresh, NULL), 503);
	t.replied = false;
	run(300);
	ck_assert_int_eq(t.turn_rv, ERR_IO);
	restart();
	ck_assert_int_eq(ask(MSG_REFRESH, refresh, NULL), 200);
	free(refresh);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("server");
	TCase *tc = tcase_create("server");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 50);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_life);
	tcase_add_test(tc, bad_requests);
	tcase_add_loop_test(tc, crash_points, 0, 3 * CRASH_POINTS_TRIED);
	tcase_add_test(tc, armed_faults);
	tcase_add_test(tc, scripted_answers);
	tcase_add_test(tc, undone_decisions);
	tcase_add_test(tc, killed_by_a_fault);
	tcase_add_test(tc, a_kill_hides_no_commit);
	tcase_add_test(tc, reply_fault_while_waiting);
	tcase_add_test(tc, gateway_away);
	tcase_add_test(tc, operator_and_lab);
	tcase_add_loop_test(tc, disk_troubles, 0, 7);
	tcase_add_test(tc, disk_lines);
	tcase_add_test(tc, reload_and_a_full_disk);
	tcase_add_test(tc, registry_of_another_start);
	tcase_add_test(tc, clock_faults);
	tcase_add_test(tc, operator_commands);
	tcase_add_test(tc, operator_policy);
	tcase_add_test(tc, stops_orderly);
	tcase_add_test(tc, disk_full);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
