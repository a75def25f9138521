/* SPDX-License-Identifier: GPL-2.0-or-later */
/* quicrig-modem: one GSM modem behind JSON lines (worker_lines.h). The one program
 * that links libgammu; whoever runs it kills and restarts it when it is stuck. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "hil/modems/worker_lines.h"
#include "hil/modems/worker_phone.h"

#define TICK_MS         250   /* between looks at the device while nothing happens */
#define BLIND_TICK_MS   20    /* the same where the tty's descriptor is not known */
#define ATTACH_TICK_MS  2000  /* between questions for the network */
#define NETWORK_TICK_MS 60000 /* between looks whether READY still holds */
#define POLL_MS         3000  /* between readings of the stores where no +CMTI comes */
#define SAFETY_POLL_MS  20000 /* the same where it does: one may get lost */
#define RETRY_MIN_MS    1000
#define RETRY_MAX_MS    30000
#define DELETES_MAX     256
#define ID_MAX          128
#define SEND_TIMEOUT_MS 120000 /* a real network may take that long */

enum life {
	LIFE_ABSENT,
	LIFE_INIT,
	LIFE_ATTACHING,
	LIFE_READY,
	LIFE_LOCKED /* the SIM, or not the modem that is meant: never again */
};

struct worker {
	struct phone_config cfg;
	const char *name;
	struct phone *phone;
	enum life life;
	char said[256]; /* last state line's words, so that none is said twice */
	uint64_t retry_at, attach_at, poll_at;
	unsigned retry_ms;
	char id[ID_MAX + 1]; /* of the send under way */
	int deletes[DELETES_MAX];
	unsigned delete_count;
	char in[WORKER_LINE_MAX];
	size_t in_len;
	bool in_skip; /* inside a line that is too long */
	bool quit;
};

/* ---- lines out ---- */

static void write_all(const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(STDOUT_FILENO, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			exit(0); /* nobody listens any more */
		data += n;
		len -= (size_t)n;
	}
}

/* Takes the reference. */
static void say(json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;

	if (text) {
		size_t len = strlen(text);

		text[len] = '\n';
		write_all(text, len + 1);
		text[len] = '\0';
		explicit_bzero(text, len);
	}
	free(text);
	json_decref(line);
}

/* What a modem said need not be UTF-8. */
static json_t *jtext(const char *s)
{
	json_t *j = json_string(s);
	char clean[PHONE_TEXT_MAX];
	size_t i;

	if (j)
		return j;
	for (i = 0; s[i] && i < sizeof(clean) - 1; i++)
		clean[i] = (signed char)s[i] < 0 ? '?' : s[i];
	clean[i] = '\0';
	return json_string(clean);
}

static void say_log(void *ctx, const char *level, const char *text)
{
	(void)ctx;
	say(json_pack("{s:s, s:s, s:o}", "ev", "log", "level", level, "text", jtext(text)));
}

static void put(json_t *o, const char *key, const char *value)
{
	if (value && value[0])
		json_object_set_new(o, key, jtext(value));
}

static void say_state(struct worker *w, const char *state, const char *why, bool fatal)
{
	const struct phone_info *i = phone_info(w->phone);
	char words[sizeof(w->said)];
	json_t *o;

	snprintf(words, sizeof(words), "%s %s", state, why ? why : "");
	if (strcmp(words, w->said) == 0)
		return;
	memcpy(w->said, words, sizeof(words));
	o = json_pack("{s:s, s:s}", "ev", "state", "state", state);
	put(o, "why", why);
	if (fatal)
		json_object_set_new(o, "fatal", json_true());
	if (phone_is_open(w->phone)) {
		put(o, "imei", i->imei);
		put(o, "manufacturer", i->manufacturer);
		put(o, "model", i->model);
		put(o, "firmware", i->firmware);
		put(o, "network", i->network);
		put(o, "operator", i->operator_name);
		put(o, "smsc", i->smsc);
		json_object_set_new(o, "notify", json_boolean(i->notify));
	}
	say(o);
}

