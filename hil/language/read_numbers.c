/* Values that are numbers with a form of their own: bit rates, sets of small numbers. */
#include "hil/language/read_numbers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"

#define BPS_MAX 1e12

json_t *read_bits(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	static const struct {
		const char *unit;
		double bits;
	} units[] = {{"bit/s", 1}, {"kbit/s", 1e3}, {"Mbit/s", 1e6}, {"Gbit/s", 1e9}};
	char *end;
	double v = strtod(n->text, &end);

	if (end == n->text || !isdigit((unsigned char)n->text[0])) {
		read_wrong(r, n, k);
		return NULL;
	}
	end += strspn(end, " ");
	if (!*end) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' has no unit: write %.20skbit/s or %.20sMbit/s", k->key, n->text,
			   n->text);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		if (v * units[i].bits >= 1 && v * units[i].bits <= BPS_MAX)
			return json_integer((json_int_t)(v * units[i].bits));
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is from 1bit/s to 1000Gbit/s", k->key);
		return NULL;
	}
	read_wrong(r, n, k);
	return NULL;
}

/* "7" or "2..7" into the set. */
static bool add_span(const char *text, bool set[READ_NUMBERS_MAX + 1])
{
	char *end;
	long low, high;

	if (!isdigit((unsigned char)text[0]) || strlen(text) > 16)
		return false;
	low = high = strtol(text, &end, 10);
	if (strncmp(end, "..", 2) == 0 && isdigit((unsigned char)end[2]))
		high = strtol(end + 2, &end, 10);
	if (*end || low < 1 || high < low || high > READ_NUMBERS_MAX)
		return false;
	for (long i = low; i <= high; i++)
		set[i] = true;
	return true;
}

json_t *read_numbers(struct reader *r, const struct yaml_node *n, const struct vocab_key *k)
{
	const struct yaml_item *walk = NULL;
	const struct yaml_node *one;
	bool set[READ_NUMBERS_MAX + 1] = {false}, begun = false;
	json_t *out;

	if (n->kind == YAML_KIND_LIST && !n->first) {
		diag_error(r->ds, r->src, n->at, NULL, "'%s' is an empty list", k->key);
		return NULL;
	}
	while ((one = read_each(n, &walk, &begun)))
		if (one->kind != YAML_KIND_SCALAR || !add_span(one->text, set)) {
			read_wrong(r, one, k);
			return NULL;
		}
	out = json_array();
	for (int i = 1; out && i <= READ_NUMBERS_MAX; i++)
		if (set[i])
			read_append(r, out, json_integer(i));
	return out;
}

int64_t read_time_of_day(const char *text)
{
	size_t len = strlen(text);
	int h, m, s = 0;

	if ((len != 5 && len != 8) || strspn(text, "0123456789:") != len || text[2] != ':' || (len == 8 && text[5] != ':') ||
	    strchr(text + 3, ':') != (len == 8 ? text + 5 : NULL))
		return -1;
	if (sscanf(text, len == 8 ? "%2d:%2d:%2d" : "%2d:%2d", &h, &m, &s) < 2 || h > 23 || m > 59 || s > 59)
		return -1;
	return (int64_t)(h * 3600 + m * 60 + s) * (int64_t)NS_PER_S;
}
