/* Trials on the virtual rig: verdict, hash and journal of a plan, judged as it comes or
 * kept; many side by side; a rig that is not there; stopped in the middle. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hil/language/scenario.h"
#include "hil/run/proc.h"
#include "hil/run/trial.h"

static const char text[] = "version: 1\n"
			   "suite: t\n"
			   "scenarios:\n"
			   "  - name: good\n"
			   "    devices: {count: 2}\n"
			   "    expect: {final: PROVISIONED}\n"
			   "  - name: bad\n"
			   "    devices: {count: 1, known: false}\n"
			   "    expect: {final: PROVISIONED}\n"
			   "  - name: long\n"
			   "    timeout: 100d\n"
			   "    wall: 100s\n"
			   "    settings: {publish_interval: 1s}\n"
			   "    devices: {count: 10}\n"
			   "    steps: [{sleep: 90d}]\n"
			   "    expect: {final: PROVISIONED}\n"
			   "  - name: fifth\n"
			   "    timeout: 100s\n"
			   "    settings: {publish_interval: 1s}\n"
			   "    devices: {count: 1}\n"
			   "    faults:\n"
			   "      - {on: server.reply, match: {resource: publishMeasure}, nth: 5, do: drop_reply}\n"
			   "      - {at: 4s, do: restart}\n"
			   "    steps: [{sleep: 60s}]\n"
			   "    expect: {final: PROVISIONED}\n";

static struct plans plans;

static void setup(void)
{
	struct source src = {.name = "t.yaml", .text = text, .len = strlen(text)};
	struct diags ds = {0};

	scenario_parse(&src, &ds, &plans);
	diags_print(&ds, stderr);
	ck_assert_uint_eq(ds.errors, 0);
	diags_fini(&ds);
}

static void teardown(void)
{
	plans_fini(&plans);
}

START_TEST(test_kept_and_streamed_alike)
{
	struct err e = {0};
	struct trial *kept = trial_once(plans.v[0], NULL, true, &e), *streamed;
	char hash[65];

	ck_assert_msg(kept, "%s", e.text);
	ck_assert_int_eq(kept->result->verdict, VERDICT_PASS);
	ck_assert_uint_eq(tape_count(kept->tape), kept->events);
	tape_sha256(kept->tape, hash);
	ck_assert_str_eq(hash, kept->hash);
	streamed = trial_once(plans.v[0], NULL, false, &e);
	ck_assert_msg(streamed, "%s", e.text);
	ck_assert_ptr_null(streamed->tape);
	ck_assert_int_eq(streamed->result->verdict, VERDICT_PASS);
	ck_assert_uint_eq(streamed->events, kept->events);
	ck_assert_str_eq(streamed->hash, hash);
	trial_free(kept);
	trial_free(streamed);
}
END_TEST

START_TEST(test_fails)
{
	struct err e = {0};
	struct trial *t = trial_once(plans.v[1], NULL, false, &e);

	ck_assert_msg(t, "%s", e.text);
	ck_assert_int_eq(t->result->verdict, VERDICT_FAIL);
	ck_assert(!t->interrupted);
	trial_free(t);
}
END_TEST

struct nth {
	unsigned armed, before, after;
	bool down, fired;
};

static void watch(struct trial *t, const struct journal_event *ev, const char *line, size_t len)
{
	struct nth *n = t->user;

	(void)line;
	(void)len;
	n->down |= ev->kind == J_SERVER_STATE && strcmp(journal_text(ev, JF_STATE), "down") == 0;
	n->armed += ev->kind == J_FAULT_ARMED;
	n->fired |= ev->kind == J_FAULT_FIRED && strcmp(journal_text(ev, JF_WHY), "time") != 0;
	if (ev->kind == J_SERVER_REPLY && !n->fired && strcmp(journal_text(ev, JF_RESOURCE), "publishMeasure") == 0)
		*(n->down ? &n->after : &n->before) += 1;
}

static struct trial *one_next(void *ctx);
static void one_done(void *ctx, struct trials *ts, struct trial *t);
static struct trial *last;
static struct nth nth;

static struct trial *watched_next(void *ctx)
{
	struct trial *t = one_next(ctx);

	if (t) {
		t->event = watch;
		t->user = &nth;
	}
	return t;
}

/* As on the live rig, where a new process knows nothing of what the last one counted. */
START_TEST(test_a_new_server_counts_from_one)
{
	json_t *plan = plans.v[3];
	struct trials_options o = {.next = watched_next, .done = one_done, .ctx = &plan};
	struct err e = {0};

	nth = (struct nth){0};
	ck_assert_int_eq(trials_run(&o, NULL, &e), 0);
	ck_assert_int_eq(last->result->verdict, VERDICT_PASS);
	trial_free(last);
	ck_assert(nth.fired);
	ck_assert_uint_eq(nth.armed, 2);
	ck_assert_uint_ge(nth.before, 1);
	ck_assert_uint_ge(nth.after, 4); /* and the fifth never left */
}
END_TEST

START_TEST(test_no_program)
{
	struct err e = {0};

	ck_assert_ptr_null(trial_once(plans.v[0], "quicrig-nowhere", false, &e));
	ck_assert_int_eq(e.code, ERR_ENVIRONMENT);
	ck_assert_msg(strstr(e.text, "quicrig-nowhere"), "%s", e.text);
}
END_TEST

