/* Scripted answers: what the lab's fault `reply` makes of a reply that our server has
 * decided. Everything of a device's bootstrap is real until the script says otherwise, so
 * that any state is reached by the natural way. As the fault's args, all of them optional:
 *   code, message, retry_after_ns    another answer, signed where one is due
 *   command    {name, …}: rides on it, with an id of its own
 *   payload    none other_key other_method: of a 200
 *   tokens     missing bad_signature not_signed other_device swapped exp_before_iat
 *   signature  none wrong other_nonce replayed
 *   body       empty garbage truncated twice no_code code_text huge: of the bytes
 *   text       these bytes instead
 *   link       silent reset close: no answer at all
 *   late_ns    it leaves so much later
 *   with_next  true: it leaves right behind the connection's next reply
 */
#ifndef SERVER_SCRIPT_H
#define SERVER_SCRIPT_H

#include "server/reply.h"

#define SCRIPT_BYTES_MAX (2 * MSG_REPLY_MAX) /* of a scripted reply */

enum script_link { SCRIPT_ANSWERS, SCRIPT_SILENT, SCRIPT_RESET, SCRIPT_CLOSE };

/* 0, or ERR_PARSE with what to do: an arg that nobody knows must not be passed over. */
int script_check(json_t *args, struct err *e);
/* Applies what does not need the bytes; `r` keeps a reference to `args` for the rest. */
void script_decide(struct reply *r, json_t *args);
enum script_link script_link(json_t *args);

/* What a replayed signature is made from: the nonce of each device's request before. */
struct script_memory;
struct script_memory *script_memory_new(void); /* NULL without memory */
void script_memory_free(struct script_memory *m);
/* A reply to this request leaves now; forgets nobody, and learns no more than 10,000. */
void script_remember(struct script_memory *m, const struct reply *r);

/* The bytes of a scripted reply. 0 or ERR_*. */
int script_encode(const struct reply *r, struct token_signer *signer, const struct script_memory *m, struct buf *out,
		  struct err *e);

#endif
