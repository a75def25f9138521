#include "bench/floor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <sqlite3.h>

#define ROUNDS  5
#define COMMITS 100

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The best round of `fn`, run `times` a round, in µs a call. */
static double best(int (*fn)(void *), void *arg, int times)
{
	double least = 1e18;

	for (int r = 0; r < ROUNDS; r++) {
		double t = cpu_us();

		for (int i = 0; i < times; i++)
			if (fn(arg) != 1)
				return -1;
		t = (cpu_us() - t) / times;
		if (t < least)
			least = t;
	}
	return least;
}

struct keyed {
	EVP_PKEY *key, *peer;
	const EVP_MD *md;
	unsigned char message[200], sig[512];
	size_t sig_len;
};

static int do_sign(void *arg)
{
	struct keyed *k = arg;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int ok;

	k->sig_len = sizeof(k->sig);
	ok = EVP_DigestSignInit(c, NULL, k->md, NULL, k->key) == 1 &&
	     EVP_DigestSign(c, k->sig, &k->sig_len, k->message, sizeof(k->message)) == 1;
	EVP_MD_CTX_free(c);
	return ok;
}

static int do_verify(void *arg)
{
	struct keyed *k = arg;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	int ok = EVP_DigestVerifyInit(c, NULL, k->md, NULL, k->key) == 1 &&
		 EVP_DigestVerify(c, k->sig, k->sig_len, k->message, sizeof(k->message)) == 1;

	EVP_MD_CTX_free(c);
	return ok;
}

static EVP_PKEY *x25519(void)
{
	return EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
}

static int do_key(void *arg)
{
	EVP_PKEY *k = x25519();

	(void)arg;
	EVP_PKEY_free(k);
	return k != NULL;
}

static int do_derive(void *arg)
{
	struct keyed *k = arg;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->key, NULL);
	unsigned char out[32];
	size_t len = sizeof(out);
	int ok = EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, k->peer) == 1 &&
		 EVP_PKEY_derive(c, out, &len) == 1;

	EVP_PKEY_CTX_free(c);
	return ok;
}

struct packet {
	EVP_CIPHER_CTX *seal, *open, *mask;
	unsigned char nonce[12], tag[16], plain[FLOOR_PACKET], sealed[FLOOR_PACKET], sample[16];
};

/* Under keys that are set up already, as a connection has them (RFC 9001 §5.3, §5.4). */
static int do_packet(void *arg)
{
	struct packet *p = arg;
	int n;

	p->nonce[11]++;
	return EVP_EncryptInit_ex(p->seal, NULL, NULL, NULL, p->nonce) == 1 &&
	       EVP_EncryptUpdate(p->seal, NULL, &n, p->nonce, sizeof(p->nonce)) == 1 &&
	       EVP_EncryptUpdate(p->seal, p->sealed, &n, p->plain, sizeof(p->plain)) == 1 &&
	       EVP_EncryptFinal_ex(p->seal, p->sealed + n, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(p->seal, EVP_CTRL_AEAD_GET_TAG, sizeof(p->tag), p->tag) == 1 &&
	       EVP_EncryptUpdate(p->mask, p->sample, &n, p->sealed, sizeof(p->sample)) == 1 &&
	       EVP_EncryptUpdate(p->mask, p->sample, &n, p->sealed, sizeof(p->sample)) == 1 &&
	       EVP_DecryptInit_ex(p->open, NULL, NULL, NULL, p->nonce) == 1 &&
	       EVP_DecryptUpdate(p->open, NULL, &n, p->nonce, sizeof(p->nonce)) == 1 &&
	       EVP_DecryptUpdate(p->open, p->plain, &n, p->sealed, sizeof(p->sealed)) == 1 &&
	       EVP_CIPHER_CTX_ctrl(p->open, EVP_CTRL_AEAD_SET_TAG, sizeof(p->tag), p->tag) == 1 &&
	       EVP_DecryptFinal_ex(p->open, p->plain + n, &n) == 1;
}

static double packet_us(void)
{
	struct packet p = {.seal = EVP_CIPHER_CTX_new(), .open = EVP_CIPHER_CTX_new(), .mask = EVP_CIPHER_CTX_new()};
	static const unsigned char key[16] = {1};
	double us = -1;

	if (EVP_EncryptInit_ex(p.seal, EVP_aes_128_gcm(), NULL, key, p.nonce) == 1 &&
	    EVP_DecryptInit_ex(p.open, EVP_aes_128_gcm(), NULL, key, p.nonce) == 1 &&
	    EVP_EncryptInit_ex(p.mask, EVP_aes_128_ecb(), NULL, key, NULL) == 1)
		us = best(do_packet, &p, 10000);
	EVP_CIPHER_CTX_free(p.seal);
	EVP_CIPHER_CTX_free(p.open);
	EVP_CIPHER_CTX_free(p.mask);
	return us;
}

static int commits(struct floor *f, const char *dir)
{
	char path[4096];
	sqlite3 *db = NULL;
	double cpu, wall;
	int rv;

	snprintf(path, sizeof(path), "%s/floor.db", dir);
	rv = sqlite3_open(path, &db) ||
	     sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
			      "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)", NULL, NULL, NULL);
	cpu = cpu_us();
	wall = wall_us();
	for (int i = 0; i < COMMITS && !rv; i++)
		rv = sqlite3_exec(db, "INSERT INTO t(v) VALUES(hex(randomblob(100)))", NULL, NULL, NULL);
	f->commit_cpu = (cpu_us() - cpu) / COMMITS;
	f->commit_wall = (wall_us() - wall) / COMMITS;
	sqlite3_close(db);
	unlink(path);
	return rv ? -1 : 0;
}

int floor_measure(struct floor *f, const char *dir)
{
	struct keyed rsa = {.md = EVP_sha256()}, ed = {0}, x = {0};

	rsa.key = EVP_RSA_gen(2048);
	ed.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	x.key = x25519();
	x.peer = x25519();
	f->rsa_sign = best(do_sign, &rsa, 100);
	f->rsa_verify = best(do_verify, &rsa, 1000);
	f->ed25519_sign = best(do_sign, &ed, 500);
	f->ed25519_verify = best(do_verify, &ed, 300);
	f->x25519_key = best(do_key, NULL, 500);
	f->x25519_derive = best(do_derive, &x, 500);
	f->packet = packet_us();
	EVP_PKEY_free(rsa.key);
	EVP_PKEY_free(ed.key);
	EVP_PKEY_free(x.key);
	EVP_PKEY_free(x.peer);
	if (f->rsa_sign < 0 || f->rsa_verify < 0 || f->ed25519_sign < 0 || f->ed25519_verify < 0 ||
	    f->x25519_key < 0 || f->x25519_derive < 0 || f->packet < 0)
		return -1;
	return commits(f, dir);
}

/* A full mutual handshake with both chains known already: each side makes one X25519
 * key, derives once, signs one CertificateVerify and verifies the other's. */
double floor_handshake_server(const struct floor *f)
{
	return f->x25519_key + f->x25519_derive + f->ed25519_sign + f->ed25519_verify;
}

double floor_handshake_device(const struct floor *f)
{
	return floor_handshake_server(f);
}
