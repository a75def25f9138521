#include "hil/modems/pdu.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "hil/modems/gsm7.h"

/* TP-MTI and flags of the first octet, 23.040 §9.2.3 */
#define MTI_MASK    0x03
#define MTI_DELIVER 0x00
#define MTI_SUBMIT  0x01
#define MTI_REPORT  0x02
#define SUBMIT_RD   0x04
#define DELIVER_MMS 0x04 /* set: no more messages wait */
#define FLAG_REPORT 0x20 /* TP-SRR, TP-SRI */
#define FLAG_UDHI   0x40
#define FLAG_RP	    0x80

#define TON_MASK	  0x70
#define TON_INTERNATIONAL 0x10
#define TON_ALPHANUMERIC  0x50
#define DIGITS_MAX	  20
#define ALPHA_MAX	  11

static const char semi_octets[] = "0123456789*#abc";

struct reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static uint8_t take(struct reader *r)
{
	if (!r->left) {
		r->bad = true;
		return 0;
	}
	r->left--;
	return *r->p++;
}

static const uint8_t *take_n(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->left < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

static void digits_decode(const uint8_t *p, size_t n, bool plus, char *out)
{
	size_t len = 0;

	if (plus)
		out[len++] = '+';
	for (size_t i = 0; i < n; i++) {
		unsigned d = i % 2 ? p[i / 2] >> 4 : p[i / 2] & 0x0f;

		if (d == 0x0f)
			break;
		out[len++] = semi_octets[d];
	}
	out[len] = '\0';
}

/* TP-DA, TP-OA, TP-RA: length in useful semi-octets, type, value (§9.1.2.5). */
static void address_decode(struct reader *r, struct pdu_address *out)
{
	uint8_t n = take(r);
	const uint8_t *p;

	out->type = take(r);
	out->text[0] = '\0';
	if (n > DIGITS_MAX) {
		r->bad = true;
		return;
	}
	p = take_n(r, (n + 1u) / 2);
	if (!p)
		return;
	if ((out->type & TON_MASK) == TON_ALPHANUMERIC) {
		uint8_t padded[DIGITS_MAX / 2 + 1] = {0}, septets[ALPHA_MAX + 1];
		size_t chars = n * 4u / 7;

		memcpy(padded, p, (n + 1u) / 2);
		gsm7_unpack(padded, chars, 0, septets);
		gsm7_to_utf8(septets, chars, out->text, sizeof(out->text));
		return;
	}
	digits_decode(p, n, (out->type & TON_MASK) == TON_INTERNATIONAL, out->text);
}

static uint8_t digit_of(char c)
{
	const char *at = c ? strchr(semi_octets, c) : NULL;

	return at ? (uint8_t)(at - semi_octets) : 0x0f;
}

/* Packed digits of `text` without its '+'; returns their number. */
static size_t digits_encode(const char *text, uint8_t *out)
{
	size_t n = 0;

	if (*text == '+')
		text++;
	memset(out, 0xff, DIGITS_MAX / 2);
	for (; *text && n < DIGITS_MAX; text++) {
		uint8_t d = digit_of(*text);

		if (d == 0x0f)
			continue;
		if (n % 2)
			out[n / 2] = (uint8_t)((out[n / 2] & 0x0f) | d << 4);
		else
			out[n / 2] = 0xf0 | d;
		n++;
	}
	return n;
}

static void add(struct pdu *p, const void *data, size_t len)
{
	assert(p->len + len <= sizeof(p->octets));
	memcpy(p->octets + p->len, data, len);
	p->len += len;
}

static void add1(struct pdu *p, uint8_t octet)
{
	add(p, &octet, 1);
}

static void address_encode(struct pdu *p, const struct pdu_address *a)
{
	uint8_t value[DIGITS_MAX / 2 + 2];
	size_t n;

	if ((a->type & TON_MASK) == TON_ALPHANUMERIC) {
		uint8_t septets[ALPHA_MAX];
		int chars = gsm7_from_utf8(a->text, septets, ALPHA_MAX);

		if (chars < 0)
			chars = 0;
		gsm7_pack(septets, (size_t)chars, 0, value);
		n = ((size_t)chars * 7 + 3) / 4;
	} else {
		n = digits_encode(a->text, value);
	}
	add1(p, (uint8_t)n);
	add1(p, a->type);
	add(p, value, (n + 1) / 2);
}

/* The SCA in front of a TPDU counts octets, type included (27.005 §3.1, 24.011). */
static void smsc_encode(struct pdu *p, const struct pdu_address *a)
{
	uint8_t value[DIGITS_MAX / 2];
	size_t n;

	p->len = 0;
	if (!a->text[0]) {
		add1(p, 0);
		return;
	}
	n = digits_encode(a->text, value);
	add1(p, (uint8_t)(1 + (n + 1) / 2));
	add1(p, a->type);
	add(p, value, (n + 1) / 2);
}

/* Steps over the SCA; `r` is left at the TPDU. */
static void smsc_decode(const struct pdu *p, struct reader *r, struct pdu_address *out)
{
	size_t sca = p->tpdu > p->len ? 0 : p->len - p->tpdu;

	memset(out, 0, sizeof(*out));
	r->p = p->octets + sca;
	r->bad = p->tpdu > p->len;
	r->left = r->bad ? 0 : p->tpdu;
	if (r->bad || sca < 3)
		return;
	out->type = p->octets[1];
	if ((sca - 2) * 2 > DIGITS_MAX)
		return;
	digits_decode(p->octets + 2, (sca - 2) * 2, (out->type & TON_MASK) == TON_INTERNATIONAL, out->text);
}

static uint8_t swapped(int v)
{
	return (uint8_t)((v % 10) << 4 | v / 10 % 10);
}

static unsigned unswapped(uint8_t v)
{
	return (v & 0x0f) * 10u + (v >> 4);
}

/* TP-SCTS and TP-DT, §9.2.3.11, always with time zone 0. */
static void time_encode(struct pdu *p, int64_t unix_s)
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	add1(p, swapped(tm.tm_year % 100));
	add1(p, swapped(tm.tm_mon + 1));
	add1(p, swapped(tm.tm_mday));
	add1(p, swapped(tm.tm_hour));
	add1(p, swapped(tm.tm_min));
	add1(p, swapped(tm.tm_sec));
	add1(p, 0);
}

