#include "server/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/store_internal.h"

#define STORE_BROKEN_AFTER (10 * (int64_t)NS_PER_S) /* of nothing but failed commits */
#define CACHE_KIB          16384

static const char *const sql[Q_COUNT] = {
#define STATEMENT(name, text) text,
	STORE_STATEMENTS(STATEMENT)
#undef STATEMENT
};

int store_fail(struct store *st, int rc)
{
	int ext = sqlite3_extended_errcode(st->db);

	snprintf(st->error, sizeof(st->error), "%s", sqlite3_errmsg(st->db));
	/* a failed sync leaves the kernel's copy unknown: never go on from there */
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || ext == SQLITE_IOERR_FSYNC || ext == SQLITE_IOERR_DIR_FSYNC)
		st->dead = st->turn_failed = true;
	/* SQLite may have rolled the whole transaction back by itself */
	if (st->in_turn && sqlite3_get_autocommit(st->db))
		st->turn_failed = true;
	return ERR_IO;
}

sqlite3_stmt *store_statement(struct store *st, enum store_statement which)
{
	sqlite3_stmt *q = st->q[which];

	sqlite3_reset(q);
	return q;
}

int store_row(struct store *st, sqlite3_stmt *q)
{
	int rc = sqlite3_step(q);

	if (rc == SQLITE_ROW)
		return 1;
	sqlite3_reset(q);
	return rc == SQLITE_DONE ? 0 : store_fail(st, rc & 0xff);
}

int store_run(struct store *st, sqlite3_stmt *q)
{
	int rc = sqlite3_step(q);

	sqlite3_reset(q);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : store_fail(st, rc & 0xff);
}

static int run(struct store *st, enum store_statement which)
{
	return store_run(st, store_statement(st, which));
}

int store_write(struct store *st)
{
	int rv;

	if (st->turn_failed || st->dead)
		return ERR_IO;
	if (!st->in_turn) {
		rv = run(st, Q_BEGIN);
		if (rv) {
			st->turn_failed = true;
			return rv;
		}
		st->in_turn = true;
	}
	if (st->deciding && !st->saved) {
		rv = run(st, Q_SAVEPOINT);
		if (rv)
			return rv;
		st->saved = true;
	}
	return 0;
}

int store_decide(struct store *st)
{
	if (st->turn_failed || st->dead)
		return ERR_IO;
	st->deciding = true;
	st->saved = false;
	return 0;
}

int store_decided(struct store *st, bool keep)
{
	int rv = 0;

	st->deciding = false;
	if (!st->saved)
		return st->turn_failed ? ERR_IO : 0;
	st->saved = false;
	if (st->turn_failed)
		return ERR_IO;
	if (!keep) {
		st->commands = COMMANDS_UNKNOWN;
		rv = run(st, Q_UNDO);
	}
	if (!rv)
		rv = run(st, Q_RELEASE);
	if (rv)
		st->turn_failed = true;
	return rv;
}

bool store_dirty(const struct store *st)
{
	return st->in_turn || st->turn_failed;
}

void store_spoil(struct store *st)
{
	st->turn_failed = true;
}

int store_commit(struct store *st, const struct instant *at)
{
	struct store_epoch *now = &st->epochs[st->epochs_n - 1];
	sqlite3_stmt *q;
	int rv = 0;

	if (!store_dirty(st))
		return st->dead ? ERR_IO : 0;
	if (!st->turn_failed) {
		q = store_statement(st, Q_COMMITTED);
		sqlite3_bind_int64(q, 1, now->id);
		sqlite3_bind_int64(q, 2, (int64_t)at->boot);
		rv = store_run(st, q);
	}
	if (!rv && !st->turn_failed)
		rv = run(st, Q_COMMIT);
	if (rv || st->turn_failed) {
		st->commands = COMMANDS_UNKNOWN;
		if (!sqlite3_get_autocommit(st->db))
			run(st, Q_ROLLBACK);
		if (!st->failing)
			st->failing_since = (int64_t)at->boot;
		st->failing = true;
		st->failed_last = (int64_t)at->boot;
		rv = ERR_IO;
	} else {
		now->last_commit = (int64_t)at->boot;
		st->failing = false;
	}
	st->in_turn = st->turn_failed = false;
	return rv;
}

