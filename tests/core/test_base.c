/* The small things that everything stands on: errors, buffers, digests, random
 * streams, the journal's lines, armed faults. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/err.h"
#include "core/fault.h"
#include "core/hash.h"
#include "core/journal.h"
#include "core/rng.h"
#include "core/rows.h"
#include "core/time.h"

#define UUID "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"

/* ---- err ---- */

START_TEST(the_first_error_wins)
{
	struct err e = {0};
	char text[128];

	ck_assert_int_eq(err_set(&e, ERR_PARSE, "first %d", 1), ERR_PARSE);
	ck_assert_int_eq(err_set(&e, ERR_IO, "second"), ERR_IO);
	ck_assert_int_eq(e.code, ERR_PARSE);
	ck_assert_str_eq(err_format(&e, text, sizeof(text)), "first 1");
	ck_assert_int_eq(err_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
	memset(&e, 0, sizeof(e));
	err_set_at(&e, ERR_PARSE, "a.yaml", 3, 7, "unknown key");
	ck_assert_str_eq(err_format(&e, text, sizeof(text)), "a.yaml:3:7: unknown key");
	memset(&e, 0, sizeof(e));
	err_set_at(&e, ERR_IO, "a.yaml", 0, 0, "gone");
	ck_assert_str_eq(err_format(&e, text, sizeof(text)), "a.yaml: gone");
	ck_assert_str_eq(err_format(&e, text, 5), "a.ya");
}
END_TEST

START_TEST(every_code_has_a_text)
{
	for (int i = 1; i <= ERR_ORD_COUNT; i++)
		ck_assert_str_ne(err_text(-i), "unknown error");
	ck_assert_str_eq(err_text(0), "no error");
	ck_assert_str_eq(err_text(1), "unknown error");
	ck_assert_str_eq(err_text(-1 - ERR_ORD_COUNT), "unknown error");
}
END_TEST

/* ---- buf ---- */

START_TEST(a_buffer_ends_at_its_maximum)
{
	struct buf b;
	char *text;

	buf_init(&b, 10);
	ck_assert_int_eq(buf_puts(&b, "12345"), 0);
	ck_assert_int_eq(buf_printf(&b, "%d", 67890), 0);
	ck_assert_str_eq(b.data, "1234567890");
	ck_assert_int_eq(buf_add(&b, "x", 1), ERR_LIMIT);
	ck_assert_str_eq(b.data, "1234567890");
	buf_consume(&b, 5);
	ck_assert_str_eq(b.data, "67890");
	ck_assert_int_eq(buf_puts(&b, "x"), ERR_LIMIT); /* sticky */
	buf_reset(&b);
	ck_assert_int_eq(buf_puts(&b, "x"), 0);
	buf_consume(&b, 99);
	ck_assert_uint_eq(b.len, 0);
	buf_puts(&b, "mine");
	text = buf_take(&b);
	ck_assert_str_eq(text, "mine");
	ck_assert_ptr_null(b.data);
	free(text);
	buf_fini(&b);
}
END_TEST

START_TEST(json_texts)
{
	struct buf b;

	buf_init(&b, 100);
	ck_assert_int_eq(buf_json_str(&b, "a\"b\\c\n\x01\x7f\xc3\xa9"), 0);
	ck_assert_str_eq(b.data, "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\xc3\xa9\"");
	buf_fini(&b);
}
END_TEST

/* ---- hash ---- */

START_TEST(known_digests)
{
	uint8_t sum[HASH_SIZE], key[20];
	char hex[65];

	hash_sha256("abc", 3, sum); /* FIPS 180-2 B.1 */
	hash_hex(sum, sizeof(sum), hex);
	ck_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(key, 0x0b, sizeof(key));
	hash_hmac_sha256(key, sizeof(key), "Hi There", 8, sum); /* RFC 4231 §4.2 */
	hash_hex(sum, sizeof(sum), hex);
	ck_assert_str_eq(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}
END_TEST

/* Appendix A of the SipHash paper, and its first reference vectors: key 00 … 0f, input
 * 00 01 02 … of these lengths. */
START_TEST(known_places)
{
	static const struct {
		size_t len;
		uint64_t want;
	} rows[] = {
		{0, UINT64_C(0x726fdb47dd0e0e31)},
		{1, UINT64_C(0x74f839c593dc67fd)},
		{15, UINT64_C(0xa129ca6149be45e5)},
	};
	uint8_t key[16], text[15];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	memcpy(text, key, sizeof(text));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ck_assert_uint_eq(hash_place(key, text, rows[i].len), rows[i].want);
	/* whole words, each byte counts, and so does the key */
	ck_assert_uint_ne(hash_place(key, text, 8), hash_place(key, text, 7));
	for (size_t i = 0; i < 15; i++) {
		uint64_t before = hash_place(key, text, 15);

		text[i] ^= 1;
		ck_assert_uint_ne(hash_place(key, text, 15), before);
		text[i] ^= 1;
	}
	key[15] ^= 1;
	ck_assert_uint_ne(hash_place(key, text, 15), rows[2].want);
}
END_TEST

START_TEST(fingerprints)
{
	uint8_t key[32] = {1}, other[32] = {2};
	char a[HASH_FP_SIZE], b[HASH_FP_SIZE];

	hash_fingerprint(key, "AB12cd34EF56", a);
	hash_fingerprint(key, "AB12cd34EF56", b);
	ck_assert_str_eq(a, b);
	ck_assert_uint_eq(strlen(a), 16);
	hash_fingerprint(key, "AB12cd34EF57", b);
	ck_assert_str_ne(a, b);
	hash_fingerprint(other, "AB12cd34EF56", b);
	ck_assert_str_ne(a, b);
	ck_assert(hash_equal(a, a, 16));
	ck_assert(!hash_equal(a, b, 16));
}
END_TEST

START_TEST(hex_there_and_back)
{
	uint8_t bytes[4] = {0x00, 0x7f, 0x80, 0xff}, back[4];
	char text[9];

	hash_hex(bytes, 4, text);
	ck_assert_str_eq(text, "007f80ff");
	ck_assert(hash_unhex("007F80ff", back, 4));
	ck_assert_int_eq(memcmp(bytes, back, 4), 0);
	ck_assert(!hash_unhex("007f80f", back, 4));
	ck_assert(!hash_unhex("007f80ff0", back, 4));
	ck_assert(!hash_unhex("007f80fg", back, 4));
	ck_assert(!hash_unhex("", back, 4));
}
END_TEST

START_TEST(base64url_is_canonical)
{
	static const char *const bad[] = {"A", "AA=", "AA==", "AAA=", "A A", "AA\n", "AB", "A_", "AAB", "AA+A", "AA/A",
					  "AAAAA", "\xc3\xa9"};
	uint8_t in[64], out[64];
	char text[100];
	int n;

	for (size_t len = 0; len <= sizeof(in); len++) {
		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(i * 37 + len);
		ck_assert_uint_eq(hash_b64url_encode(in, len, text), strlen(text));
		n = hash_b64url_decode(text, strlen(text), out, len);
		ck_assert_int_eq(n, (int)len);
		ck_assert_int_eq(memcmp(in, out, len), 0);
		if (len)
			ck_assert_int_eq(hash_b64url_decode(text, strlen(text), out, len - 1), ERR_LIMIT);
	}
	hash_b64url_encode("\xfb\xff", 2, text);
	ck_assert_str_eq(text, "-_8");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(hash_b64url_decode(bad[i], strlen(bad[i]), out, sizeof(out)) == ERR_PARSE, "%s", bad[i]);
	ck_assert_int_eq(hash_b64url_decode("AA\0A", 4, out, sizeof(out)), ERR_PARSE);
}
END_TEST

/* ---- rng ---- */

START_TEST(streams_do_not_touch_each_other)
{
	struct rng a, b, c, again;
	uint64_t first[8];

	rng_init(&a, 1, "A[0]", "backoff");
	for (int i = 0; i < 8; i++)
		first[i] = rng_u64(&a);
	/* the same name: the same draws, whoever else draws between */
	rng_init(&again, 1, "A[0]", "backoff");
	rng_init(&b, 1, "A[1]", "backoff");
	rng_init(&c, 1, "A[0]", "loss");
	for (int i = 0; i < 8; i++) {
		uint64_t vb = rng_u64(&b), vc = rng_u64(&c);

		ck_assert_uint_eq(rng_u64(&again), first[i]);
		ck_assert_uint_ne(vb, first[i]);
		ck_assert_uint_ne(vc, first[i]);
		ck_assert_uint_ne(vb, vc);
	}
	rng_init(&a, 2, "A[0]", "backoff");
	ck_assert_uint_ne(rng_u64(&a), first[0]);
}
END_TEST

START_TEST(draws_stay_in_range)
{
	struct rng r;
	unsigned seen[7] = {0};
	uint8_t bytes[11] = {0}, zero[11] = {0};

	rng_init(&r, 7, "x", "y");
	for (int i = 0; i < 7000; i++) {
		double u = rng_unit(&r), v = rng_range(&r, 0.8, 1.2);

		seen[rng_below(&r, 7)]++;
		ck_assert(u >= 0 && u < 1);
		ck_assert(v >= 0.8 && v < 1.2);
	}
	for (int i = 0; i < 7; i++)
		ck_assert(seen[i] > 800 && seen[i] < 1200);
	ck_assert_uint_eq(rng_below(&r, 1), 0);
	rng_bytes(&r, bytes, sizeof(bytes));
	ck_assert_int_ne(memcmp(bytes, zero, sizeof(bytes)), 0);
}
END_TEST

START_TEST(never_is_sticky)
{
	ck_assert_uint_eq(time_add(TIME_NEVER - 1, 5), TIME_NEVER);
	ck_assert_uint_eq(time_add(2, 3), 5);
	ck_assert_uint_eq(time_min(TIME_NEVER, 3), 3);
}
END_TEST

/* ---- rows ---- */

START_TEST(row_names)
{
	for (int r = ROW_NONE + 1; r < ROW_END; r++)
		ck_assert_int_eq(row_by_id(row_id((enum row_name)r)), r);
	ck_assert_str_eq(row_id(ROW_RG_403), "RG.403");
	ck_assert_str_eq(row_id(ROW_NONE), "");
	ck_assert_int_eq(row_by_id("RG.999"), ROW_NONE);
	ck_assert_int_eq(row_by_id(""), ROW_NONE);
	ck_assert_int_eq(row_state(ROW_RG_403), STATE_RG);
	for (int s = 0; s < STATE_COUNT; s++) {
		ck_assert_int_eq(state_by_name(state_brief((enum state_name)s)), s);
		ck_assert_int_eq(state_by_name(state_full((enum state_name)s)), s);
	}
	ck_assert_int_eq(state_by_name("DISABLED"), -1);
}
END_TEST

/* ---- journal ---- */

static int collect(void *ctx, const char *line, size_t len)
{
	return buf_add(ctx, line, len);
}

/* An event of this kind with every field that it may have. */
static void full_event(enum journal_kind kind, struct journal_event *ev)
{
	char names[256], *save, *name;

	*ev = (struct journal_event){.t = 1234567890123, .seq = 42, .kind = kind, .actor = "A[3]",
				     .scenario = "suite/na\"me", .dev = UUID, .req = "01234567", .reg = "a1b2c3d4"};
	snprintf(names, sizeof(names), "%s", journal_kind_fields(kind));
	for (name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		int f = journal_field_by_name(name);

		ck_assert_msg(f >= 0, "%s has a field '%s' that is none", journal_kind_name(kind), name);
		ck_assert_uint_lt(ev->n, JOURNAL_VALUES);
		ev->v[ev->n].field = (enum journal_field)f;
		ev->v[ev->n].s = journal_field_is_text((enum journal_field)f) ? "text \\ \xc3\xa9" : NULL;
		ev->v[ev->n].i = journal_field_is_text((enum journal_field)f) ? 0 : -5 + (int64_t)ev->n;
		ev->n++;
	}
}

static void same_event(const struct journal_event *a, const struct journal_event *b)
{
	ck_assert_uint_eq(a->t, b->t);
	ck_assert_uint_eq(a->seq, b->seq);
	ck_assert_int_eq(a->kind, b->kind);
	ck_assert_pstr_eq(a->actor, b->actor);
	ck_assert_pstr_eq(a->scenario, b->scenario);
	ck_assert_pstr_eq(a->dev, b->dev);
	ck_assert_pstr_eq(a->req, b->req);
	ck_assert_pstr_eq(a->reg, b->reg);
	ck_assert_uint_eq(a->n, b->n);
	for (unsigned i = 0; i < a->n; i++) {
		ck_assert_int_eq(a->v[i].field, b->v[i].field);
		ck_assert_pstr_eq(a->v[i].s, b->v[i].s);
		ck_assert_int_eq(a->v[i].i, b->v[i].i);
	}
}

START_TEST(every_kind_round_trips)
{
	for (int k = 0; k < J_END; k++) {
		struct journal_record rec, copy;
		struct journal_event ev;
		struct err e = {0};
		struct buf b;

		full_event((enum journal_kind)k, &ev);
		ck_assert_int_eq(journal_kind_by_name(journal_kind_name(ev.kind)), k);
		buf_init(&b, JOURNAL_LINE_MAX);
		ck_assert_int_eq(journal_format(&ev, &b), 0);
		ck_assert_int_eq(b.data[b.len - 1], '\n');
		ck_assert_ptr_eq(strchr(b.data, '\n'), b.data + b.len - 1);
		ck_assert_msg(journal_parse(b.data, b.len, &rec, &e) == 0, "%s", e.text);
		same_event(&rec.ev, &ev);
		ck_assert_int_eq(journal_record_copy(&rec.ev, &copy), 0);
		journal_record_free(&rec);
		same_event(&copy.ev, &ev);
		journal_record_free(&copy);
		/* and with nothing but what must be there */
		ev = (struct journal_event){.kind = (enum journal_kind)k, .actor = "x"};
		buf_reset(&b);
		ck_assert_int_eq(journal_format(&ev, &b), 0);
		ck_assert_int_eq(journal_parse(b.data, b.len, &rec, &e), 0);
		same_event(&rec.ev, &ev);
		journal_record_free(&rec);
		buf_fini(&b);
	}
}
END_TEST

START_TEST(bad_lines_are_refused)
{
	static const char *const bad[] = {
		"", "\n", "{}", "[]", "x", "{\"v\":1}", "{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"",
		"{\"v\":2,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"unready\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":7}",
		"{\"v\":1,\"t_ns\":-1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"}",
		"{\"v\":1,\"t_ns\":\"1\",\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1.5,\"actor\":\"a\",\"kind\":\"ready\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":7,\"kind\":\"ready\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"port\":\"1\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"name\":1}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"jti\":\"x\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\",\"nonsense\":1}",
		"{\"v\":1,\"t_ns\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"}",
		"{\"v\":1,\"t_ns\":1,\"seq\":1,\"actor\":\"a\",\"kind\":\"ready\"}{}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct journal_record rec;
		struct err e = {0};

		ck_assert_msg(journal_parse(bad[i], strlen(bad[i]), &rec, &e) == ERR_PARSE, "%s", bad[i]);
		ck_assert_str_ne(e.text, "");
		ck_assert_ptr_null(rec.arena);
	}
}
END_TEST

