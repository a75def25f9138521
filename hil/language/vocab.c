#include "hil/language/vocab.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "core/rows.h"
#include "core/settings.h"

#define NEAR_LENGTH 40 /* longer words are no slips of the finger */

static const char *const type_texts[VOCAB_TYPES] = {
	[VOCAB_TEXT] = "a text",
	[VOCAB_NAME] = "a name of letters, digits, '-', '_' and '.', at most 64",
	[VOCAB_WORD] = "a word",
	[VOCAB_WORDS] = "a word or a list of words",
	[VOCAB_BOOL] = "true or false",
	[VOCAB_COUNT] = "a whole number",
	[VOCAB_RANGE] = "a count, as 3, \">= 1\" or \"1..3\"",
	[VOCAB_DURATION] = "a duration with its unit, as 30s or 500ms",
	[VOCAB_SHIFT] = "a way forward or back with its unit, as +1h or -90s",
	[VOCAB_RATIO] = "a share with its unit, as 2%",
	[VOCAB_SHARE] = "a share at least, as \">= 98%\"",
	[VOCAB_RATE] = "a rate with its unit, as 100/s",
	[VOCAB_BITS] = "a bit rate with its unit, as 10Mbit/s",
	[VOCAB_NUMBERS] = "numbers from 1 to 64, as 3, \"2..7\" or [1, 3]",
	[VOCAB_SEED] = "a seed, as 0x5eed",
	[VOCAB_DATE] = "a day, as 2027-01-31",
	[VOCAB_TIME] = "a time of day, as \"02:00\"",
	[VOCAB_STATE] = "a device state, as PROVISIONED",
	[VOCAB_EVENT] = "an event of the journal, as sms.submitted",
	[VOCAB_WHO] = "somebody, as A, \"A[3]\", A:10%, others or all",
	[VOCAB_CODE] = "a reply code, as 403",
	[VOCAB_MAP] = "a mapping",
	[VOCAB_SETTINGS] = "settings by name",
	[VOCAB_OTHER] = "",
	[VOCAB_LATER] = "not supported yet",
};

const char *vocab_type_text(enum vocab_type t)
{
	return type_texts[t];
}

