#include "hil/language/read.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/rows.h"
#include "core/settings.h"
#include "hil/language/read_numbers.h"
#include "hil/language/who.h"

#define NAME_MAX_LEN 64
#define WORDS_MAX    256
#define SHOWN        80 /* bytes of a value in a message */

void read_put(struct reader *r, json_t *object, const char *name, json_t *value)
{
	if (json_object_set_new(object, name, value))
		r->nomem = true;
}

void read_append(struct reader *r, json_t *list, json_t *value)
{
	if (json_array_append_new(list, value))
		r->nomem = true;
}

json_t *read_place(struct reader *r, const struct yaml_node *n)
{
	json_t *j = json_pack("{s:s, s:i, s:i}", "file", r->src->name, "line", n->at.line, "col", n->at.col);

	if (!j)
		r->nomem = true;
	return j;
}

const struct yaml_node *read_each(const struct yaml_node *n, const struct yaml_item **walk, bool *begun)
{
	const struct yaml_node *value;

	if (n->kind != YAML_KIND_LIST) {
		value = *begun ? NULL : n;
		*begun = true;
		return value;
	}
	if (!*begun)
		*walk = n->first;
	*begun = true;
	if (!*walk)
		return NULL;
	value = (*walk)->value;
	*walk = (*walk)->next;
	return value;
}

/* ---- what is wrong ---- */

static void near_states(struct vocab_near *near)
{
	for (int s = 0; s < STATE_COUNT; s++)
		vocab_near_offer(near, state_full((enum state_name)s));
}

static void near_events(struct vocab_near *near)
{
	for (int k = 0; k < J_END; k++)
		vocab_near_offer(near, journal_kind_name((enum journal_kind)k));
}

/* A hint for a value that is no word of its kind. */
static void value_hint(const struct yaml_node *n, const struct vocab_key *k, char *out, size_t size)
{
	struct vocab_near near;
	char word[64];

	*out = '\0';
	if (n->kind != YAML_KIND_SCALAR)
		return;
	vocab_near_init(&near, n->text);
	switch (k->type) {
	case VOCAB_WORD:
	case VOCAB_WORDS:
		if (!k->arg)
			return;
		vocab_near_words(&near, k->arg, word, sizeof(word));
		vocab_near_text(&near, out, size);
		if (!*out)
			snprintf(out, size, "one of: %s", k->arg);
		return;
	case VOCAB_BOOL:
		if (vocab_has("yes Yes YES on On ON True TRUE y", n->text))
			snprintf(out, size, "write true");
		else if (vocab_has("no No NO off Off OFF False FALSE n", n->text))
			snprintf(out, size, "write false");
		return;
	case VOCAB_STATE:
		near_states(&near);
		break;
	case VOCAB_EVENT:
		near_events(&near);
		break;
	default:
		if (k->example && !strstr(vocab_type_text(k->type), " as "))
			snprintf(out, size, "as in %s", k->example);
		return;
	}
	vocab_near_text(&near, out, size);
}

void read_wrong(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	char what[SHOWN], hint[256];

	value_hint(n, k, hint, sizeof(hint));
	diag_error(r->ds, r->src, n->at, hint, "'%s' wants %s, not %s", k->key, vocab_type_text(k->type),
		   yaml_describe(n, what, sizeof(what)));
}

bool read_is_word(struct reader *r, const struct yaml_node *n, const char *what)
{
	char shown[SHOWN];

	if (n->kind == YAML_KIND_SCALAR && n->text[0])
		return true;
	diag_error(r->ds, r->src, n->at, NULL, "%s is missing: here is %s", what,
		   n->kind == YAML_KIND_SCALAR ? "nothing" : yaml_describe(n, shown, sizeof(shown)));
	return false;
}

/* ---- scalars ---- */

/* Digits alone, within int64_t. */
static bool whole(const char *text, int64_t *out)
{
	if (!*text || strlen(text) > 18 || strspn(text, "0123456789") != strlen(text))
		return false;
	*out = strtoll(text, NULL, 10);
	return true;
}

/* A plain decimal number in front of `unit`, which must end the text. */
static bool decimal(const char *text, const char *unit, double *out)
{
	size_t n = strspn(text, "0123456789.");
	char *end;

	if (!n || n > 18 || !isdigit((unsigned char)text[0]) || strcmp(text + n, unit) != 0)
		return false;
	*out = strtod(text, &end);
	return end == text + n && end[-1] != '.';
}

