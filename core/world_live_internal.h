/* Between the loop and the sockets of the live world; nobody else includes it. */
#ifndef CORE_WORLD_LIVE_INTERNAL_H
#define CORE_WORLD_LIVE_INTERNAL_H

#include "core/world_live.h"

typedef void live_datagram_fn(void *ctx, const struct instant *at, const struct addr *local,
			      const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len);

int live_socket_fd(const struct live_socket *s);
struct dgram_sink *live_socket_sink(struct live_socket *s);
void live_socket_on_sent(struct live_socket *s, void (*sent)(void *ctx, void *owner, unsigned n), void *ctx);
/* Everything that is there, up to a bound that leaves timers their turn. */
void live_socket_receive(struct live_socket *s, const struct instant *at, live_datagram_fn *fn, void *ctx);
/* Hands the kernel what was written. False where it took no more: watch for room. */
bool live_socket_flush(struct live_socket *s);

#endif
