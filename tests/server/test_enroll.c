/* The policy core: every rule of protocol.md §4 that is its own, as stories. */
#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/budget.h"
#include "server/clock.h"
#include "server/code.h"

#define S 1000 /* ms */

enum op {
	END,
	REG,     /* dev, reg */
	LOGIN,   /* dev, reg: with the code that its SMS carried; n != 0: with registration n's */
	WRONG,   /* dev, reg: with another */
	PUB,     /* dev, n: access token of pair n */
	PUB_R,   /* its refresh token, as access */
	REF,     /* dev, n: refresh token of pair n */
	REF_A,   /* its access token, as refresh */
	WAIT,    /* n ms */
	STEP,    /* n ms: the wall clock alone */
	ACCEPT,  /* operator: that is right */
	RESTART,
	REBOOT,
	OFF, ON, /* operator: dev */
	GATE,    /* n: enum ask_gateway */
	SMS_N,   /* n SMS so far */
	PAIRS,   /* n pairs so far */
	SAME,    /* pair n and pair dev are the same texts */
	DIFFER,
	EVENT,   /* reg: journal kind, n of them so far */
	SET,     /* reg: setting, n: value */
};

struct step {
	enum op op;
	int dev, reg;
	int64_t n;
	int code;
	const char *why;
};

struct story {
	const char *name;
	struct step steps[40];
};

#define R(d, r, ...)  {.op = REG, .dev = d, .reg = r, .code = __VA_ARGS__}
#define L(d, r, ...)  {.op = LOGIN, .dev = d, .reg = r, .code = __VA_ARGS__}
#define W(d, r, ...)  {.op = WRONG, .dev = d, .reg = r, .code = __VA_ARGS__}
#define P(d, k, ...)  {.op = PUB, .dev = d, .n = k, .code = __VA_ARGS__}
#define F(d, k, ...)  {.op = REF, .dev = d, .n = k, .code = __VA_ARGS__}
#define DO(o, k)      {.op = o, .n = k}
#define IS_SAME(x, y) {.op = SAME, .n = x, .dev = y}
#define SAW(kind, k)  {.op = EVENT, .reg = J_##kind, .n = k}
#define SETTING(s, v) {.op = SET, .reg = SETTING_##s, .n = v}
#define WITH(o, d, k, ...) {.op = o, .dev = d, .n = k, .code = __VA_ARGS__}

enum { A, B, T, X };

