#include "core/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "core/buf.h"
#include "core/strictjson.h"

#define DEVICES_MAX   1000000
#define FILE_MAX      (INT64_C(1) << 30)
#define DEPTH_MAX     4 /* file, list, device, methods */
#define IMSI_MIN      6
#define IMSI_MAX      15
#define MSISDN_DIGITS 15 /* ITU-T E.164 §6 */
#define MSISDN_MIN    3
#define TOTP_MIN      16 /* 80 bits */

struct registry {
	size_t count;
	struct registry_device *devices;
	uint32_t *slots; /* open addressing: index + 1, 0 empty; `mask` + 1 of them */
	size_t mask;
};

/* What a reader needs to say where something is wrong. */
struct reader {
	const char *json;
	size_t len;
	const char *source;
	size_t index; /* of the device being read */
	const char *uuid;
	struct err *e;
};

bool uuid_valid(const char *text)
{
	for (int i = 0; i < UUID_LEN; i++) {
		char c = text[i];

		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (c != '-')
				return false;
		} else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
			return false;
		}
	}
	return text[UUID_LEN] == '\0';
}

/* ---- places ---- */

/* Is `key` the text at `p`, quotes included, and a member's name? */
static bool at_key(const struct reader *r, size_t at, const char *key)
{
	size_t len = strlen(key);

	if (r->len - at < len + 2 || memcmp(r->json + at + 1, key, len) != 0 || r->json[at + 1 + len] != '"')
		return false;
	for (at += len + 2; at < r->len && strchr(" \t\r\n", r->json[at]); at++)
		;
	return at < r->len && r->json[at] == ':';
}

/* Line and column of the device being read, or of its member `key`. The text has been
 * parsed, so it is well formed: version and devices, no deeper list before devices. */
static void place(const struct reader *r, const char *key, int *line, int *column)
{
	size_t i, start = 0, line_at = 0, seen = 0;
	unsigned depth = 0;
	bool found = false;

	*line = 1;
	for (i = 0; i < r->len && !found; i++) {
		char c = r->json[i];

		if (c == '\n') {
			++*line;
			line_at = i + 1;
		} else if (c == '"') {
			size_t open = i;

			if (start && depth == 3 && key && at_key(r, open, key))
				break;
			for (i++; i < r->len && r->json[i] != '"'; i++)
				if (r->json[i] == '\\')
					i++;
		} else if (c == '{' || c == '[') {
			depth++;
			if (depth == 3 && c == '{' && seen++ == r->index) {
				start = i + 1;
				found = !key;
				if (found)
					break;
			}
		} else if (c == '}' || c == ']') {
			depth--;
			if (start && depth == 2)
				break;
		}
	}
	*column = (int)(i - line_at) + 1;
}

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			return false;
	return true;
}

