#include "hil/run/shrink.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "hil/language/scenario_write.h"
#include "hil/run/shrink_moves.h"

#define ROUNDS 4 /* through all classes, at most */

enum { TODO, RUNNING, GOOD, BAD };

struct shrink {
	json_t *best;
	struct shrink_limits limits;
	enum shrink_class class;
	unsigned round;
	bool changed; /* in this round */
	uint32_t generation;
	json_t *list;  /* of the class, from the best */
	char *state;   /* of each in the list */
	size_t head;   /* those before it are bad */
	json_t *tried; /* digest → null: of all that were bad */
	bool done;
};

/* Places in files are no part of what a plan says. */
static void drop_places(json_t *v)
{
	const char *key;
	json_t *inner;
	size_t i;

	json_object_del(v, "source");
	json_object_foreach(v, key, inner)
		drop_places(inner);
	json_array_foreach(v, i, inner)
		drop_places(inner);
}

static bool digest(json_t *plan, char out[2 * HASH_SIZE + 1])
{
	json_t *copy = json_deep_copy(plan);
	uint8_t raw[HASH_SIZE];
	char *text;

	drop_places(copy);
	text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!text)
		return false;
	hash_sha256(text, strlen(text), raw);
	hash_hex(raw, sizeof(raw), out);
	free(text);
	return true;
}

/* Can a file say it, and does its checker take it? */
static bool writable(json_t *plan)
{
	struct err e = {0};
	struct buf text;
	int rv;

	buf_init(&text, SCENARIO_TEXT_MAX);
	rv = scenario_write(plan, NULL, &text, &e);
	buf_fini(&text);
	return rv == 0;
}

static void no_list(struct shrink *s)
{
	json_decref(s->list);
	free(s->state);
	s->list = NULL;
	s->state = NULL;
	s->head = 0;
	s->generation++;
}

/* The moves of the present class, or of the next one that has some. */
static void open_list(struct shrink *s)
{
	while (!s->list && !s->done) {
		s->list = shrink_moves(s->best, s->class, &s->limits);
		s->state = calloc(1, json_array_size(s->list) + 1);
		if (s->list && s->state && json_array_size(s->list))
			return;
		no_list(s);
		if (++s->class < SHRINK_CLASSES)
			continue;
		s->class = 0;
		s->done = !s->changed || ++s->round == ROUNDS;
		s->changed = false;
	}
}

struct shrink *shrink_new(json_t *plan, const struct signature *signature)
{
	/* what counts over time, and what is about time itself */
	static const char *const counting[] = {"counts: ", "seen: ", "balance: ", "within: ", "threshold: ", "wait: ", "end: "};
	struct shrink *s = calloc(1, sizeof(*s));
	char d[2 * HASH_SIZE + 1];

	if (!s)
		return NULL;
	s->best = json_deep_copy(plan);
	s->tried = json_object();
	if (!s->best || !s->tried || !digest(plan, d)) {
		shrink_free(s);
		return NULL;
	}
	json_object_set_new(s->tried, d, json_null());
	for (size_t i = 0; i < sizeof(counting) / sizeof(counting[0]); i++)
		if (strncmp(signature->text, counting[i], strlen(counting[i])) == 0)
			s->limits.counts = true;
	open_list(s);
	return s;
}

void shrink_free(struct shrink *s)
{
	if (!s)
		return;
	no_list(s);
	json_decref(s->best);
	json_decref(s->tried);
	free(s);
}

/* Takes the first good one when all before it are known to be bad. */
static void settle(struct shrink *s)
{
	size_t n = json_array_size(s->list);
	char d[2 * HASH_SIZE + 1];

	for (; s->head < n && s->state[s->head] == BAD; s->head++)
		if (digest(json_array_get(s->list, s->head), d))
			json_object_set_new(s->tried, d, json_null());
	if (s->head < n && s->state[s->head] == GOOD) {
		json_t *better = json_incref(json_array_get(s->list, s->head));

		json_decref(s->best);
		s->best = better;
		if (digest(better, d))
			json_object_set_new(s->tried, d, json_null());
		s->changed = true;
		no_list(s); /* the same class again: more of it may be possible */
		open_list(s);
	} else if (s->head == n) {
		no_list(s);
		if (++s->class == SHRINK_CLASSES) {
			s->class = 0;
			s->done = !s->changed || ++s->round == ROUNDS;
			s->changed = false;
		}
		open_list(s);
	}
}

json_t *shrink_next(struct shrink *s, uint64_t *ticket)
{
	char d[2 * HASH_SIZE + 1];

	while (!s->done && s->list) {
		uint32_t generation = s->generation;
		size_t n = json_array_size(s->list), i = s->head;

		/* behind a good one nothing is worth trying */
		while (i < n && (s->state[i] == RUNNING || s->state[i] == BAD))
			i++;
		if (i == n || s->state[i] == GOOD)
			return NULL;
		if (!digest(json_array_get(s->list, i), d))
			return NULL;
		if (!json_object_get(s->tried, d) && writable(json_array_get(s->list, i))) {
			s->state[i] = RUNNING;
			*ticket = ((uint64_t)generation << 32) | i;
			return json_incref(json_array_get(s->list, i));
		}
		s->state[i] = BAD;
		settle(s);
	}
	return NULL;
}

void shrink_told(struct shrink *s, uint64_t ticket, bool fails_alike)
{
	size_t i = (size_t)(ticket & UINT32_MAX);

	if (ticket >> 32 != s->generation || i >= json_array_size(s->list))
		return; /* of a list that is gone */
	s->state[i] = fails_alike ? GOOD : BAD;
	settle(s);
}

bool shrink_done(const struct shrink *s)
{
	return s->done;
}

json_t *shrink_best(const struct shrink *s)
{
	return s->best;
}
