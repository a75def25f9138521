/* The plan engine against a rig that only writes down what it is asked for. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/run/plan.h"

struct log {
	char text[4096];
	struct plan *plan;
	bool busy;
	json_int_t seed; /* of the fault that was armed last */
};

static void say(struct log *l, const char *word, unsigned index)
{
	size_t n = strlen(l->text);

	snprintf(l->text + n, sizeof(l->text) - n, "%s%u ", word, index);
}

static void power(void *ctx, const struct instant *at, unsigned index, bool on)
{
	struct log *l = ctx;

	say(l, on ? "on" : "off", index);
	plan_state_changed(l->plan, at, index, on ? STATE_NP : STATE_OFF);
}

static void drop(void *ctx, const struct instant *at, unsigned index)
{
	(void)at;
	say(ctx, "drop", index);
}

static void net(void *ctx, const struct instant *at, unsigned index, const struct plan_net *what)
{
	static const char *const names[] = {"dark", "lose", "port", "address"};
	struct log *l = ctx;
	char word[80];

	snprintf(word, sizeof(word), "%s@%g/%g/%llx/%llx:", names[what->what], (double)at->now / 1e9,
		 (double)what->length / 1e9, (unsigned long long)what->up, (unsigned long long)what->down);
	say(l, word, index);
}

static void server(void *ctx, const struct instant *at, enum plan_server_do what)
{
	(void)at;
	say(ctx, what == PLAN_SERVER_START ? "start" : what == PLAN_SERVER_KILL ? "kill" : "stop", 0);
}

static void disk(void *ctx, const struct instant *at, unsigned index, enum disk_trouble what, time_ns length)
{
	char word[80];

	(void)at;
	snprintf(word, sizeof(word), "disk%d/%g:", (int)what, (double)length / 1e9);
	say(ctx, word, index);
}

static void clock_step(void *ctx, const struct instant *at, unsigned index, int64_t by_ms)
{
	char word[80];

	(void)at;
	snprintf(word, sizeof(word), "clock/%d:", (int)by_ms);
	say(ctx, word, index);
}

static void operate(void *ctx, const struct instant *at, json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "what"));
	json_t *ms = json_object_get(request, "ms"), *length = json_object_get(request, "for_ns");
	char word[120];

	(void)at;
	snprintf(word, sizeof(word), "%s%s%s", json_string_value(json_object_get(request, "do")), what ? "/" : "", what ? what : "");
	if (ms || length)
		snprintf(word + strlen(word), sizeof(word) - strlen(word), "/%d:", (int)json_integer_value(ms ? ms : length));
	say(ctx, word, 0);
	((struct log *)ctx)->busy = true;
}

static bool busy(void *ctx)
{
	return ((struct log *)ctx)->busy;
}

static int arm(void *ctx, enum plan_actor where, json_t *spec, struct err *e)
{
	const char *on = json_string_value(json_object_get(spec, "on")), *point = json_string_value(json_object_get(spec, "at"));
	char word[80];

	(void)e;
	((struct log *)ctx)->seed = json_integer_value(json_object_get(spec, "seed"));
	snprintf(word, sizeof(word), "%s%s%s", on ? on : "", on && point ? "/" : "", point ? point : "");
	say(ctx, word, (unsigned)where);
	return 0;
}

static struct instant at_s(double s)
{
	struct instant i = {.now = (time_ns)(s * 1e9)};

	return i;
}

struct world {
	struct log log;
	json_t *json;
	struct plan *plan;
	struct journal *journal;
	unsigned fired;
};

/* As the rigs have it: every fault.fired comes back to the plan. */
static void heard(void *ctx, const struct journal_event *ev)
{
	struct world *w = ctx;
	struct instant at = {.now = ev->t};

	if (ev->kind != J_FAULT_FIRED)
		return;
	w->fired++;
	plan_fault_fired(w->plan, &at, journal_text(ev, JF_NAME), ev->dev);
}

