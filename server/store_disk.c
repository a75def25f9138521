#include "server/store_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

struct store_disk {
	sqlite3_vfs base; /* first: SQLite hands us this pointer */
	sqlite3_vfs *under;
	struct store_disk_watch watch;
	enum disk_trouble trouble;
	bool dead; /* died at a point: what stands on the disk stays so */
	char name[40];
};

/* The file of the VFS below stands right behind it. */
struct disk_file {
	sqlite3_file base; /* first */
	struct store_disk *disk;
	sqlite3_file *under;
	bool log; /* the write-ahead log, and not the database itself */
};

static struct store_disk *disk_of(sqlite3_vfs *v)
{
	return (struct store_disk *)(void *)v;
}

static struct disk_file *file_of(sqlite3_file *f)
{
	return (struct disk_file *)(void *)f;
}

static bool armed(const struct store_disk *d)
{
	return d->watch.point && d->watch.armed(d->watch.ctx);
}

static bool dies(struct store_disk *d, enum crash_point p)
{
	if (!d->dead && armed(d) && d->watch.point(d->watch.ctx, p))
		d->dead = true;
	return d->dead;
}

/* May it be changed? SQLITE_OK, or what SQLite's unix VFS makes of ENOSPC, EIO and EROFS. */
static int changing(struct store_disk *d, int failed)
{
	if (d->dead)
		return failed;
	switch (d->trouble) {
	case DISK_FULL:
		return SQLITE_FULL;
	case DISK_WRITE:
	case DISK_READ_ONLY:
		return failed;
	default:
		return SQLITE_OK;
	}
}

/* ---- files ---- */

static int file_close(sqlite3_file *base)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods ? u->pMethods->xClose(u) : SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int amount, sqlite3_int64 offset)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xRead(u, out, amount, offset);
}

static int file_write(sqlite3_file *base, const void *data, int amount, sqlite3_int64 offset)
{
	struct disk_file *f = file_of(base);
	sqlite3_file *u = f->under;
	int rc = changing(f->disk, SQLITE_IOERR_WRITE);

	if (rc)
		return rc;
	if (f->log && dies(f->disk, CRASH_BEFORE_WRITE))
		return SQLITE_IOERR_WRITE;
	if (!armed(f->disk))
		return u->pMethods->xWrite(u, data, amount, offset);
	/* in halves, so that a death between them leaves a torn one */
	rc = u->pMethods->xWrite(u, data, amount / 2, offset);
	if (rc)
		return rc;
	if (dies(f->disk, f->log ? CRASH_IN_WRITE : CRASH_IN_CHECKPOINT))
		return SQLITE_IOERR_WRITE;
	return u->pMethods->xWrite(u, (const char *)data + amount / 2, amount - amount / 2, offset + amount / 2);
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct disk_file *f = file_of(base);
	int rc = f->disk->trouble == DISK_FULL ? SQLITE_OK : changing(f->disk, SQLITE_IOERR_TRUNCATE);

	return rc ? rc : f->under->pMethods->xTruncate(f->under, size);
}

static int file_sync(sqlite3_file *base, int flags)
{
	struct disk_file *f = file_of(base);
	int rc;

	if (f->disk->dead || (f->log && dies(f->disk, CRASH_BEFORE_SYNC)))
		return SQLITE_IOERR_FSYNC;
	if (f->disk->trouble == DISK_SYNC) {
		f->disk->trouble = DISK_SOUND;
		return SQLITE_IOERR_FSYNC;
	}
	rc = f->under->pMethods->xSync(f->under, flags);
	if (!rc && dies(f->disk, f->log ? CRASH_AFTER_SYNC : CRASH_AFTER_CHECKPOINT))
		return SQLITE_IOERR_FSYNC;
	return rc;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xFileSize(u, size);
}

static int file_lock(sqlite3_file *base, int level)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xLock(u, level);
}

static int file_unlock(sqlite3_file *base, int level)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xUnlock(u, level);
}

static int file_reserved(sqlite3_file *base, int *out)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xCheckReservedLock(u, out);
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xFileControl(u, op, arg);
}

static int file_sector(sqlite3_file *base)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xSectorSize(u);
}

static int file_device(sqlite3_file *base)
{
	sqlite3_file *u = file_of(base)->under;

	return u->pMethods->xDeviceCharacteristics(u);
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1, /* no shared memory, no memory mapping: the store locks its file for itself */
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_device,
};

