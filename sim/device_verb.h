/* `quicrig device`: one device against any server, in the live world. */
#ifndef SIM_DEVICE_VERB_H
#define SIM_DEVICE_VERB_H

#include <stdbool.h>

#include "core/err.h"
#include "core/registry.h"
#include "core/rows.h"
#include "core/settings.h"
#include "core/world.h"

#define DEVICE_VERB_KEYS 2

/* Where codes come from. */
enum code_from { CODE_FROM_STDIN, CODE_FROM_UNIX, CODE_FROM_FIXED, CODE_FROM_NONE };

struct device_verb {
	const char *verb, *server_option;         /* stand in errors; NULL: device, server */
	const char *server_text, *pki;            /* as given; device_verb_ready reads them */
	char host[256];
	struct addr server;
	const char *server_name, *alpn;
	char *cert, *key, *ca;                    /* PEM texts; owned */
	char *server_keys[DEVICE_VERB_KEYS + 1];  /* SPKI PEM texts; owned; NULL-terminated */
	bool accept_unsigned;
	struct registry_device identity;
	const char *methods[REGISTRY_METHODS + 1];
	struct settings settings;
	const char *state_dir;                    /* NULL: its state ends with the process */
	int until;                                /* enum state_name; -1: until it is told to end */
	time_ns timeout;                          /* TIME_NEVER: none */
	enum code_from code_from;
	const char *code;                         /* FIXED: the code; UNIX: the path */
	const char *journal;                      /* a file, "-" for standard output; NULL: none */
	uint64_t seed;
};

/* For other verbs that speak to a server as a device does: takes the option `name`
 * (without dashes, of `quicrig device`) and its value. 0, or an exit code, said. */
int device_verb_option(struct device_verb *v, const char *name, char *value);
/* Reads key files, finds the server: all that is needed is there. 0, or an exit code, said. */
int device_verb_ready(struct device_verb *v);
void device_verb_fini(struct device_verb *v);

/* Lives until `until`, the timeout, IDLE where another state is waited for, or a signal.
 * Returns an exit code of contracts.md (Verdicts). */
int device_verb_run(const struct device_verb *v);

int device_main(int argc, char **argv);

#endif