static const struct story stories[] = {
	{"a life: register, login, publish, refresh",
	 {R(A, 1, 200), DO(SMS_N, 1), L(A, 1, 200), P(A, 0, 200), F(A, 0, 200), P(A, 1, 200), SAW(CODE_ISSUED, 1),
	  SAW(CODE_USED, 1), SAW(TOKEN_ISSUED, 4), SAW(SMS_QUEUED, 1)}},
	/* ---- code ---- */
	{"same registration while a tenth is left: same 200, no SMS",
	 {R(A, 1, 200), DO(WAIT, 270 * S), R(A, 1, 200, "again"), DO(SMS_N, 1), L(A, 1, 200)}},
	{"less than a tenth left: spent",
	 {R(A, 1, 200), DO(WAIT, 270 * S + 1), R(A, 1, 400, "spent"), DO(SMS_N, 1), L(A, 1, 200)}},
	{"a code lives 300 s",
	 {R(A, 1, 200), DO(WAIT, 299 * S), L(A, 1, 200)}},
	{"and no longer",
	 {R(A, 1, 200), DO(WAIT, 301 * S), L(A, 1, 401, "expired"), L(A, 1, 401, "void"), R(A, 1, 400, "spent"),
	  SAW(CODE_VOID, 1)}},
	{"exactly at its end it is over", {R(A, 1, 200), DO(WAIT, 300 * S), L(A, 1, 401, "expired")}},
	{"spent is remembered for 24 h after the code's end",
	 {R(A, 1, 200), DO(WAIT, (24 * 3600 + 299) * S), R(A, 1, 400, "spent")}},
	{"three wrong ones void a code, the right one then too",
	 {R(A, 1, 200), W(A, 1, 401, "wrong"), W(A, 1, 401, "wrong"), W(A, 1, 401, "wrong"), L(A, 1, 401, "void"),
	  SAW(CODE_VOID, 1), R(A, 1, 400, "spent")}},
	{"two wrong ones do not", {R(A, 1, 200), W(A, 1, 401), W(A, 1, 401), L(A, 1, 200)}},
	{"tries count per registration: a stranger's guesses leave the owner's code alone",
	 {R(A, 1, 200), W(A, 2, 401, "no code"), W(A, 2, 401), W(A, 2, 401), W(A, 2, 401), L(A, 1, 200)}},
	{"a code belongs to its registration",
	 {R(A, 1, 200), DO(WAIT, 61 * S), R(A, 2, 200), {.op = LOGIN, .dev = A, .reg = 2, .n = 1, .code = 401},
	  L(A, 2, 200)}},
	{"older codes live on beside a new one",
	 {R(A, 1, 200), DO(WAIT, 61 * S), R(A, 2, 200), DO(SMS_N, 2), L(A, 1, 200)}},
	{"a login voids all codes of the uuid",
	 {R(A, 1, 200), DO(WAIT, 61 * S), R(A, 2, 200), L(A, 1, 200), L(A, 2, 401, "void"), R(A, 2, 400, "spent"),
	  SAW(CODE_VOID, 1)}},
	{"another device's code", {R(A, 1, 200), L(B, 1, 401, "no code"), L(A, 1, 200)}},
	{"a code works once after the grace",
	 {R(A, 1, 200), L(A, 1, 200), DO(WAIT, 181 * S), L(A, 1, 401, "used")}},
	{"the empty registration is never spent",
	 {R(A, 0, 200), DO(WAIT, 301 * S), R(A, 0, 200), DO(SMS_N, 2), L(A, 0, 200)}},
	{"the empty registration: live code, no second SMS", {R(A, 0, 200), DO(WAIT, 61 * S), R(A, 0, 200, "again"), DO(SMS_N, 1)}},
	{"the empty registration: three wrong, then a new one",
	 {R(A, 0, 200), W(A, 0, 401), W(A, 0, 401), W(A, 0, 401), R(A, 0, 429, "budget"), DO(WAIT, 60 * S),
	  R(A, 0, 200), L(A, 0, 200)}},
	{"another boot voids a code", {R(A, 1, 200), DO(REBOOT, 0), L(A, 1, 401, "expired"), R(A, 1, 400, "spent")}},
	{"a restart does not", {R(A, 1, 200), DO(RESTART, 0), R(A, 1, 200, "again"), L(A, 1, 200), DO(SMS_N, 1)}},
	{"a register never revokes",
	 {R(A, 1, 200), L(A, 1, 200), P(A, 0, 200), DO(WAIT, 61 * S), R(A, 2, 200), P(A, 0, 200), W(A, 2, 401),
	  P(A, 0, 200), F(A, 0, 200)}},
	{"a login does: one live family",
	 {R(A, 1, 200), L(A, 1, 200), P(A, 0, 200), DO(WAIT, 61 * S), R(A, 2, 200), L(A, 2, 200),
	  P(A, 0, 401, "family"), F(A, 0, 700, "family"), P(A, 1, 200), F(A, 1, 200), SAW(TOKEN_REVOKED, 1)}},
	/* ---- login grace ---- */
	{"login again within the grace: the very same tokens",
	 {R(A, 1, 200), L(A, 1, 200), DO(WAIT, 179 * S), L(A, 1, 200, "grace"), IS_SAME(0, 1), SAW(TOKEN_ISSUED, 2)}},
	{"not once a token was used", {R(A, 1, 200), L(A, 1, 200), P(A, 0, 200), L(A, 1, 401, "used")}},
	{"nor once it was refreshed", {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), L(A, 1, 401, "used")}},
	{"nor with a wrong code", {R(A, 1, 200), L(A, 1, 200), W(A, 1, 401, "wrong"), L(A, 1, 200, "grace")}},
	{"register within the grace: same 200, no SMS, same tokens",
	 {R(A, 1, 200), L(A, 1, 200), DO(WAIT, 162 * S), R(A, 1, 200, "again"), DO(SMS_N, 1), L(A, 1, 200), IS_SAME(0, 1)}},
	{"register with less than a tenth of the grace left: spent",
	 {R(A, 1, 200), L(A, 1, 200), DO(WAIT, 163 * S), R(A, 1, 400, "spent")}},
	{"a grace open at the last commit runs its full length from the next start",
	 {DO(GATE, GATEWAY_SUBMITS), R(A, 1, 200), L(A, 1, 200), DO(WAIT, 3600 * S), DO(RESTART, 0), DO(WAIT, 179 * S), L(A, 1, 200), IS_SAME(0, 1),
	  DO(WAIT, 2 * S), L(A, 1, 401, "used")}},
	{"and again at the start behind it, over a boot",
	 {DO(GATE, GATEWAY_SUBMITS), R(A, 1, 200), L(A, 1, 200), DO(WAIT, 900 * S), DO(RESTART, 0), DO(WAIT, 900 * S), DO(REBOOT, 0), DO(WAIT, 100 * S),
	  L(A, 1, 200), IS_SAME(0, 1)}},
	{"a grace that was over at the last commit stays over",
	 {DO(GATE, GATEWAY_SUBMITS), R(A, 1, 200), L(A, 1, 200), DO(WAIT, 200 * S), R(B, 1, 200), DO(RESTART, 0), L(A, 1, 401, "used")}},
	/* ---- budget ---- */
	{"60 s between two SMS", {R(A, 1, 200), DO(WAIT, 59 * S), R(A, 2, 429, "budget"), DO(WAIT, 1 * S), R(A, 2, 200)}},
	{"3 in 10 minutes",
	 {R(A, 1, 200), DO(WAIT, 60 * S), R(A, 2, 200), DO(WAIT, 60 * S), R(A, 3, 200), DO(WAIT, 60 * S),
	  R(A, 4, 429, "budget"), DO(WAIT, 419 * S), R(A, 4, 429), DO(WAIT, 1 * S), R(A, 4, 200), DO(SMS_N, 4)}},
	{"6 in 24 hours, other devices are free, a restart forgets nothing",
	 {R(A, 1, 200), DO(WAIT, 700 * S), R(A, 2, 200), DO(WAIT, 700 * S), R(A, 3, 200), DO(WAIT, 700 * S), R(A, 4, 200),
	  DO(WAIT, 700 * S), R(A, 5, 200), DO(WAIT, 700 * S), R(A, 6, 200), DO(WAIT, 700 * S), R(A, 7, 429, "budget"),
	  DO(RESTART, 0), R(A, 7, 429, "budget"), R(B, 1, 200), DO(WAIT, (86400 - 4200) * S), R(A, 7, 200), DO(SMS_N, 8)}},
	{"the fleet's cap",
	 {SETTING(FLEET_SMS_PER_DAY, 1), R(A, 1, 200), R(B, 1, 429, "budget"), DO(RESTART, 0), R(B, 1, 429, "budget"),
	  DO(WAIT, 86400 * S + 600 * S), R(B, 1, 200)}},
	{"off is off",
	 {SETTING(SMS_INTERVAL, SETTING_OFF), SETTING(SMS_PER_10MIN, SETTING_OFF), SETTING(SMS_PER_DAY, SETTING_OFF),
	  SETTING(FLEET_SMS_PER_DAY, SETTING_OFF), R(A, 1, 200), R(A, 2, 200), R(A, 3, 200), R(A, 4, 200), R(A, 5, 200),
	  R(A, 6, 200), R(A, 7, 200), DO(SMS_N, 7)}},
	{"a clock set back by a year locks nobody out for longer than a window",
	 {DO(STEP, INT64_C(86400) * 365 * S), R(A, 1, 200), DO(STEP, -INT64_C(86400) * 365 * S), DO(ACCEPT, 0), R(A, 2, 429, "budget"),
	  DO(WAIT, 60 * S), R(A, 2, 200), DO(SMS_N, 2)}},
	{"nor the fleet, and what was sent still counts, over a restart",
	 {SETTING(FLEET_SMS_PER_DAY, 1), DO(STEP, INT64_C(86400) * 365 * S), R(A, 1, 200),
	  DO(STEP, -INT64_C(86400) * 365 * S), DO(ACCEPT, 0), R(B, 1, 429, "budget"), DO(RESTART, 0), R(B, 1, 429, "budget"),
	  DO(WAIT, 86400 * S + 600 * S), R(B, 1, 200)}},
	/* ---- refresh ---- */
	{"the predecessor within the grace: the very same successor",
	 {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), DO(WAIT, 179 * S), F(A, 0, 200, "grace"), IS_SAME(1, 2), F(A, 1, 200)}},
	{"after the grace: revoked",
	 {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), DO(WAIT, 181 * S), F(A, 0, 700, "reused"), F(A, 1, 700, "revoked"),
	  P(A, 1, 401, "family"), SAW(TOKEN_REVOKED, 1)}},
	{"once the successor's access token was shown: revoked",
	 {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), P(A, 1, 200), F(A, 0, 700, "reused"), P(A, 1, 401)}},
	{"an older access token of the family shown is no sign of the successor",
	 {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), P(A, 0, 200), F(A, 0, 200, "grace"), IS_SAME(1, 2)}},
	{"shown is shown, expired or not",
	 {SETTING(ACCESS_TTL, 60 * (int64_t)NS_PER_S), R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), DO(WAIT, 61 * S),
	  P(A, 1, 401, "expired"), F(A, 0, 700, "reused"), F(A, 1, 700, "revoked")}},
	{"login's tokens too",
	 {SETTING(ACCESS_TTL, 60 * (int64_t)NS_PER_S), R(A, 1, 200), L(A, 1, 200), DO(WAIT, 61 * S),
	  P(A, 0, 401, "expired"), L(A, 1, 401, "used"), F(A, 0, 200)}},
	{"once the successor was refreshed: revoked",
	 {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), F(A, 1, 200), F(A, 0, 700, "reused"), F(A, 2, 700, "revoked")}},
	{"a refresh grace runs again after a restart",
	 {DO(GATE, GATEWAY_SUBMITS), R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), DO(WAIT, 3600 * S), DO(RESTART, 0), DO(WAIT, 179 * S),
	  F(A, 0, 200, "grace"), IS_SAME(1, 2)}},
	{"shown before the restart stays shown",
	 {R(A, 1, 200), L(A, 1, 200), F(A, 0, 200), P(A, 1, 200), DO(RESTART, 0), F(A, 0, 700, "reused")}},
	{"access as refresh: 700, and nothing revoked",
	 {R(A, 1, 200), L(A, 1, 200), WITH(REF_A, A, 0, 700, "token"), P(A, 0, 200), F(A, 0, 200)}},
	{"refresh as access: 401", {R(A, 1, 200), L(A, 1, 200), WITH(PUB_R, A, 0, 401, "token"), F(A, 0, 200)}},
	{"another device's token: 401, 700, nobody revoked",
	 {R(A, 1, 200), L(A, 1, 200), R(B, 1, 200), L(B, 1, 200), P(B, 0, 401, "owner"), F(B, 0, 700, "owner"), P(A, 0, 200),
	  F(A, 0, 200), P(B, 1, 200)}},
	{"access token ends at 15 min",
	 {R(A, 1, 200), L(A, 1, 200), DO(WAIT, 899 * S), P(A, 0, 200), DO(WAIT, 1 * S), P(A, 0, 401, "expired"), F(A, 0, 200),
	  P(A, 1, 200)}},
	{"refresh token ends after 30 idle days",
	 {R(A, 1, 200), L(A, 1, 200), DO(WAIT, INT64_C(86400) * 30 * S), F(A, 0, 700, "expired")}},
	{"a family ends after refresh_max",
	 {SETTING(REFRESH_MAX, 100 * (int64_t)NS_PER_S), R(A, 1, 200), L(A, 1, 200), DO(WAIT, 60 * S), F(A, 0, 200),
	  DO(WAIT, 39 * S), F(A, 1, 200), DO(WAIT, 1 * S), F(A, 2, 700, "expired")}},
	/* ---- who ---- */
	{"unknown uuid", {R(-1, 1, 403, "unknown"), W(-1, 1, 401, "unknown"), DO(SMS_N, 0)}},
	{"disabled on record", {R(X, 1, 403, "disabled"), W(X, 1, 401, "disabled"), DO(SMS_N, 0)}},
	{"disabled by the operator, at each resource, over a restart, and enabled again",
	 {R(A, 1, 200), L(A, 1, 200), WITH(OFF, A, 0, 0), P(A, 0, 403, "disabled"), F(A, 0, 403, "disabled"), R(A, 2, 403),
	  L(A, 1, 401, "disabled"), DO(RESTART, 0), P(A, 0, 403, "disabled"), WITH(ON, A, 0, 0), P(A, 0, 200), F(A, 0, 200)}},
	{"enabled although disabled on record", {WITH(ON, X, 0, 0), R(X, 1, 200), L(X, 1, 200)}},
	{"only TOTP on record: no SMS", {R(T, 1, 200, "totp"), DO(SMS_N, 0)}},
	{"strangers are limited by source, the fleet is not",
	 {SETTING(STRANGER_REGISTERS_PER_HOUR, 2), R(-1, 1, 403), R(X, 1, 403), R(-1, 1, 429, "strangers"), R(A, 1, 200),
	  DO(WAIT, 3000 * S), R(-1, 1, 429), DO(WAIT, 900 * S), R(-1, 1, 403)}},
};

