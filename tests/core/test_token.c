/* Tokens and signed replies: what one library signs the other accepts, and every
 * trap of protocol.md §4, Verification, is refused before a library can fall in. */
#include "core/token.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/hash.h"
#include "core/msg.h"
#include "core/pki.h"

#define UUID_A  "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define UUID_B  "f09bdb70-5843-11e9-a9ba-139bd26c8b4b"
#define JTI     "00112233445566778899aabbccddeeff"
#define FAM     "ffeeddccbbaa99887766554433221100"
#define NONCE   "0123456789abcdef0123456789abcdef"
#define NOW     INT64_C(1750000000)
#define NOW_MS  (NOW * 1000)
#define MAX_LEN 4096

static char *priv[2], *pub[2], kid[2][KID_MAX + 1];
static struct token_signer *signer; /* both keys, 0 older */
static struct token_keys *keys;	    /* key 0 only */

static void setup(void)
{
	struct err e = {0};

	signer = token_signer_new();
	keys = token_keys_new();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pki_token_key(&priv[i], &pub[i], &e), 0);
		ck_assert_msg(token_signer_add(signer, priv[i], kid[i], &e) == 0, "%s", e.text);
	}
	ck_assert_int_eq(token_keys_add(keys, pub[0], &e), 0);
}

static void teardown(void)
{
	token_signer_free(signer);
	token_keys_free(keys);
	for (int i = 0; i < 2; i++) {
		free(priv[i]);
		free(pub[i]);
	}
}

static struct token_claims good(void)
{
	struct token_claims c = {.sub = UUID_A,
				 .jti = JTI,
				 .fam = FAM,
				 .use = TOKEN_ACCESS,
				 .iss = "quicrig",
				 .aud = "quicrig/access",
				 .has_exp = true,
				 .has_iat = true,
				 .has_nbf = true,
				 .exp = NOW + 900,
				 .iat = NOW,
				 .nbf = NOW,
				 .data_uuid = UUID_A,
				 .data_device_type = "thermometer",
				 .data_serial_id = "0000000001"};

	memcpy(c.kid, kid[0], sizeof(c.kid));
	return c;
}

static char *good_token(void)
{
	struct token_claims c = good();
	struct err e = {0};
	char *token;

	ck_assert_msg(token_sign(signer, &c, &token, &e) == 0, "%s", e.text);
	return token;
}

/* header.claims signed by key `which` with `algo`, whatever they say; caller frees. */
static char *forge_with(int which, gnutls_sign_algorithm_t algo, const char *header, const char *claims)
{
	gnutls_datum_t pem = {(unsigned char *)priv[which], (unsigned)strlen(priv[which])}, data, sig = {NULL, 0};
	size_t max = 4 * (strlen(header) + strlen(claims)) + 1024, n;
	char *out = malloc(max);
	gnutls_privkey_t key;

	n = hash_b64url_encode(header, strlen(header), out);
	out[n++] = '.';
	n += hash_b64url_encode(claims, strlen(claims), out + n);
	data.data = (unsigned char *)out;
	data.size = (unsigned)n;
	ck_assert_int_eq(gnutls_privkey_init(&key), 0);
	ck_assert_int_eq(gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0), 0);
	ck_assert_int_eq(gnutls_privkey_sign_data2(key, algo, 0, &data, &sig), 0);
	out[n++] = '.';
	hash_b64url_encode(sig.data, sig.size, out + n);
	gnutls_free(sig.data);
	gnutls_privkey_deinit(key);
	return out;
}

static char *forge(const char *header, const char *claims)
{
	return forge_with(0, GNUTLS_SIGN_RSA_SHA256, header, claims);
}

static const char *header_with(const char *more)
{
	static char text[512];

	snprintf(text, sizeof(text), "{\"alg\":\"RS256\",\"kid\":\"%s\"%s}", kid[0], more);
	return text;
}

static const char *claims_with(const char *more)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "{\"iss\":\"quicrig\",\"aud\":\"quicrig/access\",\"sub\":\"" UUID_A "\",\"jti\":\"" JTI
		 "\",\"fam\":\"" FAM "\",\"use\":\"access\",\"iat\":1750000000,\"nbf\":1750000000,\"exp\":1750000900%s}",
		 more);
	return text;
}

static int verify(const char *token, struct token_claims *out)
{
	struct err e = {0};
	int rv = token_verify(keys, token, strlen(token), MAX_LEN, out, &e);

	ck_assert(rv == 0 || e.text[0]);
	return rv;
}

