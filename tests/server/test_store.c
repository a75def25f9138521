/* The store: what a full disk, a failed sync, a second server and a damaged file do
 * (protocol.md §4, Commit before answer). */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server/store_internal.h"

static struct ask a;

static void setup(void)
{
	ask_init(&a);
}

static void teardown(void)
{
	ask_fini(&a);
}

static struct store *open_at(const char *path, const char *vfs, struct err *e)
{
	struct store_config sc = {.path = path, .vfs = vfs, .boot_id = "boot-1", .settings = &a.settings};

	return store_open(&sc, &a.at, e);
}

START_TEST(reopens)
{
	struct store_device d, back;

	ck_assert_int_eq(store_device_get(a.store, test_uuids[0], &d), ERR_NOTFOUND);
	ck_assert_int_eq(d.disabled, -1);
	d.disabled = 1;
	d.grace_end = INT64_C(1) << 60;
	snprintf(d.fam, sizeof(d.fam), "0123456789abcdef0123456789abcdef");
	ck_assert_int_eq(store_device_put(a.store, &d), 0);
	ck_assert(store_dirty(a.store));
	ck_assert_int_eq(store_commit(a.store, &a.at), 0);
	snprintf(d.fam, sizeof(d.fam), "not committed");
	ck_assert_int_eq(store_device_put(a.store, &d), 0);
	ask_restart(&a, false);
	ck_assert_int_eq(store_device_get(a.store, test_uuids[0], &back), 0);
	ck_assert_str_eq(back.fam, "0123456789abcdef0123456789abcdef");
	ck_assert_int_eq(back.disabled, 1);
	ck_assert_int_eq(back.grace_end, INT64_C(1) << 60);
}
END_TEST

START_TEST(undoes_a_decision)
{
	struct store_device d;

	store_device_get(a.store, test_uuids[0], &d);
	ck_assert_int_eq(store_decide(a.store), 0);
	ck_assert_int_eq(store_device_put(a.store, &d), 0);
	ck_assert_int_eq(store_decided(a.store, true), 0);
	ck_assert_int_eq(store_decide(a.store), 0);
	d.disabled = 1;
	ck_assert_int_eq(store_device_put(a.store, &d), 0);
	ck_assert_int_eq(store_decided(a.store, false), 0);
	ck_assert_int_eq(store_commit(a.store, &a.at), 0);
	ck_assert_int_eq(store_device_get(a.store, test_uuids[0], &d), 0);
	ck_assert_int_eq(d.disabled, -1);
}
END_TEST

START_TEST(epochs_and_boots)
{
	const struct store_epoch *ep;

	ask_restart(&a, false);
	ask_restart(&a, true);
	for (int i = 0; i < 100; i++)
		ask_restart(&a, false);
	ck_assert_uint_eq(store_epochs(a.store, &ep), STORE_EPOCHS);
	ck_assert_int_eq(ep[STORE_EPOCHS - 1].id, 103);
	ck_assert_int_eq(ep[STORE_EPOCHS - 1].boot, 2);
	ck_assert(!ep[STORE_EPOCHS - 2].clean);
}
END_TEST

