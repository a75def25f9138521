/* quicrig replay: what was recorded, once more. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/verdict.h"
#include "hil/run/against.h"
#include "hil/run/lift.h"
#include "hil/run/offline.h"
#include "hil/run/replay.h"
#include "hil/options.h"
#include "hil/verbs.h"

static const char help[] =
	"usage: quicrig replay FOLDER [OPTION…]\n"
	"\n"
	"FOLDER is what 'quicrig run' printed behind 'replay:', e.g. out/latest/token/expiry.\n"
	"Without a mode the plan runs again from its seed on the virtual rig; says that the\n"
	"journals are alike, or shows the first event that differs.\n"
	"\n"
	"  --device WHO      a uuid or a label such as A[3]: tells this device's life, too;\n"
	"                    the one that a mode is about (default: the first)\n"
	"  --offline         no rig: feeds what was received to today's device state machine and\n"
	"                    shows the first transition that differs; also for live recordings\n"
	"  --lift            a failure of a live rig: makes a scenario for the virtual rig of what\n"
	"                    befell SMS, replies, links and server, runs it, and says whether it\n"
	"                    fails alike\n"
	"  -o FILE.yaml      where --lift writes it (default: lifted.yaml in FOLDER)\n"
	"\n"
	"  --against HOST:PORT    asks a live server what the recorded device asked, with fresh\n"
	"                    registrations, codes and tokens, and compares requests and replies\n"
	"  --speed N         times the recorded pace (default 1)\n"
	"  --code-from SOURCE     stdin (default), unix:PATH, fixed:CODE or none\n"
	"  --pki DIR, or --cert --key --ca --server-key FILE; --server-name, --alpn NAME;\n"
	"  --accept-unsigned; --uuid, --type, --serial, --imsi (default: as recorded);\n"
	"  --methods LIST; --set NAME=VALUE    as 'quicrig device' has them\n"
	"  --registry FILE   writes the recorded devices for 'quicrig serve --registry'\n"
	"\n"
	"Exit: 0 alike, 1 different, 2 bad input, 3 environment, 5 nothing can be said,\n"
	"130/143 interrupted.\n";

#define SPEED_MIN 0.01
#define SPEED_MAX 1000.0

enum mode { MODE_AGAIN, MODE_OFFLINE, MODE_AGAINST, MODE_LIFT };

struct choice {
	enum mode mode;
	const char *folder, *device, *file, *registry;
	struct device_verb access; /* of --against */
	bool access_said;
	double speed;
};

static int bad(const char *fmt, const char *value)
{
	return option_bad("replay", fmt, value);
}

static int set_mode(struct choice *c, enum mode mode)
{
	if (c->mode != MODE_AGAIN && c->mode != mode)
		return bad("%s", "one of --offline, --lift and --against at a time");
	c->mode = mode;
	return 0;
}

static int take_speed(struct choice *c, const char *text)
{
	char *end;

	c->speed = strtod(text, &end);
	if (end == text || *end || !(c->speed >= SPEED_MIN && c->speed <= SPEED_MAX))
		return bad("--speed is 0.01 to 1000 times the recorded pace, not '%s'", text);
	return 0;
}

/* 0 or an exit code */
static int take(struct choice *c, int opt, const char *name)
{
	switch (opt) {
	case 'd':
		c->device = optarg;
		return 0;
	case 'f':
		return set_mode(c, MODE_OFFLINE);
	case 'l':
		return set_mode(c, MODE_LIFT);
	case 'a':
		c->access.server_text = optarg;
		return set_mode(c, MODE_AGAINST);
	case 's':
		return take_speed(c, optarg);
	case 'o':
		c->file = optarg;
		return 0;
	case 'r':
		c->registry = optarg;
		return 0;
	case 'D':
		c->access_said = true;
		return device_verb_option(&c->access, name, optarg);
	default:
		fputs("'quicrig replay --help' lists the options\n", stderr);
		return EXIT_BAD_INPUT;
	}
}

