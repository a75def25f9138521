/* quicrig device: options and key files. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/token.h"
#include "sim/device_verb.h"

#define FILE_MAX 65536

static const char help[] =
	"usage: quicrig device --server HOST:PORT --pki DIR [OPTION…]\n"
	"\n"
	"One simulated device against any server; prints its life.\n"
	"\n"
	"  --server HOST:PORT     the server (port 20190 where left out)\n"
	"  --server-name NAME     what its certificate must bear (default: HOST)\n"
	"  --pki DIR              keys as 'quicrig pki' makes them; or one by one:\n"
	"  --cert FILE --key FILE --ca FILE   fleet certificate, its key, the server's CA\n"
	"  --server-key FILE      pinned token key, PEM; twice at most\n"
	"  --accept-unsigned      for servers that sign no refusals (tokens are verified all the same)\n"
	"  --alpn NAME            default iot-bootstrap/1\n"
	"  --uuid U --type T --serial S --imsi N   its identity (default: the first thermometer)\n"
	"  --methods LIST         second factors offered, e.g. SMS,TOTP (default SMS)\n"
	"  --totp-file FILE       holds the TOTP secret in base32\n"
	"  --state-dir DIR        its durable file (default: forgotten at the end)\n"
	"  --until STATE          end with 0 in this state, with 1 in IDLE\n"
	"  --timeout TIME         end with 1 after this long, e.g. 30s\n"
	"  --code-from SOURCE     stdin (default), unix:PATH (listens there), fixed:CODE, or\n"
	"                         none (logs in with an empty code). Lines are codes or SMS texts.\n"
	"  --journal FILE         typed events, one JSON object a line; - for standard output\n"
	"  --seed N               of the backoff's jitter\n"
	"  --set NAME=VALUE       a device's setting, e.g. code_wait=60s, connection=hold\n";

enum option_id {
	O_SERVER = 256, O_NAME, O_PKI, O_CERT, O_KEY, O_CA, O_SERVER_KEY, O_UNSIGNED, O_ALPN, O_UUID, O_TYPE, O_SERIAL,
	O_IMSI, O_METHODS, O_TOTP, O_STATE_DIR, O_UNTIL, O_TIMEOUT, O_CODE, O_JOURNAL, O_SEED, O_SET, O_HELP
};

static const struct option options[] = {
	{"server", 1, NULL, O_SERVER},	   {"server-name", 1, NULL, O_NAME},   {"pki", 1, NULL, O_PKI},
	{"cert", 1, NULL, O_CERT},	   {"key", 1, NULL, O_KEY},	       {"ca", 1, NULL, O_CA},
	{"server-key", 1, NULL, O_SERVER_KEY}, {"accept-unsigned", 0, NULL, O_UNSIGNED}, {"alpn", 1, NULL, O_ALPN},
	{"uuid", 1, NULL, O_UUID},	   {"type", 1, NULL, O_TYPE},	       {"serial", 1, NULL, O_SERIAL},
	{"imsi", 1, NULL, O_IMSI},	   {"methods", 1, NULL, O_METHODS},    {"totp-file", 1, NULL, O_TOTP},
	{"state-dir", 1, NULL, O_STATE_DIR}, {"until", 1, NULL, O_UNTIL},      {"timeout", 1, NULL, O_TIMEOUT},
	{"code-from", 1, NULL, O_CODE},	   {"journal", 1, NULL, O_JOURNAL},    {"seed", 1, NULL, O_SEED},
	{"set", 1, NULL, O_SET},	   {"help", 0, NULL, O_HELP},	       {NULL, 0, NULL, 0}};

static const char *verb = "device"; /* whose options these are */

static int bad(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int bad(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "quicrig %s: error: ", verb);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 2;
}

/* The whole file as a text; 0 or an exit code, said. */
static int read_file(const char *path, const char *role, char **out)
{
	FILE *f;
	char *text;
	size_t n;

	if (*out)
		return bad("the %s is given twice", role);
	f = fopen(path, "re");
	if (!f)
		return bad("%s: cannot read the %s: %s", path, role, strerror(errno));
	text = malloc(FILE_MAX + 1);
	n = text ? fread(text, 1, FILE_MAX + 1, f) : 0;
	if (!text || ferror(f) || n > FILE_MAX || !n) {
		bad("%s: cannot read the %s: %s", path, role,
		    n > FILE_MAX ? "over 64 KiB" : n ? "out of memory" : "empty");
		free(text);
		fclose(f);
		return 2;
	}
	fclose(f);
	text[n] = '\0';
	*out = text;
	return 0;
}

static int read_server_key(struct device_verb *v, const char *path)
{
	for (int i = 0; i < DEVICE_VERB_KEYS; i++)
		if (!v->server_keys[i])
			return read_file(path, "server's token key", &v->server_keys[i]);
	return bad("a device pins at most %d keys", DEVICE_VERB_KEYS);
}

