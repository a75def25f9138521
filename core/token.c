#include "core/token.h"

#include <stdlib.h>
#include <string.h>

#include <jwt.h>

#include "core/hash.h"
#include "core/strictjson.h"
#include "core/token_internal.h"

#define KID_BYTES  8
#define LEEWAY_MS  60000		 /* nbf and iat */
#define UNIX_S_MAX INT64_C(253402300799) /* 9999-12-31 */

/* ---- keys ---- */

int token_key_init(struct token_key *k, const char *spki_pem, struct err *e)
{
	gnutls_datum_t in = {(unsigned char *)(uintptr_t)spki_pem, (unsigned)strlen(spki_pem)},
		       pem = {NULL, 0};
	uint8_t digest[HASH_SIZE];
	unsigned bits = 0;
	int rv;

	memset(k, 0, sizeof(*k));
	if (gnutls_pubkey_init(&k->pub))
		return err_set(e, ERR_NOMEM, "out of memory");
	rv = gnutls_pubkey_import(k->pub, &in, GNUTLS_X509_FMT_PEM);
	if (rv) {
		rv = err_set(e, ERR_PARSE, "not a public key in PEM (BEGIN PUBLIC KEY): %s",
			     gnutls_strerror(rv));
		goto out;
	}
	if (gnutls_pubkey_get_pk_algorithm(k->pub, &bits) != GNUTLS_PK_RSA || bits != TOKEN_KEY_BITS) {
		rv = err_set(e, ERR_LIMIT, "a token key is an RSA key of %d bits", TOKEN_KEY_BITS);
		goto out;
	}
	if (gnutls_pubkey_export2(k->pub, GNUTLS_X509_FMT_DER, &k->der) ||
	    gnutls_pubkey_export2(k->pub, GNUTLS_X509_FMT_PEM, &pem)) {
		rv = err_set(e, ERR_NOMEM, "cannot write a public key");
		goto out;
	}
	k->pem_len = pem.size;
	k->pem = strndup((char *)pem.data, pem.size);
	if (!k->pem)
		rv = err_set(e, ERR_NOMEM, "out of memory");
	hash_sha256(k->der.data, k->der.size, digest);
	hash_hex(digest, KID_BYTES, k->kid);
out:
	gnutls_free(pem.data);
	if (rv)
		token_key_fini(k);
	return rv;
}

void token_key_fini(struct token_key *k)
{
	if (k->pub)
		gnutls_pubkey_deinit(k->pub);
	gnutls_free(k->der.data);
	free(k->pem);
	memset(k, 0, sizeof(*k));
}

struct token_keys *token_keys_new(void)
{
	return calloc(1, sizeof(struct token_keys));
}

void token_keys_free(struct token_keys *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < k->n; i++)
		token_key_fini(&k->key[i]);
	free(k);
}

static const struct token_key *find_key(const struct token_keys *k, const char *kid)
{
	for (unsigned i = 0; i < k->n; i++)
		if (strcmp(k->key[i].kid, kid) == 0)
			return &k->key[i];
	return NULL;
}

int token_keys_add(struct token_keys *k, const char *spki_pem, struct err *e)
{
	int rv;

	if (k->n == TOKEN_KEYS)
		return err_set(e, ERR_LIMIT, "more than %d token keys", TOKEN_KEYS);
	rv = token_key_init(&k->key[k->n], spki_pem, e);
	if (rv)
		return rv;
	if (find_key(k, k->key[k->n].kid)) {
		token_key_fini(&k->key[k->n]);
		return err_set(e, ERR_EXISTS, "the same token key twice");
	}
	k->n++;
	return 0;
}

void token_keys_remove(struct token_keys *k, const char *kid)
{
	for (unsigned i = 0; i < k->n; i++) {
		if (strcmp(k->key[i].kid, kid) != 0)
			continue;
		token_key_fini(&k->key[i]);
		memmove(&k->key[i], &k->key[i + 1], (k->n - i - 1) * sizeof(k->key[0]));
		memset(&k->key[--k->n], 0, sizeof(k->key[0]));
		return;
	}
}

