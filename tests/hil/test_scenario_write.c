/* Plans back to scenario files: the library and rows with every part of the language are
 * written, read and are the same; and they look as a person would have written them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/scenario.h"
#include "hil/language/scenario_write.h"

#define HEAD "version: 1\nsuite: t\nscenarios:\n  - name: x\n"

/* Written as it was read. */
static const char *const rows[] = {
	HEAD "    devices: {count: 1}\n    expect:\n      final: PROVISIONED\n",
	HEAD "    seed: 0x1234\n    timeout: 2h\n    wall: 1m\n    tags: [a, b]\n    rigs: [virtual, loopback]\n"
	     "    settings: {access_ttl: 2s, sms_per_day: off, connection: hold}\n    modems: {senders: 8, receivers: 2}\n"
	     "    carrier: typical\n    network: {loss: 2%, delay: 15ms}\n    xfail: {reason: \"#12\", until: 2027-01-31}\n"
	     "    requires: {modems: 2}\n    start: \"23:30:05\"\n"
	     "    devices:\n      A: {count: 10, known: false}\n      B: {count: 3, disabled: true, type: [lightSensor, thermometer], "
	     "methods: [TOTP, SMS], registered: [TOTP], connection: close, start: off, accept_unsigned: true}\n"
	     "    arrive: {ramp: {from: 0/s, to: 100/s, over: 20s}}\n    expect:\n      final: {A: IDLE, \"B[2]\": OFF}\n",
	HEAD "    devices: {count: 5}\n    faults:\n"
	     "      - {on: sms.submitted, do: lose}\n"
	     "      - {name: late, on: sms.submitted, nth: 2, who: \"A[3]\", do: delay, by: 10s}\n"
	     "      - {on: sms.delivered, each: true, times: 3, chance: 12.5%, from: 1s, until: 5s, do: duplicate}\n"
	     "      - {on: sms.submitted, do: replace_text, with: \"say \\\"hello\\\"\"}\n"
	     "      - {on: server.reply, match: {resource: login, code: 200}, do: reply, code: 503, message: later}\n"
	     "      - {at: 1500ms, do: restart, after: 2s}\n"
	     "      - {on: device.request, while: {who: \"A[2]\", is: AWAITING_CODE}, do: power_cut}\n"
	     "      - {every: 3s, times: 2, who: \"A:40%\", do: power_cycle}\n"
	     "      - {on: tokens.written, who: A, do: power_cut, then: {after: 5s, do: power_on}}\n"
	     "      - {do: crash, at: server.after_commit, then: {after: 1s, do: start}}\n"
	     "      - {at: 5s, who: server, do: disk_full, for: 4s}\n"
	     "      - {on: token.issued, do: disk_error, what: sync, then: {after: 1s, do: start}}\n"
	     "      - {on: device.code, do: clock_step, by: -1h}\n"
	     "      - {on: code.issued, who: A, do: crash, at: storage.in_write}\n"
	     "      - {at: 2s, who: A, do: command, command: {name: PAUSE, seconds: 5}}\n"
	     "    steps:\n"
	     "      - {wait: PROVISIONED}\n      - {wait: IDLE, within: 10s, any: true, who: \"A[1]\"}\n"
	     "      - {sleep: 250ms}\n      - {power_off: all}\n      - {power_cycle: A, off: 3s}\n      - {disable: others}\n"
	     "      - {command: {name: RESET}, who: A}\n      - {operator: clock_accept}\n      - {lift: A}\n      - {server: kill}\n      - {server: restart, off: 2s}\n"
	     "      - {disk_full: A}\n      - {disk_error: server, what: write, for: 1500ms}\n      - {clock_step: server, by: +20d}\n"
	     "    expect:\n      never: [IDLE, PAUSED]\n",
	HEAD "    devices: {count: 5}\n    expect:\n"
	     "      path:\n        - {states: [..., LOGGING_IN, IDLE], any: true}\n"
	     "        - {states: [..., PROVISIONED], count: \">= 2\", who: A}\n"
	     "      idle: {code: 401, silent_for: 10s}\n      final: PROVISIONED\n      never: {\"A[1]\": [IDLE, PAUSED], A: REFRESHING}\n"
	     "      within:\n        - {PROVISIONED: 5s, IDLE: 6s}\n        - {PROVISIONED: 3s, who: \"A[1]\"}\n"
	     "      sms: {sent: 1, lost: \"<= 2\"}\n"
	     "      codes:\n        - {issued: \"1..3\"}\n        - {used: 1, who: \"A[2]\"}\n"
	     "      tokens: {issued: 2, revoked: 0}\n      families: {issued: 1}\n      replies: {403: 1}\n"
	     "      requests: {login: \">= 1\"}\n      server: {starts: 2}\n"
	     "      seen:\n        - {event: fault.fired, count: 2, within: 10s, match: {why: sms.submitted}}\n"
	     "        - {event: handshake.failed, count: 0, who: \"A[1]\"}\n"
	     "        - {event: device.code, who: \"A:40%\", before: {event: device.state, match: {to: PROVISIONED}}}\n"
	     "        - {event: device.code, before: token.issued}\n      balance: sms\n"
	     "    thresholds:\n      - {metric: bootstrap_time, min_samples: 1000, p99: \"< 2s\"}\n"
	     "      - {metric: sms_time, p99.9: \"<= 1500ms\"}\n"
	     "      - {metric: request_time, rate: \">= 2.5/s\"}\n      - {metric: server_memory, max: \"< 65536KiB\"}\n",
	HEAD "    devices: {count: 1}\n    expect:\n      path: [..., LOGGING_IN, IDLE]\n",
	HEAD "    repeat: {runs: 200, pass: \">= 98%\", confidence: 95%}\n    devices: {count: 2}\n    faults:\n"
	     "      - {on: tokens.written, who: \"A[1]\", do: power_cycle}\n    expect:\n      others: {same_as: control}\n",
	HEAD "    network: {loss: 1%, burst: 3, phase: handshake, rate: 64kbit/s, queue: 12000, mtu: 1280, "
	     "blackhole: {on: 5s, off: 2s}, drop: {up: [1, \"3..5\", 9], per: connection}, rebind: {what: port, after: 1s, "
	     "every: 5s}}\n    devices:\n      A: {count: 1}\n"
	     "      B: {network: {rate: 1500bit/s, blackhole: {at: 3s, for: 40s}, drop: {up: \"2..7\", down: 3}, "
	     "rebind: {what: address, after: 1s}}, count: 1}\n    expect:\n      final: PROVISIONED\n",
};

