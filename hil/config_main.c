/* quicrig config: what a run would go by, and who says so. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hil/judge/verdict.h"
#include "hil/run_options.h"
#include "hil/verbs.h"

const char config_help[] =
	"usage: quicrig config [--show-origin] [OPTIONS OF RUN…] [FILE|FOLDER…]\n"
	"\n"
	"Prints what 'quicrig run' with these options would go by: its own options, then the\n"
	"settings of server and devices; with files, those of each scenario that are not the\n"
	"default. First one first: flag, QUICRIG_* of the environment, scenario, rig file, default.\n"
	"\n"
	"  --show-origin     where each value comes from\n"
	"  --rig, --seed, --set, --jobs, --out, --wall, --filter, …   as 'quicrig run --help' has them\n"
	"\n"
	"Exit: 0, 2 bad input.\n";

static void put(const struct run_choice *c, const char *name, const char *value, const char *origin)
{
	if (c->show_origin)
		printf("%-28s %-12s %s\n", name, value, origin);
	else
		printf("%-28s %s\n", name, value);
}

/* "environment QUICRIG_SEED", "flag", "default". */
static const char *origin_text(enum config_origin from, const char *name, char *out, size_t size)
{
	char variable[80];

	if (from == CONFIG_ENVIRONMENT)
		snprintf(out, size, "environment %s", config_variable(name, variable, sizeof(variable)));
	else
		snprintf(out, size, "%s", from == CONFIG_FLAG ? "flag" : "default");
	return out;
}

static void put_options(const struct run_choice *c)
{
	static const char *const initial[] = {"virtual", "each scenario's", "the rig's", "out", "none", "all", "none", "false",
					      "false"};
	char origin[120];

	for (size_t i = 0; i < run_variables_n; i++) {
		int letter = run_variables[i].letter;
		const char *said = c->said[letter];

		put(c, run_variables[i].name, said ? said : initial[i],
		    origin_text(said ? c->from[letter] : CONFIG_DEFAULT, run_variables[i].name, origin, sizeof(origin)));
	}
}

static void put_setting(const struct run_choice *c, int k, int64_t value, const char *origin)
{
	char text[64];

	put(c, setting_name((enum setting)k), setting_format((enum setting)k, value, text, sizeof(text)), origin);
}

/* Without scenarios: every setting. */
static void put_settings(const struct run_choice *c)
{
	json_t *rig = c->o.file ? c->o.file->settings : NULL;
	struct settings initial;
	char origin[200];

	settings_rig(&initial);
	for (int k = 0; k < SETTING_COUNT; k++) {
		json_t *of_rig = json_object_get(rig, setting_name((enum setting)k));
		int64_t v = json_integer_value(of_rig);

		if (c->settings.from[k] != CONFIG_DEFAULT) {
			origin_text(c->settings.from[k], setting_name((enum setting)k), origin, sizeof(origin));
			put_setting(c, k, c->settings.v[k], c->settings.from[k] == CONFIG_FLAG ? "flag --set" : origin);
		} else if (of_rig) {
			snprintf(origin, sizeof(origin), "rig file %s", c->o.rig);
			put_setting(c, k, v == -1 ? SETTING_OFF : v, origin);
		} else {
			put_setting(c, k, initial.v[k], "default");
		}
	}
}

/* What a scenario has that is not the default; `own` are its settings as it was read. */
static void put_scenario(const struct run_choice *c, json_t *plan, json_t *own)
{
	json_t *rig = c->o.file ? c->o.file->settings : NULL, *source = json_object_get(plan, "source");
	const char *name;
	json_t *value;
	char origin[400];

	printf("%s\n", json_string_value(json_object_get(plan, "id")));
	snprintf(origin, sizeof(origin), "scenario %s:%d", json_string_value(json_object_get(source, "file")),
		 (int)json_integer_value(json_object_get(source, "line")));
	if (!c->o.seed)
		put(c, "  seed", json_string_value(json_object_get(plan, "seed")),
		    strcmp(json_string_value(json_object_get(plan, "seed")), SCENARIO_SEED) == 0 ? "scenario or default" : origin);
	json_object_foreach(json_object_get(plan, "settings"), name, value) {
		int k = setting_by_name(name);
		int64_t v = json_integer_value(value);
		char text[64], shown[64], from[400];

		if (c->settings.from[k] != CONFIG_DEFAULT)
			origin_text(c->settings.from[k], name, from, sizeof(from));
		else if (json_object_get(own, name))
			memcpy(from, origin, sizeof(from));
		else
			snprintf(from, sizeof(from), "%s%s", json_object_get(rig, name) ? "rig file " : "default",
				 json_object_get(rig, name) ? c->o.rig : "");
		snprintf(shown, sizeof(shown), "  %s", name);
		put(c, shown, setting_format((enum setting)k, v == -1 ? SETTING_OFF : v, text, sizeof(text)), from);
	}
}

/* Reads the scenarios twice: as they are, and with all that goes before and behind. */
static int put_scenarios(struct run_choice *c, char *const *paths, int n)
{
	struct run_choice bare = *c;
	struct plans own = {0}, plans = {0};
	int code;

	memset(&bare.settings, 0, sizeof(bare.settings));
	bare.o.file = NULL;
	code = run_options_plans(&bare, paths, n, &own);
	if (!code)
		code = run_options_plans(c, paths, n, &plans);
	for (size_t i = 0; !code && i < plans.n && i < own.n; i++)
		put_scenario(c, plans.v[i], json_object_get(own.v[i], "settings"));
	plans_fini(&own);
	plans_fini(&plans);
	return code;
}

int config_main(int argc, char **argv)
{
	const struct rigfile *other = NULL;
	struct run_choice c;
	int code;

	if (run_options_init(&c))
		return EXIT_INTERNAL;
	c.config = true;
	code = run_options_read(argc, argv, &c);
	if (code < 0) {
		code = run_options_rigs(&c, &other);
		if (!code) {
			put_options(&c);
			if (optind < argc)
				code = put_scenarios(&c, argv + optind, argc - optind);
			else
				put_settings(&c);
		}
	}
	run_options_fini(&c);
	return code;
}
