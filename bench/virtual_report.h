/* The virtual rig's figures in words. */
#ifndef BENCH_VIRTUAL_REPORT_H
#define BENCH_VIRTUAL_REPORT_H

#include "bench/floor.h"
#include "core/err.h"

struct virtual_sizes {
	unsigned devices; /* the measure of all things here */
	unsigned many;	  /* what they are compared with */
	unsigned counted; /* whose allocations are counted */
	double lives_s;	  /* how long those with a held connection live */
};

/* Measures and prints. 0 or ERR_*. */
int virtual_report(const struct floor *f, const struct virtual_sizes *s, const char *dir, struct err *e);

#endif
