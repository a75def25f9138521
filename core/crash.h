/* Where a server may be made to die (contracts.md, Effects and crash points): gaps between
 * two effects of a turn, and places inside the storage layer. One table, which the server,
 * the language and `quicrig list --crash-points` are made from. */
#ifndef CORE_CRASH_H
#define CORE_CRASH_H

#include <stddef.h>
#include <string.h>

/* X(NAME, "name", "what stands by then") */
#define CRASH_POINTS(X)                                                                                        \
	X(BEFORE_COMMIT, "server.before_commit", "decided, nothing of it on disk")                             \
	X(AFTER_COMMIT, "server.after_commit", "committed, nothing said of it yet")                            \
	X(AFTER_JOURNAL, "server.after_journal", "told in the journal, nothing has left")                      \
	X(AFTER_SMS, "server.after_sms", "handed to the gateway, no reply sent")                               \
	X(AFTER_REPLY, "server.after_reply", "the reply has left")                                             \
	X(BEFORE_WRITE, "storage.before_write", "a write to the log is due")                                   \
	X(IN_WRITE, "storage.in_write", "half of a write to the log is done")                                  \
	X(BEFORE_SYNC, "storage.before_sync", "the log is written, not synced")                                \
	X(AFTER_SYNC, "storage.after_sync", "the log is synced, nobody knows yet")                             \
	X(IN_CHECKPOINT, "storage.in_checkpoint", "half of a write to the database itself is done")            \
	X(AFTER_CHECKPOINT, "storage.after_checkpoint", "the database itself is synced, its log still stands")

#define CRASH_ENUM(name, text, doc) CRASH_##name,
enum crash_point { CRASH_POINTS(CRASH_ENUM) CRASH_COUNT };
#undef CRASH_ENUM

/* Space-separated, for tables of words. */
#define CRASH_WORD(name, text, doc) " " text
#define CRASH_WORDS (&(CRASH_POINTS(CRASH_WORD))[1])

static inline const char *crash_name(enum crash_point p)
{
#define CRASH_NAME(name, text, doc) text,
	static const char *const names[] = {CRASH_POINTS(CRASH_NAME)};
#undef CRASH_NAME
	return p < CRASH_COUNT ? names[p] : "?";
}

static inline const char *crash_doc(enum crash_point p)
{
#define CRASH_DOC(name, text, doc) doc,
	static const char *const docs[] = {CRASH_POINTS(CRASH_DOC)};
#undef CRASH_DOC
	return p < CRASH_COUNT ? docs[p] : "?";
}

/* -1 where unknown. */
static inline int crash_by_name(const char *name)
{
	for (int p = 0; p < CRASH_COUNT; p++)
		if (strcmp(crash_name((enum crash_point)p), name) == 0)
			return p;
	return -1;
}

#endif
