/* quicrig serve: what its files share. The server's core in a process of its own: one UDP
 * socket, a gateway's Unix socket, a control socket, a journal on a descriptor. */
#ifndef SERVER_SERVE_INTERNAL_H
#define SERVER_SERVE_INTERNAL_H

#include <ev.h>

#include "core/pki.h"
#include "core/world_live.h"
#include "server/server.h"

#define SERVE_EXIT_INPUT       2
#define SERVE_EXIT_ENVIRONMENT 3
#define SERVE_EXIT_INTERNAL    70

struct serve_options {
	const char *listen, *registry, *db, *pki_dir, *sms, *control, *alpn;
	const char *script; /* NULL: none */
	const char *cert, *key, *client_ca, *token_key, *reset_key, *store_key;
	int journal_fd, run_key_fd; /* -1: none */
	uint64_t seed;
	int64_t clock_offset_ms; /* lab */
	bool lab;
	struct settings settings;
};

struct serve_sms;
struct serve_control;

/* Wraps the world's sink: the journal's lines of a turn leave before its datagrams. */
struct serve_sink {
	struct dgram_sink base; /* first */
	struct dgram_sink *inner;
	struct serve *serve;
};

struct serve {
	struct serve_options o;
	struct pki pki;
	struct registry *registry;
	json_t *script; /* faults to arm at the start; NULL: none */
	struct server *server;
	struct journal *journal;
	struct buf lines;   /* of the journal, not yet written */
	bool troubled;      /* the database fails, and that was said */
	bool journal_gone;  /* its reader went: nothing more can be vouched for */
	struct live_loop *loop;
	struct live_socket *socket;
	struct live_actor *actor;
	struct serve_sink sink;
	struct serve_sms *sms;
	struct serve_control *control;
	ev_signal term, intr, hup;
	int exit_code;
	uint8_t run_key[32];
};

/* serve_options.c: 0 to go on, else an exit code + 1 (help: 1). */
int serve_options_read(struct serve_options *o, int argc, char **argv);
/* serve_files.c */
int serve_read_keys(const struct serve_options *o, struct pki *out, struct err *e);
int serve_read_run_key(int fd, uint8_t out[32], struct err *e);
int serve_exit_code(int err);
void serve_error(const struct err *e);

/* serve_journal.c: writes what is buffered, all of it, waiting where the pipe is full. */
int serve_journal_line(void *serve, const char *line, size_t len);
void serve_journal_flush(struct serve *s);

/* serve_sms.c: the gateway's client, or a file in the lab. */
struct serve_sms *serve_sms_new(struct serve *s, const char *where, struct err *e);
int serve_sms_send(struct serve_sms *g, const struct server_sms *sms); /* 0 or ERR_CLOSED */
void serve_sms_free(struct serve_sms *g);

/* serve_control.c: the control socket's server. */
struct serve_control *serve_control_new(struct serve *s, const char *where, struct err *e);
void serve_control_free(struct serve_control *c);

/* serve.c: a new registry from the file; the old one stays on error. */
int serve_reload(struct serve *s, struct err *e);

#endif
