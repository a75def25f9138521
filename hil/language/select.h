/* Which scenarios are meant: tags, a filter expression, a rig. */
#ifndef HIL_LANGUAGE_SELECT_H
#define HIL_LANGUAGE_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <jansson.h>

#include "core/err.h"

struct rigfile;
struct selector;

/* Selects everything until it is told otherwise. */
struct selector *selector_new(void);
void selector_free(struct selector *s);
/* A scenario needs one of the tags that were added. 0 or ERR_NOMEM. */
int selector_tag(struct selector *s, const char *tag);
/* `smoke and not (load or 'idle/?*')`: and, or, not, parentheses; a word is a tag, or a glob
 * over id and name; `tag:` and `name:` in front say which. 0, ERR_PARSE with the column in `e`. */
int selector_filter(struct selector *s, const char *text, struct err *e);
bool selector_match(const struct selector *s, json_t *plan);

/* Does it need modems that no other scenario uses: because it breaks them, limits them, or
 * wants another carrier? */
bool plan_owns_modems(json_t *plan);

/* Can this rig serve the plan? `rig` is `virtual`, `loopback`, or anything for a rig file,
 * whose content is `file` (NULL for the built-in ones). Else `why` says why not. */
bool rig_serves(const char *rig, const struct rigfile *file, json_t *plan, char *why, size_t size);

#endif
