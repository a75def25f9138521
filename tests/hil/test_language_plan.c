/* Scenario files to plans: the examples of the language's description, exactly; the
 * grammar of when, what and of expectations; defaults; the check verb. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil/language/scenario.h"
#include "hil/language/verbs.h"
#include "hil/language/vocab.h"

#define GROUP(more)                                                                                            \
	"{\"name\": \"A\", \"count\": 1, \"known\": true, \"disabled\": false, \"type\": [\"thermometer\"],"       \
	" \"methods\": [\"SMS\"], \"registered\": [\"SMS\"], \"connection\": \"close\", \"start\": \"on\","          \
	" \"accept_unsigned\": false" more "}"

/* Places are tested apart. */
static void strip(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(j)) {
		json_object_del(j, "source");
		json_object_foreach(j, key, value) {
			strip(value);
		}
	}
	json_array_foreach(j, i, value) {
		strip(value);
	}
}

static void parse(const char *text, struct plans *plans)
{
	struct source src = {.name = "t.yaml", .text = text, .len = strlen(text)};
	struct diags ds = {0};

	if (scenario_parse(&src, &ds, plans))
		diags_print(&ds, stderr);
	ck_assert_msg(ds.errors == 0, "%s", text);
	diags_fini(&ds);
}

static void same(json_t *got, const char *want)
{
	json_error_t e;
	json_t *j = json_loads(want, JSON_DECODE_ANY, &e);
	char *text;

	ck_assert_msg(j, "the test's own JSON: %s at %d", e.text, e.position);
	text = json_dumps(got, JSON_SORT_KEYS | JSON_ENCODE_ANY);
	ck_assert_msg(json_equal(got, j), "got %s\nwant %s", text, want);
	free(text);
	json_decref(j);
}

/* ---- the description's examples ---- */

static const char examples[] =
	"version: 1\n"
	"suite: bootstrap\n"
	"defaults: {seed: 0x5eed, timeout: 30s}\n"
	"scenarios:\n"
	"  - name: unknown-uuid-goes-idle\n"
	"    tags: [smoke, idle]\n"
	"    devices: {count: 1, known: false}\n"
	"    expect:\n"
	"      path: [NOT_PROVISIONED, REGISTERING, IDLE]\n"
	"      idle: {code: 403, silent_for: 10s}\n"
	"      sms: {sent: 0}\n"
	"      tokens: {issued: 0}\n"
	"\n"
	"  - name: wrong-code-goes-idle\n"
	"    tags: [smoke, idle, sms]\n"
	"    devices: {count: 1}\n"
	"    faults:\n"
	"      - {on: sms.submitted, do: replace_code, with: \"AAAAAAAAAAAA\"}\n"
	"    expect:\n"
	"      path: [..., AWAITING_CODE, LOGGING_IN, IDLE]\n"
	"      idle: {code: 401}\n"
	"      tokens: {issued: 0}\n"
	"\n"
	"  - name: expiry-refreshes\n"
	"    settings: {access_ttl: 2s, publish_interval: 1s}\n"
	"    devices: {count: 1}\n"
	"    steps:\n"
	"      - {wait: PROVISIONED, within: 10s}\n"
	"      - {sleep: 3s}\n"
	"    expect:\n"
	"      path: [..., PROVISIONED, REFRESHING, PROVISIONED, ...]\n"
	"\n"
	"  - name: power-cut-inside-the-token-write\n"
	"    rigs: [virtual]\n"
	"    devices: {A: {count: 10}, B: {count: 5}}\n"
	"    faults:\n"
	"      - {on: tokens.written, who: \"A[3]\", do: power_cut, then: {after: 5s, do: power_on}}\n"
	"    expect:\n"
	"      final: {all: PROVISIONED}\n"
	"\n"
	"  - name: thousand-devices-lossy\n"
	"    tags: [load, nightly]\n"
	"    rigs: [virtual]\n"
	"    devices: {count: 1000, type: [thermometer, lightSensor, humidityMeter, presenceDetector, windSpeedSensor]}\n"
	"    arrive: {ramp: {from: 0/s, to: 100/s, over: 20s}}\n"
	"    network: {loss: 2%, delay: 15ms, jitter: 5ms}\n"
	"    expect: {final: {all: PROVISIONED}}\n"
	"    thresholds:\n"
	"      - {metric: bootstrap_time, p99: \"< 2s\", min_samples: 1000}\n";

#define REST                                                                                                   \
	"\"v\": 1, \"seed\": \"0x5eed\", \"timeout_ns\": 30000000000, \"wall_ns\": 0, \"carrier\": \"immediate\","   \
	" \"modems\": {\"senders\": 4, \"receivers\": 2}, "

