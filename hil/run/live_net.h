/* The links of a live rig: the same model as the virtual world's (sim/link.h), in real
 * time, between the fleet and the real sockets. Each device has a UDP socket of its own
 * towards the server, as a NAT has a port for it; rebinding gives it another one.
 *
 * Datagrams of the fleet come through a sink and wait here for their time; those of the
 * server wait likewise before the fleet sees them. ECN marks are not passed on. */
#ifndef HIL_RUN_LIVE_NET_H
#define HIL_RUN_LIVE_NET_H

#include "core/world_live.h"
#include "hil/run/links.h"

#define LIVE_NET_INSIDE "127.0.0.1:30000" /* device k speaks from port + k; nobody is bound there */
#define LIVE_NET_MAX	(65536 - 30000)	  /* devices */

struct live_net;

struct live_net_config {
	struct live_loop *loop;
	struct links *links; /* borrowed */
	struct addr server;  /* on this machine, IPv4 */
	/* the socket of device `which` is another one from now on; may be NULL */
	void (*rebound)(void *ctx, const struct instant *at, unsigned which, enum link_rebind what);
	void *ctx;
};

/* NULL and `e`: ERR_LIMIT (too many devices), ERR_NOMEM. Sockets are opened when needed. */
struct live_net *live_net_new(const struct live_net_config *c, struct err *e);
void live_net_free(struct live_net *n);
/* What the fleet is to have as its local address. */
const struct addr *live_net_inside(const struct live_net *n);

/* Where the fleet's datagrams go. */
struct dgram_sink *live_net_sink(struct live_net *n);
/* Hands over what has reached the devices by now. */
void live_net_arrive(struct live_net *n, const struct instant *at,
		     void (*datagram)(void *ctx, const struct instant *at, const struct addr *local,
				      const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len),
		     void *ctx);
/* Sends what has reached the server's end by now. */
void live_net_leave(struct live_net *n, const struct instant *at);
time_ns live_net_deadline(const struct live_net *n);
/* "" or what the operating system refused: the rig's own failure. */
const char *live_net_error(const struct live_net *n);

#endif
