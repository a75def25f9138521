/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages: sending with an outcome that can be believed, fetching, deleting. */
#include "hil/modems/worker_phone.h"

#include "hil/modems/worker_phone_int.h"

#include <stdlib.h>
#include <string.h>

#define PROMPT_LIMIT_MS  45000  /* libgammu waits 30 s for the prompt */
#define SIM_STORE_MAX    100000 /* flat locations: the modem's own store starts here */
#define SEPTETS_MAX      160    /* one message, 3GPP TS 23.040 §9.2.3.16 */
#define UCS2_MAX         70
#define MULTI_READ_MAX   1024   /* messages that one reading of the stores may give */

void phone_utf8(const unsigned char *from, char *out, size_t size)
{
	/* EncodeUTF8 writes up to 4 bytes a unit and knows no limit */
	static char wide[4 * (GSM_MAX_SMS_LENGTH + 1) + 1];
	size_t len;

	out[0] = '\0';
	if (!from || UnicodeLength(from) > GSM_MAX_SMS_LENGTH)
		return;
	memset(wide, 0, sizeof(wide));
	EncodeUTF8(wide, from);
	len = strlen(wide);
	if (len >= size) {
		len = size - 1;
		while (len && ((unsigned char)wide[len] & 0xc0) == 0x80)
			len--;
	}
	memcpy(out, wide, len);
	out[len] = '\0';
}

/* ---- sending ---- */

void phone_seen_error(struct phone *p, const char *text)
{
	const char *at;

	if (!p->sending)
		return;
	at = strstr(text, "+CMS ERROR:");
	if (at) {
		p->error_seen = SEEN_CMS;
		p->error_code = atoi(at + 11);
		return;
	}
	at = strstr(text, "+CME ERROR:");
	if (at) {
		p->error_seen = SEEN_CME;
		p->error_code = atoi(at + 11);
	} else if (strstr(text, "\"ERROR\"")) {
		p->error_seen = SEEN_ERROR;
	}
}

void phone_on_status(GSM_StateMachine *s, int status, int ref, void *ctx)
{
	struct phone *p = ctx;

	(void)s;
	if (!p->sending) {
		/* the OK of another command, taken for an SMS that never got its answer */
		phone_log(p, "warning", "a send result outside of any send is ignored (status %d)", status);
		return;
	}
	/* an error at the prompt is told here and returned by GSM_SendSMS: the first counts */
	if (p->got_status)
		return;
	p->got_status = true;
	p->status = status;
	p->ref = ref;
}

/* 7-bit default alphabet (3GPP TS 23.038 §6.2.1) as far as it is ASCII; -1 where a
 * character needs UCS-2. */
static int septets(const char *text)
{
	int n = 0;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x7f || c == '`' || (c < 0x20 && c != '\n' && c != '\r'))
			return -1;
		n += strchr("[]{}^~|\\", c) ? 2 : 1;
	}
	return n;
}

static enum phone_result refuse(struct phone_sent *out, const char *phase, const char *why)
{
	out->phase = phase;
	snprintf(out->why, sizeof(out->why), "%s", why);
	return PHONE_FAILED;
}

/* Fills `sms`; false where the message does not fit into one. */
static bool compose(struct phone *p, const char *to, const char *text, GSM_SMSMessage *sms)
{
	int n = septets(text);
	size_t len = strlen(text);

	memset(sms, 0, sizeof(*sms));
	GSM_SetDefaultSMSData(sms);
	sms->PDU = SMS_Submit;
	sms->UDH.Type = UDH_NoUDH;
	sms->Class = -1;
	sms->State = SMS_UnSent;
	sms->SMSC.Validity.Format = SMS_Validity_RelativeFormat;
	sms->SMSC.Validity.Relative = SMS_VALID_1_Hour;
	if (p->info.smsc[0]) {
		/* given here it is not asked for before each message */
		sms->SMSC.Location = 0;
		DecodeUTF8(sms->SMSC.Number, p->info.smsc, strlen(p->info.smsc));
	} else {
		sms->SMSC.Location = 1;
	}
	/* DecodeUTF8 knows no limit: a unit a byte at most must fit into `Text` */
	if (n > SEPTETS_MAX || len > GSM_MAX_SMS_LENGTH || strlen(to) > 30)
		return false;
	DecodeUTF8(sms->Number, to, strlen(to));
	DecodeUTF8(sms->Text, text, len);
	sms->Length = (int)UnicodeLength(sms->Text);
	sms->Coding = n >= 0 ? SMS_Coding_Default_No_Compression : SMS_Coding_Unicode_No_Compression;
	return n >= 0 || sms->Length <= UCS2_MAX;
}

