/* Planted bugs, to prove that the library of scenarios bites (`quicrig prove`). In every
 * product binary PLANTED(X) is the constant false and nothing of this table is compiled;
 * quicrig-prove alone is built a second time with QUICRIG_PLANT, and plants the one bug
 * that its plan names ("plant": "login-without-code"). */
#ifndef CORE_PLANT_H
#define CORE_PLANT_H

#include <stdbool.h>

#ifndef QUICRIG_PLANT

#define PLANTED(name)		 (false)
#define PLANT_TELL(journal, now) ((void)0)

#else

#include <stdio.h>

#include "core/journal.h"

/* X(NAME, "name", who is to blame, "what", beyond)
 * beyond: NULL, or why no scenario can show it: then only the named test does. */
#define PLANT_TABLE(X)                                                                                         \
	X(LOGIN_WITHOUT_CODE, "login-without-code", "server", "login does not look at the code", NULL)         \
	X(CODE_NOT_SPENT, "code-not-spent", "server", "a code stays good after its login", NULL)               \
	X(CODE_NEVER_EXPIRES, "code-never-expires", "server", "code_ttl is not looked at", NULL)               \
	X(LOGIN_GRACE_FORGOTTEN, "login-grace-forgotten", "server",                                            \
	  "a login whose reply was lost is refused for ever", NULL)                                            \
	X(SECOND_SMS, "second-sms", "server", "the same registration gets another code and SMS", NULL)         \
	X(BUDGET_IGNORED, "budget-ignored", "server", "the SMS budget is not looked at", NULL)                 \
	X(FAMILIES_PILE_UP, "families-pile-up", "server", "a login leaves the old token family alive", NULL)   \
	X(REFRESH_NOT_ROTATED, "refresh-not-rotated", "server", "a refresh gives the same refresh token", NULL) \
	X(EXPIRED_ACCEPTED, "expired-accepted", "server", "exp is not looked at", NULL)                        \
	X(GONE_UNREACHABLE, "700-unreachable", "server", "a dead refresh token gets 401, never 700", NULL)     \
	X(DISABLED_SERVED, "disabled-served", "server", "a disabled device may publish", NULL)                 \
	X(REFUSALS_UNSIGNED, "refusals-unsigned", "server", "refusals bear no signature", NULL)                \
	X(REPLY_BEFORE_COMMIT, "reply-before-commit", "server", "answers leave before they are on disk", NULL) \
	X(UUID_NOT_CHECKED, "uuid-not-checked", "server", "publish serves any uuid",                           \
	  "our devices show their own token only: tests/server/test_enroll.c")                                 \
	X(REFRESH_FOR_BODY, "refresh-for-body", "server", "refresh serves the body's uuid",                    \
	  "our devices show their own token only: tests/server/test_enroll.c")                                 \
	X(ACCESS_AS_REFRESH, "access-as-refresh", "server", "an access token refreshes",                       \
	  "our devices refresh with refresh tokens only: tests/server/test_enroll.c")                          \
	X(COMMAND_REPEATED, "command-repeated", "server", "a command that is done is sent for ever", NULL)     \
	X(COMMANDS_UNSIGNED, "commands-unsigned", "server", "commands bear no signature", NULL)                \
	X(COMMAND_LOST, "command-lost", "server", "a command is sent once, whether its reply arrives or not", NULL) \
	X(DONE_BY_ANYBODY, "done-by-anybody", "server", "whoever registers a uuid may end its commands",       \
	  "our devices register as themselves: tests/server/test_policy.c")                                    \
	X(DECOMMISSION_KEEPS, "decommission-keeps-tokens", "server", "a re-admitted device's old tokens are good", \
	  NULL)                                                                                                \
	X(FALLS_THROUGH, "404-falls-through", "server", "an unknown resource is served as a publish",          \
	  "our devices know the resources: tests/server/test_enroll.c")                                        \
	X(KEYS_NOT_OFFERED, "keys-not-offered", "server", "no device is told of a new token key", NULL)        \
	X(RETIRED_KEY_SIGNS, "retired-key-signs", "server", "a retired token key signs on", NULL)              \
	X(TOTP_STEP_REUSED, "totp-step-reused", "server", "a time step's code logs in again and again", NULL)  \
	X(TOTP_TRIES_UNLIMITED, "totp-tries-unlimited", "server", "wrong TOTP codes are not counted",          \
	  "a device shows right codes only: tests/server/test_totp.c")                                         \
	X(QUARANTINE_NEVER, "quarantine-never", "server", "reuse never leads to a quarantine", NULL)           \
	X(CLOCK_GUARD_MISSING, "clock-guard-missing", "server", "a clock that was set back issues on", NULL)   \
	X(LEAVES_IDLE, "leaves-idle", "device", "IDLE ends without power", NULL)                               \
	X(RETRIES_EVERY_SECOND, "retries-every-second", "device", "the backoff does not grow", NULL)           \
	X(RETRY_AFTER_IGNORED, "retry-after-ignored", "device", "retryAfter is not looked at", NULL)           \
	X(STAYS_REGISTERING, "stays-registering", "device", "an unanswered register is waited for for ever",   \
	  NULL)                                                                                                \
	X(WAITS_FOR_CODE, "waits-for-code", "device", "a lost SMS is waited for for ever", NULL)               \
	X(IGNORES_INTERVAL, "ignores-publish-interval", "device", "register's publishInterval is ignored",     \
	  NULL)                                                                                                \
	X(NEW_REGISTRATION, "new-registration", "device", "each try registers under a new registration", NULL) \
	X(EARLY_CODE_LOST, "early-code-lost", "device", "an SMS that overtakes register's reply is dropped",   \
	  NULL)                                                                                                \
	X(SLOW_REPLY_STRANDS, "slow-reply-strands", "device",                                                  \
	  "after a reply that took more than a second nothing happens any more", NULL)                         \
	X(ANY_SENDER, "any-sender", "device", "believes an SMS from anybody", NULL)                            \
	X(OLD_REFRESH_KEPT, "old-refresh-kept", "device", "keeps the first refresh token", NULL)               \
	X(TOKENS_NOT_SYNCED, "tokens-not-synced", "device", "renames the token file before it is on disk",     \
	  NULL)                                                                                                \
	X(COMMAND_TWICE, "command-twice", "device", "a repeated command is done again", NULL)                  \
	X(CONFIG_IGNORED, "config-ignored", "device", "a new publish interval is not taken", NULL)             \
	X(RESET_IGNORED, "reset-ignored", "device", "RESET is done without forgetting anything", NULL)         \
	X(PAUSE_IGNORED, "pause-ignored", "device", "publishes on though it was told to pause", NULL)          \
	X(IDLE_ON_404, "idle-on-404", "device", "a 404 to register or login ends in IDLE", NULL)               \
	X(RETRIES_ON_412, "retries-on-412", "device", "a 412 is asked again, for ever", NULL)                  \
	X(UNSIGNED_BELIEVED, "unsigned-believed", "device", "a refusal needs no signature", NULL)              \
	X(REPLAY_BELIEVED, "replay-believed", "device", "a signature is good for any request", NULL)           \
	X(TOKENS_UNVERIFIED, "tokens-unverified", "device", "tokens are stored whatever their signature", NULL)\
	X(TOKENS_OF_ANYBODY, "tokens-of-anybody", "device", "another device's tokens are stored", NULL)        \
	X(TOKEN_KIND_IGNORED, "token-kind-ignored", "device", "access and refresh token may be swapped", NULL) \
	X(TOKEN_DATES_IGNORED, "token-dates-ignored", "device", "tokens may end before they begin", NULL)      \
	X(PIN_IGNORED, "pin-ignored", "device", "register's serverPublicKey may be any key", NULL)             \
	X(LATE_BELIEVED, "late-believed", "device", "a reply counts for whatever request is under way", NULL)  \
	X(REGISTRATION_KEPT, "registration-kept", "device", "a rejected registration is tried again", NULL)    \
	X(REJECTED_MEASURE_KEPT, "rejected-measure-kept", "device", "a rejected measure is sent again", NULL)  \
	X(REJECTED_FOR_EVER, "rejected-for-ever", "device",                                                    \
	  "a refresh is asked again however often it was rejected", NULL)                                      \
	X(REFRESHES_AT_ONCE, "refreshes-at-once", "device", "refreshes again and again without backoff", NULL) \
	X(WIPE_FORGOTTEN, "wipe-forgotten", "device", "a wipe leaves the tokens in the file", NULL)            \
	X(POWER_CUT_FORGETS, "power-cut-forgets", "device", "tokens do not outlive a power cut", NULL)

/* What a soak must find before it may be trusted. It shows only where a server dies between
 * an answer and its commit: a schedule that lost its faults misses it. */
#define PLANT_CANARY PLANT_REPLY_BEFORE_COMMIT

#define PLANT_ENUM(name, ...) PLANT_##name,
enum plant { PLANT_TABLE(PLANT_ENUM) PLANT_COUNT };

/* PLANT_COUNT: none. Process-wide, set once before anything runs. */
extern enum plant plant_selected;
/* The places that the run has come to: where none of a bug's is among them, planting it
 * changes nothing. PLANTED() therefore stands last in its condition. */
extern bool plant_reached[PLANT_COUNT];
#define PLANTED(name) (plant_reached[PLANT_##name] = true, plant_selected == PLANT_##name)

/* "": plants none, but tells at the end what was reached (J_PLANT_REACHED), for who
 * chooses the bugs that are worth planting. False where there is no bug of that name. */
bool plant_select(const char *name);
void plant_tell(struct journal *j, time_ns now);
#define PLANT_TELL(journal, now) plant_tell(journal, now)
/* One JSON object a bug: {"name", "blame", "what", "beyond"?, "canary"?}. */
void plant_list(FILE *out);

#endif
#endif