static const char *const example_plans[] = {
	"{" REST "\"id\": \"bootstrap/unknown-uuid-goes-idle\", \"tags\": [\"smoke\", \"idle\"], \"settings\": {},"
	" \"groups\": [{\"name\": \"A\", \"count\": 1, \"known\": false, \"disabled\": false, \"type\": [\"thermometer\"],"
	" \"methods\": [\"SMS\"], \"registered\": [\"SMS\"], \"connection\": \"close\", \"start\": \"on\","
	" \"accept_unsigned\": false}], \"faults\": [], \"steps\": [], \"expect\": {"
	"\"path\": [{\"how\": \"all\", \"states\": [\"NOT_PROVISIONED\", \"REGISTERING\", \"IDLE\"]}],"
	"\"idle\": [{\"code\": 403, \"silent_for_ns\": 10000000000}],"
	"\"counts\": [{\"what\": \"sms.sent\", \"range\": {\"min\": 0, \"max\": 0}},"
	" {\"what\": \"tokens.issued\", \"range\": {\"min\": 0, \"max\": 0}}]}}",

	"{" REST "\"id\": \"bootstrap/wrong-code-goes-idle\", \"tags\": [\"smoke\", \"idle\", \"sms\"], \"settings\": {},"
	" \"groups\": [" GROUP("") "], \"steps\": [], \"faults\": [{\"name\": \"f1\", \"on\": \"sms.submitted\","
	" \"do\": \"replace_code\", \"args\": {\"with\": \"AAAAAAAAAAAA\"}}], \"expect\": {"
	"\"path\": [{\"how\": \"all\", \"states\": [\"...\", \"AWAITING_CODE\", \"LOGGING_IN\", \"IDLE\"]}],"
	"\"idle\": [{\"code\": 401, \"silent_for_ns\": 0}],"
	"\"counts\": [{\"what\": \"tokens.issued\", \"range\": {\"min\": 0, \"max\": 0}}]}}",

	"{" REST "\"id\": \"bootstrap/expiry-refreshes\", \"tags\": [],"
	" \"settings\": {\"access_ttl\": 2000000000, \"publish_interval\": 1000000000}, \"groups\": [" GROUP("") "],"
	" \"faults\": [], \"steps\": [{\"do\": \"wait\", \"state\": \"PROVISIONED\", \"within_ns\": 10000000000},"
	" {\"do\": \"sleep\", \"for_ns\": 3000000000}], \"expect\": {\"path\": [{\"how\": \"all\","
	" \"states\": [\"...\", \"PROVISIONED\", \"REFRESHING\", \"PROVISIONED\", \"...\"]}]}}",

	"{" REST "\"id\": \"bootstrap/power-cut-inside-the-token-write\", \"tags\": [], \"rigs\": [\"virtual\"],"
	" \"settings\": {}, \"groups\": [" GROUP(", \"count\": 10") "," GROUP(", \"name\": \"B\", \"count\": 5") "],"
	" \"steps\": [], \"faults\": [{\"name\": \"f1\", \"on\": \"tokens.written\", \"who\": {\"group\": \"A\", \"index\": 3},"
	" \"do\": \"power_cut\", \"args\": {}, \"then\": {\"after_ns\": 5000000000, \"do\": \"power_on\", \"args\": {}}}],"
	" \"expect\": {\"final\": [{\"state\": \"PROVISIONED\"}]}}",

	"{" REST "\"id\": \"bootstrap/thousand-devices-lossy\", \"tags\": [\"load\", \"nightly\"], \"rigs\": [\"virtual\"],"
	" \"settings\": {}, \"groups\": [" GROUP(", \"count\": 1000, \"type\": [\"thermometer\", \"lightSensor\","
	" \"humidityMeter\", \"presenceDetector\", \"windSpeedSensor\"]") "], \"faults\": [], \"steps\": [],"
	" \"arrive\": {\"from\": 0.0, \"to\": 100.0, \"over_ns\": 20000000000},"
	" \"network\": {\"loss\": 0.02, \"delay_ns\": 15000000, \"jitter_ns\": 5000000},"
	" \"expect\": {\"final\": [{\"state\": \"PROVISIONED\"}]}, \"thresholds\": [{\"metric\": \"bootstrap_time\","
	" \"op\": \"p99\", \"cmp\": \"<\", \"value\": 2000000000, \"min_samples\": 1000}]}",
};

START_TEST(test_examples)
{
	struct plans plans = {0};

	parse(examples, &plans);
	ck_assert_uint_eq(plans.n, sizeof(example_plans) / sizeof(example_plans[0]));
	same(json_object_get(plans.v[1], "source"), "{\"file\": \"t.yaml\", \"line\": 14, \"col\": 5}");
	same(json_object_get(json_array_get(json_object_get(plans.v[1], "faults"), 0), "source"),
	     "{\"file\": \"t.yaml\", \"line\": 18, \"col\": 9}");
	for (size_t i = 0; i < plans.n; i++) {
		strip(plans.v[i]);
		same(plans.v[i], example_plans[i]);
	}
	plans_fini(&plans);
}
END_TEST

