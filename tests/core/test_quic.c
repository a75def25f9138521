/* The QUIC endpoint, client and server in one process (protocol.md §1). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "tests/core/quic_rig.h"

#define NAME "server.test"

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* ---- requests ---- */

START_TEST(request_and_reply)
{
	struct rig_client *c;
	char id[2 * QUIC_CID_LEN + 1];

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "hello", 5);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	ck_assert_uint_eq(c->body_len, 5);
	ck_assert_mem_eq(c->body, "hello", 5);
	ck_assert_int_eq(c->done, 1);
	ck_assert_int_eq(rig.server_done, 1);
	ck_assert(quic_conn_handshaken(c->conn));
	ck_assert_uint_gt(quic_conn_take_received(c->conn), 0);
	ck_assert_uint_eq(quic_conn_take_received(c->conn), 0);
	ck_assert_uint_eq(strlen(quic_conn_id(c->conn, id)), 2 * QUIC_CID_LEN);
	ck_assert_int_eq(strncmp(quic_conn_id(rig.last_conn, id), "07", 2), 0); /* the worker */
	ck_assert(addr_equal(quic_conn_remote(rig.last_conn), &rig.client_addr));
	/* the handshake took two round trips and nothing waited for a pacing timer */
	ck_assert_uint_eq(rig.at.now, 1000 * NS_PER_S + 4 * RIG_LATENCY);

	quic_close(c->conn, &rig.at, QUIC_APP_DONE, false, NULL);
	ck_assert(rig_until(&rig, &rig.server_closed, 1));
	ck_assert_int_eq(c->closed, 1);
	ck_assert_int_eq(c->why, QUIC_CLOSED_OK);
	ck_assert_int_eq(rig.server_why, QUIC_CLOSED_OK);
	ck_assert_uint_eq(quic_connections(rig.server), 0);
	rig_run(&rig, 10 * NS_PER_S);
	ck_assert(quic_deadline(rig.client) == TIME_NEVER);
	ck_assert(quic_deadline(rig.server) == TIME_NEVER);
	free(c);
}
END_TEST

START_TEST(many_requests_on_one_connection)
{
	static uint8_t body[8000];
	struct rig_client *c;
	int i;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	/* more than `streams` at once: the rest waits; far more bytes than both windows */
	for (i = 0; i < 10; i++)
		rig_request(c, body, sizeof(body));
	ck_assert(rig_until(&rig, &c->replies, 10));
	for (i = 0; i < 200; i++) {
		rig_request(c, body, (size_t)(i * 40));
		ck_assert(rig_until(&rig, &c->replies, 11 + i));
		ck_assert_int_eq(c->status, QUIC_REPLY);
		ck_assert_uint_eq(c->body_len, (size_t)(i * 40));
	}
	ck_assert_int_eq(rig.requests, 210);
	ck_assert_uint_gt(rig.to_client.segments_max, 1); /* equal packets left as one burst */
	free(c);
}
END_TEST

START_TEST(many_connections)
{
	enum { N = 60 };
	struct rig_client *c[N];
	int i;

	rig_start(&rig);
	for (i = 0; i < N; i++) {
		c[i] = rig_connect(&rig, NAME);
		c[i]->close_on_reply = true;
		rig_request(c[i], &i, sizeof(i));
	}
	ck_assert_uint_eq(quic_connections(rig.client), N);
	rig_run(&rig, 10 * NS_PER_S);
	for (i = 0; i < N; i++) {
		ck_assert_int_eq(c[i]->replies, 1);
		ck_assert_mem_eq(c[i]->body, &i, sizeof(i));
		ck_assert_int_eq(c[i]->closed, 1);
		free(c[i]);
	}
	ck_assert_uint_eq(quic_connections(rig.client), 0);
	ck_assert_uint_eq(quic_connections(rig.server), 0);
	ck_assert(quic_deadline(rig.server) == TIME_NEVER);
}
END_TEST

