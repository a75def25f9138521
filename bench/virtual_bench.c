#include "bench/virtual_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/journal.h"
#include "hil/language/scenario.h"
#include "hil/run/proc.h"

#define PATH_LEN   600
#define JOURNAL_FD 3
#define COUNT_FD   4

struct run {
	const struct virtual_bench *b;
	struct virtual_figures *out;
	char *argv[8];
	int in, journal, count; /* the child's; -1: none */
	bool settled;
};

bool virtual_bench_counts(void)
{
#ifdef __SANITIZE_ADDRESS__
	return false;
#else
	return true;
#endif
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the plan ---- */

static void write_scenario(const struct virtual_bench *b, char *out, size_t size)
{
	char idle[60] = "";

	if (b->idle_s > 0)
		snprintf(idle, sizeof(idle), ", idle_timeout: %.0fs", b->idle_s);
	snprintf(out, size,
		 "version: 1\nsuite: bench\nscenarios:\n  - name: fleet\n    rigs: [virtual]\n"
		 "    devices: {count: %u, connection: %s}\n"
		 "    settings: {publish_interval: 60s, access_ttl: 15m, fleet_sms_per_day: off%s}\n"
		 "    steps: [{wait: PROVISIONED}, {sleep: %.0fs}]\n    timeout: %.0fs\n"
		 "    expect: {final: PROVISIONED}\n",
		 b->devices, b->hold ? "hold" : "close", idle, b->lives_s, b->lives_s + 300);
}

/* The resolved plan in a file without a name. */
static int plan_fd(const char *text, struct err *e)
{
	struct source src = {.name = "bench.yaml", .text = text, .len = strlen(text)};
	struct diags ds = {0};
	struct plans plans = {0};
	char *json = NULL;
	int fd = -1;

	if (scenario_parse(&src, &ds, &plans))
		diags_print(&ds, stderr);
	else
		json = json_dumps(plans.v[0], JSON_COMPACT);
	if (json)
		fd = memfd_create("plan", MFD_CLOEXEC);
	if (fd < 0 || write(fd, json, strlen(json)) != (ssize_t)strlen(json) || lseek(fd, 0, SEEK_SET))
		fd = err_set(e, ERR_IO, "no plan for quicrig-virtual");
	free(json);
	plans_fini(&plans);
	diags_fini(&ds);
	return fd;
}

/* ---- what the journal says ---- */

static void count_event(struct run *r, const struct journal_event *ev)
{
	struct virtual_figures *f = r->out;

	r->settled = false;
	switch (ev->kind) {
	case J_HANDSHAKE_DONE:
		f->handshakes += strcmp(ev->actor, "server") != 0;
		break;
	case J_DEVICE_REQUEST:
		f->requests++;
		f->refreshes += strcmp(journal_text(ev, JF_RESOURCE), "refreshToken") == 0;
		break;
	case J_TOKEN_ISSUED:
		f->tokens++;
		break;
	case J_SERVER_REPLY:
		f->publishes += strcmp(journal_text(ev, JF_RESOURCE), "publishMeasure") == 0 &&
				journal_int(ev, JF_CODE, 0) == 200;
		break;
	case J_NET_COUNT:
		f->datagrams += (double)(journal_int(ev, JF_SENT, 0) + journal_int(ev, JF_RECEIVED, 0));
		break;
	case J_SCENARIO_END:
		r->settled = strcmp(journal_text(ev, JF_WHY), "settled") == 0;
		break;
	default:
		break;
	}
}

static int read_journal(struct run *r, FILE *f, struct err *e)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int rv = 0;

	while (!rv && (len = getline(&line, &cap, f)) > 0) {
		struct journal_record rec;

		rv = journal_parse(line, (size_t)len, &rec, e);
		if (rv)
			break;
		r->out->lines++;
		r->out->bytes += (double)len;
		count_event(r, &rec.ev);
		journal_record_free(&rec);
	}
	free(line);
	return rv;
}

/* ---- the child ---- */

static void be_child(const struct run *r, const char *preload)
{
	char fd[12];
	int quiet = open("/dev/null", O_WRONLY);

	/* above those that it shall have */
	int in = r->in < 0 ? -1 : fcntl(r->in, F_DUPFD, 10),
	    journal = r->journal < 0 ? -1 : fcntl(r->journal, F_DUPFD, 10),
	    count = r->count < 0 ? -1 : fcntl(r->count, F_DUPFD, 10);

	dup2(quiet, 1);
	if (in >= 0)
		dup2(in, 0);
	if (journal >= 0)
		dup2(journal, JOURNAL_FD);
	if (count >= 0) {
		dup2(count, COUNT_FD);
		snprintf(fd, sizeof(fd), "%d", COUNT_FD);
		setenv("QUICRIG_BENCH_FD", fd, 1);
		setenv("LD_PRELOAD", preload, 1);
	}
	for (int i = 10; i < 20; i++)
		close(i);
	execv(r->argv[0], r->argv);
	_exit(127);
}

