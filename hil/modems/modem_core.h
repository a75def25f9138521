/* One emulated GSM modem, sans I/O: characters in, characters out, `now`, a deadline.
 *
 * Layers: line and echo (at_line) → V.250 (at_parser) → handlers of 3GPP TS 27.007 and
 * 27.005 → SIM store. What it needs from the network it asks by call (struct
 * modem_hooks). A modem outlives being switched off and on; its SIM store stays. */
#ifndef HIL_MODEMS_MODEM_CORE_H
#define HIL_MODEMS_MODEM_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/fault.h"
#include "core/time.h"
#include "hil/modems/carrier.h"
#include "hil/modems/pdu.h"

#define MODEM_STORAGE_MAX     255
#define MODEM_STORAGE_DEFAULT 100
#define MODEM_STORAGE_TYPICAL 30 /* a real SIM's */
#define MODEM_QUIET_DEFAULT   (50 * NS_PER_MS)
#define MODEM_URC_WAIT_MAX    NS_PER_S

struct modem_core;
struct modem_personality;

struct modem_setup {
	const char *number; /* "+34600000001"; all texts are copied */
	const char *imei;   /* 15 digits */
	const char *imsi;   /* NULL: made from the number */
	const char *pin;    /* NULL: no PIN asked */
	const struct modem_personality *personality;
	unsigned storage; /* messages that the SIM holds, at most MODEM_STORAGE_MAX */
	/* Unsolicited lines wait until nothing was said either way for so long, but not over
	 * MODEM_URC_WAIT_MAX: libgammu loses the whole answer where one slips in between two
	 * commands. 0: they come at any time, as from a rude modem. */
	time_ns quiet_ns;
	int64_t epoch_unix_s; /* wall clock at now = 0 */
};

struct modem_hooks {
	void *ctx;
	/* The modem's state changes: "on", "sending", "ready", "received", … Returns the fault
	 * that this fires, or NULL. */
	const struct fault *(*state)(void *ctx, time_ns now, const char *state, const char *why);
	void (*submit)(void *ctx, time_ns now, const struct pdu_submit *s, struct gsm_verdict *out);
	/* The store has room again, or the network is back: messages may be tried again. Must
	 * not call back into the modem. */
	void (*room)(void *ctx, time_ns now);
	/* A fault that is neither the carrier's nor the modem's own (unplug). */
	void (*fault)(void *ctx, time_ns now, const struct fault *f);
};

struct modem_core *modem_core_new(const struct modem_setup *setup, const struct modem_hooks *hooks);
void modem_core_free(struct modem_core *m);

/* Power on, or replugged: line, echo, message format and PIN as after a reset. */
void modem_core_boot(struct modem_core *m, time_ns now);
void modem_core_feed(struct modem_core *m, time_ns now, const void *bytes, size_t len);
void modem_core_tick(struct modem_core *m, time_ns now);
time_ns modem_core_deadline(const struct modem_core *m);
/* What is to be written to the terminal; the caller consumes it. */
struct buf *modem_core_output(struct modem_core *m);

/* A message or report from the network. 0, or ERR_BUSY: not now. */
int modem_core_deliver(struct modem_core *m, time_ns now, const struct pdu_deliver *d);
void modem_core_report(struct modem_core *m, time_ns now, const struct pdu_report *r);

/* Neither hears nor speaks until `until`; TIME_NEVER for ever, 0 ends it. */
void modem_core_mute(struct modem_core *m, time_ns until);
/* The store takes nothing until then. */
void modem_core_set_full(struct modem_core *m, time_ns until);
/* Acts on a fault of the modem's own; others go to hooks.fault. The faults:
 *   mute {for_ns} · garbage {bytes} · unsolicited {lines} · storage_full {for_ns}
 *   creg {stat, for_ns} · sim {state: pin|puk|none|busy, for_ns} · reboot
 * and, on modem.state "sending", cms_error {code, at: prompt|pdu} · plain_error {at} ·
 * no_prompt; on "received", lose_cmti · duplicate_cmti · dangling_cmti. */
void modem_core_fault(struct modem_core *m, time_ns now, const struct fault *f);
bool modem_core_knows_fault(const char *what);

/* Quirks of a make; NULL where the name is unknown. Index for listing: NULL at the end. */
const struct modem_personality *modem_personality_find(const char *name);
const char *modem_personality_name(unsigned index);

#endif
