/* Errors: a negative code for programs, a place and a sentence for people. */
#ifndef CORE_ERR_H
#define CORE_ERR_H

#include <stdarg.h>
#include <stddef.h>

/* X(name, text). Codes are -1, -2, … in this order. */
#define ERR_TABLE(X)                                                                                           \
	X(NOMEM, "out of memory")                                                                              \
	X(INVALID, "invalid argument")                                                                         \
	X(PARSE, "malformed input")                                                                            \
	X(LIMIT, "over a limit")                                                                               \
	X(IO, "input/output error")                                                                            \
	X(NOTFOUND, "not found")                                                                               \
	X(EXISTS, "already there")                                                                             \
	X(AUTH, "not authentic")                                                                               \
	X(EXPIRED, "expired")                                                                                  \
	X(TLS, "TLS failure")                                                                                  \
	X(QUIC, "QUIC failure")                                                                                \
	X(CLOSED, "closed")                                                                                    \
	X(TIMEOUT, "timed out")                                                                                \
	X(BUSY, "busy")                                                                                        \
	X(UNEXPECTED, "not expected in this state")                                                            \
	X(UNSUPPORTED, "not supported")                                                                        \
	X(ENVIRONMENT, "environment not fit")                                                                  \
	X(INTERNAL, "internal error")

#define ERR_ENUM_ORD(name, text) ERR_ORD_##name,
enum { ERR_TABLE(ERR_ENUM_ORD) ERR_ORD_COUNT };
#define ERR_ENUM_CODE(name, text) ERR_##name = -1 - (int)ERR_ORD_##name,
enum err_code { ERR_TABLE(ERR_ENUM_CODE) ERR_NONE_ = 0 };

/* What went wrong and where. Zero-initialise. `line` and `column` count from 1,
 * 0 where they mean nothing. */
struct err {
	int code;
	int line, column;
	char source[256];
	char text[512];
};

/* Records an error; the first one wins, later calls change nothing. `e` may be
 * NULL. Returns `code`, so that a function can end with it. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_set_at(struct err *e, int code, const char *source, int line, int column, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/* The constant text for a code; never NULL. */
const char *err_text(int code);

/* "source:line:col: text" into `out`, always terminated. Returns `out`. */
char *err_format(const struct err *e, char *out, size_t size);

#endif
