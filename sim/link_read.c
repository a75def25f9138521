/* The plan's `network` into a link's spec: strictly, since a plan may be written by hand. */
#include "sim/link.h"

#include <string.h>

static int wrong(struct err *e, const char *key, const char *what)
{
	return err_set(e, ERR_PARSE, "network: '%s' is %s", key, what);
}

static int read_share(json_t *v, const char *key, double *out, struct err *e)
{
	if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > 1)
		return wrong(e, key, "a share from 0 to 1");
	*out = json_number_value(v);
	return 0;
}

static int read_count(json_t *v, const char *key, uint64_t *out, struct err *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return wrong(e, key, "a whole number, not below 0");
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

static int read_time(json_t *v, const char *key, time_ns *out, struct err *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return wrong(e, key, "a count of nanoseconds");
	*out = (time_ns)json_integer_value(v);
	return 0;
}

/* The words' place in the list is the enum's value. */
static int read_word(json_t *v, const char *key, const char *const *words, unsigned *out, struct err *e)
{
	for (unsigned i = 0; words[i]; i++)
		if (json_is_string(v) && strcmp(json_string_value(v), words[i]) == 0) {
			*out = i;
			return 0;
		}
	return wrong(e, key, "none of its words");
}

static int read_window(json_t *o, struct link_spec *out, struct err *e)
{
	const char *key;
	json_t *v;
	int rv = 0;

	if (!json_is_object(o))
		return wrong(e, "blackhole", "an object");
	json_object_foreach(o, key, v) {
		if (strcmp(key, "at_ns") == 0)
			rv = read_time(v, key, &out->hole_at, e);
		else if (strcmp(key, "for_ns") == 0)
			rv = read_time(v, key, &out->hole_for, e);
		else if (strcmp(key, "every_ns") == 0)
			rv = read_time(v, key, &out->hole_every, e);
		else
			rv = wrong(e, key, "not known in 'blackhole'");
		if (rv)
			return rv;
	}
	return 0;
}

static int read_mask(json_t *list, const char *key, uint64_t *out, struct err *e)
{
	size_t i;
	json_t *n;

	if (!json_is_array(list))
		return wrong(e, key, "a list of numbers");
	json_array_foreach(list, i, n) {
		json_int_t k = json_integer_value(n);

		if (k < 1 || k > LINK_NTH_MAX)
			return wrong(e, key, "a list of numbers from 1 to 64");
		*out |= UINT64_C(1) << (k - 1);
	}
	return 0;
}

static int read_drop(json_t *o, struct link_spec *out, struct err *e)
{
	static const char *const per[] = {"link", "connection", NULL};
	const char *key;
	json_t *v;
	unsigned word;
	int rv = 0;

	if (!json_is_object(o))
		return wrong(e, "drop", "an object");
	json_object_foreach(o, key, v) {
		if (strcmp(key, "up") == 0)
			rv = read_mask(v, key, &out->drop[LINK_UP], e);
		else if (strcmp(key, "down") == 0)
			rv = read_mask(v, key, &out->drop[LINK_DOWN], e);
		else if (strcmp(key, "per") == 0 && !(rv = read_word(v, key, per, &word, e)))
			out->drop_each = word == 1;
		else if (!rv)
			rv = wrong(e, key, "not known in 'drop'");
		if (rv)
			return rv;
	}
	return 0;
}

static int read_rebind(json_t *o, struct link_spec *out, struct err *e)
{
	static const char *const whats[] = {"nothing", "port", "address", NULL};
	const char *key;
	json_t *v;
	unsigned word;
	int rv = 0;

	if (!json_is_object(o))
		return wrong(e, "rebind", "an object");
	json_object_foreach(o, key, v) {
		if (strcmp(key, "what") == 0 && !(rv = read_word(v, key, whats, &word, e)))
			out->rebind = (enum link_rebind)word;
		else if (strcmp(key, "after_ns") == 0)
			rv = read_time(v, key, &out->rebind_after, e);
		else if (strcmp(key, "every_ns") == 0)
			rv = read_time(v, key, &out->rebind_every, e);
		else if (!rv)
			rv = wrong(e, key, "not known in 'rebind'");
		if (rv)
			return rv;
	}
	return 0;
}

static int read_member(const char *key, json_t *v, struct link_spec *out, struct err *e)
{
	static const char *const phases[] = {"always", "handshake", "transfer", NULL};
	const struct {
		const char *key;
		double *share;
		time_ns *time;
		uint64_t *count;
	} plain[] = {{"loss", &out->loss, NULL, NULL},
		     {"duplicate", &out->duplicate, NULL, NULL},
		     {"reorder", &out->reorder, NULL, NULL},
		     {"corrupt", &out->corrupt, NULL, NULL},
		     {"delay_ns", NULL, &out->delay, NULL},
		     {"jitter_ns", NULL, &out->jitter, NULL},
		     {"rate_bps", NULL, NULL, &out->rate_bps}};
	uint64_t n = 0;
	unsigned word = 0;
	int rv;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(key, plain[i].key) != 0)
			continue;
		return plain[i].share  ? read_share(v, key, plain[i].share, e)
		       : plain[i].time ? read_time(v, key, plain[i].time, e)
				       : read_count(v, key, plain[i].count, e);
	}
	if (strcmp(key, "burst") == 0 || strcmp(key, "queue") == 0 || strcmp(key, "mtu") == 0) {
		rv = read_count(v, key, &n, e);
		if (!rv && n > UINT32_MAX)
			rv = wrong(e, key, "too large");
		if (strcmp(key, "burst") == 0)
			out->burst = (unsigned)n;
		else if (strcmp(key, "queue") == 0)
			out->queue = (size_t)n;
		else
			out->mtu = (size_t)n;
		return rv;
	}
	if (strcmp(key, "phase") == 0) {
		rv = read_word(v, key, phases, &word, e);
		out->phase = (enum link_phase)word;
		return rv;
	}
	if (strcmp(key, "blackhole") == 0)
		return read_window(v, out, e);
	if (strcmp(key, "drop") == 0)
		return read_drop(v, out, e);
	if (strcmp(key, "rebind") == 0)
		return read_rebind(v, out, e);
	return err_set(e, ERR_PARSE, "network: there is no '%s'", key);
}

int link_spec_read(json_t *network, struct link_spec *out, struct err *e)
{
	const char *key;
	json_t *v;
	int rv;

	*out = (struct link_spec){.delay = LINK_DELAY_DEFAULT, .queue = LINK_QUEUE_DEFAULT};
	if (network && !json_is_object(network))
		return wrong(e, "network", "an object");
	json_object_foreach(network, key, v) {
		rv = read_member(key, v, out, e);
		if (rv)
			return rv;
	}
	return 0;
}
