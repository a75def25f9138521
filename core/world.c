#include "core/world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"

int addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->u.sa.sa_family != b->u.sa.sa_family)
		return 0;
	if (a->u.sa.sa_family == AF_INET)
		return a->u.in.sin_port == b->u.in.sin_port && a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
	return a->u.in6.sin6_port == b->u.in6.sin6_port &&
	       memcmp(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr, sizeof(struct in6_addr)) == 0;
}

static int parse_port(const char *text, in_port_t *out)
{
	char *end;
	long port;

	if (*text < '0' || *text > '9')
		return ERR_PARSE;
	port = strtol(text, &end, 10);
	if (*end || port > 65535)
		return ERR_PARSE;
	*out = htons((uint16_t)port);
	return 0;
}

int addr_parse(const char *text, struct addr *out)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN + 2];
	size_t len;

	memset(out, 0, sizeof(*out));
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return ERR_PARSE;
	len = (size_t)(colon - text);
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] == '[' && len > 2 && host[len - 1] == ']') {
		host[len - 1] = '\0';
		out->u.in6.sin6_family = AF_INET6;
		out->len = sizeof(out->u.in6);
		if (inet_pton(AF_INET6, host + 1, &out->u.in6.sin6_addr) != 1)
			return ERR_PARSE;
		return parse_port(colon + 1, &out->u.in6.sin6_port);
	}
	out->u.in.sin_family = AF_INET;
	out->len = sizeof(out->u.in);
	if (inet_pton(AF_INET, host, &out->u.in.sin_addr) != 1)
		return ERR_PARSE;
	return parse_port(colon + 1, &out->u.in.sin_port);
}

char *addr_format(const struct addr *a, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->u.sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->u.in6.sin6_addr, host, sizeof(host));
		snprintf(out, size, "[%s]:%u", host, ntohs(a->u.in6.sin6_port));
	} else {
		inet_ntop(AF_INET, &a->u.in.sin_addr, host, sizeof(host));
		snprintf(out, size, "%s:%u", host, ntohs(a->u.in.sin_port));
	}
	return out;
}

int storage_read(struct storage *st, const char *name, struct buf *out)
{
	char part[4096];
	uint64_t at = 0;
	int64_t n;
	int rv;

	for (;;) {
		n = st->ops->pread(st, name, at, part, sizeof(part));
		if (n < 0)
			return (int)n;
		if (n == 0)
			return 0;
		rv = buf_add(out, part, (size_t)n);
		if (rv)
			return rv;
		at += (uint64_t)n;
	}
}
