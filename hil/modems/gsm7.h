/* The GSM 7 bit default alphabet with its extension table (3GPP TS 23.038 §6.2.1),
 * its packing into octets (§6.1.2.1), and UCS2, each to and from UTF-8. */
#ifndef HIL_MODEMS_GSM7_H
#define HIL_MODEMS_GSM7_H

#include <stddef.h>
#include <stdint.h>

/* `text` (UTF-8) into septets, one a byte; characters of the extension table take
 * two. Returns their number, ERR_UNSUPPORTED where a character is not in the
 * alphabet, ERR_LIMIT where more than `size` are needed. */
int gsm7_from_utf8(const char *text, uint8_t *septets, size_t size);

/* Septets into UTF-8, always terminated, cut at a whole character where `size` is
 * short. An escape without a partner counts as a space (§6.2.1.1). Returns the
 * length. */
size_t gsm7_to_utf8(const uint8_t *septets, size_t n, char *out, size_t size);

/* Packs `n` septets behind `skip` septets of header (0 where none) into `out`, whose
 * first octets, as far as the header reaches, are left alone. Returns the octets used,
 * header included. `out` needs (skip + n) * 7 / 8 + 1. */
size_t gsm7_pack(const uint8_t *septets, size_t n, size_t skip, uint8_t *out);
/* The reverse: `n` septets that start `skip` septets into `octets`. */
void gsm7_unpack(const uint8_t *octets, size_t n, size_t skip, uint8_t *septets);

/* UTF-16 big endian to and from UTF-8. From: number of octets, ERR_LIMIT, or
 * ERR_PARSE for broken UTF-8. To: length of the text; lone surrogates become U+FFFD. */
int ucs2_from_utf8(const char *text, uint8_t *out, size_t size);
size_t ucs2_to_utf8(const uint8_t *octets, size_t len, char *out, size_t size);

/* ISO 8859-1 into UTF-8: how 8 bit data is shown. */
size_t latin1_to_utf8(const uint8_t *octets, size_t len, char *out, size_t size);

#endif
