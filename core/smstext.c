#include "core/smstext.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/registry.h"

#define DOMAIN	".quicrig #"
#define R_LEN	8
#define R_LABEL " r="

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

void smstext_format(const struct smstext *in, unsigned valid_s, char out[SMSTEXT_MAX])
{
	unsigned n = valid_s < 60 ? valid_s : valid_s / 60;
	int len;

	assert(uuid_valid(in->uuid) && in->code[0]);
	len = snprintf(out, SMSTEXT_MAX, "Code %s for %.8s. Valid %u %s.\n@%s" DOMAIN "%s%s%s", in->code,
		       in->uuid, n, valid_s < 60 ? "s" : "min", in->uuid, in->code, in->r[0] ? R_LABEL : "",
		       in->r);
	assert(len > 0 && len < SMSTEXT_MAX);
	(void)len;
}

/* The last line that holds anything, without the blanks around it. */
static const char *last_line(const char *text, size_t *len)
{
	const char *end = text + strlen(text), *start;

	while (end > text && strchr(" \r\n\t", end[-1]))
		end--;
	start = end;
	while (start > text && start[-1] != '\n' && start[-1] != '\r')
		start--;
	*len = (size_t)(end - start);
	return start;
}

bool smstext_parse(const char *text, struct smstext *out)
{
	size_t len, n = 0;
	const char *p = last_line(text, &len), *end = p + len;

	memset(out, 0, sizeof(*out));
	if (len < 1 + UUID_LEN + strlen(DOMAIN) + 1 || *p++ != '@')
		return false;
	memcpy(out->uuid, p, UUID_LEN);
	p += UUID_LEN;
	if (!uuid_valid(out->uuid) || memcmp(p, DOMAIN, strlen(DOMAIN)) != 0)
		goto not_ours;
	p += strlen(DOMAIN);
	while (p + n < end && is_alnum(p[n]))
		n++;
	/* a shorter one was cut off on its way: tried, it would cost the device its life */
	if (n < CODE_LEN || n > CODE_LEN_MAX)
		goto not_ours;
	memcpy(out->code, p, n);
	p += n;
	if (p == end)
		return true;
	if ((size_t)(end - p) != strlen(R_LABEL) + R_LEN || memcmp(p, R_LABEL, strlen(R_LABEL)) != 0)
		goto not_ours;
	memcpy(out->r, p + strlen(R_LABEL), R_LEN);
	for (n = 0; n < R_LEN; n++)
		if (!is_hex(out->r[n]))
			goto not_ours;
	return true;
not_ours:
	memset(out, 0, sizeof(*out));
	return false;
}

void smstext_overlong(const char *text, char out[SMSTEXT_MAX])
{
	static const char words[] = "Dear customer, your subscription has been renewed. Thank you for staying with us. ";
	size_t len = strlen(text), room, keep;

	/* at least the last line must not fit, whose code a device would find */
	keep = strlen(words) + len < SMSTEXT_MAX ? len / 2 : len;
	room = SMSTEXT_MAX - 1 - strlen(words);
	snprintf(out, SMSTEXT_MAX, "%s%.*s", words, (int)(keep < room ? keep : room), text);
}
