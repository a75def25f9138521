/* Shared by the files of the scenario reader only. */
#ifndef HIL_LANGUAGE_SCENARIO_INTERNAL_H
#define HIL_LANGUAGE_SCENARIO_INTERNAL_H

#include "core/rows.h"
#include "hil/language/read.h"
#include "hil/language/scenario.h"

/* Each takes the node of its part and gives the plan's member (a new reference); what
 * is wrong goes to the reader's diags. */
json_t *scenario_groups(struct reader *r, const struct yaml_node *n, const char *connection);
/* Finishes a `network` that was read from `n`: profiles written out, what belongs together. */
void scenario_network(struct reader *r, const struct yaml_node *n, json_t *network);
/* `args` of a disk's trouble, or a step that is one; errors stand at `n`. */
void scenario_disk_check(struct reader *r, const struct yaml_node *n, json_t *args);
/* A command has the arguments of its name, no others; NULL: there is none. */
void scenario_command_check(struct reader *r, const struct yaml_node *n, json_t *command);
json_t *scenario_faults(struct reader *r, const struct yaml_node *n);
/* A scripted server's answers, appended to `faults`: each is a fault `reply` on server.reply.
 * `place`: "answer" of a scenario, or "script.answer". */
void scenario_answers(struct reader *r, const struct yaml_node *n, const char *place, json_t *faults);
/* What the args of a `reply` can be together; `map` is where its keys stand, `at` where errors point. */
void scenario_reply(struct reader *r, const struct yaml_node *map, const struct yaml_node *at, json_t *args);
/* An action of modems befalls one that can. `n` is where errors point. */
void scenario_modem_who(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *who);
/* What the modem of such an event does where this one (s1, r1, …) never does it; NULL: it may. */
const char *scenario_modem_other(const char *modem, enum journal_kind kind);
/* A fault that names a modem, or acts at its prompt or its modem.state; fills in what `match`
 * must say. */
void scenario_modem_fault(struct reader *r, const struct yaml_node *n, const struct vocab_action *a, json_t *f,
			  json_t *args);
/* The length of a `for` that stands behind `from`, into `out`'s until_ns. */
void scenario_window(struct reader *r, const struct yaml_node *n, json_t *out);
/* More than a scenario may have, with `n` behind those of `list`? Then a diag. */
bool scenario_many_faults(struct reader *r, const struct yaml_node *n, json_t *list);
bool scenario_name_taken(json_t *list, json_t *fault);
json_t *scenario_steps(struct reader *r, const struct yaml_node *n, json_int_t timeout_ns);
json_t *scenario_expect(struct reader *r, const struct yaml_node *n);
json_t *scenario_thresholds(struct reader *r, const struct yaml_node *n);

/* The states of a path, held against protocol.md §3. NULL and a diag. */
json_t *scenario_path(struct reader *r, const struct yaml_node *n);
/* `match` of an event: {field: value}, held against the journal's table. */
json_t *scenario_match(struct reader *r, const struct yaml_node *n, enum journal_kind kind);

/* Settings that belong together, `repeat` and `others`, held against the rest of the scenario. */
void scenario_many(struct reader *r, const struct yaml_node *node, json_t *plan);
/* What only the whole tells. `node` is the scenario's. */
void scenario_whole(struct reader *r, const struct yaml_node *node, json_t *plan);

#endif