/* ---- one part at a time ---- */

static const struct {
	const char *part, *text, *json;
} parts[] = {
	/* the network */
	{"network", "{burst: 3, loss: 30%, phase: handshake, rate: 9.6kbit/s, queue: 12000, mtu: 1280}",
	 "{\"burst\": 3, \"loss\": 0.3, \"phase\": \"handshake\", \"rate_bps\": 9600, \"queue\": 12000, \"mtu\": 1280}"},
	{"network", "{blackhole: {on: 5s, off: 2s}}",
	 "{\"blackhole\": {\"at_ns\": 5000000000, \"for_ns\": 2000000000, \"every_ns\": 7000000000}}"},
	{"network", "{blackhole: {at: 3s, for: 40s}}",
	 "{\"blackhole\": {\"at_ns\": 3000000000, \"for_ns\": 40000000000}}"},
	{"network", "{drop: {up: \"2..4\", down: [9, \"1..2\", 2], per: connection}}",
	 "{\"drop\": {\"up\": [2, 3, 4], \"down\": [1, 2, 9], \"per\": \"connection\"}}"},
	{"network", "{drop: {down: 64}}",
	 "{\"drop\": {\"up\": [], \"down\": [64], \"per\": \"link\"}}"},
	{"network", "{rebind: {what: address, after: 0s, every: 1s}}",
	 "{\"rebind\": {\"what\": \"address\", \"after_ns\": 0, \"every_ns\": 1000000000}}"},
	{"network", "{profile: handshakeloss}",
	 "{\"loss\": 0.3, \"burst\": 3, \"phase\": \"handshake\", \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: transferloss, loss: 5%, burst: 1, phase: always}",
	 "{\"loss\": 0.05, \"burst\": 1, \"phase\": \"always\", \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: handshakecorruption}",
	 "{\"corrupt\": 0.3, \"burst\": 3, \"phase\": \"handshake\", \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: transfercorruption, queue: 50}",
	 "{\"corrupt\": 0.02, \"burst\": 3, \"phase\": \"transfer\", \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 50}"},
	{"network", "{profile: blackhole}",
	 "{\"blackhole\": {\"at_ns\": 5000000000, \"for_ns\": 2000000000, \"every_ns\": 7000000000}, \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: longrtt}",
	 "{\"delay_ns\": 375000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: rebind-port}",
	 "{\"rebind\": {\"what\": \"port\", \"after_ns\": 1000000000, \"every_ns\": 5000000000}, \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: rebind-addr, delay: 1ms}",
	 "{\"rebind\": {\"what\": \"address\", \"after_ns\": 1000000000, \"every_ns\": 5000000000}, \"delay_ns\": 1000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"network", "{profile: amplificationlimit}",
	 "{\"drop\": {\"up\": [2, 3, 4, 5, 6, 7], \"down\": [], \"per\": \"connection\"}, \"delay_ns\": 15000000, \"rate_bps\": 10000000, \"queue\": 30000}"},
	{"faults", "[{at: 5s, do: blackhole, for: 2s, who: A}]",
	 "[{\"name\": \"f1\", \"at_ns\": 5000000000, \"do\": \"blackhole\", \"args\": {\"length_ns\": 2000000000}, \"who\": {\"group\": \"A\"}}]"},
	{"faults", "[{on: device.request, match: {resource: login}, each: true, from: 1s, until: 9s, do: rebind_port, after: 20ms}]",
	 "[{\"name\": \"f1\", \"on\": \"device.request\", \"match\": {\"resource\": \"login\"}, \"each\": true, \"from_ns\": 1000000000, \"until_ns\": 9000000000, \"do\": \"rebind_port\", \"args\": {\"after_ns\": 20000000}}]"},
	{"faults", "[{on: tokens.written, do: power_cut, then: {after: 1s, do: blackhole, for: 3s}}]",
	 "[{\"name\": \"f1\", \"on\": \"tokens.written\", \"do\": \"power_cut\", \"args\": {}, \"then\": {\"after_ns\": 1000000000, \"do\": \"blackhole\", \"args\": {\"length_ns\": 3000000000}}}]"},
	{"faults", "[{every: 1s, times: 2, do: drop, up: 1, down: [2]}]",
	 "[{\"name\": \"f1\", \"every_ns\": 1000000000, \"times\": 2, \"do\": \"drop\", \"args\": {\"up\": [1], \"down\": [2]}}]"},
	{"steps", "[{blackhole: A, for: 2s}, {rebind_port: all}, {rebind_address: \"A[3]\"}]",
	 "[{\"do\": \"blackhole\", \"length_ns\": 2000000000, \"who\": {\"group\": \"A\"}}, {\"do\": \"rebind_port\", \"who\": {\"all\": true}}, {\"do\": \"rebind_address\", \"who\": {\"group\": \"A\", \"index\": 3}}]"},
	/* when */
	{"faults", "[{on: sms.submitted, do: duplicate, while: {who: \"A[2]\", is: AC}}, {at: 1s, do: kill, while: {who: A, is: IDLE}}]",
	 "[{\"name\": \"f1\", \"on\": \"sms.submitted\", \"do\": \"duplicate\", \"args\": {\"times\": 1},"
	 " \"while\": {\"who\": {\"group\": \"A\", \"index\": 2}, \"state\": \"AWAITING_CODE\"}},"
	 " {\"name\": \"f2\", \"at_ns\": 1000000000, \"do\": \"kill\", \"args\": {},"
	 " \"while\": {\"who\": {\"group\": \"A\"}, \"state\": \"IDLE\"}}]"},
	{"faults", "[{at: 90s, do: power_cut, who: A:10%}]",
	 "[{\"name\": \"f1\", \"at_ns\": 90000000000, \"do\": \"power_cut\", \"args\": {}, \"who\": {\"group\": \"A\", \"ratio\": 0.1}}]"},
	{"faults", "[{every: 30s, times: 3, do: power_cycle, off: 2s, who: others}]",
	 "[{\"name\": \"f1\", \"every_ns\": 30000000000, \"times\": 3, \"do\": \"power_cycle\", \"args\": {\"off_ns\": 2000000000},"
	 " \"who\": {\"others\": true}}]"},
	{"faults", "[{name: late, on: sms.delivered, nth: 2, from: 1s, for: 2s, do: delay, by: 1.5s}]",
	 "[{\"name\": \"late\", \"on\": \"sms.delivered\", \"nth\": 2, \"from_ns\": 1000000000, \"until_ns\": 3000000000,"
	 " \"do\": \"delay\", \"args\": {\"by_ns\": 1500000000}}]"},
	{"faults", "[{on: sms.submitted, each: true, times: 5, chance: 50%, until: 1m, do: duplicate, copies: 3}]",
	 "[{\"name\": \"f1\", \"on\": \"sms.submitted\", \"each\": true, \"times\": 5, \"chance\": 0.5, \"until_ns\": 60000000000,"
	 " \"do\": \"duplicate\", \"args\": {\"times\": 3}}]"},
	{"faults", "[{on: server.reply, match: {resource: login, code: 200}, do: drop_reply}]",
	 "[{\"name\": \"f1\", \"on\": \"server.reply\", \"match\": {\"resource\": \"login\", \"code\": 200}, \"do\": \"drop_reply\","
	 " \"args\": {}}]"},
	{"faults", "[{on: server.reply, match: {resource: refreshToken}, do: reply, code: 700, message: gone, who: B}]",
	 "[{\"name\": \"f1\", \"on\": \"server.reply\", \"match\": {\"resource\": \"refreshToken\"}, \"do\": \"reply\","
	 " \"args\": {\"code\": 700, \"message\": \"gone\"}, \"who\": {\"group\": \"B\"}}]"},
	{"faults", "[{on: code.used, do: kill, then: {after: 2s, do: start}}, {at: 0s, do: restart}]",
	 "[{\"name\": \"f1\", \"on\": \"code.used\", \"do\": \"kill\", \"args\": {}, \"then\": {\"after_ns\": 2000000000,"
	 " \"do\": \"start\", \"args\": {}}}, {\"name\": \"f2\", \"at_ns\": 0, \"do\": \"restart\", \"args\": {\"after_ns\": 1000000000}}]"},
	{"faults", "[{at: 5s, who: server, do: disk_full, for: 4s}, {on: tokens.written, who: A, do: disk_error, what: sync,"
		   " then: {after: 1s, do: clock_step, by: -1.5h}}, {on: token.issued, do: clock_step, by: +90s}]",
	 "[{\"name\": \"f1\", \"at_ns\": 5000000000, \"who\": {\"server\": true}, \"do\": \"disk_full\", \"args\": {\"length_ns\": 4000000000}},"
	 " {\"name\": \"f2\", \"on\": \"tokens.written\", \"who\": {\"group\": \"A\"}, \"do\": \"disk_error\", \"args\": {\"what\": \"sync\"},"
	 " \"then\": {\"after_ns\": 1000000000, \"do\": \"clock_step\", \"args\": {\"by_ms\": -5400000}}},"
	 " {\"name\": \"f3\", \"on\": \"token.issued\", \"do\": \"clock_step\", \"args\": {\"by_ms\": 90000}}]"},
	{"steps", "[{disk_full: server}, {disk_error: A, what: read_only, for: 2s}, {clock_step: \"A[1]\", by: -20454d}]",
	 "[{\"do\": \"disk_full\", \"who\": {\"server\": true}}, {\"do\": \"disk_error\", \"who\": {\"group\": \"A\"},"
	 " \"what\": \"read_only\", \"length_ns\": 2000000000}, {\"do\": \"clock_step\", \"who\": {\"group\": \"A\", \"index\": 1},"
	 " \"by_ms\": -1767225600000}]"},
	{"faults", "[{do: crash, at: server.after_commit, then: {after: 1s, do: start}}]",
	 "[{\"name\": \"f1\", \"do\": \"crash\", \"args\": {\"at\": \"server.after_commit\"}, \"then\": {\"after_ns\": 1000000000,"
	 " \"do\": \"start\", \"args\": {}}}]"},
	{"faults", "[{on: server.decision, match: {resource: login}, who: A, nth: 2, do: crash, at: storage.in_write},"
		   " {who: server, from: 5s, for: 2s, each: true, times: 3, do: crash, at: storage.after_sync}]",
	 "[{\"name\": \"f1\", \"on\": \"server.decision\", \"match\": {\"resource\": \"login\"}, \"who\": {\"group\": \"A\"}, \"nth\": 2,"
	 " \"do\": \"crash\", \"args\": {\"at\": \"storage.in_write\"}}, {\"name\": \"f2\", \"who\": {\"server\": true},"
	 " \"from_ns\": 5000000000, \"until_ns\": 7000000000, \"each\": true, \"times\": 3, \"do\": \"crash\","
	 " \"args\": {\"at\": \"storage.after_sync\"}}]"},
	{"faults", "[{at: 5s, do: command, command: {name: PAUSE, seconds: 60}, who: A}, {on: sms.submitted, do: cms_error, code: 38}]",
	 "[{\"name\": \"f1\", \"at_ns\": 5000000000, \"do\": \"command\", \"args\": {\"command\": {\"name\": \"PAUSE\", \"seconds\": 60}},"
	 " \"who\": {\"group\": \"A\"}}, {\"name\": \"f2\", \"on\": \"sms.submitted\", \"do\": \"cms_error\", \"args\": {\"code\": 38}}]"},
	/* steps */
	{"steps", "[{wait: PV, who: \"A[2]\", any: true}, {power_off: A}, {power_on: A}, {power_cycle: all, off: 2s}]",
	 "[{\"do\": \"wait\", \"state\": \"PROVISIONED\", \"within_ns\": 200000000000, \"who\": {\"group\": \"A\", \"index\": 2}, \"any\": true},"
	 " {\"do\": \"power_off\", \"who\": {\"group\": \"A\"}}, {\"do\": \"power_on\", \"who\": {\"group\": \"A\"}},"
	 " {\"do\": \"power_cycle\", \"who\": {\"all\": true}, \"off_ns\": 2000000000}]"},
	{"steps", "[{disable: A}, {enable: B}, {command: {name: CONFIG, publish_interval: 30}, who: A}, {cancel: B}, {decommission: A}, {readmit: A}, {lift: A}, {operator: clock_accept}, {operator: rotate_key}]",
	 "[{\"do\": \"disable\", \"who\": {\"group\": \"A\"}}, {\"do\": \"enable\", \"who\": {\"group\": \"B\"}},"
	 " {\"do\": \"command\", \"command\": {\"name\": \"CONFIG\", \"publishInterval\": 30}, \"who\": {\"group\": \"A\"}},"
	 " {\"do\": \"cancel\", \"who\": {\"group\": \"B\"}}, {\"do\": \"decommission\", \"who\": {\"group\": \"A\"}},"
	 " {\"do\": \"readmit\", \"who\": {\"group\": \"A\"}}, {\"do\": \"lift\", \"who\": {\"group\": \"A\"}}, {\"do\": \"clock_accept\"}, {\"do\": \"rotate_key\"}]"},
	{"faults", "[{on: command.sent, do: drop_reply, then: {after: 1s, do: command, command: {name: KEYS}}}]",
	 "[{\"name\": \"f1\", \"on\": \"command.sent\", \"do\": \"drop_reply\", \"args\": {}, \"then\": {\"after_ns\": 1000000000,"
	 " \"do\": \"command\", \"args\": {\"command\": {\"name\": \"KEYS\"}}}}]"},
	{"steps", "[{server: kill}, {server: start}, {server: stop}, {server: restart, off: 500ms}, {server: restart}]",
	 "[{\"do\": \"server_kill\"}, {\"do\": \"server_start\"}, {\"do\": \"server_stop\"},"
	 " {\"do\": \"server_restart\", \"off_ns\": 500000000}, {\"do\": \"server_restart\", \"off_ns\": 1000000000}]"},
	/* expectations */
	{"expect", "{final: {A: IDLE, \"B[1]\": PROVISIONED, others: OFF}, never: [PAUSED, RF]}",
	 "{\"final\": [{\"state\": \"IDLE\", \"who\": {\"group\": \"A\"}}, {\"state\": \"PROVISIONED\","
	 " \"who\": {\"group\": \"B\", \"index\": 1}}, {\"state\": \"OFF\", \"who\": {\"others\": true}}],"
	 " \"never\": [{\"state\": \"PAUSED\"}, {\"state\": \"REFRESHING\"}]}"},
	{"expect", "{never: {A: [IDLE, PAUSED], B: IDLE}}",
	 "{\"never\": [{\"state\": \"IDLE\", \"who\": {\"group\": \"A\"}}, {\"state\": \"PAUSED\", \"who\": {\"group\": \"A\"}},"
	 " {\"state\": \"IDLE\", \"who\": {\"group\": \"B\"}}]}"},
	{"expect", "{within: {PROVISIONED: 5s, REGISTERING: 1s, who: A}}",
	 "{\"within\": [{\"state\": \"PROVISIONED\", \"ns\": 5000000000, \"who\": {\"group\": \"A\"}},"
	 " {\"state\": \"REGISTERING\", \"ns\": 1000000000, \"who\": {\"group\": \"A\"}}]}"},
	{"expect", "{path: [{states: [..., IDLE], any: true, who: A}, {states: [..., PAUSED], count: \">= 2\"}]}",
	 "{\"path\": [{\"states\": [\"...\", \"IDLE\"], \"how\": \"any\", \"who\": {\"group\": \"A\"}},"
	 " {\"states\": [\"...\", \"PAUSED\"], \"how\": \"count\", \"count\": {\"min\": 2}}]}"},
	{"expect", "{replies: {403: 1, 200: \">= 3\"}, requests: {login: 1..2}, codes: {used: \"< 4\"}, server: {starts: 2}}",
	 "{\"counts\": [{\"what\": \"replies.403\", \"range\": {\"min\": 1, \"max\": 1}}, {\"what\": \"replies.200\", \"range\": {\"min\": 3}},"
	 " {\"what\": \"requests.login\", \"range\": {\"min\": 1, \"max\": 2}}, {\"what\": \"codes.used\", \"range\": {\"max\": 3}},"
	 " {\"what\": \"server.starts\", \"range\": {\"min\": 2, \"max\": 2}}]}"},
	{"expect", "{sms: [{sent: 1, who: A}, {sent: 2, lost: \"> 0\", who: B}], families: {issued: 1}, tokens: {revoked: 0}}",
	 "{\"counts\": [{\"what\": \"sms.sent\", \"range\": {\"min\": 1, \"max\": 1}, \"who\": {\"group\": \"A\"}},"
	 " {\"what\": \"sms.sent\", \"range\": {\"min\": 2, \"max\": 2}, \"who\": {\"group\": \"B\"}},"
	 " {\"what\": \"sms.lost\", \"range\": {\"min\": 1}, \"who\": {\"group\": \"B\"}},"
	 " {\"what\": \"families.issued\", \"range\": {\"min\": 1, \"max\": 1}},"
	 " {\"what\": \"tokens.revoked\", \"range\": {\"min\": 0, \"max\": 0}}]}"},
	{"expect", "{seen: [{event: handshake.failed, count: 0}, {event: fault.fired, match: {name: f1}, within: 5s, who: server}], balance: sms}",
	 "{\"seen\": [{\"event\": \"handshake.failed\", \"count\": {\"min\": 0, \"max\": 0}}, {\"event\": \"fault.fired\","
	 " \"match\": {\"name\": \"f1\"}, \"within_ns\": 5000000000, \"who\": {\"server\": true}, \"count\": {\"min\": 1}}],"
	 " \"balance\": {\"sms\": true}}"},
	{"expect", "{idle: [{code: 403, who: A}, {who: B, silent_for: 1s}]}",
	 "{\"idle\": [{\"code\": 403, \"silent_for_ns\": 0, \"who\": {\"group\": \"A\"}},"
	 " {\"code\": 0, \"silent_for_ns\": 1000000000, \"who\": {\"group\": \"B\"}}]}"},
	/* the rest */
	{"settings", "{sms_per_day: off, connection: hold, request_max: 8KiB, code_wait: 0.5s}",
	 "{\"sms_per_day\": -1, \"connection\": 1, \"request_max\": 8192, \"code_wait\": 500000000}"},
	{"thresholds", "[{metric: sms_time, p50: \"<= 500ms\", max: \"<3s\"}]",
	 "[{\"metric\": \"sms_time\", \"op\": \"p50\", \"cmp\": \"<=\", \"value\": 500000000, \"min_samples\": 1},"
	 " {\"metric\": \"sms_time\", \"op\": \"max\", \"cmp\": \"<\", \"value\": 3000000000, \"min_samples\": 1}]"},
	{"xfail", "{reason: \"#12\", until: 2028-02-29}", "{\"reason\": \"#12\", \"until\": \"2028-02-29\"}"},
	{"requires", "{modems: 2}", "{\"modems\": 2}"},
	{"skip", "no SIM", "\"no SIM\""},
};