static unsigned reader_calls;

static void count_reader(void *ctx, const struct journal_event *ev)
{
	(void)ctx;
	(void)ev;
	reader_calls++;
}

static int broken_sink(void *ctx, const char *line, size_t len)
{
	(void)ctx;
	(void)line;
	(void)len;
	return ERR_IO;
}

START_TEST(a_journal_counts_and_fills_in)
{
	struct buf b;
	struct journal *j;
	struct journal_record rec;
	const char *second;

	buf_init(&b, 1 << 16);
	j = journal_new(collect, &b);
	journal_set_scenario(j, "smoke/one");
	journal_set_reader(j, count_reader, NULL);
	reader_calls = 0;
	JOURNAL(j, 5, "server", UUID, NULL, NULL, J_CODE_ISSUED, JS(CODE_FP, "0011"));
	JOURNAL(j, 6, "A[0]", UUID, NULL, NULL, J_DEVICE_REPLY, JI(CODE, 200), JS(RESOURCE, NULL));
	ck_assert_uint_eq(reader_calls, 2);
	ck_assert_int_eq(journal_error(j), 0);
	second = strchr(b.data, '\n') + 1;
	ck_assert_int_eq(journal_parse(second, strlen(second), &rec, NULL), 0);
	ck_assert_uint_eq(rec.ev.seq, 1);
	ck_assert_str_eq(rec.ev.scenario, "smoke/one");
	ck_assert_int_eq(journal_int(&rec.ev, JF_CODE, -1), 200);
	ck_assert_int_eq(journal_int(&rec.ev, JF_PORT, -1), -1);
	ck_assert_str_eq(journal_text(&rec.ev, JF_RESOURCE), "");
	ck_assert(journal_has(&rec.ev, JF_CODE) && !journal_has(&rec.ev, JF_RESOURCE));
	journal_record_free(&rec);
	journal_free(j);
	buf_fini(&b);
	/* nobody listens, and a sink that fails */
	ck_assert_ptr_null(JOURNAL(NULL, 5, "server", NULL, NULL, NULL, J_CODE_ISSUED, JS(CODE_FP, "0011")));
	j = journal_new(broken_sink, NULL);
	JOURNAL(j, 5, "server", NULL, NULL, NULL, J_CODE_ISSUED, JS(CODE_FP, "0011"));
	ck_assert_int_eq(journal_error(j), ERR_IO);
	journal_free(j);
}
END_TEST

