#include "server/serve_internal.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: quicrig serve --registry FILE --db FILE --pki DIR --sms WHERE [options]\n"
	"\n"
	"  --listen ADDR:PORT   default 0.0.0.0:20190; port 0 takes any\n"
	"  --registry FILE      who may bootstrap (JSON); SIGHUP reads it again\n"
	"  --db FILE            SQLite; made where it is missing\n"
	"  --pki DIR            keys and certificates as quicrig pki makes them; or, or on top:\n"
	"  --cert --key --client-ca --token-key --reset-key --store-key FILE\n"
	"  --sms unix:PATH      the SMS gateway's socket\n"
	"  --sms file:PATH      texts go to a file (only with --lab)\n"
	"  --control unix:PATH  where operators and the lab talk to it\n"
	"  --set NAME=VALUE     a setting; quicrig list --settings names them\n"
	"  --alpn NAME          default iot-bootstrap/1\n"
	"  --journal-fd N       events as JSON lines; the first is ready{port}\n"
	"  --run-key-fd N       32 bytes that fingerprints in the journal are made with\n"
	"  --lab                faults, forced answers, a bent clock: never in production\n"
	"  --script FILE        answers that are none of its own (docs/guide.md); needs --lab\n"
	"  --seed N             for faults with a chance\n"
	"  --clock-offset MS    with --lab: the wall clock stands that much aside\n";

enum { OPT_LISTEN = 256, OPT_REGISTRY, OPT_DB, OPT_PKI, OPT_CERT, OPT_KEY, OPT_CLIENT_CA, OPT_TOKEN_KEY,
       OPT_RESET_KEY, OPT_STORE_KEY, OPT_SMS, OPT_CONTROL, OPT_SET, OPT_ALPN, OPT_JOURNAL_FD, OPT_RUN_KEY_FD,
       OPT_LAB, OPT_SCRIPT, OPT_SEED, OPT_CLOCK_OFFSET };

static const struct option options[] = {
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"registry", required_argument, NULL, OPT_REGISTRY},
	{"db", required_argument, NULL, OPT_DB},
	{"pki", required_argument, NULL, OPT_PKI},
	{"cert", required_argument, NULL, OPT_CERT},
	{"key", required_argument, NULL, OPT_KEY},
	{"client-ca", required_argument, NULL, OPT_CLIENT_CA},
	{"token-key", required_argument, NULL, OPT_TOKEN_KEY},
	{"reset-key", required_argument, NULL, OPT_RESET_KEY},
	{"store-key", required_argument, NULL, OPT_STORE_KEY},
	{"sms", required_argument, NULL, OPT_SMS},
	{"control", required_argument, NULL, OPT_CONTROL},
	{"set", required_argument, NULL, OPT_SET},
	{"alpn", required_argument, NULL, OPT_ALPN},
	{"journal-fd", required_argument, NULL, OPT_JOURNAL_FD},
	{"run-key-fd", required_argument, NULL, OPT_RUN_KEY_FD},
	{"lab", no_argument, NULL, OPT_LAB},
	{"script", required_argument, NULL, OPT_SCRIPT},
	{"seed", required_argument, NULL, OPT_SEED},
	{"clock-offset", required_argument, NULL, OPT_CLOCK_OFFSET},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static const char **text_option(struct serve_options *o, int c)
{
	switch (c) {
	case OPT_LISTEN:
		return &o->listen;
	case OPT_REGISTRY:
		return &o->registry;
	case OPT_DB:
		return &o->db;
	case OPT_PKI:
		return &o->pki_dir;
	case OPT_CERT:
		return &o->cert;
	case OPT_KEY:
		return &o->key;
	case OPT_CLIENT_CA:
		return &o->client_ca;
	case OPT_TOKEN_KEY:
		return &o->token_key;
	case OPT_RESET_KEY:
		return &o->reset_key;
	case OPT_STORE_KEY:
		return &o->store_key;
	case OPT_SMS:
		return &o->sms;
	case OPT_CONTROL:
		return &o->control;
	case OPT_ALPN:
		return &o->alpn;
	case OPT_SCRIPT:
		return &o->script;
	default:
		return NULL;
	}
}

