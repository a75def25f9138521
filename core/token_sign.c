#include "core/token.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjose/cjose.h>
#include <gnutls/x509.h>

#include "core/buf.h"
#include "core/token_internal.h"

#define CLAIMS_MAX 2048

struct signing_key {
	struct token_key public;
	cjose_jwk_t *jwk; /* secret */
};

struct token_signer {
	struct signing_key key[TOKEN_KEYS]; /* in the order they were added */
	unsigned n;
};

struct token_signer *token_signer_new(void)
{
	return calloc(1, sizeof(struct token_signer));
}

void token_signer_free(struct token_signer *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->n; i++) {
		token_key_fini(&s->key[i].public);
		cjose_jwk_release(s->key[i].jwk);
	}
	free(s);
}

static const struct signing_key *find_key(const struct token_signer *s, const char *kid)
{
	for (unsigned i = 0; i < s->n; i++)
		if (strcmp(s->key[i].public.kid, kid) == 0)
			return &s->key[i];
	return NULL;
}

/* GnuTLS reads the PEM; OpenSSL inside cjose gets the numbers. */
static cjose_jwk_t *jwk_of(gnutls_x509_privkey_t key)
{
	/* m e d p q u e1 e2 as GnuTLS calls them: n e d p q qi dp dq in RFC 7518 §6.3 */
	gnutls_datum_t v[8] = {{NULL, 0}};
	cjose_jwk_t *jwk = NULL;
	cjose_err ce;

	if (gnutls_x509_privkey_export_rsa_raw2(key, &v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6],
						&v[7]) == 0) {
		cjose_jwk_rsa_keyspec spec = {
			.n = v[0].data,
			.nlen = v[0].size,
			.e = v[1].data,
			.elen = v[1].size,
			.d = v[2].data,
			.dlen = v[2].size,
			.p = v[3].data,
			.plen = v[3].size,
			.q = v[4].data,
			.qlen = v[4].size,
			.qi = v[5].data,
			.qilen = v[5].size,
			.dp = v[6].data,
			.dplen = v[6].size,
			.dq = v[7].data,
			.dqlen = v[7].size,
		};

		jwk = cjose_jwk_create_RSA_spec(&spec, &ce);
	}
	for (int i = 0; i < 8; i++) {
		if (v[i].data)
			gnutls_memset(v[i].data, 0, v[i].size);
		gnutls_free(v[i].data);
	}
	return jwk;
}

static int public_half(gnutls_x509_privkey_t key, struct token_key *out, struct err *e)
{
	gnutls_datum_t pem = {NULL, 0};
	gnutls_privkey_t priv = NULL;
	gnutls_pubkey_t pub = NULL;
	char *text = NULL;
	int rv;

	if (gnutls_privkey_init(&priv) || gnutls_pubkey_init(&pub) ||
	    gnutls_privkey_import_x509(priv, key, 0) || gnutls_pubkey_import_privkey(pub, priv, 0, 0) ||
	    gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &pem) ||
	    !(text = strndup((char *)pem.data, pem.size)))
		rv = err_set(e, ERR_NOMEM, "cannot derive a token key's public half");
	else
		rv = token_key_init(out, text, e);
	free(text);
	gnutls_free(pem.data);
	if (pub)
		gnutls_pubkey_deinit(pub);
	if (priv)
		gnutls_privkey_deinit(priv);
	return rv;
}

int token_signer_add(struct token_signer *s, const char *pem, char kid[KID_MAX + 1], struct err *e)
{
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)pem, (unsigned)strlen(pem)};
	struct signing_key *k = &s->key[s->n];
	gnutls_x509_privkey_t key = NULL;
	int rv;

	if (s->n == TOKEN_KEYS)
		return err_set(e, ERR_LIMIT, "more than %d token keys", TOKEN_KEYS);
	if (gnutls_x509_privkey_init(&key))
		return err_set(e, ERR_NOMEM, "out of memory");
	rv = gnutls_x509_privkey_import2(key, &in, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN);
	if (rv) {
		rv = err_set(e, ERR_PARSE, "not an unencrypted private key in PEM: %s", gnutls_strerror(rv));
		goto out;
	}
	rv = public_half(key, &k->public, e);
	if (rv)
		goto out;
	if (find_key(s, k->public.kid)) {
		rv = err_set(e, ERR_EXISTS, "the same token key twice");
	} else {
		k->jwk = jwk_of(key);
		if (!k->jwk)
			rv = err_set(e, ERR_PARSE, "the token key's numbers cannot be used");
	}
	if (rv) {
		token_key_fini(&k->public);
		goto out;
	}
	if (kid)
		memcpy(kid, k->public.kid, sizeof(k->public.kid));
	s->n++;
out:
	gnutls_x509_privkey_deinit(key);
	return rv;
}

