/* The shrinker's search on judges made up for it: what it ends with, that it ends, that
 * neither the number of candidates under way nor the order of answers matters; and on
 * the virtual rig. */
#include <check.h>
#include <string.h>

#include "hil/language/scenario.h"
#include "hil/language/scenario_write.h"
#include "hil/run/shrink.h"
#include "hil/run/shrink_moves.h"

#define TRIALS_MAX 20000
#define WAYS_MAX   8

static const char text[] =
	"version: 1\n"
	"suite: t\n"
	"scenarios:\n"
	"  - name: large\n"
	"    timeout: 10m\n"
	"    tags: [a, b]\n"
	"    settings: {code_wait: 30s, access_ttl: 2s, publish_interval: 1s}\n"
	"    carrier: typical\n"
	"    modems: {senders: 8, receivers: 3}\n"
	"    network: {loss: 2%, delay: 17ms, jitter: 3ms}\n"
	"    devices:\n"
	"      A: {count: 40, type: [lightSensor, thermometer], connection: hold}\n"
	"      B: {count: 60}\n"
	"    arrive: {ramp: {from: 0/s, to: 10/s, over: 10s}}\n"
	"    faults:\n"
	"      - {on: sms.submitted, who: A, do: lose}\n"
	"      - {on: sms.submitted, each: true, chance: 10%, do: delay, by: 37s}\n"
	"      - {on: server.reply, match: {resource: login, code: 200}, do: drop_reply}\n"
	"      - {at: 90s, do: restart, after: 3s}\n"
	"    steps:\n"
	"      - {wait: PROVISIONED, within: 100s}\n"
	"      - {sleep: 37s}\n"
	"      - {power_cycle: \"B[50]\", off: 7s}\n"
	"      - {sleep: 5s}\n"
	"    expect:\n"
	"      final: {A: PROVISIONED, B: PROVISIONED}\n"
	"      never: IDLE\n"
	"      sms: {sent: 100}\n"
	"      codes: {issued: \">= 100\"}\n"
	"    thresholds:\n"
	"      - {metric: bootstrap_time, p99: \"< 10s\", min_samples: 100}\n"
	"  - name: counted\n"
	"    devices: {A: {count: 30}, B: {count: 10}}\n"
	"    expect:\n"
	"      sms: {sent: 40, lost: \"<= 2\"}\n"
	"      codes: [{issued: 30, who: A}, {used: 1, who: \"A[7]\"}]\n"
	"  - name: bad\n"
	"    devices: {count: 5, known: false, type: [lightSensor, thermometer]}\n"
	"    settings: {publish_interval: 1s}\n"
	"    steps: [{sleep: 3s}]\n"
	"    expect: {final: PROVISIONED, sms: {sent: 0}}\n"
	"  - name: good\n"
	"    devices: {count: 1}\n"
	"    expect: {final: PROVISIONED}\n";

static struct plans plans;

static void setup(void)
{
	struct source src = {.name = "t.yaml", .text = text, .len = strlen(text)};
	struct diags ds = {0};

	scenario_parse(&src, &ds, &plans);
	ck_assert_uint_eq(ds.errors, 0);
	diags_fini(&ds);
}

static void teardown(void)
{
	plans_fini(&plans);
}

static bool has_fault(json_t *plan, const char *what)
{
	size_t i;
	json_t *f;

	json_array_foreach(json_object_get(plan, "faults"), i, f) {
		if (strcmp(json_string_value(json_object_get(f, "do")), what) == 0)
			return true;
	}
	return false;
}

static json_int_t sleeps(json_t *plan)
{
	json_int_t sum = 0;
	size_t i;
	json_t *s;

	json_array_foreach(json_object_get(plan, "steps"), i, s) {
		sum += json_integer_value(json_object_get(s, "for_ns"));
	}
	return sum;
}

/* ---- judges ---- */

static bool needs_nothing(json_t *plan)
{
	(void)plan;
	return true;
}

static bool never_again(json_t *plan)
{
	(void)plan;
	return false;
}

static bool needs_drop_and_time(json_t *plan)
{
	return has_fault(plan, "drop_reply") && sleeps(plan) >= 3 * (json_int_t)NS_PER_S && shrink_devices(plan) >= 2;
}

static bool needs_both_faults(json_t *plan)
{
	return has_fault(plan, "lose") && has_fault(plan, "restart");
}

