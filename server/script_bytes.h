/* The content of scripted answers, for script.c only. */
#ifndef SERVER_SCRIPT_BYTES_H
#define SERVER_SCRIPT_BYTES_H

#include "server/reply.h"

/* The reply's payload as its script's `payload` and `tokens` bend it: a new reference.
 * NULL and `e`: no memory, or a key that is gone. */
json_t *script_payload(const struct reply *r, struct token_signer *signer, struct err *e);
/* One character of the reply's `signature` becomes another one. */
void script_spoil_signature(struct buf *out);
/* Bends whole bytes by the word of `body`; NULL: leaves them. 0 or ERR_*. */
int script_body(const char *word, struct buf *out);

#endif