/* ---- faults ---- */

/* How often, and when: ten events at 1 s … 10 s, code 200 but for the even ones; the
 * result is a text of ten, 'x' where the fault fired. */
static const char *fires(const char *spec, const char *dev)
{
	static char out[11];
	struct faults *fs = faults_new(1);
	struct journal *j = journal_new(NULL, NULL);
	json_t *js = json_loads(spec, 0, NULL);
	struct err e = {0};

	ck_assert_ptr_nonnull(js);
	ck_assert_msg(faults_arm(fs, js, &e) == 0, "%s: %s", spec, e.text);
	json_decref(js);
	journal_set_hook(j, fault_hook, fs);
	for (int i = 0; i < 10; i++) {
		const struct fault *f = JOURNAL(j, (time_ns)(i + 1) * NS_PER_S, "server", dev, NULL, NULL, J_SERVER_DECISION,
						JS(RESOURCE, i < 5 ? "login" : "publishMeasure"),
						JI(CODE, i % 2 ? 401 : 200));

		out[i] = f ? 'x' : '.';
		ck_assert(!f || fault_is(f, "drop"));
	}
	journal_free(j);
	faults_free(fs);
	return out;
}

START_TEST(when_faults_fire)
{
#define ON "{\"name\":\"f\",\"on\":\"server.decision\",\"do\":\"drop\""
	static const struct {
		const char *spec, *dev, *want;
	} rows[] = {
		{ON "}", UUID, "x........."},
		{ON ",\"nth\":3}", UUID, "..x......."},
		{ON ",\"nth\":11}", UUID, ".........."},
		{ON ",\"each\":true}", UUID, "xxxxxxxxxx"},
		{ON ",\"each\":true,\"times\":3}", UUID, "xxx......."},
		{ON ",\"each\":true,\"chance\":0}", UUID, ".........."},
		{ON ",\"each\":true,\"chance\":1}", UUID, "xxxxxxxxxx"},
		{ON ",\"each\":true,\"match\":{\"code\":401}}", UUID, ".x.x.x.x.x"},
		{ON ",\"match\":{\"code\":401},\"nth\":2}", UUID, "...x......"},
		{ON ",\"each\":true,\"match\":{\"resource\":\"publishMeasure\",\"code\":200}}", UUID, "......x.x."},
		{ON ",\"each\":true,\"match\":{\"resource\":\"refreshToken\"}}", UUID, ".........."},
		{ON ",\"each\":true,\"match\":{\"no_such_field\":1}}", UUID, ".........."},
		{ON ",\"each\":true,\"match\":{\"why\":\"x\"}}", UUID, ".........."},
		{ON ",\"each\":true,\"dev\":[\"" UUID "\"]}", UUID, "xxxxxxxxxx"},
		{ON ",\"each\":true,\"dev\":[\"a\",\"" UUID "\"]}", UUID, "xxxxxxxxxx"},
		{ON ",\"each\":true,\"dev\":[\"a\"]}", UUID, ".........."},
		{ON ",\"each\":true,\"dev\":[]}", UUID, ".........."},
		{ON ",\"each\":true,\"dev\":[\"" UUID "\"]}", NULL, ".........."},
		{ON ",\"each\":true,\"from_ns\":3000000000,\"until_ns\":6000000000}", UUID, "..xxx....."},
		{ON ",\"from_ns\":8000000000}", UUID, ".......x.."},
		{"{\"name\":\"f\",\"on\":\"code.used\",\"do\":\"drop\"}", UUID, ".........."},
	};
	const char *half;
	unsigned n = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = fires(rows[i].spec, rows[i].dev);

		ck_assert_msg(strcmp(got, rows[i].want) == 0, "%s: %s", rows[i].spec, got);
	}
	/* a chance repeats with its seed */
	half = fires(ON ",\"each\":true,\"chance\":0.5}", UUID);
	for (const char *p = half; *p; p++)
		n += *p == 'x';
	ck_assert(n > 0 && n < 10);
	{
		char first[11];

		strcpy(first, half);
		ck_assert_str_eq(fires(ON ",\"each\":true,\"chance\":0.5}", UUID), first);
	}
}
END_TEST

