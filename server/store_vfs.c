#include "server/store_vfs.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "core/err.h"

#define NAME_MAX_BYTES 128
#define SECTOR         4096
#define JULIAN_UNIX_MS INT64_C(210866760000000) /* 1970-01-01 in SQLite's Julian ms */

struct vfs_file;

struct store_vfs {
	sqlite3_vfs base; /* first: SQLite hands us this pointer */
	struct storage *storage;
	struct secret_source *secret;
	int64_t unix_ms;
	struct vfs_file *open; /* all open files, for locks */
};

struct vfs_file {
	sqlite3_file base; /* first */
	struct store_vfs *vfs;
	struct vfs_file *next;
	char name[NAME_MAX_BYTES];
	int lock;
	bool created;         /* its name is not yet durable */
	bool delete_on_close;
};

static struct store_vfs *vfs_of(sqlite3_vfs *v)
{
	return (struct store_vfs *)(void *)v;
}

static struct vfs_file *file_of(sqlite3_file *f)
{
	return (struct vfs_file *)(void *)f;
}

static int map_error(int rv, int otherwise)
{
	return rv == ERR_LIMIT ? SQLITE_FULL : otherwise;
}

/* ---- files ---- */

static int file_close(sqlite3_file *base)
{
	struct vfs_file *f = file_of(base);

	for (struct vfs_file **p = &f->vfs->open; *p; p = &(*p)->next) {
		if (*p == f) {
			*p = f->next;
			break;
		}
	}
	if (f->delete_on_close)
		f->vfs->storage->ops->remove(f->vfs->storage, f->name);
	return SQLITE_OK;
}