/* A text that is written for a good plan only. */
static void write(json_t *plan, struct buf *out)
{
	struct err e = {0};

	buf_init(out, SCENARIO_TEXT_MAX);
	ck_assert_msg(scenario_write(plan, NULL, out, &e) == 0, "%s", e.text);
}

/* Runs the search with `ways` under way at once; the answers come last first. */
static json_t *search(json_t *plan, bool (*judge)(json_t *), const char *check, unsigned ways, unsigned *trials)
{
	struct signature signature = {.id = "12345678"};
	json_t *under_way[WAYS_MAX], *best;
	uint64_t ticket[WAYS_MAX];
	struct shrink *s;
	unsigned n = 0;

	snprintf(signature.text, sizeof(signature.text), "%s: x", check);
	s = shrink_new(plan, &signature);
	*trials = 0;
	for (;;) {
		while (n < ways && (under_way[n] = shrink_next(s, &ticket[n])))
			n++;
		if (!n)
			break;
		n--;
		ck_assert_uint_lt(++*trials, TRIALS_MAX);
		shrink_told(s, ticket[n], judge(under_way[n]));
		json_decref(under_way[n]);
	}
	ck_assert(shrink_done(s));
	best = json_incref(shrink_best(s));
	shrink_free(s);
	return best;
}

static void written_as(json_t *plan, const char *expected)
{
	struct buf out;

	write(plan, &out);
	ck_assert_str_eq(out.data, expected);
	buf_fini(&out);
}

#define HEAD "version: 1\nsuite: regression\nscenarios:\n  - name: t-large\n"

START_TEST(test_to_what_matters)
{
	unsigned trials;
	json_t *best = search(plans.v[0], needs_drop_and_time, "final", 1, &trials);

	written_as(best, HEAD "    devices: {count: 2}\n"
			      "    faults:\n      - {on: server.reply, do: drop_reply}\n"
			      "    steps:\n      - {sleep: 3s}\n"
			      "    expect:\n      final: PROVISIONED\n");
	ck_assert_uint_lt(trials, 400);
	json_decref(best);
}
END_TEST

START_TEST(test_two_faults_that_need_each_other)
{
	unsigned trials;
	json_t *best = search(plans.v[0], needs_both_faults, "final", 1, &trials);

	ck_assert_int_eq(shrink_devices(best), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(best, "faults")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(best, "steps")), 0);
	json_decref(best);
}
END_TEST

START_TEST(test_as_small_as_can_be)
{
	unsigned trials;
	json_t *best = search(plans.v[0], needs_nothing, "final", 1, &trials);

	written_as(best, HEAD "    timeout: 10s\n    devices: {count: 1}\n    expect:\n      final: PROVISIONED\n");
	json_decref(best);
}
END_TEST

START_TEST(test_nothing_smaller)
{
	unsigned trials;
	json_t *best = search(plans.v[0], never_again, "final", 4, &trials);

	ck_assert(json_equal(best, plans.v[0]));
	ck_assert_uint_gt(trials, 50);
	json_decref(best);
}
END_TEST

/* Which one is taken follows from the plan alone. */
START_TEST(test_side_by_side)
{
	static bool (*const judges[])(json_t *) = {needs_nothing, needs_drop_and_time, needs_both_faults};
	unsigned trials;

	for (size_t j = 0; j < sizeof(judges) / sizeof(judges[0]); j++) {
		json_t *one = search(plans.v[0], judges[j], "final", 1, &trials);

		for (unsigned ways = 2; ways <= WAYS_MAX; ways++) {
			json_t *best = search(plans.v[0], judges[j], "final", ways, &trials);

			ck_assert_msg(json_equal(one, best), "judge %zu, %u at once", j, ways);
			json_decref(best);
		}
		json_decref(one);
	}
}
END_TEST

/* Less time would only count less. */
START_TEST(test_what_counts_keeps_its_time)
{
	unsigned trials;
	json_t *best = search(plans.v[0], needs_drop_and_time, "counts", 1, &trials);

	ck_assert_int_ge(sleeps(best), 5 * (json_int_t)NS_PER_S);
	ck_assert_int_eq(json_integer_value(json_object_get(best, "timeout_ns")), 600 * (json_int_t)NS_PER_S);
	json_decref(best);
}
END_TEST

static json_t *move_to(json_t *plan, enum shrink_class c, json_int_t devices)
{
	struct shrink_limits l = {0};
	json_t *list = shrink_moves(plan, c, &l), *found = NULL, *one;
	size_t i;

	json_array_foreach(list, i, one) {
		if (!found && shrink_devices(one) == devices)
			found = json_incref(one);
	}
	json_decref(list);
	return found;
}