/* ---- many ---- */

#define MANY 12

struct many {
	unsigned asked, ended, passed, seen, cut;
	size_t plan;
	char hash[65];
	unsigned stop_after;
	const char *spoilt; /* a program that is no more behind the first */
};

static void count(struct trial *t, const struct journal_event *ev, const char *line, size_t len)
{
	struct many *m = t->user;

	ck_assert(ev->t > 0 && len > 0 && line[0] == '{');
	m->seen++;
}

static struct trial *next(void *ctx)
{
	struct many *m = ctx;
	struct trial *t;

	if (m->asked == MANY)
		return NULL;
	m->asked++;
	t = trial_new(plans.v[m->plan]);
	ck_assert_ptr_nonnull(t);
	t->event = count;
	t->user = m;
	return t;
}

static void done(void *ctx, struct trials *ts, struct trial *t)
{
	struct many *m = ctx;

	m->ended++;
	m->cut += t->interrupted;
	m->passed += t->result->verdict == VERDICT_PASS;
	if (!m->hash[0])
		memcpy(m->hash, t->hash, sizeof(m->hash));
	else if (!t->interrupted)
		ck_assert_str_eq(m->hash, t->hash);
	trial_free(t);
	if (m->spoilt && m->ended == 1) {
		/* as a linker does it: another file of that name, which cannot be run yet */
		ck_assert_int_eq(unlink(m->spoilt), 0);
		ck_assert_int_eq(close(open(m->spoilt, O_WRONLY | O_CREAT | O_EXCL, 0600)), 0);
	}
	if (m->ended == m->stop_after)
		trials_stop(ts);
}

START_TEST(test_many)
{
	struct many m = {0};
	struct trials_options o = {.jobs = 4, .next = next, .done = done, .ctx = &m};
	struct err e = {0};

	ck_assert_int_eq(trials_run(&o, NULL, &e), 0);
	ck_assert_uint_eq(m.ended, MANY);
	ck_assert_uint_eq(m.passed, MANY);
	ck_assert_uint_gt(m.seen, MANY * 20);
}
END_TEST

/* Whoever builds while it runs takes no program away from it. */
START_TEST(test_relinked)
{
	char name[40], path[4200];
	struct many m = {.spoilt = path};
	struct trials_options o = {.jobs = 2, .program = name, .next = next, .done = done, .ctx = &m};
	struct err e = {0};

	snprintf(name, sizeof(name), "test_trial.%d", (int)getpid());
	snprintf(path, sizeof(path), "%s", proc_sibling(name));
	ck_assert_int_eq(link(proc_sibling("quicrig-virtual"), path), 0);
	ck_assert_int_eq(trials_run(&o, NULL, &e), 0);
	unlink(path);
	ck_assert_uint_eq(m.passed, MANY);
	ck_assert_ptr_null(trial_once(plans.v[0], name, false, &e)); /* that one is gone */
}
END_TEST

START_TEST(test_stopped)
{
	struct many m = {.stop_after = 1};
	struct trials_options o = {.jobs = 4, .next = next, .done = done, .ctx = &m};
	struct err e = {0};

	ck_assert_int_eq(trials_run(&o, NULL, &e), 0);
	ck_assert_uint_lt(m.asked, MANY);
	ck_assert_uint_eq(m.ended, m.asked);
}
END_TEST

START_TEST(test_wall)
{
	struct many m = {.plan = 2};
	struct trials_options o = {.jobs = 2, .next = next, .done = done, .ctx = &m, .wall_s = 0.5};
	struct err e = {0};

	ck_assert_int_eq(trials_run(&o, NULL, &e), ERR_CLOSED);
	ck_assert_uint_eq(m.asked, 2);
	ck_assert_uint_eq(m.cut, 2);
	ck_assert_uint_eq(m.passed, 0);
}
END_TEST

static struct trial *one_next(void *ctx)
{
	json_t **plan = ctx, *taken = *plan;

	*plan = NULL;
	return taken ? trial_new(taken) : NULL;
}

static void one_done(void *ctx, struct trials *ts, struct trial *t)
{
	(void)ctx;
	(void)ts;
	last = t;
}

/* Whoever asked has it back, and the whole ends with an error. */
START_TEST(test_cannot_begin)
{
	json_t *bad = json_pack("{s:s, s:{s:i}}", "id", "t/x", "settings", "moon", 3), *plan = bad;
	struct trials_options o = {.next = one_next, .done = one_done, .ctx = &plan};
	struct err e = {0};

	last = NULL;
	ck_assert_int_lt(trials_run(&o, NULL, &e), 0);
	ck_assert_str_ne(e.text, "");
	ck_assert_ptr_nonnull(last);
	ck_assert(last->interrupted);
	trial_free(last);
	json_decref(bad);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trial");
	TCase *c = tcase_create("trial");
	SRunner *run;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_kept_and_streamed_alike);
	tcase_add_test(c, test_fails);
	tcase_add_test(c, test_a_new_server_counts_from_one);
	tcase_add_test(c, test_no_program);
	tcase_add_test(c, test_many);
	tcase_add_test(c, test_relinked);
	tcase_add_test(c, test_stopped);
	tcase_add_test(c, test_wall);
	tcase_add_test(c, test_cannot_begin);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
