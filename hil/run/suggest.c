#include "hil/run/suggest.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* What goes into a scenario between its name and its `expect`, a line each. */
#define LINE(text)     "    " text "\n"
#define ONE            LINE("devices: {count: 1}")
#define HOLDS          LINE("devices: {count: 1, connection: hold}")
#define SCRIPTED       LINE("server: scripted") LINE("answers:")
#define ANSWER(text)   LINE("  - {" text "}")
#define STEPS          LINE("steps:")
#define IN_PROVISIONED LINE("  - {wait: PROVISIONED, within: 30s}")
#define SLEEP(span)    LINE("  - {sleep: " span "}")
#define CYCLE_IN(state)                                                                                        \
	LINE("faults:") LINE("  - {on: device.state, match: {to: " state "}, do: power_cycle}")
#define COMMAND(text) ONE STEPS IN_PROVISIONED LINE("  - {command: {" text "}, who: A}") SLEEP("8s")
/* the first publish, well before 500 ms, meets a 401 */
#define REFRESHES ANSWER("to: publishMeasure, each: true, until: 500ms, code: 401")

static const struct {
	enum row_name row;
	const char *body;
} bodies[] = {
	{ROW_OFF_ON_TOKENS, ONE STEPS IN_PROVISIONED LINE("  - {power_cycle: A}") IN_PROVISIONED},
	{ROW_OFF_ON, ONE},
	{ROW_NP_BACKOFF, ONE},
	{ROW_NP_SMS, ONE SCRIPTED ANSWER("to: registerDevice, code: 503, retry_after: 5s")},
	{ROW_NP_HOLD_OVER,
	 LINE("settings: {code_hold: 2s}") ONE SCRIPTED ANSWER("to: registerDevice, code: 503, retry_after: 5s")},
	{ROW_NP_LATE, HOLDS SCRIPTED ANSWER("to: registerDevice, code: 200, with_next: true")
			      ANSWER("to: registerDevice, code: 503")},
	{ROW_NP_CMD_IDLE, ONE SCRIPTED ANSWER("to: registerDevice, payload: none, command: {name: IDLE}")},
	{ROW_NP_OFF, ONE SCRIPTED ANSWER("to: registerDevice, code: 503")
			     LINE("faults:") LINE("  - {on: device.state, match: {row: RG.503}, do: power_cycle}")},

	{ROW_RG_SMS, ONE SCRIPTED ANSWER("to: registerDevice, link: silent")},
	{ROW_RG_200_SMS, ONE},
	{ROW_RG_200_HELD, ONE SCRIPTED ANSWER("to: registerDevice, link: silent")},
	{ROW_RG_200_TOTP, LINE("devices: {count: 1, methods: [TOTP], registered: [TOTP]}")},
	{ROW_RG_200_BAD, ONE SCRIPTED ANSWER("to: registerDevice, payload: none")},
	{ROW_RG_CMD_OTHER, ONE SCRIPTED ANSWER("to: registerDevice, command: {name: PAUSE, seconds: 5}")},
	{ROW_RG_OFF, ONE CYCLE_IN("REGISTERING")},

	{ROW_AC_SMS, ONE},
	{ROW_AC_SMS_OTHER, LINE("settings: {code_wait: 2s}") ONE LINE("faults:")
				   LINE("  - {on: sms.submitted, do: replace_sender, with: \"+34000000000\"}")},
	{ROW_AC_CODE_WAIT,
	 LINE("settings: {code_wait: 2s}") ONE LINE("faults:") LINE("  - {on: sms.submitted, do: lose}")},
	{ROW_AC_CMD_IDLE, ONE SCRIPTED ANSWER("to: registerDevice, command: {name: IDLE}")},
	{ROW_AC_LATE, LINE("settings: {code_wait: 2s}") HOLDS SCRIPTED ANSWER("to: registerDevice, code: 403, with_next: true")
			      LINE("faults:") LINE("  - {on: sms.submitted, do: lose}")},
	{ROW_AC_OFF, ONE CYCLE_IN("AWAITING_CODE")},

	{ROW_LI_200, ONE},
	{ROW_LI_200_BAD, ONE SCRIPTED ANSWER("to: login, tokens: missing")},
	/* behind register's 200, whose code it holds already */
	{ROW_LI_CMD_IDLE, ONE SCRIPTED ANSWER("to: registerDevice, code: 503")
				  ANSWER("to: registerDevice, command: {name: IDLE}")},
	{ROW_LI_CMD_OTHER, ONE SCRIPTED ANSWER("to: login, command: {name: RESET}")},
	{ROW_LI_OFF, ONE CYCLE_IN("LOGGING_IN")},

	{ROW_PV_DUE, ONE},
	{ROW_PV_200, ONE STEPS IN_PROVISIONED SLEEP("2s")},
	{ROW_PV_CMD_RESET, COMMAND("name: RESET")},
	{ROW_PV_CMD_PAUSE, COMMAND("name: PAUSE, seconds: 2")},
	{ROW_PV_CMD_CONFIG, COMMAND("name: CONFIG, publish_interval: 2")},
	{ROW_PV_CMD_KEYS, COMMAND("name: KEYS")},
	{ROW_PV_CMD_IDLE, COMMAND("name: IDLE")},
	{ROW_PV_CMD_OTHER, COMMAND("name: UNKNOWN")},
	{ROW_PV_OFF, ONE STEPS IN_PROVISIONED LINE("  - {power_cycle: A}") IN_PROVISIONED},

	{ROW_RF_SEND, ONE SCRIPTED REFRESHES ANSWER("to: refreshToken, code: 503") STEPS IN_PROVISIONED SLEEP("4s")},
	{ROW_RF_200, ONE SCRIPTED REFRESHES STEPS IN_PROVISIONED SLEEP("4s")},
	{ROW_RF_200_BAD, ONE SCRIPTED REFRESHES ANSWER("to: refreshToken, tokens: missing") STEPS IN_PROVISIONED SLEEP("4s")},
	{ROW_RF_REJECTED_10, LINE("timeout: 900s") ONE SCRIPTED REFRESHES
				     ANSWER("to: refreshToken, each: true, times: 10, code: 404") STEPS IN_PROVISIONED
					     SLEEP("600s")},
	{ROW_RF_CMD_OTHER, ONE SCRIPTED REFRESHES ANSWER("to: refreshToken, command: {name: CONFIG, publish_interval: 1}")
				   STEPS IN_PROVISIONED SLEEP("4s")},
	{ROW_RF_OFF, ONE SCRIPTED REFRESHES CYCLE_IN("REFRESHING") STEPS IN_PROVISIONED SLEEP("4s")},

	{ROW_PA_OVER, COMMAND("name: PAUSE, seconds: 2")},
	{ROW_PA_LATE, HOLDS SCRIPTED ANSWER("to: publishMeasure, code: 503, with_next: true")
			      ANSWER("to: publishMeasure, command: {name: PAUSE, seconds: 3}") STEPS
				      LINE("  - {wait: PAUSED, within: 30s}")},
	{ROW_PA_OFF, ONE STEPS IN_PROVISIONED LINE("  - {command: {name: PAUSE, seconds: 600}, who: A}")
			     LINE("  - {wait: PAUSED, within: 30s}") LINE("  - {power_cycle: A}") IN_PROVISIONED},
	{ROW_IDLE_LATE, HOLDS SCRIPTED ANSWER("to: registerDevice, code: 503, with_next: true")
				ANSWER("to: registerDevice, code: 403")},
	{ROW_IDLE_OFF, LINE("devices: {count: 1, known: false}") STEPS LINE("  - {wait: IDLE, within: 30s}")
			       LINE("  - {power_cycle: A}") LINE("  - {wait: IDLE, within: 30s}")},
};

