#include "hil/run/offline_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/smstext.h"

#define STEP_EVENTS_MAX 16 /* journal lines of one step of a device */
#define TOKEN_LIFE_S	900

const char *offline_row_event(const struct journal_event *ev)
{
	const char *row = journal_text(ev, JF_ROW), *dot = strchr(row, '.');

	return dot ? dot + 1 : row;
}

static void say(struct life *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct life *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(l->words, sizeof(l->words), fmt, ap);
	va_end(ap);
}

/* Marks a value that the journal does not hold. */
static void assume(struct life *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void assume(struct life *l, const char *fmt, ...)
{
	size_t len = strlen(l->words);
	va_list ap;

	len += (size_t)snprintf(l->words + len, sizeof(l->words) - len, "; assumed: ");
	if (len < sizeof(l->words)) {
		va_start(ap, fmt);
		vsnprintf(l->words + len, sizeof(l->words) - len, fmt, ap);
		va_end(ap);
	}
	l->out->assumed++;
}

/* ---- what belongs to the same step ---- */

static const struct journal_event *ahead(const struct life *l, size_t k)
{
	const struct journal_event *now = l->lane->told.v[l->i], *ev;

	if (k >= STEP_EVENTS_MAX || l->i + k >= l->lane->told.n)
		return NULL;
	ev = l->lane->told.v[l->i + k];
	return ev->t == now->t && (k == 0 || ev->kind != J_DEVICE_REPLY) ? ev : NULL;
}

static const struct journal_event *ahead_kind(const struct life *l, enum journal_kind kind)
{
	const struct journal_event *ev;

	for (size_t k = 0; (ev = ahead(l, k)); k++)
		if (ev->kind == kind)
			return ev;
	return NULL;
}

/* The row that a reply led to, or the one that its command did ("cmd_…"). */
static const char *ahead_row(const struct life *l, bool command)
{
	const struct journal_event *ev;

	for (size_t k = 0; (ev = ahead(l, k)); k++)
		if (ev->kind == J_DEVICE_STATE && (strncmp(offline_row_event(ev), "cmd_", 4) == 0) == command)
			return offline_row_event(ev);
	return "";
}

/* ---- codes and SMS ---- */

static void made_up(unsigned k, char out[13])
{
	snprintf(out, 13, "REPLAY%06u", k % 1000000);
}

static void code_for(struct life *l, const char *fp, char out[13])
{
	for (unsigned k = 0; k < l->codes_n; k++) {
		if (strcmp(l->codes[k], fp) == 0) {
			made_up(k, out);
			return;
		}
	}
	if (l->codes_n < OFFLINE_CODES_MAX && fp[0]) {
		snprintf(l->codes[l->codes_n], sizeof(l->codes[0]), "%s", fp);
		made_up(l->codes_n++, out);
	} else {
		made_up(OFFLINE_CODES_MAX + l->made++, out);
	}
}

const char *offline_code_recorded(const struct life *l, const char *fp_now)
{
	char code[13], fp[HASH_FP_SIZE];

	for (unsigned k = 0; k < l->codes_n; k++) {
		made_up(k, code);
		hash_fingerprint(l->o->run_key, code, fp);
		if (strcmp(fp, fp_now) == 0)
			return l->codes[k];
	}
	return "";
}

static int sms(struct life *l, const char *fp, const char *why)
{
	const char *uuid = l->identity.uuid, *from = OFFLINE_SENDER;
	const char *const *known = plan_known_senders(l->o->plan);
	char code[13], reg[9];

	code_for(l, fp, code);
	snprintf(reg, sizeof(reg), "%.8s", device_registration(l->dev));
	if (known && known[0])
		from = known[0];
	if (strcmp(why, "sms_uuid") == 0)
		uuid = "00000000-0000-4000-8000-000000000000";
	if (strcmp(why, "sms_registration") == 0)
		snprintf(reg, sizeof(reg), "%s", strcmp(reg, "00000000") ? "00000000" : "11111111");
	if (strcmp(why, "sms_sender") == 0)
		from = "nobody that it knows";
	if (strcmp(why, "sms_form") == 0)
		snprintf(l->text, sizeof(l->text), "no text of ours");
	else
		snprintf(l->text, sizeof(l->text), "@%s.quicrig #%s r=%s", uuid, code, reg);
	l->in.kind = DEVICE_SMS;
	l->in.from = from;
	l->in.text = l->text;
	say(l, "an SMS%s%s", why[0] ? ", one that is not for it: " : " that fits", why);
	return 0;
}

static int long_code(struct life *l)
{
	memset(l->text, 'A', DEVICE_CODE_MAX + 1);
	l->text[DEVICE_CODE_MAX + 1] = '\0';
	l->in.kind = DEVICE_CODE;
	l->in.text = l->text;
	say(l, "a code that is too long");
	return 0;
}

/* ---- replies ---- */

static json_t *register_payload(struct life *l, const char *why, const char *row)
{
	bool totp = strcmp(row, "200_totp") == 0 || strcmp(why, "no_totp_secret") == 0;
	int64_t interval = plan_settings(l->o->plan)->v[SETTING_PUBLISH_INTERVAL] / (int64_t)NS_PER_S;

	if (strcmp(why, "malformed") == 0)
		return json_object();
	assume(l, "publishes every %lld s", (long long)interval);
	return json_pack("{s:s, s:s, s:{s:I}}", "serverPublicKey",
			 strcmp(why, "key_not_pinned") ? l->o->public_pem :
							 "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
			 "twoAuthMethod", strcmp(why, "method_not_offered") == 0 ? "PIGEON" :
					  totp					 ? "TOTP" :
										   "SMS",
			 "deviceConfig", "publishInterval", (json_int_t)interval);
}

/* One of a pair, as bad as the device found it. */
static json_t *one_token(struct life *l, enum token_use use, const char *jti, const char *fam, const char *why)
{
	struct token_claims c = {.use = use,
				 .has_exp = true,
				 .has_iat = true,
				 .has_nbf = true,
				 .iat = l->at.unix_ms / 1000,
				 .nbf = l->at.unix_ms / 1000};
	char *token = NULL;
	json_t *j;

	c.exp = strcmp(why, "token_dates") == 0 ? c.iat : c.iat + TOKEN_LIFE_S;
	if (strcmp(why, "token_kind") == 0)
		c.use = use == TOKEN_ACCESS ? TOKEN_REFRESH : TOKEN_ACCESS;
	snprintf(c.sub, sizeof(c.sub), "%s",
		 strcmp(why, "token_owner") ? l->identity.uuid : "00000000-0000-4000-8000-000000000000");
	snprintf(c.jti, sizeof(c.jti), "%s", jti);
	snprintf(c.fam, sizeof(c.fam), "%s", fam);
	snprintf(c.iss, sizeof(c.iss), "quicrig");
	snprintf(c.aud, sizeof(c.aud), "quicrig/%s", c.use == TOKEN_ACCESS ? "access" : "refresh");
	snprintf(c.kid, sizeof(c.kid), "%s", l->o->kid);
	if (token_sign(l->o->signer, &c, &token, NULL))
		return NULL;
	if (strcmp(why, "token_signature") == 0) {
		char *sig = strrchr(token, '.') + 8;

		*sig = *sig == 'A' ? 'B' : 'A';
	}
	j = json_string(token);
	free(token);
	return j;
}

static json_t *tokens_payload(struct life *l, const struct journal_event *r, const char *why)
{
	const struct journal_event *written = ahead_kind(l, J_TOKENS_WRITTEN);
	const char *fam = journal_text(r, JF_FAM), *jti = written ? journal_text(written, JF_JTI) : "";

	if (strcmp(why, "tokens_missing") == 0)
		return json_object();
	if (!fam[0])
		fam = "00000000000000000000000000000001";
	if (!jti[0])
		jti = "00000000000000000000000000000002";
	return json_pack("{s:{s:o, s:o}}", "tokens", "accessToken",
			 one_token(l, TOKEN_ACCESS, "00000000000000000000000000000003", fam, why), "refreshToken",
			 one_token(l, TOKEN_REFRESH, jti, fam, why));
}

/* What the plan says of a command of this name (the last one); NULL where it says nothing. */
static json_t *planned_command(const struct life *l, const char *name)
{
	static const char *const lists[] = {"steps", "faults"};
	json_t *part, *then, *c, *found = NULL;
	size_t i;

	for (size_t k = 0; k < 2; k++) {
		json_array_foreach(json_object_get(l->o->plan_json, lists[k]), i, part)
		{
			c = json_object_get(part, "command");
			if (!c)
				c = json_object_get(json_object_get(part, "args"), "command");
			then = json_object_get(json_object_get(part, "then"), "args");
			if (!c)
				c = json_object_get(then, "command");
			if (c && strcmp(json_string_value(json_object_get(c, "name")) ?
						json_string_value(json_object_get(c, "name")) :
						"",
					name) == 0)
				found = c;
		}
	}
	return found;
}

/* How long the pause was, by when it ended. */
static json_int_t pause_s(struct life *l, time_ns now)
{
	json_t *planned = json_object_get(planned_command(l, "PAUSE"), "seconds");

	for (size_t k = l->i; k < l->lane->told.n; k++) {
		const struct journal_event *ev = l->lane->told.v[k];

		if (ev->kind == J_DEVICE_STATE && strcmp(journal_text(ev, JF_ROW), "PA.over") == 0)
			return (json_int_t)((ev->t - now) / NS_PER_S);
	}
	assume(l, "pauses %lld s", planned ? (long long)json_integer_value(planned) : (long long)DEVICE_RETRY_MAX_S);
	return planned ? json_integer_value(planned) : DEVICE_RETRY_MAX_S;
}

static json_t *command(struct life *l, const struct journal_event *r)
{
	const char *row = ahead_row(l, true), *id = "";
	const struct journal_event *done = ahead_kind(l, J_COMMAND_DONE), *ignored = ahead_kind(l, J_DEVICE_IGNORED);
	json_t *interval;
	char made[24];

	if (ignored && strcmp(journal_text(ignored, JF_WHY), "command") == 0 && !row[0])
		row = "cmd_other";
	if (ignored && strcmp(journal_text(ignored, JF_WHY), "command_again") == 0) {
		for (size_t k = 0; k < l->i; k++)
			if (l->lane->told.v[k]->kind == J_COMMAND_DONE)
				id = journal_text(l->lane->told.v[k], JF_ID);
		return json_pack("{s:s, s:s}", "id", id, "name", "IDLE");
	}
	if (!row[0])
		return NULL;
	snprintf(made, sizeof(made), "replay-%u", l->commands++);
	id = done ? journal_text(done, JF_ID) : made;
	if (strcmp(row, "cmd_pause") == 0)
		return json_pack("{s:s, s:s, s:I}", "id", id, "name", "PAUSE", "seconds", pause_s(l, r->t));
	if (strcmp(row, "cmd_keys") == 0)
		return json_pack("{s:s, s:s, s:[s]}", "id", id, "name", "KEYS", "keys", l->o->public_pem);
	if (strcmp(row, "cmd_config") == 0) {
		interval = json_object_get(planned_command(l, "CONFIG"), "publishInterval");
		assume(l, "publishes every %lld s from here on", interval ? (long long)json_integer_value(interval) : 60LL);
		return json_pack("{s:s, s:s, s:I}", "id", id, "name", "CONFIG", "publishInterval",
				 interval ? json_integer_value(interval) : (json_int_t)60);
	}
	if (strcmp(row, "cmd_reset") == 0 || strcmp(row, "cmd_idle") == 0)
		return json_pack("{s:s, s:s}", "id", id, "name", row[4] == 'r' ? "RESET" : "IDLE");
	return json_pack("{s:s, s:s}", "id", id, "name", "DANCE");
}

static int sign(struct life *l, int code, const char *resource, json_t *payload, json_t *cmd, int64_t retry_s,
		const char *why, char **out)
{
	char other[NONCE_LEN + 1];
	struct reply_claims c = {.nonce = l->nonce,
				 .resource = resource,
				 .code = code,
				 .payload = payload,
				 .command = cmd,
				 .retry_after_s = retry_s};

	*out = NULL;
	/* what never needs one is spared it */
	if (strcmp(why, "unsigned") == 0 || code == MSG_NO_CODE || (code == 200 && !cmd))
		return 0;
	if (strcmp(why, "signature") == 0) { /* of another request */
		memset(other, 'f', NONCE_LEN);
		other[NONCE_LEN] = '\0';
		c.nonce = other;
	}
	return reply_sign(l->o->signer, l->o->kid, &c, out, NULL);
}

static int reply(struct life *l, const struct journal_event *r)
{
	const char *resource = journal_text(r, JF_RESOURCE), *why = journal_text(r, JF_WHY), *row = ahead_row(l, false);
	int code = (int)journal_int(r, JF_CODE, 0);
	int64_t retry_s = journal_int(r, JF_RETRY_S, -1);
	json_t *payload = NULL, *cmd = NULL;
	char *signature = NULL;
	struct buf text;
	int rv;

	say(l, "a reply, %d to %s%s%s", code, resource, why[0] ? ": " : "", why);
	buf_init(&text, MSG_REPLY_MAX);
	if (!code && strcmp(row, "unknown") != 0)
		code = MSG_NO_CODE;
	if (code == 200 && strcmp(resource, "registerDevice") == 0)
		payload = register_payload(l, why, row);
	else if (code == 200 && (strcmp(resource, "login") == 0 || strcmp(resource, "refreshToken") == 0))
		payload = tokens_payload(l, r, why);
	else if (code != MSG_NO_CODE)
		payload = json_pack("{s:s}", "message", "replayed");
	if (code == 200)
		cmd = command(l, r);
	rv = (code != MSG_NO_CODE && !payload) || sign(l, code, resource, payload, cmd, retry_s, why, &signature) ? ERR_NOMEM
														  : 0;
	if (!rv && code == MSG_NO_CODE)
		rv = buf_puts(&text, "{}");
	else if (!rv)
		rv = msg_response_build(code, NULL, payload, cmd, retry_s, signature, &text);
	if (!rv)
		rv = msg_response_parse(text.data, text.len, &l->response);
	if (!rv && code == MSG_NO_CODE)
		l->response.retry_after_s = retry_s;
	free(signature);
	json_decref(payload);
	json_decref(cmd);
	buf_fini(&text);
	l->in.kind = DEVICE_REPLY;
	l->in.id = device_in_flight(l->dev);
	l->in.response = &l->response;
	l->in.status = journal_has(r, JF_STATUS) ? journal_text(r, JF_STATUS) : NULL;
	return rv;
}

static int late_reply(struct life *l)
{
	static const char text[] = "{\"code\":200}";

	say(l, "a reply that nobody waits for");
	l->in.kind = DEVICE_REPLY;
	l->in.id = UINT64_MAX;
	l->in.response = &l->response;
	return msg_response_parse(text, sizeof(text) - 1, &l->response);
}

/* ---- power, time ---- */

static int power_on(struct life *l, bool unreadable)
{
	char name[UUID_LEN + 16];

	l->in.kind = DEVICE_POWER_ON;
	say(l, "power on%s", unreadable ? ", its file unreadable" : "");
	buf_reset(&l->file);
	device_file_name(l->dev, name, sizeof(name));
	if (unreadable)
		buf_puts(&l->file, "torn");
	else
		storage_read(storage_mem_storage(l->disk), name, &l->file);
	if (l->file.len) {
		l->in.data = l->file.data;
		l->in.len = l->file.len;
	}
	return 0;
}

static int plain(struct life *l, enum device_event_kind kind, const char *words)
{
	l->in.kind = kind;
	l->in.id = device_in_flight(l->dev);
	say(l, "%s", words);
	return 0;
}

static int by_row(struct life *l, const struct journal_event *r)
{
	static const char *const timers[] = {"backoff", "hold_over", "code_wait", "due", "send", "over", "no_answer"};
	const struct journal_event *code = ahead_kind(l, J_DEVICE_CODE);
	const char *event = offline_row_event(r);

	if (strcmp(event, "on") == 0 || strcmp(event, "on_tokens") == 0)
		return power_on(l, false);
	if (strcmp(event, "off") == 0)
		return plain(l, DEVICE_POWER_OFF, "power off");
	if (strcmp(event, "link_lost") == 0)
		return plain(l, DEVICE_LINK_LOST, "the link is lost");
	if (strcmp(event, "late") == 0)
		return late_reply(l);
	if (strcmp(event, "sms") == 0)
		return sms(l, code ? journal_text(code, JF_CODE_FP) : "", "");
	if (strcmp(event, "sms_other") == 0)
		return sms(l, "", "sms_form");
	for (size_t i = 0; i < sizeof(timers) / sizeof(timers[0]); i++)
		if (strcmp(event, timers[i]) == 0)
			return plain(l, DEVICE_TIMER, "its deadline came");
	say(l, "nothing that is recorded");
	return ERR_NOTFOUND;
}

static int by_ignored(struct life *l, const struct journal_event *r)
{
	const char *why = journal_text(r, JF_WHY);

	if (strcmp(why, "file_unreadable") == 0 || strcmp(why, "power_on") == 0)
		return power_on(l, why[0] == 'f');
	if (strcmp(why, "sms") == 0)
		return sms(l, "", "");
	if (strncmp(why, "sms_", 4) == 0)
		return sms(l, "", why);
	if (strcmp(why, "code_too_long") == 0)
		return long_code(l);
	if (strcmp(why, "late") == 0)
		return late_reply(l);
	say(l, "nothing that is recorded");
	return ERR_NOTFOUND;
}

int offline_input(struct life *l)
{
	const struct journal_event *r = l->lane->told.v[l->i];

	memset(&l->in, 0, sizeof(l->in));
	memset(&l->response, 0, sizeof(l->response));
	switch (r->kind) {
	case J_DEVICE_STATE:
		return by_row(l, r);
	case J_DEVICE_REPLY:
		return reply(l, r);
	case J_DEVICE_IGNORED:
		return by_ignored(l, r);
	case J_DEVICE_CODE:
		if (strcmp(journal_text(r, JF_STATUS), "held") == 0)
			return sms(l, journal_text(r, JF_CODE_FP), "");
		/* fall through */
	default:
		say(l, "nothing that is recorded");
		return ERR_NOTFOUND;
	}
}

void offline_input_fini(struct life *l)
{
	msg_response_fini(&l->response);
	memset(&l->response, 0, sizeof(l->response));
}
