/* The reference part of docs/scenarios.md: the vocabulary as Markdown. */
#include <inttypes.h>
#include <string.h>

#include "core/rows.h"
#include "core/settings.h"
#include "hil/language/vocab.h"

/* A text inside a table's cell. */
static void cell(const char *text, FILE *out)
{
	for (; text && *text; text++) {
		if (*text == '|')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void code(const char *text, FILE *out)
{
	fputc('`', out);
	cell(text, out);
	fputc('`', out);
}

/* Space-separated words, each as code. */
static void codes(const char *words, FILE *out)
{
	char one[64];

	for (bool first = true; words && *words; first = false) {
		size_t len = strcspn(words, " ");

		snprintf(one, sizeof(one), "%.*s", (int)len, words);
		if (!first)
			fputs(", ", out);
		code(one, out);
		words += len + strspn(words + len, " ");
	}
}

static void value(const struct vocab_key *k, FILE *out)
{
	switch (k->type) {
	case VOCAB_WORD:
	case VOCAB_WORDS:
		fputs(vocab_type_text(k->type), out);
		if (k->arg) {
			fputs(" of: ", out);
			codes(k->arg, out);
		}
		return;
	case VOCAB_COUNT:
		if (k->min == k->max)
			fprintf(out, "%" PRId64, k->min);
		else
			fprintf(out, "%s, %" PRId64 " to %" PRId64, vocab_type_text(k->type), k->min, k->max);
		return;
	case VOCAB_MAP:
		fputs("a mapping: ", out);
		code(k->arg, out);
		return;
	default:
		cell(vocab_type_text(k->type), out);
	}
}

static bool any_key(const char *place)
{
	for (size_t i = 0; i < vocab_keys_n; i++)
		if (vocab_at(&vocab_keys[i], place))
			return true;
	return false;
}

static void keys_table(const char *place, FILE *out)
{
	fputs("| key | value | | example |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];

		if (!vocab_at(k, place))
			continue;
		fputs("| ", out);
		code(k->key, out);
		fputs(" | ", out);
		value(k, out);
		fputs(" | ", out);
		cell(k->doc, out);
		fputs(k->required ? " Needed. | " : " | ", out);
		if (k->example)
			code(k->example, out);
		fputs(" |\n", out);
	}
	fputc('\n', out);
}

static void places(FILE *out)
{
	for (size_t p = 0; p < vocab_places_n; p++) {
		const struct vocab_place *place = &vocab_places[p];

		if (!any_key(place->name) || strncmp(place->name, "do.", 3) == 0)
			continue;
		fprintf(out, "### %s\n\n", place->title);
		if (place->doc[0])
			fprintf(out, "%s\n\n", place->doc);
		keys_table(place->name, out);
	}
}

/* An action's arguments, each with what it takes. */
static void arguments(const struct vocab_action *a, FILE *out)
{
	char place[64];
	bool first = true;

	snprintf(place, sizeof(place), "do.%s", a->name);
	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];

		if (!vocab_at(k, place))
			continue;
		if (!first)
			fputs("; ", out);
		first = false;
		code(k->key, out);
		fputs(k->required ? " (needed), " : ", ", out);
		value(k, out);
		fputs(": ", out);
		cell(k->doc, out);
	}
}

static void actions(FILE *out)
{
	static const struct {
		unsigned actor;
		const char *title;
	} actors[] = {
		{VOCAB_CARRIER, "SMS"},	    {VOCAB_MODEM, "modem"},	  {VOCAB_SERVER, "server"},	  {VOCAB_DEVICE, "device"},
		{VOCAB_SERVER | VOCAB_DEVICE, "server or device"},
		{VOCAB_NETWORK, "network"}, {VOCAB_OPERATOR, "operator"},
	};

	fputs("### Actions: `do` of a fault\n\n", out);
	fputs("\"At\" says when an action may be asked for: at an event (`on`), timed (`at`, `every`, `then`) or both.\n\n", out);
	fputs("| `do` | by | at | | arguments |\n|---|---|---|---|---|\n", out);
	for (size_t k = 0; k < sizeof(actors) / sizeof(actors[0]); k++)
		for (size_t i = 0; i < vocab_actions_n; i++) {
			const struct vocab_action *a = &vocab_actions[i];
			bool on = a->when & VOCAB_ON, timed = a->when & VOCAB_TIMED;

			if (a->actor != actors[k].actor)
				continue;
			fprintf(out, "| `%s` | %s | %s | %s | ", a->name, actors[k].title,
				on && timed ? "both" : on ? "an event" : "a time", a->doc);
			arguments(a, out);
			fputs(" |\n", out);
		}
	fputc('\n', out);
}

static void settings_table(FILE *out)
{
	struct settings initial;
	char text[64];

	settings_default(&initial);
	fputs("### Settings\n\n| setting | of | default | |\n|---|---|---|---|\n", out);
	for (int k = 0; k < SETTING_COUNT; k++)
		fprintf(out, "| `%s` | %s | %s | %s |\n", setting_name((enum setting)k),
			setting_side((enum setting)k) == SETTING_SIDE_SERVER ? "server" : "device",
			setting_format((enum setting)k, initial.v[k], text, sizeof(text)), setting_doc((enum setting)k));
	fputc('\n', out);
}

void vocab_reference(FILE *out)
{
	places(out);
	actions(out);
	fputs("### States\n\n| | |\n|---|---|\n", out);
	for (int s = 0; s < STATE_COUNT; s++)
		fprintf(out, "| `%s` | `%s` |\n", state_full((enum state_name)s), state_brief((enum state_name)s));
	fputc('\n', out);
	settings_table(out);
	fputs("### Events\n\nThe events of the journal and their fields: [the journal](journal.md).\n", out);
}
