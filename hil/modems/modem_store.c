/* The SIM's message store and the text mode view of it. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/err.h"
#include "hil/modems/gsm7.h"
#include "hil/modems/modem_int.h"

unsigned emu_store_used(const struct modem_core *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->setup.storage; i++)
		n += m->store[i].used;
	return n;
}

bool emu_store_full(const struct modem_core *m)
{
	return m->full_until > m->now || emu_store_used(m) == m->setup.storage;
}

unsigned emu_store_add(struct modem_core *m, int stat, const struct pdu *p)
{
	if (m->full_until > m->now)
		return 0;
	for (unsigned i = 0; i < m->setup.storage; i++) {
		struct stored *s = &m->store[i];

		if (s->used)
			continue;
		s->used = true;
		s->stat = stat;
		s->pdu = *p;
		return i + 1;
	}
	return 0;
}

struct stored *emu_store_get(struct modem_core *m, int index)
{
	struct stored *s;

	if (index < 1 || (unsigned)index > m->setup.storage)
		return NULL;
	s = &m->store[index - 1];
	return s->used ? s : NULL;
}

const char *emu_stat_text(int stat)
{
	static const char *const names[] = {"REC UNREAD", "REC READ", "STO UNSENT", "STO SENT", "ALL"};

	return stat >= MESSAGE_UNREAD && stat <= MESSAGE_ALL ? names[stat] : "";
}

/* Text as the terminal's character set has it (AT+CSCS) from UTF-8. */
static void to_terminal(const struct modem_core *m, const char *text, char *out, size_t size)
{
	uint8_t units[4 * PDU_TEXT_MAX];
	int n;

	out[0] = '\0';
	if (strcmp(m->cscs, "UCS2") != 0) {
		snprintf(out, size, "%s", text);
		return;
	}
	n = ucs2_from_utf8(text, units, sizeof(units));
	for (int i = 0; i < n && (size_t)(2 * i + 3) <= size; i++)
		sprintf(out + 2 * i, "%02X", units[i]);
}

/* And back: hex of UCS2 to UTF-8, everything else as it stands. */
static int from_terminal(const struct modem_core *m, const char *text, char *out, size_t size)
{
	uint8_t units[AT_LINE_MAX / 2];
	size_t n = strlen(text) / 2;

	if (strcmp(m->cscs, "UCS2") != 0) {
		if (strlen(text) >= size)
			return ERR_LIMIT;
		strcpy(out, text);
		return 0;
	}
	if (strlen(text) % 4 || n > sizeof(units))
		return ERR_PARSE;
	for (size_t i = 0; i < n; i++) {
		unsigned v;

		if (!isxdigit((unsigned char)text[2 * i]) || !isxdigit((unsigned char)text[2 * i + 1]) ||
		    sscanf(text + 2 * i, "%2x", &v) != 1)
			return ERR_PARSE;
		units[i] = (uint8_t)v;
	}
	ucs2_to_utf8(units, n, out, size);
	return 0;
}

int emu_address_from_text(const struct modem_core *m, const char *to, struct pdu_address *out)
{
	char number[4 * PDU_ADDRESS_MAX];
	int rv = from_terminal(m, to, number, sizeof(number));

	if (rv == 0)
		pdu_set_address(number, out);
	return rv;
}

int emu_submit_from_text(const struct modem_core *m, const char *to, const char *text, struct pdu_submit *out)
{
	char utf8[AT_LINE_MAX + 1];

	memset(out, 0, sizeof(*out));
	if (emu_address_from_text(m, to, &out->to) || from_terminal(m, text, utf8, sizeof(utf8)))
		return ERR_PARSE;
	out->report = m->csmp[0] & 0x20; /* <fo>, 27.005 §3.1 */
	out->pid = (uint8_t)m->csmp[2];
	return pdu_set_text(utf8, &out->ud);
}

static void stamp(int64_t unix_s, char out[32])
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	out[0] = '\0';
	if (gmtime_r(&t, &tm))
		strftime(out, 32, "%y/%m/%d,%H:%M:%S+00", &tm);
}

void emu_show_text(struct modem_core *m, const char *what, int index, const struct stored *s)
{
	char head[32] = "", text[PDU_TEXT_MAX], shown[4 * PDU_TEXT_MAX], who[4 * PDU_ADDRESS_MAX], when[32],
	     done[32];
	struct pdu_deliver d;
	struct pdu_submit out;
	struct pdu_report r;

	if (index)
		snprintf(head, sizeof(head), "%d,", index);
	if (s->stat <= MESSAGE_READ && pdu_deliver_decode(&s->pdu, &d) == 0) {
		to_terminal(m, d.from.text, who, sizeof(who));
		stamp(d.scts_unix_s, when);
		emu_line(m, "%s: %s\"%s\",\"%s\",,\"%s\"", what, head, emu_stat_text(s->stat), who, when);
		pdu_text(&d.ud, text);
	} else if (s->stat <= MESSAGE_READ && pdu_report_decode(&s->pdu, &r) == 0) {
		stamp(r.scts_unix_s, when);
		stamp(r.done_unix_s, done);
		emu_line(m, "%s: %s\"%s\",6,%u,\"%s\",%u,\"%s\",\"%s\",%u", what, head,
			 emu_stat_text(s->stat), r.reference, r.to.text, r.to.type, when, done, r.status);
		return;
	} else if (pdu_submit_decode(&s->pdu, &out) == 0) {
		to_terminal(m, out.to.text, who, sizeof(who));
		emu_line(m, "%s: %s\"%s\",\"%s\",", what, head, emu_stat_text(s->stat), who);
		pdu_text(&out.ud, text);
	} else {
		emu_line(m, "%s: %s\"%s\",\"\",", what, head, emu_stat_text(s->stat));
		text[0] = '\0';
	}
	to_terminal(m, text, shown, sizeof(shown));
	buf_printf(&m->out, "%s\r\n", shown);
}
