/* The outside of a NAT before a span of inside addresses (those of `base` and of the
 * ports above it): who was rebound, and whose an outside address is. An address that
 * was never rebound is seen as it is. No randomness: the same calls give the same
 * addresses. */
#ifndef SIM_NAT_H
#define SIM_NAT_H

#include <stdbool.h>

#include "core/world.h"

struct nat;
/* NULL: no memory. */
struct nat *nat_new(const struct addr *base, unsigned span);
void nat_free(struct nat *n);

/* `inside` (from 0) is seen from another port, or (`address`) from another address, of
 * 10.0.0.0/8 that nobody had before. What it was seen as leads nowhere from then on.
 * 0, ERR_LIMIT (no port is left: it is seen as before), ERR_NOMEM (seen as itself). */
int nat_rebind(struct nat *n, unsigned inside, bool address);
/* What `inside` is seen as; good until it is rebound. */
const struct addr *nat_outside(const struct nat *n, unsigned inside);
/* Whose `outside` is; negative: nobody's, or an address from before its rebinding. */
int nat_inside(const struct nat *n, const struct addr *outside);

#endif
