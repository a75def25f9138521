/* Storage in memory: what a power cut leaves. */
#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "sim/storage_mem.h"

enum op { END, PUT, SYNC, RENAME, SYNC_DIR, REMOVE, CUT };

struct story {
	const char *name;
	struct {
		enum op op;
		const char *a, *b; /* file, content or new name */
	} steps[12];
	const char *file, *want; /* NULL: no such file */
};

/* after CUT with STORAGE_LOSE */
static const struct story losing[] = {
	{"nothing synced", {{PUT, "f", "old"}, {CUT, 0, 0}}, "f", NULL},
	{"file synced, name not", {{PUT, "f", "old"}, {SYNC, "f", 0}, {CUT, 0, 0}}, "f", NULL},
	{"name synced, file not", {{PUT, "f", "old"}, {SYNC_DIR, 0, 0}, {CUT, 0, 0}}, "f", ""},
	{"both synced", {{PUT, "f", "old"}, {SYNC, "f", 0}, {SYNC_DIR, 0, 0}, {CUT, 0, 0}}, "f", "old"},
	{"written over, not synced",
	 {{PUT, "f", "old"}, {SYNC, "f", 0}, {SYNC_DIR, 0, 0}, {PUT, "f", "newer"}, {CUT, 0, 0}},
	 "f",
	 "old"},
	{"written over and synced",
	 {{PUT, "f", "old"}, {SYNC_DIR, 0, 0}, {PUT, "f", "newer"}, {SYNC, "f", 0}, {CUT, 0, 0}},
	 "f",
	 "newer"},
	{"renamed, folder not synced",
	 {{PUT, "f", "old"},
	  {SYNC, "f", 0},
	  {SYNC_DIR, 0, 0},
	  {PUT, "t", "new"},
	  {SYNC, "t", 0},
	  {RENAME, "t", "f"},
	  {CUT, 0, 0}},
	 "f",
	 "old"},
	{"renamed, folder synced",
	 {{PUT, "f", "old"},
	  {SYNC, "f", 0},
	  {SYNC_DIR, 0, 0},
	  {PUT, "t", "new"},
	  {SYNC, "t", 0},
	  {RENAME, "t", "f"},
	  {SYNC_DIR, 0, 0},
	  {CUT, 0, 0}},
	 "f",
	 "new"},
	{"renamed without fsync, folder synced: the classic mistake",
	 {{PUT, "f", "old"},
	  {SYNC, "f", 0},
	  {SYNC_DIR, 0, 0},
	  {PUT, "t", "new"},
	  {RENAME, "t", "f"},
	  {SYNC_DIR, 0, 0},
	  {CUT, 0, 0}},
	 "f",
	 ""},
	{"removed, folder not synced",
	 {{PUT, "f", "old"}, {SYNC, "f", 0}, {SYNC_DIR, 0, 0}, {REMOVE, "f", 0}, {CUT, 0, 0}},
	 "f",
	 "old"},
	{"removed, folder synced",
	 {{PUT, "f", "old"}, {SYNC, "f", 0}, {SYNC_DIR, 0, 0}, {REMOVE, "f", 0}, {SYNC_DIR, 0, 0}, {CUT, 0, 0}},
	 "f",
	 NULL},
	{"synced twice over",
	 {{PUT, "f", "a"}, {SYNC_DIR, 0, 0}, {SYNC, "f", 0}, {CUT, 0, 0}, {PUT, "f", "bb"}, {CUT, 0, 0}},
	 "f",
	 "a"},
};

static void put(struct storage *st, const char *name, const char *text)
{
	ck_assert_int_eq(st->ops->truncate(st, name, 0), 0);
	ck_assert_int_eq(st->ops->pwrite(st, name, 0, text, strlen(text)), 0);
}

static void check_file(struct storage *st, const char *name, const char *want, const char *story)
{
	struct buf b;
	int rv;

	buf_init(&b, 1 << 20);
	rv = storage_read(st, name, &b);
	ck_assert_msg(rv == (want ? 0 : ERR_NOTFOUND), "%s: %d", story, rv);
	if (want)
		ck_assert_msg(strcmp(b.data ? b.data : "", want) == 0, "%s: '%s'", story, b.data ? b.data : "");
	buf_fini(&b);
}

