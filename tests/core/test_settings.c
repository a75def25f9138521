/* Settings: the defaults of protocol.md §5, and texts that say what is wrong. */
#include "core/settings.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S   INT64_C(1000000000)
#define DAY (86400 * S)

START_TEST(defaults_as_the_protocol_says)
{
	struct settings s;

	settings_default(&s);
	ck_assert_int_eq(s.v[SETTING_CODE_WAIT], 120 * S);
	ck_assert_int_eq(s.v[SETTING_REFRESH_IDLE], 30 * DAY);
	ck_assert_int_eq(s.v[SETTING_REFRESH_MAX], 180 * DAY);
	ck_assert_int_eq(s.v[SETTING_KEY_OVERLAP], 200 * DAY);
	ck_assert_int_eq(s.v[SETTING_REQUEST_MAX], 8192);
	ck_assert_int_eq(s.v[SETTING_CONNECTION], 0);
	ck_assert_int_eq(s.v[SETTING_SMS_PER_DAY], 6);
	ck_assert_int_eq(s.v[SETTING_CONNECTIONS_PER_SOURCE], SETTING_OFF);
	ck_assert_uint_eq(setting_ns(&s, SETTING_ACCESS_TTL), 900 * (uint64_t)S);
}
END_TEST

START_TEST(the_rigs_own)
{
	struct settings s, d;

	settings_rig(&s);
	settings_default(&d);
	ck_assert_int_eq(s.v[SETTING_SMS_INTERVAL], S);
	ck_assert_int_eq(s.v[SETTING_SMS_PER_10MIN], SETTING_OFF);
	ck_assert_int_eq(s.v[SETTING_SMS_PER_DAY], SETTING_OFF);
	ck_assert_int_eq(s.v[SETTING_FLEET_SMS_PER_DAY], SETTING_OFF);
	ck_assert_int_eq(s.v[SETTING_STRANGER_REGISTERS_PER_HOUR], SETTING_OFF);
	ck_assert_int_eq(s.v[SETTING_CODE_TTL], d.v[SETTING_CODE_TTL]);
}
END_TEST

START_TEST(every_row_round_trips)
{
	for (int k = 0; k < SETTING_COUNT; k++) {
		enum setting id = (enum setting)k;
		struct settings s;
		char text[64];
		int64_t back = -1;
		struct err e = {0};

		settings_default(&s);
		ck_assert_int_eq(setting_by_name(setting_name(id)), k);
		ck_assert_str_ne(setting_doc(id), "");
		setting_format(id, s.v[k], text, sizeof(text));
		ck_assert_msg(setting_parse(id, text, &back, &e) == 0, "%s: %s", setting_name(id), e.text);
		ck_assert_int_eq(back, s.v[k]);
		if (setting_unit(id) == SETTING_UNIT_WORD)
			continue;
		/* a value that no unit divides, and the next few */
		for (int64_t i = 0; i < 3; i++) {
			int64_t v = i + (s.v[k] == SETTING_OFF ? 1000 : s.v[k]);

			if (setting_parse(id, setting_format(id, v, text, sizeof(text)), &back, NULL) == 0)
				ck_assert_int_eq(back, v);
			else /* whole seconds only */
				ck_assert(id == SETTING_PUBLISH_INTERVAL || id == SETTING_ACCESS_TTL);
		}
	}
	ck_assert_int_eq(setting_by_name("nonsense"), -1);
	ck_assert_int_eq(setting_by_name(""), -1);
}
END_TEST