static void check_code(const struct ask *a, const struct step *s)
{
	ck_assert_msg(a->code == s->code, "code %d (%s), not %d", a->code, a->why, s->code);
	if (s->why)
		ck_assert_str_eq(a->why, s->why);
}

static void run_step(struct ask *a, const struct step *s)
{
	switch (s->op) {
	case REG:
		ask_register(a, s->dev, s->reg);
		check_code(a, s);
		break;
	case LOGIN:
		ask_login(a, s->dev, s->reg, a->codes[s->n ? s->n : s->reg]);
		check_code(a, s);
		break;
	case WRONG:
		ask_login(a, s->dev, s->reg, "AAAAAAAAAAAA");
		check_code(a, s);
		if (a->code == 401) {
			ck_assert_str_eq(a->message, "INVALID CODE");
			ck_assert(a->is_signed);
		}
		break;
	case PUB:
	case PUB_R:
		ask_publish(a, s->dev, a->tokens[s->n][s->op == PUB_R]);
		check_code(a, s);
		ck_assert(!a->is_signed);
		if (a->code == 401)
			ck_assert_str_eq(a->message, strcmp(a->why, "expired") == 0 ? "TOKEN EXPIRED" : "INVALID TOKEN");
		break;
	case REF:
	case REF_A:
		ask_refresh(a, s->dev, a->tokens[s->n][s->op == REF]);
		check_code(a, s);
		if (a->code != 200)
			ck_assert(a->is_signed);
		break;
	case WAIT:
		ask_wait(a, s->n);
		break;
	case STEP:
		a->at.unix_ms += s->n;
		break;
	case ACCEPT:
		ck_assert_int_eq(clock_accept(a->en, &a->at), 0);
		break;
	case RESTART:
	case REBOOT:
		ask_restart(a, s->op == REBOOT);
		break;
	case OFF:
	case ON:
		ck_assert_int_eq(enroll_disable(a->en, test_uuids[s->dev], s->op == OFF), 0);
		ck_assert_int_eq(ask_turn(a), 0);
		break;
	case GATE:
		a->gateway = (enum ask_gateway)s->n;
		break;
	case SMS_N:
		ck_assert_uint_eq(a->sms, (unsigned)s->n);
		break;
	case PAIRS:
		ck_assert_uint_eq(a->slots, (unsigned)s->n);
		break;
	case SAME:
		ck_assert_str_eq(a->tokens[s->n][0], a->tokens[s->dev][0]);
		ck_assert_str_eq(a->tokens[s->n][1], a->tokens[s->dev][1]);
		break;
	case DIFFER:
		ck_assert_str_ne(a->tokens[s->n][1], a->tokens[s->dev][1]);
		break;
	case EVENT:
		ck_assert_uint_eq(a->events[s->reg], (unsigned)s->n);
		break;
	case SET:
		a->settings.v[s->reg] = s->n;
		break;
	default:
		break;
	}
}

