#include "hil/modems/pdu.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/rng.h"
#include "hil/modems/gsm7.h"

static int from_hex(const char *hex, size_t sca, struct pdu *p)
{
	return pdu_from_hex(hex, strlen(hex), strlen(hex) / 2 - sca, p);
}

static const struct {
	const char *name, *hex;
	size_t sca; /* octets in front of the TPDU */
	int rv;
	const char *smsc, *to, *text;
	enum pdu_vp vp;
	uint32_t valid_s;
	bool report;
} submits[] = {
	{"no SCA number, no VP", "0001000B914306000000F0000005E8329BFD06", 1, 0, "", "+34600000000", "hello",
	 PDU_VP_NONE, 0, false},
	{"SCA, relative VP of four days, report", "07914306000000F031000891430600000000AA05E8329BFD06", 8, 0,
	 "+34600000000", "+34600000", "hello", PDU_VP_RELATIVE, 4 * 86400, true},
	{"no SCA octet at all", "01000B914306000000F0000005E8329BFD06", 0, 0, "", "+34600000000", "hello",
	 PDU_VP_NONE, 0, false},
	{"relative VP of five minutes", "0011000B914306000000F000000005E8329BFD06", 1, 0, "", "+34600000000",
	 "hello", PDU_VP_RELATIVE, 300, false},
	{"relative VP of a day", "0011000B914306000000F00000A705E8329BFD06", 1, 0, "", "+34600000000",
	 "hello", PDU_VP_RELATIVE, 86400, false},
	{"relative VP of 63 weeks", "0011000B914306000000F00000FF05E8329BFD06", 1, 0, "", "+34600000000",
	 "hello", PDU_VP_RELATIVE, 63 * 604800, false},
	{"absolute VP", "0019000B914306000000F000006211225100000005E8329BFD06", 1, 0, "", "+34600000000",
	 "hello", PDU_VP_ABSOLUTE, 0, false},
	{"enhanced VP in seconds", "0009000B914306000000F00000020A000000000005E8329BFD06", 1, 0, "",
	 "+34600000000", "hello", PDU_VP_ENHANCED, 10, false},
	{"enhanced VP as a clock",
	 "0009000B914306000000F0000003102030000000"
	 "05E8329BFD06",
	 1, 0, "", "+34600000000", "hello", PDU_VP_ENHANCED, 3600 + 2 * 60 + 3, false},
	{"UCS2", "0001000B914306000000F000080400E820AC", 1, 0, "", "+34600000000", "è€", PDU_VP_NONE, 0,
	 false},
	{"8 bit", "0001000B914306000000F00004026869", 1, 0, "", "+34600000000", "hi", PDU_VP_NONE, 0, false},
	{"with a header of a concatenated message", "0041000B914306000000F000000D0500030A0201D06536FB0D02", 1,
	 0, "", "+34600000000", "hello ", PDU_VP_NONE, 0, false},
	{"national number", "000100098106000000F0000005E8329BFD06", 1, 0, "", "600000000", "hello",
	 PDU_VP_NONE, 0, false},
	{"SMS-DELIVER is none", "00040B914306000000F000006211225100000005E8329BFD06", 1, ERR_PARSE, NULL,
	 NULL, NULL, PDU_VP_NONE, 0, false},
	{"user data shorter than UDL", "0001000B914306000000F000000AE8329BFD06", 1, ERR_PARSE, NULL, NULL,
	 NULL, PDU_VP_NONE, 0, false},
	{"junk behind the user data", "0001000B914306000000F0000005E8329BFD06FF", 1, ERR_PARSE, NULL, NULL,
	 NULL, PDU_VP_NONE, 0, false},
	{"header longer than the user data", "0041000B914306000000F00004020900", 1, ERR_PARSE, NULL, NULL,
	 NULL, PDU_VP_NONE, 0, false},
	{"address too long", "000100FF914306000000F0000005E8329BFD06", 1, ERR_PARSE, NULL, NULL, NULL,
	 PDU_VP_NONE, 0, false},
	{"nothing behind the first octet", "0001", 1, ERR_PARSE, NULL, NULL, NULL, PDU_VP_NONE, 0, false},
};

