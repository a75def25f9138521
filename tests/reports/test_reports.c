/* What a run leaves behind: histograms, the screen, report.json, junit.xml, summary.md.
 * Run with a folder as argument it only writes a varied run's files there, for the
 * schema checks beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include "core/buf.h"
#include "reports/console.h"
#include "reports/json.h"
#include "reports/junit.h"
#include "reports/markdown.h"
#include "reports/cells.h"
#include "reports/report.h"

/* ---- histograms ---- */

START_TEST(merging_equals_counting_in_one)
{
	struct histogram one = {0}, parts[3] = {{0}}, merged = {0}, back = {0};
	struct err e = {0};
	uint64_t x = 88172645463325252u;
	json_t *a, *b;

	for (int i = 0; i < 20000; i++) {
		uint64_t v;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v = x >> (x & 63);
		ck_assert_int_eq(histogram_add(&one, v), 0);
		ck_assert_int_eq(histogram_add(&parts[i % 3], v), 0);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(histogram_merge(&merged, &parts[i]), 0);
	a = histogram_json(&one);
	b = histogram_json(&merged);
	ck_assert(json_equal(a, b));
	ck_assert_int_eq(histogram_from_json(&back, a, &e), 0);
	json_decref(b);
	b = histogram_json(&back);
	ck_assert(json_equal(json_object_get(a, "buckets"), json_object_get(b, "buckets")));
	json_decref(a);
	json_decref(b);
	for (int i = 0; i < 3; i++)
		histogram_fini(&parts[i]);
	histogram_fini(&one);
	histogram_fini(&merged);
	histogram_fini(&back);
}
END_TEST

/* 99.9 / 100 is a hair above 0.999: the one slow sample of a thousand is not in p99.9. */
START_TEST(a_quantile_takes_no_sample_too_many)
{
	struct histogram h = {0};

	for (int i = 0; i < 999; i++)
		ck_assert_int_eq(histogram_add(&h, 10), 0);
	ck_assert_int_eq(histogram_add(&h, 60), 0);
	ck_assert_uint_eq(histogram_quantile(&h, 99.9 / 100), 10);
	ck_assert_uint_eq(histogram_quantile(&h, 0.999), 10);
	ck_assert_uint_eq(histogram_quantile(&h, 0.9991), 60);
	ck_assert_uint_eq(histogram_quantile(&h, 1), 60);
	histogram_fini(&h);
}
END_TEST

START_TEST(a_quantile_is_near)
{
	struct histogram h = {0};

	ck_assert_uint_eq(histogram_quantile(&h, 0.5), 0);
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_add(&h, i * 1000);
	ck_assert_uint_ge(histogram_quantile(&h, 0.5), 50000000);
	ck_assert_uint_le(histogram_quantile(&h, 0.5), 50000000 + 50000000 / 64);
	ck_assert_uint_ge(histogram_quantile(&h, 0.999), 99900000);
	ck_assert_uint_eq(histogram_quantile(&h, 1), 100000000);
	ck_assert_uint_eq(h.min, 1000);
	histogram_fini(&h);
	histogram_add(&h, UINT64_MAX);
	ck_assert_uint_eq(histogram_quantile(&h, 0.99), UINT64_MAX);
	histogram_fini(&h);
}
END_TEST

START_TEST(a_broken_histogram_is_refused)
{
	static const char *const bad[] = {
		"{}", "{\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[]}",
		"{\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[[99999,1]]}",
		"{\"count\":1,\"sum\":1,\"min\":2,\"max\":1,\"buckets\":[[1,1]]}",
		"{\"count\":1,\"sum\":1,\"min\":1,\"max\":1,\"buckets\":[[1,-1]]}"};
	struct histogram h = {0};
	json_t *j = json_loads(bad[_i], 0, NULL);

	ck_assert_int_eq(histogram_from_json(&h, j, NULL), ERR_PARSE);
	histogram_fini(&h);
	json_decref(j);
}
END_TEST

/* ---- a run with one of everything ---- */

static struct scenario_result *add(struct run_result *r, const char *id, enum verdict v, unsigned devices)
{
	struct scenario_result *s = run_result_add(r, id, NULL);

	s->verdict = v;
	s->devices = devices;
	s->virtual_time = true;
	text_set(&s->rig, "virtual");
	text_set(&s->source.file, "scenarios/x.yaml");
	s->source.line = 7;
	s->source.column = 5;
	return s;
}

static void fill_first_minute(struct run_result *r)
{
	struct place at = {(char *)"scenarios/token.yaml", 31, 13};
	struct scenario_result *s;
	struct check_result *c;

	text_set(&r->seed, "0x5eed");
	text_set(&r->rig, "virtual");
	text_set(&r->build, "0.1.0");
	text_set(&r->dir, "out/latest");
	r->started_unix_ms = 1750000000123;
	r->ended_unix_ms = 1750000001000;
	s = add(r, "idle/unknown-uuid", VERDICT_PASS, 1);
	s->duration_ns = 84 * NS_PER_MS;
	text_set(&s->summary, "IDLE (refused, 403)");
	s->rows[ROW_RG_403] = 1;
	s = add(r, "idle/wrong-code", VERDICT_PASS, 1);
	s->duration_ns = 200 * NS_PER_MS;
	text_set(&s->summary, "IDLE (refused, 401)");
	s->sms.issued = s->sms.submitted = s->sms.delivered = 1;
	s = add(r, "token/expiry-refresh", VERDICT_FAIL, 1);
	s->duration_ns = 61 * NS_PER_S;
	s->wall_ns = 9 * NS_PER_MS;
	s->blame = BLAME_SERVER;
	text_set(&s->reason, "path: … PROVISIONED → REFRESHING → IDLE (refused, 403)");
	text_set(&s->folder, "out/latest/token/expiry-refresh");
	c = scenario_add_check(s, CHECK_EXPECTATION, "path", &at, "… PROVISIONED → REFRESHING → PROVISIONED");
	check_fail(c, "… PROVISIONED → REFRESHING → IDLE (refused, 403)", BLAME_SERVER,
		   "its journal grants the refresh; the reply says 403", "A[1]", 61040 * NS_PER_MS);
	/* the finding that the blame above rests on: told once */
	c = scenario_add_check(s, CHECK_INVARIANT, "same-story", NULL, "device and server tell the same story");
	check_fail(c, "its journal grants the refresh; the reply says 403", BLAME_SERVER, NULL, "A[1]",
		   61040 * NS_PER_MS);
}

static void fill_rest(struct run_result *r)
{
	struct place at = {(char *)"scenarios/a & <b>.yaml", 3, 1};
	struct scenario_result *s;
	struct check_result *c;

	s = add(r, "load/many", VERDICT_FAIL, 300);
	s->blame = BLAME_UNKNOWN;
	text_set(&s->reason, "final: AWAITING_CODE with a \x01 control & <mark> \"up\" | pipe");
	text_set(&s->summary, "298 PROVISIONED, 2 AWAITING_CODE");
	s->final[STATE_PV] = 298;
	s->final[STATE_AC] = 2;
	histogram_add(&s->metrics[METRIC_BOOTSTRAP_TIME], 12345678);
	c = scenario_add_check(s, CHECK_EXPECTATION, "final", &at, "PROVISIONED at the end");
	c->devices = 300;
	for (int i = 0; i < 298; i++)
		check_fail(c, "AWAITING_CODE", BLAME_UNKNOWN, NULL, i ? "A[9]" : "A[7]", 30 * NS_PER_S);
	check_fail(c, "OFF after AWAITING_CODE", BLAME_UNKNOWN, NULL, "A[8]", 31 * NS_PER_S);
	c = scenario_add_check(s, CHECK_THRESHOLD, "threshold", &at, "bootstrap_time p99 < 2 s");
	check_fail(c, "1 samples, wanted 300", BLAME_UNKNOWN, NULL, NULL, TIME_NEVER);
	scenario_note(s, "fault f1 (lose) never fired");
	s = add(r, "load/foreign", VERDICT_INCONCLUSIVE, 2);
	s->unjudged = 1;
	text_set(&s->reason, "PARTIAL: 1 of its expectations could not be judged");
	check_unjudged(scenario_add_check(s, CHECK_EXPECTATION, "counts", &at, "tokens.issued = 0"), "no server journal");
	s = add(r, "load/skipped", VERDICT_SKIP, 0);
	text_set(&s->reason, "needs 2 modems");
	s = add(r, "load/known", VERDICT_XFAIL, 1);
	text_set(&s->reason, "known bug");
	s = add(r, "load/fixed", VERDICT_XPASS, 1);
	text_set(&s->reason, "passed, but is marked to fail: known bug");
}

static char *screen(struct run_result *r, enum console_color color)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = tmpfile();
	struct console *c = console_new(f, 0, color);

	for (size_t i = 0; i < r->n; i++)
		console_scenario(c, r->scenarios[i]);
	console_end(c, r);
	console_free(c);
	size = (size_t)ftell(f);
	rewind(f);
	text = calloc(1, size + 1);
	ck_assert_uint_eq(fread(text, 1, size, f), size);
	fclose(f);
	return text;
}

