#include "tests/sim/fleet_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/smstext.h"

static struct pki shared_pki; /* one set for all rigs: RSA keys are dear */

static void free_pki(void) __attribute__((destructor));
static void free_pki(void)
{
	pki_fini(&shared_pki);
}

/* ---- the server ---- */

struct pending {
	struct rig *g;
	struct quic_conn *c;
	int64_t stream;
	char *text;
};

struct text_message {
	struct rig *g;
	char uuid[UUID_LEN + 1], text[SMSTEXT_MAX];
};

static void hand_over(void *ctx, const struct instant *at)
{
	struct text_message *m = ctx;

	fleet_sms(m->g->fleet, at, m->uuid, "+34600000001", m->text);
	free(m);
}

static void send_sms(struct rig *g, const struct msg_request *r)
{
	struct text_message *m = calloc(1, sizeof(*m));
	struct smstext sms = {.code = "AB12cd34EF56"};

	m->g = g;
	memcpy(m->uuid, r->uuid, sizeof(m->uuid));
	memcpy(sms.uuid, r->uuid, sizeof(sms.uuid));
	memcpy(sms.r, r->registration, 8);
	smstext_format(&sms, 300, m->text);
	world_virtual_at(g->w, rig_now(g).now + g->sms_after, hand_over, m);
}

static char *one_token(struct rig *g, const char *uuid, enum token_use use)
{
	struct token_claims c = {.use = use, .has_exp = true, .has_iat = true, .iat = 1700000000, .exp = 1700000900};
	char *token = NULL;

	snprintf(c.sub, sizeof(c.sub), "%s", uuid);
	snprintf(c.kid, sizeof(c.kid), "%s", g->kid);
	snprintf(c.jti, sizeof(c.jti), "%032u", g->requests[MSG_LOGIN] * 1000 + g->requests[MSG_REFRESH]);
	snprintf(c.fam, sizeof(c.fam), "%032u", g->requests[MSG_LOGIN]);
	ck_assert_int_eq(token_sign(g->signer, &c, &token, NULL), 0);
	return token;
}

static json_t *good_payload(struct rig *g, const struct msg_request *r)
{
	char *access, *refresh;
	json_t *p;

	switch (r->resource) {
	case MSG_REGISTER:
		if (!g->no_sms)
			send_sms(g, r);
		return json_pack("{s:s, s:s, s:{s:i}}", "serverPublicKey", g->pki.token_public, "twoAuthMethod", "SMS",
				 "deviceConfig", "publishInterval", 60);
	case MSG_PUBLISH:
		return json_pack("{s:s}", "message", "ACK");
	default:
		access = one_token(g, r->uuid, TOKEN_ACCESS);
		refresh = one_token(g, r->uuid, TOKEN_REFRESH);
		p = json_pack("{s:{s:s, s:s}}", "tokens", "accessToken", access, "refreshToken", refresh);
		free(access);
		free(refresh);
		return p;
	}
}

static char *compose(struct rig *g, const struct msg_request *r, int code, json_t *payload, const char *command)
{
	json_t *cmd = command ? json_loads(command, 0, NULL) : NULL;
	struct reply_claims c = {.nonce = r->nonce,
				 .resource = msg_resource_name(r->resource),
				 .code = code,
				 .payload = payload,
				 .command = cmd,
				 .retry_after_s = -1};
	char *signature = NULL, *text;
	struct buf out;

	buf_init(&out, MSG_REPLY_MAX);
	if (code != 200 || cmd)
		ck_assert_int_eq(reply_sign(g->signer, g->kid, &c, &signature, NULL), 0);
	ck_assert_int_eq(msg_response_build(code, NULL, payload, cmd, -1, signature, &out), 0);
	text = buf_take(&out);
	free(signature);
	json_decref(payload);
	json_decref(cmd);
	return text;
}

static void answer_late(void *ctx, const struct instant *at)
{
	struct pending *p = ctx;

	(void)at;
	if (p->g->server_up) {
		quic_respond(p->c, p->stream, (const uint8_t *)p->text, strlen(p->text));
		world_virtual_touch(p->g->w, p->g->server);
	}
	free(p->text);
	free(p);
}