static void run(const struct story *s, enum storage_cut mode, struct rng *rng, struct storage_mem *m)
{
	struct storage *st = storage_mem_storage(m);

	for (int i = 0; s->steps[i].op; i++) {
		const char *a = s->steps[i].a, *b = s->steps[i].b;

		switch (s->steps[i].op) {
		case PUT:
			put(st, a, b);
			break;
		case SYNC:
			ck_assert_int_eq(st->ops->sync(st, a), 0);
			break;
		case RENAME:
			ck_assert_int_eq(st->ops->rename(st, a, b), 0);
			break;
		case SYNC_DIR:
			ck_assert_int_eq(st->ops->sync_dir(st), 0);
			break;
		case REMOVE:
			ck_assert_int_eq(st->ops->remove(st, a), 0);
			break;
		default:
			storage_mem_power_cut(m, mode, rng);
			break;
		}
	}
}

START_TEST(lose)
{
	struct storage_mem *m = storage_mem_new(UINT64_MAX);

	run(&losing[_i], STORAGE_LOSE, NULL, m);
	check_file(storage_mem_storage(m), losing[_i].file, losing[_i].want, losing[_i].name);
	storage_mem_free(m);
}
END_TEST

START_TEST(keep)
{
	static const struct story s = {"kept", {{PUT, "t", "new"}, {RENAME, "t", "f"}, {CUT, 0, 0}}, "f", "new"};
	struct storage_mem *m = storage_mem_new(UINT64_MAX);

	run(&s, STORAGE_KEEP, NULL, m);
	check_file(storage_mem_storage(m), "f", "new", s.name);
	check_file(storage_mem_storage(m), "t", NULL, s.name);
	storage_mem_free(m);
}
END_TEST

/* Every sector is the old one or the new one, both occur, and what was synced stands. */
START_TEST(tear)
{
	enum { SECTORS = 16 };
	char old[SECTORS * STORAGE_SECTOR], fresh[sizeof(old)], have[sizeof(old)];
	unsigned olds = 0, news = 0;
	struct rng rng;

	memset(old, 'o', sizeof(old));
	memset(fresh, 'n', sizeof(fresh));
	rng_init(&rng, 7, "storage", "tear");
	for (int i = 0; i < 50; i++) {
		struct storage_mem *m = storage_mem_new(UINT64_MAX);
		struct storage *st = storage_mem_storage(m);

		st->ops->truncate(st, "f", 0);
		st->ops->pwrite(st, "f", 0, old, sizeof(old));
		st->ops->sync(st, "f");
		st->ops->sync_dir(st);
		st->ops->pwrite(st, "f", STORAGE_SECTOR, fresh, sizeof(fresh) - 2 * STORAGE_SECTOR);
		storage_mem_power_cut(m, STORAGE_TEAR, &rng);
		ck_assert_int_eq(st->ops->pread(st, "f", 0, have, sizeof(have)), sizeof(have));
		ck_assert_int_eq(have[0], 'o');
		ck_assert_int_eq(have[sizeof(have) - 1], 'o');
		for (int k = 1; k < SECTORS - 1; k++) {
			char *s = have + k * STORAGE_SECTOR;

			ck_assert(s[0] == 'o' || s[0] == 'n');
			ck_assert_int_eq(memcmp(s, s + 1, STORAGE_SECTOR - 1), 0);
			*(s[0] == 'o' ? &olds : &news) += 1;
		}
		storage_mem_power_cut(m, STORAGE_LOSE, NULL); /* it is the truth now */
		ck_assert_int_eq(st->ops->pread(st, "f", 0, old + 0, 0), 0);
		storage_mem_free(m);
	}
	ck_assert_uint_gt(olds, 100);
	ck_assert_uint_gt(news, 100);
}
END_TEST

/* What was appended behind a synced end in the middle of a sector: that sector, too, is the
 * old one or the new one, and never half of each. */
