#include "sim/storage_mem.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

/* An older sector, kept until the file is synced. */
struct undo {
	uint64_t sector;
	uint8_t old[STORAGE_SECTOR];
};

/* A file's contents; names point to it, so that a rename moves nothing. */
struct inode {
	uint8_t *data;
	uint64_t size, cap;
	uint64_t synced_size;     /* what a power cut that loses would leave */
	struct undo *undo;        /* sectors below synced_size that were written since */
	size_t undo_n, undo_cap;
	uint8_t *dirty;           /* bit a sector: has an undo entry */
	uint64_t dirty_sectors;   /* bits that `dirty` has room for */
	unsigned names;           /* in both directories */
};

struct name {
	char *text;
	struct inode *inode;
};

struct folder {
	struct name *names;
	size_t n, cap;
};

struct storage_mem {
	struct storage base; /* first: the ops get a pointer to it */
	struct folder now, durable;
	bool folder_dirty;
	uint64_t limit, used;
	enum disk_trouble trouble;
	uint64_t fail_in; /* operations until they fail + 1; 0: never */
};

static struct storage_mem *self(struct storage *st)
{
	return (struct storage_mem *)st;
}

/* ---- inodes ---- */

static void inode_drop(struct storage_mem *m, struct inode *i)
{
	if (--i->names)
		return;
	m->used -= i->size;
	free(i->data);
	free(i->undo);
	free(i->dirty);
	free(i);
}

static int inode_grow(struct inode *i, uint64_t size)
{
	uint64_t cap = i->cap ? i->cap : 256;
	uint8_t *p;

	if (size <= i->cap)
		return 0;
	while (cap < size)
		cap *= 2;
	if (cap > 2 * STORAGE_SECTOR && size < cap / 4 * 3)
		cap = (size + STORAGE_SECTOR - 1) / STORAGE_SECTOR * STORAGE_SECTOR + cap / 8;
	p = realloc(i->data, cap);
	if (!p)
		return ERR_NOMEM;
	i->data = p;
	i->cap = cap;
	return 0;
}

static bool is_dirty(const struct inode *i, uint64_t sector)
{
	return sector < i->dirty_sectors && (i->dirty[sector / 8] >> (sector % 8) & 1);
}

static int remember(struct inode *i, uint64_t sector)
{
	uint64_t at = sector * STORAGE_SECTOR, n;

	if (at >= i->synced_size || is_dirty(i, sector))
		return 0;
	if (sector >= i->dirty_sectors) {
		uint64_t sectors = ((i->synced_size / STORAGE_SECTOR + 8) / 8) * 8;
		uint8_t *p = realloc(i->dirty, sectors / 8);

		if (!p)
			return ERR_NOMEM;
		memset(p + i->dirty_sectors / 8, 0, (sectors - i->dirty_sectors) / 8);
		i->dirty = p;
		i->dirty_sectors = sectors;
	}
	if (i->undo_n == i->undo_cap) {
		size_t cap = i->undo_cap ? 2 * i->undo_cap : 4;
		struct undo *p = realloc(i->undo, cap * sizeof(*p));

		if (!p)
			return ERR_NOMEM;
		i->undo = p;
		i->undo_cap = cap;
	}
	i->undo[i->undo_n].sector = sector;
	/* what stands behind the synced size is not on the medium either */
	n = i->size < i->synced_size ? i->size : i->synced_size;
	n = n > at ? n - at : 0;
	n = n < STORAGE_SECTOR ? n : STORAGE_SECTOR;
	memset(i->undo[i->undo_n].old, 0, STORAGE_SECTOR);
	if (n)
		memcpy(i->undo[i->undo_n].old, i->data + at, n);
	i->undo_n++;
	i->dirty[sector / 8] |= (uint8_t)(1 << (sector % 8));
	return 0;
}

static int remember_range(struct inode *i, uint64_t from, uint64_t to)
{
	int rv = 0;

	if (to > i->synced_size)
		to = i->synced_size;
	for (uint64_t s = from / STORAGE_SECTOR; from < to && s <= (to - 1) / STORAGE_SECTOR && !rv; s++)
		rv = remember(i, s);
	return rv;
}

static void inode_settle(struct inode *i)
{
	for (size_t k = 0; k < i->undo_n; k++)
		i->dirty[i->undo[k].sector / 8] = 0;
	free(i->undo);
	i->undo = NULL;
	i->undo_n = i->undo_cap = 0;
	i->synced_size = i->size;
}

static int inode_resize(struct storage_mem *m, struct inode *i, uint64_t size)
{
	int rv;

	if (size > i->size) {
		if (size - i->size > m->limit - (m->used < m->limit ? m->used : m->limit))
			return ERR_LIMIT;
		rv = inode_grow(i, size);
		if (rv)
			return rv;
		memset(i->data + i->size, 0, size - i->size);
		m->used += size - i->size;
	} else {
		rv = remember_range(i, size, i->size);
		if (rv)
			return rv;
		m->used -= i->size - size;
	}
	i->size = size;
	return 0;
}

