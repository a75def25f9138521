/* Messages: J1–J4 of the catalogue, and that what one end builds the other reads. */
#include "core/msg.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define UUID  "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define NONCE "0123456789abcdef0123456789abcdef"
#define REG   "a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define MAX   8192
#define DEPTH 8

static int parse(const char *text, struct msg_request *r, struct err *e)
{
	memset(e, 0, sizeof(*e));
	return msg_request_parse(text, strlen(text), MAX, DEPTH, r, e);
}

static int verdict(const char *text, size_t len)
{
	struct msg_request r;
	struct err e = {0};
	int rv = msg_request_parse(text, len, MAX, DEPTH, &r, &e);

	ck_assert(rv == 0 || e.text[0]);
	msg_request_fini(&r);
	return rv;
}

static json_t *sample(enum msg_resource which)
{
	json_t *p = json_pack("{s:s, s:s, s:s}", "uuid", UUID, "deviceType", "thermometer", "serialId", "1");

	if (which == MSG_REGISTER)
		json_object_update_new(p, json_pack("{s:s, s:s, s:[s, s], s:s}", "networkType", "Mobile", "networkId",
						    "214070000000001", "validationMethods", "SMS", "TOPT",
						    "registration", REG));
	else if (which == MSG_LOGIN)
		json_object_update_new(p, json_pack("{s:s, s:s}", "code", "AB12cd34EF56", "registration", REG));
	else if (which == MSG_PUBLISH) {
		json_object_del(p, "serialId");
		json_object_update_new(p, json_pack("{s:f, s:I}", "measure", 20.5, "timestamp",
						    (json_int_t)1700000000000));
	}
	return json_pack("{s:s, s:s, s:s, s:[s], s:[s], s:o}", "authentication", "a.b.c", "resource",
			 msg_resource_name(which), "nonce", NONCE, "kids", "0011223344556677", "done", "7", "payload", p);
}

static int verdict_json(json_t *j)
{
	char *text = json_dumps(j, JSON_COMPACT);
	int rv = verdict(text, strlen(text));

	free(text);
	return rv;
}

/* ---- J1, J3: not one JSON object ---- */

START_TEST(what_is_no_request)
{
	static const char *const bad[] = {
		"", " ", "\n", "{", "}", "{}", "[]", "null", "1", "\"x\"", "{\"resource\":\"login\"",
		"{\"resource\":\"login\"}", "{\"resource\":\"login\",\"payload\":{}}", "[{\"resource\":\"login\"}]",
		"{\"resource\":\"other\"}{}", "{\"resource\":\"other\"} x", "{\"resource\":\"other\"},",
		"{\"resource\":\"a\",\"resource\":\"b\"}", "{\"resource\":\"a\",\"x\":{\"y\":1,\"y\":1}}",
		"{\"resource\":\"a\",\"x\":\"\\u0000\"}", "{\"resource\":\"a\",\"\\u0000\":1}",
		"{\"resource\":\"a\",\"x\":\"\xff\"}", "{\"resource\":\"a\",\"x\":\"\xc0\x80\"}",
		"{\"resource\":\"a\",\"x\":\"\xed\xa0\x80\"}", "{\"resource\":\"a\",\"x\":\"\\ud800\"}",
		"{\"resource\":\"a\",\"x\":1e999}", "{\"resource\":\"a\",\"x\":99999999999999999999}",
		"{\"resource\":\"a\",\"x\":01}", "{\"resource\":\"a\",\"x\":NaN}", "{\"resource\":\"a\",\"x\":+1}",
		"{\"resource\":\"a\",}", "{'resource':'a'}", "{\"resource\":\"a\"}//", "\xef\xbb\xbf{\"resource\":\"a\"}",
		"{\"resource\":\"a\",\"x\":\"\t\"}", "{\"resource\":\"a\" \"x\":1}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(verdict(bad[i], strlen(bad[i])) == ERR_PARSE, "%s", bad[i]);
	/* NUL inside and behind */
	ck_assert_int_eq(verdict("{\"resource\":\"a\"}\0", 17), ERR_PARSE);
	ck_assert_int_eq(verdict("{\"resource\":\"a\0b\"}", 18), ERR_PARSE);
	ck_assert_int_eq(verdict("{\"resource\":\"a\"}", 16), 0);
	ck_assert_int_eq(verdict(" {\"resource\":\"a\"}\n", 18), 0);
}
END_TEST

START_TEST(cut_anywhere)
{
	json_t *j = sample(MSG_REGISTER);
	char *text = json_dumps(j, JSON_COMPACT), *cut;
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++) {
		cut = malloc(n ? n : 1);
		memcpy(cut, text, n);
		ck_assert_int_eq(verdict(cut, n), ERR_PARSE);
		free(cut);
	}
	ck_assert_int_eq(verdict(text, len), 0);
	free(text);
	json_decref(j);
}
END_TEST

