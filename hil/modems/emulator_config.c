#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hil/modems/emulator.h"
#include "hil/modems/emulator_int.h"

#define COUNT_DEFAULT 2
#define DIGITS_MIN    3
#define DIGITS_MAX    15 /* E.164 */

static const char usage[] =
	"usage: quicrig modems emulate [--modems FILE | --count N] [OPTION…]\n"
	"\n"
	"Emulated GSM modems on pseudo-terminals, and the carrier between them.\n"
	"\n"
	"  --modems FILE        JSON: {\"version\": 1, \"seed\": N, \"carrier\": \"immediate\" or "
	"\"typical\",\n"
	"                       \"modems\": [{\"name\": \"s1\", \"number\": \"+34600000001\", \"imei\": …, "
	"\"imsi\": …,\n"
	"                       \"personality\": …, \"pin\": …, \"storage\": N, \"quiet_ms\": N}, …]}\n"
	"  --count N            N modems m1, m2, … instead of a file (default 2)\n"
	"  --carrier PROFILE    immediate (default) or typical\n"
	"  --personality NAME   every modem's: generic, huawei, simcom, quectel, zte\n"
	"  --seed N             of the carrier's delays and losses (default 1)\n"
	"  --control unix:PATH  a socket that takes faults, unplug, plug, mute, sms, stats, quit\n"
	"  --link-dir DIR       keeps a link DIR/NAME to each modem's terminal\n"
	"  --journal-fd N       writes its journal there\n"
	"  --run-key-fd N       reads 32 bytes there, the key of the journal's fingerprints\n";

static bool number_fits(const char *s)
{
	size_t n = 0;

	s += *s == '+';
	while (isdigit((unsigned char)s[n]))
		n++;
	return !s[n] && n >= DIGITS_MIN && n <= DIGITS_MAX;
}

static bool name_fits(const char *s, size_t size)
{
	size_t n = 0;

	while (isalnum((unsigned char)s[n]) || s[n] == '-' || s[n] == '_')
		n++;
	return n && !s[n] && n < size;
}

static bool imei_fits(const char *s)
{
	return strlen(s) == 15 && strspn(s, "0123456789") == 15;
}

/* A type allocation code of test devices, the index, and the check digit (23.003 B). */
static void make_imei(unsigned index, char out[16])
{
	unsigned sum = 0;

	snprintf(out, 16, "00101700%06u", index % 1000000);
	for (unsigned i = 0; i < 14; i++) {
		unsigned d = (unsigned)(out[i] - '0') * (i % 2 ? 2 : 1);

		sum += d / 10 + d % 10;
	}
	out[14] = (char)('0' + (10 - sum % 10) % 10);
	out[15] = '\0';
}

static int read_carrier(struct emulator_config *config, const char *name, const char *source, struct err *e)
{
	if (strcmp(name, "immediate") == 0)
		config->profile = GSM_IMMEDIATE;
	else if (strcmp(name, "typical") == 0)
		config->profile = GSM_TYPICAL;
	else
		return err_set_at(e, ERR_PARSE, source, 0, 0,
				  "no carrier profile is called '%s': immediate or typical", name);
	return 0;
}

