/* One measurement of the virtual rig: quicrig-virtual itself, as a child with a plan. */
#ifndef BENCH_VIRTUAL_BENCH_H
#define BENCH_VIRTUAL_BENCH_H

#include <stdbool.h>

#include "core/err.h"

struct virtual_bench {
	unsigned devices;
	bool hold;	 /* connection: hold; else a connection a request */
	double idle_s;	 /* idle_timeout; 0: as it is by default */
	double lives_s;	 /* simulated time once all are provisioned; they publish each 60 s */
	bool judged;	 /* through `quicrig run`: its reading, judging and writing cost too */
	bool counted;	 /* memory allocations are counted, which costs time of its own */
	const char *dir; /* everything of the run goes there, and goes again */
};

/* Of the whole run. `judged` fills the first four only. */
struct virtual_figures {
	double wall_s, user_s, sys_s;
	double rss_kib;					   /* the largest process at its largest */
	double handshakes, requests, refreshes, publishes; /* publishes: those answered 200 */
	double tokens;					   /* issued: RS256 signatures */
	double datagrams;				   /* sent and received by the devices */
	double lines, bytes;				   /* of the journal */
	double allocations;				   /* `counted` */
};

/* 0, or ERR_* with what went wrong: a run that did not settle is an error. */
int virtual_bench_run(const struct virtual_bench *b, struct virtual_figures *out, struct err *e);

/* Can allocations be counted? Not under a sanitizer, which has an allocator of its own. */
bool virtual_bench_counts(void);

#endif