START_TEST(the_first_minute_looks_as_promised)
{
	struct run_result r;
	char *text, last[160];

	run_result_init(&r);
	fill_first_minute(&r);
	text = screen(&r, CONSOLE_AUTO);
	snprintf(last, sizeof(last),
		 "3 run: 2 passed, 1 failed · transitions 1 of %d · cells 1 of %u · seed 0x5eed · out/latest/summary.md\n"
		 "SMS submitted 1 = codes issued 1 = SMS delivered 1\n",
		 ROW_END - 1, cells_count());
	ck_assert_ptr_nonnull(strstr(text, last));
	*strstr(text, last) = '\0';
	ck_assert_str_eq(
		text,
		" PASS  idle/unknown-uuid        1 device     84 ms*   IDLE (refused, 403)\n"
		" PASS  idle/wrong-code          1 device     0.2 s*   IDLE (refused, 401)\n"
		" FAIL  token/expiry-refresh     1 device     61 s*    * virtual time; 9 ms of wall clock\n"
		"   scenarios/token.yaml:31:13  expected … PROVISIONED → REFRESHING → PROVISIONED\n"
		"   got                         … PROVISIONED → REFRESHING → IDLE (refused, 403) at +61.040 s\n"
		"   blame: server (its journal grants the refresh; the reply says 403)\n"
		"   replay: quicrig replay out/latest/token/expiry-refresh\n");
	free(text);
	run_result_fini(&r);
}
END_TEST

