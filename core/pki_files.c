#include "core/pki_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "core/hash.h"

#define FILE_MAX    65536
#define KEY_BYTES   32
#define ID_BYTES    32
#define OTHERS_BITS 077

static const struct {
	const char *name;
	size_t offset; /* in struct pki: a char *, or KEY_BYTES bytes where `binary` */
	bool secret, binary;
} files[] = {
	{"server-ca.pem", offsetof(struct pki, server_ca.cert), false, false},
	{"server.pem", offsetof(struct pki, server.cert), false, false},
	{"server-key.pem", offsetof(struct pki, server.key), true, false},
	{"device-ca.pem", offsetof(struct pki, device_ca.cert), false, false},
	{"fleet.pem", offsetof(struct pki, fleet.cert), false, false},
	{"fleet-key.pem", offsetof(struct pki, fleet.key), true, false},
	{"token-key.pem", offsetof(struct pki, token_key), true, false},
	{"token-public.pem", offsetof(struct pki, token_public), false, false},
	{"reset.key", offsetof(struct pki, reset_key), true, true},
	{"store.key", offsetof(struct pki, store_key), true, true},
};
#define FILES (sizeof(files) / sizeof(files[0]))

static int join(const char *dir, size_t i, char path[PATH_MAX], struct err *e)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", dir, files[i].name);

	return n < 0 || n >= PATH_MAX ? err_set(e, ERR_INVALID, "the folder's path is too long") : 0;
}

static int io_error(const char *path, const char *what, struct err *e)
{
	return err_set_at(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, path, 0, 0, "cannot %s: %s", what,
			  strerror(errno));
}

/* ---- writing ---- */

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

static int write_file(const char *path, size_t i, const struct pki *p, struct err *e)
{
	const char *field = (const char *)p + files[i].offset, *text;
	char hex[2 * KEY_BYTES + 2];
	int fd, rv = 0;

	if (files[i].binary) {
		hash_hex((const uint8_t *)field, KEY_BYTES, hex);
		strcat(hex, "\n");
		text = hex;
	} else {
		memcpy(&text, field, sizeof(text));
		if (!text)
			return err_set_at(e, ERR_INVALID, path, 0, 0,
					  "nothing to write: the set is not complete");
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_error(path, "make it", e);
	if (write_all(fd, text, strlen(text)))
		rv = io_error(path, "write it", e);
	if (close(fd) && !rv)
		rv = io_error(path, "write it", e);
	if (rv)
		unlink(path);
	explicit_bzero(hex, sizeof(hex));
	return rv;
}

int pki_files_write(const char *dir, const struct pki *p, struct err *e)
{
	char path[PATH_MAX];
	struct stat st;
	size_t i;
	int rv = 0;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return io_error(dir, "make this folder", e);
	for (i = 0; i < FILES; i++) {
		rv = join(dir, i, path, e);
		if (rv)
			return rv;
		if (lstat(path, &st) == 0)
			return err_set_at(e, ERR_EXISTS, path, 0, 0,
					  "is there already; keys are never overwritten: remove it or choose "
					  "another folder");
		if (errno != ENOENT)
			return io_error(path, "make it", e);
	}
	for (i = 0; i < FILES && !rv; i++) {
		join(dir, i, path, NULL);
		rv = write_file(path, i, p, e);
	}
	if (rv) /* the one that failed is gone; its forerunners are ours too */
		for (size_t k = 0; k + 1 < i; k++) {
			join(dir, k, path, NULL);
			unlink(path);
		}
	return rv;
}

/* ---- reading ---- */

/* The file's text into `text`; refuses a secret that others may read. */
static int read_text(const char *path, bool secret, char text[FILE_MAX + 1], struct err *e)
{
	/* non-blocking: a FIFO is refused, not waited for */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rv = 0;
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return io_error(path, "read it", e);
	if (fstat(fd, &st))
		rv = io_error(path, "read it", e);
	else if (!S_ISREG(st.st_mode))
		rv = err_set_at(e, ERR_IO, path, 0, 0, "is not a file");
	else if (secret && (st.st_mode & OTHERS_BITS))
		rv = err_set_at(e, ERR_ENVIRONMENT, path, 0, 0,
				"is a secret that others may read (mode %04o): chmod 600 it",
				(unsigned)(st.st_mode & 07777));
	while (!rv && n > 0) {
		n = read(fd, text + len, FILE_MAX + 1 - len);
		if (n < 0)
			rv = io_error(path, "read it", e);
		else if ((len += (size_t)n) > FILE_MAX)
			rv = err_set_at(e, ERR_LIMIT, path, 0, 0, "is larger than %d bytes", FILE_MAX);
	}
	close(fd);
	if (!rv)
		text[len] = '\0';
	return rv;
}

static int read_file(const char *path, size_t i, struct pki *p, char text[FILE_MAX + 1], struct err *e)
{
	char *field = (char *)p + files[i].offset, *copy;
	int rv = read_text(path, files[i].secret, text, e);

	if (rv)
		return rv;
	if (files[i].binary) {
		text[strcspn(text, "\r\n")] = '\0';
		if (!hash_unhex(text, (uint8_t *)field, KEY_BYTES))
			return err_set_at(e, ERR_PARSE, path, 0, 0, "is not %d hex digits", 2 * KEY_BYTES);
		return 0;
	}
	if (!strstr(text, "-----BEGIN "))
		return err_set_at(e, ERR_PARSE, path, 0, 0, "is not PEM");
	copy = strdup(text);
	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory");
	memcpy(field, &copy, sizeof(copy));
	return 0;
}

static gnutls_datum_t datum(const char *pem)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)pem, (unsigned)strlen(pem)};
}