START_TEST(test_part)
{
	struct plans plans = {0};
	char text[2048];
	json_t *part;

	snprintf(text, sizeof(text),
		 "version: 1\nscenarios:\n  - name: one\n    timeout: 200s\n    devices: {A: {count: 10}, B: {count: 1}}\n"
		 "    %s: %s\n%s",
		 parts[_i].part, parts[_i].text, strcmp(parts[_i].part, "expect") == 0 ? "" : "    expect: {final: IDLE}\n");
	parse(text, &plans);
	ck_assert_uint_eq(plans.n, 1);
	part = json_object_get(plans.v[0], parts[_i].part);
	strip(part);
	same(part, parts[_i].json);
	plans_fini(&plans);
}
END_TEST

/* ---- defaults, ids, JSON ---- */

static const struct {
	const char *start, *at;
	json_int_t s;
} times[] = {
	{"00:00", "02:00", 7200},	   {"23:30", "02:00", 9000}, {"12:00:30", "12:00:31", 1},
	{"12:00:30", "12:00:29", 86399}, {"08:15", "08:15", 0},	     {"00:00", "23:59:59", 86399},
};

START_TEST(test_time_of_day)
{
	struct plans p = {0};
	char text[300];

	snprintf(text, sizeof(text), "version: 1\nscenarios:\n  - {name: a, timeout: 48h, start: \"%s\", devices: {count: 1}, "
				     "faults: [{at: \"%s\", do: power_cut}]}\n", times[_i].start, times[_i].at);
	parse(text, &p);
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(p.v[0], "faults"), 0), "at_ns")),
			 times[_i].s * 1000000000);
	plans_fini(&p);
}
END_TEST

