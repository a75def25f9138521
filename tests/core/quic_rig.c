#include "tests/core/quic_rig.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/gnutls.h>

#include "core/settings.h"

struct rig_keys rig_keys;

static void issue(struct pki_pair *out, const struct pki_pair *ca, bool client, int64_t from_s, int64_t to_s)
{
	static const char *const hosts[] = {"server.test", "127.0.0.1"};
	struct pki_leaf leaf = {
		.common_name = ca ? "leaf" : "CA",
		.hosts = hosts,
		.hosts_n = ca && !client ? 2 : 0,
		.client = client,
		.not_before_s = from_s,
		.not_after_s = to_s,
	};
	struct err e = {0};
	int rv = pki_issue(ca, &leaf, out, &e);

	assert(rv == 0);
	(void)rv;
}

void rig_keys_make_at(int64_t unix_s)
{
	int64_t from = unix_s - RIG_DAY_S, to = unix_s + 10 * 365 * (int64_t)RIG_DAY_S;
	struct rig_keys *k = &rig_keys;

	issue(&k->server_ca, NULL, false, from, to);
	issue(&k->device_ca, NULL, true, from, to);
	issue(&k->foreign_ca, NULL, true, from, to);
	issue(&k->server, &k->server_ca, false, from, to);
	issue(&k->server_expired, &k->server_ca, false, from, unix_s - 1);
	issue(&k->fleet, &k->device_ca, true, from, to);
	issue(&k->foreign, &k->foreign_ca, true, from, to);
	issue(&k->expired, &k->device_ca, true, from, unix_s - 1);
	issue(&k->not_yet, &k->device_ca, true, unix_s + RIG_DAY_S, to);
}

void rig_keys_make(void)
{
	rig_keys_make_at(RIG_UNIX_S);
}

void rig_keys_free(void)
{
	struct rig_keys *k = &rig_keys;
	struct pki_pair *all[] = {&k->server_ca, &k->server,	 &k->device_ca,
				  &k->fleet,	 &k->foreign_ca, &k->foreign,
				  &k->expired,	 &k->not_yet,	 &k->server_expired};
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		pki_pair_fini(all[i]);
}

struct quic_credentials *rig_server_credentials(void)
{
	struct quic_credentials_pem pem = {rig_keys.server.cert, rig_keys.server.key,
					   rig_keys.device_ca.cert};

	return quic_credentials_new(&pem, NULL);
}

struct quic_credentials *rig_client_credentials(const struct pki_pair *own)
{
	struct quic_credentials_pem pem = {own ? own->cert : NULL, own ? own->key : NULL,
					   rig_keys.server_ca.cert};

	return quic_credentials_new(&pem, NULL);
}

static struct rig *rig_now; /* GnuTLS's time function has no context */

static time_t rig_time(time_t *out)
{
	time_t t = rig_now ? (time_t)(rig_now->at.unix_ms / 1000) : RIG_UNIX_S;

	if (out)
		*out = t;
	return t;
}

static void fill(struct secret_source *src, void *out, size_t len)
{
	struct rig *r = (struct rig *)((char *)src - offsetof(struct rig, secret));

	rng_bytes(&r->rng, out, len);
}

static uint8_t space_[65536];

static uint8_t *sink_space(struct dgram_sink *sink, size_t size)
{
	struct rig_sink *s = (struct rig_sink *)sink;

	return s->full || size > sizeof(space_) ? NULL : space_;
}

static void put_on_wire(struct rig_sink *s, const struct addr *local, const struct addr *remote,
			const uint8_t *data, size_t len)
{
	struct rig *r = s->rig;
	struct rig_packet *p;

	s->sent++;
	r->packets++;
	if (r->packets == r->drop_nth || (r->loss > 0 && rng_unit(&r->rng) < r->loss))
		return;
	if (s->from_server ? r->cut_to_client : r->cut_to_server)
		return;
	p = malloc(sizeof(*p) + len);
	assert(p);
	p->at = r->at.now + RIG_LATENCY;
	p->to_server = !s->from_server;
	p->local = *remote;
	p->remote = *local;
	p->len = len;
	memcpy(p->data, data, len);
	if (r->tamper)
		r->tamper(r, p);
	STAILQ_INSERT_TAIL(&r->wire, p, next);
}

