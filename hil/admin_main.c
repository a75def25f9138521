/* quicrig admin: what an operator does with a running server, over its control socket
 * (docs/control.md). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/pki.h"
#include "core/registry.h"
#include "hil/admin.h"
#include "hil/options.h"
#include "hil/verbs.h"

#define KEY_FILE_MAX 16384
#define S_PER_DAY    86400

static const char usage[] =
	"usage: quicrig admin --control unix:PATH [--json] WHAT …\n"
	"\n"
	"  devices list                    who is on record, and how they stand\n"
	"  devices show UUID\n"
	"  devices disable UUID            refused until enabled; keeps what it has\n"
	"  devices enable UUID\n"
	"  devices decommission UUID       tokens and codes are void, commands dropped\n"
	"  devices readmit UUID            in service again; it bootstraps anew\n"
	"  devices lift UUID               ends its quarantine\n"
	"  commands list [UUID]            what waits to be done\n"
	"  commands queue UUID NAME [KEY=VALUE…]\n"
	"                                  PAUSE seconds=N, CONFIG publishInterval=N, KEYS, RESET, IDLE\n"
	"  commands cancel UUID [ID]       that one, or all of the device's\n"
	"  keys list                       token keys, and devices that know none of them\n"
	"  keys rotate                     a new token key; the others go after key_overlap\n"
	"  keys retire KID                 that one now; 'others': all but the newest\n"
	"  ledger [UUID]                   SMS by device and day\n"
	"  clock                           the wall clock against the last issue on record\n"
	"  clock accept                    the clock is right as it is: issue again\n"
	"  stats                           counters since the server's start\n"
	"  reload                          read the registry again\n"
	"\n"
	"  --control unix:PATH   the server's control socket (or QUICRIG_CONTROL)\n"
	"  --json                the answer as JSON, whole lists at once\n"
	"  --key FILE            of keys rotate: this private key (PEM, RSA 2048 bits, 0600) instead of a fresh one\n"
	"  --days N              of ledger: so many days back\n"
	"\n"
	"Exit: 0 done, 1 the server refuses, 2 bad input, 3 the server cannot be reached.\n";

struct options {
	const char *control, *key, *days;
	struct admin a;
};

static int bad(const char *fmt, const char *value)
{
	return option_bad("admin", fmt, value);
}

/* Prints the answer where JSON is wanted, else hands it to `show`; takes it. */
static int answer(struct options *o, json_t *got, const int *code, void (*show)(json_t *))
{
	if (!got)
		return *code;
	if (o->a.json) {
		json_dumpf(got, stdout, JSON_INDENT(1) | JSON_SORT_KEYS);
		putchar('\n');
	} else {
		show(got);
	}
	json_decref(got);
	return 0;
}

/* ---- devices ---- */

static void show_devices(json_t *got)
{
	static const char *const heads[] = {"device", "type", "tokens", "disabled", "quarantined"};
	json_t *rows = json_array(), *d;
	size_t i;

	json_array_foreach(json_object_get(got, "devices"), i, d)
		json_array_append_new(rows, json_pack("[O, O, o, o, o]", json_object_get(d, "uuid"), json_object_get(d, "deviceType"),
						      admin_yes(json_is_true(json_object_get(d, "family"))),
						      admin_yes(json_is_true(json_object_get(d, "disabled"))),
						      admin_yes(json_is_true(json_object_get(d, "quarantined")))));
	admin_table(heads, 5, rows, "no device is on record");
}

/* "…At" and "…Until" are Unix seconds, "…Ms" Unix milliseconds. */
static void show_pair(const char *key, json_t *v)
{
	size_t n = strlen(key);
	bool seconds = (n > 2 && strcmp(key + n - 2, "At") == 0) || (n > 5 && strcmp(key + n - 5, "Until") == 0);
	bool ms = n > 2 && strcmp(key + n - 2, "Ms") == 0;
	json_t *when = seconds || ms ? admin_when(json_integer_value(v) * (seconds ? 1000 : 1)) : NULL;
	char *text = when || json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);

	printf("%-16s %s\n", key,
	       when	      ? json_string_value(when)
	       : json_is_true(v)  ? "yes"
	       : json_is_false(v) ? "no"
	       : text		  ? text
				  : json_string_value(v));
	free(text);
	json_decref(when);
}