START_TEST(good_values)
{
	static const struct {
		enum setting k;
		const char *text;
		int64_t want;
	} rows[] = {
		{SETTING_CODE_TTL, "15m", 900 * S},
		{SETTING_CODE_TTL, "2s", 2 * S},
		{SETTING_CODE_TTL, "300 ms", 300 * S / 1000},
		{SETTING_CODE_TTL, "0.5s", S / 2},
		{SETTING_CODE_TTL, "0.1s", S / 10},
		{SETTING_CODE_TTL, "1.5h", 5400 * S},
		{SETTING_CODE_TTL, "7us", 7000},
		{SETTING_CODE_TTL, "1ns", 1},
		{SETTING_REFRESH_IDLE, "30d", 30 * DAY},
		{SETTING_REQUEST_MAX, "8KiB", 8192},
		{SETTING_REQUEST_MAX, "0.5KiB", 512},
		{SETTING_REQUEST_MAX, "4096", 4096},
		{SETTING_REQUEST_MAX, "1MiB", 1 << 20},
		{SETTING_SMS_PER_DAY, "0", 0},
		{SETTING_SMS_PER_DAY, "off", SETTING_OFF},
		{SETTING_REFRESH_GRACE, "0s", 0},
		{SETTING_CONNECTION, "hold", 1},
		{SETTING_CONNECTION, "close", 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		int64_t v = -1;

		ck_assert_msg(setting_parse(rows[i].k, rows[i].text, &v, &e) == 0, "%s: %s", rows[i].text, e.text);
		ck_assert_msg(v == rows[i].want, "%s: %" PRId64, rows[i].text, v);
	}
}
END_TEST

START_TEST(bad_values_and_what_to_write_instead)
{
	static const struct {
		enum setting k;
		const char *text;
		int code;
		const char *says;
	} rows[] = {
		{SETTING_CODE_TTL, "30", ERR_PARSE, "'30' has no unit: write 30s or 30ms"},
		{SETTING_CODE_TTL, "", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "s", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "-1s", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "1h30m", ERR_PARSE, "one of ns us ms s m h d"},
		{SETTING_CODE_TTL, "1w", ERR_PARSE, "one of ns us ms s m h d"},
		{SETTING_CODE_TTL, "1.s", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "0.5ns", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "1s ", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "0s", ERR_LIMIT, "at least 1ns"},
		{SETTING_CODE_TTL, "99999999d", ERR_LIMIT, "hundred years"},
		{SETTING_CODE_TTL, "99999999999999999999s", ERR_PARSE, "is not a duration"},
		{SETTING_CODE_TTL, "off", ERR_PARSE, "cannot be off"},
		{SETTING_PUBLISH_INTERVAL, "1500ms", ERR_LIMIT, "whole number of seconds"},
		{SETTING_PUBLISH_INTERVAL, "25h", ERR_LIMIT, "at most 1d"},
		{SETTING_ACCESS_TTL, "0.5s", ERR_LIMIT, "whole number of seconds"},
		{SETTING_REQUEST_MAX, "8KB", ERR_PARSE, "write bytes, KiB or MiB"},
		{SETTING_REQUEST_MAX, "0.3", ERR_PARSE, "is not a size"},
		{SETTING_REQUEST_MAX, "0", ERR_LIMIT, "at least 256"},
		{SETTING_REQUEST_MAX, "9999999MiB", ERR_LIMIT, "more than"},
		{SETTING_TOKEN_MAX, "1MiB", ERR_LIMIT, "at most 64KiB"},
		{SETTING_CODE_TRIES, "3.5", ERR_PARSE, "write a whole number"},
		{SETTING_CODE_TRIES, "three", ERR_PARSE, "write a whole number"},
		{SETTING_CODE_TRIES, "0", ERR_LIMIT, "at least 1"},
		{SETTING_CODE_TRIES, "off", ERR_PARSE, "cannot be off"},
		{SETTING_SMS_PER_DAY, "x", ERR_PARSE, "or off"},
		{SETTING_IDLE_TIMEOUT, "999us", ERR_LIMIT, "at least 1ms"},
		{SETTING_STREAMS, "9999999999", ERR_LIMIT, "more than"},
		{SETTING_JSON_DEPTH, "2000", ERR_LIMIT, "at most 64"},
		{SETTING_CONNECTION, "open", ERR_PARSE, "neither close nor hold"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		int64_t v = -7;

		ck_assert_msg(setting_parse(rows[i].k, rows[i].text, &v, &e) == rows[i].code, "'%s': %s", rows[i].text,
			      e.text);
		ck_assert_msg(strstr(e.text, rows[i].says) != NULL, "'%s' says: %s", rows[i].text, e.text);
		ck_assert_msg(strstr(e.text, setting_name(rows[i].k)) != NULL, "no name in: %s", e.text);
		ck_assert_int_eq(v, -7);
	}
}
END_TEST

START_TEST(assignments)
{
	char longer[200];
	struct settings s;
	struct err e = {0};

	settings_default(&s);
	ck_assert_int_eq(settings_set(&s, "code_ttl=30s", &e), 0);
	ck_assert_int_eq(s.v[SETTING_CODE_TTL], 30 * S);
	ck_assert_int_eq(settings_set(&s, "code_ttl", &e), ERR_PARSE);
	ck_assert_ptr_nonnull(strstr(e.text, "NAME=VALUE"));
	memset(&e, 0, sizeof(e));
	ck_assert_int_eq(settings_set(&s, "code_tl=30s", &e), ERR_PARSE);
	ck_assert_str_eq(e.text, "no setting is called 'code_tl'");
	memset(longer, 'x', sizeof(longer));
	strcpy(longer + sizeof(longer) - 3, "=1");
	ck_assert_int_eq(settings_set(&s, longer, NULL), ERR_PARSE);
	ck_assert_int_eq(settings_set(&s, "=1", NULL), ERR_PARSE);
	ck_assert_int_eq(s.v[SETTING_CODE_TTL], 30 * S);
}
END_TEST

START_TEST(durations_alone)
{
	time_ns t = 0;

	ck_assert_int_eq(duration_parse("90s", &t), 0);
	ck_assert_uint_eq(t, 90 * (uint64_t)S);
	ck_assert_int_eq(duration_parse("0.25ms", &t), 0);
	ck_assert_uint_eq(t, 250000);
	ck_assert_int_eq(duration_parse("0s", &t), 0);
	ck_assert_uint_eq(t, 0);
	ck_assert_int_eq(duration_parse("90", &t), ERR_PARSE);
	ck_assert_int_eq(duration_parse("1h30m", &t), ERR_PARSE);
	ck_assert_int_eq(duration_parse("99999999d", &t), ERR_PARSE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("settings");
	TCase *t = tcase_create("settings");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, defaults_as_the_protocol_says);
	tcase_add_test(t, the_rigs_own);
	tcase_add_test(t, every_row_round_trips);
	tcase_add_test(t, good_values);
	tcase_add_test(t, bad_values_and_what_to_write_instead);
	tcase_add_test(t, assignments);
	tcase_add_test(t, durations_alone);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
