/* The oracle on what a device does by itself and what a server owes: each invariant has
 * a life that breaks it and one beside it that keeps it, and the one to blame is named. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "hil/judge/table.h"
#include "tests/hil/story.h"

#define ROW(t, from, to, row, more) #t " A[1] device.state from=" #from " to=" #to " row=" row " " more "\n"
#define ON                                                                                                     \
	"0 runner scenario.start id=s/x rig=virtual\n"                                                         \
	"0 server server.state state=up\n"                                                                     \
	"0 A[1] device.added group=A label=A[1] role=known\n"                                                  \
	"0 A[1] device.state reg=r1 from=OFF to=NOT_PROVISIONED row=OFF.on\n"                                  \
	"0 A[1] device.state reg=r1 from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"                      \
	"0 A[1] device.request req=q1 reg=r1 resource=registerDevice\n"
/* one exchange: asked by the line before, answered at `t` */
#define ANSWER(t, q, what, code, more)                                                                         \
	#t " server server.decision req=" q " reg=r1 resource=" what " code=" #code " signed=" more "\n"       \
	#t " server server.reply req=" q " resource=" what " code=" #code "\n"
#define REPLY(t, q, code, more) #t " A[1] device.reply req=" q " code=" #code " " more "\n"
#define AGAIN(t, q, r)                                                                                         \
	#t " A[1] device.state reg=" r " from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"                 \
	#t " A[1] device.request req=" q " reg=" r " resource=registerDevice\n"