/* The callback came: what does it say? */
static enum phone_result judge_status(struct phone *p, const char *phase, struct phone_sent *out)
{
	p->sending = false;
	out->phase = phase;
	out->answered = true;
	if (p->status == 0 && p->ref >= 0) {
		out->ref = p->ref;
		return PHONE_OK;
	}
	if (p->status == 0) {
		snprintf(out->why, sizeof(out->why), "OK without +CMGS: nobody knows");
		return PHONE_UNKNOWN;
	}
	if (p->error_seen == SEEN_CME)
		out->cme = p->error_code;
	else if (p->status > 0)
		out->cms = p->status;
	if (p->status < 0 && p->error_seen == SEEN_NOTHING && strcmp(phase, "prompt") != 0) {
		snprintf(out->why, sizeof(out->why), "an answer that is neither OK nor ERROR");
		return PHONE_UNKNOWN;
	}
	snprintf(out->why, sizeof(out->why), "%s", p->status < 0 ? "ERROR" : "refused");
	return PHONE_FAILED;
}

enum phone_result phone_send(struct phone *p, const char *to, const char *text, struct phone_sent *out)
{
	GSM_SMSMessage sms;
	GSM_Error error;
	bool aborted;

	memset(out, 0, sizeof(*out));
	out->ref = out->cms = out->cme = -1;
	if (!compose(p, to, text, &sms))
		return refuse(out, "text", "does not fit into one message");
	p->got_status = false;
	p->error_seen = SEEN_NOTHING;
	p->sending = true;
	phone_enter(p, PROMPT_LIMIT_MS);
	error = GSM_SendSMS(p->s, &sms);
	aborted = phone_leave(p);
	explicit_bzero(&sms, sizeof(sms));
	if (p->got_status)
		return judge_status(p, error == ERR_NONE ? "pdu" : "prompt", out);
	if (error == ERR_NONE && !aborted) {
		/* the PDU is written; the result comes by callback */
		p->send_until = phone_now_ms() + p->cfg->send_timeout_ms;
		return PHONE_PENDING;
	}
	p->sending = false;
	snprintf(out->why, sizeof(out->why), "%s", GSM_ErrorString(error == ERR_NONE ? ERR_ABORTED : error));
	/* a write that failed may have been the PDU's */
	if (error == ERR_NONE || error == ERR_DEVICEWRITEERROR) {
		out->phase = "pdu";
		return PHONE_UNKNOWN;
	}
	out->phase = "prompt";
	return PHONE_FAILED;
}

enum phone_result phone_turn(struct phone *p, struct phone_sent *out)
{
	memset(out, 0, sizeof(*out));
	out->ref = out->cms = out->cme = -1;
	GSM_ReadDevice(p->s, FALSE);
	if (!p->sending)
		return PHONE_OK;
	if (p->got_status)
		return judge_status(p, "pdu", out);
	if (phone_now_ms() < p->send_until)
		return PHONE_PENDING;
	/* whatever answer comes now may be another command's */
	p->sending = false;
	out->phase = "pdu";
	snprintf(out->why, sizeof(out->why), "no result within %u ms", p->cfg->send_timeout_ms);
	return PHONE_UNKNOWN;
}

bool phone_sending(const struct phone *p)
{
	return p->sending;
}

