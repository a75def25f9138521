/* What the server must not forget. One transaction a loop turn, a savepoint a decision
 * (protocol.md §4, Commit before answer). Every function returns 0, ERR_NOTFOUND where it
 * looks something up, or ERR_IO; after ERR_IO the decision must be undone and answered
 * 503. Nothing here scans: each lookup has its index. */
#ifndef SERVER_STORE_H
#define SERVER_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/hash.h"
#include "core/msg.h"
#include "core/registry.h"
#include "core/settings.h"
#include "core/token.h"
#include "core/world.h"

#define STORE_COMMAND_MAX 2560 /* a command's text: two PEMs and room */
#define STORE_KEY_MAX 4096     /* a sealed private key */
#define STORE_LEDGER_DAYS 400
#define STORE_EPOCHS 64 /* starts of the server that are remembered */

struct store;

struct store_config {
	const char *path;
	const char *vfs;     /* NULL: SQLite's own */
	const char *boot_id; /* of the machine */
	const struct settings *settings;
};

/* One start of the server. Times are of CLOCK_BOOTTIME in ns. */
struct store_epoch {
	int64_t id;          /* counts from 1 */
	int64_t boot;        /* counts boots of the machine */
	int64_t started, last_commit;
	int64_t login_grace, refresh_grace; /* as set at this start */
	bool clean;          /* ended orderly */
};

/* Who the device is now: its one token family. */
struct store_device {
	char uuid[UUID_LEN + 1];
	int disabled;                /* operator's word: 1, 0; -1: as the registry says */
	char fam[JTI_LEN + 1];       /* "" : never logged in */
	bool revoked;
	int64_t fam_start_s;         /* Unix; of the login */
	char kid[KID_MAX + 1];       /* of the present pair, as all that follows */
	char access_jti[JTI_LEN + 1], refresh_jti[JTI_LEN + 1];
	char prev_jti[JTI_LEN + 1];  /* refresh token that the pair replaced; "": login's pair */
	int64_t iat_s, access_exp_s, refresh_exp_s;
	bool presented;              /* one of the pair was shown to us */
	int64_t grace_epoch, grace_end; /* boot ns in the clock of that epoch; see enroll_grace_left */
	bool quarantined;            /* until an operator lifts it */
	int64_t totp_step, totp_at_ms; /* of its last login by TOTP; 0: none */
};

enum store_code_state { STORE_CODE_LIVE, STORE_CODE_USED, STORE_CODE_VOID };

/* One registration and its one code. */
struct store_registration {
	char uuid[UUID_LEN + 1];
	char reg[REGISTRATION_LEN + 1]; /* "" the empty one */
	uint8_t mac[HASH_SIZE];         /* HMAC of the code */
	char code_fp[HASH_FP_SIZE];
	enum store_code_state state;
	int64_t tries;                  /* wrong ones */
	int64_t boot;                   /* boot count of the issue */
	int64_t code_end, code_len;     /* boot ns: end, and whole life */
	char fam[JTI_LEN + 1];          /* used: the family that its login made */
	int64_t forget_ms;              /* Unix ms: may be purged from then on */
	bool totp;                      /* no code: the device shows one of its own making */
};

/* One SMS that has no final outcome yet. */
struct store_sms {
	char id[33];
	char uuid[UUID_LEN + 1];
	char reg[REGISTRATION_LEN + 1];
	char code_fp[HASH_FP_SIZE];
	int state;                      /* the outbox's */
	int64_t boot;
	int64_t born, end;              /* boot ns: its register; its code's end */
	int64_t used_ms;                /* its place in the budget */
	uint8_t text[224];              /* nonce, ciphertext, tag */
	size_t text_len;
};

/* One command that an operator queued and no request has named as done. */
struct store_command {
	char uuid[UUID_LEN + 1];
	int64_t n;                      /* its place in the device's queue */
	char id[COMMAND_ID_MAX + 1];
	char name[16];
	char body[STORE_COMMAND_MAX];   /* JSON of it, without the id */
	int64_t queued_ms, sent_ms;     /* Unix; 0: not sent yet */
};

/* ERR_BUSY: another server has it; ERR_IO: damaged or unreadable; ERR_UNSUPPORTED:
 * another program's or another version's. Starts a new epoch (not yet committed). */
struct store *store_open(const struct store_config *cfg, const struct instant *at, struct err *e);
/* `orderly`: marks the epoch clean, commits, folds the log into the file. Else as kill -9:
 * what is not committed is gone. */
void store_close(struct store *st, bool orderly);

/* The last STORE_EPOCHS starts, oldest first; the last one is this one. */
unsigned store_epochs(const struct store *st, const struct store_epoch **out);

/* A decision: its writes stand or fall together. */
int store_decide(struct store *st);
int store_decided(struct store *st, bool keep);
/* Are there writes to commit? */
bool store_dirty(const struct store *st);
/* The turn must not be committed: its memory ran out. */
void store_spoil(struct store *st);
/* One turn's commit. ERR_IO: nothing since the last commit stands. */
int store_commit(struct store *st, const struct instant *at);
/* Broken for good: damaged, a sync failed, or no commit of the last ten seconds' worked. */
bool store_broken(const struct store *st);
/* The last commit that was tried failed. */
bool store_failing(const struct store *st);
/* The last failure in words. */
const char *store_error(const struct store *st);

