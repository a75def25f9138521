#include "sim/link.h"

#include <stdio.h>
#include <string.h>

static const char *const purposes[LINK_PURPOSES] = {"loss", "duplicate", "reorder", "corrupt", "jitter"};

static int read_share(json_t *v, const char *key, double *out, struct err *e)
{
	if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > 1)
		return err_set(e, ERR_PARSE, "network: '%s' is a share from 0 to 1", key);
	*out = json_number_value(v);
	return 0;
}

static int read_time(json_t *v, const char *key, time_ns *out, struct err *e)
{
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return err_set(e, ERR_PARSE, "network: '%s' is a count of nanoseconds", key);
	*out = (time_ns)json_integer_value(v);
	return 0;
}

int link_spec_read(json_t *network, struct link_spec *out, struct err *e)
{
	const char *key;
	json_t *v;
	int rv = 0;

	memset(out, 0, sizeof(*out));
	out->delay = LINK_DELAY_DEFAULT;
	json_object_foreach(network, key, v) {
		if (strcmp(key, "loss") == 0)
			rv = read_share(v, key, &out->loss, e);
		else if (strcmp(key, "duplicate") == 0)
			rv = read_share(v, key, &out->duplicate, e);
		else if (strcmp(key, "reorder") == 0)
			rv = read_share(v, key, &out->reorder, e);
		else if (strcmp(key, "corrupt") == 0)
			rv = read_share(v, key, &out->corrupt, e);
		else if (strcmp(key, "delay_ns") == 0)
			rv = read_time(v, key, &out->delay, e);
		else if (strcmp(key, "jitter_ns") == 0)
			rv = read_time(v, key, &out->jitter, e);
		else if (strcmp(key, "source") != 0)
			rv = err_set(e, ERR_PARSE, "network: this rig has no '%s'", key);
		if (rv)
			return rv;
	}
	return 0;
}

void link_init(struct link *l, const struct link_spec *spec, uint64_t seed, const char *name)
{
	static const char *const ways[LINK_DIRECTIONS] = {"up", "down"};
	char purpose[32];

	memset(l, 0, sizeof(*l));
	l->spec = spec;
	for (int d = 0; d < LINK_DIRECTIONS; d++) {
		for (int p = 0; p < LINK_PURPOSES; p++) {
			snprintf(purpose, sizeof(purpose), "link.%s.%s", ways[d], purposes[p]);
			rng_init(&l->rng[d][p], seed, name, purpose);
		}
	}
}

/* One draw a datagram, whatever the share: a share that changes moves no other draw. */
static bool happens(struct link *l, enum link_direction d, enum link_purpose p, double share)
{
	return rng_unit(&l->rng[d][p]) < share;
}

static time_ns travel(struct link *l, enum link_direction d)
{
	double jitter = (double)l->spec->jitter * rng_range(&l->rng[d][LINK_JITTER], -1, 1);
	double t = (double)l->spec->delay + jitter;

	return t > 0 ? (time_ns)t : 0;
}

static void damage(struct link *l, enum link_direction d, size_t len, struct link_copy *c)
{
	uint64_t draw = rng_u64(&l->rng[d][LINK_CORRUPT]);

	c->where = len ? (size_t)(draw >> 8) % len : 0;
	c->flip = len ? (uint8_t)(draw & 0xff) | 1 : 0;
}

void link_pass(struct link *l, enum link_direction d, time_ns now, size_t len, struct link_fate *out)
{
	bool lost = happens(l, d, LINK_LOSS, l->spec->loss);
	bool twice = happens(l, d, LINK_DUPLICATE, l->spec->duplicate);
	bool late = happens(l, d, LINK_REORDER, l->spec->reorder);
	bool bad = happens(l, d, LINK_CORRUPT, l->spec->corrupt);
	time_ns at = time_add(now, travel(l, d));

	memset(out, 0, sizeof(*out));
	if (lost)
		return;
	if (late) {
		/* whoever follows within this time overtakes it */
		at = time_add(at, l->spec->delay + 2 * l->spec->jitter + NS_PER_MS);
	} else {
		/* jitter alone reorders nothing */
		if (at < l->last[d])
			at = l->last[d];
		l->last[d] = at;
	}
	out->copies = twice ? 2 : 1;
	for (unsigned i = 0; i < out->copies; i++) {
		out->copy[i].at = at;
		if (bad && i == 0)
			damage(l, d, len, &out->copy[i]);
	}
}
