#include "server/token_cache.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define SETS 1024
#define WAYS 4

struct entry {
	uint8_t digest[HASH_SIZE];
	uint64_t used; /* tick; 0: free */
	struct token_claims claims;
};

struct token_cache {
	uint64_t tick;
	struct entry sets[SETS][WAYS];
};

struct token_cache *token_cache_new(void)
{
	return calloc(1, sizeof(struct token_cache));
}

void token_cache_free(struct token_cache *c)
{
	free(c);
}

void token_cache_forget(struct token_cache *c)
{
	memset(c->sets, 0, sizeof(c->sets));
}

int token_cache_verify(struct token_cache *c, struct token_keys *keys, const char *token, size_t len,
		       size_t len_max, struct token_claims *out, struct err *e)
{
	uint8_t digest[HASH_SIZE];
	struct entry *set, *victim;
	int rv;

	if (len > len_max)
		return err_set(e, ERR_LIMIT, "token over %zu bytes", len_max);
	hash_sha256(token, len, digest);
	set = c->sets[(digest[0] | digest[1] << 8) % SETS];
	victim = set;
	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].used && memcmp(set[i].digest, digest, sizeof(digest)) == 0) {
			set[i].used = ++c->tick;
			*out = set[i].claims;
			return 0;
		}
		if (set[i].used < victim->used)
			victim = &set[i];
	}
	rv = token_verify(keys, token, len, len_max, out, e);
	if (rv)
		return rv;
	memcpy(victim->digest, digest, sizeof(digest));
	victim->claims = *out;
	victim->used = ++c->tick;
	return 0;
}
