/* What the parts of the oracle share: oracle.c (life, device's own story), story.c
 * (server against device), sms.c (codes and their SMS), expect.c (the plan's wishes). */
#ifndef HIL_JUDGE_ORACLE_PRIV_H
#define HIL_JUDGE_ORACLE_PRIV_H

#include <uthash.h>

#include "core/buf.h"
#include "core/hash.h"
#include "core/settings.h"
#include "hil/judge/expect.h"
#include "hil/judge/oracle.h"
#include "hil/judge/verdict.h"
#include "hil/judge/who.h"

/* X(NAME, "name", "what must hold") */
#define INVARIANT_TABLE(X)                                                                                     \
	X(TABLE, "transition-table", "every change of state is a row of the table")                            \
	X(CONTINUITY, "continuity", "a device goes on where it was")                                           \
	X(REPLY_ROW, "reply-matches-row", "a row is taken for the reply that it names")                        \
	X(AUTHENTIC, "authentic-refusals", "nothing idles or wipes a device but what is signed")               \
	X(TRUST, "trusts-no-forgery", "nothing is believed of a reply that cannot be trusted")                 \
	X(STORIES, "same-story", "device and server tell the same story")                                      \
	X(CODE, "login-needs-code", "no login without a live, unused, matching code")                          \
	X(RIGHT_CODE, "right-code-serves", "a live, matching code lets its device in")                         \
	X(ONE_CODE, "one-code", "a registration has at most one code")                                         \
	X(FAMILY, "one-family", "at most one live token family a device")                                      \
	X(OWNER, "token-owner", "a token serves its own device")                                               \
	X(EXPIRY, "token-life", "no token serves behind its end")                                              \
	X(CLOCK, "clock-guard", "nothing is granted by a wall clock behind the last issue")                    \
	X(KEYS, "token-keys", "a new token key is told of, a retired one serves nobody")                       \
	X(CODES, "resource-codes", "each resource answers with the codes that it has")                         \
	X(SIGNED, "refusals-signed", "every refusal that must be is signed")                                   \
	X(ACK, "acknowledged-kept", "nothing acknowledged is lost")                                            \
	X(BUDGET, "sms-budget", "SMS within budget")                                                           \
	X(CARRIER, "sms-story", "each SMS is submitted and delivered as it was issued")                        \
	X(COMMAND, "commands-once", "a command is done once, and not sent again once that is known")             \
	X(TIMERS, "timers", "a device waits as long as it should, and no longer")                              \
	X(REGISTRATION, "registration", "a registration is kept, and drawn anew, as the table has it")         \
	X(TAKES_CODE, "takes-its-code", "a device takes its code's SMS, and nobody else's")                    \
	X(STORED, "stored-before-use", "tokens are stored before they are used, and the last ones are used")   \
	X(SILENT, "idle-is-silent", "IDLE and OFF send nothing")                                               \
	X(SECRET, "no-secret", "no secret in what was written")                                                \
	X(SERVER, "server-alive", "the server stays up unless told otherwise")

#define TIMER_SLACK     (1 * NS_PER_S) /* that a timer may be late without anybody's fault */
/* Where nobody else is known to be to blame, the harness is from this lag on: a second, or
 * of what must happen within a time the tenth part of that, but 100 ms at least. */
#define HARNESS_LAG_MAX   (1 * NS_PER_S)
#define HARNESS_LAG_MIN   (100 * NS_PER_MS)
#define HARNESS_LAG_SHARE 10

#define INVARIANT_ENUM(name, id, text) INV_##name,
enum invariant { INVARIANT_TABLE(INVARIANT_ENUM) INV_COUNT };

#define ORACLE_SLOTS  4  /* requests of a device that may still be talked about */
#define ORACLE_CODES  16 /* codes of a device that may still be talked about */
#define ORACLE_COMMANDS 8 /* commands of a device that may still be talked about */
#define ORACLE_REUSES 3  /* in a day lead to a quarantine */
#define ORACLE_FAMS   8
#define ORACLE_TRAIL  8  /* states that a message can show */
#define ORACLE_BUDGET 16 /* SMS of a device whose times are kept */
#define ORACLE_SHARES 32 /* different shares of groups in a plan */
#define ORACLE_KEYS   8
#define ORACLE_NAMELESS 16 /* reply codes; there are ten */
#define ORACLE_UUID   37
#define ORACLE_REQ    17
#define ORACLE_FAM    41

