/* RS256 tokens (RFC 7515, 7519) and signed replies. libcjose signs, libjwt verifies:
 * two implementations hold each other to account (ngtcp2-notes.md, Tokens).
 *
 * Before any library sees a token: length cap, three parts of canonical base64url, a
 * signature of exactly 342 characters, header and claims parsed by jansson rejecting
 * duplicates, `alg` exactly RS256, a known `kid`, no `crit`, a key that is there
 * (protocol.md §4, Verification). Claims are type-checked here and judged by the
 * caller's clock. */
#ifndef CORE_TOKEN_H
#define CORE_TOKEN_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "core/err.h"
#include "core/registry.h"

#define JTI_LEN      32
#define KID_MAX      64
#define TOKEN_KEYS   8

enum token_use { TOKEN_NONE_USE, TOKEN_ACCESS, TOKEN_REFRESH };

/* ---- keys ---- */
struct token_signer; /* private keys by kid, newest last; parsed once */
struct token_signer *token_signer_new(void);
void token_signer_free(struct token_signer *s);
/* Adds a PEM RSA private key of 2048 bits, the one size whose signature has 342
 * characters; its kid is token_kid of its public
 * half, copied to `kid` (may be NULL). ERR_PARSE, ERR_LIMIT, ERR_EXISTS. */
int token_signer_add(struct token_signer *s, const char *pem, char kid[KID_MAX + 1], struct err *e);
/* The kid to sign with: the newest one that stands in `kids` (n of them); the oldest
 * where n is 0; NULL where none fits. */
const char *token_signer_pick(const struct token_signer *s, const char (*kids)[KID_MAX + 1], unsigned n);
/* How many keys, and the kid of each, oldest first. */
unsigned token_signer_count(const struct token_signer *s);
const char *token_signer_kid(const struct token_signer *s, unsigned i);
/* Forgets a key; no-op where unknown. What _public gave of it is gone. */
void token_signer_remove(struct token_signer *s, const char *kid);
/* The public PEM (SPKI) of a kid; NULL where unknown. Borrowed. */
const char *token_signer_public(const struct token_signer *s, const char *kid);

struct token_keys; /* public keys by kid: what a verifier pins */
struct token_keys *token_keys_new(void);
void token_keys_free(struct token_keys *k);
int token_keys_add(struct token_keys *k, const char *spki_pem, struct err *e); /* at most TOKEN_KEYS */
void token_keys_remove(struct token_keys *k, const char *kid);
unsigned token_keys_count(const struct token_keys *k);
const char *token_keys_kid(const struct token_keys *k, unsigned i);
/* Is this PEM (same SPKI, whitespace aside) one of the pinned keys? */
bool token_keys_has_pem(const struct token_keys *k, const char *spki_pem);
/* Forget the kid rule for peers that send none (accept_unsigned, the seed's server):
 * a token without `kid` is tried with each key. */
void token_keys_allow_no_kid(struct token_keys *k, bool allow);

/* kid of a key: first 16 hex of SHA-256 over its SPKI DER. */
int token_kid(const char *spki_pem, char out[KID_MAX + 1], struct err *e);

/* ---- tokens ---- */
struct token_claims {
	char sub[UUID_LEN + 1];  /* "" absent */
	char jti[JTI_LEN + 1], fam[JTI_LEN + 1]; /* hex; "" absent */
	enum token_use use;      /* TOKEN_NONE_USE absent */
	char iss[65], aud[65];   /* "" absent */
	bool has_exp, has_iat, has_nbf;
	int64_t exp, iat, nbf;   /* Unix seconds */
	/* the seed's `data` */
	char data_uuid[UUID_LEN + 1], data_device_type[33], data_serial_id[33];
	char kid[KID_MAX + 1];
};

/* Signs compact JWS with typ JWT. Claims in one fixed order, so that the same claims
 * and kid give the same token (RS256 is deterministic). Caller frees *token. */
int token_sign(struct token_signer *s, const struct token_claims *c, char **token, struct err *e);

/* Checks form, header (`typ` JWT or none) and signature, fills `out`. Does not judge
 * exp, nbf, iss, aud, use or sub: token_judge or the caller does. 0, ERR_LIMIT (over
 * `len_max`), ERR_AUTH with a reason in `e`, ERR_NOMEM. */
int token_verify(struct token_keys *k, const char *token, size_t len, size_t len_max,
		 struct token_claims *out, struct err *e);

/* The server's judgement of a verified token: iss, aud and use fit, types present,
 * exp, nbf and iat by `unix_ms` (nbf, iat leeway 60 s, exp none: expired when now ≥ exp).
 * 0, ERR_EXPIRED, ERR_AUTH. */
int token_judge(const struct token_claims *c, enum token_use use, int64_t unix_ms, struct err *e);

/* ---- signed replies (protocol.md §2) ---- */
struct reply_claims {
	const char *nonce, *resource; /* resource: the one asked for */
	int code;
	json_t *payload, *command;    /* NULL absent; borrowed */
	int64_t retry_after_s;        /* < 0 absent */
};
/* Compact JWS, header {alg RS256, kid, typ "quicrig-reply"}. Caller frees. */
int reply_sign(struct token_signer *s, const char *kid, const struct reply_claims *c, char **signature,
	       struct err *e);
/* 0 where the signature is by a pinned key and every claim equals `c`; else ERR_AUTH. */
int reply_verify(struct token_keys *k, const char *signature, const struct reply_claims *c, struct err *e);

#endif