/* By the commits that were tried: silence behind one failure says nothing about the disk. */
bool store_broken(const struct store *st)
{
	return st->dead || (st->failing && st->failed_last - st->failing_since >= STORE_BROKEN_AFTER);
}

bool store_failing(const struct store *st)
{
	return st->dead || st->failing;
}

const char *store_error(const struct store *st)
{
	return st->error;
}

unsigned store_epochs(const struct store *st, const struct store_epoch **out)
{
	*out = st->epochs;
	return st->epochs_n;
}

/* ---- opening ---- */

static int open_error(struct store *st, const char *path, int rc, struct err *e)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, ERR_BUSY, "database '%s' is in use by another server", path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(e, ERR_IO, "database '%s' is damaged (%s); move it away or restore it from a copy", path,
			       sqlite3_errmsg(st->db));
	case SQLITE_CANTOPEN:
		return err_set(e, ERR_IO, "cannot open database '%s': %s", path, sqlite3_errmsg(st->db));
	default:
		return err_set(e, ERR_IO, "database '%s': %s", path, sqlite3_errmsg(st->db));
	}
}

static int pragma_int(struct store *st, const char *text, int64_t *out)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(st->db, text, -1, &q, NULL);

	if (rc)
		return rc;
	rc = sqlite3_step(q);
	*out = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
	sqlite3_finalize(q);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int check_damage(struct store *st, const char *path, struct err *e)
{
	sqlite3_stmt *q;
	const unsigned char *word;
	int rv = 0, rc = sqlite3_prepare_v2(st->db, "PRAGMA quick_check(1)", -1, &q, NULL);

	if (rc)
		return open_error(st, path, rc, e);
	rc = sqlite3_step(q);
	word = rc == SQLITE_ROW ? sqlite3_column_text(q, 0) : NULL;
	if (!word)
		rv = open_error(st, path, rc, e);
	else if (strcmp((const char *)word, "ok") != 0)
		rv = err_set(e, ERR_IO, "database '%s' is damaged (%.200s); move it away or restore it from a copy",
			     path, (const char *)word);
	sqlite3_finalize(q);
	return rv;
}

