/* Operators and the lab: one JSON object a request, {"do": VERB, …}; one a reply,
 * {"ok": true, …} or {"ok": false, "error": "…"} (contracts.md, serve).
 *
 *   disable, enable {uuid}            durable before the reply
 *   decommission, readmit {uuid}      family revoked, codes void; and back again
 *   lift {uuid}                       ends a quarantine
 *   ledger {uuid?, days?, from?, limit?}   SMS by device and day
 *   keys, rotate-key {key}, retire-key {kid}   server/keyring.h
 *   clock, clock-accept               server/clock.h
 *   show {uuid}
 *   list {from?, limit?}              devices of the registry by index; "next" where there are more
 *   command {uuid, command, id?}      queues {"name", …}; "id" in the reply
 *   cancel {uuid, id?}                that one, or all of the device; "cancelled" counts
 *   commands {uuid?, from?, limit?}   what waits; "next" where there is more
 *   stats
 * with --lab:
 *   fault {fault}                     core/fault.h
 *   disarm {name}
 *   crash-at {point}                  core/crash.h
 *   answer {code, resource?, times? | share?, message?}   code 0 forgets all
 *   clock-offset {ms}, delay {ns}
 *   disk {what, for_ns?}              core/disk.h
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/control_internal.h"
#include "server/server_internal.h"


struct verb {
	const char *name;
	bool lab;
	/* Members of the reply, or NULL and `e`. */
	json_t *(*run)(struct server *s, json_t *request, struct err *e);
};

const char *control_text(json_t *request, const char *key)
{
	return json_string_value(json_object_get(request, key));
}

static json_t *do_stats(struct server *s, json_t *request, struct err *e)
{
	const struct enroll_counts *c = enroll_counts(s->enroll);
	json_t *requests = json_object();

	(void)request;
	(void)e;
	for (int i = 0; i < MSG_RESOURCES; i++)
		json_object_set_new(requests, i == MSG_OTHER ? "other" : msg_resource_name((enum msg_resource)i),
				    json_integer((json_int_t)c->requests[i]));
	return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "requests", requests, "commits", (json_int_t)s->commits, "connections", (json_int_t)quic_connections(s->quic), "halfOpen",
			 (json_int_t)quic_half_open(s->quic), "devices",
			 (json_int_t)registry_count(enroll_registry(s->enroll)), "outbox",
			 (json_int_t)enroll_outbox_size(s->enroll), "codesIssued", (json_int_t)c->codes_issued,
			 "codesUsed", (json_int_t)c->codes_used, "logins", (json_int_t)c->logins, "refreshes",
			 (json_int_t)c->refreshes, "publishes", (json_int_t)c->publishes, "revoked",
			 (json_int_t)c->revoked, "smsHanded", (json_int_t)c->sms_handed, "smsBusy",
			 (json_int_t)c->sms_busy, "smsFailed", (json_int_t)c->sms_failed, "smsUnknown",
			 (json_int_t)c->sms_unknown, "noCommonKey", (json_int_t)c->no_common_key, "reuses", (json_int_t)c->reuses, "quarantined",
			 (json_int_t)c->quarantined, "storeFailures",
			 (json_int_t)c->store_failures);
}

static int arm_hook(struct server *s, struct err *e)
{
	if (s->faults)
		return 0;
	s->faults = faults_new(s->cfg.seed);
	if (!s->faults)
		return err_set(e, ERR_NOMEM, "out of memory");
	journal_set_hook(s->journal, fault_hook, s->faults);
	return 0;
}

static json_t *do_fault(struct server *s, json_t *request, struct err *e)
{
	json_t *spec = json_object_get(request, "fault");
	const char *what;

	if (!s->journal) {
		err_set(e, ERR_UNEXPECTED, "faults need a journal");
		return NULL;
	}
	if (!json_is_object(spec)) {
		err_set(e, ERR_PARSE, "'fault' is an object");
		return NULL;
	}
	what = control_text(spec, "do");
	if (what && strcmp(what, "reply") == 0 && script_check(json_object_get(spec, "args"), e))
		return NULL;
	if (json_object_get(spec, "at")) {
		if (server_arm_crash(s, spec, e))
			return NULL;
	} else if (arm_hook(s, e) || faults_arm(s->faults, spec, e)) {
		return NULL;
	}
	SERVER_EVENT(s, J_FAULT_ARMED, JS(NAME, control_text(spec, "name")));
	return json_object();
}

static json_t *do_disarm(struct server *s, json_t *request, struct err *e)
{
	const char *name = control_text(request, "name");

	if (!name || ((!s->faults || faults_disarm(s->faults, name)) &&
		      (!s->crashes || faults_disarm(s->crashes, name)))) {
		err_set(e, ERR_NOTFOUND, "no such fault is armed");
		return NULL;
	}
	return json_object();
}

static json_t *do_crash_at(struct server *s, json_t *request, struct err *e)
{
	const char *point = control_text(request, "point");
	int p = point ? crash_by_name(point) : -1;

	if (p < 0) {
		err_set(e, ERR_PARSE, "no such crash point; see quicrig list --crash-points");
		return NULL;
	}
	s->crash_at = p;
	return json_object();
}

