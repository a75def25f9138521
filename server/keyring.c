#include "server/keyring.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "core/plant.h"
#include "server/enroll_internal.h"

#define NONCE_BYTES 12 /* AES-GCM, RFC 5116 §5 */
#define TAG_BYTES   16

struct keyring {
	uint8_t key[32];
	struct keyring_entry e[TOKEN_KEYS];
	unsigned n;
	int64_t next_ms; /* when the first one is due; INT64_MAX: none */
	char lost[KEYRING_LOST][UUID_LEN + 1];
	unsigned lost_n;
	bool dirty; /* changed in this turn */
	bool stale; /* the turn failed, and the store could not be read again yet */
};

struct keyring *keyring_new(const uint8_t *store_key)
{
	static const char label[] = "quicrig token keys 1";
	struct keyring *k = calloc(1, sizeof(*k));

	if (!k)
		return NULL;
	hash_hmac_sha256(store_key, 32, label, sizeof(label) - 1, k->key);
	k->next_ms = INT64_MAX;
	return k;
}

void keyring_free(struct keyring *k)
{
	if (k)
		explicit_bzero(k->key, sizeof(k->key));
	free(k);
}

/* ---- sealing ---- */

/* One key is one text for ever, so a nonce of its kid never meets another. */
static void nonce_of(const struct keyring *k, const char *kid, uint8_t out[NONCE_BYTES])
{
	uint8_t mac[HASH_SIZE];

	hash_hmac_sha256(k->key, sizeof(k->key), kid, strlen(kid), mac);
	memcpy(out, mac, NONCE_BYTES);
}

static int cipher(const struct keyring *k, gnutls_aead_cipher_hd_t *h)
{
	gnutls_datum_t key = {(unsigned char *)(uintptr_t)k->key, sizeof(k->key)};

	return gnutls_aead_cipher_init(h, GNUTLS_CIPHER_AES_256_GCM, &key) < 0 ? ERR_INTERNAL : 0;
}

static int seal(const struct keyring *k, struct store_key *row, const char *pem)
{
	uint8_t nonce[NONCE_BYTES];
	gnutls_aead_cipher_hd_t h;
	size_t len = sizeof(row->sealed);
	int rv;

	if (strlen(pem) + TAG_BYTES > len)
		return ERR_LIMIT;
	if (cipher(k, &h))
		return ERR_INTERNAL;
	nonce_of(k, row->kid, nonce);
	rv = gnutls_aead_cipher_encrypt(h, nonce, sizeof(nonce), row->kid, strlen(row->kid), TAG_BYTES, pem, strlen(pem),
					row->sealed, &len);
	gnutls_aead_cipher_deinit(h);
	row->sealed_len = len;
	return rv < 0 ? ERR_INTERNAL : 0;
}

static int unseal(const struct keyring *k, const struct store_key *row, char out[STORE_KEY_MAX])
{
	uint8_t nonce[NONCE_BYTES];
	gnutls_aead_cipher_hd_t h;
	size_t len = STORE_KEY_MAX - 1;
	int rv;

	if (row->sealed_len < TAG_BYTES)
		return ERR_AUTH;
	if (cipher(k, &h))
		return ERR_INTERNAL;
	nonce_of(k, row->kid, nonce);
	rv = gnutls_aead_cipher_decrypt(h, nonce, sizeof(nonce), row->kid, strlen(row->kid), TAG_BYTES, row->sealed,
					row->sealed_len, out, &len);
	gnutls_aead_cipher_deinit(h);
	if (rv < 0)
		return ERR_AUTH;
	out[len] = '\0';
	return 0;
}

/* ---- in memory ---- */

static void reckon(struct keyring *k)
{
	k->next_ms = INT64_MAX;
	for (unsigned i = 0; i < k->n; i++)
		if (k->e[i].retire_ms && k->e[i].retire_ms < k->next_ms)
			k->next_ms = k->e[i].retire_ms;
}

/* The newest from now on. */
static int add(struct enroll *en, const char *pem, int64_t added_ms, int64_t retire_ms, struct err *e)
{
	struct keyring *k = en->ring;
	struct keyring_entry *one = &k->e[k->n];
	int rv = k->n == TOKEN_KEYS ? err_set(e, ERR_LIMIT, "%d token keys are kept already; retire one", TOKEN_KEYS)
				    : token_signer_add(en->signer, pem, one->kid, e);

	if (rv)
		return rv;
	rv = token_keys_add(en->keys, token_signer_public(en->signer, one->kid), e);
	if (rv) {
		token_signer_remove(en->signer, one->kid);
		return rv;
	}
	one->added_ms = added_ms;
	one->retire_ms = retire_ms;
	k->n++;
	reckon(k);
	return 0;
}

