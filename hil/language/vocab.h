/* The one vocabulary of scenario and rig files. The reader (read.h), `quicrig list
 * --vocabulary`, the JSON Schema and the reference are made from these tables. */
#ifndef HIL_LANGUAGE_VOCAB_H
#define HIL_LANGUAGE_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/journal.h"

enum vocab_type {
	VOCAB_TEXT,     /* any text but an empty one */
	VOCAB_NAME,     /* letters, digits, '-', '_', '.', at most 64 */
	VOCAB_WORD,     /* one of `arg` */
	VOCAB_WORDS,    /* a word or a list of words, of `arg` where it is given */
	VOCAB_BOOL,     /* true, false */
	VOCAB_COUNT,    /* whole number, min…max */
	VOCAB_RANGE,    /* 3, ">= 1", "1..3" → {"min", "max"} */
	VOCAB_DURATION, /* with a unit → ns */
	VOCAB_SHIFT,    /* +1h, -90s → ms, not 0 */
	VOCAB_RATIO,    /* with '%' → 0…1 */
	VOCAB_SHARE,    /* ">= 98%" or 98% → 0…1 */
	VOCAB_RATE,     /* 100/s → per second */
	VOCAB_BITS,     /* 10Mbit/s → bits a second */
	VOCAB_NUMBERS,  /* 3, "2..7" or a list of them → list of numbers, 1…64 */
	VOCAB_SEED,     /* decimal or 0x… */
	VOCAB_DATE,     /* YYYY-MM-DD */
	VOCAB_TIME,     /* of day, HH:MM or HH:MM:SS → ns since midnight */
	VOCAB_STATE,    /* of a device */
	VOCAB_EVENT,    /* kind of the journal */
	VOCAB_WHO,      /* who.h */
	VOCAB_CODE,     /* of a reply, 100…999; 0 where min is 0 */
	VOCAB_MAP,      /* a mapping of the place `arg` */
	VOCAB_SETTINGS, /* {name: value} of core/settings.h */
	VOCAB_OTHER,    /* a grammar of its own: the doc tells, the reader's code takes it */
	VOCAB_LATER,    /* known, not supported yet */
	VOCAB_TYPES
};

struct vocab_key {
	const char *places; /* space-separated: where the key may stand */
	const char *key;    /* "*": any word, as the doc says */
	enum vocab_type type;
	const char *arg;    /* allowed words, or the place of a map */
	int64_t min, max;   /* of a count; of a duration and ratio where not 0, 0 */
	bool required;
	const char *plan;   /* member of the plan; NULL: the reader's code takes it */
	const char *doc, *example;
};

struct vocab_place {
	const char *name, *title, *doc;
};

/* Who performs an action; a fault is armed where its event is written. Several: whoever
 * writes the event, or `who` says. */
enum {
	VOCAB_CARRIER = 1 << 0, /* carrier and pool */
	VOCAB_SERVER = 1 << 1,
	VOCAB_DEVICE = 1 << 2,
	VOCAB_OPERATOR = 1 << 3,
	VOCAB_MODEM = 1 << 5, /* one modem, `who` says which: at an event of it, or timed */
	VOCAB_NETWORK = 1 << 4, /* a device's link: behind an event of that device, or timed */
};
/* When an action may be asked for. */
enum {
	VOCAB_ON = 1 << 0,    /* at an event of its own actor */
	VOCAB_TIMED = 1 << 1, /* at, every, then */
	VOCAB_REPLY = 1 << 2, /* on server.reply, server.decision, command.sent only */
	VOCAB_WAITS = 1 << 3, /* leaves a device without its SMS for code_wait */
	VOCAB_SENDER = 1 << 4, /* the sender modem's: on sms.submitted only */
	VOCAB_POINT = 1 << 5, /* at a point of its own (its argument `at`), with or without `on` */
	VOCAB_PROMPT = 1 << 6, /* at its prompt: on modem.state `sending` only */
	VOCAB_RECEIVER = 1 << 7, /* the receiver modem's: on modem.state `received` only */
};
/* `do:` of a fault; its arguments are the keys of the place "do.<name>". */
struct vocab_action {
	const char *name;
	unsigned actor, when;
	const char *doc;
};

extern const struct vocab_key vocab_keys[];
extern const size_t vocab_keys_n;
extern const struct vocab_place vocab_places[];
extern const size_t vocab_places_n;
extern const struct vocab_action vocab_actions[];
extern const size_t vocab_actions_n;

#define VOCAB_GROUPS_MAX  32
#define VOCAB_DEVICES_MAX 1000000
#define VOCAB_MODEMS_MAX  64

/* The row of `key` at `place`; NULL where it may not stand there. */
const struct vocab_key *vocab_find(const char *place, const char *key);
const struct vocab_action *vocab_action(const char *name);
bool vocab_at(const struct vocab_key *k, const char *place);
/* Is `word` one of the space-separated `words`? */
bool vocab_has(const char *words, const char *word);
const char *vocab_type_text(enum vocab_type t); /* "a duration with its unit, as 30s or 500ms" */
/* VOCAB_CARRIER, VOCAB_SERVER, VOCAB_DEVICE: where a fault on this event is armed; 0: nowhere. */
unsigned vocab_event_actor(enum journal_kind kind);

/* "did you mean": the nearest word offered so far. */
struct vocab_near {
	const char *typed;
	const char *best;
	unsigned distance;
};
void vocab_near_init(struct vocab_near *n, const char *typed);
void vocab_near_offer(struct vocab_near *n, const char *word);
void vocab_near_words(struct vocab_near *n, const char *words, char *store, size_t size);
/* "did you mean 'devices'?" into `out`, or "" where nothing is near enough. */
const char *vocab_near_text(const struct vocab_near *n, char *out, size_t size);

/* `quicrig list --vocabulary`. */
void vocab_print(FILE *out);
/* `quicrig list --vocabulary WORD`: everything of this name, a place, key, action, setting, event or
 * state; false where there is none. */
bool vocab_print_word(const char *word, FILE *out);
/* Offers every word of the language. */
void vocab_near_any(struct vocab_near *near);
/* The reference part of docs/scenarios.md, as Markdown. */
void vocab_reference(FILE *out);
/* The JSON Schema (2020-12) of scenario files; 0 or ERR_*. */
int vocab_schema(FILE *out);

#endif
