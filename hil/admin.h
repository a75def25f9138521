/* Inside of `quicrig admin`: one control connection, and what is shown of its answers. */
#ifndef HIL_ADMIN_H
#define HIL_ADMIN_H

#include <stdbool.h>
#include <jansson.h>

struct admin {
	const char *path; /* of the control socket */
	int fd;           /* -1: not connected yet, admin_ask does it */
	bool json; /* print what the server answers, as it is */
};

/* One request (taken) and its answer, a new reference; NULL: the error was told, `*code` is the
 * exit code (1: the server refuses, 3: it cannot be reached). */
json_t *admin_ask(struct admin *a, json_t *request, int *code);
/* The same page by page: the answer has the whole `list`. */
json_t *admin_pages(struct admin *a, json_t *request, const char *list, int *code);

/* A table: `heads` are n titles; `rows` a list of lists of n texts (taken). Nothing to show:
 * `none`. Last columns are not padded. */
void admin_table(const char *const *heads, unsigned n, json_t *rows, const char *none);
/* "2026-03-01 12:00:00" (UTC) of Unix ms; "-" for 0. New references. */
json_t *admin_when(json_int_t unix_ms);
json_t *admin_yes(bool yes);

#endif
