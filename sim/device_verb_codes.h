/* Where codes come from at a terminal or on a bench: lines of standard input, or of whoever
 * connects to a Unix socket. A line is a bare code, the text of an SMS, or a JSON line with
 * that `text`, as a server writes them into its file. */
#ifndef SIM_DEVICE_VERB_CODES_H
#define SIM_DEVICE_VERB_CODES_H

#include <stdbool.h>
#include <stddef.h>
#include <ev.h>

#include "core/smstext.h"
#include "sim/device_verb.h"

#define DEVICE_CODES_LINE 512 /* a longer line is dropped */

struct device_codes {
	const char *verb; /* stands in errors */
	/* One line; `sms` where it is the last line of an SMS, else NULL: a bare code. The
	 * line is zeroed behind it. */
	void (*line)(void *ctx, char *line, const struct smstext *sms);
	void *ctx;
	/* its own */
	struct ev_loop *loop;
	const char *path; /* unlinked at the end; NULL: none */
	ev_io input;	  /* standard input, or whoever connected */
	ev_io listener;
	char buffer[DEVICE_CODES_LINE];
	size_t len;
	bool too_long;
};

/* CODE_FROM_STDIN reads, CODE_FROM_UNIX listens at `path` (0600); the others have no lines.
 * 0, or an exit code, said. device_codes_close also behind an error. */
int device_codes_open(struct device_codes *c, struct ev_loop *loop, enum code_from from, const char *path);
void device_codes_close(struct device_codes *c);

#endif
