#include "hil/modems/modem_core.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "hil/modems/modem_int.h"

#define OUTPUT_MAX 262144 /* a CMGL of a full store, and a client that never reads */
#define URC_MAX	   16384
#define INPUT_MAX  8192
#define PIN_TRIES  3
#define PUK_TRIES  10
#define CLASS_SIM  2 /* message class that always goes to the store, 23.038 §4 */

void emu_reset_parameters(struct modem_core *m)
{
	static const int s[13] = {0, 0, 43, '\r', '\n', '\b', 2, 50, 2, 6, 14, 95, 50}; /* V.250 defaults */

	m->verbose = 1;
	m->quiet = m->cmee = m->cmgf = m->creg = m->cgreg = m->cereg = m->csdh = m->cmms = m->csms = 0;
	m->cops_format = 0;
	m->cgsms = 1;
	memset(m->cnmi, 0, sizeof(m->cnmi));
	memcpy(m->csmp, (const int[4]){17, 167, 0, 0}, sizeof(m->csmp));
	memcpy(m->s, s, sizeof(m->s));
	strcpy(m->cscs, "GSM");
	m->line.echo = true;
	m->line.cr = '\r';
	m->line.lf = '\n';
	m->line.bs = '\b';
}

struct modem_core *modem_core_new(const struct modem_setup *setup, const struct modem_hooks *hooks)
{
	struct modem_core *m = calloc(1, sizeof(*m));
	char imsi[16];

	if (!m)
		return NULL;
	assert(setup->storage && setup->storage <= MODEM_STORAGE_MAX);
	m->setup = *setup;
	m->hooks = *hooks;
	buf_init(&m->out, OUTPUT_MAX);
	buf_init(&m->urc, URC_MAX);
	buf_init(&m->input, INPUT_MAX);
	/* 214-99: a network of nobody; the number's last ten digits */
	snprintf(imsi, sizeof(imsi), "21499%010llu",
		 strtoull(setup->number + (setup->number[0] == '+'), NULL, 10) % 10000000000ULL);
	m->number = strdup(setup->number);
	m->imei = strdup(setup->imei);
	m->imsi = strdup(setup->imsi ? setup->imsi : imsi);
	m->pin = setup->pin ? strdup(setup->pin) : NULL;
	if (!m->number || !m->imei || !m->imsi || (setup->pin && !m->pin)) {
		modem_core_free(m);
		return NULL;
	}
	strcpy(m->csca, "+34600000000");
	m->pin_tries = PIN_TRIES;
	m->puk_tries = PUK_TRIES;
	at_line_init(&m->line);
	emu_reset_parameters(m);
	return m;
}

void modem_core_free(struct modem_core *m)
{
	if (!m)
		return;
	buf_fini(&m->out);
	buf_fini(&m->urc);
	buf_fini(&m->input);
	free(m->number);
	free(m->imei);
	free(m->imsi);
	free(m->pin);
	free(m);
}

struct buf *modem_core_output(struct modem_core *m)
{
	return &m->out;
}

int64_t emu_unix_s(const struct modem_core *m)
{
	return m->setup.epoch_unix_s + (int64_t)(m->now / NS_PER_S);
}

const struct fault *emu_state(struct modem_core *m, const char *state, const char *why)
{
	return m->hooks.state ? m->hooks.state(m->hooks.ctx, m->now, state, why) : NULL;
}

void emu_line(struct modem_core *m, const char *fmt, ...)
{
	va_list ap;

	buf_puts(&m->out, m->verbose ? "\r\n" : "");
	va_start(ap, fmt);
	buf_vprintf(&m->out, fmt, ap);
	va_end(ap);
	buf_puts(&m->out, "\r\n");
}

/* A command, a prompt or an answer is under way. */
static bool reserved(const struct modem_core *m)
{
	return m->answer.active || at_line_busy(&m->line);
}

/* When waiting lines may go out, if nobody speaks until then. */
static time_ns quiet_at(const struct modem_core *m)
{
	if (!m->setup.quiet_ns || !m->active_at)
		return m->now;
	return time_min(time_add(m->active_at, m->setup.quiet_ns),
			time_add(m->urc_since, MODEM_URC_WAIT_MAX));
}