/* ---- receiving ---- */

static uint64_t digest(const GSM_SMSMessage *sms)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	const unsigned char *parts[] = {sms->Number, sms->Text};
	const GSM_DateTime *t = &sms->DateTime;
	int when[] = {t->Year, t->Month, t->Day, t->Hour, t->Minute, t->Second};

	for (int i = 0; i < 2; i++) {
		size_t n = 2 * (size_t)UnicodeLength(parts[i]);

		for (size_t k = 0; k < n; k++)
			h = (h ^ parts[i][k]) * UINT64_C(0x100000001b3);
	}
	for (int i = 0; i < 6; i++)
		h = (h ^ (unsigned)when[i]) * UINT64_C(0x100000001b3);
	return h;
}

static bool seen_at(const struct phone *p, int loc)
{
	for (unsigned i = 0; i < p->seen_count; i++)
		if (p->seen[i].loc == loc)
			return true;
	return false;
}

static void seen_drop(struct phone *p, int loc)
{
	for (unsigned i = 0; i < p->seen_count; i++)
		if (p->seen[i].loc == loc) {
			p->seen[i] = p->seen[--p->seen_count];
			return;
		}
}

/* Was this SMS handed over already? Notes it, else. */
static bool seen_already(struct phone *p, int loc, const GSM_SMSMessage *sms)
{
	uint64_t d = digest(sms);

	for (unsigned i = 0; i < p->seen_count; i++)
		if (p->seen[i].loc == loc && p->seen[i].digest == d)
			return true;
	seen_drop(p, loc);
	if (p->seen_count == PHONE_SEEN_MAX)
		memmove(p->seen, p->seen + 1, --p->seen_count * sizeof(p->seen[0]));
	p->seen[p->seen_count++] = (struct seen_sms){loc, d};
	return false;
}

static void hand_over(struct phone *p, int loc, const GSM_SMSMessage *sms)
{
	struct phone_sms out;
	const GSM_DateTime *t = &sms->DateTime;

	memset(&out, 0, sizeof(out));
	out.loc = loc;
	out.is_report = sms->PDU == SMS_Status_Report;
	out.ref = sms->MessageReference;
	out.status = sms->DeliveryStatus;
	phone_utf8(sms->Number, out.from, sizeof(out.from));
	phone_utf8(sms->Text, out.text, sizeof(out.text));
	if (t->Year)
		snprintf(out.smsc_time, sizeof(out.smsc_time), "%04d-%02d-%02dT%02d:%02d:%02d%+03d:%02d", t->Year,
			 t->Month, t->Day, t->Hour, t->Minute, t->Second, t->Timezone / 3600,
			 abs(t->Timezone) / 60 % 60);
	p->sms(p->ctx, &out);
	explicit_bzero(&out, sizeof(out));
}

void phone_on_sms(GSM_StateMachine *s, GSM_SMSMessage *sms, void *ctx)
{
	struct phone *p = ctx;
	int loc;

	(void)s;
	/* +CMT: the message itself, which stands nowhere */
	if (sms->PDU == SMS_Deliver) {
		hand_over(p, PHONE_LOC_NONE, sms);
		return;
	}
	/* +CMTI: only its place. No command may be sent from here: fetch it later */
	loc = sms->Location + (sms->Folder > 2 ? SIM_STORE_MAX : 0);
	for (unsigned i = 0; i < p->news_count; i++)
		if (p->news[i] == loc)
			return;
	if (p->news_count == PHONE_NEWS_MAX)
		p->news_lost = true;
	else
		p->news[p->news_count++] = loc;
}

static GSM_MultiSMSMessage *scratch(struct phone *p)
{
	if (!p->scratch)
		p->scratch = malloc(sizeof(*p->scratch));
	if (p->scratch)
		memset(p->scratch, 0, sizeof(*p->scratch));
	return p->scratch;
}

