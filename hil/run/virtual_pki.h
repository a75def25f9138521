/* The fixed key set of simulations. */
#ifndef HIL_RUN_VIRTUAL_PKI_H
#define HIL_RUN_VIRTUAL_PKI_H

#include "core/pki.h"

/* Fills `out` with constants: never call pki_fini on it. */
void virtual_pki(struct pki *out);

/* The private half of a second token key, for a rotation. */
const char *virtual_next_token_key(void);

#endif