static json_t *read_name(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	const char *p = n->text;

	for (; *p && (isalnum((unsigned char)*p) || strchr("-_.", *p)); p++)
		;
	if (!*p && p - n->text <= NAME_MAX_LEN && isalnum((unsigned char)n->text[0]))
		return json_string(n->text);
	read_wrong(r, n, k);
	return NULL;
}

static json_t *read_count(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	int64_t v;

	if (!whole(n->text, &v)) {
		read_wrong(r, n, k);
		return NULL;
	}
	if (v >= k->min && v <= k->max)
		return json_integer(v);
	if (k->min == k->max)
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is %" PRId64 ", not %.40s", k->key, k->min, n->text);
	else
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is %" PRId64 " to %" PRId64 ", not %.40s", k->key, k->min,
			   k->max, n->text);
	return NULL;
}

static json_t *read_code(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	int64_t v;

	if (whole(n->text, &v) && v <= 999 && (v >= 100 || (v == 0 && k->min == 0)))
		return json_integer(v);
	read_wrong(r, n, k);
	return NULL;
}

static json_t *range_json(int64_t min, int64_t max)
{
	json_t *j = json_object();

	if (j && min >= 0 && json_object_set_new(j, "min", json_integer(min)))
		goto fail;
	if (j && max >= 0 && json_object_set_new(j, "max", json_integer(max)))
		goto fail;
	return j;
fail:
	json_decref(j);
	return NULL;
}

static json_t *read_range(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	static const struct {
		const char *sign;
		int min, max; /* 0: that end is open; else what is added to the number, and 10 */
	} signs[] = {{">=", 10, 0}, {"<=", 0, 10}, {">", 11, 0}, {"<", 0, 9}, {"=", 10, 10}, {"", 10, 10}};
	const char *dots = strstr(n->text, "..");
	int64_t v, top;
	char low[24];

	if (dots && dots - n->text < (long)sizeof(low)) {
		snprintf(low, sizeof(low), "%.*s", (int)(dots - n->text), n->text);
		if (whole(low, &v) && whole(dots + 2, &top) && v <= top)
			return range_json(v, top);
		read_wrong(r, n, k);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		size_t len = strlen(signs[i].sign);
		const char *p = n->text + len;

		if (strncmp(n->text, signs[i].sign, len) != 0)
			continue;
		p += strspn(p, " ");
		if (signs[i].min == 10 && !signs[i].max && whole(p, &v) && v == 0) {
			diag_error(r->ds, r->src, n->at, NULL, "'%s' holds whatever is counted: '%s'", k->key, n->text);
			return NULL;
		}
		if (whole(p, &v) && !(signs[i].max == 9 && v == 0))
			return range_json(signs[i].min ? v + signs[i].min - 10 : -1,
					  signs[i].max ? v + signs[i].max - 10 : -1);
		break;
	}
	read_wrong(r, n, k);
	return NULL;
}

static json_t *read_duration(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	time_ns ns;

	if (isdigit((unsigned char)n->text[0]) && strspn(n->text, "0123456789.") == strlen(n->text)) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' has no unit: write %.20ss or %.20sms", k->key, n->text,
			   n->text);
		return NULL;
	}
	if (duration_parse(n->text, &ns) || ns > INT64_MAX) {
		read_wrong(r, n, k);
		return NULL;
	}
	if ((int64_t)ns < k->min) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' must be more than nothing", k->key);
		return NULL;
	}
	return json_integer((json_int_t)ns);
}

/* A sign, so that nobody wonders which way a clock goes. */
static json_t *read_shift(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	bool back = n->text[0] == '-';
	time_ns ns;

	if (n->text[0] != '+' && !back && !duration_parse(n->text, &ns)) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' wants a sign: +%.20s or -%.20s", k->key, n->text, n->text);
		return NULL;
	}
	if ((n->text[0] != '+' && !back) || duration_parse(n->text + 1, &ns) || ns > INT64_MAX) {
		read_wrong(r, n, k);
		return NULL;
	}
	if (ns < NS_PER_MS) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is at least a millisecond", k->key);
		return NULL;
	}
	return json_integer((back ? -1 : 1) * (json_int_t)(ns / NS_PER_MS));
}

