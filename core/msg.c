#include "core/msg.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/strictjson.h"

#define REPLY_DEPTH	 16
#define TIMESTAMP_MAX	 INT64_C(253402300799999) /* 9999-12-31, Unix ms */
#define COMMAND_KEYS_MAX 8

static const char *const resources[MSG_RESOURCES] = {
	[MSG_REGISTER] = "registerDevice", [MSG_LOGIN] = "login", [MSG_PUBLISH] = "publishMeasure",
	[MSG_REFRESH] = "refreshToken",	   [MSG_OTHER] = "other",
};

static const char *const commands[] = {
	[CMD_NONE] = "",       [CMD_PAUSE] = "PAUSE", [CMD_CONFIG] = "CONFIG",	 [CMD_KEYS] = "KEYS",
	[CMD_RESET] = "RESET", [CMD_IDLE] = "IDLE",   [CMD_UNKNOWN] = "unknown",
};

const char *msg_resource_name(enum msg_resource r)
{
	return r < MSG_RESOURCES ? resources[r] : resources[MSG_OTHER];
}

int msg_resource_by_name(const char *name)
{
	for (int i = 0; i < MSG_OTHER; i++)
		if (strcmp(resources[i], name) == 0)
			return i;
	return MSG_OTHER;
}

const char *msg_command_name(enum msg_command c)
{
	return c <= CMD_UNKNOWN ? commands[c] : commands[CMD_UNKNOWN];
}

/* ---- requests: reading ---- */

static bool is_hex(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789abcdefABCDEF") == len;
}

/* A text that must be there. */
static int need_text(json_t *object, const char *key, char *out, size_t size, struct err *e)
{
	int rv = strictjson_text(object, key, out, size);

	if (rv == 0)
		return err_set(e, ERR_PARSE, "%s is missing", key);
	if (rv == ERR_PARSE)
		return err_set(e, ERR_PARSE, "%s is not a text", key);
	if (rv == ERR_LIMIT)
		return err_set(e, ERR_PARSE, "%s is too long", key);
	return 0;
}

/* A list of at most `max` texts of at most size - 1 bytes each; absent is fine unless `needed`. */
static int read_list(json_t *object, const char *key, bool needed, char *out, size_t size, unsigned max,
		     unsigned *n, struct err *e)
{
	json_t *list = json_object_get(object, key), *one;
	size_t i;

	*n = 0;
	if (!list)
		return needed ? err_set(e, ERR_PARSE, "%s is missing", key) : 0;
	if (!json_is_array(list))
		return err_set(e, ERR_PARSE, "%s is not a list", key);
	if (json_array_size(list) > max)
		return err_set(e, ERR_PARSE, "%s has more than %u entries", key, max);
	json_array_foreach(list, i, one)
	{
		if (!json_is_string(one))
			return err_set(e, ERR_PARSE, "%s holds something that is not a text", key);
		if (json_string_length(one) >= size)
			return err_set(e, ERR_PARSE, "%s holds a text that is too long", key);
		memcpy(out + i * size, json_string_value(one), json_string_length(one) + 1);
	}
	*n = (unsigned)json_array_size(list);
	return 0;
}

static int read_uuid(json_t *payload, struct msg_request *r, struct err *e)
{
	json_t *value = json_object_get(payload, "uuid");

	if (!value)
		return err_set(e, ERR_PARSE, "uuid is missing");
	if (!json_is_string(value))
		return err_set(e, ERR_PARSE, "uuid is not a text");
	/* any other text is a uuid that nobody knows: the server's to refuse, not ours */
	if (json_string_length(value) == UUID_LEN && uuid_valid(json_string_value(value)))
		memcpy(r->uuid, json_string_value(value), UUID_LEN + 1);
	return 0;
}

static int read_registration(json_t *payload, struct msg_request *r, struct err *e)
{
	int rv = strictjson_text(payload, "registration", r->registration, sizeof(r->registration));

	if (rv == 0 || (rv == 1 && is_hex(r->registration, REGISTRATION_LEN)))
		return 0;
	r->registration[0] = '\0';
	return err_set(e, ERR_PARSE, "registration is not %d hex digits", REGISTRATION_LEN);
}

