/* Errors and warnings with a place, collected so that all of a file are told at once. */
#ifndef HIL_LANGUAGE_DIAG_H
#define HIL_LANGUAGE_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define DIAGS_MAX 200 /* a file; behind that one line says that there are more */

/* A text under its name. Borrowed by whoever is given one, unless source_read filled it. */
struct source {
	const char *name;
	const char *text; /* NUL-terminated */
	size_t len;
};

struct diag {
	char *file;
	int line, col; /* from 1, columns in characters; 0: the file as a whole */
	bool warning;
	char *message;    /* owned */
	char *suggestion; /* owned; NULL: none. Without parentheses. */
	char *excerpt;    /* owned; the source line, NULL: none */
	unsigned order;   /* of the file, then of arrival */
};

/* Zero-initialise; diags_fini frees. */
struct diags {
	struct diag *v;
	size_t n, cap;
	size_t errors, warnings;
	size_t found; /* errors, with those that `once` left out */
	bool once;    /* what was told at the same place is not told again */
	unsigned file_order; /* counted up by diags_file */
	size_t in_file;
};

void diags_fini(struct diags *ds);
/* The next ones belong to another file. */
void diags_file(struct diags *ds);

struct mark {
	int line, col;
};
void diag_error(struct diags *ds, const struct source *src, struct mark at, const char *suggestion, const char *fmt,
		...) __attribute__((format(printf, 5, 6)));
void diag_warn(struct diags *ds, const struct source *src, struct mark at, const char *suggestion, const char *fmt,
	       ...) __attribute__((format(printf, 5, 6)));

/* "file:line:col: error: message (suggestion)", the source line and a caret, in order of files and places. */
void diags_print(struct diags *ds, FILE *out);

/* Length of the well-formed character at `p` (RFC 3629) and its code point, 0 where there
 * is none. `left` > 0. */
size_t diag_utf8_length(const unsigned char *p, size_t left, unsigned *cp);

/* Reads a whole file of at most `max` bytes. 0 and `*out` (source_free), or an ERR_* with one diag. */
int source_read(const char *path, size_t max, struct diags *ds, struct source *out);
void source_free(struct source *src);

#endif
