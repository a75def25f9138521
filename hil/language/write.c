#include "hil/language/write.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/settings.h"
#include "core/time.h"

/* ---- scalars ---- */

void put_text(struct buf *out, const char *s)
{
	bool plain;

	s = s ? s : "";
	plain = isalnum((unsigned char)s[0]) || s[0] == '+';
	for (const char *p = s; *p && plain; p++)
		plain = isalnum((unsigned char)*p) || strchr("_.-/%+", *p);
	if (strcmp(s, "...") == 0)
		plain = true;
	if (plain)
		buf_puts(out, s);
	else
		buf_json_str(out, s); /* a double-quoted scalar of YAML 1.2 reads every JSON string */
}

void put_duration(struct buf *out, json_int_t ns)
{
	static const struct {
		const char *unit;
		json_int_t ns;
	} units[] = {{"d", 86400000000000}, {"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
		     {"ms", 1000000},	    {"us", 1000},	  {"ns", 1}};
	size_t i = 0;

	while (i < 6 && (ns == 0 ? strcmp(units[i].unit, "s") != 0 : ns % units[i].ns != 0))
		i++;
	buf_printf(out, "%" JSON_INTEGER_FORMAT "%s", ns / units[i].ns, units[i].unit);
}

void put_range(struct buf *out, json_t *range)
{
	json_t *min = json_object_get(range, "min"), *max = json_object_get(range, "max");

	if (min && max && json_equal(min, max))
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(min));
	else if (min && max)
		buf_printf(out, "\"%" JSON_INTEGER_FORMAT "..%" JSON_INTEGER_FORMAT "\"", json_integer_value(min),
			   json_integer_value(max));
	else if (min)
		buf_printf(out, "\">= %" JSON_INTEGER_FORMAT "\"", json_integer_value(min));
	else
		buf_printf(out, "\"<= %" JSON_INTEGER_FORMAT "\"", json_integer_value(max));
}

void put_who(struct buf *out, json_t *who)
{
	const char *group = json_string_value(json_object_get(who, "group")), *modem;
	json_t *index = json_object_get(who, "index"), *ratio = json_object_get(who, "ratio");

	modem = json_string_value(json_object_get(who, "modem"));
	if (index)
		buf_printf(out, "\"%s[%" JSON_INTEGER_FORMAT "]\"", group, json_integer_value(index));
	else if (ratio)
		buf_printf(out, "\"%s:%.12g%%\"", group, 100 * json_number_value(ratio));
	else if (group || modem)
		put_text(out, group ? group : modem);
	else
		buf_puts(out, json_object_get(who, "server") ? "server" :
			      json_object_get(who, "others") ? "others" :
							       "all");
}

void put_list(struct buf *out, json_t *list)
{
	size_t i;
	json_t *word;

	buf_puts(out, "[");
	json_array_foreach(list, i, word)
	{
		buf_puts(out, i ? ", " : "");
		put_text(out, json_string_value(word) ? json_string_value(word) : "");
	}
	buf_puts(out, "]");
}

/* ---- flow mappings: {key: value, …} ---- */

struct buf *key(struct flow *f, const char *name)
{
	buf_puts(f->out, f->any ? ", " : "");
	f->any = true;
	put_text(f->out, name);
	buf_puts(f->out, ": ");
	return f->out;
}

struct flow open_flow(struct buf *out)
{
	buf_puts(out, "{");
	return (struct flow){out, false};
}

void close_flow(struct flow *f)
{
	buf_puts(f->out, "}");
}

static void put_settings(struct buf *out, json_t *settings)
{
	struct flow f = open_flow(out);
	char text[64];
	const char *name;
	json_t *v;

	json_object_foreach(settings, name, v)
	{
		int k = setting_by_name(name);
		json_int_t value = json_integer_value(v);

		/* a word's number that stands for none is no setting */
		if (k >= 0 && (setting_unit((enum setting)k) != SETTING_UNIT_WORD || value == 0 || value == 1))
			put_text(key(&f, name), setting_format((enum setting)k, value == -1 ? SETTING_OFF : value, text,
							       sizeof(text)));
	}
	close_flow(&f);
}

static void put_bits(struct buf *out, json_int_t bps)
{
	static const char *const units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"};
	unsigned u = 0;

	for (; u < 3 && bps && bps % 1000 == 0; u++)
		bps /= 1000;
	buf_printf(out, "%" JSON_INTEGER_FORMAT "%s", bps, units[u]);
}