static int verify_free(char *token)
{
	struct token_claims c;
	int rv = verify(token, &c);

	free(token);
	return rv;
}

/* ---- keys ---- */

START_TEST(kids_and_pinned_keys)
{
	char other[KID_MAX + 1], crlf[2048], *p = crlf;
	struct err e = {0};

	ck_assert_int_eq(token_kid(pub[0], other, &e), 0);
	ck_assert_str_eq(other, kid[0]);
	ck_assert_uint_eq(strlen(other), 16);
	ck_assert_uint_eq(token_keys_count(keys), 1);
	ck_assert_str_eq(token_keys_kid(keys, 0), kid[0]);
	ck_assert_ptr_null(token_keys_kid(keys, 1));
	ck_assert(token_keys_has_pem(keys, pub[0]));
	ck_assert(token_keys_has_pem(keys, token_signer_public(signer, kid[0])));
	ck_assert(!token_keys_has_pem(keys, pub[1]));
	ck_assert(!token_keys_has_pem(keys, "123456"));
	for (const char *s = pub[0]; *s; s++) {
		if (*s == '\n')
			*p++ = '\r';
		*p++ = *s;
	}
	*p = '\0';
	ck_assert(token_keys_has_pem(keys, crlf));
	ck_assert_int_eq(token_keys_add(keys, pub[0], &e), ERR_EXISTS);
	ck_assert_ptr_null(token_signer_public(signer, "nobody"));
}
END_TEST

START_TEST(keys_that_are_none)
{
	struct token_keys *k = token_keys_new();
	struct token_signer *s = token_signer_new();
	gnutls_x509_privkey_t small;
	gnutls_datum_t pem = {NULL, 0};
	struct err e = {0};
	char *text;

	ck_assert_int_eq(token_keys_add(k, "", &e), ERR_PARSE);
	ck_assert_int_eq(token_keys_add(k, priv[0], NULL), ERR_PARSE);
	ck_assert_int_eq(token_signer_add(s, pub[0], NULL, NULL), ERR_PARSE);
	ck_assert_int_eq(token_signer_add(s, "", NULL, NULL), ERR_PARSE);
	ck_assert_int_eq(gnutls_x509_privkey_init(&small), 0);
	ck_assert_int_eq(gnutls_x509_privkey_generate(small, GNUTLS_PK_RSA, 1024, 0), 0);
	ck_assert_int_eq(gnutls_x509_privkey_export2(small, GNUTLS_X509_FMT_PEM, &pem), 0);
	text = strndup((char *)pem.data, pem.size);
	ck_assert_int_eq(token_signer_add(s, text, NULL, NULL), ERR_LIMIT);
	ck_assert_ptr_null(token_signer_pick(s, NULL, 0));
	free(text);
	gnutls_free(pem.data);
	gnutls_x509_privkey_deinit(small);
	token_keys_free(k);
	token_signer_free(s);
}
END_TEST

START_TEST(the_newest_key_that_both_have)
{
	char kids[3][KID_MAX + 1] = {"unknown"};

	ck_assert_str_eq(token_signer_pick(signer, NULL, 0), kid[0]);
	ck_assert_ptr_null(token_signer_pick(signer, (const char(*)[KID_MAX + 1])kids, 1));
	memcpy(kids[1], kid[0], sizeof(kids[1]));
	ck_assert_str_eq(token_signer_pick(signer, (const char(*)[KID_MAX + 1])kids, 2), kid[0]);
	memcpy(kids[2], kid[1], sizeof(kids[2]));
	ck_assert_str_eq(token_signer_pick(signer, (const char(*)[KID_MAX + 1])kids, 3), kid[1]);
}
END_TEST

/* ---- good tokens ---- */

