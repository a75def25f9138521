/* `quicrig device` as a process, against a scripted server on real UDP. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ev.h>

#include "core/msg.h"
#include "core/pki.h"
#include "core/pki_files.h"
#include "core/quic.h"
#include "core/settings.h"
#include "core/token.h"
#include "core/world_live.h"
#include "sim/device_verb.h"

static char folder[] = "device-verb-XXXXXX"; /* where the test runs */
static struct pki pki;

struct verb_server {
	struct live_loop *loop;
	struct live_socket *socket;
	struct live_actor *actor;
	struct quic_credentials *credentials;
	struct quic_endpoint *quic;
	struct token_signer *signer;
	char kid[KID_MAX + 1], code[65];
	int register_code;
	const char *unix_path; /* where a code goes when a device registers; NULL: nowhere */
	unsigned requests[MSG_RESOURCES];
	ev_child child;
	int status;
};

static char *one_token(struct verb_server *s, const char *uuid, enum token_use use)
{
	struct token_claims c = {.use = use, .has_iat = true, .iat = 1700000000};
	char *token = NULL;

	snprintf(c.sub, sizeof(c.sub), "%s", uuid);
	snprintf(c.kid, sizeof(c.kid), "%s", s->kid);
	ck_assert_int_eq(token_sign(s->signer, &c, &token, NULL), 0);
	return token;
}

static json_t *payload_for(struct verb_server *s, const struct msg_request *r)
{
	char *a, *b;
	json_t *p;

	if (r->resource == MSG_REGISTER)
		return json_pack("{s:s, s:s, s:{s:i}}", "serverPublicKey", pki.token_public, "twoAuthMethod", "SMS",
				 "deviceConfig", "publishInterval", 1);
	if (r->resource == MSG_PUBLISH)
		return json_pack("{s:s}", "message", "ACK");
	a = one_token(s, r->uuid, TOKEN_ACCESS);
	b = one_token(s, r->uuid, TOKEN_REFRESH);
	p = json_pack("{s:{s:s, s:s}}", "tokens", "accessToken", a, "refreshToken", b);
	free(a);
	free(b);
	return p;
}

static void hand_over(const char *path)
{
	static const char code[] = "UU12cd34EF77\n";
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_eq(write(fd, code, sizeof(code) - 1), (ssize_t)sizeof(code) - 1);
	close(fd);
}

static void on_request(void *ctx, struct quic_conn *c, int64_t stream, enum quic_request_status status,
		       const uint8_t *data, size_t len)
{
	struct verb_server *s = ctx;
	struct msg_request r;
	struct buf out;
	json_t *p;
	int code;

	ck_assert_int_eq(status, QUIC_REPLY);
	ck_assert_int_eq(msg_request_parse((const char *)data, len, 8192, 8, &r, NULL), 0);
	s->requests[r.resource]++;
	code = r.resource == MSG_REGISTER ? s->register_code : 200;
	if (r.resource == MSG_LOGIN)
		snprintf(s->code, sizeof(s->code), "%s", r.code);
	if (r.resource == MSG_REGISTER && s->unix_path)
		hand_over(s->unix_path);
	p = payload_for(s, &r);
	buf_init(&out, MSG_REPLY_MAX);
	ck_assert_int_eq(msg_response_build(code, NULL, p, NULL, -1, NULL, &out), 0);
	quic_respond(c, stream, (const uint8_t *)out.data, out.len);
	buf_fini(&out);
	json_decref(p);
	msg_request_fini(&r);
}

static void on_closed(void *ctx, struct quic_conn *c, enum quic_close_why why, uint64_t error)
{
	(void)ctx;
	(void)c;
	(void)why;
	(void)error;
}

static void datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		     unsigned ecn, const uint8_t *data, size_t len)
{
	quic_input(((struct verb_server *)ctx)->quic, at, local, remote, ecn, data, len);
}

static void turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct verb_server *s = ctx;

	if (quic_deadline(s->quic) <= at->now)
		quic_expire(s->quic, at);
	quic_output(s->quic, at, sink);
}

static time_ns deadline(void *ctx)
{
	return quic_deadline(((struct verb_server *)ctx)->quic);
}

static void on_child(struct ev_loop *loop, ev_child *w, int events)
{
	struct verb_server *s = w->data;

	(void)events;
	ev_child_stop(loop, w);
	s->status = w->rstatus;
	live_loop_stop(s->loop);
}

