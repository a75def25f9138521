/* publishMeasure, and resources that nobody knows (protocol.md §4, Publish). */
#include "server/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/plant.h"
#include "server/enroll_internal.h"

static void refuse_token(struct enroll_call *c, int rv)
{
	if (rv == ERR_LIMIT)
		reply_refuse(c->r, 413, "token", NULL, -1);
	else if (rv == ERR_EXPIRED)
		reply_refuse(c->r, 401, "expired", "TOKEN EXPIRED", -1);
	else
		reply_refuse(c->r, 401, "token", "INVALID TOKEN", -1);
}

/* The access token's owner may act: 0 with c->r undecided, or decided. */
static int admit(struct enroll_call *c, const char *uuid, const struct registry_device **dev)
{
	struct token_claims t;
	struct store_device row;
	int rv = family_token(c, TOKEN_ACCESS, &t);

	if (rv == ERR_NOMEM || rv == ERR_IO)
		return rv;
	if (rv) {
		refuse_token(c, rv);
		return 0;
	}
	if (uuid && strcmp(t.sub, uuid) != 0 && !PLANTED(UUID_NOT_CHECKED)) {
		reply_refuse(c->r, 401, "owner", "INVALID TOKEN", -1);
		return 0;
	}
	rv = enroll_device(c->en, t.sub, dev, &row);
	if (rv == ERR_NOTFOUND) {
		reply_refuse(c->r, 403, "unknown", NULL, -1);
		return 0;
	}
	if (!rv && family_alive(&row, t.fam))
		rv = family_presented(c, &row, t.jti);
	if (rv)
		return rv;
	if (enroll_barred(*dev, &row) && !PLANTED(DISABLED_SERVED))
		reply_refuse(c->r, 403, enroll_barred(*dev, &row), NULL, -1);
	else if (!family_alive(&row, t.fam))
		reply_refuse(c->r, 401, "family", "INVALID TOKEN", -1);
	return 0;
}

int enroll_publish(struct enroll_call *c)
{
	const struct registry_device *dev = NULL;
	char ack[48];
	int rv = admit(c, c->m->uuid, &dev);

	if (rv || c->r->code)
		return rv;
	if (strcmp(dev->device_type, c->m->device_type) != 0) {
		reply_refuse(c->r, 403, "mismatch", NULL, -1);
		return 0;
	}
	snprintf(ack, sizeof(ack), "ACK for %" PRId64, c->m->timestamp);
	reply_set(c->r, 200, "ok", json_pack("{s:s}", "message", ack));
	c->en->counts.publishes++;
	return 0;
}

int enroll_other(struct enroll_call *c)
{
	const struct registry_device *dev;
	int rv = admit(c, NULL, &dev);

	if (!rv && !c->r->code)
		reply_refuse(c->r, PLANTED(FALLS_THROUGH) ? 200 : 404, "resource", NULL, -1);
	return rv;
}