/* What was never written to the medium behind the synced size reads as zeros. The sector in
 * which that size ends may stand among the undone ones, which then decide for the whole of it. */
static void tear_behind(struct inode *i, uint64_t size, struct rng *rng)
{
	for (uint64_t at = i->synced_size, next; at < size; at = next) {
		next = (at / STORAGE_SECTOR + 1) * STORAGE_SECTOR;
		next = next < size ? next : size;
		if (!is_dirty(i, at / STORAGE_SECTOR) && rng_below(rng, 2))
			memset(i->data + at, 0, next - at);
	}
}

/* What the medium holds when power fails. */
static void inode_cut(struct storage_mem *m, struct inode *i, enum storage_cut mode, struct rng *rng)
{
	uint64_t size = i->size;

	if (mode == STORAGE_KEEP)
		goto out;
	/* a size that was not synced is metadata: the old or the new one */
	if (mode == STORAGE_LOSE || rng_below(rng, 2))
		size = i->synced_size;
	if (size > i->size && inode_grow(i, size)) {
		assert(!"a file can be restored to a size that it had");
		return;
	}
	if (size > i->size)
		memset(i->data + i->size, 0, size - i->size);
	if (mode == STORAGE_TEAR)
		tear_behind(i, size, rng);
	for (size_t k = 0; k < i->undo_n; k++) {
		uint64_t at = i->undo[k].sector * STORAGE_SECTOR;

		if (at >= size || (mode == STORAGE_TEAR && rng_below(rng, 2)))
			continue;
		memcpy(i->data + at, i->undo[k].old, size - at < STORAGE_SECTOR ? size - at : STORAGE_SECTOR);
	}
	m->used = m->used - i->size + size;
	i->size = size;
out:
	inode_settle(i);
}

/* ---- names ---- */

static struct name *find(struct folder *f, const char *text)
{
	for (size_t k = 0; k < f->n; k++)
		if (strcmp(f->names[k].text, text) == 0)
			return &f->names[k];
	return NULL;
}

static int folder_add(struct folder *f, const char *text, struct inode *i)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? 2 * f->cap : 2;
		struct name *p = realloc(f->names, cap * sizeof(*p));

		if (!p)
			return ERR_NOMEM;
		f->names = p;
		f->cap = cap;
	}
	f->names[f->n].text = strdup(text);
	if (!f->names[f->n].text)
		return ERR_NOMEM;
	f->names[f->n++].inode = i;
	i->names++;
	return 0;
}

static void folder_remove(struct storage_mem *m, struct folder *f, struct name *n)
{
	free(n->text);
	inode_drop(m, n->inode);
	*n = f->names[--f->n];
}

static void folder_clear(struct storage_mem *m, struct folder *f)
{
	while (f->n)
		folder_remove(m, f, &f->names[f->n - 1]);
}

static int folder_copy(struct storage_mem *m, struct folder *to, const struct folder *from)
{
	struct folder fresh = {NULL, 0, 0};
	int rv = 0;

	for (size_t k = 0; k < from->n && !rv; k++)
		rv = folder_add(&fresh, from->names[k].text, from->names[k].inode);
	if (rv) {
		folder_clear(m, &fresh);
		free(fresh.names);
		return rv;
	}
	folder_clear(m, to);
	free(to->names);
	*to = fresh;
	return 0;
}

/* ---- struct storage ---- */

static bool fails(struct storage_mem *m)
{
	if (!m->fail_in)
		return false;
	if (m->fail_in > 1)
		m->fail_in--;
	return m->fail_in == 1;
}

/* Is there anything against changing it? Writing (`grows`), or renaming and removing. */
static int refused(struct storage_mem *m, bool grows)
{
	if (fails(m) || m->trouble == DISK_READ_ONLY || (m->trouble == DISK_WRITE && grows))
		return ERR_IO;
	return m->trouble == DISK_FULL && grows ? ERR_LIMIT : 0;
}

static int sync_fails(struct storage_mem *m)
{
	if (m->trouble == DISK_SYNC) {
		m->trouble = DISK_SOUND;
		return ERR_IO;
	}
	return fails(m) ? ERR_IO : 0;
}

static int64_t mem_pread(struct storage *st, const char *name, uint64_t offset, void *out, size_t len)
{
	struct name *n = find(&self(st)->now, name);

	if (!n)
		return ERR_NOTFOUND;
	if (offset >= n->inode->size)
		return 0;
	if (len > n->inode->size - offset)
		len = n->inode->size - offset;
	memcpy(out, n->inode->data + offset, len);
	return (int64_t)len;
}

static int mem_pwrite(struct storage *st, const char *name, uint64_t offset, const void *data, size_t len)
{
	struct storage_mem *m = self(st);
	struct name *n = find(&m->now, name);
	int rv;

	rv = refused(m, true);
	if (rv)
		return rv;
	if (!n)
		return ERR_NOTFOUND;
	if (!len)
		return 0;
	rv = remember_range(n->inode, offset, offset + len);
	if (!rv && offset + len > n->inode->size)
		rv = inode_resize(m, n->inode, offset + len);
	if (rv)
		return rv;
	memcpy(n->inode->data + offset, data, len);
	return 0;
}

