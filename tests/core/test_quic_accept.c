/* The QUIC endpoint's door under load: junk, Retry, connection IDs that strangers choose. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/quic_internal.h"
#include "tests/core/quic_rig.h"

#define NAME	      "server.test"
#define INVALID_TOKEN 0xb /* RFC 9000 §20.1 */

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
}

static void teardown(void)
{
	rig_fini(&rig);
}

/* An Initial of version 1 with this connection ID length and a one-byte token, or none;
 * what it protects is junk. */
static void junk_initial(uint8_t packet[1200], uint8_t dcid_len, bool token)
{
	size_t at = 0, left;

	rng_bytes(&rig.rng, packet, 1200);
	memcpy(packet, "\xc0\0\0\0\1", 5);
	packet[5] = dcid_len;
	at = 6 + dcid_len;
	packet[at] = 4;
	at += 5;
	packet[at++] = token;
	if (token)
		packet[at++] = 1; /* the first byte of no token of ours */
	left = 1200 - at - 2;
	packet[at] = (uint8_t)(0x40 | left >> 8);
	packet[at + 1] = (uint8_t)left;
}

/* What cannot be read began nothing: the owner, who writes a line about each end, hears
 * nothing of it. */
START_TEST(unreadable_initials_are_no_connections)
{
	uint8_t packet[1200];
	int i;

	rig_start(&rig);
	for (i = 0; i < 200; i++) {
		junk_initial(packet, (uint8_t)(8 + i % 13), i % 2);
		rig_inject(&rig, true, packet, sizeof(packet));
		ck_assert_uint_eq(quic_connections(rig.server), 0);
		ck_assert_uint_eq(quic_half_open(rig.server), 0);
	}
	ck_assert_int_eq(rig.server_closed, 0);
	ck_assert(quic_deadline(rig.server) == TIME_NEVER);
}
END_TEST

START_TEST(retry_begins_at_its_threshold)
{
	struct rig_client *c[4];
	int i;

	rig.server_cfg.half_open_retry = 2;
	rig.cut_to_client = true;
	rig_start(&rig);
	for (i = 0; i < 4; i++)
		c[i] = rig_connect(&rig, NAME);
	rig_run(&rig, 100 * NS_PER_MS);
	ck_assert_uint_eq(quic_half_open(rig.server), 2); /* the others were sent a Retry */
	rig_run(&rig, 30 * NS_PER_S);
	ck_assert_uint_eq(quic_half_open(rig.server), 0);
	for (i = 0; i < 4; i++)
		free(c[i]);
	/* that is over: no Retry, two round trips */
	rig.cut_to_client = false;
	c[0] = rig_connect(&rig, NAME);
	rig_request(c[0], "a", 1);
	{
		time_ns start = rig.at.now;

		ck_assert(rig_until(&rig, &c[0]->replies, 1));
		ck_assert_uint_eq(rig.at.now - start, 4 * RIG_LATENCY);
	}
	free(c[0]);
}
END_TEST

/* Holds the second Initial back for longer than a token lives. */
static void late_token(struct rig *r, struct rig_packet *p)
{
	if (p->to_server && r->to_client.sent > 0)
		p->at += 11 * NS_PER_S;
}

START_TEST(retry_token_expires)
{
	struct rig_client *c;

	rig.server_cfg.half_open_retry = 0;
	rig.client_cfg.handshake_timeout = 60 * NS_PER_S;
	rig.tamper = late_token;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	ck_assert(rig_until(&rig, &c->closed, 1));
	ck_assert_int_eq(c->why, QUIC_CLOSED_HANDSHAKE);
	ck_assert_uint_eq(c->error, INVALID_TOKEN);
	ck_assert_int_eq(rig.server_done, 0);
	free(c);
}
END_TEST

/* Connection IDs that uthash's own, unkeyed function puts into one bucket. */
static uint64_t tried;

static void fill_colliding(struct secret_source *src, void *out, size_t len)
{
	uint8_t id[QUIC_CID_LEN] = {0};
	unsigned h;

	if (len != QUIC_CID_LEN) {
		secret_fill(&rig.secret, out, len);
		return;
	}
	(void)src;
	do {
		tried++;
		memcpy(id, &tried, sizeof(tried));
		HASH_JEN(id, sizeof(id), h);
	} while (h & 0xfff);
	memcpy(out, id, sizeof(id));
}

