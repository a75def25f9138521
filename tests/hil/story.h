/* Journals as short stories, for the oracle's tests. A line is
 *   MS ACTOR KIND [dev=U] [req=Q] [reg=R] [field=value]…
 * A `~` in a value stands for a blank. An actor A[n] speaks of device un; the runner of none; anybody else of u1. */
#ifndef TESTS_HIL_STORY_H
#define TESTS_HIL_STORY_H

#include <jansson.h>

#include "hil/judge/oracle.h"

/* A life from power on to the first measure, that nothing is wrong with. */
extern const char story_good[];

/* `good` with every line that contains `find` replaced by `put` (NULL: none is). The caller frees. */
char *story_edit(const char *good, const char *find, const char *put);
void story_tell(struct oracle *o, const char *lines);
/* Judges one story under one plan (JSON text; NULL: a plain one); fini the result. */
void story_judge(const char *plan, const char *lines, struct scenario_result *out);
const struct check_result *story_check(const struct scenario_result *s, const char *name);

#endif
