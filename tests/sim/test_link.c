/* The link between a device and the server: what becomes of each datagram. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "sim/link.h"

#define N 20000

static const uint8_t datagram[1500] = {0x40}; /* a short header */

static void pass(struct link *l, enum link_direction d, time_ns now, size_t len, struct link_fate *f)
{
	link_pass(l, d, now, datagram, len, f);
}

static const struct {
	const char *name;
	struct link_spec spec;
	double lost, twice, damaged; /* shares that must come out, within 1 % */
} rows[] = {
	{"perfect", {.delay = 10}, 0, 0, 0},
	{"two per cent lost", {.loss = 0.02, .delay = 10}, 0.02, 0, 0},
	{"everything lost", {.loss = 1}, 1, 0, 0},
	{"a tenth doubled", {.duplicate = 0.1, .delay = 10}, 0, 0.1, 0},
	{"a twentieth damaged", {.corrupt = 0.05, .delay = 10}, 0, 0, 0.05},
	{"lost in threes", {.loss = 0.3, .burst = 3, .delay = 10}, 0.3, 0, 0},
	{"damaged in threes", {.corrupt = 0.02, .burst = 3, .delay = 10}, 0, 0, 0.02},
	{"everything lost, in threes", {.loss = 1, .burst = 3}, 1, 0, 0},
	{"only of handshakes, and this is none", {.loss = 1, .corrupt = 1, .phase = LINK_HANDSHAKE}, 0, 0, 0},
	{"only behind handshakes, and this is", {.loss = 1, .phase = LINK_TRANSFER}, 1, 0, 0},
	{"all of it", {.loss = 0.3, .duplicate = 0.2, .corrupt = 0.1, .reorder = 0.1, .delay = 10, .jitter = 5}, 0.3, 0.14,
	 0.07},
};

static void near(const char *what, double is, double want)
{
	ck_assert_msg(is > want - 0.01 && is < want + 0.01, "%s: %f, not %f", what, is, want);
}

START_TEST(shares_come_out)
{
	struct link l;
	struct link_fate f;
	unsigned lost = 0, twice = 0, damaged = 0;

	link_init(&l, &rows[_i].spec, 7, rows[_i].name);
	for (unsigned i = 0; i < N; i++) {
		pass(&l, LINK_UP, i * NS_PER_MS, 1200, &f);
		lost += f.copies == 0;
		twice += f.copies == 2;
		damaged += f.copies > 0 && f.copy[0].flip;
		ck_assert(f.copies == 0 || f.copy[0].where < 1200);
		ck_assert(f.copies < 2 || !f.copy[1].flip); /* one of the two is whole */
	}
	near("lost", (double)lost / N, rows[_i].lost);
	near("twice", (double)twice / N, rows[_i].twice);
	near("damaged", (double)damaged / N, rows[_i].damaged);
}
END_TEST

START_TEST(jitter_alone_keeps_the_order)
{
	struct link_spec spec = {.delay = 15 * NS_PER_MS, .jitter = 10 * NS_PER_MS};
	struct link l;
	struct link_fate f;
	time_ns last = 0;

	link_init(&l, &spec, 1, "x");
	for (unsigned i = 0; i < N; i++) {
		time_ns now = i * 100 * NS_PER_US;

		pass(&l, LINK_DOWN, now, 100, &f);
		ck_assert_uint_eq(f.copies, 1);
		ck_assert_uint_ge(f.copy[0].at, last);
		ck_assert_uint_ge(f.copy[0].at, now + 5 * NS_PER_MS);
		last = f.copy[0].at;
	}
}
END_TEST

START_TEST(the_late_one_is_overtaken)
{
	struct link_spec spec = {.delay = NS_PER_MS, .reorder = 0.2};
	struct link l;
	struct link_fate f;
	time_ns before = 0;
	unsigned overtaken = 0;

	link_init(&l, &spec, 1, "x");
	for (unsigned i = 0; i < N; i++) {
		pass(&l, LINK_UP, i * NS_PER_MS, 100, &f);
		overtaken += f.copy[0].at <= before;
		before = f.copy[0].at;
	}
	/* each late one has an on-time one behind it but for another late one: 0.2 × 0.8 */
	near("overtaken", (double)overtaken / N, 0.16);
}
END_TEST

