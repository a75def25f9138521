#include "core/pki.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/hash.h"

#define DAY_S	     INT64_C(86400)
#define YEAR_S	     (365 * DAY_S)
#define LIFE_YEARS   10
#define RSA_BITS     2048
#define SERIAL_BYTES 16 /* RFC 5280 §4.1.2.2: positive, at most 20 bytes */

static const char *const default_hosts[] = {"localhost", "127.0.0.1", "::1"};

static int tls_err(struct err *e, const char *what, int rv)
{
	return err_set(e, rv == GNUTLS_E_MEMORY_ERROR ? ERR_NOMEM : ERR_TLS, "%s: %s", what,
		       gnutls_strerror(rv));
}

/* GnuTLS's buffer as our own text; the original is zeroed. */
static char *take(gnutls_datum_t *d)
{
	char *text = d->data ? strndup((char *)d->data, d->size) : NULL;

	if (d->data)
		gnutls_memset(d->data, 0, d->size);
	gnutls_free(d->data);
	d->data = NULL;
	return text;
}

static void wipe(char **secret)
{
	if (*secret)
		gnutls_memset(*secret, 0, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

void pki_pair_fini(struct pki_pair *p)
{
	free(p->cert);
	p->cert = NULL;
	wipe(&p->key);
}

void pki_fini(struct pki *p)
{
	pki_pair_fini(&p->server_ca);
	pki_pair_fini(&p->server);
	pki_pair_fini(&p->device_ca);
	pki_pair_fini(&p->fleet);
	wipe(&p->token_key);
	free(p->token_public);
	p->token_public = NULL;
	gnutls_memset(p->reset_key, 0, sizeof(p->reset_key));
	gnutls_memset(p->store_key, 0, sizeof(p->store_key));
}

/* ---- one certificate ---- */

static int set_host(gnutls_x509_crt_t crt, const char *host)
{
	unsigned char ip[16];
	const void *data = host;
	size_t len = strlen(host);
	gnutls_x509_subject_alt_name_t type = GNUTLS_SAN_DNSNAME;

	if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1) {
		type = GNUTLS_SAN_IPADDRESS;
		data = ip;
		len = strchr(host, ':') ? 16 : 4;
	}
	return gnutls_x509_crt_set_subject_alt_name(crt, type, data, (unsigned)len, GNUTLS_FSAN_APPEND);
}

/* As random as the key, which is fresh for every certificate: a digest of its public half. */
static int set_serial(gnutls_x509_crt_t crt)
{
	unsigned char id[HASH_SIZE];
	size_t len = sizeof(id);
	int rv = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &len);

	id[0] = (unsigned char)((id[0] & 0x7f) | 0x40); /* positive, and never shorter */
	return rv ? rv : gnutls_x509_crt_set_serial(crt, id, SERIAL_BYTES);
}

/* RFC 5280 §4.2.1: what the key may be used for. */
static int set_usage(gnutls_x509_crt_t crt, bool is_ca, bool client)
{
	int rv;

	/* a CA of ours signs leaves only */
	rv = gnutls_x509_crt_set_basic_constraints(crt, is_ca, is_ca ? 0 : -1);
	if (!rv)
		rv = gnutls_x509_crt_set_key_usage(crt, is_ca ? GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN
							      : GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (!rv && !is_ca)
		rv = gnutls_x509_crt_set_key_purpose_oid(
			crt, client ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER, 0);
	return rv;
}

static int set_key_ids(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer)
{
	unsigned char id[64];
	size_t len = sizeof(id);
	int rv = gnutls_x509_crt_get_key_id(crt, 0, id, &len);

	if (!rv)
		rv = gnutls_x509_crt_set_subject_key_id(crt, id, len);
	if (rv || issuer == crt)
		return rv;
	len = sizeof(id);
	rv = gnutls_x509_crt_get_subject_key_id(issuer, id, &len, NULL);
	return rv ? rv : gnutls_x509_crt_set_authority_key_id(crt, id, len);
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, gnutls_x509_crt_t issuer,
		const struct pki_leaf *l, struct err *e)
{
	bool is_ca = issuer == crt;
	int rv;

	rv = gnutls_x509_crt_set_version(crt, 3);
	if (!rv)
		rv = gnutls_x509_crt_set_key(crt, key);
	if (!rv)
		rv = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, l->common_name,
						   (unsigned)strlen(l->common_name));
	if (!rv)
		rv = gnutls_x509_crt_set_activation_time(crt, (time_t)l->not_before_s);
	if (!rv)
		rv = gnutls_x509_crt_set_expiration_time(crt, (time_t)l->not_after_s);
	if (!rv)
		rv = set_serial(crt);
	if (!rv)
		rv = set_usage(crt, is_ca, l->client);
	if (!rv)
		rv = set_key_ids(crt, issuer);
	if (rv)
		return tls_err(e, "cannot make a certificate", rv);
	for (unsigned i = 0; i < l->hosts_n; i++)
		if (set_host(crt, l->hosts[i]))
			return err_set(e, ERR_INVALID, "'%.64s' is no host name and no address", l->hosts[i]);
	return 0;
}

