/* Tables and statements of the SQLite store. The version stands in user_version; a
 * change of the tables moves it. */
#ifndef SERVER_STORE_SCHEMA_H
#define SERVER_STORE_SCHEMA_H

#define STORE_APPLICATION_ID 0x51524947 /* "QRIG" */
#define STORE_VERSION        4

#define STORE_SCHEMA                                                                                           \
	"CREATE TABLE epoch(id INTEGER PRIMARY KEY, boot INTEGER NOT NULL, boot_id TEXT NOT NULL,"             \
	" started INTEGER NOT NULL, last_commit INTEGER NOT NULL, login_grace INTEGER NOT NULL,"               \
	" refresh_grace INTEGER NOT NULL, clean INTEGER NOT NULL) STRICT;"                                     \
	"CREATE TABLE device(uuid TEXT PRIMARY KEY, disabled INTEGER NOT NULL, fam TEXT NOT NULL,"             \
	" revoked INTEGER NOT NULL, fam_start INTEGER NOT NULL, kid TEXT NOT NULL, access_jti TEXT NOT NULL,"  \
	" refresh_jti TEXT NOT NULL, prev_jti TEXT NOT NULL, iat INTEGER NOT NULL,"                            \
	" access_exp INTEGER NOT NULL, refresh_exp INTEGER NOT NULL, presented INTEGER NOT NULL,"              \
	" grace_epoch INTEGER NOT NULL, grace_end INTEGER NOT NULL, quarantined INTEGER NOT NULL,"             \
	" totp_step INTEGER NOT NULL, totp_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;"                        \
	"CREATE TABLE registration(uuid TEXT NOT NULL, reg TEXT NOT NULL, mac BLOB NOT NULL,"                  \
	" code_fp TEXT NOT NULL, state INTEGER NOT NULL, tries INTEGER NOT NULL, boot INTEGER NOT NULL,"       \
	" code_end INTEGER NOT NULL, code_len INTEGER NOT NULL, fam TEXT NOT NULL, forget INTEGER NOT NULL,"   \
	" totp INTEGER NOT NULL,"                                                                              \
	" PRIMARY KEY(uuid, reg)) STRICT, WITHOUT ROWID;"                                                      \
	"CREATE INDEX registration_forget ON registration(forget);"                                            \
	"CREATE TABLE sms_used(uuid TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(uuid, at))"                \
	" STRICT, WITHOUT ROWID;"                                                                              \
	"CREATE TABLE fleet(bucket INTEGER PRIMARY KEY, n INTEGER NOT NULL) STRICT;"                           \
	"CREATE TABLE outbox(id TEXT PRIMARY KEY, uuid TEXT NOT NULL, reg TEXT NOT NULL,"                      \
	" code_fp TEXT NOT NULL, state INTEGER NOT NULL, boot INTEGER NOT NULL, born INTEGER NOT NULL,"        \
	" until INTEGER NOT NULL, used INTEGER NOT NULL, text BLOB NOT NULL) STRICT, WITHOUT ROWID;"           \
	"CREATE TABLE command(uuid TEXT NOT NULL, n INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,"   \
	" body TEXT NOT NULL, queued INTEGER NOT NULL, sent INTEGER NOT NULL, PRIMARY KEY(uuid, n))"           \
	" STRICT, WITHOUT ROWID;"                                                                              \
	"CREATE TABLE mark(uuid TEXT NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,"                    \
	" PRIMARY KEY(uuid, kind, at)) STRICT, WITHOUT ROWID;"                                                 \
	"CREATE INDEX mark_at ON mark(at);"                                                                    \
	"CREATE TABLE ledger(day INTEGER NOT NULL, uuid TEXT NOT NULL, handed INTEGER NOT NULL,"               \
	" returned INTEGER NOT NULL, PRIMARY KEY(day, uuid)) STRICT, WITHOUT ROWID;"                           \
	"CREATE INDEX ledger_uuid ON ledger(uuid, day);"                                                       \
	"CREATE TABLE token_key(kid TEXT PRIMARY KEY, n INTEGER NOT NULL, added INTEGER NOT NULL,"             \
	" retire INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;"                               \
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

