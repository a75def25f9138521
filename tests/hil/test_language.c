/* Scenario language: the strict YAML subset, places and words of errors, plans. */
#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"
#include "core/rows.h"
#include "hil/language/rigfile.h"
#include "hil/language/scenario.h"
#include "hil/language/select.h"
#include "hil/language/vocab.h"
#include "hil/language/who.h"
#include "hil/language/yaml_tree.h"

#define MUTATIONS 4000

static struct source source_of(const char *text)
{
	return (struct source){.name = "t.yaml", .text = text, .len = strlen(text)};
}

/* All that the diags say, as a person sees it; caller frees. */
static char *printed(struct diags *ds)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	diags_print(ds, f);
	fclose(f);
	return out;
}

/* ---- yaml_tree ---- */

static const struct {
	const char *text, *error; /* NULL: fine */
} trees[] = {
	{"a: 1\nb: [x, {c: d}]\n", NULL},
	{"{\"a\": 1, \"b\":[\"x\",{\"c\":\"d\"}]}", NULL}, /* JSON */
	{"---\na: 1\n...\n", NULL},
	{"\xEF\xBB\xBF" "a: 1\r\nb: 2\r\n", NULL},
	{"a: 'é €'\n", NULL},
	{"a: |\n  text\n  more\n", NULL},
	{"a: \"x\\ty\"\n", NULL},
	{"", "t.yaml:1:1: error: nothing in it"},
	{"# nothing\n", "t.yaml:1:1: error: nothing in it"},
	{"a: &x 1\n", "t.yaml:1:4: error: anchor '&x'"},
	{"a: *x\n", "t.yaml:1:4: error: alias"},
	{"a: !!str 1\n", "t.yaml:1:4: error: tag 'tag:yaml.org,2002:str'"},
	{"a: é\nb: ! 1\n", "t.yaml:2:4: error: tag '!'"},
	{"%YAML 1.1\n---\na: 1\n", "error: directives"},
	{"a: 1\n--- b\n", "t.yaml:2:1: error: a second document"},
	{"a:\t1\n", "t.yaml:1:3: error: tab"},
	{"a: 1\nb: 2\na: 3\n", "t.yaml:3:1: error: duplicate key 'a' (first at line 1)"},
	{"{\"a\": 1, \"\\u0061\": 2}", "t.yaml:1:10: error: duplicate key 'a'"},
	{"{a: b}: c\n", "t.yaml:1:1: error: a key must be a word"},
	{"? [a]\n: c\n", "t.yaml:1:3: error: a key must be a word"},
	{"a: \"\\0\"\n", "t.yaml:1:4: error: a text with a NUL in it"},
	{"a: \x01\n", "t.yaml:1:4: error: control character U+0001"},
	{"a: \xC2\x85\n", "t.yaml:1:4: error: control character U+0085"},
	{"a: b\xFF\n", "t.yaml:1:5: error: not UTF-8 (byte 0xFF)"},
	{"a: \xED\xA0\x80\n", "t.yaml:1:4: error: not UTF-8"}, /* a surrogate */
	{"a: \xC0\x80\n", "t.yaml:1:4: error: not UTF-8"},     /* overlong */
	{"a: \xE2\x82", "t.yaml:1:4: error: not UTF-8"},       /* cut short */
	{"a: [1\n", "error: not YAML:"},
	{"a: 1\n b: 2\n", "t.yaml:2:3: error: not YAML:"},
	{"- a\nb: 1\n", "t.yaml:2:1: error: not YAML:"},
	/* what people forget to quote */
	{"final: {A[2]: IDLE}\n", "begun at line 1 (inside { } a text with [ or ] stands in quotes: \"A[3]\")"},
	{"x: é\nfinal: {A[2]: IDLE}\n", "stands in quotes: \"A[3]\")"},
	{"a: {b: c\nd: 1\n", "begun at line 1\n"}, /* no bracket, no word about one */
	{"a: {b: >= 2}\n", "(a text that begins with a sign stands in quotes: \">= 2\")"},
	{"a:\n  b: >= 2\n", "(a text that begins with a sign stands in quotes: \">= 2\")"},
};

