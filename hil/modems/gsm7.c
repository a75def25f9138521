#include "hil/modems/gsm7.h"

#include <stdbool.h>
#include <string.h>

#include "core/err.h"

#define ESCAPE 0x1b

/* 3GPP TS 23.038 §6.2.1, by septet; 0 stands for the escape */
/* clang-format off */
static const uint16_t alphabet[128] = {
	'@',    0xa3,   '$',    0xa5,   0xe8,   0xe9,   0xf9,   0xec,
	0xf2,   0xc7,   '\n',   0xd8,   0xf8,   '\r',   0xc5,   0xe5,
	0x0394, '_',    0x03a6, 0x0393, 0x039b, 0x03a9, 0x03a0, 0x03a8,
	0x03a3, 0x0398, 0x039e, 0,      0xc6,   0xe6,   0xdf,   0xc9,
	' ',    '!',    '"',    '#',    0xa4,   '%',    '&',    '\'',
	'(',    ')',    '*',    '+',    ',',    '-',    '.',    '/',
	'0',    '1',    '2',    '3',    '4',    '5',    '6',    '7',
	'8',    '9',    ':',    ';',    '<',    '=',    '>',    '?',
	0xa1,   'A',    'B',    'C',    'D',    'E',    'F',    'G',
	'H',    'I',    'J',    'K',    'L',    'M',    'N',    'O',
	'P',    'Q',    'R',    'S',    'T',    'U',    'V',    'W',
	'X',    'Y',    'Z',    0xc4,   0xd6,   0xd1,   0xdc,   0xa7,
	0xbf,   'a',    'b',    'c',    'd',    'e',    'f',    'g',
	'h',    'i',    'j',    'k',    'l',    'm',    'n',    'o',
	'p',    'q',    'r',    's',    't',    'u',    'v',    'w',
	'x',    'y',    'z',    0xe4,   0xf6,   0xf1,   0xfc,   0xe0,
};
/* clang-format on */

static const struct {
	uint8_t septet;
	uint16_t unicode;
} extension[] = {
	{0x0a, '\f'}, {0x14, '^'}, {0x28, '{'}, {0x29, '}'}, {0x2f, '\\'},
	{0x3c, '['},  {0x3d, '~'}, {0x3e, ']'}, {0x40, '|'}, {0x65, 0x20ac},
};
#define EXTENSIONS (sizeof(extension) / sizeof(extension[0]))

/* One character of UTF-8 (RFC 3629) off the front of `*s`; -1 where it is broken. */
static int32_t utf8_next(const char **s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *p = (const uint8_t *)*s;
	unsigned n = p[0] < 0x80	     ? 1
		     : (p[0] & 0xe0) == 0xc0 ? 2
		     : (p[0] & 0xf0) == 0xe0 ? 3
		     : (p[0] & 0xf8) == 0xf0 ? 4
					     : 0;
	uint32_t c;

	if (!n)
		return -1;
	c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) /* also stops at the NUL */
			return -1;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -1;
	*s += n;
	return (int32_t)c;
}

