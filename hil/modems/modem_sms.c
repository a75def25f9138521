/* Commands of 3GPP TS 27.005 that the emulated modem knows. */
#include <stdio.h>
#include <string.h>

#include "core/err.h"
#include "hil/modems/modem_int.h"

#define TPDU_MAX 255 /* what AT+CMGS may announce; the unit itself is judged later */

static bool on_air(const struct modem_core *m)
{
	return m->cfun == 1 && (m->registration == CREG_HOME || m->registration == CREG_ROAMING);
}

static int cmgf(struct modem_core *m, const struct at_command *c)
{
	return emu_number(m, c, &m->cmgf, 1);
}

static int csms(struct modem_core *m, const struct at_command *c)
{
	int v = 0;

	if (c->form == AT_TEST) {
		emu_line(m, "+CSMS: (0,1)");
		return AT_OK;
	}
	if (c->form == AT_READ) {
		emu_line(m, "+CSMS: %d,1,1,1", m->csms);
		return AT_OK;
	}
	if (at_arg_int(c, 0, &v) < 0 || v > 1)
		return CMS_NOT_SUPPORTED;
	m->csms = v;
	emu_line(m, "+CSMS: 1,1,1");
	return AT_OK;
}

/* May `v` stand at `index` of AT+CNMI? The personality's own list decides: "(0-2),(0,2),…" */
static bool cnmi_allowed(const char *list, unsigned index, int v)
{
	int low;

	for (; index; index--) {
		list = strchr(list, ')');
		if (!list)
			return false;
		list++;
	}
	list = strchr(list, '(');
	while (list && *list && *list != ')') {
		list++;
		low = *list - '0';
		list++;
		if (*list == '-') {
			if (v >= low && v <= list[1] - '0')
				return true;
			list += 2;
		} else if (v == low) {
			return true;
		}
	}
	return false;
}

static int cnmi(struct modem_core *m, const struct at_command *c)
{
	int v[5] = {0};

	if (c->form == AT_TEST) {
		emu_line(m, "+CNMI: %s", m->setup.personality->cnmi_test);
		return AT_OK;
	}
	if (c->form == AT_READ) {
		emu_line(m, "+CNMI: %d,%d,%d,%d,%d", m->cnmi[0], m->cnmi[1], m->cnmi[2], m->cnmi[3],
			 m->cnmi[4]);
		return AT_OK;
	}
	for (unsigned i = 0; i < 5; i++) {
		v[i] = c->form == AT_SET ? m->cnmi[i] : 0;
		if (at_arg_int(c, i, &v[i]) < 0 || !cnmi_allowed(m->setup.personality->cnmi_test, i, v[i]))
			return CMS_NOT_SUPPORTED;
	}
	memcpy(m->cnmi, v, sizeof(v));
	return AT_OK;
}

static int cpms(struct modem_core *m, const struct at_command *c)
{
	unsigned used = emu_store_used(m), size = m->setup.storage;
	char name[8];
	int rv = emu_sim_cms(m);

	if (rv)
		return rv;
	switch (c->form) {
	case AT_TEST:
		emu_line(m, "+CPMS: %s", m->setup.personality->cpms_test);
		return AT_OK;
	case AT_READ:
		emu_line(m, "+CPMS: \"SM\",%u,%u,\"SM\",%u,%u,\"SM\",%u,%u", used, size, used, size, used,
			 size);
		return AT_OK;
	case AT_SET:
		for (unsigned i = 0; i < at_arg_count(c); i++) {
			at_arg_text(c, i, name, sizeof(name));
			if (name[0] && (strlen(name) != 2 || !strstr(m->setup.personality->cpms_test, name)))
				return CMS_NOT_SUPPORTED;
		}
		emu_line(m, "+CPMS: %u,%u,%u,%u,%u,%u", used, size, used, size, used, size);
		return AT_OK;
	case AT_EXECUTE:
		return AT_ERROR;
	}
	return AT_ERROR;
}

static int csca(struct modem_core *m, const struct at_command *c)
{
	char number[PDU_ADDRESS_MAX];
	int rv = emu_sim_cms(m);

	if (rv || c->form == AT_TEST)
		return rv;
	if (c->form == AT_READ) {
		emu_line(m, "+CSCA: \"%s\",%d", m->csca, m->csca[0] == '+' ? 145 : 129);
		return AT_OK;
	}
	if (!at_arg_text(c, 0, number, sizeof(number)) || !number[0])
		return CMS_PDU_PARAMETER;
	strcpy(m->csca, number);
	return AT_OK;
}

