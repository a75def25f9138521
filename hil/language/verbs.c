#include "hil/language/verbs.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hil/language/rigfile.h"
#include "hil/language/scenario.h"
#include "hil/language/select.h"
#include "hil/language/vocab.h"

#define EXIT_BAD_INPUT 2
#define EXIT_NOTHING   4
#define EXIT_ENVIRONMENT 3
#define SCENARIOS      "scenarios"

/* What both verbs are told by their options. */
struct wanted {
	struct selector *selector;
	const char *rig;     /* NULL: none was said */
	struct rigfile file; /* where `rig` is one */
	bool has_file;
	struct diags ds;
	struct plans plans;
};

static void wanted_fini(struct wanted *w)
{
	selector_free(w->selector);
	rigfile_fini(&w->file);
	diags_fini(&w->ds);
	plans_fini(&w->plans);
}

/* --tag, --filter, --rig; 0 or an exit code. */
static int take_option(struct wanted *w, int option, const char *verb)
{
	struct err e = {0};
	char text[900];

	if (option == 'r') {
		w->rig = optarg;
		w->has_file = strcmp(optarg, "virtual") != 0 && strcmp(optarg, "loopback") != 0;
		return 0;
	}
	if (option == 't' && selector_tag(w->selector, optarg))
		err_set(&e, ERR_NOMEM, "out of memory");
	if (option == 'f')
		selector_filter(w->selector, optarg, &e);
	if (e.code)
		fprintf(stderr, "quicrig %s: error: %s\n", verb, err_format(&e, text, sizeof(text)));
	return e.code ? EXIT_BAD_INPUT : 0;
}

/* Reads the rig file and the paths; all errors are in w->ds then. */
static int load(struct wanted *w, int n, char **paths)
{
	int rv = 0, one;

	if (w->has_file)
		rv = rigfile_load(w->rig, &w->ds, &w->file);
	for (int i = 0; i < n || (i == 0 && !n); i++) {
		one = scenario_load(n ? paths[i] : SCENARIOS, &w->ds, &w->plans);
		rv = rv ? rv : one;
	}
	return rv;
}

/* ---- check ---- */

static const char check_usage[] =
	"usage: quicrig check [--rig RIG] [PATH…]\n\n"
	"Reads scenario files, or the *.yaml of folders (default: " SCENARIOS "), and says all that is wrong.\n"
	"  --rig RIG       virtual, loopback or a rig file: also says which scenarios it cannot serve\n"
	"Exit: 0 all is well, 2 there are errors\n";

/* Says which scenarios the rig leaves out; how many. */
static size_t say_unserved(const struct wanted *w)
{
	char why[200];
	size_t n = 0;

	for (size_t i = 0; i < w->plans.n; i++) {
		json_t *plan = w->plans.v[i];

		if (rig_serves(w->rig, w->has_file ? &w->file : NULL, plan, why, sizeof(why)))
			continue;
		printf(" SKIP  %-40s %s\n", json_string_value(json_object_get(plan, "id")), why);
		n++;
	}
	return n;
}

int check_main(int argc, char **argv)
{
	static const struct option options[] = {
		{"rig", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	struct wanted w = {0};
	int option, rv = 0;
	size_t unserved = 0;

	optind = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(check_usage, stdout);
			return 0;
		}
		if (option == '?') {
			fputs(check_usage, stderr);
			return EXIT_BAD_INPUT;
		}
		take_option(&w, option, "check");
	}
	rv = load(&w, argc - optind, argv + optind);
	diags_print(&w.ds, stderr);
	if (w.rig && !(w.has_file && rv))
		unserved = say_unserved(&w);
	if (rv)
		fprintf(stderr, "%zu error%s\n", w.ds.errors, w.ds.errors == 1 ? "" : "s");
	else
		printf("%zu scenario%s fit%s", w.plans.n, w.plans.n == 1 ? "" : "s", w.plans.n == 1 ? "s" : "");
	if (!rv && w.rig)
		printf("; the rig serves %zu of them", w.plans.n - unserved);
	if (!rv && w.ds.warnings)
		printf("; %zu warning%s", w.ds.warnings, w.ds.warnings == 1 ? "" : "s");
	if (!rv)
		putchar('\n');
	wanted_fini(&w);
	return rv ? EXIT_BAD_INPUT : 0;
}

/* ---- list ---- */

