/* The credential server, whole but without I/O: QUIC endpoint, policy core, store,
 * outbox. A world (quicrig serve, the virtual rig) hands it datagrams, gateway answers
 * and control lines, and ends each loop turn with server_turn, which performs the
 * turn's effects in order: commit, journal, SMS, replies (protocol.md §4, Commit
 * before answer; contracts.md, Effects and crash points). */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdbool.h>
#include <jansson.h>

#include "core/err.h"
#include "core/fault.h"
#include "core/journal.h"
#include "core/pki.h"
#include "core/registry.h"
#include "core/settings.h"
#include "core/world.h"

enum sms_status { SMS_QUEUED, SMS_BUSY, SMS_SUBMITTED, SMS_FAILED, SMS_UNKNOWN };

/* One SMS for the gateway (contracts.md, SMS gateway). */
struct server_sms {
	const char *id;   /* hex, fresh per code */
	const char *uuid, *to, *text, *r; /* text holds the code: a secret */
};

/* What the server asks of its world. Called from server_turn only, but `die`. */
struct server_world {
	/* 0, or ERR_CLOSED where the gateway is not there (the server keeps it and repeats). */
	int (*sms)(void *ctx, const struct server_sms *sms);
	/* The armed crash point or a `kill` fault was reached: live raises SIGKILL and does
	 * not return; the virtual world returns and server_turn stops right there. */
	void (*die)(void *ctx, const char *where);
	void *ctx;
};

struct server_config {
	const struct pki *pki;           /* server pair, device_ca, token_key, reset_key, store_key; borrowed */
	const char *const *old_token_keys; /* PEM private, oldest first; NULL-terminated; may be NULL */
	struct registry *registry;       /* borrowed; server_reload changes it */
	struct settings settings;
	const char *db;                  /* SQLite file name */
	const char *vfs;                 /* SQLite VFS by name; NULL: the default */
	const char *boot_id;             /* another one voids codes */
	const uint8_t *run_key;          /* 32 bytes for fingerprints; NULL: a fresh one from `secret` */
	struct secret_source *secret;
	struct journal *journal;
	const char *alpn;                /* NULL: the default */
	bool lab;                        /* --lab: control takes fault, crash-at, disk, clock-step, answer, delay … */
	struct faults *crashes;          /* lab: armed ones with a crash point, which outlive this server;
					    borrowed; NULL: control's own */
	int64_t clock_offset_ms;         /* lab: of the wall clock, from the start on */
	uint8_t worker;
	uint64_t seed;                   /* for armed faults with a chance */
	struct server_world world;
};

struct server;

/* Opens the store (a second server on one file: ERR_BUSY; damaged: ERR_IO with a clear
 * text), checks the keys, loads what is unfinished. NULL and `e` on error. Writes
 * server.state{up|recovered}. */
struct server *server_new(const struct server_config *cfg, const struct instant *at, struct err *e);
/* Frees without commit or farewell (kill -9, virtual). */
void server_free(struct server *s);
/* Orderly end: CONNECTION_CLOSE 4 at the next turn, what is pending committed. */
void server_stop(struct server *s, const struct instant *at);
bool server_stopped(const struct server *s);
/* Its last commit failed, in words: requests are answered 503 until one works. NULL: none did. */
const char *server_trouble(const struct server *s);

void server_datagram(struct server *s, const struct instant *at, const struct addr *local,
		     const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len);
/* The gateway's answer, first or later. `eta_s` with SMS_BUSY; cms, ref −1 where absent. */
void server_sms_status(struct server *s, const struct instant *at, const char *id, enum sms_status status,
		       int64_t eta_s, int cms, int ref);
/* The gateway's connection came up or went: on up all unfinished ids are repeated. */
void server_gateway(struct server *s, const struct instant *at, bool up);
/* One control request (contracts.md, serve); appends one JSON line to `reply`. */
void server_control(struct server *s, const struct instant *at, json_t *request, struct buf *reply);

time_ns server_deadline(const struct server *s);
/* Ends a loop turn: due timers, one commit, journal, SMS, replies into `sink`. 0, or
 * ERR_IO where the store is gone for good (the server must stop). */
int server_turn(struct server *s, const struct instant *at, struct dgram_sink *sink);

/* New registry (SIGHUP, control reload), committed: `*old` is the caller's again. On error the one that
 * was there stays, and `fresh` the caller's: ERR_IO, ERR_NOMEM, ERR_CLOSED. */
int server_reload(struct server *s, const struct instant *at, struct registry *fresh, struct registry **old,
		  struct err *e);

#endif