static bool utf8_add(uint32_t c, char *out, size_t size, size_t *len)
{
	uint8_t b[4];
	size_t n;

	if (c < 0x80) {
		b[0] = (uint8_t)c;
		n = 1;
	} else if (c < 0x800) {
		b[0] = (uint8_t)(0xc0 | c >> 6);
		b[1] = (uint8_t)(0x80 | (c & 0x3f));
		n = 2;
	} else if (c < 0x10000) {
		b[0] = (uint8_t)(0xe0 | c >> 12);
		b[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		b[2] = (uint8_t)(0x80 | (c & 0x3f));
		n = 3;
	} else {
		b[0] = (uint8_t)(0xf0 | c >> 18);
		b[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		b[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		b[3] = (uint8_t)(0x80 | (c & 0x3f));
		n = 4;
	}
	if (*len + n + 1 > size)
		return false;
	memcpy(out + *len, b, n);
	*len += n;
	return true;
}

int gsm7_from_utf8(const char *text, uint8_t *septets, size_t size)
{
	size_t n = 0;

	while (*text) {
		int32_t c = utf8_next(&text);
		uint8_t found[2];
		size_t len = 0;

		if (c <= 0)
			return ERR_UNSUPPORTED;
		for (unsigned i = 0; i < 128 && !len; i++) {
			if (alphabet[i] == c) {
				found[0] = (uint8_t)i;
				len = 1;
			}
		}
		for (unsigned i = 0; i < EXTENSIONS && !len; i++) {
			if (extension[i].unicode == c) {
				found[0] = ESCAPE;
				found[1] = extension[i].septet;
				len = 2;
			}
		}
		if (!len)
			return ERR_UNSUPPORTED;
		if (n + len > size)
			return ERR_LIMIT;
		memcpy(septets + n, found, len);
		n += len;
	}
	return (int)n;
}

size_t gsm7_to_utf8(const uint8_t *septets, size_t n, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t c = alphabet[septets[i] & 0x7f];

		if (septets[i] == ESCAPE) {
			c = ' ';
			if (i + 1 < n && septets[i + 1] != ESCAPE) {
				i++;
				c = alphabet[septets[i] & 0x7f];
				for (unsigned k = 0; k < EXTENSIONS; k++) {
					if (extension[k].septet == septets[i])
						c = extension[k].unicode;
				}
			}
		}
		if (!utf8_add(c, out, size, &len))
			break;
	}
	out[len] = '\0';
	return len;
}

size_t gsm7_pack(const uint8_t *septets, size_t n, size_t skip, uint8_t *out)
{
	size_t octets = ((skip + n) * 7 + 7) / 8;
	size_t header = skip * 7 / 8;

	/* the header's last octet may share bits with nothing: fill bits are zero */
	if (octets > header)
		memset(out + header, 0, octets - header);
	for (size_t i = 0; i < n; i++) {
		size_t bit = (skip + i) * 7;
		unsigned v = (unsigned)(septets[i] & 0x7f) << (bit % 8);

		out[bit / 8] |= (uint8_t)v;
		if (v > 0xff)
			out[bit / 8 + 1] |= (uint8_t)(v >> 8);
	}
	return octets;
}

void gsm7_unpack(const uint8_t *octets, size_t n, size_t skip, uint8_t *septets)
{
	for (size_t i = 0; i < n; i++) {
		size_t bit = (skip + i) * 7;
		unsigned v = octets[bit / 8] >> (bit % 8);

		if (bit % 8 > 1)
			v |= (unsigned)octets[bit / 8 + 1] << (8 - bit % 8);
		septets[i] = v & 0x7f;
	}
}

int ucs2_from_utf8(const char *text, uint8_t *out, size_t size)
{
	size_t n = 0;

	while (*text) {
		int32_t c = utf8_next(&text);
		uint16_t unit[2];
		size_t units = 1;

		if (c < 0)
			return ERR_PARSE;
		unit[0] = (uint16_t)c;
		if (c >= 0x10000) {
			unit[0] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
			unit[1] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
			units = 2;
		}
		if (n + 2 * units > size)
			return ERR_LIMIT;
		for (size_t i = 0; i < units; i++) {
			out[n++] = (uint8_t)(unit[i] >> 8);
			out[n++] = (uint8_t)unit[i];
		}
	}
	return (int)n;
}

size_t ucs2_to_utf8(const uint8_t *octets, size_t len, char *out, size_t size)
{
	size_t done = 0;

	for (size_t i = 0; i + 1 < len; i += 2) {
		uint32_t c = (uint32_t)octets[i] << 8 | octets[i + 1];

		if (c >= 0xd800 && c < 0xdc00 && i + 3 < len && (octets[i + 2] & 0xfc) == 0xdc) {
			c = 0x10000 + ((c & 0x3ff) << 10) +
			    (((uint32_t)octets[i + 2] & 3) << 8 | octets[i + 3]);
			i += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
		} else if (c == 0) {
			c = ' '; /* a text ends at its NUL */
		}
		if (!utf8_add(c, out, size, &done))
			break;
	}
	out[done] = '\0';
	return done;
}

size_t latin1_to_utf8(const uint8_t *octets, size_t len, char *out, size_t size)
{
	size_t done = 0;

	for (size_t i = 0; i < len; i++) {
		if (!utf8_add(octets[i] ? octets[i] : ' ', out, size, &done))
			break;
	}
	out[done] = '\0';
	return done;
}
