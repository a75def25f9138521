/* Control verbs about commands (server/command.h). */
#include "server/control_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "server/command.h"

/* What a PAUSE or a CONFIG is about, in ns; -1: the command has no time. */
static int64_t span_of(const struct store_command *c)
{
	json_t *body = json_loads(c->body, 0, NULL), *n = json_object_get(body, "seconds");
	double seconds;

	if (!n)
		n = json_object_get(body, "publishInterval");
	seconds = json_is_number(n) ? json_number_value(n) : -1;
	json_decref(body);
	return seconds >= 0 && seconds < (double)INT64_MAX / 2e9 ? (int64_t)(seconds * 1e9) : -1;
}

/* Committed, then told at once, so that a kill at the turn's end hides nothing. */
static int settle(struct server *s, enum journal_kind kind, const struct store_command *c, const char *why,
		  struct err *e)
{
	int64_t span = kind == J_COMMAND_QUEUED ? span_of(c) : -1;

	if (server_commit(s))
		return err_set(e, ERR_IO, "storage failed: %s", store_error(s->store));
	effects_event(&s->fx, NULL, false, s->at.now, c->uuid, NULL, NULL, kind,
		      (const struct journal_value[]){JS(ID, c->id), JS(NAME, c->name),
						     span >= 0 ? (struct journal_value)JI(WAIT_NS, span)
							       : (struct journal_value)JS(WHY, why)},
		      3);
	server_foresee(s);
	server_write_journal(s);
	return 0;
}

json_t *control_command(struct server *s, json_t *request, struct err *e)
{
	const char *uuid = control_text(request, "uuid");
	struct store_command c;
	int rv;

	if (!uuid) {
		err_set(e, ERR_PARSE, "which uuid?");
		return NULL;
	}
	rv = command_queue(s->enroll, &s->at, uuid, json_object_get(request, "command"), control_text(request, "id"),
			   s->cfg.lab, &c, e);
	if (rv == ERR_EXISTS)
		return json_pack("{s:s}", "id", c.id);
	return rv || settle(s, J_COMMAND_QUEUED, &c, NULL, e) ? NULL : json_pack("{s:s}", "id", c.id);
}

static int cancel_one(struct server *s, const char *uuid, const char *id, struct err *e)
{
	struct store_command c;
	int rv = command_cancel(s->enroll, uuid, id, &c);

	if (rv == ERR_NOTFOUND)
		return err_set(e, rv, "no command of this id waits for this device");
	if (rv)
		return err_set(e, rv, "storage failed: %s", store_error(s->store));
	return settle(s, J_COMMAND_CLOSED, &c, "cancelled", e);
}

json_t *control_cancel(struct server *s, json_t *request, struct err *e)
{
	const char *uuid = control_text(request, "uuid"), *id = control_text(request, "id");
	struct store_command c;
	json_int_t n = 0;
	int rv;

	if (!uuid) {
		err_set(e, ERR_PARSE, "which uuid?");
		return NULL;
	}
	if (id)
		return cancel_one(s, uuid, id, e) ? NULL : json_pack("{s:i}", "cancelled", 1);
	while ((rv = store_command_next(s->store, uuid, 0, &c)) == 0) {
		if (cancel_one(s, uuid, c.id, e))
			return NULL;
		n++;
	}
	if (rv != ERR_NOTFOUND) {
		err_set(e, rv, "storage failed: %s", store_error(s->store));
		return NULL;
	}
	return json_pack("{s:I}", "cancelled", n);
}

static json_t *one(const struct store_command *c)
{
	json_t *body = json_loads(c->body, 0, NULL);

	if (!body)
		return NULL;
	return json_pack("{s:s, s:s, s:o, s:I, s:o}", "uuid", c->uuid, "id", c->id, "command", body, "queuedMs",
			 (json_int_t)c->queued_ms, "sentMs", c->sent_ms ? json_integer(c->sent_ms) : json_null());
}

/* Where the next page begins: "uuid/n" of the last one shown. */
static bool read_from(const char *from, char uuid[UUID_LEN + 1], int64_t *n)
{
	const char *slash = strchr(from, '/');
	int end = 0;

	if (!slash || slash - from != UUID_LEN)
		return false;
	snprintf(uuid, UUID_LEN + 1, "%s", from);
	return sscanf(slash + 1, "%" SCNd64 "%n", n, &end) == 1 && !slash[1 + end];
}

json_t *control_commands(struct server *s, json_t *request, struct err *e)
{
	const char *only = control_text(request, "uuid"), *from = control_text(request, "from");
	json_t *most = json_object_get(request, "limit"), *list = json_array(), *out;
	json_int_t limit = most ? json_integer_value(most) : CONTROL_LIST_LIMIT;
	char uuid[UUID_LEN + 1] = "", next[UUID_LEN + 24];
	struct store_command c;
	int64_t n = 0;
	int rv = 0;

	if (limit < 1 || limit > CONTROL_LIST_LIMIT || (from && !read_from(from, uuid, &n))) {
		err_set(e, ERR_PARSE, "from is a 'next' that was answered before, limit is 1…%d", CONTROL_LIST_LIMIT);
		goto fail;
	}
	if (only)
		snprintf(uuid, sizeof(uuid), "%s", only);
	while (limit > 0 && (rv = only ? store_command_next(s->store, uuid, n, &c)
				       : store_command_next_any(s->store, uuid, n, &c)) == 0) {
		if (json_array_append_new(list, one(&c))) {
			err_set(e, ERR_NOMEM, "out of memory");
			goto fail;
		}
		snprintf(uuid, sizeof(uuid), "%s", c.uuid);
		n = c.n;
		limit--;
	}
	if (rv && rv != ERR_NOTFOUND) {
		err_set(e, rv, "storage failed: %s", store_error(s->store));
		goto fail;
	}
	out = json_pack("{s:o}", "commands", list);
	snprintf(next, sizeof(next), "%s/%" PRId64, uuid, n);
	if (out && !rv)
		json_object_set_new(out, "next", json_string(next));
	return out;
fail:
	json_decref(list);
	return NULL;
}
