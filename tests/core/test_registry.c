/* The registry: what it takes, and that each refusal says where and why. */
#include "core/registry.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define A "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"
#define B "f09bdb70-5843-11e9-a9ba-139bd26c8b4b"
#define DEVICE(uuid)                                                                                           \
	"{\"uuid\":\"" uuid "\",\"deviceType\":\"thermometer\",\"serialId\":\"0000000001\",\"networkType\":\"Mobile\"," \
	"\"networkId\":\"214070000000001\",\"msisdn\":\"+34600000001\",\"methods\":[\"SMS\",\"TOPT\"]}"
#define FILE_OF(devices) "{\"version\":1,\"devices\":[" devices "]}"

static struct registry *parse(const char *text, struct err *e)
{
	memset(e, 0, sizeof(*e));
	return registry_parse(text, strlen(text), "fleet.json", e);
}

START_TEST(reads_and_finds)
{
	struct err e;
	struct registry *r = parse(FILE_OF(DEVICE(A) "," DEVICE(B)), &e);
	const struct registry_device *d;

	ck_assert_msg(r != NULL, "%s", e.text);
	ck_assert_uint_eq(registry_count(r), 2);
	d = registry_find(r, A);
	ck_assert_ptr_eq(d, registry_at(r, 0));
	ck_assert_str_eq(d->uuid, A);
	ck_assert_str_eq(d->device_type, "thermometer");
	ck_assert_str_eq(d->serial_id, "0000000001");
	ck_assert_str_eq(d->network_type, "Mobile");
	ck_assert_str_eq(d->network_id, "214070000000001");
	ck_assert_str_eq(d->msisdn, "+34600000001");
	ck_assert_str_eq(d->methods[0], "SMS");
	ck_assert_str_eq(d->methods[1], "TOTP"); /* the seed writes TOPT */
	ck_assert_str_eq(d->methods[2], "");
	ck_assert_str_eq(d->totp_secret, "");
	ck_assert(!d->disabled);
	ck_assert_ptr_eq(registry_find(r, B), registry_at(r, 1));
	ck_assert_ptr_null(registry_find(r, "f0f741e0-5843-11e9-a9ba-139bd26c8b4b"));
	ck_assert_ptr_null(registry_find(r, ""));
	ck_assert_ptr_null(registry_at(r, 2));
	registry_free(r);
	r = parse(FILE_OF(""), &e);
	ck_assert_uint_eq(registry_count(r), 0);
	ck_assert_ptr_null(registry_find(r, A));
	registry_free(r);
}
END_TEST

