#include "server/token_cache.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM      1
#define uthash_nonfatal_oom(e) ((e)->lost = true)
#include <uthash.h>

#include "core/hash.h"

struct entry {
	uint8_t digest[HASH_SIZE];
	struct token_claims claims;
	bool lost; /* the table had no memory for it */
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) used;
};

struct token_cache {
	struct entry *entries; /* by digest: nobody gets in who cannot sign */
	TAILQ_HEAD(entry_list, entry) used; /* the one that was asked for last is last */
	unsigned n, max;
};

struct token_cache *token_cache_new(unsigned max)
{
	struct token_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->max = max;
	TAILQ_INIT(&c->used);
	return c;
}

static void drop(struct token_cache *c, struct entry *en)
{
	TAILQ_REMOVE(&c->used, en, used);
	HASH_DEL(c->entries, en);
	free(en);
	c->n--;
}

void token_cache_forget(struct token_cache *c)
{
	struct entry *en;

	while ((en = TAILQ_FIRST(&c->used)))
		drop(c, en);
}

void token_cache_free(struct token_cache *c)
{
	if (!c)
		return;
	token_cache_forget(c);
	free(c);
}

unsigned token_cache_count(const struct token_cache *c)
{
	return c->n;
}

/* Without memory it is verified again the next time. */
static void remember(struct token_cache *c, const uint8_t digest[HASH_SIZE], const struct token_claims *claims)
{
	struct entry *en;

	if (!c->max)
		return;
	if (c->n == c->max)
		drop(c, TAILQ_FIRST(&c->used));
	en = calloc(1, sizeof(*en));
	if (!en)
		return;
	memcpy(en->digest, digest, HASH_SIZE);
	en->claims = *claims;
	HASH_ADD(hh, c->entries, digest, HASH_SIZE, en);
	if (en->lost) {
		free(en);
		return;
	}
	TAILQ_INSERT_TAIL(&c->used, en, used);
	c->n++;
}

int token_cache_verify(struct token_cache *c, struct token_keys *keys, const char *token, size_t len,
		       size_t len_max, struct token_claims *out, struct err *e)
{
	uint8_t digest[HASH_SIZE];
	struct entry *en;
	int rv;

	if (len > len_max)
		return err_set(e, ERR_LIMIT, "token over %zu bytes", len_max);
	hash_sha256(token, len, digest);
	HASH_FIND(hh, c->entries, digest, HASH_SIZE, en);
	if (en) {
		TAILQ_REMOVE(&c->used, en, used);
		TAILQ_INSERT_TAIL(&c->used, en, used);
		*out = en->claims;
		return 0;
	}
	rv = token_verify(keys, token, len, len_max, out, e);
	if (!rv)
		remember(c, digest, out);
	return rv;
}