/* ---- the VFS ---- */

static int disk_open(sqlite3_vfs *base, sqlite3_filename name, sqlite3_file *out, int flags, int *flags_out)
{
	struct store_disk *d = disk_of(base);
	struct disk_file *f = file_of(out);
	int there = 1, rc = SQLITE_OK;

	memset(f, 0, sizeof(*f));
	f->disk = d;
	f->under = (sqlite3_file *)(void *)(f + 1);
	f->under->pMethods = NULL;
	f->log = (flags & SQLITE_OPEN_WAL) != 0;
	if (name && (flags & SQLITE_OPEN_CREATE))
		rc = d->under->xAccess(d->under, name, SQLITE_ACCESS_EXISTS, &there);
	if (!rc && !there)
		rc = changing(d, SQLITE_CANTOPEN);
	if (!rc)
		rc = d->under->xOpen(d->under, name, f->under, flags, flags_out);
	/* SQLite closes what has methods, even where opening it failed */
	if (f->under->pMethods)
		f->base.pMethods = &file_methods;
	return rc;
}

static int disk_delete(sqlite3_vfs *base, const char *name, int sync_dir)
{
	struct store_disk *d = disk_of(base);
	int rc = d->trouble == DISK_FULL ? SQLITE_OK : changing(d, SQLITE_IOERR_DELETE);

	return rc ? rc : d->under->xDelete(d->under, name, sync_dir);
}

static int disk_access(sqlite3_vfs *base, const char *name, int flags, int *out)
{
	return disk_of(base)->under->xAccess(disk_of(base)->under, name, flags, out);
}

static int disk_full_name(sqlite3_vfs *base, const char *name, int size, char *out)
{
	return disk_of(base)->under->xFullPathname(disk_of(base)->under, name, size, out);
}

static int disk_randomness(sqlite3_vfs *base, int size, char *out)
{
	return disk_of(base)->under->xRandomness(disk_of(base)->under, size, out);
}

static int disk_sleep(sqlite3_vfs *base, int us)
{
	return disk_of(base)->under->xSleep(disk_of(base)->under, us);
}

static int disk_time(sqlite3_vfs *base, double *out)
{
	return disk_of(base)->under->xCurrentTime(disk_of(base)->under, out);
}

static int disk_time_ms(sqlite3_vfs *base, sqlite3_int64 *out)
{
	return disk_of(base)->under->xCurrentTimeInt64(disk_of(base)->under, out);
}

static int disk_last_error(sqlite3_vfs *base, int size, char *out)
{
	return disk_of(base)->under->xGetLastError(disk_of(base)->under, size, out);
}

struct store_disk *store_disk_new(const char *under, const struct store_disk_watch *watch)
{
	sqlite3_vfs *below = sqlite3_vfs_find(under);
	struct store_disk *d = below && below->iVersion >= 2 ? calloc(1, sizeof(*d)) : NULL;

	if (!d)
		return NULL;
	d->under = below;
	if (watch)
		d->watch = *watch;
	/* a name of its own: a process may hold several */
	snprintf(d->name, sizeof(d->name), "lab-%p", (void *)d);
	d->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = (int)sizeof(struct disk_file) + below->szOsFile,
		.mxPathname = below->mxPathname,
		.zName = d->name,
		.xOpen = disk_open,
		.xDelete = disk_delete,
		.xAccess = disk_access,
		.xFullPathname = disk_full_name,
		.xRandomness = disk_randomness,
		.xSleep = disk_sleep,
		.xCurrentTime = disk_time,
		.xGetLastError = disk_last_error,
		.xCurrentTimeInt64 = disk_time_ms,
	};
	if (sqlite3_vfs_register(&d->base, 0) != SQLITE_OK) {
		free(d);
		return NULL;
	}
	return d;
}

void store_disk_free(struct store_disk *d)
{
	if (!d)
		return;
	sqlite3_vfs_unregister(&d->base);
	free(d);
}

const char *store_disk_vfs(const struct store_disk *d)
{
	return d->name;
}

void store_disk_trouble(struct store_disk *d, enum disk_trouble t)
{
	d->trouble = t;
}

enum disk_trouble store_disk_now(const struct store_disk *d)
{
	return d->trouble;
}
