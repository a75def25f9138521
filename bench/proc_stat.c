#include "bench/proc_stat.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

double proc_cpu_us(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (pid == 0)
		clock = CLOCK_PROCESS_CPUTIME_ID;
	else if (clock_getcpuclockid(pid, &clock))
		return -1;
	if (clock_gettime(clock, &t))
		return -1;
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

long proc_rss_kib(pid_t pid)
{
	char path[64];
	long pages = -1, size;
	FILE *f;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/self/statm");
	f = fopen(path, "re");
	if (!f)
		return -1;
	if (fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = -1;
	fclose(f);
	return pages < 0 ? -1 : pages * (sysconf(_SC_PAGESIZE) / 1024);
}
