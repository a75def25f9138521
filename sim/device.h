/* One simulated device: the state machine of protocol.md §3, without I/O.
 *
 * Its owner (sim/fleet) hands it one event with its instant; it returns an ordered
 * list of effects and its next deadline. The owner performs the effects in order; the
 * gaps between them are the points where a fault may cut the power. Nothing here
 * reads a clock, and tokens are never judged by the device's own. */
#ifndef SIM_DEVICE_H
#define SIM_DEVICE_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/journal.h"
#include "core/msg.h"
#include "core/registry.h"
#include "core/rows.h"
#include "core/token.h"
#include "core/world.h"

#define DEVICE_PINS_MAX    2               /* pinned keys (protocol.md §2, Signed replies) */
#define DEVICE_DONE_KEPT   8               /* ids of commands done, kept through wipes */
#define DEVICE_RETRY_MAX_S 86400           /* retryAfter and PAUSE are capped at this */
#define DEVICE_REJECTED    10              /* R in a row at refresh until the device gives up */
#define DEVICE_FILE_MAX    (32 * 1024)
#define DEVICE_CODE_MAX    64

/* What all devices of a fleet share; borrowed by each of them. */
struct device_shared {
	time_ns request_timeout, code_wait, code_hold, backoff_min, backoff_max;
	uint64_t seed;
	const uint8_t *run_key;          /* 32 bytes: fingerprints of codes */
	struct secret_source *secret;    /* nonces, registrations; of devices that have none of their own */
	struct token_keys *keys;         /* pinned by configuration */
	struct token_keys *keys_no_kid;  /* the same, tokens without `kid` allowed: for accept_unsigned */
};

struct device_config {
	const char *label;               /* A[3]; copied */
	const struct registry_device *identity; /* copied */
	const char *const *methods;      /* what it offers, NULL-terminated; copied */
	bool hold;                       /* connection: hold */
	bool accept_unsigned;
	unsigned defects;                /* DEFECT() bits of core/defect.h: its firmware's */
	bool any_registration;           /* takes an SMS without `r`: foreign servers' texts */
	const char *const *senders;      /* numbers and names, NULL-terminated, borrowed; NULL: any */
	struct secret_source *secret;    /* borrowed; NULL: what all share */
};

enum device_event_kind {
	DEVICE_POWER_ON,  /* data, len: the durable file; NULL where there is none */
	DEVICE_POWER_OFF,
	DEVICE_TIMER,     /* the deadline came */
	DEVICE_SMS,       /* from, text */
	DEVICE_CODE,      /* text: a code by another way than SMS (quicrig device --code-from) */
	DEVICE_REPLY,     /* id, response */
	DEVICE_LINK_LOST, /* id: of the request that was in flight */
};

struct device_event {
	enum device_event_kind kind;
	const char *data, *from, *text;
	size_t len;
	uint64_t id;
	const struct msg_response *response; /* MSG_NO_CODE for what could not be read */
	const char *status;                  /* of a reply that did not come whole: "too_large", "reset"; or NULL */
};

enum device_effect_kind {
	DEVICE_FX_JOURNAL,  /* an event of this device */
	DEVICE_FX_STATE,    /* the same, kind device.state: the state changes here */
	DEVICE_FX_WRITE,    /* data, len into the temporary file */
	DEVICE_FX_SYNC,     /* fsync of it */
	DEVICE_FX_RENAME,   /* over the durable one */
	DEVICE_FX_SYNC_DIR, /* fsync of the folder */
	DEVICE_FX_REQUEST,  /* data, len as request `id`; connect first where need be */
	DEVICE_FX_TIMED_OUT,/* request `id` is not waited for any more */
	DEVICE_FX_CLOSE,    /* let the connection go: application code 0 */
	DEVICE_FX_SILENCE,  /* one CONNECTION_CLOSE now, then nothing for ever */
	DEVICE_FX_ABANDON,  /* power is off: the connection is gone without a datagram */
};

#define DEVICE_EFFECTS_MAX 40
#define DEVICE_TEXTS_MAX   512

struct device_effect {
	enum device_effect_kind kind;
	enum journal_kind journal;
	enum state_name from, to; /* FX_STATE */
	enum row_name row;        /* FX_STATE */
	char req[9], reg[9];      /* "" absent */
	unsigned n;
	struct journal_value v[JOURNAL_VALUES];
	uint64_t id;
	size_t at, len;           /* within fx->bytes */
};

/* The caller's, reused from step to step. */
struct device_effects {
	unsigned n;
	enum state_name before;   /* the state when the step began */
	struct device_effect e[DEVICE_EFFECTS_MAX];
	struct buf bytes;         /* requests and files of this step: may hold tokens */
	char texts[DEVICE_TEXTS_MAX]; /* what journal values point to */
	size_t texts_len;
	int failed;               /* ERR_NOMEM, ERR_LIMIT while building; the step stands */
};
void device_effects_init(struct device_effects *fx);
void device_effects_fini(struct device_effects *fx);

struct device;

/* The device is OFF. NULL without memory. */
struct device *device_new(const struct device_shared *shared, const struct device_config *cfg);
void device_free(struct device *dev);

/* Applies one event that happened at `at`, which never runs backwards, and refills
 * `fx`. Returns 0, or ERR_UNEXPECTED when the state has no row for the event: a peer
 * out of order, not a bug here; then only the count of refused events moved, and
 * `fx` holds the device.ignored that says so. */
int device_step(struct device *dev, const struct device_event *ev, const struct instant *at,
		struct device_effects *fx);

/* Power failed when the first `done` effects of `fx` had been performed: the device
 * is taken back to the state that its journal shows. DEVICE_POWER_OFF comes next. */
void device_interrupted(struct device *dev, const struct device_effects *fx, unsigned done);

/* Performs a WRITE, SYNC, RENAME or SYNC_DIR. 0, ERR_IO, ERR_LIMIT. */
int device_store(const struct device *dev, const struct device_effects *fx, const struct device_effect *e,
		 struct storage *st);
/* The durable file's name: out[UUID_LEN + 16]. */
void device_file_name(const struct device *dev, char *out, size_t size);

/* Must this reply be signed to be believed (protocol.md §2, Signed replies)? */
bool device_needs_signature(enum msg_resource asked, const struct msg_response *r);

enum state_name device_state(const struct device *dev);
time_ns device_deadline(const struct device *dev); /* TIME_NEVER: none */
const char *device_label(const struct device *dev);
const char *device_uuid(const struct device *dev);
uint64_t device_in_flight(const struct device *dev); /* id of the request, 0: none */
uint64_t device_refused(const struct device *dev);   /* events without a row, and rows that count */
const char *device_registration(const struct device *dev);
bool device_holds_connection(const struct device *dev);

#endif
