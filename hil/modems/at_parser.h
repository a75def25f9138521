/* A command line into commands (ITU-T V.250 §5.2.4, 5.3, 5.4): basic ones, S
 * parameters, extended ones, and several in one line. */
#ifndef HIL_MODEMS_AT_PARSER_H
#define HIL_MODEMS_AT_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#define AT_NAME_MAX 24

enum at_form { AT_EXECUTE, AT_SET, AT_READ, AT_TEST };

struct at_command {
	char name[AT_NAME_MAX]; /* upper case: "E", "&F", "S3", "+CMGS", "^CURC" */
	enum at_form form;
	const char *args; /* behind '='; borrowed from the line, not terminated */
	size_t args_len;
};

/* Next command of `line` from `*pos` on, which moves behind it. Returns 1, 0 at the
 * end, or ERR_PARSE. A basic command's number stands in `args` (form AT_SET). */
int at_parse(const char *line, size_t len, size_t *pos, struct at_command *out);

/* Argument `index` (from 0; commas inside quotes do not count) as a text without its
 * quotes. False where it is absent or does not fit; then out is "". */
bool at_arg_text(const struct at_command *c, unsigned index, char *out, size_t size);
/* As a number: 1 with `*out` set, 0 where absent or empty, ERR_PARSE where it is none
 * or does not fit into 31 bits. */
int at_arg_int(const struct at_command *c, unsigned index, int *out);
/* The number of arguments; 0 for none at all. */
unsigned at_arg_count(const struct at_command *c);

#endif