unsigned token_keys_count(const struct token_keys *k)
{
	return k->n;
}

const char *token_keys_kid(const struct token_keys *k, unsigned i)
{
	return i < k->n ? k->key[i].kid : NULL;
}

bool token_keys_has_pem(const struct token_keys *k, const char *spki_pem)
{
	struct token_key other;
	bool has = false;

	if (token_key_init(&other, spki_pem, NULL))
		return false;
	for (unsigned i = 0; i < k->n && !has; i++)
		has = k->key[i].der.size == other.der.size &&
		      memcmp(k->key[i].der.data, other.der.data, other.der.size) == 0;
	token_key_fini(&other);
	return has;
}

void token_keys_allow_no_kid(struct token_keys *k, bool allow)
{
	k->allow_no_kid = allow;
}

int token_kid(const char *spki_pem, char out[KID_MAX + 1], struct err *e)
{
	struct token_key k;
	int rv = token_key_init(&k, spki_pem, e);

	if (rv)
		return rv;
	memcpy(out, k.kid, sizeof(k.kid));
	token_key_fini(&k);
	return 0;
}

/* ---- form: everything before a library sees the token ---- */

/* One part: canonical base64url of one JSON object. */
static int read_part(const char *part, size_t len, const char *what, json_t **out, struct err *e)
{
	struct err why = {0};
	uint8_t *text;
	int n, rv = 0;

	text = malloc(len + 1);
	if (!text)
		return err_set(e, ERR_NOMEM, "out of memory");
	n = hash_b64url_decode(part, len, text, len);
	if (n < 0) {
		rv = err_set(e, ERR_AUTH, "%s: not canonical base64url", what);
		goto out;
	}
	*out = strictjson_load((char *)text, (size_t)n, TOKEN_JSON_DEPTH, &why);
	if (!*out)
		rv = err_set(e, why.code == ERR_NOMEM ? ERR_NOMEM : ERR_AUTH, "%s: %s", what, why.text);
	else if (!json_is_object(*out))
		rv = err_set(e, ERR_AUTH, "%s: not an object", what);
out:
	free(text);
	return rv;
}

static int check_header(const struct token_keys *k, const char *typ, bool typ_needed, struct token_form *f,
			struct err *e)
{
	json_t *alg = json_object_get(f->header, "alg"), *given = json_object_get(f->header, "typ"),
	       *kid = json_object_get(f->header, "kid");

	if (!json_is_string(alg) || strcmp(json_string_value(alg), "RS256") != 0)
		return err_set(e, ERR_AUTH, "header: alg is not RS256");
	if (given ? !json_is_string(given) || strcmp(json_string_value(given), typ) != 0 : typ_needed)
		return err_set(e, ERR_AUTH, "header: typ is not %s", typ);
	/* RFC 7515 §4.1.11: whoever does not implement what crit names must refuse */
	if (json_object_get(f->header, "crit"))
		return err_set(e, ERR_AUTH, "header: crit");
	if (!k->n)
		return err_set(e, ERR_AUTH, "no key to verify with");
	if (!kid && k->allow_no_kid)
		return 0;
	f->key = json_is_string(kid) ? find_key(k, json_string_value(kid)) : NULL;
	return f->key ? 0 : err_set(e, ERR_AUTH, "header: %s kid", kid ? "unknown" : "no");
}

