/* The SMS path of the bench: takes the server's SMS on its Unix socket, says queued and
 * submitted at once, and hands the text over without any modem. A short-cut, and the
 * bench says so. */
#ifndef BENCH_SHORT_GATEWAY_H
#define BENCH_SHORT_GATEWAY_H

#include <ev.h>

#include "core/err.h"

struct short_gateway;

struct short_gateway *short_gateway_new(struct ev_loop *loop, const char *path,
				      void (*text)(void *ctx, const char *uuid, const char *text), void *ctx,
				      struct err *e);
void short_gateway_free(struct short_gateway *g);

#endif