START_TEST(hold_keeps_the_connection_and_idle_ends_it)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	quic_keep_alive(c->conn, true);
	rig_request(c, "a", 1);
	rig_run(&rig, 200 * NS_PER_S);
	ck_assert_int_eq(c->closed, 0);
	rig_request(c, "b", 1);
	ck_assert(rig_until(&rig, &c->replies, 2));
	ck_assert_int_eq(rig.server_done, 1);

	quic_keep_alive(c->conn, false);
	rig_run(&rig, 29 * NS_PER_S);
	ck_assert_int_eq(c->closed, 0);
	rig_run(&rig, 20 * NS_PER_S);
	ck_assert_int_eq(c->closed, 1);
	ck_assert_int_eq(c->why, QUIC_CLOSED_IDLE);
	ck_assert_int_eq(rig.server_why, QUIC_CLOSED_IDLE);
	free(c);
}
END_TEST

START_TEST(nothing_to_say_needs_no_waking)
{
	struct rig_client *c;
	uint64_t packets;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	rig_run(&rig, 10 * NS_PER_S);
	packets = rig.packets;
	rig_request(c, "b", 1);
	rig_run(&rig, 0);
	ck_assert_uint_gt(rig.packets, packets);
	/* not for the pacing of a packet that nothing waits behind: the next is a timeout's */
	ck_assert_uint_gt(quic_deadline(rig.client), rig.at.now + 2 * RIG_LATENCY);
	free(c);
}
END_TEST

START_TEST(too_large)
{
	static uint8_t body[60000];
	struct rig_client *c;
	int i;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, body, 8192);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(rig.requests, 1);
	/* again and again: what is thrown away must not eat the connection's credit */
	for (i = 0; i < 20; i++) {
		rig_request(c, body, i % 2 ? sizeof(body) : 8193);
		ck_assert(rig_until(&rig, &c->replies, 2 + i));
		ck_assert_int_eq(c->status, QUIC_REPLY);
		ck_assert_mem_eq(c->body, "413", 3);
		ck_assert_uint_eq(rig.last_len, 8192);
	}
	ck_assert_int_eq(rig.too_large, 20);
	rig_request(c, body, 100);
	ck_assert(rig_until(&rig, &c->replies, 22));
	ck_assert_int_eq(rig.requests, 2);
	free(c);
}
END_TEST

START_TEST(reply_too_large)
{
	struct rig_client *c;
	static uint8_t body[8000];

	rig.client_cfg.message_max = 1000;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, body, sizeof(body));
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_TOO_LARGE);
	ck_assert_uint_eq(c->body_len, 1000);
	rig_request(c, body, 1000);
	ck_assert(rig_until(&rig, &c->replies, 2));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	free(c);
}
END_TEST

START_TEST(too_slow)
{
	static uint8_t body[40000];
	struct rig_client *c;

	rig.server_cfg.message_max = 65536;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig_request(c, body, sizeof(body));
	rig_run(&rig, 7 * NS_PER_MS); /* the first bytes are there, then the client falls silent */
	rig.cut_to_server = true;
	ck_assert(rig_until(&rig, &rig.server_closed, 1));
	ck_assert_int_eq(rig.too_slow, 1);
	ck_assert_int_eq(rig.server_why, QUIC_CLOSED_APP);
	ck_assert_uint_eq(rig.server_error, QUIC_APP_TOO_SLOW);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->why, QUIC_CLOSED_APP);
	ck_assert_uint_eq(c->error, QUIC_APP_TOO_SLOW);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	free(c);
}
END_TEST

START_TEST(cancelled)
{
	struct rig_client *c, *d;

	rig.answer = RIG_KEEP_SILENT;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	d = rig_connect(&rig, NAME);
	rig_request(d, "never sent", 10);
	quic_cancel(d->conn, d);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &rig.requests, 1));
	quic_cancel(c->conn, c);
	rig_run(&rig, NS_PER_S);
	ck_assert_int_eq(quic_respond(rig.last_conn, rig.last_stream, (const uint8_t *)"x", 1), ERR_CLOSED);
	ck_assert_int_eq(c->replies, 0);
	ck_assert_int_eq(d->replies, 0);
	ck_assert_int_eq(rig.requests, 1);
	rig.answer = RIG_ECHO;
	rig_request(c, "b", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	free(c);
	free(d);
}
END_TEST

