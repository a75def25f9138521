/* TLS: credentials, sessions, and the judgement of the peer's certificate. */
#include "core/quic_internal.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "core/hash.h"

#define PRIORITY                                                                                             \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519:"                   \
	"%DISABLE_TLS13_COMPAT_MODE"
#define CHAIN_MAX 8
#define CACHE_MAX 16 /* verified certificates: one fleet shows one */
#define NAME_MAX_ 255

/* A peer certificate whose chain was built and checked before. The signature of the
 * handshake (CertificateVerify) is checked each time all the same. */
struct verified {
	gnutls_datum_t der;	  /* owned */
	char name[NAME_MAX_ + 1]; /* client: what it was checked against */
	int64_t from_s, to_s;	  /* the intersection of the chain's validities, Unix */
};

struct quic_credentials {
	gnutls_certificate_credentials_t certs;
	gnutls_priority_t priority;
	struct verified cache[CACHE_MAX];
	unsigned cache_n, cache_next;
};

static int verify_peer(gnutls_session_t tls);

/* GnuTLS 3.7.9 does not see that an Ed25519 key is another certificate's. */
static bool belongs(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	unsigned char a[HASH_SIZE], b[HASH_SIZE];
	size_t a_len = sizeof(a), b_len = sizeof(b);

	return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, a, &a_len) == 0 &&
	       gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, b, &b_len) == 0 &&
	       a_len == b_len && memcmp(a, b, a_len) == 0;
}