static int64_t time_decode(struct reader *r)
{
	const uint8_t *p = take_n(r, 7);
	struct tm tm = {0};
	int quarters;

	if (!p)
		return 0;
	tm.tm_year = (int)unswapped(p[0]);
	tm.tm_year += tm.tm_year < 70 ? 100 : 0;
	tm.tm_mon = (int)unswapped(p[1]) - 1;
	tm.tm_mday = (int)unswapped(p[2]);
	tm.tm_hour = (int)unswapped(p[3]);
	tm.tm_min = (int)unswapped(p[4]);
	tm.tm_sec = (int)unswapped(p[5]);
	quarters = (int)unswapped(p[6] & 0xf7); /* bit 3 is the sign */
	if (p[6] & 0x08)
		quarters = -quarters;
	return (int64_t)timegm(&tm) - quarters * 900;
}

/* §9.2.3.12.1 */
static uint32_t relative_s(uint8_t v)
{
	if (v < 144)
		return (v + 1u) * 300;
	if (v < 168)
		return 43200 + (v - 143u) * 1800;
	if (v < 197)
		return (v - 166u) * 86400;
	return (v - 192u) * 604800;
}

/* §9.2.3.12.3 */
static void enhanced_decode(const uint8_t *p, struct pdu_submit *out)
{
	unsigned i = 1;

	if (p[0] & 0x80) /* another functionality indicator octet follows */
		i = 2;
	switch (p[0] & 0x07) {
	case 1:
		out->valid_s = relative_s(p[i]);
		break;
	case 2:
		out->valid_s = p[i];
		break;
	case 3:
		out->valid_s = unswapped(p[i]) * 3600 + unswapped(p[i + 1]) * 60 + unswapped(p[i + 2]);
		break;
	default:
		break;
	}
}

static void validity_decode(struct reader *r, struct pdu_submit *out)
{
	const uint8_t *p;

	switch (out->vp) {
	case PDU_VP_NONE:
		break;
	case PDU_VP_RELATIVE:
		out->valid_s = relative_s(take(r));
		break;
	case PDU_VP_ENHANCED:
		p = take_n(r, 7);
		if (p)
			enhanced_decode(p, out);
		break;
	case PDU_VP_ABSOLUTE:
		out->valid_unix_s = time_decode(r);
		break;
	}
}

enum pdu_alphabet pdu_alphabet(uint8_t dcs)
{
	unsigned group = dcs >> 4;

	if (group < 8) { /* general and automatic deletion */
		if (dcs & 0x20)
			return PDU_8BIT; /* compressed: nobody reads it */
		return (dcs & 0x0c) == 0x04 ? PDU_8BIT : (dcs & 0x0c) == 0x08 ? PDU_UCS2 : PDU_GSM7;
	}
	if (group == 0x0e)
		return PDU_UCS2;
	if (group == 0x0f)
		return dcs & 0x04 ? PDU_8BIT : PDU_GSM7;
	return PDU_GSM7;
}

