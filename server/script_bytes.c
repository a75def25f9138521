#include "server/script_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define GARBAGE_LEN 64
#define SPOILT_AT   40 /* characters before a JWS's end: well inside of its signature */
#define OLDER_S	    60

/* ---- tokens ---- */

static char other_char(char c)
{
	return c == 'A' ? 'B' : 'A';
}

/* The kid that a compact JWS's header names, a new reference; NULL where there is none. */
static json_t *header_of(const char *token)
{
	uint8_t text[512];
	size_t len = strcspn(token, ".");
	int n = hash_b64url_decode(token, len, text, sizeof(text));

	return n < 0 ? NULL : json_loadb((const char *)text, (size_t)n, 0, NULL);
}

/* What one of our own tokens claims. */
static int claims_of(const char *token, struct token_signer *signer, struct token_claims *c, struct err *e)
{
	json_t *header = header_of(token);
	const char *kid = json_string_value(json_object_get(header, "kid"));
	const char *pem = kid ? token_signer_public(signer, kid) : NULL;
	struct token_keys *keys = token_keys_new();
	int rv;

	if (!keys || !pem)
		rv = err_set(e, keys ? ERR_NOTFOUND : ERR_NOMEM, "script: a token that is not ours");
	else
		rv = token_keys_add(keys, pem, e);
	if (!rv)
		rv = token_verify(keys, token, strlen(token), TOKEN_TEXT_MAX, c, e);
	token_keys_free(keys);
	json_decref(header);
	return rv;
}

/* The same token with claims that no server of good faith would sign. */
static char *signed_anew(const char *token, const char *how, struct token_signer *signer, struct err *e)
{
	struct token_claims c;
	char *out = NULL;

	if (claims_of(token, signer, &c, e) || !c.sub[0])
		return NULL;
	if (strcmp(how, "other_device") == 0) {
		char *last = &c.sub[strlen(c.sub) - 1];

		*last = *last == '0' ? '1' : '0';
		memcpy(c.data_uuid, c.sub, sizeof(c.data_uuid));
	} else {
		c.exp = c.iat - OLDER_S;
	}
	token_sign(signer, &c, &out, e);
	return out;
}

static char *bent_token(const char *token, const char *how, struct token_signer *signer, struct err *e)
{
	size_t len = strlen(token);
	char *out;

	if (strcmp(how, "other_device") == 0 || strcmp(how, "exp_before_iat") == 0)
		return signed_anew(token, how, signer, e);
	out = strdup(token);
	if (!out)
		err_set(e, ERR_NOMEM, "out of memory");
	else if (strcmp(how, "bad_signature") == 0 && len > SPOILT_AT)
		out[len - SPOILT_AT] = other_char(out[len - SPOILT_AT]);
	else if (strcmp(how, "not_signed") == 0)
		strrchr(out, '.')[1] = '\0';
	return out;
}

static int bend_tokens(json_t *payload, const char *how, struct token_signer *signer, struct err *e)
{
	json_t *tokens = json_object_get(payload, "tokens");
	const char *access = json_string_value(json_object_get(tokens, "accessToken"));
	const char *refresh = json_string_value(json_object_get(tokens, "refreshToken"));
	bool swapped = strcmp(how, "swapped") == 0;
	char *a, *r;
	int rv = 0;

	if (!access || !refresh)
		return 0; /* a refusal: there is nothing to bend */
	if (strcmp(how, "missing") == 0)
		return json_object_del(payload, "tokens") ? ERR_NOMEM : 0;
	a = bent_token(swapped ? refresh : access, how, signer, e);
	r = bent_token(swapped ? access : refresh, how, signer, e);
	if (!a || !r)
		rv = ERR_NOMEM;
	else if (json_object_set_new(tokens, "accessToken", json_string(a)) ||
		 json_object_set_new(tokens, "refreshToken", json_string(r)))
		rv = err_set(e, ERR_NOMEM, "out of memory");
	free(a);
	free(r);
	return rv;
}

/* ---- payload ---- */

