/* Inside of the server's glue: server.c (life, turns), server_conn.c (QUIC's callbacks),
 * server_lab.c (faults on the server itself), control.c (operators and the lab). */
#ifndef SERVER_SERVER_INTERNAL_H
#define SERVER_SERVER_INTERNAL_H

#include "core/fault.h"
#include "core/quic.h"
#include "core/rng.h"
#include "server/effects.h"
#include "server/enroll.h"
#include "server/script.h"
#include "server/server.h"
#include "server/store.h"
#include "server/store_disk.h"

#define ANSWER_RULES 8

/* One connection whose handshake is done. */
struct conn {
	LIST_ENTRY(conn) all;
	struct server *server;
	struct quic_conn *quic;
	struct enroll_peer peer;
	char id[2 * QUIC_CID_LEN + 1];
};

/* Lab: force a code for a resource. */
struct answer_rule {
	enum msg_resource resource; /* MSG_RESOURCES: all */
	int code;                   /* 0: free */
	int64_t times;              /* left; INT64_MAX: no end */
	double share;               /* of the requests that match */
	char message[64];
};

struct server {
	struct server_config cfg;
	uint8_t run_key[32];
	struct journal *journal;
	struct faults *faults; /* armed by control; NULL until the first */
	struct quic_credentials *credentials;
	struct quic_endpoint *quic;
	struct store *store;
	struct enroll *enroll;
	struct effects fx;
	LIST_HEAD(, conn) conns;
	struct instant at;     /* of the call that is running */
	uint64_t commits;      /* turns that wrote something durable */
	bool stopping, said_down, stopped;
	bool open;             /* made, store and all */
	bool dead;             /* the world was told to die; it did not, so we do nothing any more */
	time_ns ends_at;       /* the store is broken: until then refusals leave; 0: it is not */
	bool handed_sms;       /* this turn, for the crash points */
	bool replied;
	/* lab */
	struct store_disk *disk; /* below the store; NULL without --lab */
	struct faults *crashes; /* armed with a crash point; NULL: none; cfg's or own_crashes */
	struct faults *own_crashes;
	int crash_at;          /* enum crash_point, by control; -1: not armed */
	int64_t clock_offset_ms;
	time_ns disk_until;    /* the disk's trouble ends; TIME_NEVER: no end */
	time_ns delay;         /* of every reply */
	STAILQ_HEAD(reply_list, reply) delayed; /* by `due` */
	struct reply_list held;      /* scripted: each leaves behind its connection's next reply */
	struct script_memory *memory; /* lab only, else NULL */
	struct answer_rule rules[ANSWER_RULES];
	struct rng rng;
};

/* Callbacks of the endpoint; ctx is the server. */
extern const struct quic_callbacks server_quic_callbacks;
void server_conn_free(struct conn *c);

/* An event that is no part of a decision. SERVER_EVENT(s, J_…, JS(…)). */
#define SERVER_EVENT(s, kind, ...)                                                                             \
	effects_event(&(s)->fx, NULL, false, (s)->at.now, NULL, NULL, NULL, kind,                              \
		      (const struct journal_value[]){__VA_ARGS__},                                             \
		      sizeof((const struct journal_value[]){__VA_ARGS__}) / sizeof(struct journal_value))

/* ---- server_lab.c ---- */
int server_lab_open(struct server *s, struct err *e);
void server_lab_close(struct server *s);
/* A trouble whose time is over ends. */
void server_lab_time(struct server *s);
/* From now on, for `length` (TIME_NEVER: until told otherwise). ERR_UNSUPPORTED without --lab. */
int server_disk(struct server *s, enum disk_trouble t, time_ns length);
/* ERR_INVALID beyond a hundred years. */
int server_clock(struct server *s, int64_t offset_ms);
/* Arms a fault that has a crash point. 0, ERR_*. */
int server_arm_crash(struct server *s, json_t *spec, struct err *e);
/* A point is passed; true: the world let us die here. */
bool server_reach(struct server *s, enum crash_point p);
/* What the turn is about to tell, and a reply that leaves, as armed crashes see it. */
void server_foresee(struct server *s);
void server_foresee_reply(struct server *s, const struct reply *r);
/* What a fired fault does to us; true: we are to die of it. `r`: the reply that the event
 * is about, NULL: none. */
bool server_act(struct server *s, const struct fault *f, struct reply *r);
void server_die(struct server *s, const char *where);

/* The wall clock as the lab bends it. */
void server_set_time(struct server *s, const struct instant *at);
/* Commits now; on failure every reply of the turn becomes a 503. */
int server_commit(struct server *s);
/* Emits the journal events that are queued, after their commit; false: a fault killed us. */
bool server_write_journal(struct server *s);

#endif
