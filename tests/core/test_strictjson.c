/* The quick reader of JSON against jansson, over good documents and everything near them. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/strictjson.h"
#include "core/strictjson_quick.h"

#define DEPTH 4

static const char publish[] =
	"{\"authentication\":\"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJxIn0.c2ln-_\",\"resource\":\"publishMeasure\","
	"\"nonce\":\"0123456789abcdef\",\"kids\":[\"a1\",\"b2\"],\"done\":[],\"payload\":{\"uuid\":"
	"\"0f8fad5b\","
	"\"deviceType\":\"thermometer\",\"measure\":-21.5e-1,\"timestamp\":1767227160027}}";
static const char reply[] =
	" {\"code\" : 200,\t\"payload\":{\"message\":\"ACK\",\"x\":{\"y\":[true,false,null,0,-7]}}}\r\n";

/* What the quick one takes, jansson takes, and to the same value. True where taken. */
static bool agree(const char *data, size_t len)
{
	json_t *quick = strictjson_quick(data, len, DEPTH), *slow;

	if (!quick)
		return false;
	slow = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(slow && json_equal(quick, slow), "taken for something else: %.*s", (int)len, data);
	ck_assert_uint_le(strictjson_depth(data, len, 100), DEPTH);
	ck_assert_ptr_null(memchr(data, '\0', len));
	json_decref(quick);
	json_decref(slow);
	return true;
}

START_TEST(the_usual_is_taken)
{
	static const char *const texts[] = {
		publish, reply, "{}", "[]", "[1,[2,[3,[4]]]]", "{\"\":0}", "[0.5,1E3,-0,-0.0]"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_msg(agree(texts[i], strlen(texts[i])), "%s", texts[i]);
}
END_TEST

START_TEST(the_rest_goes_the_long_way)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"", false},
		{"7", false},
		{"\"a\"", false},
		{"{\"a\":1,\"a\":1}", false},
		{"{\"a\":\"\\u00e9\"}", true},
		{"{\"a\":\"\xc3\xa9\"}", true},
		{"{\"a\":\"\xc3\"}", false},
		{"{\"a\":\"\x7f\"}", true},
		{"{\"a\":9223372036854775807}", true},
		{"{\"a\":9223372036854775808}", false},
		{"{\"a\":1e999}", false},
		{"{\"a\":01}", false},
		{"{\"a\":1.}", false},
		{"{\"a\":1e}", false},
		{"{\"a\":-}", false},
		{"{\"a\":truex}", false},
		{"{\"a\":tru}", false},
		{"{\"a\":1}{}", false},
		{"{\"a\":1,}", false},
		{"[1,]", false},
		{"[1 2]", false},
		{"{\"a\" 1}", false},
		{"{a:1}", false},
		{"{\"a\":1", false},
		{"[[[[[]]]]]", false}, /* deeper than DEPTH */
		{"{\"a\":0.00000000000000000000000000000000000000000001}", true},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		json_t *j = strictjson_load(rows[i].text, strlen(rows[i].text), DEPTH, &e);

		ck_assert_msg(!strictjson_quick(rows[i].text, strlen(rows[i].text), DEPTH), "%s",
			      rows[i].text);
		ck_assert_msg((j != NULL) == rows[i].good, "%s", rows[i].text);
		ck_assert((e.code != 0) == !rows[i].good);
		json_decref(j);
	}
}
END_TEST

/* Each document cut anywhere, and with each byte changed into each of these. */
START_TEST(near_misses)
{
	static const char into[] = "\"\\{}[]:, 0-+9.aetn\n\x01\x7f\xc3";
	const char *const texts[] = {publish, reply};
	unsigned taken = 0, refused = 0;

	for (size_t t = 0; t < 2; t++) {
		size_t len = strlen(texts[t]);
		char *copy = strdup(texts[t]);

		ck_assert_ptr_nonnull(copy);
		for (size_t i = 0; i < len; i++) {
			char *part =
				malloc(i ? i : 1); /* of its own size, so that a read behind it is seen */

			ck_assert_ptr_nonnull(part);
			memcpy(part, copy, i);
			agree(part, i);
			free(part);
			for (size_t j = 0; j < sizeof(into); j++) {
				copy[i] = into[j];
				*(agree(copy, len) ? &taken : &refused) += 1;
			}
			copy[i] = texts[t][i];
		}
		free(copy);
	}
	ck_assert_uint_gt(taken, 1000);
	ck_assert_uint_gt(refused, 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("strictjson");
	TCase *t = tcase_create("strictjson");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, the_usual_is_taken);
	tcase_add_test(t, the_rest_goes_the_long_way);
	tcase_add_test(t, near_misses);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
