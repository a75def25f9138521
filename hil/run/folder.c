#include "hil/run/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A scenario of more events than this keeps its journal only where it did not pass. */
#define KEEP_EVENTS_MAX 50000

#define PRIVATE_NAME "quicrig-run-" /* and the runner's pid */

/* A stretch of journal.jsonl, in the order of writing. */
struct stretch {
	size_t place; /* of its scenario; 0: of none */
	long from, to;
};

struct folder {
	char dir[PATH_MAX], latest[PATH_MAX], name[128], private_dir[PATH_MAX];
	bool by_name;
	FILE *journal;
	struct stretch *stretches;
	size_t stretches_n, stretches_cap;
	struct err error;
};

/* mkdir -p for a path of ours. */
static int make_dirs(const char *path, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(part))
		return err_set(e, ERR_LIMIT, "%s: path too long", path);
	memcpy(part, path, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return err_set(e, ERR_IO, "cannot make the folder %s: %s", part, strerror(errno));
		part[i] = path[i];
	}
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path) && errno != ENOENT;
}

/* A runner that was killed could not take its keys with it: the next one does. Only
 * what is ours, and whose process is gone. */
static void sweep(const char *tmp)
{
	DIR *d = opendir(tmp);
	struct dirent *e;
	char path[PATH_MAX];
	struct stat st;
	int pid, end;

	while (d && (e = readdir(d))) {
		end = 0;
		if (sscanf(e->d_name, PRIVATE_NAME "%d-%n", &pid, &end) != 1 || !end || pid <= 1)
			continue;
		if (kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", tmp, e->d_name) >= (int)sizeof(path) ||
		    lstat(path, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
			continue;
		nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	if (d)
		closedir(d);
}

static int make_private(struct folder *a, struct err *e)
{
	const char *tmp = getenv("TMPDIR");

	if (!tmp || !*tmp)
		tmp = P_tmpdir;
	sweep(tmp);
	snprintf(a->private_dir, sizeof(a->private_dir), "%s/" PRIVATE_NAME "%d-XXXXXX", tmp, (int)getpid());
	if (!mkdtemp(a->private_dir)) {
		a->private_dir[0] = '\0';
		return err_set(e, ERR_IO, "cannot make a private folder in %s: %s", tmp, strerror(errno));
	}
	return 0;
}

/* out/20261122-231500-0x5eed, or with -2, -3 … behind it where that is taken. */
static int make_run(struct folder *a, const char *out, const char *seed, struct err *e)
{
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32];

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	for (int k = 1; k < 1000; k++) {
		int n = k == 1 ? snprintf(a->name, sizeof(a->name), "%s-%.40s", stamp, seed)
			       : snprintf(a->name, sizeof(a->name), "%s-%.40s-%d", stamp, seed, k);

		if (n < 0 || snprintf(a->dir, sizeof(a->dir), "%s/%s", out, a->name) >= (int)sizeof(a->dir))
			return err_set(e, ERR_LIMIT, "%s: path too long", out);
		if (mkdir(a->dir, 0755) == 0)
			return 0;
		if (errno != EEXIST)
			return err_set(e, ERR_IO, "cannot make the folder %s: %s", a->dir, strerror(errno));
	}
	return err_set(e, ERR_EXISTS, "%s: no free name for this run", out);
}

struct folder *folder_open(const char *out, const char *seed, struct err *e)
{
	struct folder *a = calloc(1, sizeof(*a));
	char path[PATH_MAX];

	if (!a) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (make_dirs(out, e) || make_run(a, out, seed, e) || make_private(a, e))
		goto fail;
	snprintf(a->latest, sizeof(a->latest), "%s/latest", out);
	if (snprintf(path, sizeof(path), "%s/journal.jsonl", a->dir) >= (int)sizeof(path) ||
	    !(a->journal = fopen(path, "w+e"))) {
		err_set(e, ERR_IO, "cannot write %s/journal.jsonl: %s", a->dir, strerror(errno));
		goto fail;
	}
	return a;
fail:
	folder_free(a);
	return NULL;
}

void folder_free(struct folder *a)
{
	if (!a)
		return;
	if (a->journal)
		fclose(a->journal);
	if (a->private_dir[0])
		nftw(a->private_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(a->stretches);
	free(a);
}

const char *folder_dir(const struct folder *a)
{
	return a->dir;
}

const char *folder_latest(const struct folder *a)
{
	return a->by_name ? a->dir : a->latest;
}

void folder_by_name(struct folder *a)
{
	a->by_name = true;
}

const char *folder_private(const struct folder *a)
{
	return a->private_dir;
}

static void cannot_write(struct folder *a)
{
	err_set(&a->error, ERR_IO, "cannot write %s/journal.jsonl: %s", a->dir, strerror(errno));
}

/* What was written since the last stretch belongs to `place`. */
static void mark(struct folder *a, size_t place)
{
	struct stretch *last = a->stretches_n ? &a->stretches[a->stretches_n - 1] : NULL, *grown;
	long from = last ? last->to : 0, to = ftell(a->journal);

	if (to < 0) {
		cannot_write(a);
		return;
	}
	if (last && last->place == place) {
		last->to = to;
		return;
	}
	if (a->stretches_n == a->stretches_cap) {
		grown = realloc(a->stretches, (a->stretches_cap * 2 + 16) * sizeof(*grown));
		if (!grown) {
			err_set(&a->error, ERR_NOMEM, "out of memory");
			return;
		}
		a->stretches = grown;
		a->stretches_cap = a->stretches_cap * 2 + 16;
	}
	a->stretches[a->stretches_n++] = (struct stretch){.place = place, .from = from, .to = to};
}

static int by_place(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int copy_stretch(FILE *from, const struct stretch *s, FILE *to)
{
	char part[64 * 1024];
	long left = s->to - s->from;

	if (fseek(from, s->from, SEEK_SET))
		return ERR_IO;
	while (left > 0) {
		size_t want = left < (long)sizeof(part) ? (size_t)left : sizeof(part);

		if (fread(part, 1, want, from) != want || fwrite(part, 1, want, to) != want)
			return ERR_IO;
		left -= (long)want;
	}
	return 0;
}

/* Scenarios end in any order. Written anew only where that was not the files', and the
 * whole journal stays in its place until then. */
static int put_in_order(struct folder *a)
{
	char path[PATH_MAX], fresh[PATH_MAX];
	bool ordered = true;
	int rv = 0;
	FILE *f;

	for (size_t i = 1; i < a->stretches_n; i++)
		ordered = ordered && a->stretches[i - 1].place <= a->stretches[i].place;
	if (ordered)
		return 0;
	if (snprintf(path, sizeof(path), "%s/journal.jsonl", a->dir) >= (int)sizeof(path) ||
	    snprintf(fresh, sizeof(fresh), "%s/.journal.new", a->dir) >= (int)sizeof(fresh))
		return ERR_LIMIT;
	f = fopen(fresh, "we");
	if (!f)
		return ERR_IO;
	qsort(a->stretches, a->stretches_n, sizeof(*a->stretches), by_place);
	for (size_t i = 0; i < a->stretches_n && !rv; i++)
		rv = copy_stretch(a->journal, &a->stretches[i], f);
	if (fclose(f))
		rv = ERR_IO;
	if (!rv && rename(fresh, path))
		rv = ERR_IO;
	if (rv)
		unlink(fresh);
	return rv;
}

void folder_keep(struct folder *a, const struct recording *r, size_t place, struct scenario_result *s,
		 enum folder_what what)
{
	bool passed = s->verdict == VERDICT_PASS || s->verdict == VERDICT_XFAIL;
	bool journal = what != FOLDER_FAILED || !passed || tape_count(r->tape) <= KEEP_EVENTS_MAX;
	char dir[PATH_MAX];
	struct err e = {0};

	if (journal) {
		if (tape_write(r->tape, a->journal))
			cannot_write(a);
		mark(a, place + 1);
	}
	if (passed && what != FOLDER_ALL)
		return;
	if (snprintf(dir, sizeof(dir), "%s/%s", a->dir, s->id) >= (int)sizeof(dir) || make_dirs(dir, &e)) {
		err_set(&a->error, ERR_IO, "%s", e.text[0] ? e.text : "path too long");
		return;
	}
	if (recording_write(dir, r, &e))
		err_set(&a->error, e.code, "%s", e.text);
	if (snprintf(dir, sizeof(dir), "%s/%s", folder_latest(a), s->id) < (int)sizeof(dir))
		text_set(&s->folder, dir);
}

void folder_line(struct folder *a, const char *line, size_t len)
{
	if (fwrite(line, 1, len, a->journal) != len ||
	    (len && line[len - 1] != '\n' && fputc('\n', a->journal) == EOF))
		cannot_write(a);
	mark(a, 0);
}

int folder_close(struct folder *a, struct err *e)
{
	char fresh[PATH_MAX];

	if (fflush(a->journal) || (!a->error.code && put_in_order(a)))
		cannot_write(a);
	if (fclose(a->journal))
		cannot_write(a);
	a->journal = NULL;
	/* a rename replaces the old link at once: nobody ever finds none */
	if (snprintf(fresh, sizeof(fresh), "%s.new", a->latest) >= (int)sizeof(fresh))
		return err_set(e, ERR_LIMIT, "%s: path too long", a->latest);
	unlink(fresh);
	if (symlink(a->name, fresh) || rename(fresh, a->latest))
		err_set(&a->error, ERR_IO, "cannot point %s at this run: %s", a->latest, strerror(errno));
	if (a->error.code && e && !e->code)
		*e = a->error;
	return a->error.code;
}
