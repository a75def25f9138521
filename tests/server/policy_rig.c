#include "tests/server/policy_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ask a;

void setup(void)
{
	ask_init(&a);
}

void teardown(void)
{
	ask_fini(&a);
}

void bootstrap(int dev, int reg)
{
	ask_register(&a, dev, reg);
	ck_assert_int_eq(a.code, 200);
	ask_login(&a, dev, reg, a.codes[reg]);
	ck_assert_int_eq(a.code, 200);
}

unsigned refresh(int dev, unsigned n, int code, const char *why)
{
	ask_refresh(&a, dev, a.tokens[n][1]);
	ck_assert_msg(a.code == code && (!why || strcmp(a.why, why) == 0), "%d (%s), not %d (%s)", a.code, a.why, code,
		      why ? why : "any");
	ck_assert(a.code == 200 || a.code == 503 || a.is_signed);
	return a.slots;
}

void lax(void)
{
	a.settings.v[SETTING_SMS_INTERVAL] = a.settings.v[SETTING_SMS_PER_10MIN] = a.settings.v[SETTING_SMS_PER_DAY] = SETTING_OFF;
}

void ask_done(enum msg_resource res, int dev, int reg, const char *token, const char *id)
{
	struct msg_request m;

	ask_prepare(&m, res, dev, reg);
	m.authentication = strdup(token);
	m.authentication_len = strlen(token);
	if (res == MSG_LOGIN)
		snprintf(m.code, sizeof(m.code), "%s", a.codes[reg]);
	snprintf(m.done[m.done_n++], sizeof(m.done[0]), "%s", id);
	ask_request(&a, &m);
	free(m.authentication);
}

TCase *tcase(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 50);
	tcase_add_checked_fixture(t, setup, teardown);
	suite_add_tcase(s, t);
	return t;
}