int token_form_read(const struct token_keys *k, const char *text, size_t len, size_t len_max, const char *typ,
		    bool typ_needed, struct token_form *out, struct err *e)
{
	const char *dot1, *dot2;
	int rv;

	memset(out, 0, sizeof(*out));
	if (len > len_max || len > TOKEN_HARD_MAX)
		return err_set(e, ERR_LIMIT, "too long");
	dot1 = memchr(text, '.', len);
	dot2 = dot1 ? memchr(dot1 + 1, '.', len - (size_t)(dot1 + 1 - text)) : NULL;
	if (!dot2)
		return err_set(e, ERR_AUTH, "not three parts");
	/* a third dot is no base64url either */
	if (len - (size_t)(dot2 + 1 - text) != TOKEN_SIG_LEN)
		return err_set(e, ERR_AUTH, "signature: not %d characters", TOKEN_SIG_LEN);
	if (hash_b64url_decode(dot2 + 1, TOKEN_SIG_LEN, out->sig, sizeof(out->sig)) != TOKEN_SIG_BYTES)
		return err_set(e, ERR_AUTH, "signature: not canonical base64url");
	out->text = text;
	out->signed_len = (size_t)(dot2 - text);
	rv = read_part(text, (size_t)(dot1 - text), "header", &out->header, e);
	if (!rv)
		rv = check_header(k, typ, typ_needed, out, e);
	if (!rv)
		rv = read_part(dot1 + 1, (size_t)(dot2 - dot1 - 1), "claims", &out->claims, e);
	if (rv)
		token_form_fini(out);
	return rv;
}

void token_form_fini(struct token_form *f)
{
	json_decref(f->header);
	json_decref(f->claims);
	f->header = f->claims = NULL;
}

/* ---- claims ---- */

/* An optional text; a wrong type or length is refused. */
static int claim_text(json_t *claims, const char *name, char *out, size_t size, struct err *e)
{
	return strictjson_text(claims, name, out, size) < 0
		       ? err_set(e, ERR_AUTH, "claim %s: wrong type", name)
		       : 0;
}

static int claim_uuid(json_t *claims, const char *name, char out[UUID_LEN + 1], struct err *e)
{
	if (claim_text(claims, name, out, UUID_LEN + 1, e))
		return ERR_AUTH;
	return json_object_get(claims, name) && !uuid_valid(out)
		       ? err_set(e, ERR_AUTH, "claim %s: not a uuid", name)
		       : 0;
}

static int claim_hex(json_t *claims, const char *name, char out[JTI_LEN + 1], struct err *e)
{
	if (claim_text(claims, name, out, JTI_LEN + 1, e))
		return ERR_AUTH;
	return json_object_get(claims, name) && strspn(out, "0123456789abcdef") != JTI_LEN
		       ? err_set(e, ERR_AUTH, "claim %s: not %d hex digits", name, JTI_LEN)
		       : 0;
}

/* RFC 7519 §2, NumericDate; a real, a text or a negative number is refused. */
static int claim_date(json_t *claims, const char *name, bool *has, int64_t *out, struct err *e)
{
	json_t *value = json_object_get(claims, name);

	*has = value != NULL;
	if (!value)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > UNIX_S_MAX)
		return err_set(e, ERR_AUTH, "claim %s: not whole Unix seconds", name);
	*out = json_integer_value(value);
	return 0;
}

static int read_claims(json_t *claims, struct token_claims *out, struct err *e)
{
	json_t *data = json_object_get(claims, "data"), *use = json_object_get(claims, "use");

	if (claim_uuid(claims, "sub", out->sub, e) || claim_hex(claims, "jti", out->jti, e) ||
	    claim_hex(claims, "fam", out->fam, e) ||
	    claim_text(claims, "iss", out->iss, sizeof(out->iss), e) ||
	    claim_text(claims, "aud", out->aud, sizeof(out->aud), e) ||
	    claim_date(claims, "exp", &out->has_exp, &out->exp, e) ||
	    claim_date(claims, "iat", &out->has_iat, &out->iat, e) ||
	    claim_date(claims, "nbf", &out->has_nbf, &out->nbf, e))
		return ERR_AUTH;
	if (use) {
		const char *name = json_is_string(use) ? json_string_value(use) : "";

		out->use = strcmp(name, "access") == 0	  ? TOKEN_ACCESS
			   : strcmp(name, "refresh") == 0 ? TOKEN_REFRESH
							  : TOKEN_NONE_USE;
		if (out->use == TOKEN_NONE_USE)
			return err_set(e, ERR_AUTH, "claim use: neither access nor refresh");
	}
	if (!data)
		return 0;
	if (!json_is_object(data))
		return err_set(e, ERR_AUTH, "claim data: not an object");
	if (claim_uuid(data, "uuid", out->data_uuid, e) ||
	    claim_text(data, "deviceType", out->data_device_type, sizeof(out->data_device_type), e) ||
	    claim_text(data, "serialId", out->data_serial_id, sizeof(out->data_serial_id), e))
		return ERR_AUTH;
	return 0;
}