START_TEST(no_time_is_not_before_now)
{
	struct link_spec spec = {.delay = NS_PER_MS, .jitter = 50 * NS_PER_MS};
	struct link l;
	struct link_fate f;

	link_init(&l, &spec, 3, "x");
	for (unsigned i = 0; i < N; i++) {
		pass(&l, LINK_UP, i * NS_PER_S, 100, &f);
		ck_assert_uint_ge(f.copy[0].at, i * NS_PER_S);
	}
}
END_TEST

/* The same purpose draws the same whatever else goes wrong, on either direction. */
START_TEST(no_trouble_moves_another_s_draws)
{
	struct link_spec some = {.loss = 0.1, .delay = 10}, more = some;
	struct link a, b, c;
	struct link_fate fa, fb, fc;
	unsigned differ = 0;

	more.duplicate = 0.5;
	more.corrupt = 0.5;
	more.jitter = 3;
	link_init(&a, &some, 9, "link[1]");
	link_init(&b, &more, 9, "link[1]");
	link_init(&c, &some, 9, "link[2]");
	for (unsigned i = 0; i < N; i++) {
		if (i % 3 == 0)
			pass(&b, LINK_DOWN, i, 100, &fb);
		pass(&a, LINK_UP, i, 100, &fa);
		pass(&b, LINK_UP, i, 100, &fb);
		pass(&c, LINK_UP, i, 100, &fc);
		ck_assert_uint_eq(fa.copies == 0, fb.copies == 0);
		differ += (fa.copies == 0) != (fc.copies == 0);
	}
	ck_assert_uint_gt(differ, N / 10); /* another link is another stream */
}
END_TEST

/* ---- the nodes, each for itself ---- */

#define MS(n)	((n) * NS_PER_MS)
#define SHORT	0x40
#define INITIAL 0xc0

/* One datagram and what becomes of it. */
struct shot {
	unsigned ms;
	enum link_direction d;
	uint8_t first; /* byte */
	uint8_t conn;  /* the source connection ID, of an Initial */
	unsigned len;
	enum link_why why;
	unsigned arrives_ms; /* where it passed */
	enum link_rebind rebind;
};

