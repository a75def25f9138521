/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What worker_phone.c (life) and worker_sms.c (messages) share. */
#ifndef HIL_MODEMS_WORKER_PHONE_INT_H
#define HIL_MODEMS_WORKER_PHONE_INT_H

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>

#include <gammu.h>

#include "hil/modems/worker_phone.h"

#define PHONE_CALL_LIMIT_MS 60000
#define PHONE_NEWS_MAX      64  /* announced and not yet fetched; more: the stores are read */
#define PHONE_SEEN_MAX      512 /* SMS that stand in the stores and were handed over */

enum error_seen {
	SEEN_NOTHING,
	SEEN_ERROR,
	SEEN_CMS,
	SEEN_CME
};

struct seen_sms {
	int loc;
	uint64_t digest; /* tells a new SMS at an old place from the old one */
};

struct phone {
	const struct phone_config *cfg;
	phone_sms_fn *sms;
	phone_log_fn *log;
	void *ctx;
	FILE *debug;
	struct phone_info info;
	int fd;

	/* shared with the watching thread, under `lock` */
	pthread_t watcher;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop, aborted;
	GSM_StateMachine *s; /* NULL: closed. Written under `lock` */
	uint64_t call_until; /* ms; 0: no call under way */
	uint64_t aborted_at; /* ms */
	bool device_known;
	dev_t rdev;

	/* the send under way */
	bool sending;
	uint64_t send_until;
	bool got_status;
	int status, ref;
	enum error_seen error_seen;
	int error_code;

	int news[PHONE_NEWS_MAX];
	unsigned news_count;
	bool news_lost;
	struct seen_sms seen[PHONE_SEEN_MAX];
	unsigned seen_count;

	GSM_MultiSMSMessage *scratch; /* some 300 KB */
};

/* Around every call into libgammu that waits; the watching thread aborts it after
 * `limit_ms` or when the device vanishes. phone_leave says whether it did. */
void phone_enter(struct phone *p, unsigned limit_ms);
bool phone_leave(struct phone *p);

void phone_log(struct phone *p, const char *level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* libgammu's UCS-2 to UTF-8, cut at a character. */
void phone_utf8(const unsigned char *from, char *out, size_t size);
/* Notes an ERROR, +CMS ERROR or +CME ERROR in libgammu's log. */
void phone_seen_error(struct phone *p, const char *text);

void phone_on_status(GSM_StateMachine *s, int status, int ref, void *ctx);
void phone_on_sms(GSM_StateMachine *s, GSM_SMSMessage *sms, void *ctx);

#endif
