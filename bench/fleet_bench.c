#include "bench/fleet_bench.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench/short_gateway.h"
#include "bench/proc_stat.h"
#include "core/hash.h"
#include "core/pki_files.h"
#include "core/world_live.h"
#include "hil/run/proc.h"
#include "sim/fleet.h"

#define PATH_LEN      600
#define START_LIMIT_S 15.0
#define RUN_LIMIT_S   150.0

struct bench {
	const struct fleet_bench *b;
	struct live_loop *loop;
	struct live_socket *socket;
	struct live_actor *actor;
	struct fleet *fleet;
	struct journal *journal;
	struct short_gateway *gateway;
	struct pki pki;
	struct registry_device *ids;
	struct proc server;
	uint8_t run_key[32];
	int port;
	unsigned on, done;  /* devices powered on; of these, first publish acknowledged */
	bool *acknowledged;
	bool failed, running;
	time_ns until;
	uint64_t handshakes, requests, sent;
	char why[200];
};

/* ---- identities ---- */

static void identify(struct registry_device *d, unsigned i)
{
	memset(d, 0, sizeof(*d));
	snprintf(d->uuid, sizeof(d->uuid), "%08x-0000-4000-8000-00000000bbbb", i);
	snprintf(d->device_type, sizeof(d->device_type), "thermometer");
	snprintf(d->serial_id, sizeof(d->serial_id), "%010u", i);
	snprintf(d->network_type, sizeof(d->network_type), "Mobile");
	snprintf(d->network_id, sizeof(d->network_id), "21401%010u", i);
	snprintf(d->msisdn, sizeof(d->msisdn), "+3469%07u", i);
	strcpy(d->methods[0], "SMS");
}

static int write_registry(struct bench *b, const char *path, struct err *e)
{
	char *text = registry_dump(b->ids, b->b->devices);
	FILE *f = fopen(path, "we");
	bool ok = text && f && fputs(text, f) >= 0;

	if (f && fclose(f))
		ok = false;
	free(text);
	return ok ? 0 : err_set(e, ERR_IO, "cannot write %s", path);
}

/* ---- the fleet's side ---- */

/* Keeps `at_once` devices under way; true where one was powered on. */
static bool power_more(struct bench *b, const struct instant *at)
{
	unsigned before = b->on;

	while (b->running && b->on < b->b->devices && b->on - b->done < b->b->at_once)
		fleet_power_on(b->fleet, at, b->on++);
	return b->on != before;
}

static void on_text(void *ctx, const char *uuid, const char *text)
{
	struct bench *b = ctx;

	fleet_sms(b->fleet, live_loop_now(b->loop), uuid, "bench", text);
}

/* Counts by the journal, as everybody does. */
static void on_event(void *ctx, const struct journal_event *ev)
{
	struct bench *b = ctx;
	int i;

	if (ev->kind == J_HANDSHAKE_DONE)
		b->handshakes++;
	if (ev->kind == J_DEVICE_REQUEST)
		b->requests++;
	if (ev->kind != J_DEVICE_STATE)
		return;
	if (strcmp(journal_text(ev, JF_TO), "IDLE") == 0 && !b->failed) {
		b->failed = true;
		snprintf(b->why, sizeof(b->why), "%s went IDLE by %s", ev->actor, journal_text(ev, JF_ROW));
	}
	if (strcmp(journal_text(ev, JF_ROW), "PV.200") != 0)
		return;
	i = fleet_find(b->fleet, ev->dev);
	if (i >= 0 && !b->acknowledged[i]) {
		b->acknowledged[i] = true;
		b->done++;
	}
}

static void datagram(void *ctx, const struct instant *at, const struct addr *local, const struct addr *remote,
		     unsigned ecn, const uint8_t *data, size_t len)
{
	fleet_datagram(((struct bench *)ctx)->fleet, at, local, remote, ecn, data, len);
}

static void turn(void *ctx, const struct instant *at, struct dgram_sink *sink)
{
	struct bench *b = ctx;

	if (!b->fleet)
		return;
	do
		fleet_turn(b->fleet, at, sink);
	while (power_more(b, at)); /* who is done in a turn makes room in that turn */
	if (b->running && (b->done == b->b->devices || b->failed || at->now >= b->until))
		live_loop_stop(b->loop);
}

