/* gnutls_rnd for quicrig-virtual alone: GnuTLS and ngtcp2's helper call it through the
 * PLT, so the executable's own definition makes a run repeat byte for byte
 * (ngtcp2-notes: determinism under the virtual clock). Never link this elsewhere. */
#include "sim/virtual_rnd.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "core/rng.h"

static struct rng stream = {{1, 2, 3, 4}};

void virtual_rnd_seed(uint64_t seed)
{
	rng_init(&stream, seed, "gnutls", "rnd");
}

int gnutls_rnd(gnutls_rnd_level_t level, void *data, size_t len)
{
	(void)level;
	rng_bytes(&stream, data, len);
	return 0;
}

void gnutls_rnd_refresh(void)
{
}
