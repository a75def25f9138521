/* Planted bugs, to prove that the library of scenarios bites (`quicrig prove`). In every
 * product binary PLANTED(X) is the constant false and nothing of this table is compiled;
 * quicrig-prove alone is built a second time with QUICRIG_PLANT, and plants the one bug
 * that its plan names ("plant": "login-without-code"). */
#ifndef CORE_PLANT_H
#define CORE_PLANT_H

#include <stdbool.h>

#ifndef QUICRIG_PLANT

#define PLANTED(name) (false)

#else

#include <stdio.h>

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
	X(PAUSE_IGNORED, "pause-ignored", "device", "publishes on though it was told to pause", NULL)          \
	X(POWER_CUT_FORGETS, "power-cut-forgets", "device", "tokens do not outlive a power cut", NULL)

/* What a soak must find before it may be trusted. It shows only where a server dies between
 * an answer and its commit: a schedule that lost its faults misses it. */
#define PLANT_CANARY PLANT_REPLY_BEFORE_COMMIT

#define PLANT_ENUM(name, ...) PLANT_##name,
enum plant { PLANT_TABLE(PLANT_ENUM) PLANT_COUNT };

/* PLANT_COUNT: none. Process-wide, set once before anything runs. */
extern enum plant plant_selected;
#define PLANTED(name) (plant_selected == PLANT_##name)

/* False where there is no bug of that name. */
bool plant_select(const char *name);
/* One JSON object a bug: {"name", "blame", "what", "beyond"?, "canary"?}. */
void plant_list(FILE *out);

#endif
#endif