/* Ten turns, one a second: an event of UUID in the even ones, then both points are passed
 * once; 'c' and 's' are where the fault fired at the first and the second of them. */
static const char *crashes(const char *rest)
{
	static char out[11];
	struct faults *fs = faults_new(1);
	struct journal_event ev = {.kind = J_SERVER_DECISION, .dev = UUID, .n = 1, .v = {JS(RESOURCE, "login")}};
	char spec[256];
	struct err e = {0};
	json_t *js;

	snprintf(spec, sizeof(spec), "{\"name\":\"f\",\"do\":\"crash\"%s}", rest);
	js = json_loads(spec, 0, NULL);
	ck_assert_msg(js && faults_arm(fs, js, &e) == 0, "%s: %s", spec, e.text);
	ck_assert_uint_eq(faults_count(fs), 1);
	json_decref(js);
	for (int i = 0; i < 10; i++) {
		ev.t = (time_ns)(i + 1) * NS_PER_S;
		ck_assert_ptr_null(fault_hook(fs, &ev)); /* it waits for its point, never for the event alone */
		if (i % 2)
			faults_foresee(fs, &ev);
		out[i] = faults_at(fs, "server.after_commit", ev.t) ? 'c'
			 : faults_at(fs, "storage.in_write", ev.t)  ? 's'
								    : '.';
	}
	faults_free(fs);
	return out;
}

