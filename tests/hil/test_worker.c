/* The real quicrig-modem with the real libgammu, on emulated modems. All workers are
 * started at once, since opening a modem takes libgammu 4 s; each test has modems of
 * its own. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#define LATE_MS      20000
#define SEND_TIMEOUT "3" /* s, from the PDU to the modem's answer */
#define CODE_TEXT    "Code AB12cd34EF56 for ee9f2110. Valid 5 min.\n" \
		     "@ee9f2110-5843-11e9-a9ba-139bd26c8b4b.quicrig #AB12cd34EF56 r=a1b2c3d4"

/* X(name, PIN of its SIM, PIN that the worker is given) */
#define MODEMS(X)                                                                                              \
	X(s1, "", "") X(r1, "", "") X(r2, "", "") X(r3, "", "") X(c1, "", "") X(d1, "", "") X(e1, "", "")       \
	X(f1, "", "") X(l1, "", "") X(u1, "", "") X(u2, "", "") X(g1, "", "") X(b1, "", "")                     \
	X(p1, "1234", "1234") X(w1, "1234", "9999") X(n1, "1234", "") X(x1, "1234", "1234")

#define ENUM(name, sim, given) W_##name,
enum { MODEMS(ENUM) W_COUNT };

struct worker {
	const char *name, *sim_pin, *pin;
	pid_t pid;
	int to, from;
	char in[65536];
	size_t in_len;
};

static struct worker workers[W_COUNT] = {
#define ROW(name_, sim, given) {.name = #name_, .sim_pin = sim, .pin = given},
	MODEMS(ROW)
#undef ROW
};

static char dir[64];
static pid_t emulator;
static int control = -1;

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void bin(const char *name, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", getenv("QUICRIG_BIN") ? getenv("QUICRIG_BIN") : ".", name);
}

/* ---- the emulator ---- */

static json_t *ask(const char *line)
{
	char answer[4096];
	size_t len = 0;

	ck_assert_int_eq(write(control, line, strlen(line)), (ssize_t)strlen(line));
	ck_assert_int_eq(write(control, "\n", 1), 1);
	while (!len || answer[len - 1] != '\n') {
		ssize_t n = read(control, answer + len, sizeof(answer) - len);

		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	}
	return json_loadb(answer, len, 0, NULL);
}

static void tell(const char *line)
{
	json_t *o = ask(line);

	ck_assert_msg(json_is_true(json_object_get(o, "ok")), "%s: %s", line,
		      json_string_value(json_object_get(o, "error")));
	json_decref(o);
}

/* Arms a fault for one modem's SMS ("sms.submitted") or state. */
static void arm(const char *modem, const char *on, const char *state, const char *what, const char *args)
{
	char line[512];

	snprintf(line, sizeof(line),
		 "{\"do\":\"fault\",\"fault\":{\"name\":\"%s-%s\",\"on\":\"%s\",\"do\":\"%s\",\"args\":%s,"
		 "\"match\":{\"modem\":\"%s\"%s%s%s}}}",
		 modem, what, on, what, args, modem, state ? ",\"state\":\"" : "", state ? state : "",
		 state ? "\"" : "");
	tell(line);
}