/* Counts of devices go down with the devices; others stay. */
START_TEST(test_counts_go_along)
{
	json_t *two = move_to(plans.v[1], SHRINK_DEVICES, 2);

	ck_assert_ptr_nonnull(two);
	written_as(two, "version: 1\nsuite: t\nscenarios:\n  - name: counted\n    devices:\n      A: {count: 1}\n      B: {count: 1}\n"
			"    expect:\n      sms: {sent: 2, lost: \"<= 2\"}\n"
			"      codes:\n        - {issued: 1, who: A}\n        - {used: 1, who: \"A[1]\"}\n");
	json_decref(two);
}
END_TEST

/* With a group goes all that names it. */
START_TEST(test_groups_go_whole)
{
	json_t *b = move_to(plans.v[1], SHRINK_GROUPS, 10);
	struct buf out;

	ck_assert_ptr_nonnull(b);
	write(b, &out);
	ck_assert_ptr_null(strstr(out.data, "who: A"));
	ck_assert_ptr_null(strstr(out.data, "A[7]"));
	buf_fini(&out);
	json_decref(b);
}
END_TEST

/* ---- on the virtual rig ---- */

static void count_found(void *ctx, json_t *plan, unsigned trials)
{
	(void)plan;
	ck_assert_uint_gt(trials, 0);
	(*(unsigned *)ctx)++;
}

START_TEST(test_on_the_rig)
{
	unsigned found = 0;
	struct shrink_options o = {.found = count_found, .ctx = &found};
	struct shrink_result r;
	struct err e = {0};

	ck_assert_msg(shrink_run(plans.v[2], &o, &r, &e) == 0, "%s", e.text);
	ck_assert(r.complete);
	ck_assert_int_eq(r.signal_number, 0);
	ck_assert_uint_gt(found, 1);
	ck_assert_msg(strncmp(r.signature.text, "final: IDLE (refused, 403)", 26) == 0, "%s", r.signature.text);
	/* known: false is the cause; it stays */
	written_as(r.plan, "version: 1\nsuite: regression\nscenarios:\n  - name: t-bad\n    timeout: 10s\n"
			   "    devices: {count: 1, known: false}\n    expect:\n      final: PROVISIONED\n");
	shrink_result_fini(&r);
}
END_TEST

START_TEST(test_what_passes)
{
	struct shrink_options o = {0};
	struct shrink_result r;
	struct err e = {0};

	ck_assert_int_eq(shrink_run(plans.v[3], &o, &r, &e), ERR_NOTFOUND);
	ck_assert_ptr_nonnull(strstr(e.text, "does not fail on the virtual rig: PASS"));
	shrink_result_fini(&r);
}
END_TEST

START_TEST(test_bounded)
{
	struct shrink_options o = {.trials_max = 3, .jobs = 1};
	struct shrink_result r;
	struct err e = {0};

	ck_assert_int_eq(shrink_run(plans.v[2], &o, &r, &e), 0);
	ck_assert_uint_eq(r.trials, 3);
	ck_assert(!r.complete);
	ck_assert_ptr_nonnull(r.plan);
	shrink_result_fini(&r);
	o = (struct shrink_options){.program = "quicrig-nowhere"};
	ck_assert_int_eq(shrink_run(plans.v[2], &o, &r, &e), ERR_ENVIRONMENT);
	shrink_result_fini(&r);
}
END_TEST

START_TEST(test_what_cannot_be_said)
{
	struct shrink_options o = {0};
	struct shrink_result r;
	struct err e = {0};
	json_t *odd = json_deep_copy(plans.v[2]);

	json_object_set_new(odd, "phase_of_the_moon", json_integer(3));
	ck_assert_int_eq(shrink_run(odd, &o, &r, &e), ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "phase_of_the_moon"));
	shrink_result_fini(&r);
	json_decref(odd);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_to_what_matters, test_two_faults_that_need_each_other, test_as_small_as_can_be, test_nothing_smaller,
		test_side_by_side, test_what_counts_keeps_its_time, test_counts_go_along, test_groups_go_whole,
		test_on_the_rig, test_what_passes, test_bounded, test_what_cannot_be_said};
	Suite *s = suite_create("shrink");
	TCase *tc = tcase_create("shrink");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 120);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
