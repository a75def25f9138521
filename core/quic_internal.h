/* What the parts of the QUIC endpoint share; nobody else includes it.
 *
 * No user callback ever runs inside an ngtcp2 call: the ngtcp2 callbacks only take
 * notes (flags, the `ended` list), and conn_deliver tells the owner afterwards. So an
 * owner may close or abandon a connection from any callback. */
#ifndef CORE_QUIC_INTERNAL_H
#define CORE_QUIC_INTERNAL_H

#include <sys/queue.h>

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

/* running out of memory is an error to report, not a reason to exit */
#define HASH_NONFATAL_OOM      1
#define uthash_nonfatal_oom(e) ((e)->lost = true)
#include <uthash.h>
/* a lookup here is a walk over a chain of entries, and each of them a miss of the cache:
 * uthash's usual 10 a bucket are many in a fleet */
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_BKT_CAPACITY_THRESH 5U

#include "core/buf.h"
#include "core/heap.h"
#include "core/quic.h"

#define QUIC_PAYLOAD_SIZE                                                                                    \
	1200 /* RFC 9000 §14: the least that every path carries; we never probe for more                    \
	      */
#define QUIC_BURST_MAX	  (16 * QUIC_PAYLOAD_SIZE) /* one UDP_SEGMENT send */
#define QUIC_LINGER_PTO	  3			   /* RFC 9000 §10.2 */
#define QUIC_LINGER_MAX	  20000			   /* closing and draining connections kept at once */
#define QUIC_ORPHANS_MAX  1024			   /* answers to unknown packets waiting for a sink */
#define QUIC_RESETS_PER_S 1000
#define QUIC_RETRY_LIFE	  (10 * NS_PER_S)

struct cid_entry {
	uint8_t id[NGTCP2_MAX_CIDLEN];
	size_t len;
	struct quic_conn *conn;
	bool lost; /* the table had no memory for it */
	UT_hash_handle hh;
	SLIST_ENTRY(cid_entry) next; /* of one connection */
};
SLIST_HEAD(cid_list, cid_entry);

/* Connections of one address (connections_per_source). */
struct source_entry {
	uint8_t key[16];
	int64_t count;
	bool lost;
	UT_hash_handle hh;
};

struct quic_stream {
	struct quic_conn *conn;
	int64_t id; /* -1: not opened yet */
	void *user; /* client: whose request */
	struct buf in;
	uint8_t *out; /* owned; kept until the stream closes: ngtcp2 copies nothing */
	size_t out_len, out_off;
	time_ns fin_by; /* server: TIME_NEVER once the request is whole */
	enum quic_request_status status;
	bool has_out, out_done;		  /* a message is there; all of it and FIN taken by ngtcp2 */
	bool blocked;			  /* by flow control, for this round of writing */
	bool in_ended, told;		  /* noted in `ended`; owner told (or does not want to know) */
	bool gone;			  /* ngtcp2 closed it; freed once told */
	TAILQ_ENTRY(quic_stream) link;	  /* conn->streams or conn->waiting */
	TAILQ_ENTRY(quic_stream) sending; /* conn->sending where on_sending */
	TAILQ_ENTRY(quic_stream) ended;	  /* conn->ended where in_ended */
	bool on_sending;
};
TAILQ_HEAD(stream_list, quic_stream);

enum conn_state {
	CONN_ACTIVE,
	CONN_CLOSING, /* CONNECTION_CLOSE waits for a sink */
	CONN_UNTOLD,  /* closed, but `closed` was not called yet */
	CONN_LINGER,  /* closing or draining period; the owner has forgotten it */
	CONN_DEAD,    /* in the graveyard */
};

struct quic_conn {
	struct quic_endpoint *ep;
	struct secret_source *secret; /* of its connection IDs and path challenges; borrowed */
	enum conn_state state;
	ngtcp2_conn *qc;      /* NULL from CONN_LINGER on */
	gnutls_session_t tls; /* NULL once the handshake is confirmed */
	ngtcp2_crypto_conn_ref ref;
	char *server_name; /* client; owned */
	int64_t clock_ms;  /* its owner's wall clock against ep->at's */
	void *user;
	struct addr remote;
	uint8_t first_cid[QUIC_CID_LEN];
	struct cid_list cids;
	struct cid_list tokens; /* client: stateless reset tokens of the peer */
	struct source_entry *source;
	struct heap_node timer;
	struct stream_list streams, waiting, sending, ended;
	uint64_t received;

	bool counted;		      /* in ep->live */
	bool half_open;		      /* in ep->half_open */
	bool done_noted, done_told;   /* handshake done */
	unsigned paths_ok, paths_bad; /* validations that ended, not yet told */
	bool reset_seen;	      /* stateless reset */
	bool silent;		      /* nothing may ever leave again after the close */
	bool dirty;

	/* how it ends: what `closed` will say */
	enum quic_close_why why;
	uint64_t error;
	ngtcp2_connection_close_error last_error; /* for CONN_CLOSING */
	uint64_t tls_error;			  /* a transport error that a callback decided on; 0: none */

	/* closing period */
	uint8_t *last_words; /* owned copy of the CONNECTION_CLOSE packet; NULL: draining */
	size_t last_words_len;
	struct addr last_local, last_remote;
	unsigned heard, answer_at; /* packets since; answered on the 1st, 2nd, 4th, 8th… */

	TAILQ_ENTRY(quic_conn) all, todo, grave;
};
TAILQ_HEAD(conn_list, quic_conn);

/* A datagram that belongs to no connection. */
struct orphan {
	struct addr local, remote;
	size_t len;
	STAILQ_ENTRY(orphan) next;
	uint8_t data[];
};