/* "device 3 (uuid): what"; `key` NULL: the place of the device itself. */
static int bad(const struct reader *r, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int bad(const struct reader *r, const char *key, const char *fmt, ...)
{
	char text[256], name[64] = "";
	int line, column;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	place(r, key, &line, &column);
	if (r->uuid && printable(r->uuid))
		snprintf(name, sizeof(name), " (%.40s)", r->uuid);
	return err_set_at(r->e, ERR_PARSE, r->source, line, column, "device %zu%s: %s", r->index + 1, name,
			  text);
}

/* ---- one device ---- */

static bool digits(const char *s, size_t min, size_t max)
{
	size_t n = strspn(s, "0123456789");

	return s[n] == '\0' && n >= min && n <= max;
}

static int read_text(const struct reader *r, json_t *device, const char *key, bool needed, char *out,
		     size_t size)
{
	int rv = strictjson_text(device, key, out, size);

	if (rv == ERR_PARSE)
		return bad(r, key, "%s is not a text", key);
	if (rv == ERR_LIMIT)
		return bad(r, key, "%s is longer than %zu characters", key, size - 1);
	if (rv == 0 && needed)
		return bad(r, NULL, "%s is missing", key);
	if (rv == 1 && !out[0])
		return bad(r, key, "%s is empty", key);
	return 0;
}

static int read_methods(const struct reader *r, json_t *device, struct registry_device *d)
{
	/* EMAIL and PUSH stand in the seed's records; nothing here offers them */
	static const char *const known[] = {"SMS", "TOTP", "TOPT", "EMAIL", "PUSH"};
	json_t *list = json_object_get(device, "methods"), *one;
	size_t i, k;

	if (!list)
		return bad(r, NULL, "methods is missing");
	if (!json_is_array(list))
		return bad(r, "methods", "methods is not a list");
	if (json_array_size(list) > REGISTRY_METHODS)
		return bad(r, "methods", "more than %d methods", REGISTRY_METHODS);
	json_array_foreach(list, i, one)
	{
		const char *name = json_string_value(one);

		for (k = 0; name && k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(name, known[k]) == 0)
				break;
		if (!name || k == sizeof(known) / sizeof(known[0]))
			return bad(r, "methods", "method %zu is none of SMS, TOTP, EMAIL, PUSH", i + 1);
		snprintf(d->methods[i], sizeof(d->methods[i]), "%s",
			 strcmp(name, "TOPT") == 0 ? "TOTP" : name);
		for (k = 0; k < i; k++)
			if (strcmp(d->methods[i], d->methods[k]) == 0)
				return bad(r, "methods", "method %s stands there twice", d->methods[i]);
	}
	return 0;
}

static int check_values(const struct reader *r, const struct registry_device *d)
{
	if (!uuid_valid(d->uuid))
		return bad(r, "uuid", "uuid is not 8-4-4-4-12 lower-case hex digits");
	/* values of the next three are personal or secret: the place must do */
	if (!digits(d->network_id, IMSI_MIN, IMSI_MAX))
		return bad(r, "networkId", "networkId (IMSI) is not %d to %d digits", IMSI_MIN, IMSI_MAX);
	if (d->msisdn[0] != '+' || d->msisdn[1] == '0' || !digits(d->msisdn + 1, MSISDN_MIN, MSISDN_DIGITS))
		return bad(r, "msisdn", "msisdn is not a number in E.164 form, like +15551234567");
	if (d->totp_secret[0]) {
		size_t n = strspn(d->totp_secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567");

		if (n < TOTP_MIN || d->totp_secret[n + strspn(d->totp_secret + n, "=")] != '\0')
			return bad(r, "totpSecret",
				   "totpSecret is not base32 (A-Z, 2-7) of at least %d characters", TOTP_MIN);
	}
	return 0;
}

static int read_device(struct reader *r, json_t *device, struct registry_device *d)
{
	static const char *const known[] = {"uuid",   "deviceType", "serialId",	  "networkType", "networkId",
					    "msisdn", "methods",    "totpSecret", "disabled"};
	json_t *value;
	const char *key;
	size_t k;

	if (!json_is_object(device))
		return err_set_at(r->e, ERR_PARSE, r->source, 0, 0, "device %zu: not an object",
				  r->index + 1);
	r->uuid = json_string_value(json_object_get(device, "uuid"));
	json_object_foreach(device, key, value)
	{
		for (k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(key, known[k]) == 0)
				break;
		if (k == sizeof(known) / sizeof(known[0]))
			return bad(r, key, "unknown field '%.32s'", printable(key) ? key : "?");
	}
	if (read_text(r, device, "uuid", true, d->uuid, sizeof(d->uuid)) ||
	    read_text(r, device, "deviceType", true, d->device_type, sizeof(d->device_type)) ||
	    read_text(r, device, "serialId", true, d->serial_id, sizeof(d->serial_id)) ||
	    read_text(r, device, "networkType", true, d->network_type, sizeof(d->network_type)) ||
	    read_text(r, device, "networkId", true, d->network_id, sizeof(d->network_id)) ||
	    read_text(r, device, "msisdn", true, d->msisdn, sizeof(d->msisdn)) ||
	    read_text(r, device, "totpSecret", false, d->totp_secret, sizeof(d->totp_secret)) ||
	    read_methods(r, device, d))
		return ERR_PARSE;
	value = json_object_get(device, "disabled");
	if (value && !json_is_boolean(value))
		return bad(r, "disabled", "disabled is neither true nor false");
	d->disabled = json_is_true(value);
	return check_values(r, d);
}

/* ---- the set ---- */

/* FNV-1a: the file is the operator's own, so nobody chooses colliding keys. */
static size_t slot_of(const struct registry *reg, const char *uuid)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *uuid; uuid++)
		h = (h ^ (unsigned char)*uuid) * UINT64_C(1099511628211);
	return (size_t)(h ^ h >> 32) & reg->mask;
}