START_TEST(dump_reads_back)
{
	struct registry_device in[300], *d;
	struct registry *r;
	struct err e = {0};
	char *text;

	memset(in, 0, sizeof(in));
	for (int i = 0; i < 300; i++) {
		d = &in[i];
		snprintf(d->uuid, sizeof(d->uuid), "%08x-0000-4000-8000-000000000000", (unsigned)i * 2654435761u);
		strcpy(d->device_type, "light \"sensor\"");
		snprintf(d->serial_id, sizeof(d->serial_id), "%d", i);
		strcpy(d->network_type, "Mobile");
		snprintf(d->network_id, sizeof(d->network_id), "21407%010d", i);
		snprintf(d->msisdn, sizeof(d->msisdn), "+346%08d", i);
		strcpy(d->methods[0], "TOTP");
		if (i % 2)
			strcpy(d->totp_secret, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP");
		d->disabled = i % 3 == 0;
	}
	text = registry_dump(in, 300);
	r = registry_parse(text, strlen(text), "dump", &e);
	ck_assert_msg(r != NULL, "%s", e.text);
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(memcmp(registry_find(r, in[i].uuid), &in[i], sizeof(in[i])), 0);
	registry_free(r);
	free(text);
}
END_TEST

START_TEST(refusals_name_device_field_and_place)
{
#define WITH(field, value)                                                                                     \
	FILE_OF("\n" DEVICE(B) ",\n{\"uuid\":\"" A "\",\"deviceType\":\"t\",\"serialId\":\"1\",\n"             \
		"\"networkType\":\"Mobile\",\"networkId\":\"214070000000001\",\"msisdn\":\"+34600000001\",\n"  \
		"\"methods\":[\"SMS\"],\"" field "\":" value "}\n")
#define INSTEAD(uuid, imsi, number, methods)                                                                   \
	FILE_OF("{\"uuid\":" uuid ",\"deviceType\":\"t\",\"serialId\":\"1\",\n\"networkType\":\"Mobile\"," \
		"\n\"networkId\":" imsi ",\n\"msisdn\":" number ",\n\"methods\":" methods "}")
#define U  "\"" A "\""
#define I  "\"214070000000001\""
#define N  "\"+34600000001\""
#define M  "[\"SMS\"]"
	static const struct {
		const char *text;
		int line, column; /* 0: any */
		const char *says;
	} rows[] = {
		{"", 0, 0, "empty"},
		{"{", 1, 0, "ends too early"},
		{"{\"version\":1,\n\"devices\":[}", 2, 0, "malformed JSON"},
		{"[]", 1, 1, "version and devices"},
		{"{}", 1, 1, "version is not 1"},
		{"{\"version\":2,\"devices\":[]}", 1, 1, "version is not 1"},
		{"{\"version\":\"1\",\"devices\":[]}", 1, 1, "version is not 1"},
		{"{\"version\":1}", 1, 1, "devices is missing"},
		{"{\"version\":1,\"devices\":{}}", 1, 1, "devices is not a list"},
		{"{\"version\":1,\"devices\":[],\"more\":1}", 1, 1, "unknown field 'more'"},
		{"{\"version\":1,\"devices\":[]} {}", 0, 0, "more than one JSON document"},
		{"{\"version\":1,\"version\":1,\"devices\":[]}", 1, 0, "duplicate key"},
		{FILE_OF("1"), 0, 0, "device 1: not an object"},
		{FILE_OF("{}"), 1, 25, "device 1: uuid is missing"},
		{FILE_OF("\n " DEVICE(A) ",\n " DEVICE(A)), 3, 3, "has the uuid of device 1"},
		{FILE_OF("{\"uuid\":{\"a\":[1]}}"), 0, 0, "nested deeper"},
		{WITH("colour", "\"red\""), 5, 19, "device 2 (" A "): unknown field 'colour'"},
		{WITH("disabled", "1"), 5, 19, "disabled is neither true nor false"},
		{WITH("disabled", "null"), 5, 19, "disabled is neither"},
		{WITH("totpSecret", "\"abc\""), 5, 19, "not base32"},
		{WITH("totpSecret", "\"\""), 5, 19, "totpSecret is empty"},
		{WITH("totpSecret", "7"), 5, 19, "totpSecret is not a text"},
		{WITH("msisdn", "\"+1234567\""), 5, 0, "duplicate key"},
		{INSTEAD("\"x\"", I, N, M), 1, 26, "8-4-4-4-12"},
		{INSTEAD("\"EE9F2110-5843-11e9-a9ba-139bd26c8b4b\"", I, N, M), 1, 26, "lower-case"},
		{INSTEAD("\"" A "0\"", I, N, M), 1, 0, "longer than 36"},
		{INSTEAD("7", I, N, M), 1, 0, "uuid is not a text"},
		{INSTEAD("null", I, N, M), 1, 0, "uuid is not a text"},
		{INSTEAD("\"\"", I, N, M), 1, 0, "uuid is empty"},
		{INSTEAD(U, "\"12345\"", N, M), 3, 1, "6 to 15 digits"},
		{INSTEAD(U, "\"1234567890123456\"", N, M), 3, 1, "6 to 15 digits"},
		{INSTEAD(U, "\"21407000000000x\"", N, M), 3, 1, "6 to 15 digits"},
		{INSTEAD(U, "214070000000001", N, M), 3, 1, "networkId is not a text"},
		{INSTEAD(U, I, "\"600000001\"", M), 4, 1, "E.164"},
		{INSTEAD(U, I, "\"+0600000001\"", M), 4, 1, "E.164"},
		{INSTEAD(U, I, "\"+34 600 000\"", M), 4, 1, "E.164"},
		{INSTEAD(U, I, "\"+1234567890123456\"", M), 4, 1, "E.164"},
		{INSTEAD(U, I, "[]", M), 4, 1, "msisdn is not a text"},
		{INSTEAD(U, I, N, "\"SMS\""), 5, 1, "methods is not a list"},
		{INSTEAD(U, I, N, "[\"SSM\"]"), 5, 1, "method 1 is none of"},
		{INSTEAD(U, I, N, "[\"SMS\",1]"), 5, 1, "method 2 is none of"},
		{INSTEAD(U, I, N, "[\"TOTP\",\"TOPT\"]"), 5, 1, "stands there twice"},
		{INSTEAD(U, I, N, "[\"SMS\",\"SMS\",\"SMS\",\"SMS\",\"SMS\"]"), 5, 1, "more than 4"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e;

		ck_assert_ptr_null(parse(rows[i].text, &e));
		ck_assert_msg(strstr(e.text, rows[i].says) != NULL, "row %zu says: %s", i, e.text);
		ck_assert_str_eq(e.source, "fleet.json");
		ck_assert_msg(!rows[i].line || e.line == rows[i].line, "row %zu: line %d", i, e.line);
		ck_assert_msg(!rows[i].column || e.column == rows[i].column, "row %zu: column %d", i, e.column);
		/* who the device is to the network stays out of what people paste */
		ck_assert_ptr_null(strstr(e.text, "21407"));
		ck_assert_ptr_null(strstr(e.text, "600000"));
		ck_assert_ptr_null(strstr(e.text, "abc"));
	}
}
END_TEST

START_TEST(every_field_must_be_there)
{
	static const char *const names[] = {"uuid", "deviceType", "serialId", "networkType", "networkId", "msisdn",
					    "methods"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[1024] = FILE_OF(DEVICE(A)), quoted[32], says[48], *at, *end;
		struct err e;

		snprintf(quoted, sizeof(quoted), "\"%s\":", names[i]);
		at = strstr(text, quoted);
		end = strstr(at, ",\"") ? strstr(at, ",\"") + 1 : strstr(at, "}");
		if (strcmp(names[i], "methods") == 0) {
			at--; /* the comma before it */
			end = strchr(at, '}');
		}
		memmove(at, end, strlen(end) + 1);
		snprintf(says, sizeof(says), "%s is missing", names[i]);
		ck_assert_ptr_null(parse(text, &e));
		ck_assert_msg(strstr(e.text, says) != NULL, "%s: %s", names[i], e.text);
	}
}
END_TEST

START_TEST(from_a_file)
{
	char path[] = "/tmp/quicrig-registry-XXXXXX", missing[64];
	struct registry *r;
	struct err e = {0};
	FILE *f = fdopen(mkstemp(path), "w");

	fputs(FILE_OF(DEVICE(A)), f);
	fclose(f);
	r = registry_load(path, &e);
	ck_assert_msg(r != NULL, "%s", e.text);
	ck_assert_uint_eq(registry_count(r), 1);
	registry_free(r);
	f = fopen(path, "w");
	fclose(f);
	ck_assert_ptr_null(registry_load(path, &e));
	ck_assert_int_eq(e.code, ERR_PARSE);
	unlink(path);
	memset(&e, 0, sizeof(e));
	snprintf(missing, sizeof(missing), "%s.none", path);
	ck_assert_ptr_null(registry_load(missing, &e));
	ck_assert_int_eq(e.code, ERR_NOTFOUND);
	ck_assert_str_eq(e.source, missing);
	memset(&e, 0, sizeof(e));
	ck_assert_ptr_null(registry_load("/", &e));
	ck_assert_int_eq(e.code, ERR_IO);
}
END_TEST

START_TEST(totp_secrets_are_private)
{
	static const char file[] = "{\"version\":1,\"devices\":[" DEVICE(A) ","
				   "{\"uuid\":\"f09bdb70-5843-11e9-a9ba-139bd26c8b4b\",\"deviceType\":\"lightSensor\","
				   "\"serialId\":\"2\",\"networkType\":\"Mobile\",\"networkId\":\"214070000000002\","
				   "\"msisdn\":\"+34600000002\",\"methods\":[\"TOTP\"],\"totpSecret\":\"JBSWY3DPEHPK3PXP\"}]}";
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = {{0600, true}, {0400, true}, {0640, false}, {0604, false}, {0620, false}};
	char path[] = "/tmp/quicrig-registry-XXXXXX";
	struct registry *r;
	struct err e = {0};
	FILE *f = fdopen(mkstemp(path), "w");

	fputs(file, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, rows[_i].mode), 0);
	r = registry_load(path, &e);
	ck_assert_int_eq(r != NULL, rows[_i].good);
	if (!r) {
		ck_assert_int_eq(e.code, ERR_ENVIRONMENT);
		ck_assert_ptr_nonnull(strstr(e.text, "chmod 600"));
		ck_assert_ptr_null(strstr(e.text, "JBSW"));
	}
	registry_free(r);
	unlink(path);
}
END_TEST

START_TEST(uuids)
{
	ck_assert(uuid_valid(A));
	ck_assert(!uuid_valid(""));
	ck_assert(!uuid_valid(A "0"));
	ck_assert(!uuid_valid("ee9f2110-5843-11e9-a9ba-139bd26c8b4"));
	ck_assert(!uuid_valid("ee9f2110058430110e90a9ba0139bd26c8b4b"));
	ck_assert(!uuid_valid("Ee9f2110-5843-11e9-a9ba-139bd26c8b4b"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("registry");
	TCase *t = tcase_create("registry");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, reads_and_finds);
	tcase_add_test(t, dump_reads_back);
	tcase_add_test(t, refusals_name_device_field_and_place);
	tcase_add_test(t, every_field_must_be_there);
	tcase_add_test(t, from_a_file);
	tcase_add_loop_test(t, totp_secrets_are_private, 0, 5);
	tcase_add_test(t, uuids);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
