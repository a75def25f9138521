/* The device registry: who may bootstrap, and to which number its code goes.
 * {"version": 1, "devices": [{uuid, deviceType, serialId, networkType, networkId,
 * msisdn, methods, totpSecret?, disabled?}]} (contracts.md, serve). */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdbool.h>

#include "core/err.h"

#define UUID_LEN         36
#define REGISTRY_METHODS 4
#define MSISDN_MAX       20

struct registry_device {
	char uuid[UUID_LEN + 1]; /* lower case, 8-4-4-4-12 */
	char device_type[33], serial_id[33], network_type[17];
	char network_id[17];           /* IMSI: 6…15 digits. Never logged whole. */
	char msisdn[MSISDN_MAX + 1];   /* E.164 with '+' */
	char methods[REGISTRY_METHODS][9]; /* in order; "" ends. SMS, TOTP (TOPT read as TOTP) */
	char totp_secret[65];          /* base32; "" none. A secret. */
	bool disabled;
};

struct registry; /* read-only once loaded; lookup by hash */

/* `source` names the text in errors. NULL and `e` (line, column, which device, which
 * field) on: bad JSON, duplicate key, unknown field, missing field, wrong type, bad
 * uuid, IMSI or number, duplicate uuid, over 1,000,000 devices. */
struct registry *registry_parse(const char *json, size_t len, const char *source, struct err *e);
/* The same of a file; one with a totpSecret that others than its owner may read: ERR_ENVIRONMENT. */
struct registry *registry_load(const char *path, struct err *e);
void registry_free(struct registry *r);
const struct registry_device *registry_find(const struct registry *r, const char *uuid);
size_t registry_count(const struct registry *r);
const struct registry_device *registry_at(const struct registry *r, size_t i);
/* The file's text for these devices; caller frees. Secrets are in it: 0600. */
char *registry_dump(const struct registry_device *devices, size_t n);

bool uuid_valid(const char *text);

#endif