static int file_read(sqlite3_file *base, void *out, int amount, sqlite3_int64 offset)
{
	struct vfs_file *f = file_of(base);
	size_t want = (size_t)amount, got = 0;
	int64_t n;

	while (got < want) {
		n = f->vfs->storage->ops->pread(f->vfs->storage, f->name, (uint64_t)offset + got, (char *)out + got,
						want - got);
		if (n < 0)
			return SQLITE_IOERR_READ;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	if (got == want)
		return SQLITE_OK;
	memset((char *)out + got, 0, want - got);
	return SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *base, const void *data, int amount, sqlite3_int64 offset)
{
	struct vfs_file *f = file_of(base);
	int rv = f->vfs->storage->ops->pwrite(f->vfs->storage, f->name, (uint64_t)offset, data, (size_t)amount);

	return rv ? map_error(rv, SQLITE_IOERR_WRITE) : SQLITE_OK;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct vfs_file *f = file_of(base);

	return f->vfs->storage->ops->truncate(f->vfs->storage, f->name, (uint64_t)size) ? SQLITE_IOERR_TRUNCATE
											: SQLITE_OK;
}

static int file_sync(sqlite3_file *base, int flags)
{
	struct vfs_file *f = file_of(base);

	(void)flags;
	if (f->vfs->storage->ops->sync(f->vfs->storage, f->name))
		return SQLITE_IOERR_FSYNC;
	if (f->created) {
		if (f->vfs->storage->ops->sync_dir(f->vfs->storage))
			return SQLITE_IOERR_DIR_FSYNC;
		f->created = false;
	}
	return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
	struct vfs_file *f = file_of(base);
	int64_t n = f->vfs->storage->ops->size(f->vfs->storage, f->name);

	if (n < 0 && n != ERR_NOTFOUND)
		return SQLITE_IOERR_FSTAT;
	*size = n < 0 ? 0 : n;
	return SQLITE_OK;
}

/* SQLite's five levels (sqlite.org/lockingv3.html) among the files of one name. */
static int file_lock(sqlite3_file *base, int level)
{
	struct vfs_file *f = file_of(base);

	if (f->lock >= level)
		return SQLITE_OK;
	for (const struct vfs_file *o = f->vfs->open; o; o = o->next) {
		if (o == f || strcmp(o->name, f->name) != 0)
			continue;
		if (o->lock >= SQLITE_LOCK_PENDING || (level >= SQLITE_LOCK_RESERVED && o->lock >= SQLITE_LOCK_RESERVED) ||
		    (level == SQLITE_LOCK_EXCLUSIVE && o->lock >= SQLITE_LOCK_SHARED))
			return SQLITE_BUSY;
	}
	f->lock = level;
	return SQLITE_OK;
}

static int file_unlock(sqlite3_file *base, int level)
{
	struct vfs_file *f = file_of(base);

	if (f->lock > level)
		f->lock = level;
	return SQLITE_OK;
}

static int file_reserved(sqlite3_file *base, int *out)
{
	struct vfs_file *f = file_of(base);

	*out = 0;
	for (const struct vfs_file *o = f->vfs->open; o; o = o->next)
		if (strcmp(o->name, f->name) == 0 && o->lock >= SQLITE_LOCK_RESERVED)
			*out = 1;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
	(void)base;
	(void)op;
	(void)arg;
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *base)
{
	(void)base;
	return SECTOR;
}

static int file_device(sqlite3_file *base)
{
	(void)base;
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1, /* no shared memory, no memory mapping */
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

static int vfs_open(sqlite3_vfs *base, sqlite3_filename name, sqlite3_file *out, int flags, int *flags_out)
{
	struct store_vfs *v = vfs_of(base);
	struct vfs_file *f = file_of(out);

	memset(f, 0, sizeof(*f));
	/* temporary files would be nameless; the store keeps them in memory */
	if (!name || strlen(name) >= sizeof(f->name))
		return SQLITE_CANTOPEN;
	memcpy(f->name, name, strlen(name) + 1);
	if (v->storage->ops->size(v->storage, name) < 0) {
		if (!(flags & SQLITE_OPEN_CREATE) || v->storage->ops->truncate(v->storage, name, 0))
			return SQLITE_CANTOPEN;
		f->created = true;
	}
	f->vfs = v;
	f->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
	f->next = v->open;
	v->open = f;
	f->base.pMethods = &file_methods;
	if (flags_out)
		*flags_out = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *base, const char *name, int sync_dir)
{
	struct store_vfs *v = vfs_of(base);
	int rv = v->storage->ops->remove(v->storage, name);

	if (rv)
		return rv == ERR_NOTFOUND ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
	return sync_dir && v->storage->ops->sync_dir(v->storage) ? SQLITE_IOERR_DIR_FSYNC : SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *base, const char *name, int flags, int *out)
{
	struct store_vfs *v = vfs_of(base);

	(void)flags;
	*out = v->storage->ops->size(v->storage, name) >= 0;
	return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *base, const char *name, int size, char *out)
{
	(void)base;
	if (strlen(name) >= (size_t)size)
		return SQLITE_CANTOPEN;
	memcpy(out, name, strlen(name) + 1);
	return SQLITE_OK;
}

static int vfs_randomness(sqlite3_vfs *base, int size, char *out)
{
	struct store_vfs *v = vfs_of(base);

	memset(out, 0, (size_t)size);
	if (v->secret)
		secret_fill(v->secret, out, (size_t)size);
	return size;
}

static int vfs_sleep(sqlite3_vfs *base, int us)
{
	(void)base;
	return us;
}

static int vfs_time_ms(sqlite3_vfs *base, sqlite3_int64 *out)
{
	*out = vfs_of(base)->unix_ms + JULIAN_UNIX_MS;
	return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *base, double *out)
{
	*out = (double)(vfs_of(base)->unix_ms + JULIAN_UNIX_MS) / 86400000.0;
	return SQLITE_OK;
}

static int vfs_last_error(sqlite3_vfs *base, int size, char *out)
{
	(void)base;
	(void)size;
	(void)out;
	return 0;
}

int store_vfs_register(const char *name, struct storage *st)
{
	struct store_vfs *v;

	if (sqlite3_vfs_find(name))
		return ERR_EXISTS;
	v = calloc(1, sizeof(*v));
	if (!v)
		return ERR_NOMEM;
	v->storage = st;
	v->base = (sqlite3_vfs){
		.iVersion = 2,
		.szOsFile = sizeof(struct vfs_file),
		.mxPathname = NAME_MAX_BYTES - 1,
		.zName = name,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_name,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_time,
		.xGetLastError = vfs_last_error,
		.xCurrentTimeInt64 = vfs_time_ms,
	};
	if (sqlite3_vfs_register(&v->base, 0) != SQLITE_OK) {
		free(v);
		return ERR_NOMEM;
	}
	return 0;
}

void store_vfs_world(const char *name, struct secret_source *secret, int64_t unix_ms)
{
	sqlite3_vfs *base = sqlite3_vfs_find(name);

	if (!base)
		return;
	vfs_of(base)->secret = secret;
	vfs_of(base)->unix_ms = unix_ms;
}

void store_vfs_unregister(const char *name)
{
	sqlite3_vfs *base = sqlite3_vfs_find(name);

	if (!base)
		return;
	assert(!vfs_of(base)->open);
	sqlite3_vfs_unregister(base);
	free(vfs_of(base));
}
