#include "core/journal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/fault.h"

static const struct {
	const char *name;
	bool text;
} fields[JF_END] = {
#define TYPE_S true
#define TYPE_I false
#define FIELD(name, json, type) {json, TYPE_##type},
	JOURNAL_FIELDS(FIELD)
#undef FIELD
};

static const struct {
	const char *name, *fields;
} kinds[J_END] = {
#define KIND(name, json, list) {json, list},
	JOURNAL_KINDS(KIND)
#undef KIND
};

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

static bool kind_has(enum journal_kind k, const char *name)
{
	const char *p = kinds[k].fields;
	size_t len = strlen(name);

	while ((p = strstr(p, name))) {
		if ((p == kinds[k].fields || p[-1] == ' ') && (p[len] == ' ' || p[len] == '\0'))
			return true;
		p += len;
	}
	return false;
}

static void put_text(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_printf(out, ",\"%s\":", name);
	buf_json_str(out, value);
}

int journal_format(const struct journal_event *ev, struct buf *out)
{
	buf_printf(out, "{\"v\":%d,\"t_ns\":%" PRIu64 ",\"seq\":%" PRIu64, JOURNAL_VERSION, ev->t, ev->seq);
	put_text(out, "actor", ev->actor);
	put_text(out, "kind", kinds[ev->kind].name);
	put_text(out, "scenario", ev->scenario);
	put_text(out, "dev", ev->dev);
	put_text(out, "req", ev->req);
	put_text(out, "reg", ev->reg);
	for (unsigned i = 0; i < ev->n; i++) {
		const struct journal_value *v = &ev->v[i];

		if (fields[v->field].text)
			put_text(out, fields[v->field].name, v->s);
		else
			buf_printf(out, ",\"%s\":%" PRId64, fields[v->field].name, v->i);
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
		assert(kind_has(ev->kind, fields[ev->v[i].field].name));
	fired = j->hook ? j->hook(j->hook_ctx, ev) : NULL;
	write_event(j, ev);
	if (fired) {
		struct journal_event note = {.t = ev->t,
					     .kind = J_FAULT_FIRED,
					     .actor = ev->actor,
					     .dev = ev->dev,
					     .n = 2,
					     .v = {JS(NAME, fault_name(fired)), JS(WHY, kinds[ev->kind].name)}};

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
		if (fields[v[i].field].text && !v[i].s)
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
	if (f < 0 || !kind_has(ev->kind, key))
		return err_set(e, ERR_PARSE, "journal: kind %s has no field '%s'", kinds[ev->kind].name, key);
	if (ev->n == JOURNAL_VALUES)
		return err_set(e, ERR_LIMIT, "journal: too many fields");
	if (fields[f].text ? !json_is_string(value) : !json_is_integer(value))
		return err_set(e, ERR_PARSE, "journal: field '%s' has the wrong type", key);
	ev->v[ev->n].field = (enum journal_field)f;
	ev->v[ev->n].s = fields[f].text ? arena_put(at, json_string_value(value)) : NULL;
	ev->v[ev->n].i = fields[f].text ? 0 : json_integer_value(value);
	ev->n++;
	return 0;
}

int journal_parse(const char *line, size_t len, struct journal_record *out, struct err *e)
{
	json_error_t je;
	json_t *root, *value;
	const char *key;
	char *at;
	int kind, rv = 0;

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
	return k < J_END ? kinds[k].name : "?";
}

int journal_kind_by_name(const char *name)
{
	for (int i = 0; i < J_END; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return i;
	return -1;
}

const char *journal_kind_fields(enum journal_kind k)
{
	return k < J_END ? kinds[k].fields : "";
}

const char *journal_field_name(enum journal_field f)
{
	return f < JF_END ? fields[f].name : "?";
}

int journal_field_by_name(const char *name)
{
	for (int i = 0; i < JF_END; i++)
		if (strcmp(fields[i].name, name) == 0)
			return i;
	return -1;
}

bool journal_field_is_text(enum journal_field f)
{
	return f < JF_END && fields[f].text;
}
