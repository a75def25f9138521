#include "server/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plant.h"
#include "server/enroll_internal.h"

#define ID_BYTES  8
#define DAY_MS    (24 * 3600 * INT64_C(1000))
#define KEYS_SENT 2 /* as many as a device pins */

/* ---- queueing ---- */

static bool only(json_t *command, const char *member)
{
	const char *key;
	json_t *v;

	json_object_foreach(command, key, v) {
		if (strcmp(key, "name") != 0 && (!member || strcmp(key, member) != 0))
			return false;
	}
	return true;
}

/* {"name": …, member: n}, n cut to a day. */
static json_t *with_seconds(json_t *command, const char *member, struct err *e)
{
	json_t *v = json_object_get(command, member);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || !only(command, member)) {
		err_set(e, ERR_PARSE, "%s wants '%s' in whole seconds from 1, and nothing else",
			json_string_value(json_object_get(command, "name")), member);
		return NULL;
	}
	return json_pack("{s:O, s:I}", "name", json_object_get(command, "name"), member,
			 n > COMMAND_SECONDS_MAX ? (json_int_t)COMMAND_SECONDS_MAX : n);
}

static json_t *with_keys(json_t *command, struct err *e)
{
	json_t *keys = json_object_get(command, "keys"), *one;
	char kid[KID_MAX + 1];
	size_t i;

	if (!only(command, "keys") || (keys && (json_array_size(keys) < 1 || json_array_size(keys) > KEYS_SENT))) {
		err_set(e, ERR_PARSE, "KEYS may have 'keys', a list of one or two public keys, and nothing else");
		return NULL;
	}
	json_array_foreach(keys, i, one) {
		if (!json_is_string(one) || token_kid(json_string_value(one), kid, NULL)) {
			err_set(e, ERR_PARSE, "key %zu of KEYS is no public key in PEM", i + 1);
			return NULL;
		}
	}
	return json_incref(command);
}

static json_t *checked(json_t *command, bool lab, struct err *e)
{
	const char *name = json_string_value(json_object_get(command, "name"));

	if (!name || !name[0] || strlen(name) >= sizeof(((struct store_command *)0)->name)) {
		err_set(e, ERR_PARSE, "a command is an object with a name: PAUSE, CONFIG, KEYS, RESET or IDLE");
		return NULL;
	}
	if (strcmp(name, "PAUSE") == 0)
		return with_seconds(command, "seconds", e);
	if (strcmp(name, "CONFIG") == 0)
		return with_seconds(command, "publishInterval", e);
	if (strcmp(name, "KEYS") == 0)
		return with_keys(command, e);
	if (strcmp(name, "RESET") != 0 && strcmp(name, "IDLE") != 0 &&
	    !(lab && strcmp(name, "UNKNOWN") == 0)) {
		err_set(e, ERR_PARSE, "no command '%s'; there are PAUSE, CONFIG, KEYS, RESET and IDLE", name);
		return NULL;
	}
	if (!only(command, NULL)) {
		err_set(e, ERR_PARSE, "%s has no arguments", name);
		return NULL;
	}
	return json_incref(command);
}

static int put(struct enroll *en, struct store_command *c, json_t *body)
{
	char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
	int rv = !text ? ERR_NOMEM : strlen(text) >= sizeof(c->body) ? ERR_LIMIT : 0;

	if (!rv) {
		memcpy(c->body, text, strlen(text) + 1);
		rv = store_command_put(en->store, c);
	}
	free(text);
	return rv;
}

/* 0: there is room for one more. */
static int room(struct enroll *en, const char *uuid)
{
	struct store_command c;
	int64_t n = 0;
	int rv, count = 0;

	while ((rv = store_command_next(en->store, uuid, n, &c)) == 0) {
		n = c.n;
		if (++count == COMMANDS_MAX)
			return ERR_LIMIT;
	}
	return rv == ERR_NOTFOUND ? 0 : rv;
}

static bool id_valid(const char *id)
{
	size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-");

	return n >= 1 && n <= COMMAND_ID_MAX && !id[n];
}