/* A terminal that reads nothing loses whole lines, never halves. */
void emu_unsolicited(struct modem_core *m, const char *fmt, ...)
{
	struct buf *b;
	struct buf one;
	va_list ap;

	if (!m->urc.len)
		m->urc_since = m->now;
	b = reserved(m) || quiet_at(m) > m->now ? &m->urc : &m->out;
	buf_init(&one, 2 * PDU_HEX_MAX);
	va_start(ap, fmt);
	buf_vprintf(&one, fmt, ap);
	va_end(ap);
	if (!one.failed && b->len + one.len + 4 <= b->max)
		buf_printf(b, "\r\n%s\r\n", one.data ? one.data : "");
	buf_fini(&one);
}

static void flush_unsolicited(struct modem_core *m)
{
	if (!m->urc.len || reserved(m) || quiet_at(m) > m->now)
		return;
	if (m->out.len + m->urc.len <= m->out.max)
		buf_add(&m->out, m->urc.data, m->urc.len);
	buf_reset(&m->urc);
}

static const char *cme_text(int code)
{
	static const struct {
		int code;
		const char *text;
	} texts[] = {
		{3, "operation not allowed"}, {4, "operation not supported"}, {10, "SIM not inserted"},
		{11, "SIM PIN required"},     {12, "SIM PUK required"},	      {14, "SIM busy"},
		{16, "incorrect password"},   {21, "invalid index"},	      {30, "no network service"},
		{50, "incorrect parameters"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].code == code)
			return texts[i].text;
	}
	return "unknown";
}

static void plain_result(struct modem_core *m, const char *words, int number)
{
	if (m->verbose)
		buf_printf(&m->out, "\r\n%s\r\n", words);
	else
		buf_printf(&m->out, "%d\r", number);
}

void emu_result(struct modem_core *m, int result)
{
	if (result == AT_HOLD || m->quiet)
		return;
	if (IS_CMS(result))
		emu_line(m, "+CMS ERROR: %d", result - CMS(0));
	else if (IS_CME(result) && m->cmee == 1)
		emu_line(m, "+CME ERROR: %d", result - CME(0));
	else if (IS_CME(result) && m->cmee == 2)
		emu_line(m, "+CME ERROR: %s", cme_text(result - CME(0)));
	else if (result == AT_OK)
		plain_result(m, "OK", 0);
	else if (result == AT_NO_CARRIER)
		plain_result(m, "NO CARRIER", 3);
	else
		plain_result(m, "ERROR", 4);
}

int emu_sim_cme(const struct modem_core *m)
{
	static const int results[] = {AT_OK, CME_SIM_PIN, CME_SIM_PUK, CME_NO_SIM, CME_SIM_BUSY};

	return results[m->sim];
}

int emu_sim_cms(const struct modem_core *m)
{
	static const int results[] = {AT_OK, CMS_SIM_PIN, CMS_SIM_PUK, CMS_NO_SIM, CMS_SIM_BUSY};

	return results[m->sim];
}

static void room(struct modem_core *m)
{
	if (m->hooks.room)
		m->hooks.room(m->hooks.ctx, m->now);
}

void emu_set_registration(struct modem_core *m, int stat)
{
	char text[32];

	if (m->registration == stat)
		return;
	m->registration = stat;
	snprintf(text, sizeof(text), "creg %d", stat);
	emu_state(m, "network", text);
	if (m->creg)
		emu_unsolicited(m, "+CREG: %d", stat);
	if (m->cgreg)
		emu_unsolicited(m, "+CGREG: %d", stat);
	if (stat == CREG_HOME || stat == CREG_ROAMING)
		room(m);
}

void emu_set_sim(struct modem_core *m, enum sim_state sim)
{
	static const char *const names[] = {"ready", "SIM PIN", "SIM PUK", "not inserted", "busy"};

	if (m->sim == sim)
		return;
	m->sim = sim;
	emu_state(m, "sim", names[sim]);
	emu_set_registration(m, sim == SIM_READY || sim == SIM_BUSY ? CREG_HOME : CREG_NOT);
	if (sim == SIM_READY)
		room(m);
}

