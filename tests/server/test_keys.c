/* Token keys that change (protocol.md §2, Rotation). */
#include "tests/server/policy_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/keyring.h"

static struct {
	char *pem, *public, kid[KID_MAX + 1];
} next_key;

static void make_next_key(void)
{
	struct err e = {0};

	if (!next_key.pem)
		ck_assert_int_eq(pki_token_key(&next_key.pem, &next_key.public, &e), 0);
	ck_assert_int_eq(token_kid(next_key.public, next_key.kid, &e), 0);
}

static void free_next_key(void)
{
	free(next_key.pem);
	free(next_key.public);
}

static void rotate(void)
{
	struct err e = {0};

	make_next_key();
	ck_assert_msg(keyring_rotate(a.en, &a.at, next_key.pem, &a.fx, &e) == 0, "%s", e.text);
	ck_assert_int_eq(ask_turn(&a), 0);
	ck_assert_str_eq(keyring_newest(a.en), next_key.kid);
}

/* A request of device 0 that lists these pins. */
static void ask_with_kids(enum msg_resource res, const char *token, const char *kid1, const char *kid2)
{
	struct msg_request m;

	ask_prepare(&m, res, 0, 1);
	m.authentication = strdup(token);
	m.authentication_len = strlen(token);
	if (kid1)
		snprintf(m.kids[m.kids_n++], sizeof(m.kids[0]), "%s", kid1);
	if (kid2)
		snprintf(m.kids[m.kids_n++], sizeof(m.kids[0]), "%s", kid2);
	ask_request(&a, &m);
	free(m.authentication);
}

static const char *kid_of(const char *token)
{
	static struct token_claims t;
	struct token_keys *keys = token_keys_new();
	struct err e = {0};

	token_keys_add(keys, test_pki()->token_public, &e);
	token_keys_add(keys, next_key.public, &e);
	ck_assert_msg(token_verify(keys, token, strlen(token), 4096, &t, &e) == 0, "%s", e.text);
	token_keys_free(keys);
	return t.kid;
}

static char old_kid[KID_MAX + 1];

START_TEST(signs_with_what_both_have)
{
	struct err e = {0};

	ck_assert_int_eq(token_kid(test_pki()->token_public, old_kid, &e), 0);
	bootstrap(0, 1);
	rotate();
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	ask_restart(&a, true); /* it is kept */
	ck_assert_uint_eq(keyring_count(a.en), 2);
	ask_with_kids(MSG_REFRESH, a.tokens[0][1], old_kid, NULL);
	ck_assert_str_eq(kid_of(a.tokens[a.slots - 1][0]), old_kid);
	ask_with_kids(MSG_REFRESH, a.tokens[a.slots - 1][1], next_key.kid, old_kid);
	ck_assert_str_eq(kid_of(a.tokens[a.slots - 1][0]), next_key.kid);
	ask_with_kids(MSG_REFRESH, a.tokens[a.slots - 1][1], NULL, NULL);
	ck_assert_str_eq(kid_of(a.tokens[a.slots - 1][0]), old_kid); /* who says nothing gets the oldest */
	/* the same one again is none; an older one neither */
	ck_assert_int_eq(keyring_rotate(a.en, &a.at, next_key.pem, &a.fx, &e), 0);
	ck_assert_int_eq(keyring_rotate(a.en, &a.at, test_pki()->token_key, &a.fx, &e), ERR_EXISTS);
	ck_assert_int_eq(keyring_rotate(a.en, &a.at, "no key", &a.fx, &e), ERR_PARSE);
	ck_assert_uint_eq(keyring_count(a.en), 2);
}
END_TEST

