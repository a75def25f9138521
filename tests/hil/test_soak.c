/* A soak over a planted bug: found, told once, left as a folder and as a small scenario. */
#include <check.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil/language/scenario.h"
#include "hil/run/shrink_moves.h"
#include "hil/run/soak_internal.h"

static char out[] = "/tmp/quicrig-soak-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
	(void)st;
	(void)flag;
	(void)at;
	return remove(path);
}

static json_t *report(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/soak-latest/soak.json", out);
	return json_load_file(path, 0, NULL);
}

static struct soak_options options(void)
{
	return (struct soak_options){.seed = 1,
				     .seeds = 2,
				     .devices = 8,
				     .length = 120 * NS_PER_S,
				     .out = out,
				     .program = "quicrig-prove",
				     .plant = "login-without-code",
				     .shrink = true,
				     .shrink_s = 60};
}

START_TEST(test_shrinks_what_is_new)
{
	struct soak_options o = options();
	struct plans plans = {0};
	struct diags ds = {0};
	json_t *r, *finding;
	const char *path;

	ck_assert_int_eq(soak_run(&o), 1);
	r = report();
	ck_assert_ptr_nonnull(r);
	finding = json_array_get(json_object_get(r, "findings"), 0);
	path = json_string_value(json_object_get(finding, "shrunk"));
	ck_assert_msg(path != NULL, "%s", json_dumps(r, 0));
	ck_assert_int_eq(scenario_load(path, &ds, &plans), 0);
	ck_assert_uint_eq(ds.errors, 0);
	ck_assert_uint_eq(plans.n, 1);
	ck_assert_int_eq(shrink_devices(plans.v[0]), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(plans.v[0], "steps")), 0);
	ck_assert_uint_eq(json_array_size(json_object_get(plans.v[0], "faults")), 1);
	plans_fini(&plans);
	diags_fini(&ds);
	json_decref(r);
}
END_TEST

START_TEST(test_only_where_it_is_asked_for)
{
	struct soak_options o = options();
	json_t *r, *finding;

	o.shrink = false;
	o.seeds = 1;
	ck_assert_int_eq(soak_run(&o), 1);
	r = report();
	finding = json_array_get(json_object_get(r, "findings"), 0);
	ck_assert_ptr_nonnull(finding);
	ck_assert_ptr_nonnull(json_string_value(json_object_get(finding, "folder")));
	ck_assert_ptr_null(json_string_value(json_object_get(finding, "shrunk")));
	json_decref(r);
}
END_TEST

/* ---- what becomes of results, without a rig ---- */

static void failing(struct scenario_result *r, enum check_kind kind, const char *name, const char *got)
{
	struct check_result *c = scenario_add_check(r, kind, name, NULL, "something else");

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(check_fail(c, got, BLAME_SERVER, NULL, "A[3]", 5), 0);
	r->verdict = VERDICT_FAIL;
}

static struct soak *no_soak(struct soak_options *o)
{
	struct soak *s = calloc(1, sizeof(*s));

	ck_assert_ptr_nonnull(s);
	s->o = o;
	return s;
}

static void seed_ended(struct soak *s, json_t *plan, struct scenario_result *r)
{
	static const struct rss_track none = {.n = 0};

	soak_seed_result(s, plan, &(struct soak_seen){.result = r, .rss = &none, .hash = ""});
	scenario_result_fini(r);
	*r = (struct scenario_result){0};
}

/* A fleet that sets out takes memory: only a life of half an hour can tell that it leaks. */
START_TEST(test_memory_of_a_short_life)
{
	static const struct {
		time_ns length;
		unsigned findings;
	} lives[] = {{120 * NS_PER_S, 0}, {1800 * NS_PER_S, 1}};
	json_t *plan = json_pack("{s:s, s:s}", "id", "r/grows", "seed", "0x7");
	struct rss_track rss = {0};

	for (unsigned i = 1; i <= 40; i++)
		rss_add(&rss, i, 50000 + 2000 * i);
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		struct soak_options o = {.seeds = 1, .length = lives[i].length};
		struct soak *s = no_soak(&o);
		struct scenario_result r = {.verdict = VERDICT_PASS};

		soak_seed_result(s, plan, &(struct soak_seen){.result = &r, .rss = &rss, .hash = ""});
		ck_assert_uint_eq(s->findings_n, lives[i].findings);
		ck_assert_uint_eq(s->memory_judged, lives[i].findings);
		soak_free(s);
	}
	json_decref(plan);
}
END_TEST