static int load_ca(const struct pki_pair *ca, gnutls_x509_crt_t *crt, gnutls_x509_privkey_t *key,
		   struct err *e)
{
	gnutls_datum_t cert_pem = {(unsigned char *)ca->cert, (unsigned)strlen(ca->cert)};
	gnutls_datum_t key_pem = {(unsigned char *)ca->key, (unsigned)strlen(ca->key)};
	int rv;

	rv = gnutls_x509_crt_init(crt);
	if (!rv)
		rv = gnutls_x509_privkey_init(key);
	if (!rv)
		rv = gnutls_x509_crt_import(*crt, &cert_pem, GNUTLS_X509_FMT_PEM);
	if (!rv)
		rv = gnutls_x509_privkey_import2(*key, &key_pem, GNUTLS_X509_FMT_PEM, NULL,
						 GNUTLS_PKCS_PLAIN);
	return rv ? tls_err(e, "cannot read the CA", rv) : 0;
}

static int write_pair(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, struct pki_pair *out, struct err *e)
{
	gnutls_datum_t cert_pem = {NULL, 0}, key_pem = {NULL, 0};
	int rv;

	rv = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert_pem);
	if (!rv)
		rv = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
						       &key_pem);
	out->cert = take(&cert_pem);
	out->key = take(&key_pem);
	if (!rv && (!out->cert || !out->key))
		rv = GNUTLS_E_MEMORY_ERROR;
	return rv ? tls_err(e, "cannot write a certificate", rv) : 0;
}

int pki_issue(const struct pki_pair *ca, const struct pki_leaf *l, struct pki_pair *out, struct err *e)
{
	gnutls_x509_crt_t crt = NULL, ca_crt = NULL;
	gnutls_x509_privkey_t key = NULL, ca_key = NULL;
	int rv;

	memset(out, 0, sizeof(*out));
	if (l->not_after_s <= l->not_before_s)
		return err_set(e, ERR_INVALID, "a certificate must end after it begins");
	rv = gnutls_x509_crt_init(&crt);
	if (!rv)
		rv = gnutls_x509_privkey_init(&key);
	if (!rv)
		rv = gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519,
						  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0);
	if (rv) {
		rv = tls_err(e, "cannot make a key", rv);
		goto out;
	}
	rv = ca ? load_ca(ca, &ca_crt, &ca_key, e) : 0;
	if (!rv)
		rv = fill(crt, key, ca ? ca_crt : crt, l, e);
	if (rv)
		goto out;
	/* Ed25519 hashes by itself; GnuTLS looks the pair (key, digest) up under SHA-512 */
	rv = gnutls_x509_crt_sign2(crt, ca ? ca_crt : crt, ca ? ca_key : key, GNUTLS_DIG_SHA512, 0);
	rv = rv ? tls_err(e, "cannot sign a certificate", rv) : write_pair(crt, key, out, e);
