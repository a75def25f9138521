/* Scripted answers, byte by byte: what a device would read, and what its checks say of it. */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/msg.h"
#include "server/script.h"

#define NONCE  "0123456789abcdef0123456789abcdef"
#define BEFORE "ffffffffffffffffffffffffffffffff"
#define EPOCH  INT64_C(1700000000)

static struct token_signer *signer;
static struct token_keys *keys;
static char kid[KID_MAX + 1];
static struct script_memory *memory;
static struct enroll_peer peer;
static struct buf out;
static struct msg_response read_back;

static void setup(void)
{
	struct addr here = {0};

	signer = token_signer_new();
	keys = token_keys_new();
	ck_assert_int_eq(token_signer_add(signer, test_pki()->token_key, kid, NULL), 0);
	ck_assert_int_eq(token_keys_add(keys, token_signer_public(signer, kid), NULL), 0);
	memory = script_memory_new();
	peer_init(&peer, &here, NULL);
	buf_init(&out, SCRIPT_BYTES_MAX);
}

static void teardown(void)
{
	msg_response_fini(&read_back);
	memset(&read_back, 0, sizeof(read_back));
	buf_fini(&out);
	script_memory_free(memory);
	token_keys_free(keys);
	token_signer_free(signer);
}

static char *token_of(enum token_use use)
{
	struct token_claims c = {.use = use, .has_exp = true, .has_iat = true, .has_nbf = true, .iat = EPOCH,
				 .nbf = EPOCH, .exp = EPOCH + 900};
	char *token;

	snprintf(c.iss, sizeof(c.iss), "quicrig");
	snprintf(c.aud, sizeof(c.aud), use == TOKEN_ACCESS ? "quicrig/access" : "quicrig/refresh");
	snprintf(c.sub, sizeof(c.sub), "%s", test_uuids[0]);
	snprintf(c.data_uuid, sizeof(c.data_uuid), "%s", test_uuids[0]);
	snprintf(c.jti, sizeof(c.jti), BEFORE);
	snprintf(c.kid, sizeof(c.kid), "%s", kid);
	ck_assert_int_eq(token_sign(signer, &c, &token, NULL), 0);
	return token;
}

static struct reply *reply_to(enum msg_resource resource)
{
	struct msg_request m = {.resource = resource, .nonce = NONCE};
	struct reply *r;

	snprintf(m.uuid, sizeof(m.uuid), "%s", test_uuids[0]);
	snprintf(m.resource_name, sizeof(m.resource_name), "%s", msg_resource_name(resource));
	r = reply_new(&peer, 0, &m);
	snprintf(r->kid, sizeof(r->kid), "%s", kid);
	return r;
}

static struct reply *login_200(void)
{
	struct reply *r = reply_to(MSG_LOGIN);
	char *access = token_of(TOKEN_ACCESS), *refresh = token_of(TOKEN_REFRESH);

	reply_set(r, 200, "ok",
		  json_pack("{s:{s:s, s:s}}", "tokens", "accessToken", access, "refreshToken", refresh));
	free(access);
	free(refresh);
	return r;
}

/* Takes `r`: its bytes under the script, in `out`, and as a device reads them. */
static void scripted(struct reply *r, const char *args)
{
	json_t *j = json_loads(args, 0, NULL);
	struct err e = {0};

	ck_assert_ptr_nonnull(j);
	ck_assert_msg(script_check(j, &e) == 0, "%s", e.text);
	script_decide(r, j);
	json_decref(j);
	buf_reset(&out);
	ck_assert_msg(script_encode(r, signer, memory, &out, &e) == 0, "%s", e.text);
	msg_response_fini(&read_back);
	ck_assert_int_eq(msg_response_parse(out.data ? out.data : "", out.len, &read_back), 0);
	reply_free(r);
}

static bool signature_is_for(const char *nonce, const char *resource)
{
	struct reply_claims c = {.nonce = nonce, .resource = resource, .code = read_back.code,
				 .payload = read_back.payload, .command = read_back.command,
				 .retry_after_s = read_back.retry_after_s};

	return read_back.signature && !reply_verify(keys, read_back.signature, &c, NULL);
}

static const char *token_at(const char *name)
{
	return json_string_value(json_object_get(json_object_get(read_back.payload, "tokens"), name));
}

