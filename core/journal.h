/* The journal: the one spine that everything observable goes through. Every actor
 * writes typed events; oracle, coverage, reports and replay read these and nothing
 * else (architecture.md, The spine; contracts.md, Journal).
 *
 * Kinds and fields are the two tables below: the JSON names, the documentation and
 * the parser come from them. No secret ever stands in a journal: codes and numbers
 * go by fingerprint (hash_fingerprint), tokens by `jti` and `fam`. */
#ifndef CORE_JOURNAL_H
#define CORE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/time.h"

/* X(NAME, "json", type) — S text, I integer */
#define JOURNAL_FIELDS(X)                                                                                      \
	X(FROM, "from", S)                                                                                     \
	X(TO, "to", S)                                                                                         \
	X(ROW, "row", S)                                                                                       \
	X(RESOURCE, "resource", S)                                                                             \
	X(CODE, "code", I)           /* reply code; 0: none */                                                 \
	X(WHY, "why", S)                                                                                       \
	X(CODE_FP, "code_fp", S)                                                                               \
	X(STATUS, "status", S)                                                                                 \
	X(ID, "id", S)                                                                                         \
	X(NAME, "name", S)                                                                                     \
	X(JTI, "jti", S)                                                                                       \
	X(FAM, "fam", S)                                                                                       \
	X(USE, "use", S)             /* access, refresh */                                                     \
	X(TO_FP, "to_fp", S)                                                                                   \
	X(FROM_FP, "from_fp", S)                                                                               \
	X(CMS, "cms", I)             /* 3GPP TS 27.005 §3.2.5 */                                               \
	X(REF, "ref", I)             /* TP-MR, 3GPP TS 23.040 §9.2.3.6 */                                      \
	X(ERROR, "error", I)         /* QUIC error code */                                                     \
	X(SENT, "sent", I)           /* datagrams since the last count */                                      \
	X(RECEIVED, "received", I)                                                                             \
	X(STATE, "state", S)                                                                                   \
	X(MODEM, "modem", S)                                                                                   \
	X(LAG_NS, "lag_ns", I)                                                                                 \
	X(SEED, "seed", S)                                                                                     \
	X(RIG, "rig", S)                                                                                       \
	X(BUILD, "build", S)                                                                                   \
	X(PORT, "port", I)                                                                                     \
	X(GROUP, "group", S)                                                                                   \
	X(LABEL, "label", S)         /* A[3] */                                                                \
	X(ROLE, "role", S)                                                                                     \
	X(SHA256, "sha256", S)                                                                                 \
	X(COUNT, "count", I)                                                                                   \
	X(TEXT, "text", S)           /* free words for people; nobody judges by it */                          \
	X(SIGNED, "signed", I)       /* 1: the reply's signature was verified */                               \
	X(RETRY_S, "retry_s", I)                                                                               \
	X(WAIT_NS, "wait_ns", I)     /* of a backoff, a PAUSE, or between measures (CONFIG) */                  \
	X(BYTES, "bytes", I)                                                                                   \
	X(METHOD, "method", S)                                                                                 \
	X(TS, "ts", S)               /* a measure's timestamp, Unix ms in decimal */