static const char list_usage[] =
	"usage: quicrig list [--tag TAG]… [--filter EXPR] [--rig RIG] [PATH…]\n"
	"       quicrig list --vocabulary [WORD…] | --reference\n\n"
	"Lists scenarios with their rigs and tags (default: " SCENARIOS ").\n"
	"  --tag TAG       only those with one of these tags\n"
	"  --filter EXPR   tags and names with and, or, not, ( ): \"smoke and not load\", \"idle/*\"\n"
	"  --rig RIG       only those that this rig can serve\n"
	"  --vocabulary    every key, word, action, setting and event of the language; or what\n"
	"                  these words are: lose, expect.seen, silent_for, code_wait\n"
	"  --reference     the same as Markdown: the reference part of docs/scenarios.md\n"
	"Exit: 0, 2 bad input, 4 nothing was selected\n";

static void print_words(json_t *list, const char *none)
{
	json_t *word;
	size_t i;

	if (!json_array_size(list))
		fputs(none, stdout);
	json_array_foreach(list, i, word) {
		printf("%s%s", i ? "," : "", json_string_value(word));
	}
}

static json_int_t devices_of(json_t *plan)
{
	json_int_t n = 0;
	json_t *group;
	size_t i;

	json_array_foreach(json_object_get(plan, "groups"), i, group) {
		n += json_integer_value(json_object_get(group, "count"));
	}
	return n;
}

static int print_list(const struct wanted *w)
{
	size_t shown = 0;
	char why[200];

	for (size_t i = 0; i < w->plans.n; i++) {
		json_t *plan = w->plans.v[i], *skip = json_object_get(plan, "skip");

		if (!selector_match(w->selector, plan))
			continue;
		if (w->rig && !rig_serves(w->rig, w->has_file ? &w->file : NULL, plan, why, sizeof(why)))
			continue;
		printf("%-44s %7" JSON_INTEGER_FORMAT " device%s  ", json_string_value(json_object_get(plan, "id")),
		       devices_of(plan), devices_of(plan) == 1 ? " " : "s");
		print_words(json_object_get(plan, "rigs"), "all rigs");
		fputs("  ", stdout);
		print_words(json_object_get(plan, "tags"), "-");
		if (skip)
			printf("  (skipped: %s)", json_string_value(skip));
		putchar('\n');
		shown++;
	}
	if (!shown)
		fputs("quicrig list: no scenario was selected\n", stderr);
	return shown ? 0 : EXIT_NOTHING;
}

static int print_words_of(char **words, int n)
{
	struct vocab_near near;
	char hint[96];
	int rv = 0;

	if (!n)
		vocab_print(stdout);
	for (int i = 0; i < n; i++) {
		if (vocab_print_word(words[i], stdout))
			continue;
		vocab_near_init(&near, words[i]);
		vocab_near_any(&near);
		vocab_near_text(&near, hint, sizeof(hint));
		fprintf(stderr, "quicrig list: error: the language has no word '%.60s'%s%s%s\n", words[i], *hint ? " (" : "", hint,
			*hint ? ")" : "");
		rv = EXIT_BAD_INPUT;
	}
	return rv;
}

int list_main(int argc, char **argv)
{
	static const struct option options[] = {
		{"tag", required_argument, NULL, 't'},   {"filter", required_argument, NULL, 'f'},
		{"rig", required_argument, NULL, 'r'},   {"vocabulary", no_argument, NULL, 'v'},
		{"reference", no_argument, NULL, 'R'},   {"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}};
	struct wanted w = {.selector = selector_new()};
	int option, rv = w.selector ? 0 : EXIT_BAD_INPUT;
	bool words = false;

	optind = 0;
	while (!rv && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			fputs(list_usage, stdout);
			goto out;
		case 'v':
			words = true;
			break;
		case 'R':
			vocab_reference(stdout);
			goto out;
		case '?':
			fputs(list_usage, stderr);
			rv = EXIT_BAD_INPUT;
			break;
		default:
			rv = take_option(&w, option, "list");
		}
	}
	if (!rv && words)
		rv = print_words_of(argv + optind, argc - optind);
	if (rv || words)
		goto out;
	rv = load(&w, argc - optind, argv + optind) ? EXIT_BAD_INPUT : 0;
	diags_print(&w.ds, stderr);
	if (!rv)
		rv = print_list(&w);
out:
	wanted_fini(&w);
	return rv;
}

/* ---- schema ---- */

static const char schema_usage[] =
	"usage: quicrig schema\n\n"
	"Prints the JSON Schema (draft 2020-12) of scenario files, for editors and validators.\n"
	"It is looser than 'quicrig check', which also knows what belongs together.\n"
	"Exit: 0, 2 bad input, 3 the output takes no more\n";

int schema_main(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(schema_usage, stdout);
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "quicrig schema: error: it takes nothing, not '%s'\n", argv[1]);
		return EXIT_BAD_INPUT;
	}
	if (vocab_schema(stdout) || fflush(stdout)) {
		fputs("quicrig schema: error: the output takes no more\n", stderr);
		return EXIT_ENVIRONMENT;
	}
	return 0;
}
