/* The policy that operators have a hand in: commands, quarantine, the clock, service
 * (protocol.md §2, §4). */
#include "tests/server/policy_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/clock.h"
#include "server/command.h"

#define S 1000 /* ms */

/* ---- commands ---- */

static int queue(int dev, const char *text, bool lab, char id[COMMAND_ID_MAX + 1])
{
	json_t *j = json_loads(text, 0, NULL);
	struct store_command c;
	struct err e = {0};
	int rv;

	ck_assert_ptr_nonnull(j);
	rv = command_queue(a.en, &a.at, dev < 0 ? "00000000-0000-0000-0000-000000000000" : test_uuids[dev], j, NULL, lab,
			   &c, &e);
	json_decref(j);
	ck_assert_int_eq(rv != 0, e.text[0] != '\0');
	if (!rv) {
		ck_assert_int_eq(ask_turn(&a), 0);
		if (id)
			snprintf(id, COMMAND_ID_MAX + 1, "%s", c.id);
	}
	return rv;
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

/* Who missed the answer asks again. */
START_TEST(asked_again)
{
	static const char *const bad[] = {"", "a b", "0123456789012345678901234567890123456", "\303\266"};
	json_t *pause = json_pack("{s:s, s:i}", "name", "PAUSE", "seconds", 5), *reset = json_pack("{s:s}", "name", "RESET");
	struct store_command c;
	struct err e = {0};

	bootstrap(0, 1);
	ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[0], pause, "op-1", false, &c, &e), 0);
	ck_assert_str_eq(c.id, "op-1");
	ask_turn(&a);
	ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[0], pause, "op-1", false, &c, &e), ERR_EXISTS);
	ck_assert_str_eq(c.id, "op-1");
	ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[0], reset, "op-1", false, &c, &e), ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(e.text, "waits already"));
	ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[1], pause, "op-1", false, &c, &e), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[0], pause, bad[i], false, &c, &e), ERR_PARSE);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_ptr_nonnull(strstr(a.command, "\"op-1\""));
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[0][0], "op-1");
	ck_assert_str_eq(a.command, "");
	json_decref(pause);
	json_decref(reset);
}
END_TEST

/* A turn that cannot be committed any more takes no command, and says that it is the storage. */
START_TEST(queued_into_a_failed_turn)
{
	json_t *reset = json_pack("{s:s}", "name", "RESET");
	struct store_command c;
	struct err e = {0};

	store_spoil(a.store);
	ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[0], reset, NULL, false, &c, &e), ERR_IO);
	ck_assert_int_eq(e.code, ERR_IO);
	ck_assert_ptr_nonnull(strstr(e.text, "storage failed"));
	ck_assert_int_eq(ask_turn(&a), ERR_IO);
	e = (struct err){0};
	ck_assert_int_eq(command_queue(a.en, &a.at, test_uuids[0], reset, NULL, false, &c, &e), 0);
	ck_assert_int_eq(ask_turn(&a), 0);
	json_decref(reset);
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

/* ---- quarantine ---- */

static void bootstrap_anew(int dev, int reg)
{
	ask_wait(&a, 70 * S);
	bootstrap(dev, reg);
}

/* One reuse behind a successor that was shown; the family is gone then. */
static void reuse(int dev, int reg, int code)
{
	unsigned first;

	bootstrap_anew(dev, reg);
	first = a.slots - 1;
	refresh(dev, first, 200, NULL);
	ask_publish(&a, dev, a.tokens[a.slots - 1][0]);
	ck_assert_int_eq(a.code, 200);
	refresh(dev, first, code, code == 403 ? "quarantined" : "reused");
}

