/* What operators do with devices (enroll.h). */
#include "server/enroll_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plant.h"

#define LIVE_MAX 16

int enroll_disable(struct enroll *en, const char *uuid, bool disabled)
{
	const struct registry_device *dev;
	struct store_device row;
	int rv = enroll_device(en, uuid, &dev, &row);

	if (rv)
		return rv;
	row.disabled = disabled;
	rv = store_decide(en->store);
	if (!rv)
		rv = store_device_put(en->store, &row);
	return store_decided(en->store, rv == 0) || rv ? ERR_IO : 0;
}

int enroll_lift(struct enroll *en, const char *uuid, bool *was)
{
	const struct registry_device *dev;
	struct store_device row;
	int rv = enroll_device(en, uuid, &dev, &row);

	if (rv)
		return rv;
	*was = row.quarantined;
	row.quarantined = false;
	rv = store_decide(en->store);
	if (!rv)
		rv = store_device_put(en->store, &row);
	if (!rv)
		rv = store_marks_forget(en->store, uuid, STORE_MARK_REUSE);
	return store_decided(en->store, rv == 0) || rv ? ERR_IO : 0;
}

/* An event that no request asked for. */
static void tell(struct effects *fx, const struct instant *at, const char *uuid, enum journal_kind kind,
		 const struct journal_value *v, size_t n)
{
	effects_event(fx, NULL, true, at->now, uuid, NULL, NULL, kind, v, n);
}

static int void_codes(struct enroll *en, const struct instant *at, const char *uuid, struct effects *fx)
{
	struct store_registration live[LIVE_MAX];
	int n, rv;

	do {
		n = store_registration_live(en->store, uuid, live, LIVE_MAX);
		for (int i = 0; i < n; i++) {
			live[i].state = STORE_CODE_VOID;
			rv = store_registration_put(en->store, &live[i]);
			if (rv)
				return rv;
			if (!live[i].totp)
				tell(fx, at, uuid, J_CODE_VOID,
				     (const struct journal_value[]){JS(CODE_FP, live[i].code_fp), JS(WHY, "operator")}, 2);
		}
	} while (n == LIVE_MAX);
	return n < 0 ? n : 0;
}

static int drop_commands(struct enroll *en, const struct instant *at, const char *uuid, struct effects *fx)
{
	struct store_command c;
	int rv;

	while ((rv = store_command_next(en->store, uuid, 0, &c)) == 0) {
		rv = store_command_delete(en->store, &c);
		if (rv)
			return rv;
		tell(fx, at, uuid, J_COMMAND_CLOSED,
		     (const struct journal_value[]){JS(ID, c.id), JS(NAME, c.name), JS(WHY, "decommissioned")}, 3);
	}
	return rv == ERR_NOTFOUND ? 0 : rv;
}

/* Nothing of what a device had is good any more. Within a decision. */
static int strip(struct enroll *en, const struct instant *at, struct store_device *row, struct effects *fx)
{
	int rv = void_codes(en, at, row->uuid, fx);

	if (!rv)
		rv = drop_commands(en, at, row->uuid, fx);
	if (rv || !row->fam[0] || row->revoked || PLANTED(DECOMMISSION_KEEPS))
		return rv;
	row->revoked = true;
	en->counts.revoked++;
	tell(fx, at, row->uuid, J_TOKEN_REVOKED,
	     (const struct journal_value[]){JS(JTI, row->refresh_jti), JS(FAM, row->fam), JS(WHY, "decommissioned")}, 3);
	return store_device_put(en->store, row);
}

int enroll_decommission(struct enroll *en, const struct instant *at, const char *uuid, struct effects *fx)
{
	const struct registry_device *dev;
	struct effects_mark mark = effects_mark(fx);
	struct store_device row;
	int rv = enroll_device(en, uuid, &dev, &row);

	if (rv)
		return rv;
	rv = store_decide(en->store);
	if (!rv)
		rv = strip(en, at, &row, fx);
	row.disabled = 1;
	if (!rv)
		rv = store_device_put(en->store, &row);
	if (store_decided(en->store, rv == 0) && !rv)
		rv = ERR_IO;
	if (rv)
		effects_back_to(fx, &mark);
	return rv;
}

int enroll_readmit(struct enroll *en, const char *uuid)
{
	bool was;
	int rv = enroll_disable(en, uuid, false);

	return rv ? rv : enroll_lift(en, uuid, &was);
}

/* ---- the registry against what is held ---- */

struct holders {
	const struct registry *registry;
	char (*uuid)[UUID_LEN + 1]; /* heap */
	size_t n, room;
	int rv;
};

/* Gathers who holds something that the registry does not grant. */
static void one_holder(void *ctx, const char *uuid)
{
	struct holders *h = ctx;
	const struct registry_device *dev = registry_find(h->registry, uuid);
	char(*more)[UUID_LEN + 1];

	if (h->rv || (dev && !dev->disabled))
		return;
	if (h->n == h->room) {
		more = realloc(h->uuid, (h->room ? 2 * h->room : 64) * sizeof(*more));
		if (!more) {
			h->rv = ERR_NOMEM;
			return;
		}
		h->uuid = more;
		h->room = h->room ? 2 * h->room : 64;
	}
	snprintf(h->uuid[h->n++], sizeof(h->uuid[0]), "%s", uuid);
}

static int strip_holder(struct enroll *en, const struct instant *at, const struct registry *registry, const char *uuid,
			struct effects *fx)
{
	struct store_device row;
	int rv = store_device_get(en->store, uuid, &row);

	if (rv && rv != ERR_NOTFOUND)
		return rv;
	/* the operator's word stands above the registry's */
	return registry_find(registry, uuid) && row.disabled == 0 ? 0 : strip(en, at, &row, fx);
}

int enroll_strip(struct enroll *en, const struct instant *at, const struct registry *registry, struct effects *fx)
{
	struct effects_mark mark = effects_mark(fx);
	struct holders h = {.registry = registry};
	int rv = store_decide(en->store);

	if (!rv)
		rv = store_holder_each(en->store, one_holder, &h);
	if (!rv)
		rv = h.rv;
	for (size_t i = 0; !rv && i < h.n; i++)
		rv = strip_holder(en, at, registry, h.uuid[i], fx);
	free(h.uuid);
	if (store_decided(en->store, rv == 0) && !rv)
		rv = ERR_IO;
	if (rv)
		effects_back_to(fx, &mark);
	return rv;
}

void enroll_set_registry(struct enroll *en, struct registry *fresh)
{
	en->registry = fresh;
}
