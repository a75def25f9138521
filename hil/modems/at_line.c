#include "hil/modems/at_line.h"

#include <ctype.h>
#include <string.h>

#define CTRL_Z 0x1a
#define ESC    0x1b

void at_line_init(struct at_line *l)
{
	memset(l, 0, sizeof(*l));
	l->echo = true;
	l->cr = '\r';
	l->lf = '\n';
	l->bs = '\b';
}

void at_line_command(struct at_line *l)
{
	l->prompt = false;
	l->overflow = false;
	l->len = 0;
}

void at_line_prompt(struct at_line *l)
{
	at_line_command(l);
	l->prompt = true;
}

bool at_line_busy(const struct at_line *l)
{
	return l->prompt || l->len > 0;
}

static void put(struct at_line *l, uint8_t c)
{
	if (l->len == AT_LINE_MAX) {
		l->overflow = true;
		return;
	}
	l->text[l->len++] = (char)c;
}

static bool starts_at(const struct at_line *l)
{
	return l->len >= 2 && toupper((unsigned char)l->text[0]) == 'A' &&
	       toupper((unsigned char)l->text[1]) == 'T';
}

/* Whatever stands before the last two letters "AT" that begin a line is noise
 * (V.250 §5.2.1); a line feed of the line before has been eaten already. */
static enum at_line_event line_done(struct at_line *l)
{
	l->text[l->len] = '\0';
	if (l->overflow) {
		at_line_command(l);
		return AT_LINE_TOO_LONG;
	}
	if (!starts_at(l)) {
		at_line_command(l);
		return AT_LINE_NONE;
	}
	l->len -= 2;
	memmove(l->text, l->text + 2, l->len + 1);
	memcpy(l->last, l->text, l->len + 1);
	return AT_LINE_COMMAND;
}

static enum at_line_event repeat(struct at_line *l)
{
	l->len = strlen(l->last);
	memcpy(l->text, l->last, l->len + 1);
	return AT_LINE_COMMAND;
}

static enum at_line_event command_byte(struct at_line *l, uint8_t c)
{
	if (c == ESC) {
		at_line_command(l);
		return AT_LINE_NONE;
	}
	if (c == l->bs) {
		l->len -= l->len > 0;
		return AT_LINE_NONE;
	}
	if (c == l->cr || c == l->lf)
		return l->len ? line_done(l) : AT_LINE_NONE;
	if (c == CTRL_Z || c == '\0' || (!l->len && isspace(c)))
		return AT_LINE_NONE;
	if (l->len == 1 && c == '/' && toupper((unsigned char)l->text[0]) == 'A')
		return repeat(l);
	/* junk before the A of AT, such as bytes of a dead transfer */
	if ((l->len == 0 && toupper(c) != 'A') || (l->len == 1 && toupper(c) != 'T')) {
		l->len = 0;
		if (toupper(c) != 'A')
			return AT_LINE_NONE;
	}
	put(l, c);
	return AT_LINE_NONE;
}

static enum at_line_event prompt_byte(struct at_line *l, uint8_t c, struct buf *out)
{
	enum at_line_event ev = c == ESC ? AT_LINE_CANCEL : AT_LINE_TEXT;

	if (c == ESC || c == CTRL_Z) {
		l->text[l->len] = '\0';
		if (l->overflow)
			ev = AT_LINE_TOO_LONG;
		l->prompt = false;
		return ev;
	}
	if (c == l->bs) {
		l->len -= l->len > 0;
		return AT_LINE_NONE;
	}
	if (c == l->cr) { /* a line of a text; in PDUs it means nothing */
		put(l, '\n');
		if (l->echo)
			buf_puts(out, "\n> ");
		return AT_LINE_NONE;
	}
	if (c != l->lf)
		put(l, c);
	return AT_LINE_NONE;
}

enum at_line_event at_line_byte(struct at_line *l, uint8_t c, struct buf *out)
{
	bool after_cr = l->seen_cr;

	if (l->echo && c != ESC)
		buf_add(out, &c, 1);
	l->seen_cr = c == l->cr;
	if (after_cr && c == l->lf)
		return AT_LINE_NONE;
	if (l->prompt)
		return prompt_byte(l, c, out);
	return command_byte(l, c);
}
