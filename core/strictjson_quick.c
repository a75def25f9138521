/* The usual message read without jansson's parser, which takes a callback and a copy a
 * byte: ASCII without escapes, whole numbers that cannot overflow. */
#include "core/strictjson_quick.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 18 /* no whole number of so many digits overflows */
#define REAL_MAX   40
#define DEPTH_MAX  32 /* of our own calls on the stack */

struct reader {
	const char *p, *end;
	unsigned depth; /* that may still be opened */
};

static json_t *read_value(struct reader *r);

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
}

/* A token of one character, with the blanks before it. */
static bool take(struct reader *r, char c)
{
	skip_blanks(r);
	return r->p < r->end && *r->p == c ? r->p++ : false;
}

/* "…"; its text stays where it is. Where it is none of ours, so does `p`. */
static bool take_text(struct reader *r, const char **text, size_t *len)
{
	const char *p;

	skip_blanks(r);
	p = r->p;
	if (p == r->end || *p++ != '"')
		return false;
	*text = p;
	while (p < r->end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
		p++;
	if (p == r->end || *p != '"')
		return false;
	*len = (size_t)(p - *text);
	r->p = p + 1;
	return true;
}

static json_t *read_members(struct reader *r)
{
	json_t *object = json_object();
	const char *key;
	size_t len;

	if (!object || take(r, '}'))
		return object;
	do {
		if (!take_text(r, &key, &len) || !take(r, ':') || json_object_getn(object, key, len) ||
		    json_object_setn_new_nocheck(object, key, len, read_value(r)))
			goto other;
	} while (take(r, ','));
	if (take(r, '}'))
		return object;
other:
	json_decref(object);
	return NULL;
}

static json_t *read_items(struct reader *r)
{
	json_t *array = json_array();

	if (!array || take(r, ']'))
		return array;
	do {
		if (json_array_append_new(array, read_value(r)))
			goto other;
	} while (take(r, ','));
	if (take(r, ']'))
		return array;
other:
	json_decref(array);
	return NULL;
}

static json_t *read_real(const char *text, size_t len)
{
	char copy[REAL_MAX + 1], *end;
	double value;

	if (len > REAL_MAX)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	value = strtod(copy, &end);
	/* what it stops at is another locale's point; what is too large, jansson refuses */
	return *end || !isfinite(value) ? NULL : json_real(value);
}

static size_t digits(struct reader *r)
{
	const char *first = r->p;

	while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
		r->p++;
	return (size_t)(r->p - first);
}

static bool here(struct reader *r, const char *set)
{
	return r->p < r->end && *r->p && strchr(set, *r->p) ? r->p++ : false;
}

/* RFC 8259 §6 */
static json_t *read_number(struct reader *r)
{
	const char *first = r->p, *whole;
	bool minus = here(r, "-"), real = false;
	int64_t value = 0;
	size_t n;

	whole = r->p;
	n = digits(r);
	if (!n || (n > 1 && *whole == '0'))
		return NULL;
	if (here(r, ".") && (real = true) && !digits(r))
		return NULL;
	if (here(r, "eE") && (real = true)) {
		here(r, "+-");
		if (!digits(r))
			return NULL;
	}
	if (real)
		return read_real(first, (size_t)(r->p - first));
	if (n > DIGITS_MAX)
		return NULL;
	while (whole < r->p)
		value = 10 * value + (*whole++ - '0');
	return json_integer(minus ? -value : value);
}

static json_t *read_word(struct reader *r)
{
	size_t left = (size_t)(r->end - r->p);
	json_t *value = NULL;

	if (left >= 4 && memcmp(r->p, "true", 4) == 0)
		value = json_true();
	else if (left >= 4 && memcmp(r->p, "null", 4) == 0)
		value = json_null();
	else if (left >= 5 && memcmp(r->p, "false", 5) == 0)
		value = json_false();
	if (value)
		r->p += *r->p == 'f' ? 5 : 4;
	return value; /* what stands behind it is no ',' or '}' where the word goes on */
}

static json_t *nested(struct reader *r, json_t *(*read)(struct reader *))
{
	json_t *value;

	if (!r->depth)
		return NULL;
	r->depth--;
	value = read(r);
	r->depth++;
	return value;
}

static json_t *read_value(struct reader *r)
{
	const char *text;
	size_t len;

	if (take(r, '{'))
		return nested(r, read_members);
	if (take(r, '['))
		return nested(r, read_items);
	if (take_text(r, &text, &len))
		return json_stringn_nocheck(text, len);
	if (r->p < r->end && (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')))
		return read_number(r);
	return read_word(r);
}

json_t *strictjson_quick(const char *data, size_t len, unsigned depth_max)
{
	struct reader r = {
		.p = data, .end = data + len, .depth = depth_max < DEPTH_MAX ? depth_max : DEPTH_MAX};
	json_t *j = NULL;

	if (take(&r, '{'))
		j = nested(&r, read_members);
	else if (take(&r, '['))
		j = nested(&r, read_items);
	skip_blanks(&r);
	if (r.p == r.end)
		return j;
	json_decref(j);
	return NULL;
}
