/* The outbox: registers wait for the gateway, sure failures are retried, texts are
 * secrets (protocol.md §4, SMS). */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "core/hash.h"

static struct ask a;

static void setup(void)
{
	ask_init(&a);
}

static void teardown(void)
{
	ask_fini(&a);
}

static void status(enum sms_status s, int64_t eta, int cms)
{
	a.code = 0;
	enroll_sms_status(a.en, &a.at, a.last_id, s, eta, cms, &a.fx);
	ck_assert_int_eq(ask_turn(&a), 0);
}

static bool on_disk(const char *text)
{
	static const char *const names[] = {"server.db", "server.db-wal"};
	bool found = false;

	for (int i = 0; i < 2; i++) {
		struct buf *b = mem_file(&a.mem, names[i]);

		found |= b && b->len && memmem(b->data, b->len, text, strlen(text));
	}
	return found;
}

START_TEST(waits_for_queued)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 0);
	ck_assert_uint_eq(a.sms, 1);
	ask_wait(&a, 900);
	status(SMS_QUEUED, -1, -1);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.events[J_SMS_QUEUED], 1);
	ck_assert_uint_eq(a.events[J_SERVER_DECISION], 1);
	status(SMS_SUBMITTED, -1, -1);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
}
END_TEST

START_TEST(silent_gateway)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ask_wait(&a, 999);
	ck_assert_int_eq(a.code, 0);
	ask_wait(&a, 2);
	ck_assert_int_eq(a.code, 503);
	/* the code stays live, the SMS counts: same registration 200, another one 429 */
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, 429);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.sms, 1);
}
END_TEST

START_TEST(a_second_asker_waits_too)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ask_wait(&a, 500);
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 0);
	status(SMS_QUEUED, -1, -1);
	ck_assert_uint_eq(a.events[J_SERVER_DECISION], 2);
	ck_assert_uint_eq(a.sms, 1);
}
END_TEST

