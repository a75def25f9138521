#include "core/settings.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* ns per second and per day: what the table's defaults are written in */
#define S_ ((int64_t)NS_PER_S)
#define D_ (86400 * S_)

#define DURATION_MAX (36500 * D_) /* a hundred years; far from where int64_t ends */
#define BYTES_MAX    (INT64_C(1) << 30)
#define COUNT_MAX    INT64_C(1000000000)
#define NAME_MAX_    48

static const struct {
	const char *name;
	enum setting_side side;
	enum setting_unit unit;
	int64_t initial;
	int may_be_off;
	const char *doc;
} rows[SETTING_COUNT] = {
#define ROW(id, name, side, unit, initial, off, doc)                                                         \
	[SETTING_##id] = {name, SETTING_SIDE_##side, SETTING_UNIT_##unit, initial, off, doc},
	SETTINGS_TABLE(ROW)
#undef ROW
};

/* Where the limits of a setting differ from those of its unit: 0 is a meaning
 * (no grace, no SMS at all, always Retry), or a library behind it has its own. */
static const struct {
	enum setting k;
	int64_t min, max;
} limits[] = {
	{SETTING_REFRESH_GRACE, 0, DURATION_MAX},
	{SETTING_LOGIN_GRACE, 0, DURATION_MAX},
	{SETTING_SMS_INTERVAL, 0, DURATION_MAX},
	{SETTING_SMS_PER_10MIN, 0, COUNT_MAX},
	{SETTING_SMS_PER_DAY, 0, COUNT_MAX},
	{SETTING_FLEET_SMS_PER_DAY, 0, COUNT_MAX},
	{SETTING_STRANGER_REGISTERS_PER_HOUR, 0, COUNT_MAX},
	{SETTING_HALF_OPEN_RETRY, 0, COUNT_MAX},
	{SETTING_PUBLISH_INTERVAL, S_, D_}, /* a device clamps to 1 s … 24 h */
	{SETTING_BACKOFF_MIN, S_ / 1000, D_},
	{SETTING_JSON_DEPTH, 3, 64}, /* a request's own nesting; a stack stays small */
	{SETTING_REQUEST_MAX, 256, 1 << 20},
	{SETTING_TOKEN_MAX, 512, 65536}, /* libjwt takes a token's length from the stack */
	{SETTING_STREAM_WINDOW, 1024, BYTES_MAX},
	{SETTING_IDLE_TIMEOUT, S_ / 1000, DURATION_MAX}, /* ms on the wire, and 0 there is "none" */
};

static const struct {
	const char *name;
	int64_t factor;
} duration_units[] = {
	/* longest first, as setting_format wants them */
	{"d", D_}, {"h", 3600 * S_}, {"m", 60 * S_}, {"s", S_}, {"ms", S_ / 1000}, {"us", 1000}, {"ns", 1},
};

static const struct {
	const char *name;
	int64_t factor;
} byte_units[] = {{"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}};

static const char *const connection_words[] = {"close", "hold"};

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

void settings_default(struct settings *s)
{
	for (int k = 0; k < SETTING_COUNT; k++)
		s->v[k] = rows[k].initial;
}

void settings_rig(struct settings *s)
{
	settings_default(s);
	s->v[SETTING_SMS_INTERVAL] = 1 * S_;
	s->v[SETTING_SMS_PER_10MIN] = SETTING_OFF;
	s->v[SETTING_SMS_PER_DAY] = SETTING_OFF;
	s->v[SETTING_FLEET_SMS_PER_DAY] = SETTING_OFF;
	s->v[SETTING_STRANGER_REGISTERS_PER_HOUR] = SETTING_OFF;
}

int setting_by_name(const char *name)
{
	for (int k = 0; k < SETTING_COUNT; k++)
		if (strcmp(rows[k].name, name) == 0)
			return k;
	return -1;
}

const char *setting_name(enum setting k)
{
	return rows[k].name;
}

enum setting_side setting_side(enum setting k)
{
	return rows[k].side;
}

enum setting_unit setting_unit(enum setting k)
{
	return rows[k].unit;
}

const char *setting_doc(enum setting k)
{
	return rows[k].doc;
}

/* ---- reading ---- */

/* A decimal number as whole part and nanofraction, so that 0.1 is exact. */
struct number {
	int64_t whole, nano;
	bool fraction;
	const char *unit; /* what stands behind it, blanks skipped */
};

static bool number_parse(const char *text, struct number *n)
{
	const char *p = text;
	int64_t place = 100000000;

	memset(n, 0, sizeof(*n));
	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (n->whole > (INT64_MAX - 9) / 10)
			return false;
		n->whole = n->whole * 10 + (*p - '0');
	}
	if (*p == '.') {
		n->fraction = true;
		if (p[1] < '0' || p[1] > '9')
			return false;
		for (p++; *p >= '0' && *p <= '9'; p++, place /= 10) {
			if (!place && *p != '0')
				return false; /* finer than a billionth */
			n->nano += (*p - '0') * place;
		}
	}
	while (*p == ' ')
		p++;
	n->unit = p;
	return true;
}

/* whole.nano × factor; ERR_LIMIT where over `max`, ERR_PARSE where no whole number. */
static int scale(const struct number *n, int64_t factor, int64_t max, int64_t *out)
{
	/* nano × factor may not fit: both have at most 9e15 and 1e9 */
	__int128 v = (__int128)n->whole * factor + (__int128)n->nano * factor / 1000000000;

	if ((__int128)n->nano * factor % 1000000000)
		return ERR_PARSE;
	if (v > max)
		return ERR_LIMIT;
	*out = (int64_t)v;
	return 0;
}

static int duration_read(const struct number *n, int64_t *out)
{
	for (size_t i = 0; i < LENGTH(duration_units); i++)
		if (strcmp(n->unit, duration_units[i].name) == 0)
			return scale(n, duration_units[i].factor, DURATION_MAX, out);
	return ERR_PARSE;
}

int duration_parse(const char *text, time_ns *out)
{
	struct number n;
	int64_t v;

	if (!number_parse(text, &n) || duration_read(&n, &v))
		return ERR_PARSE;
	*out = (time_ns)v;
	return 0;
}

static int read_duration(const char *name, const char *text, int64_t *out, struct err *e)
{
	struct number n;
	int rv;

	if (!number_parse(text, &n))
		return err_set(e, ERR_PARSE,
			       "%s: '%.32s' is not a duration: write a number and a unit, like 30s, "
			       "500ms, 15m, 2h or 30d",
			       name, text);
	if (!*n.unit)
		return err_set(e, ERR_PARSE, "%s: '%.32s' has no unit: write %.20ss or %.20sms", name, text,
			       text, text);
	rv = duration_read(&n, out);
	if (rv == ERR_LIMIT)
		return err_set(e, rv, "%s: '%.32s' is more than a hundred years", name, text);
	if (rv)
		return err_set(e, rv,
			       "%s: '%.32s' is not a duration: its unit must be one of ns us ms s m h d, and "
			       "there is only one",
			       name, text);
	return 0;
}

static int read_bytes(const char *name, const char *text, int64_t *out, struct err *e)
{
	struct number n;
	int rv = ERR_PARSE;

	if (number_parse(text, &n))
		for (size_t i = 0; i < LENGTH(byte_units); i++)
			if (strcmp(n.unit, byte_units[i].name) == 0)
				rv = scale(&n, byte_units[i].factor, BYTES_MAX, out);
	if (rv == ERR_LIMIT)
		return err_set(e, rv, "%s: '%.32s' is more than 1024MiB", name, text);
	if (rv)
		return err_set(e, rv, "%s: '%.32s' is not a size: write bytes, KiB or MiB, like 4096 or 8KiB",
			       name, text);
	return 0;
}

static int read_count(enum setting k, const char *text, int64_t *out, struct err *e)
{
	struct number n;

	if (!number_parse(text, &n) || n.fraction || *n.unit)
		return err_set(e, ERR_PARSE, "%s: '%.32s' is not a count: write a whole number%s",
			       rows[k].name, text, rows[k].may_be_off ? ", or off" : "");
	if (n.whole > COUNT_MAX)
		return err_set(e, ERR_LIMIT, "%s: '%.32s' is more than %" PRId64, rows[k].name, text,
			       COUNT_MAX);
	*out = n.whole;
	return 0;
}

static int read_word(const char *name, const char *text, int64_t *out, struct err *e)
{
	for (size_t i = 0; i < LENGTH(connection_words); i++)
		if (strcmp(text, connection_words[i]) == 0) {
			*out = (int64_t)i;
			return 0;
		}
	return err_set(e, ERR_PARSE, "%s: '%.32s' is neither close nor hold", name, text);
}

static int check_limits(enum setting k, const char *text, int64_t v, struct err *e)
{
	int64_t min = rows[k].unit == SETTING_UNIT_WORD ? 0 : 1, max = INT64_MAX;
	char low[NAME_MAX_], high[NAME_MAX_];

	for (size_t i = 0; i < LENGTH(limits); i++)
		if (limits[i].k == k) {
			min = limits[i].min;
			max = limits[i].max;
		}
	if (v < min)
		return err_set(e, ERR_LIMIT, "%s: '%.32s' is too little: at least %s", rows[k].name, text,
			       setting_format(k, min, low, sizeof(low)));
	if (v > max)
		return err_set(e, ERR_LIMIT, "%s: '%.32s' is too much: at most %s", rows[k].name, text,
			       setting_format(k, max, high, sizeof(high)));
	if ((k == SETTING_PUBLISH_INTERVAL || k == SETTING_ACCESS_TTL) && v % S_)
		return err_set(e, ERR_LIMIT, "%s: '%.32s' is not a whole number of seconds", rows[k].name,
			       text);
	return 0;
}

int setting_parse(enum setting k, const char *text, int64_t *out, struct err *e)
{
	const char *name = rows[k].name;
	int64_t v = 0;
	int rv = 0;

	if (strcmp(text, "off") == 0) {
		if (!rows[k].may_be_off)
			return err_set(e, ERR_PARSE, "%s cannot be off", name);
		*out = SETTING_OFF;
		return 0;
	}
	switch (rows[k].unit) {
	case SETTING_UNIT_NS:
		rv = read_duration(name, text, &v, e);
		break;
	case SETTING_UNIT_BYTES:
		rv = read_bytes(name, text, &v, e);
		break;
	case SETTING_UNIT_COUNT:
		rv = read_count(k, text, &v, e);
		break;
	case SETTING_UNIT_WORD:
		rv = read_word(name, text, &v, e);
		break;
	}
	if (!rv)
		rv = check_limits(k, text, v, e);
	if (!rv)
		*out = v;
	return rv;
}

int settings_set(struct settings *s, const char *assignment, struct err *e)
{
	const char *equals = strchr(assignment, '=');
	char name[NAME_MAX_];
	size_t len;
	int k;

	if (!equals)
		return err_set(e, ERR_PARSE, "'%.48s' is not NAME=VALUE, like code_ttl=30s", assignment);
	len = (size_t)(equals - assignment);
	k = len < sizeof(name) ? (int)len : (int)sizeof(name) - 1;
	snprintf(name, sizeof(name), "%.*s", k, assignment);
	k = setting_by_name(name); /* cut: longer than any name, and unknown */
	if (k < 0)
		return err_set(e, ERR_PARSE, "no setting is called '%s'", name);
	return setting_parse((enum setting)k, equals + 1, &s->v[k], e);
}

/* ---- writing ---- */

char *setting_format(enum setting k, int64_t value, char *out, size_t size)
{
	size_t i = 0;

	if (value == SETTING_OFF) {
		snprintf(out, size, "off");
		return out;
	}
	switch (rows[k].unit) {
	case SETTING_UNIT_NS:
		while (value ? value % duration_units[i].factor != 0 : duration_units[i].factor != S_)
			i++;
		snprintf(out, size, "%" PRId64 "%s", value / duration_units[i].factor,
			 duration_units[i].name);
		break;
	case SETTING_UNIT_BYTES:
		while (value % byte_units[i].factor || (!value && byte_units[i].factor > 1))
			i++;
		snprintf(out, size, "%" PRId64 "%s", value / byte_units[i].factor,
			 byte_units[i].factor > 1 ? byte_units[i].name : "");
		break;
	case SETTING_UNIT_COUNT:
		snprintf(out, size, "%" PRId64, value);
		break;
	case SETTING_UNIT_WORD:
		assert(value >= 0 && value < (int64_t)LENGTH(connection_words));
		snprintf(out, size, "%s", connection_words[value]);
		break;
	}
	return out;
}