/* A green run against a server that tells nothing says how much nobody could judge. */
START_TEST(what_nobody_judged_is_counted)
{
	struct run_result r;
	char *text;

	run_result_init(&r);
	for (int i = 0; i < 3; i++) {
		static const char *const ids[] = {"s/a", "s/b", "s/skipped"};
		struct scenario_result *s = add(&r, ids[i], i == 2 ? VERDICT_SKIP : VERDICT_PASS, 1);

		check_unjudged(scenario_add_check(s, CHECK_INVARIANT, "one-family", NULL, "x"), "no server journal");
		scenario_add_check(s, CHECK_INVARIANT, "timers", NULL, "x");
		check_unjudged(scenario_add_check(s, CHECK_EXPECTATION, "codes", NULL, "x"), "no server journal");
	}
	ck_assert_uint_eq(run_result_unjudged(&r), 2);
	text = screen(&r, CONSOLE_AUTO);
	ck_assert_ptr_nonnull(strstr(text, "invariants that nobody could judge: 2 "));
	free(text);
	run_result_fini(&r);
}
END_TEST

START_TEST(one_cause_is_one_line)
{
	struct run_result r;
	char *text;

	run_result_init(&r);
	fill_rest(&r);
	r.libgammu = true;
	r.scenarios[0]->sms.issued = r.scenarios[0]->sms.submitted = 300;
	r.scenarios[0]->sms.delivered = 298;
	r.scenarios[0]->sms.lost = 2;
	r.scenarios[0]->sms.injected = 1;
	r.scenarios[1]->sms.told = 1;
	text = screen(&r, CONSOLE_PLAIN);
	ck_assert_ptr_nonnull(strstr(text, "AWAITING_CODE at +30.000 s (298 times, first A[7])\n"));
	ck_assert_ptr_nonnull(strstr(text, "OFF after AWAITING_CODE at +31.000 s (A[8])\n"));
	ck_assert_ptr_nonnull(strstr(text, "   note: fault f1 (lose) never fired\n"));
	ck_assert_ptr_nonnull(strstr(text, " INC?  load/foreign "));
	ck_assert_ptr_nonnull(strstr(text, "UNJUDGED tokens.issued = 0 (no server journal)\n"));
	ck_assert_ptr_nonnull(strstr(text, "skipped 1 (load/skipped): needs 2 modems\n"));
	ck_assert_ptr_nonnull(
		strstr(text, "4 run: 1 failed, 1 inconclusive, 1 skipped, 1 failed as expected, 1 passed unexpectedly"));
	ck_assert_ptr_nonnull(strstr(text, "SMS submitted through libgammu 300 = codes issued 300 · SMS delivered 298 "
					   "(apart: 1 by injected faults, 1 lost, failed, unknown or taken back)\n"));
	ck_assert_ptr_null(strchr(text, '\033'));
	free(text);
	r.scenarios[0]->sms.unexplained = 1;
	text = screen(&r, CONSOLE_PLAIN);
	ck_assert_ptr_nonnull(strstr(text, "= codes issued 300 ≠ SMS delivered 298 (apart: 1 by injected faults, 1 lost, failed, unknown or "
					   "taken back, 1 unexplained)\n"));
	free(text);
	text = screen(&r, CONSOLE_COLORED);
	ck_assert_ptr_nonnull(strstr(text, "\033[1;31mFAIL \033[0m"));
	free(text);
	run_result_fini(&r);
}
END_TEST