static int mem_truncate(struct storage *st, const char *name, uint64_t size)
{
	struct storage_mem *m = self(st);
	struct name *n = find(&m->now, name);
	struct inode *i;
	int rv;

	rv = refused(m, false);
	if (rv)
		return rv;
	if (n)
		return inode_resize(m, n->inode, size);
	i = calloc(1, sizeof(*i));
	if (!i)
		return ERR_NOMEM;
	rv = folder_add(&m->now, name, i);
	if (rv) {
		free(i);
		return rv;
	}
	m->folder_dirty = true;
	return inode_resize(m, i, size);
}

static int64_t mem_size(struct storage *st, const char *name)
{
	struct name *n = find(&self(st)->now, name);

	return n ? (int64_t)n->inode->size : ERR_NOTFOUND;
}

static int mem_sync(struct storage *st, const char *name)
{
	struct storage_mem *m = self(st);
	struct name *n = find(&m->now, name);

	if (sync_fails(m))
		return ERR_IO;
	if (!n)
		return ERR_NOTFOUND;
	inode_settle(n->inode);
	return 0;
}

static int mem_rename(struct storage *st, const char *from, const char *to)
{
	struct storage_mem *m = self(st);
	struct name *n = find(&m->now, from), *old;
	char *text;

	if (refused(m, false))
		return ERR_IO;
	if (!n)
		return ERR_NOTFOUND;
	if (strcmp(from, to) == 0)
		return 0;
	text = strdup(to);
	if (!text)
		return ERR_NOMEM;
	free(n->text);
	n->text = text;
	/* the other one of that name, if there is one */
	for (old = m->now.names; old < m->now.names + m->now.n; old++) {
		if (old != n && strcmp(old->text, to) == 0) {
			folder_remove(m, &m->now, old);
			break;
		}
	}
	m->folder_dirty = true;
	return 0;
}

static int mem_remove(struct storage *st, const char *name)
{
	struct storage_mem *m = self(st);
	struct name *n = find(&m->now, name);

	if (refused(m, false))
		return ERR_IO;
	if (!n)
		return ERR_NOTFOUND;
	folder_remove(m, &m->now, n);
	m->folder_dirty = true;
	return 0;
}

static int mem_sync_dir(struct storage *st)
{
	struct storage_mem *m = self(st);
	int rv;

	if (sync_fails(m))
		return ERR_IO;
	if (!m->folder_dirty)
		return 0;
	rv = folder_copy(m, &m->durable, &m->now);
	if (!rv)
		m->folder_dirty = false;
	return rv;
}

static const struct storage_ops ops = {
	.pread = mem_pread,
	.pwrite = mem_pwrite,
	.truncate = mem_truncate,
	.size = mem_size,
	.sync = mem_sync,
	.rename = mem_rename,
	.remove = mem_remove,
	.sync_dir = mem_sync_dir,
};

struct storage_mem *storage_mem_new(uint64_t limit)
{
	struct storage_mem *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->base.ops = &ops;
	m->limit = limit;
	return m;
}

void storage_mem_free(struct storage_mem *m)
{
	if (!m)
		return;
	folder_clear(m, &m->now);
	folder_clear(m, &m->durable);
	free(m->now.names);
	free(m->durable.names);
	free(m);
}

struct storage *storage_mem_storage(struct storage_mem *m)
{
	return &m->base;
}

void storage_mem_power_cut(struct storage_mem *m, enum storage_cut mode, struct rng *rng)
{
	bool new_names = mode == STORAGE_KEEP || (mode == STORAGE_TEAR && rng_below(rng, 2));

	if (m->folder_dirty) {
		int rv = new_names ? folder_copy(m, &m->durable, &m->now) : folder_copy(m, &m->now, &m->durable);

		assert(!rv);
		m->folder_dirty = false;
	}
	for (size_t k = 0; k < m->now.n; k++)
		inode_cut(m, m->now.names[k].inode, mode, rng);
}

void storage_mem_power_fails(struct storage_mem *m, uint64_t seed, const char *owner, time_ns at, int mode)
{
	char purpose[40];
	struct rng rng;

	snprintf(purpose, sizeof(purpose), "storage at %" PRIu64, at);
	rng_init(&rng, seed, owner, purpose);
	if (mode < 0)
		mode = (int)rng_below(&rng, STORAGE_TEAR + 1);
	storage_mem_power_cut(m, (enum storage_cut)mode, &rng);
}

void storage_mem_trouble(struct storage_mem *m, enum disk_trouble t)
{
	m->trouble = t;
}

void storage_mem_set_limit(struct storage_mem *m, uint64_t limit)
{
	m->limit = limit;
}

uint64_t storage_mem_used(const struct storage_mem *m)
{
	return m->used;
}

void storage_mem_fail_from(struct storage_mem *m, uint64_t nth)
{
	m->fail_in = nth ? nth + 1 : 0;
}
