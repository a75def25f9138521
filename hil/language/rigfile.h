/* Rig files (contracts.md, Rig file): the server and the modems of a lab bench. */
#ifndef HIL_LANGUAGE_RIGFILE_H
#define HIL_LANGUAGE_RIGFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "hil/language/diag.h"
#include "hil/modems/modem_spec.h"

#define RIGFILE_MODEMS_MAX  256
#define RIGFILE_SENDERS_MAX 64

/* Zero-initialise; rigfile_fini frees. All texts are its own; paths are as written, from
 * where quicrig runs. NULL: the file does not say. */
struct rigfile {
	bool server_ours;
	char *address, *ca, *cert, *key, *token_key, *identities; /* of a server that is not ours */
	bool accept_unsigned;
	bool senders_any;          /* codes may come from anybody */
	char **senders;            /* else from these */
	size_t senders_n;
	struct modem_spec *modems; /* in the file's order; their texts and PINs are owned here */
	size_t modems_n;
	json_t *settings; /* {name: base units} for scenarios that do not say; NULL: none */
};

/* Reads a rig file with the same strictness as a scenario. PINs come from the environment:
 * a variable that is not set is an error at its place. 0 or ERR_*, all told in `ds`. */
int rigfile_load(const char *path, struct diags *ds, struct rigfile *out);
int rigfile_parse(const struct source *src, struct diags *ds, struct rigfile *out);
void rigfile_fini(struct rigfile *r);

#endif