/* One request as device and server tell it; either may come first. */
struct slot {
	char req[ORACLE_REQ];
	char resource[20];
	time_ns asked, t; /* the device's request; the latest line */
	int device_code, reply_code, decision; /* where the flags say so */
	int is_signed;    /* device.reply's, -1 absent */
	int signs;        /* server.decision's, -1 absent */
	char code_fp[HASH_FP_SIZE]; /* that its login carries */
	bool has_device, has_reply, has_decision, presented, forced, expired_said;
	bool commands; /* a command rides on its reply */
	bool unanswered; /* a fault kept its reply back */
	bool issued;     /* tokens were made for it */
	bool commands_keys; /* the command is KEYS */
	time_ns token_t; /* when the token presented was made; TIME_NEVER: not known */
	json_t *script;  /* the plan's: what a fault made of its reply; NULL: nothing */
	bool storage_said; /* decided 503: the commit failed */
	bool disbelieved;  /* its 200 was taken for unknown */
	char fam[ORACLE_FAM]; /* of the token presented */
	char use[8], jti[9];
	/* as of the decision; right_code: its login's code had to let it in */
	bool fam_known, fam_live, fam_acked, fam_fresh, fam_over, disabled, right_code;
};

/* One code, by fingerprint, as server, carrier and device tell of it. */
struct code {
	char fp[HASH_FP_SIZE];
	char sms_id[41];
	char reg[ORACLE_REQ]; /* that it was issued for; "": none was said */
	struct dev *dev;
	time_ns issued_t;
	bool issued, queued, submitted, delivered, held, sent, used, dead, fault, hashed;
	bool withdrawn; /* its register was refused before the gateway took it: it need not live */
	bool doubted;  /* a login of its registration was refused */
	UT_hash_handle hh;
};

struct family {
	char fam[ORACLE_FAM];
	time_ns access_t, refresh_t; /* the last issue */
	char jti[9], access_jti[9];  /* of the last tokens, their first digits */
	bool live, acked;
};

struct told {
	char id[41];
	time_ns done_t; /* TIME_NEVER: the device has not done it */
	time_ns span;   /* of a PAUSE or between measures; TIME_NEVER: not told */
	bool closed;    /* the server will not send it any more */
	bool queued;    /* by an operator, and not by a fault */
	time_ns queued_t, sent_t, closed_t; /* the first time; TIME_NEVER */
	unsigned silent; /* publishes in a row that were granted without any, though it waited and was not done */
};

/* A request that a dying server may have decided without telling. */
struct untold {
	char reg[ORACLE_REQ]; /* "": there is none */
	time_ns asked;
};

/* What a device owes by its own clock and memory (conduct.c). */
struct conduct {
	time_ns due;	   /* when something must come of it by itself; TIME_NEVER: nothing need */
	const char *what;  /* that is due; static text */
	time_ns late, late_t; /* the longest that it was late, and when */
	const char *late_what;
	unsigned failures; /* doublings of its backoff */
	bool unproven;	   /* no publish was 200 since the last refresh */
	int64_t retry_s;   /* of the last reply; <= 0: none */
	time_ns fresh_t;   /* when the last new measure was sent; TIME_NEVER */
	char ts[24];	   /* that measure's */
	time_ns interval;  /* between two measures; TIME_NEVER: not known */

	char reg[ORACLE_REQ]; /* its registration; "": not known */
	bool reg_new;	      /* the next one that it names must be another */

	bool held;	/* has a code for its registration */
	char held_fp[HASH_FP_SIZE];
	time_ns held_t; /* since when */
	time_ns offer_t; /* its code's SMS came, and was not taken yet; TIME_NEVER */
	bool good_sms, bad_sms; /* came since it took one */
	time_ns took_t;  /* it took one that nobody has told of yet; TIME_NEVER */
	enum row_name took_row;

	bool renamed; /* tokens became durable since its last request */
	char jti[9], jti_old[9], jti_written[9]; /* refresh tokens, their first digits */
	bool jti_unsure; /* what is in its RAM or on its disk is not known */
};

struct step_of_trail {
	uint8_t state;
	uint16_t row;
	int16_t code;
	time_ns t;
};

