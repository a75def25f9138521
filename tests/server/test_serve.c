/* quicrig serve as a real process: what it refuses to start with, and how it lives and
 * ends. The program is beside the suites (QUICRIG_BIN). */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/pki_files.h"
#include "tests/server/server_rig.h"

#define ARGS_MAX  32
#define WAIT_MS   20000
#define TEXT_SIZE 16384

static char dir[512], program[512];

struct child {
	pid_t pid;
	int err, journal; /* what it says; what it journals */
	char said[TEXT_SIZE], lines[TEXT_SIZE];
};

static char *in_dir(const char *name)
{
	static char paths[256][600];
	static unsigned i;

	i = (i + 1) % 256;
	snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, name);
	return paths[i];
}

static void put(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(in_dir(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	chmod(in_dir(name), mode);
}

static void make_dir(void)
{
	const char *tmp = getenv("TMPDIR"), *bin = getenv("QUICRIG_BIN");
	struct registry_device d;
	struct err e = {0};
	char *text;

	snprintf(dir, sizeof(dir), "%s/quicrig-serve-XXXXXX", tmp ? tmp : P_tmpdir);
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(program, sizeof(program), "%s/quicrig-serve-test", bin ? bin : ".");
	ck_assert_msg(pki_files_write(in_dir("pki"), test_pki(), &e) == 0, "%s", e.text);
	memset(&d, 0, sizeof(d));
	snprintf(d.uuid, sizeof(d.uuid), "%s", test_uuids[0]);
	snprintf(d.device_type, sizeof(d.device_type), "thermometer");
	snprintf(d.serial_id, sizeof(d.serial_id), "1");
	snprintf(d.network_type, sizeof(d.network_type), "Mobile");
	snprintf(d.network_id, sizeof(d.network_id), "214070000000001");
	snprintf(d.msisdn, sizeof(d.msisdn), "+34600000001");
	snprintf(d.methods[0], sizeof(d.methods[0]), "SMS");
	text = registry_dump(&d, 1);
	put("registry.json", text, 0600);
	free(text);
	put("bad.json", "{\"version\": 1,\n \"devices\": [{\"uuid\": 7}]}", 0600);
	put("rubbish.pem", "rubbish\n", 0600);
	put("open-key.pem", test_pki()->token_key, 0644);
	put("other-cert.pem", test_pki()->fleet.cert, 0600);
	put("text.db", "this is no database, but it is long enough to be looked at as one\n", 0600);
}

static void remove_dir(void)
{
	char command[600];

	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(command), 0);
}

static void start(struct child *c, const char *const *args)
{
	const char *argv[ARGS_MAX] = {program};
	int err[2], journal[2];

	memset(c, 0, sizeof(*c));
	for (int i = 0; args[i]; i++)
		argv[i + 1] = args[i];
	ck_assert_int_eq(pipe(err), 0);
	ck_assert_int_eq(pipe(journal), 0);
	c->pid = fork();
	if (c->pid == 0) {
		int fd = fcntl(journal[1], F_DUPFD, 10);

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves nobody behind */
		dup2(err[1], 2);
		dup2(fd, 3);
		for (fd = 4; fd < 64; fd++)
			close(fd);
		execv(program, (char *const *)(uintptr_t)argv);
		_exit(99);
	}
	close(err[1]);
	close(journal[1]);
	c->err = err[0];
	c->journal = journal[0];
}

static void take(int *fd, char *text)
{
	size_t len = strlen(text);
	ssize_t n = read(*fd, text + len, TEXT_SIZE - 1 - len);

	if (n > 0) {
		text[len + (size_t)n] = '\0';
	} else {
		close(*fd);
		*fd = -1;
	}
}

/* Reads on until `what` stands in `text`; false at the end of everything. */
static bool until(struct child *c, const char *text, const char *what)
{
	while (!strstr(text, what) && (c->err >= 0 || c->journal >= 0)) {
		struct pollfd p[2] = {{.fd = c->err, .events = POLLIN}, {.fd = c->journal, .events = POLLIN}};

		ck_assert_msg(poll(p, 2, WAIT_MS) > 0, "no '%s' in: %s%s", what, c->said, c->lines);
		if (p[0].revents)
			take(&c->err, c->said);
		if (p[1].revents)
			take(&c->journal, c->lines);
	}
	return strstr(text, what) != NULL;
}

static int end(struct child *c)
{
	int status;

	until(c, c->said, "no such words");
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define GOOD "--registry", in_dir("registry.json"), "--db", in_dir("s.db"), "--pki", in_dir("pki"), "--listen", "127.0.0.1:0"
#define SMS  "--sms", "unix:/nonexistent/gateway"

START_TEST(refuses)
{
	const char *const rows[][2 + ARGS_MAX] = {
		/* exit code and words, then arguments */
		{"0", "", "--help"},
		{"2", "--registry FILE is missing", "--db", "x"},
		{"2", "--db FILE is missing", "--registry", "x"},
		{"2", "--pki DIR is missing", "--registry", "x", "--db", "x", SMS},
		{"2", "--sms unix:PATH is missing", GOOD},
		{"2", "wants unix:PATH or file:PATH", GOOD, "--sms", "tcp:1"},
		{"2", "needs --lab", GOOD, "--sms", "file:x"},
		{"2", "needs --lab", GOOD, SMS, "--clock-offset", "-5"},
		{"2", "wanted are milliseconds", GOOD, SMS, "--lab", "--clock-offset", "1h"},
		{"2", "what is 'junk'", GOOD, SMS, "junk"},
		{"2", "unrecognized option", GOOD, SMS, "--frob"},
		{"2", "--set", GOOD, SMS, "--set", "no_such_setting=1s"},
		{"2", "--set", GOOD, SMS, "--set", "access_ttl=soon"},
		{"2", "device's setting", GOOD, SMS, "--set", "code_wait=1s"},
		{"2", "--listen", GOOD, SMS, "--listen", "somewhere"},
		{"2", "registry", GOOD, SMS, "--registry", in_dir("nowhere.json")},
		{"2", "bad.json:2", GOOD, SMS, "--registry", in_dir("bad.json")},
		{"2", "nopki", GOOD, SMS, "--pki", in_dir("nopki")},
		{"2", "not PEM", GOOD, SMS, "--token-key", in_dir("rubbish.pem")},
		{"2", "cannot read the certificate", GOOD, SMS, "--cert", in_dir("nowhere.pem")},
		{"2", "belong", GOOD, SMS, "--cert", in_dir("other-cert.pem")},
		{"2", "not 64 hex", GOOD, SMS, "--store-key", in_dir("rubbish.pem")},
		{"3", "others may read the token key", GOOD, SMS, "--token-key", in_dir("open-key.pem")},
		{"3", "damaged", GOOD, SMS, "--db", in_dir("text.db")},
		{"3", "cannot open database", GOOD, SMS, "--db", in_dir("no/such/folder/s.db")},
		{"3", "no such address", GOOD, SMS, "--listen", "192.0.2.77:0"},
		{"2", "--journal-fd", GOOD, SMS, "--journal-fd", "63"},
		{"2", "no 32 bytes", GOOD, SMS, "--run-key-fd", "62"},
		{"2", "path of a socket", GOOD, "--sms",
		 "unix:/a/very/long/path/a/very/long/path/a/very/long/path/a/very/long/path/a/very/long/path/a/very/long/path/"
		 "a/very/long/path"},
		{"2", "is no socket", GOOD, SMS, "--control", NULL},
	};
	size_t n = sizeof(rows) / sizeof(rows[0]);
	char control[700];

	snprintf(control, sizeof(control), "unix:%s", in_dir("registry.json"));
	for (size_t i = 0; i < n; i++) {
		const char *args[ARGS_MAX] = {NULL};
		struct child c;
		int code;

		for (int k = 0; rows[i][k + 2]; k++)
			args[k] = rows[i][k + 2];
		if (i == n - 1) {
			int k = 0;

			while (args[k])
				k++;
			args[k] = control;
		}
		start(&c, args);
		code = end(&c);
		ck_assert_msg(code == atoi(rows[i][0]), "row %zu: exit %d, not %s: %s", i, code, rows[i][0], c.said);
		ck_assert_msg(strstr(c.said, rows[i][1]) != NULL, "row %zu: no '%s' in: %s", i, rows[i][1], c.said);
		ck_assert_ptr_null(strstr(c.lines, "ready"));
	}
}
END_TEST

static int port_of(const struct child *c)
{
	const char *p = strstr(c->lines, "\"port\":");

	return p ? atoi(p + 7) : 0;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", path);
	ck_assert_msg(connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0, "%s", strerror(errno));
	return fd;
}

static const char *say(int fd, const char *line)
{
	static char answer[4096];
	size_t len = 0;

	if (*line)
		ck_assert_int_eq(write(fd, line, strlen(line)), (ssize_t)strlen(line));
	do {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		ck_assert_int_gt(poll(&p, 1, WAIT_MS), 0);
		n = read(fd, answer + len, sizeof(answer) - 1 - len);
		ck_assert_int_gt(n, 0);
		len += (size_t)n;
	} while (answer[len - 1] != '\n');
	answer[len] = '\0';
	return answer;
}

START_TEST(lives_and_ends)
{
	char control[700], sms[700], listen[40];
	const char *const args[] = {GOOD, "--lab", "--sms", sms, "--control", control, "--journal-fd", "3", NULL};
	const char *const same_port[] = {GOOD, SMS, "--listen", listen, "--db", in_dir("t.db"), NULL};
	struct child c, other;
	struct stat st;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	snprintf(sms, sizeof(sms), "file:%s", in_dir("sms.txt"));
	start(&c, args);
	ck_assert(until(&c, c.lines, "\"kind\":\"server.state\""));
	ck_assert(until(&c, c.said, "listening on 127.0.0.1:"));
	/* the first line */
	ck_assert_ptr_nonnull(strstr(c.lines, "\"kind\":\"ready\""));
	ck_assert(strstr(c.lines, "\"kind\":\"ready\"") < strchr(c.lines, '\n'));
	ck_assert_int_gt(port_of(&c), 0);
	ck_assert_int_eq(stat(in_dir("control"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(in_dir("sms.txt"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(stat(in_dir("s.db"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);

	/* a second one: the database, the port */
	start(&other, args);
	ck_assert_int_eq(end(&other), 3);
	ck_assert_ptr_nonnull(strstr(other.said, "in use by another server"));
	snprintf(listen, sizeof(listen), "127.0.0.1:%d", port_of(&c));
	start(&other, same_port);
	ck_assert_int_eq(end(&other), 3);
	ck_assert_ptr_nonnull(strstr(other.said, "busy"));

	fd = connect_to(in_dir("control"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"stats\"}\n"), "\"devices\":1"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"reload\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "nonsense\n"), "\"ok\":false"));
	put("registry.json", "{", 0600);
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"reload\"}\n"), "\"ok\":false"));
	kill(c.pid, SIGHUP);
	ck_assert(until(&c, c.said, "registry.json"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"list\"}\n"), test_uuids[0])); /* keeps the old one */
	close(fd);

	kill(c.pid, _i ? SIGINT : SIGTERM);
	ck_assert_int_eq(end(&c), 0);
	ck_assert_ptr_nonnull(strstr(c.lines, "\"state\":\"down\""));
	ck_assert_int_ne(stat(in_dir("control"), &st), 0);
}
END_TEST

static long ticks_of(pid_t pid)
{
	char path[64], text[1024], *p;
	unsigned long user, system;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	p = strrchr(text, ')');
	ck_assert_ptr_nonnull(p);
	ck_assert_int_eq(sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system), 2);
	return (long)(user + system);
}

/* Without a descriptor for an operator the server waits for one, and does not spin. */
START_TEST(no_descriptor_left)
{
	char control[700];
	const char *const args[] = {GOOD, SMS, "--control", control, "--journal-fd", "3", NULL};
	struct timespec nap = {.tv_nsec = 600 * 1000 * 1000};
	struct rlimit few = {0}, enough;
	struct child c;
	long before;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	start(&c, args);
	ck_assert(until(&c, c.lines, "\"up\""));
	ck_assert_int_eq(prlimit(c.pid, RLIMIT_NOFILE, NULL, &enough), 0);
	few.rlim_max = enough.rlim_max;
	ck_assert_int_eq(prlimit(c.pid, RLIMIT_NOFILE, &few, NULL), 0);
	fd = connect_to(in_dir("control"));
	before = ticks_of(c.pid);
	nanosleep(&nap, NULL);
	ck_assert_int_lt(ticks_of(c.pid) - before, sysconf(_SC_CLK_TCK) / 10);
	ck_assert_int_eq(prlimit(c.pid, RLIMIT_NOFILE, &enough, NULL), 0);
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"stats\"}\n"), "\"devices\":1"));
	close(fd);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(end(&c), 0);
}
END_TEST

