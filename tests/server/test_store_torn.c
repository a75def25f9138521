/* SQLite on a disk that loses its power: at every named point of the storage layer, and
 * with what was not synced kept, lost or torn by many seeds. What was committed stands,
 * what was not is wholly there or not at all; and a disk that does not sync is found out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/rng.h"
#include "server/store.h"
#include "server/store_disk.h"
#include "server/store_vfs.h"
#include "sim/storage_mem.h"

#define VFS     "torn"
#define DEVICES 40
#define TOGETHER 3 /* devices written in one commit */

static const char *const uuid_form = "ee9f2110-5843-11e9-a9ba-1390000000%02u";

/* The disk below: storage_mem, or one that says that it has synced and has not. */
struct lying {
	struct storage base; /* first */
	struct storage *real;
};

static struct storage *real_of(struct storage *st)
{
	return ((struct lying *)(void *)st)->real;
}

static int64_t lying_pread(struct storage *st, const char *name, uint64_t offset, void *out, size_t len)
{
	return real_of(st)->ops->pread(real_of(st), name, offset, out, len);
}

static int lying_pwrite(struct storage *st, const char *name, uint64_t offset, const void *data, size_t len)
{
	return real_of(st)->ops->pwrite(real_of(st), name, offset, data, len);
}

static int lying_truncate(struct storage *st, const char *name, uint64_t size)
{
	return real_of(st)->ops->truncate(real_of(st), name, size);
}

static int64_t lying_size(struct storage *st, const char *name)
{
	return real_of(st)->ops->size(real_of(st), name);
}

static int lying_sync(struct storage *st, const char *name)
{
	return lying_size(st, name) < 0 ? ERR_NOTFOUND : 0;
}

static int lying_rename(struct storage *st, const char *from, const char *to)
{
	return real_of(st)->ops->rename(real_of(st), from, to);
}

static int lying_remove(struct storage *st, const char *name)
{
	return real_of(st)->ops->remove(real_of(st), name);
}

static int lying_sync_dir(struct storage *st)
{
	return real_of(st)->ops->sync_dir(real_of(st));
}

static const struct storage_ops lying_ops = {lying_pread,  lying_pwrite, lying_truncate, lying_size,
					     lying_sync,   lying_rename, lying_remove,   lying_sync_dir};

struct life {
	struct storage_mem *mem;
	struct lying liar;
	struct settings settings;
	struct instant at;
	struct rng rng;
	enum crash_point point;
	uint64_t passes; /* of the point, until it is the end */
	bool died;
	int64_t committed[DEVICES], tried[DEVICES]; /* what each device's row says, must say or may say */
};

static bool armed(void *ctx)
{
	return ((struct life *)ctx)->passes > 0;
}

static bool at_point(void *ctx, enum crash_point p)
{
	struct life *l = ctx;

	if (p != l->point || !l->passes || --l->passes)
		return false;
	l->died = true;
	return true;
}

static struct store *open_store(struct life *l, const char *vfs, struct err *e)
{
	struct store_config sc = {.path = "server.db", .vfs = vfs, .boot_id = "boot-1", .settings = &l->settings};

	return store_open(&sc, &l->at, e);
}

static int put(struct life *l, struct store *st, unsigned device, int64_t value)
{
	struct store_device d;
	char uuid[UUID_LEN + 1];
	int rv;

	snprintf(uuid, sizeof(uuid), uuid_form, device);
	rv = store_device_get(st, uuid, &d);
	if (rv && rv != ERR_NOTFOUND)
		return rv;
	d.fam_start_s = value;
	l->tried[device] = value;
	return store_device_put(st, &d);
}

/* Commits until the power goes, or for `turns`. */
static void live(struct life *l, struct store *st, unsigned turns)
{
	for (int64_t turn = 1; turn <= turns && !l->died; turn++) {
		unsigned first = (unsigned)rng_below(&l->rng, DEVICES - TOGETHER);
		int rv = 0;

		l->at.now += NS_PER_MS;
		l->at.boot += NS_PER_MS;
		for (unsigned i = 0; i < TOGETHER && !rv; i++)
			rv = put(l, st, first + i, turn);
		if (!rv)
			rv = store_commit(st, &l->at);
		ck_assert_msg(!rv || l->died, "turn %d: %s", (int)turn, store_error(st));
		for (unsigned i = 0; i < TOGETHER && !rv; i++)
			l->committed[first + i] = turn;
	}
}