struct dev {
	char uuid[ORACLE_UUID];
	char *label, *group;
	unsigned index;      /* in its group, from 1 */
	bool added, named, accept_unsigned, no_rules; /* no_rules: its first state is not known */
	char to_fp[HASH_FP_SIZE]; /* its number on record */
	uint64_t forgiven;   /* invariants (bits) that the plan's `defects` have it break */

	enum state_name state, awake; /* awake: the last state that was not OFF */
	time_ns since;       /* when `state` was entered */
	bool powered;        /* was on at least once */
	time_ns power_on;    /* the first */
	time_ns first[STATE_COUNT]; /* when a state was first entered; TIME_NEVER */
	uint8_t rejected;    /* replies R to a refresh in a row */
	bool stored;         /* tokens were written since the last wipe */
	bool unsaved;        /* its disk failed since the last time that it stored anything */
	bool renaming;       /* tokens were renamed, but its folder may not be on disk yet */
	struct step_of_trail trail[ORACLE_TRAIL];
	uint64_t trail_n;    /* ever; the last ones are kept, OFF and repeats left out */
	uint64_t *paths;     /* a position mask each path expectation */
	uint64_t quiet_sent; /* datagrams since IDLE or OFF was entered */

	char req[ORACLE_REQ]; /* the last request */
	char req_reg[ORACLE_REQ], req_resource[20];
	time_ns req_t;
	struct untold untold_login, untold_register;
	bool untold_family; /* a login that was not told made one that has not been seen yet */
	bool in_flight, reply_valid, reply_used;
	int reply_code, reply_signed;

	struct slot slots[ORACLE_SLOTS]; /* by age: slots[slot_at] is the newest */
	unsigned slot_at;
	struct slot *server_slot;        /* of the server's last line */

	struct conduct conduct;
	time_ns keys_told_t; /* when a KEYS was sent to it; TIME_NEVER */
	unsigned keys_untold;
	char totp_fp[HASH_FP_SIZE]; /* that its last login by TOTP took, at totp_t */
	time_ns totp_t;

	struct code **codes; /* owned, oldest first */
	unsigned codes_n, codes_cap;
	bool sent_code;      /* tells of the codes that it sends */
	bool totp;
	bool sms_fault, sms_lost;
	const char *sms_trouble; /* evidence against modem or carrier; static text */
	enum blame sms_blame;
	bool sms_sending; /* a modem took its SMS, at sms_sending_t, and has said nothing of it since */
	time_ns sms_sending_t;
	time_ns sms_left_t; /* its last SMS left a sender then, and nobody has said since what became of it; 0: none */
	bool sms_came; /* one for its registration was delivered since there was trouble */
	bool sms_at_receiver; /* but that a modem has it, or does not take it */

	/* a login that was granted: when, for which registration; one whose code.used has
	 * not been read yet; a code.used whose login has not */
	bool granted, grant_open, credit;
	time_ns grant_t;
	char grant_reg[ORACLE_REQ];
	bool grant_presented; /* a token was presented since */
	bool quarantined;
	time_ns reuses[ORACLE_REUSES]; /* ring */
	uint64_t reuses_n;
	bool disabled, stranger; /* stranger: the server has no record of it */

	struct told *told;   /* ring of ORACLE_COMMANDS; NULL until the first */
	uint64_t told_n;     /* ever */

	struct buf path;  /* all of its states, "NP RG AC"; only where `lives` are kept */
	uint64_t sms_n, tokens_n; /* submitted for it; issued to it */
	bool faulted;	  /* a fault names it */
	uint32_t shares;  /* bit k: one of the oracle's share k */
	uint64_t befores; /* bit k: what `seen` number k wants to come before has come */
	struct family *fams;
	unsigned fams_n;
	time_ns fam_t; /* TIME_NEVER: nothing to look at */

	int64_t budget[ORACLE_BUDGET]; /* ring; by the server's wall clock */
	uint64_t budget_n;

	enum blame blame; /* of the first finding */
	char *blame_why;
	UT_hash_handle hh;
};

struct sender {
	char fp[HASH_FP_SIZE];
	UT_hash_handle hh;
};

