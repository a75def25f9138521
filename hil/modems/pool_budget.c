#include "hil/modems/pool_budget.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#define BUDGET_VERSION 1

struct pool_budget {
	char *path;
	bool behind; /* the file, since it could not be written */
	json_t *sims; /* {"<sim>": {"day": "2026-01-31", "day_sent": 3, "month": "2026-01", "month_sent": 40}} */
};

struct pool_budget *pool_budget_open(const char *path, struct err *e)
{
	struct pool_budget *b = calloc(1, sizeof(*b));
	json_error_t je;
	json_t *root = NULL, *sims = NULL;
	int version = 0;

	if (!b)
		goto nomem;
	if (path) {
		b->path = strdup(path);
		if (!b->path)
			goto nomem;
	}
	if (!path || (access(path, F_OK) && errno == ENOENT)) {
		b->sims = json_object();
		if (!b->sims)
			goto nomem;
		return b;
	}
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!root || json_unpack(root, "{s:i, s:o}", "version", &version, "sims", &sims) || version != BUDGET_VERSION ||
	    !json_is_object(sims)) {
		err_set_at(e, root ? ERR_PARSE : ERR_IO, path, root ? 1 : je.line, root ? 1 : je.column,
			   "SMS budget: %s", root ? "not a budget file of version 1" : je.text);
		json_decref(root);
		pool_budget_close(b);
		return NULL;
	}
	b->sims = json_incref(sims);
	json_decref(root);
	return b;
nomem:
	err_set(e, ERR_NOMEM, "out of memory");
	pool_budget_close(b);
	return NULL;
}

void pool_budget_close(struct pool_budget *b)
{
	if (!b)
		return;
	json_decref(b->sims);
	free(b->path);
	free(b);
}

static void dates(int64_t unix_s, char day[16], char month[16])
{
	time_t t = (time_t)unix_s;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(day, 16, "%Y-%m-%d", &tm);
	strftime(month, 16, "%Y-%m", &tm);
}

void pool_budget_spent(const struct pool_budget *b, const char *sim, int64_t unix_s, unsigned *day, unsigned *month)
{
	json_t *one = json_object_get(b->sims, sim);
	char today[16], this_month[16];
	const char *s;

	*day = *month = 0;
	dates(unix_s, today, this_month);
	s = json_string_value(json_object_get(one, "day"));
	if (s && strcmp(s, today) == 0)
		*day = (unsigned)json_integer_value(json_object_get(one, "day_sent"));
	s = json_string_value(json_object_get(one, "month"));
	if (s && strcmp(s, this_month) == 0)
		*month = (unsigned)json_integer_value(json_object_get(one, "month_sent"));
}

/* Of the file `path`, which is cut: a rename is durable once its folder is. */
static int sync_folder(char *path)
{
	int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC), rv;

	if (fd < 0)
		return ERR_IO;
	/* some file systems cannot, and say so */
	rv = fsync(fd) && errno != EINVAL ? ERR_IO : 0;
	close(fd);
	return rv;
}

/* A temporary file, synced and renamed: a power cut leaves the old counts or the new. */
static int store(struct pool_budget *b)
{
	json_t *root;
	char *temp;
	int fd, rv = ERR_IO;

	if (!b->path)
		return 0;
	if (asprintf(&temp, "%s.new", b->path) < 0)
		return ERR_NOMEM;
	root = json_pack("{s:i, s:O}", "version", BUDGET_VERSION, "sims", b->sims);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (root && fd >= 0 && json_dumpfd(root, fd, JSON_INDENT(1)) == 0 && fsync(fd) == 0 &&
	    rename(temp, b->path) == 0)
		rv = sync_folder(temp);
	if (fd >= 0)
		close(fd);
	json_decref(root);
	free(temp);
	return rv;
}

/* Takes the file for itself and what other runs have counted in it since. `*fd` is
 * to be closed, -1 without a file. 0, ERR_IO, ERR_NOMEM. */
static int lock_and_reload(struct pool_budget *b, int *fd)
{
	struct pool_budget *fresh = NULL;
	char *path;

	*fd = -1;
	if (!b->path)
		return 0;
	if (asprintf(&path, "%s.lock", b->path) < 0)
		return ERR_NOMEM;
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	free(path);
	if (*fd < 0 || flock(*fd, LOCK_EX))
		return ERR_IO;
	/* a file that could not be written knows less than we do */
	if (b->behind)
		return 0;
	fresh = pool_budget_open(b->path, NULL);
	if (!fresh)
		return ERR_IO;
	json_object_update(b->sims, fresh->sims);
	pool_budget_close(fresh);
	return 0;
}

int pool_budget_count(struct pool_budget *b, const char *sim, int64_t unix_s)
{
	char today[16], this_month[16];
	unsigned day, month;
	json_t *one;
	int fd, rv = lock_and_reload(b, &fd);

	pool_budget_spent(b, sim, unix_s, &day, &month);
	dates(unix_s, today, this_month);
	one = json_pack("{s:s, s:i, s:s, s:i}", "day", today, "day_sent", (int)day + 1, "month", this_month,
			"month_sent", (int)month + 1);
	if (!one || json_object_set_new(b->sims, sim, one))
		rv = ERR_NOMEM;
	if (rv == 0)
		rv = store(b);
	b->behind = rv != 0;
	if (fd >= 0)
		close(fd);
	return rv;
}
