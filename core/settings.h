/* Every limit and timer of protocol.md §5, by name, in one table. `quicrig serve
 * --set`, scenario `settings:`, the documentation and `config` read it from here. */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include <stdint.h>

#include "core/err.h"
#include "core/time.h"

/* "off" where a setting allows it */
#define SETTING_OFF INT64_MAX

/* X(NAME, "name", side, unit, default in base units, may be off, "what it is")
 * side: DEVICE, SERVER. unit: NS duration, BYTES, COUNT, WORD (connection: 0 close, 1 hold). */
#define SETTINGS_TABLE(X)                                                                                      \
	X(REQUEST_TIMEOUT, "request_timeout", DEVICE, NS, 10 * S_, 0, "no answer after this")                  \
	X(CODE_WAIT, "code_wait", DEVICE, NS, 120 * S_, 0, "how long a device waits for its SMS")              \
	X(CODE_HOLD, "code_hold", DEVICE, NS, 240 * S_, 0, "how long a device keeps a code it has not used")   \
	X(BACKOFF_MIN, "backoff_min", DEVICE, NS, 1 * S_, 0, "first wait")                                     \
	X(BACKOFF_MAX, "backoff_max", DEVICE, NS, 60 * S_, 0, "longest wait")                                  \
	X(CONNECTION, "connection", DEVICE, WORD, 0, 0, "close between requests, or hold")                     \
	X(PUBLISH_INTERVAL, "publish_interval", SERVER, NS, 60 * S_, 0, "told to devices; whole seconds")      \
	X(ACCESS_TTL, "access_ttl", SERVER, NS, 900 * S_, 0, "life of an access token; whole seconds")         \
	X(REFRESH_IDLE, "refresh_idle", SERVER, NS, 30 * D_, 0, "life of a refresh token since its issue")     \
	X(REFRESH_MAX, "refresh_max", SERVER, NS, 180 * D_, 0, "life of a family since its login")             \
	X(REFRESH_GRACE, "refresh_grace", SERVER, NS, 180 * S_, 0, "a retried refresh gets the same successor") \
	X(LOGIN_GRACE, "login_grace", SERVER, NS, 180 * S_, 0, "a retried login gets the same tokens")         \
	X(CODE_TTL, "code_ttl", SERVER, NS, 300 * S_, 0, "life of a code by CLOCK_BOOTTIME")                   \
	X(CODE_TRIES, "code_tries", SERVER, COUNT, 3, 0, "wrong codes until a code is void")                   \
	X(SMS_INTERVAL, "sms_interval", SERVER, NS, 60 * S_, 1, "between two SMS to one device")               \
	X(SMS_PER_10MIN, "sms_per_10min", SERVER, COUNT, 3, 1, "SMS a device in 10 minutes")                   \
	X(SMS_PER_DAY, "sms_per_day", SERVER, COUNT, 6, 1, "SMS a device in 24 hours")                         \
	X(FLEET_SMS_PER_DAY, "fleet_sms_per_day", SERVER, COUNT, 10000, 1, "SMS for all devices in 24 hours")  \
	X(STRANGER_REGISTERS_PER_HOUR, "stranger_registers_per_hour", SERVER, COUNT, 60, 1,                    \
	  "registers that end in 403, a source (/32, /64)")                                                    \
	X(TOTP_TRIES, "totp_tries", SERVER, COUNT, 5, 0, "wrong TOTP codes in 10 minutes")                     \
	X(KEY_OVERLAP, "key_overlap", SERVER, NS, 200 * D_, 0, "a rotated key stays good")                     \
	X(REQUEST_MAX, "request_max", SERVER, BYTES, 8192, 0, "one request")                                   \
	X(JSON_DEPTH, "json_depth", SERVER, COUNT, 8, 0, "nesting of a request")                               \
	X(TOKEN_MAX, "token_max", SERVER, BYTES, 4096, 0, "one token")                                         \
	X(FIN_TIMEOUT, "fin_timeout", SERVER, NS, 5 * S_, 0, "from a stream's first byte to its FIN")          \
	X(STREAMS, "streams", SERVER, COUNT, 4, 0, "open requests a connection")                               \
	X(STREAM_WINDOW, "stream_window", SERVER, BYTES, 16384, 0, "flow control a stream")                    \
	X(IDLE_TIMEOUT, "idle_timeout", SERVER, NS, 30 * S_, 0, "of a connection (both ends use it)")          \
	X(HANDSHAKE_TIMEOUT, "handshake_timeout", SERVER, NS, 10 * S_, 0, "of a handshake (both ends use it)") \
	X(HALF_OPEN_RETRY, "half_open_retry", SERVER, COUNT, 128, 1, "half-open handshakes until Retry")       \
	X(CONNECTIONS, "connections", SERVER, COUNT, 10000, 0, "connections at once")                          \
	X(CONNECTIONS_PER_SOURCE, "connections_per_source", SERVER, COUNT, SETTING_OFF, 1, "of one address")

#define SETTING_ENUM(name, ...) SETTING_##name,
enum setting { SETTINGS_TABLE(SETTING_ENUM) SETTING_COUNT };

enum setting_side { SETTING_SIDE_DEVICE, SETTING_SIDE_SERVER };
enum setting_unit { SETTING_UNIT_NS, SETTING_UNIT_BYTES, SETTING_UNIT_COUNT, SETTING_UNIT_WORD };

struct settings {
	int64_t v[SETTING_COUNT]; /* base units: ns, bytes, a count */
};

void settings_default(struct settings *s);
/* What the built-in rigs start their server with: sms_interval 1 s, the other SMS
 * caps and stranger_registers_per_hour off (protocol.md §5). */
void settings_rig(struct settings *s);

int setting_by_name(const char *name); /* -1 where unknown */
const char *setting_name(enum setting k);
enum setting_side setting_side(enum setting k);
enum setting_unit setting_unit(enum setting k);
const char *setting_doc(enum setting k);
/* Reads "15m", "2s", "300 ms", "8KiB", "3", "off", "hold"; 0 or ERR_PARSE, ERR_LIMIT with
 * a sentence in `e` that says what is wanted. Durations need a unit (ns us ms s m h d). */
int setting_parse(enum setting k, const char *text, int64_t *out, struct err *e);
/* "NAME=VALUE" as --set gives it. */
int settings_set(struct settings *s, const char *assignment, struct err *e);
/* The value as a text that setting_parse reads back. */
char *setting_format(enum setting k, int64_t value, char *out, size_t size);
/* Durations alone: "90s", "1h30m" is not accepted; fractions are ("0.5s"). 0 or ERR_PARSE. */
int duration_parse(const char *text, time_ns *out);

static inline time_ns setting_ns(const struct settings *s, enum setting k)
{
	return s->v[k] == SETTING_OFF ? TIME_NEVER : (time_ns)s->v[k];
}

#endif
