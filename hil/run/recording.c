#include "hil/run/recording.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <gnutls/crypto.h>

#include "core/hash.h"
#include "core/journal.h"
#include "hil/run/proc.h"

#define JOURNAL_MAX ((size_t)4 << 30) /* bytes; a longer one is no journal of one scenario */

/* ---- the build ---- */

static void digest_program(const char *path, char *out, size_t size)
{
	uint8_t digest[HASH_SIZE], part[65536];
	char hex[2 * HASH_SIZE + 1];
	gnutls_hash_hd_t h;
	FILE *f = fopen(path, "re");
	size_t n;

	snprintf(out, size, "%s", QUICRIG_VERSION);
	if (!f)
		return;
	if (!gnutls_hash_init(&h, GNUTLS_DIG_SHA256)) {
		while ((n = fread(part, 1, sizeof(part), f)) > 0)
			gnutls_hash(h, part, n);
		gnutls_hash_deinit(h, digest);
		hash_hex(digest, HASH_SIZE, hex);
		snprintf(out, size, "%s+%.12s", QUICRIG_VERSION, hex);
	}
	fclose(f);
}

const char *recording_build(bool virtual_rig)
{
	static char known[2][64];
	char *out = known[virtual_rig];

	if (!out[0])
		digest_program(virtual_rig ? proc_sibling("quicrig-virtual") : "/proc/self/exe", out, sizeof(known[0]));
	return out;
}

/* ---- writing ---- */

static int path_of(char *out, const char *dir, const char *name, struct err *e)
{
	if (snprintf(out, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "%s: path too long", dir);
	return 0;
}

static int write_json(const char *dir, const char *name, json_t *j, struct err *e)
{
	char path[PATH_MAX];

	if (path_of(path, dir, name, e))
		return e->code;
	return json_dump_file(j, path, JSON_INDENT(2)) ? err_set(e, ERR_IO, "cannot write %s", path) : 0;
}

static int write_journal(const char *dir, const struct tape *tape, struct err *e)
{
	char path[PATH_MAX];
	FILE *f;
	int bad;

	if (path_of(path, dir, "journal.jsonl", e))
		return e->code;
	f = fopen(path, "we");
	bad = !f || tape_write(tape, f);
	if (f)
		bad |= fclose(f);
	return bad ? err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno)) : 0;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* A live run marks in its plan which faults have fired; the scenario has no such word. */
static void as_before_its_run(json_t *plan)
{
	size_t i;
	json_t *fault;

	json_array_foreach(json_object_get(plan, "faults"), i, fault)
	{
		json_object_del(fault, "fired");
	}
}

int recording_write(const char *dir, const struct recording *r, struct err *e)
{
	json_t *plan = json_deep_copy(r->plan), *facts;
	char hash[65];
	int rv;

	as_before_its_run(plan);
	tape_sha256(r->tape, hash);
	facts = json_pack("{s:i, s:s, s:s, s:b, s:s?, s:s, s:b, s:s, s:s, s:I, s:s}", "v", RECORDING_VERSION, "build",
			  or_empty(r->build), "rig", or_empty(r->rig), "virtual_time", r->virtual_time, "seed",
			  json_string_value(json_object_get(plan, "seed")), "verdict", verdict_name(r->verdict),
			  "allow_unjudged", r->allow_unjudged, "end", or_empty(r->end), "harness", or_empty(r->harness),
			  "events", (json_int_t)tape_count(r->tape), "sha256", hash);
	rv = plan && facts ? 0 : err_set(e, ERR_NOMEM, "out of memory");
	if (!rv)
		rv = write_json(dir, "plan.json", plan, e);
	if (!rv)
		rv = write_json(dir, "recorded.json", facts, e);
	if (!rv)
		rv = write_journal(dir, r->tape, e);
	json_decref(plan);
	json_decref(facts);
	return rv;
}

/* ---- reading ---- */

static bool is_there(const char *dir, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return !path_of(path, dir, name, NULL) && stat(path, &st) == 0;
}

static int look(const char *dir, struct err *e)
{
	struct stat st;

	if (stat(dir, &st))
		return err_set(e, ERR_NOTFOUND, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_NOTFOUND, "%s is no folder: name the one that 'quicrig run' printed behind 'replay:'",
			       dir);
	if (is_there(dir, "plan.json") && !is_there(dir, "recorded.json") && is_there(dir, "scenario.yaml"))
		return err_set(e, ERR_NOTFOUND, "%s: what failed here was not recorded: 'quicrig run %s/scenario.yaml' runs it", dir,
			       dir);
	if (is_there(dir, "plan.json"))
		return 0;
	if (is_there(dir, "report.json"))
		return err_set(e, ERR_NOTFOUND,
			       "%s holds a whole run: name one of its scenarios, %s/SUITE/NAME (failed ones are kept; all with "
			       "'quicrig run --keep-all')",
			       dir, dir);
	return err_set(e, ERR_NOTFOUND, "%s: no plan.json in it: not the folder of a scenario that was kept", dir);
}

static json_t *read_json(const char *dir, const char *name, struct err *e)
{
	char path[PATH_MAX];
	json_error_t je;
	json_t *j;

	if (path_of(path, dir, name, e))
		return NULL;
	j = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!j)
		err_set(e, is_there(dir, name) ? ERR_PARSE : ERR_NOTFOUND, "%s:%d: %s", path, je.line > 0 ? je.line : 1,
			je.text);
	return j;
}

