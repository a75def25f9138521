/* Rows of policy: commands, marks, numbers by name. */
#include "server/store.h"

#include <string.h>

#include "server/store_internal.h"

#define DAY_MS (24 * 3600 * (int64_t)1000)

int store_command_put(struct store *st, const struct store_command *c)
{
	sqlite3_stmt *q = store_statement(st, Q_CMD_PUT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, c->uuid);
	store_put_text(q, 2, c->id);
	store_put_text(q, 3, c->name);
	store_put_text(q, 4, c->body);
	sqlite3_bind_int64(q, 5, c->queued_ms);
	st->commands = COMMANDS_SOME;
	return store_run(st, q);
}

int store_command_sent(struct store *st, const struct store_command *c, int64_t unix_ms)
{
	sqlite3_stmt *q = store_statement(st, Q_CMD_SENT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, c->uuid);
	sqlite3_bind_int64(q, 2, c->n);
	sqlite3_bind_int64(q, 3, unix_ms);
	return store_run(st, q);
}

int store_command_delete(struct store *st, const struct store_command *c)
{
	sqlite3_stmt *q = store_statement(st, Q_CMD_DELETE);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, c->uuid);
	sqlite3_bind_int64(q, 2, c->n);
	st->commands = COMMANDS_UNKNOWN;
	return store_run(st, q);
}

static int next_command(struct store *st, enum store_statement which, const char *uuid, int64_t n,
			struct store_command *c)
{
	sqlite3_stmt *q = store_statement(st, which);
	int rv;

	store_put_text(q, 1, uuid);
	sqlite3_bind_int64(q, 2, n);
	rv = store_lookup(st, q);
	if (rv)
		return rv;
	memset(c, 0, sizeof(*c));
	store_get_text(q, 0, c->uuid, sizeof(c->uuid));
	c->n = sqlite3_column_int64(q, 1);
	store_get_text(q, 2, c->id, sizeof(c->id));
	store_get_text(q, 3, c->name, sizeof(c->name));
	store_get_text(q, 4, c->body, sizeof(c->body));
	c->queued_ms = sqlite3_column_int64(q, 5);
	c->sent_ms = sqlite3_column_int64(q, 6);
	sqlite3_reset(q);
	return 0;
}

int store_command_next(struct store *st, const char *uuid, int64_t n, struct store_command *out)
{
	int rv;

	if (st->turn_failed || st->dead)
		return ERR_IO;
	if (st->commands == COMMANDS_UNKNOWN) {
		rv = next_command(st, Q_CMD_ALL, "", 0, out);
		if (rv && rv != ERR_NOTFOUND)
			return rv;
		st->commands = rv ? COMMANDS_NONE : COMMANDS_SOME;
	}
	if (st->commands == COMMANDS_NONE)
		return ERR_NOTFOUND;
	return next_command(st, Q_CMD_LIST, uuid, n, out);
}

int store_command_next_any(struct store *st, const char *uuid, int64_t n, struct store_command *out)
{
	return next_command(st, Q_CMD_ALL, uuid, n, out);
}

/* ---- marks ---- */

static int mark(struct store *st, enum store_statement which, const char *uuid, enum store_mark kind, int64_t ms)
{
	sqlite3_stmt *q = store_statement(st, which);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, uuid);
	sqlite3_bind_int(q, 2, (int)kind);
	sqlite3_bind_int64(q, 3, ms);
	return store_run(st, q);
}

int store_mark(struct store *st, const char *uuid, enum store_mark kind, int64_t unix_ms)
{
	int rv = mark(st, Q_MARK_FORGET, uuid, kind, unix_ms - DAY_MS);

	while (!rv) {
		rv = mark(st, Q_MARK_ADD, uuid, kind, unix_ms);
		if (rv || sqlite3_changes(st->db))
			break;
		unix_ms++; /* two in one millisecond are two */
	}
	return rv;
}

int store_marks_forget(struct store *st, const char *uuid, enum store_mark kind)
{
	return mark(st, Q_MARK_FORGET, uuid, kind, INT64_MAX);
}

int store_mark_nth(struct store *st, const char *uuid, enum store_mark kind, int64_t nth, int64_t *at_ms)
{
	sqlite3_stmt *q = store_statement(st, Q_MARK_NTH);
	int rv;

	store_put_text(q, 1, uuid);
	sqlite3_bind_int(q, 2, (int)kind);
	sqlite3_bind_int64(q, 3, nth - 1);
	rv = store_lookup(st, q);
	if (!rv) {
		*at_ms = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
	}
	return rv;
}