/* X(NAME, "json.name", "fields that it may have") */
#define JOURNAL_KINDS(X)                                                                                       \
	X(RUN_START, "run.start", "seed rig build")                                                            \
	X(RUN_END, "run.end", "why")                                                                           \
	X(SCENARIO_START, "scenario.start", "id seed rig")                                                     \
	X(SCENARIO_END, "scenario.end", "id why")     /* why: settled, timeout, interrupted, wall, error */    \
	X(PLANT_REACHED, "plant.reached", "name")     /* of quicrig-prove alone: the run came to its place */  \
	X(STEP_DONE, "step.done", "name count why")   /* count: index from 0; why: "" or timeout */            \
	X(READY, "ready", "port name id role")        /* first line of serve; a device that joins */           \
	X(DEVICE_ADDED, "device.added", "group label to_fp state role") /* role: known, stranger, disabled */  \
	X(DEVICE_CHOSEN, "device.chosen", "name")                /* name: the share (A:10%) that it is of */ \
	X(DEVICE_STATE, "device.state", "from to row wait_ns code")                                            \
	X(DEVICE_REQUEST, "device.request", "resource ts")                                                     \
	X(DEVICE_REPLY, "device.reply", "code resource signed status retry_s fam why")                         \
	X(DEVICE_IGNORED, "device.ignored", "why state")                                                       \
	X(DEVICE_CODE, "device.code", "code_fp status why")      /* status: held, used */                      \
	X(TOKENS_WRITTEN, "tokens.written", "jti fam")                                                         \
	X(TOKENS_SYNCED, "tokens.synced", "jti fam")                                                           \
	X(TOKENS_RENAMED, "tokens.renamed", "jti fam")                                                         \
	X(COMMAND_QUEUED, "command.queued", "id name wait_ns")                                                 \
	X(COMMAND_SENT, "command.sent", "id name")                                                             \
	X(COMMAND_DONE, "command.done", "id name")               /* by the device */                           \
	X(COMMAND_CLOSED, "command.closed", "id name why")       /* server: done, cancelled */                  \
	X(SERVER_DECISION, "server.decision", "resource code why signed ts")                                   \
	X(SERVER_REPLY, "server.reply", "resource code why")     /* handed to QUIC, after the commit */        \
	X(SERVER_STATE, "server.state", "state why")             /* up, down, recovered */                     \
	X(KEY_ADDED, "key.added", "id")                          /* server: signs with it from now on */       \
	X(KEY_RETIRED, "key.retired", "id why")                  /* server: overlap, operator */               \
	X(SERVER_ALARM, "server.alarm", "name count")            /* reuse, quarantine, mismatch, clock, … */   \
	X(OPERATOR, "operator", "name why")                      /* disable, enable, … taken by the server */  \
	X(CODE_ISSUED, "code.issued", "code_fp")                                                               \
	X(CODE_USED, "code.used", "code_fp")                                                                   \
	X(CODE_VOID, "code.void", "code_fp why")                                                               \
	X(TOKEN_ISSUED, "token.issued", "jti fam use")                                                         \
	X(TOKEN_PRESENTED, "token.presented", "jti fam use")                                                   \
	X(TOKEN_REVOKED, "token.revoked", "jti fam why")                                                       \
	X(SMS_QUEUED, "sms.queued", "id code_fp to_fp")          /* server: the gateway took it */             \
	X(SMS_SUBMITTED, "sms.submitted", "id code_fp to_fp from_fp modem ref") /* left a sender modem */      \
	X(SMS_DELIVERED, "sms.delivered", "id code_fp to_fp from_fp modem") /* handed to its device */         \
	X(SMS_LOST, "sms.lost", "id code_fp to_fp why")                                                        \
	X(SMS_FAILED, "sms.failed", "id code_fp to_fp cms modem why")                                          \
	X(SMS_UNKNOWN, "sms.unknown", "id code_fp to_fp modem why")                                            \
	X(FAULT_ARMED, "fault.armed", "name")                                                                  \
	X(FAULT_FIRED, "fault.fired", "name why") /* why: the event that it fired on; time */                  \
	X(HANDSHAKE_DONE, "handshake.done", "")                                                                \
	X(HANDSHAKE_FAILED, "handshake.failed", "why error")                                                   \
	X(CONN_OPEN, "conn.open", "id")                                                                        \
	X(CONN_CLOSE, "conn.close", "id error why")                                                            \
	X(CONN_PATH, "conn.path", "id status")        /* server: a new path of the peer: validated, failed */  \
	X(NET_COUNT, "net.count", "sent received")                                                             \
	X(NET_FAULT, "net.fault", "name")             /* done to its link: blackhole, drop, rebind_port, … */  \
	X(NET_REBOUND, "net.rebound", "name")         /* seen from elsewhere from now on: port, address */     \
	X(MODEM_STATE, "modem.state", "modem state why")                                                       \
	X(HARNESS_LAG, "harness.lag", "lag_ns why")                                                            \
	X(HARNESS_MEMORY, "harness.memory", "bytes")  /* resident memory of the server's process; live rigs */ \
	X(HARNESS_NOTE, "harness.note", "text count bytes")

#define JOURNAL_FIELD_ENUM(name, json, type) JF_##name,
enum journal_field { JOURNAL_FIELDS(JOURNAL_FIELD_ENUM) JF_END };
#define JOURNAL_KIND_ENUM(name, json, fields) J_##name,
enum journal_kind { JOURNAL_KINDS(JOURNAL_KIND_ENUM) J_END };

#define JOURNAL_VERSION  1
#define JOURNAL_VALUES   8   /* fields of one event at most */
#define JOURNAL_LINE_MAX 4096