static void open_plan(struct world *w, const char *rest)
{
	struct plan_rig rig = {.ctx = &w->log, .power = power, .drop = drop, .net = net, .disk = disk, .clock = clock_step, .server = server, .operate = operate, .busy = busy, .arm = arm};
	char text[4096];
	struct err e = {0};
	struct instant t0 = at_s(0);

	memset(w, 0, sizeof(*w));
	snprintf(text, sizeof(text),
		 "{\"v\":1,\"id\":\"s/n\",\"seed\":\"0x5eed\",\"timeout_ns\":30000000000,"
		 "\"modems\":{\"senders\":4,\"receivers\":2},%s}",
		 rest);
	w->json = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(w->json);
	w->journal = journal_new(NULL, NULL);
	ck_assert_ptr_nonnull(w->journal);
	journal_set_reader(w->journal, heard, w);
	w->plan = plan_new(w->json, &rig, w->journal, &e);
	ck_assert_msg(w->plan != NULL, "%s", e.text);
	w->log.plan = w->plan;
	ck_assert_int_eq(plan_arm(w->plan, &t0, &e), 0);
	plan_start(w->plan, &t0);
}

static void close_plan(struct world *w)
{
	plan_free(w->plan);
	journal_free(w->journal);
	json_decref(w->json);
}

static enum plan_end tick(struct world *w, double s)
{
	struct instant at = at_s(s);

	return plan_expire(w->plan, &at);
}

static void state(struct world *w, double s, unsigned i, enum state_name to)
{
	struct instant at = at_s(s);

	plan_state_changed(w->plan, &at, i, to);
}

START_TEST(one_device_settles)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"expect\":{\"final\":[{\"state\":\"PROVISIONED\"}]}");
	ck_assert_int_eq(tick(&w, 0), PLAN_RUNNING);
	ck_assert_str_eq(w.log.text, "on0 ");
	state(&w, 0.1, 0, STATE_RG);
	ck_assert_int_eq(tick(&w, 1), PLAN_RUNNING);
	state(&w, 1, 0, STATE_PV);
	ck_assert_int_eq(tick(&w, 1.2), PLAN_RUNNING); /* lingers */
	ck_assert_uint_eq(plan_deadline(w.plan), (time_ns)1300 * NS_PER_MS);
	ck_assert_int_eq(tick(&w, 1.3), PLAN_SETTLED);
	ck_assert_uint_eq(plan_deadline(w.plan), TIME_NEVER);
	close_plan(&w);
}
END_TEST

START_TEST(wrong_idle_ends_at_once_and_pv_may_still_change)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2}],\"expect\":{\"final\":[{\"state\":\"PROVISIONED\"}]}");
	tick(&w, 0);
	state(&w, 1, 0, STATE_IDLE);
	state(&w, 1, 1, STATE_PV);
	ck_assert_int_eq(tick(&w, 2), PLAN_SETTLED); /* IDLE never leaves by itself */
	close_plan(&w);
	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"expect\":{\"final\":[{\"state\":\"IDLE\"}]}");
	tick(&w, 0);
	state(&w, 1, 0, STATE_PV);
	ck_assert_int_eq(tick(&w, 20), PLAN_RUNNING);
	state(&w, 21, 0, STATE_RF);
	state(&w, 21, 0, STATE_IDLE);
	ck_assert_int_eq(tick(&w, 22), PLAN_SETTLED);
	close_plan(&w);
}
END_TEST

START_TEST(timeout_says_who)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2}]");
	tick(&w, 0);
	state(&w, 1, 0, STATE_PV);
	ck_assert_int_eq(tick(&w, 29.9), PLAN_RUNNING);
	ck_assert_int_eq(tick(&w, 30), PLAN_TIMEOUT);
	ck_assert_ptr_nonnull(strstr(plan_why(w.plan), "1 of 2 devices not settled"));
	close_plan(&w);
}
END_TEST