static int read_measure(json_t *payload, struct msg_request *r, struct err *e)
{
	json_t *measure = json_object_get(payload, "measure"), *ts = json_object_get(payload, "timestamp");

	if (!measure)
		return err_set(e, ERR_PARSE, "measure is missing");
	if (!json_is_number(measure))
		return err_set(e, ERR_PARSE, "measure is not a number");
	if (!ts)
		return err_set(e, ERR_PARSE, "timestamp is missing");
	if (!json_is_integer(ts) || json_integer_value(ts) < 0 || json_integer_value(ts) > TIMESTAMP_MAX)
		return err_set(e, ERR_PARSE, "timestamp is not Unix time in ms");
	r->measure = json_number_value(measure);
	r->timestamp = json_integer_value(ts);
	return 0;
}

static int read_register(json_t *p, struct msg_request *r, struct err *e)
{
	int rv = need_text(p, "networkType", r->network_type, sizeof(r->network_type), e);

	if (!rv)
		rv = need_text(p, "networkId", r->network_id, sizeof(r->network_id), e);
	if (!rv)
		rv = read_list(p, "validationMethods", true, r->methods[0], sizeof(r->methods[0]),
			       MSG_METHODS_MAX, &r->methods_n, e);
	for (unsigned i = 0; i < r->methods_n; i++)
		if (strcmp(r->methods[i], "TOPT") == 0)
			strcpy(r->methods[i], "TOTP"); /* the seed's spelling */
	return rv ? rv : read_registration(p, r, e);
}

static int read_payload(json_t *p, struct msg_request *r, struct err *e)
{
	int rv;

	if (!p)
		return err_set(e, ERR_PARSE, "payload is missing");
	if (!json_is_object(p))
		return err_set(e, ERR_PARSE, "payload is not an object");
	rv = read_uuid(p, r, e);
	if (!rv)
		rv = need_text(p, "deviceType", r->device_type, sizeof(r->device_type), e);
	if (!rv && r->resource != MSG_PUBLISH)
		rv = need_text(p, "serialId", r->serial_id, sizeof(r->serial_id), e);
	if (rv)
		return rv;
	if (r->resource == MSG_REGISTER)
		return read_register(p, r, e);
	if (r->resource == MSG_LOGIN) {
		rv = need_text(p, "code", r->code, sizeof(r->code), e);
		return rv ? rv : read_registration(p, r, e);
	}
	return r->resource == MSG_PUBLISH ? read_measure(p, r, e) : 0;
}

static int read_authentication(json_t *root, struct msg_request *r, struct err *e)
{
	json_t *value = json_object_get(root, "authentication");

	if (value && !json_is_string(value))
		return err_set(e, ERR_PARSE, "authentication is not a text");
	r->authentication = strdup(value ? json_string_value(value) : "");
	if (!r->authentication)
		return err_set(e, ERR_NOMEM, "out of memory");
	r->authentication_len = strlen(r->authentication);
	return 0;
}

static int read_request(json_t *root, struct msg_request *r, struct err *e)
{
	int rv;

	if (!json_is_object(root))
		return err_set(e, ERR_PARSE, "not an object");
	/* first what a signed refusal of the rest needs */
	if (strictjson_text(root, "nonce", r->nonce, sizeof(r->nonce)) != 1 || !is_hex(r->nonce, NONCE_LEN))
		r->nonce[0] = '\0';
	rv = need_text(root, "resource", r->resource_name, sizeof(r->resource_name), e);
	if (rv)
		return rv;
	r->resource = (enum msg_resource)msg_resource_by_name(r->resource_name);
	rv = read_list(root, "kids", false, r->kids[0], sizeof(r->kids[0]), MSG_KIDS_MAX, &r->kids_n, e);
	if (!rv)
		rv = read_list(root, "done", false, r->done[0], sizeof(r->done[0]), MSG_DONE_MAX, &r->done_n,
			       e);
	if (!rv)
		rv = read_authentication(root, r, e);
	if (!rv && r->resource != MSG_OTHER)
		rv = read_payload(json_object_get(root, "payload"), r, e);
	return rv;
}

int msg_request_parse(const char *data, size_t len, size_t size_max, unsigned depth_max,
		      struct msg_request *out, struct err *e)
{
	json_t *root;
	int rv;
	struct err why = {0};