static void parse(const char *name, const char *text, struct plans *plans)
{
	struct source src = {.name = name, .text = text, .len = strlen(text)};
	struct diags ds = {0};

	scenario_parse(&src, &ds, plans);
	diags_print(&ds, stderr);
	ck_assert_uint_eq(ds.errors, 0);
	diags_fini(&ds);
}

START_TEST(written_as_it_was_read)
{
	struct plans plans = {0};
	struct err e = {0};
	struct buf out;

	parse("row.yaml", rows[_i], &plans);
	buf_init(&out, SCENARIO_TEXT_MAX);
	ck_assert_msg(scenario_write(plans.v[0], NULL, &out, &e) == 0, "%s in\n%s", e.text, out.data);
	ck_assert_str_eq(out.data, rows[_i]);
	buf_fini(&out);
	plans_fini(&plans);
}
END_TEST

START_TEST(the_library_survives)
{
	char path[512];
	struct diags ds = {0};
	struct plans plans = {0};

	snprintf(path, sizeof(path), "%s/scenarios", getenv("QUICRIG_SRC"));
	ck_assert_int_eq(scenario_load(path, &ds, &plans), 0);
	ck_assert_uint_gt(plans.n, 20);
	for (size_t i = 0; i < plans.n; i++) {
		struct err e = {0};
		struct buf out;

		buf_init(&out, SCENARIO_TEXT_MAX);
		ck_assert_msg(scenario_write(plans.v[i], "why\n\nnot", &out, &e) == 0, "%s: %s\n%s",
			      json_string_value(json_object_get(plans.v[i], "id")), e.text, out.data);
		ck_assert_msg(strncmp(out.data, "# why\n#\n# not\nversion: 1\n", 24) == 0, "%s", out.data);
		buf_fini(&out);
	}
	diags_fini(&ds);
	plans_fini(&plans);
}
END_TEST

