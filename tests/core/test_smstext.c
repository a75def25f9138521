/* The text that carries a code: one SMS, GSM-7, and only ours is read as ours. */
#include "core/smstext.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UUID "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"

static struct smstext sample(void)
{
	return (struct smstext){.uuid = UUID, .code = "AB12cd34EF56", .r = "a1b2c3d4"};
}

START_TEST(as_documented)
{
	struct smstext in = sample(), out;
	char text[SMSTEXT_MAX];

	smstext_format(&in, 300, text);
	ck_assert_str_eq(text, "Code AB12cd34EF56 for ee9f2110. Valid 5 min.\n@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d4");
	ck_assert(smstext_parse(text, &out));
	ck_assert_str_eq(out.uuid, in.uuid);
	ck_assert_str_eq(out.code, in.code);
	ck_assert_str_eq(out.r, in.r);
	in.r[0] = '\0'; /* the empty registration */
	smstext_format(&in, 30, text);
	ck_assert_str_eq(text, "Code AB12cd34EF56 for ee9f2110. Valid 30 s.\n@" UUID ".quicrig #AB12cd34EF56");
	ck_assert(smstext_parse(text, &out));
	ck_assert_str_eq(out.r, "");
}
END_TEST

START_TEST(one_message_of_gsm7)
{
	/* 3GPP TS 23.038 §6.2.1: of ASCII these are one septet each … */
	static const char fine[] = "\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
	static const unsigned valid[] = {0, 1, 59, 60, 119, 300, 86400, ~0u};
	struct smstext in = sample(), out;
	char text[SMSTEXT_MAX];

	strcpy(in.code, "WWWWWWWWWWWWWWWW"); /* the longest */
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		smstext_format(&in, valid[i], text);
		ck_assert_uint_le(strlen(text), 160);
		/* … and [ ] { } ^ ~ | \ are two, ` is none at all */
		ck_assert_uint_eq(strspn(text, fine), strlen(text));
		ck_assert_ptr_null(strpbrk(text, "[]{}^~|\\`"));
		ck_assert(smstext_parse(text, &out));
		ck_assert_str_eq(out.code, in.code);
	}
	smstext_format(&in, 119, text);
	ck_assert_ptr_nonnull(strstr(text, "Valid 1 min."));
	smstext_format(&in, 59, text);
	ck_assert_ptr_nonnull(strstr(text, "Valid 59 s."));
}
END_TEST

START_TEST(what_carriers_do_to_it)
{
	static const char *const good[] = {
		"@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d4",
		"x\r\n@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d4\r\n",
		"x\n@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d4 \n\n",
		"other words\xe2\x82\xac\n@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d4",
	};
	struct smstext out;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ck_assert_msg(smstext_parse(good[i], &out), "%zu", i);
		ck_assert_str_eq(out.code, "AB12cd34EF56");
		ck_assert_str_eq(out.r, "a1b2c3d4");
	}
}
END_TEST

START_TEST(what_is_not_ours)
{
	static const char *const bad[] = {
		"", "\n\n", " ", "@", "hello", "@" UUID, "@" UUID ".quicrig", "@" UUID ".quicrig #",
		"@" UUID ".quicrig # AB12", "@" UUID ".quicrig #AB12cd34EF56 ", /* see below */
		"@" UUID ".quicrig #AB12cd34EF56 r=", "@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d",
		"@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3d4e", "@" UUID ".quicrig #AB12cd34EF56 r=a1b2c3dg",
		"@" UUID ".quicrig #AB12cd34EF56 R=a1b2c3d4", "@" UUID ".quicrig #AB12cd34EF56  r=a1b2c3d4",
		"@" UUID ".quicrig #AAAAAAAAAAAAAAAAA", "@" UUID ".quicrig #AB12-d34EF56",
		"@" UUID ".example.org #AB12cd34EF56", "@" UUID ".Quicrig #AB12cd34EF56",
		"@EE9F2110-5843-11e9-a9ba-139bd26c8b4b.quicrig #AB12cd34EF56",
		"@ee9f2110-5843-11e9-a9ba-139bd26c8b4.quicrig #AB12cd34EF56",
		" @" UUID ".quicrig #AB12cd34EF56", "@" UUID ".quicrig #AB12cd34EF56\nbye",
	};
	struct smstext out;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool trimmed = strcmp(bad[i], "@" UUID ".quicrig #AB12cd34EF56 ") == 0; /* only blanks behind it */

		ck_assert_msg(smstext_parse(bad[i], &out) == trimmed, "%s", bad[i]);
		if (!trimmed)
			ck_assert_str_eq(out.code, "");
	}
}
END_TEST

START_TEST(cut_anywhere)
{
	struct smstext in = sample(), out;
	char text[SMSTEXT_MAX], *cut;
	size_t len;

	smstext_format(&in, 300, text);
	len = strlen(text);
	for (size_t n = 0; n < len; n++) {
		cut = strndup(text, n); /* its own block, so that a read behind it is seen */
		/* the only cut that still reads is the one before r */
		ck_assert_int_eq(smstext_parse(cut, &out), n == len - 11 || n == len - 10);
		if (n == len - 11)
			ck_assert_str_eq(out.r, "");
		free(cut);
	}
}
END_TEST

START_TEST(an_overlong_one_has_no_code)
{
	struct smstext in = {.uuid = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b", .code = "AB12cd34EF56", .r = "a1b2c3d4"}, back;
	char text[SMSTEXT_MAX], out[SMSTEXT_MAX];

	smstext_format(&in, 300, text);
	smstext_overlong(text, out);
	ck_assert_uint_le(strlen(out), SMSTEXT_MAX - 1);
	ck_assert(!smstext_parse(out, &back));
	smstext_overlong("short", out);
	ck_assert(!smstext_parse(out, &back));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("smstext");
	TCase *t = tcase_create("smstext");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, an_overlong_one_has_no_code);
	tcase_add_test(t, as_documented);
	tcase_add_test(t, one_message_of_gsm7);
	tcase_add_test(t, what_carriers_do_to_it);
	tcase_add_test(t, what_is_not_ours);
	tcase_add_test(t, cut_anywhere);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
