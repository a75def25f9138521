/* The verb `quicrig serve`: the server's own, and the language of its scripts. */
#include <stdio.h>

#include "hil/language/script.h"
#include "hil/verbs.h"
#include "server/serve.h"

static json_t *read_script(const char *path)
{
	struct diags ds = {0};
	json_t *faults = script_load(path, &ds);

	diags_print(&ds, stderr);
	diags_fini(&ds);
	return faults;
}

int serve_verb_main(int argc, char **argv)
{
	return serve_main(argc, argv, read_script);
}
