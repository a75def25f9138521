/* What the server's suites share: storage in memory that can fail and crash, a seeded
 * secret source, a key set made once, and a policy core with somebody to ask it. */
#ifndef TESTS_SERVER_RIG_H
#define TESTS_SERVER_RIG_H

#include "core/pki.h"
#include "core/rng.h"
#include "core/smstext.h"
#include "core/token.h"
#include "server/enroll.h"
#include "server/store.h"
#include "server/store_vfs.h"

/* ---- storage ---- */
#define MEM_FILES 8
struct mem_file {
	char name[64];
	struct buf now, synced;
	bool exists, durable;
};
struct mem_storage {
	struct storage base; /* first */
	struct mem_file files[MEM_FILES];
	long writes;           /* so far */
	long full_from;        /* disk full from this write on; 0: never */
	long sync_fails;       /* this many syncs fail */
	bool read_only;
	bool reads_fail;
};
void mem_init(struct mem_storage *m);
void mem_fini(struct mem_storage *m);
void mem_crash(struct mem_storage *m); /* what was not synced is gone */
struct buf *mem_file(struct mem_storage *m, const char *name);

/* ---- secrets and keys ---- */
struct test_secret {
	struct secret_source base; /* first */
	struct rng rng;
};
void test_secret_init(struct test_secret *s, uint64_t seed);
const struct pki *test_pki(void);
struct registry *test_registry(void); /* devices A, B (SMS), T (TOTP only), X (disabled) */
struct registry *test_registry_but(bool gone, bool disabled); /* the same without A, or with A disabled */
extern const char *const test_uuids[4];

/* ---- a policy core and its one asker ---- */
#define ASK_SLOTS 24
#define ASK_REGS  8
enum ask_gateway { GATEWAY_QUEUES, GATEWAY_SUBMITS, GATEWAY_SILENT, GATEWAY_BUSY, GATEWAY_FAILS, GATEWAY_FAILS_CMS,
		   GATEWAY_UNKNOWN };
struct ask {
	struct mem_storage mem;
	struct test_secret secret;
	struct registry *registry;
	struct settings settings;
	struct store *store;
	struct enroll *en;
	struct effects fx;
	struct enroll_peer peer;
	struct instant at;
	char boot_id[24];
	enum ask_gateway gateway;
	/* the last answer */
	int code;              /* 0: none came */
	char why[32], message[64];
	int64_t retry_after_s;
	bool is_signed;
	char command[4096];    /* JSON of it; "" none rode */
	struct token_claims access, refresh;
	/* gathered */
	char *tokens[ASK_SLOTS][2]; /* access, refresh of each 200 of login and refresh, in order */
	unsigned slots;
	char codes[ASK_REGS][CODE_LEN_MAX + 1]; /* last SMS of a registration (0: the empty one) */
	char last_id[33], last_to[24];
	unsigned sms;
	unsigned events[J_END];
	char last_void[32], last_revoked[32];
};
void ask_init(struct ask *a);
void ask_fini(struct ask *a);
void ask_open(struct ask *a);
/* kill -9 and start again; `boot`: the machine too. */
void ask_restart(struct ask *a, bool boot);
void ask_wait(struct ask *a, int64_t ms);
/* Ends a turn: commit, effects; 0 or ERR_IO. */
int ask_turn(struct ask *a);
/* A registration's text by number; 0 is the empty one. */
const char *ask_reg(int n);
void ask_request(struct ask *a, struct msg_request *m); /* and the turn */
void ask_prepare(struct msg_request *m, enum msg_resource res, int dev, int reg);
void ask_register(struct ask *a, int dev, int reg);
void ask_login(struct ask *a, int dev, int reg, const char *code);
void ask_publish(struct ask *a, int dev, const char *token);
void ask_refresh(struct ask *a, int dev, const char *token);

#endif
