/* A disk for servers in a lab: an SQLite VFS over another one that can be told to be full,
 * to fail, or to die at a named point inside it (core/crash.h). It passes on whatever it is
 * not told to spoil; files, locks and memory are those of the VFS below. */
#ifndef SERVER_STORE_DISK_H
#define SERVER_STORE_DISK_H

#include <stdbool.h>

#include "core/crash.h"
#include "core/disk.h"

struct store_disk;

struct store_disk_watch {
	/* Does anybody wait at a point? Else none is asked for. */
	bool (*armed)(void *ctx);
	/* A named point is passed; true: die here. From then on nothing reaches the disk. */
	bool (*point)(void *ctx, enum crash_point p);
	void *ctx;
};

/* `under`: the VFS below by name, NULL the default one. NULL where there is none, or no
 * memory. `watch` is copied; NULL: no points. */
struct store_disk *store_disk_new(const char *under, const struct store_disk_watch *watch);
/* All its databases are closed by then. */
void store_disk_free(struct store_disk *d);
/* Its name for sqlite3_open_v2; lives as long as it does. */
const char *store_disk_vfs(const struct store_disk *d);
void store_disk_trouble(struct store_disk *d, enum disk_trouble t);
/* What is wrong now: a failed fsync is over once it has failed. */
enum disk_trouble store_disk_now(const struct store_disk *d);

#endif