static int read_pki(struct device_verb *v, const char *dir)
{
	char path[PATH_MAX];
	static const struct {
		const char *file, *role;
		size_t at;
	} files[] = {{"fleet.pem", "fleet certificate", offsetof(struct device_verb, cert)},
		     {"fleet-key.pem", "fleet certificate's key", offsetof(struct device_verb, key)},
		     {"server-ca.pem", "server's CA", offsetof(struct device_verb, ca)},
		     {"token-public.pem", "server's token key", offsetof(struct device_verb, server_keys)}};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char **out = (char **)((char *)v + files[i].at);
		int rv;

		if (*out)
			continue; /* a single file was named before: it goes over the set's */
		snprintf(path, sizeof(path), "%s/%s", dir, files[i].file);
		rv = read_file(path, files[i].role, out);
		if (rv)
			return rv;
	}
	return 0;
}

/* "host", "host:port", "[v6]:port". `host` stays for the certificate's name. */
static int resolve(struct device_verb *v, const char *text)
{
	const char *option = v->server_option ? v->server_option : "server";
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG}, *found;
	const char *port = "20190", *end = strrchr(text, ':'), *from = text;
	int rv;

	if (text[0] == '[') {
		from = text + 1;
		end = strchr(text, ']');
		if (!end)
			return bad("--%s '%s': the bracket is not closed", option, text);
		if (end[1] == ':')
			port = end + 2;
	} else if (end && strchr(text, ':') == end) {
		port = end + 1;
	} else {
		end = text + strlen(text); /* no port, or a bare IPv6 address */
	}
	if (end == from || (size_t)(end - from) >= sizeof(v->host))
		return bad("--%s '%s': no host", option, text);
	memcpy(v->host, from, (size_t)(end - from));
	v->host[end - from] = '\0';
	rv = getaddrinfo(v->host, port, &hints, &found);
	if (rv) {
		bad("--%s '%s': %s", option, text, gai_strerror(rv));
		return rv == EAI_SERVICE ? 2 : 3;
	}
	memcpy(&v->server.u, found->ai_addr, found->ai_addrlen);
	v->server.len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}

static int copy(char *out, size_t size, const char *text, const char *what)
{
	if (!text[0] || strlen(text) >= size)
		return bad("--%s '%s': 1…%zu characters", what, text, size - 1);
	strcpy(out, text);
	return 0;
}

static int take_methods(struct device_verb *v, char *list)
{
	unsigned n = 0;
	char *save = NULL;

	for (char *m = strtok_r(list, ",", &save); m; m = strtok_r(NULL, ",", &save)) {
		if (n == REGISTRY_METHODS || strlen(m) > 8)
			return bad("--methods: at most %d, of 8 characters each", REGISTRY_METHODS);
		v->methods[n++] = m;
	}
	v->methods[n] = NULL;
	return 0;
}

static int take_source(struct device_verb *v, const char *text)
{
	v->code = NULL;
	if (strcmp(text, "stdin") == 0)
		v->code_from = CODE_FROM_STDIN;
	else if (strcmp(text, "none") == 0)
		v->code_from = CODE_FROM_NONE;
	else if (strncmp(text, "unix:", 5) == 0 && text[5])
		v->code_from = CODE_FROM_UNIX;
	else if (strncmp(text, "fixed:", 6) == 0 && text[6])
		v->code_from = CODE_FROM_FIXED;
	else
		return bad("--code-from '%s': stdin, unix:PATH, fixed:CODE or none", text);
	if (v->code_from == CODE_FROM_UNIX || v->code_from == CODE_FROM_FIXED)
		v->code = strchr(text, ':') + 1;
	if (v->code_from == CODE_FROM_FIXED && strlen(v->code) > 64)
		return bad("--code-from: a code has at most 64 characters");
	return 0;
}

static int take_totp(struct device_verb *v, const char *path)
{
	char *text = NULL;
	int rv = read_file(path, "TOTP secret", &text);

	if (!rv) {
		text[strcspn(text, " \t\r\n")] = '\0';
		if (!text[0] || strlen(text) >= sizeof(v->identity.totp_secret))
			rv = bad("%s: 1…64 characters of base32", path);
		else
			strcpy(v->identity.totp_secret, text);
		explicit_bzero(text, strlen(text));
	}
	free(text);
	return rv;
}

static int take_setting(struct device_verb *v, const char *text)
{
	struct err e = {0};

	if (settings_set(&v->settings, text, &e))
		return bad("--set %s: %s", text, e.text);
	return 0;
}