START_TEST(submit_decodes)
{
	struct pdu_submit s;
	char text[PDU_TEXT_MAX];
	struct pdu p;
	int rv = from_hex(submits[_i].hex, submits[_i].sca, &p);

	if (rv == 0)
		rv = pdu_submit_decode(&p, &s);
	ck_assert_msg(rv == submits[_i].rv, "%s: %d", submits[_i].name, rv);
	if (rv)
		return;
	ck_assert_str_eq(s.smsc.text, submits[_i].smsc);
	ck_assert_str_eq(s.to.text, submits[_i].to);
	ck_assert_str_eq(pdu_text(&s.ud, text), submits[_i].text);
	ck_assert_int_eq(s.vp, submits[_i].vp);
	ck_assert_uint_eq(s.valid_s, submits[_i].valid_s);
	ck_assert(s.report == submits[_i].report);
	if (s.vp == PDU_VP_ABSOLUTE) /* 2026-11-22 15:00:00 */
		ck_assert_int_eq(s.valid_unix_s, 1795359600);
}
END_TEST

START_TEST(lengths_must_agree)
{
	const char *hex = "0001000B914306000000F0000005E8329BFD06";
	struct pdu p;

	ck_assert_int_eq(pdu_from_hex(hex, strlen(hex), 18, &p), 0);
	ck_assert_int_eq(pdu_from_hex(hex, strlen(hex), 19, &p), 0); /* as if it had no SCA */
	ck_assert_int_eq(pdu_from_hex(hex, strlen(hex), 17, &p), ERR_LIMIT);
	ck_assert_int_eq(pdu_from_hex(hex, strlen(hex), 20, &p), ERR_LIMIT);
	ck_assert_int_eq(pdu_from_hex(hex, strlen(hex) - 1, 18, &p), ERR_PARSE);
	ck_assert_int_eq(pdu_from_hex("00XX", 4, 1, &p), ERR_PARSE);
	ck_assert_int_eq(pdu_from_hex("", 0, 0, &p), ERR_LIMIT);
	/* 1 + 0x05 + this wraps to the six octets that there are */
	ck_assert_int_eq(pdu_from_hex("050000000000", 12, (size_t)0, &p), ERR_LIMIT);
	ck_assert_int_eq(pdu_from_hex("080000000000", 12, (size_t)-3, &p), ERR_LIMIT);
	/* nor does a unit whose parts disagree lead a reader outside of it */
	p.tpdu = p.len + 200;
	ck_assert_int_eq(pdu_submit_decode(&p, &(struct pdu_submit){0}), ERR_PARSE);
	ck_assert_int_eq(pdu_deliver_decode(&p, &(struct pdu_deliver){0}), ERR_PARSE);
	ck_assert_int_eq(pdu_report_decode(&p, &(struct pdu_report){0}), ERR_PARSE);
}
END_TEST

/* "hellohello" is the example that every description of the packing uses. */
START_TEST(deliver_as_in_the_standard)
{
	struct pdu_deliver d = {.scts_unix_s = 1795359600};
	char hex[PDU_HEX_MAX];
	struct pdu p;

	pdu_set_address("+34600000000", &d.smsc);
	pdu_set_address("+34600000001", &d.from);
	ck_assert_int_eq(pdu_set_text("hellohello", &d.ud), 0);
	pdu_deliver_encode(&d, &p);
	pdu_to_hex(&p, hex);
	ck_assert_str_eq(hex, "07914306000000F0"
			      "04"
			      "0B914306000000F1"
			      "00"
			      "00"
			      "62112251000000"
			      "0A"
			      "E8329BFD4697D9EC37");
	ck_assert_uint_eq(p.tpdu, 28);
}
END_TEST

