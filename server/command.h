/* Commands that an operator queues for a device (protocol.md §2): the first of the queue
 * rides on each 200 until a request names its id in `done`. */
#ifndef SERVER_COMMAND_H
#define SERVER_COMMAND_H

#include <jansson.h>

#include "server/enroll.h"

#define COMMANDS_MAX      8     /* of one device that are not done */
#define COMMAND_SECONDS_MAX 86400 /* of a PAUSE, of a publish interval */

/* Queues `command` ({"name", …}; borrowed) for a device, durably with the next commit, and
 * gives it an id, or the asker's own `id` (1…36 letters, digits and '-'; NULL: none): where that one
 * waits already it is `out`, and ERR_EXISTS, so that who missed the answer may ask again (ERR_INVALID: it is another command). PAUSE wants `seconds`, CONFIG `publishInterval` (both cut to a day), KEYS
 * may have `keys` (else the server's two newest when it is sent). ERR_PARSE with what is
 * wanted, ERR_NOTFOUND: not in the registry, ERR_LIMIT: COMMANDS_MAX wait already, ERR_IO.
 * `lab`: UNKNOWN, which no device knows, is fine too. */
int command_queue(struct enroll *en, const struct instant *at, const char *uuid, json_t *command, const char *id,
		  bool lab, struct store_command *out, struct err *e);
/* Takes one out of the queue; ERR_NOTFOUND. A device that has it already does it all the same. */
int command_cancel(struct enroll *en, const char *uuid, const char *id, struct store_command *out);

struct enroll_call;
/* The request is granted: what it names in `done` leaves the queue. Within its decision. */
int command_done(struct enroll_call *c);
/* Queues KEYS for a device that publishes without the newest key among its pins. Within the
 * request's decision, behind command_done. */
int command_offer_keys(struct enroll_call *c);
/* Lets a decided 200 carry what is queued for its device: r->command. */
void command_attach(struct enroll *en, const struct instant *at, struct reply *r);

#endif