/* The slot that holds `uuid`, or the empty one where it belongs. */
static size_t slot_find(const struct registry *reg, const char *uuid)
{
	size_t i = slot_of(reg, uuid);

	while (reg->slots[i] && strcmp(reg->devices[reg->slots[i] - 1].uuid, uuid) != 0)
		i = (i + 1) & reg->mask;
	return i;
}

static int read_devices(struct reader *r, json_t *list, struct registry *reg)
{
	size_t slots = 16, at;
	json_t *device;
	int rv;

	while (slots < 2 * json_array_size(list))
		slots *= 2;
	reg->mask = slots - 1;
	reg->slots = calloc(slots, sizeof(*reg->slots));
	reg->devices = calloc(json_array_size(list) + 1, sizeof(*reg->devices));
	if (!reg->slots || !reg->devices)
		return err_set(r->e, ERR_NOMEM, "out of memory");
	json_array_foreach(list, r->index, device)
	{
		struct registry_device *d = &reg->devices[r->index];

		r->uuid = NULL;
		rv = read_device(r, device, d);
		if (rv)
			return rv;
		at = slot_find(reg, d->uuid);
		if (reg->slots[at])
			return bad(r, "uuid", "has the uuid of device %u", (unsigned)reg->slots[at]);
		reg->slots[at] = (uint32_t)(r->index + 1);
		reg->count++;
	}
	return 0;
}

static int read_root(struct reader *r, json_t *root, struct registry *reg)
{
	json_t *version = json_object_get(root, "version"), *list = json_object_get(root, "devices"), *value;
	const char *key;

	if (!json_is_object(root))
		return err_set_at(r->e, ERR_PARSE, r->source, 1, 1,
				  "a registry is an object with version and devices");
	json_object_foreach(root, key, value)
	{
		if (strcmp(key, "version") != 0 && strcmp(key, "devices") != 0)
			return err_set_at(r->e, ERR_PARSE, r->source, 1, 1,
					  "unknown field '%.32s' beside version "
					  "and devices",
					  printable(key) ? key : "?");
	}
	if (!json_is_integer(version) || json_integer_value(version) != 1)
		return err_set_at(r->e, ERR_PARSE, r->source, 1, 1, "version is not 1");
	if (!json_is_array(list))
		return err_set_at(r->e, ERR_PARSE, r->source, 1, 1, "devices is %s",
				  list ? "not a list" : "missing");
	if (json_array_size(list) > DEVICES_MAX)
		return err_set_at(r->e, ERR_LIMIT, r->source, 1, 1, "more than %d devices", DEVICES_MAX);
	return read_devices(r, list, reg);
}

struct registry *registry_parse(const char *json, size_t len, const char *source, struct err *e)
{
	struct reader r = {.json = json, .len = len, .source = source, .e = e};
	struct registry *reg;
	struct err je = {0};
	json_t *root;