/* The operator hears that a reload did not reach the disk, and the old registry stays. */
START_TEST(reload_on_a_full_disk)
{
	char control[700], line[200];
	const char *const args[] = {GOOD, SMS, "--lab", "--control", control, "--journal-fd", "3", NULL};
	struct child c;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	start(&c, args);
	ck_assert(until(&c, c.lines, "\"up\""));
	fd = connect_to(in_dir("control"));
	snprintf(line, sizeof(line), "{\"do\":\"command\",\"uuid\":\"%s\",\"command\":{\"name\":\"RESET\"}}\n", test_uuids[0]);
	ck_assert_ptr_nonnull(strstr(say(fd, line), "\"ok\":true"));
	put("registry.json", "{\"version\": 1, \"devices\": []}", 0600);
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disk\",\"what\":\"full\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"reload\"}\n"), "storage failed"));
	kill(c.pid, SIGHUP);
	ck_assert(until(&c, c.said, "the registry that was there stays"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"reload\"}\n"), "\"retry\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"list\"}\n"), test_uuids[0]));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disk\",\"what\":\"sound\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"reload\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"commands\"}\n"), "\"commands\":[]"));
	close(fd);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(end(&c), 0);
}
END_TEST

/* What the journal lacks when the answer is there, a kill could lose. */
START_TEST(journal_before_control)
{
	char control[700];
	const char *const args[] = {GOOD, SMS, "--control", control, "--journal-fd", "3", NULL};
	const char *const verbs[] = {"disable", "enable"};
	struct child c;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	start(&c, args);
	ck_assert(until(&c, c.lines, "\"up\""));
	fd = connect_to(in_dir("control"));
	for (int i = 0; i < 100; i++) {
		struct pollfd p = {.fd = c.journal, .events = POLLIN};
		char line[200];

		c.lines[0] = '\0';
		snprintf(line, sizeof(line), "{\"do\":\"%s\",\"uuid\":\"%s\"}\n", verbs[i % 2], test_uuids[0]);
		ck_assert_ptr_nonnull(strstr(say(fd, line), "\"ok\":true"));
		ck_assert_int_eq(poll(&p, 1, 0), 1);
		take(&c.journal, c.lines);
		ck_assert_ptr_nonnull(strstr(c.lines, verbs[i % 2]));
	}
	/* whoever asks and closes its side gets the answer all the same */
	ck_assert_int_eq(write(fd, "{\"do\":\"stats\"}\n", 15), 15);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	ck_assert_ptr_nonnull(strstr(say(fd, ""), "\"ok\":true"));
	close(fd);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(end(&c), 0);
}
END_TEST