static const struct {
	const char *name;
	struct link_spec spec;
	struct shot shots[12];
} stories[] = {
	{"8 kbit/s, two wait, the third is lost",
	 {.rate_bps = 8000, .queue = 250, .delay = MS(1)},
	 {{0, LINK_UP, SHORT, 0, 100, LINK_PASSED, 101, 0},
	  {0, LINK_UP, SHORT, 0, 100, LINK_PASSED, 201, 0},
	  {0, LINK_UP, SHORT, 0, 100, LINK_QUEUE_FULL, 0, 0},
	  {0, LINK_DOWN, SHORT, 0, 100, LINK_PASSED, 101, 0}, /* a direction has its own line */
	  {60, LINK_UP, SHORT, 0, 100, LINK_PASSED, 301, 0},
	  {1000, LINK_UP, SHORT, 0, 100, LINK_PASSED, 1101, 0}}},
	{"an empty line takes what is longer than its queue",
	 {.rate_bps = 8000, .queue = 50},
	 {{0, LINK_UP, SHORT, 0, 100, LINK_PASSED, 100, 0},
	  {99, LINK_UP, SHORT, 0, 100, LINK_QUEUE_FULL, 0, 0},
	  {100, LINK_UP, SHORT, 0, 100, LINK_PASSED, 200, 0}}},
	{"an MTU",
	 {.mtu = 1200, .delay = MS(1)},
	 {{0, LINK_UP, SHORT, 0, 1200, LINK_PASSED, 1, 0},
	  {0, LINK_UP, SHORT, 0, 1201, LINK_TOO_LONG, 0, 0},
	  {0, LINK_DOWN, SHORT, 0, 1400, LINK_TOO_LONG, 0, 0}}},
	{"one window",
	 {.hole_at = MS(10), .hole_for = MS(5), .delay = MS(1)},
	 {{9, LINK_UP, SHORT, 0, 10, LINK_PASSED, 10, 0},
	  {10, LINK_UP, SHORT, 0, 10, LINK_DARK, 0, 0},
	  {14, LINK_DOWN, SHORT, 0, 10, LINK_DARK, 0, 0},
	  {15, LINK_UP, SHORT, 0, 10, LINK_PASSED, 16, 0},
	  {1000, LINK_UP, SHORT, 0, 10, LINK_PASSED, 1001, 0}}},
	{"5 on, 2 off, for ever",
	 {.hole_at = MS(5), .hole_for = MS(2), .hole_every = MS(7)},
	 {{4, LINK_UP, SHORT, 0, 10, LINK_PASSED, 4, 0},
	  {5, LINK_UP, SHORT, 0, 10, LINK_DARK, 0, 0},
	  {6, LINK_UP, SHORT, 0, 10, LINK_DARK, 0, 0},
	  {7, LINK_UP, SHORT, 0, 10, LINK_PASSED, 7, 0},
	  {11, LINK_UP, SHORT, 0, 10, LINK_PASSED, 11, 0},
	  {12, LINK_UP, SHORT, 0, 10, LINK_DARK, 0, 0},
	  {705, LINK_UP, SHORT, 0, 10, LINK_DARK, 0, 0},
	  {707, LINK_UP, SHORT, 0, 10, LINK_PASSED, 707, 0}}},
	{"the second up and the first down, of all",
	 {.drop = {0x2, 0x1}},
	 {{0, LINK_UP, INITIAL, 1, 50, LINK_PASSED, 0, 0},
	  {0, LINK_UP, SHORT, 0, 10, LINK_COUNTED, 0, 0},
	  {0, LINK_DOWN, SHORT, 0, 10, LINK_COUNTED, 0, 0},
	  {0, LINK_DOWN, SHORT, 0, 10, LINK_PASSED, 0, 0},
	  {0, LINK_UP, INITIAL, 2, 50, LINK_PASSED, 0, 0},
	  {0, LINK_UP, SHORT, 0, 10, LINK_PASSED, 0, 0}}},
	{"the second of every connection",
	 {.drop = {0x2, 0x2}, .drop_each = true},
	 {{0, LINK_UP, INITIAL, 1, 50, LINK_PASSED, 0, 0},
	  {0, LINK_UP, INITIAL, 1, 50, LINK_COUNTED, 0, 0}, /* the same one again */
	  {0, LINK_UP, SHORT, 0, 10, LINK_PASSED, 0, 0},
	  {0, LINK_DOWN, INITIAL, 9, 50, LINK_PASSED, 0, 0}, /* the server's ID is no new connection */
	  {0, LINK_UP, INITIAL, 2, 50, LINK_PASSED, 0, 0},
	  {0, LINK_DOWN, INITIAL, 9, 50, LINK_PASSED, 0, 0},
	  {0, LINK_DOWN, INITIAL, 9, 50, LINK_COUNTED, 0, 0},
	  {0, LINK_UP, SHORT, 0, 10, LINK_COUNTED, 0, 0},
	  {0, LINK_UP, SHORT, 0, 10, LINK_PASSED, 0, 0}}},
	{"a cut Initial is none",
	 {.drop = {0x2, 0}, .drop_each = true},
	 {{0, LINK_UP, INITIAL, 1, 50, LINK_PASSED, 0, 0},
	  {0, LINK_UP, INITIAL, 2, 8, LINK_COUNTED, 0, 0}}},
	{"a NAT that forgets: nothing comes in before something went out",
	 {.rebind = LINK_NEW_PORT, .rebind_after = MS(10), .rebind_every = MS(20)},
	 {{9, LINK_UP, SHORT, 0, 10, LINK_PASSED, 9, LINK_STAYS},
	  {9, LINK_DOWN, SHORT, 0, 10, LINK_PASSED, 9, 0},
	  {10, LINK_DOWN, SHORT, 0, 10, LINK_UNMAPPED, 0, 0},
	  {12, LINK_UP, SHORT, 0, 10, LINK_PASSED, 12, LINK_NEW_PORT},
	  {12, LINK_UP, SHORT, 0, 10, LINK_PASSED, 12, LINK_STAYS},
	  {13, LINK_DOWN, SHORT, 0, 10, LINK_PASSED, 13, 0},
	  {29, LINK_UP, SHORT, 0, 10, LINK_PASSED, 29, LINK_STAYS},
	  {95, LINK_UP, SHORT, 0, 10, LINK_PASSED, 95, LINK_NEW_PORT}, /* those that nobody saw are one */
	  {109, LINK_UP, SHORT, 0, 10, LINK_PASSED, 109, LINK_STAYS},
	  {110, LINK_UP, SHORT, 0, 10, LINK_PASSED, 110, LINK_NEW_PORT}}},
	{"an address, once",
	 {.rebind = LINK_NEW_ADDRESS, .rebind_after = MS(10)},
	 {{10, LINK_UP, SHORT, 0, 10, LINK_PASSED, 10, LINK_NEW_ADDRESS},
	  {99, LINK_UP, SHORT, 0, 10, LINK_PASSED, 99, LINK_STAYS}}},
	{"what is lost makes no mapping",
	 {.rebind = LINK_NEW_PORT, .rebind_after = MS(1), .mtu = 100},
	 {{2, LINK_UP, SHORT, 0, 200, LINK_TOO_LONG, 0, 0},
	  {2, LINK_DOWN, SHORT, 0, 10, LINK_UNMAPPED, 0, 0},
	  {3, LINK_UP, SHORT, 0, 10, LINK_PASSED, 3, LINK_NEW_PORT}}},
};

