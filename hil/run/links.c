#include "hil/run/links.h"

#include <stdio.h>
#include <stdlib.h>

int links_make(struct links *ls, const struct plan *p, struct err *e)
{
	unsigned n = plan_count(p), groups = plan_groups(p);
	int rv;

	if (!plan_wants_links(p))
		return 0;
	ls->specs = calloc(groups, sizeof(*ls->specs));
	ls->v = calloc(n, sizeof(*ls->v));
	if (!ls->specs || !ls->v)
		return err_set(e, ERR_NOMEM, "out of memory for %u links", n);
	for (unsigned g = 0; g < groups; g++) {
		rv = link_spec_read(plan_network(p, g), &ls->specs[g], e);
		if (rv)
			return rv;
	}
	for (unsigned i = 0; i < n; i++) {
		/* by what a device is called: its place changes with its neighbours */
		link_init(&ls->v[i], &ls->specs[plan_device(p, i)->group], plan_seed(p), plan_device(p, i)->label);
	}
	ls->plan = p;
	ls->n = n;
	return 0;
}

void links_free(struct links *ls)
{
	free(ls->specs);
	free(ls->v);
	*ls = (struct links){0};
}

void links_start(struct links *ls, time_ns now)
{
	for (unsigned i = 0; i < ls->n; i++)
		link_start(&ls->v[i], now);
}

static void tell(const struct links *ls, struct journal *journal, time_ns now, unsigned index,
		 enum journal_kind kind, const char *name)
{
	const struct plan_device *d = plan_device(ls->plan, index);

	JOURNAL(journal, now, d->label, d->identity.uuid, NULL, NULL, kind, JS(NAME, name));
}

void links_act(struct links *ls, struct journal *journal, time_ns now, unsigned index, const struct plan_net *what)
{
	static const char *const names[] = {[PLAN_NET_BLACKHOLE] = "blackhole",
					    [PLAN_NET_DROP] = "drop",
					    [PLAN_NET_REBIND_PORT] = "rebind_port",
					    [PLAN_NET_REBIND_ADDRESS] = "rebind_address"};
	struct link *l = index < ls->n ? &ls->v[index] : NULL;

	if (!l)
		return;
	tell(ls, journal, now, index, J_NET_FAULT, names[what->what]);
	switch (what->what) {
	case PLAN_NET_BLACKHOLE:
		link_blackhole(l, time_add(now, what->length));
		break;
	case PLAN_NET_DROP:
		link_drop(l, LINK_UP, what->up);
		link_drop(l, LINK_DOWN, what->down);
		break;
	case PLAN_NET_REBIND_PORT:
		link_rebind(l, LINK_NEW_PORT);
		break;
	case PLAN_NET_REBIND_ADDRESS:
		link_rebind(l, LINK_NEW_ADDRESS);
		break;
	}
}

void links_rebound(const struct links *ls, struct journal *journal, time_ns now, unsigned index,
		   enum link_rebind what)
{
	tell(ls, journal, now, index, J_NET_REBOUND, links_rebind_name(what));
}

const char *links_rebind_name(enum link_rebind what)
{
	return what == LINK_NEW_ADDRESS ? "address" : "port";
}
