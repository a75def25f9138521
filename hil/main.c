/* quicrig: the table of verbs. Each verb's own file holds its options and its help. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "hil/verbs.h"

struct verb {
	const char *name;
	int (*main)(int argc, char **argv);
	const char *what;
};

static const struct verb verbs[] = {
	{"run", run_main, "run scenarios on a rig and judge them"},
	{"replay", replay_main, "what was recorded once more: again, offline, lifted, against a server"},
	{"check", check_main, "check scenario files without running them"},
	{"list", list_verb_main, "list scenarios, the vocabulary, settings, crash points"},
	{"new", new_main, "a scenario file to begin with, for a case of your choice"},
	{"config", config_main, "what a run would go by, and who says so"},
	{"schema", schema_main, "the JSON Schema of scenario files"},
	{"soak", soak_main, "many seeds of a fleet's life under faults; what a nightly job calls"},
	{"serve", serve_verb_main, "the credential server"},
	{"admin", admin_main, "what an operator does with a running server"},
	{"device", device_main, "one simulated device against any server"},
	{"pki", pki_main, "make certificates and keys for a rig"},
	{"modems", modems_main, "emulated GSM modems"},
	{"shrink", shrink_main, "make a failing scenario as small as it still fails"},
	{"prove", prove_main, "does the library of scenarios catch planted bugs?"},
	{"doctor", doctor_main, "is this machine fit to run? a line a check"},
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void usage(FILE *out)
{
	fputs("usage: quicrig VERB [OPTION…]\n\n", out);
	for (size_t i = 0; i < VERBS; i++)
		fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].what);
	fputs("\n'quicrig VERB --help' tells more. First steps: quicrig doctor; quicrig run scenarios/\n",
	      out);
}

/* The verb whose name begins alike, for a slip of the finger. */
static const char *nearest(const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (name[0] == verbs[i].name[0] && (!name[1] || strchr(verbs[i].name + 1, name[1])))
			return verbs[i].name;
	return NULL;
}

int main(int argc, char **argv)
{
	const char *near;

	/* a reader that goes away (| head) is an error to handle, not a way to die */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		puts("quicrig " QUICRIG_VERSION);
		return 0;
	}
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].main(argc - 1, argv + 1);
	near = nearest(argv[1]);
	fprintf(stderr, "quicrig: error: unknown verb '%s'", argv[1]);
	if (near)
		fprintf(stderr, " (did you mean '%s'?)", near);
	fputs("\n\n", stderr);
	usage(stderr);
	return 2;
}