START_TEST(busy_and_sure_failure)
{
	static const struct {
		enum ask_gateway gateway;
		int code;
		int next; /* of another registration at once */
	} rows[] = {{GATEWAY_BUSY, 429, 200}, {GATEWAY_FAILS, 503, 200}, {GATEWAY_FAILS_CMS, 503, 429}};

	a.gateway = rows[_i].gateway;
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, rows[_i].code);
	if (a.code == 429)
		ck_assert_int_eq(a.retry_after_s, 70);
	ck_assert_uint_eq(a.events[J_CODE_VOID], 1);
	ck_assert_uint_eq(a.events[J_SMS_QUEUED], 0);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	a.gateway = GATEWAY_QUEUES;
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 401);
	ask_register(&a, 0, 2);
	ck_assert_int_eq(a.code, rows[_i].next);
	/* the registration was forgotten with its code: it may have another one */
	ask_wait(&a, 61000);
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(unknown_outcome)
{
	a.gateway = GATEWAY_UNKNOWN;
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 503);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	ask_wait(&a, 30000);
	ck_assert_uint_eq(a.sms, 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(retries_a_sure_failure)
{
	char first[33];

	a.settings.v[SETTING_SMS_INTERVAL] = 5 * (int64_t)NS_PER_S;
	ask_register(&a, 0, 1);
	snprintf(first, sizeof(first), "%s", a.last_id);
	status(SMS_FAILED, -1, 38);
	ck_assert_uint_eq(a.sms, 1);
	ask_wait(&a, 4000);
	ck_assert_uint_eq(a.sms, 1);
	ask_wait(&a, 1100);
	ck_assert_uint_eq(a.sms, 2); /* as soon as the budget allows, under a new id */
	ck_assert_str_ne(first, a.last_id);
	ck_assert_uint_eq(a.events[J_CODE_ISSUED], 1);
	ck_assert_uint_eq(a.events[J_SMS_QUEUED], 2);
	status(SMS_FAILED, -1, 38);
	ask_wait(&a, 6000);
	ck_assert_uint_eq(a.sms, 3);
	status(SMS_FAILED, -1, 38); /* three in ten minutes: the budget ends it */
	ask_wait(&a, 60000);
	ck_assert_uint_eq(a.sms, 3);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(no_retry_beyond_a_minute)
{
	a.settings.v[SETTING_SMS_INTERVAL] = 1 * (int64_t)NS_PER_S;
	ask_register(&a, 0, 1);
	ask_wait(&a, 59500);
	status(SMS_FAILED, -1, 38);
	ask_wait(&a, 5000);
	ck_assert_uint_eq(a.sms, 1);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
}
END_TEST

START_TEST(no_retry_for_a_used_code)
{
	a.settings.v[SETTING_SMS_INTERVAL] = 1 * (int64_t)NS_PER_S;
	ask_register(&a, 0, 1);
	ask_login(&a, 0, 1, a.codes[1]);
	status(SMS_FAILED, -1, 38);
	ask_wait(&a, 5000);
	ck_assert_uint_eq(a.sms, 1);
}
END_TEST

START_TEST(repeats_what_is_unfinished)
{
	char id[33];

	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	snprintf(id, sizeof(id), "%s", a.last_id);
	/* killed behind the commit: the SMS may or may not have left */
	ask_restart(&a, false);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 1);
	a.gateway = GATEWAY_SUBMITS;
	enroll_gateway_up(a.en, &a.at, &a.fx);
	ask_turn(&a);
	ck_assert_uint_eq(a.sms, 2);
	ck_assert_str_eq(a.last_id, id); /* the gateway knows it and sends no second one */
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(not_beyond_its_life)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ask_wait(&a, 301000);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	enroll_gateway_up(a.en, &a.at, &a.fx);
	ask_turn(&a);
	ck_assert_uint_eq(a.sms, 1);
}
END_TEST

START_TEST(not_over_a_boot)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ask_restart(&a, true);
	enroll_gateway_up(a.en, &a.at, &a.fx);
	ask_turn(&a);
	ck_assert_uint_eq(a.sms, 1);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
}
END_TEST

START_TEST(no_secret_on_disk)
{
	ask_register(&a, 0, 1);
	ck_assert_uint_eq(strlen(a.codes[1]), 12);
	ck_assert(!on_disk(a.codes[1]));
	ck_assert(!on_disk("Valid"));
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert(!on_disk(a.codes[1]));
	ck_assert(!on_disk(a.tokens[0][0]));
	ck_assert(on_disk(test_uuids[0])); /* the check looks where things are */
}
END_TEST

/* The encrypted text goes with its final outcome, out of the file too. */
START_TEST(zeroed_at_the_end)
{
	struct buf *b;
	uint8_t text[40];
	sqlite3 *db;
	sqlite3_stmt *q;

	ask_register(&a, 0, 1);
	enroll_free(a.en);
	store_close(a.store, true);
	ck_assert_int_eq(sqlite3_open_v2("server.db", &db, SQLITE_OPEN_READWRITE, "mem"), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT text FROM outbox", -1, &q, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
	ck_assert_int_gt(sqlite3_column_bytes(q, 0), (int)sizeof(text));
	memcpy(text, sqlite3_column_blob(q, 0), sizeof(text));
	sqlite3_finalize(q);
	sqlite3_close(db);
	b = mem_file(&a.mem, "server.db");
	ck_assert_ptr_nonnull(memmem(b->data, b->len, text, sizeof(text)));
	ask_open(&a);
	status(SMS_SUBMITTED, -1, -1);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	enroll_free(a.en);
	store_close(a.store, true); /* folds the log in */
	b = mem_file(&a.mem, "server.db");
	ck_assert_ptr_null(memmem(b->data, b->len, text, sizeof(text)));
	ask_open(&a);
}
END_TEST

START_TEST(a_connection_that_went)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	peer_gone(&a.peer);
	status(SMS_QUEUED, -1, -1);
	ck_assert_uint_eq(a.events[J_SERVER_DECISION], 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* Late words: the register was answered 503, and asked again it was told 200. Its code must stay. */
START_TEST(late_refusal_behind_a_200)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	if (_i % 2)
		ask_restart(&a, false);
	ask_wait(&a, 1500);
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	status(_i < 2 ? SMS_BUSY : SMS_FAILED, 5, -1);
	ck_assert_uint_eq(a.events[J_CODE_VOID], 0);
	ask_wait(&a, 6000);
	ck_assert_uint_eq(a.sms, 2); /* surely not sent, so sent again */
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* Nobody was told 200: the code goes, so that the next register gets another SMS. */
START_TEST(late_refusal_behind_a_503)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ask_wait(&a, 1500);
	ck_assert_int_eq(a.code, 503);
	status(SMS_BUSY, 5, -1);
	ck_assert_uint_eq(a.events[J_CODE_VOID], 1);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
	a.gateway = GATEWAY_QUEUES;
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.sms, 2);
}
END_TEST