int store_marks_ahead_forget(struct store *st, int64_t unix_ms)
{
	sqlite3_stmt *q = store_statement(st, Q_MARK_AHEAD);
	int rv = store_write(st);

	if (rv)
		return rv;
	sqlite3_bind_int64(q, 1, unix_ms);
	return store_run(st, q);
}

/* ---- ledger ---- */

static int ledger_forget(struct store *st, int64_t day)
{
	sqlite3_stmt *q = store_statement(st, Q_LEDGER_FORGET);

	sqlite3_bind_int64(q, 1, day - STORE_LEDGER_DAYS);
	return store_run(st, q);
}

int store_ledger_add(struct store *st, int64_t unix_ms, const char *uuid, int64_t handed, int64_t returned)
{
	sqlite3_stmt *q = store_statement(st, Q_LEDGER_ADD);
	int64_t day = unix_ms / DAY_MS;
	int rv = store_write(st);

	if (rv)
		return rv;
	sqlite3_bind_int64(q, 1, day);
	store_put_text(q, 2, uuid);
	sqlite3_bind_int64(q, 3, handed);
	sqlite3_bind_int64(q, 4, returned);
	rv = store_run(st, q);
	if (!rv && st->ledger_day != day) {
		st->ledger_day = day;
		rv = ledger_forget(st, day);
	}
	return rv;
}

int store_ledger_next(struct store *st, int64_t day, const char *uuid, bool of_device, struct store_ledger *out)
{
	sqlite3_stmt *q = store_statement(st, of_device ? Q_LEDGER_OF : Q_LEDGER_NEXT);
	int rv;

	sqlite3_bind_int64(q, 1, day);
	store_put_text(q, 2, uuid);
	rv = store_lookup(st, q);
	if (rv)
		return rv;
	out->day = sqlite3_column_int64(q, 0);
	store_get_text(q, 1, out->uuid, sizeof(out->uuid));
	out->handed = sqlite3_column_int64(q, 2);
	out->returned = sqlite3_column_int64(q, 3);
	sqlite3_reset(q);
	return 0;
}

/* ---- token keys ---- */

int store_key_put(struct store *st, const struct store_key *k)
{
	sqlite3_stmt *q = store_statement(st, Q_KEY_PUT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, k->kid);
	sqlite3_bind_int64(q, 2, k->added_ms);
	sqlite3_bind_blob(q, 3, k->sealed, (int)k->sealed_len, SQLITE_STATIC);
	return store_run(st, q);
}

int store_key_retire(struct store *st, const char *kid, int64_t retire_ms)
{
	sqlite3_stmt *q = store_statement(st, Q_KEY_RETIRE);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, kid);
	sqlite3_bind_int64(q, 2, retire_ms);
	return store_run(st, q);
}

int store_key_gone(struct store *st, const char *kid, int64_t unix_ms)
{
	sqlite3_stmt *q = store_statement(st, Q_KEY_GONE);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, kid);
	sqlite3_bind_int64(q, 2, unix_ms);
	return store_run(st, q);
}

int store_key_known(struct store *st, const char *kid)
{
	sqlite3_stmt *q = store_statement(st, Q_KEY_GET);
	int rv;

	store_put_text(q, 1, kid);
	rv = store_lookup(st, q);
	if (!rv)
		sqlite3_reset(q);
	return rv;
}

int store_key_each(struct store *st, void (*each)(void *ctx, const struct store_key *k), void *ctx)
{
	sqlite3_stmt *q = store_statement(st, Q_KEY_EACH);
	struct store_key k;
	int rv;

	while ((rv = store_row(st, q)) == 1) {
		const void *sealed = sqlite3_column_blob(q, 4);
		int len = sqlite3_column_bytes(q, 4);

		memset(&k, 0, sizeof(k));
		store_get_text(q, 0, k.kid, sizeof(k.kid));
		k.added_ms = sqlite3_column_int64(q, 2);
		k.retire_ms = sqlite3_column_int64(q, 3);
		if (sealed && len > 0 && (size_t)len <= sizeof(k.sealed)) {
			memcpy(k.sealed, sealed, (size_t)len);
			k.sealed_len = (size_t)len;
		}
		if (len > 0)
			each(ctx, &k);
	}
	return rv;
}

/* ---- numbers by name ---- */

int store_meta_get(struct store *st, const char *name, int64_t *value)
{
	sqlite3_stmt *q = store_statement(st, Q_META_GET);
	int rv;

	store_put_text(q, 1, name);
	rv = store_lookup(st, q);
	if (!rv) {
		*value = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
	}
	return rv;
}

int store_meta_put(struct store *st, const char *name, int64_t value)
{
	sqlite3_stmt *q = store_statement(st, Q_META_PUT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, name);
	sqlite3_bind_int64(q, 2, value);
	return store_run(st, q);
}