START_TEST(silence_counts_from_the_last_change)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"expect\":{\"idle\":[{\"silent_for_ns\":10000000000}]}");
	tick(&w, 0);
	state(&w, 2, 0, STATE_IDLE);
	ck_assert_int_eq(tick(&w, 11.9), PLAN_RUNNING);
	ck_assert_int_eq(tick(&w, 12), PLAN_SETTLED);
	close_plan(&w);
}
END_TEST

/* A fleet that refreshes all the time keeps nobody from being silent, a step among it does. */
START_TEST(silence_is_the_idle_ones)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2}],\"expect\":{\"idle\":[{\"silent_for_ns\":10000000000}]}");
	tick(&w, 0);
	state(&w, 2, 0, STATE_IDLE);
	state(&w, 3, 1, STATE_PV);
	for (double s = 4; s < 11.6; s += 1) {
		state(&w, s, 1, STATE_RF);
		state(&w, s + 0.1, 1, STATE_PV);
		ck_assert_int_eq(tick(&w, s + 0.5), PLAN_RUNNING);
	}
	ck_assert_int_eq(tick(&w, 11.9), PLAN_RUNNING);
	ck_assert_int_eq(tick(&w, 12), PLAN_SETTLED);
	close_plan(&w);
	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"expect\":{\"idle\":[{\"silent_for_ns\":10000000000}]},"
		      "\"steps\":[{\"do\":\"sleep\",\"for_ns\":5000000000}]");
	tick(&w, 0);
	state(&w, 2, 0, STATE_IDLE);
	tick(&w, 5);
	ck_assert_int_eq(tick(&w, 14.9), PLAN_RUNNING);
	ck_assert_int_eq(tick(&w, 15), PLAN_SETTLED);
	close_plan(&w);
}
END_TEST

/* What a network does at a time happens before everybody has settled and the scenario is over. */
START_TEST(a_networks_times_are_waited_for)
{
	static const struct {
		const char *plan;
		double over;
	} rows[] = {
		{"\"network\":{\"blackhole\":{\"at_ns\":5000000000,\"for_ns\":2000000000}}", 7},
		{"\"network\":{\"blackhole\":{\"at_ns\":5000000000,\"for_ns\":2000000000,\"every_ns\":7000000000}}", 7},
		{"\"network\":{\"rebind\":{\"what\":\"port\",\"after_ns\":3000000000}}", 3},
		{"\"network\":{\"loss\":0.1}", 0.8},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[300];
		struct world w;

		snprintf(text, sizeof(text), "\"groups\":[{\"name\":\"A\",\"count\":1}],%s", rows[i].plan);
		open_plan(&w, text);
		tick(&w, 0);
		state(&w, 0.5, 0, STATE_PV);
		ck_assert_int_eq(tick(&w, rows[i].over - 0.1), PLAN_RUNNING);
		ck_assert_uint_eq(plan_deadline(w.plan), at_s(rows[i].over).now);
		ck_assert_int_eq(tick(&w, rows[i].over), PLAN_SETTLED);
		close_plan(&w);
	}
}
END_TEST

