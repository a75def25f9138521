#include "hil/modems/at_parser.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "core/err.h"

#define EXTENDED "+^$*%#@!_" /* V.250 has '+'; makers took the rest */

static void skip_spaces(const char *line, size_t len, size_t *pos)
{
	while (*pos < len && (line[*pos] == ' ' || line[*pos] == ';'))
		(*pos)++;
}

/* From `pos` to the ';' that ends an extended command, or to the end. */
static size_t command_end(const char *line, size_t len, size_t pos)
{
	bool quoted = false;

	for (; pos < len; pos++) {
		if (line[pos] == '"')
			quoted = !quoted;
		else if (line[pos] == ';' && !quoted)
			break;
	}
	return pos;
}

static void set_args(struct at_command *out, const char *p, size_t len)
{
	while (len && *p == ' ') {
		p++;
		len--;
	}
	while (len && p[len - 1] == ' ')
		len--;
	out->args = p;
	out->args_len = len;
}

static int parse_extended(const char *line, size_t len, size_t *pos, struct at_command *out)
{
	size_t end = command_end(line, len, *pos), n = 0, i = *pos;

	out->name[n++] = line[i++];
	while (i < end && (isalnum((unsigned char)line[i]) || strchr("_-.:/!%", line[i]))) {
		if (n + 1 == sizeof(out->name))
			return ERR_PARSE;
		out->name[n++] = (char)toupper((unsigned char)line[i++]);
	}
	out->name[n] = '\0';
	*pos = end;
	if (n == 1)
		return ERR_PARSE;
	while (i < end && line[i] == ' ')
		i++;
	if (i == end)
		return 1;
	if (line[i] == '?') {
		out->form = AT_READ;
		return 1;
	}
	if (line[i] != '=')
		return ERR_PARSE;
	out->form = AT_SET;
	set_args(out, line + i + 1, end - i - 1);
	if (out->args_len == 1 && out->args[0] == '?')
		out->form = AT_TEST;
	return 1;
}

static int parse_basic(const char *line, size_t len, size_t *pos, struct at_command *out)
{
	size_t n = 0, i = *pos;

	if (line[i] == '&' || line[i] == '\\')
		out->name[n++] = line[i++];
	if (i == len || !isalpha((unsigned char)line[i]))
		return ERR_PARSE;
	out->name[n++] = (char)toupper((unsigned char)line[i++]);
	if (n == 1 && out->name[0] == 'S') {
		while (i < len && isdigit((unsigned char)line[i]) && n < 4)
			out->name[n++] = line[i++];
	}
	out->name[n] = '\0';
	if (out->name[0] == 'D') { /* the rest of the line is a number to dial */
		out->form = AT_SET;
		set_args(out, line + i, len - i);
		*pos = len;
		return 1;
	}
	if (out->name[0] == 'S' && i < len && line[i] == '?') {
		out->form = AT_READ;
		*pos = i + 1;
		return 1;
	}
	if (i < len && line[i] == '=')
		i++;
	out->args = line + i;
	while (i < len && isdigit((unsigned char)line[i]))
		i++;
	out->args_len = (size_t)(line + i - out->args);
	out->form = out->args_len ? AT_SET : AT_EXECUTE;
	*pos = i;
	return 1;
}

int at_parse(const char *line, size_t len, size_t *pos, struct at_command *out)
{
	memset(out, 0, sizeof(*out));
	out->form = AT_EXECUTE;
	out->args = line;
	skip_spaces(line, len, pos);
	if (*pos >= len)
		return 0;
	if (strchr(EXTENDED, line[*pos]) && line[*pos])
		return parse_extended(line, len, pos, out);
	return parse_basic(line, len, pos, out);
}

/* The bounds of argument `index`; false where there are not so many. */
static bool find_arg(const struct at_command *c, unsigned index, const char **start, size_t *len)
{
	bool quoted = false;
	size_t from = 0, i;

	if (!c->args_len)
		return false;
	for (i = 0; i <= c->args_len; i++) {
		if (i < c->args_len && c->args[i] == '"')
			quoted = !quoted;
		if (i < c->args_len && (c->args[i] != ',' || quoted))
			continue;
		if (index-- == 0) {
			*start = c->args + from;
			*len = i - from;
			return true;
		}
		from = i + 1;
	}
	return false;
}

bool at_arg_text(const struct at_command *c, unsigned index, char *out, size_t size)
{
	const char *p;
	size_t len;

	out[0] = '\0';
	if (!find_arg(c, index, &p, &len))
		return false;
	while (len && *p == ' ') {
		p++;
		len--;
	}
	while (len && p[len - 1] == ' ')
		len--;
	if (len >= 2 && p[0] == '"' && p[len - 1] == '"') {
		p++;
		len -= 2;
	}
	if (len >= size)
		return false;
	memcpy(out, p, len);
	out[len] = '\0';
	return true;
}

int at_arg_int(const struct at_command *c, unsigned index, int *out)
{
	char text[16];
	const char *p;
	size_t len;
	long long v = 0;

	if (!find_arg(c, index, &p, &len) || !len)
		return 0;
	if (!at_arg_text(c, index, text, sizeof(text)))
		return ERR_PARSE;
	if (!text[0])
		return 0;
	for (const char *s = text; *s; s++) {
		if (!isdigit((unsigned char)*s))
			return ERR_PARSE;
		v = v * 10 + (*s - '0');
	}
	if (v > INT_MAX)
		return ERR_PARSE;
	*out = (int)v;
	return 1;
}

unsigned at_arg_count(const struct at_command *c)
{
	unsigned n = 0;
	const char *p;
	size_t len;

	while (find_arg(c, n, &p, &len))
		n++;
	return n;
}