static void show_object(json_t *got)
{
	const char *key;
	json_t *v;

	json_object_foreach(got, key, v)
		show_pair(key, v);
}

static void show_done(json_t *got)
{
	if (json_object_size(got))
		show_object(got);
	else
		puts("done");
}

static int with_uuid(struct options *o, const char *verb, const char *uuid, void (*show)(json_t *))
{
	int code = 0;

	if (!uuid_valid(uuid))
		return bad("'%s' is no uuid (8-4-4-4-12 lower-case hex digits)", uuid);
	return answer(o, admin_ask(&o->a, json_pack("{s:s, s:s}", "do", verb, "uuid", uuid), &code), &code, show);
}

static int devices(struct options *o, int argc, char **argv)
{
	static const char *const verbs[] = {"disable", "enable", "decommission", "readmit", "lift"};
	const char *what = argc ? argv[0] : "";
	int code = 0;

	if (strcmp(what, "list") == 0 && argc == 1)
		return answer(o, admin_pages(&o->a, json_pack("{s:s}", "do", "list"), "devices", &code), &code, show_devices);
	if (strcmp(what, "show") == 0 && argc == 2)
		return with_uuid(o, "show", argv[1], show_object);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(what, verbs[i]) == 0 && argc == 2)
			return with_uuid(o, verbs[i], argv[1], show_done);
	return bad("devices: wanted is list, or show, disable, enable, decommission, readmit or lift with a UUID%s", "");
}

/* ---- commands ---- */

static void show_commands(json_t *got)
{
	static const char *const heads[] = {"device", "id", "queued (UTC)", "sent (UTC)", "command"};
	json_t *rows = json_array(), *c;
	size_t i;

	json_array_foreach(json_object_get(got, "commands"), i, c) {
		char *text = json_dumps(json_object_get(c, "command"), JSON_COMPACT | JSON_SORT_KEYS);

		json_array_append_new(rows, json_pack("[O, O, o, o, s]", json_object_get(c, "uuid"), json_object_get(c, "id"),
						      admin_when(json_integer_value(json_object_get(c, "queuedMs"))),
						      admin_when(json_integer_value(json_object_get(c, "sentMs"))), text));
		free(text);
	}
	admin_table(heads, 5, rows, "no command waits");
}

static int queue(struct options *o, int argc, char **argv)
{
	json_t *command = json_pack("{s:s}", "name", argv[2]);
	int code = 0;

	if (!uuid_valid(argv[1])) {
		json_decref(command);
		return bad("'%s' is no uuid (8-4-4-4-12 lower-case hex digits)", argv[1]);
	}
	for (int i = 3; i < argc; i++) {
		char *is = strchr(argv[i], '=');
		uint64_t n;

		if (!is || is == argv[i] || option_number(is + 1, 0, 1000000000, &n)) {
			json_decref(command);
			return bad("'%s': an argument is KEY=NUMBER, as in seconds=60", argv[i]);
		}
		*is = '\0';
		json_object_set_new(command, argv[i], json_integer((json_int_t)n));
	}
	return answer(o,
		      admin_ask(&o->a, json_pack("{s:s, s:s, s:o}", "do", "command", "uuid", argv[1], "command", command),
				&code),
		      &code, show_object);
}

static int commands(struct options *o, int argc, char **argv)
{
	const char *what = argc ? argv[0] : "";
	json_t *request;
	int code = 0;

	if (strcmp(what, "queue") == 0 && argc >= 3)
		return queue(o, argc, argv);
	if ((strcmp(what, "list") == 0 && argc <= 2) || (strcmp(what, "cancel") == 0 && (argc == 2 || argc == 3))) {
		if (argc > 1 && !uuid_valid(argv[1]))
			return bad("'%s' is no uuid (8-4-4-4-12 lower-case hex digits)", argv[1]);
		request = json_pack("{s:s, s:s*, s:s*}", "do", strcmp(what, "list") == 0 ? "commands" : "cancel", "uuid",
				    argc > 1 ? argv[1] : NULL, "id", argc > 2 ? argv[2] : NULL);
		if (strcmp(what, "cancel") == 0)
			return answer(o, admin_ask(&o->a, request, &code), &code, show_object);
		return answer(o, admin_pages(&o->a, request, "commands", &code), &code, show_commands);
	}
	return bad("commands: wanted is list [UUID], queue UUID NAME [KEY=VALUE…] or cancel UUID [ID]%s", "");
}