START_TEST(test_tree)
{
	struct source src = source_of(trees[_i].text);
	struct diags ds = {0};
	struct yaml_tree *t = yaml_tree_parse(&src, &ds);
	char *text = printed(&ds);

	if (!trees[_i].error) {
		ck_assert_msg(t && !ds.errors, "%s: %s", trees[_i].text, text);
		ck_assert_int_eq(yaml_tree_root(t)->kind, YAML_KIND_MAP);
	} else {
		ck_assert_msg(strstr(text, trees[_i].error), "wanted %s, got %s", trees[_i].error, text);
		ck_assert_uint_eq(ds.errors, 1);
	}
	free(text);
	yaml_tree_free(t);
	diags_fini(&ds);
}
END_TEST

START_TEST(test_tree_places)
{
	struct source src = source_of("a: 1\nbé:\n  - x\n  - {c: 'd e'}\nf:\n");
	struct diags ds = {0};
	struct yaml_tree *t = yaml_tree_parse(&src, &ds);
	const struct yaml_node *list, *d, *f;

	ck_assert_ptr_nonnull(t);
	list = yaml_get(yaml_tree_root(t), "bé");
	ck_assert_int_eq(list->kind, YAML_KIND_LIST);
	ck_assert_uint_eq(list->n, 2);
	d = yaml_get(list->first->next->value, "c");
	ck_assert_str_eq(d->text, "d e");
	ck_assert_int_eq(d->at.line, 4);
	ck_assert_int_eq(d->at.col, 9);
	ck_assert(d->quoted);
	f = yaml_get(yaml_tree_root(t), "f");
	ck_assert(!f->quoted && !f->text[0]);
	ck_assert_ptr_null(yaml_get(yaml_tree_root(t), "g"));
	yaml_tree_free(t);
	diags_fini(&ds);
}
END_TEST

/* A NUL byte, depth, size and keys: what no C string literal shows. */
START_TEST(test_tree_limits)
{
	static const char nul[] = "a: b\nc: \0d\n";
	struct source src = {.name = "t.yaml", .text = nul, .len = sizeof(nul) - 1};
	char *text = calloc(1, YAML_SIZE_MAX + 2), *told;
	struct diags ds = {0};
	size_t n = 0;

	ck_assert_ptr_null(yaml_tree_parse(&src, &ds));
	memset(text, '[', 33);
	memset(text + 33, ']', 33);
	src = source_of(text);
	ck_assert_ptr_null(yaml_tree_parse(&src, &ds));
	memset(text, ' ', YAML_SIZE_MAX + 1);
	src = source_of(text);
	ck_assert_ptr_null(yaml_tree_parse(&src, &ds));
	memset(text, '[', YAML_SIZE_MAX);
	src.len = YAML_SIZE_MAX;
	ck_assert_ptr_null(yaml_tree_parse(&src, &ds));
	for (int i = 0; i <= YAML_KEYS_MAX; i++)
		n += (size_t)sprintf(text + n, "k%d: 1\n", i);
	src = source_of(text);
	ck_assert_ptr_null(yaml_tree_parse(&src, &ds));
	told = printed(&ds);
	ck_assert_msg(strstr(told, "t.yaml:2:4: error: control character U+0000 (NUL)"), "%s", told);
	ck_assert_msg(strstr(told, "t.yaml:1:33: error: nested more than 32 deep"), "%s", told);
	ck_assert_msg(strstr(told, "t.yaml: error: longer than 1048576 bytes"), "%s", told);
	ck_assert_msg(strstr(told, "more than 1000 keys"), "%s", told);
	ck_assert_uint_eq(ds.errors, 5);
	free(told);
	free(text);
	diags_fini(&ds);
}
END_TEST

/* ---- vocabulary ---- */