/* A client that asks and asks and reads nothing is dropped; the others are served. */
START_TEST(deaf_operator)
{
	char control[700], part[4096];
	const char *const args[] = {GOOD, SMS, "--control", control, NULL};
	struct child c;
	ssize_t n;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	start(&c, args);
	ck_assert(until(&c, c.said, "listening"));
	fd = connect_to(in_dir("control"));
	for (int i = 0; i < 20000; i++)
		if (send(fd, "{\"do\":\"stats\"}\n", 15, MSG_NOSIGNAL) != 15)
			break;
	do
		n = read(fd, part, sizeof(part));
	while (n > 0);
	ck_assert_int_le(n, 0); /* its end came */
	close(fd);
	fd = connect_to(in_dir("control"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"stats\"}\n"), "\"ok\":true"));
	close(fd);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(end(&c), 0);
}
END_TEST

START_TEST(a_lab_without_a_journal)
{
	char control[700], sms[700];
	const char *const args[] = {GOOD, "--lab", "--sms", sms, "--control", control, NULL};
	struct child c;
	struct stat st;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	snprintf(sms, sizeof(sms), "file:%s", in_dir("sms.txt"));
	put("sms.txt", "", 0644); /* codes go there: ours alone from now on */
	start(&c, args);
	ck_assert(until(&c, c.said, "listening"));
	ck_assert_int_eq(stat(in_dir("sms.txt"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	fd = connect_to(in_dir("control"));
	ck_assert_ptr_nonnull(strstr(
		say(fd, "{\"do\":\"fault\",\"fault\":{\"name\":\"f\",\"on\":\"server.reply\",\"do\":\"kill\"}}\n"),
		"faults need a journal"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"clock-offset\",\"ms\":9223372036854775807}\n"), "\"ok\":false"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"list\",\"from\":\"x\"}\n"), "\"ok\":false"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"list\",\"limit\":null}\n"), "\"ok\":false"));
	close(fd);
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(end(&c), 0);
}
END_TEST

