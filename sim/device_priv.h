/* Inside of a device: for sim/device*.c only. */
#ifndef SIM_DEVICE_PRIV_H
#define SIM_DEVICE_PRIV_H

#include "core/rng.h"
#include "sim/device.h"

/* What can happen to a device, by the names of core/rows.h. */
#define DEVICE_CAUSES(X)                                                                                       \
	X(ON_TOKENS) X(ON) X(OFF) X(BACKOFF) X(HOLD_OVER) X(CODE_WAIT) X(DUE) X(SEND) X(OVER) X(SMS)           \
	X(SMS_OTHER) X(LATE) X(200) X(200_SMS) X(200_HELD) X(200_TOTP) X(200_BAD) X(400) X(401) X(403) X(404)  \
	X(412) X(413) X(429) X(503) X(700) X(UNKNOWN) X(NO_CODE) X(NO_ANSWER) X(LINK_LOST) X(REJECTED_10)      \
	X(CMD_IDLE) X(CMD_PAUSE) X(CMD_CONFIG) X(CMD_KEYS) X(CMD_RESET) X(CMD_OTHER)

#define DEVICE_CAUSE_ENUM(name) CAUSE_##name,
enum device_cause { CAUSE_NONE, DEVICE_CAUSES(DEVICE_CAUSE_ENUM) CAUSE_COUNT };

/* What a row does besides going to its state; performed in this order. */
enum device_todo {
	DO_COUNT = 1 << 0,         /* an event that changes nothing */
	DO_RESET_BACKOFF = 1 << 1,
	DO_HOLD = 1 << 2,          /* keep the code that came */
	DO_CONFIGURE = 1 << 3,     /* take register's deviceConfig */
	DO_TAKE_TOKENS = 1 << 4,
	DO_WIPE = 1 << 5,          /* forget credentials */
	DO_NEW_REG = 1 << 6,       /* a new registration; a held code is dropped with the old one */
	DO_BACKOFF = 1 << 7,
	DO_NOW = 1 << 8,           /* backoff 0 */
	DO_WAIT_CODE = 1 << 9,
	DO_MEASURE_DONE = 1 << 10, /* acknowledged or dropped: the next one when due */
	DO_PROVEN = 1 << 11,       /* a publish was 200 since the last refresh */
	DO_REFRESH = 1 << 12,      /* at once, or after backoff where nothing was proven */
	DO_REJECTED = 1 << 13,     /* one more R in a row */
	DO_PUBLISH_NOW = 1 << 14,  /* entry of PROVISIONED */
	DO_STORE = 1 << 15,
	DO_SILENCE = 1 << 16,
	DO_ABANDON = 1 << 17,
	DO_SEND = 1 << 18,         /* the request of the state that is entered */
};

struct device_row {
	enum row_name row; /* ROW_NONE: no such row */
	enum state_name to;
	unsigned todo;
};
/* The one transition table; NULL where the state has no row for the cause. */
const struct device_row *device_row(enum state_name state, enum device_cause cause);

struct device {
	const struct device_shared *sh;
	char *label;
	const char *const *senders; /* NULL: any */
	struct secret_source *secret;
	struct registry_device id;
	char methods[REGISTRY_METHODS][9];
	uint8_t methods_n;
	bool hold, accept_unsigned, any_registration;
	unsigned defects; /* DEFECT() bits of core/defect.h */

	uint8_t state; /* enum state_name */
	time_ns deadline;
	struct rng rng; /* backoff only */
	uint64_t refused;

	/* the request in flight; id 0: none */
	uint64_t request_id, last_id;
	time_ns request_at;
	char nonce[NONCE_LEN + 1];
	char none[1]; /* an empty text: what register and login authenticate with */
	uint8_t resource, pending; /* enum msg_resource; `pending`: to be sent when this step ends, or MSG_RESOURCES */

