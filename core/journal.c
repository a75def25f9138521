#include "core/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/fault.h"
#include "core/journal_names.h"

struct journal {
	journal_sink *sink;
	void *sink_ctx;
	journal_hook *hook;
	void *hook_ctx;
	journal_reader *reader;
	void *reader_ctx;
	uint64_t seq;
	int error;
	char *scenario;
	struct buf line;
};

struct journal *journal_new(journal_sink *sink, void *ctx)
{
	struct journal *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->sink = sink;
	j->sink_ctx = ctx;
	buf_init(&j->line, 4 * JOURNAL_LINE_MAX);
	return j;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	buf_fini(&j->line);
	free(j->scenario);
	free(j);
}

void journal_set_scenario(struct journal *j, const char *id)
{
	free(j->scenario);
	j->scenario = id ? strdup(id) : NULL;
}

void journal_set_hook(struct journal *j, journal_hook *hook, void *ctx)
{
	j->hook = hook;
	j->hook_ctx = ctx;
}

void journal_set_reader(struct journal *j, journal_reader *reader, void *ctx)
{
	j->reader = reader;
	j->reader_ctx = ctx;
}

int journal_error(const struct journal *j)
{
	return j->error;
}

static void put_text(struct buf *out, const char *before, size_t len, const char *value)
{
	if (!value)
		return;
	buf_add(out, before, len);
	buf_json_str(out, value);
}

#define PUT_TEXT(out, name, value) put_text(out, ",\"" name "\":", sizeof(",\"" name "\":") - 1, value)

int journal_format(const struct journal_event *ev, struct buf *out)
{
	buf_puts(out, "{\"v\":");
	buf_u64(out, JOURNAL_VERSION);
	buf_puts(out, ",\"t_ns\":");
	buf_u64(out, ev->t);
	buf_puts(out, ",\"seq\":");
	buf_u64(out, ev->seq);
	PUT_TEXT(out, "actor", ev->actor);
	PUT_TEXT(out, "kind", journal_kinds[ev->kind].name);
	PUT_TEXT(out, "scenario", ev->scenario);
	PUT_TEXT(out, "dev", ev->dev);
	PUT_TEXT(out, "req", ev->req);
	PUT_TEXT(out, "reg", ev->reg);
	for (unsigned i = 0; i < ev->n; i++) {
		const struct journal_value *v = &ev->v[i];
		const struct journal_field_name *f = &journal_fields[v->field];

		if (f->text) {
			put_text(out, f->before, f->before_len, v->s);
		} else {
			buf_add(out, f->before, f->before_len);
			buf_i64(out, v->i);
		}
	}
	return buf_add(out, "}\n", 2);
}

static void write_event(struct journal *j, struct journal_event *ev)
{
	int rv;

	ev->seq = j->seq++;
	if (!ev->scenario)
		ev->scenario = j->scenario;
	if (j->sink) {
		buf_reset(&j->line);
		rv = journal_format(ev, &j->line);
		if (!rv)
			rv = j->sink(j->sink_ctx, j->line.data, j->line.len);
		if (rv && !j->error)
			j->error = rv;
	}
	if (j->reader)
		j->reader(j->reader_ctx, ev);
}

const struct fault *journal_emit(struct journal *j, struct journal_event *ev)
{
	const struct fault *fired;

	if (!j)
		return NULL;
	for (unsigned i = 0; i < ev->n; i++)
		assert(journal_kind_has(ev->kind, ev->v[i].field));
	fired = j->hook ? j->hook(j->hook_ctx, ev) : NULL;
	write_event(j, ev);
	if (fired) {
		struct journal_event note = {.t = ev->t,
					     .kind = J_FAULT_FIRED,
					     .actor = ev->actor,
					     .dev = ev->dev,
					     .n = 2,
					     .v = {JS(NAME, fault_name(fired)), JS(WHY, journal_kinds[ev->kind].name)}};

		write_event(j, &note);
	}
	return fired;
}

const struct fault *journal_emit_values(struct journal *j, time_ns now, const char *actor, const char *dev,
					const char *req, const char *reg, enum journal_kind kind,
					const struct journal_value *v, size_t n)
{
	struct journal_event ev = {
		.t = now, .kind = kind, .actor = actor, .dev = dev, .req = req, .reg = reg};

	for (size_t i = 0; i < n; i++) {
		if (journal_fields[v[i].field].text && !v[i].s)
			continue;
		assert(ev.n < JOURNAL_VALUES);
		ev.v[ev.n++] = v[i];
	}
	return journal_emit(j, &ev);
}

/* ---- reading ---- */

static char *arena_put(char **at, const char *s)
{
	size_t len = strlen(s) + 1;
	char *p = memcpy(*at, s, len);

	*at += len;
	return p;
}

static const char **envelope_text(struct journal_event *ev, const char *key)
{
	if (strcmp(key, "actor") == 0)
		return &ev->actor;
	if (strcmp(key, "scenario") == 0)
		return &ev->scenario;
	if (strcmp(key, "dev") == 0)
		return &ev->dev;
	if (strcmp(key, "req") == 0)
		return &ev->req;
	if (strcmp(key, "reg") == 0)
		return &ev->reg;
	return NULL;
}