/* A second server on one database exits, and says why; the first one goes on. */
START_TEST(a_second_server)
{
	const char *const args[] = {GOOD, SMS, NULL};
	struct child first, second;

	start(&first, args);
	ck_assert(until(&first, first.said, "listening"));
	start(&second, args);
	ck_assert_int_eq(end(&second), 3);
	ck_assert_ptr_nonnull(strstr(second.said, "in use by another server"));
	kill(first.pid, SIGTERM);
	ck_assert_int_eq(end(&first), 0);
}
END_TEST

/* A disk that fails is spoken of at once, and when it is well again. */
START_TEST(a_disk_that_fails_is_spoken_of)
{
	char control[700];
	const char *const args[] = {GOOD, SMS, "--lab", "--clock-offset", "-86400000", "--control", control, "--journal-fd", "3", NULL};
	struct child c;
	int fd;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	start(&c, args);
	ck_assert(until(&c, c.said, "listening"));
	fd = connect_to(in_dir("control"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disk\",\"what\":\"full\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}\n"),
				     "storage failed"));
	ck_assert(until(&c, c.said, "fails (database or disk is full): requests are answered 503"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disk\",\"what\":\"sound\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}\n"),
				     "\"ok\":true"));
	ck_assert(until(&c, c.said, "works again"));
	/* a failed fsync is the end */
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"disk\",\"what\":\"sync\"}\n"), "\"ok\":true"));
	ck_assert_ptr_nonnull(strstr(say(fd, "{\"do\":\"enable\",\"uuid\":\"ee9f2110-5843-11e9-a9ba-139bd26c8b4b\"}\n"),
				     "storage failed"));
	ck_assert(until(&c, c.said, "fails; stopping"));
	close(fd);
	ck_assert_int_eq(end(&c), 3);
}
END_TEST