static const struct {
	const char *typed, *words, *near; /* NULL: nothing near */
} slips[] = {
	{"devcies", "devices defaults", "devices"},
	{"device", "devices defaults", "devices"},
	{"Timeout", "timeout tags", "timeout"},
	{"tag", "timeout tags", "tags"},
	{"xyz", "timeout tags", NULL},
	{"PROVISOINED", "PROVISIONED NOT_PROVISIONED", "PROVISIONED"},
	{"a", "on at", NULL},
	{"", "on at", NULL},
};

START_TEST(test_near)
{
	struct vocab_near near;
	char word[64], hint[96];

	vocab_near_init(&near, slips[_i].typed);
	vocab_near_words(&near, slips[_i].words, word, sizeof(word));
	vocab_near_text(&near, hint, sizeof(hint));
	if (slips[_i].near)
		ck_assert_msg(near.best && strcmp(near.best, slips[_i].near) == 0, "%s: %s", slips[_i].typed, hint);
	else
		ck_assert_msg(!near.best && !*hint, "%s: %s", slips[_i].typed, hint);
}
END_TEST

/* Everything of one name, and no line of anything else. */
static const struct {
	const char *word, *said, *not_said;
} asked[] = {
	{"lose", "do: lose\n  The SMS never arrives.\n", "Needed"},
	{"delay", "do: delay\n  The SMS arrives later.\n  by ", "rate"},
	{"delay", "network\n  delay ", "rate"},
	{"expect.idle", "silent_for", "sms"},
	{"seen", "expect.seen\n", "silent_for"},
	{"silent_for", "expect.idle\n  silent_for ", "code"},
	{"code_wait", "A setting, with its default\n  code_wait ", "code_hold"},
	{"sms.lost", "  sms.lost           id code_fp to_fp why\n", "sms.failed"},
	{"PAUSED", "A state of devices: PAUSED", "IDLE"},
	{"banana", NULL, NULL},
	{"", NULL, NULL},
	{"*", NULL, NULL},
};

START_TEST(test_one_word)
{
	char *out = NULL;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	bool any = vocab_print_word(asked[_i].word, f);

	fclose(f);
	ck_assert_msg(any == (asked[_i].said != NULL), "%s", asked[_i].word);
	ck_assert_msg(!any || strstr(out, asked[_i].said), "%s: got\n%s", asked[_i].word, out);
	ck_assert_msg(!any || !strstr(out, asked[_i].not_said), "%s: got\n%s", asked[_i].word, out);
	ck_assert_msg(any || !*out, "%s: got\n%s", asked[_i].word, out);
	free(out);
}
END_TEST

START_TEST(test_vocabulary)
{
	char place[64], rest[512], *out = NULL;
	size_t size;
	FILE *f;

	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];

		ck_assert_msg(k->doc && k->doc[0], "%s", k->key);
		ck_assert_msg(k->type == VOCAB_LATER || k->type == VOCAB_OTHER || k->type == VOCAB_MAP || k->example,
			      "%s has no example", k->key);
		snprintf(rest, sizeof(rest), "%s", k->places);
		for (char *p = strtok(rest, " "); p; p = strtok(NULL, " ")) {
			bool known = false;

			for (size_t n = 0; n < vocab_places_n; n++)
				known |= strcmp(vocab_places[n].name, p) == 0;
			ck_assert_msg(known, "%s stands at %s", k->key, p);
			/* one row for a key and a place */
			ck_assert_ptr_eq(vocab_find(p, k->key), k);
		}
	}
	for (size_t i = 0; i < vocab_actions_n; i++) {
		snprintf(place, sizeof(place), "do.%s", vocab_actions[i].name);
		/* No argument hides a key of the fault itself, but `then` has none of those. `for`
		 * and `at` may be an action's own: the reader tells them from the fault's. */
		for (size_t k = 0; k < vocab_keys_n; k++) {
			const struct vocab_key *own = vocab_find("fault", vocab_keys[k].key);

			if (vocab_at(&vocab_keys[k], place))
				ck_assert_msg(!own || (!own->plan && vocab_has("for at", own->key)), "%s", vocab_keys[k].key);
		}
	}
	f = open_memstream(&out, &size);
	vocab_print(f);
	ck_assert_int_eq(vocab_schema(f), 0);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(out, "code_wait"));
	ck_assert_ptr_nonnull(strstr(out, "sms.submitted"));
	ck_assert_ptr_nonnull(strstr(out, "replace_code"));
	ck_assert_ptr_nonnull(strstr(out, "\"$defs\""));
	free(out);
}
END_TEST

