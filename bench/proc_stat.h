/* What the kernel says of a process. */
#ifndef BENCH_PROC_STAT_H
#define BENCH_PROC_STAT_H

#include <sys/types.h>

/* CPU time of all its threads so far, µs; −1 where it is gone. 0 as pid: this process. */
double proc_cpu_us(pid_t pid);
/* Resident memory, KiB; −1 where it is gone. */
long proc_rss_kib(pid_t pid);

#endif