static void say_failed(const char *id, const struct phone_sent *r)
{
	json_t *o = json_pack("{s:s, s:o, s:s}", "ev", "failed", "id", jtext(id), "phase", r->phase);

	if (r->cms >= 0)
		json_object_set_new(o, "cms", json_integer(r->cms));
	if (r->cme >= 0)
		json_object_set_new(o, "cme", json_integer(r->cme));
	put(o, "why", r->why);
	say(o);
}

static void say_unknown(const char *id, const char *why)
{
	json_t *o = json_pack("{s:s, s:o}", "ev", "unknown", "id", jtext(id));

	put(o, "why", why);
	say(o);
}

static void on_sms(void *ctx, const struct phone_sms *sms)
{
	json_t *o;

	(void)ctx;
	if (sms->is_report) {
		say(json_pack("{s:s, s:i, s:i, s:i}", "ev", "report", "loc", sms->loc, "ref", sms->ref, "status",
			      sms->status));
		return;
	}
	o = json_pack("{s:s, s:i, s:o, s:o}", "ev", "received", "loc", sms->loc, "from", jtext(sms->from), "text",
		      jtext(sms->text));
	put(o, "smsc_time", sms->smsc_time);
	say(o);
}

/* ---- life ---- */

/* Closes and tries again after a growing pause. A send under way is unknown. */
static void fall_back(struct worker *w, enum life to, const char *why)
{
	if (w->id[0]) {
		say_unknown(w->id, why);
		w->id[0] = '\0';
	}
	phone_close(w->phone);
	/* what was to be deleted is found again in the stores */
	w->delete_count = 0;
	w->life = to;
	w->retry_at = phone_now_ms() + w->retry_ms;
	w->retry_ms = w->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : w->retry_ms * 2;
	say_state(w, to == LIFE_ABSENT ? "ABSENT" : "INIT", why, false);
}

static void try_open(struct worker *w)
{
	char why[256];

	if (phone_now_ms() < w->retry_at)
		return;
	if (w->life == LIFE_ABSENT && !phone_present(w->phone)) {
		w->retry_at = phone_now_ms() + TICK_MS;
		w->retry_ms = RETRY_MIN_MS;
		snprintf(why, sizeof(why), "no device at %s", w->cfg.device);
		say_state(w, "ABSENT", why, false);
		return;
	}
	w->life = LIFE_INIT;
	say_state(w, "INIT", NULL, false);
	switch (phone_open(w->phone, why, sizeof(why))) {
	case PHONE_OK:
		w->life = LIFE_ATTACHING;
		w->attach_at = 0;
		/* who it is, before what stands on its SIM: another modem's SMS are not ours */
		say_state(w, "ATTACHING", NULL, false);
		break;
	case PHONE_OTHER:
		w->life = LIFE_LOCKED;
		say_state(w, "ABSENT", why, true);
		break;
	case PHONE_PIN:
	case PHONE_LOCKED:
		w->life = LIFE_LOCKED;
		say_state(w, "PIN", why, true);
		break;
	case PHONE_ABSENT:
		fall_back(w, LIFE_ABSENT, why);
		break;
	default:
		fall_back(w, phone_present(w->phone) ? LIFE_INIT : LIFE_ABSENT, why);
		break;
	}
}

/* Is there a network (again, still)? */
static void look_for_network(struct worker *w)
{
	char why[256] = "";

	if (phone_now_ms() < w->attach_at)
		return;
	switch (phone_network(w->phone, why, sizeof(why))) {
	case PHONE_OK:
		w->attach_at = phone_now_ms() + NETWORK_TICK_MS;
		w->life = LIFE_READY;
		w->retry_ms = RETRY_MIN_MS;
		say_state(w, "READY", NULL, false);
		break;
	case PHONE_ATTACHING:
		w->attach_at = phone_now_ms() + ATTACH_TICK_MS;
		w->life = LIFE_ATTACHING;
		say_state(w, "ATTACHING", why, false);
		break;
	default:
		fall_back(w, LIFE_INIT, why);
		break;
	}
}