START_TEST(steps_walk_and_wait)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2}],\"steps\":["
		      "{\"do\":\"wait\",\"state\":\"PROVISIONED\",\"within_ns\":10000000000,\"who\":{\"group\":\"A\",\"index\":2}},"
		      "{\"do\":\"disable\",\"who\":{\"group\":\"A\",\"index\":2}},"
		      "{\"do\":\"sleep\",\"for_ns\":3000000000},"
		      "{\"do\":\"power_cycle\",\"off_ns\":2000000000,\"who\":{\"group\":\"A\",\"index\":1}},"
		      "{\"do\":\"server_restart\",\"off_ns\":1000000000}]");
	tick(&w, 0);
	state(&w, 1, 0, STATE_PV);
	tick(&w, 1);
	ck_assert_str_eq(w.log.text, "on0 on1 ");
	state(&w, 2, 1, STATE_PV);
	tick(&w, 2);
	ck_assert_str_eq(w.log.text, "on0 on1 disable0 ");
	tick(&w, 3);
	w.log.busy = false; /* the server has said that it did */
	tick(&w, 4);
	tick(&w, 6.9);
	ck_assert_str_eq(w.log.text, "on0 on1 disable0 ");
	tick(&w, 7);
	ck_assert_str_eq(w.log.text, "on0 on1 disable0 off0 kill0 ");
	tick(&w, 8);
	tick(&w, 9);
	ck_assert_str_eq(w.log.text, "on0 on1 disable0 off0 kill0 start0 on0 ");
	state(&w, 9.5, 0, STATE_PV);
	ck_assert_int_eq(tick(&w, 10), PLAN_SETTLED);
	close_plan(&w);
}
END_TEST

START_TEST(a_wait_that_times_out_fails)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":3}],\"steps\":[{\"do\":\"wait\",\"state\":\"IDLE\",\"within_ns\":"
		      "5000000000,\"source\":{\"file\":\"f.yaml\",\"line\":7,\"col\":9}}]");
	tick(&w, 0);
	state(&w, 1, 0, STATE_IDLE);
	ck_assert_int_eq(tick(&w, 5), PLAN_STEP_FAILED);
	ck_assert_str_eq(plan_why(w.plan), "f.yaml:7:9: 2 of 3 devices not in IDLE in time");
	close_plan(&w);
}
END_TEST

START_TEST(faults_go_to_their_rooms_and_are_followed)
{
	struct world w;
	struct instant t = at_s(1);

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"faults\":["
		      "{\"name\":\"f1\",\"on\":\"sms.submitted\",\"do\":\"lose\"},"
		      "{\"name\":\"f2\",\"on\":\"server.decision\",\"do\":\"restart\",\"args\":{\"after_ns\":2000000000},\"who\":{\"server\":true}},"
		      "{\"name\":\"f3\",\"on\":\"tokens.written\",\"do\":\"power_cut\",\"then\":{\"after_ns\":5000000000,\"do\":\"power_on\"}},"
		      "{\"name\":\"f4\",\"at_ns\":8000000000,\"do\":\"disable\"}]");
	ck_assert_str_eq(w.log.text, "sms.submitted2 server.decision1 tokens.written0 ");
	tick(&w, 0);
	w.log.text[0] = '\0';
	plan_server_died(w.plan, &t);
	plan_fault_fired(w.plan, &t, "s/n:f3", plan_device(w.plan, 0)->identity.uuid);
	tick(&w, 2.9);
	ck_assert_str_eq(w.log.text, "");
	tick(&w, 3);
	ck_assert_str_eq(w.log.text, "start0 ");
	tick(&w, 6);
	ck_assert_str_eq(w.log.text, "start0 on0 ");
	tick(&w, 8);
	ck_assert_str_eq(w.log.text, "start0 on0 disable0 ");
	close_plan(&w);
}
END_TEST

/* Disks and clocks: a device's by the rig, the server's by a control line; the clock's whole
 * way is told, whoever made the steps before. */
