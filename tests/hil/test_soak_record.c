/* What a soak leaves of a failure is what `quicrig replay` reads. The failure is a planted
 * bug's, which the test program has. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil/judge/verdict.h"
#include "hil/run/replay.h"
#include "hil/run/soak.h"

/* The first folder in the soak's. */
static bool find_folder(char *out, size_t size)
{
	DIR *d = opendir("out-soak-record/soak-latest");
	struct dirent *e;
	bool found = false;

	while (d && !found && (e = readdir(d)))
		if (strlen(e->d_name) == 8 && strspn(e->d_name, "0123456789abcdef") == 8)
			found = snprintf(out, size, "out-soak-record/soak-latest/%s", e->d_name) < (int)size;
	if (d)
		closedir(d);
	return found;
}

START_TEST(a_failure_of_a_soak_replays)
{
	struct soak_options o = {.seed = 0x5eed,
				 .seeds = 1,
				 .devices = 8,
				 .length = 600 * NS_PER_S,
				 .out = "out-soak-record",
				 .program = "quicrig-prove",
				 .plant = "login-without-code"};
	struct recording r;
	struct err e = {0};
	char folder[256];

	ck_assert_int_eq(soak_run(&o), EXIT_FAILED);
	ck_assert(find_folder(folder, sizeof(folder)));
	ck_assert_msg(recording_open(folder, &r, &e) == 0, "%s", e.text);
	ck_assert_str_eq(r.rig, "virtual");
	ck_assert(r.virtual_time);
	ck_assert_int_eq(r.verdict, VERDICT_FAIL);
	ck_assert_int_eq(replay_again(&r), EXIT_PASSED);
	json_object_del(r.plan, "plant"); /* mended: it goes otherwise */
	ck_assert_int_eq(replay_again(&r), EXIT_FAILED);
	recording_fini(&r);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("soak_record");
	TCase *c = tcase_create("soak_record");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(c, 90);
	tcase_add_test(c, a_failure_of_a_soak_replays);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
