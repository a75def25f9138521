#include "hil/judge/secret.h"

#include <stdbool.h>
#include <string.h>

#define CODE_LEN   12 /* protocol.md §4 */
#define IMSI_LEN   15 /* ITU-T E.212: at most; all of ours are */
#define NUMBER_MIN 8  /* digits behind a '+' */

/* locale-free on purpose */
static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alnum(char c)
{
	return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t run(const char *p, const char *end, bool (*is)(char))
{
	const char *q = p;

	while (q < end && is(*q))
		q++;
	return (size_t)(q - p);
}

/* A number of 15 digits by itself inside a text; bare JSON numbers are times. */
static bool imsi_at(const char *line, const char *p, const char *end)
{
	const char *before = p - 1;

	if (p == line || alnum(*before) || *before == ':' || *before == ',' || *before == '-' || *before == '.')
		return false;
	return run(p, end, digit) == IMSI_LEN && (p + IMSI_LEN == end || !alnum(p[IMSI_LEN]));
}

const char *secret_find(const char *line, size_t len)
{
	const char *end = line + len;

	for (const char *p = line; p < end; p++) {
		switch (*p) {
		case 'e':
			/* {"alg" or {"typ" in base64url */
			if (end - p > 8 && memcmp(p, "eyJ", 3) == 0 && run(p, end, alnum) >= 8)
				return "a token";
			break;
		case '-':
			if (end - p > 11 && memcmp(p, "-----BEGIN ", 11) == 0)
				return "a key or certificate";
			break;
		case '#':
			if (run(p + 1, end, alnum) == CODE_LEN)
				return "a code";
			break;
		case '+':
			if (run(p + 1, end, digit) >= NUMBER_MIN)
				return "a telephone number";
			break;
		default:
			if (digit(*p) && imsi_at(line, p, end))
				return "an IMSI";
			break;
		}
	}
	return NULL;
}