static void end_send(struct worker *w, enum phone_result rv, const struct phone_sent *r)
{
	char id[ID_MAX + 1];

	if (rv == PHONE_PENDING)
		return;
	memcpy(id, w->id, sizeof(id));
	w->id[0] = '\0';
	switch (rv) {
	case PHONE_OK:
		say(json_pack("{s:s, s:o, s:i}", "ev", "sent", "id", jtext(id), "ref", r->ref));
		return;
	case PHONE_UNKNOWN:
		say_unknown(id, r->why);
		fall_back(w, LIFE_INIT, "a send without a result");
		w->retry_at = 0;
		return;
	default:
		say_failed(id, r);
	}
	/* refused for a reason of the network, perhaps: ask it. A prompt that never came
	 * leaves the modem in nobody knows which state */
	w->attach_at = 0;
	if (strcmp(r->phase, "prompt") == 0 && !r->answered) {
		fall_back(w, LIFE_INIT, "no prompt");
		w->retry_at = 0;
	}
}

/* Everything that needs commands and no send under way. */
static void housekeeping(struct worker *w)
{
	enum phone_result rv = PHONE_OK;
	uint64_t now = phone_now_ms();
	char why[256];

	while (w->delete_count && rv != PHONE_FAILED) {
		int loc = w->deletes[0];

		memmove(w->deletes, w->deletes + 1, --w->delete_count * sizeof(w->deletes[0]));
		rv = phone_delete(w->phone, loc, why, sizeof(why));
		if (rv == PHONE_OK)
			say(json_pack("{s:s, s:i}", "ev", "deleted", "loc", loc));
		else
			say(json_pack("{s:s, s:i, s:o}", "ev", "deleted", "loc", loc, "why", jtext(why)));
	}
	if (rv != PHONE_FAILED && phone_has_news(w->phone))
		rv = phone_fetch(w->phone);
	if (rv != PHONE_FAILED && now >= w->poll_at) {
		rv = phone_poll(w->phone);
		w->poll_at = phone_now_ms() + (phone_info(w->phone)->notify ? SAFETY_POLL_MS : POLL_MS);
	}
	if (rv == PHONE_FAILED) {
		fall_back(w, LIFE_INIT, "the modem does not answer");
		return;
	}
	look_for_network(w);
}

static void live(struct worker *w)
{
	struct phone_sent r;
	enum phone_result rv;

	if (w->life == LIFE_LOCKED)
		return;
	if (!phone_is_open(w->phone)) {
		try_open(w);
		return;
	}
	if (!phone_present(w->phone)) {
		fall_back(w, LIFE_ABSENT, "the device is gone");
		return;
	}
	rv = phone_turn(w->phone, &r);
	if (w->id[0])
		end_send(w, rv, &r);
	if (!w->id[0] && phone_is_open(w->phone))
		housekeeping(w);
}

/* ---- lines in ---- */

static void do_send(struct worker *w, json_t *o)
{
	const char *id, *to, *text;
	struct phone_sent r = {.cms = -1, .cme = -1, .phase = "state"};
	enum phone_result rv;

	if (json_unpack(o, "{s:s, s:s, s:s}", "id", &id, "to", &to, "text", &text) || strlen(id) > ID_MAX || !id[0]) {
		say_log(w, "error", "send needs id (at most 128 bytes), to and text");
		return;
	}
	/* under a steady load there is no other time for what came in */
	if (w->life == LIFE_READY && !w->id[0] && (phone_has_news(w->phone) || w->delete_count))
		housekeeping(w);
	if (w->life != LIFE_READY || w->id[0]) {
		snprintf(r.why, sizeof(r.why), "%s", w->id[0] ? "another send is under way" : "not ready");
		say_failed(id, &r);
		return;
	}
	snprintf(w->id, sizeof(w->id), "%s", id);
	rv = phone_send(w->phone, to, text, &r);
	end_send(w, rv, &r);
}

static void take_line(struct worker *w, const char *line, size_t len)
{
	json_error_t je;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	const char *what = "";
	int loc;

	if (!o || json_unpack(o, "{s:s}", "do", &what)) {
		say_log(w, "error", o ? "a line without 'do'" : "a line that is not JSON");
	} else if (strcmp(what, "send") == 0) {
		do_send(w, o);
	} else if (strcmp(what, "delete") == 0) {
		if (json_unpack(o, "{s:i}", "loc", &loc) || loc < 0)
			say_log(w, "error", "delete needs loc");
		else if (w->delete_count < DELETES_MAX && phone_is_open(w->phone))
			w->deletes[w->delete_count++] = loc;
	} else if (strcmp(what, "ping") == 0) {
		say(json_pack("{s:s}", "ev", "pong"));
	} else if (strcmp(what, "quit") == 0) {
		w->quit = true;
	} else {
		say_log(w, "error", "an unknown 'do'");
	}
	json_decref(o);
}