START_TEST(what_cjose_signs_libjwt_accepts)
{
	struct token_claims c = good(), back;
	struct err e = {0};
	char *token = good_token(), *again = good_token(), *second;

	ck_assert_int_eq(verify(token, &back), 0);
	ck_assert_str_eq(back.sub, c.sub);
	ck_assert_str_eq(back.jti, c.jti);
	ck_assert_str_eq(back.fam, c.fam);
	ck_assert_str_eq(back.iss, c.iss);
	ck_assert_str_eq(back.aud, c.aud);
	ck_assert_str_eq(back.kid, kid[0]);
	ck_assert_str_eq(back.data_uuid, c.data_uuid);
	ck_assert_str_eq(back.data_device_type, c.data_device_type);
	ck_assert_str_eq(back.data_serial_id, c.data_serial_id);
	ck_assert_int_eq(back.use, TOKEN_ACCESS);
	ck_assert_int_eq(back.exp, c.exp);
	ck_assert_int_eq(back.iat, c.iat);
	ck_assert_int_eq(back.nbf, c.nbf);
	/* login's grace needs the very same token again */
	ck_assert_str_eq(token, again);
	memcpy(c.kid, kid[1], sizeof(c.kid));
	ck_assert_int_eq(token_sign(signer, &c, &second, &e), 0);
	ck_assert_str_ne(token, second);
	ck_assert_int_eq(verify(second, &back), ERR_AUTH); /* a key that is not pinned */
	ck_assert_uint_lt(strlen(token), 1024);
	free(token);
	free(again);
	free(second);
}
END_TEST

START_TEST(claims_in_one_order)
{
	static const char *const order[] = {"\"iss\"", "\"aud\"", "\"sub\"", "\"iat\"", "\"nbf\"",
					    "\"exp\"", "\"jti\"", "\"use\"", "\"fam\"", "\"data\""};
	char *token = good_token(), *dot = strchr(token, '.'), *end = strchr(dot + 1, '.'), text[1024];
	const char *at = text;
	int n = hash_b64url_decode(dot + 1, (size_t)(end - dot - 1), (uint8_t *)text, sizeof(text) - 1);

	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		at = strstr(at, order[i]);
		ck_assert_msg(at != NULL, "%s is missing or out of order in %s", order[i], text);
	}
	free(token);
}
END_TEST

START_TEST(an_unknown_kid_signs_nothing)
{
	struct token_claims c = good();
	struct err e = {0};
	char *token;

	strcpy(c.kid, "0000000000000000");
	ck_assert_int_eq(token_sign(signer, &c, &token, &e), ERR_NOTFOUND);
	ck_assert_ptr_null(token);
}
END_TEST

START_TEST(a_forged_twin_of_a_good_token_is_good)
{
	/* proof that the rows below are refused for what they say, not for how they are made */
	ck_assert_int_eq(verify_free(forge(header_with(""), claims_with(""))), 0);
	ck_assert_int_eq(verify_free(forge(header_with(",\"typ\":\"JWT\""), claims_with(""))), 0);
	/* a key's address in the header is nobody's business (RFC 7515 §10.4) */
	ck_assert_int_eq(verify_free(forge(header_with(",\"jku\":\"https://evil/keys\""), claims_with(""))), 0);
	ck_assert_int_eq(verify_free(forge(header_with(""), claims_with(",\"more\":[1,{}]"))), 0);
}
END_TEST