struct journal_value {
	enum journal_field field;
	const char *s; /* NULL: `i` counts */
	int64_t i;
};

/* One event. Texts are borrowed: the writer's until journal_emit returns, the
 * record's arena after journal_parse. NULL stands for "absent". */
struct journal_event {
	time_ns t;
	uint64_t seq; /* counted by the journal that writes it */
	enum journal_kind kind;
	const char *actor;    /* A[3], server, carrier, modem:s1, world, runner */
	const char *scenario; /* suite/name */
	const char *dev;      /* uuid */
	const char *req;      /* first 8 hex of the request's nonce */
	const char *reg;      /* first 8 hex of the registration */
	unsigned n;
	struct journal_value v[JOURNAL_VALUES];
};

struct fault;
struct journal;

/* Where lines go. `line` is one JSON object and '\n'. Returns 0 or ERR_*. */
typedef int journal_sink(void *ctx, const char *line, size_t len);
/* Sees each event before it is written, in the writer's own process, and returns
 * the armed fault that it fires, or NULL (fault_hook in core/fault.h is one). */
typedef const struct fault *journal_hook(void *ctx, const struct journal_event *ev);
/* Sees each event behind the writing; for readers in the same process. */
typedef void journal_reader(void *ctx, const struct journal_event *ev);

struct journal *journal_new(journal_sink *sink, void *ctx); /* NULL without memory; sink may be NULL */
void journal_free(struct journal *j);
void journal_set_scenario(struct journal *j, const char *id); /* copied; NULL: none */
void journal_set_hook(struct journal *j, journal_hook *hook, void *ctx);
void journal_set_reader(struct journal *j, journal_reader *reader, void *ctx);
/* First error of the sink, sticky; 0 while all is well. */
int journal_error(const struct journal *j);

/* Writes one event; ev->seq and an absent ev->scenario are filled in. Where it
 * fires an armed fault, `fault.fired` is written behind it and the fault is
 * returned: the caller acts on it before the event's effects leave. `j` may be
 * NULL (nobody listens). Asserts that the kind has the fields. */
const struct fault *journal_emit(struct journal *j, struct journal_event *ev);

/* Shorthands: JOURNAL(j, now, "server", uuid, req, reg, J_CODE_ISSUED, JS(CODE_FP, fp)) */
#define JS(field, text) {JF_##field, (text), 0}
#define JI(field, num)  {JF_##field, NULL, (int64_t)(num)}
#define JOURNAL(j, now, who, uuid, request, registration, what, ...)                                           \
	journal_emit_values(j, now, who, uuid, request, registration, what,                                    \
			    (const struct journal_value[]){__VA_ARGS__},                                       \
			    sizeof((const struct journal_value[]){__VA_ARGS__}) / sizeof(struct journal_value))
/* Values whose text is NULL and whose field is a text are left out. */
const struct fault *journal_emit_values(struct journal *j, time_ns now, const char *actor, const char *dev,
					const char *req, const char *reg, enum journal_kind kind,
					const struct journal_value *v, size_t n);

/* A parsed line: owns its memory. Free with journal_record_free. */
struct journal_record {
	struct journal_event ev;
	char *arena;
};
/* Returns 0, ERR_PARSE (no JSON, unknown kind or field, wrong type), ERR_LIMIT, ERR_NOMEM. */
int journal_parse(const char *line, size_t len, struct journal_record *out, struct err *e);
void journal_record_free(struct journal_record *r);
/* The same for an event that another reader wants to keep. */
int journal_record_copy(const struct journal_event *ev, struct journal_record *out);

/* Field of an event: text ("" where absent) or number (`absent` where absent). */
const char *journal_text(const struct journal_event *ev, enum journal_field f);
int64_t journal_int(const struct journal_event *ev, enum journal_field f, int64_t absent);
bool journal_has(const struct journal_event *ev, enum journal_field f);

const char *journal_kind_name(enum journal_kind k);
int journal_kind_by_name(const char *name); /* -1 where unknown */
const char *journal_kind_fields(enum journal_kind k); /* space-separated JSON names */
const char *journal_field_name(enum journal_field f);
int journal_field_by_name(const char *name);
bool journal_field_is_text(enum journal_field f);

/* Renders `ev` as one JSON line with '\n', appended to `out`. */
int journal_format(const struct journal_event *ev, struct buf *out);

#endif