static int dial(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void start_emulator(void)
{
	char path[600], file[128], sock[100];
	int out[2];
	char ready[4096];
	FILE *f;

	snprintf(file, sizeof(file), "%s/modems.json", dir);
	f = fopen(file, "w");
	fputs("{\"version\":1,\"modems\":[", f);
	for (int i = 0; i < W_COUNT; i++) {
		fprintf(f, "%s{\"name\":\"%s\",\"number\":\"+3460000%04d\"", i ? "," : "", workers[i].name, i);
		if (workers[i].sim_pin[0])
			fprintf(f, ",\"pin\":\"%s\"", workers[i].sim_pin);
		fputs("}", f);
	}
	fputs("]}\n", f);
	fclose(f);
	snprintf(sock, sizeof(sock), "unix:%s/control", dir);
	bin("quicrig-emulate-test", path, sizeof(path));
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	emulator = fork();
	if (emulator == 0) {
		dup2(out[1], 1);
		execl(path, "emulate", "--modems", file, "--control", sock, "--link-dir", dir, NULL);
		_exit(127);
	}
	close(out[1]);
	ck_assert_int_gt(read(out[0], ready, sizeof(ready)), 0);
	close(out[0]);
	control = dial(sock + 5);
}

/* ---- workers ---- */

static void start_worker(struct worker *w)
{
	char path[600], device[128];
	int in[2], out[2], pin[2];

	bin("quicrig-modem", path, sizeof(path));
	snprintf(device, sizeof(device), "%s/%s", dir, w->name);
	ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(pin, O_CLOEXEC), 0);
	ck_assert_int_eq(write(pin[1], w->pin, strlen(w->pin)), (ssize_t)strlen(w->pin));
	w->pid = fork();
	if (w->pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		pin[0] = fcntl(pin[0], F_DUPFD, 100);
		dup2(pin[0], 99);
		execl(path, "quicrig-modem", "--device", device, "--name", w->name, "--send-timeout", SEND_TIMEOUT,
		      "--pin-fd", "99", w == &workers[W_x1] ? "--imei" : NULL, "490154203237518", NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	close(pin[0]);
	close(pin[1]);
	w->to = in[1];
	w->from = out[0];
}

static void put(struct worker *w, const char *line)
{
	ck_assert_int_eq(write(w->to, line, strlen(line)), (ssize_t)strlen(line));
	ck_assert_int_eq(write(w->to, "\n", 1), 1);
}

/* Its next line; NULL where none comes in time. The caller drops it. */
static json_t *next(struct worker *w, long until)
{
	char *nl;
	json_t *o;

	while (!(nl = memchr(w->in, '\n', w->in_len))) {
		struct pollfd p = {.fd = w->from, .events = POLLIN};
		ssize_t n;

		if (now_ms() >= until || poll(&p, 1, (int)(until - now_ms())) <= 0)
			return NULL;
		n = read(w->from, w->in + w->in_len, sizeof(w->in) - w->in_len);
		if (n <= 0)
			return NULL;
		w->in_len += (size_t)n;
	}
	o = json_loadb(w->in, (size_t)(nl - w->in), 0, NULL);
	ck_assert_ptr_nonnull(o);
	w->in_len -= (size_t)(nl + 1 - w->in);
	memmove(w->in, nl + 1, w->in_len);
	return o;
}

static const char *text_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int int_of(json_t *o, const char *key)
{
	return json_is_integer(json_object_get(o, key)) ? (int)json_integer_value(json_object_get(o, key)) : -1;
}

/* Skips lines until one is `ev` with `key` = `value` (any where NULL). */
static json_t *await(struct worker *w, const char *ev, const char *key, const char *value, long ms)
{
	long until = now_ms() + ms;
	json_t *o;

	while ((o = next(w, until))) {
		if (strcmp(text_of(o, "ev"), ev) == 0 && (!key || strcmp(text_of(o, key), value) == 0))
			return o;
		json_decref(o);
	}
	return NULL;
}

static void must(struct worker *w, const char *ev, const char *key, const char *value)
{
	json_t *o = await(w, ev, key, value, LATE_MS);

	ck_assert_msg(o != NULL, "%s: no %s with %s %s", w->name, ev, key ? key : "-", value ? value : "-");
	json_decref(o);
}

static void send_sms(struct worker *w, const char *id, int to, const char *text)
{
	char number[16], *line;
	json_t *o;

	snprintf(number, sizeof(number), "+3460000%04d", to);
	o = json_pack("{s:s, s:s, s:s, s:s}", "do", "send", "id", id, "to", number, "text", text);
	line = json_dumps(o, JSON_COMPACT);
	put(w, line);
	free(line);
	json_decref(o);
}

/* The first result of any kind for this id. */
static json_t *result(struct worker *w, const char *id)
{
	long until = now_ms() + LATE_MS;
	json_t *o;

	while ((o = next(w, until))) {
		const char *ev = text_of(o, "ev");

		if ((strcmp(ev, "sent") == 0 || strcmp(ev, "failed") == 0 || strcmp(ev, "unknown") == 0) &&
		    strcmp(text_of(o, "id"), id) == 0)
			return o;
		json_decref(o);
	}
	ck_abort_msg("%s: no result for %s", w->name, id);
	return NULL;
}

static void sends_again(struct worker *w)
{
	json_t *o;

	send_sms(w, "again", W_b1, "again");
	o = result(w, "again");
	ck_assert_str_eq(text_of(o, "ev"), "sent");
	json_decref(o);
}

/* No second result for `id` within `ms`. */
static void only_once(struct worker *w, const char *id, long ms)
{
	long until = now_ms() + ms;
	json_t *o;

	while ((o = next(w, until))) {
		ck_assert_msg(strcmp(text_of(o, "id"), id) != 0, "%s: a second result for %s", w->name, id);
		json_decref(o);
	}
}

/* READY again, and no second result for `id` on the way. */
static void await_ready_without(struct worker *w, const char *id)
{
	long until = now_ms() + LATE_MS;
	json_t *o;

	while ((o = next(w, until)) && strcmp(text_of(o, "state"), "READY") != 0) {
		ck_assert_msg(strcmp(text_of(o, "id"), id) != 0, "%s: a second result for %s", w->name, id);
		json_decref(o);
	}
	ck_assert_msg(o != NULL, "%s: not READY again", w->name);
	json_decref(o);
}

static void begin(void)
{
	snprintf(dir, sizeof(dir), "%s/quicrig-worker-XXXXXX", P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	signal(SIGPIPE, SIG_IGN);
	start_emulator();
	tell("{\"do\":\"sms\",\"to\":\"r2\",\"from\":\"Bank\",\"text\":\"Your balance is 3 EUR\"}");
	for (int i = 0; i < W_COUNT; i++)
		start_worker(&workers[i]);
	for (int i = 0; i < W_COUNT; i++)
		if (i != W_r2 && i != W_w1 && i != W_n1 && i != W_x1 && i != W_s1)
			must(&workers[i], "state", "state", "READY");
	/* these take their time while the other tests run */
	arm("f1", "sms.submitted", NULL, "no_final", "{\"delivered\":true}");
	send_sms(&workers[W_f1], "f", W_b1, "x");
	arm("l1", "sms.submitted", NULL, "late_cmgs", "{\"by_ns\":4500000000}");
	send_sms(&workers[W_l1], "l", W_b1, "x");
	/* found by reading the stores, up to 20 s later: looked for in the last test */
	arm("r3", "modem.state", "received", "lose_cmti", "{}");
	tell("{\"do\":\"sms\",\"to\":\"r3\",\"from\":\"+34611\",\"text\":\"unannounced\"}");
}

static void end(void)
{
	char cmd[128];

	for (int i = 0; i < W_COUNT; i++) {
		close(workers[i].to);
		waitpid(workers[i].pid, NULL, 0);
		close(workers[i].from);
	}
	tell("{\"do\":\"quit\"}");
	waitpid(emulator, NULL, 0);
	close(control);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(says_who_it_is)
{
	json_t *o = await(&workers[W_s1], "state", "state", "READY", LATE_MS);

	ck_assert_ptr_nonnull(o);
	ck_assert_uint_eq(strlen(text_of(o, "imei")), 15);
	ck_assert_str_ne(text_of(o, "manufacturer"), "");
	ck_assert_str_ne(text_of(o, "model"), "");
	ck_assert_str_ne(text_of(o, "network"), "");
	ck_assert_str_ne(text_of(o, "smsc"), "");
	ck_assert(json_is_true(json_object_get(o, "notify")));
	json_decref(o);
}
END_TEST

START_TEST(sends_receives_deletes)
{
	struct worker *s = &workers[W_s1], *r = &workers[W_r1];
	const char *texts[] = {CODE_TEXT, "\xc3\x9cn\xc3\xaf\x63ode \xe2\x9c\x93 \xc3\xb1",
			       "[brackets] {and} ~more~ \\ |^"};
	char line[64];

	for (int i = 0; i < 3; i++) {
		char id[8];
		json_t *o;

		snprintf(id, sizeof(id), "m%d", i % 10);
		send_sms(s, id, W_r1, texts[i]);
		o = result(s, id);
		ck_assert_str_eq(text_of(o, "ev"), "sent");
		ck_assert_int_ge(int_of(o, "ref"), 0);
		json_decref(o);
		o = await(r, "received", NULL, NULL, LATE_MS);
		ck_assert_ptr_nonnull(o);
		ck_assert_str_eq(text_of(o, "text"), texts[i]);
		ck_assert_str_eq(text_of(o, "from"), "+34600000000");
		ck_assert_str_ne(text_of(o, "smsc_time"), "");
		snprintf(line, sizeof(line), "{\"do\":\"delete\",\"loc\":%d}", int_of(o, "loc"));
		json_decref(o);
		put(r, line);
		o = await(r, "deleted", NULL, NULL, LATE_MS);
		ck_assert_ptr_nonnull(o);
		ck_assert_ptr_null(json_object_get(o, "why"));
		json_decref(o);
	}
}
END_TEST

START_TEST(stored_sms_are_read_at_start_and_kept)
{
	struct worker *r = &workers[W_r2];
	json_t *o = await(r, "received", NULL, NULL, LATE_MS);

	ck_assert_ptr_nonnull(o);
	ck_assert_str_eq(text_of(o, "text"), "Your balance is 3 EUR");
	ck_assert_str_eq(text_of(o, "from"), "Bank");
	json_decref(o);
	/* and a second time by a worker that is started again: it was not deleted */
	put(r, "{\"do\":\"quit\"}");
	waitpid(r->pid, NULL, 0);
	close(r->to);
	close(r->from);
	r->in_len = 0;
	start_worker(r);
	must(r, "received", "text", "Your balance is 3 EUR");
}
END_TEST

START_TEST(refused_at_the_prompt_counts_once)
{
	struct worker *w = &workers[W_c1];
	json_t *o;

	arm("c1", "modem.state", "sending", "cms_error", "{\"code\":38,\"at\":\"prompt\"}");
	send_sms(w, "c", W_b1, "x");
	o = result(w, "c");
	ck_assert_str_eq(text_of(o, "ev"), "failed");
	ck_assert_str_eq(text_of(o, "phase"), "prompt");
	ck_assert_int_eq(int_of(o, "cms"), 38);
	json_decref(o);
	only_once(w, "c", 500);
	sends_again(w);
}
END_TEST

START_TEST(refused_behind_the_pdu)
{
	struct worker *w = &workers[W_d1];
	json_t *o;

	arm("d1", "sms.submitted", NULL, "cms_error", "{\"code\":38}");
	send_sms(w, "d", W_b1, "x");
	o = result(w, "d");
	ck_assert_str_eq(text_of(o, "ev"), "failed");
	ck_assert_str_eq(text_of(o, "phase"), "pdu");
	ck_assert_int_eq(int_of(o, "cms"), 38);
	json_decref(o);
	only_once(w, "d", 500);
	sends_again(w);
}
END_TEST

START_TEST(plain_error_has_no_code)
{
	struct worker *w = &workers[W_e1];
	json_t *o;

	arm("e1", "sms.submitted", NULL, "plain_error", "{}");
	send_sms(w, "e", W_b1, "x");
	o = result(w, "e");
	ck_assert_str_eq(text_of(o, "ev"), "failed");
	ck_assert_int_eq(int_of(o, "cms"), -1);
	json_decref(o);
	sends_again(w);
}
END_TEST

/* The trap: the OK of a later command would be reported as this message's success. */
START_TEST(no_final_answer_is_unknown_never_a_success)
{
	struct worker *w = &workers[W_f1];
	json_t *o = result(w, "f");

	ck_assert_str_eq(text_of(o, "ev"), "unknown");
	json_decref(o);
	await_ready_without(w, "f");
	sends_again(w);
}
END_TEST

/* The answer comes when the worker has given up and opens the modem again. */
START_TEST(late_answer_is_not_believed)
{
	struct worker *w = &workers[W_l1];
	json_t *o = result(w, "l");

	ck_assert_str_eq(text_of(o, "ev"), "unknown");
	json_decref(o);
	await_ready_without(w, "l");
	sends_again(w);
}
END_TEST

START_TEST(unplugged_and_back)
{
	struct worker *w = &workers[W_u1];

	tell("{\"do\":\"unplug\",\"modem\":\"u1\"}");
	must(w, "state", "state", "ABSENT");
	send_sms(w, "u", W_b1, "x");
	must(w, "failed", "phase", "state");
	tell("{\"do\":\"plug\",\"modem\":\"u1\"}");
	must(w, "state", "state", "READY");
	sends_again(w);
}
END_TEST

START_TEST(unplugged_while_it_sends)
{
	struct worker *w = &workers[W_u2];
	struct timespec nap = {1, 200 * 1000000L};
	long began = now_ms();
	json_t *o;

	arm("u2", "sms.submitted", NULL, "no_final", "{}");
	send_sms(w, "u", W_b1, "x");
	nanosleep(&nap, NULL);
	tell("{\"do\":\"unplug\",\"modem\":\"u2\"}");
	o = result(w, "u");
	ck_assert_str_eq(text_of(o, "ev"), "unknown");
	/* by the device's absence, not by the time-out */
	ck_assert_int_lt(now_ms() - began, 2900);
	json_decref(o);
	must(w, "state", "state", "ABSENT");
}
END_TEST

START_TEST(unsolicited_lines_while_it_sends)
{
	struct worker *w = &workers[W_g1];
	json_t *o;

	arm("g1", "modem.state", "sending", "unsolicited", "{\"lines\":5}");
	send_sms(w, "g", W_b1, "x");
	o = result(w, "g");
	json_decref(o);
	/* whatever it was: it works again */
	send_sms(w, "h", W_b1, "x");
	o = result(w, "h");
	if (strcmp(text_of(o, "ev"), "sent") != 0) {
		must(w, "state", "state", "READY");
		sends_again(w);
	}
	json_decref(o);
}
END_TEST

START_TEST(pins)
{
	json_t *o = await(&workers[W_w1], "state", "state", "PIN", LATE_MS);

	ck_assert_ptr_nonnull(o);
	ck_assert(json_is_true(json_object_get(o, "fatal")));
	json_decref(o);
	/* it is offered once: nothing follows */
	ck_assert_ptr_null(next(&workers[W_w1], now_ms() + 1500));
	must(&workers[W_n1], "state", "state", "PIN");
	sends_again(&workers[W_p1]);
}
END_TEST

/* Another stick got this one's name: its SIM is not offered our PIN. */
START_TEST(another_modem_is_not_unlocked)
{
	json_t *o = await(&workers[W_x1], "state", "state", "ABSENT", LATE_MS);
	char path[128], said[256] = "";
	size_t len = 0;
	ssize_t n;
	int fd;

	ck_assert_ptr_nonnull(o);
	ck_assert(json_is_true(json_object_get(o, "fatal")));
	ck_assert_ptr_nonnull(strstr(text_of(o, "why"), "another modem stands there: its IMEI is 00101700"));
	json_decref(o);
	snprintf(path, sizeof(path), "%s/x1", dir);
	fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "AT+CPIN?\r", 9), 9);
	while (!strstr(said, "OK\r\n") && len < sizeof(said) - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		ck_assert_int_gt(poll(&p, 1, 3000), 0);
		n = read(fd, said + len, sizeof(said) - 1 - len);
		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	}
	ck_assert_ptr_nonnull(strstr(said, "+CPIN: SIM PIN"));
	close(fd);
}
END_TEST

/* It restarts by itself, and its SIM is locked again: the PIN is entered once more. */
START_TEST(pin_after_a_restart)
{
	struct worker *w = &workers[W_p1];
	json_t *o;

	arm("p1", "modem.state", "received", "reboot", "{}");
	tell("{\"do\":\"sms\",\"to\":\"p1\",\"from\":\"+34611\",\"text\":\"restart\"}");
	send_sms(w, "locked", W_b1, "x");
	o = result(w, "locked");
	ck_assert_str_eq(text_of(o, "ev"), "failed");
	ck_assert_int_eq(int_of(o, "cms"), 311);
	json_decref(o);
	must(w, "state", "state", "READY");
	sends_again(w);
}
END_TEST

START_TEST(bad_lines_and_texts)
{
	struct worker *w = &workers[W_b1];
	static char big[20000];

	put(w, "rubbish");
	must(w, "log", "level", "error");
	put(w, "{\"do\":\"dance\"}");
	must(w, "log", "level", "error");
	put(w, "{\"do\":\"send\",\"id\":\"x\"}");
	must(w, "log", "level", "error");
	memset(big, 'x', sizeof(big) - 1);
	put(w, big);
	must(w, "log", "level", "error");
	big[161] = '\0';
	send_sms(w, "long", W_r1, big);
	must(w, "failed", "phase", "text");
	/* one that needs UCS-2, longer than libgammu's own buffers */
	memset(big, '`', 1000);
	big[1000] = '\0';
	send_sms(w, "long2", W_r1, big);
	must(w, "failed", "phase", "text");
	/* nothing was handed over from there: whatever it holds is not ours */
	put(w, "{\"do\":\"delete\",\"loc\":90}");
	must(w, "deleted", "why", "no SMS was handed over from there");
	put(w, "{\"do\":\"ping\"}");
	must(w, "pong", NULL, NULL);
}
END_TEST

static int run_worker(const char *a, const char *b)
{
	char path[600];
	int status;
	pid_t pid;

	bin("quicrig-modem", path, sizeof(path));
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execl(path, "quicrig-modem", a, b, NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(exit_codes)
{
	ck_assert_int_eq(run_worker(NULL, NULL), 2);
	ck_assert_int_eq(run_worker("--name", "x"), 2);
	ck_assert_int_eq(run_worker("--send-timeout", "0"), 2);
	ck_assert_int_eq(run_worker("--device", "/nonexistent"), 0); /* end of file: quit */
}
END_TEST

START_TEST(lost_announcement_is_found)
{
	must(&workers[W_r3], "received", "text", "unannounced");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker");
	TCase *tc = tcase_create("libgammu");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_unchecked_fixture(tc, begin, end);
	tcase_add_test(tc, says_who_it_is);
	tcase_add_test(tc, sends_receives_deletes);
	tcase_add_test(tc, stored_sms_are_read_at_start_and_kept);
	tcase_add_test(tc, refused_at_the_prompt_counts_once);
	tcase_add_test(tc, refused_behind_the_pdu);
	tcase_add_test(tc, plain_error_has_no_code);
	tcase_add_test(tc, no_final_answer_is_unknown_never_a_success);
	tcase_add_test(tc, late_answer_is_not_believed);
	tcase_add_test(tc, unplugged_and_back);
	tcase_add_test(tc, unplugged_while_it_sends);
	tcase_add_test(tc, unsolicited_lines_while_it_sends);
	tcase_add_test(tc, pins);
	tcase_add_test(tc, another_modem_is_not_unlocked);
	tcase_add_test(tc, pin_after_a_restart);
	tcase_add_test(tc, bad_lines_and_texts);
	tcase_add_test(tc, exit_codes);
	tcase_add_test(tc, lost_announcement_is_found);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