START_TEST(third_reuse_in_a_day)
{
	bool was;

	lax();
	reuse(0, 1, 700);
	reuse(0, 2, 700);
	reuse(0, 3, 403);
	ck_assert_uint_eq(a.events[J_SERVER_ALARM], 4);
	ask_restart(&a, true);
	/* everything is refused, login as it refuses everything */
	ask_register(&a, 0, 4);
	ck_assert_int_eq(a.code, 403);
	ck_assert_str_eq(a.why, "quarantined");
	ask_login(&a, 0, 3, a.codes[3]);
	ck_assert_int_eq(a.code, 401);
	ck_assert_str_eq(a.message, "INVALID CODE");
	ask_publish(&a, 0, a.tokens[a.slots - 1][0]);
	ck_assert_int_eq(a.code, 403);
	refresh(0, a.slots - 1, 403, "quarantined");
	/* others are served; the operator ends it, and then it takes three more */
	bootstrap_anew(1, 1);
	ck_assert_int_eq(enroll_lift(a.en, test_uuids[0], &was), 0);
	ck_assert(was);
	ck_assert_int_eq(enroll_lift(a.en, test_uuids[0], &was), 0);
	ck_assert(!was);
	ck_assert_int_eq(enroll_lift(a.en, "00000000-0000-0000-0000-000000000000", &was), ERR_NOTFOUND);
	ask_turn(&a);
	reuse(0, 5, 700);
	reuse(0, 6, 700);
	reuse(0, 7, 403);
}
END_TEST

START_TEST(reuses_of_two_days)
{
	lax();
	reuse(0, 1, 700);
	reuse(0, 2, 700);
	ask_wait(&a, INT64_C(24) * 3600 * S - 60 * S);
	reuse(0, 3, 700); /* the first is a day old */
	ask_restart(&a, false);
	reuse(0, 4, 700); /* so is the second */
	reuse(0, 5, 403);
}
END_TEST

/* A device that lost a reply for longer than the grace is no thief, however often. */
START_TEST(lost_replies_do_not_count)
{
	lax();
	for (int reg = 1; reg <= 4; reg++) {
		unsigned first;

		bootstrap_anew(0, reg);
		first = a.slots - 1;
		refresh(0, first, 200, NULL);
		ask_wait(&a, 181 * S);
		refresh(0, first, 700, "reused");
	}
	ck_assert_uint_eq(a.events[J_SERVER_ALARM], 0);
}
END_TEST

/* R4: whoever copied a device's file, and the device, in turn. The clone has the token
 * that the device used; what either bootstraps ends what the other has. */
START_TEST(clone_and_original)
{
	lax();
	for (int reg = 1; reg <= 3; reg++) {
		unsigned copied;

		bootstrap_anew(0, reg);
		copied = a.slots - 1; /* the clone has it from here on */
		ask_publish(&a, 0, a.tokens[copied][0]);
		refresh(0, copied, 200, NULL);                     /* the original */
		ask_publish(&a, 0, a.tokens[a.slots - 1][0]);
		refresh(0, copied, reg == 3 ? 403 : 700, NULL);    /* the clone */
		refresh(0, a.slots - 1, reg == 3 ? 403 : 700, NULL); /* the original pays, too */
	}
}
END_TEST

/* ---- clock ---- */

START_TEST(clock_guard)
{
	unsigned sms;

	bootstrap(0, 1);
	ask_wait(&a, 1000 * S);
	refresh(0, 0, 200, NULL);
	/* a minute behind is leeway */
	a.at.unix_ms -= 60 * S;
	refresh(0, 1, 200, NULL);
	a.at.unix_ms -= 1;
	sms = a.sms;
	refresh(0, 2, 503, "clock");
	ask_restart(&a, true);
	refresh(0, 2, 503, "clock");
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, 503);
	ask_register(&a, -1, 2); /* before anything is judged */
	ck_assert_int_eq(a.code, 503);
	ask_login(&a, 0, 1, "wrong");
	ck_assert_int_eq(a.code, 503);
	ck_assert_str_eq(a.why, "clock");
	ck_assert_uint_eq(a.sms, sms);
	ck_assert_uint_eq(a.events[J_SERVER_ALARM], 2); /* once a start */
	/* publish issues nothing */
	ask_publish(&a, 0, a.tokens[2][0]);
	ck_assert_int_eq(a.code, 200);
	/* it catches up */
	a.at.unix_ms += 1;
	refresh(0, 2, 200, NULL);
}
END_TEST

