/* The one durable file of a device: JSON, a line feed, the JSON's SHA-256 in hex and a
 * line feed. Written beside and renamed, so that it is the old one or the new one. */
#include "sim/device_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define FILE_VERSION 1
#define TAIL_LEN     (2 * HASH_SIZE + 2) /* "\n<hex>\n" */

static void put_member(struct buf *out, const char *name, const char *text)
{
	buf_printf(out, ",\"%s\":", name);
	buf_json_str(out, text);
}

int device_file_build(const struct device *dev, struct buf *out)
{
	size_t at = out->len;
	uint8_t digest[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];

	buf_printf(out, "{\"v\":%d,\"uuid\":\"%s\",\"state\":\"%s\",\"interval_ms\":%" PRIu64, FILE_VERSION,
		   dev->id.uuid, state_brief(dev->state), dev->interval / NS_PER_MS);
	if (dev->access) {
		put_member(out, "access", dev->access);
		put_member(out, "refresh", dev->refresh);
		put_member(out, "jti", dev->jti);
		put_member(out, "fam", dev->fam);
	}
	buf_puts(out, ",\"done\":[");
	for (unsigned i = 0; i < dev->done_n; i++) {
		if (i)
			buf_puts(out, ",");
		buf_json_str(out, dev->done[i]);
	}
	buf_puts(out, "],\"keys\":[");
	for (unsigned i = 0; i < DEVICE_PINS_MAX && dev->own_pem[i]; i++) {
		if (i)
			buf_puts(out, ",");
		buf_json_str(out, dev->own_pem[i]);
	}
	buf_puts(out, "]}");
	if (out->failed)
		return out->failed;
	hash_sha256(out->data + at, out->len - at, digest);
	hash_hex(digest, sizeof(digest), hex);
	return buf_printf(out, "\n%s\n", hex);
}

static bool tail_fits(const char *data, size_t len)
{
	uint8_t want[HASH_SIZE], have[HASH_SIZE];
	char hex[2 * HASH_SIZE + 1];

	if (len < TAIL_LEN || data[len - 1] != '\n' || data[len - TAIL_LEN] != '\n')
		return false;
	memcpy(hex, data + len - TAIL_LEN + 1, 2 * HASH_SIZE);
	hex[2 * HASH_SIZE] = '\0';
	if (!hash_unhex(hex, want, sizeof(want)))
		return false;
	hash_sha256(data, len - TAIL_LEN, have);
	return memcmp(want, have, sizeof(want)) == 0;
}

static const char *member(json_t *root, const char *name)
{
	const char *s = json_string_value(json_object_get(root, name));

	return s ? s : "";
}

static int take_keys(struct device *dev, json_t *keys)
{
	size_t n = json_array_size(keys);

	if (n > DEVICE_PINS_MAX)
		return ERR_PARSE;
	if (!n)
		return 0;
	dev->own_keys = token_keys_new();
	if (!dev->own_keys)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *pem = json_string_value(json_array_get(keys, i));

		if (!pem || token_keys_add(dev->own_keys, pem, NULL))
			return ERR_PARSE;
		dev->own_pem[i] = strdup(pem);
		if (!dev->own_pem[i])
			return ERR_NOMEM;
	}
	token_keys_allow_no_kid(dev->own_keys, dev->accept_unsigned);
	return 0;
}

static void drop_keys(struct device *dev)
{
	token_keys_free(dev->own_keys);
	dev->own_keys = NULL;
	for (unsigned i = 0; i < DEVICE_PINS_MAX; i++) {
		free(dev->own_pem[i]);
		dev->own_pem[i] = NULL;
	}
}

static void drop_done(struct device *dev)
{
	free(dev->done);
	dev->done = NULL;
	dev->done_n = 0;
}

static int take_done(struct device *dev, json_t *done)
{
	size_t n = json_array_size(done);

	if (!n || n > DEVICE_DONE_KEPT)
		return n ? ERR_PARSE : 0;
	dev->done = calloc(DEVICE_DONE_KEPT, sizeof(*dev->done));
	if (!dev->done)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const char *id = json_string_value(json_array_get(done, i));

		if (!id || strlen(id) > COMMAND_ID_MAX)
			return ERR_PARSE;
		snprintf(dev->done[dev->done_n++], sizeof(*dev->done), "%s", id);
	}
	return 0;
}

static int take_tokens(struct device *dev, json_t *root)
{
	const char *access = member(root, "access"), *refresh = member(root, "refresh");

	if (!access[0] || !refresh[0])
		return 0;
	if (strlen(access) > TOKEN_TEXT_MAX || strlen(refresh) > TOKEN_TEXT_MAX)
		return ERR_PARSE;
	dev->access = strdup(access);
	dev->refresh = strdup(refresh);
	if (!dev->access || !dev->refresh)
		return ERR_NOMEM;
	snprintf(dev->jti, sizeof(dev->jti), "%s", member(root, "jti"));
	snprintf(dev->fam, sizeof(dev->fam), "%s", member(root, "fam"));
	return 0;
}

int device_file_read(struct device *dev, const char *data, size_t len)
{
	json_t *root = NULL, *interval;
	int state = ERR_PARSE, rv = ERR_PARSE;

	device_forget(dev);
	drop_keys(dev);
	drop_done(dev);
	dev->interval = DEVICE_INTERVAL_DEFAULT;
	dev->file_has_tokens = false;
	if (!tail_fits(data, len))
		goto out;
	root = json_loadb(data, len - TAIL_LEN, JSON_REJECT_DUPLICATES, NULL);
	if (!root || json_integer_value(json_object_get(root, "v")) != FILE_VERSION ||
	    strcmp(member(root, "uuid"), dev->id.uuid) != 0)
		goto out;
	state = state_by_name(member(root, "state"));
	interval = json_object_get(root, "interval_ms");
	if (state < 0 || !json_is_integer(interval))
		goto out;
	rv = take_done(dev, json_object_get(root, "done"));
	if (!rv)
		rv = take_keys(dev, json_object_get(root, "keys"));
	if (!rv)
		rv = take_tokens(dev, root);
	if (!rv)
		dev->interval = device_clamp_interval((double)json_integer_value(interval) / 1000.0);
out:
	json_decref(root);
	if (rv) {
		device_forget(dev);
		drop_keys(dev);
		drop_done(dev);
		return ERR_PARSE;
	}
	dev->file_has_tokens = dev->access != NULL;
	return state;
}

static void zero_free(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

void device_forget(struct device *dev)
{
	zero_free(&dev->access);
	zero_free(&dev->refresh);
	dev->jti[0] = dev->fam[0] = '\0';
}

void device_file_name(const struct device *dev, char *out, size_t size)
{
	snprintf(out, size, "%s.state", dev->id.uuid);
}

int device_store(const struct device *dev, const struct device_effects *fx, const struct device_effect *e,
		 struct storage *st)
{
	char name[UUID_LEN + 16], fresh[UUID_LEN + 16];
	int rv;

	device_file_name(dev, name, sizeof(name));
	snprintf(fresh, sizeof(fresh), "%s.new", dev->id.uuid);
	switch (e->kind) {
	case DEVICE_FX_WRITE:
		rv = st->ops->truncate(st, fresh, 0);
		return rv ? rv : st->ops->pwrite(st, fresh, 0, fx->bytes.data + e->at, e->len);
	case DEVICE_FX_SYNC:
		return st->ops->sync(st, fresh);
	case DEVICE_FX_RENAME:
		return st->ops->rename(st, fresh, name);
	case DEVICE_FX_SYNC_DIR:
		return st->ops->sync_dir(st);
	default:
		return ERR_INVALID;
	}
}
