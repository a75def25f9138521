/* The SMS carrier of the virtual rig: gateway and network in one model, with the modems
 * (sim/modems.h) on both its sides; without I/O. Takes SMS, answers their status, hands them
 * to their device.
 *
 * Writes sms.submitted when a sender modem has sent one, sms.delivered when its text is
 * handed over, sms.lost for what will never arrive and sms.failed for what no modem
 * could send. Faults armed on sms.submitted and sms.delivered:
 *   lose · delay {by_ns} · duplicate {times, apart_ns} · reorder {within_ns}, overlong (on
 *   submitted) · replace_code {with}
 *   replace_text {with} · replace_sender {with} · cms_error {code}, plain_error,
 *   no_final {delivered}, late_cmgs {by_ns} (on submitted)
 * Any other befalls the modem; storage_full the one that receives. */
#ifndef SIM_CARRIER_H
#define SIM_CARRIER_H

#include "core/journal.h"
#include "core/world.h"
#include "sim/modems.h"

#define CARRIER_PATH (20 * NS_PER_MS) /* no network is faster than the reply that promised the SMS */

/* In the order of contracts.md, SMS gateway. */
enum carrier_status { CARRIER_QUEUED, CARRIER_BUSY, CARRIER_SUBMITTED, CARRIER_FAILED, CARRIER_UNKNOWN };

enum carrier_profile {
	CARRIER_IMMEDIATE, /* CARRIER_PATH and no loss, a modem takes no time */
	CARRIER_TYPICAL,   /* hil.md, The emulated modem */
};

struct carrier_config {
	uint64_t seed;
	enum carrier_profile profile;
	unsigned senders;   /* 0: one; numbers +34600000001 …, names s1 … */
	unsigned receivers; /* 0: one; names r1 … */
	/* Of the modems, as in sim/modems.h; with all at 0 they take no time. */
	time_ns send_time, init_time, send_limit;
	unsigned per_minute, per_day;
	bool modems_seen;	 /* they write modem.state, and a send without a result takes its time */
	const uint8_t *run_key;	 /* 32 bytes; borrowed */
	struct journal *journal; /* borrowed; NULL: nobody listens */
	/* Both are called from carrier_turn. eta_s with CARRIER_BUSY; cms and ref −1 where absent. */
	void (*status)(void *ctx, const struct instant *at, const char *id, enum carrier_status status,
		       int64_t eta_s, int cms, int ref);
	/* `uuid`: whose text it says it is, else the one that the number belongs to. */
	void (*deliver)(void *ctx, const struct instant *at, const char *uuid, const char *from,
			const char *text);
	/* Which receiver a number is, from 0; NULL: the first. */
	unsigned (*receiver)(const char *to);
	void *ctx;
};

struct carrier;
struct carrier *carrier_new(const struct carrier_config *cfg); /* NULL without memory */
void carrier_free(struct carrier *c);

/* One SMS for the gateway. An `id` that was seen within 24 h is no second SMS: its
 * present status is answered again. 0 or ERR_NOMEM. */
int carrier_send(struct carrier *c, const struct instant *at, const char *id, const char *uuid,
		 const char *to, const char *text, const char *r);
/* What befalls a modem ("s1", "r2") now: 0, ERR_NOTFOUND, ERR_UNSUPPORTED. */
int carrier_modem(struct carrier *c, const struct instant *at, const char *modem, const char *what,
		  json_t *args);
time_ns carrier_deadline(const struct carrier *c);
void carrier_turn(struct carrier *c, const struct instant *at);

/* A sender's number ("+34600000001") by index from 0. */
char *carrier_number(unsigned sender, char *out, size_t size);

struct carrier_stats {
	uint64_t submitted, delivered, lost, failed;
};
void carrier_stats(const struct carrier *c, struct carrier_stats *out);

#endif
