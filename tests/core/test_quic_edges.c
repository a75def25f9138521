/* The QUIC endpoint: who is let in, and what strangers get. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/core/quic_rig.h"

#define NAME "server.test"

/* Wire codes: RFC 9000 §20.1, and 0x100 + alert (RFC 9001 §4.8). */
#define REFUSED		0x2
#define INVALID_TOKEN	0xb
#define BAD_CERTIFICATE 0x12a
#define CERT_REQUIRED	0x174
#define NO_ALPN		0x178

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* ---- certificates ---- */

static const struct {
	const char *label;
	const struct pki_pair *own;
	uint64_t error;
} clients[] = {
	{"no certificate", NULL, CERT_REQUIRED},
	{"foreign CA", &rig_keys.foreign, BAD_CERTIFICATE},
	{"expired", &rig_keys.expired, BAD_CERTIFICATE},
	{"not yet valid", &rig_keys.not_yet, BAD_CERTIFICATE},
	{"a server's certificate", &rig_keys.server, BAD_CERTIFICATE},
};

START_TEST(client_refused)
{
	struct rig_client *c;

	rig.client_cfg.credentials = rig_client_credentials(clients[_i].own);
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert_msg(rig_until(&rig, &c->closed, 1), "%s", clients[_i].label);
	ck_assert_int_eq(c->why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_msg(c->error == clients[_i].error, "%s: 0x%lx", clients[_i].label, (unsigned long)c->error);
	ck_assert_int_eq(c->done, 0);
	ck_assert_int_eq(c->replies, 1);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	ck_assert_int_eq(rig.requests, 0);
	ck_assert_int_eq(rig.server_done, 0);
	ck_assert_int_eq(rig.server_closed, 1);
	ck_assert_int_eq(rig.server_why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_uint_eq(rig.server_error, clients[_i].error);
	ck_assert_uint_eq(quic_half_open(rig.server), 0);
	free(c);
}
END_TEST

static void server_refused(const char *name)
{
	struct rig_client *c = rig_connect(&rig, name);
	int requests = rig.requests;

	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_uint_eq(c->error, BAD_CERTIFICATE);
	rig_run(&rig, NS_PER_S);
	ck_assert_int_eq(rig.requests, requests);
	free(c);
}

START_TEST(server_with_another_name)
{
	struct rig_client *c;

	rig_start(&rig);
	server_refused("other.test");
	server_refused("127.0.0.2");
	/* what was verified for one name stands for no other */
	c = rig_connect(&rig, "127.0.0.1");
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	server_refused("other.test");
	free(c);
}
END_TEST

START_TEST(server_expired)
{
	struct quic_credentials_pem pem = {rig_keys.server_expired.cert, rig_keys.server_expired.key,
					   rig_keys.device_ca.cert};

	rig.server_cfg.credentials = quic_credentials_new(&pem, NULL);
	rig_start(&rig);
	server_refused(NAME);
}
END_TEST

START_TEST(server_of_another_ca)
{
	struct quic_credentials_pem pem = {rig_keys.fleet.cert, rig_keys.fleet.key, rig_keys.device_ca.cert};

	rig.client_cfg.credentials = quic_credentials_new(&pem, NULL);
	rig_start(&rig);
	server_refused(NAME);
}
END_TEST

/* A chain that was verified once is judged by the clock each time all the same. */
START_TEST(verified_certificate_expires)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig.at.unix_ms += 20 * INT64_C(365) * RIG_DAY_S * 1000;
	server_refused(NAME);
	rig.at.unix_ms = 0; /* a device whose clock stands at 1970 */
	server_refused(NAME);
	free(c);
}
END_TEST

START_TEST(wrong_alpn)
{
	struct rig_client *c;

	rig.client_cfg.alpn = "h3";
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_uint_eq(c->error, NO_ALPN);
	ck_assert_int_eq(rig.requests, 0);
	free(c);
}
END_TEST

START_TEST(bad_credentials)
{
	static const char junk[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
	const struct {
		struct quic_credentials_pem pem;
		const char *says;
	} rows[] = {
		{{rig_keys.fleet.cert, rig_keys.server.key, rig_keys.server_ca.cert}, "does not belong"},
		{{junk, rig_keys.fleet.key, rig_keys.server_ca.cert}, "certificate: "},
		{{rig_keys.fleet.cert, "junk", rig_keys.server_ca.cert}, "key: "},
		{{rig_keys.fleet.cert, NULL, rig_keys.server_ca.cert}, "key is missing"},
		{{rig_keys.fleet.cert, rig_keys.fleet.key, junk}, "CA: "},
		{{rig_keys.fleet.cert, rig_keys.fleet.key, ""}, "CA: "},
		{{rig_keys.fleet.cert, rig_keys.fleet.key, NULL}, "CA"},
	};
	size_t i;

	rig_start(&rig);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};

		ck_assert_msg(!quic_credentials_new(&rows[i].pem, &e), "no error: %s", rows[i].says);
		ck_assert_int_eq(e.code, ERR_TLS);
		ck_assert_msg(strstr(e.text, rows[i].says) != NULL, "%s", e.text);
	}
}
END_TEST

