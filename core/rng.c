#include "core/rng.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/hash.h"

void rng_init(struct rng *r, uint64_t seed, const char *actor, const char *purpose)
{
	uint8_t digest[HASH_SIZE];
	char text[256];
	int n;

	n = snprintf(text, sizeof(text), "%016llx/%s/%s", (unsigned long long)seed, actor, purpose);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		/* names come from files and control messages: long ones go by their digests */
		char long_actor[2 * HASH_SIZE + 1], long_purpose[2 * HASH_SIZE + 1];

		hash_sha256(actor, strlen(actor), digest);
		hash_hex(digest, HASH_SIZE, long_actor);
		hash_sha256(purpose, strlen(purpose), digest);
		hash_hex(digest, HASH_SIZE, long_purpose);
		n = snprintf(text, sizeof(text), "%016llx/%s/%s", (unsigned long long)seed, long_actor,
			     long_purpose);
	}
	hash_sha256(text, (size_t)n, digest);
	for (int i = 0; i < 4; i++) {
		r->s[i] = 0;
		for (int k = 0; k < 8; k++)
			r->s[i] = r->s[i] << 8 | digest[8 * i + k];
	}
	r->s[0] |= 1; /* the all-zero state is the one that never moves */
}

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/* xoshiro256** 1.0 (Blackman and Vigna, 2018, public domain algorithm) */
uint64_t rng_u64(struct rng *r)
{
	uint64_t result = rotl(r->s[1] * 5, 7) * 9, t = r->s[1] << 17;

	r->s[2] ^= r->s[0];
	r->s[3] ^= r->s[1];
	r->s[1] ^= r->s[2];
	r->s[0] ^= r->s[3];
	r->s[2] ^= t;
	r->s[3] = rotl(r->s[3], 45);
	return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	uint64_t v, limit;

	assert(n > 0);
	limit = UINT64_MAX - UINT64_MAX % n;
	do
		v = rng_u64(r);
	while (v >= limit);
	return v % n;
}

double rng_unit(struct rng *r)
{
	return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_range(struct rng *r, double low, double high)
{
	return low + (high - low) * rng_unit(r);
}

void rng_bytes(struct rng *r, void *out, size_t len)
{
	uint8_t *p = out;

	while (len) {
		uint64_t v = rng_u64(r);
		size_t n = len < 8 ? len : 8;

		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)(v >> (8 * i));
		p += n;
		len -= n;
	}
}
