/* What a device believes: signed refusals, commands, and the seed's server. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pki.h"
#include "tests/sim/device_bench.h"
#include "tests/sim/device_suites.h"

/* ---- M8: refusals that would brick a fleet ---- */

static const struct {
	enum state_name s;
	int code;
	enum row_name row; /* where it is not believed */
} refusals[] = {
	{STATE_RG, 401, ROW_RG_UNKNOWN}, {STATE_RG, 403, ROW_RG_UNKNOWN}, {STATE_RG, 412, ROW_RG_UNKNOWN},
	{STATE_RG, 700, ROW_RG_UNKNOWN}, {STATE_LI, 401, ROW_LI_UNKNOWN}, {STATE_LI, 403, ROW_LI_UNKNOWN},
	{STATE_LI, 412, ROW_LI_UNKNOWN}, {STATE_LI, 700, ROW_LI_UNKNOWN}, {STATE_PV, 700, ROW_PV_UNKNOWN},
	{STATE_RF, 400, ROW_RF_UNKNOWN}, {STATE_RF, 401, ROW_RF_UNKNOWN}, {STATE_RF, 403, ROW_RF_UNKNOWN},
	{STATE_RF, 404, ROW_RF_UNKNOWN}, {STATE_RF, 412, ROW_RF_UNKNOWN}, {STATE_RF, 413, ROW_RF_UNKNOWN},
	{STATE_RF, 700, ROW_RF_UNKNOWN},
};
#define REFUSALS (int)(sizeof(refusals) / sizeof(refusals[0]))

START_TEST(refusal_without_authority)
{
	for (int how = SIGN_NOT; how <= SIGN_REPLAYED; how++) {
		struct bench_reply r = {.code = refusals[_i].code, .sign = how, .retry_after_s = 50000};
		struct bench b;

		bench_open(&b, NULL);
		bench_reach(&b, refusals[_i].s);
		bench_reply(&b, &r);
		ck_row(&b, refusals[_i].row);
		ck_assert_str_eq(b.why, how == SIGN_NOT ? "unsigned" : "signature");
		ck_assert_uint_lt(b.wait, 2 * NS_PER_S); /* nor is its retryAfter */
		ck_assert_uint_eq(b.silences, 0);
		bench_close(&b);
	}
}
END_TEST

START_TEST(refusal_waived)
{
	struct bench_options o = {.accept_unsigned = true};
	struct bench b;

	bench_open(&b, &o);
	bench_reach(&b, STATE_RG);
	bench_reply(&b, &(struct bench_reply){.code = 403, .sign = SIGN_NOT});
	ck_row(&b, ROW_RG_403);
	ck_state(&b, STATE_IDLE);
	bench_close(&b);
}
END_TEST

/* ---- M9: commands ---- */

#define PAUSE(id, s) "{\"id\":\"" id "\",\"name\":\"PAUSE\",\"seconds\":" s "}"

static void command(struct bench *b, const char *json)
{
	bench_reply(b, &(struct bench_reply){.code = 200, .payload = "{}", .command = json});
}

START_TEST(pause_once)
{
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	command(&b, PAUSE("c1", "60"));
	ck_row(&b, ROW_PV_200);
	ck_assert_int_eq(b.rows[1], ROW_PV_CMD_PAUSE);
	ck_state(&b, STATE_PA);
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now + 60 * NS_PER_S);
	ck_assert_uint_eq(b.done, 1);
	bench_timer(&b);
	ck_row(&b, ROW_PA_OVER);
	bench_timer(&b);
	ck_assert_uint_eq(b.request.done_n, 1);
	ck_assert_str_eq(b.request.done[0], "c1");
	command(&b, PAUSE("c1", "60")); /* the server had not heard */
	ck_state(&b, STATE_PV);
	ck_assert_str_eq(b.why, "command_again");
	bench_timer(&b);
	command(&b, PAUSE("c2", "900000000")); /* years */
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now + 86400 * NS_PER_S);
	bench_off(&b);
	ck_row(&b, ROW_PA_OFF);
	bench_on(&b); /* a pause ends with the power */
	ck_row(&b, ROW_OFF_ON_TOKENS);
	bench_timer(&b);
	ck_assert_uint_eq(b.request.done_n, 2);
	bench_close(&b);
}
END_TEST

