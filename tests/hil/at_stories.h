/* What is typed into an emulated modem, and what it must answer: a story a modem. */
#ifndef TESTS_HIL_AT_STORIES_H
#define TESTS_HIL_AT_STORIES_H

#include <stddef.h>

#define OK     "\r\nOK\r\n"
#define ERROR_ "\r\nERROR\r\n"
#define CTRL_Z "\x1a"
#define ESC    "\x1b"
/* "hello" to +34600000002, without and with a report */
#define SUBMIT	   "0001000B914306000000F2000005E8329BFD06"
#define SUBMIT_LEN "18"
/* "hi" from +34600000009, as the modem shows it */
#define DELIVER	    "07914306000000F0040B914306000000F900006211225100000002E834"
#define DELIVER_LEN "21"

#define STEPS_MAX 16
/* clang-format off */
static const struct story {
	const char *name, *personality, *pin;
	const char *steps[2 * STEPS_MAX]; /* in, out, …; in "+" is a message that arrives */
} stories[] = {
	{"what libgammu sends first", "generic", NULL, {
		ESC "\r", "\r",
		"AT\r", "AT\r" OK,
		"ATE1\r", "ATE1\r" OK,
		"AT+MODE=2\r", "AT+MODE=2\r" ERROR_,
		"AT+CMEE=1\r", "AT+CMEE=1\r" OK,
		"AT+CSCS?\r", "AT+CSCS?\r\r\n+CSCS: \"GSM\"\r\n" OK,
		"AT+CSCS=\"GSM\"\r", "AT+CSCS=\"GSM\"\r" OK,
		"AT+CPROT=?\r", "AT+CPROT=?\r" ERROR_,
		"AT+SYNCML=?\r", "AT+SYNCML=?\r" ERROR_,
		"AT$TSSPCSW=?\r", "AT$TSSPCSW=?\r" ERROR_,
		"AT+CHUP=?\r", "AT+CHUP=?\r" OK,
		"AT+CGMR\r", "AT+CGMR\r\r\n1.0\r\n" OK,
		"AT+CFUN=1\r", "AT+CFUN=1\r" OK,
	}},
	{"what it asks next", "generic", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT+CSCS=?\r", "\r\n+CSCS: (\"GSM\",\"IRA\",\"UCS2\",\"UTF-8\",\"8859-1\")\r\n" OK,
		"AT+CGMM\r", "\r\nEmulated GSM modem\r\n" OK,
		"AT+CGMI\r", "\r\nquicrig\r\n" OK,
		"AT+CGSN\r", "\r\n001017000000011\r\n" OK,
		"AT+CIMI\r", "\r\n214994600000001\r\n" OK,
		"AT+CSCA?\r", "\r\n+CSCA: \"+34600000000\",145\r\n" OK,
		"AT+CPMS=?\r", "\r\n+CPMS: (\"SM\"),(\"SM\"),(\"SM\")\r\n" OK,
		"AT+CPMS=\"SM\",\"SM\",\"SM\"\r", "\r\n+CPMS: 0,3,0,3,0,3\r\n" OK,
		"AT+CNMI=?\r", "\r\n+CNMI: (0-2),(0-3),(0,2),(0-2),(0,1)\r\n" OK,
		"AT+CNMI=2,1,0,2,0\r", OK,
		"AT+CNMI?\r", "\r\n+CNMI: 2,1,0,2,0\r\n" OK,
		"AT+CMMS=2\r", OK,
		"AT+CSQ\r", "\r\n+CSQ: 20,99\r\n" OK,
	}},
	{"network questions", "generic", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT+CREG?\r", "\r\n+CREG: 0,1\r\n" OK,
		"AT+CREG=2;+CREG?\r", "\r\n+CREG: 2,1,\"00FF\",\"00012345\"\r\n" OK,
		"AT+CGREG?\r", "\r\n+CGREG: 0,1\r\n" OK,
		"AT+CGATT?\r", "\r\n+CGATT: 1\r\n" OK,
		"AT+COPS=3,2;+COPS?\r", "\r\n+COPS: 0,2,\"21499\",2\r\n" OK,
		"AT+CBC\r", "\r\n+CBC: 0,100\r\n" OK,
		"AT+CCLK?\r", "\r\n+CCLK: \"26/11/22,15:00:00+00\"\r\n" OK,
		"AT+CPIN?\r", "\r\n+CPIN: READY\r\n" OK,
		"AT+CNUM\r", "\r\n+CNUM: ,\"+34600000001\",145\r\n" OK,
	}},
	{"echo, verbosity, several commands in a line", "generic", NULL, {
		"ATE0V1+CMEE=1;+CMGF?\r", "ATE0V1+CMEE=1;+CMGF?\r\r\n+CMGF: 0\r\n" OK,
		"ATV0\r", "0\r",
		"AT+FOO\r", "4\r",
		"ATV1Q1\r", "",
		"AT\r", "",
		"ATQ0\r", OK,
		"AT&F\r", OK,
		"AT\r", "AT\r" OK,
		"ATS3?\r", "ATS3?\r\r\n013\r\n" OK,
		"ATZE0\r", "ATZE0\r" OK,
		"AT+CMGF=1;+NONSENSE;+CMGF=0\r", ERROR_,
		"AT+CMGF?\r", "\r\n+CMGF: 1\r\n" OK,
	}},
	{"line ends of all kinds, case, spaces, backspace, A/", "generic", NULL, {
		"ATE0\r\n", "ATE0\r" OK,
		"at\r\n", OK,
		"At\n", OK,
		"AT \r", OK,
		"AT+CSX\bQ\r", "\r\n+CSQ: 20,99\r\n" OK,
		"\r\n\r\nAT\r", OK,
		"junkAT\r", OK,
		"A/", OK,
		"AT E0 V1\r", OK,
		"AT+cmgf = 0\r", OK,
	}},
	{"errors by CMEE", "generic", "1234", {
		"ATE0\r", "ATE0\r" OK,
		"AT+CIMI\r", ERROR_,
		"AT+CMEE=1\r", OK,
		"AT+CIMI\r", "\r\n+CME ERROR: 11\r\n",
		"AT+CMEE=2\r", OK,
		"AT+CIMI\r", "\r\n+CME ERROR: SIM PIN required\r\n",
		"AT+CMEE=3\r", "\r\n+CME ERROR: incorrect parameters\r\n",
		"AT+CMGL=4\r", "\r\n+CMS ERROR: 311\r\n",
	}},
	{"PIN", "generic", "1234", {
		"ATE0+CMEE=1\r", "ATE0+CMEE=1\r" OK,
		"AT+CPIN?\r", "\r\n+CPIN: SIM PIN\r\n" OK,
		"AT+CREG?\r", "\r\n+CREG: 0,0\r\n" OK,
		"AT+CPIN=\"0000\"\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN=1234\r", OK,
		"AT+CPIN?\r", "\r\n+CPIN: READY\r\n" OK,
		"AT+CREG?\r", "\r\n+CREG: 0,1\r\n" OK,
	}},
	{"PUK", "generic", "1234", {
		"ATE0+CMEE=1\r", "ATE0+CMEE=1\r" OK,
		"AT+CPIN=0;\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN=0\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN=0\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN?\r", "\r\n+CPIN: SIM PUK\r\n" OK,
		"AT+CPIN=1234\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CMGL\r", "\r\n+CMS ERROR: 316\r\n",
		"AT+CPIN=\"12345678\",\"4321\"\r", OK,
		"AT+CPIN?\r", "\r\n+CPIN: READY\r\n" OK,
	}},
	{"send", "generic", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT+CMGS=" SUBMIT_LEN "\r", "\r\n> ",
		SUBMIT CTRL_Z, "\r\n+CMGS: 0\r\n" OK,
		"AT+CMGS=" SUBMIT_LEN "\r", "\r\n> ",
		"0001000B9143060\r\n00000F2000005E8329BFD06" CTRL_Z, "\r\n+CMGS: 1\r\n" OK,
	}},
	{"send with echo", "generic", NULL, {
		"AT+CMGS=" SUBMIT_LEN "\r", "AT+CMGS=" SUBMIT_LEN "\r\r\n> ",
		SUBMIT CTRL_Z, SUBMIT CTRL_Z "\r\n+CMGS: 0\r\n" OK,
	}},
	{"refused PDUs", "generic", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT+CMGS=17\r", "\r\n> ",
		SUBMIT CTRL_Z, "\r\n+CMS ERROR: 304\r\n",
		"AT+CMGS=18\r", "\r\n> ",
		"XY" CTRL_Z, "\r\n+CMS ERROR: 304\r\n",
		"AT+CMGS=18\r", "\r\n> ",
		CTRL_Z, "\r\n+CMS ERROR: 304\r\n",
		"AT+CMGS=0\r", "\r\n+CMS ERROR: 304\r\n",
		"AT+CMGS\r", ERROR_,
		"AT+CMGS=18\r", "\r\n> ",
		SUBMIT ESC, OK,
		"AT\r", OK,
	}},
	{"receive silently", "generic", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"+", "",
		"AT+CMGL\r", "\r\n+CMGL: 1,0,," DELIVER_LEN "\r\n" DELIVER "\r\n" OK,
		"AT+CMGL=0\r", OK,
		"AT+CMGL=4\r", "\r\n+CMGL: 1,1,," DELIVER_LEN "\r\n" DELIVER "\r\n" OK,
		"AT+CMGD=1\r", OK,
		"AT+CMGR=1\r", "\r\n+CMS ERROR: 321\r\n",
		"AT+CMGD=9\r", "\r\n+CMS ERROR: 321\r\n",
	}},
	{"receive with a note", "generic", NULL, {
		"ATE0+CNMI=2,1\r", "ATE0+CNMI=2,1\r" OK,
		"+", "\r\n+CMTI: \"SM\",1\r\n",
		"AT+CMGR=1\r", "\r\n+CMGR: 0,," DELIVER_LEN "\r\n" DELIVER "\r\n" OK,
		"+", "\r\n+CMTI: \"SM\",2\r\n",
		"AT+CMGD=1,4\r", OK,
		"AT+CPMS?\r", "\r\n+CPMS: \"SM\",0,3,\"SM\",0,3,\"SM\",0,3\r\n" OK,
	}},
	{"a note waits for whoever is typing", "generic", NULL, {
		"ATE0+CNMI=2,1\r", "ATE0+CNMI=2,1\r" OK,
		"AT+C", "",
		"+", "",
		"SQ\r", "\r\n+CSQ: 20,99\r\n" OK "\r\n+CMTI: \"SM\",1\r\n",
		"AT+CMGS=18\r", "\r\n> ",
		"+", "",
		ESC, OK "\r\n+CMTI: \"SM\",2\r\n",
	}},
	{"receive straight to the terminal", "generic", NULL, {
		"ATE0+CSMS=1\r", "ATE0+CSMS=1\r\r\n+CSMS: 1,1,1\r\n" OK,
		"AT+CNMI=2,2,0,1,0\r", OK,
		"+", "\r\n+CMT: ," DELIVER_LEN "\r\n" DELIVER "\r\n",
		"AT+CNMA\r", OK,
		"AT+CMGL=4\r", OK,
	}},
	{"text mode", "generic", NULL, {
		"ATE0+CMGF=1\r", "ATE0+CMGF=1\r" OK,
		"AT+CMGS=\"+34600000002\"\r", "\r\n> ",
		"hello" CTRL_Z, "\r\n+CMGS: 0\r\n" OK,
		"+", "",
		"AT+CMGL=\"ALL\"\r", "\r\n+CMGL: 1,\"REC UNREAD\",\"+34600000009\",,\"26/11/22,15:00:00+00\"\r\nhi\r\n" OK,
		"AT+CSCS=\"UCS2\"\r", OK,
		"AT+CMGR=1\r", "\r\n+CMGR: \"REC READ\",\"002B00330034003600300030003000300030003000300039\",,"
			"\"26/11/22,15:00:00+00\"\r\n00680069\r\n" OK,
		"AT+CMGS=\"002B0033\"\r", "\r\n> ",
		"00E9" CTRL_Z, "\r\n+CMGS: 1\r\n" OK,
		/* a whole number: 48 characters */
		"AT+CMGS=\"002B00330034003600300030003000300030003000300032\",145\r", "\r\n> ",
		"00E9" CTRL_Z, "\r\n+CMGS: 2\r\n" OK,
	}},
	{"store, then send from store", "generic", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT+CMGW=18\r", "\r\n> ",
		SUBMIT CTRL_Z, "\r\n+CMGW: 1\r\n" OK,
		"AT+CMSS=1\r", "\r\n+CMSS: 0\r\n" OK,
		"AT+CMSS=2\r", "\r\n+CMS ERROR: 321\r\n",
		"AT+CMSS=1,\"+34600000009\",145\r", "\r\n+CMSS: 1\r\n" OK,
	}},
	{"switched off the air", "generic", NULL, {
		"ATE0+CFUN=4\r", "ATE0+CFUN=4\r" OK,
		"AT+CREG?\r", "\r\n+CREG: 0,0\r\n" OK,
		"AT+CMGS=18\r", "\r\n> ",
		SUBMIT CTRL_Z, "\r\n+CMS ERROR: 331\r\n",
		"AT+CFUN=1\r", OK,
		"AT+CREG?\r", "\r\n+CREG: 0,1\r\n" OK,
	}},
	{"the PUK sets the PIN anew", "generic", "1234", {
		"ATE0+CMEE=1\r", "ATE0+CMEE=1\r" OK,
		"AT+CPIN=\"0000\"\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN=\"0000\"\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN=\"0000\"\r", "\r\n+CME ERROR: 16\r\n",
		"AT+CPIN?\r", "\r\n+CPIN: SIM PUK\r\n" OK,
		"AT+CPIN=\"12345678\",\"4321\"\r", OK,
		"AT+CFUN=1,1\r", OK,
		"ATE0\r", "ATE0\r" OK,
		"AT+CPIN=\"1234\"\r", ERROR_,
		"AT+CPIN=\"4321\"\r", OK,
		"AT+CPIN?\r", "\r\n+CPIN: READY\r\n" OK,
	}},
	{"nobody answers calls", "generic", NULL, {
		"ATD+34600000002;\r", "ATD+34600000002;\r\r\nNO CARRIER\r\n",
	}},
	{"huawei: CREG without quotes", "huawei", NULL, {
		"ATE0+CREG=2;+CREG?\r", "ATE0+CREG=2;+CREG?\r\r\n+CREG: 2,1,00FF,00012345\r\n" OK,
	}},
	{"what libgammu tells a Huawei and a ZTE, and nobody else", "huawei", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT^CURC=0\r", OK,
		"AT+ZCDRUN=8\r", ERROR_,
	}},
	{"quectel: <bm> is only 0", "quectel", NULL, {
		"ATE0\r", "ATE0\r" OK,
		"AT+CNMI=2,1,2,0,0\r", "\r\n+CMS ERROR: 303\r\n",
		"AT+CNMI=2,1,0,0,0\r", OK,
		"AT+CPMS=\"MT\"\r", "\r\n+CPMS: 0,3,0,3,0,3\r\n" OK,
		"AT+CPMS=\"BM\"\r", "\r\n+CMS ERROR: 303\r\n",
	}},
	{"simcom: a reset, lines of its own, and no echo behind it", "simcom", NULL, {
		"AT+CMGF=1\r", "AT+CMGF=1\r" OK,
		"AT+CFUN=1,1\r", "AT+CFUN=1,1\r" OK "\r\nRDY\r\n\r\n+CFUN: 1\r\n\r\n+CPIN: READY\r\n\r\nCall Ready\r\n\r\nSMS Ready\r\n",
		"AT+CMGF?\r", "\r\n+CMGF: 0\r\n" OK,
	}},
};
/* clang-format on */

#endif
