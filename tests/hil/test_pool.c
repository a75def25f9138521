/* The pool's supervision, on fake workers (fake_worker.c). */
#include <check.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/smstext.h"
#include "hil/modems/pool.h"
#include "hil/modems/pool_budget.h"

#define UUID "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define LATE 8.0 /* seconds after which a test has failed */

static struct {
	struct ev_loop *loop;
	struct pool *pool;
	struct journal *journal;
	struct faults *faults;
	struct buf lines;
	char dir[64], log[96], worker[512];
	struct modem_spec specs[8];
	struct pool_config cfg;
	int done, submitted, failed, unknown, last_cms, last_ref;
	int delivered, foreign;
	char text[256], from[64];
	bool off;
} t;

static int sink(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	return buf_add(&t.lines, line, len);
}

static void on_deliver(void *ctx, const char *uuid, const char *from, const char *text)
{
	(void)ctx;
	ck_assert_str_eq(uuid, UUID);
	snprintf(t.text, sizeof(t.text), "%s", text);
	snprintf(t.from, sizeof(t.from), "%s", from);
	t.delivered++;
}

static void on_foreign(void *ctx, const char *modem, const char *from, const char *text)
{
	(void)ctx;
	(void)modem;
	(void)text;
	ck_assert_str_eq(from, "Bank");
	t.foreign++;
}

static bool is_reachable(void *ctx, const char *uuid)
{
	(void)ctx;
	(void)uuid;
	return !t.off;
}

static void on_done(void *ctx, const char *id, enum pool_status status, int cms, int ref)
{
	(void)ctx;
	(void)id;
	t.done++;
	t.submitted += status == POOL_SUBMITTED;
	t.failed += status == POOL_FAILED;
	t.unknown += status == POOL_UNKNOWN;
	t.last_cms = cms;
	t.last_ref = ref;
}

