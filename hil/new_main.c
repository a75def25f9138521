/* quicrig new: a scenario file to begin with. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hil/judge/verdict.h"
#include "hil/language/vocab.h"
#include "hil/new_cases.h"
#include "hil/options.h"
#include "hil/verbs.h"

#define NAME_SIZE 65

static const char help[] =
	"usage: quicrig new [NAME] [--from CASE] [-o FILE.yaml]\n"
	"       quicrig new --list\n"
	"\n"
	"Writes a commented scenario file, NAME.yaml, for the chosen case; it passes as it\n"
	"stands. What is not said is asked for, where somebody sits at a terminal.\n"
	"\n"
	"  --from CASE    one of those that --list shows\n"
	"  -o FILE.yaml   another file; '-' prints it\n"
	"  --list         the cases\n"
	"\n"
	"Nothing is ever overwritten. Exit: 0, 2 bad input, 3 the file cannot be written.\n";

struct wish {
	char name[NAME_SIZE], answer[NAME_SIZE];
	const char *from, *file;
};

static int bad(const char *fmt, const char *value)
{
	return option_bad("new", fmt, value);
}

static int list_cases(FILE *out)
{
	for (size_t i = 0; i < new_cases_n; i++)
		fprintf(out, "  %-16s %s\n", new_cases[i].name, new_cases[i].what);
	return EXIT_PASSED;
}

static const struct new_case *find_case(const char *name)
{
	for (size_t i = 0; i < new_cases_n; i++)
		if (strcmp(new_cases[i].name, name) == 0)
			return &new_cases[i];
	return NULL;
}

static int unknown_case(const char *name)
{
	struct vocab_near near;
	char hint[96], text[200];

	vocab_near_init(&near, name);
	for (size_t i = 0; i < new_cases_n; i++)
		vocab_near_offer(&near, new_cases[i].name);
	vocab_near_text(&near, hint, sizeof(hint));
	snprintf(text, sizeof(text), "%.60s' (%s", name, *hint ? hint : "'quicrig new --list' has them all");
	return bad("there is no case '%s)", text);
}

/* The letters of a suite's name (the language's own rule). */
static bool is_name(const char *name)
{
	const char *p = name;

	for (; isalnum((unsigned char)*p) || (*p && strchr("-_.", *p)); p++)
		;
	return !*p && p > name && p - name < NAME_SIZE && isalnum((unsigned char)name[0]);
}

static bool at_a_terminal(void)
{
	return isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
}

/* One line into `out`, with "…" for the end of one that is too long; false at the end of input. */
static bool ask(const char *question, char *out, size_t size)
{
	bool more = false;
	int c;

	fprintf(stderr, "%s ", question);
	if (!fgets(out, (int)size, stdin))
		return false;
	if (!strchr(out, '\n'))
		while ((c = getchar()) != EOF && c != '\n')
			more = more || c != '\r';
	if (more)
		memcpy(out + size - sizeof("…"), "…", sizeof("…"));
	out[strcspn(out, "\r\n")] = '\0';
	return true;
}

/* Asks for what was not said. An exit code, or -1: go on. */
static int complete(struct wish *w)
{
	if ((!w->name[0] || !w->from) && !at_a_terminal())
		return bad("%s, and nobody is here to be asked", w->name[0] ? "--from CASE is missing" : "a NAME is missing");
	if (!w->name[0] && !ask("name of the suite, and of the file?", w->name, sizeof(w->name)))
		return EXIT_BAD_INPUT;
	if (!is_name(w->name))
		return bad("'%s' is no name of letters, digits, '-', '_' and '.', at most 64", w->name);
	if (!w->from) {
		list_cases(stderr);
		if (!ask("which case?", w->answer, sizeof(w->answer)))
			return EXIT_BAD_INPUT;
		w->from = w->answer;
	}
	return find_case(w->from) ? -1 : unknown_case(w->from);
}

static void put(FILE *out, const struct wish *w, const struct new_case *c)
{
	fprintf(out,
		"# %s.\n"
		"# quicrig check FILE says what is wrong with it, quicrig run FILE runs it (no hardware\n"
		"# needed), quicrig run --rig loopback FILE over real sockets and emulated modems.\n"
		"# Every word: docs/scenarios.md, or quicrig list --vocabulary.\n"
		"version: 1\n"
		"suite: %s\n"
		"scenarios:\n"
		"%s", c->what, w->name, c->text);
}

static int write_file(const struct wish *w, const struct new_case *c)
{
	char own[NAME_SIZE + 8];
	const char *path = w->file ? w->file : own;
	FILE *out;
	int fd;

	snprintf(own, sizeof(own), "%s.yaml", w->name);
	if (strcmp(path, "-") == 0) {
		put(stdout, w, c);
		return EXIT_PASSED;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return bad("'%s' is there already: nothing was written", path);
	out = fd < 0 ? NULL : fdopen(fd, "w");
	if (out)
		put(out, w, c);
	if (!out || fclose(out)) {
		fprintf(stderr, "quicrig new: error: %s: %s\n", path, strerror(errno));
		return EXIT_ENVIRONMENT;
	}
	printf("%s is written: try 'quicrig run %s'\n", path, path);
	return EXIT_PASSED;
}

int new_main(int argc, char **argv)
{
	static const struct option options[] = {{"from", required_argument, NULL, 'f'},
						{"list", no_argument, NULL, 'l'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	struct wish w = {.from = NULL};
	int opt, code;

	while ((opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (opt) {
		case 'f':
			w.from = optarg;
			break;
		case 'o':
			w.file = optarg;
			break;
		case 'l':
			return list_cases(stdout);
		case 'h':
			fputs(help, stdout);
			return EXIT_PASSED;
		default:
			fputs(help, stderr);
			return EXIT_BAD_INPUT;
		}
	}
	if (argc - optind > 1)
		return bad("one NAME at a time, not '%s' too", argv[optind + 1]);
	if (optind < argc && strlen(argv[optind]) >= sizeof(w.name))
		return bad("'%s' is no name of letters, digits, '-', '_' and '.', at most 64", argv[optind]);
	if (optind < argc)
		strcpy(w.name, argv[optind]);
	code = complete(&w);
	return code >= 0 ? code : write_file(&w, find_case(w.from));
}