static json_t *read_ratio(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	double v;

	if (decimal(n->text, "", &v)) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' has no unit: write %g%%", k->key, v < 1 ? v * 100 : v);
		return NULL;
	}
	if (decimal(n->text, "%", &v) && v <= 100)
		return json_real(v / 100);
	read_wrong(r, n, k);
	return NULL;
}

static json_t *read_share(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	struct yaml_node bare = *n;

	if (strncmp(n->text, ">=", 2) == 0)
		bare.text += 2 + strspn(n->text + 2, " ");
	else if (strpbrk(n->text, "<>=")) {
		read_wrong(r, n, k);
		return NULL;
	}
	return read_ratio(r, &bare, k);
}

static json_t *read_rate(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	static const struct {
		const char *unit;
		double per_s;
	} units[] = {{"/s", 1}, {"/min", 1.0 / 60}, {"/h", 1.0 / 3600}};
	double v;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (decimal(n->text, units[i].unit, &v))
			return json_real(v * units[i].per_s);
	read_wrong(r, n, k);
	return NULL;
}

static json_t *read_seed(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	bool hex = strncmp(n->text, "0x", 2) == 0;
	const char *digits = n->text + (hex ? 2 : 0);
	size_t len = strlen(digits);

	errno = 0;
	if (len && strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") == len && len <= 20 &&
	    (hex || len == 1 || digits[0] != '0')) {
		strtoull(digits, NULL, hex ? 16 : 10);
		if (!errno)
			return json_string(n->text);
	}
	read_wrong(r, n, k);
	return NULL;
}

static json_t *read_date(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int y, m, d, used = 0;

	if (strlen(n->text) == 10 && strspn(n->text, "0123456789-") == 10 &&
	    sscanf(n->text, "%4d-%2d-%2d%n", &y, &m, &d, &used) == 3 && used == 10 && m >= 1 && m <= 12 && d >= 1 &&
	    d <= days[m - 1] && !(m == 2 && d == 29 && (y % 4 || (y % 100 == 0 && y % 400))))
		return json_string(n->text);
	read_wrong(r, n, k);
	return NULL;
}

const char *read_state(struct reader *r, const struct yaml_node *n)
{
	static const struct vocab_key row = {.key = "state", .type = VOCAB_STATE};
	char what[SHOWN], hint[96];
	int s;

	if (!read_is_word(r, n, "a state"))
		return NULL;
	s = state_by_name(n->text);
	if (s >= 0)
		return state_full((enum state_name)s);
	value_hint(n, &row, hint, sizeof(hint));
	diag_error(r->ds, r->src, n->at, hint, "unknown state %s", yaml_describe(n, what, sizeof(what)));
	return NULL;
}

static json_t *read_event(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	char what[SHOWN], hint[96];

	if (journal_kind_by_name(n->text) >= 0)
		return json_string(n->text);
	value_hint(n, k, hint, sizeof(hint));
	if (!*hint)
		snprintf(hint, sizeof(hint), "all of them: docs/journal.md");
	diag_error(r->ds, r->src, n->at, hint, "unknown event %s", yaml_describe(n, what, sizeof(what)));
	return NULL;
}

static json_t *read_who(struct reader *r, const struct yaml_node *n)
{
	struct who_scope scope = {r->groups, r->senders, r->receivers};
	char why[256];
	json_t *who = who_from_text(n->text, &scope, why, sizeof(why));

	if (!who)
		diag_error(r->ds, r->src, n->at, NULL, "%s", why);
	else if (who_is_nobody(who, &scope))
		diag_warn(r->ds, r->src, n->at, NULL, "'%s' is nobody: the share of so few devices rounds to none", n->text);
	return who;
}

/* ---- lists and mappings ---- */

