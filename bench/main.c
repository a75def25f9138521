/* make bench: what a bootstrap costs, beside the floor that the same run measures. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/fleet_bench.h"
#include "bench/floor.h"
#include "bench/virtual_report.h"
#include "core/pki_files.h"

#define AIM     1.5 /* device and server together, in floors */
#define AT_ONCE 64
#define SIZES   8

static const char help[] =
	"usage: quicrig-bench [--quick] [--rig NAME] [--devices N]…\n"
	"\n"
	"Bootstraps a second and CPU a bootstrap over real UDP on loopback, server and devices\n"
	"in a process each, SMS short-cut past the modems; memory a device; beside the floor:\n"
	"the cryptography and the commits that those bootstraps needed, with OpenSSL's speed.\n"
	"Then the virtual rig: 1,000 devices bootstrapped, and 10,000; simulated time in real\n"
	"time for 1,000 that hold their connections; what of it the cryptography costs.\n"
	"\n"
	"  --rig NAME    loopback or virtual alone\n"
	"  --devices N   a fleet size on loopback; may be repeated (default 500 and 5000)\n"
	"  --quick       a small run, to see that it works\n";

struct wanted {
	unsigned sizes[SIZES], n; /* on loopback */
	unsigned sample;          /* whose memory is measured */
	bool loopback, virtual;
	struct virtual_sizes v;
};

/* Runs one measurement in a child: memory figures want a fresh process. */
static int apart(const struct fleet_bench *b, struct fleet_figures *out)
{
	int fd[2], status = 0;
	pid_t pid;
	ssize_t n;

	if (pipe(fd))
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct err e = {0};
		char text[800];
		int rv = fleet_bench_run(b, out, &e);

		if (rv)
			fprintf(stderr, "quicrig-bench: error: %s\n", err_format(&e, text, sizeof(text)));
		else if (write(fd[1], out, sizeof(*out)) != (ssize_t)sizeof(*out))
			rv = -1;
		_exit(rv ? 1 : 0);
	}
	close(fd[1]);
	n = read(fd[0], out, sizeof(*out));
	close(fd[0]);
	waitpid(pid, &status, 0);
	return n == (ssize_t)sizeof(*out) && status == 0 ? 0 : -1;
}

static void print_floor(const struct floor *f)
{
	printf("floor, us of CPU with OpenSSL (SQLite for the commit):\n");
	printf("  RSA-2048 sign %.0f, verify %.0f · Ed25519 sign %.0f, verify %.0f · X25519 key %.0f, derive %.0f\n",
	       f->rsa_sign, f->rsa_verify, f->ed25519_sign, f->ed25519_verify, f->x25519_key, f->x25519_derive);
	printf("  a mutual handshake %.0f on each side · a packet of %d bytes %.2f · a commit %.0f (%.0f of wall clock)\n\n",
	       floor_handshake_server(f), FLOOR_PACKET, f->packet, f->commit_cpu, f->commit_wall);
}

/* CPU-us a bootstrap that nothing can avoid: the handshakes that were made, two RS256
 * signatures, their verification by the device and one by the server, the commits. */
static double floor_device(const struct floor *f, const struct fleet_figures *r, double n)
{
	return floor_handshake_device(f) * r->handshakes / n + 2 * f->rsa_verify;
}

static double floor_server(const struct floor *f, const struct fleet_figures *r, double n)
{
	return floor_handshake_server(f) * r->handshakes / n + 2 * f->rsa_sign + f->rsa_verify +
	       f->commit_cpu * r->commits / n;
}

static double print_bootstrap(const struct floor *f, const struct fleet_figures *r, unsigned devices)
{
	double n = devices, fd = floor_device(f, r, n), fs = floor_server(f, r, n);
	double cost = (r->device_cpu_us + r->server_cpu_us) / n;

	printf("%u devices, power on to first acknowledged publish, %u under way at once: %.2f s, %.0f bootstraps/s\n",
	       devices, AT_ONCE, r->wall_s, n / r->wall_s);
	printf("  %-8s %8s %8s %7s\n", "us each", "cost", "floor", "ratio");
	printf("  %-8s %8.0f %8.0f %7.2f\n", "device", r->device_cpu_us / n, fd, r->device_cpu_us / n / fd);
	printf("  %-8s %8.0f %8.0f %7.2f\n", "server", r->server_cpu_us / n, fs, r->server_cpu_us / n / fs);
	printf("  %-8s %8.0f %8.0f %7.2f\n", "both", cost, fd + fs, cost / (fd + fs));
	printf("  a bootstrap: %.2f handshakes, %.2f requests, %.2f commits, %.1f datagrams sent, %.1f received\n\n",
	       r->handshakes / n, r->requests / n, r->commits / n, r->datagrams_sent / n, r->datagrams_received / n);
	return cost / (fd + fs);
}

