/* What a soak shows and leaves behind. */
#include "hil/run/soak_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hil/run/recording.h"
#include "hil/run/rss.h"
#include "reports/console.h"

#define LINE_EVERY_S 30.0 /* a progress line where there is no terminal */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

const char *soak_status_name(enum soak_status status)
{
	static const char *const names[] = {[SOAK_NEW] = "NEW",
					    [SOAK_KNOWN] = "KNOWN",
					    [SOAK_FIXED] = "FIXED",
					    [SOAK_REGRESSED] = "REGRESSED"};

	return names[status];
}

static int make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		return err_set(e, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
	return 0;
}

/* One that nobody else has: two soaks may begin in the same second. Room for 4 more
 * characters is in `path`. */
static int make_own_dir(char *path, struct err *e)
{
	size_t len = strlen(path);

	for (unsigned n = 2; mkdir(path, 0755); n++) {
		if (errno != EEXIST || n > 99)
			return err_set(e, ERR_IO, "cannot make the folder %s: %s", path, strerror(errno));
		snprintf(path + len, 5, "-%u", n);
	}
	return 0;
}

int soak_open(struct soak *s, struct err *e)
{
	time_t now = time(NULL);
	char stamp[32];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
	s->started = s->last_line = seconds();
	s->started_unix = now;
	s->terminal = isatty(STDERR_FILENO);
	if (make_dir(s->o->out, e))
		return e->code;
	if (snprintf(s->dir, sizeof(s->dir), "%s/soak-%s-0x%" PRIx64, s->o->out, stamp, s->o->seed) + 4 >=
	    (int)sizeof(s->dir))
		return err_set(e, ERR_LIMIT, "%s: path too long", s->o->out);
	return make_own_dir(s->dir, e);
}

double soak_seconds(const struct soak *s)
{
	return seconds() - s->started;
}

/* ---- while it runs ---- */

static void count(const struct soak *s, unsigned *fresh, unsigned *known)
{
	*fresh = *known = 0;
	for (unsigned i = 0; i < s->findings_n; i++) {
		*known += s->findings[i]->status == SOAK_KNOWN;
		*fresh += s->findings[i]->status == SOAK_NEW || s->findings[i]->status == SOAK_REGRESSED;
	}
}

void soak_progress(struct soak *s, bool last)
{
	double now = seconds();
	unsigned fresh, known;
	char span[32];

	if (!last && now - s->last_line < (s->terminal ? 0.2 : LINE_EVERY_S))
		return;
	s->last_line = now;
	if (last && !s->terminal)
		return;
	count(s, &fresh, &known);
	console_duration((uint64_t)((now - s->started) * 1e9), span, sizeof(span));
	fprintf(stderr, "%ssoak: %u of %u seeds · %u new, %u known · %.*f %s events · %s%s",
		s->terminal ? "\r\033[K" : "", s->ended, s->o->seeds, fresh, known, s->events < 1000000 ? 0 : 1,
		(double)s->events / (s->events < 1000000 ? 1e3 : 1e6), s->events < 1000000 ? "k" : "M", span,
		s->terminal && !last ? "" : "\n");
	fflush(stderr);
}

/* ---- the folder of a finding ---- */

static int write_text(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;
	int bad;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) || !(f = fopen(path, "we")))
		return -1;
	bad = fputs(text, f) == EOF;
	return fclose(f) || bad ? -1 : 0;
}

static int write_plan(const char *dir, json_t *plan, struct err *e)
{
	char *text = json_dumps(plan, JSON_INDENT(2));
	int rv = text && !write_text(dir, "plan.json", text) ? 0 : err_set(e, ERR_IO, "cannot write %s/plan.json", dir);

	free(text);
	return rv;
}

