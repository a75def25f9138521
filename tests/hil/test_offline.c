/* Recordings of the virtual rig, fed to today's device: alike as they are; each thing that
 * is changed in one shows where, and in which words. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/scenario.h"
#include "hil/run/offline.h"
#include "hil/run/trial.h"

static const char text[] =
	"version: 1\n"
	"suite: o\n"
	"defaults: {settings: {access_ttl: 4s, publish_interval: 3s}}\n"
	"scenarios:\n"
	"  - name: life\n"
	"    devices: {count: 2}\n"
	"    steps: [{wait: PROVISIONED}, {sleep: 10s}, {power_cycle: A, off: 2s}, {sleep: 10s}]\n"
	"    expect: {final: PROVISIONED}\n"
	"  - name: lost\n"
	"    settings: {code_wait: 3s}\n"
	"    timeout: 20s\n"
	"    devices: {count: 1}\n"
	"    faults:\n"
	"      - {on: sms.submitted, do: lose}\n"
	"      - {on: sms.submitted, do: duplicate}\n"
	"    expect: {final: PROVISIONED}\n"
	"  - name: cut\n"
	"    rigs: [virtual]\n"
	"    devices: {count: 1}\n"
	"    faults:\n"
	"      - {on: tokens.written, do: power_cycle, off: 5s}\n"
	"      - {on: tokens.renamed, do: power_cycle, off: 5s}\n"
	"    expect: {final: PROVISIONED}\n"
	"  - name: forced\n"
	"    timeout: 100s\n"
	"    devices: {count: 1}\n"
	"    faults:\n"
	"      - {on: server.reply, do: reply, code: 503}\n"
	"      - {on: server.reply, do: drop_reply}\n"
	"      - {on: server.reply, match: {resource: login}, do: reply, code: 777}\n"
	"      - {on: server.reply, match: {resource: publishMeasure}, do: reply, code: 404}\n"
	"      - {on: server.reply, match: {resource: refreshToken}, do: reply, code: 700}\n"
	"    steps: [{wait: PROVISIONED, within: 60s}, {sleep: 20s}]\n"
	"    expect: {final: PROVISIONED}\n"
	"  - name: unsigned\n"
	"    devices: {count: 1, known: false}\n"
	"    steps: [{sleep: 10s}]\n"
	"    expect: {final: IDLE}\n"
	"  - name: wrong-sms\n"
	"    settings: {code_wait: 4s}\n"
	"    devices: {count: 1}\n"
	"    faults:\n"
	"      - {on: sms.submitted, do: replace_sender, with: \"+34999999999\"}\n"
	"      - {on: sms.submitted, do: replace_text, with: \"hello\"}\n"
	"      - {on: sms.submitted, do: replace_code, with: \"AAAAAAAAAAAA\"}\n"
	"    timeout: 60s\n"
	"    expect: {final: IDLE}\n"
	"  - name: slow\n"
	"    rigs: [virtual]\n"
	"    settings: {publish_interval: 1s, access_ttl: 60s}\n"
	"    network: {delay: 700ms}\n"
	"    devices: {count: 1}\n"
	"    steps: [{wait: PROVISIONED}, {sleep: 9s}]\n"
	"    expect: {final: PROVISIONED}\n"
	"  - name: disk\n"
	"    timeout: 60s\n"
	"    devices: {count: 2}\n"
	"    faults:\n"
	"      - {on: device.code, who: \"A[1]\", do: disk_full, for: 500ms}\n"
	"      - {on: tokens.renamed, who: \"A[2]\", do: power_cycle, off: 5s, unsynced: lose}\n"
	"    steps: [{wait: PROVISIONED, within: 30s}, {power_cycle: A, off: 2s}, {wait: PROVISIONED, within: 20s}]\n"
	"    expect: {final: PROVISIONED}\n";

enum scene { LIFE, LOST, CUT, FORCED, UNSIGNED, WRONG_SMS, SLOW, DISK, SCENES };

/* In the n-th line that has `mark`, `old` becomes `now` (NULL: the line goes). */
static const struct row {
	const char *name;
	enum scene scene;
	const char *mark;
	unsigned nth;
	const char *old, *now;
	const char *said[4]; /* NULL first: alike */
} rows[] = {
	{"a life with a power cycle and a refresh", LIFE, NULL, 0, NULL, NULL, {NULL}},
	{"lost, doubled", LOST, NULL, 0, NULL, NULL, {NULL}},
	{"power cut inside the token write", CUT, NULL, 0, NULL, NULL, {NULL}},
	{"a disk that failed, and what a cut left of it", DISK, NULL, 0, NULL, NULL, {NULL}},
	{"forced and dropped replies", FORCED, NULL, 0, NULL, NULL, {NULL}},
	{"refused", UNSIGNED, NULL, 0, NULL, NULL, {NULL}},
	{"SMS that are not for it", WRONG_SMS, NULL, 0, NULL, NULL, {NULL}},
	{"the next measure is due before the last is answered", SLOW, NULL, 0, NULL, NULL, {NULL}},

	{"another state", LOST, "AC.code_wait", 1, "\"to\":\"NOT_PROVISIONED\"", "\"to\":\"IDLE\"",
	 {"o/lost: A[1]: different at +3.", "input     its deadline came", "recorded  +3.", "to=IDLE"}},
	{"another row", LOST, "RG.200_sms", 1, "RG.200_sms", "RG.503", {"row=RG.503", "row=RG.200_sms"}},
	{"another wait", LOST, "AC.code_wait", 1, "\"wait_ns\":", "\"wait_ns\":1", {"different at +3.", "wait_ns=1"}},
	{"a timer too early", LOST, "AC.code_wait", 1, "\"t_ns\":4", "\"t_ns\":3", {"now       nothing", "not due before +3.004 s"}},
	{"a timer that was never served", LOST, "AC.code_wait", 1, NULL, NULL,
	 {"its deadline comes, and nothing is recorded", "recorded  nothing", "now       +3.", "row=AC.code_wait"}},
	{"another code in the reply", LIFE, "device.reply", 1, "\"code\":200", "\"code\":403",
	 {"input     a reply, 403 to registerDevice", "row=RG.200_sms", "row=RG.403"}},
	{"a reply that would have to be signed", UNSIGNED, "device.reply", 1, "\"signed\":1",
	 "\"signed\":0,\"why\":\"unsigned\"", {"a reply, 403 to registerDevice: unsigned", "row=RG.403", "row=RG.unknown"}},
	{"a request for something else", LIFE, "device.request", 2, "login", "refreshToken",
	 {"resource=refreshToken", "resource=login"}},
	{"a request that today's device does not send", LIFE, "\"row\":\"LI.200\"", 1, NULL, NULL,
	 {"recorded  +", "row=PV.due", "row=LI.200"}},
	{"a state without cause", LIFE, "device.reply", 1, NULL, NULL,
	 {"input     nothing that is recorded", "row=RG.200_sms", "now       nothing"}},
	{"the registration was kept", LOST, "\"req\"", 6, "\"reg\":\"", "\"reg\":\"f",
	 {"the registration: recorded as a new one, kept now"}},
	{"woken into another state", LIFE, "OFF.on_tokens", 1, "OFF.on_tokens", "OFF.on", {"row=OFF.on", "row=OFF.on_tokens"}},
	{"an SMS for somebody else", WRONG_SMS, "sms_sender", 1, "sms_sender", "sms_uuid", {NULL}},
	{"an SMS for another attempt", WRONG_SMS, "sms_sender", 1, "sms_sender", "sms_registration", {NULL}},
	{"a code by another way, too long", WRONG_SMS, "sms_sender", 1, "sms_sender", "code_too_long", {NULL}},
	{"ignored for no reason known", WRONG_SMS, "sms_sender", 1, "sms_sender", "sunspots",
	 {"input     nothing that is recorded", "why=sunspots"}},
};