START_TEST(tear_behind_a_ragged_end)
{
	enum { SYNCED = STORAGE_SECTOR + 100, MORE = 200 };
	unsigned lost = 0, kept = 0;
	char old[SYNCED], have[SYNCED + MORE];
	struct rng rng;

	memset(old, 'o', sizeof(old));
	rng_init(&rng, 7, "storage", "ragged");
	for (int i = 0; i < 100; i++) {
		struct storage_mem *m = storage_mem_new(UINT64_MAX);
		struct storage *st = storage_mem_storage(m);
		bool over = i & 1; /* what stands before the end is written anew, too */
		int64_t n;

		st->ops->truncate(st, "f", 0);
		st->ops->pwrite(st, "f", 0, old, sizeof(old));
		st->ops->sync(st, "f");
		st->ops->sync_dir(st);
		memset(have, 'n', sizeof(have));
		st->ops->pwrite(st, "f", SYNCED, have, MORE);
		if (over)
			st->ops->pwrite(st, "f", STORAGE_SECTOR, have, 100);
		storage_mem_power_cut(m, STORAGE_TEAR, &rng);
		n = st->ops->pread(st, "f", 0, have, sizeof(have));
		ck_assert(n == SYNCED || n == SYNCED + MORE);
		ck_assert_int_eq(memcmp(have, old, STORAGE_SECTOR), 0);
		if (!over)
			ck_assert_int_eq(memcmp(have, old, SYNCED), 0);
		if (n == SYNCED + MORE) {
			bool fresh = have[SYNCED] == 'n';

			ck_assert(fresh || !have[SYNCED]);
			ck_assert_int_eq(memcmp(have + SYNCED, have + SYNCED + 1, MORE - 1), 0);
			ck_assert_int_eq(have[SYNCED - 1], over && fresh ? 'n' : 'o');
			*(fresh ? &kept : &lost) += 1;
		}
		storage_mem_free(m);
	}
	ck_assert_uint_gt(lost, 10);
	ck_assert_uint_gt(kept, 10);
}
END_TEST

START_TEST(against_a_plain_model)
{
	enum { SIZE = 5000 };
	struct storage_mem *m = storage_mem_new(UINT64_MAX);
	struct storage *st = storage_mem_storage(m);
	char now[SIZE] = {0}, synced[SIZE] = {0}, data[900], have[SIZE];
	size_t size = 0, synced_size = 0;
	struct rng rng;

	rng_init(&rng, (uint64_t)_i, "storage", "model");
	st->ops->truncate(st, "f", 0);
	st->ops->sync_dir(st);
	for (int step = 0; step < 400; step++) {
		size_t at = rng_below(&rng, SIZE - sizeof(data)), len = rng_below(&rng, sizeof(data));

		switch (rng_below(&rng, 8)) {
		case 0:
			st->ops->sync(st, "f");
			memcpy(synced, now, SIZE);
			synced_size = size;
			break;
		case 1:
			storage_mem_power_cut(m, STORAGE_LOSE, NULL);
			memcpy(now, synced, SIZE);
			size = synced_size;
			break;
		case 2:
			ck_assert_int_eq(st->ops->truncate(st, "f", at), 0);
			if (at < size)
				memset(now + at, 0, SIZE - at);
			size = at;
			break;
		default:
			rng_bytes(&rng, data, len);
			ck_assert_int_eq(st->ops->pwrite(st, "f", at, data, len), 0);
			memcpy(now + at, data, len);
			if (len && at + len > size)
				size = at + len;
			break;
		}
		ck_assert_int_eq(st->ops->size(st, "f"), (int64_t)size);
		ck_assert_int_eq(st->ops->pread(st, "f", 0, have, SIZE), (int64_t)size);
		ck_assert_int_eq(memcmp(have, now, size), 0);
		ck_assert_uint_eq(storage_mem_used(m), size);
	}
	storage_mem_free(m);
}
END_TEST