START_TEST(disks_and_clocks)
{
	struct world w;
	struct instant t = at_s(1);

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2}],\"faults\":["
		      "{\"name\":\"f1\",\"on\":\"token.issued\",\"do\":\"clock_step\",\"each\":true,\"args\":{\"by_ms\":1000}},"
		      "{\"name\":\"f2\",\"on\":\"tokens.written\",\"do\":\"clock_step\",\"args\":{\"by_ms\":77}},"
		      "{\"name\":\"f3\",\"at_ns\":2000000000,\"who\":{\"server\":true},\"do\":\"clock_step\",\"args\":{\"by_ms\":-5000}},"
		      "{\"name\":\"f4\",\"at_ns\":3000000000,\"who\":{\"group\":\"A\",\"index\":2},\"do\":\"disk_full\",\"args\":{\"length_ns\":5000000000}},"
		      "{\"name\":\"f5\",\"at_ns\":4000000000,\"who\":{\"server\":true},\"do\":\"disk_error\",\"args\":{\"what\":\"write\",\"length_ns\":7}},"
		      "{\"name\":\"f6\",\"at_ns\":5000000000,\"who\":{\"group\":\"A\"},\"do\":\"clock_step\",\"args\":{\"by_ms\":-3}},"
		      "{\"name\":\"f7\",\"on\":\"code.issued\",\"do\":\"restart\",\"args\":{\"after_ns\":1000000000}}]");
	tick(&w, 0);
	plan_fault_fired(w.plan, &t, "s/n:f1", NULL);
	plan_fault_fired(w.plan, &t, "s/n:f1", NULL);
	plan_fault_fired(w.plan, &t, "s/n:f2", plan_device(w.plan, 0)->identity.uuid);
	ck_assert_int_eq(plan_server_clock(w.plan), 2000);
	w.log.text[0] = '\0';
	for (int s = 2; s <= 5; s++) {
		w.log.busy = false;
		tick(&w, s);
	}
	ck_assert_str_eq(w.log.text, "clock-offset/-3000:0 disk1/5:1 disk/write/7:0 clock/-3:0 clock/-3:1 ");
	ck_assert_int_eq(plan_server_clock(w.plan), -3000);
	{
		json_t *disk = json_pack("{s:s}", "do", "disk"), *other = json_pack("{s:s}", "do", "disable");

		ck_assert(!plan_line_waits(disk) && plan_line_waits(other));
		json_decref(disk);
		json_decref(other);
	}
	/* a server whose disk failed may end of that: no fault is taken to have fired unheard */
	w.log.text[0] = '\0';
	plan_server_died(w.plan, &t);
	tick(&w, 8);
	ck_assert_str_eq(w.log.text, "");
	plan_server_died(w.plan, &t);
	tick(&w, 9);
	ck_assert_str_eq(w.log.text, "start0 ");
	close_plan(&w);
}
END_TEST

/* A crash waits in the server for its point, with or without an event. */
START_TEST(crashes_are_the_servers)
{
	struct world w;
	struct instant t = at_s(1);
	struct err e = {0};

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"faults\":["
		      "{\"name\":\"f1\",\"do\":\"crash\",\"args\":{\"at\":\"server.after_commit\"},"
		      "\"then\":{\"after_ns\":2000000000,\"do\":\"start\"}},"
		      "{\"name\":\"f2\",\"on\":\"code.used\",\"do\":\"crash\",\"args\":{\"at\":\"storage.in_write\"}}]");
	ck_assert_str_eq(w.log.text, "server.after_commit1 code.used/storage.in_write1 ");
	tick(&w, 0);
	w.log.text[0] = '\0';
	plan_fault_fired(w.plan, &t, "s/n:f1", NULL);
	ck_assert(plan_server_doomed(w.plan));
	plan_server_died(w.plan, &t);
	tick(&w, 3);
	ck_assert_str_eq(w.log.text, "start0 ");
	w.log.text[0] = '\0';
	ck_assert_int_eq(plan_arm_server_again(w.plan, &t, &e), 0);
	ck_assert_str_eq(w.log.text, "code.used/storage.in_write1 ");
	close_plan(&w);
}
END_TEST