START_TEST(story)
{
	const struct story *st = &stories[_i];
	struct ask a;

	ask_init(&a);
	for (const struct step *s = st->steps; s->op != END; s++) {
		fprintf(stderr, "%s%s: step %d\n", s == st->steps ? "\n" : "", st->name, (int)(s - st->steps));
		run_step(&a, s);
	}
	ask_fini(&a);
}
END_TEST

START_TEST(mismatches)
{
	struct msg_request m;
	struct ask a;

	ask_init(&a);
	for (int i = 0; i < 3; i++) {
		ask_prepare(&m, MSG_REGISTER, 0, 1);
		memcpy(i == 0 ? m.device_type : i == 1 ? m.serial_id : m.network_id, "another", 8);
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, 403);
		ck_assert_str_eq(a.why, "mismatch");
		ck_assert(a.is_signed);
	}
	ck_assert_uint_eq(a.sms, 0);
	ask_register(&a, 0, 1);
	for (int i = 0; i < 2; i++) {
		ask_prepare(&m, MSG_LOGIN, 0, 1);
		memcpy(i == 0 ? m.device_type : m.serial_id, "another", 8);
		snprintf(m.code, sizeof(m.code), "%s", a.codes[1]);
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, 401);
		ck_assert_str_eq(a.message, "INVALID CODE");
	}
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(a.code, 200);
	ask_fini(&a);
}
END_TEST

