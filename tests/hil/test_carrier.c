#include "hil/modems/carrier.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/hash.h"

#define GOT_MAX 64
#define CODE_TEXT                                                                                            \
	"Code AB12cd34EF56 for ee9f2110. Valid 5 min.\n"                                                     \
	"@ee9f2110-5843-11e9-a9ba-139bd26c8b4b.quicrig #AB12cd34EF56 r=a1b2c3d4"

/* Two subscribers and a book of what reached whom and when. */
struct rig {
	struct gsm_carrier *carrier;
	struct faults *faults;
	struct journal *journal;
	struct buf lines;
	bool refuse; /* the receiver takes nothing */
	unsigned n, reports;
	struct {
		unsigned to;
		time_ns at;
		char text[PDU_TEXT_MAX], from[PDU_ADDRESS_MAX];
	} got[GOT_MAX];
	struct pdu_report report;
};

static const uint8_t run_key[32] = {1, 2, 3};

static int deliver(void *ctx, unsigned to, time_ns now, const struct pdu_deliver *d)
{
	struct rig *rig = ctx;

	if (rig->refuse)
		return ERR_BUSY;
	ck_assert_uint_lt(rig->n, GOT_MAX);
	rig->got[rig->n].to = to;
	rig->got[rig->n].at = now;
	strcpy(rig->got[rig->n].from, d->from.text);
	pdu_text(&d->ud, rig->got[rig->n++].text);
	return 0;
}

static void report(void *ctx, unsigned to, time_ns now, const struct pdu_report *r)
{
	struct rig *rig = ctx;

	(void)now;
	ck_assert_uint_eq(to, 0);
	rig->report = *r;
	rig->reports++;
}

static int write_line(void *ctx, const char *line, size_t len)
{
	return buf_add(ctx, line, len);
}

static void rig_init(struct rig *rig, enum gsm_profile profile, uint64_t seed)
{
	struct gsm_carrier_setup setup = {.seed = seed,
					  .profile = profile,
					  .run_key = run_key,
					  .ctx = rig,
					  .deliver = deliver,
					  .report = report};

	memset(rig, 0, sizeof(*rig));
	buf_init(&rig->lines, 1 << 22);
	rig->faults = faults_new(seed);
	rig->journal = journal_new(write_line, &rig->lines);
	journal_set_hook(rig->journal, fault_hook, rig->faults);
	setup.journal = rig->journal;
	rig->carrier = gsm_carrier_new(&setup);
	ck_assert_int_eq(gsm_carrier_subscribe(rig->carrier, "s1", "+34600000001"), 0);
	ck_assert_int_eq(gsm_carrier_subscribe(rig->carrier, "r1", "+34700000002"), 1);
}

static void rig_fini(struct rig *rig)
{
	gsm_carrier_free(rig->carrier);
	journal_free(rig->journal);
	faults_free(rig->faults);
	buf_fini(&rig->lines);
}

static void arm(struct rig *rig, const char *json)
{
	json_t *spec = json_loads(json, 0, NULL);
	struct err e = {0};

	ck_assert_msg(spec && faults_arm(rig->faults, spec, &e) == 0, "%s", e.text);
	json_decref(spec);
}

static struct gsm_verdict send_text(struct rig *rig, time_ns now, const char *to, const char *text,
				    bool with_report, uint32_t valid_s)
{
	struct pdu_submit s = {.report = with_report, .valid_s = valid_s};
	struct gsm_verdict v;

	pdu_set_address(to, &s.to);
	ck_assert_int_eq(pdu_set_text(text, &s.ud), 0);
	gsm_carrier_submit(rig->carrier, 0, now, 1000 + (int64_t)(now / NS_PER_S), &s, &v);
	return v;
}

/* Runs to `until`, from deadline to deadline. */
static void run(struct rig *rig, time_ns until)
{
	time_ns at;

	while ((at = gsm_carrier_deadline(rig->carrier)) <= until)
		gsm_carrier_tick(rig->carrier, at);
}

static unsigned count(const struct rig *rig, const char *needle)
{
	unsigned n = 0;

	for (const char *p = rig->lines.data; p && (p = strstr(p, needle)); p++)
		n++;
	return n;
}

