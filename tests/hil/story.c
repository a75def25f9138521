#include "tests/hil/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

const char story_good[] =
	"0 runner scenario.start id=s/x\n"
	"0 server server.state state=up\n"
	"0 A[1] device.added group=A label=A[1] role=known\n"
	"0 A[1] device.state from=OFF to=NOT_PROVISIONED row=OFF.on\n"
	"0 A[1] device.state from=NOT_PROVISIONED to=REGISTERING row=NP.backoff\n"
	"0 A[1] device.request req=q1 reg=r1 resource=registerDevice\n"
	"10 server code.issued req=q1 reg=r1 code_fp=c1\n"
	"10 server sms.queued reg=r1 id=m1 code_fp=c1 to_fp=t1\n"
	"10 server server.decision req=q1 reg=r1 resource=registerDevice code=200 why=ok signed=0\n"
	"10 server server.reply req=q1 reg=r1 resource=registerDevice code=200\n"
	"12 A[1] device.reply req=q1 code=200 resource=registerDevice signed=0\n"
	"12 A[1] device.state from=REGISTERING to=AWAITING_CODE row=RG.200_sms code=200\n"
	"15 carrier sms.submitted id=m1 code_fp=c1 to_fp=t1\n"
	"20 modem:r1 sms.delivered code_fp=c1 to_fp=t1\n"
	"20 A[1] device.state from=AWAITING_CODE to=LOGGING_IN row=AC.sms\n"
	"20 A[1] device.code req=q2 code_fp=c1 status=used\n"
	"20 A[1] device.request req=q2 reg=r1 resource=login\n"
	"30 server token.issued req=q2 reg=r1 jti=a1 fam=f1 use=access\n"
	"30 server token.issued req=q2 reg=r1 jti=b1 fam=f1 use=refresh\n"
	"30 server code.used req=q2 reg=r1 code_fp=c1\n"
	"30 server server.decision req=q2 reg=r1 resource=login code=200 why=ok signed=0\n"
	"30 server server.reply req=q2 reg=r1 resource=login code=200\n"
	"32 A[1] device.reply req=q2 code=200 resource=login signed=0 fam=f1\n"
	"32 A[1] tokens.written jti=b1 fam=f1\n"
	"32 A[1] tokens.renamed jti=b1 fam=f1\n"
	"32 A[1] net.count sent=9 received=9\n"
	"32 A[1] device.state from=LOGGING_IN to=PROVISIONED row=LI.200 code=200\n"
	"32 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.due\n"
	"32 A[1] device.request req=q3 reg=r1 resource=publishMeasure ts=1\n"
	"40 server token.presented req=q3 reg=r1 jti=a1 fam=f1 use=access\n"
	"40 server server.decision req=q3 reg=r1 resource=publishMeasure code=200 why=ok signed=0\n"
	"40 server server.reply req=q3 reg=r1 resource=publishMeasure code=200\n"
	"42 A[1] device.reply req=q3 code=200 resource=publishMeasure signed=0\n"
	"42 A[1] device.state from=PROVISIONED to=PROVISIONED row=PV.200 code=200\n"
	"5000 runner scenario.end id=s/x why=settled\n";

char *story_edit(const char *good, const char *find, const char *put)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);
	bool found = false;

	while (*good) {
		const char *end = strchr(good, '\n') + 1;
		char *line = strndup(good, (size_t)(end - good));

		if (strstr(line, find)) {
			found = true;
			fputs(put ? put : "", f);
		} else {
			fputs(line, f);
		}
		free(line);
		good = end;
	}
	fclose(f);
	ck_assert_msg(found, "the story has no line '%s'", find);
	return out;
}

static void set(struct journal_event *ev, const char *key, char *value)
{
	int f;

	if (strcmp(key, "dev") == 0) {
		ev->dev = value[0] == '-' ? NULL : value;
	} else if (strcmp(key, "req") == 0) {
		ev->req = value;
	} else if (strcmp(key, "reg") == 0) {
		ev->reg = value;
	} else {
		f = journal_field_by_name(key);
		ck_assert_msg(f >= 0, "no field %s", key);
		ev->v[ev->n].field = (enum journal_field)f;
		if (journal_field_is_text((enum journal_field)f))
			ev->v[ev->n].s = value;
		else
			ev->v[ev->n].i = atoll(value);
		ev->n++;
	}
}

static void tell_line(struct oracle *o, char *line, uint64_t seq)
{
	char *save, *word = strtok_r(line, " ", &save), dev[16] = "u1";
	struct journal_event ev = {.seq = seq};
	struct buf raw;
	int kind;

	ev.t = strtoull(word, NULL, 10) * NS_PER_MS;
	ev.actor = strtok_r(NULL, " ", &save);
	word = strtok_r(NULL, " ", &save);
	kind = journal_kind_by_name(word);
	ck_assert_msg(kind >= 0, "no kind %s", word);
	ev.kind = (enum journal_kind)kind;
	if (ev.actor[1] == '[')
		snprintf(dev, sizeof(dev), "u%d", atoi(ev.actor + 2));
	ev.dev = strcmp(ev.actor, "runner") == 0 || ev.kind == J_SERVER_STATE ? NULL : dev;
	while ((word = strtok_r(NULL, " ", &save))) {
		char *value = strchr(word, '=');

		*value++ = '\0';
		for (char *blank = value; (blank = strchr(blank, '~')); )
			*blank = ' ';
		set(&ev, word, value);
	}
	buf_init(&raw, 4 * JOURNAL_LINE_MAX);
	ck_assert_int_eq(journal_format(&ev, &raw), 0);
	oracle_line(o, raw.data, raw.len);
	buf_fini(&raw);
	oracle_event(o, &ev);
}

void story_tell(struct oracle *o, const char *lines)
{
	char *copy = strdup(lines), *save, *line;
	uint64_t seq = 0;

	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		tell_line(o, line, seq++);
	free(copy);
}

void story_judge(const char *plan, const char *lines, struct scenario_result *out)
{
	struct oracle_options opt = {.today = "2026-06-01"};
	struct err e = {0};
	json_error_t je;
	json_t *j = json_loads(plan ? plan : "{\"id\": \"s/x\"}", 0, &je);
	struct oracle *o;

	ck_assert_msg(j != NULL, "%s", je.text);
	o = oracle_new(j, &opt, &e);
	ck_assert_msg(o != NULL, "%s", e.text);
	story_tell(o, lines);
	memset(out, 0, sizeof(*out));
	ck_assert_int_eq(oracle_finish(o, NULL, out), 0);
	oracle_free(o);
	json_decref(j);
}

const struct check_result *story_check(const struct scenario_result *s, const char *name)
{
	for (size_t i = 0; i < s->checks_n; i++)
		if (strcmp(s->checks[i].name, name) == 0)
			return &s->checks[i];
	ck_abort_msg("no check '%s'", name);
	return NULL;
}