#define DEVICE_COLUMNS                                                                                         \
	"uuid, disabled, fam, revoked, fam_start, kid, access_jti, refresh_jti, prev_jti, iat, access_exp,"    \
	" refresh_exp, presented, grace_epoch, grace_end, quarantined, totp_step, totp_at"
#define REGISTRATION_COLUMNS "uuid, reg, mac, code_fp, state, tries, boot, code_end, code_len, fam, forget, totp"
#define COMMAND_COLUMNS      "uuid, n, id, name, body, queued, sent"
#define OUTBOX_COLUMNS       "id, uuid, reg, code_fp, state, boot, born, until, used, text"

/* X(NAME, "sql") */
#define STORE_STATEMENTS(X)                                                                                    \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                            \
	X(COMMIT, "COMMIT")                                                                                    \
	X(ROLLBACK, "ROLLBACK")                                                                                \
	X(SAVEPOINT, "SAVEPOINT decision")                                                                     \
	X(RELEASE, "RELEASE decision")                                                                         \
	X(UNDO, "ROLLBACK TO decision")                                                                        \
	X(COMMITTED, "UPDATE epoch SET last_commit = ?2 WHERE id = ?1")                                        \
	X(CLEAN, "UPDATE epoch SET clean = 1 WHERE id = ?1")                                                   \
	X(DEVICE_GET, "SELECT " DEVICE_COLUMNS " FROM device WHERE uuid = ?1")                                 \
	X(DEVICE_PUT, "INSERT OR REPLACE INTO device(" DEVICE_COLUMNS                                          \
		      ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)")              \
	X(HOLDER_EACH, "SELECT uuid FROM device WHERE fam <> '' AND revoked = 0 UNION SELECT uuid FROM command" \
		       " UNION SELECT uuid FROM registration WHERE state = 0")                                 \
	X(REG_GET, "SELECT " REGISTRATION_COLUMNS " FROM registration WHERE uuid = ?1 AND reg = ?2")           \
	X(REG_LIVE, "SELECT " REGISTRATION_COLUMNS " FROM registration WHERE uuid = ?1 AND state = 0 LIMIT ?2") \
	X(REG_PUT, "INSERT OR REPLACE INTO registration(" REGISTRATION_COLUMNS                                 \
		   ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)")                                         \
	X(REG_DELETE, "DELETE FROM registration WHERE uuid = ?1 AND reg = ?2")                                 \
	X(REG_OLDEST, "SELECT forget FROM registration ORDER BY forget LIMIT 1")                               \
	X(REG_PURGE, "DELETE FROM registration WHERE (uuid, reg) IN"                                           \
		     " (SELECT uuid, reg FROM registration WHERE forget <= ?1 ORDER BY forget LIMIT ?2)")      \
	X(USED_ADD, "INSERT OR IGNORE INTO sms_used(uuid, at) VALUES(?1, ?2)")                                 \
	X(USED_FORGET, "DELETE FROM sms_used WHERE uuid = ?1 AND at < ?2")                                     \
	X(USED_AFTER, "SELECT at FROM sms_used WHERE uuid = ?1 AND at > ?2 LIMIT 1")                           \
	X(USED_DELETE, "DELETE FROM sms_used WHERE uuid = ?1 AND at = ?2")                                     \
	X(USED_NTH, "SELECT at FROM sms_used WHERE uuid = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2")              \
	X(FLEET_ADD, "INSERT INTO fleet(bucket, n) VALUES(?1, ?2)"                                             \
		     " ON CONFLICT(bucket) DO UPDATE SET n = max(0, n + excluded.n)")                          \
	X(FLEET_FORGET, "DELETE FROM fleet WHERE bucket < ?1")                                                 \
	X(FLEET_AFTER, "DELETE FROM fleet WHERE bucket > ?1")                                                  \
	X(FLEET_EACH, "SELECT bucket, n FROM fleet WHERE bucket >= ?1 ORDER BY bucket")                        \
	X(OUT_PUT, "INSERT OR REPLACE INTO outbox(" OUTBOX_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)") \
	X(OUT_STATE, "UPDATE outbox SET state = ?2 WHERE id = ?1")                                             \
	X(OUT_DELETE, "DELETE FROM outbox WHERE id = ?1")                                                      \
	X(OUT_EACH, "SELECT " OUTBOX_COLUMNS " FROM outbox ORDER BY born")                                     \
	X(CMD_LIST, "SELECT " COMMAND_COLUMNS " FROM command WHERE uuid = ?1 AND n > ?2 ORDER BY n")           \
	X(CMD_ALL, "SELECT " COMMAND_COLUMNS " FROM command WHERE (uuid, n) > (?1, ?2) ORDER BY uuid, n")      \
	X(CMD_PUT, "INSERT INTO command(" COMMAND_COLUMNS ") SELECT ?1, coalesce(max(n), 0) + 1, ?2, ?3, ?4,"  \
		   " ?5, 0 FROM command WHERE uuid = ?1")                                                      \
	X(CMD_SENT, "UPDATE command SET sent = ?3 WHERE uuid = ?1 AND n = ?2")                                 \
	X(CMD_DELETE, "DELETE FROM command WHERE uuid = ?1 AND n = ?2")                                        \
	X(MARK_ADD, "INSERT OR IGNORE INTO mark(uuid, kind, at) VALUES(?1, ?2, ?3)")                           \
	X(MARK_FORGET, "DELETE FROM mark WHERE uuid = ?1 AND kind = ?2 AND at < ?3")                           \
	X(MARK_NTH, "SELECT at FROM mark WHERE uuid = ?1 AND kind = ?2 ORDER BY at DESC LIMIT 1 OFFSET ?3")    \
	X(MARK_AHEAD, "DELETE FROM mark WHERE at > ?1")                                                        \
	X(LEDGER_ADD, "INSERT INTO ledger(day, uuid, handed, returned) VALUES(?1, ?2, ?3, ?4)"                 \
		      " ON CONFLICT(day, uuid) DO UPDATE SET handed = handed + excluded.handed,"               \
		      " returned = returned + excluded.returned")                                              \
	X(LEDGER_FORGET, "DELETE FROM ledger WHERE day < ?1")                                                  \
	X(LEDGER_NEXT, "SELECT day, uuid, handed, returned FROM ledger WHERE (day, uuid) > (?1, ?2)"           \
		       " ORDER BY day, uuid LIMIT 1")                                                          \
	X(LEDGER_OF, "SELECT day, uuid, handed, returned FROM ledger WHERE uuid = ?2 AND day > ?1"             \
		     " ORDER BY day LIMIT 1")                                                                  \
	X(KEY_EACH, "SELECT kid, n, added, retire, sealed FROM token_key ORDER BY n")                          \
	X(KEY_PUT, "INSERT INTO token_key(kid, n, added, retire, sealed)"                                      \
		   " SELECT ?1, coalesce(max(n), 0) + 1, ?2, 0, ?3 FROM token_key")                            \
	X(KEY_RETIRE, "UPDATE token_key SET retire = ?2 WHERE kid = ?1")                                       \
	X(KEY_GONE, "UPDATE token_key SET retire = ?2, sealed = x'' WHERE kid = ?1")                           \
	X(KEY_GET, "SELECT n FROM token_key WHERE kid = ?1")                                                  \
	X(META_GET, "SELECT value FROM meta WHERE name = ?1")                                                  \
	X(META_PUT, "INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)")

#define STORE_STATEMENT_ENUM(name, sql) Q_##name,
enum store_statement { STORE_STATEMENTS(STORE_STATEMENT_ENUM) Q_COUNT };

#endif