START_TEST(killed_and_back)
{
	char control[700], sms[700];
	const char *const args[] = {GOOD, "--lab", "--sms", sms, "--control", control, "--journal-fd", "3", NULL};
	struct child c;

	snprintf(control, sizeof(control), "unix:%s", in_dir("control"));
	snprintf(sms, sizeof(sms), "file:%s", in_dir("sms.txt"));
	for (int i = 0; i < 3; i++) {
		start(&c, args);
		ck_assert(until(&c, c.lines, i ? "\"recovered\"" : "\"up\""));
		kill(c.pid, SIGKILL);
		ck_assert_int_eq(end(&c), -SIGKILL);
	}
}
END_TEST

START_TEST(gateway_comes_and_goes)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char sms[700];
	const char *const args[] = {GOOD, "--sms", sms, "--journal-fd", "3", NULL};
	struct child c;
	int listener, fd;

	snprintf(sms, sizeof(sms), "unix:%s", in_dir("gateway"));
	start(&c, args);
	ck_assert(until(&c, c.said, "trying on"));
	snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", in_dir("gateway"));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(listener, 4), 0);
	for (int i = 0; i < 2; i++) {
		struct pollfd p = {.fd = listener, .events = POLLIN};

		ck_assert_int_gt(poll(&p, 1, WAIT_MS), 0);
		fd = accept(listener, NULL, NULL);
		ck_assert_int_eq(write(fd, "{\"id\":\"x\",\"status\":\"queued\"}\nrubbish\n", 37), 37);
		close(fd); /* it comes again */
	}
	kill(c.pid, SIGTERM);
	ck_assert_int_eq(end(&c), 0);
	close(listener);
}
END_TEST

START_TEST(journal_reader_gone)
{
	const char *const args[] = {GOOD, SMS, "--journal-fd", "3", NULL};
	struct child c;

	start(&c, args);
	ck_assert(until(&c, c.lines, "\"up\""));
	close(c.journal);
	c.journal = -1;
	kill(c.pid, SIGHUP); /* a line to write: the operator's reload */
	ck_assert(until(&c, c.said, "nobody reads the journal"));
	ck_assert_int_eq(end(&c), 3);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("serve");
	TCase *t = tcase_create("serve");
	SRunner *sr;
	int failed;

	tcase_set_timeout(t, 90);
	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, refuses);
	tcase_add_loop_test(t, lives_and_ends, 0, 2);
	tcase_add_test(t, journal_before_control);
	tcase_add_test(t, no_descriptor_left);
	tcase_add_test(t, reload_on_a_full_disk);
	tcase_add_test(t, deaf_operator);
	tcase_add_test(t, a_lab_without_a_journal);
	tcase_add_test(t, a_second_server);
	tcase_add_test(t, a_disk_that_fails_is_spoken_of);
	tcase_add_test(t, killed_and_back);
	tcase_add_test(t, gateway_comes_and_goes);
	tcase_add_test(t, journal_reader_gone);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