START_TEST(config_is_clamped_and_durable)
{
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	command(&b, "{\"id\":\"c1\",\"name\":\"CONFIG\",\"publishInterval\":10}");
	ck_assert_int_eq(b.rows[1], ROW_PV_CMD_CONFIG);
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now + 10 * NS_PER_S);
	bench_off(&b);
	bench_on(&b);
	bench_timer(&b);
	command(&b, "{\"id\":\"c2\",\"name\":\"CONFIG\",\"publishInterval\":0}");
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now + NS_PER_S);
	bench_timer(&b);
	command(&b, "{\"id\":\"c3\",\"name\":\"CONFIG\",\"publishInterval\":9000000}");
	ck_assert_uint_eq(device_deadline(b.dev), b.at.now + 86400 * NS_PER_S);
	bench_close(&b);
}
END_TEST

START_TEST(keys_replace_the_pins)
{
	char *private_pem = NULL, *public_pem = NULL, kid[KID_MAX + 1], *text, old[KID_MAX + 1];
	json_t *c;
	struct bench b;

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	ck_assert_int_eq(pki_token_key(&private_pem, &public_pem, NULL), 0);
	c = json_pack("{s:s, s:s, s:[s]}", "id", "k1", "name", "KEYS", "keys", public_pem);
	text = json_dumps(c, 0);
	command(&b, text);
	ck_assert_int_eq(b.rows[1], ROW_PV_CMD_KEYS);
	bench_timer(&b);
	ck_assert_int_eq(token_kid(public_pem, kid, NULL), 0);
	ck_assert_str_eq(b.request.kids[0], kid);
	bench_off(&b);
	bench_on(&b);
	bench_timer(&b);
	ck_assert_str_eq(b.request.kids[0], kid);
	/* the old key is nobody's any more */
	command(&b, PAUSE("p", "1"));
	ck_row(&b, ROW_PV_UNKNOWN);
	snprintf(old, sizeof(old), "%s", b.kid);
	ck_assert_int_eq(token_signer_add(b.signer, private_pem, b.kid, NULL), 0);
	bench_timer(&b);
	command(&b, "{\"id\":\"k2\",\"name\":\"KEYS\",\"keys\":[\"junk\"]}");
	ck_row(&b, ROW_PV_CMD_OTHER);
	ck_assert_str_ne(old, b.kid);
	json_decref(c);
	free(text);
	free(private_pem);
	free(public_pem);
	bench_close(&b);
}
END_TEST

START_TEST(reset_forgets_but_not_what_was_done)
{
	struct bench b;
	char id[64];

	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "{\"id\":\"c%d\",\"name\":\"CONFIG\",\"publishInterval\":60}", i);
		command(&b, id);
		bench_timer(&b);
	}
	ck_assert_uint_eq(b.request.done_n, 8); /* the last 8 */
	ck_assert_str_eq(b.request.done[0], "c2");
	command(&b, "{\"id\":\"r\",\"name\":\"RESET\"}");
	ck_assert_int_eq(b.rows[1], ROW_PV_CMD_RESET);
	ck_state(&b, STATE_NP);
	bench_off(&b);
	bench_on(&b);
	ck_row(&b, ROW_OFF_ON);
	bench_timer(&b);
	ck_assert_str_eq(b.request.done[7], "r");
	bench_close(&b);
}
END_TEST