START_TEST(clock_accepted)
{
	lax();
	bootstrap(0, 1);
	a.at.unix_ms -= 3600 * S;
	ask_register(&a, 1, 1);
	ck_assert_int_eq(a.code, 503);
	ck_assert_int_eq(clock_accept(a.en, &a.at), 0);
	ck_assert_int_eq(ask_turn(&a), 0);
	ask_restart(&a, false);
	bootstrap(1, 1);
	/* what the future issued is not good yet: such a device begins anew */
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 401);
	refresh(0, 0, 700, NULL);
	ask_wait(&a, 61 * S);
	bootstrap(0, 2);
	ask_publish(&a, 0, a.tokens[a.slots - 1][0]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* An undone issue leaves no trace on record. */
START_TEST(clock_and_a_full_disk)
{
	a.at.unix_ms += 3600 * S;
	a.mem.full_from = a.mem.writes + 1;
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 503);
	ck_assert_str_eq(a.why, "storage");
	a.mem.full_from = 0;
	a.at.unix_ms -= 3600 * S;
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* ---- in and out of service ---- */

START_TEST(decommissioned)
{
	char id[COMMAND_ID_MAX + 1];

	bootstrap(0, 1);
	ask_wait(&a, 61 * S);
	ask_register(&a, 0, 2); /* a code that lives */
	ck_assert_int_eq(queue(0, "{\"name\":\"RESET\"}", false, id), 0);
	ck_assert_int_eq(enroll_decommission(a.en, &a.at, test_uuids[0], &a.fx), 0);
	ask_turn(&a);
	ck_assert_str_eq(a.last_void, "operator");
	ck_assert_str_eq(a.last_revoked, "decommissioned");
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 1);
	ask_restart(&a, false);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 403);
	refresh(0, 0, 403, "disabled");
	ask_login(&a, 0, 2, a.codes[2]);
	ck_assert_int_eq(a.code, 401);
	ask_register(&a, 0, 3);
	ck_assert_int_eq(a.code, 403);
	/* again, and one that never was there */
	ck_assert_int_eq(enroll_decommission(a.en, &a.at, test_uuids[0], &a.fx), 0);
	ck_assert_int_eq(enroll_decommission(a.en, &a.at, "00000000-0000-0000-0000-000000000000", &a.fx), ERR_NOTFOUND);
	ck_assert_int_eq(enroll_readmit(a.en, test_uuids[0]), 0);
	ask_turn(&a);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 401);
	refresh(0, 0, 700, "revoked");
	ask_login(&a, 0, 2, a.codes[2]);
	ck_assert_int_eq(a.code, 401);
	ck_assert_str_eq(a.why, "void");
	bootstrap_anew(0, 4);
	ask_publish(&a, 0, a.tokens[a.slots - 1][0]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_str_eq(a.command, "");
}
END_TEST

/* The registry without device 0, or with it disabled; the old one is freed. */
static void reload(bool gone, bool disabled)
{
	struct registry *old = a.registry;

	a.registry = test_registry_but(gone, disabled);
	ck_assert_int_eq(enroll_strip(a.en, &a.at, a.registry, &a.fx), 0);
	ck_assert_int_eq(ask_turn(&a), 0);
	enroll_set_registry(a.en, a.registry);
	registry_free(old);
}

START_TEST(out_of_the_registry_and_in_again)
{
	bootstrap(0, 1);
	bootstrap(1, 1);
	reload(false, false);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	reload(_i == 0, _i == 1);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 403);
	ck_assert_str_eq(a.why, _i ? "disabled" : "unknown");
	refresh(0, 0, 403, _i ? "disabled" : "unknown");
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 401);
	reload(false, false);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 401);
	refresh(0, 0, 700, "revoked");
	ask_publish(&a, 1, a.tokens[1][0]);
	ck_assert_int_eq(a.code, 200);
	bootstrap_anew(0, 2);
}
END_TEST