static int csmp(struct modem_core *m, const struct at_command *c)
{
	int v[4];

	memcpy(v, m->csmp, sizeof(v));
	if (c->form == AT_READ) {
		emu_line(m, "+CSMP: %d,%d,%d,%d", v[0], v[1], v[2], v[3]);
		return AT_OK;
	}
	for (unsigned i = 0; c->form == AT_SET && i < 4; i++) {
		if (at_arg_int(c, i, &v[i]) < 0 || v[i] > 255)
			return CMS_TEXT_PARAMETER;
	}
	memcpy(m->csmp, v, sizeof(v));
	return AT_OK;
}

static int csdh(struct modem_core *m, const struct at_command *c)
{
	return emu_number(m, c, &m->csdh, 1);
}

static int cmms(struct modem_core *m, const struct at_command *c)
{
	return emu_number(m, c, &m->cmms, 2);
}

static int cgsms(struct modem_core *m, const struct at_command *c)
{
	return emu_number(m, c, &m->cgsms, 3);
}

static int accept(struct modem_core *m, const struct at_command *c)
{
	(void)m;
	(void)c;
	return AT_OK;
}

static void open_prompt(struct modem_core *m)
{
	at_line_prompt(&m->line);
	buf_puts(&m->out, "\r\n> ");
}

static bool arg_is(const struct fault *f, const char *key, const char *value)
{
	const char *v = json_string_value(json_object_get(fault_args(f), key));

	return v && strcmp(v, value) == 0;
}

/* A fault at the prompt. Returns AT_OK where the prompt is to be given. */
static int fault_at_prompt(struct modem_core *m, const struct fault *f)
{
	json_t *code;
	int result;

	if (fault_is(f, "no_prompt")) {
		m->prompt.what = PROMPT_NONE;
		return AT_HOLD;
	}
	if (fault_is(f, "cms_error") || fault_is(f, "plain_error")) {
		code = json_object_get(fault_args(f), "code");
		result = fault_is(f, "plain_error") ? AT_ERROR
			 : json_is_integer(code)    ? CMS((int)json_integer_value(code) % 1000)
						    : CMS_UNKNOWN;
		if (arg_is(f, "at", "pdu")) {
			m->prompt.refuse = result;
			return AT_OK;
		}
		m->prompt.what = PROMPT_NONE;
		emu_state(m, "ready", "refused at the prompt");
		return result;
	}
	if (f)
		modem_core_fault(m, m->now, f);
	return m->prompt.what && m->mute_until <= m->now ? AT_OK : AT_HOLD;
}

/* AT+CMGS and AT+CMGW up to the prompt. */
static int ask(struct modem_core *m, const struct at_command *c, enum prompt_for what)
{
	int tpdu = 0, rv = emu_sim_cms(m);

	if (c->form == AT_TEST)
		return AT_OK;
	if (rv)
		return rv;
	memset(&m->prompt, 0, sizeof(m->prompt));
	m->prompt.stat = MESSAGE_UNSENT;
	if (m->cmgf) {
		if (!at_arg_text(c, 0, m->prompt.to, sizeof(m->prompt.to)) && what == PROMPT_SEND)
			return CMS_TEXT_PARAMETER;
	} else {
		if (at_arg_int(c, 0, &tpdu) != 1 || tpdu < 1 || tpdu > TPDU_MAX)
			return CMS_PDU_PARAMETER;
		if (what == PROMPT_STORE &&
		    (at_arg_int(c, 1, &m->prompt.stat) < 0 || m->prompt.stat >= MESSAGE_ALL))
			return CMS_PDU_PARAMETER;
	}
	m->prompt.tpdu = (size_t)tpdu;
	m->prompt.what = what;
	if (what == PROMPT_SEND) {
		rv = fault_at_prompt(m, emu_state(m, "sending", ""));
		if (rv)
			return rv;
	}
	open_prompt(m);
	return AT_HOLD;
}

static int cmgs(struct modem_core *m, const struct at_command *c)
{
	return c->form == AT_SET || c->form == AT_TEST ? ask(m, c, PROMPT_SEND) : AT_ERROR;
}

static int cmgw(struct modem_core *m, const struct at_command *c)
{
	return c->form == AT_READ ? AT_ERROR : ask(m, c, PROMPT_STORE);
}

static void prompt_end(struct modem_core *m, int result, const char *why)
{
	bool sending = m->prompt.what == PROMPT_SEND;

	at_line_command(&m->line);
	m->prompt.what = PROMPT_NONE;
	emu_result(m, result);
	if (sending)
		emu_state(m, "ready", why);
}