int store_device_get(struct store *st, const char *uuid, struct store_device *out);
/* The uuids, each once, that a live family, code or command is kept for. Write nothing meanwhile. */
int store_holder_each(struct store *st, void (*each)(void *ctx, const char *uuid), void *ctx);
int store_device_put(struct store *st, const struct store_device *d);

int store_registration_get(struct store *st, const char *uuid, const char *reg, struct store_registration *out);
int store_registration_put(struct store *st, const struct store_registration *r);
int store_registration_delete(struct store *st, const char *uuid, const char *reg);
/* The live ones of a uuid, at most `max`; returns how many or ERR_IO. */
int store_registration_live(struct store *st, const char *uuid, struct store_registration *out, unsigned max);

/* SMS budget. `at_ms` is moved on where that instant is taken. */
int store_sms_used(struct store *st, const char *uuid, int64_t *at_ms);
int store_sms_unused(struct store *st, const char *uuid, int64_t at_ms);
/* Unix ms of the `nth` newest hand-over (1: the last). */
int store_sms_nth(struct store *st, const char *uuid, int64_t nth, int64_t *at_ms);
/* One hand-over behind `after_ms`, where there is one. */
int store_sms_after(struct store *st, const char *uuid, int64_t after_ms, int64_t *at_ms);
int store_fleet_add(struct store *st, int64_t bucket, int64_t n);
int store_fleet_forget(struct store *st, int64_t before);
int store_fleet_forget_after(struct store *st, int64_t bucket);
int store_fleet_each(struct store *st, int64_t from, void (*each)(void *ctx, int64_t bucket, int64_t n), void *ctx);

int store_sms_put(struct store *st, const struct store_sms *s);
int store_sms_state(struct store *st, const char *id, int state);
int store_sms_delete(struct store *st, const char *id);
/* All, by birth. */
int store_sms_each(struct store *st, void (*each)(void *ctx, const struct store_sms *s), void *ctx);

/* Commands. `n` is drawn by _put: behind all others of the device. */
int store_command_put(struct store *st, const struct store_command *c);
int store_command_sent(struct store *st, const struct store_command *c, int64_t unix_ms);
int store_command_delete(struct store *st, const struct store_command *c);
/* The next one behind place `n` (0: the first) of a device's queue; ERR_NOTFOUND. */
int store_command_next(struct store *st, const char *uuid, int64_t n, struct store_command *out);
/* The same through the queues of all devices; uuid "", n 0: the first of all. */
int store_command_next_any(struct store *st, const char *uuid, int64_t n, struct store_command *out);

/* When something befell a device; a day is remembered. */
enum store_mark { STORE_MARK_REUSE = 1, STORE_MARK_TOTP_WRONG = 2, STORE_MARK_TOTP_REGISTER = 3, STORE_MARK_KEYS = 4 };
int store_mark(struct store *st, const char *uuid, enum store_mark kind, int64_t unix_ms);
/* Unix ms of the `nth` newest (1: the last); ERR_NOTFOUND. */
int store_mark_nth(struct store *st, const char *uuid, enum store_mark kind, int64_t nth, int64_t *at_ms);
int store_marks_forget(struct store *st, const char *uuid, enum store_mark kind);
/* Forgets, of all devices, what lies behind `unix_ms`: the clock was set back. */
int store_marks_ahead_forget(struct store *st, int64_t unix_ms);

/* SMS by device and day (of UTC, counted from 1970): handed to the gateway, and of these
 * returned, because no modem had them. Kept for STORE_LEDGER_DAYS. */
struct store_ledger {
	int64_t day;
	char uuid[UUID_LEN + 1];
	int64_t handed, returned;
};
int store_ledger_add(struct store *st, int64_t unix_ms, const char *uuid, int64_t handed, int64_t returned);
/* The next row behind (day, uuid); of one device alone: behind `day`. ERR_NOTFOUND. */
int store_ledger_next(struct store *st, int64_t day, const char *uuid, bool of_device, struct store_ledger *out);

/* One token key, sealed (server/keyring.h). */
struct store_key {
	char kid[KID_MAX + 1];
	int64_t added_ms, retire_ms;    /* Unix; 0: not to be retired */
	uint8_t sealed[STORE_KEY_MAX];
	size_t sealed_len;
};
/* Behind all others. */
int store_key_put(struct store *st, const struct store_key *k);
int store_key_retire(struct store *st, const char *kid, int64_t retire_ms);
/* Retired: the key itself is wiped, its name stays. */
int store_key_gone(struct store *st, const char *kid, int64_t unix_ms);
/* Was it ever there? 0; ERR_NOTFOUND. */
int store_key_known(struct store *st, const char *kid);
/* All that are not retired, oldest first. */
int store_key_each(struct store *st, void (*each)(void *ctx, const struct store_key *k), void *ctx);

/* A number by name; ERR_NOTFOUND. */
int store_meta_get(struct store *st, const char *name, int64_t *value);
int store_meta_put(struct store *st, const char *name, int64_t value);

/* Forgets a bounded number of rows whose time is over. */
int store_purge(struct store *st, int64_t unix_ms);

#endif
