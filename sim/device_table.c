/* The device's transition table (protocol.md §3): what each row leads to and does.
 * A lost link or a timeout always leads back to a retry, so a device cannot get stuck.
 * An authenticated refusal does not: asking again would only cost airtime. */
#include "sim/device_priv.h"

#define ROW(S, C, next, actions) [STATE_##S][CAUSE_##C] = {ROW_##S##_##C, STATE_##next, (actions)}

/* T: try again. */
#define AGAIN(S, next, actions)                                                                                \
	ROW(S, 429, next, actions), ROW(S, 503, next, actions), ROW(S, UNKNOWN, next, actions),                \
		ROW(S, NO_CODE, next, actions), ROW(S, NO_ANSWER, next, actions),                              \
		ROW(S, LINK_LOST, next, actions)
/* R: rejected. */
#define REJECTED(S, next, actions)                                                                             \
	ROW(S, 400, next, actions), ROW(S, 404, next, actions), ROW(S, 413, next, actions)
#define REFUSED(S, next, actions)                                                                              \
	ROW(S, 401, next, actions), ROW(S, 403, next, actions), ROW(S, 412, next, actions)
#define POWER_OFF(S) ROW(S, OFF, OFF, DO_ABANDON)

#define ENTER_PV DO_PUBLISH_NOW

/* An empty cell means "no such row"; a row that stands twice stops the build. */
static const struct device_row rows[STATE_COUNT][CAUSE_COUNT] = {
	ROW(OFF, ON_TOKENS, PV, DO_RESET_BACKOFF | DO_NEW_REG | ENTER_PV),
	ROW(OFF, ON, NP, DO_RESET_BACKOFF | DO_WIPE | DO_NEW_REG | DO_NOW),

	ROW(NP, BACKOFF, RG, DO_SEND),
	ROW(NP, SMS, NP, DO_HOLD),
	ROW(NP, HOLD_OVER, NP, DO_NEW_REG),
	ROW(NP, LATE, NP, DO_COUNT),
	ROW(NP, CMD_IDLE, IDLE, DO_STORE | DO_SILENCE),
	POWER_OFF(NP),

	ROW(RG, SMS, RG, DO_HOLD),
	ROW(RG, 200_SMS, AC, DO_CONFIGURE | DO_WAIT_CODE),
	ROW(RG, 200_HELD, LI, DO_CONFIGURE | DO_SEND),
	ROW(RG, 200_TOTP, LI, DO_CONFIGURE | DO_SEND),
	ROW(RG, 200_BAD, NP, DO_BACKOFF),
	REFUSED(RG, IDLE, DO_SILENCE),
	REJECTED(RG, NP, DO_BACKOFF | DO_NEW_REG),
	ROW(RG, 700, NP, DO_BACKOFF | DO_NEW_REG),
	AGAIN(RG, NP, DO_BACKOFF),
	ROW(RG, CMD_OTHER, RG, DO_COUNT),
	POWER_OFF(RG),

	ROW(AC, SMS, LI, DO_SEND),
	ROW(AC, SMS_OTHER, AC, DO_COUNT),
	ROW(AC, CODE_WAIT, NP, DO_BACKOFF | DO_NEW_REG),
	ROW(AC, CMD_IDLE, IDLE, DO_STORE | DO_SILENCE),
	ROW(AC, LATE, AC, DO_COUNT),
	POWER_OFF(AC),

	ROW(LI, 200, PV, DO_RESET_BACKOFF | DO_TAKE_TOKENS | DO_STORE | ENTER_PV),
	ROW(LI, 200_BAD, NP, DO_BACKOFF | DO_NEW_REG),
	REFUSED(LI, IDLE, DO_SILENCE),
	REJECTED(LI, NP, DO_BACKOFF | DO_NEW_REG),
	ROW(LI, 700, NP, DO_BACKOFF | DO_NEW_REG),
	AGAIN(LI, NP, DO_BACKOFF),
	ROW(LI, CMD_IDLE, IDLE, DO_STORE | DO_SILENCE),
	ROW(LI, CMD_OTHER, LI, DO_COUNT),
	POWER_OFF(LI),

	ROW(PV, DUE, PV, DO_SEND),
	ROW(PV, 200, PV, DO_RESET_BACKOFF | DO_MEASURE_DONE | DO_PROVEN),
	ROW(PV, 401, RF, DO_REFRESH),
	ROW(PV, 403, RF, DO_REFRESH),
	REJECTED(PV, PV, DO_MEASURE_DONE),
	ROW(PV, 412, PV, DO_MEASURE_DONE),
	ROW(PV, 700, NP, DO_WIPE | DO_NEW_REG | DO_BACKOFF | DO_STORE),
	AGAIN(PV, PV, DO_BACKOFF),
	ROW(PV, CMD_RESET, NP, DO_WIPE | DO_NEW_REG | DO_BACKOFF | DO_STORE),
	ROW(PV, CMD_PAUSE, PA, DO_STORE),
	ROW(PV, CMD_CONFIG, PV, DO_MEASURE_DONE | DO_STORE),
	ROW(PV, CMD_KEYS, PV, DO_STORE),
	ROW(PV, CMD_IDLE, IDLE, DO_STORE | DO_SILENCE),
	ROW(PV, CMD_OTHER, PV, DO_COUNT),
	POWER_OFF(PV),

	ROW(RF, SEND, RF, DO_SEND),
	ROW(RF, 200, PV, DO_TAKE_TOKENS | DO_STORE | ENTER_PV),
	ROW(RF, 200_BAD, NP, DO_WIPE | DO_NEW_REG | DO_BACKOFF | DO_STORE),
	REFUSED(RF, IDLE, DO_STORE | DO_SILENCE),
	REJECTED(RF, RF, DO_BACKOFF | DO_REJECTED),
	ROW(RF, REJECTED_10, NP, DO_WIPE | DO_NEW_REG | DO_BACKOFF | DO_STORE),
	ROW(RF, 700, NP, DO_WIPE | DO_NEW_REG | DO_BACKOFF | DO_STORE),
	AGAIN(RF, RF, DO_BACKOFF),
	ROW(RF, CMD_OTHER, RF, DO_COUNT),
	POWER_OFF(RF),

	ROW(PA, OVER, PV, ENTER_PV),
	ROW(PA, LATE, PA, DO_COUNT),
	POWER_OFF(PA),

	ROW(IDLE, LATE, IDLE, DO_COUNT),
	POWER_OFF(IDLE),
};

const struct device_row *device_row(enum state_name state, enum device_cause cause)
{
	const struct device_row *r = &rows[state][cause];

	return r->row == ROW_NONE ? NULL : r;
}