	/* this attempt, in RAM only */
	char registration[REGISTRATION_LEN + 1];
	char code[DEVICE_CODE_MAX + 1]; /* a secret */
	bool has_code, totp;
	time_ns code_at, wait_until;    /* wait_until: backoff, code_wait or pause, by state */
	unsigned failures;              /* backoff's counter */
	uint8_t rejected;
	bool unproven;                  /* refreshed, and no publish was 200 since */

	/* the measure under way */
	bool has_measure, resend, sent_again; /* resend: refused, goes out again whatever is due */
	double measure;
	int64_t measure_ms;
	time_ns due_at;

	/* durable */
	time_ns interval;
	char *access, *refresh;         /* NULL: no credentials */
	char jti[JTI_LEN + 1], fam[JTI_LEN + 1];
	char (*done)[COMMAND_ID_MAX + 1]; /* oldest first; NULL until the first */
	uint8_t done_n;
	struct token_keys *own_keys;    /* NULL: the shared ones */
	char *own_pem[DEVICE_PINS_MAX]; /* of own_keys */
	bool file_has_tokens;
};

#define DEVICE_INTERVAL_DEFAULT (60 * NS_PER_S) /* until the first register's 200 */

/* ---- device_fx.c: building the list ---- */
struct device_effect *fx_add(struct device_effects *fx, enum device_effect_kind kind);
const char *fx_text(struct device_effects *fx, const char *text); /* copied; NULL stays NULL */
void fx_journal(struct device_effects *fx, const struct device *dev, enum journal_kind kind,
		const struct journal_value *v, size_t n);
#define FX_JOURNAL(fx, dev, kind, ...)                                                                         \
	fx_journal(fx, dev, kind, (const struct journal_value[]){__VA_ARGS__},                                 \
		   sizeof((const struct journal_value[]){__VA_ARGS__}) / sizeof(struct journal_value))
void fx_state(struct device_effects *fx, const struct device *dev, const struct device_row *row, int code,
	      time_ns wait);
/* Writes the durable file: temporary file, fsync, rename, fsync of the folder. */
void fx_store(struct device_effects *fx, struct device *dev, bool new_tokens);

/* ---- device_file.c: the durable file ---- */
int device_file_build(const struct device *dev, struct buf *out);
/* Takes configuration, tokens, ids and keys out of it. Returns the stored state, or
 * ERR_PARSE: unreadable or another device's; all of it is back at its defaults then. */
int device_file_read(struct device *dev, const char *data, size_t len);
void device_forget(struct device *dev); /* tokens out of RAM, zeroed */

/* ---- device_tokens.c: what a device believes ---- */
struct token_keys *device_keys(const struct device *dev);
/* NULL where login's or refresh's 200 brought a verified pair (then `access` … are
 * filled, borrowed from the response); else why not. */
struct device_pair {
	const char *access, *refresh;
	char jti[JTI_LEN + 1], fam[JTI_LEN + 1];
};
const char *device_judge_tokens(const struct device *dev, json_t *payload, struct device_pair *out);
bool device_signature_good(const struct device *dev, const struct msg_response *r);
/* 200 of register: CAUSE_200_SMS, CAUSE_200_TOTP or CAUSE_200_BAD with `why`. */
enum device_cause device_judge_register(const struct device *dev, json_t *payload, time_ns *interval,
					const char **why);
/* The six digits of RFC 6238 for this moment. 0 or ERR_INVALID. */
int device_totp(const struct device *dev, int64_t unix_ms, char out[DEVICE_CODE_MAX + 1]);

/* ---- device_command.c ---- */
/* What a command means on this reply: a CAUSE_CMD_*, or CAUSE_NONE where its id was done. */
enum device_cause device_command_cause(const struct device *dev, const struct msg_response *r);
/* Takes its arguments and notes its id as done; before the row is taken. */
int device_command_take(struct device *dev, const struct msg_response *r, const struct instant *at);

/* ---- device_request.c ---- */
/* Sends dev->pending: nonce, JSON, journal, effect. */
void device_send(struct device *dev, const struct instant *at, struct device_effects *fx);

time_ns device_clamp_interval(double seconds);

#endif
