/* A growing byte buffer with a hard maximum. Always NUL-terminated behind `len`. */
#ifndef CORE_BUF_H
#define CORE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *data; /* owned; NULL until the first byte */
	size_t len, cap;
	size_t max; /* bytes that it may ever hold, the NUL not counted */
	int failed; /* sticky: first ERR_* that an append met; later appends do nothing */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_reset(struct buf *b); /* empties, keeps the memory, clears `failed` */

/* All return 0, ERR_LIMIT or ERR_NOMEM; on error nothing was appended. */
int buf_add(struct buf *b, const void *data, size_t len);
int buf_puts(struct buf *b, const char *s);
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* As %PRIu64 and %PRId64 would have it. */
int buf_u64(struct buf *b, uint64_t v);
int buf_i64(struct buf *b, int64_t v);

/* `s` as a JSON string with its quotes (RFC 8259 §7). `s` must be UTF-8. */
int buf_json_str(struct buf *b, const char *s);

/* Removes `n` bytes from the front. */
void buf_consume(struct buf *b, size_t n);

/* Hands the memory to the caller (free() it) and leaves the buffer empty. NULL when empty. */
char *buf_take(struct buf *b);

#endif