/* A new server process knows of no fault; what is spent stays spent. */
/* Told in the journal as those at an event are, and followed: once a time. */
START_TEST(timed_faults_fire_and_are_followed)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2}],\"faults\":["
		      "{\"name\":\"f1\",\"at_ns\":1000000000,\"do\":\"power_cut\",\"args\":{},"
		      "\"who\":{\"group\":\"A\",\"index\":2},\"then\":{\"after_ns\":500000000,\"do\":\"power_on\",\"args\":{}}},"
		      "{\"name\":\"f2\",\"every_ns\":3000000000,\"times\":2,\"do\":\"kill\",\"args\":{},"
		      "\"then\":{\"after_ns\":1000000000,\"do\":\"start\",\"args\":{}}}]");
	tick(&w, 0);
	w.log.text[0] = '\0';
	tick(&w, 1);
	ck_assert_str_eq(w.log.text, "off1 ");
	tick(&w, 1.5);
	ck_assert_str_eq(w.log.text, "off1 on1 ");
	tick(&w, 3);
	tick(&w, 4);
	tick(&w, 6);
	tick(&w, 7);
	tick(&w, 20);
	ck_assert_str_eq(w.log.text, "off1 on1 kill0 start0 kill0 start0 ");
	ck_assert_uint_eq(w.fired, 3);
	close_plan(&w);
}
END_TEST

START_TEST(server_faults_outlive_the_server)
{
	struct world w;
	struct instant at = at_s(1);
	struct err e = {0};

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1,\"known\":true}],\"faults\":["
		      "{\"name\":\"once\",\"on\":\"server.reply\",\"do\":\"drop_reply\"},"
		      "{\"name\":\"each\",\"on\":\"code.issued\",\"do\":\"kill\",\"each\":true},"
		      "{\"name\":\"twice\",\"on\":\"server.decision\",\"do\":\"restart\",\"each\":true,\"times\":2,"
		      "\"args\":{\"after_ns\":1000000000}},"
		      "{\"name\":\"sms\",\"on\":\"sms.submitted\",\"do\":\"lose\",\"each\":true}]");
	ck_assert_uint_eq((uint64_t)w.log.seed, plan_seed(w.plan));
	w.log.text[0] = '\0';
	ck_assert_int_eq(plan_arm_server_again(w.plan, &at, &e), 0);
	ck_assert_uint_eq((uint64_t)w.log.seed, plan_seed(w.plan) + 1); /* not the same draws once more */
	ck_assert_str_eq(w.log.text, "server.reply1 code.issued1 server.decision1 ");
	plan_fault_fired(w.plan, &at, "s/n:once", NULL);
	plan_fault_fired(w.plan, &at, "s/n:twice", NULL);
	w.log.text[0] = '\0';
	ck_assert_int_eq(plan_arm_server_again(w.plan, &at, &e), 0);
	ck_assert_str_eq(w.log.text, "code.issued1 server.decision1 ");
	plan_fault_fired(w.plan, &at, "s/n:twice", NULL);
	w.log.text[0] = '\0';
	ck_assert_int_eq(plan_arm_server_again(w.plan, &at, &e), 0);
	ck_assert_str_eq(w.log.text, "code.issued1 ");
	close_plan(&w);
}
END_TEST

/* The line that tells of a kill may die with the server: then its restart follows all
 * the same, each time. */
START_TEST(a_death_that_nobody_told_of_is_followed)
{
	struct world w;
	struct instant at = at_s(1), later = at_s(2.5);
	struct err e = {0};

	(void)e;
	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1,\"known\":true}],\"faults\":["
		      "{\"name\":\"k\",\"on\":\"server.reply\",\"do\":\"restart\",\"each\":true,\"times\":2,"
		      "\"args\":{\"after_ns\":1000000000}}]");
	plan_expire(w.plan, &at);
	plan_fault_fired(w.plan, &at, "s/n:k", NULL);
	plan_server_died(w.plan, &at);
	w.log.text[0] = '\0';
	plan_expire(w.plan, &later);
	ck_assert_str_eq(w.log.text, "start0 "); /* once, not twice */
	plan_server_died(w.plan, &later);
	w.log.text[0] = '\0';
	at = at_s(4);
	plan_expire(w.plan, &at);
	ck_assert_str_eq(w.log.text, "start0 ");
	plan_server_died(w.plan, &at);
	w.log.text[0] = '\0';
	at = at_s(9);
	plan_expire(w.plan, &at);
	ck_assert_str_eq(w.log.text, ""); /* spent */
	close_plan(&w);
}
END_TEST