static void draw_id(struct enroll *en, char out[COMMAND_ID_MAX + 1])
{
	uint8_t raw[ID_BYTES];

	secret_fill(en->secret, raw, sizeof(raw));
	hash_hex(raw, sizeof(raw), out);
}

static int find(struct enroll *en, const char *uuid, const char *id, struct store_command *out)
{
	int64_t n = 0;
	int rv;

	while ((rv = store_command_next(en->store, uuid, n, out)) == 0) {
		if (strcmp(out->id, id) == 0)
			return 0;
		n = out->n;
	}
	return rv;
}

static bool same(const struct store_command *c, const json_t *body)
{
	json_t *there = json_loads(c->body, 0, NULL);
	bool is = there && json_equal(there, body);

	json_decref(there);
	return is;
}

int command_queue(struct enroll *en, const struct instant *at, const char *uuid, json_t *command, const char *id,
		  bool lab, struct store_command *out, struct err *e)
{
	json_t *body;
	int rv;

	if (id && !id_valid(id))
		return err_set(e, ERR_PARSE, "an id is 1 to %d letters, digits and '-'", COMMAND_ID_MAX);
	body = checked(command, lab, e);
	if (!body)
		return ERR_PARSE;
	if (id && !find(en, uuid, id, out)) {
		rv = same(out, body) ? ERR_EXISTS
				     : err_set(e, ERR_INVALID, "another command of the id '%s' waits already", id);
		json_decref(body);
		return rv;
	}
	memset(out, 0, sizeof(*out));
	if (!registry_find(en->registry, uuid))
		rv = err_set(e, ERR_NOTFOUND, "no such device in the registry");
	else
		rv = room(en, uuid);
	if (rv == ERR_LIMIT)
		err_set(e, rv, "%d commands wait for this device already; cancel one", COMMANDS_MAX);
	else if (rv == ERR_IO)
		err_set(e, rv, "storage failed");
	if (!rv) {
		if (id)
			snprintf(out->id, sizeof(out->id), "%s", id);
		else
			draw_id(en, out->id);
		snprintf(out->uuid, sizeof(out->uuid), "%s", uuid);
		snprintf(out->name, sizeof(out->name), "%s", json_string_value(json_object_get(body, "name")));
		out->queued_ms = at->unix_ms;
		rv = store_decide(en->store);
		if (!rv)
			rv = put(en, out, body);
		if (store_decided(en->store, rv == 0) && !rv)
			rv = ERR_IO;
		if (rv)
			err_set(e, rv, rv == ERR_LIMIT ? "the command is too long" : "storage failed");
	}
	json_decref(body);
	return rv;
}

int command_cancel(struct enroll *en, const char *uuid, const char *id, struct store_command *out)
{
	int rv = find(en, uuid, id, out);

	if (rv)
		return rv;
	rv = store_decide(en->store);
	if (!rv)
		rv = store_command_delete(en->store, out);
	return store_decided(en->store, rv == 0) || rv ? ERR_IO : 0;
}

/* ---- riding ---- */

int command_done(struct enroll_call *c)
{
	const struct msg_request *m = c->m;
	struct store_command cmd;
	int rv = 0;

	/* who has shown nothing yet must not end what waits for another's device */
	if ((m->resource == MSG_REGISTER && !PLANTED(DONE_BY_ANYBODY)) || c->r->code != 200 || PLANTED(COMMAND_REPEATED))
		return 0;
	for (unsigned i = 0; i < m->done_n; i++) {
		rv = find(c->en, m->uuid, m->done[i], &cmd);
		if (rv == ERR_NOTFOUND)
			continue;
		if (!rv)
			rv = store_command_delete(c->en->store, &cmd);
		if (rv)
			return rv;
		FX(c->fx, c->r, c->at, m->uuid, c->r->req, c->r->reg, J_COMMAND_CLOSED, JS(ID, cmd.id), JS(NAME, cmd.name),
		   JS(WHY, "done"));
	}
	return 0;
}