static int read_modem(struct emulator_config *config, json_t *json, const char *source, struct err *e)
{
	struct emulator_spec *s = &config->modems[config->count];
	const char *name, *number, *imei = NULL, *personality = "generic";
	int storage = config->profile == GSM_TYPICAL ? MODEM_STORAGE_TYPICAL : MODEM_STORAGE_DEFAULT;
	int quiet_ms = (int)(MODEM_QUIET_DEFAULT / NS_PER_MS);
	json_error_t je;
	unsigned n = config->count + 1;

	memset(s, 0, sizeof(*s));
	if (json_is_null(json_object_get(json, "pin"))) /* says the same as no pin */
		json_object_del(json, "pin");
	if (json_unpack_ex(json, &je, JSON_STRICT, "{s:s, s:s, s?s, s?s, s?s, s?s, s?i, s?i}", "name", &name,
			   "number", &number, "imei", &imei, "imsi", &s->imsi, "personality", &personality,
			   "pin", &s->pin, "storage", &storage, "quiet_ms", &quiet_ms))
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem %u: %s", n, je.text);
	if (!name_fits(name, sizeof(s->name)))
		return err_set_at(e, ERR_PARSE, source, 0, 0,
				  "modem %u: a name has letters, digits, '-', '_', at most 31", n);
	if (!number_fits(number))
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem '%s': '%s' is no telephone number", name,
				  number);
	if (imei && !imei_fits(imei))
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem '%s': an IMEI has 15 digits", name);
	if (s->imsi && !imei_fits(s->imsi))
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem '%s': an IMSI has 15 digits", name);
	if (storage < 1 || storage > MODEM_STORAGE_MAX)
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem '%s': storage is 1…%d", name,
				  MODEM_STORAGE_MAX);
	if (quiet_ms < 0 || quiet_ms > 1000)
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem '%s': quiet_ms is 0…1000", name);
	s->personality = modem_personality_find(personality);
	if (!s->personality)
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modem '%s': no personality is called '%s'",
				  name, personality);
	strcpy(s->name, name);
	strcpy(s->number, number);
	make_imei(n, s->imei);
	if (imei)
		strcpy(s->imei, imei);
	s->storage = (unsigned)storage;
	s->quiet_ns = (time_ns)quiet_ms * NS_PER_MS;
	for (unsigned i = 0; i < config->count; i++) {
		if (strcmp(config->modems[i].name, name) == 0)
			return err_set_at(e, ERR_PARSE, source, 0, 0, "two modems are called '%s'", name);
		if (strcmp(config->modems[i].number, number) == 0)
			return err_set_at(e, ERR_PARSE, source, 0, 0, "two modems have the number %s",
					  number);
		if (strcmp(config->modems[i].imei, s->imei) == 0)
			return err_set_at(e, ERR_PARSE, source, 0, 0, "two modems have the IMEI %s", s->imei);
	}
	config->count++;
	return 0;
}

int emulator_read_modems(struct emulator_config *config, json_t *json, const char *source, struct err *e)
{
	const char *carrier = NULL;
	json_t *modems, *one;
	json_int_t seed = (json_int_t)config->seed;
	json_error_t je;
	int version, rv;
	size_t i;

	if (json_unpack_ex(json, &je, JSON_STRICT, "{s:i, s?I, s?s, s:o}", "version", &version, "seed", &seed,
			   "carrier", &carrier, "modems", &modems))
		return err_set_at(e, ERR_PARSE, source, 0, 0, "%s", je.text);
	if (version != 1)
		return err_set_at(e, ERR_PARSE, source, 0, 0, "version %d is not known; this is version 1",
				  version);
	config->seed = (uint64_t)seed;
	rv = carrier ? read_carrier(config, carrier, source, e) : 0;
	if (rv)
		return rv;
	if (!json_is_array(modems) || !json_array_size(modems) ||
	    json_array_size(modems) > EMULATOR_MODEMS_MAX)
		return err_set_at(e, ERR_PARSE, source, 0, 0, "modems is a list of 1…%d",
				  EMULATOR_MODEMS_MAX);
	json_array_foreach(modems, i, one)
	{
		rv = read_modem(config, one, source, e);
		if (rv)
			return rv;
	}
	return 0;
}

int emulator_count_modems(struct emulator_config *config, unsigned count, struct err *e)
{
	char name[16], number[20];
	int rv = 0;

	for (unsigned i = 1; i <= count && rv == 0; i++) {
		json_t *one;

		snprintf(name, sizeof(name), "m%u", i);
		snprintf(number, sizeof(number), "+34600%06u", i);
		one = json_pack("{s:s, s:s}", "name", name, "number", number);
		rv = one ? read_modem(config, one, "", e) : err_set(e, ERR_NOMEM, "out of memory");
		json_decref(one);
	}
	return rv;
}

