/* registerDevice: a code by SMS for whoever is on record (protocol.md §4, Code and SMS). */
#include "server/register.h"

#include <stdio.h>
#include <string.h>

#include "core/plant.h"
#include "server/clock.h"
#include "server/enroll_internal.h"
#include "server/totp.h"

#define REMEMBER_MS (24 * 3600 * INT64_C(1000)) /* a spent registration */

void register_granted(struct enroll *en, struct reply *r, const char *why, const char *method)
{
	reply_set(r, 200, why,
		  json_pack("{s:s, s:s, s:{s:I}}", "serverPublicKey", token_signer_public(en->signer, r->kid),
			    "twoAuthMethod", method, "deviceConfig", "publishInterval",
			    (json_int_t)(en->settings->v[SETTING_PUBLISH_INTERVAL] / (int64_t)NS_PER_S)));
}

/* Registers that end in 403 are counted by source; matching ones never are. */
static void refuse_stranger(struct enroll_call *c, const char *why)
{
	int64_t wait_s = 0;

	if (c->r->peer && !strangers_count(c->en->strangers, &c->r->peer->addr,
					   c->en->settings->v[SETTING_STRANGER_REGISTERS_PER_HOUR], c->at->now, &wait_s))
		reply_refuse(c->r, 429, "strangers", NULL, wait_s > 0 ? wait_s : 1);
	else
		reply_refuse(c->r, 403, why, NULL, -1);
}

static bool offers(const struct registry_device *dev, const char *method)
{
	for (unsigned i = 0; i < REGISTRY_METHODS && dev->methods[i][0]; i++)
		if (strcmp(dev->methods[i], method) == 0)
			return true;
	return false;
}

/* The first of the device's list that we offer it: of SMS and TOTP, which we implement, what
 * is on record. NULL: none. */
static const char *common_method(const struct msg_request *m, const struct registry_device *dev)
{
	for (unsigned i = 0; i < m->methods_n; i++) {
		if (strcmp(m->methods[i], "SMS") == 0 && offers(dev, "SMS"))
			return "SMS";
		if (strcmp(m->methods[i], "TOTP") == 0 && offers(dev, "TOTP") && dev->totp_secret[0])
			return "TOTP";
	}
	return NULL;
}

/* The same registration again: its code or its login's grace still has a tenth to live. */
static bool still_good(struct enroll_call *c, const struct store_registration *reg, const struct store_device *row)
{
	if (reg->state == STORE_CODE_LIVE)
		return code_tenth_left(code_left(reg, c->en->boot, c->at), reg->code_len);
	if (reg->state == STORE_CODE_USED && family_alive(row, reg->fam))
		return code_tenth_left(family_grace_left(c->en, row, c->at, true),
				       c->en->settings->v[SETTING_LOGIN_GRACE]);
	return false;
}

static int issue(struct enroll_call *c, const struct registry_device *dev)
{
	struct enroll *en = c->en;
	struct store_registration reg = {.state = STORE_CODE_LIVE, .boot = en->boot};
	char code[CODE_LEN + 1];
	int rv;

	code_draw(en->secret, code);
	snprintf(reg.uuid, sizeof(reg.uuid), "%s", dev->uuid);
	snprintf(reg.reg, sizeof(reg.reg), "%s", c->m->registration);
	code_mac(en->code_key, reg.uuid, reg.reg, code, reg.mac);
	hash_fingerprint(en->run_key, code, reg.code_fp);
	reg.code_len = en->settings->v[SETTING_CODE_TTL];
	reg.code_end = (int64_t)c->at->boot + reg.code_len;
	reg.forget_ms = c->at->unix_ms + REMEMBER_MS +
			(reg.code_len + en->settings->v[SETTING_LOGIN_GRACE]) / (int64_t)NS_PER_MS;
	rv = store_registration_put(en->store, &reg);
	if (!rv)
		rv = clock_issued(en, c->at->unix_ms);
	if (!rv) {
		FX(c->fx, c->r, c->at, reg.uuid, c->r->req, c->r->reg, J_CODE_ISSUED, JS(CODE_FP, reg.code_fp));
		rv = outbox_add(en, c->at, &reg, code, c->r, c->fx);
	}
	explicit_bzero(code, sizeof(code));
	if (!rv) {
		en->counts.codes_issued++;
		c->parked = true;
	}
	return rv;
}

static int new_code(struct enroll_call *c, const struct registry_device *dev, const struct store_registration *old)
{
	struct enroll *en = c->en;
	int64_t wait_s = 0;
	int rv = budget_check(&en->fleet, en->store, en->settings, dev->uuid, c->at->unix_ms, &wait_s);

	if (rv == ERR_BUSY && PLANTED(BUDGET_IGNORED))
		rv = 0;
	if (rv == ERR_BUSY) {
		reply_refuse(c->r, 429, "budget", NULL, wait_s > 0 ? wait_s : 1);
		return 0;
	}
	if (rv)
		return rv;
	if (old && old->state == STORE_CODE_LIVE && !old->totp)
		FX(c->fx, c->r, c->at, dev->uuid, c->r->req, c->r->reg, J_CODE_VOID, JS(CODE_FP, old->code_fp),
		   JS(WHY, "replaced"));
	return issue(c, dev);
}

static void again(struct enroll_call *c, const struct store_registration *reg)
{
	/* the gateway has not spoken yet: wait with whoever asked first */
	if (!reg->totp)
		c->parked = outbox_join(c->en, c->at, reg, c->r);
	if (!c->parked)
		register_granted(c->en, c->r, "again", reg->totp ? "TOTP" : "SMS");
}

int enroll_register(struct enroll_call *c)
{
	const struct msg_request *m = c->m;
	const struct registry_device *dev;
	struct store_registration reg;
	struct store_device row;
	const char *method;
	bool totp;
	int rv = enroll_device(c->en, m->uuid, &dev, &row);

	if (rv == ERR_NOTFOUND) {
		refuse_stranger(c, "unknown");
		return 0;
	}
	if (rv)
		return rv;
	if (enroll_barred(dev, &row)) {
		refuse_stranger(c, enroll_barred(dev, &row));
		return 0;
	}
	if (strcmp(dev->device_type, m->device_type) != 0 || strcmp(dev->serial_id, m->serial_id) != 0 ||
	    strcmp(dev->network_id, m->network_id) != 0) {
		FX(c->fx, c->r, c->at, m->uuid, c->r->req, c->r->reg, J_SERVER_ALARM, JS(NAME, "mismatch"));
		refuse_stranger(c, "mismatch");
		return 0;
	}
	method = common_method(m, dev);
	if (!method) {
		reply_refuse(c->r, 412, "method", NULL, -1);
		return 0;
	}
	totp = strcmp(method, "TOTP") == 0;
	rv = store_registration_get(c->en->store, m->uuid, m->registration, &reg);
	if (rv == ERR_NOTFOUND)
		return totp ? totp_register(c, dev, &row) : new_code(c, dev, NULL);
	if (rv)
		return rv;
	/* a registration has one method, as it has one code */
	if (reg.totp == totp && still_good(c, &reg, &row) && !PLANTED(SECOND_SMS)) {
		again(c, &reg);
		return 0;
	}
	if (m->registration[0] && !PLANTED(SECOND_SMS)) {
		reply_refuse(c->r, 400, "spent", "REGISTRATION SPENT", -1);
		return 0;
	}
	return totp ? totp_register(c, dev, &row) : new_code(c, dev, &reg);
}
