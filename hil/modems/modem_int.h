/* Inside the emulated modem: what its files share. Nobody else includes this. */
#ifndef HIL_MODEMS_MODEM_INT_H
#define HIL_MODEMS_MODEM_INT_H

#include "hil/modems/at_line.h"
#include "hil/modems/at_parser.h"
#include "hil/modems/modem_core.h"

/* What a handler returns: a final result, or none for now. */
enum { AT_OK = 0, AT_ERROR = -1, AT_HOLD = -2, AT_NO_CARRIER = -3 };
#define CME(n)	  (1000 + (n)) /* 27.007 §9.2 */
#define CMS(n)	  (2000 + (n)) /* 27.005 §3.2.5 */
#define IS_CME(r) ((r) >= 1000 && (r) < 2000)
#define IS_CMS(r) ((r) >= 2000)

#define CME_NOT_ALLOWED	   CME(3)
#define CME_NO_SIM	   CME(10)
#define CME_SIM_PIN	   CME(11)
#define CME_SIM_PUK	   CME(12)
#define CME_SIM_BUSY	   CME(14)
#define CME_PASSWORD	   CME(16)
#define CME_PARAMETERS	   CME(50)
#define CMS_NOT_SUPPORTED  CMS(303)
#define CMS_PDU_PARAMETER  CMS(304)
#define CMS_TEXT_PARAMETER CMS(305)
#define CMS_NO_SIM	   CMS(310)
#define CMS_SIM_PIN	   CMS(311)
#define CMS_SIM_BUSY	   CMS(314)
#define CMS_SIM_PUK	   CMS(316)
#define CMS_INDEX	   CMS(321)
#define CMS_FULL	   CMS(322)
#define CMS_NO_NETWORK	   CMS(331)
#define CMS_UNKNOWN	   CMS(500)

enum sim_state { SIM_READY, SIM_PIN, SIM_PUK, SIM_NONE, SIM_BUSY };
enum { CREG_NOT = 0, CREG_HOME = 1, CREG_SEARCHING = 2, CREG_DENIED = 3, CREG_ROAMING = 5 };
enum { MESSAGE_UNREAD, MESSAGE_READ, MESSAGE_UNSENT, MESSAGE_SENT, MESSAGE_ALL }; /* 27.005 <stat> */

struct modem_personality {
	const char *name, *manufacturer, *model, *revision;
	const char *own; /* commands of the make that libgammu insists on, each with a ' ' behind it */
	const char *cnmi_test, *cpms_test;
	const char *const *boot;  /* lines after a reset; NULL-terminated, or NULL */
	const char *const *storm; /* unsolicited lines of its own, one a period */
	time_ns storm_ns;
	bool creg_bare; /* cell and area without quotes */
	bool echo_lost; /* no echo after a reboot that is not the first */
};

struct stored {
	bool used;
	int stat;
	struct pdu pdu;
};

enum prompt_for { PROMPT_NONE, PROMPT_SEND, PROMPT_STORE };

struct modem_core {
	struct modem_setup setup; /* its texts are owned */
	char *number, *imei, *imsi, *pin;
	struct modem_hooks hooks;
	time_ns now; /* of the call in progress */
	bool booted;

	struct at_line line;
	struct buf out;
	struct buf urc;	   /* lines that wait until the link is free */
	time_ns urc_since; /* the first of them came */
	time_ns active_at; /* something was said last; 0: not yet */
	struct buf input;  /* typed while the network was working */

	/* parameters, as AT&F resets them */
	int verbose, quiet, cmee, cmgf, creg, cgreg, cereg, csdh, cmms, csms, cgsms, cops_format;
	int csmp[4];
	int cnmi[5];
	char cscs[8];
	int s[13]; /* S0 … S12 */
	int cfun;
	char csca[PDU_ADDRESS_MAX];

	enum sim_state sim;
	unsigned pin_tries, puk_tries; /* left */
	int registration;	       /* <stat> of CREG */

	struct stored store[MODEM_STORAGE_MAX];

	struct {
		enum prompt_for what;
		size_t tpdu; /* announced */
		int stat;
		char to[4 * PDU_ADDRESS_MAX]; /* as it was typed: hex in UCS2 */
		bool stored; /* AT+CMSS sends it */
		int refuse; /* result that a fault put behind the PDU; AT_OK: none */
	} prompt;
	struct {
		bool active; /* the network is working on an SMS */
		time_ns at;
		int result;
		int reference;
		bool stored;
	} answer;

	time_ns mute_until, full_until, network_until, sim_until, storm_at; /* 0: not */
};

/* A line of its own, "\r\n…\r\n". */
void emu_line(struct modem_core *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, unasked for: waits while a command, a prompt or an answer is under way. */
void emu_unsolicited(struct modem_core *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The final result of a command line. */
void emu_result(struct modem_core *m, int result);
const struct fault *emu_state(struct modem_core *m, const char *state, const char *why);
void emu_reset_parameters(struct modem_core *m);
void emu_reboot(struct modem_core *m);
void emu_set_registration(struct modem_core *m, int stat);
void emu_set_sim(struct modem_core *m, enum sim_state sim);
/* AT_OK, or why the SIM cannot be used. */
int emu_sim_cme(const struct modem_core *m);
int emu_sim_cms(const struct modem_core *m);
/* Wall clock. */
int64_t emu_unix_s(const struct modem_core *m);

/* Handlers: one AT command each. NULL where the name is unknown. */
typedef int emu_handler(struct modem_core *m, const struct at_command *c);
emu_handler *emu_general_find(const char *name);
emu_handler *emu_sms_find(const char *name);
/* What stands behind a prompt has ended. */
void emu_prompt_done(struct modem_core *m);
void emu_prompt_fail(struct modem_core *m, int result);
/* The network took the SMS: "+CMGS: " or "+CMSS: ". */
void emu_say_reference(struct modem_core *m, bool stored, int reference);
/* A parameter that is one number: set, read, test in one. */
int emu_number(struct modem_core *m, const struct at_command *c, int *value, int max);

/* The SIM store. Index from 1; 0 where it is full. */
unsigned emu_store_add(struct modem_core *m, int stat, const struct pdu *p);
unsigned emu_store_used(const struct modem_core *m);
bool emu_store_full(const struct modem_core *m);
struct stored *emu_store_get(struct modem_core *m, int index);

/* Text mode (27.005 §3.4.1). */
/* A number as the terminal typed it. 0 or ERR_PARSE, ERR_LIMIT. */
int emu_address_from_text(const struct modem_core *m, const char *to, struct pdu_address *out);
int emu_submit_from_text(const struct modem_core *m, const char *to, const char *text,
			 struct pdu_submit *out);
/* The header behind "+CMGR: " or "+CMGL: <index>," and the text of a stored message. */
void emu_show_text(struct modem_core *m, const char *what, int index, const struct stored *s);
const char *emu_stat_text(int stat);

#endif
