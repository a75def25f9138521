/* What `quicrig run` and `quicrig config` take alike: options, the environment, rig files. */
#ifndef HIL_RUN_OPTIONS_H
#define HIL_RUN_OPTIONS_H

#include "hil/config.h"
#include "hil/language/rigfile.h"
#include "hil/language/scenario.h"
#include "hil/language/select.h"
#include "hil/run/runner.h"

#define RUN_LETTERS 128

struct run_choice {
	struct run_options o;
	struct selector *select;
	struct rigfile file, other_file;
	const char *other; /* rig to compare with; NULL: none */
	struct config_settings settings;
	/* by the option's letter: as it was said, and where; NULL: nowhere */
	const char *said[RUN_LETTERS];
	enum config_origin from[RUN_LETTERS];
	bool config, show_origin; /* config: for that verb */
};

/* Options that have a variable in the environment, QUICRIG_ and their name in capitals. */
struct run_variable {
	const char *name;
	char letter;
	bool value; /* takes one; else true or false */
};
extern const struct run_variable run_variables[];
extern const size_t run_variables_n;

extern const char run_options_help[], config_help[];

int run_options_init(struct run_choice *c); /* 0 or ERR_NOMEM */
void run_options_fini(struct run_choice *c);
/* Reads the environment, then the options, which win. An exit code, or -1: go on; what is
 * left of `argv` begins at optind. */
int run_options_read(int argc, char **argv, struct run_choice *c);
/* Loads rig files; `*other` is that of --parity. An exit code. */
int run_options_rigs(struct run_choice *c, const struct rigfile **other);
/* Loads and selects scenarios, and gives them the settings that go before or behind their
 * own; behind run_options_rigs. An exit code. */
int run_options_plans(struct run_choice *c, char *const *paths, int n, struct plans *plans);

#endif