static void take_input(struct worker *w)
{
	ssize_t n = read(STDIN_FILENO, w->in + w->in_len, sizeof(w->in) - w->in_len);
	char *nl;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		w->quit = true;
		return;
	}
	w->in_len += (size_t)n;
	while (!w->quit && (nl = memchr(w->in, '\n', w->in_len))) {
		size_t len = (size_t)(nl - w->in);

		if (!w->in_skip && len)
			take_line(w, w->in, len);
		w->in_skip = false;
		w->in_len -= len + 1;
		memmove(w->in, nl + 1, w->in_len);
	}
	if (w->in_len == sizeof(w->in)) {
		say_log(w, "error", "a line that is too long");
		w->in_skip = true;
		w->in_len = 0;
	}
}

static void turn(struct worker *w)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
	int fd = phone_is_open(w->phone) ? phone_fd(w->phone) : -1;
	int wait = fd < 0 && phone_is_open(w->phone) ? BLIND_TICK_MS : TICK_MS;

	fds[1].fd = fd;
	poll(fds, 2, wait);
	if (fd >= 0 && (fds[1].revents & (POLLHUP | POLLERR | POLLNVAL))) {
		fall_back(w, LIFE_ABSENT, "the device hung up");
		return;
	}
	if (fds[0].revents)
		take_input(w);
	if (!w->quit)
		live(w);
}

/* ---- main ---- */

static char *read_pin(int fd)
{
	static char pin[32];
	size_t len = 0;

	while (len < sizeof(pin) - 1) {
		ssize_t n = read(fd, pin + len, sizeof(pin) - 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	pin[len] = '\0';
	pin[strcspn(pin, "\r\n")] = '\0';
	return pin[0] ? pin : NULL;
}

static int usage(void)
{
	fputs("usage: quicrig-modem --device PATH [--connection at115200] [--name NAME] [--pin-fd N]\n"
	      "                     [--imei IMEI] [--send-timeout SECONDS] [--debug FILE]\n"
	      "One GSM modem, by libgammu, behind JSON lines on stdin and stdout.\n"
	      "--debug writes PDUs, so the codes in them: keep that file to yourself.\n",
	      stderr);
	return 2;
}

static bool number(const char *s, long min, long max, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(s, &end, 10);
	return end != s && !*end && !errno && *out >= min && *out <= max;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"device", required_argument, NULL, 'd'}, {"connection", required_argument, NULL, 'c'},
		{"name", required_argument, NULL, 'n'},   {"pin-fd", required_argument, NULL, 'p'},
		{"debug", required_argument, NULL, 'D'},  {"send-timeout", required_argument, NULL, 't'},
		{"imei", required_argument, NULL, 'i'},   {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
	static struct worker w;
	long n;
	int opt;

	w.cfg.connection = "at115200";
	w.cfg.send_timeout_ms = SEND_TIMEOUT_MS;
	w.retry_ms = RETRY_MIN_MS;
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'd')
			w.cfg.device = optarg;
		else if (opt == 'c')
			w.cfg.connection = optarg;
		else if (opt == 'n')
			w.name = optarg;
		else if (opt == 'i')
			w.cfg.imei = optarg;
		else if (opt == 'D')
			w.cfg.debug_file = optarg;
		else if (opt == 'p' && number(optarg, 3, 1 << 20, &n))
			w.cfg.pin = read_pin((int)n);
		else if (opt == 't' && number(optarg, 1, 3600, &n))
			w.cfg.send_timeout_ms = (unsigned)n * 1000;
		else
			return usage();
	}
	if (optind != argc || !w.cfg.device)
		return usage();
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	w.phone = phone_new(&w.cfg, on_sms, say_log, &w);
	if (!w.phone) {
		fputs("quicrig-modem: out of memory\n", stderr);
		return 70;
	}
	while (!w.quit)
		turn(&w);
	if (w.id[0])
		say_unknown(w.id, "told to quit before the result");
	phone_free(w.phone);
	return 0;
}
