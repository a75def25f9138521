/* refreshToken: rotation, its grace, and what reuse costs (protocol.md §4, Refresh). */
#include "server/enroll_internal.h"

#include <string.h>

#include "core/plant.h"

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
	rv = family_revoke(c, row, "reuse");
	return rv ? rv : gone(c, "reused");
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
	if (enroll_disabled(dev, &row) || strcmp(dev->device_type, m->device_type) != 0 ||
	    strcmp(dev->serial_id, m->serial_id) != 0) {
		reply_refuse(c->r, 403, enroll_disabled(dev, &row) ? "disabled" : "mismatch", NULL, -1);
		/* shown is shown, whatever the answer */
		return family_alive(&row, t.fam) ? family_presented(c, &row, t.jti) : 0;
	}
	if (!row.fam[0] || strcmp(row.fam, t.fam) != 0)
		return gone(c, "family");
	return row.revoked ? gone(c, "revoked") : use(c, dev, &row, t.jti);
}