out:
	if (rv)
		pki_pair_fini(out);
	if (ca_key)
		gnutls_x509_privkey_deinit(ca_key);
	if (ca_crt)
		gnutls_x509_crt_deinit(ca_crt);
	if (key)
		gnutls_x509_privkey_deinit(key);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	return rv;
}

/* ---- the set ---- */

int pki_token_key(char **private_pem, char **public_pem, struct err *e)
{
	gnutls_datum_t key_pem = {NULL, 0}, pub_pem = {NULL, 0};
	gnutls_x509_privkey_t key = NULL;
	gnutls_privkey_t priv = NULL;
	gnutls_pubkey_t pub = NULL;
	int rv;

	rv = gnutls_x509_privkey_init(&key);
	if (!rv)
		rv = gnutls_x509_privkey_generate(key, GNUTLS_PK_RSA, RSA_BITS, 0);
	if (!rv)
		rv = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN,
						       &key_pem);
	if (!rv)
		rv = gnutls_privkey_init(&priv);
	if (!rv)
		rv = gnutls_privkey_import_x509(priv, key, 0);
	if (!rv)
		rv = gnutls_pubkey_init(&pub);
	if (!rv)
		rv = gnutls_pubkey_import_privkey(pub, priv, 0, 0);
	if (!rv)
		rv = gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_PEM, &pub_pem);
	*private_pem = take(&key_pem);
	*public_pem = take(&pub_pem);
	if (!rv && (!*private_pem || !*public_pem))
		rv = GNUTLS_E_MEMORY_ERROR;
	if (rv) {
		wipe(private_pem);
		wipe(public_pem);
		rv = tls_err(e, "cannot make a token key", rv);
	}
	if (pub)
		gnutls_pubkey_deinit(pub);
	if (priv)
		gnutls_privkey_deinit(priv);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return rv;
}

static int symmetric_key(uint8_t out[32], struct err *e)
{
	gnutls_datum_t key = {NULL, 0};
	int rv = gnutls_key_generate(&key, 32);

	if (rv)
		return tls_err(e, "cannot make a key", rv);
	memcpy(out, key.data, 32);
	gnutls_memset(key.data, 0, key.size);
	gnutls_free(key.data);
	return 0;
}

int pki_make(const struct pki_options *o, struct pki *out, struct err *e)
{
	struct pki_leaf leaf = {.not_before_s = o->not_before_s, .not_after_s = o->not_after_s};
	struct pki made = {0};
	int rv;

	if (!leaf.not_before_s && !leaf.not_after_s) {
		if (o->now_s <= DAY_S)
			return err_set(e, ERR_INVALID, "certificates need dates, or what time it is");
		leaf.not_before_s = o->now_s - DAY_S;
		leaf.not_after_s = o->now_s + LIFE_YEARS * YEAR_S;
	}
	leaf.common_name = "quicrig server CA";
	rv = pki_issue(NULL, &leaf, &made.server_ca, e);
	leaf.common_name = "quicrig device CA";
	if (!rv)
		rv = pki_issue(NULL, &leaf, &made.device_ca, e);
	leaf.common_name = "quicrig fleet";
	leaf.client = true;
	if (!rv)
		rv = pki_issue(&made.device_ca, &leaf, &made.fleet, e);
	leaf.common_name = "quicrig server";
	leaf.client = false;
	leaf.hosts = o->hosts_n ? o->hosts : default_hosts;
	leaf.hosts_n = o->hosts_n ? o->hosts_n : sizeof(default_hosts) / sizeof(default_hosts[0]);
	if (!rv)
		rv = pki_issue(&made.server_ca, &leaf, &made.server, e);
	if (!rv)
		rv = pki_token_key(&made.token_key, &made.token_public, e);
	if (!rv)
		rv = symmetric_key(made.reset_key, e);
	if (!rv)
		rv = symmetric_key(made.store_key, e);
	if (rv)
		pki_fini(&made);
	else
		*out = made;
	return rv;
}
