/* Commands of V.250 and 3GPP TS 27.007 that the emulated modem knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hil/modems/modem_int.h"

#define AREA		 "00FF"
#define CELL		 "00012345"
#define OPERATOR_LONG	 "quicrig"
#define OPERATOR_NUMERIC "21499"

int emu_number(struct modem_core *m, const struct at_command *c, int *value, int max)
{
	int v = 0;

	switch (c->form) {
	case AT_TEST:
		emu_line(m, "%s: (0-%d)", c->name, max);
		return AT_OK;
	case AT_READ:
		emu_line(m, "%s: %d", c->name, *value);
		return AT_OK;
	case AT_SET:
		if (at_arg_int(c, 0, &v) < 0 || v > max)
			return CME_PARAMETERS;
		*value = v;
		return AT_OK;
	case AT_EXECUTE:
		return AT_ERROR;
	}
	return AT_ERROR;
}

/* Basic commands: a number, 0 where it is left out. */
static int basic(const struct at_command *c, int max, int *out)
{
	int v = 0;

	if (at_arg_int(c, 0, &v) < 0 || v > max)
		return AT_ERROR;
	*out = v;
	return AT_OK;
}

static int nothing(struct modem_core *m, const struct at_command *c)
{
	(void)m;
	(void)c;
	return AT_OK;
}

static int echo(struct modem_core *m, const struct at_command *c)
{
	int v = m->line.echo, rv = basic(c, 1, &v);

	m->line.echo = v;
	return rv;
}

static int verbose(struct modem_core *m, const struct at_command *c)
{
	return basic(c, 1, &m->verbose);
}

static int quiet(struct modem_core *m, const struct at_command *c)
{
	return basic(c, 1, &m->quiet);
}

static int reset(struct modem_core *m, const struct at_command *c)
{
	(void)c;
	emu_reset_parameters(m);
	return AT_OK;
}

static int dial(struct modem_core *m, const struct at_command *c)
{
	(void)m;
	(void)c;
	return AT_NO_CARRIER; /* nobody here takes calls */
}

static int s_register(struct modem_core *m, const struct at_command *c)
{
	unsigned n = 0;

	for (const char *p = c->name + 1; *p; p++)
		n = n * 10 + (unsigned)(*p - '0');
	if (n > 12)
		return AT_ERROR;
	if (c->form == AT_READ) {
		emu_line(m, "%03d", m->s[n]);
		return AT_OK;
	}
	if (basic(c, n >= 3 && n <= 5 ? 127 : 255, &m->s[n]))
		return AT_ERROR;
	m->line.cr = (uint8_t)m->s[3];
	m->line.lf = (uint8_t)m->s[4];
	m->line.bs = (uint8_t)m->s[5];
	return AT_OK;
}

static int identify(struct modem_core *m, const struct at_command *c)
{
	const struct modem_personality *p = m->setup.personality;

	(void)c;
	emu_line(m, "Manufacturer: %s", p->manufacturer);
	emu_line(m, "Model: %s", p->model);
	emu_line(m, "Revision: %s", p->revision);
	emu_line(m, "IMEI: %s", m->imei);
	return AT_OK;
}

static int show(struct modem_core *m, const struct at_command *c, const char *text)
{
	if (c->form == AT_TEST)
		return AT_OK;
	if (c->form != AT_EXECUTE)
		return AT_ERROR;
	emu_line(m, "%s", text);
	return AT_OK;
}

static int manufacturer(struct modem_core *m, const struct at_command *c)
{
	return show(m, c, m->setup.personality->manufacturer);
}

static int model(struct modem_core *m, const struct at_command *c)
{
	return show(m, c, m->setup.personality->model);
}

static int revision(struct modem_core *m, const struct at_command *c)
{
	return show(m, c, m->setup.personality->revision);
}

static int imei(struct modem_core *m, const struct at_command *c)
{
	return show(m, c, m->imei);
}

static int imsi(struct modem_core *m, const struct at_command *c)
{
	int rv = emu_sim_cme(m);

	return rv ? rv : show(m, c, m->imsi);
}

static int iccid(struct modem_core *m, const struct at_command *c)
{
	int rv = emu_sim_cme(m);

	if (rv || c->form == AT_TEST)
		return rv;
	emu_line(m, "%s: 8934%s", c->name, m->imsi);
	return AT_OK;
}

static int own_number(struct modem_core *m, const struct at_command *c)
{
	int rv = emu_sim_cme(m);

	if (rv || c->form == AT_TEST)
		return rv;
	emu_line(m, "+CNUM: ,\"%s\",%d", m->number, m->number[0] == '+' ? 145 : 129);
	return AT_OK;
}

static int cmee(struct modem_core *m, const struct at_command *c)
{
	return emu_number(m, c, &m->cmee, 2);
}