/* RFC 9000 §17.2: flags, version, both connection IDs. */
/* Nor does a loss: what is damaged, and how, is the same for those that arrive. */
START_TEST(no_loss_moves_the_damage)
{
	struct link_spec bad = {.corrupt = 0.5, .delay = 10}, worse = bad;
	struct link a, b;
	struct link_fate fa, fb;
	unsigned seen = 0;

	worse.loss = 0.3;
	link_init(&a, &bad, 9, "link[1]");
	link_init(&b, &worse, 9, "link[1]");
	for (unsigned i = 0; i < N; i++) {
		pass(&a, LINK_UP, i, 100, &fa);
		pass(&b, LINK_UP, i, 100, &fb);
		if (!fb.copies)
			continue;
		ck_assert_uint_eq(fa.copy[0].flip, fb.copy[0].flip);
		ck_assert_uint_eq(fa.copy[0].where, fb.copy[0].where);
		seen += fa.copy[0].flip != 0;
	}
	ck_assert_uint_gt(seen, N / 4);
}
END_TEST

static const uint8_t *make(const struct shot *s)
{
	static uint8_t b[1500];

	memset(b, 0, sizeof(b));
	b[0] = s->first;
	if (s->first & 0x80) {
		b[4] = 1;
		b[5] = 8;
		b[14] = 4;
		memset(b + 15, s->conn, 4);
	}
	return b;
}

START_TEST(each_node_for_itself)
{
	struct link l;
	struct link_fate f;

	link_init(&l, &stories[_i].spec, 7, "link[0]");
	for (unsigned i = 0; i < 12 && stories[_i].shots[i].len; i++) {
		const struct shot *s = &stories[_i].shots[i];

		link_pass(&l, s->d, MS(s->ms), make(s), s->len, &f);
		ck_assert_msg(f.why == s->why, "%s, datagram %u: %d, not %d", stories[_i].name, i + 1, f.why, s->why);
		ck_assert_uint_eq(f.copies, s->why == LINK_PASSED);
		if (s->why == LINK_PASSED)
			ck_assert_msg(f.copy[0].at == MS(s->arrives_ms), "%s, datagram %u arrives at %llu",
				      stories[_i].name, i + 1, (unsigned long long)f.copy[0].at);
		ck_assert_msg(f.rebind == s->rebind, "%s, datagram %u: rebinds %d", stories[_i].name, i + 1, f.rebind);
	}
}
END_TEST

