/* Seeds the gnutls_rnd that quicrig-virtual defines for itself (sim/virtual_rnd.c).
 * That file is linked into that one binary only: it makes every key predictable. */
#ifndef SIM_VIRTUAL_RND_H
#define SIM_VIRTUAL_RND_H

#include <stdint.h>

void virtual_rnd_seed(uint64_t seed);

#endif