static int bootstraps(const struct floor *f, const char *dir, const unsigned *sizes, unsigned n, double *ratio)
{
	double first = 0;

	for (unsigned i = 0; i < n; i++) {
		struct fleet_bench b = {.devices = sizes[i], .at_once = AT_ONCE, .dir = dir};
		struct fleet_figures r;
		double cost;

		if (apart(&b, &r))
			return -1;
		*ratio = print_bootstrap(f, &r, sizes[i]);
		cost = (r.device_cpu_us + r.server_cpu_us) / sizes[i];
		if (i)
			printf("cost a device at %u against %u: %.2f\n\n", sizes[i], sizes[0], cost / first);
		else
			first = cost;
	}
	return 0;
}

static int memory(const char *dir, unsigned devices)
{
	struct fleet_bench held = {.devices = devices, .at_once = AT_ONCE, .hold = true, .dir = dir};
	struct fleet_bench closed = {.devices = devices, .at_once = AT_ONCE, .dir = dir};
	struct fleet_figures h, c;

	if (apart(&held, &h) || apart(&closed, &c))
		return -1;
	printf("memory a provisioned device, KiB (RSS, %u devices):\n", devices);
	printf("  %-12s %8s %8s\n", "", "device", "server");
	printf("  %-12s %8.1f %8.1f\n", "connected", h.device_kib / devices, h.server_kib / devices);
	printf("  %-12s %8.1f %8.1f\n\n", "unconnected", c.device_kib / devices, c.server_kib / devices);
	return 0;
}

static int make_keys(const char *dir)
{
	struct pki_options o = {.now_s = (int64_t)time(NULL)};
	struct pki p;
	struct err e = {0};
	char path[300], text[800];
	int rv;

	memset(&p, 0, sizeof(p));
	snprintf(path, sizeof(path), "%s/keys", dir);
	rv = pki_make(&o, &p, &e);
	if (!rv)
		rv = pki_files_write(path, &p, &e);
	pki_fini(&p);
	if (rv)
		fprintf(stderr, "quicrig-bench: error: %s\n", err_format(&e, text, sizeof(text)));
	return rv;
}

static void remove_keys(const char *dir)
{
	static const char *const files[] = {"server-ca.pem", "server.pem", "server-key.pem", "device-ca.pem", "fleet.pem",
					    "fleet-key.pem", "token-key.pem", "token-public.pem", "reset.key", "store.key"};
	char path[400];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/keys/%s", dir, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/keys", dir);
	rmdir(path);
	rmdir(dir);
}

/* 0, or the exit code. */
static int options(int argc, char **argv, struct wanted *w)
{
	static const struct option known[] = {{"devices", required_argument, NULL, 'd'},
					      {"quick", no_argument, NULL, 'q'},
					      {"rig", required_argument, NULL, 'r'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	unsigned given = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (c == 'd' && given < SIZES && atoi(optarg) > 0 && atoi(optarg) <= 100000) {
			w->sizes[given++] = (unsigned)atoi(optarg);
			w->n = given;
		} else if (c == 'q') {
			w->sizes[0] = 20;
			w->sizes[1] = 60;
			w->sample = 20;
			w->v = (struct virtual_sizes){.devices = 20, .many = 60, .counted = 5, .lives_s = 180};
		} else if (c == 'r' && (strcmp(optarg, "loopback") == 0 || strcmp(optarg, "virtual") == 0)) {
			w->loopback = optarg[0] == 'l';
			w->virtual = !w->loopback;
		} else {
			fputs(help, c == 'h' ? stdout : stderr);
			return c == 'h' ? -1 : 2;
		}
	}
	return 0;
}

static int measure(const struct wanted *w, const char *dir)
{
	struct floor f;
	struct err e = {0};
	char text[800];
	double ratio = 0;

	if (floor_measure(&f, dir))
		return 1;
	print_floor(&f);
	if (w->loopback) {
		if (bootstraps(&f, dir, w->sizes, w->n, &ratio) || memory(dir, w->sample))
			return 1;
		printf("stands at %.2f floors; the aim is at most %.1f\n\n", ratio, AIM);
	}
	if (w->virtual && virtual_report(&f, &w->v, dir, &e)) {
		fprintf(stderr, "quicrig-bench: error: %s\n", err_format(&e, text, sizeof(text)));
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct wanted w = {.sizes = {500, 5000},
			   .n = 2,
			   .sample = 1000,
			   .loopback = true,
			   .virtual = true,
			   .v = {.devices = 1000, .many = 10000, .counted = 100, .lives_s = 1800}};
	char dir[] = P_tmpdir "/quicrig-bench-XXXXXX";
	int rv = options(argc, argv, &w);

	if (rv)
		return rv < 0 ? 0 : rv;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir) || make_keys(dir))
		return 3;
	rv = measure(&w, dir);
	remove_keys(dir);
	return rv;
}