/* ---- J2: size and depth ---- */

START_TEST(eight_kib_and_one_more)
{
	char *text = malloc(MAX + 2);
	int n = sprintf(text, "{\"resource\":\"a\",\"x\":\"");

	memset(text + n, 'x', MAX + 2 - (size_t)n);
	memcpy(text + MAX - 2, "\"}", 2);
	ck_assert_int_eq(verdict(text, MAX), 0);
	memcpy(text + MAX - 2, "x\"}", 3);
	ck_assert_int_eq(verdict(text, MAX + 1), ERR_LIMIT);
	free(text);
	/* too large comes first: nobody reads it */
	text = calloc(1, 16 << 20);
	ck_assert_int_eq(verdict(text, 16 << 20), ERR_LIMIT);
	free(text);
}
END_TEST

static char *nested(unsigned depth, char open, char close)
{
	char *text = malloc(2 * depth + 64);
	int n = sprintf(text, "{\"resource\":\"a\",\"x\":"); /* depth 1 */

	for (unsigned i = 1; i < depth; i++)
		text[n++] = open;
	for (unsigned i = 1; close && i < depth; i++)
		text[n++] = close;
	strcpy(text + n, "}");
	return text;
}

START_TEST(depth)
{
	static const unsigned depths[] = {9, 100, 2047, 2048, 2049, 100000};
	struct msg_request r;
	struct err e = {0};
	char *text = nested(8, '[', ']');

	ck_assert_int_eq(verdict(text, strlen(text)), 0);
	free(text);
	for (size_t i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
		for (int closed = 0; closed < 2; closed++) {
			text = nested(depths[i], '[', closed ? ']' : '\0');
			ck_assert_int_eq(msg_request_parse(text, strlen(text), 1 << 20, DEPTH, &r, &e), ERR_PARSE);
			msg_request_fini(&r);
			free(text);
		}
	}
	/* brackets in texts, behind escaped quotes and backslashes, are no nesting */
	text = strdup("{\"resource\":\"a\",\"x\":\"[[[[[[[[[[[[\\\"[[[[[[[[\\\\\",\"y\":[1]}");
	ck_assert_int_eq(verdict(text, strlen(text)), 0);
	free(text);
	/* and a quote that is none opens no place to hide */
	text = strdup("{\"resource\":\"a\",\"x\":\"\\\\\",\"y\":[[[[[[[[[[1]]]]]]]]]]}");
	ck_assert_int_eq(verdict(text, strlen(text)), ERR_PARSE);
	free(text);
}
END_TEST

/* ---- J4: every field, every wrong type, missing ---- */

/* What a field may be besides a text. */
enum need { TEXT, NUMBER, INTEGER, LIST, OPTIONAL_TEXT, OPTIONAL_LIST, OBJECT, ANY };