START_TEST(absurd_waits)
{
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	status(SMS_BUSY, INT64_MAX, -1);
	ck_assert_int_eq(a.code, 429);
	ck_assert_int_eq(a.retry_after_s, 86400); /* what a device caps it at */
	a.gateway = GATEWAY_QUEUES;
	a.settings.v[SETTING_SMS_INTERVAL] = SETTING_OFF;
	ask_register(&a, 0, 2);
	a.gateway = GATEWAY_SILENT;
	status(SMS_FAILED, -1, -1);
	ask_wait(&a, 1100);
	ck_assert_uint_eq(a.sms, 3);
	status(SMS_BUSY, INT64_MAX, -1); /* of the retry */
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
}
END_TEST

START_TEST(a_code_shorter_than_the_gateways_second)
{
	a.settings.v[SETTING_CODE_TTL] = (int64_t)NS_PER_S / 2;
	a.gateway = GATEWAY_SILENT;
	ask_register(&a, 0, 1);
	ask_wait(&a, 1500);
	ck_assert_int_eq(a.code, 503);
	ck_assert_uint_eq(enroll_outbox_size(a.en), 0);
}
END_TEST

START_TEST(stray_words)
{
	enroll_sms_status(a.en, &a.at, "ffffffffffffffffffffffffffffffff", SMS_FAILED, -1, 1, &a.fx);
	ck_assert_int_eq(ask_turn(&a), 0);
	ask_register(&a, 0, 1);
	status(SMS_QUEUED, -1, -1);
	status(SMS_BUSY, 5, -1);
	status(SMS_SUBMITTED, -1, -1);
	status(SMS_FAILED, -1, 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.sms, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("outbox");
	TCase *t = tcase_create("outbox");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 50);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, waits_for_queued);
	tcase_add_test(t, silent_gateway);
	tcase_add_test(t, a_second_asker_waits_too);
	tcase_add_loop_test(t, busy_and_sure_failure, 0, 3);
	tcase_add_test(t, unknown_outcome);
	tcase_add_test(t, retries_a_sure_failure);
	tcase_add_test(t, no_retry_beyond_a_minute);
	tcase_add_test(t, no_retry_for_a_used_code);
	tcase_add_test(t, repeats_what_is_unfinished);
	tcase_add_test(t, not_beyond_its_life);
	tcase_add_test(t, not_over_a_boot);
	tcase_add_test(t, no_secret_on_disk);
	tcase_add_test(t, zeroed_at_the_end);
	tcase_add_test(t, a_connection_that_went);
	tcase_add_loop_test(t, late_refusal_behind_a_200, 0, 4);
	tcase_add_test(t, late_refusal_behind_a_503);
	tcase_add_test(t, absurd_waits);
	tcase_add_test(t, a_code_shorter_than_the_gateways_second);
	tcase_add_test(t, stray_words);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