/* ---- Retry, limits, strangers ---- */

START_TEST(retry_when_half_open)
{
	struct rig_client *c;

	rig.server_cfg.half_open_retry = 0;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	/* one round trip more than without */
	ck_assert_uint_eq(rig.at.now, 1000 * NS_PER_S + 6 * RIG_LATENCY);
	free(c);
}
END_TEST

/* The last byte of the Retry token, in the client's second Initial: a fixed place, since
 * our connection IDs have 16 bytes each and the token's length takes two. */
static void tamper_token(struct rig *r, struct rig_packet *p)
{
	size_t at = 1 + 4 + 1 + 16 + 1 + 16, len;

	if (!p->to_server || p->len < 1200 || (p->data[0] & 0xf0) != 0xc0 || !p->data[at])
		return;
	len = (size_t)(p->data[at] & 0x3f) << 8 | p->data[at + 1];
	p->data[at + 2 + len - 1] ^= 1;
	(void)r;
}

START_TEST(retry_with_a_tampered_token)
{
	struct rig_client *c;

	rig.server_cfg.half_open_retry = 0;
	rig.tamper = tamper_token;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_uint_eq(c->error, INVALID_TOKEN);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	ck_assert_uint_eq(quic_connections(rig.server), 0);
	ck_assert_int_eq(rig.requests, 0);
	free(c);
}
END_TEST

/* Whoever sees a token cannot use it from elsewhere. */
static void move_after_retry(struct rig *r, struct rig_packet *p)
{
	if (p->to_server && r->to_client.sent > 0)
		p->remote.u.in.sin_port ^= 1;
}

START_TEST(retry_token_is_bound_to_its_address)
{
	struct rig_client *c;

	rig.server_cfg.half_open_retry = 0;
	rig.tamper = move_after_retry;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(rig.requests, 0);
	ck_assert_int_eq(rig.server_closed, 0); /* there never was a connection */
	free(c);
}
END_TEST

START_TEST(half_open_is_counted_and_times_out)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig.cut_to_client = true;
	rig_run(&rig, NS_PER_S);
	ck_assert_uint_eq(quic_half_open(rig.server), 1);
	rig_run(&rig, 30 * NS_PER_S);
	ck_assert_uint_eq(quic_half_open(rig.server), 0);
	ck_assert_int_eq(rig.server_done, 0);
	ck_assert_int_eq(c->closed, 1);
	ck_assert_int_eq(c->why, QUIC_CLOSED_HANDSHAKE_TIMEOUT);
	free(c);
}
END_TEST

static void one_in_one_out(void)
{
	struct rig_client *c, *d;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	d = rig_connect(&rig, NAME);
	ck_assert(rig_until(&rig, &d->closed, 1));
	ck_assert_int_eq(d->why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_uint_eq(d->error, REFUSED);
	quic_close(c->conn, &rig.at, QUIC_APP_DONE, true, NULL);
	rig_run(&rig, NS_PER_S);
	free(d);
	d = rig_connect(&rig, NAME);
	rig_request(d, "a", 1);
	ck_assert(rig_until(&rig, &d->replies, 1));
	free(c);
	free(d);
}

START_TEST(connections_cap)
{
	rig.server_cfg.connections_max = 1;
	one_in_one_out();
}
END_TEST

START_TEST(source_cap)
{
	rig.server_cfg.connections_per_source = 1;
	one_in_one_out();
}
END_TEST

START_TEST(version_negotiation)
{
	uint8_t initial[1200] = {0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9};
	struct rig_packet *p;

	rig_start(&rig);
	rig_inject(&rig, true, initial, sizeof(initial) - 1); /* too small to be answered */
	quic_output(rig.server, &rig.at, &rig.to_client.sink);
	ck_assert_uint_eq(rig.packets, 0);
	rig_inject(&rig, true, initial, sizeof(initial));
	quic_output(rig.server, &rig.at, &rig.to_client.sink);
	ck_assert_uint_eq(rig.packets, 1);
	p = STAILQ_FIRST(&rig.wire);
	ck_assert_uint_eq(p->len, 1 + 4 + 1 + 4 + 1 + 8 + 4);
	ck_assert(p->data[0] & 0x80);
	ck_assert_mem_eq(p->data + 1, "\0\0\0\0", 4);
	ck_assert_mem_eq(p->data + 5, "\4\x9\x9\x9\x9\10\1\2\3\4\5\6\7\10\0\0\0\1", 18);
	ck_assert_uint_eq(quic_connections(rig.server), 0);
}
END_TEST

START_TEST(stateless_reset_after_a_restart)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig_run(&rig, NS_PER_S);
	rig_restart_server(&rig);
	rig_request(c, "a longer request", 16);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->why, QUIC_CLOSED_RESET);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	ck_assert_int_eq(c->replies, 2);
	free(c);
}
END_TEST