START_TEST(second_server)
{
	struct err e = {0};

	ck_assert_ptr_null(open_at("server.db", "mem", &e));
	ck_assert_int_eq(e.code, ERR_BUSY);
	ck_assert_ptr_nonnull(strstr(e.text, "in use by another server"));
	ask_register(&a, 0, 1);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(second_server_on_a_real_file)
{
	char dir[] = "quicrig-store-XXXXXX", path[64], other[80];
	struct store *st;
	struct err e = {0};

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/s.db", dir);
	st = open_at(path, NULL, &e);
	ck_assert_msg(st != NULL, "%s", e.text);
	ck_assert_ptr_null(open_at(path, NULL, &e));
	ck_assert_int_eq(e.code, ERR_BUSY);
	store_close(st, true);
	memset(&e, 0, sizeof(e));
	st = open_at(path, NULL, &e);
	ck_assert_msg(st != NULL, "%s", e.text);
	store_close(st, true);
	unlink(path);
	snprintf(other, sizeof(other), "%s-wal", path);
	unlink(other);
	rmdir(dir);
	memset(&e, 0, sizeof(e));
	ck_assert_ptr_null(open_at("/nowhere/at/all/s.db", NULL, &e));
	ck_assert_int_eq(e.code, ERR_IO);
}
END_TEST

static void stop_orderly(void)
{
	enroll_free(a.en);
	store_close(a.store, true);
	a.en = NULL;
	a.store = NULL;
}

START_TEST(refuses_damage)
{
	struct err e = {0};
	struct buf *b;

	ask_register(&a, 0, 1);
	stop_orderly();
	b = mem_file(&a.mem, "server.db");
	ck_assert_ptr_null(mem_file(&a.mem, "server.db-wal"));
	if (_i == 0)
		memset(b->data, 'x', 100); /* header */
	else if (_i == 1)
		memset(b->data + 4096, 0xff, 4096); /* a page */
	else
		b->len = 5000; /* cut off */
	ck_assert_ptr_null(open_at("server.db", "mem", &e));
	ck_assert_int_eq(e.code, ERR_IO);
	ck_assert_ptr_nonnull(strstr(e.text, "damaged"));
	mem_fini(&a.mem);
	mem_init(&a.mem);
	ask_open(&a); /* an absent one starts afresh */
}
END_TEST

static void copy_file(const char *name, struct buf *out)
{
	const struct buf *b = mem_file(&a.mem, name);

	buf_init(out, 64u << 20);
	ck_assert_int_eq(buf_add(out, b->data, b->len), 0);
}

/* Any one byte of the database turned over: it opens, or it is refused in clear words, and
 * nothing else. What SQLite cannot see is a byte of somebody's text. */
START_TEST(a_flipped_byte_anywhere)
{
	unsigned refused = 0, opened = 0;
	struct buf sound;

	for (unsigned i = 0; i < 16; i++)
		ask_register(&a, (int)(i % 2), i / 2);
	stop_orderly();
	copy_file("server.db", &sound);
	for (size_t at = (size_t)_i; at < sound.len; at += at < 200 ? 11 : 211) {
		struct buf *b = mem_file(&a.mem, "server.db");
		struct err e = {0};
		struct store *st;

		b->len = 0;
		ck_assert_int_eq(buf_add(b, sound.data, sound.len), 0);
		b->data[at] = (char)~b->data[at];
		st = open_at("server.db", "mem", &e);
		if (st) {
			opened++;
			store_close(st, false);
			continue;
		}
		refused++;
		ck_assert_msg(e.code == ERR_IO || e.code == ERR_UNSUPPORTED, "byte %zu: %d", at, e.code);
		ck_assert_msg(strstr(e.text, "server.db") && e.text[0], "byte %zu: %s", at, e.text);
	}
	ck_assert_uint_gt(refused, 10);
	ck_assert_uint_gt(opened, 10);
	buf_fini(&sound);
	mem_fini(&a.mem);
	mem_init(&a.mem);
	ask_open(&a);
}
END_TEST

/* A byte turned over in the log: what was committed before it stands, whole commits only. */
START_TEST(a_flipped_byte_in_the_log)
{
	unsigned fewer = 0;
	struct buf db, log;

	for (int i = 1; i <= 6; i++) {
		struct store_device d, e;

		store_device_get(a.store, test_uuids[0], &d);
		store_device_get(a.store, test_uuids[1], &e);
		d.fam_start_s = e.fam_start_s = i;
		ck_assert_int_eq(store_device_put(a.store, &d), 0);
		ck_assert_int_eq(store_device_put(a.store, &e), 0);
		ck_assert_int_eq(store_commit(a.store, &a.at), 0);
	}
	enroll_free(a.en);
	store_close(a.store, false);
	a.en = NULL;
	a.store = NULL;
	copy_file("server.db", &db);
	copy_file("server.db-wal", &log);
	for (size_t at = 0; at < log.len; at += 1999) {
		struct store_device one, two;
		struct err e = {0};
		struct store *st;

		mem_fini(&a.mem);
		mem_init(&a.mem);
		a.mem.base.ops->truncate(&a.mem.base, "server.db", 0);
		a.mem.base.ops->truncate(&a.mem.base, "server.db-wal", 0);
		ck_assert_int_eq(a.mem.base.ops->pwrite(&a.mem.base, "server.db", 0, db.data, db.len), 0);
		log.data[at] = (char)~log.data[at];
		ck_assert_int_eq(a.mem.base.ops->pwrite(&a.mem.base, "server.db-wal", 0, log.data, log.len), 0);
		log.data[at] = (char)~log.data[at];
		st = open_at("server.db", "mem", &e);
		ck_assert_msg(st || strstr(e.text, "server.db"), "byte %zu: %s", at, e.text);
		if (!st)
			continue;
		store_device_get(st, test_uuids[0], &one);
		store_device_get(st, test_uuids[1], &two);
		ck_assert_int_eq(one.fam_start_s, two.fam_start_s);
		fewer += one.fam_start_s < 6;
		store_close(st, false);
	}
	ck_assert_uint_gt(fewer, 3);
	buf_fini(&db);
	buf_fini(&log);
	mem_fini(&a.mem);
	mem_init(&a.mem);
	ask_open(&a);
}
END_TEST

START_TEST(refuses_foreign_files)
{
	struct err e = {0};
	sqlite3 *db;

	stop_orderly();
	ck_assert_int_eq(sqlite3_open_v2("server.db", &db, SQLITE_OPEN_READWRITE, "mem"), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db,
				      _i ? "PRAGMA locking_mode=EXCLUSIVE; PRAGMA application_id=1"
					 : "PRAGMA locking_mode=EXCLUSIVE; PRAGMA user_version=99",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	ck_assert_ptr_null(open_at("server.db", "mem", &e));
	ck_assert_int_eq(e.code, ERR_UNSUPPORTED);
	mem_fini(&a.mem);
	mem_init(&a.mem);
	ask_open(&a);
}
END_TEST

/* The disk gets full at each write in turn: 503 or 200, and after a crash every 200 still stands. */
START_TEST(disk_full_everywhere)
{
	int promised = 0, refused = 0;

	a.settings.v[SETTING_SMS_INTERVAL] = SETTING_OFF;
	for (int at = 1; at <= 40; at++) {
		char code[32];
		bool registered, in;

		ask_wait(&a, 700 * 1000);
		a.mem.full_from = a.mem.writes + at;
		ask_register(&a, 0, 0);
		registered = a.code == 200;
		ck_assert_msg(registered || a.code == 503, "%d", a.code);
		a.mem.full_from = registered ? a.mem.writes + at / 2 + 1 : 0;
		if (!registered) {
			refused++;
			ask_restart(&a, false);
			ask_register(&a, 0, 0);
			ck_assert_msg(a.code == 200 || a.code == 429, "%d", a.code);
			ask_wait(&a, 86400 * 1000);
			continue;
		}
		snprintf(code, sizeof(code), "%s", a.codes[0]);
		ask_login(&a, 0, 0, code);
		in = a.code == 200;
		ck_assert_msg(in || a.code == 503, "%d", a.code);
		a.mem.full_from = 0;
		ask_restart(&a, false);
		if (in) {
			promised++;
			ask_publish(&a, 0, a.tokens[a.slots - 1][0]);
			ck_assert_int_eq(a.code, 200);
		} else {
			refused++;
			ask_login(&a, 0, 0, code);
			ck_assert_int_eq(a.code, 200);
		}
		ask_wait(&a, 86400 * 1000);
		if (a.slots > 8) { /* make room */
			for (unsigned i = 0; i < a.slots; i++) {
				free(a.tokens[i][0]);
				free(a.tokens[i][1]);
			}
			a.slots = 0;
		}
	}
	ck_assert_int_gt(promised, 3);
	ck_assert_int_gt(refused, 3);
}
END_TEST

START_TEST(heals_or_gives_up)
{
	ask_register(&a, 0, 1);
	a.mem.full_from = 1;
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 503);
	ck_assert_uint_eq(a.slots, 0);
	ck_assert(!store_broken(a.store));
	a.mem.full_from = 0;
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
	ck_assert_uint_eq(a.events[J_TOKEN_ISSUED], 2); /* nothing of the failed one was said */
	a.mem.full_from = 1;
	ask_refresh(&a, 0, a.tokens[0][1]);
	ck_assert_int_eq(a.code, 503);
	a.at.boot += 11 * NS_PER_S;
	ask_refresh(&a, 0, a.tokens[0][1]);
	ck_assert_int_eq(a.code, 503);
	ck_assert(store_broken(a.store));
	a.mem.full_from = 0;
	ask_restart(&a, false);
	ask_refresh(&a, 0, a.tokens[0][1]);
	ck_assert_int_eq(a.code, 200); /* nothing had advanced */
}
END_TEST

/* One failure and then silence says nothing about the disk: only failing on and on does. */
START_TEST(one_failure_is_no_end)
{
	ask_register(&a, 0, 1);
	a.mem.full_from = 1;
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 503);
	a.mem.full_from = 0;
	a.at.boot += 11 * NS_PER_S;
	ck_assert(!store_broken(a.store));
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(a_failed_sync_is_the_end)
{
	ask_register(&a, 0, 1);
	a.mem.sync_fails = 1;
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 503);
	ck_assert(store_broken(a.store));
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 503);
	ask_restart(&a, false);
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(read_only)
{
	ask_register(&a, 0, 1);
	a.mem.read_only = true;
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 503);
	ask_register(&a, 1, 1);
	ck_assert_int_eq(a.code, 503);
	ck_assert_uint_eq(a.sms, 1);
	a.mem.read_only = false;
	ask_register(&a, 1, 1);
	ck_assert_int_eq(a.code, 200);
}
END_TEST