static time_ns deadline(void *ctx)
{
	struct bench *b = ctx;

	if (!b->fleet)
		return TIME_NEVER;
	return b->running ? time_min(fleet_deadline(b->fleet), b->until) : fleet_deadline(b->fleet);
}

static int make_fleet(struct bench *b, struct err *e)
{
	struct fleet_config fc = {.cert = b->pki.fleet.cert,
				  .key = b->pki.fleet.key,
				  .server_ca = b->pki.server_ca.cert,
				  .server_name = "127.0.0.1",
				  .server_keys = (const char *const[]){b->pki.token_public, NULL},
				  .local = *live_socket_local(b->socket),
				  .seed = 1,
				  .run_key = b->run_key,
				  .secret = live_secret(),
				  .journal = b->journal};
	char text[40], label[40];

	settings_rig(&fc.settings);
	snprintf(text, sizeof(text), "127.0.0.1:%d", b->port);
	addr_parse(text, &fc.server);
	b->fleet = fleet_new(&fc, e);
	for (unsigned i = 0; b->fleet && i < b->b->devices; i++) {
		struct fleet_device_config dc = {
			.label = label, .identity = b->ids[i], .methods = {"SMS"}, .hold = b->b->hold};
		int rv;

		snprintf(label, sizeof(label), "A[%u]", i + 1);
		rv = fleet_add(b->fleet, &dc, e);
		if (rv < 0)
			return rv;
	}
	return b->fleet ? 0 : e->code;
}

/* ---- the server's side ---- */

static int start_server(struct bench *b, struct err *e)
{
	char self[PATH_LEN], registry[PATH_LEN], db[PATH_LEN], keys[PATH_LEN], sms[PATH_LEN], control[PATH_LEN];
	char log[PATH_LEN];
	const char *argv[] = {self, "serve", "--listen", "127.0.0.1:0", "--registry", registry, "--db", db, "--pki", keys,
			      "--sms", sms, "--control", control, "--journal-fd", "3", "--set", "sms_interval=1s", "--set",
			      "sms_per_10min=off", "--set", "sms_per_day=off", "--set", "fleet_sms_per_day=off", NULL};
	int fd, rv;

	snprintf(self, sizeof(self), "%s", proc_sibling("quicrig"));
	snprintf(registry, sizeof(registry), "%s/registry.json", b->b->dir);
	snprintf(db, sizeof(db), "%s/server.db", b->b->dir);
	snprintf(keys, sizeof(keys), "%s/keys", b->b->dir);
	snprintf(sms, sizeof(sms), "unix:%s/sms", b->b->dir);
	snprintf(control, sizeof(control), "unix:%s/control", b->b->dir);
	snprintf(log, sizeof(log), "%s/journal.jsonl", b->b->dir);
	rv = write_registry(b, registry, e);
	if (rv)
		return rv;
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set(e, ERR_IO, "%s: %s", log, strerror(errno));
	rv = proc_start(&b->server, live_loop_ev(b->loop), argv, (struct proc_fd[]){{fd, 3}, {fd, 2}}, 2, e);
	close(fd);
	return rv;
}

/* The journal's first line says the port. */
static int wait_ready(struct bench *b, struct err *e)
{
	char log[PATH_LEN], line[512], *at;

	snprintf(log, sizeof(log), "%s/journal.jsonl", b->b->dir);
	for (int i = 0; i < (int)(START_LIMIT_S * 100); i++) {
		FILE *f = fopen(log, "re");

		if (f && fgets(line, sizeof(line), f) && (at = strstr(line, "\"port\":")))
			b->port = atoi(at + 7);
		if (f)
			fclose(f);
		if (b->port)
			return 0;
		usleep(10000);
	}
	return err_set(e, ERR_TIMEOUT, "the server was not ready after %.0f s", START_LIMIT_S);
}

static double server_commits(struct bench *b)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	char answer[4096] = "", *at;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t n = 0;

	snprintf(a.sun_path, sizeof(a.sun_path), "%.90s/control", b->b->dir);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && write(fd, "{\"do\":\"stats\"}\n", 15) == 15)
		n = read(fd, answer, sizeof(answer) - 1);
	if (fd >= 0)
		close(fd);
	answer[n > 0 ? n : 0] = '\0';
	at = strstr(answer, "\"commits\":");
	return at ? atof(at + 10) : -1;
}