static void drop(struct enroll *en, unsigned i)
{
	struct keyring *k = en->ring;

	if (!PLANTED(RETIRED_KEY_SIGNS)) {
		token_signer_remove(en->signer, k->e[i].kid);
		token_keys_remove(en->keys, k->e[i].kid);
	}
	/* what it signed was remembered as good */
	token_cache_forget(en->cache);
	memmove(&k->e[i], &k->e[i + 1], (k->n - i - 1) * sizeof(k->e[0]));
	k->n--;
	reckon(k);
}

static int find(const struct keyring *k, const char *kid)
{
	for (unsigned i = 0; i < k->n; i++)
		if (strcmp(k->e[i].kid, kid) == 0)
			return (int)i;
	return -1;
}

/* ---- as the store has them ---- */

struct reading {
	const struct keyring *k;
	struct err *e;
	int rv;
	unsigned n;
	struct {
		struct keyring_entry e;
		char pem[STORE_KEY_MAX];
	} one[TOKEN_KEYS];
};

static void read_one(void *ctx, const struct store_key *row)
{
	struct reading *r = ctx;

	if (r->rv)
		return;
	if (r->n == TOKEN_KEYS) {
		r->rv = err_set(r->e, ERR_LIMIT, "more than %d token keys in the database", TOKEN_KEYS);
		return;
	}
	r->rv = unseal(r->k, row, r->one[r->n].pem);
	if (r->rv) {
		err_set(r->e, r->rv, "token key %s in the database is sealed under another store key", row->kid);
		return;
	}
	r->one[r->n].e.added_ms = row->added_ms;
	r->one[r->n++].e.retire_ms = row->retire_ms;
}

/* In place of what memory has; where they cannot be read that stays, and `stale` says so. */
static int take_up(struct enroll *en, struct err *e)
{
	struct keyring *k = en->ring;
	struct reading *r = calloc(1, sizeof(*r));
	int rv;

	k->stale = true;
	if (!r)
		return err_set(e, ERR_NOMEM, "out of memory");
	r->k = k;
	r->e = e;
	rv = store_key_each(en->store, read_one, r);
	if (rv)
		err_set(e, rv, "database: %s", store_error(en->store));
	else
		rv = r->rv;
	while (!rv && k->n)
		drop(en, k->n - 1);
	for (unsigned i = 0; !rv && i < r->n; i++)
		rv = add(en, r->one[i].pem, r->one[i].e.added_ms, r->one[i].e.retire_ms, e);
	k->stale = rv != 0;
	explicit_bzero(r, sizeof(*r));
	free(r);
	return rv;
}

/* ---- start ---- */

static int store_new(struct enroll *en, const struct instant *at, const char *pem, struct err *e)
{
	struct store_key row = {.added_ms = at->unix_ms};
	struct keyring *k = en->ring;
	int64_t gone = at->unix_ms + en->settings->v[SETTING_KEY_OVERLAP] / (int64_t)NS_PER_MS;
	int rv = add(en, pem, at->unix_ms, 0, e);

	if (rv)
		return rv;
	memcpy(row.kid, k->e[k->n - 1].kid, sizeof(row.kid));
	rv = seal(k, &row, pem);
	if (!rv)
		rv = store_key_put(en->store, &row);
	for (unsigned i = 0; !rv && i + 1 < k->n; i++) {
		if (k->e[i].retire_ms)
			continue;
		rv = store_key_retire(en->store, k->e[i].kid, gone);
	}
	explicit_bzero(&row, sizeof(row));
	if (rv) {
		drop(en, k->n - 1);
		return err_set(e, rv, "storage failed: %s", store_error(en->store));
	}
	for (unsigned i = 0; i + 1 < k->n; i++)
		if (!k->e[i].retire_ms)
			k->e[i].retire_ms = gone;
	reckon(k);
	return 0;
}

/* Its kid, whether its file has it in this form or another. */
static int kid_of(const char *pem, char kid[KID_MAX + 1], struct err *e)
{
	struct token_signer *probe = token_signer_new();
	int rv = probe ? token_signer_add(probe, pem, kid, e) : err_set(e, ERR_NOMEM, "out of memory");

	token_signer_free(probe);
	return rv;
}

/* One that was retired stays so, whatever the file still says. */
static int configured(struct enroll *en, const struct instant *at, const char *pem, struct err *e)
{
	char kid[KID_MAX + 1];
	int rv = kid_of(pem, kid, e);

	if (rv)
		return rv;
	rv = store_key_known(en->store, kid);
	if (rv == ERR_NOTFOUND)
		return store_new(en, at, pem, e);
	return rv ? err_set(e, rv, "database: %s", store_error(en->store)) : 0;
}