START_TEST(routes_by_number)
{
	static const struct {
		const char *to;
		int cms;
	} rows[] = {{"+34700000002", 0}, {"0034700000002", 0}, {"34700000002", 0},
		    {"700000002", 0},	 {"+34700000003", 1},  {"02", 1}};
	struct rig rig;
	struct gsm_verdict v;

	rig_init(&rig, GSM_IMMEDIATE, 1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned before = rig.n;

		v = send_text(&rig, i, rows[i].to, "hello", false, 0);
		run(&rig, i);
		ck_assert_msg(v.cms == rows[i].cms, "%s: %d", rows[i].to, v.cms);
		ck_assert_uint_eq(rig.n, before + !v.cms);
	}
	ck_assert_uint_eq(rig.got[0].to, 1);
	ck_assert_str_eq(rig.got[0].from, "+34600000001");
	ck_assert_str_eq(rig.got[0].text, "hello");
	ck_assert_uint_eq(count(&rig, "\"kind\":\"sms.submitted\""), 4);
	ck_assert_int_eq(gsm_carrier_subscribe(rig.carrier, "x", "34600000001"), ERR_EXISTS);
	rig_fini(&rig);
}
END_TEST

START_TEST(journal_names_a_code_by_its_fingerprint)
{
	char fp[HASH_FP_SIZE];
	struct rig rig;

	rig_init(&rig, GSM_IMMEDIATE, 1);
	send_text(&rig, 5, "+34700000002", CODE_TEXT, false, 0);
	hash_fingerprint(run_key, "AB12cd34EF56", fp);
	ck_assert_uint_eq(count(&rig, fp), 1);
	hash_fingerprint(run_key, "+34700000002", fp);
	ck_assert_uint_eq(count(&rig, fp), 1);
	ck_assert_uint_eq(count(&rig, "ee9f2110-5843-11e9-a9ba-139bd26c8b4b"), 1);
	ck_assert_uint_eq(count(&rig, "\"a1b2c3d4\""), 1);
	ck_assert_uint_eq(count(&rig, "AB12cd34EF56"), 0);
	ck_assert_uint_eq(count(&rig, "700000002"), 0);
	rig_fini(&rig);
}
END_TEST

#define FAULT(what, args) "{\"name\":\"f\",\"on\":\"sms.submitted\",\"do\":\"" what "\",\"args\":{" args "}}"

static const struct {
	const char *name, *fault;
	unsigned delivered, lost;
	time_ns last;		/* when the last one came */
	const char *has, *from; /* in the first */
	int cms;
	bool silent, plain;
} faults[] = {
	{"none", NULL, 1, 0, 0, "#AB12cd34EF56", "+34600000001", 0, false, false},
	{"lose", FAULT("lose", ""), 0, 1, 0, NULL, NULL, 0, false, false},
	{"delay", FAULT("delay", "\"by_ns\":5000"), 1, 0, 5000, "#AB12cd34EF56", NULL, 0, false, false},
	{"duplicate", FAULT("duplicate", "\"times\":2,\"apart_ns\":10"), 3, 0, 20, NULL, NULL, 0, false,
	 false},
	{"replace_code", FAULT("replace_code", "\"with\":\"AAAAAAAAAAAA\""), 1, 0, 0,
	 "#AAAAAAAAAAAA r=a1b2c3d4", NULL, 0, false, false},
	{"replace_text", FAULT("replace_text", "\"with\":\"buy!\""), 1, 0, 0, "buy!", NULL, 0, false, false},
	{"replace_sender by a number", FAULT("replace_sender", "\"with\":\"+4911\""), 1, 0, 0, NULL, "+4911",
	 0, false, false},
	{"replace_sender by a name", FAULT("replace_sender", "\"with\":\"BANK\""), 1, 0, 0, NULL, "BANK", 0,
	 false, false},
	{"cms_error", FAULT("cms_error", "\"code\":38"), 0, 1, 0, NULL, NULL, 38, false, false},
	{"plain_error", FAULT("plain_error", ""), 0, 1, 0, NULL, NULL, 0, false, true},
	{"no_final, delivered", FAULT("no_final", ""), 1, 0, 0, NULL, NULL, 0, true, false},
	{"no_final, not delivered", FAULT("no_final", "\"delivered\":false"), 0, 1, 0, NULL, NULL, 0, true,
	 false},
	{"a replacement that does not fit",
	 FAULT("replace_code", "\"with\":\""
			       "0123456789012345678901234567890123456789"
			       "0123456789012345678901234567890123456789\""),
	 1, 0, 0, "#AB12cd34EF56", NULL, 0, false, false},
};