START_TEST(late_respond)
{
	struct rig_client *c;

	rig.answer = RIG_KEEP_SILENT;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	rig_run(&rig, 2 * NS_PER_S);
	ck_assert_int_eq(quic_respond(rig.last_conn, 400, (const uint8_t *)"x", 1), ERR_CLOSED);
	ck_assert_int_eq(quic_respond(rig.last_conn, rig.last_stream, (const uint8_t *)"", 0), 0);
	ck_assert_int_eq(quic_respond(rig.last_conn, rig.last_stream, (const uint8_t *)"x", 1), ERR_CLOSED);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	ck_assert_uint_eq(c->body_len, 0);
	free(c);
}
END_TEST

/* ---- ends ---- */

START_TEST(silent_after_close_sends_nothing)
{
	struct rig_client *c;
	uint64_t sent;

	rig.answer = RIG_KEEP_SILENT;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &rig.requests, 1));
	rig_run(&rig, NS_PER_S);
	sent = rig.to_server.sent;
	rig.cut_to_server = true; /* the server never hears of it and goes on talking */
	quic_close(c->conn, &rig.at, QUIC_APP_DONE, true, &rig.to_server.sink);
	ck_assert_uint_eq(rig.to_server.sent, sent + 1);
	quic_respond(rig.last_conn, rig.last_stream, (const uint8_t *)"late", 4);
	rig_run(&rig, 60 * NS_PER_S);
	ck_assert_uint_eq(rig.to_server.sent, sent + 1);
	ck_assert_int_eq(c->closed, 1);
	ck_assert_int_eq(c->replies, 1);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	free(c);
}
END_TEST

START_TEST(closing_period_answers_less_and_less)
{
	struct rig_client *c;
	uint64_t sent;

	rig.answer = RIG_KEEP_SILENT;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &rig.requests, 1));
	rig_run(&rig, NS_PER_S);
	rig.cut_to_client = true;
	quic_close(rig.last_conn, &rig.at, QUIC_APP_INTERNAL, false, NULL);
	rig_run(&rig, NS_PER_MS);
	ck_assert_int_eq(rig.server_closed, 1);
	sent = rig.to_client.sent;
	rig.cut_to_client = false; /* only that one datagram was lost: the next packet brings it again */
	rig_request(c, "b", 1);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_uint_eq(rig.to_client.sent, sent + 1);
	ck_assert_int_eq(c->why, QUIC_CLOSED_APP);
	ck_assert_uint_eq(c->error, QUIC_APP_INTERNAL);
	ck_assert_int_eq(c->replies, 2);
	free(c);
}
END_TEST

/* RFC 9000 §10.2.1: answers to the 1st, 2nd, 4th and 8th packet; then the period ends and
 * the packets are those of an unknown connection. */
START_TEST(closing_period_ends)
{
	uint8_t packet[60] = {0x40};
	struct rig_client *c;
	char id[2 * QUIC_CID_LEN + 1];
	uint64_t sent;
	int i;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig_run(&rig, NS_PER_S);
	quic_conn_id(rig.last_conn, id);
	ck_assert(hash_unhex(id, packet + 1, QUIC_CID_LEN));
	rig.cut_to_client = rig.cut_to_server = true;
	quic_close(rig.last_conn, &rig.at, QUIC_APP_INTERNAL, false, NULL);
	rig_run(&rig, NS_PER_MS);
	ck_assert_int_eq(rig.server_closed, 1);
	sent = rig.to_client.sent;
	for (i = 1; i <= 10; i++) {
		rig_inject(&rig, true, packet, sizeof(packet));
		quic_output(rig.server, &rig.at, &rig.to_client.sink);
		sent += i == 1 || i == 2 || i == 4 || i == 8;
		ck_assert_uint_eq(rig.to_client.sent, sent);
	}
	rig_run(&rig, 2 * NS_PER_S);
	ck_assert(quic_deadline(rig.server) == TIME_NEVER);
	rig_inject(&rig, true, packet, sizeof(packet));
	quic_output(rig.server, &rig.at, &rig.to_client.sink);
	ck_assert_uint_eq(rig.to_client.sent, sent + 1); /* a stateless reset */
	free(c);
}
END_TEST