START_TEST(alphanumeric_sender)
{
	static const char *const names[] = {"quicrig", "A", "ABCDEFG", "ABCDEFGH", "ABCDEFGHIJK", "Ñandú"};
	struct pdu_deliver d = {.scts_unix_s = 0}, back;
	struct pdu p;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		pdu_set_address(names[i], &d.from);
		ck_assert_uint_eq(d.from.type, PDU_TOA_ALPHANUMERIC);
		pdu_set_text("x", &d.ud);
		pdu_deliver_encode(&d, &p);
		ck_assert_int_eq(pdu_deliver_decode(&p, &back), 0);
		ck_assert_str_eq(back.from.text, d.from.text);
	}
	pdu_set_address("a name that is longer than eleven", &d.from);
	ck_assert_str_eq(d.from.text, "a name that");
}
END_TEST

static const struct {
	const char *name, *text;
	int rv;
	uint8_t dcs, udl;
} texts[] = {
	{"plain", "Code AB12cd34EF56 for ee9f2110.", 0, 0, 31},
	{"empty", "", 0, 0, 0},
	{"extension characters take two", "[€]{}^~|\\", 0, 0, 18},
	{"whole default alphabet's odd ones", "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà", 0, 0, 42},
	{"two lines", "one\ntwo", 0, 0, 7},
	{"UCS2", "Привет", 0, 8, 12},
	{"beyond the BMP", "\xf0\x9f\x98\x80", 0, 8, 4},
	{"broken UTF-8", "a\xc3(", ERR_PARSE, 0, 0},
	{"overlong UTF-8", "\xc0\xaf", ERR_PARSE, 0, 0},
};

START_TEST(text_goes_there_and_back)
{
	struct pdu_user_data ud;
	char back[PDU_TEXT_MAX];
	int rv = pdu_set_text(texts[_i].text, &ud);

	ck_assert_msg(rv == texts[_i].rv, "%s: %d", texts[_i].name, rv);
	if (rv)
		return;
	ck_assert_uint_eq(ud.dcs, texts[_i].dcs);
	ck_assert_uint_eq(ud.udl, texts[_i].udl);
	ck_assert_str_eq(pdu_text(&ud, back), texts[_i].text);
}
END_TEST

START_TEST(every_length_goes_there_and_back)
{
	char text[200], back[PDU_TEXT_MAX];
	struct pdu_user_data ud;

	for (size_t n = 0; n <= 160; n++) {
		for (size_t i = 0; i < n; i++)
			text[i] = (char)('A' + i % 57);
		for (size_t i = 0; i < n; i++)
			text[i] = strchr("[\\]^`{|}~", text[i]) ? 'x' : text[i];
		text[n] = '\0';
		ck_assert_int_eq(pdu_set_text(text, &ud), 0);
		ck_assert_uint_eq(ud.len, (n * 7 + 7) / 8);
		ck_assert_str_eq(pdu_text(&ud, back), text);
	}
	memset(text, 'a', 161);
	text[161] = '\0';
	ck_assert_int_eq(pdu_set_text(text, &ud), ERR_LIMIT);
}
END_TEST

START_TEST(packing_behind_a_header)
{
	uint8_t septets[40], back[40], octets[48] = {5, 0, 3, 10, 2, 1};

	for (unsigned i = 0; i < sizeof(septets); i++)
		septets[i] = (uint8_t)(i * 3 & 0x7f);
	for (size_t skip = 0; skip < 10; skip++) {
		size_t n = gsm7_pack(septets, sizeof(septets), skip, octets);

		ck_assert_uint_eq(n, ((skip + sizeof(septets)) * 7 + 7) / 8);
		octets[n] = 0;
		gsm7_unpack(octets, sizeof(back), skip, back);
		ck_assert_mem_eq(back, septets, sizeof(back));
	}
}
END_TEST

START_TEST(report_goes_there_and_back)
{
	struct pdu_report r = {.reference = 77,
			       .scts_unix_s = 1795359600,
			       .done_unix_s = 1795359661,
			       .status = PDU_STATUS_EXPIRED},
			  back;
	struct pdu p;

	pdu_set_address("600000001", &r.to);
	pdu_report_encode(&r, &p);
	ck_assert_int_eq(pdu_report_decode(&p, &back), 0);
	ck_assert_uint_eq(back.reference, 77);
	ck_assert_str_eq(back.to.text, "600000001");
	ck_assert_uint_eq(back.to.type, PDU_TOA_UNKNOWN);
	ck_assert_int_eq(back.scts_unix_s, r.scts_unix_s);
	ck_assert_int_eq(back.done_unix_s, r.done_unix_s);
	ck_assert_uint_eq(back.status, PDU_STATUS_EXPIRED);
}
END_TEST