static struct plans plans;
static struct trial *trials[SCENES];

static void setup(void)
{
	struct source src = {.name = "o.yaml", .text = text, .len = strlen(text)};
	struct diags ds = {0};
	struct err e = {0};

	scenario_parse(&src, &ds, &plans);
	diags_print(&ds, stderr);
	ck_assert_uint_eq(ds.errors, 0);
	ck_assert_uint_eq(plans.n, SCENES);
	diags_fini(&ds);
	for (unsigned i = 0; i < SCENES; i++) {
		trials[i] = trial_once(plans.v[i], NULL, true, &e);
		ck_assert_msg(trials[i] && trials[i]->hash[0], "%s", e.text);
		ck_assert_msg(trials[i]->result->verdict == VERDICT_PASS, "%s: %s", trials[i]->result->id,
			      trials[i]->result->reason);
	}
}

static void teardown(void)
{
	for (unsigned i = 0; i < SCENES; i++)
		trial_free(trials[i]);
	plans_fini(&plans);
}

/* A copy of the tape with one line changed; how many were. */
static unsigned changed_tape(const struct tape *from, const struct row *row, struct tape *to)
{
	unsigned seen = 0, changed = 0;
	struct buf line, other;
	struct err e = {0};

	buf_init(&line, 1 << 16);
	buf_init(&other, 1 << 16);
	for (size_t i = 0; i < tape_count(from); i++) {
		const char *at;

		buf_reset(&line);
		buf_reset(&other);
		ck_assert(!journal_format(tape_at(from, i), &line));
		line.data[--line.len] = '\0';
		if (row->mark && strstr(line.data, row->mark) && strstr(line.data, "\"actor\":\"A[1]\"") && ++seen == row->nth) {
			changed++;
			if (!row->now)
				continue;
			at = strstr(line.data, row->old);
			ck_assert_msg(at != NULL, "%s: no '%s' in %s", row->name, row->old, line.data);
			buf_add(&other, line.data, (size_t)(at - line.data));
			buf_puts(&other, row->now);
			buf_puts(&other, at + strlen(row->old));
		} else {
			buf_add(&other, line.data, line.len);
		}
		ck_assert_msg(!tape_line(to, other.data, other.len, &e), "%s: %s", row->name, e.text);
	}
	buf_fini(&line);
	buf_fini(&other);
	return changed;
}

