/* One measurement: a server process and a fleet in this process over real UDP on
 * loopback, every device from power on to its first acknowledged publish. */
#ifndef BENCH_FLEET_BENCH_H
#define BENCH_FLEET_BENCH_H

#include <stdbool.h>

#include "core/err.h"

struct fleet_bench {
	unsigned devices;
	unsigned at_once; /* power on so many, then one for each that is done */
	bool hold;        /* connection: hold */
	const char *dir;  /* keys stand in dir/keys; everything else of the run goes there */
};

struct fleet_figures {
	double wall_s;
	double device_cpu_us, server_cpu_us; /* of all devices together */
	double handshakes, commits, datagrams_sent, datagrams_received, requests;
	double device_kib, server_kib;       /* resident memory that the devices added */
};

/* 0, or ERR_* with what went wrong: a device that did not make it is an error. */
int fleet_bench_run(const struct fleet_bench *b, struct fleet_figures *out, struct err *e);

#endif