START_TEST(runs_have_their_length)
{
	struct link_spec spec = {.loss = 0.1, .burst = 4};
	struct link l;
	struct link_fate f;
	unsigned run = 0;

	link_init(&l, &spec, 5, "x");
	for (unsigned i = 0; i < N; i++) {
		pass(&l, LINK_UP, i, 100, &f);
		/* two runs may touch */
		ck_assert_msg(f.why == LINK_LOST || run % 4 == 0, "a run of %u", run);
		run = f.why == LINK_LOST ? run + 1 : 0;
	}
}
END_TEST

/* Whatever else is switched on, the same datagrams are lost by chance. */
START_TEST(no_node_moves_another_s_draws)
{
	struct link_spec bare = {.loss = 0.1, .burst = 2}, rich = {.loss = 0.1,
								    .burst = 2,
								    .rate_bps = 1000000,
								    .queue = 3000,
								    .mtu = 1000,
								    .hole_at = MS(100),
								    .hole_for = MS(50),
								    .drop = {0xff, 0},
								    .rebind = LINK_NEW_PORT,
								    .rebind_after = MS(70)};
	struct link a, b;
	struct link_fate fa, fb;
	unsigned seen = 0;

	link_init(&a, &bare, 9, "link[1]");
	link_init(&b, &rich, 9, "link[1]");
	for (unsigned i = 0; i < N; i++) {
		size_t len = 900 + i % 200;

		pass(&a, LINK_UP, i * NS_PER_MS, len, &fa);
		pass(&b, LINK_UP, i * NS_PER_MS, len, &fb);
		if (fb.why == LINK_PASSED || fb.why == LINK_LOST || fb.why == LINK_QUEUE_FULL) {
			ck_assert_int_eq(fa.why == LINK_LOST, fb.why == LINK_LOST);
			seen += fb.why == LINK_LOST;
		}
	}
	ck_assert_uint_gt(seen, N / 50);
}
END_TEST

START_TEST(what_befalls_it_in_between)
{
	struct link_spec spec = {0};
	struct link l;
	struct link_fate f;

	link_init(&l, &spec, 1, "x");
	link_blackhole(&l, MS(10));
	link_blackhole(&l, MS(5)); /* shortens nothing */
	pass(&l, LINK_UP, MS(9), 10, &f);
	ck_assert_int_eq(f.why, LINK_DARK);
	pass(&l, LINK_UP, MS(10), 10, &f);
	ck_assert_int_eq(f.why, LINK_PASSED);
	link_drop(&l, LINK_DOWN, 0x2);
	pass(&l, LINK_DOWN, MS(11), 10, &f);
	ck_assert_int_eq(f.why, LINK_PASSED);
	pass(&l, LINK_DOWN, MS(11), 10, &f);
	ck_assert_int_eq(f.why, LINK_COUNTED);
	link_rebind(&l, LINK_NEW_ADDRESS);
	link_rebind(&l, LINK_NEW_PORT); /* an address changes more */
	pass(&l, LINK_DOWN, MS(12), 10, &f);
	ck_assert_int_eq(f.why, LINK_UNMAPPED);
	pass(&l, LINK_UP, MS(12), 10, &f);
	ck_assert_int_eq(f.rebind, LINK_NEW_ADDRESS);
	pass(&l, LINK_DOWN, MS(12), 10, &f);
	ck_assert_int_eq(f.why, LINK_PASSED);
}
END_TEST

START_TEST(time_counts_from_its_start)
{
	struct link_spec spec = {.hole_at = MS(1), .hole_for = MS(1), .rebind = LINK_NEW_PORT, .rebind_after = MS(5)};
	struct link l;
	struct link_fate f;

	link_init(&l, &spec, 1, "x");
	link_start(&l, MS(100));
	pass(&l, LINK_UP, MS(100), 10, &f);
	ck_assert(f.why == LINK_PASSED && f.rebind == LINK_STAYS);
	pass(&l, LINK_UP, MS(101), 10, &f);
	ck_assert_int_eq(f.why, LINK_DARK);
	pass(&l, LINK_UP, MS(105), 10, &f);
	ck_assert_int_eq(f.rebind, LINK_NEW_PORT);
}
END_TEST

