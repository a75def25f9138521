/* The serial line of a modem, character by character: echo, S3 to S5, ESC, Ctrl-Z,
 * stray line feeds (ITU-T V.250 §5.2, 3GPP TS 27.005 §3.5.1). */
#ifndef HIL_MODEMS_AT_LINE_H
#define HIL_MODEMS_AT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

#define AT_LINE_MAX 2048 /* a command line or a text behind a prompt; more is an error */

enum at_line_event {
	AT_LINE_NONE,
	AT_LINE_COMMAND,  /* `text` is a command line without its AT */
	AT_LINE_TEXT,	  /* Ctrl-Z ended the text behind a prompt */
	AT_LINE_CANCEL,	  /* ESC ended it */
	AT_LINE_TOO_LONG, /* either was over AT_LINE_MAX; it is forgotten */
};

struct at_line {
	bool echo;	    /* ATE */
	uint8_t cr, lf, bs; /* S3, S4, S5 */
	bool prompt;	    /* behind "> " */
	bool seen_cr;	    /* a line feed right behind it is no character */
	bool overflow;
	size_t len;
	char text[AT_LINE_MAX + 1]; /* terminated when an event is returned */
	char last[AT_LINE_MAX + 1]; /* what A/ repeats */
};

void at_line_init(struct at_line *l);
/* Takes one character and appends its echo to `out`. After an event `text` and `len`
 * stand until at_line_command or at_line_prompt, one of which the caller must call. */
enum at_line_event at_line_byte(struct at_line *l, uint8_t c, struct buf *out);
/* Enters and leaves the text mode behind a prompt. */
void at_line_prompt(struct at_line *l);
void at_line_command(struct at_line *l);
/* Has somebody begun to type a command? */
bool at_line_busy(const struct at_line *l);

#endif