	memset(out, 0, sizeof(*out));
	out->resource = MSG_OTHER;
	if (len > size_max)
		return err_set(e, ERR_LIMIT, "request too large");
	root = strictjson_load(data, len, depth_max, &why);
	if (!root)
		return err_set(e, why.code, "%s", why.text);
	rv = read_request(root, out, e);
	json_decref(root);
	if (rv) /* nonce and resource stay: a refusal may be signed */
		msg_request_fini(out);
	return rv;
}

void msg_request_fini(struct msg_request *r)
{
	if (r->authentication)
		explicit_bzero(r->authentication, r->authentication_len);
	free(r->authentication);
	r->authentication = NULL;
	explicit_bzero(r->code, sizeof(r->code));
}

/* ---- requests: building ---- */

static void put_key(struct buf *out, const char *key)
{
	buf_puts(out, "\"");
	buf_puts(out, key);
	buf_puts(out, "\":");
}

static void put_text(struct buf *out, const char *key, const char *value)
{
	put_key(out, key);
	buf_json_str(out, value);
}

static void put_list(struct buf *out, const char *key, const char *texts, size_t size, unsigned n)
{
	put_key(out, key);
	buf_puts(out, "[");
	for (unsigned i = 0; i < n; i++) {
		if (i)
			buf_puts(out, ",");
		buf_json_str(out, texts + i * size);
	}
	buf_puts(out, "]");
}

/* The shortest of %.15g and %.17g that reads back as the same number. */
static void put_number(struct buf *out, double v)
{
	char text[32];

	snprintf(text, sizeof(text), "%.15g", v);
	if (strtod(text, NULL) != v)
		snprintf(text, sizeof(text), "%.17g", v);
	buf_puts(out, text);
}

static void put_payload(const struct msg_request *r, struct buf *out)
{
	put_text(out, "uuid", r->uuid);
	buf_puts(out, ",");
	put_text(out, "deviceType", r->device_type);
	if (r->resource == MSG_PUBLISH) {
		buf_puts(out, ",\"measure\":");
		put_number(out, r->measure);
		buf_puts(out, ",\"timestamp\":");
		buf_i64(out, r->timestamp);
		return;
	}
	buf_puts(out, ",");
	put_text(out, "serialId", r->serial_id);
	if (r->resource == MSG_REGISTER) {
		buf_puts(out, ",");
		put_text(out, "networkType", r->network_type);
		buf_puts(out, ",");
		put_text(out, "networkId", r->network_id);
		buf_puts(out, ",");
		put_list(out, "validationMethods", r->methods[0], sizeof(r->methods[0]), r->methods_n);
	} else if (r->resource == MSG_LOGIN) {
		buf_puts(out, ",");
		put_text(out, "code", r->code);
	}
	if (r->registration[0] && r->resource != MSG_REFRESH) {
		buf_puts(out, ",");
		put_text(out, "registration", r->registration);
	}
}

int msg_request_build(const struct msg_request *r, struct buf *out)
{
	if (r->resource == MSG_PUBLISH && !isfinite(r->measure))
		return ERR_INVALID;
	buf_puts(out, "{");
	put_text(out, "authentication", r->authentication ? r->authentication : "");
	buf_puts(out, ",");
	put_text(out, "resource",
		 r->resource == MSG_OTHER ? r->resource_name : msg_resource_name(r->resource));
	if (r->nonce[0]) {
		buf_puts(out, ",");
		put_text(out, "nonce", r->nonce);
	}
	if (r->kids_n) {
		buf_puts(out, ",");
		put_list(out, "kids", r->kids[0], sizeof(r->kids[0]), r->kids_n);
	}
	if (r->done_n) {
		buf_puts(out, ",");
		put_list(out, "done", r->done[0], sizeof(r->done[0]), r->done_n);
	}
	buf_puts(out, ",\"payload\":{");
	if (r->resource != MSG_OTHER)
		put_payload(r, out);
	return buf_puts(out, "}}");
}

/* ---- responses ---- */

