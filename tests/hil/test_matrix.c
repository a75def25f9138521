/* matrix and parameters: which scenarios one of a file becomes, and what stands in them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/scenario.h"

#define HEAD "version: 1\nsuite: m\nscenarios:\n"

static int parse(const char *text, struct plans *plans, char **said)
{
	struct source src = {.name = "t.yaml", .text = text, .len = strlen(text)};
	struct diags ds = {0};
	size_t size;
	FILE *f = open_memstream(said, &size);
	int rv = scenario_parse(&src, &ds, plans);

	diags_print(&ds, f);
	fclose(f);
	diags_fini(&ds);
	return rv;
}

static void good(const char *text, struct plans *plans)
{
	char *said = NULL;

	ck_assert_msg(parse(text, plans, &said) == 0, "%s%s", text, said);
	free(said);
}

static const char *id(const struct plans *p, size_t i)
{
	return json_string_value(json_object_get(p->v[i], "id"));
}

START_TEST(test_each_with_each)
{
	static const char *const ids[] = {"m/a-RG-401", "m/a-RG-403", "m/a-RG-412", "m/a-LI-401", "m/a-LI-403", "m/a-LI-412"};
	struct plans p = {0};
	json_t *fault;

	good(HEAD "  - name: a\n"
		  "    matrix: {cell: [{name: RG, resource: registerDevice}, {name: LI, resource: login}], code: [401, 403, 412]}\n"
		  "    devices: {count: 1}\n"
		  "    faults: [{on: server.reply, match: {resource: $cell.resource}, do: reply, code: $code, message: \"no $$ $(code)th\"}]\n"
		  "    expect: {idle: {code: $code}, replies: {$code: 1}}\n",
	     &p);
	ck_assert_uint_eq(p.n, 6);
	for (size_t i = 0; i < p.n; i++)
		ck_assert_str_eq(id(&p, i), ids[i]);
	fault = json_array_get(json_object_get(p.v[4], "faults"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(fault, "match"), "resource")), "login");
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(fault, "args"), "code")), 403);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(fault, "args"), "message")), "no $ 403th");
	/* places are those of the file, whatever stands there now */
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(fault, "source"), "line")), 7);
	plans_fini(&p);
}
END_TEST

START_TEST(test_cases)
{
	struct plans p = {0};

	good(HEAD "  - name: b\n"
		  "    matrix: [{final: IDLE, kind: {known: false}}, {final: PROVISIONED, kind: {known: true}}]\n"
		  "    devices: $kind\n"
		  "    expect: {final: $final}\n"
		  "  - name: c\n"
		  "    matrix: [{name: one, n: 1}, {name: two, n: 2}]\n"
		  "    devices: {count: $n}\n"
		  "  - name: d-$n-of\n"
		  "    matrix: {n: [7, 8]}\n"
		  "    devices: {count: $n}\n",
	     &p);
	ck_assert_uint_eq(p.n, 6);
	ck_assert_str_eq(id(&p, 0), "m/b-1");
	ck_assert_str_eq(id(&p, 1), "m/b-2");
	ck_assert(json_is_false(json_object_get(json_array_get(json_object_get(p.v[0], "groups"), 0), "known")));
	ck_assert(json_is_true(json_object_get(json_array_get(json_object_get(p.v[1], "groups"), 0), "known")));
	ck_assert_str_eq(id(&p, 3), "m/c-two");
	ck_assert_str_eq(id(&p, 4), "m/d-7-of");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(p.v[5], "groups"), 0), "count")), 8);
	plans_fini(&p);
}
END_TEST

START_TEST(test_parameters)
{
	struct plans p = {0};

	good("version: 1\nsuite: m\ndefaults: {parameters: {ttl: 2s, patience: 40s}}\nscenarios:\n"
	     "  - name: own\n    parameters: {ttl: 3s}\n    timeout: $patience\n    settings: {access_ttl: $ttl}\n"
	     "    devices: {count: 1}\n"
	     "  - name: theirs\n    settings: {access_ttl: $ttl}\n    devices: {count: 1}\n",
	     &p);
	ck_assert_uint_eq(p.n, 2);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(p.v[0], "settings"), "access_ttl")), 3000000000);
	ck_assert_int_eq(json_integer_value(json_object_get(p.v[0], "timeout_ns")), 40000000000);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(p.v[1], "settings"), "access_ttl")), 2000000000);
	plans_fini(&p);
}
END_TEST