bool vocab_has(const char *words, const char *word)
{
	size_t len = strlen(word);

	if (!len || strchr(word, ' '))
		return false;
	for (const char *p = words; (p = strstr(p, word)); p += len)
		if ((p == words || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

bool vocab_at(const struct vocab_key *k, const char *place)
{
	return vocab_has(k->places, place);
}

const struct vocab_key *vocab_find(const char *place, const char *key)
{
	const struct vocab_key *any = NULL;

	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];

		if (!vocab_at(k, place))
			continue;
		if (strcmp(k->key, key) == 0)
			return k;
		if (strcmp(k->key, "*") == 0)
			any = k;
	}
	return any;
}

const struct vocab_action *vocab_action(const char *name)
{
	for (size_t i = 0; name && i < vocab_actions_n; i++)
		if (strcmp(vocab_actions[i].name, name) == 0)
			return &vocab_actions[i];
	return NULL;
}

unsigned vocab_event_actor(enum journal_kind kind)
{
	static const struct {
		const char *prefix;
		unsigned actor;
	} actors[] = {
		{"device.added", 0},        {"device.chosen", 0},       {"device.", VOCAB_DEVICE},  {"tokens.", VOCAB_DEVICE},
		{"handshake.", VOCAB_DEVICE}, {"conn.path", VOCAB_SERVER}, {"conn.", VOCAB_DEVICE},
		{"server.", VOCAB_SERVER},
		{"key.", VOCAB_SERVER}, {"code.", VOCAB_SERVER},    {"token.", VOCAB_SERVER},   {"command.", VOCAB_SERVER},
		{"operator", VOCAB_SERVER}, {"sms.queued", VOCAB_SERVER}, {"sms.", VOCAB_CARRIER},
	};
	const char *name = journal_kind_name(kind);

	for (size_t i = 0; i < sizeof(actors) / sizeof(actors[0]); i++)
		if (strncmp(name, actors[i].prefix, strlen(actors[i].prefix)) == 0)
			return actors[i].actor;
	return 0;
}

/* ---- did you mean ---- */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
static unsigned distance(const char *a, const char *b)
{
	unsigned d[NEAR_LENGTH + 1][NEAR_LENGTH + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > NEAR_LENGTH || m > NEAR_LENGTH)
		return NEAR_LENGTH;
	for (size_t i = 0; i <= n; i++)
		d[i][0] = (unsigned)i;
	for (size_t j = 0; j <= m; j++)
		d[0][j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++)
		for (size_t j = 1; j <= m; j++) {
			int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);

			d[i][j] = least(least(d[i - 1][j] + 1, d[i][j - 1] + 1), d[i - 1][j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) &&
			    y == tolower((unsigned char)a[i - 2]))
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[n][m];
}

void vocab_near_init(struct vocab_near *n, const char *typed)
{
	size_t len = strlen(typed);

	n->typed = typed;
	n->best = NULL;
	/* one slip in three letters, four at most */
	n->distance = len < 2 ? 1 : len < 3 ? 2 : least((unsigned)len / 3, 4) + 1;
}

void vocab_near_offer(struct vocab_near *n, const char *word)
{
	unsigned d = distance(n->typed, word);

	if (d < n->distance && (d == 0 || strlen(word) > d)) {
		n->best = word;
		n->distance = d;
	}
}

/* `store` keeps the best of `words`, which are not NUL-terminated each. */
void vocab_near_words(struct vocab_near *n, const char *words, char *store, size_t size)
{
	while (*words) {
		size_t len = strcspn(words, " ");
		char one[64];

		if (len && len < sizeof(one) && len < size) {
			const char *before = n->best;

			memcpy(one, words, len);
			one[len] = '\0';
			vocab_near_offer(n, one);
			if (n->best != before) {
				memcpy(store, one, len + 1);
				n->best = store;
			}
		}
		words += len;
		words += strspn(words, " ");
	}
}

const char *vocab_near_text(const struct vocab_near *n, char *out, size_t size)
{
	if (n->best)
		snprintf(out, size, "did you mean '%s'?", n->best);
	else
		snprintf(out, size, "%s", "");
	return out;
}

/* ---- list --vocabulary ---- */

static void print_key(const struct vocab_key *k, FILE *out)
{
	fprintf(out, "  %-16s %s", k->key, k->doc);
	if (k->required)
		fputs(" Needed.", out);
	fputc('\n', out);
	if (k->type == VOCAB_WORD || k->type == VOCAB_WORDS) {
		fprintf(out, "  %-16s   %s", "", type_texts[k->type]);
		fprintf(out, "%s%s\n", k->arg ? " of: " : "", k->arg ? k->arg : "");
	} else if (k->type == VOCAB_COUNT) {
		fprintf(out, "  %-16s   %s, %" PRId64 " to %" PRId64 "\n", "", type_texts[k->type], k->min, k->max);
	} else if (k->type == VOCAB_MAP) {
		fprintf(out, "  %-16s   a mapping: see %s\n", "", k->arg);
	} else if (type_texts[k->type][0]) {
		fprintf(out, "  %-16s   %s\n", "", type_texts[k->type]);
	}
	if (k->example)
		fprintf(out, "  %-16s   %s\n", "", k->example);
}

static void print_actions(FILE *out)
{
	static const struct {
		unsigned actor;
		const char *title;
	} actors[] = {
		{VOCAB_CARRIER, "SMS, on sms.submitted, sms.delivered, …"},
		{VOCAB_MODEM, "modem: `who` is s1, r1, …"},
		{VOCAB_SERVER, "server"},
		{VOCAB_SERVER | VOCAB_DEVICE, "server or device: who writes the event, or as `who` says"},
		{VOCAB_DEVICE, "device"},
		{VOCAB_NETWORK, "network: the link of each of `who`"},
		{VOCAB_OPERATOR, "operator"},
	};

	fputs("Actions: `do:` of a fault\n", out);
	for (size_t a = 0; a < sizeof(actors) / sizeof(actors[0]); a++) {
		fprintf(out, " %s\n", actors[a].title);
		for (size_t i = 0; i < vocab_actions_n; i++)
			if (vocab_actions[i].actor == actors[a].actor)
				fprintf(out, "  %-16s %s\n", vocab_actions[i].name, vocab_actions[i].doc);
	}
	fputc('\n', out);
}

/* Is this the place that `word` names? "seen" is expect.seen. */
static bool is_called(const struct vocab_place *place, const char *word)
{
	const char *dot = strrchr(place->name, '.');

	return strcmp(place->title, word) == 0 || strcmp(place->name, word) == 0 || (dot && strcmp(dot + 1, word) == 0);
}

/* `doc` stands below the title. */
static void print_place(const struct vocab_place *place, const char *doc, FILE *out)
{
	fprintf(out, "%s\n", place->title);
	if (doc[0])
		fprintf(out, "  %s\n", doc);
	for (size_t i = 0; i < vocab_keys_n; i++)
		if (vocab_at(&vocab_keys[i], place->name))
			print_key(&vocab_keys[i], out);
	fputc('\n', out);
}

static void print_setting(enum setting k, const struct settings *initial, FILE *out)
{
	char value[64];

	fprintf(out, "  %-28s %-8s %s\n", setting_name(k), setting_format(k, initial->v[k], value, sizeof(value)),
		setting_doc(k));
}

static void print_event(enum journal_kind k, FILE *out)
{
	fprintf(out, "  %-18s %s\n", journal_kind_name(k), journal_kind_fields(k));
}

/* A key stands in several places: each names the ones that share its row. */
static bool print_keys_called(const char *word, FILE *out)
{
	bool any = false;

	if (strcmp(word, "*") == 0) /* any word: no name */
		return false;
	for (size_t p = 0; p < vocab_places_n; p++) {
		const struct vocab_key *k = vocab_find(vocab_places[p].name, word);

		if (!k || strcmp(k->key, word) != 0 || is_called(&vocab_places[p], word))
			continue;
		fprintf(out, "%s\n", vocab_places[p].title);
		print_key(k, out);
		fputc('\n', out);
		any = true;
	}
	return any;
}

bool vocab_print_word(const char *word, FILE *out)
{
	const struct vocab_action *action = vocab_action(word);
	int event = journal_kind_by_name(word), setting;
	struct settings initial;
	bool any = false;

	settings_default(&initial);
	for (size_t p = 0; p < vocab_places_n; p++) {
		bool arguments = strncmp(vocab_places[p].name, "do.", 3) == 0;

		if (!is_called(&vocab_places[p], word))
			continue;
		print_place(&vocab_places[p], arguments && action ? action->doc : vocab_places[p].doc, out);
		any = true;
		if (arguments)
			action = NULL;
	}
	if (action) { /* it takes no arguments */
		fprintf(out, "do: %s\n  %s\n\n", action->name, action->doc);
		any = true;
	}
	any = print_keys_called(word, out) || any;
	setting = setting_by_name(word);
	if (setting >= 0) {
		fputs("A setting, with its default\n", out);
		print_setting((enum setting)setting, &initial, out);
	}
	if (event >= 0) {
		fputs("An event of the journal and its fields\n", out);
		print_event((enum journal_kind)event, out);
	}
	if (state_by_name(word) >= 0)
		fprintf(out, "A state of devices: %s (docs/device.md)\n", state_full((enum state_name)state_by_name(word)));
	return any || setting >= 0 || event >= 0 || state_by_name(word) >= 0;
}

void vocab_near_any(struct vocab_near *near)
{
	for (size_t i = 0; i < vocab_places_n; i++)
		vocab_near_offer(near, vocab_places[i].title);
	for (size_t i = 0; i < vocab_keys_n; i++)
		vocab_near_offer(near, vocab_keys[i].key);
	for (size_t i = 0; i < vocab_actions_n; i++)
		vocab_near_offer(near, vocab_actions[i].name);
	for (int k = 0; k < SETTING_COUNT; k++)
		vocab_near_offer(near, setting_name((enum setting)k));
	for (int k = 0; k < J_END; k++)
		vocab_near_offer(near, journal_kind_name((enum journal_kind)k));
	for (int s = 0; s < STATE_COUNT; s++)
		vocab_near_offer(near, state_full((enum state_name)s));
}

void vocab_print(FILE *out)
{
	struct settings initial;

	for (size_t p = 0; p < vocab_places_n; p++)
		print_place(&vocab_places[p], vocab_places[p].doc, out);
	print_actions(out);
	fputs("States\n ", out);
	for (int s = 0; s < STATE_COUNT; s++)
		fprintf(out, " %s", state_full((enum state_name)s));
	fputs("\n\nSettings, with their defaults\n", out);
	settings_default(&initial);
	for (int k = 0; k < SETTING_COUNT; k++)
		print_setting((enum setting)k, &initial, out);
	fputs("\nEvents of the journal and their fields\n", out);
	for (int k = 0; k < J_END; k++)
		print_event((enum journal_kind)k, out);
}