static void sink_send(struct dgram_sink *sink, void *owner, const struct addr *local,
		      const struct addr *remote, size_t len, size_t segment, unsigned ecn)
{
	struct rig_sink *s = (struct rig_sink *)sink;
	size_t at = 0, n;
	unsigned segments = 0;

	(void)owner;
	(void)ecn;
	do {
		n = segment && len - at > segment ? segment : len - at;
		put_on_wire(s, local, remote, space_ + at, n);
		at += n;
		segments++;
	} while (at < len);
	if (segments > s->segments_max)
		s->segments_max = segments;
}

static void client_done(void *ctx, struct quic_conn *c)
{
	struct rig_client *rc = quic_conn_user(c);

	(void)ctx;
	rc->done++;
}

static void client_closed(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error)
{
	struct rig_client *rc = quic_conn_user(c);

	(void)ctx;
	rc->closed++;
	rc->why = why;
	rc->error = error;
	rc->conn = NULL;
}

static void client_reply(void *ctx, struct quic_conn *c, void *user, enum quic_request_status status,
			 const uint8_t *data, size_t len)
{
	struct rig_client *rc = user;
	struct rig *r = ctx;

	assert(!rc->closed);
	rc->replies++;
	rc->status = status;
	rc->body_len = len;
	assert(len <= sizeof(rc->body));
	memcpy(rc->body, data, len);
	if (rc->close_on_reply)
		quic_close(c, &r->at, QUIC_APP_DONE, true, NULL);
}

static void server_done(void *ctx, struct quic_conn *c)
{
	struct rig *r = ctx;

	r->server_done++;
	r->last_conn = c;
}

static void server_closed(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error)
{
	struct rig *r = ctx;

	r->server_closed++;
	r->server_why = why;
	r->server_error = error;
	if (r->last_conn == c)
		r->last_conn = NULL;
}

static void server_request(void *ctx, struct quic_conn *c, int64_t stream, enum quic_request_status status,
			   const uint8_t *data, size_t len)
{
	struct rig *r = ctx;

	r->last_conn = c;
	r->last_stream = stream;
	r->last_len = len;
	if (status == QUIC_REPLY)
		r->requests++;
	else if (status == QUIC_TOO_LARGE)
		r->too_large++;
	else if (status == QUIC_TOO_SLOW)
		r->too_slow++;
	else
		r->resets++;
	if (r->answer == RIG_CLOSE)
		quic_close(c, &r->at, QUIC_APP_INTERNAL, false, NULL);
	else if (status == QUIC_TOO_LARGE)
		quic_respond(c, stream, (const uint8_t *)"413", 3);
	else if (status == QUIC_REPLY && r->answer == RIG_ECHO)
		quic_respond(c, stream, data, len);
}

static void server_path(void *ctx, struct quic_conn *c, bool validated)
{
	struct rig *r = ctx;

	r->last_conn = c;
	r->paths += validated;
	r->paths_failed += !validated;
}

void rig_init(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	rig_now = r;
	gnutls_global_set_time_function(rig_time);
	r->at.now = r->at.boot = 1000 * NS_PER_S;
	r->at.unix_ms = RIG_UNIX_S * INT64_C(1000);
	r->secret.fill = fill;
	rng_init(&r->rng, 1, "rig", "quic");
	STAILQ_INIT(&r->wire);
	r->to_server = (struct rig_sink){{sink_space, sink_send}, r, false, false, 0, 0};
	r->to_client = (struct rig_sink){{sink_space, sink_send}, r, true, false, 0, 0};
	addr_parse("127.0.0.1:40000", &r->client_addr);
	addr_parse("127.0.0.1:20190", &r->server_addr);
	r->client_cfg = (struct quic_config){
		.secret = &r->secret,
		.ctx = r,
		.on = {.handshake_done = client_done, .closed = client_closed, .reply = client_reply},
		.idle_timeout = 30 * NS_PER_S,
		.handshake_timeout = 10 * NS_PER_S,
		.message_max = 65536,
		.streams = 4,
		.stream_window = 16384,
	};
	r->server_cfg = (struct quic_config){
		.server = true,
		.secret = &r->secret,
		.ctx = r,
		.on = {server_done, server_closed, server_request, NULL, server_path},
		.idle_timeout = 30 * NS_PER_S,
		.handshake_timeout = 10 * NS_PER_S,
		.fin_timeout = 5 * NS_PER_S,
		.message_max = 8192,
		.streams = 4,
		.stream_window = 16384,
		.worker = 7,
		.reset_key = "0123456789abcdef0123456789abcde",
		.half_open_retry = 128,
		.connections_max = 10000,
		.connections_per_source = SETTING_OFF,
	};
}