/* ---- who ---- */

static const struct {
	const char *text, *json; /* NULL: an error */
} whos[] = {
	{"A", "{\"group\":\"A\"}"},
	{"A[3]", "{\"group\":\"A\",\"index\":3}"},
	{"A[10]", "{\"group\":\"A\",\"index\":10}"},
	{"A:10%", "{\"group\":\"A\",\"ratio\":0.1}"},
	{"A:100%", "{\"group\":\"A\",\"ratio\":1.0}"},
	{"A:0.5%", "{\"group\":\"A\",\"ratio\":0.005}"},
	{"all", "{\"all\":true}"},
	{"others", "{\"others\":true}"},
	{"server", "{\"server\":true}"},
	{"s4", "{\"modem\":\"s4\"}"},
	{"r2", "{\"modem\":\"r2\"}"},
	{"s5", NULL}, {"r3", NULL}, {"s0", NULL}, {"s04", NULL},
	{"C", NULL}, {"", NULL}, {"A[0]", NULL}, {"A[11]", NULL}, {"A[-1]", NULL}, {"A[]", NULL}, {"A[1", NULL},
	{"A[1]x", NULL}, {"A[1][2]", NULL}, {"A[99999999999999999999]", NULL}, {"A:", NULL}, {"A:%", NULL}, {"A:0%", NULL},
	{"A:101%", NULL}, {"A:1e1%", NULL}, {"A:nan%", NULL}, {"A:0x1%", NULL}, {"A:10", NULL}, {"[1]", NULL}, {":1%", NULL},
	{"all[1]", NULL}, {"A A", NULL}, {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL},
};

START_TEST(test_who)
{
	json_t *groups = json_pack("[{s:s, s:i}, {s:s, s:i}]", "name", "A", "count", 10, "name", "B", "count", 1);
	struct who_scope scope = {groups, 4, 2};
	char why[256] = "";
	json_t *got = who_from_text(whos[_i].text, &scope, why, sizeof(why));
	json_t *want = whos[_i].json ? json_loads(whos[_i].json, 0, NULL) : NULL;

	ck_assert_msg(!got == !want, "%s: %s", whos[_i].text, why);
	ck_assert_msg(!got || json_equal(got, want), "%s", whos[_i].text);
	ck_assert_msg(got || why[0], "%s: no reason", whos[_i].text);
	json_decref(got);
	json_decref(want);
	json_decref(groups);
}
END_TEST

/* ---- rig files ---- */

