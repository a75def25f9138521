/* What a soak makes of a seed: a file that the language takes without a word, the same
 * one for the same seed, with every kind of fault in some seed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil/language/scenario.h"
#include "hil/run/rss.h"
#include "hil/run/soak_scenario.h"

#define SEEDS 300

static void made(const struct soak_shape *shape, struct buf *out)
{
	buf_init(out, SOAK_TEXT_MAX);
	ck_assert_int_eq(soak_scenario(shape, out), 0);
}

START_TEST(test_every_seed_is_a_scenario)
{
	static const unsigned devices[] = {SOAK_DEVICES_MIN, 12, 100, 5000};
	static const char *const words[] = {
		"lose,",	 "delay,",	 "duplicate,",	   "replace_sender,", "cms_error,",
		"drop_reply,",	 "do: reply,",	 "power_cycle,",   "drop_connection", "restart,",
		"disable}",	 "enable}",	 "tokens.written", "tokens.synced",   "tokens.renamed",
		"device.state,", "network: ",	 "carrier: typical", "reorder,",       "overlong,",
		"no_final,",	 "unplug,",	 "mute,",	   "creg,",	       "sim,",
		"storage_full,", "lose_cmti,",	 "where: prompt",  "modems: ",
		"do: crash,",      "server.after_commit", "storage.in_write",
		"disk_full,",	 "what: write,", "what: read_only,", "what: sync}",	      "clock_step, by: -",   "clock_step, by: +",
		"who: server, do: disk_", "who: server, do: clock_step",
	};
	unsigned seen[sizeof(words) / sizeof(words[0])] = {0};

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct soak_shape shape = {.seed = seed * 0x9e3779b97f4a7c15u,
					   .devices = devices[seed % 4],
					   .length = (time_ns)(seed % 3 ? 3600 : 60) * NS_PER_S,
					   .live = seed % 5 == 0};
		struct source src = {.name = "soak.yaml"};
		struct plans plans = {0};
		struct diags ds = {0};
		struct buf text;

		made(&shape, &text);
		src.text = text.data;
		src.len = text.len;
		if (scenario_parse(&src, &ds, &plans))
			diags_print(&ds, stderr);
		ck_assert_msg(ds.errors == 0 && ds.warnings == 0 && plans.n == 1, "%s", text.data);
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			seen[i] += strstr(text.data, words[i]) != NULL;
		if (shape.live)
			ck_assert_msg(!strstr(text.data, "network:"), "%s", text.data);
		diags_fini(&ds);
		plans_fini(&plans);
		buf_fini(&text);
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		ck_assert_msg(seen[i], "no seed has '%s'", words[i]);
}
END_TEST

START_TEST(test_same_seed_same_text)
{
	struct soak_shape shape = {.seed = 7, .devices = 30, .length = 3600 * NS_PER_S};
	struct buf a, b, c;

	made(&shape, &a);
	made(&shape, &b);
	shape.seed = 8;
	made(&shape, &c);
	ck_assert_str_eq(a.data, b.data);
	ck_assert_str_ne(a.data, c.data);
	buf_fini(&a);
	buf_fini(&b);
	buf_fini(&c);
}
END_TEST

/* ---- memory that stays flat, or does not ---- */

static const struct {
	const char *what;
	unsigned samples;
	uint32_t start, step; /* KiB, more of it at each sample */
	unsigned steps;	      /* samples that still grow */
	enum rss_verdict want;
} lives[] = {
	{"flat", 40, 50000, 0, 0, RSS_FLAT},
	{"grows at first, then flat", 40, 10000, 5000, 12, RSS_FLAT},
	{"grows all the time", 40, 50000, 1000, 40, RSS_GROWS},
	{"grows, and is sampled for days", 100000, 50000, 1, 100000, RSS_GROWS},
	{"grows by less than 4 MiB", 40, 10000, 100, 40, RSS_FLAT},
	{"grows by less than a tenth", 40, 500000, 1000, 40, RSS_FLAT},
	{"too short", 8, 50000, 10000, 8, RSS_TOO_SHORT},
	{"never seen", 0, 0, 0, 0, RSS_TOO_SHORT},
};

START_TEST(test_memory)
{
	struct rss_track t = {0};
	uint32_t kib = lives[_i].start;
	int64_t growth;

	for (unsigned i = 0; i < lives[_i].samples; i++) {
		rss_add(&t, i + 1, kib);
		kib += i < lives[_i].steps ? lives[_i].step : 0;
	}
	ck_assert_msg(rss_judge(&t, &growth) == lives[_i].want, "%s: growth %ld", lives[_i].what, (long)growth);
	if (lives[_i].want == RSS_TOO_SHORT)
		ck_assert_int_eq(growth, 0);
}
END_TEST

START_TEST(test_own_memory)
{
	ck_assert_uint_gt(rss_of(getpid()), 500);
	ck_assert_uint_eq(rss_of(0), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_scenario");
	TCase *c = tcase_create("soak_scenario");
	SRunner *run;
	int failed;

	tcase_set_timeout(c, 30);
	tcase_add_test(c, test_every_seed_is_a_scenario);
	tcase_add_test(c, test_same_seed_same_text);
	tcase_add_loop_test(c, test_memory, 0, sizeof(lives) / sizeof(lives[0]));
	tcase_add_test(c, test_own_memory);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