START_TEST(test_what_is_known_hides_nothing_else)
{
	struct soak_options o = {.seeds = 2};
	struct soak *s = no_soak(&o);
	struct scenario_result r = {0};
	json_t *plan = json_pack("{s:s, s:s}", "id", "r/known", "seed", "0x7");

	failing(&r, CHECK_INVARIANT, "one-family", "two live families");
	failing(&r, CHECK_EXPECTATION, "final", "REGISTERING");
	r.verdict = VERDICT_XFAIL;
	soak_regression(s, plan, &r);
	scenario_result_fini(&r);
	r = (struct scenario_result){0};
	failing(&r, CHECK_INVARIANT, "one-family", "two live families");
	failing(&r, CHECK_EXPECTATION, "final", "REGISTERING");
	seed_ended(s, plan, &r);
	ck_assert_uint_eq(s->findings_n, 1);
	ck_assert_int_eq(s->findings[0]->status, SOAK_KNOWN);
	ck_assert_uint_eq(s->findings[0]->times, 1);
	failing(&r, CHECK_INVARIANT, "one-family", "two live families");
	failing(&r, CHECK_EXPECTATION, "final", "IDLE");
	seed_ended(s, plan, &r);
	ck_assert_uint_eq(s->findings[0]->times, 2);
	ck_assert_uint_eq(s->findings_n, 2);
	ck_assert_int_eq(s->findings[1]->status, SOAK_NEW);
	ck_assert_msg(strncmp(s->findings[1]->signature.text, "final: IDLE", 11) == 0, "%s", s->findings[1]->signature.text);
	ck_assert_int_eq(soak_exit(s), 1);
	json_decref(plan);
	soak_free(s);
}
END_TEST

START_TEST(test_more_kinds_than_it_tells_of)
{
	struct soak_options o = {.seeds = 1};
	struct soak *s = no_soak(&o);
	struct scenario_result r = {0};
	json_t *plan = json_pack("{s:s, s:s}", "id", "r/known", "seed", "0x7");
	char name[16];

	for (unsigned i = 0; i < 2 * SOAK_NEW_MAX; i++) {
		snprintf(name, sizeof(name), "known-%u", i);
		failing(&r, CHECK_EXPECTATION, name, "IDLE");
		r.verdict = VERDICT_XFAIL;
		soak_regression(s, plan, &r);
		scenario_result_fini(&r);
		r = (struct scenario_result){0};
	}
	ck_assert_uint_eq(s->findings_more, 0);
	failing(&r, CHECK_EXPECTATION, "final", "IDLE");
	seed_ended(s, plan, &r);
	ck_assert_msg(soak_exit(s) == 1, "what is new is lost behind so many known failures");
	for (unsigned i = 1; i <= SOAK_NEW_MAX; i++) {
		snprintf(name, sizeof(name), "new-%u", i);
		failing(&r, CHECK_EXPECTATION, name, "IDLE");
		seed_ended(s, plan, &r);
	}
	ck_assert_uint_eq(s->findings_n, 3 * SOAK_NEW_MAX);
	ck_assert_uint_eq(s->findings_more, 1);
	json_decref(plan);
	soak_free(s);
}
END_TEST

START_TEST(test_a_journal_too_long_to_keep)
{
	struct soak_options o = options();
	json_t *r, *finding;
	char path[300];
	const char *folder;

	o.record_max = 10;
	o.shrink_s = 4;
	o.seeds = 1;
	o.seed = 3;
	ck_assert_int_eq(soak_run(&o), 1);
	r = report();
	finding = json_array_get(json_object_get(r, "findings"), 0);
	folder = json_string_value(json_object_get(finding, "folder"));
	ck_assert_ptr_nonnull(folder);
	snprintf(path, sizeof(path), "%s/scenario.yaml", folder);
	ck_assert_int_eq(access(path, R_OK), 0);
	snprintf(path, sizeof(path), "%s/journal.jsonl", folder);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(finding, "note")), "too long to be kept"));
	/* what makes it again is enough to make it small */
	ck_assert_ptr_nonnull(json_string_value(json_object_get(finding, "shrunk")));
	json_decref(r);
}
END_TEST

START_TEST(test_two_in_one_second)
{
	struct soak_options o = {.out = out, .seed = 0x42};
	struct soak *a = no_soak(&o), *b = no_soak(&o);
	struct err e = {0};

	ck_assert_int_eq(soak_open(a, &e), 0);
	ck_assert_int_eq(soak_open(b, &e), 0);
	ck_assert_str_ne(a->dir, b->dir);
	soak_free(a);
	soak_free(b);
}
END_TEST

START_TEST(test_the_wall_is_of_the_whole)
{
	struct soak_options o = {.out = out, .seed = 0x43, .wall_s = 1000};
	struct soak *s = no_soak(&o);
	struct err e = {0};

	ck_assert_int_eq(soak_open(s, &e), 0);
	ck_assert_double_gt(soak_left(s), 900);
	s->started -= 600; /* regressions took ten minutes */
	ck_assert_double_le(soak_left(s), 400);
	s->started -= 600;
	ck_assert_double_gt(soak_left(s), 0); /* 0 is no limit */
	ck_assert_double_lt(soak_left(s), 1);
	o.wall_s = 0;
	ck_assert(soak_left(s) == 0);
	soak_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak");
	TCase *tc = tcase_create("soak");
	SRunner *r;
	int failed;

	if (!mkdtemp(out))
		return 1;
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, test_shrinks_what_is_new);
	tcase_add_test(tc, test_only_where_it_is_asked_for);
	tcase_add_test(tc, test_what_is_known_hides_nothing_else);
	tcase_add_test(tc, test_memory_of_a_short_life);
	tcase_add_test(tc, test_more_kinds_than_it_tells_of);
	tcase_add_test(tc, test_a_journal_too_long_to_keep);
	tcase_add_test(tc, test_two_in_one_second);
	tcase_add_test(tc, test_the_wall_is_of_the_whole);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	nftw(out, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed != 0;
}