START_TEST(idle_rides_on_any_200)
{
	static const char idle[] = "{\"id\":\"i\",\"name\":\"IDLE\"}";
	struct bench_options o = {.totp = "GEZDGNBVGY3TQOJQ"};
	char *tokens, *registered;
	json_t *p;
	struct bench b;
	static const struct {
		enum state_name s;
		enum row_name first, second;
	} at[] = {{STATE_RG, ROW_RG_200_SMS, ROW_AC_CMD_IDLE},
		  {STATE_RG, ROW_RG_200_TOTP, ROW_LI_CMD_IDLE},
		  {STATE_RG, ROW_RG_200_BAD, ROW_NP_CMD_IDLE},
		  {STATE_LI, ROW_LI_200, ROW_PV_CMD_IDLE},
		  {STATE_PV, ROW_PV_200, ROW_PV_CMD_IDLE},
		  {STATE_RF, ROW_RF_200, ROW_PV_CMD_IDLE},
		  {STATE_RF, ROW_RF_200_BAD, ROW_NP_CMD_IDLE}};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		struct bench_reply r = {.code = 200, .payload = "{}", .command = idle};
		unsigned before, closes;

		bench_open(&b, &o);
		bench_reach(&b, at[i].s);
		before = b.requests;
		closes = b.closes;
		tokens = bench_tokens(&b, BENCH_UUID, "1", NULL);
		p = json_pack("{s:s, s:s, s:{s:i}}", "serverPublicKey", b.public_pem, "twoAuthMethod",
			      at[i].first == ROW_RG_200_TOTP ? "TOTP" : "SMS", "deviceConfig", "publishInterval", 60);
		registered = json_dumps(p, 0);
		if (at[i].first == ROW_LI_200 || at[i].first == ROW_RF_200)
			r.payload = tokens;
		else if (at[i].s == STATE_RG && at[i].first != ROW_RG_200_BAD)
			r.payload = registered;
		bench_reply(&b, &r);
		ck_row(&b, at[i].first);
		ck_assert_uint_eq(b.rows_n, 2);
		ck_assert_int_eq(b.rows[1], at[i].second);
		ck_state(&b, STATE_IDLE);
		ck_assert_uint_eq(b.requests, before); /* before anything is sent */
		ck_assert_uint_eq(b.silences, 1);
		ck_assert_uint_eq(b.closes, closes);
		bench_off(&b);
		bench_on(&b);
		ck_row(&b, ROW_OFF_ON); /* IDLE was stored: no tokens now */
		bench_timer(&b);
		ck_assert_str_eq(b.request.done[0], "i");
		json_decref(p);
		free(tokens);
		free(registered);
		bench_close(&b);
	}
}
END_TEST

START_TEST(commands_that_are_not_done)
{
	static const struct {
		enum state_name s;
		enum row_name row;
	} at[] = {{STATE_RG, ROW_RG_CMD_OTHER}, {STATE_LI, ROW_LI_CMD_OTHER}, {STATE_RF, ROW_RF_CMD_OTHER},
		  {STATE_PV, ROW_PV_CMD_OTHER}};
	struct bench b;
	char *tokens;

	for (size_t i = 0; i < 4; i++) {
		struct bench_reply r = {.code = 200, .command = PAUSE("x", "5")};

		bench_open(&b, NULL);
		bench_reach(&b, at[i].s);
		tokens = bench_tokens(&b, BENCH_UUID, "1", NULL);
		r.payload = tokens;
		if (at[i].s == STATE_PV)
			r.command = "{\"id\":\"x\",\"name\":\"SELF_DESTRUCT\"}";
		bench_reply(&b, &r);
		ck_row(&b, at[i].row);
		ck_assert_uint_eq(b.rows_n, 2); /* and the 200 itself */
		ck_assert_uint_eq(b.done, 0);
		free(tokens);
		bench_close(&b);
	}
	bench_open(&b, NULL);
	bench_reach(&b, STATE_PV);
	for (int how = SIGN_NOT; how <= SIGN_REPLAYED; how++) {
		bench_reply(&b, &(struct bench_reply){
					.code = 200, .payload = "{}", .command = PAUSE("y", "5"), .sign = how});
		ck_row(&b, ROW_PV_UNKNOWN); /* the whole reply */
		ck_assert_uint_eq(b.rows_n, 1);
		bench_timer(&b);
	}
	command(&b, "{\"name\":\"PAUSE\",\"seconds\":5}"); /* no id */
	ck_row(&b, ROW_PV_CMD_OTHER);
	bench_timer(&b);
	command(&b, PAUSE("z", "-5"));
	ck_row(&b, ROW_PV_CMD_OTHER);
	bench_close(&b);
}
END_TEST

/* ---- seed-answers.md ---- */

#define SEED_SMS                                                                                               \
	"{\"code\":200,\"payload\":{\"serverPublicKey\":\"123456\",\"twoAuthMethod\":\"SMS\",\"deviceConfig\":{"  \
	"\"publishInterval\":60}},\"resource\":\"registerDeviceResponse\"}"
#define SEED_EMAIL                                                                                             \
	"{\"code\":200,\"payload\":{\"serverPublicKey\":\"123456\",\"twoAuthMethod\":\"EMAIL\",\"deviceConfig\":{" \
	"\"publishInterval\":60}},\"resource\":\"registerDeviceResponse\"}"
