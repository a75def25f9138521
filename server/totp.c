#include "server/totp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <liboath/oath.h>

#include "core/plant.h"
#include "server/clock.h"
#include "server/register.h"

#define STEP_S        30 /* RFC 6238 §4.1 */
#define DIGITS        6
#define DRIFT         1  /* steps, either way: RFC 6238 §5.2 */
#define TEN_MIN_MS    (600 * INT64_C(1000))
#define DAY_MS        (24 * 3600 * INT64_C(1000))
#define DAY_FACTOR    4  /* tries in a day to tries in ten minutes */
#define REGISTERS     16 /* of one device in ten minutes; no SMS budget bounds them */
#define REMEMBER_MS   DAY_MS

/* ---- register ---- */

/* How long until the `n`-th newest mark leaves its window: 0 it has, or there is none. */
static int wait_of(struct enroll_call *c, enum store_mark kind, int64_t n, int64_t window_ms, int64_t *wait_s)
{
	int64_t at_ms = 0, left;
	int rv = store_mark_nth(c->en->store, c->m->uuid, kind, n, &at_ms);

	if (rv)
		return rv == ERR_NOTFOUND ? 0 : rv;
	left = at_ms + window_ms - c->at->unix_ms;
	if (left > 0 && (left + 999) / 1000 > *wait_s)
		*wait_s = (left + 999) / 1000;
	return 0;
}

/* A time step is used once, so who logged in a moment ago has no code yet that it could
 * show: telling it to wait spares it a 401, behind which devices go IDLE. */
static int64_t next_step_s(const struct store_device *row, int64_t unix_ms)
{
	int64_t left = row->totp_at_ms + STEP_S * INT64_C(1000) - unix_ms;

	return row->totp_at_ms && left > 0 && left <= STEP_S * INT64_C(1000) ? (left + 999) / 1000 : 0;
}

int totp_register(struct enroll_call *c, const struct registry_device *dev, const struct store_device *row)
{
	struct enroll *en = c->en;
	struct store_registration reg = {.state = STORE_CODE_LIVE, .boot = en->boot, .totp = true};
	int64_t wait_s = next_step_s(row, c->at->unix_ms);
	int rv = wait_of(c, STORE_MARK_TOTP_REGISTER, REGISTERS, TEN_MIN_MS, &wait_s);

	if (rv)
		return rv;
	if (wait_s && !PLANTED(TOTP_STEP_REUSED)) {
		reply_refuse(c->r, 429, "totp wait", NULL, wait_s);
		return 0;
	}
	snprintf(reg.uuid, sizeof(reg.uuid), "%s", dev->uuid);
	snprintf(reg.reg, sizeof(reg.reg), "%s", c->m->registration);
	reg.code_len = en->settings->v[SETTING_CODE_TTL];
	reg.code_end = (int64_t)c->at->boot + reg.code_len;
	reg.forget_ms = c->at->unix_ms + REMEMBER_MS +
			(reg.code_len + en->settings->v[SETTING_LOGIN_GRACE]) / (int64_t)NS_PER_MS;
	rv = store_registration_put(en->store, &reg);
	if (!rv)
		rv = store_mark(en->store, reg.uuid, STORE_MARK_TOTP_REGISTER, c->at->unix_ms);
	if (!rv)
		register_granted(en, c->r, "totp", "TOTP");
	return rv;
}

/* ---- login ---- */

int totp_limited(struct enroll_call *c)
{
	int64_t tries = c->en->settings->v[SETTING_TOTP_TRIES], wait_s = 0;
	int rv = PLANTED(TOTP_TRIES_UNLIMITED) ? 0 : wait_of(c, STORE_MARK_TOTP_WRONG, tries, TEN_MIN_MS, &wait_s);

	if (!rv && !PLANTED(TOTP_TRIES_UNLIMITED))
		rv = wait_of(c, STORE_MARK_TOTP_WRONG, DAY_FACTOR * tries, DAY_MS, &wait_s);
	if (rv || !wait_s)
		return rv;
	reply_refuse(c->r, 429, "totp tries", NULL, wait_s);
	return 1;
}

int totp_wrong(struct enroll_call *c)
{
	return store_mark(c->en->store, c->m->uuid, STORE_MARK_TOTP_WRONG, c->at->unix_ms);
}

static bool is_code(const char *secret, size_t len, int64_t step, const char *code)
{
	char want[DIGITS + 1];
	bool is = oath_totp_generate(secret, len, (time_t)(step * STEP_S), STEP_S, 0, DIGITS, want) == OATH_OK &&
		  strlen(code) == DIGITS && hash_equal(want, code, DIGITS);

	explicit_bzero(want, sizeof(want));
	return is;
}

/* A login dated so far ahead was issued by a clock that an operator has called wrong since
 * (clock.h refuses before): its step must not bar those until then. */
static bool step_binds(const struct store_device *row, int64_t unix_ms)
{
	return row->totp_at_ms <= unix_ms + CLOCK_SLACK_MS + CLOCK_STEP_MS;
}

int64_t totp_step(const struct registry_device *dev, const struct store_device *row, int64_t unix_ms, const char *code)
{
	int64_t now = unix_ms / 1000 / STEP_S, found = 0;
	char *secret = NULL;
	size_t len = 0;

	if (oath_base32_decode(dev->totp_secret, strlen(dev->totp_secret), &secret, &len) != OATH_OK)
		return 0;
	/* all of them, whichever fits: the time it takes tells nothing */
	for (int64_t step = now - DRIFT; step <= now + DRIFT; step++)
		if (is_code(secret, len, step, code) && (step > row->totp_step || !step_binds(row, unix_ms) || PLANTED(TOTP_STEP_REUSED)))
			found = step;
	explicit_bzero(secret, len);
	free(secret);
	return found;
}