static int cscs(struct modem_core *m, const struct at_command *c)
{
	static const char *const sets[] = {"GSM", "IRA", "UCS2", "UTF-8", "8859-1"};
	char want[sizeof(m->cscs)];

	if (c->form == AT_TEST) {
		emu_line(m, "+CSCS: (\"GSM\",\"IRA\",\"UCS2\",\"UTF-8\",\"8859-1\")");
		return AT_OK;
	}
	if (c->form == AT_READ) {
		emu_line(m, "+CSCS: \"%s\"", m->cscs);
		return AT_OK;
	}
	if (!at_arg_text(c, 0, want, sizeof(want)))
		return CME_PARAMETERS;
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (strcmp(sets[i], want) == 0) {
			strcpy(m->cscs, want);
			return AT_OK;
		}
	}
	return CME_PARAMETERS;
}

static int unlock(struct modem_core *m, const char *pin, const char *fresh)
{
	if (m->sim == SIM_PUK) {
		if (!fresh[0] || strcmp(pin, "12345678") != 0) { /* every emulated SIM's PUK */
			m->puk_tries--;
			if (!m->puk_tries)
				emu_set_sim(m, SIM_NONE);
			return CME_PASSWORD;
		}
	} else if (m->pin && strcmp(pin, m->pin) != 0) {
		m->pin_tries--;
		if (!m->pin_tries)
			emu_set_sim(m, SIM_PUK);
		return CME_PASSWORD;
	}
	if (m->sim == SIM_PUK) { /* the second argument is the new PIN */
		char *pin_new = strdup(fresh);

		if (!pin_new)
			return AT_ERROR;
		free(m->pin);
		m->pin = pin_new;
	}
	m->pin_tries = 3;
	m->puk_tries = 10;
	emu_set_sim(m, SIM_READY);
	return AT_OK;
}

static int cpin(struct modem_core *m, const struct at_command *c)
{
	char pin[16], fresh[16];

	if (c->form == AT_TEST)
		return AT_OK;
	if (m->sim == SIM_NONE || m->sim == SIM_BUSY)
		return emu_sim_cme(m);
	if (c->form == AT_READ) {
		emu_line(m, "+CPIN: %s",
			 m->sim == SIM_PIN   ? "SIM PIN"
			 : m->sim == SIM_PUK ? "SIM PUK"
					     : "READY");
		return AT_OK;
	}
	if (c->form != AT_SET || m->sim == SIM_READY)
		return CME_NOT_ALLOWED;
	at_arg_text(c, 1, fresh, sizeof(fresh));
	if (!at_arg_text(c, 0, pin, sizeof(pin)))
		return CME_PARAMETERS;
	return unlock(m, pin, fresh);
}

static int registration(struct modem_core *m, const struct at_command *c, int *mode)
{
	const char *q = m->setup.personality->creg_bare ? "" : "\"";
	bool home = m->registration == CREG_HOME || m->registration == CREG_ROAMING;

	if (c->form != AT_READ)
		return emu_number(m, c, mode, 2);
	if (*mode == 2 && home)
		emu_line(m, "%s: %d,%d,%s%s%s,%s%s%s", c->name, *mode, m->registration, q, AREA, q, q, CELL,
			 q);
	else
		emu_line(m, "%s: %d,%d", c->name, *mode, m->registration);
	return AT_OK;
}

static int creg(struct modem_core *m, const struct at_command *c)
{
	return registration(m, c, &m->creg);
}

static int cgreg(struct modem_core *m, const struct at_command *c)
{
	return registration(m, c, &m->cgreg);
}

static int cereg(struct modem_core *m, const struct at_command *c)
{
	return registration(m, c, &m->cereg);
}

static int cgatt(struct modem_core *m, const struct at_command *c)
{
	int attached = m->registration == CREG_HOME || m->registration == CREG_ROAMING;

	return emu_number(m, c, &attached, 1);
}

static int cops(struct modem_core *m, const struct at_command *c)
{
	bool home = m->registration == CREG_HOME || m->registration == CREG_ROAMING;
	int format = m->cops_format;

	switch (c->form) {
	case AT_TEST:
		emu_line(m, "+COPS: (2,\"%s\",\"%s\",\"%s\",2),,(0-4),(0-2)", OPERATOR_LONG, OPERATOR_LONG,
			 OPERATOR_NUMERIC);
		return AT_OK;
	case AT_READ:
		if (home)
			emu_line(m, "+COPS: 0,%d,\"%s\",2", format,
				 format == 2 ? OPERATOR_NUMERIC : OPERATOR_LONG);
		else
			emu_line(m, "+COPS: 0");
		return AT_OK;
	case AT_SET:
		if (at_arg_int(c, 1, &format) < 0 || format > 2)
			return CME_PARAMETERS;
		m->cops_format = format;
		return AT_OK;
	case AT_EXECUTE:
		return AT_OK;
	}
	return AT_ERROR;
}

static int csq(struct modem_core *m, const struct at_command *c)
{
	if (c->form == AT_TEST) {
		emu_line(m, "+CSQ: (0-31,99),(0-7,99)");
		return AT_OK;
	}
	emu_line(m, "+CSQ: %d,99", m->registration == CREG_HOME || m->registration == CREG_ROAMING ? 20 : 99);
	return AT_OK;
}