START_TEST(methods)
{
	static const struct {
		const char *offers[3];
		int code;
	} rows[] = {{{"SMS"}, 200}, {{"TOTP", "SMS"}, 200}, {{"PUSH", "SMS"}, 200}, {{"TOTP"}, 412}, {{"PUSH"}, 412}, {{NULL}, 412}};
	struct msg_request m;
	struct ask a;

	ask_init(&a);
	a.settings.v[SETTING_SMS_INTERVAL] = SETTING_OFF;
	a.settings.v[SETTING_SMS_PER_10MIN] = SETTING_OFF;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask_prepare(&m, MSG_REGISTER, 0, (int)i + 1);
		m.methods_n = 0;
		for (; rows[i].offers[m.methods_n]; m.methods_n++)
			snprintf(m.methods[m.methods_n], sizeof(m.methods[0]), "%s", rows[i].offers[m.methods_n]);
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, rows[i].code);
	}
	ask_fini(&a);
}
END_TEST

START_TEST(bad_tokens)
{
	struct msg_request m;
	struct ask a;
	char *huge = malloc(5001), *bent;

	memset(huge, 'a', 5000);
	huge[5000] = '\0';
	ask_init(&a);
	ask_register(&a, 0, 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ask_publish(&a, 0, "");
	ck_assert_int_eq(a.code, 401);
	ask_publish(&a, 0, "a.b.c");
	ck_assert_int_eq(a.code, 401);
	ask_publish(&a, 0, huge);
	ck_assert_int_eq(a.code, 413);
	ask_refresh(&a, 0, huge);
	ck_assert_int_eq(a.code, 413);
	ck_assert(a.is_signed);
	ask_refresh(&a, 0, "");
	ck_assert_int_eq(a.code, 700);
	bent = strdup(a.tokens[0][1]);
	bent[strlen(bent) - 10] = bent[strlen(bent) - 10] == 'A' ? 'B' : 'A';
	ask_refresh(&a, 0, bent);
	ck_assert_int_eq(a.code, 700);
	/* an unknown resource: 404 with a valid access token, 401 without */
	ask_prepare(&m, MSG_OTHER, 0, 0);
	snprintf(m.resource_name, sizeof(m.resource_name), "constructor");
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 401);
	m.authentication = a.tokens[0][1];
	m.authentication_len = strlen(m.authentication);
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 401);
	m.authentication = a.tokens[0][0];
	m.authentication_len = strlen(m.authentication);
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 404);
	ck_assert(!a.is_signed);
	ask_refresh(&a, 0, a.tokens[0][1]);
	ck_assert_int_eq(a.code, 200);
	free(bent);
	free(huge);
	ask_fini(&a);
}
END_TEST