/* What a device's check of one token comes to. */
static int verify(const char *name, struct token_claims *c)
{
	const char *token = token_at(name);

	ck_assert_ptr_nonnull(token);
	memset(c, 0, sizeof(*c));
	return token_verify(keys, token, strlen(token), TOKEN_TEXT_MAX, c, NULL);
}

START_TEST(another_code)
{
	scripted(login_200(), "{\"code\": 403}");
	ck_assert_int_eq(read_back.code, 403);
	ck_assert(signature_is_for(NONCE, "login"));
	ck_assert_ptr_null(token_at("accessToken"));
	scripted(login_200(), "{\"code\": 429, \"retry_after_ns\": 7000000000, \"message\": \"later\"}");
	ck_assert_int_eq(read_back.code, 429);
	ck_assert_int_eq(read_back.retry_after_s, 7);
	ck_assert_str_eq(json_string_value(json_object_get(read_back.payload, "message")), "later");
	ck_assert_ptr_null(read_back.signature);
	/* the code that was decided anyway keeps what belongs to it */
	scripted(login_200(), "{\"code\": 200}");
	ck_assert_ptr_nonnull(token_at("accessToken"));
}
END_TEST

START_TEST(signatures)
{
	struct reply *before = login_200();

	memcpy(before->nonce, BEFORE, sizeof(BEFORE));
	scripted(login_200(), "{\"code\": 403, \"signature\": \"none\"}");
	ck_assert_ptr_null(read_back.signature);
	scripted(login_200(), "{\"code\": 403, \"signature\": \"wrong\"}");
	ck_assert_ptr_nonnull(read_back.signature);
	ck_assert(!signature_is_for(NONCE, "login"));
	scripted(login_200(), "{\"code\": 403, \"signature\": \"other_nonce\"}");
	ck_assert(!signature_is_for(NONCE, "login"));
	/* nothing was said to this device yet: a nonce that never was */
	scripted(login_200(), "{\"code\": 403, \"signature\": \"replayed\"}");
	ck_assert(!signature_is_for(NONCE, "login") && !signature_is_for(BEFORE, "login"));
	script_remember(memory, before);
	reply_free(before);
	scripted(login_200(), "{\"code\": 403, \"signature\": \"replayed\"}");
	ck_assert(!signature_is_for(NONCE, "login"));
	ck_assert(signature_is_for(BEFORE, "login"));
}
END_TEST

START_TEST(wrong_tokens)
{
	struct token_claims a, r;

	scripted(login_200(), "{\"tokens\": \"missing\"}");
	ck_assert_int_eq(read_back.code, 200);
	ck_assert_ptr_null(token_at("accessToken"));
	scripted(login_200(), "{\"tokens\": \"bad_signature\"}");
	ck_assert_int_eq(verify("accessToken", &a), ERR_AUTH);
	ck_assert_int_eq(verify("refreshToken", &r), ERR_AUTH);
	scripted(login_200(), "{\"tokens\": \"not_signed\"}");
	ck_assert_int_eq(verify("accessToken", &a), ERR_AUTH);
	scripted(login_200(), "{\"tokens\": \"other_device\"}");
	ck_assert_int_eq(verify("accessToken", &a), 0);
	ck_assert_str_ne(a.sub, test_uuids[0]);
	ck_assert_str_eq(a.sub, a.data_uuid);
	scripted(login_200(), "{\"tokens\": \"swapped\"}");
	ck_assert_int_eq(verify("accessToken", &a), 0);
	ck_assert_int_eq(verify("refreshToken", &r), 0);
	ck_assert_int_eq(a.use, TOKEN_REFRESH);
	ck_assert_int_eq(r.use, TOKEN_ACCESS);
	scripted(login_200(), "{\"tokens\": \"exp_before_iat\"}");
	ck_assert_int_eq(verify("accessToken", &a), 0);
	ck_assert_int_lt(a.exp, a.iat);
	/* a refusal has none to bend */
	scripted(login_200(), "{\"code\": 503, \"tokens\": \"swapped\"}");
	ck_assert_int_eq(read_back.code, 503);
}
END_TEST

