/* Stands in for quicrig-modem in tests of the pool: speaks its lines and behaves as
 * the device's name says, words joined by '+':
 *
 *   ok         READY at once, every SMS is sent after 10 ms
 *   loop       and what is sent comes back in as received
 *   foreign    reports an SMS that is not ours once READY
 *   slow       200 ms an SMS
 *   cmsN       fails with that CMS code at the PDU;  prompt: at the prompt, without a code
 *   nosend     takes the SMS and never answers;      hang: stops reading and writing then
 *   die        exits while it sends;                 dieonce: the first of all only (flag file)
 *   unknown    says unknown, INIT, READY
 *   garbage    writes rubbish before every line, and a line without end at first
 *   absent     ABSENT for ever;  late: READY after 300 ms;  pin: PIN, fatal
 *   notready   answers the first send with phase "state", then READY again
 *   stubborn   ignores quit;  loud: 20,000 lines at start
 *
 * Appends a line for each thing that it does to the file in QUICRIG_FAKE_LOG. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

static const char *name = "?", *how = "";

static int is(const char *word)
{
	size_t len = strlen(word);

	for (const char *at = how; (at = strstr(at, word)); at += len)
		if ((at == how || at[-1] == '+' || at[-1] == ':') && (at[len] == '\0' || at[len] == '+'))
			return 1;
	return 0;
}

static void nap(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&ts, NULL);
}

static void note(const char *what, const char *id)
{
	const char *path = getenv("QUICRIG_FAKE_LOG");
	char line[256];
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;

	if (fd < 0)
		return;
	snprintf(line, sizeof(line), "%s %s %s\n", name, what, id);
	(void)!write(fd, line, strlen(line));
	close(fd);
}

static void say(json_t *o)
{
	if (is("garbage"))
		fputs("\x01{]garbage\n{\"ev\":5}\n[1,2]\n", stdout);
	json_dumpf(o, stdout, JSON_COMPACT);
	fputc('\n', stdout);
	fflush(stdout);
	json_decref(o);
}

static void state(const char *s)
{
	say(json_pack("{s:s, s:s, s:s, s:b}", "ev", "state", "state", s, "imei", "490154203237518", "fatal",
		      strcmp(s, "PIN") == 0));
}

static void failed(const char *id, const char *phase, int cms)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "ev", "failed", "id", id, "phase", phase, "why", "fake");

	if (cms >= 0)
		json_object_set_new(o, "cms", json_integer(cms));
	say(o);
}

static int first_time(void)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s.flag.%s", getenv("QUICRIG_FAKE_LOG"), name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void do_send(const char *id, const char *text)
{
	static int loc = 1, ref = 1;
	const char *cms = strstr(how, "cms");

	note("send", id);
	nap(is("slow") ? 200 : 10);
	if (is("die") || (is("dieonce") && first_time()))
		_exit(1);
	if (is("nosend"))
		return;
	if (is("hang"))
		for (;;)
			pause();
	if (cms) {
		failed(id, "pdu", atoi(cms + 3));
	} else if (is("prompt")) {
		failed(id, "prompt", -1);
	} else if (is("unknown")) {
		say(json_pack("{s:s, s:s}", "ev", "unknown", "id", id));
		state("INIT");
		nap(50);
		state("READY");
	} else if (is("notready") && first_time()) {
		failed(id, "state", -1);
		nap(50);
		state("READY");
	} else {
		say(json_pack("{s:s, s:s, s:i}", "ev", "sent", "id", id, "ref", ref++));
		if (is("loop"))
			say(json_pack("{s:s, s:i, s:s, s:s}", "ev", "received", "loc", loc++, "from", "+34600000001",
				      "text", text));
	}
}

int main(int argc, char **argv)
{
	char line[16384];
	int quit = 0;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--name") == 0)
			name = argv[i + 1];
		if (strcmp(argv[i], "--device") == 0)
			how = argv[i + 1];
		if (strcmp(argv[i], "--pin-fd") == 0) {
			char pin[16] = "";

			(void)!read(atoi(argv[i + 1]), pin, sizeof(pin) - 1);
			note("pin", pin);
		}
	}
	note("start", "-");
	if (is("garbage")) {
		for (int i = 0; i < 100000; i++)
			fputc('x', stdout);
		fputc('\n', stdout);
	}
	if (is("loud"))
		for (int i = 0; i < 20000; i++)
			say(json_pack("{s:s, s:s, s:s}", "ev", "log", "level", "info", "text", "noise"));
	state("INIT");
	if (is("late"))
		nap(300);
	state(is("absent") ? "ABSENT" : is("pin") ? "PIN" : "READY");
	if (is("foreign"))
		say(json_pack("{s:s, s:i, s:s, s:s}", "ev", "received", "loc", 7, "from", "Bank", "text",
			      "Your balance is 3 EUR"));
	while (!quit && fgets(line, sizeof(line), stdin)) {
		json_t *o = json_loads(line, 0, NULL);
		const char *what = json_string_value(json_object_get(o, "do"));

		if (what && strcmp(what, "send") == 0)
			do_send(json_string_value(json_object_get(o, "id")),
				json_string_value(json_object_get(o, "text")));
		else if (what && strcmp(what, "ping") == 0)
			say(json_pack("{s:s}", "ev", "pong"));
		else if (what && strcmp(what, "delete") == 0)
			note("delete", json_integer_value(json_object_get(o, "loc")) == 7 ? "7" : "-");
		quit = what && strcmp(what, "quit") == 0 && !is("stubborn");
		json_decref(o);
	}
	while (is("stubborn"))
		pause();
	note("quit", "-");
	return 0;
}