void modem_core_boot(struct modem_core *m, time_ns now)
{
	const struct modem_personality *p = m->setup.personality;

	m->now = now;
	buf_reset(&m->urc);
	buf_reset(&m->input);
	memset(&m->prompt, 0, sizeof(m->prompt));
	memset(&m->answer, 0, sizeof(m->answer));
	m->mute_until = m->network_until = m->sim_until = 0;
	at_line_command(&m->line);
	emu_reset_parameters(m);
	m->line.echo = !(p->echo_lost && m->booted);
	m->booted = true;
	m->cfun = 1;
	m->storm_at = p->storm ? time_add(now, p->storm_ns) : 0;
	m->sim = m->puk_tries == 0 ? SIM_NONE : m->pin_tries == 0 ? SIM_PUK : m->pin ? SIM_PIN : SIM_READY;
	m->registration = m->sim == SIM_READY ? CREG_HOME : CREG_NOT;
	emu_state(m, "on", m->sim == SIM_READY ? "" : "SIM PIN");
	for (const char *const *l = p->boot; l && *l; l++)
		emu_unsolicited(m, "%s", *l);
	if (m->sim == SIM_READY)
		room(m);
}

void emu_reboot(struct modem_core *m)
{
	modem_core_boot(m, m->now);
}

void modem_core_mute(struct modem_core *m, time_ns until)
{
	m->mute_until = until;
	if (!until)
		return;
	at_line_command(&m->line);
	buf_reset(&m->input);
	m->answer.active = false;
}

void modem_core_set_full(struct modem_core *m, time_ns until)
{
	m->full_until = until;
}

/* One command line: its commands in turn until one fails or leaves the line open. */
static void run_line(struct modem_core *m)
{
	char text[AT_LINE_MAX + 1];
	struct at_command c;
	size_t pos = 0, len = m->line.len;
	int rv, result = AT_OK;

	memcpy(text, m->line.text, len + 1);
	at_line_command(&m->line);
	while (result == AT_OK && (rv = at_parse(text, len, &pos, &c)) != 0) {
		emu_handler *run = rv < 0 ? NULL : emu_general_find(c.name);

		if (rv > 0 && !run)
			run = emu_sms_find(c.name);
		result = run ? run(m, &c) : AT_ERROR;
	}
	emu_result(m, result);
}

static void event(struct modem_core *m, enum at_line_event ev)
{
	switch (ev) {
	case AT_LINE_NONE:
		return;
	case AT_LINE_COMMAND:
		run_line(m);
		return;
	case AT_LINE_TEXT:
		emu_prompt_done(m);
		return;
	case AT_LINE_CANCEL:
		emu_prompt_fail(m, AT_OK);
		return;
	case AT_LINE_TOO_LONG:
		if (m->prompt.what)
			emu_prompt_fail(m, m->cmgf ? CMS_TEXT_PARAMETER : CMS_PDU_PARAMETER);
		else
			emu_result(m, AT_ERROR);
		return;
	}
}

static bool muted(const struct modem_core *m)
{
	return m->mute_until > m->now;
}

/* What is typed while the network works on an SMS waits for its answer. */
static void take_input(struct modem_core *m, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (muted(m))
			return;
		if (m->answer.active) {
			buf_add(&m->input, p + i, len - i);
			return;
		}
		event(m, at_line_byte(&m->line, p[i], &m->out));
		/* a reader that has stalled gets a gap, not a modem that is dead for ever */
		if (m->out.failed)
			buf_reset(&m->out);
	}
}

static void settle(struct modem_core *m)
{
	flush_unsolicited(m);
	if (muted(m))
		buf_reset(&m->out);
	if (m->urc.failed)
		buf_reset(&m->urc);
	if (m->input.failed)
		buf_reset(&m->input);
}

void modem_core_feed(struct modem_core *m, time_ns now, const void *bytes, size_t len)
{
	m->now = now;
	if (len)
		m->active_at = now;
	take_input(m, bytes, len);
	settle(m);
}

static void answer(struct modem_core *m)
{
	struct buf typed = m->input;

	m->answer.active = false;
	m->active_at = m->now;
	if (m->answer.result == AT_OK)
		emu_say_reference(m, m->answer.stored, m->answer.reference);
	emu_result(m, m->answer.result);
	emu_state(m, "ready", m->answer.result == AT_OK ? "" : "send failed");
	buf_init(&m->input, INPUT_MAX);
	take_input(m, (const uint8_t *)typed.data, typed.len);
	buf_fini(&typed);
}

/* Is the instant `*at` there? Then it is over. */
static bool due(const struct modem_core *m, time_ns *at)
{
	if (!*at || *at > m->now)
		return false;
	*at = 0;
	return true;
}

