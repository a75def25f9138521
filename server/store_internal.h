/* Inside of the SQLite store, shared by store_sqlite.c (file, transactions) and
 * store_rows.c (rows). */
#ifndef SERVER_STORE_INTERNAL_H
#define SERVER_STORE_INTERNAL_H

#include <sqlite3.h>

#include "server/store.h"
#include "server/store_schema.h"

struct store {
	sqlite3 *db;
	sqlite3_stmt *q[Q_COUNT];
	struct store_epoch epochs[STORE_EPOCHS];
	unsigned epochs_n;
	bool in_turn;     /* a transaction is open */
	bool deciding;    /* between store_decide and store_decided */
	bool saved;       /* the decision has a savepoint */
	bool turn_failed; /* this turn cannot be committed any more */
	bool dead;        /* damaged, or a sync failed: nothing may be trusted from here */
	bool failing;     /* the last commit failed … */
	int64_t failing_since, failed_last; /* … first and last at these CLOCK_BOOTTIMEs */
	int64_t oldest_forget; /* Unix ms: no registration is to be purged before; 0: unknown */
	/* does any command wait, of whatever device? Most often none does, and each 200 asks */
	enum { COMMANDS_UNKNOWN, COMMANDS_NONE, COMMANDS_SOME } commands;
	int64_t ledger_day;    /* the last one that was written; older ones are forgotten with it */
	char error[256];
};

/* The prepared statement, reset and unbound. */
sqlite3_stmt *store_statement(struct store *st, enum store_statement which);
/* Before a write: opens transaction and savepoint where there is none yet. */
int store_write(struct store *st);
/* Steps a statement that gives no row and resets it. */
int store_run(struct store *st, sqlite3_stmt *q);
/* Steps once: 1 a row (caller resets), 0 none, ERR_IO. */
int store_row(struct store *st, sqlite3_stmt *q);
int store_fail(struct store *st, int rc);
/* One row by its key: 0 (caller resets), ERR_NOTFOUND, ERR_IO. Reads see the turn's own
 * writes; they open no transaction. */
int store_lookup(struct store *st, sqlite3_stmt *q);
void store_get_text(sqlite3_stmt *q, int column, char *out, size_t size);
void store_put_text(sqlite3_stmt *q, int index, const char *text); /* borrowed until the step */

#endif
