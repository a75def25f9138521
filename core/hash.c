#include "core/hash.h"

#include <assert.h>
#include <string.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/err.h"

void hash_sha256(const void *data, size_t len, uint8_t out[HASH_SIZE])
{
	int rv = gnutls_hash_fast(GNUTLS_DIG_SHA256, data, len, out);

	assert(rv == 0);
	(void)rv;
}

void hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[HASH_SIZE])
{
	int rv = gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, key_len, data, len, out);

	assert(rv == 0);
	(void)rv;
}

void hash_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < len; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * len] = '\0';
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool hash_unhex(const char *hex, uint8_t *out, size_t len)
{
	size_t i;

	if (strlen(hex) != 2 * len)
		return false;
	for (i = 0; i < len; i++) {
		int hi = nibble(hex[2 * i]), lo = nibble(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

void hash_fingerprint(const uint8_t run_key[32], const char *text, char out[HASH_FP_SIZE])
{
	uint8_t mac[HASH_SIZE];

	hash_hmac_sha256(run_key, 32, text, strlen(text), mac);
	hash_hex(mac, 8, out);
}

bool hash_equal(const void *a, const void *b, size_t len)
{
	return gnutls_memcmp(a, b, len) == 0;
}

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t hash_b64url_encode(const void *data, size_t len, char *out)
{
	const uint8_t *p = data;
	size_t i, n = 0;
	uint32_t v;

	for (i = 0; i + 2 < len; i += 3) {
		v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
		out[n++] = b64[v >> 18];
		out[n++] = b64[v >> 12 & 63];
		out[n++] = b64[v >> 6 & 63];
		out[n++] = b64[v & 63];
	}
	if (len - i == 1) {
		v = (uint32_t)p[i] << 16;
		out[n++] = b64[v >> 18];
		out[n++] = b64[v >> 12 & 63];
	} else if (len - i == 2) {
		v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8;
		out[n++] = b64[v >> 18];
		out[n++] = b64[v >> 12 & 63];
		out[n++] = b64[v >> 6 & 63];
	}
	out[n] = '\0';
	return n;
}

static int b64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return -1;
}

int hash_b64url_decode(const char *text, size_t len, uint8_t *out, size_t size)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t i, n = 0;

	if (len % 4 == 1)
		return ERR_PARSE;
	for (i = 0; i < len; i++) {
		int v = b64_value(text[i]);

		if (v < 0)
			return ERR_PARSE;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == size)
			return ERR_LIMIT;
		out[n++] = (uint8_t)(acc >> bits);
		acc &= (1u << bits) - 1;
	}
	return acc ? ERR_PARSE : (int)n;
}
