/* quicrig doctor: is this machine fit to run? One line a check, each with its mend. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hil/run/proc.h"
#include "hil/verbs.h"

#define DISK_MIN_MB 200
#define FILES_MIN   1024

struct check {
	const char *name;
	/* True when fit; `text` is what was found, `mend` what to do where it is not. */
	bool (*run)(char *text, size_t size);
	const char *mend;
	bool needed; /* false: only some rigs need it */
};

static bool sibling(const char *name, char *text, size_t size)
{
	const char *path = proc_sibling(name);
	bool ok = access(path, X_OK) == 0;

	snprintf(text, size, "%s %s", name, ok ? "stands beside quicrig" : "is not beside quicrig");
	return ok;
}

static bool check_virtual(char *text, size_t size)
{
	return sibling("quicrig-virtual", text, size);
}

static bool check_worker(char *text, size_t size)
{
	return sibling("quicrig-modem", text, size);
}

static bool check_udp(char *text, size_t size)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

	snprintf(text, size, "UDP on 127.0.0.1: %s", ok ? "works" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool check_pty(char *text, size_t size)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	bool ok = fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0;

	snprintf(text, size, "pseudo-terminals: %s", ok ? "work" : strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool check_files(char *text, size_t size)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r))
		return false;
	snprintf(text, size, "%llu open files allowed", (unsigned long long)r.rlim_max);
	return r.rlim_max >= FILES_MIN;
}

static bool check_disk(char *text, size_t size)
{
	struct statvfs v;
	unsigned long long mb;

	if (statvfs(".", &v)) {
		snprintf(text, size, "disk: %s", strerror(errno));
		return false;
	}
	mb = (unsigned long long)v.f_bavail * v.f_frsize >> 20;
	snprintf(text, size, "%llu MB free here", mb);
	return mb >= DISK_MIN_MB;
}

static bool check_writable(char *text, size_t size)
{
	bool ok = access(".", W_OK) == 0;

	snprintf(text, size, "reports go to out/ in this folder: %s", ok ? "writable" : strerror(errno));
	return ok;
}

static bool check_clock(char *text, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	snprintf(text, size, "the clock says %04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	return tm.tm_year + 1900 >= 2024;
}

static const struct check checks[] = {
	{"virtual rig", check_virtual, "make build", true},
	{"modem worker", check_worker, "make build (the loopback rig needs it)", false},
	{"network", check_udp, "allow UDP sockets on loopback", false},
	{"terminals", check_pty, "mount /dev/pts (devpts) and allow /dev/ptmx; the loopback rig needs it",
	 false},
	{"files", check_files, "ulimit -n 4096", true},
	{"disk", check_disk, "free some space, or run with --out elsewhere", true},
	{"folder", check_writable, "run where you may write, or with --out elsewhere", true},
	{"clock", check_clock, "set the clock: certificates are judged by it", true},
};

int doctor_main(int argc, char **argv)
{
	unsigned bad = 0;

	if (argc > 1) {
		bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;

		fputs("usage: quicrig doctor\n\nOne line a check, each with its mend. Exit 0 when fit, 3 "
		      "when not.\n",
		      help ? stdout : stderr);
		return help ? 0 : 2;
	}
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		char text[300] = "";
		bool ok = checks[i].run(text, sizeof(text));

		printf(" %s  %-12s %s\n",
		       ok		  ? "ok  "
		       : checks[i].needed ? "BAD "
					  : "warn",
		       checks[i].name, text);
		if (!ok)
			printf("       %-12s mend: %s\n", "", checks[i].mend);
		bad += !ok && checks[i].needed;
	}
	puts(bad ? "not fit yet" : "fit to run: quicrig run scenarios/");
	return bad ? 3 : 0;
}