START_TEST(a_plan_is_read_strictly)
{
	static const struct {
		const char *json;
		const char *error; /* NULL: fine */
	} specs[] = {
		{"{\"burst\": 3, \"phase\": \"handshake\", \"rate_bps\": 9600, \"queue\": 3000, \"mtu\": 1280}", NULL},
		{"{\"blackhole\": {\"at_ns\": 1, \"for_ns\": 2, \"every_ns\": 3}}", NULL},
		{"{\"drop\": {\"up\": [1, 64], \"down\": [], \"per\": \"connection\"}}", NULL},
		{"{\"rebind\": {\"what\": \"address\", \"after_ns\": 5, \"every_ns\": 6}}", NULL},
		{"{\"phase\": \"sometimes\"}", "'phase' is none of its words"},
		{"{\"phase\": 1}", "'phase' is none of its words"},
		{"{\"mtu\": -1}", "'mtu' is a whole number"},
		{"{\"burst\": 4294967296}", "'burst' is too large"},
		{"{\"rate_bps\": 1.5}", "'rate_bps' is a whole number"},
		{"{\"blackhole\": 5}", "'blackhole' is an object"},
		{"{\"blackhole\": {\"at_ns\": -1}}", "'at_ns' is a count"},
		{"{\"blackhole\": {\"when\": 1}}", "'when' is not known in 'blackhole'"},
		{"{\"drop\": []}", "'drop' is an object"},
		{"{\"drop\": {\"up\": 1}}", "'up' is a list"},
		{"{\"drop\": {\"up\": [65]}}", "from 1 to 64"},
		{"{\"drop\": {\"down\": [\"1\"]}}", "from 1 to 64"},
		{"{\"drop\": {\"per\": \"day\"}}", "'per' is none of its words"},
		{"{\"drop\": {\"left\": [1]}}", "'left' is not known in 'drop'"},
		{"{\"rebind\": 1}", "'rebind' is an object"},
		{"{\"rebind\": {\"what\": \"house\"}}", "'what' is none of its words"},
		{"{\"rebind\": {\"after_ns\": \"1s\"}}", "'after_ns' is a count"},
		{"{\"rebind\": {\"to\": 1}}", "'to' is not known in 'rebind'"},
		{"{\"loss\": 0.02, \"delay_ns\": 15000000, \"jitter_ns\": 5000000, \"reorder\": 0, \"duplicate\": 1}", NULL},
		{"{}", NULL},
		{"{\"loss\": 1.5}", "'loss' is a share"},
		{"{\"corrupt\": \"2%\"}", "'corrupt' is a share"},
		{"{\"delay_ns\": -1}", "'delay_ns' is a count"},
		{"{\"weather\": 9600}", "no 'weather'"},
		{"[]", "'network' is an object"},
	};
	struct link_spec s;

	ck_assert_int_eq(link_spec_read(NULL, &s, NULL), 0);
	ck_assert_uint_eq(s.delay, LINK_DELAY_DEFAULT);
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		json_t *j = json_loads(specs[i].json, 0, NULL);
		struct err e = {0};
		int rv = link_spec_read(j, &s, &e);

		ck_assert_msg((rv == 0) == (specs[i].error == NULL), "%s: %s", specs[i].json, e.text);
		if (specs[i].error)
			ck_assert_msg(strstr(e.text, specs[i].error), "%s: %s", specs[i].json, e.text);
		json_decref(j);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("link");
	TCase *t = tcase_create("link");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, shares_come_out, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_add_test(t, jitter_alone_keeps_the_order);
	tcase_add_test(t, the_late_one_is_overtaken);
	tcase_add_test(t, no_time_is_not_before_now);
	tcase_add_test(t, no_trouble_moves_another_s_draws);
	tcase_add_test(t, no_loss_moves_the_damage);
	tcase_add_loop_test(t, each_node_for_itself, 0, sizeof(stories) / sizeof(stories[0]));
	tcase_add_test(t, runs_have_their_length);
	tcase_add_test(t, no_node_moves_another_s_draws);
	tcase_add_test(t, what_befalls_it_in_between);
	tcase_add_test(t, time_counts_from_its_start);
	tcase_add_test(t, a_plan_is_read_strictly);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
