/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One modem through libgammu: opens it, sends and fetches SMS, and keeps out of the
 * library's traps (hil.md, What libgammu does). Calls block for as long as the
 * modem takes; a thread aborts them when the device vanishes or a limit is over.
 *
 * libgammu's errors are called ERR_*, as the rig's own are: nothing here may see
 * core/err.h. */
#ifndef HIL_MODEMS_WORKER_PHONE_H
#define HIL_MODEMS_WORKER_PHONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHONE_EXIT_STUCK 3 /* libgammu hangs and cannot be aborted */
#define PHONE_LOC_NONE (-1)
#define PHONE_TEXT_MAX 1024 /* bytes of UTF-8 of one message, and a NUL */

enum phone_result {
	PHONE_OK,
	PHONE_PENDING,  /* PDU written, no result yet */
	PHONE_FAILED,   /* surely not done */
	PHONE_UNKNOWN,  /* may have been done; the connection has to be opened again */
	PHONE_ABSENT,   /* no such device, or it does not open */
	PHONE_PIN,      /* the SIM asks for a PIN and there is none to give */
	PHONE_LOCKED,   /* wrong PIN, or it asks for the PUK: nothing may be tried again */
	PHONE_OTHER,    /* another modem than the one that is meant */
	PHONE_ATTACHING /* not registered at a network */
};

struct phone_config {
	const char *device, *connection;
	const char *pin;        /* NULL: none */
	const char *imei;       /* of the modem that is meant; NULL: any */
	const char *debug_file; /* NULL: none. It holds PDUs, so codes: a secret */
	unsigned send_timeout_ms;
};

struct phone_info {
	char imei[64], manufacturer[64], model[64], firmware[64];
	char network[16]; /* MCC and MNC */
	char operator_name[64];
	char smsc[64];
	bool notify; /* +CMTI comes; else SMS must be polled for */
};

/* What became of a send. */
struct phone_sent {
	int ref;           /* TP-MR when PHONE_OK */
	int cms, cme;      /* raw codes, -1: none */
	bool answered;     /* the modem said something, were it a plain ERROR */
	const char *phase; /* "text", "prompt", "pdu" */
	char why[128];
};

struct phone_sms {
	int loc; /* flat: 1… on the SIM, 100000 + n in the modem; PHONE_LOC_NONE: nowhere */
	bool is_report;
	int ref, status; /* of a report: TP-MR, TP-Status */
	char from[64];
	char text[PHONE_TEXT_MAX];
	char smsc_time[40];
};

typedef void phone_sms_fn(void *ctx, const struct phone_sms *sms);
typedef void phone_log_fn(void *ctx, const char *level, const char *text);

struct phone;

/* `cfg` and its texts are borrowed and outlive the phone. NULL without memory. */
struct phone *phone_new(const struct phone_config *cfg, phone_sms_fn *sms, phone_log_fn *log, void *ctx);
void phone_free(struct phone *p);

/* Opens and initialises (about 4 s); `why` says what is wrong. PHONE_OK, PHONE_ABSENT,
 * PHONE_PIN, PHONE_LOCKED, PHONE_OTHER, PHONE_FAILED (try again later). */
enum phone_result phone_open(struct phone *p, char *why, size_t size);
void phone_close(struct phone *p);
bool phone_is_open(const struct phone *p);
/* Is the device there, and the one that was opened? */
bool phone_present(const struct phone *p);
/* The tty's descriptor to poll, -1 where it cannot be known. Never read it. */
int phone_fd(const struct phone *p);
const struct phone_info *phone_info(const struct phone *p);

/* PHONE_OK: registered. PHONE_ATTACHING with `why`; PHONE_FAILED: no answer. */
enum phone_result phone_network(struct phone *p, char *why, size_t size);

/* Starts a send. PHONE_OK, PHONE_PENDING, PHONE_FAILED or PHONE_UNKNOWN. While it
 * is pending nothing but phone_turn may be called: the OK of any other command
 * would be taken for this message's. */
enum phone_result phone_send(struct phone *p, const char *to, const char *text, struct phone_sent *out);
/* Takes what the modem said. While a send is pending its result, else PHONE_OK. */
enum phone_result phone_turn(struct phone *p, struct phone_sent *out);
bool phone_sending(const struct phone *p);

/* Fetches what +CMTI announced since the last call. */
enum phone_result phone_fetch(struct phone *p);
bool phone_has_news(const struct phone *p);
/* Reads the stores and hands over whatever was not handed over yet. */
enum phone_result phone_poll(struct phone *p);
enum phone_result phone_delete(struct phone *p, int loc, char *why, size_t size);

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t phone_now_ms(void);

#endif
