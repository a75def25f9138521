#include "core/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/crash.h"
#include "core/rng.h"

struct fault {
	char *name, *what;
	int on;	   /* enum journal_kind; -1: a point alone */
	int point; /* enum crash_point; -1: none */
	bool due;  /* its event was seen: it fires at its point */
	json_t *args, *match;
	json_t *dev; /* {uuid: true}: each event asks, however many there are; NULL: any */
	bool gated;
	int64_t nth;   /* 0: every match */
	int64_t times; /* firings left */
	int64_t seen;
	double chance;
	time_ns from, until;
	uint64_t seed;
	struct rng rng;
	struct fault *next;
};

struct faults {
	uint64_t seed;
	unsigned count;
	struct fault *first, **tail;
	bool (*may)(void *ctx, const char *name, const char *dev);
	void *ctx;
};

struct faults *faults_new(uint64_t seed)
{
	struct faults *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return NULL;
	fs->seed = seed;
	fs->tail = &fs->first;
	return fs;
}

static void fault_free(struct fault *f)
{
	free(f->name);
	free(f->what);
	json_decref(f->args);
	json_decref(f->match);
	json_decref(f->dev);
	free(f);
}

void faults_free(struct faults *fs)
{
	struct fault *f, *next;

	if (!fs)
		return;
	for (f = fs->first; f; f = next) {
		next = f->next;
		fault_free(f);
	}
	free(fs);
}

/* Anything but a text or a whole number would be compared with nothing, and match all. */
static bool comparable(json_t *match)
{
	const char *key;
	json_t *want;

	json_object_foreach(match, key, want)
		if (!json_is_string(want) && !json_is_integer(want))
			return false;
	return true;
}

static bool only_texts(json_t *list)
{
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
		if (!json_is_string(one))
			return false;
	return true;
}

/* A list's texts as the members of an object; NULL without memory. */
static json_t *set_of(json_t *list)
{
	json_t *set = json_object(), *one;
	size_t i;

	json_array_foreach(list, i, one) {
		if (json_object_set_new(set, json_string_value(one), json_true())) {
			json_decref(set);
			return NULL;
		}
	}
	return set;
}

/* The event that it waits for, the point, or both. */
static int read_where(struct fault *f, const char *name, const char *on, const char *at, struct err *e)
{
	f->on = on ? journal_kind_by_name(on) : -1;
	f->point = at ? crash_by_name(at) : -1;
	if (on && f->on < 0)
		return err_set(e, ERR_PARSE, "fault '%s': no journal event is called '%s'", name, on);
	if (at && f->point < 0)
		return err_set(e, ERR_PARSE, "fault '%s': no crash point is called '%s'; see quicrig list --crash-points",
			       name, at);
	if (!on && !at)
		return err_set(e, ERR_PARSE, "fault '%s': it needs an event ('on') or a crash point ('at')", name);
	return 0;
}

void faults_gate(struct faults *fs, bool (*may)(void *ctx, const char *name, const char *dev), void *ctx)
{
	if (!fs)
		return;
	fs->may = may;
	fs->ctx = ctx;
}

static int read_spec(struct fault *f, json_t *spec, bool gates, struct err *e)
{
	const char *name = NULL, *on = NULL, *what = NULL, *at = NULL;
	json_t *args = NULL, *match = NULL, *dev = NULL;
	json_int_t nth = 1, times = INT64_MAX, from = 0, until = -1, seed = (json_int_t)f->seed;
	int each = 0, gated = 0;
	double chance = 1;
	json_error_t je;
	int rv;

	if (json_unpack_ex(spec, &je, JSON_STRICT,
			   "{s:s, s?s, s?s, s:s, s?o, s?o, s?o, s?I, s?b, s?I, s?F, s?I, s?I, s?b, s?I}", "name", &name, "on", &on,
			   "at", &at, "do", &what, "args", &args, "match", &match, "dev", &dev, "nth", &nth, "each", &each,
			   "times", &times, "chance", &chance, "from_ns", &from, "until_ns", &until,
			   "gated", &gated, "seed", &seed))
		return err_set(e, ERR_PARSE, "fault: %s", je.text);
	rv = read_where(f, name, on, at, e);
	if (rv)
		return rv;
	if (!on && (match || dev))
		return err_set(e, ERR_PARSE, "fault '%s': match and dev go with an event ('on')", name);
	if ((args && !json_is_object(args)) || (match && !json_is_object(match)) || (dev && !json_is_array(dev)))
		return err_set(e, ERR_PARSE, "fault '%s': args and match are objects, dev is a list", name);
	if (!comparable(match))
		return err_set(e, ERR_PARSE, "fault '%s': match compares with texts and whole numbers only", name);
	if (!only_texts(dev))
		return err_set(e, ERR_PARSE, "fault '%s': dev is a list of uuids", name);
	if (gated && !gates)
		return err_set(e, ERR_UNSUPPORTED, "fault '%s': nobody here knows the devices' states", name);
	if (from < 0)
		return err_set(e, ERR_PARSE, "fault '%s': from_ns starts at 0", name);
	if (nth < 1 || times < 1 || chance < 0 || chance > 1)
		return err_set(e, ERR_PARSE, "fault '%s': nth and times start at 1, chance is 0…1", name);
	f->name = strdup(name);
	f->what = strdup(what);
	f->args = args ? json_incref(args) : json_object();
	f->match = json_incref(match);
	f->dev = dev ? set_of(dev) : NULL;
	if (!f->name || !f->what || !f->args || (dev && !f->dev))
		return err_set(e, ERR_NOMEM, "out of memory");
	f->gated = gated;
	f->seed = (uint64_t)seed;
	f->nth = each ? 0 : nth;
	f->times = each ? times : 1;
	f->chance = chance;
	f->from = (time_ns)from;
	f->until = until < 0 ? TIME_NEVER : (time_ns)until;
	return 0;
}