/* What `quicrig replay` reads, and the scenario for people. */
void soak_record(struct soak *s, struct soak_finding *f, const char *text, json_t *plan, const struct trial *t)
{
	struct recording rec = {.plan = plan, .rig = (char *)"virtual", .build = (char *)recording_build(true), .virtual_time = true};
	struct err e = {0};
	char dir[PATH_MAX];

	if (snprintf(dir, sizeof(dir), "%s/%s", s->dir, f->signature.id) >= (int)sizeof(dir) ||
	    (mkdir(dir, 0755) && errno != EEXIST) || write_text(dir, "scenario.yaml", text)) {
		snprintf(s->error, sizeof(s->error), "cannot write %.300s: %s", dir, strerror(errno));
		return;
	}
	if (t) {
		rec.tape = t->tape;
		rec.harness = t->hash[0] ? NULL : t->result->reason;
		rec.verdict = t->result->verdict;
	}
	if (t ? recording_write(dir, &rec, &e) : write_plan(dir, plan, &e)) {
		snprintf(s->error, sizeof(s->error), "%.399s", e.text);
		return;
	}
	f->replays = t != NULL;
	snprintf(f->folder, sizeof(f->folder), "%s", dir);
}

/* ---- at the end ---- */

static const char *text_of(json_t *object, const char *a, const char *b)
{
	json_t *v = b ? json_object_get(json_object_get(object, a), b) : json_object_get(object, a);

	return json_string_value(v) ? json_string_value(v) : "";
}

static void print_finding(const struct soak *s, const struct soak_finding *f, FILE *out)
{
	const char *id = text_of(f->regression, "id", NULL);
	const char *mark = f->verdict == VERDICT_QUARANTINE ? "quarantine" : "xfail";

	fprintf(out, " %-9s %s", soak_status_name(f->status), f->signature.id);
	if (f->regression)
		fprintf(out, "  %s", id);
	if (f->times)
		fprintf(out, "  %u of %u seeds, first 0x%" PRIx64, f->times, s->ended, f->first_seed);
	if (f->status == SOAK_FIXED)
		fprintf(out, "  passes: take its xfail out (%s)", text_of(f->regression, "xfail", "reason"));
	else
		fprintf(out, "\n   %s", f->signature.text);
	if (f->status == SOAK_KNOWN)
		fprintf(out, "\n   known: %s, until %s", text_of(f->regression, mark, "reason"),
			text_of(f->regression, mark, "until"));
	if (f->note[0])
		fprintf(out, "\n   note: %s", f->note);
	if (f->shrunk[0])
		fprintf(out, "\n   shrunk to %u device%s: %s", f->shrunk_devices,
			f->shrunk_devices == 1 ? "" : "s", f->shrunk);
	if (f->folder[0])
		fprintf(out, f->replays ? "\n   replay: quicrig replay %s" : "\n   again: quicrig run %s/scenario.yaml", f->folder);
	fputc('\n', out);
}

static void print_end(const struct soak *s, FILE *out)
{
	char span[32], length[32];

	console_duration((uint64_t)((seconds() - s->started) * 1e9), span, sizeof(span));
	console_duration((uint64_t)s->o->length, length, sizeof(length));
	for (unsigned i = 0; i < s->findings_n; i++)
		print_finding(s, s->findings[i], out);
	if (s->findings_more)
		fprintf(out, " and %u more kinds of failure\n", s->findings_more);
	fprintf(out, "soak: %u of %u seeds from 0x%" PRIx64 ": %u passed, %u failed, %u inconclusive\n", s->ended,
		s->o->seeds, s->o->seed, s->passed, s->failed, s->inconclusive);
	fprintf(out, "each: %u devices for %s · all in %s of real time\n", s->o->devices, length, span);
	if (s->o->regressions_n)
		fprintf(out, "regressions: %u of %zu run%s\n", s->regressions_run, s->o->regressions_n,
			s->regressions_run < s->o->regressions_n && !s->cut ? " (the others are not for this rig)" : "");
	if (s->memory_judged)
		fprintf(out,
			"memory: flat in %u of %u runs that were long enough to tell, worst growth %.1f MiB\n",
			s->memory_judged - s->memory_grew, s->memory_judged,
			(double)s->memory_worst_kib / 1024);
	else
		fprintf(out, "memory: no run was long enough to tell\n");
	if (s->o->canary)
		fprintf(out, "canary: %s\n", s->o->canary);
	if (s->cut)
		fprintf(out, "cut short: %s\n",
			s->signal_number ? "interrupted" : "over its wall-clock limit");
	if (s->error[0])
		fprintf(out, "the soak failed: %s\n", s->error);
}