START_TEST(faults_act)
{
	struct gsm_verdict v;
	struct gsm_stats stats;
	struct rig rig;

	rig_init(&rig, GSM_IMMEDIATE, 1);
	if (faults[_i].fault)
		arm(&rig, faults[_i].fault);
	v = send_text(&rig, 0, "+34700000002", CODE_TEXT, false, 0);
	run(&rig, NS_PER_S);
	ck_assert_msg(rig.n == faults[_i].delivered, "%s: %u", faults[_i].name, rig.n);
	ck_assert_uint_eq(count(&rig, "\"kind\":\"sms.lost\""), faults[_i].lost);
	ck_assert_uint_eq(count(&rig, "\"fault.fired\""), faults[_i].fault != NULL);
	ck_assert_uint_eq(count(&rig, "\"kind\":\"sms.submitted\""), 1);
	if (rig.n)
		ck_assert_uint_eq(rig.got[rig.n - 1].at, faults[_i].last);
	if (faults[_i].has)
		ck_assert_ptr_nonnull(strstr(rig.got[0].text, faults[_i].has));
	if (faults[_i].from)
		ck_assert_str_eq(rig.got[0].from, faults[_i].from);
	ck_assert_int_eq(v.cms, faults[_i].cms);
	ck_assert(v.silent == faults[_i].silent);
	ck_assert(v.plain_error == faults[_i].plain);
	gsm_carrier_stats(rig.carrier, &stats);
	ck_assert_uint_eq(stats.waiting, 0);
	rig_fini(&rig);
}
END_TEST

START_TEST(a_fault_of_the_modem_is_left_to_it)
{
	struct gsm_verdict v;
	struct rig rig;

	rig_init(&rig, GSM_IMMEDIATE, 1);
	arm(&rig, FAULT("mute", "\"for_ns\":5"));
	arm(&rig, "{\"name\":\"late\",\"on\":\"sms.submitted\",\"do\":\"late_cmgs\",\"args\":{\"by_ns\":9}}");
	v = send_text(&rig, 0, "+34700000002", "a", false, 0);
	ck_assert(fault_is(v.fault, "mute"));
	ck_assert_uint_eq(v.to, 1);
	v = send_text(&rig, 0, "+34700000002", "b", false, 0);
	ck_assert_ptr_null(v.fault);
	ck_assert_uint_eq(v.answer_at, 9);
	run(&rig, 0);
	ck_assert_uint_eq(rig.n, 2);
	rig_fini(&rig);
}
END_TEST

START_TEST(reorder_lets_the_next_one_by)
{
	struct rig rig;

	rig_init(&rig, GSM_IMMEDIATE, 1);
	arm(&rig, FAULT("reorder", ""));
	send_text(&rig, 0, "+34700000002", "first", false, 0);
	run(&rig, NS_PER_S);
	ck_assert_uint_eq(rig.n, 0);
	send_text(&rig, NS_PER_S, "+34700000002", "second", false, 0);
	run(&rig, NS_PER_S);
	ck_assert_uint_eq(rig.n, 2);
	ck_assert_str_eq(rig.got[0].text, "second");
	ck_assert_str_eq(rig.got[1].text, "first");
	rig_fini(&rig);
	/* nobody comes: it does not wait for ever */
	rig_init(&rig, GSM_IMMEDIATE, 1);
	arm(&rig, FAULT("reorder", "\"within_ns\":100"));
	send_text(&rig, 0, "+34700000002", "first", false, 0);
	run(&rig, 100);
	ck_assert_uint_eq(rig.n, 1);
	rig_fini(&rig);
}
END_TEST

START_TEST(a_receiver_that_is_away_gets_it_later_in_order)
{
	struct rig rig;

	rig_init(&rig, GSM_IMMEDIATE, 1);
	rig.refuse = true;
	send_text(&rig, 0, "+34700000002", "1", true, 0);
	send_text(&rig, 1, "+34700000002", "2", false, 0);
	send_text(&rig, 2, "+34700000002", "short life", true, 300);
	run(&rig, 200 * NS_PER_S);
	ck_assert_uint_eq(rig.n, 0);
	run(&rig, 400 * NS_PER_S);
	ck_assert_uint_eq(count(&rig, "validity over"), 1);
	ck_assert_uint_eq(rig.reports, 1);
	ck_assert_uint_eq(rig.report.status, PDU_STATUS_EXPIRED);
	rig.refuse = false;
	gsm_carrier_retry(rig.carrier, 1, 500 * NS_PER_S);
	run(&rig, 500 * NS_PER_S);
	ck_assert_uint_eq(rig.n, 2);
	ck_assert_str_eq(rig.got[0].text, "1");
	ck_assert_str_eq(rig.got[1].text, "2");
	ck_assert_uint_eq(rig.reports, 2);
	ck_assert_uint_eq(rig.report.status, PDU_STATUS_RECEIVED);
	ck_assert_int_eq(rig.report.done_unix_s, 1500);
	ck_assert_str_eq(rig.report.to.text, "+34700000002");
	rig_fini(&rig);
}
END_TEST