START_TEST(tokens_of_the_seed)
{
	static const char claims[] =
		"{\"data\":{\"uuid\":\"" UUID_A "\",\"deviceType\":\"thermometer\",\"serialId\":\"1\",\"x\":1},\"iat\":1}";
	struct token_claims c;
	char *token = forge("{\"alg\":\"RS256\",\"typ\":\"JWT\"}", claims);

	ck_assert_int_eq(verify(token, &c), ERR_AUTH); /* no kid */
	token_keys_allow_no_kid(keys, true);
	ck_assert_int_eq(verify(token, &c), 0);
	ck_assert_str_eq(c.data_uuid, UUID_A);
	ck_assert_str_eq(c.sub, "");
	ck_assert_str_eq(c.kid, kid[0]);
	ck_assert_int_eq(c.use, TOKEN_NONE_USE);
	ck_assert(!c.has_exp && c.has_iat && !c.has_nbf);
	free(token);
	/* still only by a pinned key */
	token = forge_with(1, GNUTLS_SIGN_RSA_SHA256, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", claims);
	ck_assert_int_eq(verify_free(token), ERR_AUTH);
	token_keys_allow_no_kid(keys, false);
}
END_TEST

/* ---- W1: headers ---- */

START_TEST(bad_headers)
{
	char text[64][512];
	unsigned n = 0;
	static const char *const with_kid[] = {
		"{\"alg\":\"rs256\",\"kid\":\"%s\"}",
		"{\"alg\":\"RS256 \",\"kid\":\"%s\"}",
		"{\"alg\":\"RS384\",\"kid\":\"%s\"}",
		"{\"alg\":\"RS512\",\"kid\":\"%s\"}",
		"{\"alg\":\"PS256\",\"kid\":\"%s\"}",
		"{\"alg\":\"ES256\",\"kid\":\"%s\"}",
		"{\"alg\":\"none\",\"kid\":\"%s\"}",
		"{\"alg\":\"None\",\"kid\":\"%s\"}",
		"{\"alg\":[\"RS256\"],\"kid\":\"%s\"}",
		"{\"alg\":null,\"kid\":\"%s\"}",
		"{\"alg\":256,\"kid\":\"%s\"}",
		"{\"kid\":\"%s\"}",
		"{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"%s\"}",
		"{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"%s\"}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"crit\":[\"exp\"],\"exp\":1}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"crit\":[]}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"quicrig-reply\"}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":\"jwt\"}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"typ\":1}",
		"{\"alg\":\"RS256\",\"kid\":\"../%s\"}",
		"{\"alg\":\"RS256\",\"kid\":[\"%s\"]}",
		"[{\"alg\":\"RS256\",\"kid\":\"%s\"}]",
		"{\"alg\":\"RS256\",\"kid\":\"%s\"} ",
		"{\"alg\":\"RS256\",\"kid\":\"%s\"}{}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"x\":[[[[[[[[1]]]]]]]]}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"x\":\"\\u0000\"}",
		"{\"alg\":\"RS256\",\"kid\":\"%s\",\"x\":\"\xff\"}",
	};

	for (unsigned i = 0; i < sizeof(with_kid) / sizeof(with_kid[0]); i++)
		snprintf(text[n++], sizeof(text[0]), with_kid[i], kid[0]);
	strcpy(text[n++], "{\"alg\":\"RS256\"}");
	strcpy(text[n++], "{\"alg\":\"RS256\",\"kid\":null}");
	strcpy(text[n++], "{\"alg\":\"RS256\",\"kid\":\"\"}");
	strcpy(text[n++], "{}");
	strcpy(text[n++], "");
	strcpy(text[n++], "null");
	for (unsigned i = 0; i < n; i++) {
		int rv = verify_free(forge(text[i], claims_with("")));

		/* blanks behind a document are JSON still */
		ck_assert_msg(rv == (strcmp(text[i] + strlen(text[i]) - (*text[i] != 0), " ") ? ERR_AUTH : 0),
			      "%s: %s", text[i], err_text(rv));
	}
	/* a kid that nobody has, by a key that is pinned */
	ck_assert_int_eq(verify_free(forge("{\"alg\":\"RS256\",\"kid\":\"aaaaaaaaaaaaaaaa\"}", claims_with(""))),
			 ERR_AUTH);
}
END_TEST

START_TEST(alg_none_and_hs256)
{
	uint8_t mac[HASH_SIZE];
	char token[2048];
	size_t n;

	/* none: two parts, an empty third, and a third of the right length */
	n = hash_b64url_encode("{\"alg\":\"none\"}", 14, token);
	token[n++] = '.';
	n += hash_b64url_encode(claims_with(""), strlen(claims_with("")), token + n);
	ck_assert_int_eq(verify_free(strdup(token)), ERR_AUTH);
	token[n++] = '.';
	token[n] = '\0';
	ck_assert_int_eq(verify_free(strdup(token)), ERR_AUTH);
	memset(token + n, 'A', 342);
	token[n + 342] = '\0';
	ck_assert_int_eq(verify_free(strdup(token)), ERR_AUTH);

	/* HS256 with the public PEM as its secret, kid and all */
	n = (size_t)snprintf(token + 1024, 512, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid[0]);
	n = hash_b64url_encode(token + 1024, n, token);
	token[n++] = '.';
	n += hash_b64url_encode(claims_with(""), strlen(claims_with("")), token + n);
	hash_hmac_sha256(pub[0], strlen(pub[0]), token, n, mac);
	token[n++] = '.';
	hash_b64url_encode(mac, sizeof(mac), token + n);
	ck_assert_int_eq(verify_free(strdup(token)), ERR_AUTH);
}
END_TEST

START_TEST(other_signatures_of_the_same_key)
{
	ck_assert_int_eq(verify_free(forge_with(0, GNUTLS_SIGN_RSA_SHA512, header_with(""), claims_with(""))), ERR_AUTH);
	ck_assert_int_eq(verify_free(forge_with(0, GNUTLS_SIGN_RSA_SHA1, header_with(""), claims_with(""))), ERR_AUTH);
	ck_assert_int_eq(verify_free(forge_with(0, GNUTLS_SIGN_RSA_PSS_SHA256, header_with(""), claims_with(""))),
			 ERR_AUTH);
	/* another key under the pinned one's kid */
	ck_assert_int_eq(verify_free(forge_with(1, GNUTLS_SIGN_RSA_SHA256, header_with(""), claims_with(""))), ERR_AUTH);
}
END_TEST

START_TEST(no_key_no_token)
{
	struct token_keys *none = token_keys_new();
	struct token_claims c;
	char *token = good_token();

	ck_assert_int_eq(token_verify(none, token, strlen(token), MAX_LEN, &c, NULL), ERR_AUTH);
	token_keys_allow_no_kid(none, true);
	ck_assert_int_eq(token_verify(none, token, strlen(token), MAX_LEN, &c, NULL), ERR_AUTH);
	token_keys_free(none);
	free(token);
}
END_TEST

/* ---- W5: bytes ---- */

START_TEST(every_flipped_character_is_refused)
{
	char *token = good_token();
	size_t len = strlen(token);
	struct token_claims c;

	for (size_t i = 0; i < len; i++) {
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		ck_assert_msg(token_verify(keys, token, len, MAX_LEN, &c, NULL) == ERR_AUTH, "at %zu", i);
		token[i] = was;
	}
	/* the last character holds four bits that mean nothing: only one spelling is ours */
	for (const char *s = "BCDEFGHIJKLMNOP"; *s; s++) {
		char was = token[len - 1];

		token[len - 1] = (char)(was + (*s - 'A'));
		ck_assert_int_eq(token_verify(keys, token, len, MAX_LEN, &c, NULL), ERR_AUTH);
		token[len - 1] = was;
	}
	ck_assert_int_eq(token_verify(keys, token, len, MAX_LEN, &c, NULL), 0);
	free(token);
}
END_TEST

START_TEST(junk_around_a_good_token)
{
	static const char *const behind[] = {"A", "=", "==", "\n", " ", ".", ".x", "!!!", "\x80"};
	char *token = good_token(), text[2048];
	const char *dot = strrchr(token, '.');
	struct token_claims c;
	size_t len = strlen(token);

	for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++) {
		snprintf(text, sizeof(text), "%s%s", token, behind[i]);
		ck_assert_int_eq(verify_free(strdup(text)), ERR_AUTH);
		snprintf(text, sizeof(text), "%s%s", behind[i], token);
		ck_assert_int_eq(verify_free(strdup(text)), ERR_AUTH);
		/* inside the signature, with and without its length kept */
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(dot + 10 - token), token, behind[i], dot + 10);
		ck_assert_int_eq(verify_free(strdup(text)), ERR_AUTH);
		text[len] = '\0';
		ck_assert_int_eq(verify_free(strdup(text)), ERR_AUTH);
	}
	/* a NUL inside, and the standard alphabet */
	memcpy(text, token, len + 1);
	text[20] = '\0';
	ck_assert_int_eq(token_verify(keys, text, len, MAX_LEN, &c, NULL), ERR_AUTH);
	for (size_t cut = 0; cut < len; cut++)
		ck_assert_int_eq(token_verify(keys, token, cut, MAX_LEN, &c, NULL), ERR_AUTH);
	ck_assert_int_eq(verify_free(strdup("")), ERR_AUTH);
	ck_assert_int_eq(verify_free(strdup("..")), ERR_AUTH);
	free(token);
}
END_TEST