START_TEST(a_death_is_laid_to_the_fault_that_told)
{
	struct world w;
	struct instant t = at_s(1);

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"faults\":["
		      "{\"name\":\"f0\",\"on\":\"code.issued\",\"do\":\"kill\"},"
		      "{\"name\":\"f1\",\"on\":\"code.used\",\"do\":\"restart\",\"args\":{\"after_ns\":1000000000}},"
		      "{\"name\":\"f2\",\"on\":\"token.revoked\",\"do\":\"kill\",\"then\":{\"after_ns\":1000000000,\"do\":\"power_off\"}}]");
	tick(&w, 0);
	w.log.text[0] = '\0';
	ck_assert(!plan_server_doomed(w.plan));
	plan_fault_fired(w.plan, &t, "s/n:f1", NULL);
	ck_assert(plan_server_doomed(w.plan));
	plan_server_died(w.plan, &t);
	ck_assert(!plan_server_doomed(w.plan));
	/* killed by the plan before that fault could do it: the next one is not doomed */
	plan_fault_fired(w.plan, &t, "s/n:f0", NULL);
	ck_assert(plan_server_doomed(w.plan));
	plan_server_ended(w.plan);
	ck_assert(!plan_server_doomed(w.plan));
	tick(&w, 5);
	ck_assert_str_eq(w.log.text, "start0 "); /* f2 has not fired: nobody is powered off */
	/* a line that was lost with the server */
	plan_server_died(w.plan, &t);
	tick(&w, 6);
	ck_assert_str_eq(w.log.text, "start0 off0 ");
	close_plan(&w);
}
END_TEST

START_TEST(a_ramp_deals_out_arrivals)
{
	struct world w;

	/* 0/s to 100/s over 2 s: 100 devices in 2 s, half of them in sqrt(2) s */
	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":120}],\"arrive\":{\"from\":0,\"to\":100,\"over_ns\":2000000000}");
	unsigned on = 0;

	tick(&w, 1.4141);
	for (unsigned i = 0; i < 120; i++)
		on += plan_device(w.plan, i)->entered;
	ck_assert_uint_eq(on, 50);
	tick(&w, 2.2);
	on = 0;
	for (unsigned i = 0; i < 120; i++)
		on += plan_device(w.plan, i)->entered;
	ck_assert_uint_eq(on, 120);
	close_plan(&w);
}
END_TEST

START_TEST(identities_are_their_own)
{
	struct world a, b;

	open_plan(&a, "\"groups\":[{\"name\":\"A\",\"count\":3},{\"name\":\"B\",\"count\":1}]");
	open_plan(&b, "\"groups\":[{\"name\":\"A\",\"count\":2},{\"name\":\"B\",\"count\":1}]");
	ck_assert_str_eq(plan_device(a.plan, 0)->identity.uuid, plan_device(b.plan, 0)->identity.uuid);
	/* removing A[3] moves nobody else's draws */
	ck_assert_str_eq(plan_device(a.plan, 3)->identity.uuid, plan_device(b.plan, 2)->identity.uuid);
	ck_assert_str_ne(plan_device(a.plan, 0)->identity.uuid, plan_device(a.plan, 1)->identity.uuid);
	ck_assert(uuid_valid(plan_device(a.plan, 0)->identity.uuid));
	close_plan(&a);
	close_plan(&b);
}
END_TEST