static const struct {
	const char *text, *error; /* NULL: fine */
} rigs[] = {
	{"version: 1\n", NULL},
	{"version: 1\nserver: ours\nsms: {senders: any}\nmodems:\n"
	 "  m1: {imei: \"490154203237518\", device: /dev/ttyUSB0, number: \"+34600000001\", role: sender, pin: env:QUICRIG_TEST_PIN,"
	 " per_minute: 15, per_day: 100, per_month: 1000}\n  m2: {device: /dev/ttyUSB1}\n", NULL},
	{"version: 1\nserver: {address: \"192.0.2.1:20190\", ca: ca.pem, cert: c.pem, key: k.pem, accept_unsigned: true}\n"
	 "sms: {senders: [\"+34600000001\", BOOT]}\n", NULL},
	{"version: 1\nsettings: {request_timeout: 20s, sms_per_day: off}\n", NULL},
	{"version: 1\nsettings: {connection: hold}\n", "2:24: error: 'connection' is said in a scenario"},
	{"version: 1\nsettings: {acces_ttl: 2s}\n", "2:12: error: unknown setting 'acces_ttl' (did you mean 'access_ttl'?)"},
	{"version: 2\n", "1:10: error: 'version' is 1, not 2"},
	{"server: ours\n", "error: 'version' is missing"},
	{"version: 1\nserver: theirs\n", "2:9: error: 'server' is ours, or a mapping"},
	{"version: 1\nserver: {address: here, ca: a, cert: b, key: c}\n", "2:19: error: 'here' is not HOST:PORT"},
	{"version: 1\nserver: {address: \"a:99999\", ca: a, cert: b, key: c}\n", "is not HOST:PORT"},
	{"version: 1\nserver: {address: \"a:1\"}\n", "error: 'ca' is missing"},
	{"version: 1\nsms: {senders: []}\n", "error: no sender"},
	{"version: 1\nsms: {senders: [any, BOOT]}\n", "error: 'any' stands alone"},
	{"version: 1\nmodems: {m1: {device: x, pin: \"1234\"}}\n", "error: a PIN does not belong into a file"},
	{"version: 1\nmodems: {m1: {device: x, pin: env:QUICRIG_TEST_UNSET}}\n", "error: the variable QUICRIG_TEST_UNSET is not set"},
	{"version: 1\nmodems: {m1: {device: x, pin: env:QUICRIG_TEST_BAD}}\n", "holds no PIN"},
	{"version: 1\nmodems: {m1: {imei: 123}}\n", "error: an IMEI has 15 digits"},
	{"version: 1\nmodems: {m1: {device: x, number: 600}}\n", "is no number"},
	{"version: 1\nmodems: {m1: {role: both}}\n", "error: a modem needs 'imei' or 'device'"},
	{"version: 1\nmodems: {\"m 1\": {device: x}}\n", "cannot be a modem's name"},
	{"version: 1\nmodems: {m1: {device: x}, m2: {device: x}}\n", "error: 'device' is the same as that of 'm1'"},
	{"version: 1\nmodems: {m1: {device: x, role: sendr}}\n", "(did you mean 'sender'?)"},
	{"version: 1\nmodems: {m1: {device: x, baud: 9600}}\n", "error: unknown key 'baud'"},
	{"version: 1\nmodems: [m1]\n", "'modems' wants a mapping by name"},
};

START_TEST(test_rig)
{
	struct source src = source_of(rigs[_i].text);
	struct rigfile rig;
	struct diags ds = {0};
	char *text;
	int rv;

	setenv("QUICRIG_TEST_PIN", "4321", 1);
	setenv("QUICRIG_TEST_BAD", "secret", 1);
	rv = rigfile_parse(&src, &ds, &rig);
	text = printed(&ds);
	ck_assert_msg(!rv == !rigs[_i].error, "%s: %s", rigs[_i].text, text);
	ck_assert_msg(!rigs[_i].error || strstr(text, rigs[_i].error), "wanted %s, got %s", rigs[_i].error, text);
	/* neither a PIN nor what was in its place is ever repeated from the environment */
	ck_assert_ptr_null(strstr(text, "4321"));
	ck_assert_ptr_null(strstr(text, "secret"));
	if (_i == 1) {
		ck_assert(rig.server_ours && rig.senders_any);
		ck_assert_uint_eq(rig.modems_n, 2);
		ck_assert_str_eq(rig.modems[0].name, "m1");
		ck_assert_str_eq(rig.modems[0].pin, "4321");
		ck_assert_int_eq(rig.modems[0].role, MODEM_SENDER);
		ck_assert_uint_eq(rig.modems[0].per_month, 1000);
		ck_assert_ptr_null(rig.modems[1].imei);
		ck_assert_int_eq(rig.modems[1].role, MODEM_BOTH);
	}
	if (_i == 2) {
		ck_assert(!rig.server_ours && !rig.senders_any && rig.accept_unsigned);
		ck_assert_uint_eq(rig.senders_n, 2);
		ck_assert_str_eq(rig.address, "192.0.2.1:20190");
	}
	free(text);
	rigfile_fini(&rig);
	diags_fini(&ds);
}
END_TEST

/* ---- selection ---- */