#define LATE_503(t, q, wait)                                                                                   \
	ANSWER(t, q, "registerDevice", 503, "0")                                                               \
	REPLY(t, q, 503, "signed=0 retry_s=-1")                                                                \
	ROW(t, REGISTERING, NOT_PROVISIONED, "RG.503", "code=503 wait_ns=" #wait)
#define END(t) #t " runner scenario.end id=s/x why=settled\n"

/* registered at 12, code issued at 10, in AWAITING_CODE */
#define AWAITS                                                                                                 \
	ON "10 server code.issued req=q1 reg=r1 code_fp=c1\n"                                                  \
	   "10 carrier sms.submitted reg=r1 id=m1 code_fp=c1 from_fp=n1\n"                                     \
	   "10 server sms.queued reg=r1 id=m1 code_fp=c1\n" ANSWER(10, "q1", "registerDevice", 200, "0")       \
	   REPLY(12, "q1", 200, "signed=0") ROW(12, REGISTERING, AWAITING_CODE, "RG.200_sms", "reg=r1 code=200")
#define SMS(t) #t " carrier sms.delivered reg=r1 code_fp=c1 from_fp=n1\n"
#define LOGS_IN(t, q)                                                                                          \
	#t " A[1] device.code req=" q " reg=r1 code_fp=c1 status=used\n"                                       \
	#t " A[1] device.request req=" q " reg=r1 resource=login\n"
#define TAKES(t) #t " A[1] device.state reg=r1 from=AWAITING_CODE to=LOGGING_IN row=AC.sms\n" LOGS_IN(t, "q2")
#define GRANTS(t, q)                                                                                           \
	#t " server token.issued req=" q " reg=r1 jti=a1 fam=f1 use=access\n"                                  \
	#t " server token.issued req=" q " reg=r1 jti=b1 fam=f1 use=refresh\n"                                 \
	#t " server code.used req=" q " reg=r1 code_fp=c1\n" ANSWER(t, q, "login", 200, "0")
#define STORES "32 A[1] tokens.written jti=b1 fam=f1\n32 A[1] tokens.renamed jti=b1 fam=f1\n"
#define IN                                                                                                     \
	AWAITS SMS(20) TAKES(20) GRANTS(30, "q2") REPLY(32, "q2", 200, "signed=0 fam=f1")
#define PUBLISHES(t, q, ts)                                                                                    \
	ROW(t, PROVISIONED, PROVISIONED, "PV.due", "reg=r1")                                                   \
	#t " A[1] device.request req=" q " reg=r1 resource=publishMeasure ts=" ts "\n"
#define SERVED(t, q)                                                                                           \
	#t " server token.presented req=" q " jti=a1 fam=f1 use=access\n" ANSWER(t, q, "publishMeasure", 200, "0") \
	REPLY(t, q, 200, "signed=0") ROW(t, PROVISIONED, PROVISIONED, "PV.200", "code=200")
#define PROVISIONED_LIFE                                                                                       \
	IN STORES ROW(32, LOGGING_IN, PROVISIONED, "LI.200", "reg=r1 code=200") PUBLISHES(32, "q3", "1")       \
	SERVED(40, "q3")
/* queued for it before; what carries it is not judged here */
#define COMMAND(name, span) "41 server command.queued id=1 name=" name " wait_ns=" #span "\n"
#define REFUSED(t, q, code)                                                                                    \
	#t " server token.presented req=" q " jti=a1 fam=f1 use=access\n"                                      \
	ANSWER(t, q, "publishMeasure", code, "0 why=expired") REPLY(t, q, code, "signed=0")
#define REFRESHES(t, q) #t " A[1] device.request req=" q " reg=r1 resource=refreshToken\n"

#define BACK                                                                                                   \
	"{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}, \"steps\": [{\"do\": \"clock_step\", \"by_ms\": " \
	"-3600000, \"who\": {\"server\": true}}]}"
#define TOTP(t, q)                                                                                             \
	#t " A[1] device.code req=" q " reg=r1 code_fp=t1 status=used why=totp\n"                             \
	#t " A[1] device.request req=" q " reg=r1 resource=login\n"                                           \
	#t " server token.issued req=" q " reg=r1 jti=a1 fam=f1 use=access\n" ANSWER(t, q, "login", 200, "0")
/* a server that was made to say something else, at `t` */
#define SCRIPT(t) #t " server fault.fired name=f1 why=server.reply\n"
#define SCRIPTED(args) "{\"id\": \"s/x\", \"faults\": [{\"name\": \"f1\", \"do\": \"reply\", \"args\": {" args "}}]}"
/* a device that asks for no signatures */
#define TRUSTING "{\"id\": \"s/x\", \"groups\": [{\"name\": \"A\", \"count\": 1, \"accept_unsigned\": true}]}"

static const struct {
	const char *name, *lines, *invariant; /* NULL: nothing is wrong */
	enum blame blame;
	const char *plan;
} lives[] = {
	/* timers */
	{"it backs off and doubles",
	 ON LATE_503(10, "q1", 1000000000) AGAIN(1010, "q2", "r1") LATE_503(1020, "q2", 1700000000)
		 AGAIN(2720, "q3", "r1") LATE_503(2730, "q3", 4700000000) END(3000),
	 NULL, BLAME_NONE, NULL},
	{"the second wait is as short as the first",
	 ON LATE_503(10, "q1", 1000000000) AGAIN(1010, "q2", "r1") LATE_503(1020, "q2", 1000000000) END(1030), "timers",
	 BLAME_DEVICE, NULL},
	{"a wait that is too long", ON LATE_503(10, "q1", 1300000000) END(20), "timers", BLAME_DEVICE, NULL},
	{"its longest wait is the scenario's", ON LATE_503(10, "q1", 1000000000) AGAIN(1010, "q2", "r1")
						    LATE_503(1020, "q2", 1000000000) END(1030),
	 NULL, BLAME_NONE, "{\"id\": \"s/x\", \"settings\": {\"backoff_max\": 1000000000}}"},
	{"no wait at all",
	 ON ANSWER(10, "q1", "registerDevice", 503, "0") REPLY(10, "q1", 503, "signed=0")
		 ROW(10, REGISTERING, NOT_PROVISIONED, "RG.503", "code=503") END(20),
	 "timers", BLAME_DEVICE, NULL},
	{"it says that it waits, and does not", ON LATE_503(10, "q1", 1000000000) AGAIN(500, "q2", "r1") END(600),
	 "timers", BLAME_DEVICE, NULL},
	{"it sleeps on", ON LATE_503(10, "q1", 1000000000) END(2100), "timers", BLAME_DEVICE, NULL},
	{"… which the harness may have done", ON LATE_503(10, "q1", 1000000000) "2000 runner harness.lag lag_ns=800000000\n"
						END(2100),
	 NULL, BLAME_NONE, NULL},
	{"retryAfter is waited for",
	 ON ANSWER(10, "q1", "registerDevice", 429, "0") REPLY(10, "q1", 429, "signed=0 retry_s=5")
		 ROW(10, REGISTERING, NOT_PROVISIONED, "RG.429", "code=429 wait_ns=5900000000") END(20),
	 NULL, BLAME_NONE, NULL},
	{"retryAfter is not waited for",
	 ON ANSWER(10, "q1", "registerDevice", 429, "0") REPLY(10, "q1", 429, "signed=0 retry_s=5")
		 ROW(10, REGISTERING, NOT_PROVISIONED, "RG.429", "code=429 wait_ns=1000000000") END(20),
	 "timers", BLAME_DEVICE, NULL},
	{"an answer is waited for 10 s",
	 ON ROW(10000, REGISTERING, NOT_PROVISIONED, "RG.no_answer", "wait_ns=1000000000") END(10100), NULL, BLAME_NONE,
	 NULL},
	{"an answer is waited for 9 s",
	 ON ROW(9000, REGISTERING, NOT_PROVISIONED, "RG.no_answer", "wait_ns=1000000000") END(10100), "timers",
	 BLAME_DEVICE, NULL},
	{"an answer is waited for for ever", ON END(11100), "timers", BLAME_DEVICE, NULL},
	{"the scenario's request_timeout is shorter", ON END(2100), "timers", BLAME_DEVICE,
	 "{\"id\": \"s/x\", \"settings\": {\"request_timeout\": 1000000000}}"},
	{"a code is waited for for code_wait",
	 AWAITS ROW(120012, AWAITING_CODE, NOT_PROVISIONED, "AC.code_wait", "wait_ns=1000000000") END(120100), NULL,
	 BLAME_NONE, NULL},
	{"a code is waited for for ever", AWAITS END(122000), "timers", BLAME_DEVICE, NULL},
	{"a code is hardly waited for",
	 AWAITS ROW(110000, AWAITING_CODE, NOT_PROVISIONED, "AC.code_wait", "wait_ns=1000000000") END(110100), "timers",
	 BLAME_DEVICE, NULL},
	{"a held code is dropped too soon",
	 ON SMS(5) ROW(5, REGISTERING, REGISTERING, "RG.sms", "reg=r1") LATE_503(10, "q1", 1000000000)
		 ROW(600, NOT_PROVISIONED, NOT_PROVISIONED, "NP.hold_over", "reg=r1") END(700),
	 "timers", BLAME_DEVICE, NULL},
	{"it publishes each minute", PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") SERVED(60040, "q4") END(60100), NULL,
	 BLAME_NONE, NULL},
	{"it publishes too often", PROVISIONED_LIFE PUBLISHES(30032, "q4", "2") SERVED(30040, "q4") END(60100), "timers",
	 BLAME_DEVICE, NULL},
	{"it publishes too seldom", PROVISIONED_LIFE END(62000), "timers", BLAME_DEVICE, NULL},
	{"the interval is the scenario's", PROVISIONED_LIFE PUBLISHES(30032, "q4", "2") SERVED(30040, "q4") END(60100),
	 NULL, BLAME_NONE, "{\"id\": \"s/x\", \"settings\": {\"publish_interval\": 30000000000}}"},
	{"a CONFIG that nobody told of changed its interval", PROVISIONED_LIFE "41 A[1] command.done id=1 name=CONFIG\n"
	 END(90000), NULL, BLAME_NONE, NULL},
	{"a CONFIG is obeyed",
	 PROVISIONED_LIFE COMMAND("CONFIG", 20000000000) ROW(42, PROVISIONED, PROVISIONED, "PV.cmd_config", "reg=r1")
		 "42 A[1] command.done id=1 name=CONFIG\n" PUBLISHES(20032, "q4", "2") SERVED(20040, "q4") END(20100),
	 NULL, BLAME_NONE, TRUSTING},
	{"a CONFIG is not obeyed",
	 PROVISIONED_LIFE COMMAND("CONFIG", 20000000000) ROW(42, PROVISIONED, PROVISIONED, "PV.cmd_config", "reg=r1")
		 "42 A[1] command.done id=1 name=CONFIG\n" PUBLISHES(60032, "q4", "2") SERVED(60040, "q4") END(60100),
	 "timers", BLAME_DEVICE, NULL},
	{"a pause is kept",
	 PROVISIONED_LIFE COMMAND("PAUSE", 5000000000) ROW(42, PROVISIONED, PAUSED, "PV.cmd_pause", "reg=r1")
		 "42 A[1] command.done id=1 name=PAUSE\n" ROW(5042, PAUSED, PROVISIONED, "PA.over", "reg=r1")
			 PUBLISHES(5042, "q4", "2") SERVED(5050, "q4") END(5100),
	 NULL, BLAME_NONE, TRUSTING},
	{"a pause is not kept",
	 PROVISIONED_LIFE COMMAND("PAUSE", 5000000000) ROW(42, PROVISIONED, PAUSED, "PV.cmd_pause", "reg=r1")
		 "42 A[1] command.done id=1 name=PAUSE\n" ROW(42, PAUSED, PROVISIONED, "PA.over", "reg=r1")
			 PUBLISHES(42, "q4", "2") SERVED(50, "q4") END(100),
	 "timers", BLAME_DEVICE, NULL},
	{"a pause that never ends",
	 PROVISIONED_LIFE COMMAND("PAUSE", 5000000000) ROW(42, PROVISIONED, PAUSED, "PV.cmd_pause", "reg=r1")
		 "42 A[1] command.done id=1 name=PAUSE\n" END(6100),
	 "timers", BLAME_DEVICE, NULL},
	{"a token refused right behind its refresh is no news",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5") END(60050),
	 NULL, BLAME_NONE, "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}}"},
	{"it waits before it refreshes, for nothing",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401 wait_ns=1000000000") END(60050),
	 "timers", BLAME_DEVICE, "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}}"},

	/* registration */
	{"a new registration for each try", ON LATE_503(10, "q1", 1000000000) AGAIN(1010, "q2", "r2") END(1020),
	 "registration", BLAME_DEVICE, NULL},
	{"a new registration behind code_wait",
	 AWAITS ROW(120012, AWAITING_CODE, NOT_PROVISIONED, "AC.code_wait", "reg=r1 wait_ns=1000000000")
		 AGAIN(121012, "q2", "r2") END(121100),
	 NULL, BLAME_NONE, NULL},
	{"none behind code_wait",
	 AWAITS ROW(120012, AWAITING_CODE, NOT_PROVISIONED, "AC.code_wait", "reg=r1 wait_ns=1000000000")
		 AGAIN(121012, "q2", "r1") END(121100),
	 "registration", BLAME_DEVICE, NULL},
	{"one registration for two lives",
	 ON ROW(5, REGISTERING, OFF, "RG.off", "reg=r1") ROW(9, OFF, NOT_PROVISIONED, "OFF.on", "reg=r1")
		 AGAIN(9, "q2", "r1") END(20),
	 "registration", BLAME_DEVICE, NULL},

	/* SMS */
	{"its code came, and it logs in", AWAITS SMS(20) TAKES(20) END(30), NULL, BLAME_NONE, NULL},
	{"who hands it over tells of it last", AWAITS TAKES(20) SMS(21) END(30), NULL, BLAME_NONE, NULL},
	{"its code came, and it does nothing", AWAITS SMS(20) END(2000), "takes-its-code", BLAME_DEVICE, NULL},
	{"its code came early, and is dropped",
	 ON "10 server code.issued req=q1 reg=r1 code_fp=c1\n10 carrier sms.submitted reg=r1 code_fp=c1 from_fp=n1\n" SMS(11)
		 ANSWER(10, "q1", "registerDevice", 200, "0") REPLY(12, "q1", 200, "signed=0")
			 ROW(12, REGISTERING, AWAITING_CODE, "RG.200_sms", "reg=r1 code=200") END(2000),
	 "takes-its-code", BLAME_DEVICE, NULL},
	{"a stranger's SMS is believed",
	 AWAITS "20 carrier sms.delivered reg=r1 code_fp=c1 from_fp=n9\n" TAKES(20) END(30), "takes-its-code", BLAME_DEVICE,
	 NULL},
	{"numbers of real networks are written in many ways",
	 AWAITS "13 runner scenario.start id=s/x rig=file\n20 carrier sms.delivered reg=r1 code_fp=c1 from_fp=n9\n" TAKES(20)
		 END(30),
	 NULL, BLAME_NONE, NULL},
	{"an SMS for its last registration is believed",
	 AWAITS "20 carrier sms.delivered reg=r0 code_fp=c1 from_fp=n1\n" TAKES(20) END(30), "takes-its-code", BLAME_DEVICE,
	 NULL},
	{"an SMS that never came is believed", AWAITS SMS(15) TAKES(20) ROW(25, LOGGING_IN, OFF, "LI.off", "")
						 ROW(30, OFF, NOT_PROVISIONED, "OFF.on", "reg=r2") AGAIN(30, "q3", "r2")
							 ROW(31, REGISTERING, REGISTERING, "RG.sms", "reg=r2") END(40),
	 "takes-its-code", BLAME_DEVICE, NULL},
	{"it waits for a code that it holds",
	 ON "4 server code.issued req=q1 reg=r1 code_fp=c1\n4 carrier sms.submitted reg=r1 code_fp=c1 from_fp=n1\n" SMS(5)
		 ROW(5, REGISTERING, REGISTERING, "RG.sms", "reg=r1") ANSWER(10, "q1", "registerDevice", 200, "0")
			 REPLY(12, "q1", 200, "signed=0")
				 ROW(12, REGISTERING, AWAITING_CODE, "RG.200_sms", "reg=r1 code=200") END(20),
	 "takes-its-code", BLAME_DEVICE, NULL},
	{"a fault replaced the text", AWAITS "19 carrier fault.fired name=f1 why=sms.submitted\n" SMS(20)
					     ROW(20, AWAITING_CODE, AWAITING_CODE, "AC.sms_other", "reg=r1") END(2000),
	 NULL, BLAME_NONE, NULL},

	{"a fault took it at the very end", AWAITS SMS(20) "20 carrier fault.fired name=f1 why=sms.delivered\n" END(2000), NULL, BLAME_NONE,
	 NULL},
	{"… which is nothing to the next one",
	 AWAITS SMS(20) "20 carrier fault.fired name=f1 why=sms.submitted\n" END(2000), "takes-its-code", BLAME_DEVICE, NULL},

	/* tokens of its own */
	{"tokens are used before they are stored", IN ROW(32, LOGGING_IN, PROVISIONED, "LI.200", "reg=r1 code=200")
						      PUBLISHES(32, "q3", "1") SERVED(40, "q3") END(50),
	 "stored-before-use", BLAME_DEVICE, NULL},
	{"a flash that fails is no fault of the device's",
	 IN "32 A[1] device.ignored why=store_failed state=LOGGING_IN\n" ROW(32, LOGGING_IN, PROVISIONED, "LI.200",
									     "reg=r1 code=200")
		 PUBLISHES(32, "q3", "1") SERVED(40, "q3") END(50),
	 NULL, BLAME_NONE, NULL},
	{"it refreshes with its last token",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
			 "60041 server token.presented req=q5 jti=b1 fam=f1 use=refresh\n" END(60050),
	 NULL, BLAME_NONE, "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}}"},
	{"it refreshes with an older token",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
			 "60041 server token.presented req=q5 jti=b0 fam=f1 use=refresh\n" END(60050),
	 "stored-before-use", BLAME_DEVICE, "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}}"},
	{"… as the scenario has its firmware do",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
			 "60041 server token.presented req=q5 jti=b0 fam=f1 use=refresh\n" END(60050),
	 NULL, BLAME_NONE,
	 "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}, \"groups\": [{\"name\": \"A\", \"count\": 1, "
	 "\"defects\": [\"keeps-old-refresh\"]}]}"},

	/* what the server owes */
	{"the right code is refused", AWAITS SMS(20) TAKES(20) ANSWER(30, "q2", "login", 401, "1") END(40),
	 "right-code-serves", BLAME_SERVER, NULL},
	{"an old code is refused", AWAITS SMS(20) TAKES(20) ANSWER(3000, "q2", "login", 401, "1") END(3010), NULL, BLAME_NONE,
	 "{\"id\": \"s/x\", \"settings\": {\"code_ttl\": 2000000000}}"},
	{"a void code is refused",
	 AWAITS SMS(20) TAKES(20) "25 server code.void code_fp=c1 why=tries\n" ANSWER(30, "q2", "login", 401, "1") END(40), NULL,
	 BLAME_NONE, NULL},
	{"an operator's refusal",
	 AWAITS SMS(20) TAKES(20) "25 server operator name=disable\n" ANSWER(30, "q2", "login", 401, "1") END(40), NULL,
	 BLAME_NONE, NULL},
	{"a forced refusal",
	 AWAITS SMS(20) TAKES(20) ANSWER(30, "q2", "login", 401, "1") "30 server fault.fired name=f1 why=server.decision\n"
		 END(40),
	 NULL, BLAME_NONE, NULL},
	{"a login whose reply was lost is refused",
	 AWAITS SMS(20) TAKES(20) GRANTS(30, "q2") LOGS_IN(9000, "q3") ANSWER(9010, "q3", "login", 401, "1") END(9020),
	 "right-code-serves", BLAME_SERVER, NULL},
	{"… and where its tokens were used it may be",
	 AWAITS SMS(20) TAKES(20) GRANTS(30, "q2") "40 server token.presented req=qx jti=a1 fam=f1 use=access\n"
		 LOGS_IN(9000, "q3") ANSWER(9010, "q3", "login", 401, "1") END(9020),
	 NULL, BLAME_NONE, NULL},
	{"a second code for a registration", AWAITS "5000 server code.issued req=q9 reg=r1 code_fp=c2\n" END(5010), "one-code",
	 BLAME_SERVER, NULL},
	{"a second code where the first was never promised",
	 ON "10 server code.issued req=q1 reg=r1 code_fp=c1\n" ANSWER(10, "q1", "registerDevice", 503, "0")
		 "5000 server code.issued req=q9 reg=r1 code_fp=c2\n" END(5010),
	 NULL, BLAME_NONE, NULL},
	{"an expired token is served", PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") SERVED(60040, "q4") END(60050), "token-life",
	 BLAME_SERVER, "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 30000000000}}"},
	{"… by a clock that somebody steps", PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") SERVED(60040, "q4") END(60050), NULL,
	 BLAME_NONE,
	 "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 30000000000}, \"steps\": [{\"do\": \"clock_step\"}]}"},
	{"a dead refresh token gets 401",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
			 ANSWER(60041, "q5", "refreshToken", 401, "1") END(60050),
	 "resource-codes", BLAME_SERVER, "{\"id\": \"s/x\", \"settings\": {\"access_ttl\": 60000000000}}"},
	{"an unsigned refusal", ON ANSWER(10, "q1", "registerDevice", 403, "0") END(20), "refusals-signed", BLAME_SERVER, NULL},
	{"a signed one", ON ANSWER(10, "q1", "registerDevice", 403, "1") END(20), NULL, BLAME_NONE, NULL},
	{"a command without a signature",
	 PROVISIONED_LIFE PUBLISHES(60032, "q4", "2") "60040 server command.sent req=q4 id=1 name=RESET\n" SERVED(60040, "q4")
		 END(60050),
	 "refusals-signed", BLAME_SERVER, NULL},
	{"its clock stands an hour back, and it grants",
	 PROVISIONED_LIFE "41 server server.state state=up\n42 runner step.done name=clock_step count=0\n"
		 PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
			 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
				 ANSWER(60041, "q5", "refreshToken", 200, "0") END(60050),
	 "clock-guard", BLAME_SERVER, BACK},
	{"its clock stands an hour back, and it knows",
	 PROVISIONED_LIFE "42 runner step.done name=clock_step count=0\n" PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
		 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
			 ANSWER(60041, "q5", "refreshToken", 503, "0") END(60050),
	 NULL, BLAME_NONE, BACK},
	{"… which an operator ends",
	 PROVISIONED_LIFE "42 runner step.done name=clock_step count=0\n50 server operator name=clock-accept\n"
		 PUBLISHES(60032, "q4", "2") REFUSED(60040, "q4", 401)
			 ROW(60040, PROVISIONED, REFRESHING, "PV.401", "code=401") REFRESHES(60040, "q5")
				 "60041 server token.presented req=q5 jti=b1 fam=f1 use=refresh\n" ANSWER(60041, "q5", "refreshToken", 200, "0") END(60050),
	 NULL, BLAME_NONE, BACK},
	{"a retired key's token serves",
	 PROVISIONED_LIFE "41 server key.added id=k2\n42 server key.retired id=k1 why=operator\n" PUBLISHES(60032, "q4", "2")
		 SERVED(60040, "q4") END(60050),
	 "token-keys", BLAME_SERVER, NULL},
	{"it serves through the overlap",
	 PROVISIONED_LIFE "41 server key.added id=k2\n" PUBLISHES(60032, "q4", "2") SERVED(60040, "q4") END(60050), NULL,
	 BLAME_NONE, NULL},
	{"nobody is told of the new key",
	 PROVISIONED_LIFE "41 server key.added id=k2\n" PUBLISHES(60032, "q4", "2") SERVED(60040, "q4")
		 PUBLISHES(120032, "q5", "3") SERVED(120040, "q5") PUBLISHES(180032, "q6", "4") SERVED(180040, "q6") END(180050),
	 "token-keys", BLAME_SERVER, NULL},
	{"it is told of the new key",
	 PROVISIONED_LIFE "41 server key.added id=k2\n" PUBLISHES(60032, "q4", "2")
		 "60040 server command.sent req=q4 id=c1 name=KEYS\n60040 server server.decision req=q4 resource=publishMeasure "
		 "code=200 signed=1\n60040 server token.presented req=q4 jti=a1 fam=f1 use=access\n" REPLY(60040, "q4", 200, "signed=1")
			 ROW(60040, PROVISIONED, PROVISIONED, "PV.200", "code=200") PUBLISHES(120032, "q5", "3")
				 SERVED(120040, "q5") PUBLISHES(180032, "q6", "4") SERVED(180040, "q6")
					 PUBLISHES(240032, "q7", "5") SERVED(240040, "q7") END(240050),
	 NULL, BLAME_NONE, NULL},
	{"a TOTP step twice",
	 ON ANSWER(10, "q1", "registerDevice", 200, "0") REPLY(12, "q1", 200, "signed=0")
		 ROW(12, REGISTERING, LOGGING_IN, "RG.200_totp", "reg=r1 code=200") TOTP(12, "q2") TOTP(20, "q3") END(30),
	 "login-needs-code", BLAME_SERVER, NULL},
	{"a TOTP step, and its tokens once more",
	 ON ANSWER(10, "q1", "registerDevice", 200, "0") REPLY(12, "q1", 200, "signed=0")
		 ROW(12, REGISTERING, LOGGING_IN, "RG.200_totp", "reg=r1 code=200") TOTP(12, "q2")
			 "20 A[1] device.code req=q3 reg=r1 code_fp=t1 status=used why=totp\n"
			 "20 A[1] device.request req=q3 reg=r1 resource=login\n" ANSWER(20, "q3", "login", 200, "0") END(30),
	 NULL, BLAME_NONE, NULL},
	{"a command whose reply was lost is forgotten",
	 PROVISIONED_LIFE COMMAND("RESET", -1) PUBLISHES(60032, "q4", "2") "60040 server command.sent req=q4 id=1 name=RESET\n"
		 ROW(70032, PROVISIONED, PROVISIONED, "PV.no_answer", "wait_ns=1000000000") PUBLISHES(71032, "q5", "2")
			 SERVED(71040, "q5") PUBLISHES(120032, "q6", "3") SERVED(120040, "q6") END(120050),
	 "commands-once", BLAME_SERVER, NULL},
	{"a command that was taken back is not sent again",
	 PROVISIONED_LIFE COMMAND("RESET", -1) PUBLISHES(60032, "q4", "2") "60040 server command.sent req=q4 id=1 name=RESET\n"
		 ROW(70032, PROVISIONED, PROVISIONED, "PV.no_answer", "wait_ns=1000000000")
			 "70500 server command.closed id=1 name=RESET why=cancelled\n" PUBLISHES(71032, "q5", "2") SERVED(71040, "q5")
				 PUBLISHES(120032, "q6", "3") SERVED(120040, "q6") END(120050),
	 NULL, BLAME_NONE, NULL},
	/* what a fault made of a reply */
	{"wrong tokens are believed", AWAITS SMS(20) TAKES(20) GRANTS(30, "q2") SCRIPT(30) REPLY(32, "q2", 200, "signed=0 fam=f1")
					      STORES ROW(32, LOGGING_IN, PROVISIONED, "LI.200", "reg=r1 req=q2 code=200")
						      PUBLISHES(32, "q3", "1") END(50),
	 "trusts-no-forgery", BLAME_DEVICE, SCRIPTED("\"tokens\": \"swapped\"")},
	{"wrong tokens are not believed",
	 AWAITS SMS(20) TAKES(20) GRANTS(30, "q2") SCRIPT(30) REPLY(32, "q2", 200, "signed=0")
		 ROW(32, LOGGING_IN, NOT_PROVISIONED, "LI.200_bad", "reg=r1 req=q2 code=200 wait_ns=1000000000") END(50),
	 NULL, BLAME_NONE, SCRIPTED("\"tokens\": \"swapped\"")},
	{"a replayed signature is believed",
	 ON ANSWER(10, "q1", "registerDevice", 403, "1") SCRIPT(10) REPLY(12, "q1", 403, "signed=1")
		 ROW(12, REGISTERING, IDLE, "RG.403", "reg=r1 req=q1 code=403") END(50),
	 "trusts-no-forgery", BLAME_DEVICE, SCRIPTED("\"signature\": \"replayed\", \"code\": 403")},
	{"… and is not", ON ANSWER(10, "q1", "registerDevice", 403, "1") SCRIPT(10) REPLY(12, "q1", 403, "signed=0")
			 ROW(12, REGISTERING, NOT_PROVISIONED, "RG.unknown", "reg=r1 req=q1 wait_ns=1000000000") END(50),
	 NULL, BLAME_NONE, SCRIPTED("\"signature\": \"replayed\", \"code\": 403")},
	{"another key is believed",
	 ON ANSWER(10, "q1", "registerDevice", 200, "0") SCRIPT(10) REPLY(12, "q1", 200, "signed=0")
		 ROW(12, REGISTERING, AWAITING_CODE, "RG.200_sms", "reg=r1 req=q1 code=200") END(50),
	 "trusts-no-forgery", BLAME_DEVICE, SCRIPTED("\"payload\": \"other_key\"")},
	{"a reply that nobody sent is read",
	 ON ANSWER(10, "q1", "registerDevice", 200, "0") SCRIPT(10) REPLY(12, "q1", 400, "signed=0")
		 ROW(12, REGISTERING, NOT_PROVISIONED, "RG.400", "reg=r1 req=q1 code=400 wait_ns=1000000000") END(50),
	 "same-story", BLAME_DEVICE, SCRIPTED("\"link\": \"silent\"")},
	{"another code than the scripted one is read",
	 ON ANSWER(10, "q1", "registerDevice", 200, "0") SCRIPT(10) REPLY(12, "q1", 503, "signed=0")
		 ROW(12, REGISTERING, NOT_PROVISIONED, "RG.503", "reg=r1 req=q1 code=503 wait_ns=1000000000") END(50),
	 "same-story", BLAME_DEVICE, SCRIPTED("\"code\": 429")},
	{"the scripted code is read",
	 ON ANSWER(10, "q1", "registerDevice", 200, "0") SCRIPT(10) REPLY(12, "q1", 429, "signed=0")
		 ROW(12, REGISTERING, NOT_PROVISIONED, "RG.429", "reg=r1 req=q1 code=429 wait_ns=1000000000") END(50),
	 NULL, BLAME_NONE, SCRIPTED("\"code\": 429")},
	{"429 needs no signature", ON ANSWER(10, "q1", "registerDevice", 429, "0") END(20), NULL, BLAME_NONE, NULL},
};

/* All that an invariant of these says. */
static const char *const told[] = {"trusts-no-forgery", "same-story", "clock-guard", "commands-once", "token-keys", "login-needs-code", "timers",   "registration", "takes-its-code", "stored-before-use", "right-code-serves",
				   "one-code", "token-life",   "resource-codes", "refusals-signed"};

START_TEST(each_life_is_judged)
{
	const struct check_result *c;
	struct scenario_result r;

	story_judge(lives[_i].plan, lives[_i].lines, &r);
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		bool wrong = lives[_i].invariant && strcmp(lives[_i].invariant, told[i]) == 0;

		c = story_check(&r, told[i]);
		ck_assert_msg((c->status == CHECK_FAILED) == wrong, "%s: %s is %s (%s)", lives[_i].name, told[i],
			      check_status_name(c->status), c->causes_n ? c->causes[0].got : "");
		if (wrong)
			ck_assert_msg(c->causes[0].blame == lives[_i].blame, "%s: blames %s (%s)", lives[_i].name,
				      blame_name(c->causes[0].blame), c->causes[0].got);
	}
	ck_assert_msg(lives[_i].invariant || r.verdict == VERDICT_PASS, "%s: %s", lives[_i].name, r.reason);
	scenario_result_fini(&r);
}
END_TEST