START_TEST(test_defaults)
{
	struct plans plans = {0};

	parse("{\"version\": 1, \"defaults\": {\"tags\": [\"a\", \"b\"], \"timeout\": \"5s\", \"seed\": 7,\n"
	      "\"settings\": {\"code_ttl\": \"9s\", \"connection\": \"hold\"}, \"modems\": {\"senders\": 8}}, \"scenarios\": [\n"
	      "{\"name\": \"one\", \"tags\": [\"b\", \"c\"], \"settings\": {\"code_ttl\": \"8s\"}, \"devices\": {\"count\": 1},\n"
	      "\"expect\": {\"final\": \"IDLE\"}},\n"
	      "{\"name\": \"two\", \"timeout\": \"6s\", \"devices\": {\"connection\": \"close\"}, \"expect\": {\"final\": \"IDLE\"}}]}\n",
	      &plans);
	ck_assert_uint_eq(plans.n, 2);
	same(json_object_get(plans.v[0], "id"), "\"t/one\""); /* the file's name */
	same(json_object_get(plans.v[0], "tags"), "[\"a\", \"b\", \"c\"]");
	same(json_object_get(plans.v[0], "settings"), "{\"code_ttl\": 8000000000, \"connection\": 1}");
	same(json_object_get(plans.v[0], "timeout_ns"), "5000000000");
	same(json_object_get(plans.v[0], "modems"), "{\"senders\": 8, \"receivers\": 2}");
	same(json_object_get(plans.v[1], "timeout_ns"), "6000000000");
	same(json_object_get(plans.v[1], "seed"), "\"7\"");
	same(json_object_get(plans.v[1], "settings"), "{\"code_ttl\": 9000000000, \"connection\": 1}");
	same(json_object_get(json_array_get(json_object_get(plans.v[0], "groups"), 0), "connection"), "\"hold\"");
	same(json_object_get(json_array_get(json_object_get(plans.v[1], "groups"), 0), "connection"), "\"close\"");
	plans_fini(&plans);
}
END_TEST