START_TEST(resets_are_smaller_and_bounded)
{
	uint8_t packet[100] = {0x40, 7};
	int i;

	rig_start(&rig);
	rig_inject(&rig, true, packet, 21);
	quic_output(rig.server, &rig.at, &rig.to_client.sink);
	ck_assert_uint_eq(rig.packets, 0);
	rig_inject(&rig, true, packet, 30);
	quic_output(rig.server, &rig.at, &rig.to_client.sink);
	ck_assert_uint_eq(rig.packets, 1);
	ck_assert_uint_eq(STAILQ_FIRST(&rig.wire)->len, 29);
	for (i = 0; i < 3000; i++) {
		rig_inject(&rig, true, packet, sizeof(packet));
		if (i % 100 == 0)
			quic_output(rig.server, &rig.at, &rig.to_client.sink);
	}
	quic_output(rig.server, &rig.at, &rig.to_client.sink);
	ck_assert_uint_eq(rig.packets, 1000);
}
END_TEST

START_TEST(a_client_answers_no_stranger)
{
	static const uint8_t first[] = {0x40, 0xc0, 0x80, 0x00, 0xff};
	uint8_t packet[1200];
	size_t i, len;

	rig_start(&rig);
	for (i = 0; i < 2000; i++) {
		len = 1 + rng_below(&rig.rng, sizeof(packet));
		rng_bytes(&rig.rng, packet, len);
		packet[0] = first[i % sizeof(first)];
		rig_inject(&rig, false, packet, len);
	}
	ck_assert(quic_output(rig.client, &rig.at, &rig.to_server.sink));
	ck_assert_uint_eq(rig.packets, 0);
}
END_TEST

START_TEST(junk_harms_nobody)
{
	uint8_t packet[1300];
	struct rig_client *c;
	size_t i, len;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	for (i = 0; i < 3000; i++) {
		len = 1 + rng_below(&rig.rng, sizeof(packet));
		rng_bytes(&rig.rng, packet, len);
		if (i % 2) /* looks like an Initial of version 1 */
			memcpy(packet, "\xc0\0\0\0\1\10", 6);
		rig_inject(&rig, true, packet, len);
	}
	rig_request(c, "b", 1);
	ck_assert(rig_until(&rig, &c->replies, 2));
	rig_run(&rig, 20 * NS_PER_S);
	ck_assert_uint_eq(quic_half_open(rig.server), 0);
	free(c);
}
END_TEST

/* ---- a bad network ---- */

START_TEST(completes_with_a_fifth_lost)
{
	enum { N = 20 };
	struct rig_client *c[N];
	int i, good = 0;

	rig.loss = 0.2;
	rng_init(&rig.rng, (uint64_t)_i, "rig", "loss");
	rig.client_cfg.handshake_timeout = rig.server_cfg.handshake_timeout = 60 * NS_PER_S;
	rig_start(&rig);
	for (i = 0; i < N; i++) {
		c[i] = rig_connect(&rig, NAME);
		c[i]->close_on_reply = true;
		rig_request(c[i], "hello", 5);
	}
	rig_run(&rig, 100 * NS_PER_S);
	for (i = 0; i < N; i++) {
		good += c[i]->replies == 1 && c[i]->status == QUIC_REPLY;
		free(c[i]);
	}
	ck_assert_int_eq(good, N);
	ck_assert_uint_eq(quic_connections(rig.server), 0);
}
END_TEST

static void mangle(struct rig *r, struct rig_packet *p)
{
	if (rng_below(&r->rng, 4) == 0)
		p->data[rng_below(&r->rng, p->len)] ^= (uint8_t)(1 + rng_below(&r->rng, 255));
}

START_TEST(mangled_packets_count_as_lost)
{
	enum { N = 20 };
	struct rig_client *c[N];
	int i;

	rig.tamper = mangle;
	rng_init(&rig.rng, (uint64_t)_i, "rig", "mangle");
	rig.client_cfg.handshake_timeout = rig.server_cfg.handshake_timeout = 60 * NS_PER_S;
	rig_start(&rig);
	for (i = 0; i < N; i++) {
		c[i] = rig_connect(&rig, NAME);
		c[i]->close_on_reply = true;
		rig_request(c[i], "hello", 5);
	}
	rig_run(&rig, 200 * NS_PER_S);
	for (i = 0; i < N; i++) {
		/* a mangled version or token may end a handshake, never confuse a reply */
		ck_assert_int_eq(c[i]->closed, 1);
		ck_assert_int_eq(c[i]->replies, 1);
		if (c[i]->status == QUIC_REPLY)
			ck_assert_mem_eq(c[i]->body, "hello", 5);
		free(c[i]);
	}
	ck_assert_uint_eq(quic_connections(rig.server), 0);
	ck_assert(quic_deadline(rig.server) == TIME_NEVER);
}
END_TEST

