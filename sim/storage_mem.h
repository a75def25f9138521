/* Durable storage in memory (struct storage of core/world.h) that knows what a power
 * cut would leave: contents since the last sync of a file, and names since the last
 * sync_dir, are kept, lost or torn as the world says. Small enough to have one a device. */
#ifndef SIM_STORAGE_MEM_H
#define SIM_STORAGE_MEM_H

#include "core/disk.h"
#include "core/rng.h"
#include "core/world.h"

#define STORAGE_SECTOR 512 /* bytes that a disk writes as a whole */

enum storage_cut {
	STORAGE_KEEP, /* everything had reached the medium */
	STORAGE_LOSE, /* nothing that was not synced had */
	STORAGE_TEAR, /* some sectors had; names all or none */
};

struct storage_mem;

/* `limit`: bytes of all files together, UINT64_MAX none; a write beyond it is ERR_LIMIT. */
struct storage_mem *storage_mem_new(uint64_t limit);
void storage_mem_free(struct storage_mem *m);
struct storage *storage_mem_storage(struct storage_mem *m);

/* What stands now is the truth after power returns. `rng` for STORAGE_TEAR only. */
void storage_mem_power_cut(struct storage_mem *m, enum storage_cut mode, struct rng *rng);
/* The same as seed, owner and moment have it: kept, lost or torn (`mode` < 0), or in that one
 * way; nobody else's draws move, and whoever knows the three comes to the same. */
void storage_mem_power_fails(struct storage_mem *m, uint64_t seed, const char *owner, time_ns at, int mode);
/* The disk fills up or empties. */
void storage_mem_set_limit(struct storage_mem *m, uint64_t limit);
uint64_t storage_mem_used(const struct storage_mem *m);
/* What is wrong with it from now on; DISK_SYNC is over once a sync has failed. */
void storage_mem_trouble(struct storage_mem *m, enum disk_trouble t);
/* Every call fails with ERR_IO from the n-th operation on (counted from now, 1 the
 * next), but reads; 0: none does. */
void storage_mem_fail_from(struct storage_mem *m, uint64_t nth);

#endif