static const struct {
	const char *filter;
	bool match, good;
} filters[] = {
	{"smoke", true, true},
	{"load", false, true},
	{"smoke and not load", true, true},
	{"not smoke", false, true},
	{"not not smoke", true, true},
	{"load or idle/*", true, true},
	{"unknown-*", true, true},
	{"name:smoke", false, true},
	{"tag:idle and name:*uuid", true, true},
	{"(load or idle) and (smoke)", true, true},
	{"load or idle and load", false, true},
	{"'idle/unknown-uuid'", true, true},
	{"android", false, true},
	{"", false, false},
	{"smoke and", false, false},
	{"(smoke", false, false},
	{"smoke)", false, false},
	{"smoke idle", false, false},
	{"'smoke", false, false},
	{"((((((((((((((((((((((((((((((((((((((((smoke", false, false},
};

START_TEST(test_filter)
{
	json_t *plan = json_pack("{s:s, s:[s, s]}", "id", "idle/unknown-uuid", "tags", "smoke", "idle");
	struct selector *s = selector_new();
	struct err e = {0};

	ck_assert_msg(!selector_filter(s, filters[_i].filter, &e) == filters[_i].good, "%s", filters[_i].filter);
	if (filters[_i].good) {
		ck_assert_msg(selector_match(s, plan) == filters[_i].match, "%s", filters[_i].filter);
		selector_tag(s, "load");
		ck_assert(!selector_match(s, plan));
		selector_tag(s, "idle");
		ck_assert(selector_match(s, plan) == filters[_i].match);
	} else {
		ck_assert(e.code == ERR_PARSE && e.column > 0 && e.text[0]);
	}
	selector_free(s);
	json_decref(plan);
}
END_TEST

START_TEST(test_rig_serves)
{
	static const char text[] = "version: 1\nscenarios:\n"
				   "  - {name: a, devices: {count: 1}, expect: {final: IDLE}}\n"
				   "  - {name: b, rigs: [virtual], devices: {count: 1}, expect: {final: IDLE}}\n"
				   "  - {name: c, network: {loss: 1%}, devices: {count: 1}, expect: {final: IDLE}}\n"
				   "  - {name: d, requires: {modems: 7}, devices: {count: 1}, expect: {final: IDLE}}\n"
				   "  - {name: e, devices: {count: 1, known: false}, expect: {final: IDLE}}\n"
				   "  - {name: f, devices: {count: 1}, steps: [{server: kill}], expect: {final: IDLE}}\n"
				   "  - {name: g, devices: {count: 1, network: {mtu: 1300}}, expect: {final: IDLE}}\n"
				   "  - {name: h, devices: {count: 1}, steps: [{rebind_port: A}], expect: {final: IDLE}}\n"
				   "  - {name: i, devices: {count: 1}, faults: [{at: 1s, do: drop, up: 1}], expect: {final: IDLE}}\n"
				   "  - {name: j, devices: {count: 1}, steps: [{command: {name: IDLE}, who: A}], expect: {final: IDLE}}\n"
				   "  - {name: k, devices: {count: 1}, faults: [{at: 1s, do: power_cycle, "
				   "then: {after: 1s, do: command, command: {name: IDLE}}}], expect: {final: IDLE}}\n";
	static const struct {
		bool on_virtual, on_loopback, on_theirs;
	} want[] = {{1, 1, 1}, {1, 0, 0}, {1, 1, 0}, {0, 0, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}, {1, 1, 0}};
	struct source src = source_of(text);
	struct modem_spec modem = {.name = "m1", .device = "x"};
	struct rigfile theirs = {.modems = &modem, .modems_n = 1};
	struct diags ds = {0};
	struct plans plans = {0};
	char why[200];

	ck_assert_int_eq(scenario_parse(&src, &ds, &plans), 0);
	ck_assert_uint_eq(plans.n, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < plans.n; i++) {
		ck_assert_msg(rig_serves("virtual", NULL, plans.v[i], why, sizeof(why)) == want[i].on_virtual, "%zu", i);
		ck_assert_msg(rig_serves("loopback", NULL, plans.v[i], why, sizeof(why)) == want[i].on_loopback, "%zu", i);
		ck_assert_msg(rig_serves("lab.yaml", &theirs, plans.v[i], why, sizeof(why)) == want[i].on_theirs, "%zu", i);
	}
	plans_fini(&plans);
	diags_fini(&ds);
}
END_TEST