static json_t *read_words(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	struct vocab_key one = *k;
	const struct yaml_item *walk = NULL;
	const struct yaml_node *item;
	json_t *list = json_array();
	bool begun = false;

	one.type = VOCAB_WORD;
	if (n->kind == YAML_KIND_LIST && n->n > WORDS_MAX) {
		diag_error(r->ds, r->src, n->at, NULL, "more than %d words in '%s'", WORDS_MAX, k->key);
		return list;
	}
	while ((item = read_each(n, &walk, &begun))) {
		json_t *word = item->kind == YAML_KIND_SCALAR && item->text[0] ? read_value(r, item, &one) : NULL;

		if (item->kind != YAML_KIND_SCALAR || !item->text[0]) {
			read_wrong(r, item, k);
			continue;
		}
		if (!word)
			continue;
		for (size_t i = 0; i < json_array_size(list); i++)
			if (json_equal(json_array_get(list, i), word))
				diag_error(r->ds, r->src, item->at, NULL, "'%.60s' stands twice in '%s'", item->text,
					   k->key);
		read_append(r, list, word);
	}
	if (n->kind == YAML_KIND_LIST && !n->first && strcmp(k->key, "rigs") == 0)
		diag_error(r->ds, r->src, n->at, NULL, "'rigs' is empty: it would never be run");
	return list;
}

static json_t *read_settings(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	json_t *out = json_object();

	if (n->kind != YAML_KIND_MAP) {
		read_wrong(r, n, k);
		json_decref(out);
		return NULL;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		int s = setting_by_name(i->key->text);
		struct err e = {0};
		int64_t v = 0;

		if (s < 0) {
			struct vocab_near near;
			char hint[96];

			vocab_near_init(&near, i->key->text);
			for (int x = 0; x < SETTING_COUNT; x++)
				vocab_near_offer(&near, setting_name((enum setting)x));
			diag_error(r->ds, r->src, i->key->at, vocab_near_text(&near, hint, sizeof(hint)),
				   "unknown setting '%.60s'", i->key->text);
		} else if (!read_is_word(r, i->value, i->key->text)) {
			continue;
		} else if (setting_parse((enum setting)s, i->value->text, &v, &e)) {
			diag_error(r->ds, r->src, i->value->at, NULL, "%s", e.text);
		} else {
			read_put(r, out, i->key->text, json_integer(v == SETTING_OFF ? -1 : v));
		}
	}
	return out;
}

/* Texts are shown on terminals and in reports: no escapes. Line ends belong to an SMS, too. */
static json_t *read_text(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	for (const unsigned char *p = (const unsigned char *)n->text; *p; p++) {
		bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;

		if ((*p >= 0x20 || *p == '\n') && *p != 0x7f && !c1)
			continue;
		diag_error(r->ds, r->src, n->at, NULL, "control character U+%04X in '%s'", c1 ? p[1] : p[0], k->key);
		return NULL;
	}
	return json_string(n->text);
}

static json_t *read_scalar(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	switch (k->type) {
	case VOCAB_TEXT:
		return read_text(r, n, k);
	case VOCAB_NAME:
		return read_name(r, n, k);
	case VOCAB_WORD:
		if (k->arg ? vocab_has(k->arg, n->text) : strpbrk(n->text, " \n,") == NULL)
			return json_string(n->text);
		break;
	case VOCAB_BOOL:
		if (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)
			return json_boolean(n->text[0] == 't');
		break;
	case VOCAB_COUNT:
		return read_count(r, n, k);
	case VOCAB_CODE:
		return read_code(r, n, k);
	case VOCAB_RANGE:
		return read_range(r, n, k);
	case VOCAB_DURATION:
		return read_duration(r, n, k);
	case VOCAB_SHIFT:
		return read_shift(r, n, k);
	case VOCAB_RATIO:
		return read_ratio(r, n, k);
	case VOCAB_SHARE:
		return read_share(r, n, k);
	case VOCAB_RATE:
		return read_rate(r, n, k);
	case VOCAB_BITS:
		return read_bits(r, n, k);
	case VOCAB_SEED:
		return read_seed(r, n, k);
	case VOCAB_TIME:
		if (read_time_of_day(n->text) >= 0)
			return json_integer(read_time_of_day(n->text));
		break;
	case VOCAB_DATE:
		return read_date(r, n, k);
	case VOCAB_STATE: {
		const char *state = read_state(r, n);

		return state ? json_string(state) : NULL;
	}
	case VOCAB_EVENT:
		return read_event(r, n, k);
	case VOCAB_WHO:
		return read_who(r, n);
	default:
		break;
	}
	read_wrong(r, n, k);
	return NULL;
}

