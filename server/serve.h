/* The verb `quicrig serve`. */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

#include <jansson.h>

/* Reads a script (--script FILE): a list of faults as core/fault.h has them, or NULL where it
 * has said what is wrong. Scripts are the runner's language, which a server does not know. */
typedef json_t *serve_script_reader(const char *path);

/* argv[0] is the verb. `script` may be NULL: there are none then. Returns an exit code: 0 ended orderly, 2 bad input, 3 environment,
 * 70 internal. */
int serve_main(int argc, char **argv, serve_script_reader *script);

#endif
