/* The table on the screen: one aligned line a scenario as it ends, a block under each
 * that did not pass, and the totals (scenarios.md, The first minute). */
#ifndef REPORTS_CONSOLE_H
#define REPORTS_CONSOLE_H

#include <stdbool.h>
#include <stdio.h>

#include "reports/result.h"

enum console_color { CONSOLE_AUTO, CONSOLE_PLAIN, CONSOLE_COLORED }; /* AUTO: on a tty and without NO_COLOR */

struct console;

/* `id_width`: of the longest id to come, 0 where unknown. `out` is borrowed. NULL
 * without memory. */
struct console *console_new(FILE *out, int id_width, enum console_color color);
void console_free(struct console *c);
/* A line that the next one replaces; on a tty only. */
void console_progress(struct console *c, const char *text);
void console_scenario(struct console *c, const struct scenario_result *s);
/* The totals. */
void console_end(struct console *c, const struct run_result *r);

/* "84 ms", "0.2 s", "61 s", "12 min", "3.5 h", "2 d" into `out`; returns it. */
char *console_duration(uint64_t ns, char *out, size_t size);

/* Rows and cells of each scenario; then each row with how often and by which scenarios, each
 * cell with how often. */
void console_coverage(struct console *c, const struct run_result *r);
/* The rows and cells that nothing exercised, a line each kind; how many there are. */
unsigned console_missing(struct console *c, const struct run_result *r);

#endif
