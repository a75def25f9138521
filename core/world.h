/* The one interface between the cores and whatever carries them: clock readings,
 * datagrams out, durable storage, the two random sources. Cores are called with an
 * instant and bytes; they call back only through what stands here. */
#ifndef CORE_WORLD_H
#define CORE_WORLD_H

#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#include "core/buf.h"
#include "core/time.h"

/* One reading of every clock, taken once a loop turn. `unix_ms` and `boot` may be
 * offset per actor (a stepped clock); `now` never is and never runs backwards. */
struct instant {
	time_ns now;     /* CLOCK_MONOTONIC, or virtual */
	time_ns boot;    /* CLOCK_BOOTTIME: what a code's life is measured by */
	int64_t unix_ms; /* wall clock */
};

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;
	socklen_t len;
};

int addr_equal(const struct addr *a, const struct addr *b);
/* "127.0.0.1:20190", "[::1]:20190"; port required. 0 or ERR_PARSE. Numeric only. */
int addr_parse(const char *text, struct addr *out);
char *addr_format(const struct addr *a, char *out, size_t size);

/* Where a core puts its datagrams. It asks for space, writes at most `size` bytes
 * there, and sends them; nothing is copied on the way. With `segment` > 0 the bytes
 * are several datagrams of that size, the last one shorter or equal (UDP_SEGMENT). */
struct dgram_sink {
	/* Room for one burst; NULL: the socket is full, come back at the next turn. */
	uint8_t *(*space)(struct dgram_sink *sink, size_t size);
	/* `owner` is whom the world counts the datagrams for (net.count); may be NULL. */
	void (*send)(struct dgram_sink *sink, void *owner, const struct addr *local, const struct addr *remote,
		     size_t len, size_t segment, unsigned ecn);
};

/* Random sources (contracts.md, quicrig-virtual). `secret` is gnutls_rnd on every
 * live rig; only quicrig-virtual seeds it. Choices use core/rng.h. */
struct secret_source {
	void (*fill)(struct secret_source *src, void *out, size_t len);
};

static inline void secret_fill(struct secret_source *src, void *out, size_t len)
{
	src->fill(src, out, len);
}

/* Durable storage: flat names in one folder. What was written is durable only after
 * sync; a rename only after sync_dir. Live: files. Virtual: memory that keeps, loses
 * or tears what was not synced. All return 0 (pread: bytes read) or ERR_IO,
 * ERR_NOTFOUND, ERR_LIMIT (disk full). */
struct storage {
	const struct storage_ops *ops;
};

struct storage_ops {
	int64_t (*pread)(struct storage *st, const char *name, uint64_t offset, void *out, size_t len);
	int (*pwrite)(struct storage *st, const char *name, uint64_t offset, const void *data, size_t len);
	int (*truncate)(struct storage *st, const char *name, uint64_t size); /* creates */
	int64_t (*size)(struct storage *st, const char *name);                /* ERR_NOTFOUND: no such name */
	int (*sync)(struct storage *st, const char *name);
	int (*rename)(struct storage *st, const char *from, const char *to);
	int (*remove)(struct storage *st, const char *name);
	int (*sync_dir)(struct storage *st);
};

/* The whole of `name` appended to `out`. */
int storage_read(struct storage *st, const char *name, struct buf *out);

#endif
