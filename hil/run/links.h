/* The links of a scenario's devices, made from its plan; alike on every rig that has
 * the link model between devices and server. */
#ifndef HIL_RUN_LINKS_H
#define HIL_RUN_LINKS_H

#include "hil/run/plan.h"
#include "sim/link.h"

struct links {
	struct link_spec *specs; /* owned, one a device's group */
	struct link *v;		 /* owned, one a device; NULL: the plan wants none */
	const struct plan *plan; /* borrowed */
	unsigned n;
};

/* Zero-initialise. None where the plan has no network. 0,
 * ERR_PARSE (a member of `network` that is wrong), ERR_NOMEM; links_free in any case. */
int links_make(struct links *ls, const struct plan *p, struct err *e);
void links_free(struct links *ls);
/* The scenario's time begins. */
void links_start(struct links *ls, time_ns now);
/* What a step or a fault does to one of them; told as net.fault. */
void links_act(struct links *ls, struct journal *journal, time_ns now, unsigned index, const struct plan_net *what);
/* Tells that the server sees one of them elsewhere from now on: net.rebound. */
void links_rebound(const struct links *ls, struct journal *journal, time_ns now, unsigned index,
		   enum link_rebind what);
/* "port", "address": the journal's name of it. */
const char *links_rebind_name(enum link_rebind what);

#endif
