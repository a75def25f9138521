#include "server/code.h"

#include <string.h>

#define ALPHABET_SIZE 62
#define UNBIASED      (256 - 256 % ALPHABET_SIZE) /* bytes from here on would favour some characters */

void code_draw(struct secret_source *secret, char out[CODE_LEN + 1])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	uint8_t raw[2 * CODE_LEN];
	size_t n = 0;

	_Static_assert(sizeof(alphabet) - 1 == ALPHABET_SIZE, "alphabet of the protocol");
	while (n < CODE_LEN) {
		secret_fill(secret, raw, sizeof(raw));
		for (size_t i = 0; i < sizeof(raw) && n < CODE_LEN; i++)
			if (raw[i] < UNBIASED)
				out[n++] = alphabet[raw[i] % ALPHABET_SIZE];
	}
	out[n] = '\0';
	explicit_bzero(raw, sizeof(raw));
}

void code_mac(const uint8_t key[32], const char *uuid, const char *reg, const char *code, uint8_t out[HASH_SIZE])
{
	char text[UUID_LEN + REGISTRATION_LEN + 64 + 4];
	size_t u = strlen(uuid), r = strlen(reg), c = strlen(code), at = 0;

	/* uuid and registration have one length each, or none: a NUL parts them */
	if (u > UUID_LEN || r > REGISTRATION_LEN || c > 64) {
		memset(out, 0, HASH_SIZE);
		return;
	}
	memcpy(text, uuid, u + 1);
	at = u + 1;
	memcpy(text + at, reg, r + 1);
	at += r + 1;
	memcpy(text + at, code, c);
	at += c;
	hash_hmac_sha256(key, 32, text, at, out);
	explicit_bzero(text, sizeof(text));
}

int64_t code_left(const struct store_registration *r, int64_t boot, const struct instant *at)
{
	int64_t left;

	if (r->boot != boot)
		return 0;
	left = r->code_end - (int64_t)at->boot;
	return left > 0 ? left : 0;
}

bool code_tenth_left(int64_t left, int64_t whole)
{
	return left > 0 && left >= whole / 10;
}