int pdu_class(uint8_t dcs)
{
	unsigned group = dcs >> 4;

	if ((group < 8 && (dcs & 0x10)) || group == 0x0f)
		return dcs & 0x03;
	return -1;
}

/* Length octet and user data, to the unit's end. */
static void user_data_decode(struct reader *r, struct pdu_user_data *ud)
{
	bool septets = pdu_alphabet(ud->dcs) == PDU_GSM7;
	const uint8_t *p;
	size_t len;

	ud->udl = take(r);
	len = septets ? (ud->udl * 7u + 7) / 8 : ud->udl;
	if (len > PDU_UD_MAX || len != r->left) {
		r->bad = true;
		return;
	}
	p = take_n(r, len);
	if (!p)
		return;
	if (ud->header && (!len || p[0] + 1u > len)) {
		r->bad = true;
		return;
	}
	ud->len = (uint8_t)len;
	memcpy(ud->octets, p, len);
}

static void user_data_encode(struct pdu *p, const struct pdu_user_data *ud)
{
	add1(p, ud->udl);
	add(p, ud->octets, ud->len);
}

int pdu_submit_decode(const struct pdu *p, struct pdu_submit *out)
{
	struct reader r;
	uint8_t first;

	memset(out, 0, sizeof(*out));
	smsc_decode(p, &r, &out->smsc);
	first = take(&r);
	if ((first & MTI_MASK) != MTI_SUBMIT)
		return ERR_PARSE;
	out->reject_duplicates = first & SUBMIT_RD;
	out->report = first & FLAG_REPORT;
	out->reply_path = first & FLAG_RP;
	out->vp = (enum pdu_vp)(first >> 3 & 3);
	out->reference = take(&r);
	address_decode(&r, &out->to);
	out->pid = take(&r);
	out->ud.dcs = take(&r);
	out->ud.header = first & FLAG_UDHI;
	validity_decode(&r, out);
	user_data_decode(&r, &out->ud);
	return r.bad ? ERR_PARSE : 0;
}

int pdu_deliver_decode(const struct pdu *p, struct pdu_deliver *out)
{
	struct reader r;
	uint8_t first;

	memset(out, 0, sizeof(*out));
	smsc_decode(p, &r, &out->smsc);
	first = take(&r);
	if ((first & MTI_MASK) != MTI_DELIVER)
		return ERR_PARSE;
	out->more = !(first & DELIVER_MMS);
	out->report = first & FLAG_REPORT;
	out->reply_path = first & FLAG_RP;
	address_decode(&r, &out->from);
	out->pid = take(&r);
	out->ud.dcs = take(&r);
	out->ud.header = first & FLAG_UDHI;
	out->scts_unix_s = time_decode(&r);
	user_data_decode(&r, &out->ud);
	return r.bad ? ERR_PARSE : 0;
}

int pdu_report_decode(const struct pdu *p, struct pdu_report *out)
{
	struct reader r;

	memset(out, 0, sizeof(*out));
	smsc_decode(p, &r, &out->smsc);
	if ((take(&r) & MTI_MASK) != MTI_REPORT)
		return ERR_PARSE;
	out->reference = take(&r);
	address_decode(&r, &out->to);
	out->scts_unix_s = time_decode(&r);
	out->done_unix_s = time_decode(&r);
	out->status = take(&r);
	return r.bad ? ERR_PARSE : 0;
}

void pdu_submit_encode(const struct pdu_submit *in, struct pdu *out)
{
	size_t sca;

	smsc_encode(out, &in->smsc);
	sca = out->len;
	add1(out,
	     (uint8_t)(MTI_SUBMIT | (in->reject_duplicates ? SUBMIT_RD : 0) | (in->report ? FLAG_REPORT : 0) |
		       (in->ud.header ? FLAG_UDHI : 0) | (in->reply_path ? FLAG_RP : 0)));
	add1(out, in->reference);
	address_encode(out, &in->to);
	add1(out, in->pid);
	add1(out, in->ud.dcs);
	user_data_encode(out, &in->ud);
	out->tpdu = out->len - sca;
}

void pdu_deliver_encode(const struct pdu_deliver *in, struct pdu *out)
{
	size_t sca;

	smsc_encode(out, &in->smsc);
	sca = out->len;
	add1(out, (uint8_t)(MTI_DELIVER | (in->more ? 0 : DELIVER_MMS) | (in->report ? FLAG_REPORT : 0) |
			    (in->ud.header ? FLAG_UDHI : 0) | (in->reply_path ? FLAG_RP : 0)));
	address_encode(out, &in->from);
	add1(out, in->pid);
	add1(out, in->ud.dcs);
	time_encode(out, in->scts_unix_s);
	user_data_encode(out, &in->ud);
	out->tpdu = out->len - sca;
}