static const struct {
	uint64_t ns;
	const char *text;
} spans[] = {
	{0, "0 ms"}, {84 * NS_PER_MS, "84 ms"}, {99 * NS_PER_MS, "99 ms"}, {100 * NS_PER_MS, "0.1 s"},
	{61 * NS_PER_S, "61 s"}, {600 * NS_PER_S, "10 min"}, {3 * 3600 * NS_PER_S, "3.0 h"},
	{72 * 3600 * NS_PER_S, "3.0 d"},
};

START_TEST(durations_read_well)
{
	char out[32];

	ck_assert_str_eq(console_duration(spans[_i].ns, out, sizeof(out)), spans[_i].text);
}
END_TEST

START_TEST(an_id_stands_once)
{
	struct run_result r;
	struct err e = {0};

	run_result_init(&r);
	ck_assert_ptr_nonnull(run_result_add(&r, "a/b", &e));
	ck_assert_ptr_null(run_result_add(&r, "a/b", &e));
	ck_assert_int_eq(e.code, ERR_EXISTS);
	run_result_fini(&r);
}
END_TEST

START_TEST(causes_are_bounded)
{
	struct check_result c = {0};
	char got[16];

	for (int i = 0; i < 20; i++) {
		snprintf(got, sizeof(got), "way %d", i);
		check_fail(&c, got, BLAME_UNKNOWN, NULL, NULL, TIME_NEVER);
	}
	ck_assert_uint_eq(c.causes_n, CAUSES_MAX);
	ck_assert_uint_eq(c.causes_more, 20 - CAUSES_MAX);
	check_result_fini(&c);
}
END_TEST