static const struct field {
	enum msg_resource resource; /* MSG_RESOURCES: each of the four, at the top */
	const char *name;
	enum need need;
} fields[] = {
	{MSG_RESOURCES, "authentication", OPTIONAL_TEXT},
	{MSG_RESOURCES, "resource", TEXT},
	{MSG_RESOURCES, "payload", OBJECT},
	{MSG_RESOURCES, "kids", OPTIONAL_LIST},
	{MSG_RESOURCES, "done", OPTIONAL_LIST},
	{MSG_RESOURCES, "nonce", ANY},
	{MSG_REGISTER, "uuid", TEXT},
	{MSG_REGISTER, "deviceType", TEXT},
	{MSG_REGISTER, "serialId", TEXT},
	{MSG_REGISTER, "networkType", TEXT},
	{MSG_REGISTER, "networkId", TEXT},
	{MSG_REGISTER, "validationMethods", LIST},
	{MSG_REGISTER, "registration", OPTIONAL_TEXT},
	{MSG_LOGIN, "uuid", TEXT},
	{MSG_LOGIN, "deviceType", TEXT},
	{MSG_LOGIN, "serialId", TEXT},
	{MSG_LOGIN, "code", TEXT},
	{MSG_LOGIN, "registration", OPTIONAL_TEXT},
	{MSG_PUBLISH, "uuid", TEXT},
	{MSG_PUBLISH, "deviceType", TEXT},
	{MSG_PUBLISH, "measure", NUMBER},
	{MSG_PUBLISH, "timestamp", INTEGER},
	{MSG_REFRESH, "uuid", TEXT},
	{MSG_REFRESH, "deviceType", TEXT},
	{MSG_REFRESH, "serialId", TEXT},
};

static const char *const values[] = {"null", "true", "false", "0", "-1", "1.5", "[]", "{}", "[[]]", "[1]", "{\"a\":1}"};

static bool allowed(const struct field *f, const char *value)
{
	json_t *j = json_loads(value, JSON_DECODE_ANY, NULL);
	bool number = json_is_number(j), integer = json_is_integer(j) && json_integer_value(j) >= 0,
	     empty_list = json_is_array(j) && !json_array_size(j);

	json_decref(j);
	switch (f->need) {
	case NUMBER:
		return number;
	case INTEGER:
		return integer;
	case LIST:
	case OPTIONAL_LIST:
		return empty_list;
	case ANY:
		return true;
	default:
		return false;
	}
}

static void check_field(enum msg_resource which, const struct field *f)
{
	bool optional = f->need == OPTIONAL_TEXT || f->need == OPTIONAL_LIST || f->need == ANY;
	json_t *j, *at;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		j = sample(which);
		at = f->resource == MSG_RESOURCES ? j : json_object_get(j, "payload");
		json_object_set_new(at, f->name, json_loads(values[i], JSON_DECODE_ANY, NULL));
		ck_assert_msg(verdict_json(j) == (allowed(f, values[i]) ? 0 : ERR_PARSE), "%s: %s = %s",
			      msg_resource_name(which), f->name, values[i]);
		json_decref(j);
	}
	j = sample(which);
	at = f->resource == MSG_RESOURCES ? j : json_object_get(j, "payload");
	json_object_del(at, f->name);
	ck_assert_msg(verdict_json(j) == (optional ? 0 : ERR_PARSE), "%s: no %s", msg_resource_name(which), f->name);
	json_decref(j);
	if (f->need != TEXT && f->need != ANY && f->need != OPTIONAL_TEXT) {
		j = sample(which);
		at = f->resource == MSG_RESOURCES ? j : json_object_get(j, "payload");
		json_object_set_new(at, f->name, json_string("1"));
		ck_assert_msg(verdict_json(j) == ERR_PARSE, "%s: %s as a text", msg_resource_name(which), f->name);
		json_decref(j);
	}
}

START_TEST(every_field_every_wrong_type_and_missing)
{
	for (int which = 0; which < MSG_OTHER; which++) {
		json_t *j = sample((enum msg_resource)which);

		ck_assert_int_eq(verdict_json(j), 0);
		json_decref(j);
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (fields[i].resource == MSG_RESOURCES || (int)fields[i].resource == which)
				check_field((enum msg_resource)which, &fields[i]);
	}
}
END_TEST

START_TEST(texts_that_are_too_long)
{
	static const struct {
		enum msg_resource which;
		const char *name;
		size_t fits;
	} rows[] = {
		{MSG_REGISTER, "deviceType", 32}, {MSG_REGISTER, "serialId", 32}, {MSG_REGISTER, "networkType", 16},
		{MSG_REGISTER, "networkId", 16},  {MSG_LOGIN, "code", 64},
	};
	char text[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j = sample(rows[i].which), *p = json_object_get(j, "payload");

		memset(text, 'x', sizeof(text));
		text[rows[i].fits] = '\0';
		json_object_set_new(p, rows[i].name, json_string(text));
		ck_assert_int_eq(verdict_json(j), 0);
		text[rows[i].fits] = 'x';
		text[rows[i].fits + 1] = '\0';
		json_object_set_new(p, rows[i].name, json_string(text));
		ck_assert_int_eq(verdict_json(j), ERR_PARSE);
		json_decref(j);
	}
}
END_TEST