/* The reply events of ROW_REPLIES: what makes a server give them. */
static const char *answer_of(const char *event, char *text, size_t size)
{
	if (strcmp(event, "unknown") == 0)
		return "code: 599";
	if (strcmp(event, "no_code") == 0)
		return "body: no_code";
	if (strcmp(event, "no_answer") == 0)
		return "link: silent";
	if (strcmp(event, "link_lost") == 0)
		return "link: close";
	snprintf(text, size, "code: %s", event);
	return text;
}

static void put_reply(struct buf *out, enum row_name row)
{
	static const char *const asked[STATE_COUNT] = {[STATE_RG] = "registerDevice", [STATE_LI] = "login",
						       [STATE_PV] = "publishMeasure", [STATE_RF] = "refreshToken"};
	enum state_name state = row_state(row);
	char text[24];

	buf_puts(out, ONE SCRIPTED);
	if (state == STATE_RF)
		buf_puts(out, REFRESHES);
	buf_printf(out, LINE("  - {to: %s, %s}"), asked[state],
		   answer_of(strchr(row_id(row), '.') + 1, text, sizeof(text)));
	if (state == STATE_PV || state == STATE_RF)
		buf_puts(out, STEPS IN_PROVISIONED SLEEP("4s"));
}

static void put_name(struct buf *out, const char *id)
{
	buf_puts(out, "\n  - name: ");
	for (; *id; id++) {
		char c = isalnum((unsigned char)*id) ? (char)tolower((unsigned char)*id) : '-';

		buf_add(out, &c, 1);
	}
	buf_puts(out, "\n");
}

static void put_row(struct buf *out, enum row_name row)
{
	size_t i = 0;

	while (i < sizeof(bodies) / sizeof(bodies[0]) && bodies[i].row != row)
		i++;
	put_name(out, row_id(row));
	if (i < sizeof(bodies) / sizeof(bodies[0]))
		buf_puts(out, bodies[i].body);
	else
		put_reply(out, row);
	buf_printf(out, LINE("expect:") LINE("  seen: {event: device.state, match: {row: %s}, count: \">= 1\"}"),
		   row_id(row));
}

unsigned suggest_missing(const uint64_t rows[ROW_END], struct buf *out)
{
	unsigned n = 0;

	for (unsigned row = 1; row < ROW_END; row++) {
		if (rows[row])
			continue;
		if (!n)
			buf_puts(out, "# Rows of the transition table that a run did not exercise, a scenario each. They say no more\n"
				      "# than that the row is taken: what else must hold there is yours to add.\n"
				      "version: 1\nsuite: missing\n"
				      "defaults: {timeout: 60s, rigs: [virtual], settings: {request_timeout: 1s, sms_interval: 100ms, "
				      "publish_interval: 5s}}\n"
				      "scenarios:");
		n++;
		put_row(out, (enum row_name)row);
	}
	return n;
}