START_TEST(what_cannot_be_said)
{
	struct plans plans = {0};
	struct err e = {0};
	struct buf out;
	json_t *none = json_object();

	parse("row.yaml", rows[0], &plans);
	buf_init(&out, SCENARIO_TEXT_MAX);
	json_object_set_new(plans.v[0], "phase_of_the_moon", json_integer(3));
	ck_assert_int_eq(scenario_write(plans.v[0], NULL, &out, &e), ERR_UNSUPPORTED);
	ck_assert_str_eq(e.text, "the language cannot say this plan's 'phase_of_the_moon'");
	json_object_del(plans.v[0], "phase_of_the_moon");
	json_object_set_new(plans.v[0], "timeout_ns", json_integer(0));
	e = (struct err){0};
	buf_reset(&out);
	ck_assert_int_eq(scenario_write(plans.v[0], NULL, &out, &e), ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "line 5: "));
	e = (struct err){0};
	ck_assert_int_eq(scenario_write(none, NULL, &out, &e), ERR_PARSE);
	json_decref(none);
	buf_fini(&out);
	buf_init(&out, 20);
	e = (struct err){0};
	ck_assert_int_eq(scenario_write(plans.v[0], NULL, &out, &e), ERR_LIMIT);
	buf_fini(&out);
	plans_fini(&plans);
}
END_TEST

/* An answer to what is no request of ours comes back as a fault; a warning is not what keeps a plan from being said. */
START_TEST(answers_and_warnings)
{
	struct plans plans = {0};
	struct err e = {0};
	struct buf out;

	parse("row.yaml", HEAD "    server: scripted\n    answers: [{to: other, code: 503}]\n"
			       "    devices: {count: 1, methods: TOTP}\n    expect: {final: IDLE}\n", &plans);
	buf_init(&out, SCENARIO_TEXT_MAX);
	ck_assert_msg(scenario_write(plans.v[0], NULL, &out, &e) == 0, "%s in\n%s", e.text, out.data);
	json_object_set_new(plans.v[0], "timeout_ns", json_integer(0));
	buf_reset(&out);
	ck_assert_int_eq(scenario_write(plans.v[0], NULL, &out, &e), ERR_UNSUPPORTED);
	ck_assert_msg(strstr(e.text, "'timeout'"), "%s", e.text);
	buf_fini(&out);
	plans_fini(&plans);
}
END_TEST

/* Replaces the n-th of all that stands in `v`. False: there are fewer. */
static bool replace_nth(json_t *v, unsigned *n, json_t *with)
{
	const char *key;
	json_t *inner;
	size_t i;

	json_object_foreach(v, key, inner) {
		if (!(*n)--)
			return !json_object_set(v, key, with);
		if (replace_nth(inner, n, with))
			return true;
	}
	json_array_foreach(v, i, inner) {
		if (!(*n)--)
			return !json_array_set(v, i, with);
		if (replace_nth(inner, n, with))
			return true;
	}
	return false;
}

/* A plan.json that somebody has edited, or that is torn in other ways: told, or written
 * if it still is a plan; never the end of the process. */
START_TEST(what_is_no_plan)
{
	static const char *const others[] = {"null", "-7", "[{}]"};
	struct plans plans = {0};
	unsigned refused = 0;

	parse("row.yaml", rows[_i], &plans);
	for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++) {
		json_t *with = json_loads(others[k], JSON_DECODE_ANY, NULL);

		for (unsigned nth = 0;; nth++) {
			json_t *plan = json_deep_copy(plans.v[0]);
			unsigned n = nth;
			struct err e = {0};
			struct buf out;
			bool there = replace_nth(plan, &n, with);

			buf_init(&out, SCENARIO_TEXT_MAX);
			if (there && scenario_write(plan, NULL, &out, &e)) {
				ck_assert_str_ne(e.text, "");
				refused++;
			}
			buf_fini(&out);
			json_decref(plan);
			if (!there)
				break;
		}
		json_decref(with);
	}
	ck_assert_uint_gt(refused, 50);
	plans_fini(&plans);
}
END_TEST

START_TEST(a_comment_of_anything)
{
	struct plans plans = {0};
	struct err e = {0};
	struct buf out;

	parse("row.yaml", rows[0], &plans);
	buf_init(&out, SCENARIO_TEXT_MAX);
	ck_assert_msg(scenario_write(plans.v[0], "got \xe2\x86 and\r\x1b[31m \xff → it\nends", &out, &e) == 0, "%s", e.text);
	ck_assert_msg(strncmp(out.data, "# got ?? and  [31m ? → it\n# ends\nversion: 1\n", 44) == 0, "%s", out.data);
	buf_fini(&out);
	plans_fini(&plans);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("scenario_write");
	TCase *c = tcase_create("scenario_write");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, written_as_it_was_read, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(c, the_library_survives);
	tcase_add_test(c, what_cannot_be_said);
	tcase_add_test(c, answers_and_warnings);
	tcase_set_timeout(c, 50);
	tcase_add_loop_test(c, what_is_no_plan, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(c, a_comment_of_anything);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