START_TEST(publish_type)
{
	struct msg_request m;
	struct ask a;

	ask_init(&a);
	ask_register(&a, 0, 1);
	ask_login(&a, 0, 1, a.codes[1]);
	ask_prepare(&m, MSG_PUBLISH, 0, 0);
	m.authentication = a.tokens[0][0];
	m.authentication_len = strlen(m.authentication);
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 200);
	ck_assert_str_eq(a.message, "ACK for 1700000000000");
	snprintf(m.device_type, sizeof(m.device_type), "kettle");
	ask_request(&a, &m);
	ck_assert_int_eq(a.code, 403);
	ask_fini(&a);
}
END_TEST

START_TEST(signed_refusals)
{
	struct msg_request m;
	struct ask a;

	ask_init(&a);
	ask_prepare(&m, MSG_LOGIN, 0, 1);
	for (int i = 0; i < 6; i++) {
		unsigned had = a.peer.signed_refusals;

		ask_request(&a, &m);
		a.peer.signed_refusals = had + (i < 4);
		ck_assert_int_eq(a.code, i < 4 ? 401 : 429);
		ck_assert_int_eq(a.is_signed, i < 4);
		if (i >= 4)
			ck_assert_int_gt(a.retry_after_s, 0);
	}
	/* without a nonce nothing is signed, and nothing counted */
	a.peer.signed_refusals = 0;
	m.nonce[0] = '\0';
	for (int i = 0; i < 6; i++) {
		ask_request(&a, &m);
		ck_assert_int_eq(a.code, 401);
		ck_assert(!a.is_signed);
	}
	ask_fini(&a);
}
END_TEST