/* A value may name those before it, in a list of a matrix too. */
START_TEST(test_values_that_name_others)
{
	struct plans p = {0};
	json_t *args;

	good("version: 1\nsuite: m\ndefaults: {parameters: {word: hello, text: \"$word $$1\"}}\nscenarios:\n"
	     "  - name: a-$n\n    parameters: {two: 2}\n    matrix: {n: [1, $two]}\n    devices: {count: $n}\n"
	     "    faults: [{on: sms.submitted, do: replace_text, with: $text}]\n",
	     &p);
	ck_assert_uint_eq(p.n, 2);
	ck_assert_str_eq(id(&p, 1), "m/a-2");
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(json_object_get(p.v[1], "groups"), 0), "count")), 2);
	args = json_object_get(json_array_get(json_object_get(p.v[0], "faults"), 0), "args");
	ck_assert_str_eq(json_string_value(json_object_get(args, "with")), "hello $1");
	plans_fini(&p);
}
END_TEST

/* Without parameters a '$' is a '$'. */
START_TEST(test_plain_dollar)
{
	struct plans p = {0};
	json_t *args;

	good(HEAD "  - name: a\n    devices: {count: 1}\n"
		  "    faults: [{on: sms.submitted, do: replace_text, with: \"$code $$\"}]\n",
	     &p);
	args = json_object_get(json_array_get(json_object_get(p.v[0], "faults"), 0), "args");
	ck_assert_str_eq(json_string_value(json_object_get(args, "with")), "$code $$");
	plans_fini(&p);
}
END_TEST

/* What is wrong in each case is told once, and no half of a scenario is left. */
START_TEST(test_told_once)
{
	struct plans p = {0};
	char *said = NULL, *first;

	ck_assert_int_ne(parse(HEAD "  - name: a\n    matrix: {n: [1, 2, 3]}\n    devices: {count: $n, knwon: true}\n", &p, &said), 0);
	first = strstr(said, "unknown key 'knwon'");
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_null(strstr(first + 1, "unknown key"));
	ck_assert_uint_eq(p.n, 0);
	free(said);
	plans_fini(&p);
}
END_TEST

/* A file cannot make the reader work without end, nor hold more than the machine has. */
START_TEST(test_bombs)
{
	static const char list[] = "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa, b, c, d, e, f, g, h, i, j]";
	size_t size, words = 12000;
	char *text = NULL, *said = NULL;
	FILE *f = open_memstream(&text, &size);
	struct plans p = {0};

	fprintf(f, HEAD "  - name: a\n    matrix: {x: %s, y: %s, z: %s}\n    devices: {count: 1}\n    tags: [", list, list, list);
	for (size_t i = 0; i < words; i++)
		fprintf(f, "%s$x$y$z$x", i ? ", " : "");
	fputs("]\n", f);
	fclose(f);
	ck_assert_int_ne(parse(text, &p, &said), 0);
	ck_assert_msg(strstr(said, "make too much of it"), "%s", said);
	free(text);
	free(said);
	plans_fini(&p);
}
END_TEST

/* What a parameter holds is read wherever it is named, so it counts there. */
START_TEST(test_large_values)
{
	char *text = NULL, *said = NULL;
	struct plans p = {0};
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(HEAD "  - name: a\n    matrix: {n: [1", f);
	for (int i = 2; i <= 500; i++)
		fprintf(f, ", %d", i);
	fputs("]}\n    devices: {count: $n}\n    tags: $s\n    parameters: {s: [x", f);
	for (int i = 0; i < 5000; i++)
		fputs(", x", f);
	fputs("]}\n", f);
	fclose(f);
	ck_assert_int_ne(parse(text, &p, &said), 0);
	ck_assert_msg(strstr(said, "make too much of it"), "%s", said);
	free(text);
	free(said);
	plans_fini(&p);
}
END_TEST

START_TEST(test_too_many_faults)
{
	char *text = NULL, *said = NULL;
	struct plans p = {0};
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs(HEAD "  - name: a\n    devices: {count: 1}\n    server: scripted\n    answers: [{to: login, code: 503}]\n    faults: [", f);
	for (int i = 0; i < 1000; i++)
		fprintf(f, "%s{at: 1s, do: power_cycle}", i ? ", " : "");
	fputs("]\n", f);
	fclose(f);
	ck_assert_int_ne(parse(text, &p, &said), 0);
	ck_assert_msg(strstr(said, "t.yaml:7:14: error: more than 1000 faults and answers"), "%s", said);
	free(text);
	free(said);
	plans_fini(&p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("matrix");
	TCase *c = tcase_create("matrix");
	SRunner *run = srunner_create(s);
	int failed;

	tcase_add_test(c, test_each_with_each);
	tcase_add_test(c, test_cases);
	tcase_add_test(c, test_parameters);
	tcase_add_test(c, test_values_that_name_others);
	tcase_add_test(c, test_plain_dollar);
	tcase_add_test(c, test_told_once);
	tcase_add_test(c, test_bombs);
	tcase_add_test(c, test_large_values);
	tcase_add_test(c, test_too_many_faults);
	suite_add_tcase(s, c);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