const char *token_signer_pick(const struct token_signer *s, const char (*kids)[KID_MAX + 1], unsigned n)
{
	if (!n)
		return s->n ? s->key[0].public.kid : NULL;
	for (unsigned i = s->n; i-- > 0;)
		for (unsigned k = 0; k < n; k++)
			if (strcmp(s->key[i].public.kid, kids[k]) == 0)
				return s->key[i].public.kid;
	return NULL;
}

void token_signer_remove(struct token_signer *s, const char *kid)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (strcmp(s->key[i].public.kid, kid) != 0)
			continue;
		cjose_jwk_release(s->key[i].jwk);
		token_key_fini(&s->key[i].public);
		memmove(&s->key[i], &s->key[i + 1], (s->n - i - 1) * sizeof(s->key[0]));
		memset(&s->key[--s->n], 0, sizeof(s->key[0]));
		return;
	}
}

unsigned token_signer_count(const struct token_signer *s)
{
	return s->n;
}

const char *token_signer_kid(const struct token_signer *s, unsigned i)
{
	return s->key[i].public.kid;
}

const char *token_signer_public(const struct token_signer *s, const char *kid)
{
	const struct signing_key *k = find_key(s, kid);

	return k ? k->public.pem : NULL;
}

int token_sign_raw(struct token_signer *s, const char *kid, const char *typ, const void *payload, size_t len,
		   char **out, struct err *e)
{
	const struct signing_key *k = find_key(s, kid);
	cjose_header_t *header = NULL;
	cjose_jws_t *jws = NULL;
	const char *text = NULL;
	cjose_err ce = {0};
	int rv = 0;

	*out = NULL;
	if (!k)
		return err_set(e, ERR_NOTFOUND, "no token key has this kid");
	header = cjose_header_new(&ce);
	if (!header || !cjose_header_set(header, CJOSE_HDR_ALG, CJOSE_HDR_ALG_RS256, &ce) ||
	    !cjose_header_set(header, CJOSE_HDR_KID, kid, &ce) ||
	    !cjose_header_set(header, "typ", typ, &ce) ||
	    !(jws = cjose_jws_sign(k->jwk, header, payload, len, &ce)) ||
	    !cjose_jws_export(jws, &text, &ce) || !(*out = strdup(text)))
		rv = err_set(e, ce.code == CJOSE_ERR_CRYPTO ? ERR_INTERNAL : ERR_NOMEM, "cannot sign: %s",
			     ce.message ? ce.message : "out of memory");
	if (jws)
		cjose_jws_release(jws);
	if (header)
		cjose_header_release(header);
	return rv;
}

static void put_text(struct buf *out, const char *name, const char *value)
{
	if (!value[0])
		return;
	buf_printf(out, "%s\"%s\":", out->data[out->len - 1] == '{' ? "" : ",", name);
	buf_json_str(out, value);
}

static void put_date(struct buf *out, const char *name, bool has, int64_t value)
{
	if (has)
		buf_printf(out, "%s\"%s\":%" PRId64, out->data[out->len - 1] == '{' ? "" : ",", name, value);
}

int token_sign(struct token_signer *s, const struct token_claims *c, char **token, struct err *e)
{
	const char *kid = c->kid[0] ? c->kid : token_signer_pick(s, NULL, 0);
	struct buf claims;
	int rv;

	*token = NULL;
	if (!kid)
		return err_set(e, ERR_NOTFOUND, "no token key to sign with");
	buf_init(&claims, CLAIMS_MAX);
	rv = buf_puts(&claims, "{");
	if (rv)
		goto out;
	put_text(&claims, "iss", c->iss);
	put_text(&claims, "aud", c->aud);
	put_text(&claims, "sub", c->sub);
	put_date(&claims, "iat", c->has_iat, c->iat);
	put_date(&claims, "nbf", c->has_nbf, c->nbf);
	put_date(&claims, "exp", c->has_exp, c->exp);
	put_text(&claims, "jti", c->jti);
	if (c->use != TOKEN_NONE_USE)
		put_text(&claims, "use", c->use == TOKEN_ACCESS ? "access" : "refresh");
	put_text(&claims, "fam", c->fam);
	if (c->data_uuid[0]) {
		buf_puts(&claims, claims.len > 1 ? ",\"data\":{" : "\"data\":{");
		put_text(&claims, "uuid", c->data_uuid);
		put_text(&claims, "deviceType", c->data_device_type);
		put_text(&claims, "serialId", c->data_serial_id);
		buf_puts(&claims, "}");
	}
	rv = buf_puts(&claims, "}");
out:
	if (rv)
		err_set(e, rv, "claims: %s", err_text(rv));
	else
		rv = token_sign_raw(s, kid, TOKEN_TYP, claims.data, claims.len, token, e);
	buf_fini(&claims);
	return rv;
}