START_TEST(purges_in_steps)
{
	struct store_registration r = {.state = STORE_CODE_VOID}, back;

	for (int i = 0; i < 100; i++) {
		snprintf(r.uuid, sizeof(r.uuid), "%s", test_uuids[0]);
		snprintf(r.reg, sizeof(r.reg), "%032d", i);
		r.forget_ms = a.at.unix_ms + i;
		ck_assert_int_eq(store_registration_put(a.store, &r), 0);
	}
	ck_assert_int_eq(store_purge(a.store, a.at.unix_ms - 1), 0);
	ck_assert_int_eq(store_registration_get(a.store, r.uuid, "00000000000000000000000000000000", &back), 0);
	ck_assert_int_eq(store_purge(a.store, a.at.unix_ms + 1000), 0);
	ck_assert_int_eq(store_registration_get(a.store, r.uuid, "00000000000000000000000000000000", &back), ERR_NOTFOUND);
	ck_assert_int_eq(store_registration_get(a.store, r.uuid, r.reg, &back), 0);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(store_purge(a.store, a.at.unix_ms + 1000), 0);
	ck_assert_int_eq(store_registration_get(a.store, r.uuid, r.reg, &back), ERR_NOTFOUND);
	ck_assert_int_eq(store_commit(a.store, &a.at), 0);
}
END_TEST

