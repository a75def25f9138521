#include "hil/judge/table.h"

#include <stddef.h>

#define IN(s)                          (1u << STATE_##s)
#define IN2(a, b)                      (IN(a) | IN(b))
#define IN4(a, b, c, d)                (IN(a) | IN(b) | IN(c) | IN(d))
#define TIMER(s, event, to)            [ROW_##s##_##event] = {IN(s), IN(to), NEED_NONE, 0, false}
#define REPLY(s, code, to)             [ROW_##s##_##code] = {IN(s), IN(to), NEED_CODE, code, false}
#define REFUSED(s, code, to)           [ROW_##s##_##code] = {IN(s), IN(to), NEED_CODE, code, true}
#define GRANTED(s, event, to)          [ROW_##s##_##event] = {IN(s), IN(to), NEED_CODE, 200, false}
#define TOLD(s, event, from, to)       [ROW_##s##_##event] = {from, to, NEED_COMMAND, 200, true}
#define NOTED(s, event, from)          [ROW_##s##_##event] = {from, from, NEED_COMMAND, 200, false}
/* `T` of protocol.md §3, behind 429 and 503 */
#define NO_REPLY(s, to)                                                                                        \
	[ROW_##s##_UNKNOWN] = {IN(s), IN(to), NEED_UNKNOWN, 0, false},                                         \
	[ROW_##s##_NO_CODE] = {IN(s), IN(to), NEED_NO_CODE, 0, false},                                         \
	[ROW_##s##_NO_ANSWER] = {IN(s), IN(to), NEED_SILENCE, 0, false},                                       \
	[ROW_##s##_LINK_LOST] = {IN(s), IN(to), NEED_SILENCE, 0, false}

/* A command IDLE comes "after the 200's state change", so a row named after the state
 * of the request may start where that 200 led to. */
#define AFTER_RG IN4(RG, AC, LI, NP)
#define AFTER_LI (IN(LI) | IN(PV) | IN(NP))
#define AFTER_RF (IN(RF) | IN(PV) | IN(NP))

static const struct rule rules[ROW_END] = {
	TIMER(OFF, ON_TOKENS, PV),
	TIMER(OFF, ON, NP),

	TIMER(NP, BACKOFF, RG),
	TIMER(NP, SMS, NP),
	TIMER(NP, HOLD_OVER, NP),
	TIMER(NP, LATE, NP),
	TOLD(NP, CMD_IDLE, IN(NP), IN(IDLE)),

	TIMER(RG, SMS, RG),
	GRANTED(RG, 200_SMS, AC),
	GRANTED(RG, 200_HELD, LI),
	GRANTED(RG, 200_TOTP, LI),
	GRANTED(RG, 200_BAD, NP),
	REFUSED(RG, 401, IDLE),
	REFUSED(RG, 403, IDLE),
	REFUSED(RG, 412, IDLE),
	REPLY(RG, 400, NP),
	REPLY(RG, 404, NP),
	REPLY(RG, 413, NP),
	REFUSED(RG, 700, NP),
	REPLY(RG, 429, NP),
	REPLY(RG, 503, NP),
	NO_REPLY(RG, NP),
	NOTED(RG, CMD_OTHER, AFTER_RG),

	TIMER(AC, SMS, LI),
	TIMER(AC, SMS_OTHER, AC),
	TIMER(AC, CODE_WAIT, NP),
	TIMER(AC, LATE, AC),
	TOLD(AC, CMD_IDLE, IN(AC), IN(IDLE)),

	GRANTED(LI, 200, PV),
	GRANTED(LI, 200_BAD, NP),
	REFUSED(LI, 401, IDLE),
	REFUSED(LI, 403, IDLE),
	REFUSED(LI, 412, IDLE),
	REPLY(LI, 400, NP),
	REPLY(LI, 404, NP),
	REPLY(LI, 413, NP),
	REFUSED(LI, 700, NP),
	REPLY(LI, 429, NP),
	REPLY(LI, 503, NP),
	NO_REPLY(LI, NP),
	TOLD(LI, CMD_IDLE, AFTER_LI, IN(IDLE)),
	NOTED(LI, CMD_OTHER, AFTER_LI),

	TIMER(PV, DUE, PV),
	GRANTED(PV, 200, PV),
	REPLY(PV, 401, RF),
	REPLY(PV, 403, RF),
	REPLY(PV, 400, PV),
	REPLY(PV, 404, PV),
	REPLY(PV, 412, PV),
	REPLY(PV, 413, PV),
	REPLY(PV, 429, PV),
	REPLY(PV, 503, PV),
	REFUSED(PV, 700, NP),
	NO_REPLY(PV, PV),
	TOLD(PV, CMD_RESET, IN(PV), IN(NP)),
	TOLD(PV, CMD_PAUSE, IN(PV), IN(PA)),
	TOLD(PV, CMD_CONFIG, IN(PV), IN(PV)),
	TOLD(PV, CMD_KEYS, IN(PV), IN(PV)),
	TOLD(PV, CMD_IDLE, IN(PV), IN(IDLE)),
	NOTED(PV, CMD_OTHER, IN(PV)),

	TIMER(RF, SEND, RF),
	GRANTED(RF, 200, PV),
	GRANTED(RF, 200_BAD, NP),
	REFUSED(RF, 401, IDLE),
	REFUSED(RF, 403, IDLE),
	REFUSED(RF, 412, IDLE),
	REFUSED(RF, 700, NP),
	REFUSED(RF, 400, RF),
	REFUSED(RF, 404, RF),
	REFUSED(RF, 413, RF),
	[ROW_RF_REJECTED_10] = {IN(RF), IN(NP), NEED_REJECTED, 0, true},
	REPLY(RF, 429, RF),
	REPLY(RF, 503, RF),
	NO_REPLY(RF, RF),
	NOTED(RF, CMD_OTHER, AFTER_RF),

	TIMER(PA, OVER, PV),
	TIMER(PA, LATE, PA),
	TIMER(IDLE, LATE, IDLE),

	TIMER(NP, OFF, OFF),
	TIMER(RG, OFF, OFF),
	TIMER(AC, OFF, OFF),
	TIMER(LI, OFF, OFF),
	TIMER(PV, OFF, OFF),
	TIMER(RF, OFF, OFF),
	TIMER(PA, OFF, OFF),
	TIMER(IDLE, OFF, OFF),
};

#define WAITS(S, event)   [ROW_##S##_##event] = {.wait = BACKS_OFF}
#define ANEW(S, event)    [ROW_##S##_##event] = {.wait = BACKS_OFF, .new_registration = true}
#define SENDS(S, event)   [ROW_##S##_##event] = {.sends = true}
#define STAYS(S, event)   [ROW_##S##_##event] = {.stays = true}
#define T_WAITS(S)                                                                                             \
	WAITS(S, 429), WAITS(S, 503), WAITS(S, UNKNOWN), WAITS(S, NO_CODE), WAITS(S, NO_ANSWER), WAITS(S, LINK_LOST)
#define R_WAITS(S)        WAITS(S, 400), WAITS(S, 404), WAITS(S, 413)
#define R_ANEW(S)         ANEW(S, 400), ANEW(S, 404), ANEW(S, 413)

/* protocol.md §3: `T` backs off, `R` too but for publish's, and "new registration" as
 * its table and §2 have it. */
static const struct rule_effect effects[ROW_END] = {
	[ROW_OFF_ON_TOKENS] = {.new_registration = true},
	[ROW_OFF_ON] = {.new_registration = true},

	SENDS(NP, BACKOFF),
	STAYS(NP, SMS),
	[ROW_NP_HOLD_OVER] = {.new_registration = true, .stays = true},
	STAYS(NP, LATE),

	STAYS(RG, SMS),
	SENDS(RG, 200_HELD),
	SENDS(RG, 200_TOTP),
	WAITS(RG, 200_BAD),
	R_ANEW(RG),
	ANEW(RG, 700),
	T_WAITS(RG),
	STAYS(RG, CMD_OTHER),

	SENDS(AC, SMS),
	STAYS(AC, SMS_OTHER),
	ANEW(AC, CODE_WAIT),
	STAYS(AC, LATE),

	ANEW(LI, 200_BAD),
	R_ANEW(LI),
	ANEW(LI, 700),
	T_WAITS(LI),
	STAYS(LI, CMD_OTHER),

	SENDS(PV, DUE),
	[ROW_PV_401] = {.wait = BACKS_OFF_UNPROVEN},
	[ROW_PV_403] = {.wait = BACKS_OFF_UNPROVEN},
	ANEW(PV, 700),
	T_WAITS(PV),
	ANEW(PV, CMD_RESET),
	STAYS(PV, CMD_KEYS),
	STAYS(PV, CMD_OTHER),

	SENDS(RF, SEND),
	ANEW(RF, 200_BAD),
	ANEW(RF, 700),
	R_WAITS(RF),
	ANEW(RF, REJECTED_10),
	T_WAITS(RF),
	STAYS(RF, CMD_OTHER),

	STAYS(PA, LATE),
	STAYS(IDLE, LATE),
};

const struct rule_effect *rule_effect(enum row_name row)
{
	return &effects[row < ROW_END ? row : ROW_NONE];
}

const struct rule *rule_of(enum row_name row)
{
	return row > ROW_NONE && row < ROW_END && rules[row].from ? &rules[row] : NULL;
}

bool rule_allows_from(const struct rule *r, enum state_name from)
{
	return r->from & 1u << from;
}

bool rule_allows_to(const struct rule *r, enum state_name to)
{
	return r->to & 1u << to;
}

bool code_known(int64_t code)
{
	static const int known[] = {200, 400, 401, 403, 404, 412, 413, 429, 503, 700};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == code)
			return true;
	return false;
}
