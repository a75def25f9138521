#include "core/token.h"

#include <inttypes.h>
#include <string.h>

#include "core/buf.h"
#include "core/msg.h"
#include "core/token_internal.h"

#define CLAIMS_MAX 1024

int reply_sign(struct token_signer *s, const char *kid, const struct reply_claims *c, char **signature,
	       struct err *e)
{
	char payload[65], command[65];
	struct buf claims;
	int rv;

	*signature = NULL;
	msg_digest(c->payload, payload);
	msg_digest(c->command, command);
	if (!payload[0] || !command[0])
		return err_set(e, ERR_NOMEM, "out of memory");
	buf_init(&claims, CLAIMS_MAX);
	buf_puts(&claims, "{\"nonce\":");
	buf_json_str(&claims, c->nonce);
	buf_printf(&claims, ",\"code\":%d,\"resource\":", c->code);
	buf_json_str(&claims, c->resource);
	buf_printf(&claims, ",\"payload\":\"%s\",\"command\":\"%s\",\"retryAfter\":", payload, command);
	rv = c->retry_after_s < 0 ? buf_puts(&claims, "null}")
				  : buf_printf(&claims, "%" PRId64 "}", c->retry_after_s);
	if (rv)
		err_set(e, rv, "reply's claims: %s", err_text(rv));
	else
		rv = token_sign_raw(s, kid, REPLY_TYP, claims.data, claims.len, signature, e);
	buf_fini(&claims);
	return rv;
}

/* libjwt refuses every typ but JWT, so GnuTLS itself judges a reply's signature. */
static bool signed_by(const struct token_key *key, const struct token_form *f)
{
	gnutls_datum_t data = {(unsigned char *)(uintptr_t)f->text, (unsigned)f->signed_len};
	gnutls_datum_t sig = {(unsigned char *)(uintptr_t)f->sig, TOKEN_SIG_BYTES};

	return gnutls_pubkey_verify_data2(key->pub, GNUTLS_SIGN_RSA_SHA256, 0, &data, &sig) >= 0;
}

static bool text_is(json_t *claims, const char *name, const char *want)
{
	json_t *value = json_object_get(claims, name);

	return json_is_string(value) && strcmp(json_string_value(value), want) == 0;
}

static bool digest_is(json_t *claims, const char *name, json_t *of)
{
	char digest[65];

	msg_digest(of, digest);
	return digest[0] && text_is(claims, name, digest);
}

static int check_claims(json_t *claims, const struct reply_claims *c, struct err *e)
{
	json_t *code = json_object_get(claims, "code"), *retry = json_object_get(claims, "retryAfter");

	if (!c->nonce || !c->nonce[0] || !text_is(claims, "nonce", c->nonce))
		return err_set(e, ERR_AUTH, "claim nonce: of another request");
	if (!json_is_integer(code) || json_integer_value(code) != c->code)
		return err_set(e, ERR_AUTH, "claim code: differs");
	if (!text_is(claims, "resource", c->resource))
		return err_set(e, ERR_AUTH, "claim resource: differs");
	if (!digest_is(claims, "payload", c->payload))
		return err_set(e, ERR_AUTH, "claim payload: differs");
	if (!digest_is(claims, "command", c->command))
		return err_set(e, ERR_AUTH, "claim command: differs");
	if (c->retry_after_s < 0 ? retry && !json_is_null(retry)
				 : !json_is_integer(retry) || json_integer_value(retry) != c->retry_after_s)
		return err_set(e, ERR_AUTH, "claim retryAfter: differs");
	return 0;
}

int reply_verify(struct token_keys *k, const char *signature, const struct reply_claims *c, struct err *e)
{
	struct token_form form;
	bool good = false;
	int rv;

	if (!signature)
		return err_set(e, ERR_AUTH, "no signature");
	rv = token_form_read(k, signature, strlen(signature), TOKEN_TEXT_MAX, REPLY_TYP, true, &form, e);
	if (rv)
		return rv == ERR_NOMEM ? rv : ERR_AUTH;
	if (form.key)
		good = signed_by(form.key, &form);
	else
		for (unsigned i = 0; i < k->n && !good; i++)
			good = signed_by(&k->key[i], &form);
	rv = good ? check_claims(form.claims, c, e) : err_set(e, ERR_AUTH, "signature: wrong");
	token_form_fini(&form);
	return rv;
}