START_TEST(full_and_failing)
{
	struct storage_mem *m = storage_mem_new(1000);
	struct storage *st = storage_mem_storage(m);
	char data[1001] = {0};

	ck_assert_int_eq(st->ops->truncate(st, "f", 0), 0);
	ck_assert_int_eq(st->ops->pwrite(st, "f", 0, data, 1001), ERR_LIMIT);
	ck_assert_int_eq(st->ops->pwrite(st, "f", 0, data, 1000), 0);
	ck_assert_int_eq(st->ops->truncate(st, "g", 0), 0);
	ck_assert_int_eq(st->ops->pwrite(st, "g", 0, data, 1), ERR_LIMIT);
	ck_assert_int_eq(st->ops->remove(st, "f"), 0);
	ck_assert_uint_eq(storage_mem_used(m), 0);
	ck_assert_int_eq(st->ops->pwrite(st, "g", 0, data, 1), 0);
	storage_mem_set_limit(m, 0);
	ck_assert_int_eq(st->ops->pwrite(st, "g", 0, data, 2), ERR_LIMIT);
	ck_assert_int_eq(st->ops->pwrite(st, "nobody", 0, data, 1), ERR_NOTFOUND);
	ck_assert_int_eq(st->ops->pread(st, "nobody", 0, data, 1), ERR_NOTFOUND);
	ck_assert_int_eq(st->ops->rename(st, "nobody", "g"), ERR_NOTFOUND);
	storage_mem_fail_from(m, 2);
	ck_assert_int_eq(st->ops->sync(st, "g"), 0);
	ck_assert_int_eq(st->ops->sync(st, "g"), ERR_IO);
	ck_assert_int_eq(st->ops->sync_dir(st), ERR_IO);
	storage_mem_fail_from(m, 0);
	ck_assert_int_eq(st->ops->sync(st, "g"), 0);
	storage_mem_free(m);
}
END_TEST

/* What each trouble forbids; what was there before stands and can be read. */
START_TEST(troubles)
{
	static const struct {
		enum disk_trouble t;
		int write, create, rename, remove, sync, sync_again;
	} rows[] = {
		{DISK_SOUND, 0, 0, 0, 0, 0, 0},
		{DISK_FULL, ERR_LIMIT, 0, 0, 0, 0, 0},
		{DISK_WRITE, ERR_IO, 0, 0, 0, 0, 0},
		{DISK_READ_ONLY, ERR_IO, ERR_IO, ERR_IO, ERR_IO, 0, 0},
		{DISK_SYNC, 0, 0, 0, 0, ERR_IO, 0},
	};
	struct storage_mem *m = storage_mem_new(UINT64_MAX);
	struct storage *st = storage_mem_storage(m);

	put(st, "f", "old");
	put(st, "g", "more");
	storage_mem_trouble(m, rows[_i].t);
	ck_assert_int_eq(st->ops->pwrite(st, "f", 0, "new", 3), rows[_i].write);
	ck_assert_int_eq(st->ops->sync(st, "f"), rows[_i].sync);
	ck_assert_int_eq(st->ops->sync(st, "f"), rows[_i].sync_again);
	ck_assert_int_eq(st->ops->truncate(st, "h", 0), rows[_i].create);
	ck_assert_int_eq(st->ops->rename(st, "g", "i"), rows[_i].rename);
	ck_assert_int_eq(st->ops->remove(st, rows[_i].rename ? "g" : "i"), rows[_i].remove);
	check_file(st, "f", rows[_i].write ? "old" : "new", "troubles");
	storage_mem_trouble(m, DISK_SOUND);
	ck_assert_int_eq(st->ops->pwrite(st, "f", 0, "end", 3), 0);
	storage_mem_free(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("storage_mem");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, lose, 0, sizeof(losing) / sizeof(losing[0]));
	tcase_add_test(t, keep);
	tcase_add_test(t, tear);
	tcase_add_test(t, tear_behind_a_ragged_end);
	tcase_add_loop_test(t, against_a_plain_model, 0, 20);
	tcase_add_test(t, full_and_failing);
	tcase_add_loop_test(t, troubles, 0, 5);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