static int take_identity(struct device_verb *v, int id, const char *text)
{
	struct registry_device *d = &v->identity;

	switch (id) {
	case O_UUID:
		if (!uuid_valid(text))
			return bad("--uuid '%s': 8-4-4-4-12 lower-case hex digits", text);
		return copy(d->uuid, sizeof(d->uuid), text, "uuid");
	case O_TYPE:
		return copy(d->device_type, sizeof(d->device_type), text, "type");
	case O_SERIAL:
		return copy(d->serial_id, sizeof(d->serial_id), text, "serial");
	default:
		return copy(d->network_id, sizeof(d->network_id), text, "imsi");
	}
}

static int take_option(struct device_verb *v, int id, char *text)
{
	char *end;

	switch (id) {
	case O_SERVER:
		v->server_text = text;
		return 0;
	case O_NAME:
		v->server_name = text;
		return 0;
	case O_PKI:
		v->pki = text;
		return 0;
	case O_CERT:
		return read_file(text, "fleet certificate", &v->cert);
	case O_KEY:
		return read_file(text, "fleet certificate's key", &v->key);
	case O_CA:
		return read_file(text, "server's CA", &v->ca);
	case O_SERVER_KEY:
		return read_server_key(v, text);
	case O_UNSIGNED:
		v->accept_unsigned = true;
		return 0;
	case O_ALPN:
		v->alpn = text;
		return 0;
	case O_METHODS:
		return take_methods(v, text);
	case O_TOTP:
		return take_totp(v, text);
	case O_STATE_DIR:
		v->state_dir = text;
		return 0;
	case O_UNTIL:
		v->until = state_by_name(text);
		return v->until < 0 ? bad("--until '%s': no such state", text) : 0;
	case O_TIMEOUT:
		return duration_parse(text, &v->timeout) ? bad("--timeout '%s': a duration, e.g. 30s", text) : 0;
	case O_CODE:
		return take_source(v, text);
	case O_JOURNAL:
		v->journal = text;
		return 0;
	case O_SEED:
		v->seed = strtoull(text, &end, 0);
		return *end ? bad("--seed '%s': a number", text) : 0;
	case O_SET:
		return take_setting(v, text);
	default:
		return take_identity(v, id, text);
	}
}

int device_verb_ready(struct device_verb *v)
{
	struct token_keys *k;
	struct err e = {0};
	int rv = 0;

	if (!v->server_text)
		return bad("--server is needed");
	if (v->pki)
		rv = read_pki(v, v->pki);
	if (rv)
		return rv;
	if (!v->cert || !v->key || !v->ca)
		return bad("--pki, or --cert, --key and --ca, are needed");
	if (!v->server_keys[0])
		return bad("--server-key is needed: tokens are verified with it, --accept-unsigned or not");
	k = token_keys_new();
	for (int i = 0; k && v->server_keys[i] && !rv; i++)
		if (token_keys_add(k, v->server_keys[i], &e))
			rv = bad("--server-key: %s", e.text);
	token_keys_free(k);
	if (!rv)
		rv = resolve(v, v->server_text);
	if (!v->server_name)
		v->server_name = v->host;
	return rv;
}

int device_verb_option(struct device_verb *v, const char *name, char *value)
{
	verb = v->verb ? v->verb : "device";
	for (size_t i = 0; options[i].name; i++)
		if (strcmp(options[i].name, name) == 0)
			return take_option(v, options[i].val, value);
	return bad("unknown option --%s", name);
}

void device_verb_fini(struct device_verb *v)
{
	free(v->cert);
	if (v->key)
		explicit_bzero(v->key, strlen(v->key));
	free(v->key);
	free(v->ca);
	for (int i = 0; i < DEVICE_VERB_KEYS; i++)
		free(v->server_keys[i]);
	explicit_bzero(v->identity.totp_secret, sizeof(v->identity.totp_secret));
}

int device_main(int argc, char **argv)
{
	struct device_verb v = {.until = -1,
				.timeout = TIME_NEVER,
				.methods = {"SMS", NULL},
				.identity = {.uuid = "ee9f2110-5843-11e9-a9ba-139bd26c8b4b",
					     .device_type = "thermometer",
					     .serial_id = "0000000001",
					     .network_type = "Mobile",
					     .network_id = "214070000000001"}};
	int c, rv = 0;

	settings_default(&v.settings);
	optind = 1;
	while (!rv && (c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h' || c == O_HELP) {
			fputs(help, stdout);
			goto out;
		}
		rv = c == '?' ? 2 : take_option(&v, c, optarg);
	}
	if (!rv && optind < argc)
		rv = bad("'%s' is not understood", argv[optind]);
	if (!rv)
		rv = device_verb_ready(&v);
	if (!rv)
		rv = device_verb_run(&v);
out:
	device_verb_fini(&v);
	return rv;
}
