#include "hil/judge/signature.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define ID_LEN_MIN 6 /* hex digits in a row that are an id and no word */

/* Three digits are a reply code, unless they count something or are a time. */
static bool is_reply_code(const char *before, size_t n, const char *digits)
{
	static const char *const units[] = {" ms", " s", " min", " h", " times", " devices"};

	if (isalnum((unsigned char)digits[3]) || digits[3] == '.' || (n >= 2 && strncmp(before + n - 2, "= ", 2) == 0))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strncmp(digits + 3, units[i], strlen(units[i])) == 0 && !isalnum((unsigned char)digits[3 + strlen(units[i])]))
			return false;
	return true;
}

/* Appends `text` with what belongs to one run only taken out: ids become '~', labels
 * A[3] become A, numbers that are no reply code '#'. */
static void add_plain(char *out, size_t size, const char *text)
{
	size_t n = strlen(out);

	while (text && *text && n + 1 < size) {
		size_t hex = strspn(text, "0123456789abcdef-"), digits = strspn(text, "0123456789");
		bool begins = n == 0 || !isalnum((unsigned char)out[n - 1]);

		if (*text == '[' && strspn(text + 1, "0123456789") &&
		    text[1 + strspn(text + 1, "0123456789")] == ']') {
			text += strspn(text + 1, "0123456789") + 2;
		} else if (begins && digits != hex && hex >= ID_LEN_MIN &&
			   !isalnum((unsigned char)text[hex]) && strcspn(text, "0123456789") < hex) {
			out[n++] = '~';
			text += hex;
		} else if (begins && digits && !(digits == 3 && is_reply_code(out, n, text))) {
			out[n++] = '#';
			text += digits;
			while (*text == '.' && isdigit((unsigned char)text[1]))
				text += 1 + strspn(text + 1, "0123456789");
		} else {
			out[n++] = *text++;
		}
		out[n] = '\0';
	}
}

/* A text that was cut ends behind a whole character of UTF-8 (RFC 3629 §3), else no JSON
 * and no scenario file could hold it. */
static void end_whole(char *text)
{
	size_t n = strlen(text), lead = n, want;

	while (lead && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (!lead || !((unsigned char)text[lead - 1] & 0x80))
		return;
	want = (unsigned char)text[lead - 1] >= 0xf0 ? 4 : (unsigned char)text[lead - 1] >= 0xe0 ? 3 : 2;
	if (n - (lead - 1) < want)
		text[lead - 1] = '\0';
}

static void finish(struct signature *s)
{
	uint8_t digest[HASH_SIZE];

	end_whole(s->text);
	hash_sha256(s->text, strlen(s->text), digest);
	hash_hex(digest, (SIGNATURE_ID_SIZE - 1) / 2, s->id);
}

static void of_cause(const struct check_result *c, const struct cause *why, struct signature *out)
{
	memset(out, 0, sizeof(*out));
	out->invariant = c->kind == CHECK_INVARIANT;
	snprintf(out->text, sizeof(out->text), "%s: ", c->name ? c->name : check_kind_name(c->kind));
	add_plain(out->text, sizeof(out->text), why->got);
	if (why->blame != BLAME_NONE)
		snprintf(out->text + strlen(out->text), sizeof(out->text) - strlen(out->text), " · %s",
			 blame_name(why->blame));
	if (why->why) {
		snprintf(out->text + strlen(out->text), sizeof(out->text) - strlen(out->text), ": ");
		add_plain(out->text, sizeof(out->text), why->why);
	}
	finish(out);
}

static unsigned weight(enum check_kind k)
{
	switch (k) {
	case CHECK_INVARIANT:
		return 4;
	case CHECK_EXPECTATION:
		return 3;
	case CHECK_THRESHOLD:
		return 2;
	default:
		return 1;
	}
}

void signature_plain(const char *text, char out[SIGNATURE_TEXT_MAX])
{
	out[0] = '\0';
	add_plain(out, SIGNATURE_TEXT_MAX, text);
	end_whole(out);
}

void signature_of(const struct scenario_result *s, struct signature *out)
{
	const struct check_result *best = NULL;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < s->checks_n; i++) {
		const struct check_result *c = &s->checks[i];

		if (c->status == CHECK_FAILED && c->causes_n &&
		    (!best || weight(c->kind) > weight(best->kind)))
			best = c;
	}
	if (best) {
		of_cause(best, &best->causes[0], out);
	} else if (s->verdict == VERDICT_FAIL || s->verdict == VERDICT_INCONCLUSIVE) {
		snprintf(out->text, sizeof(out->text), "%s: ", verdict_name(s->verdict));
		add_plain(out->text, sizeof(out->text), s->reason);
		finish(out);
	}
}

void signature_xfail(const struct signature *s, char *out, size_t size)
{
	int name = s->invariant ? (int)strcspn(s->text, ":") : 0;

	snprintf(out, size, "xfail: {reason: \"…\", until: YYYY-MM-DD%s%.*s%s}", name ? ", invariants: [" : "", name, s->text,
		 name ? "]" : "");
}

bool signature_in(const struct scenario_result *s, const char *id)
{
	struct signature one;

	for (size_t i = 0; i < s->checks_n; i++)
		for (unsigned k = 0; s->checks[i].status == CHECK_FAILED && k < s->checks[i].causes_n; k++) {
			of_cause(&s->checks[i], &s->checks[i].causes[k], &one);
			if (strcmp(one.id, id) == 0)
				return true;
		}
	signature_of(s, &one);
	return strcmp(one.id, id) == 0;
}

/* ---- sets ---- */

static void of_member(const struct check_result *c, unsigned cause, struct signature *out)
{
	if (c->kind != CHECK_STEP) {
		of_cause(c, &c->causes[cause], out);
		return;
	}
	memset(out, 0, sizeof(*out));
	snprintf(out->text, sizeof(out->text), "%s", c->name ? c->name : check_kind_name(c->kind));
	finish(out);
}

static bool knows(const struct signature_set *set, const char *id)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->ids[i], id) == 0)
			return true;
	return false;
}

static int add_id(struct signature_set *set, const char *id)
{
	if (knows(set, id))
		return 0;
	if (set->n == set->cap) {
		size_t cap = set->cap ? 2 * set->cap : 8;
		char(*more)[SIGNATURE_ID_SIZE] = realloc(set->ids, cap * sizeof(*more));

		if (!more)
			return ERR_NOMEM;
		set->ids = more;
		set->cap = cap;
	}
	memcpy(set->ids[set->n++], id, SIGNATURE_ID_SIZE);
	return 0;
}

int signature_set_add(struct signature_set *set, const struct scenario_result *s)
{
	struct signature one;
	int rv = 0;

	for (size_t i = 0; i < s->checks_n; i++)
		for (unsigned k = 0; !rv && s->checks[i].status == CHECK_FAILED && k < s->checks[i].causes_n; k++) {
			of_member(&s->checks[i], k, &one);
			rv = add_id(set, one.id);
		}
	return rv;
}

void signature_set_fini(struct signature_set *set)
{
	free(set->ids);
	*set = (struct signature_set){0};
}

void signature_beyond(const struct scenario_result *s, const struct signature_set *set, struct signature *out)
{
	struct signature one;
	unsigned most = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < s->checks_n; i++) {
		const struct check_result *c = &s->checks[i];

		for (unsigned k = 0; c->status == CHECK_FAILED && weight(c->kind) > most && k < c->causes_n; k++) {
			of_member(c, k, &one);
			if (knows(set, one.id))
				continue;
			of_cause(c, &c->causes[k], out);
			most = weight(c->kind);
			break;
		}
	}
}