static json_t *do_answer(struct server *s, json_t *request, struct err *e)
{
	json_t *code = json_object_get(request, "code"), *times = json_object_get(request, "times"),
	       *share = json_object_get(request, "share");
	const char *resource = control_text(request, "resource"), *message = control_text(request, "message");
	struct answer_rule rule = {.resource = MSG_RESOURCES, .times = INT64_MAX, .share = 1};

	if (!json_is_integer(code) || (times && json_integer_value(times) < 1) ||
	    (share && !(json_number_value(share) > 0 && json_number_value(share) <= 1))) {
		err_set(e, ERR_PARSE, "answer wants an integer code, times from 1, share above 0 and up to 1");
		return NULL;
	}
	if (!json_integer_value(code)) {
		memset(s->rules, 0, sizeof(s->rules));
		return json_object();
	}
	if (resource) {
		rule.resource = strcmp(resource, "other") == 0 ? MSG_OTHER
							       : (enum msg_resource)msg_resource_by_name(resource);
		if (rule.resource == MSG_OTHER && strcmp(resource, "other") != 0) {
			err_set(e, ERR_PARSE, "no such resource");
			return NULL;
		}
	}
	rule.code = (int)json_integer_value(code);
	if (times)
		rule.times = json_integer_value(times);
	if (share)
		rule.share = json_number_value(share);
	snprintf(rule.message, sizeof(rule.message), "%s", message ? message : "");
	for (unsigned i = 0; i < ANSWER_RULES; i++) {
		if (!s->rules[i].code) {
			s->rules[i] = rule;
			return json_object();
		}
	}
	err_set(e, ERR_LIMIT, "at most %d answers at a time", ANSWER_RULES);
	return NULL;
}

static json_t *do_clock_offset(struct server *s, json_t *request, struct err *e)
{
	json_t *ms = json_object_get(request, "ms");

	if (!json_is_integer(ms) || server_clock(s, json_integer_value(ms))) {
		err_set(e, ERR_PARSE, "clock-offset wants ms, at most a hundred years of them");
		return NULL;
	}
	return json_object();
}

static json_t *do_disk(struct server *s, json_t *request, struct err *e)
{
	const char *what = control_text(request, "what");
	json_t *length = json_object_get(request, "for_ns");
	int t = what ? disk_trouble_by_name(what) : -1;

	if (t < 0 || (length && (!json_is_integer(length) || json_integer_value(length) < 1))) {
		err_set(e, ERR_PARSE, "disk wants 'what': sound, full, write, read_only or sync; for_ns is more than nothing");
		return NULL;
	}
	server_disk(s, (enum disk_trouble)t, length ? (time_ns)json_integer_value(length) : TIME_NEVER);
	return json_object();
}

static json_t *do_delay(struct server *s, json_t *request, struct err *e)
{
	json_t *ns = json_object_get(request, "ns");

	if (!json_is_integer(ns) || json_integer_value(ns) < 0) {
		err_set(e, ERR_PARSE, "delay wants ns");
		return NULL;
	}
	s->delay = (time_ns)json_integer_value(ns);
	return json_object();
}

static const struct verb verbs[] = {
	{"disable", false, control_disable},
	{"enable", false, control_enable},
	{"list", false, control_list},
	{"show", false, control_show},
	{"decommission", false, control_decommission},
	{"readmit", false, control_readmit},
	{"lift", false, control_lift},
	{"clock", false, control_clock},
	{"clock-accept", false, control_clock_accept},
	{"ledger", false, control_ledger},
	{"keys", false, control_keys},
	{"rotate-key", false, control_rotate_key},
	{"retire-key", false, control_retire_key},
	{"command", false, control_command},
	{"cancel", false, control_cancel},
	{"commands", false, control_commands},
	{"stats", false, do_stats},
	{"fault", true, do_fault},       {"disarm", true, do_disarm},
	{"crash-at", true, do_crash_at}, {"answer", true, do_answer},
	{"delay", true, do_delay},       {"clock-offset", true, do_clock_offset},
	{"disk", true, do_disk},
};

static json_t *dispatch(struct server *s, json_t *request, struct err *e)
{
	const char *what = control_text(request, "do");

	if (!what) {
		err_set(e, ERR_PARSE, "a request is an object with a text 'do'");
		return NULL;
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, what) != 0)
			continue;
		if (verbs[i].lab && !s->cfg.lab) {
			err_set(e, ERR_UNSUPPORTED, "'%s' needs --lab", what);
			return NULL;
		}
		return verbs[i].run(s, request, e);
	}
	err_set(e, ERR_UNSUPPORTED, "no control verb '%.32s'", what);
	return NULL;
}

void server_control(struct server *s, const struct instant *at, json_t *request, struct buf *reply)
{
	struct err e = {0};
	json_t *out;
	char *text;

	server_set_time(s, at);
	if (s->dead || s->stopped) {
		buf_puts(reply, "{\"ok\":false,\"error\":\"the server has stopped\"}\n");
		return;
	}
	out = dispatch(s, request, &e);
	if (out)
		json_object_set_new(out, "ok", json_true());
	else
		out = json_pack("{s:b, s:s, s:o*}", "ok", 0, "error", e.text[0] ? e.text : err_text(ERR_NOMEM), "retry",
				e.code == ERR_IO ? json_true() : NULL);
	text = out ? json_dumps(out, JSON_COMPACT) : NULL;
	if (text) {
		buf_puts(reply, text);
		buf_puts(reply, "\n");
	}
	free(text);
	json_decref(out);
}