START_TEST(keys_are_offered)
{
	struct err e = {0};
	char id[COMMAND_ID_MAX + 1];
	json_t *j;

	ck_assert_int_eq(token_kid(test_pki()->token_public, old_kid, &e), 0);
	bootstrap(0, 1);
	ask_with_kids(MSG_PUBLISH, a.tokens[0][0], old_kid, NULL);
	ck_assert_str_eq(a.command, "");
	rotate();
	ask_publish(&a, 0, a.tokens[0][0]); /* one that lists no pins does not know of keys */
	ck_assert_str_eq(a.command, "");
	ask_with_kids(MSG_PUBLISH, a.tokens[0][0], next_key.kid, NULL);
	ck_assert_str_eq(a.command, "");
	for (int i = 0; i < 2; i++) {
		ask_with_kids(MSG_PUBLISH, a.tokens[0][0], old_kid, NULL);
		j = json_loads(a.command, 0, NULL);
		ck_assert_str_eq(json_string_value(json_object_get(j, "name")), "KEYS");
		ck_assert_str_eq(json_string_value(json_array_get(json_object_get(j, "keys"), 0)), next_key.public);
		ck_assert_str_eq(json_string_value(json_array_get(json_object_get(j, "keys"), 1)), test_pki()->token_public);
		snprintf(id, sizeof(id), "%s", json_string_value(json_object_get(j, "id")));
		json_decref(j);
	}
	ck_assert_uint_eq(a.events[J_COMMAND_QUEUED], 1);
	/* done, and yet without it: once a day is enough */
	ask_done(MSG_PUBLISH, 0, 0, a.tokens[0][0], id);
	ask_with_kids(MSG_PUBLISH, a.tokens[0][0], old_kid, NULL);
	ck_assert_str_eq(a.command, "");
}
END_TEST

START_TEST(overlap_ends)
{
	struct err e = {0};

	a.settings.v[SETTING_KEY_OVERLAP] = a.settings.v[SETTING_REFRESH_MAX] = 3600 * (int64_t)NS_PER_S;
	ck_assert_int_eq(token_kid(test_pki()->token_public, old_kid, &e), 0);
	bootstrap(0, 1);
	ask_publish(&a, 0, a.tokens[0][0]); /* remembered as good */
	rotate();
	ask_wait(&a, 800 * S);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	a.settings.v[SETTING_ACCESS_TTL] = 7200 * (int64_t)NS_PER_S;
	ask_with_kids(MSG_REFRESH, a.tokens[0][1], old_kid, NULL);
	ask_wait(&a, 2799 * S);
	ask_publish(&a, 0, a.tokens[1][0]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(keyring_count(a.en), 2);
	ask_wait(&a, 1 * S);
	ask_publish(&a, 0, a.tokens[1][0]);
	ck_assert_int_eq(a.code, 401);
	ck_assert_uint_eq(keyring_count(a.en), 1);
	ck_assert_uint_eq(a.events[J_KEY_RETIRED], 1);
	/* it is named, once, and signed to with what there is */
	ask_with_kids(MSG_REGISTER, "", old_kid, NULL);
	ask_with_kids(MSG_REGISTER, "", old_kid, NULL);
	ck_assert_uint_eq(keyring_lost_count(a.en), 1);
	ck_assert_str_eq(keyring_lost_at(a.en, 0), test_uuids[0]);
	ck_assert_uint_eq(enroll_counts(a.en)->no_common_key, 2);
}
END_TEST

START_TEST(retired_by_hand)
{
	struct err e = {0};

	ck_assert_int_eq(token_kid(test_pki()->token_public, old_kid, &e), 0);
	bootstrap(0, 1);
	ck_assert_int_eq(keyring_retire(a.en, &a.at, old_kid, "operator", &a.fx), ERR_INVALID); /* the only one */
	rotate();
	ck_assert_int_eq(keyring_retire(a.en, &a.at, "0123456789abcdef", "operator", &a.fx), ERR_NOTFOUND);
	ck_assert_int_eq(keyring_retire(a.en, &a.at, next_key.kid, "operator", &a.fx), ERR_INVALID);
	ck_assert_int_eq(keyring_retire(a.en, &a.at, old_kid, "operator", &a.fx), 0);
	ask_turn(&a);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 401);
	refresh(0, 0, 700, "token");
	/* a lost login reply cannot be repeated under a key that is gone: refused, no 503 for ever */
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 401);
	/* the configured file still has it, and it does not come back; nor by another rotation */
	ask_restart(&a, false);
	ck_assert_uint_eq(keyring_count(a.en), 1);
	ck_assert_str_eq(keyring_newest(a.en), next_key.kid);
	ck_assert_int_eq(keyring_rotate(a.en, &a.at, test_pki()->token_key, &a.fx, &e), ERR_EXISTS);
}
END_TEST