static json_t *list_of(unsigned n, const char *text)
{
	json_t *list = json_array();

	while (n--)
		json_array_append_new(list, json_string(text));
	return list;
}

START_TEST(lists_that_are_too_long)
{
	char text[80];
	json_t *j = sample(MSG_REGISTER), *p = json_object_get(j, "payload");

	json_object_set_new(p, "validationMethods", list_of(MSG_METHODS_MAX, "SMS"));
	json_object_set_new(j, "kids", list_of(MSG_KIDS_MAX, "k"));
	json_object_set_new(j, "done", list_of(MSG_DONE_MAX, "d"));
	ck_assert_int_eq(verdict_json(j), 0);
	json_object_set_new(p, "validationMethods", list_of(MSG_METHODS_MAX + 1, "SMS"));
	ck_assert_int_eq(verdict_json(j), ERR_PARSE);
	json_object_set_new(p, "validationMethods", list_of(1, "ELEVENTEEN_IS_17_"));
	ck_assert_int_eq(verdict_json(j), ERR_PARSE);
	json_object_set_new(p, "validationMethods", list_of(0, ""));
	ck_assert_int_eq(verdict_json(j), 0); /* 412's business */
	json_object_set_new(j, "kids", list_of(MSG_KIDS_MAX + 1, "k"));
	ck_assert_int_eq(verdict_json(j), ERR_PARSE);
	memset(text, 'k', 65);
	text[65] = '\0';
	json_object_set_new(j, "kids", list_of(1, text));
	ck_assert_int_eq(verdict_json(j), ERR_PARSE);
	json_object_set_new(j, "kids", list_of(0, ""));
	json_object_set_new(j, "done", list_of(MSG_DONE_MAX + 1, "d"));
	ck_assert_int_eq(verdict_json(j), ERR_PARSE);
	json_object_set_new(j, "done", list_of(1, text));
	ck_assert_int_eq(verdict_json(j), ERR_PARSE);
	json_decref(j);
}
END_TEST

START_TEST(uuids_registrations_nonces)
{
	static const char *const bad[] = {"", "xyz", "a1b2c3d4e5f60718293a4b5c6d7e8f9", REG "0",
					  "g1b2c3d4e5f60718293a4b5c6d7e8f90", " 1b2c3d4e5f60718293a4b5c6d7e8f90"};
	struct msg_request r;
	struct err e;
	json_t *j = sample(MSG_LOGIN), *p = json_object_get(j, "payload");
	char *text;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_object_set_new(p, "registration", json_string(bad[i]));
		ck_assert_msg(verdict_json(j) == ERR_PARSE, "registration '%s'", bad[i]);
	}
	json_object_set_new(p, "registration", json_string(REG));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_object_set_new(p, "uuid", json_string(bad[i]));
		json_object_set_new(j, "nonce", json_string(bad[i]));
		text = json_dumps(j, 0);
		ck_assert_int_eq(parse(text, &r, &e), 0);
		ck_assert_str_eq(r.uuid, "");
		ck_assert_str_eq(r.nonce, "");
		msg_request_fini(&r);
		free(text);
	}
	json_decref(j);
}
END_TEST

START_TEST(a_refusal_can_be_signed)
{
	struct msg_request r;
	struct err e;

	ck_assert_int_eq(parse("{\"payload\":{\"code\":\"SECRETCODE12\",\"uuid\":7},\"nonce\":\"" NONCE
			       "\",\"authentication\":\"SECRETTOKEN\",\"resource\":\"login\"}",
			       &r, &e),
			 ERR_PARSE);
	ck_assert_str_eq(r.nonce, NONCE);
	ck_assert_int_eq(r.resource, MSG_LOGIN);
	ck_assert_str_eq(e.text, "uuid is not a text");
	ck_assert_ptr_null(r.authentication);
	/* what the peer wrote is never said again, not even where it broke the JSON */
	ck_assert_int_eq(parse("{\"code\":\"SECRETCODE12\" SECRET", &r, &e), ERR_PARSE);
	ck_assert_ptr_null(strstr(e.text, "SECRET"));
	ck_assert_int_eq(parse("{\"SECRET\":1,\"SECRET\":2}", &r, &e), ERR_PARSE);
	ck_assert_ptr_null(strstr(e.text, "SECRET"));
}
END_TEST