void emu_prompt_fail(struct modem_core *m, int result)
{
	prompt_end(m, result, result == AT_OK ? "cancelled" : "send failed");
}

void emu_say_reference(struct modem_core *m, bool stored, int reference)
{
	emu_line(m, "%s: %d", stored ? "+CMSS" : "+CMGS", reference);
}

static void submit(struct modem_core *m, const struct pdu_submit *s)
{
	struct gsm_verdict v = {0};

	if (m->prompt.refuse) {
		emu_prompt_fail(m, m->prompt.refuse);
		return;
	}
	if (!on_air(m)) {
		emu_prompt_fail(m, CMS_NO_NETWORK);
		return;
	}
	m->hooks.submit(m->hooks.ctx, m->now, s, &v);
	if (v.fault)
		modem_core_fault(m, m->now, v.fault);
	if (m->prompt.what == PROMPT_NONE || m->mute_until > m->now)
		return; /* the fault took the power or the voice away */
	if (v.silent) {
		m->prompt.what = PROMPT_NONE;
		emu_state(m, "ready", "no final result");
		return;
	}
	if (v.cms || v.plain_error) {
		emu_prompt_fail(m, v.plain_error ? AT_ERROR : CMS(v.cms % 1000));
		return;
	}
	if (v.answer_at <= m->now) {
		emu_say_reference(m, m->prompt.stored, v.reference);
		prompt_end(m, AT_OK, "");
		return;
	}
	m->prompt.what = PROMPT_NONE;
	m->answer.stored = m->prompt.stored;
	m->answer.active = true;
	m->answer.at = v.answer_at;
	m->answer.result = AT_OK;
	m->answer.reference = v.reference;
}

/* The line breaks that some terminals put into a PDU do not count. */
static int read_pdu(struct modem_core *m, struct pdu *out)
{
	char hex[AT_LINE_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < m->line.len; i++) {
		if (m->line.text[i] != '\n' && m->line.text[i] != ' ')
			hex[n++] = m->line.text[i];
	}
	return pdu_from_hex(hex, n, m->prompt.tpdu, out);
}

void emu_prompt_done(struct modem_core *m)
{
	struct pdu_submit s;
	struct pdu p = {.len = 0};
	unsigned index;
	int rv;

	if (m->cmgf) {
		rv = emu_submit_from_text(m, m->prompt.to, m->line.text, &s);
		pdu_submit_encode(&s, &p);
	} else {
		rv = read_pdu(m, &p);
		if (rv == 0 && m->prompt.stat >= MESSAGE_UNSENT)
			rv = pdu_submit_decode(&p, &s);
	}
	at_line_command(&m->line);
	if (rv) {
		emu_prompt_fail(m, m->cmgf ? CMS_TEXT_PARAMETER : CMS_PDU_PARAMETER);
		return;
	}
	if (m->prompt.what == PROMPT_STORE) {
		index = emu_store_add(m, m->prompt.stat, &p);
		if (index)
			emu_line(m, "+CMGW: %u", index);
		emu_prompt_fail(m, index ? AT_OK : CMS_FULL);
		return;
	}
	submit(m, &s);
}

static int cmss(struct modem_core *m, const struct at_command *c)
{
	char to[sizeof(m->prompt.to)];
	struct pdu_submit s;
	struct stored *st;
	int index = 0, rv = emu_sim_cms(m);

	if (rv || c->form == AT_TEST)
		return rv;
	if (at_arg_int(c, 0, &index) != 1)
		return CMS_PDU_PARAMETER;
	st = emu_store_get(m, index);
	if (!st)
		return CMS_INDEX;
	if (pdu_submit_decode(&st->pdu, &s))
		return CMS_PDU_PARAMETER;
	if (at_arg_text(c, 1, to, sizeof(to)) && to[0] && emu_address_from_text(m, to, &s.to))
		return CMS_TEXT_PARAMETER;
	st->stat = MESSAGE_SENT;
	memset(&m->prompt, 0, sizeof(m->prompt));
	m->prompt.what = PROMPT_SEND;
	m->prompt.stored = true;
	rv = fault_at_prompt(m, emu_state(m, "sending", ""));
	if (rv == AT_OK)
		submit(m, &s);
	return rv == AT_OK ? AT_HOLD : rv;
}