void pdu_report_encode(const struct pdu_report *in, struct pdu *out)
{
	size_t sca;

	smsc_encode(out, &in->smsc);
	sca = out->len;
	add1(out, MTI_REPORT | DELIVER_MMS);
	add1(out, in->reference);
	address_encode(out, &in->to);
	time_encode(out, in->scts_unix_s);
	time_encode(out, in->done_unix_s);
	add1(out, in->status);
	out->tpdu = out->len - sca;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int pdu_from_hex(const char *hex, size_t len, size_t tpdu, struct pdu *out)
{
	if (len % 2)
		return ERR_PARSE;
	if (len / 2 > PDU_OCTETS_MAX)
		return ERR_LIMIT;
	out->len = len / 2;
	for (size_t i = 0; i < out->len; i++) {
		int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_PARSE;
		out->octets[i] = (uint8_t)(high << 4 | low);
	}
	out->tpdu = tpdu;
	if (!tpdu || tpdu > out->len) /* else the sum below might wrap */
		return ERR_LIMIT;
	if (out->len != tpdu && out->len != 1 + out->octets[0] + tpdu)
		return ERR_LIMIT;
	return 0;
}

void pdu_to_hex(const struct pdu *p, char *out)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < p->len; i++) {
		*out++ = digits[p->octets[i] >> 4];
		*out++ = digits[p->octets[i] & 0x0f];
	}
	*out = '\0';
}

char *pdu_text(const struct pdu_user_data *ud, char *out)
{
	size_t head = ud->header && ud->len ? ud->octets[0] + 1u : 0;
	uint8_t padded[PDU_UD_MAX + 1] = {0}, septets[PDU_SEPTETS_MAX];
	size_t skip, n;

	out[0] = '\0';
	if (head > ud->len)
		return out;
	switch (pdu_alphabet(ud->dcs)) {
	case PDU_8BIT:
		latin1_to_utf8(ud->octets + head, ud->len - head, out, PDU_TEXT_MAX);
		break;
	case PDU_UCS2:
		ucs2_to_utf8(ud->octets + head, ud->len - head, out, PDU_TEXT_MAX);
		break;
	case PDU_GSM7:
		skip = (head * 8 + 6) / 7;
		if (ud->udl <= skip || ud->udl > PDU_SEPTETS_MAX)
			break;
		n = ud->udl - skip;
		memcpy(padded, ud->octets, ud->len);
		gsm7_unpack(padded, n, skip, septets);
		gsm7_to_utf8(septets, n, out, PDU_TEXT_MAX);
		break;
	}
	return out;
}

int pdu_set_text(const char *text, struct pdu_user_data *ud)
{
	uint8_t septets[PDU_SEPTETS_MAX];
	int n = gsm7_from_utf8(text, septets, sizeof(septets));

	memset(ud, 0, sizeof(*ud));
	if (n >= 0) {
		ud->udl = (uint8_t)n;
		ud->len = (uint8_t)gsm7_pack(septets, (size_t)n, 0, ud->octets);
		return 0;
	}
	if (n != ERR_UNSUPPORTED)
		return n;
	n = ucs2_from_utf8(text, ud->octets, PDU_UD_MAX);
	if (n < 0)
		return n;
	ud->dcs = 0x08;
	ud->udl = ud->len = (uint8_t)n;
	return 0;
}

void pdu_set_address(const char *text, struct pdu_address *out)
{
	const char *digits = text + (text[0] == '+');
	size_t n = strspn(digits, "0123456789*#");
	size_t size = sizeof(out->text) - 1;

	if (n && !digits[n]) {
		out->type = text[0] == '+' ? PDU_TOA_INTERNATIONAL : PDU_TOA_UNKNOWN;
		size = DIGITS_MAX + (text[0] == '+');
	} else {
		uint8_t septets[ALPHA_MAX];
		char cut[4 * ALPHA_MAX + 1];
		size_t len = strnlen(text, sizeof(cut) - 1);

		/* drop characters from the end until it fits and is in the alphabet */
		memcpy(cut, text, len);
		cut[len] = '\0';
		while (len && gsm7_from_utf8(cut, septets, ALPHA_MAX) < 0)
			cut[--len] = '\0';
		out->type = PDU_TOA_ALPHANUMERIC;
		gsm7_to_utf8(septets, len ? (size_t)gsm7_from_utf8(cut, septets, ALPHA_MAX) : 0, out->text,
			     sizeof(out->text));
		return;
	}
	out->text[0] = '\0';
	strncat(out->text, text, size);
}