static int by_time(const void *a, const void *b)
{
	time_ns x = *(const time_ns *)a, y = *(const time_ns *)b;

	return (x > y) - (x < y);
}

#define DRAWS 4000

/* Submits DRAWS messages a minute apart; `took` is when each arrived behind its submit. */
static unsigned draw(uint64_t seed, time_ns *submit, time_ns *took)
{
	struct gsm_stats stats;
	struct rig rig;
	unsigned n = 0;

	rig_init(&rig, GSM_TYPICAL, seed);
	for (unsigned i = 0; i < DRAWS; i++) {
		time_ns now = (time_ns)i * 600 * NS_PER_S;

		rig.n = 0;
		submit[i] = send_text(&rig, now, "+34700000002", "x", false, 0).answer_at - now;
		run(&rig, now + 599 * NS_PER_S);
		if (rig.n)
			took[n++] = rig.got[0].at - now - submit[i];
	}
	gsm_carrier_stats(rig.carrier, &stats);
	ck_assert_uint_eq(stats.submitted, DRAWS);
	ck_assert_uint_eq(stats.lost, DRAWS - n);
	ck_assert_uint_gt(stats.delivered, n); /* some twice */
	ck_assert_uint_lt(stats.delivered, n + DRAWS / 100);
	rig_fini(&rig);
	return n;
}

static double at(const time_ns *sorted, unsigned n, double q)
{
	return (double)sorted[(unsigned)(q * (n - 1))] / (double)NS_PER_S;
}

START_TEST(typical_profile_is_as_said_and_seeded)
{
	static time_ns submit[3][DRAWS], took[3][DRAWS];
	unsigned n[3];

	n[0] = draw(11, submit[0], took[0]);
	n[1] = draw(11, submit[1], took[1]);
	n[2] = draw(12, submit[2], took[2]);
	ck_assert_uint_eq(n[0], n[1]);
	ck_assert_mem_eq(submit[0], submit[1], sizeof(submit[0]));
	ck_assert_mem_eq(took[0], took[1], n[0] * sizeof(took[0][0]));
	ck_assert_mem_ne(submit[0], submit[2], sizeof(submit[0]));
	qsort(submit[0], DRAWS, sizeof(time_ns), by_time);
	qsort(took[0], n[0], sizeof(time_ns), by_time);
	ck_assert_double_eq_tol(at(submit[0], DRAWS, 0.5), 2.5, 0.15);
	ck_assert_double_eq_tol(at(submit[0], DRAWS, 0.95), 6.0, 0.5);
	ck_assert_double_le(at(submit[0], DRAWS, 1), 30.0);
	ck_assert_double_eq_tol(at(took[0], n[0], 0.5), 4.0, 0.3);
	ck_assert_double_eq_tol(at(took[0], n[0], 0.945), 15.0, 1.5);
	ck_assert_double_ge(at(took[0], n[0], 1), 60.0);
	ck_assert_uint_ge(n[0], DRAWS * 99 / 100);
	ck_assert_uint_lt(n[0], DRAWS);
}
END_TEST

START_TEST(texts_from_outside)
{
	struct rig rig;
	char big[400];

	rig_init(&rig, GSM_IMMEDIATE, 1);
	ck_assert_int_eq(gsm_carrier_inject(rig.carrier, 1, 0, 0, "Bank", "hi"), 0);
	run(&rig, 0);
	ck_assert_str_eq(rig.got[0].from, "Bank");
	memset(big, 'a', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	ck_assert_int_eq(gsm_carrier_inject(rig.carrier, 1, 0, 0, "Bank", big), ERR_LIMIT);
	ck_assert_uint_eq(count(&rig, "sms."), 0);
	rig_fini(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("carrier");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_add_test(c, routes_by_number);
	tcase_add_test(c, journal_names_a_code_by_its_fingerprint);
	tcase_add_loop_test(c, faults_act, 0, sizeof(faults) / sizeof(faults[0]));
	tcase_add_test(c, a_fault_of_the_modem_is_left_to_it);
	tcase_add_test(c, reorder_lets_the_next_one_by);
	tcase_add_test(c, a_receiver_that_is_away_gets_it_later_in_order);
	tcase_add_test(c, typical_profile_is_as_said_and_seeded);
	tcase_add_test(c, texts_from_outside);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
