/* login: a live, unused, matching code becomes a token family (protocol.md §4, Code). */
#include "server/enroll_internal.h"

#include <stdio.h>
#include <string.h>

#include "core/plant.h"
#include "server/totp.h"

#define LIVE_MAX 64 /* codes of one device that a login voids in one go */

/* Every doubt has one answer, so that a guess tells nothing. */
static int refuse(struct enroll_call *c, const char *why)
{
	reply_refuse(c->r, 401, why, "INVALID CODE", -1);
	return 0;
}

static int void_code(struct enroll_call *c, struct store_registration *reg, const char *why)
{
	reg->state = STORE_CODE_VOID;
	if (!reg->totp)
		FX(c->fx, c->r, c->at, reg->uuid, c->r->req, c->r->reg, J_CODE_VOID, JS(CODE_FP, reg->code_fp), JS(WHY, why));
	return store_registration_put(c->en->store, reg);
}

static int wrong_code(struct enroll_call *c, struct store_registration *reg)
{
	int rv;

	if (reg->totp) {
		rv = totp_wrong(c);
		return rv ? rv : refuse(c, "wrong");
	}
	reg->tries++;
	rv = reg->tries >= c->en->settings->v[SETTING_CODE_TRIES] ? void_code(c, reg, "tries")
								  : store_registration_put(c->en->store, reg);
	return rv ? rv : refuse(c, "wrong");
}

/* All other codes of the uuid die with a login. */
static int void_others(struct enroll_call *c, const char *uuid)
{
	struct store_registration live[LIVE_MAX];
	int n, rv;

	do {
		n = store_registration_live(c->en->store, uuid, live, LIVE_MAX);
		for (int i = 0; i < n; i++) {
			rv = void_code(c, &live[i], "login");
			if (rv)
				return rv;
		}
	} while (n == LIVE_MAX);
	return n < 0 ? n : 0;
}

static int grant(struct enroll_call *c, const struct registry_device *dev, struct store_device *row,
		 struct store_registration *reg)
{
	int rv = family_start(c, row);

	if (rv)
		return rv;
	reg->state = PLANTED(CODE_NOT_SPENT) ? STORE_CODE_LIVE : STORE_CODE_USED;
	memcpy(reg->fam, row->fam, sizeof(reg->fam));
	rv = store_registration_put(c->en->store, reg);
	if (!rv && !PLANTED(CODE_NOT_SPENT))
		rv = void_others(c, row->uuid);
	if (rv)
		return rv;
	if (!reg->totp) {
		FX(c->fx, c->r, c->at, reg->uuid, c->r->req, c->r->reg, J_CODE_USED, JS(CODE_FP, reg->code_fp));
		c->en->counts.codes_used++;
	}
	c->en->counts.logins++;
	return family_reply(c, dev, row);
}

/* The code is of a time step that was not used yet. It is kept as an SMS's is, for the grace. */
static int judge_totp(struct enroll_call *c, const struct registry_device *dev, struct store_device *row,
		      struct store_registration *reg, const uint8_t mac[HASH_SIZE])
{
	int64_t step = totp_step(dev, row, c->at->unix_ms, c->m->code);

	if (!step)
		return wrong_code(c, reg);
	row->totp_step = step;
	row->totp_at_ms = c->at->unix_ms;
	memcpy(reg->mac, mac, sizeof(reg->mac));
	return grant(c, dev, row, reg);
}

/* A lost reply, asked for again with the code of a newer step: a device shows what is right
 * when it asks. That step is used, too. ERR_AUTH: it is none. */
static int next_totp(struct enroll_call *c, const struct registry_device *dev, struct store_device *row,
		     struct store_registration *reg, const uint8_t mac[HASH_SIZE])
{
	int64_t step = totp_step(dev, row, c->at->unix_ms, c->m->code);
	int rv;

	if (!step || step <= row->totp_step)
		return ERR_AUTH;
	row->totp_step = step;
	row->totp_at_ms = c->at->unix_ms;
	memcpy(reg->mac, mac, sizeof(reg->mac));
	rv = store_registration_put(c->en->store, reg);
	return rv ? rv : store_device_put(c->en->store, row);
}

static int judge(struct enroll_call *c, const struct registry_device *dev, struct store_device *row,
		 struct store_registration *reg, const uint8_t mac[HASH_SIZE])
{
	int rv;

	switch (reg->state) {
	case STORE_CODE_LIVE:
		if (!code_left(reg, c->en->boot, c->at) && !PLANTED(CODE_NEVER_EXPIRES)) {
			rv = void_code(c, reg, "expired");
			return rv ? rv : refuse(c, "expired");
		}
		if (reg->totp)
			return judge_totp(c, dev, row, reg, mac);
		if (!hash_equal(mac, reg->mac, HASH_SIZE) && !PLANTED(LOGIN_WITHOUT_CODE))
			return wrong_code(c, reg);
		return grant(c, dev, row, reg);
	case STORE_CODE_USED:
		if (PLANTED(LOGIN_GRACE_FORGOTTEN) || !family_alive(row, reg->fam) ||
		    !family_grace_left(c->en, row, c->at, true))
			return refuse(c, "used");
		rv = hash_equal(mac, reg->mac, HASH_SIZE) ? 0 : reg->totp ? next_totp(c, dev, row, reg, mac) : ERR_AUTH;
		if (rv == ERR_AUTH)
			return wrong_code(c, reg);
		if (!rv)
			rv = family_reply(c, dev, row);
		if (!rv)
			c->r->why = "grace";
		return rv;
	default:
		return refuse(c, "void");
	}
}

int enroll_login(struct enroll_call *c)
{
	const struct msg_request *m = c->m;
	const struct registry_device *dev;
	struct store_registration reg;
	struct store_device row;
	uint8_t mac[HASH_SIZE];
	int rv;

	/* before anything is known, so that an unknown uuid costs the same */
	code_mac(c->en->code_key, m->uuid, m->registration, m->code, mac);
	rv = enroll_device(c->en, m->uuid, &dev, &row);
	if (rv == ERR_NOTFOUND)
		return refuse(c, "unknown");
	if (rv)
		return rv;
	if (enroll_barred(dev, &row))
		return refuse(c, enroll_barred(dev, &row));
	if (strcmp(dev->device_type, m->device_type) != 0 || strcmp(dev->serial_id, m->serial_id) != 0)
		return refuse(c, "mismatch");
	rv = store_registration_get(c->en->store, m->uuid, m->registration, &reg);
	if (rv == ERR_NOTFOUND)
		return refuse(c, "no code");
	if (!rv && reg.totp)
		rv = totp_limited(c);
	if (rv)
		return rv > 0 ? 0 : rv;
	return judge(c, dev, &row, &reg, mac);
}