static void show(struct modem_core *m, const char *what, int index, struct stored *s)
{
	char head[16] = "", hex[PDU_HEX_MAX];

	if (m->cmgf) {
		emu_show_text(m, what, index, s);
	} else {
		if (index)
			snprintf(head, sizeof(head), "%d,", index);
		pdu_to_hex(&s->pdu, hex);
		emu_line(m, "%s: %s%d,,%zu\r\n%s", what, head, s->stat, s->pdu.tpdu, hex);
	}
	if (s->stat == MESSAGE_UNREAD)
		s->stat = MESSAGE_READ;
}

static int cmgr(struct modem_core *m, const struct at_command *c)
{
	struct stored *s;
	int index = 0, rv = emu_sim_cms(m);

	if (rv || c->form == AT_TEST)
		return rv;
	if (at_arg_int(c, 0, &index) != 1)
		return CMS_INDEX;
	s = emu_store_get(m, index);
	if (!s)
		return CMS_INDEX;
	show(m, "+CMGR", 0, s);
	return AT_OK;
}

static int cmgl(struct modem_core *m, const struct at_command *c)
{
	char name[16];
	int stat = MESSAGE_UNREAD, rv = emu_sim_cms(m);

	if (rv)
		return rv;
	if (c->form == AT_TEST) {
		emu_line(m,
			 m->cmgf ? "+CMGL: (\"REC UNREAD\",\"REC READ\",\"STO UNSENT\",\"STO SENT\",\"ALL\")"
				 : "+CMGL: (0-4)");
		return AT_OK;
	}
	if (m->cmgf && at_arg_text(c, 0, name, sizeof(name))) {
		while (stat <= MESSAGE_ALL && strcmp(emu_stat_text(stat), name) != 0)
			stat++;
	} else if (!m->cmgf && at_arg_int(c, 0, &stat) < 0) {
		return CMS_PDU_PARAMETER;
	}
	if (stat > MESSAGE_ALL)
		return m->cmgf ? CMS_TEXT_PARAMETER : CMS_PDU_PARAMETER;
	for (unsigned i = 1; i <= m->setup.storage; i++) {
		struct stored *s = emu_store_get(m, (int)i);

		if (s && (stat == MESSAGE_ALL || s->stat == stat))
			show(m, "+CMGL", (int)i, s);
	}
	return AT_OK;
}

/* AT+CMGD <delflag>, 27.005 §3.5.4: 0 this one, 1 read, 2 and sent, 3 and unsent, 4 all. */
static bool deletes(int flag, int stat)
{
	return flag == 4 || (flag >= 1 && stat == MESSAGE_READ) || (flag >= 2 && stat == MESSAGE_SENT) ||
	       (flag >= 3 && stat == MESSAGE_UNSENT);
}

static int cmgd(struct modem_core *m, const struct at_command *c)
{
	int index = 0, flag = 0, rv = emu_sim_cms(m);
	struct stored *s;

	if (rv)
		return rv;
	if (c->form == AT_TEST) {
		emu_line(m, "+CMGD: (1-%u),(0-4)", m->setup.storage);
		return AT_OK;
	}
	if (at_arg_int(c, 0, &index) != 1 || at_arg_int(c, 1, &flag) < 0 || flag > 4)
		return CMS_INDEX;
	if (!flag) {
		if (index < 1 || (unsigned)index > m->setup.storage)
			return CMS_INDEX;
		m->store[index - 1].used = false; /* an empty place may be deleted too */
	}
	for (unsigned i = 1; flag && i <= m->setup.storage; i++) {
		s = emu_store_get(m, (int)i);
		if (s && deletes(flag, s->stat))
			s->used = false;
	}
	if (!emu_store_full(m) && m->hooks.room)
		m->hooks.room(m->hooks.ctx, m->now);
	return AT_OK;
}

static const struct {
	const char *name;
	emu_handler *run;
} commands[] = {
	{"+CMGF", cmgf},   {"+CSMS", csms},   {"+CNMI", cnmi},	 {"+CPMS", cpms}, {"+CSCA", csca},
	{"+CSMP", csmp},   {"+CSDH", csdh},   {"+CMMS", cmms},	 {"+CMGS", cmgs}, {"+CMGW", cmgw},
	{"+CMSS", cmss},   {"+CMGR", cmgr},   {"+CMGL", cmgl},	 {"+CMGD", cmgd}, {"+CNMA", accept},
	{"+CGSMS", cgsms}, {"+CSAS", accept}, {"+CRES", accept},
};

emu_handler *emu_sms_find(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run;
	}
	return NULL;
}
