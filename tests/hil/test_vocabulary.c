/* The vocabulary's own examples: each is what its row says, and a reader takes it. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/read.h"
#include "hil/judge/oracle_priv.h"
#include "hil/language/scenario.h"

static struct source source_of(const char *text)
{
	return (struct source){.name = "t.yaml", .text = text, .len = strlen(text)};
}

/* What the errors say; caller frees. */
static char *printed(struct diags *ds)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	diags_print(ds, f);
	fclose(f);
	return out;
}

/* Where an example of a grammar of its own stands in a whole file. */
static const struct {
	const char *place, *around; /* %s: the example */
} scaffolds[] = {
	{"scenario", "version: 1\nscenarios:\n  - {name: a, timeout: 200s, %s%s}\n"},
	{"fault", "version: 1\nscenarios:\n  - {name: a, timeout: 200s, devices: {A: {count: 3}}, faults: [{%s%s}]}\n"},
	{"then", "version: 1\nscenarios:\n  - {name: a, devices: {A: {count: 3}}, faults: [{at: 1s, do: power_cut, then: {%s%s}}]}\n"},
	{"expect", "version: 1\nscenarios:\n  - {name: a, timeout: 200s, devices: {A: {count: 5}, B: {count: 5}}, expect: {%s%s}}\n"},
	{"expect.path", "version: 1\nscenarios:\n  - {name: a, devices: {A: {count: 3}}, expect: {path: {%s%s}}}\n"},
	{"expect.before", "version: 1\nscenarios:\n  - {name: a, devices: {A: {count: 3}}, expect: {seen: {event: device.code, before: {%s%s}}}}\n"},
	{"expect.seen", "version: 1\nscenarios:\n  - {name: a, devices: {A: {count: 3}}, expect: {seen: {%s%s}}}\n"},
	{"threshold", "version: 1\nscenarios:\n  - {name: a, devices: {A: {count: 3}}, thresholds: [{%s%s}]}\n"},
};

/* What an example needs beside it. */
static const char *beside(const char *place, const char *key)
{
	if (strcmp(key, "matrix") == 0)
		return ", devices: {A: {count: 3}}, expect: {replies: {$code: 1}}";
	if (strcmp(key, "parameters") == 0)
		return ", devices: {A: {count: 3}}, settings: {access_ttl: $ttl}";
	if (strcmp(place, "scenario") == 0)
		return strcmp(key, "devices") == 0   ? ""
		       : strcmp(key, "answers") == 0 ? ", server: scripted, devices: {A: {count: 3}}"
						     : ", devices: {A: {count: 3}}";
	if (strcmp(place, "fault") == 0)
		return strcmp(key, "do") == 0      ? ", on: sms.submitted"
		       : strcmp(key, "match") == 0 ? ", on: device.request, do: power_cut"
						   : ", do: power_cut";
	if (strcmp(place, "then") == 0)
		return ", after: 1s";
	if (strcmp(place, "expect.seen") == 0)
		return ", event: handshake.failed";
	if (strcmp(key, "others") == 0)
		return "}, faults: [{on: tokens.written, who: A, do: power_cycle}], skip: x, arrive: {ramp: {from: 1/s, to: 1/s, over: 1s}";
	if (strcmp(place, "expect.before") == 0)
		return ", event: token.issued";
	if (strcmp(place, "threshold") == 0)
		return ", metric: bootstrap_time";
	return "";
}

/* 1: it stands in a whole file and is fine; 0: no scaffold has its place. */
static int in_a_file(const struct vocab_key *k, char *text, size_t size)
{
	for (size_t s = 0; s < sizeof(scaffolds) / sizeof(scaffolds[0]); s++) {
		struct diags ds = {0};
		struct plans plans = {0};
		struct source src;
		char *said;

		if (!vocab_at(k, scaffolds[s].place))
			continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, size, scaffolds[s].around, k->example, beside(scaffolds[s].place, k->key));
#pragma GCC diagnostic pop
		src = source_of(text);
		scenario_parse(&src, &ds, &plans);
		said = printed(&ds);
		ck_assert_msg(ds.errors == 0 && plans.n >= 1, "%s%s", text, said);
		free(said);
		diags_fini(&ds);
		plans_fini(&plans);
		return 1;
	}
	return 0;
}

/* The example by itself, as `{key: value}`, read by its row. */
static void by_itself(const struct vocab_key *k)
{
	struct diags ds = {0};
	struct source src = source_of(k->example);
	struct yaml_tree *tree = yaml_tree_parse(&src, &ds);
	struct reader r = {.ds = &ds, .src = &src, .senders = 4, .receivers = 4};
	const struct yaml_node *value;
	json_t *got;
	char *said;

	ck_assert_msg(tree && !ds.errors, "%s", k->example);
	value = yaml_get(yaml_tree_root(tree), k->key);
	if (strcmp(k->key, "*") == 0)
		value = yaml_tree_root(tree)->first->value;
	ck_assert_msg(value, "the example of '%s' has no such key: %s", k->key, k->example);
	got = read_value(&r, value, k);
	said = printed(&ds);
	ck_assert_msg(got && !ds.errors, "%s\n%s", k->example, said);
	free(said);
	json_decref(got);
	yaml_tree_free(tree);
	diags_fini(&ds);
}

START_TEST(test_example)
{
	const struct vocab_key *k = &vocab_keys[_i];
	char text[600];

	/* rig files and scripts have tests of their own */
	if (k->type == VOCAB_LATER || (k->type == VOCAB_OTHER && (vocab_at(k, "rig") || vocab_at(k, "script"))))
		return;
	if (k->type != VOCAB_OTHER) {
		ck_assert_msg(k->example, "'%s' has no example", k->key);
		by_itself(k);
	} else if (k->example) {
		ck_assert_msg(in_a_file(k, text, sizeof(text)), "no scaffold for '%s'", k->key);
	} else {
		ck_assert_str_eq(k->key, "scenarios");
	}
}
END_TEST

START_TEST(test_docs)
{
	const struct vocab_key *k = &vocab_keys[_i];
	size_t len = strlen(k->doc);

	ck_assert_msg(len > 2 && (k->doc[len - 1] == '.' || k->doc[len - 1] == '?' || strcmp(k->doc + len - 3, "…") == 0),
		      "'%s': no sentence: %s", k->key, k->doc);
}
END_TEST

/* The language knows the oracle's invariants by name, and sees nothing of it. */
START_TEST(test_invariants)
{
#define ONE(name, id, text) " " id
	static const char all[] = INVARIANT_TABLE(ONE);
#undef ONE
	const char *words = NULL;

	for (size_t i = 0; i < vocab_keys_n; i++)
		if (strcmp(vocab_keys[i].key, "invariants") == 0)
			words = vocab_keys[i].arg;
	ck_assert_pstr_eq(words, all + 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vocabulary");
	TCase *c = tcase_create("examples");
	SRunner *run = srunner_create(s);
	int failed;

	tcase_add_test(c, test_invariants);
	tcase_add_loop_test(c, test_example, 0, (int)vocab_keys_n);
	tcase_add_loop_test(c, test_docs, 0, (int)vocab_keys_n);
	suite_add_tcase(s, c);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