static bool private_id(const char *pem, uint8_t id[ID_BYTES])
{
	gnutls_datum_t d = datum(pem);
	gnutls_x509_privkey_t key;
	size_t len = ID_BYTES;
	bool ok;

	if (gnutls_x509_privkey_init(&key))
		return false;
	ok = gnutls_x509_privkey_import2(key, &d, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN) == 0 &&
	     gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &len) == 0;
	gnutls_x509_privkey_deinit(key);
	return ok;
}

static bool cert_id(const char *pem, uint8_t id[ID_BYTES])
{
	gnutls_datum_t d = datum(pem);
	size_t len = ID_BYTES;
	gnutls_x509_crt_t crt;
	bool ok;

	if (gnutls_x509_crt_init(&crt))
		return false;
	ok = gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_PEM) == 0 &&
	     gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, id, &len) == 0;
	gnutls_x509_crt_deinit(crt);
	return ok;
}

static bool public_id(const char *pem, uint8_t id[ID_BYTES])
{
	gnutls_datum_t d = datum(pem);
	size_t len = ID_BYTES;
	gnutls_pubkey_t pub;
	bool ok;

	if (gnutls_pubkey_init(&pub))
		return false;
	ok = gnutls_pubkey_import(pub, &d, GNUTLS_X509_FMT_PEM) == 0 &&
	     gnutls_pubkey_get_key_id(pub, GNUTLS_KEYID_USE_SHA256, id, &len) == 0;
	gnutls_pubkey_deinit(pub);
	return ok;
}

static int check_pairs(const char *dir, const struct pki *p, struct err *e)
{
	const struct {
		const char *public_name, *private_name, *public, *private;
		bool (*id)(const char *, uint8_t *);
	} pairs[] = {
		{"server.pem", "server-key.pem", p->server.cert, p->server.key, cert_id},
		{"fleet.pem", "fleet-key.pem", p->fleet.cert, p->fleet.key, cert_id},
		{"token-public.pem", "token-key.pem", p->token_public, p->token_key, public_id},
	};
	uint8_t a[ID_BYTES], b[ID_BYTES];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (!pairs[i].id(pairs[i].public, a))
			return err_set_at(e, ERR_PARSE, dir, 0, 0, "%s cannot be read as %s",
					  pairs[i].public_name,
					  pairs[i].id == cert_id ? "a certificate" : "a public key");
		if (!private_id(pairs[i].private, b))
			return err_set_at(e, ERR_PARSE, dir, 0, 0,
					  "%s cannot be read as an unencrypted private key",
					  pairs[i].private_name);
		if (memcmp(a, b, ID_BYTES) != 0)
			return err_set_at(e, ERR_PARSE, dir, 0, 0, "%s and %s do not belong together",
					  pairs[i].public_name, pairs[i].private_name);
	}
	return 0;
}

int pki_files_read(const char *dir, struct pki *out, struct err *e)
{
	char path[PATH_MAX], *text;
	int rv = 0;

	memset(out, 0, sizeof(*out));
	text = malloc(FILE_MAX + 1);
	if (!text)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < FILES && !rv; i++) {
		rv = join(dir, i, path, e);
		if (!rv)
			rv = read_file(path, i, out, text, e);
	}
	if (!rv)
		rv = check_pairs(dir, out, e);
	if (rv)
		pki_fini(out);
	explicit_bzero(text, FILE_MAX + 1);
	free(text);
	return rv;
}