/* What the disk did not take was not done. */
START_TEST(rotation_and_a_full_disk)
{
	struct err e = {0};

	ck_assert_int_eq(token_kid(test_pki()->token_public, old_kid, &e), 0);
	bootstrap(0, 1);
	make_next_key();
	a.mem.full_from = a.mem.writes + 1;
	if (!keyring_rotate(a.en, &a.at, next_key.pem, &a.fx, &e))
		ck_assert_int_eq(ask_turn(&a), ERR_IO);
	a.mem.full_from = 0;
	ck_assert_uint_eq(keyring_count(a.en), 1);
	ck_assert_str_eq(keyring_newest(a.en), old_kid);
	ck_assert_uint_eq(a.events[J_KEY_ADDED], 0);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	rotate();
	a.mem.full_from = a.mem.writes + 1;
	if (!keyring_retire(a.en, &a.at, old_kid, "operator", &a.fx))
		ck_assert_int_eq(ask_turn(&a), ERR_IO);
	a.mem.full_from = 0;
	ck_assert_uint_eq(keyring_count(a.en), 2);
	ck_assert_str_eq(keyring_newest(a.en), next_key.kid);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

/* Nor can it be read again: what memory has stays, until it can. */
START_TEST(rotation_and_a_disk_that_is_gone)
{
	struct err e = {0};

	ck_assert_int_eq(token_kid(test_pki()->token_public, old_kid, &e), 0);
	bootstrap(0, 1);
	make_next_key();
	if (_i)
		rotate();
	ck_assert_int_eq(_i ? keyring_retire(a.en, &a.at, old_kid, "operator", &a.fx)
			    : keyring_rotate(a.en, &a.at, next_key.pem, &a.fx, &e), 0);
	a.mem.read_only = a.mem.reads_fail = true;
	ck_assert_int_eq(ask_turn(&a), ERR_IO);
	ck_assert_uint_ge(keyring_count(a.en), 1);
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_ne(a.code, 200);
	a.mem.read_only = a.mem.reads_fail = false;
	ask_publish(&a, 0, a.tokens[0][0]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(keyring_count(a.en), _i ? 2 : 1);
	ck_assert_str_eq(keyring_newest(a.en), _i ? next_key.kid : old_kid);
}
END_TEST

/* Nothing of a private key stands in the file in the clear. */
START_TEST(keys_are_sealed)
{
	struct buf *db;

	rotate();
	db = mem_file(&a.mem, "server.db-wal");
	if (!db)
		db = mem_file(&a.mem, "server.db");
	ck_assert_ptr_nonnull(db);
	ck_assert_ptr_nonnull(memmem(db->data, db->len, next_key.kid, strlen(next_key.kid)));
	ck_assert_ptr_null(memmem(db->data, db->len, "PRIVATE KEY", 11));
}
END_TEST

START_TEST(overlap_is_long_enough)
{
	const char *key = test_pki()->token_key;
	struct enroll_config ec = {.registry = a.registry,
				   .settings = &a.settings,
				   .token_key = key,
				   .store = a.store,
				   .store_key = test_pki()->store_key,
				   .run_key = test_pki()->store_key,
				   .secret = &a.secret.base};
	uint8_t other[32] = {1};
	struct err e = {0};

	a.settings.v[SETTING_KEY_OVERLAP] = a.settings.v[SETTING_REFRESH_MAX] - 1;
	ck_assert_ptr_null(enroll_new(&ec, &a.at, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "key_overlap"));
	/* and another store key is no riddle */
	a.settings.v[SETTING_KEY_OVERLAP]++;
	memset(&e, 0, sizeof(e));
	ec.store_key = other;
	ck_assert_ptr_null(enroll_new(&ec, &a.at, &e));
	ck_assert_ptr_nonnull(strstr(e.text, "another store key"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keys");
	TCase *t;
	SRunner *sr;
	int failed;

	t = tcase(s, "keys");
	tcase_add_test(t, signs_with_what_both_have);
	tcase_add_test(t, keys_are_offered);
	tcase_add_test(t, overlap_ends);
	tcase_add_test(t, retired_by_hand);
	tcase_add_test(t, rotation_and_a_full_disk);
	tcase_add_loop_test(t, rotation_and_a_disk_that_is_gone, 0, 2);
	tcase_add_test(t, keys_are_sealed);
	tcase_add_test(t, overlap_is_long_enough);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	free_next_key();
	return failed != 0;
}
