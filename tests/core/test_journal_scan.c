/* The short way of reading a journal line against the long one, and the numbers that
 * both are written with. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/journal_names.h"

#define UUID "0f8fad5b-d9cb-469f-a165-70867728950e"

static void same(const struct journal_event *a, const struct journal_event *b, const char *line)
{
	ck_assert_msg(a->t == b->t && a->seq == b->seq && a->kind == b->kind && a->n == b->n, "%s", line);
	ck_assert_pstr_eq(a->actor, b->actor);
	ck_assert_pstr_eq(a->scenario, b->scenario);
	ck_assert_pstr_eq(a->dev, b->dev);
	ck_assert_pstr_eq(a->req, b->req);
	ck_assert_pstr_eq(a->reg, b->reg);
	for (unsigned i = 0; i < a->n; i++) {
		ck_assert_int_eq(a->v[i].field, b->v[i].field);
		ck_assert_pstr_eq(a->v[i].s, b->v[i].s);
		ck_assert_int_eq(a->v[i].i, b->v[i].i);
	}
}

/* A blank behind the first brace is the same JSON, which only the long way takes. */
static int long_way(const char *line, size_t len, struct journal_record *out)
{
	char *other = malloc(len + 2);
	int rv;

	ck_assert_ptr_nonnull(other);
	other[0] = line[0];
	other[1] = ' ';
	memcpy(other + 2, line + 1, len - 1);
	ck_assert_int_eq(journal_scan(other, len + 1, out), ERR_NOTFOUND);
	rv = journal_parse(other, len + 1, out, NULL);
	free(other);
	return rv;
}

/* What the short way takes, the long way takes, and to the same event. True where taken. */
static bool agree(const char *line, size_t len)
{
	struct journal_record quick, slow;
	int rv = journal_scan(line, len, &quick);

	if (rv) {
		ck_assert_int_eq(rv, ERR_NOTFOUND);
		ck_assert_ptr_null(quick.arena);
		return false;
	}
	ck_assert_msg(long_way(line, len, &slow) == 0, "only the short way takes: %.*s", (int)len, line);
	same(&quick.ev, &slow.ev, line);
	journal_record_free(&quick);
	journal_record_free(&slow);
	return true;
}

static void write_full(enum journal_kind kind, struct buf *out)
{
	struct journal_event ev = {.t = 1234567890123, .seq = 42, .kind = kind, .actor = "A[3]", .scenario = "suite/name",
				   .dev = UUID, .req = "01234567", .reg = "a1b2c3d4"};

	for (unsigned f = 0; f < JF_END; f++) {
		bool text = journal_field_is_text((enum journal_field)f);

		if (journal_kind_has(kind, (enum journal_field)f) && ev.n < JOURNAL_VALUES)
			ev.v[ev.n++] = (struct journal_value){(enum journal_field)f, text ? "a text" : NULL,
							      text ? 0 : (int64_t)ev.n - 3};
	}
	buf_reset(out);
	ck_assert_int_eq(journal_format(&ev, out), 0);
}

START_TEST(every_plain_line_goes_the_short_way)
{
	struct buf b;

	buf_init(&b, 4096);
	for (int k = 0; k < J_END; k++) {
		write_full((enum journal_kind)k, &b);
		ck_assert_msg(agree(b.data, b.len), "%s", b.data);
		ck_assert(agree(b.data, b.len - 1)); /* without its newline */
	}
	buf_fini(&b);
}
END_TEST

/* Every line cut anywhere, and with every byte changed into each of these. */
START_TEST(what_is_broken_is_broken_on_both_ways)
{
	static const char into[] = "\"\\{}[]:, 0-9.ae\n\x01\x7f\xc3";
	struct buf b;
	unsigned taken = 0, refused = 0;

	buf_init(&b, 4096);
	for (int k = 0; k < J_END; k += 11) {
		write_full((enum journal_kind)k, &b);
		for (size_t i = 0; i + 1 < b.len; i++)
			ck_assert(!agree(b.data, i));
		for (size_t i = 1; i < b.len; i++) {
			char was = b.data[i];

			for (size_t j = 0; j < sizeof(into); j++) {
				b.data[i] = into[j];
				*(agree(b.data, b.len) ? &taken : &refused) += 1;
			}
			b.data[i] = was;
		}
	}
	ck_assert_uint_gt(taken, 1000);
	ck_assert_uint_gt(refused, 1000);
	buf_fini(&b);
}
END_TEST

