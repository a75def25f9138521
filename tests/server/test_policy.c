/* The policy that operators have a hand in: commands (protocol.md §2, §4). */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command.h"

#define S 1000 /* ms */

static struct ask a;

static void setup(void)
{
	ask_init(&a);
}

static void teardown(void)
{
	ask_fini(&a);
}

/* A device with tokens: pair `a.slots - 1`. */
static void bootstrap(int dev, int reg)
{
	ask_register(&a, dev, reg);
	ck_assert_int_eq(a.code, 200);
	ask_login(&a, dev, reg, a.codes[reg]);
	ck_assert_int_eq(a.code, 200);
}

/* ---- commands ---- */

static int queue(int dev, const char *text, bool lab, char id[COMMAND_ID_MAX + 1])
{
	json_t *j = json_loads(text, 0, NULL);
	struct store_command c;
	struct err e = {0};
	int rv;

	ck_assert_ptr_nonnull(j);
	rv = command_queue(a.en, &a.at, dev < 0 ? "00000000-0000-0000-0000-000000000000" : test_uuids[dev], j, lab, &c,
			   &e);
	json_decref(j);
	ck_assert_int_eq(rv != 0, e.text[0] != '\0');
	if (!rv) {
		ck_assert_int_eq(ask_turn(&a), 0);
		if (id)
			snprintf(id, COMMAND_ID_MAX + 1, "%s", c.id);
	}
	return rv;
}

/* One request that names what it has done. */
static void ask_done(enum msg_resource res, int dev, int reg, const char *token, const char *id)
{
	struct msg_request m;

	ask_prepare(&m, res, dev, reg);
	m.authentication = strdup(token);
	m.authentication_len = strlen(token);
	if (res == MSG_LOGIN)
		snprintf(m.code, sizeof(m.code), "%s", a.codes[reg]);
	snprintf(m.done[m.done_n++], sizeof(m.done[0]), "%s", id);
	ask_request(&a, &m);
	free(m.authentication);
}

static const struct {
	const char *name, *command, *body; /* body: as it rides, without the id; NULL: refused */
	bool lab;
} commands[] = {
	{.name = "pause", .command = "{\"name\":\"PAUSE\",\"seconds\":60}", .body = "\"name\":\"PAUSE\",\"seconds\":60}"},
	{.name = "years are a day", .command = "{\"name\":\"PAUSE\",\"seconds\":63072000}", .body = "\"name\":\"PAUSE\",\"seconds\":86400}"},
	{.name = "an interval", .command = "{\"name\":\"CONFIG\",\"publishInterval\":30}", .body = "\"name\":\"CONFIG\",\"publishInterval\":30}"},
	{.name = "at most a day", .command = "{\"name\":\"CONFIG\",\"publishInterval\":86401}",
	 .body = "\"name\":\"CONFIG\",\"publishInterval\":86400}"},
	{.name = "reset", .command = "{\"name\":\"RESET\"}", .body = "\"name\":\"RESET\"}"},
	{.name = "idle", .command = "{\"name\":\"IDLE\"}", .body = "\"name\":\"IDLE\"}"},
	{.name = "the lab's", .command = "{\"name\":\"UNKNOWN\"}", .body = "\"name\":\"UNKNOWN\"}", .lab = true},
	{.name = "no seconds", .command = "{\"name\":\"PAUSE\"}"},
	{.name = "none of them", .command = "{\"name\":\"PAUSE\",\"seconds\":0}"},
	{.name = "half of one", .command = "{\"name\":\"PAUSE\",\"seconds\":1.5}"},
	{.name = "a text", .command = "{\"name\":\"PAUSE\",\"seconds\":\"60\"}"},
	{.name = "more than asked", .command = "{\"name\":\"PAUSE\",\"seconds\":60,\"id\":\"x\"}"},
	{.name = "no interval", .command = "{\"name\":\"CONFIG\"}"},
	{.name = "arguments of nothing", .command = "{\"name\":\"RESET\",\"seconds\":60}"},
	{.name = "no keys", .command = "{\"name\":\"KEYS\",\"keys\":[]}"},
	{.name = "three keys", .command = "{\"name\":\"KEYS\",\"keys\":[\"a\",\"b\",\"c\"]}"},
	{.name = "no key", .command = "{\"name\":\"KEYS\",\"keys\":[\"a\"]}"},
	{.name = "a number", .command = "{\"name\":\"KEYS\",\"keys\":[1]}"},
	{.name = "unknown", .command = "{\"name\":\"UNKNOWN\"}"},
	{.name = "a long name", .command = "{\"name\":\"UNKNOWNUNKNOWNUNKNOWN\"}", .lab = true},
	{.name = "no name", .command = "{}"},
	{.name = "a list", .command = "[]"},
};