int faults_arm(struct faults *fs, json_t *spec, struct err *e)
{
	struct fault *f;
	int rv;

	if (fs->count == FAULTS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d faults armed", FAULTS_MAX);
	f = calloc(1, sizeof(*f));
	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory");
	f->seed = fs->seed;
	rv = read_spec(f, spec, fs->may, e);
	if (rv) {
		fault_free(f);
		return rv;
	}
	rng_init(&f->rng, f->seed, f->name, "chance");
	*fs->tail = f;
	fs->tail = &f->next;
	fs->count++;
	return 0;
}

int faults_disarm(struct faults *fs, const char *name)
{
	for (struct fault **p = &fs->first; *p; p = &(*p)->next) {
		struct fault *f = *p;

		if (strcmp(f->name, name) != 0)
			continue;
		*p = f->next;
		if (fs->tail == &f->next)
			fs->tail = p;
		fs->count--;
		fault_free(f);
		return 0;
	}
	return ERR_NOTFOUND;
}

static bool dev_matches(const struct fault *f, const char *dev)
{
	return !f->dev || (dev && json_object_get(f->dev, dev));
}

static bool fields_match(const struct fault *f, const struct journal_event *ev)
{
	const char *key;
	json_t *want;

	json_object_foreach(f->match, key, want) {
		int field = journal_field_by_name(key);

		if (field < 0)
			return false;
		if (json_is_string(want) &&
		    strcmp(journal_text(ev, (enum journal_field)field), json_string_value(want)) != 0)
			return false;
		if (json_is_integer(want) &&
		    journal_int(ev, (enum journal_field)field, INT64_MIN) != json_integer_value(want))
			return false;
	}
	return true;
}

/* One more occasion of its own: does it take this one? */
static bool takes(struct fault *f)
{
	f->seen++;
	if (f->nth && f->seen != f->nth)
		return false;
	if (f->chance < 1 && rng_unit(&f->rng) >= f->chance)
		return false;
	f->times--;
	return true;
}

static bool open_at(const struct fault *f, time_ns t)
{
	return f->times && t >= f->from && t < f->until;
}

static bool meant(const struct faults *fs, const struct fault *f, const struct journal_event *ev)
{
	return f->on == (int)ev->kind && open_at(f, ev->t) && dev_matches(f, ev->dev) && fields_match(f, ev) &&
	       (!f->gated || fs->may(fs->ctx, f->name, ev->dev));
}

const struct fault *fault_hook(void *faults, const struct journal_event *ev)
{
	struct faults *fs = faults;

	for (struct fault *f = fs->first; f; f = f->next)
		if (f->point < 0 && meant(fs, f, ev) && takes(f))
			return f;
	return NULL;
}

void faults_foresee(struct faults *fs, const struct journal_event *ev)
{
	for (struct fault *f = fs->first; f; f = f->next)
		if (f->point >= 0 && !f->due && meant(fs, f, ev) && takes(f))
			f->due = true;
}

const struct fault *faults_at(struct faults *fs, const char *point, time_ns now)
{
	int p = crash_by_name(point);

	for (struct fault *f = fs->first; f; f = f->next) {
		if (f->point < 0 || f->point != p)
			continue;
		if (f->on < 0 ? open_at(f, now) && takes(f) : f->due) {
			f->due = false;
			return f;
		}
	}
	return NULL;
}

unsigned faults_count(const struct faults *fs)
{
	return fs->count;
}

const char *fault_name(const struct fault *f)
{
	return f->name;
}

const char *fault_do(const struct fault *f)
{
	return f->what;
}

json_t *fault_args(const struct fault *f)
{
	return f->args;
}

bool fault_is(const struct fault *f, const char *what)
{
	return f && strcmp(f->what, what) == 0;
}
