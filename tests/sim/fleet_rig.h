/* A fleet against a tiny scripted server, both in a virtual world. */
#ifndef TESTS_SIM_FLEET_RIG_H
#define TESTS_SIM_FLEET_RIG_H

#include "core/fault.h"
#include "core/msg.h"
#include "core/pki.h"
#include "core/quic.h"
#include "core/token.h"
#include "sim/fleet.h"
#include "sim/world_virtual.h"

#define RIG_LOG 4096

/* How the server answers a resource instead of well. */
enum rig_answer { RIG_WELL, RIG_CODE, RIG_SILENCE, RIG_RAW, RIG_SLOW, RIG_COMMAND };
struct rig_script {
	enum rig_answer how;
	int code;
	const char *text;  /* RIG_RAW, RIG_COMMAND */
	unsigned times;    /* 0: for ever; counted down by the rig to -1 */
	time_ns by;        /* RIG_SLOW */
};

struct rig_event {
	time_ns t;
	enum journal_kind kind;
	enum row_name row;
	unsigned device; /* index */
	int64_t sent;
	char text[40];   /* why, resource */
};

struct rig {
	struct world_virtual *w;
	struct pki pki;
	struct token_signer *signer;
	char kid[KID_MAX + 1];
	struct quic_credentials *credentials;
	struct quic_endpoint *quic;
	struct fleet *fleet;
	struct journal *journal;
	struct faults *faults;
	struct addr server_addr, fleet_addr;
	int server, fleet_actor;
	bool server_up;
	struct rig_script script[MSG_RESOURCES];
	unsigned requests[MSG_RESOURCES];
	bool no_sms;
	time_ns sms_after;
	struct rig_event log[RIG_LOG];
	unsigned log_n;
	uint64_t hash; /* of all journal lines */
	uint8_t run_key[32];
};

struct rig_options {
	unsigned devices;
	uint64_t seed;
	bool hold, accept_unsigned;
	struct storage *storage;
};
void rig_open(struct rig *g, const struct rig_options *o);
void rig_close(struct rig *g);
void rig_arm(struct rig *g, const char *json);
void rig_all_on(struct rig *g);
void rig_run(struct rig *g, time_ns ns);
struct instant rig_now(const struct rig *g);
/* The server goes without a word, and another comes in its place. */
void rig_server_dies(struct rig *g);
void rig_server_starts(struct rig *g);
unsigned rig_count(const struct rig *g, enum journal_kind kind, unsigned device, const char *text);
bool rig_took(const struct rig *g, unsigned device, enum row_name row);

#endif