static int load_own(struct quic_credentials *cr, const struct quic_credentials_pem *pem, struct err *e)
{
	gnutls_datum_t text = {(void *)pem->cert, pem->cert ? (unsigned)strlen(pem->cert) : 0};
	gnutls_x509_crt_t *list = NULL;
	gnutls_x509_privkey_t key = NULL;
	unsigned n = 0, i;
	int rv;

	if (!pem->cert && !pem->key)
		return 0;
	if (!pem->cert || !pem->key)
		return err_set(e, ERR_TLS, "certificate and key go together; %s is missing",
			       pem->cert ? "the key" : "the certificate");
	rv = gnutls_x509_crt_list_import2(&list, &n, &text, GNUTLS_X509_FMT_PEM, 0);
	if (rv < 0)
		return err_set(e, ERR_TLS, "certificate: %s", gnutls_strerror(rv));
	rv = gnutls_x509_privkey_init(&key);
	if (rv < 0)
		goto out;
	text.data = (void *)pem->key;
	text.size = (unsigned)strlen(pem->key);
	rv = gnutls_x509_privkey_import2(key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rv < 0) {
		err_set(e, ERR_TLS, "key: %s", gnutls_strerror(rv));
		goto out;
	}
	rv = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
	if (n && belongs(list[0], key))
		rv = gnutls_certificate_set_x509_key(cr->certs, list, (int)n, key);
	if (rv == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		err_set(e, ERR_TLS, "the key does not belong to the certificate");
	else if (rv < 0)
		err_set(e, ERR_TLS, "certificate and key: %s", gnutls_strerror(rv));
out:
	for (i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	gnutls_x509_privkey_deinit(key);
	return rv < 0 ? ERR_TLS : 0;
}

static int load_ca(struct quic_credentials *cr, const char *pem, struct err *e)
{
	gnutls_datum_t text = {(void *)pem, pem ? (unsigned)strlen(pem) : 0};
	int n;

	if (!pem)
		return err_set(e, ERR_TLS, "no CA: whom to trust must be said");
	n = gnutls_certificate_set_x509_trust_mem(cr->certs, &text, GNUTLS_X509_FMT_PEM);
	if (n <= 0)
		return err_set(e, ERR_TLS, "CA: %s", n ? gnutls_strerror(n) : "no certificate in it");
	return 0;
}

struct quic_credentials *quic_credentials_new(const struct quic_credentials_pem *pem, struct err *e)
{
	struct quic_credentials *cr = calloc(1, sizeof(*cr));

	if (!cr || gnutls_certificate_allocate_credentials(&cr->certs) < 0 ||
	    gnutls_priority_init(&cr->priority, PRIORITY, NULL) < 0) {
		err_set(e, ERR_NOMEM, "out of memory");
		goto fail;
	}
	if (load_own(cr, pem, e) || load_ca(cr, pem->peer_ca, e))
		goto fail;
	gnutls_certificate_set_verify_function(cr->certs, verify_peer);
	/* dates are judged in verify_peer, by the clock of whoever verifies */
	gnutls_certificate_set_verify_flags(cr->certs,
					    GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS);
	return cr;
fail:
	quic_credentials_free(cr);
	return NULL;
}

void quic_credentials_free(struct quic_credentials *cr)
{
	unsigned i;

	if (!cr)
		return;
	for (i = 0; i < cr->cache_n; i++)
		free(cr->cache[i].der.data);
	if (cr->certs)
		gnutls_certificate_free_credentials(cr->certs);
	if (cr->priority)
		gnutls_priority_deinit(cr->priority);
	free(cr);
}

static struct quic_conn *conn_of(gnutls_session_t tls)
{
	ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(tls);

	return ref->user_data;
}

static const struct verified *cache_find(const struct quic_credentials *cr, const gnutls_datum_t *der,
					 const char *name)
{
	unsigned i;

	for (i = 0; i < cr->cache_n; i++)
		if (cr->cache[i].der.size == der->size && strcmp(cr->cache[i].name, name) == 0 &&
		    memcmp(cr->cache[i].der.data, der->data, der->size) == 0)
			return &cr->cache[i];
	return NULL;
}

static void cache_add(struct quic_credentials *cr, const gnutls_datum_t *der, const char *name,
		      int64_t from_s, int64_t to_s)
{
	unsigned char *copy = malloc(der->size);
	struct verified *v;

	if (!copy)
		return;
	memcpy(copy, der->data, der->size);
	if (cr->cache_n < CACHE_MAX) {
		v = &cr->cache[cr->cache_n++];
	} else {
		v = &cr->cache[cr->cache_next++ % CACHE_MAX];
		free(v->der.data);
	}
	v->der.data = copy;
	v->der.size = der->size;
	snprintf(v->name, sizeof(v->name), "%s", name);
	v->from_s = from_s;
	v->to_s = to_s;
}

static void narrow(gnutls_x509_crt_t crt, int64_t *from_s, int64_t *to_s)
{
	time_t from = gnutls_x509_crt_get_activation_time(crt), to = gnutls_x509_crt_get_expiration_time(crt);

	if (from == (time_t)-1 || from > *from_s)
		*from_s = from == (time_t)-1 ? INT64_MAX : from;
	if (to == (time_t)-1 || to < *to_s)
		*to_s = to == (time_t)-1 ? INT64_MIN : to;
}

/* The time in which all of the chain holds, its CA included. */
static int chain_dates(struct quic_credentials *cr, const gnutls_datum_t *peers, unsigned n, int64_t *from_s,
		       int64_t *to_s)
{
	gnutls_x509_crt_t crt, issuer;
	unsigned i;

	*from_s = INT64_MIN;
	*to_s = INT64_MAX;
	for (i = 0; i < n; i++) {
		if (gnutls_x509_crt_init(&crt) < 0)
			return ERR_NOMEM;
		if (gnutls_x509_crt_import(crt, &peers[i], GNUTLS_X509_FMT_DER) < 0) {
			gnutls_x509_crt_deinit(crt);
			return ERR_TLS;
		}
		narrow(crt, from_s, to_s);
		if (gnutls_certificate_get_issuer(cr->certs, crt, &issuer, 0) == 0)
			narrow(issuer, from_s, to_s);
		gnutls_x509_crt_deinit(crt);
	}
	return 0;
}

static bool in_time(const struct quic_conn *c, int64_t from_s, int64_t to_s)
{
	int64_t now_s = (c->ep->at.unix_ms + c->clock_ms) / 1000;

	return from_s <= now_s && now_s <= to_s;
}

/* Called by GnuTLS once the peer's chain is there; 0 accepts. Anything else becomes
 * the alert bad_certificate, 0x12a on the wire. */
static int verify_peer(gnutls_session_t tls)
{
	struct quic_conn *c = conn_of(tls);
	struct quic_credentials *cr = c->ep->cfg.credentials;
	const char *name = c->server_name ? c->server_name : "";
	gnutls_typed_vdata_st wanted[2] = {
		{GNUTLS_DT_KEY_PURPOSE_OID,
		 (void *)(c->ep->cfg.server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER), 0},
		{GNUTLS_DT_DNS_HOSTNAME, (void *)name, 0},
	};
	const struct verified *seen;
	const gnutls_datum_t *peers;
	int64_t from_s, to_s;
	unsigned n = 0, status = 0;

	peers = gnutls_certificate_get_peers(tls, &n);
	if (!peers || !n || n > CHAIN_MAX)
		return GNUTLS_E_CERTIFICATE_ERROR;
	seen = cache_find(cr, &peers[0], name);
	if (seen)
		return in_time(c, seen->from_s, seen->to_s) ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
	if (gnutls_certificate_verify_peers(tls, wanted, c->ep->cfg.server ? 1 : 2, &status) < 0 || status)
		return GNUTLS_E_CERTIFICATE_ERROR;
	if (chain_dates(cr, peers, n, &from_s, &to_s) || !in_time(c, from_s, to_s))
		return GNUTLS_E_CERTIFICATE_ERROR;
	cache_add(cr, &peers[0], name, from_s, to_s);
	return 0;
}

/* NSS key log format: label, client random, secret. */
static int keylog(gnutls_session_t tls, const char *label, const gnutls_datum_t *secret)
{
	struct quic_conn *c = conn_of(tls);
	gnutls_datum_t client, server;
	char line[256], random_hex[65], secret_hex[129];

	gnutls_session_get_random(tls, &client, &server);
	if (client.size != 32 || secret->size > 64)
		return 0;
	hash_hex(client.data, client.size, random_hex);
	hash_hex(secret->data, secret->size, secret_hex);
	snprintf(line, sizeof(line), "%s %s %s", label, random_hex, secret_hex);
	c->ep->cfg.keylog(c->ep->cfg.ctx, line);
	return 0;
}

static bool is_ip(const char *name)
{
	struct in6_addr any;

	return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

static int session_setup(gnutls_session_t tls, struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;
	gnutls_datum_t alpn = {(void *)ep->alpn, (unsigned)strlen(ep->alpn)};
	int rv;

	gnutls_session_set_ptr(tls, &c->ref);
	rv = gnutls_priority_set(tls, ep->cfg.credentials->priority);
	if (rv < 0)
		return rv;
	rv = gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, ep->cfg.credentials->certs);
	if (rv < 0)
		return rv;
	rv = gnutls_alpn_set_protocols(tls, &alpn, 1, GNUTLS_ALPN_MANDATORY);
	if (rv < 0)
		return rv;
	if (ep->cfg.keylog)
		gnutls_session_set_keylog_function(tls, keylog);
	if (ep->cfg.server) {
		gnutls_certificate_server_set_request(tls, GNUTLS_CERT_REQUIRE);
		/* no CA names: a client with a foreign certificate then shows it and is told so */
		gnutls_certificate_send_x509_rdn_sequence(tls, 1);
		return ngtcp2_crypto_gnutls_configure_server_session(tls);
	}
	/* RFC 6066 §3: no IP addresses in SNI */
	if (!is_ip(c->server_name))
		rv = gnutls_server_name_set(tls, GNUTLS_NAME_DNS, c->server_name, strlen(c->server_name));
	return rv < 0 ? rv : ngtcp2_crypto_gnutls_configure_client_session(tls);
}

gnutls_session_t tls_session_new(struct quic_conn *c, struct err *e)
{
	unsigned flags = GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET;
	gnutls_session_t tls = NULL;
	int rv;

	rv = gnutls_init(&tls, flags | (c->ep->cfg.server ? GNUTLS_SERVER : GNUTLS_CLIENT));
	if (rv == 0)
		rv = session_setup(tls, c);
	if (rv < 0) {
		err_set(e, ERR_TLS, "TLS session: %s", rv == -1 ? "QUIC set-up failed" : gnutls_strerror(rv));
		if (tls)
			gnutls_deinit(tls);
		return NULL;
	}
	return tls;
}

bool tls_alpn_ok(const struct quic_conn *c)
{
	gnutls_datum_t got;

	return gnutls_alpn_get_selected_protocol(c->tls, &got) == 0 && got.size == strlen(c->ep->alpn) &&
	       memcmp(got.data, c->ep->alpn, got.size) == 0;
}
