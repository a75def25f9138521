/* quicrig modems VERB */
#include <stdio.h>
#include <string.h>

#include "hil/modems/emulator.h"
#include "hil/verbs.h"

static const char help[] =
	"usage: quicrig modems emulate [OPTION…]\n"
	"\n"
	"  emulate   GSM modems on pseudo-terminals and the carrier between them, for quicrig,\n"
	"            gammu, gammu-smsd or any other program that speaks AT commands\n"
	"\n"
	"'quicrig modems emulate --help' tells more.\n";

int modems_main(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "emulate") == 0)
		return modems_emulate_main(argc - 1, argv + 1);
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help, stdout);
		return 0;
	}
	if (argc >= 2)
		fprintf(stderr, "quicrig modems: error: unknown verb '%s'\n", argv[1]);
	fputs(help, stderr);
	return 2;
}