/* ---- broken files: exactly what they must say ---- */

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, YAML_SIZE_MAX + 1);

	ck_assert_msg(f, "%s cannot be read", path);
	*len = fread(text, 1, YAML_SIZE_MAX, f);
	fclose(f);
	return text;
}

START_TEST(test_bad)
{
	DIR *dir = opendir("scenarios/bad");
	struct dirent *d;
	int files = 0;

	ck_assert_ptr_nonnull(dir);
	while ((d = readdir(dir))) {
		char path[600], *want, *got;
		struct plans plans = {0};
		struct diags ds = {0};
		size_t len = strlen(d->d_name), n;
		int rv;

		if (len < 6 || strcmp(d->d_name + len - 5, ".yaml") != 0)
			continue;
		snprintf(path, sizeof(path), "scenarios/bad/%s", d->d_name);
		rv = scenario_load(path, &ds, &plans);
		got = printed(&ds);
		ck_assert_msg(!rv == !ds.errors, "%s", path);
		ck_assert_msg(ds.n > 0, "%s has nothing wrong", path);
		snprintf(path, sizeof(path), "scenarios/bad/%.*s.expected", (int)len - 5, d->d_name);
		want = slurp(path, &n);
		ck_assert_msg(strcmp(want, got) == 0, "%s: got\n%s", path, got);
		free(want);
		free(got);
		plans_fini(&plans);
		diags_fini(&ds);
		files++;
	}
	closedir(dir);
	ck_assert_int_ge(files, 40);
}
END_TEST

/* Ten megabytes are refused by their size, unread. */
START_TEST(test_huge_file)
{
	char path[] = "/tmp/quicrig-huge-XXXXXX", *text;
	int fd = mkstemp(path);
	struct plans plans = {0};
	struct diags ds = {0};

	ck_assert_int_ge(fd, 0);
	for (int i = 0; i < 10 * 1024; i++) {
		char block[1024];

		memset(block, i ? '#' : '\n', sizeof(block));
		ck_assert_int_eq(write(fd, block, sizeof(block)), sizeof(block));
	}
	close(fd);
	ck_assert_int_ne(scenario_load(path, &ds, &plans), 0);
	text = printed(&ds);
	ck_assert_msg(strstr(text, "error: longer than 1048576 bytes"), "%s", text);
	ck_assert_uint_eq(ds.n, 1);
	free(text);
	unlink(path);
	plans_fini(&plans);
	diags_fini(&ds);
}
END_TEST

START_TEST(test_missing_file)
{
	struct plans plans = {0};
	struct diags ds = {0};
	char *text;

	ck_assert_int_ne(scenario_load("scenarios/there-is-none.yaml", &ds, &plans), 0);
	ck_assert_int_ne(scenario_load("scenarios/bad/there-is-none", &ds, &plans), 0);
	ck_assert_int_ne(scenario_load("cmake", &ds, &plans), 0);
	text = printed(&ds);
	ck_assert_msg(strstr(text, "scenarios/there-is-none.yaml: error: cannot be read: No such file"), "%s", text);
	free(text);
	plans_fini(&plans);
	diags_fini(&ds);
}
END_TEST

/* ---- the library, and what happens to it under a fuzzer's hands ---- */

START_TEST(test_library)
{
	struct plans plans = {0};
	struct diags ds = {0};
	char *text;

	ck_assert_int_eq(scenario_load("scenarios/", &ds, &plans), 0);
	text = printed(&ds);
	ck_assert_msg(ds.n == 0, "%s", text);
	ck_assert_uint_ge(plans.n, 25);
	free(text);
	plans_fini(&plans);
	diags_fini(&ds);
}
END_TEST