	root = strictjson_load(json, len, DEPTH_MAX, &je);
	if (!root) {
		err_set_at(e, je.code, source, je.line, je.column, "%s", je.text);
		return NULL;
	}
	reg = calloc(1, sizeof(*reg));
	if (!reg) {
		err_set(e, ERR_NOMEM, "out of memory");
	} else if (read_root(&r, root, reg)) {
		registry_free(reg);
		reg = NULL;
	}
	json_decref(root);
	return reg;
}

/* TOTP secrets are for their owner's eyes: who else can read them can log in. */
static int check_private(const struct registry *reg, FILE *f, const char *path, struct err *e)
{
	struct stat st;

	for (size_t i = 0; i < reg->count; i++) {
		if (!reg->devices[i].totp_secret[0])
			continue;
		if (fstat(fileno(f), &st))
			return err_set_at(e, ERR_IO, path, 0, 0, "cannot read the registry: %s", strerror(errno));
		if (st.st_mode & 077)
			return err_set_at(e, ERR_ENVIRONMENT, path, 0, 0,
					  "holds TOTP secrets (device %zu has one) and others may read it; chmod 600 it", i + 1);
		return 0;
	}
	return 0;
}

struct registry *registry_load(const char *path, struct err *e)
{
	struct registry *reg = NULL;
	char chunk[16384];
	struct buf text;
	size_t n;
	FILE *f;

	buf_init(&text, FILE_MAX);
	f = fopen(path, "rb");
	if (!f) {
		err_set_at(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, path, 0, 0,
			   "cannot read the registry: %s", strerror(errno));
		return NULL;
	}
	while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		if (buf_add(&text, chunk, n))
			break;
	if (ferror(f))
		err_set_at(e, ERR_IO, path, 0, 0, "cannot read the registry: %s", strerror(errno));
	else if (text.failed)
		err_set_at(e, text.failed, path, 0, 0, "cannot read the registry: %s", err_text(text.failed));
	else
		reg = registry_parse(text.len ? text.data : "", text.len, path, e);
	if (reg && check_private(reg, f, path, e)) {
		registry_free(reg);
		reg = NULL;
	}
	fclose(f);
	/* TOTP secrets */
	explicit_bzero(chunk, sizeof(chunk));
	if (text.data)
		explicit_bzero(text.data, text.len);
	buf_fini(&text);
	return reg;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	if (r->devices)
		explicit_bzero(r->devices, r->count * sizeof(*r->devices));
	free(r->devices);
	free(r->slots);
	free(r);
}

const struct registry_device *registry_find(const struct registry *r, const char *uuid)
{
	uint32_t at = r->slots[slot_find(r, uuid)];

	return at ? &r->devices[at - 1] : NULL;
}

size_t registry_count(const struct registry *r)
{
	return r->count;
}

const struct registry_device *registry_at(const struct registry *r, size_t i)
{
	return i < r->count ? &r->devices[i] : NULL;
}

static json_t *device_json(const struct registry_device *d)
{
	json_t *methods = json_array(), *j;

	for (int i = 0; i < REGISTRY_METHODS && d->methods[i][0]; i++)
		json_array_append_new(methods, json_string(d->methods[i]));
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "uuid", d->uuid, "deviceType", d->device_type,
		      "serialId", d->serial_id, "networkType", d->network_type, "networkId", d->network_id,
		      "msisdn", d->msisdn, "methods", methods);
	if (j && d->totp_secret[0])
		json_object_set_new(j, "totpSecret", json_string(d->totp_secret));
	if (j && d->disabled)
		json_object_set_new(j, "disabled", json_true());
	return j;
}

char *registry_dump(const struct registry_device *devices, size_t n)
{
	json_t *list = json_array(), *root;
	char *text;

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, device_json(&devices[i]))) {
			json_decref(list);
			return NULL;
		}
	root = json_pack("{s:i, s:o}", "version", 1, "devices", list);
	text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	return text;
}
