/* What a recorded device asked, as a script: rows of a journal, and the steps made of it. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/run/against.h"

#define EVENTS_MAX 12

struct line {
	unsigned ms;
	const char *actor, *kind, *more;
};

#define ASKS(ms, r, q, g)    {ms, "A[1]", "device.request", "\"resource\":\"" r "\",\"req\":\"" q "\",\"reg\":\"" g "\""}
#define ANSWER(ms, c, q, w)  {ms, "A[1]", "device.reply", "\"code\":" c ",\"req\":\"" q "\"" w}
#define ROW(ms, r)	     {ms, "A[1]", "device.state", "\"from\":\"LOGGING_IN\",\"to\":\"OFF\",\"row\":\"" r "\""}
#define ISSUED(ms, f, g)     {ms, "server", "code.issued", "\"code_fp\":\"" f "\",\"reg\":\"" g "\""}
#define USES(ms, f, q, g, w) {ms, "A[1]", "device.code", "\"code_fp\":\"" f "\",\"req\":\"" q "\",\"reg\":\"" g "\",\"status\":\"used\"" w}
#define FIRED(ms, on)	     {ms, "server", "fault.fired", "\"name\":\"s/x:f1\",\"why\":\"" on "\""}

static const struct row {
	const char *name;
	struct line lines[EVENTS_MAX];
	const char *script; /* "ms resource registration outcome[!][=fault]", ';' between; ! wrong code */
	int error;
} rows[] = {
	{"register and login",
	 {ASKS(5, "registerDevice", "q1", "r1"), ANSWER(9, "200", "q1", ""), ISSUED(8, "aa", "r1"), USES(20, "aa", "q2", "r1", ""),
	  ASKS(20, "login", "q2", "r1"), ANSWER(25, "200", "q2", "")},
	 "0 registerDevice r1 200;15 login r1 200;", 0},
	{"a code of another attempt",
	 {ISSUED(1, "aa", "r1"), USES(2, "aa", "q1", "r2", ""), ASKS(2, "login", "q1", "r2"), ANSWER(3, "401", "q1", "")},
	 "0 login r2 401!;", 0},
	{"a code that nobody issued", {ISSUED(1, "aa", "r1"), USES(2, "bb", "q1", "r1", ""), ASKS(2, "login", "q1", "r1"), ANSWER(3, "401", "q1", "")},
	 "0 login r1 401!;", 0},
	{"no journal of the server", {USES(2, "bb", "q1", "r1", ""), ASKS(2, "login", "q1", "r1"), ANSWER(3, "200", "q1", "")},
	 "0 login r1 200;", 0},
	{"why it was not believed", {ASKS(1, "refreshToken", "q1", "r1"), ANSWER(2, "700", "q1", ",\"why\":\"unsigned\"")},
	 "0 refreshToken r1 700 (unsigned);", 0},
	{"no code in it", {ASKS(1, "publishMeasure", "q1", "r1"), ANSWER(2, "0", "q1", "")}, "0 publishMeasure r1 no code;", 0},
	{"no answer, link lost, power off",
	 {ASKS(1, "registerDevice", "q1", "r1"), ROW(2, "RG.no_answer"), ASKS(3, "registerDevice", "q2", "r1"), ROW(4, "RG.link_lost"),
	  ASKS(5, "registerDevice", "q3", "r1"), ROW(6, "RG.off")},
	 "0 registerDevice r1 no answer=its rig;2 registerDevice r1 link lost=its rig;4 registerDevice r1 power off=its rig;", 0},
	{"cut off", {ASKS(1, "registerDevice", "q1", "r1")}, "0 registerDevice r1 power off=its rig;", 0},
	{"a fault had to do with it",
	 {ASKS(1, "registerDevice", "q1", "r1"), FIRED(2, "server.reply"), ANSWER(3, "503", "q1", ""), ASKS(4, "registerDevice", "q2", "r1"),
	  ANSWER(5, "200", "q2", "")},
	 "0 registerDevice r1 503=s/x:f1;3 registerDevice r1 200;", 0},
	{"an SMS's fault is not the reply's",
	 {ASKS(1, "registerDevice", "q1", "r1"), FIRED(2, "sms.submitted"), ANSWER(3, "200", "q1", "")}, "0 registerDevice r1 200;", 0},
	{"TOTP", {USES(2, "bb", "q1", "r1", ",\"why\":\"totp\""), ASKS(2, "login", "q1", "r1"), ANSWER(3, "200", "q1", "")}, NULL, ERR_UNSUPPORTED},
	{"asked nothing", {ROW(2, "RG.off")}, NULL, ERR_NOTFOUND},
};

static void put(struct tape *t, const struct line *l, unsigned seq)
{
	char text[512];
	struct err e = {0};
	int n = snprintf(text, sizeof(text), "{\"v\":1,\"t_ns\":%u000000,\"seq\":%u,\"actor\":\"%s\",\"kind\":\"%s\",\"dev\":\"u1\",%s}",
			 l->ms, seq, l->actor, l->kind, l->more);

	ck_assert_msg(!tape_line(t, text, (size_t)n, &e), "%s: %s", e.text, text);
}

START_TEST(scripts)
{
	const struct row *row = &rows[_i];
	struct recording r = {.dir = (char[]){"folder"}, .tape = tape_new()};
	struct replay_device d = {"u1", "A[1]"};
	struct against_script s;
	struct err e = {0};
	struct buf said;
	char text[64];
	int rv;

	for (unsigned i = 0; i < EVENTS_MAX && row->lines[i].kind; i++)
		put(r.tape, &row->lines[i], i);
	rv = against_script(&r, &d, &s, &e);
	ck_assert_msg(rv == row->error, "%s: %d %s", row->name, rv, e.text);
	buf_init(&said, 4096);
	for (size_t i = 0; i < s.n; i++)
		buf_printf(&said, "%u %s %s %s%s%s%s;", (unsigned)(s.v[i].at / NS_PER_MS), msg_resource_name(s.v[i].resource),
			   s.v[i].reg, against_text(&s.v[i].recorded, text, sizeof(text)), s.v[i].wrong_code ? "!" : "",
			   s.v[i].excused ? "=" : "", s.v[i].excused ? s.v[i].excused : "");
	ck_assert_msg(strcmp(said.len ? said.data : "", row->script ? row->script : "") == 0, "%s:\n%s\nnot\n%s", row->name,
		      said.len ? said.data : "", row->script);
	buf_fini(&said);
	against_script_fini(&s);
	tape_free(r.tape);
}
END_TEST

START_TEST(shapes)
{
	struct against_shape a = {AGAINST_REPLY, 200, ""}, b = a;

	ck_assert(against_same(&a, &b));
	b.code = 401;
	ck_assert(!against_same(&a, &b));
	b = a;
	strcpy(b.why, "unsigned");
	ck_assert(!against_same(&a, &b));
	b = (struct against_shape){AGAINST_NO_ANSWER, 0, ""};
	ck_assert(!against_same(&a, &b));
	a = b;
	a.code = 3; /* means nothing where there was no reply */
	ck_assert(against_same(&a, &b));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("against");
	TCase *c = tcase_create("against");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, scripts, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(c, shapes);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