/* NULL, or what is wrong with what stands on the disk. */
static const char *judge(struct life *l)
{
	static char why[512];
	struct err e = {0};
	struct store *st = open_store(l, VFS, &e);
	const char *bad = NULL;
	unsigned newer = 0;

	if (!st) {
		snprintf(why, sizeof(why), "%s", e.text);
		return why;
	}
	for (unsigned i = 0; i < DEVICES && !bad; i++) {
		struct store_device d;
		char uuid[UUID_LEN + 1];
		int rv;

		snprintf(uuid, sizeof(uuid), uuid_form, i);
		rv = store_device_get(st, uuid, &d);
		if (rv == ERR_NOTFOUND)
			d.fam_start_s = 0;
		else if (rv)
			bad = store_error(st);
		if (!bad && d.fam_start_s != l->committed[i] && d.fam_start_s != l->tried[i])
			bad = d.fam_start_s < l->committed[i] ? "a committed row is lost" : "a row that nobody wrote";
		newer += !bad && d.fam_start_s == l->tried[i] && l->tried[i] != l->committed[i];
	}
	if (!bad && newer && newer != TOGETHER)
		bad = "half of a commit stands";
	if (bad)
		snprintf(why, sizeof(why), "%s", bad);
	store_close(st, false);
	return bad ? why : NULL;
}

static const char *one(uint64_t seed, enum crash_point point, bool lies, unsigned turns, bool *died)
{
	struct store_disk_watch watch;
	struct life *l = calloc(1, sizeof(*l));
	struct store_disk *disk;
	struct err e = {0};
	struct store *st;
	const char *bad;

	ck_assert_ptr_nonnull(l);
	l->mem = storage_mem_new(UINT64_MAX);
	l->liar = (struct lying){{&lying_ops}, storage_mem_storage(l->mem)};
	settings_default(&l->settings);
	l->at = (struct instant){NS_PER_S, NS_PER_S, 1700000000000};
	rng_init(&l->rng, seed, "test", "torn");
	l->point = point;
	watch = (struct store_disk_watch){armed, at_point, l};
	ck_assert_int_eq(store_vfs_register(VFS, lies ? &l->liar.base : storage_mem_storage(l->mem)), 0);
	disk = store_disk_new(VFS, &watch);
	ck_assert_ptr_nonnull(disk);
	st = open_store(l, store_disk_vfs(disk), &e);
	ck_assert_msg(st != NULL, "%s", e.text);
	l->passes = 1 + rng_below(&l->rng, point == CRASH_IN_CHECKPOINT ? 6 : point == CRASH_AFTER_CHECKPOINT ? 2 : 60);
	live(l, st, turns);
	*died = l->died;
	store_close(st, false);
	store_disk_free(disk);
	storage_mem_power_fails(l->mem, seed, "server", l->at.now, -1);
	bad = judge(l);
	store_vfs_unregister(VFS);
	storage_mem_free(l->mem);
	free(l);
	return bad;
}

static const struct {
	enum crash_point point;
	unsigned seeds, turns;
} rows[] = {
	{CRASH_BEFORE_WRITE, 40, 60}, {CRASH_IN_WRITE, 40, 60},	    {CRASH_BEFORE_SYNC, 40, 80},
	{CRASH_AFTER_SYNC, 40, 80},   {CRASH_IN_CHECKPOINT, 8, 1500}, {CRASH_AFTER_CHECKPOINT, 6, 1500},
};

START_TEST(recovers)
{
	for (uint64_t seed = 1; seed <= rows[_i].seeds; seed++) {
		bool died;
		const char *bad = one(seed, rows[_i].point, false, rows[_i].turns, &died);

		ck_assert_msg(died, "seed %d: %s was not reached", (int)seed, crash_name(rows[_i].point));
		ck_assert_msg(!bad, "seed %d at %s: %s", (int)seed, crash_name(rows[_i].point), bad);
	}
}
END_TEST

START_TEST(a_disk_that_does_not_sync_is_caught)
{
	unsigned caught = 0;

	for (uint64_t seed = 1; seed <= rows[_i].seeds; seed++) {
		bool died;

		caught += one(seed, rows[_i].point, true, rows[_i].turns, &died) != NULL;
	}
	/* a third of the cuts keep everything */
	ck_assert_msg(caught >= rows[_i].seeds / 4, "%s: %u of %u", crash_name(rows[_i].point), caught, rows[_i].seeds);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("store_torn");
	TCase *t = tcase_create("power");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, recovers, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_loop_test(t, a_disk_that_does_not_sync_is_caught, 0, 4);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