struct plan_fault {
	char *name, *what;
	struct place at;
	struct who who;
	bool optional; /* need not fire */
	int64_t clock_ms; /* how far it moves the server's wall clock */
	bool all;      /* it says `who: all` */
	uint64_t fired;
};

struct plan_step {
	char *text;
	struct place at;
	struct who who;
	int state; /* of a wait; -1 */
	time_ns within; /* TIME_NEVER: the scenario's own end */
	int64_t clock_ms;
	bool done;
};

struct oracle {
	json_t *plan; /* borrowed */
	struct verdict_options verdict;
	struct settings settings;
	struct expects *expects;
	struct scenario_result work;
	struct check_result inv[INV_COUNT];
	struct dev *devs;   /* by uuid, in order of arrival */
	struct code *codes; /* issued ones by fingerprint */
	struct plan_fault *faults;
	size_t faults_n;
	struct plan_step *steps;
	size_t steps_n;
	char shares[ORACLE_SHARES][65]; /* A:10%, as the plan asks for them */
	unsigned shares_n;
	bool lives;	       /* are whole paths kept? */
	uint32_t shares_named; /* those that faults and steps ask for */
	uint32_t shares_faulted; /* … faults alone */
	unsigned shares_members[ORACLE_SHARES];
	unsigned in_state[STATE_COUNT];
	unsigned violations;
	int failed; /* sticky ERR_NOMEM */

	bool started, ended;
	time_ns start, last;
	char end_why[200], down_why[64];
	time_ns down_at; /* when the server last went down */

	char ill_modem[160]; /* one that was READY and is not, and why; "": none */
	char ill_name[40];
	bool server_seen, server_up, restarted, sms_fault, submitted_seen, delivered_seen, presented_seen, counts_seen;
	bool expected_down; /* the plan stops or kills the server somewhere */
	bool down_for_good; /* … and it may stay so */
	bool server_disk; /* the plan makes the server's disk fail so long that it ends */
	bool disk_faults; /* the plan makes disks of devices fail */
	bool sync_faults; /* … and an fsync of the server: what it refused may be on disk */
	bool clock_loose; /* the server's wall clock is moved at times that nobody tells */
	char keys[ORACLE_KEYS][17]; /* that were added, their first digits */
	unsigned keys_added;
	time_ns key_added_t, key_newest_t; /* the first and the last one */
	time_ns key_retired_t; /* the one before the first was retired; TIME_NEVER */
	int64_t issue_wall;      /* the latest wall-clock time of the server's at which it made tokens */
	int64_t server_clock_ms; /* … and this far by now */
	bool step_failed;
	char unfinished[128];
	struct {
		int code;
		uint64_t n; /* decisions with it that name no device, and explain no reply yet */
	} nameless[ORACLE_NAMELESS];
	bool file_rig;      /* real modems: numbers may be written in several ways */
	bool clock_moves;   /* the plan steps somebody's clock */
	struct sender *senders; /* numbers that a modem submitted from */
	time_ns restart_t; /* the last recovery */
	time_ns sampled[METRIC_COUNT]; /* the last sample of each metric */
	uint64_t lag_ns; /* the greatest harness.lag */
	char lag_text[80];
	uint64_t fleet_sms;
	uint64_t taken_back; /* codes whose SMS never left, since their register was refused */
};

/* oracle.c */
/* One sample of a metric, that came at `t`. 0 or ERR_NOMEM. */
int oracle_sample(struct oracle *o, enum metric m, uint64_t value, time_ns t);
struct dev *oracle_dev(struct oracle *o, const struct journal_event *ev); /* NULL: the event has no device */
/* One violation: counted, grouped, remembered with its device (may be NULL). */
void oracle_find(struct oracle *o, enum invariant inv, struct dev *d, time_ns t, enum blame blame, const char *fmt,
		 ...)
	__attribute__((format(printf, 6, 7)));
/* "IDLE (refused, 403)": the last state of the trail and what led there. */
void oracle_state_text(const struct dev *d, char *out, size_t size);
/* What device `d`'s failure is to be laid to, and the evidence (NULL: none). */
enum blame oracle_blame(const struct oracle *o, const struct dev *d, const char **why);
/* Did the harness lag so that it may have missed `span` by itself (TIME_NEVER: no certain time)?
 * NULL: it did not; else a clause, `o`'s. */