START_TEST(recordings_against_todays_device)
{
	const struct row *row = &rows[_i];
	struct trial *t = trials[row->scene];
	struct tape *tape = tape_new();
	struct offline_options opt = {0};
	struct replay_device d = {NULL, "A[1]"};
	struct offline_result got;
	struct err e = {0};
	struct offline *o;
	struct buf said;
	int rv;

	ck_assert_msg(changed_tape(t->tape, row, tape) == (row->mark ? 1 : 0), "%s: '%s' is not there", row->name, row->mark);
	for (size_t i = 0; i < tape_count(tape) && !d.uuid; i++)
		d.uuid = tape_at(tape, i)->dev;
	o = offline_new(t->plan, tape, &opt, &e);
	ck_assert_msg(o != NULL, "%s", e.text);
	buf_init(&said, 1 << 16);
	rv = offline_device(o, &d, &got, &said, &e);
	ck_assert_msg(rv == 0, "%s: %s", row->name, e.text);
	ck_assert_msg(got.alike == !row->said[0], "%s: %s\n%s", row->name, got.alike ? "alike" : "different",
		      said.len ? said.data : "");
	ck_assert(got.alike == !said.len);
	ck_assert_uint_gt(got.inputs, 0);
	for (int i = 0; i < 4 && row->said[i]; i++)
		ck_assert_msg(strstr(said.data, row->said[i]) != NULL, "%s: no '%s' in\n%s", row->name, row->said[i], said.data);
	buf_fini(&said);
	offline_free(o);
	tape_free(tape);
}
END_TEST

/* ---- commands: our server does not queue them yet, so their recording is written here ---- */

struct writer {
	struct tape *tape;
	const char *uuid;
	time_ns t;
	uint64_t ts;
};

static void put(struct writer *w, const char *kind, const char *fields)
{
	struct err e = {0};
	struct buf line;

	buf_init(&line, 4096);
	buf_printf(&line,
		   "{\"v\":1,\"t_ns\":%llu,\"seq\":0,\"actor\":\"A[1]\",\"kind\":\"%s\",\"dev\":\"%s\",%s}",
		   (unsigned long long)w->t, kind, w->uuid, fields);
	ck_assert_msg(!tape_line(w->tape, line.data, line.len, &e), "%s: %s", e.text, line.data);
	buf_fini(&line);
}

static void put_state(struct writer *w, const char *from, const char *to, const char *row, const char *more)
{
	char fields[256];

	snprintf(fields, sizeof(fields), "\"from\":\"%s\",\"to\":\"%s\",\"row\":\"%s\"%s", from, to, row, more);
	put(w, "device.state", fields);
}

/* The next measure, `ns` later, answered 200 one millisecond after. */
static void put_publish(struct writer *w, time_ns ns)
{
	char fields[100];

	w->t += ns;
	w->ts += ns / NS_PER_MS;
	put_state(w, "PROVISIONED", "PROVISIONED", "PV.due", "");
	snprintf(fields, sizeof(fields), "\"resource\":\"publishMeasure\",\"ts\":\"%llu\"", (unsigned long long)w->ts);
	put(w, "device.request", fields);
	w->t += NS_PER_MS;
	w->ts += 1;
	put(w, "device.reply", "\"code\":200,\"resource\":\"publishMeasure\",\"signed\":1,\"retry_s\":-1");
}

#define PV "PROVISIONED"

