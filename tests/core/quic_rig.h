/* A client and a server endpoint in one process, datagrams handed across in memory
 * under a virtual clock. */
#ifndef TESTS_CORE_QUIC_RIG_H
#define TESTS_CORE_QUIC_RIG_H

#include <sys/queue.h>

#include "core/pki.h"
#include "core/quic.h"
#include "core/rng.h"

#define RIG_LATENCY  (5 * NS_PER_MS)
#define RIG_UNIX_S   1700000000 /* the wall clock at the start; certificates are made around it */
#define RIG_DAY_S    86400
#define RIG_BODY_MAX 65536

struct rig_packet {
	time_ns at;
	bool to_server;
	struct addr local, remote; /* as the receiver sees them */
	size_t len;
	STAILQ_ENTRY(rig_packet) next;
	uint8_t data[];
};

struct rig_sink {
	struct dgram_sink sink;
	struct rig *rig;
	bool from_server, full;
	uint64_t sent; /* datagrams */
	unsigned segments_max;
};

/* What became of one client connection. */
struct rig_client {
	struct quic_conn *conn; /* NULL after `closed` */
	int done, closed, replies;
	enum quic_close_why why;
	uint64_t error;
	enum quic_request_status status;
	uint8_t body[RIG_BODY_MAX];
	size_t body_len;
	bool close_on_reply;
};

enum rig_answer { RIG_ECHO, RIG_KEEP_SILENT, RIG_CLOSE };

struct rig {
	struct instant at;
	struct secret_source secret;
	struct rng rng;
	struct quic_config client_cfg, server_cfg;
	struct quic_endpoint *client, *server;
	struct rig_sink to_server, to_client;
	struct addr client_addr, server_addr;
	STAILQ_HEAD(, rig_packet) wire;
	uint64_t packets;  /* on the wire since the start */
	uint64_t drop_nth; /* 1 is the first; 0 none */
	double loss;
	bool cut_to_server, cut_to_client; /* nothing gets through */
	void (*tamper)(struct rig *r, struct rig_packet *p);

	/* what the server saw */
	enum rig_answer answer;
	int requests, too_large, too_slow, resets, server_done, server_closed, paths, paths_failed;
	enum quic_close_why server_why;
	uint64_t server_error;
	struct quic_conn *last_conn;
	int64_t last_stream;
	size_t last_len;
};

/* One key set for all tests, made once. */
struct rig_keys {
	struct pki_pair server_ca, server, device_ca, fleet;
	struct pki_pair foreign_ca, foreign; /* a client certificate by a stranger */
	struct pki_pair expired, not_yet;    /* client certificates by device_ca */
	struct pki_pair server_expired;
};
extern struct rig_keys rig_keys;
void rig_keys_make(void);	       /* around RIG_UNIX_S */
void rig_keys_make_at(int64_t unix_s); /* for tests on the real clock */
void rig_keys_free(void);

struct quic_credentials *rig_server_credentials(void);
struct quic_credentials *rig_client_credentials(const struct pki_pair *own);

/* Fills the configurations with defaults; tests change them before rig_start. */
void rig_init(struct rig *r);
void rig_start(struct rig *r);
void rig_restart_server(struct rig *r); /* forgets every connection, keeps the reset key */
void rig_fini(struct rig *r);

struct rig_client *rig_connect(struct rig *r, const char *name);
void rig_request(struct rig_client *c, const void *data, size_t len);
/* Runs until nothing happens any more or `for_ns` has passed. */
void rig_run(struct rig *r, time_ns for_ns);
/* Runs until `*what` is at least `n`, at most 60 s; is it? */
bool rig_until(struct rig *r, const int *what, int n);
/* One datagram from anywhere. */
void rig_inject(struct rig *r, bool to_server, const uint8_t *data, size_t len);

#endif