START_TEST(report_json_holds_the_run)
{
	struct run_result r;
	json_t *j, *s;

	run_result_init(&r);
	fill_first_minute(&r);
	j = report_json(&r);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "run"), "started")),
			 "2025-06-15T15:06:40.123Z");
	s = json_array_get(json_object_get(j, "scenarios"), 2);
	ck_assert_str_eq(json_string_value(json_object_get(s, "verdict")), "FAIL");
	ck_assert_str_eq(json_string_value(json_object_get(s, "blame")), "server");
	ck_assert_int_eq((int)json_array_size(json_object_get(s, "expectations")), 1);
	ck_assert_int_eq((int)json_array_size(json_object_get(s, "invariants")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "totals"), "rows_hit")), 1);
	json_decref(j);
	run_result_fini(&r);
}
END_TEST

START_TEST(junit_and_markdown_escape)
{
	struct run_result r;
	struct buf b;

	run_result_init(&r);
	fill_rest(&r);
	buf_init(&b, 1 << 20);
	ck_assert_int_eq(report_junit(&r, &b), 0);
	ck_assert_ptr_nonnull(strstr(b.data, "a ? control &amp; &lt;mark&gt;"));
	ck_assert_ptr_nonnull(strstr(b.data, "<testsuite name=\"load\" tests=\"5\" failures=\"2\" errors=\"1\" skipped=\"2\""));
	buf_reset(&b);
	ck_assert_int_eq(report_markdown(&r, &b), 0);
	ck_assert_ptr_nonnull(strstr(b.data, "\\<mark\\>"));
	ck_assert_ptr_nonnull(strstr(b.data, "\\| pipe"));
	buf_fini(&b);
	run_result_fini(&r);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
	struct run_result r;
	struct err e = {0};

	run_result_init(&r);
	fill_first_minute(&r);
	ck_assert_int_eq(report_write_all("/no/such/folder", &r, &e), ERR_IO);
	ck_assert_ptr_nonnull(strstr(e.text, "/no/such/folder/"));
	run_result_fini(&r);
}
END_TEST

static int write_varied(const char *dir)
{
	struct run_result r;
	struct err e = {0};
	int rv;

	mkdir(dir, 0777);
	run_result_init(&r);
	fill_first_minute(&r);
	fill_rest(&r);
	rv = report_write_all(dir, &r, &e);
	if (rv)
		fprintf(stderr, "%s\n", e.text);
	run_result_fini(&r);
	return rv ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	Suite *s = suite_create("reports");
	TCase *t = tcase_create("all");
	SRunner *sr;
	int failed;

	if (argc == 2) {
		suite_add_tcase(s, t);
		srunner_free(srunner_create(s));
		return write_varied(argv[1]);
	}
	tcase_add_test(t, merging_equals_counting_in_one);
	tcase_add_test(t, a_quantile_is_near);
	tcase_add_test(t, a_quantile_takes_no_sample_too_many);
	tcase_add_loop_test(t, a_broken_histogram_is_refused, 0, 5);
	tcase_add_test(t, the_first_minute_looks_as_promised);
	tcase_add_test(t, one_cause_is_one_line);
	tcase_add_test(t, what_nobody_judged_is_counted);
	tcase_add_loop_test(t, durations_read_well, 0, sizeof(spans) / sizeof(spans[0]));
	tcase_add_test(t, an_id_stands_once);
	tcase_add_test(t, causes_are_bounded);
	tcase_add_test(t, report_json_holds_the_run);
	tcase_add_test(t, junit_and_markdown_escape);
	tcase_add_test(t, a_full_disk_is_told);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
