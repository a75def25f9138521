/* What the server remembers of tokens that it verified, and what it must not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pki.h"
#include "server/token_cache.h"

#define UUID	"ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define FAM	"ffeeddccbbaa99887766554433221100"
#define NOW	INT64_C(1750000000)
#define MAX_LEN 4096
#define MAX	4

static char *priv, *pub;
static struct token_signer *signer;
static struct token_keys *keys, *none; /* none: a verifier without a key takes nothing by itself */
static struct token_cache *cache;

static void setup(void)
{
	struct err e = {0};

	signer = token_signer_new();
	keys = token_keys_new();
	none = token_keys_new();
	cache = token_cache_new(MAX);
	ck_assert(signer && keys && none && cache);
	ck_assert_int_eq(pki_token_key(&priv, &pub, &e), 0);
	ck_assert_msg(token_signer_add(signer, priv, NULL, &e) == 0, "%s", e.text);
	ck_assert_int_eq(token_keys_add(keys, pub, &e), 0);
}

static void teardown(void)
{
	token_cache_free(cache);
	token_signer_free(signer);
	token_keys_free(keys);
	token_keys_free(none);
	free(priv);
	free(pub);
}

static char *make(unsigned number)
{
	struct token_claims c = {.sub = UUID,
				 .fam = FAM,
				 .use = TOKEN_ACCESS,
				 .iss = "quicrig",
				 .aud = "quicrig/access",
				 .has_exp = true,
				 .has_iat = true,
				 .has_nbf = true,
				 .iat = NOW,
				 .nbf = NOW,
				 .exp = NOW + 900};
	char *token = NULL;

	snprintf(c.jti, sizeof(c.jti), "%032x", number);
	ck_assert_int_eq(token_sign(signer, &c, &token, NULL), 0);
	return token;
}

static int verify(struct token_keys *k, const char *token, struct token_claims *out)
{
	struct token_claims ignored;

	return token_cache_verify(cache, k, token, strlen(token), MAX_LEN, out ? out : &ignored, NULL);
}

/* A hit needs no key. */
static bool remembered(const char *token)
{
	return verify(none, token, NULL) == 0;
}

START_TEST(once_verified_is_known)
{
	char *token = make(1);
	struct token_claims first, again;

	memset(&first, 0, sizeof(first));
	memset(&again, 0xff, sizeof(again));
	ck_assert(!remembered(token));
	ck_assert_int_eq(verify(keys, token, &first), 0);
	ck_assert_int_eq(verify(none, token, &again), 0);
	ck_assert_mem_eq(&first, &again, sizeof(first));
	ck_assert_str_eq(again.sub, UUID);
	ck_assert_uint_eq(token_cache_count(cache), 1);
	free(token);
}
END_TEST

START_TEST(known_is_not_valid_for_ever)
{
	char *token = make(1);
	struct token_claims t;

	ck_assert_int_eq(verify(keys, token, NULL), 0);
	ck_assert_int_eq(verify(keys, token, &t), 0);
	ck_assert_int_eq(token_judge(&t, TOKEN_ACCESS, (NOW + 899) * 1000, NULL), 0);
	ck_assert_int_eq(token_judge(&t, TOKEN_ACCESS, (NOW + 900) * 1000, NULL), ERR_EXPIRED);
	ck_assert_int_eq(token_judge(&t, TOKEN_ACCESS, (NOW - 61) * 1000, NULL), ERR_AUTH);
	ck_assert_int_eq(token_judge(&t, TOKEN_REFRESH, NOW * 1000, NULL), ERR_AUTH);
	/* a limit that was lowered meanwhile counts too */
	ck_assert_int_eq(token_cache_verify(cache, keys, token, strlen(token), strlen(token) - 1, &t, NULL),
			 ERR_LIMIT);
	free(token);
}
END_TEST

START_TEST(what_a_lost_key_signed_is_forgotten)
{
	char *token = make(1);

	ck_assert_int_eq(verify(keys, token, NULL), 0);
	token_keys_remove(keys, token_keys_kid(keys, 0));
	token_cache_forget(cache);
	ck_assert_uint_eq(token_cache_count(cache), 0);
	ck_assert_int_eq(verify(keys, token, NULL), ERR_AUTH);
	ck_assert(!remembered(token));
	free(token);
}
END_TEST

/* Every character of the signature's first bytes and the claims' changed: none is known,
 * and none drives out what is. */
START_TEST(junk_is_never_remembered)
{
	char *token = make(1), *dot = strrchr(token, '.');
	static const int at[] = {1, 2, 3, 100, 200, -1, -2, -50};

	ck_assert_int_eq(verify(keys, token, NULL), 0);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		char was = dot[at[i]];

		dot[at[i]] = was == 'A' ? 'B' : 'A';
		ck_assert_int_eq(verify(keys, token, NULL), ERR_AUTH);
		ck_assert_int_eq(verify(keys, token, NULL), ERR_AUTH);
		ck_assert(!remembered(token));
		ck_assert_uint_eq(token_cache_count(cache), 1);
		dot[at[i]] = was;
	}
	ck_assert(remembered(token));
	ck_assert_int_eq(verify(keys, "", NULL), ERR_AUTH);
	ck_assert_uint_eq(token_cache_count(cache), 1);
	free(token);
}
END_TEST

START_TEST(the_least_recently_used_goes)
{
	char *token[MAX + 1];

	for (unsigned i = 0; i < MAX; i++) {
		token[i] = make(i);
		ck_assert_int_eq(verify(keys, token[i], NULL), 0);
	}
	ck_assert(remembered(token[0])); /* used again: now 1 is the oldest */
	token[MAX] = make(MAX);
	ck_assert_int_eq(verify(keys, token[MAX], NULL), 0);
	ck_assert_uint_eq(token_cache_count(cache), MAX);
	for (unsigned i = 0; i <= MAX; i++) {
		ck_assert(remembered(token[i]) == (i != 1));
		free(token[i]);
	}
}
END_TEST

START_TEST(one_that_remembers_nothing)
{
	char *token = make(1);

	token_cache_free(cache);
	cache = token_cache_new(0);
	ck_assert_int_eq(verify(keys, token, NULL), 0);
	ck_assert(!remembered(token));
	free(token);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("token_cache");
	TCase *t = tcase_create("token_cache");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, once_verified_is_known);
	tcase_add_test(t, known_is_not_valid_for_ever);
	tcase_add_test(t, what_a_lost_key_signed_is_forgotten);
	tcase_add_test(t, junk_is_never_remembered);
	tcase_add_test(t, the_least_recently_used_goes);
	tcase_add_test(t, one_that_remembers_nothing);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