START_TEST(any_one_datagram_may_be_lost)
{
	struct rig_client *c;

	rig.drop_nth = (uint64_t)_i;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "hello", 5);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	ck_assert_int_eq(rig.requests, 1);
	ck_assert(rig_until(&rig, &c->done, 1));
	free(c);
}
END_TEST

START_TEST(rebinding)
{
	struct rig_client *c;
	int told;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig_run(&rig, NS_PER_S);
	ck_assert_int_eq(rig.paths, 0);
	addr_parse("127.0.0.1:41000", &rig.client_addr);
	ck_assert_int_eq(quic_rebind(c->conn, &rig.at, &rig.client_addr), 0);
	rig_request(c, "b", 1);
	ck_assert(rig_until(&rig, &c->replies, 2));
	rig_run(&rig, 10 * NS_PER_S);
	told = rig.paths;
	ck_assert_int_ge(told, 1);
	ck_assert_int_eq(rig.paths_failed, 0);
	rig_request(c, "c", 1);
	ck_assert(rig_until(&rig, &c->replies, 3));
	ck_assert_int_eq(rig.paths, told); /* who stays where it is is not asked again */
	ck_assert_int_eq(c->closed, 0);
	ck_assert(addr_equal(quic_conn_remote(rig.last_conn), &rig.client_addr));
	free(c);
}
END_TEST

/* A path on which nobody answers is told of too, once the server has given it up. */
START_TEST(rebinding_to_nowhere)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig_run(&rig, NS_PER_S);
	addr_parse("127.0.0.1:41000", &rig.client_addr);
	ck_assert_int_eq(quic_rebind(c->conn, &rig.at, &rig.client_addr), 0);
	rig.cut_to_client = true;
	rig_request(c, "b", 1);
	rig_run(&rig, 20 * NS_PER_S);
	ck_assert_int_eq(rig.paths, 0);
	rig.cut_to_client = false;
	ck_assert(rig_until(&rig, &rig.server_closed, 1));
	ck_assert_int_ge(rig.paths_failed, 1); /* and perhaps the old one, to which it went back */
	free(c);
}
END_TEST

static int keylog_lines;

static void keylog(void *ctx, const char *line)
{
	(void)ctx;
	ck_assert(strstr(line, "SECRET") != NULL);
	keylog_lines++;
}

START_TEST(key_log)
{
	struct rig_client *c;

	keylog_lines = 0;
	rig.client_cfg.keylog = keylog;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	ck_assert(rig_until(&rig, &c->done, 1));
	ck_assert_int_ge(keylog_lines, 4);
	free(c);
}
END_TEST

void quic_edge_tests(Suite *suite)
{
	TCase *t = tcase_create("edges");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, client_refused, 0, (int)(sizeof(clients) / sizeof(clients[0])));
	tcase_add_test(t, server_with_another_name);
	tcase_add_test(t, server_expired);
	tcase_add_test(t, server_of_another_ca);
	tcase_add_test(t, verified_certificate_expires);
	tcase_add_test(t, wrong_alpn);
	tcase_add_test(t, bad_credentials);
	tcase_add_test(t, retry_when_half_open);
	tcase_add_test(t, retry_with_a_tampered_token);
	tcase_add_test(t, retry_token_is_bound_to_its_address);
	tcase_add_test(t, half_open_is_counted_and_times_out);
	tcase_add_test(t, connections_cap);
	tcase_add_test(t, source_cap);
	tcase_add_test(t, version_negotiation);
	tcase_add_test(t, stateless_reset_after_a_restart);
	tcase_add_test(t, resets_are_smaller_and_bounded);
	tcase_add_test(t, a_client_answers_no_stranger);
	tcase_add_test(t, junk_harms_nobody);
	tcase_add_loop_test(t, completes_with_a_fifth_lost, 1, 6);
	tcase_add_loop_test(t, mangled_packets_count_as_lost, 1, 9);
	tcase_add_loop_test(t, any_one_datagram_may_be_lost, 1, 9);
	tcase_add_test(t, rebinding);
	tcase_add_test(t, rebinding_to_nowhere);
	tcase_add_test(t, key_log);
	suite_add_tcase(suite, t);
}