/* Has the command what its name asks for? Ranges are the device's to clamp. */
static bool command_fits(enum msg_command kind, json_t *command)
{
	json_t *keys = json_object_get(command, "keys"), *one, *number;
	size_t i;

	switch (kind) {
	case CMD_PAUSE:
		number = json_object_get(command, "seconds");
		return json_is_integer(number) && json_integer_value(number) >= 0;
	case CMD_CONFIG:
		number = json_object_get(command, "publishInterval");
		return json_is_integer(number) && json_integer_value(number) >= 0;
	case CMD_KEYS:
		if (!json_is_array(keys) || !json_array_size(keys) ||
		    json_array_size(keys) > COMMAND_KEYS_MAX)
			return false;
		json_array_foreach(keys, i, one)
		{
			if (!json_is_string(one) || json_string_length(one) > PEM_MAX)
				return false;
		}
		return true;
	default:
		return true;
	}
}

static void read_command(json_t *command, struct msg_response *out)
{
	const char *name = json_string_value(json_object_get(command, "name"));

	out->command = json_incref(command);
	out->command_kind = CMD_UNKNOWN;
	if (strictjson_text(command, "id", out->command_id, sizeof(out->command_id)) != 1 ||
	    !out->command_id[0] || !name) {
		out->command_id[0] = '\0';
		return;
	}
	for (int i = CMD_PAUSE; i < CMD_UNKNOWN; i++)
		if (strcmp(commands[i], name) == 0 && command_fits((enum msg_command)i, command))
			out->command_kind = (enum msg_command)i;
}

int msg_response_parse(const char *data, size_t len, struct msg_response *out)
{
	struct err e = {0};
	json_t *root, *value;
	int rv = 0;

	memset(out, 0, sizeof(*out));
	out->code = MSG_NO_CODE;
	out->retry_after_s = -1;
	if (len > MSG_REPLY_MAX)
		return 0;
	root = strictjson_load(data, len, REPLY_DEPTH, &e);
	if (!root)
		return e.code == ERR_NOMEM ? ERR_NOMEM : 0;
	value = json_object_get(root, "code");
	if (!json_is_integer(value))
		goto out;
	/* 0 is in no table either; and MSG_NO_CODE is not for a peer to say */
	out->code = json_integer_value(value) < 0 || json_integer_value(value) > INT32_MAX
			    ? 0
			    : (int)json_integer_value(value);
	out->payload = json_incref(json_object_get(root, "payload"));
	value = json_object_get(root, "command");
	if (value)
		read_command(value, out);
	value = json_object_get(root, "retryAfter");
	if (json_is_integer(value) && json_integer_value(value) >= 0)
		out->retry_after_s = json_integer_value(value);
	value = json_object_get(root, "signature");
	if (json_is_string(value)) {
		out->signature = strdup(json_string_value(value));
		rv = out->signature ? 0 : ERR_NOMEM;
	}
out:
	json_decref(root);
	if (rv)
		msg_response_fini(out);
	return rv;
}

void msg_response_fini(struct msg_response *r)
{
	json_decref(r->payload);
	json_decref(r->command);
	free(r->signature);
	r->payload = r->command = NULL;
	r->signature = NULL;
}

static int to_buf(const char *data, size_t len, void *out)
{
	return buf_add(out, data, len);
}

int msg_response_build(int code, const char *resource, json_t *payload, json_t *command,
		       int64_t retry_after_s, const char *signature, struct buf *out)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;

	buf_puts(out, "{\"code\":");
	buf_i64(out, code);
	if (resource) {
		buf_puts(out, ",\"resource\":\"");
		buf_puts(out, resource);
		buf_puts(out, "Response\"");
	}
	if (payload) {
		buf_puts(out, ",\"payload\":");
		if (json_dump_callback(payload, to_buf, out, flags))
			return out->failed ? out->failed : ERR_NOMEM;
	}
	if (command) {
		buf_puts(out, ",\"command\":");
		if (json_dump_callback(command, to_buf, out, flags))
			return out->failed ? out->failed : ERR_NOMEM;
	}
	if (retry_after_s >= 0) {
		buf_puts(out, ",\"retryAfter\":");
		buf_i64(out, retry_after_s);
	}
	if (signature) {
		buf_puts(out, ",");
		put_text(out, "signature", signature);
	}
	return buf_puts(out, "}");
}

void msg_digest(json_t *j, char out[65])
{
	uint8_t digest[HASH_SIZE];
	char *text = NULL;

	out[0] = '\0'; /* without memory: a digest that equals none */
	if (j) {
		text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
		if (!text)
			return;
	}
	hash_sha256(text ? text : "", text ? strlen(text) : 0, digest);
	hash_hex(digest, sizeof(digest), out);
	free(text);
}