/* The nearest network counts, and that one alone; profiles are written out everywhere. */
START_TEST(test_networks)
{
	struct plans plans = {0};
	json_t *groups;

	parse("version: 1\ndefaults: {network: {profile: longrtt}}\nscenarios:\n"
	      "  - {name: one, devices: {count: 1}, expect: {final: IDLE}}\n"
	      "  - {name: two, network: {loss: 1%}, devices: {A: {count: 1}, B: {network: {drop: {up: 1}}}}, expect: {final: IDLE}}\n",
	      &plans);
	ck_assert_uint_eq(plans.n, 2);
	same(json_object_get(plans.v[0], "network"), "{\"delay_ns\": 375000000, \"rate_bps\": 10000000, \"queue\": 30000}");
	same(json_object_get(plans.v[1], "network"), "{\"loss\": 0.01}");
	groups = json_object_get(plans.v[1], "groups");
	ck_assert_ptr_null(json_object_get(json_array_get(groups, 0), "network"));
	same(json_object_get(json_array_get(groups, 1), "network"), "{\"drop\": {\"up\": [1], \"down\": [], \"per\": \"link\"}}");
	plans_fini(&plans);
}
END_TEST

/* No name of a profile is without one. */
START_TEST(test_every_profile)
{
	const char *p = vocab_find("network", "profile")->arg;
	unsigned n = 0;

	for (; *p; p += strcspn(p, " "), p += strspn(p, " "), n++) {
		struct plans plans = {0};
		char text[200];

		snprintf(text, sizeof(text),
			 "version: 1\nscenarios:\n  - {name: a, network: {profile: %.*s}, devices: {count: 1}, expect: {final: IDLE}}\n",
			 (int)strcspn(p, " "), p);
		parse(text, &plans);
		ck_assert_msg(json_object_get(json_object_get(plans.v[0], "network"), "delay_ns") != NULL, "%s", text);
		plans_fini(&plans);
	}
	ck_assert_uint_eq(n, 9);
}
END_TEST