/* < 0: go on */
static int read_options(int argc, char **argv, struct choice *c)
{
	static const struct option options[] = {{"device", required_argument, NULL, 'd'},
						{"offline", no_argument, NULL, 'f'},
						{"lift", no_argument, NULL, 'l'},
						{"against", required_argument, NULL, 'a'},
						{"speed", required_argument, NULL, 's'},
						{"registry", required_argument, NULL, 'r'},
						/* of quicrig device */
						{"code-from", required_argument, NULL, 'D'},
						{"pki", required_argument, NULL, 'D'},
						{"cert", required_argument, NULL, 'D'},
						{"key", required_argument, NULL, 'D'},
						{"ca", required_argument, NULL, 'D'},
						{"server-key", required_argument, NULL, 'D'},
						{"server-name", required_argument, NULL, 'D'},
						{"alpn", required_argument, NULL, 'D'},
						{"accept-unsigned", no_argument, NULL, 'D'},
						{"uuid", required_argument, NULL, 'D'},
						{"type", required_argument, NULL, 'D'},
						{"serial", required_argument, NULL, 'D'},
						{"imsi", required_argument, NULL, 'D'},
						{"methods", required_argument, NULL, 'D'},
						{"set", required_argument, NULL, 'D'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int opt, index = 0, code;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "o:h", options, &index)) != -1) {
		if (opt == 'h') {
			fputs(help, stdout);
			return EXIT_PASSED;
		}
		code = take(c, opt, options[index].name);
		if (code)
			return code;
	}
	if (optind >= argc)
		return bad("%s", "which folder? 'quicrig run' prints it behind 'replay:'");
	if (optind + 1 < argc)
		return bad("one folder at a time, not also '%s'", argv[optind + 1]);
	c->folder = argv[optind];
	if (c->file && c->mode != MODE_LIFT)
		return bad("%s", "-o goes with --lift");
	if (c->mode != MODE_AGAINST && (c->access_said || c->speed > 0))
		return bad("%s", "--speed, --code-from and what says how to reach a server go with --against");
	if (c->registry && c->mode != MODE_AGAIN)
		return bad("%s", "--registry goes alone: it writes a file for 'quicrig serve', and no more");
	if (c->mode == MODE_AGAINST)
		return (code = device_verb_ready(&c->access)) ? code : -1;
	return -1;
}

static int live_recording(const struct recording *r)
{
	fprintf(stderr,
		"quicrig replay: error: %s was recorded on the live rig '%s': its times cannot happen again. There is\n"
		"  --lift               makes a scenario for the virtual rig of what went wrong, and runs it\n"
		"  --offline            feeds what it received to today's device\n"
		"  --against HOST:PORT  asks a live server the same again\n"
		"  --device WHO         tells one device's life\n",
		r->dir, r->rig);
	return EXIT_BAD_INPUT;
}

static int go(struct choice *c, const struct recording *r, const struct replay_device *d)
{
	if (c->registry)
		return replay_registry(r, c->registry);
	if (c->mode == MODE_AGAINST)
		return replay_against(r, d, &c->access, c->speed > 0 ? c->speed : 1);
	if (c->mode == MODE_LIFT)
		return replay_lift(r, c->file);
	if (c->mode == MODE_OFFLINE)
		return replay_offline(r, c->device ? d : NULL);
	if (c->device)
		replay_story(r, d);
	if (r->virtual_time)
		return replay_again(r);
	return c->device ? EXIT_PASSED : live_recording(r);
}

static int exit_of(const struct err *e)
{
	return e->code == ERR_NOMEM ? EXIT_INTERNAL : EXIT_BAD_INPUT;
}

int replay_main(int argc, char **argv)
{
	struct choice c = {.access = {.verb = "replay", .server_option = "against", .until = -1, .timeout = TIME_NEVER}};
	struct recording r;
	struct replay_device d = {0};
	struct err e = {0};
	char text[800];
	int code;

	settings_default(&c.access.settings);
	code = read_options(argc, argv, &c);
	if (code >= 0) {
		device_verb_fini(&c.access);
		return code;
	}
	if (recording_open(c.folder, &r, &e) ||
	    ((c.device || c.mode != MODE_AGAIN) && replay_find_device(&r, c.device, &d, &e))) {
		fprintf(stderr, "quicrig replay: error: %s\n", err_format(&e, text, sizeof(text)));
		code = exit_of(&e);
	} else {
		code = go(&c, &r, &d);
	}
	recording_fini(&r);
	device_verb_fini(&c.access);
	return code;
}