/* ---- the run ---- */

static void collect(struct bench *b, struct fleet_figures *out)
{
	struct live_socket_stats net;

	live_socket_stats(b->socket, &net);
	out->handshakes = (double)b->handshakes;
	out->requests = (double)b->requests;
	out->datagrams_sent = (double)net.sent;
	out->datagrams_received = (double)net.received;
	out->commits = server_commits(b);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int measure(struct bench *b, struct fleet_figures *out, struct err *e)
{
	long device_kib = proc_rss_kib(0), server_kib = proc_rss_kib(b->server.pid);
	double device = proc_cpu_us(0), server = proc_cpu_us(b->server.pid), t;

	/* in time with the loop: its first turn reads the clocks */
	live_loop_once(b->loop);
	t = now_s();
	b->until = live_loop_now(b->loop)->now + (time_ns)(RUN_LIMIT_S * 1e9);
	b->running = true;
	live_loop_run(b->loop);
	out->wall_s = now_s() - t;
	out->device_cpu_us = proc_cpu_us(0) - device;
	out->server_cpu_us = proc_cpu_us(b->server.pid) - server;
	out->device_kib = (double)(proc_rss_kib(0) - device_kib);
	out->server_kib = (double)(proc_rss_kib(b->server.pid) - server_kib);
	b->running = false;
	collect(b, out);
	if (b->failed)
		return err_set(e, ERR_UNEXPECTED, "%s", b->why);
	if (b->done < b->b->devices)
		return err_set(e, ERR_TIMEOUT, "%u of %u devices bootstrapped in %.0f s", b->done, b->b->devices,
			       RUN_LIMIT_S);
	return 0;
}

static int set_up(struct bench *b, struct err *e)
{
	struct live_turn t = {.datagram = datagram, .turn = turn, .deadline = deadline, .ctx = b};
	char path[PATH_LEN];
	struct addr any;
	int rv;

	b->ids = calloc(b->b->devices, sizeof(*b->ids));
	b->acknowledged = calloc(b->b->devices, sizeof(*b->acknowledged));
	b->journal = journal_new(NULL, NULL);
	if (!b->ids || !b->acknowledged || !b->journal)
		return err_set(e, ERR_NOMEM, "out of memory");
	journal_set_reader(b->journal, on_event, b);
	for (unsigned i = 0; i < b->b->devices; i++)
		identify(&b->ids[i], i + 1);
	snprintf(path, sizeof(path), "%s/keys", b->b->dir);
	rv = pki_files_read(path, &b->pki, e);
	if (rv)
		return rv;
	b->loop = live_loop_new(e);
	if (!b->loop)
		return e->code;
	snprintf(path, sizeof(path), "%s/sms", b->b->dir);
	b->gateway = short_gateway_new(live_loop_ev(b->loop), path, on_text, b, e);
	addr_parse("127.0.0.1:0", &any);
	b->socket = live_socket_open(&any, false, e);
	if (!b->gateway || !b->socket)
		return e->code;
	b->actor = live_attach(b->loop, &t, b->socket);
	rv = start_server(b, e);
	if (!rv)
		rv = wait_ready(b, e);
	return rv ? rv : make_fleet(b, e);
}

static void tear_down(struct bench *b)
{
	static const char *const files[] = {"sms", "control", "registry.json", "server.db", "server.db-wal",
					    "server.db-journal", "server.db-shm", "journal.jsonl"};
	char path[PATH_LEN];

	proc_end(&b->server);
	if (b->actor)
		live_detach(b->actor);
	fleet_free(b->fleet);
	live_socket_close(b->socket);
	short_gateway_free(b->gateway);
	live_loop_free(b->loop);
	journal_free(b->journal);
	pki_fini(&b->pki);
	free(b->ids);
	free(b->acknowledged);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->b->dir, files[i]);
		unlink(path);
	}
}

int fleet_bench_run(const struct fleet_bench *fb, struct fleet_figures *out, struct err *e)
{
	struct bench b = {.b = fb};
	int rv;

	memset(out, 0, sizeof(*out));
	memset(b.run_key, 7, sizeof(b.run_key));
	rv = set_up(&b, e);
	if (!rv)
		rv = measure(&b, out, e);
	tear_down(&b);
	return rv;
}
