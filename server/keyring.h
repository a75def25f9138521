/* The server's token keys (protocol.md §2, Rotation): the newest that a device has pinned signs
 * for it, each one stays for `key_overlap` behind its successor, then it is retired. Kept in
 * the store, sealed under the store key, so that a rotation outlives a restart. */
#ifndef SERVER_KEYRING_H
#define SERVER_KEYRING_H

#include "server/enroll.h"

#define KEYRING_LOST 64 /* devices that are named, whose pins are all retired */

struct keyring_entry {
	char kid[KID_MAX + 1];
	int64_t added_ms, retire_ms; /* Unix; 0: it is the newest */
};

struct keyring;
struct keyring *keyring_new(const uint8_t *store_key);
void keyring_free(struct keyring *k);
/* Takes up what is stored, and the configured keys that are not there yet: `old`, then `key`,
 * which makes it the newest. ERR_INVALID: key_overlap is shorter than refresh_max; ERR_AUTH: sealed
 * under another store key. */
int keyring_load(struct enroll *en, const char *const *old, const char *key, const struct instant *at, struct err *e);

/* Oldest first. */
unsigned keyring_count(const struct enroll *en);
const struct keyring_entry *keyring_at(const struct enroll *en, unsigned i);
const char *keyring_newest(const struct enroll *en);

/* Signs with this private key (PEM) from now on; the others go after key_overlap. Durable with the
 * next commit. 0 also where it is the newest already. ERR_PARSE, ERR_EXISTS (an older or retired one), ERR_LIMIT (TOKEN_KEYS), ERR_IO. */
int keyring_rotate(struct enroll *en, const struct instant *at, const char *pem, struct effects *fx, struct err *e);
/* This one must go now. ERR_NOTFOUND; ERR_INVALID: it is the newest; ERR_IO. */
int keyring_retire(struct enroll *en, const struct instant *at, const char *kid, const char *why, struct effects *fx);
/* Retires what is due. Outside of a decision. */
void keyring_expire(struct enroll *en, const struct instant *at, struct effects *fx);

/* The turn's commit worked; or not, and the keys are as the store has them. */
void keyring_committed(struct enroll *en);
void keyring_failed(struct enroll *en);

/* A device on record pins none of our keys: named once while there is room. */
void keyring_lost(struct enroll *en, const struct instant *at, const char *uuid, struct effects *fx);
unsigned keyring_lost_count(const struct enroll *en);
const char *keyring_lost_at(const struct enroll *en, unsigned i);

#endif
