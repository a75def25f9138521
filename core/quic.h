/* A QUIC endpoint without I/O, over ngtcp2 0.12.1 and GnuTLS: many connections on
 * one UDP address, told apart by our own fixed-length connection IDs. Datagrams and
 * instants come in; datagrams go out through a dgram_sink when the owner says so.
 * All ngtcp2 calls of the project stay in core/quic*.c.
 *
 * The contract on the wire: QUIC v1 (RFC 9000), TLS 1.3 with mutual authentication,
 * one request a client-initiated bidirectional stream, FIN-terminated both ways
 * (protocol.md §1). Nothing leaves before quic_output: a server commits first.
 *
 * A connection is owned by its endpoint. It is freed inside quic_input, quic_expire or
 * quic_output after `closed` was called, or by quic_abandon; never keep the pointer
 * beyond `closed`. */
#ifndef CORE_QUIC_H
#define CORE_QUIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"
#include "core/world.h"

#define QUIC_CID_LEN	  16 /* ours; byte 0 is the worker */
#define QUIC_ALPN_DEFAULT "iot-bootstrap/1"

/* Application error codes (protocol.md §1). */
enum { QUIC_APP_DONE, QUIC_APP_INTERNAL, QUIC_APP_TOO_LARGE, QUIC_APP_TOO_SLOW, QUIC_APP_SHUTTING_DOWN };

struct quic_endpoint;
struct quic_conn;
struct quic_credentials; /* shared by endpoints of one process; the priority string parsed once */

struct quic_credentials_pem {
	const char *cert, *key; /* own; NULL on a client: shows no certificate */
	const char *peer_ca;	/* whom to trust; NULL is refused */
};
/* Checks that key and certificate belong together and that the PEM is readable: ERR_TLS
 * with a reason that says which file's text is wrong (by role: certificate, key, CA). */
struct quic_credentials *quic_credentials_new(const struct quic_credentials_pem *pem, struct err *e);
void quic_credentials_free(struct quic_credentials *c);

enum quic_close_why {
	QUIC_CLOSED_OK,	       /* application code 0, ours or theirs */
	QUIC_CLOSED_APP,       /* another application code: `error` */
	QUIC_CLOSED_TRANSPORT, /* transport or TLS alert: `error` is the wire's code (0x100 + alert) */
	QUIC_CLOSED_HANDSHAKE, /* the handshake failed; `error` where there is one */
	QUIC_CLOSED_HANDSHAKE_TIMEOUT,
	QUIC_CLOSED_IDLE,
	QUIC_CLOSED_RESET,   /* stateless reset */
	QUIC_CLOSED_DROPPED, /* abandoned without a word */
};
const char *quic_close_text(enum quic_close_why why); /* "ok", "application", "transport", … */

enum quic_request_status {
	QUIC_REPLY,	/* data, len: the whole reply; on a server: the whole request */
	QUIC_TOO_LARGE, /* over message_max: data holds what came (server answers 413, then STOP_SENDING went
			   out) */
	QUIC_STREAM_RESET, /* the peer reset the stream or stopped reading */
	QUIC_CONN_LOST,	   /* the connection went before the reply's FIN */
	QUIC_TOO_SLOW,	   /* server: fin_timeout passed; the connection is being closed with code 3 */
};

/* All are called from within quic_input, quic_expire or quic_output. They may call
 * quic_request, quic_respond, quic_close; not quic_endpoint_free. */
struct quic_callbacks {
	/* client: certificate accepted by the server (handshake confirmed); server: complete */
	void (*handshake_done)(void *ctx, struct quic_conn *c);
	/* exactly once a connection, the last call for it; handshake_done may never have come.
	 * A server's connection begins with a first Initial that could be read. */
	void (*closed)(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error);
	/* server: a request ended. client: the request with `user` ended. `data` is borrowed. */
	void (*request)(void *ctx, struct quic_conn *c, int64_t stream, enum quic_request_status status,
			const uint8_t *data, size_t len);
	void (*reply)(void *ctx, struct quic_conn *c, void *user, enum quic_request_status status,
		      const uint8_t *data, size_t len);
	/* server: the peer came from another address, and answered there, or not (RFC 9000 §8.2);
	 * a path may be told of twice, when its size is validated too (§8.2.1). May be NULL. */
	void (*path)(void *ctx, struct quic_conn *c, bool validated);
};

