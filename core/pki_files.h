/* A rig's key set as files: server-ca.pem, server.pem, server-key.pem, device-ca.pem,
 * fleet.pem, fleet-key.pem, token-key.pem, token-public.pem, reset.key, store.key (the
 * last two 64 hex digits). The CAs' own keys are not kept: a set is made once. */
#ifndef CORE_PKI_FILES_H
#define CORE_PKI_FILES_H

#include "core/err.h"
#include "core/pki.h"

/* Makes `dir` (0700) where it is missing and all files in it (0600), or none. 0,
 * ERR_EXISTS where one of them is there already, ERR_IO; `e` names the file. */
int pki_files_write(const char *dir, const struct pki *p, struct err *e);

/* Reads the set; pki_fini(out) frees. ERR_NOTFOUND, ERR_IO, ERR_PARSE (no PEM, no hex
 * key, or a certificate and a key that do not belong together), ERR_ENVIRONMENT (a secret
 * that group or others may read: `e` says which and chmod 600). `out` is zeroed on error. */
int pki_files_read(const char *dir, struct pki *out, struct err *e);

#endif