/* A key that nobody pinned: the reply's own with one character changed. */
static int other_key(json_t *payload)
{
	char *pem = strdup(json_string_value(json_object_get(payload, "serverPublicKey")));
	int rv = ERR_NOMEM;

	if (pem) {
		size_t at = strlen(pem) / 2;

		at += pem[at] == '\n';
		pem[at] = other_char(pem[at]);
		rv = json_object_set_new(payload, "serverPublicKey", json_string(pem)) ? ERR_NOMEM : 0;
	}
	free(pem);
	return rv;
}

json_t *script_payload(const struct reply *r, struct token_signer *signer, struct err *e)
{
	const char *how = json_string_value(json_object_get(r->script, "payload"));
	const char *tokens = json_string_value(json_object_get(r->script, "tokens"));
	json_t *out = json_deep_copy(r->payload);
	int rv = 0;

	if (how && strcmp(how, "none") == 0)
		json_object_clear(out);
	else if (how && strcmp(how, "other_method") == 0)
		rv = json_object_set_new(out, "twoAuthMethod", json_string("EMAIL"));
	else if (how && json_object_get(out, "serverPublicKey"))
		rv = other_key(out);
	if (!rv && tokens)
		rv = bend_tokens(out, tokens, signer, e);
	if (!rv && out)
		return out;
	err_set(e, ERR_NOMEM, "out of memory");
	json_decref(out);
	return NULL;
}

/* ---- bytes ---- */

void script_spoil_signature(struct buf *out)
{
	char *at = out->data ? strstr(out->data, "\"signature\":\"") : NULL;
	char *end = at ? strchr(at + strlen("\"signature\":\""), '"') : NULL;

	if (end && end - at > SPOILT_AT)
		end[-SPOILT_AT] = other_char(end[-SPOILT_AT]);
}

static int replace(struct buf *out, const void *data, size_t len)
{
	buf_reset(out);
	return buf_add(out, data, len);
}

/* Never UTF-8, whatever comes before or behind. */
static int garbage(struct buf *out)
{
	uint8_t junk[GARBAGE_LEN];

	for (size_t i = 0; i < sizeof(junk); i++)
		junk[i] = (uint8_t)(0xff - i % 3);
	return replace(out, junk, sizeof(junk));
}

static int twice(struct buf *out)
{
	char *copy = malloc(out->len);
	size_t len = out->len;
	int rv = ERR_NOMEM;

	if (copy) {
		memcpy(copy, out->data, len);
		rv = buf_add(out, copy, len);
	}
	free(copy);
	return rv;
}

/* Longer than a device takes, and whole JSON all the same. */
static int pad(json_t *whole)
{
	char *spaces = malloc(MSG_REPLY_MAX);
	int rv = ERR_NOMEM;

	if (spaces) {
		memset(spaces, ' ', MSG_REPLY_MAX);
		rv = json_object_set_new(whole, "padding", json_stringn(spaces, MSG_REPLY_MAX)) ? ERR_NOMEM : 0;
	}
	free(spaces);
	return rv;
}

/* What takes an object to pieces: the code gone, as a text, or a member too much. */
static int members(const char *word, struct buf *out)
{
	json_t *whole = json_loadb(out->data ? out->data : "", out->len, 0, NULL);
	char code[16] = "", *text = NULL;
	int rv = whole ? 0 : ERR_PARSE;

	if (!rv && strcmp(word, "huge") == 0) {
		rv = pad(whole);
	} else if (!rv && strcmp(word, "code_text") == 0) {
		snprintf(code, sizeof(code), "%d", (int)json_integer_value(json_object_get(whole, "code")));
		rv = json_object_set_new(whole, "code", json_string(code)) ? ERR_NOMEM : 0;
	} else if (!rv) {
		json_object_del(whole, "code");
	}
	text = rv ? NULL : json_dumps(whole, JSON_COMPACT);
	if (!rv)
		rv = text ? replace(out, text, strlen(text)) : ERR_NOMEM;
	free(text);
	json_decref(whole);
	return rv;
}

int script_body(const char *word, struct buf *out)
{
	if (!word)
		return 0;
	if (strcmp(word, "empty") == 0)
		return replace(out, "", 0);
	if (strcmp(word, "garbage") == 0)
		return garbage(out);
	if (strcmp(word, "truncated") == 0) {
		out->len /= 2;
		return 0;
	}
	if (strcmp(word, "twice") == 0)
		return twice(out);
	return members(word, out);
}