START_TEST(a_network_is_the_group_s_or_the_scenario_s)
{
	struct world w;

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1},{\"name\":\"B\",\"count\":1,\"network\":{\"loss\":0.5}}],"
		      "\"network\":{\"loss\":0.1}");
	ck_assert(plan_wants_links(w.plan));
	ck_assert_uint_eq(plan_groups(w.plan), 2);
	ck_assert(json_real_value(json_object_get(plan_network(w.plan, 0), "loss")) < 0.2);
	ck_assert(json_real_value(json_object_get(plan_network(w.plan, 1), "loss")) > 0.4);
	close_plan(&w);
	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":1}],\"steps\":[{\"do\":\"sleep\",\"for_ns\":1}]");
	ck_assert(!plan_wants_links(w.plan));
	ck_assert_ptr_null(plan_network(w.plan, 0));
	close_plan(&w);
}
END_TEST

/* As steps, at a time, behind an event (with the device whose it was), as a `then`. */
START_TEST(what_befalls_links)
{
	struct world w;
	struct instant at = at_s(2);

	open_plan(&w, "\"groups\":[{\"name\":\"A\",\"count\":2,\"start\":\"off\"}],"
		      "\"steps\":[{\"do\":\"blackhole\",\"length_ns\":2000000000,\"who\":{\"group\":\"A\",\"index\":2}},"
		      "{\"do\":\"rebind_port\"}],"
		      "\"faults\":[{\"name\":\"f1\",\"at_ns\":1000000000,\"do\":\"drop\",\"args\":{\"up\":[1,3],\"down\":[64]},"
		      "\"who\":{\"group\":\"A\",\"index\":1}},"
		      "{\"name\":\"f2\",\"on\":\"device.request\",\"do\":\"rebind_address\",\"args\":{\"after_ns\":500000000},"
		      "\"then\":{\"after_ns\":1000000000,\"do\":\"blackhole\",\"args\":{\"length_ns\":1000000000}}}]");
	ck_assert(plan_wants_links(w.plan));
	w.log.text[0] = '\0';
	tick(&w, 0);
	ck_assert_str_eq(w.log.text, "dark@0/2/0/0:1 port@0/0/0/0:0 port@0/0/0/0:1 ");
	w.log.text[0] = '\0';
	tick(&w, 1);
	ck_assert_str_eq(w.log.text, "lose@1/0/5/8000000000000000:0 ");
	w.log.text[0] = '\0';
	plan_fault_fired(w.plan, &at, "s/n:f2", plan_device(w.plan, 1)->identity.uuid);
	tick(&w, 2.5);
	tick(&w, 3);
	ck_assert_str_eq(w.log.text, "address@2.5/0/0/0:1 dark@3/1/0/0:1 ");
	close_plan(&w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("plan");
	TCase *t = tcase_create("plan");
	SRunner *r;
	int failed;

	tcase_add_test(t, one_device_settles);
	tcase_add_test(t, silence_is_the_idle_ones);
	tcase_add_test(t, a_networks_times_are_waited_for);
	tcase_add_test(t, wrong_idle_ends_at_once_and_pv_may_still_change);
	tcase_add_test(t, timeout_says_who);
	tcase_add_test(t, silence_counts_from_the_last_change);
	tcase_add_test(t, steps_walk_and_wait);
	tcase_add_test(t, a_wait_that_times_out_fails);
	tcase_add_test(t, faults_go_to_their_rooms_and_are_followed);
	tcase_add_test(t, crashes_are_the_servers);
	tcase_add_test(t, disks_and_clocks);
	tcase_add_test(t, timed_faults_fire_and_are_followed);
	tcase_add_test(t, server_faults_outlive_the_server);
	tcase_add_test(t, a_death_that_nobody_told_of_is_followed);
	tcase_add_test(t, a_death_is_laid_to_the_fault_that_told);
	tcase_add_test(t, a_ramp_deals_out_arrivals);
	tcase_add_test(t, identities_are_their_own);
	tcase_add_test(t, a_network_is_the_group_s_or_the_scenario_s);
	tcase_add_test(t, what_befalls_links);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
