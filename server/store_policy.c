/* Rows of what operators ask for: commands. */
#include "server/store.h"

#include <string.h>

#include "server/store_internal.h"

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
	return next_command(st, Q_CMD_LIST, uuid, n, out);
}

int store_command_next_any(struct store *st, const char *uuid, int64_t n, struct store_command *out)
{
	return next_command(st, Q_CMD_ALL, uuid, n, out);
}
