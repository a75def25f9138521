/* SQLite over a world's storage (core/world.h): the virtual rig's disk. No shared memory:
 * the store runs with locking_mode=EXCLUSIVE, so WAL keeps its index in the heap. Locks
 * live in this process, one table a VFS. */
#ifndef SERVER_STORE_VFS_H
#define SERVER_STORE_VFS_H

#include "core/world.h"

/* Makes `name` known to SQLite; both are borrowed until store_vfs_unregister. 0,
 * ERR_EXISTS, ERR_NOMEM. */
int store_vfs_register(const char *name, struct storage *st);
/* The world's randomness and clock for SQLite; `secret` NULL: zeros. Call it as often as
 * time moves. */
void store_vfs_world(const char *name, struct secret_source *secret, int64_t unix_ms);
/* All its databases are closed by then. */
void store_vfs_unregister(const char *name);

#endif