START_TEST(takes_and_refuses)
{
	char id[COMMAND_ID_MAX + 1], want[256];

	bootstrap(0, 1);
	if (!commands[_i].body) {
		ck_assert_int_eq(queue(0, commands[_i].command, commands[_i].lab, NULL), ERR_PARSE);
		ask_publish(&a, 0, a.tokens[0][0]);
		ck_assert_str_eq(a.command, "");
		ck_assert(!a.is_signed);
		return;
	}
	ck_assert_int_eq(queue(0, commands[_i].command, commands[_i].lab, id), 0);
	ask_publish(&a, 0, a.tokens[0][0]);
	snprintf(want, sizeof(want), "{\"id\":\"%s\",%s", id, commands[_i].body);
	ck_assert_str_eq(a.command, want);
	ck_assert(a.is_signed);
}
END_TEST

START_TEST(keys_are_ours)
{
	json_t *j;

	bootstrap(0, 1);
	ck_assert_int_eq(queue(0, "{\"name\":\"KEYS\"}", false, NULL), 0);
	ask_publish(&a, 0, a.tokens[0][0]);
	j = json_loads(a.command, 0, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "keys")), 1);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(j, "keys"), 0)), test_pki()->token_public);
	json_decref(j);
}
END_TEST

START_TEST(repeated_until_named)
{
	char id[COMMAND_ID_MAX + 1];

	bootstrap(0, 1);
	ck_assert_int_eq(queue(0, "{\"name\":\"RESET\"}", false, id), 0);
	for (int i = 0; i < 3; i++) {
		ask_publish(&a, 0, a.tokens[0][0]);
		ck_assert_ptr_nonnull(strstr(a.command, id));
		ask_restart(&a, i == 1);
	}
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[0][0], "another");
	ck_assert_ptr_nonnull(strstr(a.command, id));
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[0][0], id);
	ck_assert_str_eq(a.command, "");
	ck_assert_uint_eq(a.events[J_COMMAND_SENT], 4);
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 1);
	ask_restart(&a, false);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_str_eq(a.command, "");
}
END_TEST

/* What shows no token of the device's ends nothing of its. */
START_TEST(only_the_device_says_done)
{
	char id[COMMAND_ID_MAX + 1];

	bootstrap(0, 1);
	bootstrap(1, 2);
	ck_assert_int_eq(queue(0, "{\"name\":\"PAUSE\",\"seconds\":5}", false, id), 0);
	ask_wait(&a, 61 * S);
	ask_done(MSG_REGISTER, 0, 3, "", id);            /* anybody may register */
	ck_assert_int_eq(a.code, 200);
	ask_done(MSG_PUBLISH, 1, 0, a.tokens[1][0], id); /* another device */
	ck_assert_int_eq(a.code, 200);
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[1][0], id); /* another's token */
	ck_assert_int_eq(a.code, 401);
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 0);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_ptr_nonnull(strstr(a.command, id));
	/* a refresh and a login do */
	ask_done(MSG_REFRESH, 0, 0, a.tokens[0][1], id);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 1);
	ck_assert_int_eq(queue(0, "{\"name\":\"RESET\"}", false, id), 0);
	ask_done(MSG_LOGIN, 0, 3, "", id);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 2);
}
END_TEST