struct quic_endpoint {
	struct quic_config cfg;
	char *alpn;			 /* owned copy */
	struct instant at;		 /* of the present call */
	struct cid_entry *cids, *tokens; /* hashes */
	struct source_entry *sources;
	uint8_t place_key[16]; /* where in these three a key goes; from the reset key */
	struct heap timers;
	struct conn_list all, dirty, graveyard;
	STAILQ_HEAD(, orphan) orphans;
	size_t orphans_n, live, half_open, lingering;
	unsigned depth; /* calls of ours on the stack: the dead stay in their graves */
	bool shutting_down;
	time_ns resets_second;
	unsigned resets_n;
};

/* ---- quic.c ---- */
void endpoint_enter(struct quic_endpoint *ep, const struct instant *at);
void endpoint_leave(struct quic_endpoint *ep); /* frees the dead at the outermost level */
void conn_mark_dirty(struct quic_conn *c);

/* ---- quic_cid.c: routing ---- */
int cid_add(struct quic_conn *c, const uint8_t *id, size_t len);
void cid_drop(struct quic_conn *c, const uint8_t *id, size_t len);
struct quic_conn *cid_find(const struct quic_endpoint *ep, const uint8_t *id, size_t len);
int reset_token_add(struct quic_conn *c, const uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN]);
void reset_token_drop(struct quic_conn *c, const uint8_t token[NGTCP2_STATELESS_RESET_TOKENLEN]);
struct quic_conn *reset_token_find(const struct quic_endpoint *ep, const uint8_t *tail);
void cids_clear(struct quic_conn *c);
/* A fresh connection ID of ours. */
void cid_make(const struct quic_endpoint *ep, struct secret_source *secret, ngtcp2_cid *out);
/* Counts one more of this address; ERR_LIMIT where it has its share. */
int source_take(struct quic_endpoint *ep, struct quic_conn *c, const struct addr *remote);
void source_release(struct quic_conn *c);
bool source_full(const struct quic_endpoint *ep, const struct addr *remote);

/* ---- quic_conn.c ---- */
struct conn_origin { /* server: where a connection comes from */
	const ngtcp2_pkt_hd *hd;
	const ngtcp2_cid *odcid; /* NULL: no Retry went before */
};
/* NULL and `e` on error. */
struct quic_conn *conn_new(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
			   const char *server_name, struct secret_source *secret,
			   const struct conn_origin *origin, struct err *e);
/* 0 or what ngtcp2 said; the connection has been dealt with either way. */
int conn_input(struct quic_conn *c, const struct addr *local, const struct addr *remote, unsigned ecn,
	       const uint8_t *data, size_t len);
void conn_expire(struct quic_conn *c);
/* `all_said`: it has just written, and nothing is left to write. */
void conn_rearm(struct quic_conn *c, bool all_said);
/* Tells the owner what the ngtcp2 callbacks noted. */
void conn_deliver(struct quic_conn *c);
/* Begins an end with CONNECTION_CLOSE; `closed` follows when it is written. */
void conn_close_app(struct quic_conn *c, uint64_t app_error);
void conn_close_error(struct quic_conn *c, int liberr);
/* The end: tells the owner, frees all but what lingering needs. */
void conn_finish(struct quic_conn *c, bool linger);
void conn_bury(struct quic_conn *c);
void conn_free(struct quic_conn *c); /* from the graveyard or with its endpoint */

/* ---- quic_ngtcp2.c: the callback table ---- */
extern const ngtcp2_callbacks quic_client_callbacks, quic_server_callbacks;

/* ---- quic_stream.c ---- */
struct quic_stream *stream_new(struct quic_conn *c, int64_t id);
void stream_free(struct quic_stream *s);
void stream_free_all(struct quic_conn *c);
void stream_closed(struct quic_stream *s); /* ngtcp2 let it go */
int stream_received(struct quic_stream *s, const uint8_t *data, size_t len, bool fin);
void stream_end(struct quic_stream *s, enum quic_request_status status); /* notes it for conn_deliver */
void stream_tell(struct quic_stream *s);
void stream_sent(struct quic_stream *s, size_t n, bool fin);
void stream_stop_sending_out(struct quic_stream *s);
void streams_open_waiting(struct quic_conn *c);
time_ns streams_fin_by(const struct quic_conn *c);
void streams_too_slow(struct quic_conn *c, time_ns now);
void streams_lost(struct quic_conn *c);

/* ---- quic_write.c ---- */
/* All that is pending; false where the sink was full. */
bool conn_write(struct quic_conn *c, struct dgram_sink *sink);
/* CONNECTION_CLOSE into the sink, then CONN_UNTOLD; false where the sink was full. */
bool conn_write_close(struct quic_conn *c, struct dgram_sink *sink);
bool conn_write_last_words(struct quic_conn *c, struct dgram_sink *sink);
void path_set(ngtcp2_path *path, const struct addr *local, const struct addr *remote);

/* ---- quic_accept.c: packets that belong to no connection ---- */
void accept_unknown(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		    unsigned ecn, const uint8_t *data, size_t len);
void accept_version(struct quic_endpoint *ep, const struct addr *local, const struct addr *remote,
		    const ngtcp2_version_cid *vc, size_t len);
bool orphans_write(struct quic_endpoint *ep, struct dgram_sink *sink);
void orphans_free(struct quic_endpoint *ep);

/* ---- quic_tls.c ---- */
/* A session for `c`, not started. NULL and `e` on error. */
gnutls_session_t tls_session_new(struct quic_conn *c, struct err *e);
/* Did both ends agree on our ALPN? */
bool tls_alpn_ok(const struct quic_conn *c);

#endif