START_TEST(where_crashes_fire)
{
	static const struct {
		const char *spec, *want;
	} rows[] = {
		{",\"at\":\"server.after_commit\"", "c........."},
		{",\"at\":\"storage.in_write\",\"nth\":3", "..s......."},
		{",\"at\":\"server.after_reply\",\"each\":true", ".........."},
		{",\"at\":\"server.after_commit\",\"each\":true,\"times\":2,\"from_ns\":4000000000", "...cc....."},
		{",\"at\":\"storage.in_write\",\"each\":true,\"until_ns\":3000000000", "ss........"},
		{",\"at\":\"storage.in_write\",\"on\":\"server.decision\"", ".s........"},
		{",\"at\":\"storage.in_write\",\"on\":\"server.decision\",\"nth\":3", ".....s...."},
		{",\"at\":\"server.after_commit\",\"on\":\"server.decision\",\"each\":true,\"match\":{\"resource\":\"login\"}",
		 ".c.c.c.c.c"},
		{",\"at\":\"server.after_commit\",\"on\":\"server.decision\",\"match\":{\"resource\":\"publishMeasure\"}", ".........."},
		{",\"at\":\"server.after_commit\",\"on\":\"server.decision\",\"dev\":[\"x\"]", ".........."},
	};

	ck_assert_str_eq(crashes(rows[_i].spec), rows[_i].want);
}
END_TEST