void rig_start(struct rig *r)
{
	if (!r->client_cfg.credentials)
		r->client_cfg.credentials = rig_client_credentials(&rig_keys.fleet);
	if (!r->server_cfg.credentials)
		r->server_cfg.credentials = rig_server_credentials();
	assert(r->client_cfg.credentials && r->server_cfg.credentials);
	r->client = quic_endpoint_new(&r->client_cfg, NULL);
	r->server = quic_endpoint_new(&r->server_cfg, NULL);
	assert(r->client && r->server);
}

void rig_restart_server(struct rig *r)
{
	quic_endpoint_free(r->server);
	r->server = quic_endpoint_new(&r->server_cfg, NULL);
	r->last_conn = NULL;
	assert(r->server);
}

void rig_fini(struct rig *r)
{
	struct rig_packet *p;

	quic_endpoint_free(r->client);
	quic_endpoint_free(r->server);
	quic_credentials_free(r->client_cfg.credentials);
	quic_credentials_free(r->server_cfg.credentials);
	while ((p = STAILQ_FIRST(&r->wire))) {
		STAILQ_REMOVE_HEAD(&r->wire, next);
		free(p);
	}
	rig_now = NULL;
}

struct rig_client *rig_connect(struct rig *r, const char *name)
{
	struct rig_client *c = calloc(1, sizeof(*c));

	assert(c);
	c->conn = quic_connect(r->client, &r->at, &r->client_addr, &r->server_addr, name, NULL, c, NULL);
	assert(c->conn);
	return c;
}

void rig_request(struct rig_client *c, const void *data, size_t len)
{
	int rv = quic_request(c->conn, data, len, c);

	assert(rv == 0);
	(void)rv;
}

static void advance(struct rig *r, time_ns to)
{
	if (to <= r->at.now)
		return;
	r->at.unix_ms += (int64_t)((to - r->at.now) / NS_PER_MS);
	r->at.now = r->at.boot = to;
}

static void deliver_due(struct rig *r)
{
	struct rig_packet *p;

	while ((p = STAILQ_FIRST(&r->wire)) && p->at <= r->at.now) {
		STAILQ_REMOVE_HEAD(&r->wire, next);
		quic_input(p->to_server ? r->server : r->client, &r->at, &p->local, &p->remote, 0, p->data,
			   p->len);
		free(p);
	}
}

/* One turn; false where nothing is left to happen until `end`. */
static bool turn(struct rig *r, time_ns end)
{
	struct rig_packet *p;
	time_ns next;

	quic_output(r->client, &r->at, &r->to_server.sink);
	quic_output(r->server, &r->at, &r->to_client.sink);
	p = STAILQ_FIRST(&r->wire);
	next = time_min(quic_deadline(r->client), quic_deadline(r->server));
	if (p)
		next = time_min(next, p->at);
	if (next > end)
		return false;
	advance(r, next);
	deliver_due(r);
	quic_expire(r->client, &r->at);
	quic_expire(r->server, &r->at);
	return true;
}

void rig_run(struct rig *r, time_ns for_ns)
{
	time_ns end = r->at.now + for_ns;

	while (turn(r, end))
		;
	advance(r, end);
}

bool rig_until(struct rig *r, const int *what, int n)
{
	time_ns end = r->at.now + 60 * NS_PER_S;

	while (*what < n && turn(r, end))
		;
	return *what >= n;
}

void rig_inject(struct rig *r, bool to_server, const uint8_t *data, size_t len)
{
	quic_input(to_server ? r->server : r->client, &r->at, to_server ? &r->server_addr : &r->client_addr,
		   to_server ? &r->client_addr : &r->server_addr, 0, data, len);
}