/* Takes the lock for as long as we live, then looks whose file it is. */
static int open_file(struct store *st, const struct store_config *cfg, struct err *e)
{
	int64_t app = 0, version = 0, objects = 0;
	char text[160];
	int rc;

	rc = sqlite3_open_v2(cfg->path, &st->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			     cfg->vfs);
	if (rc && !st->db)
		return err_set(e, ERR_NOMEM, "database '%s': out of memory", cfg->path);
	if (!rc) {
		sqlite3_db_config(st->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		snprintf(text, sizeof(text),
			 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			 "PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-%d",
			 CACHE_KIB);
		rc = sqlite3_exec(st->db, text, NULL, NULL, NULL);
	}
	if (!rc)
		rc = sqlite3_exec(st->db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL, NULL);
	if (!rc)
		rc = pragma_int(st, "PRAGMA application_id", &app);
	if (!rc)
		rc = pragma_int(st, "PRAGMA user_version", &version);
	if (!rc)
		rc = pragma_int(st, "SELECT count(*) FROM sqlite_schema", &objects);
	if (rc)
		return open_error(st, cfg->path, rc, e);
	if (objects && app != STORE_APPLICATION_ID)
		return err_set(e, ERR_UNSUPPORTED, "database '%s' belongs to another program", cfg->path);
	if (objects && version != STORE_VERSION)
		return err_set(e, ERR_UNSUPPORTED, "database '%s' has schema version %lld, this program knows %d",
			       cfg->path, (long long)version, STORE_VERSION);
	if (objects)
		return check_damage(st, cfg->path, e);
	snprintf(text, sizeof(text), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", STORE_APPLICATION_ID,
		 STORE_VERSION);
	rc = sqlite3_exec(st->db, "BEGIN IMMEDIATE;" STORE_SCHEMA, NULL, NULL, NULL);
	if (!rc)
		rc = sqlite3_exec(st->db, text, NULL, NULL, NULL);
	return rc ? open_error(st, cfg->path, rc, e) : 0;
}

static int prepare_all(struct store *st, const char *path, struct err *e)
{
	for (int i = 0; i < Q_COUNT; i++) {
		int rc = sqlite3_prepare_v3(st->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &st->q[i], NULL);

		if (rc)
			return open_error(st, path, rc, e);
	}
	return 0;
}

/* Reads the starts on record; tells the newest one's boot id. */
static int read_epochs(struct store *st, char *boot_id, size_t size)
{
	sqlite3_stmt *q;
	int rc = sqlite3_prepare_v2(st->db,
				    "SELECT * FROM (SELECT id, boot, started, last_commit, login_grace, refresh_grace,"
				    " clean, boot_id FROM epoch ORDER BY id DESC LIMIT ?1) ORDER BY id",
				    -1, &q, NULL);

	if (rc)
		return rc;
	sqlite3_bind_int(q, 1, STORE_EPOCHS - 1);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct store_epoch *ep = &st->epochs[st->epochs_n++];
		const unsigned char *text = sqlite3_column_text(q, 7);

		ep->id = sqlite3_column_int64(q, 0);
		ep->boot = sqlite3_column_int64(q, 1);
		ep->started = sqlite3_column_int64(q, 2);
		ep->last_commit = sqlite3_column_int64(q, 3);
		ep->login_grace = sqlite3_column_int64(q, 4);
		ep->refresh_grace = sqlite3_column_int64(q, 5);
		ep->clean = sqlite3_column_int64(q, 6) != 0;
		snprintf(boot_id, size, "%s", text ? (const char *)text : "");
	}
	sqlite3_finalize(q);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int start_epoch(struct store *st, const struct store_config *cfg, const struct instant *at)
{
	struct store_epoch *last, *ep;
	char boot_id[128] = "", *text;
	int rc = read_epochs(st, boot_id, sizeof(boot_id));

	if (rc)
		return rc;
	last = st->epochs_n ? &st->epochs[st->epochs_n - 1] : NULL;
	ep = &st->epochs[st->epochs_n++];
	ep->id = last ? last->id + 1 : 1;
	ep->boot = last ? last->boot + (strcmp(boot_id, cfg->boot_id) != 0) : 1;
	ep->started = ep->last_commit = (int64_t)at->boot;
	ep->login_grace = cfg->settings->v[SETTING_LOGIN_GRACE];
	ep->refresh_grace = cfg->settings->v[SETTING_REFRESH_GRACE];
	text = sqlite3_mprintf("BEGIN IMMEDIATE; DELETE FROM epoch WHERE id <= %lld;"
			       "INSERT INTO epoch(id, boot, boot_id, started, last_commit, login_grace, refresh_grace,"
			       " clean) VALUES(%lld, %lld, %Q, %lld, %lld, %lld, %lld, 0); COMMIT",
			       (long long)ep->id - STORE_EPOCHS, (long long)ep->id, (long long)ep->boot, cfg->boot_id,
			       (long long)ep->started, (long long)ep->last_commit, (long long)ep->login_grace,
			       (long long)ep->refresh_grace);
	rc = text ? sqlite3_exec(st->db, text, NULL, NULL, NULL) : SQLITE_NOMEM;
	sqlite3_free(text);
	return rc;
}

struct store *store_open(const struct store_config *cfg, const struct instant *at, struct err *e)
{
	struct store *st = calloc(1, sizeof(*st));
	int rc;

	if (!st) {
		err_set(e, ERR_NOMEM, "database: out of memory");
		return NULL;
	}
	if (open_file(st, cfg, e))
		goto fail;
	rc = start_epoch(st, cfg, at);
	if (rc) {
		open_error(st, cfg->path, rc, e);
		goto fail;
	}
	if (prepare_all(st, cfg->path, e))
		goto fail;
	return st;
fail:
	store_close(st, false);
	return NULL;
}

void store_close(struct store *st, bool orderly)
{
	sqlite3_stmt *q;

	if (!st)
		return;
	if (orderly && !st->dead && !st->turn_failed) {
		st->deciding = false;
		q = store_statement(st, Q_CLEAN);
		sqlite3_bind_int64(q, 1, st->epochs[st->epochs_n - 1].id);
		if (store_write(st) || store_run(st, q) || run(st, Q_COMMIT))
			orderly = false;
	}
	for (int i = 0; i < Q_COUNT; i++)
		sqlite3_finalize(st->q[i]);
	if (st->db) {
		/* as kill -9 leaves it: the log stays beside the file */
		if (!orderly)
			sqlite3_db_config(st->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		sqlite3_close(st->db);
	}
	free(st);
}
