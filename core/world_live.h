/* The live world: real clocks, UDP, files and randomness, around one libev loop.
 *
 * One wake-up of the loop is one turn: the clocks are read once, every datagram and
 * descriptor that is ready is handled, then each actor's `turn` is called once (expire,
 * commit, output), what it wrote leaves, and one timer is armed for the earliest
 * deadline. Used by `quicrig serve`, by the runner's fleet and by `quicrig device`. */
#ifndef CORE_WORLD_LIVE_H
#define CORE_WORLD_LIVE_H

#include <stdbool.h>

#include "core/err.h"
#include "core/world.h"

/* ---- clocks, randomness, files ---- */

/* CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME. */
void live_clock(struct instant *out);
/* /proc/sys/kernel/random/boot_id: another boot, another text. 0 or ERR_ENVIRONMENT. */
#define LIVE_BOOT_ID_LEN 36
int live_boot_id(char out[LIVE_BOOT_ID_LEN + 1], struct err *e);
/* gnutls_rnd; never fails (without randomness the process ends). Not freed. */
struct secret_source *live_secret(void);
/* Files of mode 0600 in one folder, which is made (0700) where it is missing; its parent
 * must be there. NULL and `e` on error: ERR_ENVIRONMENT. */
struct storage *live_storage_new(const char *folder, struct err *e);
void live_storage_free(struct storage *st);

/* ---- UDP ---- */

struct live_socket;
/* `port` 0 of `bind` takes any. With `server` a wildcard address answers from the very
 * address that a datagram came to. NULL and `e`: ERR_BUSY (port taken), ERR_ENVIRONMENT. */
struct live_socket *live_socket_open(const struct addr *bind, bool server, struct err *e);
void live_socket_close(struct live_socket *s);			   /* after live_detach */
const struct addr *live_socket_local(const struct live_socket *s); /* as bound, with its port */
struct live_socket_stats {
	uint64_t sent, received; /* datagrams */
	uint64_t send_calls, receive_calls;
	uint64_t send_errors;		 /* datagrams that the kernel refused: lost */
	uint64_t full;			 /* times that the socket took no more */
	int send_buffer, receive_buffer; /* bytes that the kernel granted */
};
void live_socket_stats(const struct live_socket *s, struct live_socket_stats *out);

/* ---- the loop ---- */

struct ev_loop; /* libev's; other descriptors, children and signals ride on it directly */
struct live_loop;
struct live_actor;

struct live_turn {
	/* may be NULL without a socket */
	void (*datagram)(void *ctx, const struct instant *at, const struct addr *local,
			 const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len);
	/* once at the end of every turn; `sink` is NULL without a socket. When its space()
	 * is NULL, there will be another turn as soon as the socket has room. */
	void (*turn)(void *ctx, const struct instant *at, struct dgram_sink *sink);
	time_ns (*deadline)(void *ctx); /* TIME_NEVER: none; asked after `turn` */
	/* datagrams handed over for `owner` (net.count); may be NULL */
	void (*sent)(void *ctx, void *owner, unsigned datagrams);
	void *ctx;
};

/* libev's default loop, so that children can be watched: one live_loop at a time. */
struct live_loop *live_loop_new(struct err *e);
void live_loop_free(struct live_loop *l); /* after every live_detach */
struct ev_loop *live_loop_ev(struct live_loop *l);
/* The instant of the present turn. */
const struct instant *live_loop_now(const struct live_loop *l);
/* Turns are taken in the order of attaching. `s` may be NULL; it is borrowed. NULL: no memory. */
struct live_actor *live_attach(struct live_loop *l, const struct live_turn *t, struct live_socket *s);
/* From within the actor's own `turn`, or outside of any. */
void live_detach(struct live_actor *a);
void live_loop_run(struct live_loop *l);  /* until live_loop_stop */
void live_loop_once(struct live_loop *l); /* ends a turn, sleeps, handles what is ready then */
void live_loop_stop(struct live_loop *l);
/* The worst since the last call of how late a timer fired and of how long a turn took, so
 * that what it was asked to do, or to send, was done that late: the harness's own lag. libev
 * counts in milliseconds, so up to one of them is no lag. */
time_ns live_loop_take_lag(struct live_loop *l);
/* From now on it wakes every LIVE_BEAT_NS at least, so that it sees that it was held up also
 * where no timer was due. */
#define LIVE_BEAT_NS (100 * NS_PER_MS)
void live_loop_watch(struct live_loop *l);

#endif