static int take_member(struct journal_event *ev, char **at, const char *key, json_t *value, struct err *e)
{
	const char **text = envelope_text(ev, key);
	int f;

	if (text) {
		if (!json_is_string(value))
			return err_set(e, ERR_PARSE, "journal: '%s' is not a text", key);
		*text = arena_put(at, json_string_value(value));
		return 0;
	}
	if (strcmp(key, "v") == 0 || strcmp(key, "kind") == 0)
		return 0;
	if (strcmp(key, "t_ns") == 0 || strcmp(key, "seq") == 0) {
		if (!json_is_integer(value) || json_integer_value(value) < 0)
			return err_set(e, ERR_PARSE, "journal: '%s' is not a count", key);
		*(key[0] == 't' ? &ev->t : &ev->seq) = (uint64_t)json_integer_value(value);
		return 0;
	}
	f = journal_field_by_name(key);
	if (f < 0 || !journal_kind_has(ev->kind, (enum journal_field)f))
		return err_set(e, ERR_PARSE, "journal: kind %s has no field '%s'", journal_kinds[ev->kind].name, key);
	if (ev->n == JOURNAL_VALUES)
		return err_set(e, ERR_LIMIT, "journal: too many fields");
	if (journal_fields[f].text ? !json_is_string(value) : !json_is_integer(value))
		return err_set(e, ERR_PARSE, "journal: field '%s' has the wrong type", key);
	ev->v[ev->n].field = (enum journal_field)f;
	ev->v[ev->n].s = journal_fields[f].text ? arena_put(at, json_string_value(value)) : NULL;
	ev->v[ev->n].i = journal_fields[f].text ? 0 : json_integer_value(value);
	ev->n++;
	return 0;
}

int journal_parse(const char *line, size_t len, struct journal_record *out, struct err *e)
{
	json_error_t je;
	json_t *root, *value;
	const char *key;
	char *at;
	int kind, rv = journal_scan(line, len, out);

	if (rv != ERR_NOTFOUND)
		return rv ? err_set(e, rv, "journal: out of memory") : 0;
	rv = 0;
	memset(out, 0, sizeof(*out));
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	if (!root)
		return err_set(e, ERR_PARSE, "journal: %s", je.text);
	if (!json_is_object(root) || json_integer_value(json_object_get(root, "v")) != JOURNAL_VERSION) {
		rv = err_set(e, ERR_PARSE, "journal: not an event of version %d", JOURNAL_VERSION);
		goto out;
	}
	value = json_object_get(root, "kind");
	kind = json_is_string(value) ? journal_kind_by_name(json_string_value(value)) : -1;
	if (kind < 0) {
		rv = err_set(e, ERR_PARSE, "journal: unknown kind '%s'",
			     json_is_string(value) ? json_string_value(value) : "");
		goto out;
	}
	out->ev.kind = (enum journal_kind)kind;
	/* a decoded text is never longer than its JSON; one NUL fits in its quotes */
	at = out->arena = malloc(len + 1);
	if (!at) {
		rv = err_set(e, ERR_NOMEM, "journal: out of memory");
		goto out;
	}
	json_object_foreach(root, key, value) {
		rv = take_member(&out->ev, &at, key, value, e);
		if (rv)
			break;
	}
out:
	json_decref(root);
	if (rv)
		journal_record_free(out);
	return rv;
}

void journal_record_free(struct journal_record *r)
{
	free(r->arena);
	r->arena = NULL;
}

static size_t text_size(const char *s)
{
	return s ? strlen(s) + 1 : 0;
}

int journal_record_copy(const struct journal_event *ev, struct journal_record *out)
{
	size_t need = text_size(ev->actor) + text_size(ev->scenario) + text_size(ev->dev) + text_size(ev->req) +
		      text_size(ev->reg) + 1;
	const char **texts[] = {&out->ev.actor, &out->ev.scenario, &out->ev.dev, &out->ev.req, &out->ev.reg};
	char *at;

	for (unsigned i = 0; i < ev->n; i++)
		need += text_size(ev->v[i].s);
	at = malloc(need);
	if (!at)
		return ERR_NOMEM;
	out->ev = *ev;
	out->arena = at;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (*texts[i])
			*texts[i] = arena_put(&at, *texts[i]);
	for (unsigned i = 0; i < ev->n; i++)
		if (ev->v[i].s)
			out->ev.v[i].s = arena_put(&at, ev->v[i].s);
	return 0;
}

static const struct journal_value *find(const struct journal_event *ev, enum journal_field f)
{
	for (unsigned i = 0; i < ev->n; i++)
		if (ev->v[i].field == f)
			return &ev->v[i];
	return NULL;
}

const char *journal_text(const struct journal_event *ev, enum journal_field f)
{
	const struct journal_value *v = find(ev, f);

	return v && v->s ? v->s : "";
}

int64_t journal_int(const struct journal_event *ev, enum journal_field f, int64_t absent)
{
	const struct journal_value *v = find(ev, f);

	return v ? v->i : absent;
}

bool journal_has(const struct journal_event *ev, enum journal_field f)
{
	return find(ev, f) != NULL;
}

const char *journal_kind_name(enum journal_kind k)
{
	return k < J_END ? journal_kinds[k].name : "?";
}

int journal_kind_by_name(const char *name)
{
	return journal_kind_find(name, strlen(name));
}

const char *journal_kind_fields(enum journal_kind k)
{
	return k < J_END ? journal_kinds[k].fields : "";
}

const char *journal_field_name(enum journal_field f)
{
	return f < JF_END ? journal_fields[f].name : "?";
}

int journal_field_by_name(const char *name)
{
	return journal_field_find(name, strlen(name));
}

bool journal_field_is_text(enum journal_field f)
{
	return f < JF_END && journal_fields[f].text;
}