/* Of several events in one turn one is followed: each of its times is a death. */
START_TEST(a_crash_that_is_due_takes_no_other_event)
{
	struct faults *fs = faults_new(1);
	struct journal_event ev = {.kind = J_SERVER_DECISION, .dev = UUID, .n = 1, .v = {JS(RESOURCE, "login")}};
	json_t *js = json_pack("{s:s, s:s, s:s, s:s, s:b, s:i}", "name", "f", "do", "crash", "at", "storage.in_write", "on",
			       "server.decision", "each", 1, "times", 2);
	unsigned deaths = 0;

	ck_assert_int_eq(faults_arm(fs, js, NULL), 0);
	json_decref(js);
	for (int turn = 1; turn <= 5; turn++) {
		ev.t = (time_ns)turn * NS_PER_S;
		for (int i = 0; i < 3; i++)
			faults_foresee(fs, &ev);
		deaths += faults_at(fs, "storage.in_write", ev.t) != NULL;
	}
	ck_assert_uint_eq(deaths, 2);
	faults_free(fs);
}
END_TEST

/* One bit an event: did a fault with a chance of one half fire? */
static uint64_t drawn(uint64_t set, const char *seed)
{
	struct faults *fs = faults_new(set);
	struct journal_event ev = {.kind = J_SERVER_DECISION};
	char spec[160];
	uint64_t bits = 0;
	json_t *js;

	snprintf(spec, sizeof(spec), "{\"name\":\"f\",\"on\":\"server.decision\",\"do\":\"drop\",\"each\":true,\"chance\":0.5%s}",
		 seed);
	js = json_loads(spec, 0, NULL);
	ck_assert_int_eq(faults_arm(fs, js, NULL), 0);
	json_decref(js);
	for (int i = 0; i < 64; i++)
		bits = bits << 1 | (fault_hook(fs, &ev) != NULL);
	faults_free(fs);
	return bits;
}

START_TEST(a_fault_draws_from_its_own_seed)
{
	ck_assert_uint_eq(drawn(1, ""), drawn(1, ""));
	ck_assert_uint_ne(drawn(1, ""), drawn(2, ""));
	ck_assert_uint_eq(drawn(1, ",\"seed\":-7"), drawn(2, ",\"seed\":-7"));
	ck_assert_uint_ne(drawn(1, ",\"seed\":-7"), drawn(1, ",\"seed\":8"));
	ck_assert_uint_eq(drawn(1, ",\"seed\":2"), drawn(2, ""));
}
END_TEST