static void setup(void)
{
	memset(&t, 0, sizeof(t));
	t.loop = ev_loop_new(EVFLAG_AUTO);
	snprintf(t.dir, sizeof(t.dir), "%s/quicrig-pool-XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(t.dir));
	snprintf(t.log, sizeof(t.log), "%s/log", t.dir);
	setenv("QUICRIG_FAKE_LOG", t.log, 1);
	snprintf(t.worker, sizeof(t.worker), "%s/quicrig-fake-worker", getenv("QUICRIG_BIN") ? getenv("QUICRIG_BIN") : ".");
	buf_init(&t.lines, 1 << 22);
	t.journal = journal_new(sink, NULL);
	t.faults = faults_new(1);
	journal_set_hook(t.journal, fault_hook, t.faults);
	t.cfg = (struct pool_config){.loop = t.loop,
				     .journal = t.journal,
				     .worker_path = t.worker,
				     .modems = t.specs,
				     .deliver = on_deliver,
				     .foreign = on_foreign,
				     .reachable = is_reachable,
				     .backoff_min_ns = 50 * NS_PER_MS};
}

static void teardown(void)
{
	char cmd[128];

	pool_free(t.pool);
	journal_free(t.journal);
	faults_free(t.faults);
	buf_fini(&t.lines);
	ev_loop_destroy(t.loop);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", t.dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* One more modem that behaves like this. */
static struct modem_spec *modem(const char *name, const char *how)
{
	struct modem_spec *s = &t.specs[t.cfg.modem_count++];

	s->name = name;
	s->device = how;
	return s;
}

static void start(void)
{
	struct err e = {0};

	t.pool = pool_new(&t.cfg, &e);
	ck_assert_msg(t.pool != NULL, "%s", e.text);
}

static void nothing(struct ev_loop *loop, struct ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
}

/* Runs the loop until `*what` is `want`, or for `s` seconds where `what` is NULL. */
static void run(const int *what, int want, double s)
{
	struct ev_timer step;
	double end = ev_time() + (what ? LATE : s);

	ev_timer_init(&step, nothing, 0.01, 0.01);
	ev_timer_start(t.loop, &step);
	while (ev_time() < end && (!what || *what != want))
		ev_run(t.loop, EVRUN_ONCE);
	ev_timer_stop(t.loop, &step);
	if (what)
		ck_assert_int_eq(*what, want);
}

static void ready(size_t n)
{
	double end = ev_time() + LATE;

	while (pool_ready_count(t.pool, MODEM_BOTH) < n && ev_time() < end)
		run(NULL, 0, 0.02);
	ck_assert_uint_eq(pool_ready_count(t.pool, MODEM_BOTH), n);
}

static int send_text(const char *id, const char *text)
{
	return pool_send(t.pool, id, "+34600111222", text, on_done, NULL, NULL);
}

static const char *code_text(void)
{
	static char text[SMSTEXT_MAX];
	struct smstext s = {.uuid = UUID, .code = "AB12cd34EF56", .r = "a1b2c3d4"};

	smstext_format(&s, 300, text);
	return text;
}

/* How often the fake workers noted a line. */
static int noted(const char *line)
{
	char buf[256];
	FILE *f = fopen(t.log, "r");
	int n = 0;

	while (f && fgets(buf, sizeof(buf), f))
		n += strncmp(buf, line, strlen(line)) == 0;
	if (f)
		fclose(f);
	return n;
}

static int journaled(const char *what)
{
	const char *at = t.lines.data;
	int n = 0;

	for (; at && (at = strstr(at, what)); at++)
		n++;
	return n;
}

START_TEST(sends_and_receives)
{
	modem("s1", "fake:ok+loop");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", code_text()), 0);
	run(&t.delivered, 1, 0);
	run(&t.submitted, 1, 0);
	ck_assert_str_eq(t.from, "+34600000001");
	ck_assert_str_eq(t.text, code_text());
	ck_assert_int_eq(t.last_ref, 1);
	run(NULL, 0, 0.1);
	ck_assert_int_eq(noted("s1 delete"), 1);
	ck_assert_int_eq(journaled("\"kind\":\"sms.delivered\""), 1);
	ck_assert_int_eq(journaled("\"kind\":\"sms.submitted\""), 0);
	/* neither code nor number stands in the journal */
	ck_assert_int_eq(journaled("AB12cd34EF56"), 0);
	ck_assert_int_eq(journaled("34600"), 0);
}
END_TEST

/* A judge of one scenario learns which modem has its device's SMS. */
START_TEST(sending_names_the_device)
{
	modem("s1", "fake:nosend");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", code_text()), 0);
	run(NULL, 0, 0.2);
	ck_assert_int_eq(journaled("\"dev\":\"" UUID "\""), 1);
	ck_assert_ptr_nonnull(strstr(strstr(t.lines.data, UUID), "SENDING"));
}
END_TEST

START_TEST(foreign_sms_stay)
{
	modem("s1", "fake:ok+foreign");
	start();
	run(&t.foreign, 1, 0);
	run(NULL, 0, 0.1);
	ck_assert_int_eq(noted("s1 delete"), 0);
}
END_TEST

START_TEST(wipe_deletes_foreign)
{
	t.cfg.wipe = true;
	modem("s1", "fake:ok+foreign");
	start();
	run(&t.foreign, 1, 0);
	run(NULL, 0, 0.1);
	ck_assert_int_eq(noted("s1 delete 7"), 1);
}
END_TEST

START_TEST(refused_goes_to_another)
{
	modem("s1", "fake:cms38");
	modem("s2", "fake:ok");
	start();
	ready(2);
	ck_assert_int_eq(send_text("a", "x"), 0);
	ck_assert_int_eq(send_text("b", "x"), 0);
	run(&t.submitted, 2, 0);
	ck_assert_int_eq(noted("s2 send"), 2);
	ck_assert_int_eq(journaled("\"kind\":\"sms.failed\""), 0);
	ck_assert_int_ge(journaled("pdu: fake"), 1);
}
END_TEST

START_TEST(refused_by_all_fails_with_cms)
{
	for (int i = 0; i < 5; i++)
		modem((const char *[]){"s1", "s2", "s3", "s4", "s5"}[i], "fake:cms38");
	start();
	ready(5);
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(&t.failed, 1, 0);
	ck_assert_int_eq(t.last_cms, 38);
	ck_assert_int_eq(journaled("\"cms\":38"), 1);
	ck_assert_int_eq(noted("s1 send") + noted("s2 send") + noted("s3 send") + noted("s4 send") + noted("s5 send"), 3);
}
END_TEST

/* A prompt without a code is a sure failure, too. */
START_TEST(no_prompt_goes_to_another)
{
	modem("s1", "fake:prompt");
	modem("s2", "fake:ok");
	start();
	ready(2);
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(&t.submitted, 1, 0);
	ck_assert_int_eq(noted("s1 send"), 1);
}
END_TEST

static void never_twice(const char *how)
{
	modem("s1", how);
	modem("s2", "fake:ok");
	t.specs[1].role = MODEM_RECEIVER;
	start();
	ready(2);
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(&t.unknown, 1, 0);
	run(NULL, 0, 0.3);
	ck_assert_int_eq(noted("s1 send a") + noted("s2 send a"), 1);
	ck_assert_int_eq(t.done, 1);
	ck_assert_int_eq(journaled("\"kind\":\"sms.unknown\""), 1);
	ck_assert_int_ge(journaled("\"UNKNOWN\""), 1);
	/* and it comes back */
	ready(2);
}

START_TEST(unknown_is_not_repeated)
{
	never_twice("fake:unknown");
}
END_TEST

START_TEST(death_while_sending_is_unknown)
{
	never_twice("fake:die");
	ck_assert_int_eq(noted("s1 start"), 2);
}
END_TEST

START_TEST(stuck_worker_is_killed)
{
	t.cfg.hang_ns = 600 * NS_PER_MS;
	never_twice("fake:hang");
	ck_assert_int_eq(noted("s1 start"), 2);
	ck_assert_int_ge(journaled("its worker is stuck"), 1);
}
END_TEST

/* The rig itself was stopped for a while: the result stands in the pipe, and counts. */
START_TEST(a_stop_of_ours_is_not_the_workers)
{
	struct timespec stop = {1, 0};

	t.cfg.result_ns = t.cfg.hang_ns = 600 * NS_PER_MS;
	modem("s1", "fake:ok");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", "x"), 0);
	nanosleep(&stop, NULL);
	run(&t.done, 1, 0);
	ck_assert_int_eq(t.submitted, 1);
	ck_assert_int_eq(noted("s1 start"), 1);
}
END_TEST

/* It answers pings for ever but never the send. */
START_TEST(send_without_result_ends)
{
	t.cfg.hang_ns = 400 * NS_PER_MS;
	t.cfg.result_ns = 700 * NS_PER_MS;
	never_twice("fake:nosend");
	ck_assert_int_ge(journaled("its worker gave no result"), 1);
}
END_TEST

START_TEST(others_work_on)
{
	t.cfg.hang_ns = 300 * NS_PER_MS;
	modem("s1", "fake:dieonce");
	modem("s2", "fake:ok");
	start();
	ready(2);
	for (int i = 0; i < 20; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%d", i);
		ck_assert_int_eq(send_text(id, "x"), 0);
	}
	run(&t.done, 20, 0);
	ck_assert_int_eq(t.unknown, 1);
	ck_assert_int_eq(t.submitted, 19);
	ck_assert_int_eq(noted("s1 send") + noted("s2 send"), 20);
	ready(2);
}
END_TEST

START_TEST(garbage_is_survived)
{
	modem("s1", "fake:ok+garbage+loop");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", code_text()), 0);
	run(&t.delivered, 1, 0);
	ck_assert_int_eq(noted("s1 start"), 1);
}
END_TEST

START_TEST(loud_worker_is_survived)
{
	modem("s1", "fake:ok+loud");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(&t.submitted, 1, 0);
}
END_TEST

START_TEST(not_ready_is_tried_again)
{
	modem("s1", "fake:notready");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(&t.submitted, 1, 0);
	ck_assert_int_eq(noted("s1 send a"), 2);
}
END_TEST

START_TEST(busy_when_the_queue_is_long)
{
	unsigned eta = 0;
	int rv = 0, taken = 0;

	modem("s1", "fake:slow");
	start();
	ready(1);
	for (; taken < 200 && !rv; taken++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", taken);
		rv = pool_send(t.pool, id, "+34600111222", "x", on_done, NULL, &eta);
	}
	ck_assert_int_eq(rv, ERR_BUSY);
	ck_assert_uint_gt(eta, POOL_BUSY_S);
	/* 60 s at 0.7 s each */
	ck_assert_int_ge(taken, 80);
	ck_assert_int_le(taken, 95);
}
END_TEST

START_TEST(no_sender_is_busy)
{
	modem("r1", "fake:ok")->role = MODEM_RECEIVER;
	modem("s1", "fake:absent");
	start();
	ready(1);
	run(NULL, 0, 0.2);
	ck_assert_int_eq(send_text("a", "x"), ERR_BUSY);
	ck_assert_uint_eq(pool_eta(t.pool), UINT32_MAX);
	ck_assert_uint_eq(pool_ready_count(t.pool, MODEM_SENDER), 0);
	ck_assert_uint_eq(pool_ready_count(t.pool, MODEM_RECEIVER), 1);
}
END_TEST

START_TEST(waits_for_a_modem_that_comes_up)
{
	modem("s1", "fake:late");
	start();
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(&t.submitted, 1, 0);
}
END_TEST

START_TEST(queue_has_an_end)
{
	t.cfg.queue_ns = 300 * NS_PER_MS;
	modem("s1", "fake:slow");
	start();
	ready(1);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(send_text((const char *[]){"0", "1", "2", "3", "4", "5"}[i], "x"), 0);
	run(&t.done, 6, 0);
	ck_assert_int_ge(t.failed, 2);
	ck_assert_int_ge(t.submitted, 2);
	ck_assert_int_eq(noted("s1 send"), t.submitted);
}
END_TEST

START_TEST(per_minute_holds)
{
	unsigned eta = 0;

	modem("s1", "fake:ok")->per_minute = 3;
	start();
	ready(1);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(pool_send(t.pool, (const char *[]){"0", "1", "2", "3", "4"}[i], "+34600111222", "x",
					   on_done, NULL, &eta),
				 0);
	run(NULL, 0, 0.8);
	ck_assert_int_eq(t.submitted, 3);
	ck_assert_int_eq(noted("s1 send"), 3);
	ck_assert_uint_ge(pool_eta(t.pool), 40);
}
END_TEST

START_TEST(day_is_kept_durably)
{
	char path[128];
	struct pool_modem m;

	snprintf(path, sizeof(path), "%s/budget.json", t.dir);
	t.cfg.budget_file = path;
	modem("s1", "fake:ok")->per_day = 2;
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", "x"), 0);
	ck_assert_int_eq(send_text("b", "x"), 0);
	run(&t.submitted, 2, 0);
	ck_assert_int_eq(send_text("c", "x"), ERR_BUSY);
	pool_free(t.pool);
	start();
	ready(1);
	ck_assert_int_eq(send_text("d", "x"), ERR_BUSY);
	ck_assert(pool_modem(t.pool, 0, &m));
	ck_assert_uint_eq(m.day_sent, 2);
	ck_assert(!pool_modem(t.pool, 1, &m));
}
END_TEST

START_TEST(broken_budget_is_an_error)
{
	char path[128];
	struct err e = {0};
	FILE *f;

	snprintf(path, sizeof(path), "%s/budget.json", t.dir);
	f = fopen(path, "w");
	fputs("{\"version\": 1, ", f);
	fclose(f);
	t.cfg.budget_file = path;
	modem("s1", "fake:ok");
	ck_assert_ptr_null(pool_new(&t.cfg, &e));
	ck_assert_int_eq(e.code, ERR_IO);
	ck_assert_str_eq(e.source, path);
}
END_TEST

/* Two runs at once, and a disk that is full for a while. */
START_TEST(budget_is_shared)
{
	struct pool_budget *a, *b;
	char path[128], moved[160];
	unsigned day, month;

	snprintf(path, sizeof(path), "%s/shared/budget.json", t.dir);
	snprintf(moved, sizeof(moved), "%s/shared", t.dir);
	ck_assert_int_eq(mkdir(moved, 0700), 0);
	a = pool_budget_open(path, NULL);
	b = pool_budget_open(path, NULL);
	ck_assert_int_eq(pool_budget_count(a, "m", 1769817600), 0);
	ck_assert_int_eq(pool_budget_count(b, "m", 1769817600), 0);
	ck_assert_int_eq(pool_budget_count(b, "n", 1769817600), 0);
	ck_assert_int_eq(pool_budget_count(a, "m", 1769817600), 0);
	pool_budget_spent(a, "m", 1769817600, &day, &month);
	ck_assert_uint_eq(day, 3);
	pool_budget_spent(a, "n", 1769817600, &day, &month);
	ck_assert_uint_eq(day, 1);
	/* no folder: it cannot be written, but it counts on */
	snprintf(moved, sizeof(moved), "mv %s/shared %s/gone", t.dir, t.dir);
	ck_assert_int_eq(system(moved), 0);
	ck_assert_int_ne(pool_budget_count(a, "m", 1769817600), 0);
	snprintf(moved, sizeof(moved), "mv %s/gone %s/shared", t.dir, t.dir);
	ck_assert_int_eq(system(moved), 0);
	ck_assert_int_eq(pool_budget_count(a, "m", 1769817600), 0);
	pool_budget_spent(a, "m", 1769817600, &day, &month);
	ck_assert_uint_eq(day, 5);
	pool_budget_close(a);
	pool_budget_close(b);
}
END_TEST

START_TEST(budget_counts_by_date)
{
	struct pool_budget *b = pool_budget_open(NULL, NULL);
	unsigned day, month;

	ck_assert_int_eq(pool_budget_count(b, "m", 1769817600), 0); /* 2026-01-31 */
	ck_assert_int_eq(pool_budget_count(b, "m", 1769817601), 0);
	pool_budget_spent(b, "m", 1769817602, &day, &month);
	ck_assert_uint_eq(day, 2);
	pool_budget_spent(b, "m", 1769817600 + 86400, &day, &month); /* February */
	ck_assert_uint_eq(day, 0);
	ck_assert_uint_eq(month, 0);
	ck_assert_int_eq(pool_budget_count(b, "m", 1769817600 + 86400), 0);
	pool_budget_spent(b, "m", 1769817600 + 2 * 86400, &day, &month);
	ck_assert_uint_eq(day, 0);
	ck_assert_uint_eq(month, 1);
	pool_budget_close(b);
}
END_TEST

START_TEST(held_until_the_device_wakes)
{
	struct pool_stats st;

	t.off = true;
	modem("s1", "fake:ok+loop");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", code_text()), 0);
	run(&t.submitted, 1, 0);
	run(NULL, 0, 0.1);
	ck_assert_int_eq(t.delivered, 0);
	ck_assert_int_eq(journaled("\"kind\":\"sms.delivered\""), 0);
	pool_stats(t.pool, &st);
	ck_assert_uint_eq(st.held, 1);
	pool_wake(t.pool, "00000000-0000-0000-0000-000000000000");
	ck_assert_int_eq(t.delivered, 0);
	pool_wake(t.pool, UUID);
	ck_assert_int_eq(t.delivered, 1);
	pool_wake(t.pool, UUID);
	ck_assert_int_eq(t.delivered, 1);
}
END_TEST

static void arm(const char *on, const char *what, const char *args)
{
	json_t *f = json_pack("{s:s, s:s, s:s, s:o}", "name", "f0", "on", on, "do", what, "args",
			      json_loads(args, 0, NULL));
	struct err e = {0};

	ck_assert_int_eq(faults_arm(t.faults, f, &e), 0);
	json_decref(f);
}

static void one_with(const char *on, const char *what, const char *args)
{
	arm(on, what, args);
	modem("s1", "fake:ok+loop");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", code_text()), 0);
	run(&t.submitted, 1, 0);
	run(NULL, 0, 0.1);
	ck_assert_int_eq(journaled("fault.fired"), 1);
}

START_TEST(fault_lose)
{
	one_with("sms.delivered", "lose", "{}");
	ck_assert_int_eq(t.delivered, 0);
	ck_assert_int_eq(journaled("sms.lost"), 1);
}
END_TEST

START_TEST(fault_delay)
{
	one_with("sms.delivered", "delay", "{\"by_ns\": 300000000}");
	ck_assert_int_eq(t.delivered, 0);
	run(&t.delivered, 1, 0);
}
END_TEST

START_TEST(fault_delay_left_at_the_end)
{
	one_with("sms.delivered", "delay", "{\"by_ns\": 30000000000}");
	ck_assert_int_eq(t.delivered, 0);
}
END_TEST

START_TEST(fault_duplicate)
{
	one_with("sms.delivered", "duplicate", "{}");
	ck_assert_int_eq(t.delivered, 2);
}
END_TEST

START_TEST(fault_replace_code)
{
	struct smstext s;

	one_with("sms.delivered", "replace_code", "{\"with\": \"AAAAAAAAAAAA\"}");
	ck_assert_int_eq(t.delivered, 1);
	ck_assert(smstext_parse(t.text, &s));
	ck_assert_str_eq(s.code, "AAAAAAAAAAAA");
	ck_assert_str_eq(s.uuid, UUID);
}
END_TEST

START_TEST(fault_replace_sender)
{
	one_with("sms.delivered", "replace_sender", "{\"with\": \"Mallory\"}");
	ck_assert_str_eq(t.from, "Mallory");
}
END_TEST

/* Without an emulator the pool writes sms.submitted, and its faults act on arrival. */
START_TEST(fault_on_real_submitted)
{
	t.cfg.real = true;
	one_with("sms.submitted", "replace_code", "{\"with\": \"BBBBBBBBBBBB\"}");
	ck_assert_int_eq(t.delivered, 1);
	ck_assert_ptr_nonnull(strstr(t.text, "#BBBBBBBBBBBB"));
	ck_assert_int_eq(journaled("\"kind\":\"sms.submitted\""), 1);
}
END_TEST

START_TEST(wrong_imei_is_ejected)
{
	struct pool_modem m;

	modem("s1", "fake:ok")->imei = "111111111111111";
	start();
	run(NULL, 0, 0.4);
	ck_assert(pool_modem(t.pool, 0, &m));
	ck_assert_int_eq(m.state, MODEM_ABSENT);
	ck_assert_ptr_nonnull(strstr(m.why, "490154203237518"));
	ck_assert_int_eq(noted("s1 start"), 1);
}
END_TEST

START_TEST(pin_goes_by_descriptor_and_once)
{
	struct pool_modem m;

	modem("s1", "fake:pin")->pin = "1234";
	start();
	run(NULL, 0, 0.4);
	ck_assert(pool_modem(t.pool, 0, &m));
	ck_assert_int_eq(m.state, MODEM_PIN);
	ck_assert_int_eq(noted("s1 pin 1234"), 1);
	ck_assert_int_eq(noted("s1 start"), 1);
	ck_assert_int_eq(send_text("a", "x"), ERR_BUSY);
}
END_TEST

START_TEST(quits_gracefully)
{
	modem("s1", "fake:slow");
	modem("s2", "fake:ok");
	start();
	ready(2);
	ck_assert_int_eq(send_text("a", "x"), 0);
	ck_assert_int_eq(send_text("b", "x"), 0);
	ck_assert_int_eq(send_text("c", "x"), 0);
	pool_quit(t.pool, 2 * NS_PER_S);
	/* what was under way got its result, what was queued surely was not sent */
	ck_assert_int_eq(t.done, 3);
	ck_assert_int_eq(t.submitted, 2);
	ck_assert_int_eq(t.failed, 1);
	ck_assert_int_eq(noted("s1 quit"), 1);
	ck_assert_int_eq(noted("s2 quit"), 1);
	ck_assert_int_eq(send_text("d", "x"), ERR_BUSY);
}
END_TEST

START_TEST(stubborn_worker_is_killed_at_the_end)
{
	double before;

	modem("s1", "fake:stubborn+nosend");
	start();
	ready(1);
	ck_assert_int_eq(send_text("a", "x"), 0);
	run(NULL, 0, 0.1);
	before = ev_time();
	pool_quit(t.pool, 300 * NS_PER_MS);
	ck_assert(ev_time() - before < 3);
	ck_assert_int_eq(t.unknown, 1);
	ck_assert_int_eq(noted("s1 quit"), 0);
}
END_TEST

START_TEST(bad_configurations)
{
	struct err e = {0};

	modem("s1", "fake:ok");
	t.cfg.worker_path = "/nonexistent/quicrig-modem";
	ck_assert_ptr_null(pool_new(&t.cfg, &e));
	ck_assert_int_eq(e.code, ERR_ENVIRONMENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/quicrig-modem"));
	t.cfg.worker_path = t.worker;
	memset(&e, 0, sizeof(e));
	modem("s1", "fake:ok");
	ck_assert_ptr_null(pool_new(&t.cfg, &e));
	ck_assert_int_eq(e.code, ERR_INVALID);
	memset(&e, 0, sizeof(e));
	t.specs[1].name = "a b";
	ck_assert_ptr_null(pool_new(&t.cfg, &e));
	ck_assert_int_eq(e.code, ERR_INVALID);
	memset(&e, 0, sizeof(e));
	t.cfg.modem_count = 0;
	ck_assert_ptr_null(pool_new(&t.cfg, &e));
	ck_assert_int_eq(e.code, ERR_INVALID);
}
END_TEST

/* Executable, but the system cannot run it: told at once and tried again. */
START_TEST(worker_that_cannot_run)
{
	char path[128];
	struct pool_modem m;
	int fd;

	snprintf(path, sizeof(path), "%s/worker", t.dir);
	fd = open(path, O_WRONLY | O_CREAT, 0700);
	ck_assert_int_eq(write(fd, "\x7f""ELFjunk", 8), 8);
	close(fd);
	t.cfg.worker_path = path;
	modem("s1", "fake:ok");
	start();
	run(NULL, 0, 0.1);
	ck_assert(pool_modem(t.pool, 0, &m));
	ck_assert_int_eq(m.state, MODEM_ABSENT);
	ck_assert_ptr_nonnull(strstr(m.why, "cannot run"));
}
END_TEST

START_TEST(bad_requests)
{
	char id[POOL_ID_MAX + 2];
	static char text[POOL_TEXT_MAX + 2];

	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	memset(text, 'x', sizeof(text) - 1);
	modem("s1", "fake:ok");
	start();
	ck_assert_int_eq(pool_send(t.pool, "", "+34600111222", "x", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, id, "+34600111222", "x", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, "a", "34 600", "x", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, "a", "12", "x", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, "a", "123456789012345678901", "x", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, "a", "+34600111222\r", "x", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, "a", "+34600111222", "", on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(pool_send(t.pool, "a", "+34600111222", text, on_done, NULL, NULL), ERR_INVALID);
	ck_assert_int_eq(t.done, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pool");
	TCase *tc = tcase_create("fake workers");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 30);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, sends_and_receives);
	tcase_add_test(tc, sending_names_the_device);
	tcase_add_test(tc, foreign_sms_stay);
	tcase_add_test(tc, wipe_deletes_foreign);
	tcase_add_test(tc, refused_goes_to_another);
	tcase_add_test(tc, refused_by_all_fails_with_cms);
	tcase_add_test(tc, no_prompt_goes_to_another);
	tcase_add_test(tc, unknown_is_not_repeated);
	tcase_add_test(tc, death_while_sending_is_unknown);
	tcase_add_test(tc, stuck_worker_is_killed);
	tcase_add_test(tc, a_stop_of_ours_is_not_the_workers);
	tcase_add_test(tc, send_without_result_ends);
	tcase_add_test(tc, others_work_on);
	tcase_add_test(tc, garbage_is_survived);
	tcase_add_test(tc, loud_worker_is_survived);
	tcase_add_test(tc, not_ready_is_tried_again);
	tcase_add_test(tc, busy_when_the_queue_is_long);
	tcase_add_test(tc, no_sender_is_busy);
	tcase_add_test(tc, waits_for_a_modem_that_comes_up);
	tcase_add_test(tc, queue_has_an_end);
	tcase_add_test(tc, per_minute_holds);
	tcase_add_test(tc, day_is_kept_durably);
	tcase_add_test(tc, broken_budget_is_an_error);
	tcase_add_test(tc, budget_is_shared);
	tcase_add_test(tc, budget_counts_by_date);
	tcase_add_test(tc, held_until_the_device_wakes);
	tcase_add_test(tc, fault_lose);
	tcase_add_test(tc, fault_delay);
	tcase_add_test(tc, fault_delay_left_at_the_end);
	tcase_add_test(tc, fault_duplicate);
	tcase_add_test(tc, fault_replace_code);
	tcase_add_test(tc, fault_replace_sender);
	tcase_add_test(tc, fault_on_real_submitted);
	tcase_add_test(tc, wrong_imei_is_ejected);
	tcase_add_test(tc, pin_goes_by_descriptor_and_once);
	tcase_add_test(tc, quits_gracefully);
	tcase_add_test(tc, stubborn_worker_is_killed_at_the_end);
	tcase_add_test(tc, bad_configurations);
	tcase_add_test(tc, worker_that_cannot_run);
	tcase_add_test(tc, bad_requests);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