static void server_open(struct verb_server *s)
{
	struct quic_credentials_pem pem = {pki.server.cert, pki.server.key, pki.device_ca.cert};
	struct quic_config q = {.server = true,
				.secret = live_secret(),
				.on = {.request = on_request, .closed = on_closed},
				.ctx = s,
				.idle_timeout = 30 * NS_PER_S,
				.handshake_timeout = 10 * NS_PER_S,
				.fin_timeout = 5 * NS_PER_S,
				.message_max = 8192,
				.streams = 4,
				.stream_window = 16384,
				.half_open_retry = SETTING_OFF,
				.connections_max = SETTING_OFF,
				.connections_per_source = SETTING_OFF};
	struct live_turn t = {.datagram = datagram, .turn = turn, .deadline = deadline, .ctx = s};
	struct addr any;
	struct err e = {0};

	memset(s, 0, sizeof(*s));
	s->register_code = 200;
	s->signer = token_signer_new();
	ck_assert_int_eq(token_signer_add(s->signer, pki.token_key, s->kid, NULL), 0);
	s->credentials = quic_credentials_new(&pem, &e);
	ck_assert_msg(s->credentials != NULL, "%s", e.text);
	q.credentials = s->credentials;
	s->quic = quic_endpoint_new(&q, &e);
	addr_parse("127.0.0.1:0", &any);
	s->socket = live_socket_open(&any, true, &e);
	ck_assert_msg(s->socket != NULL, "%s", e.text);
	s->loop = live_loop_new(&e);
	s->actor = live_attach(s->loop, &t, s->socket);
}

static void server_close(struct verb_server *s)
{
	live_detach(s->actor);
	live_socket_close(s->socket);
	live_loop_free(s->loop);
	quic_endpoint_free(s->quic);
	quic_credentials_free(s->credentials);
	token_signer_free(s->signer);
}

#define ARGS_MAX  32
#define AS_DEVICE "device" /* as argv[1]: this process is the verb */

static pid_t spawn(char **argv, const char *input)
{
	int fd[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fd), 0);
	fflush(NULL);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		int null = open("/dev/null", O_WRONLY);

		dup2(fd[0], STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		close(fd[0]);
		close(fd[1]);
		/* afresh: libev's default loop would come along with what is attached to it */
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	close(fd[0]);
	if (input)
		ck_assert_int_eq(write(fd[1], input, strlen(input)), (ssize_t)strlen(input));
	close(fd[1]);
	return pid;
}