START_TEST(commands)
{
	scripted(login_200(), "{\"command\": {\"name\": \"PAUSE\", \"seconds\": 5}}");
	ck_assert_int_eq(read_back.code, 200);
	ck_assert_int_eq(read_back.command_kind, CMD_PAUSE);
	ck_assert_str_eq(read_back.command_id, "script-01234567");
	ck_assert_int_eq(json_integer_value(json_object_get(read_back.command, "seconds")), 5);
	ck_assert(signature_is_for(NONCE, "login"));
	scripted(login_200(), "{\"command\": {\"name\": \"IDLE\"}, \"signature\": \"none\"}");
	ck_assert_int_eq(read_back.command_kind, CMD_IDLE);
	ck_assert_ptr_null(read_back.signature);
}
END_TEST

START_TEST(payloads)
{
	const char *args[] = {"{\"payload\": \"other_key\"}", "{\"payload\": \"other_method\"}", "{\"payload\": \"none\"}"};

	for (int i = 0; i < 3; i++) {
		struct reply *r = reply_to(MSG_REGISTER);
		json_t *key, *method;

		reply_set(r, 200, "ok",
			  json_pack("{s:s, s:s, s:{s:i}}", "serverPublicKey", token_signer_public(signer, kid),
				    "twoAuthMethod", "SMS", "deviceConfig", "publishInterval", 60));
		scripted(r, args[i]);
		key = json_object_get(read_back.payload, "serverPublicKey");
		method = json_object_get(read_back.payload, "twoAuthMethod");
		ck_assert_int_eq(read_back.code, 200);
		ck_assert_int_eq(i == 2, key == NULL);
		if (i == 0)
			ck_assert(!token_keys_has_pem(keys, json_string_value(key)));
		if (i == 1)
			ck_assert_str_eq(json_string_value(method), "EMAIL");
	}
}
END_TEST

START_TEST(bodies)
{
	static const char *const none[] = {"empty", "garbage", "truncated", "twice", "no_code", "code_text", "huge"};
	char args[64];

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		snprintf(args, sizeof(args), "{\"body\": \"%s\"}", none[i]);
		scripted(login_200(), args);
		ck_assert_msg(out.len > MSG_REPLY_MAX || read_back.code == MSG_NO_CODE, "%s", none[i]);
		ck_assert_int_eq(out.len > MSG_REPLY_MAX, strcmp(none[i], "huge") == 0);
		ck_assert_int_eq(out.len == 0, strcmp(none[i], "empty") == 0);
	}
	scripted(login_200(), "{\"body\": \"code_text\"}");
	ck_assert_ptr_nonnull(strstr(out.data, "\"code\":\"200\""));
	scripted(login_200(), "{\"body\": \"no_code\"}");
	ck_assert_ptr_nonnull(strstr(out.data, "accessToken"));
	ck_assert_ptr_null(strstr(out.data, "\"code\""));
	scripted(login_200(), "{\"text\": \"{\\\"code\\\": 299}\"}");
	ck_assert_int_eq(read_back.code, 299);
	ck_assert_str_eq(out.data, "{\"code\": 299}");
}
END_TEST

START_TEST(what_nobody_understands)
{
	static const struct {
		const char *args, *says;
	} wrong[] = {
		{"{}", "what is to be different"},
		{"{\"cod\": 403}", "nobody knows 'cod'"},
		{"{\"code\": \"403\"}", "'code' has the wrong type"},
		{"{\"code\": 42}", "100…999"},
		{"{\"tokens\": \"odd\"}", "'tokens' is one of: missing"},
		{"{\"body\": \"truncated twice\"}", "'body' is one of"},
		{"{\"late_ns\": -1}", "'late_ns' has the wrong type"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *j = json_loads(wrong[i].args, 0, NULL);
		struct err e = {0};

		ck_assert_int_eq(script_check(j, &e), ERR_PARSE);
		ck_assert_msg(strstr(e.text, wrong[i].says) != NULL, "%s: %s", wrong[i].args, e.text);
		json_decref(j);
	}
	ck_assert_int_eq(script_check(NULL, NULL), ERR_PARSE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("script");
	TCase *tc = tcase_create("answers");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, another_code);
	tcase_add_test(tc, signatures);
	tcase_add_test(tc, wrong_tokens);
	tcase_add_test(tc, commands);
	tcase_add_test(tc, payloads);
	tcase_add_test(tc, bodies);
	tcase_add_test(tc, what_nobody_understands);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
