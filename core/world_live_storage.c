/* storage over the files of one folder. */
#include "core/world_live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct live_storage {
	struct storage st;
	int dir;
};

static int code_of(int error)
{
	switch (error) {
	case ENOENT:
		return ERR_NOTFOUND;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_LIMIT;
	}
	return ERR_IO;
}

static int open_file(struct storage *st, const char *name, int flags)
{
	int fd;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return ERR_INVALID;
	fd = openat(((struct live_storage *)st)->dir, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? code_of(errno) : fd;
}

static int64_t file_pread(struct storage *st, const char *name, uint64_t offset, void *out, size_t len)
{
	int fd = open_file(st, name, O_RDONLY);
	size_t got = 0;
	ssize_t n = 0;

	if (fd < 0)
		return fd;
	while (got < len) {
		n = pread(fd, (char *)out + got, len - got, (off_t)(offset + got));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	n = n < 0 ? code_of(errno) : 0;
	close(fd);
	return n < 0 ? n : (int64_t)got;
}

static int file_pwrite(struct storage *st, const char *name, uint64_t offset, const void *data, size_t len)
{
	int fd = open_file(st, name, O_WRONLY | O_CREAT), rv = 0;
	size_t put = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	while (put < len && !rv) {
		n = pwrite(fd, (const char *)data + put, len - put, (off_t)(offset + put));
		if (n >= 0)
			put += (size_t)n;
		else if (errno != EINTR)
			rv = code_of(errno);
	}
	if (close(fd) && !rv)
		rv = code_of(errno);
	return rv;
}

static int file_truncate(struct storage *st, const char *name, uint64_t size)
{
	int fd = open_file(st, name, O_WRONLY | O_CREAT), rv;

	if (fd < 0)
		return fd;
	rv = ftruncate(fd, (off_t)size) ? code_of(errno) : 0;
	close(fd);
	return rv;
}

static int64_t file_size(struct storage *st, const char *name)
{
	int fd = open_file(st, name, O_RDONLY);
	struct stat info;
	int64_t size;

	if (fd < 0)
		return fd;
	size = fstat(fd, &info) ? code_of(errno) : info.st_size;
	close(fd);
	return size;
}

static int file_sync(struct storage *st, const char *name)
{
	int fd = open_file(st, name, O_WRONLY), rv;

	if (fd < 0)
		return fd;
	rv = fsync(fd) ? code_of(errno) : 0;
	close(fd);
	return rv;
}

static bool flat(const char *name)
{
	return *name && !strchr(name, '/');
}

static int file_rename(struct storage *st, const char *from, const char *to)
{
	int dir = ((struct live_storage *)st)->dir;

	if (!flat(from) || !flat(to))
		return ERR_INVALID;
	return renameat(dir, from, dir, to) ? code_of(errno) : 0;
}

static int file_remove(struct storage *st, const char *name)
{
	if (!flat(name))
		return ERR_INVALID;
	return unlinkat(((struct live_storage *)st)->dir, name, 0) ? code_of(errno) : 0;
}

static int sync_folder(struct storage *st)
{
	return fsync(((struct live_storage *)st)->dir) ? code_of(errno) : 0;
}

static const struct storage_ops file_ops = {
	file_pread, file_pwrite, file_truncate, file_size, file_sync, file_rename, file_remove, sync_folder,
};

struct storage *live_storage_new(const char *folder, struct err *e)
{
	struct live_storage *ls;
	int dir;

	if (mkdir(folder, 0700) && errno != EEXIST) {
		err_set(e, ERR_ENVIRONMENT, "cannot make the folder %s: %s", folder, strerror(errno));
		return NULL;
	}
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		err_set(e, ERR_ENVIRONMENT, "cannot open the folder %s: %s", folder, strerror(errno));
		return NULL;
	}
	ls = calloc(1, sizeof(*ls));
	if (!ls) {
		close(dir);
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	ls->st.ops = &file_ops;
	ls->dir = dir;
	return &ls->st;
}

void live_storage_free(struct storage *st)
{
	if (!st)
		return;
	close(((struct live_storage *)st)->dir);
	free(st);
}