START_TEST(unknown_resources_and_members)
{
	struct msg_request r;
	struct err e;

	ck_assert_int_eq(parse("{\"resource\":\"toString\",\"payload\":7,\"new\":[1],\"authentication\":\"t\"}", &r, &e), 0);
	ck_assert_int_eq(r.resource, MSG_OTHER);
	ck_assert_str_eq(r.resource_name, "toString");
	ck_assert_str_eq(r.authentication, "t");
	ck_assert_uint_eq(r.authentication_len, 1);
	msg_request_fini(&r);
	ck_assert_int_eq(parse("{\"resource\":\"other\"}", &r, &e), 0);
	ck_assert_int_eq(r.resource, MSG_OTHER);
	ck_assert_str_eq(r.authentication, "");
	msg_request_fini(&r);
	ck_assert_int_eq(msg_resource_by_name("refreshToken"), MSG_REFRESH);
	ck_assert_int_eq(msg_resource_by_name("Login"), MSG_OTHER);
	ck_assert_int_eq(msg_resource_by_name(""), MSG_OTHER);
}
END_TEST

/* ---- building ---- */

START_TEST(built_requests_read_back)
{
	static const double measures[] = {0, -273, 20.5, 0.1, 1.0 / 3, 1e300, 20000, -0.25};

	for (int which = 0; which < MSG_OTHER; which++) {
		for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
			struct msg_request in = {.resource = (enum msg_resource)which, .measure = measures[i],
						 .timestamp = 1700000000000, .methods_n = 2, .kids_n = 1, .done_n = 2},
					   out;
			char auth[] = "a.b.c";
			struct err e;
			struct buf b;

			buf_init(&b, MAX);
			in.authentication = auth;
			strcpy(in.nonce, NONCE);
			strcpy(in.uuid, UUID);
			strcpy(in.device_type, "light \"x\" \\ \xc3\xa9");
			strcpy(in.serial_id, "0000000001");
			strcpy(in.network_type, "Mobile");
			strcpy(in.network_id, "214070000000001");
			strcpy(in.methods[0], "SMS");
			strcpy(in.methods[1], "TOTP");
			strcpy(in.registration, REG);
			strcpy(in.code, "AB12cd34EF56");
			strcpy(in.kids[0], "0011223344556677");
			strcpy(in.done[0], "1");
			strcpy(in.done[1], "2");
			ck_assert_int_eq(msg_request_build(&in, &b), 0);
			ck_assert_msg(parse(b.data, &out, &e) == 0, "%s: %s", e.text, b.data);
			ck_assert_int_eq(out.resource, which);
			ck_assert_str_eq(out.authentication, auth);
			ck_assert_str_eq(out.nonce, NONCE);
			ck_assert_str_eq(out.uuid, UUID);
			ck_assert_str_eq(out.device_type, in.device_type);
			ck_assert_str_eq(out.kids[0], in.kids[0]);
			ck_assert_str_eq(out.done[1], "2");
			ck_assert_str_eq(out.serial_id, which == MSG_PUBLISH ? "" : in.serial_id);
			ck_assert_str_eq(out.network_id, which == MSG_REGISTER ? in.network_id : "");
			ck_assert_uint_eq(out.methods_n, which == MSG_REGISTER ? 2 : 0);
			ck_assert_str_eq(out.code, which == MSG_LOGIN ? in.code : "");
			ck_assert_str_eq(out.registration, which == MSG_REGISTER || which == MSG_LOGIN ? REG : "");
			if (which == MSG_PUBLISH) {
				ck_assert(out.measure == measures[i]);
				ck_assert_int_eq(out.timestamp, in.timestamp);
			}
			msg_request_fini(&out);
			buf_fini(&b);
		}
	}
}
END_TEST

START_TEST(what_cannot_be_built)
{
	struct msg_request in = {.resource = MSG_PUBLISH, .measure = 0.0 / 0.0};
	struct buf b;

	buf_init(&b, 16);
	ck_assert_int_eq(msg_request_build(&in, &b), ERR_INVALID);
	in.measure = 1;
	ck_assert_int_eq(msg_request_build(&in, &b), ERR_LIMIT);
	buf_fini(&b);
}
END_TEST

