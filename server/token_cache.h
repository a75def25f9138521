/* Tokens whose form and signature were verified, remembered by their SHA-256; their
 * claims are judged each time all the same. Bounded; the least recently used goes. */
#ifndef SERVER_TOKEN_CACHE_H
#define SERVER_TOKEN_CACHE_H

#include "core/token.h"

struct token_cache;
/* Remembers at most `max` tokens; takes memory for those that it has. NULL without memory. */
struct token_cache *token_cache_new(unsigned max);
void token_cache_free(struct token_cache *c);
/* A key is gone: whatever it signed must be verified again. */
void token_cache_forget(struct token_cache *c);
unsigned token_cache_count(const struct token_cache *c);
/* token_verify through the memory. */
int token_cache_verify(struct token_cache *c, struct token_keys *keys, const char *token, size_t len,
		       size_t len_max, struct token_claims *out, struct err *e);

#endif
