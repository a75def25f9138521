#include "server/budget.h"

#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define DAY_MS      (24 * 3600 * INT64_C(1000))
#define TEN_MIN_MS  (600 * INT64_C(1000))
#define NS_PER_MS_I INT64_C(1000000)

#define CLOCK_SLACK_MS (60 * INT64_C(1000))

#define STRANGER_SETS   1024
#define STRANGER_WAYS   4
#define STRANGER_SLOTS  13 /* of five minutes: an hour, and the one that is running */
#define STRANGER_SLOT_S 300

/* ---- SMS ---- */

struct load {
	struct fleet_budget *fb;
	int64_t now; /* the bucket that is running */
};

static void load_bucket(void *ctx, int64_t bucket, int64_t n)
{
	struct load *l = ctx;
	size_t i = (size_t)(bucket % FLEET_BUCKETS);

	if (bucket < 0)
		return;
	if (bucket > l->now + 1) {
		l->fb->ahead += n;
		return;
	}
	l->fb->bucket[i] = bucket;
	l->fb->n[i] = n;
}

int fleet_load(struct fleet_budget *fb, struct store *st, int64_t unix_ms)
{
	struct load l = {.fb = fb, .now = unix_ms / FLEET_BUCKET_MS};

	memset(fb, 0, sizeof(*fb));
	return store_fleet_each(st, l.now - FLEET_BUCKETS + 1, load_bucket, &l);
}

/* Whole buckets count, so that no 24 hours ever hold more than the cap. */
static bool fleet_allows(const struct fleet_budget *fb, int64_t cap, int64_t unix_ms, int64_t *wait_s)
{
	int64_t now = unix_ms / FLEET_BUCKET_MS, oldest = INT64_MAX, sum = 0;

	if (cap == SETTING_OFF)
		return true;
	for (unsigned i = 0; i < FLEET_BUCKETS; i++) {
		if (!fb->n[i] || fb->bucket[i] <= now - FLEET_BUCKETS)
			continue;
		sum += fb->n[i];
		if (fb->bucket[i] < oldest)
			oldest = fb->bucket[i];
	}
	if (sum < cap)
		return true;
	*wait_s = oldest == INT64_MAX ? 3600 : ((oldest + FLEET_BUCKETS) * FLEET_BUCKET_MS - unix_ms + 999) / 1000;
	return false;
}

/* At most `n` in any `window_ms`: where the n-th newest is younger, how long until it is not? */
static int window_wait(struct store *st, const char *uuid, int64_t n, int64_t window_ms, int64_t unix_ms,
		       int64_t *wait_ms)
{
	int64_t at_ms = 0, left;
	int rv = store_sms_nth(st, uuid, n, &at_ms);

	if (rv == ERR_NOTFOUND)
		return 0;
	if (rv)
		return rv;
	left = at_ms + window_ms - unix_ms;
	if (left > *wait_ms)
		*wait_ms = left;
	return 0;
}

static int fleet_add(struct fleet_budget *fb, struct store *st, int64_t unix_ms, int64_t n)
{
	int64_t bucket = unix_ms / FLEET_BUCKET_MS;
	size_t i = (size_t)(bucket % FLEET_BUCKETS);
	int rv;

	if (fb->bucket[i] != bucket) {
		if (n < 0)
			return 0; /* its bucket is over and forgotten */
		fb->bucket[i] = bucket;
		fb->n[i] = 0;
		rv = store_fleet_forget(st, bucket - FLEET_BUCKETS + 1);
		if (rv)
			return rv;
	}
	fb->n[i] = fb->n[i] + n > 0 ? fb->n[i] + n : 0;
	return store_fleet_add(st, bucket, n);
}

/* A clock that was set back must not lock a device out until it has caught up: what lies
 * ahead is written down as of now. A minute ahead is nothing. */
static int come_back(struct store *st, const char *uuid, int64_t unix_ms)
{
	int64_t ahead, now;
	int rv;

	while (!(rv = store_sms_after(st, uuid, unix_ms + CLOCK_SLACK_MS, &ahead))) {
		now = unix_ms;
		rv = store_sms_unused(st, uuid, ahead);
		if (!rv)
			rv = store_sms_used(st, uuid, &now);
		if (rv)
			return rv;
	}
	return rv == ERR_NOTFOUND ? 0 : rv;
}

/* The same for the fleet. */
static int fleet_come_back(struct fleet_budget *fb, struct store *st, int64_t unix_ms)
{
	int64_t now = unix_ms / FLEET_BUCKET_MS, n = fb->ahead;
	int rv;

	for (unsigned i = 0; i < FLEET_BUCKETS; i++) {
		if (fb->n[i] && fb->bucket[i] > now + 1) {
			n += fb->n[i];
			fb->n[i] = 0;
		}
	}
	fb->ahead = 0;
	if (!n)
		return 0;
	rv = store_fleet_forget_after(st, now + 1);
	return rv ? rv : fleet_add(fb, st, unix_ms, n);
}