/* The table's second half agrees with its first: who backs off goes nowhere at once. */
START_TEST(effects_fit_their_rows)
{
	for (int i = 1; i < ROW_END; i++) {
		const struct rule *r = rule_of((enum row_name)i);
		const struct rule_effect *e = rule_effect((enum row_name)i);
		const char *id = row_id((enum row_name)i);

		ck_assert_msg(!(e->sends && e->wait), "%s sends and waits", id);
		ck_assert_msg(!(e->stays && (e->sends || e->wait)), "%s stays, and does not", id);
		ck_assert_msg(!e->wait || !rule_allows_to(r, STATE_IDLE), "%s waits in IDLE", id);
		ck_assert_msg(!e->stays || r->from == r->to, "%s stays, and leads elsewhere", id);
		if (strstr(id, ".503") || strstr(id, ".no_answer"))
			ck_assert_msg(e->wait == BACKS_OFF, "%s does not back off", id);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("oracle_conduct");
	TCase *t = tcase_create("lives");
	SRunner *sr;
	int bad;

	tcase_add_loop_test(t, each_life_is_judged, 0, sizeof(lives) / sizeof(lives[0]));
	tcase_add_test(t, effects_fit_their_rows);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	bad = srunner_ntests_failed(sr);
	srunner_free(sr);
	return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