static int queue_of(int dev, struct store_command *c)
{
	*c = (struct store_command){.id = "one", .name = "RESET", .body = "{}"};
	snprintf(c->uuid, sizeof(c->uuid), "%s", test_uuids[dev]);
	return store_command_put(a.store, c);
}

/* That no command waits is remembered, and forgotten with whatever could have changed it. */
START_TEST(commands_that_wait_for_nobody)
{
	sqlite3_stmt *list = a.store->q[Q_CMD_LIST];
	struct store_command c, got;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), ERR_NOTFOUND);
	ck_assert_int_eq(sqlite3_stmt_status(list, SQLITE_STMTSTATUS_RUN, 1), 0);
	/* one that is undone, one whose turn fails, one that stands */
	ck_assert_int_eq(store_decide(a.store), 0);
	ck_assert_int_eq(queue_of(0, &c), 0);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), 0);
	ck_assert_int_eq(store_decided(a.store, false), 0);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), ERR_NOTFOUND);
	ck_assert_int_eq(queue_of(0, &c), 0);
	store_spoil(a.store);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), ERR_IO);
	ck_assert_int_eq(store_commit(a.store, &a.at), ERR_IO);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), ERR_NOTFOUND);
	ck_assert_int_eq(queue_of(0, &c), 0);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[1], 0, &got), ERR_NOTFOUND);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), 0);
	ck_assert_int_eq(store_commit(a.store, &a.at), 0);
	ask_restart(&a, false);
	ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), 0);
	/* the last one goes and comes back: by an undone decision, by a failed turn */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_decide(a.store), 0);
		ck_assert_int_eq(store_command_delete(a.store, &got), 0);
		ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &c), ERR_NOTFOUND);
		ck_assert_int_eq(store_decided(a.store, i == 1), 0);
		if (i == 1) {
			store_spoil(a.store);
			ck_assert_int_eq(store_commit(a.store, &a.at), ERR_IO);
		}
		ck_assert_int_eq(store_command_next(a.store, test_uuids[0], 0, &got), 0);
	}
}
END_TEST

