/* What token.c, token_sign.c and reply_sig.c share; nobody else includes it. */
#ifndef CORE_TOKEN_INTERNAL_H
#define CORE_TOKEN_INTERNAL_H

#include "core/token.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

/* RS256 with the one key size that a signature of 342 characters allows. */
#define TOKEN_KEY_BITS	  2048
#define TOKEN_SIG_LEN	  342
#define TOKEN_SIG_BYTES	  256
#define TOKEN_HARD_MAX	  65536 /* whatever the setting says: libjwt calls alloca with it */
#define TOKEN_JSON_DEPTH  8
#define TOKEN_TYP	  "JWT"
#define REPLY_TYP	  "quicrig-reply"
#define TOKEN_ISS	  "quicrig"
#define TOKEN_AUD_ACCESS  "quicrig/access"
#define TOKEN_AUD_REFRESH "quicrig/refresh"

struct token_key {
	char kid[KID_MAX + 1];
	char *pem; /* SPKI as GnuTLS writes it; owned */
	size_t pem_len;
	gnutls_datum_t der; /* owned by GnuTLS */
	gnutls_pubkey_t pub;
};

struct token_keys {
	struct token_key key[TOKEN_KEYS];
	unsigned n;
	bool allow_no_kid;
};

/* Reads an SPKI PEM of an RSA key of TOKEN_KEY_BITS. */
int token_key_init(struct token_key *k, const char *spki_pem, struct err *e);
void token_key_fini(struct token_key *k);

/* A compact JWS that passed every check of protocol.md §4, Verification, up to the
 * signature itself. Borrows `text`; token_form_fini frees the rest. */
struct token_form {
	const char *text;
	size_t signed_len; /* header and claims, without the second dot */
	uint8_t sig[TOKEN_SIG_BYTES];
	json_t *header, *claims;     /* objects; owned */
	const struct token_key *key; /* by kid; NULL: none named and that is allowed */
};

int token_form_read(const struct token_keys *k, const char *text, size_t len, size_t len_max, const char *typ,
		    bool typ_needed, struct token_form *out, struct err *e);
void token_form_fini(struct token_form *f);

/* Signs `payload` under header {alg, typ, kid}; `kid` must be one of the signer's. */
int token_sign_raw(struct token_signer *s, const char *kid, const char *typ, const void *payload, size_t len,
		   char **out, struct err *e);

#endif