static void on_request(void *ctx, struct quic_conn *c, int64_t stream, enum quic_request_status status,
		       const uint8_t *data, size_t len)
{
	struct rig *g = ctx;
	struct msg_request r;
	struct rig_script *s, how;
	char *text = NULL;

	ck_assert_int_eq(status, QUIC_REPLY);
	ck_assert_int_eq(msg_request_parse((const char *)data, len, 8192, 8, &r, NULL), 0);
	g->requests[r.resource]++;
	s = &g->script[r.resource];
	how = *s;
	if (s->how != RIG_WELL && s->times && !--s->times)
		s->how = RIG_WELL;
	switch (how.how) {
	case RIG_SILENCE:
		break;
	case RIG_RAW:
		text = strdup(how.text);
		break;
	case RIG_CODE:
		text = compose(g, &r, how.code, json_pack("{s:s}", "message", "NO"), NULL);
		break;
	case RIG_COMMAND:
		text = compose(g, &r, 200, good_payload(g, &r), how.text);
		break;
	default:
		text = compose(g, &r, 200, good_payload(g, &r), NULL);
		break;
	}
	if (how.how == RIG_SLOW) {
		struct pending *p = malloc(sizeof(*p));

		*p = (struct pending){g, c, stream, text};
		world_virtual_at(g->w, rig_now(g).now + how.by, answer_late, p);
		text = NULL;
	}
	if (text)
		quic_respond(c, stream, (const uint8_t *)text, strlen(text));
	free(text);
	msg_request_fini(&r);
}

static void on_server_closed(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error)
{
	(void)ctx;
	(void)c;
	(void)why;
	(void)error;
}

static void server_datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
			    unsigned ecn, const uint8_t *data, size_t len)
{
	quic_input(((struct rig *)ctx)->quic, at, local, remote, ecn, data, len);
}

static void server_turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct rig *g = ctx;

	if (quic_deadline(g->quic) <= at->now)
		quic_expire(g->quic, at);
	quic_output(g->quic, at, sink);
}

static time_ns server_deadline(void *ctx)
{
	return quic_deadline(((struct rig *)ctx)->quic);
}

void rig_server_starts(struct rig *g)
{
	struct quic_config q = {.server = true,
				.credentials = g->credentials,
				.secret = world_virtual_secret(g->w, "server"),
				.on = {.request = on_request, .closed = on_server_closed},
				.ctx = g,
				.idle_timeout = 30 * NS_PER_S,
				.handshake_timeout = 10 * NS_PER_S,
				.fin_timeout = 5 * NS_PER_S,
				.message_max = 8192,
				.streams = 4,
				.stream_window = 16384,
				.half_open_retry = SETTING_OFF,
				.connections_max = SETTING_OFF,
				.connections_per_source = SETTING_OFF};
	struct world_actor a = {"server", server_datagram, server_turn, server_deadline, g};
	struct err e = {0};

	g->quic = quic_endpoint_new(&q, &e);
	ck_assert_msg(g->quic != NULL, "%s", e.text);
	g->server = world_virtual_add(g->w, &a, &g->server_addr);
	g->server_up = true;
}

void rig_server_dies(struct rig *g)
{
	world_virtual_remove(g->w, g->server);
	quic_endpoint_free(g->quic);
	g->quic = NULL;
	g->server_up = false;
}

/* ---- the fleet ---- */

static void take_event(void *ctx, const struct journal_event *ev)
{
	struct rig *g = ctx;
	struct rig_event *r = &g->log[g->log_n];
	int device = ev->dev ? fleet_find(g->fleet, ev->dev) : -1;

	if (g->log_n == RIG_LOG || device < 0)
		return;
	g->log_n++;
	*r = (struct rig_event){.t = ev->t, .kind = ev->kind, .device = (unsigned)device};
	r->row = row_by_id(journal_text(ev, JF_ROW));
	r->sent = journal_int(ev, JF_SENT, -1);
	snprintf(r->text, sizeof(r->text), "%s%s", journal_text(ev, JF_WHY), journal_text(ev, JF_RESOURCE));
}

static int take_line(void *ctx, const char *line, size_t len)
{
	struct rig *g = ctx;
	uint8_t digest[HASH_SIZE];
	uint64_t part;

	hash_sha256(line, len, digest);
	memcpy(&part, digest, sizeof(part));
	g->hash = g->hash * 31 + part;
	return 0;
}

static void fleet_in(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		     unsigned ecn, const uint8_t *data, size_t len)
{
	fleet_datagram(ctx, at, local, remote, ecn, data, len);
}

static void fleet_out(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	fleet_turn(ctx, at, sink);
}

static time_ns fleet_next(void *ctx)
{
	return fleet_deadline(ctx);
}

