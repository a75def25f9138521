/* The rig's certificates: chains hold in both directions, and the broken ones that
 * tests need are broken in the way they say. */
#include "core/pki.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#define NOW   INT64_C(1750000000)
#define DAY_S INT64_C(86400)

static struct pki set;

static void setup(void)
{
	struct pki_options o = {.now_s = NOW};
	struct err e = {0};

	ck_assert_msg(pki_make(&o, &set, &e) == 0, "%s", e.text);
}

static void teardown(void)
{
	pki_fini(&set);
}

static time_t clock_at;

static time_t fixed_clock(time_t *t)
{
	if (t)
		*t = clock_at;
	return clock_at;
}

static gnutls_x509_crt_t load(const char *pem)
{
	gnutls_datum_t d = {(unsigned char *)(uintptr_t)pem, (unsigned)strlen(pem)};
	gnutls_x509_crt_t crt;

	ck_assert_int_eq(gnutls_x509_crt_init(&crt), 0);
	ck_assert_int_eq(gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM), 0);
	return crt;
}

/* GnuTLS's verdict on `leaf` under `ca` at `at`: 0, or GNUTLS_CERT_* bits. */
static unsigned verdict(const char *leaf, const char *ca, const char *host, const char *purpose, int64_t at)
{
	gnutls_x509_crt_t crt = load(leaf), root = load(ca);
	gnutls_typed_vdata_st data[2] = {
		{.type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)purpose},
		{.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)(uintptr_t)host},
	};
	gnutls_x509_trust_list_t trust;
	unsigned status = 0;

	clock_at = (time_t)at;
	gnutls_global_set_time_function(fixed_clock);
	ck_assert_int_eq(gnutls_x509_trust_list_init(&trust, 0), 0);
	ck_assert_int_eq(gnutls_x509_trust_list_add_cas(trust, &root, 1, 0), 1);
	ck_assert_int_eq(gnutls_x509_trust_list_verify_crt2(trust, &crt, 1, data, host ? 2 : 1, 0, &status, NULL), 0);
	gnutls_x509_trust_list_deinit(trust, 0);
	gnutls_x509_crt_deinit(root);
	gnutls_x509_crt_deinit(crt);
	return status;
}

START_TEST(both_chains_hold)
{
	ck_assert_uint_eq(verdict(set.server.cert, set.server_ca.cert, "localhost", GNUTLS_KP_TLS_WWW_SERVER, NOW), 0);
	ck_assert_uint_eq(verdict(set.fleet.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW), 0);
	/* from yesterday, for ten years */
	ck_assert_uint_eq(verdict(set.fleet.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW - DAY_S + 1),
			  0);
	ck_assert_uint_eq(
		verdict(set.fleet.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW + 3649 * DAY_S), 0);
}
END_TEST