static void feed(const char *text, size_t len)
{
	struct source src = {.name = "mutant.yaml", .text = text, .len = len};
	struct plans plans = {0};
	struct diags ds = {0};
	struct rigfile rig;
	int rv = scenario_parse(&src, &ds, &plans);

	ck_assert(!rv == !ds.errors);
	if (!rv)
		for (size_t i = 0; i < plans.n; i++)
			ck_assert_ptr_nonnull(json_object_get(plans.v[i], "groups"));
	free(printed(&ds));
	plans_fini(&plans);
	diags_fini(&ds);
	rigfile_parse(&src, &ds, &rig);
	rigfile_fini(&rig);
	diags_fini(&ds);
}

START_TEST(test_mutants)
{
	static const char *const files[] = {"scenarios/sms.yaml", "scenarios/power.yaml", "scenarios/bad/faults.yaml",
					    "scenarios/bad/thresholds.yaml", "scenarios/bad/who.yaml",
					    "scenarios/bad/unknown-words.yaml", "scenarios/bad/wrong-kinds.yaml",
					    "scenarios/language.yaml", "scenarios/bad/matrix-names.yaml",
					    "scenarios/bad/include.yaml"};
	static const char interesting[] = "{}[],:&*!|>'\"%#-?@`\n \t\0\x80\xFF~0.";
	size_t n = sizeof(files) / sizeof(files[0]), len, extra;
	struct rng r;

	rng_init(&r, 1, "test_language", "mutants");
	for (size_t f = 0; f < n; f++) {
		char *text = slurp(files[f], &len), *mutant = malloc(len + 1);

		for (int m = 0; m < MUTATIONS / (int)n; m++) {
			size_t size = len;

			memcpy(mutant, text, len + 1);
			for (uint64_t k = rng_below(&r, 4) + 1; k; k--) {
				size_t at = rng_below(&r, len);

				switch (rng_below(&r, 4)) {
				case 0:
					mutant[at] = (char)rng_below(&r, 256);
					break;
				case 1:
					mutant[at] = interesting[rng_below(&r, sizeof(interesting) - 1)];
					break;
				case 2: /* something from elsewhere */
					extra = rng_below(&r, len - at);
					memmove(mutant + at, text + rng_below(&r, len - extra), extra % 64);
					break;
				default:
					size = m % 8 ? size : at;
				}
			}
			mutant[size] = '\0';
			feed(mutant, size);
		}
		free(mutant);
		free(text);
	}
}
END_TEST

int main(void)
{
	const char *root = getenv("QUICRIG_SRC");
	Suite *s = suite_create("language");
	TCase *c = tcase_create("language");
	SRunner *run;
	int failed;

	if (root && chdir(root))
		return 1;
	tcase_set_timeout(c, 60);
	tcase_add_loop_test(c, test_tree, 0, sizeof(trees) / sizeof(trees[0]));
	tcase_add_test(c, test_tree_places);
	tcase_add_test(c, test_tree_limits);
	tcase_add_loop_test(c, test_near, 0, sizeof(slips) / sizeof(slips[0]));
	tcase_add_test(c, test_vocabulary);
	tcase_add_loop_test(c, test_one_word, 0, sizeof(asked) / sizeof(asked[0]));
	tcase_add_loop_test(c, test_who, 0, sizeof(whos) / sizeof(whos[0]));
	tcase_add_loop_test(c, test_rig, 0, sizeof(rigs) / sizeof(rigs[0]));
	tcase_add_loop_test(c, test_filter, 0, sizeof(filters) / sizeof(filters[0]));
	tcase_add_test(c, test_rig_serves);
	tcase_add_test(c, test_bad);
	tcase_add_test(c, test_huge_file);
	tcase_add_test(c, test_missing_file);
	tcase_add_test(c, test_library);
	tcase_add_test(c, test_mutants);
	suite_add_tcase(s, c);
	run = srunner_create(s);
	srunner_run_all(run, CK_NORMAL);
	failed = srunner_ntests_failed(run);
	srunner_free(run);
	return failed ? 1 : 0;
}