START_TEST(bad_faults)
{
	static const char *const bad[] = {
		"{}", "[]", "1", "{\"name\":\"f\",\"on\":\"server.decision\"}", "{\"name\":\"f\",\"do\":\"drop\"}",
		"{\"name\":\"f\",\"on\":\"no.such\",\"do\":\"drop\"}", ON ",\"nth\":0}", ON ",\"nth\":\"1\"}",
		ON ",\"each\":true,\"times\":0}", ON ",\"chance\":2}", ON ",\"chance\":-0.1}", ON ",\"dev\":\"x\"}",
		ON ",\"match\":[]}", ON ",\"args\":1}", ON ",\"colour\":1}",
		/* neither may count as "matches", nor as "never" */
		ON ",\"match\":{\"code\":200.0}}", ON ",\"match\":{\"resource\":true}}",
		"{\"name\":\"f\",\"at\":\"server.nowhere\",\"do\":\"crash\"}", "{\"name\":\"f\",\"at\":1,\"do\":\"crash\"}",
		"{\"name\":\"f\",\"at\":\"server.after_sms\",\"do\":\"crash\",\"dev\":[\"x\"]}",
		"{\"name\":\"f\",\"at\":\"server.after_sms\",\"do\":\"crash\",\"match\":{\"code\":1}}",
		ON ",\"match\":{\"code\":null}}", ON ",\"dev\":[1]}", ON ",\"from_ns\":-1}",
	};
	struct faults *fs = faults_new(1);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *j = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		struct err e = {0};

		ck_assert_msg(faults_arm(fs, j, &e) == ERR_PARSE, "%s", bad[i]);
		ck_assert_str_ne(e.text, "");
		json_decref(j);
	}
	faults_free(fs);
	ck_assert(!fault_is(NULL, "drop"));
}
END_TEST

/* The name comes with a control message: no length of it may end the process. */
START_TEST(a_fault_with_a_long_name)
{
	struct faults *fs = faults_new(1);
	char name[5001];
	json_t *j;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	j = json_pack("{s:s, s:s, s:s}", "name", name, "on", "server.decision", "do", "drop");
	ck_assert_int_eq(faults_arm(fs, j, NULL), 0);
	ck_assert_int_eq(faults_disarm(fs, name), 0);
	json_decref(j);
	faults_free(fs);
}
END_TEST

static bool even_devices(void *ctx, const char *name, const char *dev)
{
	(void)ctx;
	ck_assert_str_eq(name, "f");
	return dev && (dev[0] - '0') % 2 == 0;
}

/* Somebody who knows the devices decides; without one a gated fault is not taken. */
START_TEST(a_gated_fault)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", "f", "on", "server.decision", "do", "drop", "gated", 1,
			      "each", 1);
	struct journal_event ev = {.t = 1, .kind = J_SERVER_DECISION};
	struct faults *fs = faults_new(1);
	struct err e = {0};

	ck_assert_int_eq(faults_arm(fs, j, &e), ERR_UNSUPPORTED);
	ck_assert_ptr_nonnull(strstr(e.text, "nobody here knows"));
	faults_gate(fs, even_devices, NULL);
	ck_assert_int_eq(faults_arm(fs, j, NULL), 0);
	ck_assert_ptr_null(fault_hook(fs, &ev));
	ev.dev = "1";
	ck_assert_ptr_null(fault_hook(fs, &ev));
	ev.dev = "2";
	ck_assert_ptr_nonnull(fault_hook(fs, &ev));
	json_decref(j);
	faults_free(fs);
}
END_TEST

START_TEST(long_names_have_streams_of_their_own)
{
	char a[1001], b[1001];
	struct rng x, y, again;

	memset(a, 'a', 1000);
	memset(b, 'a', 1000);
	a[1000] = b[1000] = '\0';
	b[999] = 'b';
	rng_init(&x, 1, a, "p");
	rng_init(&y, 1, b, "p");
	rng_init(&again, 1, a, "p");
	ck_assert_uint_ne(rng_u64(&x), rng_u64(&y));
	ck_assert_uint_ne(rng_u64(&again), rng_u64(&y));
	rng_init(&x, 1, a, "p");
	rng_init(&again, 1, a, "p");
	ck_assert_uint_eq(rng_u64(&x), rng_u64(&again));
	rng_init(&y, 1, "p", a);
	ck_assert_uint_ne(rng_u64(&x), rng_u64(&y));
}
END_TEST