struct quic_config {
	bool server;
	struct quic_credentials *credentials; /* borrowed */
	const char *alpn;		      /* borrowed; NULL: the default */
	struct secret_source *secret;	      /* connection IDs, path challenges, ngtcp2's rand, tokens */
	struct quic_callbacks on;
	void *ctx;
	time_ns idle_timeout, handshake_timeout, fin_timeout; /* fin_timeout: server only */
	size_t message_max;				      /* server: request_max; client: MSG_REPLY_MAX */
	unsigned streams;				      /* server: concurrent requests a connection */
	size_t stream_window;
	/* server */
	uint8_t worker;		 /* byte 0 of our connection IDs */
	uint8_t reset_key[32];	 /* stateless reset and Retry tokens; survives a restart */
	int64_t half_open_retry; /* half-open handshakes from which on Retry is sent; SETTING_OFF never */
	int64_t connections_max, connections_per_source; /* SETTING_OFF: no limit */
	/* both; NULL: not wanted. Key log lines are secrets. */
	void (*keylog)(void *ctx, const char *line);
};

struct quic_endpoint *quic_endpoint_new(const struct quic_config *cfg, struct err *e);
/* Frees everything without a word to the peers and without callbacks. */
void quic_endpoint_free(struct quic_endpoint *ep);

/* One datagram that arrived. `unix_ms` of `at` judges certificate dates, and nothing else
 * does: GnuTLS's own clock is one for the whole process. */
void quic_input(struct quic_endpoint *ep, const struct instant *at, const struct addr *local,
		const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len);
/* Timers that are due. */
void quic_expire(struct quic_endpoint *ep, const struct instant *at);
/* Writes what is pending for every connection that has something; true when all was
 * written, false when the sink was full (call again when it has room). */
bool quic_output(struct quic_endpoint *ep, const struct instant *at, struct dgram_sink *sink);
time_ns quic_deadline(const struct quic_endpoint *ep); /* TIME_NEVER: none */

/* ---- client ---- */
/* Starts a handshake; the first datagram leaves with quic_output. `server_name` is what
 * the certificate must bear (copied; a DNS name or an IP address). `user` is the owner
 * for quic_conn_user and for the sink's counts. `secret` is where its connection IDs and
 * path challenges come from (borrowed; NULL: the endpoint's). NULL and `e` on error. */
struct quic_conn *quic_connect(struct quic_endpoint *ep, const struct instant *at, const struct addr *local,
			       const struct addr *remote, const char *server_name,
			       struct secret_source *secret, void *user, struct err *e);
/* Sends one request with FIN as soon as the handshake allows (never as early data). The
 * bytes are copied. `reply` is called with `user` exactly once, unless quic_abandon or
 * quic_cancel comes first. 0 or ERR_CLOSED, ERR_NOMEM. */
int quic_request(struct quic_conn *c, const uint8_t *data, size_t len, void *user);
/* Forget the request: resets the stream, no `reply` call any more. */
void quic_cancel(struct quic_conn *c, void *user);
/* PING at half the idle timeout while nothing else moves (connection: hold). */
void quic_keep_alive(struct quic_conn *c, bool on);

/* ---- server ---- */
/* Answers a request; copied. ERR_CLOSED where the stream is gone. */
int quic_respond(struct quic_conn *c, int64_t stream, const uint8_t *data, size_t len);
/* RESET_STREAM in place of an answer, or of what has not left of one. */
void quic_reset(struct quic_conn *c, int64_t stream, uint64_t app_error);

/* ---- both ---- */
/* CONNECTION_CLOSE with an application code, once, at the next quic_output (or at once
 * into `sink` where not NULL). `closed` follows. With `silent_after` nothing at all is
 * sent for this connection ever after, whatever arrives (IDLE: protocol.md §3, last row). */
void quic_close(struct quic_conn *c, const struct instant *at, uint64_t app_error, bool silent_after,
		struct dgram_sink *sink);
/* Power cut: gone without a datagram and without callbacks. */
void quic_abandon(struct quic_conn *c);
/* CONNECTION_CLOSE code 4 to everyone; new connections are refused from now on. */
void quic_shutdown(struct quic_endpoint *ep, const struct instant *at);

/* Its owner's wall clock stands that much aside from the endpoint's. */
void quic_conn_set_clock(struct quic_conn *c, int64_t offset_ms);
void *quic_conn_user(const struct quic_conn *c);
void quic_conn_set_user(struct quic_conn *c, void *user);
const struct addr *quic_conn_remote(const struct quic_conn *c);
bool quic_conn_handshaken(const struct quic_conn *c);
/* Our first connection ID in hex: the journal's conn id. out[2 * QUIC_CID_LEN + 1]. */
char *quic_conn_id(const struct quic_conn *c, char *out);
/* Datagrams received on this connection since the last call (sent ones are counted by the sink). */
uint64_t quic_conn_take_received(struct quic_conn *c);
size_t quic_connections(const struct quic_endpoint *ep);
size_t quic_half_open(const struct quic_endpoint *ep);

/* For tests and scenarios: the connection continues from another local address
 * (rebinding: the peer must validate the path). */
int quic_rebind(struct quic_conn *c, const struct instant *at, const struct addr *new_local);

#endif
