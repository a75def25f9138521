/* The verb `quicrig serve`. */
#ifndef SERVER_SERVE_H
#define SERVER_SERVE_H

/* argv[0] is the verb. Returns an exit code: 0 ended orderly, 2 bad input, 3 environment,
 * 70 internal. */
int serve_main(int argc, char **argv);

#endif
