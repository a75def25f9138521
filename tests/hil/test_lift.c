/* Recordings of live rigs, in a few lines each, and the faults that they are lifted to. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/scenario.h"
#include "hil/language/scenario_write.h"
#include "hil/run/lift.h"

#define EVENTS_MAX 24

/* One event in few letters: second, actor, kind, what else. Device 1 is "u1", 2 is "u2". */
struct line {
	double t;
	const char *kind, *dev, *more;
};

#define ON(t, u)	   {t, "device.state", u, "\"from\":\"OFF\",\"to\":\"NOT_PROVISIONED\",\"row\":\"OFF.on\""}
#define ISSUED(t, u, c)	   {t, "code.issued", u, "\"code_fp\":\"" c "\""}
#define SENT(t, u, c)	   {t, "sms.submitted", u, "\"id\":\"\",\"code_fp\":\"" c "\",\"modem\":\"s1\""}
#define CAME(t, u, c)	   {t, "sms.delivered", u, "\"code_fp\":\"" c "\",\"modem\":\"r1\""}
#define GONE(t, u, c)	   {t, "sms.lost", u, "\"code_fp\":\"" c "\",\"why\":\"network\""}
#define FAILED(t, u, c, n) {t, "sms.failed", u, "\"code_fp\":\"" c "\",\"cms\":" n}
#define FIRED(t, u, f, on) {t, "fault.fired", u, "\"name\":\"l/x:" f "\",\"why\":\"" on "\""}
#define ASKS(t, u, r, q)   {t, "device.request", u, "\"resource\":\"" r "\"" q}
#define REQ(q)		   ",\"req\":\"" q "\""
#define REPLIES(t, u, q)   {t, "server.reply", u, "\"resource\":\"login\",\"code\":200,\"req\":\"" q "\""}
#define ANSWER(t, u, q)	   {t, "device.reply", u, "\"code\":200,\"resource\":\"login\",\"req\":\"" q "\""}
#define ROW(t, u, r)	   {t, "device.state", u, "\"from\":\"LOGGING_IN\",\"to\":\"NOT_PROVISIONED\",\"row\":\"" r "\""}
#define DOWN(t)		   {t, "server.state", NULL, "\"state\":\"down\",\"why\":\"signal 11\""}
#define UP(t)		   {t, "server.state", NULL, "\"state\":\"up\""}
#define END(t)		   {t, "scenario.end", NULL, "\"id\":\"l/x\",\"why\":\"settled\""}

