/* One scenario of a file → one for each combination of its matrix. */
#ifndef HIL_LANGUAGE_SCENARIO_MATRIX_H
#define HIL_LANGUAGE_SCENARIO_MATRIX_H

#include "hil/language/read.h"

typedef void scenario_case_fn(struct reader *r, const struct yaml_node *scenario, void *ctx);

/* Calls `each` for every combination, `$name`s replaced in a copy that lives as long as
 * `r->tree`; once with `scenario` itself where there are no parameters. `defaults` is the
 * file's, `below` the ones below those (of an included file); NULL: none. What is wrong goes to the diags. */
void scenario_cases(struct reader *r, const struct yaml_node *scenario, const struct yaml_node *defaults,
		    const struct yaml_node *below, scenario_case_fn *each, void *ctx);

#endif
