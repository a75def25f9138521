#include "server/outbox_internal.h"

#include <stdlib.h>
#include <string.h>

#include <gnutls/crypto.h>

#include "core/hash.h"

#define NONCE_BYTES 12 /* AES-GCM, RFC 5116 §5 */
#define TAG_BYTES   16

static uint32_t hash_text(const char *a, const char *b)
{
	uint32_t h = 2166136261u; /* FNV-1a; the texts are drawn by us or checked before */

	for (; *a; a++)
		h = (h ^ (uint8_t)*a) * 16777619u;
	for (; *b; b++)
		h = (h ^ (uint8_t)*b) * 16777619u;
	return h % OUTBOX_BUCKETS;
}

struct outbox *outbox_new(const uint8_t *store_key)
{
	static const char label[] = "quicrig outbox 1";
	struct outbox *ob = calloc(1, sizeof(*ob));

	if (!ob)
		return NULL;
	hash_hmac_sha256(store_key, 32, label, sizeof(label) - 1, ob->key);
	TAILQ_INIT(&ob->touched);
	heap_init(&ob->timers);
	return ob;
}

void outbox_free(struct outbox *ob)
{
	struct item *it;

	if (!ob)
		return;
	while ((it = LIST_FIRST(&ob->all)))
		item_free(ob, it);
	heap_fini(&ob->timers);
	explicit_bzero(ob->key, sizeof(ob->key));
	free(ob);
}

struct item *item_new(struct outbox *ob, const struct store_sms *row)
{
	struct item *it = calloc(1, sizeof(*it));

	if (!it)
		return NULL;
	it->row = *row;
	TAILQ_INIT(&it->waiters);
	LIST_INSERT_HEAD(&ob->ids[hash_text(row->id, "")], it, by_id);
	LIST_INSERT_HEAD(&ob->regs[hash_text(row->uuid, row->reg)], it, by_reg);
	LIST_INSERT_HEAD(&ob->all, it, all);
	ob->count++;
	return it;
}

void item_free(struct outbox *ob, struct item *it)
{
	struct reply *r;

	while ((r = TAILQ_FIRST(&it->waiters))) {
		TAILQ_REMOVE(&it->waiters, r, waiting);
		reply_free(r);
	}
	if (it->is_touched)
		TAILQ_REMOVE(&ob->touched, it, touched);
	heap_remove(&ob->timers, &it->timer);
	LIST_REMOVE(it, by_id);
	LIST_REMOVE(it, by_reg);
	LIST_REMOVE(it, all);
	ob->count--;
	explicit_bzero(&it->row, sizeof(it->row));
	explicit_bzero(&it->before, sizeof(it->before));
	free(it);
}

struct item *item_by_id(struct outbox *ob, const char *id)
{
	struct item *it;

	LIST_FOREACH(it, &ob->ids[hash_text(id, "")], by_id) {
		if (strcmp(it->row.id, id) == 0)
			return it;
	}
	return NULL;
}

struct item *item_by_reg(struct outbox *ob, const char *uuid, const char *reg)
{
	struct item *it;

	LIST_FOREACH(it, &ob->regs[hash_text(uuid, reg)], by_reg) {
		if (!it->final && strcmp(it->row.uuid, uuid) == 0 && strcmp(it->row.reg, reg) == 0)
			return it;
	}
	return NULL;
}

void item_touch(struct outbox *ob, struct item *it)
{
	if (it->is_touched)
		return;
	it->is_touched = true;
	it->before = it->row;
	TAILQ_INSERT_TAIL(&ob->touched, it, touched);
}

void item_rename(struct outbox *ob, struct item *it, const char *id)
{
	LIST_REMOVE(it, by_id);
	memmove(it->row.id, id, strlen(id) + 1);
	LIST_INSERT_HEAD(&ob->ids[hash_text(it->row.id, "")], it, by_id);
}

time_ns outbox_deadline(const struct outbox *ob)
{
	return heap_deadline(&ob->timers);
}

unsigned outbox_size(const struct outbox *ob)
{
	return ob->count;
}

/* ---- encryption ---- */

static int cipher(const struct outbox *ob, gnutls_aead_cipher_hd_t *h)
{
	gnutls_datum_t key = {(unsigned char *)(uintptr_t)ob->key, sizeof(ob->key)};

	return gnutls_aead_cipher_init(h, GNUTLS_CIPHER_AES_256_GCM, &key) < 0 ? ERR_INTERNAL : 0;
}

static size_t bound_text(const struct store_sms *row, char out[sizeof(row->uuid) + sizeof(row->reg)])
{
	size_t u = strlen(row->uuid) + 1, r = strlen(row->reg);

	memcpy(out, row->uuid, u);
	memcpy(out + u, row->reg, r);
	return u + r;
}

int item_seal(struct outbox *ob, struct secret_source *secret, struct store_sms *row, const char *text)
{
	char bound[sizeof(row->uuid) + sizeof(row->reg)];
	size_t bound_len = bound_text(row, bound), room = sizeof(row->text) - NONCE_BYTES, len = strlen(text);
	gnutls_aead_cipher_hd_t h;
	int rv;

	if (len + TAG_BYTES > room)
		return ERR_LIMIT;
	if (cipher(ob, &h))
		return ERR_INTERNAL;
	secret_fill(secret, row->text, NONCE_BYTES);
	rv = gnutls_aead_cipher_encrypt(h, row->text, NONCE_BYTES, bound, bound_len, TAG_BYTES, text, len,
					row->text + NONCE_BYTES, &room);
	gnutls_aead_cipher_deinit(h);
	if (rv < 0)
		return ERR_INTERNAL;
	row->text_len = NONCE_BYTES + room;
	return 0;
}

int item_open(const struct outbox *ob, const struct store_sms *row, char out[SMSTEXT_MAX])
{
	char bound[sizeof(row->uuid) + sizeof(row->reg)];
	size_t bound_len = bound_text(row, bound), len = SMSTEXT_MAX - 1;
	gnutls_aead_cipher_hd_t h;
	int rv;

	if (row->text_len < NONCE_BYTES + TAG_BYTES)
		return ERR_AUTH;
	if (cipher(ob, &h))
		return ERR_INTERNAL;
	rv = gnutls_aead_cipher_decrypt(h, row->text, NONCE_BYTES, bound, bound_len, TAG_BYTES,
					row->text + NONCE_BYTES, row->text_len - NONCE_BYTES, out, &len);
	gnutls_aead_cipher_deinit(h);
	if (rv < 0)
		return ERR_AUTH;
	out[len] = '\0';
	return 0;
}
