/* One device on a bench: a scripted server, a store that can lose power, and a count
 * of the rows that were taken. */
#ifndef TESTS_SIM_DEVICE_BENCH_H
#define TESTS_SIM_DEVICE_BENCH_H

#include "core/rng.h"
#include "sim/device.h"
#include "sim/storage_mem.h"

#define BENCH_UUID   "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define BENCH_CODE   "AB12cd34EF56"
#define BENCH_SENDER "+34600000001"
#define NO_CUT       UINT32_MAX

struct bench {
	struct device_shared shared;
	struct secret_source secret;
	struct rng rng;
	struct token_signer *signer;
	char kid[KID_MAX + 1];
	char *public_pem;
	uint8_t run_key[32];
	struct registry_device identity;
	const char *senders[2];
	struct device *dev;
	struct device_effects fx;
	struct storage_mem *disk;
	struct instant at;
	struct msg_request request; /* the last that left; msg_request_fini by the bench */
	uint64_t request_id;        /* 0: none since the last step began */
	unsigned requests, closes, silences, abandons, timeouts;
	enum row_name rows[8]; /* taken by the last step */
	unsigned rows_n;
	time_ns wait;          /* wait_ns of the last row; TIME_NEVER: none */
	char why[64];          /* of the last device.ignored or device.reply in this step */
	unsigned ignored, held, used, done;
	unsigned cut_after;    /* effects of the next step until the power goes; NO_CUT */
	enum journal_kind cut_at; /* … or until this event; J_END: none */
	enum storage_cut cut_mode;
	bool was_cut;
};

extern unsigned bench_seen[ROW_END];

struct bench_options {
	const char *const *methods; /* NULL: SMS, TOTP */
	const char *totp;           /* NULL: none */
	const char *sender;
	bool hold, accept_unsigned, any_registration, foreign_key;
};
void bench_open(struct bench *b, const struct bench_options *o);
void bench_close(struct bench *b);

int bench_step(struct bench *b, const struct device_event *ev);
void bench_on(struct bench *b);
void bench_off(struct bench *b);
/* Time moves to the deadline, and the timer fires. */
void bench_timer(struct bench *b);
void bench_pass(struct bench *b, time_ns ns); /* time alone */
int bench_sms(struct bench *b, const char *uuid, const char *r, const char *code, const char *from);
int bench_sms_ok(struct bench *b);

struct bench_reply {
	int code;
	const char *payload;  /* JSON; NULL: {"message": "…"} */
	const char *command;  /* JSON */
	int64_t retry_after_s; /* 0: absent */
	enum { SIGN_WHERE_NEEDED, SIGN_NOT, SIGN_WRONG, SIGN_REPLAYED } sign;
};
int bench_reply(struct bench *b, const struct bench_reply *r);
int bench_raw(struct bench *b, const char *json);
int bench_code(struct bench *b, int code); /* signed where needed */
int bench_late(struct bench *b);
int bench_link_lost(struct bench *b);
int bench_registered(struct bench *b, const char *method);
/* A pair of tokens for `uuid`; `fam` is a number in decimal, "" none; `bad` names what is wrong with it, NULL nothing. Caller frees. */
char *bench_tokens(struct bench *b, const char *uuid, const char *fam, const char *bad);
int bench_granted(struct bench *b, const char *fam); /* 200 with tokens */

/* The shortest way to `s` with its request in flight (RG, LI, PV, RF) or waiting. */
void bench_reach(struct bench *b, enum state_name s);
enum state_name bench_state(const struct bench *b);
#define ck_state(b, s)                                                                                         \
	ck_assert_msg(bench_state(b) == (s), "is %s, not %s", state_full(bench_state(b)), state_full(s))
#define ck_row(b, r)                                                                                           \
	ck_assert_msg((b)->rows_n && (b)->rows[0] == (r), "took '%s', not '%s'",                               \
		      (b)->rows_n ? row_id((b)->rows[0]) : "none", row_id(r))

#endif