START_TEST(lines_for_the_long_way)
{
	static const struct {
		const char *line;
		bool good;
	} rows[] = {
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"port\":9223372036854775807}", true},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"port\":9223372036854775808}", false},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"port\":01}", false},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"port\":1,\"port\":1}", false},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"actor\":\"a\",\"kind\":\"ready\"}", false},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"port\":1,\"kind\":\"ready\"}", true},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"\\u0061\",\"kind\":\"ready\"}", true},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"\xc3\xa9\",\"kind\":\"ready\"}", true},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"\xc3\",\"kind\":\"ready\"}", false},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"} ", true},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"}\n\n", true},
		{"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",}", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct journal_record rec;

		ck_assert_msg(journal_scan(rows[i].line, strlen(rows[i].line), &rec) == ERR_NOTFOUND, "%s", rows[i].line);
		ck_assert_msg((journal_parse(rows[i].line, strlen(rows[i].line), &rec, NULL) == 0) == rows[i].good, "%s",
			      rows[i].line);
		journal_record_free(&rec);
	}
}
END_TEST

START_TEST(names_there_and_back)
{
	for (int k = 0; k < J_END; k++)
		ck_assert_int_eq(journal_kind_find(journal_kinds[k].name, strlen(journal_kinds[k].name)), k);
	for (int f = 0; f < JF_END; f++)
		ck_assert_int_eq(journal_field_find(journal_fields[f].name, strlen(journal_fields[f].name)), f);
	ck_assert_int_eq(journal_kind_find("ready", 4), -1);
	ck_assert_int_eq(journal_kind_find("ready", 6), -1); /* its NUL is no part of a name */
	ck_assert_int_eq(journal_field_find("", 0), -1);
	ck_assert(journal_kind_has(J_CONN_CLOSE, JF_WHY) && !journal_kind_has(J_CONN_OPEN, JF_WHY));
	ck_assert(!journal_kind_has(J_HANDSHAKE_DONE, JF_ID));
	/* code is the beginning of code_fp, and no word of that list */
	ck_assert(journal_kind_has(J_SMS_QUEUED, JF_CODE_FP) && !journal_kind_has(J_SMS_QUEUED, JF_CODE));
}
END_TEST

START_TEST(numbers_as_printf_has_them)
{
	static const int64_t numbers[] = {0, 1, 9, 10, -1, -10, 1234567890123, INT64_MAX, INT64_MIN};
	char text[64];
	struct buf b;

	buf_init(&b, 100);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		buf_reset(&b);
		ck_assert_int_eq(buf_i64(&b, numbers[i]) | buf_u64(&b, (uint64_t)numbers[i]), 0);
		snprintf(text, sizeof(text), "%" PRId64 "%" PRIu64, numbers[i], (uint64_t)numbers[i]);
		ck_assert_str_eq(b.data, text);
	}
	buf_fini(&b);
	buf_init(&b, 3);
	ck_assert_int_eq(buf_i64(&b, -123), ERR_LIMIT);
	buf_reset(&b);
	ck_assert_int_eq(buf_json_str(&b, "ab"), ERR_LIMIT);
	buf_reset(&b);
	ck_assert_int_eq(buf_json_str(&b, "a"), 0);
	ck_assert_str_eq(b.data, "\"a\"");
	buf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("journal_scan");
	TCase *t = tcase_create("journal_scan");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, every_plain_line_goes_the_short_way);
	tcase_add_test(t, what_is_broken_is_broken_on_both_ways);
	tcase_add_test(t, lines_for_the_long_way);
	tcase_add_test(t, names_there_and_back);
	tcase_add_test(t, numbers_as_printf_has_them);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