/* Codes and commands of one who never had tokens go as well; who was enabled by hand stays. */
START_TEST(out_of_the_registry_without_tokens)
{
	char id[COMMAND_ID_MAX + 1];

	ask_register(&a, 0, 1);
	ck_assert_int_eq(queue(0, "{\"name\":\"RESET\"}", false, id), 0);
	reload(true, false);
	ck_assert_str_eq(a.last_void, "operator");
	ck_assert_uint_eq(a.events[J_COMMAND_CLOSED], 1);
	reload(false, false);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 401);
	ck_assert_str_eq(a.why, "void");
	bootstrap_anew(0, 2);
	ck_assert_int_eq(enroll_disable(a.en, test_uuids[0], false), 0);
	ask_turn(&a);
	reload(false, true);
	ask_publish(&a, 0, a.tokens[a.slots - 1][0]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* ---- ledger ---- */

START_TEST(sms_ledger)
{
	struct store_ledger l;
	int64_t today = a.at.unix_ms / (86400 * (int64_t)S);

	lax();
	ask_register(&a, 0, 1);
	a.gateway = GATEWAY_BUSY;
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, 429);
	a.gateway = GATEWAY_QUEUES;
	ask_wait(&a, INT64_C(86400) * S);
	ask_register(&a, 0, 3);
	ask_register(&a, 1, 1);
	ask_restart(&a, false);
	ck_assert_int_eq(store_ledger_next(a.store, 0, "", false, &l), 0);
	ck_assert_int_eq(l.day, today);
	ck_assert_str_eq(l.uuid, test_uuids[0]);
	ck_assert_int_eq(l.handed, 2);
	ck_assert_int_eq(l.returned, 1);
	ck_assert_int_eq(store_ledger_next(a.store, l.day, l.uuid, false, &l), 0);
	ck_assert_int_eq(l.day, today + 1);
	ck_assert_int_eq(l.handed, 1);
	ck_assert_int_eq(l.returned, 0);
	ck_assert_int_eq(store_ledger_next(a.store, l.day, l.uuid, false, &l), 0);
	ck_assert_str_eq(l.uuid, test_uuids[1]);
	ck_assert_int_eq(store_ledger_next(a.store, l.day, l.uuid, false, &l), ERR_NOTFOUND);
	/* of one device; and what is older than it is kept for goes with a new day's first one */
	ck_assert_int_eq(store_ledger_next(a.store, 0, test_uuids[1], true, &l), 0);
	ck_assert_int_eq(l.day, today + 1);
	ask_wait(&a, INT64_C(86400) * 400 * S);
	ask_register(&a, 1, 2);
	ck_assert_int_eq(a.code, 200);
	ck_assert_int_eq(store_ledger_next(a.store, 0, "", false, &l), 0);
	ck_assert_int_eq(l.day, today + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy");
	TCase *t = tcase(s, "commands");
	SRunner *sr;
	int failed;

	tcase_add_loop_test(t, takes_and_refuses, 0, (int)(sizeof(commands) / sizeof(commands[0])));
	tcase_add_test(t, keys_are_ours);
	tcase_add_test(t, repeated_until_named);
	tcase_add_test(t, only_the_device_says_done);
	tcase_add_test(t, idle_rides_on_any_200);
	tcase_add_test(t, what_it_may_cost);
	tcase_add_test(t, bounded_and_cancelled);
	tcase_add_test(t, asked_again);
	tcase_add_test(t, queued_into_a_failed_turn);
	tcase_add_test(t, failed_commit);
	t = tcase(s, "quarantine");
	tcase_add_test(t, third_reuse_in_a_day);
	tcase_add_test(t, reuses_of_two_days);
	tcase_add_test(t, lost_replies_do_not_count);
	tcase_add_test(t, clone_and_original);
	t = tcase(s, "clock");
	tcase_add_test(t, clock_guard);
	tcase_add_test(t, clock_accepted);
	tcase_add_test(t, clock_and_a_full_disk);
	t = tcase(s, "ledger");
	tcase_add_test(t, sms_ledger);
	t = tcase(s, "service");
	tcase_add_test(t, decommissioned);
	tcase_add_loop_test(t, out_of_the_registry_and_in_again, 0, 2);
	tcase_add_test(t, out_of_the_registry_without_tokens);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