/* ---- keys ---- */

static void show_keys(json_t *got)
{
	static const char *const heads[] = {"kid", "added (UTC)", "retires (UTC)", "newest"}, *const lost[] = {"must be reconfigured"};
	json_t *rows = json_array(), *k;
	size_t i;

	json_array_foreach(json_object_get(got, "keys"), i, k)
		json_array_append_new(rows, json_pack("[O, o, o, o]", json_object_get(k, "kid"),
						      admin_when(json_integer_value(json_object_get(k, "addedMs"))),
						      admin_when(json_integer_value(json_object_get(k, "retiresMs"))),
						      admin_yes(json_is_true(json_object_get(k, "newest")))));
	admin_table(heads, 4, rows, "no key");
	rows = json_array();
	json_array_foreach(json_object_get(got, "reconfigure"), i, k)
		json_array_append_new(rows, json_pack("[O]", k));
	admin_table(lost, 1, rows, "every device that asked knows one of them");
}

/* The file's text, which nobody else may read; the caller frees. NULL: told. */
static char *read_key(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = f ? calloc(1, KEY_FILE_MAX) : NULL;
	struct stat st;

	if (!text) {
		bad("--key %s: cannot be read", path);
	} else if (fstat(fileno(f), &st) || (st.st_mode & 077)) {
		bad("--key %s: others may read it; chmod 600 it", path);
		free(text);
		text = NULL;
	} else if (!fread(text, 1, KEY_FILE_MAX - 1, f)) {
		bad("--key %s: nothing in it", path);
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

static int rotate(struct options *o)
{
	char *key = NULL, *public = NULL;
	struct err e = {0};
	int code = 0, rv;

	if (o->key) {
		key = read_key(o->key);
		if (!key)
			return 2;
	} else if (pki_token_key(&key, &public, &e)) {
		fprintf(stderr, "quicrig admin: error: %s\n", e.text);
		return 70;
	}
	rv = answer(o, admin_ask(&o->a, json_pack("{s:s, s:s}", "do", "rotate-key", "key", key), &code), &code, show_object);
	explicit_bzero(key, strlen(key));
	free(key);
	free(public);
	return rv;
}

static int keys(struct options *o, int argc, char **argv)
{
	const char *what = argc ? argv[0] : "";
	int code = 0;

	if (strcmp(what, "list") == 0 && argc == 1)
		return answer(o, admin_ask(&o->a, json_pack("{s:s}", "do", "keys"), &code), &code, show_keys);
	if (strcmp(what, "rotate") == 0 && argc == 1)
		return rotate(o);
	if (strcmp(what, "retire") == 0 && argc == 2)
		return answer(o, admin_ask(&o->a, json_pack("{s:s, s:s}", "do", "retire-key", "kid", argv[1]), &code), &code,
			      show_done);
	return bad("keys: wanted is list, rotate [--key FILE] or retire KID%s", "");
}

/* ---- ledger, clock, stats ---- */

static json_t *number(json_int_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, n);
	return json_string(text);
}

static void show_ledger(json_t *got)
{
	static const char *const heads[] = {"day (UTC)", "device", "handed over", "returned"};
	json_t *rows = json_array(), *l;
	json_int_t handed = 0, returned = 0;
	size_t i;

	json_array_foreach(json_object_get(got, "ledger"), i, l) {
		json_t *day = admin_when(json_integer_value(json_object_get(l, "day")) * S_PER_DAY * 1000);

		handed += json_integer_value(json_object_get(l, "handed"));
		returned += json_integer_value(json_object_get(l, "returned"));
		json_array_append_new(rows, json_pack("[o, O, o, o]", json_stringn(json_string_value(day), 10),
						      json_object_get(l, "uuid"),
						      number(json_integer_value(json_object_get(l, "handed"))),
						      number(json_integer_value(json_object_get(l, "returned")))));
		json_decref(day);
	}
	if (i)
		json_array_append_new(rows, json_pack("[s, s, o, o]", "all", "", number(handed), number(returned)));
	admin_table(heads, 4, rows, "no SMS");
}

static int ledger(struct options *o, int argc, char **argv)
{
	uint64_t days = 0;
	json_t *request;
	int code = 0;

	if (argc > 1)
		return bad("ledger: wanted is nothing more, or a UUID%s", "");
	if (argc && !uuid_valid(argv[0]))
		return bad("'%s' is no uuid (8-4-4-4-12 lower-case hex digits)", argv[0]);
	if (o->days && option_number(o->days, 1, 400, &days))
		return bad("--days is 1…400, not '%s'", o->days);
	request = json_pack("{s:s, s:s*}", "do", "ledger", "uuid", argc ? argv[0] : NULL);
	if (days)
		json_object_set_new(request, "days", json_integer((json_int_t)days));
	return answer(o, admin_pages(&o->a, request, "ledger", &code), &code, show_ledger);
}

static int clock_of(struct options *o, int argc, char **argv)
{
	bool accept = argc == 1 && strcmp(argv[0], "accept") == 0;
	int code = 0;

	if (argc && !accept)
		return bad("clock: wanted is nothing more, or 'accept'%s", "");
	return answer(o, admin_ask(&o->a, json_pack("{s:s}", "do", accept ? "clock-accept" : "clock"), &code), &code,
		      accept ? show_done : show_object);
}

static int plain(struct options *o, int argc, const char *what)
{
	int code = 0;

	if (argc)
		return bad("%s takes nothing more", what);
	return answer(o, admin_ask(&o->a, json_pack("{s:s}", "do", what), &code), &code,
		      strcmp(what, "stats") == 0 ? show_object : show_done);
}

/* ---- the verb ---- */

static int dispatch(struct options *o, int argc, char **argv)
{
	const char *what = argv[0];

	if (o->key && (strcmp(what, "keys") != 0 || argc < 2 || strcmp(argv[1], "rotate") != 0))
		return bad("--key goes with keys rotate%s", "");
	if (o->days && strcmp(what, "ledger") != 0)
		return bad("--days goes with ledger%s", "");
	if (strcmp(what, "devices") == 0)
		return devices(o, argc - 1, argv + 1);
	if (strcmp(what, "commands") == 0)
		return commands(o, argc - 1, argv + 1);
	if (strcmp(what, "keys") == 0)
		return keys(o, argc - 1, argv + 1);
	if (strcmp(what, "ledger") == 0)
		return ledger(o, argc - 1, argv + 1);
	if (strcmp(what, "clock") == 0)
		return clock_of(o, argc - 1, argv + 1);
	if (strcmp(what, "stats") == 0 || strcmp(what, "reload") == 0)
		return plain(o, argc - 1, what);
	return bad("there is no '%s' (there are devices, commands, keys, ledger, clock, stats, reload)", what);
}

int admin_main(int argc, char **argv)
{
	static const struct option options[] = {{"control", required_argument, NULL, 'c'}, {"json", no_argument, NULL, 'j'},
						{"key", required_argument, NULL, 'k'},	   {"days", required_argument, NULL, 'd'},
						{"help", no_argument, NULL, 'h'},	   {NULL, 0, NULL, 0}};
	struct options o = {.control = getenv("QUICRIG_CONTROL"), .a = {.fd = -1}};
	int c, rv;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o.control = optarg;
			break;
		case 'j':
			o.a.json = true;
			break;
		case 'k':
			o.key = optarg;
			break;
		case 'd':
			o.days = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (optind == argc)
		return bad("what is to be done? See quicrig admin --help%s", "");
	if (!o.control)
		return bad("--control unix:PATH is missing: which server?%s", "");
	if (strncmp(o.control, "unix:", 5) != 0)
		return bad("--control wants unix:PATH, not '%s'", o.control);
	o.a.path = o.control + 5;
	rv = dispatch(&o, argc - optind, argv + optind);
	if (o.a.fd >= 0)
		close(o.a.fd);
	return rv;
}
