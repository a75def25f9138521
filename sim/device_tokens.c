/* What a device believes: signed replies, tokens, register's 200, and the TOTP it shows.
 * Nothing here is judged by the device's own clock, which may stand at 1970. */
#include "core/hash.h"
#include "core/plant.h"
#include "sim/device_priv.h"

#include <liboath/oath.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MIN_S 1.0
#define INTERVAL_MAX_S 86400.0
#define TOTP_STEP_S    30 /* RFC 6238 §4.1 */
#define TOTP_DIGITS    6

struct token_keys *device_keys(const struct device *dev)
{
	if (dev->own_keys)
		return dev->own_keys;
	return dev->accept_unsigned ? dev->sh->keys_no_kid : dev->sh->keys;
}

static const char *verify_one(const struct device *dev, const char *token, enum token_use use,
			      struct token_claims *c)
{
	const char *owner;

	if (token_verify(device_keys(dev), token, strlen(token), TOKEN_TEXT_MAX, c, NULL) &&
	    !PLANTED(TOKENS_UNVERIFIED))
		return "token_signature";
	owner = c->sub[0] ? c->sub : c->data_uuid;
	if (strcmp(owner, dev->id.uuid) != 0 && !PLANTED(TOKENS_OF_ANYBODY) && !PLANTED(TOKENS_UNVERIFIED))
		return "token_owner";
	if (c->use != TOKEN_NONE_USE && c->use != use && !PLANTED(TOKEN_KIND_IGNORED))
		return "token_kind";
	if (c->has_exp && c->has_iat && c->exp <= c->iat && !PLANTED(TOKEN_DATES_IGNORED))
		return "token_dates";
	return NULL;
}

const char *device_judge_tokens(const struct device *dev, json_t *payload, struct device_pair *out)
{
	json_t *tokens = json_object_get(payload, "tokens");
	struct token_claims access, refresh;
	const char *why;

	out->access = json_string_value(json_object_get(tokens, "accessToken"));
	out->refresh = json_string_value(json_object_get(tokens, "refreshToken"));
	if (!out->access || !out->refresh)
		return "tokens_missing";
	why = verify_one(dev, out->access, TOKEN_ACCESS, &access);
	if (!why)
		why = verify_one(dev, out->refresh, TOKEN_REFRESH, &refresh);
	if (why)
		return why;
	/* the refresh token is the one that a bootstrap stands or falls with */
	snprintf(out->jti, sizeof(out->jti), "%s", refresh.jti);
	snprintf(out->fam, sizeof(out->fam), "%s", refresh.fam);
	return NULL;
}

bool device_needs_signature(enum msg_resource asked, const struct msg_response *r)
{
	if (r->code == MSG_NO_CODE)
		return false;
	if (r->command || r->code == 700)
		return true;
	switch (asked) {
	case MSG_REGISTER:
	case MSG_LOGIN:
		return r->code == 401 || r->code == 403 || r->code == 412;
	case MSG_REFRESH:
		return r->code != 200 && r->code != 429 && r->code != 503;
	default:
		return false;
	}
}

/* The nonce that a signature itself names; for the planted bug that asks no more of it. */
static void own_nonce(const char *signature, char nonce[NONCE_LEN + 1])
{
	const char *claims = signature ? strchr(signature, '.') : NULL;
	uint8_t text[1024];
	int n = claims ? hash_b64url_decode(claims + 1, strcspn(claims + 1, "."), text, sizeof(text)) : -1;
	json_t *j = n < 0 ? NULL : json_loadb((const char *)text, (size_t)n, 0, NULL);
	const char *named = json_string_value(json_object_get(j, "nonce"));

	snprintf(nonce, NONCE_LEN + 1, "%s", named ? named : "");
	json_decref(j);
}

bool device_signature_good(const struct device *dev, const struct msg_response *r)
{
	char nonce[NONCE_LEN + 1];
	struct reply_claims c = {.nonce = dev->nonce,
				 .resource = msg_resource_name(dev->resource),
				 .code = r->code,
				 .payload = r->payload,
				 .command = r->command,
				 .retry_after_s = r->retry_after_s};

	if (PLANTED(REPLAY_BELIEVED)) {
		own_nonce(r->signature, nonce);
		c.nonce = nonce;
	}
	return r->signature && !reply_verify(device_keys(dev), r->signature, &c, NULL);
}

time_ns device_clamp_interval(double seconds)
{
	seconds = fmin(fmax(seconds, INTERVAL_MIN_S), INTERVAL_MAX_S);
	return (time_ns)llround(seconds * 1000) * NS_PER_MS;
}

static bool offers(const struct device *dev, const char *method)
{
	for (unsigned i = 0; i < dev->methods_n; i++)
		if (strcmp(dev->methods[i], method) == 0 ||
		    (strcmp(method, "TOTP") == 0 && strcmp(dev->methods[i], "TOPT") == 0))
			return true;
	return false;
}

enum device_cause device_judge_register(const struct device *dev, json_t *payload, time_ns *interval,
					const char **why)
{
	const char *key = json_string_value(json_object_get(payload, "serverPublicKey"));
	const char *method = json_string_value(json_object_get(payload, "twoAuthMethod"));
	json_t *seconds = json_object_get(json_object_get(payload, "deviceConfig"), "publishInterval");

	*why = NULL;
	if (!key || !method || !json_is_number(seconds)) {
		*why = "malformed";
		return CAUSE_200_BAD;
	}
	*interval = device_clamp_interval(json_number_value(seconds));
	if (strcmp(method, "TOPT") == 0)
		method = "TOTP"; /* the seed's spelling */
	if (!dev->accept_unsigned && !PLANTED(PIN_IGNORED) && !token_keys_has_pem(device_keys(dev), key))
		*why = "key_not_pinned";
	else if (!offers(dev, method))
		*why = "method_not_offered";
	else if (strcmp(method, "SMS") == 0)
		return CAUSE_200_SMS;
	else if (strcmp(method, "TOTP") != 0)
		*why = "method_not_offered";
	else if (!dev->id.totp_secret[0])
		*why = "no_totp_secret";
	else
		return CAUSE_200_TOTP;
	return CAUSE_200_BAD;
}

int device_totp(const struct device *dev, int64_t unix_ms, char out[DEVICE_CODE_MAX + 1])
{
	char *secret = NULL, code[TOTP_DIGITS + 1];
	size_t len = 0;
	int rv = ERR_INVALID;

	if (oath_base32_decode(dev->id.totp_secret, strlen(dev->id.totp_secret), &secret, &len) != OATH_OK)
		return ERR_INVALID;
	if (oath_totp_generate(secret, len, unix_ms > 0 ? unix_ms / 1000 : 0, TOTP_STEP_S, 0, TOTP_DIGITS, code) ==
	    OATH_OK) {
		snprintf(out, DEVICE_CODE_MAX + 1, "%s", code);
		rv = 0;
	}
	explicit_bzero(secret, len);
	explicit_bzero(code, sizeof(code));
	free(secret);
	return rv;
}
