/* quicrig list: scenarios and the vocabulary are the language's own; what server and
 * core know, settings and crash points, is added here. */
#include <stdio.h>
#include <string.h>

#include "core/crash.h"
#include "core/settings.h"
#include "hil/language/verbs.h"
#include "hil/verbs.h"

static int list_settings(void)
{
	struct settings s;

	settings_default(&s);
	printf("%-28s %-7s %-10s %s\n", "setting", "side", "default", "");
	for (int k = 0; k < SETTING_COUNT; k++) {
		char value[40];

		printf("%-28s %-7s %-10s %s\n", setting_name((enum setting)k),
		       setting_side((enum setting)k) == SETTING_SIDE_SERVER ? "server" : "device",
		       setting_format((enum setting)k, s.v[k], value, sizeof(value)), setting_doc((enum setting)k));
	}
	return 0;
}

static int list_crash_points(void)
{
	for (int p = 0; p < CRASH_COUNT; p++)
		printf("%-24s %s\n", crash_name((enum crash_point)p), crash_doc((enum crash_point)p));
	return 0;
}

int list_verb_main(int argc, char **argv)
{
	int code;

	if (argc == 2 && strcmp(argv[1], "--settings") == 0)
		return list_settings();
	if (argc == 2 && strcmp(argv[1], "--crash-points") == 0)
		return list_crash_points();
	code = list_main(argc, argv);
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		puts("  --settings         every limit and timer with its default\n"
		     "  --crash-points     where a server can be killed");
	return code;
}
