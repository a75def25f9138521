/* Requests and responses on a stream: one JSON object each (protocol.md §2).
 *
 * Parsing is strict: UTF-8, one document, no duplicate keys, no NUL, depth and size
 * capped before any library sees the bytes, types checked. Unknown members are
 * ignored. Building gives compact JSON. */
#ifndef CORE_MSG_H
#define CORE_MSG_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/registry.h"

#define NONCE_LEN        32
#define REGISTRATION_LEN 32
#define MSG_REPLY_MAX    65536
#define MSG_METHODS_MAX  8
#define MSG_KIDS_MAX     4
#define MSG_DONE_MAX     8
#define COMMAND_ID_MAX   36
#define TOKEN_TEXT_MAX   4096
#define PEM_MAX          2048

enum msg_resource { MSG_REGISTER, MSG_LOGIN, MSG_PUBLISH, MSG_REFRESH, MSG_OTHER, MSG_RESOURCES };
const char *msg_resource_name(enum msg_resource r); /* "registerDevice", …; "other" */
int msg_resource_by_name(const char *name);         /* MSG_OTHER where unknown */

struct msg_request {
	enum msg_resource resource;
	char resource_name[65];              /* as asked, for unknown ones */
	char nonce[NONCE_LEN + 1];           /* "" absent or not valid */
	char *authentication;                /* owned; "" where empty; may be over the token cap: judge it */
	size_t authentication_len;
	char uuid[UUID_LEN + 1];             /* as sent where it is a valid uuid, else "" */
	char device_type[33], serial_id[33], network_type[17], network_id[17];
	char methods[MSG_METHODS_MAX][17];
	unsigned methods_n;
	char registration[REGISTRATION_LEN + 1]; /* "" absent: the empty registration */
	char code[65];                       /* login; "" where absent or empty. A secret. */
	double measure;                      /* publish: a number … */
	int64_t timestamp;                   /* … Unix ms */
	char kids[MSG_KIDS_MAX][65];
	unsigned kids_n;
	char done[MSG_DONE_MAX][COMMAND_ID_MAX + 1];
	unsigned done_n;
};

/* Reads one request. On 0 `out` is filled (msg_request_fini frees). On ERR_PARSE the
 * answer is 400 and `e` says why in words fit for a reply (no value of the peer's in
 * it); ERR_LIMIT: 413 (longer than `size_max`). Depth over `depth_max` is ERR_PARSE.
 * `out->nonce` and `out->resource` are filled even on ERR_PARSE where they could be
 * read, so that a refusal can be signed. Fields of a known resource that are missing
 * or of the wrong type or too long are ERR_PARSE; an unknown resource's payload is not
 * looked at. A missing `authentication` reads as empty. A login without `code` is
 * ERR_PARSE; an empty code is fine here. A registration that is present but not 32 hex
 * is ERR_PARSE. kids and done too long: ERR_PARSE. */
int msg_request_parse(const char *data, size_t len, size_t size_max, unsigned depth_max,
		      struct msg_request *out, struct err *e);
void msg_request_fini(struct msg_request *r);

/* Builds a request from the fields that its resource sends. `measure` as a number. */
int msg_request_build(const struct msg_request *r, struct buf *out);

enum msg_command { CMD_NONE, CMD_PAUSE, CMD_CONFIG, CMD_KEYS, CMD_RESET, CMD_IDLE, CMD_UNKNOWN };
const char *msg_command_name(enum msg_command c);

struct msg_response {
	int code;                    /* MSG_NO_CODE: no integer `code`, bad JSON, over 64 KiB */
	json_t *payload;             /* owned; NULL absent */
	json_t *command;             /* owned; NULL absent */
	int64_t retry_after_s;       /* -1 absent; a device caps it at 86,400 */
	char *signature;             /* owned; NULL absent */
	enum msg_command command_kind; /* of `command`; CMD_UNKNOWN also where malformed */
	char command_id[COMMAND_ID_MAX + 1];
};
#define MSG_NO_CODE (-1)

/* Reads one response; never fails but for ERR_NOMEM: what cannot be read is MSG_NO_CODE. */
int msg_response_parse(const char *data, size_t len, struct msg_response *out);
void msg_response_fini(struct msg_response *r);

/* Appends {"code":…,"resource":"…Response","payload":…,"command":…,"retryAfter":…,"signature":"…"};
 * `resource` NULL leaves it out; payload, command borrowed, NULL leaves them out;
 * retry_after_s < 0 leaves it out; signature NULL leaves it out. */
int msg_response_build(int code, const char *resource, json_t *payload, json_t *command, int64_t retry_after_s,
		       const char *signature, struct buf *out);

/* Lower-case hex SHA-256 of `j` as compact, key-sorted UTF-8 JSON; of nothing where
 * NULL (protocol.md §2, Signed replies). */
void msg_digest(json_t *j, char out[65]);

#endif