/* A good scenario beside a bad one is still there; the ids of two files meet. */
START_TEST(test_partly_bad)
{
	static const char text[] = "version: 1\nsuite: s\nscenarios:\n"
				   "  - {name: good, devices: {count: 1}, expect: {final: IDLE}}\n"
				   "  - {name: bad, devices: {count: 0}, expect: {final: IDLE}}\n";
	struct source src = {.name = "t.yaml", .text = text, .len = sizeof(text) - 1};
	struct plans plans = {0};
	struct diags ds = {0};

	ck_assert_int_eq(scenario_parse(&src, &ds, &plans), ERR_PARSE);
	ck_assert_uint_eq(plans.n, 1);
	ck_assert_uint_eq(ds.errors, 1);
	src.name = "again.yaml";
	ck_assert_int_eq(scenario_parse(&src, &ds, &plans), ERR_PARSE);
	ck_assert_uint_eq(ds.errors, 4); /* both names, and the count again */
	ck_assert_uint_eq(plans.n, 1);
	plans_fini(&plans);
	diags_fini(&ds);
}
END_TEST

/* ---- verbs ---- */

static int verb(int (*fn)(int, char **), const char *const *words)
{
	char *argv[8] = {0};
	int argc = 0, rv;

	for (; words[argc]; argc++)
		argv[argc] = strdup(words[argc]);
	/* what they print is not looked at here */
	fflush(stdout);
	rv = fn(argc, argv);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return rv;
}

