/* Where two journals part. Rows: two short journals, and what is said of them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/diff.h"

#define EVENTS_MAX 8

struct journal_of {
	const char *lines[EVENTS_MAX];
};

struct loaded {
	struct journal_record r[EVENTS_MAX];
	size_t n;
};

#define UP     "{\"v\":1,\"t_ns\":1000,\"seq\":0,\"actor\":\"server\",\"kind\":\"server.state\",\"state\":\"up\"}"
#define ASKED  "{\"v\":1,\"t_ns\":2000,\"seq\":1,\"actor\":\"A[1]\",\"kind\":\"device.request\",\"dev\":\"d\",\"req\":\"aa\",\"resource\":\"login\"}"
#define REPLY(code) "{\"v\":1,\"t_ns\":3000,\"seq\":2,\"actor\":\"A[1]\",\"kind\":\"device.reply\",\"dev\":\"d\",\"code\":" code ",\"resource\":\"login\"}"
#define STATE(t, to) "{\"v\":1,\"t_ns\":" t ",\"seq\":3,\"actor\":\"A[1]\",\"kind\":\"device.state\",\"from\":\"LOGGING_IN\",\"to\":\"" to "\",\"row\":\"LI.x\"}"
#define OTHER  "{\"v\":1,\"t_ns\":2000,\"seq\":1,\"actor\":\"A[2]\",\"kind\":\"device.code\",\"dev\":\"e\",\"reg\":\"bb\",\"status\":\"held\"}"

static const struct row {
	const char *name;
	struct journal_of a, b;
	bool alike, ends;
	size_t at;
	const char *members;
	const char *text[3]; /* stand in the text; NULL ends */
} rows[] = {
	{"alike", {{UP, ASKED, REPLY("200")}}, {{UP, ASKED, REPLY("200")}}, true, false, 3, "", {NULL}},
	{"nothing on either side", {{NULL}}, {{NULL}}, true, false, 0, "", {NULL}},
	{"a field", {{UP, ASKED, REPLY("200")}}, {{UP, ASKED, REPLY("401")}}, false, false, 2, "code",
	 {"both      +0.000001000 s  A[1]      device.request resource=login dev=d req=aa\n",
	  "recorded  +0.000002000 s  A[1]      device.reply code=200", "now       +0.000002000 s  A[1]      device.reply code=401"}},
	{"time and field", {{UP, STATE("4000", "IDLE")}}, {{UP, STATE("5000", "PROVISIONED")}}, false, false, 1, "t_ns, to",
	 {"they differ in: t_ns, to\n", NULL}},
	{"another event", {{UP, ASKED}}, {{UP, OTHER}}, false, false, 1,
	 "actor, kind, dev, req, reg, resource, status", {"device.code status=held", NULL}},
	{"the second ends", {{UP, ASKED}}, {{UP}}, false, true, 1, "", {"now       ends: 1 event in all", NULL}},
	{"the first ends", {{UP}}, {{UP, ASKED}}, false, true, 1, "", {"recorded  ends: 1 event in all", NULL}},
	{"the very first", {{ASKED}}, {{UP}}, false, false, 0, "t_ns, seq, actor, kind, dev, req, resource, state",
	 {"  recorded  +0.000000000 s", NULL}},
};

static void load(const struct journal_of *j, struct loaded *out)
{
	struct err e = {0};

	for (out->n = 0; out->n < EVENTS_MAX && j->lines[out->n]; out->n++)
		ck_assert_msg(!journal_parse(j->lines[out->n], strlen(j->lines[out->n]), &out->r[out->n], &e), "%s", e.text);
}

static void unload(struct loaded *l)
{
	for (size_t i = 0; i < l->n; i++)
		journal_record_free(&l->r[i]);
}

static const struct journal_event *at(const void *ctx, size_t i)
{
	return &((const struct loaded *)ctx)->r[i].ev;
}

START_TEST(journals_part_where_they_do)
{
	const struct row *row = &rows[_i];
	struct loaded a, b;
	struct diff d;
	struct buf text;

	load(&row->a, &a);
	load(&row->b, &b);
	struct diff_side was = {"recorded", a.n, at, &a}, now = {"now", b.n, at, &b};

	diff_find(&was, &now, &d);
	ck_assert_msg(d.alike == row->alike && d.ends == row->ends, "%s: alike %d, ends %d", row->name, d.alike, d.ends);
	ck_assert_msg(d.at == row->at, "%s: at %zu", row->name, d.at);
	ck_assert_msg(strcmp(d.members, row->members) == 0, "%s: '%s'", row->name, d.members);
	buf_init(&text, 1 << 16);
	ck_assert_int_eq(diff_text(&d, &was, &now, &text), 0);
	ck_assert_msg(row->alike == (text.len == 0), "%s", row->name);
	for (int i = 0; i < 3 && row->text[i]; i++)
		ck_assert_msg(strstr(text.data, row->text[i]) != NULL, "%s: no '%s' in\n%s", row->name, row->text[i],
			      text.data);
	buf_fini(&text);
	unload(&a);
	unload(&b);
}
END_TEST

START_TEST(context_is_the_last_few_events)
{
	struct loaded a = {.n = 0};
	struct diff d;
	struct buf text;
	unsigned lines = 0;

	for (; a.n < EVENTS_MAX; a.n++)
		ck_assert(!journal_parse(UP, strlen(UP), &a.r[a.n], NULL));
	struct diff_side was = {"recorded", a.n, at, &a}, now = {"now", a.n - 1, at, &a};

	diff_find(&was, &now, &d);
	buf_init(&text, 1 << 16);
	ck_assert_int_eq(diff_text(&d, &was, &now, &text), 0);
	for (const char *p = text.data; (p = strstr(p, "  both ")); p++)
		lines++;
	ck_assert_uint_eq(lines, DIFF_CONTEXT);
	buf_fini(&text);
	/* one that is too small says so, and is not written past its end */
	buf_init(&text, 40);
	ck_assert_int_eq(diff_text(&d, &was, &now, &text), ERR_LIMIT);
	ck_assert_uint_le(text.len, 40);
	buf_fini(&text);
	unload(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("diff");
	TCase *c = tcase_create("diff");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_loop_test(c, journals_part_where_they_do, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_test(c, context_is_the_last_few_events);
	suite_add_tcase(s, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