static const struct {
	uint8_t dcs;
	enum pdu_alphabet alphabet;
	int class;
} codings[] = {
	{0x00, PDU_GSM7, -1}, {0x04, PDU_8BIT, -1}, {0x08, PDU_UCS2, -1}, {0x10, PDU_GSM7, 0},
	{0x19, PDU_UCS2, 1},  {0x20, PDU_8BIT, -1}, {0x48, PDU_UCS2, -1}, {0xc8, PDU_GSM7, -1},
	{0xe0, PDU_UCS2, -1}, {0xf2, PDU_GSM7, 2},  {0xf5, PDU_8BIT, 1},  {0x80, PDU_GSM7, -1},
};

START_TEST(data_coding)
{
	ck_assert_int_eq(pdu_alphabet(codings[_i].dcs), codings[_i].alphabet);
	ck_assert_int_eq(pdu_class(codings[_i].dcs), codings[_i].class);
}
END_TEST

/* Whatever comes in, decoders answer; what they take, encoders and texts can bear. */
START_TEST(junk_is_borne)
{
	struct rng r;
	unsigned taken = 0;

	rng_init(&r, 7, "pdu", "junk");
	for (unsigned round = 0; round < 200000; round++) {
		char hex[PDU_HEX_MAX + 8], text[PDU_TEXT_MAX];
		struct pdu p, again;
		struct pdu_submit s;
		struct pdu_deliver d;
		struct pdu_report rep;
		size_t n = rng_below(&r, PDU_OCTETS_MAX + 1), sca;

		rng_bytes(&r, p.octets, sizeof(p.octets));
		if (round % 2 && n > 20) { /* nearly right: a short address and a fitting length */
			static const uint8_t head[] = {0x00, 0x01, 0x00, 0x03, 0x91, 0x21, 0xf3, 0x00};

			memcpy(p.octets, head, sizeof(head));
			p.octets[1] |= (uint8_t)(rng_u64(&r) & 0x58);
			p.octets[9] = (uint8_t)rng_below(&r, 161);
		}
		p.len = n;
		sca = rng_below(&r, n + 1);
		p.tpdu = round % 2 && n ? n - 1 : n - sca;
		if (pdu_submit_decode(&p, &s) == 0) {
			taken++;
			pdu_text(&s.ud, text);
			pdu_submit_encode(&s, &again);
			ck_assert_uint_le(again.len, PDU_OCTETS_MAX);
		}
		if (pdu_deliver_decode(&p, &d) == 0) {
			pdu_text(&d.ud, text);
			pdu_deliver_encode(&d, &again);
		}
		if (pdu_report_decode(&p, &rep) == 0)
			pdu_report_encode(&rep, &again);
		pdu_to_hex(&p, hex);
		if (n)
			hex[rng_below(&r, 2 * n)] = (char)(' ' + rng_below(&r, 95));
		pdu_from_hex(hex, strlen(hex), rng_below(&r, n + 2), &again);
	}
	ck_assert_uint_gt(taken, 0);
}
END_TEST

#define LOOP(c, test, table) tcase_add_loop_test(c, test, 0, sizeof(table) / sizeof(table[0]))

int main(void)
{
	Suite *s = suite_create("pdu");
	TCase *c = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(c, 30);
	LOOP(c, submit_decodes, submits);
	tcase_add_test(c, lengths_must_agree);
	tcase_add_test(c, deliver_as_in_the_standard);
	tcase_add_test(c, alphanumeric_sender);
	LOOP(c, text_goes_there_and_back, texts);
	tcase_add_test(c, every_length_goes_there_and_back);
	tcase_add_test(c, packing_behind_a_header);
	tcase_add_test(c, report_goes_there_and_back);
	LOOP(c, data_coding, codings);
	tcase_add_test(c, junk_is_borne);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