static void write_commands(struct writer *w)
{
	/* another one, before the reply's own row; then one that it did before */
	put_publish(w, 3 * NS_PER_S);
	put_state(w, PV, PV, "PV.cmd_other", "");
	put_state(w, PV, PV, "PV.200", ",\"code\":200");
	put_publish(w, 3 * NS_PER_S - NS_PER_MS);
	put_state(w, PV, PV, "PV.200", ",\"code\":200");
	put_state(w, PV, "PAUSED", "PV.cmd_pause", "");
	put(w, "command.done", "\"id\":\"c1\",\"name\":\"PAUSE\"");
	w->t += 5 * NS_PER_S;
	w->ts += 5000;
	put_state(w, "PAUSED", PV, "PA.over", "");
	put_publish(w, 0);
	put(w, "device.ignored", "\"why\":\"command_again\",\"state\":\"PROVISIONED\"");
	put_state(w, PV, PV, "PV.200", ",\"code\":200");
	put_publish(w, 3 * NS_PER_S - NS_PER_MS);
	put_state(w, PV, PV, "PV.200", ",\"code\":200");
	put_state(w, PV, PV, "PV.cmd_keys", "");
	put(w, "command.done", "\"id\":\"c2\",\"name\":\"KEYS\"");
	put_publish(w, 3 * NS_PER_S - NS_PER_MS);
	put_state(w, PV, PV, "PV.200", ",\"code\":200");
	put_state(w, PV, PV, "PV.cmd_config", "");
	put(w, "command.done", "\"id\":\"c3\",\"name\":\"CONFIG\"");
	put_publish(w, 60 * NS_PER_S - NS_PER_MS);
	put_state(w, PV, PV, "PV.200", ",\"code\":200");
	put_state(w, PV, "IDLE", "PV.cmd_idle", "");
	put(w, "command.done", "\"id\":\"c4\",\"name\":\"IDLE\"");
	w->t += NS_PER_S;
	put_state(w, "IDLE", "IDLE", "IDLE.late", "");
}

START_TEST(commands_that_rode_on_replies)
{
	struct trial *t = trials[LIFE];
	struct writer w = {.tape = tape_new()};
	struct replay_device d = {NULL, "A[1]"};
	struct offline_options opt = {0};
	struct offline_result got;
	struct err e = {0};
	struct offline *o;
	struct buf said;

	for (size_t i = 0; i < tape_count(t->tape) && !w.t; i++) {
		const struct journal_event *ev = tape_at(t->tape, i);

		if (ev->kind == J_DEVICE_ADDED && !d.uuid)
			d.uuid = ev->dev;
		ck_assert_int_eq(tape_event(w.tape, ev), 0);
		if (!d.uuid || !ev->dev || strcmp(ev->dev, d.uuid) != 0)
			continue;
		if (journal_has(ev, JF_TS) && ev->kind == J_DEVICE_REQUEST) {
			w.ts = strtoull(journal_text(ev, JF_TS), NULL, 10);
			w.t = ev->t;
		}
	}
	w.uuid = d.uuid;
	/* that measure's answer, too */
	w.t += NS_PER_MS;
	put(&w, "device.reply", "\"code\":200,\"resource\":\"publishMeasure\",\"signed\":0,\"retry_s\":-1");
	put_state(&w, PV, PV, "PV.200", ",\"code\":200");
	w.t -= NS_PER_MS;
	write_commands(&w);
	o = offline_new(t->plan, w.tape, &opt, &e);
	ck_assert_msg(o != NULL, "%s", e.text);
	buf_init(&said, 1 << 16);
	ck_assert_msg(!offline_device(o, &d, &got, &said, &e), "%s", e.text);
	ck_assert_msg(got.alike, "%s", said.len ? said.data : "");
	ck_assert_uint_ge(got.assumed, 2); /* register's interval, CONFIG's */
	buf_fini(&said);
	offline_free(o);
	tape_free(w.tape);
}
END_TEST

START_TEST(what_cannot_be_looked_at)
{
	struct trial *t = trials[LIFE];
	struct offline_options opt = {0};
	struct replay_device d = {"00000000-0000-4000-8000-000000000000", "B[1]"};
	struct offline_result got;
	struct err e = {0};
	struct offline *o = offline_new(t->plan, t->tape, &opt, &e);
	json_t *bad = json_pack("{s:i}", "v", 1);
	struct buf said;

	buf_init(&said, 1 << 16);
	ck_assert_int_eq(offline_device(o, &d, &got, &said, &e), ERR_PARSE);
	ck_assert_ptr_nonnull(strstr(e.text, "do not belong together: no device of the plan is B[1]"));
	buf_fini(&said);
	offline_free(o);
	e = (struct err){0};
	ck_assert_ptr_null(offline_new(bad, t->tape, &opt, &e));
	ck_assert_int_eq(e.code, ERR_PARSE);
	json_decref(bad);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("offline");
	TCase *c = tcase_create("offline");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_loop_test(c, recordings_against_todays_device, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(c, commands_that_rode_on_replies);
	tcase_add_test(c, what_cannot_be_looked_at);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