/* Runs the verb against `s` (may be NULL) with these arguments; its exit code. */
static int run(struct verb_server *s, const char *input, const char *const *args)
{
	char port[64] = "127.0.0.1:9", *argv[ARGS_MAX];
	int argc = 0, status;
	pid_t pid;

	if (s)
		addr_format(live_socket_local(s->socket), port, sizeof(port));
	argv[argc++] = (char *)"test_device_verb";
	argv[argc++] = (char *)AS_DEVICE;
	argv[argc++] = (char *)"--server";
	argv[argc++] = port;
	for (int i = 0; args[i]; i++)
		argv[argc++] = (char *)args[i];
	argv[argc] = NULL;
	pid = spawn(argv, input);
	if (!s) {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	}
	ev_child_init(&s->child, on_child, pid, 0);
	s->child.data = s;
	ev_child_start(EV_DEFAULT, &s->child);
	live_loop_run(s->loop);
	return WIFEXITED(s->status) ? WEXITSTATUS(s->status) : -1;
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(fixed_code)
{
	static struct verb_server s;

	server_open(&s);
	ck_assert_int_eq(run(&s, NULL,
			     ARGS("--pki", folder, "--code-from", "fixed:AB12cd34EF56", "--until", "PROVISIONED",
				  "--timeout", "20s")),
			 0);
	ck_assert_str_eq(s.code, "AB12cd34EF56");
	ck_assert_uint_eq(s.requests[MSG_LOGIN], 1);
	server_close(&s);
}
END_TEST

START_TEST(code_from_stdin)
{
	static struct verb_server s;

	server_open(&s);
	ck_assert_int_eq(run(&s, "\nZZ12cd34EF99\n",
			     ARGS("--pki", folder, "--until", "PROVISIONED", "--timeout", "20s")),
			 0);
	ck_assert_str_eq(s.code, "ZZ12cd34EF99"); /* came before register's reply: held */
	server_close(&s);
}
END_TEST

/* What a server writes into its --sms file: somebody else's line first. */
START_TEST(code_from_a_server_s_file)
{
	static struct verb_server s;

	server_open(&s);
	ck_assert_int_eq(run(&s,
			     "{\"id\":\"1\",\"text\":\"Code XX12cd34EF00 for 00000000. Valid 5 min.\\u000a"
			     "@00000000-5843-11e9-a9ba-139bd26c8b4b.quicrig #XX12cd34EF00 r=a1b2c3d4\"}\n"
			     "{\"id\":\"2\",\"text\":\"ZZ12cd34EF98\"}\n{\"id\":\"3\"}\n",
			     ARGS("--pki", folder, "--until", "PROVISIONED", "--timeout", "20s")),
			 0);
	ck_assert_str_eq(s.code, "ZZ12cd34EF98");
	server_close(&s);
}
END_TEST

START_TEST(code_from_a_socket)
{
	static struct verb_server s;
	char path[80], source[96];

	server_open(&s);
	snprintf(path, sizeof(path), "%s/codes", folder);
	snprintf(source, sizeof(source), "unix:%s", path);
	s.unix_path = path;
	ck_assert_int_eq(run(&s, NULL,
			     ARGS("--pki", folder, "--code-from", source, "--until", "PROVISIONED", "--timeout",
				  "20s")),
			 0);
	ck_assert_str_eq(s.code, "UU12cd34EF77");
	ck_assert_int_ne(access(path, F_OK), 0); /* it leaves nothing behind */
	server_close(&s);
}
END_TEST

START_TEST(no_code_and_state_that_stays)
{
	static struct verb_server s;
	char dir[128], journal[160], line[4096];
	bool found = false;
	FILE *f;

	snprintf(dir, sizeof(dir), "%s/state", folder);
	snprintf(journal, sizeof(journal), "%s/journal.jsonl", folder);
	server_open(&s);
	ck_assert_int_eq(run(&s, NULL,
			     ARGS("--pki", folder, "--accept-unsigned", "--code-from", "none", "--until",
				  "PROVISIONED", "--timeout", "20s", "--state-dir", dir, "--set",
				  "connection=hold")),
			 0);
	ck_assert_str_eq(s.code, "");
	ck_assert_uint_eq(s.requests[MSG_REGISTER], 1);
	/* another process, the same device */
	ck_assert_int_eq(run(&s, NULL,
			     ARGS("--pki", folder, "--until", "PROVISIONED", "--timeout", "20s", "--state-dir", dir,
				  "--journal", journal)),
			 0);
	ck_assert_uint_eq(s.requests[MSG_REGISTER], 1);
	f = fopen(journal, "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, "OFF.on_tokens") != NULL;
	fclose(f);
	ck_assert(found);
	server_close(&s);
}
END_TEST

START_TEST(refused_or_not_there)
{
	static struct verb_server s;

	server_open(&s);
	s.register_code = 403; /* unsigned */
	ck_assert_int_eq(run(&s, NULL, ARGS("--pki", folder, "--until", "PROVISIONED", "--timeout", "2s")), 1);
	ck_assert_int_eq(run(&s, NULL,
			     ARGS("--pki", folder, "--accept-unsigned", "--until", "PROVISIONED", "--timeout", "20s")),
			 1);
	ck_assert_int_eq(run(&s, NULL,
			     ARGS("--pki", folder, "--accept-unsigned", "--until", "IDLE", "--timeout", "20s")),
			 0);
	server_close(&s);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--until", "PROVISIONED", "--timeout", "1s")), 1);
}
END_TEST

START_TEST(bad_input)
{
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", "/nonexistent")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--until", "HEAVEN")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--set", "code_wait=soon")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--set", "nothing=1s")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--timeout", "30")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--code-from", "smoke")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--uuid", "me")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "surplus")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--unknown")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--timeout", "1s")), 2);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--journal", "/nonexistent/j")), 3);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--pki", folder, "--state-dir", "/nonexistent/a/b")), 3);
	ck_assert_int_eq(run(NULL, NULL, ARGS("--help")), 0);
}
END_TEST

int main(int argc, char **argv)
{
	struct pki_options o = {0};
	struct instant now;
	Suite *s;
	TCase *t;
	char command[128];
	struct err e = {0};
	SRunner *r;
	int failed;

	if (argc > 1 && strcmp(argv[1], AS_DEVICE) == 0)
		return device_main(argc - 1, argv + 1);
	live_clock(&now);
	o.now_s = now.unix_ms / 1000;
	if (!mkdtemp(folder) || rmdir(folder) || pki_make(&o, &pki, &e) || pki_files_write(folder, &pki, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	s = suite_create("device_verb");
	t = tcase_create("all");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, fixed_code);
	tcase_add_test(t, code_from_stdin);
	tcase_add_test(t, code_from_a_server_s_file);
	tcase_add_test(t, code_from_a_socket);
	tcase_add_test(t, no_code_and_state_that_stays);
	tcase_add_test(t, refused_or_not_there);
	tcase_add_test(t, bad_input);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	pki_fini(&pki);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	if (system(command))
		failed++;
	return failed ? 1 : 0;
}