int budget_check(struct fleet_budget *fb, struct store *st, const struct settings *s, const char *uuid,
		 int64_t unix_ms, int64_t *wait_s)
{
	const struct {
		int64_t n, window_ms;
	} windows[] = {
		{s->v[SETTING_SMS_INTERVAL] == SETTING_OFF ? SETTING_OFF : 1,
		 s->v[SETTING_SMS_INTERVAL] == SETTING_OFF
			 ? 0
			 : (s->v[SETTING_SMS_INTERVAL] + NS_PER_MS_I - 1) / NS_PER_MS_I},
		{s->v[SETTING_SMS_PER_10MIN], TEN_MIN_MS},
		{s->v[SETTING_SMS_PER_DAY], DAY_MS},
	};
	int64_t wait_ms = 0;
	int rv = come_back(st, uuid, unix_ms);

	if (!rv)
		rv = fleet_come_back(fb, st, unix_ms);
	if (rv)
		return rv;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		if (windows[i].n == SETTING_OFF)
			continue;
		if (windows[i].n < 1) {
			wait_ms = windows[i].window_ms;
			continue;
		}
		rv = window_wait(st, uuid, windows[i].n, windows[i].window_ms, unix_ms, &wait_ms);
		if (rv)
			return rv;
	}
	if (wait_ms > 0) {
		*wait_s = (wait_ms + 999) / 1000;
		return ERR_BUSY;
	}
	return fleet_allows(fb, s->v[SETTING_FLEET_SMS_PER_DAY], unix_ms, wait_s) ? 0 : ERR_BUSY;
}

int budget_take(struct fleet_budget *fb, struct store *st, const char *uuid, int64_t unix_ms, int64_t *used_ms)
{
	int rv;

	*used_ms = unix_ms;
	rv = store_sms_used(st, uuid, used_ms);
	if (!rv)
		rv = store_ledger_add(st, unix_ms, uuid, 1, 0);
	return rv ? rv : fleet_add(fb, st, *used_ms, 1);
}

int budget_return(struct fleet_budget *fb, struct store *st, const char *uuid, int64_t used_ms)
{
	int rv = store_sms_unused(st, uuid, used_ms);

	if (!rv)
		rv = store_ledger_add(st, used_ms, uuid, 0, 1);
	return rv ? rv : fleet_add(fb, st, used_ms, -1);
}

/* ---- strangers ---- */

struct stranger {
	uint8_t prefix[9]; /* family and the first 4 or 8 bytes */
	uint64_t newest;   /* slot number of the last refusal + 1; 0: free */
	uint32_t n[STRANGER_SLOTS];
};

struct strangers {
	uint8_t key[32];
	struct stranger sets[STRANGER_SETS][STRANGER_WAYS];
};

struct strangers *strangers_new(struct secret_source *secret)
{
	struct strangers *s = calloc(1, sizeof(*s));

	if (s)
		secret_fill(secret, s->key, sizeof(s->key));
	return s;
}

void strangers_free(struct strangers *s)
{
	free(s);
}

static void prefix_of(const struct addr *addr, uint8_t out[9])
{
	memset(out, 0, 9);
	if (addr->u.sa.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr)) {
		out[0] = 6;
		memcpy(out + 1, &addr->u.in6.sin6_addr, 8);
	} else if (addr->u.sa.sa_family == AF_INET6) {
		out[0] = 4;
		memcpy(out + 1, addr->u.in6.sin6_addr.s6_addr + 12, 4);
	} else {
		out[0] = 4;
		memcpy(out + 1, &addr->u.in.sin_addr, 4);
	}
}

/* The source's own entry, or the one that was quiet longest, emptied. */
static struct stranger *find(struct strangers *s, const uint8_t prefix[9])
{
	uint8_t digest[HASH_SIZE];
	struct stranger *set, *victim;

	/* keyed, so that nobody can choose whose entry to push out */
	hash_hmac_sha256(s->key, sizeof(s->key), prefix, 9, digest);
	set = s->sets[(digest[0] | digest[1] << 8) % STRANGER_SETS];
	victim = set;
	for (unsigned i = 0; i < STRANGER_WAYS; i++) {
		if (set[i].newest && memcmp(set[i].prefix, prefix, 9) == 0)
			return &set[i];
		if (set[i].newest < victim->newest)
			victim = &set[i];
	}
	memset(victim, 0, sizeof(*victim));
	memcpy(victim->prefix, prefix, 9);
	return victim;
}

bool strangers_count(struct strangers *s, const struct addr *addr, int64_t limit, time_ns now, int64_t *wait_s)
{
	uint64_t slot = now / (STRANGER_SLOT_S * NS_PER_S) + 1, sum = 0, oldest;
	uint8_t prefix[9];
	struct stranger *st;

	if (limit == SETTING_OFF)
		return true;
	prefix_of(addr, prefix);
	st = find(s, prefix);
	for (uint64_t i = st->newest + 1; i <= slot && i <= st->newest + STRANGER_SLOTS; i++)
		st->n[i % STRANGER_SLOTS] = 0;
	if (slot > st->newest)
		st->newest = slot;
	for (unsigned i = 0; i < STRANGER_SLOTS; i++)
		sum += st->n[i];
	if (sum < (uint64_t)limit) {
		st->n[slot % STRANGER_SLOTS]++;
		return true;
	}
	for (oldest = slot > STRANGER_SLOTS - 1 ? slot - STRANGER_SLOTS + 1 : 1; oldest < slot; oldest++)
		if (st->n[oldest % STRANGER_SLOTS])
			break;
	*wait_s = (int64_t)((oldest - 1 + STRANGER_SLOTS) * STRANGER_SLOT_S - now / NS_PER_S);
	return false;
}