/* 3, "2..7", or a list of them. */
static void put_numbers(struct buf *out, json_t *numbers)
{
	size_t n = json_array_size(numbers), spans = 0;
	struct buf text;

	buf_init(&text, 4096);
	for (size_t i = 0, end; i < n; i = end) {
		json_int_t low = json_integer_value(json_array_get(numbers, i)), high = low;

		for (end = i + 1; end < n && json_integer_value(json_array_get(numbers, end)) == high + 1; end++)
			high++;
		if (spans++)
			buf_puts(&text, ", ");
		if (high > low)
			buf_printf(&text, "\"%" JSON_INTEGER_FORMAT "..%" JSON_INTEGER_FORMAT "\"", low, high);
		else
			buf_printf(&text, "%" JSON_INTEGER_FORMAT, low);
	}
	buf_printf(out, spans == 1 ? "%s" : "[%s]", text.data ? text.data : "");
	buf_fini(&text);
}

/* As a file has it: on and off for a window that comes again, nothing for no numbers. */
static json_t *network_said(json_t *network)
{
	json_t *said = json_deep_copy(network), *hole = json_object_get(said, "blackhole"),
	       *drop = json_object_get(said, "drop"), *every = json_object_get(hole, "every_ns");
	const char *per = json_string_value(json_object_get(drop, "per"));

	if (every) {
		json_object_set(hole, "on_ns", json_object_get(hole, "at_ns"));
		json_object_set(hole, "off_ns", json_object_get(hole, "for_ns"));
		json_object_del(hole, "at_ns");
		json_object_del(hole, "for_ns");
	}
	if (!json_array_size(json_object_get(drop, "up")))
		json_object_del(drop, "up");
	if (!json_array_size(json_object_get(drop, "down")))
		json_object_del(drop, "down");
	if (per && strcmp(per, "link") == 0)
		json_object_del(drop, "per");
	return said;
}

static void put_time(struct buf *out, json_int_t ns)
{
	json_int_t s = ns / (json_int_t)NS_PER_S;

	buf_printf(out, "\"%02d:%02d", (int)(s / 3600), (int)(s / 60 % 60));
	if (s % 60)
		buf_printf(out, ":%02d", (int)(s % 60));
	buf_puts(out, "\"");
}

void put_value(struct buf *out, const struct vocab_key *k, json_t *v)
{
	json_t *said;
	struct flow f;

	switch (k->type) {
	case VOCAB_BOOL:
		buf_puts(out, json_is_true(v) ? "true" : "false");
		break;
	case VOCAB_COUNT:
	case VOCAB_CODE:
		buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
		break;
	case VOCAB_RANGE:
		put_range(out, v);
		break;
	case VOCAB_SHIFT:
		buf_puts(out, json_integer_value(v) < 0 ? "-" : "+");
		put_duration(out, (json_integer_value(v) < 0 ? -1 : 1) * json_integer_value(v) * 1000000);
		break;
	case VOCAB_DURATION:
		put_duration(out, json_integer_value(v));
		break;
	case VOCAB_TIME:
		put_time(out, json_integer_value(v));
		break;
	case VOCAB_SHARE:
		buf_printf(out, "\">= %.12g%%\"", 100 * json_number_value(v));
		break;
	case VOCAB_RATIO:
		buf_printf(out, "%.12g%%", 100 * json_number_value(v));
		break;
	case VOCAB_RATE:
		buf_printf(out, "%.12g/s", json_number_value(v));
		break;
	case VOCAB_BITS:
		put_bits(out, json_integer_value(v));
		break;
	case VOCAB_NUMBERS:
		put_numbers(out, v);
		break;
	case VOCAB_WHO:
		put_who(out, v);
		break;
	case VOCAB_WORDS:
		put_list(out, v);
		break;
	case VOCAB_SETTINGS:
		put_settings(out, v);
		break;
	case VOCAB_MAP:
		said = strcmp(k->arg, "network") == 0 ? network_said(v) : json_incref(v);
		f = open_flow(out);
		put_place(&f, k->arg, said);
		close_flow(&f);
		json_decref(said);
		break;
	default:
		put_text(out, json_string_value(v) ? json_string_value(v) : "");
		break;
	}
}

void put_place(struct flow *f, const char *place, json_t *object)
{
	for (size_t i = 0; i < vocab_keys_n; i++) {
		const struct vocab_key *k = &vocab_keys[i];
		json_t *v = k->plan && vocab_at(k, place) ? json_object_get(object, k->plan) : NULL;

		if (v && k->type != VOCAB_OTHER && k->type != VOCAB_LATER)
			put_value(key(f, k->key), k, v);
	}
}

json_t *without(json_t *object, const char *defaults)
{
	json_t *copy = json_copy(object), *usual = json_loads(defaults, 0, NULL), *v;
	const char *name;

	json_object_foreach(usual, name, v)
	{
		if (json_equal(json_object_get(copy, name), v))
			json_object_del(copy, name);
	}
	json_decref(usual);
	return copy;
}
