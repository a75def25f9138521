/* Codes: 12 characters of [A-Za-z0-9], drawn without bias, kept as an HMAC, compared in
 * constant time, lived by CLOCK_BOOTTIME (protocol.md §4, Code). */
#ifndef SERVER_CODE_H
#define SERVER_CODE_H

#include <stdbool.h>

#include "core/smstext.h"
#include "core/world.h"
#include "server/store.h"

void code_draw(struct secret_source *secret, char out[CODE_LEN + 1]);
/* The keyed digest of a code of one registration; the lengths make it unambiguous. */
void code_mac(const uint8_t key[32], const char *uuid, const char *reg, const char *code, uint8_t out[HASH_SIZE]);
/* Life left in ns; 0 where it is over or belongs to another boot. The state is not looked at. */
int64_t code_left(const struct store_registration *r, int64_t boot, const struct instant *at);
/* Is at least a tenth of `whole` left? */
bool code_tenth_left(int64_t left, int64_t whole);

#endif
