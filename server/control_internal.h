/* What the files of the control verbs share: each verb gives the members of its reply, or
 * NULL and `e` (control.c has the table). */
#ifndef SERVER_CONTROL_INTERNAL_H
#define SERVER_CONTROL_INTERNAL_H

#include "server/server_internal.h"

#define CONTROL_LIST_LIMIT 1000

/* A text member of a request; NULL where there is none. */
const char *control_text(json_t *request, const char *key);

/* control_devices.c */
json_t *control_disable(struct server *s, json_t *request, struct err *e);
json_t *control_enable(struct server *s, json_t *request, struct err *e);
json_t *control_decommission(struct server *s, json_t *request, struct err *e);
json_t *control_readmit(struct server *s, json_t *request, struct err *e);
json_t *control_show(struct server *s, json_t *request, struct err *e);
json_t *control_lift(struct server *s, json_t *request, struct err *e);
json_t *control_clock(struct server *s, json_t *request, struct err *e);
json_t *control_clock_accept(struct server *s, json_t *request, struct err *e);
json_t *control_list(struct server *s, json_t *request, struct err *e);

/* control_keys.c */
json_t *control_keys(struct server *s, json_t *request, struct err *e);
json_t *control_rotate_key(struct server *s, json_t *request, struct err *e);
json_t *control_retire_key(struct server *s, json_t *request, struct err *e);

/* control_ledger.c */
json_t *control_ledger(struct server *s, json_t *request, struct err *e);

/* control_commands.c */
json_t *control_command(struct server *s, json_t *request, struct err *e);
json_t *control_cancel(struct server *s, json_t *request, struct err *e);
json_t *control_commands(struct server *s, json_t *request, struct err *e);

#endif
