/* Key files of quicrig serve: read once, secrets readable by their owner only. */
#include "server/serve_internal.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/pki_files.h"

#define KEY_FILE_MAX 65536

int serve_exit_code(int err)
{
	switch (err) {
	case ERR_BUSY:
	case ERR_IO:
	case ERR_ENVIRONMENT:
	case ERR_CLOSED:
		return SERVE_EXIT_ENVIRONMENT;
	case ERR_NOMEM:
	case ERR_INTERNAL:
		return SERVE_EXIT_INTERNAL;
	default:
		return SERVE_EXIT_INPUT;
	}
}

void serve_error(const struct err *e)
{
	char text[800];

	fprintf(stderr, "quicrig serve: error: %s\n", err_format(e, text, sizeof(text)));
}

/* The whole file; caller frees. `secret`: nobody else may read it. */
static int read_file(const char *path, const char *what, bool secret, char **out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	struct buf b;
	char part[4096];
	ssize_t n = 0;
	int rv = 0;

	if (fd < 0)
		return err_set(e, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s: cannot read the %s: %s", path, what,
			       strerror(errno));
	buf_init(&b, KEY_FILE_MAX);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		rv = err_set(e, ERR_IO, "%s: the %s is not a file", path, what);
	else if (secret && (st.st_mode & 077))
		rv = err_set(e, ERR_ENVIRONMENT, "%s: others may read the %s; chmod 600 it", path, what);
	while (!rv && (n = read(fd, part, sizeof(part))) > 0)
		if (buf_add(&b, part, (size_t)n))
			rv = err_set(e, ERR_LIMIT, "%s: the %s is over %d bytes", path, what, KEY_FILE_MAX);
	if (!rv && n < 0)
		rv = err_set(e, ERR_IO, "%s: cannot read the %s: %s", path, what, strerror(errno));
	close(fd);
	explicit_bzero(part, sizeof(part));
	*out = rv ? NULL : buf_take(&b);
	if (!rv && !*out)
		rv = err_set(e, ERR_PARSE, "%s: the %s is empty", path, what);
	if (b.data)
		explicit_bzero(b.data, b.len);
	buf_fini(&b);
	return rv;
}

static int replace_pem(const char *path, const char *what, bool secret, char **slot, struct err *e)
{
	char *text;
	int rv;

	if (!path)
		return 0;
	rv = read_file(path, what, secret, &text, e);
	if (rv)
		return rv;
	if (!strstr(text, "-----BEGIN ")) {
		explicit_bzero(text, strlen(text));
		free(text);
		return err_set(e, ERR_PARSE, "%s: the %s is not PEM", path, what);
	}
	if (*slot)
		explicit_bzero(*slot, strlen(*slot));
	free(*slot);
	*slot = text;
	return 0;
}

static int replace_hex(const char *path, const char *what, uint8_t out[32], struct err *e)
{
	char *text;
	size_t len;
	int rv;

	if (!path)
		return 0;
	rv = read_file(path, what, true, &text, e);
	if (rv)
		return rv;
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = '\0';
	if (!hash_unhex(text, out, 32))
		rv = err_set(e, ERR_PARSE, "%s: the %s is not 64 hex digits", path, what);
	explicit_bzero(text, len);
	free(text);
	return rv;
}

int serve_read_keys(const struct serve_options *o, struct pki *out, struct err *e)
{
	int rv = o->pki_dir ? pki_files_read(o->pki_dir, out, e) : 0;

	if (!rv)
		rv = replace_pem(o->cert, "certificate", false, &out->server.cert, e);
	if (!rv)
		rv = replace_pem(o->key, "certificate's key", true, &out->server.key, e);
	if (!rv)
		rv = replace_pem(o->client_ca, "client CA", false, &out->device_ca.cert, e);
	if (!rv)
		rv = replace_pem(o->token_key, "token key", true, &out->token_key, e);
	if (!rv)
		rv = replace_hex(o->reset_key, "reset key", out->reset_key, e);
	return rv ? rv : replace_hex(o->store_key, "store key", out->store_key, e);
}

int serve_read_run_key(int fd, uint8_t out[32], struct err *e)
{
	size_t got = 0;
	ssize_t n = 1;

	while (got < 32 && (n = read(fd, out + got, 32 - got)) > 0)
		got += (size_t)n;
	close(fd);
	return got == 32 ? 0 : err_set(e, ERR_INVALID, "--run-key-fd %d: no 32 bytes to read there", fd);
}