#define SEED_403  "{\"code\":403,\"payload\":{\"message\":\"FORBIDEN\"}}"
#define SEED_403D "{\"code\":403,\"payload\":{\"message\":\"FORBIDDEN\"}}"
#define SEED_412  "{\"code\":412,\"payload\":{\"message\":\"Precondition Failed\"}}"
#define SEED_ACK  "{\"code\":200,\"payload\":{\"message\":\"ACK for 1700000000000\"}}"

static const struct {
	const char *name;
	enum state_name s;
	const char *json;
	enum row_name row;
} seed[] = {
	{"register, unknown uuid", STATE_RG, SEED_403D, ROW_RG_403},
	{"register, known uuid", STATE_RG, SEED_SMS, ROW_RG_200_SMS},
	{"register, EMAIL first", STATE_RG, SEED_EMAIL, ROW_RG_200_BAD},
	{"register, no common method", STATE_RG, SEED_412, ROW_RG_412},
	{"register without payload", STATE_RG, "{}", ROW_RG_NO_CODE},
	{"login without payload", STATE_LI, "{}", ROW_LI_NO_CODE},
	{"publish, valid token", STATE_PV, SEED_ACK, ROW_PV_200},
	{"publish, no timestamp", STATE_PV, "{\"code\":200,\"payload\":{\"message\":\"ACK for undefined\"}}",
	 ROW_PV_200},
	{"publish, expired token", STATE_PV, SEED_403, ROW_PV_403},
	{"publish, payload null", STATE_PV, "{}", ROW_PV_NO_CODE},
	{"refresh, unknown uuid", STATE_RF, SEED_403D, ROW_RF_403},
	{"refresh, expired token", STATE_RF, SEED_403, ROW_RF_403},
	{"malformed", STATE_RG, "{\"code\":200,", ROW_RG_NO_CODE},
	{"code as a string", STATE_PV, "{\"code\":\"200\",\"payload\":{}}", ROW_PV_NO_CODE},
	{"no JSON", STATE_RF, "SyntaxError", ROW_RF_NO_CODE},
	{"nothing", STATE_LI, "", ROW_LI_NO_CODE},
	{"negative code", STATE_LI, "{\"code\":-5}", ROW_LI_UNKNOWN},
};
#define SEEDS (int)(sizeof(seed) / sizeof(seed[0]))

START_TEST(seed_answer)
{
	struct bench_options o = {.accept_unsigned = true};
	struct bench b;

	bench_open(&b, &o);
	bench_reach(&b, seed[_i].s);
	bench_raw(&b, seed[_i].json);
	ck_assert_msg(b.rows[0] == seed[_i].row, "%s: %s", seed[_i].name, row_id(b.rows[0]));
	bench_close(&b);
}
END_TEST

START_TEST(seed_bootstraps)
{
	struct bench_options o = {.accept_unsigned = true};
	struct device_event code = {.kind = DEVICE_CODE, .text = ""};
	char *tokens;
	struct bench b;

	bench_open(&b, &o);
	bench_reach(&b, STATE_RG);
	bench_raw(&b, SEED_SMS);
	bench_step(&b, &code); /* --code-from none */
	ck_row(&b, ROW_AC_SMS);
	ck_assert_str_eq(b.request.code, "");
	tokens = bench_tokens(&b, BENCH_UUID, "", "seed");
	bench_reply(&b, &(struct bench_reply){.code = 200, .payload = tokens, .sign = SIGN_NOT});
	ck_row(&b, ROW_LI_200);
	ck_state(&b, STATE_PV);
	bench_timer(&b);
	bench_raw(&b, SEED_403);
	ck_state(&b, STATE_RF);
	bench_reply(&b, &(struct bench_reply){.code = 200, .payload = tokens, .sign = SIGN_NOT});
	ck_row(&b, ROW_RF_200);
	free(tokens);
	bench_close(&b);
}
END_TEST

TCase *device_trust_case(void)
{
	TCase *t = tcase_create("trust");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, refusal_without_authority, 0, REFUSALS);
	tcase_add_test(t, refusal_waived);
	tcase_add_test(t, pause_once);
	tcase_add_test(t, config_is_clamped_and_durable);
	tcase_add_test(t, keys_replace_the_pins);
	tcase_add_test(t, reset_forgets_but_not_what_was_done);
	tcase_add_test(t, idle_rides_on_any_200);
	tcase_add_test(t, commands_that_are_not_done);
	tcase_add_loop_test(t, seed_answer, 0, SEEDS);
	tcase_add_test(t, seed_bootstraps);
	return t;
}
