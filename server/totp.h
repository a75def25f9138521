/* TOTP as a second factor (RFC 6238; protocol.md §4, TOTP): the secret is on record, codes
 * are 6 digits of SHA-1 in steps of 30 s, one step of drift either way is forgiven. */
#ifndef SERVER_TOTP_H
#define SERVER_TOTP_H

#include "server/enroll_internal.h"

/* A registration that is new, or the empty one again: no SMS, 200 at once. Decides. */
int totp_register(struct enroll_call *c, const struct registry_device *dev, const struct store_device *row);

/* Too many wrong codes: decides 429 and is 1; else 0, or ERR_IO. */
int totp_limited(struct enroll_call *c);
/* Counts a wrong one. */
int totp_wrong(struct enroll_call *c);
/* The time step that `code` is of, of those that may still be used; 0: of none. */
int64_t totp_step(const struct registry_device *dev, const struct store_device *row, int64_t unix_ms, const char *code);

#endif
