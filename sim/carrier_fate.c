#include "sim/carrier_fate.h"

#include <stdlib.h>
#include <string.h>

#include "core/smstext.h"

static char *with_code(const char *text, const char *code)
{
	struct smstext parsed;
	size_t len, step;
	char *out = NULL, *to;

	if (!smstext_parse(text, &parsed) || !parsed.code[0])
		return strdup(text);
	len = strlen(parsed.code);
	step = strlen(code);
	to = out = malloc(strlen(text) * (step + 1) + 1);
	while (out && *text) {
		if (strncmp(text, parsed.code, len) == 0) {
			memcpy(to, code, step);
			to += step;
			text += len;
		} else {
			*to++ = *text++;
		}
	}
	if (out)
		*to = '\0';
	explicit_bzero(&parsed, sizeof(parsed));
	return out;
}

int64_t fate_arg(const struct fault *f, const char *key, int64_t absent)
{
	json_t *v = json_object_get(fault_args(f), key);

	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : absent;
}

void fate_judge(const struct fault *f, const char *text, struct fate *fate)
{
	const char *with = f ? json_string_value(json_object_get(fault_args(f), "with")) : NULL;

	if (fault_is(f, "lose")) {
		fate->lost = "fault";
	} else if (fault_is(f, "delay")) {
		fate->delay = (time_ns)fate_arg(f, "by_ns", 0);
	} else if (fault_is(f, "duplicate")) {
		fate->copies = fate_arg(f, "times", 1);
		fate->apart = (time_ns)fate_arg(f, "apart_ns", 0);
	} else if (fault_is(f, "reorder")) {
		fate->overtaken = true;
		fate->delay = (time_ns)fate_arg(f, "within_ns", 0);
	} else if (fault_is(f, "replace_code")) {
		fate->text = with_code(text, with ? with : "");
	} else if (fault_is(f, "replace_text")) {
		fate->text = strdup(with ? with : "");
	} else if (fault_is(f, "overlong")) {
		fate->text = malloc(SMSTEXT_MAX);
		if (fate->text)
			smstext_overlong(text, fate->text);
	} else if (fault_is(f, "replace_sender")) {
		fate->from = strdup(with ? with : "");
	}
	if (fate->copies > CARRIER_COPIES_MAX)
		fate->copies = CARRIER_COPIES_MAX;
}

bool fate_is(const struct fault *f)
{
	static const char *const own[] = {"lose",	  "delay",	  "duplicate",	    "reorder",
					  "replace_code", "replace_text", "replace_sender", "overlong"};

	for (size_t i = 0; f && i < sizeof(own) / sizeof(own[0]); i++)
		if (fault_is(f, own[i]))
			return true;
	return false;
}

void fate_fini(struct fate *fate)
{
	if (fate->text)
		explicit_bzero(fate->text, strlen(fate->text));
	free(fate->text);
	free(fate->from);
}