int keyring_load(struct enroll *en, const char *const *old, const char *key, const struct instant *at, struct err *e)
{
	int rv;

	if (en->settings->v[SETTING_KEY_OVERLAP] < en->settings->v[SETTING_REFRESH_MAX])
		return err_set(e, ERR_INVALID, "key_overlap is shorter than refresh_max: tokens would outlive their key");
	rv = take_up(en, e);
	for (; !rv && old && *old; old++)
		rv = configured(en, at, *old, e);
	return rv ? rv : configured(en, at, key, e);
}

/* ---- what there is ---- */

unsigned keyring_count(const struct enroll *en)
{
	return en->ring->n;
}

const struct keyring_entry *keyring_at(const struct enroll *en, unsigned i)
{
	return &en->ring->e[i];
}

const char *keyring_newest(const struct enroll *en)
{
	return en->ring->n ? en->ring->e[en->ring->n - 1].kid : "";
}

/* ---- change ---- */

int keyring_rotate(struct enroll *en, const struct instant *at, const char *pem, struct effects *fx, struct err *e)
{
	char kid[KID_MAX + 1];
	int rv = kid_of(pem, kid, e);

	if (rv)
		return rv;
	if (strcmp(kid, keyring_newest(en)) == 0)
		return 0; /* asked again by somebody who missed the answer */
	if (!store_key_known(en->store, kid))
		return err_set(e, ERR_EXISTS, "token key %s is or was one of ours already", kid);
	rv = store_decide(en->store);
	en->ring->dirty = true; /* also where only the decision's end fails */
	rv = rv ? err_set(e, rv, "storage failed: %s", store_error(en->store)) : store_new(en, at, pem, e);
	if (store_decided(en->store, rv == 0) && !rv) {
		drop(en, en->ring->n - 1);
		rv = err_set(e, ERR_IO, "storage failed: %s", store_error(en->store));
	}
	if (!rv)
		effects_event(fx, NULL, true, at->now, NULL, NULL, NULL, J_KEY_ADDED,
			      &(struct journal_value)JS(ID, keyring_newest(en)), 1);
	return rv;
}

int keyring_retire(struct enroll *en, const struct instant *at, const char *kid, const char *why, struct effects *fx)
{
	int i = find(en->ring, kid), rv;

	if (i < 0)
		return ERR_NOTFOUND;
	if ((unsigned)i + 1 == en->ring->n)
		return ERR_INVALID;
	rv = store_decide(en->store);
	if (!rv)
		rv = store_key_gone(en->store, kid, at->unix_ms);
	if (store_decided(en->store, rv == 0) || rv)
		return ERR_IO;
	en->ring->dirty = true;
	effects_event(fx, NULL, true, at->now, NULL, NULL, NULL, J_KEY_RETIRED,
		      (const struct journal_value[]){JS(ID, en->ring->e[i].kid), JS(WHY, why)}, 2);
	drop(en, (unsigned)i);
	return 0;
}

void keyring_expire(struct enroll *en, const struct instant *at, struct effects *fx)
{
	char kid[KID_MAX + 1];

	if (en->ring->stale && take_up(en, NULL))
		return;
	while (at->unix_ms >= en->ring->next_ms) {
		unsigned i = 0;

		while (en->ring->e[i].retire_ms != en->ring->next_ms)
			i++;
		memcpy(kid, en->ring->e[i].kid, sizeof(kid));
		/* the newest has no such time, so only the store can fail; the next turn tries again */
		if (keyring_retire(en, at, kid, "overlap", fx))
			return;
	}
}

void keyring_committed(struct enroll *en)
{
	en->ring->dirty = false;
}

void keyring_failed(struct enroll *en)
{
	if (!en->ring->dirty)
		return;
	en->ring->dirty = false;
	take_up(en, NULL);
}

/* ---- devices that must be reconfigured ---- */

void keyring_lost(struct enroll *en, const struct instant *at, const char *uuid, struct effects *fx)
{
	struct keyring *k = en->ring;

	if (k->lost_n == KEYRING_LOST || !uuid[0] || !registry_find(en->registry, uuid))
		return;
	for (unsigned i = 0; i < k->lost_n; i++)
		if (strcmp(k->lost[i], uuid) == 0)
			return;
	memcpy(k->lost[k->lost_n++], uuid, UUID_LEN + 1);
	effects_event(fx, NULL, true, at->now, uuid, NULL, NULL, J_SERVER_ALARM, &(struct journal_value)JS(NAME, "keys"), 1);
}

unsigned keyring_lost_count(const struct enroll *en)
{
	return en->ring->lost_n;
}

const char *keyring_lost_at(const struct enroll *en, unsigned i)
{
	return en->ring->lost[i];
}