START_TEST(names_and_addresses)
{
	gnutls_x509_crt_t crt = load(set.server.cert);

	ck_assert(gnutls_x509_crt_check_hostname(crt, "localhost"));
	ck_assert(gnutls_x509_crt_check_ip(crt, (const unsigned char *)"\x7f\0\0\1", 4, 0));
	ck_assert(gnutls_x509_crt_check_ip(crt, (const unsigned char *)"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16, 0));
	ck_assert(!gnutls_x509_crt_check_hostname(crt, "example.org"));
	ck_assert_uint_ne(
		verdict(set.server.cert, set.server_ca.cert, "example.org", GNUTLS_KP_TLS_WWW_SERVER, NOW) &
			GNUTLS_CERT_UNEXPECTED_OWNER,
		0);
	gnutls_x509_crt_deinit(crt);
}
END_TEST

START_TEST(each_is_good_for_its_side_only)
{
	ck_assert_uint_ne(verdict(set.server.cert, set.server_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW), 0);
	ck_assert_uint_ne(verdict(set.fleet.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_SERVER, NOW), 0);
	ck_assert_uint_ne(verdict(set.fleet.cert, set.server_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW), 0);
	ck_assert_uint_ne(verdict(set.server.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_SERVER, NOW), 0);
}
END_TEST

static void check_usage(const char *pem, bool ca, unsigned want)
{
	gnutls_x509_crt_t crt = load(pem);
	unsigned usage = 0, critical, is_ca = 0;

	ck_assert_int_ge(gnutls_x509_crt_get_basic_constraints(crt, &critical, &is_ca, NULL), 0);
	ck_assert_uint_eq(is_ca, ca);
	ck_assert_int_eq(gnutls_x509_crt_get_key_usage(crt, &usage, &critical), 0);
	ck_assert_uint_eq(usage, want);
	ck_assert_int_eq(gnutls_x509_crt_get_pk_algorithm(crt, NULL), GNUTLS_PK_EDDSA_ED25519);
	ck_assert_int_eq(gnutls_x509_crt_get_signature_algorithm(crt), GNUTLS_SIGN_EDDSA_ED25519);
	gnutls_x509_crt_deinit(crt);
}

START_TEST(key_usage_is_right)
{
	check_usage(set.server_ca.cert, true, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	check_usage(set.device_ca.cert, true, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN);
	check_usage(set.server.cert, false, GNUTLS_KEY_DIGITAL_SIGNATURE);
	check_usage(set.fleet.cert, false, GNUTLS_KEY_DIGITAL_SIGNATURE);
}
END_TEST

START_TEST(serials_differ)
{
	const char *pem[] = {set.server_ca.cert, set.server.cert, set.device_ca.cert, set.fleet.cert};
	unsigned char serial[4][32];
	size_t len;

	for (int i = 0; i < 4; i++) {
		gnutls_x509_crt_t crt = load(pem[i]);

		len = sizeof(serial[i]);
		ck_assert_int_eq(gnutls_x509_crt_get_serial(crt, serial[i], &len), 0);
		ck_assert_uint_eq(len, 16);
		gnutls_x509_crt_deinit(crt);
		for (int k = 0; k < i; k++)
			ck_assert_int_ne(memcmp(serial[i], serial[k], 16), 0);
	}
}
END_TEST

START_TEST(broken_on_purpose)
{
	struct pki_leaf l = {.common_name = "old", .client = true, .not_before_s = NOW - 9, .not_after_s = NOW - 5};
	struct pki_pair pair, ca;
	struct err e = {0};
	unsigned why;

	ck_assert_int_eq(pki_issue(&set.device_ca, &l, &pair, &e), 0);
	why = verdict(pair.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW);
	ck_assert_uint_ne(why & GNUTLS_CERT_EXPIRED, 0);
	pki_pair_fini(&pair);

	l = (struct pki_leaf){.common_name = "new", .client = true, .not_before_s = NOW + 60, .not_after_s = NOW + 99};
	ck_assert_int_eq(pki_issue(&set.device_ca, &l, &pair, &e), 0);
	why = verdict(pair.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW);
	ck_assert_uint_ne(why & GNUTLS_CERT_NOT_ACTIVATED, 0);
	pki_pair_fini(&pair);

	/* foreign: a CA of the same name and another key */
	l = (struct pki_leaf){.common_name = "quicrig device CA", .not_before_s = NOW - 9, .not_after_s = NOW + 99};
	ck_assert_int_eq(pki_issue(NULL, &l, &ca, &e), 0);
	l.common_name = "fleet";
	l.client = true;
	ck_assert_int_eq(pki_issue(&ca, &l, &pair, &e), 0);
	ck_assert_uint_eq(verdict(pair.cert, ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW), 0);
	ck_assert_uint_ne(verdict(pair.cert, set.device_ca.cert, NULL, GNUTLS_KP_TLS_WWW_CLIENT, NOW), 0);
	pki_pair_fini(&pair);
	pki_pair_fini(&ca);
}
END_TEST

START_TEST(bad_orders_are_refused)
{
	struct pki_leaf l = {.common_name = "x", .not_before_s = 10, .not_after_s = 10};
	struct pki_pair junk = {.cert = (char *)(uintptr_t)"no certificate", .key = (char *)(uintptr_t)"SECRET"};
	struct pki_options o = {0};
	struct pki_pair pair;
	struct pki other = {0};
	struct err e = {0};

	ck_assert_int_eq(pki_issue(NULL, &l, &pair, &e), ERR_INVALID);
	ck_assert_ptr_null(pair.cert);
	l.not_after_s = 20;
	memset(&e, 0, sizeof(e));
	ck_assert_int_eq(pki_issue(&junk, &l, &pair, &e), ERR_TLS);
	ck_assert_ptr_null(strstr(e.text, "SECRET"));
	memset(&e, 0, sizeof(e));
	ck_assert_int_eq(pki_make(&o, &other, &e), ERR_INVALID);
	ck_assert_ptr_null(other.server.cert);
}
END_TEST

START_TEST(token_key_is_rsa_2048)
{
	gnutls_datum_t pem = {(unsigned char *)set.token_public, (unsigned)strlen(set.token_public)};
	gnutls_pubkey_t pub;
	unsigned bits;

	ck_assert_int_eq(gnutls_pubkey_init(&pub), 0);
	ck_assert_int_eq(gnutls_pubkey_import(pub, &pem, GNUTLS_X509_FMT_PEM), 0);
	ck_assert_int_eq(gnutls_pubkey_get_pk_algorithm(pub, &bits), GNUTLS_PK_RSA);
	ck_assert_uint_eq(bits, 2048);
	gnutls_pubkey_deinit(pub);
	ck_assert_int_ne(memcmp(set.reset_key, set.store_key, sizeof(set.store_key)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pki");
	TCase *t = tcase_create("pki");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_unchecked_fixture(t, setup, teardown);
	tcase_add_test(t, both_chains_hold);
	tcase_add_test(t, names_and_addresses);
	tcase_add_test(t, each_is_good_for_its_side_only);
	tcase_add_test(t, key_usage_is_right);
	tcase_add_test(t, serials_differ);
	tcase_add_test(t, broken_on_purpose);
	tcase_add_test(t, bad_orders_are_refused);
	tcase_add_test(t, token_key_is_rsa_2048);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