/* An error after which the connection is worth nothing. */
static bool is_dead(GSM_Error error)
{
	return error == ERR_TIMEOUT || error == ERR_ABORTED || error == ERR_DEVICEWRITEERROR ||
	       error == ERR_DEVICEREADERROR || error == ERR_NOTCONNECTED;
}

static enum phone_result fetch_one(struct phone *p, int loc)
{
	GSM_MultiSMSMessage *m = scratch(p);
	GSM_Error error;

	if (!m)
		return PHONE_FAILED;
	m->Number = 1;
	m->SMS[0].Folder = 0;
	m->SMS[0].Location = loc;
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_GetSMS(p->s, m);
	if (phone_leave(p))
		error = ERR_ABORTED;
	if (error == ERR_NONE && m->Number > 0) {
		if (!seen_already(p, loc, &m->SMS[0]))
			hand_over(p, loc, &m->SMS[0]);
	} else {
		/* announced twice, deleted meanwhile, or a dangling +CMTI */
		phone_log(p, "info", "no SMS at the announced place %d: %s", loc, GSM_ErrorString(error));
	}
	return is_dead(error) ? PHONE_FAILED : PHONE_OK;
}

enum phone_result phone_fetch(struct phone *p)
{
	while (p->news_count) {
		int loc = p->news[0];
		enum phone_result rv;

		memmove(p->news, p->news + 1, --p->news_count * sizeof(p->news[0]));
		rv = fetch_one(p, loc);
		if (rv != PHONE_OK) {
			p->news_lost = true;
			return rv;
		}
	}
	if (p->news_lost)
		return phone_poll(p);
	return PHONE_OK;
}

bool phone_has_news(const struct phone *p)
{
	return p->news_count || p->news_lost;
}

enum phone_result phone_poll(struct phone *p)
{
	GSM_SMSMemoryStatus st;
	GSM_MultiSMSMessage *m = scratch(p);
	GSM_Error error;
	gboolean start = TRUE;

	if (!m)
		return PHONE_FAILED;
	memset(&st, 0, sizeof(st));
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_GetSMSStatus(p->s, &st);
	if (error == ERR_NONE && st.SIMUsed + st.PhoneUsed == 0) {
		p->seen_count = 0;
		p->news_lost = false;
		phone_leave(p);
		return PHONE_OK;
	}
	for (int n = 0; n < MULTI_READ_MAX && !is_dead(error); n++) {
		memset(m, 0, sizeof(*m));
		error = GSM_GetNextSMS(p->s, m, start);
		if (error != ERR_NONE)
			break;
		start = FALSE;
		/* our own stored SMS-SUBMITs are nobody's mail */
		if (m->Number > 0 && m->SMS[0].PDU != SMS_Submit && !seen_already(p, m->SMS[0].Location, &m->SMS[0]))
			hand_over(p, m->SMS[0].Location, &m->SMS[0]);
	}
	if (phone_leave(p))
		error = ERR_ABORTED;
	if (is_dead(error))
		return PHONE_FAILED;
	p->news_lost = false;
	return PHONE_OK;
}

enum phone_result phone_delete(struct phone *p, int loc, char *why, size_t size)
{
	GSM_SMSMessage sms;
	GSM_Error error;

	/* asked for twice, or across a reopening: somebody else's may stand there by now */
	if (!seen_at(p, loc)) {
		snprintf(why, size, "no SMS was handed over from there");
		return PHONE_UNKNOWN;
	}
	memset(&sms, 0, sizeof(sms));
	sms.Folder = 0;
	sms.Location = loc;
	phone_enter(p, PHONE_CALL_LIMIT_MS);
	error = GSM_DeleteSMS(p->s, &sms);
	if (phone_leave(p))
		error = ERR_ABORTED;
	if (error == ERR_NONE || error == ERR_EMPTY) {
		seen_drop(p, loc);
		return PHONE_OK;
	}
	snprintf(why, size, "%s", GSM_ErrorString(error));
	return is_dead(error) ? PHONE_FAILED : PHONE_UNKNOWN;
}
