/* The text that carries a code (hil.md, The path of a code), made by the server,
 * read by device, carrier and pool:
 *
 *   Code AB12cd34EF56 for ee9f2110. Valid 5 min.
 *   @ee9f2110-5843-11e9-a9ba-139bd26c8b4b.quicrig #AB12cd34EF56 r=a1b2c3d4
 *
 * GSM-7 without two-septet characters, one message (at most 160 septets). */
#ifndef CORE_SMSTEXT_H
#define CORE_SMSTEXT_H

#include <stdbool.h>
#include <stddef.h>

#define SMSTEXT_MAX   161
#define CODE_LEN      12
#define CODE_LEN_MAX  16

struct smstext {
	char uuid[37];
	char code[CODE_LEN_MAX + 1]; /* a secret */
	char r[9];                   /* first 8 of the registration; "" for the empty one */
};

/* `valid_s` is the code's life, shown in whole minutes (at least 1), below 60 s in seconds. */
void smstext_format(const struct smstext *in, unsigned valid_s, char out[SMSTEXT_MAX]);
/* Parses the last line; false where it is not ours. `text` is UTF-8. */
bool smstext_parse(const char *text, struct smstext *out);
/* What one message holds of `text` when words stand in front of it that make it too long
 * for one: its end, and with it the code, is cut off. */
void smstext_overlong(const char *text, char out[SMSTEXT_MAX]);

#endif