static const struct row {
	const char *name;
	const char *faults; /* of the scenario; flow lists of YAML */
	struct line lines[EVENTS_MAX];
	const char *lifted; /* as the file has them, '|' between; "" none */
	const char *note;   /* stands in the notes; NULL */
} rows[] = {
	{"all is well", NULL, {ON(1, "u1"), ISSUED(1, "u1", "aa"), SENT(1.2, "u1", "aa"), CAME(1.5, "u1", "aa")}, "", NULL},
	{"late", NULL, {ON(1, "u1"), ISSUED(1, "u1", "aa"), SENT(1.2, "u1", "aa"), CAME(8.43, "u1", "aa")},
	 "{on: sms.submitted, who: \"A[1]\", do: delay, by: 7400ms}", "A[1]: SMS no. 1 took 7.4 s"},
	{"lost, then late", NULL,
	 {ON(1, "u2"), ISSUED(1, "u2", "aa"), SENT(1.2, "u2", "aa"), GONE(1.3, "u2", "aa"), ISSUED(5, "u2", "bb"),
	  SENT(5, "u2", "bb"), CAME(7, "u2", "bb")},
	 "{on: sms.submitted, who: \"A[2]\", do: lose}|{on: sms.submitted, who: \"A[2]\", do: delay, by: 2s}",
	 "A[2]: SMS no. 1 never arrived"},
	{"good, then without a word", NULL,
	 {ON(1, "u1"), ISSUED(1, "u1", "aa"), SENT(1.2, "u1", "aa"), CAME(1.3, "u1", "aa"), ISSUED(5, "u1", "bb")},
	 "{on: sms.submitted, nth: 2, who: \"A[1]\", do: lose}", "A[1]: SMS no. 2 never left a modem"},
	{"three of one", NULL,
	 {ON(1, "u1"), ISSUED(1, "u1", "aa"), SENT(1.2, "u1", "aa"), CAME(2.5, "u1", "aa"), CAME(3, "u1", "aa"), CAME(4, "u1", "aa")},
	 "{on: sms.submitted, who: \"A[1]\", do: duplicate, copies: 2}", "not lifted: that it came late, too"},
	{"refused by a modem, sent again", NULL,
	 {ON(1, "u1"), ISSUED(1, "u1", "aa"), FAILED(1.2, "u1", "aa", "38"), SENT(3, "u1", "aa"), CAME(3.2, "u1", "aa")},
	 "{on: sms.submitted, who: \"A[1]\", do: cms_error, code: 38}|{on: sms.submitted, who: \"A[1]\", do: delay, by: 2200ms}",
	 "a modem refused SMS no. 1 (CMS 38)"},
	{"the scenario's own stays", "[{on: sms.submitted, do: lose}]",
	 {ON(1, "u1"), ISSUED(1, "u1", "aa"), SENT(1.2, "u1", "aa"), FIRED(1.2, "u1", "f1", "sms.submitted"), GONE(1.2, "u1", "aa"),
	  ISSUED(5, "u1", "bb"), SENT(5, "u1", "bb"), CAME(9, "u1", "bb")},
	 "{on: sms.submitted, do: lose}|{on: sms.submitted, who: \"A[1]\", do: delay, by: 4s}", NULL},
	{"chance is pinned", "[{on: sms.submitted, each: true, chance: 50%, do: replace_code, with: AAAABBBBCCCC}]",
	 {ON(1, "u1"), ISSUED(1, "u1", "aa"), SENT(1.2, "u1", "aa"), CAME(1.3, "u1", "aa"), ISSUED(5, "u1", "bb"),
	  SENT(5, "u1", "bb"), FIRED(5, "u1", "f1", "sms.submitted"), CAME(5, "u1", "cc")},
	 "{on: sms.submitted, nth: 2, who: \"A[1]\", do: replace_code, with: AAAABBBBCCCC}", "'f1' fired by chance at SMS no. 2"},
	{"chance elsewhere is pinned, with what follows",
	 "[{on: device.reply, each: true, chance: 50%, match: {code: 200}, do: power_cut, then: {after: 5s, do: power_on}}]",
	 {ON(1, "u1"), ASKS(1, "u1", "login", REQ("q1")), REPLIES(1, "u1", "q1"), ANSWER(1.1, "u1", "q1"),
	  ASKS(2, "u1", "login", REQ("q2")), REPLIES(2, "u1", "q2"), ANSWER(2.1, "u1", "q2"), FIRED(2.1, "u1", "f1", "device.reply")},
	 "{on: device.reply, nth: 2, who: \"A[1]\", match: {code: 200}, do: power_cut, then: {after: 5s, do: power_on}}", NULL},
	{"no answer", NULL,
	 {ON(1, "u1"), ASKS(1, "u1", "login", REQ("q1")), REPLIES(1, "u1", "q1"), ANSWER(1.1, "u1", "q1"),
	  ASKS(2, "u1", "login", REQ("q2")), REPLIES(2, "u1", "q2"), ROW(12, "u1", "LI.no_answer"),
	  ASKS(13, "u1", "login", REQ("q3")), ROW(23, "u1", "LI.no_answer")},
	 "{on: server.reply, nth: 2, who: \"A[1]\", do: drop_reply}|{on: server.reply, nth: 2, who: \"A[1]\", do: drop_reply}",
	 "A[1]: no answer to its login"},
	{"the link broke", NULL,
	 {ON(1, "u1"), ASKS(1, "u1", "login", REQ("q1")), REPLIES(1, "u1", "q1"), ROW(1.2, "u1", "LI.link_lost"),
	  ASKS(3, "u1", "login", REQ("q2")), REPLIES(3, "u1", "q2"), ROW(13, "u1", "LI.no_answer")},
	 "{on: device.request, who: \"A[1]\", do: drop_connection}|{on: server.reply, who: \"A[1]\", do: drop_reply}",
	 "the link was lost during its login"},
	{"the server died by itself, and came back", NULL,
	 {UP(0.5), ON(1, "u1"), ASKS(4, "u1", "login", REQ("q1")), DOWN(4.5), ROW(14, "u1", "LI.no_answer"), UP(16.3), END(20), DOWN(21)},
	 "{at: 3500ms, who: server, do: restart, after: 11800ms}", "the server went down by itself (signal 11)"},
	{"the server died by itself, for good", NULL, {UP(0.5), ON(1, "u1"), DOWN(4), END(20), DOWN(21)},
	 "{at: 3s, who: server, do: kill}", NULL},
	{"the scenario kills the server", "[{at: 3s, do: restart}]",
	 {UP(0.5), ON(1, "u1"), ISSUED(4, "u1", "aa"), DOWN(4), UP(5), END(20), DOWN(21)}, "{at: 3s, do: restart}", NULL},
};

