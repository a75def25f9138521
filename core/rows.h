/* The names of the rows of the device's transition table (protocol.md §3): names
 * only. The device (sim/device_table.c) and the oracle (hil/judge/table.c) each
 * hold their own table of what a row does; a journal line says which row a device
 * claims to have taken. The id is STATE.EVENT in the short names of protocol.md.
 *
 * A reply cell is a row whose event is one of ROW_REPLIES; `unknown` is any other
 * code, an integer that the table does not know, or a whole reply that counts as
 * unknown (unsigned refusal); `no_code` is no integer code, bad JSON, over 64 KiB. */
#ifndef CORE_ROWS_H
#define CORE_ROWS_H

/* X(state, short, long, seed number) */
#define STATE_TABLE(X)                                                                                         \
	X(OFF, "OFF", "OFF")                                                                                   \
	X(NP, "NP", "NOT_PROVISIONED")                                                                         \
	X(RG, "RG", "REGISTERING")                                                                             \
	X(AC, "AC", "AWAITING_CODE")                                                                           \
	X(LI, "LI", "LOGGING_IN")                                                                              \
	X(PV, "PV", "PROVISIONED")                                                                             \
	X(RF, "RF", "REFRESHING")                                                                              \
	X(PA, "PA", "PAUSED")                                                                                  \
	X(IDLE, "IDLE", "IDLE")

#define STATE_ENUM(name, brief, full) STATE_##name,
enum state_name { STATE_TABLE(STATE_ENUM) STATE_COUNT };

/* Y(X, state): the reply events that every state with a request in flight has
 * rows for besides 200. */
#define ROW_REPLIES(X, S)                                                                                      \
	X(S, 400, "400")                                                                                       \
	X(S, 401, "401")                                                                                       \
	X(S, 403, "403")                                                                                       \
	X(S, 404, "404")                                                                                       \
	X(S, 412, "412")                                                                                       \
	X(S, 413, "413")                                                                                       \
	X(S, 429, "429")                                                                                       \
	X(S, 503, "503")                                                                                       \
	X(S, 700, "700")                                                                                       \
	X(S, UNKNOWN, "unknown")                                                                               \
	X(S, NO_CODE, "no_code")                                                                               \
	X(S, NO_ANSWER, "no_answer")                                                                           \
	X(S, LINK_LOST, "link_lost")

/* X(state, event, "event"): enum ROW_<state>_<event>, id "<state>.<event>" */
#define ROW_TABLE(X)                                                                                           \
	X(OFF, ON_TOKENS, "on_tokens")   /* stored PV, PA or RF with tokens */                                 \
	X(OFF, ON, "on")                 /* power on otherwise */                                              \
	X(NP, BACKOFF, "backoff")                                                                              \
	X(NP, SMS, "sms")                /* code held */                                                       \
	X(NP, HOLD_OVER, "hold_over")    /* held code dropped after code_hold, new registration */             \
	X(NP, LATE, "late")              /* a reply to no request of this state: dropped */                    \
	X(NP, CMD_IDLE, "cmd_idle")      /* rode on a malformed 200, after its state change */                 \
	X(RG, SMS, "sms")                                                                                      \
	X(RG, 200_SMS, "200_sms")                                                                              \
	X(RG, 200_HELD, "200_held")                                                                            \
	X(RG, 200_TOTP, "200_totp")                                                                            \
	X(RG, 200_BAD, "200_bad")                                                                              \
	ROW_REPLIES(X, RG)                                                                                     \
	X(RG, CMD_OTHER, "cmd_other")                                                                          \
	X(AC, SMS, "sms")                                                                                      \
	X(AC, SMS_OTHER, "sms_other")                                                                          \
	X(AC, CODE_WAIT, "code_wait")                                                                          \
	X(AC, CMD_IDLE, "cmd_idle")      /* rode on register's 200, after its state change */                  \
	X(AC, LATE, "late")                                                                                    \
	X(LI, 200, "200")                                                                                      \
	X(LI, 200_BAD, "200_bad")                                                                              \
	ROW_REPLIES(X, LI)                                                                                     \
	X(LI, CMD_IDLE, "cmd_idle")                                                                            \
	X(LI, CMD_OTHER, "cmd_other")                                                                          \
	X(PV, DUE, "due")                                                                                      \
	X(PV, 200, "200")                                                                                      \
	ROW_REPLIES(X, PV)                                                                                     \
	X(PV, CMD_RESET, "cmd_reset")                                                                          \
	X(PV, CMD_PAUSE, "cmd_pause")                                                                          \
	X(PV, CMD_CONFIG, "cmd_config")                                                                        \
	X(PV, CMD_KEYS, "cmd_keys")                                                                            \
	X(PV, CMD_IDLE, "cmd_idle")                                                                            \
	X(PV, CMD_OTHER, "cmd_other")                                                                          \
	X(RF, SEND, "send")              /* backoff over: refreshToken sent (again) */                         \
	X(RF, 200, "200")                                                                                      \
	X(RF, 200_BAD, "200_bad")                                                                              \
	ROW_REPLIES(X, RF)                                                                                     \
	X(RF, REJECTED_10, "rejected_10") /* the tenth R in a row */                                           \
	X(RF, CMD_OTHER, "cmd_other")                                                                          \
	X(PA, OVER, "over")                                                                                    \
	X(PA, LATE, "late")                                                                                    \
	X(IDLE, LATE, "late")                                                                                  \
	X(NP, OFF, "off")                                                                                      \
	X(RG, OFF, "off")                                                                                      \
	X(AC, OFF, "off")                                                                                      \
	X(LI, OFF, "off")                                                                                      \
	X(PV, OFF, "off")                                                                                      \
	X(RF, OFF, "off")                                                                                      \
	X(PA, OFF, "off")                                                                                      \
	X(IDLE, OFF, "off")

#define ROW_ENUM(state, event, text) ROW_##state##_##event,
enum row_name { ROW_NONE, ROW_TABLE(ROW_ENUM) ROW_END };

/* "RG.403"; "" for ROW_NONE. */
const char *row_id(enum row_name row);
enum row_name row_by_id(const char *id); /* ROW_NONE where unknown */
enum state_name row_state(enum row_name row);
const char *state_brief(enum state_name s); /* "RG" */
const char *state_full(enum state_name s);  /* "REGISTERING" */
int state_by_name(const char *name);        /* either form; -1 where unknown */

#endif