START_TEST(signature_verifies)
{
	struct token_keys *keys = token_keys_new();
	struct msg_response resp;
	struct msg_request m;
	struct reply *r;
	struct buf out;
	struct err e = {0};
	struct ask a;

	ask_init(&a);
	ck_assert_int_eq(token_keys_add(keys, test_pki()->token_public, &e), 0);
	ask_prepare(&m, MSG_REGISTER, -1, 1);
	r = reply_new(&a.peer, 0, &m);
	enroll_request(a.en, &a.at, r, &m, &a.fx);
	ck_assert(STAILQ_FIRST(&a.fx.replies) == r);
	buf_init(&out, MSG_REPLY_MAX);
	ck_assert_msg(reply_encode(r, enroll_signer(a.en), &out, &e) == 0, "%s", e.text);
	ck_assert_int_eq(msg_response_parse(out.data, out.len, &resp), 0);
	ck_assert_int_eq(resp.code, 403);
	ck_assert_ptr_nonnull(resp.signature);
	ck_assert_int_eq(reply_verify(keys, resp.signature,
				      &(struct reply_claims){.nonce = m.nonce,
							     .resource = "registerDevice",
							     .code = 403,
							     .payload = resp.payload,
							     .retry_after_s = -1},
				      &e),
			 0);
	msg_response_fini(&resp);
	buf_fini(&out);
	token_keys_free(keys);
	ask_fini(&a);
}
END_TEST

