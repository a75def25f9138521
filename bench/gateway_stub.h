/* The SMS path of the bench: takes the server's SMS on its Unix socket, says queued and
 * submitted at once, and hands the text over without any modem. A short-cut, and the
 * bench says so. */
#ifndef BENCH_GATEWAY_STUB_H
#define BENCH_GATEWAY_STUB_H

#include <ev.h>

#include "core/err.h"

struct gateway_stub;

struct gateway_stub *gateway_stub_new(struct ev_loop *loop, const char *path,
				      void (*text)(void *ctx, const char *uuid, const char *text), void *ctx,
				      struct err *e);
void gateway_stub_free(struct gateway_stub *g);

#endif