json_t *read_value(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	json_t *out;

	switch (k->type) {
	case VOCAB_WORDS:
		return read_words(r, n, k);
	case VOCAB_SETTINGS:
		return read_settings(r, n, k);
	case VOCAB_NUMBERS:
		return read_numbers(r, n, k);
	case VOCAB_MAP:
		out = json_object();
		if (read_map(r, n, k->arg, out))
			return out;
		json_decref(out);
		return NULL;
	default:
		break;
	}
	if (n->kind != YAML_KIND_SCALAR || (!n->text[0] && !n->quoted)) {
		read_wrong(r, n, k);
		return NULL;
	}
	if (!n->text[0]) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is empty", k->key);
		return NULL;
	}
	return read_scalar(r, n, k);
}

json_t *read_key(struct reader *r, const struct yaml_node *n, const char *place, const char *key)
{
	struct vocab_key named = *vocab_find(place, key);

	named.key = key; /* where the row's is "*" */
	return read_value(r, n, &named);
}

void read_unknown_key(struct reader *r, const struct yaml_node *key, const char *place, const char *place2)
{
	struct vocab_near near;
	char hint[512] = "";
	size_t used = 0;

	vocab_near_init(&near, key->text);
	for (size_t i = 0; i < vocab_keys_n; i++)
		if (vocab_at(&vocab_keys[i], place) || (place2 && vocab_at(&vocab_keys[i], place2)))
			vocab_near_offer(&near, vocab_keys[i].key);
	vocab_near_text(&near, hint, sizeof(hint));
	if (!*hint) {
		used = (size_t)snprintf(hint, sizeof(hint), "keys here:");
		for (size_t i = 0; i < vocab_keys_n && used < sizeof(hint); i++)
			if ((vocab_at(&vocab_keys[i], place) || (place2 && vocab_at(&vocab_keys[i], place2))) &&
			    vocab_keys[i].type != VOCAB_LATER)
				used += (size_t)snprintf(hint + used, sizeof(hint) - used, " %s", vocab_keys[i].key);
	}
	diag_error(r->ds, r->src, key->at, hint, "unknown key '%.60s'", key->text);
}

/* How a mapping of `place` is written; NULL where no row shows it. */
static const char *map_example(const char *place)
{
	const char *dot = strrchr(place, '.'), *key = dot ? dot + 1 : place;
	size_t len = strlen(key);

	for (size_t i = 0; i < vocab_keys_n; i++) {
		const char *example = vocab_keys[i].example;

		if (example && strcmp(vocab_keys[i].key, key) == 0 && strncmp(example, key, len) == 0 &&
		    strncmp(example + len, ": {", 3) == 0)
			return example;
	}
	return NULL;
}

static void find_missing(struct reader *r, const struct yaml_node *n, const char *place)
{
	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];

		if (k->required && vocab_at(k, place) && !yaml_get(n, k->key))
			diag_error(r->ds, r->src, n->at, NULL, "'%s' is missing", k->key);
	}
}

bool read_maps(struct reader *r, const struct yaml_node *n, const char *place, json_t *out, const char *place2,
	       json_t *out2)
{
	char what[SHOWN], hint[160] = "";

	if (n->kind != YAML_KIND_MAP) {
		if (map_example(place))
			snprintf(hint, sizeof(hint), "as in %s", map_example(place));
		diag_error(r->ds, r->src, n->at, hint, "a mapping is wanted here, not %s",
			   yaml_describe(n, what, sizeof(what)));
		return false;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next) {
		const struct vocab_key *k = vocab_find(place, i->key->text);
		bool second = !k && place2;
		json_t *v;

		if (second)
			k = vocab_find(place2, i->key->text);
		if (!k) {
			read_unknown_key(r, i->key, place, place2);
		} else if (k->type == VOCAB_LATER) {
			diag_error(r->ds, r->src, i->key->at, NULL, "'%s' is not supported yet", i->key->text);
		} else if (k->plan) {
			v = read_value(r, i->value, k);
			if (v)
				read_put(r, second ? out2 : out, k->plan, v);
		}
	}
	find_missing(r, n, place);
	if (place2)
		find_missing(r, n, place2);
	return true;
}

bool read_map(struct reader *r, const struct yaml_node *n, const char *place, json_t *out)
{
	return read_maps(r, n, place, out, NULL, NULL);
}