static int read_plan(struct recording *r, struct err *e)
{
	r->plan = read_json(r->dir, "plan.json", e);
	if (!r->plan)
		return e->code;
	if (json_integer_value(json_object_get(r->plan, "v")) != 1)
		return err_set(e, ERR_UNSUPPORTED, "%s/plan.json: of version %d; this quicrig knows version 1", r->dir,
			       (int)json_integer_value(json_object_get(r->plan, "v")));
	r->id = json_string_value(json_object_get(r->plan, "id"));
	if (!r->id || !json_string_value(json_object_get(r->plan, "seed")))
		return err_set(e, ERR_PARSE, "%s/plan.json: no id or seed: not a resolved plan (docs/plan.md)", r->dir);
	as_before_its_run(r->plan);
	return 0;
}

static int verdict_by_name(const char *name)
{
	for (int v = 0; v < VERDICT_COUNT; v++)
		if (strcmp(verdict_name((enum verdict)v), name) == 0)
			return v;
	return -1;
}

static int take_text(json_t *facts, const char *name, char **out, const char *dir, struct err *e)
{
	const char *s = json_string_value(json_object_get(facts, name));

	if (!s)
		return err_set(e, ERR_PARSE, "%s/recorded.json: no text '%s'", dir, name);
	return text_set(out, s) ? err_set(e, ERR_NOMEM, "out of memory") : 0;
}

static int read_facts(struct recording *r, struct err *e)
{
	json_t *facts = read_json(r->dir, "recorded.json", e);
	int rv = facts ? 0 : e->code, v;
	char *verdict = NULL;

	if (rv)
		return rv;
	v = (int)json_integer_value(json_object_get(facts, "v"));
	if (v != RECORDING_VERSION)
		rv = err_set(e, ERR_UNSUPPORTED, "%s/recorded.json: of version %d; this quicrig replays version %d", r->dir, v,
			     RECORDING_VERSION);
	if (!rv)
		rv = take_text(facts, "rig", &r->rig, r->dir, e);
	if (!rv)
		rv = take_text(facts, "build", &r->build, r->dir, e);
	if (!rv)
		rv = take_text(facts, "end", &r->end, r->dir, e);
	if (!rv)
		rv = take_text(facts, "harness", &r->harness, r->dir, e);
	if (!rv)
		rv = take_text(facts, "sha256", &r->sha256, r->dir, e);
	if (!rv)
		rv = take_text(facts, "verdict", &verdict, r->dir, e);
	v = rv ? 0 : verdict_by_name(verdict);
	if (v < 0)
		rv = err_set(e, ERR_PARSE, "%s/recorded.json: no verdict is called '%s'", r->dir, verdict);
	else
		r->verdict = (enum verdict)v;
	r->virtual_time = json_is_true(json_object_get(facts, "virtual_time"));
	r->allow_unjudged = json_is_true(json_object_get(facts, "allow_unjudged"));
	free(verdict);
	json_decref(facts);
	return rv;
}

static int read_line(struct recording *r, char *line, ssize_t len, unsigned n, struct err *e)
{
	struct err le = {0};

	if (line[len - 1] != '\n')
		return err_set(e, ERR_PARSE,
			       "%s/journal.jsonl:%u: torn: the line does not end; whoever wrote it was cut off (without that "
			       "line the rest can be replayed)",
			       r->dir, n);
	if (!tape_line(r->tape, line, (size_t)len - 1, &le))
		return 0;
	return err_set(e, le.code == ERR_NOMEM ? ERR_NOMEM : ERR_PARSE, "%s/journal.jsonl:%u: %s", r->dir, n, le.text);
}

static int read_journal(struct recording *r, struct err *e)
{
	char path[PATH_MAX], *line = NULL;
	size_t size = 0, total = 0;
	unsigned n = 0;
	ssize_t len;
	FILE *f;
	int rv = 0;

	if (path_of(path, r->dir, "journal.jsonl", e))
		return e->code;
	f = fopen(path, "re");
	if (!f)
		return err_set(e, ERR_NOTFOUND, "%s: %s", path, strerror(errno));
	r->tape = tape_new();
	if (!r->tape)
		rv = err_set(e, ERR_NOMEM, "out of memory");
	while (!rv && (len = getline(&line, &size, f)) > 0) {
		total += (size_t)len;
		rv = total > JOURNAL_MAX ? err_set(e, ERR_LIMIT, "%s: too long", path) : read_line(r, line, len, ++n, e);
	}
	if (!rv && !n)
		rv = err_set(e, ERR_PARSE, "%s: empty: nothing was recorded", path);
	free(line);
	fclose(f);
	return rv;
}

int recording_open(const char *dir, struct recording *out, struct err *e)
{
	size_t len = strlen(dir);
	int rv;

	memset(out, 0, sizeof(*out));
	if (text_set(&out->dir, dir))
		return err_set(e, ERR_NOMEM, "out of memory");
	while (len > 1 && out->dir[len - 1] == '/')
		out->dir[--len] = '\0';
	rv = look(out->dir, e);
	if (!rv)
		rv = read_plan(out, e);
	if (!rv)
		rv = read_facts(out, e);
	return rv ? rv : read_journal(out, e);
}

void recording_fini(struct recording *r)
{
	free(r->dir);
	json_decref(r->plan);
	tape_free(r->tape);
	free(r->rig);
	free(r->build);
	free(r->end);
	free(r->harness);
	free(r->sha256);
	memset(r, 0, sizeof(*r));
}