START_TEST(lengths)
{
	static const size_t sizes[] = {4097, 5 << 10, 64 << 10, (64 << 10) + 1, 8 << 20, 16 << 20};
	char *token = good_token();
	struct token_claims c;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *big = malloc(sizes[i] + 1);

		memset(big, 'A', sizes[i]);
		big[sizes[i]] = '\0';
		memcpy(big, token, strlen(token));
		ck_assert_int_eq(token_verify(keys, big, sizes[i], MAX_LEN, &c, NULL), ERR_LIMIT);
		/* even where a setting would let it in, no library gets megabytes */
		ck_assert_int_lt(token_verify(keys, big, sizes[i], SIZE_MAX, &c, NULL), 0);
		free(big);
	}
	ck_assert_int_eq(token_verify(keys, token, strlen(token), strlen(token), &c, NULL), 0);
	ck_assert_int_eq(token_verify(keys, token, strlen(token), strlen(token) - 1, &c, NULL), ERR_LIMIT);
	free(token);
}
END_TEST

START_TEST(deep_claims)
{
	char *claims = malloc(3000), *p = claims;
	struct token_claims c;
	char *token;

	p += sprintf(p, "{\"x\":");
	for (int i = 0; i < 1000; i++)
		*p++ = '[';
	for (int i = 0; i < 1000; i++)
		*p++ = ']';
	strcpy(p, "}");
	token = forge(header_with(""), claims);
	ck_assert_int_eq(token_verify(keys, token, strlen(token), 65536, &c, NULL), ERR_AUTH);
	free(token);
	free(claims);
}
END_TEST