static void add_devices(struct rig *g, const struct rig_options *o)
{
	struct err e = {0};

	for (unsigned i = 0; i < o->devices; i++) {
		struct fleet_device_config d = {.methods = {"SMS", NULL},
						.hold = o->hold,
						.accept_unsigned = o->accept_unsigned,
						.storage = o->storage};
		char label[24];

		snprintf(label, sizeof(label), "A[%u]", i + 1);
		d.label = label;
		snprintf(d.identity.uuid, sizeof(d.identity.uuid), "ee9f2110-5843-11e9-a9ba-%012x", i);
		snprintf(d.identity.device_type, sizeof(d.identity.device_type), "thermometer");
		snprintf(d.identity.serial_id, sizeof(d.identity.serial_id), "%u", i);
		snprintf(d.identity.network_type, sizeof(d.identity.network_type), "Mobile");
		snprintf(d.identity.network_id, sizeof(d.identity.network_id), "214070000000001");
		ck_assert_msg(fleet_add(g->fleet, &d, &e) == (int)i, "%s", e.text);
	}
}

void rig_open(struct rig *g, const struct rig_options *o)
{
	struct pki_options po = {.now_s = WORLD_VIRTUAL_EPOCH_S};
	struct quic_credentials_pem pem;
	const char *keys[2] = {NULL, NULL};
	struct fleet_config cfg = {.server_name = "localhost", .seed = o->seed, .server_keys = keys};
	struct world_actor a = {"fleet", fleet_in, fleet_out, fleet_next, NULL};
	struct err e = {0};

	memset(g, 0, sizeof(*g));
	if (!shared_pki.token_key)
		ck_assert_msg(pki_make(&po, &shared_pki, &e) == 0, "%s", e.text);
	g->pki = shared_pki;
	g->w = world_virtual_new(o->seed, NS_PER_MS, &e);
	world_virtual_install_gnutls(g->w);
	g->signer = token_signer_new();
	ck_assert_int_eq(token_signer_add(g->signer, g->pki.token_key, g->kid, NULL), 0);
	addr_parse("127.0.0.1:20190", &g->server_addr);
	addr_parse("127.0.0.1:40000", &g->fleet_addr);
	pem = (struct quic_credentials_pem){g->pki.server.cert, g->pki.server.key, g->pki.device_ca.cert};
	g->credentials = quic_credentials_new(&pem, &e);
	ck_assert_msg(g->credentials != NULL, "%s", e.text);
	g->journal = journal_new(take_line, g);
	g->faults = faults_new(o->seed);
	journal_set_hook(g->journal, fault_hook, g->faults);
	journal_set_reader(g->journal, take_event, g);
	g->sms_after = 50 * NS_PER_MS;
	rig_server_starts(g);
	keys[0] = g->pki.token_public;
	cfg.cert = g->pki.fleet.cert;
	cfg.key = g->pki.fleet.key;
	cfg.server_ca = g->pki.server_ca.cert;
	cfg.local = g->fleet_addr;
	cfg.server = g->server_addr;
	cfg.run_key = g->run_key;
	cfg.secret = world_virtual_secret(g->w, "fleet");
	cfg.journal = g->journal;
	settings_default(&cfg.settings);
	g->fleet = fleet_new(&cfg, &e);
	ck_assert_msg(g->fleet != NULL, "%s", e.text);
	a.ctx = g->fleet;
	g->fleet_actor = world_virtual_add(g->w, &a, &g->fleet_addr);
	add_devices(g, o);
}

void rig_close(struct rig *g)
{
	fleet_free(g->fleet);
	if (g->quic)
		quic_endpoint_free(g->quic);
	quic_credentials_free(g->credentials);
	world_virtual_free(g->w);
	token_signer_free(g->signer);
	journal_free(g->journal);
	faults_free(g->faults);
}

void rig_arm(struct rig *g, const char *json)
{
	json_t *spec = json_loads(json, 0, NULL);
	struct err e = {0};

	ck_assert_ptr_nonnull(spec);
	ck_assert_msg(faults_arm(g->faults, spec, &e) == 0, "%s", e.text);
	json_decref(spec);
}

struct instant rig_now(const struct rig *g)
{
	return world_virtual_now(g->w, -1);
}

void rig_all_on(struct rig *g)
{
	struct instant at = rig_now(g);

	for (unsigned i = 0; i < fleet_count(g->fleet); i++)
		fleet_power_on(g->fleet, &at, i);
}

void rig_run(struct rig *g, time_ns ns)
{
	world_virtual_run_to(g->w, rig_now(g).now + ns);
}

unsigned rig_count(const struct rig *g, enum journal_kind kind, unsigned device, const char *text)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->log_n; i++)
		n += g->log[i].kind == kind && g->log[i].device == device &&
		     (!text || strcmp(g->log[i].text, text) == 0);
	return n;
}

bool rig_took(const struct rig *g, unsigned device, enum row_name row)
{
	for (unsigned i = 0; i < g->log_n; i++)
		if (g->log[i].kind == J_DEVICE_STATE && g->log[i].device == device && g->log[i].row == row)
			return true;
	return false;
}