static json_t *finding_json(const struct soak_finding *f)
{
	char seed[32];
	json_t *j;

	snprintf(seed, sizeof(seed), "0x%" PRIx64, f->first_seed);
	j = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s*, s:s*, s:s*, s:s*, s:s*}", "status",
			 soak_status_name(f->status), "signature", f->signature.id, "text", f->signature.text,
			 "verdict", verdict_name(f->verdict), "seeds", (int)f->times, "first_seed",
			 f->times ? seed : NULL, "regression",
			 f->regression ? text_of(f->regression, "id", NULL) : NULL, "folder",
			 f->folder[0] ? f->folder : NULL, "shrunk", f->shrunk[0] ? f->shrunk : NULL, "note",
			 f->note[0] ? f->note : NULL);
	/* a path that is no UTF-8 must not lose the finding */
	return j ? j : json_pack("{s:s, s:s, s:s}", "status", soak_status_name(f->status), "signature", f->signature.id,
				 "first_seed", seed);
}

static json_t *soak_json(const struct soak *s)
{
	json_t *findings = json_array();
	char seed[32];

	for (unsigned i = 0; i < s->findings_n; i++)
		json_array_append_new(findings, finding_json(s->findings[i]));
	snprintf(seed, sizeof(seed), "0x%" PRIx64, s->o->seed);
	return json_pack("{s:i, s:s, s:s, s:I, s:I, s:I, s:{s:i, s:i, s:i, s:i, s:i}, s:I, s:i, s:{s:i, s:i, "
			 "s:I}, s:o, s:i, s:b, s:s*, s:s*, s:s}",
			 "version", 1, "build", QUICRIG_VERSION, "seed", seed, "started",
			 (json_int_t)s->started_unix, "ended", (json_int_t)s->ended_unix, "length_s",
			 (json_int_t)(s->o->length / NS_PER_S), "seeds", "asked", (int)s->o->seeds, "ended",
			 (int)s->ended, "passed", (int)s->passed, "failed", (int)s->failed, "inconclusive",
			 (int)s->inconclusive, "events", (json_int_t)s->events, "devices", (int)s->o->devices,
			 "memory", "judged", (int)s->memory_judged, "grew", (int)s->memory_grew, "worst_kib",
			 (json_int_t)s->memory_worst_kib, "findings", findings, "findings_more",
			 (int)s->findings_more, "cut", s->cut, "error", s->error[0] ? s->error : NULL, "canary", s->o->canary, "rig",
			 s->o->live ? "loopback" : "virtual");
}

static int point_latest(const struct soak *s)
{
	char latest[PATH_MAX], fresh[PATH_MAX];
	const char *name = strrchr(s->dir, '/') + 1;

	if (snprintf(latest, sizeof(latest), "%s/soak-latest", s->o->out) >= (int)sizeof(latest) ||
	    snprintf(fresh, sizeof(fresh), "%s/soak-latest.new", s->o->out) >= (int)sizeof(fresh))
		return -1;
	unlink(fresh);
	return symlink(name, fresh) || rename(fresh, latest) ? -1 : 0;
}

int soak_report(struct soak *s, struct err *e)
{
	char path[PATH_MAX];
	json_t *json;
	FILE *f;
	int bad = 0;

	s->ended_unix = time(NULL);
	print_end(s, stdout);
	json = soak_json(s);
	bad |= snprintf(path, sizeof(path), "%s/soak.json", s->dir) >= (int)sizeof(path) || !json ||
	       json_dump_file(json, path, JSON_INDENT(2));
	json_decref(json);
	f = snprintf(path, sizeof(path), "%s/summary.md", s->dir) < (int)sizeof(path) ? fopen(path, "we")
										      : NULL;
	if (f) {
		fputs("# Soak\n\n```\n", f);
		print_end(s, f);
		fputs("```\n", f);
	}
	bad |= !f || fclose(f);
	bad |= point_latest(s);
	printf("report: %s/soak-latest/summary.md\n", s->o->out);
	return bad ? err_set(e, ERR_IO, "cannot write into %s: %s", s->dir, strerror(errno)) : 0;
}