static int cbc(struct modem_core *m, const struct at_command *c)
{
	emu_line(m, c->form == AT_TEST ? "+CBC: (0-3),(0-100)" : "+CBC: 0,100");
	return AT_OK;
}

static int cfun(struct modem_core *m, const struct at_command *c)
{
	int v = 1, restart = 0;

	if (c->form == AT_TEST) {
		emu_line(m, "+CFUN: (0,1,4),(0,1)");
		return AT_OK;
	}
	if (c->form != AT_SET)
		return emu_number(m, c, &m->cfun, 1);
	if (at_arg_int(c, 0, &v) < 0 || at_arg_int(c, 1, &restart) < 0 || (v != 0 && v != 1 && v != 4))
		return CME_PARAMETERS;
	if (restart == 1) {
		emu_result(m, AT_OK);
		emu_reboot(m);
		return AT_HOLD;
	}
	if (v != m->cfun) {
		m->cfun = v;
		emu_set_registration(m, v == 1 && m->sim == SIM_READY ? CREG_HOME : CREG_NOT);
	}
	return AT_OK;
}

static int cpas(struct modem_core *m, const struct at_command *c)
{
	emu_line(m, c->form == AT_TEST ? "+CPAS: (0-5)" : "+CPAS: 0");
	return AT_OK;
}

static int cclk(struct modem_core *m, const struct at_command *c)
{
	time_t t = (time_t)emu_unix_s(m);
	struct tm tm;
	char text[32];

	if (c->form != AT_READ)
		return AT_OK;
	gmtime_r(&t, &tm);
	strftime(text, sizeof(text), "%y/%m/%d,%H:%M:%S+00", &tm);
	emu_line(m, "+CCLK: \"%s\"", text);
	return AT_OK;
}

/* Huawei's ^CURC=0 silences the make's unsolicited lines; others of a make only say OK. */
static int own_command(struct modem_core *m, const struct at_command *c)
{
	const struct modem_personality *p = m->setup.personality;
	char word[AT_NAME_MAX + 1];
	int on = 1;

	snprintf(word, sizeof(word), "%s ", c->name);
	if (!strstr(p->own, word) || at_arg_int(c, 0, &on) < 0)
		return AT_ERROR;
	if (p->storm && strcmp(c->name, "^CURC") == 0)
		m->storm_at = on ? time_add(m->now, p->storm_ns) : 0;
	return AT_OK;
}

static int gcap(struct modem_core *m, const struct at_command *c)
{
	return show(m, c, "+GCAP: +CGSM,+DS,+ES");
}

static int clck(struct modem_core *m, const struct at_command *c)
{
	char facility[4];
	int mode = 2;

	if (c->form == AT_TEST) {
		emu_line(m, "+CLCK: (\"SC\")");
		return AT_OK;
	}
	if (!at_arg_text(c, 0, facility, sizeof(facility)) || at_arg_int(c, 1, &mode) < 0)
		return CME_PARAMETERS;
	if (strcmp(facility, "SC") != 0 || mode != 2)
		return CME_NOT_ALLOWED;
	emu_line(m, "+CLCK: %d", m->pin != NULL);
	return AT_OK;
}

static const struct {
	const char *name;
	emu_handler *run;
} commands[] = {
	{"E", echo},
	{"V", verbose},
	{"Q", quiet},
	{"Z", reset},
	{"&F", reset},
	{"X", nothing},
	{"&C", nothing},
	{"&D", nothing},
	{"&W", nothing},
	{"&K", nothing},
	{"&S", nothing},
	{"H", nothing},
	{"L", nothing},
	{"M", nothing},
	{"T", nothing},
	{"P", nothing},
	{"I", identify},
	{"D", dial},
	{"A", dial},
	{"O", dial},
	{"+GMI", manufacturer},
	{"+CGMI", manufacturer},
	{"+GMM", model},
	{"+CGMM", model},
	{"+GMR", revision},
	{"+CGMR", revision},
	{"+GSN", imei},
	{"+CGSN", imei},
	{"+CIMI", imsi},
	{"+CCID", iccid},
	{"^ICCID", iccid},
	{"+CNUM", own_number},
	{"+CMEE", cmee},
	{"+CSCS", cscs},
	{"+CPIN", cpin},
	{"+CREG", creg},
	{"+CGREG", cgreg},
	{"+CEREG", cereg},
	{"+CGATT", cgatt},
	{"+COPS", cops},
	{"+CSQ", csq},
	{"+CBC", cbc},
	{"+CFUN", cfun},
	{"+CPAS", cpas},
	{"+CCLK", cclk},
	{"+GCAP", gcap},
	{"+CLCK", clck},
	{"^CURC", own_command},
	{"^PORTSEL", own_command},
	{"+ZCDRUN", own_command},
	{"+ZOPRT", own_command},
	{"+CHUP", nothing},
	{"+IPR", nothing},
	{"+IFC", nothing},
	{"+ICF", nothing},
};

emu_handler *emu_general_find(const char *name)
{
	if (name[0] == 'S')
		return s_register;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return commands[i].run;
	}
	return NULL;
}