/* ---- signature ---- */

/* libjwt's judgement under one key. `token` is NUL-terminated. */
static bool signed_by(const struct token_key *key, const char *token)
{
	jwt_t *jwt = NULL;
	bool good;

	/* with a NULL or empty key libjwt takes any token */
	if (!key->pem || !key->pem_len)
		return false;
	good = jwt_decode(&jwt, token, (const unsigned char *)key->pem, (int)key->pem_len) == 0 &&
	       jwt_get_alg(jwt) == JWT_ALG_RS256;
	jwt_free(jwt);
	return good;
}

int token_verify(struct token_keys *k, const char *token, size_t len, size_t len_max,
		 struct token_claims *out, struct err *e)
{
	const struct token_key *by = NULL;
	struct token_form form;
	char *copy;
	int rv;

	memset(out, 0, sizeof(*out));
	rv = token_form_read(k, token, len, len_max, TOKEN_TYP, false, &form, e);
	if (rv)
		return rv;
	copy = strndup(token, len); /* it holds no NUL: base64url throughout */
	if (!copy) {
		rv = err_set(e, ERR_NOMEM, "out of memory");
		goto out;
	}
	if (form.key)
		by = signed_by(form.key, copy) ? form.key : NULL;
	else
		for (unsigned i = 0; i < k->n && !by; i++)
			by = signed_by(&k->key[i], copy) ? &k->key[i] : NULL;
	if (!by) {
		rv = err_set(e, ERR_AUTH, "signature: wrong");
		goto out;
	}
	rv = read_claims(form.claims, out, e);
	memcpy(out->kid, by->kid, sizeof(out->kid));
out:
	if (rv)
		memset(out, 0, sizeof(*out));
	free(copy);
	token_form_fini(&form);
	return rv;
}

int token_judge(const struct token_claims *c, enum token_use use, int64_t unix_ms, struct err *e)
{
	const char *aud = use == TOKEN_ACCESS ? TOKEN_AUD_ACCESS : TOKEN_AUD_REFRESH;

	if (strcmp(c->iss, TOKEN_ISS) != 0)
		return err_set(e, ERR_AUTH, "claim iss: not ours");
	if (use == TOKEN_NONE_USE || c->use != use)
		return err_set(e, ERR_AUTH, "claim use: another kind of token");
	if (strcmp(c->aud, aud) != 0)
		return err_set(e, ERR_AUTH, "claim aud: for somebody else");
	if (!c->sub[0] || !c->jti[0] || !c->fam[0] || !c->has_exp || !c->has_iat || !c->has_nbf)
		return err_set(e, ERR_AUTH, "a claim is missing");
	if (c->nbf * 1000 > unix_ms + LEEWAY_MS)
		return err_set(e, ERR_AUTH, "claim nbf: not yet valid");
	if (c->iat * 1000 > unix_ms + LEEWAY_MS)
		return err_set(e, ERR_AUTH, "claim iat: issued in the future");
	if (unix_ms >= c->exp * 1000)
		return err_set(e, ERR_EXPIRED, "expired");
	return 0;
}