/* No statement of ours walks a table, but outbox, keys and holders at a start, and holders at a reload. */
START_TEST(nothing_scans)
{
	static const struct {
		const char *name, *sql;
	} all[] = {
#define STATEMENT(name, text) {#name, text},
		STORE_STATEMENTS(STATEMENT)
#undef STATEMENT
	};
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, STORE_SCHEMA, NULL, NULL, NULL), SQLITE_OK);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		sqlite3_stmt *q;
		char text[1024];

		if (strcmp(all[i].name, "OUT_EACH") == 0 || strcmp(all[i].name, "KEY_EACH") == 0 ||
		    strcmp(all[i].name, "HOLDER_EACH") == 0)
			continue;
		snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", all[i].sql);
		ck_assert_msg(sqlite3_prepare_v2(db, text, -1, &q, NULL) == SQLITE_OK, "%s: %s", all[i].name,
			      sqlite3_errmsg(db));
		while (sqlite3_step(q) == SQLITE_ROW) {
			const char *plan = (const char *)sqlite3_column_text(q, 3);

			ck_assert_msg(!strstr(plan, "SCAN") || strstr(plan, "USING INDEX") || strstr(plan, "COVERING") ||
					      strstr(plan, "SUBQUERY"),
				      "%s: %s", all[i].name, plan);
		}
		sqlite3_finalize(q);
	}
	sqlite3_close(db);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store");
	TCase *t = tcase_create("store");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 50);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, reopens);
	tcase_add_test(t, undoes_a_decision);
	tcase_add_test(t, epochs_and_boots);
	tcase_add_test(t, second_server);
	tcase_add_test(t, second_server_on_a_real_file);
	tcase_add_loop_test(t, refuses_damage, 0, 3);
	tcase_add_loop_test(t, a_flipped_byte_anywhere, 0, 2);
	tcase_add_test(t, a_flipped_byte_in_the_log);
	tcase_add_loop_test(t, refuses_foreign_files, 0, 2);
	tcase_add_test(t, disk_full_everywhere);
	tcase_add_test(t, heals_or_gives_up);
	tcase_add_test(t, one_failure_is_no_end);
	tcase_add_test(t, a_failed_sync_is_the_end);
	tcase_add_test(t, read_only);
	tcase_add_test(t, purges_in_steps);
	tcase_add_test(t, nothing_scans);
	tcase_add_test(t, commands_that_wait_for_nobody);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
