/* What may be wrong with a disk, a server's or a device's, and what a power cut leaves of it:
 * one table for the language, the control line and both disks. */
#ifndef CORE_DISK_H
#define CORE_DISK_H

#include <string.h>

/* X(NAME, "name") */
#define DISK_TROUBLES(X)                                                                                       \
	X(SOUND, "sound")                                                                                      \
	X(FULL, "full")           /* no write finds room */                                                    \
	X(WRITE, "write")         /* every write fails, EIO */                                                 \
	X(READ_ONLY, "read_only") /* every write, creation and removal fails, EROFS */                         \
	X(SYNC, "sync")           /* the next fsync fails, once; what it was for is on disk or not */

#define DISK_ENUM(name, text) DISK_##name,
enum disk_trouble { DISK_TROUBLES(DISK_ENUM) DISK_COUNT };
#undef DISK_ENUM

/* What `do: disk_error` may say is wrong: all but the first two. */
#define DISK_ERRORS "write read_only sync"

/* -1 where unknown. */
static inline int disk_trouble_by_name(const char *name)
{
#define DISK_NAME(id, text) text,
	static const char *const names[] = {DISK_TROUBLES(DISK_NAME)};
#undef DISK_NAME

	for (int t = 0; t < DISK_COUNT; t++)
		if (strcmp(names[t], name) == 0)
			return t;
	return -1;
}

/* What a power cut leaves of what was not synced, in the order of sim/storage_mem.h. */
#define DISK_UNSYNCED "keep lose tear"

/* 0, 1, 2; -1 where unknown. */
static inline int disk_unsynced_by_name(const char *name)
{
	static const char *const names[] = {"keep", "lose", "tear"};

	for (int i = 0; i < 3; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

#endif
