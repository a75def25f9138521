/* The mobile network between emulated modems: takes SMS-SUBMIT, routes by MSISDN,
 * hands SMS-DELIVER and status reports over when they are due. No I/O: the caller
 * brings `now`, asks for the deadline and gets the messages by call.
 *
 * Writes sms.submitted for what it accepts (before the sender's modem answers) and
 * sms.lost for what will never arrive; SMS faults are armed on sms.submitted (duplicate's
 * `times` is how often it arrives besides the first, 1 where absent):
 *   lose · delay {by_ns} · duplicate {times, apart_ns} · reorder {within_ns}
 *   replace_code {with} · replace_text {with} · replace_sender {with} · overlong · lose_report
 *   cms_error {code} · plain_error · no_final {delivered} · late_cmgs {by_ns}
 * Any other fault is left to the modem (struct gsm_verdict). A message whose sender is
 * told of a failure counts as lost, so submitted = delivered + lost + on its way. */
#ifndef HIL_MODEMS_CARRIER_H
#define HIL_MODEMS_CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/fault.h"
#include "core/journal.h"
#include "core/time.h"
#include "hil/modems/pdu.h"

#define GSM_SUBSCRIBERS_MAX 256
#define GSM_MESSAGES_MAX    65536 /* on their way at once; more is congestion */

enum gsm_profile {
	GSM_IMMEDIATE, /* no delay, no loss */
	GSM_TYPICAL,   /* hil.md, The emulated modem */
};

struct gsm_carrier_setup {
	uint64_t seed;
	enum gsm_profile profile;
	const uint8_t *run_key;	 /* 32 bytes, borrowed; NULL: no fingerprints in the journal */
	struct journal *journal; /* borrowed; NULL: nobody listens */
	void *ctx;
	/* `to` is a subscriber. 0: taken; anything else: not now, tried again at
	 * gsm_carrier_retry until the message's validity is over. */
	int (*deliver)(void *ctx, unsigned to, time_ns now, const struct pdu_deliver *d);
	void (*report)(void *ctx, unsigned to, time_ns now, const struct pdu_report *r);
};

/* What the sender's modem is to answer. */
struct gsm_verdict {
	int cms;	   /* 0: accepted; else 27.005 §3.2.5 */
	uint8_t reference; /* TP-MR for +CMGS */
	time_ns answer_at;
	bool silent;	  /* no final result at all */
	bool plain_error; /* ERROR instead of +CMGS */
	const struct fault
		*fault; /* not the carrier's: acts in the modem; NULL, or stands until it is disarmed */
	unsigned to;	/* subscriber, GSM_SUBSCRIBERS_MAX where nobody */
};

struct gsm_stats {
	uint64_t submitted, refused, delivered, lost, reports;
	unsigned waiting; /* on their way or held for a receiver */
};

struct gsm_carrier *gsm_carrier_new(const struct gsm_carrier_setup *setup); /* NULL without memory */
void gsm_carrier_free(struct gsm_carrier *c);

/* A SIM with its number ("+34…"); `name` is its modem's, for the journal. Both are
 * copied. Returns the subscriber, ERR_LIMIT, or ERR_EXISTS for a number twice. */
int gsm_carrier_subscribe(struct gsm_carrier *c, const char *name, const char *number);
/* The subscriber of a number, or ERR_NOTFOUND. National forms match by their last digits. */
int gsm_carrier_find(const struct gsm_carrier *c, const char *number);

/* The message that subscriber `from` submits at `now`, which is `unix_s` on the
 * service centre's clock. */
void gsm_carrier_submit(struct gsm_carrier *c, unsigned from, time_ns now, int64_t unix_s,
			const struct pdu_submit *submit, struct gsm_verdict *out);
/* A text from outside, `sender` being any number or name. Not in the journal. Returns
 * 0, ERR_LIMIT or ERR_PARSE for the text, ERR_NOMEM. */
int gsm_carrier_inject(struct gsm_carrier *c, unsigned to, time_ns now, int64_t unix_s, const char *sender,
		       const char *text);
/* The subscriber can take messages again. */
void gsm_carrier_retry(struct gsm_carrier *c, unsigned subscriber, time_ns now);
/* Hands over what is due. */
void gsm_carrier_tick(struct gsm_carrier *c, time_ns now);
time_ns gsm_carrier_deadline(const struct gsm_carrier *c);
void gsm_carrier_stats(const struct gsm_carrier *c, struct gsm_stats *out);

/* Is `what` a fault that the carrier itself acts on? */
bool gsm_carrier_knows_fault(const char *what);

#endif
