/* refreshToken: rotation, its grace, and what reuse costs (protocol.md §4, Refresh). */
#include "server/enroll_internal.h"

#include <string.h>

#include "core/plant.h"

#define DAY_MS            (24 * 3600 * INT64_C(1000))
#define QUARANTINE_REUSES 3 /* in a day */

static int gone(struct enroll_call *c, const char *why)
{
	reply_refuse(c->r, PLANTED(GONE_UNREACHABLE) ? 401 : 700, why, NULL, -1);
	return 0;
}

static int rotate(struct enroll_call *c, const struct registry_device *dev, struct store_device *row)
{
	int rv = family_rotate(c, row);

	if (rv)
		return rv;
	c->en->counts.refreshes++;
	return family_reply(c, dev, row);
}

/* Of the last three in a day, where the oldest of them lies. */
static int third(struct enroll_call *c, const char *uuid, bool *yes)
{
	int64_t at_ms = 0;
	int rv = store_mark_nth(c->en->store, uuid, STORE_MARK_REUSE, QUARANTINE_REUSES, &at_ms);

	*yes = !rv && at_ms > c->at->unix_ms - DAY_MS && !PLANTED(QUARANTINE_NEVER);
	return rv == ERR_NOTFOUND ? 0 : rv;
}

/* A token that was used before: somebody else has it too, or the device lost a reply for
 * too long. Only where a successor was shown as well are there two for sure. */
static int reused(struct enroll_call *c, struct store_device *row, const char *jti)
{
	bool counts = row->presented || strcmp(jti, row->prev_jti) != 0;
	bool quarantine = false;
	int rv = 0;

	if (counts) {
		c->en->counts.reuses++;
		FX(c->fx, c->r, c->at, row->uuid, c->r->req, c->r->reg, J_SERVER_ALARM, JS(NAME, "reuse"));
		rv = store_mark(c->en->store, row->uuid, STORE_MARK_REUSE, c->at->unix_ms);
		if (!rv)
			rv = third(c, row->uuid, &quarantine);
	}
	if (rv)
		return rv;
	row->quarantined = quarantine;
	rv = family_revoke(c, row, "reuse");
	if (rv || !quarantine)
		return rv ? rv : gone(c, "reused");
	c->en->counts.quarantined++;
	FX(c->fx, c->r, c->at, row->uuid, c->r->req, c->r->reg, J_SERVER_ALARM, JS(NAME, "quarantine"));
	reply_refuse(c->r, 403, "quarantined", NULL, -1);
	return 0;
}

/* A good refresh token of this device, of the family on record. */
static int use(struct enroll_call *c, const struct registry_device *dev, struct store_device *row, const char *jti)
{
	int rv;

	if (strcmp(jti, row->refresh_jti) == 0)
		return rotate(c, dev, row);
	if (row->prev_jti[0] && strcmp(jti, row->prev_jti) == 0 && family_grace_left(c->en, row, c->at, false)) {
		rv = family_reply(c, dev, row);
		if (!rv)
			c->r->why = "grace";
		return rv;
	}
	return reused(c, row, jti);
}

int enroll_refresh(struct enroll_call *c)
{
	const struct msg_request *m = c->m;
	const struct registry_device *dev;
	struct token_claims t;
	struct store_device row;
	int rv = family_token(c, TOKEN_REFRESH, &t);

	if (rv == ERR_NOMEM || rv == ERR_IO)
		return rv;
	if (rv == ERR_LIMIT) {
		reply_refuse(c->r, 413, "token", NULL, -1);
		return 0;
	}
	if (rv)
		return gone(c, rv == ERR_EXPIRED ? "expired" : "token");
	if (strcmp(t.sub, m->uuid) != 0 && !PLANTED(REFRESH_FOR_BODY))
		return gone(c, "owner");
	rv = enroll_device(c->en, m->uuid, &dev, &row);
	if (rv == ERR_NOTFOUND) {
		reply_refuse(c->r, 403, "unknown", NULL, -1);
		return 0;
	}
	if (rv)
		return rv;
	if (enroll_barred(dev, &row) || strcmp(dev->device_type, m->device_type) != 0 ||
	    strcmp(dev->serial_id, m->serial_id) != 0) {
		reply_refuse(c->r, 403, enroll_barred(dev, &row) ? enroll_barred(dev, &row) : "mismatch", NULL, -1);
		/* shown is shown, whatever the answer */
		return family_alive(&row, t.fam) ? family_presented(c, &row, t.jti) : 0;
	}
	if (!row.fam[0] || strcmp(row.fam, t.fam) != 0)
		return gone(c, "family");
	return row.revoked ? gone(c, "revoked") : use(c, dev, &row, t.jti);
}
