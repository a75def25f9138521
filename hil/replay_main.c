/* quicrig replay: what was recorded, once more. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "hil/judge/verdict.h"
#include "hil/run/lift.h"
#include "hil/run/offline.h"
#include "hil/run/replay.h"
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
	"Exit: 0 alike, 1 different, 2 bad input, 3 environment, 5 nothing can be said.\n";

enum mode { MODE_AGAIN, MODE_OFFLINE, MODE_AGAINST, MODE_LIFT };

struct choice {
	enum mode mode;
	const char *folder, *device, *file;
};

static int bad(const char *fmt, const char *value)
{
	fputs("quicrig replay: error: ", stderr);
	fprintf(stderr, fmt, value);
	fputc('\n', stderr);
	return EXIT_BAD_INPUT;
}

static int set_mode(struct choice *c, enum mode mode)
{
	if (c->mode != MODE_AGAIN && c->mode != mode)
		return bad("%s", "one of --offline, --lift and --against at a time");
	c->mode = mode;
	return 0;
}

/* < 0: go on */
static int read_options(int argc, char **argv, struct choice *c)
{
	static const struct option options[] = {{"device", required_argument, NULL, 'd'},
						{"offline", no_argument, NULL, 'f'},
						{"lift", no_argument, NULL, 'l'},
						{"help", no_argument, NULL, 'h'},
						{NULL, 0, NULL, 0}};
	int opt;

	optind = 1;
	while ((opt = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			c->device = optarg;
			break;
		case 'f':
			if (set_mode(c, MODE_OFFLINE))
				return EXIT_BAD_INPUT;
			break;
		case 'l':
			if (set_mode(c, MODE_LIFT))
				return EXIT_BAD_INPUT;
			break;
		case 'o':
			c->file = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_PASSED;
		default:
			fputs("'quicrig replay --help' lists the options\n", stderr);
			return EXIT_BAD_INPUT;
		}
	}
	if (optind >= argc)
		return bad("%s", "which folder? 'quicrig run' prints it behind 'replay:'");
	if (optind + 1 < argc)
		return bad("one folder at a time, not also '%s'", argv[optind + 1]);
	c->folder = argv[optind];
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

static int again(const struct choice *c, const struct recording *r, const struct replay_device *d)
{
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
	struct choice c = {0};
	struct recording r;
	struct replay_device d = {0};
	struct err e = {0};
	char text[800];
	int code = read_options(argc, argv, &c);

	if (code >= 0)
		return code;
	if (recording_open(c.folder, &r, &e) ||
	    ((c.device || c.mode != MODE_AGAIN) && replay_find_device(&r, c.device, &d, &e))) {
		fprintf(stderr, "quicrig replay: error: %s\n", err_format(&e, text, sizeof(text)));
		code = exit_of(&e);
	} else {
		code = again(&c, &r, &d);
	}
	recording_fini(&r);
	return code;
}