START_TEST(responses_there_and_back)
{
	json_t *payload = json_pack("{s:s}", "message", "ACK for 1"),
	       *command = json_pack("{s:s, s:s, s:i}", "id", "7", "name", "PAUSE", "seconds", 60);
	struct msg_response r;
	struct buf b;
	char d1[65], d2[65];

	buf_init(&b, MSG_REPLY_MAX);
	ck_assert_int_eq(msg_response_build(200, "login", payload, command, 30, "sig", &b), 0);
	ck_assert_str_eq(b.data, "{\"code\":200,\"resource\":\"loginResponse\",\"payload\":{\"message\":\"ACK for 1\"},"
				 "\"command\":{\"id\":\"7\",\"name\":\"PAUSE\",\"seconds\":60},\"retryAfter\":30,"
				 "\"signature\":\"sig\"}");
	ck_assert_int_eq(msg_response_parse(b.data, b.len, &r), 0);
	ck_assert_int_eq(r.code, 200);
	ck_assert_int_eq(r.retry_after_s, 30);
	ck_assert_str_eq(r.signature, "sig");
	ck_assert_int_eq(r.command_kind, CMD_PAUSE);
	ck_assert_str_eq(r.command_id, "7");
	msg_digest(payload, d1);
	msg_digest(r.payload, d2);
	ck_assert_str_eq(d1, d2);
	msg_response_fini(&r);
	buf_reset(&b);
	ck_assert_int_eq(msg_response_build(503, NULL, NULL, NULL, -1, NULL, &b), 0);
	ck_assert_str_eq(b.data, "{\"code\":503}");
	ck_assert_int_eq(msg_response_parse(b.data, b.len, &r), 0);
	ck_assert_int_eq(r.retry_after_s, -1);
	ck_assert_ptr_null(r.payload);
	ck_assert_ptr_null(r.command);
	ck_assert_ptr_null(r.signature);
	ck_assert_int_eq(r.command_kind, CMD_NONE);
	msg_response_fini(&r);
	buf_fini(&b);
	buf_init(&b, 40);
	ck_assert_int_eq(msg_response_build(200, "login", payload, command, 30, "sig", &b), ERR_LIMIT);
	buf_fini(&b);
	json_decref(payload);
	json_decref(command);
}
END_TEST

START_TEST(responses_that_say_nothing)
{
	static const char *const none[] = {
		"", "{}", "{", "[]", "null", "{\"code\":\"200\"}", "{\"code\":200.0}", "{\"code\":null}", "{\"code\":true}",
		"{\"code\":200,\"code\":403}", "{\"code\":200}x", "{\"code\":200,\"x\":\"\xff\"}",
		"{\"code\":99999999999999999999}",
	};
	struct msg_response r;
	char *big;

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ck_assert_int_eq(msg_response_parse(none[i], strlen(none[i]), &r), 0);
		ck_assert_msg(r.code == MSG_NO_CODE, "%s", none[i]);
		msg_response_fini(&r);
	}
	/* an integer that no table knows is a code all the same */
	ck_assert_int_eq(msg_response_parse("{\"code\":-1}", 11, &r), 0);
	ck_assert_int_eq(r.code, 0);
	msg_response_fini(&r);
	ck_assert_int_eq(msg_response_parse("{\"code\":4294967496}", 19, &r), 0);
	ck_assert_int_eq(r.code, 0);
	msg_response_fini(&r);
	big = malloc(MSG_REPLY_MAX + 1);
	memset(big, ' ', MSG_REPLY_MAX + 1);
	memcpy(big, "{\"code\":200}", 12);
	ck_assert_int_eq(msg_response_parse(big, MSG_REPLY_MAX, &r), 0);
	ck_assert_int_eq(r.code, 200);
	msg_response_fini(&r);
	ck_assert_int_eq(msg_response_parse(big, MSG_REPLY_MAX + 1, &r), 0);
	ck_assert_int_eq(r.code, MSG_NO_CODE);
	msg_response_fini(&r);
	memset(big, '[', MSG_REPLY_MAX);
	ck_assert_int_eq(msg_response_parse(big, MSG_REPLY_MAX, &r), 0);
	ck_assert_int_eq(r.code, MSG_NO_CODE);
	msg_response_fini(&r);
	free(big);
}
END_TEST