static int bad(const char *text, const char *what)
{
	fprintf(stderr, "quicrig serve: error: ");
	fprintf(stderr, text, what);
	fputc('\n', stderr);
	return SERVE_EXIT_INPUT + 1;
}

static bool read_number(const char *text, uint64_t max, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	return *text >= '0' && *text <= '9' && !*end && !errno && *out <= max;
}

static bool read_offset(const char *text, int64_t *out)
{
	bool behind = *text == '-';
	uint64_t n;

	if (!read_number(text + behind, INT64_MAX, &n))
		return false;
	*out = behind ? -(int64_t)n : (int64_t)n;
	return true;
}

static int read_set(struct serve_options *o, const char *assignment)
{
	struct err e = {0};
	char name[64];
	int k;

	if (settings_set(&o->settings, assignment, &e))
		return bad("--set: %s", e.text);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(assignment, "="), assignment);
	k = setting_by_name(name);
	if (k >= 0 && setting_side((enum setting)k) != SETTING_SIDE_SERVER)
		return bad("--set: %s is a device's setting, not the server's", name);
	return 0;
}

static int read_one(struct serve_options *o, int c)
{
	const char **text = text_option(o, c);
	uint64_t n;

	if (text) {
		*text = optarg;
		return 0;
	}
	switch (c) {
	case OPT_SET:
		return read_set(o, optarg);
	case OPT_LAB:
		o->lab = true;
		return 0;
	case OPT_JOURNAL_FD:
	case OPT_RUN_KEY_FD:
		if (!read_number(optarg, 65535, &n))
			return bad("'%s' is not a descriptor's number", optarg);
		*(c == OPT_JOURNAL_FD ? &o->journal_fd : &o->run_key_fd) = (int)n;
		return 0;
	case OPT_SEED:
		return read_number(optarg, UINT64_MAX, &o->seed) ? 0 : bad("'%s' is not a seed", optarg);
	case OPT_CLOCK_OFFSET:
		return read_offset(optarg, &o->clock_offset_ms) ? 0 : bad("--clock-offset '%s': wanted are milliseconds", optarg);
	case 'h':
		fputs(help, stdout);
		return 1;
	default:
		return SERVE_EXIT_INPUT + 1; /* getopt has spoken */
	}
}

static int check(const struct serve_options *o)
{
	bool files = o->cert && o->key && o->client_ca && o->token_key && o->reset_key && o->store_key;

	if (!o->registry)
		return bad("%s is missing: who may bootstrap?", "--registry FILE");
	if (!o->db)
		return bad("%s is missing: where is the state to be kept?", "--db FILE");
	if (!o->pki_dir && !files)
		return bad("%s is missing (or all of --cert --key --client-ca --token-key --reset-key --store-key)",
			   "--pki DIR");
	if (!o->sms)
		return bad("%s is missing: who sends the codes?", "--sms unix:PATH");
	if (strncmp(o->sms, "unix:", 5) != 0 && strncmp(o->sms, "file:", 5) != 0)
		return bad("--sms wants unix:PATH or file:PATH, not '%s'", o->sms);
	if (strncmp(o->sms, "file:", 5) == 0 && !o->lab)
		return bad("--sms %s writes codes in the clear; it needs --lab", o->sms);
	if (o->script && !o->lab)
		return bad("--script %s has it say what it did not decide; it needs --lab", o->script);
	if (o->clock_offset_ms && !o->lab)
		return bad("%s bends the clock; it needs --lab", "--clock-offset");
	if (o->control && strncmp(o->control, "unix:", 5) != 0)
		return bad("--control wants unix:PATH, not '%s'", o->control);
	return 0;
}

int serve_options_read(struct serve_options *o, int argc, char **argv)
{
	int c, rv;

	memset(o, 0, sizeof(*o));
	o->listen = "0.0.0.0:20190";
	o->journal_fd = o->run_key_fd = -1;
	settings_default(&o->settings);
	optind = 0; /* another reader may have been here */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		rv = read_one(o, c);
		if (rv)
			return rv;
	}
	if (optind < argc)
		return bad("what is '%s'?", argv[optind]);
	return check(o);
}