START_TEST(arming_and_disarming)
{
	struct faults *fs = faults_new(1);
	struct journal_event ev = {.t = 1, .kind = J_SERVER_DECISION};
	const struct fault *f;
	struct err e = {0};
	char spec[128];
	json_t *j;

	for (int i = 0; i <= FAULTS_MAX; i++) {
		snprintf(spec, sizeof(spec),
			 "{\"name\":\"f%d\",\"on\":\"server.decision\",\"do\":\"d%d\",\"args\":{\"n\":%d}}", i, i, i);
		j = json_loads(spec, 0, NULL);
		ck_assert_int_eq(faults_arm(fs, j, &e), i < FAULTS_MAX ? 0 : ERR_LIMIT);
		json_decref(j);
	}
	/* one an event, the first armed one first */
	for (int i = 0; i < 3; i++) {
		f = fault_hook(fs, &ev);
		ck_assert_int_eq(json_integer_value(json_object_get(fault_args(f), "n")), i);
		snprintf(spec, sizeof(spec), "f%d", i);
		ck_assert_str_eq(fault_name(f), spec);
		spec[0] = 'd';
		ck_assert_str_eq(fault_do(f), spec);
	}
	ck_assert_int_eq(faults_disarm(fs, "f3"), 0);
	ck_assert_int_eq(faults_disarm(fs, "f3"), ERR_NOTFOUND);
	ck_assert_str_eq(fault_name(fault_hook(fs, &ev)), "f4");
	/* the last one too, and the list still grows at its end */
	ck_assert_int_eq(faults_disarm(fs, "f255"), 0);
	j = json_loads("{\"name\":\"new\",\"on\":\"code.used\",\"do\":\"x\"}", 0, NULL);
	ck_assert_int_eq(faults_arm(fs, j, NULL), 0);
	json_decref(j);
	ev.kind = J_CODE_USED;
	f = fault_hook(fs, &ev);
	ck_assert_str_eq(fault_name(f), "new");
	ck_assert(json_is_object(fault_args(f)));
	ck_assert_ptr_null(fault_hook(fs, &ev));
	faults_free(fs);
}
END_TEST

START_TEST(a_fired_fault_stands_in_the_journal)
{
	struct faults *fs = faults_new(1);
	json_t *spec = json_loads(ON "}", 0, NULL);
	struct journal_record rec;
	struct journal *j;
	const char *second;
	struct buf b;

	buf_init(&b, 1 << 16);
	j = journal_new(collect, &b);
	ck_assert_int_eq(faults_arm(fs, spec, NULL), 0);
	json_decref(spec);
	journal_set_hook(j, fault_hook, fs);
	ck_assert_ptr_nonnull(JOURNAL(j, 7, "server", UUID, NULL, NULL, J_SERVER_DECISION, JI(CODE, 200)));
	second = strchr(b.data, '\n') + 1;
	ck_assert_int_eq(journal_parse(second, strlen(second), &rec, NULL), 0);
	ck_assert_int_eq(rec.ev.kind, J_FAULT_FIRED);
	ck_assert_str_eq(journal_text(&rec.ev, JF_NAME), "f");
	ck_assert_str_eq(journal_text(&rec.ev, JF_WHY), "server.decision");
	ck_assert_str_eq(rec.ev.dev, UUID);
	ck_assert_uint_eq(rec.ev.t, 7);
	journal_record_free(&rec);
	journal_free(j);
	faults_free(fs);
	buf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("base");
	TCase *t = tcase_create("base");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, a_gated_fault);
	tcase_add_test(t, the_first_error_wins);
	tcase_add_test(t, every_code_has_a_text);
	tcase_add_test(t, a_buffer_ends_at_its_maximum);
	tcase_add_test(t, json_texts);
	tcase_add_test(t, known_digests);
	tcase_add_test(t, known_places);
	tcase_add_test(t, fingerprints);
	tcase_add_test(t, hex_there_and_back);
	tcase_add_test(t, base64url_is_canonical);
	tcase_add_test(t, streams_do_not_touch_each_other);
	tcase_add_test(t, draws_stay_in_range);
	tcase_add_test(t, never_is_sticky);
	tcase_add_test(t, row_names);
	tcase_add_test(t, every_kind_round_trips);
	tcase_add_test(t, bad_lines_are_refused);
	tcase_add_test(t, a_journal_counts_and_fills_in);
	tcase_add_test(t, when_faults_fire);
	tcase_add_test(t, a_crash_that_is_due_takes_no_other_event);
	tcase_add_test(t, a_fault_draws_from_its_own_seed);
	tcase_add_loop_test(t, where_crashes_fire, 0, 10);
	tcase_add_test(t, bad_faults);
	tcase_add_test(t, a_fault_with_a_long_name);
	tcase_add_test(t, long_names_have_streams_of_their_own);
	tcase_add_test(t, arming_and_disarming);
	tcase_add_test(t, a_fired_fault_stands_in_the_journal);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