static void put(struct tape *t, const struct line *l, unsigned seq)
{
	char text[512];
	struct err e = {0};
	const char *actor = !l->dev	   ? "server" :
			    l->dev[1] == '1' ? "A[1]" :
					       "A[2]";
	int n = snprintf(text, sizeof(text), "{\"v\":1,\"t_ns\":%.0f,\"seq\":%u,\"actor\":\"%s\",\"kind\":\"%s\",%s%s%s%s}", l->t * 1e9,
			 seq, actor, l->kind, l->dev ? "\"dev\":\"" : "", l->dev ? l->dev : "", l->dev ? "\"," : "", l->more);

	ck_assert_msg(!tape_line(t, text, (size_t)n, &e), "%s: %s", e.text, text);
}

static struct tape *make_tape(const struct row *row)
{
	static const struct line added[] = {{0, "device.added", "u1", "\"label\":\"A[1]\",\"group\":\"A\",\"role\":\"known\""},
					    {0, "device.added", "u2", "\"label\":\"A[2]\",\"group\":\"A\",\"role\":\"known\""}};
	struct tape *t = tape_new();

	put(t, &added[0], 0);
	put(t, &added[1], 1);
	for (unsigned i = 0; i < EVENTS_MAX && row->lines[i].kind; i++)
		put(t, &row->lines[i], i + 2);
	return t;
}

static void make_plan(const struct row *row, struct plans *plans)
{
	char text[1024];
	struct source src = {.name = "l.yaml", .text = text};
	struct diags ds = {0};

	src.len = (size_t)snprintf(text, sizeof(text),
				   "version: 1\nsuite: l\nscenarios:\n  - name: x\n    timeout: 5m\n    devices: {count: 2}\n"
				   "    carrier: typical\n    xfail: {reason: r, until: 2027-01-01}\n    rigs: [loopback]\n"
				   "    faults: %s\n    expect: {final: PROVISIONED}\n",
				   row->faults ? row->faults : "[]");
	scenario_parse(&src, &ds, plans);
	diags_print(&ds, stderr);
	ck_assert_uint_eq(ds.errors, 0);
	diags_fini(&ds);
}

START_TEST(lifted_to_these_faults)
{
	const struct row *row = &rows[_i];
	struct plans plans = {0};
	struct recording r = {.id = "l/x"};
	struct lifted l;
	struct err e = {0};
	struct buf text, faults;
	char *line;

	make_plan(row, &plans);
	r.plan = plans.v[0];
	r.tape = make_tape(row);
	ck_assert_msg(lift(&r, &l, &e) == 0, "%s", e.text);
	buf_init(&text, 1 << 16);
	buf_init(&faults, 1 << 16);
	ck_assert_msg(scenario_write(l.plan, NULL, &text, &e) == 0, "%s: %s\n%s", row->name, e.text, text.data);
	for (line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"))
		if (strncmp(line, "      - ", 8) == 0)
			buf_printf(&faults, "%s%s", faults.len ? "|" : "", line + 8);
	ck_assert_msg(strcmp(faults.len ? faults.data : "", row->lifted) == 0, "%s:\n%s\nnot\n%s", row->name,
		      faults.len ? faults.data : "", row->lifted);
	ck_assert_msg(!row->note || (l.notes.len && strstr(l.notes.data, row->note)), "%s: %s", row->name,
		      l.notes.len ? l.notes.data : "");
	ck_assert_str_eq(json_string_value(json_object_get(l.plan, "carrier")), "immediate");
	ck_assert_ptr_null(json_object_get(l.plan, "xfail"));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(l.plan, "rigs"), 0)), "virtual");
	buf_fini(&text);
	buf_fini(&faults);
	lifted_fini(&l);
	tape_free(r.tape);
	plans_fini(&plans);
}
END_TEST

/* However many there are: the first ones stand in the file, the others are counted. */
START_TEST(more_notes_than_there_is_room_for)
{
	enum { LOST = 3000 };
	struct row row = {.name = "many"};
	struct plans plans = {0};
	struct recording r = {.id = "l/x"};
	struct lifted l;
	struct err e = {0};
	unsigned told = 0;
	char more[120];

	make_plan(&row, &plans);
	r.plan = plans.v[0];
	r.tape = make_tape(&row);
	for (unsigned i = 0; i < LOST; i++) {
		struct line line = {1, "code.issued", "u1", more};

		snprintf(more, sizeof(more), "\"code_fp\":\"%08x\"", i);
		put(r.tape, &line, 10 + 2 * i);
		line.kind = "sms.lost";
		put(r.tape, &line, 11 + 2 * i);
	}
	ck_assert_msg(lift(&r, &l, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(l.added, LOST);
	ck_assert_int_eq(l.notes.failed, 0);
	for (const char *p = l.notes.data; (p = strchr(p, '\n')); p++)
		told++;
	ck_assert_uint_gt(told, 500);
	ck_assert_uint_eq(told + l.notes_more, LOST);
	lifted_fini(&l);
	tape_free(r.tape);
	plans_fini(&plans);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lift");
	TCase *c = tcase_create("lift");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, lifted_to_these_faults, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(c, more_notes_than_there_is_room_for);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