/* A device that does not pin our newest key yet is told by itself, once a day. */
int command_offer_keys(struct enroll_call *c)
{
	struct enroll *en = c->en;
	struct store_command cmd;
	uint8_t id[ID_BYTES];
	int64_t n = 0, at_ms;
	int rv, count = 0;

	if (keyring_count(en) < 2 || c->m->resource != MSG_PUBLISH || c->r->code != 200 || !c->m->kids_n ||
	    PLANTED(KEYS_NOT_OFFERED))
		return 0;
	for (unsigned i = 0; i < c->m->kids_n; i++)
		if (strcmp(c->m->kids[i], keyring_newest(en)) == 0)
			return 0;
	rv = store_mark_nth(en->store, c->m->uuid, STORE_MARK_KEYS, 1, &at_ms);
	if (rv != ERR_NOTFOUND && (rv || at_ms > c->at->unix_ms - DAY_MS))
		return rv;
	while ((rv = store_command_next(en->store, c->m->uuid, n, &cmd)) == 0) {
		n = cmd.n;
		if (++count == COMMANDS_MAX || strcmp(cmd.name, "KEYS") == 0)
			return 0;
	}
	if (rv != ERR_NOTFOUND)
		return rv;
	cmd = (struct store_command){.name = "KEYS", .body = "{\"name\":\"KEYS\"}", .queued_ms = c->at->unix_ms};
	secret_fill(en->secret, id, sizeof(id));
	hash_hex(id, sizeof(id), cmd.id);
	memcpy(cmd.uuid, c->m->uuid, sizeof(cmd.uuid));
	rv = store_command_put(en->store, &cmd);
	if (!rv)
		rv = store_mark(en->store, cmd.uuid, STORE_MARK_KEYS, c->at->unix_ms);
	if (!rv)
		FX(c->fx, c->r, c->at, cmd.uuid, c->r->req, c->r->reg, J_COMMAND_QUEUED, JS(ID, cmd.id), JS(NAME, cmd.name));
	return rv;
}

/* IDLE may ride on any 200, the others on publish's only. */
static bool rides(const struct reply *r, const struct store_command *c)
{
	return r->resource == MSG_PUBLISH || strcmp(c->name, "IDLE") == 0;
}

static int first_fit(struct enroll *en, const struct reply *r, struct store_command *c)
{
	int64_t n = 0;
	int rv;

	while ((rv = store_command_next(en->store, r->uuid, n, c)) == 0 && !rides(r, c))
		n = c->n;
	return rv;
}

/* KEYS without keys of its own: ours, newest first. */
static void add_keys(struct enroll *en, json_t *body)
{
	json_t *keys = json_array();
	unsigned n = token_signer_count(en->signer);

	for (unsigned i = 0; i < KEYS_SENT && i < n; i++)
		json_array_append_new(keys, json_string(token_signer_public(en->signer,
									      token_signer_kid(en->signer, n - 1 - i))));
	json_object_set_new(body, "keys", keys);
}

void command_attach(struct enroll *en, const struct instant *at, struct reply *r)
{
	struct store_command c;
	json_t *body;

	/* no nonce, no signature: nobody could believe it. A register shows nothing that is
	 * secret, so its signatures are counted like refusals. */
	if (r->code != 200 || r->resource == MSG_OTHER || !r->nonce[0] || !r->uuid[0] ||
	    (r->resource == MSG_REGISTER && r->peer && r->peer->signed_refusals >= REPLY_SIGNED_MAX))
		return;
	if (first_fit(en, r, &c))
		return;
	if (PLANTED(COMMAND_LOST) && c.sent_ms)
		return;
	body = json_loads(c.body, 0, NULL);
	if (!body)
		return;
	if (strcmp(c.name, "KEYS") == 0 && !json_object_get(body, "keys"))
		add_keys(en, body);
	json_object_set_new(body, "id", json_string(c.id));
	if (!c.sent_ms && store_command_sent(en->store, &c, at->unix_ms)) {
		json_decref(body); /* the turn will not commit, or the next reply carries it */
		return;
	}
	r->command = body;
	if (r->resource == MSG_REGISTER && r->peer) {
		r->peer->signed_refusals++;
		r->counted = true;
	}
}
