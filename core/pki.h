/* Certificates and keys of a rig, made in memory as PEM: a server CA and certificate,
 * a device CA and the fleet certificate (Ed25519), RSA-2048 token keys. `quicrig pki`
 * and the rigs write them (0600); tests make expired, not-yet-valid, foreign and
 * wrong-name ones with the same code (contracts.md, Keys and certificates). */
#ifndef CORE_PKI_H
#define CORE_PKI_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

struct pki_pair {
	char *cert; /* PEM; owned */
	char *key;  /* PEM PKCS #8; owned; secret */
};

struct pki {
	struct pki_pair server_ca, server, device_ca, fleet;
	char *token_key;        /* PEM RSA private; secret */
	char *token_public;     /* PEM SPKI */
	uint8_t reset_key[32];  /* stateless reset; secret */
	uint8_t store_key[32];  /* outbox and code HMAC key; secret */
};

struct pki_options {
	const char *const *hosts; /* DNS names or IP addresses of the server certificate */
	unsigned hosts_n;         /* 0: "localhost", "127.0.0.1", "::1" */
	int64_t not_before_s, not_after_s; /* Unix; 0, 0: now - 1 day … now + 10 years, `now_s` below */
	int64_t now_s;
};

/* Makes all of it. Zero-initialised `out`; pki_fini frees and zeroes secrets. */
int pki_make(const struct pki_options *o, struct pki *out, struct err *e);
void pki_fini(struct pki *p);

/* One leaf or CA, for tests and scenarios: `ca` NULL makes a self-signed CA. */
struct pki_leaf {
	const char *common_name;
	const char *const *hosts;
	unsigned hosts_n;
	bool client; /* extended key usage client, else server */
	int64_t not_before_s, not_after_s;
};
int pki_issue(const struct pki_pair *ca, const struct pki_leaf *l, struct pki_pair *out, struct err *e);
void pki_pair_fini(struct pki_pair *p);
/* A fresh RSA-2048 token key: private and SPKI PEM, caller frees both. */
int pki_token_key(char **private_pem, char **public_pem, struct err *e);

#endif