START_TEST(commands)
{
	static const struct {
		const char *command;
		enum msg_command kind;
	} rows[] = {
		{"{\"id\":\"1\",\"name\":\"PAUSE\",\"seconds\":60}", CMD_PAUSE},
		{"{\"id\":\"1\",\"name\":\"PAUSE\",\"seconds\":999999999}", CMD_PAUSE}, /* the device caps it */
		{"{\"id\":\"1\",\"name\":\"PAUSE\",\"seconds\":-1}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"PAUSE\",\"seconds\":\"60\"}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"PAUSE\"}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"CONFIG\",\"publishInterval\":5}", CMD_CONFIG},
		{"{\"id\":\"1\",\"name\":\"CONFIG\"}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"KEYS\",\"keys\":[\"pem\"]}", CMD_KEYS},
		{"{\"id\":\"1\",\"name\":\"KEYS\",\"keys\":[]}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"KEYS\",\"keys\":[1]}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"KEYS\"}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"RESET\"}", CMD_RESET},
		{"{\"id\":\"1\",\"name\":\"IDLE\"}", CMD_IDLE},
		{"{\"id\":\"1\",\"name\":\"idle\"}", CMD_UNKNOWN},
		{"{\"id\":\"1\",\"name\":\"unknown\"}", CMD_UNKNOWN},
		{"{\"id\":\"\",\"name\":\"IDLE\"}", CMD_UNKNOWN},
		{"{\"id\":1,\"name\":\"IDLE\"}", CMD_UNKNOWN},
		{"{\"name\":\"IDLE\"}", CMD_UNKNOWN},
		{"{\"id\":\"1\"}", CMD_UNKNOWN},
		{"{\"id\":\"0123456789012345678901234567890123456\",\"name\":\"IDLE\"}", CMD_UNKNOWN},
		{"\"IDLE\"", CMD_UNKNOWN},
		{"null", CMD_UNKNOWN},
		{"[]", CMD_UNKNOWN},
	};
	char text[256];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct msg_response r;

		snprintf(text, sizeof(text), "{\"code\":200,\"command\":%s}", rows[i].command);
		ck_assert_int_eq(msg_response_parse(text, strlen(text), &r), 0);
		ck_assert_msg(r.command_kind == rows[i].kind, "%s: %s", rows[i].command,
			      msg_command_name(r.command_kind));
		ck_assert_ptr_nonnull(r.command);
		msg_response_fini(&r);
	}
}
END_TEST

START_TEST(digests)
{
	json_t *a = json_loads("{ \"b\": [1, 2.5, \"\\u00e9\"], \"a\": {\"y\": null, \"x\": true} }", 0, NULL);
	static const char compact[] = "{\"a\":{\"x\":true,\"y\":null},\"b\":[1,2.5,\"\xc3\xa9\"]}";
	uint8_t sum[HASH_SIZE];
	char want[65], got[65];

	hash_sha256(compact, strlen(compact), sum);
	hash_hex(sum, sizeof(sum), want);
	msg_digest(a, got);
	ck_assert_str_eq(got, want);
	msg_digest(NULL, got);
	ck_assert_str_eq(got, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	json_decref(a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("msg");
	TCase *t = tcase_create("msg");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_is_no_request);
	tcase_add_test(t, cut_anywhere);
	tcase_add_test(t, eight_kib_and_one_more);
	tcase_add_test(t, depth);
	tcase_add_test(t, every_field_every_wrong_type_and_missing);
	tcase_add_test(t, texts_that_are_too_long);
	tcase_add_test(t, lists_that_are_too_long);
	tcase_add_test(t, uuids_registrations_nonces);
	tcase_add_test(t, a_refusal_can_be_signed);
	tcase_add_test(t, unknown_resources_and_members);
	tcase_add_test(t, built_requests_read_back);
	tcase_add_test(t, what_cannot_be_built);
	tcase_add_test(t, responses_there_and_back);
	tcase_add_test(t, responses_that_say_nothing);
	tcase_add_test(t, commands);
	tcase_add_test(t, digests);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