static void storm(struct modem_core *m)
{
	const struct modem_personality *p = m->setup.personality;
	size_t n = 0;

	while (p->storm[n])
		n++;
	emu_unsolicited(m, "%s", p->storm[m->now / p->storm_ns % n]);
	m->storm_at = time_add(m->now, p->storm_ns);
}

void modem_core_tick(struct modem_core *m, time_ns now)
{
	m->now = now;
	if (due(m, &m->mute_until))
		emu_state(m, "ready", "not mute any more");
	if (m->answer.active && m->answer.at <= now)
		answer(m);
	if (due(m, &m->sim_until))
		emu_set_sim(m, SIM_READY);
	if (due(m, &m->network_until))
		emu_set_registration(m, CREG_HOME);
	if (due(m, &m->full_until))
		room(m);
	if (m->storm_at && m->storm_at <= now)
		storm(m);
	settle(m);
}

time_ns modem_core_deadline(const struct modem_core *m)
{
	const time_ns at[] = {m->mute_until, m->full_until, m->network_until,
			      m->sim_until,  m->storm_at,   m->answer.active ? m->answer.at : 0};
	time_ns first = m->urc.len && !reserved(m) ? quiet_at(m) : TIME_NEVER;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		if (at[i])
			first = time_min(first, at[i]);
	}
	return first;
}

/* Straight to the terminal (CNMI <mt> 2 and 3), or to the store? */
static bool routed(const struct modem_core *m, const struct pdu_deliver *d)
{
	int class = pdu_class(d->ud.dcs);

	if (!m->cnmi[0] || class == CLASS_SIM)
		return false;
	return m->cnmi[1] == 2 || (m->cnmi[1] == 3 && class == 3);
}

static void announce(struct modem_core *m, unsigned index)
{
	const struct fault *f;

	f = emu_state(m, "received", "");
	if (f && !fault_is(f, "lose_cmti") && !fault_is(f, "duplicate_cmti") && !fault_is(f, "dangling_cmti"))
		modem_core_fault(m, m->now, f);
	if (!m->cnmi[0] || !m->cnmi[1] || fault_is(f, "lose_cmti"))
		return;
	if (fault_is(f, "dangling_cmti"))
		emu_unsolicited(m, "+CMTI: \"SM\",%u", m->setup.storage + 1);
	emu_unsolicited(m, "+CMTI: \"SM\",%u", index);
	if (fault_is(f, "duplicate_cmti"))
		emu_unsolicited(m, "+CMTI: \"SM\",%u", index);
}

static bool reachable(const struct modem_core *m)
{
	return m->cfun == 1 && m->sim == SIM_READY &&
	       (m->registration == CREG_HOME || m->registration == CREG_ROAMING);
}

int modem_core_deliver(struct modem_core *m, time_ns now, const struct pdu_deliver *d)
{
	struct pdu_deliver with = *d;
	char hex[PDU_HEX_MAX];
	struct pdu p;
	unsigned index;

	m->now = now;
	if (!reachable(m))
		return ERR_BUSY;
	pdu_set_address(m->csca, &with.smsc);
	pdu_deliver_encode(&with, &p);
	if (routed(m, d) && !m->cmgf) {
		pdu_to_hex(&p, hex);
		emu_unsolicited(m, "+CMT: ,%zu\r\n%s", p.tpdu, hex);
		settle(m);
		return 0;
	}
	if (m->full_until > now)
		return ERR_BUSY;
	index = emu_store_add(m, MESSAGE_UNREAD, &p);
	if (!index)
		return ERR_BUSY;
	announce(m, index);
	settle(m);
	return 0;
}

void modem_core_report(struct modem_core *m, time_ns now, const struct pdu_report *r)
{
	struct pdu_report with = *r;
	char hex[PDU_HEX_MAX];
	struct pdu p;
	unsigned index;

	m->now = now;
	if (!reachable(m) || !m->cnmi[3])
		return;
	pdu_set_address(m->csca, &with.smsc);
	pdu_report_encode(&with, &p);
	if (m->cnmi[3] == 1) {
		pdu_to_hex(&p, hex);
		emu_unsolicited(m, "+CDS: %zu\r\n%s", p.tpdu, hex);
	} else {
		index = emu_store_add(m, MESSAGE_UNREAD, &p);
		if (index)
			emu_unsolicited(m, "+CDSI: \"SM\",%u", index);
	}
	settle(m);
}
