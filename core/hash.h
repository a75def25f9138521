/* Digests and their text forms. GnuTLS does the work. */
#ifndef CORE_HASH_H
#define CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE    32 /* SHA-256 */
#define HASH_FP_SIZE 17 /* 8 bytes in hex and a NUL: code_fp, to_fp */

void hash_sha256(const void *data, size_t len, uint8_t out[HASH_SIZE]);
void hash_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len, uint8_t out[HASH_SIZE]);

/* Lower-case hex of `len` bytes into out[2 * len + 1]. */
void hash_hex(const uint8_t *data, size_t len, char *out);

/* Exactly 2 * len hex digits to bytes; false where `hex` is anything else. */
bool hash_unhex(const char *hex, uint8_t *out, size_t len);

/* HMAC-SHA256(run key, text) cut to 8 bytes, hex: how a journal names a code or
 * a number (contracts.md, Journal). The run key is 32 bytes. */
void hash_fingerprint(const uint8_t run_key[32], const char *text, char out[HASH_FP_SIZE]);

/* SipHash-2-4 (Aumasson, Bernstein, 2012): where in a table a key goes that a stranger
 * chose. Who does not know `key` cannot choose the place. */
uint64_t hash_place(const uint8_t key[16], const void *data, size_t len);

/* Constant-time comparison of two buffers of one length. */
bool hash_equal(const void *a, const void *b, size_t len);

/* Unpadded base64url (RFC 4648 §5), canonical: decoding refuses padding, junk
 * and non-zero trailing bits. Encode needs out[4 * (len + 2) / 3 + 1] and
 * returns the length; decode returns the length or ERR_PARSE, ERR_LIMIT. */
size_t hash_b64url_encode(const void *data, size_t len, char *out);
int hash_b64url_decode(const char *text, size_t len, uint8_t *out, size_t size);

#endif