/* Waits for it; its time and memory, with those that it waited for itself. */
static int end_child(struct run *r, pid_t pid, double started, struct err *e)
{
	struct rusage u;
	int status;

	if (wait4(pid, &status, 0, &u) != pid)
		return err_set(e, ERR_IO, "%s: lost", r->argv[0]);
	r->out->wall_s = now_s() - started;
	r->out->user_s = (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
	r->out->sys_s = (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
	r->out->rss_kib = (double)u.ru_maxrss;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(e, ERR_UNEXPECTED, "%s failed (%d)", r->argv[0], status);
	return 0;
}

static int run_child(struct run *r, int journal, const char *preload, struct err *e)
{
	FILE *f = journal < 0 ? NULL : fdopen(journal, "r");
	double started = now_s();
	pid_t pid;
	int rv = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		be_child(r, preload);
	if (r->journal >= 0)
		close(r->journal); /* or it would never end */
	if (pid < 0)
		rv = err_set(e, ERR_IO, "cannot start %s: %s", r->argv[0], strerror(errno));
	else if (f)
		rv = read_journal(r, f, e);
	if (f)
		fclose(f);
	if (pid > 0 && !rv)
		rv = end_child(r, pid, started, e);
	else if (pid > 0)
		waitpid(pid, NULL, 0);
	return rv;
}

/* ---- quicrig-virtual by itself ---- */

static int read_count(int fd, double *out)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return ERR_IO;
	text[n] = '\0';
	*out = atof(text);
	return 0;
}

static int run_alone(struct run *r, const char *text, struct err *e)
{
	char program[PATH_LEN], preload[PATH_LEN];
	int ends[2], rv;

	snprintf(program, sizeof(program), "%s", proc_sibling("quicrig-virtual"));
	snprintf(preload, sizeof(preload), "%s", proc_sibling("quicrig-count-malloc.so"));
	r->argv[0] = program;
	r->in = plan_fd(text, e);
	if (r->in < 0)
		return r->in;
	r->count = r->b->counted ? memfd_create("count", MFD_CLOEXEC) : -1;
	if (pipe2(ends, O_CLOEXEC)) {
		close(r->in);
		return err_set(e, ERR_IO, "pipe: %s", strerror(errno));
	}
	fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
	r->journal = ends[1];
	rv = run_child(r, ends[0], preload, e);
	if (!rv && !r->settled)
		rv = err_set(e, ERR_UNEXPECTED, "quicrig-virtual: the run did not settle");
	if (!rv && r->b->counted && read_count(r->count, &r->out->allocations))
		rv = err_set(e, ERR_IO, "no allocations were counted");
	close(r->in);
	if (r->count >= 0)
		close(r->count);
	return rv;
}

/* ---- through quicrig run ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int run_judged(struct run *r, const char *text, struct err *e)
{
	char program[PATH_LEN], yaml[PATH_LEN], out[PATH_LEN], run[] = "run", opt[] = "--out";
	FILE *f;
	int rv;

	snprintf(program, sizeof(program), "%s", proc_sibling("quicrig"));
	snprintf(yaml, sizeof(yaml), "%s/bench.yaml", r->b->dir);
	snprintf(out, sizeof(out), "%s/out", r->b->dir);
	f = fopen(yaml, "we");
	if (!f || fputs(text, f) < 0 || fclose(f))
		return err_set(e, ERR_IO, "cannot write %s", yaml);
	memcpy(r->argv, (char *[]){program, run, opt, out, yaml, NULL}, 6 * sizeof(char *));
	rv = run_child(r, -1, NULL, e);
	unlink(yaml);
	nftw(out, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rv;
}

int virtual_bench_run(const struct virtual_bench *b, struct virtual_figures *out, struct err *e)
{
	struct run r = {.b = b, .out = out, .in = -1, .journal = -1, .count = -1};
	char text[1000];

	memset(out, 0, sizeof(*out));
	write_scenario(b, text, sizeof(text));
	return b->judged ? run_judged(&r, text, e) : run_alone(&r, text, e);
}