/* A client chooses its first connection ID, before anybody knows who it is: it must not
 * choose the place in our table too. */
START_TEST(chosen_connection_ids_do_not_collide)
{
	enum { N = 120 };
	struct secret_source colliding = {fill_colliding};
	struct rig_client c[N] = {0};
	unsigned longest = 0;
	UT_hash_table *table;

	tried = 0;
	rig_start(&rig);
	rig.cut_to_client = true;
	for (int i = 0; i < N; i++)
		ck_assert_ptr_nonnull(quic_connect(rig.client, &rig.at, &rig.client_addr, &rig.server_addr, NAME,
						   &colliding, &c[i], NULL));
	rig_run(&rig, 50 * NS_PER_MS);
	ck_assert_uint_eq(quic_half_open(rig.server), N);
	table = rig.server->cids->hh.tbl;
	ck_assert_uint_ge(table->num_items, 2 * N);
	for (unsigned i = 0; i < table->num_buckets; i++)
		if (table->buckets[i].count > longest)
			longest = table->buckets[i].count;
	ck_assert_msg(longest < 30, "%u in one bucket", longest);
	ck_assert(!table->noexpand);
}
END_TEST

/* Handshakes that nobody goes on with: from the threshold on a Retry each, which costs the server
 * nothing to remember, and an honest client is served meanwhile. */
START_TEST(an_honest_client_in_a_flood)
{
	enum { FLOOD = 1000 };
	struct rig_client *c;
	time_ns asked;

	rig_start(&rig);
	for (int i = 0; i < FLOOD; i++) {
		c = rig_connect(&rig, NAME);
		rig_run(&rig, NS_PER_MS); /* its Initial is on the way */
		quic_abandon(c->conn);
		free(c);
	}
	rig_run(&rig, 2 * RIG_LATENCY);
	ck_assert_uint_eq(quic_half_open(rig.server), 128);
	ck_assert_uint_eq(quic_connections(rig.server), 128);
	asked = rig.at.now;
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	ck_assert(rig_until(&rig, &c->replies, 1));
	ck_assert_int_eq(c->status, QUIC_REPLY);
	ck_assert_uint_lt(rig.at.now - asked, 2 * NS_PER_S);
	ck_assert_int_eq(rig.requests, 1);
	rig_run(&rig, 20 * NS_PER_S);
	ck_assert_uint_eq(quic_half_open(rig.server), 0);
	free(c);
}
END_TEST

static size_t bytes_in, bytes_out;

/* The first datagram arrives; whoever it claims to be from never speaks again. */
static void only_the_first(struct rig *r, struct rig_packet *p)
{
	*(p->to_server ? &bytes_in : &bytes_out) += p->len;
	if (p->to_server)
		r->cut_to_server = true;
}

/* RFC 9000 §8.1: three times what came, also by what is sent again and again, and then forgotten. */
START_TEST(a_spoofed_initial_gets_little)
{
	struct rig_client *c;

	bytes_in = bytes_out = 0;
	rig.tamper = only_the_first;
	rig_start(&rig);
	c = rig_connect(&rig, NAME);
	rig_request(c, "a", 1);
	rig_run(&rig, 60 * NS_PER_S);
	ck_assert_uint_ge(bytes_in, 1200);
	ck_assert_uint_gt(bytes_out, 0);
	ck_assert_msg(bytes_out <= 3 * bytes_in, "%zu bytes for %zu", bytes_out, bytes_in);
	ck_assert_uint_eq(quic_half_open(rig.server), 0);
	ck_assert_uint_eq(quic_connections(rig.server), 0);
	ck_assert_int_eq(rig.requests, 0);
	free(c);
}
END_TEST

void quic_accept_tests(Suite *suite)
{
	TCase *t = tcase_create("accept");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, unreadable_initials_are_no_connections);
	tcase_add_test(t, an_honest_client_in_a_flood);
	tcase_add_test(t, a_spoofed_initial_gets_little);
	tcase_add_test(t, retry_begins_at_its_threshold);
	tcase_add_test(t, retry_token_expires);
	tcase_add_test(t, chosen_connection_ids_do_not_collide);
	suite_add_tcase(suite, t);
}
