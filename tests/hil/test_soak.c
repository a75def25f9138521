/* A soak over a planted bug: found, told once, left as a folder and as a small scenario. */
#include <check.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil/language/scenario.h"
#include "hil/run/shrink_moves.h"
#include "hil/run/soak.h"

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
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	nftw(out, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return failed != 0;
}