const char *oracle_lagged(const struct oracle *o, time_ns span);
bool oracle_who(const struct who *w, const struct dev *d);
time_ns oracle_since_start(const struct oracle *o, time_ns t);

/* conduct.c */
void conduct_init(struct conduct *c);
void conduct_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
/* What should have come of it by `t` and did not; `last`: nothing more will be told. */
void conduct_settle(struct oracle *o, struct dev *d, time_ns t, bool last);
void conduct_fini(struct oracle *o);
/* duty.c */
void duty_issued(struct oracle *o, struct slot *s, time_ns t);
void duty_operator(struct oracle *o, const struct journal_event *ev);
void duty_decision(struct oracle *o, struct dev *d, struct slot *s, const struct journal_event *ev);
void duty_slot(struct oracle *o, struct dev *d, const struct slot *s);
/* Must that answer be signed (a command aside)? Unsigned it counts as unknown. */
bool duty_signed(const char *resource, int code);
/* keys.c */
void keys_event(struct oracle *o, const struct journal_event *ev);
/* `issued`: when the token presented was made; TIME_NEVER: not known. */
void keys_decision(struct oracle *o, struct dev *d, const struct slot *s, time_ns issued);
/* script.c */
void script_fired(struct oracle *o, struct slot *s, const struct journal_event *ev);
void script_row(struct oracle *o, struct dev *d, const struct slot *s, enum row_name row, time_ns t);
void script_slot(struct oracle *o, struct dev *d, const struct slot *s);
/* commands.c */
void commands_slot(struct oracle *o, struct dev *d, const struct slot *s);
/* How long a command's PAUSE is, or its interval; TIME_NEVER where that was not told. */
time_ns commands_span(const struct dev *d, const char *id);
/* lives.c: what control and run are compared by */
void lives_begin(struct oracle *o);
void lives_dev(struct oracle *o, struct dev *d);
void lives_enter(struct oracle *o, struct dev *d, enum state_name to);
void lives_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
/* Does `d` live as the control's device of the same label did? Else `got` (of `size`). */
bool lives_same(const struct dev *d, json_t *lives, char *got, size_t size);

/* life.c */
void life_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
/* story.c */
void story_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
void story_finish(struct oracle *o, struct dev *d);
/* A decision that names no device: it may be that of one reply of anybody's. */
void story_nameless(struct oracle *o, int code);
/* The request of that id, where it is still talked about; NULL: it is not. */
const struct slot *story_find(const struct dev *d, const char *req);
struct slot *story_slot(struct oracle *o, struct dev *d, const char *req, time_ns t);
/* tokens.c */
void commands_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
void tokens_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
void tokens_settle(struct oracle *o, struct dev *d, time_ns now);
struct family *tokens_family(struct dev *d, const char *fam);
/* The family of a login that was never told is known from now on. */
void tokens_adopt(struct oracle *o, struct dev *d, const char *fam);
/* death.c */
/* The server is gone, by `why`. */
void death_event(struct oracle *o, const char *why, time_ns now);
/* A login's 200 that no code.used explains: may the server have granted it as it died? */
bool death_granted(struct oracle *o, struct dev *d, const struct journal_event *ev);
/* A family that was never issued is revoked. */
void death_revoked(struct oracle *o, struct dev *d);
/* A code that was never issued: may it have been, as the server died? Then when, at least. */
bool death_issued(struct dev *d, const struct journal_event *ev, time_ns *t);
/* sms.c */
/* What there is against modem or carrier for a device's missing SMS; BLAME_UNKNOWN, `*why`
 * NULL, where nothing is, or where a fault asked for it. */
enum blame sms_evidence(const struct oracle *o, const struct dev *d, const char **why);
/* A modem's state that is no device's in particular. */
void sms_modem(struct oracle *o, const struct journal_event *ev);
void sms_event(struct oracle *o, struct dev *d, const struct journal_event *ev);
void sms_finish(struct oracle *o, struct dev *d);
/* Behind every sms_finish: what explains that codes and SMS are not equally many. */
void sms_explain(struct oracle *o);
void sms_granted(struct dev *d);
struct code *sms_code(struct dev *d, const char *fp); /* NULL: none of its */
/* Whose code is it? NULL where it was not issued. */
struct dev *sms_owner(struct oracle *o, const struct journal_event *ev);

#endif