static int read_key(struct emulator_config *config, int fd, struct err *e)
{
	size_t have = 0;

	while (have < sizeof(config->run_key)) {
		ssize_t n = read(fd, config->run_key + have, sizeof(config->run_key) - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(e, ERR_ENVIRONMENT,
				       "--run-key-fd: 32 bytes were expected on descriptor %d", fd);
		have += (size_t)n;
	}
	close(fd);
	config->keyed = true;
	return 0;
}

static int read_number(const char *text, const char *option, long long max, long long *out, struct err *e)
{
	char *end;

	errno = 0;
	*out = strtoll(text, &end, 0);
	if (errno || end == text || *end || *out < 0 || *out > max)
		return err_set(e, ERR_PARSE, "--%s: '%s' is no number in 0…%lld", option, text, max);
	return 0;
}

static int read_file(struct emulator_config *config, const char *path, struct err *e)
{
	json_error_t je;

	config->json = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (!config->json)
		return err_set_at(e, ERR_PARSE, path, je.line > 0 ? je.line : 0, je.line > 0 ? je.column : 0,
				  "%s", je.text);
	return emulator_read_modems(config, config->json, path, e);
}

struct options {
	const char *file, *personality, *carrier;
	long long count;
};

static int read_option(struct emulator_config *config, struct options *o, int c, struct err *e)
{
	long long v = 0;
	int rv = 0;

	switch (c) {
	case 'm':
		o->file = optarg;
		break;
	case 'n':
		rv = read_number(optarg, "count", EMULATOR_MODEMS_MAX, &o->count, e);
		if (rv == 0 && !o->count)
			rv = err_set(e, ERR_PARSE, "--count: at least 1");
		break;
	case 'c':
		o->carrier = optarg;
		break;
	case 'p':
		o->personality = optarg;
		break;
	case 's':
		rv = read_number(optarg, "seed", INT64_MAX, &v, e);
		config->seed = (uint64_t)v;
		break;
	case 'C':
		if (strncmp(optarg, "unix:", 5) != 0)
			return err_set(e, ERR_PARSE, "--control: 'unix:PATH' was expected, not '%s'", optarg);
		config->control = optarg + 5;
		break;
	case 'l':
		config->link_dir = optarg;
		break;
	case 'j':
		rv = read_number(optarg, "journal-fd", 65535, &v, e);
		config->journal_fd = (int)v;
		if (rv == 0 && fcntl(config->journal_fd, F_GETFD) < 0)
			rv = err_set(e, ERR_PARSE, "--journal-fd: descriptor %lld is not open", v);
		break;
	case 'k':
		rv = read_number(optarg, "run-key-fd", 65535, &v, e);
		if (rv == 0)
			rv = read_key(config, (int)v, e);
		break;
	default:
		return err_set(e, ERR_PARSE, "'--help' tells what there is");
	}
	return rv;
}

int emulator_configure(struct emulator_config *config, int argc, char **argv, struct err *e)
{
	static const struct option known[] = {
		{"modems", required_argument, NULL, 'm'},
		{"count", required_argument, NULL, 'n'},
		{"carrier", required_argument, NULL, 'c'},
		{"personality", required_argument, NULL, 'p'},
		{"seed", required_argument, NULL, 's'},
		{"control", required_argument, NULL, 'C'},
		{"link-dir", required_argument, NULL, 'l'},
		{"journal-fd", required_argument, NULL, 'j'},
		{"run-key-fd", required_argument, NULL, 'k'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options o = {.count = 0};
	int c, rv = 0;

	memset(config, 0, sizeof(*config));
	config->journal_fd = -1;
	config->seed = 1;
	optind = 0; /* another verb may have used it */
	while (rv == 0 && (c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			return 1;
		}
		rv = read_option(config, &o, c, e);
	}
	if (rv == 0 && optind < argc)
		rv = err_set(e, ERR_PARSE, "unexpected argument '%s'", argv[optind]);
	if (rv == 0 && o.file && o.count)
		rv = err_set(e, ERR_PARSE, "--modems and --count exclude each other");
	if (rv == 0 && o.carrier)
		rv = read_carrier(config, o.carrier, "", e);
	if (rv == 0)
		rv = o.file ? read_file(config, o.file, e)
			    : emulator_count_modems(config, o.count ? (unsigned)o.count : COUNT_DEFAULT, e);
	if (rv == 0 && o.carrier) /* the command line wins over the file */
		rv = read_carrier(config, o.carrier, "", e);
	if (rv == 0 && o.personality) {
		const struct modem_personality *p = modem_personality_find(o.personality);

		if (!p)
			return err_set(e, ERR_PARSE, "no personality is called '%s'", o.personality);
		for (unsigned i = 0; i < config->count; i++)
			config->modems[i].personality = p;
	}
	return rv;
}

void emulator_config_fini(struct emulator_config *config)
{
	json_decref(config->json);
	explicit_bzero(config->run_key, sizeof(config->run_key));
}