/* ---- W2: claims ---- */

START_TEST(claims_of_the_wrong_type)
{
	static const char *const bad[] = {
		"[]", "null", "\"x\"", "1", "{\"sub\":1}", "{\"sub\":null}", "{\"sub\":\"\"}", "{\"sub\":\"me\"}",
		"{\"sub\":\"EE9F2110-5843-11E9-A9BA-139BD26C8B4B\"}", "{\"sub\":\"" UUID_A "0\"}",
		"{\"jti\":1}", "{\"jti\":\"xyz\"}", "{\"jti\":\"" JTI "0\"}", "{\"jti\":\"\"}",
		"{\"fam\":{}}", "{\"fam\":\"short\"}",
		"{\"iss\":1}", "{\"iss\":[\"quicrig\"]}", "{\"aud\":[\"quicrig/access\"]}", "{\"aud\":true}",
		"{\"use\":\"Access\"}", "{\"use\":\"\"}", "{\"use\":1}", "{\"use\":null}",
		"{\"exp\":\"1750000900\"}", "{\"exp\":1750000900.5}", "{\"exp\":1750000900.0}", "{\"exp\":1e10}",
		"{\"exp\":-1}", "{\"exp\":null}", "{\"exp\":true}", "{\"exp\":9223372036854775807}",
		"{\"exp\":99999999999999999999}", "{\"exp\":1e999}",
		"{\"iat\":\"1\"}", "{\"iat\":-1}", "{\"nbf\":[]}", "{\"nbf\":{}}",
		"{\"data\":1}", "{\"data\":[]}", "{\"data\":null}", "{\"data\":{\"uuid\":1}}",
		"{\"data\":{\"uuid\":\"x\"}}", "{\"data\":{\"deviceType\":1}}", "{\"data\":{\"serialId\":[]}}",
		"{\"data\":{\"deviceType\":\"0123456789012345678901234567890123456789\"}}",
		"{\"sub\":\"" UUID_A "\",\"sub\":\"" UUID_B "\"}", "{\"exp\":1,\"exp\":2}",
		"{\"data\":{\"uuid\":\"" UUID_A "\",\"uuid\":\"" UUID_B "\"}}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(verify_free(forge(header_with(""), bad[i])) == ERR_AUTH, "%s", bad[i]);
	ck_assert_int_eq(verify_free(forge(header_with(""), "{}")), 0);
}
END_TEST

START_TEST(judged_by_our_clock)
{
	struct token_claims c = good();
	static const struct {
		int64_t nbf, iat, exp, now_ms;
		int want;
	} rows[] = {
		{NOW, NOW, NOW + 900, NOW_MS, 0},
		{NOW, NOW, NOW + 900, NOW_MS + 899000, 0},          /* a second before the edge */
		{NOW, NOW, NOW + 900, NOW_MS + 899999, 0},
		{NOW, NOW, NOW + 900, NOW_MS + 900000, ERR_EXPIRED}, /* at it: now ≥ exp */
		{NOW, NOW, NOW + 900, NOW_MS + 901000, ERR_EXPIRED},
		{NOW + 60, NOW, NOW + 900, NOW_MS, 0},
		{NOW + 61, NOW, NOW + 900, NOW_MS, ERR_AUTH},
		{NOW, NOW + 60, NOW + 900, NOW_MS, 0},
		{NOW, NOW + 61, NOW + 900, NOW_MS, ERR_AUTH},
		{NOW, NOW, 0, NOW_MS, ERR_EXPIRED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		c.nbf = rows[i].nbf;
		c.iat = rows[i].iat;
		c.exp = rows[i].exp;
		ck_assert_msg(token_judge(&c, TOKEN_ACCESS, rows[i].now_ms, NULL) == rows[i].want, "row %zu", i);
	}
}
END_TEST

START_TEST(judged_by_its_kind)
{
	struct token_claims c = good(), d;

	ck_assert_int_eq(token_judge(&c, TOKEN_ACCESS, NOW_MS, NULL), 0);
	ck_assert_int_eq(token_judge(&c, TOKEN_REFRESH, NOW_MS, NULL), ERR_AUTH); /* W3 */
	ck_assert_int_eq(token_judge(&c, TOKEN_NONE_USE, NOW_MS, NULL), ERR_AUTH);
	d = c;
	d.use = TOKEN_REFRESH; /* but for the access audience */
	ck_assert_int_eq(token_judge(&d, TOKEN_REFRESH, NOW_MS, NULL), ERR_AUTH);
	strcpy(d.aud, "quicrig/refresh");
	ck_assert_int_eq(token_judge(&d, TOKEN_REFRESH, NOW_MS, NULL), 0);
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
	d = c;
	strcpy(d.iss, "somebody");
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
	d = c;
	d.sub[0] = '\0';
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
	d = c;
	d.jti[0] = '\0';
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
	d = c;
	d.fam[0] = '\0';
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
	d = c;
	d.has_exp = false;
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
	d = c;
	d.has_nbf = false;
	ck_assert_int_eq(token_judge(&d, TOKEN_ACCESS, NOW_MS, NULL), ERR_AUTH);
}
END_TEST

/* ---- signed replies ---- */

static struct reply_claims reply(void)
{
	struct reply_claims c = {.nonce = NONCE, .resource = "login", .code = 401, .retry_after_s = -1};

	c.payload = json_pack("{s:s}", "message", "INVALID CODE");
	return c;
}

START_TEST(a_signed_reply_holds_for_that_reply_only)
{
	struct reply_claims c = reply(), d;
	json_t *other = json_pack("{s:s}", "message", "INVALID"), *command = json_pack("{s:s,s:s}", "id", "1", "name", "IDLE");
	struct err e = {0};
	char *sig, *again;

	ck_assert_msg(reply_sign(signer, kid[0], &c, &sig, &e) == 0, "%s", e.text);
	ck_assert_int_eq(reply_sign(signer, kid[0], &c, &again, &e), 0);
	ck_assert_str_eq(sig, again);
	ck_assert_msg(reply_verify(keys, sig, &c, &e) == 0, "%s", e.text);
#define DIFFERS(change)                                                                                        \
	do {                                                                                                   \
		d = c;                                                                                         \
		change;                                                                                        \
		ck_assert_int_eq(reply_verify(keys, sig, &d, NULL), ERR_AUTH);                                 \
	} while (0)
	DIFFERS(d.nonce = "0123456789abcdef0123456789abcdee"); /* replayed */
	DIFFERS(d.nonce = "");
	DIFFERS(d.nonce = NULL);
	DIFFERS(d.resource = "registerDevice");
	DIFFERS(d.code = 403);
	DIFFERS(d.payload = other);
	DIFFERS(d.payload = NULL);
	DIFFERS(d.command = command);
	DIFFERS(d.retry_after_s = 0);
#undef DIFFERS
	ck_assert_int_eq(reply_verify(keys, NULL, &c, NULL), ERR_AUTH);
	ck_assert_int_eq(reply_verify(keys, "", &c, NULL), ERR_AUTH);
	sig[strlen(sig) - 5] ^= 1;
	ck_assert_int_eq(reply_verify(keys, sig, &c, NULL), ERR_AUTH);
	free(sig);
	free(again);
	json_decref(c.payload);
	json_decref(other);
	json_decref(command);
}
END_TEST

START_TEST(commands_and_waits_are_signed_too)
{
	struct reply_claims c = reply(), d;
	struct err e = {0};
	char *sig;

	json_decref(c.payload);
	c.payload = NULL;
	c.code = 200;
	c.command = json_pack("{s:s, s:s, s:i}", "name", "PAUSE", "id", "7", "seconds", 60);
	c.retry_after_s = 30;
	ck_assert_int_eq(reply_sign(signer, kid[0], &c, &sig, &e), 0);
	ck_assert_int_eq(reply_verify(keys, sig, &c, &e), 0);
	d = c;
	/* the order of members is not part of it */
	d.command = json_pack("{s:i, s:s, s:s}", "seconds", 60, "id", "7", "name", "PAUSE");
	ck_assert_int_eq(reply_verify(keys, sig, &d, &e), 0);
	json_object_set_new(d.command, "seconds", json_integer(61));
	ck_assert_int_eq(reply_verify(keys, sig, &d, NULL), ERR_AUTH);
	json_decref(d.command);
	d = c;
	d.retry_after_s = 31;
	ck_assert_int_eq(reply_verify(keys, sig, &d, NULL), ERR_AUTH);
	d.retry_after_s = -1;
	ck_assert_int_eq(reply_verify(keys, sig, &d, NULL), ERR_AUTH);
	json_decref(c.command);
	free(sig);
}
END_TEST

START_TEST(each_verifier_refuses_the_others_typ)
{
	struct reply_claims c = reply();
	struct token_claims claims;
	char header[256], text[512], payload[65], none[65], *sig, *token = good_token(), *forged;

	ck_assert_int_eq(reply_sign(signer, kid[0], &c, &sig, NULL), 0);
	ck_assert_int_eq(verify(sig, &claims), ERR_AUTH);
	ck_assert_int_eq(reply_verify(keys, token, &c, NULL), ERR_AUTH);
	/* the right claims under typ JWT, and under no typ */
	msg_digest(c.payload, payload);
	msg_digest(NULL, none);
	snprintf(text, sizeof(text),
		 "{\"nonce\":\"" NONCE "\",\"code\":401,\"resource\":\"login\",\"payload\":\"%s\",\"command\":\"%s\"}",
		 payload, none);
	forged = forge(header_with(",\"typ\":\"JWT\""), text);
	ck_assert_int_eq(reply_verify(keys, forged, &c, NULL), ERR_AUTH);
	free(forged);
	forged = forge(header_with(""), text);
	ck_assert_int_eq(reply_verify(keys, forged, &c, NULL), ERR_AUTH);
	free(forged);
	forged = forge(header_with(",\"typ\":\"quicrig-reply\""), text); /* retryAfter may be absent */
	ck_assert_int_eq(reply_verify(keys, forged, &c, NULL), 0);
	free(forged);
	/* HS256 with the public PEM is refused here too */
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"typ\":\"quicrig-reply\",\"kid\":\"%s\"}", kid[0]);
	forged = forge(header, text);
	ck_assert_int_eq(reply_verify(keys, forged, &c, NULL), ERR_AUTH);
	free(forged);
	free(sig);
	/* a key of the signer's that is not pinned */
	ck_assert_int_eq(reply_sign(signer, kid[1], &c, &sig, NULL), 0);
	ck_assert_int_eq(reply_verify(keys, sig, &c, NULL), ERR_AUTH);
	free(sig);
	ck_assert_int_eq(reply_sign(signer, "nobody", &c, &sig, NULL), ERR_NOTFOUND);
	free(token);
	json_decref(c.payload);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("token");
	TCase *t = tcase_create("token");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_test(t, kids_and_pinned_keys);
	tcase_add_test(t, keys_that_are_none);
	tcase_add_test(t, the_newest_key_that_both_have);
	tcase_add_test(t, what_cjose_signs_libjwt_accepts);
	tcase_add_test(t, claims_in_one_order);
	tcase_add_test(t, an_unknown_kid_signs_nothing);
	tcase_add_test(t, a_forged_twin_of_a_good_token_is_good);
	tcase_add_test(t, tokens_of_the_seed);
	tcase_add_test(t, bad_headers);
	tcase_add_test(t, alg_none_and_hs256);
	tcase_add_test(t, other_signatures_of_the_same_key);
	tcase_add_test(t, no_key_no_token);
	tcase_add_test(t, every_flipped_character_is_refused);
	tcase_add_test(t, junk_around_a_good_token);
	tcase_add_test(t, lengths);
	tcase_add_test(t, deep_claims);
	tcase_add_test(t, claims_of_the_wrong_type);
	tcase_add_test(t, judged_by_our_clock);
	tcase_add_test(t, judged_by_its_kind);
	tcase_add_test(t, a_signed_reply_holds_for_that_reply_only);
	tcase_add_test(t, commands_and_waits_are_signed_too);
	tcase_add_test(t, each_verifier_refuses_the_others_typ);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