START_TEST(abandon_says_nothing)
{
	struct rig_client *c;
	uint64_t sent;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	rig_run(&rig, NS_PER_S);
	sent = rig.to_server.sent;
	quic_abandon(c->conn);
	rig_run(&rig, 60 * NS_PER_S);
	ck_assert_uint_eq(rig.to_server.sent, sent);
	ck_assert_int_eq(c->closed, 0);
	ck_assert_uint_eq(quic_connections(rig.client), 0);
	ck_assert_int_eq(rig.server_why, QUIC_CLOSED_IDLE);
	free(c);
}
END_TEST

START_TEST(close_before_anything_left)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	quic_close(c->conn, &rig.at, QUIC_APP_DONE, true, NULL);
	ck_assert_int_eq(quic_request(c->conn, (const uint8_t *)"b", 1, c), ERR_CLOSED);
	rig_run(&rig, NS_PER_S);
	ck_assert_int_eq(c->closed, 1);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	ck_assert_uint_eq(rig.to_server.sent, 0);
	free(c);
}
END_TEST

START_TEST(shutdown_tells_everyone)
{
	struct rig_client *c, *d;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	quic_shutdown(rig.server, &rig.at);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->why, QUIC_CLOSED_APP);
	ck_assert_uint_eq(c->error, QUIC_APP_SHUTTING_DOWN);
	d = rig_connect(&rig, NAME);
	ck_assert(rig_until(&rig, &d->closed, 1));
	ck_assert_int_eq(d->why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_uint_eq(d->error, 0x2); /* CONNECTION_REFUSED */
	free(c);
	free(d);
}
END_TEST

START_TEST(server_closes_within_a_callback)
{
	struct rig_client *c;

	rig.answer = RIG_CLOSE;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->replies, 1);
	ck_assert_int_eq(c->status, QUIC_CONN_LOST);
	ck_assert_uint_eq(c->error, QUIC_APP_INTERNAL);
	free(c);
}
END_TEST

START_TEST(a_full_sink_loses_nothing)
{
	struct rig_client *c;

	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	rig.to_server.full = rig.to_client.full = true;
	ck_assert(!quic_output(rig.client, &rig.at, &rig.to_server.sink));
	rig_run(&rig, NS_PER_S);
	ck_assert_uint_eq(rig.packets, 0);
	rig.to_server.full = rig.to_client.full = false;
	ck_assert(rig_until(&rig, &c->replies, 1));
	free(c);
}
END_TEST

int main(void)
{
	extern void quic_edge_tests(Suite * suite);
	extern void quic_accept_tests(Suite * suite);
	Suite *s = suite_create("quic");
	TCase *t = tcase_create("requests and ends");
	SRunner *runner;
	int failed;

	rig_keys_make();
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, request_and_reply);
	tcase_add_test(t, many_requests_on_one_connection);
	tcase_add_test(t, many_connections);
	tcase_add_test(t, hold_keeps_the_connection_and_idle_ends_it);
	tcase_add_test(t, nothing_to_say_needs_no_waking);
	tcase_add_test(t, too_large);
	tcase_add_test(t, reply_too_large);
	tcase_add_test(t, too_slow);
	tcase_add_test(t, cancelled);
	tcase_add_test(t, late_respond);
	tcase_add_test(t, silent_after_close_sends_nothing);
	tcase_add_test(t, closing_period_answers_less_and_less);
	tcase_add_test(t, closing_period_ends);
	tcase_add_test(t, abandon_says_nothing);
	tcase_add_test(t, close_before_anything_left);
	tcase_add_test(t, shutdown_tells_everyone);
	tcase_add_test(t, server_closes_within_a_callback);
	tcase_add_test(t, a_full_sink_loses_nothing);
	suite_add_tcase(s, t);
	quic_edge_tests(s);
	quic_accept_tests(s);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	rig_keys_free();
	return failed ? 1 : 0;
}