static const struct {
	int (*fn)(int, char **);
	const char *words[8];
	int exit;
} verbs[] = {
	{check_main, {"check", "scenarios"}, 0},
	{check_main, {"check"}, 0},
	{check_main, {"check", "--rig", "loopback", "scenarios/load.yaml"}, 0},
	{check_main, {"check", "scenarios/bad/who.yaml"}, 2},
	{check_main, {"check", "scenarios/none.yaml"}, 2},
	{check_main, {"check", "--rig", "scenarios/none.yaml", "scenarios/load.yaml"}, 2},
	{check_main, {"check", "--frobnicate"}, 2},
	{check_main, {"check", "--help"}, 0},
	{list_main, {"list", "scenarios"}, 0},
	{list_main, {"list", "--tag", "smoke", "--filter", "not load", "--rig", "loopback"}, 0},
	{list_main, {"list", "--tag", "no-such-tag"}, 4},
	{list_main, {"list", "--filter", "(("}, 2},
	{list_main, {"list", "--vocabulary"}, 0},
	{list_main, {"list", "--reference"}, 0},
	{schema_main, {"schema"}, 0},
	{schema_main, {"schema", "--help"}, 0},
	{schema_main, {"schema", "now"}, 2},
	{list_main, {"list", "scenarios/bad/tab.yaml"}, 2},
};

START_TEST(test_verb)
{
	ck_assert_int_eq(verb(verbs[_i].fn, verbs[_i].words), verbs[_i].exit);
}
END_TEST

int main(void)
{
	const char *root = getenv("QUICRIG_SRC");
	Suite *s = suite_create("language_plan");
	TCase *c = tcase_create("plan");
	SRunner *run;
	int failed;

	if (root && chdir(root))
		return 1;
	tcase_add_test(c, test_examples);
	tcase_add_loop_test(c, test_part, 0, sizeof(parts) / sizeof(parts[0]));
	tcase_add_test(c, test_defaults);
	tcase_add_loop_test(c, test_time_of_day, 0, sizeof(times) / sizeof(times[0]));
	tcase_add_test(c, test_networks);
	tcase_add_test(c, test_every_profile);
	tcase_add_test(c, test_partly_bad);
	tcase_add_loop_test(c, test_verb, 0, sizeof(verbs) / sizeof(verbs[0]));
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