START_TEST(claims)
{
	struct token_keys *keys = token_keys_new();
	struct token_claims t, u;
	struct err e = {0};
	struct ask a;

	ask_init(&a);
	ck_assert_int_eq(token_keys_add(keys, test_pki()->token_public, &e), 0);
	ask_register(&a, 0, 1);
	ck_assert_str_eq(a.last_to, "+34600000000");
	ask_login(&a, 0, 1, a.codes[1]);
	ck_assert_int_eq(token_verify(keys, a.tokens[0][0], strlen(a.tokens[0][0]), 4096, &t, &e), 0);
	ck_assert_int_eq(token_verify(keys, a.tokens[0][1], strlen(a.tokens[0][1]), 4096, &u, &e), 0);
	ck_assert_str_eq(t.iss, "quicrig");
	ck_assert_str_eq(t.aud, "quicrig/access");
	ck_assert_str_eq(u.aud, "quicrig/refresh");
	ck_assert_str_eq(t.sub, test_uuids[0]);
	ck_assert_str_eq(t.data_uuid, test_uuids[0]);
	ck_assert_str_eq(t.data_device_type, "thermometer");
	ck_assert_str_eq(t.data_serial_id, "0000000000");
	ck_assert_str_eq(t.fam, u.fam);
	ck_assert_str_ne(t.jti, u.jti);
	ck_assert_int_eq(t.exp - t.iat, 900);
	ck_assert_int_eq(u.exp - u.iat, 30 * 86400);
	ck_assert_int_eq(t.nbf, t.iat);
	token_keys_free(keys);
	ask_fini(&a);
}
END_TEST

/* One of `text`'s registers that end in 403, at most two an hour. */
static bool stranger(struct strangers *s, const char *text)
{
	struct addr addr;
	int64_t wait_s = 0;

	ck_assert_int_eq(addr_parse(text, &addr), 0);
	return strangers_count(s, &addr, 2, 5000 * NS_PER_S, &wait_s);
}

START_TEST(sources)
{
	struct test_secret secret;
	struct strangers *s;

	test_secret_init(&secret, 5);
	s = strangers_new(&secret.base);
	/* a /64 is one source, whatever the rest and the port are */
	ck_assert(stranger(s, "[2001:db8:0:1::1]:1"));
	ck_assert(stranger(s, "[2001:db8:0:1:ffff::2]:2"));
	ck_assert(!stranger(s, "[2001:db8:0:1:a:b:c:d]:3"));
	ck_assert(stranger(s, "[2001:db8:0:2::1]:1"));
	/* a /32 of IPv4, also where it comes in mapped */
	ck_assert(stranger(s, "192.0.2.1:1"));
	ck_assert(stranger(s, "[::ffff:192.0.2.1]:2"));
	ck_assert(!stranger(s, "192.0.2.1:3"));
	ck_assert(stranger(s, "192.0.2.2:1"));
	strangers_free(s);
}
END_TEST

START_TEST(codes_are_unbiased)
{
	struct test_secret secret;
	unsigned n[256] = {0};
	char code[CODE_LEN + 1];

	test_secret_init(&secret, 7);
	for (int i = 0; i < 62000; i++) {
		code_draw(&secret.base, code);
		for (int k = 0; k < CODE_LEN; k++)
			n[(unsigned char)code[k]]++;
	}
	/* 12,000 expected each; six sigmas are 660 */
	for (int c = 0; c < 256; c++) {
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
			ck_assert(n[c] > 11300 && n[c] < 12700);
		else
			ck_assert_uint_eq(n[c], 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("enroll");
	TCase *t = tcase_create("stories");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 50);
	tcase_add_loop_test(t, story, 0, (int)(sizeof(stories) / sizeof(stories[0])));
	tcase_add_test(t, mismatches);
	tcase_add_test(t, methods);
	tcase_add_test(t, bad_tokens);
	tcase_add_test(t, publish_type);
	tcase_add_test(t, signed_refusals);
	tcase_add_test(t, signature_verifies);
	tcase_add_test(t, claims);
	tcase_add_test(t, sources);
	tcase_add_test(t, codes_are_unbiased);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