START_TEST(idle_rides_on_any_200)
{
	char pause[COMMAND_ID_MAX + 1], idle[COMMAND_ID_MAX + 1];

	ck_assert_int_eq(queue(0, "{\"name\":\"PAUSE\",\"seconds\":5}", false, pause), 0);
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	ck_assert_str_eq(a.command, "");
	ck_assert_int_eq(queue(0, "{\"name\":\"IDLE\"}", false, idle), 0);
	ask_register(&a, 0, 1);
	ck_assert_ptr_nonnull(strstr(a.command, idle));
	ck_assert(a.is_signed);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_ptr_nonnull(strstr(a.command, idle));
	ask_refresh(&a, 0, a.tokens[0][1]);
	ck_assert_ptr_nonnull(strstr(a.command, idle));
	/* in its turn */
	ask_publish(&a, 0, a.tokens[1][0]);
	ck_assert_ptr_nonnull(strstr(a.command, pause));
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[1][0], pause);
	ck_assert_ptr_nonnull(strstr(a.command, idle));
}
END_TEST

/* A register's signature costs the server more than its asker, so it counts; nothing
 * rides where nothing can be signed. */
START_TEST(what_it_may_cost)
{
	struct msg_request m;

	ck_assert_int_eq(queue(0, "{\"name\":\"IDLE\"}", false, NULL), 0);
	ask_prepare(&m, MSG_REGISTER, 0, 1);
	for (unsigned i = 0; i < REPLY_SIGNED_MAX + 2; i++) {
		unsigned had = i < REPLY_SIGNED_MAX ? i : REPLY_SIGNED_MAX;

		a.peer.signed_refusals = had;
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, 200);
		ck_assert_int_eq(a.is_signed, i < REPLY_SIGNED_MAX);
		ck_assert_int_eq(a.command[0] != '\0', i < REPLY_SIGNED_MAX);
	}
	m.nonce[0] = '\0';
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 200);
	ck_assert_str_eq(a.command, "");
}
END_TEST

START_TEST(bounded_and_cancelled)
{
	char ids[COMMANDS_MAX][COMMAND_ID_MAX + 1];
	struct store_command c;

	bootstrap(0, 1);
	ck_assert_int_eq(queue(-1, "{\"name\":\"RESET\"}", false, NULL), ERR_NOTFOUND);
	for (int i = 0; i < COMMANDS_MAX; i++)
		ck_assert_int_eq(queue(0, "{\"name\":\"PAUSE\",\"seconds\":5}", false, ids[i]), 0);
	ck_assert_int_eq(queue(0, "{\"name\":\"RESET\"}", false, NULL), ERR_LIMIT);
	ck_assert_int_eq(queue(1, "{\"name\":\"RESET\"}", false, NULL), 0);
	ck_assert_int_eq(command_cancel(a.en, test_uuids[1], ids[0], &c), ERR_NOTFOUND);
	ck_assert_int_eq(command_cancel(a.en, test_uuids[0], ids[0], &c), 0);
	ck_assert_str_eq(c.name, "PAUSE");
	ck_assert_int_eq(command_cancel(a.en, test_uuids[0], ids[0], &c), ERR_NOTFOUND);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_ptr_nonnull(strstr(a.command, ids[1]));
	ck_assert_int_eq(queue(0, "{\"name\":\"RESET\"}", false, NULL), 0);
}
END_TEST

/* A 200 whose commit fails is none: nothing rides, nothing was sent or done. */
START_TEST(failed_commit)
{
	char id[COMMAND_ID_MAX + 1];

	bootstrap(0, 1);
	ck_assert_int_eq(queue(0, "{\"name\":\"PAUSE\",\"seconds\":5}", false, id), 0);
	a.mem.full_from = a.mem.writes + 1;
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 503);
	ck_assert_str_eq(a.command, "");
	ck_assert_uint_eq(a.events[J_COMMAND_SENT], 0);
	a.mem.full_from = 0;
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_ptr_nonnull(strstr(a.command, id));
	a.mem.full_from = a.mem.writes + 1;
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[0][0], id);
	ck_assert_int_eq(a.code, 503);
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 0);
	a.mem.full_from = 0;
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_ptr_nonnull(strstr(a.command, id));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase_create("commands");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 50);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, takes_and_refuses, 0, (int)(sizeof(commands) / sizeof(commands[0])));
	tcase_add_test(t, keys_are_ours);
	tcase_add_test(t, repeated_until_named);
	tcase_add_test(t, only_the_device_says_done);
	tcase_add_test(t, idle_rides_on_any_200);
	tcase_add_test(t, what_it_may_cost);
	tcase_add_test(t, bounded_and_cancelled);
	tcase_add_test(t, failed_commit);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
